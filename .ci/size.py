"""Print how large the package is: files, lines, and imports between an entry point and what it reaches.

python .ci/size.py [COMMIT ...]
"""

import ast
import io
import subprocess
import sys
import tarfile
from collections import deque
from collections.abc import Mapping
from statistics import mean

PACKAGE = "modeling/fakelens/"
ENTRIES = ("modeling/fakelens/cli/", "scripts/")


def sources(commit: str) -> dict[str, str]:
    """Return the Python files of package and scripts at a commit, by path."""
    archive = subprocess.run(["git", "archive", commit, PACKAGE, "scripts"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [(member.name, tar.extractfile(member)) for member in tar if member.name.endswith(".py")]
        return {name: file.read().decode() for name, file in files if file}


def imports(path: str, text: str, modules: Mapping[str, str]) -> set[str]:
    """Return the paths of the package's files that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            folder = path.removeprefix("modeling/").replace("/", ".").removesuffix(".py").rpartition(".")[0]
            base = f"{folder}.{node.module}" if node.level else node.module or ""
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        found |= {modules[name] for name in names if name in modules}
    return found - {path}


def hops(files: Mapping[str, str]) -> list[int]:
    """Return, for each file of the package that an entry point reaches, the fewest imports on the way there."""
    modules = {
        path.removeprefix("modeling/").replace("/", ".").removesuffix(".py").removesuffix(".__init__"): path
        for path in files
        if path.startswith(PACKAGE)
    }
    distance = {path: 0 for path in files if path.startswith(ENTRIES) or path == "modeling/fakelens/cli.py"}
    waiting = deque(distance)
    while waiting:
        path = waiting.popleft()
        for target in imports(path, files[path], modules) - distance.keys():
            distance[target] = distance[path] + 1
            waiting.append(target)
    return [steps for path, steps in distance.items() if steps and not path.endswith("__init__.py")]


if __name__ == "__main__":
    for commit in sys.argv[1:] or ["HEAD"]:
        files = {path: text for path, text in sources(commit).items() if path.startswith(PACKAGE)}
        lines = sum(text.count("\n") for text in files.values())
        longest = max(text.count("\n") for text in files.values())
        steps = hops(sources(commit))
        print(
            f"{commit}: {len(files)} files, {lines} lines, the longest {longest}; "
            f"import hops from a verb: {mean(steps):.2f} on average, {max(steps)} at most"
        )
