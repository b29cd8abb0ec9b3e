"""The file system of a folder: whether flock keeps apart everybody who may work there.

It does on file systems of one machine. On all others, and on those not known here, it is taken not to: that costs a few more
packs, and the opposite costs the archive. `spec/decisions/0019-*.md` says why each stands where it stands.
"""

import os
import re
import sys
from pathlib import Path

# Only one machine writes to what these hold (two that share a disk would destroy it), and its kernel keeps their locks.
LOCAL = frozenset({
    "ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "zfs", "f2fs", "jfs", "nilfs2", "reiserfs", "tmpfs", "ramfs", "overlay",
    "vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk", "hfs", "hfsplus", "apfs", "udf", "iso9660", "squashfs", "erofs",
    "ubifs", "jffs2",
})  # fmt: skip
MOUNTS = Path("/proc/self/mountinfo")
_REMOTE_DRIVE = 4  # Windows: DRIVE_REMOTE


def has_flock(folder: Path) -> bool:
    """Whether the locks of this machine's kernel keep apart all who can work in a folder. It must exist."""
    if sys.platform == "linux":
        return kind(folder) in LOCAL and _excludes(folder)
    if sys.platform == "win32":
        import ctypes

        return ctypes.windll.kernel32.GetDriveTypeW(str(folder.resolve().anchor)) != _REMOTE_DRIVE
    return _excludes(folder)


def kind(folder: Path) -> str:
    """The type of the file system that holds a folder, as the kernel calls it; empty where it does not say."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    place, length, found = f"{folder.resolve()}/", 0, ""
    for line in lines:
        about, _, source = line.partition(" - ")
        mounted = _plain(about.split(" ")[4]).rstrip("/") + "/"
        if place.startswith(mounted) and len(mounted) >= length:  # of two at one place the later one is on top
            length, found = len(mounted), source.split(" ")[0]
    return found


def _plain(text: str) -> str:
    """A path as it is, of which spaces and the like are written in octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _excludes(folder: Path) -> bool:
    """Whether two descriptors of one folder keep each other out: a lock that is always granted is none."""
    import fcntl

    first = second = -1
    try:
        first, second = os.open(folder, os.O_RDONLY), os.open(folder, os.O_RDONLY)
        for fd in (first, second):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        for fd in (first, second):
            if fd >= 0:
                os.close(fd)
    return False
