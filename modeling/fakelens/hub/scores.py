"""A folder of scores -> a data set on the Hub, in one commit, with a card that says what was scored by what."""

from pathlib import Path, PurePath

import jinja2
import pyarrow.parquet as pq
from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi

from fakelens import __version__
from fakelens.data.sources.opening import Source
from fakelens.errors import UserError
from fakelens.evaluation.scoring.score import Scored
from fakelens.evaluation.scoring.score_shards import SHARD, ScoreFolder
from fakelens.hub.card.preserved_sections import carry_over
from fakelens.hub.facts.public_name import origin_of
from fakelens.hub.hub_errors import check_repo_id, find_token, hub_errors, persist
from fakelens.hub.preflight import CARD, check_files, check_line
from fakelens.hub.publish import Files
from fakelens.hub.push import Published, download
from fakelens.inference.loading import is_hub_id

TAG = "fakelens-scores"  # in its card, what tells such a data set from another
OTHERWISE = "the shards are in the folder and need no Hub."
TEXTS = ("id", "path", "error")  # columns whose text comes from the data
LIMITS = {CARD: 1_000_000}
TEMPLATE = """---
tags:
- fakelens
- {{ tag }}
---
# Scores of {{ data }}

Every image of `{{ data }}`, split `{{ split }}`{{ revision }}, as fakelens {{ version }} \
scored it with `{{ model }}` (`{{ found.revision }}`). Nobody checked these verdicts.

| verdict | images |
|---|---|
{% for verdict, count in found.verdicts.items() %}
| {{ verdict }} | {{ count }} |
{% endfor %}
| not scored, see `error` | {{ found.errors.values() | sum }} |

<!-- yours: what stands between these marks is kept when the data set is pushed again -->

<!-- end of yours -->

## Columns

| column | what it holds |
|---|---|
| `row` | the row's position in the data, or in the part that one process read |
| `id`, `path` | the image's name, and its path or address |
| `score` | P(fake) in [0, 1] |
| `verdict` | `real`, `fake`, or `uncertain` between the model's thresholds |
| `warnings` | in what the image differs from the photographs that the model knows |
| `error` | why it could not be scored |
| `model_revision` | of the model, its commit or the SHA-256 of its weights |
"""


def check_push(repo_id: str) -> None:
    """Refuse a push that could not be made; worth knowing before the work begins.

    Args:
        repo_id: `USER/NAME` of the data set.

    Raises:
        UserError: If that is no repo's name, or there is no token.
    """
    check_repo_id(repo_id)
    find_token(OTHERWISE)


def push_scores(found: Scored, source: Source, model: str, repo_id: str, private: bool = False) -> Published:
    """Push the shards of a folder in one commit, creating the data set if it is not there.

    Shards of an earlier push that are not in the folder are removed by the same commit, and what people wrote into the
    card is kept. A push that broke off is completed by running it again.

    Args:
        found: What `score_source` returned.
        source: The split that was scored.
        model: The detector's name.
        repo_id: `USER/NAME` of the data set.
        private: Create it as a private one.

    Raises:
        UserError: If there is no token, the Hub refuses or cannot be reached, the data set holds something else or is
            public and should not be, or a row holds a secret or a path of this machine.
    """
    check_repo_id(repo_id)
    files = collect_scores(found, source, model)
    api = HfApi(token=find_token(OTHERWISE), library_name="fakelens", library_version=__version__)
    with hub_errors(f"The push to the data set {repo_id}", OTHERWISE):
        url = str(
            persist(lambda: api.create_repo(repo_id, repo_type="dataset", private=private or None, exist_ok=True))
        )
        before = persist(lambda: api.dataset_info(repo_id))
        if private and not before.private:
            raise UserError(
                f"The data set {repo_id} exists and is public. Make it private in its settings, {url}/settings, or "
                "take a new name."
            )
        others = {sibling.rfilename for sibling in before.siblings or []} - {".gitattributes"}
        if others and TAG not in (before.tags or []):
            raise UserError(
                f"The data set {repo_id} holds something else, {sorted(others)[0]}, and no scores. Take a new name."
            )
        commit = persist(lambda: _commit(api, repo_id, files))
    return Published(url, commit.oid, commit.oid != before.sha)


def collect_scores(found: Scored, source: Source, model: str) -> Files:
    """Return what the data set's repo consists of: the shards and the card.

    Args:
        found: What `score_source` returned.
        source: The split that was scored.
        model: The detector's name.

    Raises:
        UserError: If a row, or the card, holds a secret or a path of this machine.
    """
    shards = ScoreFolder(found.folder, source.split).shards()
    for shard in shards:
        for column in pq.read_table(shard, columns=list(TEXTS)).columns:
            for text in column.drop_null().to_pylist():
                check_line(f"{shard.name}", text)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    origin = origin_of(source.spec, source.revision)
    card = environment.from_string(TEMPLATE).render(
        tag=TAG,
        data=origin.public,
        split=source.split,
        revision=f" at revision `{origin.revision}`" if origin.revision else "",
        version=__version__,
        model=model if is_hub_id(model) else PurePath(model).name,
        found=found,
    )
    check_files({CARD: card.encode()}, LIMITS)
    files: dict[str, bytes | Path] = {shard.name: shard for shard in shards}
    return files | {CARD: card.encode()}


def _commit(api: HfApi, repo_id: str, files: Files) -> CommitInfo:
    """Make the commit, or none if an attempt whose answer was lost has made it."""
    before = api.dataset_info(repo_id)
    present = {sibling.rfilename for sibling in before.siblings or []}
    card = files[CARD]
    if CARD in present and isinstance(card, bytes):
        kept, _ = carry_over(card.decode(), download(api, repo_id, CARD, before.sha, "dataset"), repo_id)
        files = {**files, CARD: kept.encode()}
    stale = set(filter(SHARD.fullmatch, present)) - files.keys()
    return api.create_commit(
        repo_id,
        [
            *(CommitOperationAdd(name, content) for name, content in files.items()),
            *(CommitOperationDelete(name) for name in sorted(stale)),
        ],
        repo_type="dataset",
        commit_message=f"Scores by fakelens {__version__}",
        parent_commit=before.sha,  # nothing is written on top of a revision that was not looked at
    )
