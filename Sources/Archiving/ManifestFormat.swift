// The numbers of the manifest payload that its writer and its reader share.
// Source: RepositoryFormat, "Manifest payload".

internal import Encrypting

enum RecordType {
    static let owner: UInt8 = 1
    static let upsert: UInt8 = 2
    static let deletion: UInt8 = 3
}

enum OwnerKind {
    static let user: UInt8 = 0
    static let group: UInt8 = 1
}

enum EntryField {
    static let chunks: UInt64 = 1
    static let holes: UInt64 = 2
    static let target: UInt64 = 3
    static let special: UInt64 = 4
    static let attribute: UInt64 = 5
    static let inodeFlags: UInt64 = 6
    static let marks: UInt64 = 7
    static let chunkRuns: UInt64 = 8
}

/// The limits of a payload.
package enum PayloadLimit {
    /// Bytes of a decompressed payload: 64 MiB.
    package static let payload = 64 << 20
    /// Chunks of one file: as many as one record can list, for a full manifest must be able to.
    package static let chunksPerEntry = payload / (Digest.byteCount + 1)
    /// Bytes of an extended attribute's value.
    package static let attributeValue = 64 << 10
    package static let attributeName = 255
}

/// A run of chunks that did or did not change against the previous version.
enum ChunkRun: Equatable {
    /// Chunks of the previous version.
    case kept(Range<Int>)
    /// Chunks of the new version.
    case new(Range<Int>)

    /// How `chunks` is made of runs of `previous` and new chunks.
    ///
    /// - Complexity: O(chunks + previous).
    static func runs(of chunks: [Chunk], against previous: [Chunk]) -> [ChunkRun] {
        var places: [Chunk: Int] = [:]
        places.reserveCapacity(previous.count)
        for (place, chunk) in previous.enumerated() where places[chunk] == nil { places[chunk] = place }
        var runs: [ChunkRun] = []
        // Where the previous version would go on if what differs was replaced by as much.
        var expected = 0
        for (index, chunk) in chunks.enumerated() {
            defer { expected += 1 }
            if expected < previous.count, previous[expected] == chunk {
                // Chunks that stand several times in the previous version are taken in its order.
            } else if let place = places[chunk] {
                expected = place
            } else {
                if case .new(let range)? = runs.last {
                    runs[runs.count - 1] = .new(range.lowerBound..<index + 1)
                } else {
                    runs.append(.new(index..<index + 1))
                }
                continue
            }
            if case .kept(let range)? = runs.last, range.upperBound == expected {
                runs[runs.count - 1] = .kept(range.lowerBound..<expected + 1)
            } else {
                runs.append(.kept(expected..<expected + 1))
            }
        }
        return runs
    }
}
