"""The Trainer of one phase: which batches it attacks."""

import torch
from transformers import TrainingArguments

from fakelens.models import CustomCNNConfig, CustomCNNForImageClassification, DetectorImageProcessor
from fakelens.training.attacks import AdversarialMix
from fakelens.training.loop.trainer import DetectorTrainer


class Recorder(AdversarialMix):
    """A mix that notes for every batch whether it was attacked."""

    def apply(self, model, pixel_values, labels, normalisation, generator):
        attacked = super().apply(model, pixel_values, labels, normalisation, generator)
        drawn.append(not torch.equal(attacked, pixel_values))
        return attacked


drawn: list[bool] = []


def attacked_batches(folder, steps, fraction=0.5, accumulation=1, resume=None):
    """Train a tiny network on grey noise and return which batches were attacked."""
    drawn.clear()
    torch.manual_seed(0)
    model = CustomCNNForImageClassification(CustomCNNConfig(hidden_sizes=[4], classifier_size=4))
    rows = [{"pixel_values": torch.full((3, 8, 8), 0.1 * (n % 9)), "labels": n % 2} for n in range(400)]
    args = TrainingArguments(
        str(folder), max_steps=steps, per_device_train_batch_size=4, gradient_accumulation_steps=accumulation,
        save_steps=10, use_cpu=True, report_to="none", remove_unused_columns=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = DetectorTrainer(
        adversarial=Recorder(fraction=fraction, eps=[0.1]), model=model, args=args, train_dataset=rows,
        processing_class=DetectorImageProcessor(do_normalize=False),
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume)
    return list(drawn)


def test_the_fraction_of_batches_is_kept(tmp_path):
    batches = attacked_batches(tmp_path, 100, fraction=0.3)
    assert len(batches) == 100 and 0.18 < sum(batches) / 100 < 0.42


def test_batches_of_an_accumulated_step_draw_apart(tmp_path):
    batches = attacked_batches(tmp_path, 20, accumulation=4)
    steps = [set(batches[i : i + 4]) for i in range(0, 80, 4)]
    assert len(batches) == 80 and sum(len(step) == 2 for step in steps) > 10


def test_a_resumed_run_attacks_what_the_first_would_have(tmp_path):
    full = attacked_batches(tmp_path / "whole", 30)
    attacked_batches(tmp_path / "cut", 20)
    rest = attacked_batches(tmp_path / "cut", 30, resume=str(tmp_path / "cut" / "checkpoint-20"))
    assert rest == full[20:]
