"""What hostile visitors send to the Space: each gets a message, none a traceback, and the app lives on."""

import io
import json
import zipfile

import httpx
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from tests.abuse import make_image, write_cases
from tests.space.apps import PACKAGE, SPACE, App, running

PRIVATE = [
    "http://127.0.0.1:{port}/health",
    "http://localhost:{port}/health",
    "http://[::1]:{port}/health",
    "http://169.254.169.254/latest/meta-data/",
    "http://2130706433/",  # 127.0.0.1 as one number
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://[::ffff:127.0.0.1]/",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
]


@pytest.fixture(scope="module")
def app(tiny_model, tmp_path_factory):
    with running(tiny_model, tmp_path_factory.mktemp("abused")) as started:
        yield started


@pytest.fixture(scope="module")
def client(app):
    return app.client()


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """The abuse list's files that a client can send at all: one is missing."""
    folder = tmp_path_factory.mktemp("cases")
    return folder, [case for case in write_cases(folder) if case.name != "missing.jpg"]


@pytest.fixture(autouse=True)
def is_alive(app, client, tmp_path):
    """After each test: nothing is left, nothing of ours broke, and a good image is scored."""
    yield
    make_image().save(tmp_path / "good.png")
    row = client.predict(handle_file(tmp_path / "good.png"), api_name="/classify")
    assert row["error"] is None and 0 <= row["score"] <= 1
    assert not app.uploaded()
    # Gradio logs its own refusals of calls that no client of its makes, before our code is reached.
    assert not app.own_tracebacks()


@pytest.fixture
def quiet(app):
    """The test leaves no traceback at all."""
    before = len(app.tracebacks())
    yield
    assert not app.tracebacks()[before:]


def test_a_traceback_is_ours_by_its_files_wherever_the_checkout_lies(tmp_path):
    gradio = SPACE.parent / ".venv" / "lib" / "python3.13" / "site-packages" / "gradio" / "routes.py"
    for file, is_it in ((gradio, False), (tmp_path / "fakelens" / "x.py", False), (SPACE / "pages" / "api.py", True),
                        (SPACE / "app.py", True), (PACKAGE / "errors.py", True)):  # fmt: skip
        log = tmp_path / "log"
        log.write_text(f'ERROR\nTraceback (most recent call last):\n  File "{file}", line 3, in call\nValueError\n')
        assert len(App("", tmp_path, log).tracebacks()) == 1
        assert bool(App("", tmp_path, log).own_tracebacks()) is is_it, file


def check(row, case):
    """Hold a row against what must be said of a case."""
    if case.error:
        assert case.error in row["error"] and row["verdict"] is None and row["score"] is None, row
    else:
        assert row["error"] is None and row["verdict"] in ("real", "fake", "uncertain"), row
    if case.note:
        assert case.note in " ".join(row["notes"]), row


@pytest.mark.usefixtures("quiet")
def test_each_alone(client, cases):
    folder, listed = cases
    for case in listed:
        check(client.predict(handle_file(folder / case.name), api_name="/classify"), case)


