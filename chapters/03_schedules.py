# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Schedules
#
# Chapter 2 took its thousand numbers $\beta_1, \dots, \beta_T$ from a paper. They have to do two things. They must end in pure noise, because the way back starts from a draw of $\mathcal N(0, I)$ whatever $x_T$ really is. And they must spend their steps well, because every step has to be learned and walked. This chapter asks how to choose them, how close $x_T$ comes to pure noise, and what it costs when it does not come close.
#
# :::{admonition} At a glance
# :class: glance
#
# 40 minutes to read, longer with a pencil; it runs in about half a minute on a laptop's CPU, and needs no GPU. You need the jump {eq}`eq:jump` and the signal-to-noise ratio {eq}`def:snr` of chapter 2, and from chapter 1 the KL divergence {eq}`eq:kl-1d` of two normal distributions.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "The digit 3 at seven times from the start to the end of four schedules, one in each row. In the first row it fades into noise by the middle. In the second row it fades more slowly and is gone at the end. In the third and in the fourth row it can still be read in the last picture."}, "figure": {"name": "fig-ends", "caption": "One digit, noised by four schedules, with the same noise everywhere; the columns are the shares of all steps that have been taken. First row: a thousand steps with $\\beta$ from $10^{-4}$ to 0.02. Second: the cosine schedule of this chapter. Third: the betas of the first row's range in only 50 steps. Fourth: a thousand steps, and 0.002 in place of 0.02. See that the last two do not end in noise."}}
import math

import torch

from ddpm_lib.data import digits, scale
from ddpm_lib.diffusion import add_noise
from ddpm_lib.plotting import DATA, GRAY, NOISE, grid, style
from ddpm_lib.schedules import Schedule, cosine, linear

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

x_0 = scale(digits().pixels).double()  # (1797, 1, 8, 8), -1 to 1
three, eps = x_0[13:14], torch.randn(1, 1, 8, 8)
schedules = [
    linear(),
    cosine(),
    linear(T=50),
    linear(beta_T=0.002),
]
parts = [0, 0.1, 0.2, 0.4, 0.6, 0.8, 1]
cells = [
    add_noise(schedule, three, round(part * schedule.T), eps)
    for schedule in schedules
    for part in parts
]
grid(
    torch.cat(cells),
    rows=4,
    labels=[f"{part:.0%} of $T$" for part in parts],
)

# %% [markdown]
# ## A sum in place of a product
#
# How much of the picture is left at the end? By chapter 2 its factor is $\sqrt{\bar\alpha_T}$, and $\bar\alpha_T$ is a product of a thousand factors. Products are hard to see through. The logarithm of a product is the sum of the logarithms:
#
# $$
# \log\bar\alpha_t = \sum_{u=1}^{t} \log(1 - \beta_u) .
# $$ (eq:log-alpha-bar)

# %%
from ddpm_lib.course.claims import claim, mean

T = 1000
beta = torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])
alpha_bar = (1 - beta).cumprod(0)

# %% tags=["claim"]
claim(
    "eq:log-alpha-bar",
    got=alpha_bar[1:].log(),
    want=(1 - beta[1:]).log().cumsum(0),
    rejects={
        "the logarithm of a sum": (1 - beta[1:]).cumsum(0).log(),
        "the betas added": -beta[1:].cumsum(0),
        "logarithms of the betas": beta[1:].log().cumsum(0),
    },
)

# %% [markdown]
# The $\beta_u$ are small, and for small $\beta$ the logarithm of $1 - \beta$ is about $-\beta$. How good is "about"? The derivative of $-\log(1 - z)$ is $1/(1-z)$, and the function is zero at $z = 0$. So it is the integral of its derivative:
#
# $$
# -\log(1 - \beta) = \int_0^\beta \frac{1}{1 - z}\,dz .
# $$
#
# Take out the first two terms of the fraction. Since $(1 - z)(1 + z) = 1 - z^2$, we have $1 = (1 - z)(1 + z) + z^2$, and dividing by $1 - z$ gives $\frac{1}{1-z} = 1 + z + \frac{z^2}{1-z}$. Integrate term by term:
#
# $$
# -\log(1 - \beta) = \beta + \frac{\beta^2}{2} + \int_0^\beta \frac{z^2}{1 - z}\,dz .
# $$ (eq:log-remainder)
#
# In the claim we write $\beta = 1 - w$, so that sympy knows that $1 - \beta$ is positive.

# %% tags=["claim"]
import sympy as sp

z, w = sp.symbols("z w", positive=True)
b = 1 - w
rest = sp.log(1 / w) - b - b**2 / 2  # ∫ z²/(1−z) dz, checked below
slope = sp.diff(rest, w) * sp.diff(b, w)  # d/dβ = −d/dw
claim(
    "eq:log-remainder",
    got=sp.simplify(slope),
    want=b**2 / (1 - b),
    rejects={
        r"$−β²/2$, as in $\log(1 + β)$": sp.simplify(slope + 2 * b),
        "without the square": sp.simplify(slope + b),
    },
)
assert rest.subs(w, 1) == 0  # equal slopes, equal at β = 0

# %% [markdown]
# How large is the last integral? In it, $1/(1-z)$ lies between 1 and $1/(1 - \beta)$. With $\int_0^\beta z^2\,dz = \beta^3/3$ the integral therefore lies between $\beta^3/3$ and $\beta^3/\bigl(3(1-\beta)\bigr)$. Sum {eq}`eq:log-remainder` over the steps and turn all signs:
#
# $$
# \begin{aligned}
# \log\bar\alpha_t &= -\sum_{u=1}^t \beta_u - \frac12\sum_{u=1}^t \beta_u^2 - R_t,\\
# 0 \le R_t &\le \frac{1}{3(1 - \beta_{\max})}\sum_{u=1}^t \beta_u^3 ,
# \end{aligned}
# $$ (eq:sum-of-betas)
#
# where $\beta_{\max}$ is the largest of the $\beta_u$. The tolerance of this claim is the bound on $R_T$, so it checks the bound as well.

# %% tags=["claim"]
bound_on_rest = float((beta**3).sum() / (3 * (1 - beta.max())))
first, second = beta.sum(), (beta**2).sum() / 2
claim(
    "eq:sum-of-betas",
    got=alpha_bar[T].log(),
    want=-first - second,
    atol=bound_on_rest,
    rejects={
        "the first order alone": -first,
        "the second order with the wrong sign": -first + second,
        "without the half": -first - 2 * second,
    },
)

# %% tags=["nbval-check-output"]
print(f"sum of the betas             {first:.3f}")
print(f"half the sum of squares      {second:.4f}")
print(f"rest, at most                {bound_on_rest:.4f}")
print(f"log alpha_bar_T              {alpha_bar[T].log():.4f}")
print(f"alpha_bar_T                  {alpha_bar[T]:.3g}")
print(f"exp(-sum of the betas)       {(-first).exp():.3g}")

# %% [markdown]
# So while the betas are small, their sum decides where a schedule ends, and for the schedule of {cite:t}`ho2020` it is 10.05. The rest of {eq}`eq:sum-of-betas` is a correction: $e^{-10.05}$ is $4.32\cdot10^{-5}$, the true $\bar\alpha_T$ is $4.04\cdot10^{-5}$.
#
# For evenly spaced betas the sum has a closed form. Insert {eq}`eq:linear` and sum its two parts: $\beta_1$ is added $t$ times, and $0 + 1 + \dots + (t-1) = t(t-1)/2$:
#
# $$
# \begin{aligned}
# \sum_{u=1}^t \beta_u &= t\,\beta_1 + \frac{\beta_T - \beta_1}{T - 1}\cdot\frac{t(t-1)}{2},\\
# \sum_{u=1}^T \beta_u &= T\,\frac{\beta_1 + \beta_T}{2} .
# \end{aligned}
# $$ (eq:linear-sum)
#
# The second equation is the first at $t = T$, where $T - 1$ cancels. It is also the number of terms times their average.

# %% tags=["claim"]
t = torch.arange(1, T + 1).double()
slope_of_beta = (0.02 - 1e-4) / (T - 1)
claim(
    "eq:linear-sum",
    got=beta[1:].cumsum(0),
    want=t * 1e-4 + slope_of_beta * t * (t - 1) / 2,
    rejects={
        "$t(t + 1)/2$": t * 1e-4 + slope_of_beta * t * (t + 1) / 2,
        "without the half": t * 1e-4 + slope_of_beta * t * (t - 1),
        "$β_1$ only once": 1e-4 + slope_of_beta * t * (t - 1) / 2,
    },
)
claim(
    "eq:linear-sum",
    got=beta.sum(),
    want=T * (1e-4 + 0.02) / 2,
    rejects={
        "without the half": T * (1e-4 + 0.02),
        "the largest beta $T$ times": T * 0.02,
    },
)

