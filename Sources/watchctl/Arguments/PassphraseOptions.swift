// Where a passphrase comes from: typed on the terminal, or the first line of a file.
// Invariant: never an argument or an environment value, for other programs of the machine can read those.

internal import Agent
internal import ArgumentParser
internal import Kernel

struct PassphraseOptions: ParsableArguments {
    @Flag(name: .customLong("passphrase"), help: "Ask for a passphrase on the terminal.")
    var asks = false

    @Option(name: .customLong("passphrase-file"), help: ArgumentHelp("Read the passphrase from the first line of a file.", valueName: "file"))
    var file: PathArgument?

    func validate() throws {
        if asks, file != nil { throw ValidationError("--passphrase and --passphrase-file exclude each other") }
    }

    /// A new passphrase; nil when none is wanted.
    func new() throws -> [UInt8]? {
        if let file { return try Passphrase.read(file.resolved()) }
        return asks ? try Passphrase.askNew() : nil
    }

    /// The passphrase of a repository; nil when none is given.
    func existing() throws -> [UInt8]? {
        if let file { return try Passphrase.read(file.resolved()) }
        return asks ? try Passphrase.ask("Passphrase: ") : nil
    }
}

/// The passphrases that go on to open the repository when it gets a new key.
struct KeptPassphrasesOptions: ParsableArguments {
    @Flag(name: .customLong("passphrase"), help: "Ask on the terminal for each passphrase to keep.")
    var asks = false

    @Option(
        name: .customLong("passphrase-file"),
        help: ArgumentHelp("Keep the passphrase in the first line of a file; may be given several times.", valueName: "file"))
    var files: [PathArgument] = []

    /// Each once.
    func read() throws -> [[UInt8]] {
        var found: [[UInt8]] = []
        for file in files { found.append(try Passphrase.read(file.resolved())) }
        while asks, let typed = try Passphrase.askAnother() { found.append(typed) }
        var kept: [[UInt8]] = []
        for passphrase in found where !kept.contains(passphrase) { kept.append(passphrase) }
        return kept
    }
}

enum Passphrase {
    /// - Throws: `AgentError.failed` without a terminal, or when nothing was typed.
    static func ask(_ prompt: String) throws(AgentError) -> [UInt8] {
        let line = try askLine(prompt)
        if line.isEmpty { throw .failed("nothing was typed") }
        return line
    }

    /// Empty at the end of the input.
    private static func askLine(_ prompt: String) throws(AgentError) -> [UInt8] {
        do throws(Errno) {
            return try Terminal.readHiddenLine(prompt: prompt) ?? []
        } catch {
            throw .failed("there is no terminal to ask on (\(error)); name a file instead, as with --passphrase-file")
        }
    }

    /// Asks for a secret key, in either of its forms.
    static func askForKey() throws(AgentError) -> [UInt8] { try ask("Key: ") }

    /// Asks twice, for what is mistyped now opens nothing later.
    static func askNew() throws(AgentError) -> [UInt8] {
        let first = try ask("New passphrase: ")
        guard try ask("The same again: ") == first else { throw .failed("the two passphrases differ; nothing was changed") }
        return first
    }

    /// One of several, asked for twice; nil when an empty line says that there are no more.
    static func askAnother() throws(AgentError) -> [UInt8]? {
        let first = try askLine("Passphrase to keep (an empty line ends): ")
        if first.isEmpty { return nil }
        guard try ask("The same again: ") == first else { throw .failed("the two passphrases differ; nothing was changed") }
        return first
    }

    /// The first line of a file, without its end.
    static func read(_ file: Path) throws(AgentError) -> [UInt8] {
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try file.readFile(limit: 64 << 10)
        } catch {
            throw .failed("the passphrase file \(file) cannot be read: \(error)")
        }
        let line = firstLine(of: bytes)
        if line.isEmpty { throw .failed("the passphrase file \(file) has an empty first line") }
        return line
    }

    static func firstLine(of bytes: [UInt8]) -> [UInt8] {
        var line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return Array(line)
    }
}
