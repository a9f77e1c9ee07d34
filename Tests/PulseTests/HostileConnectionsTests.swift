// Connections that mean harm, over real sockets: the server answers or hangs up, and goes on to serve others.

import Foundation
import TestKit
import Testing

@Suite("Hostile connections", .timeLimit(.minutes(10)))
struct HostileConnectionsTests {
  /// A server over a small store.
  private struct Server {
    let folder: TestFolder
    let running: RunningCommand
    let port: Int

    init() throws {
      folder = try Trail.folder()
      try folder.write("events.ndjson", Trail.events(0..<500))
      try Trail.run(folder, "events.ndjson").expect(0)
      let running = try PulseCommand.start("serve", "--data", folder / "data", "--port", "0")
      self.running = running
      port = try ServeCommandTests.port { running.output }
    }

    /// Whether it still answers.
    func isWell() throws -> Bool {
      let socket = try LoopbackSocket(port: port)
      socket.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
      return socket.receive().hasPrefix("HTTP/1.1 200")
    }

    func end() throws {
      running.send(SIGTERM)
      try running.wait().expect(0)
    }
  }

  private static let target = "/api/v1/use-cases/trail/events"

  @Test("one request is never read as two, whatever its headers say of its length")
  func smuggling() throws {
    let server = try Server()
    let hidden = "GET /api/v1/use-cases HTTP/1.1\r\nHost: localhost\r\n\r\n"
    let heads = [
      "Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4",
      "Content-Length: 4\r\nContent-Length: 40", "Content-Length: +4", "Content-Length: 4, 40", "Content-Length: 0x4",
      "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\u{0B}chunked",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Content-Length: -1",
      "X: a\r\n b: c\r\nContent-Length: 4",
    ]
    for head in heads {
      let socket = try LoopbackSocket(port: server.port)
      socket.send(
        "POST \(Self.target) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\(head)\r\n\r\n0\r\n\r\n\(hidden)"
      )
      socket.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
      let answer = socket.receive()
      // What was hidden would be answered with the list of use cases.
      #expect(!answer.contains("\"name\":\"trail\""), "\(head): \(answer)")
      #expect(try server.isWell(), "\(head)")
    }
    try server.end()
  }

  @Test("heads without end, lines without sense and bodies that do not come are let go")
  func nonsense() throws {
    let server = try Server()
    let long = String(repeating: "a", count: 200_000)
    for text in [
      "GET / HTTP/1.1\r\nX: \(long)\r\n\r\n", "GET /\(long) HTTP/1.1\r\n\r\n", long, "\r\n\r\n\r\n",
      "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}",
      "GET / HTTP/9.9\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\n" + (0..<5_000).map { "X-\($0): y\r\n" }.joined() + "\r\n",
      "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    ] {
      let socket = try LoopbackSocket(port: server.port)
      socket.send(text)
      socket.send("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
      let answer = socket.receive()
      #expect(!answer.contains("HTTP/1.1 5"), "\(text.prefix(60)): \(answer.prefix(200))")
      #expect(try server.isWell(), "\(text.prefix(60))")
    }
    try server.end()
  }

  @Test("what is too large to be read as a request is answered with a problem, and its connection ends")
  func tooLarge() throws {
    let server = try Server()
    let long = String(repeating: "a", count: 140_000)
    let address = "/api/v1/use-cases/trail/anomalies?entities="
    let many = (0..<200).map { "X-\($0): y\r\n" }.joined()
    let before = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for (text, status, detail) in [
      ("GET \(address)\(long) HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "At most 8192 bytes."),
      // It answers before the line has an end, and reads on, so that the answer is not lost.
      ("GET \(address)\(String(repeating: long, count: 20))", 414, "At most 8192 bytes."),
      ("GET \(address)1 HTTP/1.1\r\nHost: localhost\r\nX: \(long)\r\n\r\n", 431, "At most 100 headers"),
      ("GET \(address)1 HTTP/1.1\r\nHost: localhost\r\n\(many)\r\n", 431, "At most 100 headers"),
      ("GET\r\n\r\n", 400, "It cannot be read"), ("GET / HTTP/9.9\r\n\r\n", 400, ""),
      // The request before it is answered as ever.
      ("\(before)GET \(address)\(long) HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "At most 8192 bytes."),
    ] {
      let socket = try LoopbackSocket(port: server.port)
      socket.send(text)
      var answer = socket.receive()
      if text.hasPrefix(before) {
        #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer.prefix(500))")
        answer = try String(answer[#require(answer.range(of: "HTTP/1.1 4")).lowerBound...])
      }
      let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1)
      try #require(parts.count == 2, "\(text.prefix(60)): \(answer.prefix(500))")
      let head = parts[0].lowercased()
      #expect(head.hasPrefix("http/1.1 \(status) "), "\(text.prefix(60)): \(answer.prefix(500))")
      #expect(head.contains("\r\ncontent-type: application/problem+json") && head.contains("\r\nconnection: close"))
      let problem = try #require(try JSONSerialization.jsonObject(with: Data(parts[1].utf8)) as? [String: Any])
      #expect(problem["status"] as? Int == status && problem["title"] as? String != nil, "\(problem)")
      #expect((problem["detail"] as? String)?.hasPrefix(detail) == true, "\(problem)")
      #expect(try server.isWell())
    }
    try server.end()
  }

  @Test("those who hold connections open, and bodies back, keep nobody from being answered")
  func many() throws {
    let server = try Server()
    var held: [LoopbackSocket] = []
    // As many as a test may have open; half of them owe a body.
    for index in 0..<400 {
      let socket = try LoopbackSocket(port: server.port)
      socket.send(
        index % 2 == 0
          ? "GET /api/v1/status HTT"
          : "POST \(Self.target) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n["
      )
      held.append(socket)
    }
    for _ in 0..<20 { #expect(try server.isWell()) }
    withExtendedLifetime(held) {}
    try server.end()
  }
}
