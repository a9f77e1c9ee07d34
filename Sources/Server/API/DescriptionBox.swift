// The document is one of the endpoints that it describes: it is put here once the table is whole.

import Synchronization

/// The document of the API.
final class DescriptionBox: Sendable {
  private let text = Mutex("")

  var json: String { text.withLock { $0 } }

  func set(_ json: String) { text.withLock { $0 = json } }
}
