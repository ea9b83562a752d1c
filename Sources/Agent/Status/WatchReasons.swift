// What a person should know of watching, and the command that mends it.
// In: what the watcher says of itself, or why there is none.  Out: StatusReason.
// Pure. What watching leaves out is still compared at the reconcile interval, so nothing here is worse than degraded.

internal import Kernel
internal import Watching

enum WatchReasons {
    /// - Parameter every: The reconcile interval; nil: never by itself.
    static func of(_ statistics: WatchStatistics, every interval: Duration?) -> [StatusReason] {
        // Whatever is not listed by name was left out for want of watches.
        let unlisted = statistics.unwatchedCount - statistics.unwatched.count
        let limited = statistics.unwatched.filter { $0.reason == .watchLimit }
        var result: [StatusReason] = []
        if limited.count + unlisted > 0 {
            let limit = statistics.budget?.limit
            let room = limit.map { ": \($0.name) is \($0.value), for all programs of this user" } ?? ""
            result.append(
                StatusReason(
                    "watch-limit", .degraded,
                    sentence(limited.count + unlisted, limited.first?.path, interval) + ". There are not enough watches\(room)",
                    remedy: limit.map { raise($0, atLeast: 1 << 20) } ?? "watch fewer directories: [exclude] patterns"))
        }
        let short = statistics.unwatched.compactMap { unwatched in
            if case .shortOf(let errno) = unwatched.reason { (unwatched.path, errno) } else { nil }
        }
        if let (path, errno) = short.first {
            result.append(
                StatusReason(
                    "watch-limit", .degraded, sentence(short.count, path, interval) + ": \(errno). It is tried again",
                    remedy: remedy(shortOf: errno)))
        }
        let foreign = statistics.unwatched.filter { $0.reason == .foreignChanges || $0.reason == .aliased }
        if let first = foreign.first {
            // Nothing is wrong with it: these are slower, and that is all.
            result.append(
                StatusReason(
                    "interval-only", .advice, sentence(foreign.count, first.path, interval) + ": \(first.reason.text)",
                    remedy: "if that is too seldom: [schedule] reconcile_every"))
        }
        return result
    }

    /// Watching is not possible at all.
    static func of(_ error: WatchError, every interval: Duration?) -> StatusReason {
        StatusReason(
            "watch-limit", .degraded, "\(error). Everything is only compared \(times(interval)) until it is possible; it is tried again",
            remedy: error.code == .instance
                ? Inotify.limit(of: .instances).map { raise($0, atLeast: 1024) } ?? "end other programs that watch directories"
                : error.errno.map(remedy(shortOf:)) ?? "watchctl restart")
    }

    private static func sentence(_ count: Int, _ example: Path?, _ interval: Duration?) -> String {
        let example = example.map { count == 1 ? " (\($0))" : ", for example \($0)," } ?? ""
        return (count == 1 ? "1 directory\(example) is" : "\(count) directories\(example) are") + " not watched and only compared \(times(interval))"
    }

    private static func times(_ interval: Duration?) -> String {
        interval.map { "every \(DurationText.rough($0))" } ?? "by full snapshots"
    }

    /// The command that lifts a limit for good. Each limit has a file of its own, for both may have to be lifted.
    private static func raise(_ limit: KernelLimit, atLeast least: Int) -> String {
        let (doubled, overflow) = limit.value.multipliedReportingOverflow(by: 2)
        let value = min(max(least, overflow ? .max : doubled), Int(Int32.max))
        let file = "/etc/sysctl.d/60-auto-backup-\(limit.name.split(separator: "_").last ?? "limit").conf"
        return "echo \(limit.name)=\(value) | sudo tee \(file) && sudo sysctl --system"
    }

    private static func remedy(shortOf errno: Errno) -> String {
        switch errno {
        case .tooManyOpenFiles:
            "let the daemon open more files: LimitNOFILE=65536 in its systemd unit, or ulimit -n 65536 before watchctl restart"
        case .tooManyOpenFilesInSystem: "echo fs.file-max=2097152 | sudo tee /etc/sysctl.d/60-auto-backup-files.conf && sudo sysctl --system"
        case .noMemory: "end programs that use much memory"
        default: "watchctl restart"
        }
    }
}

extension UnwatchedReason {
    /// For a person.
    var text: String {
        switch self {
        case .watchLimit: "the limit of watches is reached"
        case .shortOf(let errno): "there was no room for it: \(errno)"
        case .foreignChanges: "a network or FUSE file system, where others can change files unseen"
        case .aliased: "the same directory is watched under another path"
        case .unreadable(let errno): "it cannot be read: \(errno)"
        }
    }
}
