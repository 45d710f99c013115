"""Each kind of image file that a folder may hold: read as RGB, or refused with a message that names it."""

import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from breakhis_lib.data import images
from breakhis_lib.errors import InputError

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height):
    """A PNG that states a size and holds almost no pixels: 70 bytes, whatever it says it will become."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def saved(tmp_path, image, name="x.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def refused(path, said):
    """Both ways of opening refuse `path`, naming it."""
    with pytest.raises(InputError, match=said) as caught:
        images.read_image(path)
    assert str(path) in str(caught.value)


def test_rgb_comes_out_as_it_went_in(tmp_path):
    for name in ("x.png", "x.tif"):
        pixels = images.read_image(saved(tmp_path, Image.fromarray(PIXELS), name))
        assert pixels.dtype == np.uint8 and np.array_equal(pixels, PIXELS)


def test_the_content_decides_not_the_extension(tmp_path):
    path = saved(tmp_path, Image.fromarray(PIXELS), "x.jpg", format="PNG")
    assert np.array_equal(images.read_image(path), PIXELS)


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = PIXELS[..., 0]
    assert np.array_equal(images.read_image(saved(tmp_path, Image.fromarray(grey))), np.stack([grey] * 3, axis=-1))


def test_sixteen_bits_of_grey_keep_their_range(tmp_path):
    grey = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    pixels = images.read_image(saved(tmp_path, Image.fromarray(grey)))
    assert np.array_equal(pixels[..., 0], np.rint(grey / 65535 * 255)) and (pixels[..., 0] == pixels[..., 2]).all()


def test_cmyk_is_converted(tmp_path):
    path = saved(tmp_path, Image.new("CMYK", (60, 40), (255, 0, 255, 0)), "x.tif")
    assert (images.read_image(path) == [0, 255, 0]).all()


def test_a_palette_is_looked_up(tmp_path):
    few = PIXELS // 128 * 255  # eight colours
    path = saved(tmp_path, Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE, colors=8))
    assert Image.open(path).mode == "P" and np.array_equal(images.read_image(path), few)


def test_transparency_is_laid_on_white(tmp_path):
    alpha = np.dstack([PIXELS, np.full((40, 60), 255, np.uint8)])
    alpha[:, :30, 3] = 0
    pixels = images.read_image(saved(tmp_path, Image.fromarray(alpha)))
    assert (pixels[:, :30] == 255).all() and np.array_equal(pixels[:, 30:], PIXELS[:, 30:])


def test_a_transparent_palette_entry_is_laid_on_white(tmp_path):
    image = Image.new("P", (60, 40), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(0, (0, 0, 30, 40))
    pixels = images.read_image(saved(tmp_path, image, transparency=0))
    assert (pixels[:, :30] == 255).all() and (pixels[:, 30:] == [200, 100, 50]).all()


def test_a_photograph_lying_on_its_side_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert images.read_image(saved(tmp_path, Image.fromarray(PIXELS), "x.jpg", exif=exif)).shape == (60, 40, 3)


def test_what_is_no_image_is_refused(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("a letter, not an image")
    refused(path, "is not a PNG, JPEG or TIFF image")
    refused(saved(tmp_path, Image.fromarray(PIXELS), "y.png", format="GIF"), "is a GIF image; convert it to PNG")


def test_zero_bytes_are_refused(tmp_path):
    (tmp_path / "x.png").touch()
    refused(tmp_path / "x.png", "is empty")


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif"])
def test_truncated_pixels_are_refused(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(PIXELS), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "truncated or damaged|not a PNG|damaged header")


def test_a_byte_that_flipped_is_noticed(tmp_path):
    path = saved(tmp_path, Image.fromarray(PIXELS))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    refused(path, "truncated or damaged")


def test_too_small_for_the_network_is_refused(tmp_path):
    refused(saved(tmp_path, Image.new("RGB", (1, 1))), "has 1x1 pixels; at least 32")
    refused(saved(tmp_path, Image.new("RGB", (500, 31))), "has 500x31 pixels")
    assert images.read_image(saved(tmp_path, Image.new("RGB", (32, 32)))).shape == (32, 32, 3)


def test_too_large_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png_header(40_000, 40_000))
    tracemalloc.start()
    refused(path, "has more than 50,000,000 pixels; cut it")
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 1_000_000  # bytes; the pixels would be 4.8 GB


def test_a_too_large_image_is_never_decoded(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(png_header(40_000, 40_000))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    refused(path, "50,000,000")


def test_folders_and_absent_files_are_refused(tmp_path):
    (tmp_path / "x.png").mkdir()
    refused(tmp_path / "x.png", "is a folder")
    refused(tmp_path / "y.png", "does not exist")


def test_a_loop_of_links_is_refused(tmp_path):
    (tmp_path / "x.png").symlink_to(tmp_path / "y.png")
    (tmp_path / "y.png").symlink_to(tmp_path / "x.png")
    refused(tmp_path / "x.png", "symbolic links")


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(PIXELS))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("permissions do not bind this user")
    refused(path, "permission denied")


def test_resize_gives_the_size_and_leaves_what_fits_alone():
    assert images.resize(PIXELS, (20, 30)).shape == (20, 30, 3)
    assert images.resize(PIXELS, (40, 60)) is PIXELS
    flat = np.full((460, 700, 3), [200, 120, 180], np.uint8)
    assert (images.resize(flat, (299, 299)) == [200, 120, 180]).all()


def test_resize_smooths_rather_than_skips():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(images.resize(stripes, (16, 16))[4:-4, 4:-4].astype(int)) < 20


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["grey.tif", "grey.png", "colour.tif"])
def test_what_a_camera_saves_in_16_bits_keeps_its_brightness(tmp_path, bits, kind):
    grey = np.linspace(0, 2**bits - 1, 40 * 60).reshape(40, 60).astype(np.uint16)
    if kind == "colour.tif":
        tifffile.imwrite(tmp_path / kind, np.dstack([grey] * 3), photometric="rgb")
    else:
        Image.fromarray(grey).save(tmp_path / kind)
    pixels = images.read_image(tmp_path / kind)
    assert pixels.shape == (40, 60, 3)
    assert np.abs(pixels[..., 1] - grey / (2**bits - 1) * 255).max() <= 0.5


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"GIF89a", "a GIF image; convert it"),
        (b"BM\x00\x00", "a BMP image"),
        (b"RIFF\x00\x00\x00\x00WEBP", "a WebP image"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!doctype html>", "a web page"),
        (b"\0" * 128 + b"DICM", "a DICOM file"),
        (b"nothing known", "not a PNG, JPEG or TIFF image"),
    ],
)
def test_what_a_file_is_instead_is_said_with_the_way_out(tmp_path, start, words):
    path = tmp_path / "x.png"
    path.write_bytes(start + b" " * 200)
    refused(path, words)


def test_of_several_pages_the_largest_is_read(tmp_path):
    small, large = (Image.new("RGB", (side, side), (side, 0, 0)) for side in (40, 80))
    small.save(tmp_path / "x.tif", save_all=True, append_images=[large, large.point(lambda level: 0)])
    pixels = images.read_image(tmp_path / "x.tif")
    assert pixels.shape == (80, 80, 3)
    assert (pixels[..., 0] == 80).all()


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def ihdr(width=40, height=40, bits=8, kind=2, *rest):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, *(rest or (0, 0, 0))))


IDAT, IEND = chunk(b"IDAT", zlib.compress(bytes(40 * 121))), chunk(b"IEND", b"")
BOMB = zlib.compress(bytes(300_000_000))  # some 290 kB
MALFORMED = {
    "a length beyond the end": png(ihdr(), b"\xff\xff\xff\xffIDAT", IDAT, IEND),
    "a length of minus one in the header": png(b"\xff\xff\xff\xffIHDR", ihdr()[8:], IDAT, IEND),
    "a header of too few bytes": png(chunk(b"IHDR", bytes(5)), IDAT, IEND),
    "a header with a wrong checksum": png(ihdr()[:-1] + b"\0", IDAT, IEND),
    "no header": png(IDAT, IEND),
    "no pixels": png(ihdr(), IEND),
    "no width": png(ihdr(0), IDAT, IEND),
    "the highest size": png(ihdr(2**31 - 1, 2**31 - 1), IDAT, IEND),
    "a size below zero": png(ihdr(2**32 - 1, 2**32 - 1), IDAT, IEND),
    "a colour type that is none": png(ihdr(40, 40, 8, 77), IDAT, IEND),
    "a palette that is missing": png(ihdr(40, 40, 8, 3), chunk(b"IDAT", zlib.compress(bytes(40 * 41))), IEND),
    "a profile that is none": png(ihdr(), chunk(b"iCCP", b"x"), IDAT, IEND),
    "a transparency of too many bytes": png(ihdr(), chunk(b"tRNS", bytes(500)), IDAT, IEND),
    "an orientation that is none": png(ihdr(), chunk(b"eXIf", b"MM\0*" + b"\xff" * 40), IDAT, IEND),
    "a name that is no letters": png(ihdr(), chunk(b"\0\xff\0\xff", b""), IDAT, IEND),
    "an animation of no frames": png(ihdr(), chunk(b"acTL", bytes(8)), chunk(b"fcTL", bytes(26)), IDAT, IEND),
    "a text that becomes 300 MB": png(ihdr(), chunk(b"zTXt", b"Comment\0\0" + BOMB), IDAT, IEND),
    "a profile that becomes 300 MB": png(ihdr(), chunk(b"iCCP", b"x\0\0" + BOMB), IDAT, IEND),
    "pixels that become 300 MB": png(ihdr(), chunk(b"IDAT", BOMB), IEND),
    "a TIFF page that follows itself": b"II*\0\x08\0\0\0\1\0\0\1\4\0\1\0\0\0\x28\0\0\0\x08\0\0\0",
    "a TIFF of four billion entries": b"II*\0\x08\0\0\0\xff\xff" + b"\1\1\4\0\xff\xff\xff\xff\0\0\0\0" * 20,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_or_hostile_image_is_read_or_refused_by_name_and_fills_no_memory(tmp_path, name):
    path = tmp_path / "x.png"
    path.write_bytes(MALFORMED[name])
    tracemalloc.start()
    try:
        assert images.read_image(path).shape == (40, 40, 3)
    except InputError as error:
        assert str(path) in str(error)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if name != "a length beyond the end":  # four billion bytes are asked for, and none of them is touched
        assert taken < 50_000_000


def test_pillows_own_limit_is_left_alone():
    assert Image.MAX_IMAGE_PIXELS is not None


def test_a_tiff_whose_second_page_is_damaged_is_refused_in_words(tmp_path):
    path = tmp_path / "pages.tif"
    page = Image.new("L", (40, 40), 90)
    page.save(path, save_all=True, append_images=[page])
    content = bytearray(path.read_bytes())
    first = int.from_bytes(content[4:8], "little")
    entries = int.from_bytes(content[first : first + 2], "little")
    second = int.from_bytes(content[first + 2 + 12 * entries :][:4], "little")
    content[second + 2 : second + 4] = (65000).to_bytes(2, "little")  # where the width stood, a tag that nobody knows
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        images.read_image(path)
