// Training from history to a champion, and what must not become one.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Learning

@Suite struct TrainingTests {
  @Test func `candidates are trained, stored, judged and promoted`() throws {
    let folder = TrainingFolder()
    let history = JobHistory(days: 10)
    var steps: [TrainingProgress] = []
    let outcomes = try trainer(history, folder.registry).train { steps.append($0) }
    #expect(outcomes.map(\.detector) == ["slow", "odd"])
    #expect(outcomes.map(\.result) == [.promoted, .promoted], "\(outcomes.map(\.message))")
    #expect(zip(steps, steps.dropFirst()).allSatisfy { $0.share <= $1.share } && steps.last?.share == 1)
    for outcome in outcomes {
      let version = try #require(outcome.version)
      let manifest = try #require(outcome.manifest)
      #expect(try folder.registry.champion(of: outcome.detector) == version)
      #expect(try folder.registry.entries(of: outcome.detector).map(\.version) == [version])
      let times = try #require(manifest.times)
      #expect(times.from < times.calibration && times.calibration < times.gate && times.gate < times.until)
      #expect(times.from == JobHistory.start && times.until == history.latestTime()! + 1)
      // What is not to be learned from is not counted as if it were.
      let learned = history.events.count { $0.time < times.calibration && !(outcome.detector == "slow" && $0.isTest) }
      #expect(manifest.rows.train == learned && learned > 26_000 && manifest.shards.count == 10)
      #expect(manifest.rows.calibration + manifest.rows.gate == 12_000)
      let model = try folder.registry.load(version, of: outcome.detector)
      #expect(try ModelSet([model], for: JobHistory.plan()).versions == [outcome.detector: version])
    }
  }

  @Test func `the same training has the same name, and another seed another one`() throws {
    let folder = TrainingFolder()
    let history = JobHistory(days: 6)
    let first = try trainer(history, folder.registry).train()
    let again = try trainer(history, folder.registry).train()
    #expect(again.map(\.result) == [.unchanged, .unchanged] && again.map(\.version) == first.map(\.version))
    let other = try trainer(history, folder.registry) { $0.seed = 2 }.train()
    #expect(zip(first, other).allSatisfy { $0.version != $1.version })
    // As good a model passes against the champion.
    #expect(other.map(\.result) == [.promoted, .promoted], "\(other.map(\.message))")
  }

  @Test func `a damaged model and a damaged champion are mended by the same training`() throws {
    let folder = TrainingFolder()
    let history = JobHistory(days: 6)
    let first = try trainer(history, folder.registry).train()
    let version = try #require(first[1].version)
    let place = folder.path + "/jobs/odd/"
    try Data("?".utf8).write(to: URL(filePath: place + version + "/model.onnx"))
    #expect(throws: OperatingError.self) { try folder.registry.load(version, of: "odd") }
    let again = try trainer(history, folder.registry).train()
    #expect(again.map(\.version) == first.map(\.version))
    #expect(Set(again.map(\.result)) == [.unchanged, .promoted], "\(again.map(\.message))")
    _ = try folder.registry.load(version, of: "odd")
    try Data("{}".utf8).write(to: URL(filePath: place + "champion.json"))
    _ = try trainer(history, folder.registry).train()
    #expect(try folder.registry.champion(of: "odd") == version)
  }

  @Test func `a file of a newer program keeps one detector from training, and no other`() throws {
    let folder = TrainingFolder()
    let history = JobHistory(days: 6)
    _ = try trainer(history, folder.registry).train()
    let path = folder.path + "/jobs/odd/champion.json"
    let content = Array(try String(contentsOfFile: path, encoding: .utf8).utf8).dropLast(SealedJSON.seal(of: []).count)
    let newer = Array(String(decoding: content, as: UTF8.self).replacing(/"format" ?: ?1/, with: "\"format\":2").utf8)
    try Data(newer + SealedJSON.seal(of: newer[...])).write(to: URL(filePath: path))
    let outcomes = try trainer(history, folder.registry) { $0.seed = 2 }.train()
    #expect(outcomes.first { $0.detector == "slow" }?.result == .promoted, "\(outcomes)")
    let odd = try #require(outcomes.first { $0.detector == "odd" })
    #expect(odd.result == .failed && odd.message.contains("newer version of pulse") && odd.error == .store)
    #expect(FileManager.default.contents(atPath: path) == Data(newer + SealedJSON.seal(of: newer[...])))
  }

