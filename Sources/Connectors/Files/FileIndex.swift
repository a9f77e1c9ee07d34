// The entries of a manifest by what files are known by, so that a file is looked up and not compared with all of them: a
// list may have many thousands.

import Detection
import Pipeline

/// Finds the entry that a file is about.
struct FileIndex {
  private var byPath: [String: [Int]] = [:]
  private var byInode: [UInt64: [Int]] = [:]
  /// Files that were read to their ends, by the hash of all that a beginning can have of them.
  private var byBeginning: [[UInt8]: [Int]] = [:]
  /// Others by what is known of their beginnings: those that are being read or are still to be, and those that an early
  /// version stored. Of few lengths.
  private var unfinished: [FileBeginning: [Int]] = [:]
  private var unfinishedLengths: Set<Int> = []
  /// The same of those of which nothing was read.
  private var unread: [FileBeginning: [Int]] = [:]
  private var unreadLengths: Set<Int> = []
  private var byPacked: [FileEnding: Int] = [:]
  /// Copies of what was read, by their inodes.
  private var copies: [UInt64: [Int]] = [:]
  /// Sizes of files that were read to their ends, had records, and are shorter than a beginning.
  private var shortSizes: Set<Int> = []
  /// The last entries that go on in an earlier one's file, by where they begin and by that file or its path. A file that
  /// was deleted gives its inode to another one, of which nothing is continued yet.
  private var continued: [Continuation: Int] = [:]

  private enum Continuation: Hashable {
    case ofFile(UInt64, at: Int64)
    /// What begins otherwise is of another generation of the path; only a beginning of full length can tell.
    case ofPath(String, at: Int64, beginning: [UInt8]?)
  }

  /// More sizes of short files are not looked for in a new one.
  private static let maxShortSizes = 64

  init() {}

  /// - Parameter position: where reading goes on.
  init(_ manifest: FileManifest, at position: Position) {
    for segment in manifest.entries.indices {
      insert(segment, manifest.entries[segment], isBegun: !manifest.isUnread(segment, at: position))
    }
  }

  /// - Parameter isBegun: whether something of it may have been read.
  mutating func insert(_ segment: Int, _ entry: FileManifest.Entry, isBegun: Bool = true) {
    guard let opened = entry.opened else { return }
    // What was left out may be listed again, and is known by nothing; nor is what held nothing.
    guard entry.standing != .leftOut, !entry.isBlank else { return }
    if let packed = opened.packed { byPacked[packed.ending] = segment }
    // What a copy holds is in the entry that it is a copy of.
    guard entry.standing != .copy else {
      copies[opened.identity.inode, default: []].append(segment)
      return
    }
    byPath[entry.path, default: []].append(segment)
    byInode[opened.identity.inode, default: []].append(segment)
    if entry.start.offset > 0 {
      continued[.ofFile(opened.identity.inode, at: entry.start.offset)] = segment
      continued[Self.ofPath(entry.path, at: entry.start.offset, opened)] = segment
    }
    let length = opened.beginning.length
    guard length > 0 else { return }
    if let final = entry.finalSize, Int64(length) == min(final, Int64(FileBeginning.maxLength)) {
      byBeginning[opened.beginning.sha256, default: []].append(segment)
      if length < FileBeginning.maxLength, entry.lastRecordEnd ?? 0 > 0 { shortSizes.insert(length) }
    } else if isBegun {
      unfinished[opened.beginning, default: []].append(segment)
      unfinishedLengths.insert(length)
    } else {
      unread[opened.beginning, default: []].append(segment)
      unreadLengths.insert(length)
    }
  }

  /// Whether no later entry goes on in the same file.
  func isLatest(_ segment: Int, _ manifest: FileManifest) -> Bool {
    let entry = manifest.entries[segment]
    guard let end = entry.finalSize, let opened = entry.opened else { return true }
    if continued[.ofFile(opened.identity.inode, at: end)] ?? 0 > segment { return false }
    // Many rotated files have had one path.
    return manifest.isRotatedAway(segment) || continued[Self.ofPath(entry.path, at: end, opened)] ?? 0 <= segment
  }

  /// The last entry that goes on in a file where an entry of it, or one that goes on in it, ended.
  func latest(_ segment: Int, in file: OpenFile, _ manifest: FileManifest) -> Int {
    var latest = segment
    while let end = manifest.entries[latest].finalSize {
      let ofPath = Self.ofPath(file.path, at: end, manifest.entries[latest].opened)
      let next = max(continued[.ofFile(file.identity.inode, at: end)] ?? 0, continued[ofPath] ?? 0)
      guard next > latest else { break }
      latest = next
    }
    return latest
  }

