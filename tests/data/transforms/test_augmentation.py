import pickle
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from fakelens.data.transforms.augmentation import TRANSFORMS, Augmentation, Transform
from fakelens.errors import UserError

EVERYTHING = [{"name": name, "p": 0.9} for name in TRANSFORMS]


def make_image(width=48, height=32):
    """A colour gradient with some grain."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x * 7 + y * 13) % 256], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def grey(value, side=128):
    return Image.new("RGB", (side, side), (value,) * 3)


def array(image):
    return np.asarray(image).astype(float)


def test_an_empty_list_changes_nothing():
    image = make_image()
    assert Augmentation.from_list([])(image, seed=3) is image


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("size", [(48, 32), (8, 8), (9, 31)])
def test_each_changes_pixels_and_keeps_size_and_mode(name, size):
    image = make_image(*size)
    before = array(image)
    results = [Augmentation.from_list([{"name": name, "p": 1}])(image, seed) for seed in range(8)]
    assert all(result.size == size and result.mode == "RGB" for result in results)
    assert any((array(result) != before).any() for result in results)
    assert (array(image) == before).all()


@pytest.mark.parametrize("settings", [[{"name": name, "p": 0.5}] for name in TRANSFORMS] + [EVERYTHING])
def test_the_seed_decides_alone_and_the_global_generators_are_left_alone(settings):
    augment = Augmentation.from_list(settings)
    first = [augment(make_image(), seed).tobytes() for seed in range(6)]
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    assert [augment(make_image(), seed).tobytes() for seed in range(6)] == first
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all() and states[2] == random.getstate()
    assert len(set(first)) > 1


def test_the_generator_comes_back_after_an_error():
    class Broken:
        def __call__(self, image):
            torch.rand(())
            raise OSError

    before = torch.get_rng_state()
    with pytest.raises(OSError):
        Augmentation((Transform(Broken(), 1.0),))(make_image(), 0)
    assert torch.equal(before, torch.get_rng_state())


def test_p_is_how_often():
    never, always, half = (Augmentation.from_list([{"name": "vertical_flip", "p": p}]) for p in (0, 1, 0.5))
    image, flipped = make_image(), make_image().transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    assert all(never(image, seed) == image and always(image, seed) == flipped for seed in range(50))
    assert 70 < sum(half(image, seed) == flipped for seed in range(200)) < 130


def test_flips_are_halved_by_default_and_the_rest_always_done():
    steps = {name: Augmentation.from_list([{"name": name}]).steps[0].p for name in TRANSFORMS}
    assert {name for name, p in steps.items() if p == 0.5} == {"horizontal_flip", "vertical_flip"}
    assert set(steps.values()) == {0.5, 1.0}


def test_steps_are_done_in_order():
    augment = Augmentation.from_list([{"name": "horizontal_flip", "p": 1}, {"name": "vertical_flip", "p": 1}])
    assert augment(make_image(), 0) == make_image().transpose(Image.Transpose.ROTATE_180)


@pytest.mark.parametrize("name", ["rotation", "colour_jitter", "perspective", "texture"])
def test_a_strength_of_zero_is_close_to_nothing(name):
    parameters = {
        "rotation": {"degrees": 0},
        "colour_jitter": {"brightness": 0, "contrast": 0, "saturation": 0},
        "perspective": {"distortion": 0},
        "texture": {"strength": 0},
    }[name]
    augment = Augmentation.from_list([{"name": name, **parameters}])
    assert np.abs(array(augment(make_image(), 1)) - array(make_image())).max() <= 1


class TestTexture:
    def test_one_place_is_smoothed_and_another_sharpened(self):
        noise = np.random.default_rng(0).integers(118, 138, (128, 128, 1)).repeat(3, axis=2)
        before = Image.fromarray(noise.astype(np.uint8))
        augment = Augmentation.from_list([{"name": "texture", "strength": 1.0}])

        def roughness(image):  # of each of 16 patches, against the original's
            patches = array(image)[..., 0].reshape(4, 32, 4, 32).swapaxes(1, 2)
            return patches.std(axis=(2, 3))

        ratios = np.stack([roughness(augment(before, seed)) / roughness(before) for seed in range(12)])
        assert ratios.min() < 0.4
        assert ratios.max() > 1.3

    def test_edges_stay(self):
        pixels = np.full((64, 64, 3), 40, dtype=np.uint8)
        pixels[:, 32:] = 200
        for seed in range(12):
            after = array(
                Augmentation.from_list([{"name": "texture", "strength": 1.0}])(Image.fromarray(pixels), seed)
            )
            assert (after[:, 32] - after[:, 31]).min() > 120

    def test_glints_appear_where_it_is_brighter_than_around(self):
        pixels = np.full((128, 128, 3), 60, dtype=np.uint8)
        pixels[56:72, 56:72] = 180
        augment = Augmentation.from_list([{"name": "texture", "strength": 1.0}])
        after = np.stack([array(augment(Image.fromarray(pixels), seed)) for seed in range(12)])
        assert after[:, 64, 64].max() > 200
        assert after[:, 20:40, 20:40].max() <= 62


class TestIsoNoise:
    @pytest.mark.parametrize("iso", [800, 6400])
    @pytest.mark.parametrize("value", [64, 128, 180])
    def test_variance_is_the_formula(self, iso, value):
        noisy = array(Augmentation.from_list([{"name": "iso_noise", "iso": [iso, iso]}])(grey(value, 256), 0)) / 255
        light, gain = (value / 255) ** 2.2, iso / 100
        shot_and_read = 1e-4 * gain * light + (2e-4 * gain) ** 2
        # Blotches: half the strength, without grey (2/3 of the variance), and interpolated (25/64 of it).
        expected = (shot_and_read * (1 + 0.25 * 2 / 3 * 25 / 64)) ** 0.5
        assert (noisy**2.2).std() == pytest.approx(expected, rel=0.05)

    def test_higher_iso_is_noisier(self):
        spreads = [
            array(Augmentation.from_list([{"name": "iso_noise", "iso": [iso, iso]}])(grey(100), 0)).std()
            for iso in (100, 800, 6400, 25600)
        ]
        assert spreads == sorted(spreads) and spreads[-1] > 5 * spreads[0]

    def test_the_brightness_stays_and_there_is_colour(self):
        noisy = array(Augmentation.from_list([{"name": "iso_noise", "iso": [1600, 1600]}])(grey(128), 0))
        assert abs(noisy.mean() - 128) < 1.5
        assert (noisy[..., 0] - noisy[..., 2]).std() > 5

    def test_the_range_is_used(self):
        augment = Augmentation.from_list([{"name": "iso_noise", "iso": [100, 25600]}])
        spreads = [array(augment(grey(128), seed)).std() for seed in range(40)]
        assert min(spreads) < 3 and max(spreads) > 20


class Images(Dataset):
    def __init__(self, augment):
        self.augment = augment

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return torch.from_numpy(np.array(self.augment(make_image(), index)))


def test_pickled_and_in_workers_it_does_the_same():
    augment = Augmentation.from_list(EVERYTHING)
    copy = pickle.loads(pickle.dumps(augment))
    assert all(copy(make_image(), seed) == augment(make_image(), seed) for seed in range(4))
    there, here = (torch.cat(list(DataLoader(Images(augment), num_workers=n))) for n in (2, 0))
    assert torch.equal(there, here)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "rotaton"}, "unknown name 'rotaton'. Did you mean rotation"),
        ({"name": "zoom"}, "unknown name 'zoom'. Known: horizontal_flip, "),
        ({"name": "color_jitter"}, "Did you mean colour_jitter"),
        ({"name": ["rotation"]}, "unknown name"),
        ({"degrees": 15}, "has no name"),
        ("rotation", "has no name"),
        ({"name": "rotation", "degres": 15}, "rotation: unknown parameter 'degres'. Did you mean degrees"),
        ({"name": "horizontal_flip", "degrees": 15}, "unknown parameter 'degrees'. Known: p"),
        ({"name": "rotation", "degrees": -15}, "rotation: "),
        ({"name": "rotation", "degrees": "much"}, "rotation: "),
        ({"name": "rotation", "p": 1.5}, "rotation: p is 1.5"),
        ({"name": "rotation", "p": None}, "rotation: p is None"),
        ({"name": "colour_jitter", "hue": 0.7}, "colour_jitter: "),
        ({"name": "perspective", "distortion": 2}, "perspective: "),
        ({"name": "texture", "strength": 3}, "texture: strength is 3"),
        ({"name": "iso_noise", "iso": [6400, 100]}, "iso_noise: iso is"),
        ({"name": "iso_noise", "iso": [0, 100]}, "iso_noise: iso is"),
        ({"name": "iso_noise", "iso": 6400}, "iso_noise: iso is 6400"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(UserError, match=message) as error:
        Augmentation.from_list([{"name": "rotation"}, settings])
    assert "\n" not in str(error.value)


def test_a_mapping_is_not_a_list_of_steps():
    with pytest.raises(UserError, match="list"):
        Augmentation.from_list({"name": "rotation"})


def test_other_modes_are_refused():
    with pytest.raises(ValueError, match="not L"):
        Augmentation.from_list([{"name": "rotation"}])(make_image().convert("L"), 0)
