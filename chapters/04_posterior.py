# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # The way back, if you know the start
#
# A diffusion model draws a picture by undoing noising steps, one after the other. So it needs an answer to the question: where was the path one step before $x_t$? On its own, $x_t$ does not settle it, because many pictures lead to the same $x_t$. In this chapter we allow ourselves to look at the solution. Suppose that $x_0$, where the path began, is known. Then the answer can be computed exactly, and everything that follows is built on it: it is what a network will be trained to imitate, and the formula by which it will draw.
#
# :::{admonition} At a glance
# :class: glance
#
# 45 minutes to read, longer with a pencil; it runs in about half a minute on a laptop's CPU, and needs no GPU. You need chapter 2, above all {eq}`eq:kernel`, {eq}`eq:marginal` and {eq}`eq:covariance`, and from chapter 1 the product of two Gaussian densities {eq}`eq:product` and the conditional of a joint Gaussian {eq}`eq:conditional-gaussian`.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Many gray jagged paths of one pixel start at 0.8 and fan out over 300 steps. A narrow gate stands at t = 300 near minus 0.6. The thirty paths that pass it are drawn in vermillion. They start at 0.8 with all the others, spread out in the middle, and come together again at the gate."}, "figure": {"name": "fig-gate", "caption": "Forty thousand walks of one pixel start at $x_0 = 0.8$. A few of them are drawn in gray. In vermillion, thirty of those that pass a narrow gate at $t = 300$. Known at both ends, a walk is spread out only between them: where exactly is what this chapter computes."}}
import matplotlib.pyplot as plt
import torch

from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, style
from ddpm_lib.schedules import linear

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

schedule = linear()
T, beta, alpha = schedule.T, schedule.beta, schedule.alpha
alpha_bar = schedule.alpha_bar

walks = [torch.full((40_000,), 0.8)]
for t in range(1, 301):
    eps = torch.randn(40_000)
    walks.append(alpha[t].sqrt() * walks[-1] + beta[t].sqrt() * eps)
walks = torch.stack(walks)  # (301, 40000)
through = walks[:, (walks[300] + 0.6).abs() < 0.02]


def draw_gate(ax):
    ax.plot(walks[::4, :40], color=GRAY, ls="-", lw=0.4, alpha=0.35)
    ax.plot(through[::4, :30], color=NOISE, ls="-", lw=0.7, alpha=0.8)
    for end in (-1.1, -0.1):
        ax.plot([75, 75], [end, -0.6 + (end + 0.6) * 0.12], "k-", lw=3)
    ax.set_xticks(range(0, 76, 15), range(0, 301, 60))
    ax.set(xlabel="$t$", ylabel="$x_t$", ylim=(-2, 2.4), xlim=(-2, 77))


fig, ax = plt.subplots(figsize=(6, 3.2))
draw_gate(ax)
plt.show()

# %% [markdown]
# ## Two witnesses
#
# We begin with one pixel and two large steps, whose numbers can be handled with a pencil. Let $\alpha_1 = 0.64$ and $\alpha_2 = 0.25$, and let the pixel start at $x_0 = 1$. Two steps later we find it at $x_2 = -0.4$. Where was it in between?
#
# One witness saw the start. By {eq}`eq:kernel`, the first step leads to a normal $x_1$ with mean $\sqrt{0.64}\cdot 1 = 0.8$ and variance $\beta_1 = 0.36$. This is what we know about $x_1$ before we look at $x_2$, and it is called the *prior*.
#
# The other witness saw the end. The second step was $x_2 = 0.5\,x_1 + \sqrt{0.75}\;\epsilon_2$. Had there been no noise, $x_1$ would have been $-0.4/0.5 = -0.8$. There was noise, so other values of $x_1$ are possible too, but those far from $-0.8$ need a rare $\epsilon_2$. How well a value of $x_1$ explains the $x_2$ that we see is the density $q(x_2 \mid x_1)$, read as a function of $x_1$. It is called the *likelihood*.
#
# The two witnesses disagree, and both are uncertain. How are they to be combined? Write the joint density of $x_1$ and $x_2$, for given $x_0$, in both orders: first draw one of the two, then the other.
#
# $$
# \begin{aligned}
# q(x_1, x_2 \mid x_0) &= q(x_2 \mid x_1, x_0)\;q(x_1 \mid x_0)\\
# q(x_1, x_2 \mid x_0) &= q(x_1 \mid x_2, x_0)\;q(x_2 \mid x_0)
# \end{aligned}
# $$
#
# The right sides are equal. Divide by $q(x_2 \mid x_0)$, and write $t - 1$ and $t$ for 1 and 2, since nothing depended on the numbers:
#
# $$
# q(x_{t-1} \mid x_t, x_0) = \frac{q(x_t \mid x_{t-1}, x_0)\;q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)} .
# $$
#
# This is *Bayes' rule*, with $x_0$ held fixed throughout. The left side, the *posterior*, is what we are looking for. One simplification remains. The step from $x_{t-1}$ to $x_t$ uses $x_{t-1}$ and a noise $\epsilon_t$ that is drawn anew, independent of $x_0$ and of all that came before. If $x_{t-1}$ is known, then to be told $x_0$ as well changes nothing about $x_t$. This is the Markov property of chapter 2, $q(x_t \mid x_{t-1}, x_0) = q(x_t \mid x_{t-1})$, and so
#
# $$
# q(x_{t-1} \mid x_t, x_0) = \frac{q(x_t \mid x_{t-1})\;q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)} .
# $$ (eq:bayes)
#
# The three densities on the right are known from chapter 2: one {eq}`eq:kernel` and two {eq}`eq:marginal`. Note what does not happen on the left. We may not drop $x_0$ there as well: in the chain, $x_0$ and $x_{t-1}$ lie on the same side of $x_t$, so knowing $x_t$ does not cut them apart, and $x_0$ does tell something about $x_{t-1}$ that $x_t$ does not.
#
# The claim tests the rule by counting. It takes the two steps four million times, keeps the walks that come within 0.02 of $x_2 = -0.4$, a gate so narrow that its width does not matter, and asks which share of their $x_1$ lies below each of five thresholds. The right side of {eq}`eq:bayes` is summed on a fine grid of values of $x_1$.

# %% tags=["claim"]
from ddpm_lib.course.claims import claim, mean, variance


def density(x, mean, var):
    """The normal density."""
    return (-((x - mean) ** 2) / (2 * var)).exp() / (
        2 * torch.pi * var
    ) ** 0.5


x_1 = 0.8 + 0.6 * torch.randn(4_000_000)
x_2 = 0.5 * x_1 + 0.75**0.5 * torch.randn(4_000_000)
seen = x_1[(x_2 + 0.4).abs() < 0.02]

values = torch.linspace(-12, 12, 24_001)  # of x_1
prior = density(values, 0.8, torch.tensor(0.36))
likelihood = density(-0.4, 0.5 * values, torch.tensor(0.75))
evidence = density(-0.4, torch.tensor(0.4), torch.tensor(0.84))
thresholds = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5])


def below(curve):
    """The area under a curve, left of each threshold."""
    return (curve * (values < thresholds[:, None])).sum(1) * 1e-3


claim(
    "eq:bayes",
    got=mean(seen[:, None] < thresholds),
    want=below(likelihood * prior / evidence),
    rejects={
        "the prior alone": below(prior),
        "the likelihood alone": below(0.5 * likelihood),
        "not divided by the evidence": below(likelihood * prior),
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "Three bell curves over x_1. The prior, blue and dashed, is centered at 0.8 with standard deviation 0.6. The likelihood, vermillion and dotted, is centered at minus 0.8 and very wide. Their product, the posterior, solid and black, is centered at 0.63, is slightly narrower than the prior and fits a gray histogram of simulated values."}, "figure": {"name": "fig-witnesses", "caption": "The two witnesses and their product, for $x_0 = 1$ and $x_2 = -0.4$. The likelihood is scaled to area 1. The histogram shows those $x_1$ of four million walks that led to $x_2 \\approx -0.4$. The center of the posterior lies between those of its witnesses, nearer to the narrower one, and the posterior is narrower than both."}}
fig, ax = plt.subplots(figsize=(6, 3.2))
ax.hist(seen.numpy(), 60, density=True, color=GRAY, alpha=0.3)
ax.plot(values, prior, color=DATA, ls="--")
ax.plot(values, 0.5 * likelihood, color=NOISE, ls=":", lw=2.2)
ax.plot(values, likelihood * prior / evidence, "k-")
ax.annotate("prior, from $x_0$", (1.75, 0.22), color=DATA)
ax.annotate("likelihood, of $x_2$", (-2.9, 0.25), color=NOISE)
ax.annotate("posterior", (-0.75, 0.55))
ax.set(xlabel="$x_1$", ylabel="density", xlim=(-3, 3))
plt.show()

# %% [markdown]
# ## First way: completing the square
#
# All three densities in {eq}`eq:bayes` are normal. A normal density is an exponential of a square, times a number that does not depend on the point. Multiplying exponentials adds their exponents, and dividing subtracts. Let us take a single pixel again; since pixels are independent of each other in all three densities, the result holds for each pixel of a picture. Then
#
# $$
# q(x_{t-1} \mid x_t, x_0) \ \propto\ e^{-D/2},
# $$
#
# where $\propto$ says that a factor without $x_{t-1}$ has been left out, and $D$ collects the three squares:
#
# $$
# \begin{aligned}
# D = {} & \frac{\bigl(x_t - \sqrt{\alpha_t}\,x_{t-1}\bigr)^2}{\beta_t} + \frac{\bigl(x_{t-1} - \sqrt{\bar\alpha_{t-1}}\,x_0\bigr)^2}{1 - \bar\alpha_{t-1}}\\
# & - \frac{\bigl(x_t - \sqrt{\bar\alpha_t}\,x_0\bigr)^2}{1 - \bar\alpha_t} .
# \end{aligned}
# $$ (eq:exponent)
#
# The claim asks sympy for the logarithms of the three densities, adds and subtracts them, multiplies by $-2$, and differentiates by $x_{t-1}$, by $x_t$ and by $x_0$, so that the factors in front drop out. To keep roots out of the way it writes $k = \sqrt{\alpha_t}$ and $A = \sqrt{\bar\alpha_{t-1}}$; then $\beta_t = 1 - k^2$ and $\bar\alpha_t = k^2A^2$.

# %% tags=["claim"]
import sympy as sp
from sympy.stats import Normal
from sympy.stats import density as pdf

k, A = sp.symbols("k A", positive=True)
X0, X, Xt = sp.symbols("x_0 x_{t-1} x_t", real=True)
b, before, now = 1 - k**2, 1 - A**2, 1 - k**2 * A**2


