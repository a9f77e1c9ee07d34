// Open windows that a partition has stored under definitions that no longer apply: they take no more events and close as
// they are. What they say is read by the configuration that they were made under.

import Configuration
import Detection

/// The windows that the next checkpoint closes because their definition no longer applies.
struct LeftWindows {
  /// Those that earlier versions have stored one by one: the store closes them.
  private(set) var stored: [Checkpoint.WindowVersion] = []
  /// The others, closed.
  private(set) var closed: [Checkpoint.WindowRows.Group] = []
  /// Those of definitions that nobody can read.
  private(set) var unread: [Checkpoint.WindowRow] = []
  /// Names of their state spaces, for the log.
  private(set) var names: [String] = []

  /// None.
  init() {}

  /// - Parameter current: the definitions that apply.
  /// - Throws: `CodingError` where windows cannot be read.
  init(_ snapshot: PartitionSnapshot, current: [CompiledWindow]) throws {
    let fingerprints = Set(current.map(\.fingerprint))
    let groups = snapshot.openWindows.groups.filter { !fingerprints.contains($0.definition) }
    for group in groups.sorted(by: { ($0.definition, $0.window) < ($1.definition, $1.window) }) {
      stored.append(Checkpoint.WindowVersion(window: group.window, definition: group.definition))
      names.append(WindowSpace.prefix + group.window)
    }
    var configurations = snapshot.configurations.makeIterator()
    var known: [String: CompiledWindow] = [:]
    for (space, state) in snapshot.states.sorted(by: { $0.key < $1.key })
    where space.hasPrefix(WindowSpace.prefix) && !fingerprints.contains(state.fingerprint) {
      names.append(space)
      if state.entries.isEmpty { continue }
      while known[state.fingerprint] == nil, let text = configurations.next() {
        // One that this version no longer reads is passed over.
        guard let plan = try? UseCaseChecker.plan(fromStored: text) else { continue }
        for window in plan.windows { known[window.fingerprint] = window }
      }
      if let window = known[state.fingerprint] {
        let left = WindowOperator(window)
        try left.restore(from: state.entries)
        var failures = 0
        left.closeAll(startingUpTo: .max, failures: &failures)
        closed.append(Checkpoint.WindowRows.Group(left.takeClosed(), of: window))
      } else {
        unread += try Self.rows(of: space, state)
      }
    }
  }

  /// Windows as they are stored, closed.
  private static func rows(
    of space: String, _ state: PartitionSnapshot.StoredState
  ) throws -> [Checkpoint.WindowRow] {
    let stored = try StoredOpenWindows(state.entries, of: String(space.dropFirst(WindowSpace.prefix.count)))
    return stored.parts.map { part in
      var part = part
      part.closed = true
      let nothing = WindowResult(
        events: part.events, names: WindowResultNames(aggregates: []), values: [], counts: [])
      return Checkpoint.WindowRow(
        part: part, result: nothing, byNames: stored.head.byNames, definition: state.fingerprint)
    }
  }
}
