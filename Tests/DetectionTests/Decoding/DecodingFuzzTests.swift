// Random damage to valid records, judged by Foundation's JSON parser: what one accepts the other must accept, with the same
// values; and the same records in other batches must give the same columns and dead letters. Seeded, so a failure can be
// repeated; `PULSE_FUZZ_ROUNDS` sets the number of rounds.

import Detection
import Foundation
import TestKit
import Testing

@Suite struct DecodingFuzzTests {
  static let rounds = ProcessInfo.processInfo.environment["PULSE_FUZZ_ROUNDS"].flatMap(Int.init) ?? 60

  static let fields = Detection.Schema(
    fields: [
      Field(name: "t", type: .timestamp(.automatic)), Field(name: "i", type: .int), Field(name: "d", type: .double),
      Field(name: "b", type: .bool), Field(name: "s", type: .string), Field(name: "j", type: .json),
      Field(name: "p.x", type: .double), Field(name: "p.q.y", type: .string),
    ], timeField: 0, keyField: nil)

  private static func record(_ random: inout SeededRandom) -> [UInt8] {
    func pick(_ texts: [String]) -> String { texts.randomElement(using: &random) ?? "" }
    let integer = String(Int64(truncatingIfNeeded: random.next()) >> Int64.random(in: 0..<64, using: &random))
    let double = "\(Double(bitPattern: random.next() & 0xBFFF_FFFF_FFFF_FFFF))"
    let string = pick([
      "", "a", "plain text", "é€😀", #"\n\"\\\/"#, #"\u00e9\ud83d\ude00"#, "longer than sixteen bytes of text", "true",
    ])
    let members = [
      "\"t\":\(pick(["0", "\"2018-01-01T12:30:00.5Z\"", "1514809800250", "\"2020-02-29\""]))",
      "\"i\":\(pick([integer, "-0", "16.0", "1e3", "null"]))",
      "\"d\":\(pick([double, integer, "0.1", "1e-7", "null"]))",
      "\"b\":\(pick(["true", "false", "0", "1", "\"true\"", "null"]))", "\"s\":\"\(string)\"",
      "\"j\":\(pick(["{\"k\":[1,2,{\"m\":null}]}", "[]", "\"x\"", "[[\"\(string)\"],-1.5e3]"]))",
      "\"p\":{\"x\":\(pick([double, "1"])),\"z\":[{}],\"q\":{\"y\":\"\(string)\"}}",
      "\"u\":\(pick(["[1,2,3]", "{\"a\":{\"b\":[]}}", double, "\"\(string)\""]))",
    ]
    let kept = members.enumerated().filter { $0.offset == 0 || Int.random(in: 0..<8, using: &random) > 0 }.map(
      \.element)
    let ordered = Int.random(in: 0..<4, using: &random) == 0 ? kept.shuffled(using: &random) : kept
    return Array(("{" + ordered.joined(separator: pick([",", ", ", " ,\t"])) + "}").utf8)
  }

  private static func damage(_ record: [UInt8], _ other: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var record = record
    func index(_ count: Int) -> Int { count == 0 ? 0 : Int.random(in: 0..<count, using: &random) }
    for _ in 0...index(3) where !record.isEmpty {
      switch index(8) {
      case 0: record[index(record.count)] ^= 1 << UInt8(index(8))
      case 1: record.removeLast(index(record.count))
      case 2: record.replaceSubrange(index(record.count)..., with: other[index(other.count)...])
      case 3, 4:
        let pieces = [
          "{", "}", "[", "]", ",", ":", "\"", "\\", "0", "-", "e", ".", "\u{1}", " ", "\\u", "null", "\n", "9",
        ]
        record.insert(contentsOf: Array((pieces.randomElement(using: &random) ?? "").utf8), at: index(record.count))
      case 5: record.remove(at: index(record.count))
      case 6: record[index(record.count)] = UInt8(index(256))
      default:
        let start = index(record.count)
        let end = min(record.count, start + index(20))
        record.insert(contentsOf: record[start..<end], at: index(record.count))
      }
    }
    return record
  }

  private static func records(seed: UInt64, count: Int) -> [[UInt8]] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { _ in
      let good = record(&random)
      return Int.random(in: 0..<3, using: &random) == 0 ? good : damage(good, record(&random), &random)
    }
  }

  @Test(arguments: 0..<rounds)
  func agreesWithFoundation(_ round: Int) throws {
    let records = Self.records(seed: UInt64(round), count: 500)
    let decoded = Decoder(schema: Self.fields).decode(QueryEvents.batch(of: records))
    #expect(decoded.events.count + decoded.deadLetters.count == records.count)
    for letter in decoded.deadLetters {
      let object = Self.foundation(letter.raw)
      let text = String(decoding: letter.raw, as: UTF8.self)
      switch letter.reason {
      case .malformed, .invalidUTF8:
        if object != nil, !Self.isKnownLeniency(letter.raw) { Issue.record("refused as \(letter.reason): \(text)") }
      case .notAnObject:
        if object is [String: Any] { Issue.record("refused as no object: \(text)") }
      case .duplicateKey, .unknownField, .tooDeep, .tooLarge: break
      default:
        if object == nil, !Self.isKnownStrictness(letter.raw) { Issue.record("taken for JSON: \(text)") }
      }
    }
    for row in 0..<decoded.events.count {
      let index = Int(decoded.events.positions.rows[row])
      let text = String(decoding: records[index], as: UTF8.self)
      guard let object = Self.foundation(records[index]) as? [String: Any] else {
        if !Self.isKnownStrictness(records[index]) { Issue.record("accepted: \(text)") }
        continue
      }
      for (column, field) in zip(decoded.events.columns, Self.fields.fields) {
        var value: Any? = object
        for key in field.path { value = (value as? [String: Any])?[key] }
        if !Self.agrees(column[row], value, field) {
          Issue.record("\(field.name) is \(column[row]), Foundation says \(String(describing: value)): \(text)")
        }
      }
    }
  }

  private static func foundation(_ bytes: [UInt8]) -> Any? {
    try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
  }

  /// Foundation takes a comma behind the last element. It also guesses UTF-16 and UTF-32 from zero bytes and byte order marks at the beginning; events are UTF-8.
  private static func isKnownLeniency(_ bytes: [UInt8]) -> Bool {
    bytes.prefix(4).contains(0) || bytes.starts(with: [0xEF, 0xBB, 0xBF]) || bytes.starts(with: [0xFE, 0xFF])
      || bytes.starts(with: [0xFF, 0xFE]) || String(decoding: bytes, as: UTF8.self).contains(/,[ \t\r\n]*[}\]]/)
  }

  /// Foundation refuses numbers beyond the range of double; in a value nobody asked for they are JSON all the same.
  private static func isKnownStrictness(_ bytes: [UInt8]) -> Bool {
    String(decoding: bytes, as: UTF8.self).contains(/[eE]\+?[0-9]{3,}|[0-9]{300,}/)
  }

  private static func agrees(_ ours: Scalar, _ theirs: Any?, _ field: Field) -> Bool {
    guard let theirs, !(theirs is NSNull) else { return ours == .null }
    let number = theirs as? NSNumber
    switch ours {
    case .null: return false
    case .int(let value): return number.map { $0.int64Value == value || $0.doubleValue == Double(value) } ?? false
    // Foundation rounds through Decimal on Linux; `doublesAreReadExactly` is the exact test.
    case .double(let value): return number.map { abs($0.doubleValue - value) <= abs(value) * 1e-14 } ?? false
    case .bool(let value):
      if let text = theirs as? String { return text.lowercased() == String(value) }
      return number.map { $0.doubleValue == (value ? 1 : 0) } ?? false
    case .timestamp(let value):
      if let text = theirs as? String { return Timestamp.parse(text) == value }
      guard let number else { return false }
      if Timestamp.fromEpoch(number.int64Value, format: .automatic) == value { return true }
      return Timestamp.fromEpoch(double: number.doubleValue, format: .automatic).map { abs($0 - value) <= 1 } ?? false
    case .string(let value):
      if field.type == .json {
        guard let parsed = foundation(Array(value.utf8)) else { return false }
        return (parsed as? NSObject)?.isEqual(theirs) ?? ("\(parsed)" == "\(theirs)")
      }
      return (theirs as? String).map { Array($0.utf8) == Array(value.utf8) } ?? false
    }
  }

  @Test func doublesAreReadExactly() {
    var random = SeededRandom(seed: 17)
    let texts = (0..<20_000).map { round -> String in
      func digits(_ count: Int) -> String {
        (0..<Int.random(in: 1...count, using: &random)).map { _ in String(Int.random(in: 0...9, using: &random)) }
          .joined()
      }
      let sign = Bool.random(using: &random) ? "-" : ""
      let exponent = "e\(Int.random(in: -330...300, using: &random))"
      switch round % 5 {
      case 0: return "\(Double(bitPattern: random.next() & 0xBFFF_FFFF_FFFF_FFFF))"
      case 1: return "\(sign)\(Int.random(in: 0..<1_000_000, using: &random)).\(digits(6))"
      case 2: return "\(sign)1\(digits(30)).\(digits(30))"
      case 3: return "\(sign)0.000\(digits(25))\(exponent)"
      default: return "\(sign)\(Int.random(in: 1..<Int.max, using: &random)).0\(exponent)"
      }
    }
    let field = Field(name: "a", type: .double)
    let decoded = decode(schema(field), texts.map { "{\"t\":0,\"a\":\($0)}" })
    let huge = texts.filter { Double($0).map { !$0.isFinite } ?? true }
    #expect(decoded.deadLetters.count == huge.count)
    #expect(decoded.deadLetters.allSatisfy { $0.reason == .outOfRange })
    guard case .double(let values) = decoded.events.columns[1].values else { return }
    for (row, index) in decoded.events.positions.rows.enumerated() {
      if values[row].bitPattern != Double(texts[Int(index)])?.bitPattern {
        Issue.record("\(texts[Int(index)]) became \(values[row])")
      }
    }
  }

  @Test(arguments: 0..<8)
  func batchesMayBeCutAnywhere(_ seed: Int) {
    let records = Self.records(seed: 1000 + UInt64(seed), count: 700)
    let whole = Decoder(schema: Self.fields).decode(QueryEvents.batch(of: records))
    #expect(!whole.deadLetters.isEmpty && whole.events.count > 100)
    for size in [1, 7, 256] {
      let decoder = Decoder(schema: Self.fields)
      var columns = [[Scalar]](repeating: [], count: Self.fields.fields.count)
      var rows: [Int64] = []
      var letters: [DeadLetter] = []
      for start in stride(from: 0, to: records.count, by: size) {
        let part = Array(records[start..<min(start + size, records.count)])
        let decoded = decoder.decode(QueryEvents.batch(of: part, firstRow: Int64(start)))
        for index in columns.indices {
          columns[index] += (0..<decoded.events.count).map { decoded.events.columns[index][$0] }
        }
        rows += decoded.events.positions.rows
        letters += decoded.deadLetters
      }
      #expect(rows == whole.events.positions.rows)
      for (index, column) in whole.events.columns.enumerated() {
        #expect(Column(column.type, columns[index]) == column)
      }
      #expect(letters.map(\.position.row) == whole.deadLetters.map(\.position.row))
      #expect(letters.map(\.message) == whole.deadLetters.map(\.message))
      #expect(letters.map(\.reason) == whole.deadLetters.map(\.reason))
      #expect(letters.map(\.raw) == whole.deadLetters.map(\.raw))
    }
  }

  @Test func damagedCSVNeverTraps() {
    var random = SeededRandom(seed: 99)
    let decoder = Decoder(schema: Self.fields)
    for _ in 0..<Self.rounds {
      let records = (0..<200).map { _ in
        let good = Array("2018-01-01,12,1.5,true,\"te\"\"xt\",\"{\"\"k\"\":[1]}\",7,y".utf8)
        return Int.random(in: 0..<4, using: &random) == 0 ? good : Self.damage(good, good, &random)
      }
      let batch = QueryEvents.batch(of: records)
      let header = ["t", "i", "d", "b", "s", "j", "p.x", "p.q.y"]
      let raw = RawBatch(
        partition: batch.partition, positions: batch.positions, payload: .csv(RecordBytes(records), header: header),
        next: batch.next)
      let decoded = decoder.decode(raw)
      #expect(decoded.events.count + decoded.deadLetters.count == records.count)
      #expect(decoded.events.count > 20)
      let alone = records.enumerated().filter { _, record in
        let single = QueryEvents.batch(of: [record])
        return decoder.decode(
          RawBatch(
            partition: single.partition, positions: single.positions,
            payload: .csv(RecordBytes([record]), header: header), next: single.next)
        ).events.count == 1
      }
      #expect(alone.map { Int64($0.offset) } == decoded.events.positions.rows)
    }
  }
}
