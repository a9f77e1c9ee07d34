// Parts of results as JSON, by the one writer of it (`JSONText`).

public import Detection

extension [UInt8] {
  /// Appends an object.
  /// - Parameter keys: as `JSONText.key` makes them, one for each value.
  public mutating func appendJSONObject(_ keys: [[UInt8]], _ values: [Scalar]) {
    append(UInt8(ascii: "{"))
    for (index, value) in values.enumerated() {
      if index > 0 { append(UInt8(ascii: ",")) }
      append(contentsOf: keys[index])
      appendJSON(value)
    }
    append(UInt8(ascii: "}"))
  }

  /// Appends an object of counts.
  /// - Parameter keys: as `JSONText.key` makes them, one for each count.
  public mutating func appendJSONObject(_ keys: [[UInt8]], counts: [Int64]) {
    append(UInt8(ascii: "{"))
    for (index, count) in counts.enumerated() {
      if index > 0 { append(UInt8(ascii: ",")) }
      append(contentsOf: keys[index])
      append(contentsOf: String(count).utf8)
    }
    append(UInt8(ascii: "}"))
  }
}

extension Explanation {
  /// `{contributions: [{feature, value, contribution}], expected, range, clause}`.
  public var json: String {
    let contributions = contributions.map { part in
      JSONText.object([
        ("feature", JSONText.string(part.feature)), ("value", JSONText.value(part.value)),
        ("contribution", JSONText.number(part.contribution)),
      ])
    }
    return JSONText.object([
      ("contributions", JSONText.array(contributions)), ("expected", expected.map(JSONText.number) ?? "null"),
      (
        "range",
        range.map { JSONText.array([JSONText.number($0.lowerBound), JSONText.number($0.upperBound)]) } ?? "null"
      ),
      ("clause", JSONText.optional(clause)),
    ])
  }
}

extension Position {
  /// The position as a JSON object.
  func json(in partition: PartitionID) -> String {
    JSONText.object([
      ("source", JSONText.string(partition.source)), ("partition", String(partition.number)),
      ("segment", String(segment)), ("offset", String(offset)), ("row", String(row)),
    ])
  }
}
