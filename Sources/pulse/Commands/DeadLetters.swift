// `pulse dead-letters`: events that could not be used, and why.

import ArgumentParser
import Connectors
import Detection
import Operations
import Pipeline

struct DeadLetters: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List events that could not be decoded or validated, last read first, with reason and raw bytes.",
    discussion: "Example: pulse dead-letters --data data --reason out_of_range --json")

  @OptionGroup var options: ListOptions

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

  func run() async throws {
    var filter = options.filter
    filter.name = reason
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
