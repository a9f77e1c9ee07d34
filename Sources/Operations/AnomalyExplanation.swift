// Why an event is an anomaly, by scoring it again with the model that scored it.

import Configuration
public import Detection

/// A stored finding of a learned detector, taken apart.
public enum AnomalyExplanation {
  /// Scores the event again by the version of the model that is on record, under the use case as it was then.
  /// - Parameters:
  ///   - event: the stored event, as JSON.
  ///   - configuration: the use case as the activation log keeps it.
  ///   - load: gives the model of that version, checked against its detector.
  /// - Throws: `OperatingError` where the model is gone or the store is damaged.
  public static func explain(
    event: String, foundBy detector: String, configuration: String, load: (DetectorPlan) throws -> FittedModel
  ) throws -> LearnedExplanation {
    let plan = try UseCaseChecker.plan(fromStored: configuration)
    guard let definition = plan.detectors.first(where: { $0.name == detector }) else {
      throw OperatingError(.store, "the use case on record has no detector \(detector): the store is damaged")
    }
    let model = try load(definition)
    let batch = try batch(event, plan)
    guard let learned = try? LearnedDetector(definition, model: model),
      let explanation = learned.explain(row: 0, of: batch)
    else {
      throw OperatingError(.store, "the stored event is none that \(detector) scores: the store is damaged")
    }
    return explanation
  }

  /// The stored event as a derived batch of one.
  private static func batch(_ event: String, _ plan: Plan) throws -> EventBatch {
    let decoded = Decoder(schema: plan.schema.rendered).decode(RawBatch([Array(event.utf8)], from: "stored"))
    if let letter = decoded.deadLetters.first {
      throw OperatingError(.store, "the stored event cannot be read: \(letter.message)")
    }
    var (events, failures) = (decoded.events, 0)
    plan.extend(&events, failures: &failures)
    return events
  }
}
