// Between HTTP and the endpoints: who asks, whether there is room, what is asked for and in which form, and how the answer
// is sent. Everything that goes wrong becomes a problem with a sentence; nothing of what went wrong inside is told to
// clients but what an `OperatingError` says, which is written for people.

import Detection
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import Synchronization

/// The connection that a request came on.
struct ConnectionContext: InitializableFromSource {
  /// The address of the client, without a port.
  var client: String

  init(source: ApplicationRequestContextSource) { client = source.channel.remoteAddress?.ipAddress ?? "unknown" }

  init(client: String) { self.client = client }
}

/// Answers requests.
struct HTTPFront: HTTPResponder {
  typealias Context = ConnectionContext

  let description: APIDescription
  let table: EndpointTable
  let policy: AccessPolicy
  let limits: RequestLimits
  /// Origins whose pages may read answers; none unless configured.
  let corsOrigins: Set<String>
  let logger: Logger
  /// Microseconds since 1970-01-01 00:00 UTC.
  let clock: @Sendable () -> Int64
  private let metrics: HTTPMetrics
  private let rate: RequestRate
  private let guesses: TokenGuesses
  private let underWay = Underway()
  private let bodies = Underway()

  /// Bytes from which on a body counts as large.
  private static let largeBody = 1 << 20

  init(
    _ description: APIDescription, policy: AccessPolicy, limits: RequestLimits = RequestLimits(),
    corsOrigins: Set<String> = [], logger: Logger, metrics: MetricRegistry,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.description = description
    table = EndpointTable(description.endpoints)
    self.policy = policy
    self.limits = limits
    self.corsOrigins = corsOrigins
    self.logger = logger
    self.clock = clock
    self.metrics = HTTPMetrics(metrics)
    rate = RequestRate(perSecond: limits.perSecond, burst: limits.burst)
    guesses = TokenGuesses(perSecond: limits.refusedPerSecond, burst: limits.refusedBurst)
  }

  func respond(to request: Request, context: ConnectionContext) async throws -> Response {
    let start = ContinuousClock.now
    var route = HTTPMetrics.unknownRoute
    let reply: Reply
    do throws(Problem) { reply = try await answer(request, context, &route) } catch { reply = error.reply }
    let response = response(reply, to: request)
    metrics.note(route: route, method: request.method, status: response.status.code, taking: .now - start)
    return response
  }

  // MARK: Answering

  /// - Parameter route: becomes the pattern of the address, once that is known.
  private func answer(
    _ request: Request, _ context: Context, _ route: inout String
  ) async throws(Problem) -> Reply {
    let (path, query) = try target(of: request)
    if request.method == .options, request.headers[.origin] != nil { return preflight(request, path) }
    let (endpoint, values): (Endpoint, [String: String])
    let caller: Principal
    let token = AccessPolicy.token(in: request.headers)
    if let seconds = guesses.wait(for: token, from: context.client, at: now) {
      throw tooMany(limits.refusedPerSecond, seconds)
    }
    do throws(Problem) {
      (endpoint, values) = try self.endpoint(request.method, path)
      route = endpoint.path
      caller = try await policy.caller(
        request.headers, host: request.head.authority ?? request.headers[.init("Host")!], of: endpoint, at: clock())
    } catch {
      if let seconds = guesses.take(refusedFrom: context.client, at: now) {
        throw tooMany(limits.refusedPerSecond, seconds)
      }
      throw error
    }
    if let token { guesses.note(right: token, from: context.client) }
    let name = caller.name == "anonymous" || caller.name == "local" ? context.client : caller.name
    if let seconds = rate.take(name, at: now) { throw tooMany(limits.perSecond, seconds) }
    // Before the body is read: it is what takes memory.
    let isLarge = endpoint.body.map { $0.most > Self.largeBody } ?? false
    guard !isLarge || bodies.begin(atMost: limits.largeBodies) else {
      throw Self.busy("The server is busy", "\(limits.largeBodies) requests with events are being worked on.", after: 1)
    }
    defer { if isLarge { bodies.end() } }
    let body = try await body(of: request, for: endpoint)
    guard endpoint.timeLimit == nil || underWay.begin(atMost: limits.requests) else {
      throw Self.busy("The server is busy", "\(limits.requests) requests are being worked on.", after: 1)
    }
    defer { if endpoint.timeLimit != nil { underWay.end() } }
    let call = try Call(
      endpoint, headers: request.headers, path: values, query: query, body: body, caller: caller, time: clock(),
      named: description.named)
    return try await run(call)
  }

