// One round: a stream over partitions of a fresh broker, a run that is killed, thrown out of its group, made to share its
// partitions and left without its broker; then what it has stored against a run that nothing happened to.

import CrashKit
import Foundation
import KafkaKit
import TestKit

/// What came of a round.
struct TrialResult: Codable, Sendable {
  var number: Int
  var seed: UInt64
  var records = 0
  var anomalies = 0
  /// SIGKILL while it ran.
  var kills = 0
  /// Times that it was suspended until the group had given all of its partitions to somebody else.
  var evictions = 0
  /// Times that another member took some of its partitions while it lived.
  var rebalances = 0
  /// Times that the broker did not answer for a while.
  var outages = 0
  /// Rows and labelled records that are not there.
  var lost = 0
  /// Rows and findings that should not be there.
  var doubled = 0
  var seconds = 0.0
  var faults: [String] = []
}

/// A round on a broker of its own.
struct TrialRound {
  let pulse: String
  /// An empty folder, which keeps what the round leaves.
  let folder: String
  let number: Int
  let seed: UInt64

  private static let topic = "trial"
  private static let partitions = 6
  /// Records that are there before the run begins.
  private static let backlog = 90_000
  private static let group = "killed"

  private enum Step: CaseIterable { case kill, evict, share, outage }

  /// Carries it out. What goes wrong on the way is a fault of the round.
  func run() -> TrialResult {
    var result = TrialResult(number: number, seed: seed)
    let begin = ContinuousClock.now
    do { try run(&result) } catch { result.faults.append("\(error)") }
    result.seconds = (ContinuousClock.now - begin) / .seconds(1)
    return result
  }

  private func run(_ result: inout TrialResult) throws {
    var random = SeededRandom(seed: seed)
    let broker = try BrokerProcess(.tansu)
    let client = KafkaTestClient(broker.bootstrap)
    try client.createTopics(Self.topic, partitions: Self.partitions)
    let stream = TrialStream(client, topic: Self.topic, partitions: Self.partitions, seed: random.next())
    try stream.write(Self.backlog)
    let sizes = [64, 512, 4096]
    let disturbed = try TrialPulse(
      path: pulse, name: Self.group, in: folder, broker: broker.bootstrap, topic: Self.topic,
      batchSize: sizes[Int.random(in: 0..<sizes.count, using: &random)])
    try disturbed.start()
    stream.start()
    // Each of them once, and two more kills, one of which may come while the run is still at its beginning.
    for step in (Step.allCases + [.kill, .kill]).shuffled(using: &random) {
      switch step {
      case .kill: try kill(disturbed, &result, &random)
      case .evict: try evict(disturbed, client, &result, &random)
      case .share: try share(disturbed, client, &result, &random)
      case .outage: try outage(of: broker, client, &result, &random)
      }
      try disturbed.check()
      usleep(UInt32.random(in: 0...2_000_000, using: &random))
    }
    try stream.stop()
    // What comes last is stored by a run that has all partitions again.
    try stream.write(Self.partitions * 100)
    let labels = stream.labels
    try disturbed.awaitOffsets(labels.ends)
    try disturbed.stop()
    let reference = try TrialPulse(
      path: pulse, name: "reference", in: folder, broker: broker.bootstrap, topic: Self.topic, idleTimeout: 5,
      batchSize: 4096)
    try reference.start()
    try reference.awaitEnd(within: .seconds(180))
    try compare(disturbed, with: reference, labels, &result)
  }

  // MARK: What happens to the run

  private func kill(_ pulse: TrialPulse, _ result: inout TrialResult, _ random: inout SeededRandom) throws {
    // Mostly amid the stream; else at any moment of a start, its membership and its first checkpoint among them.
    if Int.random(in: 0..<3, using: &random) > 0 { try pulse.awaitProgress() }
    usleep(UInt32.random(in: 0...1_500_000, using: &random))
    try pulse.kill()
    result.kills += 1
    try pulse.start()
  }

  /// Suspends the run until the group, as another member sees it, has given all of its partitions away.
  private func evict(
    _ pulse: TrialPulse, _ client: KafkaTestClient, _ result: inout TrialResult, _ random: inout SeededRandom
  ) throws {
    try pulse.awaitProgress()
    try pulse.suspend()
    defer { pulse.resume() }
    let guest = try join(client)
    try guest.awaitPartitions(of: Self.topic, count: Self.partitions)
    result.evictions += 1
    pulse.resume()
    usleep(UInt32.random(in: 0...3_000_000, using: &random))
    try part(from: guest, &random)
  }

