// The formats that files are read in, and how a file's own bytes and name tell which one it is.

public import Detection
import Foundation

/// How the records of an input are written.
public enum FileFormat: String, Sendable, Hashable, CaseIterable {
  /// One JSON object a line.
  case ndjson
  /// RFC 4180, separated by commas or another delimiter; the first record names the columns.
  case csv
  case parquet
  /// Arrow IPC, the file format (Feather V2) or a stream.
  case arrow

  /// Whether positions are rows instead of bytes, and only a file can be read.
  var isColumnar: Bool { self == .parquet || self == .arrow }

  /// What a person calls it.
  var title: String {
    switch self {
    case .ndjson: "NDJSON"
    case .csv: "CSV"
    case .parquet: "Parquet"
    case .arrow: "Arrow IPC"
    }
  }

  /// The format of an input that begins with `beginning`: the one asked for, else by content, else by the extension of
  /// `name`, else NDJSON.
  /// - Throws: `OperatingError` where the bytes are of a kind that cannot be meant.
  public static func detect(
    _ beginning: [UInt8], name: String, expected: FileFormat? = nil
  ) throws(OperatingError) -> FileFormat {
    let found = columnar(beginning)
    if let expected, let found, found != expected {
      throw OperatingError(
        .input, "\(name) is a file of the format \(found.title), expected \(expected.title). Correct --format")
    }
    if let found { return found }
    if let compression = compression(beginning) {
      // A stream has no name that a tool could open.
      let isStream = name == Self.streamName
      throw OperatingError(
        .input,
        "\(name) is compressed (\(compression.name)), expected \(isStream ? "NDJSON or CSV" : "NDJSON, CSV, Parquet or Arrow"). "
          + (isStream
            ? "Unpack it on the way: … | \(compression.tool) | pulse run --source - …"
            : "Unpack it, or read it with \(compression.tool) \(name) | pulse run --source - …"))
    }
    if beginning.starts(with: [0xFF, 0xFE]) || beginning.starts(with: [0xFE, 0xFF]) {
      throw OperatingError(.input, "\(name) is encoded in UTF-16, expected UTF-8. Convert it, for example with iconv")
    }
    if let expected { return expected }
    let contents = FileList.contentName(name).lowercased()
    return [".csv", ".tsv"].contains { contents.hasSuffix($0) } ? .csv : .ndjson
  }

  /// What messages call an input that is no file.
  static let streamName = "standard input"

  /// Magic bytes of https://parquet.apache.org/docs/file-format/ and
  /// https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format; a stream begins with a continuation marker.
  private static func columnar(_ beginning: [UInt8]) -> FileFormat? {
    if beginning.starts(with: "PAR1".utf8) { return .parquet }
    if beginning.starts(with: "ARROW1".utf8) { return .arrow }
    return beginning.count >= 8 && beginning.starts(with: [0xFF, 0xFF, 0xFF, 0xFF]) ? .arrow : nil
  }

  /// Magic bytes of RFC 1952, RFC 8878, the xz and the bzip2 formats. Files of all but xz are decompressed as they are
  /// read, so of them this sees what is packed twice, and what comes through a pipe.
  private static func compression(_ beginning: [UInt8]) -> (name: String, tool: String)? {
    if beginning.starts(with: [0x1F, 0x8B]) { return ("gzip", "zcat") }
    if beginning.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return ("Zstandard", "zstdcat") }
    if beginning.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A]) { return ("xz", "xzcat") }
    return beginning.starts(with: "BZh".utf8) ? ("bzip2", "bzcat") : nil
  }
}
