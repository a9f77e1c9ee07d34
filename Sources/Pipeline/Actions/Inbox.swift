// Records that are handed in: durable when they are taken, read like those of a file, and gone once they are processed.

import Crypto
public import Detection

/// Where records are handed in and taken from. Each call is one transaction and durable when it returns; all throw
/// `OperatingError`s. Times are microseconds since 1970-01-01 00:00 UTC and given by the caller.
public protocol Inbox: Sendable {
  /// Hands in records for a source, in their order, all of them or, where the key is known, none.
  /// - Parameter key: made by whoever hands in: the same records that come again because an answer was lost count once. Nil
  ///   where nobody will know whether they come again.
  /// - Returns: the number of the first of them; that of the first time where they come again.
  /// - Throws: `OperatingError` of kind `limit` where the inbox of the source is full.
  func handIn(_ records: [HandedRecord], to inbox: String, key: String?, at time: Int64) async throws -> HandedIn

  /// Records in order, from a number on.
  /// - Parameter bytes: about as much as is read at most; one record at least.
  func records(of inbox: String, from number: Int64, limit: Int, bytes: Int) async throws -> [InboxRecord]

  /// The records before a number are processed and stored: they go, their keys are remembered for a while.
  func acknowledge(_ inbox: String, before number: Int64, at time: Int64) async throws

  /// Up to where records were taken, and how many wait.
  func state(of inbox: String) async throws -> InboxState
}

extension Inbox {
  /// Hands in records that have nothing but their bytes.
  public func handIn(_ records: [[UInt8]], to inbox: String, key: String?, at time: Int64) async throws -> HandedIn {
    try await handIn(records.map { HandedRecord($0) }, to: inbox, key: key, at: time)
  }
}

/// What became of records that were handed in.
public struct HandedIn: Sendable, Hashable {
  /// Number of the first of them.
  public var first: Int64
  public var count: Int
  /// Whether they had been handed in before.
  public var isRepeated: Bool
  /// Whether it was these records: false where the key stands for others.
  public var isSame: Bool

  public init(first: Int64, count: Int, isRepeated: Bool, isSame: Bool = true) {
    self.first = first
    self.count = count
    self.isRepeated = isRepeated
    self.isSame = isSame
  }

  /// What tells the same records from others: the SHA-256 of each one's length and bytes.
  public static func digest(of records: [HandedRecord]) -> [UInt8] {
    var hasher = SHA256()
    for record in records {
      let count = record.bytes.count
      hasher.update(data: stride(from: 0, to: 64, by: 8).map { UInt8(truncatingIfNeeded: count >> $0) })
      hasher.update(data: record.bytes)
    }
    return Array(hasher.finalize())
  }
}

/// A record that is handed in.
public struct HandedRecord: Sendable, Hashable {
  public var bytes: [UInt8]
  /// What a log kept beside it, where it comes from one.
  public var envelope: RecordEnvelope?
  /// The source that it came from, to which it goes back where that is one of those that are read; nil for a new one.
  public var origin: String?

  public init(_ bytes: [UInt8], envelope: RecordEnvelope? = nil, origin: String? = nil) {
    self.bytes = bytes
    self.envelope = envelope
    self.origin = origin
  }

  /// Bytes that it takes in an inbox.
  public var size: Int { bytes.count + (envelope?.json.utf8.count ?? 0) }
}

/// A record that was handed in.
public struct InboxRecord: Sendable, Hashable {
  /// Ascending within the inbox, from 0, without gaps.
  public var number: Int64
  public var record: HandedRecord

  public init(number: Int64, _ record: HandedRecord) {
    self.number = number
    self.record = record
  }

  public var bytes: [UInt8] { record.bytes }
}

/// How far an inbox is.
public struct InboxState: Sendable, Hashable {
  /// Number of the first record that is there, or will be.
  public var first: Int64
  /// Number of the next record that is handed in.
  public var next: Int64
  /// Bytes of the records that are there.
  public var bytes: Int64

  public init(first: Int64 = 0, next: Int64 = 0, bytes: Int64 = 0) {
    self.first = first
    self.next = next
    self.bytes = bytes
  }
}
