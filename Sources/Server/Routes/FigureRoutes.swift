// Figures, classes, detectors and entities over time, each beside the span of the same length before.

import Detection
import HTTPTypes

struct FigureRoutes {
  let services: Services

  private static let base = "/api/v1/use-cases/{use_case}"
  private static let parameters = [Parameters.useCase] + FigureRange.parameters

  var endpoints: [Endpoint] { [summary, classes, table, anomalies, entities, critical, problems] }

  static let schemas: [(name: String, schema: JSONSchema)] = [
    ("Figure", .object(figureMembers)), ("Entity", .object(entityMembers)),
  ]

  private static func over(_ series: JSONSchema, _ more: [(String, JSONSchema)] = []) -> JSONSchema {
    .object(FigureRange.schemaMembers + more + [("series", .array(series))])
  }

  /// What a request asks of the numbers.
  private struct Question: Sendable {
    var call: Call
    var useCase: ServedUseCase
    var range: FigureRange
    var content: FigureCache.Content
    /// Whether there is anything of the span before.
    var hasPrevious: Bool
  }

  /// Answers with the span that was asked for, and the members that `body` makes.
  private func answer(
    _ body: @escaping @Sendable (Question) throws -> [(String, String)]
  ) -> @Sendable (Call) async throws -> Reply {
    { [services] call in
      let useCase = try services.catalog.useCase(of: call)
      let range = try FigureRange(call, until: useCase.figures.dataUntil)
      let content = try useCase.figures.now
      let question = Question(
        call: call, useCase: useCase, range: range, content: content, hasPrevious: content.hasPrevious(range))
      return Reply(
        JSONText.object(
          range.members(hasPrevious: question.hasPrevious, knownFrom: content.knownFrom) + (try body(question))))
    }
  }

  // MARK: Figures

  private static let figureMembers: [(String, JSONSchema)] =
    [("name", .string), ("label", .string), ("unit", JSONSchema.string.nullable)] + FigureLine.schemaMembers + [
      (
        "rate",
        JSONSchema.object([
          ("value", JSONSchema.number.nullable), ("unit", JSONSchema.string.nullable), ("of", .string),
        ]).nullable.saying("By event.")
      ), ("about", JSONSchema.string.nullable),
    ]

