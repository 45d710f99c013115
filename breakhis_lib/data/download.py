"""BreakHis from its authors' server, or from an archive brought by hand, to a folder ready to scan.

The archive has some 4 GB and its authors publish no checksum. So an interrupted download goes on where
it stopped, the size is compared with what the server announced, and unpacking (`archive`) checks the bytes.
Nothing is printed: progress goes through callbacks.

Source of the address: the data set's page, Spanhol et al. 2016, doi 10.1109/TBME.2015.2496264.
"""

import json
import re
import shutil
import time
from pathlib import Path

import filelock
import requests
import urllib3

from breakhis_lib.data import dataset
from breakhis_lib.data.archive import CHUNK, NAME, DamagedArchiveError, check_place, unpack
from breakhis_lib.errors import InputError

OFFICIAL_URL = "http://www.inf.ufpr.br/vri/databases/BreaKHis_v1.tar.gz"
TIMEOUT = (10, 60)  # seconds to connect, and of silence
LEAST = 60_000  # bytes that must come in so many seconds


class _InterruptedError(Exception):
    """A transfer that ended early; trying again may help."""


class _RefusedError(ValueError):
    """An answer that brings no archive, however often it is asked for."""


def fetch(
    folder,
    url=OFFICIAL_URL,
    progress=lambda done, total: None,
    archive=None,
    unpacked=lambda done, total: None,
    attempts=4,
    pause=1.0,
):
    """Make sure that BreakHis is in a folder: found there, unpacked, or downloaded and unpacked.

    folder: where BreaKHis_v1/ goes; made if absent. url: the archive's address. progress: called as
    progress(bytes done, bytes in all or None) while downloading. archive: an archive brought by hand, a .tar.gz or
    .tar, which is left as it is; nothing is downloaded then, nor when BreaKHis_v1.tar.gz lies in the folder. unpacked:
    called as unpacked(bytes of the archive done, bytes in all). attempts: how often in a row a download may fail
    without LEAST bytes gained; between failures it waits `pause` seconds, then twice that, and so on.
    Returns the folder to scan; the archive is kept. Whether all 7,909 images are there and sound is for
    `inventory.inspect` to say.
    Raises InputError, which tells what was tried and how to bring the file by hand, when the address
    cannot be reached or has no such file, the disk is full, or the archive is damaged or unsafe.
    """
    folder, own = Path(folder), Path(folder) / f"{NAME}.tar.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f".{NAME}.lock"):  # a second call waits, then finds the images
            there = _already_there(folder)
            if there is not None:
                return there
            check_place(folder / NAME)
            if archive is not None:
                return unpack(Path(archive), folder, unpacked)
            if not own.exists():
                _download(url, own, progress, attempts, pause)
            return _unpack_own(own, folder, unpacked, url)
    except OSError as error:
        raise InputError(
            f"{error.filename or folder} cannot be used: {error.strerror or error}; "
            "make room, change its permissions, or name another folder."
        ) from None


def _by_hand(url, own):
    return (
        f"Bring the file by hand: download {url} elsewhere, put it at {own}, and run this again; "
        "or unpack it yourself and name that folder as the data."
    )


def _already_there(folder):
    """The folder with BreakHis' images, when `folder` holds it or is its top folder; else None."""
    official = set(dataset.official().file)
    for root in (folder / NAME, folder / "histology_slides"):
        if root.is_dir() and any(path.name in official for path in dataset.walk(root)):
            return root
    return None


def _download(url, archive, progress, attempts, pause):
    """Fetch `url` into `archive`, through a partial file that outlives an interruption."""
    part = archive.with_name(f"{archive.name}.part")
    failures, furthest = 0, _size(part)
    with requests.Session() as session:
        while True:
            try:
                _transfer(session, url, part, progress)
                break
            except (requests.RequestException, urllib3.exceptions.HTTPError, _InterruptedError, _RefusedError) as error:
                failures = 1 if _size(part) > furthest + LEAST else failures + 1
                furthest = max(furthest, _size(part))
                hopeless = isinstance(error, ValueError)  # refused, or in requests' words no address at all
                if hopeless or failures >= attempts:
                    raise InputError(f"{url} could not be downloaded: {_reason(error)}.{_kept(part)} "
                                     f"{_by_hand(url, archive)}") from None  # fmt: skip
            time.sleep(pause * 2 ** (failures - 1))
    part.replace(archive)
    _note(part).unlink(missing_ok=True)


