// A pattern as a program of a nondeterministic automaton (K. Thompson, "Regular Expression Search Algorithm", CACM 1968),
// run through the sets of its states (R. Cox, "Regular Expression Matching Can Be Simple And Fast", 2007). It reads each
// scalar once, whatever the pattern: there is nothing to go back to.

/// Steps of an automaton over Unicode scalars. Step 0 is where it begins.
struct PatternProgram: Sendable {
  enum Step: Sendable {
    /// Reads a scalar of the set and goes to the next step.
    case read(set: Int)
    case either(Int, Int)
    case jump(Int)
    /// Goes on at the beginning of the value only, or at its end only.
    case start
    case end
    case match
  }

  private(set) var steps: [Step] = []
  /// The sets that steps read, each once.
  private(set) var sets: [ScalarSet] = []
  private var indexOfSet: [ScalarSet: Int] = [:]

  init(_ text: String) throws(PatternError) {
    let node = try PatternParser.parse(text)
    guard Self.size(node) < Limits.maxPatternSteps else {
      throw PatternError(
        offset: 0,
        message: "the pattern has more than \(Limits.maxPatternSteps) steps when its repetitions are written out",
        expected: "`max_length` where only the length matters, or fewer repetitions")
    }
    append(node)
    steps.append(.match)
  }

  /// Steps of a node, or a number beyond the bound.
  private static func size(_ node: PatternNode) -> Int {
    let size: Int
    switch node {
    case .one, .start, .end: size = 1
    case .sequence(let parts): size = parts.reduce(0) { $0 + Self.size($1) }
    case .alternatives(let parts): size = parts.reduce(0) { $0 + Self.size($1) + 2 }
    case .repeated(let part, let least, let most): size = (Self.size(part) + 2) * max(most ?? least + 1, 1)
    }
    return min(size, Limits.maxPatternSteps)
  }

  private mutating func append(_ node: PatternNode) {
    switch node {
    case .one(let set):
      let index = indexOfSet[set] ?? sets.count
      if index == sets.count {
        sets.append(set)
        indexOfSet[set] = index
      }
      steps.append(.read(set: index))
    case .start: steps.append(.start)
    case .end: steps.append(.end)
    case .sequence(let parts): for part in parts { append(part) }
    case .alternatives(let parts): append(alternatives: parts)
    case .repeated(let part, let least, let most):
      for _ in 0..<least { append(part) }
      if let most {
        let choices = (least..<most).map { _ in
          let choice = steps.count
          steps.append(.jump(0))
          append(part)
          return choice
        }
        for choice in choices { steps[choice] = .either(choice + 1, steps.count) }
      } else {
        let choice = steps.count
        steps.append(.jump(0))
        append(part)
        steps.append(.jump(choice))
        steps[choice] = .either(choice + 1, steps.count)
      }
    }
  }

  private mutating func append(alternatives parts: [PatternNode]) {
    var exits: [Int] = []
    for (index, part) in parts.enumerated() {
      let choice = steps.count
      let isLast = index == parts.count - 1
      if !isLast { steps.append(.jump(0)) }
      append(part)
      if isLast { continue }
      exits.append(steps.count)
      steps.append(.jump(0))
      steps[choice] = .either(choice + 1, steps.count)
    }
    for exit in exits { steps[exit] = .jump(steps.count) }
  }
}