# %% [markdown]
# Betas that grow in a straight line make $\log\bar\alpha_t$ nearly a parabola, $-t^2$ times a constant. And the sum at the end is the product of two choices, the number of steps and their average size. Change one, and you must change the other.
#
# ## How far from pure noise
#
# How small must $\bar\alpha_T$ be? We need a distance between what $x_T$ is, $q(x_T \mid x_0) = \mathcal N(\sqrt{\bar\alpha_T}\,x_0,\ 1 - \bar\alpha_T)$ in each pixel, and what the way back takes it for, $\mathcal N(0, 1)$. Chapter 1 computed the KL divergence of two normal distributions, {eq}`eq:kl-1d`. For a second one that is standard it says
#
# $$
# \mathrm{KL}\bigl(\mathcal N(\mu, \sigma^2)\,\|\,\mathcal N(0, 1)\bigr) = \tfrac12\bigl(\mu^2 + \sigma^2 - 1 - \log\sigma^2\bigr) .
# $$
#
# Insert $\mu = \sqrt{\bar\alpha_T}\,x_0$ and $\sigma^2 = 1 - \bar\alpha_T$; the ones cancel; then collect the two terms with $\bar\alpha_T$:
#
# $$
# \begin{aligned}
# L_T &= \tfrac12\bigl(\bar\alpha_T x_0^2 + (1 - \bar\alpha_T) - 1 - \log(1 - \bar\alpha_T)\bigr)\\
# &= \tfrac12\bigl(\bar\alpha_T x_0^2 - \bar\alpha_T - \log(1 - \bar\alpha_T)\bigr)\\
# &= \tfrac12\bigl(\bar\alpha_T\,(x_0^2 - 1) - \log(1 - \bar\alpha_T)\bigr) .
# \end{aligned}
# $$ (eq:prior-kl)
#
# This is the number for one pixel with the value $x_0$, in nats; divided by $\log 2$ it is in bits. For a picture it is averaged over the pixels, which only replaces $x_0^2$ by its average. The name $L_T$ is that of {cite:t}`ho2020`: it is the term {eq}`def:prior-term` of the bound on the likelihood, which chapter 6 derives. The claim integrates the definition of the divergence numerically, at three times and for $x_0 = 0.8$.


# %%
def prior_nats(alpha_bar_T, x_0_squared):
    """L_T of a pixel; give the mean of x_0² for a mean over pixels."""
    shrunk = alpha_bar_T * (x_0_squared - 1)
    return (shrunk - torch.log1p(-alpha_bar_T)) / 2


# %% tags=["claim"]
def normal(x, mean, var):
    """The normal density."""
    return (
        torch.exp(-((x - mean) ** 2) / (2 * var))
        / (2 * math.pi * var).sqrt()
    )


def integral(values, x):
    return torch.trapezoid(values, x, dim=0)


x = torch.linspace(-14, 14, 20_001)[:, None]  # (points, times)
bars = alpha_bar[[100, 300, 1000]]
standard = normal(x, torch.zeros(1), torch.ones(1))
at_T = normal(x, bars.sqrt() * 0.8, 1 - bars).clamp(min=1e-300)
claim(
    "eq:prior-kl",
    got=integral(at_T * (at_T / standard).log(), x),
    want=prior_nats(bars, 0.8**2),
    rejects={
        "without the logarithm": bars * (0.8**2 - 1) / 2,
        "the logarithm of $s$, not of $s²$": (
            bars * (0.8**2 - 1) - torch.log1p(-bars) / 2
        )
        / 2,
        "the mean not squared": prior_nats(bars, 0.8),
        "the divergence turned around": (
            (1 + bars * 0.8**2) / (1 - bars) - 1 + torch.log1p(-bars)
        )
        / 2,
        "bits taken for nats": prior_nats(bars, 0.8**2) / math.log(2),
    },
)

# %% [markdown]
# At small $\bar\alpha_T$ the formula becomes plain. By {eq}`eq:log-remainder`, with $\bar\alpha_T$ in place of $\beta$, the logarithm contributes $\bar\alpha_T + \bar\alpha_T^2/2$ and terms of third order. The first of these cancels against $-\bar\alpha_T$:
#
# $$
# L_T = \tfrac12\,\bar\alpha_T\,x_0^2 + \tfrac14\,\bar\alpha_T^2 + O(\bar\alpha_T^3) .
# $$ (eq:prior-small)

# %% tags=["claim"]
A = sp.Symbol("A", positive=True)
X = sp.Symbol("x_0", real=True)
exact_nats = (A * (X**2 - 1) - sp.log(1 - A)) / 2
claim(
    "eq:prior-small",
    got=sp.series(exact_nats, A, 0, 3).removeO(),
    want=A * X**2 / 2 + A**2 / 4,
    rejects={
        "the variance in first order": A * (X**2 - 1) / 2 + A**2 / 4,
        "without the second order": A * X**2 / 2,
        "the root of $ᾱ$ in the mean": sp.sqrt(A) * X**2 / 2 + A**2 / 4,
    },
)

# %% [markdown]
# What is wrong with $x_T$ is its mean, which still leans toward the picture. That its variance is $1 - \bar\alpha_T$ and not 1 matters only in second order.
#
# The library's version works with a batch of pictures and any schedule. It returns the sum over the pixels, one number for each picture.

# %%
import inspect

from ddpm_lib.bound import bits_per_dim, kl, prior_term

print(inspect.getsource(prior_term))
print(inspect.getsource(kl))

# %% tags=["claim"]
squares = x_0.square().flatten(1)
claim(
    "eq:prior-kl",
    got=prior_term(linear(), x_0),
    want=prior_nats(alpha_bar[T], squares).sum(1),
    rejects={
        "a mean over the pixels": prior_nats(
            alpha_bar[T], squares
        ).mean(1),
        "at $T − 1$": prior_nats(alpha_bar[T - 1], squares).sum(1),
    },
)

# %% [markdown]
# Now some numbers. The table has the four schedules of the first figure and two between them. Its columns are the sum of the betas, $\sqrt{\bar\alpha_T}$, $\bar\alpha_T$, and $L_T$ of the digits in bits per pixel.


# %% tags=["nbval-check-output"]
def prior_bits(schedule):
    """L_T of the digits, in bits per pixel."""
    return bits_per_dim(prior_term(schedule, x_0), x_0).mean()


named = {
    "linear, T = 1000": linear(),
    "linear, T = 300": linear(T=300),
    "linear, T = 100": linear(T=100),
    "linear, T = 50": linear(T=50),
    "up to 0.002, T = 1000": linear(beta_T=0.002),
    "cosine, T = 1000": cosine(),
}
number = len(x_0.unique())
print(
    f"{number} levels, at most {math.log2(number):.2f} bits per pixel"
)
print(f"mean of x_0 squared: {squares.mean():.3f}")
print(f"{'':22}  sum  root  alpha_bar_T  bits/pixel")
for name, schedule in named.items():
    end = schedule.alpha_bar[-1]
    print(
        f"{name:22} {schedule.beta.sum():>5.2f} {end.sqrt():.3f}"
        f"  {end:>11.2g}  {prior_bits(schedule):>10.2g}"
    )

