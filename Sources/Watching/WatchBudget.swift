// How many directories may be watched, so that other programs can watch some too.
// In: the kernel's limit, what others use of it, the reserve.  Out: the most directories that this watcher takes.

package import Kernel

package struct WatchBudget: Hashable, Sendable {
    /// The most directories to watch, the parents of roots and the private directory not counted. `Int.max` without a limit.
    package var directories: Int
    /// What the kernel allows; nil when it does not tell, or the settings name a number.
    package var limit: KernelLimit?

    package init(directories: Int, limit: KernelLimit? = nil) {
        self.directories = directories
        self.limit = limit
    }

    /// Of what others have left, the reserve stays theirs, so that a login or an editor never fails because of a backup.
    package init(limit: KernelLimit, usedByOthers: Int, reserve: Double) {
        let free = max(0, limit.value - usedByOthers)
        self.init(directories: Int(Double(free) * (1 - min(max(reserve, 0), 1))), limit: limit)
    }

    /// As the system is now.
    static func present(_ settings: WatchSettings, _ queue: any DirectoryQueue) -> WatchBudget {
        if let limit = settings.watchLimit { return WatchBudget(directories: limit) }
        guard let limit = queue.limit() else { return WatchBudget(directories: .max) }
        return WatchBudget(limit: limit, usedByOthers: queue.watchesOfOthers(), reserve: settings.reserveWatches)
    }
}
