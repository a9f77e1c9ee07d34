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
    // One byte more than allowed tells a file that is too large, and bounds what a device or pipe can deliver.
    guard let bytes = read(path, upTo: YAMLBounds.maxBytes + 1) else {
      return fail("the file cannot be read: \(String(cString: strerror(errno)))")
    }
    if bytes.count > YAMLBounds.maxBytes {
      return fail("the file is too large", expected: "at most \(YAMLBounds.maxBytes) bytes")
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
  /// The first bytes of a file; nil, with `errno` set, where it cannot be read.
  private static func read(_ path: String, upTo limit: Int) -> [UInt8]? {
    guard let file = fopen(path, "rb") else { return nil }
    defer { fclose(file) }
    var hasFailed = false
    // SAFETY: the buffer has room for `limit` bytes, of which `fread` says how many it has filled.
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      count = fread(buffer.baseAddress, 1, limit, file)
      hasFailed = ferror(file) != 0
    }
    return hasFailed ? nil : bytes
  }
}
