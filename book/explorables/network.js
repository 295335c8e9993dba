// The UNet of chapter 12 (ddpm_lib/networks/unet.py) in plain JavaScript, one function for each layer.
//
// A batch of pictures is { data, side, channels }: picture after picture, row after row, and for each
// pixel the numbers of all its channels. So a pixel is a row of a matrix, and what has weights is one
// matrix product. 64-bit floats: a browser computes with them anyway, and 32 bits would be converted.

import { conv3x3 } from "./convolution.js";
import { dotProduct, linear, silu } from "./products.js";
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
    weights[o] = dotProduct(q, 0, qkv, (3 * o + 1) * channels, channels, 0) / Math.sqrt(channels);
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
