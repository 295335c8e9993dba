# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # The best a network can do
#
# A student's lab report on a diffusion model ends with open questions. Why must the network be told $t$? And how can it predict noise at all, when noise is random? Both ask what the network would answer if its training were perfect. That answer can be computed. This chapter derives it, and measures how good it is at each $t$: below that, no network's loss can go.
#
# :::{admonition} At a glance
# :class: glance
#
# 45 minutes to read, longer with a pencil; it runs in about half a minute on a laptop's CPU, and needs no GPU. You need conditional normal distributions ({eq}`eq:conditional-gaussian`, chapter 1), the jump ({eq}`eq:jump`, chapter 2), mixtures ({eq}`def:mixture`, chapter 3), and the loss $L_\mathrm{simple}$ ({eq}`def:l-simple`, chapter 7).
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Two handwritten digits, a 0 and a 3, at t = 50, 100, 200, 300, 400, 600 and 1000. For each digit the upper row shows it noised, and the lower row shows the best guess of the clean digit. Up to t = 100 the guess is the clean digit. From t = 200 to 400 it is a digit with softer and softer edges. From t = 600 on it is the same gray blur for both digits."}, "figure": {"name": "fig-guesses", "caption": "Two digits, noised for $t$ steps (upper row of each pair), and the best guess of the clean picture that can be made from each (lower row). See that the guess is sharp while the noise leaves only one picture possible, and becomes an average of more and more pictures. At $t = 1000$ it is the average of the whole collection."}}
import torch

from ddpm_lib.data import digits, scale
from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, grid, style
from ddpm_lib.schedules import linear

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

schedule, T = linear(), 1000
a = schedule.alpha_bar.sqrt()  # (T+1,), signal
s = schedule.one_minus_alpha_bar.sqrt()  # (T+1,), noise
pictures = scale(digits().pixels).double().flatten(1)  # (1797, 64)


def best_guess(x_t, t):
    """E[x_0 | x_t] if x_0 is one of the pictures: derived below."""
    distance = torch.cdist(x_t, a[t] * pictures)
    return (-(distance**2) / (2 * s[t] ** 2)).softmax(1) @ pictures


times = [50, 100, 200, 300, 400, 600, 1000]
eps = torch.randn(2, 64)
noisy = [a[t] * pictures[[10, 13]] + s[t] * eps for t in times]
clean = [
    best_guess(x_t, t) for x_t, t in zip(noisy, times, strict=True)
]
rows = torch.stack([torch.stack(noisy), torch.stack(clean)])
rows = rows.permute(2, 0, 1, 3).reshape(-1, 1, 8, 8)  # digit, kind, t
grid(rows, rows=4, labels=[f"$t = {t}$" for t in times])

# %% [markdown]
# ## What a squared error asks for
#
# At one time $t$ the network is shown $x_t = a\,x_0 + s\,\bar\epsilon_t$, the jump {eq}`eq:jump` with $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$, and must name $\bar\epsilon_t$. Its loss is the mean squared difference, pixel by pixel. Suppose that it may be any function at all, and that it has been trained without end. Which function is it?
#
# The question has nothing to do with pictures yet. Let $y$ be the number that is asked for, such as the noise of one pixel, and let $x$ be what is shown, such as all of $x_t$. Both are random and depend on each other. A function $f$ answers $f(x)$, and pays $(y - f(x))^2$. Write $\mathbb E[y \mid x]$ for the mean of $y$ among all cases in which this $x$ is shown. It is a function of $x$ too, and a candidate. To compare any $f$ with it, subtract it and add it again:
#
# $$
# y - f(x) = \bigl(y - \mathbb E[y \mid x]\bigr) + \bigl(\mathbb E[y \mid x] - f(x)\bigr).
# $$
#
# Square both sides, and take the mean:
#
# $$
# \begin{aligned}
# \mathbb E\bigl(y - f(x)\bigr)^2 ={}& \mathbb E\bigl(y - \mathbb E[y \mid x]\bigr)^2\\
# &+ 2\,\mathbb E\bigl[\bigl(y - \mathbb E[y \mid x]\bigr)\bigl(\mathbb E[y \mid x] - f(x)\bigr)\bigr]\\
# &+ \mathbb E\bigl(\mathbb E[y \mid x] - f(x)\bigr)^2 .
# \end{aligned}
# $$
#
# We show that the middle term is zero. A mean over all cases can be taken in two stages, first among the cases with the same $x$, and then over $x$. This is the *tower rule*, $\mathbb E[\,\cdot\,] = \mathbb E\bigl[\mathbb E[\,\cdot \mid x]\bigr]$. In the first stage $g(x) = \mathbb E[y \mid x] - f(x)$ is a fixed number, and comes out; so does $\mathbb E[y \mid x]$ in the last step:
#
# $$
# \begin{aligned}
# \mathbb E\bigl[\bigl(y - \mathbb E[y \mid x]\bigr)\,g(x)\bigr]
# &= \mathbb E\Bigl[\mathbb E\bigl[\bigl(y - \mathbb E[y \mid x]\bigr)\,g(x) \bigm| x\bigr]\Bigr]\\
# &= \mathbb E\Bigl[g(x)\;\mathbb E\bigl[y - \mathbb E[y \mid x] \bigm| x\bigr]\Bigr]\\
# &= \mathbb E\Bigl[g(x)\,\bigl(\mathbb E[y \mid x] - \mathbb E[y \mid x]\bigr)\Bigr] = 0 .
# \end{aligned}
# $$
#
# Two terms are left:
#
# $$
# \mathbb E\bigl(y - f(x)\bigr)^2 = \mathbb E\bigl(y - \mathbb E[y \mid x]\bigr)^2 + \mathbb E\bigl(\mathbb E[y \mid x] - f(x)\bigr)^2 .
# $$ (eq:best-guess)
#
# The first does not depend on $f$. The second is never negative, and is zero exactly if $f(x) = \mathbb E[y \mid x]$ for every $x$ that occurs. So the *conditional mean* is the best guess, and any other guess pays for its squared distance from it. We never said how large $f$ is or how it is trained. The claim takes a table of probabilities for five values of $x$ and seven of $y$, and an $f$ drawn at random.

# %% tags=["claim"]
from ddpm_lib.course.claims import claim, mean, variance

p = torch.rand(5, 7) ** 3  # p[x, y]
p = p / p.sum()
y = torch.linspace(-1, 2, 7)
f = torch.randn(5, 1)
given_x = p / p.sum(1, keepdim=True)
best = (given_x * y).sum(1, keepdim=True)
likeliest = y[p.argmax(1)].unsqueeze(1)


def mean_square(difference):
    return (p * difference**2).sum()


claim(
    "eq:best-guess",
    got=mean_square(y - f),
    want=mean_square(y - best) + mean_square(best - f),
    rejects={
        "the likeliest $y$ as the best guess": mean_square(
            y - likeliest
        )
        + mean_square(likeliest - f),
        r"$\mathbb E[y]$ without looking at $x$": mean_square(
            y - (p * y).sum()
        )
        + mean_square((p * y).sum() - f),
        "no distance to pay for": mean_square(y - best),
    },
)

# %% [markdown]
# For a picture we add up {eq}`eq:best-guess` over the pixels. Each pixel of the best network's answer is then a conditional mean, given the whole of $x_t$. The best network that predicts noise answers $\mathbb E[\bar\epsilon_t \mid x_t]$, and the best one that predicts the picture answers $\mathbb E[x_0 \mid x_t]$. These two know the same. Take the mean of both sides of $x_t = a\,x_0 + s\,\bar\epsilon_t$ among all cases with this $x_t$. The left side is fixed, and a mean of a sum is a sum of means: $x_t = a\,\mathbb E[x_0 \mid x_t] + s\,\mathbb E[\bar\epsilon_t \mid x_t]$. Solve for the noise:
#
# $$
# \mathbb E[\bar\epsilon_t \mid x_t] = \frac{x_t - a\,\mathbb E[x_0 \mid x_t]}{s} .
# $$ (eq:same-knowledge)
#
# For the check we need data whose conditional means can be had by brute force. We take one pixel, whose density is a mixture {eq}`def:mixture` with two equal components, at $-1$ and $1$, of width $\varsigma = 0.2$ each. The claim adds up the two sides over two different grids, one of $x_0$ and one of $\bar\epsilon_t$, at $x_t = 0.5$ and four times.

# %%
humps, width = torch.tensor([-1.0, 1.0]), 0.2


def q_0(x):
    """The density of the data, up to a constant factor."""
    apart = x[..., None] - humps
    return (-(apart**2) / (2 * width**2)).exp().sum(-1)


def average(values, weights):
    return (weights * values).sum() / weights.sum()


def by_picture(x_t, t):
    """E[x_0 | x_t], summed over a grid of x_0"""
    grid = torch.linspace(-3, 3, 6001)
    likelihood = (-((x_t - a[t] * grid) ** 2) / (2 * s[t] ** 2)).exp()
    return average(grid, q_0(grid) * likelihood)


def by_noise(x_t, t):
    """E[eps | x_t], summed over a grid of eps"""
    grid = torch.linspace(-9, 9, 9001)
    prior = (-(grid**2) / 2).exp()
    return average(grid, prior * q_0((x_t - s[t] * grid) / a[t]))


# %% tags=["claim"]
some = [10, 50, 200, 400]
noises = torch.stack([by_noise(0.5, t) for t in some])
x_0_hat = torch.stack([by_picture(0.5, t) for t in some])
claim(
    "eq:same-knowledge",
    got=noises,
    want=(0.5 - a[some] * x_0_hat) / s[some],
    rejects={
        "$x_t − x̂_0$, without coefficients": 0.5 - x_0_hat,
        "$a$ and $s$ exchanged": (0.5 - s[some] * x_0_hat) / a[some],
        "not divided by $s$": 0.5 - a[some] * x_0_hat,
    },
)

