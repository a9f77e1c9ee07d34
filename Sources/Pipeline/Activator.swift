// The activation log at work: before a partition's first event is scored, the version that scores it is on record.

import Detection
import Logging

/// A configuration and the name its content gives it.
public struct ConfigurationVersion: Sendable, Hashable {
  /// SHA-256 of what the configuration means, in hexadecimal.
  public let identifier: String
  /// The text it was read from, kept so that results can be read and replayed without the file.
  public let text: String

  public init(identifier: String, text: String) {
    self.identifier = identifier
    self.text = text
  }
}

/// A partition that was claimed and restored.
struct PreparedPartition {
  var processor: PartitionProcessor
  /// Where the source goes on; nil where nothing is stored.
  var point: ResumePoint?
  /// The activation log, with what was added to it.
  var log: [Activation]
  /// Of a new partition: to be put on record before its first event. One of which nothing comes leaves no trace.
  var first: Activation?
}

/// Prepares partitions: claims them, records the activation of the running version and restores the state that belongs to
/// it.
struct Activator: Sendable {
  let plan: Plan
  let version: ConfigurationVersion
  let store: any Store
  let encoder: any HistoryEncoder
  let logger: Logger

  /// Claims a partition and restores it behind its last checkpoint, with the running version on record from there on.
  /// - Throws: `OperatingError` when stored state cannot be read, `Superseded`.
  func prepare(_ partition: PartitionID) async throws -> PreparedPartition {
    let claimed = try await store.claim(useCase: plan.useCase.name, partition: partition)
    let (claim, snapshot) = (claimed.claim, claimed.snapshot)
    let position = snapshot?.position ?? .start
    let name = "\(partition.source)/\(partition.number)"
    var log = try await store.activations(useCase: plan.useCase.name, partition: partition)
    var first: Activation?
    if log.last(where: { $0.kind == .configuration })?.version != version.identifier {
      if snapshot != nil {
        logger.notice(
          """
          the use case has changed; the new one applies from here (the last checkpoint) on, and what is stored stays. \
          Run with --reset to process everything again
          """,
          metadata: ["partition": "\(name)", "version": "\(version.identifier.prefix(12))"])
      }
      let activation = Activation(
        partition: partition, from: position, kind: .configuration, version: version.identifier)
      log.append(activation)
      if snapshot == nil { first = activation } else { try await begin(activation, under: claim) }
    }
    var processor = try PartitionProcessor(plan: plan, partition: partition, epoch: claim.epoch)
    processor.ends = ComingEnds(log, from: position)
    guard let snapshot else {
      return PreparedPartition(processor: processor, point: nil, log: log, first: first)
    }
    do {
      for part in try processor.restore(snapshot, now: .now, decoding: { try encoder.decodeTail($0.bytes) }) {
        logger.notice("state of an earlier definition is left behind", metadata: ["state": "\(part)"])
      }
    } catch let error as CodingError {
      throw OperatingError(
        .store,
        "the checkpoint of \(name) cannot be read: \(error). Use the version of "
          + "pulse that wrote it, or start over with --reset")
    }
    let rules = snapshot.states.keys.filter { $0.hasPrefix(SlidingRule.statePrefix) }
    let names = rules.map { String($0.dropFirst(SlidingRule.statePrefix.count)) }.sorted()
    let waiting = WaitingResults(events: processor.waitingPositions, detectors: names)
    if !waiting.isEmpty { try await store.retract(waiting, under: claim) }
    return PreparedPartition(processor: processor, point: ResumePoint(snapshot), log: log)
  }

  /// Puts on record that the running version applies.
  func begin(_ activation: Activation, under claim: Claim) async throws {
    try await store.activate(activation, under: claim, text: version.text)
  }

  /// Puts breaks in the input that were accepted on record, before anything behind them is processed.
  func record(_ gaps: [InputGap], under claim: Claim, from position: Position) async throws {
    for gap in gaps {
      try await store.activate(
        Activation(partition: claim.partition, from: position, kind: .gap, version: gap.description), under: claim,
        text: nil)
      logger.warning("a gap of the input was accepted, and is on record: \(gap.description)")
    }
  }

  /// The end of a partition's input. What an earlier run put on record there is done again.
  /// - Parameter closing: whether the end is to be put on record.
  /// - Returns: what is to be committed; nil where the input may go on.
  func end(_ processor: inout PartitionProcessor, closing: Bool) async throws -> Results? {
    guard !processor.ends.pass(processor.position) else { return try processor.close() }
    guard closing, processor.totals.events > 0 else { return nil }
    try await store.activate(
      Activation(partition: processor.partition, from: processor.position, kind: .close, version: ""),
      under: processor.claim, text: nil)
    return try processor.close()
  }
}
