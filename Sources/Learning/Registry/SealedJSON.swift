// JSON files that notice when they were damaged: the last member of the object is the SHA-256 of everything before it. A
// flipped digit of a threshold would otherwise be another threshold that looks as good.

import Crypto
import Detection
import Foundation
import Pipeline

/// Writes and reads the registry's JSON files.
enum SealedJSON {
  /// Version of what the files mean; raised when a reader of the old one would be wrong.
  static let format = 1

  /// What every file has besides its content.
  private struct Envelope: Decodable { var format: Int }

  private struct Formatted<Content: Encodable>: Encodable {
    var content: Content
    private enum CodingKeys: String, CodingKey { case format }

    func encode(to encoder: any Encoder) throws {
      try content.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(SealedJSON.format, forKey: .format)
    }
  }

  /// The bytes of a file: a JSON object with sorted keys, `format` among them and `sha256` as the last one.
  /// - Parameter isPretty: a member a line, for people.
  static func bytes(of content: some Encodable, isPretty: Bool) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if isPretty { encoder.outputFormatting.insert(.prettyPrinted) }
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    var bytes = [UInt8](try encoder.encode(Formatted(content: content)))
    precondition(bytes.first == UInt8(ascii: "{") && bytes.last == UInt8(ascii: "}"), "not a JSON object")
    bytes.removeLast()
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    return bytes + seal(of: bytes[...])
  }

  /// Reads a file's content.
  /// - Parameters:
  ///   - path: where the bytes come from, for messages.
  ///   - remedy: what mends a damaged file, as a sentence without a full stop.
  ///   - userInfo: what decoding of the content needs.
  /// - Throws: `OperatingError` of kind `store` where the file is damaged, or newer than this program.
  static func decode<Content: Decodable>(
    _ type: Content.Type, _ bytes: [UInt8], path: String, remedy: String? = nil,
    userInfo: [CodingUserInfoKey: any Sendable] = [:]
  ) throws -> Content {
    let help = remedy.map { ". \($0)" } ?? ""
    guard isWhole(bytes) else {
      throw OperatingError(
        .store,
        "\(path) was damaged, cut short or edited: its content does not have the SHA-256 that it ends with\(help)")
    }
    let decoder = JSONDecoder()
    decoder.userInfo = userInfo
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    do {
      let found = try decoder.decode(Envelope.self, from: Data(bytes)).format
      guard found <= format else {
        throw OperatingError(
          .store,
          "\(path) was written by a newer version of pulse: its format is \(found), expected at most \(format). Use that "
            + "version of pulse")
      }
      return try decoder.decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      throw OperatingError(.store, "\(path) does not hold what it should: \(reason(error))\(help)")
    }
  }

  /// Whether a file ends with the hash of its content.
  static func isWhole(_ bytes: [UInt8]) -> Bool {
    let tail = seal(of: []).count
    return bytes.suffix(tail).elementsEqual(seal(of: bytes.dropLast(min(tail, bytes.count))))
  }

  /// The end of a file: a comma and the last member.
  static func seal(of bytes: ArraySlice<UInt8>) -> [UInt8] {
    Array(",\n  \"sha256\" : \"\(hexadecimal(SHA256.hash(data: bytes)))\"\n}\n".utf8)
  }

  /// The SHA-256 of bytes in hexadecimal.
  static func sha256(of bytes: [UInt8]) -> String { hexadecimal(SHA256.hash(data: bytes)) }

  private static func hexadecimal(_ digest: SHA256.Digest) -> String {
    digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
  }

  /// Where the content is wrong, and how.
  private static func reason(_ error: DecodingError) -> String {
    let (context, problem): (DecodingError.Context, String) =
      switch error {
      case .keyNotFound(let key, let context): (context, "`\(key.stringValue)` is missing")
      case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
        (context, context.debugDescription)
      @unknown default: (.init(codingPath: [], debugDescription: ""), "\(error)")
      }
    let place = context.codingPath.map(\.stringValue).joined(separator: ".")
    return place.isEmpty ? problem : "\(problem) (at `\(place)`)"
  }
}