# %% [markdown]
# ## A guess that no picture has
#
# How does such a mean look? Take the smallest case: one pixel that is $-1$ or $1$, equally often. We see $x_t$, and ask which it was. Given $x_0 = \pm 1$, the density at $x_t$ is $\mathcal N(x_t; \pm a, s^2)$. By Bayes' rule the two answers have probabilities in proportion to these densities, because they were equally likely before. The exponents are $-(x_t \mp a)^2/2s^2$. Multiply out the square:
#
# $$
# -\frac{(x_t \mp a)^2}{2s^2} = -\frac{x_t^2 + a^2}{2s^2} \pm \frac{a\,x_t}{s^2} .
# $$
#
# The first part is the same for both answers and cancels when we divide by their sum. With $h = a\,x_t/s^2$ the probabilities are $e^{h}/(e^{h} + e^{-h})$ for $1$ and $e^{-h}/(e^{h} + e^{-h})$ for $-1$. The mean weighs $1$ with the one and $-1$ with the other:
#
# $$
# \mathbb E[x_0 \mid x_t] = \frac{e^{h} - e^{-h}}{e^{h} + e^{-h}} = \tanh\frac{a\,x_t}{s^2} .
# $$ (eq:two-values)

# %% tags=["claim"]
import sympy as sp

A, S = sp.symbols("a s", positive=True)
X = sp.Symbol("x_t", real=True)
plus = sp.exp(-((X - A) ** 2) / (2 * S**2))
minus = sp.exp(-((X + A) ** 2) / (2 * S**2))
claim(
    "eq:two-values",
    got=(plus - minus) / (plus + minus),
    want=sp.tanh(A * X / S**2).rewrite(sp.exp),
    rejects={
        "$s$ not squared": sp.tanh(A * X / S).rewrite(sp.exp),
        "a half too many": sp.tanh(A * X / (2 * S**2)).rewrite(sp.exp),
        "$x_t / a$, the noise ignored": X / A,
    },
)

# %% tags=["nbval-check-output"]
x_t, t = 0.5, 400
guess = torch.tanh(a[t] * x_t / s[t] ** 2)
print(f"a = {a[t]:.2f}, s = {s[t]:.2f}; best guess of x_0: {guess:.2f}")
for value in (1, -1):
    print(f"x_0 = {value:2}: noise {(x_t - a[t] * value) / s[t]:.2f}")
print(f"best guess of the noise: {(x_t - a[t] * guess) / s[t]:.2f}")

# %% [markdown]
# At $t = 400$ and $x_t = 0.5$ the best guess is $x_0 = 0.27$, a value that this pixel never has. The noise was 0.06 or 1.05, and the best guess is 0.43, which it certainly was not. Nothing is wrong with that. A squared error does not ask for a possible answer, it asks for the middle of all possible ones, each with its probability. This is why the guesses in {numref}`fig-guesses` are blurred at large $t$: they are not drawings of a digit, they are means of many digits.
#
# ## A collection of pictures
#
# Now let $x_0$ be one of $N$ pictures $x^{(1)}, \dots, x^{(N)}$, each with probability $1/N$. That is what training does when it draws from a collection. Write $w_n(x_t)$ for the probability that $x_t$ came from picture $n$. By Bayes' rule,
#
# $$
# w_n(x_t) = \frac{\tfrac1N\,q(x_t \mid x^{(n)})}{\sum_{m=1}^N \tfrac1N\,q(x_t \mid x^{(m)})} .
# $$
#
# With $d$ pixels, {eq}`eq:marginal` gives each density as $(2\pi s^2)^{-d/2}$ times an exponential. This factor and $1/N$ are common to all terms and cancel. The mean of $x_0$ weighs each picture with its probability:
#
# $$
# \begin{aligned}
# \mathbb E[x_0 \mid x_t] &= \sum_{n=1}^N w_n(x_t)\,x^{(n)},\\
# w_n(x_t) &= \frac{\exp\bigl(-\lVert x_t - a\,x^{(n)}\rVert^2/2s^2\bigr)}{\sum_{m=1}^N \exp\bigl(-\lVert x_t - a\,x^{(m)}\rVert^2/2s^2\bigr)} .
# \end{aligned}
# $$ (eq:set-guess)
#
# The weights are a *softmax*, the function at the end of every classifier: of minus half the squared distance between $x_t$ and the shrunken picture, counted in units of the noise. `best_guess`, which drew the first figure, is this formula. The claim does it the long way, with the full densities of PyTorch's own normal distribution.

# %% tags=["claim"]
t = 300
x_t = a[t] * pictures[:50] + s[t] * torch.randn(50, 64)
normal = torch.distributions.Normal(a[t] * pictures, s[t])
joint = normal.log_prob(x_t[:, None]).sum(2).exp() / len(pictures)
square = torch.cdist(x_t, a[t] * pictures) ** 2
to_clean = torch.cdist(x_t, pictures) ** 2
claim(
    "eq:set-guess",
    got=joint @ pictures / joint.sum(1, keepdim=True),
    want=best_guess(x_t, t),
    rejects={
        "the plain mean of the collection": pictures.mean(0).expand(
            50, 64
        ),
        "distance to the pictures unshrunk": (
            -to_clean / (2 * s[t] ** 2)
        ).softmax(1)
        @ pictures,
        "$s$ instead of $s²$": (-square / (2 * s[t])).softmax(1)
        @ pictures,
        "the half forgotten": (-square / s[t] ** 2).softmax(1)
        @ pictures,
    },
)

# %% [markdown]
# Over how many pictures does it average? The exponential of the entropy of the weights counts them: it is 1 if one picture has all the weight, and $N$ if all have the same. The next cell prints its median over the collection, and the root mean square distance between the guess and the true $x_0$, per pixel. Then it runs the sampler with this denoiser and counts how many of its pictures are equal to one of the collection.


# %% tags=["nbval-check-output"]
from ddpm_lib.diffusion import Prediction
from ddpm_lib.sampling import ddpm, sample

lines = []
for t in (50, 200, 300, 400, 600, 1000):
    x_t = a[t] * pictures + s[t] * torch.randn(pictures.shape)
    square = torch.cdist(x_t, a[t] * pictures) ** 2
    w = (-square / (2 * s[t] ** 2)).softmax(1)
    count = torch.special.entr(w).sum(1).exp().median()
    off = (w @ pictures - pictures).square().mean().sqrt()
    lines.append(f"t = {t:4}: {count:6.1f} pictures, off by {off:.3f}")


def from_collection(x_t, t):
    x_0 = best_guess(x_t, t)
    return Prediction(x_0, (x_t - a[t] * x_0) / s[t])


*_, drawn = sample(
    ddpm(), schedule, from_collection, torch.randn(20, 64)
)
nearest = pictures[torch.cdist(drawn, pictures).argmin(1)]
same = (drawn - nearest).abs().amax(1) < 1e-9
print("\n".join(lines))
print(f"samples that are in the collection: {same.sum()} of 20")

# %% [markdown]
# At $t = 50$ one picture is left, and the guess is that picture. At $t = 400$ it averages over hundreds, and at $t = 1000$ over practically all. The samples are no new digits: each one is a picture of the collection, pixel by pixel. A network that minimized the loss on its training set exactly would be a way to draw training pictures. A diffusion model is useful because a network of limited size, trained for a limited time, does not follow {eq}`eq:set-guess` and answers with something smoother. We come back to this when we know the floor of the loss.
#
# ## Smooth data
#
# For the mixture {eq}`def:mixture` the guess is known in closed form as well. Component $k$ has the weight $w_k$, the mean $m_k$ and the width $\varsigma$. If we knew $k$, then $x_0$ and $x_t$ would be jointly normal, with means $m_k$ and $a\,m_k$, with $\operatorname{Cov}[x_0, x_t] = a\,\varsigma^2$ and $\operatorname{Var}[x_t] = a^2\varsigma^2 + s^2$. The conditional mean of such a pair is given by {eq}`eq:conditional-gaussian`: start from the mean $m_k$, and move by the covariance over the variance of $x_t$, times $x_t - a\,m_k$. We do not know $k$, but Bayes' rule gives its probability $w_k(x_t)$, and by the tower rule we average over it:
#
# $$
# \begin{aligned}
# \mathbb E[x_0 \mid x_t] &= \sum_k w_k(x_t)\,\Bigl(m_k + \frac{a\,\varsigma^2}{a^2\varsigma^2 + s^2}\,(x_t - a\,m_k)\Bigr),\\
# w_k(x_t) &\propto w_k\,\mathcal N\bigl(x_t;\ a\,m_k,\ a^2\varsigma^2 + s^2\bigr).
# \end{aligned}
# $$ (eq:mixture-guess)
#
# With $\varsigma = 0$ and equal weights this is {eq}`eq:set-guess` again, for pictures of one pixel. In code, for our pixel:


# %%
def guess_x_0(x_t, t):
    """E[x_0 | x_t] for the humps ±1 of width 0.2.  x_t: (N,)"""
    var = a[t] ** 2 * width**2 + s[t] ** 2
    apart = x_t[:, None] - a[t] * humps  # (N, 2)
    share = (-(apart**2) / (2 * var)).softmax(1)
    return (share * (humps + a[t] * width**2 / var * apart)).sum(1)


def guess_noise(x_t, t):
    return (x_t - a[t] * guess_x_0(x_t, t)) / s[t]


# %% tags=["claim"]
x, t = torch.linspace(-2, 2, 9), 150
var = a[t] ** 2 * width**2 + s[t] ** 2
apart = x[:, None] - a[t] * humps
share = (-(apart**2) / (2 * var)).softmax(1)
sharp = (-(apart**2) / (2 * s[t] ** 2)).softmax(1)
moved = humps + a[t] * width**2 / var * apart
claim(
    "eq:mixture-guess",
    got=torch.stack([by_picture(value, t) for value in x]),
    want=guess_x_0(x, t),
    rejects={
        "the weights of the data kept": moved.mean(1),
        "the width forgotten in the weights": (sharp * moved).sum(1),
        "$x_t / a$ instead of the shrunken deviation": (
            share * (humps + apart / a[t])
        ).sum(1),
    },
)

