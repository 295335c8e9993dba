# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # The forward process
#
# Take a picture, shrink its values a little, add a little noise, and repeat a thousand times. What is left is noise that has forgotten the picture. A diffusion model learns to run this backwards, so before anything can be learned we must know the forward direction exactly. This chapter asks two questions. By how much should each step shrink the picture? And what does the picture look like after $t$ steps, if we do not want to wait for the $t - 1$ steps before?
#
# :::{admonition} At a glance
# :class: glance
#
# 35 minutes to read, longer with a pencil; it runs in under half a minute on a laptop's CPU, and needs no GPU. You need from chapter 1 the normal distribution $\mathcal N(\mu, \sigma^2)$ with mean $\mu$ and variance $\sigma^2$, how to scale and shift it {eq}`eq:affine`, and the sum of two normal numbers {eq}`eq:convolution`; besides, mean, variance, covariance and independence of random numbers, and some PyTorch.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Three handwritten digits, a 0, a 3 and a 7, each shown at seven times from left to right. At t = 0 they are clean. At t = 50 they look grainy, at t = 200 their strokes can still be followed, at t = 400 only a hint of the strokes remains, and from t = 600 on nothing but noise is visible."}, "figure": {"name": "fig-rows", "caption": "Three digits of 8×8 pixels, noised for $t$ steps. Each picture was made from $x_0$ alone, with a noise of its own, in the one jump that this chapter derives. See that at $t = 200$ the strokes can still be followed, and that at $t = 600$ nothing of them is left."}}
import torch

from ddpm_lib.data import digits, scale
from ddpm_lib.diffusion import add_noise, signal_and_noise
from ddpm_lib.plotting import DATA, GRAY, NOISE, grid, style
from ddpm_lib.schedules import linear

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

x_0 = scale(digits().pixels).double()  # (1797, 1, 8, 8), -1 to 1
three = x_0[[10, 13, 17]]
times = [0, 50, 100, 200, 400, 600, 1000]
columns = [
    add_noise(linear(), three, t, torch.randn(three.shape))
    for t in times
]
rows = torch.stack(columns, dim=1).flatten(0, 1)
grid(rows, rows=3, labels=[f"$t = {t}$" for t in times])

# %% [markdown]
# ## Why destroy pictures at all
#
# We want a program that draws new pictures, as varied and as good as those in a collection. Computers draw random numbers well, so the task is to turn noise into pictures. We compare three families of models that do this, with noise of the picture's own size or smaller. They differ in what they learn about the two directions.
#
# | | from picture to noise | from noise to picture | what trains it |
# |---|---|---|---|
# | GAN {cite:p}`goodfellow2014` | none | one learned network, in one step | a second network that tells drawn from real |
# | VAE {cite:p}`kingma2014` | a learned network, in one step | a learned network, in one step | a bound on the likelihood |
# | diffusion {cite:p}`sohldickstein2015,ho2020` | **fixed**: many small steps, nothing to learn | one learned network, in many small steps | a bound on the likelihood, reweighted (chapter 7) |
#
# A diffusion model keeps one direction fixed and cuts it into steps so small that undoing a single one is a modest task. That is the trade: one hard problem becomes a thousand easy ones of the same kind, which one network can share. The price is paid when we draw, because all those steps must be walked.
#
# The rest of this chapter is about the fixed direction. Nothing in it is learned, and everything in it can be computed exactly.
#
# ## One step
#
# Our collection is the 1797 handwritten digits of 8×8 pixels that come with scikit-learn. Write $x_0$ for one of its pictures, as a vector with one number for each pixel, scaled to lie between $-1$ (black) and $1$ (white). Write $x_t$ for what is left of it after $t$ steps, with $t = 1, 2, \dots, T$, where $T$ is the number of all steps. The index counts noising steps, and $x_0$ is data.
#
# A step takes $x_{t-1}$, multiplies it by a number $k_t$, and adds noise:
#
# $$
# x_t = k_t\, x_{t-1} + \sqrt{\beta_t}\; \epsilon_t, \qquad \epsilon_t \sim \mathcal N(0, I).
# $$ (def:step)
#
# Here $\epsilon_t$ holds one independent standard normal number for each pixel, drawn anew at each step and independent of everything before. That is what $\mathcal N(0, I)$ says: mean 0, and as covariance the identity matrix $I$. The number $\beta_t$ between 0 and 1 is the *variance* of the added noise, so the noise itself is multiplied by its square root. All pixels are treated alike and without regard to each other, so from here on we may think of a single pixel.
#
# Nothing has fixed $k_t$ yet. What do we want of it? After many steps, we want to know where we are: at a distribution that we can draw from without any picture, so that the way back has a place to start. And along the way the numbers should stay of one size, because one network will have to read $x_t$ at every $t$. So let us follow the variance of $x_t$. Which randomness is meant? For now, draw a picture at random from the collection, and one of its pixels at random: then $x_0$ is a random number too, and $\operatorname{Var}[x_t]$ is over this draw and over the noise. The noise $\epsilon_t$ is independent of $x_{t-1}$, hence the variances of the two terms add, and a factor comes out of a variance squared:
#
# $$
# \operatorname{Var}[x_t] = k_t^2 \operatorname{Var}[x_{t-1}] + \beta_t .
# $$ (eq:variance-step)
#
# As in chapter 1, a *claim* cell compares what it computes, `got`, with what the equation says, `want`, and makes sure that it would notice the mistakes listed in `rejects`. This one draws a million values of $x_{t-1}$ with variance 2, takes one step with $k_t = 0.8$ and $\beta_t = 0.3$, and compares variances. Because it uses random samples, it allows five standard errors; a claim without randomness allows only rounding errors.

# %%
from ddpm_lib.course.claims import claim, mean, variance

factor, added = 0.8, 0.3
before = 2**0.5 * torch.randn(1_000_000)
after = factor * before + added**0.5 * torch.randn(1_000_000)
claim(
    "eq:variance-step",
    got=variance(after),
    want=factor**2 * 2 + added,
    rejects={
        "the factor not squared": factor * 2 + added,
        "standard deviations added": (factor * 2**0.5 + added**0.5)
        ** 2,
        "noise variance $√β$": factor**2 * 2 + added**0.5,
    },
)

