// What features contributed to a sum: the parts add up to it, and each is what its tests changed.

import Testing

@testable import Detection

@Suite("Path contributions")
struct PathContributionsTests {
  @Test("by hand")
  func byHand() {
    let ensemble = TreeEnsemble(
      nodes: [
        .init(feature: 0, threshold: 1, left: 1, right: 2), .init(value: 10, cover: 30),
        .init(feature: 1, threshold: 5, left: 3, right: 4, missingLeft: false), .init(value: 20, cover: 6),
        .init(value: 50, cover: 4),
      ], roots: [0], outputs: [0], baseValues: [100], featureCount: 2
    ).withMeanValues()
    #expect(ensemble.nodes[2].value == 32 && ensemble.nodes[2].cover == 10)
    #expect(ensemble.nodes[0].value == 15.5 && ensemble.nodes[0].cover == 40)
    #expect(ensemble.pathContributions(of: [0, 9]) == [PathContributions(base: 115.5, byFeature: [-5.5, 0])])
    #expect(ensemble.pathContributions(of: [2, 5]) == [PathContributions(base: 115.5, byFeature: [16.5, -12])])
    #expect(ensemble.pathContributions(of: [2, .nan]) == [PathContributions(base: 115.5, byFeature: [16.5, 18])])
  }

  @Test("the parts add up to the sum")
  func partsAddUp() {
    for seed in 0..<5 {
      var generator = TreeGenerator(seed: UInt64(seed))
      let ensemble = generator.ensemble(trees: 50, leaves: 40, features: 4, outputs: 2).withMeanValues()
      let matrix = generator.matrix(rows: 50, features: 4)
      let sums = ensemble.sums(of: matrix)
      for row in 0..<50 {
        let parts = ensemble.pathContributions(of: matrix.row(row))
        for output in 0..<2 { #expect(abs(parts[output].total - sums[output][row]) < 1e-12) }
      }
    }
  }

  @Test("leaves that no training row reached count equally")
  func withoutCovers() {
    let ensemble = TreeEnsemble(
      nodes: [.init(feature: 0, threshold: 1, left: 1, right: 2), .init(value: 10), .init(value: 20)], roots: [0],
      outputs: [0], baseValues: [0], featureCount: 1)
    #expect(ensemble.withMeanValues().nodes[0].value == 15)
  }
}
