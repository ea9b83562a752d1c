import Compressing
import Testing

struct CompressionLevelTests {
    @Test func everyLevelReadsBackWhatItShows() {
        let texts = (0...9).map { "xz:\($0)" } + (1...19).map { "zstd:\($0)" } + ["none"]
        for text in texts { #expect(CompressionLevel(text)?.description == text) }
    }

    @Test(arguments: [
        "", "xz", "xz:", "xz:10", "xz:-1", "xz:06", "xz:+3", "xz: 3", "zstd:0", "zstd:20", "zstd:3 ", "XZ:3", "stored:0", "none:0", "gzip:6",
    ])
    func anythingElseIsRefused(text: String) {
        #expect(CompressionLevel(text) == nil)
    }

    @Test func defaultsAreThoseOfTheConfiguration() {
        #expect(CompressionLevel.fast.description == "zstd:3")
        #expect(CompressionLevel.deep.description == "xz:6")
        #expect(CompressionLevel.stored.description == "none")
        #expect(CompressionLevel(codec: .zstd, level: 20) == nil)
    }

    @Test func codecNumbersAreThoseOfTheFormat() {
        #expect([Codec.stored, .xz, .zstd].map(\.rawValue) == [0, 1, 2])
    }
}
