// The UNet of chapter 12 (ddpm_lib/networks/unet.py) in plain JavaScript, one function for each layer.
//
// A batch of pictures is { data, side, channels }: picture after picture, row after row, and for each
// pixel the numbers of all its channels. So a pixel is a row of a matrix, and what has weights is one
// matrix product. 64-bit floats: a browser computes with them anyway, and 32 bits would be converted.

import { sinusoidal } from "./time.js";

// ------------------------------------------------------------------------------------------ weights

/** The layers that a page carries, { name: { weight, bias } } (quantization.dequantize). */
export function unpackLayers(packed) {
  const layers = {};
  for (const [name, { values, scale }] of Object.entries(packed)) {
    const [, layer, part] = name.match(/^(.*)\.(weight|bias)$/);
    layers[layer] ??= {};
    layers[layer][part] = scale ? scaled(bytesOf(values), floats(scale)) : Float64Array.from(floats(values));
  }
  return layers;
}

function bytesOf({ base64 }) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function floats(packed) {
  return new Float32Array(bytesOf(packed).buffer);
}

/** One scale for each output: rows of int8, each times its float. */
function scaled(bytes, scale) {
  const inputs = bytes.length / scale.length;
  const value = (whole, i) => Math.fround(whole * scale[Math.floor(i / inputs)]);
  return Float64Array.from(new Int8Array(bytes.buffer), value);
}

// ------------------------------------------------------------------------- layers without a neighbor

/** rows · weightᵀ + bias: a linear layer, and what a convolution comes down to; out: where to, if it is there. */
export function linear({ weight, bias }, rows, inputs, out) {
  const [count, outputs] = [rows.length / inputs, weight.length / inputs];
  out ??= new Float64Array(count * outputs);
  const start = bias ?? new Float64Array(outputs);
  const [fullRows, fullOutputs] = [count - (count % 4), outputs - (outputs % 4)];
  for (let m = 0; m < fullRows; m += 4) {
    for (let n = 0; n < fullOutputs; n += 4) block(rows, weight, start, inputs, outputs, m, n, out);
  }
  for (let m = 0; m < count; m++) {
    for (let n = m < fullRows ? fullOutputs : 0; n < outputs; n++) {
      out[m * outputs + n] = dot(rows, m * inputs, weight, n * inputs, inputs, start[n]);
    }
  }
  return out;
}

function dot(x, i, y, j, count, start) {
  let sum = start;
  for (let k = 0; k < count; k++) sum += x[i + k] * y[j + k];
  return sum;
}

/** Sixteen sums at a time, four rows by four outputs: each number that is read is used four times. */
function block(rows, weight, bias, inputs, outputs, m, n, out) {
  // (No destructuring in here: before the compiler has seen a function often, that is slow.)
  let a, b, c, d, e, f, g, h, A, B, C, D, E, F, G, H;
  a = e = A = E = bias[n];
  b = f = B = F = bias[n + 1];
  c = g = C = G = bias[n + 2];
  d = h = D = H = bias[n + 3];
  let i = m * inputs;
  let j = n * inputs;
  for (let k = 0; k < inputs; k++, i++, j++) {
    const w = weight[j];
    const x = weight[j + inputs];
    const y = weight[j + 2 * inputs];
    const z = weight[j + 3 * inputs];
    let row = rows[i];
    a += row * w;
    b += row * x;
    c += row * y;
    d += row * z;
    row = rows[i + inputs];
    e += row * w;
    f += row * x;
    g += row * y;
    h += row * z;
    row = rows[i + 2 * inputs];
    A += row * w;
    B += row * x;
    C += row * y;
    D += row * z;
    row = rows[i + 3 * inputs];
    E += row * w;
    F += row * x;
    G += row * y;
    H += row * z;
  }
  write(out, m * outputs + n, a, b, c, d);
  write(out, (m + 1) * outputs + n, e, f, g, h);
  write(out, (m + 2) * outputs + n, A, B, C, D);
  write(out, (m + 3) * outputs + n, E, F, G, H);
}

function write(out, i, a, b, c, d) {
  out[i] = a;
  out[i + 1] = b;
  out[i + 2] = c;
  out[i + 3] = d;
}

/** z times its sigmoid. */
export function silu(values) {
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = values[i] / (1 + Math.exp(-values[i]));
  return out;
}

/** At most 8 groups, each of at least 4 channels (networks.embedding.group_norm). */
export function groupsOf(channels) {
  for (let groups = 8; groups > 1; groups--) {
    if (channels % groups === 0 && channels / groups >= 4) return groups;
  }
  return 1;
}

/** Mean zero and variance one in each group of channels of each picture, then weight and bias, if any. */
export function groupNorm({ weight, bias }, { data, side, channels }) {
  const [pixels, width] = [side * side, channels / groupsOf(channels)];
  const out = new Float64Array(data.length);
  for (let picture = 0; picture < data.length; picture += pixels * channels) {
    for (let first = 0; first < channels; first += width) {
      let [sum, squares] = [0, 0];
      const start = picture + first;
      for (let p = 0; p < pixels; p++) {
        for (let c = 0; c < width; c++) sum += data[start + p * channels + c];
      }
      const mean = sum / (pixels * width);
      for (let p = 0; p < pixels; p++) {
        for (let c = 0; c < width; c++) squares += (data[start + p * channels + c] - mean) ** 2;
      }
      const factor = 1 / Math.sqrt(squares / (pixels * width) + 1e-5);
      for (let c = 0; c < width; c++) {
        const scale = factor * (weight ? weight[first + c] : 1);
        const shift = bias ? bias[first + c] : 0;
        for (let i = start + c, p = 0; p < pixels; p++, i += channels) out[i] = (data[i] - mean) * scale + shift;
      }
    }
  }
  return { data: out, side, channels };
}

