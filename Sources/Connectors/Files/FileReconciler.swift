// A stored list of files and the files that a source names now, brought together. Files are known by what they hold, so
// a list may name others than it did: those that were read are not read again, whatever they are called now, those that
// are new come behind them, and those that are gone were read. What cannot be read any more is refused, or accepted on
// purpose and put on record. A stored list keeps its order.

import Detection
import Foundation
import Pipeline

/// What becomes of a list when a run starts.
struct FileReconciler {
  /// What is on record, with what is new appended.
  private(set) var manifest: FileManifest
  /// Where files of the manifest that are to be read are now, by segment.
  private(set) var places: [Int: String] = [:]
  /// Whether nothing is left to read of the file that the position lies in.
  private(set) var isCurrentDone = false
  /// What was given up, in a sentence each.
  private(set) var gaps: [String] = []
  /// What else a person wants to know, in a sentence each.
  private(set) var notes: [String] = []

  private let position: Position
  private let follows: Bool
  private let acceptsGaps: Bool
  private let isOfList: (String) -> Bool
  private let index: FileIndex
  /// The last entries by their paths, of those that are read.
  private var listed: [String: Int] = [:]
  /// The last entries by their paths, of all; made when it is needed.
  private var lastByPath: [String: Int] = [:]
  private var claimed: Set<Int> = []
  private var named: Set<String> = []
  private var fresh: [(path: String, start: FileManifest.Place)] = []
  private var current: Int { Int(position.segment) }
  /// How many entries are done with in a list that is followed: what becomes of them is seen by looking.
  private let left: Int

  /// - Parameters:
  ///   - follows: what was read before and what is new is left to the looks of a list that is followed then.
  ///   - isOfList: whether the list would have a path if a file were there.
  init(
    _ manifest: FileManifest, at position: Position, follows: Bool, acceptsGaps: Bool,
    isOfList: @escaping (String) -> Bool
  ) {
    self.manifest = manifest
    self.position = position
    self.follows = follows
    self.acceptsGaps = acceptsGaps
    self.isOfList = isOfList
    let current = Int(position.segment)
    let isDone = manifest.isEndOnRecord(current) && manifest.isComplete(current, at: position.offset)
    left = follows ? current + (isDone ? 1 : 0) : 0
    index = FileIndex(manifest, at: position)
    for (segment, entry) in manifest.entries.enumerated() where entry.standing == .listed {
      listed[entry.path] = segment
    }
  }

  /// - Parameter paths: the files that are named now, in order.
  mutating func run(_ paths: [String]) throws(OperatingError) {
    named = Set(paths)
    var missing: [String] = []
    var others: [String] = []
    var conflicts: [(segment: Int, path: String)] = []
    if follows { passBlanks() }
    // What is where it was, or has another name, goes before what is a copy.
    for path in paths {
      guard try FileStatus.of(path) != nil else {
        missing.append(path)
        continue
      }
      let file = try OpenFile(path)
      guard let segment = try index.same(file, manifest) else {
        others.append(path)
        continue
      }
      if segment >= left, try isSuccessor(file, of: segment) {
        if let end = manifest.entries[segment].ending?.end, end > 0 { notes.append(FileLocator.alike(path, end)) }
        conflicts.append((segment, path))
      } else {
        try claim(segment, file)
      }
    }
    var unclaimed: [String] = []
    for path in others {
      let file = try OpenFile(path)
      let match = try index.copy(file, manifest, at: position, places: places)
      // A file that holds what another one does that is there too, where a third one was read, took the place of that.
      if let match, !(listed[path] != nil && claimed.contains(match)) {
        try claim(match, file)
      } else {
        unclaimed.append(path)
      }
    }
    for path in try withoutUnread(unclaimed) {
      guard let segment = listed[path] else {
        try settle(new: try OpenFile(path))
        continue
      }
      if try mayHoldAnything(segment) {
        claimed.insert(segment)
        places[segment] = path
      } else {
        conflicts.append((segment, path))
      }
    }
    for conflict in conflicts { try settle(conflict.segment, conflict.path) }
    try settleCurrent()
    for path in missing { try settle(missing: path) }
    try settleUnread(missing: Set(missing))
    if follows { return readOn() }
    let order = Dictionary(paths.enumerated().map { ($1, $0) }, uniquingKeysWith: min)
    let taken = Set(places.filter { $0.key >= current }.values)
    for file in fresh.sorted(by: { order[$0.path] ?? .max < order[$1.path] ?? .max })
    where file.start.offset > 0 || !taken.contains(file.path) {
      places[manifest.entries.count] = file.path
      manifest.entries.append(FileManifest.Entry(path: file.path, start: file.start))
    }
  }

