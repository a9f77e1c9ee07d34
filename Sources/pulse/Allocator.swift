// How the C library's allocator is asked to treat large blocks.

import Foundation

/// The allocator of the process.
enum Allocator {
  /// Bytes from which on a block is a mapping of its own, which goes back to the system when it is freed: buffers of
  /// batches of ordinary events are smaller and are used again, those of large texts are not.
  private static let mappedBytes: Int32 = 8 << 20
  /// Bytes at the end of an arena that are kept for what comes next.
  private static let keptBytes: Int32 = 32 << 20

  /// glibc takes a freed mapping for a sign that such blocks come often, and makes all up to its size, at most 32 MiB, from
  /// the arenas of its threads from then on. There the columns of large texts leave holes that none of the next ones fits
  /// into: a run over events of 900 KB grew without end. Set by hand, the bound stays. Other libraries have no such
  /// function, and need none; what the environment says stands.
  static func keepLargeBlocksApart() {
    let environment = ProcessInfo.processInfo.environment
    guard environment["MALLOC_MMAP_THRESHOLD_"] == nil, environment["GLIBC_TUNABLES"] == nil else { return }
    guard let symbol = dlsym(nil, "mallopt") else { return }
    // SAFETY: `int mallopt(int, int)` of glibc's malloc.h, which Swift's module of glibc leaves out; a function pointer has
    // the size and representation of a symbol's address.
    let mallopt = unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)
    let (trimThreshold, mapThreshold): (Int32, Int32) = (-1, -3)
    _ = mallopt(mapThreshold, mappedBytes)
    _ = mallopt(trimThreshold, keptBytes)
  }
}
