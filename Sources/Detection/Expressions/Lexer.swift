// Cuts an expression's text into tokens. Works on UTF-8 bytes, so every token knows its offset; keywords are not told
// apart from names here, because most are only words in their place.

/// One token with its place in the text.
struct Token: Sendable {
  enum Kind: Sendable, Hashable {
    /// A bare word: a keyword, a function or a column; dotted paths are one word.
    case word(String)
    /// A name in double quotes.
    case quoted(String)
    case string(String)
    /// Digits only; the value may exceed 64 bits.
    case integer(String)
    case decimal(Double)
    /// An operator or punctuation.
    case symbol(String)
    case end
  }

  let kind: Kind
  let span: TextSpan
}

/// Produces the tokens of a text.
struct Lexer {
  private let bytes: [UInt8]
  private var at = 0

  private init(_ text: String) { bytes = Array(text.utf8) }

  /// All tokens of `text`, the last one `.end`.
  static func tokens(of text: String) throws(ExpressionError) -> [Token] {
    var lexer = Lexer(text)
    guard lexer.bytes.count <= Limits.maxExpressionBytes else {
      throw ExpressionError(
        TextSpan(offset: Limits.maxExpressionBytes, length: lexer.bytes.count - Limits.maxExpressionBytes),
        expected: "at most \(Limits.maxExpressionBytes) bytes", found: "\(lexer.bytes.count) bytes")
    }
    var tokens: [Token] = []
    while true {
      let token = try lexer.next()
      tokens.append(token)
      if token.kind == .end { return tokens }
    }
  }

  private mutating func next() throws(ExpressionError) -> Token {
    while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    guard at < bytes.count else { return Token(kind: .end, span: TextSpan(offset: at, length: 0)) }
    let start = at
    let byte = bytes[at]
    if Self.startsWord(byte) { return word() }
    if Self.isDigit(byte) || (byte == UInt8(ascii: ".") && at + 1 < bytes.count && Self.isDigit(bytes[at + 1])) {
      return try number()
    }
    if byte == UInt8(ascii: "'") {
      let text = try delimited(by: byte, name: "string")
      return Token(kind: .string(text), span: TextSpan(offset: start, length: at - start))
    }
    if byte == UInt8(ascii: "\"") {
      let text = try delimited(by: byte, name: "quoted name")
      return Token(kind: .quoted(text), span: TextSpan(offset: start, length: at - start))
    }
    return try symbol()
  }

  private mutating func word() -> Token {
    let start = at
    while at < bytes.count {
      if Self.startsWord(bytes[at]) || Self.isDigit(bytes[at]) || bytes[at] == UInt8(ascii: "$") {
        at += 1
      } else if bytes[at] == UInt8(ascii: "."), at + 1 < bytes.count, Self.startsWord(bytes[at + 1]) {
        at += 2
      } else {
        break
      }
    }
    let span = TextSpan(offset: start, length: at - start)
    return Token(kind: .word(String(decoding: bytes[start..<at], as: UTF8.self)), span: span)
  }

  private mutating func number() throws(ExpressionError) -> Token {
    let start = at
    var isInteger = true
    skipDigits()
    if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
      isInteger = false
      at += 1
      skipDigits()
    }
    if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
      let exponent = at
      at += 1
      if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
      guard at < bytes.count, Self.isDigit(bytes[at]) else {
        throw ExpressionError(
          TextSpan(offset: exponent, length: at - exponent), expected: "digits of an exponent", found: foundHere())
      }
      isInteger = false
      skipDigits()
    }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    let span = TextSpan(offset: start, length: at - start)
    if at < bytes.count, Self.startsWord(bytes[at]) || bytes[at] == UInt8(ascii: ".") {
      throw ExpressionError(
        TextSpan(offset: at, length: 1), expected: "an operator after the number \(text)", found: foundHere())
    }
    if isInteger { return Token(kind: .integer(text), span: span) }
    guard let value = Double(text), value.isFinite else {
      throw ExpressionError(span, expected: "a number within the range of DOUBLE", found: text)
    }
    return Token(kind: .decimal(value), span: span)
  }

  private mutating func skipDigits() {
    while at < bytes.count, Self.isDigit(bytes[at]) { at += 1 }
  }

  private mutating func delimited(by quote: UInt8, name: String) throws(ExpressionError) -> String {
    let start = at
    var content: [UInt8] = []
    at += 1
    while at < bytes.count {
      if bytes[at] != quote {
        content.append(bytes[at])
        at += 1
      } else if at + 1 < bytes.count, bytes[at + 1] == quote {
        content.append(quote)
        at += 2
      } else {
        at += 1
        return String(decoding: content, as: UTF8.self)
      }
    }
    throw ExpressionError(
      TextSpan(offset: start, length: at - start), expected: "the end of the \(name)", found: "the end of the text")
  }

  private static let symbols = [
    "<>", "!=", "<=", ">=", "==", "::", "//", "||", "--", "/*", "**", "+", "-", "*", "/", "%", "^", "(", ")", ",", "=",
    "<", ">",
  ]

  private mutating func symbol() throws(ExpressionError) -> Token {
    for symbol in Self.symbols where bytes[at...].starts(with: symbol.utf8) {
      let span = TextSpan(offset: at, length: symbol.utf8.count)
      if symbol == "--" || symbol == "/*" {
        throw ExpressionError(span, "a comment cannot stand in an expression; write - (-x) for a double minus")
      }
      if symbol == "^" || symbol == "**" {
        throw ExpressionError(span, "expected an operator, found \(symbol); write pow(x, y) for a power")
      }
      at += symbol.utf8.count
      return Token(kind: .symbol(symbol), span: span)
    }
    throw ExpressionError(
      TextSpan(offset: at, length: 1), expected: "a name, a number, a string or an operator", found: foundHere())
  }

  /// The character at the current place, for messages.
  private func foundHere() -> String {
    guard at < bytes.count else { return "the end of the text" }
    return String(decoding: bytes[at...].prefix(4), as: UTF8.self).first.map { String($0) } ?? "?"
  }

  private static func startsWord(_ byte: UInt8) -> Bool {
    let letter = byte | 0x20
    return letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z") || byte == UInt8(ascii: "_") || byte >= 0x80
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}
