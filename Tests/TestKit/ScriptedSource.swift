// A source whose partitions come and go as a script says, as those of a message broker do.

public import Detection
public import Pipeline
import Synchronization

/// Hands out JSON records of partitions in memory; the offset of a record is its index.
public final class ScriptedSource: Source {
  /// What happens next. Partitions are numbers.
  public enum Step: Sendable, Hashable {
    case assign(Int)
    /// The next records of a partition that was resumed, at most so many; nothing where it is at its end, or was released.
    case batch(Int, rows: Int)
    case revoke(Int)
    case lose(Int)
    case idle(Int)
    /// Waits until the partition was resumed.
    case untilResumed(Int)
    /// Waits until the pipeline has released the partition.
    case untilReleased(Int)
    /// Waits until something has happened that is not the source's.
    case until(Gate)
    /// Lets others go on.
    case open(Gate)
  }

  /// Something that a test waits for, or lets others wait for.
  public final class Gate: Sendable, Hashable {
    private let isOpenFlag = Atomic(false)

    public init() {}
    public func open() { isOpenFlag.store(true, ordering: .releasing) }
    public var isOpen: Bool { isOpenFlag.load(ordering: .acquiring) }
    /// Waits until it is open, as long as `patience`.
    public func wait() async { await ScriptedSource.wait { self.isOpen } }

    public static func == (a: Gate, b: Gate) -> Bool { a === b }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
  }

  /// Something of everything that may happen, in any order: partitions come, go and are lost, with batches in between.
  public static func steps(partitions: Int, _ random: inout SeededRandom) -> [Step] {
    var steps = (0..<partitions).filter { _ in Bool.random(using: &random) }.map { Step.assign($0) }
    for _ in 0..<Int.random(in: 5...15 + 10 * partitions, using: &random) {
      let number = Int.random(in: 0..<partitions, using: &random)
      switch Int.random(in: 0..<12, using: &random) {
      case 0...1: steps.append(.assign(number))
      case 2: steps += [.revoke(number), .assign(number)]
      case 3: steps.append(.lose(number))
      case 4: steps += [.lose(number), .assign(number)]
      case 5: steps.append(.idle(number))
      default: steps.append(.batch(number, rows: Int.random(in: 1...60, using: &random)))
      }
    }
    return steps
  }

  private struct Partition: Sendable {
    /// Where to read on; nil until the last assignment was answered, and after the end of it.
    var next: Int?
    var assignments = 0
    var releases = 0
    /// Whether the last assignment was revoked or lost.
    var isTaken = false

    var isReleased: Bool { releases >= assignments }
    /// Whether an answer is that to the last assignment.
    var isAnswerable: Bool { releases == assignments - 1 && !isTaken }
  }

  private struct State: Sendable {
    var steps: ArraySlice<Step>
    var partitions: [Int: Partition] = [:]
    var isStopped = false
    var resumed: [PartitionID: [Position]] = [:]
    var figures = SourceFigures()
  }

  /// How long anything is waited for: then a test fails by what is missing. Long, because tests keep the threads from one
  /// another.
  public static let patience = Duration.seconds(180)

  public let name = "memory"
  private let records: [[[UInt8]]]
  private let state: Mutex<State>

  public init(_ records: [[[UInt8]]], _ steps: [Step]) {
    self.records = records
    state = Mutex(State(steps: steps[...]))
  }

  /// Where partitions were resumed.
  public var resumed: [PartitionID: [Position]] { state.withLock { $0.resumed } }

  public func next() async throws -> SourceEvent {
    while let step = state.withLock({ $0.isStopped ? nil : $0.steps.popFirst() }) {
      switch step {
      case .assign(let number):
        state.withLock { state in
          state.partitions[number, default: Partition()].assignments += 1
          state.partitions[number]?.next = nil
          state.partitions[number]?.isTaken = false
        }
        return .assigned(MemorySource.partition(number))
      case .batch(let number, let rows):
        await wait(for: number) { $0.next != nil || $0.isReleased || $0.isTaken }
        if let batch = batch(of: number, rows: rows) { return .batch(batch) }
      case .revoke(let number):
        take(number)
        return .revoked(MemorySource.partition(number))
      case .lose(let number):
        take(number)
        return .lost(MemorySource.partition(number))
      case .idle(let number): return .idle(MemorySource.partition(number))
      case .untilResumed(let number): await wait(for: number) { $0.next != nil || $0.isReleased || $0.isTaken }
      case .untilReleased(let number): await wait(for: number) { $0.isReleased }
      case .open(let gate): gate.open()
      case .until(let gate): await Self.wait { gate.isOpen || self.state.withLock { $0.isStopped } }
      }
    }
    return .end
  }

  public func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    state.withLock { state in
      if state.partitions[Int(partition.number)]?.isAnswerable == true {
        state.partitions[Int(partition.number)]?.next = Int(point?.position.offset ?? 0)
      }
      state.resumed[partition, default: []].append(point?.position ?? .start)
    }
    return []
  }

  public func release(_ partition: PartitionID) async {
    state.withLock { $0.partitions[Int(partition.number)]?.releases += 1 }
  }

  /// What the source says of itself from now on.
  public func tell(_ figures: SourceFigures) { state.withLock { $0.figures = figures } }

  public func figures() -> SourceFigures { state.withLock { $0.figures } }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { [] }

  public func stop() { state.withLock { $0.isStopped = true } }

  private func batch(of number: Int, rows count: Int) -> RawBatch? {
    state.withLock { state in
      guard let partition = state.partitions[number], !partition.isReleased, let first = partition.next,
        first < records[number].count
      else { return nil }
      let range = first..<min(records[number].count, first + count)
      state.partitions[number]?.next = range.upperBound
      let rows = range.map(Int64.init)
      return RawBatch(
        partition: MemorySource.partition(number), positions: RecordPositions(segment: 0, offsets: rows, rows: rows),
        payload: .json(RecordBytes(Array(records[number][range]))),
        next: Position(segment: 0, offset: Int64(range.upperBound), row: Int64(range.upperBound)))
    }
  }

  private func take(_ number: Int) {
    state.withLock { state in
      state.partitions[number]?.next = nil
      state.partitions[number]?.isTaken = true
    }
  }

  private func wait(for number: Int, _ condition: @escaping @Sendable (Partition) -> Bool) async {
    await Self.wait { self.state.withLock { $0.isStopped || $0.partitions[number].map(condition) ?? true } }
  }

  /// Looks every millisecond, as long as `patience`.
  private static func wait(until condition: @Sendable () -> Bool) async {
    let limit = ContinuousClock.now + patience
    while !condition(), ContinuousClock.now < limit { try? await Task.sleep(for: .milliseconds(1)) }
  }
}
