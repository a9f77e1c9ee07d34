// What stores write of a checkpoint, whatever they are made of.

import Detection
import Foundation
import Pipeline

/// What the rows of one window definition have in common.
struct WindowRowKeys {
  let definition: String
  /// Number of the definition in the store.
  let number: Int64
  /// Names as the members of JSON objects begin: quoted, with a colon.
  let by: [[UInt8]]
  let aggregates: [[UInt8]]
  let classes: [[UInt8]]

  init(_ row: Checkpoint.WindowRow, number: Int64) {
    definition = row.definition
    self.number = number
    by = row.byNames.map(JSONText.key)
    aggregates = row.result.names.aggregates.map(JSONText.key)
    classes = row.result.names.classes.map(JSONText.key)
  }

  /// The values of `by` as the key has them.
  static func bytes(of by: [Scalar]) -> [UInt8] {
    var key = ByteWriter()
    for value in by { key.write(scalar: value) }
    return key.bytes
  }

  /// The inverse.
  /// - Throws: `CodingError` where the bytes are no such key.
  static func values(in key: [UInt8]) throws -> [Scalar] {
    var (by, reader): ([Scalar], ByteReader) = ([], ByteReader(key))
    while !reader.isAtEnd { by.append(try reader.readScalar()) }
    return by
  }
}

extension Totals {
  /// The counts as a checkpoint keeps them.
  var storedText: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }

  /// - Throws: `DecodingError` where the text is not what was written, `NewerVersion`.
  init(storedText: String) throws { self = try JSONDecoder().decode(Totals.self, from: Data(storedText.utf8)) }
}
