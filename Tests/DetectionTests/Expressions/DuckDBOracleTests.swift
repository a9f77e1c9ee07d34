// Expressions against DuckDB: thousands of random well-typed expressions over one table of edge values, evaluated by
// both. Any difference fails the test with the shrunk expression and the row. Doubles are compared bit for bit.
//
// PULSE_ORACLE_CASES sets the number of expressions (3,000), PULSE_ORACLE_SEED the seed.

import Foundation
import TestKit
import Testing

@testable import Detection

@Suite("Expressions against DuckDB", .serialized)
struct DuckDBOracleTests {
  private static let cases = ProcessInfo.processInfo.environment["PULSE_ORACLE_CASES"].flatMap { Int($0) } ?? 3000
  private static let seed =
    ProcessInfo.processInfo.environment["PULSE_ORACLE_SEED"].flatMap { UInt64($0) } ?? 20_240_229

  /// One difference.
  struct Difference: CustomStringConvertible {
    let sample: Sample
    let row: Int?
    let description: String
  }

  /// The random expressions: every signature of the catalogue a few times, the rest free.
  static func samples(_ count: Int, seed: UInt64) -> [Sample] {
    var generator = OracleGenerator(seed: seed)
    var samples: [Sample] = []
    for function in FunctionCatalog.all where function.kind == .scalar {
      for signature in function.signatures {
        for depth in [1, 1, 1, 2, 2] {
          let type = signature.result ?? generator.anyType()
          samples.append(generator.call(function.name, signature, type, depth))
        }
      }
    }
    while samples.count < count { samples.append(generator.sample(generator.anyType(), depth: 1 + samples.count % 5)) }
    return samples
  }

  /// The difference between our column and DuckDB's answer, if any.
  static func difference(
    _ sample: Sample, _ expression: Expression, _ ours: Column, _ answer: OracleDuckDB.Answer, _ table: OracleTable
  ) -> Difference? {
    switch answer {
    case .error(let message):
      return Difference(sample: sample, row: nil, description: "\(sample.text)\n  DuckDB: \(message)")
    case .rows(let lines):
      guard lines.count == table.count else {
        return Difference(sample: sample, row: nil, description: "\(sample.text)\n  \(lines.count) rows")
      }
      for (row, line) in lines.enumerated() {
        let theirs = OracleDuckDB.normalised(line, type: expression.type)
        let mine = OracleDuckDB.encoded(ours[row])
        if mine != theirs {
          return Difference(
            sample: sample, row: row,
            description: "\(sample.text)\n  ours: \(ours[row]) (\(mine))\n  DuckDB: \(line) (\(theirs))")
        }
      }
      return nil
    }
  }

  /// Compares samples in one DuckDB process. `tamper` lets the canary change our result.
  static func differences(
    _ samples: [Sample], _ table: OracleTable, tamper: (Column) -> Column = { $0 }
  ) throws -> [Difference] {
    let expressions = try samples.map { try Expression($0.text, scope: table.scope) }
    let answers = try OracleDuckDB.run(
      expressions.map { OracleDuckDB.query(try $0.sql(for: .duckDB), type: $0.type) }, setup: table.sql)
    var differences: [Difference] = []
    for index in samples.indices {
      var failures = 0
      let ours = tamper(expressions[index].evaluate(table.columns, count: table.count, failures: &failures))
      if let difference = difference(samples[index], expressions[index], ours, answers[index], table) {
        differences.append(difference)
      }
    }
    return differences
  }

  /// A smallest expression that still differs.
  static func shrink(
    _ difference: Difference, _ table: OracleTable, differences: (([Sample]) throws -> [Difference])? = nil
  ) throws -> Difference {
    let differences = differences ?? { try Self.differences($0, table) }
    var best = difference
    for _ in 0..<60 {
      let candidates = best.sample.smaller().filter {
        $0.text != best.sample.text && (try? Expression($0.text, scope: table.scope)) != nil
      }
      guard let smaller = try differences(candidates).min(by: { $0.sample.size < $1.sample.size }) else { break }
      best = smaller
    }
    return best
  }

  @Test("Random expressions give the same", .enabled(if: OracleDuckDB.isAvailable))
  func random() throws {
    let table = OracleTable(rows: 100, seed: Self.seed)
    let samples = Self.samples(Self.cases, seed: Self.seed)
    var differences: [Difference] = []
    for start in stride(from: 0, to: samples.count, by: 1000) {
      differences += try Self.differences(Array(samples[start..<min(start + 1000, samples.count)]), table)
    }
    for difference in differences.prefix(Int(ProcessInfo.processInfo.environment["PULSE_ORACLE_REPORT"] ?? "5") ?? 5) {
      let shrunk = try Self.shrink(difference, table)
      let row = shrunk.row.map { table.describe($0) } ?? ""
      let sql = try Expression(shrunk.sample.text, scope: table.scope).sql(for: .duckDB)
      Issue.record("\(shrunk.description)\n  as DuckDB: \(sql)\n  row: \(row)\n  seed \(Self.seed)")
    }
    #expect(differences.count == 0, "of \(samples.count) expressions")
  }

