// Tree models as ONNX: they come back exactly, score the same in ONNX Runtime, and no damaged file does harm.

import Detection
import Foundation
import Pipeline
import SwiftProtobuf
import TestKit
import Testing

@testable import Learning

@Suite("Tree models as ONNX")
struct TreeModelTests {
  static func model(_ transformation: TreeModel.Transformation, trees: Int = 40, depth: Int = 6) -> TreeModel {
    let isForest = if case .powerOfTwo = transformation { true } else { false }
    let outputs = isForest ? ["score"] : ["mean", "quantile"]
    let ensemble = TreeEnsemble.random(
      trees: trees, depth: depth, features: 5, outputs: outputs.count, leaf: isForest ? 1...14 : -0.3...0.3, seed: 11)
    return TreeModel(
      name: "slow \"query\"", version: "2026-01-02T03:04:05Z", featureNames: ["a", "b,c", "d\ne", "\u{e9}", "z"],
      outputNames: outputs, ensemble: ensemble, transformation: transformation, metadata: ["plan": "{}", "seed": "7"])
  }

  static let transformations: [TreeModel.Transformation] = [
    .none, .expm1, .powerOfTwo(factor: Double(Float(-1 / (40 * 10.2448)))),
  ]

  @Test("a model comes back exactly, whatever its trees", arguments: transformations)
  func roundTrip(_ transformation: TreeModel.Transformation) throws {
    let model = Self.model(transformation)
    let bytes = try model.serialized()
    #expect(try TreeModel(parsing: bytes) == model)
    #expect(try TreeModel(parsing: bytes).serialized() == bytes)
    for seed in 0..<40 {
      var other = model
      other.ensemble = .random(
        trees: 1 + Int(seed) % 7, depth: Int(seed) % 9, features: 5, outputs: model.outputNames.count, leaf: -1...1,
        seed: UInt64(seed))
      #expect(try TreeModel(parsing: try other.serialized()) == other)
    }
  }

  /// What Fixtures/model_format_1.onnx holds; it was written by the first version of the writer, and stays as it is.
  static let firstFormat = TreeModel(
    name: "outlier", version: "2026-01-02T030405Z", featureNames: ["amount", "hour"], outputNames: ["score"],
    ensemble: TreeEnsemble(
      nodes: [
        .init(feature: 1, threshold: 5.5, left: 1, right: 2, missingLeft: false, value: 6.25, cover: 256),
        .init(value: 3.5, cover: 56),
        .init(feature: 0, threshold: -0.125, left: 3, right: 4, missingLeft: true, value: 7.02, cover: 200),
        .init(value: 8.25, cover: 120), .init(value: 5.175, cover: 80), .init(value: 10.24, cover: 256),
      ],
      roots: [0, 5], outputs: [0, 0], baseValues: [0], featureCount: 2),
    transformation: .powerOfTwo(factor: Double(Float(-0.0488))), metadata: ["seed": "7"])

  @Test("files of the first format are still read")
  func firstFormatIsRead() throws {
    let model = try TreeModel(parsing: try Fixture.bytes("model_format_1.onnx"))
    #expect(model == Self.firstFormat)
    #expect(model.ensemble.naiveSums([.nan, 6]) == [Double(Float(8.25)) + Double(Float(10.24))])
  }

