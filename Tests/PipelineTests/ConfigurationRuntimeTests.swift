// `pulse.yaml` and the environment.

import Detection
import Testing

@testable import Pipeline

@Suite struct ConfigurationRuntimeTests {
  private func problems(_ text: String?, _ environment: [String: String] = [:]) -> [String] {
    do {
      _ = try RuntimeConfiguration.load(text: text, environment: environment)
      return []
    } catch {
      return error.diagnostics.map { "\($0.location.line):\($0.location.column) \($0.message)" }
    }
  }

  @Test func readsEveryKey() throws {
    let configuration = try RuntimeConfiguration.load(
      text: """
        source: {type: files, paths: [a.ndjson, "b*.csv"], format: csv}
        store: {type: sqlite, path: /var/lib/pulse}
        history: {codec: zstd, retain: 30d}
        checkpoint: {interval: 500ms}
        workers: 3
        batch_size: 100
        log: {level: debug}
        """)
    #expect(configuration.source == .init(kind: .files, paths: ["a.ndjson", "b*.csv"], format: .csv))
    #expect(configuration.store.path == "/var/lib/pulse")
    #expect(configuration.history == .init(codec: .zstd, retain: 30 * 86_400_000_000))
    #expect(configuration.checkpointInterval == 500_000 && configuration.workers == 3 && configuration.batchSize == 100)
    #expect(configuration.logLevel == .debug)
  }

  @Test(arguments: [nil, "", "# nothing\n", "source:\n"] as [String?])
  func defaultsHoldWithoutAFile(_ text: String?) throws {
    #expect(try RuntimeConfiguration.load(text: text) == RuntimeConfiguration())
  }

  @Test func theEnvironmentGoesFirst() throws {
    let configuration = try RuntimeConfiguration.load(
      text: "workers: 3\nstore: {path: a}",
      environment: [
        "PULSE__WORKERS": "5", "PULSE__STORE__PATH": "b", "PULSE__SOURCE__PATHS": "x,y", "PULSE__LOG__LEVEL": "error",
        "HOME": "/", "PULSE_OTHER": "1", "PULSE__BATCH_SIZE": "7",
      ])
    #expect(configuration.workers == 5 && configuration.store.path == "b" && configuration.source.paths == ["x", "y"])
    #expect(configuration.logLevel == .error && configuration.batchSize == 7)
  }

  @Test func errorsNameKeysAndVariables() {
    #expect(
      problems(
        "wrkers: 3\nsource: {typ: files}\nkafka: {brokers: x}\nstore: {type: postgresql, password: x}\nbatch_size: 0")
        == [
          "1:1 unknown key `wrkers` in pulse.yaml", "2:10 unknown key `typ` in `source`",
          "3:1 `kafka` is not available yet",
          "4:15 `postgresql` is not available yet", "4:27 pulse.yaml holds no secrets",
          "5:13 `batch_size` is not in range",
        ])
    #expect(
      problems(nil, ["PULSE__WORKERS": "many", "PULSE__STORE__PAHT": "x", "PULSE__KAFKA__BROKERS": "x"]) == [
        "1:1 PULSE__KAFKA__BROKERS: `kafka` is not available yet", "1:1 unknown variable PULSE__STORE__PAHT",
        "1:1 PULSE__WORKERS: `workers` is not in range",
      ])
  }
}
