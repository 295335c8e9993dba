// The arithmetic of convolutions: how many outputs there are, and which inputs each of them hears from.
//
// A layer along a line is { kind, kernel, stride, padding }, of the kind "conv", "transposed" (and then
// with an extra output padding), or "nearest": pixels repeated, then a convolution.

export const CONV = { kind: "conv", kernel: 3, stride: 1, padding: 1 };

/** How many outputs a convolution has for n inputs in a line. */
export function convSize(n, { kernel, stride, padding }) {
  return Math.floor((n + 2 * padding - kernel) / stride) + 1;
}

/** How many outputs a transposed convolution has for n inputs; extra: the output padding. */
export function transposedSize(n, { kernel, stride, padding, extra }) {
  return (n - 1) * stride - 2 * padding + kernel + extra;
}

/** The number of outputs of any of the layers here. */
export function sizeAfter(n, layer) {
  if (layer.kind === "nearest") return convSize(layer.stride * n, { ...layer, stride: 1 });
  return layer.kind === "transposed" ? transposedSize(n, layer) : convSize(n, layer);
}

/** The inputs that output i hears from, one entry for each tap of the kernel that meets one. */
export function heard(n, layer, i) {
  const { kind, kernel, stride, padding } = layer;
  const offsets = Array.from({ length: kernel }, (_, a) => a - padding);
  if (kind === "conv") return offsets.map((a) => stride * i + a).filter((j) => j >= 0 && j < n);
  if (kind === "nearest") {
    const places = offsets.map((a) => i + a).filter((j) => j >= 0 && j < stride * n);
    return places.map((j) => Math.floor(j / stride));
  }
  // Transposed: input j writes to stride j - padding + a, for every a below the kernel's width.
  const inputs = Array.from({ length: n }, (_, j) => j);
  return inputs.filter((j) => i + padding - stride * j >= 0 && i + padding - stride * j < kernel);
}

/** How many taps each output hears through. */
export function taps(n, layer) {
  return Array.from({ length: sizeAfter(n, layer) }, (_, i) => heard(n, layer, i).length);
}

/** The width of what one output hears, and the step between neighbors, through convolutions in a row. */
export function receptiveField(layers) {
  return layers.reduce(
    ({ size, jump }, { kernel, stride }) => ({ size: size + (kernel - 1) * jump, jump: jump * stride }),
    { size: 1, jump: 1 },
  );
}

/** The layers of a UNet in a row: { key, layer, level, end }, where end is "down" or "up" at a skip. */
export function chain({ levels, down, up }) {
  const all = [];
  for (let level = 0; level < levels; level++) {
    all.push({ key: "conv", layer: CONV, level, end: "down" });
    all.push({ key: "down", layer: down });
  }
  all.push({ key: "conv", layer: CONV });
  for (let level = levels - 1; level >= 0; level--) {
    all.push({ key: up.kind, layer: up });
    all.push({ key: "skip", layer: CONV, level, end: "up" });
  }
  all.push({ key: "out", layer: CONV });
  return all;
}

/** The sizes from the input on, up to the last layer or to where a skip does not fit: its size. */
export function sizesOf(n, layers) {
  const sizes = [n];
  const skips = [];
  for (const { layer, end } of layers) {
    const size = sizes.at(-1);
    if (end === "up" && skips.pop() !== size) return { sizes, clash: skipSize(sizes, layers) };
    sizes.push(sizeAfter(size, layer));
    if (end === "down") skips.push(sizes.at(-1));
  }
  return { sizes, clash: null };
}

function skipSize(sizes, layers) {
  const { level } = layers[sizes.length - 1];
  return sizes[layers.findIndex((one) => one.end === "down" && one.level === level) + 1];
}

/** For each size, input first: the places that reach output i of the last one. */
export function reach(sizes, layers, i) {
  const sets = [[i]];
  for (let k = sizes.length - 2; k >= 0; k--) {
    const heardBy = sets[0].flatMap((j) => heard(sizes[k], layers[k].layer, j));
    sets.unshift([...new Set(heardBy)].sort((a, b) => a - b));
  }
  return sets;
}

/** The same through the uppermost skip alone: [in the input, in the skip]; null where there is none. */
export function reachBySkip(sizes, layers, i) {
  if (sizes.length <= layers.length || layers[0].end !== "down") return null;
  const through = (set) => [...new Set(set.flatMap((j) => heard(sizes[0], CONV, j)))];
  const skip = through(through([i])).sort((a, b) => a - b);
  return [through(skip).sort((a, b) => a - b), skip];
}
