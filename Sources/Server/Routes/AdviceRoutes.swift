// What to do about a problem: the advice of the use case, with the figures of the entities that are looked at.

import Detection
import Foundation
import HTTPTypes
import Pipeline

struct AdviceRoutes {
  let services: Services

  /// Anomalies whose events are looked at.
  private static let mostEvents = 5_000

  var endpoints: [Endpoint] {
    let advice = JSONSchema.object([
      ("problem", .string), ("kind", .string(among: ["detector", "class"])), ("severity", JSONSchema.string.nullable),
      ("total", .count), ("previous_total", JSONSchema.count.nullable),
      ("source", .string.saying("Where the text stands, in the folder of the use case.")), ("markdown", .string),
    ])
    return [
      common,
      Endpoint(
        method: .get, path: "/api/v1/use-cases/{use_case}/recommendations/{problem}", tag: "figures",
        summary: "What to do about a problem: the advice of the use case, with its figures", access: .read,
        parameters: [
          Parameters.useCase, Parameter("problem", in: .path, "A detector, a rule or a class.", .string(upTo: 100)),
        ] + FigureRange.parameters, answers: [.init(.ok, "The advice.", .json(advice))],
        respond: { [services] call in
          let useCase = try services.catalog.useCase(of: call)
          let range = try FigureRange(call, until: useCase.figures.dataUntil)
          return Reply(try await Self.answer(call.path("problem"), useCase, range))
        }),
    ]
  }

