# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # The way back, if you do not know the start
#
# Chapter 4 walked from $x_t$ to $x_{t-1}$ with $x_0$ in hand. A sampler does not have $x_0$: it is what the sampler wants to make. So what is the distribution of $x_{t-1}$ when only $x_t$ is known? For the data of this chapter we can write it down exactly. It is not Gaussian. And yet the model that we are going to train answers with a Gaussian at every step, so we must find out when that is a good answer, and what it costs when it is not.
#
# :::{admonition} At a glance
# :class: glance
#
# 45 minutes to read, longer with a pencil; it runs in about half a minute on a laptop's CPU, and needs no GPU. You need a forward step of any length {eq}`eq:leap`, the rule for conditioning a joint Gaussian {eq}`eq:conditional-gaussian`, the Kullback-Leibler divergence {eq}`eq:kl-1d`, what noise does to a mixture of Gaussians {eq}`eq:mixture-noised`, and the mean and the variance of a step back when $x_0$ is known {eq}`eq:posterior-leap`.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Three panels, each with a solid curve and a dashed Gaussian bell, for a way back from t = 600 and x_t = 0. Back to u = 500 the two curves lie on each other, one bell. Back to u = 200 the solid curve has two low humps and a shallow valley between them, where the bell is highest. Back to u = 100 the solid curve has two tall separate humps near minus 0.9 and 0.9, and the bell is highest at 0, where the solid curve is lowest."}, "figure": {"name": "fig-kernels", "caption": "Where was $x_u$, if $x_{600} = 0$? The true distribution (solid) and the best Gaussian (dashed), for data from two narrow humps at $-1$ and $1$. See that the Gaussian is right for a short way back and wrong for a long one."}}
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, style
from ddpm_lib.schedules import linear

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

schedule = linear()
T, beta_t, alpha_bar = schedule.T, schedule.beta, schedule.alpha_bar
w = torch.tensor([0.5, 0.5])  # weights
m = torch.tensor([-1.0, 1.0])  # means
width = torch.tensor([0.2, 0.2])  # standard deviations


def bell(x, mean, var):
    return (
        torch.exp(-((x - mean) ** 2) / (2 * var))
        / (2 * math.pi * var).sqrt()
    )


y = torch.linspace(-4, 4, 2001)
fig, panels = plt.subplots(1, 3, figsize=(6.4, 2.3), sharex=True)
for ax, u in zip(panels, (500, 200, 100), strict=True):
    a_u, back = alpha_bar[u], alpha_bar[600] / alpha_bar[u]
    seen = bell(0.0, back.sqrt() * y, 1 - back)  # Bayes, see below
    humps = bell(y[:, None], a_u.sqrt() * m, a_u * width**2 + 1 - a_u)
    true = seen * (humps @ w)
    true /= torch.trapezoid(true, y)
    spread = torch.trapezoid(true * y**2, y)
    ax.plot(y, true, color=DATA, ls="-", lw=3, alpha=0.6)
    ax.plot(y, bell(y, 0.0, spread), color=MODEL, ls="--")
    ax.set(title=f"$u = {u}$", xlabel="$x_u$", yticks=[], xlim=(-3, 3))
plt.show()

# %% [markdown]
# ## Bayes without the start
#
# Nearly all of this chapter holds for a step of any length, so let $u$ be any time earlier than $t$. The kernel of the forward process from $u$ to $t$ is {eq}`eq:leap`. In this chapter we write $\beta$ and $\alpha$, without an index, for the variance that this step adds and for the share that it keeps:
#
# $$
# \begin{gathered}
# \alpha = \frac{\bar\alpha_t}{\bar\alpha_u}, \qquad \beta = 1 - \alpha,\\
# q(x_t \mid x_u) = \mathcal N\bigl(x_t;\ \sqrt{\alpha}\,x_u,\ \beta\bigr).
# \end{gathered}
# $$ (def:step-beta)
#
# For $u = t - 1$ these are $\alpha_t$ and $\beta_t$. As in chapter 2 we look at a single number, one pixel, and return to many of them at the end. The data are a mixture {eq}`def:mixture` of two humps: with weight $\tfrac12$ each, $x_0$ is normal around $-1$ or around $1$, with standard deviation 0.2.
#
# We want $q(x_u \mid x_t)$, the *reverse kernel*. Write the probability density of the pair in two ways. First $x_u$ and then $x_t$, as the process runs: $q(x_u)\,q(x_t \mid x_u)$. First $x_t$ and then $x_u$, as the sampler runs: $q(x_t)\,q(x_u \mid x_t)$. It is the same density, so divide by $q(x_t)$:
#
# $$
# q(x_u \mid x_t) = \frac{q(x_t \mid x_u)\; q(x_u)}{q(x_t)} .
# $$ (eq:reverse-bayes)
#
# The first factor we know. Compare the rest with {eq}`eq:bayes`, where everything was conditioned on $x_0$: in place of $q(x_u \mid x_0)$, a Gaussian, there now stands $q(x_u)$, the distribution of noised *data*. Where $u = 0$ that is the distribution we want to draw from. If we knew it, we would not need a model. So the reverse kernel contains the data, all of it, and a network will have to learn this part.
#
# The claim walks forward: two million pairs from $x_0$ over $x_{100}$ to $x_{300}$. It counts how often $x_{300}$ falls between 0.4 and 0.6 and $x_{100}$, on the same path, below one of five thresholds. It compares these shares with {eq}`eq:reverse-bayes`, integrated over both. One wrong version leaves out the factor $q(x_u)$; it is what you get by solving $x_t = \sqrt\alpha\,x_u + \sqrt\beta\,\epsilon$ for $x_u$ as if $x_t$ told nothing about $\epsilon$.


# %%
def noised(t):
    """Means and variances of the humps of q(x_t), (K,) each."""
    a_t = alpha_bar[t]
    return a_t.sqrt() * m, a_t * width**2 + 1 - a_t


def density(x, weights, means, variances):
    """x: (N,)  ->  (N,)"""
    return (weights * bell(x[:, None], means, variances)).sum(1)


t, u = 300, 100
alpha = alpha_bar[t] / alpha_bar[u]
beta = 1 - alpha


def step_back(x_t, prior):
    """The density over the grid y of x_u, for each x_t.  (N, 2001)"""
    joint = bell(x_t[:, None], alpha.sqrt() * y, beta) * prior
    return joint / torch.trapezoid(joint, y)[:, None]


# %% tags=["claim"]
from ddpm_lib.course.claims import claim, mean, variance

hump = torch.multinomial(w, 2_000_000, replacement=True)
x_0 = m[hump] + width[hump] * torch.randn(2_000_000)
x_u = alpha_bar[u].sqrt() * x_0 + (
    1 - alpha_bar[u]
).sqrt() * torch.randn(2_000_000)
x_t = alpha.sqrt() * x_u + beta.sqrt() * torch.randn(2_000_000)

thresholds = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
window = torch.linspace(0.4, 0.6, 41)


def shares(prior):
    """P(0.4 < x_t < 0.6 and x_u < threshold), by two integrals."""
    below = (y[:, None] < thresholds) + 0.5 * (y[:, None] == thresholds)
    inner = step_back(window, prior) @ below.double() * (y[1] - y[0])
    outer = density(window, w, *noised(t))
    return torch.trapezoid(outer[:, None] * inner, window, dim=0)


inside = ((x_t > 0.4) & (x_t < 0.6))[:, None]
claim(
    "eq:reverse-bayes",
    got=mean((inside & (x_u[:, None] < thresholds)).double()),
    want=shares(density(y, w, *noised(u))),
    rejects={
        "no $q(x_u)$: the step solved for $x_u$": shares(
            torch.ones_like(y)
        ),
        r"$q(x_u)$ as if it were $\mathcal N(0, 1)$": shares(
            bell(y, 0.0, beta**0)
        ),
        "$q(x_0)$ for $q(x_u)$": shares(density(y, w, m, width**2)),
    },
)

# %% [markdown]
# ## The same kernel as an average
#
# There is a second way to say it, and it uses the work of chapter 4. Suppose for a moment that somebody tells us $x_0$. Then $x_u$ is Gaussian, with the mean and the variance of {eq}`eq:posterior-leap`, which we write $\tilde\mu(x_t, x_0)$ and $\tilde\beta$ for a step of any length. Nobody tells us, but $x_t$ makes some $x_0$ more probable than others. So weigh each Gaussian with the probability of its $x_0$. This is the law of total probability, with everything conditioned on $x_t$:
#
# $$
# q(x_u \mid x_t) = \int q(x_u \mid x_t, x_0)\; q(x_0 \mid x_t)\; dx_0 .
# $$ (eq:reverse-average)
#
# Note the second factor. It is not $q(x_0)$, the data, but the data *as seen from* $x_t$: by Bayes once more, $q(x_0 \mid x_t) = q(x_t \mid x_0)\,q(x_0)/q(x_t)$. The claim computes {eq}`eq:reverse-average` with a sum over a fine grid of $x_0$, at $x_t = 0.5$, and compares it with {eq}`eq:reverse-bayes`.

# %%
one_minus_u, one_minus_t = 1 - alpha_bar[u], 1 - alpha_bar[t]
from_x_0 = alpha_bar[u].sqrt() * beta / one_minus_t
from_x_t = alpha.sqrt() * one_minus_u / one_minus_t
beta_tilde = beta * one_minus_u / one_minus_t

here = torch.tensor([0.5])  # x_t
true = step_back(here, density(y, w, *noised(u)))[0]

# %% tags=["claim"]
data = density(y, w, m, width**2)  # q(x_0), on the same grid
seen = data * bell(here, alpha_bar[t].sqrt() * y, one_minus_t)
seen /= torch.trapezoid(seen, y)  # q(x_0 | x_t)
each = bell(y[:, None], from_x_0 * y + from_x_t * here, beta_tilde)
guess = torch.trapezoid(seen * y, y)  # E[x_0 | x_t]
claim(
    "eq:reverse-average",
    got=true,
    want=torch.trapezoid(each * seen, y),
    rejects={
        "averaged over $q(x_0)$": torch.trapezoid(each * data, y),
        "the mean of $x_0$ put in for $x_0$": bell(
            y, from_x_0 * guess + from_x_t * here, beta_tilde
        ),
    },
)

