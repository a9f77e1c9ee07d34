// A model in LightGBM's own hands: grown tree by tree, written as text, and asked for its predictions, which our scorer
// is compared with.

public import Detection

/// A LightGBM model that has one owner. Calls block and use the threads they are told to.
public struct LightGBMBooster: ~Copyable {
  private let library: LightGBMLibrary
  private let handle: LightGBMLibrary.Handle
  /// What it is trained on; a booster reads it until it is freed.
  private let dataset: LightGBMLibrary.Handle?

  deinit {
    _ = library.freeBooster(handle)
    if let dataset { _ = library.freeDataset(dataset) }
  }

  /// A model without trees over training data, which is copied in LightGBM's binned form: about a byte a value.
  init(
    library: LightGBMLibrary, features: FeatureMatrix, target: [Float], parameters: String
  ) throws(OperatingError) {
    library.silence()
    var dataset: LightGBMLibrary.Handle?
    // SAFETY: the matrix has columnCount columns of rowCount floats and outlives the call, which copies from it.
    let created = features.values.withUnsafeBytes { values in
      guard let base = values.baseAddress else { return Int32(-1) }
      return library.createDataset(
        base, LightGBMLibrary.float32, Int32(features.rowCount),
        Int32(features.columnCount), LightGBMLibrary.columnMajor, parameters, nil, &dataset)
    }
    try library.check(created, "read the training data")
    guard let dataset else { throw OperatingError(.input, "LightGBM made no data set") }
    do throws(OperatingError) {
      // SAFETY: the target outlives the call, which copies from it; both hold rowCount elements.
      let labelled = target.withUnsafeBytes { values in
        guard let base = values.baseAddress else { return Int32(-1) }
        return library.setField(dataset, "label", base, Int32(target.count), LightGBMLibrary.float32)
      }
      try library.check(labelled, "read the target")
      var handle: LightGBMLibrary.Handle?
      try library.check(library.createBooster(dataset, parameters, &handle), "start training")
      guard let handle else { throw OperatingError(.input, "LightGBM made no model") }
      self.library = library
      self.handle = handle
      self.dataset = dataset
    } catch {
      _ = library.freeDataset(dataset)
      throw error
    }
  }

  /// The model in a text of LightGBM's format.
  ///
  /// - Throws: `OperatingError` with LightGBM's reason, or where the model has more than one output.
  public init(library: LightGBMLibrary, modelText: String) throws(OperatingError) {
    library.silence()
    var iterations: Int32 = 0
    var handle: LightGBMLibrary.Handle?
    try library.check(library.loadModel(modelText, &iterations, &handle), "read a model")
    guard let handle else { throw OperatingError(.input, "LightGBM made no model") }
    var classes: Int32 = 0
    let counted = library.classCount(handle, &classes)
    guard counted == 0, classes == 1 else {
      _ = library.freeBooster(handle)
      throw OperatingError(.input, "a model of LightGBM with \(classes) outputs; 1 was expected")
    }
    self.library = library
    self.handle = handle
    dataset = nil
  }

  /// Grows one more tree.
  ///
  /// - Returns: whether a split was found; without one, more trees would change nothing.
  /// - Throws: `OperatingError` with LightGBM's reason.
  func grow() throws(OperatingError) -> Bool {
    var finished: Int32 = 0
    try library.check(library.update(handle, &finished), "grow a tree")
    return finished == 0
  }

  /// The model in LightGBM's text format.
  ///
  /// - Throws: `OperatingError` with LightGBM's reason.
  public func modelText() throws(OperatingError) -> String {
    var capacity: Int64 = 1 << 20
    while true {
      var buffer = [CChar](repeating: 0, count: Int(capacity))
      var length: Int64 = 0
      try library.check(library.saveModel(handle, 0, -1, 0, capacity, &length, &buffer), "write the model")
      if length <= capacity {
        // The length counts the zero byte at the end.
        return String(decoding: buffer.prefix(max(0, Int(length) - 1)).lazy.map(UInt8.init(bitPattern:)), as: UTF8.self)
      }
      capacity = length
    }
  }

  /// The model as a tree ensemble with one output, as `BoostedTreesTrainer.train` gives it.
  ///
  /// - Throws: `OperatingError` where the model uses what is not supported: categorical splits, linear leaves.
  public func ensemble() throws(OperatingError) -> TreeEnsemble {
    try LightGBMModelText(try modelText()).ensemble()
  }

  /// LightGBM's own prediction, before any transformation, one per row.
  ///
  /// - Throws: `OperatingError` with LightGBM's reason, for example another number of features.
  public func predict(_ features: FeatureMatrix, threads: Int = 1) throws(OperatingError) -> [Double] {
    guard features.rowCount > 0 else { return [] }
    library.silence()
    var result = [Double](repeating: 0, count: features.rowCount)
    var length: Int64 = 0
    // SAFETY: the matrix has columnCount columns of rowCount floats; a model with one output writes a double per row.
    let status = features.values.withUnsafeBytes { values in
      guard let base = values.baseAddress else { return Int32(-1) }
      return library.predict(
        handle, base, LightGBMLibrary.float32, Int32(features.rowCount), Int32(features.columnCount),
        LightGBMLibrary.columnMajor, LightGBMLibrary.rawScore, 0, -1, "num_threads=\(threads) verbosity=-1", &length,
        &result)
    }
    try library.check(status, "predict")
    return result
  }
}
