"""The kit for a room without a network: the right packages for each system, and one that is unpacked and used."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from teaching import kit
from tests.page_rules import ROOT


@pytest.mark.parametrize(
    ("system", "has", "lacks"),
    [
        ("windows", {"colorama", "pywinpty"}, {"pexpect", "appnope"}),
        ("macos", {"appnope", "pexpect"}, {"colorama", "pywinpty"}),
        ("linux", {"pexpect", "tensorflow"}, {"colorama", "pywinpty", "appnope"}),
    ],
)
def test_a_system_gets_its_packages_whatever_machine_collects_them(system, has, lacks):
    names = {line.split("==")[0] for line in kit.packages(system, "3.12")}
    assert has <= names and not lacks & names
    assert "overrides" in {line.split("==")[0] for line in kit.packages(system, "3.11")} - names  # for 3.11 alone
    assert all("--hash=sha256:" in line and ";" not in line for line in kit.packages(system, "3.13"))


@pytest.mark.parametrize("system", ["linux", "windows"])
def test_the_start_page_says_what_to_type(system, tmp_path):
    (tmp_path / "cache" / "practice").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(tmp_path / "cache" / "practice" / "SOB_B_A-00-90001-200-001.png")
    kit.assemble(system, "3.12", tmp_path)
    page = (tmp_path / "start.html").read_text(encoding="utf-8")
    script, python = {"linux": ("install.sh", ".venv/bin/"), "windows": ("install.bat", ".venv\\Scripts\\")}[system]
    assert script in page and f"{python}breakhis predict" in page and "Not for clinical use" in page
    assert (tmp_path / "course" / "locks" / "course.txt").exists() and not (tmp_path / "course" / ".git").exists()
    lines = (tmp_path / script).read_bytes().split(b"\n")
    assert all(line.endswith(b"\r") for line in lines[:-1]) == (system == "windows")
    kit.pack(tmp_path, tmp_path.with_suffix(".zip"))
    assert "slide-to-softmax/start.html" in zipfile.ZipFile(tmp_path.with_suffix(".zip")).namelist()


def test_a_kit_for_students_holds_no_solution(tmp_path):
    (tmp_path / "cache" / "practice").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(tmp_path / "cache" / "practice" / "SOB_B_A-00-90001-200-001.png")
    kit.assemble("linux", "3.12", tmp_path, student=True)
    assert "pages/" not in (tmp_path / "start.html").read_text(encoding="utf-8") and not (tmp_path / "slides").exists()
    assert (tmp_path / "course" / "chapters" / "04_fine_tuning.ipynb").exists()
    answers = [
        choice["feedback"]
        for path in (ROOT / "chapters" / "quiz").glob("*.json")
        for item in json.loads(path.read_text(encoding="utf-8"))
        for choice in item["answers"]
    ]
    for path in (tmp_path / "course").rglob("*"):
        if path.suffix in {".ipynb", ".md", ".json", ".po", ".py", ".txt"}:
            text = path.read_text(encoding="utf-8")
            assert "{solution-start}" not in text, path
            assert not [answer for answer in answers if len(answer) > 30 and answer in text], path


@pytest.mark.skipif("KIT" not in os.environ, reason="takes five minutes: make kit, then KIT=_build/kit/….zip pytest …")
def test_a_kit_installs_and_runs_without_a_network_from_an_empty_home(tmp_path):
    shutil.unpack_archive(ROOT / os.environ["KIT"], tmp_path)
    python = shutil.which(f"python{os.environ['KIT'].removesuffix('.zip').removesuffix('-student').split('-')[-1]}")
    assert python and shutil.which("unshare") and shutil.which("ip"), "needs that Python on the path, unshare, and ip"
    room = tmp_path / "slide-to-softmax"
    page = (room / "start.html").read_text(encoding="utf-8").replace("\n", " ")
    ask = page.split("simulated image:</p> <pre>")[1].split("</pre>")[0].replace("$PWD/cache ", "$PWD/cache; ")
    run = ".venv/bin/jupyter nbconvert --to notebook --execute --stdout course/chapters/{}.ipynb >/dev/null"
    chapters = [run.format(name) for name in ("01_missed_cancer", "04_fine_tuning")]
    script = [
        "set -e",
        "ip link set lo up",
        'test "$(ip -o link | wc -l)" = 1',
        "sh install.sh",
        ask,
        *chapters,
        "echo all is well",
    ]
    plain = {"HOME": str(tmp_path / "home"), "PATH": f"{Path(python).parent}:/usr/bin:/bin:/usr/sbin:/sbin"}
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", "\n".join(script)],
        **{"cwd": room, "env": plain, "capture_output": True, "text": True, "timeout": 1800},
    )
    assert done.stdout.endswith("all is well\n"), done.stdout + done.stderr
    assert "its test set" in done.stdout  # the head's answer
