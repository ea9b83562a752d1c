import Agent
import Kernel
import Testing

struct HookTests {
    private let configuration = {
        var configuration = Configuration(sources: [Path("/home/me")!, Path("/srv")!], repository: Path("/mnt/backup")!)
        configuration.hooks.before = ["one"]
        return configuration
    }()

    @Test func environmentTellsWhatHappened() {
        let call = HookCall(.failure, snapshot: 7, reasons: ["repository-full", "stale"], message: "the disk\0is full")
        #expect(
            call.environment(configuration, configurationFile: Path("/c.toml")!) == [
                "AUTO_BACKUP_EVENT": "failure", "AUTO_BACKUP_CONFIG": "/c.toml", "AUTO_BACKUP_REPOSITORY": "/mnt/backup",
                "AUTO_BACKUP_SOURCES": "/home/me\n/srv", "AUTO_BACKUP_SNAPSHOT": "7", "AUTO_BACKUP_REASONS": "repository-full stale",
                "AUTO_BACKUP_MESSAGE": "the disk is full",
            ])
        #expect(HookCall(.before, kind: "full").environment(configuration, configurationFile: Path("/c.toml")!)["AUTO_BACKUP_KIND"] == "full")
    }

    @Test func gapHoldsOnlyWhatComesByItself() {
        func at(_ seconds: Int64) -> BootInstant { BootInstant(nanoseconds: seconds * 1_000_000_000) }
        var hooks = configuration.hooks
        #expect(hooks.isBeforeDue(last: at(10), now: at(10), isRequested: false))
        hooks.beforeGap = .seconds(900)
        #expect(hooks.isBeforeDue(last: nil, now: at(10), isRequested: false))
        #expect(!hooks.isBeforeDue(last: at(10), now: at(909), isRequested: false))
        #expect(hooks.isBeforeDue(last: at(10), now: at(11), isRequested: true))
        #expect(hooks.isBeforeDue(last: at(10), now: at(910), isRequested: false))
        hooks.before = []
        #expect(!hooks.isBeforeDue(last: nil, now: at(10), isRequested: true))
    }

    @Test func lastWordsAreTheLastLine() {
        let failure = HookFailure(event: .before, line: "dump", how: "ended with status 1", output: Array("connecting\nno \u{1B}[31mpassword\n\n".utf8))
        #expect(failure.message.hasPrefix("the hook before, dump, ended with status 1: no "))
        #expect(!failure.message.contains("\u{1B}"))
        #expect(failure.reason.code == "hook-failing")
        #expect(failure.reason.weight == .degraded)
        #expect(failure.reason.remedy == "correct it under [hooks] before, then: watchctl reload")
        #expect(HookFailure(event: .after, line: "x", how: "ended with status 2", output: []).message == "the hook after, x, ended with status 2")
    }
}
