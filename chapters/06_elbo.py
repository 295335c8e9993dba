# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A bound that can be computed
#
# Two models draw digits. Which is better? Looking at what they draw does not settle it, because a model that has stored the collection draws perfect digits. A number that does not have this fault is the probability that a model gives to pictures it has not seen. For a diffusion model this number is an integral over all paths that end at the picture, and nobody can do that integral. This chapter replaces it with a sum of $T + 1$ terms that we can compute, and measures what the replacement costs.
#
# :::{admonition} At a glance
# :class: glance
#
# 50 minutes to read, longer with a pencil; it runs in about half a minute on a laptop's CPU, and needs no GPU. You need the noising kernel and the jump (chapter 2), the posterior $q(x_{t-1} \mid x_t, x_0)$ (chapter 4), the model's step (chapter 5), and the KL divergence of two normal distributions (chapter 1).
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Two panels of random paths over t, with t = 30 at the left and t = 0 at the right. Left: sixty paths of the model start anywhere between minus 2 and 2 and end in two bundles near minus 1 and 1; only a few, drawn thick, end within 0.05 of a cross at 0.9. Right: sixty paths drawn from the cross at 0.9 all end in it."}, "figure": {"name": "fig-paths", "caption": "Left: sixty paths of a model; to ask for the probability of the cross is to ask how many end there, and few do (thick). Right: sixty paths that were made from the cross by adding noise. They all pass through the region that determines $p(x_0)$."}}
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

from ddpm_lib.diffusion import (
    Gaussian,
    kernel_variance,
    posterior,
    posterior_variance,
)
from ddpm_lib.exact import (
    covariance,
    draw,
    exact_denoiser,
    isotropic,
    log_density,
    noised,
    reverse,
)
from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, style
from ddpm_lib.sampling import ddpm, sample
from ddpm_lib.schedules import Schedule, cosine, linear

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

two = isotropic(torch.ones(2) / 2, torch.tensor([[-1.0], [1.0]]), 0.2)
few = cosine(30)
start = torch.randn(60, 1)
walk = sample(
    ddpm(kernel_variance), few, exact_denoiser(few, two), start
)
backward = torch.stack([start, *walk])[..., 0]
forward = [torch.full((60,), 0.9)]
for t in range(1, 31):
    keep, add = few.alpha[t].sqrt(), few.beta[t].sqrt()
    forward.append(keep * forward[-1] + add * torch.randn(60))
forward = torch.stack(forward[::-1])

fig, axes = plt.subplots(1, 2, figsize=(6, 2.8), sharey=True)
near = (backward[-1] - 0.9).abs() < 0.05
for ax, paths, color, title in (
    (axes[0], backward, MODEL, "drawn by the model"),
    (axes[1], forward, NOISE, "made from the cross"),
):
    ax.plot(range(30, -1, -1), paths, color=color, lw=0.5, ls="-")
    ax.plot(0, 0.9, "x", color=DATA, ms=9, mew=2.5, zorder=5)
    ax.set(xlabel="$t$", title=title, xlim=(30, -1.5), ylim=(-3, 3))
axes[0].plot(
    range(30, -1, -1), backward[:, near], color=MODEL, lw=2.2, ls="-"
)
axes[0].set_ylabel("$x_t$")
plt.show()

# %% [markdown]
# ## The number that we want
#
# The model's step {eq}`def:model-step` goes from $x_t$ to $x_{t-1}$ by a draw from a normal distribution $p_\theta(x_{t-1} \mid x_t)$. Its mean $\mu_\theta(x_t, t)$ comes from a network with parameters $\theta$; its variance $\sigma_t^2$ we choose. A whole run begins with $x_T$ from $p(x_T) = \mathcal N(0, I)$ and takes $T$ such steps. The density of the run is the product of the densities of its draws. We write $x_{0:T}$ for $x_0, x_1, \dots, x_T$ together:
#
# $$
# p_\theta(x_{0:T}) = p(x_T) \prod_{t=1}^T p_\theta(x_{t-1} \mid x_t) .
# $$ (def:model-joint)
#
# This is a *joint* density, of the picture and of everything on the way to it. What the model says about the picture alone is what remains when the rest is integrated away, wherever it may have been:
#
# $$
# p_\theta(x_0) = \int p_\theta(x_{0:T})\; dx_1 \cdots dx_T .
# $$ (eq:evidence)
#
# This is called the *likelihood* of $\theta$. It is the number that we want, as large as possible for the pictures of the collection. Because the pictures are independent, their likelihoods multiply, so we take logarithms and add. The average of $-\log p_\theta(x_0)$ over the pictures is a cost, in *nats* with the natural logarithm.
#
# Let us have a case where everything can be computed. The data is one number, drawn from the mixture {eq}`def:mixture` of two components at $\pm 1$ with the width $\varsigma = 0.2$. There are only $T = 3$ steps. The model's mean is the best there is: the posterior mean {eq}`eq:mu-tilde` with $\mathbb E[x_0 \mid x_t]$ in place of $x_0$. For a mixture we have this exactly, as the mean of {eq}`eq:reverse-mixture` for $u = 0$. Its variance is $\sigma_t^2 = \beta_t$. Then {eq}`eq:evidence` is a threefold integral over numbers, and sums over a fine grid do it to all digits, because the integrand is smooth and vanishes at both ends.


# %%
short = Schedule.from_betas(torch.tensor([0.1, 0.3, 0.6]))
grid = torch.linspace(-8, 8, 161)
width = grid[1] - grid[0]


def normal(x, mean, var):
    """The log density of N(mean, var) at x."""
    return -((x - mean) ** 2 / var + (2 * math.pi * var).log()) / 2


def model_mean(schedule, data, x_t, t):
    """mu_theta for the best x_0 given x_t.  x_t: (n,)"""
    x_t = x_t[:, None]
    x_0 = exact_denoiser(schedule, data)(x_t, t).x_0
    return posterior(schedule, x_0, x_t, t).mean[:, 0]


def model_steps(schedule, data, var):
    """log p(x_{t-1} | x_t) on the grid, by t; rows are x_{t-1}."""
    return {
        t: normal(
            grid[:, None],
            model_mean(schedule, data, grid, t),
            var[t],
        )
        for t in range(1, schedule.T + 1)
    }


log_p = model_steps(short, two, short.beta)
log_prior = normal(grid, torch.tensor(0.0), torch.tensor(1.0))


def model_density(x_0):
    """p(x_0) by summation over x_1, x_2 and x_3.  x_0: (n,)"""
    p_2 = log_p[3].exp() @ log_prior.exp() * width
    p_1 = log_p[2].exp() @ p_2 * width
    mean = model_mean(short, two, grid, 1)
    last = normal(x_0[:, None], mean, short.beta[1])
    return last.exp() @ p_1 * width


# %% [markdown]
# The claim runs the model: it draws $x_3$ and takes three steps, four hundred thousand times. The share of runs that end in each of four intervals must be what {eq}`eq:evidence` says. Among the wrong versions is the density of $x_0$ given one start, $x_3 = 0$.

# %% tags=["claim"]
from ddpm_lib.course.claims import claim, mean, variance

runs = 400_000
x = torch.randn(runs)
for t in (3, 2, 1):
    step = short.beta[t].sqrt() * torch.randn(runs)
    x = model_mean(short, two, x, t) + step

edges = torch.tensor([-1.5, -0.9, 0.0, 0.9, 1.5])
fine = torch.stack(
    [
        torch.linspace(float(a), float(b), 201)
        for a, b in pairwise(edges)
    ]
)


def shares(density):
    values = density(fine.flatten()).reshape(fine.shape)
    return torch.trapezoid(values, fine)


def given_start(x_0, place=80):
    """p(x_0 | x_3) for one point of the grid: two integrals."""
    p_1 = log_p[2].exp() @ log_p[3][:, place].exp() * width
    last = normal(
        x_0[:, None], model_mean(short, two, grid, 1), short.beta[1]
    )
    return last.exp() @ p_1 * width


inside = (x[:, None] > edges[:-1]) & (x[:, None] < edges[1:])
claim(
    "eq:evidence",
    got=mean(inside),
    want=shares(model_density),
    rejects={
        "$p(x_0 ∣ x_3 = 0)$, one start": shares(given_start),
        "the density of the data": shares(
            lambda x: log_density(two, x[:, None]).exp()
        ),
    },
)

# %% [markdown]
# The other wrong version is worth a look: the model's $p_\theta(x_0)$ is not the density of the data. Three steps are too few for that, even with the best mean.
#
# For pictures nobody can build such a grid. With 64 pixels and a thousand steps the integral has 64 000 dimensions. Nor does it help to run the model and count, as the claim did: no run in a lifetime would end within a hair of a given picture. {numref}`fig-paths` shows the trouble, and also its cure.
#
# ## Ask the paths that matter
#
# Nearly all runs miss the picture and tell us nothing about it. The runs that count pass through noisy versions of the picture, and those we know how to make: the forward process does it. So multiply and divide the integrand by $q(x_{1:T} \mid x_0)$, the density of a path that starts at $x_0$. That is allowed wherever this density is not zero, and a normal density never is. Then read the integral as an expectation over such paths:
#
# $$
# \begin{aligned}
# p_\theta(x_0) &= \int p_\theta(x_{0:T})\; \frac{q(x_{1:T} \mid x_0)}{q(x_{1:T} \mid x_0)}\; dx_{1:T}\\
# &= \int q(x_{1:T} \mid x_0)\; \frac{p_\theta(x_{0:T})}{q(x_{1:T} \mid x_0)}\; dx_{1:T}\\
# &= \mathbb E_{q(x_{1:T} \mid x_0)}\left[ \frac{p_\theta(x_{0:T})}{q(x_{1:T} \mid x_0)} \right] .
# \end{aligned}
# $$ (eq:importance)
#
# The ratio is called the *weight* of the path, and the method *importance sampling*. The claim walks from $x_0 = 0.9$ forward, a hundred thousand times, and compares the mean weight with the integral.


# %%
def step_forward(x, t):
    """A draw of q(x_t | x_{t-1}) in the short schedule."""
    keep, add = short.alpha[t].sqrt(), short.beta[t].sqrt()
    return keep * x + add * torch.randn(x.shape)


def log_weight(x_0, path):
    """log p(x_{0:3}) - log q(x_{1:3} | x_0).  path: x_1, x_2, x_3"""
    total = normal(path[2], torch.tensor(0.0), torch.tensor(1.0))
    before = x_0
    for t, x in enumerate(path, start=1):
        total = total + normal(
            before, model_mean(short, two, x, t), short.beta[t]
        )
        keep = short.alpha[t].sqrt()
        total = total - normal(x, keep * before, short.beta[t])
        before = x
    return total


# %% tags=["claim"]
datum = torch.full((100_000,), 0.9)
path = [step_forward(datum, 1)]
path.append(step_forward(path[-1], 2))
path.append(step_forward(path[-1], 3))
log_w = log_weight(datum, path)
likelihood = model_density(datum[:1])[0]
claim(
    "eq:importance",
    got=mean(log_w.exp()),
    want=likelihood,
    rejects={
        "logarithms averaged": log_w.mean().exp(),
        "the ratio upside down": (-log_w).exp().mean(),
    },
)

