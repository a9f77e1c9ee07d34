// What cannot be read as HTTP becomes no request, so no endpoint answers it: the HTTP library says 400 without a word and hangs
// up. Here that answer becomes a problem with a sentence, like every other.

import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// Connections that say what is wrong with bytes that are no request.
struct ProblemChannel: ServerChildChannel {
  let base: HTTP1Channel
  let limits: RequestLimits

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
    base.setup(channel: channel, logger: logger).flatMapThrowing { value in
      let pipeline = channel.pipeline.syncOperations
      let parser = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
      let line = FirstLine()
      try pipeline.addHandler(line, position: .before(parser))
      try pipeline.addHandler(BrokenRequests(line, limits), position: .after(parser))
      return value
    }
  }

  func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// Counts the bytes of the line that a request begins with. The parser has one error for an address and for headers that are too
/// large, and keeps to itself which of them it was.
private final class FirstLine: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  /// Too few where a request follows another one in the same packet.
  private(set) var bytes = 0
  private var isOpen = true

  /// Another request comes.
  func begin() { (bytes, isOpen) = (0, true) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isOpen {
      let part = Self.unwrapInboundIn(data).readableBytesView
      let end = part.firstIndex(of: UInt8(ascii: "\n"))
      bytes += part[..<(end ?? part.endIndex)].count
      isOpen = end == nil
    }
    context.fireChannelRead(data)
  }
}

/// Stands where the parser reports what it cannot read, and where the answer of the library passes on its way out.
private final class BrokenRequests: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private let line: FirstLine
  private let limits: RequestLimits
  /// What the parser could not read.
  private var problem: Problem?

  init(_ line: FirstLine, _ limits: RequestLimits) { (self.line, self.limits) = (line, limits) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .end = Self.unwrapInboundIn(data) { line.begin() }
    context.fireChannelRead(data)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let error = error as? HTTPParserError { problem = problem ?? problem(of: error) }
    context.fireErrorCaught(error)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    // Requests before the broken one are still answered, each with a type. The library's own answer has none.
    guard let problem, case .head(let head) = Self.unwrapOutboundIn(data), head.status == .badRequest,
      head.headers["Content-Type"].isEmpty
    else { return context.write(data, promise: promise) }
    let body = ByteBuffer(string: problem.json)
    let headers: HTTPHeaders = [
      "Content-Type": Problem.contentType, "Content-Length": String(body.readableBytes), "Connection": "close",
      "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
    ]
    let status = HTTPResponseStatus(statusCode: problem.status.code)
    context.write(
      Self.wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: status, headers: headers))),
      promise: nil)
    context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: promise)
    self.problem = nil
  }

  private func problem(of error: HTTPParserError) -> Problem {
    switch error {
    case .headerOverflow where line.bytes > limits.targetBytes: .addressTooLong(limits)
    case .headerOverflow: .headersTooLarge(limits)
    case .invalidVersion, .paused:
      Problem(.badRequest, "That is no HTTP request", "This server speaks HTTP/1.1.")
    default: Problem(.badRequest, "That is no HTTP request", "It cannot be read: \(error).")
    }
  }
}