# %% [markdown]
# The second wrong version is the one to remember. It takes a good guess of $x_0$ and goes on as if the guess were the truth. The mean of the result is right, because $\tilde\mu$ is linear in $x_0$. Its variance is too small.
#
# By how much? An average of Gaussians has two sources of variance: each Gaussian has its own, and their means differ. Write $c_0 = \sqrt{\bar\alpha_u}\,\beta/(1 - \bar\alpha_t)$ and $c_t = \sqrt{\alpha}\,(1 - \bar\alpha_u)/(1 - \bar\alpha_t)$ for the two factors of {eq}`eq:posterior-leap`, so that $\tilde\mu = c_0 x_0 + c_t x_t$. Given $x_t$ and $x_0$, the number $x_u$ is $\tilde\mu$ plus an independent Gaussian number of variance $\tilde\beta$:
#
# $$
# x_u = c_0\,x_0 + c_t\,x_t + \sqrt{\tilde\beta}\;\epsilon .
# $$
#
# Now hold $x_t$ fixed and let $x_0$ follow $q(x_0 \mid x_t)$. The term $c_t x_t$ is a constant and has no variance. The other two are independent, so their variances add, and a factor comes out squared:
#
# $$
# \operatorname{Var}[x_u \mid x_t] = \tilde\beta + c_0^2\,\operatorname{Var}[x_0 \mid x_t] .
# $$ (eq:reverse-variance)

# %% tags=["claim"]
center = torch.trapezoid(true * y, y)
spread = torch.trapezoid(true * (y - center) ** 2, y)
doubt = torch.trapezoid(seen * (y - guess) ** 2, y)  # Var[x_0 | x_t]
claim(
    "eq:reverse-variance",
    got=spread,
    want=beta_tilde + from_x_0**2 * doubt,
    rejects={
        "$β̃$, as if $x_0$ were known": beta_tilde,
        "the factor not squared": beta_tilde + from_x_0 * doubt,
        r"$\mathrm{Var}[x_0]$ for $\mathrm{Var}[x_0 ∣ x_t]$": beta_tilde
        + from_x_0**2 * (1 + 0.2**2),
        "the variance of the forward step": beta,
    },
)

# %% [markdown]
# The second term is what our ignorance of $x_0$ adds. For a single step in the middle of the way, where $1 - \bar\alpha_t$ is not small, $c_0$ is of the size of $\beta_t$. Then $c_0^2$ is of the size of $\beta_t^2$, while $\tilde\beta$ is of the size of $\beta_t$. In the first few steps $1 - \bar\alpha_t$ is itself of the size of $\beta_t$, and $c_0$ is not small; we come back to them. For a long way back, down to a small $u$, the second term is nearly all. The cell compares the two at $x_t = 0$, where $x_0$ is most in doubt.


# %% tags=["nbval-check-output"]
def two_parts(t, u, x_t):
    """beta, beta_tilde, and c_0^2 Var[x_0 | x_t] by quadrature."""
    beta = 1 - alpha_bar[t] / alpha_bar[u]
    at_t, at_u = 1 - alpha_bar[t], 1 - alpha_bar[u]
    seen = data * bell(x_t, alpha_bar[t].sqrt() * y, at_t)
    seen = seen / torch.trapezoid(seen, y)
    guess = torch.trapezoid(seen * y, y)
    doubt = torch.trapezoid(seen * (y - guess) ** 2, y)
    c_0 = alpha_bar[u].sqrt() * beta / at_t
    return beta, beta * at_u / at_t, c_0**2 * doubt


print("  t →   u     beta beta_tilde   added")
for t_, u_ in ((600, 599), (600, 500), (600, 100), (32, 31)):
    print(
        "{:>3} → {:>3}  {:.5f}    {:.5f} {:.5f}".format(
            t_, u_, *two_parts(t_, u_, torch.zeros(()))
        )
    )

# %% [markdown]
# ## A mixture, solved
#
# For a mixture of Gaussians the kernel can be written down without an integral. Let the data be a mixture of $K$ components: with probability $w_k$ component $k$ is chosen, and then $x_0$ is normal with mean $m_k$ and width $\varsigma_k$. In {eq}`def:mixture` all widths are the same, but {eq}`eq:mixture-noised` was derived for one component at a time. So given the component, $x_t$ is normal as well, with the mean $\sqrt{\bar\alpha_t}\,m_k$ and the variance
#
# $$
# v_{k,t} = \bar\alpha_t\,\varsigma_k^2 + 1 - \bar\alpha_t .
# $$
#
# Suppose first that the component $k$ is known. Then $x_u$ and $x_t = \sqrt\alpha\,x_u + \sqrt\beta\,\epsilon$ are jointly Gaussian, being sums of independent Gaussian numbers. Their covariance is $\sqrt\alpha\,v_{k,u}$, since $\epsilon$ is independent of $x_u$, and the variance of $x_t$ is $v_{k,t} = \alpha\,v_{k,u} + \beta$. By {eq}`eq:conditional-gaussian` the mean moves by the covariance divided by the variance of what was seen, times the surprise:
#
# $$
# \begin{aligned}
# &\mathbb E[x_u \mid x_t, k]\\
# &\quad= \sqrt{\bar\alpha_u}\,m_k + \frac{\sqrt\alpha\,v_{k,u}}{v_{k,t}}\,\bigl(x_t - \sqrt{\bar\alpha_t}\,m_k\bigr) .
# \end{aligned}
# $$
#
# The variance falls by the covariance squared over $v_{k,t}$. Put both terms over one denominator, take out $v_{k,u}$, and use $v_{k,t} - \alpha\,v_{k,u} = \beta$:
#
# $$
# \begin{aligned}
# \operatorname{Var}[x_u \mid x_t, k] &= v_{k,u} - \frac{\alpha\,v_{k,u}^2}{v_{k,t}}\\
# &= \frac{v_{k,u}\,v_{k,t} - \alpha\,v_{k,u}^2}{v_{k,t}}\\
# &= \frac{v_{k,u}\,(v_{k,t} - \alpha\,v_{k,u})}{v_{k,t}}\\
# &= \frac{v_{k,u}}{v_{k,t}}\;\beta .
# \end{aligned}
# $$ (eq:hump-variance)

# %% tags=["claim"]
import sympy as sp

v_u, b = sp.symbols("v_u beta", positive=True)
v_t = (1 - b) * v_u + b
claim(
    "eq:hump-variance",
    got=v_u - (1 - b) * v_u**2 / v_t,
    want=v_u / v_t * b,
    rejects={
        "covariance not squared": v_u - sp.sqrt(1 - b) * v_u / v_t,
        "the ratio upside down": v_t / v_u * b,
    },
)

# %% [markdown]
# But the component is not known either. What $x_t$ says about it is Bayes' rule for a number of cases: the prior weight times the density of $x_t$ in that case, divided by the sum over all cases,
#
# $$
# w_k(x_t) = \frac{w_k\;\mathcal N\bigl(x_t;\ \sqrt{\bar\alpha_t}\,m_k,\ v_{k,t}\bigr)}{\sum_{j} w_j\;\mathcal N\bigl(x_t;\ \sqrt{\bar\alpha_t}\,m_j,\ v_{j,t}\bigr)} .
# $$
#
# These are the *responsibilities* of the components for $x_t$. Sum over the cases, as in {eq}`eq:reverse-average` but with $k$ in place of $x_0$, and the reverse kernel of a mixture is a mixture:
#
# $$
# \begin{gathered}
# q(x_u \mid x_t) = \sum_{k=1}^{K} w_k(x_t)\; \mathcal N\Bigl(x_u;\ \mu_k,\ \frac{v_{k,u}}{v_{k,t}}\,\beta\Bigr),\\
# \mu_k = \sqrt{\bar\alpha_u}\,m_k + \frac{\sqrt\alpha\,v_{k,u}}{v_{k,t}}\,\bigl(x_t - \sqrt{\bar\alpha_t}\,m_k\bigr) .
# \end{gathered}
# $$ (eq:reverse-mixture)
#
# In code it is seven lines. We take the responsibilities by a softmax of logarithms, which cannot divide zero by zero where $x_t$ is far from everything. The arguments are $\bar\alpha_t$ and $\bar\alpha_u$ themselves, so that we may later choose a $\beta$ that no schedule has.


# %%
def reverse(x_t, a_t, a_u):
    """q(x_u | x_t): weights and means (N, K), variances (K,)."""
    alpha = a_t / a_u
    v_t = a_t * width**2 + 1 - a_t
    v_u = a_u * width**2 + 1 - a_u
    surprise = x_t[:, None] - a_t.sqrt() * m
    log_w = w.log() - v_t.log() / 2 - surprise**2 / (2 * v_t)
    means = a_u.sqrt() * m + alpha.sqrt() * v_u / v_t * surprise
    return log_w.softmax(1), means, v_u / v_t * (1 - alpha)


# %% tags=["claim"]
weights, means, variances = reverse(here, alpha_bar[t], alpha_bar[u])
ahead = alpha_bar[u].sqrt() * m + 0 * means  # x_t tells nothing
claim(
    "eq:reverse-mixture",
    got=true,
    want=density(y, weights, means, variances),
    rejects={
        "prior weights instead of responsibilities": density(
            y, w, means, variances
        ),
        "means that do not look at $x_t$": density(
            y, weights, ahead, variances
        ),
        "a single Gaussian": bell(y, center, spread),
        "$β̃$ as the variance of each hump": density(
            y, weights, means, beta_tilde
        ),
    },
)

# %% [markdown]
# The library has the same, for any number of dimensions and any covariance, at the times of a schedule. It keeps each covariance as variances along axes, because noise and conditioning change the variances and leave the axes alone.

# %%
import inspect

from ddpm_lib import exact

print(inspect.getsource(exact.reverse))

# %% tags=["claim"]
mixture = exact.isotropic(w, m[:, None], width)
points = torch.linspace(-3, 3, 13)
ours = reverse(points, alpha_bar[t], alpha_bar[u])
theirs = exact.reverse(schedule, mixture, points[:, None], t, u)
claim(
    "eq:reverse-mixture",
    got=torch.stack([theirs.weights, theirs.means[..., 0]]),
    want=torch.stack(ours[:2]),
    rejects={
        "prior weights instead of responsibilities": torch.stack(
            [w.expand(13, 2), ours[1]]
        ),
        "a single step for the way from $u$ to $t$": torch.stack(
            reverse(points, alpha_bar[t], alpha_bar[t - 1])[:2]
        ),
    },
)

