// Calls to the file system that fail when a test says so. Preloaded.
// In:  TEST_FAULT_BELOW, a path: only what lies there counts. TEST_FAULT_RECORD, a file that holds a `struct record`, in which the
//      test may change the orders at any time.
// Out: in the same file how many calls of each kind there were, how many failed, and on which path the first did.
// Invariant: a call that fails has not happened.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// The order is that of `KINDS` in faults.py.
enum kind { OPEN, CREATE, READ, WRITE, SYNC, RENAME, LINK, UNLINK, MAKE, STATUS, LIST, READLINK, TRUNCATE, SEEK, ATTRIBUTE, SET, LOCK,
            SPACE };

enum manner { FAILING, SHORTENED, SLOWED };

struct record {
    _Atomic uint32_t calls[32];
    _Atomic uint32_t failed;
    // The orders: which call of which kind (from 1; 0 for none), that one alone or all from it on, and how.
    _Atomic uint32_t kind, at, ever, manner, error;
    char path[PATH_MAX];
};

static struct record *record;
static const char *below;
static size_t below_length;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void) {
    const char *file = getenv("TEST_FAULT_RECORD");
    below = getenv("TEST_FAULT_BELOW");
    if (!file || !below) return;
    below_length = strlen(below);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *start = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (start != MAP_FAILED) record = start;
}

// The path that `name` below `directory`, or the descriptor alone, stands for.
static void resolve(int directory, const char *name, char path[PATH_MAX]) {
    if (name && *name == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    char link[40];
    if (directory == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) length = 0;
    path[length] = 0;
    if (name && *name && strcmp(name, ".") != 0) snprintf(path + length, (size_t)(PATH_MAX - length), "/%s", name);
}

enum verdict { GO, FAIL, SHORT };

static enum verdict look(enum kind called, int directory, const char *name) {
    int saved = errno;
    pthread_once(&once, begin);
    if (!record) return GO;
    char path[PATH_MAX];
    resolve(directory, name, path);
    errno = saved;
    if (strncmp(path, below, below_length) != 0 || (path[below_length] && path[below_length] != '/')) return GO;
    uint32_t number = atomic_fetch_add(&record->calls[called], 1) + 1;
    if (record->at == 0 || called != record->kind || number < record->at || (number > record->at && !record->ever)) return GO;
    if (atomic_fetch_add(&record->failed, 1) == 0) snprintf(record->path, sizeof record->path, "%s", path);
    if (record->manner == SLOWED) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        errno = saved;
        return GO;
    }
    errno = (int)record->error;
    return record->manner == SHORTENED ? SHORT : FAIL;
}

#define ORIGINAL(result, name, ...) \
    static result (*original)(__VA_ARGS__); \
    if (!original) original = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

// One definition for a name and its other names: with 64 the same on this machine.
#define PLAIN(result, failure, name, called, directory, path, declared, passed) \
    result name declared { \
        static result (*original) declared; \
        if (!original) original = (result (*) declared)dlsym(RTLD_NEXT, #name); \
        return look(called, directory, path) == GO ? original passed : failure; \
    }

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
        ORIGINAL(int, name, const char *, int, ...); \
        return look(flags & O_CREAT ? CREATE : OPEN, AT_FDCWD, path) == GO ? original(path, flags, mode) : -1; \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name) \
    int name(int directory, const char *path, int flags, ...) { \
        va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
        ORIGINAL(int, name, int, const char *, int, ...); \
        return look(flags & O_CREAT ? CREATE : OPEN, directory, path) == GO ? original(directory, path, flags, mode) : -1; \
    }
OPENING_AT(openat)
OPENING_AT(openat64)
PLAIN(DIR *, NULL, opendir, OPEN, AT_FDCWD, path, (const char *path), (path))

#define MOVING(name, type, called, ...) \
    ssize_t name(int fd, type buffer, size_t count __VA_OPT__(, off_t offset)) { \
        ORIGINAL(ssize_t, name, int, type, size_t __VA_OPT__(, off_t)); \
        enum verdict verdict = look(called, fd, NULL); \
        if (verdict == FAIL) return -1; \
        if (verdict == SHORT && count > 1) count = 1; \
        return original(fd, buffer, count __VA_OPT__(, offset)); \
    }
