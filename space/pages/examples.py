"""Three images that teach: a photograph, its reconstruction by an autoencoder, a file with content credentials.

`space/make_examples.py` made their files, of photographs that scikit-image ships and nobody has rights in.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

FOLDER = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Example:
    """An image to try the page with.

    Attributes:
        file: Its name in the folder of examples.
        title: What it is.
        teaches: What to look at in its verdict.
    """

    file: str
    title: str
    teaches: str


EXAMPLES = (
    Example("photograph.png", "A photograph", "As a camera took it, only smaller."),
    Example(
        "reconstruction.png",
        "A portrait, reconstructed",
        "An autoencoder drew every pixel anew. Look at the heat map.",
    ),
    Example(
        "credentials.jpg", "A file that says so", "Signed content credentials state that a model made it. See Origin."
    ),
)


def example_buttons() -> str:
    """Return the examples as buttons, which `page.js` sees to."""
    buttons = "".join(
        f'<button type="button" data-fl="example" data-file="{one.file}"><img src="examples/{one.file}" alt="">'
        f"<span><strong>{escape(one.title)}</strong> {escape(one.teaches)}</span></button>"
        for one in EXAMPLES
    )
    return f'<section class="fl-examples" aria-label="Examples"><h2>Or try one of these</h2>{buttons}</section>'


def route() -> Route:
    """Return the route that serves the examples' files."""
    files = {one.file: FOLDER / one.file for one in EXAMPLES}

    async def example(request: Request) -> Response:
        path = files.get(request.path_params["file"])
        return FileResponse(path) if path else PlainTextResponse("There is no such example.", 404)

    return Route("/examples/{file}", example)
