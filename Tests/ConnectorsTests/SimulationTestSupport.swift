// What the tests of simulations share: the definitions of the use cases, a small one, and a reader of flat JSON lines
// that is independent of the product's.

import Connectors
import Foundation

enum SimulationSamples {
  /// The `simulation.yaml` of a use case of this repository.
  static func useCase(_ name: String) throws -> SimulationDefinition {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = root.appending(path: "UseCases/\(name)/simulation.yaml")
    return try SimulationDefinition(yaml: String(contentsOf: file, encoding: .utf8), file: "\(name)/simulation.yaml")
  }

  /// A definition with one of everything.
  static let small = """
    name: small
    start: 2024-03-01T00:00:00Z
    arrivals:
      entities: 5
      events_per_day: 86400
      spread: {zipf: 1}
      daily: {amplitude: 0.5, peak_hour: 12}
      weekly: [1, 1, 1, 1, 1, 0.5, 0.5]
      phase_hours: 3
    late: {share: 0.01, by: {exponential: {mean: 60}}}
    values:
      size: {lognormal: {median: 100, sigma: 1}}
      mood: {choice: {calm: 0.7, "wild \\"one\\"": 0.3}}
      tier: {choice: {1: 0.5, 2: 0.5}, per: entity}
      rank: {zipf: {count: 50, exponent: 1.2}}
      base: {uniform: [10, 20], per: [entity, rank]}
      time: {normal: {mean: base * tier, sd: 2}, min: 0, max: 45}
      hits: {poisson: {mean: 3}}
      many: {poisson: {mean: 50}}
      wait: {exponential: {mean: 7}, when: mood = 'calm', else: -1}
      flag: {bernoulli: 0.25}
      pick: {integer: [1, 6]}
      span: {log_uniform: [1, 1000]}
    event:
      id: {int: row}
      who: {int: entity + 1}
      nth: {int: entity_row}
      at: {time: event_time}
      at_ms: {time: event_time, format: milliseconds}
      size: {decimal: size, digits: 2}
      mood: {text: mood}
      tier: {int: tier}
      base: {decimal: base}
      time: {decimal: time, digits: 0}
      hits: {int: hits}
      many: {int: many}
      wait: {decimal: wait, digits: 6}
      flag: {bool: flag}
      pick: {int: pick}
      span: {decimal: span}
      key: {hash: [entity, rank]}
      list: {list: {count: hits, from: [1, 9], per: [entity, rank]}}
      nothing: {int: "null"}
    label_fields: [id, mood]
    injections:
      - {name: blown_up, share: 0.1, when: flag, multiply: size, by: {log_uniform: [10, 100]}, keep_when: size >= 2000}
    labels:
      - {name: large, when: size >= 2000}
    broken:
      share: 0.01
      kinds:
        - {name: cut, truncate: true}
        - {name: prose, replace: "not an event"}
        - {name: unnamed, drop: id}
        - {name: odd, set: size, to: '"much"'}
        - {name: double, twice: who}
    """

  /// The members of a flat JSON object: numbers, literals and strings as they are written. Nil for anything else.
  static func members(_ line: ArraySlice<UInt8>) -> [(name: String, value: String)]? {
    var result: [(String, String)] = []
    var at = line.startIndex
    func quoted() -> String? {
      guard at < line.endIndex, line[at] == 0x22 else { return nil }
      let start = at
      at += 1
      while at < line.endIndex, line[at] != 0x22 { at += line[at] == 0x5C ? 2 : 1 }
      guard at < line.endIndex else { return nil }
      at += 1
      return String(decoding: line[start..<at], as: UTF8.self)
    }
    guard line.first == 0x7B, line.last == 0x7D else { return nil }
    at += 1
    while true {
      guard let name = quoted(), at < line.endIndex, line[at] == 0x3A else { return nil }
      at += 1
      guard at < line.endIndex else { return nil }
      if line[at] == 0x22 {
        guard let value = quoted() else { return nil }
        result.append((String(name.dropFirst().dropLast()), value))
      } else {
        let start = at
        while at < line.endIndex, line[at] != 0x2C, line[at] != 0x7D { at += 1 }
        result.append((String(name.dropFirst().dropLast()), String(decoding: line[start..<at], as: UTF8.self)))
      }
      guard at < line.endIndex else { return nil }
      if line[at] == 0x7D { return at + 1 == line.endIndex ? result : nil }
      guard line[at] == 0x2C else { return nil }
      at += 1
    }
  }
}

extension SimulatedEvents {
  func line(_ index: Int) -> ArraySlice<UInt8> { bytes[Int(starts[index])..<Int(ends[index])] }
}

/// The columns of many generated lines that a test needs, without the damaged ones.
struct SimulatedTable {
  var rows: [Int] = []
  var columns: [String: [String]] = [:]
  var labels: [Int: Label] = [:]

  init(_ definition: SimulationDefinition, seed: UInt64, count: Int, columns names: [String]) {
    var simulator = Simulator(definition, seed: seed)
    for name in names { columns[name] = [] }
    while simulator.row < count {
      let first = simulator.row
      let events = simulator.next(min(8192, count - first))
      for label in events.labels { labels[label.row] = label }
      for index in 0..<events.count where labels[first + index]?.kind.hasPrefix("broken") != true {
        guard let members = SimulationSamples.members(events.line(index)) else { continue }
        rows.append(first + index)
        for (name, value) in members { columns[name]?.append(value) }
      }
    }
  }

  /// A column as numbers; null is 0.
  func numbers(_ name: String) -> [Double] { (columns[name] ?? []).map { Double($0) ?? 0 } }
  func texts(_ name: String) -> [String] { columns[name] ?? [] }
}
