// Files as a source. All files of a source are one partition, one after another; a segment is the ordinal of a file. A run resumes in
// the middle of a file; with `follow`, the last file is read on as it grows and is rotated, and files that appear are read.

import DequeModule
public import Detection
import Foundation
public import Pipeline
import Synchronization

/// NDJSON, CSV, Parquet and Arrow files, one after another, as one partition.
///
/// Positions: `segment` is the ordinal of the file; `offset` the first byte of the record (columnar files: its row);
/// `row` the line from 0, blank lines and the header counted (columnar files: the row).
///
/// Between runs the list may name other files: those that are new are read behind the others, and the last file may have
/// grown. What was read in part and cannot be read on is refused, or accepted on purpose. A file is known again by what it
/// holds: the hashes of its first 4096 bytes and of the last 4096 before the place it was read to (of a columnar file: its
/// last ones), whatever it is called and whether or not it is compressed.
public final class FileSource: Source {
  public let name: String
  private let stopSignal: Result<StopSignal, OperatingError>
  private let manifest: SharedManifest
  private let worker: FileWorker
  private let partitions: OwnPartitions
  private let waiting = WaitingMark()

  /// - Parameters:
  ///   - number: of the partition.
  ///   - paths: files and glob patterns, in order.
  ///   - order: of the matches of a pattern; by time of all files together.
  ///   - eventTimes: what reads event times: for the order by time, and to say where files go back in time.
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
  ///   - acceptsGaps: whether to go on where something that was to be read is not there any more.
  ///   - notice: is told what a person wants to know of the list, a sentence at a time.
  ///   - rotationGrace: how long a rotated file must be quiet, once there is something in the new one, before it is left:
  ///     its writer may still have it open.
  public init(
    name: String = "files", number: Int32 = 0, paths: [String], order: FileOrder = .natural,
    eventTimes: EventTimes? = nil,
    format: FileFormat? = nil, delimiter: CSVDelimiter? = nil, follow: Bool = false, acceptsGaps: Bool = false,
    idleTimeout: Duration? = nil, batchRows: Int = Limits.defaultBatchRows, maxEventBytes: Int = Limits.maxEventBytes,
    columns: [(name: String, type: FieldType)] = [], requiredColumns: [String] = [], readsOtherColumns: Bool = false,
    rotationGrace: Duration = .milliseconds(250), notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    precondition((1...Limits.maxBatchRows).contains(batchRows), "a batch has 1 to \(Limits.maxBatchRows) rows")
    precondition(maxEventBytes > 0, "an event has at least one byte")
    self.name = name
    let partition = PartitionID(source: name, number: number)
    partitions = OwnPartitions([partition])
    let options = ReadOptions(
      partition: partition, batchRows: batchRows, maxEventBytes: maxEventBytes,
      delimiter: delimiter, columns: columns.map { ColumnarFileReader.Request($0.name, as: $0.type) },
      readsOtherColumns: readsOtherColumns, required: RequiredColumns(names: requiredColumns))
    let manifest = SharedManifest()
    self.manifest = manifest
    stopSignal = Result { () throws(OperatingError) in try StopSignal() }
    worker = FileWorker(
      list: FileWorker.List(
        names: paths.map { FileList.Name($0) }, order: order, eventTimes: eventTimes, format: format, follows: follow,
        acceptsGaps: acceptsGaps),
      idleTimeout: idleTimeout, rotationGrace: rotationGrace, options: options, manifest: manifest, waiting: waiting,
      notice: notice)
  }

  public func check() async throws { try await worker.check() }

  public func next() async throws -> SourceEvent {
    if let event = await partitions.next() { return event }
    return try await worker.next()
  }

  public func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    try await worker.open(resumingAt: point, stop: try stopSignal.get())
    let gaps = await worker.gaps
    partitions.resume(partition)
    return gaps.map { InputGap($0) }
  }

  public func release(_ partition: PartitionID) async { partitions.release(partition) }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { FileManifest.state }

  public func takeStateChanges(of partition: PartitionID, at position: Position) -> StateChanges {
    manifest.takeChanges(at: position)
  }

  public func isRecorded(_ segment: UInt32, of partition: PartitionID) -> Bool { manifest.isRecorded(Int(segment)) }

  public func acknowledge(_ partition: PartitionID, upTo position: Position) async throws {
    manifest.acknowledge(upTo: position)
  }

  /// At the end of the list, where it is followed.
  public var waitsForMore: Bool { waiting.isSet }

  public func stop() {
    try? stopSignal.get().set()
    partitions.stop()
  }
}

/// The manifest and where batches ended, written by the worker and read when a checkpoint is taken.
final class SharedManifest: Sendable {
  private struct State: Sendable {
    var manifest = FileManifest()
    /// The entries that the store has, and how many files beside them.
    var stored: [FileManifest.Entry] = []
    var storedBeside = 0
    /// The ends of the last batches, ascending: the reader is ahead of the checkpoint by those in flight.
    var endings: Deque<(position: Position, ending: FileEnding)> = []
  }

  /// The batches in flight of several hundred workers; should it ever not suffice, a checkpoint goes without.
  private static let capacity = 1024

  private let state = Mutex(State())

  func replace(_ manifest: FileManifest) { state.withLock { $0.manifest = manifest } }

  /// Takes over one entry, and what was appended. Never the whole: a list of many thousands would be copied for each.
  func publish(_ manifest: FileManifest, changed segment: Int) {
    state.withLock { state in
      let count = state.manifest.entries.count
      if segment < count { state.manifest.entries[segment] = manifest.entries[segment] }
      if manifest.entries.count > count { state.manifest.entries += manifest.entries[count...] }
      if manifest.beside.count > state.manifest.beside.count { state.manifest.add(Array(manifest.beside.values)) }
    }
  }

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
  func resume(_ stored: FileManifest) {
    state.withLock { ($0.stored, $0.storedBeside) = (stored.entries, stored.beside.count) }
  }

  /// Whether the store has what a file is known by, or the checkpoint does that was last asked for.
  func isRecorded(_ segment: Int) -> Bool {
    state.withLock { state in
      // Before the source has looked there is nothing to record.
      if state.manifest.entries.isEmpty { return true }
      guard state.stored.indices.contains(segment), let stored = state.stored[segment].opened,
        let opened = state.manifest.entries[segment].opened
      else { return false }
      // Of what was empty when it was stored nothing is found again.
      return stored.identity == opened.identity && stored.beginning.length > 0 || stored == opened
    }
  }

  /// What a checkpoint at `position` changes in the store.
  func takeChanges(at position: Position) -> StateChanges {
    state.withLock { state in
      let ending = state.endings.first { $0.position == position }?.ending
      let manifest = state.manifest.at(position, ending: ending)
      defer { (state.stored, state.storedBeside) = (manifest.entries, manifest.beside.count) }
      return manifest.changes(since: state.stored, beside: state.storedBeside)
    }
  }
}
