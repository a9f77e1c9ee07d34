// The times and keys of events that are sent on: what a producer needs to know of a record.

public import Detection

/// Times and keys of records.
public struct KeyedRecords: Sendable {
  /// Microseconds since 1970; nil where a record could not be read, or its time is not asked for.
  public var times: [Int64?]
  /// Nil where no key is asked for.
  public var keys: RecordKeys?
}

/// Reads the time and the key of events. Not `Sendable`: it owns memory that is reused from batch to batch.
public final class KeyedEvents {
  private let decoder: Decoder
  private let hasTime: Bool
  private let keyField: Int?

  /// - Parameters:
  ///   - time: where the time of an event lies, and how it is written; nil where none is needed.
  ///   - key: the field by whose value events are kept together; nil for none.
  public init(time: Field?, key: Field?) {
    // A schema has a time. Where none is needed, one that is in no event takes its default.
    var clock = time ?? Field(name: "", path: [""], type: .timestamp(.automatic), defaultValue: .timestamp(0))
    clock.name = "time"
    var fields = [clock]
    if var key {
      key.name = "key"
      key.required = false
      fields.append(key)
    }
    hasTime = time != nil
    keyField = key == nil ? nil : 1
    decoder = Decoder(schema: Schema(fields: fields, timeField: 0, keyField: nil))
  }

  /// The time and the key of each record; nil and none for one that cannot be read.
  public func read(_ raw: RawBatch) -> KeyedRecords {
    let events = decoder.decode(raw).events
    var times = [Int64?](repeating: nil, count: raw.count)
    var rows = [Int?](repeating: nil, count: raw.count)
    var record = 0
    for row in 0..<events.count {
      while raw.positions[record] < events.positions[row] { record += 1 }
      rows[record] = row
      if hasTime { times[record] = events.eventTimes[row] }
    }
    guard let keyField else { return KeyedRecords(times: times) }
    var keys = RecordKeys()
    let column = events.columns[keyField]
    for row in rows { keys.append(column, row: row) }
    return KeyedRecords(times: times, keys: keys)
  }
}
