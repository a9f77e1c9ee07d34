// `pulse topics`: which topics there are, how far they go, and how far a group has read them.

import ArgumentParser
import Connectors
import Detection
import Foundation

struct Topics: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, describe and create topics, and say how far a group has read one.",
    discussion: """
        pulse topics list kafka://localhost:9092
        pulse topics create kafka://localhost:9092/queries --partitions 6 --setting retention.ms=604800000
        pulse topics describe kafka://localhost:9092/queries
        pulse topics lag kafka://localhost:9092/queries --group pulse.redset
      """,
    subcommands: [Listing.self, Description.self, Lag.self, Creation.self])

  /// What a topic's address says.
  private static func place(_ address: String) throws -> (bootstrap: String, topic: String) {
    let parts = try parts(address)
    guard let topic = parts.topic else {
      throw ValidationError("\(address) names no topic: expected kafka://HOST:PORT/TOPIC")
    }
    return (parts.bootstrap, topic)
  }

  private static func parts(_ address: String) throws -> (bootstrap: String, topic: String?) {
    guard address.hasPrefix("kafka://"), address.count > 8 else {
      throw ValidationError("\(address) is no address of Kafka: expected kafka://HOST:PORT")
    }
    let parts = address.dropFirst(8).split(separator: "/", maxSplits: 1).map(String.init)
    guard let bootstrap = parts.first else { throw ValidationError("\(address) names no broker") }
    return (bootstrap, parts.count > 1 ? parts[1] : nil)
  }

  struct Listing: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List topics.")

    @Argument(help: ArgumentHelp("The brokers.", valueName: "kafka://HOST:PORT"))
    var address: String
    @Flag(help: "Print one JSON array.")
    var json = false
    @OptionGroup var client: ClientOptions

    func run() throws {
      let topics = try client.admin(try parts(address).bootstrap).topics()
      if json {
        return Terminal.print(
          json: JSONText.array(
            topics.map {
              JSONText.object([("topic", JSONText.string($0.name)), ("partitions", String($0.partitions.count))])
            }))
      }
      var table = TextTable([("topic", .left), ("partitions", .right), ("replicas", .right)])
      for topic in topics {
        table.add([topic.name, String(topic.partitions.count), String(topic.partitions.map(\.replicas).max() ?? 0)])
      }
      Terminal.print(table.text(width: nil))
    }
  }

  struct Description: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "describe", abstract: "Say what partitions a topic has, and where their logs begin and end.")

    @Argument(help: ArgumentHelp("The topic.", valueName: "kafka://HOST:PORT/TOPIC"))
    var address: String
    @Flag(help: "Print one JSON array.")
    var json = false
    @OptionGroup var client: ClientOptions

    func run() throws {
      let place = try place(address)
      try Topics.print(
        try client.admin(place.bootstrap).topic(place.topic).partitions, json: json,
        columns: [
          ("partition", { String($0.number) }), ("leader", { $0.leader.map(String.init) }),
          ("replicas", { String($0.replicas) }), ("in_sync", { String($0.inSync) }),
          ("first", { $0.low.map(String.init) }), ("end", { $0.high.map(String.init) }),
        ])
    }
  }

  struct Lag: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "lag",
      abstract: "Say how far a group is behind the end of a topic.",
      discussion: "By what the group has committed, which follows what is stored within some seconds.")

    @Argument(help: ArgumentHelp("The topic.", valueName: "kafka://HOST:PORT/TOPIC"))
    var address: String
    @Option(help: "The consumer group: pulse. and the name of the use case, unless it was given another one.")
    var group: String
    @Flag(help: "Print one JSON array.")
    var json = false
    @OptionGroup var client: ClientOptions

    func run() throws {
      let place = try place(address)
      let topic = try client.admin(place.bootstrap, group: group).topic(place.topic, committed: true)
      try Topics.print(
        topic.partitions, json: json,
        columns: [
          ("partition", { String($0.number) }), ("committed", { $0.committed.map(String.init) }),
          ("end", { $0.high.map(String.init) }), ("lag", { $0.lag.map(String.init) }),
        ])
    }
  }

  struct Creation: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "create", abstract: "Make a topic.")

    @Argument(help: ArgumentHelp("The topic.", valueName: "kafka://HOST:PORT/TOPIC"))
    var address: String
    @Option(parsing: .unconditional, help: "Partitions: as many processes can share the work.")
    var partitions = 1
    @Option(parsing: .unconditional, help: "Replicas of each partition (default: what the brokers say).")
    var replicas: Int?
    @Option(
      help: ArgumentHelp("A setting of the topic. May be repeated.", valueName: "name=value"))
    var setting: [String] = []
    @OptionGroup var client: ClientOptions

    func validate() throws {
      if !(1...100_000).contains(partitions) {
        throw ValidationError("--partitions must be 1 to 100000, found \(partitions)")
      }
      if let replicas, !(1...1_000).contains(replicas) {
        throw ValidationError("--replicas must be 1 to 1000, found \(replicas)")
      }
    }

    func run() throws {
      let place = try place(address)
      try client.admin(place.bootstrap).create(
        place.topic, partitions: partitions, replicas: replicas, settings: setting)
      Terminal.print("created \(place.topic) with \(partitions) partition\(partitions == 1 ? "" : "s")")
    }
  }

  /// Prints partitions: as a table, or numbers by name as JSON.
  private static func print(
    _ partitions: [KafkaTopic.Partition], json: Bool,
    columns: [(name: String, value: (KafkaTopic.Partition) -> String?)]
  ) throws {
    if json {
      return Terminal.print(
        json: JSONText.array(
          partitions.map { partition in JSONText.object(columns.map { ($0.name, $0.value(partition) ?? "null") }) }))
    }
    var table = TextTable(columns.map { ($0.name, .right) })
    for partition in partitions { table.add(columns.map { $0.value(partition) ?? "-" }) }
    Terminal.print(table.text(width: nil))
  }
}
