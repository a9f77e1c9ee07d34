// What a checkpoint keeps of a partition beside its position, so that a run that goes on there can tell whether the log is
// still the one that was read: offsets alone are the same in a topic that was deleted and made again.

import Crypto
import Detection
import Pipeline

/// What a record looked like.
struct KafkaFingerprint: Sendable, Hashable {
  var offset: Int64
  /// As the broker gave it, milliseconds; -1 where there is none.
  var timestamp: Int64
  /// The first eight bytes of SHA-256 over key and value.
  var digest: UInt64

  init(offset: Int64, timestamp: Int64, digest: UInt64) {
    (self.offset, self.timestamp, self.digest) = (offset, timestamp, digest)
  }

  init(offset: Int64, timestamp: Int64, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    var hasher = SHA256()
    // A key and a value that share their bytes differently are other records.
    var length = UInt64(key.count).littleEndian
    // SAFETY: the eight bytes of a local, lent for the call.
    withUnsafeBytes(of: &length) { hasher.update(bufferPointer: $0) }
    hasher.update(bufferPointer: key)
    hasher.update(bufferPointer: value)
    let digest = hasher.finalize().prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    self.init(offset: offset, timestamp: timestamp, digest: digest)
  }
}

/// The state of a partition of a topic, as a checkpoint has it.
struct KafkaPartitionState: Sendable, Hashable {
  /// Which of the logs that the partition has had.
  var segment: UInt32
  /// Where reading of that log began.
  var start: Int64
  /// The first record that was read since, and the last one before the position.
  var first: KafkaFingerprint?
  var last: KafkaFingerprint?

  init(segment: UInt32, start: Int64, first: KafkaFingerprint? = nil, last: KafkaFingerprint? = nil) {
    (self.segment, self.start, self.first, self.last) = (segment, start, first, last)
  }

  /// The form of what is stored.
  private static let version: UInt8 = 1

  var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(unsigned: UInt64(segment))
    writer.write(signed: start)
    for record in [first, last] {
      writer.write(bool: record != nil)
      guard let record else { continue }
      writer.write(signed: record.offset)
      writer.write(signed: record.timestamp)
      writer.write(unsigned: record.digest)
    }
    return writer.bytes
  }

  /// - Throws: `OperatingError` where it was not written by `encoded`.
  init(decoding bytes: [UInt8], of partition: PartitionID) throws(OperatingError) {
    do throws(CodingError) {
      var reader = ByteReader(bytes)
      let version = try reader.readByte()
      guard version == Self.version else { throw CodingError("its version is \(version), expected \(Self.version)") }
      segment = UInt32(try reader.readCount(upTo: Int(UInt32.max)))
      start = try reader.readSigned()
      first = try Self.record(&reader)
      last = try Self.record(&reader)
    } catch {
      throw OperatingError(
        .store,
        "what is stored of \(partition.source)/\(partition.number) is not of a topic: \(error). Use another data directory, "
          + "or start over with --reset")
    }
  }

  private static func record(_ reader: inout ByteReader) throws(CodingError) -> KafkaFingerprint? {
    guard try reader.readBool() else { return nil }
    return KafkaFingerprint(
      offset: try reader.readSigned(), timestamp: try reader.readSigned(), digest: try reader.readUnsigned())
  }
}
