// Trees from a damaged or foreign file are refused with a sentence, never followed.

import Testing

@testable import Detection

@Suite("Tree validation")
struct TreeEnsembleValidationTests {
  /// Two trees, of three nodes and of one.
  private static let valid = TreeEnsemble(
    nodes: [
      .init(feature: 1, threshold: .infinity, left: 1, right: 2, cover: 3), .init(value: 1, cover: 1),
      .init(value: 2, cover: 2), .init(value: 3),
    ], roots: [0, 3], outputs: [0, 1], baseValues: [0, 0], featureCount: 2)

  @Test("what is right passes")
  func valid() throws {
    try Self.valid.validate()
    try TreeEnsemble(nodes: [], roots: [], outputs: [], baseValues: [], featureCount: 0).validate()
    var generator = TreeGenerator(seed: 1)
    try generator.ensemble(trees: 5, leaves: 100, features: 3, outputs: 2).validate()
  }

  struct Damage: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let apply: @Sendable (inout TreeEnsemble) -> Void

    init(_ message: String, _ apply: @escaping @Sendable (inout TreeEnsemble) -> Void) {
      testDescription = message
      self.apply = apply
    }
  }

  static let damages: [Damage] = [
    Damage("node 0 tests feature 2, but there are 2") { $0.nodes[0].feature = 2 },
    Damage("node 0 tests feature -2, but there are 2") { $0.nodes[0].feature = -2 },
    Damage("the threshold of node 0 is not a number") { $0.nodes[0].threshold = .nan },
    Damage("the value of node 2 is inf") { $0.nodes[2].value = .infinity },
    Damage("the value of node 0 is nan") { $0.nodes[0].value = .nan },
    Damage("the cover of node 1 is -1.0") { $0.nodes[1].cover = -1 },
    Damage("the cover of node 1 is nan") { $0.nodes[1].cover = .nan },
    Damage("node 0 has the child 0, which must lie behind it and before 3") { $0.nodes[0].left = 0 },
    Damage("node 0 has the child -1, which must lie behind it and before 3") { $0.nodes[0].left = -1 },
    Damage("node 0 has the child 3, which must lie behind it and before 3") { $0.nodes[0].right = 3 },
    Damage("node 1 is the child of two nodes") { $0.nodes[0].right = 1 },
    Damage("node 3 is the child of none") {
      $0.roots = [0]
      $0.outputs = [0]
    },
    Damage("tree 0 has the nodes from 0 up to 0, of 4") { $0.roots = [0, 0] },
    Damage("tree 0 has the nodes from 0 up to 9, of 4") { $0.roots = [0, 9] },
    Damage("the nodes before the first root belong to no tree") { $0.roots = [1, 3] },
    Damage("the nodes before the first root belong to no tree") {
      $0.roots = []
      $0.outputs = []
    },
    Damage("2 trees, but outputs for 1") { $0.outputs = [0] },
    Damage("tree 1 adds to output 2, but there are 2") { $0.outputs[1] = 2 },
    Damage("tree 0 adds to output -1, but there are 2") { $0.outputs[0] = -1 },
    Damage("a base value is not finite") { $0.baseValues[1] = .nan },
    Damage("it claims -1 features") { $0.featureCount = -1 },
  ]

  @Test("what is wrong is named", arguments: damages)
  func damaged(_ damage: Damage) {
    var ensemble = Self.valid
    damage.apply(&ensemble)
    let error = #expect(throws: InvalidTreeEnsemble.self) { try ensemble.validate() }
    #expect(error?.description == damage.testDescription)
  }

  @Test("trees deeper than the bound are refused")
  func tooDeep() throws {
    var nodes: [TreeEnsemble.Node] = []
    for index in 0..<1_025 {
      let next = Int32(2 * index)
      nodes += [.init(feature: 0, threshold: Float(index), left: next + 1, right: next + 2), .init(value: 1)]
    }
    nodes.append(.init())
    let ensemble = TreeEnsemble(nodes: nodes, roots: [0], outputs: [0], baseValues: [0], featureCount: 1)
    let error = #expect(throws: InvalidTreeEnsemble.self) { try ensemble.validate() }
    #expect(error?.description == "tree 0 is deeper than 1024 tests")
  }
}