def _transfer(session, url, part, progress):
    """One request for what is still missing; raises _InterruptedError or a network error when it ends early."""
    known, done = _read_note(part, url), _size(part)
    if known is None:
        done = 0
    elif done and done == known["total"]:
        return  # the last byte had come when the call was stopped
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if known["validator"]:
            headers["If-Range"] = known["validator"]  # the rest, but only of the same file
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        _check_answer(response, part)
        if response.status_code == 206:
            total = _check_rest(response, part, done, known)
        else:
            length = response.headers.get("Content-Length", "")
            done, total = 0, int(length) if length.isdecimal() else None
        _check_room(part, done, total)
        if done == 0:
            part.write_bytes(b"")
            note = {"url": url, "validator": _validator(response), "total": total}
            _note(part).write_text(json.dumps(note), encoding="utf-8")
        since, before = time.monotonic(), done
        with open(part, "ab") as stream:
            while piece := response.raw.read1(CHUNK, decode_content=False):  # what there is: more may be long in coming
                stream.write(piece)
                done += len(piece)
                progress(done, total)
                if time.monotonic() - since > TIMEOUT[1]:
                    if done - before < LEAST:
                        raise _InterruptedError(f"only {done - before:,} bytes came in {TIMEOUT[1]} seconds")
                    since, before = time.monotonic(), done
    if total is not None and done != total:
        raise _InterruptedError(f"{done:,} of {total:,} bytes came")


def _check_answer(response, part):
    """Sort out answers that bring no bytes of the archive, before the partial file is touched."""
    status = response.status_code
    if status == 416:  # the server's file is shorter than what is here, so it is another file
        _note(part).unlink(missing_ok=True)
        raise _InterruptedError("the file on the server has changed")
    if status >= 500 or status in (408, 429):  # later it may answer
        raise _InterruptedError(f"the server answered {status} {response.reason}")
    if status not in (200, 206):
        raise _RefusedError(f"the server answered {status} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        kind = "a web page instead of an archive (a sign-in page of the network, or a page that says sorry)"
        raise _RefusedError(f"the server answered with {kind}")


def _check_rest(response, part, done, known):
    """The total size, when a partial answer continues exactly what is here."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    total = int(found[2]) if found and found[2] != "*" else known["total"]
    if not found or int(found[1]) != done or known["total"] not in (None, total):
        _note(part).unlink(missing_ok=True)  # without its note, a partial file is not gone on with
        raise _InterruptedError("the server sent another part than asked for")
    return total


def _check_room(part, done, total):
    if total is None:
        return
    free, needed = shutil.disk_usage(part.parent).free, 2 * total - done
    if needed > free:
        raise InputError(
            f"{part.parent} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed for what is left of the "
            "archive and about as much again for its images. Make room or name a folder on another disk."
        )


def _validator(response):
    """What tells one version of the server's file from the next: its strong entity tag, or its date."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _size(path):
    return path.stat().st_size if path.exists() else 0


def _note(part):
    return part.with_name(f"{part.name}.json")


def _read_note(part, url):
    """Which file the partial file is a part of; None when that is unknown, so that nothing is glued together."""
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        return note if note["url"] == url and {"validator", "total"} <= set(note) else None
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _kept(part):
    done = _size(part) if _note(part).exists() else 0
    return f" {done:,} bytes are kept; running this again goes on from there." if done else ""


def _reason(error):
    """What went wrong, in words; the libraries wrap the cause once or twice."""
    cause = error.args[0] if error.args else error
    causes = (error, cause, getattr(cause, "reason", None))
    is_any = lambda *kinds: any(isinstance(one, kinds) for one in causes)  # noqa: E731
    if is_any(_InterruptedError, ValueError):
        return str(error)
    if is_any(urllib3.exceptions.NameResolutionError):
        return "the server's name is unknown, or this machine is offline"
    if "refused" in str(error).lower():
        return "the connection was refused"
    if is_any(requests.Timeout, urllib3.exceptions.TimeoutError):
        return "the server did not answer in time"
    return "the connection ended early" if is_any(urllib3.exceptions.ProtocolError) else str(error)[:200]


def _unpack_own(own, folder, progress, url):
    """Unpack the archive in the folder; a damaged one is set aside, so that the next call starts anew."""
    try:
        return unpack(own, folder, progress)
    except DamagedArchiveError as error:
        aside = own.with_name(f"{own.name}.damaged")
        own.replace(aside)
        raise InputError(
            f"{error} It was set aside as {aside}, which can be deleted; run this again to download anew. "
            f"{_by_hand(url, own)}"
        ) from None
