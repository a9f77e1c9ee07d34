// Every function an expression can call: one visible, sorted array. Type checking, the suggestion for a misspelt name,
// `pulse list functions` and the table in docs/expressions.md all come from it.

/// What a scalar function computes; names a kernel.
enum ScalarFunction: String, Sendable, Hashable, CaseIterable {
  case abs, asin, atan2, ceil, concat, contains, cos, dayOfWeek, dayOfYear, day, dateDiff, datePart, dateTrunc
  case degrees, endsWith, epoch, epochMilliseconds, epochMicroseconds, exp, floor, hour, isFinite, isInfinite, isNaN
  case isoDayOfWeek, left, length, ln, log10, log2, lower, leftTrim, makeTimestamp, makeTimestampMilliseconds, minute
  case month, pi, pow, quarter, radians, replace, right, round, roundDigits, rightTrim, second, sign, sin, sqrt
  case startsWith, strpos, substring, trim, trunc, upper, week, year
}

/// One entry of the catalogue.
public struct FunctionDescriptor: Sendable {
  /// Scalar functions take values of one row, aggregates those of many.
  public enum Kind: String, Sendable { case scalar, aggregate }

  /// What may stand in one place of a call.
  public enum Parameter: Sendable, Hashable {
    /// A value of the type; an integer is widened for a DOUBLE, NULL fits any.
    case value(ValueType)
    /// Values of one type, whichever it is; integers are widened when another one is a DOUBLE.
    case any
    /// A number written out.
    case constant(ValueType)
    /// The name of a part of a timestamp, as a string.
    case unit

    /// As it is shown in signatures.
    public var name: String {
      switch self {
      case .value(let type): type.sqlName
      case .any: "ANY"
      case .constant(let type): "constant \(type.sqlName)"
      case .unit: "'unit'"
      }
    }
  }

  /// One way to call a function.
  public struct Signature: Sendable {
    public let parameters: [Parameter]
    /// Whether the last parameter may repeat.
    public let isVariadic: Bool
    /// Type of the result; nil for the type of the `any` arguments.
    public let result: ValueType?
    let implementation: Implementation

    /// As `round(DOUBLE, constant BIGINT) → DOUBLE`.
    public func text(_ name: String) -> String {
      var list = parameters.map(\.name).joined(separator: ", ") + (isVariadic ? ", …" : "")
      if case .aggregate = implementation, parameters.isEmpty { list = "*" }
      var gives = result?.sqlName ?? "ANY"
      if case .aggregate(.topK) = implementation { gives = "(value ANY, count BIGINT, error BIGINT)[]" }
      return "\(name)(\(list)) → \(gives)"
    }
  }

  /// What a signature stands for in the typed tree.
  enum Implementation: Sendable {
    case function(ScalarFunction)
    case remainder
    case coalesce
    case nullIf
    case conditional
    case greatest
    case least
    case aggregate(AggregateFunction)
  }

  public let name: String
  public let kind: Kind
  public let signatures: [Signature]
  /// One line: what it gives.
  public let summary: String
  /// Where we, DuckDB and Spark differ, or what fails.
  public let notes: String

  init(
    _ name: String, _ signatures: [Signature], _ summary: String, notes: String = "", kind: Kind = .scalar
  ) {
    self.name = name
    self.kind = kind
    self.signatures = signatures
    self.summary = summary
    self.notes = notes
  }
}

/// The functions of the language.
public enum FunctionCatalog {
  /// All functions, sorted by name.
  public static let all: [FunctionDescriptor] = (mathematics + strings + dates + conditionals + aggregates)
    .sorted { $0.name < $1.name }

  private static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

  /// The function with this name, in any case.
  public static func function(named name: String) -> FunctionDescriptor? { byName[name.lowercased()] }