  private static func ofPath(_ path: String, at offset: Int64, _ opened: FileManifest.Opened?) -> Continuation {
    let isWhole = offset >= Int64(FileBeginning.maxLength)
    return .ofPath(path, at: offset, beginning: isWhole ? opened?.beginning.sha256 : nil)
  }

  /// The entry that a file is of which the path or the file itself is the same, and that holds what was read of it.
  func same(_ file: OpenFile, _ manifest: FileManifest) throws(OperatingError) -> Int? {
    let candidates = (byPath[file.path] ?? []).reversed() + (byInode[file.identity.inode] ?? []).reversed()
    for segment in candidates {
      if try FileLocator.holds(file, manifest.entries[segment]) { return segment }
    }
    return nil
  }

  /// What was read of a file that is under another name now, or is a copy.
  enum Reading: Equatable {
    case all
    /// What there was when an entry ended, which is no less than a beginning of full length.
    case upTo(Int)
    /// Nothing that is known.
    case nothing
  }

  func reading(of file: OpenFile, _ manifest: FileManifest) throws(OperatingError) -> Reading {
    var candidates = byInode[file.identity.inode] ?? []
    if file.compression != nil, let segment = byPacked[try file.packedEnding()] { candidates.append(segment) }
    candidates += alike(try file.bytes(FileBeginning.maxLength))
    var latest: (segment: Int, end: Int64)?
    for segment in candidates {
      let entry = manifest.entries[segment]
      guard let opened = entry.opened, opened.beginning.length > 0 else { continue }
      let isSame = opened.identity.inode == file.identity.inode
      let end = entry.ending?.end ?? 0
      guard isSame || end > 0, try FileLocator.holds(file, entry) else { continue }
      // What a file itself gets after it was left is seen by looking at it.
      if isSame && file.compression == nil || opened.format.isColumnar { return .all }
      guard let size = try file.contentSize(), size > end, opened.packed?.ending != (try packedEnding(of: file)) else {
        return .all
      }
      // With less than a full beginning it may be another one that begins alike.
      if end >= Int64(FileBeginning.maxLength), end > latest?.end ?? 0 { latest = (segment, end) }
    }
    return latest.map { .upTo($0.segment) } ?? .nothing
  }

  private func packedEnding(of file: OpenFile) throws(OperatingError) -> FileEnding? {
    file.compression == nil ? nil : try file.packedEnding()
  }

  /// Whether a file is on record as a copy of what was read.
  func isKnownCopy(_ file: OpenFile, _ manifest: FileManifest) throws(OperatingError) -> Bool {
    for segment in copies[file.identity.inode] ?? [] {
      if try FileLocator.holds(file, manifest.entries[segment]) { return true }
    }
    return false
  }

  /// Whether an entry is known by this beginning.
  func hasBeginning(_ beginning: FileBeginning) -> Bool {
    byBeginning[beginning.sha256] != nil || unfinished[beginning] != nil
  }

  /// The entries that begin as a file does, as far as is known of them, whatever it has beyond that; the last first.
  private func alike(_ bytes: [UInt8]) -> [Int] {
    var found = byBeginning[FileBeginning(of: bytes).sha256] ?? []
    for length in unfinishedLengths where length <= bytes.count {
      found += unfinished[FileBeginning(of: Array(bytes.prefix(length)))] ?? []
    }
    return found.sorted(by: >)
  }

  /// The entries of which nothing was read and that begin as a file does, the first first.
  func unread(_ file: OpenFile) throws(OperatingError) -> [Int] {
    if unread.isEmpty { return [] }
    let bytes = try file.bytes(FileBeginning.maxLength)
    var found: [Int] = []
    for length in unreadLengths where length <= bytes.count {
      found += unread[FileBeginning(of: Array(bytes.prefix(length)))] ?? []
    }
    return found.sorted()
  }

  /// The entry that a file is a copy of, compressed or not: of all that was read of it.
  /// - Parameter places: where the files of entries are, of those that are known to be there.
  func copy(
    _ file: OpenFile, _ manifest: FileManifest, at position: Position, places: [Int: String]
  ) throws(OperatingError) -> Int? {
    if file.compression != nil, let segment = byPacked[try file.packedEnding()] { return segment }
    for segment in alike(try file.bytes(FileBeginning.maxLength)) {
      if try isCopy(file, of: segment, manifest, at: position, place: places[segment]) { return segment }
    }
    return nil
  }

