// How stateful parts (the watermark, windows, rules, per-entity detectors) survive a crash. Each keeps its state as
// entries of a key-value space of its own and reports, at a checkpoint, the entries that changed since the last one: a
// checkpoint costs what changed, not what is kept. Restoring from the entries must give a state that behaves bit for
// bit like the one that wrote them.

/// An entry of a state space.
public struct StateEntry: Sendable, Equatable {
  public var key: [UInt8]
  public var value: [UInt8]

  public init(key: [UInt8], value: [UInt8]) {
    self.key = key
    self.value = value
  }
}

/// The entries of one stateful part that changed since its last checkpoint.
public struct StateChanges: Sendable, Equatable {
  /// Entries to insert or replace.
  public var puts: [StateEntry]
  /// Entries to remove.
  public var deletes: [[UInt8]]

  public init(puts: [StateEntry] = [], deletes: [[UInt8]] = []) {
    self.puts = puts
    self.deletes = deletes
  }

  public var isEmpty: Bool { puts.isEmpty && deletes.isEmpty }
}

/// A part of a partition's processing that keeps state between batches.
public protocol Stateful: AnyObject {
  /// Name of the state space, unique in a use case: `rule/high_frequency_login`, `watermark`.
  var stateName: String { get }
  /// The definition the state belongs to, as text. State written under another fingerprint is discarded on restart.
  var stateFingerprint: String { get }
  /// Whether state written under a fingerprint can be restored: under its own, or one of an earlier version of the format.
  /// State restored from another fingerprint is reported anew as changes.
  func continues(_ fingerprint: String) -> Bool
  /// Bytes of memory that the state takes, nearly.
  var heldBytes: Int { get }
  /// The changes since the last call (or since `restore`), and forgets them.
  func takeChanges() -> StateChanges
  /// Replaces the state by the one the entries describe, in ascending order of keys (unsigned bytes).
  /// - Throws: `CodingError` when an entry cannot be read.
  func restore(from entries: [StateEntry]) throws
}

/// A stateful part that need not hold all of its state in memory. What has been quiet for longest is parked: it is stored,
/// and read back before events that need it are processed. Whether something was parked changes no result.
public protocol Parkable: Stateful {
  /// Whether it would take more memory next, and holds so much that parking is worth it.
  var isFull: Bool { get }
  /// Whether anything is parked.
  var hasParked: Bool { get }
  /// Has the next changes store about a quarter of what may be parked, which leaves memory with that.
  func park()
  /// Notes what is parked and needed for events, some of which may turn out not to count.
  func want(_ batch: EventBatch)
  /// Keys of the stored entries that have what is needed, ascending.
  var wantedKeys: [[UInt8]] { get }
  /// Takes what is needed out of stored entries: all of the wanted keys. Changes that were taken before are stored.
  /// - Throws: `CodingError` where an entry is missing or cannot be read.
  func unpark(_ entries: [StateEntry]) throws
}

extension Stateful {
  public func continues(_ fingerprint: String) -> Bool { fingerprint == stateFingerprint }
}
