"""`/health`: for those who watch over the server. 503 until every model has scored an image, then 200."""

import threading

from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from fakelens import __version__
from fakelens.inference.detector import Detector

TRIAL = 64  # pixels a side of the image that a model is tried on


class State:
    """Whether the models work, and how many images they have scored.

    Args:
        detectors: By their names on the page.
    """

    def __init__(self, detectors: dict[str, Detector]):
        self.detectors = detectors
        self.ready = threading.Event()

    def warm_up(self) -> None:
        """Let every model score an image: the first one takes longest, and shows whether it works at all."""
        for detector in self.detectors.values():
            detector([Image.new("RGB", (TRIAL, TRIAL), "grey")])
        self.ready.set()

    def route(self) -> Route:
        """Return the route to add to the server."""

        async def health(request: Request) -> JSONResponse:
            is_ready = self.ready.is_set()
            body = {
                "status": "ready" if is_ready else "starting",
                "version": __version__,
                "models": list(self.detectors),
                "scored": counter.scored,
            }
            return JSONResponse(body, 200 if is_ready else 503, headers={"Cache-Control": "no-store"})

        return Route("/health", health)


class Counter:
    """How many images were scored since the start, on every page and through the API."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.scored = 0

    def add(self, count: int = 1) -> None:
        """Count images.

        Args:
            count: How many were scored.
        """
        with self._lock:
            self.scored += count


counter = Counter()