  private var common: Endpoint {
    let item = JSONSchema.object([
      ("field", .string), ("value", .anything), ("label", .string), ("share", .number), ("share_of_all", .number),
    ])
    return Endpoint(
      method: .get, path: "/api/v1/use-cases/{use_case}/problems/{problem}/common", tag: "figures",
      summary: "What the anomalies of a detector have in common, beside all events of the span", access: .read,
      parameters: [
        Parameters.useCase, Parameter("problem", in: .path, "A detector or a rule.", .string(upTo: 100)),
      ] + FigureRange.parameters,
      answers: [
        .init(
          .ok, "Values of fields, the most telling first.",
          .json(
            .object([
              ("problem", .string), ("anomalies", .count),
              ("all", .count.saying("Events that they are compared with.")),
              ("items", .array(item)),
            ])))
      ],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let range = try FigureRange(call, until: useCase.figures.dataUntil)
        let problem = call.path("problem")
        let known = useCase.plan.useCase.detectors.map(\.name) + useCase.plan.useCase.rules.map(\.name)
        guard known.contains(problem) else { throw Problem.unknown("detector or rule", problem, among: known) }
        let batch = try await Self.events(of: problem, useCase, range).first
        let common = try await blocking {
          try batch.map {
            try CommonTraits(of: $0, useCase, from: range.from, to: range.to, keys: range.entities)
          }
        }
        let items = (common?.traits ?? []).map { trait in
          JSONText.object([
            ("field", JSONText.string(trait.field)), ("value", JSONText.value(trait.value)),
            ("label", JSONText.string("\(trait.field) \(trait.value.plainText)")),
            ("share", JSONText.number(trait.share)), ("share_of_all", JSONText.number(trait.shareOfAll)),
          ])
        }
        return Reply(
          JSONText.object([
            ("problem", JSONText.string(problem)), ("anomalies", String(batch?.count ?? 0)),
            ("all", String(common?.all ?? 0)), ("items", JSONText.array(items)),
          ]))
      })
  }

  private static func answer(_ problem: String, _ useCase: ServedUseCase, _ range: FigureRange) async throws -> String {
    let definition = useCase.plan.useCase
    let severities =
      definition.detectors.map { ($0.name, $0.severity) } + definition.rules.map { ($0.name, $0.severity) }
    let severity = severities.first { $0.0 == problem }?.1
    let isClass = definition.classification?.classes.contains(problem) ?? false
    let source = "advice/\(problem).md"
    guard severity != nil || isClass else {
      throw Problem.unknown(
        "problem", problem, among: severities.map(\.0) + (definition.classification?.classes ?? []))
    }
    guard let advice = try await blocking({ try useCase.advice.advice(on: problem) }) else {
      throw Problem.notFound("The use case has no \(source).")
    }
    let content = try useCase.figures.now
    let figures =
      isClass
      ? Self.figures(ofClass: problem, content, range, useCase) : Self.figures(of: problem, content, range, useCase)
    let known = isClass ? [] : content.conditions[problem] ?? []
    guard isClass || known == advice.conditions else {
      throw Problem(
        .serviceUnavailable, "Figures are being read",
        "\(source) was changed: what it counts is there in some seconds.",
        headers: [.retryAfter: "2"])
    }
    let markdown = advice.filled(figures, counts: isClass ? [] : content.matches(problem, range))
    return JSONText.object([
      ("problem", JSONText.string(problem)), ("kind", JSONText.string(isClass ? "class" : "detector")),
      ("severity", JSONText.optional(isClass ? nil : severity?.rawValue)), ("total", String(figures.total)),
      ("previous_total", figures.previous.map { String($0) } ?? "null"), ("source", JSONText.string(source)),
      ("markdown", JSONText.string(markdown)),
    ])
  }

  private static func figures(
    of detector: String, _ content: FigureCache.Content, _ range: FigureRange, _ useCase: ServedUseCase
  ) -> Advice.Figures {
    let hasPrevious = content.hasPrevious(range)
    let number = content.anomalies.detectors.index(of: detector) ?? -1
    let line = content.counts(range, by: .detector)[number] ?? .zero(range.count)
    let entities = content.entities(range)
      .compactMap { entity in entity.detectors[detector].map { (entity.name, $0[0], $0[1]) } }
    return figures(
      detector, Int(line.total ?? 0), Int(line.previousTotal ?? 0), Int(content.sums(range).events), entities,
      hasPrevious, range, useCase)
  }

  private static func figures(
    ofClass name: String, _ content: FigureCache.Content, _ range: FigureRange, _ useCase: ServedUseCase
  ) -> Advice.Figures {
    let sums = content.sums(range)
    let line = content.classes(sums).first { $0.name == name }?.line ?? .zero(range.count)
    let now = content.classCounts(name, range)
    let before = content.classCounts(name, range.previous)
    let entities = now.map { ($0.key, Int($0.value), Int(before[$0.key] ?? 0)) }
    return figures(
      name, Int(line.total ?? 0), Int(line.previousTotal ?? 0), Int(sums.events), entities,
      content.hasPrevious(range), range, useCase)
  }

  /// - Parameter entities: name, number now and before.
  private static func figures(
    _ problem: String, _ total: Int, _ previous: Int, _ events: Int, _ entities: [(String, Int, Int)],
    _ hasPrevious: Bool, _ range: FigureRange, _ useCase: ServedUseCase
  ) -> Advice.Figures {
    // By how much worse it is; of equal ones the one with more, then the first by name.
    let worst = entities.filter { $0.1 > 0 }.min { a, b in
      let (first, second) = (hasPrevious ? a.1 - a.2 : a.1, hasPrevious ? b.1 - b.2 : b.1)
      if first != second { return first > second }
      return a.1 == b.1 ? (a.0.utf8.count, a.0) < (b.0.utf8.count, b.0) : a.1 > b.1
    }
    return Advice.Figures(
      total: total, previous: hasPrevious ? previous : nil, events: events, span: range.lengthText,
      before: range.beforeText,
      worst: worst.map { name, count, before in
        let key = name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? name
        return (name, count, hasPrevious ? before : nil, "/\(useCase.name)/entities/\(key)?problem=\(problem)")
      })
  }

  /// The events of the anomalies of a detector, with features.
  private static func events(
    of detector: String, _ useCase: ServedUseCase, _ range: FigureRange
  ) async throws -> [EventBatch] {
    var filter = ResultFilter()
    (filter.useCase, filter.name, filter.keys) = (useCase.name, detector, range.entities)
    (filter.from, filter.to, filter.limit) = (range.from, range.to, mostEvents)
    let records = try await useCase.store.reader.read { [filter] in try await $0.anomalies(filter) }
      .map { Array($0.event.utf8) }
    guard !records.isEmpty else { return [] }
    let raw = RawBatch(records, from: "stored")
    var (batch, failures) = (Decoder(schema: useCase.plan.schema.rendered).decode(raw).events, 0)
    useCase.plan.extend(&batch, failures: &failures)
    return [batch]
  }
}
