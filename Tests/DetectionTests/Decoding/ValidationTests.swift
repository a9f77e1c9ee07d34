// The constraints of a field, the messages they give, and the choice between plain and dictionary strings.

import Detection
import TestKit
import Testing

@Suite struct ValidationTests {
  private func reason(_ text: String, _ field: Field) -> DeadLetter.Reason? {
    decode(a: text, as: field).deadLetters.first?.reason
  }

  @Test func boundsAreInclusive() {
    let int = Field(name: "a", type: .int, minimum: .int(1), maximum: .int(5))
    #expect(reason("1", int) == nil && reason("5", int) == nil && reason("null", int) == nil)
    #expect(reason("0", int) == .outOfRange && reason("6", int) == .outOfRange)
    let double = Field(name: "a", type: .double, minimum: .double(0.5), maximum: .int(2))
    #expect(reason("0.5", double) == nil && reason("2", double) == nil)
    #expect(reason("0.49", double) == .outOfRange && reason("2.01", double) == .outOfRange)
    let time = Field(name: "a", type: .timestamp(.automatic), minimum: .timestamp(1_514_764_800_000_000))
    #expect(reason("\"2018-01-01\"", time) == nil)
    #expect(reason("\"2017-12-31\"", time) == .outOfRange)
    let letter = decode(a: "-3", as: int).deadLetters.first
    #expect(letter?.message == "a: expected at least 1, found -3")
    #expect(letter?.stage == .validate)
  }

  @Test func lengthCountsBytes() {
    let field = Field(name: "a", type: .string, maxLength: 4)
    #expect(reason("\"abcd\"", field) == nil && reason("\"éé\"", field) == nil)
    #expect(reason("\"abcde\"", field) == .tooLong && reason("\"ééé\"", field) == .tooLong)
  }

  @Test func allowedValues() {
    let string = Field(name: "a", type: .string, allowed: [.string("x"), .string("yy"), .string("")])
    #expect(reason("\"x\"", string) == nil && reason("\"yy\"", string) == nil && reason("\"\"", string) == nil)
    #expect(reason("\"y\"", string) == .notAllowed && reason("\"yyy\"", string) == .notAllowed)
    let int = Field(name: "a", type: .int, allowed: [.int(1), .int(3)])
    #expect(reason("3", int) == nil && reason("2", int) == .notAllowed && reason("null", int) == nil)
    let bool = Field(name: "a", type: .bool, allowed: [.bool(true)])
    #expect(reason("true", bool) == nil && reason("false", bool) == .notAllowed)
  }

  @Test func aPatternMatchesTheWholeString() {
    let field = Field(name: "a", type: .string, pattern: "[a-z]+|[0-9]{2}")
    #expect(reason("\"abc\"", field) == nil && reason("\"12\"", field) == nil)
    for text in ["\"abc1\"", "\"\"", "\"123\"", "\"abc\\n\""] {
      #expect(reason(text, field) == .patternMismatch, "\(text)")
    }
    #expect(Decoder.problem(inPattern: "a+") == nil)
    #expect(Decoder.problem(inPattern: "(a") != nil)
  }

  @Test func defaultsAndRequiredFields() {
    let string = Field(name: "a", type: .string, required: true, defaultValue: .string("d"))
    #expect(value(decode(a: "null", as: string)) == .string("d"))
    #expect(value(decode(schema(string), [#"{"t":0}"#])) == .string("d"))
    for (field, expected) in [
      (Field(name: "a", type: .bool, defaultValue: .bool(true)), Scalar.bool(true)),
      (Field(name: "a", type: .int, defaultValue: .int(3)), .int(3)),
      (Field(name: "a", type: .double, defaultValue: .int(3)), .double(3)),
      (Field(name: "a", type: .timestamp(.automatic), defaultValue: .timestamp(3)), .timestamp(3)),
    ] {
      let decoded = decode(schema(field), [#"{"t":0}"#, #"{"t":0,"a":0}"#])
      #expect(decoded.events.columns[1][0] == expected)
      #expect(decoded.events.columns[1][1] != expected)
    }
    #expect(reason("null", Field(name: "a", type: .int, required: true)) == .missing)
    #expect(decode(schema(Field(name: "a", type: .int, required: true)), [#"{"t":0}"#]).deadLetters.first?.field == "a")
  }

  @Test func theFirstFailingFieldInSchemaOrderDecides() {
    let schema = schema(
      Field(name: "a", type: .int, minimum: .int(0)), Field(name: "b", type: .int),
      Field(name: "c", type: .string, required: true))
    let records = [#"{"b":"x","a":-1,"t":0}"#, #"{"b":"x","a":1,"t":0}"#, #"{"b":1,"a":1,"t":0}"#, #"{"c":1,"t":"x"}"#]
    let letters = decode(schema, records).deadLetters
    #expect(letters.map(\.field) == ["a", "b", "c", "t"])
    #expect(letters.map(\.reason) == [.outOfRange, .wrongType, .missing, .invalidTimestamp])
    #expect(letters[1].message == "b: expected an integer, found the string \"x\"")
  }

  @Test func repeatedStringsGetADictionaryAndUniqueOnesDoNot() {
    let schema = schema(Field(name: "a", type: .string), Field(name: "b", type: .string))
    let records = (0..<2000).map { #"{"t":0,"a":"value \#($0 % 5)","b":"a longer value \#($0)"}"# }
    let decoder = Decoder(schema: schema)
    for _ in 0..<30 {
      let decoded = decoder.decode(QueryEvents.batch(of: records.map { Array($0.utf8) }))
      guard case .string(let a) = decoded.events.columns[1].values,
        case .string(let b) = decoded.events.columns[2].values
      else {
        Issue.record("no strings")
        return
      }
      #expect(a.codes != nil && a.entryCount == 5)
      #expect(b.codes == nil)
      #expect((0..<2000).allSatisfy { a[$0] == "value \($0 % 5)" && b[$0] == "a longer value \($0)" })
    }
  }

  @Test func constraintsHoldForDictionariesWithNullsAndDefaults() {
    let schema = schema(
      Field(name: "a", type: .string, allowed: [.string("x"), .string("y")]),
      Field(name: "b", type: .string, defaultValue: .string("d"), pattern: "[xy]"))
    let values = ["\"x\"", "\"y\"", "null", "\"z\""]
    let records = (0..<4000).map { #"{"t":\#($0),"a":\#(values[$0 / 4 % 4]),"b":\#(values[$0 % 4])}"# }
    let decoded = decode(schema, records)
    #expect(decoded.deadLetters.count == 1000 + 750)
    #expect(decoded.deadLetters.filter { $0.field == "a" }.allSatisfy { $0.reason == .notAllowed })
    #expect(decoded.deadLetters.filter { $0.field == "b" }.allSatisfy { $0.reason == .patternMismatch })
    let kept = (0..<4000).filter { $0 / 4 % 4 != 3 && $0 % 4 != 3 }
    let names: [Scalar] = [.string("x"), .string("y"), .null]
    #expect(decoded.events.columns[1] == Column(.string, kept.map { names[$0 / 4 % 4] }))
    #expect(
      decoded.events.columns[2] == Column(.string, kept.map { $0 % 4 == 2 ? .string("d") : names[$0 % 4] }))
    #expect(decoded.events.positions.rows == kept.map { Int64($0) })
  }
}
