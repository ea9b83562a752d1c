import Kernel
import Testing

struct ChildProgramTests {
    private func shell(_ line: String, timeout: Duration = .seconds(60), isCancelled: () -> Bool = { false }) throws -> ChildProgram.Report {
        var environment = ProcessIdentity.environment
        environment["GREETING"] = "hello"
        return try ChildProgram("/bin/sh", ["-c", line], environment: environment, directory: .root, timeout: timeout).run(isCancelled: isCancelled)
    }

    private func text(_ report: ChildProgram.Report) -> String { String(decoding: report.output, as: UTF8.self) }

    @Test func endAndBothOutputsAreTold() throws {
        let report = try shell("echo \"$GREETING\"; pwd; echo trouble >&2; cat; exit 3")
        #expect(report.end == .exited(3))
        #expect(text(report) == "hello\n/\ntrouble\n")
        #expect(try shell("kill -9 $$").end == .signalled(9))
    }

    @Test func onlyTheLastWordsAreKept() throws {
        let report = try shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
        #expect(report.output.count == ChildProgram.outputLimit)
        #expect(text(report).hasSuffix("line 19999\n"))
    }

    @Test func whoRunsOverIsEndedWithAllThatItStarted() throws {
        // The inner one holds the pipe, ignores SIGTERM, and would keep it for a minute.
        let began = BootInstant.now()
        let report = try shell("(trap '' TERM; sleep 60) & echo $!; wait", timeout: .milliseconds(300))
        #expect(report.end == .timedOut)
        #expect(.now() - began < .seconds(30))
        let inner = try #require(Int32(text(report).split(separator: "\n").first ?? ""))
        // Its end may take a moment, and whoever inherits it has to notice.
        for _ in 0..<500 where isRunning(inner) { _ = try shell("sleep 0.01") }
        #expect(!isRunning(inner))
    }

    @Test func cancellationIsPrompt() throws {
        let began = BootInstant.now()
        #expect(try shell("sleep 60", isCancelled: { .now() - began > .milliseconds(100) }).end == .cancelled)
        #expect(.now() - began < .seconds(20))
    }

    @Test func whatIsLeftBehindIsNotWaitedFor() throws {
        let began = BootInstant.now()
        #expect(try shell("sleep 20 & exit 0").end == .exited(0))
        #expect(.now() - began < .seconds(15))
    }

    @Test func programThatIsNotThereIsAnError() {
        #expect(throws: Errno.noSuchFileOrDirectory) { _ = try ChildProgram("no-such-program", [], timeout: .seconds(1)).run() }
    }

    private func isRunning(_ pid: Int32) -> Bool {
        guard let status = try? Path("/proc/\(pid)/stat")?.readFile(limit: 4096) else { return false }
        return !String(decoding: status, as: UTF8.self).contains(") Z ")
    }
}
