// Which version of each learned detector scores which events of one partition: the activation log, folded. Of the
// activations of a detector whose position is at or before an event's, the last one recorded counts.

import Detection

/// The model activations of one partition that still matter.
struct ModelTimeline {
  private struct Entry {
    var from: Position
    var version: String
  }

  /// Stands in the log for no model: the detector finds nothing.
  static let silent = ""

  /// By detector, ascending by position.
  private var entries: [String: [Entry]] = [:]

  /// - Parameter log: in the order in which it was recorded; other kinds of activations are passed over.
  init(_ log: [Activation]) {
    for activation in log where activation.kind == .model {
      guard let detector = activation.detector else { continue }
      activate(activation.version, of: detector, from: activation.from)
    }
  }

  /// A version scores from a position on, whatever was said of events behind it before.
  mutating func activate(_ version: String, of detector: String, from position: Position) {
    var list = entries[detector] ?? []
    while let last = list.last, last.from >= position { list.removeLast() }
    list.append(Entry(from: position, version: version))
    entries[detector] = list
  }

  /// Forgets what scores only events before `position`: they will not be asked for again.
  mutating func pass(_ position: Position) {
    for (detector, list) in entries where list.count > 1 && list[1].from <= position {
      entries[detector] = Array(list[(list.lastIndex { $0.from <= position } ?? 0)...])
    }
  }

  /// The version that scores the end of the partition; nil where none was ever activated.
  func latest(of detector: String) -> String? { entries[detector]?.last?.version }

  /// The version that scores an event; nil where the detector finds nothing.
  func version(of detector: String, at position: Position) -> String? {
    let version = entries[detector]?.last { $0.from <= position }?.version
    return version == Self.silent ? nil : version
  }

  /// The versions that score anything, in the order of their positions.
  func versions(of detector: String) -> [String] {
    (entries[detector] ?? []).map(\.version).filter { $0 != Self.silent }
  }

  /// Where versions change behind `position`, ascending, each place once.
  func changes(behind position: Position) -> [Position] {
    var places: Set<Position> = []
    for list in entries.values where list.count > 1 || list[0].from > position {
      for entry in list where entry.from > position { places.insert(entry.from) }
    }
    return places.sorted()
  }
}
