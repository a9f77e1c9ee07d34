// Whether a whole string matches a pattern, in time proportional to its length. The sets of states that occur become the
// states of a deterministic automaton when they first occur (A. V. Aho, M. S. Lam, R. Sethi, J. D. Ullman, "Compilers",
// 3.7); a table that grows beyond its bound is begun anew, so the worst case is one pass over the program per scalar.
// Scalars that no set of the program tells apart share a column of the table.

/// A compiled pattern. It keeps the automaton it has built: one owner, no `Sendable`.
final class Pattern {
  private let program: PatternProgram
  /// The first scalars of the classes that no set tells apart, ascending; the first is 0.
  private let firsts: [UInt32]
  private let classOfASCII: [Int32]

  /// By state and class the next state; `unknown` until it is needed.
  private var table: [Int32] = []
  /// The steps each state is at: those that read, and anchors at the end; ascending.
  private var members: [[Int32]] = []
  private var accepts: [Bool] = []
  private var stateOfMembers: [[Int32]: Int32] = [:]
  private var memberCount = 0
  private var seen: [Bool]
  private var acceptsNothing = false

  private static let unknown: Int32 = -1
  /// The state that nothing can lead out of. State 1 is the beginning.
  private static let dead: Int32 = 0

  /// - Throws: `PatternError` on a pattern that is wrong or not supported.
  init(_ text: String) throws(PatternError) {
    program = try PatternProgram(text)
    var firsts: Set<UInt32> = [0]
    for range in program.sets.flatMap(\.ranges) {
      firsts.insert(range.lowerBound)
      if range.upperBound < ScalarSet.highest { firsts.insert(range.upperBound + 1) }
    }
    let sorted = firsts.sorted()
    self.firsts = sorted
    classOfASCII = (0..<128).map { Int32(Self.classOf($0, sorted)) }
    seen = [Bool](repeating: false, count: program.steps.count)
    begin()
    acceptsNothing = isMatch(closure([0], isStart: true, isEnd: true))
  }

  /// Whether the pattern matches all of the bytes. Bytes that are not UTF-8 are read as U+FFFD each.
  func matches(_ bytes: ArraySlice<UInt8>) -> Bool {
    if bytes.isEmpty { return acceptsNothing }
    var state: Int32 = 1
    var at = bytes.startIndex
    while at < bytes.endIndex {
      let byte = bytes[at]
      let column: Int
      if byte < 0x80 {
        column = Int(classOfASCII[Int(byte)])
        at += 1
      } else {
        column = Self.classOf(Self.scalar(bytes, &at), firsts)
      }
      let known = table[Int(state) * firsts.count + column]
      state = known != Self.unknown ? known : advance(state, column)
      if state == Self.dead { return false }
    }
    return accepts[Int(state)]
  }

  // MARK: Building the automaton

  private func begin() {
    table = []
    members = []
    accepts = []
    memberCount = 0
    stateOfMembers = [:]
    _ = intern([])
    _ = intern(closure([0], isStart: true))
  }

  /// The state after a scalar of a class, entered into the table.
  private func advance(_ state: Int32, _ column: Int) -> Int32 {
    let scalar = firsts[column]
    var reached: [Int32] = []
    for member in members[Int(state)] {
      if case .read(let set) = program.steps[Int(member)], program.sets[set].contains(scalar) {
        reached.append(member + 1)
      }
    }
    let next = closure(reached, isStart: false)
    if let known = stateOfMembers[next] {
      table[Int(state) * firsts.count + column] = known
      return known
    }
    // The current state is forgotten as well: what follows from it is entered when it occurs again.
    let isFull = table.count >= Limits.maxPatternTable || memberCount >= Limits.maxPatternTable
    if isFull { begin() }
    let new = intern(next)
    if !isFull { table[Int(state) * firsts.count + column] = new }
    return new
  }

  private func intern(_ steps: [Int32]) -> Int32 {
    if let known = stateOfMembers[steps] { return known }
    let state = Int32(members.count)
    members.append(steps)
    memberCount += steps.count
    accepts.append(isMatch(closure(steps, isStart: false, isEnd: true)))
    stateOfMembers[steps] = state
    table.append(contentsOf: repeatElement(Self.unknown, count: firsts.count))
    return state
  }

  /// The steps that read or wait for the end, reached from the given ones without reading. `match` is among them.
  private func closure(_ from: [Int32], isStart: Bool, isEnd: Bool = false) -> [Int32] {
    var reached: [Int32] = []
    var visited: [Int] = []
    var stack = from.map(Int.init)
    while let at = stack.popLast() {
      if seen[at] { continue }
      seen[at] = true
      visited.append(at)
      switch program.steps[at] {
      case .read, .match: reached.append(Int32(at))
      case .either(let a, let b): stack += [a, b]
      case .jump(let to): stack.append(to)
      case .start: if isStart { stack.append(at + 1) }
      case .end: if isEnd { stack.append(at + 1) } else { reached.append(Int32(at)) }
      }
    }
    for at in visited { seen[at] = false }
    return reached.sorted()
  }

  private func isMatch(_ steps: [Int32]) -> Bool {
    steps.contains { if case .match = program.steps[Int($0)] { true } else { false } }
  }

  // MARK: Scalars

  /// The index of the last of `firsts` that is not above the scalar.
  private static func classOf(_ scalar: UInt32, _ firsts: [UInt32]) -> Int {
    var low = 0
    var high = firsts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if firsts[middle] <= scalar { low = middle } else { high = middle }
    }
    return low
  }

  /// The scalar at a byte that is not ASCII, and moves on behind it.
  private static func scalar(_ bytes: ArraySlice<UInt8>, _ at: inout Int) -> UInt32 {
    let lead = bytes[at]
    let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
    at += 1
    guard lead >= 0xC2, lead <= 0xF4, bytes.endIndex - at >= length - 1 else { return 0xFFFD }
    var value = UInt32(lead) & (0x7F >> UInt32(length))
    for index in at..<at + length - 1 {
      guard bytes[index] & 0xC0 == 0x80 else { return 0xFFFD }
      value = value << 6 | UInt32(bytes[index] & 0x3F)
    }
    at += length - 1
    return value
  }
}
