// Ends of what a model of the user's own does too long: a run is told to end, loading is left alone. Both by a monotonic
// clock.

import COnnxRuntime
import Detection
import Foundation
import Pipeline
import Synchronization

/// Ends a run that takes too long.
///
/// SAFETY: `timer` is only touched by the thread that makes the run, in `init` and `end`. The handle is closed when
/// nobody refers to it any more, the timer included, and ONNX Runtime allows to end a run from any thread.
final class RunDeadline: @unchecked Sendable {
  /// What the run is given.
  let run: OpaquePointer
  private let isOver = Atomic(false)
  private var timer: DispatchWorkItem?

  /// A queue with a thread of its own: those of others may all be in runs that do not end.
  private static let queue = DispatchQueue(label: "pulse.onnx.deadlines", qos: .userInitiated)

  /// - Parameter message: why there is none, where it is nil.
  init?(_ library: ONNXRuntimeLibrary, after limit: Duration, _ message: inout onnx_message) {
    guard let run = onnx_run_open(library.handle, &message) else { return nil }
    self.run = run
    let timer = DispatchWorkItem { [self] in
      isOver.store(true, ordering: .sequentiallyConsistent)
      onnx_run_terminate(self.run)
    }
    self.timer = timer
    Self.queue.asyncAfter(deadline: .now() + limit.inSeconds, execute: timer)
  }

  deinit { onnx_run_close(run) }

  /// The run has ended. Returns whether it was told to.
  func end() -> Bool {
    timer?.cancel()
    // It holds this object.
    timer = nil
    return isOver.load(ordering: .sequentiallyConsistent)
  }
}

/// Loads models on threads of their own, because ONNX Runtime offers no way to end that.
enum ONNXLoading {
  /// SAFETY: a session in it has one owner at any time: whoever has taken the outcome out of the handover.
  enum Outcome: @unchecked Sendable {
    case loaded(OpaquePointer)
    case failed(String)
    /// Nobody waits any more.
    case abandoned
  }

  private final class Handover: Sendable {
    private let outcome = Mutex<Outcome?>(nil)
    private let isDone = DispatchSemaphore(value: 0)

    /// Hands the outcome over. Returns false where nobody takes it.
    func finish(with found: Outcome) -> Bool {
      let isTaken = outcome.withLock { outcome in
        if case .abandoned = outcome { return false }
        outcome = found
        return true
      }
      isDone.signal()
      return isTaken
    }

    /// Waits for the outcome; `abandoned` where it takes longer.
    func wait(_ time: Duration) -> Outcome {
      _ = isDone.wait(timeout: .now() + time.inSeconds)
      return outcome.withLock { outcome in
        let found = outcome ?? .abandoned
        outcome = .abandoned
        return found
      }
    }
  }

  /// What a deep graph takes, whatever thread asks for it.
  private static let stackBytes = 8 << 20

  /// - Throws: as `ONNXSession.init`.
  static func open(
    _ model: [UInt8], name: String, _ options: ONNXSession.Options, _ library: ONNXRuntimeLibrary
  ) throws(OperatingError) -> OpaquePointer {
    let handover = Handover()
    let provider = options.provider.lowercased() == "cpu" ? nil : options.provider
    let thread = Thread {
      var message = onnx_message()
      let session = onnx_session_open(
        library.handle, model, model.count, Int32(options.threads), provider, &message)
      let isTaken = handover.finish(with: session.map { .loaded($0) } ?? .failed(message.sentence))
      if !isTaken, let session { onnx_session_close(session) }
    }
    thread.name = "pulse-onnx-load"
    thread.stackSize = stackBytes
    thread.start()
    switch handover.wait(options.loadTime) {
    case .loaded(let session): return session
    case .failed(let reason): throw OperatingError(.configuration, "\(name) could not be loaded: \(reason)")
    case .abandoned:
      throw OperatingError(
        .limit, "\(name) could not be loaded within \(options.loadTime.components.seconds) s: expected a smaller model")
    }
  }
}

extension Duration {
  fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
