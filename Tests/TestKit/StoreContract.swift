// What every store must do, whatever it is made of. Each check takes an empty store and returns what is wrong.

import Detection
public import Pipeline

/// The contract of `Store`.
public struct StoreContract: Contract {
  private let store: any Store
  /// The identities of the anomalies that are stored, ascending.
  private let anomalies: @Sendable () async throws -> [String]
  private let keepsSeveralUseCases: Bool

  public init(
    _ store: any Store, keepsSeveralUseCases: Bool = true, anomalies: @escaping @Sendable () async throws -> [String]
  ) {
    self.store = store
    self.keepsSeveralUseCases = keepsSeveralUseCases
    self.anomalies = anomalies
  }

  public static let checks = [
    Check(name: "each claim of a partition has a higher epoch, and partitions have their own") {
      try await $0.epochs()
    },
    Check(name: "a claim that was superseded writes nothing") { try await $0.fencing() },
    Check(name: "what of a commit is granted is written though other claims are refused") { try await $0.mixed() },
    Check(name: "a claim gives what the last checkpoint stored") { try await $0.snapshot() },
    Check(name: "activations come back in their order, and remove what lies behind them") {
      try await $0.activations()
    },
    Check(name: "findings of events that wait are retracted") { try await $0.waiting() },
    Check(name: "writing the same again changes nothing") { try await $0.upserts() },
  ]

  private static let useCase = "contract"
  private let first = PartitionID(source: "s", number: 0)
  private let second = PartitionID(source: "s", number: 1)

  private func claim(_ partition: PartitionID, of useCase: String = useCase) async throws -> Claim {
    try await store.claim(useCase: useCase, partition: partition).claim
  }

  private func anomaly(_ claim: Claim, at offset: Int64) -> Anomaly {
    Anomaly(
      useCase: claim.useCase, partition: claim.partition, position: Position(segment: 0, offset: offset, row: offset),
      detector: "d", eventTime: offset, key: "k", score: 1, severity: .high, reason: "r", explanation: Explanation(),
      event: "{}")
  }

  private func results(_ claim: Claim, at offsets: Int64...) -> Results {
    Results(claim: claim, anomalies: offsets.map { anomaly(claim, at: $0) })
  }

  private func checkpoint(_ claim: Claim, at offset: Int64) -> Checkpoint {
    var totals = Totals()
    totals.records = Int(offset)
    totals.events = Int(offset)
    return Checkpoint(
      claim: claim, position: Position(segment: 0, offset: offset, row: offset), sourceState: [1, 2],
      watermark: offset, totals: totals, windows: [], windowRetention: [], resultsKeepFrom: nil,
      states: [
        Checkpoint.StateSpace(
          name: "rule/x", fingerprint: "f",
          changes: StateChanges(puts: [StateEntry(key: [1], value: [UInt8(offset & 0xFF)])], deletes: []))
      ], history: HistoryChanges())
  }

  private func epochs() async throws -> [String] {
    var notes = ContractNotes()
    let claims = [try await claim(first), try await claim(first), try await claim(first)]
    notes.expect(claims[0].epoch < claims[1].epoch && claims[1].epoch < claims[2].epoch, "epochs rise: \(claims)")
    let other = try await claim(second)
    let ofAnother = keepsSeveralUseCases ? [try await claim(first, of: "another")] : []
    for granted in [claims[2], other] + ofAnother {
      let refused = try await store.commit([results(granted, at: 1)])
      notes.expect(refused.isEmpty, "\(granted) is granted")
    }
    return notes.wrong
  }

  private func fencing() async throws -> [String] {
    var notes = ContractNotes()
    let old = try await claim(first)
    notes.expect(try await store.commit([results(old, at: 1)]).isEmpty, "the first claim writes results")
    notes.expect(try await store.commit([checkpoint(old, at: 2)]).refused.isEmpty, "the first claim writes checkpoints")
    let new = try await claim(first)
    notes.expect(try await store.commit([results(old, at: 3)]) == [old], "results are refused")
    notes.expect(try await store.commit([checkpoint(old, at: 4)]).refused == [old], "a checkpoint is refused")
    let activation = Activation(partition: first, from: .start, kind: .configuration, version: "v")
    do {
      try await store.activate(activation, under: old, text: "t")
      notes.wrong.append("an activation is refused")
    } catch let error as Superseded { notes.expect(error.claim == old, "the refusal names its claim") }
    do {
      try await store.retract(WaitingResults(events: [.start], detectors: ["d"]), under: old)
      notes.wrong.append("a removal is refused")
    } catch is Superseded {}
    notes.expect(try await anomalies() == [anomaly(old, at: 1).id], "nothing of what was refused is there")
    notes.expect(try await store.activations(useCase: Self.useCase, partition: first).isEmpty, "nor an activation")
    let snapshot = try await store.claim(useCase: Self.useCase, partition: first).snapshot
    notes.expect(snapshot?.position.offset == 2, "nor a checkpoint")
    notes.expect(try await store.commit([results(new, at: 5)]) == [new], "the second claim is superseded by the third")
    return notes.wrong
  }

