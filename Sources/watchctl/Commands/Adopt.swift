// `watchctl adopt`: a new or reinstalled computer takes over a repository.

internal import Agent
internal import ArgumentParser
internal import Kernel

extension Watchctl {
    struct Adopt: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "adopt", abstract: "Take over an existing repository on a new or reinstalled computer.",
            discussion: "The key comes from a copy of the key file or what `watchctl key export` printed, or from a passphrase.")

        @OptionGroup var common: CommonOptions

        @Option(help: ArgumentHelp("The repository.", valueName: "dir"))
        var repository: PathArgument

        @Option(help: ArgumentHelp("The key: a copy of secret.key, or the printed form.", valueName: "file"))
        var keyFile: PathArgument?

        @Flag(help: "Ask for the key on the terminal, in either form.")
        var key = false

        @OptionGroup var passphrase: PassphraseOptions

        func validate() throws {
            let ways = [keyFile != nil, key, passphrase.asks, passphrase.file != nil].count { $0 }
            if ways != 1 {
                throw ValidationError("say where the key comes from: one of --key-file, --key, --passphrase-file, --passphrase")
            }
        }

        func run() throws {
            let report = try Initialization.adopt(
                repository: try repository.resolved(), key: try source(), configurationFile: try common.configurationFile?.resolved())
            for line in InitText.lines(report) { common.say(line) }
            common.say("next            watchctl start, or watchctl restore")
        }

        private func source() throws -> KeySource {
            if let keyFile { return .file(try keyFile.resolved()) }
            if let passphrase = try passphrase.existing() { return .passphrase(passphrase) }
            return .text(String(decoding: try Passphrase.askForKey(), as: UTF8.self))
        }
    }
}
