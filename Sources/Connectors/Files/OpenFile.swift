// A regular file that is open for reading, and what identifies a file across renames. Where it is compressed, what is
// read are its contents: their offsets are the ones of positions, so a compressed copy continues what it is a copy of.

import Crypto
import Detection
import Foundation
import Pipeline

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

/// An open regular file. Reads name their offset, so nothing is shared but the descriptor. Contents of a compressed file
/// are read forwards; to go back is to begin again.
final class OpenFile {
  /// The name it was opened by; a rotation may have given it another since.
  let path: String
  let identity: FileIdentity
  /// Nil where it is not compressed.
  let compression: Compression?
  private let descriptor: Int32
  private var stream: DecompressedStream?

  /// - Throws: `OperatingError` where there is no such file, it is not a regular one, or it may not be read.
  init(_ path: String) throws(OperatingError) {
    guard let status = try FileStatus.of(path) else {
      throw OperatingError(.input, "there is no file \(path). Check --source")
    }
    try Self.checkKind(status, path)
    // Not blocking, should a pipe have taken the file's place; regular files ignore it.
    let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw OperatingError(
        .input, "\(path) cannot be opened: \(StopSignal.reason(errno)). Expected a file that this user may read")
    }
    var opened = stat()
    identity = fstat(descriptor, &opened) == 0 ? FileStatus(opened).identity : status.identity
    self.path = path
    self.descriptor = descriptor
    var magic = [UInt8](repeating: 0, count: Compression.magicBytes)
    // SAFETY: the kernel writes at most as many bytes as the array has. What cannot be read is said by the next read.
    let count = magic.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    compression = Compression(Array(magic.prefix(max(0, count))))
  }

  /// The file at a path; nil where there is none, also if it went away just now.
  static func there(_ path: String) throws(OperatingError) -> OpenFile? {
    do throws(OperatingError) { return try OpenFile(path) } catch {
      if try FileStatus.of(path) == nil { return nil }
      // Another one may have come in its place meanwhile.
      return try OpenFile(path)
    }
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

  /// Reads up to `space.count` bytes of the contents from `offset`; 0 at their end, and where a compressed file is not
  /// whole (`problem` says so).
  func read(into space: UnsafeMutableRawBufferPointer, at offset: Int64) throws(OperatingError) -> Int {
    guard let compression else { return try readPacked(into: space, at: offset) }
    try StopSignal.check()
    if stream == nil || stream?.offset ?? 0 > offset { stream = try DecompressedStream(compression) }
    guard let stream else { preconditionFailure("the stream was just made") }
    if stream.offset < offset {
      // SAFETY: owned by this call and freed when it ends; nothing of it is used.
      let passed = UnsafeMutableRawBufferPointer.allocate(byteCount: ByteWindow.readBytes, alignment: 64)
      defer { passed.deallocate() }
      while stream.offset < offset {
        try StopSignal.check()
        // SAFETY: the range ends within the buffer.
        let room = UnsafeMutableRawBufferPointer(
          rebasing: passed[..<Int(min(Int64(passed.count), offset - stream.offset))])
        if try stream.read(into: room, readPacked) == 0 { return 0 }
      }
    }
    return try stream.read(into: space, readPacked)
  }

  /// Why a compressed file gave no more contents although it is not at its end; nil where it is whole so far.
  var problem: OperatingError? {
    guard let stream, let compression else { return nil }
    switch stream.end {
    case .incomplete:
      return OperatingError(
        .input,
        "\(path) is compressed (\(compression.title)) and not whole: its data end within the contents, behind byte "
          + "\(stream.offset) of them. What lies before was processed. Replace it by a complete file, and run again")
    case .damaged(let why):
      return OperatingError(
        .input,
        "\(path) is compressed (\(compression.title)) and damaged: its data cannot be read behind byte "
          + "\(stream.offset) of the contents (\(why)). What lies before was processed. Replace it by an intact file, and run again"
      )
    case .complete, nil: return nil
    }
  }

  /// Whether the packed bytes end within the contents, as those of a file do that is still being written.
  var isIncomplete: Bool { if case .incomplete = stream?.end { true } else { false } }

  /// How many bytes of contents of a compressed file were decompressed so far.
  var contentOffset: Int64 { stream?.offset ?? 0 }

  /// How many bytes of contents there are; nil where a compressed file is not whole. Decompresses all of it.
  func contentSize() throws(OperatingError) -> Int64? {
    guard compression != nil else { return try status().size }
    _ = try skip(to: .max)
    guard let stream, case .complete = stream.end else { return nil }
    return stream.offset
  }

  /// Decompresses up to `offset`, or as far as there is something.
  private func skip(to offset: Int64) throws(OperatingError) -> Int64 {
    // SAFETY: owned by this call and freed when it ends; what it receives is not used.
    let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
    defer { space.deallocate() }
    _ = try read(into: space, at: offset)
    return stream?.offset ?? 0
  }

  private func readPacked(
    into space: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws(OperatingError) -> Int {
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

  /// The contents before `end`, at most `FileEnding.maxLength` bytes of them.
  func ending(at end: Int64) throws(OperatingError) -> FileEnding {
    if let stream, stream.offset == end {
      return FileEnding(end: end, length: stream.tail.count, sha256: Array(SHA256.hash(data: stream.tail)))
    }
    let length = Int(min(end, Int64(FileEnding.maxLength)))
    let bytes = try bytes(length, at: end - Int64(length))
    return FileEnding(end: end, length: bytes.count, sha256: Array(SHA256.hash(data: bytes)))
  }

  /// What a compressed file is known by without decompressing it: size, and hash of its last packed bytes.
  func packedEnding() throws(OperatingError) -> FileEnding { try packedEnding(at: status().size) }

  /// The same, of what has been decompressed so far: the file may have grown since.
  func packedEndingAsRead() throws(OperatingError) -> FileEnding {
    guard let stream else { return try packedEnding() }
    return try packedEnding(at: stream.packedOffset)
  }

  private func packedEnding(at size: Int64) throws(OperatingError) -> FileEnding {
    let length = Int(min(size, Int64(FileEnding.maxLength)))
    // SAFETY: owned by this call and freed when it ends; only the bytes that were read are hashed.
    let space = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, length), alignment: 1)
    defer { space.deallocate() }
    let count = try readPacked(into: space, at: size - Int64(length))
    let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(space)[..<min(count, length)])
    var hasher = SHA256()
    hasher.update(bufferPointer: bytes)
    return FileEnding(end: size, length: bytes.count, sha256: Array(hasher.finalize()))
  }

  private func failure(at offset: Int64) -> OperatingError {
    OperatingError(
      .input,
      "\(path) cannot be read at byte \(offset): \(StopSignal.reason(errno)). What lies before was processed; run "
        + "again once the file can be read")
  }
}
