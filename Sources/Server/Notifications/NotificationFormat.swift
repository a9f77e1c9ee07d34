// Notifications in the forms that others read: alerts of Alertmanager's API and of its webhooks, CloudEvents, and text for
// Slack and what takes the same. docs/notifications.md shows each.

import Detection
import Foundation

/// A form of notifications.
enum NotificationFormat: Sendable, Hashable {
  /// Alerts as `POST /api/v2/alerts` of Alertmanager takes them (its OpenAPI, `postableAlerts`).
  /// - Parameter resolveAfter: microseconds after which an alert is over.
  case alerts(resolveAfter: Int64)
  /// What Alertmanager sends to webhooks (version 4).
  case alertGroup(receiver: String, resolveAfter: Int64)
  /// A CloudEvent 1.0 in structured mode, JSON.
  case cloudEvent
  /// `{"text": …}`, with Slack's marks.
  case slack

  var contentType: String { self == .cloudEvent ? "application/cloudevents+json" : "application/json" }

  func body(of notification: AnomalyNotification) -> String {
    switch self {
    case .alerts(let resolveAfter):
      JSONText.array(Alert.all(of: notification, resolveAfter: resolveAfter).map(\.json))
    case .alertGroup(let receiver, let resolveAfter):
      Self.group(of: notification, Alert.all(of: notification, resolveAfter: resolveAfter), receiver)
    case .cloudEvent: Self.cloudEvent(notification)
    case .slack: JSONText.object([("text", JSONText.string(Self.slackText(notification)))])
    }
  }

  // MARK: Alertmanager

  private static func group(of notification: AnomalyNotification, _ alerts: [Alert], _ receiver: String) -> String {
    let labels = notification.useCase.map { useCase in
      [("use_case", JSONText.string(useCase)), ("entity", JSONText.string(notification.key ?? ""))]
    }
    let common = JSONText.object(labels ?? [("alertname", JSONText.string(Alert.heldBackName))])
    let name = notification.useCase.map { "\($0)/\(notification.key ?? "")" } ?? Alert.heldBackName
    return JSONText.object([
      ("version", JSONText.string("4")), ("groupKey", JSONText.string(name)), ("truncatedAlerts", "0"),
      ("status", JSONText.string("firing")), ("receiver", JSONText.string(receiver)), ("groupLabels", common),
      ("commonLabels", common),
      ("commonAnnotations", JSONText.object([("summary", JSONText.string(notification.summary))])),
      ("externalURL", JSONText.string("")), ("alerts", JSONText.array(alerts.map(\.jsonInGroup))),
    ])
  }

  // MARK: CloudEvents

  private static func cloudEvent(_ notification: AnomalyNotification) -> String {
    let findings = notification.findings.map { finding in
      JSONText.object([
        ("id", JSONText.string(finding.id)), ("detector", JSONText.string(finding.detector)),
        ("severity", JSONText.string(finding.severity)), ("event_time", JSONText.time(finding.eventTime)),
        ("score", JSONText.number(finding.score)), ("reason", JSONText.string(finding.reason)),
      ])
    }
    let data = JSONText.object([
      ("use_case", JSONText.optional(notification.useCase)), ("key", JSONText.optional(notification.key)),
      ("severity", JSONText.optional(notification.useCase == nil ? nil : notification.severity.rawValue)),
      ("summary", JSONText.string(notification.summary)), ("count", String(notification.count)),
      ("held_back", String(notification.heldBack)), ("findings", JSONText.array(findings)),
    ])
    let source = "/use-cases/\(notification.useCase ?? "")"
    var members = [
      ("specversion", JSONText.string("1.0")), ("id", JSONText.string(notification.id)),
      ("source", JSONText.string(notification.useCase == nil ? "/notifications" : source)),
      ("type", JSONText.string(notification.useCase == nil ? "streampulse.held_back" : "streampulse.anomalies")),
      ("time", JSONText.time(notification.created)),
    ]
    if let key = notification.key, !key.isEmpty { members.append(("subject", JSONText.string(key))) }
    members += [("datacontenttype", JSONText.string("application/json")), ("data", data)]
    return JSONText.object(members)
  }

