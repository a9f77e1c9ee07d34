// Many small priority queues over one pool of nodes: pairing heaps (M. L. Fredman, R. Sedgewick, D. D. Sleator,
// R. E. Tarjan, "The pairing heap: a new form of self-adjusting heap", Algorithmica 1, 1986) linked by indexes. Insert is
// O(1), removal of any node O(log n) amortised. Invariants: a root has neither sibling nor previous; `previous` of a first
// child is its parent, of another child the sibling before it. Which of two equal keys is on top depends on history, the
// key on top does not.

/// Heaps over nodes named by the caller, smallest key on top. A heap is its root, which the caller keeps.
struct PairingHeap: Sendable {
  /// No node: an empty heap.
  static let none = UInt32.max

  private var keys: [Int64] = []
  private var child: [UInt32] = []
  private var sibling: [UInt32] = []
  private var previous: [UInt32] = []

  var heldBytes: Int { keys.heldBytes + child.heldBytes + sibling.heldBytes + previous.heldBytes }

  /// Makes room for nodes below `count`.
  mutating func grow(to count: Int) {
    let more = count - keys.count
    guard more > 0 else { return }
    keys.append(contentsOf: repeatElement(0, count: more))
    child.append(contentsOf: repeatElement(Self.none, count: more))
    sibling.append(contentsOf: repeatElement(Self.none, count: more))
    previous.append(contentsOf: repeatElement(Self.none, count: more))
  }

  /// The key a node was inserted with.
  @inline(__always)
  func key(of node: UInt32) -> Int64 { keys[Int(node)] }

  /// Adds a node that is in no heap; returns the new root.
  @inline(__always)
  mutating func insert(_ node: UInt32, key: Int64, into root: UInt32) -> UInt32 {
    keys[Int(node)] = key
    child[Int(node)] = Self.none
    sibling[Int(node)] = Self.none
    previous[Int(node)] = Self.none
    return root == Self.none ? node : link(root, node)
  }

  /// Removes a node of this heap; returns the new root.
  mutating func remove(_ node: UInt32, from root: UInt32) -> UInt32 {
    let rest = mergedChildren(of: node)
    guard node != root else { return rest }
    let before = previous[Int(node)]
    let after = sibling[Int(node)]
    if child[Int(before)] == node { child[Int(before)] = after } else { sibling[Int(before)] = after }
    if after != Self.none { previous[Int(after)] = before }
    return rest == Self.none ? root : link(root, rest)
  }

  /// Joins two roots; the larger becomes the first child of the smaller.
  @inline(__always)
  private mutating func link(_ a: UInt32, _ b: UInt32) -> UInt32 {
    let (top, below) = keys[Int(b)] < keys[Int(a)] ? (b, a) : (a, b)
    let first = child[Int(top)]
    sibling[Int(below)] = first
    previous[Int(below)] = top
    if first != Self.none { previous[Int(first)] = below }
    child[Int(top)] = below
    return top
  }

  /// The children of a node as one heap: joined in pairs from left to right, the pairs from right to left.
  private mutating func mergedChildren(of node: UInt32) -> UInt32 {
    var next = child[Int(node)]
    var pairs = Self.none  // chained through `sibling`, the last pair first
    while next != Self.none {
      let a = next
      let b = sibling[Int(a)]
      next = b == Self.none ? Self.none : sibling[Int(b)]
      detach(a)
      var pair = a
      if b != Self.none {
        detach(b)
        pair = link(a, b)
      }
      sibling[Int(pair)] = pairs
      pairs = pair
    }
    var root = Self.none
    while pairs != Self.none {
      let pair = pairs
      pairs = sibling[Int(pair)]
      detach(pair)
      root = root == Self.none ? pair : link(root, pair)
    }
    return root
  }

  @inline(__always)
  private mutating func detach(_ node: UInt32) {
    sibling[Int(node)] = Self.none
    previous[Int(node)] = Self.none
  }
}
