// Documentation as a test: links lead somewhere, and each decision is a dated record that the index names.

import Foundation
import Testing

/// A page of the project's documentation.
struct Page: CustomTestStringConvertible {
  let path: String
  let text: String
  var testDescription: String { path }

  static let all: [Page] = {
    let root = SourceFile.root
    let top = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    let inFolders = ["docs", "UseCases", "Benchmarks", "Tests"].flatMap { folder in
      (FileManager.default.enumerator(atPath: "\(root)/\(folder)")?.allObjects as? [String] ?? [])
        .filter { !$0.contains(".build/") }.map { "\(folder)/\($0)" }
    }
    return (top + inFolders).filter { $0.hasSuffix(".md") }.sorted().compactMap { path in
      (try? String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)).map { Page(path: path, text: $0) }
    }
  }()

  static let decisions = all.filter { $0.path.hasPrefix("docs/decisions/") && !$0.path.hasSuffix("/README.md") }

  /// The page without what stands in it as code: there brackets are no links.
  private var prose: String {
    text.replacing(/(?s)```.*?```/, with: "").replacing(/`[^`\n]*`/, with: "x")
  }

  /// Where the page's links lead.
  var links: [String] { prose.matches(of: /\]\(([^)\s]+)\)/).map { String($0.1) } }

  /// The names by which headings are linked, as code hosts make them.
  var anchors: Set<String> {
    Set(
      text.split(separator: "\n").filter { $0.hasPrefix("#") }.map { line in
        let title = line.drop { $0 == "#" || $0 == " " }.lowercased()
        return String(
          title.compactMap { $0 == " " ? "-" : $0.isLetter || $0.isNumber || "-_".contains($0) ? $0 : nil })
      })
  }

  /// Links of the page that lead nowhere.
  var deadLinks: [String] {
    links.filter { link in
      if link.contains("://") || link.hasPrefix("mailto:") { return false }
      // Filled in where the text is shown: advice of a use case.
      if link.hasPrefix("{") { return false }
      let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if parts[0].isEmpty { return !anchors.contains(parts[1]) }
      let target = ((path as NSString).deletingLastPathComponent as NSString).appendingPathComponent(parts[0])
      let file = URL(fileURLWithPath: "\(SourceFile.root)/\(target)").standardizedFileURL
      guard FileManager.default.fileExists(atPath: file.path) else { return true }
      guard parts.count == 2 else { return false }
      guard let linked = try? String(contentsOf: file, encoding: .utf8) else { return true }
      return !Page(path: target, text: linked).anchors.contains(parts[1])
    }
  }
}

@Suite("Documentation")
struct DocumentationTests {
  @Test("links lead somewhere", arguments: Page.all)
  func links(_ page: Page) {
    #expect(page.deadLinks.isEmpty, "\(page.path) links to \(page.deadLinks)")
  }

  @Test("a decision is a dated record with its context", arguments: Page.decisions)
  func decision(_ page: Page) throws {
    let name = try #require(page.path.split(separator: "/").last)
    let day = name.prefix(10)
    #expect(name.wholeMatch(of: /\d{4}-\d{2}-\d{2}-[a-z0-9-]+\.md/) != nil, "\(page.path): YYYY-MM-DD-what.md")
    let lines = page.text.components(separatedBy: "\n")
    #expect(lines.first?.hasPrefix("# ") == true && lines.count < 60, "\(page.path): a title, and no more than a page")
    #expect(lines.dropFirst(2).first == String(day), "\(page.path): the day stands under the title")
    for part in ["**Context.** ", "**Decision.** "] {
      #expect(lines.contains { $0.hasPrefix(part) }, "\(page.path) has no \(part)")
    }
  }

  @Test("the index names every decision once, by its title")
  func index() throws {
    let index = try #require(Page.all.first { $0.path == "docs/decisions/README.md" })
    #expect(Page.decisions.count > 50)
    for page in Page.decisions {
      let name = try #require(page.path.split(separator: "/").last)
      let title = page.text.prefix { $0 != "\n" }.dropFirst(2)
      let entries = index.text.components(separatedBy: "\n").filter { $0 == "- [\(title)](\(name))" }
      #expect(entries.count == 1, "docs/decisions/README.md has no line - [\(title)](\(name))")
    }
  }

  @Test("the architecture is a page")
  func architectureIsShort() throws {
    let page = try #require(Page.all.first { $0.path == "ARCHITECTURE.md" })
    #expect(page.text.split(separator: "\n", omittingEmptySubsequences: false).count <= 150)
  }

  @Test("the checks notice what they are for")
  func canary() {
    let page = Page(
      path: "docs/a.md",
      text: """
        # A title, with `code`
        [here](#a-title-with-code) [away](#nowhere) [file](../LICENSE) [gone](gone.md) `[x](y.md)` [web](https://a.b)
        """)
    #expect(page.deadLinks == ["#nowhere", "gone.md"])
  }
}
