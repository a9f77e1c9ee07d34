// Parts of results as JSON, by the one writer of it (`JSONText`).

public import Detection

extension JSONText {
  /// An object of aggregates by name.
  public static func object(_ aggregates: some Sequence<(String, AggregateValue)>) -> String {
    object(
      aggregates.map { name, value in
        var bytes: [UInt8] = []
        bytes.appendJSON(value)
        return (name, String(decoding: bytes, as: UTF8.self))
      })
  }
}

extension [UInt8] {
  /// Appends rows as an array of objects.
  mutating func appendJSON(_ value: AggregateValue) {
    switch value {
    case .scalar(let scalar): appendJSON(scalar)
    case .rows(let names, let rows):
      let keys = names.map(JSONText.key)
      append(UInt8(ascii: "["))
      for (index, row) in rows.enumerated() {
        if index > 0 { append(UInt8(ascii: ",")) }
        appendJSONObject(keys, row)
      }
      append(UInt8(ascii: "]"))
    }
  }

  /// Appends an object.
  /// - Parameter keys: as `JSONText.key` makes them, one for each value.
  public mutating func appendJSONObject(_ keys: [[UInt8]], _ values: [Scalar]) {
    appendJSONObject(keys, values) { $0.appendJSON($1) }
  }

  /// Appends an object of aggregates.
  /// - Parameter keys: as `JSONText.key` makes them, one for each aggregate.
  public mutating func appendJSONObject(_ keys: [[UInt8]], _ values: [AggregateValue]) {
    appendJSONObject(keys, values) { $0.appendJSON($1) }
  }

  /// Appends an object of counts.
  /// - Parameter keys: as `JSONText.key` makes them, one for each count.
  public mutating func appendJSONObject(_ keys: [[UInt8]], counts: [Int64]) {
    appendJSONObject(keys, counts) { $0.append(contentsOf: String($1).utf8) }
  }

  @inline(__always)
  private mutating func appendJSONObject<Value>(
    _ keys: [[UInt8]], _ values: [Value], _ append: (inout [UInt8], Value) -> Void
  ) {
    self.append(UInt8(ascii: "{"))
    for (index, value) in values.enumerated() {
      if index > 0 { self.append(UInt8(ascii: ",")) }
      self.append(contentsOf: keys[index])
      append(&self, value)
    }
    self.append(UInt8(ascii: "}"))
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
