// When events happen. Each entity is a Poisson process whose rate is constant within an hour of the week, drawn by
// inverting its cumulative rate; the processes are merged by a heap in the order (time, entity). Invariant: times
// never go backwards, nor beyond the last one that a timestamp can be: what would happen later happens then.

import Detection

/// The merged arrivals of all entities of a simulation.
struct Arrivals: Sendable {
  struct Arrival: Sendable {
    /// Microseconds since 1970-01-01 00:00 UTC.
    var time: Int64
    var entity: Int
    /// Number of the arrival among those of its entity.
    var number: Int
  }

  private static let hour: Double = 3_600_000_000
  private static let hoursPerWeek = 168
  private static let week = Double(hoursPerWeek) * hour
  /// Weeks that are gone through hour by hour.
  private static let weeksByHour = 64.0

  private let origin: Int64
  /// Hour of the week (0 is Monday 00:00) in which the origin lies, and microseconds into it.
  private let originHour: Int
  private let originOffset: Double
  private let random: CounterRandom
  /// Events per hour by entity and hour of the week, and events per week by entity.
  private let rates: [[Double]]
  private let weekly: [Double]
  /// Microseconds from the origin to the last timestamp.
  private let longest: Double
  /// Microseconds from the origin to the next arrival of each entity, and its number.
  private var next: [Double]
  private var numbers: [Int]
  /// Entities that have arrivals, as a binary heap by (next, entity).
  private var heap: [Int]

  init(_ definition: ArrivalDefinition, start: Int64, seed: UInt64) {
    origin = start
    let hours = Int64(Self.hour)
    let hour = (start - (((start % hours) + hours) % hours)) / hours
    originOffset = Double(start - hour * hours)
    // 1970-01-01 was a Thursday, so its first hour is hour 72 of its week.
    originHour = Int((((hour + 72) % 168) + 168) % 168)
    random = CounterRandom(seed: seed, stream: "arrivals")
    let rates = Self.rates(definition, seed: seed)
    self.rates = rates
    weekly = rates.map { $0.reduce(0, +) }
    longest = Double(Timestamp.range.upperBound - start)
    next = [Double](repeating: 0, count: definition.entities)
    numbers = [Int](repeating: 0, count: definition.entities)
    heap = rates.indices.filter { rates[$0].contains { $0 > 0 } }
    for entity in heap { advance(entity) }
    for place in heap.indices.reversed() { siftDown(place) }
  }

  /// The next arrival of all.
  mutating func pop() -> Arrival {
    let entity = heap[0]
    let time = min(origin + Int64(next[entity]), Timestamp.range.upperBound)
    let arrival = Arrival(time: time, entity: entity, number: numbers[entity] - 1)
    advance(entity)
    siftDown(0)
    return arrival
  }

  /// Moves an entity to its next arrival: an exponential amount of its cumulative rate further on.
  private mutating func advance(_ entity: Int) {
    var wanted = -PortableMath.log(random.uniform(at: CounterRandom.fold(UInt64(entity), Double(numbers[entity]))))
    let table = rates[entity]
    var time = next[entity] + originOffset
    // Hour by hour over so many weeks would take as long as there are; whole weeks have the same sum. Entities of a
    // simulation that means something never come here.
    if wanted > weekly[entity] * Self.weeksByHour {
      let weeks = min((wanted / weekly[entity]).rounded(.down), longest / Self.week)
      time += weeks * Self.week
      wanted = max(0, wanted - weeks * weekly[entity])
    }
    while time < longest + originOffset {
      let hour = (time / Self.hour).rounded(.down)
      let rate = table[(originHour + Int(hour)) % Self.hoursPerWeek] / Self.hour
      let end = (hour + 1) * Self.hour
      let available = (end - time) * rate
      if available > wanted {
        time += wanted / rate
        break
      }
      wanted -= available
      time = end
    }
    next[entity] = min(time - originOffset, longest)
    numbers[entity] += 1
  }

  private func isBefore(_ a: Int, _ b: Int) -> Bool { (next[a], a) < (next[b], b) }

  private mutating func siftDown(_ start: Int) {
    var place = start
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2] where child < heap.count && isBefore(heap[child], heap[least]) {
        least = child
      }
      if least == place { return }
      heap.swapAt(place, least)
      place = least
    }
  }

  /// Events per hour by entity and hour of the week; over a week all entities together reach the events per day.
  private static func rates(_ definition: ArrivalDefinition, seed: UInt64) -> [[Double]] {
    let spread = CounterRandom(seed: seed, stream: "arrivals/spread")
    let phase = CounterRandom(seed: seed, stream: "arrivals/phase")
    let weights = (0..<definition.entities).map { entity in
      switch definition.spread {
      case .zipf(let exponent): PortableMath.power(Double(entity + 1), -exponent)
      case .lognormal(let sigma):
        PortableMath.exp(sigma * PortableMath.normalQuantile(spread.uniform(at: UInt64(entity))))
      }
    }
    let total = weights.reduce(0, +)
    return weights.indices.map { entity in
      let shift = (2 * phase.uniform(at: UInt64(entity)) - 1) * definition.phaseHours
      let shape = (0..<hoursPerWeek).map { hour in
        let local = Double(hour) + 0.5 - shift
        let ofDay = local - (local / 24).rounded(.down) * 24
        let daily: Double
        switch definition.daily {
        case .wave(let amplitude, let peak): daily = 1 + amplitude * PortableMath.cosine(turns: (ofDay - peak) / 24)
        case .weights(let weights): daily = weights[min(Int(ofDay), 23)]
        }
        return max(daily, 0) * definition.weekly[hour / 24]
      }
      let scale = definition.eventsPerDay * 7 * weights[entity] / total / shape.reduce(0, +)
      return shape.map { $0 * scale }
    }
  }
}
