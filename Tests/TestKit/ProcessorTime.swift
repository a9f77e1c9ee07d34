// What a computation costs, on a machine that is busy with other things.

import Foundation

/// The time that the calling thread computes during `body`: what others run meanwhile does not count.
public func processorTime(of body: () throws -> Void) rethrows -> Duration {
  let before = threadTime()
  try body()
  return threadTime() - before
}

private func threadTime() -> Duration {
  var time = timespec()
  precondition(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0, "a thread has a clock")
  return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}
