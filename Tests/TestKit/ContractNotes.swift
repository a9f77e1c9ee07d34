// What a contract notes.

/// Notes what does not hold.
struct ContractNotes {
  var wrong: [String] = []

  mutating func expect(_ holds: Bool, _ what: @autoclosure () -> String) { if !holds { wrong.append(what()) } }
}
