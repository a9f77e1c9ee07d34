// Standard input as a source: NDJSON or CSV from a pipe, a terminal or a redirected file. What was read cannot be read
// again, so without a name of its own a run starts a new source; with one, the same input must be given again, and what
// was committed of it is passed over after its hash was checked.

import Crypto
public import Detection
import Foundation
public import Pipeline
import Synchronization

/// One input that is read once, as partition 0 and segment 0. Offsets are bytes from its beginning, rows are lines.
public final class StandardInputSource: Source {
  public let name: String
  private let isResumable: Bool
  private let stopSignal: Result<StopSignal, OperatingError>
  private let hashes = SharedHashes()
  private let worker: StandardInputWorker
  private let partitions: OwnPartitions
  private let waiting = WaitingMark()

  /// - Parameters:
  ///   - name: of the source in identities of results; a new one for each run unless `isResumable`.
  ///   - isResumable: whether a later run under this name is given the same input again.
  ///   - format: NDJSON unless said otherwise; columnar formats cannot be read from a stream.
  ///   - delimiter: of CSV; a comma unless said otherwise.
  ///   - requiredColumns: what the header of CSV must name, or the input is refused before its first record.
  ///   - idleTimeout: how long nothing may come before the source ends; nil waits for ever.
  ///   - batchAge: how long the first record of a batch waits for others.
  ///   - descriptor: what is read; not closed.
  public init(
    name: String, isResumable: Bool, format: FileFormat? = nil, delimiter: CSVDelimiter? = nil,
    requiredColumns: [String] = [], idleTimeout: Duration? = nil,
    batchRows: Int = Limits.defaultBatchRows, maxEventBytes: Int = Limits.maxEventBytes,
    batchAge: Duration = .milliseconds(5), descriptor: Int32 = 0
  ) {
    precondition((1...Limits.maxBatchRows).contains(batchRows), "a batch has 1 to \(Limits.maxBatchRows) rows")
    precondition(maxEventBytes > 0, "an event has at least one byte")
    self.name = name
    partitions = OwnPartitions([PartitionID(source: name, number: 0)])
    self.isResumable = isResumable
    stopSignal = Result { () throws(OperatingError) in try StopSignal() }
    worker = StandardInputWorker(
      options: ReadOptions(
        partition: PartitionID(source: name, number: 0), batchRows: batchRows, maxEventBytes: maxEventBytes,
        delimiter: delimiter, columns: [], required: RequiredColumns(names: requiredColumns)),
      format: format, idleTimeout: idleTimeout, batchAge: batchAge, descriptor: descriptor,
      hashes: isResumable ? hashes : nil, waiting: waiting)
  }

  public func check() async throws {
    if isResumable { try SourceName.check(name) }
    try worker.checkFormat()
  }

  public func next() async throws -> SourceEvent {
    if let event = await partitions.next() { return event }
    return try await worker.next()
  }

  public func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    try await check()
    if point != nil && !isResumable {
      throw OperatingError(
        .input, "the source \(name) was read before and has no name to resume by. Give it one with --source-name")
    }
    try await worker.open(resumingAt: point, stop: try stopSignal.get())
    partitions.resume(partition)
    return []
  }

  public func release(_ partition: PartitionID) async { partitions.release(partition) }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] {
    hashes.value.withLock { $0.encoded }
  }

  public func acknowledge(_ partition: PartitionID, upTo position: Position) async throws {
    hashes.value.withLock { $0.acknowledge(upTo: position.offset) }
  }

  /// Where nothing has come for a while: whether a pipe has more to give nobody knows.
  public var waitsForMore: Bool { waiting.isSet }

  public func stop() {
    try? stopSignal.get().set()
    partitions.stop()
  }
}

/// The hashes, written by the worker and read when a checkpoint is taken.
final class SharedHashes: Sendable {
  let value = Mutex(PrefixHashes())
}

