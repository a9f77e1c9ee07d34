// What the state of a use case takes in memory for a number of entities, told before anything runs.

/// What one rule or window holds.
public struct MemoryEstimate: Sendable, Hashable {
  /// Name of the state: `rule/often`, `window/hourly`.
  public var name: String
  /// Entities, or windows that are open at once.
  public var count: Int
  /// Bytes, nearly. Of a rule with one event of each entity within its time; of a window without what its sketches,
  /// strings and keys of text hold.
  public var bytes: Int
  /// Bytes for each further event that a rule keeps, or 0.
  public var bytesPerEvent = 0
}

extension Plan {
  /// What rules and windows hold when so many entities are active.
  public func memory(forEntities entities: Int) -> [MemoryEstimate] {
    let ruled = rules.compactMap { rule -> MemoryEstimate? in
      guard case .stateful(let plan) = rule else { return nil }
      let count = plan.isKeyed ? entities : 1
      return MemoryEstimate(
        name: SlidingRule.statePrefix + plan.name, count: count, bytes: count * plan.bytesPerEntity,
        bytesPerEvent: plan.bytesPerEvent)
    }
    let windowed = windows.map { window -> MemoryEstimate in
      let count = (window.by.isEmpty ? 1 : entities) * window.openAtOnce
      return MemoryEstimate(
        name: WindowSpace.prefix + window.definition.name, count: count,
        bytes: count * (OpenWindows.bytesPerWindow + AggregateSet(window).bytesPerSlot))
    }
    return ruled + windowed
  }
}

extension CompiledWindow {
  /// Windows of one entity that can be open at once, while its events come.
  var openAtOnce: Int {
    let grid = WindowGrid(definition)
    return Int((grid.closing(0) - 1) / grid.every) + 1
  }
}
