import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio
from torch.utils.data import DataLoader, Dataset

from fakelens.data.transforms import codecs, social_media
from fakelens.data.transforms.codecs import recompress
from fakelens.data.transforms.corruptions import FOG, SNOW
from fakelens.data.transforms.degradations import DEGRADATIONS, PROTOCOLS, Degradations, degrade
from fakelens.data.transforms.transforms import InTurn, Transform
from fakelens.data.transforms.views import apply_view
from fakelens.errors import UserError

EVERYTHING = [{"name": name, "p": 0.7} for name in DEGRADATIONS]
CHAINS = [[{"name": name}] for name in DEGRADATIONS] + list(PROTOCOLS.values()) + [EVERYTHING]
RANGES = [
    {"name": "jpeg", "quality": [5, 95]},
    {"name": "webp", "quality": [5, 95]},
    {"name": "avif", "quality": [5, 95]},
    {"name": "resize", "scale": [0.2, 1.5]},
    {"name": "crop", "fraction": [0.3, 0.9]},
    {"name": "blur", "sigma": [0.5, 3]},
    {"name": "noise", "sigma": [0, 0.3]},
    {"name": "speckle", "sigma": [0, 0.3]},
    {"name": "spectrum", "slope": [1, 5]},
    {"name": "fog", "severity": [1, 5]},
    {"name": "snow", "severity": [1, 5]},
    {"name": "screenshot", "scale": [0.3, 0.9]},
    {"name": "social_media", "long_side": [64, 96], "quality": [30, 90]},
    {"name": "overlay_text", "opacity": [0.1, 1]},
]


@pytest.fixture(scope="module")
def photograph():
    """A photograph of 160 x 120 pixels with fine detail."""
    return Image.fromarray(skimage.data.coffee()).resize((320, 213)).crop((60, 40, 220, 160))


def grey(value, side=128):
    return Image.new("RGB", (side, side), (value,) * 3)


def array(image):
    return np.asarray(image).astype(float)


def psnr(before, after):
    return peak_signal_noise_ratio(np.asarray(before), np.asarray(after))


def test_an_empty_list_changes_nothing(photograph):
    assert degrade(photograph, [], seed=3) is photograph


@pytest.mark.parametrize("settings", CHAINS, ids=str)
def test_the_seed_decides_alone_and_the_global_generators_are_left_alone(photograph, settings):
    first = [degrade(photograph, settings, seed).tobytes() for seed in range(3)]
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    assert [degrade(photograph, settings, seed).tobytes() for seed in range(3)] == first
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all() and states[2] == random.getstate()


@pytest.mark.parametrize("settings", RANGES, ids=lambda settings: settings["name"])
def test_ranges_are_drawn_by_the_seed(photograph, settings):
    results = {degrade(photograph, [settings], seed).tobytes() for seed in range(8)}
    assert len(results) >= 4


def test_both_classes_get_the_same(photograph):
    """The same image, once from a real's file and once from a fake's: nothing but pixels and seed counts."""
    real, fake = photograph.copy(), photograph.copy()
    real.format, fake.format = "JPEG", "PNG"
    real.info["label"], fake.info["parameters"] = "real", "a photo of coffee, steps: 30"
    for settings in CHAINS:
        for seed in range(3):
            assert degrade(real, settings, seed).tobytes() == degrade(fake, settings, seed).tobytes()


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("size", [(160, 120), (40, 64), (8, 8), (9, 200)])
def test_each_changes_pixels_leaves_its_input_and_says_its_size(photograph, name, size):
    image = photograph.resize(size)
    before = image.tobytes()
    results = [degrade(image, [{"name": name}], seed) for seed in range(6)]
    assert image.tobytes() == before
    assert all(result.mode == "RGB" for result in results)
    assert any(result.size != size or result.tobytes() != before for result in results)
    if name not in ("crop", "screenshot"):
        assert {result.size for result in results} == {size}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_changes_a_photograph(photograph, protocol):
    after = degrade(photograph, PROTOCOLS[protocol], 0)
    assert after.size != photograph.size or psnr(photograph, after) < 45


