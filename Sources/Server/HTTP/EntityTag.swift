// Tags by which a client finds out whether an answer has changed (RFC 9110, section 8.8.3).

import Crypto

/// Entity tags.
enum EntityTag {
  /// The tag of a body, weak since it may be sent packed or not.
  static func of(_ bytes: [UInt8]) -> String {
    let digits = SHA256.hash(data: bytes).prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
    return "W/\"" + digits.joined() + "\""
  }

  /// Whether a client has the answer already.
  /// - Parameter known: what `If-None-Match` says.
  static func matches(_ tag: String, _ known: String?) -> Bool {
    guard let known else { return false }
    return known.split(separator: ",").contains {
      let one = $0.trimmingPrefix { $0 == " " }
      return one == "*" || one.hasPrefix(tag)
    }
  }
}
