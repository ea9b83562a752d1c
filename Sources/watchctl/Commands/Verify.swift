// `watchctl verify`: reads the repository again and names what is damaged.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Read the repository again and name what is damaged.", discussion: "Exit status 13 when damage is found.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        @Flag(help: "Compare the digest of every archive; needs no key.")
        var digests = false

        @Option(help: ArgumentHelp("Read and decrypt so much of it, chosen anew each time (preset: 5%).", valueName: "share"))
        var sample: ShareArgument?

        @Flag(help: "Read and decrypt everything.")
        var data = false

        func validate() throws {
            if [digests, sample != nil, data].count(where: { $0 }) > 1 {
                throw ValidationError("--digests, --sample and --data exclude each other")
            }
        }

        var request: VerifyRequest {
            if digests { return VerifyRequest(depth: .digests) }
            if data { return VerifyRequest(depth: .data) }
            return sample.map { VerifyRequest(depth: .sample, share: $0.share) } ?? VerifyRequest(depth: .sample)
        }

        func run() throws {
            let commands = try common.commands()
            let line = common.progress("verifying", json: json.isOn)
            defer { line.end() }
            let response = try commands.verify(request, progress: { line.update(ProgressAmounts(bytes: $0, bytesTotal: $1)) }) {
                Interruption.isRequested
            }
            line.end()
            if json.isOn {
                try TextStream.output.json(response)
            } else {
                for finding in response.findings { for line in VerifyText.lines(finding) { TextStream.output.line(line) } }
                common.say(VerifyText.summary(response))
                if let line = VerifyText.coverage(response, now: .now()) { common.say(line) }
            }
            if !response.findings.isEmpty { throw ExitCode(ExitStatus.damaged) }
        }
    }
}

enum VerifyText {
    /// The archive, and below it what cannot be restored because of it.
    static func lines(_ finding: VerifyFinding) -> [String] {
        let place = finding.frame.map { ", frame \($0)" } ?? ""
        let name = finding.archive.isEmpty ? "repository" : finding.archive
        return [SafeText.cleaned("\(name)\(place): \(finding.reason)")]
            + finding.affected.map { "    \(line($0))" }
    }

    static func line(_ affected: VerifyFinding.AffectedPath) -> String {
        "\(SafeText.cleaned(affected.path)) in \(snapshots(affected.firstSnapshot, affected.lastSnapshot))"
    }

    static func snapshots(_ first: UInt64, _ last: UInt64) -> String {
        first == last ? "snapshot \(first)" : "snapshots \(first) to \(last)"
    }

    static func summary(_ response: VerifyResponse) -> String {
        let read = "\(SafeText.count(response.archivesRead, "archive")), \(ByteText.describe(response.bytesRead)) read"
        if response.findings.isEmpty { return "\(read): no damage" }
        return "\(read): \(SafeText.count(response.findings.count, "finding"))"
    }

    /// How far back the readings of all archives reach. Nil for digests, which are compared without decrypting anything.
    static func coverage(_ response: VerifyResponse, now: Timestamp) -> String? {
        if response.archives.isEmpty || response.depth == VerifyRequest.Depth.digests.rawValue { return nil }
        let unread = response.archives.count { archive in
            SafeText.time(archive.verified, now: now).map { now.duration(since: $0) > VerificationPatience.unread } ?? true
        }
        if unread > 0 {
            let all = SafeText.count(response.archives.count, "archive")
            return "\(SafeText.count(unread)) of \(all) \(unread == 1 ? "was" : "were") not read in full in the last 31 days"
        }
        return response.coveredSince.map { "every archive was read in full since \(SafeText.localTime($0, now: now))" }
    }
}