# %% [markdown]
# For one number and three steps this works. For a picture the weight is a product over all pixels and a thousand steps. Unless the model is nearly perfect, a few lucky paths have nearly all of the weight, and an average over any number of paths that we can afford misses them. The first rejected version points to the way out. The *logarithm* of the weight is a sum, and a sum is easy to average. It gives another number, though. Which?
#
# ## A tangent line
#
# The logarithm is a curve that bends downward, so it lies below each of its tangents. Take the tangent at $y = 1$. There $\log y$ is 0 and its slope $1/y$ is 1, so the tangent is $y - 1$:
#
# $$
# \log y \;\le\; y - 1, \qquad y > 0,
# $$ (eq:tangent)
#
# with equality only at $y = 1$. For a proof, look at the difference $y - 1 - \log y$. Its derivative $1 - 1/y$ is negative below 1 and positive above, hence the difference is smallest at $y = 1$, where it is 0. The claim asks sympy for the minimum.

# %% tags=["claim"]
import sympy as sp
from sympy.calculus.util import minimum

y = sp.Symbol("y", positive=True)
above_zero = sp.Interval.open(0, sp.oo)
claim(
    "eq:tangent",
    got=minimum(y - 1 - sp.log(y), y, above_zero),
    want=sp.Integer(0),
    rejects={
        r"$\log y ≤ y$, which does not touch": minimum(
            y - sp.log(y), y, above_zero
        ),
        "half the slope": minimum(
            (y - 1) / 2 - sp.log(y), y, above_zero
        ),
    },
)

# %% [markdown]
# Now let $R$ be any positive random number, such as the weight of a path, and put $y = R / \mathbb E[R]$. Then $\mathbb E[y] = 1$. Average the difference of the two sides of {eq}`eq:tangent`; use $\mathbb E[y] = 1$; write the logarithm of the quotient as a difference; and take the constant $\log \mathbb E[R]$ out of the expectation:
#
# $$
# \begin{aligned}
# 0 \le \mathbb E[\,y - 1 - \log y\,] &= \mathbb E[y] - 1 - \mathbb E[\log y]\\
# &= -\,\mathbb E[\log y]\\
# &= -\,\mathbb E\bigl[\log R - \log \mathbb E[R]\bigr]\\
# &= \log \mathbb E[R] - \mathbb E[\log R] .
# \end{aligned}
# $$ (eq:jensen)
#
# So the mean of the logarithm is at most the logarithm of the mean. This is *Jensen's inequality*, for the logarithm. Our line says a little more than the name: it says *how much* is lost, namely the mean of $y - 1 - \log y$, which is zero exactly if $R$ is always the same. The claim takes five equally likely values of $R$.

# %% tags=["claim"]
R = torch.tensor([0.2, 0.5, 1.0, 2.0, 5.0])
ratio = R / R.mean()
claim(
    "eq:jensen",
    got=R.mean().log() - R.log().mean(),
    want=(ratio - 1 - ratio.log()).mean(),
    rejects={
        "log and mean exchanged freely": 0.0,
        "the other direction": R.log().mean() - R.mean().log(),
        "$y$ not divided by the mean": (R - 1 - R.log()).mean(),
    },
)

# %% [markdown]
# With the weight of a path as $R$, {eq}`eq:importance` says that $\log \mathbb E[R]$ is $\log p_\theta(x_0)$. Turn the sign around, to have a cost, and name what takes its place:
#
# $$
# L(x_0) = \mathbb E_{q(x_{1:T} \mid x_0)}\left[ \log \frac{q(x_{1:T} \mid x_0)}{p_\theta(x_{0:T})} \right] .
# $$ (def:vlb)
#
# Then $-\log p_\theta(x_0) \le L(x_0)$, for every picture and for every model. This is the *variational bound*; its negative is the evidence lower bound, ELBO. We can lower $L$ by training and be sure that the cost itself lies below.
#
# ## What the inequality loses
#
# A bound may be useless: if the gap is large, a lower $L$ need not mean a better model. So let us find the gap. The joint density of the model is the density of the picture times that of the path given the picture, $p_\theta(x_{0:T}) = p_\theta(x_0)\, p_\theta(x_{1:T} \mid x_0)$. Insert it, write the logarithm of the product as a sum, and take the part out that does not depend on the path:
#
# $$
# \begin{aligned}
# L(x_0) &= \mathbb E_q\left[ \log \frac{q(x_{1:T} \mid x_0)}{p_\theta(x_0)\; p_\theta(x_{1:T} \mid x_0)} \right]\\
# &= \mathbb E_q\left[ -\log p_\theta(x_0) + \log \frac{q(x_{1:T} \mid x_0)}{p_\theta(x_{1:T} \mid x_0)} \right]\\
# &= -\log p_\theta(x_0) + \mathbb E_q\left[ \log \frac{q(x_{1:T} \mid x_0)}{p_\theta(x_{1:T} \mid x_0)} \right] .
# \end{aligned}
# $$
#
# The last expectation is a KL divergence, by its definition {eq}`def:kl`, and so
#
# $$
# L(x_0) - \bigl(-\log p_\theta(x_0)\bigr) = \mathrm{KL}\bigl(q(x_{1:T} \mid x_0) \,\|\, p_\theta(x_{1:T} \mid x_0)\bigr) .
# $$ (eq:gap)
#
# The gap compares two ways to explain a picture by a path: the one that we fixed, which adds noise, and the one that the model believes in. If the model is the exact reverse of the noising, the two agree and nothing is lost.
#
# For a check we need a model whose $p_\theta(x_0)$ and whose $p_\theta(x_{1:T} \mid x_0)$ are both known. Take Gaussian data with standard deviation $\varsigma = 0.5$. Then the model's mean is a multiple of $x_t$, every number on a path is a sum of normal numbers, and all $T + 1$ of them together are a Gaussian vector. Its covariance follows from the steps. Condition it on $x_0$ by {eq}`eq:conditional-blocks`; the covariance of the noising is {eq}`eq:covariance`, and {eq}`eq:kl-nd` is the KL divergence of two Gaussian vectors. For the left side, sum the definition over a grid of all paths.


# %%
def bound_by_definition(schedule, log_p, x_0):
    """E_q of log q(x_{1:3} | x_0) - log p(x_{0:3}), on the grid."""
    to_1 = normal(
        grid, schedule.alpha[1].sqrt() * x_0, schedule.beta[1]
    )
    to_2, to_3 = (
        normal(
            grid[None, :],
            schedule.alpha[t].sqrt() * grid[:, None],
            schedule.beta[t],
        )
        for t in (2, 3)
    )
    # axes: x_1, x_2, x_3
    log_q = to_1[:, None, None] + to_2[:, :, None] + to_3
    from_1 = torch.stack(
        [at_datum(column, x_0) for column in log_p[1].T]
    )
    log_joint = (
        from_1[:, None, None] + log_p[2][:, :, None] + log_p[3]
    ) + log_prior
    return (log_q.exp() * (log_q - log_joint)).sum() * width**3


def at_datum(column, x_0):
    return column[(grid - x_0).abs().argmin()]


# %%
one = isotropic(torch.ones(1), torch.zeros(1, 1), 0.5)


def gaussian_model(schedule, data, var):
    """The covariance of x_0 .. x_T under the model.  (T+1, T+1)"""
    T = schedule.T
    made_of = torch.zeros(T + 1, T + 1)  # x_t as a sum of noises
    made_of[T, T] = 1.0
    for t in range(T, 0, -1):
        slope = model_mean(schedule, data, torch.ones(1), t)
        made_of[t - 1] = slope * made_of[t]
        made_of[t - 1, t - 1] = var[t].sqrt()
    return made_of @ made_of.T


# %% tags=["claim"]
x_0 = torch.tensor(0.9)
joint = gaussian_model(short, one, short.beta)
gain = joint[1:, 0] / joint[0, 0]  # conditioning on x_0
given = joint[1:, 1:] - torch.outer(gain, joint[0, 1:])
vector = torch.distributions.MultivariateNormal
p_path = vector(gain * x_0, given)

bar = short.alpha_bar[1:]
shared = torch.minimum(1 / bar, 1 / bar[:, None]) - 1
spread = (bar * bar[:, None]).sqrt() * shared  # of q, given x_0
q_path = vector(bar.sqrt() * x_0, spread)

kl_of = torch.distributions.kl_divergence
by_definition = bound_by_definition(
    short, model_steps(short, one, short.beta), x_0
)
log_likelihood = normal(x_0, torch.tensor(0.0), joint[0, 0])
claim(
    "eq:gap",
    got=kl_of(q_path, p_path),
    want=by_definition + log_likelihood,
    rejects={
        "the KL the other way round": kl_of(p_path, q_path),
        "no gap": 0.0,
        "the bound itself": by_definition,
    },
    atol=1e-9,
)

# %% [markdown]
# ## The product telescopes
#
# $L(x_0)$ is an expectation that we can estimate: draw a path from $x_0$, evaluate the ratio, average. But that takes a whole walk for one number, and it hides what the number consists of. Write the ratio out for $T = 3$, with {eq}`def:model-joint` below and the Markov chain of chapter 2 above:
#
# $$
# \frac{q(x_{1:3} \mid x_0)}{p_\theta(x_{0:3})} = \frac{q(x_1 \mid x_0)\; q(x_2 \mid x_1)\; q(x_3 \mid x_2)}{p_\theta(x_0 \mid x_1)\; p_\theta(x_1 \mid x_2)\; p_\theta(x_2 \mid x_3)\; p(x_3)} .
# $$
#
# The steps above lead from $x_0$ to the noise, those below back to $x_0$. We would like to compare like with like: $p_\theta(x_1 \mid x_2)$ with a step of $q$ that also leads from $x_2$ to $x_1$. Bayes' rule {eq}`eq:bayes` turned a step around, given $x_0$. Solve it for the forward step:
#
# $$
# q(x_t \mid x_{t-1}) = q(x_t \mid x_{t-1}, x_0) = \frac{q(x_{t-1} \mid x_t, x_0)\; q(x_t \mid x_0)}{q(x_{t-1} \mid x_0)}, \qquad t \ge 2 .
# $$ (eq:turn)
#
# The first equality is the Markov property: once $x_{t-1}$ is known, $x_0$ adds nothing. It looks like a useless complication, but it makes everything on the right a known normal density. Without $x_0$ the reverse step would be the one that we cannot compute. The claim compares the logarithms of both sides in symbols, with {eq}`eq:mu-tilde` and {eq}`eq:beta-tilde` for the posterior.


# %% tags=["claim"]
def log_normal(x, mean, var):
    """The log density without its constant, for sympy."""
    spread = sp.expand_log(sp.log(var), force=True)
    return -((x - mean) ** 2) / (2 * var) - spread / 2


X = sp.symbols("x_0:4", real=True)
r = sp.symbols("r_0:4", positive=True)  # r_t is the root of alpha_t


def root_bar(t):
    return sp.prod(r[1 : t + 1])


def s2(t):
    return 1 - root_bar(t) ** 2


def log_step(t):
    return log_normal(X[t], r[t] * X[t - 1], 1 - r[t] ** 2)


def log_jump(t):
    return log_normal(X[t], root_bar(t) * X[0], s2(t))


