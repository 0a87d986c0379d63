import copy

import pytest
import torch
from torch import nn
from transformers import MobileNetV2ImageProcessor, TimmWrapperImageProcessor, ViTImageProcessor
from transformers.modeling_outputs import ImageClassifierOutput

from fakelens.errors import UserError
from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor
from fakelens.training.attacks import AdversarialMix, Normalisation, fgsm, pgd

NORMALISATION = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


class SmoothNet(nn.Module):
    """Without ReLU, whose flat parts would leave the sign of a gradient to rounding."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(32, 2))

    def forward(self, pixel_values):
        return ImageClassifierOutput(logits=self.head(self.body(pixel_values)))


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = SmoothNet()
    model(torch.randn(8, 3, 12, 12))  # statistics that are not those of a new network
    return model.eval()


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return CustomCNNForImageClassification(CustomCNNConfig(hidden_sizes=[4, 8], classifier_size=8))


@pytest.fixture
def pixels():
    """Some pixels at the very ends, where an attack has to be cut off."""
    return (torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.1).clamp(0, 1)


@pytest.fixture
def labels():
    return torch.tensor([0, 1, 1, 0, 1, 0])


def loss_of(model, pixels, labels):
    model.eval()
    with torch.no_grad():
        return nn.functional.cross_entropy(model(pixel_values=NORMALISATION.apply(pixels)).logits, labels).item()


ATTACKS = {
    "fgsm": fgsm,
    "pgd": lambda *args: pgd(*args, steps=4, generator=torch.Generator().manual_seed(0)),
}
attacks = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


class TestAgainstTheAdversarialRobustnessToolbox:
    """Imported in the tests: it takes seconds."""

    @pytest.fixture
    def classifier(self, model):
        from art.estimators.classification import PyTorchClassifier

        class Logits(nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def forward(self, values):
                return self.model(pixel_values=values).logits

        preprocessing = tuple(torch.tensor(n).view(3, 1, 1).numpy() for n in (NORMALISATION.mean, NORMALISATION.std))
        return PyTorchClassifier(
            Logits(), nn.CrossEntropyLoss(), (3, 12, 12), 2, clip_values=(0, 1), preprocessing=preprocessing
        )

    @pytest.mark.parametrize("eps", [0.0, 2 / 255, 0.05, 0.5])
    def test_fgsm(self, classifier, model, pixels, labels, eps):
        from art.attacks.evasion import FastGradientMethod

        theirs = FastGradientMethod(classifier, eps=eps, batch_size=6).generate(pixels.numpy(), labels.numpy())
        ours = fgsm(model, pixels, labels, eps, NORMALISATION)
        torch.testing.assert_close(ours, torch.tensor(theirs), atol=1e-6, rtol=0)

    @pytest.mark.parametrize(("eps", "step_size", "steps"), [(0.05, 0.0125, 10), (0.1, 0.03, 7), (0.03, 0.05, 3)])
    def test_pgd(self, classifier, model, pixels, labels, eps, step_size, steps):
        from art.attacks.evasion import ProjectedGradientDescentPyTorch

        theirs = ProjectedGradientDescentPyTorch(
            classifier, eps=eps, eps_step=step_size, max_iter=steps, num_random_init=0, batch_size=6, verbose=False
        ).generate(pixels.numpy(), labels.numpy())
        ours = pgd(model, pixels, labels, eps, NORMALISATION, step_size=step_size, steps=steps, random_start=False)
        torch.testing.assert_close(ours, torch.tensor(theirs), atol=1e-5, rtol=0)


@attacks
@pytest.mark.parametrize("eps", [0.01, 0.08, 1.0])
def test_pixels_stay_within_eps_and_the_loss_rises(attack, model, pixels, labels, eps):
    attacked = attack(model, pixels, labels, eps, NORMALISATION)
    assert not attacked.requires_grad
    assert attacked.min() >= 0 and attacked.max() <= 1
    assert 0 < (attacked - pixels).abs().max() <= eps + 1e-6
    if eps < 0.1:  # beyond, one step follows the gradient to where it no longer holds
        assert loss_of(model, attacked, labels) > loss_of(model, pixels, labels)


def test_pgd_is_stronger_than_fgsm(model, pixels, labels):
    one = fgsm(model, pixels, labels, 0.3, NORMALISATION)
    many = pgd(model, pixels, labels, 0.3, NORMALISATION, steps=20, random_start=False)
    assert loss_of(model, many, labels) > loss_of(model, one, labels)


@attacks
def test_eps_of_zero_changes_nothing(attack, model, pixels, labels):
    assert torch.equal(attack(model, pixels, labels, 0.0, NORMALISATION), pixels)


def test_eps_of_each_image(model, pixels, labels):
    eps = torch.tensor([0, 0.01, 0.02, 0.03, 0.04, 0.05])
    attacked = fgsm(model, pixels, labels, eps, NORMALISATION)
    torch.testing.assert_close((attacked - pixels).abs().amax(dim=(1, 2, 3)), eps, atol=1e-6, rtol=0)


@attacks
def test_the_model_is_left_as_it_was(attack, detector, pixels, labels):
    detector.train()
    detector.blocks[0].normalization.eval()  # as a phase with a frozen part has it
    detector.classifier.weight.requires_grad_(False)
    detector.hidden.bias.grad = torch.ones_like(detector.hidden.bias)
    modes = {name: module.training for name, module in detector.named_modules()}
    state = copy.deepcopy(detector.state_dict())
    attack(detector, pixels, labels, 0.05, NORMALISATION)
    assert modes == {name: module.training for name, module in detector.named_modules()}
    assert all(torch.equal(value, state[name]) for name, value in detector.state_dict().items())
    for name, parameter in detector.named_parameters():
        if name == "hidden.bias":
            assert torch.equal(parameter.grad, torch.ones_like(parameter))
        else:
            assert parameter.grad is None


def test_the_modes_are_put_back_when_the_model_fails(detector, pixels):
    detector.train()
    with pytest.raises(IndexError):
        fgsm(detector, pixels, torch.full((6,), 7), 0.05, NORMALISATION)
    assert all(module.training for module in detector.modules())


def test_the_model_attacked_in_training_mode_is_the_one_in_eval_mode(detector, pixels, labels):
    calm = fgsm(detector.eval(), pixels, labels, 0.05, NORMALISATION)
    assert torch.equal(fgsm(detector.train(), pixels, labels, 0.05, NORMALISATION), calm)


@attacks
def test_callers_contexts_change_nothing(attack, model, pixels, labels):
    plain = attack(model, pixels, labels, 0.05, NORMALISATION)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(attack(model, pixels, labels, 0.05, NORMALISATION), plain)


def test_a_model_wrapped_for_half_precision_is_still_attacked_everywhere(detector, labels):
    """As accelerate wraps it: the autocast is inside forward, where no caller can switch it off."""
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    sure = torch.tensor([0, 1])
    with torch.no_grad():
        detector.classifier.weight *= 0.01
    plain = fgsm(detector, pixels, sure, 0.05, NORMALISATION)
    detector.forward = torch.autocast("cpu", dtype=torch.float16)(detector.forward)
    halved = fgsm(detector, pixels, sure, 0.05, NORMALISATION)
    assert ((halved - pixels).sign() == (plain - pixels).sign()).float().mean() > 0.9


def test_half_precision_models_get_half_precision(detector, pixels, labels):
    half = copy.deepcopy(detector).to(torch.bfloat16)
    attacked = fgsm(half, pixels.to(torch.bfloat16), labels, 0.05, NORMALISATION)
    assert attacked.dtype == torch.bfloat16
    mix = AdversarialMix(fraction=1.0, eps=[0.05])
    values = NORMALISATION.apply(pixels).to(torch.bfloat16)
    mixed = mix.apply(half, values, labels, NORMALISATION, torch.Generator())
    assert mixed.dtype == torch.bfloat16 and not torch.equal(mixed, values)


def test_several_crops_of_an_image(detector, pixels, labels):
    crops = pixels.view(2, 3, 3, 12, 12)
    attacked = pgd(detector, crops, labels[:2], 0.05, NORMALISATION, steps=2)
    assert attacked.shape == crops.shape
    assert ((attacked - crops).abs().amax(dim=(2, 3, 4)) > 0).all()


def test_a_distributed_model_is_attacked_without_a_word_to_the_other_ranks(detector, pixels, labels, tmp_path):
    """Its own forward sends the buffers around, and would wait for ranks that attack nothing in this step."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(detector)
        calls = []
        parallel.register_forward_pre_hook(lambda *_: calls.append("forward"))
        attacked = fgsm(parallel, pixels, labels, 0.05, NORMALISATION)
        assert calls == []
        assert torch.equal(attacked, fgsm(detector, pixels, labels, 0.05, NORMALISATION))
    finally:
        torch.distributed.destroy_process_group()


