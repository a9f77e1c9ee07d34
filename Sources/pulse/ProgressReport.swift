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
      if Terminal.isInteractive {
        // The last column stays free: with it the cursor would be in the next line.
        let width = (Terminal.width(of: STDERR_FILENO) ?? 80) - 1
        Terminal.replaceLine(Self.line(snapshot, rate: rate, width: width))
      } else {
        Terminal.printError(Self.line(snapshot, rate: rate))
      }
    }
    if Terminal.isInteractive { Terminal.replaceLine("") }
  }

  /// What there is room for: the most frequent classes go first, then event time, dead letters, the rate and anomalies;
  /// the number of events stays.
  static func line(_ snapshot: RunProgress.Snapshot, rate: Double, width: Int = .max) -> String {
    let classes = snapshot.run.classes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      .map { "\($0.key) \($0.value.grouped)" }
    let time = snapshot.eventTime == .min ? nil : "at \(Timestamp.format(snapshot.eventTime).prefix(19))"
    let anomalies = "anomalies \(snapshot.run.anomalies.values.reduce(0, +).grouped)"
    let deadLetters = "dead letters \(snapshot.run.deadLetters.values.reduce(0, +).grouped)"
    func line(classes count: Int, dropping dropped: Int) -> String {
      let parts = [
        "\(snapshot.run.events.grouped) events", dropped < 3 ? "\(Int(rate).grouped)/s" : nil, dropped < 1 ? time : nil,
        count == 0 ? nil : classes.prefix(count).joined(separator: " "), dropped < 4 ? anomalies : nil,
        dropped < 2 ? deadLetters : nil,
      ]
      return parts.compactMap(\.self).joined(separator: " · ")
    }
    for count in (0...min(5, classes.count)).reversed() {
      let text = line(classes: count, dropping: 0)
      if text.columns <= width { return text }
    }
    for dropped in 1...4 {
      let text = line(classes: 0, dropping: dropped)
      if text.columns <= width || dropped == 4 { return String(text.prefix(columns: width)) }
    }
    return ""
  }
}

extension Duration {
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
