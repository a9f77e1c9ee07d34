// Who is told: where that is, how it is said and proven, and what the answer means.

public import Configuration
public import Detection
import Foundation
import Pipeline

/// Somebody who is told of findings.
public struct NotificationSink: Sendable {
  let rules: NotificationState.Rules
  let format: NotificationFormat
  private let kind: NotificationConfiguration.Kind
  private let address: String
  private let signature: WebhookSignature?
  private let bearer: String?
  private let seconds: Double

  var name: String { rules.name }

  /// Where it is, without what is secret in the address.
  var place: String { OutgoingHTTP.place(of: address) }

  /// The name of its place among the changes.
  var outbox: String { "notifications/\(name)" }

  /// Bytes of an answer that are read: what it says is of no use.
  private static let mostAnswer = 64 << 10

  /// - Parameter environment: where secrets may be.
  /// - Throws: `OperatingError` where a secret or address is missing or wrong.
  public init(_ configuration: NotificationConfiguration, environment: [String: String]) throws(OperatingError) {
    func wrong(_ message: String) -> OperatingError {
      OperatingError(.configuration, "the notifications \(configuration.name): \(message)")
    }
    var secret: String?
    switch configuration.secret {
    case nil: break
    case .variable(let name):
      guard let value = environment[name], !value.isEmpty else { throw wrong("the variable \(name) is not set") }
      secret = value
    case .file(let path):
      secret = try SecretFile.read(path, as: "the secret of the notifications \(configuration.name)")
        .trimmingCharacters(in: .whitespacesAndNewlines)
      if secret?.isEmpty == true { throw wrong("the file \(path) is empty") }
    }
    kind = configuration.kind
    seconds = Double(configuration.timeout) / 1e6
    let isAddressSecret = kind == .slack && configuration.url == nil
    guard let given = isAddressSecret ? secret : configuration.url else { throw wrong("there is no address") }
    // What is wrong with a secret is said without it.
    if let problem = OutgoingHTTP.problem(of: given) {
      throw wrong(isAddressSecret ? "the address that is its secret \(problem)" : "`url` \(problem)")
    }
    switch kind {
    case .alertmanager:
      format = .alerts(resolveAfter: configuration.resolveAfter)
      address = (given.hasSuffix("/") ? String(given.dropLast()) : given) + "/api/v2/alerts"
    case .webhook:
      address = given
      format =
        switch configuration.format {
        case .cloudevents: .cloudEvent
        case .alertmanager: .alertGroup(receiver: configuration.name, resolveAfter: configuration.resolveAfter)
        }
    case .slack: (format, address) = (.slack, given)
    }
    signature = kind == .webhook ? secret.map { WebhookSignature(secret: $0) } : nil
    bearer = kind == .alertmanager ? secret : nil
    rules = NotificationState.Rules(
      name: configuration.name, severity: configuration.severity, detectors: configuration.detectors,
      useCases: configuration.useCases, groupWait: configuration.groupWait,
      groupInterval: configuration.groupInterval, perHour: configuration.perHour, attempts: configuration.attempts)
  }

  /// Sends a notification once.
  /// - Parameter now: microseconds since 1970-01-01 00:00 UTC.
  func send(_ notification: AnomalyNotification, by client: OutgoingHTTP, at now: Int64) async
    -> NotificationState.Outcome
  {
    let body = Array(format.body(of: notification).utf8)
    var headers = [(name: "Content-Type", value: format.contentType)]
    if kind == .webhook {
      headers += [("webhook-id", notification.id), ("webhook-timestamp", String(now / 1_000_000))]
      if let signature { headers += signature.headers(id: notification.id, time: now / 1_000_000, body: body) }
    }
    if let bearer { headers.append(("Authorization", "Bearer \(bearer)")) }
    do {
      let answer = try await client.send(
        "POST", address, headers: headers, body: body, seconds: seconds, most: Self.mostAnswer)
      return Self.outcome(of: answer, at: now)
    } catch { return .notTaken(OutgoingHTTP.reason(error), after: nil) }
  }

  /// What an answer means: whether it was taken, may be taken later, or never will.
  static func outcome(of answer: OutgoingHTTP.Answer, at now: Int64) -> NotificationState.Outcome {
    let after = answer.headers["retry-after"].flatMap { retryAfter($0, at: now) }
    return switch answer.status {
    case 200..<300: .taken
    case 300..<400: .refused("it answered with a redirect (\(answer.status)), which is not followed")
    case 408, 425, 429, 500...: .notTaken("it answered with \(answer.status)", after: after)
    default: .refused("it answered with \(answer.status)")
    }
  }

  /// `Retry-After` in microseconds: seconds, or a date (RFC 9110, section 10.2.3); nil where it is neither.
  static func retryAfter(_ text: String, at now: Int64) -> Int64? {
    let longest = NotificationState.longestRetryAfter
    if let seconds = Int64(text) { return seconds < 0 ? nil : min(seconds, longest / 1_000_000) * 1_000_000 }
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "GMT")
    formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    // A year may have any number of digits.
    return formatter.date(from: text).map {
      Int64(min(max(0, $0.timeIntervalSince1970 * 1e6 - Double(now)), Double(longest)))
    }
  }
}
