// `pulse infer`: a sample of events to the text of a first `pipeline.yaml`. Invariants: the text passes `pulse check`, and
// every event of the sample that has the chosen event time decodes with it, unless a value of it fits no type at all. What
// the sample cannot prove (that a value is never missing, negative or new) is proposed in comments, not asked for.

internal import Detection

/// Why no use case could be inferred.
public struct InferenceError: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String
}

/// Infers a use case from a sample.
public enum UseCaseInference {
  /// The text of a `pipeline.yaml` for the sampled events, with a comment for each field that says what was seen.
  /// - Parameters:
  ///   - name: name of the use case; made to fit the rules for names.
  ///   - source: what the sample is, for the heading: a file name.
  public static func pipeline(for sample: EventSample, name: String, source: String) throws(InferenceError) -> String {
    guard sample.events > 0 else {
      throw InferenceError(
        description: "\(source) holds no events"
          + (sample.unreadable > 0 ? "; \(sample.unreadable) records could not be read" : ""))
    }
    var fields = InferredField.fields(of: sample)
    guard
      let time = InferredField.chooseTime(fields)
        ?? InferredField.chooseUncleanTime(&fields, isText: sample.origin == .csv)
    else {
      let names = fields.prefix(20).map(\.name).joined(separator: ", ")
      throw InferenceError(
        description: "no field of \(source) looks like an event time; expected a timestamp (RFC 3339, or seconds, "
          + "milliseconds or microseconds since 1970 in a field with a name such as `time`); found \(names)")
    }
    fields[time].isRequired = true
    let key = InferredField.chooseKey(fields, time: time)
    return InferredText(sample: sample, source: source, fields: fields, time: time, key: key).text(
      name: useCaseName(name))
  }

  /// A name of a use case made of any text.
  static func useCaseName(_ text: String) -> String {
    var name = String(
      text.lowercased().map { character in
        character.isASCII && (character.isLetter || character.isNumber || character == "-") ? character : "_"
      }.prefix(100))
    if let first = name.first, first.isLetter { return name }
    name = "events" + (name.isEmpty ? "" : "_" + name)
    return String(name.prefix(100))
  }
}

/// A field with what was decided about it.
struct InferredField {
  let observed: FieldObserver
  /// Name in expressions; unique.
  let name: String
  /// The word for the type in `pipeline.yaml`.
  var type: String
  /// For a timestamp: how it is written, where `automatic` would not do.
  var format: String?
  /// Only of the event time: that a field was never missing in a sample does not say that it never is.
  var isRequired = false
  let events: Int

  /// Whether more than one value in a thousand fits no type: the field is not read then.
  var isLeftOut: Bool { misfits * 1_000 > events }

  /// Values that no column of this type can hold.
  var misfits: Int { observed.misfits - (type == "string" ? observed.largeIntegers : 0) }

  /// Decides names and types. A path that is sometimes an object and sometimes a value is one field of type json.
  static func fields(of sample: EventSample) -> [InferredField] {
    let values = Set(sample.fields.filter { $0.count > 0 }.map(\.path))
    var names = Set(HistoryColumns.ownNames)
    var fields: [InferredField] = []
    var prefixes: Set<[String]> = []
    for field in sample.fields {
      for length in 1..<max(1, field.path.count) { prefixes.insert(Array(field.path.prefix(length))) }
    }
    for field in sample.fields {
      let isBelowValue = (1..<max(1, field.path.count)).contains { values.contains(Array(field.path.prefix($0))) }
      if isBelowValue { continue }
      let isAlsoObject = prefixes.contains(field.path)
      if isAlsoObject, field.count == 0 { continue }
      // A key repeated in the header of a CSV file is observed as one field; an empty one cannot be addressed.
      guard field.path.allSatisfy({ !$0.isEmpty }) else { continue }
      var name = field.path.map(identifier).joined(separator: ".")
      while !names.insert(name.lowercased()).inserted { name += "_" }
      let (type, format) = isAlsoObject ? ("json", nil) : Self.type(of: field, origin: sample.origin)
      fields.append(
        InferredField(observed: field, name: name, type: type, format: format, events: sample.events))
    }
    return fields
  }

  private static func type(of field: FieldObserver, origin: EventSample.Origin) -> (String, String?) {
    let count = field.count
    // Integers of which some are too large: as text they are all the same.
    if field.largeIntegers > 0 { return ("string", nil) }
    if let declared = field.declared, count == 0 || declared == .json { return (declared.name, nil) }
    guard count > 0 else { return ("string", nil) }
    if field.timestamps == count { return ("timestamp", nil) }
    if field.jsons > 0 { return ("json", nil) }
    if field.timeStrings == count { return ("timestamp", "rfc3339") }
    let isCSV = origin == .csv
    let ints = field.ints + (isCSV ? field.intStrings : 0)
    let doubles = field.doubles + (isCSV ? field.doubleStrings : 0)
    let bools = field.bools + (isCSV ? field.boolStrings : 0)
    if ints + doubles == count, let unit = epochUnit(field) { return ("timestamp", unit) }
    if ints == count { return ("int", nil) }
    if ints + doubles == count { return ("double", nil) }
    if bools > 0, bools + ints == count, field.onlyBits { return ("bool", nil) }
    if field.strings == count { return ("string", nil) }
    return ("json", nil)
  }