# %% [markdown]
# A pixel of these pictures has 17 levels, so it needs at most 4.09 bits. Against that, the $2.1\cdot10^{-5}$ of the thousand-step schedule are nothing. The 0.54 bits of 50 steps are not: at their end $x_T$ still holds 0.776 times the picture. In the row of the cosine the sum does not tell the end: its last betas are near 1, and the rest in {eq}`eq:sum-of-betas` is not small.
#
# ## What the start pays for
#
# One thing about $L_T$ is easily overlooked. It compares $\mathcal N(0, I)$ with $q(x_T \mid x_0)$, for each picture separately. A sampler does not know $x_0$. It starts well if $\mathcal N(0, I)$ agrees with $q(x_T)$, the distribution of $x_T$ when $x_0$ is drawn from the data. To compare the two, write the average of $L_T$ over the data as the expectation that it is, with $p(x_T)$ for the standard normal density:
#
# $$
# \mathbb E[L_T] = \mathbb E\left[\log\frac{q(x_T \mid x_0)}{p(x_T)}\right] .
# $$
#
# Multiply the fraction by $q(x_T)/q(x_T) = 1$, and split the logarithm of the product:
#
# $$
# \begin{aligned}
# \mathbb E[L_T] &= \mathbb E\left[\log\frac{q(x_T \mid x_0)}{q(x_T)}\cdot\frac{q(x_T)}{p(x_T)}\right]\\[6pt]
# &= \underbrace{\mathbb E\left[\log\frac{q(x_T \mid x_0)}{q(x_T)}\right]}_{\text{information}} + \underbrace{\mathbb E\left[\log\frac{q(x_T)}{p(x_T)}\right]}_{\text{start}} .
# \end{aligned}
# $$ (eq:prior-split)
#
# The first term says how much $x_T$ tells about $x_0$. It is called the *mutual information* of the two. For each $x_0$ it averages a divergence, that of $q(x_T \mid x_0)$ from $q(x_T)$, so by {eq}`eq:kl-positive` it is not negative. The second term is the divergence of $q(x_T)$ from $p(x_T)$. This alone is what a sampler pays for its start, and it is at most the average of $L_T$. If the data are themselves $\mathcal N(0, I)$, the second term is zero at every $t$, since then $q(x_t)$ is $\mathcal N(0, I)$ throughout. So a small $L_T$ makes a good start, for any data; a large one need not make a bad start. We shall have to measure.
#
# To measure we need data for which $q(x_t)$ is known. A single normal distribution is too tame. Take several, a *Gaussian mixture*: with the probability $w_k$ a number is drawn from the $k$-th normal distribution, the $k$-th *component*, which has the mean $m_k$. All have the standard deviation $\varsigma$, their *width*. With weights $w_k > 0$ that sum to 1,
#
# $$
# q(x_0) = \sum_k w_k\, \mathcal N(x_0;\ m_k,\ \varsigma^2) .
# $$ (def:mixture)
#
# What does noise make of it? Suppose that $x_0$ came from the $k$-th component. Then $x_t = a x_0 + s\,\bar\epsilon_t$, with $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1 - \bar\alpha_t}$, is a sum of two independent normal numbers: $a x_0$ with mean $a m_k$ and variance $a^2\varsigma^2$, and $s\,\bar\epsilon_t$ with mean 0 and variance $s^2$. By {eq}`eq:convolution` the sum is normal, and means and variances add. The component that $x_0$ came from is still $k$ with the probability $w_k$. Summed over the components,
#
# $$
# q(x_t) = \sum_k w_k\, \mathcal N\bigl(x_t;\ a\,m_k,\ a^2\varsigma^2 + s^2\bigr) .
# $$ (eq:mixture-noised)
#
# Our mixture has two components, at $-1$ and $1$, of width 0.2. We give them the weights 0.8 and 0.2. With equal weights the mean would be 0, which is the mean of $\mathcal N(0, 1)$ too, and some of the damage of a wrong start would not show.

# %%
weights, centers = torch.tensor([0.8, 0.2]), torch.tensor([-1.0, 1.0])
width = 0.2


def noised_density(x, alpha_bar_t):
    """q(x_t) of the mixture.  x: (N,)  ->  (N,)"""
    means = alpha_bar_t.sqrt() * centers
    var = alpha_bar_t * width**2 + 1 - alpha_bar_t
    return (weights * normal(x[:, None], means, var)).sum(1)


# %% [markdown]
# The first claim noises two hundred thousand draws at $t = 200$ and counts how many lie below each of seven thresholds. The second compares our function with the library's, which treats mixtures in any number of dimensions.

# %% tags=["claim"]
from ddpm_lib import exact

two = exact.isotropic(weights, centers[:, None], width)
draws = exact.draw(two, 200_000)
noisy = add_noise(linear(), draws, 200, torch.randn(200_000, 1))
levels = torch.linspace(-1.8, 1.8, 7)


def share_below(means, var):
    """Of the mixture with these means and this variance, (7,)"""
    parts = torch.special.ndtr((levels[:, None] - means) / var.sqrt())
    return (weights * parts).sum(1)


bar = alpha_bar[200]
claim(
    "eq:mixture-noised",
    got=mean(noisy < levels),
    want=share_below(bar.sqrt() * centers, bar * width**2 + 1 - bar),
    rejects={
        "means times $ᾱ$": share_below(
            bar * centers, bar * width**2 + 1 - bar
        ),
        "the width not shrunk": share_below(
            bar.sqrt() * centers, width**2 + 1 - bar
        ),
        "noise alone around the means": share_below(
            bar.sqrt() * centers, 1 - bar
        ),
    },
)
points = torch.linspace(-3, 3, 13)
at_200 = exact.noised(linear(), two, 200)
claim(
    "eq:mixture-noised",
    got=exact.log_density(at_200, points[:, None]).exp(),
    want=noised_density(points, bar),
    rejects={
        "at $t = 199$": noised_density(points, alpha_bar[199]),
        "standard deviations for variances": noised_density(
            points, bar.sqrt()
        ),
    },
)

# %% [markdown]
# With the mixture we can also execute {eq}`eq:prior-split`. By {eq}`eq:prior-kl`, the average of $L_T$ needs only the average of $x_0^2$, which is $\varsigma^2 + \sum_k w_k m_k^2$. The second term is an integral over $x_T$. The first is a double integral: over $x_T$ for the divergence of $q(x_T \mid x_0)$ from $q(x_T)$, then over $x_0$ for its average. We take $\bar\alpha_T$ at the end of the 50 steps.

# %% tags=["claim"]
short = linear(T=50)
end = short.alpha_bar[-1]
line, origin = torch.linspace(-9, 9, 2001), torch.linspace(-3, 3, 301)
q_T = noised_density(line, end)
p_T = normal(line, torch.zeros(()), torch.ones(()))
q_0 = noised_density(origin, torch.ones(()))
given = normal(line[:, None], end.sqrt() * origin, 1 - end)
away = integral(given * (given / q_T[:, None]).log(), line[:, None])
told = integral(q_0 * away, origin)
start = integral(q_T * (q_T / p_T).log(), line)
average = width**2 + (weights * centers**2).sum()
claim(
    "eq:prior-split",
    got=told + start,
    want=prior_nats(end, average),
    rejects={
        "the start alone": start,
        "the information alone": told,
        "their difference": told - start,
    },
)

# %% tags=["nbval-check-output"]
for what, part in (("L_T", told + start), ("the start", start)):
    print(f"{what:9} {part / math.log(2):.3f} bits")

# %% [markdown]
# Of the 0.684 bits that $L_T$ counts for the mixture after 50 steps, the start pays less than a third.
#
# ## What a wrong start costs
#
# Next we let a sampler run and look at what it draws. Chapters 4 to 9 derive it, up to {eq}`def:algorithm-2`. Here it is a measuring device. It walks from $x_T$ to $x_0$, one step for each $t$, and where a network would estimate $x_0$ from $x_t$, it computes the exact mean $\mathbb E[x_0 \mid x_t]$ of the mixture, `exact_denoiser`. So nothing in it is badly trained. What can still be wrong is where it starts, and that its steps are not infinitely small. To tell these apart we start it twice, once from $\mathcal N(0, 1)$ and once from draws of the true $q(x_T)$.
#
# How far are its draws from the mixture? Take two distributions with the cumulative distribution functions $F$ and $G$, where $F(x)$ is the probability of a value up to $x$. The *Wasserstein-1 distance* compares them rank by rank. Let $F^{-1}(p)$ be the value with the share $p$ of all values below it; then
#
# $$
# W_1 = \int_0^1 \bigl|F^{-1}(p) - G^{-1}(p)\bigr|\,dp .
# $$ (def:wasserstein)
#
# Read a distribution as a heap of sand: $W_1$ is the amount of sand times the distance that it must travel to make one heap into the other. If 5 % of the sand must go from $-1$ to $1$, that is $0.05 \cdot 2 = 0.1$. For samples the integral becomes a mean. Let $x_{(1)} \le \dots \le x_{(n)}$ be the sorted draws from one distribution and $y_{(1)} \le \dots \le y_{(n)}$ those from the other. Then $F^{-1}(p) = x_{(i)}$ for all $p$ between $(i-1)/n$ and $i/n$, likewise for $G$, and each piece of the integral has the length $1/n$:
#
# $$
# W_1 = \frac1n \sum_{i=1}^n \bigl|x_{(i)} - y_{(i)}\bigr| .
# $$ (eq:wasserstein-sorted)
#
# There is another way to compute it. The integral is the area between the two curves $F^{-1}$ and $G^{-1}$. Swapping the axes does not change an area, and it turns them into $F$ and $G$, so $W_1 = \int |F(x) - G(x)|\,dx$. The claim takes this route.


