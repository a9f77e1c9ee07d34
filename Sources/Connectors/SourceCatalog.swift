// The sources that events can come from. Add a source: its folder in Connectors, and a line here.

/// What a catalogue says of a connector.
public struct ConnectorDescription: Sendable, Hashable, Codable {
  public let name: String
  public let description: String
  /// How it is used on the command line.
  public let options: [String]
  /// False where its place is reserved and it is refused for now.
  public let isAvailable: Bool

  init(_ name: String, _ description: String, options: [String] = [], isAvailable: Bool = true) {
    self.name = name
    self.description = description
    self.options = options
    self.isAvailable = isAvailable
  }
}

public enum SourceCatalog {
  /// Every source, sorted by name.
  public static let entries: [ConnectorDescription] = [
    ConnectorDescription(
      "files", "NDJSON, CSV, Parquet and Arrow files and globs, read in order or followed as they grow and rotate",
      options: [
        "--source PATH", "--separate", "--order", "--accept-gap", "--format", "--csv-delimiter", "--follow", "--idle-timeout",
      ]),
    ConnectorDescription(
      "http", "events posted to the server, kept in an inbox on disk", isAvailable: false),
    ConnectorDescription("kafka", "the partitions of a topic, as part of a consumer group", isAvailable: false),
    ConnectorDescription(
      "simulator", "the deterministic generator of a use case",
      options: ["--source simulator", "--events", "--seed", "--speedup"]),
    ConnectorDescription(
      "stdin", "NDJSON or CSV from standard input; resumes if it is given a name",
      options: ["--source -", "--source-name", "--format", "--csv-delimiter", "--idle-timeout"]),
  ]
}
