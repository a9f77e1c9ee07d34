// What every reader (JSON, CSV, columns) produces and the coercions consume: one cell per row and path, a tag that says
// what was found and an 8-byte payload. Tags and payloads are those of the JSON shim, so its output is used as it is.
// Invariants: cells of a path are contiguous; a MISSING or NULL cell has payload 0; text that a payload points to lies
// within `CellText` and is valid UTF-8.

import CSimdjson

/// What a cell holds; see `CSimdjson.h` for the payloads.
enum CellTag {
  static let missing = UInt8(CSIMDJSON_MISSING)
  static let null = UInt8(CSIMDJSON_NULL)
  static let int = UInt8(CSIMDJSON_INT)
  static let double = UInt8(CSIMDJSON_DOUBLE)
  static let bigInt = UInt8(CSIMDJSON_BIG_INT)
  static let huge = UInt8(CSIMDJSON_HUGE)
  static let `false` = UInt8(CSIMDJSON_FALSE)
  static let `true` = UInt8(CSIMDJSON_TRUE)
  static let string = UInt8(CSIMDJSON_STRING)
  static let unescaped = UInt8(CSIMDJSON_UNESCAPED)
  static let object = UInt8(CSIMDJSON_OBJECT)
  static let array = UInt8(CSIMDJSON_ARRAY)
  static let notNested = UInt8(CSIMDJSON_NOT_NESTED)
  static let raw = UInt8(CSIMDJSON_RAW)
  static let notJSON = UInt8(CSIMDJSON_NOT_JSON)
  /// Microseconds since 1970; only from columnar files.
  static let timestamp: UInt8 = 15

  /// The set of these tags, in the form of `CellRun.seen`.
  static func set(_ tags: UInt8...) -> UInt32 { tags.reduce(0) { $0 | 1 << UInt32($1) } }
}

/// The payload of a cell whose text is `length` bytes from `start`.
@inline(__always)
func textPayload(start: Int, length: Int) -> UInt64 { UInt64(start) | UInt64(length) << 32 }

/// The text that cells point to. Lent for the duration of a decoding call.
///
/// SAFETY: made inside the closures that lend both buffers, and never stored. Each is followed by `Limits.bytePadding`
/// readable bytes.
struct CellText {
  /// The records, or the bytes of a string column.
  let buffer: UnsafeRawBufferPointer
  /// Text that had to be rewritten.
  let arena: UnsafeRawBufferPointer

  /// The text of a cell that has one.
  @inline(__always)
  func bytes(_ tag: UInt8, _ payload: UInt64) -> UnsafeRawBufferPointer {
    let start = Int(payload & 0xFFFF_FFFF)
    let source = tag == CellTag.unescaped ? arena : buffer
    // SAFETY: asked for cells with text only, whose payloads the reader of the batch took from these buffers.
    return UnsafeRawBufferPointer(rebasing: source[start..<start + Int(payload >> 32)])
  }
}

/// The cells of one path. Lent for the duration of a decoding call.
///
/// SAFETY: both pointers lead to `count` initialised cells of a `CellBlock`, which checks that they are there, outlives
/// the run and is not made larger while one is in use.
struct CellRun {
  let tags: UnsafeMutablePointer<UInt8>
  let payloads: UnsafeMutablePointer<UInt64>
  let count: Int
  /// Bit t is set if a cell has tag t; more may be set.
  var seen: UInt32

  /// Whether no cell has another tag than these.
  func has(only tags: UInt32) -> Bool { seen & ~tags == 0 }

  /// The rows with one of these tags; nil for all of them.
  func rows(tagged tags: UInt32) -> Bitmap? {
    if has(only: tags) { return nil }
    return Bitmap(count: count) { tags >> UInt32(self.tags[$0]) & 1 != 0 }
  }

  /// Makes STRING and UNESCAPED cells that hold a number numbers.
  mutating func readNumbers(in text: CellText) {
    guard seen & CellTag.set(CellTag.string, CellTag.unescaped) != 0 else { return }
    csimdjson_read_numbers(text.buffer.bytes, text.arena.bytes, tags, payloads, count, &seen)
  }
}

/// Memory for the cells of a batch, reused from batch to batch.
///
/// SAFETY: owns three allocations of `pathCount * stride`, as many, and `stride` cells; one worker uses it.
final class CellBlock {
  private let pathCount: Int
  private(set) var tags: UnsafeMutablePointer<UInt8>
  private(set) var payloads: UnsafeMutablePointer<UInt64>
  /// Index of the record of each row.
  private(set) var records: UnsafeMutablePointer<UInt32>
  /// Distance between the cells of two paths. Not a multiple of 4096 bytes, so that the cells of one row do not compete
  /// for one set of the first-level cache.
  private(set) var stride = 0
  var seen: [UInt32]

  init(pathCount: Int) {
    self.pathCount = pathCount
    seen = [UInt32](repeating: 0, count: pathCount)
    tags = .allocate(capacity: 0)
    payloads = .allocate(capacity: 0)
    records = .allocate(capacity: 0)
  }

  // SAFETY: the block is the only owner of the three allocations; runs are lent within a decoding call only.
  deinit {
    tags.deallocate()
    payloads.deallocate()
    records.deallocate()
  }

  /// Makes room for `rows` rows; what was there is lost.
  func reserve(_ rows: Int) {
    guard rows > stride else { return }
    tags.deallocate()
    payloads.deallocate()
    records.deallocate()
    stride = (rows + 511) / 512 * 512 + 24
    // SAFETY: cells are trivial, and initialised here, so none is ever read uninitialised.
    tags = .allocate(capacity: pathCount * stride)
    tags.initialize(repeating: 0, count: pathCount * stride)
    payloads = .allocate(capacity: pathCount * stride)
    payloads.initialize(repeating: 0, count: pathCount * stride)
    records = .allocate(capacity: stride)
    records.initialize(repeating: 0, count: stride)
  }

  /// The first `rows` cells of a path.
  func run(_ path: Int, rows: Int) -> CellRun {
    precondition(path < pathCount && rows <= stride, "cells outside the block")
    return CellRun(tags: tags + path * stride, payloads: payloads + path * stride, count: rows, seen: seen[path])
  }
}

extension UnsafeRawBufferPointer {
  /// The bytes as C code takes them; a pointer even where there are none.
  /// SAFETY: raw memory of plain bytes may be read as bytes; the pointer is valid for as long as the buffer is.
  var bytes: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }

  /// Up to `limit` bytes as text for a message.
  func excerpt(limit: Int = 40) -> String {
    let text = String(decoding: prefix(limit), as: UTF8.self)
    return count > limit ? text + "…" : text
  }
}
