// Boosted trees: what LightGBM trained scores the same in our hands as in its own, at every threshold; and training
// fails with a sentence where it cannot work.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Learning

@Suite("Boosted trees", .needsLightGBM)
struct BoostedTreesTests {
  /// Rows with all that can be hard: missing values, an ordinal category, values around zero, infinities, a constant, a
  /// column without any value, and one on a very large scale.
  static func rows(_ count: Int, seed: UInt64 = 1) -> [[Float]] {
    var generator = SeededRandom(seed: seed)
    // Not 1e-35 itself, which LightGBM sorts into one bin in training and into another in prediction.
    let tiny: [Float] = [0, -0.0, 1e-36, -1e-36, 2e-35, -2e-35, 1, -1]
    return (0..<count).map { _ in
      var row = (0..<9).map { _ in generator.normal() }
      if row[1] > 0.8 { row[1] = .nan }
      row[2] = Float(Int.random(in: -1..<6, using: &generator))
      row[3] = tiny.randomElement(using: &generator) ?? 0
      if abs(row[4]) > 2 { row[4] = row[4] > 0 ? .infinity : -.infinity }
      row[5] = 7
      row[6] = .nan
      row[7] *= 1e37
      return row
    }
  }

  static func target(_ rows: [[Float]], seed: UInt64 = 2) -> [Float] {
    var generator = SeededRandom(seed: seed)
    return rows.map { row in
      let missing: Float = row[1].isNaN ? 3 : row[1]
      let step: Float = row[3] < 0 ? -2 : row[3] > 0 ? 2 : 0
      let extreme: Float = row[4].isInfinite ? 4 : row[4]
      return 8 + row[0] * 2 + missing + row[2] + step + extreme + (row[7] > 0 ? 1 : 0) + generator.normal() * 0.2
    }
  }

  static func trainer(_ objective: BoostedTreesTrainer.Objective, trees: Int = 60) -> BoostedTreesTrainer {
    var trainer = BoostedTreesTrainer(objective: objective)
    trainer.trees = trees
    return trainer
  }

  /// The scores of LightGBM and of its trees in our form agree at every edge of the trees.
  func expectAgreement(_ booster: borrowing LightGBMBooster, _ what: String) throws {
    let ensemble = try booster.ensemble()
    try ensemble.validate(of: what)
    let rows = ensemble.edgeRows(seed: 5)
    let theirs = try booster.predict(FeatureMatrix(rows: rows))
    expectClose(rows.map { ensemble.naiveSums($0)[0] }, theirs, rows: rows, what)
  }

  @Test(
    "our sums equal LightGBM's, on rows at, below and above every threshold",
    arguments: [BoostedTreesTrainer.Objective.mean, .quantile(0.9)])
  func agreesWithLightGBM(_ objective: BoostedTreesTrainer.Objective) throws {
    let rows = Self.rows(5_000)
    let trainer = Self.trainer(objective)
    let booster = try trainer.booster(FeatureMatrix(rows: rows), target: Self.target(rows))
    try expectAgreement(booster, "\(objective)")
    let ensemble = try booster.ensemble()
    let tested = Set(ensemble.nodes.filter { !$0.isLeaf }.map(\.feature))
    #expect(tested.isSuperset(of: [0, 1, 2, 3, 4, 7]), "features that no tree tests prove nothing: \(tested)")
    #expect(ensemble.roots.count == 60)
  }

  @Test("nodes know the mean and the number of their training rows")
  func nodeMeans() throws {
    let rows = Self.rows(3_000)
    let ensemble = try Self.trainer(.mean, trees: 10).train(FeatureMatrix(rows: rows), target: Self.target(rows))
    for (tree, root) in ensemble.roots.enumerated() {
      var alone = ensemble
      alone.roots = [root]
      alone.outputs = [0]
      let mean = rows.reduce(0) { $0 + alone.naiveSums($1)[0] } / Double(rows.count)
      #expect(abs(Double(ensemble.nodes[Int(root)].value) - mean) < 1e-5, "tree \(tree)")
      #expect(ensemble.nodes[Int(root)].cover == 3_000, "tree \(tree)")
    }
    for node in ensemble.nodes where !node.isLeaf {
      #expect(ensemble.nodes[Int(node.left)].cover + ensemble.nodes[Int(node.right)].cover == node.cover)
    }
  }

