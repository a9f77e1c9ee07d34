// What took reading much of history is kept for whoever asks again: files of history do not change, so an answer is right for as
// long as the span that it is about has the same ones. A page asks each time it is opened.

import Pipeline
import Synchronization

/// Answers to questions about spans of history, the newest of them.
final class HistoryFindings<Question: Hashable & Sendable, Answer: Sendable>: Sendable {
  private struct Known: Sendable {
    var shards: [ArchivedShard]
    var answer: Answer
    /// Ascends with each use.
    var used: Int
  }

  private struct State: Sendable {
    var known: [Question: Known] = [:]
    var uses = 0
  }

  private let state = Mutex(State())
  /// Answers that are kept: of those that were not asked for lately one goes when another comes.
  private let most: Int

  init(most: Int = 64) { self.most = most }

  /// - Parameters:
  ///   - shards: those that the span has now.
  ///   - find: reads them.
  func answer(
    to question: Question, in shards: [ArchivedShard], find: () throws -> Answer
  ) rethrows -> Answer {
    let known = state.withLock { state -> Answer? in
      guard let known = state.known[question], known.shards == shards else { return nil }
      state.uses += 1
      state.known[question]?.used = state.uses
      return known.answer
    }
    if let known { return known }
    let answer = try find()
    state.withLock { state in
      if state.known.count >= most, state.known[question] == nil,
        let oldest = state.known.min(by: { $0.value.used < $1.value.used })
      {
        state.known[oldest.key] = nil
      }
      state.uses += 1
      state.known[question] = Known(shards: shards, answer: answer, used: state.uses)
    }
    return answer
  }
}
