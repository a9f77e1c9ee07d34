// A deterministic stream of events. What it writes is a function of (definition, seed): the same bytes on every
// machine, however many events are asked for at a time, so a longer run begins with a shorter one.

/// What is known about an event that a detector has to find out. Not part of the event.
public struct Label: Sendable, Hashable {
  /// A field of the event.
  public struct Member: Sendable, Hashable {
    public let name: String
    /// Its value.
    public let json: String
  }

  /// Number of the event, and of its line, from 0.
  public let row: Int
  /// The fields that identify the event, as JSON.
  public let identity: [Member]
  /// Name of the injection, label or damage.
  public let kind: String
  /// Whether the event was made anomalous. Labels of other events name those that only look it, or are damaged.
  public let injected: Bool

  /// The label as a line of JSON with its line end.
  public var line: [UInt8] {
    var result = Array("{\"row\":\(row)".utf8)
    for member in identity {
      result += [0x2C] + EventWriter.quoted(member.name) + [0x3A] + Array(member.json.utf8)
    }
    result += Array(",\"kind\":".utf8) + EventWriter.quoted(kind)
    return result + Array(",\"injected\":\(injected)}\n".utf8)
  }
}

/// A run of simulated events.
public struct SimulatedEvents: Sendable {
  /// Lines of JSON, each with its line end.
  public var bytes: [UInt8] = []
  /// Where each line begins and where it ends, without its line end.
  public var starts: [UInt32] = []
  public var ends: [UInt32] = []
  /// When each event arrives, microseconds since 1970-01-01 00:00 UTC, ascending: what a caller paces by.
  public var arrivals: [Int64] = []
  /// Labels of events among these, in their order.
  public var labels: [Label] = []

  public var count: Int { arrivals.count }

  public init() {}
}

/// Generates the events of a definition in the order of their arrival.
public struct Simulator: Sendable {
  /// Lines written before they are copied out: their memory stays in the cache, unless lines may be very long.
  private let linesAtOnce: Int
  /// The most events that `next` is asked for at once, so that their bytes stay below 1 GiB.
  public var mostAtOnce: Int { max(1, 1 << 30 / writer.longestLine) }

  private let definition: SimulationDefinition
  private let writer: EventWriter
  private let brokenShare: CounterRandom
  private let brokenKind: CounterRandom
  private let brokenTable: AliasTable?
  private var arrivals: Arrivals
  private var block: SimulationBlock
  private var values = FieldValues()
  /// Memory that lines are written into before they are handed over.
  private var scratch: [UInt8]
  private var labelConditions: [BlockValues] = []
  /// Blocks whose arrivals have been drawn; the last of them is `block`.
  private var generated = 0
  /// Number of the next event.
  public private(set) var row = 0

  public init(_ definition: SimulationDefinition, seed: UInt64) {
    self.definition = definition
    writer = EventWriter(definition, seed: seed)
    brokenShare = CounterRandom(seed: seed, stream: "broken")
    brokenKind = CounterRandom(seed: seed, stream: "broken/kind")
    brokenTable = definition.broken.map { AliasTable(weights: $0.kinds.map(\.weight)) }
    arrivals = Arrivals(definition.arrivals, start: definition.start, seed: seed)
    block = SimulationBlock(definition, seed: seed)
    linesAtOnce = max(1, min(256, 4 << 20 / writer.longestLine))
    scratch = [UInt8](repeating: 0, count: writer.longestLine * linesAtOnce)
  }

  /// The next `count` events, at most `mostAtOnce`.
  public mutating func next(_ count: Int) -> SimulatedEvents {
    precondition(count >= 0 && count <= mostAtOnce, "a number of events that cannot be made at once")
    var result = SimulatedEvents()
    // Taken out of `self` for as long as it is written to, so that `self` can be read meanwhile.
    var memory: [UInt8] = []
    swap(&memory, &scratch)
    defer { swap(&memory, &scratch) }
    result.bytes.reserveCapacity(min(count, SimulationBlock.size) * 640)
    while result.count < count {
      load()
      let place = row % SimulationBlock.size
      let end = min(place + count - result.count, place + linesAtOnce, SimulationBlock.size)
      let offset = result.bytes.count
      // SAFETY: the cursor lives in the closure only, and `require` checks before each line that it fits.
      let written = memory.withUnsafeMutableBufferPointer { lent in
        var line = LineCursor(lent)
        for at in place..<end {
          result.starts.append(UInt32(offset + line.count))
          write(at, into: &line, &result.labels)
          result.ends.append(UInt32(offset + line.count - 1))
        }
        return line.count
      }
      result.bytes.append(contentsOf: memory[..<written])
      result.arrivals.append(contentsOf: block.arrivals[place..<end])
      row += end - place
    }
    return result
  }

  /// Appends the next `count` events, as lines of JSON, and their labels.
  public mutating func next(_ count: Int, into bytes: inout [UInt8], labels: inout [Label]) {
    var rest = count
    while rest > 0 {
      let events = next(min(rest, SimulationBlock.size, mostAtOnce))
      bytes.append(contentsOf: events.bytes)
      labels.append(contentsOf: events.labels)
      rest -= events.count
    }
  }

  /// Passes over the next `count` events. Whole blocks that are passed over cost their arrival times only.
  public mutating func skip(_ count: Int) {
    precondition(count >= 0, "a number of events cannot be negative")
    row += count
  }

  /// Computes the block that holds the next event, unless it is the current one.
  private mutating func load() {
    let wanted = row / SimulationBlock.size
    if generated > wanted { return }
    while generated < wanted {
      for _ in 0..<SimulationBlock.size { _ = arrivals.pop() }
      generated += 1
    }
    generated += 1
    let (definition, random) = (definition, brokenShare)
    block.fill(from: &arrivals, firstRow: wanted * SimulationBlock.size) { row in
      definition.broken.map { random.uniform(at: UInt64(row)) < $0.share } ?? false
    }
    writer.evaluate(block, into: &values)
    labelConditions = definition.labels.map { $0.when.evaluate(block.columns, count: block.count) }
  }

  private func write(_ place: Int, into line: inout LineCursor, _ labels: inout [Label]) {
    let number = UInt64(block.firstRow + place)
    if let broken = definition.broken, let table = brokenTable, brokenShare.uniform(at: number) < broken.share {
      let kind = broken.kinds[table.pick(brokenKind.uniform(at: number))]
      writer.write(place, of: values, damage: kind.damage, random: brokenKind.bits(at: number), into: &line)
      labels.append(label(place, kind: kind.name, injected: false))
      return
    }
    writer.write(place, of: values, into: &line)
    if block.injected[place] >= 0 {
      let injection = definition.injections[Int(block.injected[place])]
      labels.append(label(place, kind: injection.name, injected: true))
    } else if let index = labelConditions.firstIndex(where: { $0[place] == 1 }) {
      labels.append(label(place, kind: definition.labels[index].name, injected: false))
    }
  }

  private func label(_ place: Int, kind: String, injected: Bool) -> Label {
    let identity = definition.labelFields.map { field in
      Label.Member(name: definition.fields[field].name, json: writer.json(field, place, of: values))
    }
    return Label(row: block.firstRow + place, identity: identity, kind: kind, injected: injected)
  }
}