def test_the_protocols_are_those_of_the_field():
    def values(name, key):
        return [step[key] for steps in PROTOCOLS.values() for step in steps if step["name"] == name]

    assert values("jpeg", "quality") == [90, 70, 50, 30]
    assert values("resize", "scale") == [0.5, 0.25]
    assert values("blur", "sigma") == [0.5, 1, 2]
    assert values("noise", "sigma") == [0.02, 0.05, 0.1]
    assert {"webp", "fog", "snow", "speckle", "screenshot", "social_media"} <= set(PROTOCOLS)


@pytest.mark.parametrize(
    ("name", "key", "mild_to_strong"),
    [
        ("jpeg", "quality", [90, 70, 50, 30]),
        ("webp", "quality", [90, 50, 10]),
        ("avif", "quality", [90, 50, 10]),
        ("resize", "scale", [0.8, 0.5, 0.25]),
        ("blur", "sigma", [0.5, 1, 2]),
        ("noise", "sigma", [0.02, 0.05, 0.1]),
        ("speckle", "sigma", [0.15, 0.35, 0.6]),
        ("fog", "severity", [1, 2, 3]),
        ("overlay_text", "opacity", [0.2, 0.5, 1]),
    ],
)
def test_stronger_is_further_from_the_original(photograph, name, key, mild_to_strong):
    distances = [psnr(photograph, degrade(photograph, [{"name": name, key: value}], 5)) for value in mild_to_strong]
    assert all(milder > stronger + 0.5 for milder, stronger in pairwise(distances))


class TestCodecs:
    @pytest.mark.parametrize(("name", "format"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("avif", "AVIF")])
    def test_the_image_has_been_through_the_format(self, photograph, name, format):
        assert degrade(photograph, [{"name": name}], 0).format == format

    def test_views_and_degradations_compress_alike(self, photograph):
        there_and_back = [
            {"name": "resize", "scale": 128 / 160, "back": False, "filter": "lanczos"},
            {"name": "jpeg", "quality": 50},
        ]
        assert degrade(photograph, there_and_back, 0).tobytes() == apply_view("hard", photograph).tobytes()

    def test_colour_is_subsampled_as_asked(self):
        stripes = np.zeros((32, 32, 3), dtype=np.uint8)
        stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 200
        image = Image.fromarray(stripes)
        full, half = (degrade(image, [{"name": "jpeg", "subsampling": s}], 0) for s in ("4:4:4", "4:2:0"))
        assert psnr(image, full) > psnr(image, half) + 5

    def test_the_whole_range_of_qualities_is_drawn(self, photograph):
        drawn = [degrade(photograph, [{"name": "jpeg", "quality": [50, 52]}], seed) for seed in range(40)]
        fixed = [degrade(photograph, [{"name": "jpeg", "quality": q}], 0).tobytes() for q in (50, 51, 52)]
        assert {image.tobytes() for image in drawn} == set(fixed)

    def test_a_image_longer_than_the_format_becomes_as_long_as_it_can(self):
        assert degrade(Image.new("RGB", (17000, 16)), [{"name": "webp"}], 0).size == (16383, 15)

    @pytest.mark.parametrize(("name", "format"), [("avif", "AVIF"), ("webp", "WEBP")])
    def test_a_pillow_without_the_format_is_named_at_once(self, monkeypatch, name, format):
        monkeypatch.setattr(codecs.features, "check", lambda feature: feature != name)
        with pytest.raises(UserError, match=f"degradations {name}: this Pillow was built without {format}.*pip"):
            Degradations.from_list([{"name": name}])


