// What goes wrong with a database, by what helps. What may pass by itself (a restart, a cut connection, a full disk, a
// failover that is under way) is told from what a person must mend.

import CPostgreSQLLibrary
import Detection

/// Why a statement was not executed, or a connection not made.
struct PostgreSQLFailure: Error, Hashable, CustomStringConvertible {
  enum Kind: Sendable, Hashable {
    /// The server is away, starting, ending, or was cut off.
    case away
    /// Another transaction was in the way; the same may succeed now.
    case conflict
    /// It took longer than it may, or was cancelled.
    case timeout
    /// No room on the disk or in memory, or no more connections.
    case full
    /// The server takes no writes: it follows another one, or was told so.
    case readOnly
    /// Name, password, rights.
    case denied
    /// What is named is not there: a database, a table.
    case missing
    case other
  }

  var kind: Kind
  /// Five characters (https://www.postgresql.org/docs/current/errcodes-appendix.html); empty where the server said none.
  var state: String
  /// In the words of the server or of libpq, in one line; never values of a statement.
  var message: String
  /// Whether the transaction was about to commit, so that nobody knows whether it has.
  var isUncertain = false

  /// Whether the same may succeed later without anybody's help with this program.
  var mayPass: Bool {
    switch kind {
    case .away, .conflict, .timeout, .full, .readOnly: true
    case .denied, .missing, .other: false
    }
  }

  /// Whether the connection is to be given up: it is broken, or leads to the wrong server.
  var endsConnection: Bool { kind == .away || kind == .readOnly }

  var description: String { state.isEmpty ? message : "\(message) (SQLSTATE \(state))" }

  init(_ kind: Kind, state: String = "", _ message: String) {
    (self.kind, self.state, self.message) = (kind, state, message)
  }

  /// What a connection says that was not made or has broken.
  init(connection: OpaquePointer?) {
    // libpq gives no code of a failed attempt: these are the words of the server that tell.
    let text = Self.oneLine(connection.flatMap { PQerrorMessage($0) }.map { String(cString: $0) } ?? "out of memory")
    let kind: Kind =
      if text.contains("password authentication failed") || text.contains("no password supplied")
        || text.contains("no pg_hba.conf entry") || text.contains("authentication failed")
        || text.contains("permission denied")
      {
        .denied
      } else if text.contains("does not exist") || text.contains("definition of service") {
        .missing
      } else if text.contains("read-only") {
        .readOnly
      } else {
        .away
      }
    self.init(kind, text.isEmpty ? "the connection was lost" : text)
  }

  /// What the server said of a statement.
  init(result: OpaquePointer?, of connection: OpaquePointer) {
    guard let result else {
      self.init(connection: connection)
      return
    }
    func field(_ code: Int32) -> String? { PQresultErrorField(result, code).map { String(cString: $0) } }
    let state = field(Self.sqlState) ?? ""
    let isBroken = PQstatus(connection) == CONNECTION_BAD
    let said = field(Self.primary) ?? String(cString: PQresultErrorMessage(result))
    self.init(isBroken ? .away : Self.kind(of: state), state: state, Self.oneLine(said))
  }

  private static let sqlState = Int32(UInt8(ascii: "C"))
  private static let primary = Int32(UInt8(ascii: "M"))

  private static func kind(of state: String) -> Kind {
    switch state {
    // Shut down, crashed, starting, idle for too long: the server has ended the connection, or will not make one.
    case "57P01", "57P02", "57P03", "57P05", "25P03": .away
    case "40001", "40P01", "40003": .conflict
    case "57014", "55P03": .timeout
    case "25006": .readOnly
    case "58030": .full
    case "42501": .denied
    case "3D000", "3F000", "42P01", "42883", "42704": .missing
    // A cached plan of before the tables were changed.
    case "0A000", "26000": .away
    default:
      switch state.prefix(2) {
      case "08": .away
      case "53": .full
      case "28": .denied
      default: .other
      }
    }
  }

  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).map { $0.drop { $0 == " " || $0 == "\t" } }.joined(separator: ": ")
  }
}

extension PostgreSQLFailure {
  /// The failure in the words of the product.
  /// - Parameter place: which database, without its password.
  func operatingError(at place: String) -> OperatingError {
    let what =
      switch kind {
      case .away: "it cannot be reached: \(self). Check that the server runs and that the address is right"
      case .conflict: "other transactions were in the way again and again: \(self)"
      case .timeout: "it took too long: \(self)"
      case .full: "the server has no room: \(self). Free some, or allow more"
      case .readOnly: "it takes no writes: \(self). Name the primary, or several hosts of which one is"
      case .denied: "this user may not: \(self). Check name, password and rights (docs/postgresql.md)"
      case .missing: "something is not there: \(self). Check the address, or create the store with `pulse run`"
      case .other: "\(self)"
      }
    return OperatingError(.store, "the store \(place): \(what)")
  }
}

/// How long to wait before something is tried again: longer each time, and never as long as others who wait for the same.
struct Backoff: Sendable {
  private let first: Duration
  private let most: Duration
  private(set) var attempts = 0

  init(first: Duration = .milliseconds(100), most: Duration = .seconds(10)) {
    (self.first, self.most) = (first, most)
  }

  /// The next wait: half to all of what doubles each time.
  mutating func next() -> Duration {
    let doubled = min(most, first * (1 << min(attempts, 16)))
    attempts += 1
    return doubled * Double.random(in: 0.5...1)
  }
}
