// One section of a configuration file, read key by key.
// In: a TOML table and the file's text.  Out: typed values, or an error that names file, line, key and what is allowed.
// Invariant: every key of the section was asked for, or `finish` refuses it by name.

package import Kernel
internal import TOMLKit

/// A configuration that cannot be used. Nothing was changed by reading it.
package struct ConfigurationError: Error, CustomStringConvertible, Sendable {
    package var file: Path
    /// From 1; nil when it concerns the whole file.
    package var line: Int?
    package var reason: String

    package var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): \(reason)" }
}

struct ConfigurationReader {
    let file: Path
    let text: String
    /// Empty for the keys before the first section.
    let section: String
    private let table: TOMLTable?
    private var asked: Set<String> = []

    init(file: Path, text: String, section: String, table: TOMLTable?) {
        self.file = file
        self.text = text
        self.section = section
        self.table = table
    }

    mutating func string(_ key: String) throws(ConfigurationError) -> String? {
        guard let value = take(key) else { return nil }
        guard let string = value.string else { throw wrong(key, "is text in quotes") }
        return string
    }

    mutating func strings(_ key: String) throws(ConfigurationError) -> [String]? {
        guard let value = take(key) else { return nil }
        guard let array = value.array else { throw wrong(key, "is a list of texts, as in [\"one\", \"two\"]") }
        var result: [String] = []
        for item in array {
            guard let string = item.string else { throw wrong(key, "is a list of texts, as in [\"one\", \"two\"]") }
            result.append(string)
        }
        return result
    }

    mutating func flag(_ key: String, _ preset: Bool) throws(ConfigurationError) -> Bool {
        guard let value = take(key) else { return preset }
        guard let flag = value.bool else { throw wrong(key, "is true or false") }
        return flag
    }

    /// 0...1,000,000
    mutating func count(_ key: String, _ preset: Int) throws(ConfigurationError) -> Int {
        guard let value = take(key) else { return preset }
        guard let count = value.int, (0...1_000_000).contains(count) else { throw wrong(key, "is a whole number from 0 to 1000000") }
        return count
    }

    mutating func duration(
        _ key: String, _ preset: Duration, in range: ClosedRange<Duration> = .zero ... .seconds(10 * 366 * 86400)
    ) throws(ConfigurationError) -> Duration {
        guard let text = try string(key) else { return preset }
        guard let duration = DurationText.parse(text) else { throw wrong(key, "is \(DurationText.form)") }
        guard range.contains(duration) else {
            throw wrong(key, "lies between \(DurationText.describe(range.lowerBound)) and \(DurationText.describe(range.upperBound))")
        }
        return duration
    }

    /// A count of bytes; nil for "none".
    mutating func bytes(_ key: String, _ preset: UInt64?, atLeast minimum: UInt64 = 0) throws(ConfigurationError) -> UInt64? {
        guard let text = try string(key) else { return preset }
        if text == "none" { return nil }
        guard let bytes = ByteText.parse(text.hasSuffix("/s") ? String(text.dropLast(2)) : text) else {
            throw wrong(key, "is \(ByteText.form), or \"none\"")
        }
        if bytes < minimum { throw wrong(key, "is at least \(ByteText.describe(minimum))") }
        return bytes
    }

    mutating func share(_ key: String, _ preset: Double) throws(ConfigurationError) -> Double {
        guard let text = try string(key) else { return preset }
        guard let share = ShareText.parse(text) else { throw wrong(key, "is \(ShareText.form)") }
        return share
    }

    mutating func choice(_ key: String, _ preset: String, of choices: [String]) throws(ConfigurationError) -> String {
        guard let text = try string(key) else { return preset }
        guard choices.contains(text) else { throw wrong(key, "is one of \(choices.map { "\"\($0)\"" }.joined(separator: ", "))") }
        return text
    }

    /// An absolute path; "~/" stands for the home directory.
    mutating func path(_ key: String) throws(ConfigurationError) -> Path? {
        guard let text = try string(key) else { return nil }
        return try path(text, key)
    }

    mutating func paths(_ key: String) throws(ConfigurationError) -> [Path] {
        var result: [Path] = []
        for text in try strings(key) ?? [] { result.append(try path(text, key)) }
        return result
    }

    private func path(_ text: String, _ key: String) throws(ConfigurationError) -> Path {
        if text == "~" || text.hasPrefix("~/"), let home = ProcessIdentity.home,
            let path = Path(String(text.dropFirst(2)), relativeTo: home)
        { return path }
        guard text.hasPrefix("/"), let path = Path(text) else { throw wrong(key, "is an absolute path, not \"\(text)\"") }
        return path
    }

    /// Refuses the keys that nothing asked for.
    func finish(sections: [String] = []) throws(ConfigurationError) {
        for key in (table?.keys ?? []).sorted() where !asked.contains(key) && !sections.contains(key) {
            let allowed = (asked.union(sections)).sorted().joined(separator: ", ")
            let place = section.isEmpty ? "" : " in [\(section)]"
            throw ConfigurationError(file: file, line: line(of: key), reason: "unknown key \"\(key)\"\(place); known are \(allowed)")
        }
    }

    func wrong(_ key: String, _ rule: String) -> ConfigurationError {
        ConfigurationError(file: file, line: line(of: key), reason: "\(section.isEmpty ? "" : "\(section).")\(key) \(rule)")
    }

    private mutating func take(_ key: String) -> (any TOMLValueConvertible)? {
        asked.insert(key)
        return table?[key]
    }

    private func line(of key: String) -> Int? { ConfigurationReader.line(of: key, section: section, in: text) }

    /// Where `key` of a section stands: the parser keeps no places of values, so the text is searched.
    static func line(of key: String, section: String, in text: String) -> Int? {
        var current = ""
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.drop { $0 == " " || $0 == "\t" }
            if content.hasPrefix("[") {
                current = String(content.dropFirst().prefix { $0 != "]" }).filter { $0 != " " }
                if section.isEmpty, current == key { return index + 1 }
                continue
            }
            let name = content.prefix { $0 != "=" && $0 != " " && $0 != "\t" }.filter { $0 != "\"" && $0 != "'" }
            if (current == section && name == key) || (current.isEmpty && name == "\(section).\(key)") { return index + 1 }
        }
        return nil
    }
}
