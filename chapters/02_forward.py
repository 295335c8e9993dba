# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # The forward process
#
# Take a picture, shrink its values a little, add a little noise, and repeat a thousand times. What is left is noise that has forgotten the picture. A diffusion model learns to run this film backwards, so before anything can be learned we must know the forward film exactly. This chapter asks two questions. By how much should each step shrink the picture? And what does the picture look like after $t$ steps, if we do not want to wait for the $t - 1$ steps before?
#
# :::{admonition} At a glance
# :class: glance
#
# 30 minutes to read, a few seconds to run on a laptop's CPU. You need the mean and variance of a random variable, and the normal distribution $\mathcal N(\mu, \sigma^2)$.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Three handwritten digits, a 0, a 3 and a 7, each shown at seven times from left to right. At t = 0 they are clean. At t = 50 they look grainy, at t = 200 they are still readable, at t = 400 only a hint of the strokes remains, and from t = 600 on nothing but noise is visible."}, "figure": {"name": "fig-film", "caption": "The forward process on three digits of 8×8 pixels. Each row is one picture $x_0$ and what becomes of it after $t$ steps; all pictures share one gray scale."}}
import torch

from ddpm_lib.data import digits, scale
from ddpm_lib.diffusion import noise
from ddpm_lib.plotting import DATA, GRAY, NOISE, grid, style
from ddpm_lib.schedules import linear

style()
torch.manual_seed(0)
x_0 = scale(digits().pixels).double()  # (1797, 1, 8, 8), -1 to 1
times = [0, 50, 100, 200, 400, 600, 1000]
three = x_0[[10, 13, 17]]
draw = lambda: torch.randn(three.shape, dtype=three.dtype)
film = torch.stack(
    [noise(linear(), three, t, draw()) for t in times], dim=1
)
grid(film.flatten(0, 1), rows=3, labels=[f"$t = {t}$" for t in times])

# %% [markdown]
# ## Why destroy pictures at all
#
# We want a program that draws new pictures, as varied and as good as those in a collection. Computers draw random numbers well, so the task is to turn noise into pictures. Three families of models do this, and they differ in what they learn about the two directions.
#
# | | from picture to noise | from noise to picture | what trains it |
# |---|---|---|---|
# | GAN | none | one learned network, in one step | a second network that tries to tell drawn from real |
# | VAE | a learned network, in one step | a learned network, in one step | a bound on the likelihood |
# | diffusion | **fixed**: many small steps, nothing to learn | one learned network, in many small steps | a bound on the likelihood |
#
# A generative adversarial network {cite:p}`goodfellow2014` has no way back from a picture to its noise, and nobody tells it the likelihood of a picture; it learns from an opponent, and the two must be kept in balance. A variational autoencoder {cite:p}`kingma2014` learns both directions, and each must cross the whole distance between picture and noise at once. A diffusion model {cite:p}`sohldickstein2015,ho2020` keeps one direction fixed and cuts it into steps so small that undoing a single one is a modest task. That is the trade: one hard problem becomes a thousand easy ones of the same kind, which one network can share. The price is paid when we draw, because all those steps must be walked.
#
# The rest of this chapter is about the fixed direction. Nothing in it is learned, and everything in it can be computed exactly.
#
# ## One step
#
# Write $x_0$ for a picture from the collection. For us it is a vector of numbers, one for each pixel, scaled to lie between $-1$ (black) and $1$ (white). Write $x_t$ for what is left of it after $t$ steps, with $t = 1, 2, \dots, T$. The index counts noising steps, and $x_0$ is data.
#
# A step takes $x_{t-1}$, multiplies it by a number $k_t$, and adds noise:
#
# $$
# x_t = k_t\, x_{t-1} + \sqrt{\beta_t}\; \epsilon_t, \qquad \epsilon_t \sim \mathcal N(0, I).
# $$ (def:step)
#
# Here $\epsilon_t$ holds one independent standard normal number for each pixel, drawn anew at each step and independent of everything before, and $\mathcal N(0, I)$ is the name for that. The number $\beta_t$ between 0 and 1 is the *variance* of the added noise, so the noise itself is multiplied by its square root. All pixels are treated alike and without regard to each other, so from here on we may think of a single pixel.
#
# Nothing has fixed $k_t$ yet. What do we want of it? After many steps, we want to know where we are: at a distribution that we can draw from without any picture, so that the way back has a place to start. And along the way the numbers should stay of one size, because one network will have to read $x_t$ at every $t$. So let us follow the variance. The noise $\epsilon_t$ is independent of $x_{t-1}$, hence the variances of the two terms add, and a factor comes out of a variance squared:
#
# $$
# \operatorname{Var}[x_t] = k_t^2 \operatorname{Var}[x_{t-1}] + \beta_t .
# $$ (eq:variance-step)
#
# A claim cell checks an equation, and makes sure that it would notice the usual mistakes. This one draws a million values of $x_{t-1}$ with variance 2, takes one step with $k_t = 0.8$ and $\beta_t = 0.3$, and compares the variance that it finds with the one that the equation gives. Because it uses random samples, it allows five standard errors of the estimate.

# %%
from ddpm_lib.claims import claim, mean, variance

k, beta = 0.8, 0.3
before = 2**0.5 * torch.randn(1_000_000)
after = k * before + beta**0.5 * torch.randn(1_000_000)
claim(
    "eq:variance-step",
    got=variance(after),
    want=k**2 * 2 + beta,
    rejects={
        "the factor not squared": k * 2 + beta,
        "standard deviations added": (k * 2**0.5 + beta**0.5) ** 2,
        "noise variance √β": k**2 * 2 + beta**0.5,
    },
)

