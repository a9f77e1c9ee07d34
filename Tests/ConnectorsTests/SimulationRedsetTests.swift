// The simulated queries of `redset` against the published facts of the real set, and its labels against what they say.

import Connectors
import Foundation
import Testing

@Suite("Simulation: redset")
struct SimulationRedsetTests {
  private static let fields = [
    "instance_id", "query_id", "execution_duration_ms", "queue_duration_ms", "feature_fingerprint", "was_aborted",
    "was_cached", "query_type", "mbytes_scanned", "mbytes_spilled", "num_joins", "num_scans", "num_aggregations",
  ]
  private static let table = Result {
    SimulatedTable(try SimulationSamples.useCase("redset"), seed: 11, count: 300_000, columns: fields)
  }
  private static let expectedFields = """
    instance_id cluster_size user_id database_id query_id arrival_timestamp compile_duration_ms queue_duration_ms \
    execution_duration_ms feature_fingerprint was_aborted was_cached cache_source_query_id query_type \
    num_permanent_tables_accessed num_external_tables_accessed num_system_tables_accessed read_table_ids write_table_ids \
    mbytes_scanned mbytes_spilled num_joins num_scans num_aggregations
    """

  /// The class that the rules of the use case give each query: written out here, apart from `pipeline.yaml`.
  private func classes(_ table: SimulatedTable) -> [String] {
    let (exec, queue) = (table.numbers("execution_duration_ms"), table.numbers("queue_duration_ms"))
    let (scanned, spilled) = (table.numbers("mbytes_scanned"), table.numbers("mbytes_spilled"))
    let (joins, scans) = (table.numbers("num_joins"), table.numbers("num_scans"))
    let aggregations = table.numbers("num_aggregations")
    let (types, cached) = (table.texts("query_type"), table.texts("was_cached"))
    return exec.indices.map { row in
      if cached[row] == "true" { return "normal" }
      let moves = types[row] == "\"copy\"" || types[row] == "\"unload\""
      let pace = exec[row] / (scanned[row] + 1)
      if moves {
        if exec[row] > 500 { return "network" }
      } else if exec[row] > 1000 {
        if joins[row] > 1 || aggregations[row] > 1, scanned[row] > 0, pace > 20 { return "cpu" }
        if scanned[row] >= 2000, pace < 0.061, spilled[row] > 0 || scans[row] > 1 { return "io" }
      }
      let operations = scans[row] + joins[row] + aggregations[row]
      if queue[row] >= exec[row], queue[row] > 1000, exec[row] > 0, operations < 4 { return "queue" }
      return "normal"
    }
  }

  @Test("An event has exactly the published fields, in some 600 bytes")
  func fields() throws {
    let definition = try SimulationSamples.useCase("redset")
    #expect(definition.fieldNames == Self.expectedFields.split(separator: " ").map(String.init))
    var simulator = Simulator(definition, seed: 1)
    let events = simulator.next(4096)
    #expect((500...700).contains(events.bytes.count / events.count))
    let members = try #require(SimulationSamples.members(events.line(0)))
    #expect(members.map(\.name) == definition.fieldNames)
    // No field says whether the event was made anomalous.
    #expect(!String(decoding: events.bytes, as: UTF8.self).contains("injected"))
  }

  @Test("Class shares under the five rules are the published ones")
  func classShares() throws {
    let classes = classes(try Self.table.get())
    let shares = Dictionary(grouping: classes, by: { $0 }).mapValues { 100 * Double($0.count) / Double(classes.count) }
    for (name, share, tolerance) in [
      ("normal", 92.7, 0.4), ("network", 4.2, 0.25), ("cpu", 2.2, 0.2), ("io", 0.25, 0.06), ("queue", 0.7, 0.15),
    ] {
      let found = shares[name] ?? 0
      #expect(abs(found - share) < tolerance, "\(name): \(found) %, expected \(share) %")
    }
  }