def log_density(x, mean, var):
    std = sp.Symbol("sigma", positive=True)
    log = sp.expand_log(sp.log(pdf(Normal("z", mean, std))(x)))
    return log.subs(std, sp.sqrt(var))


log_posterior = (
    log_density(Xt, k * X, b)
    + log_density(X, A * X0, before)
    - log_density(Xt, k * A * X0, now)
)
first, second = (Xt - k * X) ** 2, (X - A * X0) ** 2
third = (Xt - k * A * X0) ** 2
D = first / b + second / before - third / now


def gradient(exponent):
    """Its derivatives by all three points."""
    return sp.Matrix([sp.diff(exponent, x) for x in (X, Xt, X0)])


without_roots = first / b + (X - A**2 * X0) ** 2 / before
claim(
    "eq:exponent",
    got=gradient(-2 * log_posterior),
    want=gradient(D),
    rejects={
        "standard deviations below": gradient(
            first / sp.sqrt(b)
            + second / sp.sqrt(before)
            - third / sp.sqrt(now)
        ),
        "the prior divided out": gradient(
            first / b - second / before - third / now
        ),
        "the third square added": gradient(
            first / b + second / before + third / now
        ),
        "$ᾱ$ without its root": gradient(without_roots - third / now),
    },
)

# %% [markdown]
# We want to see $D$ as a function of $x_{t-1}$, since it is $x_{t-1}$ whose distribution we are after; $x_t$ and $x_0$ are known numbers. Multiply out the first two squares. The third has no $x_{t-1}$ in it and stays as it is:
#
# $$
# \begin{aligned}
# D = {} & \frac{x_t^2 - 2\sqrt{\alpha_t}\,x_t\,x_{t-1} + \alpha_t\,x_{t-1}^2}{\beta_t}\\
# & + \frac{x_{t-1}^2 - 2\sqrt{\bar\alpha_{t-1}}\,x_0\,x_{t-1} + \bar\alpha_{t-1}\,x_0^2}{1 - \bar\alpha_{t-1}}\\
# & - \frac{\bigl(x_t - \sqrt{\bar\alpha_t}\,x_0\bigr)^2}{1 - \bar\alpha_t} .
# \end{aligned}
# $$
#
# Now sort the terms: those with $x_{t-1}^2$, those with $x_{t-1}$, and the rest, called $R$.
#
# $$
# \begin{aligned}
# D &= \Bigl(\frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}\Bigr)\,x_{t-1}^2\\
# &\quad - 2\,\Bigl(\frac{\sqrt{\alpha_t}}{\beta_t}\,x_t + \frac{\sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_{t-1}}\,x_0\Bigr)\,x_{t-1} + R,\\
# R &= \frac{x_t^2}{\beta_t} + \frac{\bar\alpha_{t-1}\,x_0^2}{1 - \bar\alpha_{t-1}} - \frac{\bigl(x_t - \sqrt{\bar\alpha_t}\,x_0\bigr)^2}{1 - \bar\alpha_t} .
# \end{aligned}
# $$ (eq:collected)

# %% tags=["claim"]
precision = k**2 / b + 1 / before
linear_part = k / b * Xt + A / before * X0
rest = Xt**2 / b + A**2 * X0**2 / before - third / now
claim(
    "eq:collected",
    got=sp.expand(D),
    want=sp.expand(precision * X**2 - 2 * linear_part * X + rest),
    rejects={
        "the factor $−2$ lost": sp.expand(
            precision * X**2 - linear_part * X + rest
        ),
        "$1/β$ in place of $α/β$": sp.expand(
            (1 / b + 1 / before) * X**2 - 2 * linear_part * X + rest
        ),
        "$1/√α$ in place of $√α$": sp.expand(
            precision * X**2
            - 2 * (Xt / k / b + A / before * X0) * X
            + rest
        ),
    },
)

# %% [markdown]
# This is to be compared with a normal density. One with mean $\mu$ and variance $V$ has the exponent $-\frac12$ times
#
# $$
# \frac{(x_{t-1} - \mu)^2}{V} = \frac{1}{V}\,x_{t-1}^2 - 2\,\frac{\mu}{V}\,x_{t-1} + \frac{\mu^2}{V} .
# $$
#
# So $D$ is of this form, up to a term without $x_{t-1}$: the factor of $x_{t-1}^2$ is $1/V$, and the factor of $-2x_{t-1}$ is $\mu/V$. To find them is called *completing the square*. The term without $x_{t-1}$ needs no attention, because it only contributes a constant factor, and that factor is fixed by the posterior having area 1. (Nor is anything left over: $R = \mu^2/V$. The claim below {eq}`eq:posterior` includes it.)
#
# Begin with the variance. It gets the name $\tilde\beta_t$, as a posterior relative of $\beta_t$. The reciprocal of a variance is called a *precision*, and {eq}`eq:collected` says that the precisions of the two witnesses add. Bring the two fractions to a common denominator; multiply out; use $\alpha_t\bar\alpha_{t-1} = \bar\alpha_t$; replace $\beta_t$ in the numerator by $1 - \alpha_t$; and let $\alpha_t$ cancel:
#
# $$
# \begin{aligned}
# \frac{1}{\tilde\beta_t} &= \frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}\\
# &= \frac{\alpha_t\,(1 - \bar\alpha_{t-1}) + \beta_t}{\beta_t\,(1 - \bar\alpha_{t-1})}\\
# &= \frac{\alpha_t - \alpha_t\bar\alpha_{t-1} + \beta_t}{\beta_t\,(1 - \bar\alpha_{t-1})}\\
# &= \frac{\alpha_t - \bar\alpha_t + \beta_t}{\beta_t\,(1 - \bar\alpha_{t-1})}\\
# &= \frac{\alpha_t - \bar\alpha_t + 1 - \alpha_t}{\beta_t\,(1 - \bar\alpha_{t-1})}\\
# &= \frac{1 - \bar\alpha_t}{\beta_t\,(1 - \bar\alpha_{t-1})} .
# \end{aligned}
# $$
#
# Turn the fraction over:
#
# $$
# \tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\;\beta_t .
# $$ (eq:beta-tilde)
#
# Sympy repeats the lines; each of them, turned over, must equal the result. It starts from the factor of $x_{t-1}^2$ that it finds in $D$.

# %% tags=["claim"]
beta_tilde = before / now * b
lines = [
    1 / sp.Poly(D, X).coeff_monomial(X**2),
    b * before / (k**2 * (1 - A**2) + b),
    b * before / (k**2 - k**2 * A**2 + b),
    b * before / (k**2 - k**2 * A**2 + 1 - k**2),
    b * before / now,
]


def every(value):
    """The same value for every line."""
    return sp.Matrix([value] * len(lines))


claim(
    "eq:beta-tilde",
    got=sp.Matrix(lines),
    want=every(beta_tilde),
    rejects={
        "variances added": every(b / k**2 + before),
        "the fraction upside down": every(now / before * b),
        "$ᾱ_t$ in both places": every(now / now * b),
        "$1 − α_{t−1}$, no bar": every((1 - A) / now * b),
    },
)

# %% [markdown]
# Now the mean, $\tilde\mu_t$. It is the factor of $-2x_{t-1}$ times the variance. Distribute the variance, insert {eq}`eq:beta-tilde`, and cancel: $\beta_t$ in the first term, $1 - \bar\alpha_{t-1}$ in the second.
#
# $$
# \begin{aligned}
# \tilde\mu_t &= \tilde\beta_t\,\Bigl(\frac{\sqrt{\alpha_t}}{\beta_t}\,x_t + \frac{\sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_{t-1}}\,x_0\Bigr)\\
# &= \tilde\beta_t\,\frac{\sqrt{\alpha_t}}{\beta_t}\;x_t + \tilde\beta_t\,\frac{\sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_{t-1}}\;x_0\\
# &= \frac{(1 - \bar\alpha_{t-1})\,\beta_t}{1 - \bar\alpha_t}\,\frac{\sqrt{\alpha_t}}{\beta_t}\;x_t\\
# &\qquad + \frac{(1 - \bar\alpha_{t-1})\,\beta_t}{1 - \bar\alpha_t}\,\frac{\sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_{t-1}}\;x_0\\
# &= \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\;x_t + \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\;x_0 .
# \end{aligned}
# $$
#
# We write the term with $x_0$ first, as {cite:t}`ho2020` do:
#
# $$
# \tilde\mu_t(x_t, x_0) = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\;x_0 + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\;x_t .
# $$ (eq:mu-tilde)

# %% tags=["claim"]
mu_tilde = A * b / now * X0 + k * before / now * Xt
lines = [
    sp.solve(sp.diff(D, X), X)[0],  # a normal density peaks at its mean
    beta_tilde * linear_part,
    beta_tilde * k / b * Xt + beta_tilde * A / before * X0,
    before * b / now * k / b * Xt + before * b / now * A / before * X0,
    mu_tilde,
]
claim(
    "eq:mu-tilde",
    got=sp.Matrix(lines),
    want=every(mu_tilde),
    rejects={
        "roots and bars exchanged": every(
            k * b / now * X0 + A * before / now * Xt
        ),
        "$ᾱ$ without its root": every(
            A**2 * b / now * X0 + k**2 * before / now * Xt
        ),
        "$x_0$ and $x_t$ exchanged": every(
            A * b / now * Xt + k * before / now * X0
        ),
    },
)

# %% [markdown]
# A density proportional to $e^{-D/2}$ with this $D$ is normal. So for all pixels together,
#
# $$
# q(x_{t-1} \mid x_t, x_0) = \mathcal N\bigl(x_{t-1};\ \tilde\mu_t(x_t, x_0),\ \tilde\beta_t I\bigr) .
# $$ (eq:posterior)
#
# The claim for this equation leaves nothing out: $D$, with its rest $R$, must equal the completed square, and the three factors in front of the densities, squared, must combine to the one in front of $\mathcal N(\tilde\mu_t, \tilde\beta_t)$. These factors are $1/\sqrt{2\pi V}$ for the variances $V = \beta_t$, $1 - \bar\alpha_{t-1}$ and $1 - \bar\alpha_t$.


# %% tags=["claim"]
def square_and_factor(mean, var):
    return sp.Matrix([(X - mean) ** 2 / var, 1 / (2 * sp.pi * var)])


