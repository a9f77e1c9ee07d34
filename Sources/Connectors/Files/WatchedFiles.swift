// What a followed list has shown so far, so that a look at it costs no more than the status of its files.

import Foundation

/// Files of a followed list that were looked at, and those that were read to their ends and may get more.
struct WatchedFiles {
  /// Time between two looks at the patterns of a list.
  static let interval = Duration.milliseconds(250)
  /// For how long looks may be put off.
  static let longest = Duration.seconds(1)
  /// New files that one look takes: more wait for the next.
  static let maxNew = 64
  /// Files that were left last are kept open: they are found again whatever they are called by then. Others are looked
  /// for where they were.
  static let maxOpen = 16
  /// More that are lost of one name are not looked for.
  static let maxLost = 64

  /// A file that was read to its end.
  struct Left {
    var segment: Int
    var path: String
    var identity: FileIdentity
    /// Bytes of the file when it was left.
    var size: Int64
    /// When it had been changed last when it was looked at; nil where it was not since.
    var modified: Int64?
    /// Plain, and one of those that were left last.
    var file: OpenFile?
    var isPacked: Bool
  }

  /// What was at a path. Without a size it is being read, or is to be.
  private struct Seen {
    var identity: FileIdentity
    /// An identity is given to another file once one is deleted.
    var modified: Int64
    var size: Int64?
  }

  private var seen: [String: Seen] = [:]
  /// Sizes of files that were not yet quiet.
  private var sizes: [String: Int64] = [:]
  private var leftBySegment: [Int: Left] = [:]
  private var segmentOfLeft: [FileIdentity: Int] = [:]
  /// Segments whose files are open, the one that was left first before the others.
  private var open: [Int] = []
  /// Folders that files of the list are in, or were.
  private var folders: Set<String> = []
  /// The names of the list that rotation may have made a name of: of each that was looked at.
  private var originsByPath: [String: [String]] = [:]
  /// Names of which rotation was seen to make others: numbers in those count rotations.
  private(set) var rotated: Set<String> = []
  private var nextLook = ContinuousClock.now
  /// Segments of which the files are not where they were, by the names that rotation made theirs of.
  private var lostByBase: [String: [Int]] = [:]
  /// What was said and is not to be said again.
  private var said: Set<String> = []
  /// Since when something is waited for.
  private var waits: [String: ContinuousClock.Instant] = [:]

  /// - Parameter size: of a file that will not be looked at again until it has another one; nil for one that is read.
  mutating func note(_ path: String, _ status: FileStatus, size: Int64? = nil) {
    seen[path] = Seen(identity: status.identity, modified: status.modified, size: size)
  }

  // MARK: - Names

  mutating func note(folderOf path: String) { folders.insert(FileList.directory(of: path)) }

  /// Where to look for what rotation made of files of a list.
  mutating func folders(of listed: Set<String>) -> Set<String> {
    for path in listed { note(folderOf: path) }
    return folders
  }

  /// The names of a list that rotation may have made a path of.
  mutating func origins(of path: String, where isOfList: (String) -> Bool) -> [String] {
    if let known = originsByPath[path] { return known }
    let origins = RotatedName.origins(of: path).filter(isOfList)
    originsByPath[path] = origins
    return origins
  }

  /// What is at a path is looked at anew.
  mutating func unnote(_ path: String) { seen[path] = nil }

  /// Whether nothing is at a path that was not looked at.
  func isKnown(_ path: String, _ status: FileStatus) -> Bool {
    guard let known = seen[path], known.identity == status.identity, known.modified == status.modified else {
      return false
    }
    return known.size.map { $0 == status.size } ?? true
  }

  /// Whether a file has been of the same size at two looks.
  mutating func isQuiet(_ path: String, _ size: Int64) -> Bool {
    defer { sizes[path] = size }
    return sizes[path] == size
  }

  // MARK: - Files that were left

  /// The files that were left, in the order in which they were read.
  var left: [Left] { leftBySegment.values.sorted { $0.segment < $1.segment } }

  /// - Parameter file: where it is plain and may be kept open.
  mutating func leave(
    _ segment: Int, path: String, _ identity: FileIdentity, size: Int64, file: OpenFile?, isPacked: Bool
  ) {
    if let before = segmentOfLeft.updateValue(segment, forKey: identity) { forget(before) }
    leftBySegment[segment] = Left(
      segment: segment, path: path, identity: identity, size: size, file: file, isPacked: isPacked)
    segmentOfLeft[identity] = segment
    guard file != nil else { return }
    open.append(segment)
    if open.count > Self.maxOpen { leftBySegment[open.removeFirst()]?.file = nil }
  }

  /// A file that was left was looked at, and has what it had.
  mutating func note(_ segment: Int, modified: Int64) { leftBySegment[segment]?.modified = modified }

  mutating func forget(_ segment: Int) {
    if let left = leftBySegment.removeValue(forKey: segment), segmentOfLeft[left.identity] == segment {
      segmentOfLeft[left.identity] = nil
    }
    open.removeAll { $0 == segment }
  }

  /// A file has another name.
  mutating func noteMove(from old: String, to new: String) {
    let base = RotatedName.base(of: old)
    if old != new, base != old, base == RotatedName.base(of: new) { rotated.insert(base) }
  }

  /// A file that was left has another name.
  mutating func move(_ identity: FileIdentity, to path: String) {
    if let segment = segmentOfLeft[identity] { leftBySegment[segment]?.path = path }
  }

  /// A file that was left is gone, or holds something else: what it held may be in a copy.
  mutating func lose(_ segment: Int, _ base: String) {
    lostByBase[base, default: []].append(segment)
    if lostByBase[base, default: []].count > Self.maxLost { lostByBase[base]?.removeFirst() }
  }

  mutating func found(_ segment: Int) {
    for base in lostByBase.keys { lostByBase[base]?.removeAll { $0 == segment } }
  }

  /// The segments of files that were lost, in the order in which they were.
  func lost(_ base: String) -> [Int] { lostByBase[base] ?? [] }

  func left(_ segment: Int) -> Left? { leftBySegment[segment] }

  func isLeft(_ identity: FileIdentity) -> Bool { segmentOfLeft[identity] != nil }

  /// The entry of a file that was left.
  func segment(ofLeft identity: FileIdentity) -> Int? { segmentOfLeft[identity] }

  // MARK: - Looks

  /// Takes back what was noted since, but for what was said and what is waited for.
  mutating func restore(_ before: WatchedFiles) {
    (seen, leftBySegment, segmentOfLeft, open, lostByBase) = (
      before.seen, before.leftBySegment, before.segmentOfLeft, before.open, before.lostByBase
    )
  }

  mutating func isFirst(_ saying: String) -> Bool { said.insert(saying).inserted }

  /// Whether something has been waited for so long, the first time that it has.
  mutating func isLate(_ what: String, after patience: Duration) -> Bool {
    let since = waits[what] ?? .now
    waits[what] = since
    return ContinuousClock.now - since >= patience && isFirst(what)
  }

  /// Whether it is time to look again.
  var isDue: Bool { ContinuousClock.now >= nextLook }

  /// Whether looks were put off for long because the file that is read got more all the time.
  var isOverdue: Bool { ContinuousClock.now >= nextLook + Self.longest }

  /// Looking must not become all the work there is, however many files match.
  mutating func looked(since start: ContinuousClock.Instant) {
    let now = ContinuousClock.now
    nextLook = now + min(max(Self.interval, (now - start) * 10), Self.longest)
  }
}
