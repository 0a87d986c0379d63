"""The local Hub refuses what the Hub refuses: a push that it lets through means something."""

import base64
import hashlib
import json
import urllib.error
import urllib.request

import pytest

from tests.hub_fixture import READER, WRITER

CARD = b"---\nlicense: mit\n---\n# Tiny\n"


def ask(server, method, path, body=None, token=WRITER, headers=()):
    """Return the status, the headers and the body of an answer."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, dict(headers), method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def commit(server, *operations, token=WRITER, query="", **header):
    lines = [{"key": "header", "value": {"summary": "change"} | header}]
    lines += [{"key": key, "value": value} for key, value in operations]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    return ask(server, "POST", f"/api/models/user/tiny/commit/main{query}", body, token)


def file(path, content):
    return "file", {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}


@pytest.fixture
def repo(server):
    assert ask(server, "POST", "/api/repos/create", {"name": "tiny", "organization": "user"})[0] == 200
    return server.repo("user/tiny")


def test_a_commit_is_a_new_revision_and_the_old_one_stays(server, repo):
    empty = repo.at()
    assert commit(server, file("README.md", CARD), file("a/b.txt", b"one"))[0] == 200
    first = repo.at()
    assert commit(server, file("a/b.txt", b"two"), ("deletedFile", {"path": "README.md"}))[0] == 200
    assert [c.sha for c in repo.history()] == [repo.at().sha, first.sha, empty.sha]
    status, headers, body = ask(server, "GET", f"/user/tiny/resolve/{first.sha}/a/b.txt", token=None)
    assert (status, body, headers["X-Repo-Commit"]) == (200, b"one", first.sha)
    assert ask(server, "GET", "/user/tiny/resolve/main/a/b.txt")[2] == b"two"


def test_a_commit_that_is_refused_changes_nothing(server, repo):
    before = repo.at()
    good = file("a.txt", b"one")
    oid = hashlib.sha256(b"never sent").hexdigest()
    assert commit(server, good, ("lfsFile", {"path": "x.bin", "algo": "sha256", "oid": oid, "size": 10}))[0] == 400
    assert commit(server, good, ("deletedFile", {"path": "nothing"}))[0] == 404
    assert commit(server, good, file("README.md", b"---\nlicense: [\n---\n"))[0] == 400
    assert commit(server, good, file(".eval_results/x.yaml", b"- value: high\n"))[0] == 400
    assert commit(server, good, parentCommit="0" * 40)[0] == 412
    assert commit(server, good, token=READER)[0] == 403
    assert commit(server, good, token=None)[0] == 401
    assert repo.at() == before
    assert len(repo.commits) == 1


def test_lfs_objects_are_checked(server, repo):
    content = b"\0weights"
    oid = hashlib.sha256(content).hexdigest()
    batch = "/user/tiny.git/info/lfs/objects/batch"
    wanted = {"operation": "upload", "objects": [{"oid": oid, "size": len(content)}]}
    actions = json.loads(ask(server, "POST", batch, wanted)[2])["objects"][0]["actions"]
    put = actions["upload"]["href"].removeprefix(server.url)
    verify = actions["verify"]["href"].removeprefix(server.url)
    assert ask(server, "PUT", put, b"\0welghts")[0] == 400
    assert ask(server, "POST", verify, {"oid": oid, "size": len(content)})[0] == 404
    assert ask(server, "PUT", put, content)[0] == 200
    assert ask(server, "POST", verify, {"oid": oid, "size": len(content)})[0] == 200
    assert "actions" not in json.loads(ask(server, "POST", batch, wanted)[2])["objects"][0]
    assert (
        commit(server, ("lfsFile", {"path": "model.safetensors", "algo": "sha256", "oid": oid, "size": 8}))[0] == 200
    )

    _, headers, body = ask(server, "HEAD", "/user/tiny/resolve/main/model.safetensors", token=None)
    assert body == b""
    assert headers["X-Linked-Etag"] == f'"{oid}"'
    assert headers["X-Linked-Size"] == headers["Content-Length"] == str(len(content))
    part = ask(server, "GET", "/user/tiny/resolve/main/model.safetensors", headers={"Range": "bytes=3-"}.items())
    assert (part[0], part[2]) == (206, content[3:])


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("/api/models/user/nothing", WRITER, 404, "RepoNotFound"),
        ("/api/models/user/nothing", None, 401, "RepoNotFound"),
        ("/api/models/user/tiny/revision/nothing", None, 404, "RevisionNotFound"),
        ("/user/tiny/resolve/main/nothing.txt", None, 404, "EntryNotFound"),
        ("/api/models/user/tiny", "hf_wrong", 401, None),
        ("/api/nothing", WRITER, 404, None),
    ],
)
def test_what_is_not_there_is_refused_as_the_hub_does(server, repo, path, token, status, code):
    answer = ask(server, "GET", path, token=token)
    assert (answer[0], answer[1]["X-Error-Code"]) == (status, code)


def test_private_repos_are_their_owners(server):
    wanted = {"name": "tiny", "organization": "user", "visibility": "private"}
    assert ask(server, "POST", "/api/repos/create", wanted)[0] == 200
    assert ask(server, "GET", "/api/models/user/tiny", token=WRITER)[0] == 200
    assert ask(server, "GET", "/api/models/user/tiny", token=READER)[0] == 404
    assert ask(server, "GET", "/api/models/user/tiny", token=None)[0] == 401


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("---\nlicense: mit\n---\n", None),
        ("---\nlicense: [\n---\n", "no YAML"),
        ("---\nlicense: mine\n---\n", '"license" must be one of'),
        ("---\nlicense: mit\ntags: [1]\n---\n", '"tags" must be'),
        ("---\nlicense: mit\ndatasets: [/home/me/pool]\n---\n", '"datasets" must be'),
        ("---\nlicense: mit\nmodel-index: [{name: x}]\n---\n", "must have a name and results"),
    ],
)
def test_metadata_of_cards_are_checked(server, card, words):
    status, _, body = ask(server, "POST", "/api/validate-yaml", {"content": card, "repoType": "model"})
    assert status == (400 if words else 200)
    assert (words or "") in body.decode().replace('\\"', '"')


def test_faults_strike_when_they_are_told_to(server, repo):
    server.fail_at(1, status=503)
    server.fail_at(3)
    found = []
    for _ in range(5):
        try:
            found.append(ask(server, "GET", "/api/models/user/tiny")[0])
        except OSError:
            found.append("hung up")
    assert found == [200, 503, 200, "hung up", 200]
    server.die_at(0)
    for _ in range(2):
        with pytest.raises(OSError):
            ask(server, "GET", "/api/models/user/tiny")
    server.revive()
    assert ask(server, "GET", "/api/models/user/tiny")[0] == 200
