// Comparisons, predicates and functions of strings. A predicate of a dictionary-encoded column runs once per entry and
// is mapped through the codes. Bytes are compared as bytes, which is the order of code points.

/// The bytes of one string, lent for the time of a call.
typealias Text = UnsafeBufferPointer<UInt8>

enum StringKernels {
  /// Calls `body` with the bytes of every entry behind one pointer.
  @inline(__always)
  static func withBytes<R>(_ strings: StringColumn, _ body: (Text) -> R) -> R {
    // SAFETY: the pointer is used only within the call; entries are sub-ranges of it, as the column has checked.
    // Array slices instead made string predicates three times as slow.
    strings.bytes.withUnsafeBufferPointer(body)
  }

  @inline(__always)
  static func entry(_ bytes: Text, _ range: Range<Int>) -> Text { Text(rebasing: bytes[range]) }

  /// Rows whose string meets a condition.
  @inline(__always)
  static func matches(_ value: Value, _ count: Int, _ predicate: (Text) -> Bool) -> Bitmap {
    guard case .strings(let strings, _) = value else {
      // SAFETY: lent for the call, which returns a Bool.
      let result = Array(value.constantText.utf8).withUnsafeBufferPointer(predicate)
      return Bitmap(repeating: result, count: count)
    }
    return withBytes(strings) { bytes in
      if let codes = strings.codes, strings.entryCount <= count {
        let table = (0..<strings.entryCount).map { predicate(entry(bytes, strings.range(ofEntry: $0))) }
        return Bitmap(count: count) { table[Int(codes[$0])] }
      }
      return Bitmap(count: count) { predicate(entry(bytes, strings.range(of: $0))) }
    }
  }

  /// Rows where a condition on two strings holds.
  @inline(__always)
  static func matches(_ a: Value, _ b: Value, _ count: Int, _ predicate: (Text, Text) -> Bool) -> Bitmap {
    // SAFETY: the constants are lent for as long as the rows are compared with them.
    if case .constant(let scalar) = b {
      return Array(scalar.text.utf8).withUnsafeBufferPointer { constant in
        matches(a, count) { predicate($0, constant) }
      }
    }
    if case .constant(let scalar) = a {
      return Array(scalar.text.utf8).withUnsafeBufferPointer { constant in
        matches(b, count) { predicate(constant, $0) }
      }
    }
    let x = a.strings(count)
    let y = b.strings(count)
    return withBytes(x) { xBytes in
      withBytes(y) { yBytes in
        Bitmap(count: count) { predicate(entry(xBytes, x.range(of: $0)), entry(yBytes, y.range(of: $0))) }
      }
    }
  }

  static func compare(_ comparison: Comparison, _ a: Value, _ b: Value, _ count: Int) -> Bitmap {
    switch comparison {
    case .equal: matches(a, b, count) { TextOrder.equal($0, $1) }
    case .notEqual: ~matches(a, b, count) { TextOrder.equal($0, $1) }
    case .less: matches(a, b, count) { TextOrder.less($0, $1) }
    case .lessOrEqual: ~matches(a, b, count) { TextOrder.less($1, $0) }
    case .greater: matches(a, b, count) { TextOrder.less($1, $0) }
    case .greaterOrEqual: ~matches(a, b, count) { TextOrder.less($0, $1) }
    }
  }

  /// LIKE with a pattern per row.
  static func like(
    _ strings: StringColumn, _ patterns: StringColumn, _ rows: Bitmap?, _ count: Int, ignoringCase: Bool
  ) -> Bitmap {
    var result = Bitmap(repeating: false, count: count)
    withBytes(strings) { bytes in
      withBytes(patterns) { patternBytes in
        for row in 0..<count where rows?[row] ?? true {
          let pattern = entry(patternBytes, patterns.range(of: row))
          let matcher = LikePattern(
            String(decoding: pattern, as: UTF8.self), escape: nil, ignoringCase: ignoringCase)
          if matcher?.matches(entry(bytes, strings.range(of: row))) ?? false { result[row] = true }
        }
      }
    }
    return result
  }

  /// Computed strings. Those longer than `Limits.maxComputedStringBytes` are empty, and their rows are in `tooLong`.
  struct Computed {
    var strings: StringColumn
    var tooLong: Bitmap?
  }

  /// One string per row, or per entry where that is enough.
  @inline(__always)
  static func transform(
    _ strings: StringColumn, _ rows: Bitmap?, _ count: Int, _ write: (Text, inout [UInt8]) -> Void
  ) -> Computed {
    withBytes(strings) { bytes in
      guard let codes = strings.codes, strings.entryCount <= count else {
        return build(rows, count) { row, output in write(entry(bytes, strings.range(of: row)), &output) }
      }
      let entries = build(nil, strings.entryCount) { index, output in
        write(entry(bytes, strings.range(ofEntry: index)), &output)
      }
      return Computed(
        strings: StringColumn(offsets: entries.strings.offsets, bytes: entries.strings.bytes, codes: codes),
        tooLong: entries.tooLong.map { tooLong in Bitmap(count: count) { tooLong[Int(codes[$0])] } })
    }
  }

