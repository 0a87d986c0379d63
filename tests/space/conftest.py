"""A browser, a web server for static folders, and Spaces built of small models; skipped where there is no browser."""

import contextlib
import functools
import importlib.util
import io
import os
import shutil
import struct
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin
from PIL.ExifTags import Base
from skimage import data
from torch import nn

from fakelens import load_detector
from fakelens.zoo.registry import build_detector, build_processor
from tests.conftest import SCRIPTS, load_script

PAGE = SCRIPTS.parent / "space" / "browser"
MODULES = PAGE / "node_modules" / "onnxruntime-web"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),  # a camera that needs no asking
]
BAND = [0.4, 0.6]
CROPS = {"do_resize": False, "do_native_crop": True, "crops_per_side": 2}
SMALL_CNN = {"hidden_sizes": [4, 8], "classifier_size": 8}
# Our class on native crops, our class resizing with a cubic kernel, and a class of transformers' own.
MODELS = {
    "crops": ("custom_cnn", 96, CROPS, SMALL_CNN),
    "resized": ("custom_cnn", 64, {"resample": Image.Resampling.BICUBIC}, SMALL_CNN),
    "native": ("mobilenet_v2", 64, {}, {"depth_multiplier": 0.25, "finegrained_output": False}),
}


@pytest.fixture(scope="session")
def space_script():
    return load_script("build_browser_space")


def require(found):
    """Skip the test for the first thing that is not there; with FAKELENS_REQUIRE_BROWSER=1, fail it."""
    for reason in (reason for reason, is_there in found.items() if not is_there):
        (pytest.fail if os.environ.get("FAKELENS_REQUIRE_BROWSER") == "1" else pytest.skip)(reason)


@pytest.fixture(scope="session")
def chromium():
    """Chromium, started once."""
    require(
        {
            "no Chromium is installed": CHROMIUM,
            "playwright is not installed": importlib.util.find_spec("playwright"),
        }
    )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Handler(SimpleHTTPRequestHandler):
    """What a static host does, with the types that browsers insist on for modules and WebAssembly."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".wasm": "application/wasm",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
    }

    def copyfile(self, source, outputfile):
        with contextlib.suppress(ConnectionError):  # the page was closed meanwhile
            super().copyfile(source, outputfile)

    def log_message(self, *args):
        self.server.seen.append(self.path)


@pytest.fixture(scope="session")
def serve():
    """Return a function from a folder to its address and a growing list of what was asked of it."""
    servers = []

    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        server.seen = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/", server.seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Three photographs as PNG and JPEG, and further files in which decoders are known to differ, by name."""
    folder = tmp_path_factory.mktemp("photographs")
    chelsea, coffee, astronaut = (
        Image.fromarray(getattr(data, name)()) for name in ("chelsea", "coffee", "astronaut")
    )
    veiled = chelsea.convert("RGBA")
    veiled.putalpha(Image.linear_gradient("L").resize(chelsea.size))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # A profile that takes red for blue: one that is heeded shows.
    profile = profile.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    dark = PngImagePlugin.PngInfo()
    dark.add(b"gAMA", struct.pack(">I", 100_000))
    turned = {turn: Image.Exif() for turn in (3, 5, 6, 8)}
    for turn, exif in turned.items():
        exif[Base.Orientation] = turn
    files = {
        "chelsea.png": (chelsea, {}),
        "coffee.png": (coffee, {}),
        "astronaut.png": (astronaut, {}),
        "chelsea.jpg": (chelsea, {"quality": 90}),
        "coffee.jpg": (coffee, {"quality": 50, "progressive": True}),
        "astronaut.jpg": (astronaut, {"quality": 97, "subsampling": 0}),
        "turned-6.jpg": (coffee, {"exif": turned[6]}),
        "turned-5.png": (coffee, {"exif": turned[5]}),
        "turned-3.webp": (coffee, {"exif": turned[3]}),
        "turned-8.webp": (coffee, {"exif": turned[8]}),
        "small.png": (astronaut.crop((180, 60, 220, 113)), {}),
        "grey.jpg": (coffee.convert("L"), {}),
        "cmyk.jpg": (coffee.convert("CMYK"), {}),
        "veiled.png": (veiled, {}),
        "veiled.webp": (veiled, {"lossless": True}),
        "profile.jpg": (chelsea, {"icc_profile": profile}),
        "gamma.png": (chelsea, {"pnginfo": dark}),
        "grey16.png": (Image.fromarray(np.asarray(coffee.convert("L")).astype(np.uint16) * 257), {}),
        "large.jpg": (coffee.resize((3000, 2000), Image.Resampling.LANCZOS), {}),
    }
    for name, (image, options) in files.items():
        image.save(folder / name, **options)
    return {name: folder / name for name in files}


@pytest.fixture(scope="session")
def runtime():
    """What the browser Space is built of, there."""
    require(
        {
            "onnxruntime is not installed": importlib.util.find_spec("onnxruntime"),
            "onnxruntime-web is not fetched (`make browser`)": MODULES.is_dir(),
        }
    )


@pytest.fixture(scope="session")
def spaces(chromium, runtime, space_script, serve, photographs, tmp_path_factory):
    """Of each model the detector in Python, and a built Space: its folder, address and what was asked of it."""
    from fakelens.inference.onnx.export import Settings, export_model

    folder, made = tmp_path_factory.mktemp("spaces"), {}
    images = [Image.open(photographs[name]) for name in ("chelsea.png", "coffee.png", "astronaut.png")]
    for kind, (name, side, processor_options, model_options) in MODELS.items():
        torch.manual_seed(0)
        model, processor = build_detector(name, **model_options), build_processor(name, side, **processor_options)
        spread(model, torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in images]))
        model.config.uncertain_band = BAND
        if kind == "native":  # as strangers name their classes
            model.config.id2label, model.config.label2id = {0: "human", 1: "artificial"}, {"human": 0, "artificial": 1}
        for saved in (model, processor):
            saved.save_pretrained(folder / kind / "model")
        export_model(str(folder / kind / "model"), folder / kind / "onnx", Settings(images=2))
        output = folder / kind / "space"
        space_script.main(space_script.BrowserSpaceArguments(str(folder / kind / "onnx"), str(output)))
        made[kind] = (load_detector(folder / kind / "model", "cpu"), output, *serve(output))
    return made


@torch.no_grad()
def spread(model, pixels):
    """Draw weights with which images differ, and scale the last layer so that scores lie far apart."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    model.train()(pixels)
    logits = model.eval()(pixels).logits
    difference = logits[:, 1] - logits[:, 0]
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    scale = difference.std() / 1.5
    last.weight /= scale
    last.bias /= scale
    last.bias[-1] -= difference.mean() / scale


@pytest.fixture
def visit(chromium):
    """Return a function that opens a page with given context options; everything asked for is in `page.asked`."""
    contexts = []

    def open_page(url, before=None, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)  # a machine may be busy
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        # From the start: asked for with the key press, now and then the file dialog was faster and went unseen.
        page.on("filechooser", lambda _: None)
        if before:
            before(page)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def write(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path