  /// The last file of a list has an end only where a bounded run read it: it goes on there, whatever comes behind it.
  private mutating func readOn() {
    guard current >= left, !isCurrentDone, manifest.isLast(current), let opened = manifest.entries[current].opened,
      opened.packed == nil, !opened.format.isColumnar
    else { return }
    manifest.entries[current].finalSize = nil
    manifest.entries[current].lastRecordEnd = nil
    manifest.entries[current].endRow = nil
  }

  /// Leaves files that held nothing to the looks: what has come of them is new.
  private mutating func passBlanks() {
    for segment in manifest.entries.indices.dropFirst(current) where isUnreadBlank(segment) {
      claimed.insert(segment)
      if segment == current { isCurrentDone = true }
    }
  }

  private func isUnreadBlank(_ segment: Int) -> Bool {
    manifest.entries[segment].isBlank && manifest.isUnread(segment, at: position)
  }

  /// Gives entries of which nothing was read the files that begin as they did: they may have been rotated, or copied and
  /// truncated, before their turn came. Returns the others.
  private mutating func withoutUnread(_ paths: [String]) throws(OperatingError) -> [String] {
    var found: [Int: [String]] = [:]
    for path in paths {
      for segment in try index.unread(try OpenFile(path)) where !claimed.contains(segment) {
        found[segment, default: []].append(path)
      }
    }
    var taken: Set<String> = []
    for (segment, paths) in found.sorted(by: { $0.key < $1.key }) {
      let free = paths.filter { !taken.contains($0) }
      // Of a beginning of full length one is enough; of a shorter one, which may be a header, it must be the only one.
      let isTold = manifest.entries[segment].opened?.beginning.length == FileBeginning.maxLength
      guard let path = free.first, isTold || free.count == 1 else { continue }
      taken.insert(path)
      try claim(segment, try OpenFile(path))
    }
    return paths.filter { !taken.contains($0) }
  }

  /// Whether what is at the path of an entry now is that entry, whatever it holds: nothing of it was read, and what was
  /// there before is nowhere.
  private func mayHoldAnything(_ segment: Int) throws(OperatingError) -> Bool {
    let entry = manifest.entries[segment]
    guard manifest.isUnread(segment, at: position), !entry.isRotation || entry.isBlank, !claimed.contains(segment)
    else { return false }
    guard follows, let old = try FileLocator.find(entry) else { return true }
    return old.path == entry.path
  }

  /// A file holds what an entry is about.
  private mutating func claim(_ segment: Int, _ file: OpenFile) throws(OperatingError) {
    let entry = manifest.entries[segment]
    guard entry.standing != .copy else { return }
    if entry.standing == .gap {
      notes.append("\(file.path) was given up in part, and stays so")
      return
    }
    if segment < left {
      claimed.insert(segment)
      return
    }
    guard claimed.insert(segment).inserted else { return passOver(file, copyOf: segment) }
    places[segment] = file.path
    // What is followed is what is named, also where the file is still there under the name that it was read by.
    if follows, segment == current, !named.contains(entry.path) { manifest.entries[segment].path = file.path }
    let isElsewhere = file.path != entry.path && file.identity.inode != entry.opened?.identity.inode
    if segment < current {
      if let final = entry.finalSize, entry.opened?.format.isColumnar == false, entry.standing == .listed {
        let size = try isUnchanged(file, entry) ? final : wholeSize(of: file) ?? final
        // What is new may have been read in a copy of it.
        if size > final, index.isLatest(segment, manifest),
          try index.copy(file, manifest, at: position, places: places) == nil
        {
          try accept(grown: segment, file, from: final, to: size)
        }
      }
      if isElsewhere { passOver(file, copyOf: segment) }
    } else if segment == current, manifest.isComplete(segment, at: position.offset), file.compression != nil {
      // Another member may have been appended.
      if try !isUnchanged(file, entry), try wholeSize(of: file) != entry.finalSize { return }
      isCurrentDone = true
      if isElsewhere { passOver(file, copyOf: segment) }
    }
  }

