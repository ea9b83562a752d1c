// Which number each marked directory has, and what its events are in the words of inotify.
// In: handles, FanotifyEvent.  Out: numbers, one after the other; InotifyEvent.
// Invariant: pure. The kernel adds what happens to a name to an event that waits already, if that is of the same process: an
// event may tell of several things in no order, and of one that happened after what the next events tell. Therefore each event
// of a directory's name ends with a `created`, at which the watcher looks at what stands there now: nothing, what it knows, or
// a directory to watch. Source: fanotify(7), "FAN_REPORT_NAME".

import Kernel

struct MarkTable {
    private struct Row {
        var handle: FileHandle
        /// 0 for a row that is not used.
        var number: Int32
    }

    private var rows: [Row] = []
    private var free: [Int32] = []
    private var byHandle = IndexTable()
    private var byNumber = IndexTable()
    private var last: Int32 = 0
    /// Of the latest rename.
    private var cookie: UInt32 = 0

    /// Stands for every directory that is not marked.
    static let stranger: Int32 = 0

    var count: Int { byNumber.count }

    func number(of handle: FileHandle) -> Int32? {
        byHandle.first(hash: MarkTable.hash(handle)) { rows[Int($0)].handle == handle }.map { rows[Int($0)].number }
    }

    func numbers(where isIncluded: (FileHandle) -> Bool) -> Set<Int32> {
        Set(rows.filter { $0.number != MarkTable.stranger && isIncluded($0.handle) }.map(\.number))
    }

    /// Gives a number to a directory that has none.
    mutating func add(_ handle: FileHandle) -> Int32 {
        // After 2^31 of them some of the first may still be in use.
        repeat { last = last == .max ? 1 : last + 1 } while row(of: last) != nil
        let row = free.popLast() ?? Int32(rows.count)
        if Int(row) == rows.count { rows.append(Row(handle: handle, number: last)) } else { rows[Int(row)] = Row(handle: handle, number: last) }
        byHandle.insert(hash: MarkTable.hash(handle), row)
        byNumber.insert(hash: WatchTree.hash(last), row)
        return last
    }

    mutating func remove(_ number: Int32) {
        guard let row = row(of: number) else { return }
        byHandle.remove(hash: MarkTable.hash(rows[Int(row)].handle), row)
        byNumber.remove(hash: WatchTree.hash(number), row)
        rows[Int(row)].number = MarkTable.stranger
        free.append(row)
    }

    private func row(of number: Int32) -> Int32? {
        byNumber.first(hash: WatchTree.hash(number)) { rows[Int($0)].number == number }
    }

    private static func hash(_ handle: FileHandle) -> UInt32 { UInt32(truncatingIfNeeded: handle.hashValue) }
}

extension MarkTable {
    /// Gives what inotify would have said.
    mutating func translate(_ event: FanotifyEvent, _ body: (InotifyEvent) -> Void) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        if event.kinds.contains(.overflowed) {
            return body(InotifyEvent(watch: -1, kinds: event.kinds, name: nothing))
        }
        if event.kinds.contains(.renamed) { return translateRename(event, body) }
        guard let watch = event.directory.flatMap(number(of:)) else {
            // Perhaps one that could not be read until now.
            if event.name.isEmpty, event.kinds.contains(.attributes) {
                body(InotifyEvent(watch: MarkTable.stranger, kinds: event.kinds, name: nothing))
            }
            return
        }
        if event.name.isEmpty {
            body(InotifyEvent(watch: watch, kinds: event.kinds, name: nothing))
            if event.kinds.contains(.selfDeleted) {
                remove(watch)
                body(InotifyEvent(watch: watch, kinds: .ignored, name: nothing))
            }
            return
        }
        guard event.kinds.contains(.isDirectory) else { return body(InotifyEvent(watch: watch, kinds: event.kinds, name: event.name)) }
        for kind in [.movedFrom, .deleted] as [Inotify.Events] where event.kinds.contains(kind) {
            body(InotifyEvent(watch: watch, kinds: [kind, .isDirectory], name: event.name))
        }
        body(InotifyEvent(watch: watch, kinds: event.kinds.intersection(.movedTo).union([.created, .isDirectory]), name: event.name))
    }

    private mutating func translateRename(_ event: FanotifyEvent, _ body: (InotifyEvent) -> Void) {
        let kind = event.kinds.intersection(.isDirectory)
        let source = event.directory.flatMap(number(of:))
        cookie = cookie == .max ? 1 : cookie + 1
        if let source { body(InotifyEvent(watch: source, kinds: kind.union(.movedFrom), cookie: cookie, name: event.name)) }
        if let target = event.target, let watch = number(of: target.directory) {
            body(InotifyEvent(watch: watch, kinds: kind.union(.movedTo), cookie: cookie, name: target.name))
        }
        if let source, !kind.isEmpty { body(InotifyEvent(watch: source, kinds: [.created, .isDirectory], name: event.name)) }
    }
}