def log_posterior(t):
    beta_t = 1 - r[t] ** 2
    from_0 = root_bar(t - 1) * beta_t / s2(t)
    from_t = r[t] * s2(t - 1) / s2(t)
    mu = from_0 * X[0] + from_t * X[t]
    return log_normal(X[t - 1], mu, s2(t - 1) * beta_t / s2(t))


claim(
    "eq:turn",
    got=log_step(2),
    want=log_posterior(2) + log_jump(2) - log_jump(1),
    rejects={
        "the quotient upside down": log_posterior(2)
        + log_jump(1)
        - log_jump(2),
        "the quotient forgotten": log_posterior(2),
    },
)

# %% [markdown]
# Now insert {eq}`eq:turn` for $t = 2$ and for $t = 3$ into the product above the line. The first factor stays as it is:
#
# $$
# \begin{aligned}
# &q(x_1 \mid x_0)\; q(x_2 \mid x_1)\; q(x_3 \mid x_2)\\
# &\quad = q(x_1 \mid x_0)\;\frac{q(x_1 \mid x_2, x_0)\; q(x_2 \mid x_0)}{q(x_1 \mid x_0)}\;\frac{q(x_2 \mid x_3, x_0)\; q(x_3 \mid x_0)}{q(x_2 \mid x_0)}\\
# &\quad = q(x_1 \mid x_2, x_0)\; q(x_2 \mid x_0)\;\frac{q(x_2 \mid x_3, x_0)\; q(x_3 \mid x_0)}{q(x_2 \mid x_0)}\\
# &\quad = q(x_1 \mid x_2, x_0)\; q(x_2 \mid x_3, x_0)\; q(x_3 \mid x_0) .
# \end{aligned}
# $$ (eq:telescope-3)
#
# In the third line $q(x_1 \mid x_0)$ has canceled, in the fourth $q(x_2 \mid x_0)$. Each jump appears once above and once below, except the last.

# %% tags=["claim"]
walked = log_step(2) + log_step(3) + log_jump(1)
turned = log_posterior(2) + log_posterior(3)
claim(
    "eq:telescope-3",
    got=walked,
    want=turned + log_jump(3),
    rejects={
        "$q(x_1 ∣ x_0)$ kept": turned + log_jump(3) + log_jump(1),
        "the last jump canceled too": turned,
    },
)

# %% [markdown]
# For any $T$ the same happens. The factors for $t = 2, \dots, T$ bring the quotients
#
# $$
# \frac{q(x_2 \mid x_0)}{q(x_1 \mid x_0)} \cdot \frac{q(x_3 \mid x_0)}{q(x_2 \mid x_0)} \cdots \frac{q(x_T \mid x_0)}{q(x_{T-1} \mid x_0)} = \frac{q(x_T \mid x_0)}{q(x_1 \mid x_0)} ,
# $$
#
# and the factor $q(x_1 \mid x_0)$ of the first step cancels what is left below:
#
# $$
# q(x_{1:T} \mid x_0) = q(x_T \mid x_0) \prod_{t=2}^T q(x_{t-1} \mid x_t, x_0) .
# $$ (eq:telescope)
#
# This is a recipe: jump to $x_T$, then walk back with the posterior steps, knowing where to go. It makes the same paths as walking forward. The claim computes the log density of fifty random points of a path of six steps in both ways.

# %% tags=["claim"]
six = linear(6, 0.05, 0.5)
points = torch.randn(7, 50)  # any x_0, ..., x_6
pairs = [(points[t - 1], points[t], t) for t in range(1, 7)]
onward = sum(
    normal(now, six.alpha[t].sqrt() * before, six.beta[t])
    for before, now, t in pairs
)


def jumps_to(t):
    mean_t = six.alpha_bar[t].sqrt() * points[0]
    return normal(points[t], mean_t, 1 - six.alpha_bar[t])


back = sum(
    normal(before, *posterior(six, points[0], now, t))
    for before, now, t in pairs[1:]
)
claim(
    "eq:telescope",
    got=onward,
    want=jumps_to(6) + back,
    rejects={
        "still divided by the first jump": jumps_to(6)
        + back
        - jumps_to(1),
        "the last step left out": jumps_to(6)
        + back
        - normal(
            pairs[-1][0], *posterior(six, points[0], pairs[-1][1], 6)
        ),
    },
)

# %% [markdown]
# ## Three kinds of terms
#
# Divide {eq}`eq:telescope` by the model's joint density {eq}`def:model-joint`, and pair each factor above with its partner below. The step $p_\theta(x_0 \mid x_1)$ finds no partner:
#
# $$
# \frac{q(x_{1:T} \mid x_0)}{p_\theta(x_{0:T})} = \frac{q(x_T \mid x_0)}{p(x_T)} \;\cdot\; \prod_{t=2}^T \frac{q(x_{t-1} \mid x_t, x_0)}{p_\theta(x_{t-1} \mid x_t)} \;\cdot\; \frac{1}{p_\theta(x_0 \mid x_1)} .
# $$
#
# The logarithm turns the product into a sum, and the expectation of a sum is the sum of the expectations:
#
# $$
# \begin{aligned}
# L(x_0) = \mathbb E_q\left[\log \frac{q(x_T \mid x_0)}{p(x_T)}\right] &+ \sum_{t=2}^T \mathbb E_q\left[\log \frac{q(x_{t-1} \mid x_t, x_0)}{p_\theta(x_{t-1} \mid x_t)}\right]\\
# &+ \mathbb E_q\bigl[-\log p_\theta(x_0 \mid x_1)\bigr] .
# \end{aligned}
# $$
#
# Each expectation is over all of $x_1, \dots, x_T$. But each integrand contains only one or two of them, and the others integrate to 1. In the first, only $x_T$ appears, distributed as $q(x_T \mid x_0)$, so it is a KL divergence. We call it the *prior term*:
#
# $$
# L_T = \mathrm{KL}\bigl(q(x_T \mid x_0) \,\|\, p(x_T)\bigr) .
# $$ (def:prior-term)
#
# It contains nothing that could be learned. It is {eq}`eq:prior-kl`, which chapter 3 has made small by the choice of the schedule.
#
# In the middle terms, $x_{t-1}$ and $x_t$ appear. Draw them in this order: first $x_t$ from $q(x_t \mid x_0)$, then $x_{t-1}$ from $q(x_{t-1} \mid x_t, x_0)$. Together that is their joint density given $x_0$, by the rule $q(x_{t-1}, x_t \mid x_0) = q(x_t \mid x_0)\; q(x_{t-1} \mid x_t, x_0)$. For a fixed $x_t$ the inner expectation is again a KL divergence:
#
# $$
# \begin{aligned}
# &\mathbb E_{q(x_{t-1}, x_t \mid x_0)}\left[\log \frac{q(x_{t-1} \mid x_t, x_0)}{p_\theta(x_{t-1} \mid x_t)}\right]\\
# &\quad = \mathbb E_{q(x_t \mid x_0)}\;\mathbb E_{q(x_{t-1} \mid x_t, x_0)}\left[\log \frac{q(x_{t-1} \mid x_t, x_0)}{p_\theta(x_{t-1} \mid x_t)}\right]\\
# &\quad = \mathbb E_{q(x_t \mid x_0)}\,\mathrm{KL}\bigl(q(x_{t-1} \mid x_t, x_0) \,\|\, p_\theta(x_{t-1} \mid x_t)\bigr) .
# \end{aligned}
# $$ (eq:inner)
#
# The claim estimates the left side on the paths that walked forward, with $t = 2$, and computes the right side on the grid, with {eq}`eq:kl-1d` for the KL divergence.


# %%
def kl_normal(mean_q, var_q, mean_p, var_p):
    """KL(q || p) of two normal distributions."""
    ratio = var_q / var_p
    apart = (mean_q - mean_p) ** 2 / var_p
    return (apart + ratio - 1 - ratio.log()) / 2


def kl_at(schedule, data, var, *, x_0, x_t, t):
    """KL of the posterior step from the model's.  x_t: (n,)"""
    start = torch.as_tensor(x_0).expand(x_t.shape)
    q = posterior(schedule, start, x_t, t)
    mean_p = model_mean(schedule, data, x_t, t)
    return kl_normal(q.mean, q.var, mean_p, var[t])


def jump_density(schedule, x_0, t):
    """q(x_t | x_0) on the grid."""
    mean_t = schedule.alpha_bar[t].sqrt() * x_0
    return normal(grid, mean_t, 1 - schedule.alpha_bar[t]).exp()


# %% tags=["claim"]
x_1, x_2 = path[:2]
q = posterior(short, datum, x_2, 2)
log_ratio = normal(x_1, q.mean, q.var) - normal(
    x_1, model_mean(short, two, x_2, 2), short.beta[2]
)
on_grid = kl_at(short, two, short.beta, x_0=0.9, x_t=grid, t=2)
of_data = noised(short, two, 2)
kl_back = kl_normal(
    model_mean(short, two, grid, 2),
    short.beta[2],
    posterior(short, torch.full_like(grid, 0.9), grid, 2).mean,
    short.beta_tilde[2],
)
claim(
    "eq:inner",
    got=mean(log_ratio),
    want=(jump_density(short, 0.9, 2) * on_grid).sum() * width,
    rejects={
        "$x_t$ from $q(x_t)$, another picture's": (
            log_density(of_data, grid[:, None]).exp() * on_grid
        ).sum()
        * width,
        "the KL the other way round": (
            jump_density(short, 0.9, 2) * kl_back
        ).sum()
        * width,
    },
)

# %% [markdown]
# We give this a name too. The *step term* of the step from $x_t$ to $x_{t-1}$ bears the index of where the step arrives:
#
# $$
# L_{t-1} = \mathbb E_{q(x_t \mid x_0)}\,\mathrm{KL}\bigl(q(x_{t-1} \mid x_t, x_0) \,\|\, p_\theta(x_{t-1} \mid x_t)\bigr), \qquad t = 2, \dots, T .
# $$ (def:step-term)
#
# It asks that the model, which does not know $x_0$, do the same as the posterior, which does. The last step arrives at $x_0$ itself. There the posterior knows the answer: $q(x_0 \mid x_1, x_0)$ is certain, its variance $\tilde\beta_1$ is 0, and a KL divergence from it would be infinite. So the *last term* is no KL divergence. It is the cost of the picture, given its least noisy version:
#
# $$
# L_0 = \mathbb E_{q(x_1 \mid x_0)}\bigl[-\log p_\theta(x_0 \mid x_1)\bigr] .
# $$ (def:last-term)
#
# With these names the bound is a sum of $T + 1$ terms {cite:p}`sohldickstein2015,ho2020`:
#
# $$
# L(x_0) = L_T + \sum_{t=2}^T L_{t-1} + L_0 .
# $$ (eq:bound)
#
# Every expectation is now over a single $x_t$, and {eq}`eq:jump` draws that in one go. Every density is normal with a known mean and variance. For the three steps of our small case the claim sums over the grid of all paths on one side, by the definition {eq}`def:vlb`, and adds the four terms on the other.