  /// Whether another file took the path of an entry, and that one is beside it: with less than a full beginning it may
  /// begin alike.
  private func isSuccessor(_ file: OpenFile, of segment: Int) throws(OperatingError) -> Bool {
    let entry = manifest.entries[segment]
    let end = entry.ending?.end ?? 0
    guard entry.standing == .listed, entry.path == file.path, file.compression == nil, let opened = entry.opened,
      opened.packed == nil, !opened.format.isColumnar, opened.identity.inode != file.identity.inode,
      opened.beginning.length < FileBeginning.maxLength || end == 0,
      ((follows ? 0 : 1)..<Int64(FileBeginning.maxLength)).contains(end),
      let old = try FileLocator.find(entry), old.identity.inode == opened.identity.inode
    else { return false }
    return follows || FileLocator.isRotated(old.path, of: file.path)
  }

  /// A file that is new, unless it is a copy in the making or a grown one.
  private mutating func settle(new file: OpenFile) throws(OperatingError) {
    if follows { return }
    var place = FileManifest.Place()
    // All of a compressed one is gone through for it.
    let isLikely = index.hasBeginning(try file.beginning())
    if file.compression == nil || isLikely {
      switch try FileLocator.readiness(of: file, manifest, index, places: places, waits: false) {
      case .ready, .empty, .abandoned: break
      case .grownCopy(let original):
        place = try FileLocator.end(of: manifest.entries[original], in: file)
        notes.append("\(file.path) \(FileLocator.grownCopy(of: manifest.entries[original]))")
      case .alike(let why): notes.append("\(file.path) \(why)")
      // It is refused before anything of it is read.
      case .part where file.compression != nil, .growing where file.compression != nil: break
      case .part, .growing:
        notes.append(
          "\(file.path) holds a part of what was read as another file, and nothing else: it is being copied, or was not "
            + "copied to its end, and is passed over until it holds more")
        return
      }
    }
    fresh.append((file.path, place))
  }

  /// Whether a compressed file is, as it is packed, the one that was read.
  private func isUnchanged(_ file: OpenFile, _ entry: FileManifest.Entry) throws(OperatingError) -> Bool {
    guard let packed = entry.opened?.packed, file.compression == packed.compression else { return false }
    return try file.packedEnding() == packed.ending
  }

  /// How many bytes of contents a file has; nil where it is being compressed while it is followed.
  private func wholeSize(of file: OpenFile) throws(OperatingError) -> Int64? {
    if let size = try file.contentSize() { return size }
    if let problem = file.problem, !(follows && file.isIncomplete) { throw problem }
    return nil
  }

  private mutating func passOver(_ file: OpenFile, copyOf segment: Int) {
    // It was said when it was put on record.
    if (try? index.isKnownCopy(file, manifest)) == true { return }
    notes.append(
      "\(file.path) holds what was read as \(manifest.entries[segment].path), and is passed over")
    guard let opened = manifest.entries[segment].opened, let entry = try? FileLocator.copy(file, of: opened) else {
      return
    }
    manifest.entries.append(entry)
  }

  private mutating func accept(
    grown segment: Int, _ file: OpenFile, from final: Int64, to size: Int64
  ) throws(OperatingError) {
    // One that held nothing was not read.
    let isUnread = final == 0
    guard acceptsGaps || isUnread else { throw FileLocator.grown(file.path, from: final, to: size) }
    fresh.append((file.path, try FileLocator.end(of: manifest.entries[segment], in: file)))
    if isUnread { return }
    gaps.append(
      "\(file.path) has grown from \(final) to \(size) bytes after it was read: the rest is read out of order")
  }