class TestSizes:
    @pytest.mark.parametrize(("scale", "size"), [(0.5, (80, 60)), (0.25, (40, 30)), (2, (320, 240)), (0.33, (53, 40))])
    def test_resize_without_the_way_back(self, photograph, scale, size):
        assert degrade(photograph, [{"name": "resize", "scale": scale, "back": False}], 0).size == size
        assert degrade(photograph, [{"name": "resize", "scale": scale}], 0).size == photograph.size

    def test_a_crop_is_a_part_of_the_image_anywhere(self, photograph):
        corners = set()
        pixels = np.asarray(photograph)
        for seed in range(30):
            part = np.asarray(degrade(photograph, [{"name": "crop", "fraction": 0.75}], seed))
            assert part.shape == (90, 120, 3)
            ((y, x),) = [
                (y, x) for y in range(31) for x in range(41) if (pixels[y : y + 90, x : x + 120] == part).all()
            ]
            corners.add((y, x))
        assert len(corners) > 20
        assert max(x for _, x in corners) > 30 and min(x for _, x in corners) < 10

    @pytest.mark.parametrize("size", [(1000, 400), (300, 900), (200, 100)])
    def test_social_media_shrinks_and_never_enlarges(self, photograph, size):
        step = {"name": "social_media", "long_side": 500}
        after = degrade(photograph.resize(size), [step], 1)
        shrink = min(1, 500 / max(size))
        assert after.size == (round(size[0] * shrink), round(size[1] * shrink)) and after.format == "JPEG"

    def test_one_post_without_sharpening_is_a_recompression(self, photograph):
        step = {"name": "social_media", "long_side": 100, "sharpen": 0, "quality": 70, "posts": 1}
        assert degrade(photograph, [step], 1).tobytes() == recompress(photograph, 100, 70).tobytes()

    def test_a_screenshot_is_the_image_between_two_bars(self, photograph):
        step = {"name": "screenshot", "scale": 1, "bar": 0.1, "quality": None}
        for seed in range(4):
            after = degrade(photograph, [step], seed)
            assert after.size == (160, 120 + 2 * 12)
            assert after.crop((0, 12, 160, 132)).tobytes() == photograph.tobytes()
            bars = np.asarray(after)[[0, 11, 132, 143]]
            assert len(np.unique(bars)) == 1 and bars[0, 0, 0] in (16, 245)


class TestCorruptions:
    @pytest.mark.parametrize("sigma", [0.5, 1, 2])
    def test_blur_is_a_gaussian(self, photograph, sigma):
        exact = gaussian_filter(array(photograph), (sigma, sigma, 0), mode="nearest")
        assert np.abs(array(degrade(photograph, [{"name": "blur", "sigma": sigma}], 0)) - exact).max() <= 0.51

    @pytest.mark.parametrize("sigma", [0.02, 0.05, 0.1])
    def test_noise_has_the_deviation_that_was_asked_for(self, sigma):
        noisy = array(degrade(grey(128), [{"name": "noise", "sigma": sigma}], 0)) / 255
        assert noisy.std() == pytest.approx(sigma, rel=0.02)
        assert noisy.mean() == pytest.approx(128 / 255, abs=2e-3)
        assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.05

    @pytest.mark.parametrize("value", [40, 120])
    def test_speckle_grows_with_the_pixel(self, value):
        noisy = array(degrade(grey(value), [{"name": "speckle", "sigma": 0.2}], 0))
        assert noisy.std() == pytest.approx(0.2 * value, rel=0.03)

    @pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
    def test_fog_is_between_none_and_the_full_thickness(self, severity):
        thickness = FOG[severity - 1][0]
        after = array(degrade(grey(100, 224), [{"name": "fog", "severity": severity}], 2)) / 255
        x = 100 / 255
        clear, thick = x * x / (x + thickness), x
        assert after.min() >= clear - 0.003 and after.max() <= (x + thickness) * x / (x + thickness) + 0.003
        assert after.min() < 0.8 * thick and after.std() > 0.01

    def test_fog_of_slow_decay_has_more_detail(self):
        def local_contrast(severity):
            images = [array(degrade(grey(255, 224), [{"name": "fog", "severity": severity}], s)) for s in range(6)]
            return np.mean([np.abs(np.diff(image[..., 0], axis=1)).mean() / image.std() for image in images])

        assert local_contrast(5) > 1.5 * local_contrast(1)

    def test_snow_whitens_and_never_darkens(self, photograph):
        for severity in range(1, 6):
            after = array(degrade(photograph, [{"name": "snow", "severity": severity}], 0))
            assert (after >= array(photograph) - 1).all()
        falls = [array(degrade(grey(30), [{"name": "snow", "severity": s}], 0)).mean() for s in range(1, 6)]
        assert falls[0] < falls[1] < falls[2] and falls[4] > falls[0] + 20

    def test_between_the_flakes_it_is_the_formula(self):
        kept, x = SNOW[0][6], 30 / 255
        after = array(degrade(grey(30, 224), [{"name": "snow", "severity": 1}], 0)) / 255
        assert after.min() == pytest.approx(kept * x + (1 - kept) * (1.5 * x + 0.5), abs=0.004)

    @pytest.mark.parametrize("name", ["fog", "snow"])
    def test_the_weather_is_the_same_at_every_size(self, name):
        small, large = (degrade(grey(90, side), [{"name": name}], 4) for side in (224, 672))
        assert np.abs(array(large.resize((224, 224), Image.Resampling.BOX)) - array(small)).mean() < 2


