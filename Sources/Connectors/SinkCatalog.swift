// The sinks that results go to. Add a sink: its folder in Connectors, and a line here.

public enum SinkCatalog {
  /// Every sink, sorted by name.
  public static let entries: [ConnectorDescription] = [
    ConnectorDescription(
      "history", "scored events as Arrow IPC files by day, for pandas, Polars, Spark and training",
      options: ["--data", "--codec"]),
    ConnectorDescription("kafka", "anomalies and dead letters to topics", isAvailable: false),
    ConnectorDescription("postgresql", "anomalies, windows and dead letters in PostgreSQL", isAvailable: false),
    ConnectorDescription("sqlite", "anomalies, windows, dead letters and checkpoints in one file", options: ["--data"]),
  ]
}
