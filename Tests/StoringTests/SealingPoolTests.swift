// Threads of the pool: slow storage, several users, and the end.

import Archiving
import Compressing
import Encrypting
import Kernel
import Storing
import Testing

struct SealingPoolTests {
    @Test func slowStorageHoldsTheWriterNotTheMemory() throws {
        let fixture = try ArchiveFixture(workers: 2, bytesInFlight: 100_000)
        let gate = Monitor(false)
        let progress = Monitor((appended: 0, most: 0))
        let storage = FaultyStorage(fixture.memory, beforeAppend: { gate.wait { $0 ? () : nil } })
        let memory = fixture.memory
        let writing = try Thread(name: "writing", priority: .normal) { [fixture] in
            do {
                let writer = try fixture.writer(in: storage)
                for seed: UInt64 in 0..<50 {
                    let payload = noise(30_000, seed: seed)
                    try writer.appendData(payload: payload, chunks: [fixture.chunk(payload)], level: .fast)
                    progress.withLock { $0 = ($0.appended + 1, max($0.most, writer.bytesInFlight)) }
                }
                _ = try writer.finish(kind: .data, time: 1, highestSnapshot: 0)
            } catch {
                Issue.record(error)
            }
        }
        #expect(progress.withLock { $0.appended } == 0, "the header waits for the storage")
        gate.withLock { $0 = true }
        writing.join()
        #expect(progress.withLock { $0.appended } == 50)
        #expect(progress.withLock { $0.most } <= 100_000)
        #expect(try memory.list().count == 1)
    }

    @Test func writersOfSeveralThreadsShareThePool() throws {
        let fixture = try ArchiveFixture(workers: 3, bytesInFlight: 50_000)
        let done = Monitor<[UInt64: PublishedArchive]>([:])
        var threads = 0
        for number: UInt64 in 1...4 {
            _ = try Thread(name: "writer", priority: .normal) {
                do {
                    let archive = try fixture.publish((0..<30).map { noise(10_000, seed: number * 100 + $0) }, number: number)
                    done.withLock { $0[number] = archive }
                } catch {
                    Issue.record(error)
                    done.withLock { $0[number] = nil }
                }
            }
            threads += 1
        }
        let all = done.wait { $0.count == threads ? $0 : nil }
        for (number, archive) in all {
            #expect(try fixture.payloads(of: archive) == (0..<30).map { noise(10_000, seed: number * 100 + $0) })
        }
    }

    @Test func shutDownFailsWhatIsLeft() throws {
        let fixture = try ArchiveFixture(workers: 1)
        let writer = try fixture.writer()
        fixture.pool.shutDown()
        fixture.pool.shutDown()
        let error = #expect(throws: StorageError.self) {
            try writer.appendManifest([1], level: .fast)
            _ = try writer.finish(kind: .data, time: 1, highestSnapshot: 0)
        }
        #expect(error?.code == .cancelled)
        #expect(try fixture.memory.list().isEmpty)
        #expect(try fixture.memory.removeLeftovers() == 0)
    }

    @Test func shutDownWakesAWriterThatWaits() throws {
        let fixture = try ArchiveFixture(workers: 1, bytesInFlight: 1 << 20)
        let ended = Monitor<StorageError.Code?>(nil)
        let started = Monitor(false)
        let thread = try Thread(name: "writing", priority: .normal) {
            do {
                let writer = try fixture.writer()
                while true {
                    try writer.appendData(payload: noise(200_000, seed: 1), chunks: [], level: .deep)
                    started.withLock { $0 = true }
                }
            } catch {
                ended.withLock { $0 = (error as? StorageError)?.code ?? .io }
            }
        }
        started.wait { $0 ? () : nil }
        fixture.pool.shutDown()
        thread.join()
        #expect(ended.withLock { $0 } == .cancelled)
        #expect(try fixture.memory.list().isEmpty)
    }

    @Test func poolThatIsDroppedEndsItsThreads() throws {
        let key = try SecretKey.generate()
        weak var dropped: SealingPool?
        do {
            let pool = try SealingPool(key: key, workers: 3)
            dropped = pool
        }
        #expect(dropped == nil, "its threads do not keep it alive")
    }
}
