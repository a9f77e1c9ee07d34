// Following: what happens at the end of what there is to read. Files grow, are rotated by renaming or by copying and
// truncating, are replaced by grown copies of themselves, and new ones appear under a pattern; all of them are known by
// what they hold.

import Detection
import Foundation
import Pipeline

/// What a followed list has shown so far.
struct WatchedFiles {
  /// Time between two looks at the patterns of a list.
  static let interval = Duration.milliseconds(250)
  /// Files that were left last, and may still get a line from a writer that has them open.
  static let maxLeft = 16

  private var known: [String: FileIdentity] = [:]
  /// Sizes of files that were not yet quiet.
  private var sizes: [String: Int64] = [:]
  private(set) var left: [(segment: Int, file: OpenFile)] = []
  private var nextLook = ContinuousClock.now
  /// Paths about which something was said that is not to be said again.
  private var said: Set<String> = []

  mutating func note(_ path: String, _ identity: FileIdentity) { known[path] = identity }

  func isKnown(_ path: String, _ identity: FileIdentity) -> Bool { known[path] == identity }

  /// Whether a file has been of the same size at two looks.
  mutating func isQuiet(_ path: String, _ size: Int64) -> Bool {
    defer { sizes[path] = size }
    return sizes[path] == size
  }

  mutating func leave(_ file: OpenFile, _ segment: Int) {
    left.append((segment, file))
    if left.count > Self.maxLeft { left.removeFirst() }
  }

  /// Compressed files that were left last, of which a look at the size tells whether a member was appended.
  struct Packed {
    var segment: Int
    var path: String
    var identity: FileIdentity
    var size: Int64
  }
  private(set) var leftPacked: [Packed] = []

  mutating func leavePacked(_ segment: Int, path: String, _ identity: FileIdentity, size: Int64) {
    leftPacked.append(Packed(segment: segment, path: path, identity: identity, size: size))
    if leftPacked.count > Self.maxLeft { leftPacked.removeFirst() }
  }

  mutating func forget(_ segment: Int) {
    left.removeAll { $0.segment == segment }
    leftPacked.removeAll { $0.segment == segment }
  }

  mutating func isFirst(_ path: String) -> Bool { said.insert(path).inserted }

  /// Whether it is time to look again.
  var isDue: Bool { ContinuousClock.now >= nextLook }

  /// Looking must not become all the work there is, however many files match.
  mutating func looked(since start: ContinuousClock.Instant) {
    let now = ContinuousClock.now
    nextLook = now + max(Self.interval, (now - start) * 10)
  }
}

extension FileWorker {
  /// Waits at the end of the followed file until there is more to read, here or in the file that took its place; false
  /// when the source ends.
  func waitForMore(_ reader: any SegmentReader, _ stop: StopSignal) throws(OperatingError) -> Bool {
    guard let file else { preconditionFailure("a segment that is read is open") }
    let path = manifest.entries[segment].path
    var rotationSeen: ContinuousClock.Instant?
    while true {
      if file.isIncomplete {
        // It is still being compressed.
        if try !pause(stop, isFollowing: true) {
          if !stop.isSet, let problem = file.problem { throw problem }
          return false
        }
        return true
      }
      if let trouble = try truncation(reader) {
        try recover(reader, from: trouble, stop)
        return true
      }
      if try file.status().size > reader.readOffset {
        lastData = .now
        return true
      }
      if let successor = try FileStatus.of(path), successor.identity != file.identity, successor.size > 0 {
        let since = rotationSeen ?? .now
        rotationSeen = since
        if ContinuousClock.now - max(since, lastData) >= rotationGrace, try follow(from: file, to: path, reader) {
          return true
        }
      } else if try appendNew(quietSince: lastData) {
        return true
      }
      if try !pause(stop, isFollowing: rotationSeen == nil) { return false }
    }
  }

