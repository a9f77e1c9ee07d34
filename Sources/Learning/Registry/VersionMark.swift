// What files are known by, so that nobody reads again what was read before: a version's files do not change once they are
// there, and where one was exchanged or damaged it is another file, or was written later.

import Foundation

/// One state of a file.
public struct FileMark: Sendable, Hashable {
  /// A file that is replaced has another one.
  private let inode: UInt64
  private let seconds: Int
  private let nanoseconds: Int
  private let size: Int64

  /// The state of a file now. Nothing is opened.
  /// - Returns: nil where there is no file, or it cannot be looked at.
  public init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    #if os(Linux)
      let changed = status.st_mtim
    #else
      let changed = status.st_mtimespec
    #endif
    inode = UInt64(status.st_ino)
    (seconds, nanoseconds) = (Int(changed.tv_sec), Int(changed.tv_nsec))
    size = Int64(status.st_size)
  }
}

/// One state of the files of a version.
public struct VersionMark: Sendable, Hashable {
  fileprivate let files: [String: FileMark]

  /// Names of the files that are not there, sorted.
  public var missing: [String] {
    [ModelRegistry.File.model, ModelRegistry.File.document, ModelRegistry.File.manifest].filter { files[$0] == nil }
      .sorted()
  }
}

extension ModelRegistry {
  /// Names of the versions of a detector, whatever state they are in, sorted. No file is opened.
  /// - Throws: `OperatingError` where the folder cannot be read.
  public func versions(of detector: String) throws -> [String] {
    let root = try path(of: detector)
    return try RegistryFiles.names(in: root).filter {
      !$0.hasPrefix(".") && RegistryFiles.isFolder("\(root)/\($0)")
    }
  }

  /// The state of the files of a version. No file is opened.
  /// - Throws: `OperatingError` where it cannot be the name of a version.
  public func mark(of version: String, of detector: String) throws -> VersionMark {
    let folder = try path(of: detector, version)
    let marks = [File.model, File.document, File.manifest].map { ($0, FileMark("\(folder)/\($0)")) }
    return VersionMark(
      files: Dictionary(marks.compactMap { name, mark in mark.map { (name, $0) } }) { first, _ in first })
  }

  /// The state of what says which version is champion; nil where no version was promoted yet.
  /// - Throws: `OperatingError` where it cannot be the name of a detector.
  public func championMark(of detector: String) throws -> FileMark? { FileMark(try championPath(of: detector)) }
}
