// Reads a tree ensemble back out of an ONNX file of ours. What is not exactly as the writer leaves it is refused with a
// reason, so that a file that was damaged or came from elsewhere never scores.

public import Detection
import Foundation
import SwiftProtobuf

extension TreeModel {
  /// The model of a file that `serialized()` wrote.
  ///
  /// - Throws: `OperatingError` of kind `input` where the bytes are damaged, hold another kind of model, or come from a
  ///   newer version of the program.
  public init(parsing bytes: [UInt8]) throws(OperatingError) {
    guard bytes.count <= Bounds.bytes else {
      throw Self.wrong("it has \(bytes.count) bytes, at most \(Bounds.bytes)")
    }
    try Self.checkSeal(bytes)
    var scan = WireScan(bytes)
    do throws(OperatingError) {
      try scan.check()
    } catch {
      throw Self.wrong(error.description)
    }
    var options = BinaryDecodingOptions()
    options.discardUnknownFields = true
    let model: Onnx_ModelProto
    do {
      model = try Onnx_ModelProto(serializedBytes: bytes, options: options)
    } catch {
      throw Self.wrong("damaged, or not an ONNX file (\(error))")
    }
    try self.init(model)
  }

  static func wrong(_ reason: String) -> OperatingError {
    OperatingError(.input, "not a model file that can be used: \(reason)")
  }

  private init(_ model: Onnx_ModelProto) throws(OperatingError) {
    var entries: [String: String] = [:]
    for entry in model.metadataProps where entries.updateValue(entry.value, forKey: entry.key) != nil {
      throw Self.wrong("its metadata has '\(entry.key.prefix(40))' twice")
    }
    let metadata = entries
    func text(_ key: String) throws(OperatingError) -> String {
      guard let value = metadata[key] else {
        throw Self.wrong("its metadata has no '\(key)', so `pulse train` did not write it")
      }
      return value
    }
    let format = try text(MetadataKey.format)
    guard format == Self.format else {
      throw Self.wrong("its format is '\(format.prefix(20))', this program knows \(Self.format); update the program")
    }
    name = try text(MetadataKey.model)
    version = try text(MetadataKey.version)
    featureNames = try Self.names(try text(MetadataKey.features), of: MetadataKey.features)
    outputNames = try Self.names(try text(MetadataKey.outputs), of: MetadataKey.outputs)
    self.metadata = metadata.filter { !$0.key.hasPrefix("pulse.") }
    transformation = try Self.transformation(model.graph)
    guard let trees = model.graph.node.first else { throw Self.wrong("it has no trees") }
    ensemble = try TreeArrays(trees, featureCount: featureNames.count).ensemble(
      innerValues: try Self.innerValues(try text(MetadataKey.innerValues)))
    try ensemble.validate(of: name)
    guard ensemble.outputCount == outputNames.count else {
      throw Self.wrong("\(outputNames.count) names for \(ensemble.outputCount) outputs")
    }
    guard model.graph.input.count == 1, model.graph.input[0].name == Self.inputName,
      model.graph.input[0].type.tensorType.shape.dim.last?.dimValue == Int64(featureNames.count)
    else { throw Self.wrong("its input is not \(featureNames.count) features") }
  }

  private static func names(_ text: String, of key: String) throws(OperatingError) -> [String] {
    guard let names = try? JSONDecoder().decode([String].self, from: Data(text.utf8)),
      (1...Bounds.columns).contains(names.count)
    else { throw wrong("its metadata '\(key)' is not a list of names") }
    guard Set(names).count == names.count else { throw wrong("its metadata '\(key)' has a name twice") }
    return names
  }