# %% [markdown]
# The line below the cell is its result: the number of the equation, how far the two sides lie apart, how far they may, and the wrong versions that were found to be wrong. From here on the website shows this line alone, with the check folded beneath it. All of them are collected in the [ledger](../book/claims.md).
#
# Suppose the pixel has variance 1 before the step. It has variance 1 after the step exactly if $k_t^2 + \beta_t = 1$. We take the positive root, since a negative one would turn the picture into its negative at every step:
#
# $$
# k_t = \sqrt{1 - \beta_t}.
# $$ (eq:keep-variance)
#
# The next cell puts this $k_t$ into {eq}`eq:variance-step` for symbolic $\beta$ and asks sympy whether the result is 1. Two other choices are common enough to name. With $k_t = 1$, nothing is shrunk and the variance grows with every step. With $k_t = 1 - \beta_t$, the shares of picture and noise add up to one, which looks natural, but it is variances that must balance.

# %% tags=["claim"]
import sympy as sp

b = sp.Symbol("beta", positive=True)
claim(
    "eq:keep-variance",
    got=sp.sqrt(1 - b) ** 2 * 1 + b,
    want=sp.Integer(1),
    rejects={"k = 1": 1 + b, "k = 1 − β": (1 - b) ** 2 + b},
)

# %% [markdown]
# Real pixels do not have variance 1. Does the choice still help? Subtract 1 from both sides of {eq}`eq:variance-step`, with $k_t^2 = 1 - \beta_t$:
#
# $$
# \operatorname{Var}[x_t] - 1 = (1 - \beta_t)\,\bigl(\operatorname{Var}[x_{t-1}] - 1\bigr).
# $$ (eq:variance-drift)
#
# Each step multiplies the distance to 1 by $1 - \beta_t$, a number below one. Whatever the variance of the data, it drifts to 1 and stays there; the same factors draw the mean to 0. To see it, we need numbers for the $\beta_t$. We take those of {cite:t}`ho2020`, evenly spaced between $\beta_1 = 10^{-4}$ and $\beta_T = 0.02$ for $T = 1000$ steps:
#
# $$
# \beta_t = \beta_1 + \frac{t - 1}{T - 1}\,(\beta_T - \beta_1).
# $$ (eq:linear)
#
# Chapter 3 asks what a good choice of these numbers is. In code, a table has $T + 1$ entries and is indexed by $t$ itself, so that `beta[t]` is $\beta_t$ and the entry for $t = 0$, where no step was taken, is 0.

# %%
T = 1000
beta = torch.cat(
    [torch.zeros(1), torch.linspace(1e-4, 0.02, T, dtype=torch.float64)]
)

# %% tags=["claim"]
t = torch.arange(1, T + 1, dtype=torch.float64)
claim(
    "eq:linear",
    got=beta[1:],
    want=1e-4 + (t - 1) / (T - 1) * (0.02 - 1e-4),
    rejects={
        "divided by T": 1e-4 + (t - 1) / T * (0.02 - 1e-4),
        "counted from 0": 1e-4 + t / (T - 1) * (0.02 - 1e-4),
    },
)

# %% [markdown]
# Now we let the variance of the digits' pixels run through a thousand steps, for three choices of $k_t$.

# %% tags=["nbval-check-output"]
Var_0 = x_0.var()


def variances(k):
    """Var[x_t] for t = 0..T by eq. (variance-step).  k: (T+1,)"""
    table = [Var_0]
    for t in range(1, T + 1):
        table.append(k[t] ** 2 * table[-1] + beta[t])
    return torch.stack(table)


kept = variances((1 - beta).sqrt())
grown = variances(torch.ones(T + 1))
lost = variances(1 - beta)
print(f"digits: variance {Var_0:.3f}; after {T} steps:")
for k, table in [("√(1 − β)", kept), ("1", grown), ("1 − β", lost)]:
    print(f"k = {k:9}: {table[T]:.3f}")

# %% tags=["claim"]
claim(
    "eq:variance-drift",
    got=kept[1:] - 1,
    want=(1 - beta[1:]) * (kept[:-1] - 1),
    rejects={
        "the root of the factor": (1 - beta[1:]).sqrt()
        * (kept[:-1] - 1)
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "Variance of x_t against t from 0 to 1000, on a logarithmic axis, for three choices of k. All start at 0.57. With k = 1 the curve climbs to about 11. With k = 1 minus beta it settles at about 0.5. With k equal to the square root of 1 minus beta it rises gently to 1 and stays there."}, "figure": {"name": "fig-variance", "caption": "The variance of a pixel over a thousand steps. Only $k_t = \\sqrt{1-\\beta_t}$ leads to variance 1, from any start."}}
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3))
for table, label, y in [
    (grown, "$k_t = 1$", 6.5),
    (kept, r"$k_t = \sqrt{1-\beta_t}$", 1.12),
    (lost, r"$k_t = 1-\beta_t$", 0.4),
]:
    (line,) = ax.semilogy(table)
    ax.annotate(label, (700, y), color=line.get_color())
ax.axhline(1, color=GRAY, lw=0.8, ls=":")
ax.set(
    xlabel="$t$",
    ylabel="variance of $x_t$",
    yticks=[0.5, 1, 2, 5, 10],
    ylim=(0.35, 13),
)
ax.set_yticklabels(["0.5", "1", "2", "5", "10"])
ax.minorticks_off()
plt.show()

