// Reads an archive back, beside what else is to be done before it counts.
// In: a published archive.  Out: nothing, or the error for which it was removed.
// A large one is read by a thread of its own, a commit while the catalog takes it in, a `data` archive while the next one is written; for a
// small one that would cost more than it saves.

internal import Kernel
internal import Storing

final class ReadBack: Sendable {
    private static let large: UInt64 = 16 << 20

    private let outcome = Monitor<Result<Void, any Error>?>(nil)

    init(of archive: PublishedArchive, _ session: Session) {
        let work: @Sendable () -> Void = { [outcome] in
            let result = Result<Void, any Error> { try session.readBack(archive) }
            outcome.withLock { $0 = result }
        }
        // Where no thread can be had, it is done at once.
        if archive.stored.size < ReadBack.large || (try? Thread(name: "read-back", priority: .background, work)) == nil { work() }
    }

    /// Waits for its end; more than once gives the same.
    ///
    /// - Throws: As `Session.readBack`: the archive is gone then.
    func finish() throws {
        try outcome.wait { $0 }.get()
    }
}