MOVING(read, void *, READ)
MOVING(pread, void *, READ, offset)
MOVING(pread64, void *, READ, offset)
MOVING(write, const void *, WRITE)
MOVING(pwrite, const void *, WRITE, offset)
MOVING(pwrite64, const void *, WRITE, offset)
PLAIN(ssize_t, -1, writev, WRITE, fd, NULL, (int fd, const struct iovec *parts, int count), (fd, parts, count))

PLAIN(int, -1, fsync, SYNC, fd, NULL, (int fd), (fd))
PLAIN(int, -1, fdatasync, SYNC, fd, NULL, (int fd), (fd))
PLAIN(int, -1, rename, RENAME, AT_FDCWD, to, (const char *from, const char *to), (from, to))
PLAIN(int, -1, renameat, RENAME, target, to, (int source, const char *from, int target, const char *to), (source, from, target, to))
PLAIN(int, -1, link, LINK, AT_FDCWD, to, (const char *from, const char *to), (from, to))
PLAIN(int, -1, linkat, LINK, target, to, (int source, const char *from, int target, const char *to, int flags), (source, from, target, to, flags))
PLAIN(int, -1, symlink, MAKE, AT_FDCWD, path, (const char *text, const char *path), (text, path))
PLAIN(int, -1, symlinkat, MAKE, directory, path, (const char *text, int directory, const char *path), (text, directory, path))
PLAIN(int, -1, mkdir, MAKE, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
PLAIN(int, -1, mkdirat, MAKE, directory, path, (int directory, const char *path, mode_t mode), (directory, path, mode))
PLAIN(int, -1, mknodat, MAKE, directory, path, (int directory, const char *path, mode_t mode, dev_t device), (directory, path, mode, device))
PLAIN(int, -1, unlink, UNLINK, AT_FDCWD, path, (const char *path), (path))
PLAIN(int, -1, unlinkat, UNLINK, directory, path, (int directory, const char *path, int flags), (directory, path, flags))

PLAIN(int, -1, stat, STATUS, AT_FDCWD, path, (const char *path, struct stat *status), (path, status))
PLAIN(int, -1, stat64, STATUS, AT_FDCWD, path, (const char *path, struct stat64 *status), (path, status))
PLAIN(int, -1, lstat, STATUS, AT_FDCWD, path, (const char *path, struct stat *status), (path, status))
PLAIN(int, -1, lstat64, STATUS, AT_FDCWD, path, (const char *path, struct stat64 *status), (path, status))
PLAIN(int, -1, fstat, STATUS, fd, NULL, (int fd, struct stat *status), (fd, status))
PLAIN(int, -1, fstat64, STATUS, fd, NULL, (int fd, struct stat64 *status), (fd, status))
PLAIN(int, -1, fstatat, STATUS, directory, path, (int directory, const char *path, struct stat *status, int flags), (directory, path, status, flags))
PLAIN(int, -1, fstatat64, STATUS, directory, path, (int directory, const char *path, struct stat64 *status, int flags), (directory, path, status, flags))
PLAIN(int, -1, statx, STATUS, directory, path, (int directory, const char *path, int flags, unsigned int mask, struct statx *status), (directory, path, flags, mask, status))
PLAIN(int, -1, access, STATUS, AT_FDCWD, path, (const char *path, int mode), (path, mode))
PLAIN(int, -1, statfs, SPACE, AT_FDCWD, path, (const char *path, struct statfs *status), (path, status))
PLAIN(int, -1, fstatfs, SPACE, fd, NULL, (int fd, struct statfs *status), (fd, status))
PLAIN(struct dirent *, NULL, readdir, LIST, dirfd(stream), NULL, (DIR *stream), (stream))
PLAIN(struct dirent64 *, NULL, readdir64, LIST, dirfd(stream), NULL, (DIR *stream), (stream))
PLAIN(ssize_t, -1, readlink, READLINK, AT_FDCWD, path, (const char *path, char *buffer, size_t count), (path, buffer, count))
PLAIN(ssize_t, -1, readlinkat, READLINK, directory, path, (int directory, const char *path, char *buffer, size_t count), (directory, path, buffer, count))
PLAIN(int, -1, ftruncate, TRUNCATE, fd, NULL, (int fd, off_t size), (fd, size))
PLAIN(int, -1, ftruncate64, TRUNCATE, fd, NULL, (int fd, off64_t size), (fd, size))
PLAIN(off_t, -1, lseek, SEEK, fd, NULL, (int fd, off_t offset, int whence), (fd, offset, whence))
PLAIN(off64_t, -1, lseek64, SEEK, fd, NULL, (int fd, off64_t offset, int whence), (fd, offset, whence))

PLAIN(ssize_t, -1, flistxattr, ATTRIBUTE, fd, NULL, (int fd, char *list, size_t size), (fd, list, size))
PLAIN(ssize_t, -1, llistxattr, ATTRIBUTE, AT_FDCWD, path, (const char *path, char *list, size_t size), (path, list, size))
PLAIN(ssize_t, -1, fgetxattr, ATTRIBUTE, fd, NULL, (int fd, const char *name, void *value, size_t size), (fd, name, value, size))
PLAIN(ssize_t, -1, lgetxattr, ATTRIBUTE, AT_FDCWD, path, (const char *path, const char *name, void *value, size_t size), (path, name, value, size))
PLAIN(int, -1, fsetxattr, SET, fd, NULL, (int fd, const char *name, const void *value, size_t size, int flags), (fd, name, value, size, flags))
PLAIN(int, -1, lsetxattr, SET, AT_FDCWD, path, (const char *path, const char *name, const void *value, size_t size, int flags), (path, name, value, size, flags))
PLAIN(int, -1, fremovexattr, SET, fd, NULL, (int fd, const char *name), (fd, name))
PLAIN(int, -1, lremovexattr, SET, AT_FDCWD, path, (const char *path, const char *name), (path, name))
PLAIN(int, -1, fchmod, SET, fd, NULL, (int fd, mode_t mode), (fd, mode))
PLAIN(int, -1, fchmodat, SET, directory, path, (int directory, const char *path, mode_t mode, int flags), (directory, path, mode, flags))
PLAIN(int, -1, fchown, SET, fd, NULL, (int fd, uid_t owner, gid_t group), (fd, owner, group))
PLAIN(int, -1, fchownat, SET, directory, path, (int directory, const char *path, uid_t owner, gid_t group, int flags), (directory, path, owner, group, flags))
PLAIN(int, -1, futimens, SET, fd, NULL, (int fd, const struct timespec times[2]), (fd, times))
PLAIN(int, -1, utimensat, SET, directory, path, (int directory, const char *path, const struct timespec times[2], int flags), (directory, path, times, flags))
PLAIN(int, -1, flock, LOCK, fd, NULL, (int fd, int operation), (fd, operation))

int ioctl(int fd, unsigned long request, ...) {
    va_list list; va_start(list, request); void *argument = va_arg(list, void *); va_end(list);
    ORIGINAL(int, ioctl, int, unsigned long, ...);
    if (request == FS_IOC_GETFLAGS && look(ATTRIBUTE, fd, NULL) != GO) return -1;
    if (request == FS_IOC_SETFLAGS && look(SET, fd, NULL) != GO) return -1;
    return original(fd, request, argument);
}

// openat2(2) has no other way.
long syscall(long number, ...) {
    va_list list; va_start(list, number);
    long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
    long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
    va_end(list);
    static long (*original)(long, ...);
    if (!original) original = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_openat2) {
        const struct { uint64_t flags, mode, resolve; } *how = (void *)c;
        if (look(how->flags & O_CREAT ? CREATE : OPEN, (int)a, (const char *)b) != GO) return -1;
    }
    return original(number, a, b, c, d, e, f);
}
