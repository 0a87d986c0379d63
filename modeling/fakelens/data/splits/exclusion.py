"""Which rows of a data set a training leaves out, by what made them and by where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fakelens.data.sources.labels import FAKE
from fakelens.data.sources.patterns import is_pattern, matches, split_pattern
from fakelens.data.splits.protocols import name_key


@dataclass(frozen=True)
class Exclusion:
    """Generators and sources that are left out.

    Attributes:
        generators: Of fakes: names in any spelling, or patterns as `fakelens.data.sources.patterns` has them.
        sources: Of all images: names or patterns likewise.
    """

    generators: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.generators or self.sources)

    def covers(self, label: int, generator: str, source: str) -> bool:
        """Tell whether a row is left out.

        Args:
            label: 0 real, 1 fake.
            generator: What made the image; it counts for fakes alone.
            source: The collection that it comes from.
        """
        return self.covers_source(source) or (label == FAKE and self.covers_generator(generator))

    def covers_generator(self, generator: str) -> bool:
        """Tell whether a generator's fakes are left out."""
        if name_key(generator) in self._keys:
            return True
        return any(matches(generator, pattern) for pattern in self.generators if is_pattern(pattern))

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(name_key(name) for name in self.generators if not is_pattern(name))

    def covers_source(self, source: str) -> bool:
        """Tell whether a source's images are left out."""
        return any(matches(source, pattern) for pattern in self.sources)


def check_patterns(patterns: Sequence[str]) -> None:
    """Refuse a pattern that asks for a part that there is not.

    Args:
        patterns: Names or patterns.

    Raises:
        UserError: If the K of a PATTERN#K/N is not from 1 to N.
    """
    for pattern in patterns:
        split_pattern(pattern)
