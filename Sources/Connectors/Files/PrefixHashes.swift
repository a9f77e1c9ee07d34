// What a named standard input remembers of itself: hashes of its beginning, up to places where a run may resume.
//
// The state of a checkpoint is asked for without its position, and the reader is ahead of it by the batches in flight.
// So the hashes of the prefixes up to the ends of the last batches are kept, and of the one that was acknowledged
// last: the position of a checkpoint is among them. The number kept covers the batches in flight of several hundred
// workers; should it ever not, the greatest prefix before the position is checked instead, and the rest not at all.

import Crypto
import Detection
import Foundation
import Pipeline

/// Hashes of prefixes of an input, by their lengths.
struct PrefixHashes: Sendable, Hashable {
  struct Entry: Sendable, Hashable {
    var length: Int64
    var sha256: [UInt8]
  }

  /// 1024 entries of 40 bytes: what a checkpoint carries of them at most.
  static let capacity = 1024
  private static let version: UInt8 = 1

  /// Ascending by length.
  private(set) var entries: [Entry] = []

  init() {}

  mutating func append(length: Int64, sha256: [UInt8]) {
    entries.append(Entry(length: length, sha256: sha256))
    // The first is the acknowledged one.
    if entries.count > Self.capacity { entries.remove(at: 1) }
  }

  /// Forgets what lies before `length`, to which everything is durable.
  mutating func acknowledge(upTo length: Int64) {
    let kept = entries.lastIndex { $0.length <= length } ?? 0
    entries.removeFirst(kept)
  }

  /// The longest known prefix within `length`.
  func entry(upTo length: Int64) -> Entry? { entries.last { $0.length <= length } }

  var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(unsigned: UInt64(entries.count))
    for entry in entries {
      writer.write(signed: entry.length)
      writer.write(blob: entry.sha256)
    }
    return writer.bytes
  }

  /// - Throws: `OperatingError` where the bytes are not what `encoded` wrote.
  init(decoding bytes: [UInt8]) throws(OperatingError) {
    do throws(CodingError) {
      var reader = ByteReader(bytes)
      let version = try reader.readByte()
      guard version == Self.version else { throw CodingError("its version is \(version), expected \(Self.version)") }
      let count = try reader.readCount(upTo: bytes.count)
      for _ in 0..<count {
        entries.append(Entry(length: try reader.readSigned(), sha256: try reader.readBlob()))
      }
      guard reader.isAtEnd else { throw CodingError("\(reader.remaining) bytes are left over") }
    } catch {
      throw OperatingError(
        .input, "what was stored of standard input cannot be used: \(error). Start over with --reset")
    }
  }
}
