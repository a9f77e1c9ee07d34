import TestKit
import Testing

@testable import Detection

@Suite struct RuleStructureTests {
  @Test(arguments: 0..<10)
  func `pairing heaps keep the smallest key on top, whatever is removed`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var heap = PairingHeap()
    heap.grow(to: 400)
    var roots = [PairingHeap.none, PairingHeap.none]
    var inside: [[UInt32: Int64]] = [[:], [:]]
    for _ in 0..<4000 {
      let which = Int.random(in: 0...1, using: &random)
      let node = UInt32.random(in: 0..<400, using: &random)
      if inside[which].removeValue(forKey: node) != nil {
        roots[which] = heap.remove(node, from: roots[which])
      } else if inside[1 - which][node] == nil {
        let key = Int64.random(in: -20...20, using: &random)
        inside[which][node] = key
        roots[which] = heap.insert(node, key: key, into: roots[which])
      }
      let root = roots[which]
      #expect((root == PairingHeap.none ? nil : heap.key(of: root)) == inside[which].values.min())
    }
  }

  @Test(arguments: 0..<5)
  func `stamps surface in ascending order`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var heap = StampHeap()
    var stamps: [Int64] = []
    for _ in 0..<500 {
      if random.chance(0.6) || stamps.isEmpty {
        let stamp = Int64.random(in: 0...1000, using: &random)
        stamps.append(stamp)
        heap.insert(stamp: stamp, slot: 0, id: 0)
      } else if random.chance(0.5) {
        stamps.remove(at: stamps.firstIndex(of: stamps.min()!)!)
        heap.removeTop()
      } else {
        let stamp = stamps.min()! + 100
        stamps[stamps.firstIndex(of: stamps.min()!)!] = stamp
        heap.replaceTop(stamp: stamp)
      }
      #expect(heap.top?.stamp == stamps.min())
    }
  }

  @Test func `SipHash gives the reference vectors`() {
    // Of vectors_sip128 in the reference implementation: inputs 00 01 02 … of length 0 and 1.
    let bytes = (0..<64).map { UInt8($0) }
    func hex(_ key: EntityKey) -> String {
      var text = ""
      for word in [key.low, key.high] {
        for byte in withUnsafeBytes(of: word.littleEndian, Array.init) {
          text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
      }
      return text
    }
    func word(_ index: Int) -> UInt64 {
      var word: UInt64 = 0
      for byte in 0..<8 { word |= UInt64(bytes[8 * index + byte]) << UInt64(8 * byte) }
      return word
    }
    #expect(hex(EntityKey(hashing: bytes, 0..<0)) == "a3817f04ba25a8e66df67214c7550293")
    #expect(hex(EntityKey(hashing: bytes, 0..<1)) == "da87c1d86b99af44347659119b22fc45")
    let (a, b) = (EntityKey(low: word(0), high: word(1)), EntityKey(low: word(2), high: word(3)))
    #expect(EntityKey(hashing: a, b) == EntityKey(hashing: bytes, 0..<32))
  }

  @Test func `keys tell entities apart by all their columns and by nothing else`() {
    let a = Column(.string, [.string("a"), .string("ab"), .string("a"), .null])
    let b = Column(.string, [.string("bc"), .string("c"), .string("bc"), .string("x")])
    let n = Column(.int, [.int(1), .int(2), .int(1), .int(1)])
    let d = Column(.double, [.double(0), .double(-0.0), .double(.nan), .double(-.nan)])
    let keys = EntityKeys([a, b, n], rows: [0, 1, 2, 3])
    #expect(keys.keys[0] == keys.keys[2] && keys.keys[0] != keys.keys[1])
    #expect(keys.missing == Bitmap(count: 4) { $0 == 3 })
    let doubles = EntityKeys([d], rows: [0, 1, 2, 3]).keys
    #expect(doubles[0] == doubles[1] && doubles[2] == doubles[3] && doubles[0] != doubles[2])
    let swapped = EntityKeys([n, d], rows: [0, 1]).keys + EntityKeys([d, n], rows: [0, 1]).keys
    #expect(Set(swapped).count == 4)
  }

  @Test func `reasons print what people read`() {
    #expect(RuleText.number(1234.56789) == "1234.568")
    #expect(RuleText.number(0.1 + 0.2) == "0.3")
    #expect(RuleText.number(42) == "42")
    #expect(RuleText.text(of: .string("a\u{0}b\u{1B}[2J\n")) == "a␀b␛[2J␊")
    #expect(RuleText.number(-1e300) == "-1e+300")
    #expect(RuleText.text(of: .timestamp(951_782_400_500_000)) == "2000-02-29T00:00:00.500Z")
    let long = String(repeating: "é", count: 1000)
    #expect(RuleText.shortened(long) == String(repeating: "é", count: 128) + "…")
  }

  @Test func `templates are cut at their places`() throws {
    let parts = try ReasonTemplate.parts(of: "{{a}} { x } of {sum(x)}")
    #expect(
      parts == [.text("{a} "), .place(name: "x", offset: 8), .text(" of "), .place(name: "sum(x)", offset: 16)])
    #expect(throws: ReasonTemplate.FormError.self) { try ReasonTemplate.parts(of: "a {x") }
    #expect(throws: ReasonTemplate.FormError.self) { try ReasonTemplate.parts(of: "a } x") }
    #expect(throws: ReasonTemplate.FormError.self) { try ReasonTemplate.parts(of: "a { }") }
  }

  @Test func `the catalogue is sorted and says what is not there yet`() {
    let types = DetectorCatalog.standard.descriptors.map(\.type)
    #expect(types == types.sorted() && Set(types).count == types.count)
    #expect(DetectorCatalog.standard.descriptor(of: "sliding_rule")?.unavailability == nil)
    #expect(DetectorCatalog.standard.descriptors.allSatisfy { $0.unavailability == nil })
    let planned = DetectorDescriptor(type: "later", summary: "", isStateful: false, isAvailable: false)
    #expect(planned.unavailability == "detector type `later` is not available yet")
    #expect(DetectorCatalog.standard.descriptor(of: "rules") == nil)
  }
}
