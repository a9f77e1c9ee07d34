// Requests and how long they take, by the pattern of their address: how many series there are does not depend on what
// clients ask for.

import HTTPTypes
import Metrics
import Pipeline
import Synchronization

/// Counts requests.
final class HTTPMetrics: Sendable {
  /// Begins the names of its metrics.
  static let prefix = "pulse_http_"
  /// The route of addresses and methods that are none.
  static let unknownRoute = "unknown"

  private struct Key: Hashable, Sendable {
    var route: String
    var method: String
    var status: String
  }

  private struct Handlers: Sendable {
    var requests: any CounterHandler
    var duration: any TimerHandler
  }

  private let registry: MetricRegistry
  private let handlers = Mutex<[Key: Handlers]>([:])
  private static let methods: Set<HTTPRequest.Method> = [.get, .head, .post, .put, .patch, .delete, .options]

  init(_ registry: MetricRegistry) { self.registry = registry }

  /// An answer is there.
  /// - Parameters:
  ///   - route: the pattern of the address: `/api/v1/use-cases/{use_case}`.
  ///   - duration: since the head of the request was read, until the answer can be sent.
  func note(route: String, method: HTTPRequest.Method, status: Int, taking duration: Duration) {
    let key = Key(
      route: route, method: Self.methods.contains(method) ? method.rawValue : "other", status: "\(status / 100)xx")
    let found = handlers.withLock { handlers in
      if let known = handlers[key] { return known }
      let labels = [("route", key.route), ("method", key.method), ("status", key.status)]
      let made = Handlers(
        requests: registry.makeCounter(label: Self.prefix + "requests_total", dimensions: labels),
        duration: registry.makeTimer(label: Self.prefix + "request_duration_seconds", dimensions: labels))
      handlers[key] = made
      return made
    }
    found.requests.increment(by: 1)
    found.duration.recordNanoseconds(duration.nanoseconds)
  }
}
