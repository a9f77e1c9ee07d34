// State that a partition has in the store and not in memory, and how it comes back before events need it.

import Detection

extension PartitionProcessor {
  /// Whether state would take more memory next, of which some can be parked.
  var isFull: Bool { parkable.contains { $0.isFull } }

  /// Has the next checkpoint take what has been quiet for longest out of memory.
  func park() { for part in parkable where part.isFull { part.park() } }

  /// What is to be read back before pieces of a batch are processed: keys of stored state by the name of its space.
  func wanted(for pieces: [StagedWork]) -> [String: [[UInt8]]] {
    let parts = parkable.filter(\.hasParked)
    if parts.isEmpty { return [:] }
    // Any of those that wait may be believed in this batch.
    let waited = waiting.released.map { events in
      var (batch, failed) = (events.batch, 0)
      plan.extend(&batch, failures: &failed)
      return batch
    }
    var wanted: [String: [[UInt8]]] = [:]
    for part in parts {
      for piece in pieces { part.want(piece.staged.events) }
      for events in waited { part.want(events) }
      let keys = part.wantedKeys
      if !keys.isEmpty { wanted[part.stateName] = keys }
    }
    return wanted
  }

  /// Takes back what was wanted.
  /// - Throws: `CodingError`.
  func unpark(_ space: String, _ entries: [StateEntry]) throws {
    for part in parkable where part.stateName == space { try part.unpark(entries) }
  }
}
