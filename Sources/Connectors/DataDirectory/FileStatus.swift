// What the file system tells of a file.

import Detection
import Foundation

/// What the file system knows a file by, whatever its name.
struct FileIdentity: Sendable, Hashable {
  var device: UInt64
  var inode: UInt64
}

/// What `stat` tells of a file.
struct FileStatus: Sendable, Hashable {
  var identity: FileIdentity
  var size: Int64
  var isRegular: Bool
  var isDirectory: Bool
  /// How many names it has; 0 once it was deleted.
  var links: Int
  /// Time of the last change of the contents, in nanoseconds.
  var modified: Int64

  init(_ status: stat) {
    identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    size = Int64(status.st_size)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    links = Int(status.st_nlink)
    isDirectory = status.st_mode & S_IFMT == S_IFDIR
    #if canImport(Darwin)
      let time = status.st_mtimespec
    #else
      let time = status.st_mtim
    #endif
    modified = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// The status of the file that `path` names now; nil if there is none.
  static func of(_ path: String) throws(OperatingError) -> FileStatus? {
    var status = stat()
    if stat(path, &status) == 0 { return FileStatus(status) }
    if errno == ENOENT { return nil }
    throw OperatingError(.input, "\(path) cannot be read: \(String(cString: strerror(errno)))")
  }
}
