// Folders that tests write into.

public import Foundation

/// A folder of its own for a test, gone when the last reference is.
public final class TestFolder: Sendable {
  public let path: String

  /// - Throws: where the folder cannot be made.
  public init() throws {
    path = FileManager.default.temporaryDirectory.path + "/pulse-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of something in the folder.
  public static func / (folder: TestFolder, name: String) -> String { folder.path + "/" + name }

  /// Makes a file, and the folders it lies in.
  /// - Returns: its path.
  @discardableResult
  public func write(_ name: String, _ text: String) throws -> String { try write(name, Data(text.utf8)) }

  /// The same of bytes.
  @discardableResult
  public func write(_ name: String, _ data: Data) throws -> String {
    let url = URL(fileURLWithPath: self / name)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try data.write(to: url)
    return self / name
  }

  /// Adds to the end of a file, as a program that logs does.
  public func append(_ name: String, _ text: String) throws {
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: self / name))
    defer { try? handle.close() }
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(text.utf8))
  }

  /// The text of a file; empty where there is none.
  public func read(_ name: String) -> String {
    String(decoding: FileManager.default.contents(atPath: self / name) ?? Data(), as: UTF8.self)
  }

  /// Gives a file another name, in place of one that has it.
  public func rename(_ name: String, to other: String) throws {
    guard Foundation.rename(self / name, self / other) == 0 else {
      throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: self / name])
    }
  }
}

/// Calls `body` with the path of a folder that is gone afterwards.
public func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = try TestFolder()
  return try withExtendedLifetime(folder) { try body(folder.path) }
}
