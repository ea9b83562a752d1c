// What is known of one path, as a person reads it: backed up or not first, and why; then what the snapshots have; then what stands there.

internal import Agent
internal import Cataloging
internal import Controlling
internal import Kernel
internal import Scanning

enum ExplainText {
    static func lines(_ report: PathReport, now present: Timestamp = .now()) -> [String] {
        var result = [headline(report)]
        if let location = report.location { result += row("Rule", "\(location.file)\(location.line.map { ", line \($0)" } ?? "")") }
        result += row("Saved", saved(report))
        result += row("Now", now(report))
        if let watch = report.watch { result += lines(watch, now: present) }
        return result
    }

    private static func row(_ label: String, _ text: String) -> [String] { [TextTable.padded(label, 8, .left) + text] }

    /// Why it is not saved yet.
    private static func lines(_ watch: PathWatch, now: Timestamp) -> [String] {
        var result: [String] = []
        if let unwatched = watch.unwatched {
            let place = unwatched.path == watch.path ? "" : "\(SafeText.cleaned(unwatched.path)): "
            result += row("Watched", "no, only compared at intervals: \(place)\(SafeText.cleaned(unwatched.reason))")
        } else {
            result += row("Watched", "yes")
        }
        if let pending = watch.pending {
            let place = pending.path == watch.path ? "" : " (all of \(SafeText.cleaned(pending.path)))"
            var text = "changed at \(SafeText.localTime(pending.last, now: now))\(place)"
            if let due = SafeText.time(pending.due, now: now) { text += due > now ? "; saved \(SafeText.distance(due, now: now))" : "; saved next" }
            if let waitingFor = watch.next?.waitingFor { text += ", waits for: \(SafeText.cleaned(waitingFor))" }
            result += row("Pending", text)
        }
        if let backoff = watch.backoffSeconds {
            result += row("", "changes all the time: saved every \(DurationText.rough(seconds: backoff)) at most")
        }
        return result
    }

    private static func headline(_ report: PathReport) -> String {
        let explanation = report.explanation
        let (path, place) = (explanation.path, explanation.place)
        func not(_ why: String) -> String { "\(path) is not backed up: \(place == path ? "it" : "\(place)") \(why)" }
        return switch explanation.reason {
        case .source: "\(path) is backed up: it is a source"
        case .included(nil): explanation.status == nil ? "\(path) would be backed up if it were there" : "\(path) is backed up"
        case .included(let rule?): "\(path) is backed up: the pattern \"\(printable(rule.text))\" takes it back"
        case .excluded(let rule): not(rule.words)
        case .outside: not("is in no source")
        case .above: not("is above a source, and only what lies in the source is")
        case .otherFileSystem where place == path: "\(path) is backed up as an empty directory: another file system is mounted there"
        case .otherFileSystem: not("is the root of another file system (exclude.one_file_system)")
        case .behindSymlink: not("is a symlink, which is kept as such and not followed")
        case .behindFile: not("is no directory")
        case .unreadable(let errno): not("cannot be looked at: \(errno); what was last known of it stays")
        case .sourceMissing: not("is missing; what was last known of it stays")
        }
    }

    private static func saved(_ report: PathReport) -> String {
        if let problem = report.problem { return "unknown: \(SafeText.cleaned(problem))" }
        guard let latest = report.latest else { return "never, as far as the kept snapshots show" }
        func moment(_ moment: DatedVersion.Moment) -> String {
            "snapshot \(moment.snapshot) (\(Timestamp(milliseconds: moment.time).localText))"
        }
        let end = latest.until.map { "; gone since \(moment($0))" } ?? ""
        let versions = SafeText.count(report.versions, "version")
        return "last in snapshot \(latest.last), unchanged since \(moment(latest.first))\(end); \(versions) kept"
    }

    private static func now(_ report: PathReport) -> String {
        switch report.live {
        case .missing: "nothing is there"
        case .new: "there, and in no current snapshot"
        case .same: "as in the newest snapshot"
        case .different(let names): "differs from the newest snapshot: \(names.joined(separator: ", "))"
        }
    }
}
