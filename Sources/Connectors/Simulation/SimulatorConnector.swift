// The simulator as a source of the catalogue.

public import Configuration
import Detection
import Foundation
public import Pipeline

public struct SimulatorConnector: SourceConnector {
  static let name = "simulator"

  private static let events = Setting(
    "events", key: nil, flag: "events", .integer(0...Int.max), "Events to generate (default: 1000000).")
  private static let seed = Setting(
    "seed", key: nil, flag: "seed",
    .form(expected: "a whole number, 0 to \(UInt64.max)", fits: { UInt64($0) != nil }),
    "The same seed gives the same events (default: 1).")
  private static let speedup = Setting(
    "speedup", key: nil, flag: "speedup", .number(0.001...1e9, orZero: true, unit: "simulated seconds a second"),
    standard: .number(0),
    "Simulated seconds a second: 600 plays an hour in six seconds; 0 is as fast as possible (default: 0).")

  public let specification = ConnectorSpecification(
    name, noun: "the simulator", argument: .word("simulator"), "the deterministic generator of a use case",
    settings: [events, seed, speedup])

  public init() {}

  public func problem(_ settings: ConnectorSettings, given: Set<String>) -> String? { nil }

  public func isLive(_ settings: ConnectorSettings) -> Bool { settings.number(Self.speedup.name) != nil }

  public func make(_ settings: ConnectorSettings, for context: SourceContext) async throws -> any Source {
    let file = try SimulationFile(ofUseCase: context.directory)
    return SimulatorSource(
      file.definition, text: file.text, seed: settings.text(Self.seed.name).flatMap { UInt64($0) } ?? 1,
      events: settings.integer(Self.events.name) ?? 1_000_000,
      pace: settings.number(Self.speedup.name).map { .speedup($0) } ?? .asFastAsPossible, batchRows: context.batchRows)
  }
}

/// A use case's `simulation.yaml`.
public struct SimulationFile: Sendable {
  public let definition: SimulationDefinition
  /// The text that it was read from.
  public let text: String

  /// - Parameter directory: of the use case.
  /// - Throws: `OperatingError` where there is none, or it is wrong.
  public init(ofUseCase directory: String) throws {
    let path = directory + "/simulation.yaml"
    guard FileManager.default.fileExists(atPath: path) else {
      throw OperatingError(
        .configuration,
        "the use case \(directory) cannot be simulated: it has no simulation.yaml (docs/simulation.md says how to write "
          + "one)")
    }
    switch ConfigurationFile.read(path) {
    case .success(let read): text = read
    case .failure(let errors): throw OperatingError(.configuration, "\(path):\(errors)")
    }
    do { definition = try SimulationDefinition(yaml: text, file: path) } catch {
      throw OperatingError(.configuration, "\(error)")
    }
  }
}
