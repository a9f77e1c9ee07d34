// Who is told of findings, how that goes, and what could not be told.

import Detection
import HTTPTypes
import Pipeline

struct NotificationRoutes {
  let services: Services

  var endpoints: [Endpoint] {
    [
      Endpoint(
        method: .get, path: "/api/v1/notifications", tag: "health",
        summary: "Who is told of findings, how that goes, and the last notifications that were given up",
        details: "As it is kept in the store, whichever process tells.", access: .read,
        answers: [.init(.ok, "Each sink of each data directory.", .json(.object([("items", .array(Self.sink))])))],
        respond: { [services] call in
          var items: [String] = []
          for service in services.notifications {
            for sink in service.sinks {
              items.append(Self.json(sink, of: service, try await service.state(of: sink), call.caller))
            }
          }
          return Reply(JSONText.object([("items", JSONText.array(items))]), caching: .never)
        })
    ]
  }

  private static let letter = JSONSchema.object([
    ("id", .string), ("created", .time), ("given_up", .time), ("use_case", JSONSchema.string.nullable),
    ("key", JSONSchema.string.nullable), ("count", .count), ("held_back", .count), ("summary", .string),
    ("attempts", .count), ("reason", .string),
  ])

  private static let sink = JSONSchema.object([
    ("name", .string), ("data", .string.saying("The data directory.")),
    ("to", .string.saying("Where it is, without what may be secret of the address.")),
    ("gathered", .count.saying("Findings that are told of when it is time.")),
    ("waiting", .count.saying("Notifications that were made and not taken yet.")),
    ("held_back", .count.saying("Findings that the next notification says were held back.")),
    ("last_delivery", JSONSchema.time.nullable), ("given_up", .count.saying("Notifications, since the beginning.")),
    ("dead_letters", .array(letter).saying("The last of those, newest first.")),
  ])

  private static func json(
    _ sink: NotificationSink, of service: NotificationService, _ state: NotificationState, _ caller: Principal
  ) -> String {
    let letters = state.givenUp.reversed().filter { letter in
      letter.notification.useCase.map { caller.maySee($0) } ?? (caller.useCases == nil)
    }.map { letter in
      let lost = letter.notification
      return JSONText.object([
        ("id", JSONText.string(lost.id)), ("created", JSONText.time(lost.created)),
        ("given_up", JSONText.time(letter.at)), ("use_case", JSONText.optional(lost.useCase)),
        ("key", JSONText.optional(lost.key)), ("count", String(lost.count)), ("held_back", String(lost.heldBack)),
        ("summary", JSONText.string(lost.summary)), ("attempts", String(lost.attempts)),
        ("reason", JSONText.string(lost.trouble ?? "")),
      ])
    }
    return JSONText.object([
      ("name", JSONText.string(sink.name)), ("data", JSONText.string(service.data)),
      ("to", JSONText.string(sink.place)),
      ("gathered", String(state.groups.values.reduce(0) { $0 + $1.count })), ("waiting", String(state.waiting.count)),
      ("held_back", String(state.heldBack)), ("last_delivery", state.lastDelivery.map(JSONText.time) ?? "null"),
      ("given_up", String(state.givenUpCount)), ("dead_letters", JSONText.array(letters)),
    ])
  }
}
