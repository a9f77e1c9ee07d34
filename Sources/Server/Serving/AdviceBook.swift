// The texts of advice of a use case, kept as they were parsed: a file is read again where it has changed.

import Detection
import Foundation
import Learning
import Synchronization

/// Advice by problem.
final class AdviceBook: Sendable {
  private struct Page: Sendable {
    /// What the file was when it was read; nil where there was none.
    var file: FileMark?
    var advice: Result<Advice, OperatingError>?
  }

  private struct State: Sendable {
    var pages: [String: Page] = [:]
    var conditions: AnomalyConditions?
  }

  /// The folder of the use case; nil where only the store knows it.
  private let folder: String?
  private let plan: Plan
  private let state = Mutex(State())

  init(folder: String?, _ plan: Plan) {
    self.folder = folder
    self.plan = plan
  }

  /// The advice on a problem; nil where the use case has none.
  /// - Throws: `OperatingError` where a condition in it is wrong.
  func advice(on problem: String) throws -> Advice? {
    guard let folder else { return nil }
    let path = "\(folder)/advice/\(problem).md"
    let file = FileMark(path)
    if let known = state.withLock({ $0.pages[problem] }), known.file == file { return try known.advice?.get() }
    var page = Page(file: file)
    if file != nil, let text = try? String(contentsOfFile: path, encoding: .utf8) {
      do { page.advice = .success(try Advice(text, scope: plan.scope, path: path)) } catch let error as OperatingError {
        page.advice = .failure(error)
      }
    }
    state.withLock { [page] in $0.pages[problem] = page }
    return try page.advice?.get()
  }

  /// The conditions that advice on detectors and rules counts, as the files are now; nil where there is none, or they are wrong.
  var conditions: AnomalyConditions? {
    let names = plan.useCase.detectors.map(\.name) + plan.useCase.rules.map(\.name)
    var texts: [String: [String]] = [:]
    for name in names {
      guard let found = (try? advice(on: name))?.conditions, !found.isEmpty else { continue }
      texts[name] = found
    }
    if let known = state.withLock({ $0.conditions }), known.texts == texts { return known }
    let conditions = texts.isEmpty ? nil : try? AnomalyConditions(texts, of: plan)
    state.withLock { $0.conditions = conditions }
    return conditions
  }
}
