// From what `--source` names to the list of files, in order. The list is part of what a resumed run must find again, so
// it depends on the patterns and the names alone: not on the locale, nor on the order in a directory.

import Foundation
import Pipeline

enum FileList {
  /// The files that paths and glob patterns name: patterns in the order given, the matches of each in the order of
  /// their bytes; absolute paths.
  /// - Throws: `OperatingError` where a pattern matches nothing or a file is named twice.
  static func expand(_ patterns: [String]) throws(OperatingError) -> [String] {
    var paths: [String] = []
    var seen: Set<String> = []
    for pattern in patterns {
      for path in try matches(of: pattern) {
        let path = absolute(path)
        guard seen.insert(path).inserted else {
          throw OperatingError(
            .configuration, "the source names \(path) twice. Expected each file once, or its events would count twice")
        }
        paths.append(path)
      }
    }
    guard !paths.isEmpty else { throw OperatingError(.configuration, "no file is named. Check --source") }
    return paths
  }

  private static func matches(of pattern: String) throws(OperatingError) -> [String] {
    let isPattern = pattern.contains { "*?[".contains($0) }
    if !isPattern || access(pattern, F_OK) == 0 { return [pattern] }
    var found = glob_t()
    defer { globfree(&found) }
    let code = glob(pattern, GLOB_NOSORT | GLOB_ERR, nil, &found)
    if code == GLOB_NOMATCH {
      throw OperatingError(.input, "no file matches \(pattern). Check --source (the directory: \(workingDirectory))")
    }
    guard code == 0 else {
      throw OperatingError(.input, "\(pattern) cannot be expanded: a directory in it cannot be read")
    }
    var paths: [String] = []
    for index in 0..<Int(found.gl_pathc) {
      if let path = found.gl_pathv[index] { paths.append(String(cString: path)) }
    }
    return paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  private static var workingDirectory: String { FileManager.default.currentDirectoryPath }

  /// The path from the root, without `.` and doubled slashes. Symbolic links stay (their names are the user's), and
  /// therefore `..` does, which behind a link is not the parent that the text suggests.
  static func absolute(_ path: String) -> String {
    let whole = path.hasPrefix("/") ? path : workingDirectory + "/" + path
    return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
  }

  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }

  static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}
