// Dead letters again: those that are asked for, as they came or repaired, marked with where they come from.

import Detection
public import Foundation
public import Pipeline

/// Dead letters that may be handed in again.
public struct DeadLetterReplay: Sendable {
  /// Dead letters that one replay looks at: the last ones read.
  public static let most = 1_000
  /// Bytes of them.
  public static let mostBytes = 16 << 20
  /// The header of a record that was handed in again. It has the id of the dead letter.
  public static let header = "pulse_replay"

  /// What became of them.
  public struct Counts: Sendable {
    public var taken = 0
    /// Those that had been handed in within the last day.
    public var repeated = 0

    public init() {}
  }

  /// The last one read first.
  public private(set) var letters: [StoredDeadLetter] = []
  /// What would be handed in of each.
  public private(set) var records: [HandedRecord] = []
  /// Those of which only a part is kept, so that they cannot come again as they were.
  public private(set) var partial = 0
  /// Those that have come again before, and failed again. Handing them in unchanged would go on for ever.
  public private(set) var looped = 0

  /// Looks for dead letters.
  /// - Parameters:
  ///   - repaired: what takes the place of records, by the id of the dead letter: only these are looked for; nil for all, as
  ///     they came.
  ///   - again: takes also those that have come again before.
  ///   - isWanted: whether one is, beyond what the filter says.
  public static func read(
    _ filter: ResultFilter, from reader: any ResultReader, repaired: [String: [UInt8]]? = nil, again: Bool,
    where isWanted: @Sendable (StoredDeadLetter) -> Bool = { _ in true }
  ) async throws -> DeadLetterReplay {
    var filter = filter
    filter.limit = 0
    struct Enough: Error {}
    var replay = DeadLetterReplay()
    do {
      try await reader.read { [filter] snapshot in
        var bytes = 0
        try await snapshot.forEachDeadLetter(filter) { letter in
          try Task.checkCancellation()
          guard isWanted(letter) else { return }
          bytes += letter.raw.count
          replay.add(letter, repaired, again: again)
          if replay.letters.count + replay.partial + replay.looped >= most || bytes >= mostBytes { throw Enough() }
        }
      }
    } catch is Enough {}
    return replay
  }

  private mutating func add(_ letter: StoredDeadLetter, _ repaired: [String: [UInt8]]?, again: Bool) {
    var value = letter.raw
    if let repaired {
      guard let changed = repaired[letter.id] else { return }
      value = changed
    } else if letter.raw.count < letter.length {
      partial += 1
      return
    }
    var envelope = letter.envelope.flatMap { RecordEnvelope(json: $0) } ?? RecordEnvelope()
    let isLoop = envelope.headers.contains { $0.name == Self.header }
    if isLoop && !again && value == letter.raw {
      looped += 1
      return
    }
    envelope.headers.removeAll { $0.name == Self.header }
    envelope.headers.append(RecordHeader(Self.header, Array(letter.id.utf8)))
    letters.append(letter)
    records.append(HandedRecord(value, envelope: envelope, origin: letter.partition.source))
  }

  /// Hands in records, the oldest first, as they came: each once a day at most.
  /// - Parameters:
  ///   - refused: indices of those that would not pass.
  ///   - counts: what was taken until then, also where this throws.
  public func handIn(
    without refused: Set<Int>, to inbox: String, in target: any Inbox, at time: Int64, counts: inout Counts
  ) async throws {
    for index in letters.indices.reversed() where !refused.contains(index) {
      try Task.checkCancellation()
      let record = records[index]
      var key = "replay\n\(letters[index].id)"
      if record.bytes != letters[index].raw {
        key += "\n" + HandedIn.digest(of: [record]).map { String($0, radix: 16) }.joined(separator: "-")
      }
      if try await target.handIn([record], to: inbox, key: key, at: time).isRepeated {
        counts.repeated += 1
      } else {
        counts.taken += 1
      }
    }
  }

  /// Reads repaired records: dead letters as `pulse dead-letters --json` prints them, with `raw` changed, as an array or
  /// one a line.
  /// - Returns: the records by the id of their dead letter.
  /// - Throws: `OperatingError` where it is none of these.
  public static func repaired(_ data: Data, called name: String) throws -> [String: [UInt8]] {
    let isArray = data.first { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: "[")
    let pieces = isArray ? [data] : data.split(separator: UInt8(ascii: "\n"))
    var found: [String: [UInt8]] = [:]
    for (index, piece) in pieces.enumerated() {
      let value = try? JSONSerialization.jsonObject(with: piece)
      guard let letters = isArray ? value as? [[String: Any]] : (value as? [String: Any]).map({ [$0] }) else {
        throw wrong(name, isArray ? "" : " in line \(index + 1)")
      }
      for letter in letters {
        guard let id = letter["id"] as? String, let raw = letter["raw"] as? String else {
          throw wrong(name, isArray ? "" : " in line \(index + 1)")
        }
        found[id] = Array(raw.utf8)
      }
    }
    return found
  }

  private static func wrong(_ name: String, _ place: String) -> OperatingError {
    OperatingError(
      .input,
      "\(name) has no dead letters\(place): expected objects with `id` and `raw`, as `pulse dead-letters --json` prints them"
    )
  }
}
