// Why the operating system refused, in its own words.

import Foundation

/// What the operating system says about an error that Foundation reports ("No space left on device"). Foundation's own
/// description speaks of an operation that could not be completed.
public func systemReason(_ error: any Error) -> String {
  let error = error as NSError
  if error.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(error.code))) }
  if let underlying = error.userInfo[NSUnderlyingErrorKey] as? any Error { return systemReason(underlying) }
  // https://developer.apple.com/documentation/foundation/cocoaerror: those without a cause that can come from files.
  let codes: [CocoaError.Code: Int32] = [
    .fileNoSuchFile: ENOENT, .fileReadNoSuchFile: ENOENT, .fileReadNoPermission: EACCES, .fileWriteNoPermission: EACCES,
    .fileWriteOutOfSpace: ENOSPC, .fileWriteVolumeReadOnly: EROFS, .fileWriteFileExists: EEXIST,
    .fileReadInvalidFileName: EINVAL, .fileWriteInvalidFileName: EINVAL, .fileReadTooLarge: EFBIG,
  ]
  if error.domain == NSCocoaErrorDomain, let code = codes[CocoaError.Code(rawValue: error.code)] {
    return String(cString: strerror(code))
  }
  return "\(error.domain) \(error.code)"
}
