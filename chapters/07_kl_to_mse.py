# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # From KL to a squared error
#
# The bound of chapter 6 asks the model to come close to a distribution, once for every $t$. Training code does something else: it compares what the network put out with what it should have been, and squares the difference. This chapter goes from one to the other. Almost all of the way is algebra that leaves no choice. What comes out is a squared error times a weight, one weight for each $t$, and the weight depends on what the network is asked to predict. At the end stands a choice that no algebra makes, a loss called $L_{\mathrm{simple}}$ that drops the weight.
#
# :::{admonition} At a glance
# :class: glance
#
# 40 minutes to read, longer with a pencil; it runs in under half a minute on a laptop's CPU, and needs no GPU. You need the divergence of two Gaussians {eq}`eq:kl-1d`, the jump {eq}`eq:jump`, the posterior {eq}`eq:posterior`, the model's step {eq}`def:model-step` and the bound {eq}`eq:bound`.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Three panels, for t = 2, t = 20 and t = 500. Each shows two bell curves of the same width, the posterior in blue and the model's step in green and dashed. At t = 2 the green curve lies more than half a width to the right of the blue one. At t = 20 it lies about 0.15 of a width away. At t = 500 the two can hardly be told apart."}, "figure": {"name": "fig-shifts", "caption": "The posterior of one pixel (blue) and the step of a model (green, dashed) whose estimate of the noise is off by 0.5, at three times. The axis counts standard deviations of the posterior from its mean. See that the same error costs much at $t = 2$ and almost nothing at $t = 500$."}}
import matplotlib.pyplot as plt
import torch

from ddpm_lib.diffusion import kernel_variance, posterior_variance
from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, style
from ddpm_lib.schedules import cosine, linear

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

schedule = linear()
T, alpha, alpha_bar = schedule.T, schedule.alpha, schedule.alpha_bar


def shift(t, off):
    """How far the model's mean moves, in standard deviations."""
    s = (1 - alpha_bar[t]).sqrt()
    moved = schedule.beta[t] / (alpha[t].sqrt() * s) * off
    return moved / schedule.beta_tilde[t].sqrt()


fig, axes = plt.subplots(1, 3, figsize=(6.4, 2.2), sharey=True)
z = torch.linspace(-3.5, 3.5, 300)
for ax, t in zip(axes, (2, 20, 500), strict=True):
    ax.plot(z, torch.exp(-(z**2) / 2), color=DATA, ls="-")
    moved = torch.exp(-((z - shift(t, 0.5)) ** 2) / 2)
    ax.plot(z, moved, color=MODEL, ls="--", lw=2.2)
    ax.set(title=f"$t = {t}$", yticks=[], xticks=[-2, 0, 2])
axes[1].set_xlabel(r"$(x_{t-1} - \tilde\mu_t)$ in standard deviations")
plt.show()

# %% [markdown]
# ## Two Gaussians with one job
#
# What the bound {eq}`eq:bound` asks for at the time $t$, from 2 to $T$, is a small step term {eq}`def:step-term`,
#
# $$
# L_{t-1} = \mathbb E\Bigl[\mathrm{KL}\bigl(q(x_{t-1} \mid x_t, x_0)\,\big\|\,p_\theta(x_{t-1} \mid x_t)\bigr)\Bigr],
# $$
#
# where the mean is now over the pictures $x_0$ as well as over the noise in $x_t$. Both distributions are Gaussian. The first is the posterior {eq}`eq:posterior`, with a mean $\tilde\mu_t$ and a variance $\tilde\beta_t$ that we know. The second is the model's step {eq}`def:model-step`: its mean $\mu_\theta(x_t, t)$ comes from the network with parameters $\theta$, and its variance $\sigma_t^2$ is a number that we choose before training. The two usual choices are $\sigma_t^2 = \beta_t$ and $\sigma_t^2 = \tilde\beta_t$.
#
# Take one pixel first. The divergence of two Gaussians in one dimension is {eq}`eq:kl-1d`, here with the bracket multiplied out:
#
# $$
# \mathrm{KL}\bigl(\mathcal N(\tilde\mu, \tilde\beta)\,\big\|\,\mathcal N(\mu_\theta, \sigma^2)\bigr)
# = \frac12\log\frac{\sigma^2}{\tilde\beta} + \frac{\tilde\beta + (\tilde\mu - \mu_\theta)^2}{2\sigma^2} - \frac12 .
# $$
#
# Split the fraction in two, and put the part with the means in front:
#
# $$
# \phantom{\mathrm{KL}} = \frac{(\tilde\mu - \mu_\theta)^2}{2\sigma^2} + \frac{\tilde\beta}{2\sigma^2} - \frac12 + \frac12\log\frac{\sigma^2}{\tilde\beta} .
# $$
#
# The last three terms have a factor $\frac12$ in common, and inverting the fraction flips the logarithm's sign:
#
# $$
# \phantom{\mathrm{KL}} = \frac{(\tilde\mu - \mu_\theta)^2}{2\sigma^2} + \frac12\Bigl(\frac{\tilde\beta}{\sigma^2} - 1 - \log\frac{\tilde\beta}{\sigma^2}\Bigr) .
# $$
#
# A picture has $d$ pixels. Given $x_t$ and $x_0$ they are independent, under the posterior and under the model's step, and for independent pixels the divergences add. The squares of the differences add up to the squared length $\lVert\tilde\mu_t - \mu_\theta\rVert^2$, and the second term is the same for each pixel:
#
# $$
# \mathrm{KL} = \frac{1}{2\sigma_t^2}\,\lVert\tilde\mu_t - \mu_\theta\rVert^2 + \frac d2\Bigl(\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\Bigr) .
# $$ (eq:kl-means)
#
# The first claim integrates: three pixels, two different variances, and for each pixel the integral of $q \log(q/p)$ on a fine grid. The second draws a million pictures from the first distribution and averages $\log(q/p)$.

# %% tags=["claim"]
from ddpm_lib.course.claims import claim, mean

q_mean, p_mean = (
    torch.tensor([0.3, -1.0, 2.0]),
    torch.tensor([0.5, -0.8, 1.1]),
)
q_var, p_var = torch.tensor(0.3), torch.tensor(0.5)


def log_normal(x, mu, var):
    return -((x - mu) ** 2 / var + (2 * torch.pi * var).log()) / 2


def kl_means(gap, q_var, p_var, d):
    ratio = q_var / p_var
    return gap / (2 * p_var) + d / 2 * (ratio - 1 - ratio.log())


x = torch.linspace(-12, 12, 6001)[:, None]
log_q, log_p = (
    log_normal(x, q_mean, q_var),
    log_normal(x, p_mean, p_var),
)
gap = (q_mean - p_mean).square().sum()
right = kl_means(gap, q_var, p_var, 3)
wrong = {
    "a mean over the pixels": right / 3,
    "divided by $σ²$, not by $2σ²$": right + gap / (2 * p_var),
    "divided by the posterior's variance": right
    + gap / (2 * q_var)
    - gap / (2 * p_var),
    "the constant dropped": gap / (2 * p_var),
    "KL($p$‖$q$)": kl_means(gap, p_var, q_var, 3),
}
claim(
    "eq:kl-means",
    got=torch.trapezoid(log_q.exp() * (log_q - log_p), x, dim=0).sum(),
    want=right,
    rejects=wrong,
)
x = q_mean + q_var.sqrt() * torch.randn(1_000_000, 3)
log_ratio = log_normal(x, q_mean, q_var) - log_normal(x, p_mean, p_var)
claim(
    "eq:kl-means", got=mean(log_ratio.sum(1)), want=right, rejects=wrong
)

# %% [markdown]
# Look at what depends on the network in {eq}`eq:kl-means`. It is the first term alone. The second is made of two variances and $d$, and no training moves it. With $y = \tilde\beta_t/\sigma_t^2$ its bracket is $y - 1 - \log y$, which is zero for $\sigma_t^2 = \tilde\beta_t$ and positive for any other $\sigma_t^2$, by {eq}`eq:tangent`. We may drop it from a loss. We may not drop it from a bound that we report.

# %% tags=["nbval-check-output"]
ratio = schedule.beta_tilde[2:] / schedule.beta[2:]
constant = (ratio - 1 - ratio.log()) / 2  # nats a pixel, t = 2..T
for t in (2, 10, 100, 1000):
    print(f"t = {t:>4}: {constant[t - 2]:.1e} nats a pixel")
bits = constant.sum() / torch.log(torch.tensor(2.0))
print(f"all t: {bits:.3f} bits a pixel")

# %% [markdown]
# With $\sigma_t^2 = \beta_t$ the constant matters only at the smallest $t$, where $\tilde\beta_t$ is much smaller than $\beta_t$: 0.12 nats for each pixel at $t = 2$, and $8.3 \cdot 10^{-5}$ at $t = 100$. Over all steps it adds up to 0.486 bits a pixel. That is what this choice adds to the bound of a network that guesses every picture perfectly. No network does, and for the error that remains {eq}`eq:average-step` charges less with $\beta_t$: for the smooth data of chapter 6 it was the cheaper choice.
#
# ## A mean is a guess of the picture
#
# What should the network put out? It could be $\mu_\theta$ itself. But we know a lot about $\tilde\mu_t$ already. By {eq}`eq:mu-tilde` it is a sum of two parts,
#
# $$
# \tilde\mu_t(x_t, x_0) = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\;x_0 + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\;x_t ,
# $$
#
# and the model is given $x_t$. Only $x_0$ is unknown to it. So let the model use the same formula, with a guess $\hat x_0$ of the picture where $x_0$ stands:
#
# $$
# \mu_\theta(x_t, t) = \tilde\mu_t(x_t, \hat x_0), \qquad \hat x_0 = \hat x_0(x_t, t) .
# $$ (def:mean-from-guess)
#
# Nothing is lost by this. The factor of $\hat x_0$ is not zero, hence any $\mu_\theta$ can be written so with some $\hat x_0$. And something is gained: the parts with $x_t$ are equal, and cancel in the difference. What remains is the factor of $x_0$, taken out:
#
# $$
# \begin{aligned}
# \tilde\mu_t - \mu_\theta &= \tilde\mu_t(x_t, x_0) - \tilde\mu_t(x_t, \hat x_0)\\
# &= \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\;x_0 - \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\;\hat x_0\\
# &= \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\;(x_0 - \hat x_0) .
# \end{aligned}
# $$ (eq:mean-difference)
#
# The claim takes another road to the same factor. Given $x_0$, the pair $(x_{t-1}, x_t)$ is jointly Gaussian, and chapter 2 has its covariance, {eq}`eq:covariance`. The conditional mean of $x_{t-1}$ is its mean plus covariance over variance times the surprise in $x_t$, {eq}`eq:conditional-gaussian`. In it we replace $x_0$ by $\hat x_0$ everywhere and subtract.

