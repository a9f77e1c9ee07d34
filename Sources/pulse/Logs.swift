// Structured logs on standard error.

import Logging

enum Logs {
  /// Sets up logging for the process.
  static func bootstrap(level: Logger.Level = .info) -> Logger {
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    return Logger(label: "pulse")
  }
}
