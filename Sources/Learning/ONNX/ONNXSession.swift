// Models that users bring, run by ONNX Runtime, which is found at run time.

import COnnxRuntime
public import Detection
import Foundation

/// ONNX Runtime of this process. Opened once, never closed.
public struct ONNXRuntimeLibrary: Sendable {
  // SAFETY: the library behind it never changes after it was opened, and its calls may come from any thread.
  nonisolated(unsafe) let handle: OpaquePointer

  private static let opened: Result<ONNXRuntimeLibrary, OperatingError> = {
    do throws(OperatingError) {
      return .success(try find(environment: ProcessInfo.processInfo.environment))
    } catch {
      return .failure(error)
    }
  }()

  /// Opens ONNX Runtime: from the path in `PULSE_ONNXRUNTIME_LIBRARY`, else as the dynamic loader finds it.
  ///
  /// - Throws: `OperatingError` of kind `missing` that says what was tried and how to install it.
  public static func open() throws(OperatingError) -> ONNXRuntimeLibrary {
    try opened.get()
  }

  static func find(environment: [String: String]) throws(OperatingError) -> ONNXRuntimeLibrary {
    try NativeLibrary.onnxRuntime.first(environment: environment) { path throws(LoadFailure) in
      var message = onnx_message()
      guard let handle = onnx_library_open(path, &message) else { throw LoadFailure(reason: message.sentence) }
      return ONNXRuntimeLibrary(handle: handle)
    }
  }

  /// Its version, for example `1.31.1`.
  public var version: String { String(cString: onnx_library_version(handle)) }
}

/// A model that ONNX Runtime has loaded: a matrix of floats in, one float or several per row out.
///
/// It may be run from several threads at once; ONNX Runtime keeps nothing of a run.
public final class ONNXSession: Sendable {
  /// What is asked of a model and its surroundings.
  public struct Options: Sendable, Equatable {
    /// Threads one run may use; 1 runs on the caller's thread alone.
    public var threads: Int
    /// Where it runs: `cpu`, or an execution provider that this ONNX Runtime was built with.
    public var provider: String
    /// Name that the input must have; any where nil.
    public var input: String?
    /// Name of the output to read; the first one that holds floats where nil.
    public var output: String?
    /// What loading may take, and what a run of `Limits.defaultBatchRows` rows may.
    public var (loadTime, runTime) = (Limits.maxModelLoadTime, Limits.maxModelRunTime)

    public init(threads: Int = 1, provider: String = "cpu", input: String? = nil, output: String? = nil) {
      self.threads = threads
      self.provider = provider
      self.input = input
      self.output = output
    }
  }

  // SAFETY: used for runs only, which ONNX Runtime allows from any thread at once, until `deinit` closes it, when no
  // run can be under way.
  private nonisolated(unsafe) let session: OpaquePointer
  private let library: ONNXRuntimeLibrary
  private let output: Int
  private let runTime: Duration
  /// What messages call the model, usually its path.
  public let name: String
  /// Features of a row.
  public let featureCount: Int
  /// Numbers it gives per row.
  public let width: Int

  /// Loads a model and checks that it can score: one input, Float32 [any, features], and an output of numbers
  /// [any, width] or [any].
  ///
  /// - Parameters:
  ///   - model: bytes of an ONNX file.
  ///   - name: what messages call it.
  ///   - featureCount: features that a row will have; a model with another number is refused.
  /// - Throws: `OperatingError` of kind `missing` without ONNX Runtime, `limit` where loading takes longer than it may,
  ///   else `configuration`, with what was expected and found.
  public init(
    model: [UInt8], name: String, featureCount: Int, options: Options = Options(), library: ONNXRuntimeLibrary
  ) throws(OperatingError) {
    guard (1...1024).contains(options.threads) else {
      throw OperatingError(.configuration, "\(name): threads: 1 to 1024, found \(options.threads)")
    }
    let session = try ONNXLoading.open(model, name: name, options, library)
    do throws(OperatingError) {
      let inputs = (0..<onnx_session_input_count(session)).map { ONNXValue(onnx_session_input(session, $0).pointee) }
      let outputs = (0..<onnx_session_output_count(session)).map {
        ONNXValue(onnx_session_output(session, $0).pointee)
      }
      try Self.check(inputs, of: name, wanted: options.input, featureCount: featureCount)
      output = try Self.choose(outputs, of: name, wanted: options.output)
      width = outputs[output].shape.count == 2 ? Int(outputs[output].shape[1]) : 1
    } catch {
      onnx_session_close(session)
      throw error
    }
    self.session = session
    self.library = library
    runTime = options.runTime
    self.name = name
    self.featureCount = featureCount
  }

  deinit { onnx_session_close(session) }

