// Files to a topic: as they were written, at the pace of their events or as fast as the broker takes them.

public import Connectors
public import Detection
import Foundation
public import Pipeline
import Synchronization

/// Sends what files have to a topic. On a thread of its own: the producer waits while the broker is slower than the files.
public actor ReplayOperation {
  /// What is sent, and how.
  public struct Options: Sendable {
    /// Seconds of event time in a second; 0 is as fast as possible.
    public var speedup = 0.0
    /// Where the time of an event lies; nil where nothing is paced.
    public var time: Field?
    /// The field by whose value events are kept together.
    public var key: Field?
    /// Records to send at most; nil for all.
    public var limit: Int?
    /// A file that says how far an earlier replay came, and is kept up to date; nil for none.
    public var state: String?

    public init() {}
  }

  private let thread = DedicatedThread(name: "pulse-replay")
  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let source: any Source
  private let producer: KafkaProducer
  private let options: Options
  private let sent = Mutex(0)

  /// - Parameter source: files, as one partition.
  public init(_ source: any Source, to producer: KafkaProducer, options: Options) {
    self.source = source
    self.producer = producer
    self.options = options
  }

  /// Records that were handed to the client so far.
  public nonisolated var count: Int { sent.withLock { $0 } }

  /// Ends it early, in order: what was handed over is delivered.
  public nonisolated func stop() { source.stop() }

  /// Sends until the files or the limit are at their end, or it is stopped.
  /// - Throws: `OperatingError` where files cannot be read or records are not taken.
  public func run() async throws {
    try producer.check()
    let point = try options.state.flatMap { try ReplayState.read($0) }
    let events = KeyedEvents(time: options.speedup > 0 ? options.time : nil, key: options.key)
    var pace = EventPace(speedup: options.speedup)
    var kept = ReplayState(point)
    var lastSave = ContinuousClock.now
    loop: while true {
      switch try await source.next() {
      case .assigned(let partition): _ = try await source.resume(partition, at: point)
      case .batch(let raw):
        let rest = options.limit.map { $0 - count } ?? .max
        let batch = rest < raw.count ? raw.split(at: raw.positions[rest])?.before ?? raw : raw
        try await send(batch, events, &pace)
        kept.pass(batch.next, source, batch.partition)
        if let path = options.state, .now - lastSave >= .seconds(1) {
          try producer.finish()
          try kept.write(to: path)
          lastSave = .now
        }
        if let limit = options.limit, count >= limit { break loop }
      case .revoked(let partition), .lost(let partition): await source.release(partition)
      case .idle: continue
      case .end: break loop
      }
    }
    try producer.finish()
    if let path = options.state { try kept.write(to: path) }
  }

  private func send(_ raw: RawBatch, _ events: KeyedEvents, _ pace: inout EventPace) async throws {
    let keyed = events.read(raw)
    let (times, keys) = (keyed.times, keyed.keys)
    let values = raw.recordBytes
    guard options.speedup > 0 else {
      try producer.write(values, keys: keys)
      sent.withLock { $0 += values.count }
      return
    }
    var start = 0
    for (record, time) in times.enumerated() {
      guard let due = time.flatMap({ pace.due($0) }), due > .now else { continue }
      try write(values, keys, start..<record)
      start = record
      try await Task.sleep(until: due, clock: .continuous)
    }
    try write(values, keys, start..<values.count)
  }

  private func write(_ values: RecordBytes, _ keys: RecordKeys?, _ records: Range<Int>) throws {
    if records.isEmpty { return }
    try producer.write(values.part(records), keys: keys?.part(records))
    sent.withLock { $0 += records.count }
  }
}

/// How far a replay has come.
private struct ReplayState {
  private var position: Position?
  private var sourceState: [UInt8] = []
  private var entries: [[UInt8]: [UInt8]] = [:]

  /// The form of the file.
  private static let version: UInt8 = 1

  init(_ point: ResumePoint?) {
    position = point?.position
    sourceState = point?.sourceState ?? []
    entries = point?.stateEntries ?? [:]
  }

  mutating func pass(_ next: Position, _ source: any Source, _ partition: PartitionID) {
    position = next
    sourceState = source.checkpointState(of: partition, at: next)
    let changes = source.takeStateChanges(of: partition, at: next)
    for key in changes.deletes { entries[key] = nil }
    for entry in changes.puts { entries[entry.key] = entry.value }
  }

  /// In place of the old file, or not at all.
  func write(to path: String) throws {
    guard let position else { return }
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(unsigned: UInt64(position.segment))
    writer.write(signed: position.offset)
    writer.write(signed: position.row)
    writer.write(blob: sourceState)
    writer.write(unsigned: UInt64(entries.count))
    for (key, value) in entries.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      writer.write(blob: key)
      writer.write(blob: value)
    }
    do { try Data(writer.bytes).write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
      throw OperatingError(.store, "the state of the replay cannot be kept in \(path): \(error.localizedDescription)")
    }
  }

  /// - Returns: nil where there is no file.
  static func read(_ path: String) throws -> ResumePoint? {
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    do {
      var reader = ByteReader([UInt8](data))
      guard try reader.readByte() == version else { throw CodingError("it is of another version") }
      let position = Position(
        segment: UInt32(try reader.readCount(upTo: Int(UInt32.max))), offset: try reader.readSigned(),
        row: try reader.readSigned())
      let state = try reader.readBlob()
      var entries: [[UInt8]: [UInt8]] = [:]
      for _ in 0..<(try reader.readCount(upTo: data.count)) {
        let key = try reader.readBlob()
        entries[key] = try reader.readBlob()
      }
      return ResumePoint(position: position, sourceState: state, stateEntries: entries)
    } catch let error as CodingError {
      throw OperatingError(
        .input, "\(path) is no state of a replay: \(error). Name another --state, or begin anew with --reset")
    }
  }
}
