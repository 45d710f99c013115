"""Copies of BreakHis' images, changed in one respect each; they stay below _build/ and are never committed."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from skimage import color
from skimage.util import img_as_ubyte
from torchstain.numpy.normalizers import NumpyMacenkoNormalizer, NumpyReinhardNormalizer

from breakhis_lib.data import dataset, images

COPIES = Path("_build") / "evidence"
MAGNIFICATIONS = (40, 100, 200)  # those of which the subset holds more than a few slides
STORED = (224, 224)  # height and width in pixels to which the subset's x200 was reduced by others
QUALITY = 75  # of JPEG, when all images are to be stored alike


def quarters(data):
    """The middle of every field of x100 and x200, half as high and half as wide: what twice the magnification shows."""

    def middle(pixels):
        height, width = pixels.shape[:2]
        return pixels[height // 4 : height - height // 4, width // 4 : width - width // 4]

    return _one_by_one(data, "quarters", middle, (100, 200))


def sub_types(data):
    """A folder a sub-type with the fields of x200, for those sub-types of which three slides or more can be split."""
    fields, folder = dataset.select(dataset.scan(data), 200), COPIES / "sub-types"
    slides = fields.groupby("subtype").slide.nunique()
    fields = fields[fields.subtype.isin(slides.index[slides >= 3])]
    names = [f"{field.subtype}/{field.slide}-{field.sequence}.png" for field in fields.itertuples()]
    for path, name in zip(fields.path, names, strict=True):
        _save(lambda path=path: images.read_image(path), folder / name)
    pd.DataFrame({"file": names, "group": fields.slide}).to_csv(folder / "groups.csv", index=False)
    return folder


def grey(data):
    """Every image without its colour: luminance in all three channels."""
    return _one_by_one(
        data, "grey", lambda pixels: np.repeat(img_as_ubyte(color.rgb2gray(pixels))[..., None], 3, axis=2)
    )


def one_storage(data):
    """All images brought to one size and one compression, so that how an image was stored cannot tell them apart."""
    folder = COPIES / "one-storage"
    for field in of_magnifications(data, MAGNIFICATIONS).itertuples():
        path = folder / f"{Path(field.file).stem}.jpg"
        how = {"format": "JPEG", "quality": QUALITY}
        _save(lambda field=field: images.resize(images.read_image(field.path), STORED), path, **how)
    return folder


def macenko_by_image(data):
    """Stain normalisation (Macenko et al. 2009), stains found in each image by itself."""
    return _one_by_one(data, "macenko-by-image", _macenko)


def macenko_by_slide(data):
    """The same, stains found in all images of a slide together: what differs within a slide stays."""
    return _slide_by_slide(data, "macenko-by-slide", _macenko)


def reinhard_by_image(data):
    """Colour transfer (Reinhard et al. 2001): mean and deviation in Lab as in one image, each image by itself."""
    return _one_by_one(data, "reinhard-by-image", _reinhard(data))


def reinhard_by_slide(data):
    """The same, for all images of a slide together."""
    return _slide_by_slide(data, "reinhard-by-slide", _reinhard(data))


def _macenko(pixels):
    """Towards the library's own reference stains; an image in which none are found stays as it is."""
    try:
        return np.clip(NumpyMacenkoNormalizer().normalize(pixels, stains=False)[0], 0, 255).astype(np.uint8)
    except (np.linalg.LinAlgError, ValueError, IndexError):
        return pixels


def _reinhard(data):
    """A function that normalises towards the first image by name, whatever its class."""
    normalizer = NumpyReinhardNormalizer()
    normalizer.fit(images.read_image(of_magnifications(data, MAGNIFICATIONS).path.iloc[0]))
    return lambda pixels: np.clip(normalizer.normalize(pixels), 0, 255).astype(np.uint8)


def of_magnifications(data, magnifications):
    """The fields of some magnifications."""
    fields = dataset.scan(data)
    return fields[fields.magnification.isin(magnifications)]


def _one_by_one(data, name, change, magnifications=MAGNIFICATIONS):
    for field in of_magnifications(data, magnifications).itertuples():
        _save(lambda field=field: change(images.read_image(field.path)), COPIES / name / field.file)
    return COPIES / name


def _slide_by_slide(data, name, change):
    """Change the images of a slide and magnification as one tall image, and cut it up again."""
    for _, group in of_magnifications(data, MAGNIFICATIONS).groupby(["slide", "magnification"]):
        paths = [COPIES / name / file for file in group.file]
        if all(path.exists() for path in paths):
            continue
        pixels = [images.read_image(path) for path in group.path]
        width = max(image.shape[1] for image in pixels)
        tall = np.concatenate([np.pad(i, ((0, 0), (0, width - i.shape[1]), (0, 0)), mode="edge") for i in pixels])
        changed, top = change(tall), 0
        for image, path in zip(pixels, paths, strict=True):
            part = changed[top : top + image.shape[0], : image.shape[1]]
            top += image.shape[0]
            _save(lambda part=part: part, path)
    return COPIES / name


def _save(make, path, format="PNG", **options):
    """Make an image where there is none yet; whole, or not at all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".partial-{path.name}")
        Image.fromarray(make()).save(partial, format=format, **options)
        partial.replace(path)
