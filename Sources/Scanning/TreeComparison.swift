// Whole trees, directory by directory, on one thread at first and on several when there is much.
// In: directories.  Out: what differs in and below them, in no particular order.
// Each thread keeps a stack of its own; one that has nothing to do is given half of another's. Memory grows with the
// differences and with the width of the tree, not with its entries.

internal import Kernel
internal import Synchronization

struct TreeComparison {
    let context: ScanContext
    let workers: Int
    let priority: ThreadPriority

    struct Findings: Sendable {
        var plan = SnapshotPlan()
        var links: Set<UInt64> = []

        mutating func add(_ comparison: DirectoryComparison) {
            plan.add(comparison.plan)
            links.formUnion(comparison.links)
        }
    }

    /// Directories that one thread compares before it asks for help: starting threads costs as much as a few of them.
    private static let aloneCount = 64

    /// - Throws: The first error of the known state, or `ScanCancelled`, after all threads have ended.
    func run(_ tasks: [DirectoryTask]) throws -> Findings {
        let comparison = DirectoryComparison(context)
        var stack: [DirectoryTask] = tasks.reversed()
        var visited = 0
        while visited < TreeComparison.aloneCount || workers == 1, let task = stack.popLast() {
            try comparison.compare(task)
            stack.append(contentsOf: comparison.subdirectories.reversed())
            visited += 1
        }
        var findings = Findings(plan: comparison.plan, links: comparison.links)
        if stack.isEmpty { return findings }
        let pool = TreeComparisonPool(tasks: stack, workers: workers)
        runHelpers(workers - 1, pool)
        let rest = try pool.findings()
        findings.plan.add(rest.plan)
        findings.links.formUnion(rest.links)
        return findings
    }

    /// Works on this thread and on `count` others, and waits for them.
    private func runHelpers(_ count: Int, _ pool: TreeComparisonPool) {
        // A thread that cannot be started is one that does not help.
        guard count > 0, let thread = try? Thread(name: "scan", priority: priority, { pool.work(context) }) else {
            pool.work(context)
            return
        }
        runHelpers(count - 1, pool)
        thread.join()
    }
}

/// What the threads share.
private final class TreeComparisonPool: Sendable {
    private struct Shared {
        var tasks: [DirectoryTask]
        var working = 0
        var failure: (any Error)?
        var findings = TreeComparison.Findings()
    }

    private let shared: Monitor<Shared>
    /// Threads that wait for tasks; read without the lock after every directory.
    private let waiting = Atomic<Int>(0)
    /// One has failed: the others end after the directory in hand.
    private let isStopped = Atomic<Bool>(false)

    init(tasks: [DirectoryTask], workers: Int) {
        shared = Monitor(Shared(tasks: tasks))
    }

    func findings() throws -> TreeComparison.Findings {
        try shared.withLock {
            if let failure = $0.failure { throw failure }
            return $0.findings
        }
    }

    func work(_ context: ScanContext) {
        let comparison = DirectoryComparison(context)
        do {
            while var stack = take() {
                while !isStopped.load(ordering: .relaxed), let task = stack.popLast() {
                    try comparison.compare(task)
                    stack.append(contentsOf: comparison.subdirectories.reversed())
                    if stack.count > 1, waiting.load(ordering: .relaxed) > 0 { give(&stack) }
                }
                shared.withLock { $0.working -= 1 }
            }
            shared.withLock {
                $0.findings.add(comparison)
            }
        } catch {
            isStopped.store(true, ordering: .relaxed)
            shared.withLock { if $0.failure == nil { $0.failure = error } }
        }
    }

    /// Tasks to work on; nil when there are none and nobody is left who could find more.
    private func take() -> [DirectoryTask]? {
        waiting.add(1, ordering: .relaxed)
        defer { waiting.subtract(1, ordering: .relaxed) }
        return shared.wait { state -> [DirectoryTask]?? in
            if state.failure != nil { return .some(nil) }
            if state.tasks.isEmpty { return state.working == 0 ? .some(nil) : nil }
            let half = (state.tasks.count + 1) / 2
            let taken = Array(state.tasks.suffix(half))
            state.tasks.removeLast(half)
            state.working += 1
            return .some(taken)
        }
    }

    /// Gives away the half that was found first: those are the largest trees.
    private func give(_ stack: inout [DirectoryTask]) {
        let half = stack.count / 2
        let given = Array(stack.prefix(half))
        stack.removeFirst(half)
        shared.withLock { $0.tasks += given }
    }
}
