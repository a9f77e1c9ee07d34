// Finds the files of a manifest again by what they hold: at their paths, or under the names that a rotation gave them,
// compressed or not. What a refusal says of a file that is another one is here too.

import Detection
import Foundation
import Pipeline

/// Knows files of a manifest, and says what is wrong with those that are not.
struct FileLocator {
  /// What a refusal ends with.
  static let remedy = "Put the file back, choose another --data, or start over with --reset"
  /// What ends one that a person can agree to.
  static let acceptance = "\(remedy); --accept-gap goes on without what is missing, and puts that on record"

  // MARK: - Knowing

  /// Whether a file holds what was read as `entry`: it begins and ends as that did, up to where it was read.
  static func holds(_ file: OpenFile, _ entry: FileManifest.Entry) throws(OperatingError) -> Bool {
    guard let opened = entry.opened else { return false }
    if let packed = opened.packed, file.compression == packed.compression,
      try file.packedEnding() == packed.ending
    {
      return true
    }
    // Of what held nothing, nothing can be told.
    if opened.beginning.length == 0 { return false }
    guard try file.begins(with: opened.beginning) else { return false }
    guard let ending = entry.ending else { return true }
    if file.compression == nil, try file.status().size < ending.end { return false }
    return try file.ending(at: ending.end) == ending
  }

  /// Describes a file that is to be read.
  static func describe(_ file: OpenFile, format: FileFormat?) throws(OperatingError) -> FileManifest.Opened {
    var opened = FileManifest.Opened(
      identity: file.identity, beginning: try file.beginning(), format: try Self.format(of: file, expected: format))
    if let compression = file.compression {
      opened.packed = FileManifest.Packed(compression: compression, ending: try file.packedEnding())
    }
    return opened
  }

  /// What lies beside files under names that rotation makes of them or of what belongs to the list, and is not listed.
  /// - Parameters:
  ///   - paths: what is listed.
  ///   - isOfList: whether a path may come to be.
  ///   - before: time of change, of the last file of a path that was read; what is younger is left out. Nil for all.
  static func beside(
    _ paths: [String], isOfList: (String) -> Bool, before: ((String) -> Int64?)? = nil
  ) -> [FileManifest.Beside] {
    let listed = Set(paths)
    let bases = Dictionary(paths.map { (RotatedName.base(of: $0), $0) }, uniquingKeysWith: { first, _ in first })
    var beside: [FileManifest.Beside] = []
    for folder in Set(paths.map { FileList.directory(of: $0) }) {
      let found = siblings(of: (folder == "/" ? "" : folder) + "/.") { path in
        if listed.contains(path) { return false }
        return bases[RotatedName.base(of: path)] != nil || RotatedName.origins(of: path).contains(where: isOfList)
      }
      for (path, status) in found where status.size > 0 {
        if let before, let path = bases[RotatedName.base(of: path)], let time = before(path), status.modified >= time {
          continue
        }
        // What cannot be read now is looked at when it can be.
        guard let file = try? OpenFile(path), let beginning = try? file.beginning(), beginning.length > 0 else {
          continue
        }
        beside.append(FileManifest.Beside(identity: file.identity, beginning: beginning, size: status.size))
      }
    }
    return beside
  }

  static func format(of file: OpenFile, expected: FileFormat?) throws(OperatingError) -> FileFormat {
    let format = try FileFormat.detect(try file.bytes(16), name: file.path, expected: expected)
    if format.isColumnar, let compression = file.compression {
      throw OperatingError(
        .input,
        "\(file.path) is a file of the format \(format.title) that is compressed (\(compression.title)). Unpack it: such "
          + "files are compressed inside, and are read from several places at once")
    }
    return format
  }

  /// Checks that a file can be read as what it is, before anything is.
  /// - Parameter isFollowed: whether it may still grow.
  static func check(
    _ file: OpenFile, _ opened: FileManifest.Opened, path: String, isFollowed: Bool, _ options: ReadOptions,
    _ format: FileFormat?
  ) throws(OperatingError) {
    if let format, format != opened.format {
      throw OperatingError(
        .input, "\(path) was read as \(opened.format.title), now it is to be read as \(format.title). \(remedy)")
    }
    if opened.format == .csv {
      try TextSegmentReader.checkHeader(of: file, path: path, mayGrow: isFollowed, options)
    }
    guard opened.format.isColumnar else { return }
    let reader = try ColumnarSegmentReader.open(file.path, options)
    try options.required.check(path, has: reader.columns.map(\.name)) { reader.hasColumn($0) }
    if isFollowed {
      throw OperatingError(
        .configuration,
        "\(path) is a file of the format \(opened.format.title), which cannot grow: leave out --follow")
    }
  }