# %% [markdown]
# With $k_t = 1$ the final variance depends on the data and on the schedule, and a network that reads $x_t$ meets numbers of a different size at every $t$. One can build a diffusion model that way, and whole families do {cite:p}`song2021sde`; they divide by the known standard deviation first, which brings back our picture. With $k_t = \sqrt{1-\beta_t}$ the process takes care of itself.
#
# It is convenient to name the share of the variance that a step keeps:
#
# $$
# \alpha_t = 1 - \beta_t .
# $$ (def:alpha)
#
# With it, a step is $x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{1-\alpha_t}\,\epsilon_t$. Said as a distribution: given $x_{t-1}$, the next $x_t$ is normal, with mean $\sqrt{\alpha_t}\,x_{t-1}$ and with variance $\beta_t$ in each pixel. The letter $q$ stands for the distributions of the fixed direction:
#
# $$
# q(x_t \mid x_{t-1}) = \mathcal N\bigl(x_t;\ \sqrt{\alpha_t}\,x_{t-1},\ \beta_t I\bigr).
# $$ (eq:kernel)
#
# The last argument is a covariance: $\beta_t$, not its root. Papers write the distribution, programs write the sum {eq}`def:step`, and the root belongs to the sum only. To see that the difference matters, the claim starts from a fixed $x_{t-1} = 0.5$ and takes the 500th step a million times.

# %%
alpha = 1 - beta

# %% tags=["claim"]
step = alpha[500].sqrt() * 0.5 + beta[500].sqrt() * torch.randn(
    1_000_000, dtype=torch.float64
)
claim(
    "eq:kernel",
    got=variance(step),
    want=beta[500],
    rejects={
        "√β as the variance": beta[500].sqrt(),
        "β as the standard deviation": beta[500] ** 2,
    },
)

# %% [markdown]
# ## Two steps, and what is in the way
#
# To train a network on $x_{500}$ we would have to take 500 steps first, for each picture, each time. So we look for a shortcut, and begin with the shortest case. Insert the first step, $x_1 = \sqrt{\alpha_1}\,x_0 + \sqrt{\beta_1}\,\epsilon_1$, into the second, $x_2 = \sqrt{\alpha_2}\,x_1 + \sqrt{\beta_2}\,\epsilon_2$:
#
# $$
# x_2 = \sqrt{\alpha_2}\,\bigl(\sqrt{\alpha_1}\,x_0 + \sqrt{\beta_1}\,\epsilon_1\bigr) + \sqrt{\beta_2}\,\epsilon_2
# $$
#
# and multiply out:
#
# $$
# x_2 = \sqrt{\alpha_2 \alpha_1}\;x_0 + \sqrt{\alpha_2 \beta_1}\;\epsilon_1 + \sqrt{\beta_2}\;\epsilon_2 .
# $$ (eq:two-steps)

# %% tags=["claim"]
a1, a2 = sp.symbols("alpha_1 alpha_2", positive=True)
X, E1, E2 = sp.symbols("x_0 epsilon_1 epsilon_2", real=True)
b1, b2 = 1 - a1, 1 - a2
x_1 = sp.sqrt(a1) * X + sp.sqrt(b1) * E1
x_2 = sp.sqrt(a2) * x_1 + sp.sqrt(b2) * E2
claim(
    "eq:two-steps",
    got=sp.expand(x_2),
    want=sp.sqrt(a2 * a1) * X
    + sp.sqrt(a2 * b1) * E1
    + sp.sqrt(b2) * E2,
    rejects={
        "the first noise not shrunk": sp.sqrt(a2 * a1) * X
        + sp.sqrt(b1) * E1
        + sp.sqrt(b2) * E2,
        "roots forgotten": a2 * a1 * X
        + sp.sqrt(a2 * b1) * E1
        + sp.sqrt(b2) * E2,
    },
)

# %% [markdown]
# The signal part is what we hoped for: the two factors multiply. The noise part is in the way. There are two noises, after $t$ steps there will be $t$ of them, and to draw them all is as much work as taking the steps. But we do not need the noises themselves, only a number with the distribution of their sum.
#
# ## The reparameterized sum of Gaussians
#
# Two facts about normal numbers are all that we need. The first is called *reparameterization*. If $\epsilon$ is standard normal, then
#
# $$
# \mu + \sigma\epsilon \ \sim\ \mathcal N(\mu, \sigma^2).
# $$ (eq:reparameterize)
#
# So to draw from any normal distribution, draw a standard one, scale it and shift it. We have used this fact already, each time we wrote a step as a sum. The second fact is about two *independent* standard normal numbers $\epsilon$ and $\epsilon'$:
#
# $$
# a\,\epsilon + b\,\epsilon' \ \sim\ \mathcal N(0,\ a^2 + b^2).
# $$ (eq:sum)
#
# That the variances add is true of any independent numbers. That the sum is *normal* again is special. Add two numbers drawn evenly from an interval, and the sum prefers the middle; two dice do not behave like one large die. Normal numbers keep their shape.
#
# Both facts have the same short proof. The function $M(s) = \mathbb E[e^{sX}]$ of a random number $X$, its moment generating function, determines the distribution of $X$ whenever it is finite near $s = 0$. For a normal number it is $M(s) = e^{\mu s + \sigma^2 s^2/2}$. For {eq}`eq:reparameterize`, take the fixed factor $e^{s\mu}$ out of the expectation:
#
# $$
# \mathbb E\bigl[e^{s(\mu + \sigma\epsilon)}\bigr]
# = e^{s\mu}\;\mathbb E\bigl[e^{(s\sigma)\epsilon}\bigr]
# = e^{s\mu}\; e^{(s\sigma)^2/2},
# $$
#
# which is the function of $\mathcal N(\mu, \sigma^2)$. For {eq}`eq:sum`, the expectation of a product of independent factors is the product of their expectations:
#
# $$
# \mathbb E\bigl[e^{s(a\epsilon + b\epsilon')}\bigr]
# = \mathbb E\bigl[e^{(sa)\epsilon}\bigr]\;\mathbb E\bigl[e^{(sb)\epsilon'}\bigr]
# = e^{(sa)^2/2}\; e^{(sb)^2/2}
# = e^{s^2 (a^2 + b^2)/2},
# $$
#
# which is the function of $\mathcal N(0, a^2 + b^2)$. The claims do the same with sympy, starting from the integral over the normal density.

