// The files that a followed list gets: those that a pattern matches, and those that were rotated beside them between two
// looks. What a file is, is told by what it holds.

import Detection
import Foundation
import Pipeline

extension FileWorker {
  /// The files that have appeared; nil where names changed hands meanwhile.
  /// - Parameters:
  ///   - held: receives what such were made of that are not ready.
  ///   - changed: what has come of files that were left.
  func newFiles(
    _ held: inout Set<String>, besides changed: [Coming]
  ) throws(OperatingError) -> [Coming]? {
    let paths: [String]
    do throws(OperatingError) { paths = try list.matches() } catch {
      if watched.isFirst("list \(error)") { notice("new files cannot be looked for: \(error)") }
      return []
    }
    let coming = Set(changed.compactMap { $0.entry.opened?.identity })
    var tail = tailPath
    var pending: Set<String> = []
    // Where nothing was read yet, what was in between is looked for before anything is.
    var awaited: Set<String> = []
    for segment in manifest.entries.indices.dropFirst(segment + (isResumedDone ? 1 : 0)) {
      let entry = manifest.entries[segment]
      guard entry.standing == .listed, !isBlank(segment) else { continue }
      let isRead = segment == self.segment
      if !isRead || file == nil { pending.insert(places[segment] ?? entry.path) }
      if entry.start.offset == 0, segment == resumedUnread,
        !isRead || position.offset == 0 && (file == nil || lastEnd.offset == 0)
      {
        awaited.insert(entry.path)
      }
    }
    var unknown: Set<String> = []
    var there: [String: FileIdentity] = [:]
    /// Whether a file is looked at that is not known.
    func isNew(_ path: String, _ status: FileStatus) -> Bool {
      if status.identity == file?.identity { watched.noteMove(from: manifest.entries[segment].path, to: path) }
      guard status.isRegular, status.size > 0, !watched.isKnown(path, status) else { return false }
      // The path that is read is looked at where rotations are, and what is still to be read when its turn comes.
      if path == tail || status.identity == file?.identity || pending.contains(path) { return false }
      if coming.contains(status.identity) { return false }
      if awaited.contains(path) { return false }
      if !awaited.isEmpty, RotatedName.origins(of: path).contains(where: { awaited.contains($0) }) { return false }
      // It is looked at as one that was left.
      return !watched.isLeft(status.identity)
    }
    for path in paths {
      let status: FileStatus?
      do throws(OperatingError) { status = try FileStatus.of(path) } catch {
        passOver(path, "\(error)")
        continue
      }
      there[path] = status?.identity
      if let status, isNew(path, status) { unknown.insert(path) }
    }
    if let path = tail, file == nil, !pending.contains(path), let status = try? FileStatus.of(path),
      unknown.contains(where: { RotatedName.origins(of: $0).contains(path) })
    {
      // The file that is read will not be the last one: what is at its path comes behind those that were.
      tail = nil
      if isNew(path, status) { unknown.insert(path) }
    }
    let beside = besides(Set(paths), except: tail)
    for (path, status) in beside {
      there[path] = status.identity
      if isNew(path, status) { unknown.insert(path) }
    }
    if unknown.isEmpty { return [] }
    let (known, index) = known(readTo: file == nil ? nil : lastEnding)
    var entries: [Coming] = []
    // Files that were made of the same one are read in their order: those behind one that is not ready wait with it.
    let unlisted = Set(beside.map(\.path))
    for path in inFamilyOrder(try ordered(unknown, besides: unlisted), path: \.self)
    where entries.count < WatchedFiles.maxNew && !held.contains(RotatedName.base(of: path)) {
      switch try newFile(path, known, index, besides: unknown, isListed: !unlisted.contains(path)) {
      case .entry(let entry):
        // What is behind the end of a file that was left is in that or, once it was truncated, in its copy: this look has
        // seen both.
        if entry.start.offset > 0, changed.contains(where: { $0.isSameStretch(as: entry) }) { return nil }
        entries.append(Coming(path: path, entry: entry))
      case .none: break
      case .notReady: held.insert(RotatedName.base(of: path))
      }
    }
    guard let now = try? list.matches() else { return nil }
    return Self.isWhole(there, Self.identities(now + beside.map(\.path))) ? entries : nil
  }