# %% [markdown]
# Suppose the pixel has variance 1 before the step. It has variance 1 after the step exactly if $k_t^2 + \beta_t = 1$. We take the positive root, since a negative one would turn the picture into its negative at every step:
#
# $$
# k_t = \sqrt{1 - \beta_t}.
# $$ (eq:keep-variance)
#
# The claim puts this $k_t$ into {eq}`eq:variance-step` for symbolic $\beta$ and asks sympy whether the result is 1. Two other choices are common enough to name. With $k_t = 1$, nothing is shrunk and the variance grows with every step. And $k_t + \beta_t = 1$ looks natural, but it is $k_t^2$ that stands beside $\beta_t$.

# %% tags=["claim"]
import sympy as sp

b = sp.Symbol("beta", positive=True)
claim(
    "eq:keep-variance",
    got=sp.sqrt(1 - b) ** 2 * 1 + b,
    want=sp.Integer(1),
    rejects={"$k = 1$": 1 + b, "$k = 1 − β$": (1 - b) ** 2 + b},
)

# %% [markdown]
# Real pixels do not have variance 1. Does the choice still help? Put $k_t^2 = 1 - \beta_t$ into {eq}`eq:variance-step` and subtract 1 from both sides; then collect $\beta_t - 1$, and take out the common factor:
#
# $$
# \begin{aligned}
# \operatorname{Var}[x_t] - 1 &= (1 - \beta_t)\operatorname{Var}[x_{t-1}] + \beta_t - 1\\
# &= (1 - \beta_t)\operatorname{Var}[x_{t-1}] - (1 - \beta_t)\\
# &= (1 - \beta_t)\,\bigl(\operatorname{Var}[x_{t-1}] - 1\bigr).
# \end{aligned}
# $$ (eq:variance-drift)

# %% tags=["claim"]
V = sp.Symbol("V", positive=True)
claim(
    "eq:variance-drift",
    got=(1 - b) * V + b - 1,
    want=(1 - b) * (V - 1),
    rejects={
        "the root of the factor": sp.sqrt(1 - b) * (V - 1),
        "a distance to 0": (1 - b) * V,
    },
)

# %% [markdown]
# So each step multiplies the distance of the variance from 1 by $1 - \beta_t$, and after $t$ steps it has been multiplied by all of $(1-\beta_1)\cdots(1-\beta_t)$. If this product becomes small, the variance ends near 1, from any start. The mean obeys $\mathbb E[x_t] = \sqrt{1-\beta_t}\;\mathbb E[x_{t-1}]$ and is multiplied by the root of the same product, so it ends near 0.
#
# To see it, we need numbers for the $\beta_t$. We take those of {cite:t}`ho2020`, evenly spaced between $\beta_1 = 10^{-4}$ and $\beta_T = 0.02$ for $T = 1000$ steps:
#
# $$
# \beta_t = \beta_1 + \frac{t - 1}{T - 1}\,(\beta_T - \beta_1).
# $$ (eq:linear)
#
# Chapter 3 asks what a good choice of these numbers is. In code, a table has $T + 1$ entries and is indexed by $t$ itself, so that `beta[t]` is $\beta_t$ and the entry for $t = 0$, where no step was taken, is 0.

# %%
T = 1000
beta = torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])

# %% tags=["claim"]
t = torch.arange(1, T + 1).double()
claim(
    "eq:linear",
    got=beta[1:],
    want=1e-4 + (t - 1) / (T - 1) * (0.02 - 1e-4),
    rejects={
        "divided by $T$": 1e-4 + (t - 1) / T * (0.02 - 1e-4),
        "counted from 0": 1e-4 + t / (T - 1) * (0.02 - 1e-4),
    },
)

# %% [markdown]
# Now let the variance of the digits' pixels run through a thousand steps, for the three choices of $k_t$.


# %% tags=["nbval-check-output"]
def variances(k, start):
    """Var[x_t] for t = 0..T, one step after the other.  k: (T+1,)"""
    table = [torch.as_tensor(start)]
    for t in range(1, T + 1):
        table.append(k[t] ** 2 * table[-1] + beta[t])
    return torch.stack(table)


kept = variances((1 - beta).sqrt(), x_0.var())
grown = variances(torch.ones(T + 1), x_0.var())
lost = variances(1 - beta, x_0.var())
print(f"digits: variance {x_0.var():.3f}; after {T} steps:")
for name, table in [
    ("k = √(1 − β)", kept),
    ("k = 1", grown),
    ("k = 1 − β", lost),
]:
    print(f"{name:12}  {table[T]:.3f}")

# %% tags=["figure"] mystnb={"image": {"alt": "Variance of x_t against t from 0 to 1000, on a logarithmic axis. With k equal to the square root of 1 minus beta, three solid curves that start at 0.1, 0.57 and 4 all run into 1 and stay there. With k = 1 a dashed curve climbs to about 11. With k = 1 minus beta a dotted curve settles at about 0.5."}, "figure": {"name": "fig-variance", "caption": "The variance of a pixel drawn at random, over a thousand steps. With $k_t = \\sqrt{1-\\beta_t}$ (solid) it runs into 1, for the digits and for two other starts; with the other choices it does not."}}
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3.2))
for start in (0.1, float(x_0.var()), 4.0):
    ax.semilogy(variances((1 - beta).sqrt(), start), "k-", lw=1.5)
ax.semilogy(grown, color=GRAY, ls="--")
ax.semilogy(lost, color=GRAY, ls=":", lw=2.2)
ax.annotate("$k_t = 1$", (740, 4.0), color=GRAY)
ax.annotate(r"$k_t = \sqrt{1-\beta_t}$", (740, 1.18))
ax.annotate(r"$k_t = 1-\beta_t$", (740, 0.36), color=GRAY)
ax.set(xlabel="$t$", ylabel="variance of $x_t$", ylim=(0.09, 14))
ax.set_yticks(
    [0.1, 0.5, 1, 2, 5, 10], ["0.1", "0.5", "1", "2", "5", "10"]
)
ax.minorticks_off()
plt.show()

