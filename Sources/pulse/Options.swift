// Options that several commands share, and what they stand for.

public import ArgumentParser
import Configuration
import Connectors
public import Detection
import Foundation
import Logging
import Operations
import Pipeline
import Synchronization

/// Where things are: the configuration and the data directory.
struct PlaceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the use case runs: source, store and more (default: pulse.yaml, where there is one).", valueName: "file"))
  var config: String?

  @Option(
    help: ArgumentHelp(
      "The data directory, where results are kept (default: what the configuration says).",
      valueName: "directory"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "The database that results are kept in instead of the data directory: postgresql://HOST/DATABASE.",
      discussion: "A password is better kept in PGPASSFILE or PGPASSWORD.", valueName: "postgresql://…"))
  var store: String?

  /// The file with what the environment, `--data` and `--store` change.
  func configuration() throws -> RuntimeConfiguration {
    var configuration = try Self.configuration(config)
    if let data { configuration.store.path = data }
    if let store { configuration.store.connector = try Self.connector(of: store) }
    return configuration
  }

  /// The store of an address.
  static func connector(of address: String) throws -> ConnectorSettings {
    try ConnectorOptions.saying { () throws(FlagError) in
      let section = ConnectorCatalog.standard.store
      guard section.available.contains(where: { $0.hasAddress(address) }) else {
        throw FlagError("--store \(address) is not known: expected an address such as postgresql://localhost/pulse")
      }
      return try section.settings(of: [address])
    }
  }

  /// The file of this name, or `pulse.yaml` where there is one, with what the environment changes.
  static func configuration(_ file: String?) throws -> RuntimeConfiguration {
    let standard = FileManager.default.fileExists(atPath: "pulse.yaml") ? "pulse.yaml" : nil
    return try RuntimeConfiguration.load(
      path: file ?? standard, environment: ProcessInfo.processInfo.environment, catalog: .standard)
  }

  /// The store to read from, and its directory.
  func place() throws -> StorePlace {
    // Who names the directory can look into it whatever is wrong with the configuration.
    if config == nil, store == nil, let data, (try? configuration()) == nil {
      return StorePlace(DataDirectory(path: data))
    }
    return try Self.place(configuration())
  }

  /// Where a configuration has its store.
  static func place(_ configuration: RuntimeConfiguration) throws -> StorePlace {
    let place = StorePlace(configuration.store.connector, in: DataDirectory(path: configuration.store.path ?? "."))
    // Models and history lie in the directory; results do not, where the store is a database.
    if place.isEmbedded { _ = try required(configuration.store.path) }
    return place
  }

  /// What reads the store.
  func reader() throws -> any StoreReader { try place().reader() }

  func validate() throws {
    if data?.isEmpty == true { throw ValidationError("--data is empty: expected a directory") }
    if let store { _ = try Self.connector(of: store) }
    if config?.isEmpty == true { throw ValidationError("--config is empty: expected a file") }
  }

  static func required(_ path: String?) throws -> String {
    guard let path, !path.isEmpty else {
      throw ValidationError("--data is missing: the data directory, unless pulse.yaml says it (`store: {path: …}`)")
    }
    return path
  }
}

/// What the listing commands share.
struct ListOptions: ParsableArguments {
  @OptionGroup var place: PlaceOptions

  @Option(help: "Only this use case.")
  var useCase: String?

  // Unconditionally: a value such as -1 is no option, and is told its bounds.
  @Option(parsing: .unconditional, help: "Rows at most, newest first; 0 for all.")
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

  /// What is listed.
  var lists: ResultLists { get throws { ResultLists(try place.reader()) } }

  static func time(_ text: String) throws -> Int64 {
    guard let time = Timestamp.parse(text) else {
      throw ValidationError("`\(text)` is not a time: expected RFC 3339, such as 2024-03-01T12:00:00Z or 2024-03-01")
    }
    return time
  }

  /// Prints rows as one JSON array while they are read.
  /// - Parameter rows: reads them, and calls what it is given with each.
  func printJSON(_ rows: ((String) -> Void) async throws -> Void) async throws {
    var writer = JSONArrayWriter()
    try await rows { writer.add($0) }
    writer.finish()
  }
}

/// What a run says of its input while it goes on, kept for its summary.
final class InputNotes: Sendable {
  private let logger: Logger
  private let sentences = Mutex<[String]>([])

  init(_ logger: Logger) { self.logger = logger }

  func add(_ sentence: String) {
    logger.notice("\(sentence)")
    // A list of thousands of copies is told by its first ones.
    sentences.withLock { if $0.count < 100 { $0.append(sentence) } }
  }

  var all: [String] { sentences.withLock { $0 } }
}

/// The option that says how much memory a run may take.
enum MemoryOption {
  /// - Throws: `ValidationError` where it is no amount, or out of range.
  static func bytes(_ text: String) throws -> Int {
    let range = RuntimeConfiguration.memoryRange
    guard let bytes = ByteSizeText.parse(text), range.contains(bytes) else {
      let bounds = "\(ByteSizeText.format(range.lowerBound)) to \(ByteSizeText.format(range.upperBound))"
      throw ValidationError("--memory must be \(bounds), such as 2GB, found \(text)")
    }
    return bytes
  }
}

/// Options that are numbers with a fraction.
enum NumberOption {
  /// - Throws: `ValidationError` where the number is out of range, or none.
  static func check(_ name: String, _ value: Double, in range: ClosedRange<Double>, _ unit: String) throws {
    guard range.contains(value) else {
      func text(_ bound: Double) -> String { Int64(exactly: bound).map(String.init) ?? String(bound) }
      throw ValidationError(
        "\(name) must be \(text(range.lowerBound)) to \(text(range.upperBound)) \(unit), found \(value)")
    }
  }
}

// Choices that are spelt on the command line as in the configuration.
extension Severity: ExpressibleByArgument {}
