// How far the records of a partition have come, kept by the broker: the offset of a group, which is committed in the same
// transaction as the records. So a sink that was killed behind a transaction and before its cursor was moved finds out what is
// in the topic already, and no reader of what is committed sees it twice.

import CKafkaLibrary
import Detection
import Foundation
import Pipeline

/// The batch that was delivered last.
struct KafkaMark: Sendable, Hashable {
  /// The store whose changes they were: another one has numbers of its own.
  var identity: String
  /// Numbers of its first and last change.
  var first: Int64
  var last: Int64

  private static let version = "1"

  init(identity: String, first: Int64, last: Int64) {
    (self.identity, self.first, self.last) = (identity, first, last)
  }

  /// What is kept beside the offset, which is the last number.
  var text: String { "\(Self.version) \(identity) \(first)" }

  /// - Returns: nil where the text is none.
  init?(_ text: String, last: Int64) {
    let words = text.split(separator: " ")
    guard words.count == 3, words[0] == Self.version, let first = Int64(words[2]) else { return nil }
    self.init(identity: String(words[1]), first: first, last: last)
  }

  /// Whether a change is in the topic already.
  /// - Parameter start: the number of the first change of its batch. Where that lies before the marked batch the store was put
  ///   back to an older copy, and its numbers may mean other changes now.
  func covers(_ number: Int64, of identity: String, inBatchFrom start: Int64) -> Bool {
    identity == self.identity && start >= first && number <= last
  }

  // MARK: At the broker

  /// Where marks of a producer are kept.
  struct Place: Sendable {
    var group: String
    /// Offsets are those of a partition of a topic, which has to be there.
    var topic: String

    fileprivate func item(_ offset: Int64) -> KafkaPartitions.Item {
      KafkaPartitions.Item(partition: PartitionID(source: topic, number: 0), offset: offset)
    }
  }

  /// Puts the mark into the open transaction.
  /// - Returns: an error of librdkafka, which is the caller's; nil where it was taken.
  func send(to place: Place, by client: KafkaClient, milliseconds: Int32) -> OpaquePointer? {
    guard let group = rd_kafka_consumer_group_metadata_new(place.group) else { preconditionFailure("no memory") }
    defer { rd_kafka_consumer_group_metadata_destroy(group) }
    return KafkaPartitions.with([place.item(last)]) { list in
      // SAFETY: the list has one element. What it keeps was allocated by the C library and is freed with it.
      list.pointee.elems[0].metadata = UnsafeMutableRawPointer(strdup(text))
      list.pointee.elems[0].metadata_size = text.utf8.count
      return rd_kafka_send_offsets_to_transaction(client.handle, list, group, milliseconds)
    }
  }

  /// The mark that is kept; nil where there is none.
  /// - Parameter consumer: of the group of the place.
  /// - Throws: `KafkaFailure` where the broker does not say.
  static func read(at place: Place, by consumer: KafkaClient, milliseconds: Int32) throws -> KafkaMark? {
    try KafkaPartitions.with([place.item(Int64(RD_KAFKA_OFFSET_INVALID))]) { list -> KafkaMark? in
      var code = rd_kafka_committed(consumer.handle, list, milliseconds)
      let element = list.pointee.elems[0]
      if code == RD_KAFKA_RESP_ERR_NO_ERROR { code = element.err }
      guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw KafkaFailure(
          .unfinished,
          "the group \(place.group), which has what was delivered, cannot be read: \(KafkaClient.sentence(code))")
      }
      guard element.offset >= 0, let metadata = element.metadata else { return nil }
      // SAFETY: librdkafka says how many bytes there are, and keeps them until the list is destroyed.
      let bytes = UnsafeRawBufferPointer(start: metadata, count: element.metadata_size)
      return KafkaMark(String(decoding: bytes, as: UTF8.self), last: element.offset)
    }
  }
}
