// Every file of a followed list is rotated like every other: which is the last one changes nothing, nor whether a run
// looks on meanwhile.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Families of files", .timeLimit(.minutes(5)))
struct FilesFamiliesTests {
  enum Way: String, CaseIterable, CustomTestStringConvertible {
    case renamed, packed, copied, packedCopy
    var testDescription: String { rawValue }
  }

  enum Naming: String, CaseIterable, CustomTestStringConvertible {
    case paths, matching, unmatching
    var testDescription: String { rawValue }
  }

  static let names = ["api.log", "job.log", "web.log"]

  /// Writes numbered lines to files of a folder and rotates them.
  struct Writer {
    let folder: TestFolder
    /// How long a line is: whether a beginning has its full length soon.
    var padding = 400
    var count = 0
    /// The files that numbers were written to.
    var families: [Int: String] = [:]

    /// The lines of the last so many numbers.
    mutating func text(_ lines: Int) -> String {
      defer { count += lines }
      return (count..<count + lines).map { "\($0) \(String(repeating: "\($0 % 7)", count: padding))\n" }.joined()
    }

    mutating func append(_ name: String, _ lines: Int) throws {
      for number in count..<count + lines { families[number] = name }
      let text = text(lines)
      if access(folder / name, F_OK) != 0 { try folder.write(name, "") }
      try folder.append(name, text)
    }

    func rotate(_ name: String, _ way: Way) throws {
      for old in stride(from: 9, through: 1, by: -1) {
        for ending in ["", ".gz"] where access(folder / "\(name).\(old)\(ending)", F_OK) == 0 {
          try folder.rename("\(name).\(old)\(ending)", to: "\(name).\(old + 1)\(ending)")
        }
      }
      switch way {
      case .renamed, .packed: try folder.rename(name, to: "\(name).1")
      case .copied, .packedCopy:
        try FileManager.default.copyItem(atPath: folder / name, toPath: folder / "\(name).1")
        try #require(truncate(folder / name, 0) == 0)
      }
      if way == .packed || way == .packedCopy { try pack(folder, "\(name).1", with: "gzip", keep: false) }
    }
  }

  static func paths(_ folder: TestFolder, _ naming: Naming) -> [String] {
    switch naming {
    case .paths: names.map { folder / $0 }
    case .matching: [folder / "*.log*"]
    case .unmatching: [folder / "*.log"]
    }
  }

  static func source(
    _ paths: [String], idle: Duration? = .seconds(1), grace: Duration = .milliseconds(20), batchRows: Int = 64,
    _ notices: Notices = Notices()
  ) -> FileSource {
    FileSource(
      paths: paths, follow: true, idleTimeout: idle, batchRows: batchRows, rotationGrace: grace,
      notice: { notices.add($0) })
  }

  static func numbers(_ texts: [String]) -> [Int] { texts.map { line in Int(line.prefix { $0 != " " }) ?? -1 } }

  /// What is on record when a source has looked, and nothing was read.
  static func looked(_ source: FileSource) async throws -> ResumePoint {
    try await source.open(resumingAt: [:])
    let partition = PartitionID(source: source.name, number: 0)
    var point = ResumePoint(
      position: .start, sourceState: source.checkpointState(of: partition, at: .start), stateEntries: [:])
    for put in source.takeStateChanges(of: partition, at: .start).puts { point.stateEntries[put.key] = put.value }
    source.stop()
    return point
  }

