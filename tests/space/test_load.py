"""The benchmark of the app under load, at tiny size: more clients at once than the app takes."""

import json
import subprocess
import sys

import pytest

from tests.conftest import SCRIPTS


@pytest.mark.slow
def test_all_clients_get_verdicts_or_a_refusal(tiny_model):
    command = [sys.executable, SCRIPTS.parent / "benchmarks" / "space.py", "--model", tiny_model, "--clients", "6"]
    done = subprocess.run(
        [*map(str, command), "--seconds", "4", "--side", "64", "--json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout)
    assert facts["requests_done"] >= 6 and facts["other_errors"] == facts["tracebacks_in_log"] == 0
    assert 0 < facts["latency_median_seconds"] <= facts["latency_p95_seconds"]
    assert facts["memory_before_mib"] > 50 and facts["uploads_left"] == 0 and facts["errors"] == {}
