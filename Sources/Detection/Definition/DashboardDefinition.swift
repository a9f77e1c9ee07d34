// The `dashboard:` section: what people call the things that a use case is about, and which figures they see first. Nothing of
// it affects results, so it is no part of the canonical text.

/// What people see of a use case.
public struct DashboardDefinition: Sendable, Hashable {
  /// A noun.
  public struct Noun: Sendable, Hashable {
    public var one: String
    public var many: String

    public init(one: String, many: String) {
      self.one = one
      self.many = many
    }
  }

  /// A number at the top of the page, over some entities and a span of time.
  public struct Figure: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
      /// The share of events that are of a class.
      case share(ofClass: String)
      /// The sum of an aggregate over windows.
      case sum(String)
      /// The sum of an aggregate by the sum of several.
      case ratio(String, of: [String])
      /// The mean of an aggregate over windows.
      case mean(String)
      /// The number of events.
      case events
      /// The number of anomalies.
      case anomalies
    }

    public var name: String
    /// As people read it.
    public var label: String
    public var kind: Kind
    /// Of the value: `ms`, `MB`, `share`; nil for a count.
    public var unit: String?
    /// What it is in a few words: "share of normal queries".
    public var about: String?

    public init(name: String, label: String, kind: Kind, unit: String? = nil, about: String? = nil) {
      self.name = name
      self.label = label
      self.kind = kind
      self.unit = unit
      self.about = about
    }
  }

  /// When an entity is in trouble.
  public struct Critical: Sendable, Hashable {
    /// Anomalies of high severity and above, at least, in a window of a day and longer, and in a shorter one.
    public var severe = 10
    public var severeLive = 4
    /// And at least so many times as in the window before.
    public var factor = 1.5
    /// Or: this share of its events of a class other than the default; nil where that does not count.
    public var problemShare: Double?
    /// Or: so many of them.
    public var problemCount: Int?

    public init() {}
  }

  /// A field that says who or what an event is about, beside its key.
  public struct Person: Sendable, Hashable {
    public var field: String
    public var one: String

    public init(field: String, one: String) {
      self.field = field
      self.one = one
    }
  }

  /// What people read of a detector or rule.
  public struct DetectorText: Sendable, Hashable {
    /// A plural that a sentence can begin with.
    public var label: String?
    public var description: String?

    public init(label: String? = nil, description: String? = nil) {
      self.label = label
      self.description = description
    }
  }

  /// What the use case is, in a sentence.
  public var description: String?
  public var people: [Person] = []
  /// By name.
  public var detectors: [String: DetectorText] = [:]
  /// The field whose equal values make events of an entity alike: its kind of query, of order.
  public var like: String?
  /// The field whose equal values make them the same thing again: a fingerprint, a template.
  public var same: String?
  /// What the key of an event names, and what an event is.
  public var entity = Noun(one: "entity", many: "entities")
  public var event = Noun(one: "event", many: "events")
  /// The window that figures come from: tumbling, and grouped by the key of events. Nil where there is none.
  public var window: String?
  public var figures: [Figure] = []
  public var critical = Critical()
  /// What the classes but the default have in common: "some resource bound".
  public var problems: String?
  /// Short names of classes.
  public var labels: [String: String] = [:]
  /// Units of fields and features.
  public var units: [String: String] = [:]

  public init() {}

  /// What is shown of a use case that says nothing about it.
  public init(for useCase: UseCase) {
    let key = useCase.event.schema.keyField.map { useCase.event.schema.fields[$0].name }
    window = useCase.windows.first { $0.kind == .tumbling && $0.by.map(\.text) == [key] }?.name
    if let normal = useCase.classification?.otherwise, window != nil {
      figures.append(
        Figure(
          name: "normal", label: "Normal", kind: .share(ofClass: normal), unit: "share",
          about: "share of \(normal) events"))
    }
    if window != nil { figures.append(Figure(name: "events", label: "Events", kind: .events)) }
    figures.append(Figure(name: "anomalies", label: "Anomalies", kind: .anomalies))
  }
}
