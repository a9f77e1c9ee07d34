// `pulse infer`: a first pipeline.yaml from a sample of events.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Pipeline

struct Infer: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a first pipeline.yaml from a sample of events.",
    discussion: """
      Reads the first events of an NDJSON or CSV file (also .gz, .zst, .bz2), or a Parquet or Arrow one, and prints a \
      use case: types, likely event time and key, each with what was seen. Constraints that the sample suggests are \
      proposed in comments. Records that cannot be read are skipped and counted. Read it before you rely on it.

        mkdir mine && pulse infer events.ndjson > mine/pipeline.yaml && pulse check mine
      """)

  @Argument(help: "The file to look at.")
  var file: String

  @Option(parsing: .unconditional, help: "Events to look at, at most.")
  var limit = 10_000

  @Option(help: "Name of the use case (default: from the file's name).")
  var name: String?

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be more than 0, found \(limit)") }
  }

  func run() throws {
    let sample = try loadSample()
    do {
      Terminal.print(
        try UseCaseInference.pipeline(
          for: sample, name: name ?? Self.identifier(FileSample.stem(of: file)),
          source: (file as NSString).lastPathComponent))
    } catch { throw OperatingError(.input, "\(file): \(error)") }
  }

  private func loadSample() throws -> EventSample {
    let found = try FileSample(of: file, upTo: Self.sampleBytes)
    if found.format == .parquet || found.format == .arrow { return try loadColumns() }
    let text = String(decoding: found.bytes, as: UTF8.self)
    return found.format == .csv ? EventSample(csv: text, limit: limit) : EventSample(ndjson: text, limit: limit)
  }

  /// Enough text for a sample: events beyond this many bytes are not looked at.
  private static let sampleBytes = 64 << 20

  private func loadColumns() throws -> EventSample {
    do throws(ColumnarFileError) {
      let reader = try ColumnarFileReader(path: file, batchRows: min(limit, Limits.defaultBatchRows))
      var sample = EventSample(columns: [], limit: limit)
      for column in reader.columns { sample.declare(column.name, as: column.type) }
      var textBytes = 0
      while sample.events < limit, textBytes < Self.sampleBytes,
        let columns = try reader.nextBatch(maxRows: min(limit - sample.events, Limits.maxBatchRows))
      {
        for case .string(let text) in columns.map(\.column.values) { textBytes += text.writtenOutBytes }
        sample.append(columns: columns, misfits: reader.misfits, limit: limit)
      }
      return sample
    } catch {
      throw OperatingError(error.reason == .outOfMemory ? .limit : .input, "\(error)")
    }
  }

  /// A name that a use case may have.
  static func identifier(_ text: String) -> String {
    let mapped = text.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
    let trimmed = String(mapped).split(separator: "-").joined(separator: "-")
    return trimmed.first?.isLetter == true ? trimmed : "events"
  }
}
