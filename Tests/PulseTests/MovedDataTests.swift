// A data directory that is moved, removed or shared under another name while a run has it: what was committed stays, and
// nothing is written to whatever its path leads to now.

import Foundation
import TestKit
import Testing

@Suite("Data directories that are moved", .timeLimit(.minutes(15)))
struct MovedDataTests {
  enum Change: CaseIterable {
    case moved, removed, databaseRemoved, replaced
  }

  /// A run that follows a file and has stored its first 1,000 events.
  private func following(_ folder: TestFolder) throws -> RunningCommand {
    try folder.write("events.ndjson", Trail.events(0..<1000))
    let running = try Trail.start(folder, "events.ndjson", more: ["--follow", "--checkpoint-interval", "0.05"])
    let began = try poll { try Trail.records(folder) == 1000 }
    #expect(began)
    return running
  }

  @Test("the run ends with a sentence, and what was committed is where it was moved to", arguments: Change.allCases)
  func changed(_ change: Change) throws {
    let folder = try Trail.folder()
    let running = try following(folder)
    let data = folder / "data"
    switch change {
    case .moved: try FileManager.default.moveItem(atPath: data, toPath: folder / "elsewhere")
    case .removed: try FileManager.default.removeItem(atPath: data)
    case .databaseRemoved: try FileManager.default.removeItem(atPath: data + "/pulse.sqlite")
    case .replaced:
      try FileManager.default.moveItem(atPath: data, toPath: folder / "elsewhere")
      try folder.write("other.ndjson", Trail.events(0..<500))
      try Trail.run(folder, "other.ndjson").expect(0)
    }
    let other = change == .replaced ? try Stored(data) : nil
    try folder.append("events.ndjson", Trail.events(1000..<3000))
    let outcome = try running.wait()
    outcome.expect(4, saying: "is not what this run began with", "Nothing more is written")
    if let other {
      #expect(try Stored(data) == other)
      try PulseCommand.run("check", "--data", data).expect(0)
    }
    if change == .moved || change == .removed { #expect(!FileManager.default.fileExists(atPath: data + "/history")) }
    if change == .moved || change == .replaced {
      try Trail.run(folder, "events.ndjson", data: "elsewhere").expect(0)
      let differences = try Stored(folder / "elsewhere").differences(from: Trail.undisturbed(Trail.events(0..<3000)))
      #expect(differences == [])
      try PulseCommand.run("check", "--data", folder / "elsewhere").expect(0)
    }
  }

  @Test(
    "a database under another name is refused: the lock of its directory does not cover it", arguments: [true, false])
  func otherName(isSymbolic: Bool) throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try Trail.run(folder, "events.ndjson").expect(0)
    let stored = try Stored(folder / "data")
    try FileManager.default.createDirectory(atPath: folder / "second", withIntermediateDirectories: true)
    let (database, name) = (folder / "data/pulse.sqlite", folder / "second/pulse.sqlite")
    if isSymbolic {
      try FileManager.default.createSymbolicLink(atPath: name, withDestinationPath: database)
    } else {
      try FileManager.default.linkItem(atPath: database, toPath: name)
    }
    try Trail.run(folder, "events.ndjson", data: "second").expect(4, saying: "expected a file of its own")
    #expect(try Stored(folder / "data") == stored)
    // A directory under another name is the same directory.
    try FileManager.default.removeItem(atPath: name)
    try FileManager.default.createSymbolicLink(atPath: folder / "third", withDestinationPath: folder / "data")
    try Trail.run(folder, "events.ndjson", data: "third").expect(0)
  }
}
