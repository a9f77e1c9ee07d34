// UTF-8 strings of a column: entry boundaries and bytes, and, where values repeat, a dictionary code per row.
// Invariants: `offsets` starts with 0, ascends, and ends with `bytes.count`; every code is below the entry count;
// bytes of every entry are valid UTF-8; an empty entry stands for a null row.

/// The strings of a batch column, plain or dictionary-encoded.
public struct StringColumn: Sendable {
  /// Boundaries of the entries in `bytes`: entry e is `offsets[e] ..< offsets[e + 1]`.
  public let offsets: [UInt32]
  /// The UTF-8 of all entries, one after another.
  public let bytes: [UInt8]
  /// For a dictionary-encoded column the entry of each row; nil when row i is entry i.
  public let codes: [UInt32]?

  /// - Precondition: offsets begin with 0, ascend and end with the number of bytes. Kernels that read without checks
  ///   rely on it.
  public init(offsets: [UInt32], bytes: [UInt8], codes: [UInt32]? = nil) {
    precondition(offsets.first == 0 && Int(offsets[offsets.count - 1]) == bytes.count, "offsets do not span the bytes")
    // Checked once here, for half a nanosecond an entry, so that kernels need not check every access.
    var descents = 0
    for entry in 1..<offsets.count { descents &+= offsets[entry] < offsets[entry - 1] ? 1 : 0 }
    precondition(descents == 0, "offsets do not ascend")
    self.offsets = offsets
    self.bytes = bytes
    self.codes = codes
  }

  /// A plain column of the given strings.
  public init(_ strings: some Sequence<String>) {
    var offsets: [UInt32] = [0]
    var bytes: [UInt8] = []
    for string in strings {
      bytes.append(contentsOf: string.utf8)
      offsets.append(UInt32(bytes.count))
    }
    self.init(offsets: offsets, bytes: bytes)
  }

  /// Number of rows.
  public var count: Int { codes?.count ?? entryCount }
  /// Number of stored entries: the rows, or the size of the dictionary.
  public var entryCount: Int { offsets.count - 1 }

  /// The entry that holds the value of a row.
  @inline(__always)
  public func entry(of row: Int) -> Int {
    if let codes { return Int(codes[row]) }
    return row
  }

  /// Where the bytes of an entry lie in `bytes`.
  @inline(__always)
  public func range(ofEntry entry: Int) -> Range<Int> { Int(offsets[entry])..<Int(offsets[entry + 1]) }

  /// Where the bytes of a row lie in `bytes`.
  @inline(__always)
  public func range(of row: Int) -> Range<Int> { range(ofEntry: entry(of: row)) }

  /// Bytes of all rows together, those of a shared entry as often as it is named.
  public var writtenOutBytes: Int {
    guard let codes else { return bytes.count }
    return codes.reduce(0) { $0 + range(ofEntry: Int($1)).count }
  }

  /// The value of a row as a Swift string. For output and tests: it allocates.
  public subscript(row: Int) -> String { String(decoding: bytes[range(of: row)], as: UTF8.self) }
}

extension StringColumn: Equatable {
  /// Whether both hold the same strings in the same rows, however they are encoded.
  public static func == (a: StringColumn, b: StringColumn) -> Bool {
    guard a.count == b.count else { return false }
    return (0..<a.count).allSatisfy { a.bytes[a.range(of: $0)] == b.bytes[b.range(of: $0)] }
  }
}
