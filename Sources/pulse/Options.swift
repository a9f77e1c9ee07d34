// Options that several commands share, and what they stand for.

public import ArgumentParser
import Connectors
public import Detection
import Foundation
public import Pipeline

/// `<use case>`: a directory or the name of one under UseCases/.
enum UseCaseArgument {
  /// The checked use case with its compiled plan.
  /// - Throws: `OperatingError` with all diagnostics when it is wrong.
  static func load(_ argument: String) throws -> LoadedUseCase {
    let location = try UseCaseLocator().locate(argument)
    let check = UseCaseChecker.check(path: location.pipelineFile)
    guard let plan = check.plan else {
      throw OperatingError(
        .configuration, "the use case \(argument) has \(check.diagnostics.count) error(s)\n\(check.rendered)")
    }
    return LoadedUseCase(
      location: location, plan: plan, version: ConfigurationVersion(plan.useCase, text: check.source))
  }
}

struct LoadedUseCase: Sendable {
  var location: UseCaseLocation
  var plan: Plan
  var version: ConfigurationVersion
}

/// What the listing commands share.
struct ListOptions: ParsableArguments {
  @Option(help: "The data directory that `pulse run` wrote.")
  var data: String

  @Option(help: "Only this use case.")
  var useCase: String?

  @Option(help: "Rows at most, newest first; 0 for all.")
  var limit = 50

  @Option(help: "Only from this time on (RFC 3339, UTC unless it has a zone).", transform: Self.time)
  var since: Int64?

  @Option(help: "Only before this time.", transform: Self.time)
  var until: Int64?

  @Flag(help: "Print one JSON array.")
  var json = false

  func validate() throws {
    guard limit >= 0 else { throw ValidationError("--limit must be 0 (all) or more, found \(limit)") }
  }

  var filter: ResultFilter {
    var filter = ResultFilter()
    filter.useCase = useCase
    filter.from = since
    filter.to = until
    filter.limit = limit
    return filter
  }

  var reader: StoreReader { get throws { try StoreReader(DataDirectory(path: data)) } }

  static func time(_ text: String) throws -> Int64 {
    guard let time = Timestamp.parse(text) else {
      throw ValidationError("`\(text)` is not a time: expected RFC 3339, such as 2024-03-01T12:00:00Z or 2024-03-01")
    }
    return time
  }

  /// Prints rows as one JSON array.
  func printJSON(_ rows: [String]) { Terminal.printArray(rows) }
}

// Choices that are spelt on the command line as in the configuration.
extension Severity: ExpressibleByArgument {}
extension RuntimeConfiguration.Source.Format: ExpressibleByArgument {}
extension RuntimeConfiguration.History.Codec: ExpressibleByArgument {}
