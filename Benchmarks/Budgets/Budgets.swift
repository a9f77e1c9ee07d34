// Measures the whole command against its budgets and prints one table. Exit code 1: a budget is missed by so much that
// it is a defect, or a result is wrong. Options: --pulse FILE, --root FOLDER, --work FOLDER (is emptied), --events N,
// --runs N, --peers, --peers-python FILE.

import Foundation
import Workloads

@main
struct Budgets {
  private let places: Places
  private let events: Int
  private let runs: Int
  private let peers: Bool

  static func main() async {
    do {
      let budgets = try Budgets(Array(CommandLine.arguments.dropFirst()))
      exit(try await budgets.run() ? 0 : 1)
    } catch {
      FileHandle.standardError.write(Data("budgets: \(error)\n".utf8))
      exit(1)
    }
  }

  init(_ arguments: [String]) throws {
    var values = [
      "--pulse": ".build/release/pulse", "--root": ".", "--work": ".build/budgets", "--events": "1000000",
      "--runs": "3", "--peers": "", "--peers-python": ".native/peers/bin/python",
    ]
    var rest = arguments[...]
    while let name = rest.popFirst() {
      guard values[name] != nil else { throw WrongOutput("there is no option \(name)") }
      values[name] = name == "--peers" ? "yes" : rest.popFirst() ?? ""
    }
    func positive(_ name: String) throws -> Int {
      guard let number = Int(values[name] ?? ""), number > 0 else { throw WrongOutput("\(name) must be above 0") }
      return number
    }
    places = Places(
      pulse: values["--pulse"] ?? "", root: values["--root"] ?? "", work: values["--work"] ?? "",
      peersPython: values["--peers-python"] ?? "")
    events = try positive("--events")
    runs = try positive("--runs")
    peers = values["--peers"] == "yes"
  }

  /// - Returns: whether no budget is missed by so much that it is a defect.
  private func run() async throws -> Bool {
    let files = FileManager.default
    try? files.removeItem(atPath: places.work)
    try files.createDirectory(atPath: places.work, withIntermediateDirectories: true)
    defer { try? files.removeItem(atPath: places.work) }

    // Before this process grows: a child's peak memory begins with what its parent held.
    let command = try measureCommand()
    let input = try RedsetInput(root: places.root)
    try expectReference(command.prefix, input)
    let decodeRuns = 7
    let decode = Double(input.records) / (try await input.decode.best(of: decodeRuns) / .seconds(1))

    var table = table(command, input, decode: decode, decodeRuns: decodeRuns)
    command.entities.add(to: &table)
    try addTrees(to: &table)
    print(machine)
    print(table.text)
    if peers { try Peers(places).report(decode: decode, whole: command.fastest.recordsPerSecond) }
    return !table.hasDefect
  }

  /// The runs of the whole command.
  private struct CommandRuns {
    var input: InputFile
    var fastest: PulseRun
    /// Over a quarter of the events.
    var short: PulseRun
    /// Over the events of `RedsetInput`.
    var prefix: PulseRun
    /// Least time over a file of one event.
    var start: Double
    var peakMemory: Int
    var learned: LearnedRuns
    var manyWindows: ManyWindowsRuns
    var entities: EntityRuns
    /// Nil where there is no broker.
    var kafka: KafkaRuns?
    var troubled: TroubledRuns
  }

  private func measureCommand() throws -> CommandRuns {
    let long = try InputFile(places, records: events)
    let short = try InputFile(places, records: max(events / 4, 1))
    let prefix = try InputFile(places, records: RedsetInput.defaultRecords)
    let one = try InputFile(places, records: 1)

    let longRuns = try (0..<runs).map { _ in try PulseRun(places, source: long.path) }
    for run in longRuns {
      try run.expectSame(as: longRuns[0], "running again")
      guard run.records == long.records else {
        throw WrongOutput("\(run.records) records of \(long.records) were read")
      }
    }
    let shortRun = try PulseRun(places, source: short.path)
    let otherwise = try PulseRun(places, source: short.path, options: ["--batch-size", "1000", "--workers", "1"])
    try otherwise.expectSame(as: shortRun, "another batch size and number of workers")
    let starts = try (0..<5).map { _ in try PulseRun(places, source: one.path) }
    guard starts.allSatisfy({ $0.records == 1 }) else { throw WrongOutput("one event was not read as one") }
    let learned = try LearnedRuns(places, input: long, without: longRuns[0], runs: runs)
    return CommandRuns(
      input: long, fastest: longRuns.min { $0.command.seconds < $1.command.seconds } ?? longRuns[0], short: shortRun,
      prefix: try PulseRun(places, source: prefix.path), start: starts.map(\.command.seconds).min() ?? 0,
      peakMemory: longRuns.map(\.command.peakMemory).max() ?? 0,
      learned: learned,
      manyWindows: try ManyWindowsRuns(places, records: events, rounds: max(runs, 5), peers: peers),
      entities: try EntityRuns(places),
      kafka: Broker.isInstalled(places)
        ? try KafkaRuns(
          places, long: long, short: short, without: longRuns[0], models: learned.models, rounds: runs) : nil,
      // Last: it writes whole inputs anew, and this process grows by that.
      troubled: try TroubledRuns(places, input: long, rounds: max(runs, 5)))
  }

