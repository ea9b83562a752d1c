// What every storage must do, whatever it is made of.

import Archiving
import Encrypting
import Kernel
import Storing
import Testing

struct StorageConformanceTests {
    /// A storage of each kind, empty.
    enum Kind: CaseIterable, Sendable {
        case local, memory

        func make() throws -> (storage: any Storage, keeper: TemporaryDirectory?) {
            switch self {
            case .memory: return (MemoryStorage(), nil)
            case .local:
                let directory = try TemporaryDirectory()
                return (LocalStorage(at: directory.path), directory)
            }
        }
    }

    private func publish(
        _ storage: any Storage, _ number: UInt64, _ pieces: [[UInt8]], kind: ArchiveKind = .data, time: Int64 = 1000
    ) throws -> StoredArchive {
        let sink = try storage.begin(number)
        for piece in pieces { try piece.withUnsafeBytes { try sink.append($0) } }
        return try sink.publish(kind: kind, time: time)
    }

    @Test(arguments: Kind.allCases)
    func emptyStorageListsNothing(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        #expect(try storage.list().isEmpty)
        #expect(try storage.foreignNames().isEmpty)
        #expect(try storage.removeLeftovers() == 0)
    }

    @Test(arguments: Kind.allCases)
    func removedArchivesAreGone(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        let first = try publish(storage, 1, [[1]])
        let second = try publish(storage, 2, [[2]])
        try storage.remove(first.name)
        try storage.makeRemovalsDurable()
        #expect(try storage.list() == [second])
    }

    @Test(arguments: Kind.allCases)
    func publishedBytesComeBack(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        // Around the write buffer's size, and pieces much larger and smaller than it.
        let pieces = [3, 1 << 20, 5, (1 << 20) - 8, 1, 3 << 20, 0, 300_000, 800_000].enumerated().map { noise($1, seed: UInt64($0)) }
        let all = pieces.flatMap { $0 }
        let stored = try publish(storage, 12, pieces, kind: .full, time: 1_795_411_080_123)
        #expect(stored.name == ArchiveName(number: 12, time: 1_795_411_080_123, kind: .full, digest: SHA256.digest(of: all)))
        #expect(stored.size == UInt64(all.count))
        #expect(try storage.list() == [stored])
        let source = try storage.open(stored.name)
        #expect(source.size == stored.size)
        #expect(try source.read(at: 0, count: all.count) == all)
        #expect(try source.read(at: 1_048_570, count: 20) == Array(all[1_048_570..<1_048_590]))
        try stored.verifyDigest(of: source)
    }

    @Test(arguments: Kind.allCases)
    func readingStopsAtTheEnd(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        let stored = try publish(storage, 1, [[1, 2, 3]])
        let source = try storage.open(stored.name)
        #expect(try source.read(at: 1, count: 10) == [2, 3])
        #expect(try source.read(at: 3, count: 10) == [])
        #expect(try source.read(at: .max, count: 10) == [])
        #expect(try source.read(at: 0, count: 0) == [])
    }

    @Test(arguments: Kind.allCases)
    func namesAreOfTheNumbersThatAreAskedFor(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        let names = try [1, 9, 10, 1_000_000_000, 18_446_744_073_709_551_615].map { try publish(storage, $0, [[1]]).name }
        for (index, name) in names.enumerated() {
            #expect(try storage.names(of: name.number...name.number) == [name])
            #expect(try storage.names(of: name.number...(.max)).sorted() == Array(names[index...]))
        }
        #expect(try storage.names(of: 2...8).isEmpty)
    }

    @Test(arguments: Kind.allCases)
    func listIsSortedByNumber(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        for number: UInt64 in [1_000_000_000, 2, 999_999_999, 1] { _ = try publish(storage, number, [[UInt8(number % 251)]]) }
        #expect(try storage.list().map(\.name.number) == [1, 2, 999_999_999, 1_000_000_000])
    }

    @Test(arguments: Kind.allCases)
    func nothingIsListedBeforeItIsPublished(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        let sink = try storage.begin(1)
        try noise(2 << 20, seed: 1).withUnsafeBytes { try sink.append($0) }
        #expect(sink.count == 2 << 20)
        #expect(try storage.list().isEmpty)
        #expect(try storage.foreignNames().isEmpty, "a temporary file is not foreign")
        sink.abandon()
        #expect(try storage.removeLeftovers() == 0, "an abandoned archive leaves nothing behind")
        #expect(throws: StorageError.self) { try [1].withUnsafeBytes { try sink.append($0) } }
        #expect(throws: StorageError.self) { try sink.publish(kind: .data, time: 1) }
        #expect(try storage.list().isEmpty)
    }

    @Test(arguments: Kind.allCases)
    func publishedArchiveCannotBeAppendedTo(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        let sink = try storage.begin(1)
        let stored = try sink.publish(kind: .data, time: 1)
        #expect(throws: StorageError.self) { try [1].withUnsafeBytes { try sink.append($0) } }
        sink.abandon()
        #expect(try storage.list() == [stored], "abandon after publish has no effect")
    }

    @Test(arguments: Kind.allCases)
    func sameArchiveTwiceIsRefused(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        let stored = try publish(storage, 1, [[7]])
        let error = #expect(throws: StorageError.self) { try publish(storage, 1, [[7]]) }
        #expect(error?.code == .alreadyExists)
        #expect(try storage.list() == [stored])
        #expect(try storage.removeLeftovers() == 0)
    }

    @Test(arguments: Kind.allCases)
    func twoArchivesOfOneNumberAreBothListed(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        let both = [try publish(storage, 1, [[7]]), try publish(storage, 1, [[8]])]
        #expect(Set(try storage.list()) == Set(both))
    }

    @Test(arguments: Kind.allCases)
    func removedArchiveIsGoneAndStaysReadableWhereOpen(kind: Kind) throws {
        let (storage, keeper) = try kind.make()
        defer { withExtendedLifetime(keeper) {} }
        let stored = try publish(storage, 1, [[1, 2]])
        let other = try publish(storage, 2, [[3]])
        let source = try storage.open(stored.name)
        try storage.remove(stored.name)
        #expect(try storage.list() == [other])
        #expect(try source.read(at: 0, count: 2) == [1, 2])
        #expect(throws: StorageError.self) { try storage.open(stored.name) }
        let error = #expect(throws: StorageError.self) { try storage.remove(stored.name) }
        #expect(error?.code == .missing)
    }
}
