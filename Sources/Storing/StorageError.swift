// Why the repository could not do something; never why a source file could not be read, and never what archive bytes say.
// Made by every function of this module from an errno or from what it found; a code maps once to an exit status.
// Invariant: each function says the state it leaves; archives that were published before stay as they are.

package import Kernel

package struct StorageError: Error, Hashable, Sendable {
    package enum Code: String, Hashable, Sendable, CaseIterable {
        /// No directory stands there: never made, or on a disk that is not connected.
        case notThere
        /// A directory, but not a repository.
        case notARepository
        /// Something is there already that must not be overwritten.
        case alreadyExists
        /// Written by a newer version of this program.
        case newerFormat
        /// `repository.json` does not hold what it must.
        case malformed
        /// Another process writes, or holds the readers' lock.
        case locked
        /// The key or passphrase opens nothing here.
        case wrongKey
        /// No such key, or no such slot.
        case unknownKey
        /// No space, no quota, or no inode left.
        case full
        /// The file system is mounted read-only.
        case readOnly
        /// The file's owner or mode forbids it.
        case denied
        /// Two archives of one number: the locks do not hold here.
        case secondWriter
        /// An archive that was listed is gone.
        case missing
        /// More than the format allows in one archive.
        case tooLarge
        /// The work was called off before it was done.
        case cancelled
        /// Every other error of the file system.
        case io
    }

    package var code: Code
    /// The file or directory concerned.
    package var path: Path
    /// What the kernel said; nil when it was not asked.
    package var errno: Errno?
    /// What failed and why, in words.
    package var reason: String
    /// What to do about it; empty when there is nothing to advise.
    package var remedy: String

    package init(_ code: Code, _ reason: String, at path: Path, errno: Errno? = nil, remedy: String = "") {
        self.code = code
        self.path = path
        self.errno = errno
        self.reason = reason
        self.remedy = remedy
    }

    /// From a system call that failed. `action` completes "cannot …", for example "write an archive".
    package init(_ errno: Errno, cannot action: String, at path: Path) {
        let (code, remedy) = StorageError.meaning(of: errno)
        self.init(code, "cannot \(action): \(errno.description)", at: path, errno: errno, remedy: remedy)
    }

    private static func meaning(of errno: Errno) -> (Code, String) {
        switch errno {
        case .noSpace:
            (.full, "free space on the repository's disk, or keep fewer snapshots (`watchctl rotate`)")
        case .diskQuotaExceeded:
            (.full, "the disk quota is used up: have it raised, or keep fewer snapshots (`watchctl rotate`)")
        case .readOnlyFileSystem:
            (.readOnly, "mount the repository's file system for writing; after an I/O error the kernel makes it read-only")
        case .permissionDenied, .notPermitted:
            (.denied, "check the owner and the mode of the repository: the agent's user must own it")
        case .staleNFSFileHandle, .noSuchAddressOrDevice, .operationNotSupportedByDevice:
            (.io, "connect the repository's disk or server again")
        case .ioError:
            (.io, "check the repository's disk: the kernel's log names the fault")
        default:
            (.io, "")
        }
    }
}

extension StorageError.Code {
    /// The exit status of a command that ends with it.
    package var exitStatus: Int32 {
        switch self {
        case .notThere, .notARepository: 10
        case .locked, .secondWriter: 11
        case .wrongKey: 12
        case .malformed, .missing: 13
        case .alreadyExists, .newerFormat, .full, .readOnly, .denied, .tooLarge, .cancelled, .io, .unknownKey: 1
        }
    }

    /// True when the same call can succeed later without a change of configuration.
    package var isWorthRetrying: Bool {
        switch self {
        case .notThere, .locked, .full, .readOnly, .missing, .io: true
        case .notARepository, .alreadyExists, .newerFormat, .malformed, .wrongKey, .unknownKey, .denied, .secondWriter, .tooLarge,
            .cancelled: false
        }
    }
}

extension StorageError: CustomStringConvertible {
    /// `/mnt/backup/archives: cannot write an archive: No space left on device; free space on …`
    package var description: String {
        "\(path): \(reason)" + (remedy.isEmpty ? "" : "; \(remedy)")
    }
}
