// Drift counts as state of a partition: exact whatever the cut, bounded in time.

import Detection
import TestKit
import Testing

@testable import Pipeline

@Suite struct DriftTotalsTests {
  private func counts(_ day: Int64, rows: Int = 1, bins: Int = 3) -> DriftCounts {
    let score = [rows] + [Int](repeating: 0, count: bins - 1)
    return DriftCounts(detector: "d", version: "v", day: day, rows: rows, inputs: [score], score: score)
  }

  @Test func `changed days are told with their full counts`() {
    var totals = DriftTotals()
    totals.restore([counts(1, rows: 5), counts(2, rows: 7)])
    totals.add([counts(2), counts(3), counts(4, rows: 0)], keepFrom: nil)
    totals.add([counts(2, rows: 2)], keepFrom: nil)
    #expect(totals.takeChanges(keepFrom: nil) == [counts(2, rows: 10), counts(3)])
    #expect(totals.takeChanges(keepFrom: nil) == [])
    // A day that is too old is forgotten, and comes back only until the next checkpoint.
    totals.add([counts(1), counts(3)], keepFrom: nil)
    #expect(totals.takeChanges(keepFrom: 3) == [counts(3, rows: 2)])
    totals.add([counts(2)], keepFrom: nil)
    #expect(totals.takeChanges(keepFrom: 3) == [])
  }

  @Test func `another model under the same name begins anew`() {
    var totals = DriftTotals()
    totals.restore([counts(1, rows: 5)])
    totals.add([counts(1, rows: 2, bins: 4)], keepFrom: nil)
    #expect(totals.takeChanges(keepFrom: nil) == [counts(1, rows: 2, bins: 4)])
  }

  private func record(_ time: Int, _ amount: Int) -> [UInt8] {
    Array(#"{"at": \#(time), "user": "u1", "amount": \#(amount)}"#.utf8)
  }

  @Test func `days older than ninety before the watermark are dropped, wherever checkpoints fall`() async throws {
    let start = 1_700_000_000
    // Two a day over 130 days, of which the last ones are followed by late ones of days kept and dropped.
    var records = (0..<260).map { record(start + $0 * 43_200, $0 % 100) }
    records += (0..<130).map { record(start + $0 * 86_400, 50) }
    let run = try ModelRun(records)
    let model = try run.model("odd", "v1")
    let log = [activation("odd", "v1", from: 0)]
    let expected = try await run.cut([390]).replay([log], [model]).drift
    let last = Timestamp.dayNumber(of: Int64(start + 259 * 43_200 - 2) * 1_000_000)
    #expect(expected.values.map(\.day).min() == last - Limits.driftDays && expected.count == 91)
    #expect(expected.values.count { $0.rows == 3 } > 80)
    for size in [1, 7, 100] {
      #expect(try await run.cut([size]).replay([log], [model]).drift == expected, "batches of \(size)")
    }
  }

  @Test func `events that are implausibly far ahead make no days`() async throws {
    let start = 1_700_000_000
    let records = (0..<400).map { row in
      record(row % 10 == 9 ? start + row * 86_400 * 10 : start + row, row % 100)
    }
    let run = try ModelRun(records)
    let model = try run.model("odd", "v1")
    let log = [activation("odd", "v1", from: 0)]
    let expected = try await run.cut([400]).replay([log], [model]).drift
    let plausible = Timestamp.dayNumber(of: Int64(start) * 1_000_000)
    // Before the watermark is known, a hundred events in, any time may be right.
    #expect(expected.values.first { $0.day == plausible }?.rows == 360)
    #expect(expected.count <= 11 && expected.values.reduce(0) { $0 + $1.rows } <= 370)
    for size in [1, 7, 100] {
      #expect(try await run.cut([size]).replay([log], [model]).drift == expected, "batches of \(size)")
    }
  }
}
