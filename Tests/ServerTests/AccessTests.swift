// Who may do what.

import Detection
import HTTPTypes
import Testing

@testable import Server

@Suite("Access", .timeLimit(.minutes(15)))
struct AccessTests {
  private static let reader = String(repeating: "r", count: 40)
  private static let writer = String(repeating: "w", count: 40)
  private static let tokens = """
    # name role token
    grafana read \(reader)
    shop write \(writer) other
    """
  private static let target = "/api/v1/use-cases/redset/anomalies"

  private static func bearer(_ token: String) -> HTTPFields { [.authorization: "Bearer \(token)"] }

  @Test("without tokens whoever is at the machine may do everything, and pages of other places may not write")
  func local() async throws {
    let served = try await ServedFixture(events: 20_000)
    let id = try #require(try await served.get(Self.target).json["items"]?.array?.first?["id"]?.string)
    let feedback = "\(Self.target)/\(ServedFixture.escaped(id))/feedback"
    let body = #"{"verdict":"confirmed"}"#
    #expect(try await served.post(feedback, body).status == 200)
    #expect(try await served.post(feedback, body, [.origin: "http://localhost:8507"]).status == 200)
    #expect(try await served.post(feedback, body, [.origin: "https://evil.example"]).status == 403)
    let rebound = try await served.ask(.get, Self.target, authority: "evil.example")
    #expect(rebound.status == 421 && rebound.text.contains("localhost"))
    #expect(try await served.ask(.get, Self.target, authority: "[::1]:8507").status == 200)
    #expect(try await served.ask(.get, Self.target, authority: nil).status == 421)
  }

  @Test("with tokens whatever writes needs one, of the right role and use case")
  func tokens() async throws {
    let served = try await ServedFixture(events: 20_000, tokens: Self.tokens, isLocal: false)
    let list = try await served.get(Self.target)
    #expect(list.status == 200)
    let id = try #require(try list.json["items"]?.array?.first?["id"]?.string)
    let feedback = "\(Self.target)/\(ServedFixture.escaped(id))/feedback"
    let body = #"{"verdict":"confirmed"}"#
    let refused = try await served.post(feedback, body)
    #expect(refused.status == 401 && refused.headers[.wwwAuthenticate] == "Bearer")
    #expect(try await served.post(feedback, body, Self.bearer(Self.reader)).status == 403)
    #expect(try await served.post(feedback, body, Self.bearer("guess")).status == 401)
    #expect(try await served.post(feedback, body, [.authorization: "Basic x"]).status == 401)
    // A token of another use case does not even learn that this one is there.
    #expect(try await served.post(feedback, body, Self.bearer(Self.writer)).status == 404)
    #expect(try await served.get(Self.target, Self.bearer(Self.writer)).status == 404)
    #expect(try await served.get("/api/v1/use-cases", Self.bearer(Self.writer)).json["items"]?.array?.isEmpty == true)
  }

  @Test("reading needs a token where that is asked for, health and the page do not")
  func closed() async throws {
    let served = try await ServedFixture(events: 2_000, tokens: Self.tokens, isLocal: false, isReadingClosed: true)
    #expect(try await served.get(Self.target).status == 401)
    #expect(try await served.get(Self.target, Self.bearer(Self.reader)).status == 200)
    for open in ["/healthz", "/readyz", "/", "/docs", "/openapi.json"] {
      #expect(try await served.get(open).status == 200, "\(open)")
    }
  }

