// A list of versions opens no model; what a model says of its version is found behind requests, and kept while its files stay.

import Detection
import Foundation
import Learning
import Operations
import TestKit
import Testing

@testable import Server

/// What is opened of some files.
private final class OpenWatch {
  private let descriptor: Int32

  init(_ paths: [String]) throws {
    descriptor = inotify_init1(Int32(IN_NONBLOCK))
    try #require(descriptor >= 0)
    for path in paths { try #require(inotify_add_watch(descriptor, path, UInt32(IN_OPEN)) >= 0) }
  }

  deinit { close(descriptor) }

  /// Whether one was opened since the last time.
  var sawAny: Bool {
    var bytes = [UInt8](repeating: 0, count: 4_096)
    var found = false
    while read(descriptor, &bytes, bytes.count) > 0 { found = true }
    return found
  }
}

@Suite("What is known of versions", .timeLimit(.minutes(5)))
struct ModelCatalogTests {
  private let folder: TestFolder
  private let registry: ModelRegistry
  private let catalog: ModelCatalog

  /// Three versions of a forest and one of trees; the second forest is champion.
  init() throws {
    folder = try TestFolder()
    registry = ModelRegistry(folder: folder / "models", useCase: "payments")
    catalog = ModelCatalog(registry)
    let plan = try LearnedUseCase.plan().plan
    for (detector, version, created) in [("odd", "b", 3), ("odd", "a", 1), ("odd", "c", 2), ("slow", "a", 1)] {
      let type = try #require(plan.detectors.first { $0.name == detector }?.definition.type)
      try registry.add(
        try LearnedUseCase.model(of: detector, version, for: plan),
        manifest: ModelManifest(
          useCase: "payments", detector: detector, type: type, version: version, created: Int64(created)))
    }
    try registry.promote("c", of: "odd", reason: "first", at: Date(timeIntervalSince1970: 1))
  }

  private func path(_ detector: String, _ version: String, _ file: String) -> String {
    folder / "models/payments/\(detector)/\(version)/\(file)"
  }

  private var models: [String] {
    ["a", "b", "c"].flatMap { version in ["model.onnx", "model.json"].map { path("odd", version, $0) } }
  }

  @Test("a list opens no model, and no record that it has read")
  func unopened() throws {
    let watch = try OpenWatch(models)
    let list = try catalog.list(of: "odd")
    #expect(list.map(\.listed.version) == ["a", "c", "b"] && list.map(\.listed.isChampion) == [false, true, false])
    #expect(list.allSatisfy { $0.listed.error == nil && $0.splits == nil && $0.manifest != nil })
    #expect(!watch.sawAny)
    let records = try OpenWatch(["a", "b", "c"].map { path("odd", $0, "manifest.json") })
    #expect(try catalog.list(of: "odd").map(\.manifest) == list.map(\.manifest))
    #expect(try catalog.champion(of: "odd")?.version == "c")
    #expect(!records.sawAny && !watch.sawAny)
    // That it would have been noticed.
    _ = try registry.load("a", of: "odd")
    #expect(watch.sawAny)
  }

  @Test("what models say is found one by one, champions first, and kept while their files stay")
  func findings() throws {
    let detectors = ["odd", "slow"]
    #expect(catalog.lookAtNext(of: detectors))
    #expect(try catalog.list(of: "odd").map { $0.splits != nil } == [false, true, false])
    var looks = 1
    while catalog.lookAtNext(of: detectors) { looks += 1 }
    #expect(looks == 4)
    let facts = try registry.facts(of: "b", of: "odd").filter { $0.name.hasPrefix("splits.") }
    let splits = try #require(try catalog.list(of: "odd").last?.splits)
    #expect(!facts.isEmpty && splits.map { "splits.\($0.name)" } == facts.map(\.name))
    let watch = try OpenWatch(models)
    #expect(try catalog.list(of: "odd").allSatisfy { $0.splits != nil } && !catalog.lookAtNext(of: detectors))
    #expect(!watch.sawAny)
  }

  @Test("a model that was damaged or is gone is said, and its files are looked at again when they are others")
  func damaged() throws {
    while catalog.lookAtNext(of: ["odd"]) {}
    let whole = try Data(contentsOf: URL(fileURLWithPath: path("odd", "a", "model.onnx")))
    try Data("no model".utf8).write(to: URL(fileURLWithPath: path("odd", "a", "model.onnx")))
    // Nobody has looked at it yet: what was found of the files before says nothing of these.
    #expect(try catalog.list(of: "odd")[0].splits == nil)
    #expect(catalog.lookAtNext(of: ["odd"]) && !catalog.lookAtNext(of: ["odd"]))
    let said = try catalog.list(of: "odd").map(\.listed.error?.description)
    #expect(said[0]?.contains("model.onnx") == true && said[1] == nil && said[2] == nil)
    try whole.write(to: URL(fileURLWithPath: path("odd", "a", "model.onnx")))
    #expect(catalog.lookAtNext(of: ["odd"]))
    #expect(try catalog.list(of: "odd").allSatisfy { $0.listed.error == nil && $0.splits != nil })
    try FileManager.default.removeItem(atPath: path("odd", "b", "model.json"))
    #expect(try catalog.list(of: "odd")[2].listed.error?.description.hasPrefix("missing: model.json") == true)
    try Data("{}".utf8).write(to: URL(fileURLWithPath: path("odd", "b", "manifest.json")))
    // One whose record cannot be read comes first.
    let unread = try catalog.list(of: "odd")[0].listed
    #expect(unread.version == "b" && unread.manifest == nil && unread.error != nil)
    try FileManager.default.removeItem(atPath: folder / "models/payments/odd/c")
    let gone = try #require(try catalog.list(of: "odd").first { $0.listed.isChampion }?.listed)
    #expect(gone.version == "c" && gone.error?.description.contains("its folder is gone") == true)
  }

  @Test("a champion and what drift is measured against are read again when they are others")
  func champions() throws {
    #expect(try catalog.champion(of: "odd")?.version == "c" && catalog.champion(of: "slow") == nil)
    let drift = try #require(catalog.drift(of: "c", of: "odd"))
    let watch = try OpenWatch(models)
    #expect(catalog.drift(of: "c", of: "odd") == drift && !watch.sawAny)
    try registry.promote("b", of: "odd", reason: "better", at: Date(timeIntervalSince1970: 2))
    #expect(try catalog.champion(of: "odd")?.version == "b")
    #expect(try catalog.list(of: "odd").map(\.listed.isChampion) == [false, false, true])
    #expect(catalog.drift(of: "b", of: "odd") != nil && catalog.drift(of: "none", of: "odd") == nil)
  }
}
