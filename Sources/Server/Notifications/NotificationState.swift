// What a sink is to be told, as a function of the changes, the time and what became of deliveries: findings are gathered by
// entity, become notifications when it is time, and these are sent until they are taken or given up. It does nothing by
// itself, and all of it is kept beside the cursor in the store, so that a restart goes on with the same.

import Crypto
import Detection
import Foundation
import Pipeline

/// What a sink is to be told.
struct NotificationState: Codable, Sendable, Hashable {
  /// How findings are gathered and sent.
  struct Rules: Sendable {
    var name = ""
    var severity = Severity.high
    var detectors: Set<String> = []
    var useCases: Set<String> = []
    /// Microseconds.
    var groupWait: Int64 = 10_000_000
    var groupInterval: Int64 = 300_000_000
    var perHour = 60
    var attempts = 8
    /// 0 to 1, by which the time before the next attempt is drawn.
    var jitter: @Sendable () -> Double = { Double.random(in: 0...1) }
  }

  /// Findings of an entity that nobody was told of yet.
  struct Group: Codable, Sendable, Hashable {
    var useCase: String
    var key: String
    /// When the first of them came.
    var since: Int64
    var count: Int
    /// The first of them, graver ones in place of some, and one of each detector where there is room for that.
    var findings: [NotifiedFinding]
    /// How many of each detector are counted and not kept; nil in what an earlier version of the program has kept.
    var others: [String: Int]?
  }

  /// What came of findings and deliveries, for metrics.
  struct Outcomes: Sendable, Hashable {
    /// Findings.
    var muted = 0
    var heldBack = 0
    /// Attempts.
    var delivered = 0
    var retried = 0
    var givenUp = 0
  }

  var version = Self.currentVersion
  /// By use case and entity.
  var groups: [String: Group] = [:]
  /// When somebody was told of an entity last, within the group interval.
  var told: [String: Int64] = [:]
  /// When notifications were made in the last hour.
  var recent: [Int64] = []
  var heldBack = 0
  /// What is sent until it is taken, in the order in which it was made.
  var waiting: [AnomalyNotification] = []
  var givenUp: [GivenUp] = []
  /// How many were given up in all.
  var givenUpCount = 0
  var lastDelivery: Int64?
  /// Counts notifications.
  var sequence = 0

  static let currentVersion = 1
  /// Bounds of what is kept: entities that wait, findings of each, notifications that wait, and those that were given up.
  static let mostGroups = 500
  static let mostFindings = 10
  static let mostWaiting = 100
  static let mostGivenUp = 100
  /// Characters of an entity's key.
  static let mostKey = 200

  private static let hour: Int64 = 3_600_000_000
  private static let firstRetry: Int64 = 1_000_000
  private static let longestRetry: Int64 = 300_000_000
  /// The longest that a receiver may ask to be left alone.
  static let longestRetryAfter: Int64 = 3_600_000_000

  // MARK: Findings

  /// Takes a change.
  /// - Returns: whether anything is otherwise than before.
  mutating func take(
    _ change: ResultChange, _ rules: Rules, mutes: [Mute], at now: Int64, _ outcomes: inout Outcomes
  ) -> Bool {
    switch change.content {
    case .anomaly(let anomaly):
      guard rules.apply(to: anomaly) else { return false }
      if mutes.contains(where: { $0.covers(useCase: anomaly.useCase, detector: anomaly.detector, key: anomaly.key) }) {
        outcomes.muted += 1
        return false
      }
      add(anomaly, at: now, &outcomes)
      return true
    case .retraction(.anomaly): return remove(change.id)
    case .deadLetter, .window, .retraction, .reset: return false
    }
  }

  private mutating func add(_ anomaly: StoredAnomaly, at now: Int64, _ outcomes: inout Outcomes) {
    let finding = NotifiedFinding(
      id: anomaly.id, detector: anomaly.detector, severity: anomaly.severity, eventTime: anomaly.eventTime,
      score: anomaly.score, reason: String(anomaly.reason.prefix(NotifiedFinding.mostReason)))
    let key = String(anomaly.key.prefix(Self.mostKey))
    let name = Self.name(anomaly.useCase, key)
    guard var group = groups[name] else {
      guard groups.count < Self.mostGroups else {
        heldBack += 1
        outcomes.heldBack += 1
        return
      }
      groups[name] = Group(useCase: anomaly.useCase, key: key, since: now, count: 1, findings: [finding])
      return
    }
    group.take(finding)
    groups[name] = group
  }

