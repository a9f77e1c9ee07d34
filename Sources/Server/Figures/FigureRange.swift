// A span of time in steps, and the one of the same length before it.

import Detection
import HTTPTypes

/// What figures over time are asked for.
struct FigureRange: Sendable {
  /// Microseconds: from inclusive, to exclusive.
  var from: Int64
  var to: Int64
  var step: Int64
  /// Names of entities; nil for all.
  var entities: Set<String>?

  /// Steps at most: a week of them, 10 minutes each, and some.
  static let mostSteps: Int64 = 2_016

  var length: Int64 { to - from }
  var count: Int { Int((length + step - 1) / step) }
  /// The span before.
  var previous: FigureRange { FigureRange(from: from - length, to: from, step: step, entities: entities) }

  /// The length as people say it, without rests: "24 h", "3 h", "7 d", "30 min".
  var lengthText: String {
    let (minute, hour, day): (Int64, Int64, Int64) = (60_000_000, 3_600_000_000, Timestamp.microsecondsPerDay)
    if length > day, length % day == 0 { return "\(length / day)\u{202F}d" }
    if length % hour == 0 { return "\(length / hour)\u{202F}h" }
    return "\((length + minute / 2) / minute)\u{202F}min"
  }

  /// What the span before is called.
  var beforeText: String {
    switch length {
    case Timestamp.microsecondsPerDay: "the day before"
    case 7 * Timestamp.microsecondsPerDay: "the week before"
    default: "the \(lengthText) before"
    }
  }

  /// The step in which a time lies.
  func index(of time: Int64) -> Int { Int((time - from) / step) }

  /// - Throws: `Problem` where it is empty, too long or too fine.
  init(_ call: Call, until: Int64?) throws(Problem) {
    let end = call.string("to").flatMap { Timestamp.parse($0) } ?? until
    guard let end else {
      throw Problem(.notFound, "Nothing has been read yet", "There is no event to show figures of.")
    }
    var length: Int64 = 24 * 3_600_000_000
    if let text = call.string("window") {
      guard call.string("from") == nil else {
        throw Problem(
          .badRequest, "The span of time is wrong", "`window` and `from` both say where it begins: choose one.")
      }
      guard let asked = DurationText.parse(text), asked > 0 else {
        throw Problem(
          .badRequest, "The span of time is wrong", "window: expected a length as 24h or 7d, found `\(text.prefix(40))`"
        )
      }
      length = asked
    }
    let begin = call.string("from").flatMap { Timestamp.parse($0) } ?? end.subtractingSaturated(length)
    step = Int64(call.integer("step") ?? 1_800) * 1_000_000
    (from, to) = (begin, end)
    let names = call.entities
    entities = names.isEmpty ? nil : Set(names)
    guard from < to, to.subtractingSaturated(from) <= 400 * Timestamp.microsecondsPerDay else {
      throw Problem(.badRequest, "The span of time is wrong", "`from` lies before `to`, by 400 days at most.")
    }
    guard (to - from) / step < Self.mostSteps else {
      throw Problem(.badRequest, "The steps are too fine", "At most \(Self.mostSteps): take a longer `step`.")
    }
  }

  /// - Precondition: `from` lies before `to`, and the step is longer than nothing.
  init(from: Int64, to: Int64, step: Int64, entities: Set<String>? = nil) {
    (self.from, self.to, self.step, self.entities) = (from, to, step, entities)
  }

  static let parameters: [Parameter] = [
    Parameter("window", "Length of the span, in place of `from`: 24h, 7d (default: 24h).", .string(upTo: 40)),
    Parameter("from", "From when on (default: 24 hours before `to`).", .time),
    Parameter(
      "to", "Until when, exclusive (default: as far as closed windows reach, or events where no window has closed).",
      .time),
    Parameter("step", "Length of a step, seconds.", .integer(1...86_400), standard: "1800"),
    Parameters.entities,
  ]

  /// What every answer about a span of time begins with.
  /// - Parameter knownFrom: from when on everything is known, microseconds.
  func members(hasPrevious: Bool, knownFrom: Int64) -> [(String, String)] {
    [
      ("from", JSONText.time(from)), ("to", JSONText.time(to)),
      ("known_from", knownFrom > from ? JSONText.time(min(knownFrom, to)) : "null"),
      ("previous_from", hasPrevious ? JSONText.time(previous.from) : "null"), ("step", String(step / 1_000_000)),
    ]
  }

  static let schemaMembers: [(String, JSONSchema)] = [
    ("from", .time), ("to", .time),
    (
      "known_from",
      .time.nullable.saying("What lies before it in the span is not kept any more; null where all of it is.")
    ),
    ("previous_from", .time.nullable.saying("Where the span before begins; null where there are no events of it.")),
    ("step", .integer(1...86_400)),
  ]
}

/// Numbers over the steps of a span and of the one before.
struct FigureLine: Sendable {
  /// Nil where there is nothing to say.
  var values: [Double?]
  var total: Double?
  var previous: [Double?]
  var previousTotal: Double?

  /// As members of an object; without a span before, its numbers are null.
  func members(hasPrevious: Bool) -> [(String, String)] {
    func list(_ values: [Double?]) -> String { JSONText.array(values.map { $0.map(Self.number) ?? "null" }) }
    return [
      ("values", list(values)), ("total", total.map(Self.number) ?? "null"),
      ("previous", hasPrevious ? list(previous) : "null"),
      ("previous_total", hasPrevious ? previousTotal.map(Self.number) ?? "null" : "null"),
    ]
  }

  /// Counts without a fraction.
  static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : JSONText.number(value)
  }

  static let schemaMembers: [(String, JSONSchema)] = [
    ("values", .array(JSONSchema.number.nullable)), ("total", .number.nullable),
    ("previous", JSONSchema.array(JSONSchema.number.nullable).nullable), ("previous_total", .number.nullable),
  ]
}
