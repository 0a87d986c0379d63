"""Calls in processes of their own, several at a time: one small network leaves a GPU, and most cores, idle."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import parent_process
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from fakelens.errors import UserError

Call = Callable[[], object]


def run_beside(calls: Mapping[str, Call], jobs: int) -> None:
    """Run calls in processes of their own, each with its part of torch's threads.

    What they find out they leave on disk. If this process ends, they do.

    Args:
        calls: By name; to be pickled. The longest first.
        jobs: How many run at a time, at most.

    Raises:
        UserError: At the end, if one failed. The others finish.
    """
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.append(folder)  # `script` takes a program's own folder off, and a new process gets this path
    method = multiprocessing.get_start_method()
    threads = max(1, torch.get_num_threads() // max(1, min(jobs, len(calls))))

    def wait_for(name: str) -> int:
        process = multiprocessing.get_context("spawn").Process(target=_run, args=(name, calls[name], threads, method))
        process.start()
        process.join()
        return process.exitcode or 0

    with ThreadPoolExecutor(jobs) as pool:
        failed = [name for name, code in zip(calls, pool.map(wait_for, calls), strict=True) if code]
    if failed:
        raise UserError(f"These failed, and all others finished: {'; '.join(failed)}. The same command goes on.")


def _run(name: str, call: Call, threads: int, method: str) -> None:
    """Call in this new process; what a user can put right is one line and exit status 2."""
    # Else its loader workers would be spawned too, and import everything anew in every epoch.
    multiprocessing.set_start_method(method, force=True)
    torch.set_num_threads(threads)
    disable_progress_bar()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        call()
    except UserError as error:
        print(f"{name} failed: {error}", file=sys.stderr, flush=True)
        sys.exit(2)


def _end_with_parent() -> None:
    """End this process, though it may be at work, as soon as the one that started it is gone."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