  @Test("who asks too often waits, others do not")
  func rate() async throws {
    var limits = RequestLimits()
    // So slow that no room comes while the test runs.
    (limits.perSecond, limits.burst) = (0.01, 5)
    let served = try await ServedFixture(events: 2_000, limits: limits)
    for _ in 0..<5 { #expect(try await served.get("/healthz").status == 200) }
    let refused = try await served.get("/healthz")
    let seconds = try #require(refused.headers[.retryAfter].flatMap { Int($0) })
    #expect(refused.status == 429 && seconds > 1 && seconds <= 100)
    #expect(try await served.ask(.get, "/healthz", client: "10.0.0.1").status == 200)
  }

  @Test("what is refused counts: tokens are not guessed at any speed, and a clock that is put back blocks nobody")
  func guesses() async throws {
    var limits = RequestLimits()
    (limits.refusedPerSecond, limits.refusedBurst) = (0.01, 5)
    let served = try await ServedFixture(events: 2_000, tokens: Self.tokens, limits: limits)
    for _ in 0..<5 { #expect(try await served.get(Self.target, Self.bearer("guess")).status == 401) }
    #expect(try await served.get(Self.target, Self.bearer("guess")).status == 429)
    let rate = RequestRate(perSecond: 1, burst: 2)
    #expect(rate.take("a", at: 1_000) == nil)
    #expect(rate.take("a", at: 10) == nil)
    #expect(rate.take("a", at: 10) == 1)
    #expect(rate.wait("a", at: 10) == 1 && rate.wait("a", at: 11) == nil && rate.wait("b", at: 10) == nil)
    #expect(rate.take("a", at: 12) == nil)
  }

  @Test("a right token among guesses does not show itself, and who had one goes on")
  func guessesAroundRightOne() async throws {
    var limits = RequestLimits()
    (limits.refusedPerSecond, limits.refusedBurst) = (0.01, 5)
    let served = try await ServedFixture(
      events: 2_000, tokens: "\(Self.tokens)\nops read \(String(repeating: "o", count: 40))", limits: limits)
    func status(_ token: String, _ client: String = "10.0.0.1") async throws -> Int {
      try await served.ask(.get, Self.target, headers: Self.bearer(token), client: client).status
    }
    #expect(try await status(Self.reader) == 200)
    for number in 0..<5 { #expect(try await status("guess \(number)") == 401) }
    let found = String(repeating: "o", count: 40)
    #expect(try await status("guess 5") == 429)
    #expect(try await status(found) == 429)
    #expect(try await status(Self.reader) == 200)
    #expect(try await status(found, "10.0.0.2") == 200)
    // What needs no token is not about guesses.
    #expect(try await served.ask(.get, "/healthz", client: "10.0.0.1").status == 200)
  }

  @Test("who is not known learns from /readyz whether, and no names")
  func readiness() async throws {
    let closed = try await ServedFixture(events: 2_000, tokens: Self.tokens, isLocal: false, isReadingClosed: true)
    #expect(try await closed.get("/readyz").json["checks"]?.array?.isEmpty == true)
    #expect(try await closed.get("/readyz", Self.bearer(Self.reader)).json["checks"]?.array?.isEmpty == false)
  }

  @Test("pages of other places may read where that is configured, and nowhere else")
  func cors() async throws {
    let origin = "https://board.example"
    let served = try await ServedFixture(events: 2_000, corsOrigins: [origin])
    #expect(try await served.get(Self.target, [.origin: origin]).headers[.accessControlAllowOrigin] == origin)
    #expect(try await served.get(Self.target, [.origin: "https://x.example"]).headers[.accessControlAllowOrigin] == nil)
    #expect(try await served.ask(.options, Self.target, headers: [.origin: origin]).status == 204)
    #expect(try await served.ask(.options, Self.target, headers: [.origin: "https://x.example"]).status == 403)
  }

  @Test(
    "a file of tokens that is wrong is refused with its line",
    arguments: [
      ("a read", "expected a name, a role, a token"), ("a reed \(reader)", "did you mean `read`?"),
      ("a read short", "at least 32 characters"), ("a read sha256:12", "64 digits"),
      ("a read \(reader)\nb admin \(reader)", "is there twice"),
    ])
  func wrongTokens(_ text: String, _ words: String) {
    let error = #expect(throws: OperatingError.self) { try AccessTokens(text: text, path: "t") }
    #expect(error?.description.contains(words) == true, "\(String(describing: error))")
  }

  @Test("a token may be given by its hash")
  func hashed() throws {
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    let tokens = try AccessTokens(text: "t admin sha256:\(hash)\n", path: "t")
    #expect(tokens.principal(of: "test") == Principal(name: "t", role: .admin))
    #expect(tokens.principal(of: "Test") == nil)
  }
}
