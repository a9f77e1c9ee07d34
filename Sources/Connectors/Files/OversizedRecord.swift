// A record that is too large to be held: it goes past piece by piece and leaves its beginning, length and hash.

import Crypto
import Detection

/// What is kept of a record while it streams past.
struct OversizedRecord {
  let position: Position
  private var excerpt: [UInt8] = []
  private var length = 0
  private var hasher = SHA256()
  /// A carriage return at the end of a piece belongs to the record unless a line feed follows.
  private var holdsReturn = false

  init(at position: Position) { self.position = position }

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
    return DeadLetter(
      position: position, stage: .read, reason: .tooLarge,
      message: "the record has \(length) bytes, expected at most \(limit); "
        + "it begins at byte \(position.offset) of \(path)",
      raw: excerpt, length: length, sha256: Array(hasher.finalize()))
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
    let room = Limits.oversizedExcerptBytes - excerpt.count
    if room > 0 { excerpt.append(contentsOf: piece.prefix(room)) }
  }
}
