// `pulse replay`: files to a topic, at the pace of their events or as fast as the broker takes them.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Logging
import Operations
import Pipeline
import UnixSignals

struct Replay: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send files of events to a topic.",
    discussion: """
      Lines are sent as they are, rows of Parquet and Arrow files as JSON. Events with the same key keep their order.

        pulse replay events.ndjson --to kafka://localhost:9092/queries --use-case redset
        pulse replay 'trips/*.parquet' --to kafka://localhost:9092/trips --key PULocationID
        pulse replay events.ndjson --to kafka://localhost:9092/queries --use-case redset --speedup 60

      With --state a replay that was ended goes on where it was; what was sent in the last second may be sent again.
      """)

  @Argument(help: ArgumentHelp("Files and quoted globs, in the order of reading.", valueName: "file|glob"))
  var files: [String]

  @Option(help: ArgumentHelp("The topic.", valueName: "kafka://HOST:PORT/TOPIC"))
  var to: String

  @Option(help: "The use case, which says where the time and the entity of an event are.")
  var useCase: String?

  @Option(help: ArgumentHelp("The field that is the key (default: the entity of the use case).", valueName: "field"))
  var key: String?

  @Option(
    help: ArgumentHelp("The field with the time of an event (default: that of the use case).", valueName: "field"))
  var time: String?

  @Option(
    parsing: .unconditional,
    help: "Seconds of event time in a second: 60 plays an hour in a minute; 0 is as fast as possible.")
  var speedup = 0.0

  @Option(parsing: .unconditional, help: "Records to send at most.")
  var limit: Int?

  @Option(help: ArgumentHelp("Keep here how far the replay came, and go on there.", valueName: "file"))
  var state: String?

  @Flag(help: "Forget how far an earlier replay came.")
  var reset = false

  @OptionGroup var client: ClientOptions

  func validate() throws {
    if files.isEmpty { throw ValidationError("no file is named: expected what is to be sent") }
    if let limit, limit < 1 { throw ValidationError("--limit must be 1 or more, found \(limit)") }
    if speedup != 0 { try NumberOption.check("--speedup", speedup, in: 0.001...1e9, "(or 0)") }
    if speedup != 0, time == nil, useCase == nil {
      throw ValidationError("--speedup follows the time of events: say where it is with --use-case or --time")
    }
    if time != nil, speedup == 0 { throw ValidationError("--time has no effect without --speedup") }
    if reset, state == nil { throw ValidationError("--reset forgets what --state keeps: add it") }
  }

  func run() async throws {
    let schema = try useCase.map { try LoadedUseCase($0).plan.schema }
    var options = ReplayOperation.Options()
    options.speedup = speedup
    options.limit = limit
    options.state = state
    options.time =
      time.map { Field(name: "time", path: Self.path($0), type: .timestamp(.automatic), required: true) }
      ?? schema.map { $0.fields[$0.timeField] }
    options.key =
      key.map { Field(name: "key", path: Self.path($0), type: .string) }
      ?? schema.flatMap { schema in schema.keyField.map { schema.fields[$0] } }
    if reset, let state, unlink(state) != 0, errno != ENOENT {
      throw OperatingError(.store, "\(state) cannot be removed: \(String(cString: strerror(errno)))")
    }
    let source = FileSource(number: 0, paths: files, readsOtherColumns: true)
    let replay = ReplayOperation(source, to: try client.producer(to), options: options)
    let start = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { replay.stop() }
      }
      defer { group.cancelAll() }
      try await replay.run()
    }
    let seconds = Double((ContinuousClock.now - start).components.seconds) + 0.001
    Terminal.printError(
      "sent \(replay.count) records to \(to), \(Int(Double(replay.count) / max(seconds, 1))) a second")
  }

  private static func path(_ field: String) -> [String] { field.split(separator: ".").map(String.init) }
}