# %%
def distance(x, y):
    """W_1 of two samples of equal size.  x, y: (n,)"""
    return (x.sort().values - y.sort().values).abs().mean()


# %% tags=["claim"]
left, right = torch.randn(500), 0.3 + 0.8 * torch.randn(500)
every = torch.cat([left, right]).sort().values
F = (left[:, None] <= every).double().mean(0)
G = (right[:, None] <= every).double().mean(0)
claim(
    "eq:wasserstein-sorted",
    got=((F - G).abs()[:-1] * every.diff()).sum(),
    want=distance(left, right),
    rejects={
        "not sorted": (left - right).abs().mean(),
        "the difference of the means": (
            left.mean() - right.mean()
        ).abs(),
        "squared": (left.sort().values - right.sort().values)
        .square()
        .mean(),
    },
)

# %% [markdown]
# Two samples from the *same* distribution have a distance too, because they are finite. A distance means something only beside this floor. We compare each sample of eight thousand with eight thousand quantiles of the mixture, taken from a million draws; the floor is what fresh draws of the mixture score. The two starts are sorted and get the same noise on the way, so their results differ by the start alone.
#
# Seven schedules take part. The fifth has 0.002 for 0.02. The last two have 50 steps like the fourth, but end in noise; the later sections say how.

# %%
from ddpm_lib.sampling import ddpm, sample

n = 8000
truth = exact.draw(two, 125 * n)[:, 0].sort().values[62::125]


def both_starts(schedule):
    """Draws when started from q(x_T), and from N(0, 1).  (n,), (n,)"""
    right = exact.draw(exact.noised(schedule, two, schedule.T), n)
    wrong = torch.randn(n, 1)
    x_T = torch.cat([right.sort(0).values, wrong.sort(0).values])
    *_, x = sample(
        ddpm(),
        schedule,
        exact.exact_denoiser(schedule, two),
        x_T,
        randn=lambda shape: torch.randn(n, 1).repeat(2, 1),
    )
    return x[:n, 0], x[n:, 0]


kept = linear().alpha_bar[torch.arange(0, 1001, 20)]
every_20 = Schedule.from_betas(1 - kept[1:] / kept[:-1])
measured = {
    "linear, T = 1000": linear(),
    "linear, T = 300": linear(T=300),
    "linear, T = 100": linear(T=100),
    "linear, T = 50": linear(T=50),
    "up to 0.002, T = 1000": linear(beta_T=0.002),
    "every 20th, T = 50": every_20,
    "cosine, T = 50": cosine(T=50),
}
drawn = {name: both_starts(s) for name, s in measured.items()}

# %% tags=["nbval-check-output"]
floor = torch.stack(
    [distance(exact.draw(two, n)[:, 0], truth) for _ in range(20)]
)
print(f"floor: mean {floor.mean():.3f}, largest {floor.max():.3f}")
share_error, width_error = (
    math.sqrt(0.8 * 0.2 / n),
    0.2 / math.sqrt(1.6 * n),
)
print(
    f"standard error: share {share_error:.3f}, width {width_error:.3f}"
)
print(f"{'':22}        W_1 from     left, from     width")
print(f"{'':22} root  q(x_T) N(0,1)  q(x_T) N(0,1)")
for name, pair in drawn.items():
    a_T = measured[name].alpha_bar[-1].sqrt()
    far = " ".join(f"{distance(x, truth):.3f} " for x in pair)
    left = "  ".join(f"{(x < 0).double().mean():.3f}" for x in pair)
    wide = pair[1][pair[1] < 0].std()
    print(f"{name:22} {a_T:.3f} {far}  {left}   {wide:.3f}")

# %% [markdown]
# The columns are $\sqrt{\bar\alpha_T}$; the distance from the mixture after each start; the share of the draws in the left hump, which is 0.8 in the data; and the standard deviation of that hump after the start from $\mathcal N(0, 1)$, which is 0.2 in the data. Above them stand the standard errors of a share and of a width for eight thousand draws.
#
# Started from the true $q(x_T)$, the first five schedules stay within the largest distance of fresh draws, with a thousand steps and with 50. The distance is a coarse instrument: it does not notice that the left hump, in the last column, is narrower than 0.2 by two to six standard errors in each of these rows. Started from $\mathcal N(0, 1)$, the schedule that ends in noise does just as well. With $T = 100$ the distance is 0.21, with $T = 50$ it is 0.35, and with the slip of a factor ten 0.19, about twenty to forty times the mean of the floor. With $T = 300$ it cannot tell: 0.018 and 0.007 are both within the floor.
#
# The shares say what happened. With 50 steps, 63 % of the draws are in the left hump where 80 % belong. The missing 17 % of the sand must travel the distance 2, and that is nearly all of the 0.35. Each draw alone looks right, as {numref}`fig-start` shows: it lies in one of the two humps, and these are where they belong and almost as wide. Only the proportions are wrong.
#
# The last two rows are the opposite case. Their 50 steps end in noise, and the start does not matter. But the left hump is too narrow, 0.167 and 0.177 in place of 0.2. That is many times the standard error, and narrower than the 0.188 of the 50 smaller steps in the fourth row. Where steps are large, this sampler adds too little noise: {eq}`eq:reverse-variance` of chapter 5 says how much it leaves out. A start that fits and steps that are small are two separate demands, and only together they ask for many steps.

# %% tags=["figure"] mystnb={"image": {"alt": "Two panels. Left: densities of x at T = 50. A broad curve with its peak near minus 0.7 is the true one, the standard normal curve peaks at 0. Right: the density of the data and histograms of two samples, with humps at minus 1 and 1. The data and the sample started from the true distribution have a tall left hump and a low right one. The sample started from standard normal noise has a lower left hump and a right hump of about twice the height."}, "figure": {"name": "fig-start", "caption": "The linear schedule in 50 steps. Left: where the sampler should start and where it does. Right: what it draws from the two starts, and the density of the data. The places and the widths of the two humps survive a wrong start, their weights do not."}}
import matplotlib.pyplot as plt

fig, (before, after) = plt.subplots(1, 2, figsize=(7, 2.9))
near = line.abs() < 3.5
before.plot(line[near], q_T[near], color=DATA, ls="-")
before.plot(line[near], p_T[near], color=NOISE, ls="--")
before.annotate("$q(x_T)$", (-2.9, 0.36), color=DATA)
before.annotate(r"$\mathcal{N}(0, 1)$", (1.2, 0.3), color=NOISE)
before.set(xlabel="$x_T$", ylabel="density", ylim=(0, 0.6))
bins = torch.linspace(-2, 2, 61)
for x, color, style_ in zip(
    drawn["linear, T = 50"], (DATA, NOISE), ("-", "--"), strict=True
):
    height = torch.histogram(x, bins, density=True).hist
    after.stairs(height, bins, color=color, ls=style_, lw=1.5)
near = line.abs() < 2
clean = noised_density(line, torch.ones(()))
after.plot(line[near], clean[near], color=GRAY, ls=":", lw=2)
after.annotate("data", (-0.72, 1.5), color=GRAY)
after.annotate("from $q(x_T)$", (-0.6, 1.2), color=DATA)
after.annotate(r"from $\mathcal{N}(0, 1)$", (0.4, 0.9), color=NOISE)
after.set(xlabel="$x_0$", xlim=(-2, 2))
plt.show()

# %% [markdown]
# ## Why the weights change
#
# With exact means and small steps, the walk back from a given $x_T$ ends in a draw of $q(x_0 \mid x_T)$. So ask which hump a given $x_T$ came from. By Bayes' rule, with $v = a^2\varsigma^2 + s^2$ for the variance of each component at $T$,
#
# $$
# q(k \mid x_T) = \frac{w_k\,\mathcal N(x_T;\ a\,m_k, v)}{\sum_j w_j\,\mathcal N(x_T;\ a\,m_j, v)} .
# $$
#
# The share of the draws that ends in hump $k$ is the average of this over the start. Averaged over the true $q(x_T)$, which is the denominator, it is $\int w_k\,\mathcal N(x_T;\ a\,m_k, v)\,dx_T = w_k$, as it should be. Averaged over $\mathcal N(0, 1)$ it is
#
# $$
# w_k' = \int q(k \mid x_T)\;\mathcal N(x_T;\ 0, 1)\,dx_T .
# $$ (eq:start-weights)
#
# The claim takes no small steps. It leaps from $x_T$ to $x_0$ in one draw of the exact mixture $q(x_0 \mid x_T)$, two hundred thousand times, for the schedule of 50 steps. The table after it has the walk.


