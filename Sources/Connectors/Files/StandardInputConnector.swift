// Standard input as a source of the catalogue.

public import Configuration
import Detection
public import Pipeline

public struct StandardInputConnector: SourceConnector {
  static let name = "stdin"

  private static let sourceName = Setting(
    "name", key: "name", flag: "source-name", .name(expected: "a name"),
    "A name for standard input, so that a later run with the same input resumes.",
    problem: { value in if case .text(let name) = value { SourceName.problem(name) } else { nil } })

  public let specification = ConnectorSpecification(
    name, noun: "standard input", argument: .word("-"),
    "NDJSON or CSV from standard input; resumes if it is given a name",
    settings: [sourceName, InputSettings.format, InputSettings.delimiter, InputSettings.idleTimeout])

  public init() {}

  public func problem(_ settings: ConnectorSettings, given: Set<String>) -> String? { nil }

  public func isLive(_ settings: ConnectorSettings) -> Bool { true }

  public func make(_ settings: ConnectorSettings, for context: SourceContext) async throws -> any Source {
    let given = settings.text(Self.sourceName.name)
    let name: String
    if let given { name = given } else { name = "\(Self.name)-\(try await context.nextRun(Self.name))" }
    return StandardInputSource(
      name: name, isResumable: given != nil, format: InputSettings.format(settings),
      delimiter: InputSettings.delimiter(settings), requiredColumns: context.requiredColumns,
      idleTimeout: settings.duration(InputSettings.idleTimeout.name), batchRows: context.batchRows,
      maxEventBytes: context.schema.maxEventBytes)
  }
}