  /// Names that other systems know, and what to write here.
  static let foreign: [String: String] = [
    "log": "ln, log10 or log2 (the base of log differs between systems)", "iif": "if", "ifnull": "coalesce",
    "nvl": "coalesce", "len": "length", "char_length": "length", "ceiling": "ceil", "power": "pow",
    "substr": "substring", "lcase": "lower", "ucase": "upper", "instr": "strpos", "position": "strpos",
    "startswith": "starts_with", "endswith": "ends_with", "datediff": "date_diff",
    "dateadd": "make_timestamp(epoch_us(t) + n)",
    "extract": "date_part('hour', t)", "to_timestamp": "make_timestamp", "median": "quantile(x, 0.5)",
    "approx_count_distinct": "distinct", "mean": "avg", "stddev_samp": "stddev", "average": "avg",
    "percentile": "quantile", "approx_top_k": "top_k", "topk": "top_k", "mode": "top_k(x, 1)",
    "now": "the event time (results depend on the input alone)",
    "current_timestamp": "the event time (results depend on the input alone)",
    "random": "a field (results depend on the input alone)", "datetrunc": "date_trunc", "datepart": "date_part",
    "weekofyear": "week", "dayofmonth": "day", "dow": "dayofweek", "doy": "dayofyear",
  ]

  private static func scalar(
    _ function: ScalarFunction, _ parameters: [FunctionDescriptor.Parameter], _ result: ValueType,
    variadic: Bool = false
  ) -> FunctionDescriptor.Signature {
    .init(parameters: parameters, isVariadic: variadic, result: result, implementation: .function(function))
  }

  private static func unary(
    _ name: String, _ function: ScalarFunction, _ types: [(ValueType, ValueType)], _ summary: String,
    notes: String = ""
  ) -> FunctionDescriptor {
    FunctionDescriptor(name, types.map { scalar(function, [.value($0)], $1) }, summary, notes: notes)
  }

  private static let mathematics: [FunctionDescriptor] = [
    unary("abs", .abs, [(.int, .int), (.double, .double)], "Absolute value", notes: "Fails for the smallest BIGINT."),
    unary("asin", .asin, [(.double, .double)], "Arc sine, radians", notes: "Fails outside [-1, 1]."),
    FunctionDescriptor(
      "atan2", [scalar(.atan2, [.value(.double), .value(.double)], .double)], "Angle of the point (x, y): atan2(y, x)"),
    unary("ceil", .ceil, [(.double, .double)], "Smallest whole number not below"),
    unary("cos", .cos, [(.double, .double)], "Cosine of radians", notes: "Fails for infinities."),
    unary("degrees", .degrees, [(.double, .double)], "Radians to degrees"),
    unary("exp", .exp, [(.double, .double)], "e to the power"),
    unary("floor", .floor, [(.double, .double)], "Largest whole number not above"),
    unary("isfinite", .isFinite, [(.double, .bool)], "Whether neither infinite nor NaN"),
    unary("isinf", .isInfinite, [(.double, .bool)], "Whether infinite"),
    unary("isnan", .isNaN, [(.double, .bool)], "Whether NaN"),
    unary("ln", .ln, [(.double, .double)], "Natural logarithm", notes: "Fails for zero and below."),
    unary("log10", .log10, [(.double, .double)], "Logarithm to base 10", notes: "Fails for zero and below."),
    unary("log2", .log2, [(.double, .double)], "Logarithm to base 2", notes: "Fails for zero and below."),
    FunctionDescriptor(
      "mod",
      [ValueType.int, .double].map {
        .init(parameters: [.value($0), .value($0)], isVariadic: false, result: $0, implementation: .remainder)
      }, "Remainder with the sign of the dividend, as %"),
    FunctionDescriptor("pi", [scalar(.pi, [], .double)], "The number π"),
    FunctionDescriptor(
      "pow", [scalar(.pow, [.value(.double), .value(.double)], .double)], "First argument to the power of the second"),
    unary("radians", .radians, [(.double, .double)], "Degrees to radians"),
    FunctionDescriptor(
      "round",
      [
        scalar(.round, [.value(.int)], .int), scalar(.round, [.value(.double)], .double),
        scalar(.roundDigits, [.value(.double), .constant(.int)], .double),
      ], "Nearest whole number, or number of that many decimal places; halves away from zero",
      notes: "With a second argument the result is DOUBLE, also for BIGINT. Spark rounds the decimal representation."),
    unary("sign", .sign, [(.int, .int), (.double, .int)], "-1, 0 or 1", notes: "0 for NaN."),
    unary("sin", .sin, [(.double, .double)], "Sine of radians", notes: "Fails for infinities."),
    unary("sqrt", .sqrt, [(.double, .double)], "Square root", notes: "Fails below zero."),
    unary("trunc", .trunc, [(.int, .int), (.double, .double)], "Whole number towards zero"),
  ]