  /// Seconds since 1970-01-01 00:00 UTC.
  private var now: Double { Double(clock()) / 1e6 }

  private func tooMany(_ most: Double, _ seconds: Double) -> Problem {
    Self.busy("Too many requests", "More than \(Int(most)) a second.", after: seconds)
  }

  private func target(of request: Request) throws(Problem) -> (path: String, query: [(name: String, value: String)]) {
    let headerBytes = request.headers.reduce(0) { $0 + $1.name.rawName.utf8.count + $1.value.utf8.count }
    guard headerBytes <= limits.headerBytes else {
      throw .headersTooLarge(limits)
    }
    let target = request.head.path ?? "/"
    guard target.utf8.count <= limits.targetBytes else {
      throw .addressTooLong(limits)
    }
    let parts = target.prefix { $0 != "#" }.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard let query = PercentEncoding.query(parts.count > 1 ? String(parts[1]) : "") else {
      throw Problem(.badRequest, "The address is wrong", "Its query cannot be decoded.")
    }
    return (parts.first.map(String.init) ?? "/", query)
  }

  private func endpoint(
    _ method: HTTPRequest.Method, _ path: String
  ) throws(Problem) -> (endpoint: Endpoint, values: [String: String]) {
    switch table.match(method, path) {
    case .found(let endpoint, let values): return (endpoint, values)
    case .otherMethods(let methods):
      let names = Set(methods.map(\.rawValue) + (methods.contains(.get) ? ["HEAD"] : [])).sorted().joined(
        separator: ", ")
      throw Problem(
        .methodNotAllowed, "Another method is needed", "This address takes \(names).", headers: [.allow: names])
    case .unknown:
      throw .notFound("There is nothing at \(path.prefix(200)). What there is, /docs shows.")
    }
  }

  private static func busy(_ title: String, _ detail: String, after seconds: Double) -> Problem {
    Problem(
      .tooManyRequests, title, detail, headers: [.retryAfter: String(max(1, Int(seconds.rounded(.up))))])
  }

  /// The unpacked body.
  private func body(of request: Request, for endpoint: Endpoint) async throws(Problem) -> [UInt8] {
    let most = endpoint.body?.most ?? 0
    let tooLarge = Problem(
      .contentTooLarge, "The body is too large",
      most == 0 ? "This endpoint takes none." : "At most \(ByteSizeText.format(most)), unpacked.")
    if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > most { throw tooLarge }
    // One that is none is not waited for.
    guard endpoint.body != nil else { return [] }
    let packed: [UInt8]
    do {
      packed = try await withTimeLimit(limits.bodySeconds) {
        var bytes: [UInt8] = []
        for try await part in request.body {
          guard bytes.count + part.readableBytes <= most else { throw tooLarge }
          bytes.append(contentsOf: part.readableBytesView)
        }
        return bytes
      }
    } catch let problem as Problem {
      throw problem
    } catch is TimeLimitPassed {
      throw Problem(.requestTimeout, "The body came too slowly", "At most \(Int(limits.bodySeconds)) seconds.")
    } catch {
      throw Problem(.badRequest, "The body could not be read")
    }
    switch request.headers[.contentEncoding]?.lowercased() {
    case nil, "identity": return packed
    case "gzip":
      guard let bytes = Gzip.unpack(packed, upTo: most) else {
        throw Problem(
          .badRequest, "The body cannot be unpacked",
          "It is no whole gzip file, or has more than \(ByteSizeText.format(most)) unpacked.")
      }
      return bytes
    case let other?:
      throw Problem(
        .unsupportedMediaType, "The body is packed in another way", "Expected gzip, found \(other.prefix(40)).")
    }
  }

