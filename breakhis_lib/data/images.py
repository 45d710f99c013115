"""One image file, read safely: whatever the format, RGB of 8 bits comes out, or a clear error.

A file's header is looked at before its pixels are decoded, so that an image too large to be a
photograph of a slide is refused instead of filling the memory.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from breakhis_lib.errors import InputError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
EXTENSIONS = set(FORMATS)
MIN_SIDE = 32  # pixels; Xception's five halvings leave nothing of less
MAX_PIXELS = 50_000_000  # a 12-bit microscope camera has some 20 million
Image.MAX_IMAGE_PIXELS = None  # our own limit, below, comes first and is an error rather than a warning


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
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: permission denied; change its permissions.") from None
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"{path} cannot be read: {os.strerror(error.errno)}.") from None
        raise InputError(f"{path} is not a PNG, JPEG or TIFF image.") from None
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


def read_image(path):
    """Decode an image file to RGB.

    path: a PNG, JPEG or TIFF file; grey, palette, CMYK and 16-bit images are converted, transparency
    is laid on white, the colour of an empty microscope field.
    Returns a uint8 array of shape (height, width, 3). Raises InputError as `open_image` does, and when
    the pixels are truncated or damaged.
    """
    with open_image(path) as image:
        try:
            image.load()
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
        except Exception as error:  # truncated data surfaces as OSError, SyntaxError, zlib.error, ...
            raise InputError(f"{path} is truncated or damaged ({error}); copy or download it again.") from None


def _to_rgb(image):
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        brightest = 65535.0 if image.mode.startswith("I") else max(float(values.max()), 1e-12)
        return Image.fromarray(np.clip(np.rint(values / brightest * 255), 0, 255).astype(np.uint8)).convert("RGB")
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
