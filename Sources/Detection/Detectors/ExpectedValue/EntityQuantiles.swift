// What is usual for an entity: a high quantile of its actual values and one of the values expected of it, both over
// predictions for rows that the model was not trained on.

/// Two quantiles for each entity with enough rows.
public struct EntityQuantiles: Sendable, Hashable {
  /// The quantiles of one entity.
  public struct Pair: Sendable, Hashable, Codable {
    public var actual: Double
    public var expected: Double

    public init(actual: Double, expected: Double) {
      self.actual = actual
      self.expected = expected
    }
  }

  /// Hashes of the entities, ascending.
  let entities: [UInt64]
  let pairs: [Pair]
  private let table: ValueTable

  var heldBytes: Int { entities.heldBytes + pairs.heldBytes + table.heldBytes }

  /// No entity.
  public init() { self.init(entities: [], pairs: []) }

  init(entities: [UInt64], pairs: [Pair]) {
    self.entities = entities
    self.pairs = pairs
    table = ValueTable(entities)
  }

  /// Entities that have quantiles.
  public var count: Int { entities.count }

  /// The quantiles of an entity; nil for one with too few rows, and for an event without an entity.
  public subscript(entity: UInt64?) -> Pair? {
    guard let entity, !entities.isEmpty else { return nil }
    let index = table.index(of: entity)
    return index < 0 ? nil : pairs[index]
  }

  /// Fits the quantiles of each entity with at least `minRows` rows, of the `Limits.maxRankedEntities` with the most rows,
  /// equal ones by hash. Rows without an entity or with a value that is not finite do not count.
  /// - Parameters:
  ///   - expected: predictions for the same rows, by a model that did not see them.
  public static func fit(
    entities: [UInt64?], actual: [Double], expected: [Double], misrank: ExpectedValueDefinition.Misrank
  ) -> EntityQuantiles {
    precondition(entities.count == actual.count && actual.count == expected.count, "columns differ in length")
    var rows: [(entity: UInt64, row: Int)] = []
    rows.reserveCapacity(entities.count)
    for (row, entity) in entities.enumerated() {
      if let entity, actual[row].isFinite, expected[row].isFinite { rows.append((entity, row)) }
    }
    rows.sort { ($0.entity, $0.row) < ($1.entity, $1.row) }
    var groups: [(entity: UInt64, range: Range<Int>)] = []
    var start = 0
    for index in 1..<(rows.count + 1) where index == rows.count || rows[index].entity != rows[start].entity {
      if index <= rows.count, start < index, index - start >= misrank.minRows {
        groups.append((rows[start].entity, start..<index))
      }
      start = index
    }
    groups.sort { ($1.range.count, $0.entity) < ($0.range.count, $1.entity) }
    let kept = groups.prefix(Limits.maxRankedEntities).sorted { $0.entity < $1.entity }
    let pairs = kept.map { group in
      let members = rows[group.range].map(\.row)
      return Pair(
        actual: quantile(members.map { actual[$0] }, misrank.actual),
        expected: quantile(members.map { expected[$0] }, misrank.expected))
    }
    return EntityQuantiles(entities: kept.map(\.entity), pairs: pairs)
  }

  /// The quantile by linear interpolation between order statistics: number 7 of Hyndman and Fan, "Sample Quantiles in
  /// Statistical Packages" (1996).
  /// - Precondition: at least one value, all finite.
  static func quantile(_ values: [Double], _ level: Double) -> Double {
    let sorted = values.sorted()
    let place = level * Double(sorted.count - 1)
    let low = Int(place.rounded(.down))
    let high = min(low + 1, sorted.count - 1)
    return sorted[low] + (sorted[high] - sorted[low]) * (place - Double(low))
  }
}

extension EntityQuantiles: Codable {
  private enum CodingKeys: String, CodingKey { case entities, pairs }

  public init(from decoder: any Swift.Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let entities = try container.decode([UInt64].self, forKey: .entities)
    let pairs = try container.decode([Pair].self, forKey: .pairs)
    guard entities.count == pairs.count, entities.count <= Limits.maxRankedEntities,
      zip(entities, entities.dropFirst()).allSatisfy(<),
      pairs.allSatisfy({ $0.actual.isFinite && $0.expected.isFinite })
    else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: container.codingPath, debugDescription: "the quantiles of entities are not right"))
    }
    self.init(entities: entities, pairs: pairs)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(entities, forKey: .entities)
    try container.encode(pairs, forKey: .pairs)
  }
}