  @Test("any number of threads grows the same trees", arguments: [BoostedTreesTrainer.Objective.mean, .quantile(0.9)])
  func threadsDoNotMatter(_ objective: BoostedTreesTrainer.Objective) throws {
    let rows = Self.rows(20_000)
    let features = FeatureMatrix(rows: rows)
    let models = try [1, 2, 3, 2].map { threads in
      var trainer = Self.trainer(objective, trees: 30)
      trainer.threads = threads
      return try trainer.train(features, target: Self.target(rows))
    }
    for model in models.dropFirst() { #expect(model == models[0]) }
  }

  @Test("a quantile lies where the level says")
  func quantile() throws {
    let rows = Self.rows(8_000)
    let target = Self.target(rows)
    let ensemble = try Self.trainer(.quantile(0.9), trees: 100).train(FeatureMatrix(rows: rows), target: target)
    let below = zip(rows, target).count { Double($1) <= ensemble.naiveSums($0)[0] }
    #expect((7_000...7_400).contains(below), "\(below) of 8000 lie below the 0.9 quantile")
  }

  @Test("thresholds that no training would choose are read as LightGBM means them", arguments: [0, 2, 8, 10])
  func handMadeThresholds(_ decision: Int) throws {
    let thresholds: [Double] = [
      0, -0.0, 1e-36, -1e-36, Double(Float(1e-35)), -Double(Float(1e-35)), 0.1, -0.1, 1e300, -1e300, 1e-300, -1e-300,
      1.0000000000000002, 0.99999999999999989, 5e-46, -5e-46, 3.5e38, Double(Float(1e-35).nextUp),
    ]
    for threshold in thresholds {
      let booster = try LightGBMBooster(
        library: try .open(), modelText: Self.stump(threshold: threshold, decision: decision))
      try expectAgreement(booster, "threshold \(threshold), decision \(decision)")
    }
  }

  /// A tree of one split, in LightGBM's format. Decision 2 is the default side, 8 that missing values are known.
  static func stump(threshold: Double, decision: Int) -> String {
    let tree = """
      Tree=0
      num_leaves=2
      num_cat=0
      split_feature=1
      split_gain=1
      threshold=\(threshold)
      decision_type=\(decision)
      left_child=-1
      right_child=-2
      leaf_value=1 2
      leaf_weight=3 4
      leaf_count=3 4
      internal_value=0
      internal_weight=7
      internal_count=7
      is_linear=0
      shrinkage=1


      """
    return """
      tree
      version=v4
      num_class=1
      num_tree_per_iteration=1
      label_index=0
      max_feature_idx=1
      objective=regression
      feature_names=a b
      feature_infos=none none
      tree_sizes=\(tree.utf8.count)

      \(tree)end of trees

      """
  }

  @Test("rows that teach nothing give a constant, and few or odd rows a model")
  func degenerateRows() throws {
    let constant = FeatureMatrix(rows: [[Float]](repeating: [1, .nan, 0], count: 500))
    let target = (0..<500).map { Float($0 % 7) }
    let flat = try Self.trainer(.mean).train(constant, target: target)
    #expect(abs(flat.naiveSums([1, 2, 3])[0] - Double(target.reduce(0, +)) / 500) < 1e-4)
    let same = try Self.trainer(.quantile(0.9)).train(
      FeatureMatrix(rows: Self.rows(500)), target: [Float](repeating: 4, count: 500))
    #expect(abs(same.naiveSums(Self.rows(1)[0])[0] - 4) < 1e-5)
    let single = try Self.trainer(.mean).train(FeatureMatrix(rows: [[1, 2]]), target: [5])
    #expect(single.naiveSums([0, 0]) == [5])
    let infinite = FeatureMatrix(rows: (0..<300).map { [$0 % 2 == 0 ? Float.infinity : -.infinity] })
    let split = try Self.trainer(.mean).train(infinite, target: (0..<300).map { Float($0 % 2) })
    #expect(split.naiveSums([.infinity])[0] < 0.1 && split.naiveSums([-.infinity])[0] > 0.9)
    #expect(flat.nodes[0].cover == 500)
    for model in [flat, same, single, split] { try model.validate(of: "degenerate") }
  }

  @Test("what cannot be trained on is refused with a sentence")
  func refusals() throws {
    let features = FeatureMatrix(rows: Self.rows(100))
    func reason(_ trainer: BoostedTreesTrainer, _ features: FeatureMatrix, _ target: [Float]) -> String {
      do {
        _ = try trainer.train(features, target: target)
        return "trained"
      } catch {
        return "\(error)"
      }
    }
    var target = [Float](repeating: 1, count: 100)
    target[3] = .nan
    target[4] = .infinity
    #expect(reason(.init(objective: .mean), features, target).contains("not a finite number in 2 of 100 rows"))
    #expect(reason(.init(objective: .mean), FeatureMatrix(names: [], columns: []), []).contains("0 rows of 0 features"))
    target = [Float](repeating: 1, count: 100)
    for level in [0, 1, Double.nan, -1] {
      #expect(reason(.init(objective: .quantile(level)), features, target).contains("between 0 and 1"))
    }
    var trainer = BoostedTreesTrainer(objective: .mean)
    trainer.trees = 0
    #expect(reason(trainer, features, target).contains("trees: 1 to 10000, found 0"))
    trainer = .init(objective: .mean)
    trainer.learningRate = .nan
    #expect(reason(trainer, features, target).contains("learning rate"))
  }

  @Test("progress is told after every tree, and may end training")
  func progressAndCancellation() throws {
    let rows = Self.rows(2_000)
    let features = FeatureMatrix(rows: rows)
    var seen: [Int] = []
    _ = try Self.trainer(.mean, trees: 5).train(features, target: Self.target(rows)) { tree, total in
      #expect(total == 5)
      seen.append(tree)
    }
    #expect(seen == [1, 2, 3, 4, 5])
    seen = []
    #expect(throws: CancellationError.self) {
      try Self.trainer(.mean, trees: 50).train(features, target: Self.target(rows)) { tree, _ in
        seen.append(tree)
        if tree == 3 { throw CancellationError() }
      }
    }
    #expect(seen == [1, 2, 3])
  }