# %% tags=["claim"]
import sympy as sp

A, al = sp.symbols("A alpha", positive=True)  # A: alpha_bar_{t-1}
X, Y, G = sp.symbols("x_0 x_t guess", real=True)
be, B = 1 - al, al * A  # beta_t, alpha_bar_t


def conditional_mean(x_0):
    gain = sp.sqrt(al) * (1 - A) / (1 - B)  # covariance / variance
    return sp.sqrt(A) * x_0 + gain * (Y - sp.sqrt(B) * x_0)


claim(
    "eq:mean-difference",
    got=sp.expand(conditional_mean(X) - conditional_mean(G)),
    want=sp.sqrt(A) * be / (1 - B) * (X - G),
    rejects={
        "$ᾱ_t$ for $ᾱ_{t−1}$": sp.sqrt(B) * be / (1 - B) * (X - G),
        "no bar below": sp.sqrt(A) * be / (1 - al) * (X - G),
        "only the first place of $x_0$": sp.sqrt(A) * (X - G),
    },
)

# %% [markdown]
# Now square {eq}`eq:mean-difference` and put it into the first term of {eq}`eq:kl-means`. The factor comes out squared:
#
# $$
# \frac{1}{2\sigma_t^2}\,\lVert\tilde\mu_t - \mu_\theta\rVert^2 = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1-\bar\alpha_t)^2}\;\lVert x_0 - \hat x_0\rVert^2 .
# $$ (eq:x-0-weight)
#
# So the divergence is a squared error of the guessed picture, times a *weight* that the schedule and $\sigma_t^2$ determine, plus the constant. To check this for every $t$ from 2 to 1000 at once, we give each $t$ a picture of three pixels and a guess that is off by random amounts. The library's `posterior` makes the two means from $x_0$ and from $\hat x_0$, and `kl` compares two Gaussians, pixel by pixel. The weights are not used for it.

# %%
from ddpm_lib.bound import kl
from ddpm_lib.diffusion import Gaussian, add_noise, posterior

t = torch.arange(2, T + 1)
x_0, eps = torch.randn(2, T - 1, 3)
x_t = add_noise(schedule, x_0, t, eps)


def divergence(guess, variance):
    """KL from the posterior to the model's step, t = 2..T.  (T-1,)"""
    var = variance(schedule, t, t - 1)[:, None]
    model = Gaussian(posterior(schedule, guess, x_t, t).mean, var)
    return kl(posterior(schedule, x_0, x_t, t), model).sum(1)


# %% tags=["claim"]
guess = x_0 + 0.3 * torch.randn(x_0.shape)
error = (x_0 - guess).square().sum(1)
now, before = 1 - alpha_bar[2:], alpha_bar[1:-1]
betas = schedule.beta[2:]
for variance, rest in (
    (kernel_variance, constant),
    (posterior_variance, 0 * constant),
):
    var = variance(schedule, t, t - 1)
    weight = before * betas**2 / (2 * var * now**2)
    claim(
        "eq:x-0-weight",
        got=divergence(guess, variance),
        want=weight * error + 3 * rest,
        rejects={
            "$1 − ᾱ$ not squared": weight * now * error + 3 * rest,
            "no bars": alpha[2:] / (2 * var) * error + 3 * rest,
            "$ᾱ_{t−1}$ left out": weight / before * error + 3 * rest,
            "a mean over the pixels": weight * error / 3 + rest,
        },
        atol=1e-9,
    )

# %% [markdown]
# For $\sigma_t^2 = \tilde\beta_t$ the weight has a short form. Insert $\tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t$ from {eq}`eq:beta-tilde`. One $\beta_t$ and one $1 - \bar\alpha_t$ cancel:
#
# $$
# \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\,(1-\bar\alpha_t)^2}\cdot\frac{1-\bar\alpha_t}{(1-\bar\alpha_{t-1})\,\beta_t}
# = \frac12\cdot\frac{\bar\alpha_{t-1}\,\beta_t}{(1-\bar\alpha_{t-1})(1-\bar\alpha_t)} .
# $$
#
# In the numerator, replace $\beta_t$ by $1 - \alpha_t$, multiply out, and use $\bar\alpha_{t-1}\alpha_t = \bar\alpha_t$:
#
# $$
# \bar\alpha_{t-1}\,\beta_t = \bar\alpha_{t-1}(1 - \alpha_t) = \bar\alpha_{t-1} - \bar\alpha_{t-1}\alpha_t = \bar\alpha_{t-1} - \bar\alpha_t .
# $$
#
# We would like to split the fraction into one with $1 - \bar\alpha_{t-1}$ below and one with $1 - \bar\alpha_t$. So subtract and add $\bar\alpha_{t-1}\bar\alpha_t$, and collect:
#
# $$
# \begin{aligned}
# \bar\alpha_{t-1} - \bar\alpha_t &= \bar\alpha_{t-1} - \bar\alpha_{t-1}\bar\alpha_t - \bar\alpha_t + \bar\alpha_{t-1}\bar\alpha_t\\
# &= \bar\alpha_{t-1}(1 - \bar\alpha_t) - \bar\alpha_t(1 - \bar\alpha_{t-1}) .
# \end{aligned}
# $$
#
# Divide by $(1-\bar\alpha_{t-1})(1-\bar\alpha_t)$. In each term one factor cancels, and what is left are two signal-to-noise ratios {eq}`def:snr`:
#
# $$
# \begin{aligned}
# \frac12\cdot\frac{\bar\alpha_{t-1}\,\beta_t}{(1-\bar\alpha_{t-1})(1-\bar\alpha_t)}
# &= \frac12\Bigl(\frac{\bar\alpha_{t-1}}{1-\bar\alpha_{t-1}} - \frac{\bar\alpha_t}{1-\bar\alpha_t}\Bigr)\\
# &= \frac12\bigl(\mathrm{SNR}(t-1) - \mathrm{SNR}(t)\bigr) .
# \end{aligned}
# $$ (eq:snr-difference)

# %% tags=["claim"]
tilde = (1 - A) / (1 - B) * be
before_t, at_t = A / (1 - A), B / (1 - B)  # SNR(t-1), SNR(t)
claim(
    "eq:snr-difference",
    got=A * be**2 / (2 * tilde * (1 - B) ** 2),
    want=(before_t - at_t) / 2,
    rejects={
        "without the half": before_t - at_t,
        "the wrong way round": (at_t - before_t) / 2,
        "a ratio for the difference": (before_t / at_t - 1) / 2,
        "$ᾱ_t$ for $ᾱ_{t−1}$": B * be**2 / (2 * tilde * (1 - B) ** 2),
    },
)

# %% [markdown]
# So the divergence at $t$ is half the drop in SNR times the squared error of $\hat x_0$. {cite:t}`kingma2021` build their account of diffusion models on it. It also says what all steps together can cost. Suppose that the model's guess is off by the same squared length at each $t$. Then the weights add up, and in their sum each SNR but the first and the last appears once with a plus and once with a minus:
#
# $$
# \sum_{t=2}^{T}\frac12\bigl(\mathrm{SNR}(t-1) - \mathrm{SNR}(t)\bigr) = \frac12\bigl(\mathrm{SNR}(1) - \mathrm{SNR}(T)\bigr) .
# $$ (eq:weight-sum)

# %% tags=["claim"]
snr = schedule.snr
var = schedule.beta_tilde[2:]
weight = before * betas**2 / (2 * var * now**2)
claim(
    "eq:weight-sum",
    got=weight.sum(),
    want=(snr[1] - snr[T]) / 2,
    rejects={
        "without the half": snr[1] - snr[T],
        r"$\mathrm{SNR}(2)$ first": (snr[2] - snr[T]) / 2,
        "a mean over $t$": (snr[1] - snr[T]) / 2 / (T - 1),
    },
    atol=1e-8,
)

# %% tags=["nbval-check-output"]
print(f"SNR(1) = {snr[1]:.0f}, total weight {weight.sum():.0f}")

# %% [markdown]
# Here that is 4999. No matter how a schedule goes from its first SNR to its last, the total weight of the $x_0$-error is the same. The schedule decides only where it is spent.
#
# ## Or a guess of the noise
#
# The network can also be asked for the noise. The jump {eq}`eq:jump` ties the picture and its noise together: given $x_t = a\,x_0 + s\,\bar\epsilon_t$ with $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$, to know one is to know the other. So let the network put out an estimate $\hat\epsilon = \epsilon_\theta(x_t, t)$, and read the guess of the picture from it by solving the jump for $x_0$, as in {numref}`ex-recover`: $\hat x_0 = (x_t - s\,\hat\epsilon)/a$. The true pair obeys the same equation, $x_0 = (x_t - s\,\bar\epsilon_t)/a$. Subtract. The $x_t$ cancels, and the sign changes:
#
# $$
# x_0 - \hat x_0 = \frac{x_t - s\,\bar\epsilon_t}{a} - \frac{x_t - s\,\hat\epsilon}{a} = -\frac sa\,(\bar\epsilon_t - \hat\epsilon) .
# $$
#
# Square it, and write $s^2/a^2 = (1-\bar\alpha_t)/\bar\alpha_t$ as one over the SNR:
#
# $$
# \lVert x_0 - \hat x_0\rVert^2 = \frac{1-\bar\alpha_t}{\bar\alpha_t}\,\lVert\bar\epsilon_t - \hat\epsilon\rVert^2 = \frac{1}{\mathrm{SNR}(t)}\,\lVert\bar\epsilon_t - \hat\epsilon\rVert^2 .
# $$ (eq:error-ratio)
#
# The claim lets the library decode an estimate of the noise that is off by random amounts, others at each $t$.

