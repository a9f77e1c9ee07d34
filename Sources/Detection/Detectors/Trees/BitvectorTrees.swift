// Trees whose exit leaves are found for many rows at once, without walking: every test of a tree is made, for 16 rows by
// one comparison of bytes, and strikes out the leaves that its outcome rules out; the first leaf that remains is the exit
// (Lucchese et al., "QuickScorer", SIGIR 2015; Ye et al., "RapidScorer", KDD 2018, for bytes as lanes).
//
// A tree's leaves are numbered so that of each inner node the child with fewer leaves comes first; a test strikes out
// the leaves of the first child where it sends a row to the second. Eight leaves share a byte, a plane. Which of a row's
// leaves in one plane remain is worked out in a register, from the tests that concern the plane.
//
// Values are compared as ranks: the number of the feature's thresholds below them, so that `x <= threshold` is
// `rank <= index of the threshold`, with at most 254 thresholds per feature. Missing values have the least rank or one
// above all others, by the side they take.

/// Consecutive trees of an ensemble with few leaves.
struct BitvectorTrees: Sendable {
  typealias Bytes = SIMD16<UInt8>

  /// Leaves whose numbers fit a byte.
  static let maxLeaves = 256
  static let maxThresholds = 254
  /// Rows whose leaves are found at once; four registers of remaining leaves.
  static let rowsAtOnce = 64

  /// How the tests of a group of nodes read a feature. A test sends a row to the second child where its rank is above the
  /// test's; where that is the left child, ranks are mirrored.
  struct Slot: Hashable {
    var feature: Int
    var missingLeft: Bool
    var mirrored: Bool
  }

  /// A test and the leaves of one plane that it strikes out.
  private struct Strike {
    var rank: SIMD16<Int8>
    var leaves: Bytes
  }

  private(set) var slots: [Slot] = []
  /// Per slot and position among the ensemble's thresholds the rank to compare.
  private var rankTables: [[Int8]] = []
  /// The strikes of all planes, and the slot that each reads.
  private var strikes: [Strike] = []
  private var strikeSlots: [Int32] = []
  /// Where a plane's strikes begin; one more at the end.
  private var planeStarts: [Int32] = []
  /// Where a tree's planes begin; one more at the end.
  private var treePlanes: [Int32] = [0]
  /// The leaves' values in their order, and where those of a tree begin.
  private var leaves: [Double] = []
  private var treeLeaves: [Int32] = []
  private var outputs: [Int] = []

  /// Adds to the rows' sums, tree by tree.
  /// - Parameters:
  ///   - positions: of the rows' values among the thresholds, feature by feature, `capacity` rows each.
  ///   - rows: how many of them there are.
  ///   - ranks: scratch, at least `capacity` per slot.
  ///   - sums: `capacity` per output.
  ///   - capacity: rows that there is room for, a multiple of `rowsAtOnce`. What lies in the room behind `rows` is not
  ///     used, and its sums are worth nothing.
  func add(
    positions: Span<Int>, rows: Int, ranks: inout [SIMD16<Int8>], sums: inout [Double], capacity: Int
  ) {
    precondition(rows <= capacity && capacity % Self.rowsAtOnce == 0, "\(rows) rows in room for \(capacity)")
    precondition(ranks.count * 16 >= slots.count * capacity, "no room for the ranks")
    precondition(sums.count > (outputs.max() ?? 0) * capacity + capacity - 1, "no room for the sums")
    rank(positions, rows: rows, into: &ranks, capacity: capacity)
    let ranks = ranks.span
    var sums = sums.mutableSpan
    for tree in treeLeaves.indices {
      for row in stride(from: 0, to: rows, by: Self.rowsAtOnce) {
        addTree(tree, ranks, row: row, to: &sums, at: outputs[tree] * capacity + row, capacity: capacity)
      }
    }
  }

  /// The ranks of the rows' values, slot by slot.
  private func rank(_ positions: Span<Int>, rows: Int, into ranks: inout [SIMD16<Int8>], capacity: Int) {
    // SAFETY: SIMD16<Int8> is 16 bytes and nothing else, so that its memory may be written byte by byte; `add` has
    // checked the room. A position is at most that of missing values, the last of its table.
    ranks.withUnsafeMutableBytes { bytes in
      for (index, slot) in slots.enumerated() {
        let ranks = rankTables[index]
        let table = ranks.span
        let target = index * capacity
        for row in 0..<rows {
          let position = positions[unchecked: slot.feature &* capacity &+ row]
          bytes.storeBytes(of: table[unchecked: position], toByteOffset: target &+ row, as: Int8.self)
        }
      }
    }
  }