  @Test("Printed in our own language, random expressions mean the same")
  func roundTrip() throws {
    let table = OracleTable(rows: 100, seed: Self.seed)
    for sample in Self.samples(Self.cases, seed: Self.seed &+ 1) {
      let first = try Expression(sample.text, scope: table.scope)
      let text = try first.sql(for: .pulse)
      let second = try Expression(text, scope: table.scope)
      var failures = (0, 0)
      let a = first.evaluate(table.columns, count: table.count, failures: &failures.0)
      let b = second.evaluate(table.columns, count: table.count, failures: &failures.1)
      let same = (0..<table.count).allSatisfy { OracleDuckDB.encoded(a[$0]) == OracleDuckDB.encoded(b[$0]) }
      #expect(same && failures.0 == failures.1, "\(sample.text)\n  \(text)")
      #expect(try second.sql(for: .pulse) == text)
    }
  }

  @Test("A selection gives the rows of the whole and nothing else")
  func selections() throws {
    let table = OracleTable(rows: 100, seed: Self.seed)
    for (index, sample) in Self.samples(Self.cases, seed: Self.seed &+ 2).enumerated() {
      let expression = try Expression(sample.text, scope: table.scope)
      let selection = Bitmap(count: table.count) { ($0 &* 7 &+ index) % 5 < 2 }
      var failures = (0, 0, 0)
      let all = expression.evaluate(table.columns, count: table.count, failures: &failures.0)
      let some = expression.evaluate(table.columns, count: table.count, selection: selection, failures: &failures.1)
      let rest = expression.evaluate(table.columns, count: table.count, selection: ~selection, failures: &failures.2)
      let same = (0..<table.count).allSatisfy { row in
        OracleDuckDB.encoded(selection[row] ? some[row] : rest[row]) == OracleDuckDB.encoded(all[row])
          && (selection[row] ? rest : some).isNull(row)
      }
      #expect(same, "\(sample.text)")
      #expect(failures.0 == failures.1 + failures.2, "\(sample.text)")
      if expression.type == .bool {
        let matches = expression.matches(table.columns, count: table.count, failures: &failures.0)
        #expect((0..<table.count).allSatisfy { matches[$0] == (all[$0] == .bool(true)) }, "\(sample.text)")
      }
    }
  }

  @Test("The comparison notices a wrong result", .enabled(if: OracleDuckDB.isAvailable))
  func canary() throws {
    let table = OracleTable(rows: 100, seed: Self.seed)
    func changed(_ text: String, _ change: @escaping (Scalar) -> Scalar) throws -> Int {
      let expression = try Expression(text, scope: table.scope)
      let sample = Sample(type: expression.type, parts: [text])
      return try Self.differences([sample], table) { column in
        var isChanged = false
        let scalars = (0..<table.count).map { row -> Scalar in
          let scalar = change(column[row])
          if isChanged || OracleDuckDB.encoded(scalar) == OracleDuckDB.encoded(column[row]) { return column[row] }
          isChanged = true
          return scalar
        }
        return Column(column.type, scalars)
      }.count
    }
    #expect(try changed("x * 2", { $0 }) == 0)
    #expect(try changed("x * 2", { if case .double(let value) = $0 { .double(value.nextUp) } else { $0 } }) == 1)
    #expect(try changed("coalesce(x - x, 0e0)", { $0 == .double(0) ? .double(-0.0) : $0 }) == 1)
    #expect(try changed("i", { $0 == .null ? .int(0) : $0 }) == 1)
    #expect(try changed("b AND c", { $0 == .null ? .bool(false) : $0 }) == 1)
    #expect(try changed("upper(s)", { $0 == .string("") ? .null : $0 }) == 1)
    #expect(try changed("at", { if case .timestamp(let value) = $0 { .timestamp(value - 1) } else { $0 } }) == 1)
    // A shrunk difference is a smallest one.
    let sample = OracleGenerator.broken
    let difference = Difference(sample: sample, row: nil, description: "")
    let shrunk = try Self.shrink(difference, table) { candidates in
      candidates.filter { $0.text.contains("strpos") }.map { Difference(sample: $0, row: nil, description: "") }
    }
    #expect(shrunk.sample.text == "strpos(s, s)")
  }

