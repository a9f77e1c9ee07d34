// From what `--source` names to the list of files, in order. The list is part of what a resumed run must find again, so
// it depends on the patterns and the names alone: not on the locale, nor on the order in a directory.

import Detection
import Foundation
import Pipeline

enum FileList {
  /// What names files: a path, or a pattern.
  struct Name: Sendable {
    let text: String
    /// Whether it names files by a pattern, also such as are not there yet. What is the path of a file is that path, also
    /// while no file is there.
    private(set) var isPattern: Bool

    init(_ text: String) {
      self.text = text
      isPattern = text.contains { "*?[".contains($0) } && access(text, F_OK) != 0
    }

    var path: String { absolute(text) }

    /// Whether a pattern would match a path.
    func matches(_ path: String, in folder: String = workingDirectory) -> Bool {
      guard isPattern else { return false }
      // The working directory is a name, whatever characters it has.
      let folder = folder.map { "*?[\\".contains($0) ? "\\\($0)" : String($0) }.joined()
      let pattern = text.hasPrefix("/") ? text : folder + "/" + text
      return fnmatch(absolute(pattern), path, FNM_PATHNAME | FNM_PERIOD) == 0
    }

    /// - Parameter known: paths of files that were read.
    mutating func resume(knowing known: Set<String>) { if known.contains(path) { isPattern = false } }
  }

  /// The files that paths and glob patterns name: patterns in the order given, the matches of each in natural order or in
  /// that of their bytes; absolute paths.
  /// - Parameters:
  ///   - order: by time the order is natural here: times are not in the names.
  ///   - known: paths that were matched before.
  ///   - mayMatchNothing: whether files of a pattern may be on their way, amid a rotation.
  /// - Throws: `OperatingError` where a pattern matches nothing or a file is named twice.
  static func expand(
    _ names: [Name], in order: FileOrder = .natural, knowing known: Set<String> = [],
    mayMatchNothing: Bool = false
  ) throws(OperatingError) -> [String] {
    var paths: [String] = []
    var seen: Set<String> = []
    for name in names {
      let matches = try matches(of: name, in: order, known)
      if matches.isEmpty, !mayMatchNothing {
        throw OperatingError(
          .input, "no file matches \(name.text). Check --source (the directory: \(workingDirectory))")
      }
      for path in matches {
        let path = absolute(path)
        guard seen.insert(path).inserted else {
          throw OperatingError(
            .configuration, "the source names \(path) twice. Expected each file once, or its events would count twice")
        }
        paths.append(path)
      }
    }
    guard !paths.isEmpty || mayMatchNothing else {
      throw OperatingError(.configuration, "no file is named. Check --source")
    }
    return paths
  }

  /// The files that are there now, in no order, without those that a pattern may match later.
  static func matches(_ names: [Name]) throws(OperatingError) -> [String] {
    var paths: [String] = []
    for name in names {
      if name.isPattern {
        paths += try expanded(name.text).map(absolute)
      } else {
        paths.append(name.path)
      }
    }
    return paths
  }

  private static func matches(
    of name: Name, in order: FileOrder, _ known: Set<String>
  ) throws(OperatingError) -> [String] {
    guard name.isPattern else { return [name.text] }
    // What a followed list passes over is none of its files at a start either: folders, pipes, links that lead nowhere.
    let paths = try expanded(name.text).filter { (try? FileStatus.of($0))?.isRegular ?? false }
    return order == .name
      ? paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      : NaturalKey.sorted(paths.map(absolute), beside: known)
  }

  /// What a pattern matches, in no order.
  private static func expanded(_ pattern: String) throws(OperatingError) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    let code = glob(pattern, GLOB_NOSORT | GLOB_ERR, nil, &found)
    if code == GLOB_NOMATCH { return [] }
    guard code == 0 else {
      throw OperatingError(.input, "\(pattern) cannot be expanded: a directory in it cannot be read")
    }
    var paths: [String] = []
    for index in 0..<Int(found.gl_pathc) {
      if let path = found.gl_pathv[index] { paths.append(String(cString: path)) }
    }
    return paths
  }

  static var workingDirectory: String { FileManager.default.currentDirectoryPath }

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

  /// The name that tells the format of a file's contents: without the extension of a compression, and without the number or
  /// date that a rotation put behind it.
  static func contentName(_ path: String) -> String {
    let name = Compression.contentName(path)
    let suffix = name.reversed().prefix { $0.isASCII && ($0.isNumber || ".-_".contains($0)) }
    guard let first = suffix.last, ".-_".contains(first), suffix.contains(where: \.isNumber) else { return name }
    return String(name.dropLast(suffix.count))
  }

  static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}
