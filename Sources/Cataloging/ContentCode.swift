// A file's content as one column: runs of chunk rows, and holes.
// In: chunk row ids in the file's order.  Out: the same, as runs of neighbouring ids.
// A large file's chunks are stored one after the other, so that a version of it costs a few bytes, not a few for each chunk.
// Layout: runs * 2 + hasHoles, then (distance from the end of the run before, zigzag; count)*, then count and (gap, length)*.

internal import Archiving

enum ContentCode {
    static func encode(chunks ids: [Int64], holes: [Hole]) -> [UInt8] {
        if ids.isEmpty && holes.isEmpty { return [] }
        var body = CompactWriter()
        var runs: UInt64 = 0
        var expected: Int64 = 0
        var index = 0
        while index < ids.count {
            let start = ids[index]
            var count: Int64 = 1
            while index + Int(count) < ids.count, ids[index + Int(count)] == start + count { count += 1 }
            body.add(zigzag: start - expected)
            body.add(UInt64(count))
            expected = start + count
            index += Int(count)
            runs += 1
        }
        var result = CompactWriter()
        result.add(runs << 1 | (holes.isEmpty ? 0 : 1))
        if !holes.isEmpty {
            body.add(UInt64(holes.count))
            var end: UInt64 = 0
            for hole in holes {
                body.add(hole.offset &- end)
                body.add(hole.length)
                end = hole.offset &+ hole.length
            }
        }
        return result.bytes + body.bytes
    }

    /// Calls `body` with each run of chunk ids. False at bytes that were not written here.
    static func forEachRun(in bytes: UnsafeRawBufferPointer, _ body: (Range<Int64>) throws -> Void) rethrows -> Bool {
        if bytes.count == 0 { return true }
        var reader = CompactReader(bytes)
        guard let head = reader.number() else { return false }
        return try readRuns(&reader, count: head >> 1, body)
    }

    static func holes(in bytes: UnsafeRawBufferPointer) -> [Hole]? {
        if bytes.count == 0 { return [] }
        var reader = CompactReader(bytes)
        guard let head = reader.number(), readRuns(&reader, count: head >> 1, { _ in }) else { return nil }
        if head & 1 == 0 { return [] }
        guard let count = reader.number() else { return nil }
        var result: [Hole] = []
        var end: UInt64 = 0
        for _ in 0..<count {
            guard let gap = reader.number(), let length = reader.number() else { return nil }
            result.append(Hole(offset: end &+ gap, length: length))
            end = end &+ gap &+ length
        }
        return result
    }

    private static func readRuns(
        _ reader: inout CompactReader, count runs: UInt64, _ body: (Range<Int64>) throws -> Void
    ) rethrows -> Bool {
        var expected: Int64 = 0
        for _ in 0..<runs {
            guard let distance = reader.zigzag(), let count = reader.number(), count <= UInt64(Int32.max) else { return false }
            let (start, overflow) = expected.addingReportingOverflow(distance)
            guard !overflow, start > 0, start < Int64.max - Int64(count) else { return false }
            expected = start + Int64(count)
            try body(start..<expected)
        }
        return true
    }
}
