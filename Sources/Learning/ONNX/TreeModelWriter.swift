// Writes a tree ensemble as ONNX: each of its nodes becomes an entry in the parallel arrays of one TreeEnsembleRegressor.

public import Detection
import Foundation
import SwiftProtobuf

extension TreeModel {
  /// The model as the bytes of an ONNX file.
  ///
  /// - Throws: `OperatingError` of kind `input` where the model is not one that could be read back: broken trees, values
  ///   that are not finite, another number of names than of features or outputs.
  public func serialized() throws(OperatingError) -> [UInt8] {
    try validate()
    var model = Onnx_ModelProto()
    model.irVersion = Self.irVersion
    model.producerName = "pulse"
    model.producerVersion = Self.format
    model.docString = "\(name), version \(version)"
    model.opsetImport = [Self.operators("", Self.opset), Self.operators(Self.treeDomain, Self.treeOpset)]
    model.graph = try graph()
    model.metadataProps = try metadataEntries()
    let bytes: [UInt8]
    do {
      bytes = Self.sealed([UInt8](try model.serializedData()))
    } catch {
      throw OperatingError(.input, "the model \(name) could not be written as ONNX: \(error)")
    }
    guard bytes.count <= Bounds.bytes else {
      throw OperatingError(
        .limit,
        "the model \(name) would have \(bytes.count) bytes, at most \(Bounds.bytes): grow fewer or smaller trees")
    }
    return bytes
  }

  private func validate() throws(OperatingError) {
    func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(OperatingError) {
      guard condition else { throw OperatingError(.input, "the model \(name) cannot be written: \(reason())") }
    }
    try ensemble.validate(of: name)
    try require(
      featureNames.count == ensemble.featureCount,
      "\(featureNames.count) names for \(ensemble.featureCount) features")
    try require(
      outputNames.count == ensemble.outputCount, "\(outputNames.count) names for \(ensemble.outputCount) outputs")
    try require(!metadata.keys.contains { $0.hasPrefix("pulse.") }, "metadata of its own begins with 'pulse.'")
    if case .powerOfTwo(let factor) = transformation {
      try require(Float(factor).isFinite, "the factor of its transformation is \(factor)")
    }
  }

  private static func operators(_ domain: String, _ version: Int64) -> Onnx_OperatorSetIdProto {
    var set = Onnx_OperatorSetIdProto()
    set.domain = domain
    set.version = version
    return set
  }

