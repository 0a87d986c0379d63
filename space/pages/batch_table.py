"""The Batch page's table: sorted, filtered and downloaded in the browser, from rows that the server does not keep.

The script builds every cell as text, never as HTML: names and what stands in files are whatever somebody chose.
"""

import gradio as gr

from fakelens.inference.verdict import FIELDS

TEMPLATE = """
<section class="batch" aria-label="Results">
  <p class="batch-status" role="status" aria-live="polite"></p>
  <p class="batch-message" role="alert"></p>
  <div class="batch-results" hidden>
    <progress class="batch-progress" aria-label="Images scored"></progress>
    <div class="batch-groups" role="group" aria-label="The verdicts; press one to see its images alone"></div>
    <div class="batch-tools">
      <label>Containing <input class="batch-text" type="search" placeholder="part of a name or remark"></label>
      <button type="button" class="batch-csv">Download CSV</button>
      <button type="button" class="batch-json">Download JSON</button>
    </div>
    <div class="batch-scroll" tabindex="0" role="region" aria-label="Table of results, scrolls sideways">
      <table><caption>One row an image. The headings' buttons sort.</caption>
        <thead><tr>
          <th scope="col" aria-sort="ascending"><button type="button" data-key="number">No.</button></th>
          <th scope="col">Image</th>
          <th scope="col" aria-sort="none"><button type="button" data-key="path">File</button></th>
          <th scope="col" aria-sort="none"><button type="button" data-key="verdict">Verdict</button></th>
          <th scope="col" aria-sort="none"><button type="button" data-key="score">Score</button></th>
          <th scope="col">Remarks</th>
        </tr></thead><tbody></tbody></table>
    </div>
  </div>
</section>
"""

STYLE = """
.batch-status { margin: .5rem 0; }
.batch-message { margin: .5rem 0; color: var(--fl-fake); font-weight: 600; }
.batch-message:empty, .batch-status:empty { display: none; }
.batch-progress { width: 100%; height: .5rem; accent-color: var(--fl-accent); }
.batch-tools { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: .5rem 0; }
.batch-tools input, .batch-tools button { font: inherit; color: inherit; padding: .4rem .6rem;
  border: 1px solid var(--fl-edge); border-radius: 6px; background: var(--background-fill-primary); }
.batch-groups { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .6rem;
  margin: .75rem 0; }
.batch-groups button { display: flex; flex-direction: column; align-items: flex-start;
  padding: .6rem .8rem; border: 1px solid var(--fl-edge); border-radius: 8px;
  background: var(--fl-raised); color: inherit; font: inherit; text-align: left; cursor: pointer; }
.batch-groups button[aria-pressed="true"] { border-color: var(--fl-accent);
  box-shadow: inset 0 0 0 1px var(--fl-accent); }
.batch-groups strong { display: block; font-size: 1.1rem; }
.batch-fake strong { color: var(--fl-fake); }
.batch-real strong { color: var(--fl-real); }
.batch-uncertain strong { color: var(--fl-uncertain); }
.batch-groups p { margin: .2rem 0 0; font-size: .9rem; }
.batch-tools input { width: min(16rem, 60vw); }
.batch-tools button, th button { cursor: pointer; }
.batch-scroll { overflow: auto; contain: inline-size; max-height: 70vh;
  border: 1px solid var(--fl-edge); border-radius: 8px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; min-width: 44rem; }
caption { text-align: left; padding: .4rem .6rem; color: var(--fl-quiet); }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--fl-edge); }
tbody th { overflow-wrap: anywhere; min-width: 9rem; font-weight: 600; }
thead th { position: sticky; top: 0; z-index: 1; vertical-align: middle;
  background: var(--fl-raised); white-space: nowrap; font-weight: 600; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; text-decoration: underline; }
th[aria-sort="ascending"] button::after { content: " ▲"; }
th[aria-sort="descending"] button::after { content: " ▼"; }
td img { max-width: 96px; max-height: 96px; border-radius: 4px; }
.batch-word { white-space: nowrap; font-weight: 600; }
.batch-number { white-space: nowrap; font-variant-numeric: tabular-nums; }
td p + p { margin-top: .3rem; }
@media (max-width: 44rem) {
  th, td { padding: .4rem; }
  tbody th { min-width: 6rem; max-width: 7rem; }
  td img { max-width: 48px; max-height: 48px; }
}
"""

