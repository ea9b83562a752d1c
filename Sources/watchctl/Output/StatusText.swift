// A status report as a person reads it: protected or not first, then what is going on, then what to do.
// In: a report and the present.  Out: lines without control characters, whatever the report holds.

internal import Agent
internal import Controlling
internal import Kernel

enum StatusText {
    static func lines(_ report: StatusReport, now: Timestamp) -> [String] {
        var result = [headline(report, now: now)] + details(report, now: now)
        for reason in report.reasons {
            result.append("")
            result += SafeText.cleanedLines("\(reason.code): \(reason.message)")
            if !reason.remedy.isEmpty { result += SafeText.cleanedLines(reason.remedy).map { "    " + $0 } }
        }
        return result
    }

    /// What is going on, a line each.
    static func details(_ report: StatusReport, now: Timestamp) -> [String] {
        var result: [String] = []
        if let latest = report.latestSnapshot {
            let age = SafeText.time(latest.time, now: now).map { " (\(SafeText.distance($0, now: now)))" } ?? ""
            let changed = SafeText.count(latest.entriesChanged, "entry", plural: "entries")
            result += row(
                "Snapshot", "\(latest.number), \(latest.kind), \(SafeText.localTime(latest.time, now: now))\(age): "
                    + "\(changed) changed, \(ByteText.describe(latest.bytesAdded)) added")
        }
        if let full = report.latestFull, full.number != report.latestSnapshot?.number {
            result += row("Full", "\(full.number), \(SafeText.localTime(full.time, now: now))")
        }
        result += row("Pending", pending(report.pending))
        for hot in report.pending.hot.prefix(3) {
            result += row("", "changes all the time: \(hot.path), saved every \(DurationText.rough(seconds: hot.backoffSeconds)) at most")
        }
        if report.daemon.running || report.watch.directoriesWanted > 0 { result += row("Watching", watch(report.watch, now: now)) }
        for path in report.watch.unwatched.prefix(3) { result += row("", "not watched: \(path.path): \(path.reason)") }
        if report.daemon.running { result += row("Activity", activity(report.activity)) }
        if let next = report.activity.next { result += row("Next", self.next(next, now: now)) }
        result += row("Repository", repository(report.repository, now: now))
        if let verification = report.repository.verification, verification.unread > 0 {
            let all = SafeText.count(report.repository.archives, "archive")
            result += row("", "\(SafeText.count(verification.unread)) of \(all) not read in full in the last 31 days")
        }
        result += row("Sources", report.sources.joined(separator: ", "))
        result += row("Daemon", daemon(report.daemon, now: now))
        return result
    }

    /// The moment whose state can be had back, and nothing newer.
    static func newestRestorable(_ report: StatusReport, now: Timestamp) -> Timestamp? {
        let times = [SafeText.time(report.confirmed, now: now), SafeText.time(report.latestSnapshot?.time, now: now)]
        return times.compactMap { $0 }.max()
    }

    /// The first line, its first word in the colour of the verdict.
    static func colored(_ line: String, _ verdict: StatusReport.Verdict) -> String {
        let word = line.prefix { $0 != ":" }
        let color: TerminalStyle.Color =
            switch verdict {
            case .protected: .green
            case .degraded: .yellow
            case .unprotected, .stopped: .red
            }
        return TerminalStyle.bold(word, color) + line.dropFirst(word.count)
    }

    static func headline(_ report: StatusReport, now: Timestamp) -> String {
        let verdict =
            switch report.verdict {
            case .protected: "Protected"
            case .degraded: "Degraded"
            case .unprotected: "Unprotected"
            case .stopped: "Stopped"
            }
        let state = report.verdict == .stopped ? "no daemon runs; " : ""
        guard let newest = newestRestorable(report, now: now) else { return "\(verdict): \(state)there is nothing to restore yet" }
        // A clock that went back shows in its own reason.
        return "\(verdict): \(state)the newest restorable point is \(DurationText.rough(now.duration(since: newest))) old"
    }

    private static let labelWidth = 12

    /// A label and its text. What someone else chose cannot break out of its line.
    private static func row(_ label: String, _ text: String) -> [String] {
        [TextTable.padded(label, labelWidth, .left) + SafeText.cleaned(text)]
    }

    /// One of `details` in lines of at most `width` characters: the text stays in its column.
    static func wrapped(_ row: String, to width: Int) -> [String] {
        let lines = SafeText.wrapped(String(row.dropFirst(labelWidth)), to: width, indentation: labelWidth, first: labelWidth)
        guard let first = lines.first else { return [] }
        return ["\(row.prefix(labelWidth))\(first.dropFirst(labelWidth))"] + lines.dropFirst()
    }

    private static func pending(_ pending: StatusReport.Pending) -> String {
        if pending.paths == 0 { return "nothing" }
        let age = pending.oldestAgeSeconds.map { ", the oldest for \(DurationText.rough(seconds: $0))" } ?? ""
        return SafeText.count(pending.paths, "path") + age
    }

    private static func watch(_ watch: StatusReport.Watch, now: Timestamp) -> String {
        // A mark on a file system stands for all directories of a source; there is no limit then.
        let unit = watch.backend == "fanotify" && watch.limit == nil ? "sources as a whole" : "directories"
        var text = "\(SafeText.count(watch.directoriesWatched)) of \(SafeText.count(watch.directoriesWanted)) \(unit) (\(watch.backend)), "
        text += "\(SafeText.count(watch.events, "event")), \(SafeText.count(watch.overflows, "overflow"))"
        if let last = SafeText.time(watch.lastReconcile, now: now) { text += ", compared \(SafeText.distance(last, now: now))" }
        if let latest = watch.recentReconciles.first {
            text += " (\(latest.reasons.joined(separator: ", "))) in \(DurationText.rough(seconds: latest.seconds))"
        }
        return text
    }

    private static func activity(_ activity: StatusReport.Activity) -> String {
        guard let progress = activity.progress else { return activity.state }
        let files = "\(SafeText.count(progress.filesDone)) of \(SafeText.count(progress.filesTotal)) files"
        return "\(activity.state): \(files), \(ByteText.describe(progress.bytesDone)) of \(ByteText.describe(progress.bytesTotal))"
    }

    private static func next(_ next: StatusReport.Next, now: Timestamp) -> String {
        var text = next.action
        if let due = SafeText.time(next.due, now: now) { text += due > now ? " \(SafeText.distance(due, now: now))" : " now" }
        if let waitingFor = next.waitingFor { text += ", waits for: \(waitingFor)" }
        return text
    }

    private static func repository(_ repository: StatusReport.Repository, now: Timestamp) -> String {
        var text = "\(repository.path): \(SafeText.count(repository.snapshots, "snapshot")) in \(SafeText.count(repository.archives, "archive")), "
        text += ByteText.describe(repository.bytes)
        if let free = repository.freeBytes { text += "; \(ByteText.describe(free)) free" }
        if let verified = SafeText.time(repository.lastVerified, now: now) { text += "; verified \(SafeText.distance(verified, now: now))" }
        return text
    }

    private static func daemon(_ daemon: StatusReport.Daemon, now: Timestamp) -> String {
        guard daemon.running else { return "does not run" }
        let started = SafeText.time(daemon.started, now: now).map { ", since \($0.localText)" } ?? ""
        return "process \(daemon.pid.map(String.init) ?? "?"), version \(daemon.version)\(started)"
    }
}
