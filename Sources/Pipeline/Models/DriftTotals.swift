// What the events of a partition looked like to the models, by day: state of the partition like its windows, stored with
// the checkpoint. Counts add up, so they depend neither on where batches end nor on workers.

import Detection

/// Drift counts of one partition since its beginning, as far back as they are kept.
struct DriftTotals {
  private struct Key: Hashable, Comparable {
    var detector: String
    var version: String
    var day: Int64

    static func < (a: Key, b: Key) -> Bool { (a.detector, a.version, a.day) < (b.detector, b.version, b.day) }
  }

  private var counts: [Key: DriftCounts] = [:]
  private var changed: Set<Key> = []

  /// Takes up what the last checkpoint left.
  mutating func restore(_ stored: [DriftCounts]) {
    for day in stored { counts[Self.key(day)] = day }
  }

  /// Adds what a batch looked like.
  /// - Parameter keepFrom: days before it would be dropped at the next checkpoint, and are not taken in.
  mutating func add(_ days: [DriftCounts], keepFrom: Int64?) {
    for day in days where day.rows > 0 && day.day >= keepFrom ?? .min {
      let key = Self.key(day)
      // Another model under the same name (its folder was replaced by hand) begins anew.
      if counts[key]?.hasBins(of: day) == true { counts[key]?.add(day) } else { counts[key] = day }
      changed.insert(key)
    }
  }

  /// The full counts of days that changed since the last call.
  /// - Parameter keepFrom: days before it are dropped. It never goes back, so that what is kept has never been dropped.
  mutating func takeChanges(keepFrom: Int64?) -> [DriftCounts] {
    if let keepFrom { counts = counts.filter { $0.key.day >= keepFrom } }
    defer { changed = [] }
    return changed.sorted().compactMap { counts[$0] }
  }

  private static func key(_ day: DriftCounts) -> Key {
    Key(detector: day.detector, version: day.version, day: day.day)
  }
}
