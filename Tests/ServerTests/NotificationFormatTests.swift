// What others read, member by member, and what people see of it.

import Configuration
import Detection
import Foundation
import HTTPTypes
import Pipeline
import TestKit
import Testing

@testable import Server

@Suite("Forms of notifications", .timeLimit(.minutes(15)))
struct NotificationFormatTests {
  private static let findings = [
    NotifiedFinding(
      id: "f1", detector: "spill", severity: "high", eventTime: 1_700_000_000_000_000, score: 3.5,
      reason: "spilled 4 GB"),
    NotifiedFinding(
      id: "f2", detector: "spill", severity: "critical", eventTime: 1_700_000_001_000_000, score: .infinity,
      reason: "<!channel> *a* & b"),
    NotifiedFinding(
      id: "f3", detector: "slow", severity: "medium", eventTime: 1_700_000_002_000_000, score: 1, reason: "slow\nline"),
  ]

  private static func notification(_ key: String = "17", count: Int = 9, heldBack: Int = 0) -> AnomalyNotification {
    AnomalyNotification(
      id: "abc", created: 1_700_000_100_000_000, useCase: "redset", key: key, count: count, findings: findings,
      heldBack: heldBack, due: 0)
  }

  private static let summary = AnomalyNotification(
    id: "def", created: 1_700_000_100_000_000, useCase: nil, key: nil, count: 0, findings: [], heldBack: 7, due: 0)

  private static func json(_ format: NotificationFormat, _ notification: AnomalyNotification) throws -> JSONValue {
    try JSONValue(parsing: Array(format.body(of: notification).utf8))
  }

