// String columns from cells: plain, or with a dictionary where values repeat. Which of the two is chosen follows what
// earlier batches of the worker looked like and affects speed only: equal strings make equal columns either way.

/// Builds the string columns of one field.
final class StringBuilder {
  /// Entries of the dictionary under construction.
  private var offsets: [UInt32] = []
  private var bytes: [UInt8] = []
  private var hashes: [UInt64] = []
  /// Open addressing; 0 is free, otherwise 1 + entry. A power of two, at least four times the entries allowed.
  private var table: [UInt32] = []
  /// Batches still to be built plain before a dictionary is tried again, and how many that is after the next failure.
  private var patience = 0
  /// Entries that were looked at in vain for the dictionary under construction.
  private var collisions = 0
  private var penalty = 4

  /// Smallest number of distinct values below which a dictionary is always worth it.
  private static let smallDictionary = 64
  private static let longestPenalty = 256
  /// Readable bytes behind every text, in the buffer as in the arena: strings are read and written in steps of 16.
  private static let step = 16

  /// The column of the cells with an accepted tag; other rows are empty.
  func column(_ run: CellRun, _ text: CellText, accepting accepted: UInt32) -> StringColumn {
    if patience > 0 {
      patience -= 1
    } else if run.count > 0 {
      if let column = dictionary(run, text, accepted) {
        penalty = 4
        return column
      }
      patience = penalty
      penalty = min(penalty * 2, Self.longestPenalty)
    }
    return plain(run, text, accepted)
  }

  private func plain(_ run: CellRun, _ text: CellText, _ accepted: UInt32) -> StringColumn {
    var total = 0
    // SAFETY: all `count + 1` offsets are written.
    let offsets = [UInt32](unsafeUninitializedCapacity: run.count + 1) { offsets, initialized in
      offsets[0] = 0
      for row in 0..<run.count {
        if accepted >> UInt32(run.tags[row]) & 1 != 0 { total += Int(run.payloads[row] >> 32) }
        offsets[row + 1] = UInt32(truncatingIfNeeded: total)
      }
      initialized = run.count + 1
    }
    if total > Limits.maxPlainStringBytes { return shared(run, text, accepted) }
    // SAFETY: row i writes its own bytes and up to `step` behind them, which the next row or the slack takes; reads stay
    // within the padding behind the text. Exactly `total` bytes are initialised when the last row is done.
    let bytes = [UInt8](unsafeUninitializedCapacity: total + Self.step) { bytes, initialized in
      guard var target = UnsafeMutableRawPointer(bytes.baseAddress) else { return }
      for row in 0..<run.count where accepted >> UInt32(run.tags[row]) & 1 != 0 {
        let source = text.bytes(run.tags[row], run.payloads[row])
        target = Self.append(source, at: target)
      }
      initialized = total
    }
    return StringColumn(offsets: offsets, bytes: bytes)
  }

  /// The column with an entry for each place in the text that cells point to. In a columnar file thousands of rows may
  /// share one large value of a dictionary: written out they would exceed what offsets can address, shared they take no
  /// more than the file's own column.
  private func shared(_ run: CellRun, _ text: CellText, _ accepted: UInt32) -> StringColumn {
    var offsets: [UInt32] = [0, 0]
    var bytes: [UInt8] = []
    var entries: [UInt64: UInt32] = [:]
    let codes = (0..<run.count).map { row -> UInt32 in
      let tag = run.tags[row]
      guard accepted >> UInt32(tag) & 1 != 0 else { return 0 }
      // Lengths stay below 2^31, so nothing is lost; the lowest bit tells text of the arena from that of the buffer.
      let place = run.payloads[row] << 1 | (tag == CellTag.unescaped ? 1 : 0)
      if let entry = entries[place] { return entry }
      bytes.append(contentsOf: text.bytes(tag, run.payloads[row]))
      precondition(bytes.count <= Int(UInt32.max), "a string column of more than 4 GiB")
      offsets.append(UInt32(bytes.count))
      entries[place] = UInt32(offsets.count - 2)
      return UInt32(offsets.count - 2)
    }
    return StringColumn(offsets: offsets, bytes: bytes, codes: codes)
  }

