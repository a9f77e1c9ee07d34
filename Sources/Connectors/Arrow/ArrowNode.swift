// Read access to one array of the C Data Interface. Invariant: rows are numbered from the array's own start; every
// accessor adds the array's `offset`, which is not 0 for slices.

import CArrow
import Detection

/// An array that the shim has exported, together with its type. Valid until the owner releases the exported struct.
///
/// SAFETY: everything this type relies on (buffer lengths, ascending offsets, dictionary indices in range) was
/// checked by the shim, which validates each batch in full before it exports it. Only such arrays may be wrapped.
struct ArrowNode {
  let field: ArrowField
  private let array: UnsafePointer<ArrowArray>

  init(_ array: UnsafePointer<ArrowArray>, _ field: ArrowField) {
    precondition(Int(array.pointee.n_children) == field.children.count, "an array that is not of its schema's shape")
    self.array = array
    self.field = field
  }

  /// Rows of the array.
  var length: Int { Int(array.pointee.length) }

  /// Where row 0 lies in the buffers.
  var offset: Int { Int(array.pointee.offset) }

  func child(_ index: Int) -> ArrowNode { ArrowNode(array.pointee.children[index]!, field.children[index]) }

  var dictionary: ArrowNode? {
    guard let values = array.pointee.dictionary, let field = field.dictionary else { return nil }
    return ArrowNode(values, field)
  }

  /// The rows of a struct's child that belong to rows of the struct: children are not sliced with their parent.
  func childRows(_ rows: Range<Int>) -> Range<Int> { rows.lowerBound + offset..<rows.upperBound + offset }

  /// A buffer by its number; nil where the array has none (no nulls, or no rows).
  func buffer(_ index: Int) -> UnsafeRawPointer? { array.pointee.buffers[index] }

  /// The values of rows `rows` of the array, whose type takes `MemoryLayout<Value>.size` bytes.
  func values<Value: BitwiseCopyable>(_: Value.Type, _ rows: Range<Int>) -> UnsafeBufferPointer<Value> {
    // SAFETY: no rows, no memory.
    guard !rows.isEmpty else { return UnsafeBufferPointer(start: nil, count: 0) }
    // Callers index the result, which release builds do not check.
    guard let base = buffer(1) else { preconditionFailure("an array with rows lacks its buffer of values") }
    // SAFETY: the buffer holds offset + length values, and the shim aligns buffers to their element type.
    let start = base.assumingMemoryBound(to: Value.self)
    return UnsafeBufferPointer(start: start + offset + rows.lowerBound, count: rows.count)
  }

  /// Whether a row is not null by this array's own bitmap (a null struct does not mark its children).
  func isValid(_ row: Int) -> Bool {
    if field.type == .null { return false }
    guard array.pointee.null_count != 0, let bits = buffer(0) else { return true }
    let bit = offset + row
    return bits.load(fromByteOffset: bit >> 3, as: UInt8.self) >> UInt8(bit & 7) & 1 != 0
  }

  /// The rows that are not null, nil where all of them are not.
  func validity(_ rows: Range<Int>) -> Bitmap? {
    if field.type == .null { return Bitmap(repeating: false, count: rows.count) }
    guard array.pointee.null_count != 0, let bits = buffer(0) else { return nil }
    return Self.bits(bits, from: offset + rows.lowerBound, count: rows.count)
  }

  /// The values of a boolean array.
  func booleans(_ rows: Range<Int>) -> Bitmap {
    guard let bits = buffer(1) else { return Bitmap(repeating: false, count: rows.count) }
    return Self.bits(bits, from: offset + rows.lowerBound, count: rows.count)
  }

  func boolean(_ row: Int) -> Bool { booleans(row..<row + 1)[0] }

