// What all rounds have come to so far, kept in a file so that a trial can go on another day.

import Foundation

/// The rounds of a trial.
struct TrialState: Codable {
  /// Of the first call; seeds of rounds follow from it.
  var seed: UInt64
  var rounds: [TrialResult] = []

  /// What ten rounds must reach at least: fewer would prove too little. A round has one eviction, rebalance and outage and
  /// three kills.
  static let minimums: [(name: String, count: @Sendable (TrialResult) -> Int, perTenRounds: Int)] = [
    ("kills", { $0.kills }, 25), ("evictions", { $0.evictions }, 9), ("rebalances", { $0.rebalances }, 9),
    ("outages", { $0.outages }, 9),
  ]

  /// What is in a folder; a new one where nothing is.
  /// - Throws: where what is there is of another seed, or cannot be read.
  static func load(from folder: String, seed: UInt64) throws -> TrialState {
    guard let data = FileManager.default.contents(atPath: path(in: folder)) else { return TrialState(seed: seed) }
    let state = try JSONDecoder().decode(TrialState.self, from: data)
    guard state.seed == seed else {
      throw TrialError("\(folder) holds the trial of seed \(state.seed): go on with it, or take another folder")
    }
    return state
  }

  func save(to folder: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(self).write(to: URL(fileURLWithPath: Self.path(in: folder)), options: .atomic)
  }

  private static func path(in folder: String) -> String { folder + "/state.json" }

  /// The seed of the next round.
  var nextSeed: UInt64 { seed &* 1_000_003 &+ UInt64(rounds.count) }

  /// What is wrong with the trial as a whole.
  var faults: [String] {
    let short = Self.minimums.compactMap { name, count, perTenRounds -> String? in
      let (found, least) = (rounds.reduce(0) { $0 + count($1) }, max(1, rounds.count * perTenRounds / 10))
      return found >= least ? nil : "only \(found) \(name) in \(rounds.count) rounds, expected \(least) at least"
    }
    return rounds.flatMap { round in round.faults.map { "round \(round.number): \($0)" } } + short
  }

  // MARK: For people

  private static let columns: [(name: String, width: Int, text: @Sendable (TrialResult) -> String)] = [
    ("round", 5, { String($0.number) }), ("records", 9, { String($0.records) }),
    ("findings", 9, { String($0.anomalies) }), ("kills", 6, { String($0.kills) }),
    ("evictions", 10, { String($0.evictions) }), ("rebalances", 11, { String($0.rebalances) }),
    ("outages", 8, { String($0.outages) }), ("lost", 6, { String($0.lost) }), ("doubled", 8, { String($0.doubled) }),
    ("seconds", 8, { String(Int($0.seconds)) }),
  ]

  private static func line(_ text: (Int) -> String) -> String {
    columns.indices.map { index in
      let text = text(index)
      return String(repeating: " ", count: max(0, columns[index].width - text.count)) + text
    }.joined()
  }

  static let heading = line { columns[$0].name }

  static func row(of round: TrialResult) -> String { line { columns[$0].text(round) } }

  var summary: String {
    func sum(_ count: (TrialResult) -> Int) -> Int { rounds.reduce(0) { $0 + count($1) } }
    return "\(rounds.count) rounds, \(sum(\.records)) records, \(sum(\.anomalies)) findings; \(sum(\.kills)) kills, "
      + "\(sum(\.evictions)) evictions, \(sum(\.rebalances)) rebalances, \(sum(\.outages)) outages: "
      + "\(sum(\.lost)) lost, \(sum(\.doubled)) doubled, \(faults.count) faults"
  }
}
