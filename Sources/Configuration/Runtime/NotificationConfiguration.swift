// The list `notifications` of `pulse.yaml`: who is told of findings, of which, and how. Secrets are in variables or files that
// it names.

public import Detection

/// Somebody who is told of findings.
public struct NotificationConfiguration: Sendable, Hashable {
  /// What takes them.
  public enum Kind: String, Sendable, Hashable, CaseIterable { case alertmanager, webhook, slack }

  /// The form of what a webhook is sent.
  public enum Format: String, Sendable, Hashable, CaseIterable { case cloudevents, alertmanager }

  /// Where a secret is.
  public enum Secret: Sendable, Hashable {
    /// The variable of the environment.
    case variable(String)
    case file(String)
  }

  public static let hourly = 1...3_600
  public static let attemptCounts = 1...100
  /// Microseconds.
  public static let timeouts: ClosedRange<Int64> = 1_000_000...60_000_000
  public static let longestWait: Int64 = 86_400_000_000

  /// In metrics and messages; the place among the changes belongs to it.
  public var name: String
  public var kind: Kind
  /// Nil where the secret is the address, as Slack's.
  public var url: String?
  public var secret: Secret?
  public var format = Format.cloudevents
  /// The least that is told of.
  public var severity = Severity.high
  /// Only of these; of all where there is none.
  public var detectors: Set<String> = []
  public var useCases: Set<String> = []
  /// How long findings of an entity are gathered before they are told of, microseconds.
  public var groupWait: Int64 = 10_000_000
  /// The least time between two notifications about an entity, microseconds.
  public var groupInterval: Int64 = 300_000_000
  public var perHour = 60
  /// How often one is sent before it is given up.
  public var attempts = 8
  /// Microseconds for an attempt.
  public var timeout: Int64 = 10_000_000
  /// How long behind a notification its alert is over, microseconds.
  public var resolveAfter: Int64 = 300_000_000

  public init(name: String, kind: Kind) {
    (self.name, self.kind) = (name, kind)
  }
}

extension NodeReader {
  private static let notificationKeys = [
    "name", "type", "url", "secret_env", "secret_file", "format", "severity", "detectors", "use_cases", "group_wait",
    "group_interval", "max_per_hour", "attempts", "timeout", "resolve_after",
  ]

  /// The list `notifications`.
  mutating func notifications(_ node: YAMLNode) -> [NotificationConfiguration] {
    var all: [NotificationConfiguration] = []
    for item in list(node, what: "`notifications`") ?? [] {
      guard let one = notification(item) else { continue }
      if all.contains(where: { $0.name == one.name }) {
        report(item.location, "two of `notifications` have the name \(excerpt(one.name))", expected: "a name for each")
      }
      all.append(one)
    }
    return all
  }

  private mutating func notification(_ node: YAMLNode) -> NotificationConfiguration? {
    guard let entries = mapping(node, what: "one of `notifications`") else { return nil }
    var values: [String: YAMLNode] = [:]
    for entry in entries {
      let key = entry.key.text
      if Self.notificationKeys.contains(key) {
        values[key] = entry.value
      } else if ["secret", "password", "token", "api_key", "headers"].contains(key) {
        report(
          entry.key.location, "pulse.yaml holds no secrets", expected: "secret_env or secret_file", found: excerpt(key))
      } else {
        let near = nearest(to: key, among: Self.notificationKeys)
        report(
          entry.key.location, "unknown key \(excerpt(key)) in `notifications`",
          expected: near == nil ? "one of \(Self.notificationKeys.joined(separator: ", "))" : nil, suggestion: near)
      }
    }
    for key in ["name", "type"] where values[key] == nil {
      report(node.location, "one of `notifications` has no \(key)", expected: "`\(key):`")
    }
    guard let nameNode = values["name"], let typeNode = values["type"],
      let text = self.text(nameNode, what: "`name`", expected: "a name"),
      let name = self.name(text, what: "`name`", dashes: true),
      let kind = word(typeNode, what: "`type`", of: NotificationConfiguration.Kind.allCases.map(\.rawValue))
        .flatMap({ NotificationConfiguration.Kind(rawValue: $0) })
    else { return nil }
    var one = NotificationConfiguration(name: name, kind: kind)
    for key in Self.notificationKeys { if let value = values[key] { set(key, of: &one, value) } }
    checkPlaces(of: one, values, node)
    return one
  }

