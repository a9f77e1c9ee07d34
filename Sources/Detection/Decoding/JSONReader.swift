// JSON records to cells through the shim: one call a batch. Invariant: path p of the shim is `slots`' p.

import CSimdjson

/// The JSON parser of one worker, made for the paths of a schema.
final class JSONReader {
  private let parser: OpaquePointer
  private let maxEventBytes: Int
  /// The path of each field's cells, each field its own.
  let slots: [Int]
  /// Fields that read the same value as another one: their cells are copies, behind those of the shim's paths.
  private let copies: [(source: Int, target: Int)]

  init(schema: Schema) {
    let rejectUnknown: Int32 = schema.unknownFields == .reject ? 1 : 0
    let parser = csimdjson_create(schema.maxEventBytes, UInt32(Limits.maxNesting), rejectUnknown)
    guard let parser else { preconditionFailure("no memory for a JSON parser") }
    self.parser = parser
    maxEventBytes = schema.maxEventBytes
    var known: [Slot: Int] = [:]
    for field in schema.fields {
      let slot = Slot(path: field.path, isRaw: field.type == .json)
      if known[slot] != nil { continue }
      let index = Self.add(slot, to: parser)
      precondition(index == known.count, "the parser did not take the path of field \(field.name)")
      known[slot] = index
    }
    var slots: [Int] = []
    var copies: [(source: Int, target: Int)] = []
    var taken: Set<Int> = []
    for field in schema.fields {
      let source = known[Slot(path: field.path, isRaw: field.type == .json)] ?? 0
      let isFirst = taken.insert(source).inserted
      let slot = isFirst ? source : known.count + copies.count
      if !isFirst { copies.append((source, slot)) }
      slots.append(slot)
    }
    self.slots = slots
    self.copies = copies
  }

  deinit { csimdjson_destroy(parser) }

  private struct Slot: Hashable {
    var path: [String]
    var isRaw: Bool
  }

