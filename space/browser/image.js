// An image file -> an upright image whose 8-bit RGB pixels can be read, or a reason why not.
// The same rules as in Python (fakelens.data.decode): EXIF orientation applied, transparency over white, colours as
// they are stored, and the same smallest and largest size.
import { UserError } from "./errors.js";
import { TURNS, webpOrientation } from "./orientation.js";

const MAX_PIXELS = 120_000_000;
const MIN_SIDE = 8; // pixels
const MAX_BYTES = 200 * 2 ** 20;

// Decodes a file; the image has `width`, `height`, `read` and `close`.
export async function decode(file) {
  if (file.size === 0) throw new UserError("This file is empty. Choose another image.");
  if (file.size > MAX_BYTES) throw new UserError(`This file is too large; at most ${MAX_BYTES / 2 ** 20} MiB are read.`);
  const own = await webpOrientation(file); // null: the browser sees to it
  const imageOrientation = own ? "none" : "from-image";
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation,
      colorSpaceConversion: "none",
      premultiplyAlpha: "none", // else some transparent pixels are a level off
    });
  } catch {
    throw new UserError(
      "This file is not an image, is damaged, or is of a kind that this browser cannot read. Choose a JPEG, PNG or WebP.",
    );
  }
  const { width, height } = own > 4 ? { width: bitmap.height, height: bitmap.width } : bitmap;
  const is = `This image is too ${Math.min(width, height) < MIN_SIDE ? "small" : "large"}: ${width} x ${height} pixels;`;
  const close = () => bitmap.close();
  if (width * height > MAX_PIXELS) {
    close();
    throw new UserError(`${is} at most ${MAX_PIXELS / 1e6} million are read.`);
  }
  if (Math.min(width, height) < MIN_SIDE) {
    close();
    throw new UserError(`${is} at least ${MIN_SIDE} x ${MIN_SIDE} are needed.`);
  }
  const turn = TURNS[own ?? 1];
  // What is turned to the left or upwards lands before the origin, and is moved back.
  const moved = [Math.min(turn[0], turn[2]) < 0 ? width : 0, Math.min(turn[1], turn[3]) < 0 ? height : 0];
  return { width, height, close, read: (...window) => read(bitmap, [...turn, ...moved], ...window) };
}

// Returns the pixels of a window, row by row, with four bytes for each (red, green, blue, and 255).
function read(bitmap, turn, left, top, width, height) {
  const context = canvas(width, height);
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.setTransform(...turn.slice(0, 4), turn[4] - left, turn[5] - top);
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0);
  try {
    return context.getImageData(0, 0, width, height).data;
  } catch {
    throw new UserError("This browser cannot read an image as large as this one. Choose a smaller one.");
  }
}

function canvas(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) throw new UserError("This browser cannot read an image as large as this one. Choose a smaller one.");
  return context;
}

// Some browsers add noise to the pixels that a page reads, against tracking; a detector would score the noise.
export function checkPixels() {
  const side = 16;
  const pattern = Uint8ClampedArray.from({ length: 4 * side * side }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) % 256));
  const context = canvas(side, side);
  context.putImageData(new ImageData(pattern, side), 0, 0);
  const back = context.getImageData(0, 0, side, side).data;
  if (back.some((value, i) => value !== pattern[i])) {
    throw new UserError(
      "This browser changes the pixels that pages read (protection against fingerprinting), so scores would be wrong. " +
        "Allow this page to read canvas data, or use another browser.",
    );
  }
}
