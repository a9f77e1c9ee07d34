// The registry: what is read back is what was added, damage is named, and no moment at which a writer may be killed leaves
// half a version.

import Detection
import Foundation
import Pipeline
import Testing

@testable import Learning

private let start = Date(timeIntervalSince1970: 1_700_000_000)

@Suite("Model registry")
struct RegistryTests {
  let folder: RegistryFolder
  let registry: ModelRegistry
  let shop: Shop

  init() throws {
    folder = try RegistryFolder()
    registry = folder.registry()
    shop = try Shop()
  }

  func refusal(_ body: () throws -> Void) throws -> OperatingError {
    try #require(throws: OperatingError.self, performing: body)
  }

  @Test("a model comes back as it was, bit for bit", arguments: [1, 2, 3])
  func roundTrip(seed: UInt64) throws {
    let shop = try Shop(seed: seed)
    for model in [shop.slow, shop.odd] {
      let manifest = shop.manifest(model)
      try registry.add(model, manifest: manifest)
      let plan = try #require(shop.plan.detectors.first { $0.name == model.detector })
      let loaded = try registry.load("v1", for: plan)
      #expect(loaded.encoders == model.encoders && loaded.calibration == model.calibration)
      #expect(loaded.drift == model.drift && loaded.plan == model.plan && loaded.version == "v1")
      if let before = model.scorer as? BoostedExpectation, let after = loaded.scorer as? BoostedExpectation {
        #expect(after.quantiles == before.quantiles && after.quantiles.count == 5)
        #expect(after.trees == before.trees)
      } else if let before = model.scorer as? IsolationForest, let after = loaded.scorer as? IsolationForest {
        #expect(after == before && after.sampleSize == 64)
      } else {
        Issue.record("another type of model")
      }
      let (old, new) = (try LearnedDetector(plan, model: model), try LearnedDetector(plan, model: loaded))
      let (before, after) = (old.run(on: shop.events), new.run(on: shop.events))
      #expect(before.findings == after.findings && before.drift == after.drift && !before.findings.isEmpty)
      var failures = 0
      let scores = old.rawScores(of: shop.events, failures: &failures).scores.map(\.bitPattern)
      #expect(new.rawScores(of: shop.events, failures: &failures).scores.map(\.bitPattern) == scores)
      #expect(try registry.manifest(of: "v1", of: model.detector) == manifest)
      #expect(try registry.entries(of: model.detector).map { try $0.manifest.get() } == [manifest])
    }
    #expect(try registry.detectors() == ["odd", "slow"])
  }

  @Test("numbers that JSON has no words for, and the largest hashes, come back")
  func oddNumbers() throws {
    var model = shop.odd
    model.drift?.score.edges = [-.infinity, 0, .infinity]
    model.drift?.score.counts = [0, 1, 2, 3, .max]
    try registry.add(model, manifest: shop.manifest(model))
    #expect(try registry.load("v1", of: "odd").drift == model.drift)
  }

  @Test("a damaged version is replaced by the same one, a whole one is not")
  func restoring() throws {
    try registry.add(shop.odd, manifest: shop.manifest(shop.odd))
    for file in ["model.onnx", "model.json", "manifest.json"] {
      let error = try refusal { try registry.add(shop.odd, manifest: shop.manifest(shop.odd)) }
      #expect(error.description.contains("already"))
      try Data("{}".utf8).write(to: URL(filePath: folder.version("odd", "v1") + "/" + file))
      try registry.add(shop.odd, manifest: shop.manifest(shop.odd))
      #expect(try registry.load("v1", of: "odd").calibration == shop.odd.calibration)
    }
    #expect(!folder.names.contains { ($0 as NSString).lastPathComponent.hasPrefix(".v1") })
  }

