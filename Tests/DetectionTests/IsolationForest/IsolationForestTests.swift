// The isolation forest against its formula, computed in the plainest way, and over rows that are easily got wrong.

import Foundation
import Testing

@testable import Detection

@Suite("Isolation forest")
struct IsolationForestTests {
  /// c(n) as the paper states it.
  static func c(_ n: Double) -> Double {
    n > 2 ? 2 * (log(n - 1) + 0.5772156649) - 2 * (n - 1) / n : n == 2 ? 1 : 0
  }

  /// The score of a row, from splits and training rows alone.
  static func formula(_ forest: IsolationForest, _ row: [Float]) -> Double {
    var sum = 0.0
    for root in forest.trees.roots {
      var (node, depth) = (forest.trees.nodes[Int(root)], 0.0)
      while node.feature >= 0 {
        let value = row[Int(node.feature)]
        let goesLeft = value.isNaN ? node.missingLeft : value <= node.threshold
        node = forest.trees.nodes[Int(goesLeft ? node.left : node.right)]
        depth += 1
      }
      sum += depth + c(Double(node.cover))
    }
    return pow(2, -(sum / Double(forest.trees.roots.count)) / c(Double(forest.sampleSize)))
  }

  /// Normally distributed columns, some of them skewed, with outliers in the last rows.
  static func matrix(rows: Int, columns: Int, seed: UInt64) -> FeatureMatrix {
    var random = FittingRandom(seed: seed)
    func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + random.nextUnit() } }
    let values = (0..<columns).map { column in
      (0..<rows).map { row -> Float in
        let value = normal() * (row >= rows - rows / 100 ? 8 : 1)
        return Float(column % 2 == 0 ? value : exp(value))
      }
    }
    return FeatureMatrix(names: (0..<columns).map { String(100 + $0) }, columns: values)
  }

  @Test("scores equal the formula", arguments: [(1, 10), (7, 256), (100, 256), (3, 5000)])
  func formulaHolds(trees: Int, sampleSize: Int) throws {
    let matrix = Self.matrix(rows: 3000, columns: 6, seed: 1)
    let forest = IsolationForest.fit(matrix, treeCount: trees, sampleSize: sampleSize, seed: 4)
    try forest.trees.validate()
    #expect(forest.sampleSize == min(sampleSize, 3000))
    let scores = forest.scores(of: matrix)
    for row in 0..<3000 {
      try #require(abs(scores[row] - Self.formula(forest, matrix.row(row))) < 1e-6)
      try #require(scores[row] > 0 && scores[row] < 1)
    }
    if trees == 100 {
      let normal = scores[..<2970].sorted()[1485]
      let outlying = scores[2970...].sorted()[15]
      #expect(normal < 0.5 && outlying > 0.6, "\(normal), \(outlying)")
    }
  }

  @Test("c(n)")
  func averagePathLength() {
    #expect([0, 1, 2].map(IsolationForest.averagePathLength) == [0, 0, 1])
    #expect(abs(IsolationForest.averagePathLength(of: 3) - (2 * (log(2) + 0.5772156649) - 4.0 / 3)) < 1e-12)
    #expect(abs(IsolationForest.averagePathLength(of: 256) - 10.244770920) < 1e-6)
  }

  @Test("trees split their sample until it is alone, alike or at the height limit")
  func structure() throws {
    let matrix = Self.matrix(rows: 1000, columns: 4, seed: 2)
    let forest = IsolationForest.fit(matrix, treeCount: 30, sampleSize: 100, seed: 1)
    for root in forest.trees.roots {
      #expect(forest.trees.nodes[Int(root)].cover == 100)
      var open = [(Int(root), 0)]
      while let (index, depth) = open.popLast() {
        let node = forest.trees.nodes[index]
        guard !node.isLeaf else {
          #expect(depth == 7 || node.cover == 1)
          #expect(abs(Double(node.value) - Double(depth) - Self.c(Double(node.cover))) < 1e-6)
          continue
        }
        let (left, right) = (forest.trees.nodes[Int(node.left)], forest.trees.nodes[Int(node.right)])
        #expect(left.cover >= 1 && right.cover >= 1 && left.cover + right.cover == node.cover)
        #expect(node.missingLeft == (left.cover >= right.cover))
        let mean = (left.value * left.cover + right.value * right.cover) / node.cover
        #expect(abs(node.value - mean) < 1e-4)
        open += [(Int(node.left), depth + 1), (Int(node.right), depth + 1)]
      }
    }
  }

  @Test("the same seed gives the same forest, whatever the number of trees; another seed another")
  func seeds() {
    let matrix = Self.matrix(rows: 500, columns: 4, seed: 3)
    let forest = IsolationForest.fit(matrix, treeCount: 10, seed: 1)
    #expect(forest == IsolationForest.fit(matrix, treeCount: 10, seed: 1))
    #expect(forest != IsolationForest.fit(matrix, treeCount: 10, seed: 2))
    let more = IsolationForest.fit(matrix, treeCount: 20, seed: 1).trees
    #expect(Array(more.nodes[..<Int(more.roots[10])]) == forest.trees.nodes)
  }

  @Test("every feature that varies in a node is equally likely, constant ones are skipped")
  func featureChoice() {
    var random = FittingRandom(seed: 5)
    let varying = (0..<3).map { _ in (0..<400).map { _ in Float(random.nextUnit()) } }
    let constants: [[Float]] = [
      .init(repeating: 3, count: 400), .init(repeating: .nan, count: 400),
      (0..<400).map { $0 % 2 == 0 ? .nan : 7 }, .init(repeating: .infinity, count: 400),
    ]
    let matrix = FeatureMatrix(names: (0..<7).map(String.init), columns: varying + constants)
    let forest = IsolationForest.fit(matrix, treeCount: 3000, sampleSize: 64, seed: 1)
    var counts = [Int](repeating: 0, count: 7)
    for root in forest.trees.roots { counts[Int(forest.trees.nodes[Int(root)].feature)] += 1 }
    #expect(counts[3...].allSatisfy { $0 == 0 })
    #expect(counts[..<3].allSatisfy { abs($0 - 1000) < 160 }, "\(counts)")
    #expect(forest.trees.nodes.allSatisfy { $0.feature < 3 })
  }

  @Test("missing values go to the child with more rows, in training as in scoring")
  func missing() throws {
    let base = Self.matrix(rows: 800, columns: 3, seed: 6)
    var random = FittingRandom(seed: 7)
    let matrix = FeatureMatrix(
      names: base.names,
      columns: (0..<3).map { column in base.column(column).map { random.next(below: 4) == 0 ? .nan : $0 } })
    let forest = IsolationForest.fit(matrix, seed: 1)
    try forest.trees.validate()
    for node in forest.trees.nodes where !node.isLeaf {
      let (left, right) = (forest.trees.nodes[Int(node.left)], forest.trees.nodes[Int(node.right)])
      #expect(left.cover == right.cover || node.missingLeft == (left.cover > right.cover))
      #expect(left.cover > 0 && right.cover > 0)
    }
    let scores = forest.scores(of: matrix)
    for row in 0..<800 { #expect(abs(scores[row] - Self.formula(forest, matrix.row(row))) < 1e-6) }
    // Nothing known: taken for a row of the crowd.
    let unknown = FeatureMatrix(names: matrix.names, columns: [[.nan], [.nan], [.nan]])
    #expect(forest.scores(of: unknown)[0] < 0.5)
  }

  @Test("infinite and huge values are split off like any other outlier")
  func infinite() throws {
    let base = Self.matrix(rows: 300, columns: 3, seed: 8)
    var columns = (0..<3).map { Array(base.column($0)) }
    columns[0][0] = .infinity
    columns[1][1] = -.infinity
    columns[2][2] = .greatestFiniteMagnitude
    columns[2][3] = -.greatestFiniteMagnitude
    let matrix = FeatureMatrix(names: base.names, columns: columns)
    let forest = IsolationForest.fit(matrix, seed: 1)
    try forest.trees.validate()
    #expect(forest.trees.nodes.allSatisfy { $0.threshold.isFinite })
    let scores = forest.scores(of: matrix)
    let crowd = scores[10..<290].sorted()[140]
    #expect(scores[..<4].allSatisfy { $0 > crowd + 0.1 }, "\(scores[..<4]), \(crowd)")
    for row in 0..<10 { #expect(abs(scores[row] - Self.formula(forest, matrix.row(row))) < 1e-6) }
    let only = FeatureMatrix(names: ["x"], columns: [[.infinity, -.infinity, .nan, .infinity]])
    #expect(IsolationForest.fit(only, seed: 1).scores(of: only).allSatisfy { $0 > 0 && $0 < 1 })
    let neighbours = FeatureMatrix(names: ["x"], columns: [[0, .leastNonzeroMagnitude, -0.0]])
    let close = IsolationForest.fit(neighbours, seed: 1)
    #expect(Set(close.trees.nodes.filter { !$0.isLeaf }.map(\.threshold)) == [0])
  }

  @Test("one row, two rows, only constants, no features")
  func fewRows() {
    let one = FeatureMatrix(names: ["a", "b"], columns: [[1], [.nan]])
    #expect(IsolationForest.fit(one, seed: 1).scores(of: one) == [0.5])
    #expect(IsolationForest.fit(one, seed: 1).contributions(of: [5, 5]).total == -1)
    let two = FeatureMatrix(names: ["a"], columns: [[1, 2]])
    #expect(IsolationForest.fit(two, seed: 1).scores(of: two) == [0.5, 0.5])
    let constant = FeatureMatrix(
      names: ["a", "b"], columns: [.init(repeating: 4, count: 999), .init(repeating: 0, count: 999)])
    let forest = IsolationForest.fit(constant, seed: 1)
    #expect(forest.trees.nodes.count == 100)
    #expect(forest.scores(of: constant).allSatisfy { abs($0 - 0.5) < 1e-6 })
    let featureless = FeatureMatrix(names: ["a"], columns: [[.nan, .nan, .nan]])
    #expect(IsolationForest.fit(featureless, seed: 1).scores(of: featureless).allSatisfy { abs($0 - 0.5) < 1e-6 })
  }

  @Test("ten million rows are fitted from samples alone")
  func manyRows() {
    let rows = 10_000_000
    var state: UInt32 = 1
    let column = (0..<rows).map { _ -> Float in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(state >> 8)
    }
    let matrix = FeatureMatrix(names: ["x"], columns: [column])
    let forest = IsolationForest.fit(matrix, treeCount: 20, seed: 1)
    #expect(forest.trees.roots.allSatisfy { forest.trees.nodes[Int($0)].cover == 256 })
    let scores = forest.scores(of: FeatureMatrix(names: ["x"], columns: [[1e12, .nan]]))
    #expect(scores[0] > 0.6 && scores[1] < 0.5, "\(scores)")
    // Random trees over evenly spread values are random search trees: on average a path is as long as c(256) says.
    let ordinary = forest.scores(of: FeatureMatrix(names: ["x"], columns: [(1..<100).map { Float($0) * 160_000 }]))
    let mean = ordinary.reduce(0, +) / Double(ordinary.count)
    #expect(abs(mean - 0.5) < 0.03 && ordinary.allSatisfy { $0 < scores[0] }, "\(mean)")
  }

  @Test("base and contributions add up to the logarithm of the score")
  func contributions() {
    let matrix = Self.matrix(rows: 2000, columns: 5, seed: 9)
    let forest = IsolationForest.fit(matrix, seed: 1)
    let scores = forest.scores(of: matrix)
    for row in stride(from: 0, to: 2000, by: 10) {
      #expect(abs(forest.contributions(of: matrix.row(row)).total - log2(scores[row])) < 1e-6)
    }
  }
}
