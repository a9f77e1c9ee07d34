// Dead letters again: whether they would pass now, and handing in those that do.

import Configuration
import Detection
import HTTPTypes
import Operations
import Pipeline

struct ReplayRoutes {
  let services: Services

  private static let base = "/api/v1/use-cases/{use_case}/dead-letters"
  private static let mostListed = 100

  var endpoints: [Endpoint] { [dryRun, replay] }

  /// Dead letters that are asked for, with what is wrong with them now.
  private struct Trial: Sendable {
    var replay: DeadLetterReplay
    /// By index.
    var problems: [Int: InvalidEvent]

    var passing: Int { replay.letters.count - problems.count }
  }

  /// - Parameter again: whether those count that have come again before.
  private static func trial(
    _ call: Call, _ useCase: ServedUseCase, again: Bool, by worker: PredictionWorker? = nil
  ) async throws -> Trial {
    var filter = call.filter(of: useCase)
    filter.name = call.string("reason")
    let replay = try await DeadLetterReplay.read(filter, from: useCase.store.reader, again: again) {
      ResultRoutes.isWanted($0, call)
    }
    let found: [InvalidEvent]
    if let worker {
      found = await worker.problems(of: replay.records)
    } else {
      found = await useCase.predictor.problems(of: replay.records)
    }
    return Trial(
      replay: replay, problems: Dictionary(found.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first }))
  }

  // MARK: Would they pass?

  private var dryRun: Endpoint {
    let body = JSONSchema.object([
      ("configuration?", .string(upTo: 1 << 20).saying("The text of a pipeline.yaml, in place of the one in use."))
    ])
    let item = JSONSchema.object([
      ("id", .string), ("passes", .boolean), ("reason", JSONSchema.string.nullable),
      ("message", JSONSchema.string.nullable),
    ])
    let answer = JSONSchema.object([
      ("configuration", .string.saying("The digits of the one that was tried.")),
      ("is_current", .boolean), ("tried", .count), ("passing", .count),
      ("partial", .count.saying("Those of which only a part is kept: nobody can tell.")),
      ("can_replay", .boolean.saying("Whether a run reads what is handed in.")),
      ("remaining", .array(.object([("reason", .string), ("count", .count)]))), ("items", .array(item)),
    ])
    return Endpoint(
      method: .post, path: Self.base + "/dry-run", tag: "results",
      summary: "Whether dead letters would pass now. Nothing is stored",
      details:
        "The last \(DeadLetterReplay.most) that match (and 16 MiB of them), read as JSON; the first \(Self.mostListed) of them "
        + "one by one.",
      access: .read, parameters: ResultRoutes.letterParameters,
      body: Endpoint.Body(content: [.json(body, example: "{}")], most: 2 << 20, isRequired: false),
      answers: [.init(.ok, "How many would pass, and why others would not.", .json(answer))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        return Reply(try await Self.dryRun(call, useCase, services), caching: .never)
      })
  }

  private static func dryRun(_ call: Call, _ useCase: ServedUseCase, _ services: Services) async throws -> String {
    let text = call.json?["configuration"]?.string
    let worker = try text.map { text throws(Problem) in
      let check = UseCaseChecker.check(text: text)
      guard let plan = check.plan else {
        throw Problem(.unprocessableContent, "The configuration is wrong", check.rendered)
      }
      return PredictionWorker(plan)
    }
    let trial = try await trial(call, useCase, again: true, by: worker)
    var remaining: [String: Int] = [:]
    for problem in trial.problems.values { remaining[problem.reason, default: 0] += 1 }
    let letters = trial.replay.letters
    let items = letters.indices.prefix(mostListed).map { index in
      JSONText.object([
        ("id", JSONText.string(letters[index].id)), ("passes", trial.problems[index] == nil ? "true" : "false"),
        ("reason", JSONText.optional(trial.problems[index]?.reason)),
        ("message", JSONText.optional(trial.problems[index]?.message)),
      ])
    }
    let reasons = remaining.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
      JSONText.object([("reason", JSONText.string($0.key)), ("count", String($0.value))])
    }
    return JSONText.object([
      ("configuration", JSONText.string(useCase.digits(of: text ?? useCase.text))),
      ("is_current", text == nil || text == useCase.text ? "true" : "false"), ("tried", String(letters.count)),
      ("passing", String(trial.passing)), ("partial", String(trial.replay.partial)),
      ("can_replay", services.refusal(of: useCase) == nil ? "true" : "false"), ("remaining", JSONText.array(reasons)),
      ("items", JSONText.array(items)),
    ])
  }

  // MARK: Once more

  private var replay: Endpoint {
    let answer = JSONSchema.object([
      ("handed_in", .count), ("repeated", .count.saying("Those that were handed in within the last day.")),
      ("refused", .count.saying("Those that would not pass.")), ("partial", .count),
      ("looped", .count.saying("Those that have come again before and failed again, unless `again` is set.")),
    ])
    return Endpoint(
      method: .post, path: Self.base + "/replay", tag: "results",
      summary: "Hands in the dead letters that would pass now",
      details: """
        They are read like new events, at their own event time: behind the watermark they are late. A dead letter stays \
        where it is, and is handed in once a day at most. One over a Kafka topic goes back to its topic, with its key, its time \
        and its headers, and the header `\(DeadLetterReplay.header)`. The last \(DeadLetterReplay.most) that match.
        """,
      access: .write,
      parameters: ResultRoutes.letterParameters + [
        Parameter("again", "Take also those that have come again before.", .boolean, standard: "false")
      ],
      answers: [.init(.accepted, "They are taken.", .json(answer))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        if let refusal = services.refusal(of: useCase) { throw refusal }
        return try await Self.replay(call, useCase)
      })
  }

  private static func replay(_ call: Call, _ useCase: ServedUseCase) async throws -> Reply {
    let trial = try await trial(call, useCase, again: call.bool("again"))
    let actions = useCase.store.actions
    var became = DeadLetterReplay.Counts()
    var failure: (any Error)?
    do {
      try await trial.replay.handIn(
        without: Set(trial.problems.keys), to: useCase.name, in: actions, at: call.time, counts: &became)
    } catch { failure = error }
    let counts = JSONText.object([
      ("handed_in", String(became.taken)), ("repeated", String(became.repeated)),
      ("refused", String(trial.problems.count)), ("partial", String(trial.replay.partial)),
      ("looped", String(trial.replay.looped)),
    ])
    // What was taken before it was cut short is on record too, whatever becomes of the request.
    let line = call.audited("dead_letters.replay", useCase.name, before: nil, after: counts)
    _ = try await Task { try await actions.append(line) }.value
    if let failure { throw failure }
    return Reply(counts, status: .accepted, caching: .never)
  }
}
