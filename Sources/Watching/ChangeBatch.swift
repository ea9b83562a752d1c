// The changes of one buffer of events, with what repeats left out.
// In: directory, name and what happened.  Out: [Change] for the sink.
// Invariant: what is left out is said by an equal or wider change of the same batch. A batch may hold a path twice.

import Kernel
import Tracking

extension Inotify.Events {
    /// A directory has another list of names.
    static let listChanges: Inotify.Events = [.created, .deleted, .movedFrom, .movedTo]
}

struct ChangeBatch {
    private(set) var changes: [Change] = []
    /// The watch of the directory of each change.
    private var watches: [Int32] = []
    /// The latest change of each hash, as index + 1; 0 is empty. A collision only costs a repeated change.
    private var slots: [UInt32] = Array(repeating: 0, count: ChangeBatch.slotCount)
    private var directoryWatch: Int32 = -1
    private var directory = Path.root

    private static let slotCount = 1024

    /// The effect of an event on `Change.settled`.
    enum Settling {
        /// The writer is done.
        case done
        /// Somebody writes.
        case writing
        /// Says nothing of the content.
        case unchanged
    }

    /// The path of a watch's directory, remembered for the next event of the same. Nil when it is not in the tree.
    mutating func directory(of watch: Int32, in tree: inout WatchTree) -> Path? {
        if watch == directoryWatch { return directory }
        guard let path = tree.path(of: watch) else { return nil }
        tree.touch(watch)
        directoryWatch = watch
        directory = path
        return path
    }

    /// Has to be called when directories have left the tree.
    mutating func forgetDirectory() { directoryWatch = -1 }

    /// Has to be called when directories have got other paths.
    mutating func forgetPaths() {
        forgetDirectory()
        for slot in slots.indices { slots[slot] = 0 }
    }

    /// Adds a change of `name` in `directory`, or of the directory itself when the name is empty.
    ///
    /// - Returns: False when `isExcluded` says so; it is asked once per new path.
    mutating func add(
        watch: Int32, directory: Path, name: UnsafeRawBufferPointer, scope: Change.Scope, settling: Settling,
        kind: FileKind, isExcluded: (Path, FileKind) -> Bool
    ) -> Bool {
        let slot = ChangeBatch.slot(watch, name)
        let known = Int(slots[slot]) - 1
        if known >= 0, watches[known] == watch, isSame(changes[known].path, directory, name) {
            if changes[known].scope.rawValue < scope.rawValue { changes[known].scope = scope }
            if settling != .unchanged { changes[known].settled = settling == .done }
            return true
        }
        let path = name.isEmpty ? directory : ChangeBatch.join(directory, name)
        if !name.isEmpty, isExcluded(path, kind) { return false }
        changes.append(Change(path: path, scope: scope, settled: settling == .done))
        watches.append(watch)
        slots[slot] = UInt32(truncatingIfNeeded: changes.count)
        return true
    }

    /// Adds what an event says of `name`, and of its directory, whose own times are others when the list of names is.
    ///
    /// - Returns: False when `isExcluded` says so.
    mutating func add(
        _ kinds: Inotify.Events, watch: Int32, directory: Path, name: UnsafeRawBufferPointer, isExcluded: (Path, FileKind) -> Bool
    ) -> Bool {
        let isDirectory = kinds.contains(.isDirectory)
        let changesList = !kinds.isDisjoint(with: .listChanges)
        let settling: Settling =
            !kinds.isDisjoint(with: [.closedAfterWriting, .movedTo]) ? .done : kinds.contains(.attributes) ? .unchanged : .writing
        let isIncluded = add(
            watch: watch, directory: directory, name: name, scope: isDirectory && changesList ? .subtree : .entry,
            settling: settling, kind: isDirectory ? .directory : .file, isExcluded: isExcluded)
        if isIncluded, changesList {
            // No event tells of it.
            _ = add(
                watch: watch, directory: directory, name: UnsafeRawBufferPointer(start: nil, count: 0), scope: .entry,
                settling: .unchanged, kind: .directory, isExcluded: isExcluded)
        }
        return isIncluded
    }

    /// Gives the changes away and begins anew.
    mutating func take() -> [Change] {
        let result = changes
        changes = []
        changes.reserveCapacity(min(result.count, 4096))
        watches.removeAll(keepingCapacity: true)
        forgetPaths()
        return result
    }

    static func join(_ directory: Path, _ name: UnsafeRawBufferPointer) -> Path {
        let prefix = directory.bytes.isEmpty ? 0 : directory.bytes.count + 1
        let bytes = [UInt8](unsafeUninitializedCapacity: prefix + name.count) { buffer, count in
            // Both copies stay within prefix + name.count bytes.
            let target = UnsafeMutableRawBufferPointer(buffer)
            if prefix > 0 {
                directory.bytes.withUnsafeBytes { target.copyMemory(from: $0) }
                target[prefix - 1] = UInt8(ascii: "/")
            }
            UnsafeMutableRawBufferPointer(rebasing: target[prefix...]).copyMemory(from: name)
            count = prefix + name.count
        }
        return Path(unchecked: bytes)
    }

    private func isSame(_ path: Path, _ directory: Path, _ name: UnsafeRawBufferPointer) -> Bool {
        // The watch is the same, so that only the last component can differ.
        if name.isEmpty { return path.bytes.count == directory.bytes.count }
        let start = directory.bytes.isEmpty ? 0 : directory.bytes.count + 1
        guard path.bytes.count == start + name.count else { return false }
        return path.bytes.withUnsafeBytes { bytes in
            for offset in 0..<name.count where bytes[start + offset] != name[offset] { return false }
            return true
        }
    }

    private static func slot(_ watch: Int32, _ name: UnsafeRawBufferPointer) -> Int {
        var hash = UInt64(UInt32(bitPattern: watch)) &* 0x9E37_79B9_7F4A_7C15
        // Eight bytes at a time from the front, and the last eight: enough to tell neighbours apart.
        if name.count >= 8 {
            var offset = 0
            while offset + 8 <= name.count {
                hash = (hash ^ name.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
                offset += 8
            }
            hash = (hash ^ name.loadUnaligned(fromByteOffset: name.count - 8, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
        } else {
            for byte in name { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        }
        return Int(truncatingIfNeeded: hash >> 40) & (slotCount - 1)
    }
}
