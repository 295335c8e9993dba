# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Gaussians: the toolkit
#
# A pixel usually has a value near 0.5. Noise was added to it, and we are shown the sum: 1.0. What was the pixel? A diffusion model is asked this question about every pixel of a picture, at each of a thousand steps. If the pixel and the noise are both normal, the question has an exact answer. The tools for it are four: to scale normal numbers, to add them, to multiply their densities, and to condition one on another. A fifth measures how far two normal distributions are apart, and will tell how good a model's answer is. This chapter derives the five, from the density up. The chapters on the way to the first network are built from them.
#
# :::{admonition} At a glance
# :class: glance
#
# 50 minutes to read, longer with a pencil; it runs in under half a minute on a laptop's CPU, and needs no GPU. You need integrals (substitution, by parts), mean, variance and independence of random numbers, the determinant and the inverse of a matrix, and some PyTorch.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Two panels with bell-shaped curves. Left, adding: a blue bell around 0.5 of width 0.3, an orange dashed bell around 0 of width 0.4, and their sum as a thick black line, a bell around 0.5 that is wider than both. Right, multiplying: the same blue bell around 0.5, an orange dashed bell around 1.0 of width 0.4, and their product as a thick black line, a bell around 0.68 that is narrower than both."}, "figure": {"name": "fig-toolkit", "caption": "The pixel (thin) and the noise (dashed). Left: the density of their sum (thick), wider than both. Right: the pixel's density times that of the noise around the observed 1.0, scaled to area 1 (thick). It is what we know about the pixel after the observation, and it is narrower than both. See that adding numbers and multiplying densities are different operations."}}
import matplotlib.pyplot as plt
import torch

from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, style

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

normal = torch.distributions.Normal  # takes the standard deviation
x = torch.linspace(-1.2, 2.2, 400)
pixel, read = normal(0.5, 0.3), normal(1.0, 0.4)
fig, (left, right) = plt.subplots(1, 2, figsize=(6, 2.9), sharey=True)
for ax, other, result in [
    (left, normal(0.0, 0.4), normal(0.5, 0.5)),
    (right, read, normal(0.68, 0.24)),
]:
    ax.plot(x, pixel.log_prob(x).exp(), color=DATA, ls="-")
    ax.plot(x, other.log_prob(x).exp(), color=NOISE, ls="--")
    ax.plot(x, result.log_prob(x).exp(), color="k", ls="-", lw=2.6)
    ax.set(xlabel="$x$")
left.set(ylabel="density", title="pixel plus noise")
right.set(title="pixel, once 1.0 was seen")
for ax, text, at, color in [
    (left, "pixel", (0.75, 1.15), DATA),
    (left, "noise", (-0.95, 0.85), NOISE),
    (left, "sum", (1.1, 0.5), "k"),
    (right, "pixel", (-0.45, 1.15), DATA),
    (right, "noise", (1.35, 0.85), NOISE),
    (right, "product", (0.95, 1.4), "k"),
]:
    ax.annotate(text, at, color=color)
plt.show()

# %% [markdown]
# ## The density
#
# A random number $X$ is *normal*, or *Gaussian*, with mean $\mu$ and variance $\sigma^2$, if its density at the point $x$ is
#
# $$
# \mathcal N(x;\ \mu, \sigma^2) = \frac{1}{\sqrt{2\pi\sigma^2}}\; \exp\Bigl(-\frac{(x - \mu)^2}{2\sigma^2}\Bigr), \qquad \sigma > 0.
# $$ (def:normal)
#
# We write $X \sim \mathcal N(\mu, \sigma^2)$ for it. In both forms the last argument is the variance $\sigma^2$, not its root $\sigma$, which is the *standard deviation*, also called the width. With $\mu = 0$ and $\sigma^2 = 1$ the number is *standard normal*. We call such a number $\epsilon$, and its density $\varphi(z) = e^{-z^2/2}/\sqrt{2\pi}$.
#
# Our pixel has $\mu = 0.5$ and $\sigma = 0.3$, hence the variance 0.09. In code:


# %%
def N(x, mu, var):
    """The normal density of mean mu and variance var at x."""
    z_squared = (x - mu) ** 2 / var
    return torch.exp(-z_squared / 2) / torch.sqrt(
        2 * torch.pi * torch.as_tensor(var)
    )


# %% [markdown]
# A density is not a probability. Probabilities are areas under it, so the height may exceed 1: at its center our pixel's density is 1.33, as the next cell prints. What has to be 1 is the whole area. It is worth seeing once why the factor in front makes it so, because the exponential alone has no antiderivative that one could write down.

# %% tags=["nbval-check-output"]
print(f"height at the center: {N(torch.tensor(0.5), 0.5, 0.09):.2f}")

# %% [markdown]
# Call the area under the exponential of a standard normal number $J = \int_{-\infty}^{\infty} e^{-z^2/2}\,dz$. The trick is to compute $J^2$ instead. Write the second factor with another letter, and join the two integrals into one over the plane:
#
# $$
# \begin{aligned}
# J^2 &= \int_{-\infty}^{\infty} e^{-z^2/2}\,dz \int_{-\infty}^{\infty} e^{-w^2/2}\,dw\\
# &= \int\!\!\int e^{-(z^2 + w^2)/2}\,dz\,dw .
# \end{aligned}
# $$
#
# The integrand depends on $z^2 + w^2$ alone, which is the squared distance $r^2$ from the origin. So cut the plane into rings. The ring between $r$ and $r + dr$ has the area $2\pi r\,dr$:
#
# $$
# J^2 = \int_0^\infty e^{-r^2/2}\; 2\pi r\,dr .
# $$
#
# The factor $r$, which the ring brought, is what was missing: the derivative of $-e^{-r^2/2}$ is $r e^{-r^2/2}$. Hence
#
# $$
# J^2 = 2\pi \Bigl[-e^{-r^2/2}\Bigr]_0^\infty = 2\pi\,(0 + 1) = 2\pi,
# $$
#
# and since $J$ is positive,
#
# $$
# \int_{-\infty}^{\infty} e^{-z^2/2}\,dz = \sqrt{2\pi}.
# $$ (eq:normalized)
#
# A *claim* cell checks an equation, and makes sure that it would notice the usual mistakes. In it, `got` is what the cell computes, `want` is what the equation says, and `rejects` lists wrong versions by name. The cell may not use the equation to compute `got`. This one adds up the areas of 24,000 thin strips, which for such smooth curves is exact to the last digits.


# %%
from ddpm_lib.course.claims import claim, mean, variance

wide = torch.linspace(-12, 12, 24_001)


def integral(values, points=wide):
    """The area under evenly spaced values that end near zero."""
    step = (points[-1] - points[0]) / (len(points) - 1)
    return values.sum(-1) * step


claim(
    "eq:normalized",
    got=integral(torch.exp(-(wide**2) / 2)),
    want=(2 * torch.pi) ** 0.5,
    rejects={
        "the square of it": 2 * torch.pi,
        "without the half in the exponent": torch.pi**0.5,
    },
)

# %% [markdown]
# The line below the cell is its result: the number of the equation, how far the two sides lie apart, how far they may, and the wrong versions that were found to be wrong. From here on the website shows this line alone, with the check folded beneath it. All of them are collected in the [ledger](../book/claims.md).
#
# For any $\mu$ and $\sigma$, substitute $z = (x - \mu)/\sigma$, so that $dx = \sigma\,dz$:
#
# $$
# \begin{aligned}
# \int \mathcal N(x;\ \mu, \sigma^2)\,dx &= \frac{1}{\sqrt{2\pi\sigma^2}} \int e^{-z^2/2}\;\sigma\,dz\\
# &= \frac{\sigma \sqrt{2\pi}}{\sqrt{2\pi\sigma^2}} = 1 .
# \end{aligned}
# $$ (eq:area-one)
#
# A width that is forgotten in front, or put there without a square under the root, gives an area other than 1. The claim measures the area for our pixel.

# %% tags=["claim"]
claim(
    "eq:area-one",
    got=integral(N(wide, 0.5, 0.09)),
    want=1.0,
    rejects={
        "no width in front": integral(N(wide, 0.5, 0.09)) * 0.3,
        "$√σ$ in front": integral(N(wide, 0.5, 0.09)) * 0.3**0.5,
        "$2π$ without the root": (2 * torch.pi) ** -0.5,
    },
)

# %% [markdown]
# ## Mean, variance, and one integration by parts
#
# We called $\mu$ and $\sigma^2$ mean and variance without showing that they are. Begin with a standard normal number. The average of a function $f$ over its draws is $\mathbb E[f(\epsilon)] = \int f(z)\,\varphi(z)\,dz$. One property of $\varphi$ does all the work. By the chain rule, its derivative is
#
# $$
# \varphi'(z) = -z\,\varphi(z) .
# $$
#
# So an average with a factor $\epsilon$ in it can be integrated by parts. Replace $z\,\varphi(z)$ by $-\varphi'(z)$, then move the derivative over to $f$:
#
# $$
# \begin{aligned}
# \mathbb E[\epsilon f(\epsilon)] &= \int f(z)\; z\,\varphi(z)\,dz\\
# &= -\int f(z)\,\varphi'(z)\,dz\\
# &= -\Bigl[f(z)\,\varphi(z)\Bigr]_{-\infty}^{\infty} + \int f'(z)\,\varphi(z)\,dz .
# \end{aligned}
# $$
#
# The bracket is zero whenever $f$ grows more slowly than $\varphi$ falls, as every polynomial does. What remains is an average again:
#
# $$
# \mathbb E[\epsilon f(\epsilon)] = \mathbb E[f'(\epsilon)] .
# $$ (eq:by-parts)
#
# In statistics this is Stein's identity {cite:p}`stein1981`. We use it twice in this chapter. The claim tests it with $f(z) = \sin(2z) + z^3$, for which nothing is special.

# %% tags=["claim"]
phi = N(wide, 0.0, 1.0)
f, slope = (
    torch.sin(2 * wide) + wide**3,
    2 * torch.cos(2 * wide) + 3 * wide**2,
)
claim(
    "eq:by-parts",
    got=integral(wide * f * phi),
    want=integral(slope * phi),
    rejects={
        "the sign of $φ'$ kept": -integral(slope * phi),
        "$ϵ$ and $f(ϵ)$ taken as uncorrelated": integral(wide * phi)
        * integral(f * phi),
        "$f$ in place of its derivative": integral(f * phi),
    },
)

# %% [markdown]
# Put $f = 1$ into it: $\mathbb E[\epsilon] = 0$. Put $f(z) = z$: $\mathbb E[\epsilon^2] = \mathbb E[1] = 1$. Put $f(z) = z^3$, whose derivative is $3z^2$: $\mathbb E[\epsilon^4] = 3\,\mathbb E[\epsilon^2] = 3$. And $f(z) = z^5$ gives $\mathbb E[\epsilon^6] = 5\,\mathbb E[\epsilon^4] = 15$. The odd powers average to zero, because $\varphi$ is symmetric. Together,
#
# $$
# \begin{aligned}
# \mathbb E[\epsilon] &= 0, & \mathbb E[\epsilon^2] &= 1,\\
# \mathbb E[\epsilon^4] &= 3, & \mathbb E[\epsilon^6] &= 15 .
# \end{aligned}
# $$ (eq:moments)

# %% tags=["claim"]
powers = torch.tensor([1, 2, 4, 6])
claim(
    "eq:moments",
    got=integral(wide ** powers[:, None] * phi),
    want=torch.tensor([0.0, 1.0, 3.0, 15.0]),
    rejects={
        "powers of the variance": torch.tensor([0.0, 1.0, 1.0, 1.0]),
        "the density $e^{−z²}$": torch.tensor([0.0, 0.5, 0.75, 1.875]),
    },
)