# %% [markdown]
# ## The noise is the slope of the density
#
# There is a second way to see the best guess of the noise, and it needs no knowledge of what the data is made of. The density of $x_t$ is an average over pictures,
#
# $$
# q(x_t) = \int q(x_0)\;\mathcal N(x_t; a\,x_0, s^2 I)\;dx_0 .
# $$
#
# Write $\nabla$ for the vector of derivatives with respect to the pixels of $x_t$. They can be taken under the integral, because the normal density is smooth and falls off faster than any power. The derivative of an exponential is the exponential times the derivative of the exponent:
#
# $$
# \begin{aligned}
# \nabla q(x_t) &= \int q(x_0)\;\nabla\,\mathcal N(x_t; a\,x_0, s^2 I)\;dx_0\\
# &= \int q(x_0)\;\mathcal N(x_t; a\,x_0, s^2 I)\;\nabla\Bigl(-\frac{\lVert x_t - a\,x_0\rVert^2}{2s^2}\Bigr)\,dx_0\\
# &= -\int q(x_0)\;\mathcal N(x_t; a\,x_0, s^2 I)\;\frac{x_t - a\,x_0}{s^2}\;dx_0 .
# \end{aligned}
# $$
#
# Divide by $q(x_t)$. On the left, $\nabla q/q = \nabla\log q$. On the right, Bayes' rule says $q(x_0)\,\mathcal N(x_t; a\,x_0, s^2 I)/q(x_t) = q(x_0 \mid x_t)$, and the integral becomes a conditional mean. Given $x_t$, the noise that goes with $x_0$ is $\bar\epsilon_t = (x_t - a\,x_0)/s$:
#
# $$
# \nabla\log q(x_t) = -\int q(x_0 \mid x_t)\;\frac{x_t - a\,x_0}{s^2}\;dx_0 = -\frac1s\,\mathbb E[\bar\epsilon_t \mid x_t] .
# $$
#
# Multiply by $-s$:
#
# $$
# \mathbb E[\bar\epsilon_t \mid x_t] = -s\,\nabla\log q(x_t) .
# $$ (eq:tweedie)
#
# The gradient of a log density is called its *score*, and this relation is known as Tweedie's formula {cite:p}`efron2011`. The score points uphill, to where $x_t$ are more common, and the predicted noise points downhill. To take out the predicted noise is to walk uphill. A network that predicts noise has learned the slope of $\log q(x_t)$, without ever seeing a value of $q$ {cite:p}`vincent2011`. Chapter 18 builds on that. The claim compares the sum over a grid of noises with the derivative of the library's log density by automatic differentiation.

# %% tags=["claim"]
from ddpm_lib import exact

mixture = exact.isotropic(torch.full((2,), 0.5), humps[:, None], width)
t = 200
x = torch.linspace(-1.5, 1.5, 7)[:, None].requires_grad_()
log_q = exact.log_density(exact.noised(schedule, mixture, t), x)
(score,) = torch.autograd.grad(log_q.sum(), x)
log_data = exact.log_density(mixture, x)
(clean_score,) = torch.autograd.grad(log_data.sum(), x)
claim(
    "eq:tweedie",
    got=torch.stack([by_noise(value, t) for value in x.detach()[:, 0]]),
    want=-s[t] * score[:, 0],
    rejects={
        "the sign": s[t] * score[:, 0],
        "divided by $s$": -score[:, 0] / s[t],
        "$s²$ for $s$": -(s[t] ** 2) * score[:, 0],
        "the score of the clean data": -s[t] * clean_score[:, 0],
    },
)

# %% [markdown]
# ## From the formula to code
#
# The library's `exact_denoiser` holds for mixtures in any number of dimensions and with any covariances. It takes $\mathbb E[x_0 \mid x_t]$ as the mean of the reverse kernel {eq}`eq:reverse-mixture` of chapter 5 with $u = 0$, and the noise by {eq}`eq:tweedie`. The chapters use it as the ground truth with which networks and samplers are compared.

# %%
import inspect

print(inspect.getsource(exact.exact_denoiser))

# %% [markdown]
# The first claim compares its noise with ours, for the pixel with two humps. The second compares its picture with {eq}`eq:set-guess`, and takes 300 of the digits as components of width zero.

# %% tags=["claim"]
exact_two = exact.exact_denoiser(schedule, mixture)
x, t = torch.linspace(-2, 2, 9), 150
claim(
    "eq:mixture-guess",
    got=exact_two(x[:, None], t).eps[:, 0],
    want=guess_noise(x, t),
    rejects={
        "another time": guess_noise(x, t + 1),
        "the guess of $x_0$": guess_x_0(x, t),
    },
)
few = pictures[:300]
points = exact.isotropic(torch.full((300,), 1 / 300), few, 0.0)
x_t, t = a[300] * few[:5] + s[300] * torch.randn(5, 64), 300
square = torch.cdist(x_t, a[t] * few) ** 2
claim(
    "eq:set-guess",
    got=exact.exact_denoiser(schedule, points)(x_t, t).x_0,
    want=(-square / (2 * s[t] ** 2)).softmax(1) @ few,
    rejects={
        "the nearest picture alone": few[square.argmin(1)],
        "another collection": best_guess(x_t, t),
    },
)

# %% [markdown]
# ## Why noise can be predicted
#
# The noise $\bar\epsilon_t$ is drawn without regard to $x_0$ and without regard to $t$. If we knew nothing but these two, the best guess would be zero, and nothing could be learned. But the network is shown $x_t$, and $x_t$ contains the noise. Two independent causes of one effect become dependent as soon as the effect is seen. If the sum of two dice is 9, a 3 on one means a 6 on the other. In the same way, if $x_t = 0.5$ is known, each value of $x_0$ goes with exactly one noise. The more is known about $x_0$ from elsewhere, the more is known about the noise. What the network has from elsewhere is the experience of its training: which pictures there are.
#
# The next cell draws a million pixels at $t = 200$ and prints correlations of the noise: with $x_0$ before anything is seen, with $x_t$, with $x_0$ among the pixels whose $x_t$ is within 0.005 of 0.5, and with the best guess.


# %% tags=["nbval-check-output"]
def draw(n, t):
    """x_0, eps and x_t for the two humps."""
    x_0 = humps[torch.randint(2, (n,))] + width * torch.randn(n)
    eps = torch.randn(n)
    return x_0, eps, a[t] * x_0 + s[t] * eps


def correlation(x, y):
    return torch.corrcoef(torch.stack([x, y]))[0, 1]


x_0, eps, x_t = draw(1_000_000, 200)
seen = (x_t - 0.5).abs() < 0.005
guess = guess_noise(x_t, 200)
print(f"noise and x_0:                {correlation(eps, x_0):6.2f}")
print(f"noise and x_t:                {correlation(eps, x_t):6.2f}")
near = correlation(eps[seen], x_0[seen])
print(f"noise and x_0, x_t near 0.5:  {near:6.2f}")
print(f"noise and its best guess:     {correlation(eps, guess):6.2f}")

# %% [markdown]
# Once $x_t$ is seen, $x_0$ and the noise are tied to each other. The noise has a correlation of 0.58 with $x_t$ and of 0.70 with its best guess: it helps to know where the humps are. So it is no miracle that noise is predicted, and it is not predicted exactly either. The guess is the mean of all noises that fit, and the noise that was drawn is one of them.
#
# It is *all* the noise in $x_t$ that can be guessed well. A student club's note and a blog post say that the network predicts the noise of step $t$. How well could it? The noise collected so far is $\bar\epsilon_t = \bigl(\sqrt{\alpha_t(1-\bar\alpha_{t-1})}\;\bar\epsilon_{t-1} + \sqrt{\beta_t}\;\epsilon_t\bigr)/s$, as in the induction {eq}`eq:induction` of chapter 2. Its covariance with $\epsilon_t$ is $\sqrt{\beta_t}/s$, both have variance 1, and they are jointly normal. By {eq}`eq:conditional-gaussian`, $\mathbb E[\epsilon_t \mid \bar\epsilon_t] = (\sqrt{\beta_t}/s)\,\bar\epsilon_t$. To know $x_t$ and $x_0$ is to know $\bar\epsilon_t$, and $x_0$ alone says nothing about the noises. Hence
#
# $$
# \mathbb E[\epsilon_t \mid x_t, x_0] = \frac{\sqrt{\beta_t}}{s}\,\bar\epsilon_t .
# $$
#
# Average over the $x_0$ that fit $x_t$, by the tower rule:
#
# $$
# \mathbb E[\epsilon_t \mid x_t] = \frac{\sqrt{\beta_t}}{s}\;\mathbb E[\bar\epsilon_t \mid x_t] .
# $$ (eq:step-noise-share)
#
# The best guess of the step's noise is the same function, made small. The claim walks a hundred steps and takes the mean of the last noise times the best guess of all noise. By the tower rule, that is $\sqrt{\beta_t}/s$ times the mean square of the guess.

# %% tags=["claim"]
x, t = draw(200_000, 1)[0], 100
for u in range(1, t + 1):
    last = torch.randn(len(x))
    step = schedule.beta[u]
    x = (1 - step).sqrt() * x + step.sqrt() * last
guess = guess_noise(x, t)
square = guess_noise(draw(2_000_000, t)[2], t).square().mean()
ratio = schedule.beta[t].sqrt() / s[t]
claim(
    "eq:step-noise-share",
    got=mean(last * guess),
    want=ratio * square,
    rejects={
        "the step's noise, as well as all noise": square,
        "the ratio squared": ratio**2 * square,
        "independent of $x_t$": 0.0,
    },
)

