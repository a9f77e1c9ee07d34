// Which database, and who asks for it. The address is that of libpq, which reads passwords from it, from PGPASSWORD, from the
// password file or from a service file; what is shown of it has none.

import CPostgreSQLLibrary
import Detection

/// A database as libpq is told of it.
struct PostgreSQLAddress: Sendable, Hashable {
  static let scheme = "postgresql"

  /// With everything that was said, the password perhaps among it.
  let text: String
  /// The schema that the tables are in.
  let schema: String
  /// Host, port and database: for messages.
  let place: String

  /// - Returns: nil where libpq would not understand it.
  init?(_ text: String, schema: String = Self.standardSchema) {
    guard text.hasPrefix("\(Self.scheme)://") || text.hasPrefix("postgres://"), let parts = Self.parts(of: text) else {
      return nil
    }
    self.text = text
    self.schema = schema
    if let service = parts["service"] {
      place = "\(Self.scheme):///?service=\(service)"
    } else {
      let hosts = (parts["host"] ?? parts["hostaddr"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
      let ports = (parts["port"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
      let pairs = hosts.indices.map { index in
        let port = ports.count == 1 ? ports[0] : ports.indices.contains(index) ? ports[index] : ""
        return port.isEmpty ? String(hosts[index]) : "\(hosts[index]):\(port)"
      }
      place = "\(Self.scheme)://\(pairs.joined(separator: ","))/\(parts["dbname"] ?? "")"
    }
  }

  static let standardSchema = "pulse"

  /// What the address says, by libpq's names; nil where it is none.
  private static func parts(of text: String) -> [String: String]? {
    // libpq's own message is not shown: it repeats the address, with its password.
    guard let options = PQconninfoParse(text, nil) else { return nil }
    defer { PQconninfoFree(options) }
    var parts: [String: String] = [:]
    // SAFETY: the array ends with an entry without a keyword, and lives until it is freed below.
    var next = options
    while let keyword = next.pointee.keyword {
      if let value = next.pointee.val { parts[String(cString: keyword)] = String(cString: value) }
      next += 1
    }
    return parts
  }

  /// Keywords and values for libpq, in the order in which later ones count.
  /// - Parameter isWriting: whether a server that takes no writes is none of use.
  func parameters(isWriting: Bool) -> [(name: String, value: String)] {
    var parameters = [
      // What the address may say otherwise.
      ("connect_timeout", "10"), ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
      ("tcp_user_timeout", "30000"), ("fallback_application_name", "pulse"), ("dbname", text),
      ("client_encoding", "UTF8"),
    ]
    if isWriting { parameters.append(("target_session_attrs", "read-write")) }
    return parameters
  }
}
