// Windows and dead letters, as they are stored.

import Detection
import Foundation
import HTTPTypes
import Pipeline

struct ResultRoutes {
  let services: Services

  private static let base = "/api/v1/use-cases/{use_case}"

  var endpoints: [Endpoint] { [windows, deadLetters, deadLetterLines, deadLetterSeries] }

  static let schemas: [(name: String, schema: JSONSchema)] = [("DeadLetter", letter)]

  private var windows: Endpoint {
    // Windows have the values that they are grouped by as members, so their form depends on the use case.
    Endpoint(
      method: .get, path: Self.base + "/windows", tag: "results", summary: "Windows, newest start first", access: .read,
      parameters: [
        Parameters.useCase, Parameter("window", "Only of this definition.", .string(upTo: 100)), Parameters.from,
        Parameters.to, Parameters.limit, Parameters.cursor,
      ], answers: [.init(.ok, "A page of them.", .json(Parameters.page(of: .map(.anything))))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        var filter = call.filter(of: useCase)
        filter.name = call.string("window")
        if let name = filter.name, !useCase.plan.windows.contains(where: { $0.definition.name == name }) {
          let names = try await useCase.store.reader.read { try await $0.names(of: useCase.name) }
          guard names.windows.contains(name) else { throw Problem.unknown("window", name, among: names.windows) }
        }
        let cursor = try call.cursor()
        let page = try await useCase.store.reader.read { [filter] in try await $0.windows(filter, after: cursor) }
        return Reply(Parameters.page(page.rows.map(\.json), total: nil, next: page.next?.text))
      })
  }

  /// What its log keeps beside a record.
  private static let envelope = JSONSchema.object([
    ("key?", .string), ("key_base64?", .string), ("timestamp?", .time),
    ("headers", .array(.object([("name", .string), ("value?", .string), ("value_base64?", .string)]))),
  ]).saying("Key, time and headers of a record of a log such as Kafka; bytes that are no text as Base64.")

  private static let letter = JSONSchema.object([
    ("id", .string), ("use_case", .string),
    (
      "position",
      .object([
        ("source", .string), ("partition", .integer), ("segment", .count), ("offset", .integer), ("row", .integer),
      ])
    ), ("stage", .string), ("reason", .string), ("field", JSONSchema.string.nullable), ("message", .string),
    ("watermark", JSONSchema.time.nullable), ("length", .count), ("sha256", JSONSchema.string.nullable),
    ("raw", JSONSchema.string.nullable), ("raw_base64", JSONSchema.string.nullable),
    ("envelope", Self.envelope.nullable),
  ])

  static let letterParameters = [
    Parameters.useCase, Parameters.from, Parameters.to,
    Parameter("reason", "Only with this reason.", .string(upTo: 100)),
    Parameter("field", "Only about this field.", .string(upTo: 400)),
    Parameter("q", "Only with these bytes of text in it.", .string(upTo: 200)),
    Parameter("record", "Only the record of this number in its segment.", .integer(0...Int64.max)),
  ]

  /// Whether a dead letter is wanted, beyond what the store looks at.
  static func isWanted(_ letter: StoredDeadLetter, _ call: Call) -> Bool {
    if let field = call.string("field"), letter.field != field { return false }
    if let record = call.integer("record"), letter.position.row != Int64(record) { return false }
    guard let text = call.string("q")?.lowercased(), !text.isEmpty else { return true }
    return String(decoding: letter.raw, as: UTF8.self).lowercased().contains(text)
  }

