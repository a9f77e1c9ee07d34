// What a person wants to know when a run has ended: how fast, what was in the stream, what was found, what could not be
// read, where the results are, and what to do next.

import Connectors
import Detection
import Foundation
import Pipeline

struct RunSummary {
  private let progress: RunProgress.Snapshot
  private let seconds: Double
  private let plan: Plan
  private let place: StorePlace
  /// What messages call the store.
  private let store: String
  /// Whether a signal ended the run before its input did.
  private let wasStopped: Bool
  /// What there is to say of the input, a sentence each.
  private let notes: [String]
  /// Names of the fields of which no event of this run had a value.
  private let absentFields: [String]
  /// Slowest (or otherwise highest) entities by the last quantile of the first grouped window that has one.
  private let top: (window: String, aggregate: String, entities: [TopEntity])?

  init(
    progress: RunProgress.Snapshot, duration: Duration, plan: Plan, place: StorePlace, wasStopped: Bool,
    notes: [String] = []
  ) async throws {
    self.progress = progress
    seconds = max(duration.seconds, 1e-9)
    self.plan = plan
    self.place = place
    let reader = try place.reader()
    store = reader.place
    self.wasStopped = wasStopped
    let absent = progress.run.events > 0 ? progress.absentFields.sorted().map { plan.schema.fields[$0].name } : []
    absentFields = absent
    self.notes = notes + (absent.isEmpty ? [] : [Self.note(ofAbsent: absent, events: progress.run.events)])
    let candidate = plan.windows.lazy.compactMap { window -> (String, String)? in
      guard !window.by.isEmpty, let quantile = window.aggregates.last(where: { $0.call.function == .quantile }) else {
        return nil
      }
      return (window.definition.name, quantile.name)
    }.first
    guard let (window, aggregate) = candidate else {
      top = nil
      return
    }
    let entities = try await reader.read {
      try await $0.topEntities(of: plan.useCase.name, window: window, by: aggregate, limit: 5)
    }
    top = (window, aggregate, entities)
  }

  /// A field that is declared and never comes is most often one that has another name in the input.
  private static func note(ofAbsent names: [String], events: Int) -> String {
    let list = names.count == 1 ? names[0] : names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
    return "the field\(names.count == 1 ? " \(list) was" : "s \(list) were") absent from all \(events.grouped) events: "
      + "check the name or `path` of what should be there"
  }

  /// For a person.
  /// - Parameter width: columns of the terminal it is shown on; nil where there is none.
  func text(width: Int?) -> String {
    var sections = [throughput]
    if !notes.isEmpty { sections.append("Input\n" + notes.map { "  \($0)" }.joined(separator: "\n")) }
    if !progress.all.classes.isEmpty { sections.append(classes(width)) }
    if let top, !top.entities.isEmpty { sections.append(entities(top, width)) }
    sections.append(
      table("Anomalies by detector", progress.all.anomalies, empty: "No anomalies.", first: "detector", width))
    sections.append(
      table("Dead letters by reason", progress.all.deadLetters, empty: "No dead letters.", first: "stage/reason", width)
    )
    if let leftOut = leftOut(width) { sections.append(leftOut) }
    sections.append(
      """
      \(whereabouts)
      """)
    return sections.joined(separator: "\n\n")
  }

  private var whereabouts: String {
    let (data, history) = (place.directory.path, "history/\(plan.useCase.name)/ as Arrow files by day")
    if place.isEmbedded {
      return "Results are in \(data): pulse.sqlite, and \(history).\nNext: pulse anomalies --data \(data) --limit 10"
    }
    return "Results are in \(store), and \(history) in \(data).\nNext: pulse anomalies --store \(store) --limit 10"
  }

  private var throughput: String {
    let run = progress.run
    var line =
      "\(run.events.grouped) events in \(seconds.fixed(seconds < 10 ? 2 : 1)) s: "
      + "\(Int(Double(run.records) / seconds).grouped) records/s"
    if progress.resumedRecords > 0 {
      line += " (resumed behind \(progress.resumedRecords.grouped) records; the tables count all)"
    }
    if wasStopped {
      line += "\nStopped by a signal before the end of its input: the same command goes on where it stopped."
    }
    if progress.eventTime != .min { line += "\nEvent time reached: \(Timestamp.format(progress.eventTime))" }
    return line
  }

