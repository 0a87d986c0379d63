"""The Space under load: many clients at once, each sending fresh images to `/classify` again and again.

    python benchmarks/space.py
    python benchmarks/space.py --clients 128 --seconds 20 --model runs/demo/model --json

The app runs as it does on the Hub, in a process of its own, and is asked over its REST API: upload, join the queue,
wait for the verdict. A client that is told that the queue is full waits a second. Latency is that of the requests that
were answered, from the upload's start to the verdict; with more clients than cores it is mostly waiting in the queue.
Memory is what the server and its children hold; its slope is that of a straight line after the first ten seconds, or
the first half of a shorter run. Whatever is neither a verdict nor that refusal is an error: the exit status is 1 then,
as it is for a traceback in the server's log.
"""

import asyncio
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakelens.cli.script import parse, script
from fakelens.errors import UserError

APP = Path(__file__).parents[1] / "space" / "app.py"
START = 180  # seconds that the app may take to start
PATIENCE = 300  # seconds that a client waits for an answer
PAUSE = 1.0  # seconds, after a refusal and between two looks at memory
SETTLED = 10.0  # seconds, after which memory should not grow any more
FULL = "queue is full"


@dataclass
class BenchmarkArguments:
    """How much load, and on what."""

    model: str | None = field(default=None, metadata={"help": "A detector; a small one is made if left out."})
    clients: int = field(default=64, metadata={"help": "Clients at once."})
    seconds: float = field(default=60, metadata={"help": "How long they go on asking."})
    side: int = field(default=512, metadata={"help": "Pixels a side of the JPEG files."})
    json: bool = field(default=False, metadata={"help": "Print one JSON object."})


@dataclass
class Tally:
    """What the clients met with.

    Attributes:
        latencies: Seconds, of each request that was answered with a verdict.
        refused: How often the queue was full.
        errors: Everything else, by message.
    """

    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def build_model(folder: Path) -> str:
    """Save a small network with random weights, and return its folder."""
    from fakelens.zoo.registry import build_detector, build_processor

    build_detector("custom_cnn").save_pretrained(folder)
    build_processor("custom_cnn").save_pretrained(folder)
    return str(folder)


def build_images(side: int) -> list[bytes]:
    """Return a few JPEG files of about a photograph's size and detail."""
    import skimage.data
    from PIL import Image

    photograph = Image.fromarray(skimage.data.astronaut()).resize((side, side))
    files = []
    for number in range(8):
        file = io.BytesIO()
        photograph.rotate(7 * number).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


