// The aggregates by hand-computed examples, NULL, NaN and overflow included, and merged over partitions.

import TestKit
import Testing

@testable import Detection

@Suite struct WindowAggregateTests {
  /// The values of one window over events that each partition sees.
  private func result(
    _ partitions: [[WindowTestEvent]], _ calls: [WindowAggregate] = windowTestEveryCall
  ) throws -> [String: Scalar] {
    let window = windowTestDefinition(size: 1000, by: [], aggregates: calls)
    let parts = try partitions.map { events in
      let run = WindowTestRun(window)
      try run.add(events)
      try run.checkpoint()
      return try #require(run.parts.first)
    }
    return windowTestScalars(try WindowResult.merge(parts, of: window))
  }

  private func double(_ scalar: Scalar?) -> Double {
    if case .double(let value) = scalar { value } else { .nan }
  }

  private static let events = [
    WindowTestEvent(time: 20, name: "b", value: 4, number: 7, category: 0),
    WindowTestEvent(time: 10, name: nil, value: nil, number: -2, category: 1),
    WindowTestEvent(time: 10, name: "c", value: 1, number: 5, category: 1),
    WindowTestEvent(time: 30, name: "a", value: 2.5, number: 7, category: 2),
    WindowTestEvent(time: 30, name: "", value: nil, number: 8, category: 1),
  ]

  @Test func byHand() throws {
    let values = try result([Self.events])
    #expect(values["count(*)"] == .int(5))
    #expect(values["count(value)"] == .int(3))
    #expect(values["count(name)"] == .int(4))
    #expect(values["rate(*)"] == .double(5000))
    #expect(values["rate(value)"] == .double(3000))
    #expect(values["sum(value)"] == .double(7.5))
    #expect(values["sum(number)"] == .int(25))
    #expect(values["avg(value)"] == .double(2.5))
    #expect(values["avg(number)"] == .double(5))
    #expect(values["stddev(value)"] == .double(1.5))
    // Squared deviations 4, 49, 0, 4, 9.
    #expect(abs(double(values["stddev(number)"]) - (66.0 / 4).squareRoot()) < 1e-12)
    #expect(values["min(value)"] == .double(1))
    #expect(values["max(number)"] == .int(8))
    #expect(values["min(name)"] == .string(""))
    #expect(values["max(name)"] == .string("c"))
    #expect(values["first(number)"] == .int(-2))
    #expect(values["first(value)"] == .double(1))
    #expect(values["last(value)"] == .double(2.5))
    #expect(values["last(name)"] == .string(""))
    #expect(values["distinct(number)"] == .int(4))
    #expect(values["distinct(name)"] == .int(4))
    #expect(abs(double(values["quantile(value, 0.5)"]) - 2.5) <= 0.025)
  }

