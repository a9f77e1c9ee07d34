// LightGBM's C API, opened at run time. Each function is declared here as LightGBM's c_api.h documents it; the library
// keeps the last error per thread, so a call and the question for its error happen on one thread.

public import Detection
import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The functions of LightGBM that are used. Opened once per process, and never closed.
public struct LightGBMLibrary: Sendable {
  /// A data set or a booster.
  typealias Handle = UnsafeMutableRawPointer
  /// Where a call leaves a new handle.
  typealias NewHandle = UnsafeMutablePointer<UnsafeMutableRawPointer?>
  /// Elements of a matrix or vector.
  typealias Elements = UnsafeRawPointer
  /// A text that ends with a zero byte.
  typealias Text = UnsafePointer<CChar>
  /// Where a call leaves a number.
  typealias Counter = UnsafeMutablePointer<Int32>
  typealias LogCallback = @convention(c) (Text?) -> Void

  let lastError: @Sendable @convention(c) () -> Text?
  let registerLogCallback: @Sendable @convention(c) (LogCallback) -> Int32
  /// Elements, element type, rows, columns, row-major, parameters, reference data set, result.
  let createDataset:
    @Sendable @convention(c) (
      Elements, Int32, Int32, Int32, Int32, Text, Handle?, NewHandle
    ) -> Int32
  /// Data set, name of the field, data, elements, element type.
  let setField: @Sendable @convention(c) (Handle, Text, Elements, Int32, Int32) -> Int32
  let freeDataset: @Sendable @convention(c) (Handle) -> Int32
  /// Data set, parameters, result.
  let createBooster: @Sendable @convention(c) (Handle, Text, NewHandle) -> Int32
  /// Booster, and whether no further split was possible.
  let update: @Sendable @convention(c) (Handle, Counter) -> Int32
  /// Booster, first iteration, iterations, kind of importance, size of the buffer, size of the text, buffer.
  let saveModel:
    @Sendable @convention(c) (
      Handle, Int32, Int32, Int32, Int64, UnsafeMutablePointer<Int64>, UnsafeMutablePointer<CChar>
    ) -> Int32
  /// Text, iterations in it, result.
  let loadModel: @Sendable @convention(c) (Text, Counter, NewHandle) -> Int32
  /// Booster, data, element type, rows, columns, row-major, kind of prediction, first iteration, iterations, parameters,
  /// number of results, results.
  let predict:
    @Sendable @convention(c) (
      Handle, Elements, Int32, Int32, Int32, Int32, Int32, Int32, Int32, Text,
      UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Double>
    ) -> Int32
  let classCount: @Sendable @convention(c) (Handle, Counter) -> Int32
  let freeBooster: @Sendable @convention(c) (Handle) -> Int32

  /// The library of this process, or why it could not be opened.
  private static let opened: Result<LightGBMLibrary, OperatingError> = {
    do throws(OperatingError) {
      return .success(try find(environment: ProcessInfo.processInfo.environment))
    } catch {
      return .failure(error)
    }
  }()

  /// Opens LightGBM: from the path in `PULSE_LIGHTGBM_LIBRARY`, else as the dynamic loader finds it.
  ///
  /// - Throws: `OperatingError` of kind `missing` that says what was tried and how to install it.
  public static func open() throws(OperatingError) -> LightGBMLibrary {
    try opened.get()
  }

  static func find(environment: [String: String]) throws(OperatingError) -> LightGBMLibrary {
    try NativeLibrary.lightGBM.first(environment: environment) { path throws(LoadFailure) in
      guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
        throw LoadFailure(reason: dlerror().map { String(cString: $0) } ?? "no reason given")
      }
      do throws(LoadFailure) {
        return try LightGBMLibrary(handle)
      } catch {
        dlclose(handle)
        throw error
      }
    }
  }

  private init(_ library: UnsafeMutableRawPointer) throws(LoadFailure) {
    func function<Signature>(_ name: String) throws(LoadFailure) -> Signature {
      guard let symbol = dlsym(library, name) else {
        throw LoadFailure(reason: "it exports no \(name), so it is not LightGBM 4")
      }
      // SAFETY: the signatures above are those of LightGBM's c_api.h (stable since version 2; 4.7.0 was tried), and a
      // function pointer has the size and representation of a symbol's address.
      return unsafeBitCast(symbol, to: Signature.self)
    }
    lastError = try function("LGBM_GetLastError")
    registerLogCallback = try function("LGBM_RegisterLogCallback")
    createDataset = try function("LGBM_DatasetCreateFromMat")
    setField = try function("LGBM_DatasetSetField")
    freeDataset = try function("LGBM_DatasetFree")
    createBooster = try function("LGBM_BoosterCreate")
    update = try function("LGBM_BoosterUpdateOneIter")
    saveModel = try function("LGBM_BoosterSaveModelToString")
    loadModel = try function("LGBM_BoosterLoadModelFromString")
    predict = try function("LGBM_BoosterPredictForMat")
    classCount = try function("LGBM_BoosterGetNumClasses")
    freeBooster = try function("LGBM_BoosterFree")
  }

  /// LightGBM prints to standard output unless told otherwise, where results belong. The callback is kept per thread, so
  /// this is called wherever a booster or data set is made. What matters arrives as an error, which LightGBM prints to
  /// standard error as well: that it cannot be told.
  func silence() {
    _ = registerLogCallback { _ in }
  }

  /// - Throws: `OperatingError` with LightGBM's own words where the call failed.
  func check(_ result: Int32, _ action: String) throws(OperatingError) {
    guard result != 0 else { return }
    let reason = lastError().map { String(cString: $0) } ?? "no reason given"
    throw OperatingError(.input, "LightGBM could not \(action): \(reason)")
  }

  /// Numbers of the C API.
  static let float32: Int32 = 0
  static let columnMajor: Int32 = 0
  static let rawScore: Int32 = 1
}
