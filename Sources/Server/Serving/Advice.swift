// Advice: Markdown in the folder of a use case (`advice/<problem>.md`, a detector or a class), with figures filled in where it
// has braces:
//
//   {total} {events} {span}             how many, of how many events, in how long
//   {then}                              ", 304 the day before"; nothing without a span before
//   {worst} {worst.count} {worst.then}  the entity with the largest increase, and its numbers
//   {worst.path}                        the address of its view
//   {count(…)} {percent(…)}             how many of the anomalies meet a condition, in the language of rules
//
// A line of a list that would say nothing (a count is 0, there is no worst entity) is left out, and lists are numbered anew.

import Detection
import Foundation

/// A text of advice.
struct Advice: Sendable {
  /// What fills the braces.
  struct Figures: Sendable {
    var total: Int
    var previous: Int?
    var events: Int
    /// "24 h".
    var span: String
    /// "the day before".
    var before: String
    var worst: (name: String, count: Int, previous: Int?, path: String)?
  }

  /// A line of the text.
  private struct Line: Sendable {
    var parts: [Part]
    /// Whether it is one of a numbered list.
    var isItem: Bool
    var isHeading: Bool
  }

  private let lines: [Line]
  /// Conditions in the text, each once, in the order in which they come.
  let conditions: [String]

  /// - Throws: `OperatingError` where a condition is wrong.
  init(_ text: String, scope: Scope, path: String) throws {
    lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      Line(
        parts: Self.parts(of: String(line)),
        isItem: line.first?.isNumber == true && line.drop(while: \.isNumber).hasPrefix(". "),
        isHeading: line.hasPrefix("#"))
    }
    var conditions: [String] = []
    for part in lines.flatMap(\.parts) {
      guard case .figure(let name) = part, let condition = Self.condition(in: name), !conditions.contains(condition)
      else { continue }
      do { _ = try Detection.Expression(condition, scope: scope, expected: .bool) } catch {
        throw OperatingError(.configuration, "\(path): the condition `\(condition)` is wrong: \(error)")
      }
      conditions.append(condition)
    }
    guard conditions.count <= AnomalyConditions.most else {
      throw OperatingError(
        .configuration, "\(path) has \(conditions.count) conditions, expected at most \(AnomalyConditions.most)")
    }
    self.conditions = conditions
  }

  /// The text with its figures.
  /// - Parameter counts: of the anomalies those that meet each of the conditions, in their order.
  func filled(_ figures: Figures, counts: [Int]) -> String {
    let counts = Dictionary(zip(conditions, counts), uniquingKeysWith: { first, _ in first })
    var filled: [String] = []
    var number = 0
    for line in lines {
      var isVoid = false
      var text = line.parts.map { part -> String in
        switch part {
        case .text(let text): return text
        case .figure(let name):
          guard let value = Self.value(of: name, figures, counts) else {
            isVoid = true
            return ""
          }
          return value
        }
      }.joined()
      if line.isItem {
        if isVoid { continue }
        number += 1
        text = "\(number)" + text.drop(while: \.isNumber)
      } else if line.isHeading {
        number = 0
      }
      filled.append(text)
    }
    return filled.joined(separator: "\n")
  }

  /// What a name in braces stands for; nil where there is nothing to say.
  private static func value(of name: String, _ figures: Figures, _ counts: [String: Int]) -> String? {
    func then(_ count: Int?) -> String { count.map { ", \(Headline.count($0)) \(figures.before)" } ?? "" }
    switch name {
    case "total": return Headline.count(figures.total)
    case "events": return Headline.count(figures.events)
    case "span": return figures.span
    case "then": return then(figures.previous)
    case "worst": return figures.worst?.name
    case "worst.count": return figures.worst.map { Headline.count($0.count) }
    case "worst.then": return figures.worst.map { then($0.previous) }
    case "worst.path": return figures.worst?.path
    default:
      guard let condition = condition(in: name), let count = counts[condition], count > 0 else { return nil }
      if name.hasPrefix("count") { return Headline.count(count) }
      return "\(Int((100 * Double(count) / Double(max(1, figures.total))).rounded()))\u{202F}%"
    }
  }

  private static func condition(in name: String) -> String? {
    for function in ["count(", "percent("] where name.hasPrefix(function) && name.hasSuffix(")") {
      return String(name.dropFirst(function.count).dropLast())
    }
    return nil
  }

  private enum Part: Sendable {
    case text(String)
    case figure(String)
  }

  private static func parts(of text: String) -> [Part] {
    var parts: [Part] = []
    var rest = text[...]
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      parts.append(.text(String(rest[..<open])))
      parts.append(.figure(String(rest[rest.index(after: open)..<close])))
      rest = rest[rest.index(after: close)...]
    }
    parts.append(.text(String(rest)))
    return parts
  }
}
