// Files as a source of the catalogue.

public import Configuration
import Detection
public import Pipeline

public struct FilesConnector: SourceConnector {
  static let name = "files"

  private static let paths = Setting(
    "paths", key: "paths", flag: nil, .texts(expected: "a file or glob"), "Files and globs, in the order of reading.")
  private static let separate = Setting(
    "separate", key: "separate", flag: "separate", .flag, standard: .flag(false),
    "Read each --source side by side with the others, as a partition of its own: each has an event time and rules of its "
      + "own, windows add up. Name them in the same order each time.")
  private static let order = Setting(
    "order", key: "order", flag: "order", .word(FileOrder.allCases.map(\.rawValue)),
    standard: .text(FileOrder.natural.rawValue),
    "The order of the files that a glob matches: natural (numbers by value, rotated files from the oldest on), name (by "
      + "bytes) or time (all files by the first event in each) (default: natural).")
  private static let acceptGap = Setting(
    "accept_gap", key: nil, flag: "accept-gap", .flag, standard: .flag(false),
    "Go on where a file that was read in part was truncated, rewritten or removed. What is missing is put on record.")
  private static let follow = Setting(
    "follow", key: "follow", flag: "follow", .flag, standard: .flag(false),
    "Keep reading what is appended to the last file, and files that appear.")

  public let specification = ConnectorSpecification(
    name, noun: "files", argument: .values(of: paths.name),
    "NDJSON, CSV, Parquet and Arrow files and globs, read in order or followed as they grow and rotate",
    settings: [
      paths, separate, order, acceptGap, InputSettings.format, InputSettings.delimiter, follow,
      InputSettings.idleTimeout,
    ])

  public init() {}

  public func problem(_ settings: ConnectorSettings, given: Set<String>) -> String? {
    if settings.texts(Self.paths.name).isEmpty {
      return "--source is missing: a file, a glob, - or simulator, unless pulse.yaml says it"
    }
    if given.contains(InputSettings.idleTimeout.name), !isLive(settings) {
      return "--idle-timeout needs standard input as the source, or files with --follow"
    }
    return nil
  }

  public func isLive(_ settings: ConnectorSettings) -> Bool { settings.flag(Self.follow.name) }

  public func make(_ settings: ConnectorSettings, for context: SourceContext) async throws -> any Source {
    let schema = context.schema
    func files(_ paths: [String], _ number: Int) -> FileSource {
      FileSource(
        number: Int32(number), paths: paths,
        order: settings.text(Self.order.name).flatMap { FileOrder(rawValue: $0) } ?? .natural,
        eventTimes: EventTimes(schema: schema, lateness: context.outOfOrder), format: InputSettings.format(settings),
        delimiter: InputSettings.delimiter(settings), follow: settings.flag(Self.follow.name),
        acceptsGaps: settings.flag(Self.acceptGap.name), idleTimeout: settings.duration(InputSettings.idleTimeout.name),
        batchRows: context.batchRows, maxEventBytes: schema.maxEventBytes,
        columns: schema.fields.map { ($0.path.joined(separator: "."), $0.type) },
        requiredColumns: context.requiredColumns, readsOtherColumns: schema.unknownFields == .reject,
        notice: context.notice)
    }
    let paths = settings.texts(Self.paths.name)
    if !settings.flag(Self.separate.name) { return files(paths, 0) }
    return SourcesSideBySide(paths.enumerated().map { files([$1], $0) })
  }
}
