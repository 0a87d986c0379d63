// The EXIF orientation of a WebP file. Browsers turn JPEG, PNG and AVIF upright by theirs, and not every one WebP.
// Container: RFC 9649; EXIF is a TIFF file inside, see its standard (CIPA DC-008).

const ORIENTATION = 0x0112;

// For each orientation what a canvas's setTransform takes first: how steps right and down in the file are turned.
export const TURNS = {
  ...{ 1: [1, 0, 0, 1], 2: [-1, 0, 0, 1], 3: [-1, 0, 0, -1], 4: [1, 0, 0, -1] },
  ...{ 5: [0, 1, 1, 0], 6: [0, 1, -1, 0], 7: [0, -1, -1, 0], 8: [0, -1, 1, 0] },
};

// Returns 1 to 8 for a WebP file (1 is upright, and what is said where there is none), null for any other.
export async function webpOrientation(file) {
  const view = new DataView(await file.slice(0, 12).arrayBuffer());
  if (view.byteLength < 12 || word(view, 0) !== "RIFF" || word(view, 8) !== "WEBP") return null;
  for (let at = 12; at + 8 <= file.size; ) {
    const head = new DataView(await file.slice(at, at + 8).arrayBuffer());
    const size = head.getUint32(4, true);
    if (word(head, 0) === "EXIF") return fromExif(new DataView(await file.slice(at + 8, at + 8 + size).arrayBuffer()));
    at += 8 + size + (size % 2); // chunks are padded to even lengths
  }
  return 1;
}

function word(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

function fromExif(view) {
  try {
    const start = word(view, 0) === "Exif" ? 6 : 0; // some programs put JPEG's prefix before it
    const isLittle = word(view, start).startsWith("II");
    const table = start + view.getUint32(start + 4, isLittle);
    for (let i = 0; i < view.getUint16(table, isLittle); i++) {
      const entry = table + 2 + 12 * i;
      if (view.getUint16(entry, isLittle) !== ORIENTATION) continue;
      const value = view.getUint16(entry + 8, isLittle);
      return value in TURNS ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the block ends too early: it says nothing
  }
  return 1;
}
