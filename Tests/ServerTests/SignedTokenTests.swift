// Tokens of an identity provider: which are taken, and what those that are not are told.

import Configuration
import Crypto
import CryptoExtras
import Detection
import Foundation
import HTTPTypes
import JWTKit
import Logging
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Server

/// An identity provider with a key of its own.
struct TestProvider {
  let folder: TestFolder
  let elliptic = ES256PrivateKey()
  let name: String

  static let issuer = "https://id.example"

  init(_ name: String = "k1") throws {
    folder = try TestFolder()
    self.name = name
  }

  private static func url(_ base64: String) -> String {
    base64.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }

  /// Its public key as a member of a set.
  var key: String {
    get throws {
      let parts = try #require(elliptic.publicKey.parameters)
      let (x, y) = (Self.url(parts.x), Self.url(parts.y))
      return #"{"kty":"EC","crv":"P-256","use":"sig","kid":"\#(name)","x":"\#(x)","y":"\#(y)"}"#
    }
  }

  var set: String { get throws { try #"{"keys":[\#(key)]}"# } }

  /// What the server is told of it.
  func configuration(keys: String? = nil) throws -> ServerConfiguration.Provider {
    var provider = ServerConfiguration.Provider()
    (provider.issuer, provider.audience) = (Self.issuer, ["pulse"])
    provider.keys = try keys ?? folder.write("keys.json", set)
    provider.useCasesClaim = "pulse.use_cases"
    provider.roleClaim = "realm_access.roles"
    provider.roles = ["read": ["viewer"], "write": ["operator"], "admin": ["owner"]]
    return provider
  }

  /// Claims that are right, with what a test changes; nil leaves one out.
  static func claims(_ changes: [String: JSONValue?] = [:]) -> Claims {
    let now = Int64(Date().timeIntervalSince1970)
    let right: [String: JSONValue?] = [
      "iss": .string(issuer), "aud": .array([.string("other"), .string("pulse")]), "sub": .string("ada"),
      "exp": .integer(now + 300), "nbf": .integer(now - 300),
      "realm_access": .object(["roles": .array([.string("viewer"), .string("operator")])]),
      "pulse": .object(["use_cases": .array([.string("redset")])]),
    ]
    return Claims(right.merging(changes) { $1 }.compactMapValues { $0 })
  }

  func token(_ changes: [String: JSONValue?] = [:]) async throws -> String {
    let keys = await JWTKeyCollection().add(ecdsa: elliptic, kid: JWKIdentifier(string: name))
    return try await keys.sign(Self.claims(changes), kid: JWKIdentifier(string: name))
  }
}

@Suite("Signed tokens", .timeLimit(.minutes(15)))
struct SignedTokenTests {
  private static let target = "/api/v1/use-cases/redset/anomalies"
  private static func bearer(_ token: String) -> HTTPFields { [.authorization: "Bearer \(token)"] }
  private static func quiet() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

  /// What checks the tokens of a provider, with its keys.
  private static func signed(_ provider: ServerConfiguration.Provider) async throws -> SignedTokens {
    let provider = try IdentityProvider(provider)
    let keys = ProviderKeys(of: provider, logger: quiet())
    try await OutgoingHTTP.lend { client in #expect(await keys.fetch(by: client)) }
    return SignedTokens(provider: provider, keys: keys)
  }

  @Test("a token gives the role and use cases of its claims, and its subject stands in the audit trail")
  func taken() async throws {
    let provider = try TestProvider()
    let served = try await ServedFixture(
      events: 20_000, signed: Self.signed(try provider.configuration()), isLocal: true, isReadingClosed: true)
    // With tokens nobody is trusted for being at the machine.
    #expect(try await served.get(Self.target).status == 401)
    let token = try await provider.token()
    let list = try await served.get(Self.target, Self.bearer(token))
    #expect(list.status == 200)
    let id = try #require(try list.json["items"]?.array?.first?["id"]?.string)
    let feedback = "\(Self.target)/\(ServedFixture.escaped(id))/feedback"
    let given = try await served.post(feedback, #"{"verdict":"confirmed"}"#, Self.bearer(token))
    #expect(try given.json["who"]?.string == "ada", "\(given.text)")
    let audit = try await served.served.store.actions.auditLines(before: nil, limit: 1)
    #expect(audit.first?.line.who == "ada")
    let viewer: [String: JSONValue?] = ["realm_access": .object(["roles": .string("viewer")])]
    let refused = try await served.post(
      feedback, #"{"verdict":"confirmed"}"#, Self.bearer(try await provider.token(viewer)))
    #expect(refused.status == 403 && refused.text.contains("has the role `read`"))
  }

  @Test("what is wrong with a token is said, and it gives nothing")
  func refused() async throws {
    let provider = try TestProvider()
    let served = try await ServedFixture(
      events: 2_000, signed: Self.signed(try provider.configuration()), isLocal: false, isReadingClosed: true)
    let now = Int64(Date().timeIntervalSince1970)
    let cases: [(changes: [String: JSONValue?], status: Int, words: String)] = [
      (["iss": .string("https://evil.example")], 401, "another issuer"), (["iss": nil], 401, "another issuer"),
      (["aud": .string("others")], 401, "another audience"),
      (["aud": .string("pulse others")], 401, "another audience"),
      (["aud": nil], 401, "another audience"), (["exp": .integer(now - 60)], 401, "has expired"),
      (["exp": nil], 401, "no end"), (["exp": .string("later")], 401, "no end"),
      (["nbf": .integer(now + 60)], 401, "not in force yet"), (["sub": nil], 401, "names nobody"),
      (["sub": .string(String(repeating: "x", count: 201))], 401, "names nobody"),
      (["realm_access": nil], 403, "gives a role"),
      (["realm_access": .object(["roles": .string("other")])], 403, "gives a role"),
      (["pulse": .object(["use_cases": .string("payments")])], 404, "no use case"),
      (["pulse": nil], 404, "no use case"),
    ]
    for (changes, status, words) in cases {
      let answer = try await served.get(Self.target, Self.bearer(try await provider.token(changes)))
      #expect(answer.status == status && answer.text.contains(words), "\(changes): \(answer.text)")
      #expect(answer.headers[.contentType] == "application/problem+json")
      #expect(status != 401 || answer.headers[.wwwAuthenticate] == #"Bearer error="invalid_token""#)
    }
    // Clocks may differ a little.
    for changes in [["exp": JSONValue.integer(now - 10)], ["nbf": .integer(now + 10)]] {
      let token = try await provider.token(changes.mapValues { $0 })
      #expect(try await served.get(Self.target, Self.bearer(token)).status == 200)
    }
    let everywhere = try await provider.token(["pulse": .object(["use_cases": .string("*")])])
    #expect(try await served.get(Self.target, Self.bearer(everywhere)).status == 200)
  }

  @Test("a signature counts by a key of the provider, in the way of that key")
  func signatures() async throws {
    let (provider, stranger) = (try TestProvider(), try TestProvider())
    let served = try await ServedFixture(
      events: 2_000, signed: Self.signed(try provider.configuration()), isLocal: false, isReadingClosed: true)
    let claims = TestProvider.claims()
    let kid = JWKIdentifier(string: provider.name)
    // The public key, which everybody knows, as the secret of an HMAC.
    var tokens: [(token: String, words: String)] = []
    for secret in [provider.elliptic.publicKey.pemRepresentation, try provider.key] {
      let symmetric = await JWTKeyCollection().add(
        hmac: HMACKey(from: secret), digestAlgorithm: .sha256, kid: kid)
      tokens.append((try await symmetric.sign(claims, kid: kid), "signed with `HS256`"))
    }
    let right = try await provider.token()
    let parts = right.split(separator: ".").map(String.init)
    func encoded(_ text: String) -> String {
      Data(text.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
    tokens += [
      ("\(encoded(#"{"alg":"none","kid":"k1"}"#)).\(parts[1]).", "signed with `none`"),
      ("\(encoded(#"{"alg":"None","kid":"k1"}"#)).\(parts[1]).x", "signed with `None`"),
      (try await stranger.token(), "signature is not"),
      ("\(parts[0]).\(parts[1]).", "signature"),
      ("\(encoded(#"{"alg":"RS256","kid":"k1"}"#)).\(parts[1]).\(parts[2])", "does not sign with `RS256`"),
      ("\(encoded(#"{"alg":"ES256"}"#)).\(parts[1]).\(parts[2])", "does not name its key"),
      ("\(encoded(#"{"alg":"ES256","kid":"k2"}"#)).\(parts[1]).\(parts[2])", "no key of its name"),
      ("\(encoded(#"{"alg":"ES256","kid":"k1","crit":["b64"]}"#)).\(parts[1]).\(parts[2])", "extensions"),
      ("\(encoded(#"{"kid":"k1"}"#)).\(parts[1]).\(parts[2])", "signed with `nothing`"),
      ("\(encoded("{}")).\(parts[1]).\(parts[2])", "is not known"),
      ("eyJ.\(parts[1]).\(parts[2])", "header cannot be read"),
      ("\(parts[0]).\(encoded(#"{"iss":"https://id.example"}"#)).\(parts[2])", "signature is not"),
      ("no token", "is not known"),
    ]
    for (token, words) in tokens {
      let answer = try await served.get(Self.target, Self.bearer(token))
      #expect(answer.status == 401 && answer.text.contains(words), "\(token.prefix(60)): \(answer.text)")
    }
    #expect(try await served.get(Self.target, Self.bearer(right)).status == 200)
  }

  @Test("an RSA key that does not say how it signs is used as each token says, and keys of other kinds are passed over")
  func keySets() async throws {
    let provider = try TestProvider()
    let pair = try _RSA.Signing.PrivateKey(keySize: .bits2048)
    let own = try Insecure.RSA.PrivateKey(pem: pair.pemRepresentation)
    let parts = try own.publicKey.getKeyPrimitives()
    func url(_ data: Data) -> String {
      data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
    let rsa = #"{"kty":"RSA","kid":"r","n":"\#(url(parts.modulus))","e":"\#(url(parts.publicExponent))"}"#
    let others = [
      #"{"kty":"oct","kid":"s","k":"c2VjcmV0","alg":"HS256"}"#,
      #"{"kty":"RSA","kid":"e","use":"enc","n":"AQAB","e":"AQAB"}"#,
      #"{"kty":"RSA","kid":"short","n":"AQAB","e":"AQAB"}"#, #"{"kty":"new"}"#,
    ]
    let set = #"{"keys":[\#((others + [rsa]).joined(separator: ","))]}"#
    let configuration = try provider.configuration(keys: provider.folder.write("set.json", set))
    let signed = try await Self.signed(configuration)
    let now = Int64(Date().timeIntervalSince1970 * 1e6)
    let kid = JWKIdentifier(string: "r")
    let plain = await JWTKeyCollection().add(rsa: own, digestAlgorithm: .sha256, kid: kid)
    let padded = await JWTKeyCollection().add(pss: own, digestAlgorithm: .sha384, kid: kid)
    // One of the kind that came first does not decide how the key is used afterwards.
    for keys in [padded, plain, padded] {
      let principal = try await signed.principal(of: try await keys.sign(TestProvider.claims(), kid: kid), at: now)
      #expect(principal == Principal(name: "ada", role: .write, useCases: ["redset"]))
    }
    let symmetric = await JWTKeyCollection().add(hmac: "secret", digestAlgorithm: .sha256, kid: "s")
    let forged = try await symmetric.sign(TestProvider.claims(), kid: "s")
    await #expect(throws: Problem.self) { try await signed.principal(of: forged, at: now) }
  }

  @Test(
    "keys are fetched beside the requests: new ones when a token names one, the old ones while the provider is away")
  func fetched() async throws {
    let (old, new) = (try TestProvider("old"), try TestProvider("new"))
    let sets = try [#"{"keys":[\#(old.key)]}"#, #"{"keys":[\#(old.key),\#(new.key)]}"#]
    let reaction: @Sendable (Int, Receiver.Received) -> Receiver.Reaction = { number, _ in
      number < 2 ? Receiver.Reaction(body: sets[number]) : Receiver.Reaction(status: 503)
    }
    try await Receiver.listen(reaction) { receiver in
      let configuration = try old.configuration(keys: receiver.address + "/keys")
      let provider = try IdentityProvider(configuration)
      let keys = ProviderKeys(of: provider, leastPause: 0.05, logger: Self.quiet())
      let signed = SignedTokens(provider: provider, keys: keys)
      let now = Int64(Date().timeIntervalSince1970 * 1e6)
      let (first, second) = (try await old.token(), try await new.token())
      let early = await #expect(throws: Problem.self) { try await signed.principal(of: first, at: now) }
      #expect(early?.status == .serviceUnavailable)
      let fetching = Task { try await keys.run() }
      defer { fetching.cancel() }
      #expect(await eventually { (try? await signed.principal(of: first, at: now)) != nil })
      #expect(receiver.requests.count == 1)
      // The first token with the new key asks for it, and the next ones are taken.
      let unknown = await #expect(throws: Problem.self) { try await signed.principal(of: second, at: now) }
      #expect(unknown?.detail.contains("no key of its name") == true)
      #expect(await eventually { (try? await signed.principal(of: second, at: now)) != nil })
      let before = receiver.requests.count
      // A name that nobody has makes it ask once more; the provider is away, and what was known stays.
      let invented = try await TestProvider("nobody").token()
      await #expect(throws: Problem.self) { try await signed.principal(of: invented, at: now) }
      #expect(await eventually { receiver.requests.count > before && receiver.requests.count > 2 })
      for token in [first, second] { _ = try await signed.principal(of: token, at: now) }
      #expect(receiver.requests.allSatisfy { $0.method == "GET" && $0.path == "/keys" })
    }
  }

  @Test("names that are invented make the server ask no faster than it may")
  func bounded() async throws {
    let provider = try TestProvider()
    let set = try provider.set
    let times = Mutex<[ContinuousClock.Instant]>([])
    let reaction: @Sendable (Int, Receiver.Received) -> Receiver.Reaction = { _, _ in
      times.withLock { $0.append(.now) }
      return Receiver.Reaction(body: set)
    }
    try await Receiver.listen(reaction) { receiver in
      let configuration = try provider.configuration(keys: receiver.address)
      let keys = try ProviderKeys(of: IdentityProvider(configuration), leastPause: 1, logger: Self.quiet())
      let fetching = Task { try await keys.run() }
      defer { fetching.cancel() }
      let known = SigningKeys.Name(key: "k1", algorithm: "ES256")
      #expect(await eventually { if case .found = keys.key(known) { true } else { false } })
      for number in 0..<1_000 { _ = keys.key(SigningKeys.Name(key: "\(number)", algorithm: "ES256")) }
      #expect(await eventually { receiver.requests.count == 2 })
      let asked = times.withLock { $0 }
      #expect(asked.count == 2 && asked[1] - asked[0] > .milliseconds(900))
    }
  }

  @Test("what is missing or wrong in the configuration is said")
  func configured() async throws {
    let (provider, folder) = (try TestProvider(), try TestFolder())
    let right = try provider.configuration()
    func message(_ change: (inout ServerConfiguration.Provider) -> Void) async -> String {
      var changed = right
      change(&changed)
      do {
        try await ProviderKeys(of: try IdentityProvider(changed), logger: Self.quiet()).begin()
        return ""
      } catch { return "\(error)" }
    }
    #expect(await message { _ in }.isEmpty)
    #expect(await message { $0.issuer = nil }.contains("server.jwt.issuer"))
    #expect(await message { $0.audience = [] }.contains("server.jwt.audience"))
    #expect(await message { $0.keys = nil }.contains("server.jwt.keys"))
    #expect(await message { $0.keys = "/no/such/file" }.contains("cannot be read"))
    for (text, words) in [("{}", "no set of keys"), (#"{"keys":[]}"#, "none of them")] {
      try folder.write("keys.json", text)
      #expect(await message { $0.keys = folder / "keys.json" }.contains(words), "\(text)")
    }
    #expect(await message { $0.keys = "http://id.example/keys" }.contains("without TLS"))
    #expect(await message { $0.keys = "ftp://id.example/keys" }.contains("begins with https://"))
    #expect(await message { $0.keys = "https://a:b@id.example/keys" }.contains("secrets come from"))
    withExtendedLifetime(folder) {}
    withExtendedLifetime(provider) {}
  }
}
