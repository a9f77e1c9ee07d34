// One stored anomaly, and the use case that it was found under.

import Detection
import GRDB
import Pipeline

extension StoreReader {
  /// A stored anomaly with the text of the configuration in force at its position; nil where there is none of this id.
  public func anomaly(id: String) throws -> (anomaly: StoredAnomaly, configuration: String)? {
    // Use cases and sources may have dots in their names, detectors have none: the end of an id is unambiguous.
    guard let match = id.wholeMatch(of: /(.+)\.([0-9]{1,9})\.([0-9]{1,9})-([0-9]{1,18})\.([^.]+)/),
      let partition = Int64(match.2), let segment = Int64(match.3), let offset = Int64(match.4)
    else { return nil }
    let (detector, place) = (String(match.5), String(match.1))
    let owners = try read { database in
      try Row.fetchAll(database, sql: "SELECT DISTINCT use_case, source FROM partitions")
        .map { (useCase: $0["use_case"] as String, source: $0["source"] as String) }
        .filter { "\($0.useCase).\($0.source)" == place }
    }
    for owner in owners {
      var found: StoredAnomaly?
      try forEachAnomaly(
        "WHERE use_case = ? AND source = ? AND partition = ? AND segment = ? AND offset = ? AND detector = ?",
        [owner.useCase, owner.source, partition, segment, offset, detector], order: "rowid"
      ) { found = $0 }
      let text = try configuration(of: owner.useCase, owner.source, partition, segment, offset)
      if let found, let text { return (found, text) }
    }
    return nil
  }

  /// The configuration in force at a position.
  private func configuration(
    of useCase: String, _ source: String, _ partition: Int64, _ segment: Int64, _ offset: Int64
  ) throws -> String? {
    try read { database in
      try WholeText.fetchOne(
        database,
        sql: """
          SELECT c.text FROM activations a JOIN configurations c USING (use_case, version)
          WHERE a.use_case = ? AND a.source = ? AND a.partition = ? AND a.kind = 'configuration'
            AND (a.segment, a.offset) <= (?, ?)
          ORDER BY a.sequence DESC LIMIT 1
          """, arguments: [useCase, source, partition, segment, offset])?.text
    }
  }
}
