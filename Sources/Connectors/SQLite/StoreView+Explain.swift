// One stored anomaly, and the use case that it was found under.

import Detection
import GRDB
import Pipeline

extension StoreView {
  func anomaly(id: String) throws -> (anomaly: StoredAnomaly, configuration: String)? {
    guard let parts = AnomalyID.parts(of: id) else { return nil }
    let owners = try Row.fetchAll(database, sql: "SELECT DISTINCT use_case, source FROM partitions")
      .map { (useCase: $0["use_case"] as String, source: $0["source"] as String) }
      .filter { "\($0.useCase).\($0.source)" == parts.place }
    let hasSubject = try has("subject", in: "anomalies")
    for owner in owners {
      var conditions = QueryConditions()
      conditions.add("use_case = ? AND source = ?", owner.useCase, owner.source)
      conditions.add(
        "partition = ? AND segment = ? AND offset = ?", parts.partition, Int64(parts.segment), parts.offset)
      conditions.add("detector = ?", parts.detector)
      if hasSubject {
        conditions.add("subject = CAST(? AS TEXT)", WholeText(parts.subject))
      } else if !parts.subject.isEmpty {
        continue
      }
      let rows = try Row.fetchCursor(
        database, sql: "SELECT * FROM anomalies WHERE \(conditions.text)",
        arguments: StatementArguments(conditions.values))
      guard let found = try rows.next().map(Self.anomaly) else { continue }
      if let text = try configuration(of: found) { return (found, text) }
    }
    return nil
  }

  /// The configuration of a use case that was applied last.
  func configuration(of useCase: String) throws -> String? {
    try configurations(of: useCase).first
  }

  /// The configuration in force at the position of an anomaly.
  private func configuration(of anomaly: StoredAnomaly) throws -> String? {
    try WholeText.fetchOne(
      database,
      sql: """
        SELECT c.text FROM activations a JOIN configurations c USING (use_case, version)
        WHERE a.use_case = ? AND a.source = ? AND a.partition = ? AND a.kind = 'configuration'
          AND (a.segment, a.offset) <= (?, ?)
        ORDER BY a.sequence DESC LIMIT 1
        """,
      arguments: [
        anomaly.useCase, anomaly.partition.source, anomaly.partition.number, anomaly.position.segment,
        anomaly.position.offset,
      ])?.text
  }
}

extension StoreView: DefinitionTexts {
  func configurations(of useCase: String) throws -> [String] {
    try WholeText.fetchAll(
      database,
      sql: """
        SELECT c.text FROM activations a JOIN configurations c USING (use_case, version)
        WHERE a.use_case = ? AND a.kind = 'configuration' GROUP BY version ORDER BY max(a.sequence) DESC
        """, arguments: [useCase]
    ).map(\.text)
  }

  func fingerprint(_ definition: Int64) throws -> String? {
    try WholeText.fetchOne(
      database, sql: "SELECT text FROM window_definitions WHERE id = ?", arguments: [definition])?.text
  }
}
