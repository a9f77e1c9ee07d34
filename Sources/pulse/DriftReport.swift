// Whether events still look as they did when the models were trained, as `pulse status` says it.

import Detection
import Operations
import Pipeline

extension DriftSummary {
  /// For a person; nil where no model has scored.
  var text: String? {
    guard hasCounts else { return nil }
    let head = "  drift         "
    guard !notable.isEmpty else {
      return head
        + (compared == 0
          ? "not known yet: no day with \(Limits.minDriftRows.grouped) scored events"
          : "none: the events of \(compared) days (of a model each) look as they did in training")
    }
    var lines: [String] = []
    var shown: (day: Int64, detector: String)?
    for change in notable.prefix(20) {
      if let shown, shown == (change.day, change.detector) {
        lines[lines.count - 1] += ", \(change.drift.name) \(change.drift.index.fixed(2))"
      } else {
        lines.append("\(change.date) \(change.detector): \(change.drift.name) \(change.drift.index.fixed(2))")
      }
      shown = (change.day, change.detector)
    }
    if notable.count > 20 { lines.append("and \(notable.count - 20) more") }
    let note = "(population stability index, notable from \(Drift.notable.fixed(2)))"
    return head + (lines + [note]).joined(separator: "\n" + String(repeating: " ", count: head.count))
  }
}
