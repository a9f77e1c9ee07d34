import Testing

@testable import Detection

@Suite struct RuleCompilerTests {
  private func errors(
    _ definition: RuleDefinition, _ event: EventDefinition = ruleEvents(key: "user")
  ) -> [Diagnostic] {
    do throws(Diagnostics) {
      _ = try CompiledRule(definition, scope: Scope(RuleStream.columns), event: event)
      return []
    } catch {
      return error.all
    }
  }

  private func text(_ text: String, _ line: Int, _ column: Int = 10) -> LocatedText {
    LocatedText(text, at: SourceLocation(line: line, column: column))
  }

  @Test func `all errors are reported, in the order of the file`() {
    let found = errors(
      RuleDefinition(
        name: "r", severity: .low, when: text("kid = 'login'", 1), per: [text("usr", 2), text("user", 2, 20)],
        within: 60, having: text("quantile(x, 0.5) > 2", 3), reason: text("of {acount}", 4)))
    #expect(found.map(\.location.line) == [1, 2, 3, 4])
    #expect(found[1].message == "unknown name `usr` in `per`" && found[1].suggestion == "user")
    #expect(found[3].location.column == 14 && found[3].suggestion == "account")
    #expect(found[2].location == SourceLocation(line: 3, column: 10))
  }

  @Test func `keys that need each other`() {
    let here = SourceLocation(line: 7, column: 3)
    func messages(
      when: String? = "x > 1", per: [String] = [], within: Int64? = nil, having: String? = nil, coolDown: Int64? = nil,
      _ event: EventDefinition = ruleEvents(key: "user")
    ) -> [String] {
      errors(
        RuleDefinition(
          name: "r", severity: .low, when: when.map { LocatedText($0) }, per: per.map { LocatedText($0) },
          within: within, having: having.map { LocatedText($0) }, coolDown: coolDown, location: here), event
      ).map(\.message)
    }
    #expect(messages() == [])
    #expect(messages(when: nil) == ["the rule has no condition"])
    #expect(messages(within: 5, having: "count(*) > 1") == ["`within` without `per`"])
    #expect(messages(per: ["user"], within: 5) == ["`within` without `having`"])
    #expect(messages(per: ["user"], having: "count(*) > 1") == ["`having` without `within`"])
    #expect(messages(per: ["user"]) == ["`per` without `within` and `having`, or `cool_down`"])
    #expect(messages(per: ["user"], within: 0, having: "count(*) > 1") == ["`within` must be longer than zero"])
    #expect(messages(coolDown: 5) == [])
    #expect(messages(coolDown: 5, ruleEvents()) == ["`cool_down` without `per`, and the events have no `key`"])
    #expect(messages(coolDown: -5) == ["`cool_down` must not be negative"])
    #expect(messages(per: ["user"], within: 5, having: "1 > 0").count == 1, "no aggregate")
    #expect(messages(per: ["user", "user"], within: 5, having: "count(*) > 1") == ["`per` names `user` twice"])
    let partitioned = ruleEvents(key: "user", partitionedBy: "account")
    #expect(
      messages(per: ["user"], within: 5, having: "count(*) > 1", partitioned)
        == ["the events of one entity may lie in several partitions"])
    #expect(messages(per: ["account", "user"], within: 5, having: "count(*) > 1", partitioned) == [])
  }

  @Test func `conditions must be conditions, of aggregates a window can keep`() {
    #expect(errors(RuleDefinition(name: "r", severity: .low, when: LocatedText("x + 1"))).count == 1)
    func having(_ text: String) -> [Diagnostic] {
      errors(
        RuleDefinition(
          name: "r", severity: .low, per: [LocatedText("user")], within: 5, having: LocatedText(text)))
    }
    for function in ["stddev", "first", "last", "rate"] { #expect(having("\(function)(x) > 1").count == 1) }
    #expect(having("sum(x)").count == 1)
    #expect(having("max(kind) > 'a'").map(\.message) == ["`max(kind)` is a string"])
    let many = (0...Limits.maxRuleArguments).map { "sum(x + \($0)) > 1" }.joined(separator: " AND ")
    #expect(having(many).count == 1)
  }

  @Test func `the fingerprint follows what the state depends on`() throws {
    let base = SlidingRuleTests.logins
    func fingerprint(_ change: (inout RuleDefinition) -> Void) throws -> String {
      var definition = base
      change(&definition)
      return try slidingPlan(definition).makeDetector().stateFingerprint
    }
    let original = try fingerprint { _ in }
    #expect(try fingerprint { $0.severity = .critical } == original)
    #expect(try fingerprint { $0.reason = LocatedText("{user} again") } == original)
    #expect(try fingerprint { $0.reason = LocatedText("{count(*)}") } == original)
    #expect(try fingerprint { $0.reason = LocatedText("{sum(x)}") } != original, "x was not kept")
    #expect(try fingerprint { $0.within = 61 } != original)
    #expect(try fingerprint { $0.coolDown = 61 } != original)
    #expect(try fingerprint { $0.coolDown = 60 } == original, "the default, spelt out")
    #expect(try fingerprint { $0.per = [LocatedText("account")] } != original)
    #expect(try fingerprint { $0.when = nil } != original)
  }
}