# %%
def left_share(alpha_bar_T):
    """w'_1, the weight of the left hump after a start from N(0, 1)"""
    means = alpha_bar_T.sqrt() * centers
    var = alpha_bar_T * width**2 + 1 - alpha_bar_T
    parts = weights * normal(line[:, None], means, var)
    return integral(parts[:, 0] / parts.sum(1) * p_T, line)


# %% tags=["claim"]
from_noise = torch.randn(200_000, 1)
ends = exact.draw(
    exact.reverse(short, two, from_noise, 50, 0), len(from_noise)
)
claim(
    "eq:start-weights",
    got=mean(ends[:, 0] < 0),
    want=left_share(end),
    rejects={
        "the weights of the data": weights[0],
        "$ᾱ_T$ in place of its root": left_share(end**2),
        "half and half, as the start is": 0.5,
    },
)

# %% [markdown]
# How does the damage depend on $\bar\alpha_T$? For a formula we need data for which the integral can be done, and a single normal distribution $\mathcal N(m, V)$ will do. Then $x_0$ and $x_T = a x_0 + s\,\bar\epsilon_T$ are jointly normal, with $\mathbb E[x_T] = am$, $\operatorname{Var}[x_T] = a^2V + s^2$ and $\operatorname{Cov}[x_0, x_T] = aV$. Chapter 1 conditioned such a pair, {eq}`eq:conditional-gaussian`:
#
# $$
# \mathbb E[x_0 \mid x_T] = m + \frac{aV}{a^2V + s^2}\,(x_T - am) .
# $$
#
# Average over $x_T \sim \mathcal N(0, 1)$, whose mean is 0; write both terms over one denominator; cancel $a^2V$; and divide numerator and denominator by $s^2$, where $a^2/s^2 = \mathrm{SNR}(T)$:
#
# $$
# \begin{aligned}
# m' &= m - \frac{a^2V\,m}{a^2V + s^2}\\[6pt]
# &= \frac{m\,(a^2V + s^2) - a^2V\,m}{a^2V + s^2}\\[6pt]
# &= \frac{m\,s^2}{a^2V + s^2}\\[6pt]
# &= \frac{m}{1 + V\,\mathrm{SNR}(T)} .
# \end{aligned}
# $$ (eq:start-mean)
#
# The claim averages the exact denoiser over $\mathcal N(0, 1)$, for data from $\mathcal N(0.5,\ 0.7^2)$ and the schedule of 50 steps.

# %% tags=["claim"]
single = exact.isotropic(
    torch.ones(1), torch.tensor([[0.5]]), torch.tensor(0.7)
)
guess = exact.exact_denoiser(short, single)(line[:, None], 50).x_0
snr_T = short.snr[-1]
claim(
    "eq:start-mean",
    got=integral(guess[:, 0] * p_T, line),
    want=0.5 / (1 + 0.7**2 * snr_T),
    rejects={
        "no damage": 0.5,
        "without $V$": 0.5 / (1 + snr_T),
        "the root of the SNR": 0.5 / (1 + 0.7**2 * snr_T.sqrt()),
        "times $1 − ᾱ_T$": 0.5 * (1 - end),
    },
)

# %% [markdown]
# So a wrong start pulls the mean toward 0, by the factor $1/(1 + V\,\mathrm{SNR}(T))$. Our data are no single normal distribution, but their mean is $-0.6$ and their variance $\varsigma^2 + 1 - 0.6^2 = 0.68$. Let us see how far the formula carries.

# %% tags=["nbval-check-output"]
print(f"{'':22}    left hump         mean")
print(f"{'':22}  formula drawn  formula  drawn")
for name in list(measured)[:5]:
    schedule, x = measured[name], drawn[name][1]
    guess = -0.6 / (1 + 0.68 * schedule.snr[-1])
    print(
        f"{name:22}    {left_share(schedule.alpha_bar[-1]):.3f}"
        f" {(x < 0).double().mean():.3f}"
        f"   {guess:.3f} {x.mean():.3f}"
    )

directions = torch.linalg.eigvalsh(torch.cov(x_0.flatten(1).T))
print(f"digits: largest variance of a direction {directions[-1]:.2f}")
pull = 1 / (1 + directions[-1] * short.snr[-1])
print(f"its mean after 50 steps, times {pull:.2f}")

# %% [markdown]
# The integral says what the sampler did, to within 0.01, about two standard errors. The formula for the mean is rougher: the mixture loses more of its mean than a normal distribution would. For a small SNR it says that the mean loses the share $V\,\mathrm{SNR}(T)$, so the damage falls in proportion to $\bar\alpha_T$. At $4\cdot10^{-5}$ nothing of it can be seen.
#
# The $V$ in it deserves a second look. Each direction in which the data vary has a variance of its own, and those of many pixels together vary more than a pixel does. For the digits the largest variance of a direction is 2.79. After a start from $\mathcal N(0, I)$ at the end of 50 steps, the formula leaves 0.19 of the mean along it. In photographs such a direction is the brightness of the whole picture. {cite:t}`lin2024` report that large published models, whose schedules do not quite end in noise, draw pictures of medium brightness only. Part of their cure is a schedule with $\mathrm{SNR}(T) = 0$; it needs a network that predicts something other than the noise, such as the $v$ of {eq}`def:v` in chapter 7.
#
# ## Fewer steps
#
# The number of steps and the size of the betas must change together. A tempting shortcut forgets it: to make training or sampling faster, $T$ is lowered to 300, 100 or 50, and the range from $10^{-4}$ to 0.02 stays. By {eq}`eq:linear-sum` the sum falls in proportion to $T$, and with it the noise at the end. There are two repairs.
#
# The first multiplies the range by $1000/T$. The sum $T(\beta_1 + \beta_T)/2$ is then what it was. It works as long as the largest beta stays below 1, that is for $T > 20$.
#
# The second keeps the values of $\bar\alpha_t$ and visits fewer of them. Choose times $0 = t_0 < t_1 < \dots < t_n = T$ of the long schedule. By {eq}`eq:leap`, going from $t_{k-1}$ to $t_k$ at once is a single step whose factor is the ratio of the two, so the short schedule has the betas
#
# $$
# \beta'_k = 1 - \frac{\bar\alpha_{t_k}}{\bar\alpha_{t_{k-1}}} .
# $$
#
# Its own $\bar\alpha'$ is the product of the ratios, in which each numerator cancels the next denominator:
#
# $$
# \bar\alpha'_n = \frac{\bar\alpha_{t_1}}{\bar\alpha_{t_0}}\cdot\frac{\bar\alpha_{t_2}}{\bar\alpha_{t_1}}\cdots\frac{\bar\alpha_{t_n}}{\bar\alpha_{t_{n-1}}} = \frac{\bar\alpha_{t_n}}{\bar\alpha_{0}} = \bar\alpha_{T} .
# $$ (eq:respaced)
#
# The same holds up to any $k < n$. This works for every number of steps, and every beta is between 0 and 1, because $\bar\alpha_t$ falls.


# %%
def respaced(alpha_bar, n):
    """The betas that visit n of the T times of a table."""
    times = torch.linspace(0, len(alpha_bar) - 1, n + 1).round().long()
    kept = alpha_bar[times]
    return 1 - kept[1:] / kept[:-1]


# %% tags=["claim"]
every_20th = torch.arange(20, T + 1, 20)
claim(
    "eq:respaced",
    got=(1 - respaced(alpha_bar, 50)).cumprod(0),
    want=alpha_bar[every_20th],
    rejects={
        "every 20th beta": (1 - beta[every_20th]).cumprod(0),
        "every 20th beta, times 20": (
            1 - 20 * beta[every_20th]
        ).cumprod(0),
        "the fixed range": linear(T=50).alpha_bar[1:],
        "differences of $ᾱ$": (
            1 + alpha_bar[every_20th] - alpha_bar[every_20th - 20]
        ).cumprod(0),
    },
)

# %% tags=["nbval-check-output"]
print("  T  range fixed  range times 1000/T   respaced")
for steps in (300, 100, 50, 20):
    fixed = linear(T=steps).alpha_bar[-1]
    try:
        wide = linear(steps, 0.1 / steps, 20 / steps).alpha_bar[-1]
        wider = f"{wide:.1e}"
    except ValueError:
        wider = "largest beta is 1"
    last = (1 - respaced(alpha_bar, steps)).prod()
    print(f"{steps:>3} {fixed:>12.3f} {wider:>19} {last:>10.1e}")

