// When the events of a file happened, as far as its first and last ones tell: for the order of files by time, and to say
// before a run that a list goes back in time, which would make most of its events late.

public import Detection
import Foundation
import Pipeline

/// Reads event times out of files, by the schema of a use case.
public struct EventTimes: Sendable {
  private let schema: Schema
  /// How far events may be out of order, microseconds.
  private let lateness: Int64

  /// - Parameter lateness: how much earlier than the one before an event may be and is in time, microseconds.
  public init(schema: Schema, lateness: Int64) {
    self.schema = schema
    self.lateness = lateness
  }

  /// The time of the first event of a file, and of the last one where that is cheap to find; microseconds.
  struct Span: Equatable {
    var first: Int64
    var last: Int64?
  }

  /// Bytes that are looked at for the first event, and more where they hold none.
  private static let pieces = [64 << 10, 4 << 20]
  /// Files that are looked at before a run, to say that their times run backwards: a second's work.
  private static let maxFiles = 1000

  /// Nil where the file has no event that can be read.
  func span(
    of path: String, _ options: ReadOptions, _ format: FileFormat?
  ) throws(OperatingError) -> Span? {
    let file = try OpenFile(path)
    let found = try FileLocator.format(of: file, expected: format)
    let decoder = Decoder(schema: schema)
    if found.isColumnar {
      var options = options
      options.batchRows = 64
      let reader = try ColumnarSegmentReader(openedAt: path, path: path, from: .start, options)
      guard let batch = try reader.next(isFinal: true, stop: StopSignal()) else { return nil }
      return decoder.decode(batch).events.eventTimes.first.map { Span(first: $0) }
    }
    var first: Int64?
    var header: [String]?
    for length in Self.pieces where first == nil {
      let bytes = try file.bytes(length)
      let isWhole = bytes.count < length
      let piece = try times(in: bytes, of: file, isFinal: isWhole, found, options, decoder, header: nil)
      (first, header) = (piece.times.first, piece.header)
      if let first, isWhole { return Span(first: first, last: piece.times.last) }
      if isWhole { return nil }
    }
    guard let first else { return nil }
    guard file.compression == nil else { return Span(first: first) }
    let length = Self.pieces[0]
    let size = try file.status().size
    let end = try file.bytes(length, at: max(0, size - Int64(length)))
    // From the first line that begins in it on.
    guard let line = end.firstIndex(of: 0x0A) else { return Span(first: first) }
    let rest = Array(end[(line + 1)...])
    let piece = try times(in: rest, of: file, isFinal: true, found, options, decoder, header: header ?? [])
    return Span(first: first, last: piece.times.last)
  }

  /// The times of the events of a piece of text, in order.
  /// - Parameter header: of CSV; nil where it stands at the beginning of the piece.
  private func times(
    in bytes: [UInt8], of file: OpenFile, isFinal: Bool, _ format: FileFormat, _ options: ReadOptions,
    _ decoder: Decoder, header: [String]?
  ) throws(OperatingError) -> (times: [Int64], header: [String]?) {
    var cutting = TextSegmentReader.cutting(file.path, isCSV: format == .csv, segment: 0, options)
    cutting.header = header
    let cutter = RecordCutter(cutting, offset: header == nil ? 0 : 1, row: 0, isInLine: false)
    var times: [Int64] = []
    var rest = bytes[...]
    while true {
      let isFull = try cutter.cut(isFinal: isFinal && rest.isEmpty)
      if let batch = cutter.takeBatch() { times += decoder.decode(batch).events.eventTimes }
      if isFull { continue }
      if rest.isEmpty { return (times, cutter.header) }
      let count = cutter.fill { space in
        let piece = rest.prefix(space.count)
        // SAFETY: the piece is not longer than the space.
        piece.withUnsafeBytes { space.copyMemory(from: $0) }
        return piece.count
      }
      rest = rest.dropFirst(count)
    }
  }

  // MARK: - Orders

  /// Files by the time of their first event; those without one come last, in the order given.
  /// - Parameter trouble: is told of a file that cannot be read, and may throw; else it comes last.
  func sorted(
    _ paths: [String], _ options: ReadOptions, _ format: FileFormat?,
    trouble: (String, OperatingError) throws(OperatingError) -> Void
  ) throws(OperatingError) -> [String] {
    var dated: [(first: Int64, index: Int)] = []
    for (index, path) in paths.enumerated() {
      var first: Int64?
      do throws(OperatingError) {
        // A file that is not there is refused later, where it is known whether it was read before.
        if try FileStatus.of(path)?.isRegular == true { first = try span(of: path, options, format)?.first }
      } catch {
        if error == StopSignal.interruption { throw error }
        try trouble(path, error)
      }
      dated.append((first ?? .max, index))
    }
    return dated.sorted { ($0.first, $0.index) < ($1.first, $1.index) }.map { paths[$0.index] }
  }

  /// What is to be said where files go back in time, in the order in which they are read; nil where they do not.
  func warning(
    _ paths: [String], _ options: ReadOptions, _ format: FileFormat?
  ) throws(OperatingError) -> String? {
    guard paths.count > 1 else { return nil }
    var reached: (time: Int64, path: String)?
    var worst: (path: String, first: Int64, reached: (time: Int64, path: String))?
    var count = 0
    for path in paths.prefix(Self.maxFiles) {
      guard try FileStatus.of(path)?.isRegular == true, let span = try span(of: path, options, format) else { continue }
      if let reached, reached.time.subtractingSaturated(span.first) > lateness, reached.time > span.first {
        count += 1
        if reached.time - span.first > worst.map({ $0.reached.time - $0.first }) ?? 0 {
          worst = (path, span.first, reached)
        }
      }
      let last = span.last ?? span.first
      if last > reached?.time ?? .min { reached = (last, path) }
    }
    guard let worst else { return nil }
    func time(_ microseconds: Int64) -> String { Timestamp.formatWithinRange(microseconds) }
    return
      "the files go back in time: \(count) of \(paths.count) begin before what was read of those before them, and by "
      + "more than `out_of_order` allows. \(worst.path) begins at \(time(worst.first)), and \(worst.reached.path), which is "
      + "read before it, comes to \(time(worst.reached.time)). Their events will be late. Choose another --order (name, "
      + "natural, time), or name the files in their order"
  }
}
