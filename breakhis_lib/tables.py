"""What the reader sees as tables: the paper's numbers beside ours."""

import pandas as pd

from breakhis_lib import metrics, network, paper


def table4(predictions, reading=network.DEFAULT_READING):
    """The paper's Table 4 beside a record's test accuracy, by protocol.

    predictions: of a record, any magnifications, protocols and seeds.
    Returns a data frame, one row a magnification and protocol: paper, accuracy, low, high (percent; the
    interval is the 95 % bootstrap over slides), majority (percent), runs, images, slides. The paper's row
    of a magnification that was not run has no other figure.
    """
    tested = predictions[(predictions.set == "test") & (predictions.reading == reading)]
    printed = paper.table4()
    rows = []
    for magnification in sorted({*printed.index, *tested.magnification}):
        row = {"magnification": magnification, "paper": printed.get(magnification)}
        there = tested[tested.magnification == magnification]
        for protocol, group in there.groupby("protocol"):
            found = metrics.mean_accuracy(group)
            percent = {name: 100 * found[name] for name in ("accuracy", "low", "high")}
            majority = 100 * metrics.majority_share(group.drop_duplicates("file").label)
            counts = {name: found[name] for name in ("runs", "images", "slides")}
            rows.append({**row, "protocol": protocol, **percent, "majority": majority, **counts})
        if there.empty:
            rows.append({**row, "protocol": None})
    columns = ["paper", "accuracy", "low", "high", "majority", "runs", "images", "slides"]
    table = pd.DataFrame(rows).set_index(["magnification", "protocol"])
    return table.reindex(columns=columns).astype(dict.fromkeys(["runs", "images", "slides"], "Int64"))
