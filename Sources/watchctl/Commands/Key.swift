// `watchctl key`: the secret key, its printed form, and the passphrases that open copies of it in the repository.
// Invariant: a secret comes from a file or is typed without being shown; it is never an argument.

internal import Agent
internal import ArgumentParser
internal import Controlling
internal import Kernel

extension Watchctl {
    struct Key: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "key", abstract: "Look after the key and its passphrases.",
            subcommands: [Show.self, Export.self, Import.self, List.self, Add.self, Remove.self, Change.self, Rotate.self])
    }
}

extension Watchctl.Key {
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Print the secret key as in its file: a Fernet key.")

        @OptionGroup var common: CommonOptions

        func run() throws {
            let text = try common.commands().keyText()
            if ProcessIdentity.isTerminal(1) {
                TextStream.problems.complain("whoever sees this key can read every backup")
            }
            TextStream.output.line(text)
        }
    }

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "export", abstract: "Print the key in a form for paper, with a checksum.", discussion: "`watchctl key import` and `watchctl adopt` read it.")

        @OptionGroup var common: CommonOptions

        func run() throws {
            let text = try common.commands().keyExport()
            TextStream.output.line(text)
            if ProcessIdentity.isTerminal(1), !common.isQuiet {
                TextStream.problems.complain("keep this where neither a thief nor a fire of this computer reaches it")
            }
        }
    }

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import", abstract: "Put the key of the repository into its place.",
            discussion: "Both forms are read, the printed one and a key file; or a passphrase opens the copy in the repository.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var passphrase: PassphraseOptions

        @Argument(help: "A file with the key; without it the key is read from standard input, or asked for where that is a terminal.")
        var file: PathArgument?

        func validate() throws {
            if file != nil, passphrase.asks || passphrase.file != nil {
                throw ValidationError("the key comes from a file or from a passphrase, not from both")
            }
        }

        func run() throws {
            let commands = try common.commands()
            try commands.keyImport(source())
            common.say("the key is in its place")
        }

        private func source() throws -> KeySource {
            if let passphrase = try passphrase.existing() { return .passphrase(passphrase) }
            let piped = ProcessIdentity.isTerminal(0) ? nil : Path("/dev/stdin")
            if let path = try file?.resolved() ?? piped { return .file(path) }
            return .text(String(decoding: try Passphrase.askForKey(), as: UTF8.self))
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the passphrase slots of the repository.")

        @OptionGroup var common: CommonOptions
        @OptionGroup var json: JSONOption

        func run() throws {
            let slots = try common.commands().keySlots()
            if json.isOn { return try TextStream.output.json(slots) }
            if slots.isEmpty { return common.say("no passphrase opens this repository; add one with: watchctl key add") }
            var table = TextTable([("SLOT", .right), ("KEY", .right), ("ADDED", .left)])
            for slot in slots { table.add(["\(slot.slot)", "\(slot.key)", SafeText.localTime(slot.created, now: .now())]) }
            for line in table.lines { TextStream.output.line(line) }
        }
    }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "add", abstract: "Add a passphrase that opens the repository without the key file.")

        @OptionGroup var common: CommonOptions

        @Option(help: ArgumentHelp("Read it from the first line of a file instead of asking.", valueName: "file"))
        var passphraseFile: PathArgument?

        func run() throws {
            let commands = try common.commands()
            let passphrase = try passphraseFile.map { try Passphrase.read($0.resolved()) } ?? Passphrase.askNew()
            common.say(try commands.changeKeys(KeyRequest(action: .add, passphrase: passphrase)).message)
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove a passphrase.", discussion: "It still opens copies of the repository that were made before.")

        @OptionGroup var common: CommonOptions

        @Argument(help: "Its slot, as `watchctl key list` shows it.")
        var slot: Int

        func run() throws {
            common.say(try common.commands().changeKeys(KeyRequest(action: .remove, slot: slot)).message)
        }
    }

    struct Change: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "change", abstract: "Replace a passphrase with another.", discussion: "The old one still opens copies of the repository that were made before.")

        @OptionGroup var common: CommonOptions

        @Option(help: ArgumentHelp("Read the old one from the first line of a file instead of asking.", valueName: "file"))
        var oldPassphraseFile: PathArgument?

        @Option(help: ArgumentHelp("The same for the new one.", valueName: "file"))
        var passphraseFile: PathArgument?

        func run() throws {
            let commands = try common.commands()
            let old = try oldPassphraseFile.map { try Passphrase.read($0.resolved()) } ?? Passphrase.ask("Old passphrase: ")
            let new = try passphraseFile.map { try Passphrase.read($0.resolved()) } ?? Passphrase.askNew()
            common.say(try commands.changeKeys(KeyRequest(action: .change, passphrase: new, oldPassphrase: old)).message)
        }
    }

    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Make a new secret key, and rewrite what is under the old one in the background.",
            discussion: "Passphrases that are not given here open nothing any more. What was copied or exported before opens with the old key only: keep that as long as you keep such copies (`watchctl key export`).")

        @OptionGroup var common: CommonOptions
        @OptionGroup var passphrases: KeptPassphrasesOptions

        func run() throws {
            let commands = try common.commands()
            common.say(try commands.changeKeys(KeyRequest(action: .rotate, passphrases: passphrases.read())).message)
        }
    }
}
