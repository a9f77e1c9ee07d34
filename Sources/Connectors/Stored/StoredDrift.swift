// What events looked like to the models, as stores keep it: a row for each partition, detector, version and day, with the
// counts by bin as `{"inputs":[[…],…],"score":[…]}`, in the order of the model's bins.

import Detection
import Foundation
import Pipeline

/// The counts of a row.
private struct BinCounts: Decodable {
  var inputs: [[Int]]
  var score: [Int]

  private enum CodingKeys: String, CodingKey { case version, inputs, score }

  init(inputs: [[Int]], score: [Int]) { (self.inputs, self.score) = (inputs, score) }

  init(from decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let version = try values.decodeIfPresent(Int.self, forKey: .version) ?? 1
    guard version <= 1 else { throw NewerVersion("the drift counts", found: version, known: 1) }
    inputs = try values.decode([[Int]].self, forKey: .inputs)
    score = try values.decode([Int].self, forKey: .score)
  }
}

/// Reads what `DriftCounts.json` writes. A page of models and each scrape read the rows of 90 days, and a decoder that has to expect
/// anything takes nearly all of the time that they take.
private struct CountText {
  private let bytes: [UInt8]
  private var place = 0

  private init(_ text: String) { bytes = Array(text.utf8) }

  /// - Returns: nil where the text is anything else, be it right or wrong.
  static func counts(in text: String) -> BinCounts? {
    var text = CountText(text)
    guard text.skip(#"{"inputs":["#) else { return nil }
    var inputs: [[Int]] = []
    if !text.skip("]") {
      repeat {
        guard let numbers = text.numbers() else { return nil }
        inputs.append(numbers)
      } while text.skip(",")
      guard text.skip("]") else { return nil }
    }
    guard text.skip(#","score":"#), let score = text.numbers(), text.skip("}"), text.place == text.bytes.count else {
      return nil
    }
    return BinCounts(inputs: inputs, score: score)
  }

  private mutating func skip(_ expected: StaticString) -> Bool {
    let count = expected.utf8CodeUnitCount
    guard bytes.count - place >= count else { return false }
    // SAFETY: the bytes of a literal live as long as the program.
    let isThere = (0..<count).allSatisfy { bytes[place + $0] == expected.utf8Start[$0] }
    if isThere { place += count }
    return isThere
  }

  private mutating func numbers() -> [Int]? {
    guard skip("[") else { return nil }
    var numbers: [Int] = []
    if skip("]") { return numbers }
    repeat {
      guard let number = number() else { return nil }
      numbers.append(number)
    } while skip(",")
    return skip("]") ? numbers : nil
  }

  private mutating func number() -> Int? {
    let start = place
    var number = 0
    // Eighteen digits have room in 64 bits.
    while place < bytes.count, place - start < 18, case let digit = Int(bytes[place]) - 48, (0...9).contains(digit) {
      number = number * 10 + digit
      place += 1
    }
    return place > start ? number : nil
  }
}

extension DriftCounts {
  /// The counts by bin as they are stored.
  var json: String {
    func array(_ counts: [Int]) -> String { JSONText.array(counts.map { String($0) }) }
    return JSONText.object([("inputs", JSONText.array(inputs.map(array))), ("score", array(score))])
  }

  /// - Parameter counts: by bin, as they are stored.
  /// - Throws: `DecodingError` where the counts are not the JSON that was written, `NewerVersion`.
  init(detector: String, version: String, day: Int64, rows: Int, counts: String) throws {
    let bins = try CountText.counts(in: counts) ?? JSONDecoder().decode(BinCounts.self, from: Data(counts.utf8))
    self.init(detector: detector, version: version, day: day, rows: rows, inputs: bins.inputs, score: bins.score)
  }
}
