// Catalogues as a test: what a connector touches is its folder and a line of the catalogue.

import Testing

@Suite("Catalogues")
struct CatalogTests {
  /// Files that know a connector by the name of its type, beside its folder.
  static func files(naming type: String, beside folder: String, among files: [SourceFile]) -> [String] {
    files.filter { file in
      !file.path.hasPrefix("Sources/Connectors/\(folder)/")
        && file.code.contains { line in SourceFile.words(of: line).contains { $0.text == type } }
    }.map(\.path)
  }

  static let connectors: [(type: String, folder: String, catalog: String)] = SourceFile.product.flatMap { file in
    file.declarations.filter { $0.hasSuffix("Connector") }.sorted().compactMap {
      let parts = file.path.split(separator: "/")
      guard file.target == "Connectors", parts.count == 4, parts[2] != "Contracts" else { return nil }
      let isSource = file.code.contains { $0.contains(": SourceConnector") }
      return ($0, String(parts[2]), "Sources/Connectors/\(isSource ? "SourceCatalog" : "SinkCatalog").swift")
    }
  }

  @Test("a connector is known to its folder and to the catalogue")
  func connectorsTouchTwoPlaces() {
    #expect(Self.connectors.count >= 5)
    for (type, folder, catalog) in Self.connectors {
      #expect(Self.files(naming: type, beside: folder, among: SourceFile.product) == [catalog], "\(type)")
    }
  }

  @Test("the command and the configuration know no source, store or file of history")
  func nobodyElseKnowsThem() {
    let known = ["FileSource", "StandardInputSource", "SimulatorSource", "ArrowHistory", "SQLiteStore"]
    for file in SourceFile.product where file.target == "Configuration" || file.path.hasSuffix("Commands/Run.swift") {
      for (index, line) in file.code.enumerated() {
        for word in SourceFile.words(of: line) where known.contains(word.text) {
          Issue.record("\(file.path):\(index + 1) knows \(word.text)")
        }
      }
      // Names of connectors and of their settings stand in strings; those of examples in comments and help are none.
      for name in [
        "\"files\"", "\"stdin\"", "\"simulator\"", "\"sqlite\"", "\"arrow\"", "\"csv_delimiter\"", "\"follow\"",
      ] {
        #expect(!file.lines.contains { $0.contains(name) }, "\(file.path) names the connector or setting \(name)")
      }
    }
  }

  @Test("the check notices what it is for")
  func canary() {
    let own = SourceFile(path: "Sources/Connectors/Own/A.swift", lines: ["// A.", "struct OwnConnector {}"])
    let other = SourceFile(
      path: "Sources/pulse/B.swift", lines: ["// B.", "let b = OwnConnector()", "let c = Owner()"])
    #expect(Self.files(naming: "OwnConnector", beside: "Own", among: [own, other]) == ["Sources/pulse/B.swift"])
  }
}
