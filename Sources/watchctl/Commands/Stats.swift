// `watchctl stats`: where the space goes.

internal import Agent
internal import ArgumentParser
internal import Kernel

extension Watchctl {
    struct Stats: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "stats", abstract: "Show where the space goes.",
            discussion: "From the catalog alone. What no snapshot needs is freed when the archives that hold it are merged.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        func run() throws {
            let report = try common.commands().statistics()
            if json.isOn { return try TextStream.output.json(report) }
            for line in StatisticsText.lines(report, now: .now()) { TextStream.output.line(line) }
        }
    }
}

enum StatisticsText {
    static func lines(_ report: StatisticsReport, now: Timestamp) -> [String] {
        var result = [row("Snapshots", snapshots(report.snapshots, now: now))]
        if let newest = report.newestSnapshot {
            let entries = SafeText.count(newest.entries, "entry", plural: "entries")
            result.append(row("Newest", "\(newest.number): \(entries), \(ByteText.describe(newest.bytesSource))"))
        }
        result.append(row("Archives", amount(report.archives.count, "archive", report.archives.bytes)))
        for kind in report.archives.kinds { result.append(row("", "\(kind.kind): \(SafeText.count(kind.count)), \(ByteText.describe(kind.bytes))")) }
        let chunks = report.chunks
        result.append(row("Chunks", amount(chunks.count, "chunk", chunks.bytes) + " before compression"))
        for (sum, text) in [
            (chunks.newest, "needed by the newest snapshot"), (chunks.older, "only by older ones"), (chunks.dead, "by none"),
            (chunks.copies, "further copies"),
        ] where sum.count > 0 {
            result.append(row("", "\(text): \(SafeText.count(sum.count)), \(ByteText.describe(sum.bytes))"))
        }
        if let ratio = report.deduplication {
            result.append(row("Shared", "\(ratio) bytes of files in the newest snapshot for each byte of its chunks"))
        }
        if let ratio = report.compression { result.append(row("Compressed", "\(ratio) bytes of chunks for each byte of archives")) }
        result += shares("Largest types of the newest snapshot:", report.types.map { ($0.type.isEmpty ? "(none)" : $0.type, $0.files, $0.bytes) })
        result += shares("Largest directories of the sources:", report.directories.map { ($0.path, $0.files, $0.bytes) })
        return result
    }

    private static func snapshots(_ snapshots: StatisticsReport.Snapshots, now: Timestamp) -> String {
        guard let oldest = snapshots.oldest, let newest = snapshots.newest else { return "none" }
        return "\(SafeText.count(snapshots.count)), from \(SafeText.localTime(oldest, now: now)) to \(SafeText.localTime(newest, now: now))"
    }

    private static func amount(_ count: UInt64, _ noun: String, _ bytes: UInt64) -> String {
        "\(SafeText.count(count, noun)), \(ByteText.describe(bytes))"
    }

    private static func row(_ label: String, _ text: String) -> String { TextTable.padded(label, 13, .left) + SafeText.cleaned(text) }

    private static func shares(_ title: String, _ shares: [(name: String, files: UInt64, bytes: UInt64)]) -> [String] {
        if shares.isEmpty { return [] }
        let width = shares.map { ByteText.describe($0.bytes).count }.max() ?? 0
        return ["", title]
            + shares.map { share in
                let size = TextTable.padded(ByteText.describe(share.bytes), width, .right)
                return "    \(size)  \(SafeText.cleaned(share.name)) (\(SafeText.count(share.files, "file")))"
            }
    }
}