  /// The unit in which numbers count from 1970: a name that says time, and values of the years 2000 to 2100.
  private static func epochUnit(_ field: FieldObserver) -> String? {
    guard hint(of: field.path) > 0, !field.hasNonFinite else { return nil }
    return FieldObserver.epochUnits.indices.first { field.epochTimes[$0] == field.count }
      .map { FieldObserver.epochUnits[$0].name }
  }

  // MARK: Roles

  /// How much a name says "time": 0 to 3.
  private static func hint(of path: [String]) -> Double {
    let name = path.last?.lowercased() ?? ""
    if ["timestamp", "time", "ts", "event_time", "eventtime", "@timestamp", "datetime"].contains(name) { return 3 }
    if name.contains("timestamp") || name.contains("event_time") { return 2.5 }
    if ["time", "date", "epoch"].contains(where: name.contains) { return 2 }
    if ["_at", "_ts", "at", "when"].contains(where: name.hasSuffix), name != "at" { return 1.5 }
    return 0
  }

  /// The index of the likeliest event time: a timestamp, there in as many events as possible, by name and by order.
  static func chooseTime(_ fields: [InferredField]) -> Int? {
    func score(_ field: InferredField) -> Double {
      10 * Double(field.observed.count) / Double(max(1, field.events)) + hint(of: field.observed.path)
        + 3 * field.observed.ascendingShare + (field.observed.path.count == 1 ? 0.5 : 0)
    }
    return best(fields.indices.filter { fields[$0].type == "timestamp" && fields[$0].observed.count > 0 }) {
      score(fields[$0])
    }
  }

  /// The index of the likeliest event time among the fields of which most values, nine in ten, are times: a few broken
  /// ones must not keep all others from being read. The field becomes a timestamp.
  /// - Parameter isText: whether numbers are written as text, as in CSV.
  static func chooseUncleanTime(_ fields: inout [InferredField], isText: Bool) -> Int? {
    let clean = fields
    for index in fields.indices {
      let seen = fields[index].observed
      let isNumeric = isText || seen.intStrings + seen.doubleStrings == 0
      let mostly = { (times: Int) in times > 0 && times * 10 >= seen.count * 9 }
      if mostly(seen.timeStrings) {
        (fields[index].type, fields[index].format) = ("timestamp", "rfc3339")
      } else if hint(of: seen.path) > 0, isNumeric,
        let unit = seen.epochTimes.indices.first(where: { mostly(seen.epochTimes[$0]) })
      {
        (fields[index].type, fields[index].format) = ("timestamp", FieldObserver.epochUnits[unit].name)
      }
    }
    guard let time = chooseTime(fields) else { return nil }
    // The others keep the type under which all of their values are read.
    for index in fields.indices where index != time { fields[index] = clean[index] }
    return time
  }

  /// The index of the likeliest entity key: an identifier whose values come back.
  static func chooseKey(_ fields: [InferredField], time: Int) -> Int? {
    let candidates = fields.indices.filter { index in
      let field = fields[index]
      let seen = field.observed
      guard index != time, !field.isLeftOut, ["int", "string"].contains(field.type), keyHint(field) > 0 else {
        return false
      }
      return seen.count > 0 && !seen.hasMoreDistinct && seen.distinct.count * 2 <= seen.count && seen.distinct.count > 1
    }
    return best(candidates) { index in
      let field = fields[index]
      let share = Double(field.observed.count) / Double(max(1, field.events))
      return keyHint(field) + 3 * share + (field.observed.path.count == 1 ? 0.5 : 0)
    }
  }

  /// How much a name says "entity": 0 to 2.
  private static func keyHint(_ field: InferredField) -> Double {
    let name = field.observed.path.last?.lowercased() ?? ""
    if name == "id" || name == "key" || name.hasSuffix("_id") || name.hasSuffix("_key") { return 2 }
    let words = ["user", "instance", "host", "device", "account", "customer", "sensor", "server", "machine", "cluster"]
    if words.contains(where: name.contains) { return 1.5 }
    return name.hasSuffix("id") || name.hasSuffix("uuid") ? 1 : 0
  }

  /// The index with the highest score, the first of equals.
  private static func best(_ indices: [Int], _ score: (Int) -> Double) -> Int? {
    var best: (index: Int, score: Double)?
    for index in indices where score(index) > best?.score ?? -.infinity { best = (index, score(index)) }
    return best?.index
  }

  /// Values worth an `allowed`: few strings that come back often.
  var allowedValues: [String]? {
    let seen = observed
    guard type == "string", seen.count >= 20, !seen.hasMoreDistinct, seen.distinct.count <= 10,
      seen.distinct.count * 5 <= seen.count, seen.longest <= 40, seen.distinct.count > 1
    else { return nil }
    return seen.distinct
  }

  /// Whether a lower bound of 0 is worth proposing: a number that was never negative.
  var isNeverNegative: Bool {
    ["int", "double"].contains(type) && observed.minimum >= 0 && observed.minimum.isFinite && !observed.hasNonFinite
      && observed.count >= 2
  }
}