# %% [markdown]
# ## The best Gaussian
#
# Our model will answer with a Gaussian. Which one is best, and how good is it? We measure with the Kullback-Leibler divergence {eq}`def:kl`, $\mathrm{KL}(q\,\|\,p) = \mathbb E_q[\log q - \log p]$, where $q$ stands for the true kernel, $p$ for the Gaussian, and $\mathbb E_q$ for an average over draws of $q$. Chapter 6 will show why this measure and this direction: training makes a bound {eq}`eq:bound` small, and what a model can change in it is the sum of these divergences, one for each step {eq}`eq:excess-steps`.
#
# Let $p$ be any Gaussian, and let $b$ be the Gaussian that has the mean and the variance of $q$ itself. The logarithm of a Gaussian density is a quadratic in $x$. The average of a quadratic depends on mean and variance only. So $q$ and $b$ give the same average of $\log p$, and also the same average of $\log b$:
#
# $$
# \begin{aligned}
# \mathbb E_q[\log p] &= \mathbb E_b[\log p],\\
# \mathbb E_q[\log b] &= \mathbb E_b[\log b] .
# \end{aligned}
# $$
#
# Start from the definition, subtract and add $\log b$, and split the average; then replace $\mathbb E_q$ by $\mathbb E_b$ in the second part, where only $\log b$ and $\log p$ occur:
#
# $$
# \begin{aligned}
# &\mathrm{KL}(q\,\|\,p)\\
# &\quad= \mathbb E_q[\log q - \log p]\\
# &\quad= \mathbb E_q[\log q - \log b + \log b - \log p]\\
# &\quad= \mathbb E_q[\log q - \log b] + \mathbb E_q[\log b - \log p]\\
# &\quad= \mathbb E_q[\log q - \log b] + \mathbb E_b[\log b - \log p]\\
# &\quad= \mathrm{KL}(q\,\|\,b) + \mathrm{KL}(b\,\|\,p) .
# \end{aligned}
# $$ (eq:best-gaussian)
#
# The first term does not contain $p$. The second is never negative {eq}`eq:kl-positive`, and it is zero if and only if $p = b$. So the best Gaussian has the mean and the variance of $q$, and no calculus was needed. Better still, {eq}`eq:best-gaussian` says what any other Gaussian costs: the gap of the best, plus a divergence between two Gaussians, for which we have {eq}`eq:kl-1d`.
#
# The claim takes the kernel from $t = 300$ to $u = 100$ at $x_t = 0.5$, and for $p$ a Gaussian whose mean is off by 0.1 and whose variance is that of the forward step.


# %%
def kl(q, p):
    """KL of two densities on the grid y, in nats."""
    return torch.trapezoid(q * (q.log() - p.log()), y)


def kl_gaussians(ratio, distance=0.0):
    """KL(b || p): variance of b / that of p, distance / std of p."""
    return (distance**2 + ratio - 1 - torch.log(ratio)) / 2


# %% tags=["claim"]
best = bell(y, center, spread)
off = center + 0.1  # a p with another mean, too
p = bell(y, off, beta)
to_best = kl(true, best)
from_best = kl_gaussians(spread / beta, 0.1 / beta.sqrt())
tallest = y[true.argmax()]  # a Gaussian put on the highest point
claim(
    "eq:best-gaussian",
    got=kl(true, p),
    want=to_best + from_best,
    rejects={
        "the gap of the best forgotten": from_best,
        "the variances the other way round": to_best
        + kl_gaussians(beta / spread, 0.1 / spread.sqrt()),
        "the best one put on the highest point": to_best
        + kl_gaussians(spread / beta, (tallest - off) / beta.sqrt()),
    },
)

# %% [markdown]
# What is left is the gap of the best. The Gaussian $b$ has the mean $\mu$ and the variance $V$ of $q$, so $\log b(x) = -\tfrac12\log(2\pi V) - (x - \mu)^2/(2V)$. Insert it into $\mathbb E_q[\log q] - \mathbb E_q[\log b]$. The average of $(x - \mu)^2$ is $V$, so the last part contributes $\tfrac12$, and $\tfrac12 = \tfrac12\log e$ goes into the logarithm:
#
# $$
# \begin{aligned}
# \mathrm{KL}(q\,\|\,b) &= \tfrac12\log(2\pi e V) - H(q),\\
# H(q) &= -\mathbb E_q[\log q] .
# \end{aligned}
# $$ (eq:gaussian-gap)
#
# $H(q)$ is the *entropy* of $q$. The first term is the entropy of $b$. As the left side cannot be negative, no distribution of variance $V$ has more entropy than the Gaussian; the gap says how much less it has. We will need this again.

# %% tags=["claim"]
entropy = -torch.trapezoid(true * true.log(), y)
claim(
    "eq:gaussian-gap",
    got=to_best,
    want=torch.log(2 * math.pi * math.e * spread) / 2 - entropy,
    rejects={
        "without $e$": torch.log(2 * math.pi * spread) / 2 - entropy,
        "the standard deviation for the variance": torch.log(
            2 * math.pi * math.e * spread.sqrt()
        )
        / 2
        - entropy,
        "entropy with the wrong sign": torch.log(
            2 * math.pi * math.e * spread
        )
        / 2
        + entropy,
    },
)

# %% [markdown]
# Now we can measure. One more number helps to see what is wrong with a shape: the *kurtosis*, the average of the fourth power of the distance from the mean, divided by the variance squared. A Gaussian has 3. Two separate points with half the weight each have 1, the least there is. The cell goes back from $x_{600} = 0$ in steps of growing length. Mean, variance and kurtosis follow from those of the components; the divergence is an integral over 801 points.


# %% tags=["nbval-check-output"]
def moments(weights, means, variances):
    """Mean, variance and kurtosis of mixtures, (N,) each."""
    mean = (weights * means).sum(1)
    apart = (means - mean[:, None]) ** 2
    second = (weights * (variances + apart)).sum(1)
    each = 3 * variances**2 + 6 * variances * apart + apart**2
    return mean, second, (weights * each).sum(1) / second**2


def gap(weights, means, variances, points=801):
    """KL to the best Gaussian, in nats, of mixtures.  (N,)"""
    mean, second, _ = moments(weights, means, variances)
    z = torch.linspace(-10, 10, points)
    x = mean[:, None] + second.sqrt()[:, None] * z
    parts = weights[:, None] * bell(
        x[..., None], means[:, None], variances
    )
    q = second.sqrt()[:, None] * parts.sum(2)  # the density of z
    b = bell(z, 0.0, torch.ones(()))
    terms = torch.where(q > 0, q * (q.log() - b.log()), 0.0)
    return torch.trapezoid(terms, z)


zero = torch.zeros(1)
print("   u     beta  kurtosis    KL to best")
for u_ in (590, 550, 500, 400, 300, 200, 100, 0):
    kernel = reverse(zero, alpha_bar[600], alpha_bar[u_])
    print(
        f"{u_:>4}  {1 - alpha_bar[600] / alpha_bar[u_]:.5f}"
        f"  {moments(*kernel)[2].item():>8.2f}"
        f"  {gap(*kernel).item():>12.1e}"
    )

# %% [markdown]
# A hundred steps at once, from 600 to 500, already add a variance of 0.67, and still the best Gaussian is off by less than a millionth of a nat. From 600 to 100 the kurtosis is 1.50 and the gap 0.33 nats: two humps, and a Gaussian that is highest in the valley between them, where hardly any $x_{100}$ are. This is the right panel of the first figure.
#
# The figure below lets you choose the step and $x_t$ yourself. The curve is {eq}`eq:reverse-mixture`, the dashed one the best Gaussian. Play until you can answer the question under it.

# %% tags=["figure"] mystnb={"image": {"alt": "The step back from x_600 = 0 to u = 100. The true kernel has two humps near -0.9 and 0.9; the best Gaussian is one wide bell that is highest between them."}, "figure": {"name": "fig-reverse-step", "caption": "A step back of any length, for data from two humps at $-1$ and $1$. Drag $x_t$ along the axis, or move it with the arrow keys. The solid curve is the true kernel, the dashed one the best Gaussian. Heights are scaled to fit; these two have one scale."}}
from ddpm_lib.course.explore import explorable


def still(t=600, u=100):
    kernel = reverse(zero, alpha_bar[t], alpha_bar[u])
    mean, second, _ = moments(*kernel)
    fig, ax = plt.subplots(figsize=(3.9, 2.0))
    ax.plot(y, density(y, w, *noised(t)), color=NOISE, ls="-.", lw=1)
    ax.plot(y, density(y, *kernel), color=DATA, ls="-")
    ax.plot(y, bell(y, mean, second), color=MODEL, ls="--")
    ax.plot(0, density(zero, w, *noised(t)), "o", color=NOISE)
    ax.annotate(f"$q(x_{{{t}}})$", (1.9, 0.1), color=NOISE)
    ax.annotate(f"$q(x_{{{u}}} \\mid x_{{{t}}})$", (1.1, 0.55))
    ax.annotate("best Gaussian", (-0.55, 0.45), color=MODEL)
    ax.set(xlabel="$x$", ylabel="density", xlim=(-3, 3))
    return fig


explorable(
    "reverseStep",
    {
        "T": T,
        "beta_1": 1e-4,
        "beta_T": 0.02,
        "mixture": {
            "weights": w.tolist(),
            "means": m[:, None].tolist(),
            "variances": (width**2).tolist(),
        },
    },
    still=still(),
)

# %% [markdown]
# The next cell computes the answers: the least $u$ to which the divergence stays within 0.1 nats, and the divergence of a step all the way to 0.

# %% tags=["nbval-check-output"]
print("  t   x_t   KL ≤ 0.1 to   KL at u = 0")
for t_, x_ in ((600, 0), (600, 2), (100, 0), (100, 0.05), (100, 0.5)):
    at = torch.tensor([x_])
    kl_of = [
        gap(*reverse(at, alpha_bar[t_], alpha_bar[u_])).item()
        for u_ in range(t_)
    ]
    short = [u_ for u_ in range(t_) if kl_of[u_] <= 0.1]
    print(f"{t_} {x_:>5.2f}  {short[0]:>8} {kl_of[0]:>15.2f}")

