// The run of this process, as the server sees it.

public import Pipeline

/// A run of this process.
public protocol RunView: Sendable {
  /// The use case that it runs.
  var useCase: String { get }
  /// Its folder.
  var folder: String { get }
  var progress: RunProgress { get }
  /// What the source is, for people: the simulator, files.
  var source: String { get }
  /// Whether the source has handed over everything that there is, and waits for more; false where it cannot know.
  var waitsForMore: Bool { get }
  /// Whether it reads what is posted.
  var readsInbox: Bool { get }
}