# %% [markdown]
# With $k_t = 1$ the final variance depends on the data and on the schedule, and a network that reads $x_t$ meets numbers of a different size at every $t$. One can build a diffusion model that way {cite:p}`song2021sde`. Dividing its $x_t$ by $\sqrt{1 + \sigma_t^2}$, where $\sigma_t^2$ is the variance of the noise so far, turns it into ours, and {cite:t}`karras2022` scale the input of the network in this spirit. With $k_t = \sqrt{1-\beta_t}$ the process takes care of it. With $k_t = 1 - \beta_t$ the variance ends where $V = (1-\beta)^2 V + \beta$ for the last $\beta$, that is at $1/(2 - 0.02) = 0.505$.
#
# It is convenient to name the share of the variance that a step keeps:
#
# $$
# \alpha_t = 1 - \beta_t .
# $$ (def:alpha)
#
# With it, a step is $x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{1-\alpha_t}\,\epsilon_t$. Said as a distribution: given $x_{t-1}$, the next $x_t$ is normal, with mean $\sqrt{\alpha_t}\,x_{t-1}$ and with variance $\beta_t$ in each pixel. The letter $q$ stands for the distributions of the fixed direction, and $\mathcal N(x;\ \mu, \Sigma)$ for the normal density {eq}`eq:density-nd` with mean $\mu$ and covariance $\Sigma$ at the point $x$:
#
# $$
# q(x_t \mid x_{t-1}) = \mathcal N\bigl(x_t;\ \sqrt{\alpha_t}\,x_{t-1},\ \beta_t I\bigr).
# $$ (eq:kernel)
#
# The last argument is a covariance: $\beta_t$, not its root. Papers write the distribution, programs write the sum {eq}`def:step`, and the root of $\beta_t$ belongs to the sum only. To see that the difference matters, the claim starts from a fixed $x_{t-1} = 0.5$ and takes the 500th step a million times.

# %%
alpha = 1 - beta

# %% tags=["claim"]
step = alpha[500].sqrt() * 0.5 + beta[500].sqrt() * torch.randn(
    1_000_000
)
claim(
    "eq:kernel",
    got=variance(step),
    want=beta[500],
    rejects={
        "$√β$ as the variance": beta[500].sqrt(),
        "$β$ as the standard deviation": beta[500] ** 2,
    },
)

# %% [markdown]
# Where $x_t$ goes depends on the past only through $x_{t-1}$. A sequence with this property is a *Markov chain*, and the probability of a whole path is the product of its steps, $q(x_1, \dots, x_T \mid x_0) = \prod_{t=1}^T q(x_t \mid x_{t-1})$. Chapters 5 and 6 will need this.
#
# ## Two steps, and what is in the way
#
# From here to the end of the chapter we hold $x_0$ fixed, as a picture that we know, and only the noise is random. In formulas, what stands to the right of a vertical bar is held fixed.
#
# To train a network on $x_{500}$ we would have to take 500 steps first, for each picture, each time. So we look for a shortcut, and begin with the shortest case. Insert the first step, $x_1 = \sqrt{\alpha_1}\,x_0 + \sqrt{\beta_1}\,\epsilon_1$, into the second, $x_2 = \sqrt{\alpha_2}\,x_1 + \sqrt{\beta_2}\,\epsilon_2$:
#
# $$
# x_2 = \sqrt{\alpha_2}\,\bigl(\sqrt{\alpha_1}\,x_0 + \sqrt{\beta_1}\,\epsilon_1\bigr) + \sqrt{\beta_2}\,\epsilon_2
# $$
#
# and multiply out, with $\sqrt{\alpha_2}\sqrt{\alpha_1} = \sqrt{\alpha_2\alpha_1}$:
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
signal, second = sp.sqrt(a2 * a1) * X, sp.sqrt(b2) * E2
claim(
    "eq:two-steps",
    got=sp.expand(x_2),
    want=signal + sp.sqrt(a2 * b1) * E1 + second,
    rejects={
        "the first noise not shrunk": signal
        + sp.sqrt(b1) * E1
        + second,
        "roots forgotten": a2 * a1 * X + sp.sqrt(a2 * b1) * E1 + second,
    },
)

# %% [markdown]
# The signal part is what we hoped for: the two factors multiply. The noise part is in the way. There are two noises, after $t$ steps there will be $t$ of them, and to draw them all is as much work as taking the steps. But we do not need the noises themselves, only a number with the distribution of their sum.
#
# ## The reparameterized sum of Gaussians
#
# Two facts about normal numbers are all that we need, and chapter 1 has both. The first is reparameterization, {eq}`eq:standardize`: if $\epsilon$ is standard normal, then
#
# $$
# \mu + \sigma\epsilon \ \sim\ \mathcal N(\mu, \sigma^2).
# $$ (eq:reparameterize)
#
# So to draw from any normal distribution, draw a standard one, scale it and shift it. We have used this fact already, each time we wrote a step as a sum. The second fact is {eq}`eq:convolution`, for two *independent* standard normal numbers $\epsilon$ and $\epsilon'$ that were multiplied by fixed factors $c$ and $c'$ as in {eq}`eq:affine`:
#
# $$
# c\,\epsilon + c'\epsilon' \ \sim\ \mathcal N(0,\ c^2 + c'^2).
# $$ (eq:sum)
#
# That the variances add is true of any independent numbers. That the sum is *normal* again is special. Add two numbers drawn evenly from an interval, and the sum prefers the middle; two dice do not behave like one large die. Normal numbers keep their shape.
#
# Chapter 1 proved it with an integral over all the ways in which a sum can come about. Here is a second proof, without that integral. It needs one tool. The *moment generating function* of a random number $X$ is $M(r) = \mathbb E[e^{rX}]$. It determines the distribution of $X$ whenever it is finite near $r = 0$; this is a theorem that we use without proof. For a standard normal number, with the density $\varphi(z) = e^{-z^2/2}/\sqrt{2\pi}$, complete the square {eq}`eq:complete-square` in the exponent, $rz - z^2/2 = r^2/2 - (z - r)^2/2$:
#
# $$
# \mathbb E[e^{r\epsilon}] = \int e^{rz}\varphi(z)\,dz = e^{r^2/2}\int \varphi(z - r)\,dz = e^{r^2/2} .
# $$ (eq:mgf)
#
# Now take the sum. An exponential of a sum is a product; the expectation of a product of independent factors is the product of their expectations; and {eq}`eq:mgf` gives each of them, with $rc$ and $rc'$ in place of $r$:
#
# $$
# \begin{aligned}
# \mathbb E\bigl[e^{r(c\epsilon + c'\epsilon')}\bigr]
# &= \mathbb E\bigl[e^{rc\epsilon}\,e^{rc'\epsilon'}\bigr]\\
# &= \mathbb E\bigl[e^{rc\epsilon}\bigr]\;\mathbb E\bigl[e^{rc'\epsilon'}\bigr]\\
# &= e^{r^2c^2/2}\;e^{r^2c'^2/2}\\
# &= e^{r^2 (c^2 + c'^2)/2} .
# \end{aligned}
# $$
#
# By {eq}`eq:reparameterize`, a number with distribution $\mathcal N(0, c^2 + c'^2)$ is $\sqrt{c^2 + c'^2}\;\epsilon$, and by {eq}`eq:mgf` its function is the same. So the distributions are the same. The claims integrate with sympy over the densities.

