// What the stages must find in simulated query events, computed in the plainest way: Foundation reads each record, and
// classes, rules and windows are `if`s, dictionaries and arrays of events. The labels of the generator say which records
// are broken.

import Connectors
import Detection
import Foundation

/// Expected results over all records added so far.
struct RedsetReference: Sendable {
  /// A window: instance, and start in microseconds.
  struct WindowKey: Hashable, Sendable {
    var instance: Int64
    var start: Int64
  }

  struct Entity: Sendable {
    var clock = Int64.min
    var lastFinding: Int64?
    var times: [Int64] = []
  }

  private static let minute: Int64 = 60_000_000

  let classes: [String]
  private(set) var events = 0
  private(set) var deadLetters = 0
  /// In the order of the events, so that it is the same to the last bit.
  private(set) var executionSum = 0.0
  private(set) var queryIDSum: Int64 = 0
  private(set) var fingerprintBytes = 0
  private(set) var classCounts: [Int]
  private(set) var findings: [String: Int] = [:]
  private(set) var windows: [WindowKey: Int64] = [:]
  private var storms: [[Int64]: Entity] = [:]
  private var aborts: [[Int64]: Entity] = [:]

  init(classes: [String]) {
    self.classes = classes
    classCounts = [Int](repeating: 0, count: classes.count)
  }

  /// Adds the next records.
  /// - Parameters:
  ///   - broken: records that cannot become events.
  ///   - watermarks: before each record that is not broken.
  mutating func add(_ simulated: SimulatedEvents, broken: Set<Int>, watermarks: [Int64]) throws {
    guard watermarks.count == simulated.count - broken.count else {
      throw WrongOutput("\(broken.count) of \(simulated.count) records are broken, \(watermarks.count) were decoded")
    }
    var next = 0
    for index in 0..<simulated.count {
      if broken.contains(index) {
        deadLetters += 1
        continue
      }
      let line = Data(simulated.bytes[Int(simulated.starts[index])..<Int(simulated.ends[index])])
      guard let record = try JSONSerialization.jsonObject(with: line) as? [String: Any] else {
        throw WrongOutput("record \(index) is no JSON object")
      }
      try add(record, watermark: watermarks[next])
      next += 1
    }
  }

  private mutating func add(_ record: [String: Any], watermark: Int64) throws {
    func number(_ name: String) -> Double { (record[name] as? NSNumber)?.doubleValue ?? 0 }
    func integer(_ name: String) -> Int64 { (record[name] as? NSNumber)?.int64Value ?? 0 }
    guard let text = record["arrival_timestamp"] as? String, let time = Timestamp.parse(text) else {
      throw WrongOutput("a record has no time")
    }
    events += 1
    executionSum += number("execution_duration_ms")
    queryIDSum &+= integer("query_id")
    fingerprintBytes += (record["feature_fingerprint"] as? String)?.utf8.count ?? 0

    let name = Self.queryClass(
      type: record["query_type"] as? String ?? "", cached: integer("was_cached") != 0, number: number)
    guard let index = classes.firstIndex(of: name) else { throw WrongOutput("there is no class \(name)") }
    classCounts[index] += 1
    if number("mbytes_spilled") > 100_000 { findings["large_spill", default: 0] += 1 }
    let instance = integer("instance_id")
    if name == "queue_wlm_bound", Self.observe(time, &storms[[instance], default: Entity()], within: 5, atLeast: 6) {
      findings["queue_storm", default: 0] += 1
    }
    if integer("was_aborted") != 0,
      Self.observe(time, &aborts[[instance, integer("user_id")], default: Entity()], within: 10, atLeast: 3)
    {
      findings["repeated_aborts", default: 0] += 1
    }
    let start = time - time % (10 * Self.minute)
    if watermark == .min || start + 15 * Self.minute > watermark {
      windows[WindowKey(instance: instance, start: start), default: 0] += 1
    }
  }

  /// The classes as they are defined, the first that holds.
  private static func queryClass(type: String, cached: Bool, number: (String) -> Double) -> String {
    let execution = number("execution_duration_ms")
    let queue = number("queue_duration_ms")
    let scanned = number("mbytes_scanned")
    let (joins, scans, aggregations) = (number("num_joins"), number("num_scans"), number("num_aggregations"))
    let ratio = execution / (scanned + 1)
    let moves = type == "copy" || type == "unload"
    if cached { return "normal" }
    if moves && execution > 500 { return "network_bound" }
    if !moves && (joins > 1 || aggregations > 1) && scanned > 0 && ratio > 20 && execution > 1000 {
      return "cpu_bound"
    }
    if !moves && scanned >= 2000 && ratio < 0.061 && (number("mbytes_spilled") > 0 || scans > 1) && execution > 1000 {
      return "io_bound"
    }
    if queue >= execution && queue > 1000 && execution > 0 && scans + joins + aggregations < 4 {
      return "queue_wlm_bound"
    }
    return "normal"
  }

  /// One event of an entity in a sliding window of so many minutes with a cool-down of 30: whether it is a finding.
  private static func observe(_ time: Int64, _ entity: inout Entity, within: Int64, atLeast: Int) -> Bool {
    if entity.clock != .min && time <= entity.clock - within * minute { return false }
    entity.clock = max(entity.clock, time)
    entity.times.append(time)
    entity.times.removeAll { $0 <= entity.clock - within * minute }
    guard entity.times.count >= atLeast, entity.lastFinding.map({ entity.clock >= $0 + 30 * minute }) ?? true else {
      return false
    }
    entity.lastFinding = entity.clock
    return true
  }
}