  @Test("a model that could not come back is not written")
  func writerRefuses() throws {
    let good = Self.model(.none)
    var broken: [TreeModel] = []
    func change(_ edit: (inout TreeModel) -> Void) {
      var model = good
      edit(&model)
      broken.append(model)
    }
    change { $0.featureNames.removeLast() }
    change { $0.outputNames.append("more") }
    change { $0.metadata["pulse.model"] = "x" }
    change { $0.transformation = .powerOfTwo(factor: .infinity) }
    change { $0.ensemble.baseValues[0] = .nan }
    change { $0.ensemble.nodes[0].threshold = .nan }
    change { $0.ensemble.nodes[1].value = .infinity }
    change { $0.ensemble.nodes[0].left = 0 }
    change { $0.ensemble.nodes[0].right = $0.ensemble.nodes[0].left }
    change { $0.ensemble.nodes[0].right = Int32($0.ensemble.nodes.count) }
    change { $0.ensemble.nodes[0].feature = 5 }
    change { $0.ensemble.roots[1] = 0 }
    change { $0.ensemble.outputs[0] = 2 }
    change { $0.ensemble.outputs.removeLast() }
    change { $0.ensemble.roots = [] }
    change { model in model.ensemble.outputs = model.ensemble.outputs.map { _ in 0 } }
    for (index, model) in broken.enumerated() {
      #expect(throws: OperatingError.self, "change \(index)") { try model.serialized() }
    }
  }