# %% tags=["claim"]
from ddpm_lib.diffusion import EPS, X_0, V, signal_and_noise

eps_hat = eps + 0.1 * torch.randn(eps.shape)
a, s = signal_and_noise(schedule, t, like=eps)
from_eps = EPS.decode(eps_hat, x_t, a, s).x_0
eps_error = (eps - eps_hat).square().sum(1)
claim(
    "eq:error-ratio",
    got=(x_0 - from_eps).square().sum(1),
    want=eps_error / snr[2:],
    rejects={
        "the same error": eps_error,
        "SNR upside down": eps_error * snr[2:],
        "amplitudes, not powers": eps_error / snr[2:].sqrt(),
    },
    atol=1e-9,
)

# %% [markdown]
# Put {eq}`eq:error-ratio` into {eq}`eq:x-0-weight`. The weight is multiplied by $(1-\bar\alpha_t)/\bar\alpha_t$. One $1 - \bar\alpha_t$ cancels; then $\bar\alpha_t = \alpha_t\bar\alpha_{t-1}$, and $\bar\alpha_{t-1}$ cancels:
#
# $$
# \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1-\bar\alpha_t)^2}\cdot\frac{1-\bar\alpha_t}{\bar\alpha_t}
# = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1-\bar\alpha_t)\,\bar\alpha_t}
# = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1-\bar\alpha_t)} .
# $$
#
# So, for any choice of $\sigma_t^2$,
#
# $$
# \frac{1}{2\sigma_t^2}\,\lVert\tilde\mu_t - \mu_\theta\rVert^2 = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1-\bar\alpha_t)}\;\lVert\bar\epsilon_t - \hat\epsilon\rVert^2 .
# $$ (eq:eps-weight)
#
# This is the weight of {cite:t}`ho2020`. The claim computes the divergences from the decoded noise, for both choices of $\sigma_t^2$. Among the wrong versions is one that we found in print: the weight of the $x_0$-error in front of the error of the noise.

# %% tags=["claim"]
for variance, rest in (
    (kernel_variance, constant),
    (posterior_variance, 0 * constant),
):
    var = variance(schedule, t, t - 1)
    weight = betas**2 / (2 * var * alpha[2:] * now)
    same = before * betas**2 / (2 * var * now**2)
    claim(
        "eq:eps-weight",
        got=divergence(from_eps, variance),
        want=weight * eps_error + 3 * rest,
        rejects={
            "the weight of the $x_0$-error": same * eps_error
            + 3 * rest,
            "no bar": weight * now / betas * eps_error + 3 * rest,
            "$1/α_t$ dropped": weight * alpha[2:] * eps_error
            + 3 * rest,
            "$β_t$ not squared": weight / betas * eps_error + 3 * rest,
            "a mean over the pixels": weight * eps_error / 3 + rest,
        },
        atol=1e-9,
    )

# %% [markdown]
# With $\sigma_t^2 = \beta_t$ one $\beta_t$ cancels, and the weight is $\beta_t / \bigl(2\alpha_t(1-\bar\alpha_t)\bigr)$. With $\sigma_t^2 = \tilde\beta_t$ one $\beta_t$ and the factor $1 - \bar\alpha_t$ cancel. By {eq}`eq:error-ratio` it is also the weight of the $x_0$-error, {eq}`eq:snr-difference`, divided by $\mathrm{SNR}(t)$:
#
# $$
# \frac{\beta_t}{2\alpha_t(1-\bar\alpha_{t-1})} = \frac{\mathrm{SNR}(t-1) - \mathrm{SNR}(t)}{2\,\mathrm{SNR}(t)} = \frac12\Bigl(\frac{\mathrm{SNR}(t-1)}{\mathrm{SNR}(t)} - 1\Bigr) .
# $$ (eq:eps-weight-snr)

# %% tags=["claim"]
for form in (
    (before_t - at_t) / (2 * at_t),
    (before_t / at_t - 1) / 2,
):
    claim(
        "eq:eps-weight-snr",
        got=be**2 / (2 * tilde * al * (1 - B)),
        want=form,
        rejects={
            "the weight of the $x_0$-error": (before_t - at_t) / 2,
            r"divided by $\mathrm{SNR}(t−1)$": (1 - at_t / before_t)
            / 2,
            "$1 − ᾱ_t$ below": be / (2 * al * (1 - B)),
        },
    )

# %% [markdown]
# Now compare the two weights. They multiply two different errors, and each product is the same number. So their ratio is the inverse of the ratio of the errors, whatever $\sigma_t^2$ is:
#
# $$
# \frac{\text{weight of } \lVert x_0 - \hat x_0\rVert^2}{\text{weight of } \lVert\bar\epsilon_t - \hat\epsilon\rVert^2} = \mathrm{SNR}(t) .
# $$ (eq:weight-ratio)
#
# The claim takes two models. One is off by exactly 1 in each pixel of $\hat x_0$, the other by exactly 1 in each pixel of $\hat\epsilon$. Both squared errors are then 3, and the ratio of the two divergences is the ratio of the weights.

# %%
wrong_picture = x_0 + 1
wrong_noise = EPS.decode(eps + 1, x_t, a, s).x_0

# %% tags=["claim"]
for variance, rest in (
    (kernel_variance, constant),
    (posterior_variance, 0 * constant),
):
    of_x_0 = divergence(wrong_picture, variance) - 3 * rest
    of_eps = divergence(wrong_noise, variance) - 3 * rest
    claim(
        "eq:weight-ratio",
        got=of_x_0 / of_eps,
        want=snr[2:],
        rejects={
            "equal weights": torch.ones(T - 1),
            "upside down": 1 / snr[2:],
            "amplitudes": snr[2:].sqrt(),
        },
        atol=1e-6,
    )

# %% tags=["nbval-check-output"]
from ddpm_lib.bound import eps_weight, v_weight, x_0_weight

print("     t    of x_0     of ε      ratio")
for k in (2, 100, 260, 500, 1000):
    of_x_0, of_eps = x_0_weight(schedule)[k], eps_weight(schedule)[k]
    print(
        f"{k:>6}  {of_x_0:>8.3g}  {of_eps:>7.3g}"
        f"  {of_x_0 / of_eps:>9.4g}"
    )

# %% [markdown]
# The ratio runs from 4546 at $t = 2$ to $4.0 \cdot 10^{-5}$ at $t = 1000$. Where the picture is nearly clean, an error in $\hat x_0$ weighs much, and the same error in $\hat\epsilon$ weighs little; where the picture is nearly gone it is the other way round. The two meet where the SNR is 1.
#
# ## In code
#
# Here are the weights in four lines, for any schedule and any variance of the model's steps.


# %%
def weights(schedule, var):
    """Of the x_0-error and the ε-error, t = 2..T; var: (T+1,)"""
    squared = schedule.beta[2:] ** 2 / (2 * var[2:])
    now, before = 1 - schedule.alpha_bar[2:], schedule.alpha_bar[1:-1]
    of_x_0 = squared * before / now**2
    return of_x_0, squared / (schedule.alpha[2:] * now)


# %%
import inspect

print(inspect.getsource(eps_weight))
print(inspect.getsource(x_0_weight))

# %% [markdown]
# The library computes the second from the first by {eq}`eq:weight-ratio`. It keeps an entry for $t = 1$, to which we come below.

# %% tags=["claim"]
ours, library = [], []
for one in (linear(), cosine()):
    for table, var in (
        (one.beta, kernel_variance),
        (one.beta_tilde, posterior_variance),
    ):
        ours.append(torch.stack(weights(one, table)))
        library.append(
            torch.stack(
                [x_0_weight(one, var)[2:], eps_weight(one, var)[2:]]
            )
        )
ours, library = torch.stack(ours), torch.stack(library)  # (4, 2, T-1)
for k, label in enumerate(("eq:x-0-weight", "eq:eps-weight")):
    claim(
        label,
        got=(library / ours)[:, k],
        want=torch.ones(4, T - 1),
        rejects={
            "shifted by one": (ours.roll(1, -1) / ours)[:, k],
            "that of the other error": (ours.flip(1) / ours)[:, k],
        },
        atol=1e-9,
    )

# %% [markdown]
# So far each guess was off by noise that we had added. A model errs in a more orderly way. For a mixture of Gaussians we have the best possible denoiser, which chapter 8 derives {eq}`eq:mixture-guess`, and we can spoil it on purpose: the next cell adds a wave of height 0.1 to its estimate of the noise. The data has two humps on a line, 30 % of it at $-1$ and 70 % at $1$, each of width $\varsigma = 0.2$. The library's bound computes each $L_{t-1}$ from two Gaussians, and knows nothing of weights. The claim compares it with the weights, at one $x_t$ for each $t$ from 2 to $T$.

# %%
from ddpm_lib.bound import step_term
from ddpm_lib.diffusion import Prediction
from ddpm_lib.exact import draw, exact_denoiser, isotropic

mixture = isotropic([0.3, 0.7], [[-1.0], [1.0]], 0.2)
exact = exact_denoiser(schedule, mixture)


def spoiled(x_t, t):
    """The best denoiser, with a wave on its estimate of the noise."""
    a, s = signal_and_noise(schedule, t, like=x_t)
    eps_hat = exact(x_t, t).eps + 0.1 * torch.sin(3 * x_t)
    return Prediction((x_t - s * eps_hat) / a, eps_hat)


# %% tags=["claim"]
x_0, eps = draw(mixture, T - 1), torch.randn(T - 1, 1)
answer = spoiled(add_noise(schedule, x_0, t, eps), t)
eps_error = (eps - answer.eps).square().sum(1)
x_0_error = (x_0 - answer.x_0).square().sum(1)
got = [
    step_term(schedule, spoiled, x_0, t=t, eps=eps, variance=variance)
    for variance in (kernel_variance, posterior_variance)
]
of_x_0, of_eps = (
    torch.stack(
        [
            table(schedule, kernel_variance),
            table(schedule, posterior_variance),
        ]
    )
    for table in (x_0_weight, eps_weight)
)
rest = torch.stack([constant, 0 * constant])
for label, want, swapped in (
    ("eq:x-0-weight", of_x_0[:, 2:] * x_0_error, of_x_0 / of_eps),
    ("eq:eps-weight", of_eps[:, 2:] * eps_error, of_eps / of_x_0),
):
    claim(
        label,
        got=torch.stack(got),
        want=want + rest,
        rejects={
            "the weight of the other error": want / swapped[:, 2:]
            + rest,
            "no constant": want,
        },
        atol=1e-9,
    )

