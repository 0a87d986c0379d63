// Resizing as Pillow and torch do it: every pixel of the result is a weighted mean over the part of the image that it
// covers, columns first, then rows, each pass rounded to 8 bits. With their weights, too, rounded as theirs, the result
// agrees to the bit. https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters
// The cubic kernel is Keys' with a = -0.5 (IEEE Trans. ASSP 29, 1981).

const STRIP = 2 ** 20; // pixels that are read at a time: a whole photograph would take four bytes for each at once

// By Pillow's number: the kernel, and how far from its centre it ends.
export const KERNELS = {
  2: { name: "bilinear", reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  3: {
    name: "bicubic",
    reach: 2,
    weight(x) {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
};

// To how many binary places weights are rounded, by what resizes in Python: for torch, as many as 16 bits hold.
export const PLACES = {
  pillow: () => 22,
  torch(largest) {
    let places = 0;
    while (places < 22 && Math.trunc(largest * 2 ** (places + 1) + 0.5) < 2 ** 15) places++;
    return places;
  },
};

// Returns for each of `to` places the first of `from` that it covers and the weights from there on, and their sum.
function taps(from, to, kernel, placesFor) {
  const scale = from / to;
  const stretch = Math.max(1, scale); // when shrinking, the kernel grows with what a pixel covers
  const exact = Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - kernel.reach * stretch + 0.5));
    const end = Math.min(from, Math.trunc(centre + kernel.reach * stretch + 0.5));
    const weights = Float64Array.from({ length: end - first }, (_, i) =>
      kernel.weight((first + i + 0.5 - centre) / stretch),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
  const largest = exact.reduce((top, { weights }) => Math.max(top, ...weights), 0);
  const one = 2 ** placesFor(largest);
  const rounded = (weight) => Math.trunc(weight * one + Math.sign(weight) * 0.5);
  return { one, all: exact.map(({ first, weights }) => ({ first, weights: weights.map(rounded) })) };
}

// Returns the image at width x height, three bytes a pixel, row by row.
export function resize(image, width, height, kernel, placesFor) {
  const columns = taps(image.width, width, kernel, placesFor);
  const rows = taps(image.height, height, kernel, placesFor);
  const narrow = new Uint8ClampedArray(image.height * width * 3);
  const step = Math.max(1, Math.floor(STRIP / image.width));
  for (let top = 0; top < image.height; top += step) {
    const count = Math.min(step, image.height - top);
    const strip = image.read(0, top, image.width, count);
    for (let row = 0; row < count; row++) {
      for (let x = 0; x < width; x++) {
        const { first, weights } = columns.all[x];
        const at = ((top + row) * width + x) * 3;
        mean(strip, (row * image.width + first) * 4, 4, weights, columns.one, narrow, at);
      }
    }
  }
  const result = new Uint8ClampedArray(height * width * 3);
  rows.all.forEach(({ first, weights }, y) => {
    for (let x = 0; x < width; x++) {
      mean(narrow, (first * width + x) * 3, width * 3, weights, rows.one, result, (y * width + x) * 3);
    }
  });
  return result;
}

// Writes the weighted mean of pixels, `step` bytes apart, to `to[at]` and the two after it, which clip it to 8 bits.
function mean(from, start, step, weights, one, to, at) {
  let red = one / 2;
  let green = one / 2;
  let blue = one / 2;
  for (let i = 0, j = start; i < weights.length; i++, j += step) {
    red += weights[i] * from[j];
    green += weights[i] * from[j + 1];
    blue += weights[i] * from[j + 2];
  }
  to[at] = Math.floor(red / one);
  to[at + 1] = Math.floor(green / one);
  to[at + 2] = Math.floor(blue / one);
}
