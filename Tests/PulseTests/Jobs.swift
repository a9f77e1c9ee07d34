// A use case with detectors that are trained, small enough to train in a fraction of a second: jobs whose time follows
// from their kind and size, and some that take forty times as long.

import Foundation
import Learning
import TestKit
import Testing

enum Jobs {
  static let pipeline = """
    name: jobs
    event:
      time: at
      key: team
      out_of_order: 5s
      fields:
        at:      {type: timestamp, required: true, format: seconds, known_at: before_execution}
        team:    {type: string, known_at: before_execution}
        kind:    {type: string, required: true, known_at: before_execution}
        size:    {type: int, known_at: before_execution}
        seconds: {type: double, min: 0}
    features:
      kind_code: {encoder: ordinal, of: kind}
    detectors:
      - {name: slow, type: expected_value, target: seconds, features: [kind_code, size], floor: 100, ratio: 10, trees: 60, leaves: 8}
      - {name: odd, type: isolation_forest, features: [seconds, size], trees: 20, sample_size: 64, budget: {rate: 0.05}}
    training: {schedule: every 6h, history: 1d}
    rules:
      - {name: endless, when: seconds > 5000}
    history: {retain: 30d}

    """

  /// Trees that take a few seconds to grow, so that a training can be met while it is under way.
  static func growingLong(_ text: String) -> String { text.replacing("trees: 60", with: "trees: 5000") }

  /// Event time between two events, seconds, and events in the six hours between two trainings.
  static let step = 5
  static let interval = 6 * 3600 / step
  /// 2024-03-01T00:00:00Z.
  private static let start = 1_709_251_200

  /// Events; each depends on its index alone.
  /// - Parameter constant: whether they are all alike but for their time, so that nothing can be learned from them.
  static func events(_ range: Range<Int>, constant: Bool = false) -> String {
    var text = ""
    for index in range {
      var random = SeededRandom(seed: UInt64(index))
      let (kind, base) = [("copy", 1.0), ("scan", 3), ("join", 5)].randomElement(using: &random) ?? ("", 0)
      let size = Int.random(in: 1...40, using: &random)
      let noise = (0..<4).reduce(0.0) { sum, _ in sum + Double.random(in: -0.2...0.2, using: &random) }
      let seconds = exp(base + 0.03 * Double(size) + noise) * (index % 300 == 299 ? 40 : 1)
      let team = Int.random(in: 0..<5, using: &random)
      let rest =
        constant
        ? #""team":"t0","kind":"copy","size":7,"seconds":7}"#
        : #""team":"t\#(team)","kind":"\#(kind)","size":\#(size),"seconds":\#(seconds)}"#
      text += #"{"at":\#(start + index * step),\#(rest)"# + "\n"
    }
    return text
  }

  /// A folder with the use case in `jobs`, changed by `edit`, and events in `events.ndjson`.
  static func folder(_ events: String, _ edit: (String) -> String = { $0 }) throws -> TestFolder {
    let folder = try TestFolder()
    try folder.write("jobs/pipeline.yaml", edit(pipeline))
    try folder.write("events.ndjson", events)
    return folder
  }

  static func arguments(_ folder: TestFolder, _ more: [String] = [], data: String = "data") -> [String] {
    [
      "run", "--use-case", folder / "jobs", "--source", folder / "events.ndjson", "--data", folder / data, "--json",
      "--checkpoint-interval", "0.05",
    ] + more
  }

  /// Replays the events to their end.
  @discardableResult
  static func run(
    _ folder: TestFolder, _ more: String..., data: String = "data", environment: [String: String] = [:],
    at: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    let outcome = try PulseCommand.run(arguments(folder, more, data: data), environment: environment)
    outcome.expect(0, at: at)
    return outcome
  }

  static func train(
    _ folder: TestFolder, _ more: String..., useCase: String = "jobs", environment: [String: String] = [:]
  ) throws -> Outcome {
    try PulseCommand.run(["train", folder / useCase, "--data", folder / "data"] + more, environment: environment)
  }

