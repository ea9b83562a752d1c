// Only the user who runs the daemon (and root) may talk to it: the mode of the socket says so already, and this
// asks the kernel once more for each connection. Source: unix(7), SO_PEERCRED.

internal import Hummingbird
internal import Kernel
internal import NIOCore

final class PeerCheck: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny

    /// `struct ucred` of unix(7).
    private struct Credentials {
        var pid: Int32 = 0
        var uid: UInt32 = 0
        var gid: UInt32 = 0
    }

    func handlerAdded(context: ChannelHandlerContext) {
        guard let channel = context.channel as? any SocketOptionProvider else {
            return context.close(promise: nil)
        }
        let option = NIOBSDSocket.Option(rawValue: 17 /* SO_PEERCRED */)
        let found: EventLoopFuture<Credentials> = channel.unsafeGetSocketOption(level: .socket, name: option)
        let socket = context.channel
        found.whenComplete { result in
            let allowed = (try? result.get().uid).map { $0 == ProcessIdentity.uid || $0 == 0 } ?? false
            if !allowed { socket.close(promise: nil) }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(data)
    }
}