factors = [1 / (2 * sp.pi * v) for v in (b, before, now)]
claim(
    "eq:posterior",
    got=sp.Matrix([D, factors[0] * factors[1] / factors[2]]),
    want=square_and_factor(mu_tilde, beta_tilde),
    rejects={
        "variance $β$": square_and_factor(mu_tilde, b),
        "the mean of $q(x_{t−1} ∣ x_0)$": square_and_factor(
            A * X0, beta_tilde
        ),
        "$x_t$ divided by $√α$ as the mean": square_and_factor(
            Xt / k, beta_tilde
        ),
    },
)

# %% [markdown]
# For the pixel of the beginning, with $\alpha_2 = 0.25$, $\bar\alpha_1 = 0.64$ and $\bar\alpha_2 = 0.16$, the precisions are $0.25/0.75 = 0.333$ for what $x_2$ says and $1/0.36 = 2.778$ for what $x_0$ says. The cell computes the rest, once by the formulas and once from the walks that were kept.

# %% tags=["nbval-check-output"]
var = (1 - 0.64) / (1 - 0.16) * 0.75
from_x_0 = 0.64**0.5 * 0.75 / (1 - 0.16)
from_x_2 = 0.25**0.5 * (1 - 0.64) / (1 - 0.16)
mu = from_x_0 * 1 + from_x_2 * -0.4
print(f"precisions: {0.25 / 0.75:.3f} + {1 / 0.36:.3f} = {1 / var:.3f}")
print(f"mean: {from_x_0:.3f} · 1 + {from_x_2:.3f} · (−0.4) = {mu:.3f}")
print(f"variance: {var:.3f}")
print(f"of the walks: {seen.mean():.3f} and {seen.var():.3f}")

# %% [markdown]
# ## Second way: a product of two Gaussians
#
# Chapter 1 multiplied two Gaussian densities in the same variable. By {eq}`eq:product` the product is Gaussian again, up to a factor, and by {eq}`eq:precisions` the precisions add, and the mean is the average of the two means, weighted by the precisions. In {eq}`eq:bayes` two densities are multiplied, but they are not densities in the same variable. The likelihood $q(x_t \mid x_{t-1})$ is a density in $x_t$. As a function of $x_{t-1}$, what is it? Take $\sqrt{\alpha_t}$ out of the square; divide numerator and denominator by $\alpha_t$; and turn the difference around, which a square does not notice:
#
# $$
# \begin{aligned}
# \frac{\bigl(x_t - \sqrt{\alpha_t}\,x_{t-1}\bigr)^2}{\beta_t}
# &= \frac{\alpha_t\,\bigl(x_t/\sqrt{\alpha_t} - x_{t-1}\bigr)^2}{\beta_t}\\
# &= \frac{\bigl(x_t/\sqrt{\alpha_t} - x_{t-1}\bigr)^2}{\beta_t/\alpha_t}\\
# &= \frac{\bigl(x_{t-1} - x_t/\sqrt{\alpha_t}\bigr)^2}{\beta_t/\alpha_t} .
# \end{aligned}
# $$
#
# This is the exponent of a normal density in $x_{t-1}$ with mean $x_t/\sqrt{\alpha_t}$ and variance $\beta_t/\alpha_t$. The mean undoes the shrinking of the step. The variance is larger than $\beta_t$, because undoing the shrinking stretches the noise as well. Only the factor in front differs. On the left it is $1/\sqrt{2\pi\beta_t}$. A density with variance $\beta_t/\alpha_t$ has the factor $1/\sqrt{2\pi\beta_t/\alpha_t} = \sqrt{\alpha_t}/\sqrt{2\pi\beta_t}$, which must be divided by $\sqrt{\alpha_t}$ to be the same:
#
# $$
# \begin{aligned}
# &\mathcal N\bigl(x_t;\ \sqrt{\alpha_t}\,x_{t-1},\ \beta_t\bigr)\\
# &\qquad = \frac{1}{\sqrt{\alpha_t}}\;\mathcal N\Bigl(x_{t-1};\ \frac{x_t}{\sqrt{\alpha_t}},\ \frac{\beta_t}{\alpha_t}\Bigr) .
# \end{aligned}
# $$ (eq:likelihood)


# %% tags=["claim"]
def as_function_of_x(mean, var, factor):
    return sp.Matrix(
        [(X - mean) ** 2 / var, factor**2 / (2 * sp.pi * var)]
    )


claim(
    "eq:likelihood",
    got=sp.Matrix([first / b, 1 / (2 * sp.pi * b)]),
    want=as_function_of_x(Xt / k, b / k**2, 1 / k),
    rejects={
        "variance $β$": as_function_of_x(Xt / k, b, 1),
        "shrunk instead of stretched": as_function_of_x(
            k * Xt, b * k**2, k
        ),
        "a density in $x_{t−1}$": as_function_of_x(Xt / k, b / k**2, 1),
    },
)

# %% [markdown]
# The factor is a reminder that a likelihood is no distribution: its area over $x_{t-1}$ is $1/\sqrt{\alpha_t}$, not 1. That does no harm, since it does not depend on $x_{t-1}$. Now the rule for products applies. The two means are $x_t/\sqrt{\alpha_t}$ and $\sqrt{\bar\alpha_{t-1}}\,x_0$, the two precisions $\alpha_t/\beta_t$ and $1/(1 - \bar\alpha_{t-1})$. They add to $1/\tilde\beta_t$, the first line of the computation above. And the mean is the average of what the two witnesses propose. Write $g_t$ for the weight of what $x_t$ proposes, its precision divided by the sum. Insert {eq}`eq:beta-tilde`; cancel $\beta_t$; write $\alpha_t = \bar\alpha_t/\bar\alpha_{t-1}$; and exchange the two denominators:
#
# $$
# \begin{aligned}
# g_t &= \frac{\alpha_t}{\beta_t}\,\tilde\beta_t\\
# &= \frac{\alpha_t}{\beta_t}\,\frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t\\
# &= \frac{\alpha_t\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\\
# &= \frac{\bar\alpha_t}{\bar\alpha_{t-1}}\,\frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\\
# &= \frac{\bar\alpha_t}{1 - \bar\alpha_t}\,\frac{1 - \bar\alpha_{t-1}}{\bar\alpha_{t-1}} .
# \end{aligned}
# $$
#
# The last line is one signal-to-noise ratio {eq}`def:snr` divided by another, so
#
# $$
# \begin{aligned}
# \tilde\mu_t &= (1 - g_t)\,\sqrt{\bar\alpha_{t-1}}\,x_0 + g_t\,\frac{x_t}{\sqrt{\alpha_t}},\\
# g_t &= \frac{\mathrm{SNR}(t)}{\mathrm{SNR}(t-1)} .
# \end{aligned}
# $$ (eq:pull)
#
# This form is the one to think with. Each witness proposes a place: $x_0$ proposes itself, shrunk as $t - 1$ steps shrink it, and $x_t$ proposes itself, with the shrinking of one step undone. The weights $1 - g_t$ and $g_t$ are how strongly the two *pull*. The noisier the step from $t - 1$ to $t$ is, compared with all that came before, the lower $g_t$, and the more $x_0$ is believed.


# %% tags=["claim"]
def pull(g):
    return sp.expand((1 - g) * A * X0 + g * Xt / k)


snr_t, snr_before = k**2 * A**2 / now, A**2 / before
claim(
    "eq:pull",
    got=sp.expand(mu_tilde),
    want=pull(snr_t / snr_before),
    rejects={
        "the ratio turned around": pull(snr_before / snr_t),
        "weights by variance": pull((b / k**2) / (before + b / k**2)),
        "$β$ left as the variance of the likelihood": pull(
            (1 / b) / (1 / b + 1 / before)
        ),
    },
)

# %% [markdown]
# ## Third way: conditioning a joint Gaussian
#
# The two ways so far went through densities. The third never looks at one. With $x_0$ given, $x_{t-1}$ and $x_t$ are sums of independent normal noises, so that the pair is jointly normal. Chapter 2 has its means and variances in {eq}`eq:marginal`, and its covariance is {eq}`eq:covariance` with $u = t - 1$:
#
# $$
# \operatorname{Cov}[x_{t-1}, x_t \mid x_0] = \sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1}) .
# $$
#
# By {eq}`eq:conditional-gaussian`, when one of a normal pair is known, the mean of the other moves in proportion to the surprise, and the slope is the covariance over the variance of the known one. The variance falls by the squared covariance over the variance of the known one. Here this reads
#
# $$
# \begin{aligned}
# \tilde\mu_t &= \sqrt{\bar\alpha_{t-1}}\,x_0 + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,\bigl(x_t - \sqrt{\bar\alpha_t}\,x_0\bigr),\\
# \tilde\beta_t &= (1 - \bar\alpha_{t-1}) - \frac{\alpha_t\,(1 - \bar\alpha_{t-1})^2}{1 - \bar\alpha_t} .
# \end{aligned}
# $$ (eq:conditioned)
#
# The slope is already the factor of $x_t$ in {eq}`eq:mu-tilde`. For the factor of $x_0$, collect it; write $\sqrt{\bar\alpha_t}$ as $\sqrt{\alpha_t}\sqrt{\bar\alpha_{t-1}}$; take out $\sqrt{\bar\alpha_{t-1}}$, on a common denominator; multiply out with $\alpha_t\bar\alpha_{t-1} = \bar\alpha_t$; and let $\bar\alpha_t$ cancel:
#
# $$
# \begin{aligned}
# &\sqrt{\bar\alpha_{t-1}} - \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\sqrt{\bar\alpha_t}\\
# &= \sqrt{\bar\alpha_{t-1}} - \frac{\alpha_t\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\sqrt{\bar\alpha_{t-1}}\\
# &= \sqrt{\bar\alpha_{t-1}}\;\frac{1 - \bar\alpha_t - \alpha_t\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\\
# &= \sqrt{\bar\alpha_{t-1}}\;\frac{1 - \bar\alpha_t - \alpha_t + \bar\alpha_t}{1 - \bar\alpha_t}\\
# &= \sqrt{\bar\alpha_{t-1}}\;\frac{1 - \alpha_t}{1 - \bar\alpha_t} .
# \end{aligned}
# $$
#
# With $1 - \alpha_t = \beta_t$ it is the factor in {eq}`eq:mu-tilde`. The variance goes the same way. Take out $1 - \bar\alpha_{t-1}$, use the common denominator, and the numerator is the same as above, $\beta_t$:
#
# $$
# \begin{aligned}
# &(1 - \bar\alpha_{t-1}) - \frac{\alpha_t\,(1 - \bar\alpha_{t-1})^2}{1 - \bar\alpha_t}\\
# &= (1 - \bar\alpha_{t-1})\,\Bigl(1 - \frac{\alpha_t\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\Bigr)\\
# &= (1 - \bar\alpha_{t-1})\;\frac{1 - \bar\alpha_t - \alpha_t\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\\
# &= (1 - \bar\alpha_{t-1})\;\frac{\beta_t}{1 - \bar\alpha_t} .
# \end{aligned}
# $$

