// How a use case stands, in one sentence with numbers and one of context: written by rule here, so that the page and every other
// client say the same.

import Detection
import Pipeline

/// What the numbers of a span come to.
struct Headline: Sendable, Hashable {
  /// `ok`, or the highest severity that was found where something is worse.
  var state: String
  var title: String
  /// Empty where there is no more to say.
  var context: String

  static let schema = JSONSchema.object([
    ("state", .string(among: ["ok"] + Severity.allCases.map(\.rawValue))), ("title", .string), ("context", .string),
  ]).saying("How the entities stand, in words.")

  var json: String {
    JSONText.object([
      ("state", JSONText.string(state)), ("title", JSONText.string(title)), ("context", JSONText.string(context)),
    ])
  }

  init(_ content: FigureCache.Content, _ range: FigureRange, _ dashboard: DashboardDefinition) {
    let noun = dashboard.entity
    let entities = content.judged(range, dashboard.critical)
    let severities = content.counts(range, by: .severity)
    let total = severities.values.reduce(0) { $0 + Int($1.total ?? 0) }
    guard total > 0 else {
      state = "ok"
      title = "Nothing out of the ordinary in \(range.lengthText)."
      context = "\(Self.some(entities.count, "\(noun.one) was", "\(noun.many) were")) heard of."
      return
    }
    let worst = severities.filter { ($0.value.total ?? 0) > 0 }.keys.max() ?? 0
    let all = Self.some(total, "anomaly", "anomalies")
    guard content.hasPrevious(range) else {
      state = Severity.allCases[worst].rawValue
      title = "\(all) in \(range.lengthText)."
      context = "There is no earlier window to compare with."
      return
    }
    let before = range.beforeText
    let critical = entities.filter(\.isCritical).map(\.figures)
    guard !critical.isEmpty else {
      let chosen = (range.entities ?? []).sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
      let names = Self.subject(chosen, noun)
      let whose = chosen.isEmpty ? "No \(noun.one) is" : "\(names) not"
      let then = severities.values.reduce(0) { $0 + Int($1.previousTotal ?? 0) }
      state = "ok"
      title = "\(whose) worse than \(before): \(all), \(Self.count(then)) then."
      context = ""
      return
    }
    let (now, then) = (critical.reduce(0) { $0 + $1.severe }, critical.reduce(0) { $0 + $1.previousSevere })
    state = Severity.allCases[worst].rawValue
    title =
      "\(Self.subject(critical.map(\.name), noun)) worse than \(before): \(Self.count(now)) high-severity anomalies, "
      + "\(Self.count(then)) then."
    let parts = [
      Self.rest(entities.filter { !$0.isCritical }.map(\.figures), before), Self.rises(critical, dashboard, before),
    ]
    context = parts.compactMap { $0 }.joined(separator: " ")
  }

  /// "Instances 3, 10 and 16 are": at most four by name.
  private static func subject(_ names: [String], _ noun: DashboardDefinition.Noun) -> String {
    let shown = names.prefix(4)
    let more = names.count - shown.count
    let list =
      more > 0
      ? "\(shown.joined(separator: ", ")) and \(count(more)) more"
      : shown.count < 2 ? shown.joined() : "\(shown.dropLast().joined(separator: ", ")) and \(shown[shown.count - 1])"
    return "\(capital(names.count > 1 ? noun.many : noun.one)) \(list) \(names.count > 1 ? "are" : "is")"
  }

  /// How those that are not in trouble are; nil where there is none.
  private static func rest(_ others: [EntityFigures], _ before: String) -> String? {
    if others.isEmpty { return nil }
    let (now, then) = (others.reduce(0) { $0 + $1.severe }, others.reduce(0) { $0 + $1.previousSevere })
    let change = then > 0 ? Double(abs(now - then)) / Double(then) : now > 0 ? 1 : 0
    let how = change <= 0.15 ? "are as they were" : now > then ? "have more as well" : "have fewer"
    return "The other \(count(others.count)) \(how): \(count(now)), \(count(then)) \(before)."
  }

  /// What rose most on those in trouble, two detectors at most; nil where nothing did.
  private static func rises(
    _ critical: [EntityFigures], _ dashboard: DashboardDefinition, _ before: String
  ) -> String? {
    struct Rise {
      var entity: String
      var detector: String
      var now: Int
      var then: Int
    }
    let found = critical.flatMap { entity in
      entity.detectors.sorted { $0.key < $1.key }.map {
        Rise(entity: entity.name, detector: $0.key, now: $0.value[0], then: $0.value[1])
      }
    }
    var best: [Rise] = []
    // Of equal ones the first stays, which is the one of the entity that is worse off.
    let ordered = found.enumerated().filter { $0.element.now - $0.element.then > 1 && $0.element.now > 1 }.sorted {
      let (a, b) = ($0.element.now - $0.element.then, $1.element.now - $1.element.then)
      return a == b ? $0.offset < $1.offset : a > b
    }
    for rise in ordered.map(\.element) where !best.contains(where: { $0.detector == rise.detector }) {
      if best.count < 2 { best.append(rise) }
    }
    let texts = best.enumerated().map { place, rise in
      let what = dashboard.label(of: rise.detector)
      let change =
        rise.then == 0
        ? "came \(count(rise.now)) times, not once \(before)" : "rose from \(count(rise.then)) to \(count(rise.now))"
      return "\(place == 0 ? capital(what) : what) on \(rise.entity) \(change)"
    }
    return texts.isEmpty ? nil : texts.joined(separator: "; ") + "."
  }

  private static func some(_ number: Int, _ one: String, _ many: String) -> String {
    "\(count(number)) \(number == 1 ? one : many)"
  }

  private static func capital(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

  /// A number with its thousands set apart.
  static func count(_ number: Int) -> String {
    var digits = String(number.magnitude)
    var parts: [String] = []
    while digits.count > 3 {
      parts.insert(String(digits.suffix(3)), at: 0)
      digits.removeLast(3)
    }
    return (number < 0 ? "-" : "") + ([digits] + parts).joined(separator: ",")
  }
}

extension DashboardDefinition {
  /// What people read of a detector or rule.
  func label(of detector: String) -> String { detectors[detector]?.label ?? detector.replacing("_", with: " ") }
}
