// What the mock cluster of newer versions of librdkafka can do and the headers that are compiled do not name. It is looked up
// when it is used, so the kit builds and runs with either.

import CKafkaLibrary
import Foundation

extension MockCluster {
  /// A request that a broker got.
  public struct Request: Hashable, Sendable {
    /// Its number in the protocol, and its name where the kit knows it.
    public let number: Int16
    public let broker: Int32
    public var kind: KafkaTestRequest? { KafkaTestRequest(rawValue: number) }
  }

  /// How long the first rebalance of a group waits for more members: 3 s unless set. Zero makes tests of groups fast.
  /// - Throws: where the version of librdkafka that runs has no such function, as all of these do.
  public func setRebalanceDelay(_ time: Duration) throws {
    typealias Function = @convention(c) (OpaquePointer, Int32) -> Void
    try find("rd_kafka_mock_group_initial_rebalance_delay_ms", Function.self)(pointer, time.wholeMilliseconds)
  }

  public func deleteTopic(_ name: String) throws {
    typealias Function = @convention(c) (OpaquePointer, UnsafePointer<CChar>) -> Int32
    let code = try find("rd_kafka_mock_topic_delete", Function.self)(pointer, name)
    try KafkaTestError.check(rd_kafka_resp_err_t(code), "deleting topic \(name)")
  }

  /// Deletes the records before an offset.
  public func deleteRecords(of topic: String, partition: Int32 = 0, before offset: Int64) throws {
    typealias Function = @convention(c) (OpaquePointer, UnsafePointer<CChar>, Int32, Int64) -> Int32
    let code = try find("rd_kafka_mock_partition_delete_records", Function.self)(pointer, topic, partition, offset)
    try KafkaTestError.check(rd_kafka_resp_err_t(code), "deleting records of \(topic) \(partition)")
  }

  /// Begins to keep which requests come.
  public func trackRequests() throws {
    typealias Function = @convention(c) (OpaquePointer) -> Void
    try find("rd_kafka_mock_start_request_tracking", Function.self)(pointer)
  }

  /// The requests that came since `trackRequests`, or since this was last asked, in the order in which they came.
  public func takeRequests() throws -> [Request] {
    typealias List = @convention(c) (OpaquePointer, UnsafeMutablePointer<Int>) -> UnsafeMutablePointer<OpaquePointer>?
    typealias Broker = @convention(c) (OpaquePointer) -> Int32
    typealias Number = @convention(c) (OpaquePointer) -> Int16
    typealias Done = @convention(c) (OpaquePointer) -> Void
    let broker = try find("rd_kafka_mock_request_id", Broker.self)
    let number = try find("rd_kafka_mock_request_api_key", Number.self)
    let destroy = try find("rd_kafka_mock_request_destroy", Done.self)
    let clear = try find("rd_kafka_mock_clear_requests", Done.self)
    var count = 0
    guard let list = try find("rd_kafka_mock_get_requests", List.self)(pointer, &count) else { return [] }
    defer { free(list) }
    clear(pointer)
    // SAFETY: librdkafka says how many there are, and leaves list and elements to the caller.
    return UnsafeBufferPointer(start: list, count: count).map { request in
      defer { destroy(request) }
      return Request(number: number(request), broker: broker(request))
    }
  }

  /// A function of the librdkafka that was loaded.
  private func find<Function>(_ name: String, _ type: Function.Type) throws -> Function {
    guard let symbol = dlsym(dlopen(nil, RTLD_NOW), name) else {
      let version = KafkaTestClient.libraryVersion
      throw KafkaTestError(
        RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED, doing: "calling \(name)", detail: "librdkafka \(version) runs")
    }
    // SAFETY: the type is that of the function of this name in the headers of the versions that have it.
    return unsafeBitCast(symbol, to: type)
  }
}
