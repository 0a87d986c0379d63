"""report.json as a page to read."""

from typing import Any

import jinja2

from fakelens.data.transforms.views import HARD_QUALITY, HARD_SIDE, NORMAL_QUALITY, NORMAL_SIDE
from fakelens.evaluation.analysis.verdicts import at
from fakelens.evaluation.report.summary_text import summary_text
from fakelens.evaluation.report.tables import attributions, audit_advice, audit_table, reasons, split_tables, table
from fakelens.inference.thresholds import Thresholds
from fakelens.metrics.detection import ECE_BINS

TEMPLATE = """\
# Evaluation report

{{ created }}, fakelens {{ fakelens_version }} on {{ environment.device }}; Python {{ environment.python }},
torch {{ environment.torch }}, transformers {{ environment.transformers }}, {{ environment.platform }}

## In short
{% for paragraph in short %}

{{ paragraph }}
{% endfor %}

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
{% for split in split_tables %}

## Split `{{ split.name }}`

{{ split.lead | join("\n\n") }}
{% for sentence in split.gaps + split.notes %}

{{ sentence }}
{% endfor %}
{% for heading, table in split.sections %}

### {{ heading }}

{{ table }}
{% endfor %}
{% endfor %}

## How to read it

* Fake is the positive class: AP is average precision. A dash is undefined: it needs a class that is not there.
* *Recall*, *false-positive rate* and *fakes predicted real* count the verdicts that a user is told: fake from the
  upper threshold on, real below the lower one, uncertain between them. What needs two verdicts is counted at the
  decision threshold, which lies in the band, and is named so (such as *recall at 0.5*); it also divides the verdicts
  that degradations and attacks change, and the images that are asked who made them.
* *TPR at 5 % FPR* is the recall at the best threshold that predicts fake for at most 5 % of these real
  images. ECE has {{ ece_bins }} bins of equal width on P(fake).
* *raw* is the image as its file holds it; *normalised* brings it to a long side of {{ normal_side }} pixels and
  JPEG quality {{ normal_quality }}, *hard* to {{ hard_side }} pixels and quality {{ hard_quality }}.
* The *shortcut gap* is the AUROC that goes when size, format and compression no longer tell the classes apart. Fine
  detail that resizing removes goes with them, so that it bounds the shortcut from above.
{% if controls %}
* The *controls* look at no image. One predicts fake for everything, one for whatever is no JPEG: a model that is not
  clearly better than both has shown nothing.
{% endif %}
{% if audit_table %}
* *What the files give away* is the AUROC of a small classifier that sees the files' format, size, compression and mean
  colours, never the image. A detector's score at or below it proves nothing, for it may read the same facts.
{% endif %}
* A generator is scored by its fakes against all real images of the split, a source by its own rows. Few images say
  little.
* *95 % intervals*: {{ interval_method }}, {{ replicates }} resamples.
  They say how far chance in the choice of these images may have moved a number, and nothing of other data. An interval
  without width says only that the sample held no error. Those of ECE are rough.
{% if comparison %}
* *p* is DeLong's for AUROC and McNemar's for accuracy; *adjusted* is Holm's over all pairs, splits and views.
{% endif %}
* *Uncertain* lies between the scores that calibration on validation data set, so that at most 5 % of such real images
  are predicted fake and of such fakes real, or other rates where they were asked for; *AURC* is the mean error over
  all coverages. The rates do not carry over to data of another kind, which is what this table is for.
{% if robust %}
* *Verdict stability* is 1 less the mean fraction of verdicts that a step changes, rightly or wrongly; *unstable
  images* change theirs in at least one step. Every image of either class goes through every step.
{% endif %}
{% if attacked %}
* *Under attack*, someone who knows the network changes the processed image (raw view) by at most *eps* a pixel, from
  0 for black to 1 for white, to turn the verdict over. FGSM takes one step, PGD ten from a random start.
  With *a fraction under attack*, S2's three scenarios: as it is, that fraction of each class under FGSM, and both
  together.
{% endif %}
{% if unknown_below is not none %}
* *Who made it*: an image predicted fake is put down to its likeliest generator, or to an *unknown generator* where
  that one has less than {{ unknown_below }} of P(fake). *Right* counts these answers, and "unknown generator" is the
  right one for a generator that the model does not know; *right, macro* is the mean over the rows of the table.
  *Closed set* is the fraction whose likeliest class is right, among classes that the model knows. *Open-set AUROC* is
  how well that fraction of P(fake) tells fakes of known generators from those of unknown ones.
{% endif %}

## What it must not be used for

* As evidence about a person or an image by itself: a score is one hint, and a false alarm harms whoever took the
  photograph. Look for the source, the provenance data and other witnesses.
* On images unlike these: other cameras, generators, subjects, sizes or compressions. Numbers measured here do not
  carry over, error rates of the uncertain band included; calibrate and measure on the images at hand.
* To tell who made an image, or that it was not edited, unless this report measures that.
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
    models, splits, audits = report["models"], report["data"]["splits"], report["data"]["audit"]
    attributed = [one for split in splits for *_, one in attributions(split, models)]
    intervals = next(iter(next(iter(models[0]["results"].values())).values()))["intervals"]
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE).render(
        **report,
        data_table=table(
            ("split", "rows read", "scored", "skipped"),
            ((name, s["rows"], s["scored"], reasons(s["skipped"])) for name, s in splits.items()),
        ),
        model_table=table(
            ("model", "architecture", "parameters", "verdict", "two verdicts", "images/s"),
            (
                (
                    m["name"],
                    m["architecture"],
                    f"{m['parameters']:,}",
                    Thresholds(**m["thresholds"]).in_words(),
                    at(m["decision_threshold"]),
                    f"{m['images_per_second']:.1f}",
                )
                for m in models
            ),
        ),
        short=summary_text(report),
        audit_table=audit_table(audits),
        audit_advice=[audit_advice(split, audit) for split, audit in audits.items()],
        galleries=any(m.get("gallery") for m in models),
        split_tables=[split_tables(name, report) for name in splits],
        attacked=any("attacks" in m for m in models),
        robust=any("robustness" in m for m in models),
        interval_method=intervals["method"],
        replicates=intervals["replicates"],
        unknown_below=attributed[0]["unknown_below"] if attributed else None,
        ece_bins=ECE_BINS,
        normal_side=NORMAL_SIDE,
        normal_quality=NORMAL_QUALITY,
        hard_side=HARD_SIDE,
        hard_quality=HARD_QUALITY,
    )
