// Finds the use case that a command names: a directory, or the name of one under `UseCases/`.

internal import Detection
public import Foundation

/// Where a use case lies.
public struct UseCaseLocation: Sendable, Hashable {
  /// The use case's directory, as given or found.
  public let directory: String
  /// Its `pipeline.yaml`.
  public var pipelineFile: String { directory == "." ? "pipeline.yaml" : directory + "/pipeline.yaml" }
}

/// A use case that cannot be found.
public struct UseCaseNotFound: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was looked for and where, and the nearest name.
  public let description: String
}

/// Resolves `<use case>` arguments.
public struct UseCaseLocator: Sendable {
  /// Folders that may hold `UseCases/`, in order.
  private let roots: [String]

  /// Looks in the current directory, then in the package that the executable was built in: the directories above it.
  public init(
    currentDirectory: String = FileManager.default.currentDirectoryPath,
    executable: String? = Bundle.main.executablePath
  ) {
    var roots = [currentDirectory]
    if let executable {
      var folder = URL(fileURLWithPath: executable).resolvingSymlinksInPath().deletingLastPathComponent()
      // `.build/x86_64-unknown-linux-gnu/release/pulse` is four below the package; an installed one is not in any.
      for _ in 0..<5 where folder.path != "/" {
        roots.append(folder.path)
        folder.deleteLastPathComponent()
      }
    }
    self.roots = roots
  }

  /// The use case that `argument` names.
  public func locate(_ argument: String) throws(UseCaseNotFound) -> UseCaseLocation {
    let trimmed = argument.count > 1 && argument.hasSuffix("/") ? String(argument.dropLast()) : argument
    let absolute = trimmed.hasPrefix("/") ? trimmed : roots[0] + "/" + trimmed
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: absolute, isDirectory: &isDirectory) {
      if isDirectory.boolValue {
        if hasPipeline(absolute) { return UseCaseLocation(directory: trimmed) }
        // A folder that happens to have the name of a use case does not hide it.
        if let found = byName(trimmed) { return found }
        throw UseCaseNotFound(description: "the directory \(trimmed) has no pipeline.yaml")
      }
      if trimmed.hasSuffix("pipeline.yaml") {
        let directory = trimmed.dropLast("pipeline.yaml".count)
        return UseCaseLocation(directory: directory.isEmpty ? "." : String(directory.dropLast()))
      }
      if byName(trimmed) == nil {
        throw UseCaseNotFound(
          description: "\(trimmed) is a file; expected a directory with a pipeline.yaml, or the name of a use case")
      }
    }
    if let found = byName(trimmed) { return found }
    var message = "there is no use case \(trimmed)"
    let names = available()
    if let near = nearest(to: trimmed, among: names) {
      message += "; did you mean \(near)?"
    } else if names.isEmpty {
      message += "; expected a directory with a pipeline.yaml, or the name of one under UseCases/"
    } else {
      message += "; there are \(names.joined(separator: ", "))"
    }
    throw UseCaseNotFound(description: message)
  }

  /// The names of the use cases that can be found, sorted.
  public func available() -> [String] {
    var names: Set<String> = []
    for root in roots {
      let folder = root + "/UseCases"
      for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      where hasPipeline("\(folder)/\(name)") {
        names.insert(name)
      }
    }
    return names.sorted()
  }

  private func byName(_ name: String) -> UseCaseLocation? {
    guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else { return nil }
    for (index, root) in roots.enumerated() where hasPipeline("\(root)/UseCases/\(name)") {
      return UseCaseLocation(directory: index == 0 ? "UseCases/\(name)" : "\(root)/UseCases/\(name)")
    }
    return nil
  }

  private func hasPipeline(_ directory: String) -> Bool {
    FileManager.default.fileExists(atPath: directory + "/pipeline.yaml")
  }
}
