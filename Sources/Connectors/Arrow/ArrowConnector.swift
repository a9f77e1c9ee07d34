// History as Arrow IPC files, in the catalogue.

public import Configuration
public import Pipeline

public struct ArrowConnector: HistoryConnector {
  static let name = "arrow"

  private static let codec = Setting(
    "codec", key: "codec", flag: "codec", .word(["lz4", "zstd", "none"]), standard: .text("lz4"),
    "Compression of history (default: lz4).")

  public let specification = ConnectorSpecification(
    name, noun: "Arrow files",
    "history: scored events as Arrow IPC files by day, for pandas, Polars, Spark and training", settings: [codec])

  public init() {}

  public func make(_ settings: ConnectorSettings, in directory: DataDirectory, useCase: String) -> any HistoryEncoder {
    let codec: ShardEncoder.Codec =
      switch settings.text(Self.codec.name) {
      case "zstd": .zstd(level: 1)
      case "none": .none
      default: .lz4
      }
    return ArrowHistory(in: directory, useCase: useCase, codec: codec)
  }
}
