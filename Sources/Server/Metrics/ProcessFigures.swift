// What the process takes, under the names that are customary for it
// (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics), as Linux tells it in /proc.

import Foundation

/// Figures of this process.
enum ProcessFigures {
  /// Empty where the system does not tell them in this way.
  static func families() -> [MetricFamily] {
    var families = MetricFamilies()
    // Behind the name of the program, which may hold anything: its state, then numbers. The first of them is field 3.
    guard let stat = text("/proc/self/stat"), let end = stat.lastIndex(of: ")") else { return [] }
    let fields = stat[stat.index(after: end)...].split(separator: " ").map { Double($0) ?? 0 }
    guard fields.count > 21 else { return [] }
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    families.add("process_cpu_seconds_total", .counter, [], (fields[11] + fields[12]) / ticks)
    families.add("process_virtual_memory_bytes", .gauge, [], fields[20])
    families.add("process_resident_memory_bytes", .gauge, [], fields[21] * Double(sysconf(Int32(_SC_PAGESIZE))))
    if let boot = number(behind: "btime ", in: "/proc/stat") {
      families.add("process_start_time_seconds", .gauge, [], boot + fields[19] / ticks)
    }
    // One of them is the folder that is being listed.
    if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count - 1 {
      families.add("process_open_fds", .gauge, [], Double(open))
    }
    if let most = number(behind: "Max open files", in: "/proc/self/limits") {
      families.add("process_max_fds", .gauge, [], most)
    }
    return families.all
  }

  /// The number behind some words at the beginning of a line.
  private static func number(behind words: String, in path: String) -> Double? {
    let line = text(path)?.split(separator: "\n").first { $0.hasPrefix(words) }
    return line?.dropFirst(words.count).split(separator: " ").first.flatMap { Double($0) }
  }

  private static func text(_ path: String) -> String? {
    (try? Data(contentsOf: URL(fileURLWithPath: path))).map { String(decoding: $0, as: UTF8.self) }
  }
}
