// Addresses that clients of other systems know answer what ours do.

import Detection
import Foundation
import HTTPTypes
import Testing

@testable import Server

@Suite("Other names", .timeLimit(.minutes(15)))
struct ReplacedTests {
  private static let base = "/api/v1/use-cases/redset"

  @Test("each answers what it stands for")
  func aliases() async throws {
    let served = try await ServedFixture()
    let pairs = [
      ("/api/instances", "/entities"), ("/api/instances/critical", "/entities/critical"),
      ("/api/metrics?ids=3,7", "/metrics/summary?entities=3,7"),
      ("/api/classification/chart?ids=3", "/classification/series?entities=3"),
      ("/api/classification/table?ids=3", "/classification/table?entities=3"),
      ("/api/anomalies?ids=3&limit=5", "/anomalies?entities=3&limit=5"),
      ("/api/critical/types?ids=3,4", "/problems?entities=3,4"),
      ("/api/recommendations/io_bound", "/recommendations/io_bound"), ("/schema", "/schema"),
    ]
    for (other, own) in pairs {
      let (found, expected) = (try await served.get(other), try await served.get(Self.base + own))
      #expect(found.status == 200, "\(other): \(found.text)")
      #expect(found.text == expected.text, "\(other)")
    }
    let day = try await served.get("\(Self.base)/metrics/summary?window=24h").text
    #expect(try await served.get("/metrics?hours=24").text == day)
    #expect(try await served.get("/metrics", [.accept: "application/json"]).text == day)
    #expect(try await served.get("/metrics", [.accept: "*/*"]).text.contains("# TYPE pulse_build_info gauge"))
    #expect(try await served.get("/health").text == #"{"status":"ok"}"#)
    #expect(try await served.get("/api/status?use_case=redset").json["use_case"] != nil)
    #expect(try await served.get("/api/status?use_case=other").status == 404)
    let event =
      #"{"instance_id":7,"query_id":1,"arrival_timestamp":"2024-03-05T10:00:00Z","query_type":"select"}"#
    #expect(try await served.post("/predict", event).json["items"]?.array?.count == 1)
  }

  @Test("pages by number are those of the list")
  func pages() async throws {
    let served = try await ServedFixture()
    func ids(_ address: String) async throws -> [String] {
      let answer = try await served.get(address)
      #expect(answer.status == 200, "\(answer.text)")
      return try answer.json["items"]?.array?.compactMap {
        $0["id"]?.string ?? $0["event"]?["query_id"]?.integer.map { "\($0)" }
      } ?? []
    }
    let all = try await ids("\(Self.base)/anomalies?limit=500")
    var counted: [String] = []
    for page in 1...(all.count / 7 + 1) { counted += try await ids("/anomalies?page=\(page)&size=7") }
    #expect(counted == all)
    #expect(try await ids("/anomalies?page=1000&size=10").isEmpty)
    #expect(try await served.get("/anomalies?page=1000&size=11").status == 400)
    let high = try await ids("\(Self.base)/anomalies?limit=500&severity=high")
    #expect(try await ids("/anomalies?size=500&severity=high") == high)
    #expect(try await served.get("/anomalies?severity=grave").status == 400)
    let events = try await served.get("\(Self.base)/events?limit=100").json["items"]?.array ?? []
    let user = try #require(events.first { $0["event"]?["user_id"]?.integer != nil }?["event"]?["user_id"]?.integer)
    let own = try await ids("\(Self.base)/events?limit=20&where=user_id:\(user)")
    #expect(try await ids("/signals?page=1&size=20&user_id=\(user)") == own && !own.isEmpty)
    let time = try #require(events[50]["time"]?.string.flatMap { Timestamp.parse($0) })
    let later = try await ids("/signals?size=500&start_timestamp=\(time / 1000)")
    #expect(later.count >= 51 && later.count < 500)
    let ofUser = try await ids("\(Self.base)/users/\(user)/anomalies?limit=500")
    #expect(try await ids("/users/\(user)/anomalies?size=500") == ofUser)
  }
}
