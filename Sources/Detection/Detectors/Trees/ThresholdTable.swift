// Where a value lies among all thresholds that an ensemble compares it with. One binary search per value answers every
// test of its feature; what follows works on small integers.

/// The thresholds of each feature, ascending.
struct ThresholdTable: Sendable {
  /// Per feature the distinct thresholds.
  let thresholds: [[Float]]
  /// The thresholds of each feature as keys of a perfect search tree, level by level from the back, feature by feature.
  /// What is not a threshold is above all keys.
  private let keys: [Int32]
  /// Where the keys of a feature end.
  private let ends: [Int]
  /// Levels of each feature's search tree.
  private let depths: [Int]

  init(_ ensemble: TreeEnsemble) {
    var distinct = [Set<Float>](repeating: [], count: ensemble.featureCount)
    for node in ensemble.nodes where !node.isLeaf { distinct[Int(node.feature)].insert(node.threshold) }
    thresholds = distinct.map { $0.sorted() }
    var (keys, ends, depths): ([Int32], [Int], [Int]) = ([], [], [])
    for values in thresholds {
      let depth = Int.bitWidth - values.count.leadingZeroBitCount
      keys += (1..<1 << depth).reversed().map { index -> Int32 in
        // In order, a node of a level comes behind the nodes before it with all below them, and its own left half.
        let level = Int.bitWidth - 1 - index.leadingZeroBitCount
        let width = 1 << (depth - level)
        let order = (index - (1 << level)) * width + width / 2 - 1
        return order < values.count ? Int32(truncatingIfNeeded: Self.key(values[order])) : .max
      }
      ends.append(keys.count)
      depths.append(depth)
    }
    (self.keys, self.ends, self.depths) = (keys, ends, depths)
  }

  /// The position that stands for a missing value of a feature.
  func missing(_ feature: Int) -> Int { thresholds[feature].count + 1 }

  /// Writes the number of the feature's thresholds below each value, or `missing(feature)`, to `positions` from index
  /// `target` on.
  func locate(_ values: Span<Float>, feature: Int, into positions: inout MutableSpan<Int>, at target: Int) {
    precondition(target >= 0 && values.count <= positions.count - target, "no room for \(values.count) positions")
    let (end, depth, missing) = (ends[feature], depths[feature], missing(feature))
    let keys = keys.span
    // SAFETY: `row` is below the count of values, for which there is room. After n steps the index is above
    // -2^(n + 1), and the feature has 2^depth - 1 keys. Bounds checks would cost more than the search.
    for row in 0..<values.count { positions[unchecked: target &+ row] = Self.key(values[unchecked: row]) }
    for row in 0..<values.count {
      // Half of the comparisons cannot be predicted, so there must be no branch: a difference's sign is added to the
      // index, which counts backwards. With a key that comes from memory the compiler does not turn that back into one.
      let key = positions[unchecked: target &+ row]
      var index = -1
      for _ in 0..<depth { index = 2 &* index &+ ((Int(keys[unchecked: end &+ index]) &- key) >> 63) }
      let isMissing = values[unchecked: row].isNaN
      positions[unchecked: target &+ row] = isMissing ? missing : -index &- (1 &<< depth)
    }
  }

  /// Integers in the order of the numbers; adding zero makes -0 equal to 0.
  @inline(__always)
  private static func key(_ value: Float) -> Int {
    let bits = Int(Int32(bitPattern: (value + 0).bitPattern))
    return bits ^ ((bits >> 63) & 0x7fff_ffff)
  }
}
