// What can stop an activity as a whole, and what each failure of any module means to a person and to a script.
// A failure of one source file is a `PathProblem` instead: it never ends an activity.

internal import Archiving
internal import Cataloging
package import Controlling
internal import Encrypting
package import Kernel
internal import Storing

/// Failures that arise between the modules.
package enum AgentError: Error, Sendable {
    case noHome
    /// The configuration file is not there.
    case notConfigured(Path)
    case alreadyConfigured(Path)
    /// The source is inside the repository.
    case sourceInsideRepository(source: Path, repository: Path)
    case overlappingSources(Path, Path)
    case sourceNotThere(Path, Errno)
    /// The repository was made by another machine or configuration.
    case foreignRepository(Path, host: String)
    /// The newest archive that was seen is gone, or older ones took its place.
    case rolledBack(seen: UInt64, found: UInt64)
    case noSnapshot(String)
    /// The words of a moment cannot be understood.
    case unknownMoment(String)
    /// The hint goes on from that: when it was there.
    case notInSnapshot(path: String, number: UInt64, hint: String)
    case daemonRuns(pid: Int32?)
    case interrupted
    case usage(String)
    /// Damage was found; what could be done was done.
    case damaged(String)
    case failed(String)
    /// Another configuration's daemon runs at these places.
    case foreignDaemon(Places)
}

extension AgentError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noHome: "no home directory is known; set HOME"
        case .foreignDaemon(let places):
            "the daemon that uses \(places.stateDirectory) has another configuration; give \(places.configurationFile) places of its own with the keys state and runtime"
        case .notConfigured(let path): "there is no configuration at \(path); make one with: watchctl init SOURCE --repository DIR"
        case .alreadyConfigured(let path): "\(path) exists already; remove it first, or name another with --config"
        case .sourceInsideRepository(let source, let repository):
            "the source \(source) lies inside the repository \(repository), so that each backup would back up itself; choose a repository elsewhere"
        case .overlappingSources(let one, let other): "the sources \(one) and \(other) overlap; name only the upper one"
        case .sourceNotThere(let path, let errno): "the source \(path) cannot be used: \(errno)"
        case .foreignRepository(let path, let host):
            "the repository \(path) belongs to another configuration (of \(host)); to take it over: watchctl adopt --repository \(path)"
        case .rolledBack(let seen, let found):
            "the repository went back in time: snapshot \(seen) was seen, the newest is now \(found); an older copy was put in its place, or archives were removed. `--at \(found)` still restores that one; if it is all there is: watchctl doctor --accept-rollback"
        case .noSnapshot(let what): "there is no snapshot \(what); see: watchctl snapshots"
        case .unknownMoment(let text):
            "\"\(text)\" is no moment: give a snapshot number, latest, an ISO 8601 time, or words such as 2h, 09:30, yesterday 14:00, monday"
        case .notInSnapshot(let path, let number, let hint): "\(path) is not in snapshot \(number)\(hint)"
        case .daemonRuns(let pid): "a daemon runs already\(pid.map { " (process \($0))" } ?? "")"
        case .interrupted: "interrupted"
        case .usage(let text), .damaged(let text), .failed(let text): text
        }
    }
}

/// Names the file that a refused system call was about.
///
/// - Throws: `AgentError.failed` with the path and what the kernel said.
func naming<Value: ~Copyable>(_ path: Path, _ body: () throws(Errno) -> Value) throws(AgentError) -> Value {
    do {
        return try body()
    } catch {
        throw .failed("\(path): \(error.description)")
    }
}

/// The exit statuses of the interface.
package enum ExitStatus {
    package static let done: Int32 = 0
    package static let failed: Int32 = 1
    package static let inPart: Int32 = 3
    package static let noRepository: Int32 = 10
    package static let locked: Int32 = 11
    package static let wrongKey: Int32 = 12
    package static let damaged: Int32 = 13
    package static let usage: Int32 = 64
    package static let interrupted: Int32 = 130

    /// What a program that meets `error` exits with.
    package static func of(_ error: any Error) -> Int32 {
        switch error {
        case let problem as Problem: problem.exitStatus
        case let failure as DaemonStartFailure: failure.exitStatus
        case is ControlError: failed
        case let error as AgentError:
            switch error {
            case .rolledBack, .damaged: damaged
            case .unknownMoment, .usage: usage
            case .interrupted: interrupted
            case .daemonRuns: locked
            default: failed
            }
        case let error as StorageError:
            switch error.code {
            case .notThere, .notARepository: noRepository
            case .locked, .secondWriter: locked
            case .wrongKey: wrongKey
            default: failed
            }
        case let error as EncryptionError:
            switch error.code {
            case .keyMissing, .keyUnsafe, .wrongKey, .wrongPassphrase, .malformed, .mistyped, .authentication: wrongKey
            default: failed
            }
        case is ArchiveError: damaged
        default: failed
        }
    }

    /// The same as an answer of the control API.
    package static func problem(_ error: any Error) -> Problem {
        if let problem = error as? Problem { return problem }
        let status = of(error)
        let http =
            switch status {
            case usage: 400
            case locked: 409
            default: 500
            }
        return Problem(title: "Failed", status: http, detail: "\(error)", exitStatus: status)
    }
}
