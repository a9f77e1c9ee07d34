// The beginning of a file, for a first look at what it holds: decompressed where it is compressed.

public import Detection
import Foundation
import Pipeline

/// The format of a file and, of one of text, its first bytes.
public struct FileSample: Sendable {
  public let format: FileFormat
  /// Whole lines, unless the first one is longer than what was asked for; none of a columnar file.
  public let bytes: [UInt8]

  /// Reads a file, or a pipe by its path.
  /// - Parameter count: bytes of contents that are looked at, at most.
  /// - Throws: `OperatingError` where the file cannot be read, holds what cannot be meant, or is compressed and not one line
  ///   of it can be read.
  public init(of path: String, upTo count: Int) throws(OperatingError) {
    let read: [UInt8]
    var problem: OperatingError?
    if let status = try FileStatus.of(path), !status.isRegular, !status.isDirectory {
      read = try Self.stream(path, upTo: count)
      format = try FileFormat.detect(Array(read.prefix(16)), name: path)
    } else {
      let file = try OpenFile(path)
      format = try FileLocator.format(of: file, expected: nil)
      read = format.isColumnar ? [] : try file.bytes(count)
      problem = file.problem
    }
    guard read.count >= count || problem != nil else {
      bytes = read
      return
    }
    // An event that is cut is none.
    let lineEnd = read.lastIndex(of: 0x0A)
    if let problem, lineEnd == nil { throw problem }
    bytes = Array(read[...(lineEnd ?? read.count - 1)])
  }

  /// The name of what a file holds: without its folder, and the extensions of a compression and of a format.
  public static func stem(of path: String) -> String {
    let name = Compression.contentName(FileList.name(of: path))
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return name }
    return String(name[..<dot])
  }

  private static func stream(_ path: String, upTo count: Int) throws(OperatingError) -> [UInt8] {
    guard let handle = FileHandle(forReadingAtPath: path) else {
      throw OperatingError(.input, "\(path) cannot be read: \(StopSignal.reason(errno))")
    }
    do { return Array(try handle.read(upToCount: count) ?? Data()) } catch {
      throw OperatingError(.input, "\(path) cannot be read: \(error)")
    }
  }
}
