// Values for the tests of what watchctl prints.

import Agent
import Archiving
import Cataloging
import Controlling
import Kernel

/// 2026-11-23T05:18:00Z
let present = Timestamp(seconds: 1_795_411_080)

func moment(secondsAgo seconds: Int64) -> String { Timestamp(seconds: present.seconds - seconds).iso8601 }

func path(_ text: String) -> Path { Path(text) ?? .root }

func listed(_ path: Path, _ kind: FileKind = .file, mode: UInt16 = 0o644, size: UInt64 = 0) -> ListedEntry {
    ListedEntry(
        entry: Entry(path: path, kind: kind, mode: mode, uid: 1000, gid: 100, modified: present, size: size), isImplicit: false)
}

func report(
    _ verdict: StatusReport.Verdict = .protected, confirmed: String? = moment(secondsAgo: 2), reasons: [StatusReport.Reason] = []
) -> StatusReport {
    StatusReport(
        verdict: verdict, reasons: reasons,
        daemon: .init(running: verdict != .stopped, pid: 4711, version: "1.0.0", started: moment(secondsAgo: 7200)),
        latestSnapshot: .init(
            number: 42, kind: "incremental", time: moment(secondsAgo: 3600), ageSeconds: 3600, entriesChanged: 3, bytesAdded: 1234),
        asOf: present.iso8601, confirmed: confirmed, latestFull: .init(number: 40, time: moment(secondsAgo: 86400)),
        pending: .init(paths: 2, oldestAgeSeconds: 1.7, hot: [.init(path: "/home/me/log", backoffSeconds: 900, due: nil)]),
        watch: .init(
            backend: "inotify", directoriesWatched: 16613, directoriesWanted: 16614, events: 123_456, overflows: 0, reconciles: 1,
            lastReconcile: moment(secondsAgo: 720),
            recentReconciles: [.init(time: moment(secondsAgo: 720), reasons: ["overflow", "start"], seconds: 1.25, entries: 9, changed: 0)],
            unwatched: [.init(path: "/home/me/deep", reason: "no watches are left")]),
        activity: .init(
            state: "waiting", progress: nil,
            next: .init(action: "incremental", due: Timestamp(seconds: present.seconds + 8).iso8601, waitingFor: "quiet period")),
        repository: .init(
            path: "/mnt/backup/me", id: "00ff", snapshots: 42, archives: 43, bytes: 1 << 30, freeBytes: 100 << 30,
            lastVerified: moment(secondsAgo: 10800)), sources: ["/home/me"])
}
