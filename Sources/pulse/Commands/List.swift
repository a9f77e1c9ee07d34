// `pulse list`: what there is to use, straight from the catalogues.

import ArgumentParser
import Connectors
import Detection

struct List: ParsableCommand {
  enum What: String, ExpressibleByArgument, CaseIterable { case detectors, functions, sources, sinks }

  static let configuration = CommandConfiguration(
    abstract: "List detectors, functions, sources or sinks.", discussion: "Example: pulse list functions")

  @Argument(help: "detectors, functions, sources or sinks.")
  var what: What

  @Flag(help: "Print one JSON array.")
  var json = false

  func run() throws {
    let entries: [CatalogEntry] =
      switch what {
      case .detectors: DetectorCatalog.entries.map { $0.catalogEntry }
      case .functions: FunctionCatalog.entries.map { $0.catalogEntry }
      case .sources: SourceCatalog.entries.map { $0.catalogEntry }
      case .sinks: SinkCatalog.entries.map { $0.catalogEntry }
      }
    _ = entries
  }
}