# %% [markdown]
# The scaled range overshoots, at $T = 50$ to an $\bar\alpha_T$ five times too small: the larger the betas, the more the second order of {eq}`eq:sum-of-betas` adds. Neither repair is free. Fewer steps from the same start to the same end are larger steps, and the last two rows of the measurement have shown what those cost.
#
# ## The cosine
#
# With the linear schedule the digits are gone well before $T$; the last third of the first row in {numref}`fig-ends` is noise and more noise. {cite:t}`nichol2021` found this wasteful for small pictures and turned the construction around. They choose $\bar\alpha_t$, and let the betas follow. The shape is a squared cosine, which falls slowly at both ends:
#
# $$
# \bar\alpha_t = \frac{f(t)}{f(0)}, \qquad f(t) = \cos^2\left(\frac{t/T + \delta}{1 + \delta}\cdot\frac\pi2\right) .
# $$ (eq:cosine)
#
# The offset $\delta$ is 0.008; we shall see why. Dividing by $f(0)$ makes $\bar\alpha_0 = 1$, as it has to be. At $t = T$ the argument is $\pi/2$, so $\bar\alpha_T = 0$. What are the betas? Since $\bar\alpha_t = (1 - \beta_t)\,\bar\alpha_{t-1}$, solve for $\beta_t$; insert {eq}`eq:cosine`; cancel $f(0)$:
#
# $$
# \begin{aligned}
# \beta_t &= 1 - \frac{\bar\alpha_t}{\bar\alpha_{t-1}}\\[6pt]
# &= 1 - \frac{f(t)/f(0)}{f(t-1)/f(0)}\\[6pt]
# &= 1 - \frac{f(t)}{f(t-1)} .
# \end{aligned}
# $$ (eq:cosine-beta)
#
# One more thing is needed. At $t = T$ this gives $\beta_T = 1$, a step that keeps nothing. Then $\alpha_T = 0$, and the way back, which divides by $\sqrt{\alpha_t}$, has no first step. So each beta is cut at 0.999, and $\bar\alpha_t$ is computed from the betas *after* the cut.

# %%
offset = 0.008


def f(t, T=1000, offset=offset):
    """The squared cosine, not yet divided by f(0)."""
    angle = (t / T + offset) / (1 + offset) * math.pi / 2
    return torch.cos(angle) ** 2


t = torch.arange(T + 1).double()
beta_cosine = (1 - f(t[1:]) / f(t[:-1])).clamp(max=0.999)

print(inspect.getsource(cosine))

# %% tags=["claim"]
claim(
    "eq:cosine",
    got=(1 - beta_cosine).cumprod(0)[:-1],  # before the cut at T
    want=(f(t) / f(t[:1]))[1:-1],
    rejects={
        "not divided by $f(0)$": f(t)[1:-1],
        "the cosine not squared": (f(t) / f(t[:1])).sqrt()[1:-1],
        "without the offset": f(t, offset=0)[1:-1],
    },
)
table = f(t) / f(t[:1])
low = table.clamp(min=0.001)
claim(
    "eq:cosine-beta",
    got=cosine().beta[1:],
    want=beta_cosine,
    rejects={
        "no cut": 1 - table[1:] / table[:-1],
        "$ᾱ$ cut instead of $β$": 1 - low[1:] / low[:-1],
        "differences of $ᾱ$": table[:-1] - table[1:],
        "without the offset": cosine(s=0).beta[1:],
    },
)

# %% [markdown]
# How many betas does the cut touch, and what is the offset $\delta$ good for? Both questions are about an end of the cosine. Let $\zeta = \frac{\pi}{2T(1+\delta)}$ be the angle that one step adds. Near the end, $k$ steps before $T$, the angle is $\pi/2 - k\zeta$, and its cosine is $\sin k\zeta$. Small angles are their own sine, so
#
# $$
# \beta_{T-k} = 1 - \frac{\sin^2 k\zeta}{\sin^2 (k+1)\zeta} \approx 1 - \frac{k^2}{(k+1)^2} .
# $$ (eq:cosine-end)
#
# The last betas are 1, $\tfrac34$, $\tfrac59$, $\tfrac7{16}$, whatever $T$ is. Only the first of these is cut.
#
# At the beginning the angle is $\zeta T\delta$ at $t = 0$ and $\zeta(T\delta + 1)$ at $t = 1$. The squared cosine of a small angle is about 1 less the square of the angle. In $\beta_1 = \bigl(f(0) - f(1)\bigr)/f(0)$ the denominator is nearly 1, so $\beta_1$ is about the difference of the two squares:
#
# $$
# \beta_1 \approx \zeta^2 (T\delta + 1)^2 - \zeta^2 (T\delta)^2 = \zeta^2\,(1 + 2T\delta) .
# $$ (eq:cosine-first)

# %% tags=["claim"]
k, zeta, c = sp.symbols("k zeta c", positive=True)  # c is T δ
at_end = 1 - sp.sin(k * zeta) ** 2 / sp.sin((k + 1) * zeta) ** 2
claim(
    "eq:cosine-end",
    got=sp.limit(at_end, zeta, 0),
    want=1 - k**2 / (k + 1) ** 2,
    rejects={
        "sines not squared": 1 - k / (k + 1),
        "counted from 1": 1 - (k - 1) ** 2 / k**2,
    },
)
at_start = 1 - (sp.cos((c + 1) * zeta) / sp.cos(c * zeta)) ** 2
claim(
    "eq:cosine-first",
    got=sp.series(at_start, zeta, 0, 4).removeO(),
    want=zeta**2 * (1 + 2 * c),
    rejects={
        "without the offset": zeta**2,
        "a cosine not squared": zeta**2 * (1 + 2 * c) / 2,
    },
)

# %% tags=["nbval-check-output"]
print("last betas:", [round(float(x), 3) for x in cosine().beta[-4:]])
for delta in (0, 0.008):
    first_beta = cosine(s=delta).beta[1]
    print(
        f"offset {delta:<5}  beta_1 {first_beta:.2g}"
        f"  its root {first_beta.sqrt():.4f}"
    )
print(f"one level of 256 is {2 / 255:.4f} wide")
print(f"alpha_bar_T after the cut: {cosine().alpha_bar[-1]:.1e}")

# %% [markdown]
# Without the offset the first step adds noise with a standard deviation of 0.0016. A picture with 256 levels, scaled to lie between $-1$ and 1, has levels that are 0.0078 apart. So the first steps would be spent on noise far below what the picture can show. The offset makes the first step add 0.0064, a little less than one level, and this is how {cite:t}`nichol2021` chose it.
#
# ## The clock
#
# Linear or cosine, 50 steps or 1000: what is it that these differ in? Take the logarithm of the signal-to-noise ratio {eq}`def:snr`:
#
# $$
# \lambda_t = \log \mathrm{SNR}(t) = \log\bar\alpha_t - \log(1 - \bar\alpha_t) .
# $$ (def:log-snr)
#
# It knows everything that $\bar\alpha_t$ knows. To get back, take the exponential on both sides, multiply by $1 - \bar\alpha_t$, multiply out, bring $\bar\alpha_t$ to one side and take it out. Then divide by $1 + e^{\lambda_t}$, and last divide numerator and denominator by $e^{\lambda_t}$:
#
# $$
# \begin{aligned}
# e^{\lambda_t} &= \frac{\bar\alpha_t}{1 - \bar\alpha_t}\\
# e^{\lambda_t}(1 - \bar\alpha_t) &= \bar\alpha_t\\
# e^{\lambda_t} - e^{\lambda_t}\bar\alpha_t &= \bar\alpha_t\\
# e^{\lambda_t} &= \bar\alpha_t + e^{\lambda_t}\bar\alpha_t\\
# &= \bar\alpha_t\,(1 + e^{\lambda_t})\\
# \bar\alpha_t &= \frac{e^{\lambda_t}}{1 + e^{\lambda_t}} = \frac{1}{1 + e^{-\lambda_t}} .
# \end{aligned}
# $$ (eq:sigmoid)
#
# This is the logistic function of $\lambda_t$, in PyTorch `sigmoid`.

# %% tags=["claim"]
log_snr = alpha_bar[1:].log() - torch.log1p(-alpha_bar[1:])
claim(
    "eq:sigmoid",
    got=torch.sigmoid(log_snr),
    want=alpha_bar[1:],
    rejects={
        "the wrong sign, $1 − ᾱ$": torch.sigmoid(-log_snr),
        "a ratio of amplitudes": torch.sigmoid(log_snr / 2),
        "without the noise": torch.sigmoid(alpha_bar[1:].log()),
    },
)