# %% [markdown]
# From $t = 600$ the step may go back to about $u = 160$, where the humps have become too narrow for one Gaussian, and it hardly matters where you stand: $x_{600}$ is nearly all noise. From $t = 100$ it matters a lot. In the valley, at $x_t = 0$, you do not know to which hump to return, and a step to $u = 0$ is off by 0.79 nats. Slightly to the side it is just as large. At $x_t = 0.5$ you know, and the Gaussian is good for a step of any length.
#
# ## Small steps
#
# For short steps the gap was tiny. Why? Think of {eq}`eq:reverse-bayes` as a function of $x_u$ with $x_t$ held fixed. The factor $q(x_t \mid x_u)$ is a narrow bell. The factor $q(x_u)$ varies slowly. Under a narrow bell, a slowly varying function is nearly a straight line or a parabola, in the logarithm, and a Gaussian times the exponential of a parabola is a Gaussian.
#
# Let us do it in full. The exponent of the bell is $-(x_t - \sqrt\alpha\,x_u)^2/(2\beta)$. Take $\sqrt\alpha$ out of the bracket and write $c = x_t/\sqrt\alpha$ for where $x_u$ would be if the step had added no noise:
#
# $$
# -\frac{(x_t - \sqrt\alpha\,x_u)^2}{2\beta} = -\frac{\alpha\,(x_u - c)^2}{2\beta} .
# $$
#
# So as a function of $x_u$ the bell stands at $c$ and has the width $\sqrt{\beta/\alpha}$. Now expand $\log q(x_u)$ around $c$ in a Taylor series, with $g$, $h$ and $h_3$ for its first, second and third derivative there:
#
# $$
# \begin{aligned}
# \log q(x_u) &= \log q(c) + g\,(x_u - c)\\
# &\quad + \tfrac12 h\,(x_u - c)^2 + \tfrac16 h_3\,(x_u - c)^3 + \dots
# \end{aligned}
# $$
#
# How large are the terms? Where the bell is not negligible, $x_u - c$ is of the size of $\sqrt{\beta/\alpha}$. So the terms are of the sizes $\beta^{1/2}$, $\beta$ and $\beta^{3/2}$: for small $\beta$ each is small against the one before. We keep the first two now and come back to the third. Up to constants, which the division by $q(x_t)$ takes care of, the logarithm of the kernel is
#
# $$
# -\frac{\alpha}{2\beta}(x_u - c)^2 + g\,(x_u - c) + \frac h2 (x_u - c)^2 .
# $$
#
# Collect the squares. Write $r = x_u - c$ and $P = \alpha/\beta - h$, which is positive for small $\beta$:
#
# $$
# -\frac P2\,r^2 + g\,r .
# $$
#
# Complete the square: take out $-P/2$, then add and subtract $(g/P)^2$ inside:
#
# $$
# \begin{aligned}
# &-\frac P2\,r^2 + g\,r\\
# &\quad= -\frac P2\Bigl(r^2 - 2\,\frac gP\,r\Bigr)\\
# &\quad= -\frac P2\Bigl(r^2 - 2\,\frac gP\,r + \frac{g^2}{P^2} - \frac{g^2}{P^2}\Bigr)\\
# &\quad= -\frac P2\Bigl(r - \frac gP\Bigr)^2 + \frac{g^2}{2P} .
# \end{aligned}
# $$
#
# The last term does not contain $x_u$. What remains is the exponent of a Gaussian in $r$ with mean $g/P$ and variance $1/P$. Shift back by $c = x_t/\sqrt\alpha$, and multiply numerators and denominators by $\beta$:
#
# $$
# \begin{gathered}
# q(x_u \mid x_t) \approx \mathcal N(x_u;\ \mu,\ V),\\
# \mu = \frac{x_t}{\sqrt\alpha} + \frac{\beta\,g}{\alpha - \beta h}, \qquad V = \frac{\beta}{\alpha - \beta h} .
# \end{gathered}
# $$ (eq:reverse-taylor)
#
# The claim compares the kept terms with the exponent of this Gaussian, symbolically. It takes the derivative of both with respect to $x_u$, so that constants do not matter.

# %% tags=["claim"]
X, Y = sp.symbols("x_t x_u", real=True)
G, Hs = sp.symbols("g h", real=True)
A = 1 - b
kept = (
    -((X - sp.sqrt(A) * Y) ** 2) / (2 * b)
    + G * (Y - X / sp.sqrt(A))
    + Hs * (Y - X / sp.sqrt(A)) ** 2 / 2
)


def slope(mean, var):
    """d/dx_u of the exponent of a Gaussian."""
    return -(Y - mean) / var


P = A / b - Hs
claim(
    "eq:reverse-taylor",
    got=sp.diff(kept, Y),
    want=slope(X / sp.sqrt(A) + b * G / (A - b * Hs), b / (A - b * Hs)),
    rejects={
        "the sign of the score": slope(
            X / sp.sqrt(A) - b * G / (A - b * Hs), b / (A - b * Hs)
        ),
        "$√α$ missing": slope(
            X + b * G / (A - b * Hs), b / (A - b * Hs)
        ),
        "the curvature forgotten": slope(
            X / sp.sqrt(A) + b * G / A, b / A
        ),
        "the sign of the curvature": slope(
            X / sp.sqrt(A) + b * G / (A + b * Hs), b / (A + b * Hs)
        ),
    },
)

# %% [markdown]
# The derivative $g$ of a log density is called the *score*. It points to where the density grows, so the mean of the step back undoes the shrinking and then leans towards the data. By {eq}`eq:tweedie` of chapter 8, estimating noise and estimating a score are one task.
#
# And the variance? Expand $\beta/(\alpha - \beta h)$ for small $\beta$. With $\alpha = 1 - \beta$ the denominator is $1 - \beta(1 + h)$, and $1/(1 - z) = 1 + z + \dots$ for small $z$:
#
# $$
# \begin{aligned}
# \frac{\beta}{\alpha - \beta h} &= \frac{\beta}{1 - \beta(1 + h)}\\
# &= \beta\,\bigl(1 + \beta(1 + h) + \dots\bigr)\\
# &= \beta + (1 + h)\,\beta^2 + O(\beta^3) .
# \end{aligned}
# $$ (eq:same-variance)

# %% tags=["claim"]
series = sp.series(b / (A - b * Hs), b, 0, 3).removeO()
claim(
    "eq:same-variance",
    got=sp.expand(series),
    want=sp.expand(b + (1 + Hs) * b**2),
    rejects={
        "no shrinking, $α = 1$": sp.expand(b + Hs * b**2),
        "the sign of the curvature": sp.expand(b + (1 - Hs) * b**2),
        "exactly $β$": b,
    },
)

# %% [markdown]
# To leading order the step back has the variance $\beta$ of the step forward, *whatever the data are*, if only $\beta h$ is small as well. The data enter through the mean, and only at the next order through the variance. This is why a model with a fixed variance and a learned mean has a chance. One case is exact: for $x_u \sim \mathcal N(0, 1)$ the score is $-c$ and $h = -1$, the correction vanishes, and so do all later ones.
#
# ## Mean and variance without approximation
#
# The Gaussian shape is an approximation. Mean and variance of the kernel are not: they can be had exactly from the derivatives of $\log q(x_t)$, at the later time. The forward step gives $q(x_t) = \int q(x_t \mid x_u)\,q(x_u)\,dx_u$. Differentiate with respect to $x_t$. Only the first factor contains it, and the derivative of a Gaussian is the Gaussian times the derivative of its exponent:
#
# $$
# q'(x_t) = \int -\frac{x_t - \sqrt\alpha\,x_u}{\beta}\; q(x_t \mid x_u)\,q(x_u)\,dx_u .
# $$
#
# Divide by $q(x_t)$. On the left stands the derivative of the logarithm. On the right, by {eq}`eq:reverse-bayes`, the density of $x_u$ given $x_t$ appears, so the integral is an average over it:
#
# $$
# \begin{aligned}
# \frac{d}{dx_t}\log q(x_t) &= \mathbb E\Bigl[-\frac{x_t - \sqrt\alpha\,x_u}{\beta} \Bigm| x_t\Bigr]\\
# &= -\frac{x_t - \sqrt\alpha\;\mathbb E[x_u \mid x_t]}{\beta} .
# \end{aligned}
# $$
#
# Multiply by $\beta$, add $x_t$, and divide by $\sqrt\alpha$:
#
# $$
# \mathbb E[x_u \mid x_t] = \frac{1}{\sqrt\alpha}\Bigl(x_t + \beta\,\frac{d}{dx_t}\log q(x_t)\Bigr) .
# $$ (eq:reverse-mean)
#
# For the variance, differentiate once more. The factor $-(x_t - \sqrt\alpha x_u)/\beta$ has the derivative $-1/\beta$, and the Gaussian brings the factor a second time; divide by $q(x_t)$ again:
#
# $$
# \frac{q''(x_t)}{q(x_t)} = \mathbb E\Bigl[\frac{(x_t - \sqrt\alpha\,x_u)^2}{\beta^2} \Bigm| x_t\Bigr] - \frac1\beta .
# $$
#
# The second derivative of a logarithm is $(\log q)'' = q''/q - (q'/q)^2$. The average of a square minus the square of the average is a variance; given $x_t$, the only random part of $(x_t - \sqrt\alpha\,x_u)/\beta$ is $-\sqrt\alpha\,x_u/\beta$:
#
# $$
# \begin{aligned}
# \frac{d^2}{dx_t^2}\log q(x_t) &= \operatorname{Var}\Bigl[\frac{x_t - \sqrt\alpha\,x_u}{\beta} \Bigm| x_t\Bigr] - \frac1\beta\\
# &= \frac{\alpha}{\beta^2}\operatorname{Var}[x_u \mid x_t] - \frac1\beta .
# \end{aligned}
# $$
#
# Add $1/\beta$ and multiply by $\beta^2/\alpha$:
#
# $$
# \operatorname{Var}[x_u \mid x_t] = \frac{\beta}{\alpha}\Bigl(1 + \beta\,\frac{d^2}{dx_t^2}\log q(x_t)\Bigr) .
# $$ (eq:reverse-width)
#
# Both hold for any data and any step length. The claims check them at nine points for the long way from 300 to 100, the derivatives taken by autograd.


