"""What the local Hub keeps: repos with all their revisions. And how it refuses."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


class RefusalError(Exception):
    """An answer other than success, as the Hub words it."""

    def __init__(self, status: int, message: str, code: str | None = None, body: dict[str, Any] | None = None):
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.body = body or {"error": message}


@dataclass(frozen=True)
class Blob:
    data: bytes
    is_lfs: bool = False

    @property
    def git_oid(self) -> str:
        data = self.pointer if self.is_lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()
        )

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.git_oid


@dataclass(frozen=True)
class Commit:
    sha: str
    title: str
    parent: str | None
    tree: dict[str, Blob]


@dataclass
class Repo:
    kind: str
    id: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str = "main") -> Commit:
        """Return the commit that a branch, a pull request's ref or a SHA names."""
        sha = self.refs.get(revision, revision)
        if sha not in self.commits:
            raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[sha]

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Return the contents of a revision, by path."""
        return {path: blob.data for path, blob in self.at(revision).tree.items()}

    def history(self, revision: str = "main") -> list[Commit]:
        """Return a revision and its ancestors, newest first."""
        found = [self.at(revision)]
        while found[-1].parent:
            found.append(self.commits[found[-1].parent])
        return found

    def commit(self, ref: str, title: str, parent: str | None, tree: dict[str, Blob]) -> Commit:
        content = json.dumps(
            [self.kind, self.id, title, parent, {p: b.etag for p, b in tree.items()}, len(self.commits)]
        )
        commit = Commit(hashlib.sha1(content.encode()).hexdigest(), title, parent, tree)
        self.commits[commit.sha] = commit
        self.refs[ref] = commit.sha
        return commit