  @Test("Cached, aborted and repeated queries are as frequent as published")
  func shares() throws {
    let table = try Self.table.get()
    let count = Double(table.rows.count)
    let (cached, types) = (table.texts("was_cached"), table.texts("query_type"))
    let fingerprints = table.texts("feature_fingerprint")
    let cachedShare = Double(cached.count { $0 == "true" }) / count
    #expect(abs(cachedShare - 0.106) < 0.003, "cached: \(cachedShare)")
    let abortedShare = Double(table.texts("was_aborted").count { $0 == "true" }) / count
    #expect(abs(abortedShare - 0.0051) < 0.0008, "aborted: \(abortedShare)")
    for row in cached.indices {
      #expect((cached[row] == "true") == (fingerprints[row] == "null"))
      if cached[row] == "true" { #expect(types[row] == "\"other\"") }
    }
    let asked = fingerprints.filter { $0 != "null" }
    let repeated = 1 - Double(Set(asked).count) / Double(asked.count)
    #expect((0.86...0.92).contains(repeated), "repeated: \(repeated)")
  }

  @Test("Durations have a heavy tail, and clusters differ")
  func spread() throws {
    let table = try Self.table.get()
    let sorted = table.numbers("execution_duration_ms").sorted()
    let median = sorted[sorted.count / 2]
    #expect(sorted[sorted.count * 99 / 100] > 20 * median)
    #expect(sorted[sorted.count * 999 / 1000] > 1000 * median)
    let loads = Dictionary(grouping: table.texts("instance_id"), by: { $0 }).mapValues(\.count)
    #expect(loads.count == 24)
    #expect((loads.values.max() ?? 0) > 10 * (loads.values.min() ?? .max))
  }

  @Test("Every label says the truth")
  func labels() throws {
    let table = try Self.table.get()
    let durations = table.numbers("execution_duration_ms")
    let (cached, aborted) = (table.texts("was_cached"), table.texts("was_aborted"))
    let queries = table.texts("query_id")
    var injected = 0
    var long = 0
    for (index, row) in table.rows.enumerated() {
      let label = table.labels[row]
      if let label {
        #expect(label.identity.map(\.name) == ["instance_id", "query_id"])
        #expect(label.identity[1].json == queries[index])
        #expect(durations[index] >= 60_000)
        #expect(label.injected == (label.kind == "slow_query"))
      }
      if label?.injected == true {
        injected += 1
        #expect(cached[index] == "false" && aborted[index] == "false")
      } else if durations[index] >= 60_000 {
        long += 1
        #expect(label?.kind == "normal_long")
      }
    }
    let share = Double(injected) / Double(table.rows.count)
    #expect((0.001...0.003).contains(share), "injected: \(share)")
    #expect(long >= injected, "\(long) normal long queries, \(injected) injected")
    let broken = table.labels.values.filter { $0.kind.hasPrefix("broken") }
    #expect((30...100).contains(broken.count))
    #expect(broken.allSatisfy { !$0.injected })
    #expect(table.rows.count + broken.count == 300_000)
  }

  @Test("No threshold on the duration finds the injected queries well")
  func threshold() throws {
    let table = try Self.table.get()
    let durations = table.numbers("execution_duration_ms")
    let order = durations.indices.sorted { durations[$0] > durations[$1] }
    let positives = table.labels.values.count { $0.injected }
    var hits = 0
    var best = 0.0
    for (place, index) in order.enumerated() {
      if table.labels[table.rows[index]]?.injected == true { hits += 1 }
      best = max(best, 2 * Double(hits) / Double(place + 1 + positives))
    }
    print("redset: best F1 of a duration threshold: \(best)")
    #expect(best < 0.65)
  }

  @Test("Every cluster has its own day: the busiest hours are far from the quietest")
  func daily() throws {
    var simulator = Simulator(try SimulationSamples.useCase("redset"), seed: 2)
    var hours = [Int](repeating: 0, count: 24)
    while simulator.row < 1_000_000 {
      // The time is the sixth field; arrivals are near enough.
      for time in simulator.next(8192).arrivals { hours[Int(time / 3_600_000_000 % 24)] += 1 }
    }
    let (low, high) = (hours.min() ?? 0, hours.max() ?? 0)
    #expect(Double(high) / Double(low) > 1.8)
    #expect((10...18).contains(hours.firstIndex(of: high) ?? 0))
  }

  @Test("The default rate makes a million events about a week")
  func rate() throws {
    let definition = try SimulationSamples.useCase("redset")
    let start = definition.start
    var simulator = Simulator(definition, seed: 3)
    simulator.skip(1_000_000 - 1)
    let last = simulator.next(1).arrivals[0]
    let days = Double(last - start) / 86_400_000_000
    #expect((6...8).contains(days), "\(days) days")
  }
}
