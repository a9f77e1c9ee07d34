// Style as a test: who may import whom, how long files and functions may be, and calls that are not made. Reads the
// sources as text; what the compiler checks is not repeated here.

import Foundation
import Testing

/// A Swift file of the project.
struct SourceFile: CustomTestStringConvertible {
  let path: String
  let lines: [String]
  /// The lines without what stands in them as a string or a comment.
  let code: [String]

  init(path: String, lines: [String]) {
    self.path = path
    self.lines = lines
    code = lines.map(Self.code)
  }

  var testDescription: String { path }

  /// The target the file belongs to: `Detection` of `Sources/Detection/Event/Column.swift`.
  var target: String { String(path.split(separator: "/")[1]) }

  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  static let all: [SourceFile] = ["Sources", "Tests", "Benchmarks"].flatMap { folder -> [SourceFile] in
    let names = FileManager.default.enumerator(atPath: root + "/" + folder)?.allObjects as? [String] ?? []
    // What protoc generates is not written by hand, nor held to what hands are.
    let written = names.filter { $0.hasSuffix(".swift") && !$0.hasSuffix(".pb.swift") && !$0.contains(".build") }
    return written.sorted().compactMap { name in
      guard let text = try? String(contentsOfFile: "\(root)/\(folder)/\(name)", encoding: .utf8) else { return nil }
      return SourceFile(path: "\(folder)/\(name)", lines: text.components(separatedBy: "\n"))
    }
  }

  static let product = all.filter { $0.path.hasPrefix("Sources/") }

  /// The modules the file imports.
  var imports: [String] {
    lines.compactMap { line in
      let words = line.split(separator: " ").map(String.init)
      guard let index = words.firstIndex(of: "import"), index + 1 < words.count, index <= 2,
        words[..<index].allSatisfy({
          ["public", "package", "internal", "private", "fileprivate"].contains($0) || $0.hasPrefix("@")
        })
      else { return nil }
      return words[index + 1].split(separator: ".").first.map(String.init)
    }
  }

  /// The line without what stands in it as a string or a comment.
  static func code(_ line: String) -> String {
    let (quote, backslash, slash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"))
    let bytes = Array(line.utf8)
    var code: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == slash, index + 1 < bytes.count, bytes[index + 1] == slash { break }
      code.append(bytes[index])
      index += 1
      guard code.last == quote else { continue }
      // A string that does not end in the line has several, and stays.
      var end = index
      while end < bytes.count, bytes[end] != quote { end += bytes[end] == backslash ? 2 : 1 }
      guard end < bytes.count else { continue }
      code.append(quote)
      index = end + 1
    }
    return String(decoding: code, as: UTF8.self)
  }
}

@Suite("Tidy")
struct TidyTests {
  /// What each target may import of the product. An arrow that is not here does not exist.
  static let arrows: [String: Set<String>] = [
    "Detection": ["CSimdjson"],
    "Configuration": ["Detection"],
    "Pipeline": ["Configuration", "Detection"],
    "Connectors": [
      "Configuration", "Detection", "Pipeline", "CArrow", "CCompression", "CKafkaLibrary", "CPostgreSQLLibrary",
    ],
    "Learning": ["Detection", "Pipeline", "COnnxRuntime"],
    "Operations": ["Configuration", "Detection", "Pipeline", "Connectors", "Learning"],
    "Server": [
      "Configuration", "Detection", "Pipeline", "Connectors", "Learning", "Operations", "CCompression",
    ],
    "pulse": ["Configuration", "Detection", "Pipeline", "Connectors", "Learning", "Operations", "Server"],
  ]

  @Test("there is something to check")
  func sourcesAreFound() {
    #expect(SourceFile.product.count > 50)
    #expect(Set(SourceFile.product.map(\.target)).isSuperset(of: Self.arrows.keys))
  }

