import Agent
import ArgumentParser
import Controlling
import Kernel
import Restoring
import Testing

@testable import watchctl

/// Every command line of the interface is understood, and what is wrong is refused before anything is done.
struct CommandLineTests {
    @Test(arguments: [
        "init /home/me --repository /mnt/backup", "init a b --repository r --passphrase", "init a --repository r --passphrase-file f",
        "start", "stop", "restart", "reload", "status", "status --json", "status --watch", "status --watch --json", "check",
        "check --max-age 1h", "snapshot", "snapshot --full --rehash --standalone --no-wait --tag T --json", "snapshots",
        "snapshots --since 2h --until latest --json", "ls", "ls /home -l -R --at 42 --json", "ls -lR", "cat file", "cat file --at monday",
        "restore", "restore a b --at 2h --to d --full-paths --overwrite changed --dry-run --json", "restore a --in-place --overwrite always",
        "verify", "verify --digests", "verify --sample 5%", "verify --data --json", "rotate", "rotate --dry-run --json", "pin 42",
        "unpin 42", "tag 42 name", "adopt --repository r --key-file f", "adopt --repository r --passphrase-file f",
        "adopt --repository r --passphrase", "pause", "pause --for 1h", "resume", "export file", "export --at 3 --format tar.xz file",
        "import file --to d", "key show", "key export", "key import file", "key list --json", "key add", "key remove 2", "key change",
        "catalog rebuild", "config check", "config show", "history file", "history file --json", "stats", "stats --json",
        "snapshot --dry-run", "snapshot --dry-run --rehash --json", "find *.odt", "find *.odt /home/me --at monday --json", "find x --all",
        "diff 3", "diff 3 latest --json", "diff yesterday --path a --path b", "explain file", "explain file --json",
        "restore a --include *.odt --include b --exclude c",
    ])
    func interfaceLinesParse(line: String) throws {
        let words = line.split(separator: " ").map(String.init)
        _ = try Watchctl.parseAsRoot(words)
        _ = try Watchctl.parseAsRoot(words + ["--config", "/tmp/other.toml", "--quiet"])
    }

    @Test(arguments: [
        "frobnicate", "init", "init a", "init --repository r", "init a --repository r --passphrase secret --passphrase-file f",
        "restore --to d --in-place", "restore --full-paths", "restore --overwrite sometimes", "verify --digests --data",
        "verify --sample 0%", "verify --sample 101%", "ls --at whenever", "cat", "snapshots --since blue", "pin", "pin latest",
        "check --max-age soon", "pause --for 5", "export", "export --format zip file", "import file", "adopt --repository r",
        "adopt --repository r --key-file f --passphrase", "key remove", "tag 4", "history",
        "find", "find x --all --at 3", "find x --at whenever", "diff", "diff whenever", "diff 1 whenever", "explain", "restore --include",
        "snapshot --dry-run --tag T", "snapshot --dry-run --no-wait",
    ])
    func wrongUsageIs64(line: String) {
        #expect(CommandLineTests.usageStatus(line.split(separator: " ").map(String.init)) == ExitStatus.usage)
    }

    /// An unset variable of a script must not become "everything here".
    @Test func emptyPathIsRefused() {
        #expect(CommandLineTests.usageStatus(["restore", "", "--in-place"]) == ExitStatus.usage)
        #expect(CommandLineTests.usageStatus(["snapshot", "--tag", ""]) == ExitStatus.usage)
    }

    /// What the parser says of a command line; 0 when it takes it.
    private static func usageStatus(_ words: [String]) -> Int32 {
        do {
            _ = try Watchctl.parseAsRoot(words)
            return 0
        } catch {
            return Watchctl.exitCode(for: error).rawValue
        }
    }

    @Test func withoutConfigurationCommandsFailAndChecksAlarm() {
        let absent = ["--config", "/nonexistent/config.toml", "--quiet"]
        #expect(Watchctl.run(["ls"] + absent) == 1)
        #expect(Watchctl.run(["check"] + absent) == 2)
        #expect(Watchctl.run(["status"] + absent) == 2)
    }

    @Test func verifyDepths() throws {
        func request(_ words: [String]) throws -> VerifyRequest? { (try Watchctl.parseAsRoot(words) as? Watchctl.Verify)?.request }
        #expect(try request(["verify"]) == VerifyRequest(depth: .sample, share: 0.05))
        #expect(try request(["verify", "--sample", "25%"]) == VerifyRequest(depth: .sample, share: 0.25))
        #expect(try request(["verify", "--digests"])?.depth == .digests)
        #expect(try request(["verify", "--data"])?.depth == .data)
    }

    @Test func restorePresetsTouchNothingThatExists() throws {
        let restore = try #require(try Watchctl.parseAsRoot(["restore"]) as? Watchctl.Restore)
        #expect(restore.overwrite == .never)
        #expect(!restore.inPlace)
        #expect(restore.at.text == "latest")
    }

    @Test func listingStartsWhereThePersonIs() {
        let sources = [path("/home/me")]
        #expect(Watchctl.Ls.presetPath(workingDirectory: path("/home/me/desk"), sources: sources) == path("/home/me/desk"))
        #expect(Watchctl.Ls.presetPath(workingDirectory: path("/home/me"), sources: sources) == path("/home/me"))
        #expect(Watchctl.Ls.presetPath(workingDirectory: path("/home/meadow"), sources: sources) == .root)
    }
}
