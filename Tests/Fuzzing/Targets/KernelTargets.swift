// What the kernel gives: its events, and its table of mounts.

import Kernel

@Sendable func readInotify(_ input: UnsafeRawBufferPointer) throws {
    var decoder = InotifyDecoder(input)
    var count = 0
    while let event = decoder.next() {
        count += 1
        try check(event.name, within: input)
    }
    try require(count <= input.count / 16, "an event has 16 bytes at least")
}

@Sendable func readFanotify(_ input: UnsafeRawBufferPointer) throws {
    var decoder = FanotifyDecoder(input)
    var count = 0
    while let event = decoder.next() {
        count += 1
        try check(event.name, within: input)
        if let target = event.target { try check(target.name, within: input) }
        try require(event.directory != nil || event.name.isEmpty, "a name stands in a directory")
    }
    try require(count <= input.count / 24, "an event has 24 bytes at least")
}

private func check(_ name: UnsafeRawBufferPointer, within bytes: UnsafeRawBufferPointer) throws(Broken) {
    guard let start = name.baseAddress, let first = bytes.baseAddress, !name.isEmpty else { return }
    try require(start >= first && start + name.count <= first + bytes.count, "a name lies within the buffer")
    try require(!name.contains(0), "a name holds no NUL")
}

@Sendable func readMounts(_ input: UnsafeRawBufferPointer) throws {
    for mount in MountTable.parse(Array(input)) {
        try require(Path(validating: mount.point.bytes) != nil, "a path keeps the rules")
    }
}
