// What a followed list gets beside the file that is read: files that appear, and files that were read to their ends and
// get more, are truncated or written anew.

import Detection
import Foundation
import Pipeline

extension FileWorker {
  /// Appends the files that have come to the list since the last look; whether there are any.
  /// - Parameter quietSince: when the file that is read had something last; nil where none is.
  func appendNew(quietSince: ContinuousClock.Instant?) throws(OperatingError) -> Bool {
    if let quietSince, ContinuousClock.now - quietSince < rotationGrace { return false }
    guard watched.isDue else { return false }
    let start = ContinuousClock.now
    defer { watched.looked(since: start) }
    let before = watched
    let changed = try changedSinceLeft()
    var new: [Coming] = []
    var held: Set<String> = []
    if quietSince == nil || list.hasPatterns {
      // A rotation gave names away meanwhile, or what has come waits for what is older: another look will show it whole.
      guard let found = try newFiles(&held, besides: changed),
        !changed.contains(where: { held.contains(RotatedName.base(of: $0.path)) })
      else {
        watched.restore(before)
        return false
      }
      new = found
    }
    let entries = (list.order == .natural ? inOrder(changed + new) : changed + new).map(\.entry)
    if !entries.isEmpty { append(entries) }
    return !entries.isEmpty
  }

  /// An entry that comes to the list, and where its file is.
  struct Coming {
    var path: String
    var entry: FileManifest.Entry
  }

  /// Orders what was made of the same file by names.
  private func inOrder(_ coming: [Coming]) -> [Coming] {
    guard coming.count > 1 else { return coming }
    let paths = NaturalKey.sorted(Array(Set(coming.map(\.path))), beside: Set(manifest.entries.map(\.path)))
    let places = Dictionary(uniqueKeysWithValues: paths.enumerated().map { ($1, $0) })
    var families: [String: Int] = [:]
    let keyed = coming.enumerated().map { index, one in
      let base = RotatedName.base(of: one.path)
      let family = families[base] ?? families.count
      families[base] = family
      return (key: (family, places[one.path] ?? 0, index), one)
    }
    return keyed.sorted { $0.key < $1.key }.map(\.1)
  }

  // MARK: - Files that were left

  /// What is new in files that were read to their ends.
  private func changedSinceLeft() throws(OperatingError) -> [Coming] {
    var entries: [Coming] = []
    var lost: [WatchedFiles.Left] = []
    for left in watched.left {
      let found = left.file == nil ? try? FileStatus.of(left.path) : try left.file?.status()
      guard let status = found, status.identity == left.identity else {
        lost.append(left)
        continue
      }
      guard status.size != left.size else { continue }
      if left.isPacked {
        if let entry = try grownPacked(left, status) { entries.append(Coming(path: left.path, entry: entry)) }
      } else {
        entries += try changed(left, status)
      }
    }
    search(for: lost)
    return entries
  }

  /// Looks now and then for files that are not where they were: rotation gives them another name each time.
  private func search(for lost: [WatchedFiles.Left]) {
    guard !lost.isEmpty, watched.isSearchDue() else { return }
    var beside: [String: [UInt64: String]] = [:]
    for left in lost {
      let folder = FileList.directory(of: left.path)
      if beside[folder] == nil { beside[folder] = FileLocator.paths(besides: left.path) }
      if let path = beside[folder]?[left.identity.inode] {
        watched.move(left.identity, to: path)
      } else {
        watched.forget(left.segment)
      }
    }
  }

