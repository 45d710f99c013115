"""BreakHis' archive, unpacked so that nothing is written outside the folder, and nothing looks whole that is not.

Unpacking proves every byte, since gzip carries a checksum; it goes to a hidden folder first, which
bears the final name only when all is there. Links are not made: BreakHis has none, and they are the way
by which archives have led outside.
"""

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import PurePosixPath, PureWindowsPath

from breakhis_lib.data import dataset
from breakhis_lib.errors import InputError

NAME = "BreaKHis_v1"  # the archive's top folder
CHUNK = 1 << 18  # bytes; what is in memory at a time
MOST_TIMES, MOST_BYTES = 10, 10_000_000  # its size that an archive may become, and more; images hardly shrink in one


class DamagedArchiveError(InputError):
    """An archive that will never unpack, since it is cut, altered, of another kind, or unsafe."""


class _StrictHeader(tarfile.TarInfo):
    """Python's reader takes a broken header, or none, for the end of an archive; a cut archive would look whole."""

    @classmethod
    def fromtarfile(cls, tarfile_):
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError) as error:
            raise tarfile.ReadError(f"no end mark, but {error}") from None


class _BoundedGzip(gzip.GzipFile):
    """A stream that is refused where it becomes far more than it is, before that fills the memory or the disk."""

    def read(self, size=-1):
        if self.tell() + size > MOST_TIMES * os.fstat(self.fileno()).st_size + MOST_BYTES:
            raise tarfile.ReadError(f"it becomes more than {MOST_TIMES} times as long")
        return super().read(size)


def check_place(target):
    """Refuse early, rather than after 4 GB, when something else bears the final name."""
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    if target.exists() or target.is_symlink():
        raise InputError(
            f"{target} is there already and would be overwritten (it may hold simulated slides, or an earlier copy); "
            "move it away or name another folder."
        )


def unpack(archive, folder, progress):
    """Unpack a .tar.gz or .tar into a hidden folder beside the final one, and rename it when all is there.

    archive: the file, which is left as it is. folder: where BreaKHis_v1/ goes, locked by the caller. progress: called
    as progress(bytes of the archive done, bytes in all).
    Returns the folder to scan. Raises InputError when the archive is missing; DamagedArchiveError when it will never
    unpack: damaged, of another kind, without a BreakHis image, or with a member that is unsafe to write.
    """
    if not archive.is_file():
        raise InputError(f"{archive} is no file; expected BreakHis' archive, {NAME}.tar.gz.")
    half = folder / f".{NAME}.unpacking"  # of an earlier call that was stopped, or ours
    shutil.rmtree(half, ignore_errors=True)
    try:
        half.mkdir()
        _unpack_members(archive, half, progress)
        if not any(dataset.parse_name(path.name) for path in dataset.walk(half)):
            raise DamagedArchiveError(f"{archive} holds no BreakHis image (such as SOB_B_TA-14-16184-40-001.png).")
        target, top = folder / NAME, half / NAME
        (top if top.is_dir() else half).replace(target)
        return target
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _unpack_members(archive, half, progress):
    size = archive.stat().st_size
    with open(archive, "rb") as file:
        start = file.read(512)
        file.seek(0)
        stream = _BoundedGzip(fileobj=file) if start.startswith(b"\x1f\x8b") else file
        try:
            with tarfile.open(fileobj=stream, mode="r:", tarinfo=_StrictHeader) as tar:
                for member in tar:
                    _check_member(member, archive)
                    tar.extract(member, half, filter="data")
                    progress(file.tell(), size)
            while stream.read(CHUNK):  # to the end, where gzip keeps its checksum
                pass
            progress(size, size)
        except DamagedArchiveError:
            raise
        except tarfile.FilterError as error:
            raise DamagedArchiveError(_unsafe(archive, error.tarinfo.name, str(error))) from None
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
            raise DamagedArchiveError(f"{archive} is damaged or no archive: {_describe(start)} ({error}).") from None


def _check_member(member, archive):
    """Refuse what BreakHis' archive has no use for and what could lead outside; Python's filter checks the rest."""
    path, windows = PurePosixPath(member.name), PureWindowsPath(member.name)
    if path.is_absolute() or windows.is_absolute() or windows.drive:
        raise DamagedArchiveError(_unsafe(archive, member.name, "an absolute path"))
    if ".." in path.parts or ".." in windows.parts:
        raise DamagedArchiveError(_unsafe(archive, member.name, "a path that leads upwards"))
    if member.issym():
        raise DamagedArchiveError(_unsafe(archive, member.name, f"a symbolic link to {member.linkname}"))
    if not (member.isreg() or member.isdir() or member.islnk()):
        raise DamagedArchiveError(_unsafe(archive, member.name, "neither a file nor a folder"))


def _unsafe(archive, name, what):
    return (
        f"{archive} has a member that must not be unpacked: {name} ({what}). Nothing of it was kept; "
        "this is not BreakHis' archive as its authors made it. Get it again from another place."
    )


def _describe(start):
    """What a file is, by its first bytes."""
    text = start.lstrip().lower()
    if not start:
        return "it is empty"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "it is a web page"
    kinds = {b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"7z\xbc\xaf": "7-zip", b"Rar!": "RAR", b"PK": "zip"}
    for begin, kind in kinds.items():
        if start.startswith(begin):
            return f"it is a {kind} archive; unpack it yourself and name that folder as the data"
    return "it begins as gzip does, but does not end well" if start.startswith(b"\x1f\x8b") else "it is no gzip archive"