  /// Waits for another file where all that are there were read; false when the source ends.
  func waitForFiles(_ stop: StopSignal) throws(OperatingError) -> Bool {
    while true {
      if try appendNew(quietSince: nil) { return true }
      if try !pause(stop, isFollowing: true) { return false }
    }
  }

  // MARK: - Truncation

  /// What is wrong with a followed file that became shorter, or did and has grown beyond its old end since the last look.
  /// Asked after bytes were read and before they are handed over.
  func truncation(_ reader: any SegmentReader) throws(OperatingError) -> OperatingError? {
    guard let file, let known = manifest.entries[segment].opened?.beginning else {
      preconditionFailure("a segment that is read is open")
    }
    let size = try file.status().size
    if size < reader.readOffset { return FileLocator.shrunk(file.path, from: reader.readOffset, to: size) }
    return try file.begins(with: known) ? nil : FileLocator.overwritten(file.path)
  }

  /// Goes on in the copy of a file that was copied and truncated, and then in what is written to it now.
  /// - Throws: `trouble` where there is no copy.
  func recover(
    _ reader: any SegmentReader, from trouble: OperatingError, _ stop: StopSignal
  ) throws(OperatingError) {
    var entry = manifest.entries[segment]
    if lastEnd.offset == 0 {
      // Nothing of it was handed over.
      if let file { manifest.entries[segment].opened?.beginning = try file.beginning() }
      return reopen()
    }
    entry.ending = lastEnding
    let end = ContinuousClock.now + rotationGrace
    while true {
      if let copy = try FileLocator.find(entry), copy.path != entry.path {
        let truncated = try OpenFile(entry.path)
        var opened = try FileLocator.describe(truncated, format: entry.opened?.format)
        // What is known of it so far is nothing: it is empty, or is being written.
        opened.beginning = FileBeginning(of: [])
        try replace(with: copy)
        return append([FileManifest.Entry(path: entry.path, isRotation: true, opened: opened)])
      }
      if ContinuousClock.now >= end || stop.wait(timeout: .milliseconds(20)) == .stopped { throw trouble }
    }
  }

  // MARK: - Rotation

  /// Goes on in the file that is now at the path: behind what was read, where it is a grown copy of the old one; else from
  /// its beginning, once those that were there in between are read. The old one is not the last any more then: it is read
  /// to its end and left.
  private func follow(
    from old: OpenFile, to path: String, _ reader: any SegmentReader
  ) throws(OperatingError) -> Bool {
    guard let newest = try? OpenFile(path) else { return false }
    switch try likeness(of: newest, to: old, readTo: reader.readOffset) {
    case .grownCopy:
      try replace(with: newest)
      return true
    case .shorterCopy:
      if watched.isFirst(path) {
        notice("\(path) was replaced by a copy of itself that is shorter: what was read is waited for")
      }
      return false
    case .other: break
    }
    let ending = try old.ending(at: reader.readOffset)
    guard let entries = try successors(of: old, ending, newest, path) else { return false }
    append(entries)
    return true
  }

  /// The entries of what took the path of a file that was rotated; nil where it is too early to tell.
  private func successors(
    of old: OpenFile, _ ending: FileEnding?, _ newest: OpenFile?, _ path: String
  ) throws(OperatingError) -> [FileManifest.Entry]? {
    var known = manifest
    known.entries[segment].ending = ending
    let rotations = try FileLocator.between(old, newest?.identity, path: path, known, format: list.format)
    for odd in rotations.odd { passOver(odd.path, odd.why) }
    if rotations.isUnsettled { return nil }
    var entries: [FileManifest.Entry] = []
    for file in rotations.files + (newest.map { [$0] } ?? []) {
      var opened = try FileLocator.describe(file, format: list.format)
      // A file may be too short yet to tell.
      opened.format = manifest.entries[segment].opened?.format ?? opened.format
      entries.append(FileManifest.Entry(path: path, isRotation: true, opened: opened))
      watched.note(file.path, file.identity)
    }
    return entries
  }