  /// Bits `start ..< start + count` as a bitmap. Reads no byte beyond the one that holds the last bit.
  private static func bits(_ base: UnsafeRawPointer, from start: Int, count: Int) -> Bitmap {
    guard count > 0 else { return Bitmap(repeating: false, count: 0) }
    let last = (start + count - 1) >> 3
    let shift = start & 7
    let words = (0..<(count + 63) / 64).map { index -> UInt64 in
      let byte = (start >> 3) + index * 8
      // SAFETY: bytes up to and including `last` belong to the buffer.
      if byte + 8 <= last {
        let low = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: byte, as: UInt64.self))
        let high = UInt64(base.load(fromByteOffset: byte + 8, as: UInt8.self))
        return low >> UInt64(shift) | high << UInt64(64 - shift)
      }
      return (byte...last).reduce(into: 0) { word, at in
        // A negative shift goes to the right; bits that leave the word belong to its neighbours.
        word |= UInt64(base.load(fromByteOffset: at, as: UInt8.self)) << ((at - byte) * 8 - shift)
      }
    }
    return Bitmap(count: count, words: words)
  }

  /// The bytes of a row of text or binary data. A null row may hold any bytes.
  func bytes(_ row: Int) -> UnsafeRawBufferPointer {
    switch field.type {
    case .text(.small), .binary(.small): return bytes(row, Int32.self)
    case .text(.large), .binary(.large): return bytes(row, Int64.self)
    case .text(.view), .binary(.view): return viewedBytes(row)
    case .fixedBinary(let width):
      // SAFETY: the buffer holds offset + length values of `width` bytes.
      return UnsafeRawBufferPointer(start: buffer(1).map { $0 + (offset + row) * width }, count: width)
    default: preconditionFailure("bytes of a \(field.type)")
    }
  }

  private func bytes<Offset: FixedWidthInteger & BitwiseCopyable>(_ row: Int, _: Offset.Type) -> UnsafeRawBufferPointer
  {
    let bounds = values(Offset.self, row..<row + 2)
    let start = Int(bounds[0])
    // SAFETY: offsets ascend, null rows included, and the last one lies within the data buffer.
    return UnsafeRawBufferPointer(start: buffer(2).map { $0 + start }, count: Int(bounds[1]) - start)
  }

  /// A view is a length of 4 bytes and then either up to 12 bytes themselves, or 4 bytes of them, the number of a data
  /// buffer and an offset into it. Views of null rows are not validated: this must not be called for them.
  private func viewedBytes(_ row: Int) -> UnsafeRawBufferPointer {
    // SAFETY: there are offset + length views of 16 bytes; the views of rows that are not null lie within their data
    // buffers, whose numbers begin behind the two buffers of the array itself.
    let view = buffer(1)! + (offset + row) * 16
    let count = Int(view.loadUnaligned(as: Int32.self))
    if count <= 12 { return UnsafeRawBufferPointer(start: view + 4, count: count) }
    let data = Int(view.loadUnaligned(fromByteOffset: 8, as: Int32.self))
    let start = Int(view.loadUnaligned(fromByteOffset: 12, as: Int32.self))
    return UnsafeRawBufferPointer(start: buffer(2 + data)! + start, count: count)
  }

  /// The rows of the child that a row of a list or map holds.
  func elements(_ row: Int) -> Range<Int> {
    switch field.type {
    case .list(.small), .map:
      let bounds = values(Int32.self, row..<row + 2)
      return Int(bounds[0])..<Int(bounds[1])
    case .list(.large):
      let bounds = values(Int64.self, row..<row + 2)
      return Int(bounds[0])..<Int(bounds[1])
    case .list(.view):
      return extent(values(Int32.self, row..<row + 1)[0], size: buffer(2)!, row)
    case .list(.largeView):
      return extent(values(Int64.self, row..<row + 1)[0], size: buffer(2)!, row)
    case .fixedList(let size):
      return (offset + row) * size..<(offset + row + 1) * size
    default: preconditionFailure("elements of a \(field.type)")
    }
  }

  private func extent<Offset: FixedWidthInteger & BitwiseCopyable>(
    _ start: Offset, size: UnsafeRawPointer, _ row: Int
  ) -> Range<Int> {
    let count = size.load(fromByteOffset: (offset + row) * MemoryLayout<Offset>.size, as: Offset.self)
    return Int(start)..<Int(start) + Int(count)
  }

  /// The dictionary entry of a row that is not null.
  func dictionaryIndex(_ row: Int) -> Int {
    guard case .integer(let bytes, let signed) = field.type else { preconditionFailure("indices of a \(field.type)") }
    let one = row..<row + 1
    switch (bytes, signed) {
    case (1, true): return Int(values(Int8.self, one)[0])
    case (1, false): return Int(values(UInt8.self, one)[0])
    case (2, true): return Int(values(Int16.self, one)[0])
    case (2, false): return Int(values(UInt16.self, one)[0])
    case (4, true): return Int(values(Int32.self, one)[0])
    case (4, false): return Int(values(UInt32.self, one)[0])
    default: return Int(values(Int64.self, one)[0])
    }
  }
}
