// Large values that many rows share, as a dictionary of a columnar file makes them: written out they would exceed what the
// offsets of a string column can address.

import Testing

@testable import Detection

@Suite struct SharedTextTests {
  @Test func textSharedByManyRowsIsWrittenOnce() {
    let length = 2 << 20
    let rows = 2_100
    let buffer = [UInt8](repeating: 0x61, count: length) + [0x62] + [UInt8](repeating: 0, count: Limits.bytePadding)
    let block = CellBlock(pathCount: 1)
    block.reserve(rows)
    let builder = StringBuilder()
    buffer.withUnsafeBytes { bytes in
      let text = CellText(buffer: bytes, arena: UnsafeRawBufferPointer(start: nil, count: 0))
      var run = block.run(0, rows: rows)
      run.seen = CellTag.set(CellTag.string)
      // A batch of different values makes the builder do without a dictionary for a while.
      for row in 0..<rows {
        run.tags[row] = CellTag.string
        run.payloads[row] = textPayload(start: 0, length: row)
      }
      _ = builder.column(run, text, accepting: run.seen)
      for row in 0..<rows { run.payloads[row] = textPayload(start: 0, length: length) }
      run.payloads[7] = textPayload(start: length, length: 1)
      run.tags[8] = CellTag.null
      let column = builder.column(run, text, accepting: run.seen)
      #expect(column.count == rows)
      #expect(column.bytes.count == length + 1)
      #expect(column.range(of: 0).count == length && column.range(of: rows - 1).count == length)
      #expect(column[7] == "b")
      #expect(column.range(of: 8).isEmpty)
    }
  }

  @Test func aLongDefaultIsWrittenOnce() {
    let rows = 4_200
    let value = String(repeating: "d", count: 1 << 20)
    let strings = StringColumn((0..<rows).map { $0 % 2 == 0 ? "x" : "" })
    let column = Column(.string(strings), validity: Bitmap(count: rows) { $0 == 0 })
    let filled = column.filled(with: .string(value), type: .string)
    guard case .string(let result) = filled.values else { return }
    #expect(result.bytes.count < 2 << 20)
    #expect(result[0] == "x" && result[1] == value)
  }

  @Test(arguments: [
    "substring(s, i)", "left(s, i)", "trim(s, t)", "upper(s)", "lower(s)", "replace(s, 'b', t)", "s || t",
    "trim(s)", "substring(s, 1)",
  ])
  func computedStringsAreBounded(_ text: String) throws {
    // Rows of one large value, in a dictionary that is larger than the batch, so it is computed row by row.
    let rows = 6
    let large = String(repeating: "a", count: Limits.maxComputedStringBytes + 1)
    let entries = StringColumn([large, "abc"] + [String](repeating: "", count: rows))
    let codes = (0..<rows).map { $0 == 3 ? UInt32(1) : 0 }
    let scope = Scope([("s", .string), ("t", .string), ("i", .int)])
    let columns = [
      Column(.string(StringColumn(offsets: entries.offsets, bytes: entries.bytes, codes: codes))),
      Column(.string(StringColumn((0..<rows).map { "\($0)" }))),
      Column(.int((0..<rows).map { text.hasPrefix("left") ? 2_000_000 + Int64($0) : 1 })),
    ]
    var failures = 0
    let result = try Expression(text, scope: scope).evaluate(columns, count: rows, failures: &failures)
    #expect(failures == rows - 1)
    #expect(result.isNull(0) && !result.isNull(3))
  }

  @Test func chosenValuesAreWrittenOnce() throws {
    let rows = 4_200
    let entries = StringColumn([String(repeating: "a", count: 1 << 20)])
    let shared = StringColumn(
      offsets: entries.offsets, bytes: entries.bytes, codes: [UInt32](repeating: 0, count: rows))
    let other = StringColumn(
      offsets: [0, UInt32(Limits.maxPlainStringBytes)],
      bytes: [UInt8](repeating: 98, count: Limits.maxPlainStringBytes),
      codes: [UInt32](repeating: 0, count: rows))
    let columns = [
      Column(.string(shared)), Column(.string(other)), Column(.bool(Bitmap(count: rows) { $0 != 5 })),
    ]
    var failures = 0
    let expression = try Expression(
      "CASE WHEN b THEN s ELSE t END", scope: Scope([("s", .string), ("t", .string), ("b", .bool)]))
    let result = expression.evaluate(columns, count: rows, failures: &failures)
    guard case .string(let strings) = result.values else { return }
    #expect(strings.bytes.count == Limits.maxPlainStringBytes + (1 << 20))
    #expect(strings.range(of: 5).count == Limits.maxPlainStringBytes && strings.range(of: 6).count == 1 << 20)
  }
}
