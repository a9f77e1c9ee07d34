// A tree ensemble as a standard ONNX model: what is written into the file, and what comes back out of it.

public import Detection

/// A tree ensemble with its name and the names of its features, to be written as ONNX or read from it.
///
/// The file's graph has one input `features`, Float32 [rows, features], one `TreeEnsembleRegressor` whose sums are the
/// output `raw`, Float32 [rows, outputs], and where there is a transformation its result under `outputName`, of the same
/// shape. docs/models.md describes the file.
public struct TreeModel: Sendable, Equatable {
  /// What follows the trees, value by value.
  public enum Transformation: Sendable, Equatable {
    /// Nothing: the sums are the result.
    case none
    /// 2^(sum × factor). An isolation forest's score with factor −1 / (trees × c(sample size)), where each leaf holds
    /// the path length to it.
    case powerOfTwo(factor: Double)
    /// e^sum − 1: what was predicted as log1p.
    case expm1
  }

  /// Name of the detector.
  public var name: String
  /// Version of the model in the registry.
  public var version: String
  /// Names of the columns that the trees test, in the order of the columns.
  public var featureNames: [String]
  /// Names of the outputs, for example `mean` and `quantile`.
  public var outputNames: [String]
  public var ensemble: TreeEnsemble
  public var transformation: Transformation
  /// Further entries of the file's metadata. Keys do not begin with `pulse.`.
  public var metadata: [String: String]

  public init(
    name: String, version: String, featureNames: [String], outputNames: [String], ensemble: TreeEnsemble,
    transformation: Transformation = .none, metadata: [String: String] = [:]
  ) {
    self.name = name
    self.version = version
    self.featureNames = featureNames
    self.outputNames = outputNames
    self.ensemble = ensemble
    self.transformation = transformation
    self.metadata = metadata
  }

  /// Name of the graph's input, and of the outputs of the trees and of the transformation.
  static let inputName = "features"
  static let rawName = "raw"
  static let resultName = "result"

  /// Versions that are written: opset 13 and `ai.onnx.ml` 3 have been read by ONNX Runtime since 1.10.
  static let irVersion: Int64 = 8
  static let opset: Int64 = 13
  static let treeOpset: Int64 = 3
  static let treeDomain = "ai.onnx.ml"
  static let treeOperator = "TreeEnsembleRegressor"

  /// Bounds of a file. The largest models are a few megabytes (300 trees of 31 leaves and two outputs: about 1 MB).
  enum Bounds {
    /// Bytes of a file: a node takes about 33.
    static let bytes = 192 << 20
    /// Messages in a file (nodes of the graph, attributes, metadata …); ours have about fifty.
    static let messages = 10_000
    /// Nodes of all trees. The modes of the nodes are strings of at least two bytes in the file and sixteen in memory.
    static let nodes = 4 << 20
    /// Features, and outputs: as many as a detector may have. What making trees ready for scoring costs is proportional
    /// to trees times features.
    static let columns = Limits.maxDetectorFeatures
  }

  /// Keys of the file's metadata.
  enum MetadataKey {
    static let format = "pulse.format"
    static let model = "pulse.model"
    static let version = "pulse.version"
    static let features = "pulse.features"
    static let outputs = "pulse.outputs"
    static let innerValues = "pulse.inner_values"
    static let checksum = "pulse.crc32"
  }

  /// Version of what the metadata means; raised when a reader of the old one would be wrong.
  static let format = "1"
}
