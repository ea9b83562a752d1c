// What tests of writer and reader share: a key, a storage, a pool, and archives with known content.

import Archiving
import Compressing
import Encrypting
import Kernel
import Storing
import Testing

struct ArchiveFixture {
    let key: SecretKey
    let repository = ArchiveID.random()
    let memory = MemoryStorage()
    let pool: SealingPool

    init(workers: Int = 2, bytesInFlight: Int = 64 << 20) throws {
        key = try SecretKey.generate()
        pool = try SealingPool(key: key, workers: workers, bytesInFlight: bytesInFlight)
    }

    func writer(_ number: UInt64 = 1, in storage: (any Storage)? = nil) throws -> ArchiveWriter {
        try ArchiveWriter(
            storage: storage ?? memory, number: number, repository: repository, pool: pool, time: 1_795_411_080)
    }

    func reader(_ name: ArchiveName, in storage: (any Storage)? = nil) throws -> ArchiveReader {
        try ArchiveReader((storage ?? memory).open(name), name: name, keys: [key], repository: repository)
    }

    func opener() throws -> FrameOpener { try FrameOpener(keys: [key]) }

    /// A data archive with one frame for each payload, each payload one chunk.
    func publish(_ payloads: [[UInt8]], number: UInt64 = 1, in storage: (any Storage)? = nil) throws -> PublishedArchive {
        let writer = try writer(number, in: storage)
        for payload in payloads { try writer.appendData(payload: payload, chunks: [chunk(payload)], level: .fast) }
        return try writer.finish(kind: .data, time: 5000, highestSnapshot: 0)
    }

    func chunk(_ payload: [UInt8]) -> PayloadChunk {
        PayloadChunk(digest: SHA256.digest(of: payload), offset: 0, length: UInt32(payload.count))
    }

    func payloads(of archive: PublishedArchive, in storage: (any Storage)? = nil) throws -> [[UInt8]] {
        let reader = try reader(archive.stored.name, in: storage)
        let opener = try opener()
        return try reader.contents.frames.indices.map { number in
            var payload: [UInt8] = []
            try reader.frame(number, into: &payload, opener: opener)
            return payload
        }
    }

    var snapshot: SnapshotRecord {
        SnapshotRecord(
            number: 3, time: 5000, host: Array("laptop".utf8), sources: [Path("/home/ada")].compactMap { $0 },
            identity: SHA256.digest(of: [3]), parent: nil, coversFrom: 3)
    }
}
