// Arguments that are more than a word: lengths of time, shares, names.

internal import Agent
internal import ArgumentParser

/// `90s`, `1.5h`
struct DurationArgument: ExpressibleByArgument, CustomStringConvertible, Hashable, Sendable {
    let duration: Duration

    init(_ duration: Duration) {
        self.duration = duration
    }

    init?(argument: String) {
        guard let duration = DurationText.parse(argument) else { return nil }
        self.duration = duration
    }

    var description: String { DurationText.describe(duration) }
}

/// `500GiB`, more than none.
struct ByteCountArgument: ExpressibleByArgument, Hashable, Sendable {
    let bytes: UInt64

    init?(argument: String) {
        guard let bytes = ByteText.parse(argument), bytes > 0 else { return nil }
        self.bytes = bytes
    }
}

/// `5%`, more than none.
struct ShareArgument: ExpressibleByArgument, Hashable, Sendable {
    let share: Double

    init?(argument: String) {
        guard let share = ShareText.parse(argument), share > 0 else { return nil }
        self.share = share
    }
}

/// A name: UTF-8, one line, not empty.
struct TextArgument: ExpressibleByArgument, Hashable, Sendable {
    let text: String

    init?(argument: String) {
        guard ArgumentText.isText(argument), !argument.isEmpty, !argument.contains(where: \.isNewline) else { return nil }
        text = argument
    }
}
