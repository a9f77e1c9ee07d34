// What a followed list gets beside the file that is read: files that appear, and files that were read to their ends and
// get more, are truncated or written anew.

import Detection
import Foundation
import Pipeline

extension FileWorker {
  /// Appends the files that have come to the list since the last look; whether there are any.
  /// - Parameters:
  ///   - quietSince: when the file that is read had something last; nil where that does not matter.
  ///   - read: the path of the file that is read, where it is not read to its end: what was made of that waits.
  func appendNew(
    quietSince: ContinuousClock.Instant?, besides read: String? = nil
  ) throws(OperatingError) -> Bool {
    if let quietSince, ContinuousClock.now - quietSince < rotationGrace { return false }
    guard watched.isDue else { return false }
    let start = ContinuousClock.now
    defer { watched.looked(since: start) }
    let entries = try look(besides: read)
    if !entries.isEmpty { append(entries) }
    return !entries.isEmpty
  }

  /// Looks at a stored list when a run starts as at one that is followed: all that was read before is watched, and what
  /// has come meanwhile is found like what comes later.
  func lookAtStart() throws(OperatingError) {
    var names = FolderNames()
    let all = FileIndex(manifest, at: position)
    var last: [UInt64: Int] = [:]
    for (segment, entry) in manifest.entries.enumerated() where entry.standing == .listed {
      if let opened = entry.opened { last[opened.identity.inode] = segment }
    }
    for segment in leftSegments where all.isLatest(segment, manifest) {
      let entry = manifest.entries[segment]
      guard entry.standing == .listed, let opened = entry.opened, !opened.format.isColumnar, !entry.isBlank,
        let final = entry.finalSize,
        // What a file got of which no record was whole is in a later entry.
        final > 0 || last[opened.identity.inode] == segment
      else { continue }
      var path = entry.path
      if (try? FileStatus.of(path))?.identity.inode != opened.identity.inode {
        path = names.path(of: opened.identity.inode, beside: path) ?? path
        watched.noteMove(from: entry.path, to: path)
      }
      if let file = try? OpenFile(path), try FileLocator.holds(file, entry) {
        leave(segment, as: file, size: 0)
      } else {
        watched.lose(segment, RotatedName.base(of: entry.path))
        if path == entry.path, let file = try? OpenFile(path), file.identity.inode == opened.identity.inode {
          sayRewritten(path, entry, besides: file.identity)
        }
      }
    }
    for entry in manifest.entries { watched.note(folderOf: entry.path) }
    for (segment, path) in places { watched.noteMove(from: manifest.entries[segment].path, to: path) }
    let entries = try look()
    if !entries.isEmpty { append(entries) }
  }

  /// What has come since the last look: of files that were left, and new files. Nothing where a rotation gave names away
  /// meanwhile: another look will show it whole. What waits for what is older, of the same file, keeps no other waiting.
  private func look(besides read: String? = nil) throws(OperatingError) -> [FileManifest.Entry] {
    let before = watched
    var held = Set(read.map { [RotatedName.base(of: $0)] } ?? [])
    while true {
      let changed = try changedSinceLeft(&held)
      guard let new = try newFiles(&held, besides: changed),
        !changed.contains(where: { (try? FileStatus.of($0.path))?.identity != $0.entry.opened?.identity })
      else {
        watched.restore(before)
        return []
      }
      if !changed.contains(where: { held.contains(RotatedName.base(of: $0.path)) }) {
        return inOrder(changed + new).map(\.entry)
      }
      watched.restore(before)
    }
  }

  /// The names of files in folders, each listed once.
  private struct FolderNames {
    private var folders: [String: [UInt64: String]] = [:]

    mutating func path(of inode: UInt64, beside path: String) -> String? {
      let folder = FileList.directory(of: path)
      if folders[folder] == nil { folders[folder] = FileLocator.paths(besides: path) }
      return folders[folder]?[inode]
    }
  }

  /// An entry that comes to the list, and where its file is.
  struct Coming {
    var path: String
    var entry: FileManifest.Entry

    /// Whether another file goes on at the same place of the same contents.
    func isSameStretch(as other: FileManifest.Entry) -> Bool {
      entry.start.offset == other.start.offset && entry.opened?.beginning == other.opened?.beginning
    }
  }

  /// What has come, in order: by names what was made of the same file comes together.
  private func inOrder(_ coming: [Coming]) -> [Coming] {
    let coming = inFamilyOrder(coming, path: \.path)
    guard list.order == .natural else { return coming }
    var families: [String: Int] = [:]
    let keyed = coming.enumerated().map { index, one in
      let base = RotatedName.base(of: one.path)
      let family = families[base] ?? families.count
      families[base] = family
      return (key: (family, index), one)
    }
    return keyed.sorted { $0.key < $1.key }.map(\.1)
  }

  /// Orders what rotation made of the same file by that, within the places that it has; not where names go by their bytes.
  func inFamilyOrder<Item>(_ items: [Item], path: (Item) -> String) -> [Item] {
    guard items.count > 1, list.order != .name else { return items }
    let beside = watched.rotated.union(manifest.entries.map(\.path))
    let paths = NaturalKey.sorted(Array(Set(items.map(path))), beside: beside)
    let ranks = Dictionary(uniqueKeysWithValues: paths.enumerated().map { ($1, $0) })
    var found = items
    for slots in Dictionary(grouping: items.indices, by: { RotatedName.base(of: path(items[$0])) }).values {
      let ordered = slots.sorted { (ranks[path(items[$0])] ?? 0, $0) < (ranks[path(items[$1])] ?? 0, $1) }
      for (slot, from) in zip(slots, ordered) { found[slot] = items[from] }
    }
    return found
  }

