// Lists of what runs have stored. A name that nothing stored has is a slip of the pen: it is answered with the nearest name
// instead of an empty list.

import Detection
public import Pipeline

/// What is stored, as lists, newest first.
public struct ResultLists: Sendable {
  private let reader: any ResultReader

  public init(_ reader: any ResultReader) { self.reader = reader }

  /// Calls `body` with one anomaly after another: any number takes the memory of a page. `filter.name` is a detector or rule.
  /// - Throws: `RequestError` where nothing is found and a name of the filter is not known; `OperatingError`.
  public func forEachAnomaly(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation, _ body: (StoredAnomaly) throws -> Void
  ) async throws {
    try await reader.read { results in
      var isEmpty = true
      try await results.forEachAnomaly(filter) {
        isEmpty = false
        try body($0)
      }
      if isEmpty { try await check(filter, "detector or rule", in: results) { $0.detectors } }
    }
  }

  /// Calls `body` with one window after another. `filter.name` is a window definition.
  /// - Throws: as `forEachAnomaly`.
  public func forEachWindow(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation, _ body: (StoredWindow) throws -> Void
  ) async throws {
    try await reader.read { results in
      var isEmpty = true
      try await results.forEachWindow(filter) {
        isEmpty = false
        try body($0)
      }
      if isEmpty { try await check(filter, "window", in: results) { $0.windows } }
    }
  }

  /// Calls `body` with one dead letter after another. `filter.name` is a reason, of which there is a fixed number.
  /// - Throws: as `forEachAnomaly`.
  public func forEachDeadLetter(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation, _ body: (StoredDeadLetter) throws -> Void
  ) async throws {
    try await reader.read { results in
      var isEmpty = true
      try await results.forEachDeadLetter(filter) {
        isEmpty = false
        try body($0)
      }
      if isEmpty { try await check(useCase: filter.useCase, in: results) }
    }
  }

  /// Where each partition stands, with the drift of its use case, and what there is to say of that.
  /// - Parameters:
  ///   - useCase: of this one only.
  ///   - models: the folder of all models.
  /// - Throws: `RequestError` where the use case has never run here, while others have; `OperatingError`.
  public func status(of useCase: String?, models: String) async throws -> RunStatus {
    try await reader.read { results in
      var partitions = try await results.status(of: useCase)
      var drift: [String: DriftSummary] = [:]
      for name in Set(partitions.map(\.useCase)) {
        drift[name] = try await DriftSummary(results, useCase: name, models: models)
      }
      for index in partitions.indices { partitions[index].drift = drift[partitions[index].useCase]?.notable ?? [] }
      if partitions.isEmpty { try await check(useCase: useCase, in: results) }
      return RunStatus(partitions: partitions, drift: drift)
    }
  }

  // MARK: Names

  private func check(
    _ filter: ResultFilter, _ what: String, in results: any ResultSnapshot, known: (ResultNames) -> [String]
  ) async throws {
    guard try await check(useCase: filter.useCase, in: results), let name = filter.name else { return }
    try check(name, what, among: known(try await results.names(of: filter.useCase)))
  }

  /// - Returns: whether anything has run here: else there is nothing to compare with.
  @discardableResult
  private func check(useCase: String?, in results: any ResultSnapshot) async throws -> Bool {
    let useCases = try await results.useCases()
    if useCases.isEmpty { return false }
    if let useCase { try check(useCase, "use case", among: useCases) }
    return true
  }

  private func check(_ name: String, _ what: String, among names: [String]) throws {
    if names.contains(name) { return }
    let near = nearest(to: name, among: names).map { "; did you mean `\($0)`?" } ?? "."
    let known = names.prefix(20).joined(separator: ", ") + (names.count > 20 ? ", …" : "")
    throw RequestError(
      "\(reader.place) has no \(what) `\(RequestError.shortened(name))`\(near) It has "
        + (known.isEmpty ? "none" : known))
  }
}

/// Where the runs of a store stand.
public struct RunStatus: Sendable {
  public let partitions: [PartitionStatus]
  /// By use case.
  public let drift: [String: DriftSummary]
}
