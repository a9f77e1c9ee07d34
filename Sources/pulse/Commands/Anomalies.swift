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
    let reader = try options.reader
    if options.json {
      return try options.printJSON(reader, filter, .detector) { add in
        try reader.forEachAnomaly(filter) { add($0.json) }
      }
    }
    let anomalies = try reader.anomalies(filter)
    if anomalies.isEmpty {
      try KnownNames.check(filter, .detector, in: reader)
      return Terminal.print("No anomalies match.")
    }
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