  // MARK: - Rotation

  /// The file of an entry in the folder of its path: at the path, or under another name, the same file before a copy and
  /// a plain one before a compressed one. The device is not compared: within a directory it says nothing, and it may
  /// change when the machine starts again.
  /// - Parameter other: a file that is not looked for.
  static func find(
    _ entry: FileManifest.Entry, besides other: FileIdentity? = nil
  ) throws(OperatingError) -> OpenFile? {
    // A rotation gives names away while they are looked at.
    for _ in 0..<maxLooks {
      let before = family(of: entry.path)
      if let found = try findNow(entry, besides: other) { return found }
      if family(of: entry.path) == before { return nil }
    }
    return nil
  }

  private static let maxLooks = 20

  /// When the file of an entry was changed last, wherever it is; nil where it is nowhere.
  static func modified(_ entry: FileManifest.Entry) -> Int64? {
    if let file = try? find(entry) { return try? file.status().modified }
    // One that was empty is known by nothing else.
    guard entry.isBlank, let inode = entry.opened?.identity.inode else { return nil }
    return siblings(of: entry.path).first { $0.status.identity.inode == inode }?.status.modified
  }

  private static func findNow(
    _ entry: FileManifest.Entry, besides other: FileIdentity?
  ) throws(OperatingError) -> OpenFile? {
    guard let opened = entry.opened else { return nil }
    var candidates: [(rank: Int, path: String)] = []
    let base = RotatedName.base(of: entry.path)
    for sibling in siblings(of: entry.path) where sibling.status.identity != other {
      let isSame = sibling.status.identity.inode == opened.identity.inode
      // One that was rotated before may have been rotated again.
      let isRelated = isRotated(sibling.path, of: entry.path) || RotatedName.base(of: sibling.path) == base
      guard isSame || isRelated || sibling.path == entry.path else { continue }
      // Where nothing is known to have been read of it, contents say less: two files may begin alike.
      let isRead = (entry.ending?.end ?? 0) > 0
      guard isSame || isRead || sibling.path != entry.path && opened.beginning.length > 0 else { continue }
      let isPacked = Compression.contentName(sibling.path) != sibling.path
      candidates.append(((isSame ? 0 : 2) + (isPacked ? 1 : 0), sibling.path))
    }
    var alike: [OpenFile] = []
    for candidate in candidates.sorted(by: { ($0.rank, $0.path) < ($1.rank, $1.path) }) {
      guard let file = try? OpenFile(candidate.path), try holds(file, entry) else { continue }
      if file.identity.inode == opened.identity.inode || (entry.ending?.end ?? 0) > 0 { return file }
      // Of a beginning of full length one is enough; of a shorter one, which may be a header, it must be the only one.
      if opened.beginning.length == FileBeginning.maxLength { return file }
      alike.append(file)
    }
    return alike.count == 1 ? alike[0] : nil
  }

  /// Files that took the path of another one after each other.
  struct Rotations {
    /// The oldest first.
    var files: [OpenFile] = []
    /// Those of them that hold what was read as an entry, and more: the entries, by path.
    var grown: [String: Int] = [:]
    /// Whether one is being copied or compressed, or was renamed meanwhile: it is too early to tell which there are.
    var isUnsettled = false
    /// Files that cannot be read, with why not.
    var odd: [(path: String, why: String)] = []
    /// What is to be said of files that begin as others did.
    var alike: [String] = []
  }

