// `pulse anomalies`: what was found, newest first.

import ArgumentParser
import Connectors
import Detection

struct Anomalies: ParsableCommand {
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

  func run() throws {
    var filter = options.filter
    filter.name = detector
    filter.key = key
    filter.severity = severity
    let anomalies = try options.reader.anomalies(filter)
    if options.json { return options.printJSON(anomalies.map(\.json)) }
    if anomalies.isEmpty { return Terminal.print("No anomalies match.") }
    var table = TextTable([
      ("time", .left), ("severity", .left), ("detector", .left), ("key", .left), ("score", .right), ("reason", .left),
    ])
    for anomaly in anomalies {
      table.add([
        Timestamp.format(anomaly.eventTime), anomaly.severity, anomaly.detector, anomaly.key, anomaly.score.fixed(2),
        anomaly.reason,
      ])
    }
    Terminal.print(table.text)
  }
}
