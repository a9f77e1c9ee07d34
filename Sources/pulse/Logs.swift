// Structured logs on standard error.

import Logging
import Pipeline

enum Logs {
  /// Sets up logging for the process.
  static func bootstrap(_ level: RuntimeConfiguration.LogLevel) -> Logger {
    let level = Logger.Level(rawValue: level.rawValue) ?? .info
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    return Logger(label: "pulse")
  }
}