  private func mixed() async throws -> [String] {
    var notes = ContractNotes()
    let old = try await claim(first)
    let new = try await claim(first)
    let other = try await claim(second)
    let refused = try await store.commit([results(old, at: 1), results(other, at: 2), results(new, at: 3)])
    notes.expect(refused == [old], "the superseded one is refused: \(refused)")
    let ids = [anomaly(new, at: 3).id, anomaly(other, at: 2).id].sorted()
    notes.expect(try await anomalies() == ids, "the others are written")
    let outcome = try await store.commit([checkpoint(other, at: 20), checkpoint(old, at: 10)])
    notes.expect(outcome.refused == [old], "a checkpoint among others is refused")
    notes.expect(try await store.claim(useCase: Self.useCase, partition: first).snapshot == nil, "and not written")
    let snapshot = try await store.claim(useCase: Self.useCase, partition: second).snapshot
    notes.expect(snapshot?.position.offset == 20, "the other one is")
    return notes.wrong
  }

  private func snapshot() async throws -> [String] {
    var notes = ContractNotes()
    let claimed = try await store.claim(useCase: Self.useCase, partition: first)
    notes.expect(claimed.snapshot == nil, "nothing is stored of a new partition")
    for offset: Int64 in [7, 300] { _ = try await store.commit([checkpoint(claimed.claim, at: offset)]) }
    guard let snapshot = try await store.claim(useCase: Self.useCase, partition: first).snapshot else {
      return ["a checkpoint is stored"]
    }
    notes.expect(snapshot.position == Position(segment: 0, offset: 300, row: 300), "the last position")
    notes.expect(snapshot.sourceState == [1, 2] && snapshot.totals.records == 300, "what came with it")
    let state = snapshot.states["rule/x"]
    notes.expect(state?.fingerprint == "f" && state?.entries.map(\.key) == [[1]], "one entry of state")
    notes.expect(state?.entries.map(\.value) == [[UInt8(300 & 0xFF)]], "with its last value")
    notes.expect(
      try await store.claim(useCase: Self.useCase, partition: second).snapshot == nil, "of one partition only")
    return notes.wrong
  }

  private func activations() async throws -> [String] {
    var notes = ContractNotes()
    let claim = try await claim(first)
    _ = try await store.commit([results(claim, at: 1, 5, 9)])
    func position(_ offset: Int64) -> Position { Position(segment: 0, offset: offset, row: offset) }
    let log = [
      Activation(partition: first, from: position(5), kind: .configuration, version: "c"),
      Activation(partition: first, from: position(3), kind: .model, detector: "d", version: "m"),
      Activation(partition: first, from: position(8), kind: .close, version: ""),
    ]
    try await store.activate(log[0], under: claim, text: "t")
    notes.expect(try await anomalies() == [anomaly(claim, at: 1).id], "what lies at or behind it is removed")
    for activation in log[1...] { try await store.activate(activation, under: claim, text: nil) }
    notes.expect(try await store.activations(useCase: Self.useCase, partition: first) == log, "in their order")
    notes.expect(try await store.activations(useCase: Self.useCase, partition: second).isEmpty, "of one partition only")
    return notes.wrong
  }

  private func waiting() async throws -> [String] {
    var notes = ContractNotes()
    let claim = try await claim(first)
    let other = try await self.claim(second)
    _ = try await store.commit([results(claim, at: 1, 5), results(other, at: 1)])
    let event = Position(segment: 0, offset: 1, row: 1)
    try await store.retract(WaitingResults(events: [event], detectors: ["other"]), under: claim)
    let all = [anomaly(claim, at: 1).id, anomaly(claim, at: 5).id, anomaly(other, at: 1).id].sorted()
    notes.expect(try await anomalies() == all, "of other detectors they stay")
    try await store.retract(WaitingResults(events: [event], detectors: ["d"]), under: claim)
    let left = [anomaly(claim, at: 5).id, anomaly(other, at: 1).id].sorted()
    notes.expect(try await anomalies() == left, "those of this partition alone")
    return notes.wrong
  }

  private func upserts() async throws -> [String] {
    var notes = ContractNotes()
    let claim = try await claim(first)
    for _ in 0..<3 { _ = try await store.commit([results(claim, at: 1, 2), results(claim, at: 2)]) }
    notes.expect(try await anomalies() == [1, 2].map { anomaly(claim, at: $0).id }, "each is there once")
    return notes.wrong
  }
}
