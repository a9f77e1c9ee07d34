// From what the store says now and what it said before to lights, words and rates.

import Connectors
import Detection
import Foundation
import Learning
import Operations
import Pipeline

/// What is remembered of a use case between two looks.
struct StatusObserver: Sendable {
  /// What a look finds.
  struct Look: Sendable {
    var partitions: [PartitionStatus]
    var detectors: Int
    var models: Int
    /// Versions that passed their gate and are newer than the champion.
    var candidates: Int
    /// Records and event time of the run in this process.
    var run: RunProgress.Snapshot?
    var runSource: String?
    /// Whether the source of that run has said that it is at the end of what there is.
    var waitsForMore: Bool
    /// Whether a process has the directory.
    var hasWriter: Bool

    init(_ useCase: ServedUseCase, run view: (any RunView)?) async throws {
      partitions = try await useCase.store.reader.read { try await $0.status(of: useCase.name, counting: false) }
      let learned = useCase.plan.detectors.map(\.name)
      let versions = useCase.versions
      (models, candidates) = try await blocking {
        learned.reduce((0, 0)) { counts, name in
          guard let champion = try? versions.champion(of: name)?.version else { return counts }
          return (counts.0 + 1, counts.1 + Self.candidates(in: versions, of: name, champion))
        }
      }
      detectors = learned.count
      let own = view?.useCase == useCase.name ? view : nil
      waitsForMore = own?.waitsForMore ?? false
      (run, runSource) = (own?.progress.snapshot, own?.source)
      hasWriter = own != nil || useCase.store.directory.isInUse
    }

    private static func candidates(in versions: ModelCatalog, of detector: String, _ champion: String) -> Int {
      let entries = (try? versions.entries(of: detector)) ?? []
      guard let place = entries.firstIndex(where: { $0.version == champion }) else { return 0 }
      return entries[(place + 1)...].count {
        if case .success(let manifest) = $0.manifest { manifest.gate?.passed ?? false } else { false }
      }
    }
  }

  private(set) var sources: Set<String> = []
  /// Records as of a time.
  private var records: (count: Int, at: Int64)?
  private var rate: Double?
  /// What the rate is while records come.
  private var usual: Double?
  /// When a record came last, as seen from here.
  private var lastRecord: Int64?
  private var since: [String: (state: UseCaseStatus.Component, at: Int64)] = [:]

  /// Microseconds over which a rate is taken.
  private static let rateSpan: Int64 = 2_000_000
  /// Microseconds without a record after which a running source has stalled.
  private static let stall: Int64 = 60_000_000

  mutating func status(_ look: Look, of useCase: ServedUseCase, at now: Int64) -> UseCaseStatus {
    let stored = look.partitions.reduce(0) { $0 + $1.totals.records }
    let count = max(stored, look.run?.all.records ?? 0)
    note(count, at: now)
    sources = Set(look.partitions.map(\.partition.source))
    let letters = look.partitions.reduce(0) { $0 + $1.totals.deadLetters.values.reduce(0, +) }
    let watermark = look.partitions.compactMap(\.watermark).min()
    let eventTime = look.run.flatMap { $0.eventTime == .min ? nil : $0.eventTime } ?? watermark
    // How late results are: nothing runs, or events have times that were made up, and there is no such thing.
    let lag = look.hasWriter && sources != ["simulator"] ? eventTime.map { now.subtractingSaturated($0) } : nil
    var stream = settled(stream(look, count, now), now)
    // The source knows better than whoever looks now and then.
    if let connection = Self.broken(look) { stream.since = connection.since }
    let components = [stream, settled(detection(look), now), written(store(look), now)]
    return UseCaseStatus(
      useCase: useCase.name, time: now, source: look.runSource ?? Self.words(sources), components: components,
      recordsPerSecond: rate, lagSeconds: lag.map { Double($0) / 1e6 },
      watermark: watermark, dataUntil: useCase.figures.dataUntil, records: count, deadLetters: letters,
      candidates: look.candidates)
  }