@contextmanager
def serving(model: str, work: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the app until the block ends; yield its address and process. Its log is `work`/log, its uploads in `work`.

    Args:
        model: The detector that it offers.
        work: An empty folder.

    Raises:
        UserError: If the app does not start.
    """
    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (work / "uploads").mkdir()
    environment = os.environ | {
        "FAKELENS_MODEL": model,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(work / "uploads"),
    }
    address, log = f"http://127.0.0.1:{port}", work / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, APP], env=environment, stdout=out, stderr=out)
    try:
        for _ in range(START):
            with suppress(httpx.HTTPError):
                if httpx.get(f"{address}/health").status_code == 200:
                    break
            if process.poll() is not None:
                break
            time.sleep(1)
        else:
            process.terminate()
        if process.poll() is not None:
            raise UserError(f"The app did not start. Its last words: {log.read_text()[-1000:]}")
        yield address, process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


async def ask(http: Any, file: bytes) -> dict[str, Any] | None:
    """Send one image and return its row; None if the queue is full.

    Args:
        http: An `httpx.AsyncClient` of the app's API.
        file: The image file's bytes.

    Raises:
        RuntimeError: If the app answers with anything else.
    """
    sent = await http.post("/upload", files={"files": ("photo.jpg", file, "image/jpeg")})
    if sent.status_code != 200:
        raise RuntimeError(f"upload: {sent.status_code} {sent.text[:200]}")
    image = {"path": sent.json()[0], "orig_name": "photo.jpg", "meta": {"_type": "gradio.FileData"}}
    joined = await http.post("/call/classify", json={"data": [image, None, None]})
    if joined.status_code == 503 and FULL in joined.text.lower():
        return None
    if joined.status_code != 200:
        raise RuntimeError(f"queue: {joined.status_code} {joined.text[:200]}")
    async with http.stream("GET", f"/call/classify/{joined.json()['event_id']}") as answer:
        event = ""
        async for line in answer.aiter_lines():
            kind, _, content = line.partition(": ")
            if kind == "event":
                event = content
            elif kind == "data" and event == "complete":
                return dict(json.loads(content)[0])
            elif kind == "data" and event == "error":
                raise RuntimeError(f"answer: {content[:200]}")
    raise RuntimeError("the answer broke off")


async def client(address: str, files: list[bytes], number: int, until: float, tally: Tally) -> None:
    """Ask until the time is up.

    Args:
        address: The app's.
        files: To send, each time with other bytes at its end, so that no two are the same.
        number: The client's.
        until: When to stop, on `time.monotonic`'s clock; what was asked before is waited for.
        tally: Where to note what happens.
    """
    import httpx

    async with httpx.AsyncClient(base_url=f"{address}/gradio_api", timeout=PATIENCE) as http:
        asked = 0
        while time.monotonic() < until:
            asked += 1
            start = time.monotonic()
            try:
                row = await ask(http, files[(number + asked) % len(files)] + b"%08d%08d" % (number, asked))
                if row is None:
                    tally.refused += 1
                    await asyncio.sleep(PAUSE)
                elif row["error"] is not None or row["score"] is None:
                    tally.errors[f"row: {row['error']}"] += 1
                else:
                    tally.latencies.append(time.monotonic() - start)
            except (httpx.HTTPError, RuntimeError, ValueError, LookupError) as error:
                tally.errors[f"{type(error).__name__}: {error}"] += 1


async def watch(process: subprocess.Popen[bytes], memory: list[tuple[float, float]]) -> None:
    """Note the seconds since the start and the server's memory in MiB, again and again, until cancelled."""
    start = time.monotonic()
    while True:
        memory.append((time.monotonic() - start, held_mib(process)))
        await asyncio.sleep(PAUSE)


def held_mib(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of a process and its children, in MiB."""
    import psutil

    server = psutil.Process(process.pid)
    held = 0
    for one in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            held += one.memory_info().rss
    return held / 2**20


async def load(
    args: BenchmarkArguments, address: str, process: subprocess.Popen[bytes], files: list[bytes]
) -> tuple[Tally, list[tuple[float, float]]]:
    """Let all clients ask at once, and return what they met with and how the server's memory went."""
    tally, memory = Tally(), []
    watching = asyncio.create_task(watch(process, memory))
    until = time.monotonic() + args.seconds
    await asyncio.gather(*(client(address, files, number, until, tally) for number in range(args.clients)))
    watching.cancel()
    return tally, memory


def main(args: BenchmarkArguments) -> int:
    """Serve, load, and print what came of it; return the exit status."""
    import numpy as np

    if args.clients < 1 or args.seconds <= 0:
        raise UserError(f"{args.clients} clients for {args.seconds:g} seconds are no load. Give more of both.")
    files = build_images(args.side)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with serving(args.model or build_model(work / "model"), work) as (address, process):
            before = held_mib(process)
            tally, memory = asyncio.run(load(args, address, process, files))
            left = sum(path.is_file() for path in (work / "uploads").rglob("*"))
            end = held_mib(process)
        tracebacks = (work / "log").read_text(errors="replace").count("Traceback")
    settled = min(SETTLED, args.seconds / 2)
    later = [(at, held) for at, held in memory if at >= settled]
    slope = np.polyfit(*zip(*later, strict=True), 1)[0] * 60 if len(later) > 1 else 0.0
    facts: dict[str, float] = {
        "clients": args.clients,
        "seconds": memory[-1][0],
        "requests_done": len(tally.latencies),
        "requests_per_second": len(tally.latencies) / memory[-1][0] if memory[-1][0] else 0.0,
        "refused_queue_full": tally.refused,
        "other_errors": sum(tally.errors.values()),
        "tracebacks_in_log": tracebacks,
        "latency_median_seconds": statistics.median(tally.latencies or [0.0]),
        "latency_p95_seconds": float(np.percentile(tally.latencies or [0.0], 95)),
        "memory_before_mib": before,
        f"memory_after_{settled:g}_s_mib": later[0][1] if later else end,
        "memory_at_end_mib": end,
        "memory_slope_mib_per_minute": float(slope),
        "uploads_left": left,
    }
    if args.json:
        print(json.dumps(facts | {"errors": dict(tally.errors)}))
    else:
        for name, value in facts.items():
            print(f"{name:28} {value:10.2f}" if isinstance(value, float) else f"{name:28} {value:10d}")
        for message, count in tally.errors.most_common():
            print(f"{count} x {message}")
    return int(bool(tally.errors) or tracebacks > 0)


if __name__ == "__main__":
    arguments = parse(BenchmarkArguments, __doc__)
    with script("space"):
        sys.exit(main(arguments))
