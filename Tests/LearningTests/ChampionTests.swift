// Champions and writers: promotions and how they are taken back, several writers at once, writers that were killed, and
// the registry as a run follows it.

import Detection
import Foundation
import Pipeline
import Synchronization
import Testing

@testable import Learning

private func time(_ seconds: Double) -> Date { Date(timeIntervalSince1970: 1_700_000_000 + seconds) }

@Suite("Champions")
struct ChampionTests {
  let folder: RegistryFolder
  let registry: ModelRegistry

  init() throws {
    folder = try RegistryFolder()
    registry = folder.registry()
  }

  @discardableResult
  func add(_ versions: String...) throws -> [Shop] {
    try versions.enumerated().map { index, version in
      let shop = try Shop(version: version)
      try registry.add(shop.odd, manifest: shop.manifest(shop.odd, created: Int64(index)))
      return shop
    }
  }

  func refusal(_ body: () throws -> Void) throws -> String {
    try #require(throws: OperatingError.self, performing: body).description
  }

  @Test("promotions are on record and a rollback can be repeated")
  func rollbacks() throws {
    try add("a", "b", "c", "d")
    #expect(try refusal { try registry.rollback("odd", at: time(0)) }.contains("no champion to go back from"))
    for (index, version) in ["a", "b", "b", "c"].enumerated() {
      try registry.promote(version, of: "odd", reason: "step \(index)", at: time(Double(index)))
      #expect(try registry.champion(of: "odd") == version)
    }
    // The second promotion of b changed nothing.
    let history = try #require(try registry.championRecord(of: "odd")).history
    #expect(history.map(\.version) == ["a", "b", "c"] && history.map(\.reason) == ["step 0", "step 1", "step 3"])
    #expect(history[0].at == 1_700_000_000_000_000)
    #expect(try registry.rollback("odd", at: time(9)) == "b")
    #expect(try registry.rollback("odd", at: time(10)) == "a")
    #expect(try refusal { try registry.rollback("odd", at: time(11)) }.contains("no champion before a"))
    #expect(try registry.champion(of: "odd") == "a")
    // Forward again: what was rolled back is no champion to go back to.
    try registry.promote("d", of: "odd", reason: "new", at: time(12))
    #expect(try registry.rollback("odd", at: time(13)) == "a")
    #expect(try registry.championRecord(of: "odd")?.history.map(\.version) == ["a", "b", "c", "b", "a", "d", "a"])
    // An earlier champion that was removed is passed over.
    for version in ["b", "c"] { try registry.promote(version, of: "odd", reason: "", at: time(14)) }
    try registry.remove("b", of: "odd")
    #expect(try registry.rollback("odd", at: time(15)) == "a")
    #expect(try refusal { try registry.remove("a", of: "odd") }.contains("is the champion"))
    #expect(try refusal { try registry.promote("b", of: "odd", reason: "", at: time(16)) }.contains("no version `b`"))
    #expect(try registry.entries(of: "odd").map(\.version) == ["a", "c", "d"])
  }