  /// Adds the exit leaves of one tree for `rowsAtOnce` rows.
  @inline(__always)
  private func addTree(
    _ tree: Int, _ ranks: Span<SIMD16<Int8>>, row: Int, to sums: inout MutableSpan<Double>, at target: Int,
    capacity: Int
  ) {
    // SAFETY: indices of strikes, planes and leaves come from `append`, which made them together; the room for ranks and
    // sums was checked by `add`. Bounds checks would double the work.
    let (strikes, strikeSlots, planeStarts) = (strikes.span, strikeSlots.span, planeStarts.span)
    let firstPlane = Int(treePlanes[tree])
    let (perSlot, offset) = (capacity / 16, row / 16)
    var first = (FirstLeaf(), FirstLeaf(), FirstLeaf(), FirstLeaf())
    var plane = Int(treePlanes[tree + 1]) - 1
    while plane >= firstPlane {
      var (a, b) = (Bytes(repeating: 255), Bytes(repeating: 255))
      var (c, d) = (a, b)
      var index = Int(planeStarts[unchecked: plane])
      let end = Int(planeStarts[unchecked: plane &+ 1])
      while index < end {
        let strike = strikes[unchecked: index]
        let source = Int(strikeSlots[unchecked: index]) &* perSlot &+ offset
        a &= ~(Self.bits(ranks[unchecked: source] .> strike.rank) & strike.leaves)
        b &= ~(Self.bits(ranks[unchecked: source &+ 1] .> strike.rank) & strike.leaves)
        c &= ~(Self.bits(ranks[unchecked: source &+ 2] .> strike.rank) & strike.leaves)
        d &= ~(Self.bits(ranks[unchecked: source &+ 3] .> strike.rank) & strike.leaves)
        index &+= 1
      }
      let number = Bytes(repeating: UInt8(truncatingIfNeeded: (plane &- firstPlane) &* 8))
      first.0.take(a, plane: number)
      first.1.take(b, plane: number)
      first.2.take(c, plane: number)
      first.3.take(d, plane: number)
      plane &-= 1
    }
    addLeaves(first.0.number, of: tree, to: &sums, at: target)
    addLeaves(first.1.number, of: tree, to: &sums, at: target &+ 16)
    addLeaves(first.2.number, of: tree, to: &sums, at: target &+ 32)
    addLeaves(first.3.number, of: tree, to: &sums, at: target &+ 48)
  }

  @inline(__always)
  private func addLeaves(_ numbers: Bytes, of tree: Int, to sums: inout MutableSpan<Double>, at target: Int) {
    // SAFETY: as for `addTree`; the leaf that remains is one of the tree's.
    let leaves = leaves.span
    let base = Int(treeLeaves[tree])
    for lane in 0..<16 { sums[unchecked: target &+ lane] += leaves[unchecked: base &+ Int(numbers[lane])] }
  }

  /// All bits set where a comparison is true.
  @inline(__always)
  private static func bits(_ mask: SIMDMask<SIMD16<Int8>>) -> Bytes {
    // SAFETY: a mask of bytes is stored as 16 bytes of all ones or zeros.
    unsafeBitCast(mask, to: Bytes.self)
  }

  /// The first leaf that remains of 16 rows, found plane by plane from the last to the first.
  private struct FirstLeaf {
    private var leaves = Bytes()
    private var plane = Bytes()

    /// The remaining leaves of a plane, which begins with leaf `plane`, come before what was found so far.
    @inline(__always)
    mutating func take(_ remaining: Bytes, plane number: Bytes) {
      let none = remaining .== Bytes()
      leaves = remaining.replacing(with: leaves, where: none)
      plane = number.replacing(with: plane, where: none)
    }

    /// The number of the leaf: the plane's plus the place of its lowest bit.
    @inline(__always)
    var number: Bytes {
      let lowest = leaves & (~leaves &+ 1)
      let ones = Bytes(repeating: 1).replacing(with: Bytes(), where: (lowest & 0xaa) .== Bytes())
      let twos = Bytes(repeating: 2).replacing(with: Bytes(), where: (lowest & 0xcc) .== Bytes())
      let fours = Bytes(repeating: 4).replacing(with: Bytes(), where: (lowest & 0xf0) .== Bytes())
      return plane | ones | twos | fours
    }
  }
}

// MARK: - Making them

