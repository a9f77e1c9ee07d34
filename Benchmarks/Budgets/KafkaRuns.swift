// The command over topics: what it sends, what it reads and what that takes. Broker and command share the machine, so each row
// is of both; what the broker gives a client that does nothing with it stands beside, where there is such a client.

import Foundation
import Workloads

struct KafkaRuns {
  /// Records a second.
  private let sent: Double
  private let rules: Double
  private let learned: Double
  private let corrupt: Double
  private let peakMemory: Int
  /// What another client reads and writes; nil where there is none.
  private let peer: (read: Double, written: Double)?
  private let rounds: Int

  /// How long a run waits for more before it ends. The same in all runs, so that it is in none of the differences.
  private static let idle = "1"
  private static let partitions = 8

  /// - Parameters:
  ///   - input: events as lines; a quarter of it is read as well, so that what starting, joining a group and waiting for the
  ///     end take is left out.
  ///   - without: a run over the same events from a file.
  ///   - models: those that such a run trained.
  init(
    _ places: Places, long: InputFile, short: InputFile, without: PulseRun, models: String, rounds: Int
  ) throws {
    let broker = try Broker(places)
    self.rounds = rounds
    let longest = try Self.send(long.path, to: "long", places, broker)
    let more = Double(long.records - short.records)
    sent = more / (longest - (try Self.send(short.path, to: "short", places, broker)))

    var group = 0
    func run(_ topic: String, models: String? = nil) throws -> PulseRun {
      group += 1
      return try PulseRun(
        places, source: broker.topic(topic), options: ["--idle-timeout", Self.idle, "--group", "g\(group)"],
        models: models)
    }
    /// The best difference of some rounds.
    func rate(models: String?, check: (PulseRun) throws -> Void) throws -> (Double, Int) {
      var (shortest, longest, peak) = (Double.infinity, Double.infinity, 0)
      for _ in 0..<rounds {
        shortest = min(shortest, try run("short", models: models).command.seconds)
        let whole = try run("long", models: models)
        try check(whole)
        longest = min(longest, whole.command.seconds)
        peak = max(peak, whole.command.peakMemory)
      }
      return (more / (longest - shortest), peak)
    }
    (rules, peakMemory) = try rate(models: nil) { found in
      guard found.records == without.records, found.classes == without.classes,
        found.deadLetters == without.deadLetters
      else { throw WrongOutput("a topic and a file with the same events give \(found.totals) and \(without.totals)") }
    }
    (learned, _) = try rate(models: models) { found in
      guard found.classes == without.classes, found.anomalies["slow_query", default: 0] > 0 else {
        throw WrongOutput("with models over a topic \(found.totals) were found")
      }
    }
    let corruptPath = places.work + "/corrupt.ndjson"
    let troubled = try TroubledRuns.corrupt(long.path, to: corruptPath)
    _ = try Self.send(corruptPath, to: "corrupt", places, broker)
    var ratios: [Double] = []
    for _ in 0..<max(rounds, 3) {
      let clean = try run("long")
      let broken = try run("corrupt")
      guard broken.records == clean.records, broken.deadLetters >= troubled else {
        throw WrongOutput("\(broken.deadLetters) dead letters of \(broken.records) records")
      }
      ratios.append(clean.command.seconds / broken.command.seconds)
    }
    corrupt = ratios.sorted()[ratios.count / 2]
    peer = try Self.measurePeer(places, broker, long)
  }

  /// Makes a topic and sends a file to it.
  /// - Returns: the seconds that sending took.
  private static func send(_ file: String, to name: String, _ places: Places, _ broker: Broker) throws -> Double {
    _ = try Command(
      [places.pulse, "topics", "create", broker.topic(name), "--partitions", String(partitions)], scratch: places.work)
    return try Command(
      [places.pulse, "replay", file, "--to", broker.topic(name), "--use-case", places.root + "/UseCases/redset"],
      scratch: places.work
    ).seconds
  }

  /// What kcat, which does nothing with records, reads and writes in a second.
  private static func measurePeer(
    _ places: Places, _ broker: Broker, _ input: InputFile
  ) throws -> (read: Double, written: Double)? {
    guard let kcat = ["/usr/bin/kcat", "/usr/bin/kafkacat"].first(where: FileManager.default.isExecutableFile) else {
      return nil
    }
    let settings = ["-X", "receive.message.max.bytes=1000000000"]
    let read = try Command(
      [kcat, "-b", broker.address, "-C", "-t", "long", "-o", "beginning", "-e", "-q", "-f", ""] + settings,
      scratch: places.work)
    _ = try Command(
      [places.pulse, "topics", "create", broker.topic("peer"), "--partitions", String(partitions)],
      scratch: places.work)
    let written = try Command(
      [kcat, "-b", broker.address, "-P", "-t", "peer", "-z", "lz4", "-X", "linger.ms=5", "-l", input.path],
      scratch: places.work)
    return (Double(input.records) / read.seconds, Double(input.records) / written.seconds)
  }

  func add(to table: inout BudgetTable) {
    table.add(
      Budget(
        what: "redset through Kafka: \(Self.partitions) partitions, rules and windows", target: 200e3, defect: 100e3,
        direction: .atLeast, format: eventsPerSecond),
      measured: rules, note: "best of \(rounds), the difference of two lengths, broker on the same cores")
    table.add(
      Budget(
        what: "the same with both learned detectors", target: 150e3, defect: 75e3, direction: .atLeast,
        format: eventsPerSecond),
      measured: learned, note: "best of \(rounds)")
    table.add(
      Budget(
        what: "lines with keys to a topic", target: 300e3, defect: 150e3, direction: .atLeast, format: eventsPerSecond),
      measured: sent, note: "one run, the difference of two lengths")
    table.add(
      Budget(
        what: "redset through Kafka with 1 % corrupt records, by those without", target: 0.95, defect: 0.85,
        direction: .atLeast, format: { "\(fixed($0, 2)) of clean" }),
      measured: corrupt, note: "median of \(max(rounds, 3)) paired runs, the whole process")
    table.add(
      Budget(
        what: "backlog in \(Self.partitions) partitions: peak resident memory", target: 300e6, defect: 500e6,
        direction: .atMost, format: megabytes),
      measured: Double(peakMemory), note: "the most of \(rounds)")
    if let peer {
      table.add(
        "what the broker gives kcat, which does nothing with records",
        measured: "\(eventsPerSecond(peer.read)) read, \(eventsPerSecond(peer.written)) written, the whole process")
    }
  }
}
