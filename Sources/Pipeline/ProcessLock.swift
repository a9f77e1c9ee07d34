// A lock that at most one process has, and that is free again when the process ends, however it ends.

import Foundation

/// An advisory lock on a file, held until it is released.
public final class ProcessLock: Sendable {
  /// That another process has the lock.
  public struct Taken: Error {
    /// Its number, as it wrote it; "?" where it has not yet.
    public let holder: String
  }

  private let descriptor: Int32

  /// Takes the lock without waiting.
  /// - Parameter path: a file that is made where there is none; its folder is there.
  /// - Throws: `Taken`, or `OperatingError` where the file cannot be opened.
  public init(path: String) throws {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw OperatingError(.store, "the lock \(path) cannot be opened: \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      var buffer = [UInt8](repeating: 0, count: 20)
      let count = max(0, read(descriptor, &buffer, buffer.count))
      let holder = String(decoding: buffer.prefix(count), as: UTF8.self)
      close(descriptor)
      throw Taken(holder: holder.isEmpty ? "?" : holder)
    }
    let text = Array(String(getpid()).utf8)
    ftruncate(descriptor, 0)
    _ = pwrite(descriptor, text, text.count, 0)
  }

  deinit { close(descriptor) }
}
