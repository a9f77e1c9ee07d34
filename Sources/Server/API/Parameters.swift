// Parameters that several endpoints take, and pages of lists.

import Detection

/// Parameters that several endpoints take.
enum Parameters {
  static let useCase = Parameter("use_case", in: .path, "The use case.", .string(upTo: 100))
  /// How long a page is looked for among rows that mostly do not match; then it ends where the look is, and `next` goes on.
  static let searchTime = Duration.seconds(10)
  static let limit = Parameter("limit", "Rows at most.", .integer(1...500), standard: "50")
  static let cursor = Parameter(
    "cursor", "Where the list goes on: `next` of the page before.", .string(upTo: 4_000))
  static let entities = Parameter(
    "entities", "Only these entities. Within a key a comma is `%2C` and a percent sign `%25`, before the list is made.",
    .string(upTo: 1_000), isList: true)
  static let from = Parameter("from", "From when on.", .time)
  static let to = Parameter("to", "Until when, exclusive.", .time)

  /// A page of a list.
  static func page(of element: JSONSchema) -> JSONSchema {
    .object([
      ("items", .array(element)),
      ("total", JSONSchema.count.nullable.saying("How many there are in all, where that is known.")),
      ("next", JSONSchema.string.nullable.saying("The `cursor` of the next page; null at the end.")),
    ])
  }

  static func page(_ items: [String], total: Int?, next: String?) -> String {
    JSONText.object([
      ("items", JSONText.array(items)), ("total", total.map { String($0) } ?? "null"),
      ("next", JSONText.optional(next)),
    ])
  }
}