  @Test(
    "a rotation is found wherever its file stands, at a restart", arguments: Way.allCases,
    names.flatMap { name in Naming.allCases.flatMap { naming in [1, 2].map { (name, naming, $0) } } })
  func down(way: Way, kind: (name: String, naming: Naming, rotations: Int)) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    for name in Self.names { try writer.append(name, 15) }
    let paths = Self.paths(folder, kind.naming)
    let first = try await read(Self.source(paths, idle: .milliseconds(200)))
    for _ in 0..<kind.rotations {
      try writer.append(kind.name, 2)
      try writer.rotate(kind.name, way)
    }
    try writer.append(kind.name, 2)
    let notices = Notices()
    let rest = try await read(Self.source(paths, idle: .seconds(3), notices), from: first.points.last?.0)
    #expect(Self.numbers(first.texts + rest.texts) == Array(0..<writer.count), "\(notices.all)")
    // And nothing comes twice.
    let again = try await read(Self.source(paths, idle: .milliseconds(300)), from: rest.points.last?.0)
    #expect(again.items.isEmpty, "\(again.texts.map { $0.prefix(4) })")
  }

  @Test(
    "and while it is followed", arguments: Way.allCases,
    names.flatMap { name in Naming.allCases.flatMap { naming in [1, 2].map { (name, naming, $0) } } })
  func live(way: Way, kind: (name: String, naming: Naming, rotations: Int)) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    for name in Self.names { try writer.append(name, 15) }
    let notices = Notices()
    let source = Self.source(Self.paths(folder, kind.naming), idle: .seconds(120), notices)
    let first = try await read(source, items: 45)
    for _ in 0..<kind.rotations {
      try writer.append(kind.name, 2)
      try writer.rotate(kind.name, way)
    }
    try writer.append(kind.name, 2)
    let rest = try await readOn(
      source, stored: first.points.last?.0.stateEntries ?? [:], items: writer.count - 45)
    source.stop()
    #expect(Self.numbers(first.texts + rest.texts) == Array(0..<writer.count), "\(notices.all)")
    let again = try await read(
      Self.source(Self.paths(folder, kind.naming), idle: .milliseconds(300)), from: rest.points.last?.0)
    #expect(again.items.isEmpty, "\(again.texts.map { $0.prefix(4) })")
  }

  @Test(
    "several families in one folder are rotated while runs stop and go on", arguments: Way.allCases, Naming.allCases)
  func storm(way: Way, naming: Naming) async throws {
    for seed in UInt64(1)...2 {
      let folder = try TestFolder()
      var random = SeededRandom(seed: seed)
      var writer = Writer(folder: folder)
      for name in Self.names { try writer.append(name, 15) }
      var point = try await Self.looked(Self.source(Self.paths(folder, naming)))
      var texts: [String] = []
      for run in 0..<5 {
        let source = Self.source(Self.paths(folder, naming), idle: run == 4 ? .seconds(60) : nil)
        let stored = point.stateEntries
        try await source.open(resumingAt: [PartitionID(source: source.name, number: 0): point])
        let items = run == 4 ? writer.count - texts.count : .max
        async let reading = readOn(source, stored: stored, items: items)
        for _ in 0..<(run == 4 ? 0 : 3) {
          let name = Self.names[Int.random(in: 0..<Self.names.count, using: &random)]
          try writer.append(name, 15)
          for _ in 0..<Int.random(in: 0...2, using: &random) {
            try writer.rotate(name, way)
            try writer.append(name, 15)
          }
          // The source looks at any moment of a rotation, or not at all.
          try await Task.sleep(for: .milliseconds(Int.random(in: 0...150, using: &random)))
        }
        if run < 4 { source.stop() }
        let found = try await reading
        source.stop()
        texts += found.texts
        if let last = found.points.last { point = last.0 }
      }
      let numbers = Self.numbers(texts)
      #expect(numbers.sorted() == Array(0..<writer.count), "seed \(seed)")
      for name in Self.names {
        let own = numbers.filter { writer.families[$0] == name }
        #expect(own == own.sorted(), "seed \(seed), \(name)")
      }
      let again = try await read(Self.source(Self.paths(folder, naming), idle: .milliseconds(500)), from: point)
      #expect(again.items.isEmpty, "seed \(seed): \(again.texts.map { $0.prefix(4) })")
    }
  }

  @Test("short files that are renamed, which begin alike by their header", arguments: names, Naming.allCases)
  func short(name: String, naming: Naming) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, padding: 2)
    for other in Self.names { try folder.write(other, "header\n" + writer.text(2)) }
    let paths = Self.paths(folder, naming)
    let first = try await read(Self.source(paths, idle: .milliseconds(200)))
    for _ in 0..<2 {
      try writer.append(name, 1)
      try writer.rotate(name, .renamed)
      try folder.write(name, "header\n" + writer.text(1))
    }
    let rest = try await read(Self.source(paths), from: first.points.last?.0)
    #expect(Self.numbers(first.texts + rest.texts).filter { $0 >= 0 } == Array(0..<writer.count))
  }

  // MARK: - What was there before

  @Test("what lay beside a file at the first look is not read, however much it is and whatever becomes of it")
  func before() async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, padding: 2)
    for number in 1...140 { try folder.write("app.log.\(number)", "old \(number)\n") }
    try folder.write("app.log", "")
    let point = try await Self.looked(Self.source([folder / "app.log"]))
    for number in stride(from: 140, through: 1, by: -1) {
      try folder.rename("app.log.\(number)", to: "app.log.\(number + 1)")
    }
    try pack(folder, "app.log.3", with: "gzip", keep: false)
    try writer.append("app.log", 3)
    try writer.rotate("app.log", .copied)
    try writer.append("app.log", 3)
    let rest = try await read(Self.source([folder / "app.log"]), from: point)
    #expect(Self.numbers(rest.texts) == Array(0..<6))
  }

  @Test("that a file begins as one that was there before does is no proof that it was", arguments: ["", "header\n"])
  func beginsAlike(header: String) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, padding: 2)
    let old = header.isEmpty ? "0 00\n" : header
    try folder.write("app.log.1", old)
    try folder.write("app.log", "")
    let point = try await Self.looked(Self.source([folder / "app.log"]))
    try folder.write("app.log", header + writer.text(3))
    try folder.rename("app.log.1", to: "app.log.2")
    try writer.rotate("app.log", .renamed)
    try folder.write("app.log", header + writer.text(3))
    let rest = try await read(Self.source([folder / "app.log"]), from: point)
    #expect(Self.numbers(rest.texts).filter { $0 >= 0 } == Array(0..<6))
  }

  @Test("times of change tell nothing: a rotated file may have any", arguments: Naming.allCases)
  func times(naming: Naming) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    for name in Self.names { try writer.append(name, 15) }
    let paths = Self.paths(folder, naming)
    let first = try await read(Self.source(paths, idle: .milliseconds(200)))
    try writer.append("job.log", 2)
    try writer.rotate("job.log", .renamed)
    try writer.append("job.log", 2)
    try writer.rotate("job.log", .renamed)
    try pack(folder, "job.log.2", with: "gzip", keep: false)
    try writer.append("job.log", 2)
    let past = Date(timeIntervalSince1970: 1e9)
    try FileManager.default.setAttributes([.modificationDate: past], ofItemAtPath: folder / "job.log.1")
    let rest = try await read(Self.source(paths), from: first.points.last?.0)
    #expect(Self.numbers(first.texts + rest.texts) == Array(0..<writer.count))
  }

  @Test(
    "an empty file is filled and rotated twice before it is looked at", arguments: [Way.renamed, .copied],
    ["app.log", "app.log*", "a*.log"])
  func empty(way: Way, pattern: String) async throws {
    for other in [nil, "a.log", "azz.log"] {
      let folder = try TestFolder()
      var writer = Writer(folder: folder, padding: 2)
      if let other { try folder.write(other, "-1 other\n") }
      try folder.write("app.log", "")
      let paths = (pattern == "a*.log" || other == nil ? [] : [folder / other!]) + [folder / pattern]
      let point: ResumePoint
      if other == nil {
        point = try await Self.looked(Self.source(paths))
      } else {
        point = try #require(try await read(Self.source(paths, idle: .milliseconds(200))).points.last?.0)
      }
      for turn in 0..<3 {
        if turn > 0 { try writer.rotate("app.log", way) }
        try writer.append("app.log", 3)
      }
      let rest = try await read(Self.source(paths), from: point)
      #expect(Self.numbers(rest.texts) == Array(0..<9), "\(other ?? "alone")")
    }
  }

  @Test("what was found of a file is on record although no record came of it", arguments: ["", "x\n", "0 ha"])
  func nothingRead(held: String) async throws {
    let folder = try TestFolder()
    let path = try folder.write(held == "x\n" ? "log.csv" : "log", held)
    let name = held == "x\n" ? "log.csv" : "log"
    let point = try await Self.looked(Self.source([path]))
    for turn in 0..<3 {
      if turn > 0 {
        if turn > 1 { try folder.rename("\(name).1", to: "\(name).2") }
        try folder.rename(name, to: "\(name).1")
        try folder.write(name, held == "x\n" ? held : "")
      }
      try folder.append(name, turn == 0 && held == "0 ha" ? "lf\n" : "\(turn) whole\n")
    }
    #expect(Self.numbers(try await read(Self.source([path]), from: point).texts) == [0, 1, 2])
  }

  // MARK: - Ends

  @Test("an unfinished line waits at the end of every file, until that is over", arguments: [false, true])
  func unfinished(isRestarted: Bool) async throws {
    let folder = try TestFolder()
    try folder.write("app-20260103.log", "1\n2")
    try FileManager.default.createSymbolicLink(atPath: folder / "app.log", withDestinationPath: "app-20260103.log")
    try folder.write("web.log", "3\n")
    var source = Self.source([folder / "*.log"], idle: .seconds(3), grace: .milliseconds(300))
    let first = try await read(source, items: 2)
    #expect(first.texts == ["1", "3"])
    var stored = first.points.last?.0
    func next(_ count: Int) async throws -> [String] {
      if isRestarted {
        source.stop()
        source = Self.source([folder / "*.log"], idle: .seconds(3), grace: .milliseconds(300))
        let found = try await read(source, from: stored, items: count)
        stored = found.points.last?.0
        return found.texts
      }
      let found = try await readOn(source, stored: stored?.stateEntries ?? [:], items: count)
      stored = found.points.last?.0
      return found.texts
    }
    try folder.append("app-20260103.log", "2\n4\n5")
    #expect(try await next(2) == ["22", "4"])
    // A newer one: the line will not be finished.
    try folder.write("app-20260104.log", "6\n")
    try FileManager.default.removeItem(atPath: folder / "app.log")
    try FileManager.default.createSymbolicLink(atPath: folder / "app.log", withDestinationPath: "app-20260104.log")
    #expect(try await next(2).sorted() == ["5", "6"])
    source.stop()
  }

  @Test("a rotated file is over once there is a newer one, also if that is empty", arguments: ["app.log", "app.log*"])
  func emptySuccessor(pattern: String) async throws {
    let folder = try TestFolder()
    try folder.write("app.log", "1\n2")
    let source = Self.source([folder / pattern], idle: .seconds(20))
    let first = try await read(source, items: 1)
    try folder.rename("app.log", to: "app.log.1")
    try folder.write("app.log", "")
    let rest = try await readOn(source, stored: first.points[0].0.stateEntries, items: 1)
    source.stop()
    #expect(rest.texts == ["2"])
  }

  @Test("what a left file got is read once, wherever a killed run goes on", arguments: ["empty", "link"])
  func grownAndKilled(other: String) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    try writer.append("a.log", 15)
    if other == "empty" {
      try folder.write("b.log", "")
    } else {
      try FileManager.default.linkItem(atPath: folder / "a.log", toPath: folder / "b.log")
    }
    let source = Self.source([folder / "*.log"], idle: .seconds(10), batchRows: 1)
    let first = try await read(source, items: 15)
    async let reading = readOn(source, stored: first.points.last?.0.stateEntries ?? [:], items: 2)
    // Time to leave the first file.
    try await Task.sleep(for: .milliseconds(500))
    try writer.append("a.log", 2)
    let grown = try await reading
    source.stop()
    #expect(Self.numbers(grown.texts) == [15, 16])
    // The list that is on record with the first new row, at each position before it.
    let entries = grown.points[0].0.stateEntries
    for (point, count) in first.points.suffix(3) + [grown.points[0]].map({ ($0.0, $0.items + 15) }) {
      var resumed = point
      resumed.stateEntries = entries
      let rest = try await read(Self.source([folder / "*.log"], idle: .milliseconds(500)), from: resumed)
      #expect(Self.numbers(rest.texts) == Array(count..<17), "\(point.position)")
    }
  }

  @Test("a link that names another file after a kill is no reason to read the first again")
  func repointed() async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    func link(_ name: String) throws {
      try? FileManager.default.removeItem(atPath: folder / "app.log")
      try FileManager.default.createSymbolicLink(atPath: folder / "app.log", withDestinationPath: name)
    }
    try writer.append("app-20260101.log", 300)
    try link("app-20260101.log")
    let source = Self.source([folder / "app*.log"])
    let first = try await read(source, batches: 2)
    source.stop()
    try writer.append("app-20260102.log", 3)
    try link("app-20260102.log")
    let rest = try await read(Self.source([folder / "app*.log"]), from: first.points[1].0)
    #expect(Self.numbers(first.texts + rest.texts) == Array(0..<303))
  }

  @Test(
    "a pattern that matches rotated names alone reads them in the order in which they were written",
    arguments: [("app.log.", "", "app.log.[0-9]"), ("app.", ".log", "app.*.log")])
  func rotatedNames(start: String, end: String, pattern: String) async throws {
    func name(_ number: Int) -> String { "\(start)\(number)\(end)" }
    for isLive in [true, false] {
      let folder = try TestFolder()
      var writer = Writer(folder: folder, padding: 2)
      try writer.append(name(1), 3)
      let source = Self.source([folder / pattern], idle: .seconds(4))
      let first = try await read(source, items: 3)
      if !isLive { source.stop() }
      for _ in 0..<2 {
        for number in stride(from: 3, through: 1, by: -1) where access(folder / name(number), F_OK) == 0 {
          try folder.rename(name(number), to: name(number + 1))
        }
        try writer.append(name(1), 3)
      }
      let stored = first.points[0].0
      let rest =
        isLive
        ? try await readOn(source, stored: stored.stateEntries, items: 6)
        : try await read(Self.source([folder / pattern]), from: stored)
      source.stop()
      #expect(Self.numbers(first.texts + rest.texts) == Array(0..<9), "\(isLive)")
    }
  }

  // MARK: - Bounded runs

  @Test("a bounded run finds the rest in a copy that its pattern matches", arguments: [2, 400])
  func boundedCopy(padding: Int) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, padding: padding)
    try writer.append("app.log", 15)
    let first = try await read(FileSource(paths: [folder / "app.log*"]))
    try writer.append("app.log", 2)
    try writer.rotate("app.log", .copied)
    try writer.append("app.log", 2)
    let rest = try await read(FileSource(paths: [folder / "app.log*"]), from: first.points.last?.0)
    #expect(Self.numbers(first.texts + rest.texts) == Array(0..<19))
  }

  @Test("bounded runs find what has grown and was rotated to a name that another one had")
  func boundedRotations() async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    var texts: [String] = []
    var point: ResumePoint?
    for run in 0..<6 {
      for _ in 0..<(run == 0 ? 0 : run % 3 + 1) {
        try writer.append("app.log", 15)
        try writer.rotate("app.log", .renamed)
        if access(folder / "app.log.2", F_OK) == 0 { try pack(folder, "app.log.2", with: "gzip", keep: false) }
      }
      try writer.append("app.log", 15)
      let found = try await read(FileSource(paths: [folder / "app.log*"]), from: point)
      point = found.points.last?.0
      texts += found.texts
      #expect(Self.numbers(texts) == Array(0..<writer.count), "run \(run)")
    }
  }

  @Test("a bounded run reads a file that was empty, wherever it stands", arguments: ["a.log", "z.log"])
  func boundedEmpty(name: String) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    try folder.write(name, "")
    try writer.append("m.log", 2)
    let first = try await read(FileSource(paths: [folder / "*.log"]))
    try writer.append(name, 2)
    let rest = try await read(FileSource(paths: [folder / "*.log"]), from: first.points.last?.0)
    #expect(Self.numbers(first.texts + rest.texts) == [0, 1, 2, 3])
    #expect(try await read(FileSource(paths: [folder / "*.log"]), from: rest.points.last?.0).items.isEmpty)
  }

  // MARK: - Names

  @Test(
    "numbers in names that no rotation puts there",
    arguments: [
      "worker-1234567.log", "worker-10.0.0.100.log", "worker-202613.log", "worker-20261301.log", "worker.log-123456",
      "worker.log-1234567890123456", "worker-1.10.2.log",
    ])
  func notRotated(name: String) {
    #expect(!RotatedName.isMade("/f/" + name, of: "/f/worker.log"))
    #expect(RotatedName.base(of: "/f/" + name) != "/f/worker.log")
  }

  @Test(
    "names that rotation makes",
    arguments: [
      "worker.log.1", "worker.1.log", "worker.log.old", "worker.log-20260131", "worker-2026-01-31.log",
      "worker.log.2026-01-31-23", "worker-2026-01-31T23:59:59Z.log", "worker.log-1767225600",
      "worker-1767225600123.log",
      "worker.log-2026013123", "worker.log-20260131-2", "worker.log-20260131.1", "worker.log_2026_01_31",
    ])
  func rotated(name: String) {
    #expect(RotatedName.isMade("/f/" + name, of: "/f/worker.log"))
    #expect(RotatedName.base(of: "/f/\(name).gz") == "/f/worker.log")
  }
}
