"""Pushes onto what is there already, broken ones, and what people wrote into the repo."""

import json
import re

import numpy as np
import pytest
import yaml
from transformers import AutoModelForImageClassification

from tests.hub.pushing import REPO, assert_refused, change_at_the_hub, pushed, shift_weights
from tests.hub.records import write_report, write_run
from tests.hub_fixture import READER


def loaded(tmp_path):
    """Load the model as anybody does, past every cache, and return its last bias."""
    cache = tmp_path / f"cache-{len(list(tmp_path.iterdir()))}"
    model = AutoModelForImageClassification.from_pretrained(REPO, trust_remote_code=False, cache_dir=cache)
    return model.classifier.bias.detach().numpy()


def front_matter(server):
    return yaml.safe_load(pushed(server)["README.md"].split(b"---\n")[1])


def test_a_second_push_updates_the_repo_in_one_more_commit(server, publish, model, tmp_path):
    arguments = ("--model", model, "--repo-id", REPO)
    assert publish(*arguments, "--report", write_report(tmp_path / "report", model)).returncode == 0
    strangers = {"handler.py": b"pass\n", ".eval_results/theirs.yaml": b"[]\n"}
    first = change_at_the_hub(server, **strangers)

    again = publish(*arguments, "--report", tmp_path / "report")
    assert again.stdout.endswith(f"commit {first.sha} (nothing to change)\n")

    shift_weights(model)
    second = publish(*arguments)
    assert second.returncode == 0, second.stderr
    assert server.repo(REPO).at().parent == first.sha
    header = json.loads(server.requests[-1].body.splitlines()[0])["value"]
    assert header["parentCommit"] == first.sha  # so that a change meanwhile is not overwritten unseen
    files = pushed(server)
    assert files["model.safetensors"] == (model / "model.safetensors").read_bytes()
    # The old report's plot and results would belie the new weights; what others put there is not ours to remove.
    assert not [path for path in files if path.startswith(("plots/", ".eval_results/fakelens-"))]
    assert files.items() >= strangers.items()
    # The old revision is still there, whole.
    assert server.repo(REPO).at(first.sha) == first


def test_a_pull_request_leaves_the_repo_as_it_is(server, publish, model):
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    before = server.repo(REPO).at()
    shift_weights(model)
    run = publish("--model", model, "--repo-id", REPO, "--create-pr", HF_TOKEN=READER)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{server.url}/{REPO}/discussions/1\ncommit ")
    assert server.repo(REPO).at() == before
    assert pushed(server, "refs/pr/1")["model.safetensors"] == (model / "model.safetensors").read_bytes()
    # A lost answer is no reason to open a second one.
    server.lose_answer_at(len(requests_of_a_push(server)) - 2)  # the reader's asked once more whether the repo exists
    shift_weights(model)
    assert_refused(publish("--model", model, "--repo-id", REPO, "--create-pr"), "cannot be reached", "/discussions")
    assert {ref for ref in server.repo(REPO).refs if ref.startswith("refs/pr/")} == {"refs/pr/1", "refs/pr/2"}


def test_a_repo_is_private_from_the_start_or_not_at_all(server, publish, model):
    assert publish("--model", model, "--repo-id", REPO, "--private").returncode == 0
    assert server.repo(REPO).private
    assert server.requests[0].json()["visibility"] == "private"

    server.repo(REPO).private = False
    assert_refused(publish("--model", model, "--repo-id", REPO, "--private"), "is public", f"{REPO}/settings")
    assert len(server.repo(REPO).history()) == 2


def test_a_repo_of_another_architecture_is_left_alone(server, publish, model):
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    config = json.loads(pushed(server)["config.json"])
    there = change_at_the_hub(server, **{"config.json": json.dumps(config | {"architectures": ["ResNet"]})})
    assert_refused(publish("--model", model, "--repo-id", REPO), "holds a ResNet, this is a CustomCNN", "a new name")
    assert server.repo(REPO).at() == there


# What people wrote

NOTES = "Thanks to **Ada** for\nthe photographs.\n\n## Of mine\n\nIn the block.\n\n```bash\n## no heading\n```"
SECTION = "## Field tests\n\nSeen at the fair.\n\n### In detail\n\n```\n# not a heading\n```"