# %% [markdown]
# ## All times at once
#
# The bound has $T - 1$ such terms. To compute all of them for every picture at every step of training would take a thousand calls of the network. Instead, draw $t$, as in {eq}`eq:random-t`. Write $w_t$ for the weight in {eq}`eq:eps-weight`. If $t$ is drawn uniformly from $2, \dots, T$, each value has probability $1/(T-1)$, so the sum over $t$ is $T - 1$ times a mean over $t$:
#
# $$
# \sum_{t=2}^{T} \mathbb E\bigl[w_t\,\lVert\bar\epsilon_t - \hat\epsilon\rVert^2\bigr] = (T - 1)\;\mathbb E_{t \sim \mathcal U\{2, \dots, T\}}\,\mathbb E\bigl[w_t\,\lVert\bar\epsilon_t - \hat\epsilon\rVert^2\bigr] .
# $$ (eq:drawn-time)
#
# The claim draws two hundred thousand times, pictures and noises for the right side. For the left side it integrates. By {eq}`eq:best-guess` the mean square error of any estimate is that of the best one, $\epsilon^*$, plus the mean square of how far it is from $\epsilon^*$. At $t$ the first is $1 - \mathbb E\bigl[(\epsilon^*)^2\bigr]$ {eq}`eq:floor-from-guess`. So the error of the spoiled denoiser is this floor plus the mean square of the wave; both are integrals over the density of $x_t$, on a grid.

# %% tags=["claim"]
from ddpm_lib.exact import log_density, noised


def mean_squares(t, grid):
    """Of the best estimate and of the wave, over x_t on a grid."""
    density = log_density(noised(schedule, mixture, t), grid).exp()
    best, wave = exact(grid, t).eps, 0.1 * torch.sin(3 * grid)
    squares = torch.cat([best, wave], dim=1).square()
    return torch.trapezoid(density[:, None] * squares, grid, dim=0)


grid = torch.linspace(-6, 6, 801)[:, None]
of_best, of_wave = torch.stack(
    [mean_squares(k, grid) for k in range(1, T + 1)], dim=1
)  # (T,) each, t = 1..T
errors = (1 - of_best + of_wave)[1:]
w = eps_weight(schedule)[2:]

N = 200_000
drawn = torch.randint(2, T + 1, (N,))
x_0, eps = draw(mixture, N), torch.randn(N, 1)
answer = spoiled(add_noise(schedule, x_0, drawn, eps), drawn)
squares = (eps - answer.eps).square().sum(1)
claim(
    "eq:drawn-time",
    got=mean((T - 1) * w[drawn - 2] * squares),
    want=(w * errors).sum(),
    rejects={
        "without the factor $T − 1$": (w * errors).mean(),
        "weight and error averaged apart": w.sum() * errors.mean(),
        "weight one": errors.sum(),
    },
)

# %% [markdown]
# ## The simple loss
#
# Everything up to here followed from the bound. Now comes the choice. {cite:t}`ho2020` drop the weight, draw $t$ from all of $1, \dots, T$, and train with
#
# $$
# L_{\mathrm{simple}}(\theta) = \mathbb E_{t \sim \mathcal U\{1, \dots, T\},\;x_0,\;\bar\epsilon_t}\Bigl[\bigl\lVert\bar\epsilon_t - \epsilon_\theta\bigl(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\bar\epsilon_t,\ t\bigr)\bigr\rVert^2\Bigr] .
# $$ (def:l-simple)
#
# Every symbol in it has a line in the training code: draw a $t$, draw a picture, draw a noise, make $x_t$ by the jump, ask the network, compare with the noise that you drew. The library's `loss` with `EPS` for its `parameterization` is this, except that it takes the mean over the pixels where {eq}`def:l-simple` has the sum.

# %%
from ddpm_lib.diffusion import loss

print(inspect.getsource(loss))

# %% [markdown]
# $L_{\mathrm{simple}}$ is not the bound, and the bound does not "decompose" into it. It is another sum of the same errors. To see what it changes, compare how each spends its total weight over $t$.

# %% tags=["nbval-check-output"]
w = eps_weight(schedule)[2:]
share = w.cumsum(0) / w.sum()
even = torch.arange(1, T) / (T - 1)
for k in (10, 100):
    print(
        f"t ≤ {k}: bound {share[k - 2]:.1%}, L_simple {even[k - 2]:.1%}"
    )
lightest = int(w.argmin())
print(f"largest {w[0]:.2f} at t = 2, {w[0] / w.mean():.0f} × the mean")
print(f"smallest {w[lightest]:.4f} at t = {lightest + 2}")
print(f"at t = T: {w[-1]:.4f}, the mean {w.mean():.4f}")

# %% tags=["figure"] mystnb={"image": {"alt": "Share of the total weight spent up to t, against t on a logarithmic axis from 2 to 1000. The bound, solid green, rises early: 18 percent by t = 10 and 39 percent by t = 100. L simple, dashed gray, is near 1 percent at t = 10 and 10 percent at t = 100. The published weight, dotted vermillion, jumps to 95 percent by t = 10."}, "figure": {"name": "fig-shares", "caption": "How much of its total weight on the error of $\\hat\\epsilon$ each loss has spent up to $t$: the bound with $\\sigma_t^2 = \\tilde\\beta_t$, $L_\\text{simple}$, and the weight of the $x_0$-error put in front of the error of the noise, as in one published derivation. See that the last would train the first few steps and no others."}}
published = x_0_weight(schedule)[2:]
fig, ax = plt.subplots(figsize=(6, 3.0))
for table, name, look in (
    (published, "published", {"color": NOISE, "ls": ":", "lw": 2.4}),
    (w, "the bound", {"color": MODEL, "ls": "-"}),
    (
        torch.ones(T - 1),
        r"$L_\mathrm{simple}$",
        {"color": GRAY, "ls": "--"},
    ),
):
    ax.semilogx(t, table.cumsum(0) / table.sum(), label=name, **look)
ax.set(xlabel="$t$", ylabel="share of the weight up to $t$")
ax.set_xticks([2, 10, 100, 1000], ["2", "10", "100", "1000"])
ax.legend(loc="upper left", bbox_to_anchor=(0.3, 0.93))
plt.show()

# %% [markdown]
# The bound spends 18.4 % of its weight on the nine steps up to $t = 10$, $L_{\mathrm{simple}}$ 0.9 %. So the simple loss turns attention away from the last touches, where $x_t$ already looks like the picture, to the times at which it must be made. Seen from the picture instead of the noise it is the same: by {eq}`eq:error-ratio`, $L_{\mathrm{simple}}$ is a squared error of $\hat x_0$ with the weight $\mathrm{SNR}(t)$, where the bound has half a difference of SNRs. {cite:t}`ho2020` report better-looking pictures with it, and a slightly worse bound.
#
# Is that allowed? Think of a network that could answer any $x_t$ at any $t$ with any picture, independently of all other answers. Then the error at each $t$ could be made as small as possible separately, and multiplying it by a positive weight would not change where its minimum is. All weights would lead to the same network, the conditional mean of chapter 8 {eq}`eq:best-guess`. The weights matter because a real network has one set of parameters for all $t$, cannot be best everywhere, and has to be told where errors count.
#
# ## One network for all times
#
# This can be seen in the smallest case. Let the data be a single pixel with mean 0 and width $\varsigma = 0.1$, and let the "network" have one parameter and no access to $t$: $\hat\epsilon = \theta\,x_t$. Its mean square error at $t$ has three terms,
#
# $$
# \mathbb E\bigl[(\bar\epsilon_t - \theta x_t)^2\bigr] = \mathbb E\bigl[\bar\epsilon_t^2\bigr] - 2\theta\,\mathbb E\bigl[\bar\epsilon_t x_t\bigr] + \theta^2\,\mathbb E\bigl[x_t^2\bigr] .
# $$
#
# The noise has variance 1. In $\bar\epsilon_t x_t = a\,\bar\epsilon_t x_0 + s\,\bar\epsilon_t^2$ the first term has mean 0, because noise and picture are independent, and the second has mean $s = \sqrt{1-\bar\alpha_t}$, which we write $s_t$ in this section. The mean square of $x_t$ is $\bar\alpha_t\varsigma^2 + 1 - \bar\alpha_t$; call it $V_t$. So
#
# $$
# \mathbb E\bigl[(\bar\epsilon_t - \theta x_t)^2\bigr] = 1 - 2\theta s_t + \theta^2 V_t, \qquad V_t = \bar\alpha_t\varsigma^2 + 1 - \bar\alpha_t .
# $$ (eq:theta-loss)

# %% tags=["claim"]
s_t, V_t = (1 - alpha_bar[1:]).sqrt(), 1 - 0.99 * alpha_bar[1:]
N, theta = 1_000_000, 0.9
drawn = torch.randint(1, T + 1, (N,))
x_0, eps = 0.1 * torch.randn(N, 1), torch.randn(N, 1)
x_t = add_noise(schedule, x_0, drawn, eps)
claim(
    "eq:theta-loss",
    got=mean((eps - theta * x_t).square()[:, 0]),
    want=(1 - 2 * theta * s_t + theta**2 * V_t).mean(),
    rejects={
        "$1 − ᾱ$ without the root": (
            1 - 2 * theta * s_t**2 + theta**2 * V_t
        ).mean(),
        "no cross term": (1 + theta**2 * V_t).mean(),
        "data of variance 1": (1 - 2 * theta * s_t + theta**2).mean(),
    },
)

