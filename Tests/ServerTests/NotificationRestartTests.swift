// Whatever ends a process that tells: nothing is lost, and what comes again is what nobody knew to be taken.

import Configuration
import Connectors
import Detection
import Foundation
import HTTPTypes
import Pipeline
import TestKit
import Testing

@testable import Server

@Suite("Notifications and restarts", .timeLimit(.minutes(15)))
struct NotificationRestartTests {
  @Test("what was gathered and not told goes on with the next process")
  func gathered() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let sink = try told.sink(at: receiver.address)
      try await OutgoingHTTP.lend { client in
        let first = try await told.notifier(sink)
        var ids = try await told.find(2, on: "a")
        try await first.step(by: client)
        ids += try await told.find(2, on: "a")
        told.pass(11)
        let second = try await told.notifier(sink)
        try await second.step(by: client)
        try await second.step(by: client)
        #expect(try receiver.requests.map { try $0.findings } == [ids])
      }
    }
  }

  @Test("one that was sent and not known to be taken comes again, alone and as it was")
  func repeated() async throws {
    try await Receiver.listen { receiver in
      let told = try await NotifierFixture()
      let sink = try told.sink(at: receiver.address) { $0.groupWait = 0 }
      try await OutgoingHTTP.lend { client in
        let first = try await told.notifier(sink)
        for key in ["a", "b", "c"] { try await told.find(on: key) }
        try await first.step(by: client)
        #expect(receiver.requests.count == 3)
        // As a crash behind the answer to the last one leaves it: that one is still on record as waiting.
        let place = try #require(try await told.actions.place(of: sink.outbox))
        var state = try NotificationState(kept: place.kept)
        let last = try #require(receiver.requests.last)
        state.waiting = [
          AnomalyNotification(
            id: try #require(last.header("webhook-id")), created: told.time, useCase: "u", key: "c", count: 1,
            findings: try last.findings.map {
              NotifiedFinding(id: $0, detector: "d", severity: "high", eventTime: 2_000_000, score: 2, reason: "why")
            }, heldBack: 0, due: told.time)
        ]
        #expect(
          try await told.actions.advance(
            sink.outbox, from: place.cursor, to: OutboxPlace(cursor: place.cursor, kept: try state.text())))
        let second = try await told.notifier(sink)
        try await second.step(by: client)
        try await second.step(by: client)
        #expect(receiver.requests.count == 4)
        #expect(receiver.requests[3].text == last.text)
        #expect(receiver.requests[3].header("webhook-id") == last.header("webhook-id"))
      }
    }
  }

  @Test("whatever fails and ends, everything is told", arguments: 0..<6)
  func everything(_ seed: Int) async throws {
    var random = SeededRandom(seed: UInt64(seed))
    let script = (0..<2_000).map { _ in Int.random(in: 0..<10, using: &random) }
    let reaction: @Sendable (Int, Receiver.Received) -> Receiver.Reaction = { number, _ in
      switch script[number % script.count] {
      case 0, 1: Receiver.Reaction(status: 503)
      case 2: Receiver.Reaction(status: 429, headers: [.retryAfter: "3"])
      default: Receiver.Reaction()
      }
    }
    let steps = (0..<60).map { _ in Int.random(in: 0..<12, using: &random) }
    try await Receiver.listen(reaction) { receiver in
      let told = try await NotifierFixture()
      let sink = try told.sink(at: receiver.address) { sink in
        (sink.groupWait, sink.groupInterval, sink.perHour, sink.attempts) = (2_000_000, 5_000_000, 3_600, 100)
      }
      try await OutgoingHTTP.lend { client in
        var notifier = try await told.notifier(sink)
        var ids: Set<String> = []
        for step in steps {
          if step < 8 { ids.formUnion(try await told.find(1 + step % 2, on: "k\(step % 4)")) }
          try await notifier.step(by: client)
          told.pass(Double(step) / 2)
          // Another process goes on, with what is in the store.
          if step % 3 == 0 { notifier = try await told.notifier(sink) }
        }
        for _ in 0..<400 where try await !told.state(sink).isDone {
          told.pass(5)
          try await notifier.step(by: client)
        }
        #expect(try await told.state(sink).isDone)
        let taken = receiver.requests.enumerated().filter { script[$0.offset % script.count] > 2 }.map(\.element)
        let all = try taken.flatMap { try $0.findings }
        #expect(Set(all) == ids && all.count == ids.count)
      }
    }
  }

  @Test("of several processes that serve a directory one tells, and another one goes on when it ends")
  func one() async throws {
    try await Receiver.listen { receiver in
      let folder = try TestFolder()
      let directory = DataDirectory(path: folder / "data")
      try await ServedFixture.run(2_000, in: directory)
      let lines = KeptLog.Lines()
      var configuration = NotificationConfiguration(name: "all", kind: .webhook)
      (configuration.url, configuration.severity, configuration.groupWait) = (receiver.address, .info, 0)
      (configuration.groupInterval, configuration.perHour) = (0, 3_600)
      let sink = try NotificationSink(configuration, environment: [:])
      func service() throws -> NotificationService {
        NotificationService(
          [sink], over: try ServedStore(StorePlace(directory)), wokenBy: ChangeSignal(),
          clock: { Int64(Date().timeIntervalSince1970 * 1e6) }, logger: KeptLog.logger(lines))
      }
      func told() throws -> [String] { try receiver.requests.flatMap { try $0.findings } }
      let first = try service()
      try await first.begin()
      let telling = Task { try await first.run() }
      try await ServedFixture.run(20_000, in: directory)
      #expect(try await eventually { try !told().isEmpty })
      let second = try service()
      let waiting = Task { try await second.run() }
      defer { waiting.cancel() }
      #expect(await eventually { lines.all.contains { $0.contains("another process tells") } })
      // The first one is at rest before it ends.
      #expect(await eventually { (try? await first.state(of: sink).isDone) == true })
      telling.cancel()
      try? await telling.value
      let before = try told().count
      try await ServedFixture.run(40_000, in: directory)
      #expect(try await eventually { try told().count > before })
      #expect(await eventually { (try? await second.state(of: sink).isDone) == true })
      #expect(try Set(told()).count == told().count)
    }
  }

  @Test("what a later version keeps, and what is damaged, is refused")
  func damaged() throws {
    var state = NotificationState()
    state.waiting = [
      AnomalyNotification(
        id: "i", created: 1, useCase: "u", key: "k\0", count: 1,
        findings: [
          NotifiedFinding(id: "f", detector: "d", severity: "high", eventTime: 1, score: .infinity, reason: "r")
        ], heldBack: 0, due: 1)
    ]
    #expect(try NotificationState(kept: state.text()) == state)
    #expect(try NotificationState(kept: "") == NotificationState())
    for (text, words) in [
      ("{", "damaged"), (#"{"version":1}"#, "damaged"), (#"{"version":2}"#, "version 2, expected 1"),
    ] {
      let error = #expect(throws: OperatingError.self) { try NotificationState(kept: text) }
      #expect(error?.description.contains(words) == true)
    }
  }
}

extension NotificationState {
  /// Whether nothing waits.
  var isDone: Bool { groups.isEmpty && waiting.isEmpty }
}
