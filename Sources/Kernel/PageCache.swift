// What the kernel keeps of a file in memory. Hints: their failure changes nothing.

internal import Glibc

extension Descriptor {
    /// Gives up what the page cache holds of this file, so that the next reading comes from the disk.
    ///
    /// Only pages that are written already are given up: call `synchronize` first. Source: posix_fadvise(2).
    public borrowing func dropFromCache() {
        _ = Glibc.posix_fadvise(rawValue, 0, 0, POSIX_FADV_DONTNEED)
    }
}
