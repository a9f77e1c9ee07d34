// `pulse windows`: windowed aggregates, newest first.

import ArgumentParser
import Connectors
import Detection
import Operations
import Pipeline

struct Windows: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List windows with their aggregates, newest first.",
    discussion: "Example: pulse windows --data data --window instance_stats --since 2024-03-02 --json")

  @OptionGroup var options: ListOptions

  @Option(help: "Only windows of this definition.")
  var window: String?

  func run() async throws {
    var filter = options.filter
    filter.name = window
    let lists = try options.lists
    if options.json {
      return try await options.printJSON { add in try await lists.forEachWindow(filter) { add($0.json) } }
    }
    var windows: [StoredWindow] = []
    try await lists.forEachWindow(filter) { windows.append($0) }
    if windows.isEmpty { return Terminal.print("No windows match.") }
    var table = TextTable([
      ("start", .whole), ("window", .left), ("by", .left), ("state", .left), ("events", .right), ("aggregates", .left),
    ])
    for window in windows {
      table.add([
        Timestamp.formatWithinRange(window.start), window.window, plain(window.by), window.closed ? "closed" : "open",
        Int(window.events).grouped, plain(window.aggregates),
      ])
    }
    Terminal.print(table)
  }

  /// A flat JSON object as a person reads it.
  private func plain(_ json: String) -> String {
    FlatJSON.members(json).map { "\($0.name)=\($0.value)" }.joined(separator: "  ")
  }
}
