import Kernel
import Testing

@testable import Agent
@testable import Watching

struct WatchReasonsTests {
    private func statistics(_ unwatched: [(String, UnwatchedReason)], more: Int = 0, limit: Int = 8192) -> WatchStatistics {
        WatchStatistics(
            backend: "inotify", directoriesWatched: 10, directoriesWanted: 10 + unwatched.count + more, events: 0, overflows: 0,
            unwatched: unwatched.map { (Path($0.0)!, $0.1) }, unwatchedCount: unwatched.count + more,
            budget: WatchBudget(limit: KernelLimit(name: "fs.inotify.max_user_watches", value: limit), usedByOthers: 0, reserve: 0.25))
    }

    @Test func nothingIsSaidWhenEverythingIsWatched() {
        #expect(WatchReasons.of(statistics([]), every: .seconds(3600)).isEmpty)
        // The comparison itself says that it cannot be read.
        #expect(WatchReasons.of(statistics([("/a", .unreadable(.permissionDenied))]), every: nil).isEmpty)
    }

    @Test func limitIsNamedWithTheCommandThatLiftsIt() {
        let reasons = WatchReasons.of(statistics([("/a", .watchLimit), ("/b", .unreadable(.permissionDenied))], more: 5), every: .seconds(3600))
        #expect(reasons.map(\.code) == ["watch-limit"])
        #expect(reasons[0].weight == .degraded)
        #expect(reasons[0].message == "6 directories, for example /a, are not watched and only compared every 60m. There are not enough watches: "
            + "fs.inotify.max_user_watches is 8192, for all programs of this user")
        #expect(reasons[0].remedy
            == "echo fs.inotify.max_user_watches=1048576 | sudo tee /etc/sysctl.d/60-auto-backup-watches.conf && sudo sysctl --system")
        // A limit that is that high already is doubled, and stays a number that the kernel takes.
        #expect(WatchReasons.of(statistics([("/a", .watchLimit)], limit: 1 << 20), every: nil)[0].remedy.contains("watches=2097152 "))
        #expect(WatchReasons.of(statistics([("/a", .watchLimit)], limit: .max), every: nil)[0].remedy.contains("watches=2147483647 "))
    }

    @Test func shortageOfDescriptorsAndMemoryIsTriedAgain() {
        let few = WatchReasons.of(statistics([("/a", .shortOf(.tooManyOpenFiles))]), every: .seconds(3600))
        #expect(few.map(\.code) == ["watch-limit"])
        #expect(few[0].message == "1 directory (/a) is not watched and only compared every 60m: Too many open files. It is tried again")
        #expect(few[0].remedy.contains("LimitNOFILE"))
        #expect(WatchReasons.of(statistics([("/a", .shortOf(.noMemory))]), every: nil)[0].remedy.contains("memory"))
    }

    /// Nobody can do anything about it, so the verdict stays.
    @Test func fileSystemsOfOthersAreAnAdvice() {
        let reasons = WatchReasons.of(statistics([("/share", .foreignChanges), ("/again", .aliased)]), every: .seconds(600))
        #expect(reasons.map(\.code) == ["interval-only"])
        #expect(reasons[0].weight == .advice)
        #expect(reasons[0].message.hasPrefix("2 directories, for example /share, are not watched and only compared every 10m: a network"))
    }

    @Test func noInstanceIsNamedWithTheCommandThatLiftsTheLimit() throws {
        let reason = WatchReasons.of(WatchError(.instance, errno: .tooManyOpenFiles), every: .seconds(3600))
        let limit = try #require(Inotify.limit(of: .instances))
        #expect(reason.code == "watch-limit" && reason.weight == .degraded)
        #expect(reason.remedy == "echo \(limit.name)=\(max(1024, 2 * limit.value)) | sudo tee /etc/sysctl.d/60-auto-backup-instances.conf && sudo sysctl --system")
        let descriptors = WatchReasons.of(WatchError(.resources, errno: .tooManyOpenFiles), every: nil)
        #expect(descriptors.remedy.contains("LimitNOFILE"))
    }
}
