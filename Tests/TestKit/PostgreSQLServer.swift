// A PostgreSQL for tests: one server for each test process, on a free port of the loopback address, run by a user that owns
// nothing, and a database for each test. Gone when the process ends, in whatever way.

import Foundation
import Synchronization

/// A server of the system's PostgreSQL with a folder of its own.
public final class PostgreSQLServer: Sendable {
  /// How a server is ended.
  public enum Stop: Int32, Sendable {
    /// It ends transactions and connections, and writes everything down (SIGINT).
    case fast = 2
    /// It ends at once, as in a crash, and recovers when it is started again (SIGQUIT).
    case immediate = 3
  }

  private let binaries: String
  private let folder: String
  public let port: Int
  private let state: Mutex<Process?>
  /// Its standard input is open for as long as this process lives; then it ends the server and removes the folder.
  private let guardian: Process
  private let lifeline: Pipe

  /// The folder of the newest version that is installed; nil where none is.
  private static let installed: String? = {
    let root = "/usr/lib/postgresql"
    let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap { Int($0) }
    let folders = versions.sorted(by: >).map { "\(root)/\($0)/bin" }
    return folders.first { FileManager.default.isExecutableFile(atPath: "\($0)/initdb") }
  }()

  /// Whether there is a server to start: for the `.enabled(if:)` of a test. CI accepts no test that is skipped because there is
  /// none.
  public static var isInstalled: Bool { installed != nil }

  /// What a test that is skipped says.
  public static let missing: String = "PostgreSQL is not installed: apt-get install postgresql, or scripts/setup"

  private static let common = Mutex<PostgreSQLServer?>(nil)

  /// The server of this process, started when it is first asked for.
  public static func shared() async throws -> PostgreSQLServer {
    try await off {
      try common.withLock { server in
        if let server { return server }
        let started = try PostgreSQLServer()
        server = started
        return started
      }
    }
  }

  /// Starts a server of its own, for a test that stops it. Blocks for some seconds.
  public init() throws {
    guard let binaries = Self.installed else { throw PostgreSQLServerError(Self.missing) }
    self.binaries = binaries
    folder = FileManager.default.temporaryDirectory.path + "/pulse-postgresql-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    if geteuid() == 0 { _ = try Self.run(["/bin/chown", "nobody", folder]) }
    guardian = Process()
    lifeline = Pipe()
    guardian.executableURL = URL(fileURLWithPath: "/bin/sh")
    guardian.arguments = [
      "-c",
      #"cat >/dev/null; kill -QUIT "$(head -n 1 "$0/data/postmaster.pid")" 2>/dev/null; sleep 0.3; rm -rf "$0""#,
      folder,
    ]
    guardian.standardInput = lifeline
    try guardian.run()
    let command = ["\(binaries)/initdb", "-D", "\(folder)/data", "-U", "pulse", "--auth=trust", "--encoding=UTF8"]
    // By another locale than the one of the tables: what is ordered must not depend on it.
    _ = try Self.run(Self.asUser(command + ["--locale=C.UTF-8", "--no-sync"]))
    port = try Self.freePort()
    state = Mutex(nil)
    try start()
  }

  deinit { try? lifeline.fileHandleForWriting.close() }

  /// `initdb` and the server refuse to run as root.
  private static func asUser(_ command: [String]) -> [String] {
    geteuid() == 0
      ? ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"] + command : command
  }

  /// The address of a database.
  public func address(_ database: String) -> String { "postgresql://pulse@127.0.0.1:\(port)/\(database)" }

  /// What the server has printed.
  public var log: String {
    String(decoding: FileManager.default.contents(atPath: "\(folder)/log") ?? Data(), as: UTF8.self)
  }