  private mutating func set(_ key: String, of one: inout NotificationConfiguration, _ node: YAMLNode) {
    let what = "`\(key)`"
    switch key {
    case "url": one.url = filled(node, what: what, "an address")
    case "secret_env": one.secret = filled(node, what: what, "a variable").map { .variable($0) }
    case "secret_file": one.secret = filled(node, what: what, "a file").map { .file($0) }
    case "format":
      let words = NotificationConfiguration.Format.allCases.map(\.rawValue)
      if let format = word(node, what: what, of: words).flatMap({ NotificationConfiguration.Format(rawValue: $0) }) {
        one.format = format
      }
    case "severity":
      let words = Severity.allCases.map(\.rawValue)
      if let severity = word(node, what: what, of: words).flatMap({ Severity(rawValue: $0) }) {
        one.severity = severity
      }
    case "detectors": one.detectors = names(node, what)
    case "use_cases": one.useCases = names(node, what)
    case "group_wait": if let time = wait(node, what) { one.groupWait = time }
    case "group_interval": if let time = wait(node, what) { one.groupInterval = time }
    case "max_per_hour":
      if let count = integer(node, what: what, in: NotificationConfiguration.hourly) { one.perHour = count }
    case "attempts":
      if let count = integer(node, what: what, in: NotificationConfiguration.attemptCounts) { one.attempts = count }
    case "timeout":
      guard let time = duration(node, what: what, positive: true) else { return }
      one.timeout = time
      if !NotificationConfiguration.timeouts.contains(time) {
        report(node.location, "\(what) is not in range", expected: "1s to 1m", found: node.description)
      }
    case "resolve_after": if let time = wait(node, what) { one.resolveAfter = time }
    default: break
    }
  }

  private mutating func names(_ node: YAMLNode, _ what: String) -> Set<String> {
    var nodes = [node]
    if case .sequence(let items) = node.content { nodes = items }
    var names: Set<String> = []
    for one in nodes { if let name = filled(one, what: "one of \(what)", "a name") { names.insert(name) } }
    return names
  }

  private mutating func wait(_ node: YAMLNode, _ what: String) -> Int64? {
    guard let time = duration(node, what: what) else { return nil }
    if time <= NotificationConfiguration.longestWait { return time }
    report(node.location, "\(what) is too long", expected: "at most 1d", found: node.description)
    return nil
  }

  /// Whether what is said of a place, a secret and a form goes together.
  private mutating func checkPlaces(
    of one: NotificationConfiguration, _ values: [String: YAMLNode], _ node: YAMLNode
  ) {
    if let file = values["secret_file"], values["secret_env"] != nil {
      report(file.location, "there are two secrets", expected: "secret_env or secret_file")
    }
    if one.url == nil, values["url"] == nil, one.kind != .slack || one.secret == nil {
      report(
        node.location, "\(excerpt(one.name)) has no address",
        expected: one.kind == .slack ? "secret_env or secret_file with it, or url" : "`url:`")
    }
    if let url = values["url"], one.kind == .slack, one.secret != nil {
      report(url.location, "there are two addresses", expected: "url, or the one that the secret is")
    }
    if let format = values["format"], one.kind != .webhook {
      report(format.location, "`format` does not apply to \(one.kind.rawValue)", expected: "a webhook")
    }
    if let after = values["resolve_after"], one.kind == .slack || (one.kind == .webhook && one.format == .cloudevents) {
      report(
        after.location, "`resolve_after` does not apply to \(excerpt(one.name))",
        expected: "alertmanager, or a webhook of that format")
    }
  }
}