# %% tags=["claim"]
slope = k * before / now
x_0_lines = [
    A - slope * k * A,
    A - k**2 * before / now * A,
    A * (now - k**2 * before) / now,
    A * (1 - k**2) / now,
]
var_lines = [
    before - k**2 * before**2 / now,
    before * (1 - k**2 * before / now),
    before * (now - k**2 * before) / now,
    before * b / now,
]


def both_ways(x_0_factor, x_t_factor, var):
    x_0_column = [x_0_factor] * len(x_0_lines)
    return sp.Matrix(x_0_column + [x_t_factor] + [var] * len(var_lines))


def conditioned(covariance):
    """(factor of x_0, factor of x_t, variance), by the rule."""
    slope = covariance / now
    return A - slope * k * A, slope, before - covariance * slope


claim(
    "eq:conditioned",
    got=sp.Matrix([*x_0_lines, slope, *var_lines]),
    want=both_ways(*conditioned(k * before)),
    rejects={
        "covariance of two separate jumps": both_ways(*conditioned(0)),
        "the later variance in the covariance": both_ways(
            *conditioned(k * now)
        ),
        "the step not shrunk": both_ways(*conditioned(before)),
    },
)
claim(
    "eq:conditioned",
    got=sp.Matrix(conditioned(k * before)),
    want=sp.Matrix([A * b / now, k * before / now, beta_tilde]),
    rejects={
        "variance $β$": sp.Matrix([A * b / now, k * before / now, b]),
    },
)

# %% [markdown]
# Three ways, one result, and each shows something of its own. Completing the square is the one to fall back on, since it asks for no insight. The product explains the result as a weighted average. And the joint Gaussian says that $\tilde\mu_t$ is a *regression line*: among all walks that start at the same $x_0$, the best guess of $x_{t-1}$ is linear in $x_t$.
#
# That can be tested without any of the algebra. The next cell takes 200,000 walks from $x_0 = 0.8$ and at $t = 2$, 5, 20 and 100 notes the last two places and the noise between them. The first claim estimates the slope of the regression. The second subtracts $\tilde\mu_t$ from $x_{t-1}$ and asks for the variance of what is left. The third asks whether anything about $x_t$ is left in it: if the line is the right one, no.

# %%
pairs = {}
x, stops = torch.full((200_000,), 0.8), [2, 5, 20, 100]
for t in range(1, 101):
    x_before, eps = x, torch.randn(x.shape)
    x = alpha[t].sqrt() * x_before + beta[t].sqrt() * eps
    if t in stops:
        pairs[t] = torch.stack([x_before, x, eps])
earlier, later, eps_t = torch.stack(list(pairs.values()), dim=-1)

t = torch.tensor(stops)
from_x_0 = alpha_bar[t - 1].sqrt() * beta[t] / (1 - alpha_bar[t])
from_x_t = alpha[t].sqrt() * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])
left = earlier - (from_x_0 * 0.8 + from_x_t * later)

