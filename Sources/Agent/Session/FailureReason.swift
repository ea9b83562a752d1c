// What a failed activity means for the status: one code of the interface, a sentence, and what mends it.

internal import Archiving
internal import Encrypting
internal import Kernel
internal import Storing

enum FailureReason {
    static func of(_ error: any Error, activity: String, configuration: Configuration) -> StatusReason {
        let message = "\(error)"
        switch error {
        case let error as StorageError: return ofStorage(error, message, configuration)
        case let error as EncryptionError:
            switch error.code {
            case .keyUnsafe:
                return StatusReason("key-unsafe", .unprotected, message, remedy: "chmod 600 the key file, and make sure that nobody has changed it")
            default:
                return StatusReason("key-missing", .unprotected, message, remedy: "put the key file back, or: watchctl key import")
            }
        case is ArchiveError:
            return StatusReason("repository-damaged", .degraded, message, remedy: "watchctl verify --data names all that is affected")
        case AgentError.rolledBack:
            return StatusReason("repository-rolled-back", .unprotected, message, remedy: "put the newest copy of the repository back, or: watchctl stop, watchctl doctor --accept-rollback, watchctl start")
        case is ConfigurationError:
            return StatusReason("configuration-invalid", .degraded, message, remedy: "watchctl config check")
        default:
            let weight: StatusReason.Weight = activity == "snapshot" || activity == "session" ? .unprotected : .degraded
            return StatusReason(
                "snapshot-failing", weight, "the last \(activity) failed: \(message)", remedy: "it is tried again by itself; the log tells more")
        }
    }

    private static func ofStorage(_ error: StorageError, _ message: String, _ configuration: Configuration) -> StatusReason {
        switch error.code {
        case .notThere, .notARepository, .missing:
            StatusReason(
                "repository-missing", .unprotected, message, remedy: "connect or mount \(configuration.repository); changes are noted until then")
        case .full:
            StatusReason("repository-full", .unprotected, message, remedy: "free some space, or keep less: watchctl rotate --dry-run")
        case .readOnly, .denied:
            StatusReason("repository-readonly", .unprotected, message, remedy: "make \(configuration.repository) writable")
        default:
            StatusReason("snapshot-failing", .unprotected, message, remedy: error.remedy)
        }
    }
}
