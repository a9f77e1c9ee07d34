// `pulse status`: where the runs on a data directory stand.

import ArgumentParser
import Connectors
import Detection
import Learning
import Operations
import Pipeline

struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show how far each use case has come and what is stored.",
    discussion: "Example: pulse status --data data")

  @OptionGroup var place: PlaceOptions

  @Option(help: "Only this use case.")
  var useCase: String?

  @Flag(help: "Print one JSON array.")
  var json = false

  func run() async throws {
    let reader = try place.reader()
    let status = try await ResultLists(reader).status(of: useCase, models: reader.directory.modelsPath)
    let partitions = status.partitions
    if json {
      var writer = JSONArrayWriter()
      for partition in partitions { writer.add(partition.json) }
      return writer.finish()
    }
    if partitions.isEmpty { return Terminal.print("Nothing has run on \(reader.place) yet.") }
    for (index, partition) in partitions.enumerated() {
      Terminal.print(Self.text(partition, models: reader.directory.modelsPath))
      // Drift is of the use case: said once, behind its last partition.
      let isLast = index + 1 == partitions.count || partitions[index + 1].useCase != partition.useCase
      if isLast, let text = status.drift[partition.useCase]?.text { Terminal.print(text) }
    }
  }

  /// Within files bytes and records are counted. Topics, the inbox and the simulator have numbers alone, and a topic that was
  /// made again has those of another log.
  private static func place(_ position: Position) -> String {
    guard position.offset == position.row else {
      return "file \(position.segment), offset \(position.offset), record \(position.row)"
    }
    return "offset \(position.offset)" + (position.segment > 0 ? " of segment \(position.segment)" : "")
  }

  /// - Parameter models: the folder of all models.
  private static func text(_ status: PartitionStatus, models folder: String) -> String {
    let totals = status.totals
    var lines = [
      "\(status.useCase)  \(status.partition.source)/\(status.partition.number)",
      "  position      \(place(status.position))",
      "  watermark     \(status.watermark.map { Timestamp.formatWithinRange($0) } ?? "not known yet")",
      "  events        \(totals.events.grouped) of \(totals.records.grouped) records",
      "  dead letters  \(list(totals.deadLetters))" + found(totals.deadLetters, stored: status.storedDeadLetters),
      "  anomalies     \(list(totals.anomalies))"
        + found(totals.anomalies, stored: status.storedAnomalies.values.reduce(0, +)),
    ]
    if !totals.classes.isEmpty { lines.append("  classes       \(list(totals.classes))") }
    if !totals.lateEvents.isEmpty { lines.append("  late events   \(list(totals.lateEvents))") }
    if !totals.ruleSkips.isEmpty { lines.append("  left out      \(list(totals.ruleSkips))") }
    if totals.aheadEvents > 0 { lines.append("  wrong times   \(totals.aheadEvents.grouped)") }
    if totals.undecidedEvents > 0 { lines.append("  undecided     \(totals.undecidedEvents.grouped)") }
    if totals.waitingEvents > 0 { lines.append("  waiting       \(totals.waitingEvents.grouped)") }
    if totals.expressionFailures > 0 {
      lines.append("  failed casts and overflows  \(totals.expressionFailures.grouped)")
    }
    lines.append("  windows       \(status.windows.grouped), \(status.openWindows.grouped) open")
    lines.append(
      "  history       \((status.shardRows + status.waitingRows).grouped) rows, \(status.shards.grouped) shards, "
        + "\((Double(status.shardBytes) / 1e6).fixed(1)) MB")
    if let version = status.version { lines.append("  configuration \(version.prefix(12))") }
    if !status.models.isEmpty {
      let registry = ModelRegistry(folder: folder, useCase: status.useCase)
      let models = status.models.sorted { $0.key < $1.key }.map { detector, version in
        let isThere = version.isEmpty || (try? registry.contains(version, of: detector)) == true
        return "\(detector) \(version)"
          + (isThere ? "" : " (its files are gone: restore them, or promote another version)")
      }
      lines.append("  models        \(models.joined(separator: ", "))")
    }
    for gap in status.gaps { lines.append("  accepted gap  \(gap)") }
    return lines.joined(separator: "\n")
  }

  /// How many of those found are still stored: `results: {retain: …}` removes the others.
  private static func found(_ counts: [String: Int], stored: Int) -> String {
    let total = counts.values.reduce(0, +)
    return total == 0 ? "" : " (found in all: \(total.grouped), stored: \(stored.grouped))"
  }

  private static func list(_ counts: [String: Int]) -> String {
    if counts.isEmpty { return "none" }
    return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      .map { "\($0.key) \($0.value.grouped)" }.joined(separator: ", ")
  }
}
