// One directory against what is known of it: the inner loop of every scan.
// In: DirectoryTask.  Out: additions to a SnapshotPlan; the subdirectories to go on with.
// Invariant: nothing is deleted that was not seen to be gone: an error, a mount or an incomplete list keeps what is known.
// Not Sendable: each thread has its own, with buffers that serve one directory after the other.

internal import Cataloging
internal import Kernel

/// What all threads of one scan share.
struct ScanContext: Sendable {
    let state: any KnownState
    let rules: ExcludeRules
    let rereading: Rereading
    let knownSources: [Path]
    let isCancelled: @Sendable () -> Bool
}

final class DirectoryComparison {
    let context: ScanContext
    var plan = SnapshotPlan()
    /// Found in the latest directory, in ascending order.
    var subdirectories: [DirectoryTask] = []
    /// When set, only these and new ones are put into `subdirectories`.
    var wanted: ((Path) -> Bool)?
    /// Inodes of files with several names of which one differs.
    var links: Set<UInt64> = []

    private let names = DirectoryNames()
    /// Path of the entry in hand; the directory's part stays.
    private(set) var path: [UInt8] = []
    private(set) var directoryCount = 0

    init(_ context: ScanContext) {
        self.context = context
    }

    /// A directory that is open, with the rules for its names.
    struct Place: ~Copyable {
        let task: DirectoryTask
        let descriptor: Descriptor
        var scope: ExcludeScope
        /// A cache or marked not to be dumped: everything in it but a CACHEDIR.TAG is left out.
        var contentRule: RuleOrigin?
    }

    // MARK: Whole directories

    /// Compares all names of a directory and everything known of it.
    func compare(_ task: DirectoryTask) throws {
        subdirectories.removeAll(keepingCapacity: true)
        if context.isCancelled() { throw ScanCancelled() }
        guard var place = open(task) else { return }
        var isComplete = true
        do throws(Errno) {
            try names.read(place.descriptor)
        } catch {
            isComplete = false
            note(error, .listing, task)
        }
        let known = try task.node.map { try context.state.liveChildren(of: $0) } ?? []
        plan.counts.directories += 1
        readRules(&place, isPresent: { names.index(of: $0) != nil })
        try merge(place, known, isComplete: isComplete)
    }

    private func merge(_ place: borrowing Place, _ known: [KnownChild], isComplete: Bool) throws {
        var index = 0
        var knownIndex = 0
        while index < names.count || knownIndex < known.count {
            let order: Int
            if index == names.count {
                order = -1
            } else if knownIndex == known.count {
                order = 1
            } else {
                order = known[knownIndex].name.withUnsafeBufferPointer { DirectoryNames.order($0, names.name(at: index)) }
            }
            if order < 0 {
                if isComplete {
                    setPath(known[knownIndex].name)
                    try delete(Known(known[knownIndex]))
                }
                knownIndex += 1
                continue
            }
            let child = order == 0 ? Known(known[knownIndex]) : nil
            try examine(names.terminatedName(at: index), names.name(at: index), names.kind(at: index), child, place)
            index += 1
            if order == 0 { knownIndex += 1 }
        }
    }

    // MARK: Some names

    /// Compares only these names of a directory.
    func compare(_ task: DirectoryTask, names: [[UInt8]]) throws {
        subdirectories.removeAll(keepingCapacity: true)
        if context.isCancelled() { throw ScanCancelled() }
        guard var place = open(task) else { return }
        readRules(&place, isPresent: { _ in true })
        for name in names {
            let path = task.path.appending(name)
            let known = try context.state.liveStatus(path).map {
                Known(node: $0.kind == .directory ? try context.state.node(of: path) : nil, status: $0)
            }
            let terminated = name[...].terminated
            try name.withUnsafeBufferPointer { bytes in
                // Both buffers live for the whole call.
                try terminated.withUnsafeBufferPointer { pointer in
                    guard let first = pointer.baseAddress else { return }
                    try examine(first, bytes, nil, known, place)
                }
            }
        }
    }

    // MARK: Opening

    /// Nil when it cannot be opened: then what is known of its content stays.
    func open(_ task: DirectoryTask) -> Place? {
        path = task.path.bytes
        if !path.isEmpty { path.append(slash) }
        directoryCount = path.count
        do throws(Errno) {
            return Place(task: task, descriptor: try task.source.open(task.path), scope: task.scope)
        } catch {
            note(error, .listing, task)
            return nil
        }
    }

    private func note(_ error: Errno, _ step: ScanProblem.Step, _ task: DirectoryTask) {
        let problem = ScanProblem(path: task.path, errno: error, step: step)
        if task.isSource {
            plan.unavailable.append(UnavailableSource(path: task.path, errno: error))
        } else if !problem.isVanished {
            plan.problems.append(problem)
        }
    }

    func readRules(_ place: inout Place, isPresent: ([UInt8]) -> Bool) {
        if context.rules.settings.defaults, !place.task.isSource {
            let tag = ExcludeRules.cacheTagName
            if isPresent(tag), let bytes = contents(tag, place, limit: ExcludeRules.cacheTagSignature.count) {
                let path = place.task.path
                if bytes == ExcludeRules.cacheTagSignature { place.contentRule = RuleOrigin(text: path.bytes, place: .cacheDirectory(path)) }
            }
            if hasNoDump(place.descriptor) {
                let path = place.task.path
                place.contentRule = RuleOrigin(text: path.bytes, place: .noDump(path))
                plan.counts.noDump += 1
            }
        }
        for name in context.rules.ignoreFileNames where isPresent(name) {
            guard let bytes = contents(name, place, limit: ExcludeRules.ignoreFileLimit) else { continue }
            place.scope.add(ignoreFile: place.task.path.appending(name), contents: bytes)
        }
    }

    private func contents(_ name: [UInt8], _ place: borrowing Place, limit: Int) -> [UInt8]? {
        do throws(Errno) {
            return try ExcludeRules.contents(of: name[...].terminated, in: place.descriptor, limit: limit)
        } catch {
            let problem = ScanProblem(path: place.task.path.appending(name), errno: error, step: .ignoreFile)
            if !problem.isVanished { plan.problems.append(problem) }
            return nil
        }
    }

    // MARK: The path in hand

    var currentPath: Path { Path(unchecked: path) }

    func setPath(_ name: some Collection<UInt8>) {
        path.removeLast(path.count - directoryCount)
        path.append(contentsOf: name)
    }
}

/// What the newest snapshot knows of the entry in hand.
struct Known {
    /// Of a directory.
    let node: NodeID?
    let status: KnownStatus

    init(node: NodeID?, status: KnownStatus) {
        self.node = node
        self.status = status
    }

    init(_ child: KnownChild) {
        self.init(node: child.node, status: child.status)
    }
}

/// Source: ioctl_iflags(2), FS_NODUMP_FL.
let noDumpFlag: UInt32 = 0x40
