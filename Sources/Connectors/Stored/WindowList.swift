// Where a list of windows stands, and entities by what all their windows say together, whatever the store is made of.

import Detection
import Pipeline

/// Where a list of windows stands.
struct WindowListKey {
  var start: Int64
  var useCase: String
  var window: String
  /// The values, as the key has them.
  var by: [UInt8]
  /// How many windows of this key were listed: one for each definition.
  var listed = 0

  init(start: Int64, useCase: String, window: String, by: [UInt8]) {
    self.start = start
    self.useCase = useCase
    self.window = window
    self.by = by
  }

  init(_ cursor: PageCursor) throws {
    let keys = try cursor.keys(count: 5)
    self.init(start: keys[0].integer, useCase: keys[1].text, window: keys[2].text, by: Self.bytes(keys[3].text))
    listed = Int(keys[4].integer)
  }

  var cursor: PageCursor {
    // Bytes are no text: each is a character.
    PageCursor([
      .int(start), .string(useCase), .string(window),
      .string(String(String.UnicodeScalarView(by.map { Unicode.Scalar($0) }))), .int(Int64(listed)),
    ])
  }

  private static func bytes(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
  }

  /// In the order of the list, each once: one may be open in a partition and closed in another.
  static func ordered(_ keys: [WindowListKey]) -> [WindowListKey] {
    let sorted = keys.sorted { a, b in
      if (a.start, a.useCase, a.window) == (b.start, b.useCase, b.window) {
        return a.by.lexicographicallyPrecedes(b.by)
      }
      return (b.start, a.useCase, a.window) < (a.start, b.useCase, b.window)
    }
    var distinct: [WindowListKey] = []
    for key in sorted where distinct.last.map({ !$0.isSame(as: key) }) ?? true { distinct.append(key) }
    return distinct
  }

  func isSame(as other: WindowListKey) -> Bool {
    (start, useCase, window) == (other.start, other.useCase, other.window) && by == other.by
  }
}

/// Of the entities whose windows are merged one after another, those with the highest value.
struct EntityTotal {
  private let merger: AggregateMerger
  private let limit: Int
  /// The values of the entity that is being merged; nil while there is no part of it.
  var by: String?
  /// Highest first.
  private(set) var top: [TopEntity] = []

  init(_ merger: AggregateMerger, limit: Int) {
    self.merger = merger
    self.limit = limit
  }

  /// Ends the entity; nothing where it had no part.
  mutating func finish() {
    guard let by else { return }
    let total = merger.take()
    self.by = nil
    let value: Double
    switch total.value {
    case .scalar(.double(let number)): value = number
    case .scalar(.int(let number)): value = Double(number)
    default: return
    }
    top.append(TopEntity(by: by, events: total.events, value: value))
    top.sort { ($1.value, $0.by) < ($0.value, $1.by) }
    if top.count > limit { top.removeLast() }
  }
}

extension Array {
  /// Runs of neighbours with the same key.
  func chunked<Key: Equatable>(by key: (Element) -> Key) -> [[Element]] {
    var chunks: [[Element]] = []
    var last: Key?
    for element in self {
      let key = key(element)
      if key == last { chunks[chunks.count - 1].append(element) } else { chunks.append([element]) }
      last = key
    }
    return chunks
  }
}