# %% [markdown]
# The distribution $q(x_t \mid x_0)$ depends on $t$ through $\bar\alpha_t$ only, hence through $\lambda_t$ only. Two schedules at the same $\lambda$ show the network the same kind of picture, whatever they call the time. So a schedule is three decisions: at which $\lambda$ it begins, at which it ends, and how densely it visits those in between. It begins at $\lambda_1 = \log\bigl((1 - \beta_1)/\beta_1\bigr)$, about $-\log\beta_1$. It ends at about $\log\bar\alpha_T$, which for small betas is about minus their sum. {cite:t}`kingma2021` use $\lambda$ as the time itself; they show that with ever smaller steps the bound on the likelihood depends on the two ends alone, as the sum {eq}`eq:weight-sum` of chapter 7 does. In between, a schedule decides what the training practices most, and where the walk back takes small steps.

# %% tags=["nbval-check-output"]
print("share of the steps     linear  cosine")
for low, high, what in [
    (100, math.inf, "SNR above 100"),
    (0.01, 100, "0.01 to 100"),
    (0, 0.01, "SNR below 0.01"),
]:
    share = [
        ((s.snr[1:] > low) & (s.snr[1:] <= high)).double().mean()
        for s in (linear(), cosine())
    ]
    print(f"{what:22} {share[0]:>6.1%}  {share[1]:>6.1%}")
for name, schedule in (("linear", linear()), ("cosine", cosine())):
    ratio = schedule.snr.log()
    drop = schedule.alpha_bar[:-1] - schedule.alpha_bar[1:]
    steepest = int(drop.argmax()) + 1
    shown = (f"{ratio[i]:.1f} at {i}" for i in (1, 999, 1000))
    print(f"{name}: log SNR", ", ".join(shown))
    print(f"        alpha_bar steepest at {steepest}")

# %% tags=["figure"] mystnb={"image": {"alt": "Two panels. Left: log-SNR against the share of steps taken. Both curves fall steeply at first. The linear one runs below the cosine one until nearly the end, where the cosine one dives to about minus 20. Right: share of the steps for each unit of log-SNR. The cosine has a hill at 0 with little beyond 5 on either side. The linear schedule has a lower hill just below 0 and from there a broad shoulder down to minus 10, where it stops."}, "figure": {"name": "fig-clock", "caption": "The logarithm of the signal-to-noise ratio as a clock. Left: what it shows after a share of the steps. Right: how many of the thousand steps fall on each unit of it. The linear schedule spends its steps where there is more noise."}}
fig, (clock, spent) = plt.subplots(1, 2, figsize=(7, 2.9))
edges = torch.arange(-20, 12).double()
for schedule, look, color in (
    (linear(), "-", "black"),
    (cosine(), "--", GRAY),
):
    ratio = schedule.snr[1:].log()
    clock.plot(t[1:] / T, ratio, ls=look, color=color)
    spent.stairs(
        torch.histogram(ratio, edges).hist / T,
        edges,
        ls=look,
        color=color,
        lw=1.8,
    )
clock.annotate("linear", (0.3, -6.5))
clock.annotate("cosine", (0.56, 1.0), color=GRAY)
clock.set(xlabel="$t/T$", ylabel=r"$\lambda_t$")
spent.annotate("linear", (-9.5, 0.11))
spent.annotate("cosine", (2.5, 0.13), color=GRAY)
spent.set(
    xlabel=r"$\lambda$", ylabel="share of the steps", xlim=(-21, 11)
)
plt.show()

# %% [markdown]
# The linear schedule of a thousand steps spends a third of them, 32.6 %, where the SNR is below 0.01, the cosine 6.4 %. Such steps have little to decide. The cosine puts them where the digits appear and disappear: 88 % of its steps lie between the SNRs 0.01 and 100. Its very last step, the one that was cut, goes from $\lambda = -12.9$ to $-19.8$ alone. For our mixture that is no better than the linear one's $-10.1$, which the measurement above has shown to be far enough.
#
# No schedule is best for all data. In a larger picture more pixels carry the same stroke, so it takes more noise to hide it, and the noisy end is no waste there. What a step is worth also depends on how the loss weighs it, the subject of chapter 7.
#
# In the figure below you can design schedules yourself.

# %% tags=["figure"] mystnb={"image": {"alt": "Two plots over the share of steps taken: alpha bar and the log-SNR, for the linear schedule with T = 1000 and with T = 100. With 100 steps, alpha bar ends at 0.36 instead of nearly 0."}, "figure": {"name": "fig-designer", "caption": "Design a schedule. The dotted curves are the linear schedule of chapter 2, for comparison. Bits are those of $L_T$ for a pixel of the digits."}}
from ddpm_lib.course.explore import explorable

fig, (left, right) = plt.subplots(1, 2, figsize=(5.4, 2.3))
for schedule, look in ((linear(), ":"), (linear(T=100), "-")):
    part = torch.arange(schedule.T + 1) / schedule.T
    left.plot(part, schedule.alpha_bar, look, color=DATA)
    right.plot(part[1:], schedule.snr[1:].log(), look, color=DATA)
left.annotate("T = 100", (0.5, 0.8), color=DATA)
left.annotate("T = 1000", (0.5, 0.2), color=DATA)
left.set(xlabel="$t/T$", ylabel=r"$\bar\alpha_t$")
right.set(xlabel="$t/T$", ylabel=r"$\lambda_t$")
explorable(
    "designer",
    {"second_moment": squares.mean().item()},
    still=fig,
)

# %% tags=["nbval-check-output"]
for last in (0.02, 0.12, 0.15):
    own = linear(T=100, beta_T=last)
    clean = int((own.snr[1:] > 100).sum())
    print(
        f"T = 100 up to {last}: {prior_bits(own):.2g} bits, "
        f"{clean} steps above SNR 100"
    )

# %% [markdown]
# With $T = 100$ and $\beta_T = 0.12$ the schedule just ends below 0.001 bits. By {eq}`eq:linear-sum` the sum of the betas has grown sixfold, and the early steps pay: only 4 of them leave an SNR above 100, instead of 9. On the way back, these nearly clean steps are where the finest detail is decided.
#
# The designer knows of the data only how large their squares are. The next cell takes a batch of any data and computes $L_T$ from it. On this page its slider shows how much the linear range of chapter 2 leaves when it is walked in fewer steps. In a notebook you can put your own pictures in place of `x_0`, and it has controls for the shape and the ends as well.

# %% mystnb={"image": {"alt": "Two plots of a noise schedule over t / T: alpha bar and the logarithm of the SNR. A colored curve is the linear schedule, a gray dashed one the cosine schedule."}, "figure": {"name": "fig-schedules-panel", "caption": "A linear schedule from $\\beta_1 = 0.0001$ to $\\beta_T = 0.02$, and in gray the cosine schedule. In a running notebook, this cell has controls for the shape, $T$ and the two ends."}}
from ddpm_lib.course import panels

panels.schedules(x_0)

# %% [markdown]
# ## Where tutorials go wrong
#
# A schedule is two lines of code, and nothing crashes when they are wrong. The numbers of the next cell and of the tables above are what gives the mistakes away.

# %% tags=["nbval-check-output"]
below = int((beta.cumsum(0) > 1).nonzero()[0])
print(f"1 − sum of the betas: negative from t = {below} on")

end = alpha_bar[T]
no_log = end * (squares.mean() - 1) / 2 / math.log(2)
print(f"L_T without the logarithm: {no_log:.1e} bits")
nats = prior_nats(end, squares.mean())
print(f"L_T: {nats:.2g} nats, {nats / math.log(2):.2g} bits")

f_0 = f(torch.zeros(()))
print(f"f(0) = {f_0:.5f}, as if it had noise {(1 - f_0).sqrt():.4f}")
uncut, cut = (
    ((1 - bar) / bar).sqrt()
    for bar in (table[-1], cosine().alpha_bar[-1])
)
print(f"s / a at T, the betas cut first: {cut:.0e}")
print(f"the betas cut last: beyond 1e12, {bool(uncut > 1e12)}")

fall = -linear().snr[1:].log().diff()  # fall[0] is at t = 2
slowest = int(fall.argmin()) + 2
print(
    "log SNR falls by",
    ", ".join(f"{fall[i - 2]:.4f} at {i}" for i in (2, slowest, T)),
)
for steps in (1000, 50):
    whole = torch.arange(steps) / steps  # divided by T
    betas = 1e-4 + whole * (0.02 - 1e-4)
    changed = Schedule.from_betas(betas).alpha_bar[-1]
    ratio = changed / linear(T=steps).alpha_bar[-1]
    print(f"divided by T = {steps}: alpha_bar_T times {ratio:.4f}")

