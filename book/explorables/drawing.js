// Runs of a sampler over pictures, in slices of time, one or two of them from the same noise.

import { randn, random } from "./core.js";
import { strided } from "./time.js";
import { ddimStep, ddpmStep, walk } from "./walk.js";

export const SIDE = 8; // pixels of a picture
export const GRAYS = [-1, 1]; // black and white
const GAP = 2; // pixels between pictures
const SLICE = 40; // milliseconds of work between two looks at the page

/** The steps of a run, one network call each: { t, x_t, x_0 } for `count` pictures from a seed. */
export function drawing({ alpha_bar, predict }, { sampler, n, eta, variance, clip }, seed, count) {
  const uniform = random(seed);
  const x_T = randn(uniform, count * SIDE ** 2);
  const step = sampler === "ddim" ? ddimStep(eta) : ddpmStep(variance);
  return walk({ alpha_bar, predict, times: strided(alpha_bar.length - 1, n), step, x_T, uniform, clip });
}

/** Pictures side by side in a square, black between them, as one picture. */
export function mosaic(pictures, count) {
  const [width, across] = [widthOf(count), Math.sqrt(count)];
  const out = new Float64Array(width * width).fill(GRAYS[0]);
  for (let i = 0; i < pictures.length; i++) {
    const [k, p] = [Math.floor(i / SIDE ** 2), i % SIDE ** 2];
    const row = Math.floor(k / across) * (SIDE + GAP) + Math.floor(p / SIDE);
    out[row * width + (k % across) * (SIDE + GAP) + (p % SIDE)] = pictures[i];
  }
  return out;
}

export function widthOf(count) {
  return Math.sqrt(count) * (SIDE + GAP) - GAP;
}

/** The root of the mean squared difference. */
export function distance(x, y) {
  return Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0) / x.length);
}

// ------------------------------------------------------------------------------------------- a run

/** Takes steps in slices, so that the page stays alive; what starts later ends what is under way. */
export function runner(model, state, show) {
  let latest = 0;
  const stop = () => {
    latest += 1;
    state.running = false;
  };
  const start = async (again) => {
    stop();
    const own = latest;
    const runs = state.settings.slice(0, state.forked ? 2 : 1);
    const keys = runs.map((settings) => JSON.stringify([settings, state.seed, state.count]));
    // The other run of a fork stays as it is, if it is complete.
    const stays = (k) => !again && keys[k] === state.keys[k] && state.frames[k].length > runs[k].n;
    state.frames = runs.map((_, k) => (stays(k) ? state.frames[k] : []));
    state.keys = keys;
    state.running = true;
    const walks = runs.map((settings) => drawing(model, settings, state.seed, state.count));
    const share = (k) => state.frames[k].length / (runs[k].n + 1);
    for (let rest = performance.now(); ; ) {
      // The one that is behind takes the next step, so that both arrive together.
      const k = runs.length > 1 && share(1) < share(0) ? 1 : 0;
      if (share(k) === 1) break;
      state.frames[k].push(walks[k].next().value);
      if (performance.now() - rest < SLICE) continue;
      show();
      await new Promise((ready) => setTimeout(ready));
      if (own !== latest) return;
      rest = performance.now();
    }
    state.running = false;
    show();
  };
  return { start, stop };
}

/** Which step of run k is looked at: the slider counts those of A, and B shows the same share of its own. */
function looked(state, k) {
  const [{ n }, own] = [state.settings[0], state.settings[k]];
  return Math.round((state.at / n) * own.n);
}

/** What is to be seen of run k, or nothing if it has not come so far and nobody follows it. */
export function seen(state, k) {
  const frames = state.frames[k] ?? [];
  return frames[looked(state, k)] ?? (state.follow ? frames.at(-1) : undefined);
}

/** How many network calls are done, and how many there are. */
export function work({ frames, settings }) {
  const done = frames.reduce((sum, { length }) => sum + Math.max(0, length - 1), 0);
  return [done, frames.reduce((sum, _, k) => sum + settings[k].n, 0) || settings[0].n];
}