# %% tags=["claim"]
s, mu = sp.symbols("s mu", real=True)
z = sp.Symbol("z", real=True)
sigma, a, b = sp.symbols("sigma a b", positive=True)


def M(scale):
    """E[exp(s · scale · ε)], by integrating over the density."""
    density = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    return sp.integrate(
        sp.exp(s * scale * z) * density, (z, -sp.oo, sp.oo)
    )


def log(M):
    return sp.expand_log(sp.log(sp.simplify(M)), force=True)


claim(
    "eq:reparameterize",
    got=log(sp.exp(s * mu) * M(sigma)),
    want=mu * s + sigma**2 * s**2 / 2,
    rejects={"σ as the variance": mu * s + sigma * s**2 / 2},
)
claim(
    "eq:sum",
    got=log(M(a) * M(b)),
    want=(a**2 + b**2) * s**2 / 2,
    rejects={
        "standard deviations added": (a + b) ** 2 * s**2 / 2,
        "factors not squared": (a + b) * s**2 / 2,
    },
)

# %% [markdown]
# With these facts, the two noises of {eq}`eq:two-steps` become one. Their sum is normal with mean 0, and its variance is the sum of the squared factors:
#
# $$
# \begin{aligned}
# \alpha_2\beta_1 + \beta_2 &= \alpha_2 (1 - \alpha_1) + \beta_2 && \text{since } \beta_1 = 1 - \alpha_1\\
# &= \alpha_2 (1 - \alpha_1) + (1 - \alpha_2) && \text{since } \beta_2 = 1 - \alpha_2\\
# &= \alpha_2 - \alpha_2\alpha_1 + 1 - \alpha_2 && \text{multiplied out}\\
# &= 1 - \alpha_2\alpha_1 .
# \end{aligned}
# $$ (eq:two-step-variance)
#
# By {eq}`eq:reparameterize`, a number with this distribution is $\sqrt{1 - \alpha_2\alpha_1}\;\bar\epsilon_2$ with a single standard normal $\bar\epsilon_2$. So
#
# $$
# x_2 = \sqrt{\alpha_2\alpha_1}\;x_0 + \sqrt{1 - \alpha_2\alpha_1}\;\bar\epsilon_2 .
# $$
#
# Two steps look like one step, whose $\alpha$ is the product of the two.

# %% tags=["claim"]
claim(
    "eq:two-step-variance",
    got=a2 * (1 - a1) + (1 - a2),
    want=1 - a2 * a1,
    rejects={
        "the first noise not shrunk": b1 + b2,
        "1 − ᾱ as the product of the betas": 1 - b1 * b2,
        "standard deviations added": (sp.sqrt(a2 * b1) + sp.sqrt(b2))
        ** 2,
    },
)

# %% [markdown]
# What is $\bar\epsilon_2$? It is not a new draw. When the noises $\epsilon_1$ and $\epsilon_2$ are given, $\bar\epsilon_2$ is their weighted sum, $(\sqrt{\alpha_2\beta_1}\,\epsilon_1 + \sqrt{\beta_2}\,\epsilon_2)/\sqrt{1 - \alpha_2\alpha_1}$: all the noise that the picture has collected so far, scaled to variance 1. The bar is a reminder of that.
#
# ## Any number of steps
#
# The pattern suggests the general case. Write the product of the first $t$ factors as
#
# $$
# \bar\alpha_t = \alpha_1 \alpha_2 \cdots \alpha_t, \qquad \bar\alpha_0 = 1 .
# $$ (def:alpha-bar)
#
# We claim that for every $t$ from 1 to $T$,
#
# $$
# x_t = \sqrt{\bar\alpha_t}\;x_0 + \sqrt{1 - \bar\alpha_t}\;\bar\epsilon_t, \qquad \bar\epsilon_t \sim \mathcal N(0, I),
# $$ (eq:jump)
#
# with $\bar\epsilon_t$ made of $\epsilon_1, \dots, \epsilon_t$ alone. The proof is by induction. For $t = 1$ the statement is the definition of a step, with $\bar\epsilon_1 = \epsilon_1$. Now suppose it holds for $t - 1$. Take one more step:
#
# $$
# x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{1 - \alpha_t}\,\epsilon_t .
# $$
#
# Insert the statement for $x_{t-1}$:
#
# $$
# x_t = \sqrt{\alpha_t}\,\Bigl(\sqrt{\bar\alpha_{t-1}}\,x_0 + \sqrt{1 - \bar\alpha_{t-1}}\,\bar\epsilon_{t-1}\Bigr) + \sqrt{1 - \alpha_t}\,\epsilon_t .
# $$
#
# Multiply out, and use $\alpha_t\bar\alpha_{t-1} = \bar\alpha_t$ in the first term:
#
# $$
# x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{\alpha_t(1 - \bar\alpha_{t-1})}\;\bar\epsilon_{t-1} + \sqrt{1 - \alpha_t}\;\epsilon_t .
# $$
#
# The last two terms are independent, because $\bar\epsilon_{t-1}$ is made of earlier noises and $\epsilon_t$ is new. By {eq}`eq:sum` their sum is normal, and its variance is
#
# $$
# \begin{aligned}
# \alpha_t(1 - \bar\alpha_{t-1}) + (1 - \alpha_t)
# &= \alpha_t - \alpha_t\bar\alpha_{t-1} + 1 - \alpha_t && \text{multiplied out}\\
# &= 1 - \alpha_t\bar\alpha_{t-1} && \alpha_t \text{ cancels}\\
# &= 1 - \bar\alpha_t && \text{by the definition of } \bar\alpha_t .
# \end{aligned}
# $$ (eq:induction)
#
# Scaled to variance 1, that sum is $\bar\epsilon_t$, and the statement holds for $t$. This is the workhorse of the whole course: any $x_t$ in one draw.
#
# Two claims guard it. The first is the induction step {eq}`eq:induction` in symbols. The second takes a thousand honest steps for two hundred thousand pixels that all start at $x_0 = 0.8$, stops at four times on the way, and compares mean and variance with the jump. Several of the rejected versions have been published.