  @Test func `a model is a function of history, seed and use case`() throws {
    let (a, b) = (TrainingFolder(), TrainingFolder())
    let history = JobHistory(days: 4)
    for (folder, threads) in [(a, 1), (b, 2)] {
      _ = try trainer(history, folder.registry) {
        $0.threads = threads
        $0.promotes = false
      }.train(now: Date(timeIntervalSince1970: 1))
    }
    for detector in ["slow", "odd"] {
      let version = try #require(try a.registry.entries(of: detector).first?.version)
      #expect(try a.registry.champion(of: detector) == nil)
      for file in ["model.onnx", "model.json"] {
        let path = "/jobs/\(detector)/\(version)/\(file)"
        #expect(
          FileManager.default.contents(atPath: a.path + path) == FileManager.default.contents(atPath: b.path + path))
      }
    }
  }

  @Test func `more rows than are wanted are sampled evenly`() throws {
    var sample = EvenSample(of: 1_000, wanted: 333)
    let taken = (0..<10).map { _ in sample.next(100).setCount }
    #expect(taken.reduce(0, +) == 333 && taken.allSatisfy { (33...34).contains($0) })
    var all = EvenSample(of: 10, wanted: 20)
    #expect(all.next(10).setCount == 10)
    let folder = TrainingFolder()
    let plan = try JobHistory.plan(JobHistory.text.replacing("max_rows: 40000", with: "max_rows: 8000"))
    let outcomes = try trainer(JobHistory(days: 10), folder.registry, plan: plan).train()
    let rows = try #require(outcomes[1].manifest?.rows)
    // Of the events for calibration more are kept, half of those wanted of all.
    #expect(rows == ModelManifest.Rows(train: 5_600, calibration: 4_000, gate: 1_200))
  }

  @Test func `the window ends where event time has come and is no longer than it should be`() throws {
    let day = JobHistory.day
    let shards = JobHistory(days: 20).shards()
    let until = JobHistory.start + 20 * day
    let window = try #require(TrainingWindow(shards, until: until, length: 14 * day))
    #expect(window.from == JobHistory.start + 6 * day)
    #expect(abs(window.calibration - (window.from + 14 * day * 7 / 10)) < day / 100)
    #expect(abs(window.gate - (window.from + 14 * day * 85 / 100)) < day / 100)
    // A shard with a time that nobody believes lies outside.
    var far = shards
    far.append(shards[0])
    far[far.count - 1].firstTime = until + 1_000 * day
    far[far.count - 1].lastTime = until + 1_000 * day
    #expect(TrainingWindow(far, until: until, length: 14 * day) == window)
    #expect(TrainingWindow([], until: until, length: day) == nil)
    #expect(TrainingWindow(shards, until: JobHistory.start - 1, length: day) == nil)
    #expect(window.part(of: window.from) == .training && window.part(of: window.from - 1) == nil)
    #expect(window.part(of: window.calibration) == .calibration && window.part(of: window.gate) == .gate)
    #expect(window.part(of: window.until - 1) == .gate && window.part(of: window.until) == nil)
  }

  @Test(arguments: [
    (0, "1,000"), (1, "at least 1000 are needed"), (900, "at least 1000 are needed"),
  ])
  func `too little history gives no model and says so`(events: Int, said: String) throws {
    let folder = TrainingFolder()
    var history = JobHistory(days: 1)
    history.events = Array(history.events.prefix(events))
    guard events > 0 else {
      #expect { try trainer(history, folder.registry).train() } throws: { "\($0)".contains("no history to learn from") }
      return
    }
    let outcomes = try trainer(history, folder.registry).train()
    #expect(outcomes.allSatisfy { $0.result == .failed && $0.message.contains(said) }, "\(outcomes)")
    #expect(try folder.registry.detectors().isEmpty)
  }

  @Test func `history that cannot be read, and memory that is not there, change nothing`() throws {
    let folder = TrainingFolder()
    var history = JobHistory(days: 4)
    history.broken = 2
    #expect { try trainer(history, folder.registry).train() } throws: { "\($0)".contains("history/jobs/2.arrow") }
    history.broken = nil
    #expect {
      try trainer(history, folder.registry) { $0.maxBytes = 1 << 19 }.train()
    } throws: { "\($0)".contains("takes about") && "\($0)".contains("max_rows") }
    struct Stop: Error {}
    #expect(throws: Stop.self) {
      try trainer(history, folder.registry).train { if $0.share > 0.5 { throw Stop() } }
    }
    #expect(try folder.registry.detectors().isEmpty)
  }

  @Test(arguments: ["fitting odd", "fitting slow", "reading history"])
  func `what progress throws ends a training, whatever it is`(step: String) throws {
    let folder = TrainingFolder()
    let stop = OperatingError(.input, "enough")
    var steps: [String] = []
    #expect(throws: stop) {
      try trainer(JobHistory(days: 4), folder.registry).train { progress in
        steps.append(progress.step)
        if progress.step == step { throw stop }
      }
    }
    #expect(steps.last == step)
  }

  @Test func `a shard that is gone shifts no sample`() throws {
    let (total, wanted) = (1_000, 300)
    let window = try #require(
      TrainingWindow(
        [
          ArchivedShard(
            partition: PartitionID(source: "s", number: 0), day: "", number: 0, rows: total, firstTime: 0,
            lastTime: Int64(total) - 1, path: "")
        ], until: Int64(total), length: Int64(total)))
    let times = (0..<Int64(total)).map { $0 }
    var (whole, cut) = (TrainingSample(of: total, wanted: wanted), TrainingSample(of: total, wanted: wanted))
    let kept = whole.next(times, window)
    _ = cut.next(Array(times[..<200]), window)
    cut.skip(150)
    let rest = cut.next(Array(times[350...]), window)
    #expect((0..<650).allSatisfy { rest[$0] == kept[350 + $0] })
  }

  @Test func `detectors are chosen by name`() throws {
    let folder = TrainingFolder()
    let outcomes = try trainer(JobHistory(days: 4), folder.registry) { $0.detectors = ["odd"] }.train()
    #expect(outcomes.map(\.detector) == ["odd"])
    #expect {
      try trainer(JobHistory(days: 4), folder.registry) { $0.detectors = ["slwo"] }.train()
    } throws: { "\($0)".contains("`slow`?") }
  }

  @Test func `columns that are constant, missing, infinite or NaN are learned from`() throws {
    let folder = TrainingFolder()
    var history = JobHistory(days: 4)
    for index in history.events.indices {
      history.events[index].size = 7
      if index % 10 == 3 { history.events[index].seconds = .infinity }
      if index % 10 == 4 { history.events[index].seconds = .nan }
    }
    let outcomes = try trainer(history, folder.registry).train()
    #expect(outcomes.allSatisfy { $0.result != .failed }, "\(outcomes)")
  }
}
