"""The local Hub's state: repos, LFS objects, requests so far; and what a test can ask of it and do to it."""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.local_hub.repos import RefusalError, Repo

WRITER, READER = "hf_writer", "hf_reader"  # tokens: of `user`, with write access; of `guest`, read only
USERS = {WRITER: ("user", True), READER: ("guest", False)}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise RefusalError(400, "Invalid JSON") from None


@dataclass
class Answer:
    body: bytes | dict[str, Any] | list[Any] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Hub:
    """The state of the server, and what can be asked of it and done to it by a test."""

    def __init__(self, url: str, home: str):
        self.url = url
        self.env = {
            "HF_ENDPOINT": url,
            "HF_TOKEN": WRITER,
            "HF_HOME": home,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
        } | {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}  # the checkout under test
        self.repos: dict[tuple[str, str], Repo] = {}
        self.lfs: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self._faults: dict[int, int | None] = {}
        self._dead_from: int | None = None
        self._refused: dict[str, int] = {}
        self._lost: set[int] = set()
        self._hooks: dict[int, Callable[[], None]] = {}

    def repo(self, repo_id: str, kind: str = "model") -> Repo:
        """Return a repo, public or not."""
        return self.repos[kind, repo_id]

    def fail_at(self, number: int, status: int | None = None) -> None:
        """Fail the request that comes after `number` others, once: with a status, or by hanging up."""
        self._faults[len(self.requests) + number] = status

    def fail_on(self, part: str, status: int) -> None:
        """Fail every request whose path holds this part, with a status."""
        self._refused[part] = status

    def die_at(self, number: int) -> None:
        """Hang up on the request that comes after `number` others, and on all later ones."""
        self._dead_from = len(self.requests) + number

    def call_at(self, number: int, hook: Callable[[], None]) -> None:
        """Call something when the request that comes after `number` others has arrived, then answer it as ever."""
        self._hooks[len(self.requests) + number] = hook

    def lose_answer_at(self, number: int) -> None:
        """Do what the request that comes after `number` others asks for, and hang up without an answer."""
        self._lost.add(len(self.requests) + number)

    def revive(self) -> None:
        """Forget all faults."""
        self._dead_from = None
        self._faults.clear()
        self._refused.clear()
        self._hooks.clear()
        self._lost.clear()

    def count(self, request: Request) -> str:
        """Note a request, and say whether to "serve" it, to "hang up", or both.

        Raises:
            RefusalError: If it is to fail with a status.
        """
        number = len(self.requests)
        self.requests.append(request)
        if number in self._hooks:
            self._hooks[number]()
        if self._dead_from is not None and number >= self._dead_from:
            return "hang up"
        if number in self._faults:
            status = self._faults[number]
            if status is None:
                return "hang up"
            raise RefusalError(status, "A fault of this server")
        for part, status in self._refused.items():
            if part in request.path:
                raise RefusalError(status, "A fault of this server")
        return "serve and hang up" if number in self._lost else "serve"

    # Who may do what

    def user(self, request: Request) -> tuple[str, bool] | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in USERS:
            raise RefusalError(401, "Invalid credentials in Authorization header")
        return USERS.get(token)

    def writer(self, request: Request, namespace: str) -> str:
        user = self.user(request)
        if user is None:
            raise RefusalError(401, "Invalid username or password.")
        if user != (namespace, True):
            raise RefusalError(403, f"You don't have the rights to write to the namespace {namespace}")
        return user[0]

    def readable(self, request: Request, kind: str, repo_id: str) -> Repo:
        user = self.user(request)
        repo = self.repos.get((kind.removesuffix("s") or "model", repo_id))
        if repo is None or (repo.private and (user is None or user[0] != repo_id.split("/")[0])):
            raise RefusalError(404 if user else 401, "Repository not found", "RepoNotFound")
        return repo
