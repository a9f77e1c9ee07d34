// A small use case with something of everything that has state: rules, windows, lateness, dead letters, history.

import Configuration
public import Detection
public import Pipeline

/// Measurements of seven users.
public enum RuntimeUseCase {
  public static let text = """
    name: runtime
    event:
      time: at
      key: user
      out_of_order: 2s
      fields:
        at: {type: timestamp, required: true, format: seconds}
        user: {type: string, required: true}
        amount: {type: double, min: 0}
    classify:
      into: size
      cases: [{large: amount > 90}]
      else: small
    rules:
      - {name: large, when: amount > 95}
      - {name: burst, when: amount IS NOT NULL, per: user, within: 1m, having: count(*) >= 5 AND sum(amount) > 200.5}
    windows:
      - name: minutes
        type: tumbling
        size: 1m
        by: [user]
        allowed_lateness: 30s
        aggregates: {n: count(*), total: sum(amount), p90: 'quantile(amount, 0.9)', users: distinct(user)}
      - name: sliding
        type: sliding
        size: 10m
        every: 5m
        aggregates: {mean: avg(amount), last: last(user), top: 'top_k(user, 3)', amounts: 'top_k(floor(amount * 9), 3)'}
    """

  public static func plan() throws -> (plan: Plan, version: ConfigurationVersion) {
    let check = UseCaseChecker.check(text: text)
    guard let plan = check.plan else { throw OperatingError(.configuration, check.rendered) }
    return (plan, ConfigurationVersion(plan.useCase, text: text))
  }

  /// Events up to three seconds apart. Two in a hundred are broken or refused.
  public static func records(_ count: Int, seed: UInt64) -> [[UInt8]] {
    var random = SeededRandom(seed: seed)
    var time = 1_700_000_000
    return (0..<count).map { _ in
      time += Int.random(in: 0...3, using: &random)
      switch Int.random(in: 0..<100, using: &random) {
      case 0: return Array("{broken".utf8)
      case 1: return Array(#"{"at": \#(time), "user": "u1", "amount": -1}"#.utf8)
      default:
        let late = Int.random(in: 0..<20, using: &random) == 0 ? Int.random(in: 0...200, using: &random) : 0
        let amount = Double.random(in: 0...100, using: &random)
        return Array(
          #"{"at": \#(time - late), "user": "u\#(Int.random(in: 0..<7, using: &random))", "amount": \#(amount)}"#.utf8)
      }
    }
  }
}
