// Bounds of the core as errors that a person acts on.

import Detection

extension OperatingError {
  /// The error as a person must act on it: bounds of the core become errors of kind `limit`; others stay.
  static func explaining(_ error: any Error) -> any Error {
    switch error {
    case let error as LimitError: OperatingError(.limit, error.description)
    default: error
    }
  }
}