# %% tags=["claim"]
at, abar = sp.symbols("alpha_t alphabar_{t-1}", positive=True)
claim(
    "eq:induction",
    got=at * (1 - abar) + (1 - at),
    want=1 - at * abar,
    rejects={
        "earlier noise not shrunk": (1 - abar) + (1 - at),
        "noise shrunk by α² instead of α": at**2 * (1 - abar)
        + (1 - at),
    },
)

# %%
alpha_bar = alpha.cumprod(0)  # alpha[0] = 1, so alpha_bar[0] = 1
stops = [10, 100, 300, 1000]

x = torch.full((200_000,), 0.8, dtype=torch.float64)
seen = []
for t in range(1, T + 1):
    x = alpha[t].sqrt() * x + beta[t].sqrt() * torch.randn(
        x.shape, dtype=x.dtype
    )
    if t in stops:
        seen.append(x)
seen = torch.stack(seen, dim=1)  # (200000, 4)

# %% tags=["claim"]
claim(
    "eq:jump",
    got=mean(seen),
    want=alpha_bar[stops].sqrt() * 0.8,
    rejects={
        "no root": alpha_bar[stops] * 0.8,
        "no bar": alpha[stops].sqrt() * 0.8,
    },
)
claim(
    "eq:jump",
    got=variance(seen),
    want=1 - alpha_bar[stops],
    rejects={
        "standard deviations added": beta.sqrt().cumsum(0)[stops] ** 2,
        "variances added, never shrunk": beta.cumsum(0)[stops],
        "no bar": 1 - alpha[stops],
        "1 − ᾱ as the product of the betas": beta[1:].cumprod(0)[
            [t - 1 for t in stops]
        ],
        "ᾱ added, as for random x_0 of variance 1": torch.ones(4),
    },
)

# %% [markdown]
# Said as a distribution, with $x_0$ given and everything between 0 and $t$ averaged over, {eq}`eq:jump` reads
#
# $$
# q(x_t \mid x_0) = \mathcal N\bigl(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1 - \bar\alpha_t) I\bigr).
# $$ (eq:marginal)
#
# The mean and the variance have been checked. That the distribution is *normal* has not, so the next claim compares more: the share of those two hundred thousand pixels below each of seven thresholds at $t = 100$ with what {eq}`eq:marginal` predicts.

# %% tags=["claim"]
thresholds = torch.linspace(-0.2, 1.6, 7, dtype=torch.float64)
center, spread = (
    alpha_bar[100].sqrt() * 0.8,
    (1 - alpha_bar[100]).sqrt(),
)
normal = torch.distributions.Normal
claim(
    "eq:marginal",
    got=mean(seen[:, 1:2] < thresholds),
    want=normal(center, spread).cdf(thresholds),
    rejects={
        "the mean not shrunk": normal(0.8, spread).cdf(thresholds),
        "a root too many": normal(center, spread.sqrt()).cdf(
            thresholds
        ),
        "an even spread of that variance": (
            0.5 + (thresholds - center) / (12**0.5 * spread)
        ).clamp(0, 1),
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "Twelve jagged random paths of one pixel over 1000 steps, all starting at 0.8. A smooth curve, the mean, falls from 0.8 to 0. A shaded band of two standard deviations around it is narrow at the start and widens to plus and minus 2, where it stays. The paths remain within the band nearly all the time."}, "figure": {"name": "fig-fan", "caption": "One pixel that starts at 0.8, walked twelve times through a thousand steps. The band is the jump: mean $\\sqrt{\\bar\\alpha_t}\\,x_0$ and two standard deviations $\\sqrt{1-\\bar\\alpha_t}$ on either side. At the right end nothing tells where the path began."}}
paths = [torch.full((12,), 0.8, dtype=torch.float64)]
for t in range(1, T + 1):
    paths.append(
        alpha[t].sqrt() * paths[-1]
        + beta[t].sqrt() * torch.randn(12, dtype=x.dtype)
    )
center, spread = 0.8 * alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(torch.stack(paths), color=NOISE, lw=0.5, ls="-", alpha=0.6)
ax.fill_between(
    range(T + 1),
    center - 2 * spread,
    center + 2 * spread,
    color=GRAY,
    alpha=0.2,
    lw=0,
)
ax.plot(center, color=DATA, ls="-")
ax.annotate(r"mean $\sqrt{\bar\alpha_t}\,x_0$", (30, 1.0), color=DATA)
ax.set(xlabel="$t$", ylabel="$x_t$", ylim=(-3.4, 3.4))
plt.show()

