// `pulse list`: what there is to use, straight from the catalogues.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation

struct List: ParsableCommand {
  enum What: String, ExpressibleByArgument, CaseIterable { case detectors, functions, sources, sinks }

  static let configuration = CommandConfiguration(
    abstract: "List detectors, functions, sources or sinks.", discussion: "Example: pulse list functions")

  @Argument(help: "detectors, functions, sources or sinks.")
  var what: What

  @Flag(help: "Print one JSON array.")
  var json = false

  func run() throws {
    let entries = Self.entries(of: what)
    if json {
      let data = try JSONEncoder.sorted.encode(entries)
      return Terminal.print(json: String(decoding: data, as: UTF8.self))
    }
    var table = TextTable([(String(what.rawValue.dropLast()), .left), ("what it does", .whole)])
    for entry in entries {
      table.add([entry.name, (entry.available ? "" : "(not available yet) ") + entry.summary])
      for detail in entry.details { table.add(["", "  " + detail]) }
    }
    Terminal.print(table.text(width: nil))
  }

  /// One entry of a catalogue.
  struct Entry: Encodable {
    var name: String
    var summary: String
    var available = true
    /// Parameters, signatures or options.
    var details: [String] = []
  }

  static func entries(of what: What) -> [Entry] {
    switch what {
    case .detectors:
      DetectorCatalog.standard.descriptors.map { detector in
        Entry(
          name: detector.type, summary: detector.summary, available: detector.isAvailable,
          details: detector.parameters.map { parameter in
            "\(parameter.name) (\(parameter.type)\(parameter.defaultValue.map { ", default \($0)" } ?? "")): "
              + parameter.meaning
          })
      }
    case .functions:
      FunctionCatalog.all.map { function in
        Entry(
          name: function.name, summary: function.summary,
          details: function.signatures.map { $0.text(function.name) } + (function.notes.isEmpty ? [] : [function.notes])
        )
      }
    case .sources: SourceCatalog.section.connectors.sorted { $0.name < $1.name }.map(entry)
    case .sinks: SinkCatalog.all.map(entry)
    }
  }

  private static func entry(_ connector: ConnectorSpecification) -> Entry {
    let chosen: [String] =
      switch connector.argument {
      case .word(let word): ["--source \(word)"]
      case .address(let scheme, of: _): ["--source \(scheme)://HOST:PORT/TOPIC"]
      case .values: ["--source PATH"]
      case nil: []
      }
    return Entry(
      name: connector.name, summary: connector.summary, available: connector.isAvailable,
      details: chosen + connector.settings.compactMap(\.help))
  }
}

extension JSONEncoder {
  /// Pretty, with keys in a fixed order.
  fileprivate static var sorted: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return encoder
  }
}