# %% [markdown]
# ## The floor of the loss
#
# What does the best guess still pay? In {eq}`eq:best-guess` with $y = \bar\epsilon_t$ (one pixel of it) and $x = x_t$, take the first term in two stages. Among the cases with the same $x_t$, the mean squared distance from the mean is the variance. So for every network $f$,
#
# $$
# \begin{aligned}
# \mathbb E\bigl(\bar\epsilon_t - f(x_t)\bigr)^2 &= \mathbb E\bigl[\operatorname{Var}[\bar\epsilon_t \mid x_t]\bigr] + \mathbb E\bigl(\mathbb E[\bar\epsilon_t \mid x_t] - f(x_t)\bigr)^2\\
# &\ge\; \mathbb E\bigl[\operatorname{Var}[\bar\epsilon_t \mid x_t]\bigr] .
# \end{aligned}
# $$ (eq:loss-floor)
#
# The last line is the *floor* of the loss at time $t$. It depends on the data and on the schedule, and no architecture, no optimizer and no patience goes below it. We get it as a number from $f = 0$. A network that always answers zero pays $\mathbb E\,\bar\epsilon_t^{\,2} = 1$, and {eq}`eq:loss-floor` says that this is the floor plus the mean square of the best guess. Subtract:
#
# $$
# \mathbb E\bigl[\operatorname{Var}[\bar\epsilon_t \mid x_t]\bigr] = 1 - \mathbb E\Bigl[\bigl(\mathbb E[\bar\epsilon_t \mid x_t]\bigr)^2\Bigr] .
# $$ (eq:floor-from-guess)
#
# This is the law of total variance, read backwards. For our pixel the mean on the right is an integral over one number. We tabulate the density of $x_t$ and the best guess on a grid, for all thousand times, because the rest of the chapter uses these tables.

# %%
x = torch.linspace(-6, 6, 4801)
dx = x[1] - x[0]
every = range(1, T + 1)
density = torch.stack(
    [
        exact.log_density(
            exact.noised(schedule, mixture, t), x[:, None]
        )
        for t in every
    ]
).exp()  # (T, 4801)
guesses = torch.stack([guess_noise(x, t) for t in every])
floor_two = 1 - (density * guesses**2).sum(1) * dx  # (T,)

# %% [markdown]
# The claims draw two million pixels at $t = 200$. The first measures what the network pays that answers half of the best guess. The second measures the best guess itself.

# %% tags=["claim"]
t = 200
x_0, eps, x_t = draw(2_000_000, t)
guess = guess_noise(x_t, t)
explained = (density[t - 1] * guesses[t - 1] ** 2).sum() * dx
floor = floor_two[t - 1]
claim(
    "eq:loss-floor",
    got=mean((eps - guess / 2).square()),
    want=floor + explained / 4,
    rejects={
        "half the guess, half the way to 1": (1 + floor) / 2,
        "no floor": explained / 4,
        "the variance of all noise": 1 + explained / 4,
    },
)
claim(
    "eq:floor-from-guess",
    got=mean((eps - guess).square()),
    want=1 - explained,
    rejects={
        "zero": 0.0,
        "the noise in $x_t$": s[t] ** 2,
        "the root of the mean square": 1 - explained.sqrt(),
    },
)

# %% [markdown]
# The floors for noise and for the picture are one and the same in different units. Given $x_t$, the noise is $\bar\epsilon_t = (x_t - a\,x_0)/s$. The fixed $x_t/s$ does not change a variance, and the factor $-a/s$ comes out squared: $\operatorname{Var}[\bar\epsilon_t \mid x_t] = (a^2/s^2)\operatorname{Var}[x_0 \mid x_t]$. Here $a^2/s^2$ is the signal-to-noise ratio {eq}`def:snr`. Take the mean over $x_t$:
#
# $$
# \mathbb E\bigl[\operatorname{Var}[\bar\epsilon_t \mid x_t]\bigr] = \mathrm{SNR}(t)\;\mathbb E\bigl[\operatorname{Var}[x_0 \mid x_t]\bigr] .
# $$ (eq:floor-snr)

# %% tags=["claim"]
some = [1, 10, 50, 100, 200, 400]
left = []
for t in some:
    x_0, eps, x_t = draw(400_000, t)
    left.append((x_0 - guess_x_0(x_t, t)).square())
floors = floor_two[[t - 1 for t in some]]
snr = schedule.snr[some]
claim(
    "eq:floor-snr",
    got=mean(torch.stack(left, dim=1)),
    want=floors / snr,
    rejects={
        r"$\mathrm{Var}[x_0]$, before $x_t$ is seen": torch.full(
            (6,), 1 + width**2
        ),
        "the root of the SNR": floors / snr.sqrt(),
        "the same for both": floors,
    },
)

# %% [markdown]
# At small $t$ the ratio is huge. The picture is known nearly exactly there, and its noise hardly at all, because in $x_t$ the noise is too small to be told from the picture's own detail. At large $t$ it is the other way round: $x_t$ is nearly all noise, and the noise is read off it.
#
# For one family of data the floor has a formula. Let $x_0$ be normal with mean 0 and variance $v$. Then $\bar\epsilon_t$ and $x_t$ are jointly normal, with $\operatorname{Cov}[\bar\epsilon_t, x_t] = s$ and $\operatorname{Var}[x_t] = v\,a^2 + s^2$. By {eq}`eq:conditional-gaussian` the conditional variance is the variance minus the squared covariance over the other variance. Insert, bring to one denominator, and cancel:
#
# $$
# \begin{aligned}
# \operatorname{Var}[\bar\epsilon_t \mid x_t] &= 1 - \frac{s^2}{v\,a^2 + s^2}\\
# &= \frac{v\,a^2 + s^2 - s^2}{v\,a^2 + s^2}\\
# &= \frac{v\,\bar\alpha_t}{v\,\bar\alpha_t + 1 - \bar\alpha_t} .
# \end{aligned}
# $$ (eq:gaussian-floor)
#
# The same number bounds the floor of any data of mean 0 and variance $v$ from above, since the straight line $f(x_t) = s\,x_t/(v\,a^2 + s^2)$ pays exactly this much: its error depends on variances and covariances only. The claim fits the line by least squares to draws with $v = 1/4$.

# %% tags=["claim"]
v, t = 0.25, 200
eps = torch.randn(1_000_000)
x_t = a[t] * v**0.5 * torch.randn(1_000_000) + s[t] * eps
slope = (eps @ x_t) / (x_t @ x_t)
signal = v * a[t] ** 2
claim(
    "eq:gaussian-floor",
    got=variance(eps - slope * x_t),
    want=signal / (signal + s[t] ** 2),
    rejects={
        "the share of the noise": s[t] ** 2 / (signal + s[t] ** 2),
        "variance 1 taken for granted": a[t] ** 2,
        "$v$ as a standard deviation": (v * a[t]) ** 2
        / ((v * a[t]) ** 2 + s[t] ** 2),
        "the variance of $x_0$": v,
    },
)

# %% [markdown]
# ## Is my loss right?
#
# Now we can put numbers to it. The table has the floor for four kinds of data: normal data of variance 1; our pixel with two humps; digits replaced by normal pictures with the same mean and covariance, for which {eq}`eq:gaussian-floor` holds along each axis of the covariance; and the collection of digits itself, by drawing. The last column is no floor but the loss of the guess {eq}`eq:set-guess` on a digit that was removed from the collection. The last row is the mean over all $t$ from 1 to $T$, the number to compare with the loss {eq}`def:l-simple` of chapter 7, taken per pixel.


# %% tags=["nbval-check-output"]
def collection_loss(t, left_out):
    """One draw of eps for each digit.  t: (1797,)  ->  (1797,)"""
    N = len(pictures)
    eps = torch.randn(N, 64)
    back = pictures + (s[t] / a[t])[:, None] * eps  # x_t / a
    square = torch.cdist(back, pictures) ** 2
    if left_out:
        square[range(N), range(N)] = torch.inf
    x_0 = (-schedule.snr[t, None] / 2 * square).softmax(1) @ pictures
    off = (pictures - x_0) * (a[t] / s[t])[:, None]  # eps_hat - eps
    return off.square().mean(1)


def gaussian_floor(v, t):
    return v * a[t] ** 2 / (v * a[t] ** 2 + s[t] ** 2)


along = torch.linalg.eigvalsh(torch.cov(pictures.T)).clamp(min=0)
shown = [1, 10, 50, 100, 200, 400, 1000]
table = {}
for t in shown:
    now = torch.full((len(pictures),), t)
    table[t] = [
        gaussian_floor(1, t),
        floor_two[t - 1],
        gaussian_floor(along, t).mean(),
        collection_loss(now, False).mean(),
        collection_loss(now, True).mean(),
    ]
all_t = torch.arange(1, T + 1)
some_t = torch.randint(1, T + 1, (12, len(pictures)))
draws = [collection_loss(row, False) for row in some_t]
averages = [
    gaussian_floor(1, all_t).mean(),
    floor_two.mean(),
    gaussian_floor(along[:, None], all_t).mean(),
    torch.cat(draws).mean(),
]
print("   t     v = 1 two humps as normal    digits  left out")
for t, row in table.items():
    print(f"{t:>4}" + "".join(f"{value:10.3f}" for value in row))
print("mean" + "".join(f"{value:10.3f}" for value in averages))

# %% tags=["figure"] mystnb={"image": {"alt": "Floor of the loss against t from 1 to 1000. For normal data of variance 1 a curve falls smoothly from 1 to 0. For digits as normal pictures it falls faster, from 0.88 to 0.05 at t = 400. For the pixel with two humps it falls from 1 to 0.34 at t = 100, rises to 0.51 at t = 200, and falls to 0. Dots for the collection of digits are at 0 up to t = 100, at 0.05 between 200 and 400, and fall to 0. Open circles for left-out digits leave the frame at the top before t = 75, and meet the dots at t = 400."}, "figure": {"name": "fig-floor", "caption": "The lowest loss that any network can have at each $t$, for four kinds of data (lines and dots). It is nothing like a constant, and depends on the data: the pixel with two humps has a bump where noise begins to hide which hump it was. For the collection of digits (dots) the floor is practically zero up to $t = 100$; there the same denoiser fails on a digit that was left out (circles, the first three far above the frame)."}}
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.6))
ax.plot(
    all_t,
    gaussian_floor(1, all_t),
    color=GRAY,
    ls="--",
    label="normal, variance 1",
)
ax.plot(all_t, floor_two, color="k", ls="-", label="two humps")
normal_digits = gaussian_floor(along[:, None], all_t).mean(0)
ax.plot(
    all_t, normal_digits, color=DATA, ls="-.", label="digits as normal"
)
dots = [1, 25, 50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 600, 800]
for left_out, fill, name in (
    (False, MODEL, "digits"),
    (True, "none", "digits, left out"),
):
    losses = [
        collection_loss(torch.full((1797,), u), left_out).mean()
        for u in dots
    ]
    ax.scatter(dots, losses, s=30, c=fill, edgecolors=MODEL, label=name)
