// Streams, batches and stores for the tests of rules.

import TestKit

@testable import Detection

extension SeededRandom {
  mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }
}

/// An event of the test streams.
struct RuleEvent {
  var time: Int64
  var user: Int64?
  var kind: String? = "login"
  var x: Double?
  var n: Int64?
  var ahead = false
}

/// A stream of events with the marks a watermark would give them.
struct RuleStream {
  static let columns: [(name: String, type: ValueType)] = [
    ("user", .int), ("kind", .string), ("x", .double), ("n", .int), ("time", .timestamp), ("account", .string),
  ]

  let events: [RuleEvent]
  let watermarks: [Int64]
  /// The latest time that is believed as of each event.
  let believed: [Int64]

  /// Before each event, the watermark is the highest believed time so far minus `outOfOrder`; unknown for the first few.
  init(_ events: [RuleEvent], outOfOrder: Int64 = 0, unknown: Int = 1) {
    self.events = events
    var highest = Int64.min
    var watermarks: [Int64] = []
    for (index, event) in events.enumerated() {
      watermarks.append(index < unknown || highest == .min ? .min : highest - outOfOrder)
      if !event.ahead { highest = max(highest, event.time) }
    }
    self.watermarks = watermarks
    believed = [Int64](repeating: .max, count: events.count)
  }

  /// The watermark and the times in doubt as the engine establishes them.
  init(marking events: [RuleEvent], outOfOrder: Int64, maxAhead: Int64) {
    let marks = Watermark(outOfOrder: outOfOrder, maxAhead: maxAhead).mark(events.map(\.time))
    watermarks = marks.watermarks
    believed = marks.believed
    self.events = events.enumerated().map { row, event in
      var event = event
      event.ahead = marks.doubtful[row]
      return event
    }
  }

  /// Some of the events, each as the whole stream has marked it.
  func only(_ rows: [Int]) -> RuleStream { RuleStream(self, rows) }

  private init(_ stream: RuleStream, _ rows: [Int]) {
    events = rows.map { stream.events[$0] }
    watermarks = rows.map { stream.watermarks[$0] }
    believed = rows.map { stream.believed[$0] }
  }

  func batch(_ rows: Range<Int>, dictionary: Bool = false) -> (EventBatch, EventTimeMarks) {
    let part = events[rows]
    let accounts = part.map { $0.user.map { "account-\($0)" } ?? "" }
    var account = StringColumn(accounts)
    if dictionary {
      let entries = Array(Set(accounts)).sorted()
      let plain = StringColumn(entries)
      account = StringColumn(
        offsets: plain.offsets, bytes: plain.bytes, codes: accounts.map { UInt32(entries.firstIndex(of: $0)!) })
    }
    let users = Column(.int, part.map { $0.user.map { .int($0) } ?? .null })
    let columns = [
      users, Column(.string, part.map { $0.kind.map { .string($0) } ?? .null }),
      Column(.double, part.map { $0.x.map { .double($0) } ?? .null }),
      Column(.int, part.map { $0.n.map { .int($0) } ?? .null }),
      Column(.timestamp, part.map { .timestamp($0.time) }), Column(.string(account), validity: users.validity),
    ]
    let positions = RecordPositions(segment: 0, offsets: rows.map { Int64($0) }, rows: rows.map { Int64($0) })
    let batch = EventBatch(
      partition: PartitionID(source: "test", number: 0), positions: positions, eventTimes: part.map(\.time),
      columns: columns)
    var marks = EventTimeMarks(
      watermarks: Array(watermarks[rows]), believed: Array(believed[rows]),
      doubtful: Bitmap(count: rows.count) { events[rows.lowerBound + $0].ahead },
      watermarkAfter: rows.upperBound < events.count ? watermarks[rows.upperBound] : watermarks.last ?? .min)
    marks.dismissed = marks.doubtful
    return (batch, marks)
  }

  /// The findings of a rule over the whole stream, rows counted in the stream.
  func findings(_ detector: SlidingRule, batchSize: Int, counts: inout DetectorCounts) throws -> [Finding] {
    var all: [Finding] = []
    var start = 0
    while start < events.count {
      let end = min(start + batchSize, events.count)
      try all += findings(detector, start..<end, counts: &counts)
      start = end
    }
    return all
  }

  func findings(_ detector: SlidingRule, _ rows: Range<Int>, counts: inout DetectorCounts) throws -> [Finding] {
    let (batch, marks) = batch(rows, dictionary: rows.count % 2 == 0)
    var findings: [Finding] = []
    try detector.detect(in: batch, marks: marks, into: &findings, counts: &counts)
    for index in findings.indices { findings[index].row += rows.lowerBound }
    return findings
  }
}

/// What a store keeps of a stateful part.
struct RuleStore {
  private(set) var entries: [[UInt8]: [UInt8]] = [:]
  var bytes: Int { entries.values.reduce(0) { $0 + $1.count } }

  mutating func apply(_ changes: StateChanges) {
    for key in changes.deletes {
      precondition(entries.removeValue(forKey: key) != nil, "deleted what was not stored")
    }
    for put in changes.puts { entries[put.key] = put.value }
  }

  var sorted: [StateEntry] {
    entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { StateEntry(key: $0.key, value: $0.value) }
  }
}

/// An event definition over `RuleStream.columns`.
func ruleEvents(
  key: String? = nil, partitionedBy: String? = nil, outOfOrder: Int64 = 0, maxAhead: Int64 = 86_400_000_000
) -> EventDefinition {
  let fields = RuleStream.columns.map { column in
    let type = FieldType(column.type)
    return Field(name: column.name, type: type, required: type == .timestamp(.automatic))
  }
  let schema = Schema(
    fields: fields, timeField: fields.firstIndex { $0.name == "time" }!,
    keyField: key.flatMap { key in fields.firstIndex { $0.name == key } })
  return EventDefinition(
    schema: schema, partitionedBy: partitionedBy, outOfOrder: outOfOrder, maxAhead: maxAhead)
}

func slidingPlan(_ definition: RuleDefinition, _ event: EventDefinition = ruleEvents()) throws -> SlidingRulePlan {
  guard case .stateful(let plan) = try CompiledRule(definition, scope: Scope(RuleStream.columns), event: event) else {
    preconditionFailure("the rule is stateless")
  }
  return plan
}

/// Findings as text that tells every bit, so that NaN equals itself.
func exactText(_ finding: Finding) -> String {
  let values = finding.explanation.contributions.map { contribution in
    if case .double(let value) = contribution.value { return "\(contribution.feature)=\(value.bitPattern)" }
    return "\(contribution.feature)=\(contribution.value)"
  }
  return "\(finding.row) \(finding.score) \(finding.reason) \(values)"
}
