"""Run `scripts/train.py`, impatient with a Hub that hangs up; at the step of $DIE_AT each process kills itself.

Started by `test_resume.py`, in one process or by torchrun.
"""

import os
import runpy
import signal
from functools import partial

import datasets
from huggingface_hub import hf_file_system

from fakelens.training.loop import phases
from fakelens.training.loop.trainer import DetectorTrainer
from tests.conftest import SCRIPTS


class MortalTrainer(DetectorTrainer):
    def training_step(self, model, inputs, *args, **kwargs):
        if self.state.global_step == int(os.environ.get("DIE_AT", -1)):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().training_step(model, inputs, *args, **kwargs)


if __name__ == "__main__":
    for name in ("READ", "OPEN"):
        setattr(datasets.config, f"STREAMING_{name}_MAX_RETRIES", 2)
        setattr(datasets.config, f"STREAMING_{name}_RETRY_INTERVAL", 0.01)
    hf_file_system.http_backoff = partial(hf_file_system.http_backoff, max_retries=1, base_wait_time=0.01)
    phases.DetectorTrainer = MortalTrainer
    runpy.run_path(str(SCRIPTS / "train.py"), run_name="__main__")
