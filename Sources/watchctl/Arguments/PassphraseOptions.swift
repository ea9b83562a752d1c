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

enum Passphrase {
    /// - Throws: `AgentError.failed` without a terminal, or when nothing was typed.
    static func ask(_ prompt: String) throws(AgentError) -> [UInt8] {
        let line: [UInt8]?
        do throws(Errno) {
            line = try Terminal.readHiddenLine(prompt: prompt)
        } catch {
            throw .failed("there is no terminal to ask on (\(error)); name a file instead, as with --passphrase-file")
        }
        guard let line, !line.isEmpty else { throw .failed("nothing was typed") }
        return line
    }

    /// Asks for a secret key, in either of its forms.
    static func askForKey() throws(AgentError) -> [UInt8] { try ask("Key: ") }

    /// Asks twice, for what is mistyped now opens nothing later.
    static func askNew() throws(AgentError) -> [UInt8] {
        let first = try ask("New passphrase: ")
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
