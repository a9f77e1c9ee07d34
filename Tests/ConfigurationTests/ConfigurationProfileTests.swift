// How rules with a profile are read, and what is said about those that are wrong.

import Detection
import Testing

@testable import Configuration

@Suite("Rules with a profile, read")
struct ConfigurationProfileTests {
  private let minimal = """
    name: a
    event:
      time: t
      fields:
        t: {type: timestamp, required: true}
        x: {type: double}
        y: {type: double}
        s: {type: string}

    """

  private func problems(_ rule: String) -> [String] {
    UseCaseChecker.check(text: minimal + "rules: [\(rule)]\n").diagnostics.map {
      "\($0.location.line):\($0.location.column) \($0.message)"
    }
  }

  private func rule(_ rule: String) throws -> RuleDefinition {
    let check = UseCaseChecker.check(text: minimal + "rules: [\(rule)]\n")
    return try #require(check.plan?.useCase.rules.first, "\(check.rendered)")
  }

  @Test("each kind by its keys")
  func kinds() throws {
    let streak = try rule("{name: r, when: x > 1, until: x < 0, per: s, streak: 3, within: 1h}")
    #expect(streak.within == 3_600_000_000 && streak.when?.text == "x > 1")
    guard case .streak(3, let until)? = streak.profile, until.text == "x < 0" else {
      Issue.record("\(streak)")
      return
    }
    let value = try rule("{name: r, new: s, per: x}")
    guard case .newValue(let of, 16, let expire, let learning)? = value.profile else {
      Issue.record("\(value)")
      return
    }
    #expect(of.text == "s" && expire == 90 * DurationText.day && learning == LearningDefinition(count: 10, time: 0))
    let hours = try rule("{name: r, unusual_hour: t, per: s, share: 0.1, until_learned: hour(t) = 3}")
    guard case .unusualHour(_, 0.1, let halfLife, let condition?, let needed)? = hours.profile else {
      Issue.record("\(hours)")
      return
    }
    #expect(halfLife == 30 * DurationText.day && condition.text == "hour(t) = 3")
    #expect(needed == LearningDefinition(count: 40, time: 7 * DurationText.day))
    let sequence = try rule("{name: r, first: x > 1, then: x < 0, per: s, within: 10m, cool_down: 0}")
    guard case .sequence(_, _, nil)? = sequence.profile, sequence.coolDown == 0 else {
      Issue.record("\(sequence)")
      return
    }
    let travel = try rule("{name: r, travel: [x, y], per: s, within: 1d, max_speed: 500}")
    guard case .travel(_, let longitude, 500, 100)? = travel.profile, longitude.text == "y" else {
      Issue.record("\(travel)")
      return
    }
  }

  @Test(
    "what is wrong, at its place",
    arguments: [
      ("{name: r, streak: 3, until: x < 0, per: s}", ["9:9 the rule with `streak` has no `when` and `within`"]),
      ("{name: r, when: x > 1, until: x < 0, per: s, streak: 1, within: 1h}", ["9:62 `streak` is not in range"]),
      (
        "{name: r, when: x > 1, until: x < 0, per: s, streak: 3, within: 1h, having: count(*) > 1}",
        ["9:77 `having` does not apply to a rule with `streak`"]
      ),
      ("{name: r, new: s, per: x, streak: 3}", ["9:35 `new` and `streak` in one rule"]),
      ("{name: r, new: s, per: x, within: 1h}", ["9:35 `within` does not apply to a rule with `new`"]),
      ("{name: r, new: s, per: x, remember: 500}", ["9:45 `remember` is not in range"]),
      ("{name: r, new: s, per: x, expire: 0}", ["9:43 `expire` must be longer than nothing"]),
      ("{name: r, new: s}", ["9:9 the rule with `new` has no `per`"]),
      ("{name: r, new: z, per: x}", ["9:24 expected a known column, found z"]),
      ("{name: r, unusual_hour: x, per: s}", ["9:33 expected TIMESTAMP"]),
      ("{name: r, unusual_hour: t, per: s, share: 2}", ["9:51 `share` is not in range"]),
      ("{name: r, unusual_hour: t, per: s, learn: 0}", ["9:51 `learn` is not in range"]),
      ("{name: r, first: x > 1, per: s, within: 1m}", ["9:9 the rule with `first` has no `then`"]),
      (
        "{name: r, first: x > 1, then: x < 1, per: s, within: 1m, when: x > 1}",
        ["9:66 `when` does not apply to a rule with `first`"]
      ),
      ("{name: r, travel: x, per: s, within: 1m}", ["9:27 `travel` is not a place"]),
      ("{name: r, travel: [x], per: s, within: 1m}", ["9:27 `travel` is not a place"]),
      ("{name: r, travel: [x, s], per: s, within: 1m}", ["9:31 expected DOUBLE"]),
      ("{name: r, when: x > 1, until: x < 1}", ["9:32 `until` does not apply to this rule"]),
      (
        "{name: r, per: s, within: 1m, having: count(*) > 1, learn: 3}",
        ["9:61 `learn` does not apply to this rule"]
      ),
      ("{name: r, streek: 3, when: x > 1}", ["9:19 unknown key `streek` in the rule"]),
    ])
  func mistakes(_ rule: String, _ expected: [String]) {
    let found = problems(rule)
    #expect(found.count == expected.count && zip(found, expected).allSatisfy { $0.hasPrefix($1) }, "\(found)")
  }
}