# %%
def log_density_derivatives(x_t, a_t, order=3):
    """d^n/dx^n log q(x_t) for n = 1..order, by autograd."""
    x = x_t.clone().requires_grad_()
    v_t = a_t * width**2 + 1 - a_t
    f = density(x, w, a_t.sqrt() * m, v_t).log()
    found = []
    for _ in range(order):
        (f,) = torch.autograd.grad(f.sum(), x, create_graph=True)
        found.append(f.detach())
    return found


# %% tags=["claim"]
points = torch.linspace(-2, 2, 9)
exact_mean, exact_var, _ = moments(
    *reverse(points, alpha_bar[t], alpha_bar[u])
)
score, curvature, _ = log_density_derivatives(points, alpha_bar[t])
claim(
    "eq:reverse-mean",
    got=exact_mean,
    want=(points + beta * score) / alpha.sqrt(),
    rejects={
        "the sign of the score": (points - beta * score) / alpha.sqrt(),
        "$√α$ missing": points + beta * score,
        "$√β$ instead of $β$": (points + beta.sqrt() * score)
        / alpha.sqrt(),
        "the noise undone, no score": points / alpha.sqrt(),
    },
)
claim(
    "eq:reverse-width",
    got=exact_var,
    want=beta / alpha * (1 + beta * curvature),
    rejects={
        "always $β$": beta.expand(9),
        "$β̃$, as if $x_0$ were known": beta_tilde.expand(9),
        "the step solved for $x_u$, $β/α$": (beta / alpha).expand(9),
        "the sign of the curvature": beta
        / alpha
        * (1 - beta * curvature),
    },
)

# %% [markdown]
# From {eq}`eq:reverse-width` we can read off when the true variance is larger than $\beta$. It is where $(1 + \beta(\log q)'')/\alpha > 1$, that is $1 + \beta(\log q)'' > 1 - \beta$, that is $(\log q)'' > -1$: where $\log q(x_t)$ is less curved than that of a standard normal number. Between two humps that stand far enough apart it is not even curved downwards.
#
# ## How fast the gap closes
#
# Back to the term that we dropped, $\tfrac16 h_3\,r^3$. Measure $r$ from the mean in units of the width $\sqrt{\beta/\alpha}$ and call the result $z$. The kernel is then a standard normal density times $e^{\kappa z^3}$, times a constant, with
#
# $$
# \kappa = \tfrac16\,h_3\,(\beta/\alpha)^{3/2} \approx \tfrac16\,h_3\,\beta^{3/2} ,
# $$
#
# where we left out what is of higher order in $\beta$. (We will find a gap of the size $\kappa^2$, that is $\beta^3$. The next term of the series has the size $\beta^2$, and yet we may drop it: the gap is quadratic in what is added to the bell, so this term adds $\beta^4$. Far out $e^{\kappa z^3}$ would win over the bell; there the expansion has long ended, and the true kernel is negligible.) We keep terms up to $\kappa^2$. Write $\langle\cdot\rangle$ for averages over a standard normal number; its even moments are $\langle z^2\rangle = 1$, $\langle z^4\rangle = 3$, $\langle z^6\rangle = 15$, $\langle z^8\rangle = 105$, its odd ones zero. Up to $\kappa^2$, $e^{\kappa z^3} = 1 + \kappa z^3 + \tfrac12\kappa^2 z^6$. So the constant that makes the density integrate to one is $1/Z$ with
#
# $$
# Z = 1 + \tfrac{15}2\kappa^2, \qquad \log Z = \tfrac{15}{2}\kappa^2 ,
# $$
#
# and the averages under the kernel are, to the same order,
#
# $$
# \begin{aligned}
# \mathbb E[z] &= \bigl(\langle z\rangle + \kappa\langle z^4\rangle + \tfrac12\kappa^2\langle z^7\rangle\bigr)/Z = 3\kappa,\\
# \mathbb E[z^3] &= \bigl(\langle z^3\rangle + \kappa\langle z^6\rangle + \tfrac12\kappa^2\langle z^9\rangle\bigr)/Z = 15\kappa,\\
# \mathbb E[z^2] &= \bigl(\langle z^2\rangle + \kappa\langle z^5\rangle + \tfrac12\kappa^2\langle z^8\rangle\bigr)/Z\\
# &= \bigl(1 + \tfrac{105}{2}\kappa^2\bigr)\bigl(1 - \tfrac{15}2\kappa^2\bigr) = 1 + 45\kappa^2 .
# \end{aligned}
# $$
#
# The variance is therefore $V = 1 + 45\kappa^2 - 9\kappa^2 = 1 + 36\kappa^2$. Now insert all of it into {eq}`eq:gaussian-gap`, with $\log q = -\tfrac12\log 2\pi - \tfrac12 z^2 + \kappa z^3 - \log Z$. The $\log 2\pi$ cancel, and $\log V = 36\kappa^2$ to this order:
#
# $$
# \begin{aligned}
# &\mathrm{KL}(q\,\|\,b)\\
# &\quad= \tfrac12\log(2\pi e V) + \mathbb E[\log q]\\
# &\quad= \tfrac12 + \tfrac12\log V - \tfrac12\mathbb E[z^2] + \kappa\,\mathbb E[z^3] - \log Z\\
# &\quad= \tfrac12 + 18\kappa^2 - \tfrac12 - \tfrac{45}{2}\kappa^2 + 15\kappa^2 - \tfrac{15}{2}\kappa^2\\
# &\quad= 3\kappa^2 .
# \end{aligned}
# $$ (eq:cubic-gap)

# %% tags=["claim"]
z, k = sp.symbols("z kappa", real=True)
normal = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)


def to_second_order(f):
    """The average of f over the kernel, up to kappa^2."""
    tilt = 1 + k * z**3 + k**2 * z**6 / 2
    total, part = (
        sp.integrate(sp.expand(g * tilt) * normal, (z, -sp.oo, sp.oo))
        for g in (sp.Integer(1), f)
    )
    return sp.series(part / total, k, 0, 3).removeO()


Z = 1 + sp.Rational(15, 2) * k**2
V = to_second_order(z**2) - to_second_order(z) ** 2
log_q = -(z**2) / 2 + k * z**3 - sp.series(sp.log(Z), k, 0, 3).removeO()
cost = sp.Rational(1, 2) + sp.log(V) / 2 + to_second_order(log_q)
claim(
    "eq:cubic-gap",
    got=sp.expand(sp.series(cost, k, 0, 3).removeO()),
    want=3 * k**2,
    rejects={
        "the mean not moved along": sp.Rational(15, 2) * k**2,
        r"$\log Z$ forgotten": sp.Rational(21, 2) * k**2,
    },
)

# %% [markdown]
# Insert $\kappa$: $3\kappa^2 = \tfrac{3}{36}\,h_3^2\,\beta^3$, so to leading order
#
# $$
# \mathrm{KL}(q\,\|\,b) \approx \frac{\beta^3}{12}\,\Bigl(\frac{d^3}{dx^3}\log q\Bigr)^2 .
# $$ (eq:cubic-rate)
#
# Half the step, an eighth of the gap. At this order it does not matter whether we take the derivative at time $u$ in $c$ or at time $t$ in $x_t$; the code takes the latter. Where the third derivative vanishes, as it does for our data at $x_t = 0$ by symmetry, the next term of the series decides, and the gap closes with $\beta^4$. The claim divides the integral by the law, at $\beta = 0.001$ and four $x_t$, and allows two percent for the orders that we dropped.

# %% tags=["claim"]
places = torch.tensor([-0.7, 0.3, 0.5, 1.0])
small = torch.tensor(1e-3)
a_t = alpha_bar[300]
third = log_density_derivatives(places, a_t)[2]
law = small**3 * third**2 / 12
claim(
    "eq:cubic-rate",
    got=gap(*reverse(places, a_t, a_t / (1 - small)), points=2001)
    / law,
    want=torch.ones(4),
    atol=0.02,
    rejects={
        "$β²$": law / small / law,
        "the mean not moved along": 2.5 * torch.ones(4),
        "the third derivative not squared": third.abs() / third**2,
    },
)

# %% [markdown]
# The next cell halves the step again and again. Two columns are the gap of the best Gaussian at $x_t = 0$ and at 0.5; the last is the divergence from a Gaussian with the right mean but with the variance $\beta$, at 0.5. The order is the power of $\beta$ that the last two rows follow.

# %% tags=["nbval-check-output"]
steps = 0.2 / 2 ** torch.arange(6)
where = torch.tensor([0.0, 0.5])
gaps, fixed = [], []
print("   beta   best, 0 best, 0.5 beta, 0.5")
for step in steps:
    kernel = reverse(where, a_t, a_t / (1 - step))
    gaps.append(gap(*kernel))
    fixed.append(gaps[-1] + kl_gaussians(moments(*kernel)[1] / step))
    print(
        "{:.5f}   {:.1e}   {:.1e}   {:.1e}".format(
            step, *gaps[-1], fixed[-1][1]
        )
    )
gaps, fixed = torch.stack(gaps), torch.stack(fixed)
orders = torch.log2(torch.cat([gaps, fixed[:, 1:]], 1)[-2:])
print(
    "order        {:.2f}      {:.2f}      {:.2f}".format(
        *(orders[0] - orders[1])
    )
)

# %% tags=["figure"] mystnb={"image": {"alt": "A log-log plot of KL against beta from 0.006 to 0.2, three nearly straight lines. The steepest, the best Gaussian at x_t = 0, falls from 3e-4 to 1e-10 with slope 4. The best Gaussian at x_t = 0.5 falls from 8e-4 to 1e-8 with slope 3. The Gaussian of variance beta at x_t = 0.5 falls from 1e-3 to 4e-7 with slope 2."}, "figure": {"name": "fig-orders", "caption": "The divergence of the true kernel from a Gaussian, against the variance of the step, at $t = 300$. Best Gaussian: order 3 in general, 4 at the point of symmetry. A variance that is fixed at $\\beta$ costs more: order 2."}}
fig, ax = plt.subplots(figsize=(5.6, 3.3))
for values, look in [
    (fixed[:, 1], {"color": GRAY, "ls": ":", "marker": "s"}),
    (gaps[:, 1], {"color": MODEL, "ls": "-", "marker": "o"}),
    (gaps[:, 0], {"color": MODEL, "ls": "--", "marker": "^"}),
]:
    ax.loglog(steps, values, **look, ms=4)
