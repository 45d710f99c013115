"""Where a benchmark's figures go: a JSON file beside its script, and a section of README.md made from it."""

import ast
import json
from pathlib import Path

from breakhis_lib.evaluation import records

HERE = Path(__file__).parent
DECIMALS = 4


def machine():
    """Processor, cores, memory and versions of what computes."""
    at = records.machine()
    told = f"{at['processor']}, {at['threads']} cores, {at['memory']} GiB"
    return {"machine": told, "versions": records.versions()}


def begin(script, **asked):
    """What an earlier call of this script on this machine found for the same question, or a new dictionary."""
    path = Path(script).with_suffix(".json")
    new = {**machine(), **asked}
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found if all(found.get(name) == value for name, value in new.items()) else new


def write(script, found):
    """Keep the figures, and put them into README.md."""
    path = Path(script).with_suffix(".json")
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    readme = HERE / "README.md"
    text, name = readme.read_text(encoding="utf-8"), path.stem
    begin, end = f"<!-- {name}: written by {name}.py -->\n", f"<!-- end of {name} -->\n"
    section = begin + section_of(name, found) + end
    if begin in text:
        before, rest = text.split(begin)
        text = before + section + rest.split(end)[1]
    else:
        text += "\n" + section
    readme.write_text(text, encoding="utf-8")


def section_of(name, found):
    """A script's question, its command, and the figures."""
    title = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))).splitlines()[0]
    return f"## {title.rstrip('.')}\n\n`python benchmarks/{name}.py`\n\n" + "".join(f"{x}\n" for x in lines(found))


def shown(value):
    return round(value, DECIMALS) if isinstance(value, float) else value


def lines(found, level=""):
    """A nested dictionary as a list in Markdown, numbers as they are."""
    for key, value in found.items():
        if isinstance(value, dict) and any(isinstance(part, dict | list) for part in value.values()):
            yield f"{level}- {key}:"
            yield from lines(value, level + "  ")
        elif isinstance(value, dict):
            yield f"{level}- {key}: " + ", ".join(f"{name} {shown(number)}" for name, number in value.items())
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{level}- {key}:"
            yield from lines({str(place): part for place, part in enumerate(value, 1)}, level + "  ")
        else:
            yield f"{level}- {key}: {shown(value)}"