# %% [markdown]
# Training minimizes the mean over $t$ of {eq}`eq:theta-loss`, for one $\theta$. Write $\langle\cdot\rangle$ for the mean over $t = 1, \dots, T$. The mean of the loss is $1 - 2\theta\langle s_t\rangle + \theta^2\langle V_t\rangle$. Its derivative with respect to $\theta$ is $-2\langle s_t\rangle + 2\theta\langle V_t\rangle$, which is zero at
#
# $$
# \theta_* = \frac{\langle s_t\rangle}{\langle V_t\rangle} .
# $$ (eq:shared-theta)
#
# At one $t$ alone, the best $\theta$ would be $s_t/V_t$. A derivation note writes the training objective as an expectation over $t$ of the *minimizers*, $\mathbb E_t\bigl[\arg\min_\theta \dots\bigr]$. Read literally, that is an average of a thousand parameters, each found for one $t$ alone. The claim minimizes the mean loss by Newton's method, with derivatives from autograd, and rejects that reading.

# %% tags=["claim"]
theta = torch.tensor(3.0, requires_grad=True)
for _ in range(3):
    total = (1 - 2 * theta * s_t + theta**2 * V_t).mean()
    (slope,) = torch.autograd.grad(total, theta, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, theta)
    theta = (theta - slope / curvature).detach().requires_grad_()
claim(
    "eq:shared-theta",
    got=theta.detach(),
    want=s_t.mean() / V_t.mean(),
    rejects={
        "the mean of the minimizers": (s_t / V_t).mean(),
        "$t$ drawn from $2, …, T$": s_t[1:].mean() / V_t[1:].mean(),
        "the best at $t = T$": s_t[-1] / V_t[-1],
    },
)


# %% tags=["nbval-check-output"]
def mean_loss(theta):
    return (1 - 2 * theta * s_t + theta**2 * V_t).mean()


shared, averaged = s_t.mean() / V_t.mean(), (s_t / V_t).mean()
wrong = x_0_weight(schedule)[2:]
by_wrong = (wrong * s_t[1:]).sum() / (wrong * V_t[1:]).sum()
print("                       θ   loss")
for name, theta in (
    ("min of the mean", shared),
    ("mean of minimizers", averaged),
    ("x_0-weights", by_wrong),
):
    print(f"{name:18} {theta:.3f}  {mean_loss(theta):.3f}")
print(f"one θ for each t          {mean_loss(s_t / V_t):.3f}")

# %% [markdown]
# The shared parameter, 1.108, reaches a loss of 0.107. The average of the minimizers is another parameter, 1.479, and scores 0.207. A thousand parameters, one for each $t$, would score 0.041: that is the mean of the minima, and no single $\theta$ can reach it. What training code does is the first, the minimum over $\theta$ of the mean over $t$. The third line of the table shows that weights matter as soon as a parameter is shared: with the weights of the $x_0$-error in front of the error of the noise, the best $\theta$ is 2.028, good at the smallest $t$ and bad nearly everywhere else, with a loss of 0.722.
#
# A network that is given $t$ is in a better position: it can come close to the thousand parameters. This is one half of the answer to why the network needs $t$; chapter 8 gives the other.
#
# ## Where is $t = 1$?
#
# The sum in {eq}`eq:drawn-time` starts at 2, $L_{\mathrm{simple}}$ at 1. At $t = 1$ the bound has no divergence but the last term {eq}`def:last-term`, $L_0 = \mathbb E[-\log p_\theta(x_0 \mid x_1)]$. And the weight {eq}`eq:eps-weight` with $\tilde\beta_t$ is infinite there, because $\tilde\beta_1 = 0$: given $x_0$, there is no doubt about $x_0$. A model needs some variance in this step, or it gives any picture but one the density zero. Take $\sigma_1^2 = \beta_1$.
#
# At $t = 1$ the mean {eq}`def:mean-from-guess` is the guess itself: with $\bar\alpha_0 = 1$ and $1 - \bar\alpha_1 = \beta_1$ the factor of $\hat x_0$ is $\beta_1/\beta_1 = 1$, and the factor of $x_1$ is 0. The density of $d$ independent normal pixels gives
#
# $$
# -\log p_\theta(x_0 \mid x_1) = \frac{1}{2\beta_1}\lVert x_0 - \hat x_0\rVert^2 + \frac d2\log(2\pi\beta_1) .
# $$
#
# By {eq}`eq:error-ratio` with $1 - \bar\alpha_1 = \beta_1$ and $\bar\alpha_1 = \alpha_1$, the squared error of the picture is $\beta_1/\alpha_1$ times that of the noise, and $\beta_1$ cancels:
#
# $$
# -\log p_\theta(x_0 \mid x_1) = \frac{1}{2\alpha_1}\lVert\bar\epsilon_1 - \hat\epsilon\rVert^2 + \frac d2\log(2\pi\beta_1) .
# $$ (eq:first-step)
#
# The weight is what {eq}`eq:eps-weight` says for $\sigma_1^2 = \beta_1$, and only the constant is another. So the term $t = 1$ of $L_{\mathrm{simple}}$ is $L_0$, reweighted like the rest. For pixels that come in 256 levels, chapter 6 puts the probability of a bin {eq}`eq:discretized` in place of the density; then this is an approximation, which takes the density as constant within a bin.

# %% tags=["claim"]
from ddpm_lib.bound import data_term, normal_log_density

x_0, eps = draw(mixture, 500), torch.randn(500, 1)
answer = spoiled(add_noise(schedule, x_0, 1, eps), 1)
eps_error = (eps - answer.eps).square().sum(1)
level = torch.log(2 * torch.pi * schedule.beta[1]) / 2
claim(
    "eq:first-step",
    got=data_term(
        schedule, spoiled, x_0, eps=eps, likelihood=normal_log_density
    ),
    want=eps_error / (2 * alpha[1]) + level,
    rejects={
        "weight one": eps_error + level,
        "$1/α_1$ dropped": eps_error / 2 + level,
        "no constant": eps_error / (2 * alpha[1]),
        "$x_0$-error for $ϵ$-error": eps_error / (2 * schedule.beta[1])
        + level,
    },
    atol=1e-9,
)

# %% [markdown]
# ## A third thing to predict
#
# Each of the two predictions has a weak end. At $t = 1000$ the picture is computed from $\hat\epsilon$ with the factor $s/a$, which is 157, so a small error of the network becomes a large one. At $t = 1$ the noise is computed from $\hat x_0$ with the factor $a/s$, which is 100. {cite:t}`salimans2022` propose an output that does not have this problem:
#
# $$
# v = a\,\bar\epsilon_t - s\,x_0 .
# $$ (def:v)
#
# The formula has a picture. Since $a^2 + s^2 = 1$, there is an angle $\phi$ with $a = \cos\phi$ and $s = \sin\phi$. It starts at 0 for $t = 0$ and comes close to a right angle at $T$. Then $x_t = \cos\phi\;x_0 + \sin\phi\;\bar\epsilon_t$ moves on an arc from the picture to the noise, and $v = -\sin\phi\;x_0 + \cos\phi\;\bar\epsilon_t$ is $x_t$ with $\phi + 90°$ in place of $\phi$. It is the direction in which $x_t$ moves when $\phi$ grows: its *velocity*, hence the letter. Written with a matrix, the pair $(x_t, v)$ is the pair $(x_0, \bar\epsilon_t)$, turned:
#
# $$
# \begin{pmatrix} x_t\\ v\end{pmatrix} = \begin{pmatrix} a & s\\ -s & a\end{pmatrix}\begin{pmatrix} x_0\\ \bar\epsilon_t\end{pmatrix} .
# $$

# %% tags=["figure"] mystnb={"image": {"alt": "A quarter circle between two axes. The horizontal axis is the picture, the vertical one the noise. A point x t lies on the arc at the angle phi of 40 degrees from the picture. From it an arrow labeled v points along the tangent of the arc, at a right angle to the line from the origin to x t, up and to the left, towards the noise. Dashed lines from x t meet the axes at a and at s."}, "figure": {"name": "fig-rotation", "caption": "Coordinates in the plane of a picture and its noise. $x_t$ moves along the arc from $x_0$ to $\\bar\\epsilon_t$ as $\\phi$ grows from 0 to 90°; $v$ is its velocity, at a right angle to it. The shadows of $x_t$ on the axes are $a$ and $s$."}}
fig, ax = plt.subplots(figsize=(3.6, 3.6))
angle = torch.linspace(0, torch.pi / 2, 100)
ax.plot(angle.cos(), angle.sin(), color=GRAY, ls="-", lw=1)
phi = torch.tensor(40.0).deg2rad()
a_phi, s_phi = float(phi.cos()), float(phi.sin())
arrow = {"arrowstyle": "-|>", "lw": 2, "shrinkA": 0, "shrinkB": 0}
for start, end, color in (
    ((0, 0), (1, 0), DATA),
    ((0, 0), (0, 1), NOISE),
    ((0, 0), (a_phi, s_phi), "black"),
    ((a_phi, s_phi), (a_phi - s_phi, s_phi + a_phi), MODEL),
):
    ax.annotate("", end, start, arrowprops={**arrow, "color": color})
ax.plot([a_phi, a_phi, 0], [0, s_phi, s_phi], color=GRAY, ls=":", lw=1)
arc = torch.linspace(0, phi, 30)
ax.plot(0.25 * arc.cos(), 0.25 * arc.sin(), "k-", lw=1)
for x_at, y_at, text in (
    (0.27, 0.07, r"$\phi$"),
    (1.03, -0.02, "$x_0$"),
    (-0.04, 1.06, r"$\bar\epsilon_t$"),
    (a_phi + 0.04, s_phi, "$x_t$"),
    (0.2, 1.36, "$v$"),
    (a_phi - 0.02, -0.11, "$a$"),
    (-0.1, s_phi - 0.02, "$s$"),
):
    ax.text(x_at, y_at, text, fontsize=12)
ax.set(xlim=(-0.15, 1.2), ylim=(-0.15, 1.5), aspect="equal")
ax.axis("off")
plt.show()

