// System calls and headers that the Glibc module does not export.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/xattr.h>

/// openat2(2), which Glibc does not wrap.
int clinux_openat2(int directory, const char *_Nonnull path, uint64_t flags, uint64_t mode, uint64_t resolve);
#define CLINUX_RESOLVE_NO_SYMLINKS 0x04
#define CLINUX_RESOLVE_BENEATH 0x08

/// ioprio_set(2) for the calling thread: the idle I/O class.
int clinux_ioprio_idle(void);

/// ioctl_iflags(2): the inode flags that chattr(1) shows.
int clinux_get_inode_flags(int fd, uint32_t *_Nonnull flags);
int clinux_set_inode_flags(int fd, uint32_t flags);

/// statx(2) into the fields that a backup keeps.
struct clinux_status {
    uint32_t mode;
    uint32_t links;
    uint32_t uid;
    uint32_t gid;
    uint64_t inode;
    uint64_t size;
    uint64_t blocks;
    int64_t mtime_seconds;
    uint32_t mtime_nanoseconds;
    int64_t ctime_seconds;
    uint32_t ctime_nanoseconds;
    uint32_t device_major;
    uint32_t device_minor;
    uint32_t special_major;
    uint32_t special_minor;
    uint64_t mount;
    /// Flag `d` of chattr(1): 0 no, 1 yes, -1 when the file system does not tell.
    int32_t nodump;
};
int clinux_statx(int directory, const char *_Nonnull path, int flags, struct clinux_status *_Nonnull status);

/// name_to_handle_at(2) of an open file, and open_by_handle_at(2) of a directory as a place only (O_PATH).
/// `mount` is an open directory of the same file system, and not a place only.
struct clinux_handle {
    int32_t type;
    uint32_t count;
    uint8_t bytes[128]; // MAX_HANDLE_SZ
};
int clinux_handle_of(int fd, int flags, struct clinux_handle *_Nonnull handle);
#define CLINUX_HANDLE_FID 0x200 // AT_HANDLE_FID (Linux 6.5): for comparison only
int clinux_open_directory(int mount, const struct clinux_handle *_Nonnull handle);

// Linux 5.17; older headers do not name them.
#define CLINUX_FAN_RENAME 0x10000000
#define CLINUX_FAN_OLD_DFID_NAME 10
#define CLINUX_FAN_NEW_DFID_NAME 12

/// fstatfs(2), f_fsid: what fanotify(7) calls a file system.
int clinux_file_system_id(int fd, uint64_t *_Nonnull id);

/// mknodat(2) with the device number put together from its parts.
int clinux_mknodat(int directory, const char *_Nonnull path, uint32_t mode, uint32_t major, uint32_t minor);

/// getpriority(2) of the calling thread: its nice value, -20...19.
int clinux_nice_of_thread(void);
/// setpriority(2) of the calling thread alone: Linux gives each thread its own nice value.
int clinux_nice_thread(int nice);

/// SO_PEERCRED of a connected Unix socket: the peer's user, or -1.
int64_t clinux_peer_uid(int fd);

/// prctl(2), PR_SET_NAME: the calling thread's name, of which 15 bytes are kept.
void clinux_name_thread(const char *_Nonnull name);

/// flock(2) and statfs(2): in Swift the names stand for the structures.
int clinux_flock(int fd, int operation);
int clinux_statfs(const char *_Nonnull path, struct statfs *_Nonnull status);

/// mallopt(3), M_ARENA_MAX: threads share so many heaps. M_MMAP_THRESHOLD: what is larger is mapped by itself.
int clinux_limit_heaps(int count, int largest);

/// malloc_trim(3): free pages go back to the system.
int clinux_trim_heap(void);

/// Unmaps the pages of the program and its libraries that were never written: madvise(2) MADV_DONTNEED on what dl_iterate_phdr(3) shows.
/// They are read from the page cache again where they are needed.
void clinux_release_program(void);

/// prctl(2): no core dump of this process, and no ptrace by others.
int clinux_deny_dump(void);

/// pipe2(2), with O_CLOEXEC.
int clinux_pipe(int ends[_Nonnull 2]);

/// posix_spawn_file_actions_addchdir_np(3), of a posix_spawn_file_actions_t.
int clinux_spawn_in(void *_Nonnull actions, const char *_Nonnull directory);
