// Writes the inferred use case down: what was decided, and above each field what was seen.

internal import Detection

/// The text of an inferred `pipeline.yaml`.
struct InferredText {
  let sample: EventSample
  let source: String
  let fields: [InferredField]
  let time: Int
  let key: Int?

  func text(name: String) -> String {
    var lines: [String] = []
    lines.append("# A first use case for \(Self.comment(source)), from \(Self.count(sample.events, "event")).")
    lines.append("# It says what the sample showed, which need not be what is right: read it and change it.")
    if let delimiter = sample.delimiter, delimiter != .comma {
      lines.append(
        "# Its cells are separated by \(delimiter.title): read it with --csv-delimiter '\(delimiter.rawValue)'.")
    }
    if sample.unreadable > 0 {
      let lineNumbers = sample.unreadableLines.map(String.init).joined(separator: ", ")
      let place = (sample.unreadable == 1 ? "line " : "lines ") + lineNumbers
      lines.append(
        "# \(Self.count(sample.unreadable, "record")) could not be read and would become dead letters: \(place)"
          + (sample.unreadable > sample.unreadableLines.count ? " and others." : "."))
    }
    if sample.hasMoreFields { lines.append("# Only the first \(EventSample.fieldLimit) fields are listed.") }
    lines.append("name: \(Self.quoted(name))")
    lines.append("event:")
    lines += roles()
    lines.append("  fields:")
    for index in fields.indices { lines += field(index) }
    lines += examples()
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: Roles

  private func roles() -> [String] {
    let chosen = fields[time]
    var why = "ascending in \(Self.percent(chosen.observed.ascendingShare)) of the steps"
    if chosen.observed.count < 2 { why = "the only one seen" }
    let others = fields.indices.filter { $0 != time && fields[$0].type == "timestamp" }.map {
      Self.comment(Self.quoted(fields[$0].name))
    }
    if !others.isEmpty { why += "; other timestamps: \(others.prefix(5).joined(separator: ", "))" }
    if chosen.observed.count < sample.events {
      why += "; missing in \(sample.events - chosen.observed.count) events, which become dead letters"
    }
    let times =
      switch chosen.format {
      case nil: chosen.observed.count
      case "rfc3339": chosen.observed.timeStrings
      default: chosen.observed.epochTimes.max() ?? 0
      }
    if times < chosen.observed.count {
      let others = Self.count(chosen.observed.count - times, "event")
      // Another number is still a time, of 1970 for example.
      let isText = chosen.format == "rfc3339"
      why += isText ? "; no time in \(others), which become dead letters" : "; not likely in \(others)"
    }
    var lines = ["  # The likeliest event time: \(why)."]
    lines.append("  time: \(Self.quoted(chosen.name))")
    if chosen.observed.ascendingShare < 1, chosen.observed.count > 1 {
      lines.append("  # Events came out of order; say by how much, so that windows wait: out_of_order: 5s")
    }
    if let key {
      let seen = fields[key].observed
      lines.append(
        "  # The likeliest entity: \(Self.count(seen.distinct.count, "value")) in \(Self.count(seen.count, "event")).")
      lines.append("  key: \(Self.quoted(fields[key].name))")
    } else {
      lines.append("  # No field looks like an identifier that comes back; set `key` if events belong to an entity.")
    }
    return lines
  }

  // MARK: Fields

  private func field(_ index: Int) -> [String] {
    let field = fields[index]
    if field.isLeftOut, index != time {
      let share = Self.percent(Double(field.misfits) / Double(sample.events))
      return ["    # \(Self.quoted(field.name)) is left out: \(share) of its values are not UTF-8, or out of range"]
    }
    var keys = ["type: \(field.type)"]
    if field.isRequired { keys.append("required: true") }
    if let format = field.format { keys.append("format: \(format)") }
    var remarks: [String] = []
    if field.misfits > 0 {
      remarks.append("\(Self.count(field.misfits, "value")) out of range or not UTF-8, a dead letter each")
    }
    if field.observed.largeIntegers > 0 { remarks.append("integers beyond 64 bits, read as text") }
    if index != time {
      var rules: [String] = []
      if field.observed.count == sample.events { rules.append("required: true") }
      if index != key, field.isNeverNegative { rules.append("min: 0") }
      if index != key, let values = field.allowedValues {
        rules.append("allowed: [\(values.map { Self.comment(Self.quoted($0)) }.joined(separator: ", "))]")
      }
      if !rules.isEmpty { remarks.append("if the rest is like this, add: \(rules.joined(separator: ", "))") }
    }
    if needsPath(field) { keys.append("path: [\(field.observed.path.map(Self.quotedAlways).joined(separator: ", "))]") }
    let sentence = ([summary(field)] + remarks).joined(separator: "; ")
    return ["    # \(sentence)", "    \(Self.quoted(field.name)): {\(keys.joined(separator: ", "))}"]
  }

  private func needsPath(_ field: InferredField) -> Bool {
    field.name.split(separator: ".").map(String.init) != field.observed.path
  }

  /// What was seen of a field.
  private func summary(_ field: InferredField) -> String {
    let seen = field.observed
    guard seen.count > 0 else {
      return "never anything but null; the type is \(seen.declared == nil ? "a guess" : "that of the file")"
    }
    var parts = [kinds(seen)]
    let missing = sample.events - seen.count
    parts.append(
      missing == 0 ? "never null" : "null or missing in \(Self.percent(Double(missing) / Double(sample.events)))")
    if seen.jsons == 0 {
      parts.append(
        seen.hasMoreDistinct ? "more than \(FieldObserver.distinctLimit) distinct" : "\(seen.distinct.count) distinct")
    }
    if ["int", "double"].contains(field.type), seen.minimum.isFinite {
      parts.append("from \(Self.number(seen.minimum)) to \(Self.number(seen.maximum))")
    }
    if field.type == "string" { parts.append("up to \(Self.count(seen.longest, "byte"))") }
    if seen.jsons == 0 {
      let values = seen.distinct.prefix(3).map { Self.comment(String($0.prefix(40))) }.joined(separator: ", ")
      parts.append("such as \(values)")
    }
    if field.type == "string", sample.origin == .json, seen.intStrings + seen.doubleStrings == seen.count {
      parts.append("all hold numbers: type double with numeric_strings would read them")
    }
    if seen.hasNonFinite { parts.append("holds NaN or infinity, and such events become dead letters") }
    return parts.joined(separator: ", ")
  }

  private func kinds(_ seen: FieldObserver) -> String {
    let counts = [
      ("int", seen.ints), ("double", seen.doubles), ("bool", seen.bools), ("text", seen.strings),
      ("timestamp", seen.timestamps), ("list or object", seen.jsons),
    ].filter { $0.1 > 0 }
    if counts.count == 1 { return counts[0].0 }
    return counts.map { "\($0.0) in \($0.1)" }.joined(separator: ", ")
  }

  // MARK: Examples

  /// A rule and a window to start from, as comments that are right when the `# ` is taken away.
  private func examples() -> [String] {
    let measure = fields.indices.first { index in
      index != time && index != key && !fields[index].isLeftOut && ["int", "double"].contains(fields[index].type)
        && fields[index].observed.maximum > fields[index].observed.minimum
    }
    var lines = ["", "# Examples to start from: take the `# ` away."]
    lines.append("# rules:")
    if let measure {
      let field = fields[measure]
      let bound = Self.number(field.observed.maximum)
      lines += [
        "#   - name: unusually_high",
        "#     when: '\(Self.reference(field.name)) > \(bound)'   # the highest seen",
      ]
    } else {
      lines += [
        "#   - name: time_in_the_future",
        "#     when: '\(Self.reference(fields[time].name)) > TIMESTAMP ''2100-01-01 00:00:00'''",
      ]
    }
    lines.append("#     severity: medium")
    lines += ["# windows:", "#   - name: per_10_minutes", "#     type: tumbling", "#     size: 10m"]
    if let key { lines.append("#     by: [\(Self.quoted(fields[key].name))]") }
    lines.append("#     aggregates:")
    lines.append("#       events: count(*)")
    if let measure { lines.append("#       average: 'avg(\(Self.reference(fields[measure].name)))'") }
    return lines
  }

  // MARK: Text

  /// Words that are not names in expressions unless they are quoted.
  private static let keywords: Set<String> = [
    "and", "or", "not", "is", "in", "between", "like", "ilike", "escape", "case", "when", "then", "else", "end", "as",
    "distinct", "from", "select", "where", "cast", "try_cast", "null", "true", "false", "timestamp",
  ]

  /// A field's name in an expression, within a quoted scalar of YAML in a comment.
  private static func reference(_ name: String) -> String {
    func isWord(_ part: Substring) -> Bool {
      part.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil && !keywords.contains(part.lowercased())
    }
    if name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isWord) { return name }
    return comment("\"\(name.replacing("\"", with: "\"\""))\"".replacing("'", with: "''"))
  }

  private static func count(_ count: Int, _ noun: String) -> String { count == 1 ? "1 \(noun)" : "\(count) \(noun)s" }

  private static func percent(_ share: Double) -> String {
    if share > 0, share < 0.001 { return "less than 0.1 %" }
    if share < 1, share > 0.999 { return "more than 99.9 %" }
    let tenths = Int((share * 1000).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10) %" : "\(tenths / 10).\(tenths % 10) %"
  }

  /// A number as people write it: whole ones without a point.
  private static func number(_ value: Double) -> String {
    if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return String(whole) }
    return value.description
  }

  /// Text that stays within its comment.
  private static func comment(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let category = scalar.properties.generalCategory
      let isPrintable =
        category != .control && category != .format && category != .lineSeparator && category != .paragraphSeparator
        && category != .privateUse && category != .unassigned && category != .surrogate
      result.append(isPrintable ? scalar : "\u{FFFD}")
    }
    return String(result)
  }

  /// A scalar of YAML: plain where that is safe.
  static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy {
      (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2E
        || $0 == 0x2D
    }
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
    guard isPlain, let first = text.utf8.first, (0x61...0x7A).contains(first | 0x20), !words.contains(text.lowercased())
    else { return quotedAlways(text) }
    return text
  }

  /// A double-quoted scalar of YAML; whatever is not ASCII or not printable is escaped.
  static func quotedAlways(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case " "..."~": result.unicodeScalars.append(scalar)
      default:
        let hex = String(scalar.value, radix: 16, uppercase: true)
        let width = scalar.value < 0x100 ? 2 : scalar.value < 0x10000 ? 4 : 8
        let letter = width == 2 ? "x" : width == 4 ? "u" : "U"
        let isLetter = scalar.properties.isAlphabetic && scalar.value < 0xD800
        if isLetter {
          result.unicodeScalars.append(scalar)
        } else {
          result += "\\\(letter)" + String(repeating: "0", count: width - hex.count) + hex
        }
      }
    }
    return result + "\""
  }
}