  /// A path where another file was read.
  private mutating func settle(_ segment: Int, _ path: String) throws(OperatingError) {
    let entry = manifest.entries[segment]
    if segment < left { return }
    if claimed.contains(segment) || entry.isBlank {
      // What was read there is named as well, under another name. What is there now may be known as another one.
      let file = try OpenFile(path)
      if entry.isBlank, try file.status().size == 0 { return }
      return try settle(new: file)
    }
    if let old = try FileLocator.find(entry), old.path != path {
      // It was rotated, and is beside its place.
      if segment >= current, follows || entry.isRotation && manifest.isUnread(segment, at: position) {
        places[segment] = old.path
        claimed.insert(segment)
        // What followed it at the path is found when its end is reached, with those in between.
        if !follows || !manifest.isLast(segment) { fresh.append((path, FileManifest.Place())) }
        return
      }
      // What is behind its end may be in a later entry.
      let latest = index.latest(segment, in: old, manifest)
      var isRead = segment < current || manifest.isComplete(segment, at: position.offset)
      let size = try old.status().size
      var hasMore = old.compression == nil && (latest == segment || latest < current)
      hasMore = hasMore && size > manifest.entries[latest].finalSize ?? .max
      if hasMore, isRead, named.contains(old.path), FileLocator.isRotated(old.path, of: path) {
        // What took its place is another one, so this is it, also where it has less than a full beginning.
        fresh.removeAll { $0.path == old.path }
        notes.removeAll { $0.hasPrefix("\(old.path) ") }
        fresh.append((old.path, try FileLocator.end(of: manifest.entries[latest], in: old)))
        hasMore = false
      }
      isRead = isRead && entry.finalSize != nil && !hasMore
      // A file that was followed has no end on record.
      if segment == current, old.compression == nil, entry.opened?.format.isColumnar == false, size == position.offset {
        isRead = true
      }
      let isOfOneFile = RotatedName.base(of: old.path) == RotatedName.base(of: path)
      if isRead, isOfOneFile || FileLocator.isRotated(old.path, of: path) {
        claimed.insert(segment)
        if segment == current { isCurrentDone = true }
        return try settle(new: try OpenFile(path))
      }
    }
    let readTo = segment == current ? position.offset : entry.finalSize ?? entry.ending?.end ?? 0
    let file = try OpenFile(path)
    if !acceptsGaps {
      // Another file at the path of the one that was followed: that one was moved away.
      if follows, segment >= current, let opened = entry.opened, opened.identity != file.identity {
        throw FileLocator.missing(path, readTo: readTo, wasRotated: true, inode: opened.identity.inode)
      }
      // Another file, that begins alike.
      if try FileLocator.holds(file, entry), let old = try FileLocator.find(entry) {
        throw FileLocator.unnamed(old.path, readTo: readTo)
      }
      throw try FileLocator.refusal(file, entry, readTo: readTo)
    }
    claimed.insert(segment)
    // From its beginning, also where it was cut off: what is new of it cannot be told from what is left.
    giveUp(
      segment,
      "\(path) was read to byte \(readTo) and holds something else now: it is read as a new file, from its beginning")
    fresh.append((path, FileManifest.Place()))
  }

  private mutating func giveUp(_ segment: Int, _ what: String) {
    gaps.append(what)
    if segment == current { isCurrentDone = true }
    if segment >= current { manifest.entries[segment].standing = .gap }
  }

  /// The file that the position lies in, where no file that is named holds it.
  private mutating func settleCurrent() throws(OperatingError) {
    guard manifest.entries.indices.contains(current) else { return }
    if current < left { isCurrentDone = true }
    if claimed.contains(current) || isCurrentDone { return }
    let entry = manifest.entries[current]
    guard let opened = entry.opened, entry.standing == .listed else {
      isCurrentDone = entry.standing != .listed
      return
    }
    if isUnreadBlank(current) {
      manifest.entries[current].standing = .leftOut
      isCurrentDone = true
      return
    }
    let isNamed = named.contains(entry.path)
    if !isNamed, !entry.isRotation, manifest.isUnread(current, at: position) {
      if follows || isBeside(entry), let file = try FileLocator.find(entry) {
        places[current] = file.path
      } else {
        leaveOut(current)
        isCurrentDone = true
      }
      return
    }
    let isComplete = manifest.isComplete(current, at: position.offset)
    // A list that is followed has files that were rotated from the ones that it names.
    let base = RotatedName.base(of: entry.path)
    let belongs = isNamed || isOfList(entry.path) || named.contains { RotatedName.base(of: $0) == base }
    let mayBeRenamed = follows && belongs || isBeside(entry) || entry.isRotation || manifest.isRotatedAway(current)
    var file: OpenFile?
    if try FileStatus.of(entry.path) != nil {
      let there = try OpenFile(entry.path)
      if try FileLocator.holds(there, entry) { file = there }
    }
    if file == nil && mayBeRenamed { file = try FileLocator.find(entry) }
    if let file {
      places[current] = file.path
      if try !hasMore(file, opened) {
        if !isNamed { isCurrentDone = !mayBeRenamed }
        return
      }
      if mayBeRenamed || isNamed { return }
      guard acceptsGaps else { throw FileLocator.unnamed(file.path, readTo: position.offset) }
      return giveUp(current, "\(file.path) was read to byte \(position.offset), and the list does not name it any more")
    }
    if isComplete {
      if isNamed && !follows { throw FileLocator.gone(entry.path) }
      isCurrentDone = true
      return
    }
    // A copy that was listed as a file of its own.
    for (segment, path) in places.sorted(by: { $0.key < $1.key }) where segment > current {
      guard (entry.ending?.end ?? 0) > 0, try FileLocator.holds(OpenFile(path), entry) else { continue }
      manifest.entries[segment].standing = .copy
      places[current] = path
      return
    }
    guard acceptsGaps else {
      throw FileLocator.missing(
        entry.path, readTo: position.offset, wasRotated: mayBeRenamed, inode: opened.identity.inode)
    }
    giveUp(current, "\(entry.path) was read to byte \(position.offset) and is not there any more")
  }

