// A process of its own that works on an embedded store beside others, for tests that start several and kill them.

import Connectors
import Detection
import Foundation
import Logging
import Pipeline

/// `store-writer DATA ROLE …`; see `main` for the roles.
@main
struct StoreWriter {
  private let directory: DataDirectory
  private let actions: SQLiteActions

  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 5 else { refuse() }
    let directory = DataDirectory(path: arguments[1])
    let writer = StoreWriter(directory: directory, actions: try SQLiteActions(in: directory))
    let (name, what) = (arguments[3], arguments[4])
    switch arguments[2] {
    case "make-jobs":
      for _ in 0..<(Int(what) ?? 0) {
        _ = try await writer.actions.createJob("work", arguments: "", key: nil, by: name, at: now)
      }
    case "jobs": try await writer.work(as: name, untilDone: Int(what) ?? 0)
    case "hand-in": try await writer.handIn(as: name, Int(what) ?? 0)
    case "take": try await writer.take(name, into: what)
    case "outbox": try await writer.outbox(name, into: what).run(wokenBy: ChangeSignal())
    case "drain": try await writer.outbox(name, into: what).drain()
    default: refuse()
    }
  }

  /// Says how it is called, and ends.
  private static func refuse() -> Never {
    let usage = "usage: store-writer DATA make-jobs|jobs|hand-in|take|outbox|drain NAME WHAT\n"
    FileHandle.standardError.write(Data(usage.utf8))
    exit(64)
  }

  private static var now: Int64 { Int64(Date().timeIntervalSince1970 * 1e6) }

  /// How long a job is leased, microseconds.
  private static let lease: Int64 = 250_000

  /// Takes jobs until so many are done, by whomever. Each is on the audit trail when it was claimed and when it was ended,
  /// with the time that the store was told.
  private func work(as name: String, untilDone count: Int) async throws {
    let worker = "\(name)-\(getpid())"
    while true {
      let time = Self.now
      guard
        let job = try await actions.claimJob(
          ["work"], worker: worker, at: time, until: time + Self.lease)
      else {
        if try await actions.jobs(before: nil, limit: count).allSatisfy(\.state.isOver) { return }
        try await Task.sleep(for: .milliseconds(2))
        continue
      }
      func note(_ action: String) async throws {
        _ = try await actions.append(
          AuditLine(
            time: time, who: worker, action: action, subject: "\(job.number)",
            details: "\(job.attempts)"))
      }
      try await note("claimed")
      try await Task.sleep(for: .milliseconds(Int(job.number % 5)))
      let isMine = try await actions.finishJob(
        job.number, worker: worker, as: .finished, outcome: "\"\(worker)\"", at: Self.now)
      try await note(isMine ? "ended" : "lost")
    }
  }

  /// Hands in batches of three records, each with its key: again from the first one whenever it is started.
  private func handIn(as name: String, _ count: Int) async throws {
    for batch in 0..<count {
      let records = (0..<3).map { Array("\(name) \(batch) \($0)".utf8) }
      _ = try await actions.handIn(records, to: "in", key: "\(name) \(batch)", at: Self.now)
    }
  }

  /// Takes records out of an inbox into a file, number and record a line, and acknowledges what is safe there.
  private func take(_ inbox: String, into path: String) async throws {
    let file = try LineFile(path)
    while true {
      let first = try await actions.state(of: inbox).first
      let records = try await actions.records(of: inbox, from: first, limit: 20, bytes: 1_000)
      guard let last = records.last else {
        try await Task.sleep(for: .milliseconds(2))
        continue
      }
      try file.append(records.map { "\($0.number) \(String(decoding: $0.bytes, as: UTF8.self))" })
      try await actions.acknowledge(inbox, before: last.number + 1, at: Self.now)
    }
  }

  private func outbox(_ name: String, into path: String) throws -> Outbox {
    var options = Outbox.Options()
    options.batch = 20
    options.interval = .milliseconds(5)
    return Outbox(
      name, from: try SQLiteReader(directory), cursors: actions,
      to: FileSink(file: try LineFile(path)),
      options: options, logger: Logger(label: "store-writer"))
  }
}

/// Delivers to a file, a JSON object a line.
private struct FileSink: Sink {
  let file: LineFile
  func deliver(_ changes: [ResultChange]) async throws { try file.append(changes.map(\.json)) }
}

/// A file of whole lines: what a writer that was killed left of one is gone.
private final class LineFile: Sendable {
  private let descriptor: Int32

  init(_ path: String) throws {
    let text = (try? Data(contentsOf: URL(fileURLWithPath: path))) ?? Data()
    let whole = text.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0, ftruncate(descriptor, off_t(whole)) == 0 else {
      throw OperatingError(.store, "\(path) cannot be written")
    }
  }

  func append(_ lines: [String]) throws {
    let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
    guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
      throw OperatingError(.store, "a line could not be written")
    }
  }
}
