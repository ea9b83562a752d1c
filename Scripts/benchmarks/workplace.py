"""Where a benchmark works: a new directory, removed at the end.

In:  --directory, which chooses the file system, and --keep-work.  Out: an empty directory.
Invariant: what was made goes, also after a failure or Ctrl-C, unless it is to be kept.
"""
import contextlib
import os
import shutil
import tempfile

from benchmarks.outcome import require, say


def base_directory(options):
    return os.path.realpath(options.directory or ("/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()))


@contextlib.contextmanager
def workplace(options):
    directory = tempfile.mkdtemp(prefix="ab-benchmark-", dir=base_directory(options))
    try:
        yield directory
    finally:
        if options.keep_work:
            say(f"kept: {directory}")
        else:
            say("removing what was made")
            shutil.rmtree(directory, ignore_errors=True)


def require_space(options, size, inodes, remedy):
    """Refuses what the file system has no room for, before anything is written. `size` in bytes."""
    directory = base_directory(options)
    free = os.statvfs(directory)
    require(free.f_bavail * free.f_frsize >= size,
            f"{directory} has too little space: {size >> 20} MiB may be needed; give another with --directory, or {remedy}")
    require(free.f_files == 0 or free.f_favail >= inodes, f"{directory} has too few inodes: {inodes} are needed; give another with "
            f"--directory, or {remedy}")
