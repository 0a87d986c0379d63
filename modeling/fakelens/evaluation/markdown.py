"""report.json as a page to read."""

from collections.abc import Iterable, Sequence
from typing import Any

import jinja2

from fakelens.data.views import HARD_QUALITY, HARD_SIDE, NORMAL_QUALITY, NORMAL_SIDE
from fakelens.evaluation.summary import shortcut_gap
from fakelens.metrics import ECE_BINS

OVERALL = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "accuracy": "accuracy",
    "f1": "F1",
    "recall": "fakes found",
    "specificity": "reals passed",
    "tpr_at_5_fpr": "found at 5 % FPR",
    "tpr_at_1_fpr": "found at 1 % FPR",
    "ece": "ECE",
    "brier": "Brier",
}

TEMPLATE = """\
# Evaluation report

{{ created }}, fakelens {{ fakelens_version }} on {{ environment.device }}; Python {{ environment.python }},
torch {{ environment.torch }}, transformers {{ environment.transformers }}, {{ environment.platform }}

## Data

**{{ data.description }}** (`{{ data.source }}`{{ ", revision " ~ data.revision if data.revision }})

{{ data_table }}
{% if data.audit %}

### What the files give away
{% if audit_table %}

{{ audit_table }}
{% endif %}
{% for advice in audit_advice %}

{{ advice }}
{% endfor %}
{% endif %}

## Models

{{ model_table }}

Images/s counts every view of an image, with reading and decoding.
{% for split in splits %}

## Split `{{ split.name }}`

{{ split.overall_table }}

{{ split.generators_table }}
{% for gap in split.gaps %}

{{ gap }}
{% endfor %}
{% if split.attack_table %}

### Under attack

{{ split.attack_table }}
{% endif %}
{% for note in split.notes %}

{{ note }}
{% endfor %}
{% if split.attribution_table %}

### Who made it

{{ split.attribution_table }}
{% endif %}
{% for heading, table in split.details %}

### {{ heading }}

{{ table }}
{% endfor %}
{% endfor %}

## How to read it

* Fake is the positive class: *fakes found* is recall, *reals passed* is specificity, AP is average precision. A dash
  is undefined: it needs a class that is not there.
* *Found at 5 % FPR* is the share of fakes found by the best threshold that calls at most 5 % of these reals fake. ECE
  has {{ ece_bins }} bins of equal width on P(fake).
* *raw* is the picture as its file holds it; *normalised* brings it to a long side of {{ normal_side }} pixels and
  JPEG quality {{ normal_quality }}, *hard* to {{ hard_side }} pixels and quality {{ hard_quality }}.
* The *shortcut gap* is the AUROC that goes when size, format and compression no longer tell the classes apart. Fine
  detail that resizing removes goes with them, so that it bounds the shortcut from above.
{% if controls %}
* The *controls* look at no picture. One calls everything fake, one calls fake whatever is no JPEG: a model that is not
  clearly better than both has shown nothing.
{% endif %}
{% if audit_table %}
* *What the files give away* is the AUROC of a small classifier that sees the files' format, size, compression and mean
  colours, never the picture. A detector's score at or below it proves nothing, for it may read the same facts.
{% endif %}
* A generator is judged by its fakes against all reals of the split, a source by its own rows. Few images say little.
{% if attacked %}
* *Under attack*, someone who knows the network changes the processed picture (raw view) by at most *eps* a pixel, from
  0 for black to 1 for white, to turn the verdict over. FGSM takes one step, PGD ten from a random start.
{% endif %}
{% if unknown_below is not none %}
* *Who made it*: a picture called fake is put down to its likeliest generator, or to an *unknown generator* where that
  one has less than a share of {{ unknown_below }} in P(fake). *Right* counts these answers, and "unknown generator" is
  the right one for a generator that the model does not know; *right, macro* is the mean over the rows of the table.
  *Closed set* is the share whose likeliest class is right, among classes that the model knows. *Open-set AUROC* is how
  well that share of P(fake) tells fakes of known generators from those of unknown ones.
{% endif %}
{% if galleries %}

## Gallery

The images that the detectors were surest of, rightly and wrongly, with their evidence: [gallery](gallery/index.html).
{% endif %}
{% if plots %}

## Plots
{% for plot in plots %}

![{{ plot }}]({{ plot }})
{% endfor %}
{% endif %}
"""