ax.legend(
    [
        r"variance $\beta$, $x_t = 0.5$",
        "best, $x_t = 0.5$",
        "best, $x_t = 0$",
    ]
)
ax.set(xlabel=r"$\beta$", ylabel="KL in nats")
plt.show()

# %% [markdown]
# Why order 2 in the last column? By {eq}`eq:best-gaussian` and {eq}`eq:kl-1d`, with $\rho = \operatorname{Var}[x_u \mid x_t]/\beta$, the Gaussian of variance $\beta$ costs $\tfrac12(\rho - 1 - \log\rho)$ more than the best. For $\rho$ near 1, $\log\rho \approx (\rho - 1) - \tfrac12(\rho - 1)^2$, and what remains is $\tfrac14(\rho - 1)^2$. By {eq}`eq:same-variance`, $\rho - 1$ is of the size of $\beta$. So a fixed variance costs an amount of order $\beta^2$, which for small steps is much more than the missing shape.
#
# ## Why a thousand steps
#
# Make the steps shorter, and you need more of them. Is anything won? With the total noise fixed, $T$ steps have a $\beta$ of the size of $1/T$. With the best Gaussian each costs about $\beta^3$, so all of them together cost about $T \cdot T^{-3} = T^{-2}$. With the variance fixed at $\beta$ it is $T \cdot T^{-2} = T^{-1}$. Either way the sum falls.
#
# We measure it. From the schedule of a thousand steps take every second time, every fourth, and so on; {eq}`def:step-beta` is a step from one to the next. For each step average the divergence over $x_t$, because the sampler will be at a random place, and add up over all steps. The mean is always the true one; chapter 9 will measure what a learned mean adds. The variance is the true one in the first column, $\beta$ in the second, and $\tilde\beta$ in the third. There we leave out the last step, because $\tilde\beta$ is zero for $u = 0$ and the divergence infinite.


# %% tags=["nbval-check-output"]
def total(T):
    """Sum over T steps of the average KL: best variance, beta, and
    beta_tilde, the latter without the last step."""
    times = torch.linspace(0, 1000, T + 1).round().long().tolist()
    x = torch.linspace(-4.5, 4.5, 121)
    sums = torch.zeros(3)
    for u, t in pairwise(times):
        a_t, a_u = alpha_bar[t], alpha_bar[u]
        share = density(x, w, *noised(t)) * (x[1] - x[0])
        kernel = reverse(x, a_t, a_u)
        shape, var = gap(*kernel, points=161), moments(*kernel)[1]
        beta = 1 - a_t / a_u
        beta_tilde = beta * (1 - a_u) / (1 - a_t)
        sums[0] += share @ shape
        sums[1] += share @ (shape + kl_gaussians(var / beta))
        if u > 0:
            sums[2] += share @ (shape + kl_gaussians(var / beta_tilde))
    return sums


lines = ["   T best variance    beta beta_tilde"]
for steps_ in (1, 2, 4, 8, 16, 32, 63, 125, 250, 500, 1000):
    best_, upper, lower = total(steps_)
    lines.append(
        f"{steps_:>4} {best_:>13.6f} {upper:>7.4f} {lower:>10.3f}"
    )
print("\n".join(lines))

# %% [markdown]
# Towards the end of the table each doubling divides the first column by nearly four and the second by two, as the orders say. At $T = 1000$ the best Gaussians together miss $6 \cdot 10^{-5}$ nats, and those with variance $\beta_t$ miss 0.008. With four steps even the best miss 0.7 nats.
#
# The third column does not fall like that; we come to it below. First look at what these numbers mean for samples: start at $\mathcal N(0, 1)$ and walk back with $T$ of the best Gaussians.


# %% tags=["figure"] mystnb={"image": {"alt": "Three histograms of samples, each with the true density of two narrow humps at minus 1 and 1 as a line. With 4 steps the samples miss the humps and many lie between them. With 8 steps there are two humps, a little too low, with samples left between them. With 125 steps the histogram fills the two humps of the line."}, "figure": {"name": "fig-steps", "caption": "Twenty thousand samples made by $T$ Gaussian steps, each with exactly the right mean and variance (bars), and the density of the data (line). Only the Gaussian shape is wrong, and with few steps that is enough to miss the humps."}}
def walk(T, n=20_000):
    """n samples from T steps of the best Gaussian."""
    times = torch.linspace(1000, 0, T + 1).round().long().tolist()
    x = torch.randn(n)
    for t, u in pairwise(times):
        mean, var, _ = moments(*reverse(x, alpha_bar[t], alpha_bar[u]))
        x = mean + var.sqrt() * torch.randn(n)
    return x


fig, panels = plt.subplots(1, 3, figsize=(6.4, 2.3), sharey=True)
for ax, steps_ in zip(panels, (4, 8, 125), strict=True):
    ax.hist(
        walk(steps_).numpy(),
        bins=80,
        range=(-3, 3),
        density=True,
        color=MODEL,
    )
    ax.plot(y, data, color=DATA, ls="-")
    ax.set(title=f"$T = {steps_}$", xlabel="$x_0$", xlim=(-3, 3))
panels[0].set_ylabel("density")
plt.show()

# %% [markdown]
# ## The model
#
# Now we can say what we are going to train, and know what it leaves out. The letter $p$ stands for the model, and $\theta$ for all the numbers in it that are learned. Given $x_t$, the model draws $x_{t-1}$ from a Gaussian, with a mean $\mu_\theta(x_t, t)$ that a network computes and with a variance $\sigma_t^2$ that is the same for all pixels and for all $x_t$ and is chosen before the training:
#
# $$
# p_\theta(x_{t-1} \mid x_t) = \mathcal N\bigl(x_{t-1};\ \mu_\theta(x_t, t),\ \sigma_t^2 I\bigr) .
# $$ (def:model-step)
#
# By {eq}`eq:best-gaussian` the mean that it should learn is the true one, $\mathbb E[x_{t-1} \mid x_t]$, whatever $\sigma_t^2$ is. What should $\sigma_t^2$ be? {cite:t}`ho2020` name two candidates, and each is exactly right for one kind of data.
#
# Suppose that $x_0 \sim \mathcal N(0, 1)$. This is a mixture with a single component of mean 0 and width 1, so $v_{1,t} = \bar\alpha_t + 1 - \bar\alpha_t = 1$ at every $t$, and {eq}`eq:hump-variance` gives
#
# $$
# \operatorname{Var}[x_{t-1} \mid x_t] = \frac{v_{1,t-1}}{v_{1,t}}\,\beta_t = \beta_t .
# $$ (eq:sigma-upper)
#
# Suppose that the data are a single point $m_1$, and we know it. The width is 0, so $v_{1,t} = 1 - \bar\alpha_t$, and {eq}`eq:hump-variance` gives the variance {eq}`eq:beta-tilde`, since nothing is left to be unsure about in $x_0$:
#
# $$
# \operatorname{Var}[x_{t-1} \mid x_t] = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t = \tilde\beta_t .
# $$ (eq:sigma-lower)
#
# The first claim is about samples: draw standard normal $x_0$, walk to $x_{99}$ and $x_{100}$, fit the best line through the pairs, and take the variance around that line. The second asks the library, for every $t$ at once.

# %% tags=["claim"]
n = 1_000_000
x_99 = alpha_bar[99].sqrt() * torch.randn(n)
x_99 = x_99 + (1 - alpha_bar[99]).sqrt() * torch.randn(n)
x_100 = (1 - beta_t[100]).sqrt() * x_99
x_100 = x_100 + beta_t[100].sqrt() * torch.randn(n)
fit = (x_99 * x_100).mean() / x_100.square().mean()
claim(
    "eq:sigma-upper",
    got=variance(x_99 - fit * x_100),
    want=beta_t[100],
    rejects={
        "$β̃$": schedule.beta_tilde[100],
        "$√β$": beta_t[100].sqrt(),
    },
)

every_t = torch.arange(2, T + 1)
point = exact.isotropic(torch.ones(1), torch.tensor([[0.7]]), 0.0)
claim(
    "eq:sigma-lower",
    got=exact.reverse(
        schedule, point, 0.1 * torch.ones(T - 1, 1), every_t
    ).variances.flatten(),
    want=beta_t[2:] * (1 - alpha_bar[1:-1]) / (1 - alpha_bar[2:]),
    rejects={
        "$β$": beta_t[2:],
        "$α$ without the bar": beta_t[1:-1],
        "the fraction upside down": beta_t[2:]
        * (1 - alpha_bar[2:])
        / (1 - alpha_bar[1:-1]),
    },
)

# %% [markdown]
# ## Between the two?
#
# The two choices are called the upper and the lower bound, and it is worth being exact about what is bounded.
#
# *From below.* By {eq}`eq:reverse-variance`, $\operatorname{Var}[x_{t-1} \mid x_t]$ is $\tilde\beta_t$ plus something that is not negative. So $\tilde\beta_t$ is a lower bound for every data distribution and at every single $x_t$.
#
# *From above.* Here we must average. Suppose the data have mean 0, and write $V_u$ for the variance of $x_u$. The mean $\mathbb E[x_u \mid x_t]$ is the best prediction of $x_u$, in the sense of the squared error, and $\operatorname{Var}[x_u \mid x_t]$ is what it misses. Any other prediction does no better on average. Take $\sqrt\alpha\,x_t$, insert the step, and collect:
#
# $$
# \begin{aligned}
# x_u - \sqrt\alpha\,x_t &= x_u - \sqrt\alpha\,\bigl(\sqrt\alpha\,x_u + \sqrt\beta\,\epsilon\bigr)\\
# &= (1 - \alpha)\,x_u - \sqrt{\alpha\beta}\;\epsilon\\
# &= \beta\,x_u - \sqrt{\alpha\beta}\;\epsilon .
# \end{aligned}
# $$
#
# The two terms are independent and have mean 0. So the mean square is the sum of two variances, and we take out $\beta$:
#
# $$
# \begin{aligned}
# \mathbb E\bigl[\operatorname{Var}[x_u \mid x_t]\bigr] &\le \mathbb E\bigl[(x_u - \sqrt\alpha\,x_t)^2\bigr]\\
# &= \beta^2\,V_u + \alpha\beta\\
# &= \beta\,(\alpha + \beta V_u) .
# \end{aligned}
# $$ (eq:sigma-bound)
#
# For data of variance 1 all $V_u$ are 1, the bracket is $\alpha + \beta = 1$, and the bound is $\beta$. For data of smaller variance it is smaller still. (A mean other than 0 changes nothing: predict with $x_t$ minus its mean, and add the mean of $x_u$.) The claim takes the two million pairs from the beginning, whose $x_0$ has the variance $1 + 0.2^2 = 1.04$, and checks the mean square; how far the left side is below it, a table will show.

