// TLS: a certificate chain and its key from files, and connections that use what is in the files now. A certificate is
// renewed while the server goes on: connections that are there keep the old one, new ones get the new one.

public import Detection
import Foundation
import HummingbirdCore
public import Logging
import NIOCore
import NIOSSL
import Pipeline
public import ServiceLifecycle
import Synchronization

/// A certificate chain and its key.
public final class TLSCertificate: Service {
  private struct Files: Sendable, Equatable {
    var certificate: [UInt8]
    var key: [UInt8]
  }

  private struct State: Sendable {
    /// As they were looked at last, used or not.
    var files: Files
    var context: NIOSSLContext
  }

  private let certificate: String
  private let key: String
  private let interval: Double
  private let logger: Logger
  private let state: Mutex<State>

  /// - Parameters:
  ///   - certificate: a file with the certificate and those that lead from it to one that clients know, in PEM.
  ///   - key: a file with the private key, in PEM and without a passphrase.
  ///   - interval: seconds between looks at the files.
  /// - Throws: `OperatingError` where a file cannot be read or is wrong, or they do not belong together.
  public init(
    certificate: String, key: String, interval: Double = 10, logger: Logger
  ) throws(OperatingError) {
    (self.certificate, self.key, self.interval, self.logger) = (certificate, key, interval, logger)
    let files = try Self.read(certificate, key)
    state = Mutex(State(files: files, context: try Self.context(files, certificate, key)))
  }

  /// What a new connection uses.
  var context: NIOSSLContext { state.withLock { $0.context } }

  public func run() async throws {
    await cancelWhenGracefulShutdown {
      while (try? await Task.sleep(for: .seconds(self.interval))) != nil { await self.look() }
    }
  }

  /// Takes what is in the files now. What is wrong with them is said once, and what was right goes on.
  private func look() async {
    do {
      let (certificate, key) = (certificate, key)
      let files = try await blocking { try Self.read(certificate, key) }
      guard state.withLock({ $0.files != files }) else { return }
      state.withLock { $0.files = files }
      let context = try Self.context(files, certificate, key)
      state.withLock { $0.context = context }
      logger.info("the certificate was read anew", metadata: ["certificate": "\(certificate)"])
    } catch {
      if !Task.isCancelled { logger.error("the certificate stays as it was: \(error)") }
    }
  }

  private static func read(_ certificate: String, _ key: String) throws(OperatingError) -> Files {
    func bytes(_ path: String, _ what: String) throws(OperatingError) -> [UInt8] {
      do { return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) } catch {
        throw OperatingError(.configuration, "the \(what) \(path) cannot be read: \(systemReason(error))")
      }
    }
    return Files(certificate: try bytes(certificate, "certificate chain"), key: try bytes(key, "key"))
  }

  private static func context(
    _ files: Files, _ certificate: String, _ key: String
  ) throws(OperatingError) -> NIOSSLContext {
    func wrong(_ message: String) -> OperatingError { OperatingError(.configuration, message) }
    guard let chain = try? NIOSSLCertificate.fromPEMBytes(files.certificate), !chain.isEmpty else {
      throw wrong("the certificate chain \(certificate) is none: expected certificates in PEM")
    }
    guard let own = try? NIOSSLPrivateKey(bytes: files.key, format: .pem) else {
      throw wrong("the key \(key) is none: expected a private key in PEM, without a passphrase")
    }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(own))
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    do { return try NIOSSLContext(configuration: configuration) } catch {
      throw wrong("the key \(key) does not belong to the first certificate of \(certificate)")
    }
  }
}

/// Connections of HTTP over TLS.
struct TLSChannel<Base: ServerChildChannel>: ServerChildChannel {
  let base: Base
  let certificate: TLSCertificate

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
    channel.eventLoop.makeCompletedFuture {
      try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: certificate.context))
    }.flatMap { base.setup(channel: channel, logger: logger) }
  }

  func handle(value: Base.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