  /// Whether a file under another name holds what was read of an entry: exactly that of one that was read to its end, at
  /// least that of the one that is being read, and all of what that one has where it is there as well.
  private func isCopy(
    _ file: OpenFile, of segment: Int, _ manifest: FileManifest, at position: Position, place: String?
  ) throws(OperatingError) -> Bool {
    let entry = manifest.entries[segment]
    guard let opened = entry.opened, !opened.format.isColumnar else { return false }
    let isPartial = segment == Int(position.segment) && !manifest.isComplete(segment, at: position.offset)
    guard let ending = entry.ending, ending.end > 0 else {
      // Of a compressed file that is being read only its beginning is known.
      return isPartial && opened.packed != nil && position.offset > 0 && place == nil
    }
    guard try file.ending(at: ending.end) == ending else { return false }
    if isPartial {
      guard let place else { return true }
      guard let other = try OpenFile.there(place), let size = try other.contentSize(), size > 0 else { return false }
      let end = try other.ending(at: size)
      guard try file.contentSize() == size else { return false }
      return try file.ending(at: size) == end
    }
    guard let final = entry.finalSize, ending.end == final else { return false }
    return try file.contentSize() == final
  }

  // MARK: - Parts and grown copies

  /// What a file that is no copy has in common with one that was read.
  enum Likeness: Equatable {
    /// It holds the beginning of what an entry's file holds, and nothing else so far.
    case part(of: Int)
    /// It begins as an entry did and is shorter; the file of that is not there to compare.
    case perhapsPart(of: Int)
    /// It holds all that was read of an entry, to its end and not less than a beginning of full length, and more.
    case grown(from: Int)
    /// The same of an entry of which less was read: it may be a grown copy, or only begin alike.
    case perhapsGrown(from: Int)
    case none
  }

  /// What a file that is no copy has in common with one that was read under another name.
  /// - Parameter places: where files of entries are now, by segment; by default at their paths.
  func likeness(
    of file: OpenFile, _ manifest: FileManifest, places: [Int: String]
  ) throws(OperatingError) -> Likeness {
    let bytes = try file.bytes(FileBeginning.maxLength)
    if bytes.count < FileBeginning.maxLength { return shortLikeness(of: file, bytes, manifest) }
    for segment in alike(bytes) {
      let entry = manifest.entries[segment]
      guard let opened = entry.opened, !opened.format.isColumnar,
        opened.beginning.length == FileBeginning.maxLength, let ending = entry.ending, ending.end > 0
      else { continue }
      var isGrown = entry.finalSize == ending.end && isLatest(segment, manifest)
      if isGrown { isGrown = try file.ending(at: ending.end) == ending }
      guard file.compression == nil else {
        if isGrown { return .grown(from: segment) }
        continue
      }
      let size = try file.status().size
      if let original = try Self.original(of: entry, at: places[segment] ?? entry.path, besides: file) {
        if try file.ending(at: size) == original.ending(at: size) { return .part(of: segment) }
      } else if size < ending.end {
        return .perhapsPart(of: segment)
      }
      if isGrown { return .grown(from: segment) }
    }
    return .none
  }

  /// The file of an entry, where it is or beside that: another one than `file`, which is no part of itself.
  private static func original(
    of entry: FileManifest.Entry, at path: String, besides file: OpenFile
  ) throws(OperatingError) -> OpenFile? {
    if let there = try? OpenFile(path), there.identity != file.identity, try FileLocator.holds(there, entry) {
      return there
    }
    return try FileLocator.find(entry, besides: file.identity)
  }

  /// The same of a file shorter than a full beginning. It was copied in one piece, if it was copied: programs copy pages.
  private func shortLikeness(of file: OpenFile, _ bytes: [UInt8], _ manifest: FileManifest) -> Likeness {
    guard shortSizes.count <= Self.maxShortSizes else { return .none }
    for length in shortSizes.sorted(by: >) where length < bytes.count {
      let found = byBeginning[FileBeginning(of: Array(bytes.prefix(length))).sha256] ?? []
      if let segment = found.last { return .perhapsGrown(from: segment) }
    }
    return .none
  }
}