# %% [markdown]
# A turn is undone by turning back. The inverse of the matrix is its transpose: multiply the first line by $a$, the second by $s$, and subtract to have $x_0$; multiply the first by $s$, the second by $a$, and add to have $\bar\epsilon_t$. Line by line, for the picture:
#
# $$
# \begin{aligned}
# a\,x_t - s\,v &= a\,(a\,x_0 + s\,\bar\epsilon_t) - s\,(a\,\bar\epsilon_t - s\,x_0)\\
# &= a^2 x_0 + as\,\bar\epsilon_t - as\,\bar\epsilon_t + s^2 x_0\\
# &= (a^2 + s^2)\,x_0 = x_0 ,
# \end{aligned}
# $$
#
# and for the noise,
#
# $$
# \begin{aligned}
# s\,x_t + a\,v &= sa\,x_0 + s^2\bar\epsilon_t + a^2\bar\epsilon_t - as\,x_0\\
# &= (s^2 + a^2)\,\bar\epsilon_t = \bar\epsilon_t .
# \end{aligned}
# $$
#
# So both are read from $v$ without any division:
#
# $$
# x_0 = a\,x_t - s\,v, \qquad \bar\epsilon_t = s\,x_t + a\,v .
# $$ (eq:v-decode)
#
# The claim makes $v$ as the derivative of $x_t$ with respect to $\phi$, by sympy, and decodes it.

# %% tags=["claim"]
p = sp.Symbol("phi", real=True)
E = sp.Symbol("epsilon", real=True)
turned = sp.cos(p) * X + sp.sin(p) * E
velocity = sp.diff(turned, p)
claim(
    "eq:v-decode",
    got=sp.Matrix([X, E]),
    want=sp.Matrix(
        [
            sp.cos(p) * turned - sp.sin(p) * velocity,
            sp.sin(p) * turned + sp.cos(p) * velocity,
        ]
    ),
    rejects={
        "$v = a x_0 − s ϵ$": sp.Matrix(
            [
                sp.cos(p) * turned
                - sp.sin(p) * (sp.cos(p) * X - sp.sin(p) * E),
                sp.sin(p) * turned
                + sp.cos(p) * (sp.cos(p) * X - sp.sin(p) * E),
            ]
        ),
        "not turned back": sp.Matrix(
            [
                sp.cos(p) * turned + sp.sin(p) * velocity,
                sp.cos(p) * velocity - sp.sin(p) * turned,
            ]
        ),
    },
)

# %% [markdown]
# Let $\hat v$ be the network's output, and decode it by the same lines. The $x_t$ is given and cancels in the differences:
#
# $$
# x_0 - \hat x_0 = -s\,(v - \hat v), \qquad \bar\epsilon_t - \hat\epsilon = a\,(v - \hat v) .
# $$
#
# Square the second one: $\lVert\bar\epsilon_t - \hat\epsilon\rVert^2 = \bar\alpha_t\lVert v - \hat v\rVert^2$. So the weight of the $v$-error in the bound is $\bar\alpha_t$ times that of the $\epsilon$-error,
#
# $$
# \frac{1}{2\sigma_t^2}\,\lVert\tilde\mu_t - \mu_\theta\rVert^2 = \frac{\bar\alpha_t\,\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1-\bar\alpha_t)}\;\lVert v - \hat v\rVert^2 .
# $$ (eq:v-weight)
#
# And a loss with weight one on $v$? Divide by $\bar\alpha_t$, or square the first difference and divide by $s^2 = 1 - \bar\alpha_t$. In the last step, one over $1 - \bar\alpha_t$ is $\bigl((1-\bar\alpha_t) + \bar\alpha_t\bigr)/(1-\bar\alpha_t)$, which is 1 plus the SNR:
#
# $$
# \lVert v - \hat v\rVert^2 = \frac{1}{\bar\alpha_t}\,\lVert\bar\epsilon_t - \hat\epsilon\rVert^2 = \frac{1}{1-\bar\alpha_t}\,\lVert x_0 - \hat x_0\rVert^2 = \bigl(1 + \mathrm{SNR}(t)\bigr)\,\lVert x_0 - \hat x_0\rVert^2 .
# $$ (eq:v-loss)
#
# So the three plain losses, each with weight one on its own output, are three different weightings of one and the same error. In terms of the error of $\hat x_0$ they weigh it by 1, by $\mathrm{SNR}(t)$ and by $1 + \mathrm{SNR}(t)$. The last is never less than 1: unlike $L_{\mathrm{simple}}$, it does not lose interest in $\hat x_0$ when little signal is left.

# %% tags=["claim"]
x_0, eps = torch.randn(2, T - 1, 3)
x_t = add_noise(schedule, x_0, t, eps)
a, s = signal_and_noise(schedule, t, like=x_0)
v = V.target(x_0, eps, a, s)
v_hat = v + 0.1 * torch.randn(v.shape)
answer = V.decode(v_hat, x_t, a, s)
v_error = (v - v_hat).square().sum(1)
for variance, rest in (
    (kernel_variance, constant),
    (posterior_variance, 0 * constant),
):
    of_eps = eps_weight(schedule, variance)[2:]
    of_v = v_weight(schedule, variance)[2:]
    claim(
        "eq:v-weight",
        got=divergence(answer.x_0, variance),
        want=alpha_bar[2:] * of_eps * v_error + 3 * rest,
        rejects={
            "the weight of the $ϵ$-error": of_eps * v_error + 3 * rest,
            "divided by $ᾱ$": of_eps / alpha_bar[2:] * v_error
            + 3 * rest,
            "the root of $ᾱ$": of_v / alpha_bar[2:].sqrt() * v_error
            + 3 * rest,
        },
        atol=1e-9,
    )
for got in (
    (eps - answer.eps).square().sum(1) / alpha_bar[2:],
    (1 + snr[2:]) * (x_0 - answer.x_0).square().sum(1),
):
    claim(
        "eq:v-loss",
        got=got,
        want=v_error,
        rejects={
            "the same as the $ϵ$-loss": alpha_bar[2:] * v_error,
            "SNR without the 1": snr[2:] / (1 + snr[2:]) * v_error,
        },
        atol=1e-9,
    )

# %% [markdown]
# Now count what an error of one output does to the others. In each conversion $x_t$ is known, so the output enters with one factor:
#
# $$
# \begin{aligned}
# \epsilon \to x_0 &: \ s/a, & x_0 \to \epsilon &: \ a/s, & v \to x_0 &: \ s,\\
# \epsilon \to v &: \ 1/a, & x_0 \to v &: \ 1/s, & v \to \epsilon &: \ a .
# \end{aligned}
# $$ (eq:amplification)
#
# For the two conversions into $v$, subtract two copies of {eq}`def:v` that share $x_t$; {eq}`eq:v-loss` has done it already. The claim does not trust any of this: it differentiates the library's conversions by autograd, at 1000 times at once.

# %% tags=["claim"]
every = torch.arange(1, T + 1)
x_0, eps = torch.randn(2, T, 1)
a, s = signal_and_noise(schedule, every, like=x_0)
x_t, v = a * x_0 + s * eps, a * eps - s * x_0


def sensitivity(source, target):
    """|d target / d source|, both read by the library.  (T,)"""
    out = source.target(x_0, eps, a, s).requires_grad_()
    read = source.decode(out, x_t, a, s)
    result = target.target(read.x_0, read.eps, a, s)
    return torch.autograd.grad(result.sum(), out)[0].abs()[:, 0]


pairs = [(EPS, X_0), (X_0, EPS), (V, X_0), (EPS, V), (X_0, V), (V, EPS)]
factors = [s / a, a / s, s, 1 / a, 1 / s, a]
factors = torch.cat(factors, dim=1)
claim(
    "eq:amplification",
    got=torch.stack([sensitivity(*pair) for pair in pairs], dim=1),
    want=factors,
    rejects={
        "SNR: powers for amplitudes": factors**2,
        "each conversion the other way": 1 / factors,
        "no amplification": torch.ones(T, 6),
    },
    atol=1e-9,
)

# %% [markdown]
# A network computes in limited precision, and every number that it puts out is rounded. Let us see what rounding alone does. The next cell takes the exact denoiser, rounds its answer to bfloat16, the 16-bit format in which large networks are trained, and reads the picture and the noise from it. It prints by how much they are off.


# %% tags=["nbval-check-output"]
def after_rounding(parameterization, t, N=20_000):
    """RMS errors of x_0_hat and eps_hat from rounding the output."""
    x_0, eps = draw(mixture, N), torch.randn(N, 1)
    x_t = add_noise(schedule, x_0, t, eps)
    best = exact(x_t, t)
    a, s = signal_and_noise(schedule, t, like=x_t)
    out = parameterization.target(best.x_0, best.eps, a, s)
    read = parameterization.decode(out.bfloat16().double(), x_t, a, s)
    return [
        float((got - want).square().mean().sqrt())
        for got, want in zip(read, best, strict=True)
    ]


lines = []
for k in (1, 260, 1000):
    a_k, s_k = alpha_bar[k].sqrt(), (1 - alpha_bar[k]).sqrt()
    lines.append(
        f"t = {k}: s/a = {s_k / a_k:.3g}, a/s = {a_k / s_k:.3g}"
    )
    for name, way in (("ε", EPS), ("x_0", X_0), ("v", V)):
        picture, of_noise = after_rounding(way, k)
        lines.append(
            f"  from {name:>3}: x_0 {picture:.1e}, ε {of_noise:.1e}"
        )
print("\n".join(lines))

# %% [markdown]
# At $t = 1000$, the picture read from a rounded $\hat\epsilon$ is off by 0.26, and nothing but rounding has happened. Read from a rounded $\hat v$ it is off by 0.00055. At $t = 1$ it is $\hat x_0$ that suffers: the noise read from it is off by 0.18. Since $a$ and $s$ never exceed 1, $v$ never makes an error larger. Does that make $v$ the best choice? For what training minimizes, only the weights count, and those can be set as one likes with any output. What cannot be repaired by a weight is an output that does not contain the answer: if a schedule ends with $\bar\alpha_T = 0$ exactly, then $x_T$ *is* the noise, $\hat\epsilon = x_T$ is always right and says nothing about the picture, while $\hat v = -\hat x_0$ says all. A fourth output, the score {eq}`eq:tweedie`, is $-\hat\epsilon/s$.
#
# The figure holds all of this together: the weights of the three errors in the bound, for two schedules and two choices of $\sigma_t^2$, next to the constant weight of $L_{\mathrm{simple}}$. Only ratios of its weights matter, so that level is scaled: up to $t = T - 1$ it has the same total as the bound.

