// The values of a block of events, computed column by column. A block is a function of the definition, the seed and
// the arrivals in it; which draws it makes does not depend on how the run is cut into blocks.

/// Computes the columns of blocks of events.
struct SimulationBlock: Sendable {
  /// Events computed at once: columns of this many doubles stay in the second-level cache.
  static let size = 4096

  private let definition: SimulationDefinition
  private let streams: [CounterRandom]
  private let injectionStreams: [(candidate: CounterRandom, factor: CounterRandom)]
  private let lateShare: CounterRandom
  private let lateBy: CounterRandom

  /// Values by slot.
  private(set) var columns: [[Double]] = []
  private(set) var count = 0
  /// Number of the first event of the block.
  private(set) var firstRow = 0
  /// Arrival times, microseconds.
  private(set) var arrivals: [Int64] = []
  /// Index of the injection that changed the event, -1 for none.
  private(set) var injected: [Int8] = []

  init(_ definition: SimulationDefinition, seed: UInt64) {
    self.definition = definition
    streams = definition.values.map { CounterRandom(seed: seed, stream: "value/" + $0.name) }
    injectionStreams = definition.injections.map {
      (
        CounterRandom(seed: seed, stream: "injection/" + $0.name),
        CounterRandom(seed: seed, stream: "injection/by/" + $0.name)
      )
    }
    lateShare = CounterRandom(seed: seed, stream: "late")
    lateBy = CounterRandom(seed: seed, stream: "late/by")
  }

  /// Fills the block with the next events.
  /// - Parameter isBroken: whether an event, by its number, will be damaged: those are left alone by injections.
  mutating func fill(from source: inout Arrivals, firstRow: Int, isBroken: (Int) -> Bool) {
    self.firstRow = firstRow
    count = Self.size
    start(from: &source)
    let rowCounters = (0..<count).map { UInt64(firstRow + $0) }
    var counters = [[UInt64]?](repeating: nil, count: definition.keys.count)
    for (index, value) in definition.values.enumerated() {
      var drawCounters = rowCounters
      if let key = value.per {
        if let known = counters[key] {
          drawCounters = known
        } else {
          drawCounters = combine(definition.keys[key])
          counters[key] = drawCounters
        }
      }
      columns.append(column(of: value, streams[index], drawCounters))
    }
    inject(rowCounters, isBroken)
  }

  /// The columns that every simulation provides.
  private mutating func start(from source: inout Arrivals) {
    var entities: [Double] = []
    var numbers: [Double] = []
    var eventTimes: [Double] = []
    arrivals.removeAll(keepingCapacity: true)
    for row in 0..<count {
      let arrival = source.pop()
      arrivals.append(arrival.time)
      entities.append(Double(arrival.entity))
      numbers.append(Double(arrival.number))
      var time = arrival.time
      if let late = definition.late, lateShare.uniform(at: UInt64(firstRow + row)) < late.share {
        let by = draw(late.by, lateBy, [UInt64(firstRow + row)], count: 1)[0]
        time -= Int64(max(0, min(by, 1e9)) * 1e6)
      }
      eventTimes.append(Double(time) / 1e6)
    }
    let days = eventTimes.map { ($0 / 86_400).rounded(.down) }
    columns = [
      (0..<count).map { Double(firstRow + $0) }, entities, numbers, eventTimes, arrivals.map { Double($0) / 1e6 },
      tabulate(count) { (eventTimes[$0] - days[$0] * 86_400) / 3600 },
      tabulate(count) { Double(((Int(days[$0]) + 3) % 7 + 7) % 7 + 1) },
    ]
  }

  /// One counter per row that is equal where the values of the slots are equal.
  private func combine(_ slots: [Int]) -> [UInt64] {
    var result = [UInt64](repeating: 0x51_7c_c1_b7_27_22_0a_95, count: count)
    for slot in slots {
      let values = columns[slot]
      for row in 0..<count { result[row] = CounterRandom.fold(result[row], values[row]) }
    }
    return result
  }

  private func column(of value: ValueDefinition, _ stream: CounterRandom, _ counters: [UInt64]) -> [Double] {
    var result = draw(value.distribution, stream, counters, count: count)
    if let minimum = value.minimum?.evaluate(columns, count: count) {
      for row in 0..<count where result[row] < minimum[row] { result[row] = minimum[row] }
    }
    if let maximum = value.maximum?.evaluate(columns, count: count) {
      for row in 0..<count where result[row] > maximum[row] { result[row] = maximum[row] }
    }
    if let when = value.when?.evaluate(columns, count: count) {
      let otherwise = value.otherwise?.evaluate(columns, count: count) ?? .constant(.nan)
      for row in 0..<count where when[row] != 1 { result[row] = otherwise[row] }
    }
    return result
  }

