"""One image file, read safely: whatever the format, RGB of 8 bits comes out, or a clear error.

A file's header is looked at before its pixels are decoded, so that an image too large to be a
photograph of a slide is refused instead of filling the memory.
"""

import math
import os
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps, ImageSequence

from breakhis_lib.errors import InputError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
EXTENSIONS = set(FORMATS)
MIN_SIDE = 32  # pixels; Xception's five halvings leave nothing of less
MAX_PIXELS = 50_000_000  # a 12-bit microscope camera has some 20 million
DEPTHS = (8, 10, 12, 14, 16)  # bits of a camera; what it saves in 16 may hold fewer
OTHERS = {  # what files turn out to be that are no PNG, JPEG or TIFF: their first bytes, and what to do
    b"GIF8": "a GIF image; convert it to PNG",
    b"BM": "a BMP image; convert it to PNG",
    b"RIFF": "a WebP image; convert it to PNG",
    b"\0\0\0": "an image of a phone (HEIC or AVIF) or a film; convert it to PNG",
    b"version https://git-lfs": "no image but a pointer of Git LFS; fetch the image with `git lfs pull`",
    b"<": "a web page or a drawing, not an image; get the file again",
    **dict.fromkeys([b"II*\0", b"MM\0*"], "a TIFF image of a kind that is not read; convert it to 8 bits a colour"),
}


def open_image(path):
    """Open an image file and check its header, without decoding the pixels.

    path: a PNG, JPEG or TIFF file.
    Returns a PIL image. Raises InputError when the file is missing, unreadable, empty, not an image,
    or of a size outside 32 pixels a side to 50 million pixels in all.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; an image file was expected.")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (zero bytes); copy or download it again.")
        image = Image.open(path, formats=tuple(dict.fromkeys(FORMATS.values())))
        if image.format == "TIFF" and image.n_frames > 1:
            sizes = [math.prod(page.size) for page in ImageSequence.Iterator(image)]
            image.seek(sizes.index(max(sizes)))  # the first of equal ones: a pyramid begins with any of its sizes
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"{path} cannot be read: {os.strerror(error.errno).lower()}; change that.") from None
        raise InputError(f"{path} is {_other(path)}.") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} has more than {MAX_PIXELS:,} pixels; cut it into fields first.") from None
    except Exception as error:  # Pillow's parsers raise SyntaxError, struct.error and more on a bad header
        raise InputError(f"{path} has a damaged header ({error}); copy or download it again.") from None
    width, height = image.size
    problem = None
    if min(width, height) < MIN_SIDE:
        problem = f"at least {MIN_SIDE} pixels a side were expected"
    if width * height > MAX_PIXELS:
        problem = f"at most {MAX_PIXELS:,} pixels in all were expected; cut it into fields first"
    if problem:
        image.close()
        raise InputError(f"{path} has {width}x{height} pixels; {problem}.")
    return image


def _other(path):
    """What a file is that is none of ours, and what to do."""
    with open(path, "rb") as stream:
        start = stream.read(132)
    if start[128:] == b"DICM":
        return "a DICOM file; export its image as PNG"
    return next((words for begin, words in OTHERS.items() if start.startswith(begin)), "not a PNG, JPEG or TIFF image")


def read_image(path):
    """Decode an image file to RGB.

    path: a PNG, JPEG or TIFF file; of several pages the largest, or else the first, is read. Grey, palette, CMYK and
    16-bit images are converted, white being the most that 8, 10, 12, 14 or 16 bits hold, whichever fits the image;
    transparency is laid on white, the colour of an empty microscope field.
    Returns a uint8 array of shape (height, width, 3). Raises InputError as `open_image` does, and when
    the pixels are truncated or damaged.
    """
    with open_image(path) as image:
        try:
            if image.format == "TIFF" and image.mode == "RGB" and ";16" in str(image.tile):
                return _to_8_bits(tifffile.imread(path, key=image.tell()))  # Pillow keeps the upper eight bits alone
            image.load()
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
        except Exception as error:  # truncated data surfaces as OSError, SyntaxError, zlib.error, ...
            raise InputError(f"{path} is truncated or damaged ({error}); copy or download it again.") from None


def _to_8_bits(values):
    """Grey levels of any depth as uint8; levels below zero are black."""
    highest = float(values.max())
    white = next((2.0**depth - 1 for depth in DEPTHS if highest < 2**depth), highest)
    if highest <= 1 and values.dtype.kind == "f":
        white = 1.0
    return np.clip(np.rint(values / white * 255), 0, 255).astype(np.uint8)


def _to_rgb(image):
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def resize(pixels, size):
    """Resize to the network's input with an antialiasing bilinear filter.

    pixels: uint8 array (height, width, 3). size: (height, width) in pixels; the aspect is not kept
    unless `size` keeps it.
    Returns a uint8 array (height, width, 3) of that size.
    """
    if pixels.shape[:2] == tuple(size):
        return pixels
    height, width = size
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
