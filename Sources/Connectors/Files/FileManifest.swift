// The list of files of a partition as it is kept in checkpoints: which file a segment is, and how to know it again.
// Invariant: entries are only ever appended, so the ordinal of a file, its segment, never changes.
//
// A list may have many thousands of files, so each is an entry of its own in the store: under its segment (four bytes,
// the highest first), and a checkpoint writes those that changed. The state beside the position holds the version alone.

import Detection
import Pipeline

/// The files of one source, in order; the ordinal of an entry is the segment of its positions.
struct FileManifest: Sendable, Hashable {
  struct Entry: Sendable, Hashable {
    /// The absolute path it was listed by. A rotated file keeps the path that was followed.
    var path: String
    /// Whether this file took the place of the entry before it, at the same path.
    var isRotation = false
    /// Nil until the file is opened for reading.
    var opened: Opened?
    /// Size when it was read to its end and left, in bytes.
    var finalSize: Int64?
    /// Of a file that was left or a columnar one its end; of the one a checkpoint lies in, the place of the checkpoint.
    /// Nil where it was stored by version 1.
    var ending: FileEnding?
    /// Where reading begins: 0, or behind what was read of the file as an earlier entry.
    var start = Place()
    /// Where its last record ended, of a file that was read to its end: nothing but blank lines lies behind.
    var lastRecordEnd: Int64?
    /// The line behind its end, of a text file that was read to its end.
    var endRow: Int64?
    var standing = Standing.listed

    /// Whether the file was empty when it was listed and nothing was read of it. Such an entry stands for no file: what
    /// its file gets, under whatever name, is new.
    var isBlank: Bool {
      guard let opened, opened.packed == nil, opened.beginning.length == 0 else { return false }
      return standing == .listed && start.offset == 0 && finalSize ?? 0 == 0
    }
  }

  /// An offset within a file and the line that begins there.
  struct Place: Sendable, Hashable {
    var offset: Int64 = 0
    var row: Int64 = 0
  }

  /// What becomes of a file.
  enum Standing: UInt8, Sendable, Hashable {
    /// It is read, or was.
    case listed = 0
    /// It holds what was read as an earlier file, and is passed over.
    case copy = 1
    /// It was listed, and was taken from the list before it was read.
    case leftOut = 2
    /// It was read in part, and the rest of it was given up on purpose.
    case gap = 3
  }

  /// What was known of a file when it was opened; the beginning is extended while a short file grows.
  struct Opened: Sendable, Hashable {
    var identity: FileIdentity
    var beginning: FileBeginning
    var format: FileFormat
    /// Of a compressed file.
    var packed: Packed?
  }

  /// A file beside those of the list, under a name that rotation makes of one of them, when they were first looked for:
  /// what it holds is not read, then or later. What lies there besides has come since.
  struct Beside: Sendable, Hashable {
    var identity: FileIdentity
    var beginning: FileBeginning
    /// Bytes of the file, as it is packed.
    var size: Int64
  }

  /// What a compressed file is known by, beside its contents.
  struct Packed: Sendable, Hashable {
    var compression: Compression
    var ending: FileEnding
  }

  /// Version 5 had times of empty files and what lay beside those, and nothing of others, version 4 no such times, version
  /// 3 no places to begin at, ends of records, standings and compression either. Versions 1 and 2 were one piece: version, how many files, and the files. Version 1 had no endings.
  private static let version: UInt8 = 6

  /// What a checkpoint keeps beside the entries.
  static let state = [version]

  var entries: [Entry] = []
  /// What lay beside them, by the files that hold it.
  private(set) var beside: [FileIdentity: Beside] = [:]
  /// How long they are, by what they begin with.
  private var besideSizes: [FileBeginning: Set<Int64>] = [:]

  mutating func add(_ others: [Beside]) {
    for other in others where beside.updateValue(other, forKey: other.identity) != other {
      besideSizes[other.beginning, default: []].insert(other.size)
    }
  }

  /// Whether a file is one that lay beside the list when it was first looked for, or a copy of one, compressed or not.
  /// Others may begin alike, so a copy is of the whole.
  func liesBeside(_ file: OpenFile) throws(OperatingError) -> Bool {
    if besideSizes.isEmpty { return false }
    if let same = beside[file.identity], try file.begins(with: same.beginning) {
      if same.beginning.length == FileBeginning.maxLength { return true }
      if try file.status().size == same.size { return true }
    }
    let beginning = try file.beginning()
    guard let sizes = besideSizes[beginning] else { return false }
    if beginning.length < FileBeginning.maxLength { return true }
    if try sizes.contains(file.status().size) { return true }
    guard let size = try file.contentSize() else { return false }
    return sizes.contains(size)
  }

