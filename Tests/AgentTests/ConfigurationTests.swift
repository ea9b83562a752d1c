import Agent
import Compressing
import Kernel
import Rotating
import Scanning
import Scheduling
import Testing

struct ConfigurationTests {
    private static let file = Path("/etc/test/config.toml")!
    private static let head = "sources = [\"/home/me\"]\nrepository = \"/mnt/backup\"\n"

    private func read(_ text: String) throws -> Configuration { try Configuration(text: text, file: ConfigurationTests.file) }

    private func complaint(about text: String) -> String {
        do {
            _ = try read(text)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test func presetsAreThoseOfTheInterface() throws {
        let configuration = try read(ConfigurationTests.head)
        #expect(configuration.sources.map(\.description) == ["/home/me"])
        #expect(configuration.quiet == .seconds(2))
        #expect(configuration.deadline == .seconds(30))
        #expect(configuration.schedule.minimumGap == .seconds(10))
        #expect(configuration.schedule.fullEvery == .seconds(7 * 86400))
        #expect(configuration.keep.quarterHourly == 96)
        #expect(configuration.keep.daily == 30)
        #expect(configuration.archiveSize == 512 << 20)
        #expect(configuration.compression.fast.description == "zstd:3")
        #expect(configuration.compression.deep?.description == "xz:6")
        #expect(configuration.limits.readRate == nil)
        #expect(configuration.limits.batteryBelow == 0.3)
        #expect(configuration.limits.metered == .wait)
        #expect(configuration.schedule.longestWait == .seconds(86400))
    }

    @Test func everythingThatIsWrittenIsReadAgain() throws {
        var configuration = try read(ConfigurationTests.head)
        configuration.exclude.patterns = ["*.tmp", "we\"ird\\\n"]
        configuration.keep.hourly = 7
        configuration.compression.deep = nil
        configuration.hooks.before = ["pg_dump \"my base\" > '/home/me/dump'", "true"]
        configuration.hooks.timeout = .seconds(90)
        configuration.notifiesDesktop = false
        let again = try read(configuration.text)
        #expect(again.exclude.patterns == configuration.exclude.patterns)
        #expect(again.keep == configuration.keep)
        #expect(again.compression == configuration.compression)
        #expect(again.schedule == configuration.schedule)
        #expect(again.hooks == configuration.hooks)
        #expect(!again.notifiesDesktop)
    }

    @Test(arguments: [
        ("[schedule]\nquiet = \"2 parsecs\"\n", ":4: schedule.quiet is a number and ms"),
        ("[schedule]\nquit = \"2s\"\n", ":4: unknown key \"quit\" in [schedule]; known are"),
        ("[keep]\n\nhourly = -1\n", ":5: keep.hourly is a whole number"),
        ("[keep]\nhourly = \"many\"\n", ":4: keep.hourly is a whole number"),
        ("[compression]\nfast = \"lzma\"\n", ":4: compression.fast is \"xz:0\""),
        ("[watch]\nbackend = \"kqueue\"\n", ":4: watch.backend is one of \"auto\""),
        ("[watch]\nreserve_watches = \"much\"\n", ":4: watch.reserve_watches is a percentage"),
        ("[limits]\nmemory = \"1KiB\"\n", ":4: limits.memory is at least"),
        ("[archive]\nsize = \"none\"\n", ":4: archive.size lies between"),
        ("[exclude]\npatterns = \"*.tmp\"\n", ":4: exclude.patterns is a list"),
        ("[schedule]\ndeadline = \"1s\"\n", ":4: schedule.deadline is at least as long as quiet"),
        ("[hooks]\nbefore = \"true\"\n", ":4: hooks.before is a list"),
        ("[hooks]\ntimeout = \"0s\"\n", ":4: hooks.timeout lies between"),
        ("[notify]\ndesktop = \"yes\"\n", ":4: notify.desktop is true or false"),
        ("[limits]\nread_rate = \"1B/s\"\n", ":4: limits.read_rate is at least"),
        ("[limits]\nmetered = \"never\"\n", ":4: limits.metered is one of \"wait\""),
        ("[nonsense]\n", ":3: unknown key \"nonsense\""),
        ("keep = 3\n", ":3: keep is a section"),
        ("[keep\n", ":3: "),
        ("[keep]\n# \0\nhourly = 3\n", ":4: a NUL"),
        ("[[keep]]\n", ":3: brackets"),
        ("[exclude]\npatterns = [[\"a\"]]\n", ":4: brackets"),
        ("[exclude]\npatterns = [\n\"a\", # [[\n[\"b\"]]\n", ":6: brackets"),
        ("[exclude]\npatterns = ['''\n''', [[\"a\"]]]\n", ":5: brackets"),
        ("[schedule]\nquiet = 1979-05-27T07:32:00Z\n", ":4: 1979-05-27T07:32:00Z is a time"),
        ("[ ü]\n", ":3: brackets"),
        ("[.keep]\n", ":3: brackets"),
        ("a = [}]\n", ":3: brackets"),
        ("a = ]\n", ":3: neither a section"),
        ("= 3\n", ":3: neither a section"),
        ("a = 3 4\n", ":3: neither a section"),
        ("a = {b = {}}\n", ":3: neither a section"),
        ("a = 1979-05-27T:0:02370Zsuor.e\"]\n", ":3: 1979-05-27T:0:02370Zsuor.e is a time"),
    ])
    func mistakesAreNamedWithFileLineAndKey(_ text: String, _ expected: String) {
        let complaint = complaint(about: ConfigurationTests.head + text)
        #expect(complaint.contains("/etc/test/config.toml" + expected), "\(complaint)")
    }

    /// Brackets and times in texts and comments are nobody's business.
    @Test func textsAndCommentsMayHoldAnything() throws {
        let patterns = """
            patterns = ["[[a]] 12:00", '[[:alpha:]]*', \"\"\"
            [[b]]"" 1979-05-27\"\"\"\"\", "\\"[[c" ] # [[ 12:00:00
            [ "keep" ] # [[
            hourly = 1_0
            [schedule]
            [notify] \r\n
            """
        let configuration = try read(ConfigurationTests.head + "[exclude]\n" + patterns)
        #expect(configuration.exclude.patterns == ["[[a]] 12:00", "[[:alpha:]]*", "[[b]]\"\" 1979-05-27\"\"", "\"[[c"])
        #expect(configuration.keep.hourly == 10)
    }

    @Test func missingOrRelativePathsAreRefused() {
        #expect(complaint(about: "repository = \"/mnt\"\n").contains("sources is missing"))
        #expect(complaint(about: "sources = [\"/home\"]\n").contains("repository is missing"))
        #expect(complaint(about: "sources = [\"home\"]\nrepository = \"/mnt\"\n").contains(":1: sources is an absolute path"))
    }

    @Test func sourcesThatOverlapOrLieInTheRepositoryAreRefused() {
        #expect(complaint(about: "sources = [\"/a\", \"/a/b\"]\nrepository = \"/r\"\n").contains("overlap"))
        #expect(complaint(about: "sources = [\"/r/x\"]\nrepository = \"/r\"\n").contains("inside the repository"))
        #expect(complaint(about: "sources = [\"/a\"]\nrepository = \"/a/r\"\n") == "accepted")
    }

    @Test func limitsAreRead() throws {
        let limits = "[limits]\nread_rate = \"1MiB/s\"\nbattery_below = \"15%\"\nmetered = \"ignore\"\nlongest_wait = \"2h\"\n"
        let configuration = try read(ConfigurationTests.head + limits)
        #expect(configuration.limits.readRate == 1 << 20)
        #expect(configuration.limits.batteryBelow == 0.15)
        #expect(configuration.limits.metered == .ignore)
        #expect(configuration.schedule.longestWait == .seconds(7200))
        #expect(try read(configuration.text).limits == configuration.limits)
    }
}
