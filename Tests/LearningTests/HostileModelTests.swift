// Model files that somebody made to do harm: every part of a tree model and of the registry's JSON files is changed in a
// way that keeps the file well formed, and its checksum is made anew. Whatever is read must be a model that scores; all
// else is refused with a sentence. A trap would end the tests.

import Detection
import Foundation
import Pipeline
import SwiftProtobuf
import TestKit
import Testing

@testable import Learning

/// Rounds of each kind; more by hand, with `PULSE_FUZZ_ROUNDS=200000`.
private let rounds = ProcessInfo.processInfo.environment["PULSE_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 2_000

extension SeededRandom {
  fileprivate mutating func below(_ count: Int) -> Int { Int.random(in: 0..<max(1, count), using: &self) }
  fileprivate mutating func of<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

@Suite("Hostile model files")
struct HostileModelTests {
  @Test("a first tree number below zero is refused, wherever it stands")
  func negativeTree() throws {
    for name in ["target_treeids", "nodes_treeids", "target_nodeids", "nodes_nodeids", "target_ids"] {
      for value in [-1, Int64(Int32.min), .min, .max] {
        let refusal = try TreeModelTests.refusal(name) { $0.ints[0] = value }
        #expect(refusal != "read", "\(name) = \(value)")
      }
      let all = try TreeModelTests.refusal(name) { $0.ints = $0.ints.map { _ in -1 } }
      #expect(all != "read", "\(name)")
    }
    let names = try TreeModelTests.refusal { model in
      let index = model.metadataProps.firstIndex { $0.key == "pulse.features" }!
      model.metadataProps[index].value = #"["a","a","b","c","d"]"#
    }
    #expect(names.contains("twice"))
    let attributes = try TreeModelTests.refusal { $0.graph.node[0].attribute.append($0.graph.node[0].attribute[1]) }
    #expect(attributes.contains("twice"))
  }

  @Test("structured mutations of a tree model are refused, or are another model that scores")
  func treeMutations() throws {
    var random = SeededRandom(seed: 17)
    let models = try TreeModelTests.transformations.map { transformation in
      let bytes = try TreeModelTests.model(transformation, trees: 4, depth: 3).serialized()
      return try Onnx_ModelProto(serializedBytes: bytes.dropLast(TreeModel.sealed([]).count))
    }
    var survivors = 0
    for _ in 0..<rounds {
      var model = random.of(models)
      for _ in 0...random.below(3) { Self.mutate(&model, &random) }
      let bytes = TreeModel.sealed(try model.serializedBytes())
      guard let read = Self.parsed(bytes) else { continue }
      survivors += 1
      let row = (0..<read.featureNames.count).map { _ in random.of([Float.nan, 0, -1, .infinity, random.normal()]) }
      let sums = read.ensemble.sums(of: FeatureMatrix(rows: [row, row]))
      #expect(sums.map { $0[0] } == read.ensemble.naiveSums(row) && sums.map { $0[1] } == sums.map { $0[0] })
      #expect(read.ensemble.pathContributions(of: row).count == read.outputNames.count)
      #expect(try TreeModel(parsing: try read.serialized()) == read)
    }
    #expect(survivors > rounds / 100 && survivors < rounds, "\(survivors) of \(rounds) were read")
  }

  /// What is read of a file; nil where it is refused, which must be with a sentence.
  private static func parsed(_ bytes: [UInt8]) -> TreeModel? {
    do { return try TreeModel(parsing: bytes) } catch {
      #expect(error.kind == .input && error.description.count < 1_000)
      return nil
    }
  }

  private static let integers: [Int64] = [
    -1, 0, 1, 2, 3, 7, 1 << 16, Int64(Int32.max), Int64(Int32.max) + 1, Int64(Int32.min), .max, .min,
  ]
  private static let floats: [Float] = [
    0, -0.0, 1, .nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, -1e30,
  ]

  private static func mutate(_ model: inout Onnx_ModelProto, _ random: inout SeededRandom) {
    switch random.below(12) {
    case 0: mutateMetadata(&model, &random)
    case 1: mutateGraph(&model.graph, &random)
    default:
      guard !model.graph.node.isEmpty, !model.graph.node[0].attribute.isEmpty else { return }
      let index = random.below(model.graph.node[0].attribute.count)
      mutate(&model.graph.node[0].attribute[index], &random)
    }
  }

  private static func mutate(_ attribute: inout Onnx_AttributeProto, _ random: inout SeededRandom) {
    switch random.below(20) {
    case 0: attribute.name = random.of(["nodes_modes", "target_ids", "nodes_values", "", "n_targets"])
    case 1: attribute.i = random.of(integers)
    case 2: attribute.s = Data(random.of(["SUM", "AVERAGE", "", "NONE", "LOGISTIC"]).utf8)
    default:
      change(&attribute.ints, &random) { random in random.of(integers) }
      change(&attribute.floats, &random) { random in random.of(floats) }
      change(&attribute.strings, &random) { random in Data(random.of(["LEAF", "BRANCH_LEQ", "BRANCH_GT", ""]).utf8) }
    }
  }

  /// One element more, less, exchanged or repeated; all of them; or the array cut or doubled.
  private static func change<Value>(
    _ values: inout [Value], _ random: inout SeededRandom, _ other: (inout SeededRandom) -> Value
  ) {
    guard !values.isEmpty else { return }
    let (index, second) = (random.below(values.count), random.below(values.count))
    switch random.below(10) {
    case 0: values.remove(at: index)
    case 1: values.insert(other(&random), at: index)
    case 2: values.swapAt(index, second)
    case 3: values = values.map { _ in values[index] }
    case 4: values = Array(values.prefix(index))
    case 5: values += values
    case 6: values[index] = values[second]
    default: values[index] = other(&random)
    }
  }

  private static func mutateMetadata(_ model: inout Onnx_ModelProto, _ random: inout SeededRandom) {
    guard !model.metadataProps.isEmpty else { return }
    let index = random.below(model.metadataProps.count)
    let values = [
      "", "1", "2", "[]", #"["a"]"#, #"["a","a","a","a","a"]"#, "AAAA", "{}", "null", "../../x", "\u{1B}[2J",
      String(repeating: "[", count: 5_000), model.metadataProps[index].value + "AAAA",
    ]
    switch random.below(3) {
    case 0: model.metadataProps.remove(at: index)
    case 1: model.metadataProps.append(model.metadataProps[index])
    default: model.metadataProps[index].value = random.of(values)
    }
  }

  private static func mutateGraph(_ graph: inout Onnx_GraphProto, _ random: inout SeededRandom) {
    switch random.below(7) {
    case 0: graph.node.reverse()
    case 1: graph.node += graph.node
    case 2: graph.node = []
    case 3: graph.initializer = []
    case 4:
      if !graph.initializer.isEmpty { change(&graph.initializer[0].floatData, &random) { $0.of(floats) } }
    case 5: graph.input = graph.input + graph.output
    default:
      if !graph.input.isEmpty { graph.input[0].type.tensorType.shape.dim = [] }
    }
  }

  @Test("a length that no bytes follow, at every place of the file, is refused without memory")
  func absurdLengths() throws {
    let bytes = try TreeModelTests.model(.expm1, trees: 2, depth: 2).serialized()
    let content = Array(bytes.dropLast(TreeModel.sealed([]).count))
    for length in [[0xff, 0xff, 0xff, 0xff, 0x07], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]] as [[UInt8]]
    {
      for index in stride(from: 0, to: content.count, by: 3) {
        let forged = Array(content[..<index]) + length + Array(content[index...].dropFirst())
        _ = Self.parsed(TreeModel.sealed(forged))
      }
    }
  }
}

@Suite("Hostile files of the registry")
struct HostileRegistryTests {
  let folder: RegistryFolder
  let registry: ModelRegistry
  let shop: Shop

  init() throws {
    folder = try RegistryFolder()
    registry = folder.registry()
    shop = try Shop()
    for model in [shop.slow, shop.odd] {
      try registry.add(model, manifest: shop.manifest(model))
      try registry.promote("v1", of: model.detector, reason: "first", at: Date(timeIntervalSince1970: 1))
    }
  }

  /// Writes a document with its seal.
  private func write(_ object: Any, to path: String) throws {
    var bytes = [UInt8](try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]))
    bytes.removeLast()
    try Data(bytes + SealedJSON.seal(of: bytes[...])).write(to: URL(filePath: path))
  }

  private func read(_ path: String) throws -> [String: Any] {
    let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path)))
    var document = try #require(object as? [String: Any])
    document["sha256"] = nil
    return document
  }

  /// Everything that reads the files of a detector; what it throws must be an error with a sentence.
  private func readEverything(_ detector: String) throws {
    func attempt(_ body: () throws -> Void) throws {
      do { try body() } catch let error as OperatingError { #expect(error.description.count < 4_000) }
    }
    let plan = try #require(shop.plan.detectors.first { $0.name == detector })
    try attempt {
      let model = try LearnedDetector(plan, model: try registry.load("v1", for: plan))
      let output = model.run(on: shop.events)
      for finding in output.findings { #expect(finding.score.isFinite) }
      for row in 0..<3 { _ = model.explain(row: row, of: shop.events) }
      for day in output.drift { _ = model.model.drift?.stability(of: day) }
    }
    try attempt { _ = try registry.facts(of: "v1", of: detector).byName }
    try attempt { _ = try registry.entries(of: detector) }
    _ = registry.trouble(with: "v1", of: detector)
    try attempt {
      guard let reference = try registry.drift(of: "v1", of: detector) else { return }
      let day = DriftCounts(
        detector: detector, version: "v1", day: 0, rows: 1 << 20, inputs: reference.inputs.map(\.counts),
        score: reference.score.counts)
      for drift in reference.stability(of: day) { #expect(drift.index == 0) }
    }
    try attempt { _ = try registry.championRecord(of: detector)?.earlier }
    try attempt {
      guard let champion = try registry.champion(of: detector) else { return }
      _ = try registry.load(champion, for: plan)
    }
  }

  @Test("JSON files with a seal that fits and other content are refused, or harm nothing", arguments: ["slow", "odd"])
  func documentMutations(detector: String) throws {
    var random = SeededRandom(seed: 19)
    let version = folder.version(detector, "v1")
    let files = ["\(version)/model.json", "\(version)/manifest.json", "\(version)/../champion.json"]
    let originals = try files.map { (path: $0, document: try read($0)) }
    for _ in 0..<rounds / 25 {
      let original = random.of(originals)
      var document: Any = original.document
      for _ in 0...random.below(2) { document = Self.mutated(document, &random) }
      guard document is [String: Any] else { continue }
      try write(document, to: original.path)
      try readEverything(detector)
      try write(original.document, to: original.path)
    }
    try readEverything(detector)
  }

  /// One value somewhere below is another one, is gone, or is there more often.
  private static func mutated(_ value: Any, _ random: inout SeededRandom) -> Any {
    if var object = value as? [String: Any], let key = object.keys.sorted().randomElement(using: &random) {
      if random.below(12) == 0 { object[key] = nil } else { object[key] = mutated(object[key] as Any, &random) }
      return object
    }
    if var array = value as? [Any], !array.isEmpty {
      let index = random.below(array.count)
      switch random.below(6) {
      case 0: array.remove(at: index)
      case 1: array.append(array[index])
      case 2: array = []
      default: array[index] = mutated(array[index], &random)
      }
      return array
    }
    let others: [Any] = [
      0, -1, 1, 2, Int.max, Int.min, UInt64.max, 1e308, -1e308, Double.leastNonzeroMagnitude, 0.5, "inf", "-inf", "nan",
      "", "../x", "v1", true,
      NSNull(), [Int](), ["a": 1] as [String: Int], String(repeating: "x", count: 5_000), "0001-01-01T00:00:00Z",
    ]
    return random.of(others)
  }

  @Test("a threshold, a count or an encoder that nothing fits is refused by name")
  func refusals() throws {
    func refusal(_ detector: String, _ edit: (inout [String: Any]) -> Void) throws -> String {
      let path = folder.version(detector, "v1") + "/model.json"
      let original = try read(path)
      var document = original
      edit(&document)
      try write(document, to: path)
      defer { try? write(original, to: path) }
      let plan = try #require(shop.plan.detectors.first { $0.name == detector })
      return try #require(throws: OperatingError.self) { _ = try registry.load("v1", for: plan) }.description
    }
    func edit(_ key: String, _ values: [String: Any]) -> (inout [String: Any]) -> Void {
      return { document in
        let old = document[key] as? [String: Any] ?? [:]
        document[key] = old.merging(values) { $1 }
      }
    }
    for threshold in ["nan", "inf", 0, -1] as [Any] {
      #expect(try refusal("odd", edit("calibration", ["threshold": threshold])).contains("calibration"))
    }
    #expect(try refusal("odd", edit("calibration", ["rows": -1])).contains("calibration"))
    #expect(try refusal("odd", edit("calibration", ["rate": 2])).contains("calibration"))
    #expect(try refusal("odd") { $0["sample_size"] = 0 }.contains("sample size"))
    let bins: [String: Any] = ["name": "score", "edges": [0], "counts": [1, -1, 1]]
    #expect(try refusal("odd", edit("drift", ["score": bins])).contains("`score` are not right"))
    let pair: [String: Any] = ["actual": "nan", "expected": 1]
    let quantiles: [String: Any] = ["entities": [1], "pairs": [pair]]
    #expect(try refusal("slow") { $0["entity_quantiles"] = quantiles }.contains("quantiles of entities"))
  }

  @Test("names that lead out of the registry are refused, in files and in requests")
  func paths() throws {
    let champion = folder.version("odd", "../odd/champion.json")
    for name in ["../v1", "..", ".", "/etc/passwd", "v1/../v1", "", "v\u{0}1", "champion.json", "v1\u{1B}[2J"] {
      try write(["format": 1, "version": name, "history": [Any]()], to: champion)
      let plan = try #require(shop.plan.detectors.first { $0.name == "odd" })
      let error = try #require(throws: OperatingError.self) {
        _ = try registry.load(try #require(try registry.champion(of: "odd")), for: plan)
      }
      #expect(error.description.contains("cannot be the name of a version"), "\(name)")
      #expect(throws: OperatingError.self) { try registry.remove(name, of: "odd") }
      #expect(throws: OperatingError.self) { try registry.champion(of: name + "/x") }
      #expect(throws: OperatingError.self) { try ModelRegistry(folder: folder.path, useCase: "../\(name)").detectors() }
    }
  }

  @Test("a pipe or device in the place of a file is refused without waiting for it")
  func specialFiles() throws {
    let path = folder.version("odd", "v1") + "/manifest.json"
    try FileManager.default.removeItem(atPath: path)
    #expect(mkfifo(path, 0o600) == 0)
    let error = try #require(throws: OperatingError.self) { try registry.manifest(of: "v1", of: "odd") }
    #expect(error.description.contains("is not a file"))
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/zero")
    #expect(throws: OperatingError.self) { try registry.manifest(of: "v1", of: "odd") }
  }
}