  @Test("Alertmanager gets an alert for each detector and entity, that is over after a while")
  func alerts() throws {
    let alerts = try #require(try Self.json(.alerts(resolveAfter: 60_000_000), Self.notification(heldBack: 3)).array)
    #expect(alerts.map { $0["labels"]?["detector"]?.string } == ["slow", "spill"])
    let spill = alerts[1]
    #expect(
      spill["labels"]
        == .object([
          "alertname": .string("PulseAnomaly"), "use_case": .string("redset"), "detector": .string("spill"),
          "severity": .string("critical"), "entity": .string("17"),
        ]))
    #expect(spill["startsAt"]?.string == "2023-11-14T22:15:00Z" && spill["endsAt"]?.string == "2023-11-14T22:16:00Z")
    #expect(spill["annotations"]?["description"]?.string == "spilled 4 GB; <!channel> *a* & b")
    #expect(spill["annotations"]?["held_back"]?.string == "3" && spill["annotations"]?["findings"]?.string == "2")
    // An empty label is none (Alertmanager takes none).
    let unnamed = try #require(try Self.json(.alerts(resolveAfter: 1), Self.notification("")).array?.first)
    #expect(unnamed["labels"]?["entity"] == nil)
    let alone = try #require(try Self.json(.alerts(resolveAfter: 1), Self.summary).array)
    #expect(alone.count == 1 && alone[0]["labels"]?["alertname"]?.string == "PulseFindingsHeldBack")
  }

  @Test("a webhook of Alertmanager's form has its members")
  func group() throws {
    let group = try Self.json(.alertGroup(receiver: "oncall", resolveAfter: 60_000_000), Self.notification())
    #expect(group["version"]?.string == "4" && group["status"]?.string == "firing")
    #expect(group["receiver"]?.string == "oncall" && group["groupKey"]?.string == "redset/17")
    #expect(group["groupLabels"]?["entity"]?.string == "17" && group["truncatedAlerts"]?.integer == 0)
    let alerts = try #require(group["alerts"]?.array)
    #expect(alerts.count == 2)
    for alert in alerts {
      #expect(alert["status"]?.string == "firing" && alert["generatorURL"] == .string(""))
      #expect(alert["fingerprint"]?.string?.count == 16)
    }
    #expect(alerts[0]["fingerprint"] != alerts[1]["fingerprint"])
    let again = try Self.json(.alertGroup(receiver: "oncall", resolveAfter: 1), Self.notification(count: 3))
    #expect(again["alerts"]?.array?.map { $0["fingerprint"] } == alerts.map { $0["fingerprint"] })
  }

  @Test("a CloudEvent has what the specification demands, and all findings that are known")
  func cloudEvent() throws {
    let event = try Self.json(.cloudEvent, Self.notification())
    #expect(event["specversion"]?.string == "1.0" && event["id"]?.string == "abc")
    #expect(event["type"]?.string == "streampulse.anomalies" && event["source"]?.string == "/use-cases/redset")
    #expect(event["subject"]?.string == "17" && event["datacontenttype"]?.string == "application/json")
    #expect(event["time"]?.string == "2023-11-14T22:15:00Z")
    let data = try #require(event["data"])
    #expect(data["count"]?.integer == 9 && data["severity"]?.string == "critical")
    #expect(data["findings"]?.array?.count == 3 && data["findings"]?.array?[1]["score"]?.string == "inf")
    // What is empty may not be there (CloudEvents 1.0.2, `subject`).
    #expect(try Self.json(.cloudEvent, Self.notification(""))["subject"] == nil)
    let alone = try Self.json(.cloudEvent, Self.summary)
    #expect(alone["type"]?.string == "streampulse.held_back" && alone["data"]?["use_case"] == .null)
    #expect(NotificationFormat.cloudEvent.contentType == "application/cloudevents+json")
  }

  @Test("text for Slack names the first, and what events say marks nothing and calls nobody")
  func slack() throws {
    let text = try #require(try Self.json(.slack, Self.notification("<a>", heldBack: 1))["text"]?.string)
    let lines = text.split(separator: "\n").map(String.init)
    #expect(lines.first == "*critical* 9 findings on *&lt;a&gt;* in redset")
    #expect(lines.contains("• spill: &lt;!channel&gt; ∗a∗ &amp; b (2023-11-14T22:13:21Z)"), "\(lines)")
    #expect(lines.contains { $0.hasPrefix("• slow: slow line") })
    #expect(lines.contains("• and 6 more") && lines.last == "_1 finding was held back by the rate limit_")
    #expect(try Self.json(.slack, Self.summary)["text"]?.string == "_7 findings were held back by the rate limit_")
  }

  @Test("sinks go to their addresses with their secrets, and say what is wrong with them without these")
  func sinks() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let alertmanager = try told.sink(.alertmanager, at: receiver.address + "/am/", secret: "s3cret") {
        $0.groupWait = 0
      }
      let slack = try told.sink(.slack, at: nil, secret: receiver.address + "/services/T/B/x") { sink in
        (sink.name, sink.groupWait) = ("slack", 0)
      }
      for sink in [alertmanager, slack] {
        let notifier = try await told.notifier(sink)
        try await OutgoingHTTP.lend { client in
          try await told.find(on: "a")
          try await notifier.step(by: client)
        }
      }
      #expect(receiver.requests.map(\.path) == ["/am/api/v2/alerts", "/services/T/B/x"])
      #expect(receiver.requests[0].headers[.authorization] == "Bearer s3cret")
      #expect(receiver.requests[1].headers[.authorization] == nil)
      #expect(try receiver.requests[1].json["text"]?.string?.hasPrefix("*high* 1 finding on *a* in u") == true)
      func message(_ kind: NotificationConfiguration.Kind, _ address: String?, _ secret: String?) -> String {
        do {
          _ = try told.sink(kind, at: address, secret: secret)
          return ""
        } catch { return "\(error)" }
      }
      #expect(message(.webhook, "ftp://a", nil).contains("begins with https://"))
      #expect(message(.webhook, "https://ada:pw@a/", nil).contains("has a name or password in it"))
      let wrong = message(.slack, nil, "hooks.slack.example/T0/secret")
      #expect(wrong.contains("is no address") && !wrong.contains("T0"))
      var configuration = NotificationConfiguration(name: "n", kind: .webhook)
      (configuration.url, configuration.secret) = ("https://a", .variable("NONE"))
      let unset = #expect(throws: OperatingError.self) { try NotificationSink(configuration, environment: [:]) }
      #expect(unset?.description.contains("NONE is not set") == true)
      let folder = try TestFolder()
      configuration.secret = .file(try folder.write("secret", "x\n"))
      let open = #expect(throws: OperatingError.self) { try NotificationSink(configuration, environment: [:]) }
      #expect(open?.description.contains("can be read by others") == true)
      chmod(folder / "secret", 0o600)
      _ = try NotificationSink(configuration, environment: [:])
    }
  }

  @Test("the API says who is told, how that goes and what was given up, to whom may see it")
  func listed() async throws {
    let reaction: @Sendable (Int, Receiver.Received) -> Receiver.Reaction = { _, _ in Receiver.Reaction(status: 400) }
    try await Receiver.listen(reaction) { receiver in
      var configuration = NotificationConfiguration(name: "oncall", kind: .webhook)
      (configuration.url, configuration.severity) = (receiver.address + "/hidden", .info)
      let sink = try NotificationSink(configuration, environment: [:])
      let tokens = "own read \(String(repeating: "o", count: 40)) redset\nall read \(String(repeating: "a", count: 40))"
      let served = try await ServedFixture(events: 2_000, tokens: tokens, notifications: [sink])
      func bearer(_ letter: String) -> HTTPFields { [.authorization: "Bearer \(String(repeating: letter, count: 40))"] }
      let target = "/api/v1/notifications"
      let before = try #require(try await served.get(target, bearer("a")).json["items"]?.array?.first)
      #expect(before["given_up"]?.integer == 0 && before["last_delivery"] == .null)
      // As a process that tells keeps it.
      var (state, outcomes) = (NotificationState(), NotificationState.Outcomes())
      for useCase in ["redset", "other"] {
        var lost = Self.notification()
        (lost.useCase, lost.id) = (useCase, useCase)
        state.waiting = [lost]
        state.note(.refused("it answered with 400"), of: useCase, sink.rules, at: 1_700_000_200_000_000, &outcomes)
      }
      let actions = try served.served.store.actions
      #expect(
        try await actions.advance(
          sink.outbox, from: ChangeCursor(), to: OutboxPlace(cursor: ChangeCursor(), kept: try state.text())))
      for (letter, seen) in [("a", ["other", "redset"]), ("o", ["redset"])] {
        let answer = try await served.get(target, bearer(letter))
        let item = try #require(try answer.json["items"]?.array?.first)
        #expect(item["dead_letters"]?.array?.compactMap { $0["use_case"]?.string } == seen)
        #expect(item["to"]?.string == receiver.address && !answer.text.contains("hidden"))
        #expect(item["given_up"]?.integer == 2)
      }
      let status = try await served.get("/api/v1/use-cases/redset/status", bearer("a"))
      let light = try #require(
        try status.json["components"]?.array?.first { $0["name"]?.string == "notifications" }, "\(status.text)")
      #expect(light["state"]?.string == "ok")
    }
  }
}