  private static let strings: [FunctionDescriptor] = [
    FunctionDescriptor(
      "concat", [scalar(.concat, [.value(.string)], .string, variadic: true)], "Strings joined; NULL counts as empty"),
    FunctionDescriptor(
      "contains", [scalar(.contains, [.value(.string), .value(.string)], .bool)],
      "Whether the first contains the second"),
    FunctionDescriptor(
      "ends_with", [scalar(.endsWith, [.value(.string), .value(.string)], .bool)],
      "Whether the first ends with the second"),
    FunctionDescriptor(
      "left", [scalar(.left, [.value(.string), .value(.int)], .string)],
      "The first characters; for a negative count all but the last"),
    unary("length", .length, [(.string, .int)], "Number of characters (Unicode code points)"),
    unary("lower", .lower, [(.string, .string)], "Lower case", notes: "Character by character (simple case mapping)."),
    FunctionDescriptor("ltrim", trimming(.leftTrim), "Without leading spaces, or characters of the second argument"),
    FunctionDescriptor(
      "replace", [scalar(.replace, [.value(.string), .value(.string), .value(.string)], .string)],
      "Every occurrence of the second replaced by the third", notes: "An empty second argument changes nothing."),
    FunctionDescriptor(
      "right", [scalar(.right, [.value(.string), .value(.int)], .string)],
      "The last characters; for a negative count all but the first"),
    FunctionDescriptor("rtrim", trimming(.rightTrim), "Without trailing spaces, or characters of the second argument"),
    FunctionDescriptor(
      "starts_with", [scalar(.startsWith, [.value(.string), .value(.string)], .bool)],
      "Whether the first starts with the second"),
    FunctionDescriptor(
      "strpos", [scalar(.strpos, [.value(.string), .value(.string)], .int)],
      "Place of the second in the first, from 1; 0 when absent"),
    FunctionDescriptor(
      "substring",
      [
        scalar(.substring, [.value(.string), .value(.int)], .string),
        scalar(.substring, [.value(.string), .value(.int), .value(.int)], .string),
      ], "From a place (1 is the first character, -1 the last), so many characters",
      notes: "Places before the first character count: substring('abc', -5, 3) is 'a'. Fails for a negative count."),
    FunctionDescriptor("trim", trimming(.trim), "Without spaces at both ends, or characters of the second argument"),
    unary("upper", .upper, [(.string, .string)], "Upper case", notes: "Character by character (simple case mapping)."),
  ]

  private static func trimming(_ function: ScalarFunction) -> [FunctionDescriptor.Signature] {
    [
      scalar(function, [.value(.string)], .string),
      scalar(function, [.value(.string), .value(.string)], .string),
    ]
  }

  private static func part(_ name: String, _ function: ScalarFunction, _ summary: String, notes: String = "")
    -> FunctionDescriptor
  { unary(name, function, [(.timestamp, .int)], summary, notes: notes) }

  private static let dates: [FunctionDescriptor] = [
    FunctionDescriptor(
      "date_diff", [scalar(.dateDiff, [.unit, .value(.timestamp), .value(.timestamp)], .int)],
      "Boundaries of the unit between two timestamps",
      notes: "Units: second, minute, hour, day, week (whole sevens of days), month, quarter, year."),
    FunctionDescriptor(
      "date_part", [scalar(.datePart, [.unit, .value(.timestamp)], .int)], "The function of that name of a timestamp",
      notes: "Units: year, quarter, month, week, day, dayofyear, dayofweek, isodow, hour, minute, second."),
    FunctionDescriptor(
      "date_trunc", [scalar(.dateTrunc, [.unit, .value(.timestamp)], .timestamp)], "Beginning of the unit",
      notes: "Units: second, minute, hour, day, week (Monday), month, quarter, year."),
    part("day", .day, "Day of the month, from 1"),
    part("dayofweek", .dayOfWeek, "Day of the week, Sunday is 0", notes: "Spark's own counts from 1; it is mapped."),
    part("dayofyear", .dayOfYear, "Day of the year, from 1"),
    unary("epoch", .epoch, [(.timestamp, .double)], "Seconds since 1970"),
    FunctionDescriptor(
      "epoch_ms",
      [
        scalar(.epochMilliseconds, [.value(.timestamp)], .int),
        scalar(.makeTimestampMilliseconds, [.value(.int)], .timestamp),
      ], "Milliseconds since 1970, towards zero; of a number the timestamp"),
    part("epoch_us", .epochMicroseconds, "Microseconds since 1970"),
    part("hour", .hour, "Hour of the day, 0 to 23"),
    part("isodow", .isoDayOfWeek, "Day of the week, Monday is 1 and Sunday 7"),
    unary(
      "make_timestamp", .makeTimestamp, [(.int, .timestamp)], "Timestamp of microseconds since 1970",
      notes: "Fails outside years -290308 to 294246."),
    part("minute", .minute, "Minute of the hour"),
    part("month", .month, "Month of the year, from 1"),
    part("quarter", .quarter, "Quarter of the year, from 1"),
    part("second", .second, "Second of the minute, without fraction"),
    part("week", .week, "ISO 8601 week of the year"),
    part("year", .year, "Year; 0 is 1 BC"),
  ]