  /// Appends what took the path of a file that is compressed by now: it does not grow any more, so its end is not where
  /// that is looked for. False where it was waited for in vain.
  func appendSuccessors(of old: OpenFile, _ stop: StopSignal) throws(OperatingError) -> Bool {
    let entry = manifest.entries[segment]
    guard follows, segment == manifest.entries.count - 1, old.compression != nil, old.path != entry.path else {
      return true
    }
    while true {
      let newest = try? OpenFile(entry.path)
      if newest?.identity == old.identity { return true }
      if let entries = try successors(of: old, entry.ending, newest, entry.path) {
        if !entries.isEmpty { append(entries) }
        return true
      }
      if try !pause(stop, isFollowing: true) { return false }
    }
  }

  /// A file beside the followed one that cannot be read must not end what can.
  private func passOver(_ path: String, _ why: String) {
    if watched.isFirst(path) { notice("\(path) is passed over: \(why)") }
  }

  private enum Likeness { case grownCopy, shorterCopy, other }

  /// Whether a file that took the path of another holds what was read of that.
  private func likeness(
    of new: OpenFile, to old: OpenFile, readTo: Int64
  ) throws(OperatingError) -> Likeness {
    guard lastEnd.offset > 0, new.compression == nil, old.compression == nil,
      let beginning = manifest.entries[segment].opened?.beginning
    else { return .other }
    // The old file still has a name: it was moved, and a new one may begin as it did, with a header for example.
    if try old.status().links > 0, readTo < Int64(FileBeginning.maxLength) { return .other }
    let size = try new.status().size
    let common = min(size, readTo)
    guard common > 0, try new.begins(with: beginning) || size < beginning.length,
      try new.ending(at: common) == old.ending(at: common)
    else { return .other }
    return size >= readTo ? .grownCopy : .shorterCopy
  }

  // MARK: - New files

  /// Appends the files that have come to the list since the last look; whether there are any.
  /// - Parameter quietSince: when the file that is read had something last; nil where none is.
  private func appendNew(quietSince: ContinuousClock.Instant?) throws(OperatingError) -> Bool {
    if let quietSince, ContinuousClock.now - quietSince < rotationGrace { return false }
    guard watched.isDue else { return false }
    let start = ContinuousClock.now
    defer { watched.looked(since: start) }
    var entries = try grownSinceLeft()
    if quietSince == nil || list.hasPatterns { entries += try newFiles() }
    if !entries.isEmpty { append(entries) }
    return !entries.isEmpty
  }

  /// Files that were left and have got more since: what is new of them is read.
  private func grownSinceLeft() throws(OperatingError) -> [FileManifest.Entry] {
    var entries: [FileManifest.Entry] = []
    for (segment, file) in watched.left {
      let entry = manifest.entries[segment]
      guard file.compression == nil, let opened = entry.opened, !opened.format.isColumnar, let final = entry.finalSize,
        let ending = entry.ending, try file.status().size > final, try file.ending(at: final) == ending
      else { continue }
      if watched.isFirst(entry.path) {
        notice("\(entry.path) has grown after it was left for a newer file: what is new of it is read behind that")
      }
      watched.forget(segment)
      entries.append(
        FileManifest.Entry(
          path: entry.path, opened: opened, start: FileManifest.Place(offset: final, row: entry.endRow ?? 0)))
    }
    for left in watched.leftPacked {
      if let entry = try grownPacked(left) { entries.append(entry) }
    }
    return entries
  }