  private static func add(_ slot: Slot, to parser: OpaquePointer) -> Int {
    let bytes = slot.path.flatMap { Array($0.utf8) }
    let lengths = slot.path.map(\.utf8.count)
    // SAFETY: the keys lie one after another in `bytes`; an empty key needs a pointer, but nothing is read from it. The
    // parser copies them.
    return bytes.withUnsafeBufferPointer { bytes in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1) { nowhere in
        var keys: [UnsafePointer<UInt8>?] = []
        var offset = 0
        for length in lengths {
          keys.append(bytes.baseAddress.map { $0 + offset } ?? nowhere.baseAddress.map { UnsafePointer($0) })
          offset += length
        }
        return Int(csimdjson_add_path(parser, keys, lengths, lengths.count, slot.isRaw ? 1 : 0))
      }
    }
  }

  /// Parses records into the block and returns the number of rows; `failures` has the refused records.
  func read(_ records: RecordBytes, buffer: UnsafeRawBufferPointer, into block: CellBlock) -> Int {
    block.reserve(records.count)
    // SAFETY: the block was made with at least as many paths as the parser has, and has just got room for every record.
    // The parser refuses records that do not lie within `buffer` with their padding, and keeps no pointer.
    let rows = block.seen.withUnsafeMutableBufferPointer { seen in
      csimdjson_parse(
        parser, buffer.bytes, buffer.count, records.starts, records.ends, records.count, block.tags, block.payloads,
        block.stride, block.records, seen.baseAddress)
    }
    precondition(rows != -1, "no memory to parse JSON")
    precondition(rows >= 0, "a record lies outside its buffer")
    for (source, target) in copies {
      let from = block.run(source, rows: rows)
      let to = block.run(target, rows: rows)
      to.tags.update(from: from.tags, count: rows)
      to.payloads.update(from: from.payloads, count: rows)
      block.seen[target] = from.seen
    }
    return rows
  }

  /// The text of unescaped strings, valid until the next call of `read`.
  ///
  /// SAFETY: the parser owns `count` bytes and padding behind them; callers use them before they read again.
  var arena: UnsafeRawBufferPointer {
    var count = 0
    let start = csimdjson_arena(parser, &count)
    return UnsafeRawBufferPointer(start: start, count: count)
  }

  /// The records that `read` refused and why, ascending.
  func failures(
    of records: RecordBytes, buffer: UnsafeRawBufferPointer
  ) -> [(record: Int, why: RowFailure)] {
    var count = 0
    let start = csimdjson_failures(parser, &count)
    // SAFETY: the parser owns `count` failures until it parses again; they are turned into values here.
    return UnsafeBufferPointer(start: start, count: count).map { failure in
      let record = Int(failure.record)
      let range = Int(records.starts[record])..<Int(records.ends[record])
      return (record, explain(failure, range, buffer))
    }
  }

  /// Marks text cells that hold no JSON value, and makes those that hold `null` null.
  func checkJSON(_ run: inout CellRun, text: CellText) {
    let status = csimdjson_check_json(
      parser, text.buffer.bytes, text.arena.bytes, run.tags, run.payloads, run.count, &run.seen)
    precondition(status == 0, "no memory to parse JSON")
  }

  /// What a failure means for the record at `range`.
  private func explain(
    _ failure: CSimdjsonFailure, _ range: Range<Int>, _ buffer: UnsafeRawBufferPointer
  ) -> RowFailure {
    let offset = min(Int(failure.offset), range.upperBound)
    let place = "at byte \(offset - range.lowerBound)"
    // SAFETY: both excerpts are cut to end with the record, which `read` has checked, and become strings.
    let found = UnsafeRawBufferPointer(rebasing: buffer[offset..<range.upperBound]).excerpt(limit: 16)
    let keyEnd = min(offset + Int(failure.length), range.upperBound)
    // The key as written, up to its closing quote and what white space follows it.
    let key = UnsafeRawBufferPointer(rebasing: buffer[offset..<keyEnd]).excerpt()
      .split(separator: "\"", maxSplits: 1, omittingEmptySubsequences: false)[0]
    func fault(_ reason: DeadLetter.Reason, _ message: String, field: String? = nil) -> RowFailure {
      RowFailure(stage: .decode, reason: reason, field: field, message: message)
    }
    switch Int(failure.code) {
    case Int(CSIMDJSON_TOO_LARGE):
      return fault(.tooLarge, "expected at most \(maxEventBytes) bytes, found \(range.count)")
    case Int(CSIMDJSON_INVALID_UTF8): return fault(.invalidUTF8, "expected UTF-8, found other bytes")
    case Int(CSIMDJSON_EMPTY): return fault(.malformed, "expected a JSON object, found white space")
    case Int(CSIMDJSON_NOT_AN_OBJECT): return fault(.notAnObject, "expected a JSON object, found \(found)")
    case Int(CSIMDJSON_TOO_DEEP):
      return fault(.tooDeep, "expected at most \(Limits.maxNesting) levels of nesting, found more \(place)")
    case Int(CSIMDJSON_DUPLICATE_KEY):
      return fault(.duplicateKey, "expected each key once, found \"\(key)\" again \(place)", field: "\(key)")
    case Int(CSIMDJSON_UNKNOWN_KEY):
      return fault(.unknownField, "expected declared fields only, found \"\(key)\" \(place)", field: "\(key)")
    case Int(CSIMDJSON_ENDS_EARLY): return fault(.malformed, "expected more, found the end of the event")
    case Int(CSIMDJSON_TRAILING):
      return fault(.malformed, "expected the end of the event \(place), found \(found)")
    case Int(CSIMDJSON_BAD_ESCAPE): return fault(.malformed, "expected a valid escape \(place), found \(found)")
    case Int(CSIMDJSON_BAD_STRING):
      return fault(.malformed, "expected strings that end and hold no control characters, found another")
    case Int(CSIMDJSON_BAD_NUMBER): return fault(.malformed, "expected a JSON number \(place), found \(found)")
    default: return fault(.malformed, "expected JSON \(place), found \(found)")
    }
  }
}