  private static func innerValues(_ text: String) throws(OperatingError) -> [Float] {
    guard let data = Data(base64Encoded: text), data.count.isMultiple(of: 4) else {
      throw wrong("its metadata '\(MetadataKey.innerValues)' is damaged")
    }
    let bytes = [UInt8](data)
    return stride(from: 0, to: bytes.count, by: 4).map { start in
      Float(bitPattern: bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
  }

  private static func transformation(_ graph: Onnx_GraphProto) throws(OperatingError) -> Transformation {
    switch graph.node.dropFirst().map(\.opType) {
    case []: return .none
    case ["Exp", "Sub"]: return .expm1
    case ["Mul", "Pow"]:
      guard let factor = graph.initializer.first(where: { $0.name == "factor" }), factor.floatData.count == 1,
        factor.floatData[0].isFinite
      else { throw wrong("its transformation has no factor") }
      return .powerOfTwo(factor: Double(factor.floatData[0]))
    case let others: throw wrong("its transformation is not one of ours: \(others.prefix(5).joined(separator: ", "))")
    }
  }
}

/// The parallel arrays of a TreeEnsembleRegressor, checked for what an ensemble's nodes need.
private struct TreeArrays {
  private let attributes: [String: Onnx_AttributeProto]
  private let featureCount: Int

  init(_ node: Onnx_NodeProto, featureCount: Int) throws(OperatingError) {
    guard node.opType == TreeModel.treeOperator, node.domain == TreeModel.treeDomain else {
      throw TreeModel.wrong("it begins with \(node.opType.prefix(40)), expected \(TreeModel.treeOperator)")
    }
    attributes = Dictionary(node.attribute.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    // ONNX Runtime might take the other one.
    guard attributes.count == node.attribute.count else {
      throw TreeModel.wrong("an attribute of its trees is there twice")
    }
    self.featureCount = featureCount
  }

  private func integers(_ name: String, count: Int? = nil) throws(OperatingError) -> [Int32] {
    let values = attributes[name]?.ints ?? []
    let small = values.compactMap { Int32(exactly: $0) }
    guard small.count == values.count, count == nil || count == values.count else {
      throw TreeModel.wrong("'\(name)' has \(values.count) values or one out of range, expected \(count ?? 0)")
    }
    return small
  }

  private func floats(_ name: String, count: Int? = nil) throws(OperatingError) -> [Float] {
    let values = attributes[name]?.floats ?? []
    guard count == nil || count == values.count else {
      throw TreeModel.wrong("'\(name)' has \(values.count) values, expected \(count ?? 0)")
    }
    return values
  }

  /// - Parameter innerValues: the values of the inner nodes, in order.
  func ensemble(innerValues: [Float]) throws(OperatingError) -> TreeEnsemble {
    guard attributes["post_transform"].map({ $0.s == Data("NONE".utf8) }) ?? true,
      attributes["aggregate_function"].map({ $0.s == Data("SUM".utf8) }) ?? true
    else { throw TreeModel.wrong("its trees are not simply added up") }
    let modes = attributes["nodes_modes"]?.strings ?? []
    guard !modes.isEmpty, modes.count <= TreeModel.Bounds.nodes else {
      throw TreeModel.wrong("it has \(modes.count) nodes, from 1 to \(TreeModel.Bounds.nodes) were expected")
    }
    guard let outputs = attributes["n_targets"]?.i, (1...Int64(TreeModel.Bounds.columns)).contains(outputs) else {
      throw TreeModel.wrong("'n_targets' is missing or out of range")
    }
    var ensemble = TreeEnsemble(
      nodes: [], roots: [], outputs: [], baseValues: try floats("base_values", count: Int(outputs)),
      featureCount: featureCount)
    ensemble.roots = try roots(count: modes.count)
    ensemble.nodes = try nodes(modes, roots: ensemble.roots, innerValues: innerValues)
    ensemble.outputs = try fillLeaves(&ensemble)
    return ensemble
  }

  /// Where each tree begins: trees come one after the other, the nodes of each numbered from 0.
  private func roots(count: Int) throws(OperatingError) -> [Int32] {
    let trees = try integers("nodes_treeids", count: count)
    let numbers = try integers("nodes_nodeids", count: count)
    var roots: [Int32] = []
    for index in 0..<count {
      if Int(trees[index]) == roots.count { roots.append(Int32(index)) }
      guard let root = roots.last, Int(trees[index]) == roots.count - 1, Int(numbers[index]) == index - Int(root) else {
        throw TreeModel.wrong("node \(index) is not numbered in order")
      }
    }
    return roots
  }

  private func nodes(
    _ modes: [Data], roots: [Int32], innerValues: [Float]
  ) throws(OperatingError) -> [TreeEnsemble.Node] {
    let count = modes.count
    let features = try integers("nodes_featureids", count: count)
    let thresholds = try floats("nodes_values", count: count)
    let left = try integers("nodes_truenodeids", count: count)
    let right = try integers("nodes_falsenodeids", count: count)
    let missingLeft = try integers("nodes_missing_value_tracks_true", count: count)
    let covers = try floats("nodes_hitrates", count: count)
    let inner = Data("BRANCH_LEQ".utf8)
    let leaf = Data("LEAF".utf8)
    guard modes.allSatisfy({ $0 == inner || $0 == leaf }) else {
      throw TreeModel.wrong("a node is neither BRANCH_LEQ nor LEAF")
    }
    let innerCount = modes.count { $0 == inner }
    guard innerCount == innerValues.count else {
      throw TreeModel.wrong(
        "'\(TreeModel.MetadataKey.innerValues)' is damaged: \(innerValues.count) values for \(innerCount) nodes")
    }
    var nodes: [TreeEnsemble.Node] = []
    nodes.reserveCapacity(count)
    var root = 0
    var nextInner = innerValues.startIndex
    for index in 0..<count {
      if root + 1 < roots.count, Int(roots[root + 1]) == index { root += 1 }
      var node = TreeEnsemble.Node(
        threshold: thresholds[index], missingLeft: missingLeft[index] != 0, cover: covers[index])
      if modes[index] == inner {
        let (leftChild, leftOverflows) = roots[root].addingReportingOverflow(left[index])
        let (rightChild, rightOverflows) = roots[root].addingReportingOverflow(right[index])
        guard !leftOverflows, !rightOverflows, features[index] >= 0 else {
          throw TreeModel.wrong("node \(index) has a child or feature that does not exist")
        }
        node.feature = features[index]
        node.left = leftChild
        node.right = rightChild
        node.value = innerValues[nextInner]
        nextInner += 1
      }
      nodes.append(node)
    }
    return nodes
  }

  /// Gives each leaf its value, and returns the output of each tree.
  private func fillLeaves(_ ensemble: inout TreeEnsemble) throws(OperatingError) -> [Int32] {
    let leaves = ensemble.nodes.indices.filter { ensemble.nodes[$0].isLeaf }
    let values = try floats("target_weights", count: leaves.count)
    let trees = try integers("target_treeids", count: leaves.count)
    let numbers = try integers("target_nodeids", count: leaves.count)
    let targets = try integers("target_ids", count: leaves.count)
    var outputs: [Int32] = []
    for (position, leaf) in leaves.enumerated() {
      let tree = Int(trees[position])
      if tree == outputs.count { outputs.append(targets[position]) }
      // The last tree that has begun, if any has: a first number below 0 is that of none.
      guard let output = outputs.last, tree == outputs.count - 1, tree < ensemble.roots.count,
        output == targets[position], Int(ensemble.roots[tree]) + Int(numbers[position]) == leaf
      else { throw TreeModel.wrong("the value of leaf \(position) belongs to another node") }
      ensemble.nodes[leaf].value = values[position]
    }
    return outputs
  }
}
