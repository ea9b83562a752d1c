// Asking before something goes for ever.

internal import Agent
internal import ArgumentParser
internal import Kernel

struct ConsentOption: ParsableArguments {
    @Flag(name: .customLong("yes"), help: "Do not ask.")
    var isGiven = false

    /// Asks on the terminal, and takes nothing but a yes.
    ///
    /// - Throws: `AgentError.failed` for any other answer; `.usage` where nobody can be asked.
    func ask(_ question: String) throws {
        if isGiven { return }
        guard ProcessIdentity.isTerminal(0), ProcessIdentity.isTerminal(2) else {
            throw AgentError.usage("nobody can be asked here; give --yes")
        }
        TextStream.problems.write("\(SafeText.cleaned(question)) [y/N] ")
        guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else { throw AgentError.failed("nothing was done") }
    }
}