# %% tags=["claim"]
surprise = later - alpha_bar[t].sqrt() * 0.8
claim(
    "eq:mu-tilde",
    got=mean(
        (earlier - alpha_bar[t - 1].sqrt() * 0.8)
        * surprise
        / (1 - alpha_bar[t])
    ),
    want=from_x_t,
    rejects={
        "the step undone, $1 / √α$": 1 / alpha[t].sqrt(),
        "$√α$, the covariance per earlier variance": alpha[t].sqrt(),
    },
)
off_by_one = (1 - alpha_bar[t]) / (1 - alpha_bar[t]) * beta[t]
claim(
    "eq:beta-tilde",
    got=variance(left),
    want=(1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta[t],
    rejects={
        "$β$, as with $ᾱ_t$ in both places": off_by_one,
        "$ᾱ$ without $1 −$": alpha_bar[t] / alpha_bar[t - 1] * beta[t],
        "no bars": (1 - alpha[t - 1]) / (1 - alpha[t]) * beta[t],
    },
)
claim(
    "eq:posterior",
    got=mean(left * surprise),
    want=torch.zeros(4),
    rejects={
        "what $x_t / √α$ would leave": -beta[t] / alpha[t].sqrt(),
    },
)

# %% [markdown]
# ## Walking all the way back
#
# If {eq}`eq:posterior` is right, then whoever knows $x_0$ can walk back. Draw $x_T$ from $q(x_T \mid x_0)$, then $x_{T-1}$ from the posterior, then $x_{T-2}$, and so on. Every $x_t$ on this way must have the distribution $q(x_t \mid x_0)$ of the way there. In formulas, one step back does it. Suppose that $x_t$ has mean $\sqrt{\bar\alpha_t}\,x_0$ and variance $1 - \bar\alpha_t$. The step draws $x_{t-1}$ with mean $\tilde\mu_t$ and variance $\tilde\beta_t$. For the mean of the result, insert the mean of $x_t$ into {eq}`eq:pull`; use $\sqrt{\bar\alpha_t} = \sqrt{\alpha_t}\sqrt{\bar\alpha_{t-1}}$; and add the two weights:
#
# $$
# \begin{aligned}
# \mathbb E[x_{t-1} \mid x_0] &= (1 - g_t)\,\sqrt{\bar\alpha_{t-1}}\,x_0 + g_t\,\frac{\sqrt{\bar\alpha_t}\,x_0}{\sqrt{\alpha_t}}\\
# &= (1 - g_t)\,\sqrt{\bar\alpha_{t-1}}\,x_0 + g_t\,\sqrt{\bar\alpha_{t-1}}\,x_0\\
# &= \sqrt{\bar\alpha_{t-1}}\,x_0 .
# \end{aligned}
# $$
#
# On average the two witnesses agree. The variance has two sources: the noise that the step adds, and the variance of $x_t$ that the mean $\tilde\mu_t$ passes on. They are independent, and they must add to the variance of $x_{t-1}$. This is the *law of total variance*:
#
# $$
# \underbrace{1 - \bar\alpha_{t-1}}_{\operatorname{Var}[x_{t-1} \mid x_0]} \;=\; \tilde\beta_t \;+\; \underbrace{\Bigl(\frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\Bigr)^2 (1 - \bar\alpha_t)}_{\operatorname{Var}[\tilde\mu_t \mid x_0]} .
# $$ (eq:total-variance)
#
# It holds because of {eq}`eq:conditioned`: with one factor $1 - \bar\alpha_t$ canceled, the last term is what is subtracted there. The claim puts in {eq}`eq:beta-tilde` instead, and asks sympy.

# %% tags=["claim"]
claim(
    "eq:total-variance",
    got=before,
    want=beta_tilde + slope**2 * now,
    rejects={
        "$β$ added instead": b + slope**2 * now,
        "the mean taken for a fixed number": beta_tilde,
        "the slope not squared": beta_tilde + slope * now,
    },
)

# %% [markdown]
# A normal $x_t$ gives a normal $x_{t-1}$, so mean and variance are all there is to compare, and by induction from $T$ down every $x_t$ is distributed as it should be. Here are fifty thousand pixels that walk back from $T$ with $x_0 = 0.8$. The second claim rejects walks whose steps have another variance; we computed the variance that these would end with by iterating {eq}`eq:total-variance` through the thousand steps.

# %% tags=["nbval-check-output"]
t = torch.arange(1, T + 1)
from_x_0, from_x_t = torch.zeros(2, T + 1)
s_squared = 1 - alpha_bar
from_x_0[1:] = alpha_bar[t - 1].sqrt() * beta[t] / s_squared[t]
from_x_t[1:] = alpha[t].sqrt() * s_squared[t - 1] / s_squared[t]
beta_tilde = torch.zeros(T + 1)
beta_tilde[1:] = s_squared[t - 1] / s_squared[t] * beta[t]

stops = [500, 100, 10, 2, 1]
x = torch.randn(50_000)
x = alpha_bar[T].sqrt() * 0.8 + s_squared[T].sqrt() * x
seen = []
for t in range(T, 0, -1):
    mu = from_x_0[t] * 0.8 + from_x_t[t] * x
    x = mu + beta_tilde[t].sqrt() * torch.randn(x.shape)
    if t - 1 in stops:
        seen.append(x)
seen = torch.stack(seen, dim=1)
print(f"at t = 0: {x.min():.6f} to {x.max():.6f}")


# %% tags=["claim"]
def followed(added):
    """Var[x_t | x_0] at the stops, walking back with this variance."""
    v = [s_squared[T]]
    for t in range(T, 0, -1):
        v.append(from_x_t[t] ** 2 * v[-1] + added[t])
    return torch.stack(v).flip(0)[stops]


claim(
    "eq:posterior",
    got=mean(seen),
    want=alpha_bar[stops].sqrt() * 0.8,
    rejects={
        "everywhere $x_0$": torch.full((5,), 0.8),
        "the factor of $x_0$ in $μ̃$ alone": from_x_0[stops] * 0.8,
    },
)
claim(
    "eq:posterior",
    got=variance(seen),
    want=1 - alpha_bar[stops],
    rejects={
        "variance $β$": followed(beta),
        "no noise": followed(torch.zeros(T + 1)),
        "$β̃$ as the standard deviation": followed(beta_tilde**2),
    },
)

# %% [markdown]
# The last step deserves a look. At $t = 1$ we have $\bar\alpha_0 = 1$, so that $\tilde\beta_1 = 0$: the step back to $x_0$ adds no noise. Its mean is $\tilde\mu_1 = x_0$, because $\sqrt{\bar\alpha_0}\,\beta_1/(1 - \bar\alpha_1) = \beta_1/\beta_1 = 1$ and the factor of $x_1$ is zero. All fifty thousand pixels end at 0.8, as the cell printed. Of course they do: if $x_0$ is given, there is nothing left to draw. A sampler will have to guess $x_0$, but its last step has the same form: it returns the guess, without noise.
#
# ## Any earlier time
#
# Nothing above needed $t - 1$ and $t$ to be neighbors. Take a time $u < t$ in place of $t - 1$. By {eq}`eq:leap` the walk from $x_u$ to $x_t$ looks like one step, with $\bar\alpha_t/\bar\alpha_u$ in place of $\alpha_t$ and the noise variance $1 - \bar\alpha_t/\bar\alpha_u$ in place of $\beta_t$. The two relations that the algebra used hold again: the second replacement is 1 minus the first, as $\beta_t = 1 - \alpha_t$, and $(\bar\alpha_t/\bar\alpha_u)\,\bar\alpha_u = \bar\alpha_t$, as $\alpha_t\bar\alpha_{t-1} = \bar\alpha_t$. And the noise after $u$ is independent of $x_0$ and $x_u$, so the Markov property holds too. Every line can be repeated with these replacements:
#
# $$
# \begin{aligned}
# &q(x_u \mid x_t, x_0) = \mathcal N\bigl(x_u;\ \mu, V I\bigr),\\
# &\mu = \frac{\sqrt{\bar\alpha_u}\,(1 - \bar\alpha_t/\bar\alpha_u)}{1 - \bar\alpha_t}\,x_0 + \frac{\sqrt{\bar\alpha_t/\bar\alpha_u}\,(1 - \bar\alpha_u)}{1 - \bar\alpha_t}\,x_t ,\\
# &V = \frac{1 - \bar\alpha_u}{1 - \bar\alpha_t}\,\Bigl(1 - \frac{\bar\alpha_t}{\bar\alpha_u}\Bigr) .
# \end{aligned}
# $$ (eq:posterior-leap)
#
# This tells where the walks through the gate have been. The first claim compares with numerical integration: it multiplies prior and likelihood on a grid of values of $x_u$, divides by the sum, and takes mean and variance, for four pairs of times. The second takes all forty thousand walks of the first figure, each with its own $x_{300}$.


# %%
def look_back(x_0, x_t, t, u):
    """Mean and variance of q(x_u | x_t, x_0) for one pair u < t."""
    since_u = alpha_bar[t] / alpha_bar[u]
    from_x_0 = alpha_bar[u].sqrt() * (1 - since_u) / s_squared[t]
    from_x_t = since_u.sqrt() * s_squared[u] / s_squared[t]
    var = s_squared[u] / s_squared[t] * (1 - since_u)
    return from_x_0 * x_0 + from_x_t * x_t, var


# %% tags=["claim"]
def on_a_grid(x_0, x_t, t, u):
    """The same by numerical integration of prior times likelihood."""
    grid = torch.linspace(-9, 9, 360_001)
    since_u = alpha_bar[t] / alpha_bar[u]
    weight = density(grid, alpha_bar[u].sqrt() * x_0, s_squared[u])
    weight *= density(x_t, since_u.sqrt() * grid, 1 - since_u)
    weight /= weight.sum()
    mu = (weight * grid).sum()
    return torch.stack([mu, (weight * (grid - mu) ** 2).sum()])


def table(function):
    pairs = [(300, 100), (300, 299), (1000, 1), (50, 25)]
    return torch.stack(
        [torch.stack(function(0.8, -0.6, t, u)) for t, u in pairs]
    )


def with_step_noise(x_0, x_t, t, u):
    mu, _ = look_back(x_0, x_t, t, u)
    return mu, s_squared[u] / s_squared[t] * beta[t]


def with_first_steps(x_0, x_t, t, u):
    mu, _ = look_back(x_0, x_t, t, u)
    return mu, s_squared[u] / s_squared[t] * s_squared[t - u]


claim(
    "eq:posterior-leap",
    got=table(lambda *all: tuple(on_a_grid(*all))),
    want=table(look_back),
    rejects={
        "$β_t$ in place of all steps": table(with_step_noise),
        "the first $t − u$ steps": table(with_first_steps),
    },
)

# %% tags=["claim"]
us = [30, 100, 200, 270]
centers, spreads = zip(
    *(look_back(0.8, walks[300], 300, u) for u in us), strict=True
)
left = walks[us].T - torch.stack(centers, dim=1)  # (40000, 4)
since_0 = torch.stack([s_squared[u] for u in us])
claim(
    "eq:posterior-leap",
    got=variance(left),
    want=torch.stack(spreads),
    rejects={
        "$x_t$ ignored": since_0,
        "$x_0$ ignored": torch.stack(
            [alpha_bar[u] / alpha_bar[300] - 1 for u in us]
        ),
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "The picture from the beginning, gray walks and thirty vermillion walks through the gate, now with a shaded lens between the start at 0.8 and the gate at t = 300, minus 0.6. The lens is closed at both ends and plus and minus 0.95 wide where it is widest. A solid line runs down its middle. Nearly all vermillion paths stay within the lens."}, "figure": {"name": "fig-lens", "caption": "The first figure again, with the mean of {eq}`eq:posterior-leap` for $t = 300$ and every $u$ (line), and two standard deviations on either side (shaded). No path was used to draw the lens. It is closed at both ends, where nothing is left to know."}}
ends = [look_back(0.8, -0.6, 300, u) for u in range(0, 300, 4)]
center = torch.stack([mu for mu, _ in ends] + [torch.tensor(-0.6)])
spread = torch.stack([v for _, v in ends] + [torch.tensor(0.0)]).sqrt()

fig, ax = plt.subplots(figsize=(6, 3.2))
draw_gate(ax)
low, high = center - 2 * spread, center + 2 * spread
ax.fill_between(range(76), low, high, color=DATA, alpha=0.25, lw=0)
ax.plot(center, color=DATA, ls="-", lw=2.2)
plt.show()

# %% [markdown]
# ## In terms of the noise
#
# A network will not be given $x_0$. It will estimate either $x_0$ or the noise in $x_t$, and {cite:t}`ho2020` let it estimate the noise. Let us rewrite the mean for that. By {eq}`eq:jump`, $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\;\bar\epsilon_t$. Solved for $x_0$,
#
# $$
# x_0 = \frac{x_t - \sqrt{1-\bar\alpha_t}\;\bar\epsilon_t}{\sqrt{\bar\alpha_t}} .
# $$
#
# Insert it into {eq}`eq:mu-tilde`:
#
# $$
# \begin{aligned}
# \tilde\mu_t = {} & \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\;\frac{x_t - \sqrt{1-\bar\alpha_t}\;\bar\epsilon_t}{\sqrt{\bar\alpha_t}}\\
# & + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\;x_t .
# \end{aligned}
# $$
#
# Since $\bar\alpha_t = \alpha_t\bar\alpha_{t-1}$, the two roots leave $\sqrt{\bar\alpha_{t-1}}/\sqrt{\bar\alpha_t} = 1/\sqrt{\alpha_t}$:
#
# $$
# \begin{aligned}
# \tilde\mu_t = {} & \frac{\beta_t}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)}\,\bigl(x_t - \sqrt{1-\bar\alpha_t}\;\bar\epsilon_t\bigr)\\
# & + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\;x_t .
# \end{aligned}
# $$
#
# Multiply out the bracket and collect $x_t$:
#
# $$
# \begin{aligned}
# \tilde\mu_t = {} & \Bigl(\frac{\beta_t}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)} + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\Bigr)\,x_t\\
# & - \frac{\beta_t\,\sqrt{1-\bar\alpha_t}}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)}\;\bar\epsilon_t .
# \end{aligned}
# $$
#
# In the bracket, bring the second fraction to the denominator of the first; multiply out; use $\alpha_t\bar\alpha_{t-1} = \bar\alpha_t$; replace $\beta_t$ by $1 - \alpha_t$; let $\alpha_t$ cancel; then cancel $1 - \bar\alpha_t$:
#
# $$
# \begin{aligned}
# &\frac{\beta_t}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)} + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\\
# &= \frac{\beta_t + \alpha_t\,(1 - \bar\alpha_{t-1})}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)}\\
# &= \frac{\beta_t + \alpha_t - \alpha_t\bar\alpha_{t-1}}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)}\\
# &= \frac{\beta_t + \alpha_t - \bar\alpha_t}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)}\\
# &= \frac{1 - \alpha_t + \alpha_t - \bar\alpha_t}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)}\\
# &= \frac{1 - \bar\alpha_t}{\sqrt{\alpha_t}\,(1 - \bar\alpha_t)}\\
# &= \frac{1}{\sqrt{\alpha_t}} .
# \end{aligned}
# $$
#
# In front of the noise, $\sqrt{1-\bar\alpha_t}/(1-\bar\alpha_t) = 1/\sqrt{1-\bar\alpha_t}$. Take $1/\sqrt{\alpha_t}$ out of both terms:
#
# $$
# \tilde\mu_t = \frac{1}{\sqrt{\alpha_t}}\,\Bigl(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\;\bar\epsilon_t\Bigr) .
# $$ (eq:mu-tilde-eps)

# %% tags=["claim"]
e = sp.Symbol("epsilonbar", real=True)
start = (Xt - sp.sqrt(now) * e) / (k * A)  # x_0


def subtracted(amount):
    return sp.Matrix([(Xt - amount * e) / k] * 4)


bracket = b / (k * now) + k * before / now
last_factor = b * sp.sqrt(now) / (k * now)
claim(
    "eq:mu-tilde-eps",
    got=sp.Matrix(
        [
            A * b / now * start + k * before / now * Xt,
            b / (k * now) * (Xt - sp.sqrt(now) * e)
            + k * before / now * Xt,
            bracket * Xt - last_factor * e,
            (b + k**2 * before) / (k * now) * Xt - last_factor * e,
        ]
    ),
    want=subtracted(b / sp.sqrt(now)),
    rejects={
        "$√{1 − α}$ of all the noise": subtracted(sp.sqrt(b)),
        "no root below": subtracted(b / now),
        "all of the noise": subtracted(sp.sqrt(now)),
    },
)

# %% [markdown]
# The formula looks like a step that is undone, so let us compare it with one. Solve the step $x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t$ for $x_{t-1}$:
#
# $$
# x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\,\bigl(x_t - \sqrt{\beta_t}\;\epsilon_t\bigr) .
# $$ (eq:undo)
#
# This holds exactly, for each walk, with the noise $\epsilon_t$ *of the step*. But who looks at $x_t$ and $x_0$ knows only $\bar\epsilon_t$, *all* the noise collected since the start, to which the last step contributed a small part. What does it tell about $\epsilon_t$? On average, $\epsilon_t$ is a fixed fraction of it:
#
# $$
# \mathbb E[\epsilon_t \mid x_t, x_0] = \sqrt{\frac{\beta_t}{1-\bar\alpha_t}}\;\bar\epsilon_t .
# $$ (eq:step-noise)
#
# This follows by taking the mean of {eq}`eq:undo` for given $x_t$ and $x_0$. On the left it is $\tilde\mu_t$, which {eq}`eq:mu-tilde-eps` expresses by $\bar\epsilon_t$. Multiply both sides by $\sqrt{\alpha_t}$, subtract $x_t$, and divide by $-\sqrt{\beta_t}$; from $\beta_t/\sqrt{\beta_t} = \sqrt{\beta_t}$ the root remains. The factor is one that chapter 2 has met, the correlation of $\epsilon_t$ and $\bar\epsilon_t$. So the noise formula for the mean says: undo the step with the noise that it is expected to have added, $\sqrt{\beta_t}\;\mathbb E[\epsilon_t \mid x_t, x_0]$.
#
# The claims look at the 200,000 walks again, at $t = 2$, 5, 20 and 100. The first puts the noise that each step used into {eq}`eq:undo`. The second estimates the slope of $\epsilon_t$ over $\bar\epsilon_t$, which has variance 1.

# %% tags=["claim"]
t = torch.tensor([2, 5, 20, 100])
eps_bar = (later - alpha_bar[t].sqrt() * 0.8) / s_squared[t].sqrt()
claim(
    "eq:undo",
    got=earlier[:1000],
    want=((later - beta[t].sqrt() * eps_t) / alpha[t].sqrt())[:1000],
    rejects={
        "all the noise for the step's": (
            (later - beta[t].sqrt() * eps_bar) / alpha[t].sqrt()
        )[:1000],
        "$β$ for its root": (
            (later - beta[t] * eps_t) / alpha[t].sqrt()
        )[:1000],
    },
)
claim(
    "eq:step-noise",
    got=mean(eps_t * eps_bar),
    want=(beta[t] / s_squared[t]).sqrt(),
    rejects={
        "all of it": torch.ones(4),
        "the share of the variance": beta[t] / s_squared[t],
        "an equal share of each step": 1 / t,
    },
)

# %% [markdown]
# ## From both ends of the schedule
#
# How large are these numbers? The cell prints them for the linear schedule: $\beta_t$, $\tilde\beta_t$, the ratio of standard deviations $\sqrt{\beta_t/\tilde\beta_t}$, and the pull of $x_0$, which is $1 - g_t$. The last lines add the factors of $x_0$ and $x_t$ in {eq}`eq:mu-tilde`.

# %% tags=["nbval-check-output"]
g = schedule.snr[1:] / schedule.snr[:-1]  # at t = 1: 9999 / inf = 0
print("   t    beta   tilde ratio  pull")
for t in (1, 2, 3, 10, 100, 500, 1000):
    ratio = (beta[t] / beta_tilde[t]).sqrt()
    print(
        f"{t:>4} {beta[t]:.1e} {beta_tilde[t]:.1e}"
        f" {ratio:>5.3f} {1 - g[t - 1]:.3f}"
    )
for t in (2, 500, 1000):
    print(
        f"t = {t}: {from_x_0[t]:.5f} + {from_x_t[t]:.5f}"
        f" = {from_x_0[t] + from_x_t[t]:.5f}"
    )

# %% [markdown]
# *Early.* The first steps are special, because the whole way since $x_0$ is as short as the last step. At $t = 2$ both witnesses are about equally good: $x_0$ pulls with 0.545, and $\tilde\beta_2$ is less than half of $\beta_2$. At $t = 10$ the pull of $x_0$ has fallen to 0.147.
#
# *Late.* By $t = 100$ the single step is short compared with the way since $x_0$, and one witness is far better than the other. It is $x_t$ that tells where $x_{t-1}$ was, and $x_0$ pulls with one or two percent. Then $(1 - \bar\alpha_{t-1})/(1 - \bar\alpha_t)$ is close to 1, and $\tilde\beta_t$ close to $\beta_t$. But this small pull must not be dropped. It adds what $x_t$ lacks of the picture, and there are hundreds of such steps.
#
# *The sum.* It is sometimes said that $\tilde\mu_t$ is a weighted average of $x_0$ and $x_t$. Then its two factors would have to sum to 1. At $t = 500$ they sum to 0.99718, and at $T$ to 0.99008. In {eq}`eq:pull` the weights $1 - g_t$ and $g_t$ do sum to 1, but what they average is $\sqrt{\bar\alpha_{t-1}}\,x_0$ and $x_t/\sqrt{\alpha_t}$. For the sum of the factors themselves, write again $A = \sqrt{\bar\alpha_{t-1}}$ and $k = \sqrt{\alpha_t}$. Multiply out; collect in pairs; take out $A + k$; split the denominator; and cancel $1 - kA$:
#
# $$
# \begin{aligned}
# &\frac{A\,(1 - k^2) + k\,(1 - A^2)}{1 - k^2A^2}\\
# &= \frac{A - k^2A + k - kA^2}{1 - k^2A^2}\\
# &= \frac{(A + k) - kA\,(k + A)}{1 - k^2A^2}\\
# &= \frac{(A + k)(1 - kA)}{1 - k^2A^2}\\
# &= \frac{(A + k)(1 - kA)}{(1 - kA)(1 + kA)}\\
# &= \frac{A + k}{1 + kA} .
# \end{aligned}
# $$
#
# In the usual symbols the two factors sum to
#
# $$
# \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t + \sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t} = \frac{\sqrt{\bar\alpha_{t-1}} + \sqrt{\alpha_t}}{1 + \sqrt{\bar\alpha_t}} .
# $$ (eq:coefficient-sum)
#
# The shortfall from 1 is $(1 - A)(1 - k)/(1 + kA)$: put both on one denominator, and $1 + kA - A - k = (1 - A)(1 - k)$. It is positive from $t = 2$ on, and small because $1 - k$ is. In one step nobody would notice; a program that sets the second factor to one minus the first makes this error in every step.

# %% tags=["claim"]
lines = [
    (A * (1 - k**2) + k * (1 - A**2)) / now,
    (A - k**2 * A + k - k * A**2) / now,
    ((A + k) - k * A * (k + A)) / now,
    (A + k) * (1 - k * A) / now,
    (A + k) * (1 - k * A) / ((1 - k * A) * (1 + k * A)),
    1 - (1 - A) * (1 - k) / (1 + k * A),
]
claim(
    "eq:coefficient-sum",
    got=sp.Matrix(lines),
    want=every((A + k) / (1 + k * A)),
    rejects={
        "an average of $x_0$ and $x_t$": every(sp.Integer(1)),
        "half the sum": every((A + k) / 2),
    },
)

# %% [markdown]
# ## From the formula to code
#
# Given tables of $\alpha$, $\beta$ and $\bar\alpha$ with $T + 1$ entries, the posterior is four lines. The index does the work: $\bar\alpha_{t-1}$ is `alpha_bar[t - 1]`, and at $t = 1$ that is `alpha_bar[0]`, which is 1.


# %%
def posterior_step(x_0, x_t, t):
    """mu_tilde and beta_tilde for one time t."""
    s_squared, before = 1 - alpha_bar[t], 1 - alpha_bar[t - 1]
    from_x_0 = alpha_bar[t - 1].sqrt() * beta[t] / s_squared
    from_x_t = alpha[t].sqrt() * before / s_squared
    return from_x_0 * x_0 + from_x_t * x_t, before / s_squared * beta[t]


# %% [markdown]
# The library's version is {eq}`eq:posterior-leap`, so that it also serves samplers that skip times; without `u` it takes $u = t - 1$. It computes $1 - \bar\alpha_t$ by logarithms, because a difference of numbers near 1 loses digits. It takes one time or a vector of times, one for each picture.

# %%
import inspect

from ddpm_lib.diffusion import posterior, posterior_factors

print(inspect.getsource(posterior_factors))
print(inspect.getsource(posterior))

# %% [markdown]
# Is it the same function? The first claim gives both the same eight pairs of points, each at its own time. The second is independent of all our algebra: PyTorch differentiates $\log q(x_t \mid x_{t-1}) + \log q(x_{t-1} \mid x_0)$ twice with respect to $x_{t-1}$. For a normal density the second derivative is $-1/V$, and one step of Newton's method from anywhere leads to the mean.

# %% tags=["claim"]
x_0, x_t = torch.randn(2, 8)
times = torch.tensor([1, 2, 3, 10, 100, 500, 999, 1000])
got = posterior(schedule, x_0, x_t, times)
mu, var = posterior_step(x_0, x_t, times)
one_late, var_late = posterior_step(x_0, x_t, (times + 1).clamp(max=T))
claim(
    "eq:posterior",
    got=torch.stack([got.mean, got.var]),
    want=torch.stack([mu, var]),
    rejects={
        "times counted from 0": torch.stack([one_late, var_late]),
        "$x_0$ and $x_t$ exchanged": torch.stack(
            [posterior_step(x_t, x_0, times)[0], var]
        ),
        "variance $β$": torch.stack([mu, beta[times]]),
    },
    atol=1e-12,
)

# %% tags=["claim"]
late = times[1:]  # at t = 1 the prior has no width


def log_product(x):
    step = (x_t[1:] - alpha[late].sqrt() * x) ** 2 / beta[late]
    way = (x - alpha_bar[late - 1].sqrt() * x_0[1:]) ** 2
    return -(step + way / (1 - alpha_bar[late - 1])).sum() / 2


anywhere = torch.zeros(7, requires_grad=True)
(slope_there,) = torch.autograd.grad(
    log_product(anywhere), anywhere, create_graph=True
)
(curvature,) = torch.autograd.grad(slope_there.sum(), anywhere)
mu, var = posterior_step(x_0[1:], x_t[1:], late)
claim(
    "eq:posterior",
    got=torch.stack(
        [-slope_there / curvature, -1 / curvature]
    ).detach(),
    want=torch.stack([mu, var]),
    rejects={
        "variance $β$": torch.stack([mu, beta[late]]),
        "$1/α$ of the mean": torch.stack([mu / alpha[late], var]),
    },
    atol=1e-11,
)

# %% [markdown]
# Now play with the two witnesses. Drag $x_0$ and $x_t$ along the axis, choose $t$, and look back to any $u$. The heights are scaled so that the posterior's peak is 1. With $t = 500$, find the $u$ at which both pull equally, and compare the two signal-to-noise ratios there. Then press *One step*, and drag $x_0$.

# %% tags=["figure"] mystnb={"image": {"alt": "Prior, likelihood and posterior of one pixel at u = 250, for x_0 = 1.5 and x_t = −1 at t = 500. The posterior is narrower than both and lies between them."}, "figure": {"name": "fig-bayes", "caption": "What $x_0$ and $x_t$ say about $x_u$, and what they say together."}}
from ddpm_lib.course.explore import explorable

fig, ax = plt.subplots(figsize=(4.6, 2.2))
mu, var = look_back(1.5, -1.0, 500, 250)
since_u = alpha_bar[500] / alpha_bar[250]
x = torch.linspace(-3, 3, 601)
for center, v, color, line in [
    (alpha_bar[250].sqrt() * 1.5, s_squared[250], DATA, "--"),
    (-1.0 / since_u.sqrt(), (1 - since_u) / since_u, NOISE, ":"),
    (mu, var, "k", "-"),
]:
    curve = density(x, center, v) * (2 * torch.pi * var).sqrt()
    ax.plot(x, curve, color=color, ls=line)
ax.plot(1.5, 0, "o", color=DATA)
ax.plot(-1.0, 0, "o", color=NOISE)
ax.set(xlabel="$x_u$", ylabel="density, posterior's peak = 1")
explorable(
    "bayes",
    {
        "T": T,
        "beta_1": 1e-4,
        "beta_T": 0.02,
        "t": 500,
        "u": 250,
        "x_0": 1.5,
        "x_t": -1.0,
    },
    still=fig,
)

# %% [markdown]
# The pulls are equal where the signal-to-noise ratio at $u$ is twice that at $t$. That is {eq}`eq:pull` with $u$ in place of $t - 1$: the pull of $x_t$ is $\mathrm{SNR}(t)/\mathrm{SNR}(u)$. After one step from $t = 500$ the pull of $x_0$ is 0.011, as in the table above: drag it from end to end, and the posterior hardly moves.
#
# ## Where tutorials go wrong
#
# A sampler uses the posterior with a guess in place of $x_0$. To see what a slip does to its samples, we take data for which the best guess is known: a mixture {eq}`def:mixture` of two components of equal weight, at $-1$ and $1$, each of width 0.2. The best guess is the mean of $x_0$ given $x_t$, by {eq}`eq:best-guess` of chapter 8. The library has it as `exact_denoiser`, and here it is an instrument.
#
# Two thousand samples are drawn with each of five samplers, all from the same $x_T$ and with the same noises, so that only the slip differs. The first is right. The second has $\beta_t$ for $\tilde\beta_t$. Two subtract $\sqrt{1-\alpha_t}$ times all the noise, without fresh noise and with it. The last has $\bar\alpha_t$ in place of $\bar\alpha_{t-1}$, in the mean too. For each we print the standard deviation of the samples, the width of the right hump, and the distance $W_1$ {eq}`def:wasserstein` from the mixture. Samples of the mixture itself are not at distance 0 either, as the first line says.

# %%
import numpy as np

from ddpm_lib import diffusion
from ddpm_lib.exact import draw, exact_denoiser, isotropic
from ddpm_lib.sampling import ddpm, sample

mixture = isotropic([0.5, 0.5], [[-1.0], [1.0]], 0.2)
denoise = exact_denoiser(schedule, mixture)


def too_much(noise):
    """√(1 − α) of all the noise is subtracted."""

    def step(now):
        x_t, t = now.x_t, now.t
        eps = now.denoise(x_t, t).eps
        mu = (x_t - (1 - alpha[t]).sqrt() * eps) / alpha[t].sqrt()
        return mu + noise * beta_tilde[t].sqrt() * torch.randn(N, 1)

    return step


def published_table(now):
    """ᾱ_t in the place of ᾱ_{t−1}, in the mean too."""
    x_t, t = now.x_t, now.t
    before = alpha_bar[t] if t > 1 else alpha_bar[0]
    s_squared = 1 - alpha_bar[t]
    from_x_0 = before.sqrt() * beta[t] / s_squared
    from_x_t = alpha[t].sqrt() * (1 - before) / s_squared
    mu = from_x_0 * now.denoise(x_t, t).x_0 + from_x_t * x_t
    var = (1 - before) / s_squared * beta[t]
    return mu + var.sqrt() * torch.randn(N, 1)


steps = {
    "right": ddpm(),
    "variance β": ddpm(diffusion.kernel_variance),
    "√(1 − α)": too_much(0),
    "√(1 − α) + ε": too_much(1),
    "table in μ": published_table,
}
N, x_T = 2000, torch.randn(2000, 1)
samples = {"the mixture": draw(mixture, N)[:, 0]}
for name, step in steps.items():
    torch.manual_seed(1)
    *_, x = sample(step, schedule, denoise, x_T)
    samples[name] = x[:, 0]

# %% tags=["nbval-check-output"]
axis = torch.linspace(-3, 3, 60_001)
cdf = sum(
    torch.distributions.Normal(m, 0.2).cdf(axis) / 2
    for m in (-1.0, 1.0)
)
middles = (torch.arange(N) + 0.5) / N
ideal = torch.from_numpy(np.interp(middles, cdf, axis))
print("                 std    hump      W1")
for name, x in samples.items():
    W_1 = (x.sort().values - ideal).abs().mean()
    width = x[x > 0].std()
    print(f"{name:12} {x.std():>7.3f} {width:>7.3f} {W_1:>7.3f}")

# %% tags=["nbval-check-output"]
published = torch.cat([torch.ones(1), alpha_bar[2:]])  # for t = 1..T
var = (1 - published) / (1 - alpha_bar[1:]) * beta[1:]
off = (var - beta[1:])[1:].abs().max()
print(f"t > 1: |published − β| at most {off}")
from_x_0_2 = published[1].sqrt() * beta[2] / s_squared[2]
from_x_2 = alpha[2].sqrt() * (1 - published[1]) / s_squared[2]
print(f"factors of μ at t = 2: sum {from_x_0_2 + from_x_2:.3f}")


def width(subtracted, added, at_the_end=0.0):
    """The std of x_0 drawn for data N(0, 0.2²), exactly."""
    v = torch.ones(())
    for t in range(T, 0, -1):
        eps_per_x = s_squared[t].sqrt() / (
            alpha_bar[t] * 0.2**2 + s_squared[t]
        )
        factor = (1 - subtracted[t] * eps_per_x) / alpha[t].sqrt()
        v = factor**2 * v + (added[t] if t > 1 else at_the_end)
    return v.sqrt()


right = beta / s_squared.clamp(min=1e-9).sqrt()
widths = {
    "right": width(right, beta_tilde),
    "variance β": width(right, beta),
    "variance β, also at t = 1": width(right, beta, beta[1]),
    "√(1 − α) + ε": width((1 - alpha).sqrt(), beta_tilde),
}
print("one hump of width 0.2, drawn with")
for name, value in widths.items():
    print(f"  {name}: {value:.4f}")
for t in (2, 100, 500, 1000):
    too_large = (1 - alpha[t]).sqrt() / right[t]
    print(f"√(1 − α) at t = {t}: {too_large:.1f} times")

x_0 = draw(mixture, 10_000)
eps = torch.randn(x_0.shape)
for t in (10, 100, 500):
    x_t = diffusion.add_noise(schedule, x_0, t, eps)
    slip = (x_t - (1 - alpha[t]) * eps) / s_squared[t].sqrt()
    error = (slip - x_0).square().mean().sqrt()
    print(f"x_0 slip at t = {t}: off by {error:.2f}")
print(f"noise at the end: {beta[1].sqrt():.2f}")

# %% [markdown]
# The next figure shows four of the runs, and the cell before it has exact numbers for the same slips. They are for a single hump, data $\mathcal N(0, 0.2^2)$, where the guess is linear in $x_t$ and the variance of the samples can be followed through the thousand steps without any draw.

# %% tags=["figure"] mystnb={"image": {"alt": "Four histograms of samples over the true density of the mixture, two narrow peaks at minus 1 and 1. The right sampler and the one with the variance beta both fill the peaks. With root 1 minus alpha in front of the noise and no fresh noise, all samples are at 0. With fresh noise, two spikes at minus 1 and 1 that are far narrower and higher than the true peaks."}, "figure": {"name": "fig-runs", "caption": "What the slips do. Samples (green) over the density of the mixture (line). The variance $\\beta_t$ in place of $\\tilde\\beta_t$ cannot be told from the right one by eye. Too much noise subtracted leaves one point (cut off at 3), or with fresh noise two spikes that are too narrow."}}
shown = [
    "right",
    "variance β",
    "√(1 − α)",
    "√(1 − α) + ε",
]
fig, axes = plt.subplots(
    2, 2, figsize=(6, 3.6), sharex=True, sharey=True
)
truth = (
    density(axis, -1.0, torch.tensor(0.04))
    + density(axis, 1.0, torch.tensor(0.04))
) / 2
for ax, name in zip(axes.flat, shown, strict=True):
    ax.hist(
        samples[name].numpy(),
        torch.linspace(-2, 2, 81).numpy(),
        density=True,
        color=MODEL,
        alpha=0.6,
    )
    ax.plot(axis, truth, "k-", lw=1)
    ax.set(title=name, xlim=(-2, 2), ylim=(0, 3))
for ax in axes[1]:
    ax.set_xlabel("$x_0$")
plt.show()

# %% [markdown]
# *A table shifted by nothing.* The listing of a lab report builds its table of $\bar\alpha_{t-1}$ as `cat([1], alpha_bar[1:])`. The 1 is meant for $\bar\alpha_0$, and after it should come $\bar\alpha_1, \bar\alpha_2, \dots$; in a table that is counted from 0 this is `alpha_bar[:-1]`. With `[1:]` the first entry is replaced by 1, and nothing is shifted: from $t = 2$ on $\bar\alpha_t$ stands in both places of {eq}`eq:beta-tilde`, the fraction is 1, and $\tilde\beta_t = \beta_t$ exactly. The column *ratio* above has what is lost: a standard deviation too large by the factor 1.483 at $t = 2$, by 1.009 at $t = 100$, and by nothing that three digits show at $t = 500$. The samples hide it. With $\beta_t$ the hump has the width 0.2009, with $\tilde\beta_t$ 0.1963; the truth is 0.2. The slip happens to come closer, and {eq}`eq:reverse-variance` of chapter 5 says why: where the start is not known, $\tilde\beta_t$ is too small. Samples cannot reveal the mistake; the claim at the end of this section does.
#
# *The same table in the mean.* In that listing the mean is computed from the noise, {eq}`eq:mu-tilde-eps`, where $\bar\alpha_{t-1}$ does not appear. This was luck. Put the table into {eq}`eq:mu-tilde`, and the factor of $x_t$ becomes $\sqrt{\alpha_t}$, as if $x_t$ had nearly all the say, while that of $x_0$ is hardly changed. At $t = 2$ the two sum to 1.545, and the samples reach a standard deviation of hundreds, as the table shows. One and the same slip is invisible in one form of an equation and fatal in the other.
#
# *Too much noise subtracted.* A blog post has the step $x_{t-1} = (x_t - \sqrt{1-\alpha_t}\;\epsilon_\theta)/\sqrt{\alpha_t}$, where $\epsilon_\theta$ is the network's estimate of the noise. Compare {eq}`eq:undo`: it is right for the noise of the step. But the network is trained on all the noise in $x_t$, and then {eq}`eq:mu-tilde-eps` asks for the factor $(1 - \alpha_t)/\sqrt{1-\bar\alpha_t}$. At $t = 500$ the published one is 9.6 times as large. As published, without fresh noise, every sample ends at 0, where there are no data, with a standard deviation of 0.000. With fresh noise the humps survive, but a hump has the width 0.0801 instead of 0.2: the samples are too much alike.
#
# *The clean picture, by a slip.* To get $x_0$ from $x_t$ and the noise, one note writes $(x_t - (1 - \alpha_t)\,\bar\epsilon_t)/\sqrt{1-\bar\alpha_t}$, with the two factors of {eq}`eq:mu-tilde-eps` and none of the jump. For our mixture it misses $x_0$ by 22.50 at $t = 10$, by 2.24 at $t = 100$ and by 1.22 at $t = 500$, as a root mean square. The right one, solved from {eq}`eq:jump` above, misses by nothing.
#
# *Noise at the end.* The last step has $\tilde\beta_1 = 0$. A loop that adds $\sqrt{\beta_t}$ times fresh noise at every $t$ adds it to the finished picture too, here with standard deviation 0.01, a little more than one gray level of 256. In the model, the variance of the last step belongs to the decoder (chapter 6 gives it one for the bound); a picture that is shown is better without it. The width becomes 0.2012.
#
# *Two posteriors in one.* A lab report and a derivation note write $q(x_{t-1} \mid x_t)$ where they mean $q(x_{t-1} \mid x_t, x_0)$. Only the second is normal with $\tilde\mu_t$ and $\tilde\beta_t$. The first is an average over all starts that could have led to $x_t$, {eq}`eq:reverse-average`; for our mixture it is a mixture again, {eq}`eq:reverse-mixture`.

# %% tags=["claim"]
claim(
    "eq:beta-tilde",
    got=schedule.beta_tilde[1:],
    want=beta_tilde[1:],
    rejects={
        "the published table, cat([1], $ᾱ$[1:])": var,
        "$β$": beta[1:],
    },
)

# %% [markdown]
# ## Exercises
#
# :::{exercise} With a pencil
# :label: ex-pencil
#
# Let $\bar\alpha_{t-1} = 0.5$ and $\alpha_t = 0.8$. A pixel started at $x_0 = 1$ and is now at $x_t = -0.5$. What are mean and variance of $x_{t-1}$? Three digits will do.
# :::

# %%
from ddpm_lib.course.checks import posterior as check

mu, var = ..., ...
check.pencil(mu, var)

# %% [markdown]
# :::{solution-start} ex-pencil
# :class: dropdown
# :::
#
# We have $\bar\alpha_t = 0.8 \cdot 0.5 = 0.4$ and $\beta_t = 0.2$. The factor of $x_0$ is $\sqrt{0.5}\cdot 0.2/0.6 = 0.2357$, that of $x_t$ is $\sqrt{0.8}\cdot 0.5/0.6 = 0.7454$, and the mean $0.2357 - 0.3727 = -0.1370$. The variance is $\frac{0.5}{0.6}\cdot 0.2 = \frac16$. By {eq}`eq:pull`, $x_t$ pulls with $g_t = 0.8 \cdot 0.5/0.6 = \frac23$.

# %% tags=["solution"]
mu = 0.5**0.5 * 0.2 / 0.6 * 1 + 0.8**0.5 * 0.5 / 0.6 * -0.5
var = (1 - 0.5) / (1 - 0.4) * 0.2
check.pencil(mu, var)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} When the start hardly matters
# :label: ex-hardly
#
# Suppose $\beta_t = 0.01$ at every step. At which $t$ is the pull of $x_0$ on $x_{t-1}$ for the first time 10 % or less?
# :::

