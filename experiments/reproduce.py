"""Everything that results/ holds about real images, run again: python experiments/reproduce.py FOLDER_OF_BREAKHIS.

Each experiment is one `breakhis run` into one record; what is recorded is not repeated, so that the whole may be
stopped and spread over days. `--list` prints the commands, `--only NAME` runs some of them.
"""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
from PIL import Image
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from breakhis_lib.data import dataset, images
from breakhis_lib.errors import InputError
from breakhis_lib.model import baselines

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("breakhis")
TEN, FIVE, THREE = (",".join(map(str, range(count))) for count in (10, 5, 3))
THREE_WAYS = "image,slide,number"
AT_200 = "--magnifications 200"
BY_SLIDE = f"{AT_200} --protocols slide"

COPIES = Path("_build") / "evidence"  # never in version control: these are BreakHis' images
QUARTERS, SUB_TYPES = COPIES / "quarters", COPIES / "sub-types"

EXPERIMENTS = {  # the record below results/, and the options that make it
    "breakhis-subset": [
        f"--magnifications 40,100,200 --protocols {THREE_WAYS} --seeds {TEN} --readings logistic,colour",
        f"--magnifications 40,100,200 --protocols {THREE_WAYS} --seeds {TEN}",
    ],
    "x400": [f"--magnifications 400 --seeds {FIVE} --readings block14,logistic,colour"],
    "controls/labels-shuffled-by-image": [f"{AT_200} --seeds {FIVE} --readings logistic --shuffle-labels image"],
    "controls/labels-shuffled-by-slide": [f"{AT_200} --seeds {FIVE} --readings logistic --shuffle-labels slide"],
    "readings/inference": [  # block14 is in the first record
        f"{AT_200} --seeds {THREE} --readings probe",
        f"{AT_200} --seeds 0 --readings last4,block13",
    ],
    "readings/batch": [f"{AT_200} --seeds 0 --readings block14,last4 --batch-norm batch"],
    "factors/epochs-5": [f"{BY_SLIDE} --seeds {THREE} --epochs 5"],
    "factors/epochs-30": [f"{BY_SLIDE} --seeds 0 --epochs 30 --patience 0"],
    "factors/class-weights": [f"{BY_SLIDE} --seeds {THREE} --class-weights"],
    "factors/augment": [f"{BY_SLIDE} --seeds 0 --augment"],
    "factors/size-224": [f"{BY_SLIDE} --seeds {THREE} --size 224"],
    "factors/aspect-kept": [f"{BY_SLIDE} --seeds {THREE} --size 243x369"],
    "quarter/cropped": [f"--magnifications 100,200 --seeds {FIVE} --readings logistic"],
    "neighbours": [],  # no training: see `neighbours`
    "sub-types": [f"--groups {SUB_TYPES}/groups.csv --seeds {FIVE} --readings logistic"],
}


def prepared(name, data):
    """The folder of images that an experiment runs on: BreakHis itself, or copies of it."""
    if name == "quarter/cropped":
        return quarters(data)
    return sub_types(data) if name == "sub-types" else data


def quarters(data):
    """The middle of every field of x100 and x200, half as high and half as wide: what twice the magnification shows."""
    fields = dataset.scan(data)
    for field in fields[fields.magnification.isin([100, 200])].itertuples():
        pixels = images.read_image(field.path)
        height, width = pixels.shape[:2]
        _save(pixels[height // 4 : height - height // 4, width // 4 : width - width // 4], QUARTERS / field.file)
    return QUARTERS


def sub_types(data):
    """A folder a sub-type with the fields of x200, for those sub-types of which three slides or more can be split."""
    fields = dataset.select(dataset.scan(data), 200)
    slides = fields.groupby("subtype").slide.nunique()
    fields = fields[fields.subtype.isin(slides.index[slides >= 3])]
    names = [f"{field.subtype}/{field.slide}-{field.sequence}.png" for field in fields.itertuples()]
    for path, name in zip(fields.path, names, strict=True):
        _save(images.read_image(path), SUB_TYPES / name)
    pd.DataFrame({"file": names, "group": fields.slide}).to_csv(SUB_TYPES / "groups.csv", index=False)
    return SUB_TYPES


def neighbours(data):
    """results/neighbours.csv: of every image, the other image of its magnification that is nearest in colour."""
    rows = []
    for _, fields in dataset.scan(data).groupby("magnification"):
        numbers = StandardScaler().fit_transform(baselines.colour(fields))
        nearest = NearestNeighbors().fit(numbers).kneighbors(n_neighbors=1, return_distance=False)[:, 0]
        kept = fields[["magnification", "file", "slide", "label"]].reset_index(drop=True)
        other = kept.loc[nearest, ["file", "slide", "label"]].reset_index(drop=True)
        rows.append(kept.join(other.add_prefix("nearest_")))
    pd.concat(rows).to_csv(ROOT / "results" / "neighbours.csv", index=False, lineterminator="\n")


def _save(pixels, path):
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def main():
    """Run what is asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with BreakHis' images, or a subset of them")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--list", action="store_true", help="print the commands and run nothing")
    options = parser.parse_args()
    data = Path(os.path.relpath(options.data, ROOT))
    os.chdir(ROOT)  # so that the commands in the records name no folder above it
    for name in options.only or EXPERIMENTS:
        folder = data if options.list else prepared(name, data)
        if name == "neighbours" and not options.list:
            neighbours(data)
        for arguments in EXPERIMENTS[name]:
            line = ["run", "--data", str(folder), "--results", f"results/{name}", *shlex.split(arguments)]
            print(shlex.join(["breakhis", *line]), flush=True)
            if not options.list and subprocess.run([COMMAND, *line]).returncode:
                sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