# %% tags=["claim"]
V_u = 1 + alpha_bar[u] * (1.04 - 1)
claim(
    "eq:sigma-bound",
    got=mean((x_u - alpha.sqrt() * x_t) ** 2),
    want=beta * (alpha + beta * V_u),
    rejects={
        "$β$, as for data of variance 1": beta,
        "$x_t$ for $√α x_t$": beta + (1 - alpha.sqrt()) ** 2 * V_u,
        "the two terms not independent": (
            beta * V_u.sqrt() - (alpha * beta).sqrt()
        )
        ** 2,
    },
)

# %% [markdown]
# {cite:t}`sohldickstein2015` and {cite:t}`ho2020` state the bounds for the entropy, and we have all the parts. Let $H(x_u \mid x_t)$ be the entropy of the kernel, averaged over $x_t$. By {eq}`eq:gaussian-gap` it is at most the average of $\tfrac12\log(2\pi e \operatorname{Var}[x_u \mid x_t])$. The logarithm bends downwards, so its average is at most the logarithm of the average, and {eq}`eq:sigma-bound` bounds that. From below: if $x_0$ is known in addition, the kernel is a Gaussian of variance $\tilde\beta_t$, and knowing more can only lower an entropy on average. (The difference is a mutual information, as in {eq}`eq:prior-split`, and not negative.) So for data of variance 1
#
# $$
# \tfrac12\log(2\pi e\tilde\beta_t) \le H(x_{t-1} \mid x_t) \le \tfrac12\log(2\pi e\beta_t) .
# $$
#
# Nothing here says that the variance at *one* $x_t$ is at most $\beta_t$. By {eq}`eq:reverse-width` it is more wherever $(\log q)'' > -1$. The table gives variances of single steps, all divided by $\beta_t$: first $\tilde\beta_t$, then of the true variance the least over $x_t$, the average, and the greatest.

# %% tags=["nbval-check-output"]
x = torch.linspace(-4, 4, 801)
print("   t  tilde  least  average  greatest")
for t_ in (2, 10, 32, 100, 300, 1000):
    kernel = reverse(x, alpha_bar[t_], alpha_bar[t_ - 1])
    ratio = moments(*kernel)[1] / beta_t[t_]
    share = density(x, w, *noised(t_)) * (x[1] - x[0])
    print(
        f"{t_:>4}  {schedule.beta_tilde[t_] / beta_t[t_]:.3f}"
        f"  {ratio.min():.3f}  {share @ ratio:>7.3f}"
        f"  {ratio.max():>8.3f}"
    )

tables = torch.stack(
    [
        moments(*reverse(x, alpha_bar[k], alpha_bar[k - 1]))[1]
        / beta_t[k]
        for k in range(2, T + 1)
    ]
)
top = tables.max(1).values.argmax()
print(f"greatest of all: {tables.max():.3f}")
print(f"at t = {top + 2}, x_t = {x[tables[top].argmax()].abs():.0f}")

# %% [markdown]
# At $t = 32$ and $x_t = 0$, between the humps, the true variance is 1.24 times $\beta_t$. No value of $\sigma_t^2$ between the two bounds is right there. It costs little, because hardly any $x_t$ lies there: the average stays just below 1.
#
# The same table explains the third column of the sum. At $t = 2$ the lower bound $\tilde\beta_t$ is less than half of $\beta_t$, and the truth is close to $\beta_t$. Our data have a width of 0.2, and the noise of two steps is far narrower. Seen from $x_2$ the hump is nearly flat, and $x_2$ leaves $x_0$ as much in doubt as if there were no hump at all. A model that answers with $\tilde\beta_t$ is much too sure of itself in the last few steps. The next cell sums those up.

# %% tags=["nbval-check-output"]
x, parts = torch.linspace(-4.5, 4.5, 121), []
for t_ in range(2, T + 1):
    share = density(x, w, *noised(t_)) * (x[1] - x[0])
    kernel = reverse(x, alpha_bar[t_], alpha_bar[t_ - 1])
    ratio = moments(*kernel)[1] / schedule.beta_tilde[t_]
    parts.append(share @ kl_gaussians(ratio))
parts = torch.stack(parts)
print(f"beta_tilde, t = 2..1000: {parts.sum():.3f} nats")
print(f"of these, t = 2..10:     {parts[:9].sum():.3f} nats")
print(f"standard deviation of step 10: {beta_t[10].sqrt():.3f}")

# %% [markdown]
# Nearly nine tenths of the cost sit in nine steps, whose noise has a standard deviation below 0.02. So the choice matters for the likelihood. In the samples it can hardly be seen: with $\beta_t$ chapter 4 found the hump 0.201 wide, with $\tilde\beta_t$ 0.196, and in the data it is 0.2. {cite:t}`nichol2021` let the network interpolate between the logarithms of the two bounds, to improve the likelihood.
#
# ## Many pixels
#
# For a picture of $d$ pixels every line above has its twin. The law {eq}`eq:reverse-variance` becomes one for covariance matrices, $\tilde\beta I + c_0^2 \operatorname{Cov}[x_0 \mid x_t]$, and {eq}`eq:reverse-width` becomes $\tfrac\beta\alpha(I + \beta\,\nabla^2 \log q(x_t))$, with the matrix of second derivatives. The model {eq}`def:model-step` answers with $\sigma_t^2 I$: each pixel gets its own independent noise, and all get the same amount. To leading order this is right, since the covariance is $\beta I$ plus something of order $\beta^2$, and that is one more reason for short steps. For a long way back it is not: what is left to decide, a whole stroke, concerns many pixels together.
#
# If it must be a multiple of $I$, which one? Let $\Sigma$ be the true covariance, with the eigenvalues $\lambda_1, \dots, \lambda_d$. By {eq}`eq:best-gaussian`, in $d$ dimensions, we minimize the divergence of two Gaussians with the same mean. Along the eigenvectors it is a sum of one-dimensional ones {eq}`eq:kl-1d`:
#
# $$
# \begin{aligned}
# &\mathrm{KL}\bigl(\mathcal N(\mu, \Sigma)\,\big\|\,\mathcal N(\mu, \sigma^2 I)\bigr)\\
# &\quad= \sum_{i=1}^{d} \tfrac12\Bigl(\frac{\lambda_i}{\sigma^2} - 1 - \log\frac{\lambda_i}{\sigma^2}\Bigr) .
# \end{aligned}
# $$
#
# Its derivative with respect to $\sigma^2$ is $\tfrac12\sum_i(-\lambda_i/\sigma^4 + 1/\sigma^2)$. Set it to zero, and multiply by $2\sigma^4$, which leaves $d\,\sigma^2 = \sum_i \lambda_i$; the sum of the eigenvalues is the trace:
#
# $$
# \sigma^2 = \frac1d \sum_{i=1}^d \lambda_i = \frac1d\operatorname{tr}\Sigma .
# $$ (eq:isotropic)

# %% tags=["claim"]
l1, l2, l3, s2 = sp.symbols("lambda_1:4 sigma2", positive=True)
spectrum = (l1, l2, l3)
cost = sum((x / s2 - 1 - sp.log(x / s2)) / 2 for x in spectrum)
[solution] = sp.solve(sp.diff(cost, s2), s2)
claim(
    "eq:isotropic",
    got=solution,
    want=sum(spectrum) / 3,
    rejects={
        r"the geometric mean, $\det Σ$": (l1 * l2 * l3)
        ** sp.Rational(1, 3),
        "the harmonic mean, KL reversed": 3
        / sum(1 / x for x in spectrum),
        "standard deviations averaged": (
            sum(sp.sqrt(x) for x in spectrum) / 3
        )
        ** 2,
    },
)

# %% [markdown]
# ## Where tutorials go wrong
#
# The slips of this chapter are slips of a bar: what stands to its right. The cell computes what they cost, and walks back a thousand steps with the exact score of the mixture, once with the right mean and with three wrong ones.


# %% tags=["nbval-check-output"]
kernel = reverse(zero, alpha_bar[600], alpha_bar[100])
_, second, kurtosis = moments(*kernel)
of_x_0_known = two_parts(600, 100, torch.zeros(()))[1]
print(f"600 → 100: kurtosis {kurtosis.item():.2f}", end=", ")
print(f"variance {second.item():.3f}")
print(f"variance with x_0 known {of_x_0_known:.3f}")

one = torch.ones(1)
weights, means, _ = reverse(one, alpha_bar[300], alpha_bar[100])
print(f"x_300 = 1: right hump {weights[0, 1]:.2f}", end=", ")
print(f"mean {(weights * means).sum():.2f}")
print(f"with prior weights the mean is {(w * means).sum():.2f}")


def walk_back(mean, n=4000):
    x = torch.randn(n, 1)
    for t in range(T, 0, -1):
        score = exact.score(exact.noised(schedule, mixture, t), x)
        noise = beta_t[t].sqrt() * torch.randn(n, 1) if t > 1 else 0
        x = mean(x, score, t) + noise
    return x


lines, alpha_t = ["               std  mean of |x|"], schedule.alpha
for name, rule in {
    "right": lambda x, g, t: (x + beta_t[t] * g) / alpha_t[t].sqrt(),
    "no √α": lambda x, g, t: x + beta_t[t] * g,
    "no score": lambda x, g, t: x / alpha_t[t].sqrt(),
    "sign": lambda x, g, t: (x - beta_t[t] * g) / alpha_t[t].sqrt(),
}.items():
    x = walk_back(rule)
    size = x.abs().mean()
    lines.append(f"{name:>8}  {x.std():>8.3g}  {size:>11.3g}")
print("\n".join(lines))

