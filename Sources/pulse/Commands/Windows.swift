// `pulse windows`: windowed aggregates, newest first.

import ArgumentParser
import Connectors
import Detection

struct Windows: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List windows with their aggregates, newest first.",
    discussion: "Example: pulse windows --data data --window instance_stats --since 2024-03-02 --json")

  @OptionGroup var options: ListOptions

  @Option(help: "Only windows of this definition.")
  var window: String?

  func run() throws {
    var filter = options.filter
    filter.name = window
    let windows = try options.reader.windows(filter)
    if options.json { return options.printJSON(windows.map(\.json)) }
    if windows.isEmpty { return Terminal.print("No windows match.") }
    var table = TextTable([
      ("start", .left), ("window", .left), ("by", .left), ("state", .left), ("events", .right), ("aggregates", .left),
    ])
    for window in windows {
      table.add([
        Timestamp.format(window.start), window.window, plain(window.by), window.closed ? "closed" : "open",
        Int(window.events).grouped, plain(window.aggregates),
      ])
    }
    Terminal.print(table.text)
  }

  /// A flat JSON object as a person reads it.
  private func plain(_ json: String) -> String {
    String(json.dropFirst().dropLast()).replacing("\"", with: "").replacing(",", with: "  ").replacing(":", with: "=")
  }
}
