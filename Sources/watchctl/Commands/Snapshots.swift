// `watchctl snapshots`: the list.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Snapshots: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "snapshots", abstract: "List the snapshots.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Option(help: ArgumentHelp("Only those of this moment and after it.", valueName: "moment"))
        var since: String?

        @Option(help: ArgumentHelp("Only those of this moment and before it.", valueName: "moment"))
        var until: String?

        func validate() throws {
            try MomentText.check(since)
            try MomentText.check(until)
        }

        func run() throws {
            let (since, until) = (try since.map(MomentText.parse), try until.map(MomentText.parse))
            let listings = try common.commands().snapshots(since: since, until: until)
            if json.isOn { return TextStream.output.write(try SnapshotListing.json(listings) + [UInt8(ascii: "\n")]) }
            TextStream.output.write(SnapshotsText.table(listings, now: .now()).bytes)
        }
    }
}

enum SnapshotsText {
    static func table(_ listings: [SnapshotListing], now: Timestamp) -> TextTable {
        var table = TextTable([
            ("NUMBER", .right), ("KIND", .left), ("TIME", .left), ("ENTRIES", .right), ("CHANGED", .right), ("ADDED", .right),
            ("REMARKS", .left),
        ])
        for listing in listings {
            let remarks = (listing.pinned ? ["pinned"] : []) + listing.tags.map(SafeText.cleaned)
            table.add([
                "\(listing.number)", SafeText.cleaned(listing.kind), SafeText.localTime(listing.time, now: now),
                SafeText.count(listing.entries), SafeText.count(listing.entriesChanged), ByteText.describe(listing.bytesAdded),
                remarks.joined(separator: ", "),
            ])
        }
        return table
    }
}