# %% tags=["claim"]
r, mu = sp.symbols("r mu", real=True)
z = sp.Symbol("z", real=True)
sigma, c, d = sp.symbols("sigma c d", positive=True)


def density(z, mean, std):
    return sp.exp(-(((z - mean) / std) ** 2) / 2) / (
        std * sp.sqrt(2 * sp.pi)
    )


def log_mgf(rate, mean=0, std=1):
    """log E[exp(rate · X)] for X ~ N(mean, std²), by integration."""
    integrand = sp.exp(rate * z) * density(z, mean, std)
    value = sp.simplify(sp.integrate(integrand, (z, -sp.oo, sp.oo)))
    return sp.expand(sp.expand_log(sp.log(value), force=True))


claim(
    "eq:reparameterize",
    got=r * mu + log_mgf(r * sigma),  # of mu + sigma epsilon
    want=log_mgf(r, mu, sigma),
    rejects={
        "$σ$ as the variance": mu * r + sigma * r**2 / 2,
        "the mean scaled too": sigma * (mu * r + sigma * r**2 / 2),
    },
)
claim(
    "eq:mgf",
    got=log_mgf(r),
    want=r**2 / 2,
    rejects={
        "without the half": r**2,
        "$r$ not squared": r / 2,
    },
)
claim(
    "eq:sum",
    got=log_mgf(r * c) + log_mgf(r * d),
    want=log_mgf(r, 0, sp.sqrt(c**2 + d**2)),
    rejects={
        "standard deviations added": (c + d) ** 2 * r**2 / 2,
        "factors not squared": (c + d) * r**2 / 2,
    },
)

# %% [markdown]
# With these facts, the two noises of {eq}`eq:two-steps` become one. Their sum is normal with mean 0, and its variance is the sum of the squared factors. Replace $\beta_1$ by $1 - \alpha_1$, then $\beta_2$ by $1 - \alpha_2$, multiply out, and let $\alpha_2$ cancel:
#
# $$
# \begin{aligned}
# \alpha_2\beta_1 + \beta_2 &= \alpha_2 (1 - \alpha_1) + \beta_2\\
# &= \alpha_2 (1 - \alpha_1) + (1 - \alpha_2)\\
# &= \alpha_2 - \alpha_2\alpha_1 + 1 - \alpha_2\\
# &= 1 - \alpha_2\alpha_1 .
# \end{aligned}
# $$ (eq:two-step-variance)

# %% tags=["claim"]
claim(
    "eq:two-step-variance",
    got=a2 * (1 - a1) + (1 - a2),
    want=1 - a2 * a1,
    rejects={
        "the first noise not shrunk": b1 + b2,
        "$1 − ᾱ$ as the product of the betas": 1 - b1 * b2,
        "standard deviations added": (sp.sqrt(a2 * b1) + sp.sqrt(b2))
        ** 2,
    },
)

# %% [markdown]
# So let us collect the two noises and scale them to variance 1:
#
# $$
# \bar\epsilon_2 = \frac{\sqrt{\alpha_2\beta_1}\,\epsilon_1 + \sqrt{\beta_2}\,\epsilon_2}{\sqrt{1 - \alpha_2\alpha_1}} .
# $$
#
# We have just shown that $\bar\epsilon_2$ is standard normal, and {eq}`eq:two-steps` says, exactly,
#
# $$
# x_2 = \sqrt{\alpha_2\alpha_1}\;x_0 + \sqrt{1 - \alpha_2\alpha_1}\;\bar\epsilon_2 .
# $$
#
# Two steps look like one step, whose $\alpha$ is the product of the two. On a path that we walked, $\bar\epsilon_2$ is known once $\epsilon_1$ and $\epsilon_2$ are: it is all the noise that the picture has collected, and the bar is a reminder of that. When we have not walked, we draw $\bar\epsilon_2$ afresh. Then $x_2$ has the right distribution, though it lies on no particular path.
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
# The last two terms are independent, because $\bar\epsilon_{t-1}$ is made of earlier noises and $\epsilon_t$ is new. By {eq}`eq:sum` their sum is normal. For its variance, multiply out, let $\alpha_t$ cancel, and use the definition of $\bar\alpha_t$:
#
# $$
# \begin{aligned}
# \alpha_t(1 - \bar\alpha_{t-1}) + (1 - \alpha_t)
# &= \alpha_t - \alpha_t\bar\alpha_{t-1} + 1 - \alpha_t\\
# &= 1 - \alpha_t\bar\alpha_{t-1}\\
# &= 1 - \bar\alpha_t .
# \end{aligned}
# $$ (eq:induction)

# %% tags=["claim"]
at, abar = sp.symbols("alpha_t alphabar_{t-1}", positive=True)
claim(
    "eq:induction",
    got=at * (1 - abar) + (1 - at),
    want=1 - at * abar,
    rejects={
        "earlier noise not shrunk": (1 - abar) + (1 - at),
        "noise shrunk by $α²$ instead of $α$": at**2 * (1 - abar)
        + (1 - at),
    },
)

# %% [markdown]
# Scaled to variance 1, that sum is $\bar\epsilon_t$, and the statement holds for $t$. So any $x_t$ can be had in one draw.
#
# To check this, we do it the long way: fifty thousand pixels that all start at $x_0 = 0.8$ take a thousand steps each, and we look at them at five times on the way. The claims compare their mean and variance with {eq}`eq:jump`. Several of the rejected versions have been published.

