// What the threads of a watcher of whole file systems share.
// In: settings and sources.  Out: changes to the sink, signals.
// Invariant: sink and signal are called without any lock. A source's root is published after its file system is marked, and
// its signal is given after that: what the reader has left out by then, a reconcile that begins at the signal sees.

import Kernel
import Tracking

/// What a look at the sources found.
struct MarkSurvey {
    struct Root: Hashable {
        var identity: UInt64
        /// Where the kernel says that it is.
        var place: Path
        /// False where only a comparison sees what others change.
        var isMarked: Bool
    }

    /// One for each source; nil while it is missing or cannot be read.
    var roots: [Root?]
    /// The same, with the latest place of those that are missing: what comes back there is heard of.
    var places: [Path?] = []
    var mounts: [MountViews.Mount] = []
    var unwatched: UnwatchedList
}

struct MarkState {
    var survey: MarkSurvey
    /// Counts the surveys that found something new: what was remembered of places before may be wrong.
    var generation: UInt64 = 0
    /// False while a source is out of reach; it is said once.
    var isAvailable: [Bool]
    /// The mounts at, above and below the sources.
    var table: Set<MountRecord> = []
    var cookieDirectory: FileHandle?
    var events: UInt64 = 0
    var overflows: UInt64 = 0
}

final class MarkSession: Sendable {
    let settings: WatchSettings
    let sources: [Path]
    let isExcluded: @Sendable (Path, FileKind) -> Bool
    let sink: @Sendable ([Change]) -> Void
    let signal: @Sendable (WatchSignal) -> Void
    let fanotify: Fanotify
    let mountTable: Descriptor
    let wakeUp: WakeUp
    let cookies: CookieJar
    let state: Monitor<MarkState>
    let work = Monitor(WatchWork())
    /// Of the reader.
    let pulse = Pulse()

    static let events: Fanotify.Events = [
        .modified, .attributes, .closedAfterWriting, .movedFrom, .movedTo, .created, .deleted,
    ]

    /// Marks all that is there, and waits for a first event.
    ///
    /// - Throws: `WatchError` with `.fileSystemMark` or `.resources`.
    init(
        settings: WatchSettings, sources: [Path], isExcluded: @escaping @Sendable (Path, FileKind) -> Bool,
        sink: @escaping @Sendable ([Change]) -> Void, signal: @escaping @Sendable (WatchSignal) -> Void
    ) throws(WatchError) {
        self.settings = settings
        self.sources = sources
        self.isExcluded = isExcluded
        self.sink = sink
        self.signal = signal
        do throws(Errno) { fanotify = try Fanotify() } catch { throw WatchError(.fileSystemMark, errno: error) }
        do throws(Errno) {
            mountTable = try MountTable.open()
            wakeUp = try WakeUp()
        } catch { throw WatchError(.resources, errno: error) }
        cookies = CookieJar(directory: settings.privateDirectory)
        let nothing = MarkSurvey(roots: sources.map { _ in nil }, unwatched: UnwatchedList(capacity: 0))
        state = Monitor(MarkState(survey: nothing, isAvailable: sources.map { _ in true }))
        let survey = try takeSurvey().survey
        let table = MountTable.concerning(sources) ?? []
        state.withLock { state in
            state.survey = survey
            state.table = table
        }
        try tryOut()
    }

    var isStopping: Bool { work.withLock { $0.isStopping } }

    func add(_ job: WatchJob) { work.withLock { $0.append(job) } }

    func wakeReader() -> UInt64 {
        wakeUp.signal()
        return pulse.count
    }

    /// Ends both threads soon.
    func stop() {
        work.withLock { $0.stop() }
        wakeUp.signal()
    }

    /// Marks the private directory, which may have been removed and made again, and puts a cookie into it.
    func placeCookie(_ waiter: CookieJar.Waiter) throws(Errno) {
        try cookies.directory.makeDirectories(mode: 0o700)
        let directory = try Descriptor.open(cookies.directory, [.read, .directory])
        // On its own: it may be on another file system than the sources.
        try fanotify.markDirectory(directory, for: [.created])
        let handle = try directory.handle(for: .opening)
        state.withLock { $0.cookieDirectory = handle }
        try cookies.place(waiter, in: directory)
    }

    /// Puts a cookie and waits for its event, before the threads run. What else happens then is not missed: the sources are
    /// compared after `ready`.
    private func tryOut() throws(WatchError) {
        do throws(Errno) {
            let waiter = try cookies.add()
            defer { _ = cookies.remove(waiter) }
            try placeCookie(waiter)
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            var poller = Poller()
            _ = poller.add(fanotify)
            let deadline = BootInstant.now() + .seconds(10)
            while BootInstant.now() < deadline {
                try poller.wait(timeout: deadline - .now())
                if try takeCookie(&buffer) { return }
            }
        } catch { throw WatchError(.fileSystemMark, path: cookies.directory, errno: error) }
        throw WatchError(.fileSystemMark, path: cookies.directory, errno: .timedOut)
    }

    /// - Returns: True when an event of the private directory has come, or so many that some were lost.
    private func takeCookie(_ buffer: inout [UInt8]) throws(Errno) -> Bool {
        let expected = state.withLock { $0.cookieDirectory }
        var hasCome = false
        var failure: Errno?
        buffer.withUnsafeMutableBytes { bytes in
            do throws(Errno) {
                let count = try fanotify.read(into: bytes)
                var decoder = FanotifyDecoder(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                while let event = decoder.next() {
                    if event.kinds.contains(.overflowed) || event.directory == expected { hasCome = true }
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return hasCome
    }
}