/// Reads the descriptor on a thread of its own: waiting for it blocks.
actor StandardInputWorker {
  private let thread = DedicatedThread(name: "pulse-stdin")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let options: ReadOptions
  private let format: FileFormat?
  private let idleTimeout: Duration?
  private let batchAge: Duration
  private let descriptor: Int32
  /// Nil where no run will resume: then nothing is hashed.
  private let hashes: SharedHashes?
  private let waiting: WaitingMark
  /// How long nothing comes before it is said that nothing is there.
  static let quiet = Duration.seconds(1)
  private var stop: StopSignal?
  private var cutter: RecordCutter?
  /// The SHA-256 of everything that was cut.
  private var hasher = SHA256()
  private var hashed: Int64 = 0
  /// Bytes of the unfinished record, not hashed yet: a batch cannot end within it.
  private var unhashed: [UInt8] = []
  private var isAtEnd = false
  private var lastData = ContinuousClock.now
  /// When the last batch was handed over; nil before the first one.
  private var lastHandedOver: ContinuousClock.Instant?
  /// When the first record of the open batch was cut.
  private var batchStart: ContinuousClock.Instant?

  init(
    options: ReadOptions, format: FileFormat?, idleTimeout: Duration?, batchAge: Duration, descriptor: Int32,
    hashes: SharedHashes?, waiting: WaitingMark
  ) {
    self.options = options
    self.format = format
    self.idleTimeout = idleTimeout
    self.batchAge = batchAge
    self.descriptor = descriptor
    self.hashes = hashes
    self.waiting = waiting
  }

  nonisolated func checkFormat() throws(OperatingError) {
    guard let format, format.isColumnar else { return }
    throw OperatingError(
      .configuration,
      "\(format.title) cannot be read from standard input, expected NDJSON or CSV. Name the file instead")
  }

  func open(resumingAt point: ResumePoint?, stop: StopSignal) throws(OperatingError) {
    self.stop = stop
    var cutting = RecordCutter.Options(
      partition: options.partition, segment: 0, path: "standard input", isCSV: format == .csv,
      batchRows: options.batchRows, maxEventBytes: options.maxEventBytes, delimiter: options.delimiter ?? .comma,
      required: options.required)
    var isInLine = false
    if let point {
      let known = try PrefixHashes(decoding: point.sourceState)
      var header: RecordCutter?
      if format == .csv { header = RecordCutter(cutting, offset: 0, row: 0, isInLine: false) }
      guard let last = try pass(point.position.offset, known, header, stop) else { return }
      isInLine = point.position.offset > 0 && last != 0x0A
      cutting.header = header?.header
    }
    let position = point?.position ?? .start
    cutter = RecordCutter(cutting, offset: position.offset, row: position.row, isInLine: isInLine)
    remember()
    lastData = .now
  }

  func next() throws(OperatingError) -> SourceEvent {
    guard let stop else { preconditionFailure("a source is opened before it is read") }
    guard let cutter else { return .end }
    // While nobody asks nothing can come: that the pipeline took its time is not for a source to end by.
    if let lastHandedOver { lastData += ContinuousClock.now - lastHandedOver }
    defer {
      lastHandedOver = .now
      waiting.clear()
    }
    while true {
      // What is in the window cannot be read again: its complete records are handed over before the end.
      if stop.isSet { return try takeRest(cutter) }
      let isFull = try cutter.cut(isFinal: isAtEnd)
      hash(upTo: cutter.next.offset)
      if isFull || isAtEnd { return take(cutter) }
      if cutter.hasRecords && batchStart == nil { batchStart = .now }
      let age = batchStart.map { batchAge - (ContinuousClock.now - $0) }
      let passed = ContinuousClock.now - lastData
      let idle = idleTimeout.map { $0 - passed }
      let quiet = waiting.isSet ? nil : Self.quiet - passed
      switch stop.wait(for: descriptor, timeout: [age, idle, quiet].compactMap { $0 }.min()) {
      case .stopped: continue
      case .timeout:
        if cutter.hasRecords { return take(cutter) }
        if let idleTimeout, ContinuousClock.now - lastData >= idleTimeout { return .end }
        waiting.set()
      case .ready:
        waiting.clear()
        try fill(cutter)
      }
    }
  }

  /// The next batch of what was read, without reading more; the end behind the last complete record.
  private func takeRest(_ cutter: RecordCutter) throws(OperatingError) -> SourceEvent {
    _ = try cutter.cut(isFinal: isAtEnd)
    hash(upTo: cutter.next.offset)
    return take(cutter)
  }

  private func take(_ cutter: RecordCutter) -> SourceEvent {
    batchStart = nil
    guard let batch = cutter.takeBatch() else { return .end }
    remember()
    return .batch(batch)
  }

  /// Hashes what was cut: a batch taken now ends there. Oversized records go by like the others, without being held.
  private func hash(upTo offset: Int64) {
    guard hashes != nil, offset > hashed else { return }
    let count = Int(offset - hashed)
    // SAFETY: lent for the call; the slice of the array checks that `count` bytes are there.
    unhashed[..<count].withUnsafeBytes { hasher.update(bufferPointer: $0) }
    unhashed.removeFirst(count)
    hashed = offset
  }

  private func remember() {
    guard let hashes else { return }
    let copy = hasher
    let digest = Array(copy.finalize())
    hashes.value.withLock { $0.append(length: hashed, sha256: digest) }
  }

  private func fill(_ cutter: RecordCutter) throws(OperatingError) {
    let offset = cutter.readOffset
    let isFirst = offset == 0
    var beginning: [UInt8] = []
    let count = try cutter.fill { space throws(OperatingError) in
      let count = try read(space, at: offset)
      // SAFETY: `read` has written `count` bytes, at most as many as there was room for; they are copied here.
      let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(space)[..<count])
      if hashes != nil { unhashed.append(contentsOf: bytes) }
      if isFirst { beginning = Array(bytes.prefix(16)) }
      return count
    }
    if isFirst && count > 0 { try checkFormat(beginning) }
    isAtEnd = count == 0
    if count > 0 { lastData = .now }
  }

  private func checkFormat(_ beginning: [UInt8]) throws(OperatingError) {
    let found = try FileFormat.detect(beginning, name: FileFormat.streamName, expected: format)
    if found.isColumnar {
      throw OperatingError(
        .input, "standard input is \(found.title), expected NDJSON or CSV. Name the file instead: --source FILE")
    }
  }

  private func read(_ space: UnsafeMutableRawBufferPointer, at offset: Int64) throws(OperatingError) -> Int {
    // SAFETY: the kernel writes at most `space.count` bytes.
    while true {
      let count = Foundation.read(descriptor, space.baseAddress, space.count)
      if count >= 0 { return count }
      let code = errno
      if code == EAGAIN || code == EWOULDBLOCK {
        // Another reader of the same pipe was faster; there is more to come.
        guard let stop, stop.wait(for: descriptor, timeout: nil) == .ready else { return 0 }
      } else if code != EINTR {
        throw OperatingError(
          .input, "standard input cannot be read at byte \(offset): \(StopSignal.reason(code)). Expected an open input")
      }
    }
  }

  // MARK: - Resuming

  /// Reads past what was committed, checking that it is the same. Returns the last byte of it; nil when stopped.
  private func pass(
    _ length: Int64, _ known: PrefixHashes, _ header: RecordCutter?, _ stop: StopSignal
  ) throws(OperatingError) -> UInt8? {
    let expected = known.entry(upTo: length)
    // SAFETY: owned by this call and freed when it ends; what is used of it is hashed or copied before.
    let space = UnsafeMutableRawBufferPointer.allocate(byteCount: ByteWindow.readBytes, alignment: 64)
    defer { space.deallocate() }
    var last: UInt8 = 0x0A
    while hashed < length {
      if let expected, expected.length == hashed { try check(expected) }
      guard stop.wait(for: descriptor, timeout: nil) == .ready else { return nil }
      let bound = expected.map { $0.length > hashed ? $0.length : length } ?? length
      // SAFETY: the range is not negative, as `bound` exceeds `hashed`, and ends within the space.
      let room = UnsafeMutableRawBufferPointer(rebasing: space[..<Int(min(bound - hashed, Int64(space.count)))])
      let count = try read(room, at: hashed)
      guard count > 0 else {
        if stop.isSet { return nil }
        throw OperatingError(
          .input,
          "standard input ends at byte \(hashed), but \(length) bytes of it were read before. Expected the same input "
            + "again; give another --source-name for a new one, or start over with --reset")
      }
      // SAFETY: the `count` bytes that were just read, at least one and at most `room.count`.
      let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<count])
      hasher.update(bufferPointer: bytes)
      hashed += Int64(count)
      last = bytes[count - 1]
      if let header, header.header == nil {
        _ = header.fill { space in
          // SAFETY: a window always has room for `ByteWindow.readBytes`, which is all that `bytes` can be.
          space.copyMemory(from: bytes)
          return count
        }
        _ = try header.cut(isFinal: hashed == length)
      }
    }
    if let expected, expected.length == hashed { try check(expected) }
    return last
  }

  private func check(_ expected: PrefixHashes.Entry) throws(OperatingError) {
    let copy = hasher
    guard Array(copy.finalize()) != expected.sha256 else { return }
    throw OperatingError(
      .input,
      "the first \(expected.length) bytes of standard input are not those that were read before under this name. "
        + "Expected the same input again; give another --source-name for a new one, or start over with --reset")
  }
}