  private var deadLetters: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/dead-letters", tag: "results",
      summary: "What could not be used, why, and its bytes; last read first", access: .read,
      parameters: Self.letterParameters + [Parameters.limit, Parameters.cursor],
      answers: [.init(.ok, "A page of them.", .json(Parameters.page(of: .reference("DeadLetter"))))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        var filter = call.filter(of: useCase)
        filter.name = call.string("reason")
        var cursor = try call.cursor()
        let wanted = filter.limit
        let found = try await useCase.store.reader.read { snapshot in
          var items: [String] = []
          let end = ContinuousClock.now + Parameters.searchTime
          repeat {
            try Task.checkCancellation()
            filter.limit = wanted - items.count
            let page = try await snapshot.deadLetters(filter, after: cursor)
            items += page.rows.filter { Self.isWanted($0, call) }.map(\.json)
            cursor = page.next
          } while cursor != nil && items.count < wanted && .now < end
          return items
        }
        return Reply(Parameters.page(found, total: nil, next: cursor?.text))
      })
  }

  /// Bytes of raw records that one answer has at most.
  private static let mostBytes = 16 << 20

  private var deadLetterLines: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/dead-letters.ndjson", tag: "results",
      summary: "The records themselves, a line each, as they came", access: .read, parameters: Self.letterParameters,
      answers: [.init(.ok, "At most 16 MiB of them, the oldest first.", .init("application/x-ndjson", .string))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        var filter = call.filter(of: useCase)
        (filter.name, filter.limit) = (call.string("reason"), 0)
        var lines: [[UInt8]] = []
        var bytes = 0
        struct Enough: Error {}
        do {
          try await useCase.store.reader.read { [filter] snapshot in
            try await snapshot.forEachDeadLetter(filter) { letter in
              try Task.checkCancellation()
              guard Self.isWanted(letter, call) else { return }
              bytes += letter.raw.count + 1
              if bytes > Self.mostBytes { throw Enough() }
              lines.append(letter.raw + [UInt8(ascii: "\n")])
            }
          }
        } catch is Enough {}
        return Reply(
          Array(lines.reversed().joined()), contentType: "application/x-ndjson",
          headers: [.contentDisposition: "attachment; filename=\"dead-letters.ndjson\""], caching: .never)
      })
  }

  private var deadLetterSeries: Endpoint {
    let series = JSONSchema.object([
      ("name", .string), ("stage", .string), ("values", .array(.count)), ("total", .count), ("fields", .map(.count)),
      ("messages", .array(.string)),
    ])
    let day = JSONSchema.object([("day", .string), ("dead_letters", .count)])
    return Endpoint(
      method: .get, path: Self.base + "/dead-letters/series", tag: "results",
      summary: "Dead letters by reason over time, of those that are stored", access: .read,
      parameters: [Parameters.useCase],
      answers: [
        .init(
          .ok, "A line for each reason, in steps of 3 hours of event time.",
          .json(
            .object([
              ("from", JSONSchema.time.nullable), ("to", JSONSchema.time.nullable), ("step", .count),
              ("series", .array(series)), ("days", .array(day)),
            ])))
      ],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        var filter = ResultFilter()
        (filter.useCase, filter.limit) = (useCase.name, DeadLetterSeries.most)
        var letters = DeadLetterSeries()
        try await useCase.store.reader.read { [filter] snapshot in
          try await snapshot.forEachDeadLetter(filter) { letters.add($0) }
        }
        return Reply(letters.json)
      })
  }
}

/// Dead letters by reason over time.
private struct DeadLetterSeries {
  /// Dead letters that are looked at, the last ones read.
  static let most = 20_000
  private static let step: Int64 = 3 * 3_600_000_000
  private static let mostMessages = 5

  private struct Group {
    var stage: String
    var times: [Int64] = []
    var total = 0
    var fields: [String: Int] = [:]
    var messages: [String: Int] = [:]
  }

  private var groups: [String: Group] = [:]
  private var days: [Int64: Int] = [:]

  mutating func add(_ letter: StoredDeadLetter) {
    var group = groups[letter.reason] ?? Group(stage: letter.stage)
    group.total += 1
    if let time = letter.watermark {
      group.times.append(time)
      days[Timestamp.dayNumber(of: time), default: 0] += 1
    }
    if let field = letter.field { group.fields[field, default: 0] += 1 }
    group.messages[letter.message, default: 0] += 1
    groups[letter.reason] = group
  }

  var json: String {
    let times = groups.values.flatMap(\.times)
    let from = times.min().map { $0 - ($0 % Self.step + Self.step) % Self.step }
    let count = times.max().flatMap { last in from.map { Int((last - $0) / Self.step) + 1 } } ?? 0
    let series = groups.sorted { ($1.value.total, $0.key) < ($0.value.total, $1.key) }.map { reason, group in
      var values = [Int](repeating: 0, count: min(count, Int(FigureRange.mostSteps)))
      for time in group.times {
        let index = Int((time - (from ?? 0)) / Self.step)
        if index < values.count { values[index] += 1 }
      }
      let messages = group.messages.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(Self.mostMessages)
      return JSONText.object([
        ("name", JSONText.string(reason)), ("stage", JSONText.string(group.stage)),
        ("values", JSONText.array(values.map { String($0) })), ("total", String(group.total)),
        ("fields", JSONText.object(group.fields.sorted { $0.key < $1.key }.map { ($0.key, String($0.value)) })),
        ("messages", JSONText.array(messages.map { JSONText.string($0.key) })),
      ])
    }
    let days = days.sorted { $0.key < $1.key }.map { day, count in
      JSONText.object([
        ("day", JSONText.string(Timestamp.day(of: day * Timestamp.microsecondsPerDay))),
        ("dead_letters", String(count)),
      ])
    }
    return JSONText.object([
      ("from", from.map(JSONText.time) ?? "null"),
      ("to", from.map { JSONText.time($0 + Int64(count) * Self.step) } ?? "null"),
      ("step", String(Self.step / 1_000_000)), ("series", JSONText.array(series)), ("days", JSONText.array(days)),
    ])
  }
}
