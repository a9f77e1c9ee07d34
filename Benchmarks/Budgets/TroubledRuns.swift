// Runs over input that is not as it should be, as ratios to the same input as it should be: paired and interleaved, because
// a machine's speed varies more than what is measured.

import Foundation
import Workloads

struct TroubledRuns {
  /// Throughput with trouble by that without, of each round.
  private let corrupt: [Double]
  private let randomTimes: [Double]
  private let moreFiles: Int
  private let rounds: Int

  /// One event in so many is troubled.
  private static let share = 100

  init(_ places: Places, input: InputFile, rounds: Int) throws {
    let corruptPath = places.work + "/corrupt.ndjson"
    let randomPath = places.work + "/random-times.ndjson"
    let troubled = try Self.corrupt(input.path, to: corruptPath)
    guard troubled == input.records / Self.share else { throw WrongOutput("\(troubled) lines were cut short") }
    var random = SplitMix(state: 42)
    _ = try Self.rewrite(input.path, to: randomPath) { line, index in Self.withRandomTime(line, &random) }

    var (corrupt, randomTimes, moreFiles) = ([Double](), [Double](), 0)
    for _ in 0..<rounds {
      let clean = try PulseRun(places, source: input.path)
      let cleanFiles = Self.historyFiles(places)
      let broken = try PulseRun(places, source: corruptPath)
      // Some of those that were cut had been broken before.
      let letters = troubled...troubled + clean.deadLetters
      guard broken.records == clean.records, letters.contains(broken.deadLetters) else {
        throw WrongOutput("\(broken.deadLetters) dead letters of \(troubled) lines that were cut short")
      }
      let scattered = try PulseRun(places, source: randomPath)
      moreFiles = Self.historyFiles(places) - cleanFiles
      guard scattered.records == clean.records, scattered.deadLetters == clean.deadLetters,
        scattered.classes == clean.classes
      else { throw WrongOutput("other times change the classes of events: \(scattered.totals)") }
      // The files of scattered days: one for each doubling of the time left, at every 32,768th of their rows and at the end.
      guard moreFiles <= 16 * (1 + input.records / Self.share / 32_768) else {
        throw WrongOutput("\(moreFiles) more files of history with random times")
      }
      corrupt.append(clean.command.seconds / broken.command.seconds)
      randomTimes.append(clean.command.seconds / scattered.command.seconds)
    }
    (self.corrupt, self.randomTimes, self.moreFiles, self.rounds) = (corrupt, randomTimes, moreFiles, rounds)
    for path in [corruptPath, randomPath] { try FileManager.default.removeItem(atPath: path) }
  }

  func add(to table: inout BudgetTable) {
    func ratio(_ value: Double) -> String { "\(fixed(value, 2)) of clean" }
    table.add(
      Budget(
        what: "redset with 1 % corrupt lines, events a second by those without", target: 0.95, defect: 0.85,
        direction: .atLeast, format: ratio),
      measured: Self.median(corrupt), note: "median of \(rounds) paired runs")
    table.add(
      Budget(
        what: "redset with 1 % random times from 1970 to 2100, events a second by those without", target: 0.8,
        defect: 0.6, direction: .atLeast, format: ratio),
      measured: Self.median(randomTimes), note: "median of \(rounds) paired runs, \(moreFiles) more files of history")
  }

  /// Copies a file of lines, of which one in `share` is cut to its half.
  /// - Returns: how many were cut.
  static func corrupt(_ source: String, to path: String) throws -> Int {
    try rewrite(source, to: path) { line, _ in line.prefix(line.count / 2) }
  }

  /// Copies a file of lines, changing one in `share`.
  /// - Returns: how many were changed.
  private static func rewrite(
    _ source: String, to path: String, _ change: (Data, Int) throws -> Data
  ) throws -> Int {
    let data = try Data(contentsOf: URL(fileURLWithPath: source), options: .alwaysMapped)
    var result = Data(capacity: data.count + (1 << 20))
    var changed = 0
    for (index, line) in data.split(separator: UInt8(ascii: "\n")).enumerated() {
      if index % share == share - 1 {
        result.append(try change(line, index))
        changed += 1
      } else {
        result.append(line)
      }
      result.append(UInt8(ascii: "\n"))
    }
    try result.write(to: URL(fileURLWithPath: path))
    return changed
  }

  /// The line with an arrival between 1970 and 2100. One that is broken on purpose stays so.
  private static func withRandomTime(_ line: Data, _ random: inout SplitMix) -> Data {
    let key = Data(#""arrival_timestamp":""#.utf8)
    guard let start = line.firstRange(of: key)?.upperBound,
      let end = line[start...].firstIndex(of: UInt8(ascii: "\"")),
      String(decoding: line[start..<end], as: UTF8.self).prefixMatch(of: /[0-9]{4}-(0[1-9]|1[0-2])-/) != nil
    else { return line }
    let seconds = random.next() % (130 * 31_556_952)
    let time = Date(timeIntervalSince1970: Double(seconds)).ISO8601Format()
    return line[..<start] + Data(time.utf8) + line[end...]
  }

  private static func historyFiles(_ places: Places) -> Int {
    let files = FileManager.default.enumerator(atPath: places.work + "/data/history")?.allObjects as? [String] ?? []
    return files.count { $0.hasSuffix(".arrow") }
  }

  private static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// SplitMix64.
  private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
      return mixed ^ (mixed >> 31)
    }
  }
}
