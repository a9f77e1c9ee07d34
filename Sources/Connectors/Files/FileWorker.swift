// Reads the files of a source one after another. Following is in FileWorker+Follow.swift.

import Detection
import Foundation
import Pipeline

/// Reads the files on a thread of its own: reads of a file block.
actor FileWorker {
  private let thread = DedicatedThread(name: "pulse-files")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  var list: List
  let idleTimeout: Duration?
  let rotationGrace: Duration
  let options: ReadOptions
  let shared: SharedManifest
  /// Set at the end of all that there is.
  let waiting: WaitingMark
  let notice: @Sendable (String) -> Void
  var manifest = FileManifest()
  /// What was given up when the list was opened.
  var gaps: [String] = []
  /// What was read before the entry that is read now.
  var index = FileIndex()
  var stop: StopSignal?
  /// Where the segment that is read next begins.
  var position = Position.start
  /// Where the last batch ended, or reading began.
  var lastEnd = Position.start
  /// The bytes before it.
  var lastEnding: FileEnding?
  var file: OpenFile?
  private var reader: (any SegmentReader)?
  /// Where files are that are not at their paths any more, by segment.
  var places: [Int: String] = [:]
  /// Whether what the run resumed in has nothing left.
  var isResumedDone = false
  /// A segment of which the file does not grow any more, although nothing is read behind it.
  var finalSegment: Int?
  /// What a run was resumed in, where nothing of it was read: it may have been filled and rotated meanwhile.
  var resumedUnread: Int?
  /// Whether the segment ends before its file does.
  private var isLimited = false
  var lastData = ContinuousClock.now
  /// When the last batch was handed over; nil before the first one.
  private var lastHandedOver: ContinuousClock.Instant?
  /// Of a followed list: what was looked at and is known.
  var watched = WatchedFiles()

  init(
    list: List, idleTimeout: Duration?, rotationGrace: Duration, options: ReadOptions, manifest: SharedManifest,
    waiting: WaitingMark, notice: @escaping @Sendable (String) -> Void
  ) {
    self.list = list
    self.idleTimeout = idleTimeout
    self.rotationGrace = rotationGrace
    self.options = options
    self.waiting = waiting
    self.notice = notice
    shared = manifest
  }

  var follows: Bool { list.follows }

  func next() throws -> SourceEvent {
    guard let stop else { preconditionFailure("a source is opened before it is read") }
    // While nobody asks nothing can come: that the pipeline took its time is not for a source to end by.
    if let lastHandedOver { lastData += ContinuousClock.now - lastHandedOver }
    defer {
      lastHandedOver = .now
      waiting.clear()
    }
    do {
      return try StopSignal.$current.withValue(stop) { try readNext(stop) }
    } catch let error as OperatingError where error == StopSignal.interruption {
      return .end
    }
  }

  private func readNext(_ stop: StopSignal) throws(OperatingError) -> SourceEvent {
    while !stop.isSet {
      guard segment < manifest.entries.count else {
        if follows, try waitForFiles(stop) { continue }
        return .end
      }
      if reader == nil { reader = try openSegment(stop) }
      guard let reader else {
        if stop.isSet || segment < manifest.entries.count && isWaitingInVain { return .end }
        continue
      }
      // Other files do not wait for one that gets more all the time.
      if try isKeepingOthers(reader), try appendNew(quietSince: nil, besides: manifest.entries[segment].path) {
        try leave(reader, stop)
        continue
      }
      let isFinal = !isTail
      var next = try reader.next(isFinal: isFinal && !isOpenEnded, stop: stop)
      if next == nil, !stop.isSet, isFinal, isOpenEnded, isTorn(reader), try isOver() {
        next = try reader.next(isFinal: true, stop: stop)
      }
      if let batch = next {
        lastData = .now
        // What the file is known by is read before it is looked at: what was read may be of two files.
        let beginning = try extendedBeginning(reader)
        let ending = try ending(at: batch.next)
        if let trouble = try truncation(reader) {
          try recover(reader, from: trouble, stop)
          continue
        }
        if follows, try readMissed(stop) { continue }
        if let beginning {
          manifest.entries[segment].opened?.beginning = beginning
          publish()
        }
        if let ending { note(ending, at: batch.next) }
        lastEnd = batch.next
        return .batch(batch)
      }
      if stop.isSet { break }
      // Asked of what was read just now: a compressed file may have become whole since.
      let problem = file?.problem
      if let problem, !(follows && file?.isIncomplete == true) { throw problem }
      if isFinal && problem == nil {
        try leave(reader, stop)
      } else if try !waitForMore(reader, stop) {
        break
      }
    }
    return .end
  }

  /// Leaves the file that is read where it was read to, unless it was truncated.
  private func leave(_ reader: any SegmentReader, _ stop: StopSignal) throws(OperatingError) {
    let isColumnar = manifest.entries[segment].opened?.format.isColumnar ?? false
    let ending = isColumnar ? nil : try file?.ending(at: end(of: reader))
    if let trouble = try truncation(reader) { return try recover(reader, from: trouble, stop) }
    try finishSegment(reader, ending)
  }

  /// Whether the followed file is read to about its end, and gets more so often that others were not looked at for long.
  private func isKeepingOthers(_ reader: any SegmentReader) throws(OperatingError) -> Bool {
    guard isTail, watched.isOverdue, lastEnd.offset > 0, let file else { return false }
    return try file.status().size - reader.readOffset < Int64(ByteWindow.readBytes)
  }

  var segment: Int { Int(position.segment) }

  /// Whether the file that is read is the one at whose end more is waited for.
  var isTail: Bool {
    follows && manifest.isLast(segment) && file?.compression == nil && finalSegment != segment
  }

  /// Whether an unfinished line at the end of the file may still be finished, whatever lies behind it in the list.
  private var isOpenEnded: Bool { follows && file?.compression == nil && finalSegment != segment && !isLimited }

  func isTorn(_ reader: any SegmentReader) -> Bool { reader.end.offset < reader.readOffset }

  /// Where a text file was read to: an unfinished line is left for later.
  private func end(of reader: any SegmentReader) -> Int64 { min(reader.end.offset, reader.readOffset) }

  /// Makes known what has changed of the entry that is read, and what was appended.
  func publish() { shared.publish(manifest, changed: segment) }

  /// The bytes before a position, so that a checkpoint there can tell this file from another; nil of a columnar file, and
  /// of a compressed one, which is known by its end.
  private func ending(at position: Position) throws(OperatingError) -> FileEnding? {
    guard let file, let opened = manifest.entries[segment].opened, !opened.format.isColumnar, file.compression == nil
    else { return nil }
    return try file.ending(at: position.offset)
  }

  private func note(_ ending: FileEnding, at position: Position) {
    lastEnding = ending
    shared.append(ending, at: position)
  }

  // MARK: - Segments

  /// Opens the file at `position`; nil if there is nothing to read of it, or it was waited for in vain.
  private func openSegment(_ stop: StopSignal) throws(OperatingError) -> (any SegmentReader)? {
    let entry = manifest.entries[segment]
    if entry.standing != .listed || isResumedDone || isBlank(segment) {
      isResumedDone = false
      advance()
      return nil
    }
    let limit = follows && manifest.isEndOnRecord(segment) ? entry.finalSize : nil
    let path = places[segment] ?? entry.path
    isWaitingInVain = false
    while follows, try FileStatus.of(path) == nil, entry.opened == nil || entry.isRotation {
      if entry.isRotation, try FileLocator.find(entry) != nil { break }
      if try !pause(stop, isFollowing: true) {
        isWaitingInVain = true
        return nil
      }
    }
    guard let file = try locate(path, entry) else { return nil }
    if position.offset == 0 {
      // What it was when the list was opened may have been replaced since, before a byte of it was read.
      if (!entry.isRotation || entry.isBlank) && entry.start.offset == 0 || entry.opened == nil {
        manifest.entries[segment].opened = try describe(file, unreadOf: entry)
        if isBlank(segment) {
          publish()
          advance()
          return nil
        }
      }
      if entry.start.offset > 0 {
        position = Position(segment: position.segment, offset: entry.start.offset, row: entry.start.row)
      } else if !entry.isRotation, let same = try sameFile(file) {
        notice("\(file.path) is the file that was read as \(same), by another name, and is passed over")
        passOver(as: .copy)
        return nil
      } else if segment > 0, try !isReady(file, stop) {
        return nil
      } else if file.compression != nil || waitedFor == segment, let original = try copied(file) {
        notice("\(file.path) holds what was read as \(original), and is passed over")
        passOver(as: .copy)
        return nil
      } else if segment > 0, file.compression == nil, waitedFor != segment {
        try sayLikeness(file)
      }
    }
    if manifest.entries[segment].opened?.format.isColumnar == true, entry.ending == nil {
      manifest.entries[segment].ending = try file.ending(at: file.status().size)
    }
    if try !appendSuccessors(of: file, stop) {
      isWaitingInVain = true
      return nil
    }
    isLimited = limit != nil && file.compression == nil
    if !isLimited {
      // It is read on: how it ends is not known until it does.
      manifest.entries[segment].finalSize = nil
      manifest.entries[segment].lastRecordEnd = nil
      manifest.entries[segment].endRow = nil
    }
    publish()
    self.file = file
    try note(file)
    (lastEnd, lastEnding) = (position, nil)
    // What is resumed may be checkpointed again before anything is read.
    if position.offset > 0, let ending = try entry.ending?.end == position.offset ? entry.ending : ending(at: position)
    {
      note(ending, at: position)
    }
    switch manifest.entries[segment].opened?.format ?? .ndjson {
    case .parquet, .arrow:
      return try ColumnarSegmentReader(openedAt: file.path, path: entry.path, from: position, options)
    case let text:
      return try TextSegmentReader(
        file, path: entry.path, isCSV: text == .csv, from: position, to: isLimited ? limit : nil, options)
    }
  }

  /// Whether a file that is to be read from its beginning is no copy in the making of one that was read before: such a
  /// one would be read twice. Where it is followed it is opened again in a moment.
  private func isReady(_ file: OpenFile, _ stop: StopSignal) throws(OperatingError) -> Bool {
    guard follows || file.compression != nil else { return true }
    let beginning = try file.beginning()
    let isShort = file.isIncomplete && beginning.length < FileBeginning.maxLength
    guard isShort || index.hasBeginning(beginning) else { return true }
    // A whole copy is no part of one.
    if file.compression == nil, try copied(file) != nil { return true }
    let status = try file.status()
    let isQuiet = file.compression == nil && FileLocator.isQuiet(status)
    switch try FileLocator.readiness(of: file, manifest, index, places: places, waits: follows) {
    case .ready, .empty, .abandoned, .grownCopy, .alike: return true
    case .growing where !follows: return true
    case .part where isQuiet:
      // Those behind it do not wait for it; it is looked at again as a new file.
      notice("\(file.path) holds a part of what was read as another file, and is passed over until it holds more")
      passOver(as: .leftOut)
      return false
    case .part, .growing: break
    }
    if !follows {
      // It was begun again to look at its beginning.
      _ = try file.contentSize()
      throw file.problem ?? FileLocator.replaced(file.path)
    }
    waitedFor = segment
    sayWaiting(for: file.path, "is not whole, or holds a part of what was read as another file: it is waited for")
    if try !pause(stop, isFollowing: true) { isWaitingInVain = true }
    return false
  }

  /// The segment that was waited for last because it was being copied.
  private var waitedFor: Int?
  /// Whether the last file was waited for until the time for that was over.
  private var isWaitingInVain = false

  /// The file of an entry, wherever it is now; nil where one that a pattern had matched is gone before it was read.
  private func locate(_ path: String, _ entry: FileManifest.Entry) throws(OperatingError) -> OpenFile? {
    let mustBeSame =
      position.offset > 0 || entry.isRotation && !entry.isBlank || entry.start.offset > 0 && entry.opened != nil
    let there = try OpenFile.there(path)
    if let file = there {
      if !mustBeSame { return try moved(entry, from: file) ?? file }
      if try FileLocator.holds(file, entry) { return try unreadElsewhere(entry, file) ?? file }
    }
    if mustBeSame || there == nil, follows || entry.isRotation || manifest.isRotatedAway(segment),
      let file = try FileLocator.find(entry)
    {
      return file
    }
    if there == nil, !mustBeSame, follows, list.hasPatterns {
      notice("\(path) was listed and is gone before it was read: it is left out")
      passOver(as: .leftOut)
      return nil
    }
    let file = try OpenFile(path)
    if !mustBeSame { return file }
    throw try FileLocator.refusal(file, entry, readTo: position.offset)
  }

  /// The file of an entry of which only the beginning is known, which what is at its path now has as well.
  private func unreadElsewhere(
    _ entry: FileManifest.Entry, _ there: OpenFile
  ) throws(OperatingError) -> OpenFile? {
    guard follows, entry.ending == nil, let inode = entry.opened?.identity.inode, there.identity.inode != inode,
      let old = try FileLocator.find(entry), old.identity.inode == inode
    else { return nil }
    return old
  }

  /// The file that was at a followed path when the list was opened, and was rotated before its turn came.
  private func moved(_ entry: FileManifest.Entry, from there: OpenFile) throws(OperatingError) -> OpenFile? {
    guard follows, let opened = entry.opened, opened.beginning.length > 0 else { return nil }
    if there.identity.inode == opened.identity.inode, try there.begins(with: opened.beginning) { return nil }
    guard let old = try FileLocator.find(entry), old.identity != there.identity else { return nil }
    places[segment] = old.path
    return old
  }

  /// The path by which the same file was read before: it may have several names, by links.
  private func sameFile(_ file: OpenFile) throws(OperatingError) -> String? {
    guard let match = try index.same(file, manifest), match < segment,
      // One that held nothing was not read.
      manifest.entries[match].opened?.identity == file.identity, manifest.entries[match].finalSize != 0,
      manifest.entries[match].path != manifest.entries[segment].path
    else { return nil }
    return manifest.entries[match].path
  }

  /// Goes on behind a file of which nothing is read.
  private func passOver(as standing: FileManifest.Standing) {
    manifest.entries[segment].standing = standing
    publish()
    advance()
  }

  /// The path of the file that was read before and that a compressed file is a copy of.
  private func copied(_ file: OpenFile) throws(OperatingError) -> String? {
    guard let original = try index.copy(file, manifest, at: position, places: [:]) else { return nil }
    return manifest.entries[original].path
  }

  /// Says where a plain file of a list begins with all that another one of it was: both are named, so both are read.
  private func sayLikeness(_ file: OpenFile) throws(OperatingError) {
    guard index.hasBeginning(try file.beginning()), try file.status().size >= Int64(FileBeginning.maxLength) else {
      return
    }
    let again = "both are in the list, so both are read, and these events count twice"
    if let original = try copied(file) { return notice("\(file.path) holds what was read as \(original): \(again)") }
    switch try index.likeness(of: file, manifest, places: places) {
    case .part(let original):
      notice("\(file.path) holds a part of what was read as \(manifest.entries[original].path): \(again)")
    case .grown(let original):
      notice("\(file.path) holds what was read as \(manifest.entries[original].path), and more: \(again)")
    case .perhapsPart, .perhapsGrown, .none: break
    }
  }

  /// A file that was short when it was opened becomes known by more of its beginning.
  private func extendedBeginning(_ reader: any SegmentReader) throws(OperatingError) -> FileBeginning? {
    guard let opened = manifest.entries[segment].opened, opened.beginning.length < FileBeginning.maxLength,
      opened.packed == nil, reader.readOffset > Int64(opened.beginning.length), let file
    else { return nil }
    return try file.beginning(upTo: Int(min(reader.readOffset, Int64(FileBeginning.maxLength))))
  }

  private func finishSegment(_ reader: any SegmentReader, _ ending: FileEnding?) throws(OperatingError) {
    let isColumnar = manifest.entries[segment].opened?.format.isColumnar ?? false
    manifest.entries[segment].finalSize = isColumnar ? try file?.status().size : end(of: reader)
    manifest.entries[segment].lastRecordEnd = lastEnd.offset
    if !isColumnar {
      manifest.entries[segment].ending = ending
      manifest.entries[segment].endRow = reader.end.row
      // Of a header, or of blank lines, nothing was handed over.
      let known = Int(min(end(of: reader), Int64(FileBeginning.maxLength)))
      if let file, file.compression == nil, known > manifest.entries[segment].opened?.beginning.length ?? .max {
        manifest.entries[segment].opened?.beginning = try file.beginning(upTo: known)
      }
    }
    if let file, file.compression != nil {
      try notePacked(file)
    } else if let file, follows, !isColumnar, !(isLimited && isContinued) {
      watched.leave(segment, path: file.path, file.identity, size: end(of: reader), file: file, isPacked: false)
    }
    publish()
    advance()
  }

  /// Whether a later entry goes on in the file where this one ends.
  private var isContinued: Bool {
    let entry = manifest.entries[segment]
    return manifest.entries[(segment + 1)...].contains {
      $0.standing == .listed && $0.start.offset == entry.finalSize
        && $0.opened?.identity.inode == entry.opened?.identity.inode
    }
  }

  /// Notes what a compressed file that was read to its end is known by: it may have been incomplete when it was opened.
  private func notePacked(_ file: OpenFile) throws(OperatingError) {
    guard let compression = file.compression, var opened = manifest.entries[segment].opened else { return }
    let ending = try file.packedEndingAsRead()
    opened.packed = FileManifest.Packed(compression: compression, ending: ending)
    // Last, for the contents begin again with it.
    if opened.beginning.length < FileBeginning.maxLength { opened.beginning = try file.beginning() }
    manifest.entries[segment].opened = opened
    if follows {
      watched.leave(segment, path: file.path, file.identity, size: ending.end, file: nil, isPacked: true)
    }
  }

  /// The segments that were read to their ends, at a start.
  var leftSegments: Range<Int> { 0..<min(segment + (isResumedDone ? 1 : 0), manifest.entries.count) }

  /// Watches a file that was read to its end in an earlier run.
  func leave(_ segment: Int, as file: OpenFile, size: Int64) {
    let entry = manifest.entries[segment]
    guard entry.standing == .listed, let opened = entry.opened, !opened.format.isColumnar, let final = entry.finalSize
    else { return }
    let isPacked = file.compression != nil
    watched.leave(
      segment, path: file.path, file.identity, size: isPacked ? opened.packed?.ending.end ?? size : final, file: nil,
      isPacked: isPacked)
  }

  private func advance() {
    file = nil
    reader = nil
    index.insert(segment, manifest.entries[segment])
    position = Position(segment: position.segment + 1, offset: 0, row: 0)
  }

  /// Goes on behind the last batch in another file with the same contents.
  func replace(with other: OpenFile) throws(OperatingError) {
    manifest.entries[segment].opened?.identity = other.identity
    manifest.entries[segment].opened?.packed = nil
    if let compression = other.compression {
      manifest.entries[segment].opened?.packed = FileManifest.Packed(
        compression: compression, ending: try other.packedEnding())
    }
    places[segment] = other.path
    try note(other)
    reopen()
  }

  /// Reads on behind the last batch, in whatever file that is in now.
  func reopen() {
    position = lastEnd
    file = nil
    reader = nil
    publish()
  }

  /// Appends files that have come to the list. The one that was the last is read to its end and left; where that stands
  /// for no file, the first of them takes its place.
  func append(_ entries: [FileManifest.Entry]) {
    var entries = entries
    if let blank = manifest.entries.lastIndex(where: { $0.standing != .copy }), isBlank(blank),
      let index = entries.firstIndex(where: { $0.standing == .listed })
    {
      var entry = entries.remove(at: index)
      let before = manifest.entries[blank]
      if entry.path == before.path, entry.start.offset == 0 { entry.isRotation = before.isRotation }
      manifest.entries[blank] = entry
      // Its name stays on record: what rotation makes of that later is new.
      if RotatedName.base(of: entry.path) != RotatedName.base(of: before.path) {
        var named = before
        named.standing = .leftOut
        entries.append(named)
      }
      shared.publish(manifest, changed: blank)
      if blank < segment { position = Position(segment: UInt32(blank), offset: 0, row: 0) }
      if blank == segment { isResumedDone = false }
    }
    manifest.entries += entries
    publish()
    lastData = .now
  }

  /// Whether an entry of a followed list stands for no file: it is not waited for, and what comes of it is a new one.
  func isBlank(_ segment: Int) -> Bool {
    follows && manifest.entries[segment].isBlank && (segment != self.segment || position.offset == 0)
  }
}