  @Test("targets import only what the architecture allows", arguments: SourceFile.product)
  func importDirection(_ file: SourceFile) {
    let ours = Set(Self.arrows.keys).union([
      "CSimdjson", "CArrow", "CCompression", "COnnxRuntime", "CKafkaLibrary", "CPostgreSQLLibrary", "Batch",
    ])
    let imported = Set(file.imports).intersection(ours)
    #expect(imported.subtracting(Self.arrows[file.target] ?? []).isEmpty, "\(file.path) imports \(imported)")
  }

  @Test("YAML is read in one place")
  func yamlIsReadInOnePlace() {
    let readers = SourceFile.all.filter { !Set($0.imports).isDisjoint(with: ["Yams", "CYaml"]) }
    #expect(!readers.isEmpty)
    for file in readers where !file.path.hasPrefix("Sources/Configuration/YAML/") {
      Issue.record(
        "\(file.path) reads YAML by itself: use YAMLLoader, which has bounds and knows where everything stands")
    }
  }

  @Test("the core is pure: no Foundation, no clock, no locks, no async")
  func coreIsPure() {
    let banned = [
      "Foundation", "Dispatch", "Synchronization", "async ", "await ", "Task {", "ContinuousClock", "SystemClock",
      "Mutex",
      "SystemRandomNumberGenerator",
    ]
    for file in SourceFile.product where file.target == "Detection" {
      for module in file.imports {
        #expect(
          ["CSimdjson", "Glibc", "Musl", "Darwin", "Detection"].contains(module), "\(file.path) imports \(module)")
      }
      for (index, code) in file.code.enumerated() {
        for word in banned where code.contains(word) {
          Issue.record("\(file.path):\(index + 1) uses \(word) in the core")
        }
      }
    }
  }

  @Test("every package that is used is named with its licence")
  func thirdParties() throws {
    let resolved = try String(contentsOfFile: SourceFile.root + "/Package.resolved", encoding: .utf8)
    let notices = try String(contentsOfFile: SourceFile.root + "/THIRD-PARTY.md", encoding: .utf8)
    let packages = resolved.matches(of: /"location" : "([^"]+)"/).map { $0.1.replacing(/\.git$/, with: "") }
    #expect(packages.count > 5)
    for package in packages { #expect(notices.contains("](\(package))"), "\(package) is not in THIRD-PARTY.md") }
  }

  @Test("files are short", arguments: SourceFile.all)
  func fileLength(_ file: SourceFile) {
    #expect(file.lines.count <= 501, "\(file.path) has \(file.lines.count - 1) lines, at most 500")
  }

  @Test("files say what they are", arguments: SourceFile.product)
  func filesOpenWithAComment(_ file: SourceFile) {
    #expect(file.lines.first?.hasPrefix("// ") == true, "\(file.path) does not open with what it is")
  }

  @Test("functions are short", arguments: SourceFile.product)
  func functionLength(_ file: SourceFile) {
    for (name, line, length) in Self.functions(in: file) where length > 80 {
      Issue.record("\(file.path):\(line) \(name) has \(length) lines, at most 80")
    }
  }

  @Test("pipeline stays readable in one sitting")
  func pipelineIsShort() throws {
    let file = try #require(SourceFile.product.first { $0.path == "Sources/Pipeline/Pipeline.swift" })
    #expect(file.lines.count <= 151, "Pipeline.swift has \(file.lines.count - 1) lines, at most 150")
  }

  @Test("banned calls are not made", arguments: SourceFile.product)
  func bannedCalls(_ file: SourceFile) {
    let banned: [(pattern: String, instead: String)] = [
      ("fatalError(", "a thrown error or a precondition with a sentence"), ("try!", "try"), ("as!", "a checked cast"),
      ("TODO", "an issue"), ("FIXME", "an issue"), ("NSLock(", "Mutex"),
    ]
    let definesPrint = file.lines.contains { $0.contains("func print(") }
    for (index, code) in file.code.enumerated() {
      for (pattern, instead) in banned where code.contains(pattern) {
        Issue.record("\(file.path):\(index + 1) uses \(pattern): use \(instead)")
      }
      if code.contains(" print(") || code.hasPrefix("print("), file.target != "pulse", !definesPrint {
        Issue.record("\(file.path):\(index + 1) prints: only the command does")
      }
      if code.contains("Date()"), file.target != "pulse" {
        Issue.record("\(file.path):\(index + 1) reads the clock: take it as a parameter")
      }
    }
  }

  @Test("unsafe code says why it is safe", arguments: SourceFile.product)
  func unsafeCodeIsExplained(_ file: SourceFile) {
    for line in Self.unexplainedUnsafeLines(in: file) {
      Issue.record("\(file.path):\(line) is unsafe and no SAFETY comment stands within 12 lines above it")
    }
  }

  /// The lines, from 1, that open an unsafe use without a comment on or shortly above them. Parameters of unsafe types
  /// open nothing: who makes the pointer has to say why it is safe.
  static func unexplainedUnsafeLines(in file: SourceFile) -> [Int] {
    let words = [
      "withUnsafe", "unsafeUninitialized", "unsafeBitCast", "unsafeDowncast", "assumingMemoryBound", "bindMemory",
      "withMemoryRebound", "_unsafe", "Unmanaged", "@unchecked Sendable", "nonisolated(unsafe)",
    ]
    // A pointer is made or allocated, or stored.
    let made = #/Unsafe\w*Pointer(<.*>)?(\.allocate)?\(/#
    let stored = #/^ *(@?\w+(\(\w+\))? )*(let|var) \w+: [^={]*Unsafe\w*Pointer/#
    return file.lines.indices.compactMap { index in
      let code = file.code[index]
      let isUnsafe = words.contains { code.contains($0) } || code.contains(made) || code.contains(stored)
      let above = file.lines[max(0, index - 12)...index]
      return isUnsafe && !above.contains { $0.contains("SAFETY:") } ? index + 1 : nil
    }
  }

  @Test("the checks notice what they are for")
  func canary() {
    let long = SourceFile(
      path: "Sources/Detection/Long.swift",
      lines: ["// Long.", "public import Foundation", "  func f() {"] + Array(repeating: "    x()", count: 90) + ["  }"]
    )
    #expect(long.imports == ["Foundation"])
    #expect(Self.functions(in: long).map(\.length) == [92])
    let unsafe = SourceFile(
      path: "Sources/Detection/Unsafe.swift",
      lines: [
        "// Unsafe.", "  func f(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafePointer<Int>) -> Void) {",
        "    x.withUnsafeBytes { f($0) }", "  private let memory: UnsafeMutablePointer<UInt8>",
        "    let p = UnsafeMutablePointer<UnsafePointer<Int>?>.allocate(capacity: 1)", "    // SAFETY: a reason.",
        "    let q = UnsafeRawBufferPointer(start: p, count: 1)",
      ])
    #expect(Self.unexplainedUnsafeLines(in: unsafe) == [3, 4, 5])
    #expect(SourceFile.code(#"let a = "fatalError(" // fatalError("#) == #"let a = "" "#)
  }

  /// Functions and initialisers by the indentation of their braces, with their lengths in lines.
  static func functions(in file: SourceFile) -> [(name: String, line: Int, length: Int)] {
    var result: [(String, Int, Int)] = []
    var open: [(indent: Int, name: String, line: Int)] = []
    for (index, line) in file.lines.enumerated() {
      let indent = line.prefix { $0 == " " }.count
      let code = line.dropFirst(indent)
      if code.hasPrefix("}"), let last = open.last, last.indent == indent {
        open.removeLast()
        result.append((last.name, last.line, index - last.line + 2))
      }
      let words = code.split(whereSeparator: { " (".contains($0) })
      let isFunction =
        words.prefix(6).contains("func")
        || words.prefix(4).contains { $0 == "init" || $0 == "init?" || $0.hasPrefix("init<") }
      if isFunction && !code.hasPrefix("//") && !code.hasPrefix("///") && !(line.hasSuffix("}") && line.contains("{")) {
        open.removeAll { $0.indent >= indent }
        open.append((indent, String(code.prefix(60)), index + 1))
      }
    }
    return result
  }
}
