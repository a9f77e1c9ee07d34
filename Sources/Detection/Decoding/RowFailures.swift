// Which rows failed and why. The first failing field in schema order decides, so fields must be looked at in that order;
// within a field, coercion comes before validation.

/// Why one row is not an event.
struct RowFailure {
  var stage: DeadLetter.Stage
  var reason: DeadLetter.Reason
  var field: String?
  var message: String
}

/// The failed rows of a batch.
struct RowFailures {
  private(set) var byRow: [Int: RowFailure] = [:]

  var isEmpty: Bool { byRow.isEmpty }

  /// Records that the field of a row failed, unless an earlier one did.
  mutating func note(
    _ row: Int, _ field: Field, _ reason: DeadLetter.Reason, expected: String, found: @autoclosure () -> String,
    stage: DeadLetter.Stage = .validate
  ) {
    guard byRow[row] == nil else { return }
    byRow[row] = RowFailure(
      stage: stage, reason: reason, field: field.name, message: "\(field.name): expected \(expected), found \(found())")
  }

  /// Records that a row failed as a whole.
  mutating func note(_ row: Int, _ failure: RowFailure) {
    if byRow[row] == nil { byRow[row] = failure }
  }

  /// The rows that did not fail.
  func survivors(of count: Int) -> [Int] { (0..<count).filter { byRow[$0] == nil } }
}
