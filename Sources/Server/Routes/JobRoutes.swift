// Work that takes longer than a request: it is asked for, watched and given up.

import Detection
import HTTPTypes
import Pipeline

struct JobRoutes {
  let services: Services

  private static let base = "/api/v1/use-cases/{use_case}"
  private static let number = Parameter("job", in: .path, "The job.", .integerText)
  /// Jobs that a list looks through.
  private static let mostLooked = 1_000

  var endpoints: [Endpoint] { [train, list, one, cancel] }

  static let schemas: [(name: String, schema: JSONSchema)] = [("Job", TrainingJob.schema)]

  private var train: Endpoint {
    let body = JSONSchema.object([
      ("detectors?", .array(.string(upTo: 100), upTo: 100)),
      ("promote?", .boolean.saying("Whether a candidate that passes its gate becomes the champion (default: yes).")),
    ])
    return Endpoint(
      method: .post, path: Self.base + "/models/train", tag: "models",
      summary: "Has models trained from history, in a process of its own",
      details: "The answer comes at once. Where the same training of the use case waits or goes on, it is that one.",
      access: .admin, parameters: [Parameters.useCase],
      body: Endpoint.Body(content: [.json(body, example: #"{"promote":true}"#)], most: 16 << 10, isRequired: false),
      answers: [.init(.accepted, "The job.", .json(.reference("Job")))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        return try await Self.train(call, useCase, canTrain: services.canTrain)
      })
  }

  private static func train(_ call: Call, _ useCase: ServedUseCase, canTrain: Bool) async throws -> Reply {
    let learned = useCase.plan.useCase.detectors.filter(\.isTrained).map(\.name)
    guard !learned.isEmpty else {
      throw Problem(.conflict, "There is nothing to train", "No detector of the use case learns.")
    }
    guard canTrain, useCase.folder != nil else {
      throw Problem(
        .conflict, "This server cannot train it",
        "It does not know the folder of the use case. Train it with `pulse train`.")
    }
    let detectors = call.json?["detectors"]?.array?.compactMap(\.string) ?? []
    for detector in detectors where !learned.contains(detector) {
      throw Problem.unknown("learned detector", detector, among: learned)
    }
    let promotes = call.json?["promote"]?.bool ?? true
    let arguments = TrainingJob.arguments(useCase.name, detectors, promotes: promotes)
    let actions = useCase.store.actions
    let job = try await actions.createJob(
      TrainingJob.kind, arguments: arguments, key: TrainingJob.key(useCase.name), by: call.caller.name, at: call.time)
    guard job.arguments == arguments else {
      throw Problem(
        .conflict, "Another training is under way",
        "Job \(job.number) trains with other wishes. Wait for it, or give it up.")
    }
    if job.created == call.time {
      _ = try await actions.append(call.audited("models.train", useCase.name, before: nil, after: arguments))
    }
    return Reply(
      TrainingJob(job)?.json ?? "{}", status: .accepted,
      headers: [.location: "/api/v1/use-cases/\(call.path("use_case"))/jobs/\(job.number)"], caching: .never)
  }

  private var list: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/jobs", tag: "models", summary: "What was asked for, newest first",
      access: .read, parameters: [Parameters.useCase, Parameters.limit],
      answers: [.init(.ok, "Jobs.", .json(Parameters.page(of: .reference("Job"))))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let jobs = try await useCase.store.actions.jobs(before: nil, limit: Self.mostLooked)
          .compactMap { TrainingJob($0) }.filter { $0.useCase == useCase.name }.prefix(call.integer("limit") ?? 50)
        return Reply(Parameters.page(jobs.map(\.json), total: nil, next: nil), caching: .never)
      })
  }

  private var one: Endpoint {
    Endpoint(
      method: .get, path: Self.base + "/jobs/{job}", tag: "models", summary: "How far a job is", access: .read,
      parameters: [Parameters.useCase, Self.number], answers: [.init(.ok, "The job.", .json(.reference("Job")))],
      respond: { [services] call in
        Reply(try await Self.job(call, try services.catalog.useCase(of: call)).json, caching: .never)
      })
  }

  private var cancel: Endpoint {
    Endpoint(
      method: .delete, path: Self.base + "/jobs/{job}", tag: "models", summary: "Gives a job up", access: .admin,
      parameters: [Parameters.useCase, Self.number], answers: [.init(.ok, "The job.", .json(.reference("Job")))],
      respond: { [services] call in
        let useCase = try services.catalog.useCase(of: call)
        let before = try await Self.job(call, useCase)
        let actions = useCase.store.actions
        let state = try await actions.cancelJob(before.job.number, at: call.time)
        _ = try await actions.append(
          call.audited(
            "jobs.cancel", "\(useCase.name)/\(before.job.number)", before: JSONText.string(before.job.state.rawValue),
            after: JSONText.optional(state?.rawValue)))
        return Reply(try await Self.job(call, useCase).json, caching: .never)
      })
  }

  private static func job(_ call: Call, _ useCase: ServedUseCase) async throws -> TrainingJob {
    let text = call.path("job")
    guard let number = Int64(text), let job = try await useCase.store.actions.job(number).flatMap({ TrainingJob($0) }),
      job.useCase == useCase.name
    else { throw Problem.notFound("There is no job \(text.prefix(40)).") }
    return job
  }
}
