"""What a dry run found, as facts and as the tables that a person reads."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

MIB = 2**20
WIDTH = 118  # of the tables where output goes to a file


@dataclass(frozen=True)
class Process:
    """What one process found in one phase.

    Attributes:
        index: Which process.
        rows: Of each row trained on: its name in its pass, whether several sources may hold it, the loader worker.
        kinds: Shapes and dtypes of the batches.
        fakes: Rows that are not real.
        first_image_s: Seconds to a loader worker's first image: opening shards, filling the shuffle buffer.
        image_s: Seconds that a loader worker takes for each further image.
        image_core_s: Seconds of a core in it, which do not grow where other programs wait for the same cores.
        step_s: Seconds of an optimiser step whose batches are there.
        evaluated: Validation images a second, of all processes together.
        weights: A sum over all weights, which training together keeps equal.
        peak: Most memory that the process had resident, in bytes.
        worker_peak: Likewise the largest loader worker, pages shared with its parent included; 0 without workers.
        cuda_peak: Most memory allocated on its GPU, in bytes; None without one.
    """

    index: int
    rows: list[tuple[int, bool, int]]
    kinds: list[str]
    fakes: int
    first_image_s: float
    image_s: float
    image_core_s: float
    step_s: float
    evaluated: float
    weights: float
    peak: int
    worker_peak: int
    cuda_peak: int | None


@dataclass(frozen=True)
class Phase:
    """What all processes found in one phase, and what follows from it.

    Attributes:
        name: The phase's.
        processes: What each found.
        images: That one process takes in an optimiser step.
        workers: Loader workers of each process.
        steps: Of the whole phase.
        evaluations: In the whole phase.
        validation_rows: In each evaluation.
        parameters: Of the network.
        parameter_bytes: What they take on each device.
        gradient_bytes: What the gradients of the trainable ones take on each device.
        optimiser_bytes: What the optimiser keeps on each device.
        shards: Of the training data; of a mixture, as many as its least divided source has.
        readers: Loader workers of all processes.
        own_shards: Whether each reader reads shards of its own, rather than all of them.
        cost: What it costs that there are too few shards, "" if nothing.
    """

    name: str
    processes: list[Process]
    images: int
    workers: int
    steps: int
    evaluations: int
    validation_rows: int
    parameters: int
    parameter_bytes: int
    gradient_bytes: int
    optimiser_bytes: int
    shards: int
    readers: int
    own_shards: bool
    cost: str

    def loader_s(self, process: Process) -> float:
        """Seconds in which a process's loader workers have an optimiser step's images ready."""
        return self.images * process.image_s / max(1, self.workers)

    @property
    def step_s(self) -> float:
        """Seconds of an optimiser step: workers load while the network computes, a process without them in turn."""
        both = [(self.loader_s(process), process.step_s) for process in self.processes]
        return max(max(times) if self.workers else sum(times) for times in both)

    @property
    def seconds(self) -> float:
        """Seconds of the whole phase, evaluations included; checkpoints and starting are not."""
        slowest = min(process.evaluated for process in self.processes)
        return self.steps * self.step_s + self.evaluations * self.validation_rows / slowest


def print_report(phases: list[Phase]) -> None:
    """Print what a dry run found, for a person, on standard output.

    Args:
        phases: At least one.
    """
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    for phase in phases:
        _print_phase(phase, console)
    hours = sum(phase.seconds for phase in phases) / 3600
    limit = max(phases, key=lambda phase: phase.seconds)
    slow = "loading" if max(map(limit.loader_s, limit.processes)) > limit.processes[0].step_s else "the network"
    number = len(limit.processes)
    console.print(
        f"The whole run: {sum(phase.steps for phase in phases):,} steps, about {hours:,.2f} hours on "
        f"{number} process{'es' * (number > 1)} like {'these' if number > 1 else 'this'} at the rates measured; most "
        f"of it is {slow}. A few steps measure roughly."
    )
    console.print("No row came twice, all batches have one shape, all processes the same weights. Nothing was kept.")


def _print_phase(phase: Phase, console: Console) -> None:
    table = Table(
        "process", "rows", "fake", "first image s", "loader images/s", "core ms/image", "network images/s",
        "memory MiB", "worker MiB",
        title=f"phase {phase.name}: {phase.processes[0].kinds[0]}", title_justify="left",
    )  # fmt: skip
    cuda = phase.processes[0].cuda_peak is not None
    if cuda:
        table.add_column("CUDA MiB")
    for process in phase.processes:
        cells = [
            str(process.index),
            str(len(process.rows)),
            f"{process.fakes / len(process.rows):.0%}",
            f"{process.first_image_s:.1f}",
            f"{phase.images / phase.loader_s(process):.1f}",
            f"{1000 * process.image_core_s:.1f}",
            f"{phase.images / process.step_s:.1f}",
            f"{process.peak / MIB:,.0f}",
            f"{process.worker_peak / MIB:,.0f}" if phase.workers else "-",
        ]
        table.add_row(*cells, *([f"{(process.cuda_peak or 0) / MIB:,.0f}"] if cuda else []))
    console.print(table)
    console.print(
        f"{phase.parameters:,} parameters: {phase.parameter_bytes / MIB:.1f} MiB, gradients "
        f"{phase.gradient_bytes / MIB:.1f} MiB, optimiser {phase.optimiser_bytes / MIB:.1f} MiB on each device."
    )
    each = phase.shards // phase.readers
    most = each + (phase.shards % phase.readers > 0)
    own = f"each reads {each if each == most else f'{each} or {most}'} of its own"
    every = "it reads all rows" if phase.readers == 1 else "each reads all rows and decodes its own"
    sharing = own if phase.own_shards and phase.readers > 1 else every
    console.print(f"Shards: {phase.shards} for {phase.readers} reader{'s' * (phase.readers > 1)}; {sharing}.")
    if phase.cost:
        console.print(phase.cost, markup=False)
    console.print(
        f"{phase.steps:,} steps of {phase.images * len(phase.processes):,} images at {phase.step_s:.3f} s, "
        f"{phase.evaluations} evaluations of {phase.validation_rows:,}: {phase.seconds / 3600:,.2f} hours."
    )
