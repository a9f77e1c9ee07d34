// Two places of an entity that are too far apart for the time between them.
//
// Definition. Of an entity the place of its latest event is remembered, of equal times that which came last. An event is found
// where its place is more than `min_distance` away from it along the great circle, and further than `max_speed` goes in
// the time between the two. An event that comes out of order is compared in the same way and not remembered.
//
// Distance by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984), which is exact
// enough for near and for far places alike, on a sphere of the earth's mean radius.

/// The place where an entity was last.
struct ImpossibleTravel: EntityProfile {
  static let valueNames = ["speed_kmh", "distance_km", "elapsed"]
  /// Mean radius of the earth in kilometres (IUGG).
  private static let radius = 6_371.0088

  /// Kilometres an hour.
  let speed: Double
  /// Kilometres.
  let distance: Double

  // Places of the words.
  private static let (isKnown, time, latitude, longitude) = (0, 1, 2, 3)
  private var found: (distance: Double, elapsed: Int64) = (0, 0)

  init(speed: Double, distance: Double) {
    self.speed = speed
    self.distance = distance
  }

  var layout: [ProfileWord] { [.count(upTo: 1), .time, .bits, .bits] }

  @inline(__always)
  func accepts(_ values: (UInt64, UInt64), time: Int64) -> Bool {
    let (latitude, longitude) = (Double(bitPattern: values.0), Double(bitPattern: values.1))
    return latitude.magnitude <= 90 && longitude.magnitude <= 180
  }

  @inline(__always)
  mutating func take(_ event: ProfileEvent, in words: inout [UInt64], at base: Int) -> Bool {
    let isKnown = words[base + Self.isKnown] != 0
    let last = Int64(bitPattern: words[base + Self.time])
    var holds = false
    // Most events are where the last one was.
    if isKnown, (words[base + Self.latitude], words[base + Self.longitude]) != event.values {
      let elapsed = event.time > last ? event.time.subtractingSaturated(last) : last.subtractingSaturated(event.time)
      let kilometres = Self.distance(
        Double(bitPattern: words[base + Self.latitude]), Double(bitPattern: words[base + Self.longitude]),
        Double(bitPattern: event.values.0), Double(bitPattern: event.values.1))
      holds = kilometres > distance && kilometres > speed * Self.hours(elapsed)
      if holds { found = (kilometres, elapsed) }
    }
    if !isKnown || event.time >= last {
      words[base + Self.isKnown] = 1
      words[base + Self.time] = UInt64(bitPattern: event.time)
      (words[base + Self.latitude], words[base + Self.longitude]) = event.values
    }
    return holds
  }

  private static func hours(_ microseconds: Int64) -> Double { Double(microseconds) / 3_600_000_000 }

  /// Kilometres between two places in degrees.
  static func distance(_ latitude: Double, _ longitude: Double, _ otherLatitude: Double, _ otherLongitude: Double)
    -> Double
  {
    let degree = Double.pi / 180
    let (north, east) = (
      MathFunctions.sin((otherLatitude - latitude) * degree / 2),
      MathFunctions.sin((otherLongitude - longitude) * degree / 2)
    )
    let square =
      north * north + MathFunctions.cos(latitude * degree) * MathFunctions.cos(otherLatitude * degree) * east * east
    return 2 * radius * MathFunctions.asin(min(square.squareRoot(), 1))
  }

  /// At once is faster than anything; what people read stays a number.
  private var speedFound: Double { found.distance / Self.hours(max(found.elapsed, 1_000_000)) }

  func values(_ words: [UInt64], at base: Int) -> [Scalar] {
    [
      .double(speedFound.rounded()), .double(found.distance.rounded()),
      .string(DurationText.format(found.elapsed)),
    ]
  }

  var score: Double { Self.excess(speedFound, over: speed) }
}
