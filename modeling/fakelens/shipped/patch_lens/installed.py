"""The classes of this model, from the fakelens that it lies in; published, it has their code beside it.

`pipeline(..., model=FOLDER, trust_remote_code=True)` reads this file; after `import fakelens` nobody has to. The image
processor is found by its name once `fakelens.models` is imported: named here, transformers would ask for its consent.
"""

from fakelens.models import PatchLensConfig, PatchLensForImageClassification

__all__ = ["PatchLensConfig", "PatchLensForImageClassification"]