  /// The command finds what plain code finds in the same events.
  private func expectReference(_ run: PulseRun, _ input: RedsetInput) throws {
    let expected = input.expected
    guard run.classes == expected.classes, run.anomalies == expected.anomalies, run.deadLetters == expected.deadLetters
    else { throw WrongOutput("expected \(expected), found \(run.totals)") }
  }

  private func table(_ command: CommandRuns, _ input: RedsetInput, decode: Double, decodeRuns: Int) -> BudgetTable {
    var table = BudgetTable()
    table.add(
      Budget(
        what: "decode \(input.fieldCount)-field, \(fixed(input.bytesPerRecord, 0))-byte JSON, one core",
        target: 1e6, defect: 0.45e6, direction: .atLeast, format: eventsPerSecond),
      measured: decode, note: "best of \(decodeRuns)")
    table.add(
      Budget(
        what: "redset: NDJSON file to history, windows and SQLite", target: 500e3, defect: 300e3, direction: .atLeast,
        format: eventsPerSecond),
      measured: command.fastest.recordsPerSecond, note: "best of \(runs), start and end of the process included")
    command.learned.add(to: &table, runs: runs)
    command.manyWindows.add(to: &table)
    command.troubled.add(to: &table)
    if let kafka = command.kafka {
      kafka.add(to: &table)
    } else {
      table.addLater(
        "redset through Kafka", target: "200 k events/s", defect: "< 100 k events/s", needs: "scripts/test-brokers")
    }
    table.addLater("append in Kafka to stored anomaly, p99", target: "10 ms", defect: "> 50 ms", needs: "a row")
    table.add(
      Budget(
        what: "peak resident memory, any input length", target: 300e6, defect: 500e6, direction: .atMost,
        format: megabytes),
      measured: Double(max(command.peakMemory, command.short.command.peakMemory)),
      note: "\(megabytes(Double(command.short.command.peakMemory))) at \(command.short.records) events, "
        + "\(megabytes(Double(command.peakMemory))) at \(command.input.records)")
    table.add(
      Budget(
        what: "start to first result: a file of one event, stored and checkpointed", target: 0.3, defect: 1,
        direction: .atMost, format: seconds),
      measured: command.start, note: "best of 5, the whole process")
    table.add(
      "size on disk",
      measured: "\(fixed(Double(command.fastest.stored) / Double(command.input.records), 0)) bytes an event, of "
        + "\(fixed(Double(command.input.bytes) / Double(command.input.records), 0)) in the input")
    return table
  }

  /// Tree scoring, whose budgets are ratios to other libraries: measured only with those.
  private func addTrees(to table: inout BudgetTable) throws {
    let forest = Budget(
      what: "isolation forest, 100 x 256, 16 features, one core, against scikit-learn", target: 5, defect: 3,
      direction: .atLeast, format: times)
    let boosted = Budget(
      what: "two boosted models, 300 trees x 31 leaves, 30 features, one core, against LightGBM", target: 3,
      defect: 1.5, direction: .atLeast, format: times)
    guard peers else {
      for budget in [forest, boosted] {
        table.addLater(
          budget.what, target: times(budget.target), defect: "< " + times(budget.defect), needs: "PEERS=1")
      }
      return
    }
    let trees = try TreePeers(places)
    for (budget, result) in [(forest, try trees.forest()), (boosted, try trees.boosted())] {
      table.add(
        budget, measured: result.ratio,
        note: "median of 5 paired rounds; at best \(rowsPerSecond(result.ours)), "
          + "the peer \(rowsPerSecond(result.theirs))")
    }
    for (what, result) in [
      ("the same forest against ONNX Runtime", try trees.forest(against: "forest-onnx")),
      ("the same boosted models against ONNX Runtime", try trees.boosted(against: "boosted-onnx")),
    ] {
      table.add(
        what,
        measured: "\(times(result.ratio)) (median of 5 paired rounds; at best \(rowsPerSecond(result.ours)), "
          + "the peer \(rowsPerSecond(result.theirs)))")
    }
  }

  /// The processor and how many of them.
  private var machine: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let model = text.split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
      .map { $0.trimmingCharacters(in: .whitespaces) }
    return "\(ProcessInfo.processInfo.activeProcessorCount) cores, \(model ?? "unknown processor"), "
      + "\(fixed(Double(ProcessInfo.processInfo.physicalMemory) / 1e9, 0)) GB; "
      + "\(events) simulated events of redset, seed 42"
  }
}