def render_markdown(report: dict[str, Any]) -> str:
    """Return report.md.

    Args:
        report: The content of report.json.
    """
    attributions = [one for split in report["data"]["splits"] for *_, one in _attributions(split, report["models"])]
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE).render(
        **report,
        data_table=table(
            ("split", "rows read", "judged", "skipped"),
            ((name, s["rows"], s["judged"], _reasons(s["skipped"])) for name, s in report["data"]["splits"].items()),
        ),
        model_table=table(
            ("model", "architecture", "parameters", "fake from", "images/s"),
            (
                (
                    m["name"],
                    m["architecture"],
                    f"{m['parameters']:,}",
                    f"{m['decision_threshold']:.4g}",
                    f"{m['images_per_second']:.1f}",
                )
                for m in report["models"]
            ),
        ),
        audit_table=_audit_table(report["data"]["audit"]),
        audit_advice=[_advice(split, audit) for split, audit in report["data"]["audit"].items()],
        galleries=any(m.get("gallery") for m in report["models"]),
        splits=[_split(name, report) for name in report["data"]["splits"]],
        attacked=any("attacks" in m for m in report["models"]),
        unknown_below=attributions[0]["unknown_below"] if attributions else None,
        ece_bins=ECE_BINS,
        normal_side=NORMAL_SIDE,
        normal_quality=NORMAL_QUALITY,
        hard_side=HARD_SIDE,
        hard_quality=HARD_QUALITY,
    )


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; floats have three digits after the point, None is a dash.

    Args:
        header: The columns' names.
        rows: As many cells each.
    """
    lines = [header, ["---"] * len(header), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _reasons(skipped: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "none"


def _audit_table(audits: dict[str, dict[str, Any]]) -> str:
    columns = ("split", "view", "all facts", "format and size alone", "chance within", "leak most (AUROC by itself)")
    rows = []
    for split, audit in audits.items():
        for view, found in audit.get("views", {}).items():
            leaks = ", ".join(f"{leak['fact']} ({leak['auroc']:.3f})" for leak in found["leaks"])
            rows.append((split, view, found["auroc"], found["auroc_format"], audit["chance"], leaks))
    return table(columns, rows) if rows else ""


def _advice(split: str, audit: dict[str, Any]) -> str:
    return (
        f"`{split}`: {audit['advice']}" if "advice" in audit else f"`{split}` was not audited: {audit['not_audited']}"
    )


def _split(split: str, report: dict[str, Any]) -> dict[str, Any]:
    """Return the tables of one split."""
    models, controls = report["models"], report["controls"].get(split, {})
    unseeing = [(f"*{name}* (control)", view, r) for name, views in controls.items() for view, r in views.items()]
    results = [(m["name"], view, r) for m in models for view, r in m["results"][split].items()]
    found = ((m["name"], shortcut_gap(m["results"][split])) for m in models)
    gaps = [(name, gap) for name, gap in found if gap is not None]
    attributions = _attributions(split, models)
    return {
        "name": split,
        "overall_table": table(
            ("model", "view", *OVERALL.values()),
            ((name, view, *(r["overall"][key] for key in OVERALL)) for name, view, r in results + unseeing),
        ),
        "generators_table": table(
            ("model", "view", "reals called fake", "fakes called real", "mean over generators", "worst generator"),
            ((name, view, *_errors(r["overall"]), *_generators(r)) for name, view, r in results),
        ),
        "gaps": [f"**Shortcut gap of {name}: {gap:+.3f}** (AUROC raw - normalised)" for name, gap in gaps],
        "attack_table": _attack_table([(m["name"], m["attacks"][split]) for m in models if "attacks" in m]),
        "notes": _notes(split, models),
        "attribution_table": _attribution_table(attributions),
        "details": [
            *(_confusion(f"{name}, {split}, {view}", one) for name, view, one in attributions),
            *(detail for m in models for detail in _details(m["name"], split, m["results"][split])),
        ],
    }


def _attack_table(attacked: list[tuple[str, dict[str, list[dict[str, Any]]]]]) -> str:
    columns = {key: OVERALL[key] for key in ("auroc", "accuracy", "f1", "recall", "specificity")}
    rows = [
        (name, method.upper(), f"{row['eps']:g}", *(row[key] for key in columns), row["real"], row["fake"])
        for name, methods in attacked
        for method, table_rows in methods.items()
        for row in table_rows
    ]
    return table(("model", "attack", "eps", *columns.values(), "reals", "fakes"), rows) if rows else ""


def _notes(split: str, models: list[dict[str, Any]]) -> list[str]:
    """Return what was not done, and why."""
    nameless = [m["name"] for m in models if not all(m.get("attribution", {}).get(split, {"": True}).values())]
    return [
        *(f"**{m['name']} was not attacked.** {m['attacks_skipped']}" for m in models if "attacks_skipped" in m),
        *(f"{name} tells generators apart, but these data do not name them." for name in nameless),
    ]


def _attributions(split: str, models: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return model, view and attribution, where there is one."""
    views = ((m["name"], view, one) for m in models for view, one in m.get("attribution", {}).get(split, {}).items())
    return [(name, view, one) for name, view, one in views if one]


def _attribution_table(found: list[tuple[str, str, dict[str, Any]]]) -> str:
    columns = {
        "accuracy": "right",
        "macro_recall": "right, macro",
        "closed_set_accuracy": "closed set",
        "open_set_auroc": "open-set AUROC",
        "unstated": "fakes without a name",
    }
    rows = [(name, view, *(one[key] for key in columns)) for name, view, one in found]
    return table(("model", "view", *columns.values()), rows) if rows else ""


def _confusion(where: str, one: dict[str, Any]) -> tuple[str, str]:
    rows = ((row, *counts) for row, counts in zip(one["rows"], one["confusion"], strict=True))
    return f"{where}: who made it, and the answers", table(("truth", *one["labels"]), rows)


def _errors(overall: dict[str, Any]) -> tuple[str, str]:
    return (
        f"{overall['false_positives']} of {overall['real']}",
        f"{overall['false_negatives']} of {overall['fake']}",
    )


def _generators(result: dict[str, Any]) -> tuple[float | None, str | None]:
    worst = result["worst_generator"]
    return result["macro_auroc_over_generators"], worst and f"{worst['name']} ({worst['auroc']:.3f})"


def _details(model: str, split: str, views: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """Return heading and table of one model's results by generator and by source."""
    details = []
    for kind, counts, numbers in (
        ("generator", {"fake": "fakes"}, {"auroc": "AUROC", "recall": "fakes found"}),
        (
            "source",
            {"real": "reals", "fake": "fakes"},
            {"auroc": "AUROC", "specificity": "reals passed", "recall": "fakes found"},
        ),
    ):
        groups = {view: result[f"per_{kind}"] for view, result in views.items()}
        first = next(iter(groups.values()))
        if first:
            header = (kind, *counts.values(), *(f"{title}, {view}" for view in groups for title in numbers.values()))
            rows = (
                (name, *(first[name][k] for k in counts), *(g[name][k] for g in groups.values() for k in numbers))
                for name in first
            )
            details.append((f"{model}, {split}: by {kind}", table(header, rows)))
    return details