  /// The entry of what is new in a compressed file to which another member was appended.
  private func grownPacked(_ left: WatchedFiles.Packed) throws(OperatingError) -> FileManifest.Entry? {
    let entry = manifest.entries[left.segment]
    guard let status = try FileStatus.of(left.path), status.identity == left.identity, status.size > left.size,
      watched.isQuiet(left.path, status.size), let final = entry.finalSize, let ending = entry.ending,
      var opened = entry.opened, let file = try? OpenFile(left.path), try file.ending(at: final) == ending,
      let size = try file.contentSize(), size > final
    else { return nil }
    notice("\(left.path) has got another part after it was read to its end: what is new of it is read now")
    watched.forget(left.segment)
    opened.packed = FileManifest.Packed(compression: file.compression ?? .gzip, ending: try file.packedEndingAsRead())
    return FileManifest.Entry(
      path: left.path, opened: opened, start: FileManifest.Place(offset: final, row: entry.endRow ?? 0))
  }

  private func newFiles() throws(OperatingError) -> [FileManifest.Entry] {
    // A pattern that matches nothing for a moment, during a rotation, is no error.
    guard let paths = try? list.paths(options) else { return [] }
    var known = manifest
    if segment < known.entries.count { known.entries[segment].ending = lastEnding }
    let index = FileIndex(known)
    var entries: [FileManifest.Entry] = []
    for path in paths {
      guard let status = try FileStatus.of(path), status.isRegular, status.size > 0,
        !watched.isKnown(path, status.identity)
      else { continue }
      // The path that is read is looked at where rotations are.
      if let file, path == manifest.entries[segment].path || status.identity == file.identity { continue }
      let file: OpenFile
      do throws(OperatingError) { file = try OpenFile(path) } catch {
        // One that is gone is looked for again.
        if try FileStatus.of(path) != nil { passOver(path, "\(error)") }
        continue
      }
      // A plain file is read as it grows; a compressed one once it is whole.
      if file.compression != nil, !watched.isQuiet(path, status.size) { continue }
      var match = try index.same(file, known)
      if match == nil { match = try index.copy(file, known, at: position, places: tailPlace) }
      if let match {
        let original = known.entries[match]
        if match == segment && self.file != nil { continue }
        watched.note(path, status.identity)
        guard original.path != path, original.opened?.identity != file.identity, original.standing != .copy else {
          continue
        }
        notice("\(path) holds what was read as \(original.path), and is passed over")
        var opened = try FileLocator.describe(file, format: original.opened?.format)
        opened.format = original.opened?.format ?? opened.format
        entries.append(FileManifest.Entry(path: path, opened: opened, standing: .copy))
        continue
      }
      if try isBecomingACopy(file) { continue }
      do throws(OperatingError) {
        guard case .ready = try FileLocator.readiness(of: file, known) else { continue }
        let opened = try FileLocator.describe(file, format: list.format)
        try FileLocator.check(file, opened, path: path, isFollowed: true, options, list.format)
        entries.append(FileManifest.Entry(path: path, opened: opened))
      } catch { passOver(path, "\(error)") }
      watched.note(path, status.identity)
    }
    return entries
  }

  /// Nothing: a copy of the file that is followed may lack what has come to it since.
  private var tailPlace: [Int: String] { [:] }

  /// Whether a file holds a part of what was read of the file that is followed: it is being copied.
  private func isBecomingACopy(_ other: OpenFile) throws(OperatingError) -> Bool {
    guard let file, other.compression == nil, lastEnd.offset > 0 else { return false }
    let size = try other.status().size
    guard size < lastEnd.offset else { return false }
    guard try other.ending(at: size) == file.ending(at: size) else { return false }
    let length = Int(min(size, Int64(FileBeginning.maxLength)))
    return try other.beginning(upTo: length) == file.beginning(upTo: length)
  }

  /// Lets a little time pass: less of it while data is coming. False when the source ends.
  func pause(_ stop: StopSignal, isFollowing: Bool) throws(OperatingError) -> Bool {
    let quiet = ContinuousClock.now - lastData
    if isFollowing, let idleTimeout, quiet >= idleTimeout { return false }
    var time = quiet < .seconds(1) ? Duration.milliseconds(5) : .milliseconds(50)
    if let idleTimeout, isFollowing { time = min(time, idleTimeout - quiet) }
    return stop.wait(timeout: time) != .stopped
  }
}
