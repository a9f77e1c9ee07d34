// What an administrator does to a cluster. The mock cluster has few of these: its own methods do it.

import CKafkaLibrary

extension KafkaTestClient {
  /// Makes topics and waits until every partition has a leader.
  /// - Parameter settings: of the topics, as in `["retention.ms": "1000"]`.
  public func createTopics(_ names: String..., partitions: Int = 1, settings: [String: String] = [:]) throws {
    let doing = "creating \(names.joined(separator: ", "))"
    var text = [CChar](repeating: 0, count: 512)
    var topics: [OpaquePointer?] = []
    defer { for topic in topics { rd_kafka_NewTopic_destroy(topic) } }
    for name in names {
      guard let topic = rd_kafka_NewTopic_new(name, Int32(partitions), 1, &text, text.count) else {
        throw KafkaTestError(RD_KAFKA_RESP_ERR__INVALID_ARG, doing: doing, detail: KafkaHandle.string(text))
      }
      topics.append(topic)
      for (key, value) in settings {
        try KafkaTestError.check(rd_kafka_NewTopic_set_config(topic, key, value), "setting \(key)")
      }
    }
    try administer(doing) { client, options, queue in
      rd_kafka_CreateTopics(client, &topics, topics.count, options, queue)
    } answer: { event in
      var count = 0
      try check(rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count), count, doing)
    }
    for name in names { try awaitLeaders(of: name, partitions) }
  }

  public func deleteTopics(_ names: String...) throws {
    let doing = "deleting \(names.joined(separator: ", "))"
    var topics: [OpaquePointer?] = names.map { rd_kafka_DeleteTopic_new($0) }
    defer { for topic in topics { rd_kafka_DeleteTopic_destroy(topic) } }
    try administer(doing) { client, options, queue in
      rd_kafka_DeleteTopics(client, &topics, topics.count, options, queue)
    } answer: { event in
      var count = 0
      try check(rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count), count, doing)
    }
  }

  /// Gives a topic more partitions, and waits until every one has a leader.
  public func addPartitions(to topic: String, total: Int) throws {
    let doing = "adding partitions to \(topic)"
    var text = [CChar](repeating: 0, count: 512)
    var topics: [OpaquePointer?] = [rd_kafka_NewPartitions_new(topic, total, &text, text.count)]
    guard topics[0] != nil else {
      throw KafkaTestError(RD_KAFKA_RESP_ERR__INVALID_ARG, doing: doing, detail: KafkaHandle.string(text))
    }
    defer { rd_kafka_NewPartitions_destroy(topics[0]) }
    try administer(doing) { client, options, queue in
      rd_kafka_CreatePartitions(client, &topics, 1, options, queue)
    } answer: { event in
      var count = 0
      let result = rd_kafka_event_CreatePartitions_result(event)
      try check(rd_kafka_CreatePartitions_result_topics(result, &count), count, doing)
    }
    try awaitLeaders(of: topic, total)
  }

  /// Deletes the records before an offset of each partition that is named.
  public func deleteRecords(of topic: String, before offsets: [Int32: Int64]) throws {
    let doing = "deleting records of \(topic)"
    let list = PartitionList()
    for (partition, offset) in offsets { list.add(topic, partition, offset) }
    var requests: [OpaquePointer?] = [rd_kafka_DeleteRecords_new(list.pointer)]
    defer { rd_kafka_DeleteRecords_destroy(requests[0]) }
    try administer(doing) { client, options, queue in
      rd_kafka_DeleteRecords(client, &requests, 1, options, queue)
    } answer: { event in
      guard let answer = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event)) else {
        return
      }
      _ = try PartitionList.offsets(of: answer, doing)
    }
  }

  /// How many members a group has; 0 where there is no such group, and always at a broker that describes none.
  public func memberCount(of group: String) throws -> Int {
    let doing = "asking for the members of group \(group)"
    return try group.withCString { name in
      var groups: [UnsafePointer<CChar>?] = [name]
      return try administer(doing) { client, options, queue in
        rd_kafka_DescribeConsumerGroups(client, &groups, 1, options, queue)
      } answer: { event in
        var count = 0
        let result = rd_kafka_event_DescribeConsumerGroups_result(event)
        guard let answers = rd_kafka_DescribeConsumerGroups_result_groups(result, &count), count == 1 else {
          throw KafkaTestError(RD_KAFKA_RESP_ERR__BAD_MSG, doing: doing, detail: "\(count) groups are described")
        }
        if let error = rd_kafka_ConsumerGroupDescription_error(answers[0]),
          rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR
        {
          throw KafkaTestError(
            rd_kafka_error_code(error), doing: doing, detail: String(cString: rd_kafka_error_string(error)))
        }
        return rd_kafka_ConsumerGroupDescription_member_count(answers[0])
      }
    }
  }

  // MARK: Asking

  /// Sends a request of the administration interface and waits for its answer.
  /// - Parameters:
  ///   - send: gets the client, the options and the queue that the answer is to come to.
  ///   - answer: reads the event, which is gone afterwards.
  private func administer<Value>(
    _ doing: String, _ send: (_ client: OpaquePointer, _ options: OpaquePointer?, _ queue: OpaquePointer?) -> Void,
    answer: (_ event: OpaquePointer) throws -> Value
  ) throws -> Value {
    let client = try handle(RD_KAFKA_PRODUCER)
    let queue = rd_kafka_queue_new(client.pointer)
    defer { rd_kafka_queue_destroy(queue) }
    let options = rd_kafka_AdminOptions_new(client.pointer, RD_KAFKA_ADMIN_OP_ANY)
    defer { rd_kafka_AdminOptions_destroy(options) }
    var text = [CChar](repeating: 0, count: 512)
    let code = rd_kafka_AdminOptions_set_request_timeout(options, timeout.wholeMilliseconds, &text, text.count)
    try KafkaTestError.check(code, doing, detail: KafkaHandle.string(text))
    send(client.pointer, options, queue)
    // librdkafka answers within the time it was given; a little more lets it say what it waited for.
    guard let event = rd_kafka_queue_poll(queue, (timeout + .seconds(2)).wholeMilliseconds) else {
      throw KafkaTestError(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: doing, detail: client.reports.lastLine)
    }
    defer { rd_kafka_event_destroy(event) }
    try KafkaTestError.check(
      rd_kafka_event_error(event), doing, detail: String(cString: rd_kafka_event_error_string(event)))
    return try answer(event)
  }

  /// - Parameter results: what became of each topic.
  private func check(
    _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int, _ doing: String
  ) throws {
    // SAFETY: librdkafka says how many there are.
    for result in UnsafeBufferPointer(start: results, count: count) {
      let said = rd_kafka_topic_result_error_string(result).map { String(cString: $0) }
      try KafkaTestError.check(rd_kafka_topic_result_error(result), doing, detail: said)
    }
  }

  /// It takes a moment until a broker knows of a topic, and who leads it.
  private func awaitLeaders(of topic: String, _ count: Int) throws {
    let deadline = Deadline(after: timeout)
    while true {
      let found = Result { try leaders(of: topic) }
      if case .success(let leaders) = found, leaders.count == count, !leaders.contains(-1) { return }
      if deadline.hasPassed {
        let doing = "waiting for leaders of the \(count) partitions of \(topic)"
        throw KafkaTestError(RD_KAFKA_RESP_ERR__TIMED_OUT, doing: doing, detail: "\(found)")
      }
      pause(milliseconds: 20)
    }
  }
}
