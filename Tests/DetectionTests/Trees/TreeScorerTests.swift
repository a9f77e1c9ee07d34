// Scoring with trees: every row takes the path of the definition, whatever its values, its place and its company.

import Testing

@testable import Detection

@Suite("Tree scoring")
struct TreeScorerTests {
  private static func expectPlain(_ ensemble: TreeEnsemble, _ matrix: FeatureMatrix) throws {
    try ensemble.validate()
    let sums = TreeScorer(ensemble).sums(of: matrix)
    #expect(sums.count == ensemble.outputCount)
    for row in 0..<matrix.rowCount {
      let expected = ensemble.plainSums(matrix.row(row))
      try #require(sums.map { $0[row].bitPattern } == expected.map(\.bitPattern), "row \(row): \(matrix.row(row))")
    }
  }

  @Test("the sums of the definition, for trees of every size", arguments: [1, 2, 3, 8, 9, 31, 64, 65, 200, 256])
  func smallTrees(leaves: Int) throws {
    for seed in 0..<4 {
      var generator = TreeGenerator(seed: UInt64(leaves * 10 + seed))
      let ensemble = generator.ensemble(trees: 12, leaves: leaves, features: 3 + seed, outputs: 1 + seed % 3)
      try Self.expectPlain(ensemble, generator.matrix(rows: 130, features: ensemble.featureCount))
    }
  }

  @Test("trees with too many leaves for a byte, between small ones")
  func largeTrees() throws {
    var generator = TreeGenerator(seed: 7)
    var ensemble = generator.ensemble(trees: 3, leaves: 20, features: 4, outputs: 2)
    for leaves in [1500, 20, 257, 20] {
      let more = generator.ensemble(trees: 2, leaves: leaves, features: 4, outputs: 2)
      let offset = Int32(ensemble.nodes.count)
      ensemble.roots += more.roots.map { $0 + offset }
      ensemble.outputs += more.outputs
      ensemble.nodes += more.nodes.map { node in
        var node = node
        if !node.isLeaf { (node.left, node.right) = (node.left + offset, node.right + offset) }
        return node
      }
    }
    #expect(ensemble.roots.indices.contains { ensemble.leafCounts($0)[0] > BitvectorTrees.maxLeaves })
    try Self.expectPlain(ensemble, generator.matrix(rows: 300, features: 4))
  }

  @Test("more thresholds of a feature than ranks: several groups of trees")
  func manyThresholds() throws {
    var generator = TreeGenerator(seed: 8)
    let ensemble = generator.ensemble(trees: 60, leaves: 60, features: 2, anyThreshold: true)
    let table = ThresholdTable(ensemble)
    #expect(table.thresholds.allSatisfy { $0.count > 2 * BitvectorTrees.maxThresholds })
    var columns = [[Float]](repeating: [], count: 2)
    for index in 0..<1200 {
      for column in 0..<2 {
        let threshold = table.thresholds[column][(index * 7) % table.thresholds[column].count]
        columns[column].append(index % 3 == 0 ? threshold : index % 3 == 1 ? threshold.nextUp : generator.value())
      }
    }
    try Self.expectPlain(ensemble, FeatureMatrix(names: ["a", "b"], columns: columns))
  }

  @Test("a single tree with more than 254 thresholds of its only feature")
  func manyThresholdsInOneTree() throws {
    var generator = TreeGenerator(seed: 9)
    var nodes = [TreeEnsemble.Node](repeating: .init(), count: 511)
    for index in 0..<255 {
      nodes[index] = .init(
        feature: 0, threshold: Float(generator.random.nextUnit()), left: Int32(2 * index + 1),
        right: Int32(2 * index + 2))
    }
    for index in 255..<511 { nodes[index].value = Float(index) }
    let ensemble = TreeEnsemble(nodes: nodes, roots: [0], outputs: [0], baseValues: [0], featureCount: 1)
    #expect(ThresholdTable(ensemble).thresholds[0].count == 255)
    let column = (0..<300).map { _ in Float(generator.random.nextUnit()) }
    try Self.expectPlain(ensemble, FeatureMatrix(names: ["x"], columns: [column + [.nan, 0, 1]]))
  }

  @Test("a row scores the same to the last bit at any place in any matrix")
  func placeDoesNotMatter() {
    var generator = TreeGenerator(seed: 10)
    let ensemble = generator.ensemble(trees: 40, leaves: 40, features: 5)
    let matrix = generator.matrix(rows: 1100, features: 5)
    let scorer = TreeScorer(ensemble)
    let whole = scorer.sums(of: matrix)[0].map(\.bitPattern)
    for size in [1, 2, 15, 16, 17, 63, 64, 65, 511, 512, 513] {
      for start in [0, 3, 500] {
        let rows = Array(start..<start + size)
        #expect(scorer.sums(of: matrix.selecting(rows))[0].map(\.bitPattern) == Array(whole[start..<start + size]))
      }
    }
    let backwards = scorer.sums(of: matrix.selecting(Array((0..<1100).reversed())))[0].map(\.bitPattern)
    #expect(backwards == whole.reversed())
  }

  @Test("leaf values are added in the order of the trees, in Double")
  func orderOfAddition() {
    let values: [Float] = [1e20, 1, -1e20, 3e-8, 1]
    let ensemble = TreeEnsemble(
      nodes: values.map { .init(value: $0) }, roots: [0, 1, 2, 3, 4], outputs: [0, 0, 0, 0, 0], baseValues: [0.5],
      featureCount: 1)
    let expected = values.reduce(0.5) { $0 + Double($1) }
    #expect(ensemble.sums(of: FeatureMatrix(names: ["x"], columns: [[0, .nan]])) == [[expected, expected]])
  }

  @Test("no rows, no trees, no features")
  func nothing() {
    var generator = TreeGenerator(seed: 11)
    let ensemble = generator.ensemble(trees: 3, leaves: 5, features: 2, outputs: 2)
    #expect(ensemble.sums(of: generator.matrix(rows: 0, features: 2)) == [[], []])
    let empty = TreeEnsemble(nodes: [], roots: [], outputs: [], baseValues: [2], featureCount: 2)
    #expect(empty.sums(of: generator.matrix(rows: 3, features: 2)) == [[2, 2, 2]])
    let leaf = TreeEnsemble(
      nodes: [.init(value: 3)], roots: [0], outputs: [0], baseValues: [2], featureCount: 0)
    #expect(leaf.sums(of: FeatureMatrix(names: [], columns: [])) == [[]])
  }

  @Test("a tree as deep as it has nodes")
  func deepTree() throws {
    var generator = TreeGenerator(seed: 12)
    for leaves in [250, 513] {
      var nodes: [TreeEnsemble.Node] = []
      for index in 0..<leaves - 1 {
        let next = Int32(nodes.count)
        nodes.append(.init(feature: 0, threshold: Float(index), left: next + 1, right: next + 2))
        nodes.append(.init(value: Float(index), cover: 1))
      }
      nodes.append(.init(value: -1, cover: 1))
      let ensemble = TreeEnsemble(nodes: nodes, roots: [0], outputs: [0], baseValues: [0], featureCount: 1)
      let column = (0..<60).map { _ in Float(generator.random.next(below: leaves)) } + [.infinity]
      try Self.expectPlain(ensemble, FeatureMatrix(names: ["x"], columns: [column]))
      #expect(ensemble.withMeanValues().nodes[0].cover == Float(leaves))
    }
  }
}
