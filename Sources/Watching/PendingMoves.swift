// Directories between the two halves of their rename.
// In: MOVED_FROM, and directories whose place another one took.  Out: the watch that a MOVED_TO belongs to.
// Invariant: at most `capacity`; more than that are given up, which costs only that they are watched anew.
// Source: inotify(7), "Dealing with rename() events": the halves are usually, but not always, neighbours.

struct PendingMoves {
    struct Move {
        var watch: Int32
        /// Of the rename; 0 for a directory that was displaced, whose own event must follow when the two were exchanged.
        var cookie: UInt32
        /// Where a displaced one stood.
        var parent: Int32 = -1
        var name: [UInt8] = []
    }

    static let capacity = 64
    private var moves: [Move] = []

    var isEmpty: Bool { moves.isEmpty }

    /// - Returns: The watch of one that has to be given up for it.
    mutating func append(_ move: Move) -> Int32? {
        moves.append(move)
        return moves.count > PendingMoves.capacity ? moves.removeFirst().watch : nil
    }

    /// The directory whose first half had this cookie.
    mutating func take(cookie: UInt32) -> Int32? {
        guard cookie != 0, let index = moves.firstIndex(where: { $0.cookie == cookie }) else { return nil }
        return moves.remove(at: index).watch
    }

    /// The directory that stood at this place until another took it.
    mutating func takeDisplaced(parent: Int32, name: UnsafeRawBufferPointer) -> Int32? {
        let index = moves.firstIndex { $0.cookie == 0 && $0.parent == parent && $0.name.elementsEqual(name) }
        return index.map { moves.remove(at: $0).watch }
    }

    mutating func remove(watch: Int32) {
        moves.removeAll { $0.watch == watch }
    }

    mutating func takeAll() -> [Int32] {
        let result = moves.map(\.watch)
        moves = []
        return result
    }
}