# %% tags=["figure"] mystnb={"image": {"alt": "Three weights against t from 2 to 1000, on a logarithmic axis. That of the x_0-error falls from 2700 to 4e-7. That of the noise error falls from 0.6 to 0.005 near t = 350 and rises to 0.01. The two cross at t = 260. That of the v-error begins like that of the noise and ends like that of x_0. A flat line at 0.01 is L_simple."}, "figure": {"name": "fig-weights", "caption": "The weight of the squared error of each output in the bound, one curve for each output, and $L_\\mathrm{simple}$, scaled to the same total weight on the error of the noise before $t = T$."}}
from ddpm_lib.course.explore import explorable

fig, ax = plt.subplots(figsize=(4.6, 2.8))
for table, name, color, ls, k in (
    (x_0_weight(schedule), r"$\hat x_0$", DATA, "-", 60),
    (eps_weight(schedule), r"$\hat\epsilon$", NOISE, "--", 640),
    (v_weight(schedule), r"$\hat v$", MODEL, "-.", 560),
):
    ax.semilogy(t, table[2:], color=color, ls=ls)
    ax.annotate(name, (k + 10, float(table[k]) * 1.4), color=color)
ax.axhline(float(w[:-1].mean()), color=GRAY, lw=1, ls=":")
ax.annotate(r"$L_\mathrm{simple}$, scaled", (790, 0.016), color=GRAY)
ax.set(xlabel="$t$", ylabel="weight of the squared error")
explorable(
    "weights",
    {"T": T, "beta_1": 1e-4, "beta_T": 0.02},
    still=fig,
)

# %% tags=["nbval-check-output"]
for name, one in (("linear", schedule), ("cosine", cosine())):
    meet = int((one.snr <= 1).nonzero()[0])
    w = eps_weight(one)
    print(f"{name}: SNR first ≤ 1 at t = {meet}")
    print(f"  weight of ε: {w[2]:.2f} at 2, {w[T]:.3g} at T")
    print(f"  t = T has {w[T] / w[2:].sum():.1%} of the total")
    cost, of_v = 1e-4 * w[T], 1e-4 * v_weight(one)[T]
    print(f"  0.01 off at T: {cost:.1e}, v {of_v:.1e}")

# %% [markdown]
# The two curves cross at $t = 260$ with the linear schedule, at 497 with the cosine schedule, and always where the SNR is 1. The choice of $\sigma_t^2$ is felt only at the smallest $t$. With the cosine schedule the right end may surprise you: the weight of the $\epsilon$-error climbs to 500 at $t = T$, where at $t = 2$ it is 0.56. There $x_t$ is so nearly the noise that the best network has next to no error, and what a step costs is the weight times the error. But a real network that is off by 0.01 in $\hat\epsilon$ pays 0.05 nats for each pixel at this step alone. Off by 0.01 in $\hat v$, it pays $1.2 \cdot 10^{-10}$: the curve of $\hat v$ does not rise. The last step has 97.4 % of the whole weight of the $\epsilon$-error, and that is why the level of $L_{\mathrm{simple}}$ is scaled without it.
#
# ## Where tutorials go wrong
#
# The derivation of this chapter is the part of the published tutorials with the most slips, because its errors do not crash anything. The next cell computes what gives them away.

# %% tags=["nbval-check-output"]
off = 0.1  # in each of 64 pixels of the estimated noise
x_0 = eps = x_t = torch.zeros(T - 1, 64)  # any others would do
a, s = signal_and_noise(schedule, t, like=eps)
direct = divergence(
    EPS.decode(eps + off, x_t, a, s).x_0, posterior_variance
)
published = x_0_weight(schedule)[2:]
for k in (2, 100, 500, 1000):
    same = published[k - 2] * 64 * off**2
    print(f"t = {k:>4}: {direct[k - 2]:.1e}, published {same:.1e}")
early = published[:9].sum() / published.sum()
print(f"{early:.1%} of the published at t ≤ 10")

k = 500
bare = schedule.beta[k] / (2 * alpha[k] * (1 - alpha[k]))
print(f"no bars at {k}: {bare:.3f} for {eps_weight(schedule)[k]:.4f}")
print(f"1/α dropped: {1 - alpha[2]:.2%} at 2, {1 - alpha[T]:.1%} at T")

w = eps_weight(schedule)
for name, times in (
    ("2..20", range(2, 21)),
    ("400..499", range(400, 500)),
):
    nats = sum(float(w[k]) for k in times) * off**2
    simple = len(times) * off**2 / T
    print(f"off at {name}: {nats:.4f}, simple {simple:.5f}")
s_over_a = (1 / snr[1]).sqrt()
print(f"t = 1 untrained: {s_over_a:.4f} stays in x_0")

# %% [markdown]
# *One weight for both errors.* After deriving $\frac12\bigl(\mathrm{SNR}(t-1) - \mathrm{SNR}(t)\bigr)$ for the error of $\hat x_0$, one note goes over to the noise and keeps the weight. The factor $1/\mathrm{SNR}(t)$ of {eq}`eq:error-ratio` is lost. The table has the symptom: for 64 pixels whose noise is off by 0.1, the divergence computed from the two Gaussians at $t = 500$ is $3.5\cdot 10^{-3}$ nats, the published weight makes it $3.0\cdot 10^{-4}$; at $t = 2$ they are 0.38 and 1700. A training with that weight spends 94.7 % of it on nine steps.
#
# *No bars.* With $1 - \alpha_t$ for $1 - \bar\alpha_t$ in {eq}`eq:eps-weight` the weight at $\sigma_t^2 = \beta_t$ becomes $1/(2\alpha_t)$, about one half at every $t$. At $t = 500$ that is 0.505 instead of 0.0055. Only the shape shows it: it is flat, and it looks like an explanation of $L_{\mathrm{simple}}$. It is none.
#
# *A lost $1/\alpha_t$.* This one is nearly harmless. The weight is off by 0.01 % at $t = 2$ and by 2.0 % at $T$. The claim above sees it; no picture will.
#
# *The bound decomposes into $L_{\mathrm{simple}}$.* It is reweighted, and the two can disagree about which of two models is better. Take one that is off by 0.1 at the 19 times from 2 to 20, and one that is off by 0.1 at the hundred times from 400 to 499. The bound calls the first worse, 0.0246 against 0.0052 nats a pixel; $L_{\mathrm{simple}}$ calls the second worse, by more than a factor of five.
#
# *The expectation of a minimizer.* $\mathbb E_t[\arg\min_\theta\dots]$ is not what is trained; the example after {eq}`eq:shared-theta` shows a loss of 0.207 in place of 0.107. The same line draws $t$ from $2, \dots, T$. A network that never sees $t = 1$ is still asked about it in the last step of the sampler. If it answers 0 there, the noise that was left, of standard deviation 0.01, stays in the picture.
#
# *A posterior without $x_0$.* A lab report and a derivation note write the divergence from $q(x_{t-1} \mid x_t)$ and insert $\tilde\mu_t$ and $\tilde\beta_t$. These belong to $q(x_{t-1} \mid x_t, x_0)$. For a mixture of Gaussians the other one is {eq}`eq:reverse-mixture`.
#
# *Credit for a learned variance.* In {cite:t}`ho2020` the variance is fixed, and that is why the second term of {eq}`eq:kl-means` is a constant. When {cite:t}`nichol2021` learn $\sigma_t^2$, it is one no longer, and $L_{\mathrm{simple}}$ gives no signal for it, since it does not contain $\sigma_t^2$. They add the bound with a small factor.
#
# Two more mistakes are made in code. The first compares the network with a noise that it never saw.
#
# *A second noise.* The listing of a MindSpore article draws a noise to make $x_t$, and draws again when it computes the loss. The second noise $\epsilon'$ has mean 0 and is independent of $x_t$, hence of $\hat\epsilon$. Expand the square; the mean of the product is then zero, and the variance of each pixel of $\epsilon'$ is 1:
#
# $$
# \mathbb E\lVert\epsilon' - \hat\epsilon\rVert^2 = \mathbb E\lVert\epsilon'\rVert^2 - 2\,\mathbb E[\epsilon'^{\mathsf T}\hat\epsilon] + \mathbb E\lVert\hat\epsilon\rVert^2 = d + \mathbb E\lVert\hat\epsilon\rVert^2 .
# $$ (eq:second-noise)
#
# The best answer to this loss is $\hat\epsilon = 0$, and then it is 1 for each pixel, forever. A loss that stays at 1.00 is its signature. A good network does *worse*:

# %% tags=["claim"]
N = 200_000
drawn = torch.randint(1, T + 1, (N,))
x_0, eps = draw(mixture, N), torch.randn(N, 1)
best = exact(add_noise(schedule, x_0, drawn, eps), drawn).eps
second = torch.randn(N, 1)
claim(
    "eq:second-noise",
    got=mean((second - best).square()[:, 0]),
    want=1 + of_best.mean(),
    rejects={
        "the loss with one noise": 1 - of_best.mean(),
        "the loss of a zero network": 1.0,
    },
)

# %% tags=["nbval-check-output"]
one_noise = (eps - best).square().mean()
two_noises = (second - best).square().mean()
print(f"best denoiser, its own noise: {one_noise:.2f}")
print(f"best denoiser, a second noise: {two_noises:.2f}")
print(f"zero network, a second noise: {second.square().mean():.2f}")

# %% [markdown]
# *A sum for a mean.* The norm in {eq}`def:l-simple` is a sum over the $d$ pixels, training code mostly takes a mean, and the two differ by the factor $d$. Whether that matters depends on the optimizer. Adam divides the gradient by its own size, so that a factor cancels; plain gradient descent does not, and the same learning rate becomes $d$ times as large. The next cell trains one matrix, $\hat\epsilon = W x_t$, on the 64 pixels of the digits at $t = 300$, with both losses and both optimizers.

# %% tags=["nbval-check-output"]
from ddpm_lib.data import digits, scale

