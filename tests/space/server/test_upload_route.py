"""The route for uploads: at Gradio's address, each file has its own path, and nothing is left of a bad one."""

import contextlib
import socket

import httpx
import pytest

from fakelens import load_detector
from tests.space.apps import serving

from server import upload_route  # isort: skip  # apps.py says where


@pytest.fixture(scope="module")
def app(tiny_model, tmp_path_factory):
    with serving({"tiny": load_detector(tiny_model, "cpu")}, tmp_path_factory.mktemp("uploads")) as app:
        yield app


@pytest.fixture(autouse=True)
def is_empty_again(app):
    yield
    for path in app.uploaded():
        path.unlink()
        path.parent.rmdir()
    assert list(app.uploads.iterdir()) == []


def send(app, *files, **options):
    return httpx.post(f"{app.url}/gradio_api/upload", files=[("files", file) for file in files], **options)


def test_equal_files_get_paths_of_their_own_and_keep_their_bytes(app):
    content = bytes(range(256)) * 1000
    paths = (
        send(app, ("a.png", content), ("a.png", content), ("b.zip", b"")).json() + send(app, ("a.png", content)).json()
    )
    assert len(set(paths)) == 4 and [path.rpartition("/")[2] for path in paths] == ["a.png", "a.png", "b.zip", "a.png"]
    assert sorted(path.read_bytes() for path in app.uploaded()) == sorted([content, content, content, b""])
    assert {str(path) for path in app.uploaded()} == set(paths)


def test_a_name_is_never_a_path(app):
    for name, stored in (
        ("../../evil.jpg", "evil.jpg"),
        ("..\\evil.jpg", "evil.jpg"),
        (".bashrc", "bashrc"),
        ("..", "file"),
        ("a/b\0c.png", "b_c.png"),
        ("é文.png", "é文.png"),
        ("文" * 200 + ".zip", "文" * 56 + ".zip"),
    ):
        assert upload_route.safe_name(name) == stored
    (path,) = send(app, ("../../é文 1.jpg", b"x")).json()
    assert path.endswith("/é文 1.jpg") and path.startswith(str(app.uploads))


def test_what_is_too_much_or_no_form_is_refused_and_nothing_is_left(app, monkeypatch):
    monkeypatch.setattr(upload_route, "MAX_UPLOAD", 2**20)
    monkeypatch.setattr(upload_route, "FILES", 2)
    many = send(app, *[(f"{n}.png", b"x") for n in range(3)])
    assert (many.status_code, many.text) == (413, "At most 2 files are taken at once.")
    large = send(app, ("good.png", b"x"), ("large.png", bytes(2**20 + 1)))
    assert large.status_code == 413 and "at most 1 MiB" in large.text
    upload = f"{app.url}/gradio_api/upload"
    assert httpx.post(upload, content=b"x").status_code == 400
    form = {"Content-Type": "multipart/form-data; boundary=cut"}
    head = b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    assert httpx.post(upload, content=head + b"half a file", headers=form).text == "The upload broke off."
    assert httpx.post(upload, content=b"no form at all", headers=form).status_code == 400
    long = b'--cut\r\nContent-Disposition: form-data; name="' + b"x" * 9000
    assert httpx.post(upload, content=long, headers=form).status_code == 400
    other = httpx.post(upload, files={"others": ("a.png", b"x")})
    assert other.json() == []
    assert app.uploaded() == []


def test_a_sender_who_hangs_up_leaves_nothing(app):
    host, port = app.url.removeprefix("http://").split(":")
    head = b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf'
    with contextlib.closing(socket.create_connection((host, int(port)))) as line:
        line.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n"
            b"Content-Type: multipart/form-data; boundary=cut\r\n\r\n" + head
        )
        wait_until(lambda: app.uploaded())
    wait_until(lambda: not app.uploaded())


def wait_until(is_so):
    import time

    for _ in range(200):
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail("it did not come about")


def test_a_page_is_told_how_far_its_upload_is(app):
    watched = f"{app.url}/gradio_api/upload_progress"
    assert 'data: {"msg": "done"}' in httpx.get(watched, params={"upload_id": "never begun"}, timeout=10).text
    told = []

    def slowly():
        yield b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        with httpx.stream("GET", watched, params={"upload_id": "mine"}, timeout=10) as events:
            yield bytes(1000)
            for line in events.iter_lines():
                told.append(line)
                if "chunk_size" in line:
                    break
        yield b"\r\n--cut--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    url = f"{app.url}/gradio_api/upload?upload_id=mine"
    assert len(httpx.post(url, content=slowly(), headers=headers, timeout=20).json()) == 1
    assert told[0] == 'data: {"msg": "update", "orig_name": "a.png", "chunk_size": 1000}'