  @Test func quantilesLieBetweenMinimumAndMaximum() throws {
    let values = try result([(0..<2).map { WindowTestEvent(time: $0, value: 1, number: 3) }])
    for fraction in ["0.5", "0.95", "0.99"] { #expect(values["quantile(value, \(fraction))"] == .double(1)) }
    #expect(values["quantile(number, 0.5)"] == .double(3))
  }

  @Test func classesAreCounted() throws {
    let run = WindowTestRun(windowTestDefinition(size: 1000))
    try run.add(Self.events)
    try run.checkpoint()
    let part = try #require(run.parts.first)
    let result = try WindowResult.merge([part, part], of: run.window)
    #expect(result.classCounts.map(\.name) == ["odd", "even", "normal"])
    #expect(result.classCounts.map(\.count) == [2, 6, 2])
    #expect(result.events == 10)
  }

  @Test func nothingButNull() throws {
    let event = WindowTestEvent(time: 1, name: nil, value: nil)
    let values = try result([[event, event]])
    for function in ["sum", "avg", "stddev", "min", "max", "first", "last"] {
      #expect(values["\(function)(value)"] == .null)
    }
    #expect(values["quantile(value, 0.5)"] == .null)
    #expect(values["min(name)"] == .null)
    for call in ["count(value)", "distinct(value)", "distinct(name)"] { #expect(values[call] == .int(0)) }
    #expect(values["stddev(number)"] == .double(0))
    #expect(try result([[event]])["stddev(number)"] == .null)
    #expect(try result([])["count(*)"] == .int(0))
  }

  @Test func aSumBeyond64BitsIsNullAndItsAverageIsNot() throws {
    let large = WindowTestEvent(time: 1, number: .max)
    let small = WindowTestEvent(time: 1, number: .min)
    let calls = [windowTestCall(.sum, .number), windowTestCall(.avg, .number)]
    #expect(try result([[large]], calls)["sum(number)"] == .int(.max))
    #expect(try result([[large, large]], calls)["sum(number)"] == .null)
    #expect(try result([[large], [large]], calls)["sum(number)"] == .null)
    #expect(try result([[large, large]], calls)["avg(number)"] == .double(Double(Int64.max)))
    // The total counts, not the way to it.
    #expect(try result([[large, large, small], [small]], calls)["sum(number)"] == .int(-2))
    #expect(try result([[small], [small, large, large]], calls)["sum(number)"] == .int(-2))
  }

  @Test func notANumber() throws {
    func event(_ value: Double) -> WindowTestEvent { WindowTestEvent(time: 1, value: value) }
    let values = try result([[event(.nan), event(3), event(.infinity)]])
    #expect(values["min(value)"] == .double(3))
    #expect(double(values["max(value)"]).isNaN)
    #expect(double(values["sum(value)"]).isNaN)
    #expect(values["quantile(value, 0.99)"].map { abs(double($0) - 3) < 0.03 } == true)
    #expect(values["distinct(value)"] == .int(3))
    let only = try result([[event(.nan)]])
    #expect(double(only["min(value)"]).isNaN)
  }

  @Test func firstAndLastOfEqualTimesGoByPosition() throws {
    func event(_ number: Int64, _ time: Int64) -> WindowTestEvent {
      WindowTestEvent(time: time, name: "\(number)", value: Double(number), number: number)
    }
    let partitions = [[event(1, 5), event(2, 5), event(3, 4)], [event(4, 4), event(5, 5)]]
    let values = try result(partitions)
    #expect(values["first(number)"] == .int(3))
    #expect(values["last(number)"] == .int(5))
    #expect(values["first(name)"] == .string("3"))
    #expect(values["last(name)"] == .string("5"))
    #expect(values["first(value)"] == .double(3))
    #expect(values["last(value)"] == .double(5))
    #expect(try result([partitions[0]])["last(number)"] == .int(2))
  }

  /// Everything but sums of doubles and deviations is the same however the events are spread over partitions.
  @Test(arguments: 0..<10)
  func partitionsAddUp(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let events = (0..<500).map { index in
      WindowTestEvent(
        time: Int64(index), name: Bool.random(using: &random) ? "n\(Int.random(in: 0..<50, using: &random))" : nil,
        value: Bool.random(using: &random) ? Double.random(in: -100...100, using: &random) : nil,
        number: Int64.random(in: -1000...1000, using: &random))
    }
    let whole = try result([events])
    var partitions = [[WindowTestEvent]](repeating: [], count: 3)
    for event in events { partitions[Int.random(in: 0..<3, using: &random)].append(event) }
    let spread = try result(partitions)
    for (name, value) in whole {
      switch name {
      case "sum(value)", "avg(value)", "stddev(value)", "stddev(number)":
        #expect(abs(double(value) - double(spread[name])) <= 1e-9 * (1 + abs(double(value))), "\(name)")
      default: #expect(spread[name] == value, "\(name)")
      }
    }
  }

  @Test func aMergerForgetsTheWindowBefore() throws {
    let window = windowTestDefinition(size: 1000, by: [], aggregates: windowTestEveryCall)
    let run = WindowTestRun(window)
    try run.add(Self.events)
    try run.checkpoint()
    let part = try #require(run.parts.first)
    let merger = WindowMerger(window)
    for parts in [[part], [part, part], [], [part]] {
      let reused = try merger.merge(parts)
      let fresh = try WindowResult.merge(parts, of: window)
      #expect(reused.aggregates.map(\.value) == fresh.aggregates.map(\.value))
      #expect(reused.classCounts.map(\.count) == fresh.classCounts.map(\.count))
      #expect(reused.events == Int64(5 * parts.count))
    }
  }

  @Test func statesAreShared() {
    let calls = [0.5, 0.9, 0.99].map { windowTestCall(.quantile, .value, $0) } + [windowTestCall(.sum, .value)]
    let one = AggregateSet(windowTestDefinition(size: 10, aggregates: Array(calls.prefix(1))))
    let three = AggregateSet(windowTestDefinition(size: 10, aggregates: Array(calls.prefix(3))))
    one.grow(to: 1)
    three.grow(to: 1)
    #expect(one.snapshot(of: [0]).encode(0) == three.snapshot(of: [0]).encode(0))
    #expect(AggregateSet(windowTestDefinition(size: 10, aggregates: calls)).arguments.count == 1)
  }
}
