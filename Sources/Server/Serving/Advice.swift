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

  private let text: String
  /// Conditions in the text, compiled.
  private let conditions: [String: Detection.Expression]

  /// - Throws: `OperatingError` where a condition is wrong.
  init(_ text: String, scope: Scope, path: String) throws {
    self.text = text
    var conditions: [String: Detection.Expression] = [:]
    for part in Self.parts(of: text) {
      guard case .figure(let name) = part, let condition = Self.condition(in: name) else { continue }
      do { conditions[condition] = try Detection.Expression(condition, scope: scope, expected: .bool) } catch {
        throw OperatingError(.configuration, "\(path): the condition `\(condition)` is wrong: \(error)")
      }
    }
    self.conditions = conditions
  }

  /// Whether events are needed to fill it in.
  var needsEvents: Bool { !conditions.isEmpty }

  /// The text with its figures.
  /// - Parameter batches: the events of the anomalies, with features.
  func filled(_ figures: Figures, over batches: [EventBatch]) -> String {
    var counts: [String: Int] = [:]
    for (condition, expression) in conditions {
      counts[condition] = batches.reduce(0) { sum, batch in
        var failures = 0
        return sum + expression.matches(batch.columns, count: batch.count, failures: &failures).setCount
      }
    }
    var lines: [String] = []
    var number = 0
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      var isVoid = false
      var filled = Self.parts(of: String(line)).map { part -> String in
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
      let isItem = line.first?.isNumber == true && line.drop(while: \.isNumber).hasPrefix(". ")
      if isItem {
        if isVoid { continue }
        number += 1
        filled = "\(number)" + filled.drop(while: \.isNumber)
      } else if line.hasPrefix("#") {
        number = 0
      }
      lines.append(filled)
    }
    return lines.joined(separator: "\n")
  }

  /// What a name in braces stands for; nil where there is nothing to say.
  private static func value(of name: String, _ figures: Figures, _ counts: [String: Int]) -> String? {
    func then(_ count: Int?) -> String { count.map { ", \(grouped($0)) \(figures.before)" } ?? "" }
    switch name {
    case "total": return grouped(figures.total)
    case "events": return grouped(figures.events)
    case "span": return figures.span
    case "then": return then(figures.previous)
    case "worst": return figures.worst?.name
    case "worst.count": return figures.worst.map { grouped($0.count) }
    case "worst.then": return figures.worst.map { then($0.previous) }
    case "worst.path": return figures.worst?.path
    default:
      guard let condition = condition(in: name), let count = counts[condition], count > 0 else { return nil }
      if name.hasPrefix("count") { return grouped(count) }
      return "\(Int((100 * Double(count) / Double(max(1, figures.total))).rounded()))\u{202F}%"
    }
  }

  private static func grouped(_ number: Int) -> String {
    var digits = String(number.magnitude)
    var parts: [String] = []
    while digits.count > 3 {
      parts.insert(String(digits.suffix(3)), at: 0)
      digits.removeLast(3)
    }
    return (number < 0 ? "-" : "") + ([digits] + parts).joined(separator: ",")
  }

  private static func condition(in name: String) -> String? {
    for function in ["count(", "percent("] where name.hasPrefix(function) && name.hasSuffix(")") {
      return String(name.dropFirst(function.count).dropLast())
    }
    return nil
  }

  private enum Part {
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
