"""The count of rows that could not be used, and why: nothing is dropped in silence."""

import json
from collections import Counter
from pathlib import Path


class SkipLog:
    """Counts skipped rows by reason.

    With a file, every row is appended to it as one JSON line, so that the workers and ranks of one run share a count.

    Args:
        path: Where to keep the log; None counts in memory, in this process alone.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self._rows: dict[str, str] = {}

    def add(self, row_id: str, reason: str) -> None:
        """Count one row. A row that a later epoch skips again counts once."""
        if self._rows.get(row_id) == reason:
            return
        self._rows[row_id] = reason
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open(
                "a", encoding="utf-8"
            ) as file:  # one short write: lines of several processes stay whole
                file.write(json.dumps({"id": row_id, "reason": reason}) + "\n")

    def merge(self, other: "SkipLog") -> None:
        """Count what another log counted, too."""
        for row_id, reason in other._rows.items():
            self.add(row_id, reason)

    @property
    def counts(self) -> dict[str, int]:
        """Skipped rows by reason, the most frequent first."""
        rows = self._rows
        if self.path is not None and self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            rows = {line["id"]: line["reason"] for line in map(json.loads, lines)}
        return dict(Counter(rows.values()).most_common())

    def summary(self) -> str:
        """One line for the end of a run, "" if nothing was skipped."""
        counts = self.counts
        if not counts:
            return ""
        reasons = ", ".join(f"{n} {reason}" for reason, n in counts.items())
        return f"{sum(counts.values())} rows skipped ({reasons})"
