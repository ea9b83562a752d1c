// The one place where a C return value becomes a Swift error.
// In: a call that answers -1 and sets errno.  Out: its value, or the errno as a typed error.
// Invariant: EINTR is retried here and nowhere else.

internal import Glibc
@_exported public import SystemPackage

/// Makes a system call, again after EINTR.
///
/// Never inlined into its caller, so that no release of an object stands between the call and the reading of errno.
@inline(never)
func system<Value: FixedWidthInteger & SignedInteger>(_ call: () -> Value) throws(Errno) -> Value {
    while true {
        let value = call()
        if value != -1 { return value }
        let code = errno
        if code != EINTR { throw Errno(rawValue: code) }
    }
}

/// The next entry of a directory, or nil at its end, with `.` and `..`. Again after EINTR, which FUSE and network file systems give.
///
/// - Throws: The errno of getdents64(2), for example EIO. Source: readdir(3).
@inline(never)
func nextEntry(_ stream: OpaquePointer) throws(Errno) -> UnsafeMutablePointer<dirent>? {
    while true {
        errno = 0
        if let entry = readdir(stream) { return entry }
        let code = errno
        if code == 0 { return nil }
        if code != EINTR { throw Errno(rawValue: code) }
    }
}
