"""A pytest plugin: how long each chapter's validation takes, and how much memory, as nbval re-runs it.

`pytest -p tests.chapter_times --chapter-times FILE --nbval ... chapters` writes FILE when every chapter
passed. The committed one, benchmarks/chapters.csv, is what the book's page on run time shows.
"""

import os
from pathlib import Path

import pandas as pd
import psutil
import pytest

COLUMNS = ["chapter", "code_cells", "seconds", "peak_memory_mb"]  # and processors: how many the machine has


MEANING = """This is the cell that JupyterLab shows as [{number}]. The stored output is called "reference", what the
cell put out just now "test". If the new one is right, store it:
jupyter nbconvert --to notebook --execute --inplace {path}"""


def pytest_addoption(parser):
    parser.addoption("--chapter-times", metavar="FILE", help="write seconds and memory of every chapter to FILE")


def pytest_configure(config):
    config.pluginmanager.register(ChapterCosts(config.getoption("--chapter-times")))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Note the kernel's memory after each cell; the property travels with the report to the main process."""
    report = (yield).get_result()
    kernel = getattr(item.parent, "kernel", None)
    if call.when == "call" and kernel is not None:
        report.user_properties.append(("kernel_memory_mb", peak_memory_mb(kernel.km.provisioner.pid)))
        if report.failed:
            number = item.cell.get("execution_count", "?")  # JupyterLab's; nbval counts from 0, markdown left out
            report.sections.append(("what this means", MEANING.format(number=number, path=item.parent.path)))


def peak_memory_mb(pid):
    """The most memory that a process ever held, in MB; where the system does not say, what it holds now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    return psutil.Process(pid).memory_info().rss / 1e6


class ChapterCosts:
    """Adds up the reports of all cells, whichever process ran them."""

    def __init__(self, path):
        self.path, self.cells, self.failed = path, [], False

    def pytest_runtest_logreport(self, report):
        if ".ipynb::" not in report.nodeid:
            return
        self.failed |= report.failed
        memory = dict(report.user_properties).get("kernel_memory_mb", 0.0) if report.when == "call" else 0.0
        chapter = Path(report.nodeid.split("::")[0]).name
        self.cells.append([chapter, int(report.when == "call"), report.duration, memory])

    def table(self):
        """One row a chapter."""
        cells = pd.DataFrame(self.cells, columns=COLUMNS)
        sums = {"code_cells": "sum", "seconds": "sum", "peak_memory_mb": "max"}
        table = cells.groupby("chapter", as_index=False).agg(sums).round({"seconds": 1, "peak_memory_mb": 0})
        return table.assign(processors=os.cpu_count())

    def pytest_terminal_summary(self, terminalreporter):
        if self.cells:
            terminalreporter.section("chapters")
            terminalreporter.write_line(self.table().to_string(index=False))

    def pytest_sessionfinish(self, session):
        if self.path and self.cells and not self.failed and not hasattr(session.config, "workerinput"):
            self.table().to_csv(self.path, index=False)
