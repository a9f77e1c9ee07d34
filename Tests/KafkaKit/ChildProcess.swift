// Programs that tests start beside themselves, and that never outlive them.

import Foundation
import Synchronization

/// A program that runs, with what it prints in a file. Killed with the last reference, and when the process that started it
/// ends in whatever way.
public final class ChildProcess: Sendable {
  private struct State {
    /// Nil once it has ended and the system was asked why.
    var identifier: pid_t?
    /// What the system said then.
    var status: Int32?
    var guardian: pid_t
    /// Open for as long as this process lives: the guardian reads its other end.
    var lifeline: Int32
  }

  private let state: Mutex<State>

  /// - Parameters:
  ///   - log: the file that output and errors are appended to.
  ///   - folder: what else is to go when this process ends before it has stopped the program.
  public init(_ command: [String], environment: [String: String] = [:], log: String, folder: String) throws {
    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let identifier = try Self.spawn(command, variables, input: nil, log: log)
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      Self.end(identifier)
      throw ChildProcessError("no pipe: \(String(cString: strerror(errno)))")
    }
    // Programs that are started meanwhile must not keep it open.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[0]) }
    let script = #"cat >/dev/null; kill -KILL "$0"; rm -rf "$1""#
    do {
      let guardian = try Self.spawn(
        ["/bin/sh", "-c", script, String(identifier), folder], variables, input: ends[0], log: "/dev/null")
      state = Mutex(State(identifier: identifier, guardian: guardian, lifeline: ends[1]))
    } catch {
      close(ends[1])
      Self.end(identifier)
      throw error
    }
  }

  deinit { stop(with: SIGKILL, within: .seconds(10)) }

  /// Nil once it has ended.
  public var identifier: Int32? { isRunning ? state.withLock { $0.identifier } : nil }

  /// What it ended with: its exit code, or 128 and the signal that ended it; nil while it runs.
  public var exitCode: Int32? {
    if isRunning { return nil }
    return state.withLock { $0.status.map { $0 & 0x7f == 0 ? ($0 >> 8) & 0xff : 128 + ($0 & 0x7f) } }
  }

  /// Whether it has not ended.
  public var isRunning: Bool {
    state.withLock { state in
      guard let identifier = state.identifier else { return false }
      var status: Int32 = 0
      guard waitpid(identifier, &status, WNOHANG) != 0 else { return true }
      state.identifier = nil
      state.status = status
      Self.end(state.guardian)
      close(state.lifeline)
      return false
    }
  }

  public func send(_ signal: Int32) {
    state.withLock { state in if let identifier = state.identifier { kill(identifier, signal) } }
  }

  /// Suspends it, and returns when the system says that it is.
  public func suspend() throws {
    send(SIGSTOP)
    let isStopped = waitUntil(within: .seconds(5)) {
      self.state.withLock { state in
        var status: Int32 = 0
        guard let identifier = state.identifier else { return false }
        return waitpid(identifier, &status, WNOHANG | WUNTRACED) == identifier && status & 0xff == 0x7f
      }
    }
    if !isStopped { throw ChildProcessError("it could not be suspended") }
  }

  /// - Returns: whether it ended by this signal within the time; it is killed where it did not.
  @discardableResult
  public func stop(with signal: Int32, within limit: Duration) -> Bool {
    send(signal)
    // One that is suspended takes no other signal before.
    send(SIGCONT)
    if waitUntil(within: limit, { !self.isRunning }) { return true }
    send(SIGKILL)
    _ = waitUntil(within: .seconds(10)) { !self.isRunning }
    return false
  }

  /// Kills a program of this process's and asks why it ended, so that nothing is left of it.
  private static func end(_ identifier: pid_t) {
    kill(identifier, SIGKILL)
    var status: Int32 = 0
    waitpid(identifier, &status, 0)
  }

  private static func spawn(
    _ command: [String], _ variables: [String: String], input: Int32?, log: String
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // The threads that tests run on may have signals blocked or ignored; a shell's child has not.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var defaults = sigset_t()
    sigemptyset(&defaults)
    for signal in [SIGPIPE, SIGINT, SIGTERM] { sigaddset(&defaults, signal) }
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var arguments = command.map { strdup($0) } + [nil]
    var environment = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in arguments + environment { free(pointer) } }
    var process: pid_t = 0
    let code = posix_spawn(&process, command[0], &actions, &attributes, &arguments, &environment)
    guard code == 0 else {
      throw ChildProcessError("\(command[0]) cannot be started: \(String(cString: strerror(code)))")
    }
    return process
  }
}

/// Asks again and again until the answer is yes; false after the time.
public func waitUntil(within limit: Duration, _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = Deadline(after: limit)
  while true {
    if try condition() { return true }
    if deadline.hasPassed { return false }
    pause(milliseconds: 5)
  }
}

/// Why a program could not be started or stopped.
public struct ChildProcessError: Error, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
