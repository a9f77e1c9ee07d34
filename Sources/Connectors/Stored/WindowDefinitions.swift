// The definitions that stored windows were made by, found again in the configurations on record.

import Configuration
import Detection
import Pipeline

/// What is on record of definitions and configurations.
protocol DefinitionTexts {
  /// The texts of a use case's configurations, that applied last first.
  func configurations(of useCase: String) throws -> [String]
  /// The fingerprint of the definition with this number.
  func fingerprint(_ definition: Int64) throws -> String?
}

/// The definitions that stored parts were made by, found again in the configurations on record.
struct WindowDefinitions {
  private var found: [Int64: CompiledWindow?] = [:]
  /// The windows of a use case's configurations by fingerprint, newest first, as far as they have been read.
  private var windows: [String: [String: CompiledWindow]] = [:]
  private var unread: [String: IndexingIterator<[String]>] = [:]

  /// The definition with this number; nil where no configuration on record has it.
  /// - Throws: `OperatingError` when the newest configuration cannot be read.
  mutating func find(
    _ definition: Int64, of useCase: String, in texts: some DefinitionTexts
  ) throws -> CompiledWindow? {
    if let known = found[definition] { return known }
    let text = try texts.fingerprint(definition)
    let isFirst = unread[useCase] == nil
    var rest = try unread[useCase] ?? texts.configurations(of: useCase).makeIterator()
    if isFirst, let newest = rest.next() { add(try UseCaseChecker.plan(fromStored: newest)) }
    while windows[useCase]?[text ?? ""] == nil, let older = rest.next() {
      // An older one that this version no longer reads is passed over.
      if let plan = try? UseCaseChecker.plan(fromStored: older) { add(plan) }
    }
    unread[useCase] = rest
    let window = windows[useCase]?[text ?? ""]
    found[definition] = .some(window)
    return window
  }

  private mutating func add(_ plan: Plan) {
    for window in plan.windows {
      windows[plan.useCase.name, default: [:]][window.fingerprint] =
        windows[plan.useCase.name]?[window.fingerprint] ?? window
    }
  }
}