def test_what_people_wrote_into_a_card_is_kept(server, publish, model, tmp_path):
    arguments = ("--model", model, "--repo-id", REPO)
    assert publish(*arguments, "--report", write_report(tmp_path / "report", model)).returncode == 0
    card = pushed(server)["README.md"].decode()
    # Notes between the marks, a section amid the others, front matter; and a change that is not a person's to make.
    card = re.sub(r"(<!-- yours.*-->\n)\n", lambda m: f"{m[1]}{NOTES}\n", card, count=1)
    card = card.replace("\n## Training\n", f"\n{SECTION}\n\n## Training\n").replace("0.9123", "0.9999")
    card = card.replace("tags:\n", "thumbnail: https://example.org/a.png\nlanguage:\n- en\ntags:\n- forensics\n", 1)
    change_at_the_hub(server, card=card)

    assert publish(*arguments, "--report", tmp_path / "report").returncode == 0
    new = pushed(server)["README.md"].decode()
    assert re.search(rf"<!-- yours.*-->\n\n{re.escape(NOTES)}\n\n<!-- end of yours -->\n\n## How to use it\n", new)
    assert new.endswith(f"```\n\n{SECTION}\n") and new.count("## Field tests") == new.count("## Of mine") == 1
    assert "0.9999" not in new and "0.9123" in new
    metadata = front_matter(server)
    assert (metadata["thumbnail"], metadata["language"]) == ("https://example.org/a.png", ["en"])
    assert metadata["tags"][0] == "fakelens" and metadata["tags"][-1] == "forensics"
    assert publish(*arguments, "--report", tmp_path / "report").stdout.endswith("(nothing to change)\n")

    # Results go with the report that they came from; the rest stays.
    assert publish(*arguments).returncode == 0
    assert "model-index" not in front_matter(server) and front_matter(server)["language"] == ["en"]
    assert pushed(server)["README.md"].decode().endswith(f"{SECTION}\n")


def test_a_card_of_somebody_else_is_not_lost(server, publish, model):
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    change_at_the_hub(server, card="# My model\r\n\r\nAn introduction.\r\n\r\n## Training\r\n\r\n...\r\n# Thanks\r\n")
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    card = pushed(server)["README.md"].decode()
    theirs = "An introduction.\n\n## Training\n\n...\n\n# Thanks"
    assert re.search(rf"<!-- yours.*-->\n\n{re.escape(theirs)}\n\n<!-- end of yours -->", card)
    assert publish("--model", model, "--repo-id", REPO).stdout.endswith("(nothing to change)\n")


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("---\nlicense: [\n---\n# Tiny\n", "front matter is no YAML"),
        ("---\nlicense: mit\n# Tiny\n", "front matter has no end"),
        ("---\n- mit\n---\n# Tiny\n", "front matter is no mapping"),
        ("# Tiny\n<!-- yours -->\nmine\n", "are no pair"),
        (b"# Tin\xff\n", "no UTF-8"),
    ],
)
def test_a_card_that_cannot_be_read_is_not_replaced(server, publish, model, card, words):
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    there = change_at_the_hub(server, card=card)
    shift_weights(model)
    assert_refused(publish("--model", model, "--repo-id", REPO), words, "Mend README.md of user/tiny")
    assert server.repo(REPO).at() == there


def test_example_images_are_shown_and_those_of_people_are_kept(server, publish, model, tmp_path, sample):
    arguments = ("--model", model, "--repo-id", REPO)
    assert publish(*arguments, "--examples", "sample").returncode == 0
    ours = {
        f"examples/sample-{kind}-{name}.jpg"
        for kind in ("photograph", "reconstruction")
        for name in ("astronaut", "rocket")
    }
    assert {path for path in pushed(server) if path.startswith("examples/")} == ours
    assert {entry["src"] for entry in front_matter(server)["widget"]} == ours
    assert front_matter(server)["widget"][0]["example_title"] == "sample photograph astronaut"

    mine = tmp_path / "mine"
    mine.mkdir()
    image = pushed(server)[min(ours)]
    (mine / "my_cat.jpg").write_bytes(image)
    assert publish(*arguments, "--examples", mine).returncode == 0
    theirs = [{"src": "examples/my_cat.jpg", "example_title": "my cat"}]
    for examples in ("sample", "none"):
        assert {path for path in pushed(server) if path.startswith("examples/")} == {"examples/my_cat.jpg"}
        assert front_matter(server)["widget"] == theirs
        assert publish(*arguments, "--examples", examples).stdout.endswith("(nothing to change)\n")


# Versions


