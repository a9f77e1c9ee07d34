// Structured logs on standard error.

import Configuration
import Logging
import Pipeline

enum Logs {
  /// Sets up logging for the process.
  static func bootstrap(_ level: RuntimeConfiguration.LogLevel) -> Logger {
    let level = Logger.Level(rawValue: level.rawValue) ?? .info
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler(label: label, stream: LogStream())
      handler.logLevel = level
      return handler
    }
    return Logger(label: "pulse")
  }
}

/// Standard error as the log writes to it.
private struct LogStream: TextOutputStream {
  /// - Parameter line: a whole line, with its end.
  mutating func write(_ line: String) { Terminal.log(line.hasSuffix("\n") ? String(line.dropLast()) : line) }
}
