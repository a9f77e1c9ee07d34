// Keeps the keys of an identity provider: fetched beside the requests, again from time to time and when a token names one
// that is not known, though not at the speed at which such tokens come. What was fetched is kept while the provider is away.

import Detection
import Foundation
import JWTKit
import Logging
import Pipeline
import ServiceLifecycle
import Synchronization

/// The keys of an identity provider, as they were last.
final class ProviderKeys: Service {
  enum Lookup: Sendable {
    case found(JWTKeyCollection)
    /// The key is known, and not for this algorithm.
    case otherAlgorithm
    /// It is looked for.
    case unknown
    /// No keys have been fetched yet.
    case notFetched
  }

  /// How long fetches lie apart at least, seconds: whoever invents names of keys has us ask no more often.
  static let leastPause = 10.0
  private static let fetchSeconds = 10.0
  private static let mostBytes = 1 << 20

  private let place: IdentityProvider.Keys
  private let refresh: Double
  private let leastPause: Double
  private let logger: Logger
  private let keys = Mutex<SigningKeys?>(nil)
  private let wanted = ChangeSignal()

  init(of provider: IdentityProvider, leastPause: Double = ProviderKeys.leastPause, logger: Logger) {
    (place, refresh, self.leastPause) = (provider.keys, provider.refresh, leastPause)
    self.logger = logger
  }

  /// Reads keys that are in a file: it is right or it is not, and whoever starts the server is told.
  /// - Throws: `OperatingError` where it cannot be read, or has no keys that are taken.
  func begin() async throws {
    guard case .file(let path) = place else { return }
    do {
      let read = try await SigningKeys(Self.read(path))
      guard !read.isEmpty else { throw OperatingError(.input, Self.none) }
      keys.withLock { $0 = read }
    } catch {
      throw OperatingError(
        .configuration, "the keys of the identity provider \(path) cannot be used: \(Self.reason(error))")
    }
  }

  private static let none = "none of them has a name (`kid`) and is for signatures that are taken"

  /// The key that a token names. One that is not known is looked for soon.
  func key(_ name: SigningKeys.Name) -> Lookup {
    let lookup = keys.withLock { keys -> Lookup in
      guard let keys else { return .notFetched }
      if let found = keys[name] { return .found(found) }
      return keys.contains(key: name.key) ? .otherAlgorithm : .unknown
    }
    if case .unknown = lookup { wanted.announce() }
    return lookup
  }

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      try await OutgoingHTTP.lend { client in
        while !Task.isCancelled {
          let seen = self.wanted.count
          let isFetched = await self.fetch(by: client)
          try? await Task.sleep(for: .seconds(self.leastPause))
          // Where none could be fetched it is tried again soon.
          guard isFetched else { continue }
          await self.wanted.wait(behind: seen, atMost: .seconds(self.refresh))
        }
      }
    }
  }

  /// - Returns: whether there are keys that are as the provider has them.
  func fetch(by client: OutgoingHTTP) async -> Bool {
    do {
      let fetched = try await SigningKeys(bytes(by: client))
      guard !fetched.isEmpty else { throw OperatingError(.input, Self.none) }
      keys.withLock { $0 = fetched }
      return true
    } catch {
      if Task.isCancelled { return false }
      let hasKeys = keys.withLock { $0 != nil }
      logger.warning(
        "the keys of the identity provider could not be read: \(Self.reason(error))",
        metadata: [
          "from": "\(name)",
          "until": "\(hasKeys ? "those that were read before are used" : "its tokens are refused")",
        ])
      return false
    }
  }

  private var name: String {
    switch place {
    case .address(let address): OutgoingHTTP.place(of: address)
    case .file(let path): path
    }
  }

  private static func reason(_ error: any Error) -> String {
    error is DecodingError ? "it is no set of keys (JWKS)" : OutgoingHTTP.reason(error)
  }

  private func bytes(by client: OutgoingHTTP) async throws -> [UInt8] {
    switch place {
    case .file(let path): return try Self.read(path)
    case .address(let address):
      let answer = try await client.send(
        "GET", address, headers: [("Accept", "application/json")], seconds: Self.fetchSeconds, most: Self.mostBytes)
      guard answer.status == 200 else { throw OperatingError(.input, "it answered with \(answer.status)") }
      guard !answer.isCut else { throw OperatingError(.input, "its answer is too large") }
      return answer.body
    }
  }

  private static func read(_ path: String) throws -> [UInt8] {
    do { return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) } catch {
      throw OperatingError(.configuration, "it cannot be read: \(systemReason(error))")
    }
  }
}
