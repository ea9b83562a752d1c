// Memory for secrets: never swapped out, never in a core dump, wiped at its end.
// Each piece has pages of its own, for mlock(2) and munlock work on whole pages.

internal import Glibc

/// A few bytes that hold a secret. Filled once by its initializer and only read afterwards.
package final class LockedMemory: @unchecked Sendable {  // Written only in init, before another thread can know it.
    private let start: UnsafeMutableRawPointer
    private let byteCount: Int

    /// - Parameter fill: Receives `byteCount` zero bytes. When it throws, they are wiped and given back.
    ///
    /// Where locking is refused (RLIMIT_MEMLOCK) the memory is used unlocked. Traps when the system has no memory, as
    /// every allocation does. Source: mmap(2), mlock(2), madvise(2).
    package init<Failure: Error>(
        byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let protection = PROT_READ | PROT_WRITE
        let start = mmap(nil, byteCount, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start, start != MAP_FAILED else { preconditionFailure("no memory for a secret") }
        self.start = start
        self.byteCount = byteCount
        _ = mlock(start, byteCount)
        _ = madvise(start, byteCount, 16 /* MADV_DONTDUMP */)
        // After a throw, deinit runs: all properties are set.
        try fill(UnsafeMutableRawBufferPointer(start: start, count: byteCount))
    }

    deinit {
        explicit_bzero(start, byteCount)
        munmap(start, byteCount)
    }

    /// The bytes, valid during the call.
    package func withUnsafeBytes<Result: ~Copyable, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: byteCount))
    }
}
