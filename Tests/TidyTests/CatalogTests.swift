// Catalogues as a test: what a connector or a type of detector touches is its folders and a line of each catalogue.

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
    let known = [
      "FileSource", "StandardInputSource", "SimulatorSource", "ArrowHistory", "SQLiteStore", "PostgreSQLStore",
    ]
    for file in SourceFile.product where file.target == "Configuration" || file.path.hasSuffix("Commands/Run.swift") {
      for (index, line) in file.code.enumerated() {
        for word in SourceFile.words(of: line) where known.contains(word.text) {
          Issue.record("\(file.path):\(index + 1) knows \(word.text)")
        }
      }
      // Names of connectors and of their settings stand in strings; those of examples in comments and help are none.
      for name in [
        "\"files\"", "\"stdin\"", "\"simulator\"", "\"sqlite\"", "\"postgresql\"", "\"arrow\"", "\"csv_delimiter\"",
        "\"follow\"",
      ] {
        #expect(!file.lines.contains { $0.contains(name) }, "\(file.path) names the connector or setting \(name)")
      }
    }
  }

  /// What a file declares that a type of detector is made of: what a use case says of it, what scores, what is fitted.
  static let detectorProtocols = ["DetectorParameters", "ModelScorer", "ModelFormat", "DetectorTrainer"]

  /// Types that conform to one of the protocols, by the folder of the type of detector.
  static func detectorTypes(in files: [SourceFile]) -> [String: Set<String>] {
    var types: [String: Set<String>] = [:]
    for file in files {
      let parts = file.path.split(separator: "/")
      guard parts.count == 5, parts[2] == "Detectors" else { continue }
      for line in file.code where line.first?.isLetter == true {
        let words = SourceFile.words(of: line).map(\.text)
        guard let place = words.firstIndex(where: { ["struct", "extension"].contains($0) }),
          words.dropFirst(place + 2).contains(where: { detectorProtocols.contains($0) })
        else { continue }
        types[String(parts[3]), default: []].insert(words[place + 1])
      }
    }
    return types
  }

  @Test("a learned detector is known to its folders and to a catalogue of each target that has a part in it")
  func detectorsTouchTheirFolders() {
    let types = Self.detectorTypes(in: SourceFile.product)
    #expect(types.keys.sorted() == ["ExpectedValue", "IsolationForest", "ONNX"])
    for (folder, names) in types {
      #expect(names.count == 3, "\(folder): \(names)")
      let others = SourceFile.product.filter { file in
        !file.path.contains("/Detectors/\(folder)/")
          && file.code.contains { line in SourceFile.words(of: line).contains { names.contains($0.text) } }
      }
      #expect(
        others.map(\.path) == ["Sources/Detection/DetectorCatalog.swift", "Sources/Learning/LearningCatalog.swift"],
        "\(folder)")
    }
  }

  @Test("nobody else names a type of learned detector", arguments: ["expected_value", "isolation_forest", "onnx"])
  func typesAreNamedOnce(_ type: String) {
    let files = SourceFile.product.filter { file in file.lines.contains { $0.contains("\"\(type)\"") } }
    #expect(files.count == 1 && files.allSatisfy { $0.path.hasPrefix("Sources/Detection/Detectors/") }, "\(files)")
  }

  @Test("the keys of each type of learned detector are documented")
  func keysAreDocumented() throws {
    let page = try #require(Page.all.first { $0.path == "docs/use-cases.md" })
    for file in SourceFile.product where file.path.hasPrefix("Sources/Detection/Detectors/") {
      guard file.path.hasSuffix("Definition.swift") else { continue }
      let text = file.lines.joined(separator: "\n")
      // A key is the first argument of a parameter.
      let keys = text.matches(of: /(?:\.init|\.number|\.integer|name)\(\s*"([a-z_]+)"/).map { String($0.1) }
      #expect(keys.count >= 3, "\(file.path)")
      for key in keys { #expect(page.text.contains("`\(key)`") || page.text.contains("\(key):"), "\(key)") }
    }
  }

  @Test("the check notices what it is for")
  func canary() {
    let own = SourceFile(path: "Sources/Connectors/Own/A.swift", lines: ["// A.", "struct OwnConnector {}"])
    let other = SourceFile(
      path: "Sources/pulse/B.swift", lines: ["// B.", "let b = OwnConnector()", "let c = Owner()"])
    #expect(Self.files(naming: "OwnConnector", beside: "Own", among: [own, other]) == ["Sources/pulse/B.swift"])
    let detector = SourceFile(
      path: "Sources/Detection/Detectors/Own/A.swift",
      lines: ["// A.", "extension OwnScorer: ModelScorer {", "}", "struct Helper {}"])
    #expect(Self.detectorTypes(in: [detector, own]) == ["Own": ["OwnScorer"]])
  }
}