  /// Another member takes some of the partitions, and gives them back.
  private func share(
    _ pulse: TrialPulse, _ client: KafkaTestClient, _ result: inout TrialResult, _ random: inout SeededRandom
  ) throws {
    try pulse.awaitProgress()
    let guest = try join(client)
    let isShared = try waitUntil(within: .seconds(60)) {
      try pulse.check()
      return (1..<Self.partitions).contains(try guest.partitions(of: Self.topic).count)
    }
    guard isShared else { throw TrialError("the group did not give any partition to another member") }
    result.rebalances += 1
    usleep(UInt32.random(in: 0...3_000_000, using: &random))
    try part(from: guest, &random)
  }

  private func join(_ client: KafkaTestClient) throws -> KafkaTestMember {
    try KafkaTestMember(of: Self.group, topics: Self.topic, on: client)
  }

  /// Lets a member leave; without that it dies with its last reference, and is missed.
  private func part(from guest: KafkaTestMember, _ random: inout SeededRandom) throws {
    if Bool.random(using: &random) { try guest.leave() }
  }

  private func outage(
    of broker: BrokerProcess, _ client: KafkaTestClient, _ result: inout TrialResult, _ random: inout SeededRandom
  ) throws {
    try broker.suspend()
    defer { broker.resume() }
    let hasAnswered = (try? KafkaTestClient(broker.bootstrap, timeout: .seconds(1)).brokers()) != nil
    guard !hasAnswered else { throw TrialError("a broker that was suspended has answered") }
    result.outages += 1
    usleep(UInt32.random(in: 0...7_000_000, using: &random))
  }

  // MARK: What is stored

  private func compare(
    _ disturbed: TrialPulse, with reference: TrialPulse, _ labels: TrialLabels, _ result: inout TrialResult
  ) throws {
    let expected = try StoredResults(dataDirectory: reference.data)
    let found = try StoredResults(dataDirectory: disturbed.data)
    result.records = labels.records
    result.anomalies = found.tables["anomalies"]?.count ?? 0
    for table in ["anomalies", "dead_letters", "window_parts", "open_windows", "history_shards", "history"]
    where expected.tables[table]?.isEmpty ?? true {
      result.faults.append("the stream yields no \(table)")
    }
    let counts = found.differenceCounts(from: expected)
    (result.lost, result.doubled) = (counts.missing, counts.surplus)
    result.faults += found.differences(from: expected)
    // What an uninterrupted run does not get right either is in the labels.
    let marked = "SELECT partition, offset FROM anomalies WHERE detector = 'marked'"
    try check(disturbed, marked, labels.marked, "labelled", &result)
    try check(disturbed, "SELECT partition, offset FROM dead_letters", labels.broken, "broken", &result)
    result.faults += try canary(reference.data, expected)
  }

  private func check(
    _ pulse: TrialPulse, _ query: String, _ expected: Set<TrialPlace>, _ what: String, _ result: inout TrialResult
  ) throws {
    var found: [TrialPlace: Int] = [:]
    for row in try StoredResults.rows(of: query, dataDirectory: pulse.data) {
      let parts = row.split(separator: "|").compactMap { Int64($0) }
      guard parts.count == 2 else { throw TrialError("no place: \(row)") }
      found[TrialPlace(partition: Int(parts[0]), offset: parts[1]), default: 0] += 1
    }
    let missing = expected.filter { found[$0] == nil }.sorted()
    let surplus = found.filter { !expected.contains($0.key) || $0.value > 1 }.keys.sorted()
    result.lost += missing.count
    result.doubled += surplus.count
    for place in missing.prefix(3) { result.faults.append("not found, although it is \(what): \(place)") }
    for place in surplus.prefix(3) { result.faults.append("found, although it is not \(what) or was before: \(place)") }
  }

  /// One lost and one doubled finding in a copy of the store must be seen, as one each.
  private func canary(_ data: String, _ expected: StoredResults) throws -> [String] {
    let cases = [
      ("lost", Tampering.missingAnomaly, DifferenceCounts(missing: 1)),
      ("doubled", Tampering.doubledAnomaly, DifferenceCounts(surplus: 1)),
    ]
    return try cases.compactMap { name, sql, counts in
      let found = try Tampering.results(of: data, after: sql).differenceCounts(from: expected)
      return found == counts ? nil : "the canary failed: of one \(name) finding was seen: \(found)"
    }
  }
}
