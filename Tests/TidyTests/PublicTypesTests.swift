// What other targets see has names: a value of several parts is a small struct, not a tuple, so that it can get another part,
// a sentence of documentation and conformances.

import Foundation
import Testing

@Suite("Public types")
struct PublicTypesTests {
  /// The lines, from 1, that declare something public whose type has a tuple of named parts. Parameters of functions are
  /// what the caller writes, and do not count.
  static func publicTuples(in file: SourceFile) -> [Int] {
    file.code.indices.filter { index in
      let code = file.code[index]
      guard code.contains("public "), !code.contains("private(set)") || code.contains("public private(set)") else {
        return false
      }
      var type: Substring
      if code.contains("func ") || code.contains("subscript") {
        guard let arrow = code.range(of: "->", options: .backwards) else { return false }
        type = code[arrow.upperBound...]
      } else if code.contains("var ") || code.contains("let ") {
        guard let colon = code.firstIndex(of: ":") else { return false }
        type = code[code.index(after: colon)...]
        for end in [" = ", " {"] { if let found = type.range(of: end) { type = type[..<found.lowerBound] } }
      } else {
        return false
      }
      return type.contains(#/\(\w+: [^()]*, \w+: /#)
    }.map { $0 + 1 }
  }

  @Test("no tuples are public", arguments: SourceFile.product.filter { $0.target != "pulse" })
  func tuples(_ file: SourceFile) {
    let lines = Self.publicTuples(in: file)
    #expect(lines.isEmpty, "\(file.path) has public tuples in lines \(lines): make them structs")
  }

  @Test("the check notices what it is for")
  func canary() {
    let file = SourceFile(
      path: "Sources/Detection/A.swift",
      lines: [
        "  public let a: [(name: String, value: Int)]", "  public func b(_ pair: (x: Int, y: Int)) -> Int {",
        "  public func c() -> (before: A, behind: A)? {", "  let d: (x: Int, y: Int)",
        "  public var e: Int { f(a: 1, b: 2) }",
        "  public static let g = h(a: 1, b: 2)",
      ])
    #expect(Self.publicTuples(in: file) == [1, 3])
  }
}
