// Reads a tar file piece by piece.
// In: its bytes in pieces of any size, which may be hostile.  Out: entries, and where their content stands in the pieces.
// Invariant: content is never copied or kept; of headers no more is kept than the limits below.
// Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar, "Basic Tar Format". Reads ustar, pax, GNU and old tar.

package struct TarReader: Sendable {
    package enum Event: Hashable, Sendable {
        case entry(TarEntry)
        /// The next bytes of the latest entry's content, as indices into the piece. They come to the entry's size in all.
        case content(Range<Int>)
        /// The two closing blocks. What follows them is not looked at.
        case end
    }

    private enum State {
        case header
        case extended(type: UInt8, remaining: UInt64)
        case content(remaining: UInt64)
        case padding(remaining: Int, next: Next)
        case ended
    }

    private enum Next {
        case header
        case extended(type: UInt8)
    }

    /// Bytes of one extended header: as much as the attributes of a file that a manifest can hold.
    private static let longestExtension = UInt64(PayloadLimit.payload)

    private var state = State.header
    private var header: [UInt8] = []
    private var extended: [UInt8] = []
    private var hasZeroBlock = false
    /// Bytes between the latest entry's content and the next header.
    private var contentPadding = 0
    private var global = TarExtension()
    private var local = TarExtension()
    /// Bytes read in all, for errors.
    private var offset: UInt64 = 0

    package init() {}

    /// The next event; nil when all of `bytes` is used and more is needed.
    ///
    /// - Parameters:
    ///   - bytes: A piece of the file.
    ///   - position: Where reading goes on in it, 0...bytes.count; moved on. 0 for each new piece.
    /// - Throws: `malformed`, `tooLarge`; `offset` is within the tar file. The reader is then spent. At the end of the file
    ///   `finish` tells whether it was whole.
    package mutating func next(in bytes: UnsafeRawBufferPointer, at position: inout Int) throws(ArchiveError) -> Event? {
        while true {
            switch state {
            case .ended:
                position = bytes.count
                return .end
            case .content(let remaining):
                let count = Int(min(remaining, UInt64(bytes.count - position)))
                if count == 0 { return nil }
                if UInt64(count) < remaining {
                    state = .content(remaining: remaining - UInt64(count))
                } else {
                    state = contentPadding == 0 ? .header : .padding(remaining: contentPadding, next: .header)
                }
                defer { advance(&position, count) }
                return .content(position..<position + count)
            case .padding(let remaining, let next):
                let count = min(remaining, bytes.count - position)
                advance(&position, count)
                if count < remaining {
                    state = .padding(remaining: remaining - count, next: next)
                    return nil
                }
                state = .header
                if case .extended(let type) = next { try useExtended(type) }
            case .extended(let type, let remaining):
                let count = Int(min(remaining, UInt64(bytes.count - position)))
                // position + count <= bytes.count, and remaining is within the limit.
                extended.append(contentsOf: bytes[position..<position + count])
                advance(&position, count)
                if UInt64(count) < remaining {
                    state = .extended(type: type, remaining: remaining - UInt64(count))
                    return nil
                }
                let padding = TarWriter.paddingCount(after: UInt64(extended.count))
                state = .padding(remaining: padding, next: .extended(type: type))
            case .header:
                let count = min(TarWriter.blockSize - header.count, bytes.count - position)
                header.append(contentsOf: bytes[position..<position + count])
                advance(&position, count)
                if header.count < TarWriter.blockSize { return nil }
                defer { header.removeAll(keepingCapacity: true) }
                if let event = try useHeader() { return event }
            }
        }
    }

    /// To be called at the end of the file.
    ///
    /// - Throws: `truncated` when the closing blocks have not come: the file was cut off.
    package func finish() throws(ArchiveError) {
        if case .ended = state { return }
        throw ArchiveError(.truncated, "the tar file was cut off", offset: offset)
    }

    private mutating func advance(_ position: inout Int, _ count: Int) {
        position += count
        offset &+= UInt64(count)
    }

    @inline(never)
    private func malformed(_ reason: String) -> ArchiveError { ArchiveError(.malformed, reason, offset: offset) }

    private mutating func useHeader() throws(ArchiveError) -> Event? {
        if header.allSatisfy({ $0 == 0 }) {
            if hasZeroBlock {
                state = .ended
                return .end
            }
            hasZeroBlock = true
            return nil
        }
        if hasZeroBlock { throw malformed("one block of zeros stands between entries") }
        let block = TarBlock(header)
        guard block.hasValidChecksum else { throw malformed("a header's checksum is wrong") }
        switch block.type {
        case UInt8(ascii: "x"), UInt8(ascii: "X"), UInt8(ascii: "g"), UInt8(ascii: "L"), UInt8(ascii: "K"):
            guard let number = block.number(TarField.size), let size = UInt64(exactly: number) else {
                throw malformed("an extended header's size is no number")
            }
            guard size <= TarReader.longestExtension else {
                throw ArchiveError(.tooLarge, "an extended header of \(size) bytes is above the limit", offset: offset)
            }
            extended.removeAll(keepingCapacity: extended.capacity < 1 << 20)
            state = .extended(type: block.type, remaining: size)
            return nil
        default:
            let effective = local.falling(backTo: global)
            guard let (found, contentCount) = block.entry(effective) else {
                throw malformed("a header's fields are no numbers, or its type is not read here")
            }
            var entry = found
            entry.attributes = local.attributes(with: global)
            local = TarExtension()
            contentPadding = TarWriter.paddingCount(after: contentCount)
            if contentCount > 0 { state = .content(remaining: contentCount) }
            return .entry(entry)
        }
    }

    private mutating func useExtended(_ type: UInt8) throws(ArchiveError) {
        switch type {
        case UInt8(ascii: "L"): local.path = Array(extended.prefix { $0 != 0 })
        case UInt8(ascii: "K"): local.target = Array(extended.prefix { $0 != 0 })
        case UInt8(ascii: "g"): if !global.add(paxRecords: extended) { throw malformed("a pax header is damaged or not read here") }
        default: if !local.add(paxRecords: extended) { throw malformed("a pax header is damaged or not read here") }
        }
    }
}