# %% [markdown]
# So a standard normal number has mean 0 and variance $\mathbb E[\epsilon^2] - \mathbb E[\epsilon]^2 = 1$. For the others we need the first tool.
#
# ## Scale and shift
#
# Take a normal number $X \sim \mathcal N(\mu, \sigma^2)$, multiply it by a fixed $k \neq 0$ and add a fixed $b$. Let $k$ be positive first. The result is at most $y$ exactly if $X$ is at most $(y - b)/k$. So the two probabilities agree, and their derivatives with respect to $y$ are the densities:
#
# $$
# \begin{aligned}
# \frac{d}{dy}\,P(kX + b \le y) &= \frac{d}{dy}\,P\Bigl(X \le \frac{y - b}{k}\Bigr)\\
# &= \frac1k\;\mathcal N\Bigl(\frac{y - b}{k};\ \mu, \sigma^2\Bigr).
# \end{aligned}
# $$
#
# The factor $1/k$ is the inner derivative. A negative $k$ turns the inequality around, which makes the derivative negative and the factor $-1/k$. So for either sign it is $1/|k|$. Now look at the exponent. Put the difference over the denominator $k$, and square:
#
# $$
# \begin{aligned}
# \Bigl(\frac{y - b}{k} - \mu\Bigr)^2 &= \Bigl(\frac{y - b - k\mu}{k}\Bigr)^2\\
# &= \frac{\bigl(y - (k\mu + b)\bigr)^2}{k^2} .
# \end{aligned}
# $$
#
# Divided by $2\sigma^2$, this is the exponent of a normal density with mean $k\mu + b$ and variance $k^2\sigma^2$. The factor in front fits as well, because $|k|\sqrt{2\pi\sigma^2} = \sqrt{2\pi k^2\sigma^2}$. Hence
#
# $$
# \begin{aligned}
# &X \sim \mathcal N(\mu, \sigma^2)\\
# &\Longrightarrow\quad kX + b \ \sim\ \mathcal N(k\mu + b,\ k^2\sigma^2).
# \end{aligned}
# $$ (eq:affine)
#
# The mean goes through the map, and the variance is multiplied by the *square* of the factor. The shift leaves it alone. The claim compares the two densities for symbolic $k$, with sympy.

# %% tags=["claim"]
import sympy as sp

xs, y, b = sp.symbols("x y b", real=True)
mu, mu_1, mu_2 = sp.symbols("mu mu_1 mu_2", real=True)
k = sp.Symbol("k", real=True, nonzero=True)
sigma, sigma_1, sigma_2 = sp.symbols(
    "sigma sigma_1 sigma_2", positive=True
)


def density(x, mean, var):
    return sp.exp(-((x - mean) ** 2) / (2 * var)) / sp.sqrt(
        2 * sp.pi * var
    )


moved = density((y - b) / k, mu, sigma**2) / sp.Abs(k)
claim(
    "eq:affine",
    got=sp.simplify(moved / density(y, k * mu + b, k**2 * sigma**2)),
    want=sp.Integer(1),
    rejects={
        "the factor not squared": moved
        / density(y, k * mu + b, sp.Abs(k) * sigma**2),
        "the mean left behind": moved
        / density(y, mu + b, k**2 * sigma**2),
        "no inner derivative": sp.Abs(k),
    },
)

# %% [markdown]
# Start from a standard normal number and the result can be any normal number. With $k = \sigma$ and $b = \mu$,
#
# $$
# \mu + \sigma\,\epsilon \ \sim\ \mathcal N(\mu, \sigma^2),
# $$ (eq:standardize)
#
# and backward, $(X - \mu)/\sigma$ is standard normal. This settles what was open: a number $\mu + \sigma\epsilon$ has mean $\mu + \sigma\,\mathbb E[\epsilon] = \mu$ and variance $\sigma^2\,\mathbb E[\epsilon^2] = \sigma^2$. The formula is also how a computer draws. It makes standard normal numbers, then scales them by $\sigma$ and shifts them. The distribution carries $\sigma^2$, the sum carries $\sigma$, and to mix up the two is the most common slip in this field. Because the next claim uses random draws, it allows five standard errors, that is, five times the expected distance of such an estimate from the truth. It checks a million pixels.

# %%
eps = torch.randn(1_000_000)
pixels = 0.5 + 0.3 * eps

# %% tags=["claim"]
claim(
    "eq:standardize",
    got=variance(pixels),
    want=0.09,
    rejects={
        "noise times the variance": 0.09**2,
        "noise times $√σ$, with $σ$ read as the variance": 0.3,
        "the mean added to the variance": 0.59,
    },
)

# %% [markdown]
# ## Gradients through a draw
#
# Writing a draw as $\mu + \sigma\epsilon$ is called *reparameterization* {cite:p}`kingma2014`, and it does more than draw. Suppose that $\mu$ and $\sigma$ come out of a network, that we draw $x$ from $\mathcal N(\mu, \sigma^2)$, and that a loss $f(x)$ is computed from it. To improve $\mu$ we need the derivative of the average loss with respect to $\mu$. But $x$ is random: what is the derivative of a draw? In $x = \mu + \sigma\epsilon$ the randomness sits in $\epsilon$, which depends on neither $\mu$ nor $\sigma$. For each fixed $\epsilon$, $x$ is an ordinary function of the two. Exchange derivative and average, and use the chain rule:
#
# $$
# \begin{aligned}
# \frac{\partial}{\partial\mu}\,\mathbb E[f(\mu + \sigma\epsilon)] &= \mathbb E[f'(\mu + \sigma\epsilon)],\\
# \frac{\partial}{\partial\sigma}\,\mathbb E[f(\mu + \sigma\epsilon)] &= \mathbb E[\epsilon\,f'(\mu + \sigma\epsilon)] .
# \end{aligned}
# $$ (eq:pathwise)
#
# This is what automatic differentiation computes, without being told anything about densities. Take $f(x) = x^2$. The average loss is $\mathbb E[x^2] = \mu^2 + \sigma^2$, so the derivatives must be $2\mu$ and $2\sigma$. The claim gives each of a million draws a $\mu$ and a $\sigma$ of its own, lets PyTorch differentiate, and averages. In PyTorch's own words, `rsample()` draws in this way, and `sample()` cuts the gradient off.

# %% tags=["claim"]
m = torch.full((1_000_000,), 0.5, requires_grad=True)
width = torch.full((1_000_000,), 0.3, requires_grad=True)
((m + width * eps) ** 2).sum().backward()
gradients = torch.stack([m.grad, width.grad], dim=1)
claim(
    "eq:pathwise",
    got=mean(gradients),
    want=torch.tensor([2 * 0.5, 2 * 0.3]),
    rejects={
        "the slope at the mean": torch.tensor([1.0, 0.0]),
        "no gradient through the draw": torch.zeros(2),
        "the derivative with respect to $σ²$": torch.tensor([1.0, 1.0]),
    },
)

# %% [markdown]
# There is a second way, which needs no slope of $f$ {cite:p}`williams1992`. Leave $x$ alone, and differentiate the density instead. Under the integral,
#
# $$
# \begin{aligned}
# &\frac{\partial}{\partial\mu} \int f(x)\;\mathcal N(x;\ \mu, \sigma^2)\,dx\\
# &\qquad = \int f(x)\;\frac{\partial}{\partial\mu}\,\mathcal N(x;\ \mu, \sigma^2)\,dx .
# \end{aligned}
# $$
#
# Only the exponent depends on $\mu$, and the derivative of $-(x - \mu)^2/(2\sigma^2)$ with respect to $\mu$ is $(x - \mu)/\sigma^2$. By the chain rule it comes out as a factor before the density, and the integral is an average again:
#
# $$
# \frac{\partial}{\partial\mu}\,\mathbb E[f(x)] = \mathbb E\Bigl[f(x)\,\frac{x - \mu}{\sigma^2}\Bigr].
# $$ (eq:score-function)
#
# That factor is the derivative of $\log \mathcal N(x;\ \mu, \sigma^2)$ with respect to $\mu$, which statisticians call the *score*. (In diffusion models, as at {eq}`eq:tweedie`, that word means the derivative with respect to $x$ instead, which for a normal density is the negative of this one.) The two ways agree: with $x = \mu + \sigma\epsilon$ the factor is $\epsilon/\sigma$, and {eq}`eq:by-parts`, applied to the function $f(\mu + \sigma z)/\sigma$ of $z$, turns the second average into the first. But they agree only on average.

# %% tags=["claim"]
by_score = pixels**2 * (pixels - 0.5) / 0.09
claim(
    "eq:score-function",
    got=mean(by_score),
    want=2 * 0.5,
    rejects={
        "divided by $σ$": 2 * 0.5 * 0.3,
        "the derivative with respect to $x$": -2 * 0.5,
        "$x − μ$ alone as the factor": 2 * 0.5 * 0.3**2,
    },
)

# %% [markdown]
# How much do the single draws scatter around the average? For $f(x) = x^2$ the first way gives $2(\mu + \sigma\epsilon)$, whose variance is $4\sigma^2$ by {eq}`eq:affine`. The second way gives $g = (\mu + \sigma\epsilon)^2\,\epsilon/\sigma$. Multiply out:
#
# $$
# g = \frac{\mu^2}{\sigma}\,\epsilon + 2\mu\,\epsilon^2 + \sigma\,\epsilon^3 .
# $$
#
# Square it, the three squares first and then the three mixed products:
#
# $$
# \begin{aligned}
# g^2 = {}& \frac{\mu^4}{\sigma^2}\,\epsilon^2 + 4\mu^2\,\epsilon^4 + \sigma^2\,\epsilon^6\\
# &+ \frac{4\mu^3}{\sigma}\,\epsilon^3 + 2\mu^2\,\epsilon^4 + 4\mu\sigma\,\epsilon^5 .
# \end{aligned}
# $$
#
# Now average, with the numbers of {eq}`eq:moments`; the odd powers drop out:
#
# $$
# \begin{aligned}
# \mathbb E[g^2] &= \frac{\mu^4}{\sigma^2} + 12\mu^2 + 15\sigma^2 + 6\mu^2\\
# &= \frac{\mu^4}{\sigma^2} + 18\mu^2 + 15\sigma^2 .
# \end{aligned}
# $$
#
# Subtract the squared mean, $(2\mu)^2$. The two variances are
#
# $$
# \begin{aligned}
# \operatorname{Var}[2x] &= 4\sigma^2,\\
# \operatorname{Var}\Bigl[x^2\,\frac{x - \mu}{\sigma^2}\Bigr] &= \frac{\mu^4}{\sigma^2} + 14\mu^2 + 15\sigma^2 .
# \end{aligned}
# $$ (eq:gradient-variances)
#
# The claim integrates both variances over the density, for our pixel. The table below it draws, for three widths.

# %% tags=["claim"]
x_wide = 0.5 + 0.3 * wide
each = torch.stack([2 * x_wide, x_wide**2 * wide / 0.3])
middle = integral(each * phi)[:, None]
of_score = 0.5**4 / 0.09 + 14 * 0.5**2 + 15 * 0.09
claim(
    "eq:gradient-variances",
    got=integral((each - middle) ** 2 * phi),
    want=torch.tensor([4 * 0.09, of_score]),
    rejects={
        "equal, as the means are": torch.full((2,), 4 * 0.09),
        "the squared mean not subtracted": torch.tensor(
            [4 * 0.09, of_score + 1]
        ),
        "the mixed products forgotten": torch.tensor(
            [4 * 0.09, of_score - 6 * 0.5**2]
        ),
        "$4σ$ in place of $4σ²$": torch.tensor([4 * 0.3, of_score]),
    },
)

# %% tags=["nbval-check-output"]
print("width  pathwise    score      ratio")
for std in (0.3, 0.1, 0.01):
    draws = 0.5 + std * eps
    first, second = 2 * draws, draws**2 * eps / std
    ratio = second.var() / first.var()
    print(
        f"{std:>5}  {first.var():>8.4f} {second.var():>8.4g}"
        f" {ratio:>10,.0f}"
    )

