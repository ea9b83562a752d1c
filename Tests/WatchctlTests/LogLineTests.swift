import Kernel
import Logging
import Testing

@testable import watchd

struct LogLineTests {
    @Test func theJournalGetsPriorities() {
        #expect(LogLine.text(.warning, "late", ["b": "2", "a": "1"], .journal, now: present) == "<4>late a=1 b=2\n")
        let priorities = [Logger.Level.trace, .debug, .info, .notice, .warning, .error, .critical].map(LogLine.priority)
        #expect(priorities == [7, 7, 6, 5, 4, 3, 2])
    }

    @Test func elsewhereTimeAndLevel() {
        #expect(LogLine.text(.error, "no", [:], .plain, now: present) == "\(present.iso8601) ERROR no\n")
    }

    /// A name with a line end must not look like a message of its own, nor one with escapes touch a terminal.
    @Test func aMessageIsOneLine() {
        let text = LogLine.text(.info, "a\n<0>b\u{1B}", ["path": "/x\\xff"], .journal, now: present)
        #expect(text == "<6>a\\x0a<0>b\\x1b path=/x\\xff\n")
    }

    @Test func deviceNumbersAreThoseOfTheKernel() {
        #expect(LogLine.Style.deviceNumber(DeviceNumber(major: 0, minor: 8)) == 8)
        #expect(LogLine.Style.deviceNumber(DeviceNumber(major: 8, minor: 1)) == 0x801)
        #expect(LogLine.Style.deviceNumber(DeviceNumber(major: 0x1234, minor: 0x123)) == 0x1000_0012_3423)
    }
}
