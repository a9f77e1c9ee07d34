// The name that a configuration's content gives it.

internal import Crypto
public import Detection

extension ConfigurationVersion {
  /// The version of a use case: its canonical text and the text's SHA-256 in hexadecimal.
  public init(_ useCase: UseCase) {
    let text = useCase.canonicalText
    let digest = SHA256.hash(data: Array(text.utf8))
    let hexadecimal = digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    self.init(identifier: hexadecimal, text: text)
  }
}
