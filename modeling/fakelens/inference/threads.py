"""Threads that decode, process and score at the same time, sharing the CPU's cores between them.

Pillow, NumPy and torch let go of Python's lock while they work. A network that runs on as many threads as there are
cores, each on images of its own, waits less than one network spread over all cores.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

MOST_WORKERS = 16  # beyond, threads wait for Python's lock more than they work

Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count(device: torch.device) -> int:
    """Return how many threads should work at once for a network on a device.

    Args:
        device: If it is the CPU, the network runs on these threads too, and on no more cores than torch may use
            (`OMP_NUM_THREADS`); if not, they feed it, and share the cores with this machine's other processes.
    """
    if device.type == "cpu":
        return min(MOST_WORKERS, torch.get_num_threads())
    return max(1, min(MOST_WORKERS, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


@contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Open a pool of threads, with torch's own threads divided among them.

    Args:
        count: Number of threads, at least 1. What they have not begun is dropped at the end.
    """
    cores = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(max(1, cores // count),))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)  # a part of torch keeps this number for all threads


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Yield `work(item)` of every item in order, done by a pool.

    Args:
        pool: The threads.
        work: Called on them.
        items: Taken one by one, as results are.
        ahead: Items that are taken before their results are asked for: what is held in memory at a time.
    """
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
