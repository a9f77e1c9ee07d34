// Brokers as processes of their own, which can be stopped, killed, suspended and started again with what they stored.

import Foundation
import Synchronization

/// A broker on a free port of the loopback address, with a folder of its own. It and its folder are gone with the last
/// reference. Which fault needs which broker, see `Kind`.
///
/// Starting, stopping and restarting wait: within a concurrent test, wrap them into `blocking(_:)`.
public final class BrokerProcess: Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    /// Keeps everything over `stop`, loses the last second over `kill`, topics among it. Its transactions, offsets and
    /// times are right, and it counts members. Never finds a member dead, and lets members that share partitions by
    /// `cooperative-sticky` wait for each other for ever, mostly.
    case noida = "noida-db"
    /// Keeps everything in memory, so a restart is an empty broker. Finds dead members, and rebalances in any way, in 3 to
    /// 11 s. Its end of a partition and `readCommitted` are not to be relied on; it does not delete records, add
    /// partitions or count members, and does not say that an offset is out of range.
    case tansu
    /// The same with an object store, which outlives it: what was acknowledged is there after `kill`. Installed by
    /// `scripts/test-brokers --durable` only.
    case durableTansu = "tansu with an object store"

    var program: String { BrokerProcess.folder + (self == .noida ? "/noida-db" : "/tansu") }

    /// Whether `scripts/test-brokers` has installed it: for the `.enabled(if:)` of a test. CI accepts no test that is skipped
    /// because it has not, but for the object store.
    public var isInstalled: Bool {
      let files = FileManager.default
      return files.isExecutableFile(atPath: program)
        && (self != .durableTansu || files.isExecutableFile(atPath: BrokerProcess.objectStore))
    }
  }

  /// Where `scripts/test-brokers` puts them.
  static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/.native/brokers"
  static let objectStore = folder + "/moto/bin/python"

  public let kind: Kind
  /// Stays the same over restarts.
  public let port: Int
  /// The folder of what it stores and prints.
  public let data: String
  private let store: ChildProcess?
  private let environment: [String: String]
  private let process: Mutex<ChildProcess?>

  /// `host:port`, as clients take it.
  public var bootstrap: String { "127.0.0.1:\(port)" }

  /// What the broker printed.
  public var log: String { Self.log(in: data) }

  private static func log(in folder: String) -> String {
    String(decoding: FileManager.default.contents(atPath: folder + "/log") ?? Data(), as: UTF8.self)
  }

  /// Starts one and waits until it answers, 30 s at most.
  /// - Throws: where it is not installed, too.
  public init(_ kind: Kind) throws {
    guard kind.isInstalled else {
      throw ChildProcessError("\(kind.rawValue) is not installed: run scripts/test-brokers")
    }
    self.kind = kind
    let data = FileManager.default.temporaryDirectory.path + "/pulse-broker-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
    self.data = data
    do {
      if kind == .durableTansu {
        (store, environment) = try Self.startObjectStore(data)
      } else {
        (store, environment) = (nil, [:])
      }
      let (port, process) = try Self.startAnywhere(kind, data, environment)
      self.port = port
      self.process = Mutex(process)
    } catch {
      try? FileManager.default.removeItem(atPath: data)
      throw error
    }
  }

  deinit {
    // It must not write into its folder while that goes.
    process.withLock { $0 = nil }
    try? FileManager.default.removeItem(atPath: data)
  }

  /// The process; nil where it does not run.
  public var identifier: Int32? { process.withLock { $0?.identifier } }

  public var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

  /// Lets it end by itself (SIGTERM) and waits until it has.
  /// - Throws: where it had to be killed after 15 s.
  public func stop() throws {
    let ended = process.withLock { $0?.stop(with: SIGTERM, within: .seconds(15)) ?? true }
    if !ended { throw ChildProcessError("\(kind.rawValue) did not end within 15 s of SIGTERM: \(log.suffix(1000))") }
  }

  /// Ends it at once (SIGKILL), as the loss of a machine does, and waits until it is gone.
  public func kill() { process.withLock { _ = $0?.stop(with: SIGKILL, within: .seconds(15)) } }

  /// Suspends it (SIGSTOP): its connections stay, and nothing is answered.
  public func suspend() throws { try process.withLock { try $0?.suspend() } }

  /// Lets it go on (SIGCONT).
  public func resume() { process.withLock { $0?.send(SIGCONT) } }

  /// Starts it again at the same port with the same data, and waits until it answers. Stops it before where it runs.
  public func restart() throws {
    try stop()
    try process.withLock { process in
      process = nil
      let deadline = Deadline(after: .seconds(30))
      while true {
        do {
          process = try Self.start(kind, port, data, environment)
          return
        } catch  where !deadline.hasPassed {
          // The system may hold the port for a moment yet.
          pause(milliseconds: 100)
        }
      }
    }
  }

  /// Starts it at a free port.
  private static func startAnywhere(
    _ kind: Kind, _ data: String, _ environment: [String: String]
  ) throws -> (port: Int, process: ChildProcess) {
    var attempt = 1
    while true {
      let port = try LoopbackPort.free()
      do {
        return (port, try start(kind, port, data, environment))
      } catch  where attempt < 5 {
        // Somebody else may have taken the port meanwhile.
        attempt += 1
      }
    }
  }

  /// Starts the program and waits until it answers what topics there are.
  private static func start(
    _ kind: Kind, _ port: Int, _ data: String, _ environment: [String: String]
  ) throws -> ChildProcess {
    let address = "127.0.0.1:\(port)"
    let arguments =
      switch kind {
      case .noida:
        ["start", "--only", "kafka", "--kafka-port", "\(port)", "--host", "127.0.0.1", "--data-dir", data + "/data"]
      case .tansu, .durableTansu:
        [
          "broker", "--listener-url", "tcp://\(address)", "--advertised-listener-url", "tcp://\(address)",
          "--storage-engine", kind == .tansu ? "memory://tansu/" : "s3://tansu/",
        ]
      }
    let process = try ChildProcess(
      [kind.program] + arguments, environment: environment, log: data + "/log", folder: data)
    let client = KafkaTestClient(address, timeout: .seconds(2))
    var refusal: (any Error)?
    let isReady = waitUntil(within: .seconds(30)) {
      guard process.isRunning else { return true }
      do {
        _ = try client.brokers()
        return true
      } catch {
        refusal = error
        return false
      }
    }
    guard isReady, process.isRunning else {
      let reason = isReady ? "ended" : "does not answer: \(refusal.map { "\($0)" } ?? "")"
      throw ChildProcessError("\(kind.rawValue) \(reason): \(log(in: data).suffix(1000))")
    }
    return process
  }

  /// Starts an S3 server with an empty bucket.
  /// - Returns: it, and the variables by which a broker finds it.
  private static func startObjectStore(_ data: String) throws -> (ChildProcess, [String: String]) {
    let port = try LoopbackPort.free()
    let store = try ChildProcess(
      [objectStore, "-m", "moto.server", "-H", "127.0.0.1", "-p", "\(port)"], log: data + "/store.log", folder: data)
    let request = "PUT /tansu HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    let isReady = waitUntil(within: .seconds(30)) { LoopbackPort.ask(port, request).hasPrefix("HTTP/1.1 200") }
    guard isReady, store.isRunning else { throw ChildProcessError("the object store does not answer") }
    return (
      store,
      [
        "AWS_ENDPOINT": "http://127.0.0.1:\(port)", "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "us-east-1",
      ]
    )
  }
}

