// `pulse anomalies`: what was found, newest first.

import ArgumentParser
import Connectors
import Detection
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
    filter.key = key
    filter.severity = severity
    let reader = try options.reader
    if options.json {
      return try await options.printJSON(reader, filter, .detector) { results, add in
        try await results.forEachAnomaly(filter) { add($0.json) }
      }
    }
    let anomalies = try await reader.read { results in
      let found = try await results.anomalies(filter)
      if found.isEmpty { try await KnownNames.check(filter, .detector, in: results, of: reader) }
      return found
    }
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