  private static func special(
    _ implementation: FunctionDescriptor.Implementation, _ parameters: [FunctionDescriptor.Parameter],
    variadic: Bool = false
  ) -> [FunctionDescriptor.Signature] {
    [.init(parameters: parameters, isVariadic: variadic, result: nil, implementation: implementation)]
  }

  private static let conditionals: [FunctionDescriptor] = [
    FunctionDescriptor(
      "coalesce", special(.coalesce, [.any], variadic: true), "The first argument that is not NULL",
      notes: "Arguments behind it are not evaluated."),
    FunctionDescriptor(
      "greatest", special(.greatest, [.any], variadic: true), "The greatest argument; NULL ones are skipped"),
    FunctionDescriptor(
      "if", special(.conditional, [.value(.bool), .any, .any]),
      "The second argument where the first is TRUE, else the third"),
    FunctionDescriptor("least", special(.least, [.any], variadic: true), "The least argument; NULL ones are skipped"),
    FunctionDescriptor(
      "nullif", special(.nullIf, [.any, .any]), "NULL where the arguments are equal, else the first"),
  ]

  private static func aggregate(
    _ function: AggregateFunction, _ parameters: [[FunctionDescriptor.Parameter]], _ result: ValueType?,
    _ summary: String, notes: String = ""
  ) -> FunctionDescriptor {
    FunctionDescriptor(
      function.rawValue,
      parameters.map {
        .init(parameters: $0, isVariadic: false, result: result, implementation: .aggregate(function))
      }, summary, notes: notes, kind: .aggregate)
  }

  private static let aggregates: [FunctionDescriptor] = [
    aggregate(.avg, [[.value(.double)]], .double, "Mean of the values that are not NULL"),
    aggregate(
      .count, [[], [.any]], .int, "Number of events: count(*); of values that are not NULL: count(x)",
      notes: "count(DISTINCT x) is distinct(x)."),
    aggregate(
      .distinct, [[.any]], .int, "Number of different values that are not NULL",
      notes: "Exact in rules, HyperLogLog in windows."),
    aggregate(.first, [[.any]], nil, "Value of the first event by event time, then position"),
    aggregate(.last, [[.any]], nil, "Value of the last event by event time, then position"),
    aggregate(.max, [[.any]], nil, "The greatest value"),
    aggregate(.min, [[.any]], nil, "The least value"),
    aggregate(
      .quantile, [[.value(.double), .constant(.double)]], .double,
      "Value below which that fraction of the values lies", notes: "DDSketch. The fraction is from 0 to 1."),
    aggregate(.rate, [[], [.any]], .double, "Events per second: rate(*); of those whose value is not NULL: rate(x)"),
    aggregate(.stddev, [[.value(.double)]], .double, "Sample standard deviation"),
    FunctionDescriptor(
      "sum",
      [ValueType.int, .double].map {
        .init(parameters: [.value($0)], isVariadic: false, result: $0, implementation: .aggregate(.sum))
      }, "Sum of the values that are not NULL", kind: .aggregate),
    aggregate(
      .topK, [[.any, .constant(.int)]], nil, "The most frequent values that are not NULL, with their counts: a list",
      notes: "In windows only. Exact up to \(Limits.topCounters) different values, then Space-Saving; from 1 to "
        + "\(Limits.maxTopValues) values."),
  ]
}