  /// Draws one value per counter. A parameter outside its range (a negative deviation, a NULL) gives NULL.
  private func draw(
    _ distribution: Distribution, _ stream: CounterRandom, _ counters: [UInt64], count: Int
  ) -> [Double] {
    // Constants are written out too: the loops below then read plain arrays.
    func values(_ formula: Formula) -> [Double] { formula.evaluate(columns, count: count).expanded(to: count) }
    func uniform(_ row: Int) -> Double { stream.uniform(at: counters[row]) }
    switch distribution {
    case .formula(let formula): return values(formula)
    case .uniform(let low, let high):
      let (low, high) = (values(low), values(high))
      return tabulate(count) { low[$0] + (high[$0] - low[$0]) * uniform($0) }
    case .integer(let low, let high):
      let (low, high) = (values(low), values(high))
      return tabulate(count) { low[$0] + ((high[$0] - low[$0] + 1) * uniform($0)).rounded(.down) }
    case .logUniform(let low, let high):
      let (low, high) = (values(low), values(high))
      return tabulate(count) { low[$0] * PortableMath.power(high[$0] / low[$0], uniform($0)) }
    case .normal(let mean, let deviation):
      let (mean, deviation) = (values(mean), values(deviation))
      return tabulate(count) { mean[$0] + deviation[$0] * PortableMath.normalQuantile(uniform($0)) }
    case .lognormal(let median, let sigma):
      let (median, sigma) = (values(median), values(sigma))
      return tabulate(count) {
        median[$0] * PortableMath.exp(sigma[$0] * PortableMath.normalQuantile(uniform($0)))
      }
    case .exponential(let mean):
      let mean = values(mean)
      return tabulate(count) { -mean[$0] * PortableMath.log(uniform($0)) }
    case .poisson(let mean):
      let mean = values(mean)
      return tabulate(count) { Self.poisson(mean[$0], uniform($0)) }
    case .bernoulli(let probability):
      let probability = values(probability)
      return tabulate(count) { uniform($0) < probability[$0] ? 1 : 0 }
    case .zipf(let table): return tabulate(count) { Double(table.pick(uniform($0))) }
    case .choice(let choices, let weights):
      let weights = weights.map(values)
      return tabulate(count) { Self.choose(choices, weights, row: $0, uniform($0)) }
    }
  }

  /// Inversion by sequential search below a mean of 30; above, the rounded normal approximation.
  private static func poisson(_ mean: Double, _ uniform: Double) -> Double {
    guard mean >= 0 else { return .nan }
    if mean > 30 { return max(0, (mean + mean.squareRoot() * PortableMath.normalQuantile(uniform)).rounded()) }
    var term = PortableMath.exp(-mean)
    var sum = term
    var result = 0.0
    while uniform > sum, result < 200 {
      result += 1
      term *= mean / result
      sum += term
    }
    return result
  }

  /// NULL when no weight is positive.
  @inline(__always)
  private static func choose(_ choices: [Double], _ weights: [[Double]], row: Int, _ uniform: Double) -> Double {
    var total = 0.0
    for weight in weights { total += max(weight[row], 0) }
    var rest = uniform * total
    var last = Double.nan
    for index in choices.indices {
      let weight = max(weights[index][row], 0)
      if weight == 0 { continue }
      last = choices[index]
      if rest < weight { return last }
      rest -= weight
    }
    return last
  }

  /// Changes the candidates of each injection and keeps the change where its condition holds. An event is changed by
  /// at most one.
  private mutating func inject(_ counters: [UInt64], _ isBroken: (Int) -> Bool) {
    injected = [Int8](repeating: -1, count: count)
    for (index, injection) in definition.injections.enumerated() {
      let (candidate, factorStream) = injectionStreams[index]
      let when = injection.when?.evaluate(columns, count: count) ?? .constant(1)
      let candidates = (0..<count).filter {
        candidate.uniform(at: counters[$0]) < injection.share && when[$0] == 1 && injected[$0] < 0
          && !isBroken(firstRow + $0)
      }
      if candidates.isEmpty { continue }
      let factors = draw(injection.by, factorStream, counters, count: count)
      let before = columns[injection.target]
      for row in candidates {
        columns[injection.target][row] = (before[row] * factors[row]).rounded()
      }
      let keep = injection.keepWhen?.evaluate(columns, count: count) ?? .constant(1)
      for row in candidates {
        if keep[row] == 1 { injected[row] = Int8(index) } else { columns[injection.target][row] = before[row] }
      }
    }
  }
}
