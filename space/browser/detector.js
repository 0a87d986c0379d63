// The model's folder -> a detector: an image in, P(fake), a verdict and its sentence out, as in Python.
import { pFake, readClasses } from "./classes.js";
import { UserError } from "./errors.js";
import * as ort from "./onnxruntime/ort.wasm.bundle.min.mjs";
import { buildProcessor } from "./processor.js";
import { verdictOf } from "./verdict.js";

const RUNTIME = "onnxruntime/ort-wasm-simd-threaded.wasm";
const MODEL = "model/model.onnx";

// Loads everything; `report(bytes, total)` is called as it comes in.
export async function loadDetector(report) {
  const [config, settings, verdicts] = await Promise.all(
    ["config", "preprocessor_config", "verdicts"].map(async (name) => (await ask(`model/${name}.json`)).json()),
  );
  const classes = readClasses(config);
  const process = buildProcessor(settings);

  const [runtime, weights] = await download([RUNTIME, MODEL], report);
  // One thread: more would need headers that a static host does not send, and workers of its own.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = runtime;
  const session = await attempt("The model does not load", ort.InferenceSession.create(weights));

  return async (image) => {
    const { data, dims } = process(image);
    const inputs = { pixel_values: new ort.Tensor("float32", data, dims) };
    const outputs = await attempt("The model and its preprocessor_config.json do not fit", session.run(inputs));
    const score = pFake(outputs.logits.data, classes);
    if (!Number.isFinite(score)) throw new UserError("The model's score is not a number. Choose another image.");
    return verdictOf(score, verdicts);
  };
}

async function attempt(what, promise) {
  try {
    return await promise;
  } catch (error) {
    throw new UserError(`${what}: ${String(error.message ?? error).split("\n")[0]}`);
  }
}

async function ask(path) {
  let response;
  try {
    response = await fetch(new URL(path, import.meta.url));
  } catch {
    throw new UserError(`${path} could not be fetched. Check the connection and load the page again.`);
  }
  if (response.ok) return response;
  const missing = response.status === 404 ? "is missing" : `could not be fetched (status ${response.status})`;
  throw new UserError(`${path} ${missing}: this Space was not built whole. Build it with scripts/build_browser_space.py.`);
}

// Fetches files together, as Uint8Arrays.
async function download(paths, report) {
  const responses = await Promise.all(paths.map(ask));
  const sizes = responses.map((response) => Number(response.headers.get("Content-Length")));
  const total = sizes.every(Boolean) ? sizes.reduce((sum, size) => sum + size) : 0; // 0: not known
  let done = 0;
  return Promise.all(
    responses.map(async (response) => {
      const counted = new TransformStream({
        transform(chunk, next) {
          report((done += chunk.length), total);
          next.enqueue(chunk);
        },
      });
      return new Uint8Array(await new Response(response.body.pipeThrough(counted)).arrayBuffer());
    }),
  );
}
