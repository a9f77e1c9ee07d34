// Runs the built command as a process, the way a user does, and says what came of it: exit code, what was printed where,
// how much memory it took. Nothing here knows how the product works inside.

import Foundation
import TestKit
import Testing

/// The command under test.
enum PulseCommand {
  static let package = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  /// `PULSE` where it is set, else the command in the build folder that this test bundle lies in, else a built one.
  static let path: String = {
    if let path = ProcessInfo.processInfo.environment["PULSE"], !path.isEmpty { return path }
    var candidates: [String] = []
    for start in [Bundle.main.executablePath, CommandLine.arguments.first].compactMap({ $0 }) {
      var folder = URL(fileURLWithPath: start)
      for _ in 0..<5 where folder.path != "/" {
        folder.deleteLastPathComponent()
        candidates.append(folder.path + "/pulse")
      }
    }
    candidates += [package + "/.build/release/pulse", package + "/.build/debug/pulse"]
    var isFolder: ObjCBool = false
    return candidates.first {
      FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder) && !isFolder.boolValue
        && FileManager.default.isExecutableFile(atPath: $0)
    } ?? package + "/.build/release/pulse"
  }()

  static func useCase(_ name: String) -> String { package + "/UseCases/" + name }

  /// Runs to the end.
  /// - Parameter timeout: seconds after which it is killed, which fails the test.
  static func run(
    _ arguments: String..., input: String? = nil, environment: [String: String] = [:], timeout: Double = 60
  ) throws -> Outcome {
    try run(arguments, input: input, environment: environment, timeout: timeout)
  }

  static func run(
    _ arguments: [String], input: String? = nil, environment: [String: String] = [:], timeout: Double = 60
  ) throws -> Outcome {
    try RunningCommand([path] + arguments, input: input, environment: environment).wait(timeout: timeout)
  }

  /// Starts it and returns at once.
  static func start(_ arguments: String..., input: String? = nil) throws -> RunningCommand {
    try RunningCommand([path] + arguments, input: input)
  }

  /// Runs a line of bash in which `$PULSE` is the command.
  static func shell(_ line: String, in folder: TestFolder, timeout: Double = 60) throws -> Outcome {
    try RunningCommand(
      ["/bin/bash", "-c", "cd '\(folder.path)' && { \(line)\n}"], environment: ["PULSE": path]
    ).wait(timeout: timeout)
  }
}

/// What came of a process.
struct Outcome: CustomStringConvertible {
  /// Its exit code, or 128 and the signal that ended it.
  var exitCode: Int32
  var output: String
  var errors: String
  /// The most resident memory it was seen with, in MB.
  var peakMegabytes: Double

  var description: String {
    "exit code \(exitCode)\n--- output\n\(output.suffix(2000))\n--- errors\n\(errors.suffix(2000))"
  }

  /// The JSON array that was printed.
  func rows(_ at: SourceLocation = #_sourceLocation) throws -> [[String: Any]] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]], "\(self)", sourceLocation: at)
  }

  /// The JSON object that was printed.
  func object(_ at: SourceLocation = #_sourceLocation) throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any], "\(self)", sourceLocation: at)
  }

  /// Fails the test unless the command ended with `code` and its errors contain all `words`.
  func expect(_ code: Int32, saying words: String..., at: SourceLocation = #_sourceLocation) {
    #expect(exitCode == code, "\(self)", sourceLocation: at)
    for word in words {
      #expect(errors.localizedCaseInsensitiveContains(word), "“\(word)” is missing: \(self)", sourceLocation: at)
    }
  }
}

/// A process that runs. Its output goes to files, so that it never waits for a reader.
final class RunningCommand {
  let identifier: pid_t
  private let folder: TestFolder
  private var status: Int32?
  private var peakKilobytes = 0.0

  /// - Parameters:
  ///   - input: what standard input holds; nothing unless given.
  ///   - pipe: a named pipe that is standard input instead; it has no end.
  ///   - terminal: what standard error is instead of a file.
  init(
    _ command: [String], input: String? = nil, pipe: String? = nil, terminal: String? = nil,
    environment: [String: String] = [:]
  ) throws {
    folder = try TestFolder()
    try folder.write("stdin", input ?? "")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, pipe ?? folder / "stdin", pipe == nil ? O_RDONLY : O_RDWR, 0)
    posix_spawn_file_actions_addopen(&actions, 1, folder / "stdout", O_WRONLY | O_CREAT, 0o644)
    posix_spawn_file_actions_addopen(
      &actions, 2, terminal ?? folder / "stderr", terminal == nil ? O_WRONLY | O_CREAT : O_RDWR | O_NOCTTY, 0o644)
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
    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var arguments = command.map { strdup($0) } + [nil]
    var environment = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in arguments + environment { free(pointer) } }
    var process: pid_t = 0
    let code = posix_spawn(&process, command[0], &actions, &attributes, &arguments, &environment)
    guard code == 0 else { throw CommandError("\(command[0]) cannot be started: \(String(cString: strerror(code)))") }
    identifier = process
  }

  deinit {
    if isRunning {
      kill(identifier, SIGKILL)
      var status: Int32 = 0
      waitpid(identifier, &status, 0)
    }
  }

  var isRunning: Bool {
    if status != nil { return false }
    // The high-water mark of the process's own memory; `ru_maxrss` would count what it shared before `exec`.
    if let text = try? String(contentsOfFile: "/proc/\(identifier)/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let value = line.split(separator: " ").dropFirst().first.flatMap({ Double($0) })
    {
      peakKilobytes = max(peakKilobytes, value)
    }
    var status: Int32 = 0
    guard waitpid(identifier, &status, WNOHANG) == identifier else { return true }
    self.status = status
    return false
  }

  var output: String { folder.read("stdout") }

  var errors: String { folder.read("stderr") }

  func send(_ signal: Int32) { if isRunning { kill(identifier, signal) } }

  /// Waits until it has ended.
  /// - Throws: when it had to be killed after `timeout` seconds.
  func wait(timeout: Double = 60) throws -> Outcome {
    let ended = poll(timeout: timeout) { !self.isRunning }
    guard ended, let status else {
      kill(identifier, SIGKILL)
      throw CommandError("the command had to be killed after \(timeout) s: \(folder.read("stderr").suffix(2000))")
    }
    let signal = status & 0x7f
    return Outcome(
      exitCode: signal == 0 ? (status >> 8) & 0xff : 128 + signal, output: output, errors: errors,
      peakMegabytes: peakKilobytes / 1000)
  }
}

/// Asks again and again until the answer is yes; false after `timeout` seconds.
func poll(timeout: Double = 20, _ condition: () throws -> Bool) rethrows -> Bool {
  let end = ContinuousClock.now + .seconds(timeout)
  while true {
    if try condition() { return true }
    if ContinuousClock.now > end { return false }
    usleep(5000)
  }
}

/// Why a command could not be run.
struct CommandError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
