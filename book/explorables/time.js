// The time of a step: which ones a sampler visits, and how a network is told.

/** The n + 1 times of n equal strides: T, ..., 0 (sampling.strided). */
export function strided(T, n) {
  return Array.from({ length: n + 1 }, (_, i) => Math.floor((T * (n - i)) / n));
}

/** sin(w_j t) and cos(w_j t) (networks.embedding.Sinusoidal). */
export function sinusoidal(dim, t, longest = 10000) {
  const angle = (_, j) => t * Math.exp((-Math.log(longest) * j) / (dim / 2 - 1));
  const angles = Array.from({ length: dim / 2 }, angle);
  return Float64Array.from([...angles.map(Math.sin), ...angles.map(Math.cos)]);
}
