// The windows of a checkpoint. Those of a lane are made row by row as a store writes them.

public import Detection

extension Checkpoint {
  /// A part of a window with what it says so far.
  public struct WindowRow: Sendable {
    public var part: WindowPart
    public var result: WindowResult
    /// Names of the values the window is grouped by.
    public var byNames: [String]
    /// Fingerprint of the definition the part belongs to.
    public var definition: String

    public init(part: WindowPart, result: WindowResult, byNames: [String], definition: String) {
      self.part = part
      self.result = result
      self.byNames = byNames
      self.definition = definition
    }
  }

  /// Windows that changed: those of a definition follow each other, by start and then in a fixed order of keys.
  public struct WindowRows: Sequence, Sendable, ExpressibleByArrayLiteral {
    /// Those of one definition.
    struct Group: Sendable {
      var changes: WindowChanges
      var byNames: [String]
      var definition: String

      init(_ changes: WindowChanges, of window: CompiledWindow) {
        self.changes = changes
        byNames = window.by.map(\.name)
        definition = window.fingerprint
      }
    }

    private var groups: [Group] = []
    private var rows: [WindowRow] = []

    /// Rows that are made already.
    public init(_ rows: [WindowRow]) { self.rows = rows }
    public init(arrayLiteral rows: WindowRow...) { self.rows = rows }

    init(_ groups: [Group], and rows: [WindowRow] = []) {
      self.groups = groups
      self.rows = rows
    }

    /// Bytes of memory that they take until they are let go.
    var heldBytes: Int { groups.reduce(0) { $0 + $1.changes.heldBytes } }

    public func makeIterator() -> AnyIterator<WindowRow> {
      let made = groups.lazy.flatMap { group in
        group.changes.lazy.map {
          WindowRow(part: $0.part, result: $0.result, byNames: group.byNames, definition: group.definition)
        }
      }
      var (changed, given) = (made.makeIterator(), rows.makeIterator())
      return AnyIterator { changed.next() ?? given.next() }
    }
  }
}