  private func changed(_ left: WatchedFiles.Left, _ status: FileStatus) throws(OperatingError) -> [Coming] {
    let entry = manifest.entries[left.segment]
    guard let opened = entry.opened, !opened.format.isColumnar, let final = entry.finalSize, let ending = entry.ending
    else { return [] }
    var opening = left.file
    // One that is gone since its status was asked for is looked for again.
    if opening == nil { opening = try? OpenFile(left.path) }
    guard let file = opening, file.identity == left.identity else { return [] }
    if status.size > final, try file.ending(at: final) == ending {
      watched.forget(left.segment)
      // What is new was read in a copy of it.
      if let copy = try index.copy(file, manifest, at: position, places: [:]) {
        leave(copy, as: file, size: status.size)
        return []
      }
      if watched.isFirst(entry.path) {
        notice("\(entry.path) has grown after it was left for a newer file: what is new of it is read behind that")
      }
      let start = FileManifest.Place(offset: final, row: entry.endRow ?? 0)
      return [Coming(path: left.path, entry: FileManifest.Entry(path: entry.path, opened: opened, start: start))]
    }
    return try rewritten(left, entry, file, status)
  }

  /// The entries of a file that was truncated after it was read to its end (copied before, by logrotate's
  /// `copytruncate` for example), once it holds something else.
  private func rewritten(
    _ left: WatchedFiles.Left, _ entry: FileManifest.Entry, _ file: OpenFile, _ status: FileStatus
  ) throws(OperatingError) -> [Coming] {
    guard status.size > 0, watched.isQuiet("\(left.segment)", status.size), let opened = entry.opened,
      let final = entry.finalSize
    else { return [] }
    var path = left.path
    if try FileStatus.of(path)?.identity != left.identity {
      guard let other = FileLocator.paths(besides: path)[left.identity.inode] else { return [] }
      path = other
    }
    // It is being written again with what it held, so far as can be told.
    if status.size < final, try file.begins(with: opened.beginning) {
      if watched.isFirst("again \(path)") {
        notice("\(path) was truncated after it was read, and begins as it did: it is waited for until it holds more")
      }
      return []
    }
    var entries: [Coming] = []
    guard let newest = try OpenFile.there(path) else { return [] }
    if let copy = try FileLocator.find(entry), copy.identity != left.identity {
      // It may have been copied and truncated more than once.
      guard let later = try successors(try FileLocator.Since(copy), lastEnding, newest, path, opened.format) else {
        return []
      }
      entries = later.map { later in
        Coming(path: later.path, entry: FileManifest.Entry(path: later.entry.path, opened: later.entry.opened))
      }
      if try index.copy(copy, manifest, at: position, places: [:]) == nil, let size = try copy.contentSize(),
        size > final,
        !manifest.entries.contains(where: { $0.start.offset == final && $0.opened?.identity == copy.identity })
      {
        let start = FileManifest.Place(offset: final, row: entry.endRow ?? 0)
        let described = try FileLocator.describe(copy, format: opened.format)
        let rest = FileManifest.Entry(path: copy.path, opened: described, start: start)
        entries.insert(Coming(path: copy.path, entry: rest), at: 0)
        try note(copy)
      }
    } else {
      let described = try FileLocator.describe(newest, format: opened.format)
      entries = [Coming(path: path, entry: FileManifest.Entry(path: path, opened: described))]
    }
    watched.forget(left.segment)
    let rest = entries[0].entry.start.offset > 0 ? entries[0].path : nil
    notice(FileLocator.rewritten(path, readTo: final, restIn: rest))
    return entries
  }

  /// The entry of what is new in a compressed file to which another member was appended.
  private func grownPacked(
    _ left: WatchedFiles.Left, _ status: FileStatus
  ) throws(OperatingError) -> FileManifest.Entry? {
    if status.size < left.size, watched.isFirst("shorter \(left.path)") {
      notice("\(left.path) is shorter than it was when it was read: what it holds now is not read in this run")
    }
    let entry = manifest.entries[left.segment]
    guard status.size > left.size, watched.isQuiet(left.path, status.size), let final = entry.finalSize,
      let ending = entry.ending, var opened = entry.opened, let file = try? OpenFile(left.path),
      try file.ending(at: final) == ending, let size = try file.contentSize(), size > final
    else { return nil }
    notice("\(left.path) has got another part after it was read to its end: what is new of it is read now")
    watched.forget(left.segment)
    opened.packed = FileManifest.Packed(compression: file.compression ?? .gzip, ending: try file.packedEndingAsRead())
    return FileManifest.Entry(
      path: left.path, opened: opened, start: FileManifest.Place(offset: final, row: entry.endRow ?? 0))
  }

