// Events that clients send, and those of history.

import Connectors
import Detection
import Foundation
import HTTPTypes
import Pipeline
import Testing

@testable import Server

@Suite("Events", .timeLimit(.minutes(15)))
struct EventTests {
  private static let base = "/api/v1/use-cases/redset"

  private static func event(_ number: Int, _ more: String = "") -> String {
    #"{"instance_id":7,"query_id":\#(number),"arrival_timestamp":"2024-03-05T10:00:00Z","query_type":"select"\#(more)}"#
  }

  private static func waiting(_ served: ServedFixture) async throws -> [String] {
    try await served.served.store.actions.records(of: "redset", from: 0, limit: 1_000, bytes: 1 << 20).map {
      String(decoding: $0.bytes, as: UTF8.self)
    }
  }

  @Test("one event, an array, an envelope and lines are taken as they came")
  func forms() async throws {
    let served = try await ServedFixture(events: 2_000)
    // Numbers keep their digits, and what looks like an end within a string is none.
    let odd = Self.event(3, #","feature_fingerprint":"a],}\"[{\\","mbytes_scanned":1.50000000000000000001"#)
    let bodies = [
      (Self.event(1), "application/json", [Self.event(1)]),
      ("[\(Self.event(2)) , \(odd)\n]", "application/json; charset=utf-8", [Self.event(2), odd]),
      (#" {"events" : [\#(Self.event(4)),\#(Self.event(5))]} "#, "application/json", [Self.event(4), Self.event(5)]),
      ("\(Self.event(6))\r\n\n\(Self.event(7))", "application/x-ndjson", [Self.event(6), Self.event(7)]),
    ]
    var all: [String] = []
    for (body, type, records) in bodies {
      let answer = try await served.post("\(Self.base)/events", body, [.contentType: type])
      #expect(answer.status == 202, "\(answer.text)")
      #expect(try answer.json["first"]?.integer == Int64(all.count))
      all += records
      #expect(try answer.json["waiting"]?.integer == Int64(all.count))
    }
    let packed = try await served.ask(
      .post, "\(Self.base)/events", headers: [.contentType: "application/json", .contentEncoding: "gzip"],
      body: Gzip.pack(Array(Self.event(8).utf8)))
    #expect(packed.status == 202)
    #expect(try await Self.waiting(served) == all + [Self.event(8)])
  }

  @Test(
    "what is no list of events is refused",
    arguments: [
      ("[", 400, "expected an event"), ("[{\"a\":", 400, "ends within"), ("[]", 400, "at least one"),
      ("", 400, "missing"), ("[1,]", 400, "expected an event"),
      ("[{}] x", 400, "follows"), (#"{"events":[{}],"more":1}"#, 400, "alone"), ("[{}", 400, "the end of the list"),
      (#"["a"#, 400, "within a string"), ("7", 422, "object"), (#"{"events":{}}"#, 422, "instance_id"),
      ("[{},{}]", 422, "2 of 2 events"),
    ])
  func wrongBodies(_ body: String, _ status: Int, _ words: String) async throws {
    let served = try await ServedFixture(events: 2_000)
    let answer = try await served.post("\(Self.base)/events", body)
    #expect(answer.status == status && answer.text.contains(words), "\(answer.status) \(answer.text)")
    #expect(try await Self.waiting(served).isEmpty)
  }

  @Test("each wrong event is named; with `partial` the right ones are taken")
  func partial() async throws {
    let served = try await ServedFixture(events: 2_000)
    let body = "[\(Self.event(1)),\(Self.event(2, #","cluster_size":-1"#)),{},\(Self.event(4))]"
    let refused = try await served.post("\(Self.base)/events", body)
    #expect(refused.status == 422)
    let places = try refused.json["errors"]?.array?.compactMap { $0["place"]?.string } ?? []
    #expect(places.count == 2 && places[0] == "/1/cluster_size" && places[1].hasPrefix("/2"), "\(places)")
    #expect(try await Self.waiting(served).isEmpty)
    let taken = try await served.post("\(Self.base)/events?partial=true", body).json
    #expect(taken["accepted"]?.integer == 2)
    #expect(taken["rejected"]?.array?.compactMap { $0["index"]?.integer } == [1, 2])
    #expect(try await Self.waiting(served) == [Self.event(1), Self.event(4)])
  }

  @Test("the same key takes the same events once, and no others")
  func keys() async throws {
    let served = try await ServedFixture(events: 2_000)
    let key = HTTPField.Name("Idempotency-Key")!
    let first = try await served.post("\(Self.base)/events", Self.event(1), [key: "k"]).json
    let again = try await served.post("\(Self.base)/events", Self.event(1), [key: "k"]).json
    #expect(first["repeated"]?.bool == false && again["repeated"]?.bool == true)
    #expect(again["first"] == first["first"] && again["waiting"]?.integer == 1)
    let other = try await served.post("\(Self.base)/events", "[\(Self.event(1)),\(Self.event(2))]", [key: "k"])
    #expect(other.status == 409)
    #expect(try await served.post("\(Self.base)/events", Self.event(2), [key: "k"]).status == 409)
    #expect(try await served.post("\(Self.base)/events", Self.event(1), [key: "l"]).status == 202)
    #expect(try await Self.waiting(served).count == 2)
  }

  @Test("who may not write may not hand in")
  func roles() async throws {
    let token = String(repeating: "r", count: 40)
    let served = try await ServedFixture(events: 2_000, tokens: "reader read \(token)")
    let headers: HTTPFields = [.authorization: "Bearer \(token)"]
    #expect(try await served.post("\(Self.base)/events", Self.event(1), headers).status == 403)
    #expect(try await served.post("\(Self.base)/predict", Self.event(1), headers).status == 200)
    #expect(try await served.post("\(Self.base)/events", Self.event(1)).status == 401)
  }

  // MARK: Scoring

  @Test("an event is classified and judged by rules, and what cannot judge is named")
  func predict() async throws {
    let served = try await ServedFixture(events: 2_000)
    let spill = Self.event(1, #","mbytes_spilled":200000,"execution_duration_ms":90000,"mbytes_scanned":100"#)
    let alone = try await served.post("\(Self.base)/predict", spill).json
    let item = try #require(alone["items"]?.array?.first)
    #expect(item["is_anomaly"]?.bool == true && item["class"]?.string != nil)
    let verdict = try #require(item["verdicts"]?.array?.first { $0["detector"]?.string == "large_spill" })
    #expect(verdict["reason"]?.string?.contains("200") == true && item["severity"] == verdict["severity"])
    // No model was trained here: that is said of each.
    let silent = alone["silent"]?.array?.compactMap { $0["detector"]?.string } ?? []
    for detector in try served.served.plan.detectors.map(\.name) { #expect(silent.contains(detector)) }
    let several = try await served.post(
      "\(Self.base)/predict?explain=none", "[\(spill),{},\(Self.event(2))]"
    ).json
    let items = try #require(several["items"]?.array)
    #expect(items.map { $0["is_anomaly"]?.bool } == [true, false, false])
    #expect(items[1]["error"]?["index"]?.integer == 1 && items[2]["error"] == .null)
    #expect(try await served.post("\(Self.base)/predict", "{}").status == 422)
    #expect(try await Self.waiting(served).isEmpty)
  }

  // MARK: History

  @Test("events of history come newest first, page by page, and only those that match")
  func listed() async throws {
    let served = try await ServedFixture(events: 20_000)
    func page(_ query: String) async throws -> JSONValue {
      let answer = try await served.get("\(Self.base)/events?\(query)")
      #expect(answer.status == 200, "\(answer.text)")
      return try answer.json
    }
    var (ids, times, cursor): ([Int64], [String], String?) = ([], [], nil)
    for _ in 0..<5 {
      let found = try await page("limit=200" + (cursor.map { "&cursor=\($0)" } ?? ""))
      for item in found["items"]?.array ?? [] {
        ids.append(try #require(item["event"]?["query_id"]?.integer))
        times.append(try #require(item["time"]?.string))
      }
      cursor = found["next"]?.string
    }
    #expect(ids.count == 1_000 && Set(ids).count == 1_000)
    #expect(times == times.sorted(by: >))
    let type = try #require(try await page("limit=1")["items"]?.array?.first?["event"]?["query_type"]?.string)
    let matching = try await page("where=query_type:\(type)&limit=100&fields=query_type")
    let events = matching["items"]?.array?.compactMap { $0["event"] } ?? []
    #expect(
      events.count == 100 && events.allSatisfy { $0["query_type"]?.string == type && $0["mbytes_scanned"] == nil })
    let half = times[500]
    let before = try await page("to=\(half)&limit=1")
    #expect(try #require(before["items"]?.array?.first?["time"]?.string) < half)
    #expect(try await served.get("\(Self.base)/events?where=query_typ:x").text.contains("did you mean `query_type`?"))
    #expect(try await served.get("\(Self.base)/events?where=x").status == 400)
    #expect(try await served.get("\(Self.base)/events?cursor=AAAA").status == 400)
  }

  @Test("what anomalies have in common is what they share more often than others")
  func common() async throws {
    let served = try await ServedFixture()
    let day = "from=2024-03-01T00:00:00Z&to=2024-03-03T00:00:00Z"
    let found = try await served.get("\(Self.base)/problems/large_spill/common?\(day)").json
    let anomalies = try await served.get("\(Self.base)/anomalies?limit=500&detector=large_spill&\(day)").json
    let list = anomalies["items"]?.array ?? []
    #expect(found["anomalies"]?.integer == Int64(list.count) && !list.isEmpty)
    #expect(found["all"]?.integer ?? 0 > 20_000)
    let items = try #require(found["items"]?.array)
    #expect(!items.isEmpty && items.count <= 5)
    for item in items {
      let (field, value) = (try #require(item["field"]?.string), try #require(item["value"]))
      let share = Double(list.filter { $0["event"]?[field] == value }.count) / Double(list.count)
      #expect(item["share"]?.double == share, "\(item)")
      #expect(share >= 1.5 * (item["share_of_all"]?.double ?? 1))
    }
    #expect(try await served.get("\(Self.base)/problems/large_spil/common").status == 404)
  }

  @Test("anomalies of a person are those whose events name them")
  func ofUser() async throws {
    let served = try await ServedFixture()
    let all = try await served.get("\(Self.base)/anomalies?limit=500").json["items"]?.array ?? []
    let user = try #require(all.first?["event"]?["user_id"]?.integer)
    let expected = all.filter {
      ($0["event"]?["user_id"]?.integer, $0["event"]?["database_id"]?.integer) == (user, user)
        || $0["event"]?["user_id"]?.integer == user || $0["event"]?["database_id"]?.integer == user
    }
    for address in ["\(Self.base)/users/\(user)/anomalies?limit=500", "\(Self.base)/anomalies?limit=500&user=\(user)"] {
      let found = try await served.get(address).json["items"]?.array ?? []
      #expect(found.map { $0["id"] } == expected.map { $0["id"] }, "\(address)")
    }
    #expect(expected.count < all.count)
  }

  @Test("a question about a short time, and a page of the newest, decode few rows of a file")
  func blocks() async throws {
    let served = try await ServedFixture(events: 120_000)
    let useCase = try served.served
    let shards = try useCase.store.reader.archive(of: "redset").shards()
    let largest = try #require(shards.max { $0.rows < $1.rows })
    // Several blocks of 8,192.
    try #require(largest.rows > 40_000)
    let history = EntityHistory(useCase, fields: ["query_id"])
    let middle = largest.firstTime + (largest.lastTime - largest.firstTime) / 2
    var (decoded, found) = (0, 0)
    try history.forEachBatch(from: middle, to: middle + 60_000_000) { batch, _ in
      decoded += batch.count
      found += batch.eventTimes.count { $0 >= middle && $0 < middle + 60_000_000 }
      return true
    }
    #expect(
      found > 0 && decoded <= 2 * 8_192 * shards.count { $0.lastTime >= middle && $0.firstTime < middle + 60_000_000 })
    var all = 0
    try history.forEachBatch(from: .min, to: .max) { batch, _ in
      all += batch.eventTimes.count { $0 >= middle && $0 < middle + 60_000_000 }
      return true
    }
    #expect(all == found)
    // Newest first: the first page, and all pages together.
    var question = EventList.Question()
    (question.limit, question.fields) = (500, ["query_id"])
    question.from = largest.lastTime - 3_600_000_000
    var pages: [EventList.Item] = []
    repeat {
      let list = try EventList(question, of: useCase)
      pages += list.items
      question.after = list.next
    } while question.after != nil
    #expect(zip(pages, pages.dropFirst()).allSatisfy { $1.place < $0.place })
    var expected = 0
    try history.forEachBatch(from: question.from, to: .max) { batch, _ in
      expected += batch.eventTimes.count { $0 >= question.from }
      return true
    }
    #expect(pages.count == expected && expected > 500)
  }
}