# %%
def terms_on_grid(schedule, data, var, x_0):
    """L_0, L_1, ..., L_T for one number x_0, by summation."""
    x_0, T = torch.as_tensor(x_0), schedule.T
    mean_1 = model_mean(schedule, data, grid, 1)
    cost = -normal(x_0, mean_1, var[1])
    terms = [(jump_density(schedule, x_0, 1) * cost).sum() * width]
    for t in range(2, T + 1):
        kl_t = kl_at(schedule, data, var, x_0=x_0, x_t=grid, t=t)
        density = jump_density(schedule, x_0, t)
        terms.append((density * kl_t).sum() * width)
    bar = schedule.alpha_bar[T]
    unit = torch.tensor(1.0)
    terms.append(kl_normal(bar.sqrt() * x_0, 1 - bar, 0.0, unit))
    return torch.stack(terms)


# %% tags=["claim"]
parts = terms_on_grid(short, two, short.beta, 0.9)
swapped = (jump_density(short, 0.9, 2) * kl_back).sum() * width
claim(
    "eq:bound",
    got=bound_by_definition(short, log_p, 0.9),
    want=parts.sum(),
    rejects={
        "without $L_0$": parts[1:].sum(),
        "without $L_T$": parts[:-1].sum(),
        "one KL the other way round": parts.sum() - parts[1] + swapped,
        "the likelihood itself": -likelihood.log(),
    },
    atol=1e-9,
)

# %% tags=["nbval-check-output"]
print("nats, for x_0 = 0.9 and T = 3, sigma^2 = beta")
for k, value in enumerate(parts):
    print(f"L_{k}  {value:.3f}")
print(f"sum  {parts.sum():.3f}   -log p  {-likelihood.log():.3f}")

# %% [markdown]
# The bound lies above the cost, as it must. Part of the distance is the price of only three steps; we return to it below.
#
# ## From the formula to code
#
# The pixels of a picture are independent in both distributions, so a KL divergence is the sum over the pixels. For the expectation over $x_t$ we draw one $\bar\epsilon_t$ and jump. So each of the three terms is a few lines. They take a batch of pictures, one noise for each, and the denoiser, that is, whatever estimates $x_0$ from $x_t$.


# %%
def prior_cost(schedule, x_0):
    """L_T of each picture."""
    bar = schedule.alpha_bar[schedule.T]
    pixels = kl_normal(bar.sqrt() * x_0, 1 - bar, 0.0, torch.ones(()))
    return pixels.flatten(1).sum(1)


def step_cost(schedule, denoise, x_0, *, t, eps, var):
    """L_{t-1} of each picture, at the x_t that eps makes."""
    bar = schedule.alpha_bar[t]
    x_t = bar.sqrt() * x_0 + (1 - bar).sqrt() * eps
    q = posterior(schedule, x_0, x_t, t)
    p = posterior(schedule, denoise(x_t, t).x_0, x_t, t)
    return kl_normal(q.mean, q.var, p.mean, var[t]).flatten(1).sum(1)


def last_cost(schedule, denoise, x_0, eps, var):
    """L_0 of each picture, at the x_1 that eps makes."""
    bar = schedule.alpha_bar[1]
    x_1 = bar.sqrt() * x_0 + (1 - bar).sqrt() * eps
    p = posterior(schedule, denoise(x_1, 1).x_0, x_1, 1)
    return -normal(x_0, p.mean, var[1]).flatten(1).sum(1)


# %% [markdown]
# The library's `prior_term`, `step_term` and `data_term` say the same, with checks of what they are given; here is the second. The variance is a function of the schedule and of $t$: `kernel_variance` or `posterior_variance`, or one's own. `bound` puts all the terms into one table, row $k$ for $L_k$, with a noise of its own for each.

# %%
import inspect

from ddpm_lib import bound

print(inspect.getsource(bound.step_term))

# %% tags=["claim"]
schedule = linear()
denoise = exact_denoiser(schedule, two)
x_0 = draw(two, 500)
eps = torch.randn(500, 1)
ours = torch.stack(
    [
        last_cost(schedule, denoise, x_0, eps, schedule.beta),
        step_cost(
            schedule, denoise, x_0, t=2, eps=eps, var=schedule.beta
        ),
        step_cost(
            schedule, denoise, x_0, t=300, eps=eps, var=schedule.beta
        ),
        prior_cost(schedule, x_0),
    ]
)


def step_300(variance, t):
    return bound.step_term(
        schedule, denoise, x_0, t=t, eps=eps, variance=variance
    )


last = bound.data_term(
    schedule, denoise, x_0, eps=eps, likelihood=bound.normal_log_density
)
prior = bound.prior_term(schedule, x_0)
theirs = [
    last,
    step_300(kernel_variance, 2),
    step_300(kernel_variance, 300),
    prior,
]
off_by_one = [
    last,
    step_300(kernel_variance, 3),
    step_300(kernel_variance, 301),
    prior,
]
other = [
    last,
    *(step_300(posterior_variance, t) for t in (2, 300)),
    prior,
]
claim(
    "eq:bound",
    got=ours,
    want=torch.stack(theirs),
    rejects={
        "$t$ counted from 0": torch.stack(off_by_one),
        "the other variance": torch.stack(other),
    },
    atol=1e-8,
)

# %% [markdown]
# ## Less noise for the same number
#
# The terms have brought order. Have they also brought a better estimate? In {eq}`eq:inner`, an average over $x_{t-1}$ that we would have to estimate is replaced by its exact value. Write $\ell$ for the logarithm of the ratio, $\log q(x_{t-1} \mid x_t, x_0) - \log p_\theta(x_{t-1} \mid x_t)$, and $K(x_t)$ for the KL divergence, its mean for given $x_t$. A variance splits into the mean of the variances for given $x_t$ and the variance of their means:
#
# $$
# \operatorname{Var}[\ell] = \operatorname{Var}[K(x_t)] + \mathbb E\bigl[\operatorname{Var}[\ell \mid x_t]\bigr] .
# $$ (eq:less-noise)
#
# For the proof, write $\ell - \mathbb E[\ell] = (\ell - K) + (K - \mathbb E[K])$, where $\mathbb E[K] = \mathbb E[\ell]$, and square. For given $x_t$ the second bracket is a constant and the first has mean zero, so the mixed product averages to zero. Two squares remain, and they are the two terms. The KL form has only the first term of the sum. The claim takes the variance over the walks for $t = 2$, and both terms from the grid.

# %% tags=["claim"]
q_x2 = jump_density(short, 0.9, 2) * width
means = (q_x2 * on_grid).sum()
between = (q_x2 * (on_grid - means) ** 2).sum()
post = posterior(short, torch.full_like(grid, 0.9), grid, 2)
at_1 = normal(grid[:, None], post.mean, post.var)  # rows: x_1
ell = at_1 - log_p[2]
within_each = (at_1.exp() * (ell - on_grid) ** 2).sum(0) * width
within = (q_x2 * within_each).sum()
claim(
    "eq:less-noise",
    got=variance(log_ratio),
    want=between + within,
    rejects={
        "the KL form as noisy": between,
        "only the noise within": within,
    },
)

# %% [markdown]
# How much does it help? Take the schedule of chapter 2 with its thousand steps and the mixture, let two thousand walks start at $x_0 = 0.9$, and keep every $\ell$ and every $K$. From them we can tell the variance of three estimates: of $L(x_0)$ by a whole walk, whose terms are added; of $L(x_0)$ with each term from a walk of its own; and of the sum of the step terms by a single $t$, drawn at random, times the number of step terms. We leave out $L_T$, which is tiny here.

# %% tags=["nbval-check-output"]
torch.manual_seed(1)
walks = 2000
x_0 = torch.full((walks, 1), 0.9)
before, ells, kls = x_0, [], []
for t in range(1, schedule.T + 1):
    keep, add = schedule.alpha[t].sqrt(), schedule.beta[t].sqrt()
    x_t = keep * before + add * torch.randn(walks, 1)
    p = posterior(schedule, denoise(x_t, t).x_0, x_t, t).mean
    to_model = -normal(before, p, schedule.beta[t])
    q = posterior(schedule, x_0, x_t, t)
    if t == 1:  # L_0 is the same in both
        ells.append(to_model[:, 0])
        kls.append(to_model[:, 0])
    else:
        ells.append((normal(before, q.mean, q.var) + to_model)[:, 0])
        kls.append(kl_normal(q.mean, q.var, p, schedule.beta[t])[:, 0])
    before = x_t

print("variance of           ratio   KL form")
forms = [torch.stack(ells), torch.stack(kls)]  # (1000, walks)
rows = {
    "a whole walk": [form.sum(0).var() for form in forms],
    "each term alone": [form.var(1).sum() for form in forms],
    "one t at random": [
        ((len(form) - 1) * form[1:]).var() for form in forms
    ],
}
for name, (ratio, kl_form) in rows.items():
    print(f"{name:17}{ratio:>10.3f}{kl_form:>10.3f}")
for name, form in zip(("ratio", "KL form"), forms, strict=True):
    total = form.sum(0)
    error = total.std() / walks**0.5
    print(f"{name:8} mean {total.mean():.3f} ± {error:.3f}")

# %% [markdown]
# For each term alone, and for one $t$ at random, which is how training will use the bound, the KL form is less noisy, by factors of 7.3 and 8.4. But look at the first row. Added along a whole walk, the plain ratio is the better estimate by far: a variance of 0.015 against 5.2. How can that be? {eq}`eq:gap` has the answer. For a model that is nearly the exact reverse, the ratio of a whole path is nearly $-\log p_\theta(x_0)$, whatever the path. Its terms fluctuate, but later terms compensate for earlier ones. The KL form averages each term separately and breaks this balance.
#
# Both columns estimate the same number. From here on we use the KL form, with a noise of its own for each term.
#
# ## Where log p is known
#
# How large is the gap? Average everything over the data. For a moment let $x_0$ be random too, drawn from the data's distribution $q(x_0)$. Multiply the ratio in {eq}`def:vlb` by $q(x_0)$ above and below; the numerator becomes the joint density $q(x_{0:T})$ of the noising, a $q(x_0)$ remains in the denominator, and its logarithm is subtracted:
#
# $$
# \begin{aligned}
# \mathbb E_{q(x_0)}\bigl[L(x_0)\bigr] &= \mathbb E_{q(x_{0:T})}\left[\log \frac{q(x_{1:T} \mid x_0)}{p_\theta(x_{0:T})}\right]\\
# &= \mathbb E_{q(x_{0:T})}\left[\log \frac{q(x_{0:T})}{p_\theta(x_{0:T})\; q(x_0)}\right]\\
# &= \mathbb E_{q(x_{0:T})}\left[\log \frac{q(x_{0:T})}{p_\theta(x_{0:T})}\right] - \mathbb E_{q(x_0)}\bigl[\log q(x_0)\bigr] .
# \end{aligned}
# $$
#
# The last term is the entropy {eq}`eq:gaussian-gap` of the data, $H(q) = -\mathbb E[\log q(x_0)]$. It is a property of the data, and no model can cost less on average. The other is a KL divergence, so
#
# $$
# \mathbb E_{q(x_0)}\bigl[L(x_0)\bigr] - H(q) = \mathrm{KL}\bigl(q(x_{0:T}) \,\|\, p_\theta(x_{0:T})\bigr) .
# $$ (eq:excess)
#
# We call the left side the *excess*. It contains both the gap of the bound and the error of the model, and it is zero only if the model is right. The claim takes the Gaussian data with three steps, where both joint densities are Gaussian vectors of four numbers.


