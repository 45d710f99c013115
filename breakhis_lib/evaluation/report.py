"""One page about a record: how good, how sure, for whom, and from what. It needs no network and no other file."""

import io
import itertools
import json
from importlib import resources

import jinja2
import matplotlib.pyplot as plt
import pandas as pd
from markupsafe import Markup, escape

from breakhis_lib.data import dataset
from breakhis_lib.evaluation import calibration, decisions, figures, metrics, tables
from breakhis_lib.files import write_page
from breakhis_lib.model import readings

MOST_ERRORS = 20
WHOLE = ("missed", "malignant", "alarms", "benign")  # columns of `decisions` that count images


def write(record, path, reading=readings.DEFAULT_READING):
    """Write the report of a record's runs of one reading.

    record: records.Record. path: of the HTML file. reading: a name in `readings.READINGS` or `readings.METHODS`.
    Returns the path. Raises InputError when the record has no such run or the file cannot be written.
    """
    predictions, info = record.predictions(), record.info()
    of_reading = tables.of_reading(predictions, reading)
    classes = info["classes"] if record.positive() else None
    source = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    parts = [_magnification(*item, classes) for item in of_reading.groupby("magnification")]
    runs = [run for run in info["runs"] if run["reading"] == reading]
    page = template.render(
        name=f"{record.folder.name}, reading {reading}",
        simulated=record.is_simulated(),
        classes=classes,
        count=len(info["classes"]),
        contents=[
            ("Table 4", "table4"),
            *((part["title"], f"x{part['magnification']}") for part in parts),
            ("Leakage", "leakage"),
            ("Provenance", "provenance"),
        ],
        table4=_table4(predictions, reading),
        parts=parts,
        leakage=_leakage(runs),
        sessions=_sessions(info["sessions"]),
        data=_html(pd.DataFrame(info["data"]).T.rename_axis("magnification"), "Images, by digest"),
        settings=json.dumps(info["settings"], indent=1),
    )
    return write_page(path, page)


def _table4(predictions, reading):
    table = tables.ways(predictions, reading).reset_index()
    table[["low", "high"]] = table[["low", "high"]].astype(object).where(table.runs.notna(), "")  # the paper has none
    return _html(table, "Test accuracy in percent", index=False, decimals=2)


def _magnification(magnification, predictions, classes):
    """What the template shows of one magnification; `classes`: the other and the positive class, or None."""
    tested = predictions[predictions.set == "test"]
    title = f"Magnification {magnification}" if magnification else "All images"
    shown = []
    if classes:
        alt = f"Three charts, {title.lower()}: ROC, precision and recall, reliability, a line for each way to split."
        caption = f"Test images of all seeds pooled. Dotted: chance, the share of {classes[1]} images, "
        caption += "and probabilities that come true as often as they say."
        shown.append({"svg": _svg(figures.curves, tested), "alt": alt, "caption": caption})
    protocols = [_protocol(name, group, classes) for name, group in predictions.groupby("protocol", sort=True)]
    if classes and {"image", "slide"} <= set(tested.protocol):
        protocols[-1]["tables"] += _comparison(tested)
    return {"magnification": magnification, "title": title, "figures": shown, "protocols": protocols}


def _protocol(name, predictions, classes):
    tested = predictions[predictions.set == "test"]
    counts = f"{tested.file.nunique()} images of {tested.slide.nunique()} slides, {tested.seed.nunique()} runs"
    positive = classes and classes[1]
    found = metrics.summary(tested, positive=positive)
    images, accuracy = tested.file.nunique(), found.value["accuracy"]
    shown = found.copy()
    shown.loc["accuracy, as if independent (Wilson)"] = [accuracy, *metrics.wilson(round(accuracy * images), images)]
    of_breakhis = tested.magnification.iat[0] != dataset.NO_MAGNIFICATION  # elsewhere groups have no number to share
    if of_breakhis and tested.slide.map(dataset.slide_number).nunique() < tested.slide.nunique():
        by_number = metrics.summary(tested, "number", positive=positive)[["low", "high"]]
        shown = shown.join(by_number.rename(columns="{}, numbers drawn".format))
    first = [_html(shown, f"How good, and how sure{f'; to be found: {positive}' if positive else ''}")]
    folded = []
    if classes:
        first.append(_html(tables.prevalences(found), "What an answer is worth, at assumed prevalences"))
        thresholds, costs = _thresholds(predictions), decisions.expected_costs(predictions)
        told = "Cost of an image in false alarms, by ratio of the costs"
        folded += [
            ("Thresholds chosen on validation images", _html(thresholds, "Applied to test images", of=classes)),
            (f"What a missed {positive} image costs", _html(costs, told, of=classes)),
            ("Calibration", _html(calibration.summary(predictions), "Brier score and expected error")),
            ("Slide by slide", _html(tables.slide_by_slide(tested), "Worst first", decimals=2)),
        ]
    worst = _html(tables.errors(tested, MOST_ERRORS), "Wrong, and surest of it", index=False)
    return {"name": name, "counts": counts, "tables": first, "folded": [*folded, ("Worst errors", worst)]}


