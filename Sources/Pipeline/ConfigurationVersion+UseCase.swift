// The name that a configuration's content gives it.

internal import Crypto
public import Detection

extension ConfigurationVersion {
  /// The version of a use case: the SHA-256 of its canonical text in hexadecimal, so that comments and layout do not make
  /// a new version.
  /// - Parameter text: the `pipeline.yaml` it was read from, kept so that results can be read and replayed without it.
  public init(_ useCase: UseCase, text: String) {
    let digest = SHA256.hash(data: Array(useCase.canonicalText.utf8))
    let hexadecimal = digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    self.init(identifier: hexadecimal, text: text)
  }
}
