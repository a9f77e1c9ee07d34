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
      // One that holds nothing yet ends what was there as well.
      if isRotatedHere, let successor = try FileStatus.of(path), successor.identity != file.identity {
        let since = rotationSeen ?? .now
        rotationSeen = since
        if ContinuousClock.now - max(since, lastData) >= rotationGrace {
          if try follow(from: file, to: path, reader) { return true }
          // What was made of this one waits, others do not.
          if try appendNew(quietSince: lastData, besides: path) { return true }
        }
      } else if try appendNew(quietSince: lastData) {
        return true
      } else if isTorn(reader), !isRotatedHere, try isOver() {
        finalSegment = segment
        return true
      }
      // Behind a rotation there is another file to be read.
      if rotationSeen == nil { waiting.set() }
      if try !pause(stop, isFollowing: rotationSeen == nil) { return false }
    }
  }

  /// Waits for another file where all that are there were read; false when the source ends.
  func waitForFiles(_ stop: StopSignal) throws(OperatingError) -> Bool {
    while true {
      if try appendNew(quietSince: nil) { return true }
      waiting.set()
      if try !pause(stop, isFollowing: true) { return false }
    }
  }

  // MARK: - Truncation

  /// What is wrong with a file of a followed list that became shorter, or did and has grown beyond its old end since the
  /// last look. Asked after bytes were read and before they are handed over.
  func truncation(_ reader: any SegmentReader) throws(OperatingError) -> OperatingError? {
    guard let file, let opened = manifest.entries[segment].opened else {
      preconditionFailure("a segment that is read is open")
    }
    guard follows, file.compression == nil, !opened.format.isColumnar else { return nil }
    let known = opened.beginning
    let size = try file.status().size
    if size < reader.readOffset { return FileLocator.shrunk(file.path, from: reader.readOffset, to: size) }
    if try !file.begins(with: known) { return FileLocator.overwritten(file.path) }
    // Other contents may begin alike: with a long header, or with the hole that a writer leaves who goes on where it was.
    guard let lastEnding, lastEnding.end == lastEnd.offset, lastEnding.length > 0 else { return nil }
    return try file.ending(at: lastEnding.end) == lastEnding ? nil : FileLocator.overwritten(file.path)
  }

  /// Goes on in the copy of a file that was copied and truncated, then in those that were copied after it, and then in
  /// what is written to it now.
  /// - Throws: `trouble` where there is no copy.
  func recover(
    _ reader: any SegmentReader, from trouble: OperatingError, _ stop: StopSignal
  ) throws(OperatingError) {
    var entry = manifest.entries[segment]
    let isBegun = lastEnd.offset > 0
    if isBegun { entry.ending = lastEnding }
    var end = ContinuousClock.now + rotationGrace
    var family: [String: FileIdentity] = [:]
    while true {
      var isUnsettled = false
      // While names change, what is not found is on its way.
      let names = FileLocator.family(of: entry.path)
      if names != family { (family, end) = (names, .now + rotationGrace) }
      if let copy = try FileLocator.find(entry), copy.path != entry.path {
        var newest = try? OpenFile(entry.path)
        if !isRotatedHere, newest?.identity != file?.identity { newest = nil }
        if let entries = try successors(
          copy.identity, entry.ending, newest, entry.path, entry.opened?.format)
        {
          try replace(with: copy)
          return append(entries.map(\.entry))
        }
        isUnsettled = true
      }
      if stop.wait(timeout: .milliseconds(20)) == .stopped { return }
      guard ContinuousClock.now >= end, !isUnsettled else { continue }
      if isBegun { throw trouble }
      // Nothing of it was handed over, so nothing is missing of what was begun.
      if let file { manifest.entries[segment].opened?.beginning = try file.beginning() }
      return reopen()
    }
  }

  /// Whether the file that a run resumed in, and of which nothing was read, was copied and truncated meanwhile: the copies
  /// are read first then. Asked before the first records of it are handed over.
  func readMissed(_ stop: StopSignal) throws(OperatingError) -> Bool {
    let path = manifest.entries[segment].path
    guard lastEnd.offset == 0, position.offset == 0, let file, file.compression == nil,
      let opened = manifest.entries[segment].opened, segment == resumedUnread
    else { return false }
    guard let entries = try successors(nil, nil, file, path, opened.format) else {
      // Opened again, it is read from its beginning.
      reopen()
      _ = try pause(stop, isFollowing: true)
      return true
    }
    guard entries.count > 1 else { return false }
    manifest.entries[segment].opened = entries[0].entry.opened
    places[segment] = nil
    reopen()
    append(entries.dropFirst().map(\.entry))
    return true
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
    if try goOnInCopy(of: old, ending, newest, path) { return true }
    guard
      let entries = try successors(
        old.identity, ending, newest, path, manifest.entries[segment].opened?.format)
    else { return false }
    append(entries.map(\.entry))
    return true
  }

  /// Goes on in a copy that holds what was read and more, of a file that has no name any more: it got that before it was
  /// rotated, where this folder is a mirror of another one, or was packed since.
  private func goOnInCopy(
    of old: OpenFile, _ ending: FileEnding, _ newest: OpenFile, _ path: String
  ) throws(OperatingError) -> Bool {
    var entry = manifest.entries[segment]
    entry.ending = ending
    guard ending.end >= Int64(FileBeginning.maxLength), try old.status().links == 0,
      let copy = try FileLocator.find(entry, besides: old.identity), copy.path != path,
      let size = try copy.contentSize(), size > ending.end,
      let entries = try successors(copy.identity, ending, newest, path, entry.opened?.format)
    else { return false }
    try replace(with: copy)
    append(entries.map(\.entry))
    return true
  }

  /// The entries of files that were rotated from a path and are not known yet, and of the one that is there now, the
  /// newest last; nil where it is too early to tell.
  /// - Parameters:
  ///   - old: what was there.
  ///   - ending: where the file that is read has been read to.
  ///   - format: of the file that was there before; one may be too short yet to tell.
  func successors(
    _ old: FileIdentity?, _ ending: FileEnding?, _ newest: OpenFile?, _ path: String, _ format: FileFormat?
  ) throws(OperatingError) -> [Coming]? {
    let before = (family: FileLocator.family(of: path), watched: watched)
    let (known, index) = known(readTo: ending)
    let rotations = try FileLocator.between(old, newest, path: path, known, index, format: list.format)
    for odd in rotations.odd { passOver(odd.path, odd.why) }
    for alike in rotations.alike where watched.isFirst(alike) { notice(alike) }
    if rotations.isUnsettled {
      sayWaiting(for: path, "was rotated, and a file beside it is being copied or compressed: that is waited for")
      return nil
    }
    var entries: [Coming] = []
    for file in rotations.files + (newest.map { [$0] } ?? []) {
      let isNewest = file.identity == newest?.identity
      if let segment = rotations.grown[file.path] {
        // Of the one that is read, it was looked for before.
        if segment == self.segment { continue }
        entries.append(Coming(path: file.path, entry: try grown(segment, in: file)))
        try note(file)
        continue
      }
      if isNewest, let entry = try goneOnWith(file, format) {
        entries.append(Coming(path: path, entry: entry))
        continue
      }
      var opened = isNewest ? try describe(growing: file) : try FileLocator.describe(file, format: list.format)
      opened.format = format ?? opened.format
      let entry = FileManifest.Entry(path: path, isRotation: true, opened: opened)
      entries.append(Coming(path: file.path, entry: entry))
      if !entry.isBlank { try note(file) }
    }
    // A rotation gave names away meanwhile.
    guard FileLocator.family(of: path) == before.family else {
      watched.restore(before.watched)
      return nil
    }
    return entries
  }

  /// What is new in a copy, compressed or not, of a file that was read: it got more before it was copied.
  private func grown(_ segment: Int, in file: OpenFile) throws(OperatingError) -> FileManifest.Entry {
    let original = manifest.entries[segment]
    notice("\(file.path) \(FileLocator.grownCopy(of: original))")
    watched.forget(segment)
    var opened = try FileLocator.describe(file, format: list.format)
    opened.format = original.opened?.format ?? opened.format
    return FileManifest.Entry(
      path: file.path, isRotation: true, opened: opened, start: try FileLocator.end(of: original, in: file))
  }

  /// What is new in a file that was left and has taken the path of the one that is read, where both exchanged names; nil
  /// where it is another file.
  private func goneOnWith(_ file: OpenFile, _ format: FileFormat?) throws(OperatingError) -> FileManifest.Entry? {
    guard let left = watched.segment(ofLeft: file.identity), left != segment,
      let end = manifest.entries[left].finalSize,
      end > 0, try FileLocator.holds(file, manifest.entries[left])
    else { return nil }
    var opened = try FileLocator.describe(file, format: list.format)
    opened.format = manifest.entries[left].opened?.format ?? format ?? opened.format
    watched.forget(left)
    try note(file)
    return FileManifest.Entry(
      path: file.path, isRotation: true, opened: opened,
      start: try FileLocator.end(of: manifest.entries[left], in: file))
  }

  /// What is known so far, with the end of what was read of the current file.
  func known(readTo ending: FileEnding?) -> (FileManifest, FileIndex) {
    var known = manifest
    if segment < known.entries.count, let ending { known.entries[segment].ending = ending }
    var index = index
    for segment in known.entries.indices.dropFirst(segment) { index.insert(segment, known.entries[segment]) }
    return (known, index)
  }

  /// Appends what took the path of a file that is compressed by now: it does not grow any more, so its end is not where
  /// that is looked for. False where it was waited for in vain.
  func appendSuccessors(of old: OpenFile, _ stop: StopSignal) throws(OperatingError) -> Bool {
    let entry = manifest.entries[segment]
    guard follows, manifest.isLast(segment), old.compression != nil, old.path != entry.path, isRotatedHere else {
      return true
    }
    while true {
      let newest = try? OpenFile(entry.path)
      if newest?.identity == old.identity { return true }
      if let entries = try successors(
        old.identity, entry.ending, newest, entry.path, entry.opened?.format)
      {
        if !entries.isEmpty { append(entries.map(\.entry)) }
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
    let isMoved = try old.status().links > 0
    if isMoved, readTo < Int64(FileBeginning.maxLength) { return size >= readTo ? .perhapsGrownCopy : .other }
    if size >= readTo { return .grownCopy }
    // A header is written at once; what is copied and has less than a full beginning does not stay like that.
    let isQuiet = FileLocator.isQuiet(try new.status(), for: .seconds(1))
    let isHeader = isQuiet && size < Int64(FileBeginning.maxLength)
    return isMoved || isHeader ? .other : .shorterCopy
  }

  /// Whether what is at the path of the file that is read takes its place when that is rotated. It does where the path is
  /// named, or matched and made by no rotation: what has the name `app.log.1` next was behind others before.
  var isRotatedHere: Bool {
    let path = manifest.entries[segment].path
    return list.names(path) || RotatedName.base(of: path) == path && list.matches(path)
  }

  /// Whether nothing will be written to the file that is read any more: another one has taken its place since, which may
  /// still be empty, and nobody has written to it for a while.
  func isOver() throws(OperatingError) -> Bool {
    guard let file, file.compression == nil else { return true }
    return try isOver(try file.status(), beside: file.path)
  }

  func isOver(_ status: FileStatus, beside path: String) throws(OperatingError) -> Bool {
    guard FileLocator.isQuiet(status, for: rotationGrace) else { return false }
    let family = FileLocator.family(of: path)
    let names = NaturalKey.sorted(Array(family.keys))
    guard let own = names.lastIndex(where: { family[$0] == status.identity }) else { return status.links == 0 }
    return own < names.count - 1
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