def test_the_random_start_comes_from_the_generator(model, pixels, labels):
    def run(seed):
        generator = torch.Generator().manual_seed(seed)
        return pgd(model, pixels, labels, 0.05, NORMALISATION, steps=1, generator=generator)

    before = torch.get_rng_state()
    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_random_start_fills_the_whole_range(model, labels):
    grey = torch.full((6, 3, 12, 12), 0.5)
    offset = pgd(model, grey, labels, 0.1, NORMALISATION, step_size=0.0, generator=torch.Generator()) - 0.5
    assert -0.1 - 1e-6 <= offset.min() < -0.09 and 0.09 < offset.max() <= 0.1 + 1e-6
    assert abs(offset.mean()) < 0.01


@attacks
@pytest.mark.parametrize("eps", [-0.01, 1.5, float("nan"), 8.0])
def test_eps_outside_its_range(attack, model, pixels, labels, eps):
    with pytest.raises(UserError, match="eps"):
        attack(model, pixels, labels, eps, NORMALISATION)


def test_no_steps(model, pixels, labels):
    with pytest.raises(UserError, match="steps"):
        pgd(model, pixels, labels, 0.05, NORMALISATION, steps=0)


def test_pixels_that_are_still_normalised_are_refused(model, pixels, labels):
    with pytest.raises(ValueError, match="normalisation"):
        fgsm(model, NORMALISATION.apply(pixels), labels, 0.05, NORMALISATION)


