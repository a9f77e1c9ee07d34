// Search in strings, in time proportional to the text whatever text and needle are: both may come with the events.

/// Where one string occurs in another.
enum TextSearch {
  /// Bytes that comparing at every place may take before the search changes its method: so many, and so many more for
  /// each place passed. Ordinary text takes far less than one a place.
  static let (patience, patiencePerPlace) = (256, 4)

  /// Where `needle` first occurs at or behind `start`, in bytes. It is compared at every place, which nothing beats where
  /// the first bytes differ mostly; where they do not, the rest is searched by the two-way algorithm.
  static func find(_ needle: Text, in text: Text, from start: Int = 0) -> Int? {
    guard let first = needle.first else { return start <= text.count ? start : nil }
    let last = text.count - needle.count
    var at = start
    var compared = 0
    while at <= last {
      if text[at] == first {
        var same = 1
        while same < needle.count, text[at + same] == needle[same] { same += 1 }
        if same == needle.count { return at }
        compared += same
        if compared > patience + patiencePerPlace * (at - start) { return twoWay(needle, in: text, from: at + 1) }
      }
      at += 1
    }
    return nil
  }

  /// The two-way algorithm (Crochemore and Perrin, Two-way string-matching, Journal of the ACM 38, 1991): at most two
  /// comparisons for a byte of the text and a few for one of the needle, and no memory.
  ///
  /// The needle is cut where its local period equals its period. The right part is compared forwards, then the left one
  /// backwards; a difference in the right part at its byte `i` rules out the next `i` places, one in the left part the
  /// places of a whole period.
  /// - Parameter needle: not empty.
  static func twoWay(_ needle: Text, in text: Text, from start: Int) -> Int? {
    let count = needle.count
    let (cut, period) = criticalCut(of: needle)
    // Where the left part repeats within the period of the right one, that is the period of the whole needle: what was
    // compared before a move by it need not be compared again.
    let isPeriodic = (0..<cut).allSatisfy { needle[$0] == needle[$0 + period] }
    let step = isPeriodic ? period : max(cut, count - cut) + 1
    var at = start
    var known = 0
    while at <= text.count - count {
      var right = max(cut, known)
      while right < count, needle[right] == text[at + right] { right += 1 }
      if right < count {
        at += right - cut + 1
        known = 0
        continue
      }
      var left = cut
      while left > known, needle[left - 1] == text[at + left - 1] { left -= 1 }
      if left <= known { return at }
      at += step
      known = isPeriodic ? count - period : 0
    }
    return nil
  }

  /// Where a critical factorisation cuts the needle, and the period of the part behind: the later one of its greatest
  /// suffixes by the order of bytes and by the opposite order.
  private static func criticalCut(of needle: Text) -> (start: Int, period: Int) {
    let ascending = greatestSuffix(of: needle) { $0 < $1 }
    let descending = greatestSuffix(of: needle) { $0 > $1 }
    return ascending.start > descending.start ? ascending : descending
  }

  /// Where the greatest suffix by an order begins, and its period.
  @inline(__always)
  private static func greatestSuffix(
    of needle: Text, by less: (UInt8, UInt8) -> Bool
  ) -> (start: Int, period: Int) {
    // `candidate` begins a suffix that may be greater than the one at `start`; `same` of their bytes are equal.
    var (start, candidate, same, period) = (0, 1, 0, 1)
    while candidate + same < needle.count {
      let (a, b) = (needle[candidate + same], needle[start + same])
      if less(a, b) {
        candidate += same + 1
        same = 0
        period = candidate - start
      } else if a != b {
        start = candidate
        candidate += 1
        same = 0
        period = 1
      } else if same + 1 == period {
        candidate += period
        same = 0
      } else {
        same += 1
      }
    }
    return (start, period)
  }
}
