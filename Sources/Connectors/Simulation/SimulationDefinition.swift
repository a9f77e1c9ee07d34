// A simulated stream as data: what `simulation.yaml` says once it is read and checked. Values are numbered: the slots
// of what every simulation provides come first (`BuiltIn`), then the values of the file in its order, each using only
// slots before its own. `docs/simulation.md` describes the file.

public import Detection

/// The definition of a simulated stream.
public struct SimulationDefinition: Sendable {
  /// Name of the stream, usually that of its use case.
  public let name: String
  /// Time of the beginning, microseconds since 1970-01-01 00:00 UTC.
  public let start: Int64
  /// Average number of events per simulated day, over all entities.
  public var eventsPerDay: Double { arrivals.eventsPerDay }
  /// Names of the fields of an event, in the order in which they are written.
  public var fieldNames: [String] { fields.map(\.name) }

  let arrivals: ArrivalDefinition
  let late: LateDefinition?
  let values: [ValueDefinition]
  /// The lists of slots that values are drawn `per`.
  let keys: [[Int]]
  let fields: [FieldDefinition]
  /// Fields that identify an event in a label: indices into `fields`.
  let labelFields: [Int]
  let injections: [InjectionDefinition]
  let labels: [LabelDefinition]
  let broken: BrokenDefinition?
  /// The texts of the definition; a text value is an index into it.
  let texts: [String]
}

/// One mistake in `simulation.yaml`.
public struct SimulationProblem: Error, Sendable, Hashable, CustomStringConvertible {
  public let file: String
  public let location: SourceLocation
  /// What was expected and what was found.
  public let message: String

  public var description: String { "\(file):\(location.line):\(location.column): \(message)" }
}

/// Every mistake in `simulation.yaml`, in the order of the file.
public struct SimulationProblems: Error, Sendable, CustomStringConvertible {
  public let problems: [SimulationProblem]

  public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// What every event has before the first value of the file.
enum BuiltIn: String, CaseIterable {
  /// Number of the event from 0.
  case row
  /// Number of the entity from 0.
  case entity
  /// Number of the event among those of its entity, from 0.
  case entityRow = "entity_row"
  /// Event time and arrival time, seconds since 1970-01-01 00:00 UTC; they differ for late events.
  case eventTime = "event_time"
  case arrivalTime = "arrival_time"
  /// Hours of the UTC day of the event time with their fraction: 13.5 is half past one in the afternoon.
  case hour
  /// Day of the week of the event time, 1 (Monday) to 7.
  case weekday

  var slot: Int { Self.allCases.firstIndex(of: self)! }
}

/// Who sends events, and when.
struct ArrivalDefinition: Sendable {
  enum Spread: Sendable {
    case zipf(Double)
    case lognormal(Double)
  }

  var entities: Int
  var eventsPerDay: Double
  /// How unequal the entities are.
  var spread: Spread
  enum Daily: Sendable {
    case wave(amplitude: Double, peakHour: Double)
    case weights([Double])
  }
  var daily: Daily
  /// Weights of Monday to Sunday.
  var weekly: [Double]
  /// Largest shift of an entity's day, hours.
  var phaseHours: Double
}

/// Some events arrive after their time.
struct LateDefinition: Sendable {
  var share: Double
  /// Seconds between event time and arrival.
  var by: Distribution
}

/// How a value is drawn. Parameters are formulas over values before it.
enum Distribution: Sendable {
  case formula(Formula)
  case uniform(Formula, Formula)
  /// Whole numbers from the first to the second, both included.
  case integer(Formula, Formula)
  case logUniform(Formula, Formula)
  case normal(mean: Formula, deviation: Formula)
  case lognormal(median: Formula, sigma: Formula)
  case exponential(mean: Formula)
  case poisson(mean: Formula)
  case bernoulli(Formula)
  /// Ranks from 0; rank r has weight (r + 1)^-exponent.
  case zipf(AliasTable)
  case choice(values: [Double], weights: [Formula])
}

/// One entry of `values:`.
struct ValueDefinition: Sendable {
  var name: String
  var type: SimulatedType
  var distribution: Distribution
  /// Index into the definition's `keys`: one draw for each distinct combination. Nil draws for every event.
  var per: Int?
  var minimum: Formula?
  var maximum: Formula?
  /// Where this is not true, the value is `otherwise` (NULL unless stated).
  var when: Formula?
  var otherwise: Formula?
}

/// One entry of `event:`: a field and how it is written.
struct FieldDefinition: Sendable {
  enum Style: Sendable {
    case integer(Formula)
    case decimal(Formula, digits: Int)
    case bool(Formula)
    case text(Formula)
    /// Seconds since 1970 as RFC 3339 with microseconds, or as a whole number of a unit.
    case time(Formula, TimeStyle)
    /// Sixteen hexadecimal digits that identify the combination of values; NULL when the first is NULL.
    case hash([Formula])
    /// Numbers drawn for a key, separated by commas in one text; NULL when there are none.
    case list(count: Formula, from: Formula, to: Formula, key: [Formula])
  }
  enum TimeStyle: String, Sendable, CaseIterable { case rfc3339, seconds, milliseconds, microseconds }