ax.set(xlabel="$t$", ylabel="loss", ylim=(-0.03, 1.1))
ax.legend()
plt.show()

# %% [markdown]
# So zero is not the goal. For the pixel with two humps a perfect network has an average loss of 0.200, for normal data of variance 1 one of 0.276. A loss curve that goes flat may have arrived. To know, compute the floor for the data, where that is possible, or compare the loss at each $t$ with that of a normal distribution of the data's covariance: the best linear network pays that much, and at small and middle $t$ yours should pay no more. (Close to $T$ that floor is nearly zero, and a healthy network can lie above it.) And compare the same $t$ with the same $t$. A batch that happens to hold small $t$ has a large loss, and that says nothing about the network.
#
# The columns for the digits need a word of care. The collection's floor is what a network can reach on its training pictures. Up to $t = 100$ it is zero or nearly so, since the nearest picture gives the noise away. Reached by a network, it would be the memory of a collection and no model of digits, and the last column shows what it is worth for a new digit: at $t = 100$ the loss is about 0.6, more than the best *linear* network pays, and at $t = 50$ it is 2.3, worse than answering zero. From $t = 400$ on, the two columns agree. There no single picture matters, and the collection's answer is the answer for digits in general. What the floor of all digits is at small $t$, nobody can compute from 1797 of them. So watch the loss on pictures that were held out: where it goes up while the training loss goes down, the network has begun to learn pictures by heart.
#
# ## Why the network needs $t$
#
# Each floor above belongs to one $t$, and so does each best guess. How different are the guesses? We show the same $x_t = 0.5$ at five times.

# %% tags=["nbval-check-output"]
half = torch.tensor([0.5])
for t in (10, 50, 200, 400, 1000):
    noise, x_0 = guess_noise(half, t).item(), guess_x_0(half, t).item()
    print(f"t = {t:4}: E[eps] = {noise:5.2f}, E[x_0] = {x_0:4.2f}")

# %% [markdown]
# The same input has five right answers, from $-1.22$ to $0.50$, with both signs. At $t = 10$ nearly no noise is in $x_t$. A value of 0.5 is a rare but real value of the upper hump, and what little noise there is probably pushed down. At $t = 50$ the noise has nearly the size of the hump's own width, and a large part of the deviation is attributed to it: the guess is that it was strongly negative. At $t = 400$ the hump at $1$ has been shrunk to $0.44$. Now 0.5 lies above it, and the noise is guessed to be positive. At $t = 1000$ there is nothing but noise, and the guess is $x_t$ itself.
#
# Try it in the plane. In the figure the data is five points, the dots show where they lie after shrinking by $a$, and their sizes show the weights $w_n(x_t)$. The arrow goes from $x_t$ to $a\,\mathbb E[x_0 \mid x_t]$: it is minus the predicted noise, times $s$. The shading is the density $q(x_t)$, so the arrow also shows {eq}`eq:tweedie`.

# %% tags=["figure"] mystnb={"image": {"alt": "Five data points in the plane at three times. At t = 50 the arrow from x_t goes far to the nearest point, which has all the weight. At t = 250 the points have moved inward and share the weight. At t = 600 they are close to the center, and the arrow points there."}, "figure": {"name": "fig-denoiser", "caption": "Five data points, shrunk by $a$; the larger the dot, the more probable that $x_t$ came from it. The arrow takes the predicted noise out of $x_t$. The shading is the density of $x_t$. Drag $x_t$, and move $t$."}}
from ddpm_lib.course.explore import explorable

five = torch.tensor(
    [[-1.5, 0.7], [-0.3, 1.1], [1.4, 0.6], [0.9, -0.9], [-0.9, -0.8]]
)
place = torch.tensor([[0.45, 0.3]])


def look(ax, t):
    """The five shrunken points, x_t, and the arrow, at time t."""
    square = torch.cdist(place, a[t] * five) ** 2
    w = (-square / (2 * s[t] ** 2)).softmax(1)[0]
    tip = a[t] * w @ five
    spots = a[t] * five
    ax.scatter(*spots.T, s=20 + 300 * w, color=DATA, alpha=0.6)
    ax.plot(*place.T, "o", color=NOISE, ms=8)
    ax.annotate(
        "",
        tip.tolist(),
        place[0].tolist(),
        arrowprops={"arrowstyle": "->", "color": MODEL, "lw": 2.2},
    )
    ax.set(title=f"$t = {t}$", xlim=(-2, 2), ylim=(-1.5, 1.5))
    ax.set(aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])


still, axes = plt.subplots(1, 3, figsize=(6.4, 2.1))
for ax, t in zip(axes, (50, 250, 600), strict=True):
    look(ax, t)
explorable(
    "denoiser",
    {
        "T": T,
        "beta_1": 1e-4,
        "beta_T": 0.02,
        "points": five.tolist(),
        "start": place[0].tolist(),
    },
    still=still,
)

# %% [markdown]
# ### What it costs not to know
#
# Suppose a network is not told $t$. It is shown $x$, which was made at a $t$ drawn evenly from 1 to $T$, and must name the noise. By {eq}`eq:best-guess` its best answer is $\mathbb E[\bar\epsilon \mid x]$. The tower rule takes this mean in two stages, first among the cases with the same $t$, then over $t$. The second stage needs the probability of each $t$ given $x$, and that is Bayes' rule once more. Write $q_t(x)$ for the density of $x_t$ at the place $x$; the equal probabilities $1/T$ cancel:
#
# $$
# \begin{aligned}
# \mathbb E[\bar\epsilon \mid x] &= \sum_{t=1}^T p(t \mid x)\;\mathbb E[\bar\epsilon_t \mid x_t = x],\\
# p(t \mid x) &= \frac{q_t(x)}{\sum_{u=1}^T q_u(x)} .
# \end{aligned}
# $$ (eq:blind-guess)
#
# It is an average of the right answers, and the weights are not equal: at $x = 3$ the early times are out of the question. The claim draws five million pairs of $t$ and noise and takes the mean of the noise in four intervals of $x$.

# %%
p_t = density / density.sum(0)  # p(t | x), (T, 4801)
blind = (p_t * guesses).sum(0)  # (4801,)
all_x = density.mean(0)  # the density of x, whatever t


def look_up(values, place):
    """A table over the grid, between its entries.  place: (N,)"""
    position = (place.clamp(-5.9, 5.9) - x[0]) / dx
    i, part = position.long(), position.frac()
    return values[i] * (1 - part) + values[i + 1] * part


# %% tags=["claim"]
any_t = torch.randint(1, T + 1, (5_000_000,))
x_0 = humps[torch.randint(2, any_t.shape)]
x_0 += width * torch.randn(any_t.shape)
eps = torch.randn(any_t.shape)
x_any = a[any_t] * x_0 + s[any_t] * eps
from itertools import pairwise

edges = torch.tensor([0.0, 0.5, 1.0, 1.5, 4.0])
inside, cells = [], []
for low, high in pairwise(edges):
    inside.append(eps * ((x_any > low) & (x_any < high)))
    cells.append(((x > low) & (x < high)) * 1.0)
    cells[-1] += ((x == low) | (x == high)) * 0.5
cells = torch.stack(cells) * dx
claim(
    "eq:blind-guess",
    got=mean(torch.stack(inside, dim=1)),
    want=cells @ (all_x * blind),
    rejects={
        "all $t$ equally likely for every $x$": cells
        @ (all_x * guesses.mean(0)),
        "the answer at the likeliest $t$": cells
        @ (all_x * guesses.gather(0, density.argmax(0)[None])[0]),
    },
)

# %% [markdown]
# What does it pay? Use {eq}`eq:best-guess` once more, now with the pair $(x, t)$ as what is shown and with $f(x) = \mathbb E[\bar\epsilon \mid x]$, a function that makes no use of the second half. The first term is the floor with $t$. The second is the mean squared distance between the right answers and their average over $p(t \mid x)$, and that is the variance of the right answers over $t$:
#
# $$
# \mathbb E\bigl(\bar\epsilon - \mathbb E[\bar\epsilon \mid x]\bigr)^2 = \mathbb E\bigl(\bar\epsilon - \mathbb E[\bar\epsilon \mid x, t]\bigr)^2 + \mathbb E\Bigl[\operatorname{Var}_{t \mid x}\bigl[\mathbb E[\bar\epsilon \mid x, t]\bigr]\Bigr] .
# $$ (eq:time-gap)

# %% tags=["claim"]
spread = (p_t * guesses**2).sum(0) - blind**2
gap = (all_x * spread).sum() * dx
few_t, few_x, noise = any_t[:200_000], x_any[:200_000], eps[:200_000]
with_t = torch.zeros(200_000)
for t in every:
    here = few_t == t
    with_t[here] = guess_noise(few_x[here], t)
without_t = look_up(blind, few_x)
paid_more = (noise - without_t) ** 2 - (noise - with_t) ** 2
from_middle = (guesses - guesses.mean(0)).square()
unweighted = (density * from_middle).mean(0).sum() * dx
claim(
    "eq:time-gap",
    got=mean(paid_more),
    want=gap,
    rejects={
        "nothing is lost": 0.0,
        "all $t$ equally likely for every $x$": unweighted,
        "the mean square of the answers": 1 - floor_two.mean(),
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "Best guess of the noise against x from minus 2.5 to 2.5. At t = 50 a steep curve in two branches crosses zero at plus and minus 1. At t = 200 it crosses zero at plus and minus 0.76, at t = 400 it is nearly a straight line with a bend, at t = 1000 it is the straight line through the origin with slope 1. A thick black dashed curve, without t, lies between them and is close to none. A dotted vertical line marks x = 0.5."}, "figure": {"name": "fig-time", "caption": "The best guess of the noise for the pixel with two humps, at four times, and without knowledge of $t$ (thick, black). At the dotted line, $x = 0.5$, the answers range from below $-1$ to $0.5$; no single curve is near all of them."}}
fig, ax = plt.subplots(figsize=(6, 3.6))
looks = {50: "-", 200: "-.", 400: ":", 1000: (0, (6, 2))}
for t, line in looks.items():
    look_t = {"ls": line, "color": MODEL, "label": f"$t = {t}$"}
    ax.plot(x, guesses[t - 1], **look_t)