def test_a_version_is_a_tag_on_its_commit(server, publish, model):
    arguments = ("--model", model, "--repo-id", REPO)
    run = publish(*arguments, "--version", "1.0.0")
    assert run.stdout.endswith("\ntag v1.0.0\n"), run.stderr
    first = server.repo(REPO).at()
    assert server.repo(REPO).refs["v1.0.0"] == first.sha
    assert b'Version 1.0.0; `revision="v1.0.0"`' in pushed(server)["README.md"]

    shift_weights(model)
    assert_refused(publish(*arguments, "--version", "1.0.0"), "version 1.0.0 already", first.sha, "the next number")
    assert_refused(publish(*arguments, "--version", "1.0.1", "--create-pr"), "A pull request gets no tag")
    assert server.repo(REPO).at() == first

    # The tag alone fails, for good: the files are there, and the same command completes it.
    server.fail_on("/tag/", 403)
    run = publish(*arguments, "--version", "1.1.0")
    second = server.repo(REPO).at()
    assert_refused(run, f"has the files, as commit {second.sha}, but tagging it v1.1.0 failed", "403")
    server.revive()
    assert pushed(server, first.sha)["model.safetensors"] != pushed(server)["model.safetensors"]
    assert publish(*arguments, "--version", "1.1.0").returncode == 0
    assert server.repo(REPO).at() == second and server.repo(REPO).refs["v1.1.0"] == second.sha


# Broken pushes


def requests_of_a_push(server):
    """Return the paths that the last push has asked for, in their order."""
    paths = [r.path for r in server.requests]
    start = max(i for i, path in enumerate(paths) if path == "/api/repos/create")
    end = max(i for i, path in enumerate(paths) if path.endswith("/commit/main"))
    return paths[start : end + 1]


def test_a_push_that_breaks_at_any_request_leaves_the_old_revision_and_is_completed(server, publish, model, tmp_path):
    arguments = ("--model", model, "--repo-id", REPO)
    assert publish(*arguments).returncode == 0
    shift_weights(model)
    assert publish(*arguments).returncode == 0
    steps = requests_of_a_push(server)
    assert steps[-1].endswith("/commit/main") and any("/lfs-storage/" in path for path in steps)
    was = loaded(tmp_path)
    for number, path in enumerate(steps):
        before = server.repo(REPO).at()
        shift_weights(model)
        server.die_at(number)
        assert_refused(publish(*arguments), f"The push to {REPO} failed: {server.url} cannot be reached")
        assert server.repo(REPO).at() == before
        server.revive()
        assert np.allclose(loaded(tmp_path), was)
        # One fault that passes, or an answer that is lost, is got over; and no commit is made twice.
        (server.fail_at if number % 2 else server.lose_answer_at)(number)
        run = publish(*arguments)
        assert run.returncode == 0 and "nothing to change" not in run.stdout, (path, run.stderr)
        assert server.repo(REPO).at().parent == before.sha
        assert pushed(server)["model.safetensors"] == (model / "model.safetensors").read_bytes()
        server.revive()
        was = was + 1


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/lfs-storage/", 403, "403"),
        ("/commit/", 412, "The repo changed meanwhile. Run the same command again."),
        ("/preupload/", 429, "429"),
    ],
)
def test_a_refusal_on_the_way_is_one_line(server, publish, model, path, status, words):
    assert publish("--model", model, "--repo-id", REPO).returncode == 0
    before = server.repo(REPO).at()
    shift_weights(model)
    server.fail_on(path, status)
    run = publish("--model", model, "--repo-id", REPO)
    assert_refused(run, f"The push to {REPO} failed: the Hub answered {status}", words)
    assert server.repo(REPO).at() == before


def test_a_card_that_the_hub_refuses_is_told(server, publish, model):
    write_run(model, "sample", license="no-such-licence")
    words = f"The push to {REPO} failed", '"license" must be one of'
    assert_refused(publish("--model", model, "--repo-id", REPO), *words)
    assert set(server.repo(REPO).files()) == {".gitattributes"}


@pytest.mark.slow
def test_a_push_whose_process_is_killed_at_any_request_leaves_a_whole_revision(
    server, publish, start_publishing, model, tmp_path
):
    arguments = ("--model", model, "--repo-id", REPO)
    assert publish(*arguments).returncode == 0
    shift_weights(model)
    assert publish(*arguments).returncode == 0
    bias = loaded(tmp_path)
    for number, path in enumerate(steps := requests_of_a_push(server)):
        before = server.repo(REPO).at()
        shift_weights(model)
        process = start_publishing(*arguments)
        server.call_at(number, process.kill)
        process.communicate()
        assert process.returncode == -9, path
        is_landed = server.repo(REPO).at() != before
        assert is_landed == (number == len(steps) - 1)  # the commit alone changes anything
        assert np.allclose(loaded(tmp_path), bias + is_landed)
        bias = bias + 1
        assert publish(*arguments).returncode == 0
        assert np.allclose(loaded(tmp_path), bias)
