// Damaged files and refusing systems: every one is an error that says what happened, never a crash and never an
// endless read.

import Connectors
import Detection
import Foundation
import TestKit
import Testing

@Suite("Arrow: damage")
struct ArrowDamageTests {
  /// Reads a file to its end, whatever it holds; the rows read, or the error.
  private func readable(_ path: String) -> Result<Int, ColumnarFileError> {
    do throws(ColumnarFileError) {
      let reader = try ColumnarFileReader(path: path)
      while let batch = try reader.nextBatch(maxRows: 300) {
        // Touches every string, so that wrong offsets would be met here.
        for named in batch { _ = named.column == named.column }
      }
      return .success(reader.position)
    } catch {
      return .failure(error)
    }
  }

  private func samples(in folder: String) throws -> [String] {
    var generator = SeededRandom(seed: 23)
    let columns = generator.columns(rows: 700)
    try ShardEncoder(names: testNames, codec: .none).write(columns, to: folder + "/none.arrow")
    try ShardEncoder(names: testNames, codec: .lz4).write(columns, to: folder + "/lz4.arrow")
    try ShardEncoder(names: testNames, codec: .zstd(level: 1)).write(columns, to: folder + "/zstd.arrow")
    try ShardEncoder(names: testNames, codec: .zstd(level: 1)).writeParquet(columns, to: folder + "/zstd.parquet")
    try ShardEncoder(names: testNames, codec: .none).writeParquet(columns, to: folder + "/none.parquet")
    return ["none.arrow", "lz4.arrow", "zstd.arrow", "zstd.parquet", "none.parquet"].map { "\(folder)/\($0)" }
  }

  @Test("a file cut short is refused, wherever it is cut")
  func truncation() throws {
    try withTemporaryFolder { folder in
      for path in try samples(in: folder) {
        #expect(readable(path) == .success(700))
        let whole = try Data(contentsOf: URL(filePath: path))
        let cut = folder + "/cut"
        for length in Array(0..<16) + Array(stride(from: 16, to: whole.count, by: whole.count / 60)) + [whole.count - 1]
        {
          try whole.prefix(length).write(to: URL(filePath: cut))
          guard case .failure(let error) = readable(cut) else {
            Issue.record("\(path) cut to \(length) bytes was read")
            continue
          }
          #expect(error.reason == .corrupt && !error.message.isEmpty, "\(path) cut to \(length): \(error)")
        }
      }
    }
  }

  @Test("a flipped bit is an error or other data, never a crash")
  func bitFlips() throws {
    try withTemporaryFolder { folder in
      var generator = SeededRandom(seed: 29)
      for path in try samples(in: folder) {
        let whole = try Data(contentsOf: URL(filePath: path))
        var refused = 0
        for _ in 0..<200 {
          var damaged = whole
          // Half of the flips go to the metadata at the end, where they do the most harm.
          let reach = generator.next() % 2 == 0 ? whole.count : min(whole.count, 1_500)
          damaged[whole.count - 1 - Int(generator.next() % UInt64(reach))] ^= 1 << UInt8(generator.next() % 8)
          try damaged.write(to: URL(filePath: folder + "/flipped"))
          if case .failure(let error) = readable(folder + "/flipped") {
            refused += 1
            #expect(error.reason != .defect, "\(error)")
          }
        }
        #expect(refused > 0)
      }
    }
  }

  @Test("a damaged tail is refused")
  func tails() throws {
    var generator = SeededRandom(seed: 31)
    let bytes = try ShardEncoder(names: testNames).encodeTail(generator.columns(rows: 200))
    for length in stride(from: 0, to: bytes.count - 16, by: max(1, bytes.count / 100)) {
      #expect(throws: ColumnarFileError.self) { try ShardEncoder.decodeTail(Array(bytes.prefix(length))) }
    }
    for _ in 0..<300 {
      var damaged = bytes
      damaged[Int(generator.next() % UInt64(bytes.count))] ^= 1 << UInt8(generator.next() % 8)
      _ = try? ShardEncoder.decodeTail(damaged)
    }
  }

  @Test("what is not a columnar file is named as such")
  func otherFiles() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/other"
      for (bytes, reason, words) in [
        ("", ColumnarFileError.Reason.corrupt, "empty"), ("{\"a\": 1}\n", .corrupt, "neither Parquet nor Arrow"),
        ("FEA1....", .unsupported, "Feather V1"), ("PARE....", .unsupported, "encrypted"),
      ] {
        try Data(bytes.utf8).write(to: URL(filePath: path))
        let error = #expect(throws: ColumnarFileError.self) { try ColumnarFileReader(path: path) }
        #expect(error?.reason == reason)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
      }
      let error = #expect(throws: ColumnarFileError.self) { try ColumnarFileReader(path: folder + "/absent") }
      #expect(error?.reason == .system(ENOENT))
    }
  }

  @Test(
    "a full disk is reported as such",
    .enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "this system has no /dev/full"))
  func fullDisk() throws {
    var generator = SeededRandom(seed: 37)
    // More than every buffer on the way, and less than any of them.
    for rows in [1, 100_000] {
      let columns = [Column(.int((0..<rows).map { _ in Int64(bitPattern: generator.next()) }))]
      let encoder = ShardEncoder(names: ["i"])
      for write in [encoder.write, encoder.writeParquet] {
        let error = #expect(throws: ColumnarFileError.self) { try write(columns, "/dev/full") }
        #expect(error?.reason == .system(ENOSPC))
        #expect(error?.message == "No space left on device")
      }
    }
    #expect(FileManager.default.fileExists(atPath: "/dev/full"))
  }

  @Test("a folder that is missing is reported, and nothing is left behind")
  func missingFolder() throws {
    try withTemporaryFolder { folder in
      let error = #expect(throws: ColumnarFileError.self) {
        try ShardEncoder(names: ["i"]).write([Column(.int([1]))], to: folder + "/absent/shard.arrow")
      }
      #expect(error?.reason == .system(ENOENT))
      let left = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(left.isEmpty)
    }
  }
}