  @Test("Unparenthesised text is read as DuckDB reads it", .enabled(if: OracleDuckDB.isAvailable))
  func precedence() throws {
    // Values too small to overflow, so that the text itself can be given to DuckDB.
    let scope = Scope([("i", .int), ("k", .int), ("b", .bool), ("c", .bool), ("s", .string)])
    let rows = 40
    var random = SeededRandom(seed: Self.seed)
    let columns = scope.columns.map { column in
      let type = column.type
      return Column(
        type,
        (0..<rows).map { _ -> Scalar in
          if random.next() % 6 == 0 { return .null }
          switch type {
          case .bool: return .bool(random.next() % 2 == 0)
          case .string: return .string(["a", "b", "1", "ab"][Int(random.next() % 4)])
          default: return .int(Int64(random.next() % 5) - 2)
          }
        })
    }
    var generator = OracleGenerator(seed: Self.seed)
    var texts: [String] = []
    var expressions: [Expression] = []
    var refused: [String] = []
    for _ in 0..<Self.cases {
      let text = generator.flat()
      do {
        expressions.append(try Expression(text, scope: scope))
        texts.append(text)
      } catch {
        // What we refuse for another reason than a type, DuckDB must not understand either.
        if error.message.contains("operator") || error.message.contains("chain") { refused.append(text) }
      }
    }
    #expect(texts.count > Self.cases / 20)
    let definitions = scope.columns.map { "\"\($0.name)\" \($0.type.sqlName)" }.joined(separator: ", ")
    let values = (0..<rows).map { row in
      "(\(row), \(columns.map { OracleTable.literal($0[row]) }.joined(separator: ", ")))"
    }
    let setup = "CREATE TABLE d (row BIGINT, \(definitions)); INSERT INTO d VALUES \(values.joined(separator: ", "));"
    let queries = zip(texts, expressions).map { OracleDuckDB.query($0, type: $1.type) }
    let answers = try OracleDuckDB.run(queries + refused.map { "SELECT \($0) FROM d" }, setup: setup)
    for (index, expression) in expressions.enumerated() {
      var failures = 0
      let ours = expression.evaluate(columns, count: rows, failures: &failures)
      guard case .rows(let lines) = answers[index], lines.count == rows else {
        Issue.record("\(texts[index]): \(answers[index])")
        continue
      }
      let differing = (0..<rows).first {
        OracleDuckDB.normalised(lines[$0], type: expression.type) != OracleDuckDB.encoded(ours[$0])
      }
      if let row = differing { Issue.record("\(texts[index]): ours \(ours[row]), DuckDB \(lines[row]), row \(row)") }
    }
    for (text, answer) in zip(refused, answers.dropFirst(expressions.count)) {
      if case .rows = answer { Issue.record("refused, but DuckDB understands: \(text)") }
    }
  }

  @Test("Case and space of every character", .enabled(if: OracleDuckDB.isAvailable))
  func characters() throws {
    let query = """
      SELECT p || ' ' || hex(lower(chr(p::INT))) || ' ' || hex(upper(chr(p::INT))) || ' ' || (trim(chr(p::INT)) = '')
      FROM range(1, 131072) t(p) WHERE NOT p BETWEEN 55296 AND 57343
      AND (lower(chr(p::INT)) <> chr(p::INT) OR upper(chr(p::INT)) <> chr(p::INT) OR trim(chr(p::INT)) = '')
      """
    guard case .rows(let lines) = try OracleDuckDB.run([query])[0] else { return #expect(Bool(false), "no answer") }
    var theirs: [UInt32: String] = [:]
    for line in lines {
      let parts = line.split(separator: " ", maxSplits: 1)
      theirs[try #require(UInt32(parts[0]))] = String(parts[1])
    }
    #expect(theirs.count > 2000)
    let scalars = (UInt32(1)..<0x20000).compactMap { Unicode.Scalar($0) }
    let column = Column(.string, scalars.map { .string(String($0)) })
    var failures = 0
    let results = try ["lower(s)", "upper(s)", "trim(s) = ''"].map {
      try Expression($0, scope: Scope([("s", .string)])).evaluate([column], count: scalars.count, failures: &failures)
    }
    var differing: [String] = []
    for (row, scalar) in scalars.enumerated() {
      let lower = OracleDuckDB.encoded(results[0][row])
      let upper = OracleDuckDB.encoded(results[1][row])
      let isSpace = results[2][row] == .bool(true)
      let own = OracleDuckDB.encoded(.string(String(scalar)))
      let expected = theirs[scalar.value] ?? "\(own) \(own) false"
      let ours = "\(lower) \(upper) \(isSpace)"
      // The one listed difference: characters that came with Unicode 16 or later.
      let isNew = [scalar, CaseMapping.lower(scalar), CaseMapping.upper(scalar)].contains {
        ($0.properties.age?.major ?? 99) >= 16
      }
      if ours != expected, !isNew {
        differing.append("U+\(String(scalar.value, radix: 16)): ours \(ours), DuckDB \(expected)")
      }
    }
    #expect(differing.isEmpty, "\(differing.count): \(differing.prefix(200).joined(separator: "\n"))")
  }
}
