// What a model's classes mean, and P(fake) of its logits, as in Python.
import { UserError } from "./errors.js";

// What each logit is of, "real", "fake" or "skip": as the export wrote it beside the model's own names of its classes,
// else all but "real" are fakes. What other names mean is Python's to know.
export function readClasses(config) {
  const said = new Map(
    Object.entries(config.label_map ?? {}).flatMap(([kind, names]) =>
      [names].flat().map((name) => [String(name).toLowerCase(), kind]),
    ),
  );
  // transformers writes no names where they are LABEL_0, LABEL_1, ...
  const names = config.id2label ?? Array.from(said, (_, i) => `LABEL_${i}`);
  const labels = Object.entries(names)
    .sort(([one], [other]) => one - other)
    .map(([, label]) => String(label).toLowerCase());
  const classes = labels.map((label) => said.get(label) ?? (label === "real" ? "real" : "fake"));
  if (classes.length > 1 ? !classes.includes("real") : !said.has(labels[0])) {
    throw new UserError(
      `The model has the classes ${labels.join(", ")}, and none is known as that of real images. ` +
        "Export it again with fakelens export --label-map real=NAME,fake=NAME.",
    );
  }
  return classes;
}

// P(fake), by summing over the fakes: exact near 0, where one minus P(real) is not.
export function pFake(logits, classes) {
  if (classes.length === 1) return 1 / (1 + Math.exp(classes[0] === "fake" ? -logits[0] : logits[0]));
  const known = Array.from(logits, (logit, i) => (classes[i] === "skip" ? -Infinity : logit));
  const top = Math.max(...known);
  const parts = known.map((logit) => Math.exp(logit - top));
  const sum = parts.reduce((total, part) => total + part, 0);
  return parts.reduce((total, part, i) => (classes[i] === "fake" ? total + part : total), 0) / sum;
}
