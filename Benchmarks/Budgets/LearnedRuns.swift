// Training over stored history, and runs of the whole command with the models that it gave.

import Foundation
import Workloads

struct LearnedRuns {
  private let training: Command
  private let trainedRows: Int
  private let fastest: PulseRun
  /// With the floor of the expected value at 0, so that its trees are asked about every event.
  private let withoutFloor: PulseRun
  /// The folder of the models.
  let models: String

  /// Trains on the history of a run, and runs over the same events again with the models in place.
  /// - Parameter without: the same run without models: what rules and classes find must not differ.
  init(_ places: Places, input: InputFile, without: PulseRun, runs: Int) throws {
    let useCase = places.root + "/UseCases/redset"
    let (data, kept) = (places.work + "/data", places.work + "/models")
    models = kept
    _ = try PulseRun(places, source: input.path)
    training = try Command([places.pulse, "train", useCase, "--data", data, "--json"], scratch: places.work)
    guard let report = try JSONSerialization.jsonObject(with: Data(training.output.utf8)) as? [String: Any],
      let outcomes = report["outcomes"] as? [[String: Any]], outcomes.count == 2,
      outcomes.allSatisfy({ $0["result"] as? String == "promoted" }),
      let manifest = outcomes[0]["manifest"] as? [String: Any], let rows = manifest["rows"] as? [String: Int]
    else { throw WrongOutput("training gave no two champions: \(training.output.prefix(2_000))") }
    trainedRows = rows.values.reduce(0, +)
    try FileManager.default.moveItem(atPath: data + "/models", toPath: kept)
    let all = try (0..<runs).map { _ in try PulseRun(places, source: input.path, models: kept) }
    for run in all { try run.expectSame(as: all[0], "running with models again") }
    let found = all[0].anomalies
    guard found["slow_query", default: 0] > 0, found["outlier", default: 0] > 0, all[0].classes == without.classes,
      found.filter({ without.anomalies[$0.key] != nil }) == without.anomalies
    else { throw WrongOutput("with models \(found) were found, without \(without.anomalies)") }
    fastest = all.min { $0.command.seconds < $1.command.seconds } ?? all[0]

    let floorless = places.work + "/redset"
    try FileManager.default.copyItem(atPath: useCase, toPath: floorless)
    let text = try String(contentsOfFile: useCase + "/pipeline.yaml", encoding: .utf8)
    let changed = text.replacing("floor: 60000", with: "floor: 0")
    guard changed != text else { throw WrongOutput("redset has no floor of 60000") }
    try changed.write(toFile: floorless + "/pipeline.yaml", atomically: true, encoding: .utf8)
    withoutFloor = try PulseRun(places, source: input.path, useCase: floorless, models: kept)
    guard withoutFloor.anomalies["slow_query", default: 0] >= found["slow_query", default: 0] else {
      throw WrongOutput("without the floor fewer queries are slow: \(withoutFloor.anomalies)")
    }
  }

  func add(to table: inout BudgetTable, runs: Int) {
    table.add(
      Budget(
        what: "the same with both learned detectors", target: 200e3, defect: 120e3, direction: .atLeast,
        format: eventsPerSecond),
      measured: fastest.recordsPerSecond,
      note: "best of \(runs); \(megabytes(Double(fastest.command.peakMemory))) at most")
    table.add(
      "the same with the floor of 60 s switched off",
      measured: "\(eventsPerSecond(withoutFloor.recordsPerSecond)) (one run, "
        + "\(withoutFloor.anomalies["slow_query", default: 0]) slow queries)")
    table.add(
      Budget(
        what: "training: two boosted models of 300 trees over 22 features and a forest", target: 40, defect: 60,
        direction: .atMost, format: seconds),
      measured: training.seconds,
      note: "\(trainedRows) scored events of at most 400000 read, one run, the whole process, "
        + "\(megabytes(Double(training.peakMemory)))")
  }
}
