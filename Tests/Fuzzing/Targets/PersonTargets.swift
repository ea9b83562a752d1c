// What a person writes: the configuration, exclude rules, moments, amounts.

import Agent
import Kernel
import Scanning

@Sendable func readConfiguration(_ input: UnsafeRawBufferPointer) throws {
    guard let text = String(validating: input, as: UTF8.self) else { return }
    let configuration: Configuration
    do {
        configuration = try Configuration(text: text, file: .root)
    } catch let error as ConfigurationError {
        return try require(error.line.map { $0 > 0 } ?? true, "lines count from 1")
    } catch let error as AgentError {
        return try require(!error.description.isEmpty, "an error says why")
    }
    // All that the text holds, once it was rounded as the text rounds.
    let shown = configuration.text
    do {
        try require(try Configuration(text: shown, file: .root).text == shown, "what is shown is read the same")
    } catch let error as ConfigurationError {
        throw Broken(description: "what is shown is a configuration: \(error)")
    }
}

/// Lines: a path, a pattern of the configuration, and the rest an ignore file.
@Sendable func readExcludeRules(_ input: UnsafeRawBufferPointer) throws {
    let lines = input.split(separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false).map { Array($0) }
    guard let path = Path(validating: lines[0]), let source = Path("/s"), let below = Path(validating: Array("s/".utf8) + lines[0]) else { return }
    let pattern = lines.count > 1 ? lines[1] : []
    let settings = ExcludeSettings(patterns: [String(decoding: pattern, as: UTF8.self)], ignoreFiles: [".ignore"])
    let rules = ExcludeRules(settings: settings, sources: [source], home: nil, ownPaths: [])
    let contents: @Sendable (Path) -> [UInt8]? = { $0.bytes == Array("s/.ignore".utf8) && lines.count > 2 ? lines[2] : nil }
    for kind in [FileKind.file, .directory] {
        let verdict = rules.verdict(for: below, kind: kind, contents: contents)
        try require(!verdict.isExcluded || verdict.rule != nil, "what is left out is left out by a rule")
        guard kind == .directory, verdict.isExcluded else { continue }
        try require(rules.verdict(for: below.appending("x".utf8), kind: .file, contents: contents).isExcluded, "what is below goes, too")
    }
    var review = RuleReview(rules, naming: 3, contents: contents)
    review.add(source, .directory, size: 0)
    review.add(below, .file, size: 1)
    review.finish()
    guard let pattern = PathPattern(pattern) else { return }
    let isMatch = pattern.matches(path, isDirectory: true)
    try require(!isMatch || path.isAtOrBelow(pattern.beginning), "what matches lies below the pattern's beginning")
    let directory = path.parent.map { $0.isRoot ? [] : $0.bytes + [UInt8(ascii: "/")] } ?? []
    let isMatchByName = path.name.withUnsafeBytes { pattern.matches($0, in: directory, isDirectory: true) }
    try require(isMatch == isMatchByName, "a path matches however it is given")
}

@Sendable func readMoment(_ input: UnsafeRawBufferPointer) throws {
    let text = String(decoding: input, as: UTF8.self)
    for now in [Timestamp(seconds: 1_795_411_080, nanoseconds: 5), Timestamp(seconds: 0)] {
        for zone in [CalendarTime.Zone.utc, .local] {
            guard case .time(let time)? = Moment(text, now: now, zone: zone) else { continue }
            try require(time.nanoseconds < 1_000_000_000, "nanoseconds are below a second")
            _ = time.localText
        }
    }
    if let duration = DurationText.parse(text) {
        try require(DurationText.parse(DurationText.describe(duration)) == duration, "a length of time is written as it is read")
        _ = DurationText.rough(duration)
    }
    if let bytes = ByteText.parse(text) { try require(!ByteText.describe(bytes).isEmpty, "an amount has a text") }
    if let share = ShareText.parse(text) { try require((0...1).contains(share), "a share is a part") }
}
