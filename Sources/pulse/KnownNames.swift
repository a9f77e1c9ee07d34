// Names that a person asks for and that nothing stored has: a slip of the pen is answered with the nearest name instead
// of an empty list.

import ArgumentParser
import Connectors
import Detection
import Pipeline

/// Checks the names of a filter that matched nothing.
enum KnownNames {
  /// What `ResultFilter.name` names.
  enum Kind {
    case detector, window
    /// Checked before: reasons are the program's own.
    case reason
  }

  /// - Throws: `ValidationError` when the store knows no use case, detector or window of the given name. Where nothing
  ///   has run there is nothing to compare with.
  static func check(
    _ filter: ResultFilter, _ kind: Kind, in results: any ResultSnapshot, of reader: any ResultReader
  ) async throws {
    let useCases = try await results.useCases()
    if useCases.isEmpty { return }
    if let useCase = filter.useCase { try check(useCase, "use case", among: useCases, in: reader.place) }
    guard let name = filter.name else { return }
    switch kind {
    case .detector:
      try check(
        name, "detector or rule", among: try await results.names(of: filter.useCase).detectors, in: reader.place)
    case .window:
      try check(name, "window", among: try await results.names(of: filter.useCase).windows, in: reader.place)
    case .reason: break
    }
  }

  /// - Throws: `ValidationError` when a use case has never run here, while others have.
  static func check(
    useCase: String?, in results: any ResultSnapshot, of reader: any ResultReader
  ) async throws {
    var filter = ResultFilter()
    filter.useCase = useCase
    try await check(filter, .reason, in: results, of: reader)
  }

  private static func check(_ name: String, _ what: String, among names: [String], in place: String) throws {
    if names.contains(name) { return }
    let shown = TextTable.cut(name, to: 60)
    let near = nearest(to: name, among: names).map { "; did you mean `\($0)`?" } ?? "."
    let known = names.prefix(20).joined(separator: ", ") + (names.count > 20 ? ", …" : "")
    throw ValidationError(
      "\(place) has no \(what) `\(shown)`\(near) It has \(known.isEmpty ? "none" : known)")
  }
}