  var name: String
  var style: Style

  /// The object that the field lies in: `payload` of `payload.amount`.
  var object: String? { name.firstIndex(of: ".").map { String(name[..<$0]) } }
  /// Its name there.
  var member: String { name.firstIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? name }

  /// Longest list that is written.
  static let maxListItems = 64
}

/// A change made to some events, recorded in their labels.
struct InjectionDefinition: Sendable {
  /// Most injections of a definition: an event keeps the number of its own in eight bits.
  static let most = 127

  var name: String
  /// Share of events that are tried.
  var share: Double
  var when: Formula?
  /// Slot of the value that is multiplied.
  var target: Int
  var by: Distribution
  /// Condition over the changed values; where it does not hold the event stays as it was.
  var keepWhen: Formula?
}

/// A name for events that are unusual and right.
struct LabelDefinition: Sendable {
  var name: String
  var when: Formula
}

/// Some events arrive damaged.
struct BrokenDefinition: Sendable {
  enum Damage: Sendable {
    case none
    /// Cut off somewhere in the middle.
    case truncate
    /// Another line of text in its place.
    case replace([UInt8])
    /// A field left out, given another JSON value, or written twice.
    case drop(Int)
    case set(Int, [UInt8])
    case twice(Int)
  }
  var share: Double
  var kinds: [(name: String, weight: Double, damage: Damage)]
}

/// Draws from a fixed discrete distribution in constant time: Vose, "A Linear Algorithm for Generating Random Numbers
/// with a Given Distribution", IEEE Transactions on Software Engineering 17 (1991).
struct AliasTable: Sendable {
  private var threshold: [Double]
  private var alias: [Int32]

  /// - Precondition: weights are finite, none is negative and one is positive.
  init(weights: [Double]) {
    let total = weights.reduce(0, +)
    precondition(total > 0 && total.isFinite, "the weights of a distribution must have a positive sum")
    var scaled = weights.map { $0 * Double(weights.count) / total }
    threshold = [Double](repeating: 1, count: weights.count)
    alias = weights.indices.map(Int32.init)
    var small = scaled.indices.filter { scaled[$0] < 1 }
    var large = scaled.indices.filter { scaled[$0] >= 1 }
    while let low = small.popLast(), let high = large.last {
      threshold[low] = scaled[low]
      alias[low] = Int32(high)
      scaled[high] -= 1 - scaled[low]
      if scaled[high] < 1 { small.append(large.removeLast()) }
    }
  }

  /// Weights (rank + 1)^-exponent of `count` ranks.
  init(zipf count: Int, exponent: Double) {
    self.init(weights: (1...count).map { PortableMath.power(Double($0), -exponent) })
  }

  /// The index that a uniform number in (0, 1) selects.
  @inline(__always)
  func pick(_ uniform: Double) -> Int {
    let place = uniform * Double(threshold.count)
    let index = min(Int(place), threshold.count - 1)
    return place - Double(index) < threshold[index] ? index : Int(alias[index])
  }
}
