// Tokens that are listed in a file, one a line: a name for the audit trail, a role, the token or its hash, and the use cases
// that it is for (all where none is named). Behind `#` are remarks.
//
//   grafana  read   sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//   shop     write  vZ2kQ7…                                orders,payments
//
// Of a token that is given as a hash (`printf %s "$TOKEN" | sha256sum`) only that is in the file. Tokens are looked up by
// their hash, so how long a look takes says nothing about how much of a token was right.

import Crypto
public import Detection
import Foundation

/// Tokens and who has them.
public struct AccessTokens: Sendable {
  /// Characters of a token at least: 32 of them from 64 are not guessed.
  static let leastCharacters = 32

  private var principals: [[UInt8]: Principal] = [:]

  /// No tokens.
  public init() {}

  public var isEmpty: Bool { principals.isEmpty }

  /// Reads a file of tokens.
  /// - Throws: `OperatingError` where it cannot be read, is wrong, or can be read by others than its owner.
  public init(path: String) throws(OperatingError) {
    let text = try SecretFile.read(path, as: "the file of tokens")
    try self.init(text: text, path: path)
    // Without tokens a server on this machine trusts everybody: that is not what somebody wants who names a file of them.
    if isEmpty { throw OperatingError(.configuration, "the file of tokens \(path) has no token") }
  }

  /// - Throws: `OperatingError` where the text is wrong.
  init(text: String, path: String) throws(OperatingError) {
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map(String.init)
      if words.isEmpty { continue }
      func wrong(_ message: String) -> OperatingError {
        OperatingError(.configuration, "\(path):\(number + 1): \(message)")
      }
      guard words.count == 3 || words.count == 4 else {
        throw wrong("expected a name, a role, a token and perhaps use cases, found \(words.count) words")
      }
      guard let role = Role(rawValue: words[1]) else {
        let roles = Role.allCases.map(\.rawValue)
        let near = nearest(to: words[1], among: roles).map { "; did you mean `\($0)`?" } ?? ""
        throw wrong("expected a role (\(roles.joined(separator: ", "))), found `\(words[1].prefix(40))`\(near)")
      }
      guard let hash = Self.hash(ofEntry: words[2]) else {
        throw wrong("expected a token of at least \(Self.leastCharacters) characters, or sha256: and 64 digits")
      }
      let useCases = words.count == 4 ? Set(words[3].split(separator: ",").map(String.init)) : nil
      let principal = Principal(name: words[0], role: role, useCases: useCases)
      guard principals.updateValue(principal, forKey: hash) == nil else { throw wrong("this token is there twice") }
    }
  }

  /// Who has a token; nil where nobody has.
  func principal(of token: String) -> Principal? { principals[Self.hash(token)] }

  private static func hash(_ token: String) -> [UInt8] { Array(SHA256.hash(data: Array(token.utf8))) }

  private static func hash(ofEntry entry: String) -> [UInt8]? {
    guard entry.hasPrefix("sha256:") else { return entry.utf8.count >= leastCharacters ? hash(entry) : nil }
    let digits = Array(entry.utf8.dropFirst("sha256:".utf8.count))
    guard digits.count == 64 else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: 64, by: 2) {
      guard let byte = UInt8(String(decoding: digits[start..<start + 2], as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}