/// Ports of the loopback address.
enum LoopbackPort {
  /// A port that nobody listens at. Not one of those that the system gives to clients: while a broker is down, a client that
  /// tries to reach it could get its port, and be connected with itself.
  static func free() throws -> Int {
    for _ in 0..<1000 {
      let port = Int.random(in: 20_000..<32_000)
      if withSocket(port, { bind($0, $1, $2) == 0 }) { return port }
    }
    throw ChildProcessError("no free port between 20000 and 32000")
  }

  /// What a server answers to a request, empty where it does not.
  static func ask(_ port: Int, _ request: String) -> String {
    var answer = ""
    _ = withSocket(port) { descriptor, address, size in
      var limit = timeval(tv_sec: 5, tv_usec: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      guard connect(descriptor, address, size) == 0 else { return false }
      let bytes = Array(request.utf8)
      guard write(descriptor, bytes, bytes.count) == bytes.count else { return false }
      var part = [UInt8](repeating: 0, count: 4096)
      let count = read(descriptor, &part, part.count)
      answer = String(decoding: part.prefix(max(0, count)), as: UTF8.self)
      return true
    }
    return answer
  }

  /// Calls `body` with a new socket and the address of a port, with its size.
  private static func withSocket(_ port: Int, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
    #if os(Linux)
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #else
      let descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    // SAFETY: the address is lent for the call, with its size.
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}
