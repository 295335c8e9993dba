// Clouds of points in the plane: drawn by a network or from the data, compared, and counted.

import { randn, random } from "./core.js";
import { ddpmStep, walk } from "./walk.js";

const DIRECTIONS = 32; // of the sliced distance
const STRAY = 4; // widths from every center

/** The best denoiser for clusters of one width at equal distances from zero (chapter 9). */
export function bestDenoiser(means, width, alpha_bar) {
  return (x_t, t) => {
    const [a, s] = [Math.sqrt(alpha_bar[t]), Math.sqrt(1 - alpha_bar[t])];
    const D = (a * width) ** 2 + s ** 2;
    const out = new Float64Array(x_t.length);
    for (let i = 0; i < x_t.length; i += 2) {
      const logs = means.map(([x, y]) => (a * (x * x_t[i] + y * x_t[i + 1])) / D);
      const top = Math.max(...logs);
      const weights = logs.map((log) => Math.exp(log - top));
      const sum = weights.reduce((total, weight) => total + weight);
      for (const k of [0, 1]) {
        const meant = means.reduce((total, mean, m) => total + weights[m] * mean[k], 0) / sum;
        out[i + k] = (s / D) * (x_t[i + k] - a * meant);
      }
    }
    return out;
  };
}

/** The points of x_T and what follows it; variance: "beta_tilde", "beta" or "zero". */
export function paths({ alpha_bar, predict, times, variance, seed, count }) {
  const uniform = random(seed);
  const x_T = randn(uniform, 2 * count);
  const run = walk({ alpha_bar, predict, times, step: ddpmStep(variance), x_T, uniform });
  return Array.from(run, ({ x_t }) => x_t);
}

/** Points of the data from a seed; even: the clusters in turn, so that each has exactly its share. */
export function drawData(means, width, count, seed, even = false) {
  const uniform = random(seed);
  const pick = (_, i) => (even ? i % means.length : Math.floor(uniform() * means.length));
  const which = Array.from({ length: count }, pick);
  const z = randn(uniform, 2 * count);
  return z.map((value, i) => means[which[i >> 1]][i % 2] + width * value);
}

/** The sliced Wasserstein-1 distance of two equally large clouds (chapter 9). */
export function slicedDistance(x, y, directions = DIRECTIONS) {
  let total = 0;
  for (let k = 0; k < directions; k++) {
    const [c, s] = [Math.cos((Math.PI * k) / directions), Math.sin((Math.PI * k) / directions)];
    const project = (points) =>
      Float64Array.from({ length: points.length / 2 }, (_, i) => c * points[2 * i] + s * points[2 * i + 1]).sort();
    const other = project(y);
    total += project(x).reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / other.length;
  }
  return total / directions;
}

/** How many points are nearest to each center, and how many are far from all. */
export function census(points, means, width) {
  const counts = means.map(() => 0);
  let strays = 0;
  for (let i = 0; i < points.length; i += 2) {
    const far = means.map(([x, y]) => Math.hypot(points[i] - x, points[i + 1] - y));
    const nearest = Math.min(...far);
    if (nearest > STRAY * width) strays += 1;
    else counts[far.indexOf(nearest)] += 1;
  }
  return { counts, strays };
}
