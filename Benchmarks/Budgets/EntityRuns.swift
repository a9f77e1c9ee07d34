// State of very many entities: what a sliding rule and a keyed window take for each, what a checkpoint takes while some of
// them change, and what a restart takes. What the run counts against `memory` is compared with what the kernel counts.

import Foundation
import Workloads

struct EntityRuns {
  private static let entities = 1_000_000
  private static let changesPerSecond = 20_000
  private static let pacedSeconds = 10
  private static let memory = "4GB"

  private let loaded: EntityRun
  private let changing: EntityRun
  private let restarted: EntityRun
  /// A run over as many events of one entity.
  private let idle: EntityRun
  private let texts: EntityRun
  private let rules: EntityRun
  private let rulesRestarted: EntityRun

  init(_ places: Places) throws {
    let one = try EntityCase(places, name: "entities", rules: 1, aggregates: "{n: count(*), total: sum(v)}")
    let all = EntityFeed.all(Self.entities)
    let paced = all + [.random(Self.entities, perSecond: Self.changesPerSecond, seconds: Self.pacedSeconds)]
    idle = try one.run([.repeated(Self.entities)], memory: Self.memory)
    loaded = try one.run(all, memory: Self.memory)
    changing = try one.run(paced, memory: Self.memory, isNew: false)
    restarted = try one.run(paced.map(\.unpaced), memory: Self.memory, isNew: false)
    guard loaded.events == Self.entities,
      changing.events == Self.changesPerSecond * Self.pacedSeconds, restarted.events == 0
    else {
      throw WrongOutput("runs over entities read \(loaded.events), \(changing.events), \(restarted.events) events")
    }

    let text = try EntityCase(places, name: "texts", rules: 0, aggregates: "{kept: last(s)}")
    texts = try text.run([.texts(20_000, bytes: 50_000)], memory: Self.memory)
    let eight = try EntityCase(places, name: "rules", rules: 8, aggregates: nil)
    rules = try eight.run(EntityFeed.all(100_000), memory: Self.memory)
    rulesRestarted = try eight.run(EntityFeed.all(100_000), memory: Self.memory, isNew: false)
  }

  func add(to table: inout BudgetTable) {
    let entities = Double(Self.entities)
    let counted = Double(loaded.stateBytes) / entities
    let resident = Double(loaded.command.peakMemory - idle.command.peakMemory) / entities
    table.add(
      Budget(
        what: "a sliding rule and an open window of 1,000,000 entities, bytes an entity", target: 512, defect: 1024,
        direction: .atMost, format: { "\(fixed($0, 0)) B" }),
      measured: max(counted, resident),
      note: "\(fixed(counted, 0)) as counted, \(fixed(resident, 0)) more resident than with one entity")
    table.add(
      Budget(
        what: "a checkpoint while 20,000 of them change a second", target: 0.25, defect: 0.5, direction: .atMost,
        format: seconds),
      measured: changing.longestCheckpoint,
      note: "the longest of \(changing.checkpoints), \(seconds(changing.meanCheckpoint)) at the mean")
    table.add(
      Budget(
        what: "restart with them: the whole process, its input found again", target: 10, defect: 20,
        direction: .atMost, format: seconds),
      measured: restarted.command.seconds,
      note: "peak \(megabytes(Double(restarted.command.peakMemory))), of the run before "
        + "\(megabytes(Double(max(loaded.command.peakMemory, changing.command.peakMemory))))")
    for (what, run) in [
      ("`last(s)` of 20,000 keys, 50 kB each", texts), ("eight rules of 100,000 keys", rules),
      ("the same after a restart", rulesRestarted),
    ] {
      table.add(
        what,
        measured: "\(megabytes(Double(run.stateBytes))) of state as counted, peak resident "
          + megabytes(Double(run.command.peakMemory)))
    }
  }
}

/// A use case that keeps state by entity, with a data directory.
private struct EntityCase {
  private let places: Places
  private let folder: String

  /// - Parameters:
  ///   - rules: how many sliding rules, none of which finds anything.
  ///   - aggregates: of a window by entity; nil for none.
  init(_ places: Places, name: String, rules: Int, aggregates: String?) throws {
    self.places = places
    folder = places.work + "/" + name
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var text = """
      name: \(name)
      event:
        time: t
        key: e
        fields:
          e: {type: int, required: true}
          t: {type: timestamp, required: true, format: seconds}
          v: {type: double}
          s: {type: string}

      """
    if rules > 0 {
      text += "rules:\n"
      for rule in 0..<rules {
        text += "  - {name: often_\(rule), per: e, within: \(60 + rule)m, having: count(*) > 1000}\n"
      }
    }
    if let aggregates {
      text += "windows:\n  - {name: by_entity, type: tumbling, size: 1d, by: [e], aggregates: \(aggregates)}\n"
    }
    try text.write(toFile: folder + "/pipeline.yaml", atomically: true, encoding: .utf8)
  }