  @Test("a file cut short or with a flipped bit is refused")
  func damage() throws {
    let bytes = try Self.model(.expm1, trees: 3, depth: 3).serialized()
    for length in 0..<bytes.count {
      #expect(throws: OperatingError.self, "\(length) bytes") { try TreeModel(parsing: Array(bytes.prefix(length))) }
    }
    for index in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << bit
        #expect(throws: OperatingError.self, "byte \(index), bit \(bit)") { try TreeModel(parsing: damaged) }
      }
    }
  }

  @Test("with a checksum that fits, a changed file is refused or another whole model, never harm")
  func forgery() throws {
    let bytes = try Self.model(.expm1, trees: 3, depth: 3).serialized()
    let content = Array(bytes.dropLast(TreeModel.sealed([]).count))
    for length in 0..<content.count { _ = try? TreeModel(parsing: TreeModel.sealed(Array(content.prefix(length)))) }
    var survivors = 0
    for index in content.indices {
      for bit in [index % 8, (index + 3) % 8] {
        var forged = content
        forged[index] ^= 1 << bit
        guard let model = try? TreeModel(parsing: TreeModel.sealed(forged)) else { continue }
        survivors += 1
        // Whatever was read is a model that can be scored and written.
        try model.ensemble.validate(of: model.name)
        _ = model.ensemble.naiveSums([Float](repeating: 1, count: model.featureNames.count))
      }
    }
    #expect(survivors > 0, "flips in names and leaves give other models")
  }

  @Test("the checksum is the CRC-32 of gzip and PNG")
  func checksum() {
    #expect(TreeModel.crc32(Array("123456789".utf8)) == 0xcbf4_3926)
    #expect(TreeModel.crc32([]) == 0)
  }

  @Test("random bytes are no model")
  func randomBytes() {
    var generator = SeededRandom(seed: 3)
    for length in 0..<2_000 {
      let bytes = (0..<length % 200).map { _ in UInt8.random(in: 0...255, using: &generator) }
      #expect(throws: OperatingError.self) { try TreeModel(parsing: bytes) }
      #expect(throws: OperatingError.self) { try TreeModel(parsing: TreeModel.sealed(bytes)) }
    }
  }

  /// The message of the error that a changed file gives.
  static func refusal(_ edit: (inout Onnx_ModelProto) -> Void) throws -> String {
    var message = try Onnx_ModelProto(serializedBytes: try model(.none, trees: 3, depth: 3).serialized())
    // The checksum, which is made anew.
    message.metadataProps.removeLast()
    edit(&message)
    do {
      _ = try TreeModel(parsing: TreeModel.sealed(try message.serializedBytes()))
      return "read"
    } catch {
      return "\(error)"
    }
  }

  /// The message of the error that a changed attribute of the trees gives.
  static func refusal(_ name: String, _ edit: (inout Onnx_AttributeProto) -> Void) throws -> String {
    try refusal { model in
      let index = model.graph.node[0].attribute.firstIndex { $0.name == name }!
      edit(&model.graph.node[0].attribute[index])
    }
  }

  @Test("a file that means something else is refused with what it is")
  func foreignFiles() throws {
    #expect(try Self.refusal { _ in } == "read")
    let metadata: (String, String) -> (inout Onnx_ModelProto) -> Void = { key, value in
      return { model in
        let index = model.metadataProps.firstIndex { $0.key == key }!
        model.metadataProps[index].value = value
      }
    }
    #expect(try Self.refusal { $0.metadataProps = [] }.contains("`pulse train` did not write it"))
    #expect(try Self.refusal { $0.metadataProps.append($0.metadataProps[0]) }.contains("twice"))
    #expect(try Self.refusal(metadata("pulse.format", "2")).contains("update the program"))
    #expect(try Self.refusal(metadata("pulse.features", "[1]")).contains("not a list of names"))
    #expect(try Self.refusal(metadata("pulse.features", #"["a"]"#)).contains("feature"))
    #expect(try Self.refusal(metadata("pulse.outputs", #"["a"]"#)).contains("1 names for 2 outputs"))
    #expect(try Self.refusal(metadata("pulse.inner_values", "?")).contains("damaged"))
    #expect(try Self.refusal(metadata("pulse.inner_values", "AAAA")).contains("damaged"))
    #expect(try Self.refusal { $0.graph.node = [] }.contains("no trees"))
    #expect(try Self.refusal { $0.graph.node[0].opType = "Gemm" }.contains("begins with Gemm"))
    #expect(try Self.refusal { $0.graph.node += [$0.graph.node[0]] }.contains("not one of ours"))
    #expect(try Self.refusal { $0.graph.input = [] }.contains("input"))
    let edits: [(String, (inout Onnx_AttributeProto) -> Void)] = [
      ("post_transform", { $0.s = Data("LOGISTIC".utf8) }), ("n_targets", { $0.i = .max }),
      ("n_targets", { $0.i = -1 }),
      ("base_values", { $0.floats = [] }), ("base_values", { $0.floats[0] = .infinity }),
      ("nodes_modes", { $0.strings[0] = Data("BRANCH_LT".utf8) }), ("nodes_modes", { $0.strings = [] }),
      ("nodes_modes", { $0.strings[0] = Data("LEAF".utf8) }), ("nodes_values", { $0.floats[0] = .nan }),
      ("nodes_values", { $0.floats.removeLast() }), ("nodes_featureids", { $0.ints[0] = 5 }),
      ("nodes_featureids", { $0.ints[0] = -1 }), ("nodes_featureids", { $0.ints[0] = .min }),
      ("nodes_truenodeids", { $0.ints[0] = 0 }), ("nodes_truenodeids", { $0.ints[0] = Int64(Int32.max) }),
      ("nodes_truenodeids", { $0.ints[0] = -1 }), ("nodes_truenodeids", { $0.ints = [] }),
      ("nodes_falsenodeids", { $0.ints[0] += 1 }), ("nodes_falsenodeids", { $0.ints[0] = Int64(Int32.min) }),
      ("nodes_nodeids", { $0.ints[1] = 0 }), ("nodes_treeids", { $0.ints[0] = 1 }),
      ("nodes_treeids", { $0.ints[1] = 2 }),
      ("target_weights", { $0.floats[0] = .nan }), ("target_weights", { $0.floats.append(1) }),
      ("target_ids", { $0.ints[0] = 2 }), ("target_nodeids", { $0.ints[0] = 0 }),
      ("target_treeids", { $0.ints[0] = 9 }),
      ("nodes_hitrates", { $0.floats[0] = .nan }), ("nodes_missing_value_tracks_true", { $0.ints.removeLast() }),
    ]
    for (name, edit) in edits {
      let refusal = try Self.refusal(name, edit)
      #expect(refusal.contains("not a model file") || refusal.contains("are broken"), "\(name): \(refusal)")
    }
  }

  @Test("a small file cannot ask for much memory")
  func bombs() throws {
    // A million empty graph nodes, each two bytes in the file.
    let graph = (0..<2_000_000).map { $0.isMultiple(of: 2) ? 0x0a : UInt8(0x00) }
    var length = graph.count
    var bytes: [UInt8] = [0x3a]
    while length >= 0x80 {
      bytes.append(UInt8(length & 0x7f) | 0x80)
      length >>= 7
    }
    bytes.append(UInt8(length))
    bytes += graph
    let error = try #require(throws: OperatingError.self) { try TreeModel(parsing: TreeModel.sealed(bytes)) }
    #expect(error.description.contains("more than \(TreeModel.Bounds.messages) parts"))
    // A length far beyond the end, and one that does not fit an integer.
    for bytes in [[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x3a] + [UInt8](repeating: 0xff, count: 9) + [0x01]] {
      let error = try #require(throws: OperatingError.self) { try TreeModel(parsing: TreeModel.sealed(bytes)) }
      #expect(error.description.contains("damaged"))
    }
    let large = try #require(throws: OperatingError.self) {
      try TreeModel(parsing: [UInt8](repeating: 0, count: TreeModel.Bounds.bytes + 1))
    }
    #expect(large.description.contains("at most"))
  }
}

