// Memory of the C heap, which Swift's objects live in. Source: malloc_trim(3), mallopt(3).

internal import CLinux

public enum HeapMemory {
    /// Lets all threads share two heaps instead of eight for each core: what one frees, another uses. Before threads are made.
    public static func share() {
        _ = clinux_limit_heaps(2)
    }

    /// Gives free pages back to the system. After large work this is most of what the process holds. Cost: milliseconds.
    public static func giveBack() {
        _ = clinux_trim_heap()
    }
}