# %%
t_hardly = ...
check.hardly(t_hardly)

# %% [markdown]
# :::{solution-start} ex-hardly
# :class: dropdown
# :::
#
# The pull of $x_0$ is $1 - g_t$. Subtract the third line for $g_t$ above {eq}`eq:pull` from 1: on one denominator, the numerator is $1 - \bar\alpha_t - \alpha_t(1 - \bar\alpha_{t-1})$, which we met in the third way and found to be $\beta_t$. So the pull is $\beta_t/(1 - \bar\alpha_t)$, here $0.01/(1 - 0.99^t)$. It is at most $0.1$ when $0.99^t \le 0.9$, that is $t \ge \log(0.9)/\log(0.99) = 10.48$, so at $t = 11$.

# %% tags=["solution", "nbval-check-output"]
import math

crossing = math.log(0.9) / math.log(0.99)
print(f"{crossing:.2f}")
check.hardly(math.ceil(crossing))

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A network for the noise of the step
# :label: ex-step-noise
#
# Suppose somebody trains a network to predict $\epsilon_t$, the noise of step $t$ alone, from $x_t$ and $t$. Write the mean of the step back as a function of its output. Then say which of the two networks is easier to train, this one or one that predicts $\bar\epsilon_t$.
# :::


# %%
def mean_of_step(x_t, t, eps_t):
    return ...


