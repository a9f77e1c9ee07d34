// Another process of this same program, for work that must not be able to harm this one.

import Foundation
import Pipeline
import Synchronization

/// One process, from its start to its end.
final class ChildProcess: Sendable {
  struct End: Sendable {
    /// What it printed.
    var output: String
    /// What went wrong; nil where nothing did.
    var trouble: String?
  }

  private enum State { case waiting, running, stopped }

  private let process = Process()
  private let output = Pipe()
  private let errors = Pipe()
  private let state = Mutex(State.waiting)

  private let onErrorLine: @Sendable (String) -> Void

  /// - Parameters:
  ///   - environment: what it is told beside what this process was.
  ///   - onErrorLine: is told each line that it prints to its standard error, as it comes.
  init(
    arguments: [String], environment: [String: String] = [:],
    onErrorLine: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.onErrorLine = onErrorLine
    process.executableURL = URL(fileURLWithPath: Bundle.main.executablePath ?? CommandLine.arguments[0])
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
  }

  /// Runs it to its end, on a thread of its own.
  func run() async -> End {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: self.runBlocking()) }
    }
  }

  /// Ends it at once, or keeps it from starting. It is killed: it inherits signals that this program does not listen to,
  /// and one that is told to end by them may not hear it yet.
  func stop() {
    state.withLock { state in
      if state == .running, process.isRunning { kill(process.processIdentifier, SIGKILL) }
      state = .stopped
    }
  }

  private func runBlocking() -> End {
    do {
      let isStarted = try state.withLock { state in
        if state == .stopped { return false }
        try process.run()
        state = .running
        return true
      }
      guard isStarted else { return End(output: "", trouble: "it was stopped before it began") }
    } catch {
      return End(output: "", trouble: "it cannot be started: \(systemReason(error))")
    }
    // Both at the same time: whoever is not read from stands still once a pipe is full.
    let said = Mutex("")
    let isRead = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      let text = self.readErrors()
      said.withLock { $0 = text }
      isRead.signal()
    }
    let text = Self.text(of: output)
    isRead.wait()
    process.waitUntilExit()
    let status = process.terminationStatus
    if process.terminationReason == .uncaughtSignal {
      let name = strsignal(status).map { " (\(String(cString: $0)))" } ?? ""
      return End(output: text, trouble: "it was ended by signal \(status)\(name)")
    }
    guard status != 0 else { return End(output: text, trouble: nil) }
    return End(output: text, trouble: said.withLock { Self.lastError(in: $0) } ?? "exit code \(status)")
  }

  private static func text(of pipe: Pipe) -> String {
    String(decoding: (try? pipe.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
  }

  /// What it says of errors, told line by line.
  private func readErrors() -> String {
    var (text, rest) = (Data(), Data())
    let handle = errors.fileHandleForReading
    while let part = try? handle.read(upToCount: 4096), !part.isEmpty {
      text += part
      rest += part
      while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        onErrorLine(String(decoding: rest[..<end], as: UTF8.self))
        rest = Data(rest[rest.index(after: end)...])
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The last line, without what marks it as an error.
  private static func lastError(in text: String) -> String? {
    guard let line = text.split(separator: "\n").last else { return nil }
    let mark = "pulse: error: "
    return String(line.hasPrefix(mark) ? line.dropFirst(mark.count) : line)
  }
}
