// A broker for the rows of Kafka: a process of its own on the loopback address, beside what is measured.

import Foundation
import Workloads

/// A broker that `scripts/test-brokers` has installed. Ends with the last reference.
final class Broker {
  /// `host:port`.
  let address: String
  private let process = Process()
  private let data: String

  static func isInstalled(_ places: Places) -> Bool {
    FileManager.default.isExecutableFile(atPath: program(places))
  }

  private static func program(_ places: Places) -> String { places.root + "/.native/brokers/noida-db" }

  /// Starts one and waits until it takes connections.
  init(_ places: Places) throws {
    data = places.work + "/broker"
    try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
    let port = try Self.freePort()
    address = "127.0.0.1:\(port)"
    process.executableURL = URL(fileURLWithPath: Self.program(places))
    process.arguments = [
      "start", "--only", "kafka", "--kafka-port", String(port), "--host", "127.0.0.1", "--data-dir", data,
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    let end = Date.now + 30
    while !Self.answers(port) {
      guard process.isRunning, Date.now < end else { throw WrongOutput("the broker does not start") }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }

  deinit {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: data)
  }

  /// A topic as an address that pulse takes.
  func topic(_ name: String) -> String { "kafka://\(address)/\(name)" }

  private static func withAddress<Result>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result
  {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return withUnsafePointer(to: &address) {
      // SAFETY: the C interface of sockets: an address is one of its family.
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  private static func answers(_ port: Int) -> Bool {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    return withAddress(port) { connect(socket, $0, $1) } == 0
  }

  private static func freePort() throws -> Int {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var (found, size) = (sockaddr_in(), socklen_t(MemoryLayout<sockaddr_in>.size))
    let isBound = withAddress(0) { bind(socket, $0, $1) } == 0
    let isKnown = withUnsafeMutablePointer(to: &found) {
      // SAFETY: as above.
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &size) } == 0
    }
    guard isBound, isKnown else { throw WrongOutput("there is no free port") }
    return Int(in_port_t(bigEndian: found.sin_port))
  }
}
