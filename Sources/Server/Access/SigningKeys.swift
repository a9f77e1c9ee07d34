// The public keys of an identity provider (JWKS, RFC 7517), each for one algorithm. A key that may sign in several ways is
// there once for each, so that what a token says of itself chooses among them and never how one of them is used: nothing
// symmetric can be among them, and a public key is never taken for the secret of an HMAC.

import Foundation
import JWTKit

/// Keys by the name and algorithm that tokens give.
struct SigningKeys: Sendable {
  /// What a token says of its signature.
  struct Name: Sendable, Hashable {
    var key: String
    var algorithm: String
  }

  /// Algorithms that are taken: all asymmetric.
  static let algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]

  private var keys: [Name: JWTKeyCollection] = [:]

  var isEmpty: Bool { keys.isEmpty }

  subscript(name: Name) -> JWTKeyCollection? { keys[name] }

  func contains(key: String) -> Bool { keys.keys.contains { $0.key == key } }

  /// Reads a set. What is no key for signatures, or of a kind that is not taken (symmetric, RSA below 2048 bits), is left
  /// out.
  /// - Throws: where it is no set of keys.
  init(_ bytes: [UInt8]) async throws {
    let set = try JSONDecoder().decode(KeySet.self, from: Data(bytes))
    for key in set.keys.compactMap(\.key) {
      guard let identifier = key.keyIdentifier else { continue }
      for algorithm in Self.algorithms(of: key) {
        var one = key
        one.algorithm = algorithm
        // Of a pair only the public half is of use.
        (one.privateExponent, one.prime1, one.prime2) = (nil, nil, nil)
        guard let collection = try? await JWTKeyCollection().add(jwk: one) else { continue }
        keys[Name(key: identifier.string, algorithm: algorithm.rawValue)] = collection
      }
    }
  }

  private static func algorithms(of key: JWK) -> [JWK.Algorithm] {
    var fitting: [JWK.Algorithm] = []
    if key.keyType == .rsa { fitting = [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512] }
    if key.keyType == .octetKeyPair { fitting = [.eddsa] }
    if key.keyType == .ecdsa {
      switch key.curve?.rawValue {
      case "P-256": fitting = [.es256]
      case "P-384": fitting = [.es384]
      case "P-521": fitting = [.es512]
      default: break
      }
    }
    guard let named = key.algorithm else { return fitting }
    return fitting.contains(named) ? [named] : []
  }

  private struct KeySet: Decodable { var keys: [ListedKey] }

  /// A key, unless it is of a kind that is not known or not for signatures.
  private struct ListedKey: Decodable {
    var key: JWK?

    private enum Member: String, CodingKey { case use }

    init(from decoder: any Decoder) throws {
      let use = try decoder.container(keyedBy: Member.self).decodeIfPresent(String.self, forKey: .use)
      guard use == nil || use == "sig" else { return }
      key = try? JWK(from: decoder)
    }
  }
}
