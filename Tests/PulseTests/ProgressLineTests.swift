// The line that shows how a run is going, on terminals of different widths.

import Foundation
import TestKit
import Testing

@Suite("Progress line")
struct ProgressLineTests {
  /// A terminal that nobody looks at.
  private final class Terminal {
    let path: String
    private let master: Int32
    /// Keeps the terminal open while nobody else has it.
    private let user: Int32

    init(columns: UInt16) throws {
      var size = winsize()
      size.ws_col = columns
      size.ws_row = columns == 0 ? 0 : 24
      var (first, second): (Int32, Int32) = (-1, -1)
      var name = [CChar](repeating: 0, count: 256)
      guard openpty(&first, &second, &name, nil, &size) == 0 else { throw CommandError("no terminal can be made") }
      (master, user) = (first, second)
      path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      _ = fcntl(master, F_SETFL, O_NONBLOCK)
    }

    deinit {
      close(user)
      close(master)
    }

    /// What has been written since the last time.
    func read() -> String {
      var text: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = Foundation.read(master, &buffer, buffer.count)
        if count <= 0 { return String(decoding: text, as: UTF8.self) }
        text += buffer[..<count]
      }
    }
  }

  @Test(
    "it stays in one line, and shows what there is room for",
    arguments: [
      (20, 20, ["1,992 events"], ["dead", "calm"]), (40, 40, ["1,992 events", "anomalies"], ["calm"]),
      (80, 80, ["1,992 events", "anomalies", "dead letters"], ["busy"]),
      (200, 200, ["1,992 events", "anomalies", "dead letters", "at 2024-03-01T", "calm", "busy"], []),
      // A terminal that does not know its width.
      (0, 50, ["1,992 events"], ["calm"]),
    ] as [(UInt16, Int, [String], [String])])
  func widths(_ columns: UInt16, _ width: Int, _ shown: [String], _ dropped: [String]) throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<2000))
    let terminal = try Terminal(columns: columns)
    let running = try RunningCommand(
      [PulseCommand.path] + Trail.arguments(folder, ["events.ndjson"]) + ["--follow", "--idle-timeout", "1"],
      terminal: terminal.path, environment: columns == 0 ? ["COLUMNS": String(width)] : [:])
    var text = ""
    let ended = poll {
      text += terminal.read()
      return !running.isRunning
    }
    #expect(ended)
    text += terminal.read()
    // Each refresh goes back to the beginning of the line and clears it.
    let lines = text.components(separatedBy: "\r\u{1B}[K").filter { !$0.isEmpty }
    #expect(lines.count > 1)
    for line in lines {
      #expect(!line.contains("\n") && line.count < width, "\(line.count) characters: \(line)")
    }
    let last = try #require(lines.last)
    for part in shown { #expect(last.contains(part), "\(last)") }
    for part in dropped { #expect(!last.contains(part), "\(last)") }
  }
}
