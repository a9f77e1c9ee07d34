// What the registry does to files: everything appears under its final name whole and synced, or not at all, and one
// writer at a time is at work.

import Detection
import Foundation
import Pipeline

/// Reading and writing below the folder of all models.
enum RegistryFiles {
  /// Runs `body` while no other process or thread writes below the folder. The lock ends with the process.
  /// - Throws: `OperatingError` of kind `store` where the folder cannot be made or written to.
  static func locked<Value>(_ folder: String, _ body: () throws -> Value) throws -> Value {
    try makeFolder(folder)
    let path = folder + "/.lock"
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw trouble("the lock \(path) cannot be opened") }
    defer { close(descriptor) }
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else { throw trouble("the lock \(path) cannot be taken") }
    }
    return try body()
  }

  /// Makes a folder and those above it, durably.
  static func makeFolder(_ path: String) throws {
    if isFolder(path) { return }
    let parent = (path as NSString).deletingLastPathComponent
    if !parent.isEmpty, parent != path { try makeFolder(parent) }
    guard mkdir(path, 0o755) == 0 || errno == EEXIST && isFolder(path) else {
      throw trouble("the folder \(path) cannot be made")
    }
    if !parent.isEmpty { try sync(folder: parent) }
  }

  static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
  }

  /// Writes a new file to the disk.
  static func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw trouble("\(path) cannot be written") }
    defer { close(descriptor) }
    var rest = bytes[...]
    while !rest.isEmpty {
      // SAFETY: the pointer is only used during the call, within the bytes.
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw trouble("\(path) cannot be written")
      }
      rest = rest.dropFirst(count)
    }
    guard fsync(descriptor) == 0 else { throw trouble("\(path) cannot be written") }
  }

  /// Writes a file in place of another: readers see the one or the other.
  static func replace(_ path: String, with bytes: [UInt8]) throws {
    let folder = (path as NSString).deletingLastPathComponent
    let temporary = folder + "/." + (path as NSString).lastPathComponent + ".\(getpid())"
    do {
      try write(bytes, to: temporary)
      try move(temporary, to: path)
    } catch {
      unlink(temporary)
      throw error
    }
  }

  /// Makes a folder of files appear under its name, durably.
  static func publish(_ files: [(name: String, bytes: [UInt8])], as path: String, temporary: String) throws {
    do {
      try makeFolder(temporary)
      for file in files { try write(file.bytes, to: temporary + "/" + file.name) }
      try sync(folder: temporary)
      try move(temporary, to: path)
    } catch {
      try? FileManager.default.removeItem(atPath: temporary)
      throw error
    }
  }

  /// Gives a file or folder another name in the same folder, durably.
  static func move(_ path: String, to target: String) throws {
    guard rename(path, target) == 0 else { throw trouble("\(path) cannot be renamed to \(target)") }
    try sync(folder: (target as NSString).deletingLastPathComponent)
  }

  static func sync(folder: String) throws {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw trouble("the folder \(folder) cannot be opened") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw trouble("the folder \(folder) cannot be synced") }
  }

  /// A file's bytes; nil where there is no file. What is opened is what is looked at: a file that is exchanged or grows
  /// meanwhile gives no more than `limit` bytes, and a pipe is not waited for.
  /// - Throws: `OperatingError` of kind `store` where it cannot be read or is larger than `limit`.
  static func read(_ path: String, limit: Int) throws -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw trouble("\(path) cannot be read")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw trouble("\(path) cannot be read") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw OperatingError(.store, "\(path) is not a file") }
    let size = Int(status.st_size)
    guard size <= limit else {
      throw OperatingError(.store, "\(path) has \(size) bytes, at most \(limit) were expected")
    }
    var failure: OperatingError?
    // SAFETY: `read` writes at most the rest of the buffer, and as many bytes as it says count as initialized.
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let got = Foundation.read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
        if got < 0, errno == EINTR { continue }
        if got < 0 { failure = trouble("\(path) cannot be read") }
        if got <= 0 { return }
        count += got
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Names in a folder, sorted; none where there is no folder.
  static func names(in folder: String) throws -> [String] {
    guard isFolder(folder) else { return [] }
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    } catch {
      throw OperatingError(.store, "the folder \(folder) cannot be read: \(systemReason(error))")
    }
  }

  /// The error of the call that failed just now.
  private static func trouble(_ what: String) -> OperatingError {
    let reason = String(cString: strerror(errno))
    return OperatingError(.store, "\(what): \(reason)")
  }
}
