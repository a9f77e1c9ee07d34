// What a sample of events shows about each field: the facts that `pulse infer` writes down. Memory is bounded: of the
// distinct values only the first thousand are kept, each shortened.

internal import Detection

/// A value as it was seen, before anything is decided about its type.
enum ObservedValue: Sendable, Hashable {
  case null
  case int(Int64)
  case double(Double)
  case bool(Bool)
  case string(String)
  /// Already a timestamp, from a columnar file.
  case timestamp(Int64)
  /// A list, or an object that is not taken apart.
  case json
}

/// What was seen of one field.
struct FieldObserver: Sendable {
  /// Distinct values kept; beyond, only that there are more.
  static let distinctLimit = 1_000

  /// The units in which numbers may count from 1970, with their number in a second.
  static let epochUnits: [(name: String, factor: Double)] = [
    ("seconds", 1), ("milliseconds", 1e3), ("microseconds", 1e6),
  ]

  /// Object keys from the outside in.
  let path: [String]
  /// What the file itself says of the type; nil in text.
  var declared: FieldType?
  /// Values that no column can hold, and those of them that are integers beyond 2^63 - 1, which a string can.
  private(set) var misfits = 0
  private(set) var largeIntegers = 0
  /// Events in which the field was there and not null.
  private(set) var count = 0
  private(set) var ints = 0
  private(set) var doubles = 0
  private(set) var bools = 0
  private(set) var strings = 0
  private(set) var timestamps = 0
  private(set) var jsons = 0
  /// Of the strings, those that hold a whole number without leading zeros, any number, true/false, a time.
  private(set) var intStrings = 0
  private(set) var doubleStrings = 0
  private(set) var boolStrings = 0
  private(set) var timeStrings = 0
  /// Whether all integers are 0 or 1.
  private(set) var onlyBits = true
  private(set) var hasNonFinite = false
  /// Numbers that are times of the years 2000 to 2100, by unit.
  private(set) var epochTimes = [0, 0, 0]
  private(set) var minimum = Double.infinity
  private(set) var maximum = -Double.infinity
  private(set) var longest = 0
  /// Distinct values by text, in the order of their first sight.
  private(set) var distinct: [String] = []
  private var seen: Set<String> = []
  private(set) var hasMoreDistinct = false
  /// Of the values that follow another, those that are not smaller.
  private(set) var ascending = 0
  private var previous: Double?

  init(path: [String]) { self.path = path }

  mutating func observe(_ value: ObservedValue) {
    if value == .null { return }
    count += 1
    switch value {
    case .null: break
    case .int(let value):
      ints += 1
      if value != 0 && value != 1 { onlyBits = false }
      measure(number: Double(value))
      remember(String(value))
    case .double(let value):
      doubles += 1
      measure(number: value)
      remember(value.description)
    case .bool(let value):
      bools += 1
      remember(String(value))
    case .timestamp(let value):
      timestamps += 1
      measure(Double(value))
      remember(String(value))
    case .string(let value): observe(text: value)
    case .json:
      jsons += 1
      remember("[…]")
    }
  }

  mutating func observe(_ misfit: ColumnMisfit) {
    misfits += 1
    if UInt64(misfit.found) != nil { largeIntegers += 1 }
  }

  private mutating func observe(text: String) {
    strings += 1
    longest = max(longest, text.utf8.count)
    if let value = Int64(text), String(value) == text {
      intStrings += 1
      if value != 0 && value != 1 { onlyBits = false }
      measure(number: Double(value))
    } else if let value = Self.decimal(text) {
      doubleStrings += 1
      measure(number: value)
    } else if text == "true" || text == "false" {
      boolStrings += 1
    } else if text.utf8.count >= 19, let time = Timestamp.parse(text) {
      timeStrings += 1
      measure(Double(time))
    }
    remember(text)
  }

  /// A decimal number as JSON writes it: no leading zeros, no hexadecimal, no infinity.
  private static func decimal(_ text: String) -> Double? {
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    guard let first = digits.first, first.isASCII, first.isNumber, digits.utf8.count < 40,
      !(first == "0" && digits.dropFirst().first?.isNumber == true),
      digits.allSatisfy({ $0.isASCII && ($0.isNumber || ".eE+-".contains($0)) }), let value = Double(text),
      value.isFinite
    else { return nil }
    return value
  }

  private mutating func measure(number value: Double) {
    measure(value)
    for (index, unit) in Self.epochUnits.enumerated()
    where (946_684_800 * unit.factor...4_102_444_800 * unit.factor).contains(value) {
      epochTimes[index] += 1
    }
  }

  private mutating func measure(_ value: Double) {
    guard value.isFinite else {
      hasNonFinite = true
      return
    }
    minimum = min(minimum, value)
    maximum = max(maximum, value)
    if let previous, value >= previous { ascending += 1 }
    previous = value
  }

  private mutating func remember(_ text: String) {
    guard !hasMoreDistinct else { return }
    let kept = text.utf8.count <= 200 ? text : String(text.prefix(100)) + "…\(text.hashValueForSample)"
    guard seen.insert(kept).inserted else { return }
    if distinct.count < Self.distinctLimit { distinct.append(kept) } else { hasMoreDistinct = true }
  }

  /// Share of values not smaller than the one before; 0 without two values.
  var ascendingShare: Double { count > 1 ? Double(ascending) / Double(count - 1) : 0 }
}

extension String {
  /// A number that tells long texts with the same beginning apart, the same in every run (FNV-1a).
  fileprivate var hashValueForSample: UInt64 {
    utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}

/// A sample of events, field by field in the order of their first sight.
public struct EventSample: Sendable {
  /// How the values were written: in CSV everything is text, in columnar files everything has a type.
  public enum Origin: Sendable, Hashable { case json, csv, columns }

  public let origin: Origin
  /// Events seen.
  public private(set) var events = 0
  /// Records that could not be read as events, and the lines of the first few, from 1.
  public private(set) var unreadable = 0
  private(set) var unreadableLines: [Int] = []
  /// What separates the cells, where the sample is CSV.
  var delimiter: CSVDelimiter?
  private(set) var fields: [FieldObserver] = []
  private var indexes: [[String]: Int] = [:]
  private(set) var hasMoreFields = false

  /// Fields observed; beyond, the sample says that there are more.
  static let fieldLimit = 2_000

  init(origin: Origin) { self.origin = origin }

  mutating func beginEvent() { events += 1 }
  mutating func skipRecord(line: Int) {
    unreadable += 1
    if unreadableLines.count < 3 { unreadableLines.append(line) }
  }

  mutating func observe(_ path: [String], _ value: ObservedValue) { change(path) { $0.observe(value) } }

  /// Changes what is known of a field, which is added if it is new and there is room.
  mutating func change(_ path: [String], _ change: (inout FieldObserver) -> Void) {
    if let index = indexes[path] { return change(&fields[index]) }
    guard fields.count < Self.fieldLimit else {
      hasMoreFields = true
      return
    }
    indexes[path] = fields.count
    var field = FieldObserver(path: path)
    change(&field)
    fields.append(field)
  }
}
