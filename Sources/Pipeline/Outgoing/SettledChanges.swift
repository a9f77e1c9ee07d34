// Changes that no restart takes back: those of events before the checkpoint of their partition.

import Detection

extension ChangePage {
  /// The page without what a run that is killed may find otherwise. What comes behind such a change in its partition waits
  /// with it, so that those of a partition stay in order.
  /// - Parameters:
  ///   - cursor: that the page was read behind.
  ///   - status: of the partitions, as of the same moment.
  func settled(since cursor: ChangeCursor, by status: [PartitionStatus]) -> ChangePage {
    var checkpoints: [ChangeCursor.Place: Position] = [:]
    for one in status { checkpoints[ChangeCursor.Place(useCase: one.useCase, partition: one.partition)] = one.position }
    var settled = ChangePage(changes: [], next: next, hasMore: false)
    var waiting: Set<ChangeCursor.Place> = []
    var passed = cursor
    for change in changes {
      let place = ChangeCursor.Place(useCase: change.useCase, partition: change.partition)
      if waiting.contains(place) { continue }
      if let position = change.position, position >= checkpoints[place] ?? .start {
        waiting.insert(place)
        settled.next[place] = passed[place]
      } else {
        settled.changes.append(change)
        passed.pass(change)
      }
    }
    // Where all that was read waits there is nothing to do before the next checkpoint.
    settled.hasMore = hasMore && settled.next != cursor
    return settled
  }
}
