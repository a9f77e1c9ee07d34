// The live view of a run: one line that a terminal redraws, or plain lines where nobody watches.

import Detection
import Foundation
import Pipeline

/// Prints how a run is going, until it is cancelled.
struct ProgressReport: Sendable {
  private let progress: RunProgress
  private let start = ContinuousClock.now

  init(_ progress: RunProgress) { self.progress = progress }

  func run() async {
    let interval = Duration.milliseconds(Terminal.isInteractive ? 200 : 5000)
    var last = (records: 0, instant: start)
    while (try? await Task.sleep(for: interval)) != nil {
      let snapshot = progress.snapshot
      let now = ContinuousClock.now
      let rate = Double(snapshot.run.records - last.records) / (now - last.instant).seconds
      last = (snapshot.run.records, now)
      let line = Self.line(snapshot, rate: rate)
      if Terminal.isInteractive { Terminal.replaceLine(line) } else { Terminal.printError(line) }
    }
    if Terminal.isInteractive { Terminal.replaceLine("") }
  }

  static func line(_ snapshot: RunProgress.Snapshot, rate: Double) -> String {
    var parts = ["\(snapshot.run.events.grouped) events", "\(Int(rate).grouped)/s"]
    if snapshot.eventTime != .min { parts.append("at \(Timestamp.format(snapshot.eventTime).prefix(19))") }
    let classes = snapshot.run.classes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5)
    if !classes.isEmpty { parts.append(classes.map { "\($0.key) \($0.value.grouped)" }.joined(separator: " ")) }
    parts.append("anomalies \(snapshot.run.anomalies.values.reduce(0, +).grouped)")
    parts.append("dead letters \(snapshot.run.deadLetters.values.reduce(0, +).grouped)")
    return parts.joined(separator: " · ")
  }
}

extension Duration {
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
