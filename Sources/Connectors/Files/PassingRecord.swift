// Bytes that become a dead letter without being held: they go past piece by piece and leave their beginning, length and
// hash. These are records that are too large, the rest of a line whose beginning was read when the input ended there, and
// holes: the zeroes that a file has where its writer crashed before the blocks it had allotted were written.

import Crypto
import Detection

/// What is kept of a record, or the rest of one, while it streams past.
struct PassingRecord {
  /// Why it is not handed over.
  enum Cause { case tooLarge, restOfLine, hole }

  /// Zeroes that end the record they follow, if something other than a line end comes behind them. Fewer may be a part
  /// of a value that was written wrongly. Where a record begins with them, no JSON can follow: there any number will do.
  static let holeBytes = 16

  let position: Position
  let cause: Cause
  /// Whether it has nothing but white space so far.
  private(set) var isBlank = true
  /// Zeroes at its end so far.
  var zeroes = 0
  /// Whether it has nothing but zeroes so far.
  var isZero: Bool { zeroes == length }
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
    case .hole where isZero, .tooLarge where isZero:
      return DeadLetter(
        position: position, stage: .read, reason: .malformed,
        message:
          "expected a record at \(place), found a hole: \(length) bytes of zero, as a crash of the writer leaves",
        raw: excerpt, length: length, sha256: length > excerpt.count ? Array(hasher.finalize()) : nil)
    case .hole, .tooLarge:
      let isTooLarge = length > limit
      return DeadLetter(
        position: position, stage: .read, reason: isTooLarge ? .tooLarge : .malformed,
        message: isTooLarge
          ? "the record has \(length) bytes, expected at most \(limit); it begins at \(place)"
          : "the record at \(place) breaks off in a hole: its \(length) bytes end in zeroes, as a crash of the writer "
            + "leaves",
        raw: excerpt, length: length, sha256: isTooLarge || length > excerpt.count ? Array(hasher.finalize()) : nil)
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
