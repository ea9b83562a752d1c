// A directory of its own for one test, removed with everything in it at the end.

import Foundation
import Kernel

final class TemporaryTree: Sendable {
    let root: Path

    init() throws {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        let name = "\(base)/scanning-\(UUID().uuidString)"
        root = try Path(name)!.parent!.resolved().appending(Array(Path(name)!.name))
        try root.makeDirectories(mode: 0o755)
    }

    deinit {
        _ = try? ProcessIdentity.run("rm", ["-rf", root.text], output: .discarded)
    }

    func path(_ relative: String) -> Path {
        relative.isEmpty ? root : root.appending(Array(relative.utf8))
    }

    /// Makes a file with these bytes, and the directories above it.
    func write(_ relative: String, _ text: String = "content") throws {
        try write(relative, bytes: Array(text.utf8))
    }

    func write(_ relative: String, bytes: [UInt8]) throws {
        let place = path(relative)
        try place.parent!.makeDirectories(mode: 0o755)
        let file = try Descriptor.open(place, [.write, .create, .truncate], mode: 0o644)
        try file.write(bytes)
    }

    func makeDirectory(_ relative: String) throws {
        try path(relative).makeDirectories(mode: 0o755)
    }

    func remove(_ relative: String) throws {
        try run("rm", "-rf", path(relative).text)
    }

    func rename(_ relative: String, to target: String) throws {
        let (from, to) = (path(relative), path(target))
        let source = try Descriptor.ofParent(of: from)
        let destination = try Descriptor.ofParent(of: to)
        try source.rename(from.name.terminated, to: to.name.terminated, in: destination)
    }

    func link(_ relative: String, as target: String) throws {
        let (from, to) = (path(relative), path(target))
        let source = try Descriptor.ofParent(of: from)
        let destination = try Descriptor.ofParent(of: to)
        try source.link(from.name.terminated, as: to.name.terminated, in: destination)
    }

    func makeSymlink(_ relative: String, to target: String) throws {
        let place = path(relative)
        let directory = try Descriptor.ofParent(of: place)
        try directory.makeSymlink(place.name.terminated, target: Array(target.utf8))
    }

    func makeFIFO(_ relative: String, makingParents: Bool = false) throws {
        let place = path(relative)
        if makingParents { try place.parent!.makeDirectories(mode: 0o755) }
        let directory = try Descriptor.ofParent(of: place)
        try directory.makeSpecial(place.name.terminated, kind: .fifo, mode: 0o644, device: DeviceNumber(major: 0, minor: 0))
    }

    func setMode(_ relative: String, _ mode: UInt16) throws {
        let place = path(relative)
        let directory = try Descriptor.ofParent(of: place)
        try directory.setMode(of: place.name.terminated, mode)
    }

    /// Back to before anything that a test could call racy.
    func setModified(_ relative: String, _ time: Timestamp) throws {
        let place = path(relative)
        let directory = try Descriptor.ofParent(of: place)
        try directory.setModified(of: place.name.terminated, time)
    }

    func run(_ program: String, _ arguments: String...) throws {
        let status = try ProcessIdentity.run(program, arguments, output: .discarded)
        if status != 0 { throw ProgramFailure(program: program, status: status) }
    }
}

struct ProgramFailure: Error {
    let program: String
    let status: Int32
}

extension ArraySlice<UInt8> {
    var terminated: [CChar] { map { CChar(bitPattern: $0) } + [0] }
}

/// SplitMix64: the same sequence for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}
