"""What the tests of a push share: the repo, what it holds, and a model with other weights."""

from safetensors.torch import load_file, save_file

REPO = "user/tiny"


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def pushed(server, revision="main"):
    files = server.repo(REPO).files(revision)
    del files[".gitattributes"]  # the Hub's own, from the repo's first commit
    return files


def shift_weights(model):
    weights = load_file(model / "model.safetensors")
    weights["classifier.bias"] += 1
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


def change_at_the_hub(server, **contents):
    """Do what a person does who edits files of the repo; `card=` for its README.md."""
    repo = server.repo(REPO)
    blobs = dict(repo.at().tree)
    for name, content in contents.items():
        name = {"card": "README.md"}.get(name, name)
        blobs[name] = type(blobs[".gitattributes"])(content if isinstance(content, bytes) else content.encode())
    return repo.commit("main", "by hand", repo.at().sha, blobs)


def assert_refused(run, *words):
    """See that a script said in one line what is wrong, with these words."""
    assert run.returncode == 2
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("publish: ")
    for word in words:
        assert word in line