  @Test("an error carries LightGBM's own words")
  func errorOfLightGBM() throws {
    let booster = try LightGBMBooster(library: try .open(), modelText: Self.stump(threshold: 0, decision: 0))
    let error = try #require(throws: OperatingError.self) { try booster.predict(FeatureMatrix(rows: [[1, 2, 3]])) }
    #expect(error.description.contains("LightGBM could not predict") && error.description.contains("3"))
    #expect(throws: OperatingError.self) { _ = try LightGBMBooster(library: try .open(), modelText: "nonsense") }
  }
}

@Suite("LightGBM's model text")
struct LightGBMModelTextTests {
  static let good = BoostedTreesTests.stump(threshold: 0.5, decision: 2)

  @Test("a text that is cut or changed is refused, never read as something else")
  func damage() throws {
    #expect(try LightGBMModelText(Self.good).ensemble().nodes.count == 3)
    for length in 0..<Self.good.count - "end of trees\n".count {
      #expect(throws: OperatingError.self) { try LightGBMModelText(String(Self.good.prefix(length))).ensemble() }
    }
    let changes = [
      ("left_child=-1", "left_child=0"), ("left_child=-1", "left_child=-3"), ("right_child=-2", "right_child=-1"),
      ("left_child=-1", "left_child=-9223372036854775808"), ("left_child=-1", "left_child=9223372036854775807"),
      ("split_feature=1", "split_feature=2"), ("split_feature=1", "split_feature=-1"), ("=0.5", "=nan"),
      ("leaf_value=1 2", "leaf_value=1 inf"), ("leaf_value=1 2", "leaf_value=1"), ("leaf_value=1 2", "leaf_value=1 x"),
      ("decision_type=2", "decision_type=1"), ("decision_type=2", "decision_type=4"), ("is_linear=0", "is_linear=1"),
      ("num_class=1", "num_class=2"), ("version=v4", "version=v5"), ("max_feature_idx=1", "max_feature_idx=-1"),
      ("num_leaves=2", "num_leaves=0"),
      ("num_leaves=2", "num_leaves=9223372036854775807"), ("max_feature_idx=1", "max_feature_idx=9223372036854775807"),
      ("leaf_count=3 4", "leaf_count=3"), ("num_leaves=2", "num_leaves=-9223372036854775808"),
    ]
    for (old, new) in changes {
      let text = Self.good.replacingOccurrences(of: old, with: new)
      #expect(text != Self.good)
      #expect(throws: OperatingError.self, "\(new)") { try LightGBMModelText(text).ensemble() }
    }
  }
}

@Suite("Native libraries that are missing")
struct MissingLibraryTests {
  @Test("the error says what is missing, what for, what was tried and how to install it")
  func messages() throws {
    let lightGBM = try #require(throws: OperatingError.self) {
      try LightGBMLibrary.find(environment: ["PULSE_LIGHTGBM_LIBRARY": "/nowhere/lib.so"])
    }
    #expect(lightGBM.kind == .missing)
    for part in ["LightGBM", "boosted trees", "/nowhere/lib.so", "PULSE_LIGHTGBM_LIBRARY", "scripts/setup", "libgomp1"]
    {
      #expect(lightGBM.description.contains(part), "no '\(part)' in: \(lightGBM)")
    }
    let onnxRuntime = try #require(throws: OperatingError.self) {
      try ONNXRuntimeLibrary.find(environment: ["PULSE_ONNXRUNTIME_LIBRARY": "/nowhere/lib.so"])
    }
    #expect(onnxRuntime.kind == .missing)
    for part in ["ONNX Runtime", "/nowhere/lib.so", "PULSE_ONNXRUNTIME_LIBRARY", "scripts/setup"] {
      #expect(onnxRuntime.description.contains(part), "no '\(part)' in: \(onnxRuntime)")
    }
  }

  #if os(Linux)
    @Test("another library is told from the right one")
    func anotherLibrary() throws {
      let one = try #require(throws: OperatingError.self) {
        try LightGBMLibrary.find(environment: ["PULSE_LIGHTGBM_LIBRARY": "libm.so.6"])
      }
      #expect(one.description.contains("is not LightGBM"), "\(one)")
      let other = try #require(throws: OperatingError.self) {
        try ONNXRuntimeLibrary.find(environment: ["PULSE_ONNXRUNTIME_LIBRARY": "libm.so.6"])
      }
      #expect(other.description.contains("is not ONNX Runtime"), "\(other)")
    }
  #endif
}
