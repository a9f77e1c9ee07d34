// The lock of a data directory: who has it is said, and what is no lock is not taken for one.

import Detection
import Foundation
import TestKit
import Testing

@testable import Pipeline

@Suite("Process lock")
struct ProcessLockTests {
  @Test("a lock that is held is refused with its holder, by the file and by the folder")
  func taken() throws {
    let folder = try TestFolder()
    var lock: ProcessLock? = try ProcessLock(path: folder / "lock", folder: folder.path)
    for place in [folder.path, nil] {
      let taken = #expect(throws: ProcessLock.Taken.self) { try ProcessLock(path: folder / "lock", folder: place) }
      #expect(taken?.holder == "\(getpid())")
    }
    // The file removed, the folder still keeps others out.
    try FileManager.default.removeItem(atPath: folder / "lock")
    #expect(throws: ProcessLock.Taken.self) { try ProcessLock(path: folder / "lock", folder: folder.path) }
    withExtendedLifetime(lock) {}
    lock = nil
    _ = try ProcessLock(path: folder / "lock", folder: folder.path)
  }

  @Test(
    "only one answer of the system says that another process has it",
    arguments: [ENOLCK, EOPNOTSUPP, ENOSYS, EINVAL, EBADF, EIO, ENOMEM, ESTALE])
  func impossible(code: Int32) {
    #expect(ProcessLock.Refusal(code) == .impossible)
    let error = ProcessLock.Refusal.error(code, "/data/pulse.lock")
    #expect(error.kind == .store && error.description.contains("/data/pulse.lock cannot be taken: "))
    #expect(error.description.contains("local disk") == (code != ENOMEM) && !error.description.contains("in use"))
    #expect(ProcessLock.Refusal(EWOULDBLOCK) == .taken && ProcessLock.Refusal(EINTR) == .interrupted)
  }

  @Test("a lock that cannot be opened says why")
  func unopened() throws {
    let folder = try TestFolder()
    for (path, place) in [(folder / "none/lock", nil), (folder / "lock", folder / "none"), (folder.path, nil)] {
      let error = #expect(throws: OperatingError.self) { try ProcessLock(path: path, folder: place) }
      #expect(error?.kind == .store && error?.description.contains("cannot be opened") == true)
    }
  }
}
