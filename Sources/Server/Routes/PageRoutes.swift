// The page itself, its files, the document that describes the API, and the page to try it on.

import Detection
import HTTPTypes

struct PageRoutes {
  let services: Services
  /// The document, once the table is there.
  let description: @Sendable () -> String

  /// Addresses of views: whatever is below them, the page reads itself.
  private static let views = [
    "/", "/{use_case}", "/{use_case}/{view}", "/{use_case}/{view}/{subject}",
  ]

  var endpoints: [Endpoint] {
    var endpoints = Self.views.map { path in
      Endpoint(
        method: .get, path: path, tag: "page", summary: "The dashboard", access: .open,
        parameters: ["use_case", "view", "subject"].filter { path.contains("{\($0)}") }.map {
          Parameter($0, in: .path, "A part of its address.", .string)
        }, answers: [.init(.ok, "The page.", .init("text/html", .string))], takesAnyQuery: true,
        respond: { [services] call in
          // What is below /api is no view, and whoever asks for it is no browser.
          guard call.string("use_case") != "api" else {
            throw Problem.notFound("There is no such endpoint. What there is, /docs shows.")
          }
          return try services.page.file("index.html")
        })
    }
    endpoints.append(
      Endpoint(
        method: .get, path: "/docs", tag: "page", summary: "The API, readable and to be tried", access: .open,
        answers: [.init(.ok, "The page.", .init("text/html", .string))],
        respond: { [services] _ in try services.page.file("docs.html") }))
    endpoints.append(
      Endpoint(
        method: .get, path: "/openapi.json", tag: "page", summary: "The API, described (OpenAPI 3.1)", access: .open,
        answers: [.init(.ok, "The document.", .json(.anything))],
        respond: { [description] _ in Reply(description()) }))
    for depth in 1...4 {
      let names = (1...depth).map { "part\($0)" }
      endpoints.append(
        Endpoint(
          method: .get, path: "/assets/" + names.map { "{\($0)}" }.joined(separator: "/"), tag: "page",
          summary: "A file of the page", access: .open,
          parameters: names.map { Parameter($0, in: .path, "A part of its name.", .string) },
          answers: [.init(.ok, "The file.", .init("application/octet-stream", .string))],
          respond: { [services] call in try services.page.file(names.map { call.path($0) }.joined(separator: "/")) }))
    }
    return endpoints
  }
}