pictures = scale(digits().pixels).double().flatten(1)  # (1797, 64)


def train(reduce, optimizer, rate, steps=200):
    """The mean square of each pixel after training eps = W x_t."""
    chance = torch.Generator().manual_seed(0)
    W = torch.zeros(64, 64, requires_grad=True)
    optimizer = optimizer([W], lr=rate)
    for _ in range(steps):
        rows = torch.randint(len(pictures), (128,), generator=chance)
        eps = torch.randn(128, 64, generator=chance)
        x_t = add_noise(schedule, pictures[rows], 300, eps)
        squares = (x_t @ W.T - eps).square()
        optimizer.zero_grad()
        reduce(squares).backward()
        optimizer.step()
    return float(squares.detach().mean())


def of_sum(squares):
    return squares.sum(1).mean()


lines = []
for name, optimizer, rate in (
    ("Adam", torch.optim.Adam, 0.01),
    ("SGD", torch.optim.SGD, 0.5),
):
    by_mean = train(torch.mean, optimizer, rate)
    by_sum = train(of_sum, optimizer, rate)
    lines.append(f"{name}: mean {by_mean:.4f}, sum {by_sum:.4f}")
print("\n".join(lines))

# %% [markdown]
# With Adam nothing changes to four digits. With gradient descent the summed loss overflows. A sum in the loss is therefore no mistake in itself, only a value that cannot be compared with other people's until it is divided by $d$, and a learning rate that cannot be copied. In the bound it *is* the sum: divide it by $d$ only to report bits per dimension.
#
# ## Exercises
#
# :::{exercise} One error, in nats
# :label: ex-nats
#
# With pencil. $\mathrm{SNR}(t-1)$ is 4, $\mathrm{SNR}(t)$ is 3, and $\sigma_t^2 = \tilde\beta_t$. What is the divergence at this step if $\hat x_0$ is off by 0.1 in each of 64 pixels? What is it if, instead, $\hat\epsilon$ is off by 0.1 in each of them?
# :::

# %%
from ddpm_lib.course.checks import kl_to_mse as check

from_picture = ...
from_noise = ...
check.from_picture(from_picture)
check.from_noise(from_noise)

# %% [markdown]
# :::{solution-start} ex-nats
# :class: dropdown
# :::
#
# The squared error is $64 \cdot 0.1^2 = 0.64$ in both cases. For the picture it is multiplied by $\frac12(4 - 3) = \frac12$, which gives 0.32 nats. For the noise it is multiplied by $\frac12(4/3 - 1) = \frac16$, which gives 0.107 nats. The ratio is 3, which is $\mathrm{SNR}(t)$.

# %% tags=["solution"]
check.from_picture(0.5 * (4 - 3) * 64 * 0.1**2)
check.from_noise(0.5 * (4 / 3 - 1) * 64 * 0.1**2)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} The best variance
# :label: ex-best-variance
#
# Suppose that the model's mean is off: $\lVert\tilde\mu_t - \mu_\theta\rVert^2$ is not zero, and you know it. Which $\sigma_t^2$ makes {eq}`eq:kl-means` smallest? Set the derivative with respect to $\sigma_t^2$ to zero, and write the result as a function of $\tilde\beta_t$ and of the difference of the means, a vector of $d$ pixels.
# :::


# %%
def best_variance(beta_tilde, difference):
    """beta_tilde: a number;  difference: (d,)"""
    return ...


check.best_variance(best_variance)

# %% [markdown]
# :::{solution-start} ex-best-variance
# :class: dropdown
# :::
#
# Write $g = \lVert\tilde\mu_t - \mu_\theta\rVert^2$ and $y = \sigma_t^2$. Then {eq}`eq:kl-means` is $\frac{g}{2y} + \frac d2\bigl(\frac{\tilde\beta_t}{y} - 1 - \log\tilde\beta_t + \log y\bigr)$, with the derivative $-\frac{g}{2y^2} - \frac{d\,\tilde\beta_t}{2y^2} + \frac{d}{2y}$. Multiply by $2y^2/d$ and set it to zero: $y = \tilde\beta_t + g/d$. A model that cannot know the mean has to be wider than the posterior, by the mean square of what it does not know. Averaged over $x_0$ and $x_t$, with the best possible network, this is {eq}`eq:best-sigma`. For data of variance at most 1 it lies between $\tilde\beta_t$ and $\beta_t$, the two choices of {cite:t}`ho2020`, by {eq}`eq:sigma-bound`.


# %% tags=["solution"]
def best_variance(beta_tilde, difference):
    """beta_tilde: a number;  difference: (d,)"""
    return beta_tilde + difference.square().mean()


check.best_variance(best_variance)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} From one network to another
# :label: ex-v-from-eps
#
# You have a network that predicts the noise, and a program that expects $v$. Write $\hat v$ as a function of $\hat\epsilon$ and $x_t$, without $\hat x_0$. What happens to it at the end of a schedule with $\bar\alpha_T = 0$?
# :::


# %%
def v_from_eps(eps, x_t, a, s):
    return ...


check.v_from_eps(v_from_eps)

# %% [markdown]
# :::{solution-start} ex-v-from-eps
# :class: dropdown
# :::
#
# Insert $\hat x_0 = (x_t - s\,\hat\epsilon)/a$ into {eq}`def:v`: $\hat v = a\,\hat\epsilon - s\,(x_t - s\,\hat\epsilon)/a$. Bring both terms over $a$: $\hat v = (a^2\hat\epsilon + s^2\hat\epsilon - s\,x_t)/a$. Since $a^2 + s^2 = 1$, $\hat v = (\hat\epsilon - s\,x_t)/a$. For $a = 0$ this is $0/0$: there $\hat\epsilon = x_T$, whatever the picture, and $v$ cannot be recovered. The error factor $1/a$ of {eq}`eq:amplification` says so too.


# %% tags=["solution"]
def v_from_eps(eps, x_t, a, s):
    return (eps - s * x_t) / a


check.v_from_eps(v_from_eps)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Draw the times that matter
# :label: ex-draw-times
#
# {eq}`eq:drawn-time` draws $t$ uniformly. It may be drawn with any probabilities $P_t$ that are positive from 2 to $T$ and sum to 1. For drawn times and their squared errors, write the numbers whose mean is $\sum_t w_t\,\mathbb E\lVert\bar\epsilon_t - \hat\epsilon\rVert^2$, one for each draw. Which $P$ would you take?
# :::


# %%
def estimate(squares, t, P, w):
    """squares, t: (N,);  P, w: (T+1,), zero at 0 and 1  ->  (N,)"""
    return ...


check.estimate(estimate)

# %% [markdown]
# :::{solution-start} ex-draw-times
# :class: dropdown
# :::
#
# A time that is drawn twice as often must count half as much: each draw is divided by its probability, $w_t\lVert\bar\epsilon_t - \hat\epsilon\rVert^2/P_t$. For the uniform distribution $1/P_t = T - 1$. If $P_t$ is proportional to $w_t$ the factor $w_t/P_t$ is one number, and only the errors vary. The cell measures how far a single draw scatters around the sum, relative to the sum, for the spoiled denoiser. Drawing by weight lowers the scatter from 10.9 to 2.3, as much as twenty times as many draws would; {cite:t}`nichol2021` go further and draw $t$ by running averages of the whole term.


# %% tags=["solution", "nbval-check-output"]
def estimate(squares, t, P, w):
    """squares, t: (N,);  P, w: (T+1,), zero at 0 and 1  ->  (N,)"""
    return w[t] * squares / P[t]


check.estimate(estimate)
w = eps_weight(schedule)
w[1] = 0  # infinite there, and t = 1 belongs to L_0
uniform = torch.ones(T + 1) / (T - 1)
uniform[:2] = 0
for name, P in (("uniform", uniform), ("by weight", w / w.sum())):
    drawn = torch.multinomial(P, 200_000, replacement=True)
    x_0, eps = draw(mixture, 200_000), torch.randn(200_000, 1)
    answer = spoiled(add_noise(schedule, x_0, drawn, eps), drawn)
    squares = (eps - answer.eps).square().sum(1)
    one = estimate(squares, drawn, P, w)
    print(
        f"{name}: mean {one.mean():.2f},"
        f" scatter {one.std() / one.mean():.2f}"
    )

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: from KL to a squared error
# :class: card
#
# $$
# \begin{aligned}
# \text{divergence} \quad & \mathrm{KL} = \frac{1}{2\sigma_t^2}\lVert\tilde\mu_t - \mu_\theta\rVert^2 + \frac d2\Bigl(\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\Bigr)\\
# \text{weight of } \lVert\bar\epsilon_t - \hat\epsilon\rVert^2 \quad & w_t = \frac{\beta_t^2}{2\sigma_t^2\alpha_t(1-\bar\alpha_t)} = \frac12\Bigl(\frac{\mathrm{SNR}(t-1)}{\mathrm{SNR}(t)} - 1\Bigr) \text{ for } \sigma_t^2 = \tilde\beta_t\\
# \text{of } \lVert x_0 - \hat x_0\rVert^2 \quad & \mathrm{SNR}(t)\,w_t = \tfrac12\bigl(\mathrm{SNR}(t-1) - \mathrm{SNR}(t)\bigr) \text{ for } \sigma_t^2 = \tilde\beta_t\\
# \text{of } \lVert v - \hat v\rVert^2 \quad & \bar\alpha_t\,w_t, \qquad v = a\,\bar\epsilon_t - s\,x_0\\
# \text{training} \quad & \min_\theta\ \mathbb E_{t \sim \mathcal U\{1, \dots, T\},\,x_0,\,\bar\epsilon_t}\lVert\bar\epsilon_t - \epsilon_\theta(x_t, t)\rVert^2
# \end{aligned}
# $$
#
# The bound has the weights and sums over pixels. $L_{\mathrm{simple}}$ has weight one, and code takes the mean over pixels. Errors of $\hat x_0$ and $\hat\epsilon$ are never interchangeable: their squares differ by the factor $\mathrm{SNR}(t)$.
# :::
#
# We know what is minimized; chapter 8 asks what the minimum is, and how small the loss can become at each $t$.