# %%
alpha_bar = alpha.cumprod(0)  # alpha[0] = 1, so alpha_bar[0] = 1
stops = [10, 100, 300, 500, 1000]

x = torch.full((50_000,), 0.8)
seen = []
for t in range(1, T + 1):
    x = alpha[t].sqrt() * x + beta[t].sqrt() * torch.randn(x.shape)
    if t in stops:
        seen.append(x)
seen = torch.stack(seen, dim=1)  # (50000, 5)

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
        "$1 − ᾱ$ as the product of the betas": beta[1:].cumprod(0)[
            [t - 1 for t in stops]
        ],
        "$ᾱ$ added, as for random $x_0$ of variance 1": torch.ones(5),
    },
)

# %% [markdown]
# Said as a distribution, with $x_0$ given and everything between 0 and $t$ averaged over, {eq}`eq:jump` reads
#
# $$
# q(x_t \mid x_0) = \mathcal N\bigl(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1 - \bar\alpha_t) I\bigr).
# $$ (eq:marginal)
#
# The mean and the variance have been checked. That the distribution is *normal* has not, so the next claim compares more: the share of those fifty thousand pixels below each of seven thresholds at $t = 100$ with what {eq}`eq:marginal` predicts.

# %% tags=["claim"]
thresholds = torch.linspace(-0.2, 1.6, 7)
center, spread = (
    alpha_bar[100].sqrt() * 0.8,
    (1 - alpha_bar[100]).sqrt(),
)
normal = torch.distributions.Normal
even = 0.5 + (thresholds - center) / (12**0.5 * spread)
claim(
    "eq:marginal",
    got=mean(seen[:, 1:2] < thresholds),
    want=normal(center, spread).cdf(thresholds),
    rejects={
        "the mean not shrunk": normal(0.8, spread).cdf(thresholds),
        "a root too many": normal(center, spread.sqrt()).cdf(
            thresholds
        ),
        "an even spread of that variance": even.clamp(0, 1),
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "Six jagged random paths of one pixel over 1000 steps, all starting at 0.8. A smooth curve, the mean, falls from 0.8 to 0. A shaded band of two standard deviations around it is narrow at the start and widens to plus and minus 2, where it stays. The paths remain within the band nearly all the time."}, "figure": {"name": "fig-fan", "caption": "One pixel that starts at 0.8, walked six times through a thousand steps. The band is the jump: mean $\\sqrt{\\bar\\alpha_t}\\,x_0$ and two standard deviations $\\sqrt{1-\\bar\\alpha_t}$ on either side, which hold about 95 % of all paths at each $t$. At the right end nothing tells where the paths began."}}
paths = [torch.full((6,), 0.8)]
for t in range(1, T + 1):
    step = alpha[t].sqrt() * paths[-1] + beta[t].sqrt() * torch.randn(6)
    paths.append(step)
center, spread = 0.8 * alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

fig, ax = plt.subplots(figsize=(6, 3.2))
low, high = center - 2 * spread, center + 2 * spread
every = slice(None, None, 8)  # what the eye can tell apart
lines = ax.plot(
    torch.arange(T + 1)[every],
    torch.stack(paths)[every],
    color=NOISE,
    lw=0.5,
    ls="-",
    alpha=0.6,
)
band = ax.fill_between(
    range(T + 1), low, high, color=GRAY, alpha=0.2, lw=0
)
(curve,) = ax.plot(center, color=DATA, ls="-", lw=2.2)
ax.legend(
    [curve, band, lines[0]],
    [
        r"mean $\sqrt{\bar\alpha_t}\,x_0$",
        "two standard deviations",
        "walks",
    ],
    loc="upper center",
    ncols=3,
)
ax.set(xlabel="$t$", ylabel="$x_t$", ylim=(-3.6, 4.4))
plt.show()

# %% [markdown]
# Now the wish from the beginning is granted. At $t = 1000$ the mean is $0.0064\,x_0$ and the variance $0.99996$: almost $\mathcal N(0, I)$, for every picture. The way back can start from a draw of $\mathcal N(0, I)$.
#
# It will be walked with a network that is shown $x_t$ and $t$ and must estimate $\bar\epsilon_t$, the noise collected so far. For its training the jump is everything: for each picture, each time, draw a $t$, draw a fresh $\bar\epsilon_t$, and have $x_t$ at once.

# %% tags=["nbval-check-output"]
print(f"mean at T:     {alpha_bar[T].sqrt():.4f} x_0")
print(f"variance at T: {1 - alpha_bar[T]:.5f}")

# %% [markdown]
# ## What the jump does not give
#
# The jump is right for each time alone. It does not make a path. If you jump to $t$ and then, with a fresh noise, to another time $u$, the two results share $x_0$ and nothing else. On a real path they share all the noise collected up to the earlier time. Take $u < t$. From $u$ on, the path is a sequence of steps again, so the same induction holds with $x_u$ in place of $x_0$ and with only the factors after $u$ in the product. These are $\alpha_{u+1}\cdots\alpha_t = \bar\alpha_t/\bar\alpha_u$, and
#
# $$
# x_t = \sqrt{\bar\alpha_t/\bar\alpha_u}\;x_u + \sqrt{1 - \bar\alpha_t/\bar\alpha_u}\;\epsilon, \qquad \epsilon \sim \mathcal N(0, I),
# $$ (eq:leap)
#
# with an $\epsilon$ made of the noises after $u$, hence independent of $x_u$. For $u = 0$ this is the jump, for $u = t - 1$ the single step. The claim takes what {eq}`eq:leap` says is left when the shrunken $x_{300}$ is subtracted from $x_{500}$ on the fifty thousand walks.

# %% tags=["claim"]
u, t = 300, 500
x_u, x_t = seen[:, stops.index(u)], seen[:, stops.index(t)]
ratio = alpha_bar[t] / alpha_bar[u]
claim(
    "eq:leap",
    got=variance(x_t - ratio.sqrt() * x_u),
    want=1 - ratio,
    rejects={
        "all noise since time 0": 1 - alpha_bar[t],
        "the difference of the variances": alpha_bar[u] - alpha_bar[t],
        "a single step": beta[t],
    },
)

