// Is what is stored whole? A quick look when a run begins, and a full one for `pulse check --data`.

import Configuration
import Detection
import Foundation
import GRDB
import Pipeline
import Synchronization

/// What a check has found of one kind of stored data.
public struct StoreFinding: Sendable {
  /// What was looked at: `database`, `state`, `history` or `models`.
  public var what: String
  /// How many: pages of the database, partitions, files, versions of models.
  public var checked: Int
  /// One sentence each, without event data.
  public var problems: [String]

  public init(what: String, checked: Int, problems: [String] = []) {
    self.what = what
    self.checked = checked
    self.problems = problems
  }

  /// The finding as a JSON object.
  public var json: String {
    JSONText.object([
      ("what", JSONText.string(what)), ("checked", String(checked)),
      ("problems", JSONText.array(problems.map(JSONText.string))),
    ])
  }
}

extension SQLiteStore {
  /// How long a run looks at its store before it begins.
  static let quickCheckTime = Duration.milliseconds(250)

  /// Tables in the order in which the quick check looks at them: first what a run continues from, then what it only adds
  /// to, and that may be large.
  static let quickCheckOrder = [
    "claims", "partitions", "state_spaces", "state", "history_tails", "history_shards", "activations", "configurations",
    "window_definitions", "runs", "drift", "retractions",
    "feedback", "mutes", "audit", "jobs", "outboxes", "inboxes", "inbox_keys", "inbox_records", "window_parts",
    "dead_letters", "anomalies",
  ]

  /// Looks for damaged pages, table by table, for as long as `time`: SQLite reads every page of a table and of its indexes
  /// and checks the structure and the types of every row, some hundred megabytes a second of pages in memory.
  /// - Returns: the first problem, as SQLite says it; nil where none was found in that time.
  static func quickCheck(_ queue: DatabaseQueue, within time: Duration = quickCheckTime) throws -> String? {
    let deadline = ContinuousClock.now + time
    let interrupter = Interrupter(queue, after: time)
    return try queue.read { database in
      defer { interrupter.stop() }
      for table in quickCheckOrder {
        guard ContinuousClock.now < deadline else { return nil }
        do {
          guard try database.tableExists(table) else { continue }
          let said = try String.fetchOne(database, sql: "PRAGMA quick_check('\(table)')")
          if let said, said != "ok" { return said }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_INTERRUPT { return nil }
      }
      return nil
    }
  }
}

/// Ends what a database does after some time, from another thread, and only until it is stopped: what comes then must not
/// be ended. Meanwhile it does not keep the database open.
private final class Interrupter: Sendable {
  private let queue: Mutex<DatabaseQueue?>

  init(_ queue: DatabaseQueue, after time: Duration) {
    self.queue = Mutex(queue)
    let milliseconds = Int(time / .milliseconds(1))
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [self] in
      self.queue.withLock { $0?.interrupt() }
    }
  }

  func stop() { queue.withLock { $0 = nil } }
}

extension SQLiteReader {
  /// Everything that a store can tell about itself and the history beside it: SQLite's integrity check, whether the
  /// state of every partition can be read as a restart would, whether every history file on record is there with its
  /// size and rows. Models are not the store's. One that is too damaged to be opened is a finding as well.
  /// - Throws: `OperatingError` where there is no store, or it cannot be read for another reason than damage.
  public static func check(_ directory: DataDirectory) async throws -> [StoreFinding] {
    do { _ = try connect(directory) } catch {
      if let details = SQLiteStore.damage(error) {
        return [StoreFinding(what: "database", checked: 0, problems: [damaged(details)])]
      }
      // What else is wrong is said by opening it.
    }
    let reader = try SQLiteReader(directory)
    return try await reader.detached { try reader.checkAll() }
  }

  private static func damaged(_ details: String) -> String { "it is damaged or not a SQLite file (\(details))" }

  private func checkAll() throws -> [StoreFinding] {
    let database = try checkDatabase()
    // What lies in damaged pages cannot be looked at.
    if !database.problems.isEmpty { return [database] }
    return [database, try checkState(), try checkHistory()]
  }

  private func checkDatabase() throws -> StoreFinding {
    var finding = StoreFinding(what: "database", checked: 0)
    do {
      try blocking { database in
        do {
          finding.checked = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
          // Beside what it says it may fail: what it has said until then is kept.
          let said = try String.fetchCursor(database, sql: "PRAGMA integrity_check(20)")
          while let text = try said.next() {
            // Each may have several lines, the first a headline.
            if text != "ok" { finding.problems += text.split(separator: "\n").map(String.init) }
          }
        } catch {
          guard let details = SQLiteStore.damage(error) else { throw error }
          finding.problems.append(Self.damaged(details))
        }
      }
    } catch let error as OperatingError {
      // Ending the look at a damaged file fails as well, and says what is known by then, with this command as the remedy.
      if finding.problems.isEmpty { finding.problems.append(error.description) }
    }
    return finding
  }

  private func checkState() throws -> StoreFinding {
    let partitions = try blocking { database in
      try Row.fetchAll(database, sql: "SELECT use_case, source, partition FROM partitions ORDER BY 1, 2, 3")
        .map { (useCase: $0[0] as String, partition: PartitionID(source: $0[1], number: $0[2])) }
    }
    var finding = StoreFinding(what: "state", checked: partitions.count)
    for (useCase, partition) in partitions {
      do { try checkState(of: useCase, partition) } catch {
        let why = (SQLiteStore.operatingError(error, in: directory) as? OperatingError)?.description ?? "\(error)"
        finding.problems.append("\(useCase), \(partition.source)/\(partition.number): \(why)")
      }
    }
    return finding
  }

  private func checkState(of useCase: String, _ partition: PartitionID) throws {
    // One partition at a time: they need not fit into memory together.
    let (snapshot, text) = try blocking { database in
      (
        try SQLiteCheckpoint.restore(useCase: useCase, partition, from: database),
        try WholeText.fetchOne(
          database,
          sql: """
            SELECT c.text FROM activations a JOIN configurations c USING (use_case, version)
            WHERE a.use_case = ? AND a.source = ? AND a.partition = ? AND a.kind = 'configuration'
            ORDER BY a.sequence DESC LIMIT 1
            """, arguments: [useCase, partition.source, partition.number])?.text
      )
    }
    guard let snapshot else { return }
    guard let text else { throw CodingError("no configuration is on record for it") }
    let history = ArrowHistory(in: directory, useCase: useCase)
    try snapshot.check(as: partition, of: try UseCaseChecker.plan(fromStored: text)) {
      try history.decodeTail($0.bytes)
    }
  }

  private func checkHistory() throws -> StoreFinding {
    var finding = StoreFinding(what: "history", checked: 0)
    for useCase in try blocking({ try StoreView($0).useCases() }) {
      let archive = archive(of: useCase)
      for shard in try archive.shards() {
        finding.checked += 1
        do { try archive.check(shard) } catch let error as OperatingError { finding.problems.append(error.description) }
      }
    }
    return finding
  }
}
