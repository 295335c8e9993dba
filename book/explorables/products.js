// Matrix products, where networks spend their time, and what stands between them.

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
      out[m * outputs + n] = dotProduct(rows, m * inputs, weight, n * inputs, inputs, start[n]);
    }
  }
  return out;
}

export function dotProduct(x, i, y, j, count, start) {
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