  @Test("a version that does not fit the detector becomes no champion")
  func misfits() throws {
    let shops = try add("a", "b")
    // The use case was changed: the forest has another feature.
    let changed = try #require(
      try Shop.plan(Shop.text.replacing("features: [ms", with: "features: [key_share, ms")).detectors.last)
    let odd = try #require(shops[0].plan.detectors.first { $0.name == "odd" })
    for version in ["a", "b"] {
      try registry.promote(version, of: "odd", fitting: odd, reason: "", at: time(0))
    }
    #expect(
      try refusal { try registry.promote("a", of: "odd", fitting: changed, reason: "", at: time(1)) }.contains("fit"))
    #expect(try refusal { try registry.rollback("odd", fitting: changed, at: time(2)) }.contains("fit"))
    #expect(try registry.champion(of: "odd") == "b")
    #expect(try registry.rollback("odd", fitting: odd, at: time(3)) == "a")
  }

  @Test("only so many changes are kept, and the champion stays")
  func longHistory() throws {
    try add("a", "b")
    var record = ChampionRecord(version: "b", history: [])
    for index in 0..<ChampionRecord.maxHistory {
      record.history.append(.init(version: index % 2 == 0 ? "a" : "b", at: 0, reason: "", isRollback: false))
    }
    let path = folder.path + "/models/shop/odd/champion.json"
    try Data(try SealedJSON.bytes(of: record, isPretty: true)).write(to: URL(filePath: path))
    try registry.promote("a", of: "odd", reason: "last", at: time(0))
    let kept = try #require(try registry.championRecord(of: "odd"))
    #expect(kept.history.count == ChampionRecord.maxHistory && kept.history.last?.reason == "last")
    #expect(try registry.rollback("odd", at: time(1)) == "b")
  }

  @Test("what a killed writer leaves is not there, and goes with the next write")
  func leftovers() throws {
    let shops = try add("a")
    try registry.promote("a", of: "odd", reason: "", at: time(0))
    let whole = folder.names
    let root = folder.path + "/models/shop/odd"
    // Killed while writing a version, before its name; while replacing the champion; while removing.
    for name in [".b.4711/model.onnx", ".b.4711/model.json", ".champion.json.12", ".old.99/manifest.json"] {
      let path = root + "/" + name
      try FileManager.default.createDirectory(
        atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try Data("half".utf8).write(to: URL(filePath: path))
    }
    #expect(try registry.entries(of: "odd").map(\.version) == ["a"] && registry.champion(of: "odd") == "a")
    _ = try registry.load("a", of: "odd")
    var next = shops[0].odd
    next.version = "b"
    try registry.add(next, manifest: shops[0].manifest(next))
    #expect(folder.names.filter { !$0.contains("odd/b") } == whole)
    #expect(try registry.entries(of: "odd").map(\.version) == ["a", "b"])
  }

  @Test("a write that fails half way leaves nothing")
  func failedWrites() throws {
    try add("a")
    let root = folder.path + "/models/shop/odd"
    let before = folder.names
    // The second file cannot be written.
    let files = [("one", [UInt8](repeating: 1, count: 100)), ("no folder/two", [2])]
    #expect(
      try refusal { try RegistryFiles.publish(files, as: root + "/b", temporary: root + "/.b.1") }
        .contains("/.b.1/no folder/two cannot be written: No such file or directory"))
    #expect(folder.names == before)
    // The name is taken meanwhile.
    #expect(
      try refusal { try RegistryFiles.publish([("one", [1])], as: root + "/a", temporary: root + "/.a.1") }
        .contains("cannot be renamed"))
    #expect(throws: OperatingError.self) { try RegistryFiles.replace(root + "/a", with: [1]) }
    #expect(folder.names == before)
    _ = try registry.load("a", of: "odd")
    // The models' folder is a file.
    let blocked = ModelRegistry(folder: root + "/a/model.onnx", useCase: "shop")
    let shop = try Shop(version: "c")
    #expect(try refusal { try blocked.add(shop.odd, manifest: shop.manifest(shop.odd)) }.contains("cannot be made"))
  }

  @Test("writers at once take turns, and readers see whole things only")
  func concurrentWriters() async throws {
    let shop = try Shop(version: "first")
    try registry.add(shop.odd, manifest: shop.manifest(shop.odd, created: 0))
    try registry.promote("first", of: "odd", reason: "", at: time(0))
    let registry = registry
    let added = try await withThrowingTaskGroup(of: Int.self) { group in
      for writer in 0..<4 {
        group.addTask {
          var added = 0
          for number in 0..<5 {
            var model = shop.odd
            // Two writers try each name.
            model.version = "v\(writer / 2)-\(number)"
            do {
              try registry.add(model, manifest: shop.manifest(model, created: Int64(number)))
              added += 1
            } catch let error as OperatingError {
              #expect(error.description.contains("there is a version"))
            }
            try registry.promote(model.version, of: "odd", reason: "\(writer)", at: time(1))
          }
          return added
        }
      }
      group.addTask {
        for _ in 0..<40 {
          let champion = try #require(try registry.champion(of: "odd"))
          #expect(try registry.load(champion, of: "odd").version == champion)
          #expect(try registry.entries(of: "odd").allSatisfy { try $0.manifest.get().detector == "odd" })
        }
        return 0
      }
      return try await group.reduce(0, +)
    }
    #expect(added == 10)
    #expect(try registry.entries(of: "odd").count == 11)
    let history = try #require(try registry.championRecord(of: "odd")).history
    let champion = try registry.champion(of: "odd")
    #expect(history.count > 1 && history.last?.version == champion)
    #expect(!folder.names.contains { $0.contains("/.") })
  }
}

@Suite("The registry in a run")
struct RegistryModelsTests {
  /// A clock that stands until it is moved.
  final class TestClock: Sendable {
    private let instant = Mutex(ContinuousClock.now)
    var now: ContinuousClock.Instant { instant.withLock { $0 } }
    func advance(_ duration: Duration) { instant.withLock { $0 += duration } }
  }

