// `pulse.yaml` and the environment.

import Detection
import Foundation
import Testing

@testable import Configuration
@testable import Connectors

@Suite struct RuntimeConfigurationTests {
  private func problems(_ text: String?, _ environment: [String: String] = [:]) -> [String] {
    do {
      _ = try RuntimeConfiguration.load(text: text, environment: environment, catalog: .standard)
      return []
    } catch {
      return error.diagnostics.map { "\($0.location.line):\($0.location.column) \($0.message)" }
    }
  }

  @Test func readsEveryKey() throws {
    let configuration = try RuntimeConfiguration.load(
      text: """
        source: {type: files, paths: [a.ndjson, "b*.csv"], format: csv, csv_delimiter: ";", follow: true, idle_timeout: 90s}
        store: {type: sqlite, path: /var/lib/pulse}
        history: {codec: zstd, retain: 30d}
        checkpoint: {interval: 500ms}
        memory: 2GiB
        workers: 3
        batch_size: 100
        log: {level: debug}
        """, catalog: .standard)
    #expect(configuration.source.type == "files")
    #expect(
      configuration.source.values == [
        "paths": .texts(["a.ndjson", "b*.csv"]), "format": .text("csv"), "csv_delimiter": .text(";"),
        "follow": .flag(true), "idle_timeout": .duration(90_000_000),
      ])
    let input = try RuntimeConfiguration.load(text: "source: {type: stdin, name: app}", catalog: .standard).source
    #expect(input.type == "stdin" && input.text("name") == "app")
    #expect(configuration.store.path == "/var/lib/pulse" && configuration.store.connector.type == "sqlite")
    #expect(configuration.history.connector.values == ["codec": .text("zstd")])
    #expect(configuration.history.retain == Int64(30) * 86_400_000_000)
    #expect(configuration.checkpointInterval == 500_000 && configuration.workers == 3 && configuration.batchSize == 100)
    #expect(configuration.logLevel == .debug && configuration.memory == 2 << 30)
  }

  @Test func readsTheServer() throws {
    let text = """
      server:
        host: 0.0.0.0
        port: 9000
        tokens: tokens.txt
        closed: true
        hosts: [pulse.example, p.example]
        origins: https://board.example
        tls: {certificate: chain.pem, key: key.pem}
        jwt:
          issuer: https://id.example
          audience: [pulse]
          keys: https://id.example/keys
          name_claim: email
          role_claim: realm_access.roles
          use_cases_claim: use_cases
          roles: {read: [viewer, guest], admin: owner}
          refresh: 10m
      """
    var expected = ServerConfiguration()
    (expected.host, expected.port, expected.tokens, expected.closed) = ("0.0.0.0", 9000, "tokens.txt", true)
    (expected.hosts, expected.origins) = (["pulse.example", "p.example"], ["https://board.example"])
    (expected.tls.certificate, expected.tls.key) = ("chain.pem", "key.pem")
    (expected.jwt.issuer, expected.jwt.audience) = ("https://id.example", ["pulse"])
    (expected.jwt.keys, expected.jwt.nameClaim) = ("https://id.example/keys", "email")
    (expected.jwt.roleClaim, expected.jwt.useCasesClaim) = ("realm_access.roles", "use_cases")
    expected.jwt.roles = ["read": ["viewer", "guest"], "admin": ["owner"]]
    expected.jwt.refresh = 600_000_000
    #expect(try RuntimeConfiguration.load(text: text, catalog: .standard).server == expected)
    (expected.port, expected.tls.key, expected.jwt.roles["admin"]) = (9001, "other.pem", ["a", "b"])
    let environment = [
      "PULSE__SERVER__PORT": "9001", "PULSE__SERVER__TLS__KEY": "other.pem", "PULSE__SERVER__JWT__ROLES__ADMIN": "a,b",
    ]
    #expect(
      try RuntimeConfiguration.load(text: text, environment: environment, catalog: .standard).server == expected)
    let wrong = """
      server:
        prt: 1
        port: 70000
        host: ""
        tls: {chain: x}
        tls.key: x
        origins: [board.example]
        jwt: {secret: x, roles: {owner: a}, refresh: 1s}
      """
    #expect(
      problems(wrong) == [
        "2:3 unknown key `prt` in `server`", "3:9 `server.port` is not in range", "4:9 `server.host` is empty",
        "5:9 unknown key `chain` in `server.tls`", "6:3 unknown key `tls.key` in `server`",
        "7:12 `server.origins` must be like https://example.org, found board.example",
        "8:9 pulse.yaml holds no secrets", "8:28 unknown key `owner` in `server.jwt.roles`",
        "8:48 `server.jwt.refresh` is not in range",
      ])
  }

  @Test func readsNotifications() throws {
    let text = """
      notifications:
        - {name: oncall, type: alertmanager, url: "http://127.0.0.1:9093", secret_file: am.secret, resolve_after: 10m}
        - name: hook
          type: webhook
          url: https://example.org/hook
          secret_env: HOOK_SECRET
          format: alertmanager
          severity: medium
          detectors: [spill, slow]
          use_cases: redset
          group_wait: 0s
          group_interval: 1h
          max_per_hour: 10
          attempts: 3
          timeout: 5s
        - {name: slack, type: slack, secret_env: SLACK_URL}
      """
    var (oncall, hook, slack) = (
      NotificationConfiguration(name: "oncall", kind: .alertmanager),
      NotificationConfiguration(name: "hook", kind: .webhook), NotificationConfiguration(name: "slack", kind: .slack)
    )
    (oncall.url, oncall.secret, oncall.resolveAfter) = ("http://127.0.0.1:9093", .file("am.secret"), 600_000_000)
    (hook.url, hook.secret, hook.format) = ("https://example.org/hook", .variable("HOOK_SECRET"), .alertmanager)
    (hook.severity, hook.detectors, hook.useCases) = (.medium, ["spill", "slow"], ["redset"])
    (hook.groupWait, hook.groupInterval, hook.perHour) = (0, 3_600_000_000, 10)
    (hook.attempts, hook.timeout) = (3, 5_000_000)
    slack.secret = .variable("SLACK_URL")
    #expect(try RuntimeConfiguration.load(text: text, catalog: .standard).notifications == [oncall, hook, slack])
    let wrong = """
      notifications:
        - {name: a, type: webhook}
        - {name: a, type: pager, url: x}
        - {name: b, type: slack, url: x, secret_env: Y}
        - {name: c, type: slack, url: x, format: cloudevents, resolve_after: 1m}
        - {name: d, type: webhook, url: x, token: y, severty: low, max_per_hour: 0, timeout: 2m, group_wait: 2d}
        - {type: webhook, url: x}
        - {name: A b, type: webhook, url: x}
        - {name: e, type: webhook, url: x, secret_env: X, secret_file: y}
        - {name: e, type: webhook, url: x}
      """
    #expect(
      problems(wrong) == [
        "2:5 `a` has no address", "3:21 `type` is not known", "4:33 there are two addresses",
        "5:44 `format` does not apply to slack", "5:72 `resolve_after` does not apply to `c`",
        "6:38 pulse.yaml holds no secrets", "6:48 unknown key `severty` in `notifications`",
        "6:76 `max_per_hour` is not in range", "6:88 `timeout` is not in range", "6:104 `group_wait` is too long",
        "7:5 one of `notifications` has no name", "8:12 `name` is not a name",
        "9:66 there are two secrets", "10:5 two of `notifications` have the name `e`",
      ])
    #expect(problems("notifications: {name: a}") == ["1:16 `notifications` is not a list"])
  }

  @Test(arguments: [nil, "", "# nothing\n", "source:\n"] as [String?])
  func defaultsHoldWithoutAFile(_ text: String?) throws {
    #expect(try RuntimeConfiguration.load(text: text, catalog: .standard) == RuntimeConfiguration(.standard))
  }

  @Test func theEnvironmentGoesFirst() throws {
    let configuration = try RuntimeConfiguration.load(
      text: "workers: 3\nstore: {path: a}",
      environment: [
        "PULSE__WORKERS": "5", "PULSE__STORE__PATH": "b", "PULSE__SOURCE__PATHS": "x,y", "PULSE__LOG__LEVEL": "error",
        "HOME": "/", "PULSE_OTHER": "1", "PULSE__BATCH_SIZE": "7",
      ], catalog: .standard)
    #expect(
      configuration.workers == 5 && configuration.store.path == "b"
        && configuration.source.texts("paths") == ["x", "y"])
    #expect(configuration.logLevel == .error && configuration.batchSize == 7)
  }

  @Test func whatDoesNotGoTogetherIsRefused() throws {
    #expect(
      problems("source:\n  type: stdin\n  paths: [a]\n  follow: true") == [
        "3:10 `source.paths` does not apply to this source", "4:11 `source.follow` does not apply to this source",
      ])
    #expect(problems("source: {name: a}") == ["1:16 `source.name` does not apply to this source"])
    #expect(problems("checkpoint: {interval: 2h}") == ["1:24 `checkpoint.interval` is too long"])
    #expect(problems("checkpoint: {interval: 9ms}") == ["1:24 `checkpoint.interval` is too short"])
    #expect(problems("checkpoint: {interval: 10ms}").isEmpty && problems("checkpoint: {interval: 1h}").isEmpty)
    #expect(problems("source: {csv_delimiter: x}") == ["1:25 `source.csv_delimiter` is not known"])
    #expect(problems("workers: 257") == ["1:10 `workers` is not in range"])
    #expect(problems("memory: 127MB") == ["1:9 `memory` is not in range"])
    #expect(problems("memory: 2TiB") == ["1:9 `memory` is not in range"])
    #expect(problems("memory: 2000") == ["1:9 `memory` is not an amount of memory"])
    #expect(problems("memory: 128MB").isEmpty && problems("memory: 1 TiB").isEmpty)
    // Paths in the environment stand for the source that the file names.
    let configuration = try RuntimeConfiguration.load(
      text: "source: {type: stdin}", environment: ["PULSE__SOURCE__PATHS": "x"], catalog: .standard)
    #expect(configuration.source.type == "files" && configuration.source.texts("paths") == ["x"])
    #expect(problems("source: {type: stdin}", ["PULSE__SOURCE__FOLLOW": "true"]).count == 1)
  }

  @Test func connectorsAreNoSections() {
    do {
      _ = try RuntimeConfiguration.load(
        text: "kafka: {brokers: x}\npostgresql: {url: x}", catalog: .standard)
      Issue.record("these are no sections")
    } catch {
      #expect(
        error.diagnostics.map(\.expected) == [
          "`source: {type: kafka, …}`", "`store: {type: postgresql, …}`",
        ])
    }
  }

  /// The example of the documentation says every key there is, with its default where it has one.
  @Test func theExampleIsRight() throws {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    let text = try String(contentsOfFile: root + "/docs/pulse.example.yaml", encoding: .utf8)
    let configuration = try RuntimeConfiguration.load(text: text, catalog: .standard)
    var expected = RuntimeConfiguration(.standard)
    let paths = try #require(SourceCatalog.section.settings.first { $0.name == "paths" })
    expected.source.set(paths, to: .texts(["logs/*.ndjson", "today.ndjson"]))
    expected.store.path = "data"
    #expect(configuration == expected)
    // With every comment that hides a key removed it is right as well.
    let everything = text.replacing(##/(?m)^( *)#= /##) { "\($0.output.1)" }
    let all = try RuntimeConfiguration.load(text: everything, catalog: .standard)
    #expect(
      all.history.retain == 30 * 86_400_000_000 && all.source.duration("idle_timeout") == .seconds(60)
        && all.workers == 2)
    #expect(all.publish.type == "kafka" && all.publish.text("anomalies") == "redset.anomalies")
    #expect(all.notifications.map(\.name) == ["oncall", "hook"] && all.notifications[1].detectors == ["spill"])
    #expect(all.server.tls.key == "key.pem" && all.server.jwt.roles["admin"] == ["owner"])
  }

  @Test func errorsNameKeysAndVariables() {
    #expect(
      problems(
        "wrkers: 3\nsource: {typ: files}\nkafka: {brokers: x}\nstore: {type: postgresql, password: x}\nbatch_size: 0")
        == [
          "1:1 unknown key `wrkers` in pulse.yaml", "2:10 unknown key `typ` in `source`",
          "3:1 `kafka` is no section of pulse.yaml",
          "4:27 pulse.yaml holds no secrets",
          "5:13 `batch_size` is not in range",
        ])
    #expect(
      problems(nil, ["PULSE__WORKERS": "many", "PULSE__STORE__PAHT": "x", "PULSE__KAFKA__BROKERS": "x"]) == [
        "1:1 PULSE__KAFKA__BROKERS: `kafka` is no section of pulse.yaml", "1:1 unknown variable PULSE__STORE__PAHT",
        "1:1 PULSE__WORKERS: `workers` is not in range",
      ])
  }
}
