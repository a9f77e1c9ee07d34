// The use case and the events that most tests here run: small enough to read, with everything a run can store: classes,
// both kinds of rules, windows, dead letters and history.

import Foundation
import Learning
import TestKit
import Testing

/// Events of seven hosts, two a second, and the use case that judges them.
enum Trail {
  static let pipeline = """
    name: trail
    event:
      time: at
      key: host
      partitioned_by: host
      out_of_order: 5s
      max_ahead: 1h
      fields:
        at:   {type: timestamp, required: true}
        host: {type: string, required: true, max_length: 40}
        load: {type: double, required: true, min: 0, max: 1000}
        note: {type: string}
    classify:
      into: state
      cases:
        - busy: load > 90
      else: calm
    rules:
      - name: overload
        severity: high
        when: load > 95
        reason: 'load {load} on {host}'
      - name: storm
        severity: medium
        when: load > 80
        per: host
        within: 1m
        having: count(*) >= 3
        cool_down: 2m
        reason: '{count(*)} times busy'
    windows:
      - name: minutes
        type: tumbling
        size: 1m
        by: [host]
        allowed_lateness: 1m
        retain: 30d
        aggregates: {events: count(*), load: avg(load), highest: max(load), p90: 'quantile(load, 0.9)'}
      - name: quarters
        type: sliding
        size: 1h
        every: 15m
        retain: 30d
        aggregates: {events: count(*), hosts: distinct(host), deviation: stddev(load)}
    history: {retain: 30d}

    """

  /// From 2024-03-01T11:00:00Z on. Written by hand: a formatter takes longer than the product does to read it.
  static func time(_ index: Int) -> String {
    let second = 11 * 3600 + index / 2
    let parts = [second / 3600 % 24, second / 60 % 60, second % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
    let day = 1 + second / 86_400
    return "2024-03-\(day < 10 ? "0" : "")\(day)T\(parts[0]):\(parts[1]):\(parts[2])Z"
  }

  /// One event; the load depends on `index` alone. SplitMix64's mixing spreads it over 0 to 100.
  static func event(_ index: Int) -> String {
    var mixed = UInt64(index) &* 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    let load = Double((mixed ^ (mixed >> 31)) % 10_001) / 100
    return #"{"at":"\#(time(index))","host":"h\#(mixed % 7)","load":\#(load)}"# + "\n"
  }

  /// Events; every 250th one lacks its load and becomes a dead letter.
  static func events(_ range: Range<Int>) -> String {
    var text = ""
    for index in range {
      text += index % 250 == 249 ? #"{"at":"\#(time(index))","host":"h1"}"# + "\n" : event(index)
    }
    return text
  }

  /// A folder with the use case in `trail`, changed by `edit`.
  static func folder(_ edit: (String) -> String = { $0 }) throws -> TestFolder {
    let folder = try TestFolder()
    try folder.write("trail/pipeline.yaml", edit(pipeline))
    return folder
  }

  static func arguments(_ folder: TestFolder, _ source: [String], data: String = "data") -> [String] {
    ["run", "--use-case", folder / "trail", "--data", folder / data, "--json"]
      + source.flatMap { ["--source", $0 == "-" || $0.hasPrefix("/") ? $0 : folder / $0] }
  }

  /// Runs it over files of the folder (or `-`).
  static func run(
    _ folder: TestFolder, _ source: String..., data: String = "data", more: [String] = [], input: String? = nil,
    timeout: Double = 60
  ) throws -> Outcome {
    try PulseCommand.run(arguments(folder, source, data: data) + more, input: input, timeout: timeout)
  }

  static func start(_ folder: TestFolder, _ source: String..., data: String = "data", more: [String] = []) throws
    -> RunningCommand
  {
    try RunningCommand([PulseCommand.path] + arguments(folder, source, data: data) + more)
  }

  /// How many records the last checkpoint has, of all sources together; -1 where there is no store yet.
  static func records(_ folder: TestFolder) throws -> Int {
    let status = try PulseCommand.run("status", "--data", folder / "data", "--json")
    if status.exitCode != 0 { return -1 }
    return try status.rows().reduce(0) { $0 + ($1["records"] as? Int ?? 0) }
  }

  /// What an undisturbed run over these events stores.
  static func undisturbed(_ events: String, _ edit: (String) -> String = { $0 }) throws -> Stored {
    let folder = try folder(edit)
    try folder.write("events.ndjson", events)
    try run(folder, "events.ndjson").expect(0)
    return try Stored(folder / "data")
  }
}

/// Everything that the listing commands say about a data directory.
struct Stored: Equatable, CustomStringConvertible {
  var anomalies: [String]
  var windows: [String]
  var deadLetters: [String]
  /// The totals of `pulse status`, and how many rows history has.
  var totals: [String: String]

  private static let compared = [
    "records", "events", "classes", "anomalies", "dead_letters", "late_events", "ahead_events", "watermark", "windows",
    "open_windows", "history_rows",
  ]

