// A restart at any event changes nothing of what a clock says afterwards: what it derives from its state is a function of
// what is stored.

import Testing

@testable import Detection

@Suite("Clocks that restart")
struct ClockRestartTests {
  /// Seconds: a steady stream, eight events that are behind together, one that disagrees with them, and then the next ones.
  private static let disagreeing: [Int64] =
    (0..<100).map { $0 } + [Int64](repeating: 99 - 600, count: 8) + [99 - 1200] + (109..<114).map { $0 }

  private static func watermarks(restartingBehind restart: Int?) throws -> [Int64] {
    func fresh() -> Watermark { Watermark(outOfOrder: 0, maxAhead: 86_400_000_000) }
    var watermark = fresh()
    var found: [Int64] = []
    for (index, second) in disagreeing.enumerated() {
      found += watermark.mark([second * 1_000_000]).watermarks
      if index == restart {
        let stored = watermark.takeChanges().puts.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        watermark = fresh()
        try watermark.restore(from: stored)
      }
    }
    return found + [watermark.current]
  }

  @Test("the watermarks are the same, wherever it is")
  func watermarks() throws {
    let expected = try Self.watermarks(restartingBehind: nil)
    for restart in Self.disagreeing.indices {
      #expect(try Self.watermarks(restartingBehind: restart) == expected, "behind \(restart)")
    }
  }
}
