import Testing
@testable import Pipeline
import Detection

@Test func smoke() {
  let check = UseCaseChecker.check(text: """
    name: Red-set
    event:
      time: arival
      fields:
        arrival: {type: timestamp, required: true}
        x: {type: strng}
        y: {type: int, min: a}
        y: {type: int, min: 1}
    features: {a: 'x + ''1'' ', b: [1]}
    windows:
      - {name: w, type: session}
    """)
  print(check.rendered)
}
