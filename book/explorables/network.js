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
  return Float64Array.from(new Int8Array(bytes.buffer), (whole, i) => Math.fround(whole * scale[Math.floor(i / inputs)]));
}

// ------------------------------------------------------------------------- layers without a neighbor

/** rows · weightᵀ + bias: a linear layer, and what a convolution comes down to. Without bias: zeros. */
export function linear({ weight, bias }, rows, inputs) {
  const [count, outputs] = [rows.length / inputs, weight.length / inputs];
  const start = bias ?? new Float64Array(outputs);
  const out = new Float64Array(count * outputs);
  const [evenRows, evenOutputs] = [count - (count % 4), outputs - (outputs % 4)];
  for (let m = 0; m < evenRows; m += 4) {
    for (let n = 0; n < evenOutputs; n += 4) block(rows, weight, start, inputs, outputs, m, n, out);
    for (let n = evenOutputs; n < outputs; n++) {
      for (let i = m; i < m + 4; i++) out[i * outputs + n] = dot(rows, i * inputs, weight, n * inputs, inputs, start[n]);
    }
  }
  for (let m = evenRows; m < count; m++) {
    for (let n = 0; n < outputs; n++) out[m * outputs + n] = dot(rows, m * inputs, weight, n * inputs, inputs, start[n]);
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
  const [p, q, r, s] = [bias[n], bias[n + 1], bias[n + 2], bias[n + 3]];
  let [a, b, c, d, e, f, g, h] = [p, q, r, s, p, q, r, s];
  let [A, B, C, D, E, F, G, H] = [p, q, r, s, p, q, r, s];
  let [i, j] = [m * inputs, n * inputs];
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
  out.set([a, b, c, d], m * outputs + n);
  out.set([e, f, g, h], (m + 1) * outputs + n);
  out.set([A, B, C, D], (m + 2) * outputs + n);
  out.set([E, F, G, H], (m + 3) * outputs + n);
}

/** z times its sigmoid. */
export function silu(values) {
  return values.map((z) => z / (1 + Math.exp(-z)));
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
export function scaleShift(x, scale, shift) {
  const { channels } = x;
  return { ...x, data: x.data.map((value, i) => value * (1 + scale[i % channels]) + shift[i % channels]) };
}

// ------------------------------------------------------------------------------ layers with neighbors

/** A convolution with kernels of 3 by 3 and a border of zeros; stride 2 halves the side. */
export function conv3x3(layer, { data, side, channels }, stride = 1) {
  const size = Math.ceil(side / stride);
  const [count, inputs] = [data.length / (side * side * channels), 9 * channels];
  // Each row is what one output pixel sees: for every channel its 9 neighbors, as in torch's kernels.
  const patches = new Float64Array(count * size * size * inputs);
  let row = 0;
  for (let picture = 0; picture < count; picture++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++, row += inputs) {
        for (let k = 0; k < 9; k++) {
          const [v, u] = [y * stride + Math.floor(k / 3) - 1, x * stride + (k % 3) - 1];
          if (v < 0 || v >= side || u < 0 || u >= side) continue; // zeros stand there already
          const pixel = ((picture * side + v) * side + u) * channels;
          for (let c = 0, to = row + k; c < channels; c++, to += 9) patches[to] = data[pixel + c];
        }
      }
    }
  }
  return { data: linear(layer, patches, inputs), side: size, channels: layer.bias.length };
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
  const [pixels, channels] = [x.side ** 2, x.channels];
  const mixed = new Float64Array(x.data.length);
  const qkv = linear(layers[`${name}.qkv`], groupNorm(layers[`${name}.norm`], x).data, channels);
  for (let first = 0; first < x.data.length / channels; first += pixels) {
    const at = (p, part) => ((first + p) * 3 + part) * channels; // part: 0 of q, 1 of k, 2 of v
    for (let p = 0; p < pixels; p++) {
      const score = (_, o) => dot(qkv, at(p, 0), qkv, at(o, 1), channels, 0) / Math.sqrt(channels);
      const scores = Float64Array.from({ length: pixels }, score);
      const top = Math.max(...scores);
      const powers = scores.map((value) => Math.exp(value - top));
      const total = powers.reduce((sum, power) => sum + power);
      for (let o = 0; o < pixels; o++) {
        for (let c = 0; c < channels; c++) {
          mixed[(first + p) * channels + c] += (powers[o] / total) * qkv[at(o, 2) + c];
        }
      }
    }
  }
  return sum(x, { ...x, data: linear(layers[`${name}.out`], mixed, channels) });
}

function sum(x, y) {
  return { ...y, data: y.data.map((value, i) => value + x.data[i]) };
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