  /// Files that were rotated before the one that is at the path now and are not known: the path has changed hands, or was
  /// emptied, more than once. They are told by a rotated name (`log.1`, `log-20250131`, also compressed), by not being in
  /// the manifest and not having been beside it at the first look. Times of change tell nothing: tools set them as they
  /// like.
  /// - Parameters:
  ///   - old: what was at the path before.
  ///   - newest: what is at the path, or was before it was renamed: then only what is older than that. A copy of what it
  ///     holds is none that was there before.
  ///   - manifest: with the endings as they are now.
  static func between(
    _ old: FileIdentity?, _ newest: OpenFile?, path: String, _ manifest: FileManifest, _ index: FileIndex,
    format: FileFormat?
  ) throws(OperatingError) -> Rotations {
    var found = Rotations()
    var newestPath = path
    for candidate in siblings(of: path, where: { $0 == path || isRotated($0, of: path) }) {
      let identity = candidate.status.identity
      if identity == newest?.identity { newestPath = candidate.path }
      guard candidate.path != path, identity != old, identity != newest?.identity, candidate.status.size > 0 else {
        continue
      }
      do throws(OperatingError) {
        guard try FileStatus.of(candidate.path)?.identity == identity else {
          found.isUnsettled = true
          continue
        }
        let file = try OpenFile(candidate.path)
        switch try index.reading(of: file, manifest) {
        case .all: continue
        case .upTo(let segment):
          // It is written, or packed, as it was read, and may be under way still.
          if (0..<quiet.written).contains(age(of: candidate.status)) {
            found.isUnsettled = true
          } else {
            found.files.append(file)
            found.grown[file.path] = segment
          }
          continue
        case .nothing: break
        }
        if try manifest.liesBeside(file) { continue }
        if let newest, try isPart(file, of: newest) {
          // With less than a full beginning two files may begin alike.
          if candidate.status.size >= Int64(FileBeginning.maxLength) { continue }
          if (0..<quiet.written).contains(age(of: candidate.status)) {
            found.isUnsettled = true
            continue
          }
        }
        let readiness = try readiness(of: file, manifest, index)
        switch readiness {
        case .ready, .grownCopy, .alike:
          _ = try Self.format(of: file, expected: format)
          found.files.append(file)
          if case .alike(let why) = readiness { found.alike.append("\(file.path) \(why)") }
          if case .grownCopy(let original) = readiness {
            found.alike.append("\(file.path) \(alike(to: manifest.entries[original]))")
          }
        case .empty, .part, .abandoned: continue
        case .growing: found.isUnsettled = true
        }
      } catch {
        if error == StopSignal.interruption { throw error }
        found.odd.append((candidate.path, "\(error)"))
      }
    }
    // With the path among them it is clear that numbers count rotations.
    let all = NaturalKey.sorted(Array(Set(found.files.map(\.path) + [path, newestPath])))
    let order = newestPath == path ? all : Array(all.prefix { $0 != newestPath })
    found.files = order.compactMap { path in found.files.first { $0.path == path } }
    return found
  }

  /// Whether a plain file holds what another one does, or the beginning of that: it is being copied from there.
  static func isPart(_ copy: OpenFile, of file: OpenFile) throws(OperatingError) -> Bool {
    guard copy.compression == nil, file.compression == nil else { return false }
    let size = try copy.status().size
    guard size > 0, try file.status().size >= size, try copy.ending(at: size) == file.ending(at: size) else {
      return false
    }
    let length = Int(min(size, Int64(FileBeginning.maxLength)))
    return try copy.beginning(upTo: length) == file.beginning(upTo: length)
  }

  /// The files that a path and the names which rotation makes of it name: two looks that differ lie about a rotation.
  static func family(of path: String) -> [String: FileIdentity] {
    let base = RotatedName.base(of: path)
    let members = siblings(of: path) { $0 == path || isRotated($0, of: path) || RotatedName.base(of: $0) == base }
    return Dictionary(uniqueKeysWithValues: members.map { ($0.path, $0.status.identity) })
  }

  /// Whether a file can be read as a new one.
  enum Readiness {
    case ready
    /// It is compressed, and its contents are empty.
    case empty
    /// It holds all that was read as an entry, and more: what is behind that is new.
    case grownCopy(of: Int)
    /// It can, and may be a copy: why that cannot be told.
    case alike(String)
    /// It is not whole, and holds so far what was read as another file: it is being copied or compressed from that.
    case part
    /// It is being copied or compressed; of what cannot be told yet.
    case growing
    /// It is compressed and not whole, and nobody has written to it for long: not waited for before a rotation.
    case abandoned

    var isGrowing: Bool { if case .growing = self { true } else { false } }
  }

  /// For how long a file was not written to that is not being copied or compressed, and one of which the rest will not
  /// come, in nanoseconds.
  private static let quiet: (written: Int64, abandoned: Int64) = (250_000_000, 60_000_000_000)

  /// Whether nobody has written to a file for a moment.
  static func isQuiet(_ status: FileStatus) -> Bool { !(0..<4 * quiet.written).contains(age(of: status)) }

