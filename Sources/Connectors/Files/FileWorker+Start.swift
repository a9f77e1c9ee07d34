// How a run starts: the list, of what is stored and what is there now, and what is known of its files before any is read.

import Detection
import Foundation
import Pipeline

extension FileWorker {
  func check() throws(OperatingError) {
    // Amid a rotation as well, as a run that begins.
    try wholeLook { () throws(OperatingError) in
      var manifest = FileManifest()
      manifest.entries = try list.paths(options).map { FileManifest.Entry(path: $0) }
      try prepare(&manifest, [:])
    }
  }

  func open(resumingAt point: ResumePoint?, stop: StopSignal) throws {
    self.stop = stop
    try StopSignal.$current.withValue(stop) { try open(resumingAt: point) }
  }

  private func open(resumingAt point: ResumePoint?) throws(OperatingError) {
    let stored = try point.map { point throws(OperatingError) in
      try FileManifest(decoding: point.sourceState, point.stateEntries)
    }
    let isCurrent = point.map { FileManifest.isCurrent($0.sourceState) } ?? true
    if let point, let stored {
      list.resume(knowing: stored)
      if isCurrent { shared.resume(stored) }
      position = point.position
      guard segment < stored.entries.count else {
        throw OperatingError(
          .input,
          "the stored position is in file \(segment + 1) of \(stored.entries.count). \(FileLocator.remedy)")
      }
    }
    let notes = try wholeLook { () throws(OperatingError) in try makeList(stored, isCurrent) }
    notes.forEach(notice)
    for segment in 0..<segment { index.insert(segment, manifest.entries[segment]) }
    shared.replace(manifest)
    if follows, stored != nil { try lookAtStart() }
    if let warning = try list.eventTimes?.warning(unreadPaths, options, list.format) { notice(warning) }
    lastData = .now
  }

  /// Looks at the files until names are the same before and after: a rotation gives them away one by one.
  private func wholeLook<Found>(_ look: () throws(OperatingError) -> Found) throws(OperatingError) -> Found {
    var attempts = 0
    while true {
      let before = Self.identities((try? list.matches()) ?? [])
      attempts += 1
      func isWhole() -> Bool { attempts >= 20 || Self.identities((try? list.matches()) ?? []) == before }
      do throws(OperatingError) {
        let found = try look()
        if isWhole() { return found }
      } catch {
        if error == StopSignal.interruption || isWhole() { throw error }
      }
    }
  }

  /// Makes the list, of what is stored and what is there now. Returns what is to be said.
  private func makeList(_ stored: FileManifest?, _ isCurrent: Bool) throws(OperatingError) -> [String] {
    let paths = try list.paths(options, knowing: stored)
    (places, gaps, isResumedDone) = ([:], [], false)
    var notes: [String] = []
    manifest = FileManifest()
    if let stored {
      let list = list
      var reconciler = FileReconciler(
        stored, at: position, follows: follows, acceptsGaps: list.acceptsGaps, isOfList: { list.has($0) })
      try reconciler.run(paths)
      (manifest, places, gaps) = (reconciler.manifest, reconciler.places, reconciler.gaps)
      isResumedDone = reconciler.isCurrentDone
      notes = reconciler.notes
    } else {
      manifest.entries = paths.map { FileManifest.Entry(path: $0) }
    }
    // Before the contents: a copy that comes after that may be of what is written meanwhile.
    noteBeside(paths, stored, isCurrent)
    resumedUnread = stored != nil && position.offset == 0 && !isResumedDone ? segment : nil
    try prepare(&manifest, places)
    return notes
  }

  /// Notes what lies beside files of which there was none before.
  /// - Parameter isCurrent: whether what lay beside the stored ones is stored too.
  private func noteBeside(_ paths: [String], _ stored: FileManifest?, _ isCurrent: Bool) {
    func isOfList(_ path: String) -> Bool { list.has(path) }
    guard let stored, isCurrent else {
      // An early version noted nothing: what was changed before the last file of a path is no news.
      var times: [String: Int64] = [:]
      for entry in stored?.entries ?? [] {
        times[entry.path] = FileLocator.modified(entry) ?? times[entry.path]
      }
      let known = times
      let before: ((String) -> Int64?)? = stored == nil ? nil : { known[$0] }
      return manifest.add(FileLocator.beside(paths, isOfList: isOfList, before: before))
    }
    let known = Set(stored.entries.map { RotatedName.base(of: $0.path) })
    // What a pattern matches anew has come with what lies beside it, as it has for a run that looks on.
    let new = paths.filter { !known.contains(RotatedName.base(of: $0)) && !list.matches($0) }
    if !new.isEmpty { manifest.add(FileLocator.beside(new, isOfList: { _ in false })) }
  }

  /// The files that are still to be read, from the one on that is read now.
  private var unreadPaths: [String] {
    manifest.entries.indices.dropFirst(segment + (isResumedDone ? 1 : 0))
      .filter { manifest.entries[$0].standing == .listed }.map { places[$0] ?? manifest.entries[$0].path }
  }

  /// Checks and describes every file that is to be read, before anything is: what a resumed run relies on is on record
  /// with the first checkpoint then.
  private func prepare(_ manifest: inout FileManifest, _ places: [Int: String]) throws(OperatingError) {
    for segment in manifest.entries.indices.dropFirst(segment) {
      var entry = manifest.entries[segment]
      if entry.standing != .listed || segment == self.segment && isResumedDone { continue }
      if follows, entry.isBlank { continue }
      let path = places[segment] ?? entry.path
      // Only a file that was followed is missing here: its successor is about to be created.
      if follows, try FileStatus.of(path) == nil, entry.opened != nil { continue }
      let file = try OpenFile(path)
      let isUnread = segment > self.segment || segment == self.segment && position.offset == 0
      if entry.opened == nil || isUnread && (!entry.isRotation || entry.isBlank) {
        entry.opened = try describe(file, unreadOf: entry)
        manifest.entries[segment] = entry
      }
      guard let opened = entry.opened else { continue }
      if !follows, opened.beginning.length == 0, let problem = file.problem { throw problem }
      let mayGrow = follows && (manifest.isLast(segment) || !opened.format.isColumnar)
      try FileLocator.check(file, opened, path: entry.path, isFollowed: mayGrow, options, list.format)
    }
  }
}