@Suite("Tree models in ONNX Runtime", .needsONNXRuntime)
struct TreeModelRuntimeTests {
  /// The sums and the results in ONNX Runtime equal ours on every edge of the trees.
  func expectAgreement(_ model: TreeModel) throws {
    let rows = model.ensemble.edgeRows(seed: 9)
    let matrix = Array(rows.joined())
    let sums = rows.flatMap { model.ensemble.naiveSums($0) }
    let bytes = try model.serialized()
    func run(_ output: String) throws -> [Double] {
      let session = try ONNXSession(
        model: bytes, name: model.name, featureCount: model.featureNames.count, options: .init(output: output),
        library: try .open())
      #expect(session.width == model.outputNames.count)
      return try session.run(matrix).map(Double.init)
    }
    let theirs = try run("raw")
    expectClose(theirs, sums, rows: rows, "sums")
    switch model.transformation {
    case .none: break
    // Of their sums: a relative error of a large sum would grow with the exponential.
    case .expm1: expectClose(try run("result"), theirs.map(expm1), rows: rows, "e^sum - 1")
    case .powerOfTwo(let factor):
      expectClose(try run("result"), sums.map { exp2($0 * factor) }, rows: rows, "2^(sum f)")
    }
  }

  @Test("random trees score the same, at, below and above every threshold", arguments: TreeModelTests.transformations)
  func randomTrees(_ transformation: TreeModel.Transformation) throws {
    try expectAgreement(TreeModelTests.model(transformation))
    // Trees that are a single leaf, and a single tree.
    try expectAgreement(TreeModelTests.model(transformation, trees: 3, depth: 0))
    try expectAgreement(TreeModelTests.model(transformation, trees: 1, depth: 4))
  }

  @Test("trained trees score the same in ONNX Runtime, in LightGBM and here", .needsLightGBM)
  func trainedTrees() throws {
    let rows = BoostedTreesTests.rows(5_000)
    let features = FeatureMatrix(rows: rows)
    let target = BoostedTreesTests.target(rows)
    let ensembles = try [BoostedTreesTrainer.Objective.mean, .quantile(0.9)].map {
      try BoostedTreesTests.trainer($0, trees: 100).train(features, target: target)
    }
    let joined = TreeEnsemble.joined(ensembles)
    for row in rows.prefix(50) { #expect(joined.naiveSums(row) == ensembles.map { $0.naiveSums(row)[0] }) }
    let model = TreeModel(
      name: "slow_query", version: "1", featureNames: features.names, outputNames: ["mean", "quantile"],
      ensemble: joined, transformation: .expm1)
    #expect(try TreeModel(parsing: try model.serialized()) == model)
    try expectAgreement(model)
  }
}