@pytest.mark.usefixtures("quiet")
def test_all_at_once_in_order_with_a_zip_of_them_and_bombs(client, cases, tmp_path):
    folder, listed = cases
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for case in listed:
            packed.write(folder / case.name, case.name)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("huge.png", bytes(150 * 2**20))
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and then nothing")
    (tmp_path / "text.zip").write_text("this is no zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as packed:
        packed.writestr("readme.txt", "no image")
    zips = ["all.zip", "bomb.zip", "broken.zip", "text.zip", "empty.zip"]
    sent = [folder / case.name for case in listed] + [tmp_path / name for name in zips]
    rows = client.predict([handle_file(path) for path in sent], api_name="/classify_batch")
    alone, packed_rows, bad = rows[: len(listed)], rows[len(listed) : -4], rows[-4:]
    assert [row["name"] for row in alone] == [case.name for case in listed]
    for row, case in zip(alone, listed, strict=True):
        check(row, case)
    by_name = {f"all.zip/{case.name}": case for case in listed}
    assert {row["name"] for row in packed_rows} == set(by_name)
    for row in packed_rows:
        check(row, by_name[row["name"]])
    assert [row["name"] for row in bad] == ["bomb.zip", "broken.zip", "text.zip", "empty.zip"]
    assert all(row["verdict"] is None for row in bad)
    for row, words in zip(bad, ["bomb", "zip", "not a zip", "no images in this zip"], strict=True):
        assert words in row["error"]


def test_files_of_the_server_are_neither_read_nor_deleted(app, client, tmp_path):
    secret = tmp_path / "secret.png"
    make_image().save(secret)
    marked = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    up = {"path": f"{app.uploads}/../{secret.name}"}
    endpoints = {"classify": lambda one: [one, None, None], "classify_batch": lambda one: [[one], None, None],
                 "compare": lambda one: [one], "stability": lambda one: [one, None, None]}  # fmt: skip
    for name, data in endpoints.items():
        for one in ({"path": str(secret)}, marked, up, str(secret), {"path": 1}, {}, None, 7, [], "\0"):
            answer = call(app, name, data(one))
            assert answer.startswith("event: error") and '"score"' not in answer, (name, one, answer)
    assert secret.is_file()


@pytest.mark.usefixtures("quiet")
def test_odd_models_and_rates_get_a_message(app, client, tmp_path):
    make_image().save(tmp_path / "good.png")
    for model, rate, words in (
        ("../../etc", None, "There is no model"),
        ("<img src=x onerror=alert(1)>", None, "There is no model"),
        (None, 7, "between 0 and 1"),
        (None, 0.05, "was not calibrated"),
        (None, "0.05", "number between 0 and 1"),
    ):
        for name, image in (("/classify", handle_file(tmp_path / "good.png")),
                            ("/classify_batch", [handle_file(tmp_path / "good.png")]),
                            ("/stability", handle_file(tmp_path / "good.png"))):  # fmt: skip
            with pytest.raises(AppError, match=words) as caught:
                client.predict(image, model, rate, api_name=name)
            assert "<img" not in str(caught.value)


@pytest.mark.usefixtures("quiet")
def test_private_addresses_are_refused(app, client):
    port = app.url.rpartition(":")[2]
    for address in (one.format(port=port) for one in PRIVATE):
        row = client.predict(address, api_name="/classify_url")
        assert row["error"] and row["score"] is None, row
        assert "version" not in row["error"]  # of what /health answers
        # Gradio itself fetches a file that a client names by its address.
        if address.startswith("http"):
            sent = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
            answer = call(app, "classify", [sent, None, None])
            assert answer.startswith("event: error") or json.loads(answer.partition("data: ")[2])[0]["error"], answer


def test_other_calls_than_the_documented_get_a_refusal(app):
    api = f"{app.url}/gradio_api"
    for name in ("classify", "classify_batch", "compare", "stability", "classify_url"):
        for data in ([], [None], [[]], [{}], [None] * 9):
            answer = call(app, name, data)
            assert '"score"' not in answer or '"score": null' in answer, (name, data, answer)
    assert httpx.get(f"{api}/file=/etc/passwd").status_code in (403, 404)
    assert httpx.post(f"{api}/upload", files={"files": ("../../../evil.jpg", b"x")}).status_code in (200, 400)
    assert not (app.uploads.parent / "evil.jpg").exists()
    for path in app.uploaded():  # never asked about: the sweep's matter
        path.unlink()


@pytest.mark.usefixtures("quiet")
def test_a_zip_in_an_images_name_and_an_image_in_a_zips(client, tmp_path):
    file = io.BytesIO()
    make_image().save(file, format="PNG")
    with zipfile.ZipFile(tmp_path / "zip.jpg", "w") as packed:
        packed.writestr("inner.png", file.getvalue())
    (tmp_path / "image.zip").write_bytes(file.getvalue())
    rows = client.predict(
        [handle_file(tmp_path / "zip.jpg"), handle_file(tmp_path / "image.zip")], api_name="/classify_batch"
    )
    assert [row["name"] for row in rows] == ["zip.jpg/inner.png", "image.zip"]
    assert rows[0]["error"] is None and "zip" in rows[1]["error"]


def call(app, name, data):
    """Ask an endpoint as curl does, and return the last event of its answer, or the refusal."""
    api = f"{app.url}/gradio_api/call/{name}"
    joined = httpx.post(api, json={"data": data})
    if joined.status_code != 200:
        assert joined.status_code < 500, (name, data, joined.text)
        return f"event: error\ndata: {joined.text}"
    events = httpx.get(f"{api}/{joined.json()['event_id']}", timeout=60).text.strip().split("\n\n")
    return events[-1]