/** x (1 + scale) + shift, for each channel. */
export function scaleShift({ data, side, channels }, scale, shift) {
  const out = new Float64Array(data.length);
  for (let i = 0; i < out.length; ) {
    for (let c = 0; c < channels; c++, i++) out[i] = data[i] * (1 + scale[c]) + shift[c];
  }
  return { data: out, side, channels };
}

// ------------------------------------------------------------------------------ layers with neighbors

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

/** Twice the side, by repeating pixels. */
export function upsample({ data, side, channels }) {
  const [size, out] = [2 * side, new Float64Array(4 * data.length)];
  for (let to = 0, row = 0; to < out.length; row++) {
    const from = Math.floor(row / 2) * side; // rows are counted through all pictures
    for (let x = 0; x < size; x++, to += channels) {
      const pixel = (from + Math.floor(x / 2)) * channels;
      for (let c = 0; c < channels; c++) out[to + c] = data[pixel + c];
    }
  }
  return { data: out, side: size, channels };
}

/** The channels of x, then those of y. */
export function concat(x, y) {
  const channels = x.channels + y.channels;
  const out = new Float64Array(x.data.length + y.data.length);
  for (let to = 0, i = 0, j = 0; to < out.length; to += channels) {
    for (let c = 0; c < x.channels; c++) out[to + c] = x.data[i++];
    for (let c = x.channels; c < channels; c++) out[to + c] = y.data[j++];
  }
  return { ...x, data: out, channels };
}

/** x + attention among its pixels, softmax(q kᵀ / √C) v (networks.unet.Attention). */
export function attention(layers, name, x) {
  const { side, channels } = x;
  const qkv = linear(layers[`${name}.qkv`], groupNorm(layers[`${name}.norm`], x).data, channels);
  const mixed = new Float64Array(x.data.length);
  const block = side ** 2 * 3 * channels; // of qkv, for each picture
  for (let first = 0, to = 0; first < qkv.length; first += block) {
    for (let p = first; p < first + block; p += 3 * channels, to += channels) {
      attend(qkv.subarray(first, first + block), qkv.subarray(p, p + channels), mixed.subarray(to, to + channels));
    }
  }
  return sum(x, { ...x, data: linear(layers[`${name}.out`], mixed, channels) });
}

/** What one pixel asks with q, from the q, k, v of all. */
function attend(qkv, q, out) {
  const channels = q.length;
  const weights = new Float64Array(qkv.length / (3 * channels));
  let top = -Infinity;
  for (let o = 0; o < weights.length; o++) {
    weights[o] = dot(q, 0, qkv, (3 * o + 1) * channels, channels, 0) / Math.sqrt(channels);
    top = Math.max(top, weights[o]);
  }
  let total = 0;
  for (let o = 0; o < weights.length; o++) total += weights[o] = Math.exp(weights[o] - top);
  for (let o = 0; o < weights.length; o++) {
    const v = (3 * o + 2) * channels;
    for (let c = 0; c < channels; c++) out[c] += (weights[o] / total) * qkv[v + c];
  }
}

function sum(x, y) {
  const out = new Float64Array(y.data.length);
  for (let i = 0; i < out.length; i++) out[i] = x.data[i] + y.data[i];
  return { ...y, data: out };
}

// ------------------------------------------------------------------------------ blocks, and the whole

/** What all blocks share of the way from t to their scales and shifts (networks.unet.time_mlp). */
export function timeVector(layers, t) {
  const dim = layers["time.1"].bias.length;
  const hidden = silu(linear(layers["time.1"], sinusoidal(dim, t), dim));
  return silu(linear(layers["time.3"], hidden, dim));
}

/** x + f(x, t) (networks.unet.ResidualBlock); emb: a timeVector, the same for all pictures. */
export function residualBlock(layers, name, x, emb) {
  const layer = (part) => layers[`${name}.${part}`];
  const active = (pictures) => ({ ...pictures, data: silu(pictures.data) });
  const h = conv3x3(layer("conv_1"), active(groupNorm(layer("norm"), x)));
  const both = linear(layer("condition.project"), emb, emb.length);
  const [scale, shift] = [both.subarray(0, h.channels), both.subarray(h.channels)];
  const f = conv3x3(layer("conv_2"), active(scaleShift(groupNorm({}, h), scale, shift)));
  const shortcut = layer("shortcut"); // a convolution of 1 by 1, where the width changes
  return sum(shortcut ? { data: linear(shortcut, x.data, x.channels) } : x, f);
}

/** The blocks of one resolution, each followed by attention where there is one (networks.unet.Level). */
export function level(layers, name, x, emb) {
  for (let i = 0; `${name}.blocks.${i}.conv_1` in layers; i++) {
    x = residualBlock(layers, `${name}.blocks.${i}`, x, emb);
    if (`${name}.attention.${i}.qkv` in layers) x = attention(layers, `${name}.attention.${i}`, x);
  }
  return x;
}

/** eps_hat of a batch at one time (networks.unet.UNet). */
export function unet(layers, x_t, t) {
  const emb = timeVector(layers, t);
  const skips = [];
  let x = conv3x3(layers.stem, x_t);
  for (let i = 0; `shrink.${i}` in layers; i++) {
    x = level(layers, `down.${i}`, x, emb);
    skips.push(x);
    x = conv3x3(layers[`shrink.${i}`], x, 2);
  }
  x = level(layers, "bottom", x, emb);
  for (let i = 0; skips.length; i++) {
    x = concat(conv3x3(layers[`grow.${i}.conv`], upsample(x)), skips.pop());
    x = level(layers, `up.${i}`, x, emb);
  }
  x = groupNorm(layers["head.0"], x);
  return conv3x3(layers["head.2"], { ...x, data: silu(x.data) });
}