ax.plot(x, blind, "k--", lw=2.6, label="without $t$")
ax.axvline(0.5, color=GRAY, ls=":", lw=1.2)
ax.set(xlim=(-2.5, 2.5), ylim=(-3, 3))
ax.set(xlabel="$x$", ylabel="best guess of the noise")
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# The loss rises, and what happens to samples? We run the sampler twice from the same noise with the exact denoiser, once as it is and once with the guess that does not know $t$. The sampler itself still knows it, and uses the right coefficients.


# %% tags=["nbval-check-output"]
def without_time(x_t, t):
    eps = look_up(blind, x_t[:, 0])[:, None]
    return Prediction((x_t - s[t] * eps) / a[t], eps)


x_T = torch.randn(4000, 1)
*_, told = sample(ddpm(), schedule, exact_two, x_T)
*_, untold = sample(ddpm(), schedule, without_time, x_T)
print(f"floor with t {floor_two.mean():.3f}, gap {gap:.3f}")
print(f"floor without t {1 - (all_x * blind**2).sum() * dx:.3f}")
print(f"data: standard deviation {(1 + width**2) ** 0.5:.2f}")
print(f"samples with t {told.std():.2f}, without {untold.std():.2f}")

# %% [markdown]
# The floor goes from 0.200 to 0.326, and the samples have a standard deviation of 0.63 where the data has 1.02. With $t$ it is 1.02.
#
# Is it always that bad? The gap is large because $x$ says little about $t$. A picture has many pixels, and the noise in them can be measured. Take normal data $\mathcal N(0, v I)$ in $d$ dimensions. The answer at time $t$ is $s\,x/(v\,a^2 + s^2)$, and the only thing in $x$ that tells about $t$ is its length: $\lVert x\rVert^2/d$ is near $v\,a^2 + s^2$, with a relative spread of $\sqrt{2/d}$ by {eq}`eq:norm`. So with $v = 1/4$ in many dimensions the length is as good as a clock. With $v = 1$ it is not: $v\,a^2 + s^2 = 1$ at every $t$, $x_t$ has the distribution $\mathcal N(0, I)$ at every $t$, and $p(t \mid x) = 1/T$ for every $x$. The answers are $s\,x$, their variance over $t$ at pixel $i$ is $x_i^2$ times the variance of $s$, and $\mathbb E\,x_i^2 = 1$. For $v = 1$, in any number of dimensions and for each pixel,
#
# $$
# \mathbb E\Bigl[\operatorname{Var}_{t \mid x}\bigl[\mathbb E[\bar\epsilon \mid x, t]\bigr]\Bigr] = \operatorname{Var}_t\bigl[\sqrt{1 - \bar\alpha_t}\,\bigr] .
# $$ (eq:white-gap)
#
# The claim measures it in 16 dimensions, where a network without $t$ answers the mean of $s$ times $x$.

# %% tags=["claim"]
any_t = torch.randint(1, T + 1, (200_000, 1))
eps = torch.randn(200_000, 16)
x_any = a[any_t] * torch.randn(200_000, 16) + s[any_t] * eps
without_t = (eps - s[1:].mean() * x_any).square().mean(1)
with_t = (eps - s[any_t] * x_any).square().mean(1)
claim(
    "eq:white-gap",
    got=mean(without_t - with_t),
    want=s[1:].var(correction=0),
    rejects={
        "$t$ read off the length": 0.0,
        "the variance of $s²$": (s[1:] ** 2).var(correction=0),
        "falls as $1/d$": s[1:].var(correction=0) / 16,
    },
)

# %% [markdown]
# The next cell computes the gap for $v = 1/4$ and $v = 1$ by a sum over $t$ and over the length. For the collection of digits it draws 300 noised digits, takes the answers of {eq}`eq:set-guess` at every fifth $t$, and averages their variance over $p(t \mid x)$.


# %% tags=["nbval-check-output"]
import math


def radial_gap(v, d):
    """The gap for N(0, v I), by a sum over t and the length of x."""
    var = (v * a**2 + s**2)[1:, None]  # (T, 1), of a pixel of x_t
    slope = s[1:, None] / var
    low = min(0.0, math.log(v)) - 0.2 - 22 / d**0.5
    log_r = torch.linspace(low, 0.2 + 4 / d**0.5, 2001)  # of |x|²/d
    r = log_r.exp()
    p = ((log_r - var.log() - r / var + 1) * d / 2).exp()
    p = p / p.sum(1, keepdim=True)  # of the length, given t
    now = p / p.sum(0).clamp(min=1e-300)  # of t, given the length
    spread = (now * slope**2).sum(0) - (now * slope).sum(0) ** 2
    return (p.mean(0) * r * spread).sum()


every_5th = torch.arange(5, T + 1, 5)
gaps, square_x = [], (pictures**2).sum(1)
for t in every_5th[torch.randint(200, (300,))]:
    n = torch.randint(len(pictures), ())
    at = a[t] * pictures[n] + s[t] * torch.randn(64)
    A, S = a[every_5th, None], s[every_5th, None]
    square = at @ at - 2 * A * (pictures @ at) + A**2 * square_x
    log_w = -square / (2 * S**2)  # (200, 1797)
    p = (log_w.logsumexp(1) - 64 * S[:, 0].log()).softmax(0)
    answers = (at - A * (log_w.softmax(1) @ pictures)) / S
    off = answers - p @ answers
    gaps.append((p @ off**2).mean())
gaps = torch.stack(gaps)
for d in (1, 16, 256, 3072):
    quarter, one = radial_gap(0.25, d), radial_gap(1.0, d)
    print(f"d = {d:4}: gap {quarter:.4f} for v = 1/4, {one:.4f} for 1")
print(f"digits: gap {gaps.mean():.3f}")

# %% [markdown]
# For $v = 1/4$ the gap falls from 0.0082 in one dimension to 0.0003 in 3072, the number of values in a color picture of 32×32. For $v = 1$ it stays. For the collection of digits, with 64 pixels, it is about 0.009, which is much next to a floor of 0.021. So the answer has two halves. The right answer at a given $x$ differs from $t$ to $t$, and where $x$ does not give $t$ away, a network without $t$ fails. In large pictures it mostly does give it away, and networks without $t$ have been trained with good results {cite:p}`sun2025`. But reading the noise level off the pixels is work, and the input $t$ saves it. Chapter 10 asks how to feed it in.
#
# ## One number that all pixels share
#
# The lab report has another open question: why do all the pictures of a batch share one color cast? Chapter 16 answers it with a trained model. Three facts that it needs follow from what we have.
#
# *The mean of a picture is hidden late.* Let the picture have $d$ pixels of variance $v$, with correlation $\rho$ between any two of them on average. The variance of their mean is the sum of all covariances over $d^2$. There are $d$ variances $v$ and $d(d-1)$ covariances, which sum to $d(d-1)\,\rho\,v$:
#
# $$
# \operatorname{Var}\Bigl[\frac1d\sum_i x_{0,i}\Bigr] = \frac{d\,v + d(d-1)\,\rho\,v}{d^2} = \frac{v}{d}\,\bigl(1 + (d-1)\,\rho\bigr) .
# $$
#
# The noises are not correlated, and the variance of their mean is $1/d$. In $x_t$ the first comes with the factor $\bar\alpha_t$ and the second with $1 - \bar\alpha_t$. Divide, and $1/d$ cancels:
#
# $$
# \mathrm{SNR}_\mathrm{mean}(t) = v\,\bigl(1 + (d-1)\,\rho\bigr)\;\mathrm{SNR}(t) .
# $$ (eq:mean-snr)
#
# For a single pixel it is $v\,\mathrm{SNR}(t)$. The mean is ahead by the factor $1 + (d-1)\,\rho$.

# %% tags=["claim"]
v, rho, d, t = 0.25, 0.3, 64, 300
common = (v * rho) ** 0.5 * torch.randn(100_000, 1)
own = (v * (1 - rho)) ** 0.5 * torch.randn(100_000, d)
x_t = a[t] * (common + own) + s[t] * torch.randn(100_000, d)
noise_of_mean = s[t] ** 2 / d
snr = schedule.snr[t]
claim(
    "eq:mean-snr",
    got=variance(x_t.mean(1)),
    want=noise_of_mean * (1 + v * (1 + (d - 1) * rho) * snr),
    rejects={
        "as for a pixel": noise_of_mean * (1 + v * snr),
        "noise not averaged": noise_of_mean
        * (d + v * (1 + (d - 1) * rho) * snr),
        "$d$ times a pixel's SNR": noise_of_mean * (1 + d * v * snr),
    },
)


# %% tags=["nbval-check-output"]
def drowns(factor):
    """The first t with factor · SNR(t) < 1."""
    return int((factor * schedule.snr < 1).nonzero().min())


from ddpm_lib.data import shapes

v, rho, d = 0.25, 0.3, 32 * 32
colored = scale(shapes(2000).pixels).double()  # (2000, 3, 32, 32)
v_pixel = colored.var((0, 2, 3)).mean()
v_mean = colored.mean((2, 3)).var(0).mean()
ahead = 1 + (d - 1) * rho
print(f"factor {ahead:.0f}, times v: {v * ahead:.0f}")
print(f"pixel: t = {drowns(v)}, mean: t = {drowns(v * ahead)}")
print(f"shapes: variance {v_pixel:.3f}, of the mean {v_mean:.4f}")
print(f"shapes: pixel {drowns(v_pixel)}, mean {drowns(d * v_mean)}")

# %% [markdown]
# With $v = 1/4$ and $\rho = 0.3$ that factor is 308 for 32×32 pixels. Noise takes the lead over a pixel at $t = 146$, and over their mean at $t = 656$. In the course's colored shapes, where the pixels have less in common, these times are 104 and 387. So sampling settles the overall color early, while single pixels are still noise.
#
# *A constant error is cheap.* Let a network be perfect up to a constant, $f(x_t) = \mathbb E[\bar\epsilon_t \mid x_t] + b$ in every pixel. By {eq}`eq:loss-floor`,
#
# $$
# \mathbb E\bigl(\bar\epsilon_t - f(x_t)\bigr)^2 = \mathbb E\bigl[\operatorname{Var}[\bar\epsilon_t \mid x_t]\bigr] + b^2 .
# $$ (eq:bias-cost)
#
# With $b = 0.01$ that is $10^{-4}$, or 0.05 % of the average floor of our pixel. No loss curve shows it, and little in the training pushes it away.

