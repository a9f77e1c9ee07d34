// The part of an input that is in memory: bytes are read behind its end and given up at its front.

import Foundation

/// A growing buffer that keeps what is not yet used. Unsafe because an array would be zeroed and checked for every
/// read; one owner, never shared.
final class ByteWindow {
  /// Bytes are read in pieces of at most this much: large enough that the system call does not matter, small enough
  /// to stay in the second-level cache until the piece was searched for line ends.
  static let readBytes = 1 << 20

  /// Offset in the input of index 0.
  private(set) var origin: Int64
  /// Where the valid bytes end; they begin at 0.
  private(set) var filled = 0
  /// SAFETY: `capacity` bytes, of which the first `filled` are initialized; allocated, replaced and freed here alone,
  /// and lent only inside closures that do not use the window.
  private var memory: UnsafeMutableRawPointer
  private var capacity: Int

  init(origin: Int64) {
    self.origin = origin
    capacity = 2 * Self.readBytes
    memory = .allocate(byteCount: capacity, alignment: 64)
  }

  deinit { memory.deallocate() }

  /// Drops the bytes before `index`, if room is needed, and reads behind the end. Returns how many bytes were dropped
  /// (indices shift by that many) and how many came.
  func fill<E: Error>(
    keepingFrom index: Int, _ read: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) -> (dropped: Int, count: Int) {
    precondition((0...filled).contains(index), "what is kept must lie in the window")
    var dropped = 0
    if capacity - filled < Self.readBytes {
      dropped = index
      let kept = filled - index
      if capacity - kept < Self.readBytes + capacity / 4 {
        // SAFETY: `index ..< filled` lies in the old memory, and the new one is larger.
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity * 2, alignment: 64)
        larger.copyMemory(from: memory + index, byteCount: kept)
        memory.deallocate()
        (memory, capacity) = (larger, capacity * 2)
      } else {
        // SAFETY: both ranges lie in the memory; memmove allows them to overlap.
        memmove(memory, memory + index, kept)
      }
      origin += Int64(index)
      filled = kept
    }
    // SAFETY: `filled + readBytes <= capacity` holds now, whichever way was taken.
    let count = try read(UnsafeMutableRawBufferPointer(start: memory + filled, count: Self.readBytes))
    precondition((0...Self.readBytes).contains(count), "a read returned more than it had room for")
    filled += count
    return (dropped, count)
  }

  subscript(index: Int) -> UInt8 {
    precondition(index >= 0 && index < filled, "an index outside of the window")
    // SAFETY: checked above; the bytes before `filled` are initialized.
    return memory.load(fromByteOffset: index, as: UInt8.self)
  }

  /// The first index in `range` that holds `byte`. memchr searches 32 bytes at a time.
  func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
    precondition(range.lowerBound >= 0 && range.upperBound <= filled, "a range outside of the window")
    // SAFETY: the range lies within the initialized bytes.
    guard !range.isEmpty, let found = memchr(memory + range.lowerBound, Int32(byte), range.count) else { return nil }
    return UnsafeRawPointer(found) - UnsafeRawPointer(memory)
  }

  /// The first index in `range` that does not hold zero. Long runs are compared block by block.
  func firstIndexNotZero(in range: Range<Int>) -> Int? {
    precondition(range.lowerBound >= 0 && range.upperBound <= filled, "a range outside of the window")
    var index = range.lowerBound
    while range.upperBound - index >= Self.zeroes.count {
      // SAFETY: as many bytes as the block has are left of the range, which lies within the initialized bytes.
      guard Self.zeroes.withUnsafeBytes({ memcmp(memory + index, $0.baseAddress!, $0.count) }) == 0 else { break }
      index += Self.zeroes.count
    }
    while index < range.upperBound {
      if self[index] != 0 { return index }
      index += 1
    }
    return nil
  }

  private static let zeroes = [UInt8](repeating: 0, count: 4096)

  /// A copy of `range` with `padding` zeroes behind it.
  func copy(_ range: Range<Int>, padding: Int = 0) -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= filled, "a range outside of the window")
    // SAFETY: the space has room for the range and the padding, and both are written before they are counted.
    return [UInt8](unsafeUninitializedCapacity: range.count + padding) { space, count in
      if let start = space.baseAddress {
        memcpy(start, memory + range.lowerBound, range.count)
        memset(start + range.count, 0, padding)
      }
      count = range.count + padding
    }
  }

  /// Lends the bytes of `range`.
  func withBytes<Result>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= filled, "a range outside of the window")
    // SAFETY: the range is initialized, and the memory stays where it is during the call.
    return body(UnsafeRawBufferPointer(start: memory + range.lowerBound, count: range.count))
  }
}
