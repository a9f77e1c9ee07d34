// Where the characters of an expression stand, in every style in which YAML can hold it; and how diagnostics look.

import Detection
import Foundation
import TestKit
import Testing

@testable import Configuration

@Suite struct ConfigurationLocationTests {
  /// The expression of the feature `f` in a document that holds it as `yaml`, which begins in line 7.
  private func expression(_ yaml: String) throws -> LocatedText {
    let text = """
      name: a
      event:
        time: t
        fields:
          t: {type: timestamp, required: true}
      features:

      """ + yaml
    return try #require(try UseCaseReader.read(text).get().features.first?.expression)
  }

  /// The place of the first `@` of the expression's text.
  private func place(of mark: Character, in text: LocatedText) throws -> Detection.SourceLocation {
    let index = try #require(text.text.firstIndex(of: mark))
    return text.location(ofOffset: text.text.utf8.distance(from: text.text.utf8.startIndex, to: index))
  }

  @Test(arguments: [
    ("  f: abc + @", 7, 12), ("  f: 'abc + @'", 7, 13), ("  f: 'a = ''x'' + @'", 7, 19), ("  f: \"a \\\" b @\"", 7, 14),
    ("  f: \"a \\u0041 \\x41 @\"", 7, 21), ("  f: |\n    abc\n     + @\n", 9, 8), ("  f: >\n    abc\n    + @", 9, 7),
    ("  f: >-\n\n    abc\n\n    + @", 11, 7), ("  f: abc\n    + d\n      + @", 9, 9), ("  f: \"abc\n    + @\"", 8, 7),
    ("  f: 'é + ü + @'", 7, 15), ("  f: |  # why\n      @", 8, 7), ("  {f: x + @}", 7, 11),
    ("  f: \"abc \\\n    d @\"", 8, 7),
  ])
  func charactersAreFoundInEveryStyle(_ yaml: String, _ line: Int, _ column: Int) throws {
    #expect(try place(of: "@", in: expression(yaml)) == Detection.SourceLocation(line: line, column: column))
  }

  @Test func theFirstCharacterIsBehindTheQuote() throws {
    #expect(try expression("  f: 'a'").location == Detection.SourceLocation(line: 7, column: 7))
    #expect(try expression("  f: a").location == Detection.SourceLocation(line: 7, column: 6))
    #expect(try expression("  f: |\n     a").location == Detection.SourceLocation(line: 8, column: 6))
  }

  @Test func renderingShowsTheLineWithACaret() {
    let diagnostic = Diagnostic(
      location: Detection.SourceLocation(line: 2, column: 4), message: "unknown name `b`", expected: "a field",
      found: "`b`",
      suggestion: "a")
    #expect(
      DiagnosticRenderer.render(diagnostic, path: "x/pipeline.yaml", source: "one\na\tébc\n")
        == """
        x/pipeline.yaml:2:4: error: unknown name `b`
          expected a field, found `b`
          did you mean `a`?
          2 | a\tébc
            |  \t ^
        """)
  }

  @Test func renderingSurvivesPlacesOutsideTheText() {
    for (line, column) in [(9, 1), (1, 900), (2, 1)] {
      let diagnostic = Diagnostic(location: Detection.SourceLocation(line: line, column: column), message: "m")
      let text = DiagnosticRenderer.render(diagnostic, path: "p", source: "short")
      #expect(text.hasPrefix("p:\(line):\(column): error: m"))
    }
    let long = String(repeating: "x", count: 1000)
    let text = DiagnosticRenderer.render(
      Diagnostic(location: Detection.SourceLocation(line: 1, column: 900), message: "m"), path: "p", source: long)
    #expect(text.split(separator: "\n").allSatisfy { $0.count < 200 })
  }

  @Test(
    arguments: [
      ("arrivl", "arrival"), ("wehn", "when"), ("SIZE", "size"), ("x", nil), ("", nil), ("completely", nil),
    ] as [(String, String?)])
  func nearestNames(_ name: String, _ expected: String?) {
    #expect(nearest(to: name, among: ["arrival", "when", "size", "type"]) == expected)
  }

  @Test func filesThatCannotBeRead() throws {
    let folder = try TestFolder()
    func message(_ name: String, _ bytes: [UInt8]?) throws -> String? {
      if let bytes { try folder.write(name, Data(bytes)) }
      return UseCaseChecker.check(path: folder / name).diagnostics.first?.message
    }
    #expect(UseCaseChecker.check(path: folder.path).diagnostics.first?.message == "this is a directory")
    #expect(try message("absent", nil) == "there is no such file")
    #expect(try message("latin", Array("name: caf".utf8) + [0xE9]) == "the file is not UTF-8")
    #expect(try message("empty", []) == "the file is empty")
    #expect(try message("huge", Array(repeating: 0x20, count: 3 << 20)) == "the file is too large")
    #expect(try message("bom", [0xEF, 0xBB, 0xBF] + Array("name: 1a".utf8)) == "the use case has no `event`")
  }

  @Test func useCasesAreFoundByDirectoryAndByName() throws {
    let root = try TestFolder()
    defer { withExtendedLifetime(root) {} }
    for name in ["UseCases/redset", "UseCases/nyc-taxi", "elsewhere"] {
      try root.write("\(name)/pipeline.yaml", "name: x")
    }
    try root.write("UseCases/broken/README.md", "no use case")
    let locator = UseCaseLocator(currentDirectory: root.path, executable: nil)
    #expect(try locator.locate("redset").pipelineFile == "UseCases/redset/pipeline.yaml")
    #expect(try locator.locate("UseCases/redset/").directory == "UseCases/redset")
    #expect(try locator.locate("elsewhere").directory == "elsewhere")
    #expect(try locator.locate("elsewhere/pipeline.yaml").directory == "elsewhere")
    #expect(locator.available() == ["nyc-taxi", "redset"])
    func failure(_ name: String) -> String {
      do {
        return "found \(try locator.locate(name).directory)"
      } catch {
        return error.description
      }
    }
    #expect(failure("redste").contains("did you mean redset?"))
    #expect(failure("UseCases/broken").contains("has no pipeline.yaml"))
    #expect(failure("zzz").contains("there are nyc-taxi, redset"))
    // From a binary in the build folder of a package, wherever it is started.
    let elsewhere = UseCaseLocator(
      currentDirectory: "/", executable: try root.write(".build/release/pulse", "a program"))
    #expect(try elsewhere.locate("redset").directory.hasSuffix("/UseCases/redset"))
  }
}