  private var summary: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/metrics/summary", tag: "figures",
      summary: "The figures of the use case, and what they were in the span before", access: .read,
      parameters: Self.parameters,
      answers: [
        .init(
          .ok, "What it comes to, and a line for each figure.",
          .json(Self.over(.reference("Figure"), [("headline", Headline.schema)])))
      ],
      respond: answer { question in
        let sums = question.content.sums(question.range)
        let series = question.useCase.dashboard.figures.map { figure in
          Self.json(
            figure, question.content.figure(figure, question.range, sums), Double(sums.events), question.hasPrevious,
            question.useCase)
        }
        let headline = Headline(question.content, question.range, question.useCase.dashboard)
        return [("headline", headline.json), ("series", JSONText.array(series))]
      })
  }

  private static func json(
    _ figure: DashboardDefinition.Figure, _ line: FigureLine, _ events: Double, _ hasPrevious: Bool,
    _ useCase: ServedUseCase
  ) -> String {
    var rate = "null"
    switch figure.kind {
    case .sum, .anomalies:
      let isCount = figure.kind == .anomalies
      let value = line.total.flatMap { events > 0 ? $0 / events : nil }
      rate = JSONText.object([
        ("value", value.map(JSONText.number) ?? "null"),
        ("unit", JSONText.optional(isCount ? "per_thousand" : figure.unit)),
        ("of", JSONText.string(isCount ? useCase.dashboard.event.many : "a \(useCase.dashboard.event.one)")),
      ])
    case .share, .ratio, .mean, .events: break
    }
    return JSONText.object(
      [
        ("name", JSONText.string(figure.name)), ("label", JSONText.string(figure.label)),
        ("unit", JSONText.optional(figure.kind == .anomalies ? "count" : figure.unit)),
      ] + line.members(hasPrevious: hasPrevious) + [("rate", rate), ("about", JSONText.optional(figure.about))])
  }

  // MARK: Classes and detectors

  private var classes: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/classification/series", tag: "figures",
      summary: "Events by class over time", access: .read, parameters: Self.parameters,
      answers: [
        .init(.ok, "A line for each class.", .json(Self.over(.object([("name", .string)] + FigureLine.schemaMembers))))
      ],
      respond: answer { question in
        let series = question.content.classes(question.content.sums(question.range)).map { name, line in
          JSONText.object([("name", JSONText.string(name))] + line.members(hasPrevious: question.hasPrevious))
        }
        return [("series", JSONText.array(series))]
      })
  }

  private var table: Endpoint {
    let row = JSONSchema.object([
      ("name", .string), ("events", .count), ("share", JSONSchema.number.nullable),
      ("previous_share", JSONSchema.number.nullable),
    ])
    return Endpoint(
      method: .get, path: Self.base + "/classification/table", tag: "figures",
      summary: "Events by class in numbers", access: .read, parameters: Self.parameters,
      answers: [
        .init(.ok, "A row for each class.", .json(.object(FigureRange.schemaMembers + [("items", .array(row))])))
      ],
      respond: answer { question in
        let classes = question.content.classes(question.content.sums(question.range))
        let all = classes.reduce(0) { $0 + ($1.line.total ?? 0) }
        let before = classes.reduce(0) { $0 + ($1.line.previousTotal ?? 0) }
        let rows = classes.map { name, line in
          JSONText.object([
            ("name", JSONText.string(name)), ("events", FigureLine.number(line.total ?? 0)),
            ("share", all > 0 ? JSONText.number((line.total ?? 0) / all) : "null"),
            (
              "previous_share",
              question.hasPrevious && before > 0 ? JSONText.number((line.previousTotal ?? 0) / before) : "null"
            ),
          ])
        }
        return [("items", JSONText.array(rows))]
      })
  }

  private var anomalies: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/anomalies/series", tag: "figures", summary: "Anomalies over time",
      access: .read,
      parameters: Self.parameters + [
        Parameter("by", "What makes a line.", .string(among: ["detector", "severity"]), standard: "detector")
      ],
      answers: [
        .init(
          .ok, "A line for each.",
          .json(Self.over(.object([("name", .string), ("severity", .string)] + FigureLine.schemaMembers))))
      ],
      respond: answer { question in
        let isBySeverity = question.call.string("by") == "severity"
        let lines = Self.lines(question.content, question.range, isBySeverity: isBySeverity, of: question.useCase)
        let series = lines.map { name, severity, line in
          JSONText.object(
            [("name", JSONText.string(name)), ("severity", JSONText.string(severity))]
              + line.members(hasPrevious: question.hasPrevious))
        }
        return [("series", JSONText.array(series))]
      })
  }

  /// Those that the use case has come first, in its order; others that were found under earlier definitions behind them.
  private static func lines(
    _ content: FigureCache.Content, _ range: FigureRange, isBySeverity: Bool, of useCase: ServedUseCase
  ) -> [(name: String, severity: String, line: FigureLine)] {
    if isBySeverity {
      let counts = content.counts(range, by: .severity)
      return Severity.allCases.enumerated().reversed().map { index, severity in
        (severity.rawValue, severity.rawValue, counts[index] ?? .zero(range.count))
      }
    }
    let counts = content.counts(range, by: .detector)
    let definition = useCase.plan.useCase
    var severities = definition.detectors.map { ($0.name, $0.severity) }
    severities += definition.rules.map { ($0.name, $0.severity) }
    // The gravest first; of equal ones as they stand.
    severities = Array(
      severities.enumerated().sorted { a, b in
        a.element.1 == b.element.1 ? a.offset < b.offset : a.element.1 > b.element.1
      }.map(\.element))
    let known = Set(severities.map(\.0))
    severities += content.anomalies.detectors.names.filter { !known.contains($0) }.map { ($0, .info) }
    return severities.compactMap { name, severity in
      let line = content.anomalies.detectors.index(of: name).flatMap { counts[$0] }
      if line == nil, !known.contains(name) { return nil }
      return (name, severity.rawValue, line ?? .zero(range.count))
    }
  }

  // MARK: Entities

  private static let rule = JSONSchema.object([
    ("least_severe", .count), ("factor", .number), ("problem_share", JSONSchema.number.nullable),
    ("problem_count", JSONSchema.count.nullable),
  ]).saying("When an entity is critical.")

  private static let entityMembers: [(String, JSONSchema)] =
    [
      ("name", .string), ("critical", .boolean), ("severe", .count), ("previous_severe", JSONSchema.count.nullable),
      ("detectors", .map(.array(.count, upTo: 2)).saying("Anomalies now and before, by detector.")),
    ] + FigureLine.schemaMembers

  private var entities: Endpoint { entities("/entities", onlyCritical: false, "Entities, those in trouble first") }
  private var critical: Endpoint { entities("/entities/critical", onlyCritical: true, "Entities in trouble") }

  private func entities(_ path: String, onlyCritical: Bool, _ summary: String) -> Endpoint {
    Endpoint(
      method: .get, path: Self.base + path, tag: "figures", summary: summary, access: .read,
      parameters: Self.parameters,
      answers: [.init(.ok, "A line for each.", .json(Self.over(.reference("Entity"), [("rule", Self.rule)])))],
      respond: answer { question in
        let critical = question.useCase.dashboard.critical
        let known = question.range.entities?.count ?? question.content.windows.entities.names.count
        guard known * question.range.count <= Self.mostNumbers else {
          throw Problem(
            .badRequest, "That is too much at once",
            "\(known) entities over \(question.range.count) steps: name `entities`, or take a longer `step`.")
        }
        let rows = question.content.judged(question.range, critical)
          .filter { !onlyCritical || $0.isCritical }
        let rule = JSONText.object([
          ("least_severe", String(critical.leastSevere(in: question.range))),
          ("factor", JSONText.number(critical.factor)),
          ("problem_share", critical.problemShare.map(JSONText.number) ?? "null"),
          ("problem_count", critical.problemCount.map { String($0) } ?? "null"),
        ])
        return [("rule", rule), ("series", JSONText.array(rows.map { Self.json($0, question.hasPrevious) }))]
      })
  }

  /// Numbers of lines in one answer at most, of the span and of the one before each.
  private static let mostNumbers = 2_000_000

  private static func json(_ entity: JudgedEntity, _ hasPrevious: Bool) -> String {
    let figures = entity.figures
    let detectors = figures.detectors.sorted { $0.key < $1.key }.map { name, counts in
      (name, JSONText.array(counts.map { String($0) }))
    }
    return JSONText.object(
      [
        ("name", JSONText.string(figures.name)), ("critical", entity.isCritical ? "true" : "false"),
        ("severe", String(figures.severe)), ("previous_severe", hasPrevious ? String(figures.previousSevere) : "null"),
        ("detectors", JSONText.object(detectors)),
      ] + figures.line.members(hasPrevious: hasPrevious))
  }

  // MARK: Problems

  private var problems: Endpoint {
    let row = JSONSchema.object([
      ("name", .string), ("kind", .string(among: ["class", "detector"])), ("severity", .string), ("count", .count),
      ("previous", JSONSchema.count.nullable),
    ])
    return Endpoint(
      method: .get, path: Self.base + "/problems", tag: "figures",
      summary: "What is wrong most: detectors by severity and number, then classes by number", access: .read,
      parameters: Self.parameters,
      answers: [.init(.ok, "The gravest first.", .json(.object(FigureRange.schemaMembers + [("items", .array(row))])))],
      respond: answer { question in
        let found = Self.lines(question.content, question.range, isBySeverity: false, of: question.useCase)
          .filter { ($0.line.total ?? 0) > 0 }
          .sorted { a, b in
            let (first, second) = (Severity(rawValue: a.severity) ?? .info, Severity(rawValue: b.severity) ?? .info)
            return first == second ? (a.line.total ?? 0) > (b.line.total ?? 0) : first > second
          }
        let classes = question.content.classes(question.content.sums(question.range)).dropLast()
          .filter { ($0.line.total ?? 0) > 0 }
          .sorted { ($0.line.total ?? 0) > ($1.line.total ?? 0) }
        func row(_ name: String, _ kind: String, _ severity: String, _ line: FigureLine) -> String {
          JSONText.object([
            ("name", JSONText.string(name)), ("kind", JSONText.string(kind)),
            ("severity", JSONText.string(severity)), ("count", FigureLine.number(line.total ?? 0)),
            ("previous", question.hasPrevious ? FigureLine.number(line.previousTotal ?? 0) : "null"),
          ])
        }
        let items =
          found.map { row($0.name, "detector", $0.severity, $0.line) }
          + classes.map { row($0.name, "class", "info", $0.line) }
        return [("items", JSONText.array(items))]
      })
  }
}
