// What somebody is told: findings of one entity, or how many could not be told of.

import Detection
import Foundation

/// A finding as notifications have it.
struct NotifiedFinding: Codable, Sendable, Hashable {
  var id: String
  var detector: String
  var severity: String
  /// Microseconds since 1970-01-01 00:00 UTC.
  var eventTime: Int64
  var score: Double
  var reason: String

  /// Characters of a reason at most.
  static let mostReason = 500

  var rank: Severity { Severity(rawValue: severity) ?? .info }
}

/// What is sent once, and again until it is taken.
struct AnomalyNotification: Codable, Sendable, Hashable {
  /// The same each time that it is sent: who has it already passes over it.
  var id: String
  /// When it was made, microseconds since 1970-01-01 00:00 UTC.
  var created: Int64
  /// The use case and entity of the findings; nil where it tells of none but how many were held back.
  var useCase: String?
  var key: String?
  /// How many findings there are.
  var count: Int
  /// The first of them, and graver ones in place of some.
  var findings: [NotifiedFinding]
  /// Findings that were not told of because of the rate limit, up to now.
  var heldBack: Int
  /// How often it was sent.
  var attempts = 0
  /// When it is sent next.
  var due: Int64
  /// Why it was not taken.
  var trouble: String?

  /// The highest of its findings.
  var severity: Severity { findings.map(\.rank).max() ?? .info }

  /// What it says in one sentence.
  var summary: String {
    guard let useCase, let key else { return "\(heldBack) findings were held back by the rate limit" }
    let detectors = Set(findings.map(\.detector)).sorted().joined(separator: ", ")
    let what = count == 1 ? findings.first?.reason ?? detectors : "\(count) findings (\(detectors))"
    return "\(severity.rawValue): \(what) on \(key) in \(useCase)"
  }
}

/// A notification that was given up.
struct GivenUp: Codable, Sendable, Hashable {
  var notification: AnomalyNotification
  var at: Int64
}
