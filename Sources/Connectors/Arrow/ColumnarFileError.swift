// What can go wrong with a columnar file, as one error type. Invariant: messages name files, columns and types, never
// values of events.

import CArrow

/// Why a columnar file could not be read or written.
public struct ColumnarFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of failure, each of which calls for a different reaction.
  public enum Reason: Hashable, Sendable {
    /// The operating system refused; the value is its `errno`.
    case system(Int32)
    /// Truncated, damaged, or of another format than its beginning says.
    case corrupt
    /// A column was asked for that the file does not have.
    case noSuchColumn
    /// Memory ran out, or the file asks for an absurd amount of it.
    case outOfMemory
    /// A valid file that uses something this reader does not know.
    case unsupported
    /// More data than the format can hold in one piece.
    case tooLarge
    /// A defect of this program or of the library below it.
    case defect
  }

  public let reason: Reason
  /// The file, or a word for what was read where there is no file.
  public let path: String
  /// What was expected and what was found.
  public let message: String

  public init(_ reason: Reason, path: String, message: String) {
    self.reason = reason
    self.path = path
    self.message = message
  }

  public var description: String { "\(path): \(message)" }
}

extension ColumnarFileError {
  /// The error a call of the shim has left behind.
  init(_ error: CArrowError, path: String) {
    let reason: Reason =
      switch error.code {
      case CARROW_IO: .system(error.system_error)
      case CARROW_CORRUPT: .corrupt
      case CARROW_NO_SUCH_COLUMN: .noSuchColumn
      case CARROW_MEMORY: .outOfMemory
      case CARROW_UNSUPPORTED: .unsupported
      default: .defect
      }
    // SAFETY: the message is a zero-terminated buffer inside `error`, which outlives the closure.
    var message = withUnsafePointer(to: error) { String(cString: carrow_error_message($0)) }
    if reason == .outOfMemory, error.system_error == 0 {
      message = "it asks for \(message). Write it with fewer columns, smaller values, row groups or record batches"
    }
    self.init(reason, path: path, message: message)
  }
}
