// What commands do, done without a command: as a server would.

import Connectors
import Detection
import Foundation
import Learning
import Operations
import Testing

@Suite("Operations")
struct OperationsTests {
  private let folder: RegistryFolder
  private let models: ModelOperations

  /// A data directory with two versions of `slow`, of which the first is the champion.
  init() throws {
    folder = try RegistryFolder()
    let registry = folder.registry()
    for (index, version) in ["v1", "v2"].enumerated() {
      let shop = try Shop(seed: UInt64(index + 1), version: version)
      try registry.add(shop.slow, manifest: shop.manifest(shop.slow, created: 1_700_000_000_000_000 + Int64(index)))
    }
    models = try ModelOperations(of: "shop", in: DataDirectory(path: folder.path))
    _ = try models.promote("v1", of: "slow", reason: "first", at: Date(timeIntervalSince1970: 1))
  }

  @Test("a version is promoted and taken back")
  func promoteAndRollBack() throws {
    let change = try models.promote("v2", of: "slow", reason: "better", at: Date(timeIntervalSince1970: 2))
    #expect(change.useCase == "shop" && change.detector == "slow" && change.champion == "v2" && change.before == "v1")
    #expect(try models.versionOrChampion(nil, of: "slow") == "v2")
    let back = try models.rollback("slow", reason: "worse", at: Date(timeIntervalSince1970: 3))
    #expect(back.champion == "v1" && back.before == "v2")
    #expect(try models.registry.champion(of: "slow") == "v1")
  }

  @Test("who asks for what is not there is told what there is, and nothing changes")
  func unknownNames() throws {
    let version = #expect(throws: RequestError.self) {
      try models.promote("v3", of: "slow", reason: "", at: .now)
    }
    #expect(version?.description == "the detector slow has no version `v3`; did you mean `v1`? It has v1, v2")
    let detector = #expect(throws: RequestError.self) { try models.rollback("slwo", reason: "", at: .now) }
    #expect(detector?.description == "shop has no models of a detector `slwo`; did you mean `slow`? It has slow")
    let useCase = #expect(throws: RequestError.self) {
      try ModelOperations(of: "shoop", in: DataDirectory(path: folder.path))
    }
    #expect(useCase?.description.contains("did you mean `shop`?") == true)
    #expect(throws: OperatingError.self) {
      try ModelOperations(of: "shop", in: DataDirectory(path: folder.path + "/no"))
    }
    #expect(try models.registry.champion(of: "slow") == "v1")
  }

  @Test("versions are listed, told and compared, damaged ones with their reason")
  func records() throws {
    #expect(try models.versions(of: nil).map(\.version) == ["v1", "v2"])
    #expect(try models.versions(of: "slow").map(\.isChampion) == [true, false])
    let record = try models.record(of: nil, of: "slow")
    #expect(record.version == "v1" && record.isChampion && record.history.map(\.reason) == ["first"])
    #expect(record.manifest.version == "v1" && record.facts.byName["entities"] == .number(5))
    let compared = try models.compare("v2", with: nil, of: "slow")
    #expect(compared.first == "v2" && compared.second == "v1")
    #expect(compared.differences.map(\.fact).contains("model.sha256"))
    #expect(try models.compare("v1", with: "v1", of: "slow").differences.isEmpty)
    #expect(throws: RequestError.self) { try models.versions(of: "slwo") }
    try FileManager.default.removeItem(atPath: folder.version("slow", "v1"))
    let listed = try models.versions(of: "slow")
    #expect(listed.map(\.version) == ["v1", "v2"])
    #expect(listed[0].error?.description.contains("its folder is gone") == true && listed[0].manifest == nil)
  }

  @Test("only what nothing needs is removed, and only if that is meant")
  func prune() throws {
    let tried = try models.prune(detector: nil, keep: 0, named: [], isTried: true)
    #expect(tried.map(\.version) == ["v1", "v2"] && tried.map(\.isRemoved) == [false, true])
    #expect(tried.map(\.reason) == ["the champion", "nothing needs it"])
    let named = try models.prune(
      detector: "slow", keep: 0, named: [NamedModel(detector: nil, version: "v2")], isTried: false)
    #expect(named.map(\.reason) == ["the champion", "the store names it"])
    #expect(try models.registry.entries(of: "slow").count == 2)
    _ = try models.prune(detector: "slow", keep: 0, named: [], isTried: false)
    #expect(try models.registry.entries(of: "slow").map(\.version) == ["v1"])
  }
}
