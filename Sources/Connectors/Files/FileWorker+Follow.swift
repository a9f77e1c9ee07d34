// Following: what happens at the end of what there is to read. Files grow, are rotated by renaming or by copying and
// truncating, and are replaced by grown copies of themselves; all of them are known by what they hold. New files and those
// that were left are in FileWorker+Changes.swift.

import Detection
import Foundation
import Pipeline

extension FileWorker {
  /// Waits at the end of the followed file until there is more to read, here or in the file that took its place; false
  /// when the source ends.
  func waitForMore(_ reader: any SegmentReader, _ stop: StopSignal) throws(OperatingError) -> Bool {
    guard let file else { preconditionFailure("a segment that is read is open") }
    let path = manifest.entries[segment].path
    var rotationSeen: ContinuousClock.Instant?
    while true {
      if file.isIncomplete {
        // It is still being compressed. Whoever replaces it by a whole one, or takes it away, is answered.
        if try FileStatus.of(file.path)?.identity != file.identity {
          reopen()
          return true
        }
        sayWaiting(for: file.path, "is compressed and not whole: it and the files behind it are waited for")
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
    case .perhapsGrownCopy:
      if watched.isFirst("alike \(newest.identity)") { notice(FileLocator.alike(path, reader.readOffset)) }
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
    var index = index
    index.insert(segment, known.entries[segment])
    let rotations = try FileLocator.between(old, newest?.identity, path: path, known, index, format: list.format)
    for odd in rotations.odd { passOver(odd.path, odd.why) }
    for alike in rotations.alike where watched.isFirst(alike) { notice(alike) }
    if rotations.isUnsettled {
      sayWaiting(for: path, "was rotated, and a file beside it is being copied or compressed: that is waited for")
      return nil
    }
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

  private enum Likeness { case grownCopy, perhapsGrownCopy, shorterCopy, other }

  /// Whether a file that took the path of another holds what was read of that.
  private func likeness(
    of new: OpenFile, to old: OpenFile, readTo: Int64
  ) throws(OperatingError) -> Likeness {
    guard lastEnd.offset > 0, new.compression == nil, old.compression == nil,
      let beginning = manifest.entries[segment].opened?.beginning
    else { return .other }
    let size = try new.status().size
    let common = min(size, readTo)
    guard common > 0, try new.begins(with: beginning) || size < beginning.length,
      try new.ending(at: common) == old.ending(at: common)
    else { return .other }
    // The old file still has a name: it was moved, and a new one may begin as it did.
    if try old.status().links > 0, readTo < Int64(FileBeginning.maxLength) {
      return size >= readTo ? .perhapsGrownCopy : .other
    }
    return size >= readTo ? .grownCopy : .shorterCopy
  }

  /// Says once what is waited for, where that takes longer than it usually does.
  func sayWaiting(for path: String, _ why: String) {
    if watched.isLate("waiting \(path)", after: rotationGrace * 8) { notice("\(path) \(why)") }
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