  private static func name(_ useCase: String, _ key: String) -> String { "\(useCase)\n\(key)" }

  /// A finding does not hold any more: nobody is told of it who was not yet.
  private mutating func remove(_ id: String) -> Bool {
    for (name, group) in groups {
      guard let known = group.findings.firstIndex(where: { $0.id == id }) else { continue }
      var rest = group
      rest.findings.remove(at: known)
      rest.count -= 1
      groups[name] = rest.findings.isEmpty ? nil : rest
      return true
    }
    return false
  }

  // MARK: Notifications

  /// Makes notifications of the groups whose time has come.
  /// - Returns: whether anything is otherwise than before.
  mutating func plan(_ rules: Rules, mutes: [Mute], at now: Int64, _ outcomes: inout Outcomes) -> Bool {
    let before = self
    recent.removeAll { $0 <= now - Self.hour || $0 > now }
    told = told.filter { $0.value > now - rules.groupInterval && $0.value <= now }
    for (name, group) in groups.sorted(by: { ($0.value.since, $0.key) < ($1.value.since, $1.key) }) {
      guard waiting.count < Self.mostWaiting, now >= due(group, name, rules) else { continue }
      var group = group
      groups[name] = nil
      outcomes.muted += group.mute(by: mutes)
      if group.count == 0 { continue }
      guard recent.count < rules.perHour else {
        heldBack += group.count
        outcomes.heldBack += group.count
        continue
      }
      told[name] = now
      make(of: group, rules, at: now)
    }
    if heldBack > 0, recent.count < rules.perHour, waiting.count < Self.mostWaiting { make(of: nil, rules, at: now) }
    return self != before
  }

  private func due(_ group: Group, _ name: String, _ rules: Rules) -> Int64 {
    max(group.since + rules.groupWait, told[name].map { $0 + rules.groupInterval } ?? .min)
  }

  /// - Parameter group: nil for one that says how many findings were held back, and nothing else.
  private mutating func make(of group: Group?, _ rules: Rules, at now: Int64) {
    sequence += 1
    let parts = [rules.name, String(sequence), String(now)] + (group?.findings.map(\.id) ?? [])
    let digest = SHA256.hash(data: Array(parts.joined(separator: "\n").utf8))
    waiting.append(
      AnomalyNotification(
        id: digest.prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(), created: now,
        useCase: group?.useCase, key: group?.key, count: group?.count ?? 0, findings: group?.findings ?? [],
        heldBack: heldBack, due: now))
    heldBack = 0
    recent.append(now)
  }

  /// When there is something to do next; nil where nothing waits.
  func next(_ rules: Rules) -> Int64? {
    var times = waiting.map(\.due)
    if waiting.count < Self.mostWaiting { times += groups.map { due($0.value, $0.key, rules) } }
    if heldBack > 0, let first = recent.min() { times.append(first + Self.hour) }
    return times.min()
  }

  // MARK: Deliveries

  /// What is to be sent now, the oldest first.
  func dueDelivery(at now: Int64) -> AnomalyNotification? { waiting.first { $0.due <= now } }

  /// What came of sending one.
  enum Outcome: Sendable, Hashable {
    case taken
    /// - Parameter after: microseconds after which it may be sent again; nil where the receiver did not say.
    case notTaken(String, after: Int64?)
    /// It is of no use to send it again.
    case refused(String)
  }

  mutating func note(
    _ outcome: Outcome, of id: String, _ rules: Rules, at now: Int64, _ outcomes: inout Outcomes
  ) {
    guard let place = waiting.firstIndex(where: { $0.id == id }) else { return }
    waiting[place].attempts += 1
    let attempts = waiting[place].attempts
    switch outcome {
    case .taken:
      waiting.remove(at: place)
      lastDelivery = now
      outcomes.delivered += 1
    case .notTaken(let why, let after) where attempts < rules.attempts:
      let doubled = Self.firstRetry << Int64(min(attempts - 1, 20))
      let drawn = Int64(Double(min(doubled, Self.longestRetry)) * (0.5 + rules.jitter() / 2))
      waiting[place].due = now + max(drawn, min(after ?? 0, Self.longestRetryAfter))
      waiting[place].trouble = why
      // One that asks to be left alone is left alone with the others, too.
      if let after {
        let until = now + min(after, Self.longestRetryAfter)
        for other in waiting.indices { waiting[other].due = max(waiting[other].due, until) }
      }
      outcomes.retried += 1
    case .notTaken(let why, _), .refused(let why):
      var lost = waiting.remove(at: place)
      lost.trouble = why
      givenUp.append(GivenUp(notification: lost, at: now))
      givenUpCount += 1
      if givenUp.count > Self.mostGivenUp { givenUp.removeFirst() }
      outcomes.givenUp += 1
    }
  }
}