# %% [markdown]
# As the width shrinks, the reparameterized gradient becomes certain, while the other one, as it stands, becomes worse without bound: at $\sigma = 0.01$ it needs more than a million times as many draws for the same precision. Subtracting a constant near $f(\mu)$ before multiplying, a *baseline*, takes away the part that grows, and the reparameterized gradient is still the more precise one. This is why networks that output a distribution are trained with $\mu + \sigma\epsilon$.
#
# In a diffusion model the gain lies elsewhere. Its noising has no weights in it, so no gradient has to pass through a draw. But {eq}`eq:jump` in chapter 2 writes each noisy picture as a factor times the picture plus a factor times noise, and so gives the noise a *name*. With {eq}`def:l-simple` chapter 7 trains a network to predict this noise.
#
# ## Adding independent normal numbers
#
# Now the pixel $X_1 \sim \mathcal N(\mu_1, \sigma_1^2)$ receives noise $X_2 \sim \mathcal N(\mu_2, \sigma_2^2)$, and we see the sum. The two are *independent*: to know one says nothing about the other, and the density of the pair is the product of the two densities. The mean of the sum is $\mu_1 + \mu_2$. Its variance is $\mathbb E\bigl[((X_1 - \mu_1) + (X_2 - \mu_2))^2\bigr] = \sigma_1^2 + \sigma_2^2 + 2\,\mathbb E[(X_1 - \mu_1)(X_2 - \mu_2)]$, and the last term is zero: for independent numbers the mean of the product is the product of the means, and both of these are zero. What is its shape?
#
# If $X_1 = x$, the sum is $y$ exactly if $X_2 = y - x$. Collect all the ways in which $y$ can come about:
#
# $$
# p(y) = \int \mathcal N(x;\ \mu_1, \sigma_1^2)\;\mathcal N(y - x;\ \mu_2, \sigma_2^2)\,dx .
# $$
#
# This is a *convolution*. Shifts are no trouble, by {eq}`eq:affine`, so let both means be zero for now. The exponent of the product is minus one half of
#
# $$
# Q = \frac{x^2}{\sigma_1^2} + \frac{(y - x)^2}{\sigma_2^2} .
# $$
#
# To integrate over $x$, we want $x$ in one square only. That takes one identity, which will also turn {eq}`eq:collected` of chapter 4 into a density. For any $\lambda \neq 0$ and $h$, add and subtract $h^2/\lambda$:
#
# $$
# \begin{aligned}
# \lambda x^2 - 2hx &= \lambda\Bigl(x^2 - 2\,\frac{h}{\lambda}\,x + \frac{h^2}{\lambda^2}\Bigr) - \frac{h^2}{\lambda}\\
# &= \lambda\Bigl(x - \frac{h}{\lambda}\Bigr)^2 - \frac{h^2}{\lambda} .
# \end{aligned}
# $$ (eq:complete-square)
#
# This is *completing the square*. The leftover $-h^2/\lambda$ contains no $x$, and forgetting it is how constants get lost.

# %% tags=["claim"]
lam, h = sp.symbols("lambda h", positive=True)
claim(
    "eq:complete-square",
    got=sp.expand(lam * xs**2 - 2 * h * xs),
    want=lam * (xs - h / lam) ** 2 - h**2 / lam,
    rejects={
        "no leftover": lam * (xs - h / lam) ** 2,
        "$λ$ forgotten in the leftover": lam * (xs - h / lam) ** 2
        - h**2,
        "the center at $h$": lam * (xs - h) ** 2 - h**2 / lam,
    },
)

# %% [markdown]
# Bring $Q$ into this form. Expand the second square, then collect the powers of $x$:
#
# $$
# \begin{aligned}
# Q &= \frac{x^2}{\sigma_1^2} + \frac{y^2}{\sigma_2^2} - \frac{2yx}{\sigma_2^2} + \frac{x^2}{\sigma_2^2}\\
# &= \Bigl(\frac1{\sigma_1^2} + \frac1{\sigma_2^2}\Bigr)x^2 - 2\,\frac{y}{\sigma_2^2}\,x + \frac{y^2}{\sigma_2^2} .
# \end{aligned}
# $$
#
# So $\lambda = 1/\sigma_1^2 + 1/\sigma_2^2$ and $h = y/\sigma_2^2$. Over a common denominator, $\lambda = (\sigma_1^2 + \sigma_2^2)/(\sigma_1^2\sigma_2^2)$, and the center of the square is
#
# $$
# \frac{h}{\lambda} = \frac{y}{\sigma_2^2}\cdot\frac{\sigma_1^2\sigma_2^2}{\sigma_1^2 + \sigma_2^2} = \frac{\sigma_1^2}{\sigma_1^2 + \sigma_2^2}\,y .
# $$
#
# What is left beside the square is $y^2/\sigma_2^2 - h^2/\lambda$. Write $h^2/\lambda$ as $h$ times $h/\lambda$, take out $y^2/\sigma_2^2$, put the bracket over its denominator, and cancel $\sigma_2^2$:
#
# $$
# \begin{aligned}
# \frac{y^2}{\sigma_2^2} - h\cdot\frac{h}{\lambda} &= \frac{y^2}{\sigma_2^2} - \frac{y}{\sigma_2^2}\cdot\frac{\sigma_1^2\,y}{\sigma_1^2 + \sigma_2^2}\\
# &= \frac{y^2}{\sigma_2^2}\Bigl(1 - \frac{\sigma_1^2}{\sigma_1^2 + \sigma_2^2}\Bigr)\\
# &= \frac{y^2}{\sigma_2^2}\cdot\frac{\sigma_2^2}{\sigma_1^2 + \sigma_2^2}\\
# &= \frac{y^2}{\sigma_1^2 + \sigma_2^2} .
# \end{aligned}
# $$
#
# The sum of the variances has appeared on its own. Altogether,
#
# $$
# \begin{aligned}
# \frac{x^2}{\sigma_1^2} + \frac{(y - x)^2}{\sigma_2^2} &= \lambda\,\Bigl(x - \frac{\sigma_1^2}{\sigma_1^2 + \sigma_2^2}\,y\Bigr)^2 + \frac{y^2}{\sigma_1^2 + \sigma_2^2},\\
# \lambda &= \frac1{\sigma_1^2} + \frac1{\sigma_2^2} .
# \end{aligned}
# $$ (eq:two-squares)

# %% tags=["claim"]
v_1, v_2 = sigma_1**2, sigma_2**2
precision = 1 / v_1 + 1 / v_2
square = precision * (xs - v_1 / (v_1 + v_2) * y) ** 2
claim(
    "eq:two-squares",
    got=xs**2 / v_1 + (y - xs) ** 2 / v_2,
    want=square + y**2 / (v_1 + v_2),
    rejects={
        "no leftover": square,
        "the other share of $y$": precision
        * (xs - v_2 / (v_1 + v_2) * y) ** 2
        + y**2 / (v_1 + v_2),
        "standard deviations added": square
        + y**2 / (sigma_1 + sigma_2) ** 2,
        "$λ$ as a variance": (v_1 + v_2)
        * (xs - v_1 / (v_1 + v_2) * y) ** 2
        + y**2 / (v_1 + v_2),
    },
)

# %% [markdown]
# Insert this into the integral. The factors in front of the two densities are $1/\sqrt{2\pi\sigma_1^2}$ and $1/\sqrt{2\pi\sigma_2^2}$, and what does not contain $x$ goes before the integral:
#
# $$
# \begin{aligned}
# p(y) = {}& \frac{1}{2\pi\sigma_1\sigma_2}\;\exp\Bigl(-\frac{y^2}{2(\sigma_1^2 + \sigma_2^2)}\Bigr)\\
# &\cdot \int \exp\Bigl(-\frac{\lambda}{2}\Bigl(x - \frac{h}{\lambda}\Bigr)^2\Bigr)dx .
# \end{aligned}
# $$
#
# The integrand is a normal density in $x$ with variance $1/\lambda$, without its factor in front. By {eq}`eq:area-one` the integral is therefore $\sqrt{2\pi/\lambda} = \sqrt{2\pi}\;\sigma_1\sigma_2/\sqrt{\sigma_1^2 + \sigma_2^2}$. The product $\sigma_1\sigma_2$ and one factor $\sqrt{2\pi}$ cancel:
#
# $$
# p(y) = \frac{1}{\sqrt{2\pi(\sigma_1^2 + \sigma_2^2)}}\;\exp\Bigl(-\frac{y^2}{2(\sigma_1^2 + \sigma_2^2)}\Bigr).
# $$
#
# That is the density of $\mathcal N(0, \sigma_1^2 + \sigma_2^2)$. With the means put back, for independent $X_1$ and $X_2$:
#
# $$
# \begin{aligned}
# &X_1 \sim \mathcal N(\mu_1, \sigma_1^2),\quad X_2 \sim \mathcal N(\mu_2, \sigma_2^2)\\
# &\Longrightarrow\quad X_1 + X_2 \ \sim\ \mathcal N(\mu_1 + \mu_2,\ \sigma_1^2 + \sigma_2^2).
# \end{aligned}
# $$ (eq:convolution)
#
# A sum of independent normal numbers is normal, and the variances add. For the pixel and its noise, $0.3^2 + 0.4^2 = 0.5^2$: the sum has the width 0.5, not 0.7. The first claim lets sympy do the integral, from the two densities to the density of the sum. The second draws a million sums. Its last wrong version is a bug that people write: the *same* $\epsilon$ used twice, where the numbers are not independent and standard deviations do add.

# %% tags=["claim"]
total = sp.integrate(
    density(xs, 0, v_1) * density(y - xs, 0, v_2), (xs, -sp.oo, sp.oo)
)
claim(
    "eq:convolution",
    got=sp.simplify(total / density(y, 0, v_1 + v_2)),
    want=sp.Integer(1),
    rejects={
        "standard deviations added": total
        / density(y, 0, (sigma_1 + sigma_2) ** 2),
        "precisions added": total / density(y, 0, 1 / precision),
    },
)

added = 0.4 * torch.randn(1_000_000)
seen = pixels + added
claim(
    "eq:convolution",
    got=variance(seen),
    want=0.3**2 + 0.4**2,
    rejects={
        "standard deviations added": 0.7**2,
        "the root of the sum as the variance": 0.5,
        "the same noise twice": float((0.7 * eps).var()),
    },
)

# %% [markdown]
# Chapter 2 adds a thousand noises, each shrunk by the steps that follow it. With {eq}`eq:affine` for the shrinking and {eq}`eq:convolution` for the adding, they all become the one noise of {eq}`eq:jump`.
#
# ## Multiplying two densities
#
# Back to the opening question. About the pixel $x$ we know two things. Before we look, its density is $\mathcal N(x;\ \mu_1, \sigma_1^2)$, with $\mu_1 = 0.5$ and $\sigma_1 = 0.3$. And we saw $\mu_2 = 1.0$, which is the pixel plus noise of width $\sigma_2 = 0.4$. Seen as a function of $x$, the density of that observation is $\mathcal N(\mu_2;\ x, \sigma_2^2)$. Only the difference $x - \mu_2$ enters, squared, so it is the same as $\mathcal N(x;\ \mu_2, \sigma_2^2)$. Bayes' rule multiplies the two. So we need the product of two normal densities *in the same variable*.
#
# It has been computed already. Measure from $\mu_1$, with $x - \mu_1$ in place of $x$ and $\mu_2 - \mu_1$ in place of $y$: then the exponents $(x - \mu_1)^2/\sigma_1^2 + (x - \mu_2)^2/\sigma_2^2$ are those of {eq}`eq:two-squares`, which becomes
#
# $$
# \begin{aligned}
# &\frac{(x - \mu_1)^2}{\sigma_1^2} + \frac{(x - \mu_2)^2}{\sigma_2^2}\\
# &\qquad = \lambda\,(x - \mu_{12})^2 + \frac{(\mu_2 - \mu_1)^2}{\sigma_1^2 + \sigma_2^2} .
# \end{aligned}
# $$
#
# Only the first term contains $x$. So, up to a constant, the product is a normal density around $\mu_{12}$, and its variance $\sigma_{12}^2$ is $1/\lambda$. The center $\mu_{12}$ is $\mu_1$ plus a share of the way to $\mu_2$. Write it over the common denominator, cancel $\sigma_1^2\mu_1$, and divide above and below by $\sigma_1^2\sigma_2^2$:
#
# $$
# \begin{aligned}
# \mu_{12} &= \mu_1 + \frac{\sigma_1^2}{\sigma_1^2 + \sigma_2^2}\,(\mu_2 - \mu_1)\\
# &= \frac{(\sigma_1^2 + \sigma_2^2)\,\mu_1 + \sigma_1^2\,\mu_2 - \sigma_1^2\,\mu_1}{\sigma_1^2 + \sigma_2^2}\\
# &= \frac{\sigma_2^2\,\mu_1 + \sigma_1^2\,\mu_2}{\sigma_1^2 + \sigma_2^2}\\
# &= \frac{\mu_1/\sigma_1^2 + \mu_2/\sigma_2^2}{1/\sigma_1^2 + 1/\sigma_2^2} .
# \end{aligned}
# $$
#
# The inverse of a variance is called a *precision*. In the product the precisions add, and the mean is the average of the two means, weighted by precision:
#
# $$
# \frac{1}{\sigma_{12}^2} = \frac{1}{\sigma_1^2} + \frac{1}{\sigma_2^2}, \quad
# \mu_{12} = \sigma_{12}^2\,\Bigl(\frac{\mu_1}{\sigma_1^2} + \frac{\mu_2}{\sigma_2^2}\Bigr).
# $$ (eq:precisions)
#
# For the pixel, $1/0.09 + 1/0.16 = 1/0.0576$, so the width is 0.24, and the mean is $0.0576\,(0.5/0.09 + 1/0.16) = 0.68$. That answers the opening question: $0.68$, give or take $0.24$. The claim does it without our algebra. It multiplies the two densities at 24,000 points, and takes mean and variance of what results.

