"""What somebody without fakelens does: load a model from the Hub with a pipeline, and print its scores as JSON.

python foreign.py REPO_ID IMAGE...
"""

import json
import sys


class NoFakelens:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "fakelens":
            raise ModuleNotFoundError(f"{name} is not installed here")


if __name__ == "__main__":
    sys.meta_path.insert(0, NoFakelens())
    from transformers import pipeline

    detector = pipeline("image-classification", model=sys.argv[1], trust_remote_code=True)
    print(json.dumps([{row["label"]: row["score"] for row in rows} for rows in detector(sys.argv[2:])]))
