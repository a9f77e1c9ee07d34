// Finds the files of a manifest again: at their paths, or under the names that a rotation gave them. Refuses files
// that are not the ones that were read.

import Detection
import Foundation
import Pipeline

/// Looks up files of a manifest.
struct FileLocator {
  /// Whether the last file is followed, so that it may have been rotated since.
  var follows: Bool

  /// What a refusal ends with.
  static let remedy = "Put the file back, choose another --data, or start over with --reset"

  /// Checks that the files now listed are those of the manifest and possibly more, and appends the new ones.
  static func extend(_ manifest: inout FileManifest, to paths: [String]) throws(OperatingError) {
    let listed = manifest.listed
    for (index, expected) in listed.enumerated() where index >= paths.count || paths[index] != expected {
      let found = index < paths.count ? "now it is \(paths[index])" : "now the list has only \(paths.count)"
      throw OperatingError(
        .input,
        "the list of files has changed: file \(index + 1) was \(expected), \(found). A list may only be extended at "
          + "its end: name the same files in the same order, choose another --data, or start over with --reset")
    }
    for path in paths.dropFirst(listed.count) { manifest.entries.append(FileManifest.Entry(path: path)) }
  }

  /// Checks every file before anything is read: those that were left must be unchanged, the others readable.
  func check(_ manifest: FileManifest, from position: Position, _ options: ReadOptions, _ format: FileFormat?)
    throws(OperatingError)
  {
    for (segment, entry) in manifest.entries.enumerated() {
      if segment < Int(position.segment) {
        // What rotated away and was read to its end may be compressed or deleted.
        if !manifest.isRotatedAway(segment) { try checkFinished(entry) }
        continue
      }
      if entry.isRotation && entry.opened == nil { continue }
      let file = try open(manifest, segment, readTo: segment == Int(position.segment) ? position.offset : 0)
      var found = entry.opened?.format
      if found == nil { found = try Self.format(of: file, name: entry.path, expected: format) }
      guard let found else { continue }
      if let format, format != found {
        throw OperatingError(
          .input, "\(entry.path) was read as \(found.title), now it is to be read as \(format.title). \(Self.remedy)")
      }
      let isFollowed = follows && segment == manifest.entries.count - 1
      if found == .csv {
        try TextSegmentReader.checkHeader(of: file, path: entry.path, mayGrow: isFollowed, options)
      }
      guard found.isColumnar else { continue }
      let reader = try ColumnarSegmentReader.open(file.path, options)
      try options.required.check(entry.path, has: reader.columns.map(\.name)) { reader.hasColumn($0) }
      if isFollowed {
        throw OperatingError(
          .configuration, "\(entry.path) is a file of the format \(found.title), which cannot grow: leave out --follow")
      }
    }
  }

  static func format(of file: OpenFile, name: String, expected: FileFormat?) throws(OperatingError) -> FileFormat {
    try FileFormat.detect(try file.bytes(16), name: name, expected: expected)
  }

  private func checkFinished(_ entry: FileManifest.Entry) throws(OperatingError) {
    guard let opened = entry.opened, let status = try FileStatus.of(entry.path) else {
      throw OperatingError(
        .input,
        "\(entry.path) was read before and is not there any more. Expected the files of the list. \(Self.remedy)")
    }
    let file = try OpenFile(entry.path)
    guard try file.begins(with: opened.beginning) else { throw Self.replaced(entry.path) }
    guard let size = entry.finalSize, size != status.size else { return try Self.checkEnding(of: file, entry) }
    throw OperatingError(
      .input,
      "\(entry.path) had \(size) bytes when it was read to its end, now it has \(status.size). Only the last file of a "
        + "list may change, by growing. \(Self.remedy)")
  }

  /// Opens the file of a segment: a new one at its path, a known one wherever it is now.
  /// - Parameter readTo: how far it was read.
  func open(_ manifest: FileManifest, _ segment: Int, readTo: Int64) throws(OperatingError) -> OpenFile {
    let entry = manifest.entries[segment]
    guard let opened = entry.opened else { return try OpenFile(entry.path) }
    let mayBeRenamed = entry.isRotation || manifest.isRotatedAway(segment) || (follows && isLast(manifest, segment))
    var atPath: OpenFile?
    if let status = try FileStatus.of(entry.path) {
      let file = try OpenFile(entry.path)
      if status.identity == opened.identity {
        guard try file.begins(with: opened.beginning) else { throw Self.replaced(entry.path) }
        return try checkSize(file, entry, opened, readTo)
      }
      atPath = file
    }
    if mayBeRenamed, let renamed = try find(opened, besides: entry.path) {
      return try checkSize(renamed, entry, opened, readTo)
    }
    // The same content under another identity: restored from a copy, or the file system was mounted anew.
    if let atPath, try atPath.begins(with: opened.beginning), !manifest.isRotatedAway(segment) {
      return try checkSize(atPath, entry, opened, readTo)
    }
    if mayBeRenamed {
      throw OperatingError(
        .input,
        "\(entry.path) was rotated, and what was read to byte \(readTo) is not in "
          + "\(FileList.directory(of: entry.path)) any more: what was written to it after that would be lost. Expected a file with inode "
          + "\(opened.identity.inode) and the same beginning, not compressed. \(Self.remedy)")
    }
    guard atPath != nil else {
      throw OperatingError(
        .input, "\(entry.path) was read to byte \(readTo) and is not there any more. \(Self.remedy)")
    }
    throw Self.replaced(entry.path)
  }

