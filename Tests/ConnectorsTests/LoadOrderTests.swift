// The order in which the loader looks for symbols. The Parquet library carries a copy of simdjson with the same symbols as
// the library that the decoder is compiled against; whichever comes first serves both.

import Foundation
import Testing

@Suite("Load order")
struct LoadOrderTests {
  /// A function that both libraries export: `simdjson::icelake::dom_parser_implementation::stage1`.
  private static let symbol = "_ZN8simdjson7icelake25dom_parser_implementation6stage1EPKhmNS_11stage1_modeE"

  @Test("simdjson is found before Parquet's copy of it")
  func simdjsonFirst() throws {
    // Files of /proc have no size: what reads by size gets only their beginning.
    let bytes = try #require(try FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd())
    let maps = String(decoding: bytes, as: UTF8.self)
    let path = try #require(
      maps.split(separator: "\n").first { $0.contains("libsimdjson") }?.split(separator: " ").last.map(String.init))
    let library = try #require(dlopen(path, RTLD_NOW | RTLD_NOLOAD))
    let everything = try #require(dlopen(nil, RTLD_NOW))
    let own = try #require(dlsym(library, Self.symbol))
    #expect(dlsym(everything, Self.symbol) == own)
  }
}
