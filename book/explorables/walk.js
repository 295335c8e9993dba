// From noise to data, one step after another, as ddpm_lib/sampling.py does it.
//
// A step from t to an earlier u is four numbers: x_u = fromX0 x_0 + fromEps eps + fromXt x_t + sigma z,
// with the x_0 and eps that the network predicts from x_t.

import { randn } from "./core.js";
import { posterior } from "./schedules.js";

/** A draw of the posterior (sampling.ddpm); variance: "beta_tilde", "beta" or "zero". */
export function ddpmStep(variance) {
  return (alpha_bar_t, alpha_bar_u) => {
    const q = posterior(alpha_bar_t, alpha_bar_u);
    const squared = { beta_tilde: q.variance, beta: 1 - alpha_bar_t / alpha_bar_u, zero: 0 };
    const sigma = alpha_bar_u < 1 ? Math.sqrt(squared[variance]) : 0; // noise on x_0 would only be seen
    return { fromX0: q.fromX0, fromEps: 0, fromXt: q.fromXt, sigma };
  };
}

/** x_0 and eps as predicted, mixed for u (sampling.ddim); eta: 0, no fresh noise, to 1, that of DDPM. */
export function ddimStep(eta) {
  return (alpha_bar_t, alpha_bar_u) => {
    const variance = eta ** 2 * posterior(alpha_bar_t, alpha_bar_u).variance;
    const kept = Math.max(0, 1 - alpha_bar_u - variance);
    return { fromX0: Math.sqrt(alpha_bar_u), fromEps: Math.sqrt(kept), fromXt: 0, sigma: Math.sqrt(variance) };
  };
}

/** What x_t was made of according to eps, with x_0 kept in [-limit, limit] (sampling.denoiser). */
export function decode(x_t, eps, alpha_bar_t, limit = Infinity) {
  const [a, s] = [Math.sqrt(alpha_bar_t), Math.sqrt(1 - alpha_bar_t)];
  const x_0 = x_t.map((value, k) => (value - s * eps[k]) / a);
  if (limit === Infinity) return { x_0, eps };
  const kept = limited(x_0, limit);
  return { x_0: kept, eps: x_t.map((value, k) => (value - a * kept[k]) / s) }; // so that both still make up x_t
}

function limited(x, limit) {
  return x.map((value) => Math.min(Math.max(value, -limit), limit));
}

/**
 * x_T and what follows it (sampling.sample), each { t, x_t, x_0 } with the x_0 predicted there.
 *
 * predict: (x_t, t) -> eps;  step: one of the above;  uniform: where the fresh noise comes from;
 * clip: "x_0" keeps the prediction in [-1, 1], "x_t" what a step returns (which is wrong), "none" neither
 */
export const walk = function* ({ alpha_bar, predict, times, step, x_T, uniform, clip = "none" }) {
  let x_t = x_T;
  for (let i = 0; i + 1 < times.length; i++) {
    const [t, u] = [times[i], times[i + 1]];
    const { x_0, eps } = decode(x_t, predict(x_t, t), alpha_bar[t], clip === "x_0" ? 1 : Infinity);
    yield { t, x_t, x_0 };
    const { fromX0, fromEps, fromXt, sigma } = step(alpha_bar[t], alpha_bar[u]);
    const z = sigma > 0 ? randn(uniform, x_t.length) : null;
    x_t = x_t.map((value, k) => fromX0 * x_0[k] + fromEps * eps[k] + fromXt * value + (z ? sigma * z[k] : 0));
    if (clip === "x_t") x_t = limited(x_t, 1);
  }
  yield { t: times.at(-1), x_t, x_0: x_t };
};
