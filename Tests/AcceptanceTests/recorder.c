// Records every call that changes files below a directory, with its data, in the order in which the calls took effect. Preloaded.
// In:  RECORDER_ROOT, the directory (an absolute path without symlinks); RECORDER_LOG, a file outside it.
// Out: the log, one record a call: 'length | call | inode | number | two paths | data', as crash_states.py reads it.
// Invariant: a call and its record are one step for all threads and processes. What cannot be recorded ends the program, so that no
// log is taken for whole that is not. SQLite's shared memory (*-shm) is left out: it is made anew by whoever opens the file first.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { CREATE = 1, WRITE, RESIZE, SYNC, SYNC_ALL, RENAME, LINK, UNLINK, MAKE_DIRECTORY, REMOVE_DIRECTORY, MODE };

#define REAL(name) ((__typeof__(&name))real(#name))
#define EXPORT __attribute__((visibility("default")))
#define LONGEST 8192

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int logFile = -1;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static void stop(const char *what, const char *path) {
    dprintf(2, "recorder: %s cannot be recorded: %s\n", what, path);
    abort();
}

// The lock is taken before the call and held until its record is written.
static void begin(void) {
    pthread_mutex_lock(&mutex);
    if (logFile < 0) {
        const char *name = getenv("RECORDER_LOG");
        if (name) logFile = REAL(open)(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (logFile < 0) stop("anything", name ? name : "RECORDER_LOG is not set");
    }
    flock(logFile, LOCK_EX);
}

static void end(void) {
    int kept = errno;
    flock(logFile, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = kept;
}

static int isRecorded(const char *path) {
    const char *root = getenv("RECORDER_ROOT");
    size_t length = root ? strlen(root) : 0, count = strlen(path);
    if (!length || strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != 0)) return 0;
    return count < 4 || strcmp(path + count - 4, "-shm") != 0;
}

// The path of an open file; false when it is not one of those that are recorded.
static int pathOf(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int kept = errno;
    ssize_t count = readlink(link, path, LONGEST - 1);
    errno = kept;
    path[count < 0 ? 0 : count] = 0;
    return isRecorded(path);
}

static int locate(int directory, const char *name, char *path) {
    path[0] = 0;
    if (name[0] != '/') {
        if (directory == AT_FDCWD) {
            if (!getcwd(path, LONGEST)) return 0;
        } else {
            pathOf(directory, path);
        }
        strncat(path, "/", LONGEST - strlen(path) - 1);
    }
    strncat(path, name, LONGEST - strlen(path) - 1);
    return isRecorded(path);
}

static uint64_t inodeOf(int file) {
    struct stat status;
    return fstat(file, &status) == 0 ? status.st_ino : 0;
}

static uint64_t inodeAt(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 ? status.st_ino : 0;
}

static void record(enum call call, uint64_t inode, uint64_t number, const char *one, const char *other, const void *data, size_t count) {
    int kept = errno;
    uint32_t lengths[3] = {(uint32_t)strlen(one), (uint32_t)strlen(other), (uint32_t)count};
    size_t total = 4 + 4 + 8 + 8 + sizeof lengths + lengths[0] + lengths[1] + count;
    char *bytes = malloc(total), *at = bytes;
    uint32_t head[2] = {(uint32_t)total, call};
#define PUT(from, size) (memcpy(at, from, size), at += size)
    PUT(head, 8);
    PUT(&inode, 8);
    PUT(&number, 8);
    PUT(lengths, sizeof lengths);
    PUT(one, lengths[0]);
    PUT(other, lengths[1]);
    if (count) PUT(data, count);
    if (REAL(write)(logFile, bytes, total) != (ssize_t)total) stop("a call", one);
    free(bytes);
    errno = kept;
}

// MARK: Opening

static int opening(int directory, const char *name, int flags, int (*perform)(void *), void *context) {
    char path[LONGEST];
    if ((flags & (O_CREAT | O_TRUNC)) == 0 && (flags & O_TMPFILE) != O_TMPFILE) return perform(context);
    if (!locate(directory, name, path)) return perform(context);
    if ((flags & O_TMPFILE) == O_TMPFILE) stop("O_TMPFILE", path);
    begin();
    struct stat before, after;
    int existed = lstat(path, &before) == 0;
    int file = perform(context);
    if (file >= 0 && fstat(file, &after) == 0) {
        if (!existed) record(CREATE, after.st_ino, after.st_mode & 07777, path, "", NULL, 0);
        else if ((flags & O_TRUNC) && before.st_size > 0) record(RESIZE, after.st_ino, 0, path, "", NULL, 0);
    }
    end();
    return file;
}

struct openCall {
    int directory;
    const char *name;
    int flags;
    mode_t mode;
};

static int performOpen(void *context) {
    struct openCall *call = context;
    return REAL(openat)(call->directory, call->name, call->flags, call->mode);
}

static int openAt(int directory, const char *name, int flags, mode_t mode) {
    struct openCall call = {directory, name, flags, mode};
    return opening(directory, name, flags, performOpen, &call);
}

static mode_t modeOf(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(function)                                                  \
    EXPORT int function(const char *name, int flags, ...) {             \
        va_list arguments;                                              \
        va_start(arguments, flags);                                     \
        mode_t mode = modeOf(flags, arguments);                         \
        va_end(arguments);                                              \
        return openAt(AT_FDCWD, name, flags, mode);                     \
    }
#define OPENAT(function)                                                \
    EXPORT int function(int directory, const char *name, int flags, ...) { \
        va_list arguments;                                              \
        va_start(arguments, flags);                                     \
        mode_t mode = modeOf(flags, arguments);                         \
        va_end(arguments);                                              \
        return openAt(directory, name, flags, mode);                    \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

EXPORT int __open_2(const char *name, int flags) { return openAt(AT_FDCWD, name, flags, 0); }
EXPORT int __open64_2(const char *name, int flags) { return openAt(AT_FDCWD, name, flags, 0); }
EXPORT int __openat_2(int directory, const char *name, int flags) { return openAt(directory, name, flags, 0); }
EXPORT int __openat64_2(int directory, const char *name, int flags) { return openAt(directory, name, flags, 0); }
EXPORT int creat(const char *name, mode_t mode) { return openAt(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
EXPORT int creat64(const char *name, mode_t mode) { return creat(name, mode); }

struct rawCall {
    long arguments[6];
};

static int performOpenat2(void *context) {
    long *a = ((struct rawCall *)context)->arguments;
    return (int)REAL(syscall)(SYS_openat2, a[0], a[1], a[2], a[3]);
}

// What has no function in the C library comes this way.
EXPORT long syscall(long number, ...) {
    struct rawCall call;
    va_list arguments;
    va_start(arguments, number);
    for (int index = 0; index < 6; index++) call.arguments[index] = va_arg(arguments, long);
    va_end(arguments);
    long *a = call.arguments;
    switch (number) {
    case SYS_openat2: {
        const struct open_how *how = (const struct open_how *)a[2];
        return opening((int)a[0], (const char *)a[1], (int)how->flags, performOpenat2, &call);
    }
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_ftruncate: case SYS_fsync: case SYS_fdatasync: case SYS_renameat:
    case SYS_renameat2: case SYS_linkat: case SYS_unlinkat: case SYS_mkdirat: case SYS_copy_file_range:
        stop("syscall(2)", "a file");
    }
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// MARK: Content

static ssize_t writing(int file, const void *data, size_t count, off_t offset, int atPosition) {
    char path[LONGEST];
    if (!pathOf(file, path)) return atPosition ? REAL(write)(file, data, count) : REAL(pwrite)(file, data, count, offset);
    begin();
    ssize_t done = atPosition ? REAL(write)(file, data, count) : REAL(pwrite)(file, data, count, offset);
    if (done > 0) {
        if (atPosition) offset = lseek(file, 0, SEEK_CUR) - done;
        else if (fcntl(file, F_GETFL) & O_APPEND) stop("pwrite(2) to the end", path);
        record(WRITE, inodeOf(file), (uint64_t)offset, path, "", data, (size_t)done);
    }
    end();
    return done;
}

EXPORT ssize_t write(int file, const void *data, size_t count) { return writing(file, data, count, 0, 1); }
EXPORT ssize_t pwrite(int file, const void *data, size_t count, off_t offset) { return writing(file, data, count, offset, 0); }
EXPORT ssize_t pwrite64(int file, const void *data, size_t count, off_t offset) { return writing(file, data, count, offset, 0); }

// One piece after the other: a crash between them could not be told from one within the call.
static ssize_t writingPieces(int file, const struct iovec *pieces, int count, off_t offset, int atPosition) {
    ssize_t sum = 0;
    for (int index = 0; index < count; index++) {
        if (pieces[index].iov_len == 0) continue;
        ssize_t done = writing(file, pieces[index].iov_base, pieces[index].iov_len, offset + sum, atPosition);
        if (done < 0) return sum ? sum : done;
        sum += done;
        if ((size_t)done < pieces[index].iov_len) break;
    }
    return sum;
}

EXPORT ssize_t writev(int file, const struct iovec *pieces, int count) {
    char path[LONGEST];
    if (!pathOf(file, path)) return REAL(writev)(file, pieces, count);
    return writingPieces(file, pieces, count, 0, 1);
}

EXPORT ssize_t pwritev(int file, const struct iovec *pieces, int count, off_t offset) {
    return writingPieces(file, pieces, count, offset, 0);
}
EXPORT ssize_t pwritev64(int file, const struct iovec *pieces, int count, off_t offset) {
    return writingPieces(file, pieces, count, offset, 0);
}

static int resizing(int file, off_t size) {
    char path[LONGEST];
    if (!pathOf(file, path)) return REAL(ftruncate)(file, size);
    begin();
    int result = REAL(ftruncate)(file, size);
    if (result == 0) record(RESIZE, inodeOf(file), (uint64_t)size, path, "", NULL, 0);
    end();
    return result;
}

EXPORT int ftruncate(int file, off_t size) { return resizing(file, size); }
EXPORT int ftruncate64(int file, off_t size) { return resizing(file, size); }

EXPORT int truncate(const char *name, off_t size) {
    char path[LONGEST];
    if (!locate(AT_FDCWD, name, path)) return REAL(truncate)(name, size);
    begin();
    int result = REAL(truncate)(name, size);
    if (result == 0) record(RESIZE, inodeAt(path), (uint64_t)size, path, "", NULL, 0);
    end();
    return result;
}

// Space alone changes nothing that can be read; a new length does.
static int allocating(int file, int mode, off_t offset, off_t count) {
    char path[LONGEST];
    if (!pathOf(file, path)) return REAL(fallocate)(file, mode, offset, count);
    if (mode & ~FALLOC_FL_KEEP_SIZE) stop("fallocate(2)", path);
    begin();
    struct stat before;
    fstat(file, &before);
    int result = REAL(fallocate)(file, mode, offset, count);
    if (result == 0 && mode == 0 && offset + count > before.st_size) {
        record(RESIZE, before.st_ino, (uint64_t)(offset + count), path, "", NULL, 0);
    }
    end();
    return result;
}

EXPORT int fallocate(int file, int mode, off_t offset, off_t count) { return allocating(file, mode, offset, count); }
EXPORT int fallocate64(int file, int mode, off_t offset, off_t count) { return allocating(file, mode, offset, count); }
EXPORT int posix_fallocate(int file, off_t offset, off_t count) { return allocating(file, 0, offset, count) == 0 ? 0 : errno; }
EXPORT int posix_fallocate64(int file, off_t offset, off_t count) { return posix_fallocate(file, offset, count); }

static void refuse(int file, const char *what) {
    char path[LONGEST];
    if (pathOf(file, path)) stop(what, path);
}

EXPORT void *mmap(void *address, size_t count, int protection, int flags, int file, off_t offset) {
    if (file >= 0 && (protection & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE) refuse(file, "mmap(2)");
    return REAL(mmap)(address, count, protection, flags, file, offset);
}
EXPORT void *mmap64(void *address, size_t count, int protection, int flags, int file, off_t offset) {
    return mmap(address, count, protection, flags, file, offset);
}

EXPORT ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
    refuse(to, "sendfile(2)");
    return REAL(sendfile)(to, from, offset, count);
}

EXPORT ssize_t copy_file_range(int from, off_t *start, int to, off_t *offset, size_t count, unsigned flags) {
    refuse(to, "copy_file_range(2)");
    return REAL(copy_file_range)(from, start, to, offset, count, flags);
}

// MARK: Durability

static int syncing(int file, const char *function) {
    int (*perform)(int) = (int (*)(int))real(function);
    char path[LONGEST];
    if (!pathOf(file, path)) return perform(file);
    begin();
    int result = perform(file);
    if (result == 0) record(SYNC, inodeOf(file), 0, path, "", NULL, 0);
    end();
    return result;
}

EXPORT int fsync(int file) { return syncing(file, "fsync"); }
EXPORT int fdatasync(int file) { return syncing(file, "fdatasync"); }

EXPORT int syncfs(int file) {
    begin();
    int result = REAL(syncfs)(file);
    if (result == 0) record(SYNC_ALL, 0, 0, "", "", NULL, 0);
    end();
    return result;
}

EXPORT void sync(void) {
    begin();
    REAL(sync)();
    record(SYNC_ALL, 0, 0, "", "", NULL, 0);
    end();
}

// MARK: Names

static int renaming(int from, const char *name, int to, const char *newName, unsigned flags) {
    char one[LONGEST], other[LONGEST];
    int recorded = locate(from, name, one);
    if (locate(to, newName, other) != recorded) stop("a rename across the border", one);
    if (!recorded) return REAL(renameat2)(from, name, to, newName, flags);
    if (flags & RENAME_EXCHANGE) stop("RENAME_EXCHANGE", one);
    begin();
    int result = REAL(renameat2)(from, name, to, newName, flags);
    if (result == 0) record(RENAME, inodeAt(other), 0, one, other, NULL, 0);
    end();
    return result;
}

EXPORT int rename(const char *name, const char *newName) { return renaming(AT_FDCWD, name, AT_FDCWD, newName, 0); }
EXPORT int renameat(int from, const char *name, int to, const char *newName) { return renaming(from, name, to, newName, 0); }
EXPORT int renameat2(int from, const char *name, int to, const char *newName, unsigned flags) {
    return renaming(from, name, to, newName, flags);
}

EXPORT int linkat(int from, const char *name, int to, const char *newName, int flags) {
    char one[LONGEST], other[LONGEST];
    int recorded = locate(from, name, one);
    if (locate(to, newName, other) != recorded) stop("a link across the border", one);
    if (!recorded) return REAL(linkat)(from, name, to, newName, flags);
    begin();
    int result = REAL(linkat)(from, name, to, newName, flags);
    if (result == 0) record(LINK, inodeAt(other), 0, one, other, NULL, 0);
    end();
    return result;
}
EXPORT int link(const char *name, const char *newName) { return linkat(AT_FDCWD, name, AT_FDCWD, newName, 0); }

EXPORT int unlinkat(int directory, const char *name, int flags) {
    char path[LONGEST];
    if (!locate(directory, name, path)) return REAL(unlinkat)(directory, name, flags);
    begin();
    uint64_t inode = inodeAt(path);
    int result = REAL(unlinkat)(directory, name, flags);
    if (result == 0) record(flags & AT_REMOVEDIR ? REMOVE_DIRECTORY : UNLINK, inode, 0, path, "", NULL, 0);
    end();
    return result;
}
EXPORT int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
EXPORT int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
EXPORT int remove(const char *name) {
    int result = unlink(name);
    return result != 0 && errno == EISDIR ? rmdir(name) : result;
}

EXPORT int mkdirat(int directory, const char *name, mode_t mode) {
    char path[LONGEST];
    if (!locate(directory, name, path)) return REAL(mkdirat)(directory, name, mode);
    begin();
    int result = REAL(mkdirat)(directory, name, mode);
    if (result == 0) {
        struct stat status;
        lstat(path, &status);
        record(MAKE_DIRECTORY, status.st_ino, status.st_mode & 07777, path, "", NULL, 0);
    }
    end();
    return result;
}
EXPORT int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

EXPORT int symlinkat(const char *target, int directory, const char *name) {
    char path[LONGEST];
    if (locate(directory, name, path)) stop("symlink(2)", path);
    return REAL(symlinkat)(target, directory, name);
}
EXPORT int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }

// MARK: Modes

EXPORT int fchmod(int file, mode_t mode) {
    char path[LONGEST];
    if (!pathOf(file, path)) return REAL(fchmod)(file, mode);
    begin();
    int result = REAL(fchmod)(file, mode);
    if (result == 0) record(MODE, inodeOf(file), mode & 07777, path, "", NULL, 0);
    end();
    return result;
}

EXPORT int fchmodat(int directory, const char *name, mode_t mode, int flags) {
    char path[LONGEST];
    if (!locate(directory, name, path)) return REAL(fchmodat)(directory, name, mode, flags);
    begin();
    int result = REAL(fchmodat)(directory, name, mode, flags);
    if (result == 0) record(MODE, inodeAt(path), mode & 07777, path, "", NULL, 0);
    end();
    return result;
}
EXPORT int chmod(const char *name, mode_t mode) { return fchmodat(AT_FDCWD, name, mode, 0); }
