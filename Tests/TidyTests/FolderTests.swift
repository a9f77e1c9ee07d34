// Rooms as a test: within a target, folders stand in an order, and a file names types and functions of its own folder and
// of those before it only. Reads the sources as text: what is declared at the outermost level of a file belongs to its
// folder, and a word of another file is taken for it.

import Foundation
import Testing

/// The folders of a target from the ground up.
struct FolderOrder: Sendable, CustomTestStringConvertible {
  let target: String
  /// Paths within the target; "" is what stands beside the folders. A folder speaks for those within it that are not named.
  let folders: [String]
  var testDescription: String { target }

  static let all = [
    FolderOrder(
      target: "Detection",
      folders: [
        "Base", "Event", "Expressions", "Decoding", "Definition", "Features", "Keys", "Metrics", "State", "EventTime",
        "Windows/Aggregates", "Windows", "Detectors", "Detectors/Trees", "Detectors/Learned", "Detectors/Profiles",
        "Detectors/Rules", "Detectors/IsolationForest", "Detectors/ExpectedValue", "Detectors/ONNX", "",
      ]),
    FolderOrder(target: "Configuration", folders: ["YAML", "UseCases", "Inference", "Runtime"]),
    FolderOrder(
      target: "Pipeline",
      folders: ["Contracts", "Reading", "Actions", "Outgoing", "Models", "", "Scenarios"]),
    FolderOrder(
      target: "Connectors",
      folders: [
        "DataDirectory", "Contracts", "Simulation", "Arrow", "Files", "HTTP", "Kafka", "Stored", "SQLite", "PostgreSQL",
        "Embedded", "",
      ]),
    FolderOrder(
      target: "Server",
      folders: [
        "API", "Outgoing", "Access", "Figures", "Serving", "Metrics", "HTTP", "Notifications", "Live", "Jobs", "Routes",
        "",
      ]),
    FolderOrder(
      target: "Learning",
      folders: [
        "Native", "ONNX", "LightGBM", "Registry", "Training", "Detectors/IsolationForest", "Detectors/ExpectedValue",
        "Detectors/ONNX", "",
      ]),
  ]

  /// The place of a file's folder in the order; nil where the order does not know it.
  func rank(of file: SourceFile) -> Int? {
    var folder = (file.path as NSString).deletingLastPathComponent.dropFirst("Sources/\(target)".count)
    if folder.first == "/" { folder = folder.dropFirst() }
    while !folder.isEmpty {
      if let rank = folders.firstIndex(of: String(folder)) { return rank }
      folder = folder.lastIndex(of: "/").map { folder[..<$0] } ?? ""
    }
    return (file.path as NSString).deletingLastPathComponent == "Sources/\(target)" ? folders.firstIndex(of: "") : nil
  }

  /// Where a file names what is declared in a folder after its own, or lies in a folder without a place.
  func violations(in files: [SourceFile]) -> [String] {
    var found: [String] = []
    var ranks: [String: Set<Int>] = [:]
    for file in files {
      guard let rank = rank(of: file) else {
        found.append("\(file.path) lies in a folder that has no place in the order of \(target)")
        continue
      }
      for name in file.declarations { ranks[name, default: []].insert(rank) }
    }
    for file in files {
      guard let own = rank(of: file) else { continue }
      // A name that is declared in a folder before, or within a type of this file, may be meant.
      let nested = file.nestedDeclarations
      for (index, line) in file.code.enumerated() {
        for word in SourceFile.words(of: line) where word.isFree {
          guard let least = ranks[word.text]?.min(), least > own, !nested.contains(word.text) else { continue }
          found.append("\(file.path):\(index + 1) names \(word.text) of \(folders[least]), which stands above it")
        }
      }
    }
    return found
  }
}

extension SourceFile {
  private static let kinds: Set<String> = ["struct", "class", "enum", "protocol", "actor", "typealias", "func"]