  // MARK: - New files

  /// The files that have appeared; nil where names changed hands meanwhile.
  /// - Parameters:
  ///   - held: receives what such were made of that are not ready.
  ///   - changed: what has come of files that were left.
  private func newFiles(
    _ held: inout Set<String>, besides changed: [Coming]
  ) throws(OperatingError) -> [Coming]? {
    let paths: [String]
    do throws(OperatingError) { paths = try list.matches() } catch {
      if watched.isFirst("list \(error)") { notice("new files cannot be looked for: \(error)") }
      return []
    }
    let coming = Set(changed.compactMap { $0.entry.opened?.identity })
    var unknown: Set<String> = []
    var there: [String: FileIdentity] = [:]
    for path in paths {
      let status: FileStatus?
      do throws(OperatingError) { status = try FileStatus.of(path) } catch {
        passOver(path, "\(error)")
        continue
      }
      there[path] = status?.identity
      guard let status, status.isRegular, status.size > 0, !watched.isKnown(path, status) else { continue }
      // The path that is read is looked at where rotations are.
      if let file, isRotatedHere && path == manifest.entries[segment].path || status.identity == file.identity {
        continue
      }
      if coming.contains(status.identity) { continue }
      if watched.isLeft(status.identity) {
        // It is looked at as one that was left, by the name that it has now.
        watched.move(status.identity, to: path)
        continue
      }
      unknown.insert(path)
    }
    if unknown.isEmpty { return [] }
    let (known, index) = known(readTo: lastEnding)
    var entries: [Coming] = []
    // Files that were made of the same one are read in their order: those behind one that is not ready wait with it.
    for path in try ordered(unknown) where !held.contains(RotatedName.base(of: path)) {
      switch try newFile(path, known, index) {
      case .entry(let entry): entries.append(Coming(path: path, entry: entry))
      case .none: break
      case .notReady: held.insert(RotatedName.base(of: path))
      }
    }
    guard let now = try? list.matches(), Self.identities(now) == there else { return nil }
    return entries
  }

  private static func identities(_ paths: [String]) -> [String: FileIdentity] {
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

  private func ordered(_ unknown: Set<String>) throws(OperatingError) -> [String] {
    do throws(OperatingError) {
      return try list.inOrder(unknown, knowing: manifest, options) { path, error in
        passOver(path, "its event time cannot be read: \(error)")
      }
    } catch {
      if error == StopSignal.interruption { throw error }
      // They were there a moment ago, and are looked for again.
      sayWaiting(for: list.patterns.joined(separator: ", "), "cannot be looked through: \(error)")
      return []
    }
  }

  private func newFile(
    _ path: String, _ known: FileManifest, _ index: FileIndex
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
    // A plain file is read as it grows; a compressed one once it is whole.
    if file.compression != nil, !watched.isQuiet(path, size) { return .notReady }
    var match = try index.same(file, known)
    // No places: a copy of the file that is followed may lack what has come to it since.
    if match == nil { match = try index.copy(file, known, at: position, places: [:]) }
    if let match {
      let original = known.entries[match]
      if match == segment, let current = self.file {
        return try copyOfCurrent(file, current, size: size).map { .entry($0) } ?? .none
      }
      try note(file, size: size)
      // It was said when it was put on record.
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
    if try isBecomingACopy(file) { return .none }
    do throws(OperatingError) {
      var place = FileManifest.Place()
      let readiness = try FileLocator.readiness(of: file, known, index, places: places)
      switch readiness {
      case .ready: break
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
    guard let file, try other.status().size < lastEnd.offset else { return false }
    return try FileLocator.isPart(other, of: file)
  }
}
