// Names that exclude each other: what is declared in one place must not take the name of something declared in another,
// nor the place in an event where it lies.

internal import Detection

extension UseCaseReader {
  /// Reports names that collide across sections.
  /// - Parameters:
  ///   - features: the names of the features, with their places.
  ///   - classification: the section `classify`.
  mutating func checkCollisions(
    event: EventDefinition, features: [NamedFeature], classification: YAMLNode?
  ) {
    for feature in features where event.schema.index(of: feature.name) != nil {
      reader.report(
        feature.location, "the feature `\(feature.name)` has the name of a field",
        expected: "a name of its own")
    }
    let into = classification.flatMap { Self.classColumn($0) }
    if let into {
      if WindowDefinition.ownMembers.contains(into.text) {
        reader.report(
          into.location, "the class column has the name `\(into.text)`, which every window has itself",
          expected: "a name of its own", suggestion: "event_" + into.text)
      }
      let isFeature = features.contains { $0.name == into.text }
      if isFeature || event.schema.index(of: into.text) != nil {
        reader.report(
          into.location, "the class column `\(into.text)` has the name of a \(isFeature ? "feature" : "field")",
          expected: "a name of its own")
      }
    }
    guard !isStored else { return }
    checkCase(event.schema, features, into)
    checkPaths(event.schema)
  }

  /// Reports columns of history and names of expressions that differ in nothing but case: SQL does not tell them apart,
  /// and DuckDB gives the second one another name.
  private mutating func checkCase(_ schema: Schema, _ features: [NamedFeature], _ into: LocatedText?) {
    var taken: [String: (name: String, what: String, line: Int)] = [:]
    for own in HistoryColumns.ownNames { taken[own.lowercased()] = (own, "the column of history", 0) }
    func note(_ name: String, _ what: String, _ location: SourceLocation, _ reader: inout NodeReader) {
      guard let first = taken[name.lowercased()] else {
        taken[name.lowercased()] = (name, what, location.line)
        return
      }
      // Names that are equal are reported elsewhere, in words of their own.
      if first.name == name { return }
      reader.report(
        location,
        "\(what) `\(name)` differs only in case from \(first.what) `\(first.name)`, and SQL takes them for one",
        expected: "a name of its own" + (what == "the field" ? "; `path` says where the value lies" : ""),
        found: first.line > 0 ? "`\(first.name)` in line \(first.line)" : nil)
    }
    for field in schema.fields {
      guard let place = fieldPlaces[field.name] else { continue }
      note(field.name, "the field", place, &reader)
    }
    for feature in features { note(feature.name, "the feature", feature.location, &reader) }
    if let into { note(into.text, "the class column", into.location, &reader) }
  }

  /// Reports a field whose value would have to be an object, because another field lies in it: every event that has both
  /// would be rejected. A field of type json may hold others.
  private mutating func checkPaths(_ schema: Schema) {
    var holders: [[String]: Field] = [:]
    for field in schema.fields where field.type != .json { holders[field.path] = holders[field.path] ?? field }
    for field in schema.fields {
      for length in stride(from: 1, to: field.path.count, by: 1) {
        guard let holder = holders[Array(field.path.prefix(length))], let place = fieldPlaces[field.name],
          let other = fieldPlaces[holder.name]
        else { continue }
        reader.report(
          place,
          "the field `\(field.name)` lies in `\(holder.name)`, which is no object but of type \(holder.type.name)",
          expected: "`\(holder.name)` of type json, or a `path` of keys that hold dots, such as path: [\"a.b\"]",
          found: "`\(holder.name)` in line \(other.line)")
        break
      }
    }
  }

  /// What the section `classify` calls the class, as far as it does.
  static func classColumn(_ classification: YAMLNode) -> LocatedText? {
    guard case .mapping(let entries) = classification.content,
      let into = entries.first(where: { $0.key.text == "into" }), case .scalar(let text, _) = into.value.content
    else { return nil }
    return text
  }
}
