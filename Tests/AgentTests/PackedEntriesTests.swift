// Entries that wait in memory, and those that wait in a file.

import Archiving
import Encrypting
import Foundation
import Kernel
import Testing

@testable import Agent

struct PackedEntriesTests {
    /// Large enough that 300 of them do not fit into what is held in memory.
    private func entry(_ number: Int) throws -> Entry {
        var entry = Entry(
            path: try #require(Path("/home/a/file-\(number)")), kind: .file, mode: 0o640, uid: UInt32(number % 3), gid: UInt32(number % 2),
            userName: Array("user-\(number % 3)".utf8), groupName: Array("group-\(number % 2)".utf8))
        let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 60_000)
        entry.attributes = [ExtendedAttribute(name: Array("user.large".utf8), value: value)]
        entry.inode = UInt64(number)
        return entry
    }

    private func inDirectory(_ body: (Path) throws -> Void) throws {
        let directory = try #require(Path(FileManager.default.temporaryDirectory.path)).appending("packed-\(UInt64.random(in: .min ... .max))".utf8)
        try directory.makeDirectories(mode: 0o700)
        defer { try? FileManager.default.removeItem(atPath: "\(directory)") }
        try body(directory)
    }

    @Test func allOfThemComeBackInAnyOrder() throws {
        try inDirectory { directory in
            let packed = PackedEntries(count: 400, spillingInto: directory)
            let numbers = Array(0..<300)
            for number in numbers.shuffled() { try packed.put(entry(number), at: number) }
            // What is in the file has no name there.
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory)").isEmpty)
            packed.remove(at: 7)
            #expect(packed.isThere(299) && !packed.isThere(7) && !packed.isThere(300))
            for number in numbers.shuffled() + numbers where number != 7 {
                let expected = try entry(number)
                #expect(try packed.entry(at: number, expected.path) == expected)
            }
        }
    }

    @Test func withoutAFileItSaysSoAndKeepsWhatItHolds() throws {
        try inDirectory { directory in
            let packed = PackedEntries(count: 300, spillingInto: directory.appending("absent".utf8))
            var kept = 0
            let failure = #expect(throws: AgentError.self) {
                for number in 0..<300 {
                    try packed.put(entry(number), at: number)
                    kept = number
                }
            }
            #expect(failure.map { "\($0)".contains("absent") } == true)
            #expect(kept > 100)
            for number in 0...kept {
                let expected = try entry(number)
                #expect(try packed.entry(at: number, expected.path) == expected)
            }
        }
    }
}