  /// Copies `source` to `target`, of which `step` more bytes may be overwritten, and returns its end there.
  ///
  /// SAFETY: the caller sees to it that `source.count + step` bytes can be written at `target`.
  @inline(__always)
  private static func append(_ source: UnsafeRawBufferPointer, at target: UnsafeMutableRawPointer)
    -> UnsafeMutableRawPointer
  {
    guard let start = source.baseAddress else { return target }
    if source.count <= 2 * step {
      // SAFETY: `step` readable bytes follow the text.
      target.storeBytes(of: start.loadUnaligned(as: SIMD16<UInt8>.self), as: SIMD16<UInt8>.self)
      if source.count > step {
        (target + step).storeBytes(
          of: (start + step).loadUnaligned(as: SIMD16<UInt8>.self), as: SIMD16<UInt8>.self)
      }
    } else {
      target.copyMemory(from: start, byteCount: source.count)
    }
    return target + source.count
  }

  /// The column with a dictionary, or nil where too many values are distinct.
  private func dictionary(_ run: CellRun, _ text: CellText, _ accepted: UInt32) -> StringColumn? {
    let most = max(Self.smallDictionary, run.count / 4)
    var size = 256
    while size < most * 4 { size *= 2 }
    if table.count == size {
      for slot in table.indices { table[slot] = 0 }
    } else {
      table = [UInt32](repeating: 0, count: size)
    }
    offsets = [0]
    bytes.removeAll(keepingCapacity: true)
    hashes.removeAll(keepingCapacity: true)
    collisions = 0
    var isComplete = true
    // SAFETY: rows are written one after another, and `initialized` is how many were.
    let codes = [UInt32](unsafeUninitializedCapacity: run.count) { codes, initialized in
      for row in 0..<run.count {
        let tag = run.tags[row]
        let isText = accepted >> UInt32(tag) & 1 != 0
        let source = isText ? text.bytes(tag, run.payloads[row]) : UnsafeRawBufferPointer(start: nil, count: 0)
        codes[row] = code(of: source)
        initialized = row + 1
        // Judged early, so that a column without repetition costs a small part of a batch.
        let isDiverse = hashes.count > most || hashes.count > row / 2 || collisions > run.count
        if hashes.count > Self.smallDictionary, isDiverse {
          isComplete = false
          return
        }
      }
    }
    guard isComplete else { return nil }
    return StringColumn(offsets: offsets, bytes: bytes, codes: codes)
  }

  /// The entry of a text, added if it is new.
  @inline(__always)
  private func code(of source: UnsafeRawBufferPointer) -> UInt32 {
    let hash = Self.hash(source)
    let mask = table.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while true {
      let found = table[slot]
      if found == 0 { break }
      let entry = Int(found) - 1
      if hashes[entry] == hash, isEqual(entry, source) { return UInt32(entry) }
      slot = (slot + 1) & mask
      collisions += 1
    }
    bytes.append(contentsOf: source)
    offsets.append(UInt32(bytes.count))
    hashes.append(hash)
    table[slot] = UInt32(hashes.count)
    return UInt32(hashes.count - 1)
  }

  @inline(__always)
  private func isEqual(_ entry: Int, _ source: UnsafeRawBufferPointer) -> Bool {
    let start = Int(offsets[entry])
    let count = Int(offsets[entry + 1]) - start
    guard count == source.count else { return false }
    // SAFETY: both ranges lie within their buffers; whole words first, then single bytes.
    return bytes.withUnsafeBytes { bytes in
      var index = 0
      while index + 8 <= count {
        if bytes.loadUnaligned(fromByteOffset: start + index, as: UInt64.self)
          != source.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        {
          return false
        }
        index += 8
      }
      while index < count {
        if bytes[start + index] != source[index] { return false }
        index += 1
      }
      return true
    }
  }

  /// A multiplicative hash of the bytes, a word at a time. Where many collide, as only crafted ones do, the column is
  /// built plain.
  @inline(__always)
  private static func hash(_ source: UnsafeRawBufferPointer) -> UInt64 {
    let factor: UInt64 = 0x9E37_79B9_7F4A_7C15
    var hash = UInt64(truncatingIfNeeded: source.count) &* factor
    guard let start = source.baseAddress else { return hash ^ hash >> 32 }
    var index = 0
    // SAFETY: `step` readable bytes follow the text; what lies behind it is masked out.
    while index < source.count {
      var word = (start + index).loadUnaligned(as: UInt64.self).littleEndian
      let rest = source.count - index
      if rest < 8 { word &= (1 << UInt64(rest * 8)) - 1 }
      hash = (hash ^ word) &* factor
      hash ^= hash >> 29
      index += 8
    }
    return hash ^ hash >> 32
  }
}
