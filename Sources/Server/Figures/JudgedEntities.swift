// Which entities are in trouble, by the rule of the use case.

import Detection

/// An entity, and whether it is in trouble.
struct JudgedEntity: Sendable {
  var figures: EntityFigures
  var isCritical: Bool
}

extension DashboardDefinition.Critical {
  /// Anomalies of high severity that make an entity critical: fewer in a span of a few hours.
  func leastSevere(in range: FigureRange) -> Int { range.length <= 3 * 3_600_000_000 ? severeLive : severe }
}

extension FigureCache.Content {
  /// Entities in the order of a list: critical ones first, by how much worse they are; the others by change.
  func judged(_ range: FigureRange, _ critical: DashboardDefinition.Critical) -> [JudgedEntity] {
    let (least, hasPrevious) = (critical.leastSevere(in: range), hasPrevious(range))
    let countsProblems = critical.problemShare != nil || critical.problemCount != nil
    let problems = countsProblems ? problems(range) : [:]
    func isCritical(_ entity: EntityFigures) -> Bool {
      if hasPrevious, entity.severe >= least, Double(entity.severe) >= critical.factor * Double(entity.previousSevere) {
        return true
      }
      guard let sums = problems[entity.name], sums.events > 0 else { return false }
      if let share = critical.problemShare, Double(sums.problems) / Double(sums.events) > share { return true }
      return critical.problemCount.map { sums.problems >= Int64($0) } ?? false
    }
    let judged = entities(range).map { JudgedEntity(figures: $0, isCritical: isCritical($0)) }
    func worse(_ entity: JudgedEntity) -> Double {
      if entity.isCritical { return Double(entity.figures.severe - entity.figures.previousSevere) }
      return hasPrevious ? entity.figures.change : entity.figures.line.total ?? 0
    }
    return judged.sorted { a, b in
      if a.isCritical != b.isCritical { return a.isCritical }
      if worse(a) != worse(b) { return worse(a) > worse(b) }
      if a.figures.line.total != b.figures.line.total {
        return (a.figures.line.total ?? 0) > (b.figures.line.total ?? 0)
      }
      return (a.figures.name.utf8.count, a.figures.name) < (b.figures.name.utf8.count, b.figures.name)
    }
  }
}
