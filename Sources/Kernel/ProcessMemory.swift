// Memory that goes back to the system: of the C heap, which Swift's objects live in, and of the program.
// Source: malloc_trim(3), mallopt(3), madvise(2), dl_iterate_phdr(3).

internal import CLinux

public enum HeapMemory {
    /// Lets all threads share two heaps instead of eight for each core: what one frees, another uses. Before threads are made.
    ///
    /// The payloads of the fast lane, 4 MiB, stay in the heaps; those of the deep lane, up to 16 MiB, would leave holes there that
    /// nothing fills, and are mapped instead.
    public static func share() {
        _ = clinux_limit_heaps(2, 6 << 20)
    }

    /// Gives free pages back to the system. After large work this is most of what the process holds. Cost: milliseconds.
    public static func giveBack() {
        _ = clinux_trim_heap()
    }
}

/// Memory that the program itself is in.
public enum ProgramMemory {
    /// Unmaps the pages of the program and its libraries that are as in their files. What began and worked needed most of them; a
    /// process that waits needs few, and finds those in the page cache. Cost: a millisecond, and some microseconds for each page that is
    /// needed again.
    public static func giveBack() {
        clinux_release_program()
    }
}
