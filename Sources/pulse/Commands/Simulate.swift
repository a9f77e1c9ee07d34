// `pulse simulate`: the deterministic generator of a use case.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Operations
import Pipeline

struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Generate simulated events of a use case, in arrival order, as NDJSON.",
    discussion: """
      The events are simulated: a use case's simulation.yaml says what they look like. Injected anomalies are labelled \
      in the file given by --labels, never in the events.

        pulse simulate redset --events 100000 --seed 7 --to events.ndjson --labels labels.ndjson
        pulse simulate redset --events 100000 --speedup 600 --to - | pulse run --use-case redset --source - --data data
        pulse simulate redset --to kafka://localhost:9092/queries
      """)

  @Argument(help: "The use case: a directory, or the name of one under UseCases/.")
  var useCase: String

  @Option(parsing: .unconditional, help: "Events to generate.")
  var events = 1_000_000

  @Option(parsing: .unconditional, help: "The same seed gives the same events.")
  var seed: UInt64 = 1

  @Option(
    parsing: .unconditional,
    help: "Simulated seconds a second: 600 plays an hour in six seconds; 0 is as fast as possible.")
  var speedup = 0.0

  @Option(
    help: ArgumentHelp(
      "Where to write the events; - for standard output. In a topic, the entity of an event is its key.",
      valueName: "file|-|kafka://HOST:PORT/TOPIC"))
  var to: String

  @Option(help: ArgumentHelp("Where to write the labels.", valueName: "file"))
  var labels: String?

  @OptionGroup var client: ClientOptions

  func validate() throws {
    guard events >= 0 else { throw ValidationError("--events must be 0 or more, found \(events)") }
    if speedup != 0 { try NumberOption.check("--speedup", speedup, in: 0.001...1e9, "(or 0)") }
  }

  func run() async throws {
    let location = try UseCaseLocator().locate(useCase)
    let definition = try SimulationFile(ofUseCase: location.directory).definition
    if let labels, Self.isSameFile(to, labels) {
      throw ValidationError("--to and --labels are the same file: expected two, or only one of the options")
    }
    let output = try output(of: location)
    let labelOutput = try labels.map { try ByteOutput(path: $0) }
    var simulator = Simulator(definition, seed: seed)
    var origin: (instant: ContinuousClock.Instant, arrival: Int64)?
    // A paced stream is written in small pieces, so that events arrive when they are due.
    let piece = min(speedup == 0 ? 8192 : 32, simulator.mostAtOnce)
    while simulator.row < events {
      let batch = simulator.next(min(piece, events - simulator.row))
      if speedup > 0, let last = batch.arrivals.last {
        let from = origin ?? (.now, batch.arrivals[0])
        origin = from
        let due = from.instant + SimulatorSource.wait(for: last - from.arrival, speedup: speedup)
        try await Task.sleep(until: due, clock: .continuous)
      }
      guard try output.write(batch.bytes) else { return }
      for label in batch.labels { _ = try labelOutput?.write(label.line) }
    }
    try output.finish()
  }

  /// Where the events go.
  private func output(of useCase: UseCaseLocation) throws -> any EventOutput {
    guard to.hasPrefix("kafka://") else {
      if !client.property.isEmpty { throw ValidationError("--property says how Kafka is spoken to: --to kafka://…") }
      return try ByteOutput(path: to)
    }
    let schema = try LoadedUseCase(self.useCase).plan.schema
    return try TopicOutput(
      try client.producer(to), key: schema.keyField.map { schema.fields[$0] })
  }
}

/// Where lines of events go.
private protocol EventOutput {
  /// Writes whole lines.
  /// - Returns: false when nobody reads any more.
  func write(_ bytes: [UInt8]) throws -> Bool
  /// Waits until everything has arrived.
  func finish() throws
}

/// A topic that lines are written to, one record each.
private final class TopicOutput: EventOutput {
  private let producer: KafkaProducer
  private let events: KeyedEvents

  init(_ producer: KafkaProducer, key: Field?) throws {
    try producer.check()
    self.producer = producer
    events = KeyedEvents(time: nil, key: key)
  }

  func write(_ bytes: [UInt8]) throws -> Bool {
    let batch = RawBatch(lines: bytes, from: "simulator")
    try producer.write(batch.recordBytes, keys: events.read(batch).keys)
    return true
  }

  func finish() throws { try producer.finish() }
}

extension Simulate {
  /// Whether two paths lead to one file, which may not be there yet. Devices take both.
  private static func isSameFile(_ a: String, _ b: String) -> Bool {
    if a == b { return access(a, F_OK) != 0 || isRegular(a) }
    if a == "-" || b == "-" { return false }
    if let first = attributes(of: a), let second = attributes(of: b) {
      func place(_ file: [FileAttributeKey: Any]) -> [NSNumber?] {
        [file[.systemNumber] as? NSNumber, file[.systemFileNumber] as? NSNumber]
      }
      return place(first) == place(second) && isRegular(a)
    }
    func resolved(_ path: String) -> String {
      let url = URL(fileURLWithPath: path)
      return url.deletingLastPathComponent().resolvingSymlinksInPath().path + "/" + url.lastPathComponent
    }
    return resolved(a) == resolved(b)
  }

  /// What the system says of the file that a path leads to; nil where there is none.
  private static func attributes(of path: String) -> [FileAttributeKey: Any]? {
    let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    return try? FileManager.default.attributesOfItem(atPath: target)
  }

  private static func isRegular(_ path: String) -> Bool {
    attributes(of: path)?[.type] as? FileAttributeType == .typeRegular
  }
}

/// A file or standard output that bytes are written to.
private final class ByteOutput: EventOutput {
  private let descriptor: Int32
  private let path: String

  init(path: String) throws {
    self.path = path
    descriptor = path == "-" ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw OperatingError(.store, "\(path) cannot be written: \(String(cString: strerror(errno)))")
    }
  }

  deinit { if descriptor != STDOUT_FILENO { close(descriptor) } }

  func finish() {}

  /// - Returns: false when the reader of a pipe has gone.
  func write(_ bytes: [UInt8]) throws -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      // SAFETY: lent for the call, which reads no more than `count` bytes.
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EPIPE { return false }
        throw OperatingError(.store, "\(path) cannot be written: \(String(cString: strerror(errno)))")
      }
      rest = rest.dropFirst(count)
    }
    return true
  }
}
