// Addresses that clients of other systems know answer what ours do.

import Detection
import Foundation
import HTTPTypes
import Pipeline
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
    let training = try await served.post("/pipeline/ml/train", #"{"model_name":"slow_query"}"#)
    #expect(training.status == 202, "\(training.text)")
    let unknown = try await served.post("/pipeline/ml/train", #"{"model_name":"slow_qery"}"#)
    #expect(unknown.status == 404 && unknown.text.contains("did you mean `slow_query`?"), "\(unknown.text)")
  }

  @Test("one event without a time happens now, and no other is changed")
  func stamps() async throws {
    let served = try await ReplacedSystem.pipelineToolkit.served()
    func waiting() async throws -> [String] {
      try await served.services.catalog.all[0].store.actions.records(of: "toolkit", from: 0, limit: 100, bytes: 1 << 20)
        .map { String(decoding: $0.bytes, as: UTF8.self) }
    }
    let before = Int64(Date().timeIntervalSince1970)
    let bare = #" {"metric_name":"cpu","value":1.50}"#
    #expect(try await served.post("/pipeline/aggregate", bare).status == 202)
    let first = try #require(try await waiting().first)
    // What was sent stays as it was written.
    #expect(first.hasSuffix(#","metric_name":"cpu","value":1.50}"#), "\(first)")
    let time = try #require(try JSONValue(parsing: Array(first.utf8))["at"]?.integer)
    #expect((before...before + 600).contains(time))
    let timed = #"{"at":1,"metric_name":"cpu","value":1}"#
    #expect(try await served.post("/pipeline/aggregate", timed).status == 202)
    #expect(try await waiting().last == timed)
    for body in [
      "[\(bare)]", #"{"events":[\#(bare)]}"#, "{}", #"{"at":null,"metric_name":"cpu","value":1}"#, "7", "{",
    ] {
      let answer = try await served.post("/pipeline/aggregate", body)
      #expect([400, 422].contains(answer.status), "\(body): \(answer.text)")
    }
    // One that may come again would come as another one.
    let key = HTTPField.Name("Idempotency-Key")!
    #expect(try await served.post("/pipeline/aggregate", bare, [key: "1"]).status == 422)
    #expect(try await waiting().count == 2)
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

  @Test(
    "each documented request of the replaced systems is answered as the document says",
    arguments: ReplacedSystem.allCases)
  func documented(_ system: ReplacedSystem) async throws {
    let served = try await system.served()
    let (description, table) = (served.front.description, served.front.table)
    for request in system.requests {
      let answer =
        request.method == .post
        ? try await served.post(request.target, request.body) : try await served.get(request.target)
      #expect(answer.status == request.status, "\(request): \(answer.status) \(answer.text.prefix(500))")
      let path = String(request.target.prefix { $0 != "?" })
      guard case .found(let endpoint, _) = table.match(request.method, path) else {
        Issue.record("\(request) is no endpoint")
        continue
      }
      // What every endpoint may answer is described by what it takes.
      let isTrouble = endpoint.troubles.contains { Int($0.status.code) == answer.status }
      let problems =
        isTrouble
        ? Problem.schema.problems(of: try answer.json, named: [:]).map(\.text)
        : try answer.problems(of: endpoint, description)
      #expect(problems.isEmpty, "\(request): \(problems)")
      for key in request.keys {
        #expect(try answer.json.at(key) != nil, "\(request) has no \(key): \(answer.text.prefix(500))")
      }
      for (place, value) in request.figures {
        #expect(try answer.json.at(place) == value, "\(request), \(place): \(answer.text.prefix(500))")
      }
    }
  }

  @Test("no other name is without a documented request, and each is in the documentation")
  func complete() async throws {
    let served = try await ServedFixture(events: 2_000)
    let page = try String(contentsOfFile: Self.root + "/docs/api.md", encoding: .utf8)
    var asked: Set<String> = []
    for request in ReplacedSystem.allCases.flatMap(\.requests) {
      let path = String(request.target.prefix { $0 != "?" })
      if case .found(let endpoint, _) = served.front.table.match(request.method, path) {
        asked.insert("\(endpoint.method.rawValue) \(endpoint.path)")
      }
    }
    for endpoint in served.front.description.endpoints where endpoint.tag == "other names" {
      #expect(asked.contains("\(endpoint.method.rawValue) \(endpoint.path)"), "\(endpoint.path) has no request")
      #expect(page.contains(endpoint.path), "docs/api.md does not have \(endpoint.path)")
    }
  }

  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
}

extension JSONValue {
  /// What is at a place: `items/0/score`; behind `#` how many there are.
  fileprivate func at(_ place: String) -> JSONValue? {
    place.split(separator: "/").reduce(self as JSONValue?) { value, part in
      switch value {
      case .array(let values)?:
        part == "#"
          ? .integer(Int64(values.count)) : Int(part).flatMap { values.indices.contains($0) ? values[$0] : nil }
      case .object(let members)?: members[String(part)]
      default: nil
      }
    }
  }
}