  /// Whether nobody has written to it for so long.
  static func isQuiet(_ status: FileStatus, for time: Duration) -> Bool {
    !(0..<time.nanoseconds).contains(age(of: status))
  }

  /// For how long a file was not written to, in nanoseconds.
  private static func age(of status: FileStatus, now: Date = .now) -> Int64 {
    Int64(now.timeIntervalSince1970 * 1e9) - status.modified
  }

  /// - Parameters:
  ///   - manifest: with the endings of its entries.
  ///   - index: of what was read.
  ///   - waits: whether it can be asked again: a compressed file is left alone then while it is written to.
  /// - Throws: `OperatingError` where it is compressed and damaged.
  static func readiness(
    of file: OpenFile, _ manifest: FileManifest, _ index: FileIndex, places: [Int: String] = [:], waits: Bool = true,
    now: Date = .now
  ) throws(OperatingError) -> Readiness {
    let age = age(of: try file.status(), now: now)
    if file.compression != nil {
      // All of it would be decompressed at every look.
      if waits, (0..<quiet.written).contains(age) { return .growing }
      let size = try file.contentSize()
      if size == 0 { return .empty }
      if size == nil {
        if let problem = file.problem, !file.isIncomplete { throw problem }
        if file.contentOffset >= Int64(FileBeginning.maxLength), index.hasBeginning(try file.beginning()) {
          return .part
        }
        return age < quiet.abandoned ? .growing : .abandoned
      }
    }
    switch try index.likeness(of: file, manifest, places: places) {
    case .none: return .ready
    case .part: return .part
    case .grown(let original): return .grownCopy(of: original)
    case .perhapsGrown(let original): return .alike(alike(to: manifest.entries[original]))
    case .perhapsPart(let original):
      if age < quiet.abandoned { return .growing }
      return .alike(
        "begins as what was read as \(manifest.entries[original].path), which is not there to compare, and nobody has "
          + "written to it for a minute: it is read as a new file. If it is a part of that, its events count twice")
    }
  }

  /// The entry of a copy, by which it is known again without being read.
  static func copy(_ file: OpenFile, of original: FileManifest.Opened) throws(OperatingError) -> FileManifest.Entry {
    var opened = original
    opened.identity = file.identity
    opened.packed = nil
    if let compression = file.compression {
      opened.packed = FileManifest.Packed(compression: compression, ending: try file.packedEnding())
    }
    return FileManifest.Entry(path: file.path, opened: opened, standing: .copy)
  }

  /// Where what was read as an entry ends in a file that holds more.
  static func end(of entry: FileManifest.Entry, in file: OpenFile) throws(OperatingError) -> FileManifest.Place {
    let end = entry.finalSize ?? 0
    if let row = entry.endRow { return FileManifest.Place(offset: end, row: row) }
    return FileManifest.Place(offset: end, row: try lines(of: file, before: end))
  }

  /// Line ends before an offset: how many lines there are.
  private static func lines(of file: OpenFile, before end: Int64) throws(OperatingError) -> Int64 {
    var count: Int64 = 0
    var offset: Int64 = 0
    while offset < end {
      try StopSignal.check()
      let bytes = try file.bytes(Int(min(1 << 20, end - offset)), at: offset)
      if bytes.isEmpty { break }
      count += Int64(bytes.count { $0 == 0x0A })
      offset += Int64(bytes.count)
    }
    return count
  }

  // MARK: - Likeness, said

  /// - Parameter end: to which the entry was read; by default its final size.
  static func grownCopy(of entry: FileManifest.Entry, _ end: Int64? = nil) -> String {
    "holds what was read as \(entry.path), and more: what is behind byte \(end ?? entry.finalSize ?? 0) is read"
  }

  static func rewritten(_ path: String, readTo: Int64, restIn copy: String? = nil) -> String {
    "\(path) was truncated or written anew after it was read to byte \(readTo): what it holds now is read as a new file"
      + (copy.map { ", behind what it had got and \($0) has" }
        ?? ". What it may have got after it was read and before that is in no copy beside it")
  }

  static func alike(to entry: FileManifest.Entry, _ end: Int64? = nil) -> String {
    "holds the \(end ?? entry.finalSize ?? 0) bytes that were read as \(entry.path), and more: it is read as a new file, from its "
      + "beginning. If it is a grown copy of that, these events count twice"
  }

  static func alike(_ path: String, _ length: Int64) -> String {
    "\(path) begins with the \(length) bytes that were read of the file that was there before, and that has another name "
      + "now: it is read as a new file, from its beginning. If it is a grown copy of that, these events count twice"
  }