def _thresholds(predictions):
    choices = {
        "0.5": lambda label, p: 0.5,
        "sensitivity 0.95 on validation": lambda label, p: decisions.at_sensitivity(label, p, 0.95),
        "specificity 0.95 on validation": lambda label, p: decisions.at_specificity(label, p, 0.95),
    }
    rows = {name: decisions.apply_chosen(predictions, choose) for name, choose in choices.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("chosen for")


def _comparison(tested):
    """By image and by slide on the same images: the difference of three measures."""
    by_image, by_slide = (tested[tested.protocol == name] for name in ("image", "slide"))
    if set(by_image.slide) != set(by_slide.slide):
        return []  # too few runs to have tested the same
    measures = ("accuracy", "balanced accuracy", "AUC")
    rows = {measure: metrics.paired_difference(by_image, by_slide, measure) for measure in measures}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("measure")
    return [_html(table, "By image less by slide, with the same slides drawn for both")]


def _leakage(runs):
    columns = ["test images", "share a slide", "share a slide number", "have a twin"]
    rows = [{"magnification": run["magnification"], "split by": run["protocol"], **run["audit"]} for run in runs]
    table = pd.DataFrame(rows).groupby(["magnification", "split by"]).mean(numeric_only=True)
    return _html(table.reindex(columns=columns).reset_index(), "Test images", index=False, decimals=1)


def _sessions(sessions):
    rows = []
    for session in sessions:
        versions = ", ".join(itertools.starmap("{} {}".format, session["versions"].items()))
        rows.append({name: session[name] for name in ("date", "command", "device")} | {"versions": versions})
    return _html(pd.DataFrame(rows), "Commands that made the record", index=False)


def _html(table, caption, index=True, decimals=3, of=None):
    """A data frame as an HTML table with a caption, in a box that scrolls; fractions with so many decimals.

    of: the other and the positive class, in whose names the columns of `decisions` are then told.
    """
    table = table.reset_index() if index else table
    table = table.astype({name: int for name in WHOLE if name in table})
    if of:
        words = dict(zip(dataset.CLASSES, of, strict=True))
        table = table.rename(columns=lambda name: " ".join(words.get(word, word) for word in name.split(" ")))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    lines = []
    for row in table.itertuples(index=False):
        texts = [_text(value, decimals, name) for name, value in zip(table.columns, row, strict=True)]
        cells = [
            f'<td class="{"text" * isinstance(value, str)}">{escape(text)}</td>'
            for text, value in zip(texts[1:], row[1:], strict=True)
        ]
        lines.append(f'<tr><th scope="row">{escape(texts[0])}</th>{"".join(cells)}</tr>')
    return Markup(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _text(value, decimals, column):
    if pd.isna(value):
        return tables.interval(value, value) if column.startswith("low") else ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:g}" if column in ("prevalence", "ratio") else f"{value:.{decimals}f}"


def _svg(draw, *given):
    """A matplotlib figure as SVG to set into the page, the same at every call."""
    stream = io.StringIO()
    with plt.rc_context({"svg.hashsalt": "breakhis"}):
        figures.style()
        figure = draw(*given)
        figure.savefig(stream, format="svg", metadata={"Date": None})
    plt.close(figure)
    return Markup(stream.getvalue()[stream.getvalue().index("<svg") :])