  init(_ data: String) throws {
    anomalies = try Self.lines("anomalies", data)
    windows = try Self.lines("windows", data)
    deadLetters = try Self.lines("dead-letters", data)
    totals = [:]
    let status = try PulseCommand.run("status", "--data", data, "--json").rows()
    for row in status {
      for name in Self.compared { totals[name, default: ""] += Self.text(row[name]) + ";" }
    }
  }

  private static func lines(_ command: String, _ data: String) throws -> [String] {
    let outcome = try PulseCommand.run(command, "--data", data, "--json", "--limit", "0")
    outcome.expect(0)
    return try outcome.rows().map { text($0) }
  }

  private static func text(_ value: Any?) -> String {
    guard let value, let data = try? JSONSerialization.data(withJSONObject: [value], options: .sortedKeys) else {
      return "-"
    }
    return String(decoding: data, as: UTF8.self)
  }

  func count(_ name: String) -> Int { Int(totals[name]?.filter(\.isNumber) ?? "") ?? -1 }

  /// What differs, for a failing test; empty when nothing does. `except`: totals that may differ.
  func differences(from expected: Stored, except: Set<String> = []) -> [String] {
    var differences: [String] = []
    for (name, found, wanted) in [
      ("anomalies", anomalies, expected.anomalies), ("windows", windows, expected.windows),
      ("dead letters", deadLetters, expected.deadLetters),
    ] where found != wanted {
      let (have, want) = (Set(found), Set(wanted))
      differences.append("\(name): \(found.count) rows, expected \(wanted.count)")
      differences += found.filter { !want.contains($0) }.prefix(2).map { "surplus \($0.prefix(300))" }
      differences += wanted.filter { !have.contains($0) }.prefix(2).map { "missing \($0.prefix(300))" }
    }
    for (name, value) in expected.totals.sorted(by: { $0.key < $1.key })
    where totals[name] != value && !except.contains(name) {
      differences.append("\(name): \(totals[name] ?? "-"), expected \(value)")
    }
    return differences
  }

  var description: String {
    "\(anomalies.count) anomalies, \(windows.count) windows, \(deadLetters.count) dead letters, \(totals)"
  }
}

/// Parts of the environment that a test may need, each with the reason to skip without it.
enum Need {
  /// pyarrow makes Parquet files and reads history independently of the product.
  static let python: String? = {
    let path = PulseCommand.package + "/.native/venv/bin/python"
    let candidates = [path, ProcessInfo.processInfo.environment["PULSE_PYTHON"] ?? ""]
    return candidates.first {
      FileManager.default.isExecutableFile(atPath: $0)
        && (try? RunningCommand([$0, "-c", "import pyarrow.parquet"]).wait().exitCode) == 0
    }
  }()

  /// Libraries that are found at run time, by the tests as by the command.
  static let lightGBM = (try? LightGBMLibrary.open()) != nil
  static let onnxRuntime = (try? ONNXRuntimeLibrary.open()) != nil

  /// The tool that checks metrics and rules, of Prometheus.
  static let promtool: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .map { "\($0)/promtool" }.first { FileManager.default.isExecutableFile(atPath: $0) }

  /// Whether this user may mount a file system in memory.
  static let mounting: Bool = {
    guard let folder = try? TestFolder(), let mount = try? MemoryDisk(on: folder.path, size: "1m") else { return false }
    mount.unmount()
    return true
  }()

  /// A prefix that runs a command as a user whom file permissions hold back; nil where there is no such way.
  static let unprivileged: [String]? = {
    if geteuid() != 0 { return [] }
    let prefix = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    guard FileManager.default.isExecutableFile(atPath: prefix[0]),
      (try? RunningCommand(prefix + [PulseCommand.path, "--version"]).wait().exitCode) == 0
    else { return nil }
    return prefix
  }()

  /// Runs Python on a text.
  static func python(_ program: String, _ arguments: String...) throws -> String {
    let python = try #require(Need.python)
    let outcome = try RunningCommand([python, "-c", program] + arguments).wait()
    #expect(outcome.exitCode == 0, "\(outcome)")
    return outcome.output
  }
}

/// A file system in memory, as small as asked for; unmounted when the last reference is gone.
final class MemoryDisk {
  private let path: String
  private var isMounted = true

  init(on path: String, size: String) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Self.command("mount", "-t", "tmpfs", "-o", "size=\(size)", "tmpfs", path)
  }

  deinit { unmount() }

  func remount(_ options: String) throws { try Self.command("mount", "-o", "remount,\(options)", path) }

  func unmount() {
    if isMounted { isMounted = (try? Self.command("umount", "-l", path)) == nil }
  }

  private static func command(_ name: String, _ arguments: String...) throws {
    let outcome = try RunningCommand(["/usr/bin/env", name] + arguments).wait()
    guard outcome.exitCode == 0 else { throw CommandError("\(name): \(outcome.errors)") }
  }
}
