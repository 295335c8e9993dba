// The network of chapter 9 (networks.tiny.MLP) for points in the plane.

import { linear, silu } from "./products.js";
import { sinusoidal } from "./time.js";

/** Numbers of 16 bits (IEEE 754 half precision, little-endian) in a packed uint8 tensor. */
export function halves({ base64 }) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 2 }, (_, i) => {
    const bits = view.getUint16(2 * i, true);
    const [exponent, fraction] = [(bits >> 10) & 31, (bits & 1023) / 1024];
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
    return bits >> 15 ? -size : size;
  });
}

/** eps_hat of all points; flat: the weights and biases, layer after layer. */
export function mlp(flat, width) {
  let used = 0;
  const take = (count) => flat.subarray(used, (used += count));
  const [first, ...others] = [2 + width, width, width, width].map((inputs, i) => {
    const outputs = i < 3 ? width : 2;
    return { weight: take(outputs * inputs), bias: take(outputs) };
  });
  // The time is the same for all points, so its part of the first layer is computed once.
  const ofPoint = (i) => i % (2 + width) < 2;
  const points = first.weight.filter((_, i) => ofPoint(i));
  const times = first.weight.filter((_, i) => !ofPoint(i));
  /** x_t: [x, y, x, y, ...]; one t for all of them */
  return (x_t, t) => {
    const bias = linear({ weight: times, bias: first.bias }, sinusoidal(width, t), width);
    return others.reduce((rows, layer) => linear(layer, silu(rows), width), linear({ weight: points, bias }, x_t, 2));
  };
}
