// Which open windows come next in a list, out of segments that hold them in no order.

import Detection
import Pipeline

/// Where a window stands in the list of those of its definition: by start descending, then by its values.
struct OpenWindowPlace: Comparable {
  var start: Int64
  /// The values, as keys have them; empty before all.
  var by: [UInt8]

  static func < (a: Self, b: Self) -> Bool {
    a.start == b.start ? a.by.lexicographicallyPrecedes(b.by) : a.start > b.start
  }

  init(start: Int64, by: [UInt8] = []) {
    self.start = start
    self.by = by
  }

  /// Where the list of a window goes on.
  init(behind cursor: WindowListKey?, in useCase: String, _ window: String, _ filter: ResultFilter) {
    self.init(start: filter.to.map { $0.subtractingSaturated(1) } ?? .max)
    guard let cursor else { return }
    let (a, b) = ((useCase, window), (cursor.useCase, cursor.window))
    if a == b {
      self = max(self, OpenWindowPlace(start: cursor.start, by: cursor.by))
    } else {
      start = min(start, a < b ? cursor.start.subtractingSaturated(1) : cursor.start)
    }
  }
}

/// The first of very many places.
struct PlaceSelection {
  /// Windows that are gathered at a time: fewer at first.
  static let counts = 1 << 13...1 << 16

  let most: Int
  private var places: [OpenWindowPlace] = []
  /// What lies behind it is not among the first.
  private var bound: OpenWindowPlace?

  init(most: Int) { self.most = most }

  /// Whether a window with a start may be among the first.
  func needs(_ start: Int64) -> Bool { bound.map { start >= $0.start } ?? true }

  mutating func offer(_ place: OpenWindowPlace) {
    if let bound, place > bound { return }
    places.append(place)
    if places.count >= 2 * most { keepFirst() }
  }

  private mutating func keepFirst() {
    places.sort()
    var first: [OpenWindowPlace] = []
    for place in places where first.count < most && first.last != place { first.append(place) }
    if first.count == most { bound = first.last }
    places = first
  }

  /// The last of the first ones; nil where all there are are among them.
  var last: OpenWindowPlace? {
    var rest = self
    rest.keepFirst()
    return rest.bound
  }
}