# %% tags=["claim"]
product = N(wide, 0.5, 0.09) * N(wide, 1.0, 0.16)
weight = product / product.sum()
center = (weight * wide).sum()
spread = (weight * (wide - center) ** 2).sum()
var_12 = 1 / (1 / 0.09 + 1 / 0.16)
mu_12 = var_12 * (0.5 / 0.09 + 1.0 / 0.16)
claim(
    "eq:precisions",
    got=torch.stack([center, spread]),
    want=torch.tensor([mu_12, var_12]),
    rejects={
        "weighted by variance": torch.tensor([0.82, var_12]),
        "the plain average": torch.tensor([0.75, var_12]),
        "variances added": torch.tensor([mu_12, 0.25]),
        "the precision as the variance": torch.tensor(
            [mu_12, 1 / var_12]
        ),
    },
)

# %% tags=["nbval-check-output"]
print(f"the pixel was {mu_12:.2f}, give or take {var_12**0.5:.2f}")

# %% [markdown]
# The surer source counts more. And the product is always narrower than both, however much the two disagree, because $\sigma_{12}$ does not contain the means. The disagreement went elsewhere: into the leftover $(\mu_2 - \mu_1)^2/(\sigma_1^2 + \sigma_2^2)$. Let us see what becomes of it. The factors in front are $1/(2\pi\sigma_1\sigma_2)$ together. A normal density of variance $\sigma_{12}^2$ needs $1/\sqrt{2\pi\sigma_{12}^2}$, and $\sigma_{12} = \sigma_1\sigma_2/\sqrt{\sigma_1^2 + \sigma_2^2}$. So split the factors:
#
# $$
# \begin{aligned}
# \frac{1}{2\pi\sigma_1\sigma_2} &= \frac{1}{2\pi\,\sigma_{12}\sqrt{\sigma_1^2 + \sigma_2^2}}\\
# &= \frac{1}{\sqrt{2\pi\sigma_{12}^2}}\cdot\frac{1}{\sqrt{2\pi(\sigma_1^2 + \sigma_2^2)}} .
# \end{aligned}
# $$
#
# The first factor belongs to the square with $x$, the second to the leftover. Each is a complete normal density:
#
# $$
# \begin{aligned}
# &\mathcal N(x;\ \mu_1, \sigma_1^2)\;\mathcal N(x;\ \mu_2, \sigma_2^2)\\
# &\qquad = \mathcal N(\mu_2;\ \mu_1,\ \sigma_1^2 + \sigma_2^2)\;\;\mathcal N(x;\ \mu_{12}, \sigma_{12}^2) .
# \end{aligned}
# $$ (eq:product)
#
# The constant has a meaning. It is the density of the *sum* {eq}`eq:convolution`, pixel plus noise, at the value that we saw: how little surprised we are. The claim compares the two sides at seven points.

# %% tags=["claim"]
points = torch.linspace(-0.4, 1.7, 7)
alone = N(points, mu_12, var_12)
claim(
    "eq:product",
    got=N(points, 0.5, 0.09) * N(points, 1.0, 0.16),
    want=N(torch.tensor(1.0), 0.5, 0.25) * alone,
    rejects={
        "already normalized": alone,
        "standard deviations added": N(torch.tensor(1.0), 0.5, 0.49)
        * alone,
        "the constant with variance $σ_{12}²$": N(
            torch.tensor(1.0), 0.5, var_12
        )
        * alone,
    },
)

# %% [markdown]
# ## Many numbers at once
#
# A picture has many pixels, and its noise has one number for each. Let $\epsilon$ now be a vector of $d$ independent standard normal numbers. Its density is the product of theirs. The factors in front multiply, and the exponents add up to the squared length $|\epsilon|^2 = \epsilon_1^2 + \dots + \epsilon_d^2$:
#
# $$
# \prod_{i=1}^d \frac{1}{\sqrt{2\pi}}\,e^{-\epsilon_i^2/2} = (2\pi)^{-d/2}\,e^{-|\epsilon|^2/2} .
# $$
#
# We write $\epsilon \sim \mathcal N(0, I)$, where the identity matrix $I$ is the table of covariances: 1 for each number with itself, 0 for any two. Now mix the numbers with an invertible matrix $L$ and shift them by a vector $\mu$, as in $x = \mu + L\epsilon$. The mean of $x$ is $\mu$. Its covariance matrix $\Sigma$ is
#
# $$
# \begin{aligned}
# \Sigma &= \mathbb E\bigl[(x - \mu)(x - \mu)^\top\bigr] = \mathbb E\bigl[L\,\epsilon\,\epsilon^\top L^\top\bigr]\\
# &= L\,\mathbb E\bigl[\epsilon\,\epsilon^\top\bigr]\,L^\top = L L^\top .
# \end{aligned}
# $$
#
# Its density follows as in {eq}`eq:affine`. In place of $1/|k|$ stands $1/|\det L|$, because a small box in the space of $\epsilon$ is mapped to one whose volume is $|\det L|$ times as large. The exponent holds $\epsilon = L^{-1}(x - \mu)$:
#
# $$
# \begin{aligned}
# |\epsilon|^2 &= (x - \mu)^\top (L^{-1})^\top L^{-1} (x - \mu)\\
# &= (x - \mu)^\top (L L^\top)^{-1} (x - \mu)\\
# &= (x - \mu)^\top \Sigma^{-1} (x - \mu) .
# \end{aligned}
# $$
#
# And since $\det\Sigma = \det L\,\det L^\top = (\det L)^2$, the factor $|\det L|$ is $\sqrt{\det\Sigma}$. The normal density in $d$ dimensions is therefore
#
# $$
# \mathcal N(x;\ \mu, \Sigma) = \frac{\exp\bigl(-\frac12\,(x - \mu)^\top \Sigma^{-1} (x - \mu)\bigr)}{\sqrt{(2\pi)^d\,\det\Sigma}} .
# $$ (eq:density-nd)
#
# It contains $\mu$ and $\Sigma$ and no $L$. Two different ways to mix noise give the same distribution if $L L^\top$ is the same, and every matrix $\Sigma$ that is a covariance with no direction of variance 0 can be written so. The claim computes the area under the density for two dimensions, on a grid, and the four covariances with it.

# %% tags=["claim"]
mu_nd = torch.tensor([0.5, -0.3])
Sigma = torch.tensor([[0.09, 0.06], [0.06, 0.25]])
side = torch.linspace(-5, 5, 501)
plane = torch.stack(
    torch.meshgrid(side, side, indexing="ij"), -1
).reshape(-1, 2)
cell = (side[1] - side[0]) ** 2


def N_nd(x, mu, Sigma):
    """x: (..., d);  mu: (d,);  Sigma: (d, d)  ->  (...)"""
    r, d = x - mu, len(mu)
    distance = (r @ Sigma.inverse() * r).sum(-1)
    scale = ((2 * torch.pi) ** d * Sigma.det()).sqrt()
    return torch.exp(-distance / 2) / scale


def area_and_covariances(density):
    r = plane - mu_nd
    second = (r * density[:, None]).T @ r * cell
    return torch.cat([density.sum()[None] * cell, second.flatten()])


right = N_nd(plane, mu_nd, Sigma)
claim(
    "eq:density-nd",
    got=area_and_covariances(right),
    want=torch.cat([torch.ones(1), Sigma.flatten()]),
    rejects={
        "the determinant without a root": area_and_covariances(
            right / Sigma.det().sqrt()
        ),
        "$2π$ without the power $d$": area_and_covariances(
            right * (2 * torch.pi) ** 0.5
        ),
        "each coordinate by itself": area_and_covariances(
            N(plane, mu_nd, Sigma.diag()).prod(-1)
        ),
    },
)

# %% [markdown]
# If $\Sigma = \sigma^2 I$, the distribution is called *isotropic*: it has the same width in all directions, the determinant is $\sigma^{2d}$, the exponent is $-|x - \mu|^2/(2\sigma^2)$, and the density is the product over the pixels of $\mathcal N(x_i;\ \mu_i, \sigma^2)$. All the noise in this course is of this kind. This is why we may think of a single pixel most of the time.
#
# Most of the time, but not about lengths. How long is a vector of noise? Its squared length is a sum of $d$ independent terms $\epsilon_i^2$. By {eq}`eq:moments` each has mean 1 and variance $\mathbb E[\epsilon_i^4] - \mathbb E[\epsilon_i^2]^2 = 3 - 1 = 2$, and both add up:
#
# $$
# \mathbb E\bigl[|\epsilon|^2\bigr] = d, \qquad \operatorname{Var}\bigl[|\epsilon|^2\bigr] = 2d .
# $$ (eq:norm)
#
# So $|\epsilon|^2$ is $d$ up to a few times $\sqrt{2d}$. Relative to $d$, that scatter is $\sqrt{2/d}$, which becomes small. The claim takes $d = 64$, as for the digits of chapter 2. The table below it has the length $|\epsilon|$ itself: its mean, its standard deviation, and how often it is within 10 % of $\sqrt d$.

# %% tags=["claim"]
squared = torch.randn(200_000, 64).square().sum(1)
claim(
    "eq:norm",
    got=mean(squared),
    want=64.0,
    rejects={"the length, not its square": 8.0},
)
claim(
    "eq:norm",
    got=variance(squared),
    want=2 * 64.0,
    rejects={
        "the variances of $ϵ$ added": 64.0,
        "the fourth moments added": 3 * 64.0,
    },
)


