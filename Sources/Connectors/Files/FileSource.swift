// Files as a source. All files are one partition, in the order given; a segment is the ordinal of a file. A run resumes
// in the middle of a file; with `follow`, the last file is read on as it grows and is rotated.

import DequeModule
public import Detection
import Foundation
public import Pipeline
import Synchronization

/// NDJSON, CSV, Parquet and Arrow files, one after another, as partition 0.
///
/// Positions: `segment` is the ordinal of the file; `offset` the first byte of the record (columnar files: its row);
/// `row` the line from 0, blank lines and the header counted (columnar files: the row).
///
/// The list may be extended at its end between runs, and the last file may have grown; whatever else has changed is
/// refused. A file is known again by path, device and inode, and the hashes of its first 4096 bytes and of the last 4096
/// before the place it was read to (of a columnar file: its last ones).
public final class FileSource: Source {
  public let name: String
  private let stopSignal: Result<StopSignal, OperatingError>
  private let manifest: SharedManifest
  private let worker: FileWorker

  /// - Parameters:
  ///   - paths: files and glob patterns, in order; the matches of a pattern are sorted by the bytes of their names.
  ///   - format: of all files; nil tells each by its content, then by its extension (`.csv`, `.tsv`), else NDJSON.
  ///   - delimiter: of CSV files; nil is a tab where a name ends in `.tsv`, else a comma.
  ///   - follow: whether to wait for more at the end of the last file.
  ///   - idleTimeout: when following, how long nothing may come before the source ends; nil waits for ever.
  ///   - batchRows: records in a batch, 1 to `Limits.maxBatchRows`.
  ///   - maxEventBytes: larger records of text files become dead letters.
  ///   - columns: the columns of columnar files that are of interest, by their dotted paths, with the types they are
  ///     used as; empty reads all.
  ///   - requiredColumns: dotted paths without which a CSV or columnar file is refused before anything is read.
  ///   - readsOtherColumns: whether those that are not of interest are handed over too, so that they can be refused.
  ///   - rotationGrace: how long a rotated file must be quiet, once there is something in the new one, before it is left:
  ///     its writer may still have it open.
  public init(
    name: String = "files", paths: [String], format: FileFormat? = nil, delimiter: CSVDelimiter? = nil,
    follow: Bool = false, idleTimeout: Duration? = nil, batchRows: Int = Limits.defaultBatchRows,
    maxEventBytes: Int = Limits.maxEventBytes,
    columns: [(name: String, type: FieldType)] = [], requiredColumns: [String] = [], readsOtherColumns: Bool = false,
    rotationGrace: Duration = .milliseconds(250)
  ) {
    precondition((1...Limits.maxBatchRows).contains(batchRows), "a batch has 1 to \(Limits.maxBatchRows) rows")
    precondition(maxEventBytes > 0, "an event has at least one byte")
    self.name = name
    let options = ReadOptions(
      partition: PartitionID(source: name, number: 0), batchRows: batchRows, maxEventBytes: maxEventBytes,
      delimiter: delimiter, columns: columns.map { ColumnarFileReader.Request($0.name, as: $0.type) },
      readsOtherColumns: readsOtherColumns, required: RequiredColumns(names: requiredColumns))
    let manifest = SharedManifest()
    self.manifest = manifest
    stopSignal = Result { () throws(OperatingError) in try StopSignal() }
    worker = FileWorker(
      patterns: paths, format: format, follows: follow, idleTimeout: idleTimeout, rotationGrace: rotationGrace,
      options: options, manifest: manifest)
  }

  public func check() async throws { try await worker.check() }

  public func open(resumingAt points: [PartitionID: ResumePoint]) async throws {
    try await worker.open(resumingAt: points[PartitionID(source: name, number: 0)], stop: try stopSignal.get())
  }

  public func next() async throws -> SourceOutput { try await worker.next() }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { FileManifest.state }

  public func takeStateChanges(of partition: PartitionID, at position: Position) -> StateChanges {
    manifest.takeChanges(at: position)
  }

  public func acknowledge(_ partition: PartitionID, upTo position: Position) async throws {
    manifest.acknowledge(upTo: position)
  }

  public func stop() { try? stopSignal.get().set() }
}

/// The manifest and where batches ended, written by the worker and read when a checkpoint is taken.
final class SharedManifest: Sendable {
  private struct State: Sendable {
    var manifest = FileManifest()
    /// The entries that the store has.
    var stored: [FileManifest.Entry] = []
    /// The ends of the last batches, ascending: the reader is ahead of the checkpoint by those in flight.
    var endings: Deque<(position: Position, ending: FileEnding)> = []
  }

  /// The batches in flight of several hundred workers; should it ever not suffice, a checkpoint goes without.
  private static let capacity = 1024

  private let state = Mutex(State())

  func publish(_ manifest: FileManifest) { state.withLock { $0.manifest = manifest } }

