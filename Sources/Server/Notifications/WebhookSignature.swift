// The signature of what a webhook is sent, by the Standard Webhooks specification (standardwebhooks.com, version 1): an
// HMAC-SHA256 (RFC 2104) of the identity, the time and the body, so that nobody else's message is taken for ours, and none
// of ours for a new one when it is sent again later.

import Crypto
import Foundation

/// Signs what webhooks are sent.
struct WebhookSignature: Sendable {
  private let key: SymmetricKey

  /// - Parameter secret: any text, or `whsec_` and base64.
  init(secret: String) {
    let prefix = "whsec_"
    let bytes = secret.hasPrefix(prefix) ? Data(base64Encoded: String(secret.dropFirst(prefix.count))) : nil
    key = SymmetricKey(data: bytes ?? Data(secret.utf8))
  }

  /// The headers that tell who sent it.
  /// - Parameter time: of this attempt, seconds since 1970-01-01 00:00 UTC.
  func headers(id: String, time: Int64, body: [UInt8]) -> [(name: String, value: String)] {
    let signed = Array("\(id).\(time).".utf8) + body
    let code = HMAC<SHA256>.authenticationCode(for: signed, using: key)
    return [("webhook-signature", "v1,\(Data(code).base64EncodedString())")]
  }
}
