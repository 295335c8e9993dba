// Mixtures of round Gaussians, as in ddpm_lib/exact.py: { weights: [K], means: [K][d], variances: [K] }.

/** q(x_t) of data from the mixture (exact.noised). */
export function noised({ weights, means, variances }, alpha_bar_t) {
  const a = Math.sqrt(alpha_bar_t);
  return {
    weights,
    means: means.map((mean) => mean.map((value) => a * value)),
    variances: variances.map((variance) => alpha_bar_t * variance + 1 - alpha_bar_t),
  };
}

/** log p(x) (exact.log_density).  x: [d] */
export function logDensity(mixture, x) {
  const logs = logParts(mixture, x);
  const top = Math.max(...logs);
  return top + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - top), 0));
}

/** The share of each Gaussian in the density at x: the probability that x came from it.  [d] -> [K] */
export function shares(mixture, x) {
  const logs = logParts(mixture, x);
  const top = Math.max(...logs);
  const parts = logs.map((log) => Math.exp(log - top));
  const sum = parts.reduce((total, part) => total + part);
  return parts.map((part) => part / sum);
}

/** The true q(x_u | x_t), a mixture; of x_0 for alpha_bar_u = 1 (exact.reverse).  x_t: [d] */
export function reverse(mixture, x_t, alpha_bar_t, alpha_bar_u) {
  const ratio = alpha_bar_t / alpha_bar_u;
  const [q_t, q_u] = [noised(mixture, alpha_bar_t), noised(mixture, alpha_bar_u)];
  const gain = q_u.variances.map((variance, k) => (Math.sqrt(ratio) * variance) / q_t.variances[k]);
  return {
    weights: shares(q_t, x_t),
    means: q_u.means.map((mean, k) =>
      mean.map((value, i) => value + gain[k] * (x_t[i] - q_t.means[k][i])),
    ),
    variances: q_u.variances.map((variance, k) => ((1 - ratio) * variance) / q_t.variances[k]),
  };
}

/** The mean of a mixture (exact.mean).  [d] */
export function mixtureMean({ weights, means }) {
  return means[0].map((_, i) => weights.reduce((sum, weight, k) => sum + weight * means[k][i], 0));
}

/** E[x_0 | x_t] and E[eps | x_t] (exact.exact_denoiser).  x_t: [d] */
export function denoise(mixture, x_t, alpha_bar_t) {
  const [a, s] = [Math.sqrt(alpha_bar_t), Math.sqrt(1 - alpha_bar_t)];
  const x_0 = mixtureMean(reverse(mixture, x_t, alpha_bar_t, 1));
  return { x_0, eps: x_t.map((value, i) => (value - a * x_0[i]) / s) };
}

/** log(w_k N_k(x)) for each k. */
function logParts({ weights, means, variances }, x) {
  return weights.map((weight, k) => {
    const distance = x.reduce((sum, value, i) => sum + (value - means[k][i]) ** 2, 0);
    const spread = x.length * Math.log(2 * Math.PI * variances[k]);
    return Math.log(weight) - (distance / variances[k] + spread) / 2;
  });
}