  /// Whether a file was read because it lay beside one of the list, under a name that rotation makes.
  private func isBeside(_ entry: FileManifest.Entry) -> Bool {
    !named.contains(entry.path) && !isOfList(entry.path)
      && RotatedName.origins(of: entry.path).contains(where: isOfList)
  }

  /// Whether there is anything but blanks behind the position.
  private func hasMore(_ file: OpenFile, _ opened: FileManifest.Opened) throws(OperatingError) -> Bool {
    let isComplete = manifest.isComplete(current, at: position.offset)
    if opened.format.isColumnar { return !isComplete }
    if file.compression != nil { return isComplete ? false : try file.contentSize() != position.offset }
    let rest = try file.bytes(64 << 10, at: position.offset)
    return rest.contains { $0 != 0x0A && $0 != 0x0D && $0 != 0x20 && $0 != 0x09 }
  }

  /// A path that is named and where no file is.
  private mutating func settle(missing path: String) throws(OperatingError) {
    if lastByPath.isEmpty {
      for (segment, entry) in manifest.entries.enumerated() { lastByPath[entry.path] = segment }
    }
    guard let last = lastByPath[path] else { throw OperatingError(.input, "there is no file \(path). Check --source") }
    if claimed.contains(last) || last == current && (places[last] != nil || manifest.entries[last].standing == .gap) {
      return
    }
    // It is about to be created by whoever rotated it, or was deleted.
    if last < left || follows && last == current && manifest.isLast(last) { return }
    if last > current { return }
    guard acceptsGaps else { throw FileLocator.gone(path) }
  }

  /// Files that were listed and are not read yet.
  private mutating func settleUnread(missing: Set<String>) throws(OperatingError) {
    let taken = Set(places.values)
    for segment in manifest.entries.indices where segment > current && !claimed.contains(segment) {
      let entry = manifest.entries[segment]
      guard entry.standing == .listed else { continue }
      if entry.isBlank, !missing.contains(entry.path) {
        manifest.entries[segment].standing = .leftOut
      } else if entry.isRotation, !entry.isBlank, let opened = entry.opened {
        if let file = try FileLocator.find(entry) {
          places[segment] = file.path
          continue
        }
        guard acceptsGaps else {
          throw FileLocator.missing(entry.path, readTo: 0, wasRotated: true, inode: opened.identity.inode)
        }
        giveUp(segment, "\(entry.path) was rotated before it was read, and is not there any more")
      } else if missing.contains(entry.path) {
        guard follows, let file = try FileLocator.find(entry) else {
          throw OperatingError(.input, "there is no file \(entry.path). Check --source")
        }
        places[segment] = file.path
      } else if taken.contains(entry.path), let opened = entry.opened,
        try OpenFile(entry.path).begins(with: opened.beginning)
      {
        // What is at its path goes on with an earlier file.
        manifest.entries[segment].standing = .copy
      } else {
        if follows || isBeside(entry), let file = try FileLocator.find(entry), !taken.contains(file.path) {
          places[segment] = file.path
        } else {
          leaveOut(segment)
        }
      }
    }
  }

  private mutating func leaveOut(_ segment: Int) {
    let path = manifest.entries[segment].path
    notes.append("\(path) was listed and not read, and the list does not name it any more: it is left out")
    manifest.entries[segment].standing = .leftOut
  }
}