extension NotificationState.Rules {
  /// Whether somebody is to be told of a finding.
  func apply(to anomaly: StoredAnomaly) -> Bool {
    (Severity(rawValue: anomaly.severity) ?? .info) >= severity
      && (detectors.isEmpty || detectors.contains(anomaly.detector))
      && (useCases.isEmpty || useCases.contains(anomaly.useCase))
  }
}

extension NotificationState.Group {
  /// Takes another finding, or a known one as it is now.
  fileprivate mutating func take(_ finding: NotifiedFinding) {
    if let known = findings.firstIndex(where: { $0.id == finding.id }) {
      findings[known] = finding
      return
    }
    count += 1
    guard findings.count >= NotificationState.mostFindings else { return findings.append(finding) }
    var rest = finding
    if let place = place(for: finding) { swap(&findings[place], &rest) }
    others = (others ?? [:]).merging([rest.detector: 1], uniquingKeysWith: +)
  }

  /// Whose place a finding takes where all are taken; nil where it is only counted.
  private func place(for finding: NotifiedFinding) -> Int? {
    let kept = Dictionary(grouping: findings, by: \.detector).mapValues(\.count)
    // A detector that is muted later takes its findings along: something has to be left to be told of the others.
    let spare = findings.indices.filter { kept[findings[$0].detector, default: 0] > 1 }
    func least(of places: [Int]) -> Int? { places.min { findings[$0].rank < findings[$1].rank } }
    if kept[finding.detector] == nil, let place = least(of: spare) { return place }
    // What is graver is told in any case.
    let own = findings.indices.filter { findings[$0].detector == finding.detector }
    return least(of: spare.isEmpty && own.isEmpty ? Array(findings.indices) : spare + own)
      .flatMap { findings[$0].rank < finding.rank ? $0 : nil }
  }

  /// Leaves out what has been muted since it came.
  /// - Returns: how many findings.
  fileprivate mutating func mute(by mutes: [Mute]) -> Int {
    let (useCase, key, before) = (useCase, key, count)
    let isMuted = { (detector: String) in
      mutes.contains { $0.covers(useCase: useCase, detector: detector, key: key) }
    }
    count -= findings.count { isMuted($0.detector) }
    findings.removeAll { isMuted($0.detector) }
    for (detector, number) in others ?? [:] where isMuted(detector) {
      count -= number
      others?[detector] = nil
    }
    // Of those that an earlier version has only counted it is not known of which detector they are.
    if findings.isEmpty, others?.isEmpty != false { count = 0 }
    return before - count
  }
}

extension NotificationState {
  private static let coder: (encoder: JSONEncoder, decoder: JSONDecoder) = {
    let (encoder, decoder) = (JSONEncoder(), JSONDecoder())
    encoder.outputFormatting = .sortedKeys
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return (encoder, decoder)
  }()

  /// As it is kept in the store.
  func text() throws -> String { String(decoding: try Self.coder.encoder.encode(self), as: UTF8.self) }

  /// - Throws: `OperatingError` where it is damaged or of a later version of the program.
  init(kept text: String) throws {
    if text.isEmpty {
      self.init()
      return
    }
    let bytes = Data(text.utf8)
    struct Head: Decodable { var version: Int }
    guard let head = try? JSONDecoder().decode(Head.self, from: bytes) else {
      throw OperatingError(.store, "what a sink of notifications keeps in the store is damaged")
    }
    guard head.version == Self.currentVersion else {
      throw OperatingError(
        .store,
        "what a sink of notifications keeps has version \(head.version), expected \(Self.currentVersion): use that version "
          + "of pulse")
    }
    do { self = try Self.coder.decoder.decode(NotificationState.self, from: bytes) } catch {
      throw OperatingError(.store, "what a sink of notifications keeps in the store is damaged")
    }
  }
}
