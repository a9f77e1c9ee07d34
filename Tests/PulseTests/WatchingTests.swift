// Prometheus and Grafana: that they are told what rules and dashboards name, in a form that promtool finds nothing wrong with,
// and that each alert fires when it should.

import Configuration
import Detection
import Foundation
import TestKit
import Testing

@Suite("Watching", .timeLimit(.minutes(15)))
struct WatchingTests {
  private static func promtool(_ arguments: String...) throws -> Outcome {
    try RunningCommand([try #require(Need.promtool)] + arguments).wait(timeout: 300)
  }

  /// The answer of /metrics without its headers.
  private static func scrape(_ port: Int) throws -> String {
    let answer = try ServeCommandTests.ask("/metrics", port: port)
    #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer.prefix(500))")
    return answer.range(of: "\r\n\r\n").map { String(answer[$0.upperBound...]) } ?? ""
  }

  /// Names of series in an answer.
  private static func names(_ text: String) -> Set<String> {
    Set(text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { String($0.prefix { $0 != "{" && $0 != " " }) })
  }

  /// Labels of the series of an answer, by name.
  private static func labels(_ text: String) -> [String: Set<String>] {
    let series = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
    return series.flatMap { Deployment.matched($0) }.reduce(into: [:]) {
      $0[$1.metric, default: []].formUnion($1.labels)
    }
  }

  private static let metrics = """
    metrics:
      prefix: jobs
      own:
        - {name: work_seconds, type: counter, help: How long all jobs took., value: seconds, labels: {kind: kind}}
        - {name: job_seconds, type: histogram, help: How long jobs take., value: seconds, buckets: [1, 10, 100, 1000]}
        - {name: last_size, type: gauge, help: The size of the last job., value: size}
    windows:
      - {name: hours, type: tumbling, size: 1h, aggregates: {n: count(*)}}

    """

  @Test(
    "rules and dashboards name what a run that serves tells, and promtool has nothing to say about that",
    .enabled(if: Need.lightGBM, "needs LightGBM"), .enabled(if: Need.promtool != nil, "needs promtool"))
  func names() throws {
    let folder = try Jobs.folder(Jobs.events(0..<4_000)) { $0 + Self.metrics }
    try Jobs.run(folder)
    try Jobs.train(folder).expect(0)
    let endless = try #require(try Jobs.anomalies(folder, of: "endless").first?["id"] as? String)
    let live = try LiveJobs(folder, 0..<4_000, "--serve", "--port", "0")
    let port = try ServeCommandTests.port { live.process.errors }
    // One record that is none, and one that is late, behind those that the new models score.
    try live.append(until: 6_600)
    try folder.append("events.ndjson", "{broken\n" + Jobs.events(0..<1))
    #expect(poll { (try? Self.scrape(port).contains("pulse_late_events_total")) == true }, "\(live.process.errors)")
    let id = try #require(endless.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
    let said = try ServeCommandTests.ask(
      "/api/v1/use-cases/jobs/anomalies/\(id)/feedback", port: port, method: "POST", body: #"{"verdict":"confirmed"}"#)
    #expect(said.hasPrefix("HTTP/1.1 200"), "\(said)")

    // Once all of it is stored.
    var text = ""
    let isThere = try poll {
      text = try Self.scrape(port)
      return ["pulse_stored_dead_letters_total", "pulse_model_drift", "pulse_feedback_precision_ratio"]
        .allSatisfy { text.contains("\n\($0){") }
    }
    #expect(isThere, "\(text)")
    let known = Self.names(text)
    let recorded = Set(try Deployment.rules().compactMap(\.record))
    let dashboards = try Deployment.dashboards()
    let expressions =
      try Deployment.rules().map(\.expression) + dashboards.values.flatMap { Deployment.expressions($0) }
    #expect(expressions.count > 80)
    for name in Set(expressions.flatMap { Deployment.metrics($0) }).subtracting(["up", "ALERTS"]).sorted() {
      #expect(name.contains(":") ? recorded.contains(name) : known.contains(name), "nobody tells \(name)")
    }
    // What Prometheus adds to each series; recorded ones have labels of those that they are made of.
    let added: Set<String> = ["instance", "job"]
    let labels = Self.labels(text)
    let all = labels.values.reduce(added) { $0.union($1) }
    for expression in expressions {
      for (metric, asked) in Deployment.matched(expression) where !["up", "ALERTS"].contains(metric) {
        let there = metric.contains(":") ? all : added.union(labels[metric] ?? [])
        #expect(asked.isSubset(of: there), "\(metric) has no label \(asked.subtracting(there)): \(expression)")
      }
      let unknown = Deployment.grouped(expression).subtracting(all)
      #expect(unknown.isEmpty, "no metric has the label \(unknown): \(expression)")
    }
    #expect(known.isSuperset(of: ["jobs_work_seconds_total", "jobs_job_seconds_bucket", "jobs_last_size"]))
    #expect(text.contains("jobs_job_seconds_count{use_case=\"jobs\"} "), "\(text)")
    #expect(text.split(separator: "\n").count { !$0.hasPrefix("#") } <= 2_000)

    try folder.write("metrics.txt", text)
    let check = try RunningCommand([
      "/bin/bash", "-c", "'\(try #require(Need.promtool))' check metrics < '\(folder / "metrics.txt")'",
    ]).wait()
    #expect(check.exitCode == 0 && check.output.isEmpty && check.errors.isEmpty, "\(check)")
    try live.stop()
  }

  @Test("a server beside runs tells what the store holds", .enabled(if: Need.promtool != nil, "needs promtool"))
  func served() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<5000))
    try Trail.run(folder, "events.ndjson").expect(0)
    let running = try PulseCommand.start("serve", "--data", folder / "data", "--port", "0")
    let port = try ServeCommandTests.port { running.output }
    #expect(try poll { try Self.scrape(port).contains("\npulse_stored_records_total{use_case=\"trail\"} 5000\n") })
    let text = try Self.scrape(port)
    let letters = "pulse_stored_dead_letters_total{use_case=\"trail\",stage=\"validate\",reason=\"missing\"} 20\n"
    #expect(text.contains(letters), "\(text)")
    // Nothing runs: there is no lag, and nothing of a run.
    #expect(!text.contains("pulse_lag_seconds") && !text.contains("pulse_records_total"))
    try folder.write("metrics.txt", text)
    let check = try RunningCommand([
      "/bin/bash", "-c", "'\(try #require(Need.promtool))' check metrics < '\(folder / "metrics.txt")'",
    ]).wait()
    #expect(check.exitCode == 0 && check.output.isEmpty && check.errors.isEmpty, "\(check)")
    running.send(SIGTERM)
    try running.wait().expect(0)
  }