# %% [markdown]
# ## What the jump does not give
#
# The jump is right for each time by itself. It does not make a path. If you jump to $t$ and then, with a fresh noise, to another time $u$, the two results share $x_0$ and nothing else. On a real path they share all the noise collected up to the earlier time. Take $u < t$. From $u$ on, the path is a sequence of steps again, so {eq}`eq:jump` holds with $x_u$ in the place of $x_0$ and with only the factors after $u$ in the product. Those factors multiply to $\bar\alpha_t/\bar\alpha_u$, so $x_t$ is $\sqrt{\bar\alpha_t/\bar\alpha_u}\;x_u$ plus noise that is independent of $x_u$. For a fixed $x_0$, the variance of $x_u$ is $1 - \bar\alpha_u$, and therefore
#
# $$
# \operatorname{Cov}[x_t, x_u \mid x_0] = \sqrt{\frac{\bar\alpha_t}{\bar\alpha_u}}\;(1 - \bar\alpha_u), \qquad u < t .
# $$ (eq:covariance)
#
# Training needs each $x_t$ by itself, so the jump is all it takes. The way back, in chapter 4, is about neighbors on a path, $x_{t-1}$ and $x_t$, and there this covariance is the heart of the matter.

# %% tags=["claim"]
u, t = 100, 300
x_u, x_t = (
    seen[:, stops.index(time)] - alpha_bar[time].sqrt() * 0.8
    for time in (u, t)
)
claim(
    "eq:covariance",
    got=mean(x_u * x_t),
    want=(alpha_bar[t] / alpha_bar[u]).sqrt() * (1 - alpha_bar[u]),
    rejects={
        "two separate jumps": 0.0,
        "shrunk since time 0": alpha_bar[t].sqrt() * (1 - alpha_bar[u]),
        "the later variance": (alpha_bar[t] / alpha_bar[u]).sqrt()
        * (1 - alpha_bar[t]),
    },
)

# %% [markdown]
# ## From the formula to code
#
# For one time $t$, {eq}`eq:jump` is one line. Let us write it as a function of the noise, so that the caller decides what is drawn. We write $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$, for signal and noise.


# %%
def jump(x_0, t, eps):
    """x_t from x_0 and standard normal eps of the same shape."""
    a, s = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    return a * x_0 + s * eps


# %% [markdown]
# Training wants more: a batch of pictures, each at a time of its own. So $t$ becomes a vector with one entry for each picture, and `alpha_bar[t]` does too. Here waits a trap worth falling into once. The pictures have the shape `(B, 1, 8, 8)`, that is batch, channel, height and width. PyTorch lines up shapes from the right, so a vector of length $B$ is lined up with the *width*. Unless $B$ happens to be 8, that is an error.


# %% tags=["nbval-check-output"]
def try_batch(B):
    t = torch.linspace(
        1, T, B
    ).long()  # an early picture, …, a late one
    clean, eps = x_0[:B], torch.randn(B, 1, 8, 8, dtype=torch.float64)
    try:
        x_t = jump(clean, t, eps)
    except RuntimeError as error:
        return f"error: {error}"[:60]
    right = torch.stack(
        [jump(clean[i], t[i], eps[i]) for i in range(B)]
    )
    wrong = (x_t != right).float().mean()
    return f"no error, and {wrong:.0%} of the pixels are wrong"


for B in (5, 8):
    print(f"B = {B}: {try_batch(B)}")

# %% [markdown]
# At $B = 8$ nothing complains: each *column* of each picture gets a time of its own. A published model does this at batch size 32 with pictures of 32×32 pixels, and its author had no reason to notice. The cure is to say which axis is meant, by giving the vector the shape `(B, 1, 1, 1)`:


# %%
def jump(x_0, t, eps):
    """x_t from x_0, eps: (B, C, H, W) and t: (B,)"""
    a = alpha_bar[t].sqrt().reshape(-1, 1, 1, 1)
    s = (1 - alpha_bar[t]).sqrt().reshape(-1, 1, 1, 1)
    return a * x_0 + s * eps


# %% [markdown]
# The library's version does the same and checks what it is given. It takes the schedule as an argument, and `t` may be one time for all pictures or one for each.

# %%
import inspect

print(inspect.getsource(noise))

# %% [markdown]
# Is it the same function? A claim about code is checked like one about algebra. We give both a batch of eight, where the trap would spring.

# %% tags=["claim"]
t = torch.tensor([1, 2, 10, 50, 100, 300, 700, 1000])
eps = torch.randn(8, 1, 8, 8, dtype=torch.float64)
a, s = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
claim(
    "eq:jump",
    got=noise(linear(), x_0[:8], t, eps),
    want=jump(x_0[:8], t, eps),
    rejects={
        "times along the width": a * x_0[:8] + s * eps,
        "times counted from 0": jump(x_0[:8], t - 1, eps),
    },
)

# %% [markdown]
# ## How much picture is left?
#
# In {eq}`eq:jump` the picture enters with power $a^2 = \bar\alpha_t$ and the noise with power $s^2 = 1 - \bar\alpha_t$. Their ratio is the *signal-to-noise ratio*
#
# $$
# \mathrm{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t}.
# $$ (def:snr)
#
# It falls from infinity at $t = 0$ to almost nothing at $t = T$. When it is 1, picture and noise contribute equally.

# %% tags=["nbval-check-output"]
snr = alpha_bar / (1 - alpha_bar)
drop = alpha_bar[:-1] - alpha_bar[1:]
print("   t  alpha_bar       SNR")
for t in (1, 10, 100, 259, 260, 500, 1000):
    print(f"{t:>4}  {alpha_bar[t]:>9.5f}  {snr[t]:>8.3g}")
steepest = int(drop.argmax()) + 1
print(
    f"steepest at t = {steepest}: alpha_bar is {alpha_bar[steepest]:.3f}"
)

# %% [markdown]
# So with this schedule the noise takes the lead at $t = 260$, after about a quarter of the steps. Does that mean that you can no longer read a digit then? Try it.

