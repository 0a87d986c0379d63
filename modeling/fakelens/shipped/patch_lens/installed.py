"""The classes of this model, from the fakelens that it lies in; published, it has their code beside it.

`pipeline(..., model=FOLDER, trust_remote_code=True)` reads this file. After `import fakelens` none is read, nor asked for.
"""

from fakelens.models import DetectorImageProcessor, PatchLensConfig, PatchLensForImageClassification

__all__ = ["DetectorImageProcessor", "PatchLensConfig", "PatchLensForImageClassification"]
