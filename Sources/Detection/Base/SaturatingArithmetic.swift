// Arithmetic that stays at the bounds instead of overflowing: times and lengths may be anything an event says.

extension Int64 {
  /// The sum, or the nearest bound if it overflows.
  @inlinable
  @inline(__always)
  public func addingSaturated(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  /// The difference, or the nearest bound if it overflows.
  @inlinable
  @inline(__always)
  public func subtractingSaturated(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }

  /// The product, or the nearest bound if it overflows.
  @inlinable
  @inline(__always)
  public func multipliedSaturated(by other: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? ((self < 0) == (other < 0) ? .max : .min) : product
  }
}
