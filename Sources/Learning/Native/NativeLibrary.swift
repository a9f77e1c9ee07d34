// Native libraries that are optional: found when they are first needed, so that everything else works without them.

import Detection
import Foundation
import Pipeline

/// A library that is opened at run time, and what a person has to know when it is not there.
struct NativeLibrary: Sendable {
  /// Its name as people know it.
  let name: String
  /// Environment variable with the path of the library; where it is set, nothing else is tried.
  let variable: String
  /// File names the dynamic loader is asked for, in order. It searches the run path of the program (`.native/lib` of
  /// the checkout it was built in), `LD_LIBRARY_PATH` and the system's folders.
  let fileNames: [String]
  /// What does not work without it.
  let purpose: String
  /// How to install it.
  let remedy: String

  static let lightGBM = NativeLibrary(
    name: "LightGBM", variable: "PULSE_LIGHTGBM_LIBRARY",
    fileNames: ["lib_lightgbm.so", "lib_lightgbm.dylib", "/opt/homebrew/lib/lib_lightgbm.dylib"],
    purpose: "boosted trees are trained with it (scoring does not need it)",
    remedy: """
      run scripts/setup in a checkout; or `pip install lightgbm`, on Debian with `apt install libgomp1`, and set \
      PULSE_LIGHTGBM_LIBRARY to the path of its lib/lib_lightgbm.so; or `brew install lightgbm`
      """)

  static let onnxRuntime = NativeLibrary(
    name: "ONNX Runtime", variable: "PULSE_ONNXRUNTIME_LIBRARY",
    fileNames: [
      "libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.dylib", "/opt/homebrew/lib/libonnxruntime.dylib",
    ],
    purpose: "detectors of type `onnx` score with it (other detectors do not need it)",
    remedy: """
      run scripts/setup in a checkout; or `pip install onnxruntime` and set PULSE_ONNXRUNTIME_LIBRARY to the path of \
      its capi/libonnxruntime.so.*; or `brew install onnxruntime`
      """)

  /// Opens the first candidate that `open` accepts.
  ///
  /// - Parameter open: opens a candidate, or throws with the loader's reason.
  /// - Throws: `OperatingError` of kind `missing` that names every candidate with its reason.
  func first<Opened>(
    environment: [String: String], _ open: (String) throws(LoadFailure) -> Opened
  ) throws(OperatingError) -> Opened {
    let chosen = environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    var failures: [String] = []
    for path in chosen.map({ [$0] }) ?? fileNames {
      do throws(LoadFailure) {
        return try open(path)
      } catch {
        failures.append(error.reason.contains(path) ? error.reason : "\(path): \(error.reason)")
      }
    }
    let source = chosen == nil ? "tried" : "\(variable) is set, and it alone was tried"
    throw OperatingError(
      .missing,
      "\(name) was not found: \(purpose). To install it, \(remedy). (\(source): \(failures.joined(separator: "; ")))")
  }
}

/// Why one candidate could not be opened.
struct LoadFailure: Error {
  let reason: String
}
