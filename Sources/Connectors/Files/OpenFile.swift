// A regular file that is open for reading, and what identifies a file across renames.

import Crypto
import Detection
import Foundation
import Pipeline

/// What the file system knows a file by, whatever its name.
struct FileIdentity: Sendable, Hashable {
  var device: UInt64
  var inode: UInt64
}

/// Length and SHA-256 of the first bytes of a file: what tells a replaced file from the one that was read.
struct FileBeginning: Sendable, Hashable {
  /// The most bytes that are hashed: enough to tell files apart, and one page to read.
  static let maxLength = 4096

  var length: Int
  var sha256: [UInt8]

  init(length: Int, sha256: [UInt8]) {
    self.length = length
    self.sha256 = sha256
  }

  init(of bytes: [UInt8]) {
    self.init(length: bytes.count, sha256: Array(SHA256.hash(data: bytes)))
  }
}

/// Hash of the bytes that end where a file was read to: what tells that the part that was read is still the same, where
/// a file was replaced by one of the same size and beginning.
struct FileEnding: Sendable, Hashable {
  /// The most bytes that are hashed.
  static let maxLength = 4096

  /// Offset of the byte behind them.
  var end: Int64
  var length: Int
  var sha256: [UInt8]
}

/// What `stat` tells of a file.
struct FileStatus: Sendable, Hashable {
  var identity: FileIdentity
  var size: Int64
  var isRegular: Bool
  var isDirectory: Bool
  /// Time of the last change of the contents, in nanoseconds.
  var modified: Int64

  init(_ status: stat) {
    identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    size = Int64(status.st_size)
    isRegular = status.st_mode & S_IFMT == S_IFREG
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
    throw OperatingError(.input, "\(path) cannot be read: \(StopSignal.reason(errno))")
  }
}

/// An open regular file. Reads name their offset, so nothing is shared but the descriptor.
final class OpenFile {
  /// The name it was opened by; a rotation may have given it another since.
  let path: String
  let identity: FileIdentity
  private let descriptor: Int32

  /// - Throws: `OperatingError` where there is no such file, it is not a regular one, or it may not be read.
  init(_ path: String) throws(OperatingError) {
    guard let status = try FileStatus.of(path) else {
      throw OperatingError(.input, "there is no file \(path). Check --source")
    }
    try Self.checkKind(status, path)
    // Not blocking, should a pipe have taken the file's place; regular files ignore it.
    descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw OperatingError(
        .input, "\(path) cannot be opened: \(StopSignal.reason(errno)). Expected a file that this user may read")
    }
    var opened = stat()
    identity = fstat(descriptor, &opened) == 0 ? FileStatus(opened).identity : status.identity
    self.path = path
  }

  deinit { close(descriptor) }

  private static func checkKind(_ status: FileStatus, _ path: String) throws(OperatingError) {
    if status.isDirectory {
      throw OperatingError(.input, "\(path) is a directory, expected a file. Name its files: --source '\(path)/*'")
    }
    if !status.isRegular {
      throw OperatingError(
        .input, "\(path) is not a regular file. Read it through standard input: --source - < \(path)")
    }
  }

  func status() throws(OperatingError) -> FileStatus {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(at: 0) }
    return FileStatus(status)
  }

  /// Reads up to `space.count` bytes from `offset`; 0 at the end of the file.
  func read(into space: UnsafeMutableRawBufferPointer, at offset: Int64) throws(OperatingError) -> Int {
    // SAFETY: the kernel writes at most `space.count` bytes.
    while true {
      let count = pread(descriptor, space.baseAddress, space.count, off_t(offset))
      if count >= 0 { return count }
      if errno != EINTR { throw failure(at: offset) }
    }
  }

  /// Up to `count` bytes from `offset`.
  func bytes(_ count: Int, at offset: Int64 = 0) throws(OperatingError) -> [UInt8] {
    // SAFETY: owned by this call and freed when it ends; what is returned is a copy of the bytes that were read.
    let space = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    defer { space.deallocate() }
    var have = 0
    while have < count {
      // SAFETY: the rest of the buffer that `space` owns; only the bytes that were read are used.
      let read = try read(into: UnsafeMutableRawBufferPointer(rebasing: space[have...]), at: offset + Int64(have))
      if read == 0 { break }
      have += read
    }
    return Array(space.prefix(have))
  }

  /// The first bytes, at most `limit` and at most `FileBeginning.maxLength` of them.
  func beginning(upTo limit: Int = FileBeginning.maxLength) throws(OperatingError) -> FileBeginning {
    FileBeginning(of: try bytes(min(limit, FileBeginning.maxLength)))
  }

  /// Whether the file begins as the one that was read did.
  func begins(with expected: FileBeginning) throws(OperatingError) -> Bool {
    try beginning(upTo: expected.length) == expected
  }

  /// The bytes before `end`, at most `FileEnding.maxLength` of them.
  func ending(at end: Int64) throws(OperatingError) -> FileEnding {
    let length = Int(min(end, Int64(FileEnding.maxLength)))
    let bytes = try bytes(length, at: end - Int64(length))
    return FileEnding(end: end, length: bytes.count, sha256: Array(SHA256.hash(data: bytes)))
  }

  private func failure(at offset: Int64) -> OperatingError {
    OperatingError(
      .input,
      "\(path) cannot be read at byte \(offset): \(StopSignal.reason(errno)). What lies before was processed; run "
        + "again once the file can be read")
  }
}