  /// Types, protocols and functions of the outermost level that other files can see.
  var declarations: Set<String> {
    Set(
      code.compactMap { line in
        guard let first = line.utf8.first, first != UInt8(ascii: " ") else { return nil }
        let words = Self.words(of: line).map(\.text)
        guard !words.contains("private"), !words.contains("fileprivate"), !words.contains("extension") else {
          return nil
        }
        return words.firstIndex { Self.kinds.contains($0) }.flatMap {
          words.indices.contains($0 + 1) ? words[$0 + 1] : nil
        }
      })
  }

  /// Types within others, and parameters of types: they hide what is declared outside.
  var nestedDeclarations: Set<String> {
    var names: Set<String> = []
    for line in code {
      let words = Self.words(of: line)
      for (index, word) in words.enumerated().dropFirst() where Self.kinds.contains(words[index - 1].text) {
        names.insert(word.text)
      }
      for word in words where word.isParameter { names.insert(word.text) }
    }
    return names
  }

  /// A word of a line of code.
  struct Word {
    let text: String
    /// Whether it stands behind a point, as a member does.
    let isMember: Bool
    let isCalled: Bool
    /// Whether it stands as `<Word` or `, Word:` do, which introduce a type's parameter.
    let isParameter: Bool

    /// Whether it may name a type or a function of the outermost level.
    var isFree: Bool { !isMember && (isCalled || text.first?.isUppercase == true) }
  }

  static func words(of line: String) -> [Word] {
    let bytes = Array(line.utf8)
    func isWord(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    var words: [Word] = []
    var index = 0
    while index < bytes.count {
      guard isWord(bytes[index]) else {
        index += 1
        continue
      }
      let start = index
      while index < bytes.count, isWord(bytes[index]) { index += 1 }
      let before = start > 0 ? bytes[start - 1] : 0
      let after = index < bytes.count ? bytes[index] : 0
      words.append(
        Word(
          text: String(decoding: bytes[start..<index], as: UTF8.self), isMember: before == UInt8(ascii: "."),
          isCalled: after == UInt8(ascii: "("),
          isParameter: before == UInt8(ascii: "<") && (after == UInt8(ascii: ":") || after == UInt8(ascii: ">"))))
    }
    return words
  }
}

@Suite("Folders")
struct FolderTests {
  @Test("folders name only what stands below them", arguments: FolderOrder.all)
  func order(_ order: FolderOrder) {
    let files = SourceFile.product.filter { $0.target == order.target }
    #expect(!files.isEmpty)
    for violation in order.violations(in: files) { Issue.record("\(violation)") }
  }

  @Test("each folder of an order is there", arguments: FolderOrder.all)
  func folders(_ order: FolderOrder) {
    let ranks = Set(SourceFile.product.filter { $0.target == order.target }.compactMap { order.rank(of: $0) })
    #expect(ranks == Set(order.folders.indices), "\(order.target): a folder of the order has no file")
  }

  @Test("the check notices what it is for")
  func canary() {
    let order = FolderOrder(target: "T", folders: ["Low", "High", ""])
    let low = SourceFile(
      path: "Sources/T/Low/A.swift",
      lines: ["// A.", "struct A {", "  let b: B  // C", "  struct C {}", "  let c: C", "}"])
    let high = SourceFile(
      path: "Sources/T/High/Deep/B.swift",
      lines: ["// B.", "public final class B {", "  let a = A() + \"Top\"", "}", "struct C {}", "func help() {}"])
    let top = SourceFile(
      path: "Sources/T/Top.swift", lines: ["// Top.", "enum Top { static let b = B(), c = x.help() }"])
    let lost = SourceFile(path: "Sources/T/Other/X.swift", lines: ["// X."])
    #expect(
      order.violations(in: [low, high, top]) == ["Sources/T/Low/A.swift:3 names B of High, which stands above it"])
    #expect(order.violations(in: [low, lost]).count == 1)
  }
}