check.undo(mean_of_step)

# %% [markdown]
# :::{solution-start} ex-step-noise
# :class: dropdown
# :::
#
# Take the mean of {eq}`eq:undo` for given $x_t$: the formula is $(x_t - \sqrt{\beta_t}\;\epsilon_t)/\sqrt{\alpha_t}$, and since $\beta_t = 1 - \alpha_t$, it is the published step of the blog post. With this network it would be right. By {eq}`eq:step-noise` the best outputs of the two networks are proportional, with the factor $\sqrt{\beta_t/(1-\bar\alpha_t)}$. So they know the same; but this one's target is mostly noise that nothing in $x_t$ betrays. At $t = 500$ the factor is 0.104, and even with $x_0$ given only $0.104^2$, about one percent, of the variance of $\epsilon_t$ could be predicted.


# %% tags=["solution", "nbval-check-output"]
def mean_of_step(x_t, t, eps_t):
    return (x_t - beta[t].sqrt() * eps_t) / alpha[t].sqrt()


check.undo(mean_of_step)
print(f"at t = 500: {(beta[500] / s_squared[500]).sqrt():.3f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A place on the way
# :label: ex-bridge
#
# Write a function that draws $x_u$, given $x_0$ and $x_t$ and standard normal noise. With it you can fill in a path between two ends, as in {numref}`fig-lens`.
# :::


# %%
def bridge(x_0, x_t, t, u, eps):
    return ...


check.bridge(bridge)

# %% [markdown]
# :::{solution-start} ex-bridge
# :class: dropdown
# :::
#
# It is {eq}`eq:posterior-leap` with {eq}`eq:reparameterize`. To fill in a whole path, go from $t$ down: draw $x_{t-1}$, then take it as the new end. To draw each $x_u$ separately from the same two ends gives the right distribution at every $u$, but no path.


# %% tags=["solution"]
def bridge(x_0, x_t, t, u, eps):
    since_u = alpha_bar[t] / alpha_bar[u]
    from_x_0 = alpha_bar[u].sqrt() * (1 - since_u) / (1 - alpha_bar[t])
    from_x_t = since_u.sqrt() * (1 - alpha_bar[u]) / (1 - alpha_bar[t])
    var = (1 - alpha_bar[u]) / (1 - alpha_bar[t]) * (1 - since_u)
    return from_x_0 * x_0 + from_x_t * x_t + var.sqrt() * eps


check.bridge(bridge)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} If the start is not known
# :label: ex-unknown
#
# A first look at chapter 5. Let $x_0$ itself be random, $x_0 \sim \mathcal N(0, v)$, and suppose only $x_t$ is known. Then $x_{t-1}$ and $x_t$ are still jointly normal. Write the variance of $x_{t-1}$ given $x_t$ as a function of $v$ and $t$. Which $v$ gives $\tilde\beta_t$, and which gives $\beta_t$?
# :::


