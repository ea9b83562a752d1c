// On which line of a configuration file an item of a list stands, for messages: the parser keeps no places of values.
// In: the text, a section, a key, the item's index.  Out: a line from 1; nil where the list is written in a way that is not followed here.
// Source: TOML 1.0, "String", "Array", "Comment".

enum ListLines {
    /// - Parameter index: Of a list of texts, from 0.
    static func line(ofItem index: Int, in key: String, section: String, of text: String) -> Int? {
        guard let start = ConfigurationReader.line(of: key, section: section, in: text) else { return nil }
        var rest = text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(start - 1).joined(separator: "\n")[...]
        guard let equals = rest.firstIndex(of: "=") else { return nil }
        rest = rest[rest.index(after: equals)...]
        var line = start
        var count = 0
        while let character = rest.first {
            switch character {
            case "\"", "'":
                if count == index { return line }
                count += 1
                line += skipString(&rest, quote: character)
            case "]": return nil
            case "#": rest = rest.drop { !$0.isNewline }
            default:
                if character.isNewline { line += 1 }
                rest = rest.dropFirst()
            }
        }
        return nil
    }

    /// - Returns: How many line ends the string holds.
    private static func skipString(_ rest: inout Substring, quote: Character) -> Int {
        let isLong = rest.hasPrefix(String(repeating: quote, count: 3))
        let end = String(repeating: quote, count: isLong ? 3 : 1)
        rest = rest.dropFirst(end.count)
        var lines = 0
        while let character = rest.first, !rest.hasPrefix(end) {
            if character.isNewline { lines += 1 }
            // In a basic string a backslash takes the meaning from what follows it.
            rest = rest.dropFirst(character == "\\" && quote == "\"" ? 2 : 1)
        }
        rest = rest.dropFirst(end.count)
        return lines
    }
}
