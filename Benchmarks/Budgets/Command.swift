// Runs a command as a child process and says what it took: elapsed time from before its start to after its end, its
// peak resident memory as the kernel accounts it, and what it printed.

import Foundation

/// A command that ended with exit code 0.
struct Command {
  let seconds: Double
  /// Peak resident memory in bytes.
  let peakMemory: Int
  let output: String

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// - Parameters:
  ///   - scratch: a folder for what the command prints.
  ///   - feed: writes its standard input, which ends when it returns; without it there is none.
  /// - Throws: `Failure` with what the command printed, when it cannot be started or does not exit with 0.
  init(_ arguments: [String], scratch: String, feed: ((FileHandle) throws -> Void)? = nil) throws {
    let (outputPath, errorPath) = (scratch + "/output", scratch + "/errors")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (descriptor, path) in [(STDOUT_FILENO, outputPath), (STDERR_FILENO, errorPath)] {
      posix_spawn_file_actions_addopen(&actions, descriptor, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    }
    let pipe = feed.map { _ in Pipe() }
    if let pipe {
      posix_spawn_file_actions_adddup2(&actions, pipe.fileHandleForReading.fileDescriptor, STDIN_FILENO)
      posix_spawn_file_actions_addclose(&actions, pipe.fileHandleForWriting.fileDescriptor)
    }
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }

    let start = ContinuousClock.now
    var child = pid_t()
    let code = posix_spawnp(&child, arguments[0], &actions, nil, &words, environ)
    guard code == 0 else {
      throw Failure(description: "\(arguments[0]) cannot be started: \(String(cString: strerror(code)))")
    }
    if let pipe, let feed {
      try pipe.fileHandleForReading.close()
      // A command that ends early says why with its status.
      signal(SIGPIPE, SIG_IGN)
      try? feed(pipe.fileHandleForWriting)
      try pipe.fileHandleForWriting.close()
    }
    var status: Int32 = 0
    var usage = rusage()
    while wait4(child, &status, 0, &usage) < 0 {
      guard errno == EINTR else { throw Failure(description: "\(arguments[0]) cannot be waited for") }
    }
    let elapsed = ContinuousClock.now - start
    guard status == 0 else {
      let errors = (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? ""
      throw Failure(description: "\(arguments.joined(separator: " ")) failed (status \(status)):\n\(errors)")
    }
    seconds = elapsed / .seconds(1)
    #if os(Linux)
      peakMemory = usage.ru_maxrss * 1024
    #else
      peakMemory = usage.ru_maxrss
    #endif
    output = try String(contentsOfFile: outputPath, encoding: .utf8)
  }
}
