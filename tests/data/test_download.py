"""The download of BreakHis, against a server on this machine that misbehaves on demand."""

import gzip
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from breakhis_lib.data import archive, dataset, download
from breakhis_lib.errors import InputError

NAMES = ["SOB_B_TA-14-16184-40-001.png", "SOB_M_DC-14-2523-100-023.png", "SOB_M_PC-15-190EF-400-003.png"]


def png_bytes(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def tar_bytes(members):
    """A tar archive: members are (name, bytes) or ready TarInfo objects."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


GOOD_TAR = tar_bytes([(dataset.official_path(name).as_posix(), png_bytes(seed)) for seed, name in enumerate(NAMES)])
GOOD = gzip.compress(GOOD_TAR)


class Server(ThreadingHTTPServer):
    """Serves `body`; what goes wrong is set by its attributes, `log` says what was asked and sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.tag, self.status, self.content_type = GOOD, '"one"', 200, "application/gzip"
        self.cut_after = []  # bytes after which one request each is dropped
        self.ranges, self.lengths, self.pause = True, True, 0.0
        self.paths = []  # whole addresses where the server is asked as a proxy
        self.answers = []  # [Range header or None, If-Range header or None, bytes sent, whether done]
        self.url = f"http://127.0.0.1:{self.server_address[1]}/BreaKHis_v1.tar.gz"

    @property
    def log(self):
        """What was asked and sent, once the server has nothing more in hand."""
        until = time.monotonic() + 10
        while not all(done for *_, done in self.answers) and time.monotonic() < until:
            time.sleep(0.002)
        return [tuple(answer[:3]) for answer in self.answers]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):  # noqa: N802
        server, asked, condition = self.server, self.headers.get("Range"), self.headers.get("If-Range")
        body, start, status = server.body, 0, server.status
        answer = [asked, condition, 0, False]
        server.answers.append(answer)
        server.paths.append(self.path)
        if asked and server.ranges and status == 200 and condition in (None, server.tag):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            status = 206 if start < len(body) else 416
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        rest = body[start:] if status != 416 else b""
        if server.lengths:
            self.send_header("Content-Length", str(len(rest)) if server.lengths is True else server.lengths)
        if server.tag:
            self.send_header("ETag", server.tag)
        self.send_header("Content-Type", server.content_type)
        self.end_headers()
        if server.cut_after:
            rest = rest[: server.cut_after.pop(0)]
        try:
            for place in range(0, len(rest), 1000):
                self.wfile.write(rest[place : place + 1000])
                answer[2] += len(rest[place : place + 1000])
                time.sleep(server.pause)
        except OSError:  # the client went away
            pass
        answer[3] = self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(server, folder, **arguments):
    return download.fetch(folder, server.url, pause=0, **arguments)


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))


def test_fetch_downloads_unpacks_and_then_asks_no_more(server, tmp_path):
    steps, unpacked = [], []
    callbacks = {"progress": lambda *step: steps.append(step), "unpacked": lambda *step: unpacked.append(step)}
    root = fetch(server, tmp_path / "new" / "data", **callbacks)
    assert root == tmp_path / "new" / "data" / "BreaKHis_v1"
    assert dataset.scan(root).file.tolist() == sorted(NAMES)
    assert steps[-1] == (len(GOOD), len(GOOD)) and unpacked[-1] == (len(GOOD), len(GOOD))
    left = {path.name for path in root.parent.iterdir()} - {".BreaKHis_v1.lock"}
    assert left == {"BreaKHis_v1", "BreaKHis_v1.tar.gz"}
    assert fetch(server, root.parent) == root
    assert fetch(server, root) == root / "histology_slides"
    assert len(server.log) == 1


def test_a_dropped_connection_is_resumed_and_no_byte_comes_twice(server, tmp_path):
    server.cut_after = [40_000, 25_000]
    root = fetch(server, tmp_path)
    assert [asked for asked, _, _ in server.log] == [None, "bytes=40000-", "bytes=65000-"]
    assert [condition for _, condition, _ in server.log] == [None, '"one"', '"one"']
    assert sum(sent for _, _, sent in server.log) == len(GOOD)
    assert (tmp_path / "BreaKHis_v1.tar.gz").read_bytes() == GOOD
    assert dataset.scan(root).file.tolist() == sorted(NAMES)