# %% tags=["figure"]
from ddpm_lib.explore import explorable

fig = grid(
    film.flatten(0, 1), rows=3, labels=[f"$t = {t}$" for t in times]
)
first_of_each = torch.stack(
    [digits().pixels[digits().labels == n][0] for n in range(10)]
)
explorable(
    "forward",
    {
        "T": T,
        "beta_1": 1e-4,
        "beta_T": 0.02,
        "digits": first_of_each.flatten(1),
    },
    still=fig,
    alt="Three digits, a 0, a 3 and a 7, at seven times from t = 0 "
    "to t = 1000. They fade into noise between t = 200 and t = 600.",
    caption="The jump in pictures: choose a digit and a time.",
)

# %% [markdown]
# **A question to play with.** Press *Hide the digit*, start at $t = 1000$ and move left until you can read it. Do it five times, and note your $t$ and the SNR shown there. Is it above or below 1? If you read digits beyond $t = 260$, where each single pixel holds more noise than picture, you did what a network will do too: a stroke covers several pixels, and their common part outlives the noise of each. {numref}`ex-mean` puts a number to it.
#
# ## Where tutorials go wrong
#
# Everything in this chapter is short, and yet most published accounts of it contain a slip. They are instructive, because each has a number that gives it away. The next cell computes those numbers; the claims above reject most of the formulas themselves.

# %% tags=["nbval-check-output"]
noise_variance = torch.zeros(())
for t in range(1, T + 1):
    noise_variance = alpha[t] * noise_variance + beta[t].sqrt()
print(f"covariance √β: noise variance {noise_variance:.2f} at T")

mixed = alpha_bar**2 + (1 - alpha_bar) ** 2
print(f"ᾱ x_0 + (1 − ᾱ) ε: variance falls to {mixed.min():.2f}")

print(f"no bars: SNR {alpha[T] / (1 - alpha[T]):.0f} at T")
print(f"with bars: SNR {snr[T]:.1e} at T")

print(f"product of all betas: 10^{beta[1:].log10().sum():.0f}")
print(f"variance of q(x_100 | x_0): {1 - alpha_bar[100]:.3f}")

shared = (beta[501] / (1 - alpha_bar[501])).sqrt()
print(f"correlation of ε_501 with all noise so far: {shared:.3f}")

print(f"T for T − 1: off by at most {(0.02 - 1e-4) / T:.0e}")

# %% [markdown]
# *A covariance of $\sqrt{\beta_t}$.* The kernel is written as $\mathcal N(\sqrt{\alpha_t}\,x_{t-1}, \sqrt{\beta_t} I)$, mixing the root of the sum {eq}`def:step` into the distribution {eq}`eq:kernel`. Who implements it faithfully gets noise of variance 7.27 at the end instead of 1.00, and a sampler that starts from $\mathcal N(0, I)$ starts in the wrong place.
#
# *Shares that add to one.* In $\bar\alpha_t x_0 + (1 - \bar\alpha_t)\,\epsilon$ the amplitudes add to one, and the variances do not. For data of variance 1, the variance of $x_t$ falls to 0.50 in the middle. The pictures look plausible, only a little gray.
#
# *No bars.* A listing of the training algorithm uses $\alpha_t$ where $\bar\alpha_t$ belongs. Then the noisiest picture that the network ever sees has an SNR of 49, clean to the eye, and the network never learns the noisy times from which the sampler starts.
#
# *A product of the betas.* From $\bar\alpha_t = \prod_s \alpha_s$ one note concludes $1 - \bar\alpha_t = \prod_s \beta_s$. At $T$ that product is $10^{-2122}$.
#
# *Whose variance?* Another note gives $q(x_t \mid x_0)$ the variance $\bar\alpha_t + (1 - \bar\alpha_t) = 1$. That is the variance of $x_t$ when $x_0$ is random with variance 1. Given $x_0$, it is $1 - \bar\alpha_t$, at $t = 100$ only 0.103. A vertical bar in a formula is not decoration.
#
# *The noise of the step.* Texts say that the network predicts "the noise that was added at step $t$". It predicts $\bar\epsilon_t$, all the noise so far. The two are different things: at $t = 501$ their correlation is 0.104.
#
# *Faster and faster.* It is said that $\bar\alpha_t$ falls faster and faster, since the $\beta_t$ grow. The largest drop is at $t = 220$, where $\bar\alpha_t$ is still 0.605; after that there is less and less left to lose. It is the *ratio* of neighbors, $\alpha_t$, that keeps falling.
#
# *And one that is harmless.* Dividing by $T$ instead of $T - 1$ in {eq}`eq:linear` moves each $\beta_t$ by at most $2 \cdot 10^{-5}$. The claim notices; the pictures would not.
#
# ## Exercises
#
# Each exercise has a cell for your answer. The check below it says whether the answer is right and, if not, which mistake it looks like.
#
# :::{exercise} Half picture, half noise
# :label: ex-halfway
#
# With pencil and paper. Suppose $\beta_t = 0.01$ at every step. After how many steps does the SNR first fall to 1 or below?
# :::

# %%
from ddpm_lib.checks import forward as check

steps = ...
check.halfway(steps)

# %% [markdown]
# :::{solution-start} ex-halfway
# :class: dropdown
# :::
#
# The SNR is 1 where $\bar\alpha_t = 1/2$. With a constant $\beta$ we have $\bar\alpha_t = (1 - \beta)^t$, so $t \log(1 - \beta) = \log\tfrac12$, which gives $t = \log(1/2)/\log(0.99) = 68.97$. The first whole step at or beyond it is 69. Since $\log(1-\beta) \approx -\beta$, the noise takes the lead after about $0.69/\beta$ steps, and only the sum of the betas matters.