# %% tags=["claim"]
b, t = 0.1, 200
_, eps, x_t = draw(1_000_000, t)
guess = guess_noise(x_t, t)
claim(
    "eq:bias-cost",
    got=mean((eps - guess - b).square()),
    want=floor_two[t - 1] + b**2,
    rejects={
        "$b$": floor_two[t - 1] + b,
        "a cross term": floor_two[t - 1] + 2 * b + b**2,
        "nothing": floor_two[t - 1],
    },
)

# %% [markdown]
# *And it adds up.* What does a constant error do to samples? Let one coordinate of the data be normal with variance $\lambda$. By {eq}`eq:mixture-guess` with one component at 0, and {eq}`eq:same-knowledge`, the best guess is $\mathbb E[\bar\epsilon_t \mid x_t] = s_t\,x_t/V_t$ with $V_t = \lambda\,\bar\alpha_t + 1 - \bar\alpha_t$, the variance of $x_t$; we write $a_t$ and $s_t$ now that several times occur. The sampler's mean is $\bigl(x_t - \tfrac{\beta_t}{s_t}\hat\epsilon\bigr)/\sqrt{\alpha_t}$, which is {eq}`eq:mu-tilde-eps` of chapter 4 with the guess in place of the noise. Run it twice with the same noise, once with $\hat\epsilon$ as it should be and once with $b$ added, and let $\delta_t$ be the difference between the two runs. The second run stands at $x_t + \delta_t$, so its $\hat\epsilon$ is larger by $s_t\,\delta_t/V_t + b$. Subtract the two means, and collect $\delta_t$:
#
# $$
# \begin{aligned}
# \delta_{t-1} &= \frac{1}{\sqrt{\alpha_t}}\Bigl(\delta_t - \frac{\beta_t}{s_t}\Bigl(\frac{s_t}{V_t}\,\delta_t + b\Bigr)\Bigr)\\
# &= \frac{1}{\sqrt{\alpha_t}}\Bigl(1 - \frac{\beta_t}{V_t}\Bigr)\,\delta_t - \frac{\beta_t}{s_t\sqrt{\alpha_t}}\;b .
# \end{aligned}
# $$
#
# By {eq}`eq:variance-step`, $V_t = \alpha_t V_{t-1} + \beta_t$. Bring the factor of $\delta_t$ to one denominator, insert this, and cancel $\sqrt{\alpha_t}$:
#
# $$
# \begin{aligned}
# \frac{1}{\sqrt{\alpha_t}}\Bigl(1 - \frac{\beta_t}{V_t}\Bigr)
# &= \frac{1}{\sqrt{\alpha_t}}\;\frac{V_t - \beta_t}{V_t}\\
# &= \frac{1}{\sqrt{\alpha_t}}\;\frac{\alpha_t V_{t-1}}{V_t}\\
# &= \sqrt{\alpha_t}\;\frac{V_{t-1}}{V_t} .
# \end{aligned}
# $$ (eq:shift-factor)

# %% tags=["claim"]
al, ab, lam = sp.symbols("alpha_t alphabar_{t-1} lambda", positive=True)
V_before = lam * ab + 1 - ab
V_now = lam * al * ab + 1 - al * ab
claim(
    "eq:shift-factor",
    got=(1 - (1 - al) / V_now) / sp.sqrt(al),
    want=sp.sqrt(al) * V_before / V_now,
    rejects={
        "the denoiser does not answer": 1 / sp.sqrt(al),
        "the variances exchanged": sp.sqrt(al) * V_now / V_before,
        "no root": al * V_before / V_now,
    },
)

# %% [markdown]
# A contribution that enters $\delta_{t-1}$ passes through the factors of the steps $t-1, \dots, 1$ on its way to $\delta_0$. In their product the variances telescope, and $a_{t-1}$ is the product of the roots:
#
# $$
# \prod_{u=1}^{t-1} \sqrt{\alpha_u}\,\frac{V_{u-1}}{V_u} = a_{t-1}\,\frac{V_0}{V_{t-1}} = \frac{a_{t-1}\,\lambda}{V_{t-1}} .
# $$
#
# Both runs start from the same $x_T$, so $\delta_T = 0$, and the contributions of all steps add up:
#
# $$
# \delta_0 = -\,b\,\sum_{t=1}^T \frac{\beta_t}{s_t\sqrt{\alpha_t}}\;\frac{a_{t-1}\,\lambda}{V_{t-1}} .
# $$ (eq:bias-gain)
#
# The claim runs the library's sampler on normal data in three coordinates, with variances $1/4$, 1 and 77.

# %%
beta, alpha = schedule.beta, schedule.alpha


def shift(lam, b):
    """delta_0 of a coordinate with variance lam."""
    before = lam * a[:-1] ** 2 + s[:-1] ** 2  # V_{t-1}
    push = beta[1:] / (s[1:] * alpha[1:].sqrt())
    return -b * (push * a[:-1] * lam / before).sum()


# %% tags=["claim"]
lam, b = torch.tensor([0.25, 1.0, 77.0]), 0.01
one = torch.ones(1)
data = exact.mixture(one, torch.zeros(1, 3), torch.diag(lam)[None])
right = exact.exact_denoiser(schedule, data)


def biased(x_t, t):
    eps = right(x_t, t).eps + b
    return Prediction((x_t - s[t] * eps) / a[t], eps)


x_T, ends = torch.randn(4, 3), []
for denoise in (right, biased):
    torch.manual_seed(1)  # the same noise for both
    *_, end = sample(ddpm(), schedule, denoise, x_T)
    ends.append(end)
push = beta[1:] / (s[1:] * alpha[1:].sqrt())
claim(
    "eq:bias-gain",
    got=(ends[1] - ends[0])[0],
    want=torch.stack([shift(value, b) for value in lam]),
    rejects={
        "$b$ itself": torch.full((3,), b),
        "the sign": -torch.stack([shift(value, b) for value in lam]),
        "no answer to the shift": torch.full(
            (3,), float(-b * (push / a[:-1]).sum())
        ),
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "Shift of the samples for a constant error of 0.01 in the predicted noise, against the variance of the coordinate from 0.01 to 10000 on a logarithmic axis. The curve is near 0 for small variances, at minus 0.015 for a pixel of variance one quarter, at minus 0.27 for the mean color with variance 77, and falls to minus 2 at the right end."}, "figure": {"name": "fig-shift", "caption": "What the error $b = 0.01$ in $\\hat\\epsilon$ does to a coordinate of the samples, by its variance $\\lambda$ in the data. A small variance pulls the samples back into place. The mean color of 32×32 pixels is a coordinate of large variance, and is moved far."}}
lams = torch.logspace(-2, 4, 61)
fig, ax = plt.subplots(figsize=(6, 3.2))
ax.semilogx(lams, [shift(value, 0.01) for value in lams], color=MODEL)
for value, name in ((0.25, "one pixel"), (77, "mean color")):
    ax.plot(value, shift(value, 0.01), "o", color=MODEL)
    ax.annotate(
        name,
        (value, shift(value, 0.01)),
        (-8, -14),
        textcoords="offset points",
        ha="right",
    )
ax.set(xlabel=r"variance $\lambda$ of the coordinate")
ax.set(ylabel=r"shift of the samples, $\delta_0$")
plt.show()

# %% tags=["nbval-check-output"]
one_pixel, color = shift(0.25, 0.01), shift(77, 0.01)
print(f"shift of one pixel {one_pixel:.3f}, of the mean {color:.2f}")
share = 0.01**2 / floor_two.mean()
print(f"loss: {0.01**2:.0e}, or {share:.2%} of the two humps' floor")

# %% [markdown]
# If every two pixels have the same correlation, the mean color is such a coordinate. The sum of the $d$ pixels over $\sqrt d$ is one axis of a rotated system, uncorrelated with the other axes. Its noise is standard normal, and its variance is $\lambda = v\,(1 + (d-1)\rho)$, 77 in our example. A bias $b$ in every pixel is $\sqrt d\,b$ on this axis, and the shift of the mean is $1/\sqrt d$ of the shift there, so {eq}`eq:bias-gain` holds for the mean with $b$ itself. An error of 0.01 in $\hat\epsilon$ moves every sample's mean by $-0.27$, in pixels that span 2. The same error moves a pixel that stands alone by $-0.015$: its data has a small variance, and at each step the denoiser pulls it back.
#
# ## Where tutorials go wrong
#
# The next cell computes the numbers for this section, for the pixel with two humps. The covariance of the noise with its best guess is the mean square of the guess, by the tower rule. So their correlation is the root of that mean square, which {eq}`eq:floor-from-guess` makes 1 minus the floor; with the step's noise it is $\sqrt{\beta_t}/s$ times as large.

# %% tags=["nbval-check-output"]
print("   t  floor  correlation with all noise, with the step's")
for t in (10, 100, 500):
    corr = (1 - floor_two[t - 1]).sqrt()
    of_step = beta[t].sqrt() / s[t] * corr
    print(
        f"{t:>4}  {floor_two[t - 1]:.3f}{corr:>12.2f}{of_step:>22.2f}"
    )
wrong_floor = schedule.snr[10] * (1 + width**2)
print(f"SNR times Var[x_0] at t = 10: {wrong_floor:.0f}")
_, eps, x_t = draw(1_000_000, 200)
guess, second = guess_noise(x_t, 200), torch.randn(1_000_000)
scores = {
    "right guess, right noise": eps - guess,
    "right guess, a second noise": second - guess,
    "zero, a second noise": second,
    "wrong sign, right noise": eps + guess,
}
for name, off in scores.items():
    print(f"{name:28} {off.square().mean():.2f}")

