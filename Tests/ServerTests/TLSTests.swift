// HTTP over TLS, by a client that knows the certificate.

import AsyncHTTPClient
import Connectors
import Detection
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import Pipeline
import TestKit
import Testing

@testable import Server

@Suite("TLS", .timeLimit(.minutes(15)))
struct TLSTests {
  /// Writes a certificate and its key.
  private static func write(_ pair: (certificate: String, key: String), to folder: TestFolder) throws {
    try folder.write("chain.pem", pair.certificate)
    try folder.write("key.pem", pair.key)
  }

  private static func quiet() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

  /// Asks for the health of a server by a connection of its own.
  /// - Returns: the status; nil where there is no answer.
  private static func status(
    _ scheme: String, _ port: Int, trusting certificate: String, upTo version: TLSVersion? = nil
  ) async -> Int? {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.trustRoots = (try? NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8))).map { .certificates($0) }
    if let version { (tls.minimumTLSVersion, tls.maximumTLSVersion) = (.tlsv1, version) }
    var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
    configuration.connectionPool.retryConnectionEstablishment = false
    return try? await HTTPClient.withHTTPClient(configuration: configuration) { client in
      let request = HTTPClientRequest(url: "\(scheme)://localhost:\(port)/healthz")
      return Int(try await client.execute(request, timeout: .seconds(20)).status.code)
    }
  }

  /// Calls `body` with the port of a server that has a certificate.
  private static func serve(
    _ folder: TestFolder, interval: Double = 10, logger: Logger = TLSTests.quiet(),
    _ body: @escaping @Sendable (Int) async throws -> Void
  ) async throws {
    _ = try SQLiteActions(in: DataDirectory(path: folder / "data"))
    var options = ServerOptions()
    options.port = 0
    options.certificate = try TLSCertificate(
      certificate: folder / "chain.pem", key: folder / "key.pem", interval: interval, logger: logger)
    let (ports, continuation) = AsyncStream<Int>.makeStream()
    let server = try APIServer(
      [StorePlace(DataDirectory(path: folder / "data"))], options: options, logger: quiet(),
      listening: { continuation.yield($0) })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      defer { group.cancelAll() }
      for await port in ports {
        try await body(port)
        break
      }
    }
  }

  @Test("a client that knows the certificate is answered; plain HTTP and old versions are not, and do no harm")
  func served() async throws {
    let folder = try TestFolder()
    let first = TestCertificates.first
    try Self.write(first, to: folder)
    try await Self.serve(folder) { port in
      #expect(await Self.status("https", port, trusting: first.certificate) == 200)
      for _ in 0..<3 { #expect(await Self.status("http", port, trusting: first.certificate) == nil) }
      #expect(await Self.status("https", port, trusting: first.certificate, upTo: .tlsv11) == nil)
      #expect(await Self.status("https", port, trusting: first.certificate, upTo: .tlsv12) == 200)
      // One that knows another certificate does not go on.
      #expect(await Self.status("https", port, trusting: TestCertificates.second.certificate) == nil)
      #expect(await Self.status("https", port, trusting: first.certificate) == 200)
    }
  }

  @Test("a certificate that is renewed is used without a restart, and one that is damaged is not")
  func renewed() async throws {
    let folder = try TestFolder()
    let (first, second) = (TestCertificates.first, TestCertificates.second)
    try Self.write(first, to: folder)
    let lines = KeptLog.Lines()
    try await Self.serve(folder, interval: 0.05, logger: KeptLog.logger(lines)) { port in
      #expect(await Self.status("https", port, trusting: first.certificate) == 200)
      // Half of the change: the key is still the old one, and the old certificate stays in use.
      try folder.write("chain.pem", second.certificate)
      #expect(await eventually { lines.all.contains { $0.contains("does not belong to") } })
      #expect(await Self.status("https", port, trusting: first.certificate) == 200)
      try folder.write("key.pem", second.key)
      #expect(await eventually { await Self.status("https", port, trusting: second.certificate) == 200 })
      try folder.write("chain.pem", "nothing")
      #expect(await eventually { lines.all.contains { $0.contains("expected certificates in PEM") } })
      // What stays wrong is said once.
      #expect(lines.all.count { $0.contains("does not belong to") } == 1)
      #expect(await Self.status("https", port, trusting: second.certificate) == 200)
    }
  }

  @Test("what is wrong with the files is said in a sentence")
  func wrong() throws {
    let folder = try TestFolder()
    try Self.write(TestCertificates.first, to: folder)
    try folder.write("other.pem", TestCertificates.second.key)
    try folder.write("text", "text")
    func message(_ certificate: String, _ key: String) -> String {
      do {
        _ = try TLSCertificate(certificate: folder / certificate, key: folder / key, logger: Self.quiet())
        return ""
      } catch { return error.description }
    }
    #expect(message("chain.pem", "key.pem").isEmpty)
    #expect(message("none", "key.pem").contains("the certificate chain \(folder / "none") cannot be read"))
    #expect(message("chain.pem", "none").contains("the key \(folder / "none") cannot be read"))
    #expect(message("text", "key.pem").contains("expected certificates in PEM"))
    #expect(message("chain.pem", "text").contains("expected a private key in PEM"))
    #expect(message("chain.pem", "other.pem").contains("does not belong to the first certificate"))
  }

  @Test("whoever listens beyond this machine without TLS is warned")
  func warned() throws {
    let folder = try TestFolder()
    try Self.write(TestCertificates.first, to: folder)
    _ = try SQLiteActions(in: DataDirectory(path: folder / "data"))
    func said(_ host: String, isSecure: Bool) throws -> [String] {
      var options = ServerOptions()
      options.host = host
      if isSecure {
        options.certificate = try TLSCertificate(
          certificate: folder / "chain.pem", key: folder / "key.pem", logger: Self.quiet())
      }
      let lines = KeptLog.Lines()
      _ = try APIServer(
        [StorePlace(DataDirectory(path: folder / "data"))], options: options, logger: KeptLog.logger(lines))
      return lines.all.filter { $0.contains("without TLS") }
    }
    #expect(try said("127.0.0.1", isSecure: false).isEmpty)
    #expect(try said("0.0.0.0", isSecure: true).isEmpty)
    let warning = try said("0.0.0.0", isSecure: false)
    #expect(warning.count == 1 && warning[0].hasPrefix("warning:") && warning[0].contains("--tls-certificate"))
  }
}