  @Test("a promotion is noticed within half a second, and trouble is reported once")
  func following() async throws {
    let folder = try RegistryFolder()
    let registry = folder.registry()
    let shop = try Shop()
    let clock = TestClock()
    let problems = Mutex<[String]>([])
    let models = RegistryModels(
      registry, plan: shop.plan, clock: { clock.now }, report: { error in problems.withLock { $0.append("\(error)") } })
    #expect(models.champions().isEmpty)
    try registry.add(shop.odd, manifest: shop.manifest(shop.odd))
    try registry.promote("v1", of: "odd", reason: "", at: time(0))
    clock.advance(.milliseconds(499))
    #expect(models.champions().isEmpty)
    clock.advance(.milliseconds(1))
    #expect(models.champions() == ["odd": "v1"])
    var second = shop.odd
    second.version = "v2"
    try registry.add(second, manifest: shop.manifest(second))
    try registry.promote("v2", of: "odd", reason: "", at: time(0))
    clock.advance(RegistryModels.interval)
    #expect(models.champions() == ["odd": "v2"])
    // Damaged: what was known stays.
    let path = folder.path + "/models/shop/odd/champion.json"
    let whole = try Data(contentsOf: URL(filePath: path))
    try Data("{".utf8).write(to: URL(filePath: path))
    for _ in 0..<3 {
      clock.advance(RegistryModels.interval)
      #expect(models.champions() == ["odd": "v2"])
    }
    #expect(problems.withLock { $0.count } == 1 && problems.withLock { $0[0].contains("champion.json was damaged") })
    try whole.write(to: URL(filePath: path))
    try registry.rollback("odd", at: time(1))
    clock.advance(RegistryModels.interval)
    #expect(models.champions() == ["odd": "v1"])
    // Removed: what is in use goes on, and it is said once.
    problems.withLock { $0 = [] }
    try FileManager.default.removeItem(atPath: path)
    for _ in 0..<3 {
      clock.advance(RegistryModels.interval)
      #expect(models.champions() == ["odd": "v1"])
    }
    #expect(problems.withLock { $0.count } == 1 && problems.withLock { $0[0].contains("champion.json is gone") })
    let loaded = try await models.load("v1", of: "odd")
    #expect(loaded.calibration == shop.odd.calibration)
    await #expect(throws: OperatingError.self) { try await models.load("v3", of: "odd") }
    await #expect(throws: OperatingError.self) { try await models.load("v1", of: "other") }
  }

  @Test("models that are removed under a run are said to be gone, once, and are followed again when they are back")
  func removedModels() throws {
    let folder = try RegistryFolder()
    let registry = folder.registry()
    func time(_ seconds: Double) -> Date { Date(timeIntervalSince1970: seconds) }
    let shop = try Shop()
    let clock = TestClock()
    let problems = Mutex<[String]>([])
    let models = RegistryModels(
      registry, plan: shop.plan, clock: { clock.now }, report: { error in problems.withLock { $0.append("\(error)") } })
    func look() -> [String: String] {
      clock.advance(RegistryModels.interval)
      return models.champions()
    }
    for model in [shop.odd, shop.slow] {
      try registry.add(model, manifest: shop.manifest(model))
      try registry.promote("v1", of: model.detector, reason: "", at: time(0))
    }
    let champions = ["odd": "v1", "slow": "v1"]
    #expect(look() == champions)
    // The version's folder alone.
    let version = folder.version("odd", "v1")
    try FileManager.default.moveItem(atPath: version, toPath: version + "-kept")
    for _ in 0..<3 { #expect(look() == champions) }
    #expect(
      problems.withLock { $0.count } == 1 && problems.withLock { $0[0].contains("v1 of the detector odd is gone") })
    try FileManager.default.moveItem(atPath: version + "-kept", toPath: version)
    #expect(look() == champions && problems.withLock { $0.count } == 1)
    // Everything.
    try FileManager.default.moveItem(atPath: folder.path + "/models", toPath: folder.path + "/kept")
    for _ in 0..<3 { #expect(look() == champions) }
    #expect(problems.withLock { $0.count } == 3)
    // It comes back, with another champion.
    try FileManager.default.moveItem(atPath: folder.path + "/kept", toPath: folder.path + "/models")
    var second = shop.odd
    second.version = "v2"
    try registry.add(second, manifest: shop.manifest(second))
    try registry.promote("v2", of: "odd", reason: "", at: time(1))
    #expect(look() == ["odd": "v2", "slow": "v1"] && problems.withLock { $0.count } == 3)
    try FileManager.default.removeItem(atPath: folder.path + "/models")
    #expect(look() == ["odd": "v2", "slow": "v1"] && problems.withLock { $0.count } == 5)
  }
}