# %% [markdown]
# How much do two times of a path have in common? Insert {eq}`eq:leap` into the covariance. A covariance is linear in each argument, so it splits in two:
#
# $$
# \operatorname{Cov}[x_t, x_u \mid x_0] = \sqrt{\bar\alpha_t/\bar\alpha_u}\,\operatorname{Var}[x_u \mid x_0] + \sqrt{1 - \bar\alpha_t/\bar\alpha_u}\,\operatorname{Cov}[\epsilon, x_u \mid x_0] .
# $$
#
# The second term is zero, because $\epsilon$ is independent of $x_u$, and the variance in the first is known from {eq}`eq:marginal`:
#
# $$
# \operatorname{Cov}[x_t, x_u \mid x_0] = \sqrt{\bar\alpha_t/\bar\alpha_u}\;(1 - \bar\alpha_u), \qquad u < t .
# $$ (eq:covariance)

# %% tags=["claim"]
from_mean_u = x_u - alpha_bar[u].sqrt() * 0.8
from_mean_t = x_t - alpha_bar[t].sqrt() * 0.8
claim(
    "eq:covariance",
    got=mean(from_mean_u * from_mean_t),
    want=ratio.sqrt() * (1 - alpha_bar[u]),
    rejects={
        "two separate jumps": 0.0,
        "shrunk since time 0": alpha_bar[t].sqrt() * (1 - alpha_bar[u]),
        "the later variance": ratio.sqrt() * (1 - alpha_bar[t]),
    },
)

# %% [markdown]
# Training looks at each $x_t$ alone, so the jump is all it takes. The way back is about neighbors on a path, and chapter 4 will ask what $x_t$ tells about $x_{t-1}$.
#
# ## From the formula to code
#
# For one time $t$, {eq}`eq:jump` is one line. Let us write it as a function of the noise, so that the caller decides what is drawn. We write $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$, for signal and noise.


# %%
def jump_at_one_time(x_0, t, eps):
    """x_t from x_0 and standard normal eps of the same shape."""
    a, s = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
    return a * x_0 + s * eps


# %% [markdown]
# Training wants more: a batch of pictures, each at a time of its own. So $t$ becomes a vector with one entry for each picture, and `alpha_bar[t]` does too. Does the function still work? The pictures have the shape `(B, 1, 8, 8)`, that is batch, channel, height and width. PyTorch lines up shapes from the right, so a vector of length $B$ is lined up with the *width*. Unless $B$ happens to be 8, that is an error.


# %% tags=["nbval-check-output"]
def try_batch(B):
    t = torch.linspace(1, T, B).long()  # an early time, ..., a late one
    clean, eps = x_0[:B], torch.randn(B, 1, 8, 8)
    try:
        x_t = jump_at_one_time(clean, t, eps)
    except RuntimeError:
        return "an error: the shapes do not match"
    each = [
        jump_at_one_time(*one)
        for one in zip(clean, t, eps, strict=True)
    ]
    wrong = (x_t != torch.stack(each)).double().mean()
    return f"no error, and {wrong:.1%} of the pixels are wrong"


for B in (5, 8):
    print(f"B = {B}: {try_batch(B)}")

# %% [markdown]
# At $B = 8$ nothing complains. Each *column* of each picture gets a time of its own, and only one column in eight happens to get its picture's. A blog post's listing for pictures of 32×32 pixels indexes its table this way: at batch size 16 it stops with an error, at 32 it runs. The cure is to say which axis is meant, by giving the vector the shape `(B, 1, 1, 1)`:


# %%
def jump(x_0, t, eps):
    """x_t from x_0, eps: (B, C, H, W) and t: (B,)"""
    a = alpha_bar[t].sqrt().reshape(-1, 1, 1, 1)
    s = (1 - alpha_bar[t]).sqrt().reshape(-1, 1, 1, 1)
    return a * x_0 + s * eps


# %% [markdown]
# The library's version does the same and checks what it is given. It takes a schedule, which holds the tables that we built above: `linear()` is ours. `t` may be one time for all pictures or one for each.

# %%
import inspect

print(inspect.getsource(add_noise))
print(inspect.getsource(signal_and_noise))

# %% [markdown]
# Is it the same function? A claim about code is checked like one about algebra. We give both a batch of eight, where the trap would spring.

# %% tags=["claim"]
t = torch.tensor([1, 2, 10, 50, 100, 300, 700, 1000])
eps = torch.randn(8, 1, 8, 8)
claim(
    "eq:jump",
    got=add_noise(linear(), x_0[:8], t, eps),
    want=jump(x_0[:8], t, eps),
    rejects={
        "times along the width": jump_at_one_time(x_0[:8], t, eps),
        "times counted from 0": jump(x_0[:8], t - 1, eps),
    },
)

# %% [markdown]
# ## How much picture is left?
#
# In {eq}`eq:jump` the picture is multiplied by $a$ and the noise by $s$. For data of variance 1, the two parts have the variances $a^2 = \bar\alpha_t$ and $s^2 = 1 - \bar\alpha_t$. Their ratio is the *signal-to-noise ratio*
#
# $$
# \mathrm{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t}.
# $$ (def:snr)
#
# It falls from infinity at $t = 0$ to almost nothing at $t = T$. It describes the schedule: for data of another variance $v$, the ratio is $v$ times as large.

# %% tags=["nbval-check-output"]
snr = alpha_bar / (1 - alpha_bar)
print("   t  alpha_bar        SNR")
for t in (1, 10, 100, 259, 260, 500, 1000):
    print(f"{t:>4}  {alpha_bar[t]:>9.5f}  {snr[t]:>9.4g}")
last = (x_0.var() * snr >= 1).nonzero().max()
print(f"v = {x_0.var():.3f}: v SNR is last above 1 at t = {last}")

# %% [markdown]
# With this schedule the SNR falls below 1 at $t = 260$, after about a quarter of the steps, and for the variance of our pixels noise takes the lead even earlier, at $t = 208$. Does that mean that you can no longer read a digit then? Hide the digit in the figure below, start at $t = 1000$, move left, and answer with one of the ten small pictures as soon as you can.

