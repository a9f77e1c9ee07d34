// What people say of findings, and the trail that it leaves.

import Detection
import Foundation
import HTTPTypes
import Pipeline
import Testing

@testable import Server

@Suite("Feedback", .timeLimit(.minutes(15)))
struct FeedbackTests {
  private static let base = "/api/v1/use-cases/redset/anomalies"

  private static func ids(_ served: ServedFixture, _ query: String) async throws -> [String] {
    try await served.get("\(base)?limit=500&\(query)").json["items"]?.array?.compactMap { $0["id"]?.string } ?? []
  }

  @Test("a false alarm leaves lists and counts, and comes back with the word")
  func falseAlarm() async throws {
    let served = try await ServedFixture()
    let all = try await Self.ids(served, "")
    let id = try #require(all.first)
    let address = "\(Self.base)/\(ServedFixture.escaped(id))/feedback"
    let day = "/api/v1/use-cases/redset/anomalies/series?from=2024-03-01T00:00:00Z&to=2024-03-03T00:00:00Z"
    func counted() async throws -> Double {
      try await served.get(day).json["series"]?.array?.reduce(0) { $0 + ($1["total"]?.double ?? 0) } ?? 0
    }
    let before = try await counted()
    let said = try await served.post(address, #"{"verdict":"false_alarm","note":"a test"}"#)
    #expect(said.status == 200, "\(said.text)")
    #expect(try await Self.ids(served, "") == Array(all.dropFirst()))
    #expect(try await Self.ids(served, "state=false_alarm") == [id])
    #expect(try await Self.ids(served, "state=all") == all)
    #expect(try await counted() == before - 1)
    let detail = try await served.get("\(Self.base)/\(ServedFixture.escaped(id))").json
    #expect(detail["feedback"]?["note"]?.string == "a test" && detail["feedback"]?["who"]?.string == "local")
    #expect(try await served.ask(.delete, address).status == 204)
    #expect(try await Self.ids(served, "") == all)
    #expect(try await counted() == before)
    #expect(try await served.ask(.delete, address).status == 404)
    let trail = try await served.served.store.actions.auditLines(before: nil, limit: 10)
    #expect(trail.map(\.line.action) == ["feedback.withdraw", "feedback"])
    #expect(trail.allSatisfy { $0.line.who == "local" && $0.line.subject == id })
    #expect(trail[1].line.details.contains(#""before":null"#) && trail[1].line.details.contains("a test"))
  }

  @Test("a word for all of an entity reaches what was said to be reached, and goes as one")
  func scope() async throws {
    let served = try await ServedFixture(events: 60_000)
    let id = try #require(try await Self.ids(served, "detector=large_spill").first)
    let address = "\(Self.base)/\(ServedFixture.escaped(id))"
    let scopes = try await served.get("\(address)/scopes").json["items"]?.array ?? []
    #expect(scopes.first?["scope"]?.string == "this" && scopes.first?["count"]?.integer == 1)
    let all = try await Self.ids(served, "")
    for scope in scopes {
      let (name, count) = (scope["scope"]?.string ?? "", scope["count"]?.integer ?? 0)
      let said = try await served.post("\(address)/feedback", #"{"verdict":"false_alarm","scope":"\#(name)"}"#)
      #expect(try said.json["marked"]?.integer == count, "\(name): \(said.text)")
      #expect(try await Self.ids(served, "").count == all.count - Int(count), "\(name)")
      #expect(try await served.ask(.delete, "\(address)/feedback").status == 204)
      #expect(try await Self.ids(served, "") == all, "\(name)")
    }
  }
}