  /// Whether names that were looked at are still those of the same files, and none has come that a rotation of them makes.
  private static func isWhole(_ before: [String: FileIdentity], _ after: [String: FileIdentity]) -> Bool {
    guard before.allSatisfy({ after[$0.key] == $0.value }) else { return false }
    if after.count == before.count { return true }
    let bases = Set(before.keys.map { RotatedName.base(of: $0) })
    return after.keys.allSatisfy { before[$0] != nil || !bases.contains(RotatedName.base(of: $0)) }
  }

  /// The path at which the file that is followed has its successors, if it has any.
  private var tailPath: String? {
    segment < manifest.entries.count && manifest.isLast(segment) && !isResumedDone && !isBlank(segment)
      && isRotatedHere ? manifest.entries[segment].path : nil
  }

  /// Files under names that rotation makes of those that the list has or would have, and that it does not match.
  private func besides(_ listed: Set<String>, except tail: String?) -> [(path: String, status: FileStatus)] {
    var found: [(path: String, status: FileStatus)] = []
    for folder in watched.folders(of: listed) {
      found += FileLocator.siblings(of: (folder == "/" ? "" : folder) + "/.") { path in
        if listed.contains(path) { return false }
        // What follows the file that is read is found at its end.
        return watched.origins(of: path, where: list.has).contains { $0 != tail }
      }
    }
    return found
  }

  static func identities(_ paths: [String]) -> [String: FileIdentity] {
    var identities: [String: FileIdentity] = [:]
    for path in paths { identities[path] = try? FileStatus.of(path)?.identity }
    return identities
  }

  /// What a file is that has appeared.
  private enum NewFile {
    case entry(FileManifest.Entry)
    /// It is none that is read.
    case none
    /// It is looked at again.
    case notReady
  }

  /// A file that holds all that was handed over of the one that is read: a copy of it, or one with more behind.
  private func copyOfCurrent(
    _ file: OpenFile, _ current: OpenFile, size: Int64
  ) throws(OperatingError) -> FileManifest.Entry? {
    // Not while there is more to read, or a line to be finished.
    guard current.compression == nil, try current.status().size == lastEnd.offset, file.path != current.path,
      let end = try file.contentSize()
    else { return nil }
    let entry = manifest.entries[segment]
    try note(file, size: size)
    guard end > lastEnd.offset else {
      notice("\(file.path) holds what was read as \(entry.path), and is passed over")
      return nil
    }
    let isAlike = lastEnd.offset < Int64(FileBeginning.maxLength)
    var opened = try FileLocator.describe(file, format: entry.opened?.format)
    opened.format = entry.opened?.format ?? opened.format
    try note(file)
    if isAlike {
      notice("\(file.path) \(FileLocator.alike(to: entry, lastEnd.offset))")
      return FileManifest.Entry(path: file.path, opened: opened)
    }
    notice("\(file.path) \(FileLocator.grownCopy(of: entry, lastEnd.offset))")
    return FileManifest.Entry(
      path: file.path, opened: opened, start: FileManifest.Place(offset: lastEnd.offset, row: lastEnd.row))
  }

  /// New files in order: those that only lie beside listed ones before what they were made of.
  private func ordered(_ unknown: Set<String>, besides: Set<String>) throws(OperatingError) -> [String] {
    var paths: [String] = []
    do throws(OperatingError) {
      let listed = unknown.subtracting(besides)
      if !listed.isEmpty {
        paths = try list.inOrder(listed, knowing: manifest, options) { path, error in
          passOver(path, "its event time cannot be read: \(error)")
        }
      }
    } catch {
      if error == StopSignal.interruption { throw error }
      // They were there a moment ago, and are looked for again.
      sayWaiting(for: list.names.map(\.text).joined(separator: ", "), "cannot be looked through: \(error)")
      return []
    }
    if besides.isDisjoint(with: unknown) { return paths }
    return NaturalKey.sorted(Array(unknown.intersection(besides)), beside: Set(manifest.entries.map(\.path))) + paths
  }

  /// What was read of a file that is not where it was, and is not elsewhere: its copy is known by what it holds.
  private func lostOriginal(
    of file: OpenFile, _ path: String, _ known: FileManifest
  ) throws(OperatingError) -> Int? {
    let base = RotatedName.base(of: path)
    for segment in watched.lost(base).reversed() {
      let entry = known.entries[segment]
      // What is at the path itself may be another file that begins alike.
      guard entry.path != path, file.path != base, let ending = entry.ending, ending.end > 0,
        try FileLocator.holds(file, entry)
      else { continue }
      return segment
    }
    return nil
  }