# %% tags=["figure"] mystnb={"image": {"alt": "Three digits, a 0, a 3 and a 7, at seven times from t = 0 to t = 1000. They fade into noise between t = 200 and t = 600."}, "figure": {"name": "fig-forward", "caption": "The jump in pictures. The noise stays the same while you move $t$: each picture is right alone, but the sequence is no path of the process. Where the two curves cross, $\\mathrm{SNR} = 1$."}}
from ddpm_lib.course.explore import explorable

first = digits().pixels[:10]  # they happen to be 0 to 9, in order
explorable(
    "forward",
    {
        "T": T,
        "beta_1": 1e-4,
        "beta_T": 0.02,
        "digits": first,
    },
    still=grid(rows, rows=3, labels=[f"$t = {t}$" for t in times]),
)

# %% [markdown]
# If you read digits beyond $t = 260$, you did what a network will do too. No single pixel tells a 3 from an 8 there, but many pixels together do. {numref}`ex-read` measures how far this carries.
#
# ## Where tutorials go wrong
#
# Everything in this chapter is short, and yet each of the five tutorials from which this course grew has a slip in it; so had our own drafts. The slips are instructive, because each has a number that gives it away. The next cell computes those numbers, and the figure below it shows how three of the slips would look.

# %% tags=["nbval-check-output"]
v_root = 0.0
for t in range(1, T + 1):
    v_root = alpha[t] * v_root + beta[t].sqrt()
print(f"covariance √β: noise variance {v_root:.2f} at T")

shares = alpha_bar**2 + (1 - alpha_bar) ** 2
print(f"shares: variance {shares.min():.2f} at t = {shares.argmin()}")

print(f"no bars: SNR {alpha[T] / (1 - alpha[T]):.0f} at T")
print(f"with bars: SNR {snr[T]:.1e} at T")

print(f"product of all betas: 10^{beta[1:].log10().sum():.0f}")
print(f"variance of q(x_100 | x_0): {1 - alpha_bar[100]:.3f}")

of_step = (beta[500] / (1 - alpha_bar[500])).sqrt()
print(f"correlation of ε_500 with all noise so far: {of_step:.3f}")

drop = alpha_bar[:-1] - alpha_bar[1:]
steepest = int(drop.argmax()) + 1
print(f"steepest at {steepest}: alpha_bar is {alpha_bar[steepest]:.3f}")
print(f"T for T − 1: off by at most {(0.02 - 1e-4) / T:.0e}")

# %% tags=["figure"] mystnb={"image": {"alt": "The digit 3 at t = 500 and t = 1000, made by four formulas. Right: noise with a hint of the digit, then noise. Covariance root beta: stark black and white noise in both. Shares: the digit is a little clearer at 500 in noise, then noise. No bars: a clean digit at both times."}, "figure": {"name": "fig-slips", "caption": "A digit at $t = 500$ (top) and $t = 1000$ (bottom), made by the right formula and by three wrong ones, with the same noise. The kernel with covariance $\\sqrt\\beta$ gives noise far too strong, mostly clipped here to black and white; without the bars the digit is never noised."}}
one, eps = three[1:2], torch.randn(1, 1, 8, 8)
cells, v = [], torch.zeros(())
for t in range(1, T + 1):
    v = alpha[t] * v + beta[t].sqrt()
    if t in (500, 1000):
        a, s = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
        cells += [
            a * one + s * eps,
            a * one + v.sqrt() * eps,
            a**2 * one + s**2 * eps,
            alpha[t].sqrt() * one + beta[t].sqrt() * eps,
        ]
grid(
    torch.cat(cells),
    rows=2,
    labels=["right", r"cov. $\sqrt{\beta}$", "shares", "no bars"],
)

# %% [markdown]
# *A covariance of $\sqrt{\beta_t}$.* The kernel is written as $\mathcal N(\sqrt{\alpha_t}\,x_{t-1}, \sqrt{\beta_t} I)$, mixing the root of the sum {eq}`def:step` into the distribution {eq}`eq:kernel`. Whoever implements it as written gets noise of variance 7.27 at the end instead of 1.00, and a sampler that starts from $\mathcal N(0, I)$ starts in the wrong place.
#
# *Shares that add to one.* In $\alpha_t x_0 + (1 - \alpha_t)\,\epsilon$ the amplitudes add to one, and the variances do not. Even with bars, data of variance 1 is left with variance 0.50 at $t = 259$, a contrast lower by the factor $1/\sqrt2$. Nothing looks broken.
#
# *No bars.* The training algorithm in a lab report uses $\alpha_t$ where $\bar\alpha_t$ belongs. Then the noisiest picture that the network ever sees has an SNR of 49, nearly clean, and it never learns the noisy times from which the sampler starts.
#
# *A product of the betas.* From $\bar\alpha_t = \prod_{u \le t} \alpha_u$ one note concludes $1 - \bar\alpha_t = \prod_{u \le t} \beta_u$. At $T$ that product is $10^{-2122}$: it says that there is no noise, where there should be nothing else.
#
# *Whose variance?* A derivation note gives $q(x_t \mid x_0)$ the variance $\bar\alpha_t + (1 - \bar\alpha_t) = 1$. That is the variance of $x_t$ when $x_0$ is random with variance 1. Given $x_0$ it is $1 - \bar\alpha_t$, at $t = 100$ only 0.103; a model built on the larger one believes every $x_t$ to be noisier than it is.
#
# *The noise of the step.* Texts say that the network predicts "the noise that was added at step $t$". It predicts $\bar\epsilon_t$, of which $\epsilon_t$ is a small part: it is contained with the factor $\sqrt{\beta_t/(1-\bar\alpha_t)}$, which is also their correlation, 0.104 at $t = 500$. A network trained on $\epsilon_t$ with a sampler made for $\bar\epsilon_t$ leaves most of the noise in.
#
# *Faster and faster.* It is said that $\bar\alpha_t$ falls faster and faster, since the $\beta_t$ grow. The largest drop is at $t = 220$, where $\bar\alpha_t$ is still 0.605; after that there is less and less left to lose. It is the *ratio* of neighbors, $\alpha_t$, that keeps falling.
#
# *Noised pictures as a data set.* Some advise to noise the collection once, loop over $t$, and train on the stored pairs. The jump makes a new $x_t$ as cheaply as reading a stored one, so $t$ and $\bar\epsilon_t$ are drawn afresh at every use, and no network can learn stored noise by heart.
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
# With pencil and calculator. Suppose $\beta_t = 0.01$ at every step. After how many steps does the SNR first fall to 1 or below?
# :::

