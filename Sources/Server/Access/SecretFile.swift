// Files that hold secrets: nobody but their owner may read them.

import Detection
import Foundation
import Pipeline

/// Reads a file that holds a secret.
enum SecretFile {
  /// - Parameter what: as messages name it: "the file of tokens".
  /// - Throws: `OperatingError` where it cannot be read, or can be read by others than its owner.
  static func read(_ path: String, as what: String) throws(OperatingError) -> String {
    let text: String
    do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
      throw OperatingError(.configuration, "\(what) \(path) cannot be read: \(systemReason(error))")
    }
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    if let mode = attributes?[.posixPermissions] as? NSNumber, mode.intValue & 0o077 != 0 {
      throw OperatingError(
        .configuration, "\(what) \(path) can be read by others: take that away with `chmod 600 \(path)`")
    }
    return text
  }
}
