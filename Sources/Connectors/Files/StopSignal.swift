// A request to end that also wakes whoever waits for a descriptor or for time to pass.

import Detection
import Foundation
import Pipeline
import Synchronization

/// Set once, from any thread. Invariant: the pipe holds a byte only after the flag is set.
final class StopSignal: Sendable {
  private let flag = Atomic(false)
  private let readEnd: Int32
  private let writeEnd: Int32

  /// - Throws: `OperatingError` when the process has no descriptor left.
  init() throws(OperatingError) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      throw OperatingError(.limit, "no pipe can be opened: \(Self.reason(errno)). Raise the limit of open files")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    readEnd = ends[0]
    writeEnd = ends[1]
  }

  deinit {
    close(readEnd)
    close(writeEnd)
  }

  /// The one that ends what is done now. Decompressing asks it, which may go on for long before anything is handed over.
  @TaskLocal static var current: StopSignal?
  /// What a read ends with when the signal is set.
  static let interruption = OperatingError(.input, "reading was stopped")

  /// - Throws: `interruption` where the signal of what is done now is set.
  static func check() throws(OperatingError) {
    if let current, current.isSet { throw interruption }
  }

  var isSet: Bool { flag.load(ordering: .acquiring) }

  func set() {
    guard !flag.exchange(true, ordering: .acquiringAndReleasing) else { return }
    var byte: UInt8 = 0
    _ = write(writeEnd, &byte, 1)
  }

  /// What ended a wait.
  enum Wake { case ready, timeout, stopped }

  /// Waits until `descriptor` (if any) can be read, the signal is set, or the time has passed (nil: for ever).
  func wait(for descriptor: Int32? = nil, timeout: Duration?) -> Wake {
    let deadline = timeout.map { ContinuousClock.now + $0 }
    while !isSet {
      var polled = [pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)]
      if let descriptor { polled.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
      let count = poll(&polled, nfds_t(polled.count), Self.milliseconds(until: deadline))
      if isSet { break }
      if count > 0 { return .ready }
      if let deadline, ContinuousClock.now >= deadline { return .timeout }
    }
    return .stopped
  }

  /// Rounded up, so that a wait does not end just before its time and spin.
  private static func milliseconds(until deadline: ContinuousClock.Instant?) -> Int32 {
    guard let deadline else { return -1 }
    let rest = ContinuousClock.now.duration(to: deadline)
    guard rest > .zero else { return 0 }
    let milliseconds = (rest + .microseconds(999)) / Duration.milliseconds(1)
    return Int32(min(milliseconds, 60_000))
  }

  static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}