  /// Starts it, again at the same port with the same data, and waits until it answers, 30 s at most.
  public func start() throws {
    try state.withLock { process in
      let next = Process()
      // Nothing is to outlive the machine, so nothing waits for its disk.
      let settings = [
        "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200",
        "log_min_messages=warning", "max_wal_size=256MB",
      ].flatMap { ["-c", $0] }
      let command = Self.asUser(
        ["\(binaries)/postgres", "-D", "\(folder)/data", "-p", String(port)] + settings)
      next.executableURL = URL(fileURLWithPath: command[0])
      next.arguments = Array(command.dropFirst())
      next.standardInput = FileHandle.nullDevice
      if log.isEmpty { _ = FileManager.default.createFile(atPath: "\(folder)/log", contents: nil) }
      let log = FileHandle(forWritingAtPath: "\(folder)/log")
      log?.seekToEndOfFile()
      next.standardOutput = log
      next.standardError = log
      try next.run()
      process = next
    }
    let end = ContinuousClock.now + .seconds(30)
    while (try? Self.run(["\(binaries)/pg_isready", "-q", "-h", "127.0.0.1", "-p", String(port)])) == nil {
      guard ContinuousClock.now < end else { throw PostgreSQLServerError("it does not answer: \(log.suffix(1000))") }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }

  /// Ends it, and waits until it has, 20 s at most.
  public func stop(_ how: Stop) throws {
    try state.withLock { process in
      guard let running = process else { return }
      kill(running.processIdentifier, how.rawValue)
      let end = ContinuousClock.now + .seconds(20)
      while running.isRunning {
        guard ContinuousClock.now < end else {
          kill(running.processIdentifier, SIGKILL)
          throw PostgreSQLServerError("it does not end: \(log.suffix(1000))")
        }
        Thread.sleep(forTimeInterval: 0.02)
      }
      process = nil
    }
  }

  /// Executes statements in a database, and gives what psql prints.
  @discardableResult
  public func execute(_ sql: String, in database: String = "postgres") throws -> String {
    try Self.run(["\(binaries)/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, address(database)])
  }

  /// Runs something that blocks on a thread that may.
  public static func off<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
  }

  /// Runs a program to its end.
  /// - Returns: what it printed.
  private static func run(_ command: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.standardInput = FileHandle.nullDevice
    // Into files: Foundation ends the process where a signal interrupts the reading of a pipe.
    let folder = try TestFolder()
    for name in ["output", "errors"] { try folder.write(name, "") }
    process.standardOutput = FileHandle(forWritingAtPath: folder / "output")
    process.standardError = FileHandle(forWritingAtPath: folder / "errors")
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw PostgreSQLServerError("\(command.joined(separator: " ")): \(folder.read("errors").suffix(1000))")
    }
    return folder.read("output")
  }

  /// A port that nobody listens at, none of those that the system gives to clients.
  private static func freePort() throws -> Int {
    for _ in 0..<1000 {
      let port = Int.random(in: 20_000..<32_000)
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(descriptor) }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = in_port_t(port).bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let isFree = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
      if isFree { return port }
    }
    throw PostgreSQLServerError("no free port between 20000 and 32000")
  }
}

/// A database of its own for a test, gone with the last reference.
public final class TestDatabase: Sendable {
  public let server: PostgreSQLServer
  public let name: String

  public var address: String { server.address(name) }

  /// Makes one on the server of this process.
  public static func make() async throws -> TestDatabase { try await make(on: PostgreSQLServer.shared()) }

  public static func make(on server: PostgreSQLServer) async throws -> TestDatabase {
    let name = "test_" + UUID().uuidString.lowercased().replacing("-", with: "")
    try await PostgreSQLServer.off { _ = try server.execute("CREATE DATABASE \(name)") }
    return TestDatabase(server, name)
  }

  private init(_ server: PostgreSQLServer, _ name: String) { (self.server, self.name) = (server, name) }

  deinit {
    let (server, name) = (server, name)
    // Whoever has it open still is on the way out.
    DispatchQueue.global().async { _ = try? server.execute("DROP DATABASE \(name) WITH (FORCE)") }
  }

  /// Executes statements, and gives what psql prints.
  @discardableResult
  public func execute(_ sql: String) async throws -> String {
    try await PostgreSQLServer.off { [server, name] in try server.execute(sql, in: name) }
  }
}

/// Why the server could not be started, stopped or asked.
public struct PostgreSQLServerError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
