// `pulse anomalies`: what was found, newest first.

import ArgumentParser
import Connectors
import Detection
import Operations
import Pipeline

struct Anomalies: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List anomalies, newest first, each with its reason.",
    discussion: "Example: pulse anomalies --data data --severity high --since 2024-03-02 --limit 10")

  @OptionGroup var options: ListOptions

  @Option(help: "Only findings of this detector or rule.")
  var detector: String?

  @Option(help: "Only this entity key.")
  var key: String?

  @Option(help: "Only this severity and above: info, low, medium, high, critical.")
  var severity: Severity?

  func run() async throws {
    var filter = options.filter
    filter.name = detector
    filter.keys = key.map { [$0] }
    if let severity { filter.keep(from: severity) }
    let lists = try options.lists
    if options.json {
      return try await options.printJSON { add in try await lists.forEachAnomaly(filter) { add($0.json) } }
    }
    var anomalies: [StoredAnomaly] = []
    try await lists.forEachAnomaly(filter) { anomalies.append($0) }
    if anomalies.isEmpty { return Terminal.print("No anomalies match.") }
    var table = TextTable([
      ("time", .whole), ("severity", .left), ("detector", .left), ("key", .left), ("score", .right), ("reason", .left),
    ])
    for anomaly in anomalies {
      table.add([
        Timestamp.format(anomaly.eventTime), anomaly.severity, anomaly.detector, anomaly.key, anomaly.score.fixed(2),
        anomaly.reason,
      ])
    }
    Terminal.print(table)
  }
}
