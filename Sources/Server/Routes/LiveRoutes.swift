// What happens, as it happens.

import Detection
import HTTPTypes

struct LiveRoutes {
  let services: Services

  var endpoints: [Endpoint] {
    [
      Endpoint(
        method: .get, path: "/api/v1/use-cases/{use_case}/stream", tag: "live",
        summary: "Anomalies, figures and status as server-sent events",
        details: """
          Events: `status` (as `/status`), `anomaly` (as in lists), `retraction` (its `id`), `figures` (there are new ones, up \
          to `data_until`), `progress` (a job, as in `/jobs`), `reset` (read everything anew). With `Last-Event-ID` it goes on behind the event of that id; some may come again. Who does not keep up loses the connection, and goes on in the same way.
          """, access: .read,
        parameters: [
          Parameters.useCase,
          Parameter("Last-Event-ID", in: .header, "The id of the last event that was seen.", .string(upTo: 30_000)),
        ], answers: [.init(.ok, "Events, for as long as the connection lasts.", .init("text/event-stream", .string))],
        timeLimit: nil,
        respond: { [services] call in
          let useCase = try services.catalog.useCase(of: call)
          let chunks = try await services.live.subscribe(to: useCase, behind: call.string("Last-Event-ID"))
          return Reply(chunks, contentType: "text/event-stream")
        })
    ]
  }
}
