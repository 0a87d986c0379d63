"""Panels of attacked images: the same samples for all, true to the attack, every number beside its image."""

import json

import numpy as np
import pytest
from PIL import Image

from fakelens.data.decode import decode_image
from fakelens.data.sources.opening import open_source, row_bytes
from fakelens.errors import UserError
from fakelens.evaluation.attacks.attack_panels import attack_panel, draw_panels
from fakelens.inference.detector import load_detector


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
@pytest.mark.parametrize("model", ["learned", "learned_crops", "attributor"])
def test_images_and_numbers_are_those_of_the_attack(tiny_data, model, method, request):
    detector, source = (
        load_detector(request.getfixturevalue(model), device="cpu"),
        open_source(str(tiny_data), "test"),
    )
    panel = attack_panel(detector, source, method=method)
    assert panel.images.shape == (6, 4, 32, 32, 3)  # four crops of 16 pixels make a square of 32
    assert [sample["label"] for sample in panel.samples] == [0, 0, 0, 1, 1, 1]
    rows = {row["id"]: row for row in source.stream}
    for sample, images in zip(panel.samples, panel.images.astype(int), strict=True):
        image = decode_image(row_bytes(rows[sample["id"]]["image"])).image
        assert sample["clean"]["score"] == pytest.approx(detector.scores([image])[0], abs=1e-5)
        assert [scored["eps"] for scored in sample["attacked"]] == [0, 0.02, 0.05, 0.08]
        assert sample["attacked"][0] == {"eps": 0.0} | sample["clean"] | {"changed": False}
        for scored, attacked in zip(sample["attacked"], images, strict=True):
            assert np.abs(attacked - images[0]).max() <= 255 * scored["eps"] + 1
            assert scored["verdict"] == ("fake" if scored["score"] >= detector.threshold else "real")
            assert scored["changed"] == (scored["verdict"] != sample["clean"]["verdict"])
    furthest = np.abs(panel.images.astype(int) - panel.images[:, :1]).max(axis=(0, 2, 3, 4))
    assert np.diff(furthest).min() > 2 and furthest[0] == 0  # a stronger attack moves pixels further
    assert any(scored["changed"] for sample in panel.samples for scored in sample["attacked"])
    assert json.loads(json.dumps(panel.samples, allow_nan=False)) == panel.samples
    again = attack_panel(detector, source, method=method)
    assert again.samples == panel.samples and (again.images == panel.images).all()


def test_a_image_of_its_own_for_every_model_and_method(tmp_path, tiny_data, learned, learned_crops):
    source = open_source(str(tiny_data), "test")
    panels = {}
    for folder in (learned, learned_crops):
        detector = load_detector(folder, device="cpu")
        panels[str(folder)] = {
            method: attack_panel(detector, source, (0, 0.08), 4, method) for method in ("fgsm", "pgd")
        }
    paths = draw_panels(panels, "test", tmp_path)
    assert [path.name for path in paths] == [f"panel_{m}_test_{n}.png" for n in (1, 2) for m in ("fgsm", "pgd")]
    assert all(min(Image.open(path).size) > 300 for path in paths)
    ids = [[sample["id"] for sample in one.samples] for methods in panels.values() for one in methods.values()]
    assert all(one == ids[0] for one in ids)  # before and after are shown on the same images


def test_another_image_stands_in_for_one_that_cannot_be_decoded(parquet, tiny_model):
    """Of eight real images at the start, the fourth is damaged."""
    source = open_source(str(parquet), "test")
    panel = attack_panel(load_detector(tiny_model, device="cpu"), source, (0.05,), samples=8)
    real_scores = [row["id"] for row in source.stream if row["label"] == 0]
    assert [sample["id"] for sample in panel.samples[:4]] == [*real_scores[:3], real_scores[4]]
    assert [sample["generator"] for sample in panel.samples[4:]] == ["alpha"] * 4
    # The clean image need not be among the strengths for a change to be seen.
    for sample in panel.samples:
        assert sample["attacked"][0]["changed"] == (sample["attacked"][0]["verdict"] != sample["clean"]["verdict"])


def test_a_change_is_framed_and_written(tmp_path, tiny_data, learned):
    """The same panel with and without a change differs in print as well: more ink, not just another colour."""
    detector, source = load_detector(learned, device="cpu"), open_source(str(tiny_data), "test")
    panel = attack_panel(detector, source, (0.08,), 2)
    ink = []
    for changed in (True, False):
        for sample in panel.samples:
            sample["attacked"][0]["changed"] = changed
        path = draw_panels({"m": {"fgsm": panel}}, "test", tmp_path / str(changed))[0]
        ink.append(255 - np.asarray(Image.open(path).convert("L")).mean())
    assert ink[0] > ink[1] + 1


def test_one_class_alone_and_what_cannot_be_drawn(tmp_path, tiny_model):
    (tmp_path / "real").mkdir()
    detector = load_detector(tiny_model, device="cpu")
    for number in range(4):
        Image.new("RGB", (20, 10), (60 * number, 90, 10)).save(tmp_path / "real" / f"{number}.png")
    source = open_source(str(tmp_path), "test")
    panel = attack_panel(detector, source, (0.05,))
    assert [sample["label"] for sample in panel.samples] == [0, 0, 0]
    assert draw_panels({"m": {"fgsm": panel}}, "test", tmp_path)[0].exists()
    for arguments, message in (
        ({"samples": 1}, "at least 2"),
        ({"method": "cw"}, "no attack"),
        ({"limit": 0}, "No im"),
    ):
        with pytest.raises(UserError, match=message):
            attack_panel(detector, source, **arguments)