# %%
def reverse_variance(v, t):
    return ...


check.unknown(reverse_variance)

# %% [markdown]
# :::{solution-start} ex-unknown
# :class: dropdown
# :::
#
# Write $V = \bar\alpha_{t-1}v + 1 - \bar\alpha_{t-1}$ for the variance of $x_{t-1}$. One step gives $x_t$ the variance $\alpha_t V + \beta_t$ and the covariance $\sqrt{\alpha_t}\,V$ with $x_{t-1}$. Condition as in the third way, use a common denominator, and let $\alpha_tV^2$ cancel:
#
# $$
# \begin{aligned}
# V - \frac{\alpha_t V^2}{\alpha_t V + \beta_t} &= \frac{\alpha_tV^2 + \beta_tV - \alpha_tV^2}{\alpha_t V + \beta_t}\\
# &= \frac{V}{\alpha_t V + \beta_t}\,\beta_t .
# \end{aligned}
# $$
#
# For $v = 0$ the start is known, $V = 1 - \bar\alpha_{t-1}$, the denominator is $1 - \bar\alpha_t$, and the result is $\tilde\beta_t$. For $v = 1$ we have $V = 1$ and the denominator is 1, which leaves $\beta_t$. These are the two choices of {cite:t}`ho2020` for the variance of a sampler's step, {eq}`eq:sigma-lower` and {eq}`eq:sigma-upper`. For $v$ in between, the true one is in between.


# %% tags=["solution"]
def reverse_variance(v, t):
    V = alpha_bar[t - 1] * v + 1 - alpha_bar[t - 1]
    return V / (alpha[t] * V + beta[t]) * beta[t]


check.unknown(reverse_variance)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: the way back, given the start
# :class: card
#
# $$
# \begin{aligned}
# &q(x_{t-1} \mid x_t, x_0) = \mathcal N\bigl(x_{t-1};\ \tilde\mu_t,\ \tilde\beta_t I\bigr)\\
# &\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t, \qquad \tilde\beta_1 = 0\\
# &\tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0 + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t\\
# &\tilde\mu_t = (1 - g_t)\,\sqrt{\bar\alpha_{t-1}}\,x_0 + g_t\,\frac{x_t}{\sqrt{\alpha_t}}\\
# &\tilde\mu_t = \frac{1}{\sqrt{\alpha_t}}\Bigl(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\bar\epsilon_t\Bigr)\\
# &g_t = \frac{\mathrm{SNR}(t)}{\mathrm{SNR}(t-1)}
# \end{aligned}
# $$
#
# For any $u < t$, put $\bar\alpha_u$ for $\bar\alpha_{t-1}$ and $\bar\alpha_t/\bar\alpha_u$ for $\alpha_t$. Precisions add; variances do not. The last form of $\tilde\mu_t$ wants all the noise in $x_t$, not that of the step.
# :::
#
# All of this needed $x_0$, which is what we do not have; chapter 5 takes it away and asks what is left of the normal distribution.
