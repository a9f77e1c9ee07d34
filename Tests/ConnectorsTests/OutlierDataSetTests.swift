// Labelled data sets of ADBench: the isolation forest ranks their outliers as well as scikit-learn's does.
// `Tests/Fixtures/IsolationForest/adbench.py` measured scikit-learn's.

import Connectors
import Detection
import Foundation
import Testing

@Suite("Labelled outlier data sets")
struct OutlierDataSetTests {
  /// The folder of the sets, beside the checkout.
  private static let folder: URL? = {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = package.deletingLastPathComponent().appending(path: "shared/data/adbench")
    return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
  }()

  private struct Reference: Decodable {
    struct Area: Decodable {
      let mean: Double
      let deviation: Double
    }
    let seeds: Int
    let sets: [String: Area]

    static func read() throws -> Reference {
      let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      return try JSONDecoder().decode(
        Reference.self, from: Data(contentsOf: tests.appending(path: "Fixtures/IsolationForest/adbench.json")))
    }
  }

  private static func read(_ url: URL) throws -> (matrix: FeatureMatrix, isOutlier: [Bool]) {
    let reader = try ColumnarFileReader(path: url.path)
    try reader.select(reader.columns.map { ColumnarFileReader.Request($0.name, as: nil) })
    var columns: [String: [Double]] = [:]
    while let batch = try reader.nextBatch(maxRows: 65_536) {
      for named in batch {
        switch named.column.values {
        case .double(let values): columns[named.name, default: []] += values
        case .int(let values): columns[named.name, default: []] += values.map { Double($0) }
        default: Issue.record("\(named.name) holds no numbers")
        }
      }
    }
    let labels = columns.removeValue(forKey: "is_outlier")
    let isOutlier = try #require(labels).map { $0 == 1 }
    let sorted = columns.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    return (FeatureMatrix(names: sorted.map(\.key), columns: sorted.map { $0.value.map { Float($0) } }), isOutlier)
  }

  /// Area under the ROC curve: how often an outlier scores above another row, ties as halves.
  private static func area(_ scores: [Double], _ isOutlier: [Bool]) -> Double {
    let order = scores.indices.sorted { scores[$0] < scores[$1] }
    var (ranks, outliers, first) = (0.0, 0, 0)
    while first < order.count {
      let last = order[first...].prefix { scores[$0] == scores[order[first]] }.endIndex
      let tied = order[first..<last].count { isOutlier[$0] }
      ranks += Double(tied) * Double(first + 1 + last) / 2
      outliers += tied
      first = last
    }
    let count = Double(outliers)
    return (ranks - count * (count + 1) / 2) / (count * Double(order.count - outliers))
  }

  @Test("areas under the ROC curve", .enabled(if: Self.folder != nil, "the labelled data sets are not there"))
  func areas() throws {
    let reference = try Reference.read()
    #expect(reference.sets.count == 16)
    let seeds = Double(reference.seeds)
    for (name, peer) in reference.sets.sorted(by: { $0.key < $1.key }) {
      let (matrix, isOutlier) = try Self.read(try #require(Self.folder).appending(path: name + ".parquet"))
      let areas = (0..<reference.seeds).map { seed in
        Self.area(IsolationForest.fit(matrix, seed: UInt64(seed)).scores(of: matrix), isOutlier)
      }
      let mean = areas.reduce(0, +) / seeds
      let variance = areas.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (seeds - 1)
      let error = ((variance + peer.deviation * peer.deviation) / seeds).squareRoot()
      #expect(
        abs(mean - peer.mean) <= max(0.01, 3 * error), "\(name): \(mean), scikit-learn \(peer.mean), error \(error)")
    }
  }
}
