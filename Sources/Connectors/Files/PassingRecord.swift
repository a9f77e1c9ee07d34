// Bytes that become a dead letter without being held: they go past piece by piece and leave their beginning, length and
// hash. These are records that are too large, and the rest of a line whose beginning was read when the input ended there.

import Crypto
import Detection

/// What is kept of a record, or the rest of one, while it streams past.
struct PassingRecord {
  /// Why it is not handed over.
  enum Cause { case tooLarge, restOfLine }

  let position: Position
  let cause: Cause
  /// Whether it has nothing but white space so far.
  private(set) var isBlank = true
  private var excerpt: [UInt8] = []
  private var length = 0
  private var hasher = SHA256()
  /// A carriage return at the end of a piece belongs to the record unless a line feed follows.
  private var holdsReturn = false

  init(_ cause: Cause, at position: Position) {
    self.cause = cause
    self.position = position
  }

  mutating func append(_ piece: UnsafeRawBufferPointer) {
    guard let last = piece.last else { return }
    releaseReturn()
    holdsReturn = last == 0x0D
    // SAFETY: a part of what the caller lends, which is not empty here; `take` copies and hashes it.
    take(UnsafeRawBufferPointer(rebasing: holdsReturn ? piece.dropLast() : piece[...]))
  }

  /// The dead letter, once the record has ended with a line feed or with the input.
  mutating func finish(atLineFeed: Bool, path: String, limit: Int) -> DeadLetter {
    if !atLineFeed { releaseReturn() }
    let place = "byte \(position.offset) of \(path)"
    switch cause {
    case .tooLarge:
      return DeadLetter(
        position: position, stage: .read, reason: .tooLarge,
        message: "the record has \(length) bytes, expected at most \(limit); it begins at \(place)",
        raw: excerpt, length: length, sha256: Array(hasher.finalize()))
    case .restOfLine:
      return DeadLetter(
        position: position, stage: .read, reason: .malformed,
        message: "expected a line end at \(place), where the input ended in an earlier run, found \(length) more bytes "
          + "of the line that was read as it was then",
        raw: excerpt, length: length, sha256: length > excerpt.count ? Array(hasher.finalize()) : nil)
    }
  }

  private mutating func releaseReturn() {
    guard holdsReturn else { return }
    holdsReturn = false
    let byte: [UInt8] = [0x0D]
    // SAFETY: a local array, lent for the call.
    byte.withUnsafeBytes { take($0) }
  }

  private mutating func take(_ piece: UnsafeRawBufferPointer) {
    hasher.update(bufferPointer: piece)
    length += piece.count
    if isBlank { isBlank = piece.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }
    let room = Limits.oversizedExcerptBytes - excerpt.count
    if room > 0 { excerpt.append(contentsOf: piece.prefix(room)) }
  }
}
