// What endpoints are made of.

import Detection
import HTTPTypes
import Logging
import Pipeline

/// What every endpoint may use.
struct Services: Sendable {
  let catalog: ServedCatalog
  let live: LiveHub
  /// Of the run in this process; nil where other processes run the use cases.
  let run: (any RunView)?
  /// Who tells of findings, for each data directory.
  var notifications: [NotificationService] = []
  let page: WebPage
  /// Whether somebody carries out trainings.
  let canTrain: Bool
  let logger: Logger
  /// Microseconds since 1970-01-01 00:00 UTC.
  let clock: @Sendable () -> Int64
  /// What this process records.
  let metrics: MetricRegistry

  /// Why nothing can be handed in to a use case; nil where it can.
  func refusal(of useCase: ServedUseCase) -> Problem? {
    guard let run, run.useCase == useCase.name, !run.readsInbox else { return nil }
    return Problem(
      .conflict, "Nobody would read them",
      "The run of this server reads \(run.source). Start it with `--source http`, or over a topic of Kafka with values in JSON, "
        + "to hand in events.")
  }
}

extension Call {
  /// What the audit trail says of it: who did what to what, and what was before and after, as JSON.
  func audited(_ action: String, _ subject: String, before: String?, after: String) -> AuditLine {
    let details = JSONText.object([("before", before ?? "null"), ("after", after)])
    return AuditLine(time: time, who: caller.name, action: action, subject: subject, details: details)
  }

  /// The bounds of time and the size of a page that a list is asked for.
  func filter(of useCase: ServedUseCase) -> ResultFilter {
    var filter = ResultFilter()
    filter.useCase = useCase.name
    filter.from = string("from").flatMap { Timestamp.parse($0) }
    filter.to = string("to").flatMap { Timestamp.parse($0) }
    filter.limit = integer("limit") ?? 50
    return filter
  }

  /// - Throws: `CodingError` where it is none.
  func cursor() throws -> PageCursor? { try string("cursor").map { try PageCursor($0) } }
}
