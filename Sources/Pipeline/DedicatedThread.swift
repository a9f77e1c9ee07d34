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
      Self.nameThread(name)
      queue.run()
    }
    thread.start()
  }

  deinit { queue.close() }

  /// Names the calling thread. `Thread.name` does not always reach the system: it needs what the thread that started this
  /// one may not have written yet.
  private static func nameThread(_ name: String) {
    #if os(Linux)
      // proc(5). The C function for it is hidden behind _GNU_SOURCE.
      let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return }
      let bytes = Array(name.utf8.prefix(15))
      _ = write(descriptor, bytes, bytes.count)
      close(descriptor)
    #else
      Thread.current.name = name
    #endif
  }

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

  /// The last thing it touches is the lock: once that is free the job may run, end, and take the actor, its executor and
  /// this queue with it, and whoever pushed it holds none of them.
  func push(_ job: @escaping @Sendable () -> Void) {
    condition.lock()
    jobs.append(job)
    condition.signal()
    condition.unlock()
  }

  func close() {
    condition.lock()
    isClosed = true
    condition.signal()
    condition.unlock()
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