  static func registry(_ folder: TestFolder) -> ModelRegistry {
    ModelRegistry(folder: folder / "data/models", useCase: "jobs")
  }

  /// The versions of both detectors, as files say.
  static func versions(_ folder: TestFolder) throws -> [String: [String]] {
    let registry = registry(folder)
    return try Dictionary(
      uniqueKeysWithValues: ["odd", "slow"].map { ($0, try registry.entries(of: $0).map(\.version)) })
  }

  /// Anomalies as the listing has them.
  static func anomalies(_ folder: TestFolder, of detector: String, data: String = "data") throws -> [[String: Any]] {
    try PulseCommand.run("anomalies", "--data", folder / data, "--json", "--limit", "0").rows()
      .filter { $0["detector"] as? String == detector }
  }

  /// Everything in a registry's folder that a writer that did not finish might have left.
  static func leftovers(_ folder: TestFolder) -> [String] {
    let names = FileManager.default.enumerator(atPath: folder / "data/models")?.allObjects as? [String] ?? []
    return names.filter { name in
      let last = (name as NSString).lastPathComponent
      return last.hasPrefix(".") && last != ".lock" && last != ".training.lock"
    }
  }
}

/// A run over a file that grows, as a service is.
final class LiveJobs {
  let folder: TestFolder
  let process: RunningCommand
  private var events: Range<Int>

  /// - Parameter events: those that are in the file already.
  init(
    _ folder: TestFolder, _ events: Range<Int>, _ more: String..., environment: [String: String] = [:]
  ) throws {
    self.folder = folder
    self.events = events
    process = try RunningCommand(
      [PulseCommand.path] + Jobs.arguments(folder, ["--follow"] + more), environment: environment)
  }

  /// Waits until all events are on record.
  func settle(at: SourceLocation = #_sourceLocation) throws {
    let reached = try poll { try Trail.records(folder) == events.count }
    #expect(reached, "\(process.errors)", sourceLocation: at)
  }

  /// Appends events up to `end`, and waits until they are on record.
  func append(until end: Int, constant: Bool = false, at: SourceLocation = #_sourceLocation) throws {
    try folder.append("events.ndjson", Jobs.events(events.upperBound..<end, constant: constant))
    events = events.lowerBound..<end
    try settle(at: at)
  }

  /// Appends events a few at a time until something was logged so often, and then the rest up to `end`: a model takes
  /// over with the batch behind the one that has made it known.
  func append(until end: Int, seeing text: String, _ times: Int = 1, at: SourceLocation = #_sourceLocation) throws {
    while events.upperBound + 20 < end, count(of: text) < times {
      try append(until: events.upperBound + 20, at: at)
    }
    try append(until: end, at: at)
    expect(text, times, at: at)
  }

  /// How often something was logged.
  func count(of text: String) -> Int { process.errors.components(separatedBy: text).count - 1 }

  /// Waits until something was logged so often.
  func expect(_ text: String, _ times: Int = 1, at: SourceLocation = #_sourceLocation) {
    let found = poll(timeout: 40) { self.count(of: text) >= times || !process.isRunning }
    #expect(found && count(of: text) == times, "“\(text)” \(times) times: \(process.errors)", sourceLocation: at)
  }

  /// The process that trains now, once there is one.
  func trainer() throws -> pid_t {
    var found: pid_t?
    _ = poll {
      let children = try? FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }.filter {
        guard let status = try? String(contentsOfFile: "/proc/\($0)/status", encoding: .utf8) else { return false }
        return status.contains("\nPPid:\t\(process.identifier)\n")
      }
      // Once it has the lock it is past its start.
      found = children?.first { folder.read("data/models/jobs/.training.lock") == "\($0)" }
      return found != nil
    }
    return try #require(found, "\(process.errors)")
  }

  /// Ends it in order.
  func stop(at: SourceLocation = #_sourceLocation) throws {
    process.send(SIGTERM)
    try process.wait().expect(0, at: at)
  }
}
