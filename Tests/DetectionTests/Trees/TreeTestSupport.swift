// Random trees and rows, and the plainest way to score one with the other.

@testable import Detection

/// Random ensembles and matrices for property tests.
struct TreeGenerator {
  var random: FittingRandom

  init(seed: UInt64) { random = FittingRandom(seed: seed) }

  /// Values that coincide with thresholds often, and the ones that are easily got wrong.
  mutating func value() -> Float {
    let special: [Float] = [
      .nan, -.nan, .infinity, -.infinity, 0, -0.0, 1e-36, -1e-36, .greatestFiniteMagnitude, .leastNonzeroMagnitude,
    ]
    switch random.next(below: 8) {
    case 0: return special[random.next(below: special.count)]
    case 1: return threshold().nextUp
    case 2: return threshold().nextDown
    case 3: return Float(random.nextUnit() * 100 - 50)
    default: return threshold()
    }
  }

  mutating func threshold() -> Float {
    switch random.next(below: 20) {
    case 0: return -0.0
    case 1: return random.next(below: 2) == 0 ? .infinity : -.infinity
    case 2: return Float(random.nextUnit() * 100 - 50)
    default: return Float(random.next(below: 41) - 20) * 0.37
    }
  }

  mutating func matrix(rows: Int, features: Int) -> FeatureMatrix {
    let names = (0..<features).map { String(1000 + $0) }
    return FeatureMatrix(names: names, columns: names.map { _ in (0..<rows).map { _ in value() } })
  }

  /// Trees with up to `leaves` leaves, of any shape.
  mutating func ensemble(
    trees: Int, leaves: Int, features: Int, outputs: Int = 1, anyThreshold: Bool = false
  ) -> TreeEnsemble {
    var result = TreeEnsemble(
      nodes: [], roots: [], outputs: [], baseValues: (0..<outputs).map { _ in Float(random.nextUnit()) },
      featureCount: features)
    for _ in 0..<trees {
      let root = result.nodes.count
      result.roots.append(Int32(root))
      result.outputs.append(Int32(random.next(below: outputs)))
      result.nodes.append(leaf())
      var open = [root]
      for _ in 0..<random.next(below: leaves) {
        // The last leaf often: deep trees.
        let chosen = random.next(below: 2) == 0 ? open.count - 1 : random.next(below: open.count)
        let index = open.remove(at: chosen)
        let left = Int32(result.nodes.count)
        result.nodes += [leaf(), leaf()]
        let children = [Int(left), Int(left) + 1]
        open += random.next(below: 2) == 0 ? children : children.reversed()
        let threshold = anyThreshold ? Float(random.nextUnit() * 100 - 50) : threshold()
        result.nodes[index] = TreeEnsemble.Node(
          feature: Int32(random.next(below: features)), threshold: threshold, left: left, right: left + 1,
          missingLeft: random.next(below: 2) == 0)
      }
    }
    return result
  }

  private mutating func leaf() -> TreeEnsemble.Node {
    TreeEnsemble.Node(value: Float(random.nextUnit() * 2 - 1), cover: Float(1 + random.next(below: 100)))
  }
}

extension TreeEnsemble {
  /// The exit leaf of a tree for a row, by the definition.
  func exit(tree: Int, _ row: [Float]) -> Node {
    var node = nodes[Int(roots[tree])]
    while node.feature >= 0 {
      let value = row[Int(node.feature)]
      let goesLeft = value != value ? node.missingLeft : value <= node.threshold
      node = nodes[Int(goesLeft ? node.left : node.right)]
    }
    return node
  }

  /// The sums of a row, by the definition.
  func plainSums(_ row: [Float]) -> [Double] {
    var sums = baseValues.map { Double($0) }
    for tree in roots.indices { sums[Int(outputs[tree])] += Double(exit(tree: tree, row).value) }
    return sums
  }
}

extension FeatureMatrix {
  /// Some of the rows, in this order.
  func selecting(_ rows: [Int]) -> FeatureMatrix {
    FeatureMatrix(names: names, columns: names.indices.map { column in rows.map { self[$0, column] } })
  }
}
