// What is wrong with a stored value, whatever the store is made of.

import Detection

enum StoredValue {
  /// What could not be decoded, without the data itself.
  static func reason(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
      .dataCorrupted(let context):
      return context.debugDescription
    @unknown default: return "not the JSON that was written"
    }
  }
}