  private func metadataEntries() throws(OperatingError) -> [Onnx_StringStringEntryProto] {
    let innerValues = ensemble.nodes.filter { !$0.isLeaf }.flatMap { node in
      (0..<4).map { UInt8(truncatingIfNeeded: node.value.bitPattern >> (8 * $0)) }
    }
    let ours = [
      (MetadataKey.format, Self.format), (MetadataKey.model, name), (MetadataKey.version, version),
      (MetadataKey.features, try Self.json(featureNames)), (MetadataKey.outputs, try Self.json(outputNames)),
      (MetadataKey.innerValues, Data(innerValues).base64EncodedString()),
    ]
    return (ours + metadata.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }).map { key, value in
      var entry = Onnx_StringStringEntryProto()
      entry.key = key
      entry.value = value
      return entry
    }
  }

  private static func json(_ names: [String]) throws(OperatingError) -> String {
    do {
      return String(decoding: try JSONEncoder().encode(names), as: UTF8.self)
    } catch {
      throw OperatingError(.input, "the names \(names) cannot be written as JSON: \(error)")
    }
  }

  // MARK: - Graph

  private func graph() throws(OperatingError) -> Onnx_GraphProto {
    var graph = Onnx_GraphProto()
    graph.name = name.isEmpty ? "model" : name
    graph.input = [Self.matrix(Self.inputName, columns: ensemble.featureCount)]
    graph.output = [Self.matrix(Self.rawName, columns: ensemble.outputCount)]
    var trees = Self.node(Self.treeOperator, [Self.inputName], Self.rawName)
    trees.domain = Self.treeDomain
    trees.attribute = attributes()
    graph.node = [trees]
    switch transformation {
    case .none: return graph
    case .powerOfTwo(let factor):
      graph.initializer = [Self.scalar("factor", Float(factor)), Self.scalar("two", 2)]
      graph.node += [
        Self.node("Mul", [Self.rawName, "factor"], "exponent"), Self.node("Pow", ["two", "exponent"], Self.resultName),
      ]
    case .expm1:
      graph.initializer = [Self.scalar("one", 1)]
      graph.node += [
        Self.node("Exp", [Self.rawName], "exponential"), Self.node("Sub", ["exponential", "one"], Self.resultName),
      ]
    }
    graph.output.append(Self.matrix(Self.resultName, columns: ensemble.outputCount))
    return graph
  }

  private static func node(_ operation: String, _ inputs: [String], _ output: String) -> Onnx_NodeProto {
    var node = Onnx_NodeProto()
    node.opType = operation
    node.name = output
    node.input = inputs
    node.output = [output]
    return node
  }

  /// An input or output of Float32 [rows, columns] with any number of rows.
  private static func matrix(_ name: String, columns: Int) -> Onnx_ValueInfoProto {
    var rows = Onnx_TensorShapeProto.Dimension()
    rows.dimParam = "rows"
    var width = Onnx_TensorShapeProto.Dimension()
    width.dimValue = Int64(columns)
    var info = Onnx_ValueInfoProto()
    info.name = name
    info.type.tensorType.elemType = TensorType.float
    info.type.tensorType.shape.dim = [rows, width]
    return info
  }

  private static func scalar(_ name: String, _ value: Float) -> Onnx_TensorProto {
    var tensor = Onnx_TensorProto()
    tensor.name = name
    tensor.dataType = TensorType.float
    tensor.floatData = [value]
    return tensor
  }

  /// Number of an element type in ONNX.
  enum TensorType {
    static let float: Int32 = 1
  }

  // MARK: - Trees

  private func attributes() -> [Onnx_AttributeProto] {
    var arrays = NodeArrays()
    let ends = ensemble.roots.dropFirst() + [Int32(ensemble.nodes.count)]
    for (tree, (root, end)) in zip(ensemble.roots, ends).enumerated() {
      for index in Int(root)..<Int(end) {
        arrays.append(
          ensemble.nodes[index], tree: Int64(tree), number: Int64(index - Int(root)), root: Int64(root),
          output: Int64(ensemble.outputs[tree]))
      }
    }
    return [
      .floats("base_values", ensemble.baseValues), .integer("n_targets", Int64(ensemble.outputCount)),
      .integers("nodes_falsenodeids", arrays.right), .integers("nodes_featureids", arrays.features),
      .floats("nodes_hitrates", arrays.covers), .integers("nodes_missing_value_tracks_true", arrays.missingLeft),
      .strings("nodes_modes", arrays.modes), .integers("nodes_nodeids", arrays.numbers),
      .integers("nodes_treeids", arrays.trees), .integers("nodes_truenodeids", arrays.left),
      .floats("nodes_values", arrays.thresholds), .string("post_transform", "NONE"),
      .integers("target_ids", arrays.leafOutputs), .integers("target_nodeids", arrays.leafNumbers),
      .integers("target_treeids", arrays.leafTrees), .floats("target_weights", arrays.leafValues),
    ]
  }

  /// The arrays of a TreeEnsembleRegressor, an entry per node or per leaf.
  private struct NodeArrays {
    var trees: [Int64] = []
    var numbers: [Int64] = []
    var features: [Int64] = []
    var thresholds: [Float] = []
    var modes: [String] = []
    var left: [Int64] = []
    var right: [Int64] = []
    var missingLeft: [Int64] = []
    var covers: [Float] = []
    var leafTrees: [Int64] = []
    var leafNumbers: [Int64] = []
    var leafOutputs: [Int64] = []
    var leafValues: [Float] = []

    mutating func append(_ node: TreeEnsemble.Node, tree: Int64, number: Int64, root: Int64, output: Int64) {
      trees.append(tree)
      numbers.append(number)
      features.append(node.isLeaf ? 0 : Int64(node.feature))
      thresholds.append(node.threshold)
      modes.append(node.isLeaf ? "LEAF" : "BRANCH_LEQ")
      left.append(node.isLeaf ? 0 : Int64(node.left) - root)
      right.append(node.isLeaf ? 0 : Int64(node.right) - root)
      missingLeft.append(node.missingLeft ? 1 : 0)
      covers.append(node.cover)
      guard node.isLeaf else { return }
      leafTrees.append(tree)
      leafNumbers.append(number)
      leafOutputs.append(output)
      leafValues.append(node.value)
    }
  }
}

extension Onnx_AttributeProto {
  fileprivate init(_ name: String, _ type: AttributeType) {
    self.init()
    self.name = name
    self.type = type
  }

  static func floats(_ name: String, _ values: [Float]) -> Self {
    var attribute = Self(name, .floats)
    attribute.floats = values
    return attribute
  }

  static func integers(_ name: String, _ values: [Int64]) -> Self {
    var attribute = Self(name, .ints)
    attribute.ints = values
    return attribute
  }

  static func strings(_ name: String, _ values: [String]) -> Self {
    var attribute = Self(name, .strings)
    attribute.strings = values.map { Data($0.utf8) }
    return attribute
  }

  static func integer(_ name: String, _ value: Int64) -> Self {
    var attribute = Self(name, .int)
    attribute.i = value
    return attribute
  }

  static func string(_ name: String, _ value: String) -> Self {
    var attribute = Self(name, .string)
    attribute.s = Data(value.utf8)
    return attribute
  }
}
