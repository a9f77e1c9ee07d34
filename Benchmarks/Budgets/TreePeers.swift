// Scoring with trees beside the libraries that fitted them, on one core: rounds in turn, so that both meet the same
// machine, and the median of the rounds' ratios.

import Detection
import Foundation
import Workloads

struct TreePeers {
  /// How many times as fast ours was.
  struct Result {
    let ratio: Double
    /// Best rates of all rounds, in rows a second.
    let ours: Double
    let theirs: Double
  }

  private let places: Places
  private let folder: String
  private static let rounds = 5

  /// Has the peers fit their models, which takes a minute.
  init(_ places: Places) throws {
    self.places = places
    folder = places.work + "/trees"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    _ = try python("prepare")
  }

  private func python(_ step: String) throws -> String {
    let script = places.root + "/Benchmarks/Peers/trees.py"
    return try Command([places.peersPython, script, step, folder], scratch: places.work).output
  }

  /// Isolation forest, 100 trees of 256 rows, 16 features: a peer's scoring (scikit-learn's `score_samples`, or ONNX
  /// Runtime) and ours, of the same trees.
  func forest(against step: String = "forest") throws -> Result {
    let models = try TreeModels("forest", folder: folder, features: 16, pathLengths: true)
    let forest = IsolationForest(trees: models.ensembles[0], sampleSize: 256)
    return try compare(step, models, tolerance: 1e-6) { forest.scores(of: models.matrix) }
  }

  /// Two boosted models of 300 trees with 31 leaves, 30 features: a peer's scoring (LightGBM's `predict`, or ONNX Runtime)
  /// and ours, of the same trees.
  func boosted(against step: String = "boosted") throws -> Result {
    let models = try TreeModels("boosted", folder: folder, features: 30, pathLengths: false)
    let scorers = models.ensembles.map { TreeScorer($0) }
    return try compare(step, models, tolerance: 1e-5) { scorers.flatMap { $0.sums(of: models.matrix)[0] } }
  }

  private func compare(
    _ step: String, _ models: TreeModels, tolerance: Double, score: () -> [Double]
  ) throws -> Result {
    var (ratios, ours, theirs) = ([Double](), Double.infinity, Double.infinity)
    for _ in 0..<Self.rounds {
      let text = try python(step).trimmingCharacters(in: .whitespacesAndNewlines)
      guard let seconds = Double(text), seconds > 0 else { throw WrongOutput("\(step): \(text)") }
      var best = Double.infinity
      for _ in 0..<3 {
        let start = ContinuousClock.now
        let scores = score()
        best = min(best, (ContinuousClock.now - start) / .seconds(1))
        try expectClose(step, scores, models.scores, tolerance)
      }
      ratios.append(seconds / best)
      (ours, theirs) = (min(ours, best), min(theirs, seconds))
    }
    let rows = Double(models.matrix.rowCount)
    return Result(ratio: ratios.sorted()[Self.rounds / 2], ours: rows / ours, theirs: rows / theirs)
  }

  private func expectClose(_ what: String, _ found: [Double], _ expected: [Double], _ tolerance: Double) throws {
    guard found.count == expected.count else { throw WrongOutput("\(what): \(found.count) scores") }
    for (found, expected) in zip(found, expected) where abs(found - expected) > tolerance * max(1, abs(expected)) {
      throw WrongOutput("\(what): expected \(expected), found \(found)")
    }
  }
}
