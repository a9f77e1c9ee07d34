// What a log keeps beside a record, as it is stored and shown: text where the bytes are UTF-8, else base64 of them.

public import Detection
import Foundation

extension RecordEnvelope {
  /// `{key | key_base64, timestamp, headers: [{name, value | value_base64}]}`; what there is not is left out.
  public var json: String {
    var members: [(String, String)] = []
    if let key { members.append(Self.member("key", key)) }
    if let timestamp { members.append(("timestamp", JSONText.time(timestamp))) }
    let headers = headers.map { header in
      JSONText.object(
        [("name", JSONText.string(header.name))] + (header.value.map { [Self.member("value", $0)] } ?? []))
    }
    members.append(("headers", JSONText.array(headers)))
    return JSONText.object(members)
  }

  /// Bytes under a name.
  private static func member(_ name: String, _ bytes: [UInt8]) -> (String, String) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return (name + "_base64", JSONText.string(Data(bytes).base64EncodedString()))
    }
    return (name, JSONText.string(text))
  }

  /// - Returns: nil where the text was not written by `json`.
  public init?(json: String) {
    guard let members = try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any] else { return nil }
    func bytes(_ name: String, of members: [String: Any]) -> [UInt8]? {
      if let text = members[name] as? String { return Array(text.utf8) }
      return (members[name + "_base64"] as? String).flatMap { Data(base64Encoded: $0) }.map(Array.init)
    }
    let headers = (members["headers"] as? [[String: Any]] ?? []).map { header in
      RecordHeader(header["name"] as? String ?? "", bytes("value", of: header))
    }
    self.init(
      key: bytes("key", of: members), timestamp: (members["timestamp"] as? String).flatMap { Timestamp.parse($0) },
      headers: headers)
  }
}
