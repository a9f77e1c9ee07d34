// Who is told of what, when, and what becomes of what is not taken.

import Configuration
import Crypto
import Detection
import Foundation
import HTTPTypes
import Metrics
import MetricsTestKit
import Pipeline
import TestKit
import Testing

@testable import Server

@Suite("Notifications", .timeLimit(.minutes(15)))
struct NotificationTests {
  @Test("findings of an entity are gathered, and the next ones wait for the interval")
  func grouped() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let sink = try told.sink(at: receiver.address + "/hook")
      let notifier = try await told.notifier(sink)
      try await OutgoingHTTP.lend { client in
        let first =
          try await told.find(5, on: "a", detector: "x") + told.find(2, on: "a", detector: "y", severity: .critical)
        let other = try await told.find(12, on: "b")
        try await notifier.step(by: client)
        told.pass(9.9)
        try await notifier.step(by: client)
        #expect(receiver.requests.isEmpty)
        told.pass(0.2)
        try await notifier.step(by: client)
        #expect(receiver.requests.count == 2)
        let (one, two) = (receiver.requests[0], receiver.requests[1])
        #expect(try one.findings == first && one.count == 7 && one.key == "a")
        #expect(try one.json["data"]?["severity"]?.string == "critical")
        // Of many the first are named, and all counted.
        #expect(try two.findings == Array(other.prefix(NotificationState.mostFindings)) && two.count == 12)
        #expect(one.path == "/hook" && one.header("webhook-id") != two.header("webhook-id"))
        try await told.find(on: "a")
        told.pass(60)
        try await notifier.step(by: client)
        #expect(receiver.requests.count == 2)
        let late = try await told.find(on: "c")
        try await notifier.step(by: client)
        told.pass(240)
        try await notifier.step(by: client)
        #expect(try receiver.requests.dropFirst(2).map { try $0.key } == ["a", "c"])
        #expect(try receiver.requests.last?.findings == late)
      }
    }
  }

  @Test("only what is severe enough, of the detectors and use cases that are named, and not muted")
  func routed() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let sink = try told.sink(at: receiver.address) { sink in
        (sink.severity, sink.detectors, sink.useCases, sink.groupWait) = (.medium, ["x", "y"], ["u"], 0)
      }
      let other = try told.sink(at: receiver.address) { $0.useCases = ["v"] }
      let metrics = TestMetrics()
      let notifier = try await told.notifier(sink, metrics: metrics)
      try await OutgoingHTTP.lend { client in
        try await told.find(on: "low", detector: "x", severity: .low)
        try await told.find(on: "other", detector: "z", severity: .critical)
        try await told.find(on: "medium", detector: "x", severity: .medium)
        _ = try await told.actions.add(
          Mute(key: "muted", until: told.time + 1_000_000_000, who: "ada", why: "known", time: told.time))
        try await told.find(3, on: "muted", detector: "y")
        try await notifier.step(by: client)
        #expect(try receiver.requests.map { try $0.key } == ["medium"])
        func total(_ outcome: String) throws -> Int64 {
          try metrics.expectCounter("pulse_notifications_total", [("sink", "oncall"), ("outcome", outcome)]).totalValue
        }
        #expect(try total("delivered") == 1 && total("muted") == 3 && total("dead_letter") == 0)
        // One that is muted while its findings are gathered.
        try await told.find(on: "medium", detector: "x")
        try await notifier.step(by: client)
        _ = try await told.actions.add(
          Mute(detector: "x", until: told.time + 1_000_000_000, who: "ada", why: "known", time: told.time))
        told.pass(400)
        try await notifier.step(by: client)
        #expect(try receiver.requests.count == 1 && total("muted") == 4)
        let nobody = try await told.notifier(other)
        try await told.find(on: "a", detector: "x")
        try await nobody.step(by: client)
        told.pass(60)
        try await nobody.step(by: client)
        #expect(receiver.requests.count == 1)
      }
    }
  }

  @Test("a detector that is muted takes none of another's findings along, however many were gathered")
  func mutedAmongMany() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let metrics = TestMetrics()
      let notifier = try await told.notifier(try told.sink(at: receiver.address), metrics: metrics)
      try await OutgoingHTTP.lend { client in
        try await told.find(30, on: "a", detector: "x")
        let other = try await told.find(2, on: "a", detector: "y")
        // Nothing is left of this one.
        try await told.find(30, on: "b", detector: "x")
        try await notifier.step(by: client)
        _ = try await told.actions.add(
          Mute(detector: "x", until: told.time + 1_000_000_000, who: "ada", why: "known", time: told.time))
        told.pass(20)
        try await notifier.step(by: client)
        #expect(receiver.requests.count == 1)
        let request = try #require(receiver.requests.first)
        #expect(try request.key == "a" && request.count == 2)
        #expect(try !request.findings.isEmpty && Set(other).isSuperset(of: request.findings))
        let muted = [("sink", "oncall"), ("outcome", "muted")]
        #expect(try metrics.expectCounter("pulse_notifications_total", muted).totalValue == 60)
      }
    }
  }

  @Test("what is taken back before it is told is not told")
  func retracted() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let notifier = try await told.notifier(try told.sink(at: receiver.address))
      try await OutgoingHTTP.lend { client in
        let kept = try await told.find(on: "a")
        try await told.find(on: "a")
        try await notifier.step(by: client)
        try await told.retract()
        try await told.find(on: "b", detector: "e")
        try await notifier.step(by: client)
        try await told.retract("e")
        told.pass(20)
        try await notifier.step(by: client)
        #expect(receiver.requests.count == 1)
        #expect(try receiver.requests.first?.findings == kept && receiver.requests.first?.count == 1)
      }
    }
  }

  @Test("what is not taken is sent again, later each time, as often as is configured, and is kept then")
  func retried() async throws {
    let reaction: @Sendable (Int, Receiver.Received) -> Receiver.Reaction = { number, _ in
      Receiver.Reaction(status: number < 7 ? [500, 503, 200, 500, 502, 504, 408][number] : 200)
    }
    try await Receiver.listen(reaction) { receiver in
      let told = try await NotifierFixture()
      let sink = try told.sink(at: receiver.address) { ($0.groupWait, $0.attempts) = (0, 4) }
      let metrics = TestMetrics()
      let notifier = try await told.notifier(sink, metrics: metrics)
      try await OutgoingHTTP.lend { client in
        try await told.find(on: "a")
        try await notifier.step(by: client)
        try await notifier.step(by: client)
        #expect(receiver.requests.count == 1)
        // The first pause is of half a second to a second, the next one of twice that.
        for (pause, count) in [(0.4, 1), (0.7, 2), (0.9, 2), (1.2, 3), (100, 3)] {
          told.pass(pause)
          try await notifier.step(by: client)
          #expect(receiver.requests.count == count, "\(pause)")
        }
        #expect(Set(receiver.requests.map { $0.header("webhook-id") }).count == 1)
        #expect(Set(receiver.requests.map(\.text)).count == 1)
        let taken = try await told.state(sink)
        #expect(taken.waiting.isEmpty && taken.givenUp.isEmpty)
        try await told.find(on: "b")
        for _ in 0..<6 {
          try await notifier.step(by: client)
          told.pass(60)
        }
        #expect(receiver.requests.count == 7)
        let state = try await told.state(sink)
        #expect(state.waiting.isEmpty && state.givenUpCount == 1)
        let lost = try #require(state.givenUp.first)
        #expect(lost.notification.key == "b" && lost.notification.attempts == 4)
        #expect(lost.notification.trouble == "it answered with 408")
        func total(_ outcome: String) throws -> Int64 {
          try metrics.expectCounter("pulse_notifications_total", [("sink", "oncall"), ("outcome", outcome)]).totalValue
        }
        #expect(try total("delivered") == 1 && total("retried") == 5 && total("dead_letter") == 1)
      }
    }
  }

  @Test("who asks to be left alone is, with all that waits")
  func patience() async throws {
    let reaction: @Sendable (Int, Receiver.Received) -> Receiver.Reaction = { number, _ in
      number == 0 ? Receiver.Reaction(status: 429, headers: [.retryAfter: "120"]) : Receiver.Reaction()
    }
    try await Receiver.listen(reaction) { receiver in
      let told = try await NotifierFixture()
      let notifier = try await told.notifier(try told.sink(at: receiver.address) { $0.groupWait = 0 })
      try await OutgoingHTTP.lend { client in
        try await told.find(on: "a")
        try await told.find(on: "b")
        for (pause, count) in [(0, 1), (100.0, 1), (19, 1), (2, 3)] {
          told.pass(pause)
          try await notifier.step(by: client)
          #expect(receiver.requests.count == count, "\(pause)")
        }
      }
    }
    let now: Int64 = 1_700_000_000_000_000
    #expect(NotificationSink.retryAfter("7", at: now) == 7_000_000)
    #expect(NotificationSink.retryAfter("Tue, 14 Nov 2023 22:13:50 GMT", at: now) == 30_000_000)
    #expect(NotificationSink.retryAfter("Tue, 14 Nov 2023 22:13:10 GMT", at: now) == 0)
    #expect(NotificationSink.retryAfter("9999999999", at: now) == 3_600_000_000)
    for text in ["-1", "soon", ""] { #expect(NotificationSink.retryAfter(text, at: now) == nil) }
  }

  @Test("one that does not answer, or does not end its answer, takes no longer than it may", arguments: [false, true])
  func endless(_ begins: Bool) async throws {
    let reaction: @Sendable (Int, Receiver.Received) -> Receiver.Reaction = { _, _ in
      Receiver.Reaction(isSilent: !begins, isEndless: begins)
    }
    try await Receiver.listen(reaction) { receiver in
      let told = try await NotifierFixture()
      let sink = try told.sink(at: receiver.address) { ($0.groupWait, $0.timeout) = (0, 1_000_000) }
      let notifier = try await told.notifier(sink)
      try await told.find(on: "a")
      // It would take ten minutes or for ever.
      try await OutgoingHTTP.lend { try await notifier.step(by: $0) }
      #expect(try await told.state(sink).waiting.first?.trouble == "no answer in time")
    }
  }

  @Test("what is refused is given up at once, and a redirect leads nowhere", arguments: [400, 401, 404, 301, 302, 307])
  func refused(_ status: Int) async throws {
    try await Receiver.listen { elsewhere in
      let target = elsewhere.address
      let reaction: @Sendable (Int, Receiver.Received) -> Receiver.Reaction = { _, _ in
        Receiver.Reaction(status: status, headers: [.location: target])
      }
      try await Receiver.listen(reaction) { receiver in
        let told = try await NotifierFixture()
        let sink = try told.sink(.slack, at: nil, secret: receiver.address + "/T0/secret-path") { $0.groupWait = 0 }
        let notifier = try await told.notifier(sink)
        try await OutgoingHTTP.lend { client in
          try await told.find(on: "a")
          try await notifier.step(by: client)
          told.pass(1_000)
          try await notifier.step(by: client)
        }
        #expect(receiver.requests.map(\.path) == ["/T0/secret-path"] && elsewhere.requests.isEmpty)
        #expect(try await told.state(sink).givenUp.count == 1)
        // What is logged and kept says where it is, and not the address that is a secret.
        let said = told.lines.all.joined(separator: "\n")
        #expect(said.contains("given up") && said.contains(receiver.address) && !said.contains("secret-path"))
        #expect(try await !told.state(sink).text().contains("secret-path"))
      }
    }
  }

  @Test("what goes beyond the rate limit is counted, and the next one says so")
  func limited() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let sink = try told.sink(at: receiver.address) { ($0.groupWait, $0.perHour, $0.groupInterval) = (0, 2, 0) }
      let notifier = try await told.notifier(sink)
      try await OutgoingHTTP.lend { client in
        for key in ["a", "b", "c", "d"] {
          try await told.find(3, on: key)
          try await notifier.step(by: client)
          told.pass(1)
        }
        #expect(try receiver.requests.map { try $0.key } == ["a", "b"])
        #expect(try await told.state(sink).heldBack == 6)
        told.pass(3_590)
        try await notifier.step(by: client)
        #expect(receiver.requests.count == 2)
        // There is room again: a finding takes the number along.
        told.pass(10)
        try await told.find(on: "e")
        try await notifier.step(by: client)
        #expect(try receiver.requests.dropFirst(2).map { try $0.key } == ["e"])
        #expect(try receiver.requests.last?.heldBack == 6)
        // Where nothing else comes it is said alone.
        try await told.find(on: "f")
        try await notifier.step(by: client)
        try await told.find(4, on: "g")
        try await notifier.step(by: client)
        told.pass(3_700)
        try await notifier.step(by: client)
        let last = try #require(receiver.requests.last)
        #expect(receiver.requests.count == 5)
        #expect(try last.json["type"]?.string == "streampulse.held_back" && last.heldBack == 4 && last.key == nil)
        #expect(try await told.state(sink).heldBack == 0)
      }
    }
  }

  @Test("a signature is that of the id, the time and the body")
  func signed() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let keys: [(secret: String, key: [UInt8])] = [
        ("a secret of any kind", Array("a secret of any kind".utf8)), ("whsec_AAECAwQF", [0, 1, 2, 3, 4, 5]),
      ]
      for (secret, _) in keys {
        let sink = try told.sink(at: receiver.address, secret: secret) { sink in
          (sink.groupWait, sink.groupInterval) = (0, 0)
        }
        let notifier = try await told.notifier(sink)
        try await OutgoingHTTP.lend { client in
          try await told.find(on: "a")
          try await notifier.step(by: client)
        }
      }
      #expect(receiver.requests.count == 2)
      for (request, key) in zip(receiver.requests, keys.map(\.key)) {
        let (id, time) = (try #require(request.header("webhook-id")), try #require(request.header("webhook-timestamp")))
        #expect(time == String(told.time / 1_000_000))
        let signature = try #require(request.header("webhook-signature"))
        let code = try #require(signature.hasPrefix("v1,") ? Data(base64Encoded: String(signature.dropFirst(3))) : nil)
        let text = Array("\(id).\(time).".utf8) + request.body
        #expect(HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: text, using: SymmetricKey(data: key)))
        #expect(
          !HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: text + [0], using: SymmetricKey(data: key)))
        #expect(try request.json["id"]?.string == id)
      }
      #expect(!told.lines.all.joined().contains("a secret of any kind"))
    }
  }

  @Test("one that is new is told of what is committed from then on, and of all of it")
  func begun() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      try await told.find(3, on: "old")
      let sink = try told.sink(at: receiver.address) { $0.groupWait = 0 }
      try await Notifier.begin(sink, told.store, told.actions)
      let new = try await told.find(on: "new")
      let notifier = try await told.notifier(sink)
      try await OutgoingHTTP.lend { try await notifier.step(by: $0) }
      #expect(try receiver.requests.map { try $0.findings } == [new])
    }
  }
}
