// Trainings that a run starts itself: when they begin, what becomes of them, and that the stream goes on whatever does.

import Foundation
import Learning
import TestKit
import Testing

@Suite("Scheduled training", .enabled(if: Need.lightGBM, "needs LightGBM"))
struct ScheduledTrainingTests {
  private static let begun = "a training has begun"
  private static let scoring = "a model scores from here on"
  private static let next = "the next training"

  /// Events of almost as much time as a first training waits for, which lie in history files as those of a run that has
  /// ended do.
  private static let before = Jobs.interval - 10

  /// A run behind these events.
  private func live(
    _ edit: (String) -> String = { $0 }, environment: [String: String] = [:],
    prepare: (TestFolder) throws -> Void = { _ in }
  ) throws -> LiveJobs {
    let folder = try Jobs.folder(Jobs.events(0..<Self.before), edit)
    try Jobs.run(folder)
    try prepare(folder)
    let live = try LiveJobs(folder, 0..<Self.before, environment: environment)
    live.expect("due=as soon as there is enough history")
    return live
  }

  @Test("a run trains on schedule, goes on with the champion, and keeps to the schedule after a restart")
  func schedule() throws {
    let first = try live()
    let folder = first.folder
    try first.append(until: Jobs.interval + 10)
    first.expect(Self.begun)
    first.expect("a trained model is the champion: ", 2)
    first.expect(Self.next, 2)
    // Events go on: what the new models find says so.
    try first.append(until: Jobs.interval + 400, seeing: Self.scoring, 2)
    try first.append(until: Jobs.interval + 1_000)
    try first.stop()
    let versions = try Jobs.versions(folder)
    #expect(versions["odd"]?.count == 1 && versions["slow"]?.count == 1, "\(versions)")
    for detector in ["odd", "slow"] {
      let models = Set(try Jobs.anomalies(folder, of: detector).map { $0["model"] as? String })
      #expect(models == [versions[detector]?.first], "\(detector)")
    }

    // The next one is due six hours behind the history that was learned from, restarts or not.
    let due = "due=2024-03-01T11:59:05"
    let second = try LiveJobs(folder, 0..<Jobs.interval + 1_000)
    second.expect(due)
    try second.append(until: 2 * Jobs.interval - 100, constant: true)
    try second.stop()
    #expect(second.count(of: Self.begun) == 0)

    // A forest that gives all that was held back the same score is refused, and the champion stays.
    let third = try LiveJobs(folder, 0..<2 * Jobs.interval - 100)
    third.expect(due)
    try third.append(until: 2 * Jobs.interval + 20, constant: true)
    third.expect(Self.begun)
    third.expect("detector=odd version=20240301-")
    third.expect("a trained model was refused, the champion stays: scores differ by 0")
    third.expect(Self.next, 2)
    try third.append(until: 2 * Jobs.interval + 400, seeing: Self.scoring)
    try third.append(until: 2 * Jobs.interval + 1_000)
    try third.stop()
    #expect(try Jobs.versions(folder).mapValues(\.count) == ["odd": 2, "slow": 2])
    #expect(try Jobs.registry(folder).champion(of: "odd") == versions["odd"]?.first)
    #expect(try Jobs.registry(folder).champion(of: "slow") != versions["slow"]?.first)
    #expect(try Set(Jobs.anomalies(folder, of: "odd").map { $0["model"] as? String }) == [versions["odd"]?.first])
    #expect(try Set(Jobs.anomalies(folder, of: "slow").map { $0["model"] as? String }).count == 2)
  }

  @Test("--no-train trains nothing, and a replay trains only with --train")
  func flags() throws {
    let folder = try Jobs.folder(Jobs.events(0..<Jobs.interval + 10))
    for (more, mode) in [([], []), (["--no-train"], ["--follow"])] {
      let arguments = Jobs.arguments(folder, more + mode, data: "data\(more.count)")
      let outcome = try PulseCommand.run(arguments + (mode.isEmpty ? [] : ["--idle-timeout", "0.5"]))
      outcome.expect(0)
      #expect(!outcome.errors.contains(Self.next), "\(outcome)")
      #expect(!FileManager.default.fileExists(atPath: folder / "data\(more.count)/models/jobs"))
    }
    let outcome = try PulseCommand.run(Jobs.arguments(folder, ["--train"], data: "data2"))
    outcome.expect(0, saying: Self.next)
  }