# %% [markdown]
# *0.002 for 0.02.* A derivation note gives the range of the betas as $10^{-4}$ to 0.002. The sum is then 1.05, $\bar\alpha_T$ is 0.35, and $x_T$ holds 0.59 times the picture. Training runs, the loss falls, and the network learns what it is shown. The samples are off, because they start from noise that the network never saw: 71 % in the left hump where 80 % belong. The check is one line, `alpha_bar[-1]`, and it belongs in every program.
#
# *A shorter $T$ with the same range.* A widely copied program trains small models with $T = 50$ and betas from $10^{-4}$ to 0.02. At its end $\sqrt{\bar\alpha_T}$ is 0.776: more picture than noise. Draws can look right one by one, as ours do; it takes data with unequal weights, and a distance with its floor, to notice 0.35 where good draws score 0.01. Scale the range by $1000/T$, or respace a long schedule.
#
# *Sums for products.* From $\log\bar\alpha_t \approx -\sum\beta_u$ it is a short way to $\bar\alpha_t \approx 1 - \sum\beta_u$, which is right as long as the sum is small. For the linear schedule it is negative from $t = 313$ on, and its root is not a number.
#
# *A divergence without its logarithm.* If $-\log\sigma^2$ is forgotten, or dropped as a constant, $L_T$ of the digits is $-8.2\cdot10^{-6}$ bits. A KL divergence is never negative {eq}`eq:kl-positive`, so the sign alone tells.
#
# *Nats for bits.* The formula gives $1.4\cdot10^{-5}$ nats, which are $2.1\cdot10^{-5}$ bits. Reported without the unit, one cannot be compared with the other.
#
# *The cosine without $f(0)$.* In the betas $f(0)$ cancels, so a program that computes betas first may leave it out. One that uses $f(t)$ as $\bar\alpha_t$ may not: its clean pictures at $t = 0$ already have noise of standard deviation 0.0125.
#
# *A cut in the wrong place.* If $\bar\alpha_t$ is tabulated from the cosine and only then the betas are cut, two tables contradict each other at $T$. There $s/a$, by which an error of the network is multiplied when $x_0$ is computed from it, is $2\cdot10^4$ with the betas cut first. From the uncut table it is infinite; a computer, for which $\cos\frac\pi2$ is not quite 0, finds some number beyond $10^{12}$. If $\bar\alpha_t$ is cut instead of $\beta_t$, the last betas are zero.
#
# *Faster and faster.* Chapter 2 found that $\bar\alpha_t$ does not fall faster and faster: it is steepest at $t = 220$, and with the cosine at $t = 497$. On the clock that counts, $\lambda_t$, the linear schedule is fastest at its very beginning, by 0.79 at $t = 2$, slows down to 0.0099 at $t = 350$, and gains speed again toward the end, to 0.0202.
#
# *And one that is harmless.* Dividing by $T$ instead of $T - 1$ takes half of $\beta_T - \beta_1$ from the sum of the betas, whatever $T$ is, and makes $\bar\alpha_T$ larger by one percent.
#
# ## Exercises
#
# :::{exercise} Two hundred steps
# :label: ex-two-hundred
#
# With pencil. You want a linear schedule of $T = 200$ steps that begins with $\beta_1 = 10^{-4}$ and whose betas have the same sum as those of chapter 2, which is 10.05. Which $\beta_T$ do you need?
# :::

# %%
from ddpm_lib.course.checks import schedules as check

last_beta = ...
check.two_hundred(last_beta)

# %% [markdown]
# :::{solution-start} ex-two-hundred
# :class: dropdown
# :::
#
# By {eq}`eq:linear-sum` the sum is $T(\beta_1 + \beta_T)/2$. Solve $100\,(10^{-4} + \beta_T) = 10.05$: $\beta_T = 0.1005 - 0.0001 = 0.1004$. Scaling both ends of the range by 5 would give 0.0005 and 0.1, with the same sum; here the first beta stays small, and the last has to make up for it.

# %% tags=["solution"]
check.two_hundred(10.05 / 100 - 1e-4)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A whole picture
# :label: ex-whole
#
# With pencil and calculator. A picture has $64 \cdot 64$ pixels with three channels each, and every value is $-1$ or $1$. How large is $L_T$ for the whole picture, in bits, at $\bar\alpha_T = 4.04\cdot10^{-5}$?
# :::

# %%
bits_of_picture = ...
check.whole_picture(bits_of_picture)

# %% [markdown]
# :::{solution-start} ex-whole
# :class: dropdown
# :::
#
# With $x_0^2 = 1$ the first term of {eq}`eq:prior-kl` vanishes, and $L_T = -\tfrac12\log(1 - \bar\alpha_T) = 2.02\cdot10^{-5}$ nats for a value. There are $64\cdot64\cdot3 = 12288$ values, and a bit is $\log 2$ nats: $12288 \cdot 2.02\cdot10^{-5}/0.693 = 0.358$ bits. The end of the schedule has to be judged for the whole picture: with more pixels, more is left of it in $x_T$.

# %% tags=["solution"]
check.whole_picture(-12288 * math.log1p(-4.04e-5) / 2 / math.log(2))

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} By the clock
# :label: ex-clock
#
# Write a schedule whose $\lambda_1, \dots, \lambda_T$ are evenly spaced from `first` to `last`. Return its betas.
# :::


# %%
def by_the_clock(T, first, last):
    """beta_1 .. beta_T, (T,)"""
    return ...


check.by_the_clock(by_the_clock)

# %% [markdown]
# :::{solution-start} ex-clock
# :class: dropdown
# :::
#
# {eq}`eq:sigmoid` turns the clock into $\bar\alpha_t$. Put $\bar\alpha_0 = 1$ in front; then the ratios of neighbors are the factors $1 - \beta_t$. With the two ends of the linear schedule and a thousand steps, this one spends 48 % of its steps between the SNRs 0.01 and 100, fewer than either schedule of this chapter. Even steps of $\lambda$ are not the only reasonable choice.


# %% tags=["solution", "nbval-check-output"]
def by_the_clock(T, first, last):
    """beta_1 .. beta_T, (T,)"""
    bars = torch.sigmoid(torch.linspace(first, last, T))
    bars = torch.cat([torch.ones(1), bars])
    return 1 - bars[1:] / bars[:-1]


check.by_the_clock(by_the_clock)
even = Schedule.from_betas(by_the_clock(1000, 9.2, -10.1)).snr[1:]
between = ((even > 0.01) & (even <= 100)).double().mean()
print(f"between 0.01 and 100: {between:.0%}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Near enough
# :label: ex-near
#
# Data are $\mathcal N(0.5,\ 0.25)$, and the sampler starts from $\mathcal N(0, 1)$. Up to which $\mathrm{SNR}(T)$ does it lose at most 1 % of the mean? Then say why this is the wrong question for data with mean 0.
# :::

# %%
largest_snr = ...
check.near_enough(largest_snr)

# %% [markdown]
# :::{solution-start} ex-near
# :class: dropdown
# :::
#
# By {eq}`eq:start-mean` we need $1 + V\,\mathrm{SNR}(T) = 1/0.99$, so $\mathrm{SNR}(T) = (1/0.99 - 1)/0.25 = 0.0404$. If the mean is 0 it stays 0 at any SNR, and yet the start is wrong: the variance of $q(x_T)$ is not 1. Measured by the mean alone, the worst schedule would pass. So measure a distance between distributions, on data that are not symmetric.

# %% tags=["solution"]
check.near_enough((1 / 0.99 - 1) / 0.25)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: schedules
# :class: card
#
# $$
# \begin{aligned}
# \text{the end} \quad & \log\bar\alpha_T \approx -\textstyle\sum_t \beta_t; \quad \text{linear: } T\,(\beta_1 + \beta_T)/2 \approx 10\\
# \text{its distance from noise} \quad & L_T = \tfrac12\bigl(\bar\alpha_T(x_0^2 - 1) - \log(1 - \bar\alpha_T)\bigr) \approx \tfrac12\,\bar\alpha_T\,x_0^2 \text{ nats}\\
# \text{a wrong start} \quad & m' = m/\bigl(1 + V\,\mathrm{SNR}(T)\bigr)\\
# \text{fewer steps} \quad & \beta'_k = 1 - \bar\alpha_{t_k}/\bar\alpha_{t_{k-1}}\\
# \text{the clock} \quad & \lambda_t = \log\mathrm{SNR}(t), \quad \bar\alpha_t = 1/(1 + e^{-\lambda_t})
# \end{aligned}
# $$
#
# Print $\bar\alpha_T$ before you train. Change $T$, and you must change the betas.
# :::
#
# The forward direction is settled now, from its first step to its last; chapter 4 turns around and asks what $x_t$ and $x_0$ together tell about $x_{t-1}$.
