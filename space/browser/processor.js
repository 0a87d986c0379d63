// The model's own preprocessor_config.json -> what its network takes of an image.
// Two processors are known: fakelens's DetectorImageProcessor, and transformers' ViTImageProcessor. Whatever else a
// file asks for is refused: a score from other pixels than the model was trained on would be wrong without a sign.
import { UserError } from "./errors.js";
import { KERNELS, PLACES, resize } from "./resize.js";

// By what each resizes in Python.
const TYPES = { DetectorImageProcessor: PLACES.pillow, ViTImageProcessor: PLACES.torch };
const KNOWN = new Set([
  ...["image_processor_type", "do_convert_rgb", "do_resize", "size", "resample", "do_native_crop", "crop_size"],
  ...["crops_per_side", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std", "auto_map"],
]);

// Returns a function from an image to `{ data, dims }`, or throws if the settings are not among those above.
export function buildProcessor(settings) {
  const refuse = (what) => {
    throw new UserError(`This page cannot prepare images as the model's preprocessor_config.json asks: ${what}.`);
  };
  const isSide = (value) => Number.isInteger(value) && value > 0;
  const sides = (name) => {
    const { height, width, ...others } = settings[name] ?? {};
    const has = isSide(height) && isSide(width) && Object.values(others).every((value) => value === null);
    return has ? [height, width] : refuse(`${name} is ${JSON.stringify(settings[name])}, not a height and a width`);
  };
  const three = (name) => {
    const values = settings[name];
    const has = Array.isArray(values) && values.length === 3 && values.every(Number.isFinite);
    return has ? values : refuse(`${name} is ${JSON.stringify(values)}, not three numbers`);
  };

  const placesFor = TYPES[settings.image_processor_type];
  if (!placesFor) {
    refuse(`image_processor_type is ${settings.image_processor_type}, not ${Object.keys(TYPES).join(" or ")}`);
  }
  const unknown = Object.keys(settings).find((name) => !KNOWN.has(name) && settings[name]);
  if (unknown) refuse(`${unknown} is ${JSON.stringify(settings[unknown])}`);
  const native = settings.do_native_crop ?? false;
  if (native === settings.do_resize) refuse("exactly one of do_resize and do_native_crop must be true");
  const [height, width] = sides(native ? "crop_size" : "size");
  const perSide = native ? settings.crops_per_side : 1;
  if (!isSide(perSide)) refuse(`crops_per_side is ${perSide}`);
  const kernel = KERNELS[settings.resample];
  if (!native && !kernel) {
    const names = Object.entries(KERNELS).map(([number, one]) => `${number} (${one.name})`);
    refuse(`resample is ${settings.resample}, not ${names.join(" or ")}`);
  }
  const factor = settings.do_rescale ? settings.rescale_factor : 1;
  if (!Number.isFinite(factor)) refuse(`rescale_factor is ${factor}`);
  const [mean, std] = settings.do_normalize ? [three("image_mean"), three("image_std")] : [[0, 0, 0], [1, 1, 1]];

  return (image) => {
    const crops = native
      ? nativeCrops(image, height, width, perSide)
      : [resize(image, width, height, kernel, placesFor)];
    const area = height * width;
    const data = new Float32Array(crops.length * 3 * area);
    crops.forEach((pixels, crop) => {
      for (let channel = 0; channel < 3; channel++) {
        for (let i = 0; i < area; i++) {
          data[(crop * 3 + channel) * area + i] = (pixels[3 * i + channel] * factor - mean[channel]) / std[channel];
        }
      }
    });
    return { data, dims: perSide > 1 ? [1, crops.length, 3, height, width] : [1, 3, height, width] };
  };
}

// Cuts windows spread evenly from edge to edge; an image smaller than a window is mirrored at its edges.
function nativeCrops(image, height, width, perSide) {
  const rows = windows(image.height, height, perSide);
  const columns = windows(image.width, width, perSide);
  return rows.flatMap((down) => columns.map((across) => cut(image, down, across)));
}

// Returns for each window along one side the places in the image that it shows, in order.
function windows(length, window, perSide) {
  const before = Math.floor(Math.max(0, window - length) / 2);
  const room = Math.max(0, length - window);
  return Array.from({ length: perSide }, (_, i) => {
    const start = perSide === 1 ? Math.floor(room / 2) : halfToEven((i * room) / (perSide - 1));
    return Array.from({ length: window }, (_, j) => mirrored(start + j - before, length));
  });
}

// Returns the place that one outside shows when the edge pixels are repeated and the image goes on backwards.
function mirrored(place, length) {
  const round = ((place % (2 * length)) + 2 * length) % (2 * length);
  return round < length ? round : 2 * length - 1 - round;
}

// Rounds as Python's `round` does.
function halfToEven(value) {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

function cut(image, down, across) {
  const [top, left] = [Math.min(...down), Math.min(...across)];
  const [height, width] = [Math.max(...down) - top + 1, Math.max(...across) - left + 1];
  const seen = image.read(left, top, width, height);
  const pixels = new Uint8Array(down.length * across.length * 3);
  let at = 0;
  for (const row of down) {
    for (const column of across) {
      const from = ((row - top) * width + column - left) * 4;
      pixels.set(seen.subarray(from, from + 3), at);
      at += 3;
    }
  }
  return pixels;
}
