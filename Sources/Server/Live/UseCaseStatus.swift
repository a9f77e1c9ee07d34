// How a use case stands, in words and numbers that fit onto the top of a page.

import Detection

/// Components of a use case with their states.
struct UseCaseStatus: Sendable, Hashable {
  enum State: String, Sendable, Hashable, CaseIterable { case ok, warning, failed, unknown }

  struct Component: Sendable, Hashable {
    /// stream, detection, store, notifications
    var name: String
    var state: State
    /// In two or three words: "caught up".
    var text: String
    /// When that began, microseconds; nil where it is not known.
    var since: Int64?
    /// What began then: `since`, or `written` of the store.
    var label = "since"
    /// What there is to say in place of that.
    var note: String?
    /// Why it is not well.
    var why: String?
    /// Whether nothing comes although something usually does.
    var isStalled = false
    /// Records that usually come in a second; nil where that is not known.
    var usualPerSecond: Double?
  }

  var useCase: String
  var time: Int64
  /// What the source is, for people.
  var source: String?
  var components: [Component]
  /// Nil where the run is another process's and has not been watched for long enough.
  var recordsPerSecond: Double?
  /// How far event time lies behind the clock, seconds; nil where nothing runs or times are simulated.
  var lagSeconds: Double?
  var watermark: Int64?
  /// Up to when there are figures: see `FigureCache.dataUntil`.
  var dataUntil: Int64?
  var records: Int
  var deadLetters: Int
  /// Versions of models that wait for somebody to promote them.
  var candidates: Int

  var json: String {
    JSONText.object([
      ("use_case", JSONText.string(useCase)), ("time", JSONText.time(time)), ("source", JSONText.optional(source)),
      ("components", JSONText.array(components.map(\.json))),
      ("records_per_second", recordsPerSecond.map(JSONText.number) ?? "null"),
      ("lag_seconds", lagSeconds.map(JSONText.number) ?? "null"),
      ("watermark", watermark.map(JSONText.time) ?? "null"), ("data_until", dataUntil.map(JSONText.time) ?? "null"),
      ("records", String(records)), ("dead_letters", String(deadLetters)), ("candidates", String(candidates)),
    ])
  }

  static let schema = JSONSchema.object([
    ("use_case", .string), ("time", .time), ("source", JSONSchema.string.nullable),
    (
      "components",
      .array(
        .object([
          ("name", .string(among: ["stream", "detection", "store", "notifications"])),
          ("state", .string(among: State.allCases.map(\.rawValue))),
          ("text", .string), ("since", JSONSchema.time.nullable), ("label", .string(among: ["since", "written"])),
          ("note", JSONSchema.string.nullable), ("why", JSONSchema.string.nullable), ("stalled", .boolean),
          ("usual_per_second", JSONSchema.number.nullable),
        ]))
    ),
    ("records_per_second", JSONSchema.number.nullable), ("lag_seconds", JSONSchema.number.nullable),
    ("watermark", JSONSchema.time.nullable), ("data_until", JSONSchema.time.nullable), ("records", .count),
    ("dead_letters", .count), ("candidates", .count),
  ])
}

extension UseCaseStatus.Component {
  fileprivate var json: String {
    JSONText.object([
      ("name", JSONText.string(name)), ("state", JSONText.string(state.rawValue)), ("text", JSONText.string(text)),
      ("since", since.map(JSONText.time) ?? "null"), ("label", JSONText.string(label)),
      ("note", JSONText.optional(note)),
      ("why", JSONText.optional(why)), ("stalled", isStalled ? "true" : "false"),
      ("usual_per_second", usualPerSecond.map(JSONText.number) ?? "null"),
    ])
  }
}