  // MARK: - Names

  /// Whether a name is one that rotation made of `path`, or that of a compressed copy.
  static func isRotated(_ candidate: String, of path: String) -> Bool {
    let name = Compression.contentName(candidate)
    // A copy that is compressed in place keeps the name.
    return candidate != path && (name == path || RotatedName.isMade(name, of: path))
  }

  /// The files in the folder of a path, by inode.
  static func paths(besides path: String) -> [UInt64: String] {
    var paths: [UInt64: String] = [:]
    for sibling in siblings(of: path) { paths[sibling.status.identity.inode] = sibling.path }
    return paths
  }

  static func siblings(
    of path: String, where isWanted: (String) -> Bool = { _ in true }
  ) -> [(path: String, status: FileStatus)] {
    let directory = FileList.directory(of: path)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.sorted().compactMap { name in
      let path = (directory == "/" ? "" : directory) + "/" + name
      guard isWanted(path), let status = try? FileStatus.of(path), status.isRegular else { return nil }
      return (path, status)
    }
  }

  // MARK: - Refusals

  /// Why the file at a path is not the one that was read there.
  static func refusal(
    _ file: OpenFile, _ entry: FileManifest.Entry, readTo: Int64
  ) throws(OperatingError) -> OperatingError {
    guard let opened = entry.opened else { return replaced(file.path) }
    let size = try file.status().size
    let isText = !opened.format.isColumnar && opened.packed == nil && file.compression == nil
    let begins = try file.begins(with: opened.beginning)
    if isText, size < readTo, begins { return shrunk(file.path, from: readTo, to: size) }
    guard begins, let ending = entry.ending else { return replaced(file.path) }
    return OperatingError(
      .input,
      "\(file.path) is not the file that was read before: it has the same beginning, but the \(ending.length) bytes "
        + "before byte \(ending.end), to which it was read, are different. Expected the same file. \(acceptance)")
  }

  static func grown(_ path: String, from expected: Int64, to size: Int64) -> OperatingError {
    OperatingError(
      .input,
      "\(path) had \(expected) bytes when it was read to its end, now it has \(size). Only the last file of a list may "
        + "change, by growing. Put the file back, choose another --data, or start over with --reset; --accept-gap reads "
        + "what is new of it behind the other files, and puts that on record")
  }

  static func shrunk(_ path: String, from expected: Int64, to size: Int64) -> OperatingError {
    OperatingError(
      .input,
      "\(path) was truncated: it was read to byte \(expected), now it has \(size) bytes, and no copy of what it held is "
        + "beside it. Rotate by renaming or with copytruncate; --accept-gap goes on with what it holds now, and puts that "
        + "on record; or choose another --data, or start over with --reset")
  }

  static func overwritten(_ path: String) -> OperatingError {
    OperatingError(
      .input,
      "\(path) was truncated or overwritten while it was followed: its beginning is not the one that was read, and no "
        + "copy of what it held is beside it. Rotate by renaming or with copytruncate; --accept-gap goes on with what it "
        + "holds now, and puts that on record; or choose another --data, or start over with --reset")
  }

  static func replaced(_ path: String) -> OperatingError {
    OperatingError(
      .input,
      "\(path) is not the file that was read before: its beginning is different. With --follow a file may be rotated "
        + "by renaming; otherwise expected the same file. \(acceptance)")
  }

  static func missing(_ path: String, readTo: Int64, wasRotated: Bool, inode: UInt64) -> OperatingError {
    OperatingError(
      .input,
      wasRotated
        ? "\(path) was rotated, and what was read to byte \(readTo) is not in \(FileList.directory(of: path)) any more: "
          + "what was written to it after that would be lost. Expected a file with inode \(inode) or the same contents. "
          + acceptance : "\(path) was read to byte \(readTo) and is not there any more. \(acceptance)")
  }

  static func gone(_ path: String) -> OperatingError {
    OperatingError(
      .input,
      "\(path) was read before and is not there any more. Expected the files of the list: leave it out, which is right "
        + "where it was deleted on purpose. \(remedy)")
  }

  static func unnamed(_ path: String, readTo: Int64) -> OperatingError {
    OperatingError(
      .input,
      "\(path) was read to byte \(readTo) and has more, and the list does not name it any more: the rest would be lost. "
        + "Name it before the other files. \(acceptance)")
  }
}
