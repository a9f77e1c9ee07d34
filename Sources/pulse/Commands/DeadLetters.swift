// `pulse dead-letters`: events that could not be used, and why; and handing them in again.

import ArgumentParser
import Connectors
import Detection
import Foundation
import Operations
import Pipeline

struct DeadLetters: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List events that could not be decoded or validated, or hand them in again.",
    subcommands: [ListDeadLetters.self, ReplayDeadLetters.self], defaultSubcommand: ListDeadLetters.self)
}

/// Which dead letters are meant.
struct ReasonOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Only this reason: \(DeadLetter.Reason.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "reason"))
  var reason: String?

  func validate() throws {
    if let reason, DeadLetter.Reason(rawValue: reason) == nil {
      let near = nearest(to: reason, among: DeadLetter.Reason.allCases.map(\.rawValue))
      throw ValidationError("there is no reason `\(reason)`" + (near.map { "; did you mean `\($0)`?" } ?? ""))
    }
  }
}

struct ListDeadLetters: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List events that could not be decoded or validated, last read first, with reason and raw bytes.",
    discussion: "Example: pulse dead-letters --data data --reason out_of_range --json")

  @OptionGroup var options: ListOptions
  @OptionGroup var which: ReasonOption

  func run() async throws {
    var filter = options.filter
    filter.name = which.reason
    let lists = try options.lists
    if options.json {
      return try await options.printJSON { add in try await lists.forEachDeadLetter(filter) { add($0.json) } }
    }
    var letters: [StoredDeadLetter] = []
    try await lists.forEachDeadLetter(filter) { letters.append($0) }
    if letters.isEmpty { return Terminal.print("No dead letters match.") }
    var table = TextTable([
      ("near", .whole), ("record", .right), ("stage", .left), ("reason", .left), ("field", .left), ("message", .left),
    ])
    for letter in letters {
      table.add([
        letter.watermark.map { Timestamp.formatWithinRange($0) } ?? "-", String(letter.position.row),
        letter.stage, letter.reason, letter.field ?? "-", letter.message,
      ])
    }
    Terminal.print(table)
  }
}

struct ReplayDeadLetters: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Hand in dead letters that would pass now, as they came or repaired.",
    discussion: """
      They are tried against the use case as it is in the folder, and those that pass are handed in to its inbox. A run over \
      Kafka brings them back to their topics, with their keys, times and headers and a header that says where they come from; a \
      run with --source http reads them itself. A dead letter stays where it is, is handed in once a day at most, and not again \
      where it has come again before.

        pulse dead-letters replay UseCases/redset --data data --reason out_of_range --dry-run
        pulse dead-letters replay UseCases/redset --data data --reason out_of_range
        pulse dead-letters --data data --limit 0 --json > letters.json      # repair `raw`, then:
        pulse dead-letters replay UseCases/redset --data data --repaired letters.json
      """)

  @Argument(help: ArgumentHelp("The use case: its folder or file.", valueName: "use case"))
  var useCase: String

  @OptionGroup var place: PlaceOptions
  @OptionGroup var which: ReasonOption

  @Option(help: "Only from this time on (RFC 3339, UTC unless it has a zone).", transform: ListOptions.time)
  var since: Int64?

  @Option(help: "Only before this time.", transform: ListOptions.time)
  var until: Int64?

  @Option(
    help: ArgumentHelp(
      "Hand in these in place of what came: the output of `--json` with `raw` changed.", valueName: "file"))
  var repaired: String?

  @Flag(help: "Take also those that have come again before and failed again.")
  var again = false

  @Flag(help: "Say what would pass, and hand in nothing.")
  var dryRun = false

  func run() async throws {
    let plan = try LoadedUseCase(useCase).plan
    let store = try place.place()
    var filter = ResultFilter()
    (filter.useCase, filter.from, filter.to, filter.name) = (plan.useCase.name, since, until, which.reason)
    let replay = try await DeadLetterReplay.read(
      filter, from: try store.reader(), repaired: try repaired.map(Self.read), again: again)
    let problems = EventCheck(plan).problems(of: replay.records)
    var counts = DeadLetterReplay.Counts()
    if !dryRun {
      try await replay.handIn(
        without: Set(problems.map(\.index)), to: plan.useCase.name, in: try store.actions(),
        at: Int64(Date.now.timeIntervalSince1970 * 1e6), counts: &counts)
    }
    report(replay, problems, counts)
  }

  private static func read(_ path: String) throws -> [String: [UInt8]] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw OperatingError(.input, "\(path) cannot be read: expected a file with repaired dead letters")
    }
    return try DeadLetterReplay.repaired(data, called: path)
  }

  private func report(
    _ replay: DeadLetterReplay, _ problems: [InvalidEvent], _ counts: DeadLetterReplay.Counts
  ) {
    let passing = replay.letters.count - problems.count
    if dryRun {
      Terminal.print("\(passing) of \(replay.letters.count) dead letters would pass")
    } else {
      Terminal.print(
        "\(counts.taken) dead letters were handed in"
          + (counts.repeated > 0 ? "; \(counts.repeated) had been within the last day" : ""))
      if counts.taken > 0 {
        Terminal.print(
          "They are processed by a run over a topic of Kafka, or with --source http, that goes on or begins.")
      }
    }
    var reasons: [String: Int] = [:]
    for problem in problems { reasons[problem.message, default: 0] += 1 }
    for (reason, count) in reasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }).prefix(10) {
      Terminal.print("  \(count) would not pass: \(reason)")
    }
    if replay.looped > 0 {
      Terminal.print("  \(replay.looped) have come again before and failed again: repair them, or add --again")
    }
    if replay.partial > 0 { Terminal.print("  \(replay.partial) are kept in part only: repair them") }
    if replay.letters.count + replay.looped + replay.partial >= DeadLetterReplay.most {
      Terminal.print(
        "Only the last \(DeadLetterReplay.most) were looked at: narrow them with --reason, --since and --until.")
    }
  }
}
