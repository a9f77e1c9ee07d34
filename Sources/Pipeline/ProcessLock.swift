// A lock that at most one process has, and that is free again when the process ends, however it ends.

import Detection
import Foundation

/// An advisory lock on a file, and on a folder where one is given, held until it is released. A file can be removed or
/// replaced, and then others lock another one; a folder that is renamed takes its lock with it.
public final class ProcessLock: Sendable {
  /// That another process has the lock.
  public struct Taken: Error {
    /// Its number, as it wrote it or as the system says; "?" where neither is known.
    public let holder: String
  }

  private let descriptors: [Int32]

  /// Takes the lock without waiting.
  /// - Parameters:
  ///   - path: a file that is made where there is none; its folder is there.
  ///   - folder: is locked as well. Where the file system cannot lock a folder (some network file systems), the file
  ///     alone is.
  /// - Throws: `Taken`, or `OperatingError` where the file cannot be opened.
  public init(path: String, folder: String? = nil) throws {
    var descriptors: [Int32] = []
    do {
      if let folder {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor >= 0 {
          descriptors.append(descriptor)
          try Self.lock(descriptor, path, isRequired: false)
        } else if errno != EACCES {
          // A folder may be written and not listed; whatever else is wrong would be wrong with the file as well.
          throw OperatingError(
            .store, "the folder \(folder) cannot be opened to lock it: \(String(cString: strerror(errno)))")
        }
      }
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw OperatingError(.store, "the lock \(path) cannot be opened: \(String(cString: strerror(errno)))")
      }
      descriptors.append(descriptor)
      try Self.lock(descriptor, path, isRequired: true)
      let text = Array(String(getpid()).utf8)
      ftruncate(descriptor, 0)
      _ = pwrite(descriptor, text, text.count, 0)
    } catch {
      for descriptor in descriptors { close(descriptor) }
      throw error
    }
    self.descriptors = descriptors
  }

  deinit { for descriptor in descriptors { close(descriptor) } }

  private static func lock(_ descriptor: Int32, _ path: String, isRequired: Bool) throws {
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      switch Refusal(code) {
      case .interrupted: continue
      case .taken: throw Taken(holder: systemHolder(of: descriptor) ?? writtenHolder(in: path) ?? "?")
      case .impossible where !isRequired: return
      case .impossible: throw Refusal.error(code, path)
      }
    }
  }

  /// Why there is no lock. Only one answer of the system says that somebody else has it.
  enum Refusal: Equatable {
    case taken, interrupted
    /// The file system has no locks, its server does not answer for them (`ENOLCK`), or there is no memory for one.
    case impossible

    init(_ code: Int32) {
      switch code {
      case EWOULDBLOCK: self = .taken
      case EINTR: self = .interrupted
      default: self = .impossible
      }
    }

    static func error(_ code: Int32, _ path: String) -> OperatingError {
      let reason = String(cString: strerror(code))
      return OperatingError(
        .store,
        code == ENOMEM
          ? "the lock \(path) cannot be taken: \(reason)"
          : "the lock \(path) cannot be taken: \(reason). No other process was found to have it; its file system does not "
            + "lock files, as some network file systems do not, or not without their lock service. Choose a folder on a local "
            + "disk, or mount it with locks")
    }
  }

  /// The process that has a lock on a folder, without a try at it; nil where none has, or the system does not say.
  public static func holder(ofFolder path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return systemHolder(of: descriptor)
  }

  /// The process that says in the file that it has the lock.
  private static func writtenHolder(in path: String) -> String? {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
    let number = text.trimmingCharacters(in: .whitespacesAndNewlines)
    return number.isEmpty || !number.allSatisfy(\.isNumber) ? nil : number
  }

  /// The number of a device as `stat` has it, from its parts (`makedev` of glibc).
  private static func device(_ major: UInt64, _ minor: UInt64) -> UInt64 {
    (major & 0xFFFF_F000) << 32 | (major & 0xFFF) << 8 | (minor & 0xFFFF_FF00) << 12 | minor & 0xFF
  }

  /// The process that has a lock on a file, as Linux says: in `/proc/locks` a line is
  /// `1: FLOCK ADVISORY WRITE 4711 fe:01:1835028 0 EOF`, with process, device and inode.
  private static func systemHolder(of descriptor: Int32) -> String? {
    var status = stat()
    guard fstat(descriptor, &status) == 0, let locks = try? String(contentsOfFile: "/proc/locks", encoding: .utf8)
    else {
      return nil
    }
    for line in locks.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 5, words[1] == "FLOCK", words[3] == "WRITE" else { continue }
      let file = words[5].split(separator: ":")
      // Two devices may have the same inodes. A process of another namespace is 0.
      guard file.count == 3, let major = UInt64(file[0], radix: 16), let minor = UInt64(file[1], radix: 16),
        file[2] == "\(status.st_ino)", device(major, minor) == UInt64(status.st_dev), words[4] != "0", words[4] != "-1"
      else { continue }
      return String(words[4])
    }
    return nil
  }
}