  /// - Parameter isNew: whether nothing is stored.
  func run(_ feed: [EntityFeed], memory: String, isNew: Bool = true) throws -> EntityRun {
    let data = folder + "/data"
    if isNew { try? FileManager.default.removeItem(atPath: data) }
    let command = try Command(
      [
        places.pulse, "run", "--use-case", folder, "--source", "-", "--source-name", "bench", "--data", data, "--json",
        "--memory", memory,
      ], scratch: places.work
    ) { input in
      var writer = EntityWriter(input)
      for part in feed { try writer.write(part) }
    }
    return try EntityRun(command)
  }
}

/// What a run over entities said.
private struct EntityRun {
  let command: Command
  let events: Int
  let stateBytes: Int
  let checkpoints: Int
  let longestCheckpoint: Double
  let meanCheckpoint: Double

  init(_ command: Command) throws {
    self.command = command
    let object = try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [String: Any]
    guard let object, let events = object["events"] as? Int, let memory = object["memory"] as? [String: Int],
      let checkpoints = object["checkpoints"] as? [String: Double]
    else { throw WrongOutput("the summary cannot be read: \(command.output)") }
    self.events = events
    stateBytes = memory["state_bytes"] ?? 0
    self.checkpoints = Int(checkpoints["count"] ?? 0)
    longestCheckpoint = checkpoints["longest_seconds"] ?? 0
    meanCheckpoint = checkpoints["mean_seconds"] ?? 0
  }
}

/// Events that are written one after the other.
private struct EntityFeed {
  var events: Int
  var entity: (_ index: Int) -> Int
  var text = 0
  /// Events a second; 0 for as fast as they are read.
  var perSecond = 0

  /// Each entity once, neighbours far from each other.
  static func all(_ entities: Int) -> [EntityFeed] {
    [EntityFeed(events: entities, entity: { $0 &* 612_377 % entities })]
  }

  static func repeated(_ events: Int) -> EntityFeed { EntityFeed(events: events, entity: { _ in 1 }) }

  static func texts(_ entities: Int, bytes: Int) -> EntityFeed {
    EntityFeed(events: entities, entity: { $0 }, text: bytes)
  }

  static func random(_ entities: Int, perSecond: Int, seconds: Int) -> EntityFeed {
    EntityFeed(
      events: perSecond * seconds,
      entity: { index in
        let mixed = (UInt64(index) &+ 1) &* 0x9e37_79b9_7f4a_7c15
        return Int((mixed ^ mixed >> 32) % UInt64(entities))
      }, perSecond: perSecond)
  }

  var unpaced: EntityFeed {
    var feed = self
    feed.perSecond = 0
    return feed
  }
}

/// Writes events into the standard input of a run. Event time advances by a second every 20,000 events.
private struct EntityWriter {
  private static let firstTime = 1_700_006_400
  private let input: FileHandle
  private var written = 0
  private var buffer = Data()

  init(_ input: FileHandle) { self.input = input }

  mutating func write(_ feed: EntityFeed) throws {
    let start = ContinuousClock.now
    let text = feed.text > 0 ? #","s":""# + String(repeating: "x", count: feed.text) + "\"" : ""
    for index in 0..<feed.events {
      let time = Self.firstTime + written / 20_000
      buffer.append(
        contentsOf: #"{"e":\#(feed.entity(index)),"t":\#(time),"v":\#(index % 1_000).5\#(text)}"#.utf8)
      buffer.append(UInt8(ascii: "\n"))
      written += 1
      if feed.perSecond > 0, (index + 1) % (feed.perSecond / 20) == 0 {
        try flush()
        let due = start + .milliseconds(50 * (index + 1) / (feed.perSecond / 20))
        let wait = due - ContinuousClock.now
        if wait > .zero { Thread.sleep(forTimeInterval: wait / .seconds(1)) }
      } else if buffer.count >= 1 << 16 {
        try flush()
      }
    }
    try flush()
  }

  private mutating func flush() throws {
    try input.write(contentsOf: buffer)
    buffer.removeAll(keepingCapacity: true)
  }
}
