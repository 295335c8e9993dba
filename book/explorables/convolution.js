// Convolutions as matrix products. A batch of pictures is { data, side, channels }, as in network.js.

import { linear } from "./products.js";

/** A convolution with kernels of 3 by 3 and a border of zeros; stride 2 halves the side. */
export function conv3x3(layer, x, stride = 1) {
  return stride === 1 && x.side % 2 === 0 && x.channels > 1 ? byTiles(layer, x) : byPatches(layer, x, stride);
}

/** A row for what each output sees: for every channel its 9 neighbors, as in torch's kernels. */
function byPatches(layer, { data, side, channels }, stride) {
  const [size, inputs] = [Math.ceil(side / stride), 9 * channels];
  const patches = new Float64Array((data.length / side ** 2) * size ** 2 * 9);
  const padded = bordered({ data, side, channels });
  for (let row = 0, i = 0; row < patches.length; row += inputs, i++) {
    const [x, y, picture] = [i % size, Math.floor(i / size) % size, Math.floor(i / size ** 2)];
    for (let k = 0; k < 9; k++) {
      const [v, u] = [y * stride + Math.floor(k / 3), x * stride + (k % 3)];
      const from = ((picture * (side + 2) + v) * (side + 2) + u) * channels;
      for (let c = 0; c < channels; c++) patches[row + 9 * c + k] = padded[from + c];
    }
  }
  return { data: linear(layer, patches, inputs), side: size, channels: layer.bias.length };
}

/** With a border of zeros, one pixel wide. */
function bordered({ data, side, channels }) {
  const row = side * channels;
  const out = new Float64Array((data.length / side ** 2) * (side + 2) ** 2);
  for (let from = 0, i = 0; from < data.length; from += row, i++) {
    const line = Math.floor(i / side) * (side + 2) + (i % side) + 1;
    out.set(data.subarray(from, from + row), line * (row + 2 * channels) + channels);
  }
  return out;
}

/**
 * The same with 16 products in place of 36 for every 2 by 2 outputs (Lavin & Gray 2016, sec. 4.1).
 *
 * Along a line, a kernel g over the inputs d_0 .. d_3 has two outputs. Both are sums of the same four
 * products, of one number from `differences` of d and one from `spread` of g. In a plane: rows, columns.
 */
function byTiles(layer, x) {
  const [half, channels, outputs] = [x.side / 2, x.channels, layer.bias.length];
  layer.spread ??= spreadKernels(layer.weight); // once for all steps
  const lines = differences(bordered(x), x.side + 2, channels); // (4, B, side + 2, half, channels)
  const tiles = differences(lines, x.side + 2, half * channels); // (4, 4, B, half, half, channels)
  const products = new Float64Array((tiles.length / channels) * outputs);
  const part = (array, k) => array.subarray((k * array.length) / 16, ((k + 1) * array.length) / 16);
  layer.spread.forEach((weight, k) => {
    const bias = k === 5 ? layer.bias : undefined; // a product that is added once to every output
    linear({ weight, bias }, part(tiles, k), channels, part(products, k));
  });
  return { data: gathered(gathered(products, half * outputs), outputs), side: x.side, channels: outputs };
}

/** Along the middle of (outer, size, inner), of any four neighbors, two apart: (4, outer, size / 2 - 1, inner). */
function differences(data, size, inner) {
  const plane = (data.length / size) * (size / 2 - 1);
  const out = new Float64Array(4 * plane);
  for (let start = 0, to = 0; start < data.length; start += size * inner) {
    for (let i = start; i < start + (size - 2) * inner; i += inner) {
      for (let c = 0; c < inner; c++, i++, to++) {
        const q = data[i + inner];
        const r = data[i + 2 * inner];
        out[to] = data[i] - r;
        out[to + plane] = q + r;
        out[to + 2 * plane] = r - q;
        out[to + 3 * plane] = q - data[i + 3 * inner];
      }
    }
  }
  return out;
}

/** From (4, outer, inner) to the two outputs of each, (outer, 2, inner). */
function gathered(data, inner) {
  const plane = data.length / 4;
  const out = new Float64Array(2 * plane);
  for (let i = 0, to = 0; i < plane; to += inner) {
    for (let c = 0; c < inner; c++, i++, to++) {
      const q = data[i + plane];
      const r = data[i + 2 * plane];
      out[to] = data[i] + q + r;
      out[to + inner] = q - r - data[i + 3 * plane];
    }
  }
  return out;
}

function spread([p, q, r]) {
  return [p, (p + q + r) / 2, (p - q + r) / 2, r];
}

/** For each of the 16 products a matrix (outputs, channels). */
function spreadKernels(weight) {
  const matrices = Array.from({ length: 16 }, () => new Float64Array(weight.length / 9));
  for (let i = 0; i < weight.length / 9; i++) {
    const rows = [0, 3, 6].map((k) => spread(weight.subarray(9 * i + k, 9 * i + k + 3)));
    for (let x = 0; x < 4; x++) {
      const column = spread(rows.map((row) => row[x]));
      column.forEach((value, y) => (matrices[4 * y + x][i] = value));
    }
  }
  return matrices;
}