def test_a_killed_download_goes_on_in_the_next_call(server, tmp_path):
    server.pause = 0.02
    code = f"from breakhis_lib.data import download as d; d.CHUNK = 1000; d.fetch({str(tmp_path)!r}, {server.url!r})"
    process = subprocess.Popen([sys.executable, "-c", code])
    part = tmp_path / "BreaKHis_v1.tar.gz.part"
    until = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 5000) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = part.stat().st_size
    assert 5000 < done < len(GOOD)
    server.pause = 0.0
    root = fetch(server, tmp_path)
    assert f"bytes={done}-" in [asked for asked, _, _ in server.log]
    assert dataset.scan(root).file.tolist() == sorted(NAMES)


def test_a_server_that_ignores_ranges_is_started_anew(server, tmp_path):
    server.ranges, server.cut_after = False, [40_000]
    root = fetch(server, tmp_path)
    assert [sent for _, _, sent in server.log] == [40_000, len(GOOD)]
    assert dataset.scan(root).file.tolist() == sorted(NAMES)


def test_a_file_that_changed_is_not_glued_to_the_old_part(server, tmp_path):
    server.cut_after = [40_000]
    with pytest.raises(InputError, match="40,000 bytes are kept"):
        fetch(server, tmp_path, attempts=1)
    other = [(dataset.official_path(name).as_posix(), png_bytes(9 + seed)) for seed, name in enumerate(NAMES)]
    server.body, server.tag = gzip.compress(tar_bytes(other)), '"two"'
    fetch(server, tmp_path)
    assert server.log[-1] == ("bytes=40000-", '"one"', len(server.body))
    assert (tmp_path / "BreaKHis_v1.tar.gz").read_bytes() == server.body


def test_a_shorter_file_without_a_tag_is_not_glued_either(server, tmp_path):
    server.tag, server.cut_after = "", [60_000]
    with pytest.raises(InputError, match="60,000 bytes are kept"):
        fetch(server, tmp_path, attempts=1)
    server.body = gzip.compress(tar_bytes([(dataset.official_path(NAMES[0]).as_posix(), png_bytes(5))]))
    fetch(server, tmp_path)
    assert (tmp_path / "BreaKHis_v1.tar.gz").read_bytes() == server.body


def test_a_part_of_unknown_origin_is_not_gone_on_with(server, tmp_path):
    (tmp_path / "BreaKHis_v1.tar.gz.part").write_bytes(b"x" * 1000)
    fetch(server, tmp_path)
    assert server.log == [(None, None, len(GOOD))]


def test_a_length_that_the_server_does_not_tell_is_no_obstacle(server, tmp_path):
    server.lengths, steps = False, []
    fetch(server, tmp_path, progress=lambda *step: steps.append(step))
    assert steps[-1] == (len(GOOD), None)


def test_attempts_without_a_byte_gained_come_to_an_end(server, tmp_path):
    server.cut_after = [1000] + [0] * 20
    with pytest.raises(InputError, match="ended early.*1,000 bytes are kept.*by hand"):
        fetch(server, tmp_path, attempts=3)
    assert [sent for _, _, sent in server.log] == [1000, 0, 0]


@pytest.mark.parametrize("status, tries", [(404, 1), (403, 1), (408, 3), (429, 3), (500, 3), (503, 3)])
def test_an_error_of_the_server_names_address_status_and_the_manual_route(server, tmp_path, status, tries):
    server.status = status
    with pytest.raises(InputError) as caught:
        fetch(server, tmp_path, attempts=3)
    text = str(caught.value)
    assert server.url in text and str(status) in text and "by hand" in text
    assert str(tmp_path / "BreaKHis_v1.tar.gz") in text and len(server.log) == tries


@pytest.mark.parametrize(
    "url, said",
    [
        ("http://127.0.0.1:9/x.tar.gz", "refused"),
        ("http://no-such-host.invalid/x.tar.gz", "name is unknown"),
        ("no address", "Failed to parse|Invalid URL"),
    ],
)
def test_an_address_that_cannot_be_reached(tmp_path, monkeypatch, url, said):
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(InputError, match=said) as caught:
        download.fetch(tmp_path, url, attempts=2, pause=0)
    assert url in str(caught.value) and "by hand" in str(caught.value)


