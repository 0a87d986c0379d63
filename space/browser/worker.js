// Loads the detector and scores files beside the page, so that the page never stands still.
// Out: `{ done, total }` while loading, then `{ ready: true }`, or `{ error }` if it does not load. From then on, in:
// `{ id, file }`; out for each: `{ id, score, band, verdict, sentence }` or `{ id, error }`.
import { loadDetector } from "./detector.js";
import { UserError } from "./errors.js";
import { checkPixels, decode } from "./image.js";

const told = (error) => (error instanceof UserError ? error.message : `Something went wrong: ${error.message ?? error}`);

async function answer(detector, { id, file }) {
  try {
    const image = await decode(file);
    try {
      postMessage({ id, ...(await detector(image)) });
    } finally {
      image.close();
    }
  } catch (error) {
    postMessage({ id, error: told(error) });
  }
}

try {
  checkPixels();
  const detector = await loadDetector((done, total) => postMessage({ done, total }));
  let last = Promise.resolve(); // one after the other: a session takes one run at a time
  onmessage = ({ data }) => {
    last = last.then(() => answer(detector, data));
  };
  postMessage({ ready: true });
} catch (error) {
  postMessage({ error: told(error) });
}
