// `pulse serve` and `pulse run --serve`, asked over a socket as a browser asks them.

import Foundation
import TestKit
import Testing

@Suite("Serving", .timeLimit(.minutes(10)))
struct ServeCommandTests {
  /// The port of a server that has said where it listens.
  static func port(_ said: () -> String, _ at: SourceLocation = #_sourceLocation) throws -> Int {
    var port: Int?
    _ = poll(timeout: 60) {
      port = said().firstMatch(of: /The dashboard is at http:\/\/localhost:(\d+)\//).flatMap { Int($0.1) }
      return port != nil
    }
    return try #require(port, "no address was said: \(said())", sourceLocation: at)
  }

  /// What a server answers, with its headers.
  static func ask(
    _ target: String, port: Int, method: String = "GET", body: String = ""
  ) throws -> String {
    let length = body.isEmpty ? "" : "Content-Type: application/json\\r\\nContent-Length: \(body.utf8.count)\\r\\n"
    let request =
      "\(method) \(target) HTTP/1.1\\r\\nHost: localhost:\(port)\\r\\nConnection: close\\r\\n"
      + "\(length)\\r\\n\(body)"
    let outcome = try RunningCommand([
      "/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/\(port) && printf '%b' '\(request)' >&3 && cat <&3",
    ]).wait()
    outcome.expect(0)
    return outcome.output
  }

  @Test("what a run has stored is served, and a signal ends it", arguments: [SIGTERM, SIGINT])
  func served(_ signal: Int32) throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<5000))
    try Trail.run(folder, "events.ndjson").expect(0)
    let running = try PulseCommand.start("serve", "--data", folder / "data", "--port", "0")
    let port = try Self.port { running.output }
    #expect(try Self.ask("/healthz", port: port).hasPrefix("HTTP/1.1 200"))
    let list = try Self.ask("/api/v1/use-cases", port: port)
    #expect(list.contains("\"name\":\"trail\""), "\(list)")
    #expect(try Self.ask("/", port: port).contains("<html"))
    // One who watches is let go when the server stops: their connection has no end of its own.
    let watching = try RunningCommand([
      "/bin/bash", "-c",
      "exec 3<>/dev/tcp/127.0.0.1/\(port) && printf 'GET /api/v1/use-cases/trail/stream HTTP/1.1\\r\\n"
        + "Host: localhost\\r\\n\\r\\n' >&3 && cat <&3",
    ])
    #expect(poll { watching.output.contains("event: status") })
    // A port that is taken is said, and so is what to do.
    try PulseCommand.run("serve", "--data", folder / "data", "--port", String(port)).expect(
      2, saying: "the port is taken", "--port")
    running.send(signal)
    try running.wait().expect(0)
    try watching.wait().expect(0)
  }

  @Test("a run serves what it does, ends with its input, and stores what it would have stored")
  func run() throws {
    let events = Trail.events(0..<5000)
    let folder = try Trail.folder()
    try folder.write("events.ndjson", events)
    let running = try Trail.start(folder, "events.ndjson", more: ["--serve", "--port", "0", "--follow"])
    let port = try Self.port { running.errors }
    let isThere = try poll { try Self.ask("/api/v1/use-cases/trail/status", port: port).contains("\"records\":5000") }
    let status = try Self.ask("/api/v1/use-cases/trail/status", port: port)
    #expect(isThere, "\(status)")
    running.send(SIGTERM)
    try running.wait().expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(events)) == [])
  }

  /// What a server answers, as JSON.
  private static func object(_ target: String, port: Int) throws -> [String: Any] {
    let answer = try ask(target, port: port)
    let body = try #require(answer.range(of: "\r\n\r\n").map { answer[$0.upperBound...] }, "\(answer)")
    return try #require(
      try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any], "\(answer.prefix(2_000))")
  }

  @Test(
    "models are shown, and an anomaly is scored again with what adds up to it",
    .enabled(if: Need.lightGBM, "needs LightGBM"))
  func models() throws {
    let folder = try Jobs.folder(Jobs.events(0..<4_000))
    try Jobs.run(folder)
    try Jobs.train(folder).expect(0)
    try folder.append("events.ndjson", Jobs.events(4_000..<6_000))
    try Jobs.run(folder)
    let anomaly = try #require(try Jobs.anomalies(folder, of: "slow").first)
    let running = try PulseCommand.start("serve", "--data", folder / "data", "--port", "0")
    let port = try Self.port { running.output }
    let useCase = "/api/v1/use-cases/jobs"
    #expect(poll { (try? Self.ask("/readyz", port: port).hasPrefix("HTTP/1.1 200")) == true })
    let id = try #require(
      (anomaly["id"] as? String)?.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
    let described = try Self.object(useCase, port: port)
    let found = try Self.object("\(useCase)/anomalies/\(id)", port: port)
    #expect(found["configuration"] as? String == described["configuration"] as? String)
    #expect((found["configuration"] as? String)?.count == 12)
    let explained = try Self.object("\(useCase)/anomalies/\(id)/explanation", port: port)
    #expect(explained["is_same"] as? Bool == true && explained["scale"] as? String == "log1p", "\(explained)")
    // What the contributions add up to is the logarithm of what was expected.
    let fields = try #require(explained["fields"] as? [[String: Any]])
    let sum = fields.reduce(explained["base"] as? Double ?? .nan) { $0 + ($1["contribution"] as? Double ?? .nan) }
    #expect(abs(sum - log1p(explained["expected"] as? Double ?? .nan)) < 1e-6, "\(explained)")
    let distribution = try Self.object("\(useCase)/anomalies/\(id)/distribution", port: port)
    #expect((distribution["bins"] as? [Any])?.isEmpty == false, "\(distribution)")
    let models = try #require(try Self.object("\(useCase)/models", port: port)["items"] as? [[String: Any]])
    #expect(Set(models.compactMap { $0["detector"] as? String }) == ["slow", "odd"])
    for model in models {
      let champion = try #require(model["champion"] as? String)
      #expect(champion == (model["versions"] as? [[String: Any]])?.last?["version"] as? String)
      let detector = try #require(model["detector"] as? String)
      let compared = try Self.object("\(useCase)/models/\(detector)/compare?first=\(champion)", port: port)
      #expect((compared["differences"] as? [Any])?.isEmpty == true, "\(compared)")
    }
    running.send(SIGTERM)
    try running.wait().expect(0)
  }

  @Test("the configuration says how a server listens, and flags go before it")
  func configured() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<100))
    try Trail.run(folder, "events.ndjson").expect(0)
    let token = String(repeating: "t", count: 40)
    try folder.write("tokens", "ada read \(token)\n")
    chmod(folder / "tokens", 0o600)
    let config = try folder.write(
      "server.yaml",
      """
      store: {path: \(folder / "data")}
      server: {port: 1, closed: true, tokens: \(folder / "tokens")}
      """)
    let running = try PulseCommand.start("serve", "--config", config, "--port", "0")
    let port = try Self.port { running.output }
    #expect(try Self.ask("/api/v1/use-cases", port: port).hasPrefix("HTTP/1.1 401"))
    #expect(try Self.ask("/healthz", port: port).hasPrefix("HTTP/1.1 200"))
    running.send(SIGTERM)
    try running.wait().expect(0)
    func refused(_ section: String, _ words: String, at: SourceLocation = #_sourceLocation) throws {
      let config = try folder.write("wrong.yaml", "store: {path: \(folder / "data")}\n\(section)\n")
      try PulseCommand.run("serve", "--config", config, "--port", "0").expect(2, saying: words, at: at)
      // A run is refused before it touches anything.
      let arguments = Trail.arguments(folder, ["events.ndjson"]) + ["--config", config, "--serve", "--port", "0"]
      try PulseCommand.run(arguments).expect(2, saying: words, at: at)
    }
    let chain = try folder.write("chain.pem", "none")
    try refused("server: {tls: {certificate: \(chain)}}", "`server.tls.key` is missing")
    try refused("server: {tls: {certificate: \(chain), key: \(chain)}}", "expected certificates in PEM")
    try refused("server: {jwt: {issuer: 'https://id.example'}}", "server.jwt.audience")
    try refused("server: {tokens: \(folder / "none")}", "the file of tokens")
    try refused("notifications: [{name: a, type: slack, secret_env: NO_SUCH}]", "the variable NO_SUCH is not set")
  }

  @Test("what cannot be served is said")
  func refused() throws {
    let folder = try Trail.folder()
    try PulseCommand.run("serve", "--data", folder / "nothing").expect(4, saying: "there is no data directory")
    try PulseCommand.run("serve").expect(64, saying: "--data")
    try PulseCommand.run("serve", "--data", folder.path, "--port", "70000").expect(64, saying: "0 to 65535")
    try PulseCommand.run("serve", "--data", folder.path, "--tokens", folder / "none").expect(2, saying: "none")
    try folder.write("events.ndjson", Trail.events(0..<10))
    let arguments = Trail.arguments(folder, ["events.ndjson"])
    try PulseCommand.run(arguments + ["--port", "0"]).expect(64, saying: "--serve")
  }
}
