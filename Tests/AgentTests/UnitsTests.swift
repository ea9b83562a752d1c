import Agent
import Testing

struct UnitsTests {
    @Test func durations() {
        #expect(DurationText.parse("0s") == .zero)
        #expect(DurationText.parse("250ms") == .milliseconds(250))
        #expect(DurationText.parse("1.5h") == .seconds(5400))
        #expect(DurationText.parse("7d") == .seconds(7 * 86400))
        for wrong in ["", "5", "s", "-1s", "1 h", "1y", "1e3s", "99999999999999d", "1..5h"] { #expect(DurationText.parse(wrong) == nil) }
    }

    /// More than 146 years were written as 146 years.
    @Test func durationsAreWrittenAsTheyAreRead() {
        for text in ["0s", "250ms", "90s", "2m", "1h", "7d", "3w", "11000w"] {
            let duration = DurationText.parse(text)
            #expect(duration.map { DurationText.parse(DurationText.describe($0)) } == duration)
        }
        #expect(DurationText.describe(.seconds(3600)) == "1h")
        #expect(DurationText.describe(.seconds(90)) == "90s")
    }

    @Test func roughDurations() {
        #expect(DurationText.rough(.milliseconds(1234)) == "1.2s")
        #expect(DurationText.rough(.seconds(119)) == "119s")
        #expect(DurationText.rough(.seconds(3599)) == "59m")
        #expect(DurationText.rough(.seconds(86400)) == "24h")
        #expect(DurationText.rough(.seconds(9 * 86400)) == "9d")
        #expect(DurationText.rough(.seconds(-5)) == "0.0s")
    }

    @Test func bytes() {
        #expect(ByteText.parse("512MiB") == 512 << 20)
        #expect(ByteText.parse("1.5GB") == 1_500_000_000)
        #expect(ByteText.parse("0B") == 0)
        for wrong in ["", "5", "MiB", "5mib", "-1B", "1e30TiB"] { #expect(ByteText.parse(wrong) == nil) }
        for (bytes, text) in [(0, "0B"), (1000, "1000B"), (1536, "1536B"), (512 << 20, "512MiB"), (5 << 30, "5GiB"), (3 << 40, "3TiB")] as [(UInt64, String)] {
            #expect(ByteText.exact(bytes) == text)
            #expect(ByteText.parse(text) == bytes)
        }
        #expect(ByteText.describe(0) == "0 B")
        #expect(ByteText.describe(1536) == "1.5 KiB")
        #expect(ByteText.describe(5 << 30) == "5 GiB")
    }

    @Test func shares() {
        #expect(ShareText.parse("25%") == 0.25)
        for wrong in ["25", "-1%", "101%", "%"] { #expect(ShareText.parse(wrong) == nil) }
    }
}
