// One `pulse run` over a file into an empty data directory, and what it said and left behind.

import Foundation
import Workloads

/// Where things are.
struct Places {
  /// The pulse command.
  var pulse: String
  /// The checkout: holds `UseCases/`.
  var root: String
  /// A folder for inputs and results, which is emptied.
  var work: String
  /// A Python with the libraries that are compared with.
  var peersPython: String
}

/// A finished run.
struct PulseRun {
  let command: Command
  /// Everything counted, as JSON with sorted keys.
  let totals: String
  let records: Int
  let classes: [String: Int]
  let anomalies: [String: Int]
  let deadLetters: Int
  /// Bytes of all files in the data directory.
  let stored: Int

  var recordsPerSecond: Double { Double(records) / command.seconds }

  /// - Parameters:
  ///   - useCase: a folder; nil for redset as it is.
  ///   - models: a folder of models that are there from the beginning.
  init(
    _ places: Places, source: String, options: [String] = [], useCase: String? = nil, models: String? = nil
  ) throws {
    let data = places.work + "/data"
    try? FileManager.default.removeItem(atPath: data)
    if let models {
      try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: models, toPath: data + "/models")
    }
    let useCase = useCase ?? places.root + "/UseCases/redset"
    let arguments = [places.pulse, "run", "--use-case", useCase, "--source", source, "--data", data, "--json"]
    command = try Command(arguments + options, scratch: places.work)
    guard let object = try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [String: Any],
      let totals = object["totals"] as? [String: Any], let records = totals["records"] as? Int
    else { throw WrongOutput("the summary cannot be read: \(command.output)") }
    self.totals = String(
      decoding: try JSONSerialization.data(withJSONObject: totals, options: .sortedKeys), as: UTF8.self)
    self.records = records
    classes = totals["classes"] as? [String: Int] ?? [:]
    anomalies = totals["anomalies"] as? [String: Int] ?? [:]
    deadLetters = (totals["dead_letters"] as? [String: Int] ?? [:]).values.reduce(0, +)
    stored = try Self.bytes(in: data)
  }

  /// Throws unless both runs counted the same.
  func expectSame(as other: PulseRun, _ what: String) throws {
    if totals != other.totals { throw WrongOutput("\(what) changes results:\n\(totals)\n\(other.totals)") }
  }

  private static func bytes(in folder: String) throws -> Int {
    let files = FileManager.default.enumerator(atPath: folder)
    var sum = 0
    while files?.nextObject() != nil {
      if files?.fileAttributes?[.type] as? FileAttributeType == .typeRegular {
        sum += (files?.fileAttributes?[.size] as? NSNumber)?.intValue ?? 0
      }
    }
    return sum
  }
}

/// A file of simulated events.
struct InputFile {
  let path: String
  let records: Int
  let bytes: Int

  /// The first `records` events of the seed that `RedsetInput` uses.
  /// - Parameter useCase: a folder; nil for redset as it is.
  init(_ places: Places, records: Int, useCase: String? = nil) throws {
    let name = useCase.map { "-" + URL(fileURLWithPath: $0).lastPathComponent } ?? ""
    path = "\(places.work)/events\(name)-\(records).ndjson"
    self.records = records
    _ = try Command(
      [
        places.pulse, "simulate", useCase ?? places.root + "/UseCases/redset", "--events", String(records), "--seed",
        "42", "--to", path,
      ], scratch: places.work)
    bytes = (try FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber)?.intValue ?? 0
    guard try Self.lines(of: path) == records else { throw WrongOutput("\(path) does not hold \(records) lines") }
  }

  private static func lines(of path: String) throws -> Int {
    guard let file = FileHandle(forReadingAtPath: path) else { throw WrongOutput("\(path) cannot be read") }
    defer { try? file.close() }
    var count = 0
    while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty {
      count += piece.count(where: { $0 == UInt8(ascii: "\n") })
    }
    return count
  }
}