class TestOverlayText:
    def test_it_is_somewhere_else_every_time_and_inside(self):
        positions = set()
        for seed in range(20):
            ys, xs = np.nonzero((array(degrade(grey(128), [{"name": "overlay_text"}], seed)) != 128).any(axis=2))
            positions.add((ys.min() // 8, xs.min() // 8))
            assert 10 < len(ys) < 128 * 128 / 2
        assert len(positions) > 8

    def test_a_long_line_is_made_to_fit(self):
        step = {"name": "overlay_text", "text": "a very long line " * 4, "height": 0.2, "opacity": 1}
        changed = (array(degrade(grey(128), [step], 0)) != 128).any(axis=(0, 2))
        assert changed.any() and changed.sum() > 100

    def test_no_opacity_is_no_text(self, photograph):
        assert degrade(photograph, [{"name": "overlay_text", "opacity": 0}], 0) == photograph

    def test_a_pillow_without_fonts_is_named(self, monkeypatch):
        monkeypatch.setattr(social_media.features, "check", lambda feature: feature != "freetype2")
        with pytest.raises(UserError, match="overlay_text: this Pillow was built without FreeType"):
            Degradations.from_list([{"name": "overlay_text"}])


def test_p_is_how_often(photograph):
    never, always, half = (Degradations.from_list([{"name": "jpeg", "p": p}]) for p in (0, 1, 0.5))
    assert all(never(photograph, seed) is photograph for seed in range(20))
    assert all(always(photograph, seed) is not photograph for seed in range(20))
    assert 70 < sum(half(photograph, seed) is photograph for seed in range(200)) < 130


def test_without_p_it_is_always_done():
    assert {step.p for step in Degradations.from_list([{"name": name} for name in DEGRADATIONS]).steps} == {1.0}


def test_steps_are_done_in_order(photograph):
    steps = [{"name": "blur", "sigma": 2}, {"name": "noise", "sigma": 0.1}]
    assert psnr(photograph, degrade(photograph, steps, 0)) < psnr(photograph, degrade(photograph, steps[::-1], 0))


def test_in_turn_gives_each_part_the_seed_and_what_the_last_left(photograph):
    blur, noise = (Degradations.from_list([{"name": name}]) for name in ("blur", "noise"))
    assert InTurn((blur, noise))(photograph, 5).tobytes() == noise(blur(photograph, 5), 5).tobytes()


def test_threads_that_share_a_image_do_not_disturb_each_other(photograph):
    chain = Degradations.from_list([step | {"p": 0.5} for step in RANGES])
    expected = [chain(photograph.copy(), seed).tobytes() for seed in range(8)]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            results = threads.map(chain, [photograph] * 8, range(8))
            assert [result.tobytes() for result in results] == expected


class Images(Dataset):
    def __init__(self, image, chain):
        self.image, self.chain = image, chain

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.from_numpy(np.array(self.chain(self.image, index).resize((64, 64))))


def test_pickled_and_in_workers_it_does_the_same(photograph):
    chain = Degradations.from_list(EVERYTHING)
    copy = pickle.loads(pickle.dumps(chain))
    assert all(copy(photograph, seed) == chain(photograph, seed) for seed in range(4))
    there, here = (torch.cat(list(DataLoader(Images(photograph, chain), num_workers=n))) for n in (2, 0))
    assert torch.equal(there, here)


def test_the_settings_are_left_as_they_were(photograph):
    before = repr(PROTOCOLS)
    for settings in PROTOCOLS.values():
        assert all(isinstance(step, Transform) for step in Degradations.from_list(settings).steps)
    assert repr(PROTOCOLS) == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "jpg"}, "unknown name 'jpg'. Did you mean jpeg"),
        ({"name": "rain"}, "unknown name 'rain'. Known: jpeg, webp"),
        ({"name": "socialmedia"}, "Did you mean social_media"),
        ({"name": ["jpeg"]}, "unknown name"),
        ({"quality": 50}, "has no name"),
        ("jpeg", "has no name"),
        ({"name": "jpeg", "qualty": 50}, "jpeg: unknown parameter 'qualty'. Did you mean quality"),
        ({"name": "blur", "radius": 2}, "blur: unknown parameter 'radius'. Known: sigma, p"),
        ({"name": "jpeg", "quality": 0}, "quality is 0; it is a whole number from 1 to 100, or a range"),
        ({"name": "jpeg", "quality": 50.5}, "quality is 50.5; it is a whole number"),
        ({"name": "jpeg", "quality": True}, "quality is True"),
        ({"name": "jpeg", "quality": [90, 30]}, r"quality is \[90, 30\]"),
        ({"name": "jpeg", "quality": [30, 60, 90]}, r"quality is \[30, 60, 90\]"),
        ({"name": "jpeg", "quality": "high"}, "quality is high"),
        ({"name": "jpeg", "quality": None}, "quality is None"),
        ({"name": "jpeg", "subsampling": "4:1:1"}, "subsampling is '4:1:1'; it is one of 4:4:4, "),
        ({"name": "jpeg", "p": 1.5}, "jpeg: p is 1.5"),
        ({"name": "resize", "scale": 0}, "scale is 0; it is a number from 0.05 to 2"),
        ({"name": "resize", "filter": "box"}, "filter is 'box'"),
        ({"name": "resize", "back": "no"}, "back is 'no'"),
        ({"name": "crop", "fraction": 1.2}, "fraction is 1.2"),
        ({"name": "blur", "sigma": -1}, "sigma is -1"),
        ({"name": "noise", "sigma": float("nan")}, "sigma is nan"),
        ({"name": "speckle", "sigma": 5}, "sigma is 5"),
        ({"name": "fog", "severity": 6}, "severity is 6; it is a whole number from 1 to 5"),
        ({"name": "snow", "severity": 2.5}, "severity is 2.5"),
        ({"name": "screenshot", "bar": 0.7}, "bar is 0.7"),
        ({"name": "social_media", "posts": 0}, "posts is 0"),
        ({"name": "overlay_text", "text": ""}, "text is ''"),
        ({"name": "overlay_text", "text": 5}, "text is 5"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(UserError, match=f"^degradations.*{message}") as error:
        Degradations.from_list([{"name": "jpeg"}, settings])
    assert "\n" not in str(error.value)


def test_a_mapping_is_not_a_list_of_steps():
    with pytest.raises(UserError, match="degradations is .* list, such as"):
        Degradations.from_list({"name": "jpeg"})


def test_other_modes_are_refused(photograph):
    with pytest.raises(ValueError, match="not L"):
        degrade(photograph.convert("L"), [{"name": "jpeg"}], 0)
