// `pulse train`: fits the learned detectors of a use case to its stored history, in a process of its own.

import ArgumentParser
import Connectors
import Detection
import Foundation
import Learning
import Operations
import Pipeline

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train the learned detectors of a use case from its stored history.",
    discussion: """
      Reads the history files of the last days (`training: {history: …}`), learns from the older part, calibrates with \
      the next, and judges the candidate by the newest. One that passes becomes the champion: a run on the same data \
      directory goes on with it, without a pause. A run also starts trainings itself, on the use case's schedule.

        pulse train redset --data data
        pulse train redset --data data --detector slow_query --no-promote
        pulse models list redset --data data
      """)

  @Argument(help: "The use case: a directory, or the name of one under UseCases/.")
  var useCase: String

  @OptionGroup var place: PlaceOptions

  @Option(help: "Only this detector. May be repeated.")
  var detector: [String] = []

  @Option(parsing: .unconditional, help: "The same seed over the same history gives the same model (default: 1).")
  var seed: UInt64 = 1

  @Option(parsing: .unconditional, help: "Threads that grow trees; the model does not depend on it (default: 1).")
  var threads = 1

  @Option(parsing: .unconditional, help: "Megabytes that the events read may take in memory (default: 4096).")
  var maxMemory = 4096

  @Flag(inversion: .prefixedNo, help: "Make a candidate that passes the champion.")
  var promote = true

  @Flag(help: "No progress and no report.")
  var quiet = false

  @Flag(help: "Print the report as one JSON object.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "Take only processor time that nobody else wants, and end with this process, which started this one.",
      visibility: .hidden))
  var background: Int32?

  @Flag(help: ArgumentHelp("Say on standard error how far it is, a line at a time.", visibility: .hidden))
  var reportProgress = false

  func validate() throws {
    guard (1...1024).contains(threads) else { throw ValidationError("--threads must be 1 to 1024, found \(threads)") }
    guard (16...(1 << 20)).contains(maxMemory) else {
      throw ValidationError("--max-memory must be 16 to \(1 << 20) megabytes, found \(maxMemory)")
    }
    if json && quiet { throw ValidationError("--json prints the report, which --quiet leaves out: choose one") }
  }

  func run() throws {
    // A run that starts a training has its own ways with signals, and a child inherits them, blocked ones too.
    signal(SIGTERM, SIG_DFL)
    signal(SIGINT, SIG_DFL)
    var none = sigset_t()
    sigemptyset(&none)
    sigprocmask(SIG_SETMASK, &none, nil)
    Self.giveWay(completely: background != nil)
    let useCase = try LoadedUseCase(useCase)
    let store = try place.reader()
    let name = useCase.plan.useCase.name
    var options = ModelTrainer.Options()
    options.detectors = detector.isEmpty ? nil : Set(detector)
    options.seed = seed
    options.threads = threads
    options.promotes = promote
    options.maxBytes = maxMemory << 20
    let training = TrainingOperation(
      of: useCase, in: store.directory, options: options, patience: background == nil ? .zero : Self.patience)
    var rest = Rest()
    var report = TrainingReport(isShown: !quiet && Terminal.isInteractive)
    let outcomes = try training.run(from: store.archive(of: name), checkIsWanted: checkParent) { progress in
      try checkParent()
      if background != nil { rest.take() }
      report.show(progress)
      if reportProgress { Terminal.printError("\(ProcessTrainer.mark)\(progress.share)") }
    }
    report.clear()
    if json {
      Terminal.print(json: try TrainingReport.json(outcomes, useCase: name))
    } else if !quiet {
      // Those that failed are said once, as what the command ends with.
      for outcome in outcomes where outcome.result != .failed { Terminal.print(TrainingReport.text(outcome)) }
    }
    let failed = outcomes.filter { $0.result == .failed }
    guard failed.isEmpty else {
      throw OperatingError(
        failed.lazy.compactMap(\.error).first ?? .input,
        failed.map { "no model for \($0.detector): \($0.message)" }.joined(separator: "\npulse: error: "))
    }
  }

  /// A run that was killed could not say so; the one that takes its place starts a training of its own.
  private func checkParent() throws {
    guard let background, getppid() != background else { return }
    throw OperatingError(.input, "the run that this training is of has ended")
  }

  /// A training takes what scoring leaves: of the processor, and when memory runs out it is the one to go.
  private static func giveWay(completely: Bool) {
    #if canImport(Glibc)
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
      // sched(7); the header's constant is hidden behind _GNU_SOURCE.
      let idlePolicy: Int32 = 5
      var parameters = sched_param()
      if completely { _ = sched_setscheduler(0, idlePolicy, &parameters) }
      try? Data("900".utf8).write(to: URL(fileURLWithPath: "/proc/self/oom_score_adj"))
    #endif
  }

  /// A run's training waits so long for another one to end: that of a run that was killed takes a while to notice.
  private static let patience = Duration.seconds(60)
}

/// The pauses of a run's training. Lowest priority alone leaves scoring the processors, but not their caches, and not the
/// half of a core that two processors share: beside a training without pauses the 99th percentile of latency was 1.1 to
/// 1.2 times as long. Nobody waits for a training: it works a quarter of the time.
private struct Rest {
  /// By the processor time used since the last pause.
  static let factor = 3.0
  /// One pause at most, seconds: a signal or the end of the run is noticed behind it.
  static let longest = 2.0

  private var used = Self.processorSeconds

  mutating func take() {
    Thread.sleep(forTimeInterval: min(max(Self.processorSeconds - used, 0) * Self.factor, Self.longest))
    used = Self.processorSeconds
  }

  private static var processorSeconds: Double {
    // POSIX counts a million a second.
    Double(clock()) / 1e6
  }
}
