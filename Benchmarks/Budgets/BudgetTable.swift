// The budgets and the table of what was measured against them.

/// One row: what is measured, and where it meets its target and where it is a defect.
struct Budget {
  enum Direction { case atLeast, atMost }
  enum Verdict: String {
    case meetsTarget = "meets target"
    case within = "within"
    case defect = "DEFECT"
  }

  let what: String
  let target: Double
  let defect: Double
  let direction: Direction
  /// A value as text with its unit.
  let format: (Double) -> String

  func verdict(_ value: Double) -> Verdict {
    switch direction {
    case .atLeast: value >= target ? .meetsTarget : value >= defect ? .within : .defect
    case .atMost: value <= target ? .meetsTarget : value <= defect ? .within : .defect
    }
  }
}

struct BudgetTable {
  private var rows: [[String]] = [["what", "measured", "target", "defect", "verdict"]]
  private(set) var hasDefect = false

  /// - Parameter note: how it was measured, behind the value.
  mutating func add(_ budget: Budget, measured: Double, note: String) {
    let verdict = budget.verdict(measured)
    hasDefect = hasDefect || verdict == .defect
    let (target, defect) = (budget.format(budget.target), budget.format(budget.defect))
    rows.append([
      budget.what, "\(budget.format(measured)) (\(note))", target,
      (budget.direction == .atLeast ? "< " : "> ") + defect, verdict.rawValue,
    ])
  }

  /// Something that is measured and has no budget.
  mutating func add(_ what: String, measured: String) { rows.append([what, measured, "", "", ""]) }

  /// A budget of something that does not exist yet.
  mutating func addLater(_ what: String, target: String, defect: String, needs: String) {
    rows.append([what, "", target, defect, "not reached yet: \(needs)"])
  }

  var text: String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    let lines = rows.map { row in
      zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: " | ")
    }
    let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "-+-")
    return ([lines[0], rule] + lines.dropFirst()).joined(separator: "\n")
  }
}

/// 412 k events/s, 1.03 M events/s.
func eventsPerSecond(_ value: Double) -> String {
  value >= 1e6 ? "\(fixed(value / 1e6, 2)) M events/s" : "\(fixed(value / 1e3, 0)) k events/s"
}

func rowsPerSecond(_ value: Double) -> String { "\(fixed(value / 1e3, 0)) k rows/s" }

func times(_ value: Double) -> String { "\(fixed(value, 1)) x" }

func megabytes(_ value: Double) -> String { "\(fixed(value / 1e6, 0)) MB" }

func seconds(_ value: Double) -> String { value < 0.1 ? "\(fixed(value, 3)) s" : "\(fixed(value, 2)) s" }

/// So many digits behind the point.
func fixed(_ value: Double, _ digits: Int) -> String {
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let whole = Int((value * scale).rounded())
  guard digits > 0 else { return String(whole) }
  let fraction = String(whole % Int(scale))
  return "\(whole / Int(scale)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}