  private mutating func note(_ count: Int, at now: Int64) {
    guard let before = records else {
      records = (count, now)
      return
    }
    if count != before.count { lastRecord = now }
    guard now - before.at >= Self.rateSpan else { return }
    let found = Double(max(0, count - before.count)) / (Double(now - before.at) / 1e6)
    rate = found
    if found > 0 { usual = usual.map { $0 * 0.9 + found * 0.1 } ?? found }
    records = (count, now)
  }

  /// Keeps when a component came into its state.
  mutating func settled(_ component: UseCaseStatus.Component, _ now: Int64) -> UseCaseStatus.Component {
    var component = component
    if let known = since[component.name], known.state.state == component.state, known.state.text == component.text {
      component.since = known.at
    } else {
      since[component.name] = (component, now)
      component.since = now
    }
    return component
  }

  /// Says of the store when it was written last, as far as that was seen.
  private mutating func written(_ component: UseCaseStatus.Component, _ now: Int64) -> UseCaseStatus.Component {
    var component = settled(component, now)
    if let last = lastRecord { (component.since, component.label) = (last, "written") }
    return component
  }

  private func stream(_ look: Look, _ count: Int, _ now: Int64) -> UseCaseStatus.Component {
    func component(_ state: UseCaseStatus.State, _ text: String, why: String? = nil) -> UseCaseStatus.Component {
      UseCaseStatus.Component(name: "stream", state: state, text: text, since: nil, note: nil, why: why)
    }
    guard look.hasWriter else {
      return component(
        .unknown, "not running", why: "No process writes to this data directory. `pulse run` goes on where it stopped.")
    }
    if let connection = Self.broken(look) {
      let reason = connection.error.map { ": \($0)" } ?? ""
      return component(
        .warning, "not connected",
        why: "What the source reads from cannot be reached since \(Timestamp.format(connection.since))\(reason). "
          + "The run waits for it, and goes on by itself.")
    }
    if count == 0 { return component(.unknown, "no event yet") }
    if (rate ?? 0) > 0 { return component(.ok, "reading") }
    if let last = lastRecord, now - last > Self.stall {
      var stalled = component(
        .warning, "nothing read",
        why: "The source has given no record for \((now - last) / 1_000_000) seconds; the run waits for it.")
      stalled.isStalled = true
      stalled.usualPerSecond = usual
      return stalled
    }
    // Quiet alone says nothing: a source may be a long way from its end and give nothing for a while.
    if lastRecord != nil || look.waitsForMore { return component(.ok, "caught up") }
    return component(
      .unknown, "no record yet",
      why: look.run == nil
        ? "Another process runs it, and nothing has come since this server looks."
        : "The source has given no record since the run began, and has not said that there is none.")
  }

  /// The connection of the run's source where it is broken.
  private static func broken(_ look: Look) -> SourceFigures.Connection? {
    look.run?.source.connection.flatMap { $0.isUp ? nil : $0 }
  }

  private func detection(_ look: Look) -> UseCaseStatus.Component {
    if look.detectors == 0 {
      return UseCaseStatus.Component(name: "detection", state: .ok, text: "rules", since: nil, note: nil, why: nil)
    }
    let waitsForFirstModel = look.models < look.detectors
    let text = look.models == 0 ? "no model" : "\(look.models) of \(look.detectors) models"
    return UseCaseStatus.Component(
      name: "detection", state: waitsForFirstModel ? .warning : .ok, text: text, since: nil,
      note: look.models == 0 ? "rules are ready" : nil,
      why: waitsForFirstModel
        ? "Detectors without a model find nothing until one is trained (`pulse train`)." : nil)
  }

  private func store(_ look: Look) -> UseCaseStatus.Component {
    UseCaseStatus.Component(
      name: "store", state: .ok, text: look.hasWriter ? "durable" : "readable", since: nil, note: nil, why: nil)
  }

  /// What sources are, for people.
  private static func words(_ sources: Set<String>) -> String? {
    if sources.isEmpty { return nil }
    return sources.sorted().map { $0 == "simulator" ? "the simulator" : $0 == "stdin" ? "standard input" : $0 }
      .joined(separator: ", ")
  }
}