# %%
def over_data(schedule, data, var, x_0, weights):
    """The terms averaged over points x_0 with weights.  (T+1,)"""
    each = [
        terms_on_grid(schedule, data, var, float(point))
        for point in x_0
    ]
    return (torch.stack(each) * weights[:, None]).sum(0)


def entropy_of(data):
    x = torch.linspace(-4, 4, 8001)[:, None]
    log_q = log_density(data, x)
    return -(log_q.exp() * log_q).sum() * 0.001


points_0 = torch.linspace(-4, 4, 161)
q_0 = log_density(one, points_0[:, None]).exp() * 0.05
entropy = math.log(2 * math.pi * math.e * 0.25) / 2  # of N(0, 1/4)

# %% tags=["claim"]
terms = over_data(short, one, short.beta, points_0, q_0)
bars = short.alpha_bar
root = (bars * bars[:, None]).sqrt()
noise_shared = torch.minimum(1 / bars, 1 / bars[:, None]) - 1
cov_q = root * (0.25 + noise_shared)
p_vector = vector(torch.zeros(4), joint)
q_vector = vector(torch.zeros(4), cov_q)
claim(
    "eq:excess",
    got=kl_of(q_vector, p_vector),
    want=terms.sum() - entropy,
    rejects={
        "the KL the other way round": kl_of(p_vector, q_vector),
        "of $x_0$ alone": kl_normal(
            0.0, torch.tensor(0.25), 0.0, joint[0, 0]
        ),
        "without the entropy": terms.sum(),
    },
    atol=1e-9,
)

# %% [markdown]
# So where does the excess come from? Both joint densities can be written from $T$ down to 0. For the model that is the definition {eq}`def:model-joint`. For the noising, a Markov chain read backward is a Markov chain again, whose steps are the true reverse steps {eq}`eq:reverse-bayes`: $q(x_{0:T}) = q(x_T) \prod_{t=1}^T q(x_{t-1} \mid x_t)$. Take the logarithm of the ratio, and average each part over what it contains, as we did for {eq}`eq:inner`:
#
# $$
# \begin{aligned}
# &\mathrm{KL}\bigl(q(x_{0:T}) \,\|\, p_\theta(x_{0:T})\bigr)\\
# &\quad = \mathrm{KL}\bigl(q(x_T) \,\|\, p(x_T)\bigr)\\
# &\qquad + \sum_{t=1}^T \mathbb E_{q(x_t)}\,\mathrm{KL}\bigl(q(x_{t-1} \mid x_t) \,\|\, p_\theta(x_{t-1} \mid x_t)\bigr) .
# \end{aligned}
# $$ (eq:excess-steps)
#
# This sum looks like the bound, but nothing in it is conditioned on $x_0$. For real data it cannot be computed, because $q(x_{t-1} \mid x_t)$ is unknown. It explains the excess, which consists of the mismatch at the start, and of the mismatch of each step of the model with the *true* reverse step. Three things can make it: the final noise is not $\mathcal N(0, I)$; the true step is not Gaussian; the model's Gaussian is not the best one. The claim takes the mixture, whose true reverse steps are mixtures.

# %% tags=["claim"]
q_0 = log_density(two, points_0[:, None]).exp() * 0.05
terms = over_data(short, two, short.beta, points_0, q_0)

q_T = log_density(noised(short, two, 3), grid[:, None])
start_cost = (q_T.exp() * (q_T - log_prior)).sum() * width
reverse_costs, finer = [], torch.linspace(-8, 8, 1601)
for t in (1, 2, 3):
    true = reverse(short, two, grid[:, None], t)  # one for each x_t
    parts_k = [
        normal(
            finer[:, None],
            true.means[:, k, 0],
            true.variances[..., k, 0],
        )
        + true.weights[:, k].log()
        for k in range(2)
    ]
    each = torch.stack(parts_k).logsumexp(0)
    to_model = normal(
        finer[:, None], model_mean(short, two, grid, t), short.beta[t]
    )
    inner = (each.exp() * (each - to_model)).sum(0) * 0.01
    q_t = log_density(noised(short, two, t), grid[:, None]).exp()
    reverse_costs.append((q_t * inner).sum() * width)
reverse_costs = torch.stack(reverse_costs)
claim(
    "eq:excess-steps",
    got=terms.sum() - entropy_of(two),
    want=start_cost + reverse_costs.sum(),
    rejects={
        "$L_T$ for the mismatch at the start": terms[3]
        + reverse_costs.sum(),
        "no cost at $t = 1$": start_cost + reverse_costs[1:].sum(),
        "without the start": reverse_costs.sum(),
    },
    atol=1e-8,
)

# %% [markdown]
# ## Every term, for any T
#
# For three steps the grid was enough. For a thousand we want the averaged terms in closed form. The two normal distributions in $L_{t-1}$ have the variances $\tilde\beta_t$ and $\sigma_t^2$, and their means differ only through the estimate $\hat x_0$ of $x_0$: the posterior mean {eq}`eq:mu-tilde` contains $x_0$ with the factor $c_0 = \sqrt{\bar\alpha_{t-1}}\,\beta_t/(1 - \bar\alpha_t)$, so that $\tilde\mu_t - \mu_\theta = c_0\,(x_0 - \hat x_0)$. With the best estimate, $\hat x_0 = \mathbb E[x_0 \mid x_t]$, the mean square of $x_0 - \hat x_0$ is the variance of $x_0$ that $x_t$ leaves open, averaged over $x_t$. Call it $V_t = \mathbb E\bigl[\operatorname{Var}[x_0 \mid x_t]\bigr]$. Insert this into {eq}`eq:kl-1d`, one pixel at a time, with {eq}`eq:beta-tilde` for $\tilde\beta_t$:
#
# $$
# \mathbb E_{q(x_0)}[L_{t-1}] = \frac12\left[ \frac{\tilde\beta_t + c_0^2 V_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2} \right] .
# $$ (eq:average-step)
#
# For $t = 1$ the same reasoning gives $\mathbb E[L_0] = \tfrac12\bigl[\log(2\pi\sigma_1^2) + V_1/\sigma_1^2\bigr]$, since there $c_0 = 1$, so that $\mu_\theta = \hat x_0$. And $\mathbb E[L_T]$ needs only the mean of $x_0^2$. All that is left is $V_t$, an integral over the single number $x_t$. The claim draws a hundred thousand numbers from the mixture, asks the library for their step term at $t = 10$, and takes the mean.


# %%
def open_variance(schedule, data):
    """V_t, with V_0 = 0, by summation over x_t.  (T+1,)"""
    table = [torch.zeros(())]
    for t in range(1, schedule.T + 1):
        q_t = noised(schedule, data, t)
        sd = float(covariance(q_t).sqrt())
        x_t = torch.linspace(-8 * sd, 8 * sd, 401)[:, None]
        share = log_density(q_t, x_t).exp() * (x_t[1, 0] - x_t[0, 0])
        left = covariance(reverse(schedule, data, x_t, t, 0))[:, 0, 0]
        table.append((share * left).sum())
    return torch.stack(table)


def factor(schedule):
    """c_0, the factor of x_0 in the posterior mean.  (T+1,)"""
    c = torch.zeros(schedule.T + 1)
    before = schedule.alpha_bar[:-1].sqrt()
    c[1:] = before * schedule.beta[1:] / (1 - schedule.alpha_bar[1:])
    return c


def average_terms(schedule, data, V, var):
    """L_0, L_1, ..., L_T, averaged over data and noise.  (T+1,)"""
    c, narrow = factor(schedule), schedule.beta_tilde
    error = c**2 * V
    ratio = narrow / var
    kl_t = (error / var + ratio - 1 - ratio.log()) / 2
    L_0 = ((2 * math.pi * var[1]).log() + V[1] / var[1]) / 2
    bar = schedule.alpha_bar[-1]
    square = bar * covariance(data)[0, 0]  # the data has mean 0
    L_T = (square - bar - (1 - bar).log()) / 2
    return torch.cat([L_0[None], kl_t[2:], L_T[None]])


V = open_variance(schedule, two)

# %% tags=["claim"]
x_0 = draw(two, 100_000)
costs = bound.step_term(
    schedule, denoise, x_0, t=10, eps=torch.randn(x_0.shape)
)
averaged = average_terms(schedule, two, V, schedule.beta_tilde)
as_if_beta = average_terms(schedule, two, V, schedule.beta)
spread_all = average_terms(
    schedule, two, torch.full_like(V, 1.04), schedule.beta_tilde
)
claim(
    "eq:average-step",
    got=mean(costs),
    want=averaged[9],
    rejects={
        "the other variance": as_if_beta[9],
        "$V$ as the variance of the data": spread_all[9],
        "without the half": 2 * averaged[9],
    },
)

# %% [markdown]
# Which $\sigma_t^2$ makes the term smallest? As a function of $\sigma_t^2$, twice the term is $(\tilde\beta_t + c_0^2 V_t)/\sigma_t^2 + \log \sigma_t^2$ and a constant. Its derivative is $-(\tilde\beta_t + c_0^2 V_t)/\sigma_t^4 + 1/\sigma_t^2$. This is negative for small $\sigma_t^2$, positive for large ones, and zero at
#
# $$
# \sigma_t^2 = \tilde\beta_t + c_0^2\, V_t .
# $$ (eq:best-sigma)
#
# The true reverse step at $x_t$ has the variance $\tilde\beta_t + c_0^2\operatorname{Var}[x_0 \mid x_t]$, by {eq}`eq:reverse-variance`. The best variance that may not look at $x_t$ is the mean of it {cite:p}`bao2022`.

# %% tags=["claim"]
narrow, err, var = sp.symbols("betatilde e sigma2", positive=True)
step_kl = ((narrow + err) / var - 1 - sp.log(narrow / var)) / 2
[best] = sp.solve(sp.diff(step_kl, var), var)
claim(
    "eq:best-sigma",
    got=best,
    want=narrow + err,
    rejects={
        "the posterior's variance": narrow,
        "standard deviations added": (sp.sqrt(narrow) + sp.sqrt(err))
        ** 2,
    },
)

# %% [markdown]
# Papers use two variances that need no knowledge of the data: $\beta_t$ and $\tilde\beta_t$ {cite:p}`ho2020`. By {eq}`eq:sigma-upper` the first is the best one for data from $\mathcal N(0, I)$, by {eq}`eq:sigma-lower` the second for data that is a single known point. Let us see what they cost on data in between. At $t = 1$ the posterior's variance is 0, so there $\beta_1$ takes its place.


# %%
def choices(schedule, V):
    """Tables of the model's variance, by name."""
    small = schedule.beta_tilde.clone()
    small[1] = schedule.beta[1]
    best = schedule.beta_tilde + factor(schedule) ** 2 * V
    return {"beta": schedule.beta, "beta tilde": small, "best": best}


# %% tags=["nbval-check-output"]
for label, data in (("Gaussian", one), ("mixture", two)):
    V = open_variance(schedule, data)
    L = average_terms(schedule, data, V, schedule.beta)
    print(f"{label}: L_T {L[-1]:.1e}, L_0 {L[0]:.2f}")
    print("  sigma^2      steps    sum   excess")
    for name, var in choices(schedule, V).items():
        L = average_terms(schedule, data, V, var)
        excess = L.sum() - entropy_of(data)
        print(
            f"  {name:10}  {L[1:-1].sum():.4f}"
            f"  {L.sum():.3f}   {excess:.4f}"
        )