  private func classes(_ width: Int?) -> String {
    let counts = progress.all.classes
    let total = max(1, counts.values.reduce(0, +))
    var table = TextTable([("class", .left), ("events", .right), ("share", .right)])
    for (name, count) in counts.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
      table.add([name, count.grouped, (100 * Double(count) / Double(total)).fixed(2) + " %"])
    }
    return "Classes\n" + table.text(width: width)
  }

  private func entities(
    _ top: (window: String, aggregate: String, entities: [TopEntity]), _ width: Int?
  ) -> String {
    var table = TextTable([("entity", .left), ("events", .right), (top.aggregate, .right)])
    for entity in top.entities {
      let name = FlatJSON.members(entity.by).map { "\($0.name) \($0.value)" }.joined(separator: ", ")
      table.add([name, Int(entity.events).grouped, entity.value.fixed(1)])
    }
    return "Highest \(top.aggregate) by entity, over all \(top.window) windows\n" + table.text(width: width)
  }

  /// What rules and windows did not take, and why; nil where that is nothing.
  private func leftOut(_ width: Int?) -> String? {
    let all = progress.all
    var table = TextTable([("left out", .left), ("events", .right), ("why", .left)])
    for (window, count) in all.lateEvents.sorted(by: { $0.key < $1.key }) {
      table.add(["window \(window)", count.grouped, "late: the window had closed"])
    }
    for (key, count) in all.ruleSkips.sorted(by: { $0.key < $1.key }) {
      // `<rule>/<reason>`
      let parts = key.split(separator: "/", maxSplits: 1).map(String.init)
      table.add(["rule \(parts[0])", count.grouped, Self.skipReasons[parts[parts.count - 1]] ?? parts[parts.count - 1]])
    }
    if all.aheadEvents > 0 {
      table.add(["rules, far windows", all.aheadEvents.grouped, "their time is ahead of what the others told"])
    }
    if all.undecidedEvents > 0 {
      table.add(["rules, far windows", all.undecidedEvents.grouped, Self.undecided])
    }
    if all.waitingEvents > 0 {
      table.add(["for now", all.waitingEvents.grouped, "waiting: the next events tell whether their time is right"])
    }
    if all.expressionFailures > 0 {
      table.add(["values", all.expressionFailures.grouped, "NULL: a cast failed or a number was too large"])
    }
    if table.isEmpty { return nil }
    var text = "Left out of rules and windows\n" + table.text(width: width)
    if all.waitingEvents > 0 {
      text += "\nIf the input is complete, run again with --close: it decides about what waits, and closes windows."
    }
    if all.aheadEvents * 20 > all.events && plan.useCase.event.clockOf == nil {
      text +=
        "\nMany times are ahead of the others: where producers have clocks of their own, `event: {clock_of: …}` "
        + "names the field that says whose clock an event carries."
    }
    return text
  }

  private static let undecided = "given up undecided: too much waited, or the use case changed"

  private static let skipReasons = [
    "late": "late: behind the window of their entity", "ahead": "their time is ahead of what the others told",
    "undecided": undecided,
    "without_entity": "a field that makes the entity is null",
  ]

  private func table(_ title: String, _ counts: [String: Int], empty: String, first: String, _ width: Int?)
    -> String
  {
    if counts.isEmpty { return empty }
    var table = TextTable([(first, .left), ("count", .right)])
    for (name, count) in counts.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
      table.add([name, count.grouped])
    }
    return title + "\n" + table.text(width: width)
  }

  var json: String {
    let object: [String: Any] = [
      "use_case": plan.useCase.name, "seconds": seconds, "stopped": wasStopped, "notes": notes,
      "absent_fields": absentFields,
      "records": progress.run.records,
      "events": progress.run.events, "records_per_second": Double(progress.run.records) / seconds,
      "resumed_records": progress.resumedRecords, "data": place.directory.path,
      "event_time": progress.eventTime == .min ? NSNull() : Timestamp.format(progress.eventTime) as Any,
      "memory": ["state_bytes": progress.stateBytes],
      "checkpoints": [
        "count": progress.checkpoints, "longest_seconds": progress.longestCheckpoint.seconds,
        "mean_seconds": progress.checkpointTime.seconds / Double(max(progress.checkpoints, 1)),
      ] as [String: Any],
      "totals": [
        "records": progress.all.records, "events": progress.all.events, "classes": progress.all.classes,
        "anomalies": progress.all.anomalies, "dead_letters": progress.all.deadLetters,
        "late_events": progress.all.lateEvents, "ahead_events": progress.all.aheadEvents,
        "undecided_events": progress.all.undecidedEvents,
        "waiting_events": progress.all.waitingEvents, "rule_skips": progress.all.ruleSkips,
        "expression_failures": progress.all.expressionFailures,
      ] as [String: Any],
    ]
    let bytes = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .prettyPrinted])
    return String(decoding: bytes ?? Data("{}".utf8), as: UTF8.self)
  }
}
