// Conditions that tests ask for: no permissions, a catalog that fails, digests of texts.

import Archiving
import Encrypting
import Kernel

@testable import Cataloging
@testable import Scanning

func digest(_ text: String) -> Digest { SHA256.digest(of: Array(text.utf8)) }

@_silgen_name("setfsuid") private func setFileSystemUser(_ uid: UInt32) -> Int32

/// Runs `body` on a thread that may open no more than anybody may, also when the tests run as root.
func asNobody<Result: Sendable>(_ body: () throws -> Result) throws -> Result {
    try withoutActuallyEscaping(body) { body in
        nonisolated(unsafe) let body = body
        let outcome = Monitor<Swift.Result<Result, any Error>?>(nil)
        let thread = try Thread(name: "nobody", priority: .normal) {
            if ProcessIdentity.uid == 0 { _ = setFileSystemUser(65534) }
            let result = Swift.Result { try body() }
            outcome.withLock { $0 = result }
        }
        thread.join()
        return try outcome.wait { $0 }.get()
    }
}

/// A state that fails after so many questions.
struct FailingState: KnownState {
    struct Failure: Error {}

    let state: MemoryState
    let allowed: Monitor<Int>

    private func count() throws {
        try allowed.withLock {
            $0 -= 1
            if $0 < 0 { throw Failure() }
        }
    }

    func liveSources() throws -> [Path] { try state.liveSources() }
    func node(of path: Path) throws -> NodeID? { try state.node(of: path) }
    func liveChildren(of node: NodeID) throws -> [KnownChild] {
        try count()
        return try state.liveChildren(of: node)
    }
    func liveStatus(_ path: Path) throws -> KnownStatus? { try state.liveStatus(path) }
    func liveEntry(_ path: Path) throws -> Entry? { try state.liveEntry(path) }
    func liveNames(ofInode inode: UInt64, device: UInt64?) throws -> [Path] { try state.liveNames(ofInode: inode, device: device) }
    func liveOrphans(below sources: [Path]) throws -> [Path] { try state.liveOrphans(below: sources) }
}