# %% tags=["solution"]
import math

check.halfway(math.ceil(math.log(1 / 2) / math.log(1 - 0.01)))

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Leap from anywhere
# :label: ex-leap
#
# Write a function that takes $x_u$, made at an earlier time $u < t$, to $x_t$ in one draw. The text around {eq}`eq:covariance` tells you the distribution. What does your function become for $u = 0$, and for $u = t - 1$?
# :::

# %%
leap = ...  # def leap(x_u, u, t, eps): return ...
check.leap(leap)

# %% [markdown]
# :::{solution-start} ex-leap
# :class: dropdown
# :::
#
# The steps after $u$ multiply the signal by $\sqrt{\alpha_{u+1}\cdots\alpha_t} = \sqrt{\bar\alpha_t/\bar\alpha_u}$, and by the same induction as for {eq}`eq:jump` the noise since $u$ has variance one minus the square of that factor. For $u = 0$ it is the jump, since $\bar\alpha_0 = 1$. For $u = t - 1$ the ratio is $\alpha_t$, and it is the single step. Samplers that skip times, in chapter 17, are built on this function.


# %% tags=["solution"]
def leap(x_u, u, t, eps):
    ratio = alpha_bar[t] / alpha_bar[u]
    return ratio.sqrt() * x_u + (1 - ratio).sqrt() * eps


check.leap(leap)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Back, if you know the noise
# :label: ex-recover
#
# A network will give us an estimate of the noise in $x_t$. Solve {eq}`eq:jump` for $x_0$. One published sampler divides by $\sqrt{1-\bar\alpha_t}$ and subtracts $(1-\alpha_t)\,\epsilon$; how far from $x_0$ does that land at $t = 10$? Then suppose that the estimate of the noise is off by 0.01 in every pixel: how far off is $x_0$ at $t = 1000$?
# :::

# %%
recover = ...  # def recover(x_t, t, eps): return ...
check.recover(recover)

# %% [markdown]
# :::{solution-start} ex-recover
# :class: dropdown
# :::
#
# Subtract the noise term and divide by the factor of the signal: $x_0 = (x_t - \sqrt{1-\bar\alpha_t}\;\epsilon)/\sqrt{\bar\alpha_t}$. An error $\delta$ in the noise becomes an error $\delta\,s/a = \delta/\sqrt{\mathrm{SNR}(t)}$ in $x_0$, At $t = 1000$ a slip of 0.01 in the noise moves every pixel by 1.6, most of the way from black to white, as the last line of the cell shows. The published formula is off by 19 at $t = 10$, in pixels that span 2. This is why nobody goes back in one leap.


# %% tags=["solution", "nbval-check-output"]
def recover(x_t, t, eps):
    return (x_t - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()


check.recover(recover)

eps = torch.randn(x_0.shape, dtype=x_0.dtype)
x_10 = noise(linear(), x_0, 10, eps)
published = (x_10 - (1 - alpha[10]) * eps) / (1 - alpha_bar[10]).sqrt()
error = (published - x_0).square().mean().sqrt()
print(f"published formula at t = 10: off by {error:.0f}")
print(f"0.01 in eps at t = 1000: {0.01 / snr[1000].sqrt():.1f} in x_0")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} What many pixels know
# :label: ex-mean
#
# The mean of the 64 pixels of a digit is a number too, and it is noised like the pixels: the signal shrinks by $\sqrt{\bar\alpha_t}$, and the noise is the mean of 64 independent noises. Until which $t$ does this mean, as a signal of power 1, have an SNR of at least 1? The table `snr` has the SNR of one pixel.
# :::

# %%
last_t = ...
check.mean_snr(last_t)

# %% [markdown]
# :::{solution-start} ex-mean
# :class: dropdown
# :::
#
# The mean of 64 independent noises of variance $1 - \bar\alpha_t$ has the variance $(1 - \bar\alpha_t)/64$, by {eq}`eq:sum` with all factors equal to $1/64$. So its SNR is 64 times that of a pixel, and it stays above 1 until $t = 641$, while a single pixel drowns at $t = 260$. Broad features such as the mean brightness survive long after each pixel is lost. On the way back it is the reverse: brightness and color are decided first, and a small bias in the estimated noise shows in them first. Chapter 16 meets this again as a color cast.

# %% tags=["solution"]
check.mean_snr(int((64 * snr >= 1).nonzero().max()))

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: the forward process
# :class: card
#
# With $\alpha_t = 1 - \beta_t$ and $\bar\alpha_t = \alpha_1\cdots\alpha_t$, $\bar\alpha_0 = 1$:
#
# $$
# \begin{aligned}
# \text{one step} \quad & x_t = \sqrt{\alpha_t}\;x_{t-1} + \sqrt{1-\alpha_t}\;\epsilon_t\\
# \text{the jump} \quad & x_t = \sqrt{\bar\alpha_t}\;x_0 + \sqrt{1-\bar\alpha_t}\;\bar\epsilon_t\\
# \text{from } u \text{ to } t \quad & x_t = \sqrt{\bar\alpha_t/\bar\alpha_u}\;x_u + \sqrt{1 - \bar\alpha_t/\bar\alpha_u}\;\epsilon\\
# \text{what is left} \quad & \mathrm{SNR}(t) = \bar\alpha_t/(1-\bar\alpha_t)
# \end{aligned}
# $$
#
# Variances add, standard deviations do not. Roots stand in sums, not in $\mathcal N(\cdot,\cdot)$.
# :::
#
# We know now what $T$ steps do for given $\beta_1, \dots, \beta_T$; chapter 3 asks how to choose them, and how close $x_T$ comes to pure noise.
