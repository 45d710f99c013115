"""The house: what each room of the library may import, and what stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "breakhis_lib"
GROUND = {"errors", "files", "cache", "paper"}
MAY_IMPORT = {  # the room: what it may import besides itself
    "": {"errors"},  # the ground: errors, and above them files, cache, paper
    "data": GROUND,
    "practice": GROUND | {"data"},
    "model": GROUND | {"data"},
    "evaluation": GROUND | {"data", "model.readings"},
    "ledger": {"errors"},  # of any paper: nothing of BreakHis
    "book": GROUND | {"ledger", "data", "practice", "model", "evaluation"},
    "experiment": GROUND | {"data", "practice", "model", "evaluation"},
    "demo": GROUND | {"data", "evaluation", "model", "experiment", "console"},
    "workers": GROUND,
    "console": GROUND | {"evaluation"},
    "cli": {*GROUND, "ledger", "data", "practice", "model", "evaluation", "book", "experiment", "demo"}
    | {"workers", "console"},
}
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py")


def imported(path):
    """What a module imports of the library, at its top or within a function: names such as data.dataset."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("breakhis_lib"):
            inside = node.module.removeprefix("breakhis_lib").lstrip(".")
            is_module = inside.count(".") or inside in GROUND | {"console", "ledger"}
            yield from [inside] if is_module else [f"{inside}.{name.name}".lstrip(".") for name in node.names]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_a_module_imports_only_what_its_room_may(path):
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    room = parts[0] if len(parts) > 1 or parts[0] in MAY_IMPORT else ""
    allowed = MAY_IMPORT[room] | {room}
    for name in set(imported(path)) - {"__version__"}:
        assert name.split(".")[0] in allowed or name in allowed, f"{room or 'the ground'} imports {name}"


def code_lines(path):
    """Lines that hold code: no blank, no comment, no docstring."""
    text = path.read_text(encoding="utf-8")
    lines = {number for number, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def test_the_library_stays_small():
    lines = {path.name: code_lines(path) for path in LIBRARY.rglob("*.py")}
    assert max(lines.values()) < 300, max(lines, key=lines.get)
    assert sum(lines.values()) < 4200


@pytest.mark.parametrize(
    "arguments", ["table RECORD", "report RECORD --to PAGE", "check SLIDES", "run --protocols nonsense", "--help"]
)
def test_what_needs_no_training_loads_no_tensorflow(arguments, slides, tmp_path):
    record = LIBRARY.parent / "results" / "x400"
    heavy = {"tensorflow", "keras"} | ({"sklearn"} if "RECORD" not in arguments else set())  # a second to load
    words = {"RECORD": str(record), "PAGE": str(tmp_path / "page.html"), "SLIDES": str(slides)}
    code = (
        "import sys\nfrom breakhis_lib import cli\n"
        f"sys.argv = ['breakhis', *{[words.get(word, word) for word in arguments.split()]!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        f"sys.exit(bool({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


TEXT_CALLS = {"open", "read_text", "write_text"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_text_files_are_utf_8_whatever_the_locale(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        words = [
            part.value
            for part in [*node.args, *(word.value for word in node.keywords)]
            if isinstance(part, ast.Constant)
        ]
        binary = any(isinstance(word, str) and "b" in word and len(word) <= 3 for word in words)
        of_text = name in TEXT_CALLS and getattr(getattr(node.func, "value", None), "id", "") not in {
            "Image",
            "tarfile",
            "outer",
        }
        if of_text and not binary:
            assert "encoding" in {word.arg for word in node.keywords}, f"line {node.lineno}: {name} without encoding"