  func append(_ ending: FileEnding, at position: Position) {
    state.withLock {
      $0.endings.append((position, ending))
      if $0.endings.count > Self.capacity { $0.endings.removeFirst() }
    }
  }

  /// Forgets what lies before `position`, to which everything is durable.
  func acknowledge(upTo position: Position) {
    state.withLock { state in
      while let first = state.endings.first, first.position < position { state.endings.removeFirst() }
    }
  }

  /// What the store has from the last checkpoint.
  func resume(_ stored: [FileManifest.Entry]) { state.withLock { $0.stored = stored } }

  /// What a checkpoint at `position` changes in the store.
  func takeChanges(at position: Position) -> StateChanges {
    state.withLock { state in
      let ending = state.endings.first { $0.position == position }?.ending
      let manifest = state.manifest.at(position, ending: ending)
      defer { state.stored = manifest.entries }
      return manifest.changes(since: state.stored)
    }
  }
}

/// Reads the files on a thread of its own: reads of a file block.
actor FileWorker {
  private let thread = DedicatedThread(name: "pulse-files")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let patterns: [String]
  private let format: FileFormat?
  private let follows: Bool
  private let idleTimeout: Duration?
  private let rotationGrace: Duration
  private let options: ReadOptions
  private let locator: FileLocator
  private let shared: SharedManifest
  private var manifest = FileManifest()
  private var stop: StopSignal?
  /// Where the segment that is read next begins.
  private var position = Position.start
  private var file: OpenFile?
  private var reader: (any SegmentReader)?
  private var lastData = ContinuousClock.now

  init(
    patterns: [String], format: FileFormat?, follows: Bool, idleTimeout: Duration?, rotationGrace: Duration,
    options: ReadOptions, manifest: SharedManifest
  ) {
    self.patterns = patterns
    self.format = format
    self.follows = follows
    self.idleTimeout = idleTimeout
    self.rotationGrace = rotationGrace
    self.options = options
    locator = FileLocator(follows: follows)
    shared = manifest
  }

  func check() throws(OperatingError) {
    var manifest = FileManifest()
    try FileLocator.extend(&manifest, to: try FileList.expand(patterns))
    try locator.check(manifest, from: .start, options, format)
  }

  func open(resumingAt point: ResumePoint?, stop: StopSignal) throws(OperatingError) {
    self.stop = stop
    let paths = try FileList.expand(patterns)
    if let point {
      manifest = try FileManifest(decoding: point.sourceState, point.stateEntries)
      if !point.stateEntries.isEmpty { shared.resume(manifest.entries) }
      position = point.position
      guard Int(position.segment) < manifest.entries.count else {
        throw OperatingError(
          .input,
          "the stored position is in file \(position.segment + 1) of \(manifest.entries.count). \(FileLocator.remedy)")
      }
    }
    try FileLocator.extend(&manifest, to: paths)
    try locator.check(manifest, from: position, options, format)
    publish()
    lastData = .now
  }

  func next() throws(OperatingError) -> SourceOutput {
    guard let stop else { preconditionFailure("a source is opened before it is read") }
    while !stop.isSet {
      guard Int(position.segment) < manifest.entries.count else { return .end }
      if reader == nil { reader = try openSegment(stop) }
      guard let reader else { return .end }
      if let batch = try reader.next(isFinal: !isTail, stop: stop) {
        lastData = .now
        if isTail { try checkUnchanged(reader) }
        try extendBeginning(reader)
        try noteEnding(at: batch.next)
        return .batch(batch)
      }
      if stop.isSet { break }
      if !isTail {
        try finishSegment(reader)
      } else if try !waitForMore(reader, stop) {
        break
      }
    }
    return .end
  }

  private var segment: Int { Int(position.segment) }

  /// Whether the file that is read is the one that is followed.
  private var isTail: Bool { follows && segment == manifest.entries.count - 1 }

  private func publish() { shared.publish(manifest) }

  /// Notes where a batch of a text file ends, so that a checkpoint there can tell this file from another.
  private func noteEnding(at position: Position) throws(OperatingError) {
    guard let file, let opened = manifest.entries[segment].opened, !opened.format.isColumnar else { return }
    shared.append(try file.ending(at: position.offset), at: position)
  }

  // MARK: - Segments

  /// Opens the file at `position`; nil if it was waited for in vain.
  private func openSegment(_ stop: StopSignal) throws(OperatingError) -> (any SegmentReader)? {
    let entry = manifest.entries[segment]
    if entry.isRotation && entry.opened == nil {
      // Only a file that was followed is missing here: its successor is about to be created.
      while try FileStatus.of(entry.path) == nil {
        if try !pause(stop, isFollowing: true) { return nil }
      }
    }
    let file = try locator.open(manifest, segment, readTo: position.offset)
    if entry.opened == nil { manifest.entries[segment].opened = try describe(file, entry.path) }
    if manifest.entries[segment].opened?.format.isColumnar == true, entry.ending == nil {
      manifest.entries[segment].ending = try file.ending(at: file.status().size)
    }
    publish()
    self.file = file
    // What is resumed may be checkpointed again before anything is read.
    if position.offset > 0 { try noteEnding(at: position) }
    let opened: any SegmentReader
    switch manifest.entries[segment].opened?.format ?? .ndjson {
    case .parquet, .arrow:
      opened = try ColumnarSegmentReader(openedAt: file.path, path: entry.path, from: position, options)
    case let text:
      opened = try TextSegmentReader(file, path: entry.path, isCSV: text == .csv, from: position, options)
    }
    return opened
  }

  private func describe(_ file: OpenFile, _ path: String) throws(OperatingError) -> FileManifest.Opened {
    FileManifest.Opened(
      identity: file.identity, beginning: try file.beginning(),
      format: try FileLocator.format(of: file, name: path, expected: format))
  }

  /// A file that was short when it was opened becomes known by more of its beginning.
  private func extendBeginning(_ reader: any SegmentReader) throws(OperatingError) {
    guard let opened = manifest.entries[segment].opened, opened.beginning.length < FileBeginning.maxLength,
      reader.readOffset > Int64(opened.beginning.length), let file
    else { return }
    let limit = Int(min(reader.readOffset, Int64(FileBeginning.maxLength)))
    manifest.entries[segment].opened?.beginning = try file.beginning(upTo: limit)
    publish()
  }

  private func finishSegment(_ reader: any SegmentReader) throws(OperatingError) {
    let isColumnar = manifest.entries[segment].opened?.format.isColumnar ?? false
    manifest.entries[segment].finalSize = isColumnar ? try file?.status().size : reader.readOffset
    if !isColumnar { manifest.entries[segment].ending = try file?.ending(at: reader.readOffset) }
    publish()
    file = nil
    self.reader = nil
    position = Position(segment: position.segment + 1, offset: 0, row: 0)
  }

  // MARK: - Following

  /// Waits at the end of the followed file until there is more to read, here or in the file that took its place; false
  /// when the source ends.
  private func waitForMore(_ reader: any SegmentReader, _ stop: StopSignal) throws(OperatingError) -> Bool {
    guard let file else { preconditionFailure("a segment that is read is open") }
    let path = manifest.entries[segment].path
    var rotationSeen: ContinuousClock.Instant?
    while true {
      let size = try checkUnchanged(reader)
      if size > reader.readOffset {
        lastData = .now
        return true
      }
      if let successor = try FileStatus.of(path), successor.identity != file.identity, successor.size > 0 {
        let since = rotationSeen ?? .now
        rotationSeen = since
        if ContinuousClock.now - max(since, lastData) >= rotationGrace {
          try follow(from: file, to: path)
          return true
        }
      }
      if try !pause(stop, isFollowing: rotationSeen == nil) { return false }
    }
  }

  /// Refuses a followed file that became shorter, or did and has grown beyond its old end since the last look; returns
  /// its size. Called after bytes were read and before they are handed over.
  @discardableResult
  private func checkUnchanged(_ reader: any SegmentReader) throws(OperatingError) -> Int64 {
    guard let file, let known = manifest.entries[segment].opened?.beginning else {
      preconditionFailure("a segment that is read is open")
    }
    let size = try file.status().size
    if size < reader.readOffset { throw FileLocator.shrunk(file.path, from: reader.readOffset, to: size) }
    guard try file.begins(with: known) else {
      throw FileLocator.overwritten(file.path)
    }
    return size
  }

  /// Appends the file that is now at the path, and those that were there in between. The old one is not the last any
  /// more: it is read to its end and left.
  private func follow(from old: OpenFile, to path: String) throws(OperatingError) {
    guard let newest = try? OpenFile(path) else { return }
    for file in try locator.between(old, newest.identity, path: path, manifest) + [newest] {
      var opened = try describe(file, path)
      // A file may be too short yet to tell.
      opened.format = manifest.entries[segment].opened?.format ?? opened.format
      manifest.entries.append(FileManifest.Entry(path: path, isRotation: true, opened: opened))
    }
    publish()
    lastData = .now
  }

  /// Lets a little time pass: less of it while data is coming. False when the source ends.
  private func pause(_ stop: StopSignal, isFollowing: Bool) throws(OperatingError) -> Bool {
    let quiet = ContinuousClock.now - lastData
    if isFollowing, let idleTimeout, quiet >= idleTimeout { return false }
    var time = quiet < .seconds(1) ? Duration.milliseconds(5) : .milliseconds(50)
    if let idleTimeout, isFollowing { time = min(time, idleTimeout - quiet) }
    return stop.wait(timeout: time) != .stopped
  }
}
