// What a sliding rule is defined to find, in the plainest way: all events are kept, and every window is filtered from them.

@testable import Detection

/// The definition of a sliding rule over `count(*)` and aggregates of x, n and kind, per user.
struct RuleReference {
  var within: Int64
  var coolDown: Int64
  /// Whether a window with these aggregates makes a finding.
  var condition: (Aggregates) -> Bool

  struct Aggregates {
    var count: Int
    var values: [String]
  }

  private struct Life {
    var clock: Int64
    var stamp: Int64
    var lastFinding: Int64?
    var events: [RuleEvent]
  }

  /// Rows that are findings with the aggregates at each; counts of late, ahead and ownerless events.
  func run(_ stream: RuleStream) -> (findings: [(row: Int, aggregates: Aggregates)], counts: DetectorCounts) {
    var lives: [Int64: Life] = [:]
    var counts = DetectorCounts()
    var findings: [(row: Int, aggregates: Aggregates)] = []
    for (row, event) in stream.events.enumerated() where event.kind != "other" && event.kind != nil {
      let watermark = stream.watermarks[row]
      if event.ahead {
        counts.ahead += 1
        continue
      }
      if watermark != .min {
        lives = lives.filter { $0.value.stamp > watermark - max(within, coolDown) }
      }
      guard let user = event.user else {
        counts.withoutEntity += 1
        continue
      }
      if let life = lives[user], life.clock > stream.believed[row] { lives[user] = nil }
      var life = lives[user] ?? Life(clock: .min, stamp: .min, lastFinding: nil, events: [])
      if life.clock != .min && event.time <= life.clock - within {
        counts.late += 1
        continue
      }
      life.clock = max(life.clock, event.time)
      life.stamp = max(life.stamp, life.clock, watermark)
      life.events.append(event)
      let window = life.events.filter { $0.time > life.clock - within && $0.time <= life.clock }
      let aggregates = Self.aggregates(window, &counts.failures)
      if condition(aggregates), life.lastFinding.map({ life.clock >= $0 + coolDown }) ?? true {
        findings.append((row, aggregates))
        life.lastFinding = life.clock
      }
      lives[user] = life
    }
    return (findings, counts)
  }

  /// Texts of the aggregates of `RuleReference.having`, in its order.
  static let having = """
    count(*) >= LIMIT OR count(x) < 0 OR sum(x) = 0.123 OR avg(x) = 0.123 OR min(x) = 0.123 OR max(x) = 0.123 \
    OR distinct(x) < 0 OR sum(n) = 123456 OR avg(n) = 0.123 OR min(n) = 123456 OR max(n) = 123456 OR distinct(kind) < 0 \
    OR distinct(n) < 0
    """

  private static func aggregates(_ window: [RuleEvent], _ failures: inout Int) -> Aggregates {
    let x = window.compactMap(\.x)
    let n = window.compactMap(\.n)
    var exact = ExactReference()
    for value in x { exact.add(value) }
    func isBefore(_ a: Double, _ b: Double) -> Bool { b.isNaN ? !a.isNaN : a < b }
    func canonical(_ value: Double) -> Double { value == 0 ? 0 : value.isNaN ? .nan : value }
    func text(_ value: Double) -> String { "\(value.bitPattern)" }
    let sum = n.reduce(Int128(0)) { $0 + Int128($1) }
    if !n.isEmpty && Int64(exactly: sum) == nil { failures += 1 }
    let values: [String] = [
      "\(Scalar.int(Int64(window.count)))", "\(Scalar.int(Int64(x.count)))",
      x.isEmpty ? "null" : text(exact.value), x.isEmpty ? "null" : text(exact.value / Double(x.count)),
      x.isEmpty ? "null" : text(canonical(x.min(by: isBefore)!)),
      x.isEmpty ? "null" : text(canonical(x.max(by: isBefore)!)),
      "\(Scalar.int(Int64(Set(x.map { canonical($0).bitPattern }).count)))",
      n.isEmpty ? "null" : Int64(exactly: sum).map { "\(Scalar.int($0))" } ?? "null",
      n.isEmpty ? "null" : text(Double(sum) / Double(n.count)),
      n.isEmpty ? "null" : "\(Scalar.int(n.min()!))", n.isEmpty ? "null" : "\(Scalar.int(n.max()!))",
      "\(Scalar.int(Int64(Set(window.compactMap(\.kind)).count)))", "\(Scalar.int(Int64(Set(n).count)))",
    ]
    return Aggregates(count: window.count, values: values)
  }
}
