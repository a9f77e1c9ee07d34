// The bounds of YAML that a person wrote. Before a text is composed it is read as a stream of events, which takes memory for
// its nesting only; what would cost far more than its length (aliases, which multiply, and nesting, which is recursed over)
// is refused before a single node exists.

internal import CYaml
internal import Detection

/// Bounds of YAML.
enum YAMLBounds {
  /// Largest file, in bytes: a thousand times the size of a long one.
  static let maxBytes = 1 << 20
  /// Deepest nesting of collections. The grammar of a use case needs six.
  static let maxDepth = 32

  /// Refuses a text that is too large, nested too deeply or has anchors or aliases. What is not YAML passes, up to the
  /// place where that shows: whoever composes the nodes says so.
  static func check(_ text: String) throws(Diagnostic) {
    let size = text.utf8.count
    guard size <= maxBytes else {
      throw Diagnostic(
        location: SourceLocation(line: 1, column: 1), message: "the file is too large",
        expected: "at most \(maxBytes) bytes", found: "\(size) bytes")
    }
    // SAFETY: the bytes are lent for the whole of the scan, and the parser does not outlive it.
    if let refusal = Array(text.utf8).withUnsafeBufferPointer(scan) { throw refusal }
  }

  private static func scan(_ bytes: UnsafeBufferPointer<UInt8>) -> Diagnostic? {
    // SAFETY: the parser keeps pointers into itself, so it gets memory that does not move; it is initialised before it is
    // used, deleted and freed on every way out.
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    defer { parser.deallocate() }
    guard yaml_parser_initialize(parser) == 1 else { return nil }
    defer { yaml_parser_delete(parser) }
    yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    var depth = 0
    while true {
      var event = yaml_event_t()
      guard yaml_parser_parse(parser, &event) == 1 else {
        // The library's own bound, far beyond ours, may strike while it looks ahead.
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? ""
        return problem.contains("nesting level") ? tooDeep(parser.pointee.problem_mark) : nil
      }
      defer { yaml_event_delete(&event) }
      var hasAnchor = false
      switch event.type {
      case YAML_STREAM_END_EVENT: return nil
      case YAML_ALIAS_EVENT: hasAnchor = true
      case YAML_SCALAR_EVENT: hasAnchor = event.data.scalar.anchor != nil
      case YAML_SEQUENCE_START_EVENT: (hasAnchor, depth) = (event.data.sequence_start.anchor != nil, depth + 1)
      case YAML_MAPPING_START_EVENT: (hasAnchor, depth) = (event.data.mapping_start.anchor != nil, depth + 1)
      case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: depth -= 1
      default: break
      }
      if hasAnchor {
        return Diagnostic(
          location: location(event.start_mark), message: "anchors and aliases are not supported",
          expected: "the value itself")
      }
      if depth > maxDepth { return tooDeep(event.start_mark) }
    }
  }

  private static func tooDeep(_ mark: yaml_mark_t) -> Diagnostic {
    Diagnostic(
      location: location(mark), message: "the file is nested too deeply", expected: "at most \(maxDepth) levels")
  }

  private static func location(_ mark: yaml_mark_t) -> SourceLocation {
    SourceLocation(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
  }
}
