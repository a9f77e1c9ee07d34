// The input of the stages: simulated query events of the use case `redset`, as the batches a file source would hand
// over, and everything a stage needs from the ones before it. The same seed gives the same bytes.

import Configuration
import Connectors
import Detection
import Foundation
import Pipeline

/// Events of `redset`, raw, decoded and derived.
public struct RedsetInput: Sendable {
  let plan: Plan
  /// The text of the use case's `pipeline.yaml`.
  let text: String
  /// Batches of `Limits.defaultBatchRows` records.
  let raw: [RawBatch]
  let decoded: [DecodedBatch]
  let staged: [StagedBatch]
  let marks: [EventTimeMarks]
  let reference: RedsetReference
  /// Batches of an input, unless another number is asked for, and their records.
  public static let defaultBatches = 16
  public static let defaultRecords = defaultBatches * Limits.defaultBatchRows

  /// Records in all batches.
  public let records: Int
  /// Fields of a record.
  public var fieldCount: Int { plan.schema.fields.count }
  /// Mean length of a record, without its line end.
  public let bytesPerRecord: Double

  /// - Parameters:
  ///   - root: the folder that holds `UseCases/`.
  ///   - batches: how many to make.
  /// - Throws: `WrongOutput` when the use case is not right or its records cannot be read.
  public init(root: String, batches: Int = defaultBatches, seed: UInt64 = 42) throws {
    let folder = root + "/UseCases/redset"
    let check = UseCaseChecker.check(path: folder + "/pipeline.yaml")
    guard let plan = check.plan else { throw WrongOutput(check.rendered) }
    let yaml = try String(contentsOfFile: folder + "/simulation.yaml", encoding: .utf8)
    let definition = try SimulationDefinition(yaml: yaml, file: folder + "/simulation.yaml")
    var simulator = Simulator(definition, seed: seed)

    var raw: [RawBatch] = []
    var reference = RedsetReference(classes: plan.useCase.classification?.classes ?? [])
    let watermark = Watermark(plan.useCase.event)
    var marks: [EventTimeMarks] = []
    var decoded: [DecodedBatch] = []
    var offset: Int64 = 0
    var length = 0
    let decoder = Decoder(schema: plan.schema)
    for _ in 0..<batches {
      let first = simulator.row
      let events = simulator.next(Limits.defaultBatchRows)
      raw.append(Self.batch(of: events, offset: offset, row: Int64(first)))
      offset += Int64(events.bytes.count)
      length += events.bytes.count - events.count
      decoded.append(decoder.decode(raw[raw.count - 1]))
      marks.append(watermark.mark(decoded[decoded.count - 1].events.eventTimes))
      let broken = events.labels.filter { $0.kind.hasPrefix("broken_") }.map { $0.row - first }
      try reference.add(events, broken: Set(broken), watermarks: marks[marks.count - 1].watermarks)
    }
    self.plan = plan
    self.raw = raw
    self.decoded = decoded
    self.marks = marks
    self.reference = reference
    text = check.source
    staged = zip(decoded, raw).map { plan.derive($0, from: $1) }
    records = batches * Limits.defaultBatchRows
    bytesPerRecord = Double(length) / Double(records)
  }

  /// What a whole run over the records must count, computed in the plainest way.
  public var expected: (classes: [String: Int], anomalies: [String: Int], deadLetters: Int) {
    let classes = zip(reference.classes, reference.classCounts).filter { $0.1 > 0 }
    return (Dictionary(uniqueKeysWithValues: classes), reference.findings, reference.deadLetters)
  }

  static func batch(of events: SimulatedEvents, offset: Int64, row: Int64) -> RawBatch {
    var positions = RecordPositions(segment: 0)
    for (index, start) in events.starts.enumerated() {
      positions.offsets.append(offset + Int64(start))
      positions.rows.append(row + Int64(index))
    }
    let bytes = events.bytes + [UInt8](repeating: 0, count: Limits.bytePadding)
    return RawBatch(
      partition: PartitionID(source: "files", number: 0), positions: positions,
      payload: .json(RecordBytes(bytes: bytes, starts: events.starts, ends: events.ends)),
      next: Position(
        segment: 0, offset: offset + Int64(events.bytes.count), row: row + Int64(events.count)))
  }
}