  /// Whether a file took the place of one that has another name now: with less than a full beginning both may begin alike.
  private func isSuccessor(_ file: OpenFile, of entry: FileManifest.Entry, _ segment: Int) -> Bool {
    guard entry.path == file.path, file.compression == nil, let opened = entry.opened, opened.packed == nil,
      let end = entry.ending?.end, (1..<Int64(FileBeginning.maxLength)).contains(end)
    else { return false }
    return watched.left(segment).map { $0.identity != file.identity } ?? false
  }

  /// What a file is that holds what a new one does whose name rotation made its of, or the beginning of that: that one is
  /// about to be truncated, or was copied by hand, and this is looked at once that is known. Nil where it holds others.
  private func copyOfNew(_ file: OpenFile, _ unknown: Set<String>) throws(OperatingError) -> NewFile? {
    guard let newest = RotatedName.origins(of: file.path).first(where: unknown.contains),
      let other = try? OpenFile(newest), file.identity != other.identity, try FileLocator.isPart(file, of: other)
    else { return nil }
    let status = try file.status()
    if !FileLocator.isQuiet(status, for: .milliseconds(250)) { return .notReady }
    if status.size >= Int64(FileBeginning.maxLength) { return NewFile.none }
    return try other.status().size == status.size ? NewFile.none : nil
  }

  private func newFile(
    _ path: String, _ known: FileManifest, _ index: FileIndex, besides unknown: Set<String>, isListed: Bool
  ) throws(OperatingError) -> NewFile {
    let file: OpenFile
    let size: Int64
    do throws(OperatingError) {
      file = try OpenFile(path)
      size = try file.status().size
    } catch {
      // One that is gone is looked for again.
      let isGone = (try? FileStatus.of(path) == nil) ?? false
      if !isGone { passOver(path, "\(error)") }
      return .none
    }
    if !isListed, try manifest.liesBeside(file) {
      try note(file, size: size)
      return .none
    }
    // A plain file is read as it grows; a compressed one once it is whole.
    if file.compression != nil, !watched.isQuiet(path, size) { return .notReady }
    var match = try index.same(file, known)
    // No places: a copy of the file that is followed may lack what has come to it since.
    if match == nil { match = try index.copy(file, known, at: position, places: [:]) }
    // The beginning of an entry of which nothing was read may be one that its successors have as well.
    if let unread = match, unread >= segment, known.entries[unread].ending == nil,
      known.entries[unread].opened?.identity.inode != file.identity.inode
    {
      match = nil
    }
    if let short = match, isSuccessor(file, of: known.entries[short], short) {
      notice(FileLocator.alike(path, known.entries[short].ending?.end ?? 0))
      match = nil
    }
    if let match { return try knownFile(file, size, isListed: isListed, match, known, index) }
    if try isBecomingACopy(file) { return .none }
    if let copy = try copyOfNew(file, unknown) { return copy }
    do throws(OperatingError) {
      var place = FileManifest.Place()
      var readiness = try FileLocator.readiness(of: file, known, index, places: places)
      if !readiness.isGrowing, let original = try lostOriginal(of: file, path, known),
        let end = known.entries[original].finalSize
      {
        watched.found(original)
        guard let whole = try file.contentSize(), whole > end else {
          try note(file, size: size)
          return .none
        }
        readiness = .grownCopy(of: original)
      }
      switch readiness {
      case .ready: break
      case .empty:
        try note(file, size: size)
        return .none
      case .grownCopy(let original):
        place = try FileLocator.end(of: known.entries[original], in: file)
        notice("\(path) \(FileLocator.grownCopy(of: known.entries[original]))")
      case .alike(let why): notice("\(path) \(why)")
      case .part, .growing, .abandoned:
        sayWaiting(for: path, "is not whole, or holds a part of what was read as another file: it is waited for")
        if case .growing = readiness { return .notReady }
        return .none
      }
      var opened = try FileLocator.describe(file, format: list.format)
      if place.offset > 0 { opened.format = list.format ?? opened.format }
      guard try isBegun(file, opened.format) else { return .none }
      try FileLocator.check(file, opened, path: path, isFollowed: true, options, list.format)
      try note(file)
      return .entry(FileManifest.Entry(path: path, opened: opened, start: place))
    } catch {
      if error == StopSignal.interruption { throw error }
      passOver(path, "\(error)")
    }
    try note(file, size: size)
    return .none
  }

