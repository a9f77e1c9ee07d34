// What a run takes: one bound for the process, whatever the number of partitions, and no more after a restart than before.

import Foundation
import TestKit
import Testing

@Suite("Memory of runs", .timeLimit(.minutes(15)), .serialized)
struct MemoryTests {
  private static let useCase = """
    name: kept
    event:
      time: at
      key: user
      fields:
        at: {type: timestamp, required: true, format: seconds}
        user: {type: string, required: true}
        value: {type: double}
    rules:
      - {name: often, per: user, within: 1h, having: sum(value) > 1000000}
    windows:
      - {name: sums, type: tumbling, size: 1d, by: [user], aggregates: {n: count(*), total: sum(value)}}
    """

  /// - Parameter users: how many there are; events go through them in turn.
  private static func write(_ events: Range<Int>, users: Int, to path: String) throws {
    var text = ""
    for event in events {
      let (time, user) = (1_772_180_000 + event / 2_000, event &* 7_919 % users)
      text += #"{"at": \#(time), "user": "user-\#(user)", "value": 1.5}"# + "\n"
    }
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  private static func run(_ folder: TestFolder, _ data: String, _ more: String...) throws -> Outcome {
    try PulseCommand.run(
      ["run", "--use-case", folder / "kept", "--data", folder / data, "--json"] + more, timeout: 300)
  }

  private static func totals(_ outcome: Outcome) throws -> String {
    let totals = try outcome.object()["totals"] as? [String: Any] ?? [:]
    return String(decoding: try JSONSerialization.data(withJSONObject: totals, options: .sortedKeys), as: UTF8.self)
  }

  private static func windows(_ folder: TestFolder, _ data: String) throws -> String {
    try PulseCommand.run("windows", "--data", folder / data, "--limit", "2000", "--json").output
  }

  @Test func `a run that memory has ended goes on with more, and a restart takes no more than the run`() throws {
    let folder = try TestFolder()
    try folder.write("kept/pipeline.yaml", Self.useCase)
    try Self.write(0..<400_000, users: 300_000, to: folder / "events.ndjson")
    let whole = try Self.run(folder, "whole", "--source", folder / "events.ndjson")
    whole.expect(0)
    let ended = try Self.run(folder, "data", "--source", folder / "events.ndjson", "--memory", "128MB")
    ended.expect(5, saying: "`memory` of 128 MB leaves 56 MB", "window/sums", "rule/often", "--memory")
    #expect(ended.peakMegabytes < 220)
    let more = try Self.run(folder, "data", "--source", folder / "events.ndjson", "--memory", "512MB")
    more.expect(0)
    #expect(try Self.totals(more) == Self.totals(whole))
    #expect(try Self.windows(folder, "data") == Self.windows(folder, "whole"))
    let again = try Self.run(folder, "whole", "--source", folder / "events.ndjson")
    again.expect(0)
    #expect(try again.object()["events"] as? Int == 0)
    #expect(again.peakMegabytes < whole.peakMegabytes, "\(again.peakMegabytes) after \(whole.peakMegabytes) MB")
  }

  @Test func `two hundred partitions take the memory of one`() throws {
    let folder = try TestFolder()
    try folder.write("kept/pipeline.yaml", Self.useCase)
    try Self.write(0..<400_000, users: 1_000, to: folder / "events.ndjson")
    let one = try Self.run(folder, "one", "--source", folder / "events.ndjson")
    one.expect(0)
    try FileManager.default.createDirectory(atPath: folder / "parts", withIntermediateDirectories: true)
    for part in 0..<200 {
      try Self.write(part * 2_000..<(part + 1) * 2_000, users: 1_000, to: folder / "parts/\(part).ndjson")
    }
    let many = try Self.run(folder, "many", "--source", folder / "parts/*.ndjson", "--separate")
    many.expect(0)
    #expect(try many.object()["events"] as? Int == 400_000)
    #expect(many.peakMegabytes < 1.5 * one.peakMegabytes, "\(many.peakMegabytes) and \(one.peakMegabytes) MB")
  }

  @Test func `a check says what entities take`() throws {
    let folder = try TestFolder()
    try folder.write("kept/pipeline.yaml", Self.useCase)
    let fits = try PulseCommand.run("check", folder / "kept", "--entities", "100000")
    fits.expect(0)
    #expect(fits.output.contains("rule/often") && fits.output.contains("window/sums") && fits.output.contains("fits."))
    let large = try PulseCommand.run("check", folder / "kept", "--entities", "10000000", "--memory", "1GB")
    large.expect(0)
    #expect(large.output.contains("`memory` of 1 GB leaves 819 MB for state: that needs"), "\(large)")
    try PulseCommand.run("check", folder / "kept", "--entities", "0").expect(64, saying: "--entities")
    try PulseCommand.run("check", folder / "kept", "--entities", "5", "--memory", "1").expect(64, saying: "--memory")
    try PulseCommand.run("run", "--use-case", folder / "kept", "--memory", "5MB")
      .expect(64, saying: "--memory must be 128 MB")
  }
}