gaussian = open_variance(schedule, one)
best = choices(schedule, gaussian)["best"]
exact = average_terms(schedule, one, gaussian, best).sum()
bar = schedule.alpha_bar[-1]
wide = bar * 0.25 + 1 - bar
mismatch = kl_normal(0.0, wide, 0.0, torch.ones(()))
print(f"Gaussian, best: excess {exact - entropy_of(one):.1e}")
print(f"KL(q(x_T) || N(0, 1))  {mismatch:.1e}")

# %% [markdown]
# Read the Gaussian rows first. The true reverse step of Gaussian data is Gaussian, so with the best variance every step of the model is exact, and by {eq}`eq:excess-steps` the excess is the mismatch of the start alone: $2.3 \cdot 10^{-10}$ nats, both as the sum of a thousand terms and as the KL of $q(x_T)$ from $\mathcal N(0, 1)$. Note that this is not $L_T = 5.0 \cdot 10^{-6}$: by {eq}`eq:prior-split` $L_T$ also contains what $x_T$ still tells about $x_0$, and that the steps give back. With $\sigma_t^2 = \beta_t$ the excess is 0.0011 nats, with $\tilde\beta_t$ it is 0.456.
#
# For the mixture the best variance leaves 0.0030 nats. This is the price of one Gaussian where the true step is a mixture whose variance depends on $x_t$. $\beta_t$ costs 0.0079, and $\tilde\beta_t$ again far more, 0.437.
#
# Why is $\tilde\beta_t$ so expensive? The true step has a variance near $\beta_t$ for any smooth density, {eq}`eq:same-variance`. But $\tilde\beta_2$ is only 0.455 of $\beta_2$ here, and $\tilde\beta_3$ only 0.611 of $\beta_3$, as the next cell prints. Each of the first steps pays for being too sure. Later $\tilde\beta_t$ and $\beta_t$ are nearly equal and little is lost. {numref}`ex-too-sure` finds the total for constant $\beta$, a number with a name.
#
# And $L_0$ is $-3.19$ nats. A negative cost is no mistake: a density may be larger than 1, and $p_\theta(x_0 \mid x_1)$ is a narrow peak.

# %% tags=["nbval-check-output"]
small = schedule.beta_tilde / schedule.beta
for t in (2, 3, 10, 100):
    print(f"beta_tilde / beta at t = {t:3}: {small[t]:.3f}")

# %% [markdown]
# Next, let $T$ vary. One linear schedule does not serve ten steps and a thousand alike, so we take the cosine schedule {eq}`eq:cosine`.

# %% tags=["nbval-check-output"]
table = {}
print("                       excess with")
print("   T   steps     L_0    beta    best")
for T in (3, 10, 30, 100, 300, 1000):
    s_T = cosine(T)
    V = open_variance(s_T, two)
    for name, var in choices(s_T, V).items():
        table[T, name] = average_terms(s_T, two, V, var)
    L = table[T, "best"]
    over = {
        name: float(table[T, name].sum() - entropy_of(two))
        for name in ("beta", "beta tilde", "best")
    }
    table[T, "excess"] = over
    print(
        f"{T:4}  {L[1:-1].sum():6.3f}  {L[0]:6.3f}"
        f"  {over['beta']:.4f}  {over['best']:.4f}"
    )
L = table[1000, "best"][1:-1]
half = int((L.cumsum(0) < L.sum() / 2).sum()) + 2
print(f"T = 1000: half of the step terms' sum lies at t <= {half}")

# %% tags=["figure"] mystnb={"image": {"alt": "Left: excess over the entropy in nats against T from 3 to 1000, both axes logarithmic. With the best variance it falls along a straight line from 0.7 to 0.0016, with variance beta from 0.75 to 0.004, and with variance beta tilde it hardly falls from ten steps on. Right: T times the step term against t over T, for T = 30, 100 and 1000, on a logarithmic axis; the curves lie on each other except at the left end, where they rise steeply, the higher the larger T."}, "figure": {"name": "fig-excess", "caption": "The mixture, with the exact denoiser. Left: what the bound costs beyond the entropy of the data; with the best variance, or with $\\beta_t$, it falls about as $1/T$. Right: each step term, times $T$, so that the curves can be compared. They agree; only next to the data does a larger $T$ reach higher."}}
fig, (left, right) = plt.subplots(
    1, 2, figsize=(6.2, 2.8), layout="constrained"
)
Ts = [3, 10, 30, 100, 300, 1000]
for name, label, look in (
    ("beta tilde", r"$\tilde\beta_t$", {"color": GRAY, "ls": ":"}),
    ("beta", r"$\beta_t$", {"color": GRAY, "ls": "--"}),
    ("best", "best", {"color": MODEL, "ls": "-"}),
):
    line = [table[T, "excess"][name] for T in Ts]
    left.loglog(Ts, line, marker="o", ms=4, label=label, **look)
left.legend(title=r"$\sigma_t^2$")
left.set(xlabel="$T$", ylabel="excess in nats", ylim=(6e-4, 3))
for T, look in ((30, ":"), (100, "--"), (1000, "-")):
    L = table[T, "best"][1:-1]
    place = torch.arange(2, T + 1) / T
    right.semilogy(place, T * L, color=MODEL, ls=look, label=f"$T={T}$")
right.legend()
right.set(xlabel="$t/T$", ylabel="$T\\,L_{t-1}$ in nats")
plt.show()

# %% [markdown]
# Ten times as many steps leave about a tenth of the excess. By {eq}`eq:same-variance` the variance of the true step differs from the model's by a share of order $\beta_t$, which is of order $1/T$; a KL divergence grows with the square of that, and there are $T$ steps. The single terms behave in two ways. At most times $L_{t-1}$ shrinks as $1/T$, because the same work is cut into more pieces, and their sum stays. Next to the data the sum grows, as more steps come closer to it, and $L_0$ falls by slightly more. For $T = 1000$, half of the step terms' sum lies at $t \le 27$.
#
# You can try this below, with the data and the variance of your choice.

# %% tags=["figure"] mystnb={"image": {"alt": "A waterfall of bars for T = 30, read from right to left. A bar too small to see for L_T; ten green bars for the step terms, most of them small, the last two large, that climb to 1.95 nats; then a bar for L_0 that goes down to 0.558, just above a dashed line at the entropy, 0.503."}, "figure": {"name": "fig-bound", "caption": "The averaged terms of the bound, added from the noise at the right to the data at the left, where the sum must not fall below the dashed line, the entropy of the data. Each green bar is the sum of the step terms of a tenth of the steps. Cosine schedule, exact denoiser."}}
from ddpm_lib.course.explore import explorable


def waterfall(T):
    """The stack of terms for the mixture, as the page draws it."""
    L = table[T, "best"]
    total, truth = float(L.sum()), float(entropy_of(two))
    fig, ax = plt.subplots(figsize=(6, 3))
    level = float(L[-1])
    ax.bar(1.05, level, 0.09, color=NOISE, hatch="//", edgecolor="w")
    for group in range(9, -1, -1):
        inside = [
            k
            for k in range(1, T)
            if math.ceil((k + 1) * 10 / T) - 1 == group
        ]
        part = float(L[inside].sum())
        place = (group + 0.5) / 10
        ax.bar(place, part, 0.09, bottom=level, color=MODEL)
        level += part
    ax.bar(
        -0.05, float(L[0]), 0.09, bottom=level, color=DATA, alpha=0.6
    )
    ax.axhline(truth, color="k", ls="--", lw=1)
    ax.text(0.5, truth - 0.15, f"entropy {truth:.3f}")
    ax.text(0.01, total + 0.05, f"sum {total:.3f}")
    ax.set(xlabel="$t/T$", ylabel="nats")
    return fig


explorable(
    "bound",
    {
        "T": [2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000],
        "start": 30,
        "data": [
            {"name": "one Gaussian", "m": 0.0, "width": 0.5},
            {"name": "two Gaussians", "m": 1.0, "width": 0.2},
        ],
    },
    still=waterfall(30),
)

# %% [markdown]
# ## Pixels have levels
#
# Pictures in a file are not made of real numbers. A pixel of a photograph has one of 256 levels, and one of our digits counts ink from 0 to 16. For such data we want the *probability* of a level, not a density. It is never larger than 1, so its cost is never negative, and one can imagine it as the length of a file: a code that spends $-\log_2 p$ bits on an event of probability $p$ is the shortest on average. Divide the cost by $\log 2$ to turn nats into bits, and by the number $d$ of values in a picture to compare pictures of different sizes:
#
# $$
# \text{bits per dimension} = \frac{L(x_0)}{d\,\log 2} .
# $$ (eq:bits)
#
# Suppose a model knows nothing and gives each of the 17 levels in each of 64 pixels the same probability. The picture then costs $64 \log 17$ nats, and a pixel must cost $\log_2 17$ bits, as many as it takes to write the level down.

# %% tags=["claim"]
d = 64
nats = d * math.log(17)
claim(
    "eq:bits",
    got=torch.tensor(17.0).log2(),
    want=nats / (d * math.log(2)),
    rejects={
        "nats taken for bits": nats / d,
        "not divided by the number of values": nats / math.log(2),
        r"$\log 2$ multiplied": nats / d * math.log(2),
    },
)

# %% [markdown]
# How do we get a probability from the normal $p_\theta(x_0 \mid x_1)$? We give each level the stretch of the axis that is nearest to it. {cite:t}`ho2020` do this for pixels in $[-1, 1]$ with $n$ levels, which are $2/(n-1)$ apart. The bin around $x$ reaches half as far to either side. The first and the last level get everything beyond them as well, because the normal distribution does not end at $\pm 1$. Write $\Phi$ for the probability that a standard normal number is at most its argument, $\mu$ for the model's mean in a pixel and $\sigma_1^2$ for its variance:
#
# $$
# p_\theta(x_0 \mid x_1) = \Phi\!\left(\frac{b_+(x_0) - \mu}{\sigma_1}\right) - \Phi\!\left(\frac{b_-(x_0) - \mu}{\sigma_1}\right),
# $$ (eq:discretized)
#
# $$
# \begin{aligned}
# b_+(x) &= x + \tfrac{1}{n-1}, \text{ or } \infty \text{ if } x = 1,\\
# b_-(x) &= x - \tfrac{1}{n-1}, \text{ or } -\infty \text{ if } x = -1,
# \end{aligned}
# $$
#
# and the product of this over the pixels. The first claim integrates the density over each of the 17 bins; the second adds the probabilities, which must give 1. In code, $\Phi$ is `torch.special.ndtr`.


# %%
def level_probability(x, mean, std, n):
    above = torch.where(x == 1, torch.inf, x + 1 / (n - 1))
    below = torch.where(x == -1, -torch.inf, x - 1 / (n - 1))
    ndtr = torch.special.ndtr
    return ndtr((above - mean) / std) - ndtr((below - mean) / std)