  @Test("a training that is killed changes nothing")
  func killed() throws {
    let live = try live(Jobs.growingLong)
    try live.append(until: Jobs.interval + 10)
    let trainer = try live.trainer()
    kill(trainer, SIGKILL)
    live.expect("the training has failed, the models in use stay: it was ended by signal 9")
    // Nothing is left of it, not even a zombie.
    let isGone = poll { !FileManager.default.fileExists(atPath: "/proc/\(trainer)") }
    #expect(isGone)
    try expectNoModels(live)
  }

  @Test("a run that ends takes its training with it", arguments: [SIGTERM, SIGINT])
  func stopped(signal: Int32) throws {
    let live = try live(Jobs.growingLong)
    try live.append(until: Jobs.interval + 10)
    let trainer = try live.trainer()
    live.process.send(signal)
    try live.process.wait().expect(0, saying: "the training under way has ended with the run")
    #expect(!FileManager.default.fileExists(atPath: "/proc/\(trainer)"))
    #expect(try Jobs.versions(live.folder) == ["odd": [], "slow": []])
  }

  @Test("a run that is killed leaves no training behind")
  func killedRun() throws {
    let live = try live(Jobs.growingLong)
    try live.append(until: Jobs.interval + 10)
    let trainer = try live.trainer()
    live.process.send(SIGKILL)
    _ = try live.process.wait()
    let isGone = poll(timeout: 40) { kill(trainer, 0) != 0 }
    #expect(isGone)
    #expect(try Jobs.versions(live.folder)["slow"] == [])
  }

  @Test("without LightGBM a run trains what does not need it, and says what is missing")
  func noLibrary() throws {
    let live = try live(environment: ["PULSE_LIGHTGBM_LIBRARY": "/nowhere/lib_lightgbm.so"])
    try live.append(until: Jobs.interval + 10)
    live.expect("no model was trained: LightGBM was not found")
    live.expect("a trained model is the champion: ")
    try live.append(until: Jobs.interval + 400, seeing: Self.scoring)
    try live.append(until: Jobs.interval + 1_000)
    try live.stop()
    #expect(try Jobs.versions(live.folder).mapValues(\.count) == ["odd": 1, "slow": 0])
    #expect(try Jobs.anomalies(live.folder, of: "odd").isEmpty == false)
  }

  @Test(
    "a full disk and a folder that cannot be written to change nothing",
    .enabled(if: Need.mounting, "needs the right to mount a file system"), arguments: ["size=12k", "ro"])
  func noRoom(options: String) throws {
    var disk: MemoryDisk?
    let live = try live(prepare: { folder in
      disk = try MemoryDisk(on: folder / "data/models", size: "12k")
      try disk?.remount(options)
    })
    try live.append(until: Jobs.interval + 10)
    if options == "ro" {
      live.expect("the training has failed, the models in use stay")
      #expect(live.process.errors.contains("Read-only file system"), "\(live.process.errors)")
    } else {
      live.expect("no model was trained: ", 2)
      #expect(live.process.errors.contains("No space left on device"), "\(live.process.errors)")
    }
    try expectNoModels(live)
    disk?.unmount()
  }

  @Test("history that is damaged or gone changes nothing", arguments: ["damaged", "gone"])
  func badHistory(_ what: String) throws {
    let live = try live()
    try live.settle()
    let day = live.folder / "data/history/jobs/day=2024-03-01"
    let path = day + "/" + (try #require(try FileManager.default.contentsOfDirectory(atPath: day).first))
    if what == "gone" {
      try FileManager.default.removeItem(atPath: path)
    } else {
      var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      for index in bytes.count / 2..<bytes.count / 2 + 200 { bytes[index] ^= 0x5a }
      try bytes.write(to: URL(fileURLWithPath: path))
    }
    try live.append(until: Jobs.interval + 10)
    live.expect("the training has failed, the models in use stay: the history shard history/jobs/day=2024-03-01/")
    try expectNoModels(live)
  }

  /// The stream goes on, there is no version nor half of one, and all that was stored is what it is without a training.
  private func expectNoModels(_ live: LiveJobs, at: SourceLocation = #_sourceLocation) throws {
    try live.append(until: Jobs.interval + 600, at: at)
    try live.stop(at: at)
    #expect(try Jobs.versions(live.folder) == ["odd": [], "slow": []], sourceLocation: at)
    #expect(Jobs.leftovers(live.folder) == [], sourceLocation: at)
    try Jobs.run(live.folder, "--no-train", data: "undisturbed", at: at)
    let differences = try Stored(live.folder / "data").differences(from: Stored(live.folder / "undisturbed"))
    #expect(differences == [], sourceLocation: at)
    #expect(try !Jobs.anomalies(live.folder, of: "endless").isEmpty, sourceLocation: at)
  }
}