# %% tags=["nbval-check-output"]
def lengths(d, n=20_000):
    """|eps| for n draws in d dimensions."""
    return torch.cat(
        [torch.randn(n // 20, d).norm(dim=1) for _ in range(20)]
    )


shells = {d: lengths(d) for d in (1, 8, 64, 784, 3072)}
table = ["   d     √d   mean    std  within 10%"]
for d, length in shells.items():
    near = ((length / d**0.5 - 1).abs() < 0.1).double().mean()
    table.append(
        f"{d:>4} {d**0.5:>6.2f} {length.mean():>6.2f} "
        f"{length.std():>6.2f}  {near:>10.1%}"
    )
print("\n".join(table))

# %% tags=["figure"] mystnb={"image": {"alt": "Histograms of the length of standard normal vectors divided by the square root of their dimension. For d = 1 the histogram is highest at 0 and falls off to about 3. For d = 8 it is a broad hill around 1, for d = 64 a narrow one, and for d = 784 a thin spike at 1."}, "figure": {"name": "fig-shell", "caption": "The length of a noise vector, in units of $\\sqrt d$. In one dimension it is most often small; in 784, as many as an MNIST digit has pixels, it is practically always $\\sqrt d$. See that in many dimensions no draw comes near the point 0, where the density of the vectors is highest."}}
fig, ax = plt.subplots(figsize=(6, 3))
colors = {1: GRAY, 8: DATA, 64: MODEL, 784: NOISE}
at = {1: (0.03, 1.1), 8: (0.45, 2.0), 64: (0.68, 4.4), 784: (1.05, 13)}
for d, color in colors.items():
    bins = torch.linspace(0, 2.5, 126)
    height, _ = torch.histogram(
        shells[d] / d**0.5, bins=bins, density=True
    )
    ax.stairs(height, bins, color=color, lw=1.6, label=f"$d = {d}$")
    ax.annotate(f"$d = {d}$", at[d], color=color)
ax.set(
    xlabel=r"$|\epsilon|\,/\,\sqrt{d}$",
    ylabel="density",
    xlim=(0, 2.5),
)
plt.show()

# %% [markdown]
# The scatter of the length itself stays near $0.71$ while the length grows like $\sqrt d$. (The square has the slope $2\sqrt d$ there, so a scatter of $\sqrt{2d}$ in the square is one of $\sqrt{2d}/(2\sqrt d) = 1/\sqrt2$ in the length.) In many dimensions, noise lives on a thin shell around the origin. This seems to contradict the density, which is highest at 0. But a shell of radius $r$ has room in proportion to $r^{d-1}$: near 0 the density is high and there is next to no room. We will meet the consequences. A vector at the wrong radius is unlike every noisy picture that a model was trained on. {numref}`ex-between` makes that mistake and mends it.
#
# ## One number given another
#
# Look at the pixel $x$ and the observation $y$ as a pair, before anything was observed. Both are normal, and they belong together: $y$ was made from $x$. Suppose that the pair is made of two independent standard normal numbers $\epsilon$ and $\epsilon'$, one after the other, with fixed numbers $k$ and $\tau > 0$:
#
# $$
# \begin{aligned}
# x &= \mu_x + \sigma_x\,\epsilon,\\
# y &= \mu_y + k\,(x - \mu_x) + \tau\,\epsilon' .
# \end{aligned}
# $$ (def:pair)
#
# In our example $\mu_y = \mu_x = 0.5$, $k = 1$, and $\tau = 0.4$. If $x$ is known, everything in the second equation is fixed except $\epsilon'$. So $y$ given $x$ is normal by {eq}`eq:standardize`, and we only have to express $k$ and $\tau$ by the variances $\sigma_x^2$ and $\sigma_y^2$ and the covariance $\sigma_{xy} = \operatorname{Cov}[x, y]$. First the covariance. The noise $\epsilon'$ is independent of $x$ and does not count, so
#
# $$
# \sigma_{xy} = \operatorname{Cov}[x,\ k x] = k\,\sigma_x^2, \quad\text{so}\quad k = \frac{\sigma_{xy}}{\sigma_x^2} .
# $$
#
# Then the variance, which adds up by independence. Insert $k$, and solve for $\tau^2$:
#
# $$
# \begin{aligned}
# \sigma_y^2 &= k^2\sigma_x^2 + \tau^2 = \frac{\sigma_{xy}^2}{\sigma_x^2} + \tau^2,\\
# \tau^2 &= \sigma_y^2 - \frac{\sigma_{xy}^2}{\sigma_x^2} .
# \end{aligned}
# $$
#
# Every pair with a normal density {eq}`eq:density-nd` can be made this way. Given its five numbers $\mu_x, \mu_y, \sigma_x^2, \sigma_y^2, \sigma_{xy}$, take the $k$ and the $\tau$ just found. The pair so made is a mixing of two noises, as in the last section, and it has the same five numbers, hence the same density. (The root exists because $\sigma_x^2\tau^2 = \sigma_x^2\sigma_y^2 - \sigma_{xy}^2$ is the determinant of $\Sigma$, which is positive.) Nothing distinguishes $x$ from $y$ here, so the names may be exchanged. For any normal pair,
#
# $$
# x \mid y \ \sim\ \mathcal N\Bigl(\mu_x + \frac{\sigma_{xy}}{\sigma_y^2}\,(y - \mu_y),\ \sigma_x^2 - \frac{\sigma_{xy}^2}{\sigma_y^2}\Bigr).
# $$ (eq:conditional-gaussian)
#
# Read it so: start from the mean, and move by a fixed share $\sigma_{xy}/\sigma_y^2$ of the surprise $y - \mu_y$. What remains unknown is smaller than before, and how much smaller does not depend on what was seen. For our pixel, $\sigma_{xy} = \operatorname{Cov}[x, x + \text{noise}] = \sigma_x^2 = 0.09$ and $\sigma_y^2 = 0.25$. The mean is $0.5 + 0.36 \cdot 0.5 = 0.68$ and the variance $0.09 - 0.0081/0.25 = 0.0576$, as before.
#
# The claim uses brute force. Among eight million pixels with noise it keeps those whose sum happened to lie within 0.01 of 1.0.

# %%
many = 0.5 + 0.3 * torch.randn(8_000_000)
noisy = many + 0.4 * torch.randn(8_000_000)
kept = many[(noisy - 1.0).abs() < 0.01]

# %% tags=["claim"]
claim(
    "eq:conditional-gaussian",
    got=mean(kept),
    want=0.5 + 0.09 / 0.25 * (1.0 - 0.5),
    rejects={
        "the slope of $y$ given $x$": 0.5 + 0.09 / 0.09 * (1.0 - 0.5),
        "no surprise subtracted": 0.5 + 0.09 / 0.25 * 1.0,
        "a ratio of standard deviations": 0.5 + 0.3 / 0.5 * 0.5,
        "variances exchanged": 0.5 + 0.16 / 0.25 * 0.5,
    },
)
claim(
    "eq:conditional-gaussian",
    got=variance(kept),
    want=0.09 - 0.09**2 / 0.25,
    rejects={
        "nothing learned from $y$": 0.09,
        "the variance of the noise": 0.16,
        "the covariance not squared": 0.09 - 0.09 / 0.25,
        "divided by the wrong variance": 0.09 - 0.09**2 / 0.16,
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "Left: a tilted cloud of points, the pixel on the horizontal axis and the observation on the vertical one. A horizontal line marks the observation 1.0. Right: a histogram of the pixels near that line is matched by a bell around 0.68, narrower than and to the right of the dashed bell around 0.5 that describes all pixels."}, "figure": {"name": "fig-pair", "caption": "Left: pixels $x$ and observations $y$. The slope of the dashed line, the mean of $x$ for each $y$, is $\\sigma_{xy}/\\sigma_y^2$ when you read it from the vertical axis. Right: the pixels on the line $y = 1.0$ (filled steps), the density {eq}`eq:conditional-gaussian` (black) and the density of all pixels (dashed). See that a slice through a normal cloud is normal."}}
fig, (left, right) = plt.subplots(
    1, 2, figsize=(6, 3), width_ratios=(1, 1)
)
left.scatter(many[:1500], noisy[:1500], s=4, color=DATA, alpha=0.4)
left.axhline(1.0, color=NOISE, ls="-")
heights = torch.tensor([-1.0, 2.0])
left.plot(0.5 + 0.36 * (heights - 0.5), heights, color="k", ls="--")
left.set(xlabel="pixel $x$", ylabel="observation $y$")
left.set(xlim=(-0.7, 1.7), ylim=(-1.2, 2.2))
bins = torch.linspace(-0.4, 1.6, 41)
height, _ = torch.histogram(kept, bins=bins, density=True)
right.stairs(height, bins, fill=True, color=NOISE, alpha=0.35)
axis = torch.linspace(-0.6, 1.7, 200)
right.plot(axis, N(axis, 0.68, 0.0576), color="k", ls="-")
right.plot(axis, N(axis, 0.5, 0.09), color=DATA, ls="--")
right.set(xlabel="pixel $x$", ylabel="density")
plt.show()

# %% [markdown]
# So there are two ways to the same answer: multiply densities, or condition a pair. Do they agree for all numbers? In general, with a pixel $\mathcal N(\mu_1, \sigma_1^2)$ and noise of variance $\sigma_2^2$, we have $\sigma_{xy} = \sigma_1^2$ and $\sigma_y^2 = \sigma_1^2 + \sigma_2^2$. The mean, $\mu_1 + \frac{\sigma_1^2}{\sigma_1^2 + \sigma_2^2}(y - \mu_1)$, is the first line of our computation of $\mu_{12}$, with $y$ as $\mu_2$. For the variance, put both terms over one denominator, and cancel:
#
# $$
# \begin{aligned}
# \sigma_1^2 - \frac{\sigma_1^4}{\sigma_1^2 + \sigma_2^2} &= \frac{\sigma_1^4 + \sigma_1^2\sigma_2^2 - \sigma_1^4}{\sigma_1^2 + \sigma_2^2}\\
# &= \frac{\sigma_1^2\,\sigma_2^2}{\sigma_1^2 + \sigma_2^2} = \sigma_{12}^2 .
# \end{aligned}
# $$ (eq:two-roads)
#
# Chapter 4 walks both roads, and a third, to the distribution {eq}`eq:posterior` that the whole way back is built on.

# %% tags=["claim"]
claim(
    "eq:two-roads",
    got=v_1 - v_1**2 / (v_1 + v_2),
    want=1 / precision,
    rejects={
        "the precision itself": precision,
        "the covariance not squared": v_1 - v_1 / (v_1 + v_2),
        "the variance of the sum": v_1 + v_2,
    },
)

# %% [markdown]
# The same argument works for vectors. Split a normal vector into two parts $x$ and $y$, with means $\mu_x, \mu_y$ and with covariance blocks $\Sigma_{xx}$, $\Sigma_{xy}$, $\Sigma_{yx} = \Sigma_{xy}^\top$ and $\Sigma_{yy}$. Make $y$ first, as $y = \mu_y + L\epsilon$ with $LL^\top = \Sigma_{yy}$, and then $x = \mu_x + K(y - \mu_y) + R\,\epsilon'$ with matrices $K$ and $R$. The two conditions become
#
# $$
# \Sigma_{xy} = K\,\Sigma_{yy}, \qquad \Sigma_{xx} = K\,\Sigma_{yy}K^\top + RR^\top .
# $$
#
# The first gives $K = \Sigma_{xy}\Sigma_{yy}^{-1}$. Insert it, with $K^\top = \Sigma_{yy}^{-1}\Sigma_{yx}$ since $\Sigma_{yy}$ is symmetric, and cancel:
#
# $$
# \begin{aligned}
# K\,\Sigma_{yy}K^\top &= \Sigma_{xy}\Sigma_{yy}^{-1}\,\Sigma_{yy}\,\Sigma_{yy}^{-1}\Sigma_{yx}\\
# &= \Sigma_{xy}\Sigma_{yy}^{-1}\Sigma_{yx} .
# \end{aligned}
# $$
#
# The second condition gives $RR^\top$, the covariance that is left. (It has a root $R$, for it is the covariance of $x - Ky$.)
#
# $$
# \begin{aligned}
# x \mid y \ \sim\ \mathcal N\bigl(&\mu_x + \Sigma_{xy}\Sigma_{yy}^{-1}(y - \mu_y),\\
# &\Sigma_{xx} - \Sigma_{xy}\Sigma_{yy}^{-1}\Sigma_{yx}\bigr).
# \end{aligned}
# $$ (eq:conditional-blocks)
#
# The construction also shows that a part of a normal vector is normal on its own: $y$ was made first, without any regard to $x$. The claim checks the definition of a conditional density, $p(x, y) = p(x \mid y)\,p(y)$, in three dimensions, for $x$ one number and $y$ two, at five random points.

# %% tags=["claim"]
A = torch.randn(3, 3)
S, center_3 = A @ A.T + torch.eye(3), torch.randn(3)
spots = center_3 + torch.randn(5, 3)
S_xy, S_yy = S[:1, 1:], S[1:, 1:]
gain = S_xy @ S_yy.inverse()
surprise = spots[:, 1:] - center_3[1:]
of_y = N_nd(spots[:, 1:], center_3[1:], S_yy)


def joint(gain, left):
    """p(x | y) p(y), with this gain and this variance left."""
    middle = center_3[0] + (surprise @ gain.T)[:, 0]
    return N(spots[:, 0], middle, left.squeeze()) * of_y


left_over = S[:1, :1] - gain @ S_xy.T
claim(
    "eq:conditional-blocks",
    got=N_nd(spots, center_3, S),
    want=joint(gain, left_over),
    rejects={
        "nothing learned from $y$": joint(gain, S[:1, :1]),
        "no inverse": joint(S_xy, left_over),
        "$y$'s numbers taken as independent": joint(
            S_xy / S_yy.diag(), S[:1, :1] - S_xy**2 @ (1 / S_yy.diag())
        ),
        "the sign of the gain": joint(-gain, left_over),
    },
)

# %% [markdown]
# ## How far apart are two distributions?
#
# The last tool measures. Suppose that draws come from a distribution $q$, and a model believes that they come from $p$. At a draw $x$, the model's log density falls short of the true one by $\log q(x) - \log p(x)$. The average shortfall is the *Kullback–Leibler divergence* {cite:p}`kullback1951`:
#
# $$
# \begin{aligned}
# \mathrm{KL}(q\,\|\,p) &= \mathbb E_{x \sim q}\bigl[\log q(x) - \log p(x)\bigr]\\
# &= \int q(x)\,\log\frac{q(x)}{p(x)}\,dx .
# \end{aligned}
# $$ (def:kl)
#
# The letter under $\mathbb E$ says who draws. With the natural logarithm the unit is the *nat*; divide by $\log 2$ for bits. At some $x$ the model may rate a draw higher than $q$ itself does, and the difference is negative there. On average it cannot be. Here is why. Write $\rho(x) = p(x)/q(x)$. Its average under $q$ is $\int q\,\frac pq\,dx = \int p\,dx = 1$, so the average of $\rho - 1$ is zero, and we may add it:
#
# $$
# \begin{aligned}
# \mathrm{KL}(q\,\|\,p) &= \mathbb E_{x \sim q}[-\log\rho]\\
# &= \mathbb E_{x \sim q}[\rho - 1 - \log\rho], \qquad \rho = \frac{p(x)}{q(x)} .
# \end{aligned}
# $$ (eq:kl-positive)
#
# Now every single term is at least zero, because $\log\rho \le \rho - 1$: the straight line $\rho - 1$ touches the logarithm at $\rho = 1$, and the logarithm bends down from there on both sides. So $\mathrm{KL} \ge 0$, and it is zero only if $\rho = 1$ wherever $q$ draws, that is, if $p = q$. The claim compares the two averages by quadrature, with what we know about the pixel after the observation as $q$, and what we knew before as $p$. It also asks for the smallest term, which must not be negative.

# %% tags=["claim"]
after, before = N(wide, 0.68, 0.0576), N(wide, 0.5, 0.09)
here = after > 1e-290  # where q is not rounded to zero
rho = (before / after)[here]
at_least = (rho - 1 - rho.log()).min()
shortfall = integral(-rho.log() * after[here])
claim(
    "eq:kl-positive",
    got=torch.stack([shortfall, at_least.clamp(max=0)]),
    want=torch.stack(
        [integral((rho - 1 - rho.log()) * after[here]), torch.zeros(())]
    ),
    rejects={
        "without the $−1$": torch.stack(
            [integral((rho - rho.log()) * after[here]), torch.zeros(())]
        ),
        "$ρ$ upside down": torch.stack(
            [
                integral((1 / rho - 1 + rho.log()) * after[here]),
                torch.zeros(()),
            ]
        ),
        r"$−\log ρ$ itself never negative": torch.stack(
            [shortfall, (-rho.log()).min()]
        ),
    },
)

# %% [markdown]
# Compute it for two normal distributions, $q = \mathcal N(\mu_1, \sigma_1^2)$ and $p = \mathcal N(\mu_2, \sigma_2^2)$. The logarithm of {eq}`def:normal` is $-\frac12\log(2\pi\sigma^2) - (x - \mu)^2/(2\sigma^2)$. Take the difference. The two $\log(2\pi)$ cancel, and $\frac12\log\sigma_2^2 - \frac12\log\sigma_1^2$ is one logarithm:
#
# $$
# \begin{aligned}
# &\log q(x) - \log p(x)\\
# &\qquad = \frac12\log\frac{\sigma_2^2}{\sigma_1^2} - \frac{(x - \mu_1)^2}{2\sigma_1^2} + \frac{(x - \mu_2)^2}{2\sigma_2^2} .
# \end{aligned}
# $$
#
# Now average over $x \sim q$. The first term is a constant. In the second, $\mathbb E[(x - \mu_1)^2] = \sigma_1^2$ is the variance, so the term becomes $-\frac12$. In the third the distance is from the wrong center. Go through the right one, $x - \mu_2 = (x - \mu_1) + (\mu_1 - \mu_2)$, and expand:
#
# $$
# \begin{aligned}
# \mathbb E\bigl[(x - \mu_2)^2\bigr] = {}& \mathbb E\bigl[(x - \mu_1)^2\bigr]\\
# &+ 2(\mu_1 - \mu_2)\,\mathbb E[x - \mu_1]\\
# &+ (\mu_1 - \mu_2)^2\\
# = {}& \sigma_1^2 + 0 + (\mu_1 - \mu_2)^2 .
# \end{aligned}
# $$
#
# Collect the three, with $\frac12$ before the bracket:
#
# $$
# \begin{aligned}
# &\mathrm{KL}\bigl(\mathcal N(\mu_1, \sigma_1^2)\,\big\|\,\mathcal N(\mu_2, \sigma_2^2)\bigr)\\
# &\qquad = \frac12\Bigl[\log\frac{\sigma_2^2}{\sigma_1^2} - 1 + \frac{\sigma_1^2 + (\mu_1 - \mu_2)^2}{\sigma_2^2}\Bigr].
# \end{aligned}
# $$ (eq:kl-1d)
#
# For the pixel before and after the look it is 0.223 nats, or 0.32 bits: this is what one noisy look at the pixel taught us. The claim integrates the definition on the grid. A second one repeats the algebra with sympy, from the difference of the logarithms to the bracket.


# %%
def kl_1d(mu_1, var_1, mu_2, var_2):
    """KL of N(mu_1, var_1) from N(mu_2, var_2), tensors, in nats."""
    ratio = var_1 / var_2
    distance = (mu_1 - mu_2) ** 2 / var_2
    return (-ratio.log() - 1 + ratio + distance) / 2


# %% tags=["claim"]
q_1, q_2, p_1, p_2 = torch.tensor([0.68, 0.0576, 0.5, 0.09])
right = kl_1d(q_1, q_2, p_1, p_2)
logs = (after / before)[here].log()
claim(
    "eq:kl-1d",
    got=integral(after[here] * logs),
    want=right,
    rejects={
        "$q$ and $p$ swapped": kl_1d(p_1, p_2, q_1, q_2),
        "no logarithm": right + (q_2 / p_2).log() / 2,
        "no $−1$": right + 0.5,
        "the half forgotten": 2 * right,
        "standard deviations as variances": kl_1d(
            q_1, q_2.sqrt(), p_1, p_2.sqrt()
        ),
    },
)

difference = sp.expand_log(
    sp.log(density(xs, mu_1, v_1)) - sp.log(density(xs, mu_2, v_2)),
    force=True,
)
e = sp.Symbol("e", real=True)  # x = mu_1 + sigma_1 e, then average
terms = sp.Poly(
    sp.expand(difference.subs(xs, mu_1 + sigma_1 * e)), e
).all_coeffs()
moment = {0: 1, 1: 0, 2: 1}
average = sum(a * moment[n] for n, a in enumerate(reversed(terms)))
bracket = -1 + (v_1 + (mu_1 - mu_2) ** 2) / v_2
log_ratio = 2 * sp.log(sigma_2) - 2 * sp.log(sigma_1)
claim(
    "eq:kl-1d",
    got=average,
    want=(log_ratio + bracket) / 2,
    rejects={
        "the logarithm upside down": (-log_ratio + bracket) / 2,
        "the wrong variance below": (
            log_ratio - 1 + (v_1 + (mu_1 - mu_2) ** 2) / v_1
        )
        / 2,
    },
)

# %% tags=["nbval-check-output"]
bits = right / torch.tensor(2.0).log()
print(f"by one look: {right:.3f} nats, {bits:.2f} bits")

# %% [markdown]
# The formula is not symmetric. Put the pixel aside for a moment and take two distributions with mean 0, of width 1 and 3. Seen from the wide one, the narrow one's draws are nothing special. Seen from the narrow one, many draws of the wide one are nearly impossible, and $\log p$ is very negative there.

# %% tags=["nbval-check-output"]
nothing, one, nine = torch.tensor([0.0, 1.0, 9.0])
narrow_wide = kl_1d(nothing, one, nothing, nine)
wide_narrow = kl_1d(nothing, nine, nothing, one)
print(f"narrow draws, wide model: {narrow_wide:.3f} nats")
print(f"wide draws, narrow model: {wide_narrow:.3f} nats")

# %% [markdown]
# The first argument draws, the second is judged, and a model is punished for calling impossible what happens. The figure lets you see where the two numbers come from. Its upper half shows $q$, $p$ and their product {eq}`eq:product`, scaled to area 1. The lower half shows the integrands of $\mathrm{KL}(q\,\|\,p)$ and $\mathrm{KL}(p\,\|\,q)$: each is the area between its curve and zero, counted negative below.


# %% tags=["figure"] mystnb={"image": {"alt": "Above, a narrow bell q around -1, a wider bell p around 1, and their product, narrower than both, around -0.6. Below, the integrands of the two divergences: that of KL(p from q) reaches higher and lies where p has draws and q has almost none."}, "figure": {"name": "fig-gaussians", "caption": "Two normal distributions to drag by their peaks: sideways moves the mean, up makes it narrower. Below, what each $x$ adds to the two divergences, cut off above 2."}}
from ddpm_lib.course.explore import explorable


def still(mu_q, std_q, mu_p, std_p):
    grid = torch.linspace(-5, 5, 500)
    q, p = N(grid, mu_q, std_q**2), N(grid, mu_p, std_p**2)
    both = q * p / integral(q * p, grid)
    fig, (top, low) = plt.subplots(
        2, 1, figsize=(4, 2.7), sharex=True, height_ratios=(3, 2)
    )
    top.plot(grid, q, color=DATA, ls="-", label="$q$")
    top.plot(grid, p, color=MODEL, ls="--", label="$p$")
    top.plot(grid, both, color=GRAY, ls=":", label="product")
    top.legend(ncols=3)
    top.set(ylabel="density")
    low.plot(grid, q * (q / p).log(), color=DATA, ls="-")
    low.plot(grid, p * (p / q).log(), color=MODEL, ls="--")
    low.set(xlabel="$x$", ylabel="integrand")
    for ax in (top, low):
        ax.grid(False)  # a still picture is to be small
    return fig


start = {
    "q": {"mean": -1.0, "std": 0.7},
    "p": {"mean": 1.0, "std": 1.4},
}
explorable("gaussians", start, still=still(-1.0, 0.7, 1.0, 1.4))

# %% [markdown]
# With equal widths the two divergences agree, however far apart the means are. With unequal widths, the larger one is the one in which the *wide* distribution draws and the narrow one is judged: its integrand is large where there are draws and the model says that there are none. Whoever minimizes $\mathrm{KL}(q\,\|\,p)$ over $p$ therefore makes $p$ wide enough to cover all that $q$ draws. Whoever minimizes $\mathrm{KL}(p\,\|\,q)$ makes $p$ narrow, so as not to draw where $q$ has nothing. A diffusion model minimizes the first.
#
# ## Equal widths: a squared distance
#
# One case matters more than all others. In $d$ dimensions let both distributions have the same isotropic covariance $\sigma^2 I$. Then the log densities differ only in their exponents, and what was a square is a squared length:
#
# $$
# \log\frac{q(x)}{p(x)} = -\frac{|x - \mu_1|^2}{2\sigma^2} + \frac{|x - \mu_2|^2}{2\sigma^2} .
# $$
#
# Each pixel contributes as in one dimension. The averages under $q$ are $d\sigma^2$ and $d\sigma^2 + |\mu_1 - \mu_2|^2$. The $d\sigma^2$ cancel:
#
# $$
# \mathrm{KL}\bigl(\mathcal N(\mu_1, \sigma^2 I)\,\big\|\,\mathcal N(\mu_2, \sigma^2 I)\bigr) = \frac{|\mu_1 - \mu_2|^2}{2\sigma^2} .
# $$ (eq:kl-equal)
#
# A divergence between probability distributions has become a squared error between two vectors. This is why a network that predicts the mean of a step, and is judged by a KL, is trained with a squared error: see {eq}`eq:kl-means` of chapter 7. The claim averages over draws in 64 dimensions.

# %% tags=["claim"]
mu_a, mu_b = 0.1 * torch.randn(2, 64)
draws = mu_a + 0.4 * torch.randn(200_000, 64)
gaps = (draws - mu_b).square() - (draws - mu_a).square()
far = (mu_a - mu_b).square().sum()
claim(
    "eq:kl-equal",
    got=mean(gaps.sum(1) / (2 * 0.4**2)),
    want=far / (2 * 0.4**2),
    rejects={
        "without the half": far / 0.4**2,
        "$σ$ in place of $σ²$": far / (2 * 0.4),
        "the mean over pixels": far / 64 / (2 * 0.4**2),
    },
)

# %% [markdown]
# ## Any covariance
#
# Now let $q = \mathcal N(\mu_1, \Sigma_1)$ and $p = \mathcal N(\mu_2, \Sigma_2)$ in $d$ dimensions, with any two covariances. The averages are of quadratic forms, so we need one fact about those. Let $z$ be any random vector with mean $m$ and covariance $\Sigma$, and $A$ a fixed matrix. Write $z = m + e$, where $e$ has mean zero, and multiply out:
#
# $$
# z^\top A z = m^\top A m + m^\top A e + e^\top A m + e^\top A e .
# $$
#
# The two terms in the middle average to zero. The last is a double sum, and the average of $e_i e_j$ is the covariance $\Sigma_{ij} = \Sigma_{ji}$:
#
# $$
# \begin{aligned}
# \mathbb E[e^\top A e] &= \sum_{i,j} A_{ij}\,\mathbb E[e_i e_j] = \sum_i \sum_j A_{ij}\,\Sigma_{ji}\\
# &= \sum_i (A\Sigma)_{ii} = \operatorname{tr}(A\Sigma) .
# \end{aligned}
# $$
#
# The trace $\operatorname{tr}$ is the sum of the diagonal. Together,
#
# $$
# \mathbb E[z^\top A z] = \operatorname{tr}(A\Sigma) + m^\top A m .
# $$ (eq:trace)
#
# The claim repeats this with sympy for two dimensions. It expands the form, and then replaces each product $e_ie_j$ by $\Sigma_{ij}$ and each single $e_i$ by 0.

# %% tags=["claim"]
A_s = sp.Matrix(2, 2, sp.symbols("A_11 A_12 A_21 A_22"))
m_1, m_2, e_1, e_2 = sp.symbols("m_1 m_2 e_1 e_2")
s_11, s_12, s_22 = sp.symbols("Sigma_11 Sigma_12 Sigma_22")
middle, cov = (
    sp.Matrix([m_1, m_2]),
    sp.Matrix([[s_11, s_12], [s_12, s_22]]),
)
v = middle + sp.Matrix([e_1, e_2])
form = sp.Poly(sp.expand((v.T * A_s * v)[0]), e_1, e_2)
averages = {
    (0, 0): 1,
    (1, 0): 0,
    (0, 1): 0,
    (2, 0): s_11,
    (1, 1): s_12,
    (0, 2): s_22,
}
at_mean = (middle.T * A_s * middle)[0]
claim(
    "eq:trace",
    got=sum(a * averages[powers] for powers, a in form.terms()),
    want=(A_s * cov).trace() + at_mean,
    rejects={
        "no trace": at_mean,
        "entry by entry, as for independent numbers": A_s[0, 0] * s_11
        + A_s[1, 1] * s_22
        + at_mean,
        "a product of traces": A_s.trace() * cov.trace() + at_mean,
    },
)

# %% [markdown]
# Now take the logarithm of {eq}`eq:density-nd` twice, and subtract. The factors $(2\pi)^d$ cancel:
#
# $$
# \begin{aligned}
# \log\frac{q(x)}{p(x)} = \frac12\Bigl[\log\frac{\det\Sigma_2}{\det\Sigma_1} &- (x - \mu_1)^\top\Sigma_1^{-1}(x - \mu_1)\\
# &+ (x - \mu_2)^\top\Sigma_2^{-1}(x - \mu_2)\Bigr].
# \end{aligned}
# $$
#
# Average over $x \sim q$ with {eq}`eq:trace`. In the first form $z = x - \mu_1$ has mean 0 and covariance $\Sigma_1$, and in the second $z = x - \mu_2$ has mean $\mu_1 - \mu_2$ and the same covariance $\Sigma_1$:
#
# $$
# \begin{aligned}
# &\mathbb E\bigl[(x - \mu_1)^\top\Sigma_1^{-1}(x - \mu_1)\bigr]\\
# &\qquad = \operatorname{tr}(\Sigma_1^{-1}\Sigma_1) = \operatorname{tr}(I) = d,\\
# &\mathbb E\bigl[(x - \mu_2)^\top\Sigma_2^{-1}(x - \mu_2)\bigr]\\
# &\qquad = \operatorname{tr}(\Sigma_2^{-1}\Sigma_1) + (\mu_1 - \mu_2)^\top\Sigma_2^{-1}(\mu_1 - \mu_2) .
# \end{aligned}
# $$
#
# Insert both:
#
# $$
# \begin{aligned}
# \mathrm{KL} = \frac12\Bigl[&\log\frac{\det\Sigma_2}{\det\Sigma_1} - d + \operatorname{tr}(\Sigma_2^{-1}\Sigma_1)\\
# &+ (\mu_1 - \mu_2)^\top\Sigma_2^{-1}(\mu_1 - \mu_2)\Bigr].
# \end{aligned}
# $$ (eq:kl-nd)
#
# For $d = 1$ it is {eq}`eq:kl-1d`, and for $\Sigma_1 = \Sigma_2 = \sigma^2 I$ it is {eq}`eq:kl-equal`. If both matrices are diagonal, determinants are products and the trace is a sum, so the KL is the sum of the pixels' own. The claim integrates the definition over the grid of the plane.

# %% tags=["claim"]
mu_p = torch.tensor([0.1, 0.2])
Sigma_p = torch.tensor([[0.3, -0.1], [-0.1, 0.2]])
q_nd, p_nd = N_nd(plane, mu_nd, Sigma), N_nd(plane, mu_p, Sigma_p)
gap = mu_nd - mu_p
far = gap @ Sigma_p.inverse() @ gap
log_dets = (Sigma_p.det() / Sigma.det()).log()
trace = (Sigma_p.inverse() @ Sigma).trace()
some = q_nd > 0
claim(
    "eq:kl-nd",
    got=(q_nd[some] * (q_nd[some] / p_nd[some]).log()).sum() * cell,
    want=(log_dets - 2 + trace + far) / 2,
    rejects={
        "$−1$ in place of $−d$": (log_dets - 1 + trace + far) / 2,
        "the determinants upside down": (-log_dets - 2 + trace + far)
        / 2,
        "the trace upside down": (
            log_dets - 2 + (Sigma.inverse() @ Sigma_p).trace() + far
        )
        / 2,
        "pixel by pixel, covariance ignored": kl_1d(
            mu_nd, Sigma.diag(), mu_p, Sigma_p.diag()
        ).sum(),
    },
)

# %% [markdown]
# ## From the formula to code
#
# The library needs {eq}`eq:kl-1d` for each pixel of a batch, and the logarithm of {eq}`def:normal`. It keeps a normal distribution as a mean and a *variance*, as the page does, so that nobody has to guess which of the two was meant.

# %%
import inspect

from ddpm_lib.bound import kl, normal_log_density
from ddpm_lib.diffusion import Gaussian

print(inspect.getsource(Gaussian))
print(inspect.getsource(kl))
print(inspect.getsource(normal_log_density))

# %% [markdown]
# The first claim compares `kl` with our own function on a batch of four pictures, the second compares the library's `density`, which returns a logarithm, with the density from the beginning of this chapter.

# %% tags=["claim"]
mu_q, mu_p = torch.randn(2, 4, 1, 8, 8)
var_q, var_p = 0.1 + torch.rand(2, 4, 1, 1, 1)
q, p = Gaussian(mu_q, var_q), Gaussian(mu_p, var_p)
claim(
    "eq:kl-1d",
    got=kl(q, p),
    want=kl_1d(mu_q, var_q, mu_p, var_p),
    rejects={
        "$q$ and $p$ swapped": kl_1d(mu_p, var_p, mu_q, var_q),
        "standard deviations as variances": kl_1d(
            mu_q, var_q.sqrt(), mu_p, var_p.sqrt()
        ),
    },
)
claim(
    "def:normal",
    got=normal_log_density(points, Gaussian(0.5 * one, 0.09 * one)),
    want=N(points, 0.5, 0.09).log(),
    rejects={
        "a density, not its logarithm": N(points, 0.5, 0.09),
        "given the standard deviation": N(points, 0.5, 0.3).log(),
        "the constant dropped": -((points - 0.5) ** 2) / (2 * 0.09),
    },
)

# %% [markdown]
# ## Where tutorials go wrong
#
# The tools are old and every textbook has them, and still each of the slips below is in circulation, some of them in the five tutorials from which this course grew, some in our own drafts. The cell computes the number that gives each of them away.

# %% tags=["nbval-check-output"]
times = eps * torch.randn(1_000_000)
fourth = (times**4).mean() / times.var() ** 2
far_out = [(z.abs() > 4).double().mean() for z in (eps, times)]

beta = 1e-4  # the variance of the noise in one small step
as_std = normal(0.0, 0.16).sample((1_000_000,)).std()

by_variance = (0.09 * 0.5 + 0.16 * 1.0) / 0.25
gains = {"right": 0.36, "exchanged": 0.64, "observation": 1.0}
off = {
    name: (many - 0.5 - gain * (noisy - 0.5)).square().mean().sqrt()
    for name, gain in gains.items()
}

stds = torch.linspace(0.01, 2, 200)
full = kl_1d(nothing, stds**2, nothing, one)
no_log = (stds**2 - 1) / 2

print(
    f"""
std of the sum: {seen.std():.2f}; added: {0.3 + 0.4:.2f}
1000 equal noises: {1000**0.5:.1f} times one; added: 1000
√β as a variance: {beta**0.5 / beta:.0f} times too much
σ² given to Normal: width {as_std:.2f}, not 0.40
fourth moment of a product: {fourth:.1f}
beyond 4: a number {far_out[0]:.1e}, a product {far_out[1]:.1e}
weighted by variance: {by_variance:.2f}, not {mu_12:.2f}
off by {off["right"]:.3f}; weights exchanged: {off["exchanged"]:.3f}
the observation as it is: {off["observation"]:.3f}
best width by the KL: {stds[full.argmin()]:.2f}
without its log: {stds[no_log.argmin()]:.2f}, at {no_log.min():.2f}
""".strip()
)

# %% [markdown]
# *Standard deviations added.* It is variances that add. With two noises, 0.3 and 0.4, the slip turns 0.5 into 0.7, and that may go unnoticed. After a thousand equal noises it turns 31.6 into 1000. The same numbers come out, and correctly so, if one noise is used a thousand times: draw a fresh one each time.
#
# *The width as a variance, the variance as a width.* The page's $\mathcal N$ takes $\sigma^2$, the sum $\mu + \sigma\epsilon$ takes $\sigma$, and so do `torch.distributions.Normal` and most programs. A student club's note has the kernel $\mathcal N(\cdot, \sqrt\beta\,I)$, where {eq}`eq:kernel` has $\beta I$. In one small step of $\beta = 10^{-4}$ this is a hundred times too much variance; chapter 2 follows it to the end. The other way round, `Normal(0, 0.16)` for noise of variance 0.16 draws numbers of width 0.16 in place of 0.40.
#
# *The product of two numbers taken for the product of two densities.* The product of two normal densities is a normal density, times a constant. The product of two normal *numbers* is not normal at all: its fourth moment is $3 \cdot 3 = 9$, by {eq}`eq:moments`, where a normal number of that variance has 3 (the cell's million has 9.2), and it lies beyond four standard deviations a hundred times as often. When a text says "a product of Gaussians", ask which of the two it means.
#
# *Precision and variance exchanged.* The average of two sources is weighted by precision, the surer one more. Weighted by variance, our pixel comes out at 0.82 instead of 0.68, nearer to the noisier source. This gets by, because the result is still an average of sensible numbers: over all pixels the root mean square error is 0.278 where the right weights have 0.240, and even to take the observation as it is, with 0.400, does not look absurd.
#
# *The constant of the product dropped.* For a single pair of densities it does no harm, since one normalizes in the end. As soon as there are several candidates for the source, the constants say which of them is likely. So it is for the mixtures of {eq}`def:mixture`, whose way back is {eq}`eq:reverse-mixture`.
#
# *No logarithm in the KL.* Some code keeps only the terms that "contain the network". That is allowed while the variance is fixed. Once it is learned, the logarithm is all that keeps it from collapsing: against a standard normal $p$, the width that minimizes the full formula is 1. Without the logarithm it is the smallest on offer, and the "KL" is negative, which no KL can be.
#
# *The half forgotten.* Twice the KL has its minimum in the same place, so training looks as it should, and a bound in bits per pixel is off. In a sum with other terms, such as {eq}`eq:bound` of chapter 6, it also shifts the balance between them.
#
# *Swapped arguments.* `kl(p, q)` for `kl(q, p)` is zero for $p = q$ as well, and never negative, so no test of a perfect model will find it. It shows when the model *cannot* be perfect. Let $q$ have two humps, at $-1$ and $1$, each of width 0.2, and let $p$ be a single normal distribution. The cell tries sixty means and as many widths, and prints the least value in nats and where it is.

# %% tags=["nbval-check-output"]
line = torch.linspace(-4, 4, 801)
log_q = (N(line, -1.0, 0.04) / 2 + N(line, 1.0, 0.04) / 2).log()
tried = torch.cartesian_prod(
    torch.linspace(-1.5, 1.45, 60), torch.linspace(0.12, 1.3, 60)
)
means, widths = tried[:, :1], tried[:, 1:]
log_p = normal_log_density(line, Gaussian(means, widths**2))
p_draws = integral(log_p.exp() * (log_p - log_q), line)
q_draws = integral(log_q.exp() * (log_q - log_p), line)
for name, table in (("KL(q‖p)", q_draws), ("KL(p‖q)", p_draws)):
    center, std = tried[table.argmin()]
    print(
        f"{name} {table.min():.2f}: "
        f"|mean| {center.abs():.2f}, width {std:.2f}"
    )

# %% tags=["figure"] mystnb={"image": {"alt": "A blue curve with two narrow humps at -1 and 1. A wide, flat dashed bell around 0 covers both. A dotted bell as narrow as one hump, and twice as high, sits on the left one alone."}, "figure": {"name": "fig-swapped", "caption": "Two humps $q$ (solid), and the best single normal $p$: by $\\mathrm{KL}(q\\,\\|\\,p)$ (dashed) it covers both humps and the gap; by $\\mathrm{KL}(p\\,\\|\\,q)$ (dotted) it sits on one hump and ignores the other."}}
fig, ax = plt.subplots(figsize=(6, 2.8))
show = slice(150, 651)
ax.plot(line[show], log_q.exp()[show], color=DATA, ls="-")
for table, look in ((q_draws, "--"), (p_draws, ":")):
    best = log_p[table.argmin()].exp()
    ax.plot(line[show], best[show], color=MODEL, ls=look, lw=2.2)
ax.set(xlabel="$x$", ylabel="density")
plt.show()

# %% [markdown]
# By the right divergence the model covers both humps, at the price of drawing in the gap, and its width 1.02 is that of $q$ as a whole. By the swapped one it sits on one hump, with width 0.20, and half of the data does not exist for it. In pictures that would be a model which draws beautiful sevens and no threes.
#
# ## Exercises
#
# Each exercise has a cell for your answer. The check below it says whether the answer is right and, if not, which mistake it looks like.
#
# :::{exercise} Noise, half, and noise again
# :label: ex-shrunk
#
# With a pencil. A pixel is exactly 0.5. Noise of width 0.3 is added, then the result is multiplied by one half, and then independent noise of width 0.2 is added. What is the width of the result?
# :::

# %%
from ddpm_lib.course.checks import gaussians as check

width_at_the_end = ...
check.shrunk(width_at_the_end)

# %% [markdown]
# :::{solution-start} ex-shrunk
# :class: dropdown
# :::
#
# After the first noise the variance is 0.09. Halving multiplies it by $\frac14$, to 0.0225. The second noise adds 0.04. Together 0.0625, and the width is its root, 0.25. The mean is halved with everything else, to 0.25. These are two steps of chapter 2 in small.

# %% tags=["solution"]
check.shrunk((0.5**2 * 0.3**2 + 0.2**2) ** 0.5)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Look again
# :label: ex-look
#
# Write the product of two normal densities as a function that returns the mean and the *variance* of the normalized product. Then use what you know about precisions: our pixel, $\mathcal N(0.5, 0.3^2)$, is observed several times, each time with a fresh noise of width 0.4. After how many looks do we first know it to a width of 0.1 or less?
# :::


# %%
def combine(mu_1, var_1, mu_2, var_2):
    return ...


check.combine(combine)
looks = ...
check.looks(looks)

# %% [markdown]
# :::{solution-start} ex-look
# :class: dropdown
# :::
#
# Precisions add. The start has $1/0.09 = 11.1$ and each look adds $1/0.16 = 6.25$. A width of 0.1 is a precision of 100, and $(100 - 11.1)/6.25 = 14.2$, so the fifteenth look does it. What was seen on the way plays no part in this.


# %% tags=["solution", "nbval-check-output"]
def combine(mu_1, var_1, mu_2, var_2):
    var = 1 / (1 / var_1 + 1 / var_2)
    return var * (mu_1 / var_1 + mu_2 / var_2), var


check.combine(combine)
check.looks(15)
print(f"{(100 - 1 / 0.09) * 0.16:.1f} looks for a precision of 100")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} The KL of two pictures
# :label: ex-kl
#
# A model describes pictures by a mean and a *standard deviation* for each pixel, independent of the others. Write $\mathrm{KL}(q\,\|\,p)$ for whole pictures, one number for each picture of the batch.
# :::


# %%
def picture_kl(mean_q, std_q, mean_p, std_p):
    """All (B, C, H, W)  ->  (B,)"""
    return ...


check.picture_kl(picture_kl)

# %% [markdown]
# :::{solution-start} ex-kl
# :class: dropdown
# :::
#
# For independent pixels the matrices in {eq}`eq:kl-nd` are diagonal, and the KL is the *sum* over pixels of {eq}`eq:kl-1d`. A mean over pixels would be the KL divided by their number, which is not a divergence between pictures any more, and would no longer match the other terms of a bound.


# %% tags=["solution"]
def picture_kl(mean_q, std_q, mean_p, std_p):
    """All (B, C, H, W)  ->  (B,)"""
    pixels = kl_1d(mean_q, std_q**2, mean_p, std_p**2)
    return pixels.flatten(1).sum(1)


check.picture_kl(picture_kl)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Halfway between two noises
# :label: ex-between
#
# To let one drawn picture turn into another, people go from one noise vector $\epsilon$ to another, $\epsilon'$. Write a function that gives a point on the way, for a share from 0, which is $\epsilon$, to 1, which is $\epsilon'$. At every share the result must be a draw of $\mathcal N(0, I)$. Use $\cos$ and $\sin$ of share times $90°$.
# :::


# %%
def between(eps, other, share):
    return ...


check.between(between)

# %% [markdown]
# :::{solution-start} ex-between
# :class: dropdown
# :::
#
# By {eq}`eq:convolution`, $c\,\epsilon + c'\epsilon'$ has the variance $c^2 + c'^2$, so the squares of the two factors must add to 1, and not the factors themselves. With an angle, $\cos^2 + \sin^2 = 1$. The straight line with the factors $1 - w$ and $w$ passes through the empty inside of the shell: halfway, its variance is $\frac12$, and its length in 3072 dimensions is 40 where a noise has 55. A model that is started there sees noise of a kind that it was never shown. For the same reason {eq}`eq:keep-variance` of chapter 2 shrinks a picture by $\sqrt{1-\beta}$ and not by $1 - \beta$.


# %% tags=["solution", "nbval-check-output"]
def between(eps, other, share):
    angle = torch.as_tensor(share * torch.pi / 2)
    return angle.cos() * eps + angle.sin() * other


check.between(between)
one_end, other_end = torch.randn(2, 3072)
straight = (one_end + other_end) / 2
print(f"length of a noise:      {one_end.norm():.0f}")
print(f"halfway, straight:      {straight.norm():.0f}")
halfway = between(one_end, other_end, 0.5)
print(f"halfway, by the circle: {halfway.norm():.0f}")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: Gaussians
# :class: card
#
# $$
# \begin{aligned}
# \text{draw} \quad & x = \mu + \sigma\epsilon \ \sim\ \mathcal N(\mu, \sigma^2)\\
# \text{scale, add} \quad & k X_1 + k' X_2 \ \sim\ \mathcal N(k\mu_1 + k'\mu_2,\ k^2\sigma_1^2 + k'^2\sigma_2^2)\\
# \text{multiply} \quad & 1/\sigma_{12}^2 = 1/\sigma_1^2 + 1/\sigma_2^2\\
# & \mu_{12} = \sigma_{12}^2\,(\mu_1/\sigma_1^2 + \mu_2/\sigma_2^2)\\
# \text{condition} \quad & x \mid y \ \sim\ \mathcal N\bigl(\mu_x + \tfrac{\sigma_{xy}}{\sigma_y^2}(y - \mu_y),\ \sigma_x^2 - \tfrac{\sigma_{xy}^2}{\sigma_y^2}\bigr)\\
# \text{compare} \quad & \mathrm{KL}(q\,\|\,p) = \tfrac12\bigl[\log\tfrac{\sigma_2^2}{\sigma_1^2} - 1 + \tfrac{\sigma_1^2 + (\mu_1 - \mu_2)^2}{\sigma_2^2}\bigr]\\
# \text{equal widths} \quad & \mathrm{KL}(q\,\|\,p) = |\mu_1 - \mu_2|^2 / (2\sigma^2)\\
# \text{length} \quad & |\epsilon| \approx \sqrt d
# \end{aligned}
# $$
#
# Adding numbers adds variances; multiplying densities adds precisions. $X_1$ and $X_2$ are independent; $\sigma_{xy}$ is a covariance. In the KL the first argument draws, and the second is judged.
# :::
#
# With these tools in hand, chapter 2 takes a picture and noises it a thousand times, and finds that it need only be done once.
