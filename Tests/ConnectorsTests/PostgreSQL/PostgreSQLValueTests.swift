// Addresses, texts and values on their way to PostgreSQL.

import Detection
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Values and addresses of PostgreSQL")
struct PostgreSQLValueTests {
  @Test("messages name the database without the password")
  func places() {
    let places = [
      "postgresql://me:secret@db.example:5433/pulse?sslmode=require": "postgresql://db.example:5433/pulse",
      "postgres://db/pulse?password=secret": "postgresql://db/pulse",
      "postgresql://a:1,b:2/pulse": "postgresql://a:1,b:2/pulse",
      "postgresql:///pulse": "postgresql:///pulse",
      "postgresql:///?service=prod": "postgresql:///?service=prod",
    ]
    for (text, place) in places { #expect(PostgreSQLAddress(text)?.place == place) }
    for wrong in ["mysql://x/y", "host=x", "postgresql://[x/y", "", "postgresql://h/d?unknown=1"] {
      #expect(PostgreSQLAddress(wrong) == nil, "\(wrong)")
    }
  }

  @Test("texts that cannot be stored as they are keep their order, and what they contain")
  func texts() {
    var random = SeededRandom(seed: 5)
    let characters: [Character] = ["\0", "\u{1}", "\u{2}", "\u{3}", "\u{4}", "a", "ä"]
    let texts = (0..<200).map { _ in
      String((0..<Int.random(in: 0...5, using: &random)).map { _ in characters.randomElement(using: &random) ?? "a" })
    }
    func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    for text in texts {
      let stored = StoredText.stored(text)
      #expect(!stored.utf8.contains(0))
      #expect(bytes(stored).withUnsafeBufferPointer(StoredText.text) == text)
      for other in texts.prefix(60) {
        let otherStored = StoredText.stored(other)
        #expect(
          bytes(text).lexicographicallyPrecedes(bytes(other))
            == bytes(stored).lexicographicallyPrecedes(bytes(otherStored)))
        #expect(Self.contains(bytes(text), bytes(other)) == Self.contains(bytes(stored), bytes(otherStored)))
      }
    }
  }

  private static func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
    part.isEmpty || bytes.indices.contains { bytes[$0...].starts(with: part) }
  }

  @Test("waits grow, and no two are alike")
  func backoff() {
    var backoff = Backoff(first: .milliseconds(100), most: .seconds(10))
    let waits = (0..<40).map { _ in backoff.next() }
    #expect(waits[0] >= .milliseconds(50) && waits[0] <= .milliseconds(100))
    #expect(waits.allSatisfy { $0 <= .seconds(10) } && waits.suffix(20).allSatisfy { $0 >= .seconds(5) })
    #expect(Set(waits).count > 30)
  }
}

@Suite(
  "Statements of PostgreSQL", .timeLimit(.minutes(5)),
  .enabled(if: PostgreSQLServer.isInstalled, Comment(rawValue: PostgreSQLServer.missing)))
struct PostgreSQLStatementTests {
  @Test("values go to the server and come back as they are, as parameters and as rows of COPY")
  func roundTrip() async throws {
    let fixture = try await PostgreSQLFixture()
    let address = fixture.address
    try await PostgreSQLServer.off {
      let connection = try PostgreSQLConnection(address, role: .writing)
      let row = try #require(
        try connection.rows(
          "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10", .int(.min), .double(-0.0), .text("a\0ä\u{1}"), .text(nil),
          .bytes([0, 255]), .bool(true), .texts(["", "x\0"]), .ints([]), .double(.nan), .bytes([])
        ).first)
      #expect(row.int(0) == .min && row.double(1).sign == .minus && row.text(2) == "a\0ä\u{1}")
      #expect(row.isNull(3) && row.optionalText(3) == nil && row.bytes(4) == [0, 255] && row.bool(5))
      #expect(row.double(8).isNaN && row.optionalBytes(9) == [] && !row.isNull(9))
      let element = try connection.rows("SELECT ($1)[2]", .texts(["", "x\0"])).first?.text(0)
      #expect(element == "x\0")
      try connection.script("CREATE TEMP TABLE t (a bigint, b text, c bytea, d double precision, e boolean)")
      var rows = PostgreSQLRowBuffer()
      for number: Int64 in 0..<1_000 {
        rows.beginRow(5)
        rows.append(number)
        rows.append(number % 3 == 0 ? nil : "t\(number)")
        rows.append(bytes: [UInt8](repeating: UInt8(number & 255), count: Int(number % 7)))
        rows.append(Double(number) / 3)
        rows.append(number % 2 == 0)
      }
      try connection.copy(rows, into: "pg_temp.t (a, b, c, d, e)")
      var seen: Int64 = 0
      try connection.forEach("SELECT * FROM t ORDER BY a", all: []) { row in
        #expect(row.int(0) == seen && row.optionalText(1) == (seen % 3 == 0 ? nil : "t\(seen)"))
        #expect(
          row.bytes(2).count == Int(seen % 7) && row.double(3) == Double(seen) / 3 && row.bool(4) == (seen % 2 == 0))
        seen += 1
      }
      #expect(seen == 1_000)
      // What goes wrong in a copy or a query leaves a connection that can be used.
      #expect(throws: PostgreSQLFailure.self) { try connection.copy(rows, into: "pg_temp.t (a, b)") }
      #expect(throws: PostgreSQLFailure.self) { try connection.rows("SELECT 1/0") }
      #expect(try connection.rows("SELECT 1").first?.int(0) == 1)
    }
    withExtendedLifetime(fixture) {}
  }

  @Test("each filter of a list has an index that it goes along")
  func plans() async throws {
    let fixture = try await PostgreSQLFixture()
    _ = try await fixture.store()
    try await fixture.database.execute(
      """
      INSERT INTO pulse.anomalies SELECT 'u', 's', 0, 0, n, 'd' || n % 50, '', n, n * 1000, 'k' || n % 1000, n % 1000,
        CASE n % 100 WHEN 0 THEN 'critical' ELSE 'low' END, 'r', NULL, '{}', '{}', n, 1 FROM generate_series(1, 50000) n;
      ANALYZE pulse.anomalies
      """)
    let address = fixture.address
    var filters: [(String, ResultFilter)] = []
    func add(_ index: String, _ change: (inout ResultFilter) -> Void) {
      var filter = ResultFilter()
      change(&filter)
      filters.append((index, filter))
    }
    add("anomalies_by_time") { _ in }
    add("anomalies_by_time") { $0.from = 49_000_000 }
    add("anomalies_by_time") { $0.to = 1_000_000 }
    add("anomalies_by_detector") { $0.name = "d7" }
    add("anomalies_by_key") { $0.keys = ["k7"] }
    add("anomalies_by_severity") { $0.severities = [.critical] }
    add("anomalies_by_score") { $0.leastScore = 999 }
    let asked = filters
    let plans = try await PostgreSQLServer.off {
      let connection = try PostgreSQLConnection(address, role: .reading)
      return try asked.map { try PostgreSQLView(connection).plan(of: $0.1, in: "u") }
    }
    for ((index, filter), plan) in zip(asked, plans) {
      #expect(plan.contains(index) && !plan.contains("Seq Scan"), "\(filter): \(plan)")
    }
    withExtendedLifetime(fixture) {}
  }
}
