// What the anomalies of a problem have in common: values of their events that are much more frequent among them than among all
// events of the same time. Of each field the one that tells most: its share among the anomalies times the logarithm of how
// many times the usual that is, its part of the Kullback-Leibler divergence between the two.

import Detection
import Foundation
import Pipeline

/// Values that some events share, beside all.
struct CommonTraits: Sendable {
  struct Trait: Sendable {
    var field: String
    var value: Scalar
    /// Among the events that are looked at, 0 to 1.
    var share: Double
    /// Among all events.
    var shareOfAll: Double
  }

  /// The most telling first.
  var traits: [Trait] = []
  /// Events that it was compared with.
  var all = 0

  /// What decides how often values are counted among all events.
  struct Question: Hashable, Sendable {
    var from: Int64
    var to: Int64
    var keys: Set<String>?
    var candidates: [String: Set<Scalar>]
  }

  /// How often they are.
  struct Counts: Sendable {
    var known: [String: [Scalar: Int]] = [:]
    var all = 0
  }

  /// Rows of history that are looked at: the newest of the span.
  private static let mostRows = 400_000
  private static let mostTraits = 5
  /// A value that fewer of the events have is no trait of theirs.
  private static let leastShare = 0.1
  /// One that is less than so many times as frequent as usual is none either.
  private static let leastRatio = 1.5

  /// - Parameters:
  ///   - events: those of a problem; the first columns are the fields of the use case.
  ///   - keys: of the entities that are looked at; nil for all.
  /// - Throws: `OperatingError` where history cannot be read.
  init(of events: EventBatch, _ useCase: ServedUseCase, from: Int64, to: Int64, keys: Set<String>?) throws {
    let schema = useCase.plan.schema
    var candidates: [String: [Scalar: Int]] = [:]
    for (index, field) in schema.fields.enumerated() where Self.isCategory(field) && index != schema.timeField {
      let least = max(2, Int((Double(events.count) * Self.leastShare).rounded(.up)))
      let frequent = Self.counts(events.columns[index], rows: 0..<events.count).filter { $0.value >= least }
      if !frequent.isEmpty { candidates[field.name] = frequent }
    }
    guard !candidates.isEmpty else { return }
    let question = Question(
      from: from, to: to, keys: keys, candidates: candidates.mapValues { Set($0.keys) })
    let history = EntityHistory(useCase, fields: Set(candidates.keys))
    let counts = try useCase.usual.answer(to: question, in: history.shards(from: from, to: to)) {
      try Self.counts(question, in: history)
    }
    all = counts.all
    guard all > 0 else { return }
    let found = candidates.compactMap { field, values -> (trait: Trait, weight: Double)? in
      values.map { value, count in
        let share = Double(count) / Double(events.count)
        // One that history does not have yet is taken as seen once.
        let shareOfAll = Double(max(counts.known[field]?[value] ?? 0, 1)) / Double(all)
        let trait = Trait(field: field, value: value, share: share, shareOfAll: shareOfAll)
        return (trait, share * log(share / shareOfAll))
      }.filter { $0.0.share >= Self.leastRatio * $0.0.shareOfAll }
        .max { ($0.1, $1.0.value.plainText) < ($1.1, $0.0.value.plainText) }
    }
    traits = found.sorted { ($1.weight, $0.trait.field) < ($0.weight, $1.trait.field) }.prefix(Self.mostTraits)
      .map(\.trait)
  }

  private static func counts(_ question: Question, in history: EntityHistory) throws -> Counts {
    let (from, to) = (question.from, question.to)
    var counts = Counts()
    try history.forEachBatch(from: from, to: to) { batch, schema in
      let rows = (0..<batch.count).filter { row in
        guard batch.eventTimes[row] >= from, batch.eventTimes[row] < to else { return false }
        guard let keys = question.keys, let key = schema.keyField else { return true }
        return keys.contains(batch.columns[key][row].plainText)
      }
      counts.all += rows.count
      for (index, field) in schema.fields.enumerated() {
        guard let wanted = question.candidates[field.name] else { continue }
        for (value, count) in Self.counts(batch.columns[index], rows: rows) where wanted.contains(value) {
          counts.known[field.name, default: [:]][value, default: 0] += count
        }
      }
      return counts.all < mostRows
    }
    return counts
  }

  /// Whether values of a field are names rather than amounts.
  private static func isCategory(_ field: Field) -> Bool {
    switch field.type {
    case .string, .bool, .int: true
    default: false
    }
  }

  private static func counts(_ column: Column, rows: some Sequence<Int>) -> [Scalar: Int] {
    var counts: [Scalar: Int] = [:]
    for row in rows where !column.isNull(row) { counts[column[row], default: 0] += 1 }
    return counts
  }
}