  @Test(
    "configuration and rules are right, and alerts fire when they should and not otherwise",
    .enabled(if: Need.promtool != nil, "needs promtool"))
  func rules() throws {
    try Self.promtool("check", "config", Deployment.folder + "/prometheus/prometheus.yml").expect(0)
    for file in try Deployment.files("prometheus/tests", ".yml") {
      let outcome = try Self.promtool("test", "rules", "\(Deployment.folder)/\(file)")
      #expect(outcome.exitCode == 0, "\(outcome)")
    }
  }

  @Test("what dashboards ask is PromQL", .enabled(if: Need.promtool != nil, "needs promtool"))
  func expressions() throws {
    var rules: [[String: String]] = []
    for (_, dashboard) in try Deployment.dashboards().sorted(by: { $0.key < $1.key }) {
      for expression in Deployment.expressions(dashboard["panels"] ?? []) {
        // A variable of Grafana stands within a text.
        rules.append(["record": "panel:\(rules.count)", "expr": expression.replacing(/\$\w+/, with: "x")])
      }
    }
    #expect(rules.count > 50)
    let folder = try TestFolder()
    let group: [String: Any] = ["name": "panels", "rules": rules]
    let file = try JSONSerialization.data(withJSONObject: ["groups": [group]], options: .withoutEscapingSlashes)
    try folder.write("panels.yml", String(decoding: file, as: UTF8.self))
    try Self.promtool("check", "rules", folder / "panels.yml").expect(0)
    // That it looks at them.
    try folder.write("broken.yml", #"{"groups":[{"name":"panels","rules":[{"record":"a:b","expr":"sum by (x (y)"}]}]}"#)
    #expect(try Self.promtool("check", "rules", folder / "broken.yml").exitCode != 0)
  }

  @Test("alerts of each severity reach a receiver that there is, and Prometheus hands them to somebody")
  func receivers() throws {
    #expect(try Deployment.mappings("prometheus/prometheus.yml").contains { $0["alertmanagers"] != nil })
    let all = try Deployment.mappings("prometheus/alertmanager.yml")
    let receivers = Set(all.compactMap { $0["name"]?.text?.text })
    let named = all.compactMap { $0["receiver"]?.text?.text }
    #expect(!named.isEmpty && receivers == Set(named))
    let severities = try Deployment.files("prometheus/rules", ".yml").flatMap { try Deployment.mappings($0) }
      .compactMap { $0["severity"]?.text?.text }
    let routed = all.filter { $0["receiver"] != nil }.compactMap { route -> String? in
      guard case .sequence(let matchers)? = route["matchers"]?.content else { return nil }
      return matchers.first?.text?.text
    }
    #expect(Set(routed) == Set(severities.map { "severity = \($0)" }))
  }

  @Test("each alert has a test in which it fires, one in which it does not, and a section of its page")
  func alerts() throws {
    let alerts = try Deployment.rules().filter { $0.alert != nil }
    #expect(alerts.count >= 15)
    let tests = try Deployment.files("prometheus/tests", ".yml").flatMap { try Deployment.mappings($0) }
    let page = try String(contentsOfFile: PulseCommand.package + "/docs/alerts.md", encoding: .utf8)
    for rule in alerts {
      let name = try #require(rule.alert)
      let expected = tests.filter { $0["alertname"]?.text?.text == name }.compactMap { $0["exp_alerts"]?.content }
      let fires = expected.count { if case .sequence(let items) = $0 { !items.isEmpty } else { false } }
      #expect(fires > 0 && fires < expected.count, "\(name): \(fires) of \(expected.count) tests expect it")
      #expect(page.contains("\n### \(name)\n"), "docs/alerts.md has no section of \(name)")
      #expect(rule.runbook == "docs/alerts.md#\(name.lowercased())")
    }
  }

  @Test("dashboards have the names of their files, and the data source that is provisioned")
  func dashboards() throws {
    let source = try #require(
      try Deployment.mappings("grafana/provisioning/datasources/pulse.yml").compactMap { $0["uid"]?.text?.text }.first)
    let dashboards = try Deployment.dashboards()
    #expect(
      Set(dashboards.keys.map { ($0 as NSString).lastPathComponent }) == [
        "pulse-overview.json", "pulse-use-case.json", "pulse-server.json",
      ])
    for (path, dashboard) in dashboards {
      #expect("\(dashboard["uid"] ?? "").json" == (path as NSString).lastPathComponent)
      let panels = try #require(dashboard["panels"] as? [[String: Any]], "\(path)")
      let identifiers = panels.compactMap { $0["id"] as? Int }
      #expect(Set(identifiers).count == panels.count, "\(path): panels without a number of their own")
      for panel in panels where panel["type"] as? String != "row" {
        let used = (panel["datasource"] as? [String: Any])?["uid"] as? String
        #expect(used == source && panel["targets"] != nil, "\(path): \(panel["title"] ?? "")")
      }
    }
  }

  @Test("names are found in expressions")
  func canary() {
    #expect(
      Deployment.metrics(
        #"histogram_quantile(0.99, sum by (a, le) (rate(x_bucket{b="y_total"}[5m]))) > 2 and on (z) (q:w:rate5m or v)"#)
        == ["x_bucket", "q:w:rate5m", "v"])
    #expect(Deployment.metrics("label_values(pulse_build_info, instance)") == ["pulse_build_info"])
    let found = Deployment.matched(#"sum by (r, s) (rate(a_total{x="1,y=}",z!~"b|c"}[5m])) / on (t) q:w{v=~"."}"#)
    #expect(found.map(\.metric) == ["a_total", "q:w"] && found.map(\.labels) == [["x", "z"], ["v"]])
    #expect(Deployment.grouped("sum by (r, s) (a) / on (t) group_left () b") == ["r", "s", "t"])
  }
}
