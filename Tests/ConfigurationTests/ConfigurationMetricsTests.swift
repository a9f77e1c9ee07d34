// The `metrics:` section: what is read, what is compiled, and what is wrong with it, with its place.

import Detection
import Testing

@testable import Configuration

@Suite struct ConfigurationMetricsTests {
  private static let head = """
    name: my-shop
    event:
      time: t
      fields:
        t: {type: timestamp, required: true}
        x: {type: int}
        y: {type: double}
        s: {type: string}
    features: {twice: y * 2.0, unused: x + 1}
    classify: {into: kind, cases: [{large: x > 10}], else: small}

    """

  private static func problems(_ section: String) -> [String] {
    UseCaseChecker.check(text: head + section).diagnostics.map {
      "\($0.location.line):\($0.location.column) \($0.message)"
    }
  }

  @Test("everything that can be written is read")
  func complete() throws {
    let text =
      Self.head + """
        metrics:
          own:
            - {name: sales, type: counter, help: What was sold., value: twice, when: x > 0, labels: {kind: kind}}
            - name: wait_seconds
              type: histogram
              help: How long it takes.
              value: y / 1000
              buckets: [0.5, 1, 1e1]
              labels: {shop: {of: lower(s), most: 5}, many: x > 3}
            - {name: level, type: gauge, help: The last one., value: x}
            - {name: orders, type: counter, help: How many.}
        """
    let check = UseCaseChecker.check(text: text)
    let plan = try #require(check.plan, "\(check.rendered)")
    let metrics = plan.metrics
    #expect(
      metrics.map(\.name) == [
        "my_shop_sales_total", "my_shop_wait_seconds", "my_shop_level", "my_shop_orders_total",
      ])
    #expect(metrics[1].definition.buckets == [0.5, 1, 10])
    #expect(metrics[1].definition.labels.map(\.most) == [5, 50])
    // What a metric reads is computed, and nothing else.
    #expect(plan.features.map(\.name) == ["twice"])
    // It changes no result, so it is no other version of the use case.
    let bare = try #require(UseCaseChecker.check(text: Self.head).plan)
    #expect(plan.useCase.canonicalText == bare.useCase.canonicalText)
    #expect(bare.metrics.isEmpty && bare.features.isEmpty)
    let prefixed = UseCaseChecker.check(text: text.replacing("metrics:\n", with: "metrics:\n  prefix: corner\n")).plan
    #expect(prefixed?.metrics.last?.name == "corner_orders_total")
  }

  @Test(
    "what is wrong is said with its place",
    arguments: [
      ("metrics: [a]", "11:10 `metrics` is not a mapping"),
      ("metrics: {}", "11:10 `metrics` has no `own`"),
      ("metrics: {prefix: pulse_shop, own: []}", "11:19 metrics that begin with `pulse` are not the use case's own"),
      ("metrics: {own: [{name: n, type: counter}]}", "11:17 the metric has no `help`"),
      ("metrics: {own: [{name: n, type: counte, help: h}]}", "11:33 the metric type is not known"),
      ("metrics: {own: [{name: n, type: gauge, help: h}]}", "11:17 the gauge has no `value`"),
      ("metrics: {own: [{name: n, type: histogram, help: h, value: x}]}", "11:17 the metric has no `buckets`"),
      (
        "metrics: {own: [{name: n, type: histogram, help: h, value: x, buckets: [2, 1]}]}",
        "11:76 a bound of `buckets` is not in order"
      ),
      (
        "metrics: {own: [{name: n, type: gauge, help: h, value: x, buckets: [1]}]}",
        "11:59 `buckets` applies to histograms alone"
      ),
      (
        "metrics: {own: [{name: n_total, type: counter, help: h}]}",
        "11:24 the metric `n_total` ends with `total`, which Prometheus reads as a part of a metric"
      ),
      (
        "metrics: {own: [{name: wait_ms, type: gauge, help: h, value: x}]}",
        "11:24 the metric `wait_ms` has the unit `ms`, which is no base unit"
      ),
      (
        "metrics: {own: [{name: my_gauge, type: gauge, help: h, value: x}]}",
        "11:24 the name of the metric `my_gauge` says its type `gauge`"
      ),
      (
        "metrics: {own: [{name: n, type: counter, help: h}, {name: n, type: counter, help: h}]}",
        "11:59 the name `n` is taken"
      ),
      (
        "metrics: {own: [{name: n, type: counter, help: h, labels: {le: s}}]}",
        "11:60 the label `le` is not the use case's own"
      ),
      (
        "metrics: {own: [{name: n, type: counter, help: h, labels: {a: {most: 3}}}]}",
        "11:63 the label `a` has no `of`"
      ),
      (
        "metrics: {own: [{name: n, type: counter, help: h, labels: {a: {of: s, most: 0}}}]}",
        "11:77 `most` is not in range"
      ),
      // What expressions mean.
      ("metrics: {own: [{name: n, type: counter, help: h, value: z}]}", "11:58 expected a known column, found z"),
      ("metrics: {own: [{name: n, type: counter, help: h, value: s}]}", "11:58 `value` of the metric `n` is no number"),
      ("metrics: {own: [{name: n, type: counter, help: h, labels: {a: y}}]}", "11:63 the label `a` has no few values"),
      (
        "metrics: {own: [{name: n, type: counter, help: h, labels: {a: s, b: x}}]}",
        "11:17 the metrics up to `n` may have too many series"
      ),
    ])
  func wrong(_ section: String, _ expected: String) {
    let found = Self.problems(section)
    #expect(found.count == 1 && found[0].hasPrefix(expected), "\(found)")
  }

  @Test("how many series there may be counts values that are known")
  func bounds() {
    // 2 classes, 3 of a condition, 21 values and 5 numbers each: 630.
    let labels = "labels: {kind: kind, many: x > 3, s: {of: s, most: 20}}"
    let section = "{name: n, type: histogram, help: h, value: x, buckets: [1, 2], \(labels)}"
    #expect(Self.problems("metrics: {own: [\(section)]}") == [])
    let second = section.replacing("name: n", with: "name: m")
    #expect(Self.problems("metrics: {own: [\(section), \(second)]}").count == 1)
  }
}
