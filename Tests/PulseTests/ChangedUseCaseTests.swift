// A use case that changes over data that exists: what is stored stays, the new definition applies from the checkpoint on,
// and what has not changed goes on as if nothing had happened.

import CrashKit
import Foundation
import TestKit
import Testing

@Suite("A changed use case")
struct ChangedUseCaseTests {
  private static let events = Trail.events(0..<4000)
  private static let half = Trail.events(0..<2000)

  /// Runs the first half, changes the use case, and runs the rest.
  private func changing(_ edit: (String) -> String) throws -> (folder: TestFolder, outcome: Outcome) {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Self.half)
    try Trail.run(folder, "events.ndjson").expect(0)
    try folder.write("trail/pipeline.yaml", edit(Trail.pipeline))
    try folder.append("events.ndjson", Trail.events(2000..<4000))
    let outcome = try Trail.run(folder, "events.ndjson")
    outcome.expect(0, saying: "the use case has changed")
    return (folder, outcome)
  }

  /// The findings of a rule, told apart by whether they lie in the first half.
  private func findings(_ stored: Stored, of rule: String, inFirstHalf: Bool) throws -> [String] {
    try stored.anomalies.filter { line in
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [[String: Any]]
      let position = object?.first?["position"] as? [String: Any]
      return object?.first?["detector"] as? String == rule
        && (position?["offset"] as? Int ?? 0 < Self.half.utf8.count) == inFirstHalf
    }
  }

  private func version(_ folder: TestFolder) throws -> String {
    try PulseCommand.run("status", "--data", folder / "data", "--json").rows().first?["version"] as? String ?? ""
  }

  @Test("a new rule applies from the checkpoint on; windows and other rules go on")
  func rule() throws {
    let edit = { (text: String) in text.replacingOccurrences(of: "when: load > 95", with: "when: load > 50") }
    let (folder, _) = try changing(edit)
    let stored = try Stored(folder / "data")
    let old = try Trail.undisturbed(Self.events)
    let new = try Trail.undisturbed(Self.events, edit)
    #expect(stored.windows == old.windows)
    #expect(stored.deadLetters == old.deadLetters)
    for isFirst in [true, false] {
      #expect(
        try findings(stored, of: "overload", inFirstHalf: isFirst)
          == findings(isFirst ? old : new, of: "overload", inFirstHalf: isFirst))
      // The recent events that a rule remembers go on with it.
      #expect(
        try findings(stored, of: "storm", inFirstHalf: isFirst) == findings(old, of: "storm", inFirstHalf: isFirst))
    }
    #expect(
      try findings(new, of: "overload", inFirstHalf: true).count
        > findings(old, of: "overload", inFirstHalf: true).count)
    let changed = try version(folder)
    // Once is enough: the same definition is not news.
    let again = try Trail.run(folder, "events.ndjson")
    again.expect(0)
    #expect(!again.errors.contains("has changed"))
    #expect(try version(folder) == changed)
    #expect(try Stored(folder / "data") == stored)
  }

  @Test("a change is said although nothing new has come, with what applies it to everything")
  func nothingNew() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Self.half)
    try Trail.run(folder, "events.ndjson").expect(0)
    let before = try Stored(folder / "data")
    let edit = { (text: String) in text.replacingOccurrences(of: "when: load > 95", with: "when: load > 50") }
    try folder.write("trail/pipeline.yaml", edit(Trail.pipeline))
    try Trail.run(folder, "events.ndjson").expect(
      0, saying: "the use case has changed; the new one applies from here (the last checkpoint) on", "--reset")
    #expect(try Stored(folder / "data") == before)
    try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Self.half, edit)) == [])
  }

  @Test("a window that is defined anew begins anew; the others go on")
  func window() throws {
    let (folder, _) = try changing {
      $0.replacingOccurrences(of: "size: 1m\n", with: "size: 2m\n")
    }
    let stored = try Stored(folder / "data")
    let old = try Trail.undisturbed(Self.events)
    let isQuarter = { (line: String) in line.contains("\"quarters\"") }
    #expect(stored.windows.filter(isQuarter) == old.windows.filter(isQuarter))
    #expect(stored.anomalies == old.anomalies)
    // Two minutes each from the checkpoint on: the second half lasts 1000 s.
    let long = try PulseCommand.run(
      "windows", "--data", folder / "data", "--window", "minutes", "--json", "--limit", "0", "--since",
      "2024-03-01T11:20:00Z"
    ).rows()
    #expect(!long.isEmpty)
    for row in long {
      let times = [row["start"], row["end"]].compactMap {
        ($0 as? String).flatMap { try? Date($0, strategy: .iso8601) }
      }
      #expect(times.count == 2 && times[1].timeIntervalSince(times[0]) == 120, "\(row)")
    }
    let total = long.reduce(0) { $0 + ($1["events"] as? Int ?? 0) }
    let expected = (2400..<4000).count { $0 % 250 != 249 }
    #expect(total == expected)
  }

  @Test("more lateness and disorder do not open closed windows again")
  func lateness() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Self.half)
    try Trail.run(folder, "events.ndjson").expect(0)
    let before = try Stored(folder / "data").windows
    try folder.write(
      "trail/pipeline.yaml",
      Trail.pipeline.replacingOccurrences(of: "allowed_lateness: 1m", with: "allowed_lateness: 2h")
        .replacingOccurrences(of: "out_of_order: 5s", with: "out_of_order: 2h")
        .replacingOccurrences(of: "max_ahead: 1h", with: "max_ahead: 4h"))
    // Events of the first minutes again: their windows closed long ago.
    try folder.append("events.ndjson", Trail.events(0..<200))
    try Trail.run(folder, "events.ndjson").expect(0, saying: "the use case has changed")
    let after = try Stored(folder / "data").windows
    #expect(before.count > 10)
    #expect(Set(before.filter { $0.contains("\"closed\":true") }).isSubset(of: after))
    #expect(after.count == before.count)
  }

  @Test("a window with an aggregate more: the run ends well and every list can be read")
  func aggregate() throws {
    let (folder, _) = try changing {
      $0.replacingOccurrences(of: "highest: max(load),", with: "highest: max(load), lowest: min(load),")
    }
    #expect(try Stored(folder / "data").totals["records"] == Trail.undisturbed(Self.events).totals["records"])
    let newest = try PulseCommand.run(
      "windows", "--data", folder / "data", "--window", "minutes", "--json", "--limit", "1"
    ).rows()
    #expect((newest.first?["aggregates"] as? [String: Any])?["lowest"] != nil)
    // The window that was open at the change has two rows, one of each definition; together they lost nothing.
    let events = try PulseCommand.run(
      "windows", "--data", folder / "data", "--window", "minutes", "--json", "--limit", "0"
    ).rows().reduce(0) { $0 + ($1["events"] as? Int ?? 0) }
    #expect(events == (0..<4000).count { $0 % 250 != 249 })
    let openOfOld = try StoredResults.rows(
      of: "SELECT count(*) FROM state_spaces s JOIN window_definitions d ON d.text = s.definition WHERE d.id = 1",
      dataDirectory: folder / "data")
    #expect(openOfOld == ["0"])
    try Trail.run(folder, "events.ndjson").expect(0)
  }

  @Test("parts of several definitions are not mixed: each definition has its row, the newest first")
  func definitionsOfSeveralSources() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Self.half)
    func pipe(_ name: String) throws {
      try Trail.run(folder, "-", more: ["--source-name", name], input: Self.half).expect(0)
    }
    func minutes(_ options: String...) throws -> [[String: Any]] {
      let list = ["windows", "--data", folder / "data", "--window", "minutes", "--json", "--limit"]
      let outcome = try PulseCommand.run(list + (options.isEmpty ? ["0"] : options))
      outcome.expect(0)
      return try outcome.rows()
    }
    func highest(_ row: [String: Any]) -> [String: Any]? { row["aggregates"] as? [String: Any] }
    try Trail.run(folder, "events.ndjson").expect(0)
    let alone = try minutes()
    try pipe("first")
    let before = try minutes()
    #expect(before.count == alone.count)
    #expect(zip(before, alone).allSatisfy { $0["events"] as? Int == 2 * ($1["events"] as? Int ?? -1) })
    try folder.write(
      "trail/pipeline.yaml",
      Trail.pipeline.replacingOccurrences(of: "highest: max(load),", with: "lowest: min(load), highest: max(load),"))
    try pipe("second")
    let after = try minutes()
    #expect(after.count == 2 * before.count)
    for (index, row) in before.enumerated() {
      let (new, old) = (after[2 * index], after[2 * index + 1])
      #expect(NSDictionary(dictionary: old) == NSDictionary(dictionary: row))
      #expect(new["events"] as? Int == alone[index]["events"] as? Int && highest(new)?["lowest"] != nil)
      #expect(highest(new)?["highest"] as? Double == highest(old)?["highest"] as? Double)
    }
    #expect(try minutes("3").count == 3)
    // The view says the same of those that have closed, as far as SQL can.
    let counts = try StoredResults.rows(
      of: "SELECT parts, sum(events) FROM windows WHERE window = 'minutes' GROUP BY parts ORDER BY parts",
      dataDirectory: folder / "data")
    let closed = alone.filter { $0["closed"] as? Bool == true }
    let events = closed.reduce(0) { $0 + ($1["events"] as? Int ?? 0) }
    #expect(closed.count < alone.count && counts == ["1|\(events)", "2|\(2 * events)"])
  }

  @Test("the summary's entities are those of the highest value over all their windows")
  func topEntities() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Self.events)
    let summary = try PulseCommand.run(
      Trail.arguments(folder, ["events.ndjson"]).filter { $0 != "--json" })
    summary.expect(0)
    var loads: [String: [Double]] = [:]
    for index in 0..<4000 where index % 250 != 249 {
      let event = try JSONSerialization.jsonObject(with: Data(Trail.event(index).utf8)) as? [String: Any]
      loads[event?["host"] as? String ?? "", default: []].append(event?["load"] as? Double ?? 0)
    }
    let exact = loads.mapValues { values in values.sorted()[Int(0.9 * Double(values.count - 1))] }
    let lines = summary.output.matches(of: #/host (h\d) +([\d,]+) +([\d.]+)/#)
    #expect(lines.count == 5)
    var previous = Double.infinity
    for line in lines {
      let (host, value) = (String(line.1), Double(line.3) ?? 0)
      #expect(Int(line.2.replacing(",", with: "")) == loads[host]?.count)
      #expect(abs(value - (exact[host] ?? 0)) <= 0.03 * value && value <= previous, "\(line.0) \(exact)")
      previous = value
    }
  }

  @Test("a field more, after a crash: the rows that wait for history are kept")
  func fieldAfterCrash() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Self.half)
    let running = try Trail.start(folder, "events.ndjson", more: ["--follow", "--checkpoint-interval", "0.1"])
    let reached = try poll { try Trail.records(folder) == 2000 }
    #expect(reached)
    running.send(SIGKILL)
    #expect(try running.wait().exitCode == 128 + SIGKILL)
    try folder.write(
      "trail/pipeline.yaml",
      Trail.pipeline.replacingOccurrences(
        of: "note: {type: string}", with: "note: {type: string}\n    zone: {type: string, default: here}"))
    try folder.append("events.ndjson", Trail.events(2000..<4000))
    try Trail.run(folder, "events.ndjson").expect(0, saying: "the use case has changed")
    let stored = try Stored(folder / "data")
    let old = try Trail.undisturbed(Self.events)
    #expect(stored.windows == old.windows)
    #expect(stored.totals == old.totals)
    #expect(stored.anomalies.count == old.anomalies.count)
  }

  @Test("a use case that is wrong changes nothing")
  func wrong() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Self.half)
    try Trail.run(folder, "events.ndjson").expect(0)
    let stored = try Stored(folder / "data")
    try folder.write("trail/pipeline.yaml", Trail.pipeline.replacingOccurrences(of: "load > 95", with: "lode > 95"))
    try Trail.run(folder, "events.ndjson").expect(2, saying: "pipeline.yaml", "lode", "load")
    #expect(try Stored(folder / "data") == stored)
  }
}