def test_a_server_that_is_silent_is_not_waited_for_forever(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", (1, 0.2))
    server.pause = 1.0
    with pytest.raises(InputError, match="did not answer in time"):
        fetch(server, tmp_path, attempts=1)


def test_a_server_that_sends_a_few_bytes_now_and_then_is_not_waited_for_forever(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", (10, 1))
    monkeypatch.setattr(download, "LEAST", 1_000_000)  # bytes a second, of which the server sends a fiftieth at most
    server.pause = 0.05
    with pytest.raises(InputError, match=r"only [\d,]+ bytes came in 1 seconds\. [\d,]+ bytes are kept"):
        fetch(server, tmp_path, attempts=1)
    server.pause = 0.0
    assert dataset.scan(fetch(server, tmp_path)).file.tolist() == sorted(NAMES)
    assert server.log[-1][0].startswith("bytes="), "it goes on where it was"


def test_a_connection_that_drops_every_100_kb_comes_to_an_end(server, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 1_100_000, dtype=np.uint8).tobytes()
    image = (dataset.official_path(NAMES[0]).as_posix(), png_bytes(0))
    server.body, server.cut_after = gzip.compress(tar_bytes([image, ("BreaKHis_v1/noise.bin", noise)])), [100_000] * 100
    root = fetch(server, tmp_path, attempts=2)
    assert [sent for _, _, sent in server.log] == [100_000] * 11 + [len(server.body) - 1_100_000]
    assert (tmp_path / "BreaKHis_v1.tar.gz").read_bytes() == server.body
    assert (root / "noise.bin").read_bytes() == noise


def test_the_proxy_of_the_environment_is_asked(server, tmp_path, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.url.rsplit("/", 1)[0])
    address = "http://no-such-host.invalid/BreaKHis_v1.tar.gz"
    assert dataset.scan(download.fetch(tmp_path / "one", address, pause=0)).file.tolist() == sorted(NAMES)
    assert server.paths == [address]
    server.status = 407
    with pytest.raises(InputError, match="answered 407 Proxy Authentication Required.*by hand"):
        download.fetch(tmp_path / "two", address, pause=0)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="refused"):
        download.fetch(tmp_path / "two", address, pause=0, attempts=1)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (str(len(GOOD) - 5000), "damaged"),  # what lies beyond is not read
        (str(len(GOOD) + 5000), "the file on the server has changed"),  # asked for the rest, it has none
        (str(10**15), "GB free"),
        ("\xb2", None),  # a digit, but no number: as if nothing had been said
        ("-5", None),
    ],
)
def test_a_server_that_lies_about_the_length_is_found_out(server, tmp_path, length, said):
    server.lengths = length
    if said is None:
        assert dataset.scan(fetch(server, tmp_path)).file.tolist() == sorted(NAMES)
        return
    with pytest.raises(InputError, match=said):
        fetch(server, tmp_path, attempts=2)
    assert not (tmp_path / "BreaKHis_v1").exists() and not (tmp_path / "BreaKHis_v1.tar.gz").exists()
    server.lengths = True
    assert dataset.scan(fetch(server, tmp_path)).file.tolist() == sorted(NAMES)


def test_a_sign_in_page_does_not_cost_the_part_that_is_here(server, tmp_path):
    server.cut_after = [40_000]
    with pytest.raises(InputError):
        fetch(server, tmp_path, attempts=1)
    server.body, server.tag, server.content_type = b"<html>Sign in</html>", "", "text/html; charset=utf-8"
    server.ranges = False
    with pytest.raises(InputError, match="web page instead of an archive.*40,000 bytes are kept"):
        fetch(server, tmp_path)
    assert (tmp_path / "BreaKHis_v1.tar.gz.part").stat().st_size == 40_000


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


NUL_NAME = tarfile.TarInfo("x")
NUL_NAME.pax_headers = {"path": "a\0b"}
FOREIGN = tar_bytes([("notes.txt", b"no image")])
DAMAGED = {
    "flipped byte": (flipped(GOOD, 50_000), "damaged"),
    "checksum": (flipped(GOOD, len(GOOD) - 6), "damaged"),
    "cut gzip": (GOOD[:-5000], "damaged"),
    "cut tar, whole gzip": (gzip.compress(GOOD_TAR[:60_000]), "damaged"),
    "tar cut between members": (gzip.compress(tar_bytes([("a.txt", b"x" * 512)])[:1024]), "no end mark"),
    "garbage for a header": (gzip.compress(GOOD_TAR[:512] + GOOD_TAR[512:46_080] + b"x" * 1024), "damaged"),
    "name that no file can have": (gzip.compress(tar_bytes([NUL_NAME])), "null (byte|character)"),
    "web page": (b"<!DOCTYPE html><html><title>Moved</title></html>", "it is a web page"),
    "zip": (b"PK\3\4" + bytes(2000), "it is a zip archive"),
    "xz": (b"\xfd7zXZ\0" + bytes(2000), "it is a xz archive; unpack it yourself"),
    "bzip2": (b"BZh9" + bytes(2000), "it is a bzip2 archive; unpack it yourself"),
    "empty": (b"", "it is empty"),
    "text": (b"hello" * 300, "it is no gzip archive"),
    "no image": (gzip.compress(FOREIGN), "holds no BreakHis image"),
}