# %% [markdown]
# *The noise of the step.* Texts say that the network predicts the noise added at step $t$. By {eq}`eq:step-noise-share` the guess of that is the guess of all noise times $\sqrt{\beta_t}/s$. Even the best guess has a correlation of 0.12 with the step's noise at $t = 100$ and of 0.10 at $t = 500$. With all the noise it has 0.81 and 0.96. {numref}`ex-step-sampler` shows what a sampler must do to use the small one.
#
# *The network finds the noise that was added.* It finds a mean. At $t = 10$ the guess for our pixel has a correlation of 0.21 with the noise that was drawn, and its loss is 0.955. That is perfect. Conversely, taking out the predicted noise at a large $t$ gives the mean of many pictures and not a picture, which is why sampling takes many steps.
#
# *Zero as the goal.* A loss that stays at a constant above zero is taken as a sign that training failed, and the learning rate is blamed. Compare with the floor first.
#
# *A floor from the wrong variance.* One meets $\mathrm{SNR}(t)\operatorname{Var}[x_0]$, with the variance of $x_0$ before $x_t$ is seen. In {eq}`eq:floor-snr` it is the variance that remains after. At $t = 10$ the wrong one is 548 for our pixel, where a network that answers zero has a loss of 1.
#
# *Two noises.* The listing of a MindSpore article draws one noise to make $x_t$, and a second one to compare the answer with. The second is independent of everything that is shown. Its conditional mean is zero, so by {eq}`eq:best-guess` the best network answers zero, and the loss stays at 1.00. The right guess would even be punished: it scores 1.49, against 0.51 with the noise that is in $x_t$.
#
# *No $t$, or another one.* One model's `forward` takes no $t$, and inside its blocks a new $t$ is drawn at random for the embedding. A $t$ that has nothing to do with $x$ is worth no more than none: the model can learn {eq}`eq:blind-guess` at best. The loss falls and looks healthy, 0.326 in our example, and the samples are too narrow.
#
# *The wrong average.* Where $t$ or the picture is unknown, one sees averages with equal weights. The right weights are those of Bayes' rule, $p(t \mid x)$ or $w_n(x_t)$; the claims of {eq}`eq:blind-guess` and {eq}`eq:set-guess` reject the plain mean.
#
# *The sign of the score.* Some code uses $\hat\epsilon = s\,\nabla\log q$. The noise points downhill, the score uphill. With the wrong sign the loss is 2.47, worse than no answer, and each step of a sampler leads away from the data.
#
# ## Exercises
#
# :::{exercise} Two values, by hand
# :label: ex-two-values
#
# With pencil and calculator. A pixel is $-1$ or $1$, equally often. At some time $a = 0.6$ and $s = 0.8$, and you see $x_t = 0.5$. What is the best guess of the *noise*?
# :::

# %%
from ddpm_lib.course.checks import optimal as check

noise_guess = ...
check.two_values(noise_guess)

# %% [markdown]
# :::{solution-start} ex-two-values
# :class: dropdown
# :::
#
# By {eq}`eq:two-values` the guess of the pixel is $\tanh(0.6 \cdot 0.5/0.64) = \tanh(0.469) = 0.437$. Then {eq}`eq:same-knowledge` gives the noise: $(0.5 - 0.6 \cdot 0.437)/0.8 = 0.297$. The noise was $-0.125$ or $1.375$; the guess lies between, nearer to the likelier one.

# %% tags=["solution", "nbval-check-output"]
pixel = math.tanh(0.6 * 0.5 / 0.64)
noise_guess = (0.5 - 0.6 * pixel) / 0.8
check.two_values(noise_guess)
print(f"{0.6 * 0.5 / 0.64:.3f} -> {pixel:.3f}; noise {noise_guess:.3f}")
print(f"{(0.5 - 0.6) / 0.8:.3f} or {(0.5 + 0.6) / 0.8:.3f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} The floor of your data
# :label: ex-floor
#
# Somebody trains on data that is normal with variance $1/4$, with the linear schedule and $t$ drawn evenly from 1 to 1000, and reports an average loss of 0.10 on new data. Compute the floor, as one number. Is the report believable?
# :::

# %%
average_floor = ...
check.average_floor(average_floor)

# %% [markdown]
# :::{solution-start} ex-floor
# :class: dropdown
# :::
#
# Take {eq}`eq:gaussian-floor` with $v = 1/4$ for each $t$ from 1 to 1000, and average. The floor is 0.173, so 0.10 is below what any network can do. Look for the mistake in the report: a sum divided by too many values, small $t$ left out, or the loss on something else than $\bar\epsilon_t$.

# %% tags=["solution", "nbval-check-output"]
t = torch.arange(1, T + 1)
average_floor = gaussian_floor(0.25, t).mean()
check.average_floor(average_floor)
print(f"floor {average_floor:.3f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A sampler for the step's noise
# :label: ex-step-sampler
#
# Suppose that a network was trained on $\epsilon_t$, the noise of the single step, and is perfect: it answers $\mathbb E[\epsilon_t \mid x_t]$. Write the mean of $x_{t-1}$ with this answer. Start from $\bigl(x_t - \tfrac{\beta_t}{s}\,\mathbb E[\bar\epsilon_t \mid x_t]\bigr)/\sqrt{\alpha_t}$.
# :::


# %%
def step_mean(x_t, t, step_noise):
    """The mean of x_{t-1} from E[eps_t | x_t]."""
    return ...


check.step_mean(step_mean)

# %% [markdown]
# :::{solution-start} ex-step-sampler
# :class: dropdown
# :::
#
# By {eq}`eq:step-noise-share`, $\mathbb E[\bar\epsilon_t \mid x_t] = (s/\sqrt{\beta_t})\,\mathbb E[\epsilon_t \mid x_t]$. Insert it: $\tfrac{\beta_t}{s}\cdot\tfrac{s}{\sqrt{\beta_t}} = \sqrt{\beta_t}$, so the mean is $\bigl(x_t - \sqrt{\beta_t}\;\mathbb E[\epsilon_t \mid x_t]\bigr)/\sqrt{\alpha_t}$. It is the step {eq}`def:step` solved for $x_{t-1}$. A blog post's sampler has this formula, but feeds it the guess of *all* noise, which is larger by $s/\sqrt{\beta_t}$. The cell runs both on the pixel with two humps. With the right answer the samples have the data's standard deviation, 1.02, and the humps a width of 0.19, close to the data's 0.20. With the guess of all noise every sample ends up far too close to the middle of its hump, and the width is 0.08.


# %% tags=["solution", "nbval-check-output"]
def step_mean(x_t, t, step_noise):
    """The mean of x_{t-1} from E[eps_t | x_t]."""
    return (x_t - beta[t].sqrt() * step_noise) / alpha[t].sqrt()


check.step_mean(step_mean)


def walk(ratio):
    """Samples, if the answer is `ratio(t)` times the best guess."""
    x_t = torch.randn(4000)
    for t in range(T, 0, -1):
        noise = ratio(t) * guess_noise(x_t, t)
        x_t = step_mean(x_t, t, noise)
        if t > 1:
            var = schedule.beta_tilde[t]
            x_t = x_t + var.sqrt() * torch.randn(4000)
    return x_t


right = walk(lambda t: beta[t].sqrt() / s[t])
wrong = walk(lambda t: 1.0)
for name, drawn in (("step's noise", right), ("all noise", wrong)):
    hump_width = (drawn - drawn.sign()).std()
    print(f"{name:12}: std {drawn.std():.2f}, width {hump_width:.2f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} The color of larger pictures
# :label: ex-color
#
# Pictures of 96×96 pixels, with $v = 1/4$ and $\rho = 0.3$. What is the first $t$ at which the noise is stronger than the signal in the mean of all pixels? Then use `shift` to see by how much a constant error of 0.01 moves the mean now.
# :::

# %%
first_t = ...
check.mean_drowns(first_t)

# %% [markdown]
# :::{solution-start} ex-color
# :class: dropdown
# :::
#
# There are $d = 9216$ pixels, and {eq}`eq:mean-snr` has the factor $\tfrac14(1 + 9215 \cdot 0.3) = 691$. The signal leads up to $t = 803$. With this $\lambda$ the shift is $-0.74$. The larger the picture, the earlier in sampling its mean is decided, and the more a small constant error moves it. Larger pictures need a schedule that ends in more noise, or a model that looks after its mean.

# %% tags=["solution", "nbval-check-output"]
factor = 0.25 * (1 + (96 * 96 - 1) * 0.3)
first_t = drowns(factor)
check.mean_drowns(first_t)
print(f"factor {factor:.0f}: t = {first_t}")
print(f"shift {shift(factor, 0.01):.2f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: the best denoiser
# :class: card
#
# With $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$:
#
# $$
# \begin{aligned}
# \text{the best network} \quad & \hat\epsilon = \mathbb E[\bar\epsilon_t \mid x_t], \qquad \hat x_0 = \mathbb E[x_0 \mid x_t], \qquad x_t = a\,\hat x_0 + s\,\hat\epsilon\\
# \text{as a slope} \quad & \mathbb E[\bar\epsilon_t \mid x_t] = -s\,\nabla\log q(x_t)\\
# \text{for a collection} \quad & \mathbb E[x_0 \mid x_t] = \textstyle\sum_n w_n\,x^{(n)}, \quad w = \operatorname{softmax}\bigl(-\lVert x_t - a\,x^{(n)}\rVert^2/2s^2\bigr)\\
# \text{the floor} \quad & \mathbb E\bigl[\operatorname{Var}[\bar\epsilon_t \mid x_t]\bigr] = \mathrm{SNR}(t)\,\mathbb E\bigl[\operatorname{Var}[x_0 \mid x_t]\bigr]\\
# \text{normal data} \quad & v\,\bar\alpha_t/(v\,\bar\alpha_t + 1 - \bar\alpha_t)\\
# \text{without } t \quad & \text{the floor rises by } \mathbb E\bigl[\operatorname{Var}_{t \mid x}\bigl[\mathbb E[\bar\epsilon \mid x, t]\bigr]\bigr]
# \end{aligned}
# $$
#
# The answer is a mean and not the noise that was drawn. Compare a loss with the floor at the same $t$, and never with zero.
# :::
#
# We know what a perfect network would answer. Chapter 9 trains a real one, on points in the plane, and compares it with this answer.
