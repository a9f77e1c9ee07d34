// LightGBM's text format of a model, read into a tree ensemble that routes every Float32 row as LightGBM does.
//
// What LightGBM does with a value x at a node with threshold t, where x is Float32 and t is Float64:
// - a value within ±1e-35 counts as 0 (LightGBM leaves it out as if it were absent from a sparse row);
// - NaN goes to the node's default side where the node knows missing values, and counts as 0 where it does not;
// - x goes left when x <= t.

import Detection
import Pipeline

/// A model in LightGBM's text format, as written by version 3 or 4.
struct LightGBMModelText {
  private let text: Substring

  init(_ text: String) { self.text = text[...] }

  /// - Throws: `OperatingError` of kind `input` where the text is not a model or uses what is not supported:
  ///   categorical splits, linear leaves, zero as missing, several outputs.
  func ensemble() throws(OperatingError) -> TreeEnsemble {
    let sections = try sections()
    let head = sections.head
    guard let version = head.values["version"], ["v3", "v4"].contains(version) else {
      throw Self.wrong(
        "its version is \(head.values["version"].map { "'\($0.prefix(20))'" } ?? "missing"), not v3 or v4")
    }
    _ = try head.integer("num_class", in: 1...1)
    _ = try head.integer("num_tree_per_iteration", in: 1...1)
    let featureCount = try head.integer("max_feature_idx", in: 0...TreeModel.Bounds.columns - 1) + 1
    var ensemble = TreeEnsemble(nodes: [], roots: [], outputs: [], baseValues: [0], featureCount: featureCount)
    for (number, tree) in sections.trees.enumerated() {
      do throws(OperatingError) {
        let root = ensemble.nodes.count
        ensemble.nodes += try LightGBMTree(tree, featureCount: featureCount).nodes(from: root)
        ensemble.roots.append(Int32(root))
        ensemble.outputs.append(0)
      } catch {
        throw OperatingError(.input, "tree \(number): \(error.description)")
      }
    }
    guard !ensemble.roots.isEmpty else { throw Self.wrong("it has no trees") }
    return ensemble
  }

  /// The head and one section per tree, as their `key=value` lines.
  private func sections() throws(OperatingError) -> (head: Fields, trees: [Fields]) {
    var sections = [Fields()]
    for line in text.split(separator: "\n") {
      if line == "end of trees" {
        return (sections[0], Array(sections.dropFirst()))
      }
      if line.hasPrefix("Tree=") { sections.append(Fields()) }
      guard let equals = line.firstIndex(of: "=") else { continue }
      sections[sections.count - 1].values[line[..<equals]] = line[line.index(after: equals)...]
    }
    throw Self.wrong("it ends before 'end of trees'")
  }

  static func wrong(_ reason: String) -> OperatingError {
    OperatingError(.input, "not a LightGBM model that can be used: \(reason)")
  }

  /// Lines `key=value`.
  struct Fields {
    var values: [Substring: Substring] = [:]

    func integer(_ key: Substring, in range: ClosedRange<Int>) throws(OperatingError) -> Int {
      guard let text = values[key], let value = Int(text), range.contains(value) else {
        let found = values[key].map { "'\($0.prefix(40))'" } ?? "no such line"
        throw wrong("'\(key)' is not a number from \(range.lowerBound) to \(range.upperBound): \(found)")
      }
      return value
    }

    /// The numbers of a line; none where the line is missing.
    func list<Number: LosslessStringConvertible>(_ key: Substring, count: Int) throws(OperatingError) -> [Number] {
      let words = (values[key] ?? "").split(separator: " ")
      let numbers = words.compactMap { Number(String($0)) }
      guard numbers.count == words.count, numbers.count == count else {
        throw wrong("'\(key)' has \(words.count) values of which \(numbers.count) are numbers, expected \(count)")
      }
      return numbers
    }
  }
}

/// One tree of the text format: inner nodes and leaves are numbered apart, a child >= 0 is an inner node, ~child a leaf.
private struct LightGBMTree {
  let features: [Int]
  let thresholds: [Double]
  let decisions: [Int]
  let left: [Int]
  let right: [Int]
  let leafValues: [Double]
  let leafCounts: [Double]
  let featureCount: Int