# %% [markdown]
# *One bar, two conditions.* A lab report and a derivation note, two of the texts that this course grew from, derive $\tilde\mu$ and $\tilde\beta$ and then call the result $q(x_{t-1} \mid x_t)$. It is $q(x_{t-1} \mid x_t, x_0)$. For one step the difference is small. For the way from 600 to 100 the true variance is 1.03 and the one with $x_0$ known is 0.10: the term $c_0^2 \operatorname{Var}[x_0 \mid x_t]$ of {eq}`eq:reverse-variance` is missing, which is nine tenths of it. Whoever skips times with this formula and a guessed $x_0$ gets steps that are far too sure of themselves. {eq}`eq:reverse-variance` rejects it.
#
# *The reverse of a Gaussian step is Gaussian.* It is stated as a fact, sometimes with Bayes' rule as the reason. It is true if $x_u$ is Gaussian itself, and it becomes true as $\beta \to 0$. In between it is false: the kernel from 600 to 100 has the kurtosis 1.50, half of a Gaussian's 3. {eq}`eq:reverse-mixture` rejects the single Gaussian.
#
# *The old weights.* A mixture goes back to a mixture, and it is tempting to keep the weights $w_k$. But $x_t$ tells which hump is likely. At $x_{300} = 1$ the right hump has 0.88 of the weight; with the prior weights, the mean of $x_{100}$ comes out as 0.15 instead of 0.80.
#
# *The noise subtracted again.* Solving $x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t$ for $x_{t-1}$, with a fresh draw for $\epsilon_t$, gives a step back without the score. It treats $x_t$ as independent of the noise that is in it. The samples end with a standard deviation above 200, where the data have 1.02.
#
# *The sign of the score.* The score points uphill, and the step back goes uphill. With the other sign the walk runs away: the standard deviation ends near $10^8$, and a picture would be clipped to black and white.
#
# *No $\sqrt{\alpha_t}$.* This is the quiet one. Without the division, the standard deviation of the samples is 0.96 instead of 1.02, and the humps stand near $\pm 0.94$ instead of $\pm 1$. At the last steps the score is strong and makes up for most of the slip. No picture would betray it. {eq}`eq:reverse-mean` rejects it.
#
# *"$\beta_t$ is the upper bound."* Yes, for the average over $x_t$ and for data of variance 1. At a single $x_t$ the true variance is up to 1.24 times $\beta_t$, as the table showed. And the lower bound is no safe choice either: the steps from $t = 1000$ to 2 with $\tilde\beta_t$ together cost 0.44 nats, all steps with $\beta_t$ 0.008.
#
# ## Exercises
#
# :::{exercise} Two points
# :label: ex-two-points
#
# With pencil and calculator. Let the humps be points: $x_0$ is $-1$ or $1$ with probability $\tfrac12$ each, width 0. You stand at $x_{300} = 0$. What is the variance of $x_{100}$? You may use $\bar\alpha_{100} = 0.8970$ and $\bar\alpha_{300} = 0.3964$. First say what $\operatorname{Var}[x_0 \mid x_{300} = 0]$ is.
# :::

# %%
from ddpm_lib.course.checks import reverse as check

doubt_about_x_0 = ...
variance_of_x_100 = ...
check.two_points(doubt_about_x_0, variance_of_x_100)

# %% [markdown]
# :::{solution-start} ex-two-points
# :class: dropdown
# :::
#
# By symmetry both points are equally probable at $x_{300} = 0$, so $x_0$ is $\pm 1$ with probability $\tfrac12$ and has the variance 1. With $\alpha = 0.3964/0.8970 = 0.4419$ we have $\beta = 0.5581$. Then $\tilde\beta = 0.5581 \cdot 0.1030/0.6036 = 0.0952$ and $c_0 = \sqrt{0.8970}\cdot 0.5581/0.6036 = 0.8757$. Together $0.0952 + 0.8757^2 = 0.862$. Nearly all of it is doubt about which point it was.

# %% tags=["solution", "nbval-check-output"]
beta_ = 1 - alpha_bar[300] / alpha_bar[100]
c_0 = alpha_bar[100].sqrt() * beta_ / (1 - alpha_bar[300])
own = beta_ * (1 - alpha_bar[100]) / (1 - alpha_bar[300])
check.two_points(1.0, own + c_0**2)
print(f"alpha_bar {alpha_bar[100]:.4f}, {alpha_bar[300]:.4f}")
print(f"beta {beta_:.4f}, beta_tilde {own:.4f}")
print(f"c_0 {c_0:.4f}, sum {own + c_0**2:.3f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} What a noisy pixel says
# :label: ex-responsible
#
# Write the responsibilities $w_k(x_t)$ as a function, for any weights, means and widths. It gets $\bar\alpha_t$ as `a_t`. Before you run it: which hump does a point far away to the right belong to, if one hump is wide and the other narrow?
# :::


# %%
def responsibilities(x_t, a_t, w, m, width):
    """x_t: (N,), w, m, width: (K,)  ->  (N, K)"""
    return ...


check.responsibilities(responsibilities)

# %% [markdown]
# :::{solution-start} ex-responsible
# :class: dropdown
# :::
#
# Prior weight times density, divided by the sum. The variance of hump $k$ at time $t$ is $\bar\alpha_t\varsigma_k^2 + 1 - \bar\alpha_t$, and it stands in the exponent and in the factor before it. Far away the wide hump wins, even if its mean is on the other side: its tail falls more slowly.


# %% tags=["solution"]
def responsibilities(x_t, a_t, w, m, width):
    """x_t: (N,), w, m, width: (K,)  ->  (N, K)"""
    v_t = a_t * width**2 + 1 - a_t
    parts = w * bell(x_t[:, None], a_t.sqrt() * m, v_t)
    return parts / parts.sum(1, keepdim=True)


check.responsibilities(responsibilities)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} In the valley
# :label: ex-valley
#
# With pencil. Two humps of equal weight stand at $-m$ and $m$, with widths $\varsigma$ such that $m^2 + \varsigma^2 = 1$: data of variance 1. Find $\frac{d^2}{dx_t^2}\log q(x_t)$ at $x_t = 0$ and write it as a function of $\bar\alpha_t$ and $\varsigma$. Then show that the true variance of a step back from $x_t = 0$ is larger than $\beta$, at every $t$ and for every step length.
# :::


# %%
def curvature_in_the_valley(a_t, width):
    return ...


check.valley(curvature_in_the_valley)

# %% [markdown]
# :::{solution-start} ex-valley
# :class: dropdown
# :::
#
# Write $M = \sqrt{\bar\alpha_t}\,m$ and $v = \bar\alpha_t\varsigma^2 + 1 - \bar\alpha_t$. The sum of the two bells is proportional to $e^{-x^2/2v}\,(e^{Mx/v} + e^{-Mx/v})$, hence $\log q(x) = -x^2/(2v) + \log\cosh(Mx/v)$ plus a constant. The second derivative of $\log\cosh(rx)$ is $r^2/\cosh^2(rx)$, at 0 it is $r^2$. So the curvature is $-1/v + M^2/v^2 = -1/v + \bar\alpha_t m^2/v^2$.
#
# With $m^2 = 1 - \varsigma^2$ we have $\bar\alpha_t m^2 = \bar\alpha_t - \bar\alpha_t\varsigma^2 = 1 - v$. So the curvature is $-1/v + (1 - v)/v^2 = (1 - 2v)/v^2$. Compare with $-1$: add 1, and get $(1 - 2v + v^2)/v^2 = (1 - v)^2/v^2$, which is positive. So $(\log q)'' > -1$, and by {eq}`eq:reverse-width` the variance is larger than $\beta$. In the valley it always is.


# %% tags=["solution"]
def curvature_in_the_valley(a_t, width):
    v = a_t * width**2 + 1 - a_t
    return (1 - 2 * v) / v**2


check.valley(curvature_in_the_valley)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A budget of steps
# :label: ex-budget
#
# Somebody wants the sum of the divergences to be one millionth of a nat. Predict from the last row of the table of sums how many steps that takes with the best variance, and how many with $\sigma_t^2 = \beta_t$.
# :::

# %%
steps_with_best_variance = ...
steps_with_variance_beta = ...
check.budget(steps_with_best_variance, steps_with_variance_beta)

# %% [markdown]
# :::{solution-start} ex-budget
# :class: dropdown
# :::
#
# The first sum falls like $T^{-2}$. It must fall by the factor 61, so $T$ must grow by $\sqrt{61}$, from 1000 to about 7800. The second falls like $T^{-1}$ and must fall by the factor 7900, so it takes about 7.9 million steps. It is the variance that is expensive to get wrong, not the shape. A network that also predicts the variance {cite:p}`nichol2021` can save most of these steps.

# %% tags=["solution"]
check.budget(1000 * (6.1e-5 / 1e-6) ** 0.5, 1000 * 0.0079 / 1e-6)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: the true step back
# :class: card
#
# For a step from $t$ back to $u$, with $\alpha = \bar\alpha_t/\bar\alpha_u$ and $\beta = 1 - \alpha$, and with $x_0$ unknown:
#
# $$
# \begin{aligned}
# \text{Bayes} \quad & q(x_u \mid x_t) = q(x_t \mid x_u)\,q(x_u)/q(x_t)\\
# \text{mean} \quad & \bigl(x_t + \beta\,(\log q(x_t))'\bigr)/\sqrt\alpha\\
# \text{variance} \quad & \tilde\beta + c_0^2\operatorname{Var}[x_0 \mid x_t] = \tfrac\beta\alpha\bigl(1 + \beta\,(\log q(x_t))''\bigr) = \beta + O(\beta^2)\\
# \text{gap of the best Gaussian} \quad & \beta^3\,\bigl((\log q)'''\bigr)^2/12 + \dots\\
# \text{model} \quad & p_\theta(x_{t-1} \mid x_t) = \mathcal N\bigl(\mu_\theta(x_t, t),\ \sigma_t^2 I\bigr)
# \end{aligned}
# $$
#
# The best Gaussian has the mean and the variance of the truth. $\sigma_t^2 = \tilde\beta_t$ is right for a known point and a lower bound always; $\sigma_t^2 = \beta_t$ is right for $\mathcal N(0, I)$ and an upper bound on average, for data of variance 1.
# :::
#
# We have a model with a hole in it, $\mu_\theta$, and a measure of how wrong each step is; chapter 6 finds the sum of these measures in a bound on $-\log p_\theta(x_0)$ that can be computed, and so be made small by training.
