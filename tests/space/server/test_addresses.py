"""Addresses in the place of uploads: fetched by us and never by Gradio, from the public internet alone."""

import asyncio
import json

import httpx
import pytest

from fakelens import load_detector
from fakelens.data.decode import ImageError
from tests.abuse import make_image
from tests.space.apps import serving
from tests.space.conftest import png

from server import addresses  # isort: skip  # apps.py says where

META = {"_type": "gradio.FileData"}


@pytest.fixture
def web(monkeypatch):
    """What the public internet holds, and a list of what was asked of it."""
    asked = []

    def fetch(url, public_only=False):
        asked.append((url, public_only))
        if "good" not in url:
            raise ImageError("address refused")
        return png(make_image())

    monkeypatch.setattr(addresses, "fetch", fetch)
    return asked


@pytest.fixture(scope="module")
def app(tiny_model, tmp_path_factory):
    with serving({"tiny": load_detector(tiny_model, "cpu")}, tmp_path_factory.mktemp("uploads")) as app:
        yield app


def ask(app, name, data):
    """Return the answer's status and text, as curl gets them."""
    url = f"{app.url}/gradio_api/call/{name}"
    body = data if isinstance(data, bytes) else json.dumps({"data": data})
    joined = httpx.post(url, content=body, headers={"Content-Type": "application/json"})
    if joined.status_code != 200:
        return joined.status_code, joined.text
    return 200, httpx.get(f"{url}/{joined.json()['event_id']}", timeout=60).text


def test_an_image_by_its_address_is_scored_and_nothing_is_left(app, web, monkeypatch):
    async def never(url, cache_dir):
        raise AssertionError("Gradio has fetched an address itself")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", never)
    one = {"path": "https://good.example/a.png", "meta": META}
    status, text = ask(app, "classify", [one, None, None])
    assert status == 200 and "event: complete" in text and '"error": null' in text
    assert '"name": "https://good.example/a.png"' in text
    # However it is written: JSON has more than one way.
    path = b'"p\\u0061th": "http\\u003a\\/\\/good.example"'
    escaped = b'{"data": [{%b, "meta": {"_type": "gradio.FileData"}}, null, null]}' % path
    assert "event: complete" in ask(app, "classify", escaped)[1]
    status, text = ask(app, "classify_batch", [[one, {**one, "orig_name": "b.png"}], None, None])
    assert "event: complete" in text and '"name": "b.png"' in text
    assert len(web) == 4 and all(public_only for _, public_only in web)
    assert app.uploaded() == []


def test_a_bad_address_is_refused_before_gradio_sees_it(app, web):
    bad = {"path": "http://10.0.0.1/a.png", "meta": META}
    assert ask(app, "classify", [bad, None, None]) == (
        400,
        '{"detail":"This address cannot be read: address refused"}',
    )
    many = [{"path": f"http://good.example/{n}"} for n in range(addresses.FETCHED + 1)]
    assert "at most 8 are fetched" in ask(app, "classify_batch", [many, None, None])[1] and len(web) == 1


def test_a_call_that_is_too_large_is_refused(app, monkeypatch):
    monkeypatch.setattr(addresses, "MAX_BODY", 1000)
    assert ask(app, "classify_url", ["x" * 1000])[0] == 413


def test_calls_without_an_address_pass_as_they_are(web):
    for body in (b'{"data":  [1]}', b"no json", b"", b'"' * 3, b"[" * 100_000, b'{"path": 3}', b'{"path": "/etc/x"}'):
        assert asyncio.run(addresses.with_fetched(body)) == body
    assert web == []