  // MARK: Slack

  /// Findings that a text names.
  private static let mostLines = 5

  private static func slackText(_ notification: AnomalyNotification) -> String {
    var lines: [String] = []
    if let useCase = notification.useCase, let key = notification.key {
      let what = notification.count == 1 ? "1 finding" : "\(notification.count) findings"
      lines.append("*\(notification.severity.rawValue)* \(what) on *\(escaped(key))* in \(escaped(useCase))")
      for finding in notification.findings.prefix(mostLines) {
        let time = Timestamp.formatWithinRange(finding.eventTime)
        lines.append("• \(escaped(finding.detector)): \(escaped(finding.reason)) (\(time))")
      }
      let more = notification.count - min(notification.findings.count, mostLines)
      if more > 0 { lines.append("• and \(more) more") }
    }
    if notification.heldBack > 0 {
      lines.append(
        "_\(notification.heldBack) finding\(notification.heldBack == 1 ? " was" : "s were") held back by the rate limit_"
      )
    }
    return lines.joined(separator: "\n")
  }

  /// Text of events names nobody, links nowhere and marks nothing.
  private static func escaped(_ text: String) -> String {
    let safe = text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    return safe.replacing("*", with: "∗").replacing("\n", with: " ")
  }
}

/// An alert of Alertmanager: the findings of a detector on an entity.
private struct Alert {
  var labels: [(String, String)]
  var annotations: [(String, String)]
  var start: Int64
  var end: Int64

  static let heldBackName = "PulseFindingsHeldBack"

  static func all(of notification: AnomalyNotification, resolveAfter: Int64) -> [Alert] {
    // Times are those of the notification: an alert about events of last week would be over before it came.
    let (start, end) = (notification.created, notification.created + resolveAfter)
    guard let useCase = notification.useCase, let key = notification.key else {
      return [
        Alert(
          labels: [("alertname", heldBackName), ("severity", Severity.medium.rawValue)],
          annotations: [("summary", notification.summary), ("notification", notification.id)], start: start, end: end)
      ]
    }
    let detectors = Dictionary(grouping: notification.findings, by: \.detector)
    return detectors.sorted { $0.key < $1.key }.map { detector, findings in
      let severity = findings.map(\.rank).max() ?? .info
      var annotations = [
        ("summary", "\(detector) on \(key) in \(useCase)"),
        ("description", findings.prefix(3).map(\.reason).joined(separator: "; ")),
        ("findings", String(detectors.count == 1 ? notification.count : findings.count)),
        ("event_time", Timestamp.formatWithinRange(findings[0].eventTime)), ("notification", notification.id),
      ]
      if notification.heldBack > 0 { annotations.append(("held_back", String(notification.heldBack))) }
      return Alert(
        labels: [
          ("alertname", "PulseAnomaly"), ("use_case", useCase), ("detector", detector),
          ("severity", severity.rawValue), ("entity", key),
        ], annotations: annotations, start: start, end: end)
    }
  }

  private var members: [(String, String)] {
    [
      ("labels", JSONText.object(labels.filter { !$0.1.isEmpty }.map { ($0, JSONText.string($1)) })),
      ("annotations", JSONText.object(annotations.map { ($0, JSONText.string($1)) })),
      ("startsAt", JSONText.time(start)), ("endsAt", JSONText.time(end)),
    ]
  }

  var json: String { JSONText.object(members) }

  var jsonInGroup: String {
    // Alertmanager gives a hash of the labels: it is the same as long as they are.
    let key = labels.map { "\($0)\u{0}\($1)" }.joined(separator: "\u{0}")
    let hash = key.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let text = String(hash, radix: 16)
    return JSONText.object(
      [("status", JSONText.string("firing"))] + members + [
        ("generatorURL", JSONText.string("")),
        ("fingerprint", JSONText.string(String(repeating: "0", count: 16 - text.count) + text)),
      ])
  }
}
