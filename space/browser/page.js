// The page: takes an image by choice, drop or paste, hands it to the worker and shows what comes back.

const find = (id) => document.getElementById(id);
const [input, drop, status, loading, failure] = ["input", "drop", "status", "loading", "failure"].map(find);
const [result, image, sign, verdict, sentence, scale, score, zones, ends] =
  ["result", "image", "sign", "verdict", "sentence", "scale", "score", "zones", "ends"].map(find);
const HEADLINES = { real: "Real", uncertain: "Uncertain", fake: "Fake" };
const SIGNS = { real: "✓", uncertain: "?", fake: "✕" };

let current = 0; // the number of the image on show: a reply about an earlier one is not shown
let ready = false; // the detector is loaded
let waiting = null; // what was chosen before it was
let worker = null; // none where there can be no detector

function say(text, isBusy = false) {
  status.textContent = text;
  loading.hidden = !isBusy;
}

function fail(text) {
  say("");
  result.hidden = true;
  failure.textContent = text;
  failure.hidden = false;
}

function start() {
  if (typeof WebAssembly === "undefined") {
    fail("This browser has WebAssembly switched off, and the detector needs it. Allow it, or use another browser.");
    return;
  }
  if (typeof OffscreenCanvas === "undefined") {
    fail("This browser is too old for this page (it has no OffscreenCanvas). Use a newer one.");
    return;
  }
  // Started from a blob, a worker is under this page's Content-Security-Policy: it cannot reach other hosts either.
  const url = JSON.stringify(new URL("worker.js", import.meta.url).href);
  const code = `import(${url}).catch(({ message }) => postMessage({ error: "The detector does not start: " + message }));`;
  worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
  worker.onerror = () => hear({ error: "The detector could not be started. Load the page again, or use another browser." });
  worker.onmessage = ({ data }) => hear(data);
  say("Loading the detector…", true);
}

function hear(reply) {
  if (reply.error !== undefined) {
    if (reply.id === undefined) worker = null;
    if (reply.id === undefined || reply.id === current) fail(reply.error);
  } else if (reply.ready) {
    ready = true;
    loading.removeAttribute("value");
    say("Ready. Choose an image.");
    if (waiting?.id === current) send(waiting);
  } else if (reply.id === undefined) {
    const megabytes = (bytes) => (bytes / 1e6).toFixed(0);
    if (reply.total) loading.value = Math.min(1, reply.done / reply.total);
    loading.textContent = `${megabytes(reply.done)} MB`;
  } else if (reply.id === current) {
    show(reply);
  }
}

function show({ score: p, band, verdict: word, sentence: said }) {
  say("");
  result.dataset.verdict = word;
  sign.textContent = SIGNS[word];
  verdict.textContent = HEADLINES[word];
  sentence.textContent = said;
  draw(p, band, word);
  result.hidden = false;
}

// The score on its scale: the zones side by side, each as wide as the others, so that all of them can be seen.
function draw(p, [low, high], word) {
  const all = [["real", 0, low], ["uncertain", low, high], ["fake", high, 1]];
  const found = all.filter(([name, from, to]) => from < to || name === word);
  const number = found.findIndex(([name]) => name === word);
  const [, from, to] = found[number];
  const within = from < to ? Math.min(0.96, Math.max(0.04, (p - from) / (to - from))) : 0.5;
  const tick = (value) => (value === 0 || value === 1 ? String(value) : value.toFixed(3));
  score.value = p;
  score.textContent = p > 0.999 ? "> 0.999" : p < 0.001 ? "< 0.001" : p.toFixed(3);
  scale.style.setProperty("--score", (number + within) / found.length);
  scale.ariaValueNow = p.toFixed(4);
  const spoken = found.map(([name, start, end]) => `${name} from ${start.toFixed(2)} to ${end.toFixed(2)}`);
  scale.ariaValueText = `${p.toFixed(2)}, ${word}; ${spoken.join("; ")}`;
  zones.replaceChildren(...found.map(([name]) => {
    const zone = document.createElement("li");
    zone.className = name;
    zone.textContent = HEADLINES[name];
    zone.classList.toggle("here", name === word);
    return zone;
  }));
  ends.replaceChildren(...[...found.map(([, start]) => start), 1].map((value, i) => {
    const end = document.createElement("span");
    end.textContent = tick(value);
    end.style.setProperty("--at", i / found.length);
    return end;
  }));
}

function send(request) {
  say("Looking at the image…", true);
  worker.postMessage(request);
}

function take(files) {
  if (!worker) return;
  const [file] = files;
  current += 1;
  failure.hidden = result.hidden = true;
  if (!file) {
    fail("That was no file. Save the image first, then choose it here.");
    return;
  }
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.alt = `The chosen image, ${file.name}`;
  const request = { id: current, file };
  if (ready) {
    send(request);
  } else {
    waiting = request;
    say("Loading the detector; the image is next…", true);
  }
}

input.addEventListener("change", () => {
  if (input.files.length) take(input.files);
  input.value = ""; // so that the same file can be chosen again
});
for (const name of ["dragover", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault(); // a browser would leave the page to show the file
    if (name === "drop") take(event.dataTransfer.files);
  });
}
addEventListener("dragover", () => drop.classList.add("over"));
for (const name of ["dragleave", "drop"]) addEventListener(name, () => drop.classList.remove("over"));
addEventListener("paste", (event) => take(event.clipboardData.files));

start();
