"""What image generators write of themselves into a file's text fields: their name, the model, the prompt.

The fields are those of the programs' own files: Stable Diffusion web UI and its forks (`parameters`), ComfyUI
(`prompt`, `workflow`), InvokeAI (`invokeai_metadata`, `sd-metadata`, `Dream`), NovelAI (`Software`, `Comment`),
Midjourney (`Description` with a job's number), Fooocus and SwarmUI.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from fakelens.provenance.claims import SEARCHED, Claim, filled, named_by

WEB_UI = "Stable Diffusion web UI, or a program that writes as it does"
SETTINGS = re.compile(r"\bSteps: \d+.{0,500}\b(?:Sampler|CFG scale|Seed|Model): ", re.DOTALL)
JOB = re.compile(r"\bJob ID: [0-9a-f]{8}-[0-9a-f-]{27}")
NAMING = ("Software", "Creator", "Source", "Author")


def texts_claims(kind: str, texts: Mapping[str, str]) -> list[Claim]:
    """Return the claims that a file's text fields make, such as a PNG's text chunks.

    Args:
        kind: As in `Claim`.
        texts: The fields by their keywords.

    Raises:
        ValueError: If a field that should hold JSON of a generator does not.
    """
    claims = [claim for key, text in texts.items() if (claim := _known_field(kind, key, text, texts))]
    if any(claim.says == "ai" for claim in claims):
        return list({claim.statement: claim for claim in claims}.values())  # ComfyUI writes two fields
    named = (named_by(kind, key, texts[key]) for key in NAMING if key in texts)
    return list({claim.detail["program"]: claim for claim in named if claim}.values())


def settings_claim(kind: str, text: str) -> Claim | None:
    """Return the claim of a text in which a generator wrote down its settings; None if it is another text.

    Args:
        kind: As in `Claim`.
        text: The prompt, a line "Negative prompt: ..." and one "Steps: 20, Sampler: ..., Model: ..."; or JSON.
    """
    if text.lstrip().startswith("{"):
        return _json_claim(kind, json.loads(text))
    if not SETTINGS.search(text[-SEARCHED:]):
        return None
    prompt = re.split(r"\n(?:Negative prompt|Steps): ", text, maxsplit=1)[0]
    model = re.search(r"\bModel: ([^,\n]{1,200})", text[-SEARCHED:])
    return _made_by(kind, WEB_UI, prompt=prompt, model=model and model[1])


def comfyui_claim(kind: str, graph: Any) -> Claim | None:
    """Return the claim that a ComfyUI graph makes; None if it is not one.

    Args:
        kind: As in `Claim`.
        graph: The parsed JSON of `prompt` (nodes by number) or `workflow` (a list of nodes).
    """
    if not isinstance(graph, dict):
        return None
    if isinstance(graph.get("nodes"), list):
        return _made_by(kind, "ComfyUI")
    nodes = [node for node in graph.values() if isinstance(node, dict) and "class_type" in node]
    if not nodes:
        return None
    inputs = [node["inputs"] for node in nodes if isinstance(node.get("inputs"), dict)]
    values = {key: value for one in reversed(inputs) for key, value in one.items() if isinstance(value, str)}
    return _made_by(
        kind, "ComfyUI", prompt=values.get("text"), model=values.get("ckpt_name") or values.get("unet_name")
    )


def _known_field(kind: str, key: str, text: str, texts: Mapping[str, str]) -> Claim | None:
    match key:
        case "parameters":
            return settings_claim(kind, text)
        case "prompt" | "workflow" if text.lstrip().startswith("{"):
            return comfyui_claim(kind, json.loads(text))
        case "invokeai_metadata":
            facts = json.loads(text)
            model = facts.get("model")
            name = (model.get("name") or model.get("model_name")) if isinstance(model, dict) else model
            return _made_by(kind, "InvokeAI", prompt=facts.get("positive_prompt"), model=name)
        case "sd-metadata" | "Dream":
            return _made_by(kind, "InvokeAI", prompt=text if key == "Dream" else None)
        case "Software" if text.strip() == "NovelAI":
            return _made_by(kind, "NovelAI", prompt=texts.get("Description"), model=texts.get("Source"))
        case "Description" if JOB.search(text):
            return _made_by(kind, "Midjourney", prompt=JOB.split(text)[0])
        case "fooocus_scheme":
            return _made_by(kind, "Fooocus")
        case _:
            return None


def _json_claim(kind: str, facts: Any) -> Claim | None:
    if not isinstance(facts, dict):
        return None
    swarm = facts.get("sui_image_params")
    if isinstance(swarm, dict):
        return _made_by(kind, "SwarmUI", prompt=swarm.get("prompt"), model=swarm.get("model"))
    if "prompt" in facts and ("base_model" in facts or "metadata_scheme" in facts):
        return _made_by(kind, "Fooocus", prompt=facts["prompt"], model=facts.get("base_model"))
    return comfyui_claim(kind, facts)


def _made_by(kind: str, name: str, **detail: object) -> Claim:
    where = {"png_text": "The file's text fields hold", "exif": "EXIF holds"}[kind]
    return Claim(kind, "ai", f"{where} the settings of an image generator: {name}.", filled(generator=name, **detail))
