// What a source names, and the files that are there for it now.

import Detection
import Foundation
import Pipeline

extension FileWorker {
  /// What is read, and how the list of it comes about.
  struct List: Sendable {
    var names: [FileList.Name]
    var order: FileOrder
    var eventTimes: EventTimes?
    var format: FileFormat?
    var follows: Bool
    var acceptsGaps: Bool

    /// Whether files may come to the list while it is followed.
    var hasPatterns: Bool { names.contains(where: \.isPattern) }

    /// - Parameter known: what was on the list before.
    mutating func resume(knowing known: FileManifest) {
      let paths = Set(known.entries.map(\.path))
      for index in names.indices { names[index].resume(knowing: paths) }
    }

    /// - Parameter known: what was on the list before.
    func paths(_ options: ReadOptions, knowing known: FileManifest? = nil) throws(OperatingError) -> [String] {
      let paths = try FileList.expand(
        names, in: order, knowing: Set(known?.entries.map(\.path) ?? []), mayMatchNothing: follows && known != nil)
      guard order == .time, let eventTimes else { return paths }
      return try eventTimes.sorted(paths, options, format) { _, error throws(OperatingError) in throw error }
    }

    /// Whether a path is named as it is.
    func names(_ path: String) -> Bool { names.contains { !$0.isPattern && $0.path == path } }

    /// Whether a pattern would match a path.
    func matches(_ path: String) -> Bool { names.contains { $0.matches(path) } }

    /// Whether a path is one that the list would have.
    func has(_ path: String) -> Bool { names(path) || matches(path) }

    /// The files that are there now, in no order. That a pattern matches nothing, during a rotation, is no error.
    func matches() throws(OperatingError) -> [String] { try FileList.matches(names) }

    /// Those of `some` that are there, in order.
    /// - Parameter trouble: is told where an event time cannot be read.
    func inOrder(
      _ some: Set<String>, knowing known: FileManifest, _ options: ReadOptions,
      trouble: (String, OperatingError) -> Void
    ) throws(OperatingError) -> [String] {
      let paths = try FileList.expand(
        names, in: order, knowing: Set(known.entries.map(\.path)), mayMatchNothing: true
      ).filter { some.contains($0) }
      guard order == .time, let eventTimes else { return paths }
      return try eventTimes.sorted(paths, options, format) { path, error throws(OperatingError) in trouble(path, error)
      }
    }
  }
}