SCRIPT = r"""
const SIGNS = { real: "✓ real", fake: "✕ fake", uncertain: "? uncertain" };
const FIELDS = props.fields;
const find = (name) => element.querySelector(name);
const GROUPS = { fake: "✕", uncertain: "?", real: "✓", none: "–" };
let sorting = { key: "number", down: false };
let only = ""; // the verdict that is shown alone

const state = () => (props.value && props.value.rows ? props.value : { rows: [], total: 0, done: true });
const remarks = (row) => [row.error, row.sentence, row.disagreement, ...row.warnings, ...row.notes].filter(Boolean);
const group = (row) => row.verdict || "none";
const clauses = (text) => (text || "").split(/(?<=[.!?:])\s+/).filter(Boolean);
const masked = (clause) => clause.replace(/\b((above|below) )?\d+(\.\d+)?/g, "#");
// The clauses that the sentences of all images with a verdict share, but for their numbers.
function shared(word) {
  const [first, ...others] = state().rows.filter((row) => group(row) === word).map((row) => clauses(row.sentence));
  const has = (all, one) => all.some((other) => masked(other) === masked(one));
  return (first || []).filter((one) => others.every((other) => has(other, one)));
}
// Said once, above the table; scores stand in their column.
const said = (common) => common.filter((one) => !/\d\.\d/.test(one)).join(" ").replace(/:(?= [A-Z]|$)/g, ".");
const own = (row, common) => {
  const known = common.map(masked);
  const text = clauses(row.sentence).filter((one) => !known.includes(masked(one))).join(" ");
  return [row.error, text, row.disagreement, ...row.warnings, ...row.notes].filter(Boolean);
};
const make = (tag, text, kind) => {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

function shown() {
  const text = find(".batch-text").value.trim().toLowerCase();
  const rows = state().rows.map((row, at) => ({ ...row, number: at + 1 })).filter((row) =>
    (!only || group(row) === only) &&
    (!text || [row.path, row.verdict, ...remarks(row)].join("\n").toLowerCase().includes(text)));
  const { key, down } = sorting;
  rows.sort((a, b) => {
    // What was not scored comes last either way.
    if ((a[key] === null) !== (b[key] === null)) return a[key] === null ? 1 : -1;
    const order = typeof a[key] === "number" ? a[key] - b[key]
      : String(a[key]).localeCompare(String(b[key]), undefined, { numeric: true });
    return (down ? -order : order) || a.number - b.number;
  });
  return rows;
}

function drawn(row, common) {
  const line = document.createElement("tr");
  const seen = document.createElement("td");
  if (row.thumbnail) {
    const image = document.createElement("img");
    image.src = row.thumbnail;
    image.alt = "";
    seen.append(image);
  }
  const name = make("th", row.path);
  name.scope = "row";
  const word = make("td", SIGNS[row.verdict] || "– not scored", "batch-word");
  const score = make("td", row.score === null ? "" : row.score.toFixed(3), "batch-number");
  const said = document.createElement("td");
  said.append(...own(row, common).map((text) => make("p", text)));
  line.append(make("td", row.number, "batch-number"), seen, name, word, score, said);
  return line;
}

function summary(word, number, common) {
  const button = make("button", "", `batch-${word}`);
  button.type = "button";
  button.dataset.verdict = word;
  button.ariaPressed = String(only === word);
  button.append(make("strong", `${GROUPS[word]} ${number} ${word === "none" ? "not scored" : word}`));
  if (said(common)) button.append(make("p", said(common)));
  return button;
}

function draw() {
  const { rows, total, done, message } = state();
  find(".batch-message").textContent = message || "";
  find(".batch-results").hidden = !total;
  const progress = find(".batch-progress");
  progress.max = total || 1;
  progress.value = rows.length;
  progress.hidden = done;
  const lines = shown();
  const common = Object.fromEntries(Object.keys(GROUPS).map((word) => [word, shared(word)]));
  find("tbody").replaceChildren(...lines.map((row) => drawn(row, common[group(row)])));
  const count = (word) => rows.filter((row) => group(row) === word).length;
  const summaries = Object.keys(GROUPS).filter(count).map((word) => summary(word, count(word), common[word]));
  find(".batch-groups").replaceChildren(...summaries);
  const tally = ["fake", "uncertain", "real"].map((word) => `${count(word)} ${word}`).join(", ");
  const hidden = lines.length < rows.length ? ` ${lines.length} shown.` : "";
  const all = `${rows.length} done: ${tally}, ${count("none")} not scored.`;
  find(".batch-status").textContent = total ? (done ? all : `${rows.length} of ${total} done …`) + hidden : "";
}

// A spreadsheet runs what begins like a formula; a quote before it makes it text.
function cell(value) {
  if (typeof value === "number") return String(value);
  if (value === null || value === undefined) return "";
  let text = typeof value === "string" ? value : Array.isArray(value) ? value.join(" ") : JSON.stringify(value);
  if (/^\s*[=+\-@\t\r\n]/.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// All rows in the order of the input, whatever is shown.
const bare = () => state().rows.map((row) => Object.fromEntries(FIELDS.map((field) => [field, row[field]])));
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.verdict) {
    only = only === button.dataset.verdict ? "" : button.dataset.verdict;
    draw();
    find(`[data-verdict="${button.dataset.verdict}"]`)?.focus();
  } else if (button.dataset.key) {
    sorting = { key: button.dataset.key, down: sorting.key === button.dataset.key && !sorting.down };
    for (const heading of element.querySelectorAll("th[aria-sort]"))
      heading.ariaSort = heading.contains(button) ? (sorting.down ? "descending" : "ascending") : "none";
    draw();
  } else if (button.classList.contains("batch-csv")) {
    const lines = [FIELDS.join(","), ...bare().map((row) => FIELDS.map((field) => cell(row[field])).join(","))];
    save("fakelens.csv", "text/csv;charset=utf-8", "\ufeff" + lines.join("\r\n") + "\r\n");
  } else {
    save("fakelens.json", "application/json", JSON.stringify(bare(), null, 2) + "\n");
  }
});
element.addEventListener("input", draw);
watch("value", draw);
draw();
"""


def results_table() -> gr.HTML:
    """Return the table; its value is `{"rows": [...], "total": int, "done": bool}`, with a `message` or without.

    A row has the command line's fields, and `thumbnail`, a data URL or "".
    """
    return gr.HTML(
        {"rows": [], "total": 0, "done": True},
        html_template=TEMPLATE,
        css_template=STYLE,
        js_on_load=SCRIPT,
        apply_default_css=False,
        padding=False,
        label="Results",
        fields=list(FIELDS),
    )