extension BitvectorTrees {
  /// Trees of a valid ensemble, each with at most `maxLeaves` leaves, together with at most `maxThresholds` thresholds of
  /// a feature.
  init(_ ensemble: TreeEnsemble, trees: Range<Int>, _ table: ThresholdTable) {
    var thresholds = [Set<Float>](repeating: [], count: ensemble.featureCount)
    for tree in trees {
      for node in ensemble.nodes[ensemble.nodeRange(tree)] where !node.isLeaf {
        thresholds[Int(node.feature)].insert(node.threshold)
      }
    }
    let sorted = thresholds.map { $0.sorted() }
    let ranks = sorted.map { Dictionary(uniqueKeysWithValues: zip($0, 0...)) }
    var numbers: [Slot: Int] = [:]
    for tree in trees { append(ensemble, tree, ranks, &numbers) }
    planeStarts.append(Int32(strikes.count))
    rankTables = slots.map { Self.rankTable($0, sorted[$0.feature], table) }
  }

  /// The ranks of a slot, as signed bytes, at each position among the ensemble's thresholds and for missing values.
  private static func rankTable(_ slot: Slot, _ thresholds: [Float], _ table: ThresholdTable) -> [Int8] {
    var ranks: [UInt8] = [0]
    for threshold in table.thresholds[slot.feature] {
      let rank = ranks[ranks.count - 1]
      ranks.append(Int(rank) < thresholds.count && thresholds[Int(rank)] == threshold ? rank + 1 : rank)
    }
    ranks.append(slot.missingLeft ? 0 : 255)
    return ranks.map { Int8(bitPattern: slot.mirrored ? ~($0 ^ 0x80) : $0 ^ 0x80) }
  }

  private mutating func append(
    _ ensemble: TreeEnsemble, _ tree: Int, _ ranks: [[Float: Int]], _ numbers: inout [Slot: Int]
  ) {
    let range = ensemble.nodeRange(tree)
    let leafCounts = ensemble.leafCounts(tree)
    func leafCount(_ node: Int32) -> Int { leafCounts[Int(node) - range.lowerBound] }
    var planes = [[(slot: Int, strike: Strike)]](repeating: [], count: (leafCounts[0] + 7) / 8)
    treeLeaves.append(Int32(leaves.count))
    outputs.append(Int(ensemble.outputs[tree]))
    var leaf = 0
    var open = [Int32(range.lowerBound)]
    while let index = open.popLast() {
      let node = ensemble.nodes[Int(index)]
      if node.isLeaf {
        leaves.append(Double(node.value))
        leaf += 1
        continue
      }
      let mirrored = leafCount(node.right) < leafCount(node.left)
      let (first, second) = mirrored ? (node.right, node.left) : (node.left, node.right)
      open += [second, first]
      let slot = Slot(feature: Int(node.feature), missingLeft: node.missingLeft, mirrored: mirrored)
      let number = numbers[slot] ?? slots.count
      if number == slots.count {
        numbers[slot] = number
        slots.append(slot)
      }
      // Above the mirrored rank less one are the mirrored ranks of what is not above the rank.
      let rank = Int8(ranks[slot.feature][node.threshold, default: 0] - 128)
      let compared = mirrored ? ~rank - 1 : rank
      let struck = leaf..<leaf + leafCount(first)
      for plane in struck.lowerBound / 8...(struck.upperBound - 1) / 8 {
        let bits = (0..<8).reduce(UInt8(0)) { struck.contains(plane * 8 + $1) ? $0 | 1 << $1 : $0 }
        planes[plane].append((number, Strike(rank: .init(repeating: compared), leaves: .init(repeating: bits))))
      }
    }
    for plane in planes {
      planeStarts.append(Int32(strikes.count))
      strikes += plane.map(\.strike)
      strikeSlots += plane.map { Int32($0.slot) }
    }
    treePlanes.append(Int32(planeStarts.count))
  }
}

extension TreeEnsemble {
  /// Leaves below each node of a tree, the node itself if it is one.
  func leafCounts(_ tree: Int) -> [Int] {
    let range = nodeRange(tree)
    var counts = [Int](repeating: 1, count: range.count)
    // Children lie behind their parents.
    for index in range.reversed() where !nodes[index].isLeaf {
      let (left, right) = (Int(nodes[index].left), Int(nodes[index].right))
      counts[index - range.lowerBound] = counts[left - range.lowerBound] + counts[right - range.lowerBound]
    }
    return counts
  }
}
