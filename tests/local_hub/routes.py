"""The local Hub's routes, each as the Hub answers it."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.local_hub.metadata import eval_results_errors, front_matter, metadata_errors
from tests.local_hub.repos import Blob, RefusalError, Repo
from tests.local_hub.state import Answer, Hub, Request

DATE = "2026-01-01T00:00:00.000Z"
LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".onnx", ".parquet", ".zip", ".gz")


def answer(hub: Hub, request: Request) -> Answer | None:
    """Answer a request; None means to hang up."""
    try:
        fate = hub.count(request)
        if fate == "hang up":
            return None
        for method, pattern, route in ROUTES:
            if request.method in method.split("|") and (match := re.fullmatch(pattern, request.path)):
                reply = route(hub, request, *(unquote(group or "") for group in match.groups()))
                return reply if fate == "serve" else None
        raise RefusalError(404, f"No route {request.method} {request.path}")
    except RefusalError as refusal:
        return Answer(refusal.body, refusal.status, refusal.headers)


# Routes. `kind` is "models", "spaces", "datasets" under /api, and "spaces/", "datasets/" or nothing elsewhere.


def whoami(hub: Hub, request: Request) -> Answer:
    user = hub.user(request)
    if user is None:
        raise RefusalError(401, "Invalid username or password.")
    role = "write" if user[1] else "read"
    return Answer({"type": "user", "name": user[0], "orgs": [], "auth": {"accessToken": {"role": role}}})


def create_repo(hub: Hub, request: Request) -> Answer:
    wanted = request.json()
    user = hub.user(request)
    if user is None:
        raise RefusalError(401, "Invalid username or password.")
    repo_id = f"{wanted.get('organization') or user[0]}/{wanted['name']}"
    if not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", repo_id):
        raise RefusalError(400, f"Invalid repo name {repo_id}")
    hub.writer(request, repo_id.split("/")[0])
    kind = wanted.get("type") or "model"
    url = f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
    if (kind, repo_id) in hub.repos:
        message = f"You already created this {kind} repo"
        raise RefusalError(409, message, body={"error": message, "url": url})
    repo = Repo(kind, repo_id, private=wanted.get("visibility") == "private" or bool(wanted.get("private")))
    repo.commit(
        "main",
        "initial commit",
        None,
        {".gitattributes": Blob(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n")},
    )
    hub.repos[kind, repo_id] = repo
    return Answer({"url": url, "name": repo_id, "id": "0"})


def validate_yaml(hub: Hub, request: Request) -> Answer:
    errors, warnings = metadata_errors(request.json()["content"], request.json().get("repoType", "model"))
    body = {"errors": [{"message": e} for e in errors], "warnings": [{"message": w} for w in warnings]}
    return Answer(body, 400 if errors else 200)


def preupload(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    repo = hub.readable(request, kind, repo_id)
    if not request.query.get("create_pr"):
        hub.writer(request, repo_id.split("/")[0])
    tree = repo.at(revision).tree
    files = []
    for file in request.json()["files"]:
        is_binary = b"\0" in base64.b64decode(file["sample"])
        is_lfs = file["path"].endswith(LFS_SUFFIXES) or is_binary or file["size"] > 10_000_000
        known = {"oid": tree[file["path"]].etag} if file["path"] in tree else {}
        files.append(
            {"path": file["path"], "uploadMode": "lfs" if is_lfs else "regular", "shouldIgnore": False} | known
        )
    return Answer({"files": files})


def lfs_batch(hub: Hub, request: Request, kind: str, repo_id: str) -> Answer:
    hub.readable(request, kind.rstrip("/"), repo_id)
    if hub.user(request) is None:
        raise RefusalError(401, "Invalid username or password.")
    objects = []
    for item in request.json()["objects"]:
        entry = {"oid": item["oid"], "size": item["size"]}
        if item["oid"] not in hub.lfs:
            upload = {"href": f"{hub.url}/lfs-storage/{item['oid']}?size={item['size']}"}
            verify = {"href": f"{hub.url}/{kind}{repo_id}.git/info/lfs/objects/verify"}
            entry["actions"] = {"upload": upload, "verify": verify}
        objects.append(entry)
    return Answer({"transfer": "basic", "objects": objects})


def lfs_put(hub: Hub, request: Request, oid: str) -> Answer:
    if hashlib.sha256(request.body).hexdigest() != oid or len(request.body) != int(request.query["size"]):
        raise RefusalError(400, f"What was sent is not the object {oid}")
    hub.lfs[oid] = request.body
    return Answer()


def lfs_verify(hub: Hub, request: Request, kind: str, repo_id: str) -> Answer:
    wanted = request.json()
    if len(hub.lfs.get(wanted["oid"], b"")) != wanted["size"]:
        raise RefusalError(404, f"Object {wanted['oid']} was not uploaded whole")
    return Answer({"message": "ok"})


def commit(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    repo = hub.readable(request, kind, repo_id)
    is_pr = bool(request.query.get("create_pr"))
    if is_pr:
        if hub.user(request) is None:
            raise RefusalError(401, "Invalid username or password.")
    else:
        hub.writer(request, repo_id.split("/")[0])
    lines = [json.loads(line) for line in request.body.splitlines()]
    if not lines or lines[0]["key"] != "header" or not lines[0]["value"].get("summary"):
        raise RefusalError(400, "A commit starts with a header that has a summary")
    header = lines[0]["value"]
    parent = repo.at(revision)
    if header.get("parentCommit"):
        if not is_pr and header["parentCommit"] != parent.sha:
            raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
        parent = repo.at(header["parentCommit"])
    tree = dict(parent.tree)
    for line in lines[1:]:
        _apply(hub, tree, line["key"], line["value"])
    _check_content(repo.kind, tree)
    number = 1 + sum(ref.startswith("refs/pr/") for ref in repo.refs)
    made = repo.commit(f"refs/pr/{number}" if is_pr else revision, header["summary"], parent.sha, tree)
    body = {"success": True, "commitOid": made.sha, "commitUrl": f"{hub.url}/{repo_id}/commit/{made.sha}"}
    return Answer(body | ({"pullRequestUrl": f"{hub.url}/{repo_id}/discussions/{number}"} if is_pr else {}))


def _apply(hub: Hub, tree: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
    path = value["path"]
    if key == "file":
        tree[path] = Blob(base64.b64decode(value["content"], validate=True))
    elif key == "lfsFile":
        if value["oid"] not in hub.lfs:
            raise RefusalError(400, f"{path} points to an LFS object that was not uploaded")
        tree[path] = Blob(hub.lfs[value["oid"]], is_lfs=True)
    elif key == "deletedFile":
        if tree.pop(path, None) is None:
            raise RefusalError(404, "A file with this name doesn't exist", "EntryNotFound")
    elif key == "deletedFolder":
        for name in [n for n in tree if n.startswith(path.rstrip("/") + "/")]:
            del tree[name]
    else:
        raise RefusalError(400, f"Unknown operation {key}")


def _check_content(kind: str, tree: dict[str, Blob]) -> None:
    errors = metadata_errors(tree["README.md"].data.decode(), kind)[0] if "README.md" in tree else []
    for path, blob in tree.items():
        if re.fullmatch(r"\.eval_results/[^/]+\.yaml", path):
            errors += [f"{path}: {e}" for e in eval_results_errors(blob.data.decode())]
    card = front_matter(tree["README.md"].data.decode()) if "README.md" in tree else {}
    for entry in card.get("widget", []):
        if "://" not in entry.get("src", "://") and entry["src"] not in tree:
            errors.append(f"the widget's {entry['src']} is not in the repo")
    if errors:
        raise RefusalError(400, "; ".join(errors))


def info(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    repo = hub.readable(request, kind, repo_id)
    at = repo.at(revision or "main")
    card = front_matter(at.tree["README.md"].data.decode(errors="replace")) if "README.md" in at.tree else {}
    config = json.loads(at.tree["config.json"].data) if "config.json" in at.tree else {}
    return Answer(
        {
            "_id": "0", "id": repo_id, "modelId": repo_id, "author": repo_id.split("/")[0], "sha": at.sha,
            "private": repo.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0,
            "createdAt": DATE, "lastModified": DATE, "tags": card.get("tags", []),
            "pipeline_tag": card.get("pipeline_tag"), "library_name": card.get("library_name"), "cardData": card,
            "config": {key: config[key] for key in ("architectures", "model_type", "auto_map") if key in config},
            "siblings": [{"rfilename": path} for path in sorted(at.tree)],
        }
    )  # fmt: skip


def tree(hub: Hub, request: Request, kind: str, repo_id: str, revision: str, folder: str) -> Answer:
    at = hub.readable(request, kind, repo_id).at(revision)
    start = folder.strip("/") + "/" if folder.strip("/") else ""
    is_recursive = request.query.get("recursive", "").lower() == "true"
    entries = []
    for path in sorted(p for p in at.tree if p.startswith(start)):
        head, slash, _ = path.removeprefix(start).partition("/")
        if slash and {"type": "directory", "path": start + head, "oid": "0" * 40, "size": 0} not in entries:
            entries.append({"type": "directory", "path": start + head, "oid": "0" * 40, "size": 0})
        if is_recursive or not slash:
            entries.append(_entry(path, at.tree[path]))
    if start and not entries:
        raise RefusalError(404, f"{folder} does not exist on {revision}", "EntryNotFound")
    return Answer(entries)


def paths_info(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    at = hub.readable(request, kind, repo_id).at(revision)
    paths = request.json()["paths"] if request.body.startswith(b"{") else parse_qs(request.body.decode())["paths"]
    return Answer([_entry(path, at.tree[path]) for path in paths if path in at.tree])


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    lfs = (
        {"lfs": {"oid": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}} if blob.is_lfs else {}
    )
    return {"type": "file", "path": path, "oid": blob.git_oid, "size": len(blob.data)} | lfs


def commits(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    history = hub.readable(request, kind, repo_id).history(revision)
    fields = {"message": "", "date": DATE, "authors": []}
    return Answer([{"id": c.sha, "title": c.title} | fields for c in history])


def tag(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    hub.writer(request, repo_id.split("/")[0])
    repo = hub.readable(request, kind, repo_id)
    name = request.json()["tag"]
    if name in repo.refs:
        raise RefusalError(409, f"Tag {name} already exists")
    repo.refs[name] = repo.at(revision).sha
    return Answer({})


def refs(hub: Hub, request: Request, kind: str, repo_id: str) -> Answer:
    repo = hub.readable(request, kind, repo_id)
    named = {
        name: {"name": name, "ref": f"refs/{'heads' if name == 'main' else 'tags'}/{name}", "targetCommit": sha}
        for name, sha in repo.refs.items()
        if not name.startswith("refs/")
    }
    main = named.pop("main")
    return Answer({"branches": [main], "converts": [], "tags": list(named.values())})


def resolve(hub: Hub, request: Request, kind: str, repo_id: str, revision: str, path: str) -> Answer:
    at = hub.readable(request, kind.rstrip("/"), repo_id).at(revision)
    headers = {"X-Repo-Commit": at.sha}
    if path not in at.tree:
        refusal = RefusalError(404, "Entry not found", "EntryNotFound")
        return Answer(refusal.body, 404, refusal.headers | headers)
    blob = at.tree[path]
    headers |= {"ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes", "Content-Disposition": "inline"}
    if blob.is_lfs:
        headers |= {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.data))}
    if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
        start, last = int(match[1]), min(int(match[2] or len(blob.data)), len(blob.data) - 1)
        headers["Content-Range"] = f"bytes {start}-{last}/{len(blob.data)}"
        return Answer(blob.data[start : last + 1], 206, headers)
    return Answer(blob.data, 200, headers)


Route = Callable[..., Answer]
_API = r"/api/(models|spaces|datasets)/([^/]+/[^/]+)"
_REPO = r"/(spaces/|datasets/)?([^/]+/[^/]+)"
ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("GET", "/api/whoami-v2", whoami),
    ("POST", "/api/repos/create", create_repo),
    ("POST", "/api/validate-yaml", validate_yaml),
    ("POST", _API + "/preupload/([^/]+)", preupload),
    ("POST", _API + "/commit/([^/]+)", commit),
    ("POST", _API + "/paths-info/([^/]+)", paths_info),
    ("POST", _API + "/tag/([^/]+)", tag),
    ("GET", _API + "/refs", refs),
    ("GET", _API + "/commits/([^/]+)", commits),
    ("GET", _API + "/tree/([^/]+)(/.*)?", tree),
    ("GET", _API + "(?:/revision/([^/]+))?", info),
    ("POST", _REPO + r"\.git/info/lfs/objects/batch", lfs_batch),
    ("POST", _REPO + r"\.git/info/lfs/objects/verify", lfs_verify),
    ("PUT", "/lfs-storage/([0-9a-f]{64})", lfs_put),
    ("GET|HEAD", _REPO + "/resolve/([^/]+)/(.+)", resolve),
)