  private func run(_ call: Call) async throws(Problem) -> Reply {
    do {
      guard let seconds = call.endpoint.timeLimit else { return try await call.endpoint.respond(call) }
      return try await withTimeLimit(seconds) { try await call.endpoint.respond(call) }
    } catch let problem as Problem {
      throw problem
    } catch is TimeLimitPassed {
      throw Problem(
        .serviceUnavailable, "It takes too long",
        "No answer within \(call.endpoint.timeLimit ?? 0) seconds. Ask for less.",
        headers: [.retryAfter: "5"])
    } catch {
      throw Trouble.problem(of: error, at: call.endpoint.path, logger)
    }
  }

  // MARK: Sending

  private func response(_ reply: Reply, to request: Request) -> Response {
    var headers = reply.headers
    headers[.contentType] = reply.contentType
    headers[.xContentTypeOptions] = "nosniff"
    headers[.init("Referrer-Policy")!] = "no-referrer"
    headers[.init("X-Frame-Options")!] = "DENY"
    switch reply.caching {
    case .checked: headers[.cacheControl] = "no-cache"
    case .never: headers[.cacheControl] = "no-store"
    case .forever: headers[.cacheControl] = "public, max-age=31536000, immutable"
    }
    allow(request.headers[.origin], in: &headers)
    switch reply.body {
    case .stream(let chunks):
      if request.method == .head { return Response(status: reply.status, headers: headers) }
      return Response(
        status: reply.status, headers: headers,
        body: ResponseBody(asyncSequence: chunks.map { ByteBuffer(bytes: $0) }))
    case .whole(let bytes):
      // What an answer depends on, so that no cache gives it to a page or a client that it was not made for.
      headers[.vary] = headers[.vary].map { "\($0), Accept-Encoding" } ?? "Accept-Encoding"
      if reply.status == .ok, reply.caching != .never {
        let tag = EntityTag.of(bytes)
        headers[.eTag] = tag
        if EntityTag.matches(tag, request.headers[.ifNoneMatch]) {
          headers[.contentType] = nil
          return Response(status: .notModified, headers: headers)
        }
      }
      var sent = bytes
      if Gzip.isWorthIt(bytes.count, reply.contentType), Gzip.isAccepted(request.headers[.acceptEncoding]) {
        sent = Gzip.pack(bytes)
        headers[.contentEncoding] = "gzip"
      }
      headers[.contentLength] = String(sent.count)
      let isHead = request.method == .head
      return Response(
        status: reply.status, headers: headers,
        body: isHead ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: sent)))
    }
  }

  private func preflight(_ request: Request, _ path: String) -> Reply {
    guard let origin = request.headers[.origin], corsOrigins.contains(origin) else {
      return Problem(.forbidden, "Pages of other places may not ask here", "Allow them with `--allow-origin`.").reply
    }
    let headers: HTTPFields = [
      .accessControlAllowMethods: "GET, POST, DELETE", .accessControlMaxAge: "600",
      .accessControlAllowHeaders: "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
    ]
    return Reply([], status: .noContent, contentType: "text/plain", headers: headers, caching: .never)
  }

  private func allow(_ origin: String?, in headers: inout HTTPFields) {
    guard let origin, corsOrigins.contains(origin) else { return }
    headers[.accessControlAllowOrigin] = origin
    headers[.vary] = "Origin"
  }
}

/// Requests that are being worked on.
private final class Underway: Sendable {
  private let count = Atomic(0)

  /// Takes a place, unless all are taken.
  func begin(atMost most: Int) -> Bool {
    let taken = count.add(1, ordering: .relaxed).newValue
    if taken <= most { return true }
    end()
    return false
  }

  func end() { count.subtract(1, ordering: .relaxed) }
}
