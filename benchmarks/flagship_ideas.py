"""What was tried for the flagship, as data: an idea is how crops are drawn and degraded, and how a network pools them.

Used by flagship.py and flagship_crops.py; opens nothing.
"""

from dataclasses import dataclass
from typing import Any

MILD = [
    {"name": "resize", "scale": [0.5, 1.0], "back": False, "p": 0.5},
    {"name": "jpeg", "quality": [60, 98], "p": 0.7},
]
STRONG = [
    {"name": "resize", "scale": [0.4, 1.6], "back": False, "p": 0.5},
    {"name": "blur", "sigma": [0.3, 1.2], "p": 0.2},
    {"name": "noise", "sigma": [0.004, 0.03], "p": 0.2},
    {"name": "jpeg", "quality": [40, 98], "p": 0.7},
    {"name": "webp", "quality": [50, 95], "p": 0.1},
]
SPECTRUM = {"name": "spectrum", "p": 0.7}
ENLARGED = {"name": "resize", "scale": [1.0, 2.2], "back": False, "p": 0.3}
ROUGH = [
    {"name": "resize", "scale": [0.5, 1.0], "back": False, "p": 0.5},
    {"name": "blur", "sigma": [0.3, 1.5], "p": 0.2},
    {"name": "noise", "sigma": [0.004, 0.03], "p": 0.3},
    {"name": "jpeg", "quality": [40, 98], "p": 0.7},
]


@dataclass(frozen=True)
class Idea:
    """What is tried.

    Attributes:
        pairs: Share of a batch that are content-aligned pairs; the rest are real images and real fakes.
        degradations: What is done to both classes.
        apart: Draw the halves of a pair apart, each degraded in its own way.
        softened: How often a fake half keeps its difference from the real one below a random frequency only, or in
            part (after Chen et al. 2025, "Dual Data Alignment", https://arxiv.org/abs/2505.14359).
        scaled: Bring real fakes that are larger than the real photographs to a size of theirs.
        matched: Draw this many times more real and fake crops, and keep those that are alike in texture and light.
        weighted: Weigh crops by how little their texture and light give their class away (overlap weights, Li, Morgan
            and Zaslavsky 2018, https://doi.org/10.1080/01621459.2016.1260466).
        balanced: Draw a source, or a generator, before an image, so that none outweighs another.
        mixed: In this share of the pairs a rectangle of the real half is left in the fake one; the label says how much
            of it is fake (after CutMix, Yun et al. 2019, https://arxiv.org/abs/1905.04899).
        crossed: The same between any two crops of a batch, in this share of them.
        top: Pool this share of a picture's places, those that look most like a fake, instead of all.
        network: Options of the patch lens.
    """

    pairs: float = 1.0
    degradations: tuple[dict[str, Any], ...] = tuple(MILD)
    apart: bool = False
    softened: float = 0.0
    scaled: bool = False
    matched: int = 0
    weighted: bool = False
    balanced: bool = True
    mixed: float = 0.0
    crossed: float = 0.0
    top: float = 1.0
    network: tuple[tuple[str, Any], ...] = ()


IDEAS = {
    "aligned": Idea(),
    "aligned_apart": Idea(apart=True),
    "aligned_strong": Idea(degradations=tuple(STRONG)),
    "aligned_softened": Idea(softened=0.5),
    "aligned_3_stages": Idea(network=(("stages", 3),)),
    "aligned_high_pass": Idea(network=(("high_pass", True),)),
    "real_fakes": Idea(pairs=0.0, degradations=tuple(STRONG)),
    "half": Idea(pairs=0.5, degradations=tuple(STRONG)),
    "half_scaled": Idea(pairs=0.5, scaled=True),
    "fifth_scaled": Idea(pairs=0.8, scaled=True),
    "matched": Idea(pairs=0.0, scaled=True, matched=3),
    "half_matched": Idea(pairs=0.5, scaled=True, matched=3),
    "aligned_spectrum": Idea(degradations=(SPECTRUM, *MILD)),
    "aligned_spectrum_always": Idea(degradations=({"name": "spectrum"}, *MILD)),
    "aligned_spectrum_apart": Idea(degradations=(SPECTRUM, *MILD), apart=True),
    "third": Idea(pairs=0.7),
    "third_spectrum": Idea(pairs=0.7, degradations=(SPECTRUM, *MILD)),
    "half_mild": Idea(pairs=0.5),
    "half_spectrum": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD)),
    "half_spectrum_matched": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD), matched=3),
    "half_spectrum_scaled": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD), scaled=True),
    "half_spectrum_rough": Idea(pairs=0.5, degradations=(SPECTRUM, *ROUGH)),
    "half_spectrum_enlarged": Idea(pairs=0.5, degradations=(SPECTRUM, ENLARGED, *MILD)),
    "half_spectrum_unbalanced": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD), balanced=False),
    "half_spectrum_mixed": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD), mixed=0.5),
    "half_spectrum_mixed_rough": Idea(pairs=0.5, degradations=(SPECTRUM, *ROUGH), mixed=0.5),
    "half_spectrum_crossed": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD), crossed=0.5),
    "half_spectrum_weights": Idea(
        pairs=0.5, degradations=(SPECTRUM, *MILD), network=(("patch_weight_contrast", 4.0),)
    ),
    "half_spectrum_top": Idea(pairs=0.5, degradations=(SPECTRUM, *MILD), top=0.25),
    "most_spectrum": Idea(pairs=0.2, degradations=(SPECTRUM, *MILD)),
    "weighted": Idea(pairs=0.0, scaled=True, weighted=True),
    "half_weighted": Idea(pairs=0.5, scaled=True, weighted=True),
}