  /// A file that holds what an entry does.
  private func knownFile(
    _ file: OpenFile, _ size: Int64, isListed: Bool, _ match: Int, _ known: FileManifest, _ index: FileIndex
  ) throws(OperatingError) -> NewFile {
    let path = file.path
    let original = known.entries[match]
    if match == segment, let current = self.file {
      return try copyOfCurrent(file, current, size: size).map { .entry($0) } ?? .none
    }
    try note(file, size: size)
    watched.found(match)
    // It was said when it was put on record.
    if !isListed {
      if original.opened?.identity.inode == file.identity.inode { leave(match, as: file, size: size) }
      return .none
    }
    if try index.isKnownCopy(file, known) { return .none }
    guard original.path != path, original.opened?.identity != file.identity, original.standing != .copy else {
      // It was read in an earlier run.
      leave(match, as: file, size: size)
      return .none
    }
    notice("\(path) holds what was read as \(original.path), and is passed over")
    var opened = try FileLocator.describe(file, format: original.opened?.format)
    opened.format = original.opened?.format ?? opened.format
    return .entry(FileManifest.Entry(path: path, opened: opened, standing: .copy))
  }

  /// Describes a file that may grow. While it has no whole record it stands for nothing, whatever it begins with.
  func describe(growing file: OpenFile) throws(OperatingError) -> FileManifest.Opened {
    var opened = try FileLocator.describe(file, format: list.format)
    if follows, try !isBegun(file, opened.format) { opened.beginning = FileBeginning(of: []) }
    return opened
  }

  /// Describes the file of an entry of which nothing was read: as it is now, also where it was described before.
  func describe(
    _ file: OpenFile, unreadOf entry: FileManifest.Entry
  ) throws(OperatingError) -> FileManifest.Opened {
    guard let opened = entry.opened else { return try describe(growing: file) }
    return try FileLocator.describe(file, format: list.format ?? opened.format)
  }

  /// Whether there is a record that has an end, or will not get one.
  private func isBegun(_ file: OpenFile, _ format: FileFormat) throws(OperatingError) -> Bool {
    if format.isColumnar || file.compression != nil { return true }
    let start = format == .csv ? try TextSegmentReader.headerEnd(of: file, path: file.path, options) : 0
    if let start, try hasLine(file, behind: start) { return true }
    return try isOver(try file.status(), beside: file.path)
  }

  /// Whether there is a line that has an end.
  func hasLine(_ file: OpenFile, behind offset: Int64) throws(OperatingError) -> Bool {
    let bytes = try file.bytes(64 << 10, at: offset)
    return bytes.count == 64 << 10 || bytes.contains(0x0A)
  }

  /// Notes that a file was looked at.
  /// - Parameter size: of one that is done with; nil for one that is read, or is to be.
  func note(_ file: OpenFile, size: Int64? = nil) throws(OperatingError) {
    watched.note(file.path, try file.status(), size: size)
  }

  /// A file beside the followed one that cannot be read must not end what can.
  func passOver(_ path: String, _ why: String) {
    if watched.isFirst(path) { notice("\(path) is passed over: \(why)") }
  }

  /// Whether a file holds a part of what was read of the file that is followed: it is being copied.
  private func isBecomingACopy(_ other: OpenFile) throws(OperatingError) -> Bool {
    let end = file == nil ? position.offset : lastEnd.offset
    guard try other.status().size < end else { return false }
    var read = file
    if read == nil { read = try resumedFile() }
    return try read.map { file throws(OperatingError) in try FileLocator.isPart(other, of: file) } ?? false
  }

  /// The file in which a run goes on, before it is opened to be read.
  private func resumedFile() throws(OperatingError) -> OpenFile? {
    guard segment < manifest.entries.count, position.offset > 0 else { return nil }
    let entry = manifest.entries[segment]
    guard let there = try OpenFile.there(places[segment] ?? entry.path), try FileLocator.holds(there, entry) else {
      return nil
    }
    return there
  }
}
