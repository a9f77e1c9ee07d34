// What is wrong with a configuration, where, and what would be right. Checks collect diagnostics and report them all at
// once; a message is one sentence without a full stop, names in backquotes, and never holds event data.

/// One thing wrong with a configuration file.
public struct Diagnostic: Error, Sendable, Hashable {
  /// The first character that is wrong.
  public var location: SourceLocation
  /// What is wrong, as a sentence.
  public var message: String
  /// What would have been right.
  public var expected: String?
  /// What stands there.
  public var found: String?
  /// The nearest known name, or text that would be right.
  public var suggestion: String?

  public init(
    location: SourceLocation, message: String, expected: String? = nil, found: String? = nil, suggestion: String? = nil
  ) {
    self.location = location
    self.message = message
    self.expected = expected
    self.found = found
    self.suggestion = suggestion
  }
}

/// The candidate that someone who wrote `name` most likely meant; nil when none is near. Case is ignored; the first of
/// equally near candidates wins.
///
/// Nearness is the optimal string alignment distance (insert, delete, replace, swap of neighbours: Damerau 1964) and at
/// most a third of the name's length, at least two (of names of two letters one).
public func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
  let wanted = Array(name.lowercased().unicodeScalars)
  guard !wanted.isEmpty, wanted.count <= 100 else { return nil }
  let limit = wanted.count < 3 ? 1 : max(2, wanted.count / 3)
  var best: (name: String, distance: Int)?
  for candidate in candidates where candidate != name {
    let other = Array(candidate.lowercased().unicodeScalars)
    guard abs(other.count - wanted.count) <= limit else { continue }
    let distance = alignmentDistance(wanted, other)
    if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
  }
  return best?.name
}

/// Edits that turn `a` into `b`, by three rows of the usual table.
private func alignmentDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
  var beforePrevious: [Int] = []
  var previous = Array(0...b.count)
  for row in 1..<(a.count + 1) {
    var current = [row]
    current.reserveCapacity(b.count + 1)
    for column in 1..<(b.count + 1) {
      let same = a[row - 1] == b[column - 1]
      var cost = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (same ? 0 : 1))
      if row > 1, column > 1, a[row - 1] == b[column - 2], a[row - 2] == b[column - 1] {
        cost = min(cost, beforePrevious[column - 2] + 1)
      }
      current.append(cost)
    }
    (beforePrevious, previous) = (previous, current)
  }
  return previous[b.count]
}
