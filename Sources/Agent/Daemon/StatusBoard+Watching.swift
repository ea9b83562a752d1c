// What the board tells of watching: the watcher's numbers, comparisons of everything, and single paths.
// In: the watcher and the dirty set, each asked at the moment.  Out: parts of the status; PathWatch.

internal import Controlling
internal import Kernel
internal import Synchronization
internal import Tracking
internal import Watching

extension StatusBoard {
    private static let hotShown = 20
    private static let reconcilesShown = 5

    func watchReport(_ notes: Notes, _ statistics: WatchStatistics?) -> StatusReport.Watch {
        StatusReport.Watch(
            backend: statistics?.backend ?? "none", directoriesWatched: statistics?.directoriesWatched ?? 0,
            directoriesWanted: statistics?.directoriesWanted ?? 0, limit: statistics?.budget.flatMap { $0.directories == .max ? nil : $0.directories },
            events: statistics?.events ?? 0, overflows: statistics?.overflows ?? 0,
            reconciles: notes.reconciles, lastReconcile: notes.recentReconciles.first?.time, recentReconciles: notes.recentReconciles,
            unwatched: (statistics?.unwatched ?? []).prefix(100).map { .init(path: "\($0.path)", reason: $0.reason.text) })
    }

    func hotPaths() -> [StatusReport.Hot] { dirty.hot(limit: StatusBoard.hotShown).map(StatusReport.Hot.init) }

    /// Notes a comparison of everything.
    func noteReconcile(_ outcome: SnapshotOutcome, _ reasons: [String]) {
        let reconcile = StatusReport.Reconcile(
            time: Timestamp.now().iso8601, reasons: reasons, seconds: outcome.comparison.secondsValue, entries: outcome.entriesSeen,
            changed: UInt64(outcome.differences))
        noteQuietly { notes in
            notes.reconciles += 1
            notes.recentReconciles = [reconcile] + notes.recentReconciles.prefix(StatusBoard.reconcilesShown - 1)
        }
    }

    /// What is known of one path.
    func explain(_ path: Path) -> PathWatch {
        let (watcher, next) = notes.withLock { ($0.watcher, $0.next) }
        let (pending, hot) = dirty.explain(path)
        var unwatched: StatusReport.Unwatched?
        switch watcher?.coverage(of: path) {
        case .watched: break
        case .unwatched(let place, let reason): unwatched = .init(path: "\(place)", reason: reason.text)
        case nil: unwatched = .init(path: "\(path)", reason: "nothing is watched; watchctl status says why")
        }
        return PathWatch(
            path: "\(path)", watched: unwatched == nil, unwatched: unwatched,
            pending: pending.map {
                .init(path: "\($0.change.path)", first: $0.first.wallText, last: $0.last.wallText, due: $0.due.wallText)
            },
            backoffSeconds: hot?.rest.secondsValue, next: next)
    }
}

extension StatusReport.Hot {
    fileprivate init(_ path: HotPath) {
        self.init(path: "\(path.path)", backoffSeconds: path.rest.secondsValue, due: path.due?.wallText)
    }
}

extension BootInstant {
    /// The moment on the wall clock, as that clock goes now.
    fileprivate var wallText: String { Timestamp.now().adding(self - .now()).iso8601 }
}
