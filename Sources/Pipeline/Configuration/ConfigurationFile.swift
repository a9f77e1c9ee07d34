// Reads a configuration file from disk; everything that can be wrong with it as a file becomes a diagnostic.

internal import Detection
internal import Foundation

/// A text file that a person wrote.
package enum ConfigurationFile {
  /// The file's text without a byte order mark, or what is wrong with it.
  package static func read(_ path: String) -> Result<String, ConfigurationErrors> {
    func fail(_ message: String, expected: String? = nil, found: String? = nil) -> Result<String, ConfigurationErrors> {
      let start = SourceLocation(line: 1, column: 1)
      return .failure(
        ConfigurationErrors([Diagnostic(location: start, message: message, expected: expected, found: found)]))
    }
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      return fail("there is no such file")
    }
    if isDirectory.boolValue { return fail("this is a directory", expected: "a file") }
    guard let handle = FileHandle(forReadingAtPath: path) else {
      return fail("the file cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { try? handle.close() }
    let bytes: [UInt8]
    do {
      // One byte more than allowed tells a file that is too large, and bounds what a device or pipe can deliver.
      bytes = Array(try handle.read(upToCount: YAMLDocuments.maxBytes + 1) ?? Data())
    } catch {
      return fail("the file cannot be read: \(systemReason(error))")
    }
    if bytes.count > YAMLDocuments.maxBytes {
      return fail("the file is too large", expected: "at most \(YAMLDocuments.maxBytes) bytes")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      let valid = String(decoding: bytes, as: UTF8.self).unicodeScalars.prefix { $0 != "\u{FFFD}" }
      let lines = String(valid).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      let place = SourceLocation(line: lines.count, column: (lines.last?.unicodeScalars.count ?? 0) + 1)
      return .failure(
        ConfigurationErrors([Diagnostic(location: place, message: "the file is not UTF-8", expected: "UTF-8")]))
    }
    return .success(text.first == "\u{FEFF}" ? String(text.dropFirst()) : text)
  }
}
