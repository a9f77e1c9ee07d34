// A serial executor on a thread of its own. Actors whose work blocks (file reads, C clients) run on one, so that they
// never hold a thread of the cooperative pool, which has only as many as the machine has cores.

import Foundation
import Synchronization

/// Runs the jobs of one actor, one after another, on one thread.
public final class DedicatedThread: SerialExecutor {
  private let queue = JobQueue()

  /// Starts the thread. `name` is what profilers and debuggers show; Linux keeps its first 15 bytes.
  public init(name: String) {
    let queue = self.queue
    let thread = Thread {
      // From within: the name of a thread that has not started yet does not reach the system.
      Thread.current.name = name
      queue.run()
    }
    thread.start()
  }

  deinit { queue.close() }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let executor = asUnownedSerialExecutor()
    queue.push { job.runSynchronously(on: executor) }
  }

  public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
}

/// The jobs that wait for the thread. Owned by both sides, so that the thread outlives the executor until it has ended.
///
/// SAFETY: `jobs` and `isClosed` are only touched under `condition`, which is a constant and itself safe to share.
private final class JobQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private var jobs: [@Sendable () -> Void] = []
  private var isClosed = false

  func push(_ job: @escaping @Sendable () -> Void) {
    condition.withLock { jobs.append(job) }
    condition.signal()
  }

  func close() {
    condition.withLock { isClosed = true }
    condition.signal()
  }

  func run() {
    while true {
      condition.lock()
      while jobs.isEmpty && !isClosed { condition.wait() }
      let ready = jobs
      jobs.removeAll(keepingCapacity: true)
      condition.unlock()
      if ready.isEmpty { return }
      for job in ready { job() }
    }
  }
}
