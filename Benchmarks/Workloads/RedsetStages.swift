// The stages of `redset`, one after another, each over the output of the ones before it.

import Connectors
import Detection

extension RedsetInput {
  /// All stages that run on one core.
  public func stages() throws -> [Stage] { [decode, classify, rules, windows, try shard()] }

  /// JSON to columns of 24 fields, validated.
  public var decode: Stage {
    Stage("decode JSON into columns", count: records) { [self] in
      let decoder = Decoder(schema: plan.schema)
      let batches = raw.map { decoder.decode($0) }
      return { try checkDecoded(batches) }
    }
  }

  private func checkDecoded(_ batches: [DecodedBatch]) throws {
    try expect("events", batches.reduce(0) { $0 + $1.events.count }, reference.events)
    try expect("dead letters", batches.reduce(0) { $0 + $1.deadLetters.count }, reference.deadLetters)
    var (execution, queries, bytes) = (0.0, Int64(0), 0)
    for batch in batches {
      let columns = batch.events.columns
      guard case .double(let durations) = columns[try field("execution_duration_ms")].values,
        case .int(let identifiers) = columns[try field("query_id")].values,
        case .string(let fingerprints) = columns[try field("feature_fingerprint")].values
      else { throw WrongOutput("a column has another type") }
      for value in durations { execution += value }
      for value in identifiers { queries &+= value }
      for row in 0..<fingerprints.count { bytes += fingerprints.range(of: row).count }
    }
    try expect("sum of execution_duration_ms", execution, reference.executionSum)
    try expect("sum of query_id", queries, reference.queryIDSum)
    try expect("bytes of feature_fingerprint", bytes, reference.fingerprintBytes)
  }

  private func field(_ name: String) throws -> Int {
    guard let index = plan.schema.fields.firstIndex(where: { $0.name == name }) else {
      throw WrongOutput("there is no field \(name)")
    }
    return index
  }

  /// Features, the five classes and the rule without state, as compiled expressions.
  public var classify: Stage {
    Stage("features, classes, stateless rule", count: reference.events) { [self] in
      let batches = zip(decoded, raw).map { plan.derive($0, from: $1) }
      return {
        var counts = [Int](repeating: 0, count: reference.classes.count)
        for batch in batches {
          guard let column = plan.classColumn, case .int(let classes) = batch.events.columns[column].values else {
            throw WrongOutput("there is no column of classes")
          }
          for index in classes { counts[Int(index)] += 1 }
        }
        try expect("events by class \(reference.classes)", counts, reference.classCounts)
        let spills = batches.reduce(0) { $0 + $1.findings.count }
        try expect("findings of large_spill", spills, reference.findings["large_spill"] ?? 0)
      }
    }
  }

  /// The sliding rules, in order.
  public var rules: Stage {
    Stage("rules with state", count: reference.events) { [self] in
      let detectors = try plan.makeStatefulDetectors()
      var findings: [Finding] = []
      for (batch, marks) in zip(staged, marks) {
        for detector in detectors { try detector.detect(in: batch.events, marks: marks, into: &findings) }
      }
      return { [findings] in
        for detector in detectors {
          try expect(
            "findings of \(detector.name)", findings.filter { $0.detector == detector.name }.count,
            reference.findings[detector.name] ?? 0)
        }
      }
    }
  }

  /// The windows of every instance, closed at the end.
  public var windows: Stage {
    Stage("windows, closed once", count: reference.events) { [self] in
      let operators = plan.windows.map { WindowOperator($0) }
      var failures = 0
      for (batch, marks) in zip(staged, marks) {
        for window in operators { _ = window.add(batch.events, marks: marks, failures: &failures) }
      }
      let parts = operators.map { window in
        window.closeAll(startingUpTo: .max, failures: &failures)
        return window.takeClosed()
      }
      return {
        var found: [RedsetReference.WindowKey: Int64] = [:]
        for part in parts.joined().lazy.map(\.part) {
          guard case .int(let instance) = part.by.first else { throw WrongOutput("a window is by no instance") }
          found[RedsetReference.WindowKey(instance: instance, start: part.start), default: 0] += part.events
        }
        try expect("events by window", found, reference.windows)
      }
    }
  }

  /// A full shard of history as Arrow IPC with LZ4, in memory.
  func shard() throws -> Stage {
    let fields = plan.schema.fields
    var builders = fields.map { ColumnBuilder($0.type.valueType, capacity: records) }
    for batch in decoded {
      for index in builders.indices {
        builders[index].append(batch.events.columns[index], rows: 0..<batch.events.count)
      }
    }
    let columns = builders.map { $0.finish() }
    let encoder = ShardEncoder(names: fields.map(\.name))
    return Stage("encode an Arrow shard, LZ4", count: reference.events) {
      let bytes = try encoder.encodeTail(columns)
      return {
        let read = try ShardEncoder.decodeTail(bytes)
        try expect("columns of the shard", read.map(\.name), encoder.names)
        for (column, original) in zip(read, columns) where column.column != original {
          throw WrongOutput("column \(column.name) of the shard differs from what was written")
        }
      }
    }
  }
}
