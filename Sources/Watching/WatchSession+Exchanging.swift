// How watches change hands when there are not enough.
// In: a comparison of everything.  Out: watches ended and begun; what was begun is dirty, for its changes were not seen till now.
// Invariant: what a directory had to say before its watch ended has reached the sink.

import Kernel
import Tracking

extension WatchSession {
    func exchange(_ changed: [Path]) {
        let isLimited = state.withLock { $0.unwatched.contains(.watchLimit) }
        let budget = isLimited ? WatchBudget.present(settings, queue) : nil
        let (exchange, hasRoom) = state.withLock { state in
            if let budget { state.limit = budget.directories }
            let exchange = state.exchange(changed: changed)
            return (exchange, isLimited && state.tree.count < state.limit || state.unwatched.hasShortage)
        }
        release(exchange.ending)
        for path in exchange.beginning { watchAlone(path) }
        // The directories in those are listed with the others, and what is left out is named.
        if hasRoom || !exchange.beginning.isEmpty { verify() }
    }

    private func release(_ watches: [Int32]) {
        if watches.isEmpty { return }
        unwatch(watches)
        waitForReader()
        // Their ends took them out of the tree, or were lost in an overflow.
        unwatch(state.withLock { state in watches.flatMap { state.tree.remove($0) } })
    }

    /// Watches a directory, but nothing in it.
    private func watchAlone(_ path: Path) {
        guard let place = path.parent, let parent = state.withLock({ $0.tree.find(place) }) else { return }
        do throws(Errno) {
            let device = try FileStatus(of: place).device
            let directory = try Descriptor.open(path, [.path, .directory, .noFollow])
            let name = Array(path.name)
            let result = name.withUnsafeBytes { attach(directory, parent: parent, parentDevice: device, name: $0, path: path) }
            if case .added = result { sink([Change(path: path, scope: .children)]) }
        } catch {
            leave(path, error)
        }
    }
}