  private func isLast(_ manifest: FileManifest, _ segment: Int) -> Bool { segment == manifest.entries.count - 1 }

  private func checkSize(
    _ file: OpenFile, _ entry: FileManifest.Entry, _ opened: FileManifest.Opened, _ readTo: Int64
  ) throws(OperatingError) -> OpenFile {
    let size = try file.status().size
    if !opened.format.isColumnar && size < readTo { throw Self.shrunk(file.path, from: readTo, to: size) }
    if opened.format.isColumnar, let final = entry.finalSize, final != size {
      throw OperatingError(
        .input, "\(file.path) had \(final) bytes when it was read, now it has \(size). \(Self.remedy)")
    }
    try Self.checkEnding(of: file, entry)
    return file
  }

  /// Refuses a file whose bytes before the place it was read to are others now.
  private static func checkEnding(of file: OpenFile, _ entry: FileManifest.Entry) throws(OperatingError) {
    guard let ending = entry.ending, try file.ending(at: ending.end) != ending else { return }
    throw OperatingError(
      .input,
      "\(file.path) is not the file that was read before: it has the same beginning, but the \(ending.length) bytes "
        + "before byte \(ending.end), to which it was read, are different. Expected the same file. \(remedy)")
  }

  static func shrunk(_ path: String, from expected: Int64, to size: Int64) -> OperatingError {
    OperatingError(
      .input,
      "\(path) was truncated: it was read to byte \(expected), now it has \(size) bytes. Rotate by renaming instead "
        + "(logrotate: without copytruncate), then choose another --data or start over with --reset")
  }

  static func overwritten(_ path: String) -> OperatingError {
    OperatingError(
      .input,
      "\(path) was truncated or overwritten while it was followed: its beginning is not the one that was read. "
        + "Rotate by renaming instead (logrotate: without copytruncate), then choose another --data or start over "
        + "with --reset")
  }

  static func replaced(_ path: String) -> OperatingError {
    OperatingError(
      .input,
      "\(path) is not the file that was read before: its beginning is different. With --follow a file may be rotated "
        + "by renaming; otherwise expected the same file. \(remedy)")
  }

  // MARK: - Rotation

  /// The file with the remembered inode and beginning in the directory of `path`. The device is not compared: within a
  /// directory it says nothing, and it may change when the machine starts again.
  private func find(_ opened: FileManifest.Opened, besides path: String) throws(OperatingError) -> OpenFile? {
    for candidate in siblings(of: path) where candidate.path != path {
      guard candidate.status.identity.inode == opened.identity.inode, let file = try? OpenFile(candidate.path) else {
        continue
      }
      if try file.begins(with: opened.beginning) { return file }
    }
    return nil
  }

  /// Files that were rotated after `current` and before the one that is at the path now: the path has changed hands
  /// more than once. They are known by a rotated name (`log.1`, `log-20250131`), a time of change that is not earlier,
  /// and by not being in the manifest; the oldest comes first.
  /// - Throws: `OperatingError` where such a file is compressed already.
  func between(
    _ current: OpenFile, _ newest: FileIdentity, path: String, _ manifest: FileManifest
  ) throws(OperatingError) -> [OpenFile] {
    let start = try current.status()
    var found: [(modified: Int64, file: OpenFile)] = []
    for candidate in siblings(of: path) where candidate.status.modified >= start.modified {
      let identity = candidate.status.identity
      guard identity != start.identity, identity != newest, candidate.status.size > 0,
        let kind = Self.rotatedKind(candidate.path, of: path)
      else { continue }
      if kind == .compressed {
        throw OperatingError(
          .input,
          "\(path) was rotated more than once, and \(candidate.path) is compressed. Unpack it beside its place with "
            + "its time kept (gunzip -k) and run again, or start over with --reset")
      }
      let file = try OpenFile(candidate.path)
      if try !isKnown(file, manifest) { found.append((candidate.status.modified, file)) }
    }
    return found.sorted { ($0.modified, $1.file.path) < ($1.modified, $0.file.path) }.map(\.file)
  }

  private func isKnown(_ file: OpenFile, _ manifest: FileManifest) throws(OperatingError) -> Bool {
    for entry in manifest.entries {
      guard let opened = entry.opened, opened.identity.inode == file.identity.inode else { continue }
      if opened.beginning.length > 0, try file.begins(with: opened.beginning) { return true }
    }
    return false
  }

  private enum RotatedKind { case plain, compressed }

  /// Whether a name is the one of `path` with a number or a date appended, as rotation does.
  private static func rotatedKind(_ candidate: String, of path: String) -> RotatedKind? {
    guard candidate.hasPrefix(path), candidate != path else { return nil }
    var suffix = candidate.dropFirst(path.count)
    let compressed = [".gz", ".xz", ".zst", ".bz2"].first { suffix.hasSuffix($0) }
    if let compressed { suffix = suffix.dropLast(compressed.count) }
    guard let first = suffix.first, ".-_".contains(first), suffix.count > 1,
      suffix.allSatisfy({ $0.isASCII && ($0.isNumber || ".-_:TZ".contains($0)) })
    else { return nil }
    return compressed == nil ? .plain : .compressed
  }

  private func siblings(of path: String) -> [(path: String, status: FileStatus)] {
    let directory = FileList.directory(of: path)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.sorted().compactMap { name in
      let path = (directory == "/" ? "" : directory) + "/" + name
      guard let status = try? FileStatus.of(path), status.isRegular else { return nil }
      return (path, status)
    }
  }
}
