// Events of history as a list, newest first. Files are read from the newest on, of each the newest blocks first, and only as
// long as they may hold something that belongs on the page.

import Detection
import Pipeline

/// A page of events of a use case.
struct EventList: Sendable {
  /// Where an event stands in the list: by time, and of one time by where it came from.
  struct Place: Sendable, Comparable {
    var time: Int64
    var partition: PartitionID
    var position: Position

    static func < (a: Place, b: Place) -> Bool {
      (a.time, a.partition, a.position) < (b.time, b.partition, b.position)
    }
  }

  /// What is asked for.
  struct Question: Sendable {
    var from = Int64.min
    /// Exclusive.
    var to = Int64.max
    /// Empty for all.
    var keys: Set<String> = []
    /// Fields and the values that they have, as text.
    var values: [(field: String, text: String)] = []
    /// Names of the fields that are given; empty for all.
    var fields: Set<String> = []
    /// Only what stands behind it.
    var after: Place?
    var limit = 50
  }

  struct Item: Sendable {
    var place: Place
    /// A JSON object.
    var event: String
  }

  var items: [Item] = []
  /// Where the list goes on.
  var next: Place?
  /// Whether more rows were to be looked at than one question may.
  var isCut = false

  /// - Throws: `OperatingError` where history cannot be read.
  init(_ question: Question, of useCase: ServedUseCase) throws {
    let all = Set(useCase.plan.schema.fields.map(\.name))
    let history = EntityHistory(
      useCase, fields: (question.fields.isEmpty ? all : question.fields).union(question.values.map(\.field)))
    // What is found is sorted and cut when it has doubled, so keeping it costs little for each event.
    var found: [Item] = []
    var least: Place?
    func cut() {
      found.sort { $1.place < $0.place }
      guard found.count > question.limit else { return }
      found.removeSubrange((question.limit + 1)...)
      least = found[question.limit].place
    }
    isCut = try history.forEachBatch(
      from: question.from, to: min(question.to, question.after?.time.addingSaturated(1) ?? .max),
      where: { last in
        cut()
        return least.map { last >= $0.time } ?? true
      },
      { batch, schema in
        let renderer = EventRenderer(schema: schema)
        let places = Self.rows(of: batch, schema, question).compactMap { row -> (place: Place, row: Int)? in
          let place = Place(time: batch.eventTimes[row], partition: batch.partition, position: batch.positions[row])
          if let after = question.after, place >= after { return nil }
          if let least, place < least { return nil }
          return (place, row)
        }
        // Of a batch no more than a page can be on the page: only those are written out.
        for (place, row) in places.sorted(by: { $1.place < $0.place }).prefix(question.limit + 1) {
          found.append(Item(place: place, event: renderer.json(of: batch, row: row)))
        }
        if found.count > 4 * question.limit { cut() }
        return true
      })
    cut()
    if found.count > question.limit {
      found.removeLast(found.count - question.limit)
      next = found.last?.place
    }
    items = found
  }

  /// Rows that match, ascending.
  private static func rows(of batch: EventBatch, _ schema: Schema, _ question: Question) -> [Int] {
    var rows = (0..<batch.count).filter {
      batch.eventTimes[$0] >= question.from && batch.eventTimes[$0] < question.to
    }
    if !question.keys.isEmpty {
      guard let key = schema.keyField else { return [] }
      rows = rows.filter { question.keys.contains(batch.columns[key][$0].plainText) }
    }
    for (field, text) in question.values {
      guard let column = schema.index(of: field) else { return [] }
      rows = rows.filter { batch.columns[column][$0].plainText == text }
    }
    return rows
  }
}

extension PageCursor {
  init(_ place: EventList.Place) {
    self.init([
      .int(place.time), .string(place.partition.source), .int(Int64(place.partition.number)),
      .int(Int64(place.position.segment)), .int(place.position.offset), .int(place.position.row),
    ])
  }

  /// - Throws: `CodingError` where the cursor is that of another list.
  func place() throws(CodingError) -> EventList.Place {
    guard keys.count == 6, case .int(let time) = keys[0], case .string(let source) = keys[1],
      case .int(let partition) = keys[2], case .int(let segment) = keys[3], case .int(let offset) = keys[4],
      case .int(let row) = keys[5]
    else { throw CodingError("the cursor is that of another list") }
    return EventList.Place(
      time: time, partition: PartitionID(source: source, number: Int32(clamping: partition)),
      position: Position(segment: UInt32(clamping: segment), offset: offset, row: row))
  }
}
