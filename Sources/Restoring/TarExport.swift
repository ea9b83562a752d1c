// Turns the entries of a snapshot into one tar stream.
// In: entries in tree order.  Out: a POSIX pax tar, to the next stage; a report.
// Invariant: whatever cannot be read, the stream stays a valid tar: an entry whose content fits the window is written only when
// all of it is there; of a larger one missing bytes are zeros, and the report says so.
// Source: POSIX.1-2017, pax; GNU tar and star for SCHILY.xattr.

internal import Archiving
internal import Cataloging
internal import Kernel

final class TarExport {
    /// Entries that a window holds at most, besides its bytes.
    private static let itemLimit = 20_000
    /// Bytes that are gathered before they go to the next stage.
    private static let bufferLimit = 256 << 10
    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)

    private(set) var report = ExportReport()
    private let catalog: Catalog
    private let queue: FrameQueue
    private let next: any ExportStage
    private let window: ContentWindow
    private let progress: (RestoreProgress) -> Void
    private var buffer: [UInt8] = []
    private var firstNames: [FileIdentity: Path] = [:]
    private var omitted: Set<Path> = []

    init(
        catalog: Catalog, queue: FrameQueue, to next: any ExportStage, windowLimit: Int,
        progress: @escaping (RestoreProgress) -> Void
    ) {
        self.catalog = catalog
        self.queue = queue
        self.next = next
        self.progress = progress
        window = ContentWindow(limit: windowLimit)
        buffer.reserveCapacity(2 * TarExport.bufferLimit)
    }

    /// Adds the next entry.
    ///
    /// - Throws: `ExchangeError.cancelled`; what the catalog and the next stage throw. The stream is then of no use.
    func add(_ entry: Entry) throws {
        if queue.isCancelled() { throw ExchangeError(.cancelled, "the export was cancelled", path: nil) }
        if window.items.count >= TarExport.itemLimit { try flush() }
        if let identity = FileIdentity(entry) {
            if let first = firstNames[identity] { return window.append(ContentWindow.Item(entry: entry.withoutChunks, first: first)) }
            firstNames[identity] = entry.path
        }
        if entry.kind == .file { try addFile(entry) } else { window.append(ContentWindow.Item(entry: entry)) }
    }

    /// Writes what is left, and the end of the tar file, and ends the next stages.
    func finish() throws {
        try flush()
        buffer += repeatElement(0, count: TarWriter.endCount)
        try giveBuffer()
        try next.finish()
    }

    private func addFile(_ entry: Entry) throws {
        guard ContentLayout.fills(entry.size, entry.content) else {
            return omit(entry.path, "its chunks and holes do not add up to its size")
        }
        let count = entry.content.chunks.reduce(0) { $0 + Int($1.length) }
        if count > window.remaining { try flush() }
        if count > window.limit {
            let locations = try catalog.locations(of: entry.content.chunks)
            if let lost = zip(entry.content.chunks, locations).first(where: { $1?.length != $0.length }) {
                return omit(entry.path, "its chunk \(lost.0.digest) is in no archive")
            }
        }
        window.append(ContentWindow.Item(entry: entry.withoutChunks))
        var layout = ContentLayout(holes: entry.content.holes)
        var end: UInt64 = 0
        for chunk in entry.content.chunks {
            if Int(chunk.length) > window.remaining {
                window.interrupt()
                try flush()
                window.append(ContentWindow.Item(entry: entry.withoutChunks, isFirst: false))
            }
            let place = layout.place(chunk.length)
            window.append(zeros: place - end)
            window.append(chunk)
            end = place + UInt64(chunk.length)
        }
        window.append(zeros: entry.size - end)
    }

    private func flush() throws {
        try window.fetch(queue) { try catalog.locations(of: $0) }
        for item in window.items {
            if queue.isCancelled() { throw ExchangeError(.cancelled, "the export was cancelled", path: nil) }
            try write(item)
        }
        window.removeAll()
    }

    private func write(_ item: ContentWindow.Item) throws {
        let entry = item.entry
        if item.isFirst {
            if let first = item.first, omitted.contains(first) {
                return omit(entry.path, "it is another name of \(first), which is left out")
            }
            if item.isLast, let failure = item.failure { return omit(entry.path, failure) }
            guard let header = TarEntry(entry, linkedTo: item.first) else { return report.sockets.append(entry.path) }
            TarWriter.append(header: header, to: &buffer)
            count(header)
        }
        if let failure = item.failure, report.problems.last?.path != entry.path {
            report.problems.append(ExportProblem(path: entry.path, reason: failure, effect: .zeroed))
        }
        for segment in item.segments { try write(segment) }
        if item.isLast, entry.kind == .file, item.first == nil { TarWriter.append(paddingAfter: entry.size, to: &buffer) }
        if buffer.count >= TarExport.bufferLimit { try giveBuffer() }
        if entry.kind == .file { progress(RestoreProgress(files: report.files, bytes: report.bytes)) }
    }

    private func write(_ segment: ContentWindow.Segment) throws {
        switch segment {
        case .bytes(let range):
            report.bytes += UInt64(range.count)
            try write(UnsafeRawBufferPointer(rebasing: window.buffer[range]))
        case .zeros(let count):
            report.bytes += count
            var remaining = count
            while remaining > 0 {
                if queue.isCancelled() { throw ExchangeError(.cancelled, "the export was cancelled", path: nil) }
                let part = Int(min(remaining, UInt64(TarExport.zeros.count)))
                try TarExport.zeros.withUnsafeBytes { try write(UnsafeRawBufferPointer(rebasing: $0[..<part])) }
                remaining -= UInt64(part)
            }
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        if buffer.count + bytes.count <= TarExport.bufferLimit { return buffer.append(contentsOf: bytes) }
        try giveBuffer()
        try next.write(bytes)
    }

    /// The next stages compress, which takes seconds for what is gathered here.
    private func giveBuffer() throws {
        if queue.isCancelled() { throw ExchangeError(.cancelled, "the export was cancelled", path: nil) }
        try buffer.withUnsafeBytes { if !$0.isEmpty { try next.write($0) } }
        buffer.removeAll(keepingCapacity: true)
    }

    private func omit(_ path: Path, _ reason: String) {
        omitted.insert(path)
        report.problems.append(ExportProblem(path: path, reason: reason, effect: .omitted))
    }

    private func count(_ header: TarEntry) {
        switch header.kind {
        case .file: report.files += 1
        case .directory: report.directories += 1
        default: report.others += 1
        }
    }
}

extension Entry {
    fileprivate var withoutChunks: Entry {
        var entry = self
        entry.content = .empty
        return entry
    }
}