PROCESSORS = {
    "ours": DetectorImageProcessor(size={"height": 12, "width": 12}),
    "ours without normalising": DetectorImageProcessor(size={"height": 12, "width": 12}, do_normalize=False),
    "ours without rescaling": DetectorImageProcessor(
        size={"height": 12, "width": 12}, do_rescale=False, image_mean=[127.0] * 3, image_std=[60.0, 50.0, 40.0]
    ),
    "MobileNetV2": MobileNetV2ImageProcessor(size={"shortest_edge": 12}, crop_size={"height": 12, "width": 12}),
    "ViT": ViTImageProcessor(size={"height": 12, "width": 12}, image_mean=[0.1, 0.2, 0.3]),
    "timm": TimmWrapperImageProcessor({"input_size": (3, 12, 12), "crop_pct": 1.0, "mean": (0.5, 0.4, 0.3)}),
}


@pytest.mark.parametrize("processor", PROCESSORS.values(), ids=PROCESSORS)
def test_normalisation_of_a_processor_is_what_the_processor_does(processor):
    image = torch.randint(0, 256, (3, 12, 12), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    values = processor(images=image.permute(1, 2, 0).numpy(), return_tensors="pt")["pixel_values"]
    normalisation = Normalisation.of(processor)
    torch.testing.assert_close(normalisation.apply(image[None] / 255), values, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(normalisation.invert(values), image[None] / 255, atol=1e-6, rtol=0)


def test_a_processor_without_a_normalisation_is_named():
    class OddProcessor(DetectorImageProcessor):
        def to_dict(self):
            return {}

    with pytest.raises(UserError, match="OddProcessor"):
        Normalisation.of(OddProcessor())


class TestAdversarialMix:
    def changed(self, mix, model, values, labels, seed=0):
        """Largest change of each image, in pixels."""
        after = mix.apply(model, values, labels, NORMALISATION, torch.Generator().manual_seed(seed))
        return (NORMALISATION.invert(after) - NORMALISATION.invert(values)).abs().amax(dim=(1, 2, 3))

    @pytest.fixture
    def values(self, pixels):
        return NORMALISATION.apply(pixels)

    @pytest.mark.parametrize("unit", ["batch", "sample"])
    def test_share_of_none_and_all(self, model, values, labels, unit):
        none, all_ = (AdversarialMix(fraction=s, eps=[0.05], unit=unit) for s in (0, 1))
        for seed in range(20):
            generator = torch.Generator().manual_seed(seed)
            assert none.apply(model, values, labels, NORMALISATION, generator) is values
            assert (self.changed(all_, model, values, labels, seed) > 0.04).all()

    def test_batches_are_attacked_whole_with_one_eps(self, model, values, labels):
        mix = AdversarialMix(fraction=0.3, eps=[0.02, 0.08], unit="batch")
        drawn = []
        for seed in range(200):
            change = self.changed(mix, model, values, labels, seed)
            assert change.max() - change.min() < 1e-5
            drawn.append(round(change[0].item(), 3))
        assert set(drawn) == {0.0, 0.02, 0.08}
        assert 0.2 < sum(c > 0 for c in drawn) / 200 < 0.4

    def test_samples_are_attacked_each_with_its_own_eps(self, model, values, labels):
        mix = AdversarialMix(fraction=0.3, eps=[0.02, 0.08], unit="sample")
        batches = [[round(c.item(), 3) for c in self.changed(mix, model, values, labels, s)] for s in range(40)]
        assert any(set(batch) == {0.0, 0.02, 0.08} for batch in batches)
        drawn = sum(batches, [])
        assert 0.2 < sum(c > 0 for c in drawn) / 240 < 0.4

    def test_samples_that_are_not_drawn_keep_every_bit(self, model, values, labels):
        mix = AdversarialMix(fraction=0.5, eps=[0.05], unit="sample")
        before = values.clone()
        after = mix.apply(model, values, labels, NORMALISATION, torch.Generator().manual_seed(1))
        kept = (after == values).all(dim=(1, 2, 3))
        assert 0 < kept.sum() < 6
        assert torch.equal(values, before)

    @pytest.mark.parametrize("method", ["fgsm", "pgd"])
    def test_same_generator_same_batch_and_the_attack_itself(self, model, values, labels, method):
        mix = AdversarialMix(fraction=1, eps=[0.05], method=method, steps=3)
        first, second = (
            mix.apply(model, values, labels, NORMALISATION, torch.Generator().manual_seed(3)) for _ in range(2)
        )
        assert torch.equal(first, second)
        fast = NORMALISATION.apply(fgsm(model, NORMALISATION.invert(values), labels, 0.05, NORMALISATION))
        assert torch.allclose(first, fast) == (method == "fgsm")

    def test_read_from_a_recipe(self):
        settings = {"fraction": 0.3, "unit": "sample", "eps": 0.05, "method": "pgd", "steps": 4}
        assert AdversarialMix.from_dict(settings) == AdversarialMix(0.3, [0.05], "sample", "pgd", 4)
        assert AdversarialMix.from_dict({"fraction": 1, "eps": [0.02, 0.08]}).unit == "batch"

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"fraction": 1.5}, "fraction is 1.5"),
            ({"fraction": "half"}, "fraction is 'half'"),
            ({"fraction": True}, "fraction is True"),
            ({"eps": [0.05, 8]}, "eps is"),
            ({"eps": []}, "eps is"),
            ({"eps": "0.05"}, "eps is"),
            ({"unit": "image"}, "batch or sample"),
            ({"method": "cw"}, "fgsm or pgd"),
            ({"steps": 0}, "steps is 0"),
            ({"steps": 2.5}, "steps is 2.5"),
            ({"metod": "pgd"}, "'metod'. Did you mean method"),
        ],
    )
    def test_bad_settings(self, settings, message):
        with pytest.raises(UserError, match=message):
            AdversarialMix.from_dict({"fraction": 0.3, "eps": [0.05], **settings})

    @pytest.mark.parametrize(("settings", "message"), [({"fraction": 0.3}, "eps is missing"), ([0.3], "mapping")])
    def test_incomplete_settings(self, settings, message):
        with pytest.raises(UserError, match=message):
            AdversarialMix.from_dict(settings)