  @Test("what a newer program wrote is neither damaged nor replaced")
  func newer() throws {
    try registry.add(shop.odd, manifest: shop.manifest(shop.odd))
    try registry.promote("v1", of: "odd", reason: "test", at: start)
    let champion = folder.path + "/models/shop/odd/champion.json"
    for path in [folder.version("odd", "v1") + "/model.json", champion] {
      let text = try String(contentsOfFile: path, encoding: .utf8)
      let content = Array(text.utf8).dropLast(SealedJSON.seal(of: []).count)
      let changed = Array(
        String(decoding: content, as: UTF8.self).replacing(/"format" ?: ?1/, with: "\"format\":2").utf8)
      #expect(changed != Array(content))
      try Data(changed + SealedJSON.seal(of: changed[...])).write(to: URL(filePath: path))
    }
    let before = folder.names
    #expect(
      try refusal { try registry.add(shop.odd, manifest: shop.manifest(shop.odd)) }.description.contains("already"))
    var other = shop.odd
    other.version = "v2"
    try registry.add(other, manifest: shop.manifest(other))
    let error = try refusal { try registry.promote("v2", of: "odd", reason: "test", at: start) }
    #expect(error.description.contains("newer version of pulse"))
    #expect(folder.names.filter { !$0.contains("odd/v2") } == before)
  }

  @Test("a model whose record alone is damaged keeps its trees")
  func recordOnly() throws {
    try registry.add(shop.odd, manifest: shop.manifest(shop.odd))
    let trees = try Data(contentsOf: URL(filePath: folder.version("odd", "v1") + "/model.onnx"))
    try Data("{}".utf8).write(to: URL(filePath: folder.version("odd", "v1") + "/manifest.json"))
    // Another library may grow other trees; anomalies and the log name these.
    let other = try Shop(seed: 2).odd
    let error = try refusal { try registry.add(other, manifest: shop.manifest(other)) }
    #expect(error.description.contains("gives another model now"))
    try registry.add(shop.odd, manifest: shop.manifest(shop.odd))
    #expect(try Data(contentsOf: URL(filePath: folder.version("odd", "v1") + "/model.onnx")) == trees)
    _ = try registry.manifest(of: "v1", of: "odd")
  }

  @Test("every flipped byte, cut and missing file is refused with its path")
  func damage() throws {
    for model in [shop.slow, shop.odd] { try registry.add(model, manifest: shop.manifest(model)) }
    for (detector, file) in ["slow", "odd"].flatMap({ name in
      ["model.onnx", "model.json", "manifest.json"].map { (name, $0) }
    }) {
      let path = folder.version(detector, "v1") + "/" + file
      let whole = try Data(contentsOf: URL(filePath: path))
      func refused(_ what: String) throws {
        let error = try refusal { try registry.promote("v1", of: detector, reason: "test", at: start) }
        #expect(error.kind == .store && error.description.contains(file), "\(what): \(error)")
        let remedies = ["pulse models promote", "rollback", "pulse train"]
        #expect(what == "a folder" || remedies.allSatisfy { error.description.contains($0) }, "\(what): \(error)")
        if file != "manifest.json" {
          #expect(try refusal { _ = try registry.load("v1", of: detector) } == error, "\(what)")
        }
      }
      for index in stride(from: 0, to: whole.count, by: max(1, whole.count / 60)) + [whole.count - 1] {
        var damaged = whole
        damaged[index] ^= UInt8(1 << (index % 8))
        try damaged.write(to: URL(filePath: path))
        try refused("byte \(index)")
      }
      for length in [0, 1, whole.count / 2, whole.count - 1] {
        try whole.prefix(length).write(to: URL(filePath: path))
        try refused("\(length) bytes")
      }
      try (whole + Data([0])).write(to: URL(filePath: path))
      try refused("a byte more")
      try FileManager.default.removeItem(atPath: path)
      try refused("missing")
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
      try refused("a folder")
      try FileManager.default.removeItem(atPath: path)
      try whole.write(to: URL(filePath: path))
    }
    // One version whose record cannot be read is listed with the reason, beside the others.
    try registry.add(try Shop(version: "v2").odd, manifest: try Shop(version: "v2").manifest(Shop(version: "v2").odd))
    try Data("{}".utf8).write(to: URL(filePath: folder.version("odd", "v1") + "/manifest.json"))
    let entries = try registry.entries(of: "odd")
    #expect(entries.map(\.version) == ["v1", "v2"])
    #expect(throws: OperatingError.self) { try entries[0].manifest.get() }
    try registry.promote("v2", of: "odd", reason: "test", at: start)
    let champion = folder.path + "/models/shop/odd/champion.json"
    var bytes = try Data(contentsOf: URL(filePath: champion))
    bytes[20] ^= 1
    try bytes.write(to: URL(filePath: champion))
    #expect(try refusal { _ = try registry.champion(of: "odd") }.description.contains("champion.json was damaged"))
  }

  @Test("newer formats, other models' files and other definitions are refused")
  func otherModels() throws {
    try registry.add(shop.odd, manifest: shop.manifest(shop.odd))
    struct Newer: Encodable { var version = "v9" }
    let path = folder.version("odd", "v1") + "/model.json"
    let whole = try Data(contentsOf: URL(filePath: path))
    let text = String(decoding: try SealedJSON.bytes(of: Newer(), isPretty: true), as: UTF8.self)
    #expect(text.contains(#""format" : 1"#))
    let content = text.replacing(#""format" : 1"#, with: #""format" : 2"#).components(separatedBy: ",\n  \"sha256\"")[0]
    let newer = content + String(decoding: SealedJSON.seal(of: Array(content.utf8)[...]), as: UTF8.self)
    try Data(newer.utf8).write(to: URL(filePath: path))
    let error = try refusal { _ = try registry.load("v1", of: "odd") }
    #expect(error.description.contains("newer version of pulse: its format is 2, expected at most 1"))
    // Whole, but not what it should be.
    try Data(try SealedJSON.bytes(of: Newer(), isPretty: false)).write(to: URL(filePath: path))
    let hollow = try refusal { _ = try registry.load("v1", of: "odd") }.description
    #expect(hollow.contains("model.json does not hold what it should") && hollow.contains("is missing"), "\(hollow)")
    #expect(hollow.contains("pulse models promote"), "\(hollow)")
    try whole.write(to: URL(filePath: path))
    // Folders that were copied or renamed.
    for (target, name) in [
      ("shop/odd/v2", "shop/odd, version v2"), ("shop/slow/v1", "shop/slow"), ("bank/odd/v1", "bank"),
    ] {
      let copy = "\(folder.path)/models/\(target)"
      try FileManager.default.createDirectory(
        atPath: (copy as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: folder.version("odd", "v1"), toPath: copy)
      let parts = target.split(separator: "/").map(String.init)
      let other = folder.registry(parts[0])
      for error in [
        try refusal { _ = try other.load(parts[2], of: parts[1]) },
        try refusal { _ = try other.manifest(of: parts[2], of: parts[1]) },
      ] {
        #expect(error.description.contains("belongs to shop/odd, version v1; expected \(name)"), "\(error)")
        #expect(error.description.contains("pulse train"), "\(error)")
      }
      try FileManager.default.removeItem(atPath: copy)
    }
    // The trees of another version beside this one's model.json.
    let second = try Shop(seed: 2, version: "v2")
    try registry.add(second.odd, manifest: second.manifest(second.odd))
    try FileManager.default.removeItem(atPath: folder.version("odd", "v1") + "/model.onnx")
    try FileManager.default.copyItem(
      atPath: folder.version("odd", "v2") + "/model.onnx", toPath: folder.version("odd", "v1") + "/model.onnx")
    #expect(try refusal { _ = try registry.load("v1", of: "odd") }.description.contains("damaged or exchanged"))
    // Another definition of the detector.
    let changed = try Shop.plan(Shop.text.replacing("rate: 0.01", with: "rate: 0.02"))
    let mismatch = try refusal { _ = try registry.load("v2", for: changed.detectors[1]) }
    #expect(mismatch.kind == .configuration && mismatch.description.contains("the model v2 does not fit"))
  }

  @Test("unknown versions are answered with the nearest, and odd names are refused")
  func names() throws {
    #expect(try registry.entries(of: "odd").isEmpty && registry.champion(of: "odd") == nil)
    #expect(try registry.detectors().isEmpty)
    for (index, version) in ["daily-0001", "daily-0002"].enumerated() {
      let shop = try Shop(version: version)
      try registry.add(shop.odd, manifest: shop.manifest(shop.odd, created: Int64(2 - index)))
    }
    #expect(try registry.entries(of: "odd").map(\.version) == ["daily-0002", "daily-0001"])
    for body in [
      { _ = try registry.load("daily-001", of: "odd") },
      { try registry.promote("daily-001", of: "odd", reason: "", at: start) },
      { try registry.remove("daily-001", of: "odd") },
    ] as [() throws -> Void] {
      let error = try refusal(body)
      #expect(error.kind == .input && error.description.contains("did you mean `daily-000"), "\(error)")
    }
    for name in [
      "", ".", "..", "../odd", ".x", "a/b", "-v", "champion.json", String(repeating: "v", count: 200), "a\0",
    ] {
      #expect(try refusal { _ = try registry.load(name, of: "odd") }.description.contains("cannot be the name"))
      if name != "champion.json", name != "-v" {
        #expect(try refusal { _ = try registry.entries(of: name) }.description.contains("cannot be the name"))
      }
    }
    var manifest = shop.manifest(shop.odd)
    manifest.detector = "slow"
    #expect(try refusal { try registry.add(shop.odd, manifest: manifest) }.description.contains("does not belong"))
    #expect(throws: OperatingError.self) { try registry.load("v1", of: "odd") }
  }

  @Test("a version of a name stays as it is")
  func duplicates() throws {
    try registry.add(shop.odd, manifest: shop.manifest(shop.odd))
    let other = try Shop(seed: 2)
    let error = try refusal { try registry.add(other.odd, manifest: other.manifest(other.odd)) }
    #expect(error.kind == .input && error.description.contains("there is a version v1"))
    #expect(try registry.load("v1", of: "odd").calibration == shop.odd.calibration)
  }
}
