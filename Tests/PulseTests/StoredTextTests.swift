// Text with a NUL in it is another text than its beginning: in keys, groups of windows, reasons and definitions.

import Foundation
import TestKit
import Testing

@Suite("Text with a NUL")
struct StoredTextTests {
  @Test("is stored and listed whole, and is not found under its beginning")
  func whole() throws {
    let folder = try Trail.folder {
      // A definition with a NUL, too: what stands behind it counts when state is continued.
      $0.replacingOccurrences(of: "having: count(*) >= 3", with: #"having: "count(*) >= 3 AND 'a\0b' <> 'a\0c'""#)
        .replacingOccurrences(
          of: "note: {type: string}", with: "note: {type: string, max_length: 100, allowed: [fine]}")
    }
    func event(_ host: String, _ index: Int, note: String = "") -> String {
      #"{"at":"\#(Trail.time(index))","host":"\#(host)","load":99\#(note)}"# + "\n"
    }
    let odd = #"a\u0000b"#
    var text = ""
    for index in 0..<10 { text += event(index % 2 == 0 ? odd : "a", index) }
    text += event(odd, 10, note: #","note":"x\u0000y""#)
    try folder.write("events.ndjson", text)
    try Trail.run(folder, "events.ndjson").expect(0)

    func rows(_ arguments: String...) throws -> [[String: Any]] {
      try PulseCommand.run(arguments + ["--data", folder / "data", "--json", "--limit", "0"]).rows()
    }
    let anomalies = try rows("anomalies")
    #expect(anomalies.compactMap { $0["key"] as? String }.count { $0 == "a\0b" } == anomalies.count / 2)
    // A reason is a sentence: it shows the NUL.
    #expect(anomalies.contains { ($0["reason"] as? String)?.hasSuffix(" on a␀b") == true })
    let ofA = try rows("anomalies", "--key", "a")
    #expect(ofA.count == anomalies.count / 2 && ofA.allSatisfy { ($0["key"] as? String) == "a" })
    let hosts = try rows("windows", "--window", "minutes").compactMap { $0["host"] as? String }
    #expect(Set(hosts) == ["a", "a\0b"])
    let letter = try #require(try rows("dead-letters").first)
    #expect((letter["message"] as? String)?.contains("x\0y") == true, "\(letter)")
    for command in ["anomalies", "windows", "dead-letters"] {
      let table = try PulseCommand.run(command, "--data", folder / "data")
      table.expect(0)
      #expect(!table.output.utf8.contains(0))
    }
    // The rule's state goes on, although its definition has a NUL.
    try folder.write("more.ndjson", text)
    let again = try Trail.run(folder, "events.ndjson")
    again.expect(0)
    #expect(!again.errors.contains("left behind"), "\(again)")
    try PulseCommand.run("check", "--data", folder / "data").expect(0)
  }
}
