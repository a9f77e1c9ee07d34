// Packing answers and unpacking bodies, by zlib.

import CCompression

/// Gzip (RFC 1952) of whole bodies.
enum Gzip {
  /// Smaller answers are sent as they are: they fit into a packet or two.
  private static let least = 1400
  /// Fast: a page of a list takes a millisecond, and is a sixth of its size.
  private static let level: Int32 = 4

  static func isWorthIt(_ bytes: Int, _ contentType: String) -> Bool {
    bytes >= least && !contentType.hasPrefix("image/png") && !contentType.hasPrefix("font/")
  }

  /// Whether a client takes it.
  /// - Parameter accepted: what `Accept-Encoding` says.
  static func isAccepted(_ accepted: String?) -> Bool {
    guard let accepted else { return false }
    return accepted.lowercased().split(separator: ",").contains { coding in
      let parts = coding.split(separator: ";").map { $0.filter { $0 != " " } }
      guard let name = parts.first, name == "gzip" || name == "*" else { return false }
      return !parts.dropFirst().contains { $0 == "q=0" || $0 == "q=0.0" }
    }
  }

  static func pack(_ bytes: [UInt8]) -> [UInt8] {
    // SAFETY: the function writes at most `capacity` bytes into the buffer and says how many.
    [UInt8](unsafeUninitializedCapacity: gzip_bound(bytes.count)) { buffer, count in
      count = gzip_pack(bytes, bytes.count, buffer.baseAddress, buffer.count, level)
      precondition(count > 0, "zlib has no memory")
    }
  }

  /// - Returns: nil where it is no whole gzip file, or has more than `most` bytes unpacked.
  static func unpack(_ packed: [UInt8], upTo most: Int) -> [UInt8]? {
    guard let stream = decompression_open(Int32(COMPRESSION_GZIP)) else { return nil }
    defer { decompression_close(stream) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    var first = 0
    var hasEnded = false
    while first < packed.count || !hasEnded {
      var (consumed, produced) = (0, 0)
      // SAFETY: the step reads the input and writes the chunk only, and says how much of each.
      let outcome = packed[first...].withUnsafeBufferPointer { input in
        decompression_step(stream, input.baseAddress, input.count, &consumed, &chunk, chunk.count, &produced)
      }
      guard outcome != DECOMPRESSION_FAILED, bytes.count + produced <= most else { return nil }
      bytes.append(contentsOf: chunk[..<produced])
      first += consumed
      hasEnded = outcome == DECOMPRESSION_MEMBER_ENDED
      if consumed == 0 && produced == 0 && !hasEnded { return nil }
    }
    return bytes
  }
}
