// Compressed files, decompressed as they are read: a stream of the contents that goes forwards only and holds no more of
// them than its window.

import CCompression
import Detection
import Foundation
import Pipeline

/// How the bytes of a file are packed.
enum Compression: String, Sendable, Hashable, CaseIterable {
  case gzip, zstd, bzip2

  /// Magic bytes of RFC 1952, RFC 8878 (a frame, or one that is to be skipped) and of bzip2 with its first block.
  init?(_ beginning: [UInt8]) {
    if beginning.starts(with: [0x1F, 0x8B, 0x08]) {
      self = .gzip
    } else if beginning.starts(with: [0x28, 0xB5, 0x2F, 0xFD])
      || beginning.count >= 4 && beginning[0] & 0xF0 == 0x50 && beginning[1...3].elementsEqual([0x2A, 0x4D, 0x18])
    {
      self = .zstd
    } else if beginning.count >= 4, beginning.starts(with: "BZh".utf8), (0x31...0x39).contains(beginning[3]) {
      self = .bzip2
    } else {
      return nil
    }
  }

  /// Bytes that tell.
  static let magicBytes = 4

  var title: String {
    switch self {
    case .gzip: "gzip"
    case .zstd: "Zstandard"
    case .bzip2: "bzip2"
    }
  }

  /// What names of files that are packed end in, those among them that are not read.
  static let extensions = [".gz", ".zst", ".bz2", ".xz"]

  /// The name of what is packed: without the extension of the compression.
  static func contentName(_ name: String) -> String {
    for ending in extensions where name.hasSuffix(ending) { return String(name.dropLast(ending.count)) }
    return name
  }

  fileprivate var kind: Int32 {
    switch self {
    case .gzip: Int32(COMPRESSION_GZIP)
    case .zstd: Int32(COMPRESSION_ZSTD)
    case .bzip2: Int32(COMPRESSION_BZIP2)
    }
  }
}

/// The contents of a compressed file from their beginning. One owner.
///
/// SAFETY: owns the stream and the buffer of packed bytes, frees both when it goes, and lends the buffer only inside
/// calls that do not use it.
final class DecompressedStream {
  /// What there is to say when no more contents come.
  enum End: Sendable {
    /// The packed bytes end where the contents do.
    case complete
    /// The packed bytes end within the contents: they are not all there, or not yet.
    case incomplete
    case damaged(String)
  }

  private static let inputBytes = 256 << 10

  let compression: Compression
  /// Offset in the contents of what is read next.
  private(set) var offset: Int64 = 0
  private(set) var end: End?
  private let stream: OpaquePointer
  /// SAFETY: see above; of its bytes only those in `pending`, which were read, are looked at.
  private let input: UnsafeMutableRawBufferPointer
  private var pending = 0..<0
  /// Offset in the file of the packed bytes that are read next.
  private(set) var packedOffset: Int64 = 0
  private var isWithinMember = false
  /// Whether the last step had more contents to give than there was room for.
  private var isFull = false
  /// The last contents, at most `FileEnding.maxLength` bytes of them.
  private(set) var tail: [UInt8] = []

  /// - Throws: `OperatingError` without memory.
  init(_ compression: Compression) throws(OperatingError) {
    guard let stream = decompression_open(compression.kind) else {
      throw OperatingError(.limit, "there is no memory to decompress a file of \(compression.title)")
    }
    self.compression = compression
    self.stream = stream
    input = .allocate(byteCount: Self.inputBytes, alignment: 64)
  }

  deinit {
    decompression_close(stream)
    input.deallocate()
  }

  /// Reads up to `space.count` bytes of contents; 0 where no more come, and then `end` says why.
  /// - Parameter packed: reads packed bytes from an offset on, 0 at the end of the file.
  func read(
    into space: UnsafeMutableRawBufferPointer,
    _ packed: (UnsafeMutableRawBufferPointer, Int64) throws(OperatingError) -> Int
  ) throws(OperatingError) -> Int {
    if case .damaged = end { return 0 }
    end = nil
    var count = 0
    while count == 0 && end == nil && !space.isEmpty {
      if pending.isEmpty {
        let got = try packed(input, packedOffset)
        packedOffset += Int64(got)
        pending = 0..<got
        if got == 0 {
          // A member that has ended may still have contents to give.
          end = isWithinMember ? .incomplete : .complete
        }
      }
      if !isWithinMember && !pending.isEmpty && isPadding() { continue }
      count = step(space)
    }
    offset += Int64(count)
    if count > 0 { end = nil }
    // SAFETY: lent for the call; the library has written `count` bytes.
    keepTail(UnsafeRawBufferPointer(space).prefix(count))
    return count
  }

  /// Zeroes behind a member, which archives on tape are padded with, are no data. Anything else is another member.
  private func isPadding() -> Bool {
    // SAFETY: `pending` lies within the bytes that were read.
    guard compression == .gzip, offset > 0, input[pending.lowerBound] == 0 else { return false }
    let rest = input[pending]
    let zeroes = rest.prefix { $0 == 0 }.count
    pending = pending.lowerBound + zeroes..<pending.upperBound
    return true
  }

  private func step(_ space: UnsafeMutableRawBufferPointer) -> Int {
    var (consumed, produced) = (0, 0)
    // Without packed bytes only what had no room is left to give; Zstandard counts further calls as damage.
    if pending.isEmpty && !(isWithinMember && isFull) { return 0 }
    // SAFETY: `pending` lies within `input`; the function reads and writes no more than the lengths it is given.
    let code = decompression_step(
      stream, input.baseAddress?.assumingMemoryBound(to: UInt8.self).advanced(by: pending.lowerBound), pending.count,
      &consumed, space.baseAddress?.assumingMemoryBound(to: UInt8.self), space.count, &produced)
    pending = pending.lowerBound + consumed..<pending.upperBound
    isFull = produced == space.count
    switch Int(code) {
    case Int(DECOMPRESSION_FAILED): end = .damaged(String(cString: decompression_problem(stream)))
    case Int(DECOMPRESSION_MEMBER_ENDED):
      isWithinMember = false
      if case .incomplete = end { end = nil }
    default: if consumed > 0 || produced > 0 { isWithinMember = true }
    }
    return produced
  }

  private func keepTail(_ bytes: Slice<UnsafeRawBufferPointer>) {
    let kept = FileEnding.maxLength
    if bytes.count < kept { tail.removeFirst(max(0, tail.count + bytes.count - kept)) } else { tail = [] }
    tail.append(contentsOf: bytes.suffix(kept))
  }
}
