// The files of the page: read once from the bundle beside the program, and given by their names. What has no such name is not
// there, wherever a path leads.

import Detection
import Foundation
import HTTPTypes

/// The files of the page.
struct WebPage: Sendable {
  private struct File: Sendable {
    var bytes: [UInt8]
    var type: String
  }

  private let files: [String: File]

  /// What pages may load: files of this server alone. Swagger UI writes styles into its page.
  private static let policy =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; img-src 'self' data:"
  private static let docsPolicy = policy + "; style-src 'self' 'unsafe-inline'"

  private static let types = [
    "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml", "json": "application/json", "png": "image/png", "woff2": "font/woff2",
  ]

  /// Reads a folder.
  /// - Throws: `OperatingError` where it has no page.
  init(folder: String) throws {
    var files: [String: File] = [:]
    let root = URL(fileURLWithPath: folder, isDirectory: true)
    for case let name as String in FileManager.default.enumerator(atPath: folder) ?? .init() {
      guard let type = Self.types[(name as NSString).pathExtension] else { continue }
      let bytes = try Data(contentsOf: root.appendingPathComponent(name))
      files[name] = File(bytes: [UInt8](bytes), type: type)
    }
    guard files["index.html"] != nil else {
      throw OperatingError(.missing, "the dashboard is not at \(folder): build pulse anew")
    }
    self.files = files
  }

  /// The page that was built with the program.
  static func bundled() throws -> WebPage { try WebPage(folder: Bundle.module.bundlePath + "/Web") }

  /// - Throws: `Problem` where there is none of this name.
  func file(_ name: String) throws -> Reply {
    guard let file = files[name] else { throw Problem.notFound("The page has no file \(name.prefix(200)).") }
    var headers: HTTPFields = [:]
    if file.type.hasPrefix("text/html") {
      headers[.contentSecurityPolicy] = name == "docs.html" ? Self.docsPolicy : Self.policy
    }
    return Reply(file.bytes, contentType: file.type, headers: headers)
  }
}
