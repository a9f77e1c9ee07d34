// A use case's own metrics: what they come to is what the events say, however they are cut into batches and however many
// values a label has.

import Configuration
import Detection
import Logging
import Metrics
import TestKit
import Testing

@testable import Pipeline

@Suite("Metrics of a use case's own", .timeLimit(.minutes(15)))
struct UseCaseMetricsTests {
  private static let text =
    RuntimeUseCase.text + """

      metrics:
        prefix: shop
        own:
          - {name: orders, type: counter, help: All of them.}
          - {name: large_orders, type: counter, help: Large ones., value: amount > 90, labels: {user: user}}
          - {name: euros, type: counter, help: What they are worth., value: amount - 10, labels: {size: size, user: {of: user, most: 3}}}
          - {name: amount_euros, type: histogram, help: How large., value: amount, when: user <> 'u3', buckets: [10, 50, 99.5]}
          - {name: last_amount_euros, type: gauge, help: The last one., value: amount}
          - {name: by_second, type: counter, help: Too many values., labels: {second: {of: second(at), most: 4}}}
      """

  private struct Order {
    var user: String
    var amount: Double
    var second: Int
  }

  /// What a run over these records counts, by name and labels.
  private static func run(_ records: [[UInt8]], batches: [Int], workers: Int) async throws
    -> [String: [[String]: MetricAmount]]
  {
    let check = UseCaseChecker.check(text: text)
    let plan = try #require(check.plan, "\(check.rendered)")
    let history = MemoryHistory()
    let pipeline = Pipeline(
      plan: plan, version: ConfigurationVersion(plan.useCase, text: text),
      source: MemorySource(records, batchSizes: batches), store: MemoryStore(history), encoder: history,
      options: Pipeline.Options(workers: workers, metrics: NOOPMetricsHandler.instance),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try await pipeline.run()
    return Dictionary(uniqueKeysWithValues: pipeline.progress.ownMetrics.map { ($0.metric.name, $0.series) })
  }

  @Test("they come to what the events say", arguments: [[1], [7, 100], [4096]])
  func counted(_ batches: [Int]) async throws {
    var random = SeededRandom(seed: 5)
    let orders = (0..<700).map { index in
      Order(
        user: "u\(Int.random(in: 0..<7, using: &random))", amount: Double(Int.random(in: 0...100, using: &random)),
        second: index % 60)
    }
    let records = orders.enumerated().map { index, order in
      Array(#"{"at": \#(1_700_000_040 + index), "user": "\#(order.user)", "amount": \#(order.amount)}"#.utf8)
    }
    let found = try await Self.run(records, batches: batches, workers: 3)

    #expect(found["shop_orders_total"]?[[]]?.sum == 700)
    let users = Set(orders.map(\.user)).sorted()
    for user in users {
      let expected = orders.count { $0.user == user && $0.amount > 90 }
      #expect(found["shop_large_orders_total"]?[[user]]?.sum == Double(expected), "\(user)")
    }
    // A value that is negative is no part of a counter.
    var told: [String] = []
    for order in orders where order.amount >= 10 && !told.contains(order.user) && told.count < 3 {
      told.append(order.user)
    }
    for size in ["large", "small"] {
      for user in told + [MetricDefinition.otherValue] {
        let expected = orders.filter {
          ($0.amount > 90) == (size == "large") && (told.contains($0.user) ? $0.user : "other") == user
            && $0.amount >= 10
        }.reduce(0) { $0 + $1.amount - 10 }
        #expect(found["shop_euros_total"]?[[size, user]]?.sum ?? 0 == expected, "\(size) \(user)")
      }
    }
    #expect(found["shop_euros_total"]?.count ?? 0 <= 8)
    let spread = orders.filter { $0.user != "u3" }.map(\.amount)
    let histogram = try #require(found["shop_amount_euros"]?[[]])
    #expect(histogram.count == spread.count && histogram.sum == spread.reduce(0, +))
    #expect(
      histogram.buckets == [
        spread.count { $0 <= 10 }, spread.count { $0 > 10 && $0 <= 50 }, spread.count { $0 > 50 && $0 <= 99.5 },
        spread.count { $0 > 99.5 },
      ])
    #expect(found["shop_last_amount_euros"]?[[]]?.sum == orders.last?.amount)
    let seconds = try #require(found["shop_by_second_total"])
    #expect(seconds.count == 5 && seconds.values.reduce(0) { $0 + $1.sum } == 700)
  }

  @Test("what is missing has a name, and what is long an end")
  func oddValues() async throws {
    let long = String(repeating: "ä", count: 100)
    let records = [
      #"{"at": 1700000000, "user": "\#(long)", "amount": 95}"#, #"{"at": 1700000001, "user": "", "amount": 95}"#,
      #"{"at": 1700000002, "user": "a\"b\n"}"#,
    ].map { Array($0.utf8) }
    let found = try await Self.run(records, batches: [10], workers: 1)
    let users = try #require(found["shop_large_orders_total"])
    #expect(users.values.reduce(0) { $0 + $1.sum } == 2)
    // 128 bytes, and no half of a character.
    #expect(users[[String(repeating: "ä", count: 64)]]?.sum == 1 && users[[""]]?.sum == 1)
    #expect(found["shop_orders_total"]?[[]]?.sum == 3)
  }

  @Test("without metrics of its own nothing is counted")
  func none() throws {
    let (plan, _) = try RuntimeUseCase.plan()
    let raw = RawBatch(
      partition: PartitionID(source: "memory", number: 0), positions: RecordPositions(segment: 0),
      payload: .json(RecordBytes([])),
      next: .start)
    #expect(plan.derive(Decoder(schema: plan.schema).decode(raw), from: raw).metrics.isEmpty)
    #expect(UseCaseMetrics(plan.metrics).now.isEmpty)
  }
}
