// Tables over t = 0..T and the Gaussian algebra, as ddpm_lib/schedules.py and diffusion.py have them.

/** Evenly spaced betas with beta[0] = 0 in front (schedules.linear). */
export function linearBeta(T, beta_1, beta_T) {
  const step = T > 1 ? (beta_T - beta_1) / (T - 1) : 0;
  return Float64Array.from({ length: T + 1 }, (_, t) => (t ? beta_1 + (t - 1) * step : 0));
}

/** Betas whose alpha_bar is a squared cosine (schedules.cosine). */
export function cosineBeta(T, s = 0.008, beta_max = 0.999) {
  const f = (t) => Math.cos(((t / T + s) / (1 + s)) * (Math.PI / 2)) ** 2;
  const beta = (t) => Math.min(1 - f(t) / f(t - 1), beta_max);
  return Float64Array.from({ length: T + 1 }, (_, t) => (t ? beta(t) : 0));
}

/** The product of 1 - beta_1 .. 1 - beta_t. */
export function alphaBar(beta) {
  let product = 1;
  return beta.map((beta_t) => (product *= 1 - beta_t));
}

/** The signal-to-noise ratio; infinite at t = 0. */
export function snr(alpha_bar) {
  return alpha_bar.map((share) => share / (1 - share));
}

/** x_t from x_0 in one step (diffusion.add_noise). */
export function jump(x_0, eps, alpha_bar_t) {
  const [a, s] = [Math.sqrt(alpha_bar_t), Math.sqrt(1 - alpha_bar_t)];
  return x_0.map((value, i) => a * value + s * eps[i]);
}

/** q(x_u | x_t, x_0), u < t: the factors of x_0 and x_t in its mean, and its variance (diffusion.posterior). */
export function posterior(alpha_bar_t, alpha_bar_u) {
  const beta = 1 - alpha_bar_t / alpha_bar_u; // of all the steps from u to t; beta_t for u = t - 1
  return {
    fromX0: (Math.sqrt(alpha_bar_u) * beta) / (1 - alpha_bar_t),
    fromXt: (Math.sqrt(1 - beta) * (1 - alpha_bar_u)) / (1 - alpha_bar_t),
    variance: ((1 - alpha_bar_u) / (1 - alpha_bar_t)) * beta,
  };
}
