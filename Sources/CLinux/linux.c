#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <link.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int clinux_ioprio_idle(void) {
    // IOPRIO_WHO_PROCESS of thread 0 (the caller); class IDLE is 3, shifted by IOPRIO_CLASS_SHIFT.
    return (int)syscall(SYS_ioprio_set, 1, 0, 3 << 13);
}

int clinux_get_inode_flags(int fd, uint32_t *flags) {
    int value = 0;
    int result = ioctl(fd, FS_IOC_GETFLAGS, &value);
    *flags = (uint32_t)value;
    return result;
}

int clinux_set_inode_flags(int fd, uint32_t flags) {
    int value = (int)flags;
    return ioctl(fd, FS_IOC_SETFLAGS, &value);
}

int clinux_statx(int directory, const char *path, int flags, struct clinux_status *status) {
    struct statx x;
    int result = statx(directory, path, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | 0x1000 /* STATX_MNT_ID */, &x);
    if (result != 0) return result;
    status->mode = x.stx_mode;
    status->links = x.stx_nlink;
    status->uid = x.stx_uid;
    status->gid = x.stx_gid;
    status->inode = x.stx_ino;
    status->size = x.stx_size;
    status->blocks = x.stx_blocks;
    status->mtime_seconds = x.stx_mtime.tv_sec;
    status->mtime_nanoseconds = x.stx_mtime.tv_nsec;
    status->ctime_seconds = x.stx_ctime.tv_sec;
    status->ctime_nanoseconds = x.stx_ctime.tv_nsec;
    status->device_major = x.stx_dev_major;
    status->device_minor = x.stx_dev_minor;
    status->special_major = x.stx_rdev_major;
    status->special_minor = x.stx_rdev_minor;
    // stx_mnt_id follows stx_dev_minor since Linux 5.8; older headers do not name it.
    status->mount = *(const uint64_t *)((const char *)&x + 0x90);
    const int known = (x.stx_attributes_mask & STATX_ATTR_NODUMP) != 0;
    status->nodump = known ? (x.stx_attributes & STATX_ATTR_NODUMP) != 0 : -1;
    return 0;
}

// One Swift type stands for the events of both.
_Static_assert(FAN_MODIFY == IN_MODIFY && FAN_ATTRIB == IN_ATTRIB && FAN_CLOSE_WRITE == IN_CLOSE_WRITE, "fanotify(7)");
_Static_assert(FAN_MOVED_FROM == IN_MOVED_FROM && FAN_MOVED_TO == IN_MOVED_TO, "fanotify(7)");
_Static_assert(FAN_CREATE == IN_CREATE && FAN_DELETE == IN_DELETE, "fanotify(7)");
_Static_assert(FAN_DELETE_SELF == IN_DELETE_SELF && FAN_MOVE_SELF == IN_MOVE_SELF, "fanotify(7)");
_Static_assert(FAN_ONDIR == IN_ISDIR && FAN_Q_OVERFLOW == IN_Q_OVERFLOW, "fanotify(7)");

union handle {
    struct file_handle head;
    char room[sizeof(struct file_handle) + sizeof((struct clinux_handle *)0)->bytes];
};

int clinux_handle_of(int fd, int flags, struct clinux_handle *handle) {
    union handle raw = {.head = {.handle_bytes = sizeof handle->bytes}};
    int mount;
    int result = name_to_handle_at(fd, "", &raw.head, &mount, AT_EMPTY_PATH | flags);
    if (result != 0) return result;
    handle->type = raw.head.handle_type;
    handle->count = raw.head.handle_bytes;
    memcpy(handle->bytes, raw.head.f_handle, handle->count);
    return 0;
}

int clinux_open_directory(int mount, const struct clinux_handle *handle) {
    union handle raw = {.head = {.handle_bytes = handle->count, .handle_type = handle->type}};
    memcpy(raw.head.f_handle, handle->bytes, handle->count);
    return open_by_handle_at(mount, &raw.head, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int clinux_file_system_id(int fd, uint64_t *id) {
    struct statfs status;
    int result = fstatfs(fd, &status);
    if (result == 0) memcpy(id, &status.f_fsid, sizeof *id);
    return result;
}

int clinux_mknodat(int directory, const char *path, uint32_t mode, uint32_t major, uint32_t minor) {
    return mknodat(directory, path, mode, makedev(major, minor));
}

int clinux_nice_thread(int nice) {
    return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice);
}

int clinux_nice_of_thread(void) {
    return getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
}

int64_t clinux_peer_uid(int fd) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
    return peer.uid;
}

int clinux_deny_dump(void) {
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int clinux_flock(int fd, int operation) {
    return flock(fd, operation);
}

int clinux_statfs(const char *path, struct statfs *status) {
    return statfs(path, status);
}

void clinux_name_thread(const char *name) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

int clinux_trim_heap(void) {
    return malloc_trim(0);
}

static int release_object(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size, (void)context;
    // The kernel's own page has no file.
    if (strncmp(object->dlpi_name, "linux-vdso", 10) == 0) return 0;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
        // What may be written holds data of this process; the rest is as in the file.
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W) continue;
        uintptr_t start = ((uintptr_t)(object->dlpi_addr + segment->p_vaddr) + page - 1) & ~(page - 1);
        uintptr_t end = (uintptr_t)(object->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
        if (start < end) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void clinux_release_program(void) {
    dl_iterate_phdr(release_object, 0);
}

int clinux_limit_heaps(int count, int largest) {
    return mallopt(M_ARENA_MAX, count) && mallopt(M_MMAP_THRESHOLD, largest);
}

int clinux_pipe(int ends[2]) {
    return pipe2(ends, O_CLOEXEC);
}

int clinux_spawn_in(void *actions, const char *directory) {
    return posix_spawn_file_actions_addchdir_np(actions, directory);
}