  // MARK: - Files that were left

  /// What is new in files that were read to their ends.
  /// - Parameter held: what such were made of that wait; receives those of which it is not known yet what they hold now.
  private func changedSinceLeft(_ held: inout Set<String>) throws(OperatingError) -> [Coming] {
    var entries: [Coming] = []
    var names = FolderNames()
    for var left in watched.left where held.isEmpty || !held.contains(RotatedName.base(of: left.path)) {
      var there = try? FileStatus.of(left.path)
      if there?.identity != left.identity {
        guard let path = names.path(of: left.identity.inode, beside: left.path) else {
          // It may be packed, or be a copy, by another name.
          watched.forget(left.segment)
          watched.lose(left.segment, RotatedName.base(of: manifest.entries[left.segment].path))
          continue
        }
        watched.noteMove(from: left.path, to: path)
        watched.move(left.identity, to: path)
        left.path = path
        there = try? FileStatus.of(path)
      }
      guard let status = there, status.identity == left.identity else { continue }
      // It has a name now of which what was made waits.
      if held.contains(RotatedName.base(of: left.path)) { continue }
      let isTorn = !left.isPacked && status.size > manifest.entries[left.segment].finalSize ?? .max
      // Truncated and written anew it may have as many bytes as before.
      guard status.size != left.size || isTorn || status.modified != left.modified else { continue }
      if left.isPacked {
        if let entry = try grownPacked(left, status) { entries.append(Coming(path: left.path, entry: entry)) }
      } else if let coming = try changed(left, status, &held) {
        entries.append(coming)
      }
    }
    return entries
  }

  private func changed(
    _ left: WatchedFiles.Left, _ status: FileStatus, _ held: inout Set<String>
  ) throws(OperatingError) -> Coming? {
    let entry = manifest.entries[left.segment]
    guard var opened = entry.opened, !opened.format.isColumnar, let final = entry.finalSize,
      let ending = entry.ending
    else { return nil }
    // It may have been replaced by a copy of itself since it was read.
    opened.identity = left.identity
    var opening = left.file
    // One that is gone since its status was asked for is looked for again.
    if opening == nil { opening = try? OpenFile(left.path) }
    guard let file = opening, file.identity == left.identity else { return nil }
    guard status.size >= final, try file.ending(at: final) == ending else {
      let isQuiet = watched.isQuiet("\(left.segment)", status.size)
      // Where it gets more all the time it is told by what it holds.
      let isBegun = status.size >= opened.beginning.length
      let isOther = isBegun ? try !file.begins(with: opened.beginning) : false
      if isQuiet || status.size >= final || isOther {
        try noteRewritten(left, entry, file, status)
      } else {
        // What a copy beside it has, that was truncated, is known once this is known to hold something else.
        held.insert(RotatedName.base(of: left.path))
      }
      return nil
    }
    guard status.size > final else {
      watched.note(left.segment, modified: status.modified)
      return nil
    }
    if try !hasLine(file, behind: final), try !isOver(status, beside: left.path) { return nil }
    watched.forget(left.segment)
    // What is new was read in a copy of it.
    if let copy = try index.copy(file, manifest, at: position, places: [:]), copy != left.segment {
      leave(copy, as: file, size: status.size)
      return nil
    }
    if watched.isFirst(entry.path) {
      notice("\(entry.path) has grown after it was left for a newer file: what is new of it is read behind that")
    }
    let start = FileManifest.Place(offset: final, row: entry.endRow ?? 0)
    return Coming(path: left.path, entry: FileManifest.Entry(path: left.path, opened: opened, start: start))
  }

  /// Takes a file for a new one that was truncated after it was read to its end (copied before, by logrotate's
  /// `copytruncate` for example), once it holds something else.
  private func noteRewritten(
    _ left: WatchedFiles.Left, _ entry: FileManifest.Entry, _ file: OpenFile, _ status: FileStatus
  ) throws(OperatingError) {
    guard let opened = entry.opened, let final = entry.finalSize else { return }
    // It may be about to be written again with what it held; what a copy has besides is not waited for.
    if status.size == 0, try FileLocator.find(entry, besides: left.identity) == nil { return }
    // It is being written again with what it held, so far as can be told.
    if status.size > 0, status.size < final, try file.begins(with: opened.beginning) {
      if watched.isFirst("again \(left.path)") {
        notice(
          "\(left.path) was truncated after it was read, and begins as it did: it is waited for until it holds more")
      }
      return
    }
    if watched.isFirst("rewritten \(left.segment)") { sayRewritten(left.path, entry, besides: left.identity) }
    watched.forget(left.segment)
    watched.lose(left.segment, RotatedName.base(of: entry.path))
    watched.unnote(left.path)
  }

  private func sayRewritten(_ path: String, _ entry: FileManifest.Entry, besides identity: FileIdentity) {
    let copy = try? FileLocator.find(entry, besides: identity)
    let size = (try? copy?.contentSize()) ?? 0
    let hasMore = size > entry.finalSize ?? .max
    notice(FileLocator.rewritten(path, readTo: entry.finalSize ?? 0, restIn: hasMore ? copy?.path : nil))
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
    opened.identity = left.identity
    opened.packed = FileManifest.Packed(compression: file.compression ?? .gzip, ending: try file.packedEndingAsRead())
    return FileManifest.Entry(
      path: left.path, opened: opened, start: FileManifest.Place(offset: final, row: entry.endRow ?? 0))
  }
}