  /// A plain column, written row by row; unselected rows are empty.
  @inline(__always)
  static func build(_ rows: Bitmap?, _ count: Int, _ write: (Int, inout [UInt8]) -> Void) -> Computed {
    var run = StringRun(count: count)
    var tooLong: Bitmap?
    for row in 0..<count {
      run.append { output in
        guard rows?[row] ?? true else { return }
        let start = output.count
        write(row, &output)
        guard output.count - start > Limits.maxComputedStringBytes else { return }
        output.removeLast(output.count - start)
        if tooLong == nil { tooLong = Bitmap(repeating: false, count: count) }
        tooLong?[row] = true
      }
    }
    return Computed(strings: run.finish(), tooLong: tooLong)
  }

  /// One integer per row, computed per entry where that is enough.
  @inline(__always)
  static func map<T>(_ strings: StringColumn, _ count: Int, _ value: (Text) -> T) -> [T] {
    withBytes(strings) { bytes in
      if let codes = strings.codes, strings.entryCount <= count {
        let table = (0..<strings.entryCount).map { value(entry(bytes, strings.range(ofEntry: $0))) }
        return (0..<count).map { table[Int(codes[$0])] }
      }
      return (0..<count).map { value(entry(bytes, strings.range(of: $0))) }
    }
  }
}

extension Value {
  /// The string of a constant.
  var constantText: String {
    if case .constant(let scalar) = self { return scalar.text }
    preconditionFailure("not a constant")
  }
}

/// Order of strings by their bytes.
enum TextOrder {
  @inline(__always)
  static func equal(_ a: Text, _ b: Text) -> Bool {
    guard a.count == b.count else { return false }
    return commonPrefix(a, b, a.count) == a.count
  }

  @inline(__always)
  static func less(_ a: Text, _ b: Text) -> Bool {
    let shorter = min(a.count, b.count)
    let prefix = commonPrefix(a, b, shorter)
    return prefix == shorter ? a.count < b.count : a[prefix] < b[prefix]
  }

  @inline(__always)
  private static func commonPrefix(_ a: Text, _ b: Text, _ limit: Int) -> Int {
    var at = 0
    while at < limit, a[at] == b[at] { at += 1 }
    return at
  }
}

/// Membership in a list of constants.
enum SetKernels {
  static func member(_ value: Value, of set: ConstantSet, _ count: Int) -> Bitmap {
    switch set.values {
    case .ints(let items): return member(value.lane64, of: items, count)
    case .doubles(let items): return member(value.laneDouble, of: items, count)
    case .bools(let hasFalse, let hasTrue):
      let bits = value.truth(count).bits
      return Bitmap(count: count, words: bits.words.map { (hasTrue ? $0 : 0) | (hasFalse ? ~$0 : 0) })
    case .strings(let items): return StringKernels.matches(value, count) { contains($0, items) }
    }
  }

  /// A few items are compared one by one over the whole column; many are searched per row.
  private static let few = 8

  private static func member(_ lane: Lane<Int64>, of items: [Int64], _ count: Int) -> Bitmap {
    if items.count > few { return NumericKernels.rows(lane, count) { contains($0, items) { $0 < $1 } } }
    return items.reduce(Bitmap(repeating: false, count: count)) {
      $0 | ComparisonKernels.compare(.equal, lane, .constant($1), count)
    }
  }

  private static func member(_ lane: Lane<Double>, of items: [Double], _ count: Int) -> Bitmap {
    if items.count > few { return NumericKernels.rows(lane, count) { contains($0, items, DoubleOrder.less) } }
    return items.reduce(Bitmap(repeating: false, count: count)) {
      $0 | ComparisonKernels.compare(.equal, lane, .constant($1), count)
    }
  }

  @inline(__always)
  private static func contains<T>(_ value: T, _ items: [T], _ less: (T, T) -> Bool) -> Bool {
    var low = 0
    var high = items.count
    while low < high {
      let middle = (low + high) / 2
      if less(items[middle], value) { low = middle + 1 } else { high = middle }
    }
    return low < items.count && !less(value, items[low])
  }

  private static func contains(_ value: Text, _ items: [[UInt8]]) -> Bool {
    // SAFETY: each item is lent for one comparison.
    if items.count <= few {
      return items.contains { item in item.withUnsafeBufferPointer { TextOrder.equal($0, value) } }
    }
    var low = 0
    var high = items.count
    while low < high {
      let middle = (low + high) / 2
      if items[middle].withUnsafeBufferPointer({ TextOrder.less($0, value) }) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    // SAFETY: as above.
    return low < items.count && items[low].withUnsafeBufferPointer { TextOrder.equal($0, value) }
  }
}
