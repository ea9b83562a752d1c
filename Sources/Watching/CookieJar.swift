// Proof that all earlier events have been handled: a file whose own event stands behind them in the queue.
// In: callers that wait.  Out: each is woken when its cookie has come through both threads, or was lost in an overflow.
// Invariant: a cookie is a file in a private directory, unlinked as soon as it is made; never one in a source.
// Source: the cookies of Watchman, "Query Synchronization".

import Kernel

final class CookieJar: Sendable {
    enum Fate {
        case waiting, arrived, lost
    }

    /// One caller that waits.
    final class Waiter: Sendable {
        let number: UInt64
        let wakeUp: WakeUp

        init(number: UInt64) throws(Errno) {
            self.number = number
            wakeUp = try WakeUp()
        }
    }

    private struct Entry {
        var waiter: Waiter
        var fate: Fate
    }

    let directory: Path
    /// What names of cookies begin with, different for each watcher that uses the directory.
    let prefix: [UInt8]
    private let entries = Monitor<[UInt64: Entry]>([:])
    private let lastNumber = Monitor<UInt64>(0)

    init(directory: Path) {
        self.directory = directory
        prefix = Array("cookie-\(ProcessIdentity.pid)-\(UInt32.random(in: 0 ... .max))-".utf8)
    }

    func add() throws(Errno) -> Waiter {
        let number = lastNumber.withLock { last in
            last += 1
            return last
        }
        let waiter = try Waiter(number: number)
        entries.withLock { $0[number] = Entry(waiter: waiter, fate: .waiting) }
        return waiter
    }

    /// Makes the file and takes it away again.
    func place(_ waiter: Waiter, in directory: borrowing Descriptor) throws(Errno) {
        let name = (prefix + Array("\(waiter.number)".utf8)).map { CChar(bitPattern: $0) } + [0]
        _ = try Descriptor.open(name, in: directory, [.write, .create, .exclusive, .noFollow], mode: 0o600)
        try directory.remove(name)
    }

    /// The number in the name of a cookie of this jar.
    func number(in name: UnsafeRawBufferPointer) -> UInt64? {
        guard name.starts(with: prefix) else { return nil }
        return UInt64(String(decoding: name.dropFirst(prefix.count), as: UTF8.self))
    }

    func arrived(_ number: UInt64) { settle(.arrived) { $0 == number } }

    func loseAll() { settle(.lost) { _ in true } }

    func remove(_ waiter: Waiter) -> Fate {
        entries.withLock { $0.removeValue(forKey: waiter.number)?.fate ?? .lost }
    }

    private func settle(_ fate: Fate, _ concerns: (UInt64) -> Bool) {
        entries.withLock { entries in
            for (number, entry) in entries where entry.fate == .waiting && concerns(number) {
                entries[number]?.fate = fate
                entry.waiter.wakeUp.signal()
            }
        }
    }
}