  init(_ fields: LightGBMModelText.Fields, featureCount: Int) throws(OperatingError) {
    let leaves = try fields.integer("num_leaves", in: 1...TreeModel.Bounds.nodes)
    if let linear = fields.values["is_linear"], linear != "0" {
      throw LightGBMModelText.wrong("linear leaves are not supported")
    }
    features = try fields.list("split_feature", count: leaves - 1)
    thresholds = try fields.list("threshold", count: leaves - 1)
    decisions = try fields.list("decision_type", count: leaves - 1)
    left = try fields.list("left_child", count: leaves - 1)
    right = try fields.list("right_child", count: leaves - 1)
    leafValues = try fields.list("leaf_value", count: leaves)
    // A tree of one leaf is written without counts by some versions.
    let isCounted = leaves > 1 || !(fields.values["leaf_count"] ?? "").isEmpty
    leafCounts = isCounted ? try fields.list("leaf_count", count: leaves) : [0]
    self.featureCount = featureCount
    guard leafValues.allSatisfy(\.isFinite), thresholds.allSatisfy({ !$0.isNaN }) else {
      throw LightGBMModelText.wrong("a leaf or threshold is not a number")
    }
  }

  /// The nodes in depth-first order, the first at index `offset` of the ensemble.
  func nodes(from offset: Int) throws(OperatingError) -> [TreeEnsemble.Node] {
    var nodes: [TreeEnsemble.Node] = []
    var values: [Double] = []
    /// Children that wait for their place, and the parent's index and side that will point to them.
    var waiting: [(child: Int, parent: Int?, isLeft: Bool)] = [(features.isEmpty ? ~0 : 0, nil, true)]
    var isPlaced = [Bool](repeating: false, count: features.count + leafValues.count)
    while let (child, parent, isLeft) = waiting.popLast() {
      guard child >= 0 ? child < features.count : ~child < leafValues.count else {
        throw LightGBMModelText.wrong("node or leaf \(child) does not exist")
      }
      let place = child >= 0 ? child : features.count + ~child
      guard !isPlaced[place] else { throw LightGBMModelText.wrong("its nodes do not form a tree") }
      isPlaced[place] = true
      if let parent, isLeft { nodes[parent].left = Int32(offset + nodes.count) }
      if let parent, !isLeft { nodes[parent].right = Int32(offset + nodes.count) }
      if child >= 0 {
        waiting.append((right[child], nodes.count, false))
        waiting.append((left[child], nodes.count, true))
        nodes.append(try innerNode(child))
        values.append(0)
      } else {
        nodes.append(.init(value: Float(leafValues[~child]), cover: Float(leafCounts[~child])))
        values.append(leafValues[~child])
      }
    }
    guard nodes.count == features.count + leafValues.count else {
      throw LightGBMModelText.wrong("its nodes do not form a tree")
    }
    fillMeans(&nodes, &values, offset)
    return nodes
  }

  private func innerNode(_ index: Int) throws(OperatingError) -> TreeEnsemble.Node {
    let decision = decisions[index]
    guard decision & 1 == 0 else { throw LightGBMModelText.wrong("categorical splits are not supported") }
    guard (0..<featureCount).contains(features[index]) else {
      throw LightGBMModelText.wrong("feature \(features[index]) of \(featureCount)")
    }
    let threshold = Self.threshold(thresholds[index])
    let missingLeft: Bool
    switch decision >> 2 & 3 {
    // The feature had no missing values in training: NaN counts as 0.
    case 0: missingLeft = 0 <= threshold
    case 2: missingLeft = decision & 2 != 0
    default: throw LightGBMModelText.wrong("zero as a missing value is not supported")
    }
    return .init(feature: Int32(features[index]), threshold: threshold, missingLeft: missingLeft)
  }

  /// The Float32 threshold t with x <= t for exactly the Float32 values x that LightGBM sends left.
  static func threshold(_ exact: Double) -> Float {
    let zero: Float = 1e-35
    let nearest = Float(exact)
    let down = Double(nearest) > exact ? nearest.nextDown : nearest
    // Everything within ±1e-35 goes where 0 goes.
    if down >= 0 { return max(down, zero) }
    return min(down, (-zero).nextDown)
  }

  /// Mean and number of training rows of each inner node, from its leaves.
  private func fillMeans(_ nodes: inout [TreeEnsemble.Node], _ values: inout [Double], _ offset: Int) {
    // Children lie behind their parent.
    for index in nodes.indices.reversed() where !nodes[index].isLeaf {
      let (left, right) = (Int(nodes[index].left) - offset, Int(nodes[index].right) - offset)
      let (leftRows, rightRows) = (Double(nodes[left].cover), Double(nodes[right].cover))
      let rows = leftRows + rightRows
      values[index] =
        rows > 0
        ? (values[left] * leftRows + values[right] * rightRows) / rows : (values[left] + values[right]) / 2
      nodes[index].value = Float(values[index])
      nodes[index].cover = Float(rows)
    }
  }
}
