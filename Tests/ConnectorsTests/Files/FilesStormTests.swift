// A file that is rotated in every way, several times between two looks, while runs over it are stopped and resumed.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Storms of rotations", .timeLimit(.minutes(15)))
struct FilesStormTests {
  enum Way: String, CaseIterable, CustomTestStringConvertible {
    case renamed, compressed, copied
    var testDescription: String { rawValue }
  }

  /// Writes numbered lines and rotates.
  private struct Writer {
    let folder: TestFolder
    let way: Way
    var random: SeededRandom
    var count = 0

    mutating func append(_ lines: Int) throws {
      var text = ""
      for _ in 0..<lines {
        text += "\(count) \(UInt64(count) &* 0x9e37_79b9_7f4a_7c15)\n"
        count += 1
      }
      if access(folder / "log", F_OK) != 0 { try folder.write("log", "") }
      try folder.append("log", text)
    }

    func rotate() throws {
      for old in stride(from: 40, through: 1, by: -1) {
        for ending in ["", ".gz"] where access(folder / "log.\(old)\(ending)", F_OK) == 0 {
          try folder.rename("log.\(old)\(ending)", to: "log.\(old + 1)\(ending)")
        }
      }
      if way == .copied {
        try FileManager.default.copyItem(atPath: folder / "log", toPath: folder / "log.1")
        try #require(truncate(folder / "log", 0) == 0)
      } else {
        try folder.rename("log", to: "log.1")
      }
      if way == .compressed, access(folder / "log.2", F_OK) == 0 {
        try pack(folder, "log.2", with: "gzip", keep: false)
      }
    }

    mutating func burst() throws {
      try append(Int.random(in: 1...80, using: &random))
      for _ in 0..<[0, 0, 1, 1, 2, 3].randomElement(using: &random)! {
        try rotate()
        try append(Int.random(in: 1...200, using: &random))
      }
    }
  }

  private static func numbers(_ lines: [String]) -> [Int] {
    lines.map { line in Int(line.prefix { $0 != " " }) ?? -1 }
  }

  private static func source(_ path: String, idle: Duration? = nil) -> FileSource {
    FileSource(
      paths: [path], follow: true, idleTimeout: idle, batchRows: 64, rotationGrace: .milliseconds(20))
  }

  /// What is on record before the first batch is read.
  private static func beginning(of source: FileSource) -> ResumePoint {
    let partition = PartitionID(source: source.name, number: 0)
    var point = ResumePoint(
      position: .start, sourceState: source.checkpointState(of: partition, at: .start), stateEntries: [:])
    for put in source.takeStateChanges(of: partition, at: .start).puts { point.stateEntries[put.key] = put.value }
    return point
  }

  @Test(
    "every line is read once and in order, however a file is rotated and whenever a run stops",
    arguments: Way.allCases, ["log", "log*"])
  func storm(way: Way, pattern: String) async throws {
    for seed in UInt64(1)...2 {
      let folder = try TestFolder()
      var writer = Writer(folder: folder, way: way, random: SeededRandom(seed: seed))
      try writer.append(Int.random(in: 0...300, using: &writer.random))
      var texts: [String] = []
      var point: ResumePoint?
      for run in 0..<7 {
        let source = Self.source(folder / pattern, idle: run == 5 ? .seconds(30) : run == 6 ? .seconds(1) : nil)
        let partition = PartitionID(source: source.name, number: 0)
        try await source.open(resumingAt: point.map { [partition: $0] } ?? [:])
        let first = point ?? Self.beginning(of: source)
        // The last but one reads what is left, and the last finds nothing more.
        let items = run == 5 ? writer.count - texts.count : .max
        async let reading = readOn(source, stored: first.stateEntries, items: items)
        if run < 5 {
          for _ in 0..<Int.random(in: 1...4, using: &writer.random) {
            try writer.burst()
            // The source looks at any moment of a rotation; what is right does not depend on which.
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...120, using: &writer.random)))
          }
          source.stop()
        }
        let found = try await reading
        // A run that is killed goes on at one of its last checkpoints, or where it began.
        let last = run < 5 ? Int.random(in: 0...2, using: &writer.random) : 0
        if run < 6, found.points.count > last {
          let (resumed, count) = found.points[found.points.count - 1 - last]
          point = resumed
          texts += found.texts.prefix(count)
        } else if run < 5 {
          point = first
        } else {
          texts += found.texts
        }
        if run > 4 { source.stop() }
        // Nobody looks for a while.
        if run < 4, Bool.random(using: &writer.random) { try writer.burst() }
      }
      let numbers = Self.numbers(texts)
      let wrong = numbers.indices.first { numbers[$0] != $0 } ?? numbers.count
      #expect(
        numbers.elementsEqual(0..<writer.count),
        "seed \(seed): \(numbers.count) of \(writer.count) lines, from \(wrong) on \(numbers[wrong...].prefix(3))")
    }
  }

  @Test(
    "a file that is emptied twice between two looks is read with what was in it in between", arguments: ["log", "log*"])
  func twice(pattern: String) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, way: .copied, random: SeededRandom(seed: 9))
    // Begun empty, with little in it, and with much.
    for lines in [0, 3, 500] {
      try writer.append(lines)
      let source = Self.source(folder / pattern, idle: .seconds(2))
      try await source.open(resumingAt: [:])
      let known = writer.count
      let first = try await readOn(source, items: lines)
      for count in [2, 300, 4] {
        try writer.rotate()
        try writer.append(count)
      }
      let rest = try await readOn(source, stored: first.points.last?.0.stateEntries ?? [:])
      let numbers = Self.numbers(first.texts + rest.texts)
      #expect(numbers.elementsEqual(known - lines..<writer.count), "\(lines) lines at first")
      for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
        try FileManager.default.removeItem(atPath: folder / file)
      }
    }
  }

  @Test(
    "listed files that are rotated before they are read are found, live and at a restart", arguments: [true, false],
    Way.allCases)
  func listed(isLive: Bool, way: Way) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, way: way, random: SeededRandom(seed: 4))
    for count in [1500, 600, 50] {
      if writer.count > 0 { try writer.rotate() }
      try writer.append(count)
    }
    var source = Self.source(folder / "log*", idle: .seconds(2))
    try await source.open(resumingAt: [:])
    let first = try await readOn(source, batches: 1)
    for count in [70, 80] {
      try writer.rotate()
      try writer.append(count)
    }
    let point = try #require(first.points.last?.0)
    if !isLive {
      source.stop()
      source = Self.source(folder / "log*", idle: .seconds(2))
      try await source.open(resumingAt: [PartitionID(source: source.name, number: 0): point])
    }
    let rest = try await readOn(source, stored: point.stateEntries)
    #expect(Self.numbers(first.texts + rest.texts) == Array(0..<writer.count))
  }

  @Test("a listed file that is deleted before it is read is left out of a followed list, with a word")
  func deleted() async throws {
    let folder = try TestFolder()
    for number in 1...3 { try folder.write("part-\(number)", "\(number)\n") }
    let notices = Notices()
    let source = FileSource(
      paths: [folder / "part-*"], follow: true, idleTimeout: .seconds(1), notice: { notices.add($0) })
    try await source.open(resumingAt: [:])
    let first = try await readOn(source, items: 1)
    try FileManager.default.removeItem(atPath: folder / "part-2")
    let rest = try await readOn(source, stored: first.points[0].0.stateEntries)
    #expect(rest.texts == ["3"])
    #expect(notices.all.count == 1 && notices.all[0].contains("part-2 was listed and is gone"), "\(notices.all)")
  }
}
