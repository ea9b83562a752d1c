// Reads what is left of an archive whose header, contents or trailer are damaged, from front to back.
// In: a file of the repository that ArchiveReader refuses.  Out: every whole frame, and how much was passed over.
// Invariant: nothing is given out that was not authenticated, sealed for this one archive, and is new. Damaged or hostile bytes
// cost no more than a fixed number of passes over the file, and the memory of one frame.
// Source: RepositoryFormat, "Frame".

package import Archiving
package import Encrypting

/// One per thread.
package struct ArchiveSalvage {
    package let name: ArchiveName
    /// The archive's random id: until the first frame has come what a whole header says, then what the frames say.
    package private(set) var id: ArchiveID?
    /// Complete when `next` has returned nil.
    package private(set) var report = SalvageReport()

    private let source: any ArchiveSource
    private let opener: FrameOpener
    private var isIDSettled = false
    private var numbers: Set<UInt32> = []
    /// Where the search goes on.
    private var position: UInt64 = 0
    /// Where the latest frame ended, and so the next one should begin.
    private var frameEnd: UInt64 = 0
    /// Where the last frame should end.
    private var end: UInt64
    /// Bytes that may still be authenticated in vain.
    private var patience: UInt64

    /// Of the whole file. Honest damage needs one or two passes: each frame is tried once at its length field and once without it.
    private static let patiencePasses: UInt64 = 64
    /// The unit in which unreadable places are passed over: the smallest sector of a disk.
    private static let sector = 512
    /// Bytes that are searched at once.
    private static let largestWindow = 1 << 20

    /// Reads header and trailer.
    ///
    /// - Parameters:
    ///   - name: Compared with the contents, and named in errors.
    ///   - keys: All that may have sealed it; each is tried.
    /// - Throws: EncryptionError, CompressionError: no memory.
    package init(_ source: any ArchiveSource, name: ArchiveName, keys: [SecretKey]) throws {
        self.source = source
        self.name = name
        opener = try FrameOpener(keys: keys)
        end = source.size
        let (product, isTooMuch) = source.size.multipliedReportingOverflow(by: ArchiveSalvage.patiencePasses)
        patience = isTooMuch ? .max : product
        // What cannot be read here is met again by the search.
        if let bytes = try? source.read(at: 0, count: ArchiveHeader.size), let header = try? ArchiveHeader(decoding: bytes) {
            report.isHeaderWhole = true
            id = header.id
            position = UInt64(ArchiveHeader.size)
            frameEnd = position
        }
        let trailer = source.size - min(source.size, UInt64(ArchiveTrailer.size))
        if let bytes = try? source.read(at: trailer, count: ArchiveTrailer.size),
            (try? ArchiveTrailer(decoding: bytes, archiveSize: source.size)) != nil
        {
            report.isTrailerWhole = true
            end = trailer
        }
    }

    /// The next whole frame; nil at the end of the file.
    ///
    /// - Throws: `StorageError` when a place cannot be read: the next call goes on behind it, so that a bad sector costs its frame
    ///   alone. `ArchiveError.noMemory`. Damage is no error.
    /// - Complexity: One pass over the file when little is damaged, one more when header and first frame disagree; 64 when all of
    ///   it was made to look like frames.
    package mutating func next() throws -> SalvagedFrame? {
        while let candidate = try nextCandidate() {
            if let frame = try frameWithoutLength(before: candidate.offset) { return frame }
            if let frame = try open(at: candidate.offset, candidate.tokenCount) { return frame }
        }
        if let frame = try frameWithoutLength(before: end) { return frame }
        report.bytesPassedOver += end - min(end, frameEnd)
        frameEnd = end
        return nil
    }
}

// MARK: Searching

extension ArchiveSalvage {
    /// The next place where a frame may begin; the search then goes on behind its first byte.
    private mutating func nextCandidate() throws(StorageError) -> (offset: UInt64, tokenCount: Int)? {
        // Nearly always a frame stands where the latest one ended.
        var window = FrameSearch.markCount
        while position < end, end - position >= UInt64(FrameSearch.markCount) {
            let rest = end - position
            let bytes: [UInt8]
            do throws(StorageError) {
                bytes = try source.read(at: position, count: Int(min(UInt64(window), rest)))
            } catch {
                if window <= ArchiveSalvage.sector {
                    position += UInt64(ArchiveSalvage.sector) - position % UInt64(ArchiveSalvage.sector)
                    throw error
                }
                window = ArchiveSalvage.sector
                continue
            }
            if let mark = bytes.withUnsafeBytes({ FrameSearch.firstMark(in: $0, rest: rest) }) {
                let offset = position + UInt64(mark.position)
                position = offset + 1
                return (offset, mark.tokenCount)
            }
            // The file became shorter while it was read.
            if bytes.count < FrameSearch.markCount { break }
            // A mark may stand across the end of the window.
            position += UInt64(bytes.count - FrameSearch.markCount + 1)
            window = min(max(8 * window, ArchiveSalvage.sector), ArchiveSalvage.largestWindow)
        }
        return nil
    }

