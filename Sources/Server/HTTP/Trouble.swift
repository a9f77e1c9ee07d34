// What goes wrong inside, as clients are told.

import Configuration
import Detection
import HTTPTypes
import Logging
import Operations

/// Errors of the product as problems.
enum Trouble {
  /// - Parameter place: where it happened, for the log.
  static func problem(of error: any Error, at place: String, _ logger: Logger) -> Problem {
    switch error {
    case let error as RequestError: return .notFound("\(error)")
    case let error as UseCaseNotFound: return .notFound("\(error)")
    case let error as CodingError: return Problem(.badRequest, "A parameter is damaged", "\(error)")
    case let error as OperatingError:
      switch error.kind {
      case .input, .configuration: return Problem(.unprocessableContent, "That does not work", "\(error)")
      case .missing: return .notFound("\(error)")
      case .limit:
        return Problem(.tooManyRequests, "There is no room for more", "\(error)", headers: [.retryAfter: "5"])
      default:
        logger.error("a request could not be answered: \(error)", metadata: ["route": "\(place)"])
        return Problem(
          .serviceUnavailable, "What is asked for cannot be read now", "\(error)", headers: [.retryAfter: "5"])
      }
    case is CancellationError:
      return Problem(.serviceUnavailable, "The server is stopping", headers: [.retryAfter: "5"])
    default:
      logger.error("a request failed: \(error)", metadata: ["route": "\(place)"])
      return Problem(.internalServerError, "Something is wrong inside", "It is in the log of the server.")
    }
  }
}
