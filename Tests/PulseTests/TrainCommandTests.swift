// `pulse train` as a user types it: what it says, what it refuses, and with which exit code.

import Foundation
import Learning
import TestKit
import Testing

@Suite("pulse train", .enabled(if: Need.lightGBM, "needs LightGBM"))
struct TrainCommandTests {
  @Test("what it trained is said, listed, and not trained again")
  func trains() throws {
    let folder = try Jobs.folder(Jobs.events(0..<4_000))
    try Jobs.run(folder)
    let text = try Jobs.train(folder)
    text.expect(0)
    #expect(text.output.components(separatedBy: "passed the gate and is the champion now").count == 3, "\(text)")
    #expect(text.errors.isEmpty, "\(text)")
    let again = try Jobs.train(folder, "--json").object()
    let outcomes = try #require(again["outcomes"] as? [[String: Any]])
    #expect(outcomes.map { $0["result"] as? String } == ["unchanged", "unchanged"])
    #expect(try Jobs.train(folder, "--quiet").output.isEmpty)
    let kept = try Jobs.train(folder, "--seed", "2", "--no-promote", "--detector", "odd")
    kept.expect(0)
    #expect(kept.output.contains("passed the gate; not promoted"), "\(kept)")
    #expect(try Jobs.versions(folder).mapValues(\.count) == ["odd": 2, "slow": 1])
    #expect(try Jobs.registry(folder).champion(of: "odd") == Jobs.versions(folder)["odd"]?.first)
  }

  @Test("what there is nothing to learn from is said")
  func refusals() throws {
    let folder = try Jobs.folder("")
    try Jobs.train(folder).expect(4, saying: "there is no store", "pulse run")
    #expect(!FileManager.default.fileExists(atPath: folder / "data"))
    try Jobs.run(folder)
    try Jobs.train(folder).expect(3, saying: "no history to learn from", "pulse run")
    try Jobs.train(folder, useCase: "job").expect(2, saying: "there is no use case")
    try Jobs.train(folder, "--detector", "slov").expect(2, saying: "did you mean `slow`?")
    try Jobs.train(folder, "--threads", "0").expect(64, saying: "--threads must be 1 to 1024")
    try Jobs.train(folder, "--max-memory", "1").expect(64, saying: "--max-memory must be")
    try PulseCommand.run("train", folder / "jobs").expect(64, saying: "--data is missing")
    let trail = try Trail.folder()
    try PulseCommand.run("train", trail / "trail", "--data", folder / "data").expect(
      2, saying: "has no detector that is trained")
    #expect(try Jobs.versions(folder) == ["odd": [], "slow": []])
  }

  @Test("a single event, events that are all alike, and columns that are all missing")
  func poorHistory() throws {
    let one = try Jobs.folder(Jobs.events(0..<1))
    try Jobs.run(one)
    let outcome = try Jobs.train(one)
    outcome.expect(3, saying: "no history to learn from: there are fewer events than event time is believed from")
    let alike = try Jobs.folder(Jobs.events(0..<4_000, constant: true))
    try Jobs.run(alike)
    let refused = try Jobs.train(alike)
    refused.expect(0)
    #expect(
      refused.output.components(separatedBy: "refused by the gate; what is in use stays").count == 3, "\(refused)")
    let missing = try Jobs.folder(
      Jobs.events(0..<4_000).replacing(/,"size":[0-9]+,"seconds":[0-9.e]+/, with: ""))
    try Jobs.run(missing)
    let report = try Jobs.train(missing, "--json")
    report.expect(3, saying: "no model for slow: 0 events to learn from")
    let outcomes = try #require(try report.object()["outcomes"] as? [[String: Any]])
    #expect(outcomes.map { $0["result"] as? String } == ["failed", "refused"])
    for folder in [one, alike, missing] {
      for detector in ["odd", "slow"] { #expect(try Jobs.registry(folder).champion(of: detector) == nil) }
    }
  }