  /// Scores rows.
  ///
  /// - Parameter matrix: row after row of `featureCount` floats; NaN is a missing value.
  /// - Returns: row after row of `width` floats.
  /// - Throws: `OperatingError` of kind `input` with ONNX Runtime's reason; of kind `limit` where it took longer than it
  ///   may, and was ended.
  public func run(_ matrix: [Float]) throws(OperatingError) -> [Float] {
    precondition(matrix.count.isMultiple(of: featureCount), "\(matrix.count) values for rows of \(featureCount)")
    let rows = matrix.count / featureCount
    guard rows > 0 else { return [] }
    let (elements, overflow) = rows.multipliedReportingOverflow(by: width)
    precondition(!overflow, "\(width) numbers a row")
    var result = [Float](repeating: 0, count: elements)
    var message = onnx_message()
    let limit = runTime * ((rows - 1) / Limits.defaultBatchRows + 1)
    guard let deadline = RunDeadline(library, after: limit, &message) else {
      throw OperatingError(.input, "\(name) failed on \(rows) rows: \(message.sentence)")
    }
    let succeeded = onnx_session_run(
      session, deadline.run, matrix, rows, featureCount, output, &result, width, &message)
    // A run that has succeeded counts, however late: its scores are what they would have been.
    guard !deadline.end() || succeeded != 0 else {
      throw OperatingError(
        .limit,
        "\(name) was ended after \(limit.components.seconds) s on \(rows) rows: is there a loop in it that does not end? "
          + "Expected a model that scores \(Limits.defaultBatchRows) rows in \(runTime.components.seconds) s")
    }
    guard succeeded != 0 else {
      throw OperatingError(.input, "\(name) failed on \(rows) rows: \(message.sentence)")
    }
    return result
  }

  private static func check(
    _ inputs: [ONNXValue], of name: String, wanted: String?, featureCount: Int
  ) throws(OperatingError) {
    if let wanted, !inputs.contains(where: { $0.name == wanted }) {
      let found = inputs.map(\.description).joined(separator: "; ")
      throw OperatingError(.configuration, "\(name) has no input '\(wanted)'; it has: \(found)")
    }
    let expected = "one input of float [any number of rows, \(featureCount)]"
    guard inputs.count == 1, let input = inputs.first else {
      let found = inputs.map(\.description).joined(separator: "; ")
      throw OperatingError(.configuration, "\(name) has \(inputs.count) inputs (\(found)); expected \(expected)")
    }
    guard input.type == Int32(ONNX_TYPE_FLOAT), input.shape.count == 2, input.shape[0] == -1,
      input.shape[1] == -1 || input.shape[1] == Int64(featureCount)
    else {
      throw OperatingError(
        .configuration,
        "the input of \(name) is \(input); expected \(expected), for the \(featureCount) features of the detector")
    }
  }

  private static func choose(
    _ outputs: [ONNXValue], of name: String, wanted: String?
  ) throws(OperatingError) -> Int {
    let found = outputs.map(\.description).joined(separator: "; ")
    let index: Int?
    if let wanted {
      index = outputs.firstIndex { $0.name == wanted }
      guard index != nil else {
        throw OperatingError(.configuration, "\(name) has no output '\(wanted)'; it has: \(found)")
      }
    } else {
      // Scores are floats; the labels that scikit-learn's models give as well are integers.
      index = outputs.firstIndex { $0.isFloating && $0.isColumns } ?? outputs.firstIndex { $0.isColumns }
    }
    guard let index, outputs[index].isColumns else {
      throw OperatingError(
        .configuration,
        """
        \(name) gives \(found); expected an output of numbers [any number of rows, columns]. Probabilities as maps: \
        export with options={'zipmap': False}
        """)
    }
    return index
  }
}

/// An input or output of a model, as it stands in messages.
private struct ONNXValue: CustomStringConvertible {
  let name: String
  let type: Int32
  let shape: [Int64]

  init(_ info: onnx_value_info) {
    name = info.name.map { String(cString: $0) } ?? ""
    type = info.type
    let first = info.shape
    let dimensions = [first.0, first.1, first.2, first.3, first.4, first.5, first.6, first.7]
    shape = Array(dimensions.prefix(info.rank))
  }

  /// Types of the C header, by the names they have in ONNX.
  private static let typeNames: [Int32: String] = [
    0: "not a tensor", 1: "float", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 8: "string", 9: "bool", 11: "double",
  ]

  var isFloating: Bool { type == Int32(ONNX_TYPE_FLOAT) || type == Int32(ONNX_TYPE_DOUBLE) }

  /// Whether it holds a number or several for each of any number of rows.
  var isColumns: Bool {
    let numbers = [ONNX_TYPE_FLOAT, ONNX_TYPE_DOUBLE, ONNX_TYPE_INT64, ONNX_TYPE_INT32, ONNX_TYPE_BOOL]
    guard numbers.contains(where: { Int32($0) == type }), shape.first == -1 else { return false }
    return shape.count == 1 || shape.count == 2 && (1...65_536).contains(shape[1])
  }

  var description: String {
    let dimensions = shape.map { $0 < 0 ? "any" : String($0) }.joined(separator: ", ")
    let typeName = Self.typeNames[type] ?? "type \(type)"
    return type == Int32(ONNX_TYPE_NONE) ? "'\(name)' \(typeName)" : "'\(name)' \(typeName) [\(dimensions)]"
  }
}

extension onnx_message {
  /// The text up to its zero byte.
  var sentence: String {
    // SAFETY: the text is a fixed array of bytes inside the value, read within its size.
    withUnsafeBytes(of: text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