  /// Whether a file has left its path to the next entry.
  func isRotatedAway(_ segment: Int) -> Bool { nextRead(after: segment).map { entries[$0].isRotation } ?? false }

  /// Whether no file is read behind this one.
  func isLast(_ segment: Int) -> Bool { nextRead(after: segment) == nil }

  private func nextRead(after segment: Int) -> Int? {
    entries[min(segment + 1, entries.count)...].firstIndex { $0.standing == .listed || $0.standing == .gap }
  }

  /// Whether a plain file was left, and the list goes on: what it has behind is not read by this entry.
  func isEndOnRecord(_ segment: Int) -> Bool {
    let entry = entries[segment]
    return entry.standing == .listed && entry.finalSize != nil && !isLast(segment) && entry.opened?.packed == nil
      && entry.opened?.format.isColumnar == false
  }

  /// Whether everything of a file lies before `offset`; false where that is not known.
  func isComplete(_ segment: Int, at offset: Int64) -> Bool {
    let entry = entries[segment]
    if entry.standing != .listed { return true }
    return (entry.lastRecordEnd ?? entry.finalSize).map { offset >= $0 } ?? false
  }

  /// Whether nothing of a file lies before `position`, as itself or as an earlier entry.
  func isUnread(_ segment: Int, at position: Position) -> Bool {
    let entry = entries[segment]
    guard entry.standing == .listed, entry.start.offset == 0 else { return false }
    return segment > Int(position.segment) || segment == Int(position.segment) && position.offset == 0
  }

  /// What has changed since the store had `stored`, and so many files beside.
  func changes(since stored: [Entry], beside known: Int = 0) -> StateChanges {
    var changes = StateChanges()
    if beside.count != known {
      changes.puts += beside.values.map { StateEntry(key: Self.key(of: $0), value: Self.encoded($0)) }
    }
    for (segment, entry) in entries.enumerated() where segment >= stored.count || stored[segment] != entry {
      changes.puts.append(StateEntry(key: Self.key(of: segment), value: Self.encoded(entry)))
    }
    return changes
  }