# %%
from ddpm_lib.course.checks import forward as check

number_of_steps = ...
check.halfway(number_of_steps)

# %% [markdown]
# :::{solution-start} ex-halfway
# :class: dropdown
# :::
#
# The SNR is 1 where $\bar\alpha_t = 1/2$. With a constant $\beta$ we have $\bar\alpha_t = (1 - \beta)^t$, so $t \log(1 - \beta) = \log\tfrac12$, which gives $t = \log(1/2)/\log(0.99) = 68.97$. The first whole step at or beyond it is 69. For small $\beta$, $\log(1-\beta) \approx -\beta$, so it is the sum of the betas that counts: noise leads once it exceeds $\log 2 = 0.693$. For the linear schedule the sum of the first 260 is 0.697, as the cell prints.

# %% tags=["solution", "nbval-check-output"]
import math

steps = math.log(1 / 2) / math.log(1 - 0.01)
check.halfway(math.ceil(steps))
print(
    f"{steps:.2f} steps; sum of the first 260 betas {beta[:261].sum():.3f}"
)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Leap from anywhere
# :label: ex-leap
#
# Write {eq}`eq:leap` as a function. Then say, without running it, what it does for $u = t$.
# :::


# %%
def leap(x_u, u, t, eps):
    return ...


check.leap(leap)

# %% [markdown]
# :::{solution-start} ex-leap
# :class: dropdown
# :::
#
# For $u = t$ the ratio is 1, the noise gets the factor 0, and $x_u$ comes back unchanged. Samplers that skip times, in chapter 17, are built on this function.


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
# A network will give us an estimate of $\bar\epsilon_t$. Solve {eq}`eq:jump` for $x_0$ and write the result as a function. Then suppose that the estimate is off by 0.01 in a pixel: by how much is $x_0$ off at $t = 1000$?
# :::


# %%
def recover(x_t, t, eps):
    return ...


check.recover(recover)
off = ...
check.amplified(off)

# %% [markdown]
# :::{solution-start} ex-recover
# :class: dropdown
# :::
#
# Subtract the noise term and divide by the factor of the signal: $x_0 = (x_t - \sqrt{1-\bar\alpha_t}\;\bar\epsilon_t)/\sqrt{\bar\alpha_t}$. An error $\delta$ in the noise becomes an error $\delta\,s/a = \delta/\sqrt{\mathrm{SNR}(t)}$ in $x_0$. At $t = 1000$ that factor is 157, and an error of 0.01 moves a pixel by 1.6, most of the way from black to white. Early on the way back an estimate of $x_0$ is poor; this is one reason to go in small steps.
#
# The sampler of a student club's note subtracts $(1-\alpha_t)\,\bar\epsilon_t$ and divides by $\sqrt{1-\bar\alpha_t}$. The cell measures where this lands for the digits at $t = 10$: off by 19, as a root mean square, in pixels that span 2.


# %% tags=["solution", "nbval-check-output"]
def recover(x_t, t, eps):
    return (x_t - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()


check.recover(recover)
check.amplified(0.01 / snr[1000].sqrt())
print(f"s / a at T: {1 / snr[T].sqrt():.0f}")

eps = torch.randn(x_0.shape)
x_10 = add_noise(linear(), x_0, 10, eps)
published = (x_10 - (1 - alpha[10]) * eps) / (1 - alpha_bar[10]).sqrt()
error = (published - x_0).square().mean().sqrt()
print(f"published formula at t = 10: off by {error:.0f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} What many pixels know together
# :label: ex-read
#
# Somebody shows you an $x_t$ and $t$, and tells you that the picture was one of the ten in the figure. Write a function that says which. Independent normal noise makes a picture the less likely the farther it is away, so look for the nearest; but the nearest what?
# :::

# %%
thumbnails = scale(first).double()  # (10, 1, 8, 8)


def read(x_t, t, thumbnails):
    """x_t: (N, 1, 8, 8)  ->  the index of a thumbnail for each, (N,)"""
    return ...


check.read(read, thumbnails)

# %% [markdown]
# :::{solution-start} ex-read
# :class: dropdown
# :::
#
# Given that the picture was $x_0$, the mean of $x_t$ is $\sqrt{\bar\alpha_t}\,x_0$, and its density falls with the distance from that mean. So compare $x_t$ with the thumbnails *times* $\sqrt{\bar\alpha_t}$. The cell counts how often this is right in four thousand draws. At $t = 260$, where $\mathrm{SNR}(t)$ is 1, it nearly always is; at $t = 500$ it is still right far more often than the one time in ten of a blind guess. What you see in one pixel is not what a picture knows.


# %% tags=["solution", "nbval-check-output"]
def read(x_t, t, thumbnails):
    """x_t: (N, 1, 8, 8)  ->  the index of a thumbnail for each, (N,)"""
    means = alpha_bar[t].sqrt() * thumbnails
    return torch.cdist(x_t.flatten(1), means.flatten(1)).argmin(1)


check.read(read, thumbnails)
which = torch.arange(4000) % 10
for t in (260, 400, 500):
    x_t = add_noise(
        linear(), thumbnails[which], t, torch.randn(4000, 1, 8, 8)
    )
    right = (read(x_t, t, thumbnails) == which).double().mean()
    print(f"t = {t}: right in {right:.0%}")

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
# \text{from } u \text{ to } t \quad & x_t = \sqrt{\tfrac{\bar\alpha_t}{\bar\alpha_u}}\;x_u + \sqrt{1 - \tfrac{\bar\alpha_t}{\bar\alpha_u}}\;\epsilon\\
# \text{what is left} \quad & \mathrm{SNR}(t) = \bar\alpha_t/(1-\bar\alpha_t)
# \end{aligned}
# $$
#
# Variances of independent noises add; standard deviations do not. The second argument of $\mathcal N$ is a variance, $\beta_t$ or $1 - \bar\alpha_t$, without a root; a sum multiplies the noise by the root.
# :::
#
# We know now what $T$ steps do for given $\beta_1, \dots, \beta_T$; chapter 3 asks how to choose them, and how close $x_T$ comes to pure noise.