# %% tags=["claim"]
levels = torch.arange(17) / 8 - 1
mu, std = 0.7, 0.3
edges = torch.cat([torch.tensor([-4.0]), levels[:-1] + 1 / 16])
edges = torch.cat([edges, torch.tensor([5.0])])
integrals = []
for low, high in pairwise(edges):
    fine = torch.linspace(float(low), float(high), 40_001)
    density = normal(fine, mu, torch.tensor(std**2)).exp()
    integrals.append(torch.trapezoid(density, fine))
integrals = torch.stack(integrals)

got = level_probability(levels, mu, std, 17)
ndtr = torch.special.ndtr
closed = ndtr((levels + 1 / 16 - mu) / std) - ndtr(
    (levels - 1 / 16 - mu) / std
)
n_bins = ndtr((levels + 1 / 17 - mu) / std) - ndtr(
    (levels - 1 / 17 - mu) / std
)
claim(
    "eq:discretized",
    got=integrals,
    want=got,
    rejects={
        "the last bin closed": closed,
        "bins $2/n$ wide": n_bins,
        "density instead of probability": normal(
            levels, mu, torch.tensor(std**2)
        ).exp(),
    },
    atol=1e-8,
)
claim(
    "eq:discretized",
    got=bound.discretized(
        levels[:, None],
        Gaussian(torch.tensor(mu), torch.tensor(std**2)),
        17,
    )
    .exp()
    .sum(),
    want=1.0,
    rejects={
        "the last bin closed": closed.sum(),
        "bins $2/n$ wide": n_bins.sum(),
    },
)

# %% [markdown]
# The second claim used the library's version. It computes the logarithm of the difference without losing digits in the tails, where both probabilities round to 0 or to 1; there our three lines would give $\log 0$.
#
# What has a density to do with it? If the bins are narrow compared to $\sigma_1$, the probability of a level is about the density times the width of the bin. Densities depend on the scale of the axis. Let $y = 127.5\,(x + 1)$ be the same pixels on the scale from 0 to 255. An interval becomes 127.5 times as long and keeps its probability, so the density becomes 127.5 times smaller, in each of the $d$ pixels:
#
# $$
# -\log p(y) = -\log p(x) + d \log 127.5 .
# $$ (eq:rescale)
#
# In bits per dimension that is 6.99 bits, between one scale and another. The claim differentiates the distribution function on the scale of $y$ numerically.

# %% tags=["claim"]
x = torch.tensor([-0.4, 0.1, 0.8])
y, step = 127.5 * (x + 1), 1e-3


def below(y):  # P(Y <= y) for X ~ N(0.2, 0.3^2)
    return torch.special.ndtr((y / 127.5 - 1 - 0.2) / 0.3)


slope = (below(y + step) - below(y - step)) / (2 * step)
cost_x = -normal(x, 0.2, torch.tensor(0.09)).sum()
claim(
    "eq:rescale",
    got=-slope.log().sum(),
    want=cost_x + 3 * math.log(127.5),
    rejects={
        "the scale forgotten": cost_x,
        "the wrong sign": cost_x - 3 * math.log(127.5),
        "once instead of once per pixel": cost_x + math.log(127.5),
    },
    atol=1e-6,
)

# %% [markdown]
# ## Real digits
#
# Now the question from the beginning. Split the 1797 digits at random into 1500 that a model may know and 297 that are new to it, and compare two models whose $\log p(x_0)$ we know.
#
# The first has *memorized*: it gives each of the 1500 digits the probability 1/1500 and everything else the probability 0. The second has looked at *each pixel alone*: in each of the 64 places it has counted how often each level occurs, with a tenth of a count added so that nothing is impossible, and it takes the pixels as independent. Both can be written as diffusion models, because for both the best estimate $\mathbb E[x_0 \mid x_t]$ is a weighted mean that we can compute: over the known digits for the first, over the 17 levels of a pixel for the second. The weights are the probabilities of the candidates $m$ given $x_t$, proportional to their prior probability times $e^{-\lVert x_t - a m\rVert^2/(2 s^2)}$, by Bayes' rule and the jump {eq}`eq:jump`.

# %%
from functools import partial

from ddpm_lib.data import digits
from ddpm_lib.diffusion import Prediction, signal_and_noise

ink = (digits().pixels.double() / 255 * 16).round()  # 0 to 16
pictures = ink / 8 - 1
torch.manual_seed(0)
pictures = pictures[torch.randperm(len(pictures))]
known, new = pictures[:1500], pictures[1500:]
flat = known.flatten(1)

index = ((flat + 1) * 8).round().long()
counts = torch.nn.functional.one_hot(index, 17).sum(0) + 0.1
log_share = (counts / counts.sum(1, keepdim=True)).log()  # (64, 17)


def memory(x_t, t):
    """E[x_0 | x_t] if x_0 is one of the known digits."""
    a, s = signal_and_noise(schedule, t, like=x_t)
    distance = torch.cdist(x_t.flatten(1), a * flat)
    weights = (-(distance**2) / (2 * s**2)).softmax(1)
    x_0 = (weights @ flat).reshape(x_t.shape)
    return Prediction(x_0, (x_t - a * x_0) / s)


def each_pixel(x_t, t):
    """E[x_0 | x_t] if the pixels are independent."""
    a, s = signal_and_noise(schedule, t, like=x_t)
    distance = x_t.flatten(1)[..., None] - a * levels
    weights = (log_share - distance**2 / (2 * s**2)).softmax(-1)
    x_0 = (weights @ levels).reshape(x_t.shape)
    return Prediction(x_0, (x_t - a * x_0) / s)


# %% tags=["nbval-check-output"]
few_of_each = torch.cat([known[:25], new[:25]])
index = ((few_of_each.flatten(1) + 1) * 8).round().long()
pixel_cost = -log_share[torch.arange(64), index].sum(1)
truth = bound.bits_per_dim(pixel_cost, few_of_each)


def row(name, values):
    print(
        f"{name:18} {values[:25].mean():7.3f} {values[25:].mean():9.3f}"
    )


print("bits per dimension   known       new")
row("nothing known", torch.full((50,), math.log2(17)))
row("pixels: log p", truth)
torch.manual_seed(0)
stacks = {}
for name, estimate in (("pixels", each_pixel), ("memory", memory)):
    if name == "memory":
        exact = math.log2(1500) / 64
        print(f"{'memory: log p':18} {exact:7.3f}  infinite")
    for choice, var in (
        ("beta", kernel_variance),
        ("beta tilde", posterior_variance),
    ):
        nats = bound.bound(
            schedule,
            estimate,
            few_of_each,
            likelihood=partial(bound.discretized, levels=17),
            variance=var,
        )
        stacks[name, choice] = bound.bits_per_dim(nats, few_of_each)
        row(f"{name}: {choice}", stacks[name, choice].sum(0))
L = stacks["pixels", "beta tilde"].mean(1)
print(f"pixels: L_T {L[-1]:.1e}, L_0 {L[0]:.1e}")
half = int((L[1:-1].cumsum(0) < L[1:-1].sum() / 2).sum()) + 2
print(f"half of the step terms' sum lies at t <= {half}")

# %% [markdown]
# Judged by the known digits, the memory wins by far. With $\tilde\beta_t$ its bound comes to 0.167 bits per dimension, and its true cost is $\log_2(1500)/64 = 0.165$. Most of the difference is the noise of a single draw for each term, since the posterior of a single point is what $\tilde\beta_t$ was made for. On new digits its bound is 1059 bits for each pixel. The bound shows what the samples alone do not: this model has learned nothing about digits that are not in its memory.
#
# The model of single pixels would draw poor digits, since it does not know that strokes hang together. Yet with $\tilde\beta_t$ its bound is 2.541 bits per dimension on new digits, hardly more than the 2.522 on known ones, and much less than the 4.087 of knowing nothing. The bound lies about 0.1 bits above its true cost, because the true reverse step is a mixture of levels and the model's is one Gaussian.
#
# Note also which variance is better: for these two models it is $\tilde\beta_t$, and for the smooth densities above it was $\beta_t$. Data with levels is, at small $t$, a set of points. {cite:t}`nichol2021` let a network interpolate between their logarithms. And $L_0$, which was $-3.19$ nats for a density, is now next to nothing. At $t = 1$ the noise has the standard deviation 0.01, a bin is 0.125 wide, and $x_1$ tells the level. The cost of saying which level it is has moved to the next steps: half of their sum lies at $t \le 41$.
#
# ## One t at a time
#
# A bound of a thousand terms asks for a thousand calls of the network for each picture. Training cannot afford that at every step. It draws one $t$ at random instead. If $t$ is drawn evenly from 2 to $T$, each of the $T - 1$ values has the probability $1/(T - 1)$, so the mean of $L_{t-1}$ over the draw is the sum divided by $T - 1$, and
#
# $$
# \sum_{t=2}^T L_{t-1} = (T - 1)\; \mathbb E_{t \sim \mathcal U\{2, \dots, T\}}\bigl[L_{t-1}\bigr] .
# $$ (eq:random-t)
#
# The claim draws a million times for the averaged terms of the mixture with $T = 10$.

# %% tags=["claim"]
L = table[10, "best"]
t = torch.randint(2, 11, (1_000_000,))
claim(
    "eq:random-t",
    got=mean(9 * L[t - 1]),
    want=L[1:-1].sum(),
    rejects={
        "$L_0$ among them": L[:-1].sum(),
        "the mean taken for the sum": L[1:-1].mean(),
        "times $T$": 10 * L[1:-1].mean(),
    },
)

# %% [markdown]
# $L_0$ is not in this sum and is trained separately, or with $t$ drawn from 1 to $T$ and $L_0$ as the term of $t = 1$. In {eq}`def:l-simple` both kinds of terms will have one form.
#
# ## Where tutorials go wrong
#
# The next cell computes the numbers of this section.

# %% tags=["nbval-check-output"]
at_09 = torch.tensor([0.9])
print(f"-log p(x_0 = 0.9)          {-likelihood.log():.3f}")
for place in (60, 100):  # on the grid
    given = -given_start(at_09, place)[0].log()
    print(f"-log p(x_0 = 0.9 | x_3 = {grid[place]:2.0f}) {given:.3f}")
kl_right = terms_on_grid(short, two, short.beta, 0.9)[1]
print(f"L_1, q first {kl_right:.3f}; p first {swapped:.3f}")

certain = kl_normal(0.0, schedule.beta_tilde[1], 0.0, schedule.beta[1])
print(f"KL at t = 1 from a variance of 0: {certain}")

V = open_variance(schedule, two)
L = average_terms(schedule, two, V, schedule.beta)
print(f"mixture, bound {L.sum():.3f}; without L_0 {L[1:].sum():.3f}")
print(f"mean instead of sum: {L[1:-1].mean():.4f}")

eps_error = V[1:] * schedule.snr[1:]  # of the noise, at t = 1 .. T
half = int((L[1:-1].cumsum(0) < L[1:-1].sum() / 2).sum()) + 2
share = eps_error[:half].sum() / eps_error.sum()
print(f"half of the steps' sum at t <= {half}: {share:.1%} of L_simple")

total = stacks["pixels", "beta tilde"].sum(0).mean()
print(f"digits: {total:.2f} bits per dimension")
print(f"        {total * math.log(2):.2f} nats per dimension")
print(f"        {total * 64:.0f} bits a picture")
print(f"from [-1, 1] to 0..255: {math.log2(127.5):.2f} bits")
print(f"last bin closed: the levels add to {closed.sum():.3f}")

