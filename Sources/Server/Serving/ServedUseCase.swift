// A use case as the server sees it: what is stored of it, what is known about it, and who may write beside its runs.

import Configuration
import Connectors
import Detection
import Foundation
import Learning
import Operations
import Pipeline

/// A use case in a data directory.
final class ServedUseCase: Sendable {
  let name: String
  let store: ServedStore
  /// As it is defined now: in its folder, or in the store where that is not found.
  let plan: Plan
  /// Its text, as it was found.
  let text: String
  /// Its folder; nil where only the store knows it.
  let folder: String?
  let dashboard: DashboardDefinition
  let advice: AdviceBook
  let figures: FigureCache
  let predictor: Predictor
  let versions: ModelCatalog
  /// How often values are among all events, and how usual the value of an anomaly is: each takes reading days of history.
  let usual = HistoryFindings<CommonTraits.Question, CommonTraits.Counts>()
  let distributions = HistoryFindings<StoredAnomaly, String>()

  init(name: String, in store: ServedStore, plan: Plan, text: String, folder: String?) {
    self.name = name
    self.store = store
    self.plan = plan
    self.text = text
    self.folder = folder
    dashboard = plan.useCase.dashboard ?? DashboardDefinition(for: plan.useCase)
    advice = AdviceBook(folder: folder, plan)
    figures = FigureCache(
      useCase: name, window: plan.windows.first { [dashboard] in $0.definition.name == dashboard.window }, dashboard,
      conditions: { [advice] in advice.conditions })
    let registry = ModelRegistry(folder: store.directory.modelsPath, useCase: name)
    predictor = Predictor(plan, registry: registry, workers: ProcessInfo.processInfo.activeProcessorCount)
    versions = ModelCatalog(registry)
  }

  /// The first digits of what names a definition: the SHA-256 of its meaning.
  /// - Parameter text: that of this use case, now or when something was found.
  func digits(of text: String) -> String {
    let useCase = text == self.text ? plan.useCase : UseCaseChecker.check(text: text).plan?.useCase
    guard let useCase else { return "" }
    return String(ConfigurationVersion(useCase, text: text).identifier.prefix(12))
  }

  var registry: ModelRegistry { versions.registry }

  /// The field that tells entities apart; nil where events have none.
  var entityField: String? { plan.schema.keyField.map { plan.schema.fields[$0].name } }
}

/// A store that is served, with its data directory.
final class ServedStore: Sendable {
  let directory: DataDirectory
  let reader: any StoreReader
  let actions: any Actions & OutboxCursors
  let index = ShardIndex()

  /// What hears of the commits of other processes; nil where there is nothing to hear.
  let listener: (any CommitListener)?

  init(_ place: StorePlace, waking signal: ChangeSignal = ChangeSignal()) throws {
    directory = place.directory
    actions = try place.actions()
    reader = try place.reader()
    listener = try place.listener(waking: signal)
  }
}

extension ServedUseCase {
  /// What counts of what was said of each finding: the last word.
  func feedback() async throws -> [String: Feedback] {
    let all = try await store.actions.feedback(of: name)
    return Dictionary(all.map { ($0.finding, $0) }, uniquingKeysWith: { $0.time > $1.time ? $0 : $1 })
  }

  /// Has lists and counts leave out what was called a false alarm.
  func refreshFeedback() async throws {
    let verdicts = try await feedback()
    figures.hide(Set(verdicts.filter { $0.value.verdict == .falseAlarm }.keys))
  }
}
