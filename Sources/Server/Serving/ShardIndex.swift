// Where in their files the events of a time lie: shards do not change, so what was found of one is kept. Of a file only the blocks
// are decoded that a question may be about.

import Connectors
import Pipeline
import Synchronization

/// The blocks of the history shards that were asked for.
final class ShardIndex: Sendable {
  private let known = Mutex<[ArchivedShard: [ShardBlock]]>([:])
  /// Shards whose blocks are kept: some 500 bytes each.
  private static let most = 20_000

  /// The blocks of a shard, in order; none where it was removed.
  /// - Parameter time: the field with the event time.
  /// - Throws: `OperatingError` where the shard cannot be read.
  func blocks(of shard: ArchivedShard, in archive: ArrowArchive, time: String) throws -> [ShardBlock] {
    if let blocks = known.withLock({ $0[shard] }) { return blocks }
    let blocks = try archive.blocks(of: shard, time: time)
    known.withLock { known in
      // Those that are asked for come again at once.
      if known.count >= Self.most { known.removeAll() }
      known[shard] = blocks
    }
    return blocks
  }
}