# %% [markdown]
# *The joint called conditional.* A derivation note defines $p_\theta(x_0 \mid x_t)$ as $p(x_T)\prod_t p_\theta(x_{t-1} \mid x_t)$. This is the joint density of $x_0, \dots, x_T$. It depends on all of them, and what follows from it about $x_0$ is an integral, {eq}`eq:evidence`. For the small case, $-\log p_\theta(x_0)$ at 0.9 is 0.660, and given $x_3 = 2$ or $x_3 = -2$ it is 0.083 or 2.389. With the wrong name the integral never comes into sight, and nobody can say why a bound is needed.
#
# *A sum of KLs from t = 1.* The bound is often written as $\sum_{t=1}^T \mathrm{KL}(\cdots)$. At $t = 1$ the first distribution has variance $\tilde\beta_1 = 0$, and the KL divergence is infinite. A program shows it as `inf`, or hides it behind a small constant added to the variance. The first term is $L_0$, which is of another kind.
#
# $L_0$ *forgotten.* Drawing $t$ from 2 to $T$ is right for the step terms, {eq}`eq:random-t`, but then a published objective leaves $L_0$ out. The rest says nothing about $-\log p_\theta(x_0)$, since $L_0$ may have either sign: for the mixture it is 3.698 nats where the bound is 0.511. Worse, nothing trains the network at $t = 1$. Also frequent is the mean in place of the sum, here 0.0037 nats, less than the entropy.
#
# *The bound "decomposes into"* $L_{\mathrm{simple}}$. Several texts go from {eq}`eq:bound` to the mean squared error of the noise {eq}`def:l-simple` with an equals sign. In the bound this error has the weight {eq}`eq:eps-weight`, in that loss the weight one. The difference is not small: half of the step terms' sum lies at $t \le 18$, and the errors at these times make up 8.6 % of $L_{\mathrm{simple}}$.
#
# *The KL the other way round.* In {eq}`eq:bound` the fixed $q$ stands first, because the expectation is over $q$. Exchanged, the term $L_1$ of the small case is 1.764 nats instead of 0.578. The two agree only where the two distributions do, so at large $t$ nobody would notice.
#
# *Units.* The same result for the digits can be written as 2.53 bits per dimension, 1.75 nats per dimension, or 162 bits for a picture. A number without its unit cannot be compared. Even with the unit, a density on pixels from $-1$ to $1$ looks better by 6.99 bits per dimension than the same density on pixels from 0 to 255, and a density on either is no probability of levels: the two compare only where the density hardly changes within a level.
#
# *The last bin closed.* If the bins of black and white end half a step beyond $\pm 1$, the probabilities of the levels do not add to 1. In the claim above they add to 0.887. Black and white pixels then lose the tail's probability, the more the noisier the model's last step is.
#
# ## Exercises
#
# :::{exercise} Bits
# :label: ex-bits
#
# With pencil and calculator. A model's bound on a color picture of 32×32 pixels is 7986 nats. How many bits per dimension?
# :::

# %%
from ddpm_lib.course.checks import elbo as check

bits = ...
check.bits(bits)

# %% [markdown]
# :::{solution-start} ex-bits
# :class: dropdown
# :::
#
# A color picture has three values for each pixel, so $d = 32 \cdot 32 \cdot 3 = 3072$, and $7986 / (3072 \log 2) = 3.75$ bits per dimension. This is the figure that {cite:t}`ho2020` report for CIFAR-10. As a file, such a picture would take 1440 bytes; raw, it takes 3072.

# %% tags=["solution", "nbval-check-output"]
bits = 7986 / (3072 * math.log(2))
check.bits(bits)
print(f"{bits:.2f} bits per dimension, {bits * 3072 / 8:.0f} bytes")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} On another scale
# :label: ex-scale
#
# A paper models pixels with a density, scaled to $[-1, 1]$, and reports a cost of $-1.9$ nats per dimension. How many bits per dimension is that on the scale from 0 to 255, where a level is one unit wide?
# :::

# %%
rescaled = ...
check.rescaled(rescaled)

# %% [markdown]
# :::{solution-start} ex-scale
# :class: dropdown
# :::
#
# By {eq}`eq:rescale` each dimension costs $\log 127.5 = 4.848$ nats more on the larger scale, that is $2.948$ nats, and divided by $\log 2$ this is 4.25 bits. On that scale the width of a level is 1, so where the density hardly changes within a level it is about that level's probability, and the number can be compared with a discretized bound.

# %% tags=["solution", "nbval-check-output"]
rescaled = (-1.9 + math.log(127.5)) / math.log(2)
check.rescaled(rescaled)
print(f"{rescaled:.2f} bits per dimension")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} What the end still knows
# :label: ex-prior
#
# Write {eq}`def:prior-term` as a function of the pictures and of $\bar\alpha_T$, in bits per dimension, one number for each picture. The solution applies it to the digits with the schedule {eq}`eq:linear`, and with one whose $\beta$ ends at 0.002 instead of 0.02.
# :::


# %%
def prior_bits(x_0, alpha_bar_T):
    """L_T of each picture in bits per dimension.  x_0: (B, C, H, W)"""
    return ...


check.prior_bits(prior_bits)

# %% [markdown]
# :::{solution-start} ex-prior
# :class: dropdown
# :::
#
# $q(x_T \mid x_0)$ has the mean $\sqrt{\bar\alpha_T}\,x_0$ and the variance $1 - \bar\alpha_T$; the KL of it from $\mathcal N(0, 1)$ is $\tfrac12\bigl(\bar\alpha_T x_0^2 - \bar\alpha_T - \log(1 - \bar\alpha_T)\bigr)$ in each pixel. For the digits it is $2 \cdot 10^{-5}$ bits per dimension. With $\beta_T = 0.002$, a published slip, it is 0.24: every picture pays a quarter of a bit per pixel for what is left of it at the end. What $x_T$ tells about the picture comes back, since the later terms need not pay for it again. That $x_T$ is not distributed like the noise that sampling begins with is lost, and no training takes it back.


# %% tags=["solution", "nbval-check-output"]
def prior_bits(x_0, alpha_bar_T):
    bar = torch.as_tensor(alpha_bar_T)
    pixels = (bar * x_0**2 - bar - torch.log1p(-bar)) / 2
    return pixels.flatten(1).mean(1) / math.log(2)


check.prior_bits(prior_bits)
for beta_T in (0.02, 0.002):
    bar = linear(1000, 1e-4, beta_T).alpha_bar[-1]
    print(f"beta_T = {beta_T}: {prior_bits(pictures, bar).mean():.1e}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A single step
# :label: ex-one-step
#
# Let the data be $\mathcal N(0, 1)$, and take $T = 1$ with $\beta_1 = 0.5$, so that the bound is $L_1 + L_0$, where $L_1$ is the prior term. The model has the best mean and $\sigma_1^2 = \beta_1$. How large is the excess of the averaged bound over the entropy? Think of {eq}`eq:excess-steps` before you compute.
# :::

# %%
excess = ...
check.one_step(excess)

# %% [markdown]
# :::{solution-start} ex-one-step
# :class: dropdown
# :::
#
# $x_1$ is distributed as $\mathcal N(0, 1)$, exactly as the model starts. Given $x_1$, the data $x_0$ is normal with the mean $\sqrt{\alpha_1}\,x_1$ and the variance $\beta_1$, exactly as the model steps. Both parts of {eq}`eq:excess-steps` are 0, and so is the excess. $L_1$ is not 0: it is $\tfrac12 \log 2$, and $L_0$ is less than the entropy by the same amount. One step, even a large one, is enough if the true reverse step is Gaussian. That it is not, for real data, is why we need many.

# %% tags=["solution", "nbval-check-output"]
alone, var_1 = torch.tensor(0.5), torch.tensor(0.5)
L_1 = (0.5 - 0.5 - torch.log(1 - alone)) / 2
L_0 = ((2 * math.pi * var_1).log() + 0.5 / var_1) / 2
entropy = math.log(2 * math.pi * math.e) / 2
check.one_step(L_1 + L_0 - entropy)
print(f"L_1 {L_1:.4f}  L_0 {L_0:.4f}  entropy {entropy:.4f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Too sure
# :label: ex-too-sure
#
# Let all $\beta_t$ be one tiny number $\beta$. Near the data, $1 - \bar\alpha_t \approx t\beta$, hence $\tilde\beta_t \approx \beta\,(t-1)/t$. For smooth data the true reverse variance there is about $\beta$. By how many nats does the bound with $\sigma_t^2 = \tilde\beta_t$ exceed the one with $\sigma_t^2 = \beta$, in one dimension, added over $t = 2, 3, \dots$? Use {eq}`eq:kl-1d` with the same mean in both, the true variance $\beta$ first. Sum a million terms and recognize the number.
# :::

# %%
cost = ...
check.too_sure(cost)

# %% [markdown]
# :::{solution-start} ex-too-sure
# :class: dropdown
# :::
#
# The ratio of the variances is $r = t/(t-1)$, and each step costs $\tfrac12(r - 1 - \log r) = \tfrac12\bigl(\tfrac1{t-1} - \log\tfrac{t}{t-1}\bigr)$. Up to $t = N$ the logarithms telescope to $\log N$, and the fractions add to the harmonic number $1 + \tfrac12 + \dots + \tfrac1{N-1}$. Their difference tends to Euler's constant $\gamma = 0.5772\ldots$, so the cost tends to $\gamma/2 = 0.2886$ nats, or 0.416 bits, in each dimension. It does not depend on $\beta$ and does not go away with more steps. The linear schedule loses even more, 0.456 nats on Gaussian data, because its betas grow.

# %% tags=["solution", "nbval-check-output"]
t = torch.arange(2, 1_000_001).double()
r = t / (t - 1)
cost = ((r - 1 - r.log()) / 2).sum()
check.too_sure(cost)
print(f"{cost:.4f} nats, {cost / math.log(2):.3f} bits")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: the bound
# :class: card
#
# For every $x_0$ and every model,
#
# $$
# \begin{aligned}
# -\log p_\theta(x_0) \;\le\; L(x_0) &= L_T + \sum_{t=2}^T L_{t-1} + L_0\\
# L_T &= \mathrm{KL}\bigl(q(x_T \mid x_0) \,\|\, p(x_T)\bigr)\\
# L_{t-1} &= \mathbb E_{q(x_t \mid x_0)}\,\mathrm{KL}\bigl(q(x_{t-1} \mid x_t, x_0) \,\|\, p_\theta(x_{t-1} \mid x_t)\bigr)\\
# L_0 &= \mathbb E_{q(x_1 \mid x_0)}\bigl[-\log p_\theta(x_0 \mid x_1)\bigr]
# \end{aligned}
# $$
#
# The gap is $\mathrm{KL}\bigl(q(x_{1:T} \mid x_0) \,\|\, p_\theta(x_{1:T} \mid x_0)\bigr)$. Averaged over the data, the bound exceeds the entropy by the mismatch of the start and of each step with the true reverse step. Bits per dimension: divide nats by $d \log 2$.
# :::
#
# Each step term is a KL divergence of two normal distributions that differ in their means; chapter 7 turns it into the squared error that a network is trained with, and finds the weights {eq}`eq:eps-weight`.
