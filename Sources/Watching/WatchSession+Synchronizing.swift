// Where a cookie is put, so that its event comes through the queue.
// In: a waiter with its number.  Out: its event at the end of the queue, and behind that a barrier in the jobs.

import Kernel

extension WatchSession {
    /// Watches the private directory, which may have been removed and made again, and puts a cookie into it.
    func placeCookie(_ waiter: CookieJar.Waiter) throws(Errno) {
        try cookies.place(waiter, in: openCookies())
    }

    /// The private directory, watched.
    func openCookies() throws(Errno) -> Descriptor {
        try cookies.directory.makeDirectories(mode: 0o700)
        let directory = try Descriptor.open(cookies.directory, [.read, .directory])
        var failure: Errno?
        state.withLock { state in
            do throws(Errno) {
                state.cookieWatch = try queue.watch(directory, for: [.created], existing: .extend)
            } catch { failure = error }
        }
        if let failure { throw failure }
        return directory
    }
}
