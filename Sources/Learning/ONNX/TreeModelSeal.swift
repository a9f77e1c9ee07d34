// A checksum at the end of a model file, so that a file that was damaged never scores: a flipped bit in a leaf would
// otherwise be another model that looks as good.

import Detection
import Pipeline

extension TreeModel {
  /// The bytes of a model with one more entry of metadata at their end: the CRC-32 of all bytes before it. A protobuf
  /// message may be extended by appending a field, so the result is an ordinary ONNX file.
  static func sealed(_ bytes: [UInt8]) -> [UInt8] {
    bytes + seal(of: bytes)
  }

  /// - Throws: `OperatingError` of kind `input` where the bytes do not end with their checksum.
  static func checkSeal(_ bytes: [UInt8]) throws(OperatingError) {
    let length = seal(of: []).count
    guard bytes.count > length else { throw wrong("it has \(bytes.count) bytes, which is no whole model") }
    let content = Array(bytes.dropLast(length))
    let found = bytes.suffix(length)
    let expected = seal(of: content)
    guard found.elementsEqual(expected) else {
      // All but the last eight bytes, the digits, are the same in every file.
      throw wrong(
        found.dropLast(8).elementsEqual(expected.dropLast(8))
          ? "it was damaged: its checksum is not that of its content"
          : "cut short, or not written by `pulse train`: it does not end with a checksum")
    }
  }

  /// A metadata entry in protobuf's encoding: field 14 of the model, with the key in field 1 and the value in field 2.
  private static func seal(of bytes: [UInt8]) -> [UInt8] {
    let digits = String(crc32(bytes), radix: 16)
    let key = Array(MetadataKey.checksum.utf8)
    let value = Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
    let entry = [1 << 3 | 2, UInt8(key.count)] + key + [2 << 3 | 2, UInt8(value.count)] + value
    return [14 << 3 | 2, UInt8(entry.count)] + entry
  }

  /// CRC-32 as in IEEE 802.3, gzip and PNG.
  static func crc32(_ bytes: [UInt8]) -> UInt32 {
    var value: UInt32 = ~0
    for byte in bytes { value = crcTable[Int((value ^ UInt32(byte)) & 0xff)] ^ value >> 8 }
    return ~value
  }

  private static let crcTable = (0..<UInt32(256)).map { start in
    (0..<8).reduce(start) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
  }
}
