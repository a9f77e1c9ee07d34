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

/// Prepares partitions: records the activation of the running version and restores the state that belongs to it.
struct Activator: Sendable {
  let plan: Plan
  let version: ConfigurationVersion
  let store: any Store
  let encoder: any HistoryEncoder
  let logger: Logger

  /// Puts breaks in the input that were accepted on record, before anything behind them is read.
  func record(_ gaps: [InputGap], from positions: [PartitionID: Position]) async throws {
    for gap in gaps {
      try await store.activate(
        Activation(
          partition: gap.partition, from: positions[gap.partition] ?? .start, kind: .gap, version: gap.description),
        useCase: plan.useCase.name, text: nil)
      logger.warning("a gap of the input was accepted, and is on record: \(gap.description)")
    }
  }

  /// The partition's processor behind its last checkpoint, with the running version on record from there on.
  /// - Throws: `OperatingError` when stored state cannot be read.
  func prepare(_ partition: PartitionID, _ snapshot: PartitionSnapshot?) async throws -> PartitionProcessor {
    let name = "\(partition.source)/\(partition.number)"
    let log = try await store.activations(useCase: plan.useCase.name, partition: partition)
    if log.last(where: { $0.kind == .configuration })?.version != version.identifier {
      if snapshot != nil {
        logger.notice(
          """
          the use case has changed; the new one applies from here (the last checkpoint) on, and what is stored stays. \
          Run with --reset to process everything again
          """,
          metadata: ["partition": "\(name)", "version": "\(version.identifier.prefix(12))"])
      }
      try await store.activate(
        Activation(
          partition: partition, from: snapshot?.position ?? .start, kind: .configuration, version: version.identifier),
        useCase: plan.useCase.name, text: version.text)
    }
    var processor = try PartitionProcessor(plan: plan, partition: partition)
    processor.ends = ComingEnds(log, from: snapshot?.position ?? .start)
    guard let snapshot else {
      try await discardResults(partition, from: .start, waiting: WaitingResults())
      return processor
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
    try await discardResults(partition, from: snapshot.position, waiting: waiting)
    return processor
  }

  /// What a killed run had committed behind its last checkpoint is found again, if it is still in the input.
  private func discardResults(
    _ partition: PartitionID, from position: Position, waiting: WaitingResults
  ) async throws {
    try await store.discardResults(
      useCase: plan.useCase.name, partition: partition, from: position, waiting: waiting)
  }

  /// The end of a partition's input. What an earlier run put on record there is done again.
  /// - Parameter closing: whether the end is to be put on record.
  /// - Returns: what is to be committed; nil where the input may go on.
  func end(_ processor: inout PartitionProcessor, closing: Bool) async throws -> Results? {
    guard !processor.ends.pass(processor.position) else { return try processor.close() }
    guard closing, processor.totals.events > 0 else { return nil }
    try await store.activate(
      Activation(partition: processor.partition, from: processor.position, kind: .close, version: ""),
      useCase: plan.useCase.name, text: nil)
    return try processor.close()
  }
}