@pytest.mark.parametrize("body, said", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_archive_is_set_aside_and_the_next_call_starts_anew(server, tmp_path, body, said):
    server.body = body
    with pytest.raises(InputError, match=said) as caught:
        fetch(server, tmp_path)
    assert "set aside as" in str(caught.value) and "by hand" in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} - {".BreaKHis_v1.lock"} == {"BreaKHis_v1.tar.gz.damaged"}
    server.body, server.tag = GOOD, '"two"'
    assert dataset.scan(fetch(server, tmp_path)).file.tolist() == sorted(NAMES)


def zeros(size, kind=tarfile.REGTYPE):
    """A small gzip archive whose one member has so many zeros, as its content or as a header."""
    member = tarfile.TarInfo("BreaKHis_v1/SOB_B_TA-14-16184-40-001.png")
    member.size, member.type = size, kind
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as packed:
        packed.write(member.tobuf())
        for _ in range(size // 1_000_000):
            packed.write(bytes(1_000_000))
    return stream.getvalue()


BOMBS = {
    "an image of zeros": zeros(200_000_000),
    "a name of zeros": zeros(200_000_000, tarfile.GNUTYPE_LONGNAME),
    "a header of zeros": zeros(200_000_000, tarfile.XHDTYPE),
    "members without end": gzip.compress(tarfile.TarInfo("BreaKHis_v1/again.png").tobuf() * 20_000, 1),
    "zeros after the end": gzip.compress(GOOD_TAR + bytes(200_000_000), 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_archive_that_becomes_far_more_than_it_is_fills_neither_disk_nor_memory(tmp_path, monkeypatch, name):
    brought, unpacked = tmp_path / "brought.tar.gz", []
    brought.write_bytes(BOMBS[name])
    monkeypatch.setattr(archive, "MOST_BYTES", 1_000_000)
    remove = shutil.rmtree

    def looked_at(folder, **options):
        unpacked.append(sum(path.stat().st_size for path in folder.rglob("*.png")))
        remove(folder, **options)

    monkeypatch.setattr(archive.shutil, "rmtree", looked_at)
    tracemalloc.start()
    with pytest.raises(InputError, match="brought.tar.gz is damaged or no archive.*more than 10 times as long"):
        download.fetch(tmp_path / "data", archive=brought)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 100_000_000  # 67 million are the list of official names, which is packed with xz
    assert max(unpacked) < 30_000_000
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".BreaKHis_v1.lock"]


DEVICE, PIPE = tarfile.TarInfo("BreaKHis_v1/device"), tarfile.TarInfo("BreaKHis_v1/pipe")
DEVICE.type, PIPE.type = tarfile.CHRTYPE, tarfile.FIFOTYPE
UNSAFE = {
    "upwards": ([("../evil.png", b"x")], "../evil.png"),
    "upwards inside": ([("BreaKHis_v1/../../evil.png", b"x")], "BreaKHis_v1/../../evil.png"),
    "backslashes": ([("..\\evil.png", b"x")], "..\\evil.png"),
    "drive": ([("C:\\evil.png", b"x")], "C:\\evil.png"),
    "link to outside": ([link("BreaKHis_v1/out", "../.."), ("BreaKHis_v1/out/evil.png", b"x")], "BreaKHis_v1/out"),
    "link within": ([link("BreaKHis_v1/within", "histology_slides")], "BreaKHis_v1/within"),
    "hard link to outside": ([link("BreaKHis_v1/evil.png", "../../secret", tarfile.LNKTYPE)], "BreaKHis_v1/evil.png"),
    "device": ([DEVICE], "BreaKHis_v1/device"),
    "named pipe": ([PIPE], "BreaKHis_v1/pipe"),
}


@pytest.mark.parametrize("members, name", UNSAFE.values(), ids=UNSAFE)
def test_a_member_that_would_lead_outside_is_refused_by_name(tmp_path, members, name):
    check_refused(tmp_path, members, name)


def test_absolute_paths_are_refused(tmp_path):
    target = tmp_path / "outside" / "evil.png"
    target.parent.mkdir()
    check_refused(tmp_path, [(str(target), b"x")], str(target), more=["outside"])
    check_refused(tmp_path, [link("BreaKHis_v1/out", str(target.parent)), ("BreaKHis_v1/out/evil.png", b"x")],
                  "BreaKHis_v1/out", more=["outside"])  # fmt: skip


def check_refused(tmp_path, members, name, more=()):
    (tmp_path / "secret").write_text("secret")
    brought = tmp_path / "brought.tar.gz"
    good = (dataset.official_path(NAMES[0]).as_posix(), png_bytes(0))
    brought.write_bytes(gzip.compress(tar_bytes([good, *members])))
    with pytest.raises(InputError) as caught:
        download.fetch(tmp_path / "data", archive=brought)
    assert f"must not be unpacked: {name} (" in str(caught.value)
    assert set(tree(tmp_path)) - {"data/.BreaKHis_v1.lock"} == {"secret", "brought.tar.gz", "data", *more}
    assert (tmp_path / "secret").stat().st_nlink == 1


def test_a_stopped_unpacking_never_looks_whole(tmp_path):
    brought = tmp_path / "BreaKHis_v1.tar.gz"
    brought.write_bytes(GOOD)
    seen = []

    def stop(done, total):
        seen.append(tree(tmp_path))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch(tmp_path, archive=brought, unpacked=stop)
    assert "BreaKHis_v1" not in seen[0] and any(NAMES[0] in name for name in seen[0])
    left = tmp_path / ".BreaKHis_v1.unpacking" / "BreaKHis_v1"
    left.mkdir(parents=True)  # as a kill would leave it
    (left / NAMES[1]).write_bytes(b"half")
    assert dataset.scan(download.fetch(tmp_path, archive=brought)).file.tolist() == sorted(NAMES)
    assert not left.exists()


def test_an_archive_brought_by_hand(server, tmp_path):
    brought = tmp_path / "from a stick.tar"
    brought.write_bytes(GOOD_TAR)
    root = fetch(server, tmp_path / "one", archive=brought)
    assert dataset.scan(root).file.tolist() == sorted(NAMES) and brought.exists()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "BreaKHis_v1.tar.gz").write_bytes(GOOD)
    assert dataset.scan(fetch(server, tmp_path / "two")).file.tolist() == sorted(NAMES)
    assert server.log == []
    with pytest.raises(InputError, match="nowhere.tar.gz is no file"):
        download.fetch(tmp_path / "three", archive=tmp_path / "nowhere.tar.gz")


def test_a_damaged_archive_brought_by_hand_stays_where_it_is(tmp_path):
    brought = tmp_path / "brought.tar.gz"
    brought.write_bytes(GOOD[:-100])
    with pytest.raises(InputError, match="brought.tar.gz is damaged"):
        download.fetch(tmp_path / "data", archive=brought)
    assert brought.read_bytes() == GOOD[:-100]


def test_an_archive_without_its_top_folder_gets_one(tmp_path):
    brought = tmp_path / "brought.tar.gz"
    brought.write_bytes(gzip.compress(tar_bytes([(name, png_bytes(seed)) for seed, name in enumerate(NAMES)])))
    assert dataset.scan(download.fetch(tmp_path / "data", archive=brought)).file.tolist() == sorted(NAMES)


def test_what_bears_the_final_name_is_not_overwritten(server, tmp_path):
    simulated = tmp_path / "BreaKHis_v1" / "SOB_B_A-00-90001-40-001.png"
    simulated.parent.mkdir()
    simulated.write_bytes(b"x")
    with pytest.raises(InputError, match="there already"):
        fetch(server, tmp_path)
    with pytest.raises(InputError, match="there already"):
        download.fetch(tmp_path, archive=tmp_path / "any.tar.gz")
    assert simulated.exists() and server.log == []


def test_room_on_the_disk_is_asked_for_before_the_first_byte(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage(0, 0, 2 * len(GOOD) - 1))
    with pytest.raises(InputError, match="GB free"):
        fetch(server, tmp_path)
    assert not (tmp_path / "BreaKHis_v1.tar.gz.part").exists()
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage(0, 0, 2 * len(GOOD)))
    fetch(server, tmp_path)


def test_a_full_disk_while_unpacking_keeps_the_archive(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    (tmp_path / "BreaKHis_v1.tar.gz").write_bytes(GOOD)
    monkeypatch.setattr(archive.tarfile.TarFile, "extract", full)
    with pytest.raises(InputError, match="No space left on device"):
        download.fetch(tmp_path, "http://127.0.0.1:9/")
    assert (tmp_path / "BreaKHis_v1.tar.gz").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file cannot be used"):
        download.fetch(tmp_path / "file")
