// What somebody sends who means harm: it is an answer like any other, and nothing of it is done.

import Detection
import Foundation
import HTTPTypes
import Pipeline
import Testing

@testable import Server

@Suite("Hostile requests", .timeLimit(.minutes(15)))
struct HostileTests {
  /// Texts that mean something to SQL, HTML, shells, paths, patterns and logs.
  static let texts = [
    "'; DROP TABLE anomalies; --", "\" OR 1=1 --", "%27%20UNION%20SELECT%20*%20FROM%20audit",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", "../../../../etc/passwd", "..%2f..%2fpulse.sqlite", "$(touch /tmp/x)", "a\u{0}b",
    "%",
    "_", "*", "\\", "(((((((((((((((((((((", "\u{202E}gnp.exe", "\r\nSet-Cookie: a=b",
    String(repeating: "ä", count: 300),
    "null", "NaN", "-1", "9223372036854775808", "1e400", "{}", "[]", "😀", "İ", "A\u{30A}",
  ]

  @Test("no text in any parameter does more than be looked for")
  func everyParameter() async throws {
    let served = try await ServedFixture(events: 4_000)
    let before = try await served.stored()
    let endpoints = served.front.description.endpoints.filter { $0.timeLimit != nil && $0.tag != "page" }
    var asked = 0
    for endpoint in endpoints {
      for parameter in endpoint.parameters where parameter.place != .header {
        for text in Self.texts {
          let values = endpoint.pathNames.map { name in
            (name, name == parameter.name ? text : name == "use_case" ? ServedFixture.useCase : "x")
          }
          var path = endpoint.path
          for (name, value) in values { path = path.replacing("{\(name)}", with: ServedFixture.escaped(value)) }
          if parameter.place == .query { path += "?\(parameter.name)=\(ServedFixture.escaped(text))" }
          let answer = try await served.ask(
            endpoint.method, path, headers: [.contentType: "application/json"],
            body: endpoint.body == nil ? [] : Array("{}".utf8))
          asked += 1
          // A training that is asked for by such a request is one.
          #expect(answer.status < 500, "\(endpoint.method) \(path): \(answer.status) \(answer.text.prefix(200))")
          #expect(answer.headers[.setCookie] == nil)
          if answer.status >= 400 {
            #expect(Problem.schema.problems(of: try answer.json, named: [:]).isEmpty, "\(path): \(answer.text)")
          }
        }
      }
    }
    #expect(asked > 2_000)
    #expect(try await served.stored() == before)
  }

  @Test("events with such texts in every field are taken, scored and given back as they were")
  func everyField() async throws {
    let served = try await ServedFixture(events: 4_000)
    for text in Self.texts where text.utf8.count <= 64 {
      let event: [String: Any] = [
        "instance_id": 1, "query_id": 1, "arrival_timestamp": "2024-03-05T10:00:00Z", "query_type": text,
        "feature_fingerprint": text, "read_table_ids": text,
      ]
      let body = String(decoding: try JSONSerialization.data(withJSONObject: event), as: UTF8.self)
      let answer = try await served.post("/api/v1/use-cases/redset/predict", body)
      #expect(answer.status == 200, "\(text): \(answer.text)")
      #expect(try await served.post("/api/v1/use-cases/redset/events", body).status == 202, "\(text)")
    }
    let wrong = try await served.post(
      "/api/v1/use-cases/redset/events", #"{"instance_id":"<script>","query_id":1,"query_type":"\u0000"}"#)
    #expect(wrong.status == 422 && wrong.headers[.contentType] == Problem.contentType)
    #expect(wrong.headers[.init("X-Content-Type-Options")!] == "nosniff")
  }

  @Test("bodies that are deep, cut off, of another encoding or of too many events are refused")
  func bodies() async throws {
    let served = try await ServedFixture(events: 4_000)
    let address = "/api/v1/use-cases/redset/events"
    let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
    let refused: [(body: [UInt8], status: Int)] = [
      (Array(deep.utf8), 422), (Array(String(repeating: "{\"a\":", count: 50_000).utf8), 400),
      ([0xFF, 0xFE, 0x7B, 0x7D], 422), ([0xEF, 0xBB, 0xBF, 0x7B, 0x7D], 422),
      (Array(("[" + String(repeating: "{},", count: 10_000) + "{}]").utf8), 413),
      ([UInt8](repeating: 0x20, count: EventBody.mostBytes + 1), 413), ([UInt8](repeating: 0x20, count: 100), 400),
    ]
    for (body, status) in refused {
      let answer = try await served.ask(.post, address, headers: [.contentType: "application/json"], body: body)
      #expect(answer.status == status, "\(body.prefix(20)): \(answer.status) \(answer.text.prefix(200))")
    }
    #expect(try await served.served.store.actions.state(of: "redset").next == 0)
  }
}
