// The command: the composition root. Each verb is a file in Commands/; what they share (options, errors, printing) is
// beside this file. Results go to standard output, logs to standard error.

import ArgumentParser
import Configuration
import Detection
import Foundation
import Operations
import Pipeline

@main
struct Pulse: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pulse",
    abstract: "Real-time anomaly detection over event streams.",
    discussion: """
      A use case is a folder with a pipeline.yaml: what the events are and what to look for.

        pulse check redset                                     is it right?
        pulse simulate redset --events 100000 --to events.ndjson   make some events
        pulse run --use-case redset --source events.ndjson --data data
        pulse anomalies --data data                            what was found?

      Exit codes: 0 success; 1 a scenario of `pulse test` does not hold, or an error that nobody foresaw; 2 the use case \
      or configuration is wrong (what `pulse check` looks for); 3 the input cannot be read or is not the one read before; \
      4 the store or data directory cannot be used or is damaged; 5 a bound was reached; 6 an optional native part is \
      missing; 64 wrong usage.
      """,
    version: ProductVersion.current,
    subcommands: [
      Check.self, Infer.self, Run.self, Serve.self, Train.self, Models.self, Simulate.self, Replay.self, Topics.self,
      Test.self,
      Status.self, Anomalies.self, Explain.self, Evaluate.self, Windows.self, DeadLetters.self, List.self,
    ])

  static func main() async {
    Allocator.keepLargeBlocksApart()
    // A reader that goes away (`pulse anomalies | head`) ends the command quietly instead of killing it.
    signal(SIGPIPE, SIG_IGN)
    Terminal.holdStandardStreams()
    do {
      try refuseUnknownCommand(CommandLine.arguments.dropFirst().first)
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let error as OperatingError {
      Terminal.printError("pulse: error: \(error)")
      // Without the destructors of `exit`: a thread may still be at work in Arrow, which would abort without its pool.
      // Nothing is lost: what is printed is not buffered, and the last checkpoint stands.
      _exit(error.kind.rawValue)
    } catch let error as UseCaseNotFound {
      Terminal.printError("pulse: error: \(error)")
      Foundation.exit(OperatingError.Kind.configuration.rawValue)
    } catch let error as RequestError {
      end(with: ValidationError(error.description))
    } catch { end(with: error) }
  }

  /// As `exit(withError:)` ends the command, through our printer: an error repeats what was typed. Wrong usage is followed by
  /// how the command is used, whether the parser found it or the command itself.
  private static func end(with error: any Error) -> Never {
    let code = exitCode(for: error)
    let text =
      code == .validationFailure
      ? "Error: \(message(for: error))\n\(usage(for: CommandLine.arguments.dropFirst()))" : fullMessage(for: error)
    if !text.isEmpty { if code.isSuccess { Terminal.print(text) } else { Terminal.printError(text) } }
    Foundation.exit(code.rawValue)
  }

  /// How the command is used that these arguments begin with, and where all of its options are explained.
  private static func usage(for arguments: some Sequence<String>) -> String {
    var command: any ParsableCommand.Type = Self.self
    var words = ["pulse", "help"]
    for word in arguments {
      guard let next = command.configuration.subcommands.first(where: { $0._commandName == word }) else { break }
      command = next
      words.append(word)
    }
    return "Usage: \(usageString(for: command))\n`\(words.joined(separator: " "))` explains it."
  }

  /// A command that is none is answered with the nearest one.
  private static func refuseUnknownCommand(_ word: String?) throws {
    let commands = configuration.subcommands.compactMap { $0._commandName } + ["help"]
    guard let word, !word.hasPrefix("-"), !commands.contains(word) else { return }
    let near = nearest(to: word, among: commands).map { "; did you mean `\($0)`?" } ?? ""
    throw ValidationError("there is no command `\(word)`\(near)")
  }
}