  @Test("a budget beyond the floor is said to be out of reach")
  func outOfReach() throws {
    let folder = try Jobs.folder(Jobs.events(0..<6_000)) {
      $0.replacing("floor: 100, ratio: 10", with: "floor: 900, ratio: 10, budget: {rate: 0.1}")
    }
    try Jobs.run(folder)
    let outcome = try Jobs.train(folder)
    outcome.expect(0)
    #expect(outcome.output.contains("the budget asks for alarms on 10 % of the events; at most "), "\(outcome)")
  }

  @Test("two trainings at once: the second is refused, the first goes on")
  func twice() throws {
    let folder = try Jobs.folder(Jobs.events(0..<4_000)) { $0.replacing("trees: 60", with: "trees: 1000") }
    try Jobs.run(folder)
    let first = try PulseCommand.start("train", folder / "jobs", "--data", folder / "data")
    let isAtWork = poll { folder.read("data/models/jobs/.training.lock") == "\(first.identifier)" }
    #expect(isAtWork)
    try Jobs.train(folder).expect(4, saying: "is being trained by process \(first.identifier)")
    try first.wait().expect(0)
    #expect(try Jobs.versions(folder).mapValues(\.count) == ["odd": 1, "slow": 1])
  }

  @Test("history that is damaged, gone or of another schema is named")
  func badHistory() throws {
    let folder = try Jobs.folder(Jobs.events(0..<4_000))
    try Jobs.run(folder)
    let day = folder / "data/history/jobs/day=2024-03-01"
    let path = day + "/" + (try FileManager.default.contentsOfDirectory(atPath: day).first ?? "")
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    try folder.write("other/pipeline.yaml", Jobs.pipeline.replacing("size:    {type: int", with: "size: {type: bool"))
    try Jobs.train(folder, useCase: "other").expect(4, saying: "the history shard", "has size as int", "as bool")
    for place in [0, whole.count / 2, whole.count - 40] {
      var bytes = whole
      for index in place..<place + 32 { bytes[index] ^= 0x5a }
      try bytes.write(to: URL(fileURLWithPath: path))
      try Jobs.train(folder).expect(4, saying: "the history shard history/jobs/day=2024-03-01/", "cannot be read")
    }
    try FileManager.default.removeItem(atPath: path)
    try Jobs.train(folder).expect(4, saying: "the history shard", "No such file")
    #expect(try Jobs.versions(folder) == ["odd": [], "slow": []])
    try whole.write(to: URL(fileURLWithPath: path))
    try Jobs.train(folder).expect(0)
  }

  @Test("a missing library keeps no other detector from being trained")
  func noLibrary() throws {
    let folder = try Jobs.folder(Jobs.events(0..<4_000))
    try Jobs.run(folder)
    let none = ["PULSE_LIGHTGBM_LIBRARY": "/nowhere/lib_lightgbm.so"]
    let outcome = try Jobs.train(folder, environment: none)
    outcome.expect(6, saying: "no model for slow: LightGBM was not found", "PULSE_LIGHTGBM_LIBRARY")
    #expect(outcome.output.contains("odd") && outcome.output.contains("is the champion now"), "\(outcome)")
    #expect(
      (outcome.output + outcome.errors).components(separatedBy: "LightGBM was not found").count == 2, "\(outcome)")
    #expect(try Jobs.versions(folder).mapValues(\.count) == ["odd": 1, "slow": 0])
    try Jobs.train(folder).expect(0)
    #expect(try Jobs.versions(folder).mapValues(\.count) == ["odd": 1, "slow": 1])
  }

  @Test("damage among the versions that are there keeps no other from coming")
  func damagedVersions() throws {
    let folder = try Jobs.folder(Jobs.events(0..<4_000))
    try Jobs.run(folder)
    try Jobs.train(folder).expect(0)
    let version = try #require(try Jobs.versions(folder)["odd"]?.first)
    try folder.append("data/models/jobs/odd/\(version)/manifest.json", " ")
    try folder.append("data/models/jobs/slow/champion.json", " ")
    let outcome = try Jobs.train(folder, "--seed", "2")
    outcome.expect(0)
    #expect(outcome.output.components(separatedBy: "is the champion now").count == 3, "\(outcome)")
    #expect(try Jobs.registry(folder).champion(of: "odd") != version)
    // A new champion mends the file.
    #expect(try Jobs.registry(folder).champion(of: "slow") != nil)
  }
}
