// The input of the crash test: simulated events in three files, which can also come into being bit by bit.

import Foundation

/// Three files of unequal length: the last record of a file and the first of the next are where positions change their
/// segment.
struct CrashInput {
  /// The files in order.
  let paths: [String]
  private let whole: Data
  /// Where the files end in `whole`.
  private let ends: [Int]
  private var written = 0

  /// Simulates events; no file is there yet.
  init(_ command: CrashCommand, simulated: String, events: Int, folder: String) throws {
    let path = folder + "/events.ndjson"
    try command.run(["simulate", simulated, "--events", String(events), "--seed", "11", "--to", path])
    whole = try Data(contentsOf: URL(fileURLWithPath: path))
    try FileManager.default.removeItem(atPath: path)
    ends = [0.3, 0.37, 1].map { [whole] in Self.lineEnd(at: $0, in: whole) }
    paths = (1...3).map { "\(folder)/events-\($0).ndjson" }
  }

  /// Writes the events up to a share of all bytes, appending to the file that was the last one.
  /// - Returns: the files that are there now.
  mutating func grow(to share: Double) throws -> [String] {
    let goal = Self.lineEnd(at: share, in: whole)
    var start = 0
    var present: [String] = []
    for (path, end) in zip(paths, ends) where start < goal {
      if !FileManager.default.fileExists(atPath: path) { try Data().write(to: URL(fileURLWithPath: path)) }
      let added = max(start, written)..<max(min(end, goal), max(start, written))
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      defer { try? handle.close() }
      try handle.seekToEnd()
      try handle.write(contentsOf: whole[added])
      present.append(path)
      start = end
    }
    written = goal
    return present
  }

  private static func lineEnd(at share: Double, in data: Data) -> Int {
    if share == 1 { return data.count }
    return (data[Int(Double(data.count) * share)...].firstIndex(of: 0x0A) ?? data.count - 1) + 1
  }
}
