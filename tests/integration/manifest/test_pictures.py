"""Pictures looked at and made to fit: measures, EXIF, damage, and that the same bytes come out each time."""

import base64
import io
import warnings
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from batchrunner.core.model import Fit, MediaFile
from batchrunner.manifest import load_limits
from batchrunner.media import pictures as module
from batchrunner.media.local_files import MediaChanged, MediaFolder, data_uri
from batchrunner.media.pictures import BrokenPicture, PictureFacts, fitted, inspect_picture, picture_type

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"]
SMALL = Fit(side=800, max_bytes=1_000_000)
ORIENTATION = 0x0112


def photo(width: int = 1200, height: int = 900) -> Image.Image:
    """Something with detail: a gradient and a bright corner at the upper left."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((255, 0, 0), (0, 0, width // 4, height // 4))
    return image


def stored(image: Image.Image, form: str = "JPEG", orientation: int = 1) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image.save(out, form, **({} if orientation == 1 else {"exif": exif}))
    return out.getvalue()


def seen(data: bytes) -> PictureFacts:
    """What is seen of a file."""
    return inspect_picture(data, picture_type(data))


def fit(data: bytes, bounds: Fit = SMALL) -> Image.Image:
    """The copy that is sent."""
    return Image.open(io.BytesIO(fitted(data, picture_type(data), bounds)))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_measured(form: str) -> None:
    """Each that the model takes, but for heic."""
    assert seen(stored(photo(640, 480), form)) == PictureFacts(640, 480, True)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_measured_upright(form: str, orientation: int) -> None:
    """As a person sees it in a viewer."""
    width, height = (480, 640) if orientation >= 5 else (640, 480)
    assert seen(stored(photo(640, 480), form, orientation)) == PictureFacts(width, height, orientation == 1)


@pytest.mark.parametrize("form", FORMATS)
def test_half_a_file_is_broken(form: str) -> None:
    """As a copy that was stopped leaves it."""
    data = stored(Image.effect_noise((700, 500), 90).convert("RGB"), form)
    with pytest.raises(BrokenPicture, match="damaged or incomplete"):
        seen(data[: len(data) // 2])


def test_a_file_that_ends_in_zeros_is_broken() -> None:
    """As a download leaves it that reserved its room: jpeg's decoder would make it grey."""
    data = stored(Image.effect_noise((700, 500), 90).convert("RGB"))
    with pytest.raises(BrokenPicture, match="ends in zeros"):
        seen(data[: len(data) // 2].ljust(len(data), b"\0"))


@pytest.mark.parametrize("form", ["BMP", "TIFF"])
def test_a_black_picture_is_not_damaged(form: str) -> None:
    """Where nothing is compressed, a dark sky is zeros."""
    assert seen(stored(Image.new("RGB", (640, 480)), form)).width == 640


def test_data_after_the_end_of_a_picture_is_ignored() -> None:
    """Telephones append a film to their photos."""
    assert seen(stored(photo(640, 480)) + b"ftypmp42" * 10_000) == PictureFacts(640, 480, True)


def test_a_whole_picture_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of them would take minutes."""
    files = [stored(photo(640, 480), form) for form in ("JPEG", "PNG", "GIF", "WEBP")]
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
    for data in files:
        assert seen(data).width == 640


@pytest.mark.parametrize("rest", [b"", b"\0" * 40, b"\xff" * 400, bytes(range(256)) * 20])
@pytest.mark.parametrize("form", FORMATS)
def test_a_head_with_rubbish_behind_it_is_broken(form: str, rest: bytes) -> None:
    """Whatever the decoder makes of it, one error comes out, and no warning."""
    data = stored(photo(640, 480), form)[:24] + rest
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BrokenPicture):
            seen(data)


def test_too_many_pixels_are_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may claim to hold gigabytes."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    with pytest.raises(BrokenPicture, match="too many pixels to open"):
        seen(out.getvalue())
    monkeypatch.setattr(module, "_MOST_PIXELS", 100_000)
    with pytest.raises(BrokenPicture, match="640 x 480 pixels, too many to open"):
        seen(stored(photo(640, 480)))


@pytest.mark.parametrize("form", FORMATS)
def test_a_fitted_picture_is_a_jpeg_within_the_bounds(form: str) -> None:
    """Its shape stays as it was."""
    copy = fit(stored(photo(), form))
    assert (copy.format, copy.size) == ("JPEG", (800, 600))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_fitted_picture_is_upright(form: str, orientation: int) -> None:
    """The copy has no EXIF data, and needs none: its pixels are where they are seen."""
    data = stored(photo(), form, orientation)
    copy = fit(data)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB").resize(copy.size)
    assert ORIENTATION not in copy.getexif()
    assert copy.size == ((600, 800) if orientation >= 5 else (800, 600))
    for x in (0.05, 0.95):
        for y in (0.05, 0.95):
            place = int(copy.width * x), int(copy.height * y)
            assert copy.getpixel(place) == pytest.approx(expected.getpixel(place), abs=12)


def test_a_picture_of_too_many_bytes_is_compressed_and_then_scaled_down() -> None:
    """Noise, which hardly compresses, fits in the end."""
    data = stored(Image.effect_noise((2000, 1500), 120).convert("RGB"), "PNG")
    copy = fitted(data, "image/png", Fit(4096, 300_000))
    assert len(copy) <= 300_000
    width, height = Image.open(io.BytesIO(copy)).size
    assert width < 2000
    assert width / height == pytest.approx(4 / 3, rel=0.01)


def test_the_same_bytes_come_out_each_time() -> None:
    """What is sent depends on the file alone."""
    data = stored(photo(), "PNG", 6)
    assert fitted(data, "image/png", SMALL) == fitted(data, "image/png", SMALL)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF"])
def test_transparent_pixels_become_white(form: str) -> None:
    """A jpeg has no transparency, and black would be a surprise."""
    image = Image.new("RGBA", (1000, 1000), (0, 0, 255, 255))
    image.paste((0, 0, 0, 0), (0, 0, 500, 1000))
    copy = fit(stored(image, form))
    assert copy.getpixel((100, 400)) == pytest.approx((255, 255, 255), abs=6)
    assert copy.getpixel((700, 400)) == pytest.approx((0, 0, 255), abs=12)


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("I;16", "PNG"),
        ("CMYK", "JPEG"),
        ("F", "TIFF"),
    ],
)
def test_every_kind_of_colour_is_taken(mode: str, form: str) -> None:
    """Grey, palettes, print colours and deep grey become what a jpeg holds."""
    assert fit(stored(Image.new(mode, (1000, 1000)), form)).mode in ("L", "RGB")


def test_deep_grey_keeps_its_brightness() -> None:
    """16 bits are scaled, not cut off."""
    copy = fit(stored(Image.new("I;16", (1000, 1000), 32768), "PNG"))
    assert copy.getpixel((400, 400)) == pytest.approx(128, abs=2)


def test_colours_keep_their_profile() -> None:
    """A telephone's wide colours would inspect_picture pale without it."""
    out = io.BytesIO()
    photo().save(out, "JPEG", icc_profile=b"a profile")
    assert fit(out.getvalue()).info["icc_profile"] == b"a profile"


def planned(folder: Path, data: bytes, bounds: Fit | None) -> MediaFile:
    """A picture as it stands in a plan."""
    (folder / "cat").write_bytes(data)
    found = MediaFolder(folder, load_limits().inputs, bounds).picture("cat")
    assert isinstance(found, MediaFile)
    return found


@pytest.mark.parametrize(
    ("data", "bounds", "expected"),
    [
        (stored(photo(800, 600)), SMALL, False),
        (stored(photo(801, 600)), SMALL, True),
        (stored(photo(600, 801)), SMALL, True),
        (stored(photo(800, 600), "BMP"), SMALL, True),  # 1.4 MB
        (stored(photo(800, 600), orientation=6), SMALL, True),
        (stored(photo(800, 600), orientation=6), None, False),
        (stored(photo(2000, 1500)), None, False),
    ],
)
def test_only_what_does_not_fit_is_changed(
    data: bytes, bounds: Fit | None, expected: bool, tmp_path: Path
) -> None:
    """A picture within the bounds is sent byte for byte, and so is every one where nobody asked for it."""
    cat = planned(tmp_path, data, bounds)
    sent = base64.b64decode(data_uri(cat).partition(",")[2])
    assert bool(cat.fit) == expected == (sent != data)


def test_a_fitted_picture_is_known_by_the_original(tmp_path: Path) -> None:
    """Hash and size are the file's; only what is sent differs, under its own type."""
    data = stored(photo(), "PNG")
    with_fit, without = planned(tmp_path, data, SMALL), planned(tmp_path, data, None)
    assert (with_fit.sha256, with_fit.size, with_fit.mime) == (without.sha256, len(data), "image/png")
    assert data_uri(with_fit).startswith("data:image/jpeg;base64,")
    assert data_uri(without).startswith("data:image/png;base64,")


def test_a_picture_that_can_not_be_made_smaller_is_not_sent(tmp_path: Path) -> None:
    """What its head promised need not be there."""
    data = stored(Image.effect_noise((1000, 800), 90).convert("RGB"), "PNG")
    cat = planned(tmp_path, data[: len(data) // 2] + b"IEND", SMALL)
    with pytest.raises(MediaChanged, match="cat can't be decoded"):
        data_uri(cat)
