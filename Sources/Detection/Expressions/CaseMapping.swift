// Upper and lower case, one code point at a time: the simple case mappings of the Unicode Character Database
// (UnicodeData.txt), which never change the number of characters. Where Unicode's full mapping gives several characters
// the simple one is the character itself, with the exceptions named below.

enum CaseMapping {
  static func lower(_ text: Text, into output: inout [UInt8]) {
    map(text, into: &output, ascii: (UInt8(ascii: "A"), UInt8(ascii: "Z"))) { lower($0) }
  }

  static func upper(_ text: Text, into output: inout [UInt8]) {
    map(text, into: &output, ascii: (UInt8(ascii: "a"), UInt8(ascii: "z"))) { upper($0) }
  }

  @inline(__always)
  private static func map(
    _ text: Text, into output: inout [UInt8], ascii: (first: UInt8, last: UInt8),
    _ change: (Unicode.Scalar) -> Unicode.Scalar
  ) {
    output.reserveCapacity(output.count + text.count)
    var at = 0
    while at < text.count {
      let byte = text[at]
      if byte < 0x80 {
        output.append(byte >= ascii.first && byte <= ascii.last ? byte ^ 0x20 : byte)
        at += 1
      } else {
        let (scalar, length) = CodePoints.decode(text, at)
        output.append(contentsOf: UTF8.encode(change(scalar)) ?? UTF8.encodedReplacementCharacter)
        at += length
      }
    }
  }

  static func lower(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
    // İ: the full mapping adds a combining dot.
    if scalar.value == 0x130 { return "i" }
    return only(scalar.properties.lowercaseMapping) ?? scalar
  }

  static func upper(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
    // ß: the full mapping is SS; DuckDB has the capital sharp s.
    if scalar.value == 0xDF { return "\u{1E9E}" }
    // Greek letters with iota below: the simple mapping is the one that title case uses.
    return only(scalar.properties.uppercaseMapping) ?? only(scalar.properties.titlecaseMapping) ?? scalar
  }

  private static func only(_ mapping: String) -> Unicode.Scalar? {
    let scalars = mapping.unicodeScalars
    guard let first = scalars.first, scalars.count == 1 else { return nil }
    return first
  }
}

/// Code points of valid UTF-8.
enum CodePoints {
  /// The code point that begins at `at`, and its length in bytes. The bytes are valid UTF-8.
  @inline(__always)
  static func decode(_ text: Text, _ at: Int) -> (scalar: Unicode.Scalar, length: Int) {
    let first = UInt32(text[at])
    func tail(_ index: Int) -> UInt32 { at + index < text.count ? UInt32(text[at + index]) & 0x3F : 0 }
    let (value, length): (UInt32, Int) =
      first < 0x80
      ? (first, 1)
      : first < 0xE0
        ? ((first & 0x1F) << 6 | tail(1), 2)
        : first < 0xF0
          ? ((first & 0x0F) << 12 | tail(1) << 6 | tail(2), 3)
          : ((first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4)
    return (Unicode.Scalar(value) ?? "\u{FFFD}", length)
  }

  /// Number of code points.
  @inline(__always)
  static func count(_ text: Text) -> Int {
    var count = 0
    for byte in text where byte & 0xC0 != 0x80 { count += 1 }
    return count
  }

  /// Byte offset of the code point with this number; the end of the text where there are fewer.
  static func offset(_ text: Text, of number: Int) -> Int {
    var seen = 0
    for at in text.indices where text[at] & 0xC0 != 0x80 {
      if seen == number { return at }
      seen += 1
    }
    return text.count
  }
}
