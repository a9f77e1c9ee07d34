// The back-end of swift-metrics: what the process records is kept here until Prometheus asks for it.

public import Metrics
import Synchronization

/// Keeps what is recorded through swift-metrics. A timer is a histogram in seconds, a recorder that aggregates one in decades;
/// what is beyond `MetricPage.mostSeries` is recorded into nothing, and counted.
public final class MetricRegistry: MetricsFactory {
  private struct State: Sendable {
    var families: [String: [[MetricLabel]: any MetricCell]] = [:]
    var series = 0
    /// Those of requests among them: clients make them, and are to leave room for what runs record.
    var ofRequests = 0
    /// Numbers of series for which there was no room, by name and labels.
    var refused: [String: [[MetricLabel]: Int]] = [:]
    var refusals = 0
  }

  /// Series without room that are told apart, so that each is counted once.
  private static let mostRefused = 10_000

  private let state = Mutex(State())

  /// Bounds of durations, seconds: from a batch that waits for nothing to one that somebody has been woken up for.
  private static let durations = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30]
  /// The same for requests, which have a time limit of 30 s.
  private static let requests = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

  public init() {}

  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    cell(Self.name(label, ending: "_total"), dimensions) { CounterCell() }
  }

  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    cell(Self.name(label), dimensions) { GaugeCell() }
  }

  public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    if aggregate { return cell(Self.name(label), dimensions) { RecorderCell() } }
    return cell(Self.name(label), dimensions) { GaugeCell() }
  }

  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    let name = Self.name(label, ending: "_seconds")
    return cell(name, dimensions) {
      DurationCell(bounds: name.hasPrefix(HTTPMetrics.prefix) ? Self.requests : Self.durations)
    }
  }

  // What was counted stays: a counter that goes and comes again would look like one that began anew.
  public func destroyCounter(_ handler: any CounterHandler) {}
  public func destroyMeter(_ handler: any MeterHandler) {}
  public func destroyRecorder(_ handler: any RecorderHandler) {}
  public func destroyTimer(_ handler: any TimerHandler) {}

  /// The cell of a series, made where there is none.
  private func cell<Cell: MetricCell>(
    _ name: String, _ dimensions: [(String, String)], _ make: () -> Cell
  ) -> Cell {
    let labels = dimensions.map { MetricLabel(name: Self.name($0.0), value: $0.1) }.sorted()
    return state.withLock { state in
      let family = state.families[name] ?? [:]
      if let known = family[labels] as? Cell { return known }
      let new = make()
      // One metric has one type: what another one would add has no place in it.
      let isRight = family.isEmpty || family.values.first is Cell
      let isOfRequests = name.hasPrefix(HTTPMetrics.prefix)
      let hasRoom =
        state.series < MetricPage.mostSeries && (!isOfRequests || state.ofRequests < MetricPage.mostSeries / 2)
      let added = new.content.map { MetricFamily.Series(labels: labels, content: $0).count } ?? 1
      guard isRight, hasRoom else {
        if state.refusals < Self.mostRefused, state.refused[name]?[labels] == nil {
          state.refused[name, default: [:]][labels] = added
          state.refusals += 1
        }
        return new
      }
      state.families[name, default: [:]][labels] = new
      state.series += added
      if isOfRequests { state.ofRequests += added }
      return new
    }
  }

  /// A name as Prometheus takes it: what it does not take is a `_`.
  private static func name(_ text: String, ending: String = "") -> String {
    let name = String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber) || $0 == "_" ? $0 : "_" })
    return name.hasSuffix(ending) ? name : name + ending
  }

  /// Series that were left out because there was no room.
  var refused: Int { state.withLock { $0.refused.values.reduce(0) { $0 + $1.values.reduce(0, +) } } }

  /// What was recorded, by name.
  var families: [MetricFamily] {
    let cells = state.withLock { $0.families }
    return cells.sorted { $0.key < $1.key }.map { name, cells in
      let series = cells.sorted { $0.key.lexicographicallyPrecedes($1.key) }.compactMap { labels, cell in
        cell.content.map { MetricFamily.Series(labels: labels, content: $0) }
      }
      let kind = cells.values.first.map { type(of: $0).kind } ?? .gauge
      return MetricFamily(name: name, kind: kind, help: MetricHelp.text(of: name), series: series)
    }
  }
}