  private static func key(of segment: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: segment >> (24 - 8 * $0)) }
  }

  /// Longer than those of entries.
  private static func key(of beside: Beside) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(unsigned: beside.identity.device)
    writer.write(unsigned: beside.identity.inode)
    return [0xFF, 0xFF, 0xFF, 0xFF] + writer.bytes
  }

  private static func encoded(_ beside: Beside) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(unsigned: beside.identity.device)
    writer.write(unsigned: beside.identity.inode)
    writer.write(unsigned: UInt64(beside.beginning.length))
    writer.write(blob: beside.beginning.sha256)
    writer.write(signed: beside.size)
    return writer.bytes
  }

  private static func beside(_ reader: inout ByteReader) throws(CodingError) -> Beside {
    let identity = FileIdentity(device: try reader.readUnsigned(), inode: try reader.readUnsigned())
    let length = try reader.readCount(upTo: FileBeginning.maxLength)
    let beginning = FileBeginning(length: length, sha256: try reader.readBlob())
    return Beside(identity: identity, beginning: beginning, size: try reader.readSigned())
  }

  private static func encoded(_ entry: Entry) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(string: entry.path)
    writer.write(bool: entry.isRotation)
    writer.write(bool: entry.opened != nil)
    if let opened = entry.opened {
      writer.write(unsigned: opened.identity.device)
      writer.write(unsigned: opened.identity.inode)
      writer.write(unsigned: UInt64(opened.beginning.length))
      writer.write(blob: opened.beginning.sha256)
      writer.write(string: opened.format.rawValue)
    }
    writer.write(bool: entry.finalSize != nil)
    if let size = entry.finalSize { writer.write(signed: size) }
    write(entry.ending, to: &writer)
    writer.write(signed: entry.start.offset)
    writer.write(signed: entry.start.row)
    for end in [entry.lastRecordEnd, entry.endRow] {
      writer.write(bool: end != nil)
      if let end { writer.write(signed: end) }
    }
    writer.write(byte: entry.standing.rawValue)
    if let opened = entry.opened {
      writer.write(string: opened.packed?.compression.rawValue ?? "")
      if let packed = opened.packed { write(packed.ending, to: &writer) }
    }
    return writer.bytes
  }

  private static func write(_ ending: FileEnding?, to writer: inout ByteWriter) {
    writer.write(bool: ending != nil)
    guard let ending else { return }
    writer.write(signed: ending.end)
    writer.write(unsigned: UInt64(ending.length))
    writer.write(blob: ending.sha256)
  }

  /// The manifest as a checkpoint at `position` keeps it.
  /// - Parameter ending: of the file the position lies in, at its offset; nil where it is not known.
  func at(_ position: Position, ending: FileEnding?) -> FileManifest {
    var manifest = self
    for segment in entries.indices.dropFirst(Int(position.segment)) {
      let isWhole = entries[segment].opened.map { $0.format.isColumnar || $0.packed != nil } ?? false
      if segment > Int(position.segment) {
        manifest.entries[segment].ending = nil
      } else if !isWhole, entries[segment].ending?.end != position.offset {
        manifest.entries[segment].ending = ending
      }
    }
    return manifest
  }

  init() {}

  /// - Parameters:
  ///   - state: what a checkpoint kept beside the position.
  ///   - stored: the entries of the store; none where `state` is of version 1 or 2.
  /// - Throws: `OperatingError` where they are not a manifest.
  init(decoding state: [UInt8], _ stored: [[UInt8]: [UInt8]]) throws(OperatingError) {
    do throws(CodingError) {
      var reader = ByteReader(state)
      let version = try reader.readByte()
      switch version {
      case 1, 2:
        let count = try reader.readCount(upTo: state.count)
        for _ in 0..<count { entries.append(try Self.entry(&reader, version: version)) }
      case 3...Self.version:
        for segment in 0..<stored.count(where: { $0.key.count == Self.key(of: 0).count }) {
          guard let bytes = stored[Self.key(of: segment)] else { throw CodingError("file \(segment + 1) is missing") }
          var reader = ByteReader(bytes)
          entries.append(try Self.entry(&reader, version: version))
          guard reader.isAtEnd else { throw CodingError("\(reader.remaining) bytes are left over") }
        }
        for bytes in stored where bytes.key.count != Self.key(of: 0).count {
          var reader = ByteReader(bytes.value)
          add([try Self.beside(&reader)])
          guard reader.isAtEnd else { throw CodingError("\(reader.remaining) bytes are left over") }
        }
      default: throw CodingError("its version is \(version), expected 1 to \(Self.version)")
      }
      guard reader.isAtEnd else { throw CodingError("\(reader.remaining) bytes are left over") }
    } catch {
      throw OperatingError(
        .store,
        "the stored list of files cannot be used: \(error). Start over with --reset, or use the version that wrote it")
    }
  }

  private static func entry(_ reader: inout ByteReader, version: UInt8) throws(CodingError) -> Entry {
    var entry = Entry(path: try reader.readString())
    entry.isRotation = try reader.readBool()
    if try reader.readBool() {
      let identity = FileIdentity(device: try reader.readUnsigned(), inode: try reader.readUnsigned())
      let length = try reader.readCount(upTo: FileBeginning.maxLength)
      let beginning = FileBeginning(length: length, sha256: try reader.readBlob())
      let name = try reader.readString()
      guard let format = FileFormat(rawValue: name) else { throw CodingError("unknown file format '\(name)'") }
      entry.opened = Opened(identity: identity, beginning: beginning, format: format)
    }
    if try reader.readBool() { entry.finalSize = try reader.readSigned() }
    if version >= 2 { entry.ending = try ending(&reader) }
    guard version >= 4 else { return entry }
    entry.start = Place(offset: try reader.readSigned(), row: try reader.readSigned())
    if try reader.readBool() { entry.lastRecordEnd = try reader.readSigned() }
    if try reader.readBool() { entry.endRow = try reader.readSigned() }
    let byte = try reader.readByte()
    guard let standing = Standing(rawValue: byte) else { throw CodingError("unknown standing \(byte) of a file") }
    entry.standing = standing
    guard entry.opened != nil else { return entry }
    let name = try reader.readString()
    if !name.isEmpty {
      guard let compression = Compression(rawValue: name) else { throw CodingError("unknown compression '\(name)'") }
      guard let ending = try ending(&reader) else { throw CodingError("a compressed file without its size") }
      entry.opened?.packed = Packed(compression: compression, ending: ending)
    }
    // What lay beside an empty file in version 5: it is noted anew, of all files.
    if version == 5, try reader.readBool() {
      _ = try reader.readSigned()
      for _ in 0..<(try reader.readCount(upTo: 128)) {
        _ = try reader.readCount(upTo: FileBeginning.maxLength)
        _ = try reader.readBlob()
      }
    }
    return entry
  }

  private static func ending(_ reader: inout ByteReader) throws(CodingError) -> FileEnding? {
    guard try reader.readBool() else { return nil }
    let end = try reader.readSigned()
    let length = try reader.readCount(upTo: FileEnding.maxLength)
    guard end >= Int64(length) else { throw CodingError("an ending of \(length) bytes at byte \(end)") }
    return FileEnding(end: end, length: length, sha256: try reader.readBlob())
  }

  /// Whether the store has the list in the form that is written now.
  static func isCurrent(_ state: [UInt8]) -> Bool { state == Self.state }
}