    /// The frame that fills the space from the latest one up to `limit`, when all that it lacks is its length.
    private mutating func frameWithoutLength(before limit: UInt64) throws -> SalvagedFrame? {
        let start = max(frameEnd, UInt64(ArchiveHeader.size))
        let space = limit - min(limit, start)
        guard space <= UInt64(FrameLimit.lengthField + FrameLimit.token) else { return nil }
        let count = Int(space) - FrameLimit.lengthField
        // With a length field that says the same it was tried, and has failed; what cannot be read was said by the search.
        guard FrameSearch.isTokenCount(count), let field = try? source.read(at: start, count: FrameLimit.lengthField),
            (try? FrameLimit.tokenCount(decoding: field)) != UInt32(count)
        else { return nil }
        do {
            return try open(at: start, count)
        } catch is StorageError {
            return nil
        }
    }
}

// MARK: Judging

extension ArchiveSalvage {
    /// The frame whose length field stands at `offset`; nil when none stands there, or one that is refused.
    private mutating func open(at offset: UInt64, _ tokenCount: Int) throws -> SalvagedFrame? {
        let bytes = try source.read(at: offset, count: FrameLimit.lengthField + tokenCount)
        guard bytes.count == FrameLimit.lengthField + tokenCount else { return nil }
        var payload: [UInt8] = []
        var place: FramePlace?
        do throws(ArchiveError) {
            place = try bytes.withUnsafeBufferPointer { bytes throws(ArchiveError) in
                let token = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[FrameLimit.lengthField...]))
                return try opener.openFound(token, into: &payload)
            }
        } catch {
            if error.code == .noMemory { throw error.placed(archive: name.text) }
            if error.code == .authentication {
                losePatience(tokenCount)
                return nil
            }
        }
        let before = frameEnd
        frameEnd = offset + UInt64(bytes.count)
        position = frameEnd
        guard let place, let frame = try accepted(place, payload, at: offset) else {
            report.refusedFrames += 1
            report.bytesPassedOver += frameEnd - before
            return nil
        }
        report.bytesPassedOver += offset - before
        return frame
    }

    /// Hostile bytes can look like a frame at every ninth place: authenticating them all would never end.
    private mutating func losePatience(_ tokenCount: Int) {
        if patience > UInt64(tokenCount) {
            patience -= UInt64(tokenCount)
        } else {
            patience = 0
            position = end
            report.gaveUp = true
        }
    }

    /// Nil for a frame that has no place in this archive.
    private mutating func accepted(_ place: FramePlace, _ payload: [UInt8], at offset: UInt64) throws -> SalvagedFrame? {
        var contents: ArchiveContents?
        if place.kind == .contents {
            guard let decoded = try? ArchiveContents(decoding: payload), fits(decoded, place) else { return nil }
            contents = decoded
        }
        guard place.isLast == (place.kind == .contents) else { return nil }
        if !isIDSettled { try settleID(place.archive) }
        guard place.archive == id, numbers.insert(place.number).inserted else { return nil }
        return SalvagedFrame(number: place.number, kind: place.kind, offset: offset, payload: payload, contents: contents)
    }

    private func fits(_ contents: ArchiveContents, _ place: FramePlace) -> Bool {
        contents.number == name.number && contents.kind == name.kind && contents.time == name.time
            && place.number == UInt32(clamping: contents.frames.count)
    }

    /// Decides on the archive's id: what the header says if any frame agrees, else that of the first frame.
    ///
    /// Where they differ, either the header is damaged or the frame was put there: the frames behind it tell.
    private mutating func settleID(_ first: ArchiveID) throws {
        isIDSettled = true
        guard let claimed = id else {
            id = first
            return
        }
        if claimed == first { return }
        var ahead = self
        if try ahead.hasNext() { return }
        id = first
        report.isHeaderWhole = false
        report.bytesPassedOver += UInt64(ArchiveHeader.size)
    }

    private mutating func hasNext() throws -> Bool {
        while true {
            do {
                return try next() != nil
            } catch is StorageError {
                continue
            }
        }
    }
}
