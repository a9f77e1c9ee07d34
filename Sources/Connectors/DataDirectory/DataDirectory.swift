// The data directory: where the store, the history and the models of a run lie, and the lock that keeps a second writer
// out. Invariant: a file under a shard's final name belongs to a committed checkpoint.

import Detection
import Foundation
import Pipeline

/// Paths below `--data` and the operations on them.
public struct DataDirectory: Sendable, Hashable {
  public let path: String

  public init(path: String) { self.path = path }

  /// The directory and the database in it, as the file system knows them.
  struct Identity: Sendable, Equatable {
    var folder: FileIdentity
    /// Nil before there is one.
    var database: FileIdentity?
  }

  public var databasePath: String { path + "/pulse.sqlite" }
  /// The write-ahead log of the store, which a run that ended in order leaves empty or takes away.
  var logPath: String { databasePath + "-wal" }
  var lockPath: String { path + "/pulse.lock" }
  /// Where the models of all use cases lie.
  public var modelsPath: String { path + "/models" }

  /// Whether a store is there.
  public var exists: Bool { FileManager.default.fileExists(atPath: databasePath) }

  /// Whether a run of some process has the directory, as far as the system says.
  public var isInUse: Bool { ProcessLock.holder(ofFolder: path) != nil }

  /// Whether this process could write here: neither permissions nor a read-only file system forbid it.
  var isWritable: Bool { access(path, W_OK) == 0 }

  /// Whether everything that was committed is in the store's file.
  var hasEmptyLog: Bool {
    let attributes = try? FileManager.default.attributesOfItem(atPath: logPath)
    return (attributes?[.size] as? NSNumber)?.intValue ?? 0 == 0
  }

  /// Keeps a second writer out, whatever happens to the files in the directory: the lock is on the directory itself. The
  /// lock file says who has it, and keeps out earlier versions of the program, which lock that alone.
  /// - Parameter patience: how long another process may have it before it is said to be in use. One that makes the tables
  ///   has it for a moment, and begins together with a run where both are started together.
  /// - Throws: `OperatingError` naming the process that has the directory.
  func lock(patience: Duration = .zero) throws -> ProcessLock {
    let end = ContinuousClock.now + patience
    while true {
      do { return try ProcessLock(path: lockPath, folder: path) } catch let taken as ProcessLock.Taken {
        guard ContinuousClock.now < end else {
          throw OperatingError(
            .store,
            "the data directory \(path) is in use by process \(taken.holder), and an embedded store has one writer. Stop it, or "
              + "choose another --data")
        }
        Thread.sleep(forTimeInterval: 0.01)
      }
    }
  }

  /// What the path leads to now; nil where there is nothing.
  func identity() throws -> Identity? {
    guard let folder = try FileStatus.of(path) else { return nil }
    return Identity(folder: folder.identity, database: try FileStatus.of(databasePath)?.identity)
  }

  /// Whether the path leads to what it led to at the beginning.
  func isStill(_ known: Identity?) throws -> Bool {
    guard let known else { return true }
    let now = try identity()
    return now?.folder == known.folder && (known.database == nil || now?.database == known.database)
  }

  /// Refuses to go on where the path leads to something else than it did: the directory was moved, removed or replaced
  /// while it was in use, and what is written to the path would not belong to what is held open.
  /// - Parameter known: what it led to at the beginning.
  func expect(_ known: Identity?) throws {
    if try isStill(known) { return }
    let what = try identity()?.folder == known?.folder ? "its database" : "it"
    throw OperatingError(
      .store,
      "the data directory \(path) is not what this run began with: \(what) was moved, removed or replaced meanwhile. "
        + "Nothing more is written. What was committed is where it was moved to; run again with that as --data")
  }

  /// Files of another name, or of several, are none that the lock on the directory covers.
  func checkDatabaseFile() throws {
    var status = stat()
    guard lstat(databasePath, &status) == 0 else { return }
    let file = FileStatus(status)
    guard file.isRegular, file.links == 1 else {
      throw OperatingError(
        .store,
        "the store \(databasePath) is \(file.isRegular ? "a file with \(file.links) names" : "no regular file"): "
          + "expected a file of its own, or another run could write to it under another name. Give --data the directory "
          + "that the file lies in, or copy it")
    }
  }

  func create() throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw OperatingError(
        .store, "the data directory \(path) cannot be created: \(systemReason(error)). Choose another --data")
    }
    guard isWritable else {
      throw OperatingError(
        .store,
        "the data directory \(path) is not writable. Give this user the right to write, or choose another --data")
    }
  }

  /// Whether there is a file of a path relative to the directory.
  func has(_ path: String) -> Bool { access(self.path + "/" + path, F_OK) == 0 }

  /// Gives shards of a committed checkpoint their final names. Repeating it is harmless.
  /// - Parameter shards: their paths relative to the directory.
  func publish(_ shards: [(temporary: String, final: String)]) throws {
    var folders: Set<String> = []
    for shard in shards {
      let (temporary, final) = (path + "/" + shard.temporary, path + "/" + shard.final)
      if rename(temporary, final) == 0 {
        folders.insert((final as NSString).deletingLastPathComponent)
      } else if errno != ENOENT || access(final, F_OK) != 0 {
        throw OperatingError(
          .store,
          "the history shard \(final) is listed in the store but is not there (\(String(cString: strerror(errno)))): "
            + "restore the file, or start over with --reset")
      }
    }
    for folder in folders { try Self.sync(folder: folder) }
  }

  /// Removes files by their paths relative to the directory, and day folders that are empty then. Missing ones are fine.
  func remove(_ paths: [String]) throws {
    for relative in paths {
      unlink(path + "/" + relative)
      rmdir((path + "/" + relative as NSString).deletingLastPathComponent)
    }
  }

  /// Removes shards of a use case that no checkpoint lists: a crash left them between writing and committing. Files with
  /// names of another form are none of ours.
  /// - Parameter listed: paths of all shards of the use case, whatever their source.
  func removeUnlisted(useCase: String, listed: Set<String>) throws {
    let root = "history/" + useCase
    for day in (try? FileManager.default.contentsOfDirectory(atPath: path + "/" + root)) ?? [] {
      for file in (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(root)/\(day)")) ?? [] {
        let relative = "\(root)/\(day)/\(file)"
        let isShard = file.wholeMatch(of: /.+-[0-9]+-[0-9]{6,}\.arrow((\.[0-9]+)?\.tmp)?/) != nil
        if isShard && !listed.contains(relative) { try remove([relative]) }
      }
    }
  }

  /// Makes renames in a folder durable.
  static func sync(folder: String) throws {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else {
      throw OperatingError(.store, "syncing the folder \(folder) failed: \(String(cString: strerror(errno)))")
    }
  }
}
