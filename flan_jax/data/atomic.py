"""Files and folders that are either whole or absent: written under a temporary name, renamed when complete."""

import contextlib
import errno
import fcntl
import io
import os
import pathlib
import secrets
import shutil
import time
from collections.abc import Iterator

import xxhash

from flan_jax.errors import FlanJaxError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PARTIAL = ".partial"
_ABANDONED_AFTER = 3600.0  # seconds


class DiskFull(FlanJaxError):
    """A file could not be written to its end; what was written of it is removed and the older file is untouched."""


class HashingWriter(io.BufferedWriter):
    """A binary file to append to, which knows the size and xxh3 checksum of what it was given."""

    def __init__(self, path: pathlib.Path):
        super().__init__(io.FileIO(path, "w"), buffer_size=1 << 20)
        self._hash = xxhash.xxh3_128()
        self.size = 0

    def write(self, data, /) -> int:
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self.size += len(view)
        return super().write(view)

    @property
    def xxh3(self) -> str:
        return self._hash.hexdigest()

    def settle(self) -> None:
        """Bring all that was written to the disk: from here on a full one can no longer fail this file."""
        self.flush()
        os.fsync(self.fileno())


@contextlib.contextmanager
def explain_full_disk(path: pathlib.Path) -> Iterator[None]:
    """Turn "no space", "quota" and "file too large" into DiskFull, naming the file being written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFull(
            f"{path} could not be written: {os.strerror(error.errno or 0)}; nothing half-written is left\n"
            f"  make room on that disk, or name a folder on another, by --gin.STORE, --gin.MODEL_DIR, --gin.OUTPUT or"
            f" --gin.SWEEP_DIR, whichever this file is in; then run the command again"
        ) from error


@contextlib.contextmanager
def atomic_file(path: pathlib.Path) -> Iterator[HashingWriter]:
    """Yield a writer whose file appears at `path` when the block ends well, and not at all otherwise.

    The name before that is hidden, beside `path`, and ends in `.partial`: `remove_partial` clears what a killed
    process left.  Raises DiskFull.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
    with explain_full_disk(path):
        writer = HashingWriter(partial)
        try:
            yield writer
            writer.settle()
            writer.close()
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):  # closing flushes, which fails again on a full disk
                writer.close()
            partial.unlink(missing_ok=True)
            raise


def remove_partial(folder: pathlib.Path) -> int:
    """Remove what killed processes left half written below `folder`; the number of files."""
    left = list(folder.rglob(f".*{_PARTIAL}"))
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


@contextlib.contextmanager
def atomic_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a folder that appears at `path` when the block ends well; if another process was first, its folder stays.

    The name before that is hidden, beside `path`, and random, no process id: containers that share a disk often run
    under the same one.  Its maker holds a lock on it, so what a killed one left is known for that: the next folder made
    there clears it.  Raises DiskFull.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with explain_full_disk(partial), contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        partial.mkdir()
        with contextlib.suppress(OSError):  # a disk without locks: then nothing is taken for abandoned either
            stack.enter_context(locked(partial))
        yield partial
        try:
            os.rename(partial, path)
        except OSError:
            if not path.exists():
                raise


def _remove_abandoned(folder: pathlib.Path) -> None:
    """Remove what killed processes left of atomic folders in `folder`: those whose lock is free.

    On some shared disks a lock is known to its own host only, and between a folder's making and its locking there is a
    moment: so what is younger than an hour stays, locked or not.
    """
    for path in folder.glob(".*.*"):
        with contextlib.suppress(OSError):  # its maker lives, or another process is clearing it
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
                with locked(path):
                    shutil.rmtree(path)


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Hold the lock of a folder, which ends with the process.  Raises OSError if it is held or cannot be had."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
