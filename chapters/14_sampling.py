# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Sampling
#
# Chapter 13 has trained a network. It can do one thing: look at a noisy picture, and say what in it is noise. How do we get digits out of that? Algorithm 2 answers in two lines. Good programs add a third, which limits $\hat x_0$ to the range of the data. Many forget the half line about the last step, and each turns numbers into gray in its own way. This chapter walks the thousand steps with pictures, derives what each line does, and measures what happens without it.
#
# :::{admonition} At a glance
# :class: glance
#
# 45 minutes to read, longer if you play; it runs in less than a minute on one core of a laptop's CPU once the network of chapter 13 is trained, which takes two minutes more if it is not. With a GPU the same cells take MNIST, unless the budget says `device = "cpu"`; the figure at the end needs the small network even then. You need Algorithm 2 ({eq}`def:algorithm-2`), the posterior {eq}`eq:posterior-leap`, and the best variance of a step, {eq}`eq:best-sigma`.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Two rows of seven pictures of 8 by 8 pixels, for t = 1000, 800, 600, 400, 200, 100 and 0. The upper row goes from pure noise to a digit, which can be made out from t = 200 on. The lower row begins with a picture of hard black and white patches, then shows pale, blurred shapes that sharpen into the same digit, recognizable at t = 400."}, "figure": {"name": "fig-picture-walk", "caption": "One digit on its way, drawn by the network of chapter 13. Above, $x_t$: noise turns into a digit. Below, what the network takes it for at that time, $\\hat x_0$: at first a wild guess, then an average of many digits, at last one of them."}}
from functools import partial
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

from ddpm_lib import diffusion, recipes, runs
from ddpm_lib.course.recipes import SMALL_DIGITS
from ddpm_lib.data import scale
from ddpm_lib.named.digits import MNIST
from ddpm_lib.plotting import DATA, GRAY, NOISE, grid, style
from ddpm_lib.sampling import ddim, ddpm, denoiser, sample, strided
from ddpm_lib.schedules import linear

style()
# The budget. With device = "cpu" it is the small one, everywhere.
device = "cuda" if torch.cuda.is_available() else "cpu"
recipe = MNIST if device != "cpu" else SMALL_DIGITS

model, about = runs.once(recipe, torch.device(device))
schedule, T, shape = (
    model.schedule,
    model.schedule.T,
    model.recipe.shape,
)


def noise(n, seed):
    """Where n walks begin; drawn on the CPU, the same everywhere."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, generator=chance).to(device)


def fresh(seed):
    """The noise of the steps: shape -> z, always the same ones."""
    return partial(
        torch.randn, generator=torch.Generator().manual_seed(seed)
    )


def name_rows(figure, names):
    """Write at the left of each row of a grid what it shows."""
    ax, H = figure.axes[0], shape[1]
    lowest = ax.get_ylim()[0] - H / 2  # the middle of the last row
    apart = H + max(1, H // 14)
    places = [lowest - i * apart for i in range(len(names))]
    ax.set_yticks(places, names[::-1])
    ax.tick_params(length=0, labelsize=12)
    return figure


previews = []


def watched(x_t, t):
    """The model, and a copy of each x_0_hat that it gives."""
    prediction = model.denoise(x_t, t)
    previews.append(prediction.x_0)
    return prediction


x_T = noise(16, 3)
walk = [
    x_T,
    *sample(ddpm(), schedule, watched, x_T, randn=fresh(4)),
]
previews.append(walk[-1])  # at t = 0 nothing is left to guess
stops = [1000, 800, 600, 400, 200, 100, 0]
one = [frames[T - t][8] for frames in (walk, previews) for t in stops]
figure = grid(
    torch.stack(one), rows=2, labels=[f"$t = {t}$" for t in stops]
)
name_rows(figure, ["$x_t$", "$\\hat x_0$"])

# %% [markdown]
# ## Algorithm 2 for pictures
#
# Chapter 9 wrote Algorithm 2 down in {eq}`def:algorithm-2`: start from $x_T \sim \mathcal N(0, I)$, and for $t = T, \dots, 1$ remove the noise that the network sees, and add a little fresh noise. For pictures we know one thing more, since we made them: their pixels lie between $-1$ and $1$. The network does not know it. Its $\hat\epsilon$ says what it believes the picture to be, by {eq}`eq:jump` solved for $x_0$, and that belief may lie outside. So programs put two lines in between, with $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$. For $t = T, \dots, 1$:
#
# $$
# \begin{aligned}
# &1.\quad \hat\epsilon = \epsilon_\theta(x_t, t)\\
# &2.\quad \hat x_0 = \operatorname{clip}\bigl((x_t - s\,\hat\epsilon)/a\bigr)\\
# &3.\quad \hat\epsilon \leftarrow (x_t - a\,\hat x_0)/s\\
# &4.\quad z \sim \mathcal N(0, I) \text{ if } t > 1, \text{ else } z = 0\\
# &5.\quad x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\Bigl(x_t - \frac{\beta_t}{s}\,\hat\epsilon\Bigr) + \sigma_t z
# \end{aligned}
# $$ (def:picture-step)
#
# Line 2 turns the answer into a picture, where clip sets every pixel below $-1$ to $-1$, every pixel above $1$ to $1$, and leaves the others alone. Line 3 turns the picture back into noise. For now $\sigma_t^2$ is $\tilde\beta_t$ of {eq}`eq:beta-tilde`. In PyTorch the five lines are five lines. The tables are indexed by $t$ itself, so nothing needs to be shifted:

# %%
beta, alpha = schedule.beta, schedule.alpha
a, s = schedule.alpha_bar.sqrt(), schedule.one_minus_alpha_bar.sqrt()
sigma = schedule.beta_tilde.sqrt()


@torch.no_grad()
def algorithm_2(network, x_T, randn):
    """x_0 from noise: (B, C, H, W) -> (B, C, H, W)"""
    x_t = x_T
    for t in range(T, 0, -1):
        when = torch.full((len(x_t),), t, device=x_t.device)
        eps_hat = network(x_t, when)  # line 1
        x_0_hat = ((x_t - s[t] * eps_hat) / a[t]).clamp(-1, 1)  # 2
        eps_hat = (x_t - a[t] * x_0_hat) / s[t]  # line 3
        z = randn(x_t.shape).to(x_t) if t > 1 else 0  # line 4
        towards = beta[t] / s[t] * eps_hat
        x_t = (x_t - towards) / alpha[t].sqrt() + sigma[t] * z  # 5
    return x_t


# %% [markdown]
# In the library, lines 2 and 3 belong to `sampling.denoiser`, which turns any network into a function that returns the pair $(\hat x_0, \hat\epsilon)$. The step is in `sampling.ddpm`, and the loop in `sampling.sample`, which hands out every $x_t$ on the way; that is how the pictures above were made.

# %%
import inspect

print(inspect.getsource(denoiser))

# %% [markdown]
# The claim compares the two programs number by number, over all thousand steps. No trained network is needed for that. A convolution with random weights, scaled by a cosine of $t$, gives numbers as good as any, and in float64 no rounding hides a difference. Each wrong version is a mistake that the chapter shows in pictures later.


# %%
def as_stub(weights):
    """A network of no use: a convolution, times a cosine of t."""

    def network(x_t, t):
        scale = torch.cos(t / 300)[:, None, None, None].to(x_t)
        return scale * torch.conv2d(x_t, weights.to(x_t), padding=1)

    return network


def pair(x_t, t, eps_hat, clip=1.0):
    """Lines 2 and 3: x_0_hat, clipped, and the eps_hat with it."""
    x_0_hat = ((x_t - s[t] * eps_hat) / a[t]).clamp(-clip, clip)
    return x_0_hat, (x_t - a[t] * x_0_hat) / s[t]


def right(x_t, t, u, eps_hat, z, *, scale=None, std=None):
    """Lines 2 to 5 for a step from t to any earlier u."""
    _, eps_hat = pair(x_t, t, eps_hat)
    b = diffusion.kernel_variance(schedule, t, u)
    scale = scale(b, s[t]) if scale else b / s[t]
    mean = (x_t - scale * eps_hat) / (1 - b).sqrt()
    std = std(t, u) if std else beta_tilde(t, u).sqrt()
    return mean + std * z


@torch.no_grad()
def walk_by(line, network, x_t, times, randn):
    """Like algorithm_2, with another line in place of 2 to 5."""
    for t, u in pairwise(times):
        when = torch.full((len(x_t),), t, device=x_t.device)
        z = diffusion.noise_for(randn, x_t)
        x_t = line(x_t, t, u, network(x_t, when), z)
    return x_t


def beta_tilde(t, u):
    return diffusion.posterior_variance(schedule, t, u)


def no_third_line(x_t, t, u, eps_hat, z):
    b = diffusion.kernel_variance(schedule, t, u)
    mean = (x_t - b / s[t] * eps_hat) / (1 - b).sqrt()
    return mean + beta_tilde(t, u).sqrt() * z


# %% tags=["claim"]
from ddpm_lib.course.claims import claim, mean, variance

torch.manual_seed(0)
stub = as_stub(torch.randn(1, 1, 3, 3, dtype=torch.float64))
start = torch.randn(2, 1, 8, 8, dtype=torch.float64)
every = strided(T, T)
*_, by_library = sample(
    ddpm(),
    schedule,
    denoiser(schedule, stub, diffusion.EPS, clip=1.0),
    start,
    randn=fresh(5),
)
claim(
    "def:picture-step",
    got=algorithm_2(stub, start, fresh(5)),
    want=by_library,
    rejects={
        name: walk_by(line, stub, start, every, fresh(5))
        for name, line in {
            "$σ²$ in place of $σ$": partial(right, std=beta_tilde),
            "line 3 forgotten": no_third_line,
            "$x_t$ clipped in every step": lambda *known: right(
                *known
            ).clamp(-1, 1),
            "the coefficient $√{1 − α_t}$": partial(
                right, scale=lambda b, s: b.sqrt()
            ),
        }.items()
    },
    atol=1e-8,
)

# %% [markdown]
# ## Two routes, the same numbers
#
# Some programs write line 5 with $\hat\epsilon$, as {cite:t}`ho2020` print it. Others never form this expression: they insert $\hat x_0$ into the posterior mean {eq}`eq:mu-tilde`. Is that the same? Take any pair of a picture and a noise that *make up* $x_t$, which means
#
# $$
# a\,\hat x_0 + s\,\hat\epsilon = x_t .
# $$ (def:consistent)
#
# In the posterior mean, replace $\hat x_0$ by $(x_t - s\,\hat\epsilon)/a$. Chapter 4 did this algebra with the true $x_0$ and the true noise, {eq}`eq:mu-tilde-eps`, and used nothing about them but that they make up $x_t$. So it holds for every such pair:
#
# $$
# \begin{aligned}
# &\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,\hat x_0 + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\,x_t\\
# &\qquad = \frac{1}{\sqrt{\alpha_t}}\Bigl(x_t - \frac{\beta_t}{s}\,\hat\epsilon\Bigr) .
# \end{aligned}
# $$ (eq:two-routes)
#
# What does clipping do to the pair? If $\hat x_0$ is changed and $\hat\epsilon$ is not, they do not make up $x_t$ any more, and the two routes part. A program that clips $\hat x_0$ and then takes line 5 with the old $\hat\epsilon$ has clipped nothing, since $\hat x_0$ does not occur there. That is why line 3 is needed. Write $\hat x_0$ and $\hat\epsilon$ for the pair before clipping, and $\hat x_0^c$ for the clipped picture. Insert $x_t = a\,\hat x_0 + s\,\hat\epsilon$ into line 3, and divide:
#
# $$
# \begin{aligned}
# \hat\epsilon^c &= \frac{x_t - a\,\hat x_0^c}{s}\\
# &= \frac{a\,\hat x_0 + s\,\hat\epsilon - a\,\hat x_0^c}{s}\\
# &= \hat\epsilon + \frac{a}{s}\,\bigl(\hat x_0 - \hat x_0^c\bigr) .
# \end{aligned}
# $$ (eq:clip-eps)
#
# The first claim is symbolic. The second takes the trained network at real $x_t$ of the walk above, where many pixels of $\hat x_0$ are clipped, and shows that the routes agree with the new $\hat\epsilon$ and part with the old one. The third compares the new $\hat\epsilon$ with the library's.

# %% tags=["claim"]
import sympy as sp

x, e = sp.symbols("x epsilon", real=True)
al, p = sp.symbols("alpha alphabar_before", positive=True)
now = 1 - al * p  # s squared
guess = (x - sp.sqrt(now) * e) / sp.sqrt(al * p)


def by_guess(x_0_hat):
    return (
        sp.sqrt(p) * (1 - al) / now * x_0_hat
        + sp.sqrt(al) * (1 - p) / now * x
    )


def by_noise(amount):
    return (x - amount * e) / sp.sqrt(al)


claim(
    "eq:two-routes",
    got=by_guess(guess),
    want=by_noise((1 - al) / sp.sqrt(now)),
    rejects={
        "the coefficient $√{1 − α_t}$": by_noise(sp.sqrt(1 - al)),
        "$x̂_0$ not divided by $a$": by_noise(1 - al) * sp.sqrt(al * p),
        "all of the noise": by_noise(sp.sqrt(now)),
    },
)

for t in (990, 700, 300, 20):
    x_t = walk[T - t].cpu().double()
    with torch.no_grad():
        eps_hat = model.network(
            walk[T - t], torch.full((16,), t, device=device)
        )
    eps_hat = eps_hat.cpu().double()
    x_0_hat = (x_t - s[t] * eps_hat) / a[t]
    clipped, with_it = pair(x_t, t, eps_hat)
    root = alpha[t].sqrt()
    claim(
        "eq:two-routes",
        got=diffusion.posterior(schedule, clipped, x_t, t).mean,
        want=(x_t - beta[t] / s[t] * with_it) / root,
        rejects={
            "the old $ϵ̂$": (x_t - beta[t] / s[t] * eps_hat) / root,
            "without the root": x_t - beta[t] / s[t] * with_it,
        },
    )
    fixed = denoiser(
        schedule, lambda x, _, e=eps_hat: e, diffusion.EPS, clip=1.0
    )
    off = x_0_hat - clipped
    claim(
        "eq:clip-eps",
        got=fixed(x_t, t).eps,
        want=eps_hat + a[t] / s[t] * off,
        rejects={
            "$ϵ̂$ kept": eps_hat,
            "the other sign": eps_hat - a[t] / s[t] * off,
            "$s/a$ in place of $a/s$": eps_hat + s[t] / a[t] * off,
        },
        atol=1e-9,
    )

# %% [markdown]
# ## What clipping is for
#
# How wrong can $\hat x_0$ be? Suppose the network errs by $\delta$ in a pixel of $\hat\epsilon$. Then $\hat x_0$ is wrong by $\delta\,s/a$, by {eq}`eq:amplification`. And the step? In the right side of {eq}`eq:two-routes`, $\hat\epsilon + \delta$ in place of $\hat\epsilon$ changes $x_{t-1}$ by
#
# $$
# \Delta x_{t-1} = -\frac{\beta_t}{s\,\sqrt{\alpha_t}}\;\delta .
# $$ (eq:step-gain)
#
# For most $t$ this factor is small. But the cosine schedule {eq}`eq:cosine` ends with very large steps: $\beta_T$ is cut at 0.999, so $\alpha_T$ is 0.001. The second cell below prints the factor for three single steps and for the first of a hundred strides, in which $\bar\alpha_t/\bar\alpha_u$ takes the place of $\alpha_t$, as in {eq}`eq:posterior-leap`. Its last line is the network's own error at $T$, as a root mean square. The column $c_0$ belongs to the remedy.

# %% tags=["claim"]
t = torch.arange(1, T + 1)
x_t = torch.zeros(T, 1, dtype=torch.float64)
delta = 0.01


def mean_with(eps_hat):
    x_0_hat = (x_t - s[t][:, None] * eps_hat) / a[t][:, None]
    return diffusion.posterior(schedule, x_0_hat, x_t, t).mean[:, 0]


moved = mean_with(torch.full_like(x_t, delta)) - mean_with(0 * x_t)
claim(
    "eq:step-gain",
    got=moved / delta,
    want=-beta[t] / (s[t] * alpha[t].sqrt()),
    rejects={
        "without the root of $α$": -beta[t] / s[t],
        "the error of $x̂_0$": -s[t] / a[t],
        "the other sign": beta[t] / (s[t] * alpha[t].sqrt()),
    },
    atol=1e-9,
)

# %% tags=["nbval-check-output"]
examples = recipes.examples(model.recipe)
train = scale(examples.train)
test = scale(examples.test[:179]).to(device)


@torch.no_grad()
def errors_at(t):
    """Mean squares of eps - eps_hat and of x_0 - x_0_hat, clipped."""
    eps = noise(len(test), t)
    x_t = diffusion.add_noise(schedule, test, t, eps)
    when = torch.full((len(test),), t, device=device)
    eps_hat = model.network(x_t, when)
    x_0_hat, _ = pair(x_t, t, eps_hat)
    return [
        (truth - guess).square().mean().item()
        for truth, guess in [(eps, eps_hat), (test, x_0_hat)]
    ]


print("from   to  factor  c_0")
for t, u in [(1000, 999), (999, 998), (500, 499), (1000, 990)]:
    b = diffusion.kernel_variance(schedule, t, u)
    gain = b / (s[t] * (1 - b).sqrt())
    c_0 = a[u] * b / s[t] ** 2
    print(f"{t:>4}{u:>5}{gain:>8.3g}{c_0:>8.2g}")
print(f"s/a at T: {s[T] / a[T]:.0f}")
straight = linear()
b = straight.beta[T] / straight.one_minus_alpha_bar[T].sqrt()
print(f"factor at T, linear: {b / straight.alpha[T].sqrt():.2f}")
print(f"error of ε̂ at T: {errors_at(T)[0] ** 0.5:.2f}")

# %% [markdown]
# At $t = T$ the network errs by about 0.03 in a pixel, as a root mean square: a loss of a thousandth. Beside the mean of 0.14 that looks excellent, but at $T$ the input is all but the noise itself, so nearly nothing is a good loss there. The first step multiplies the error by 32. So after *one* step $x_{999}$ is wrong by about 1, as much as it contains noise. With a hundred strides the first one multiplies by 316, and $x_{990}$ is wrong by 10. No later step expects such an input.
#
# With clipping, $\hat x_0$ is off by at most 2, since both it and the truth lie between $-1$ and $1$. The left side of {eq}`eq:two-routes` says what reaches the next picture: $\hat x_0$ enters with the factor $c_0 = \sqrt{\bar\alpha_u}\,\beta/(1-\bar\alpha_t)$ of {eq}`eq:posterior-leap`, where $\beta = 1 - \bar\alpha_t/\bar\alpha_u$. The factor is 0.0016 in the first single step and 0.016 in the first stride. So at worst the stride is wrong by 0.03, and without clipping it was 10.
#
# Now three programs, with the same noise, 64 digits, and a hundred strides each: one clips $\hat x_0$, one nothing, and one clips $x_t$ after every step instead. We look at the standard deviation of all pixels and at the share of pixels outside the range. One more number, the *variety*, tells whether the digits differ from each other: it is the standard deviation of a pixel over the digits, averaged as a mean square over the pixels. In the table, a standard deviation is *as there* if it is within 15 % of that of the data, and a variety within 25 %.


# %%
def clipping_x_t(step):
    """A step that clips x_t itself, as some programs do."""
    return lambda now: step(now).clamp(-1, 1)


times = strided(T, 100)


def draw(step, denoise=model.denoise, x_T=None, times=times, seed=2):
    """The walk of 64 digits, always with the same noise."""
    x_T = noise(64, 1) if x_T is None else x_T
    steps = sample(
        step, schedule, denoise, x_T, times, randn=fresh(seed)
    )
    return [x_T, *steps]


def variety(x):
    return x.var(0).mean().sqrt()


free = denoiser(schedule, model.network, diffusion.EPS, clip=None)
digits = draw(ddpm())
ways = {
    "clip x_0_hat": digits[-1],
    "clip nothing": draw(ddpm(), free)[-1],
    "clip x_t": draw(clipping_x_t(ddpm()), free)[-1],
}

# %% tags=["nbval-check-output"]
print("beside data:       std  variety outside")
for name, x in ways.items():
    std, varied = x.std() / train.std(), variety(x) / variety(train)
    near = abs(std - 1) < 0.15, abs(varied - 1) < 0.25
    words = ["as there" if close else "far off" for close in near]
    outside = (x.abs() > 1).float().mean()
    print(f"{name:13}{words[0]:>9}{words[1]:>9}{outside:>8.0%}")

# %% tags=["figure"] mystnb={"image": {"alt": "Three rows of twelve pictures. First row, x_0_hat clipped: twelve digits, no two pictures alike. Second row, nothing clipped: hard black and white patches without any form. Third row, x_t clipped: digits again, some of them as above, some others."}, "figure": {"name": "fig-clipping", "caption": "The same noise through three programs: $\\hat x_0$ clipped, nothing clipped, $x_t$ clipped. Where nothing is clipped, nearly all values lie far outside the range."}}
name_rows(
    grid(torch.cat([x[:12] for x in ways.values()]), rows=3),
    ["clip $\\hat x_0$", "clip nothing", "clip $x_t$"],
)

# %% [markdown]
# With nothing clipped, practically every value is outside the range. This depends on the schedule: with the linear one, {eq}`eq:linear`, the first factor is only 0.02, and the same error does no harm. It also depends on what is predicted: a network that predicts $x_0$ or $v$ has no factor $s/a$, by {eq}`eq:amplification`.
#
# And clipping $x_t$? The third row shows digits, and the table puts them inside its bands. Some are other digits than in the first row, though it is the same noise. Something has changed, but is it wrong? Let us look where everything is known.
#
# ## Clipping the wrong thing
#
# The values of $x_0$ lie in $[-1, 1]$. Those of $x_t$ do not: near $T$ they are standard normal, and 32 % of them lie outside. What does clipping leave of a standard normal number $\epsilon$? Its mean stays 0 by symmetry. For the variance, split by whether $\lvert\epsilon\rvert$ is below 1. The inside contributes, with the normal density $\varphi$, the integral of $\epsilon^2\varphi(\epsilon)$. Integrate by parts as for {eq}`eq:by-parts`, with $\epsilon\,\varphi(\epsilon) = -\varphi'(\epsilon)$; this time the bracket does not vanish:
#
# $$
# \begin{aligned}
# \int_{-1}^{1}\epsilon^2\varphi(\epsilon)\,d\epsilon &= \bigl[-\epsilon\,\varphi(\epsilon)\bigr]_{-1}^{1} + \int_{-1}^{1}\varphi(\epsilon)\,d\epsilon\\
# &= -2\varphi(1) + P(\lvert\epsilon\rvert < 1) .
# \end{aligned}
# $$
#
# Outside, the square is 1 after clipping, so that part contributes $P(\lvert\epsilon\rvert \ge 1)$. The two probabilities add to 1:
#
# $$
# \operatorname{Var}\bigl[\operatorname{clip}(\epsilon)\bigr] = 1 - 2\varphi(1) \approx 0.516 .
# $$ (eq:clipped-noise)
#
# Half of the variance of the noise is gone after one step, and some of the signal with it, and the network is still told that it sees an $x_t$ with all its noise.

# %% tags=["claim"]
torch.manual_seed(1)
drawn = torch.randn(1_000_000, dtype=torch.float64)
phi_1 = torch.exp(torch.tensor(-0.5)) / (2 * torch.pi) ** 0.5
claim(
    "eq:clipped-noise",
    got=variance(drawn.clamp(-1, 1)),
    want=1 - 2 * phi_1,
    rejects={
        "nothing lost": 1.0,
        "the share inside": (drawn.abs() < 1).double().mean(),
        "what is outside thrown away": drawn[drawn.abs() < 1].var(),
    },
)

# %% [markdown]
# To see what this does to samples, take pictures of a single pixel, which is black, gray or white: $-0.7$, $0$ or $0.7$, each with a third of the probability, and with a width of $0.05$. All of it lies well inside $[-1, 1]$. The best denoiser is known from {eq}`eq:mixture-guess`: with $D = a^2\varsigma^2 + s^2$ and the average level $\bar m$ weighted by the responsibilities, $\hat x_0 = \bar m + (a\,\varsigma^2/D)(x_t - a\,\bar m)$. A second mixture is the one of a published program, $\pm 1$ with a width of $0.2$, of whose values half lie outside $[-1, 1]$.


# %%
def best(levels, width):
    """E[x_0 | x_t] of equally likely levels.  x_t: (B, 1)"""
    levels = torch.as_tensor(levels, dtype=torch.float64)

    def denoise(x_t, t):
        D = (a[t] * width) ** 2 + s[t] ** 2
        apart = x_t - a[t] * levels
        m = (-(apart**2) / (2 * D)).softmax(1) @ levels[:, None]
        x_0_hat = m + a[t] * width**2 / D * (x_t - a[t] * m)
        eps_hat = (x_t - a[t] * x_0_hat) / s[t]
        return diffusion.Prediction(x_0_hat, eps_hat)

    return denoise


def limited(denoise, clip):
    """The same, with x_0_hat clipped and eps_hat derived again."""
    if clip is None:
        return denoise

    def inside(x_t, t):
        return diffusion.Prediction(
            *pair(x_t, t, denoise(x_t, t).eps, clip)
        )

    return inside


def single_pixels(step, denoise):
    chance = torch.Generator().manual_seed(6)
    x_T = torch.randn(10_000, 1, generator=chance, dtype=torch.float64)
    walk = sample(
        step, schedule, denoise, x_T, strided(T, 250), randn=fresh(7)
    )
    *_, x_0 = walk
    return x_0


# %% tags=["nbval-check-output"]
gray, two = best([-0.7, 0.0, 0.7], 0.05), best([-1.0, 1.0], 0.2)
truth = (2 * 0.49 / 3 + 0.05**2) ** 0.5, (1 + 0.04) ** 0.5
away = (drawn.abs() > 1).double().mean()
print(f"normal: outside {away:.0%}, clipped {1 - 2 * phi_1:.3f}")
print("\n            three levels  at ±1")
print("               std  gray    std")
print(f"{'data':13}{truth[0]:>5.2f}{1 / 3:>6.0%}{truth[1]:>7.2f}")
found = {}
for name, step, clip in [
    ("clip nothing", ddpm(), None),
    ("clip x_0_hat", ddpm(), 1),
    ("clip x_t", clipping_x_t(ddpm()), None),
]:
    x, y = (single_pixels(step, limited(f, clip)) for f in (gray, two))
    found[name] = (x.abs() < 0.35).double().mean()
    print(f"{name:13}{x.std():>5.2f}{found[name]:>6.0%}{y.std():>7.2f}")
assert found["clip x_t"] > found["clip x_0_hat"] + 0.05

# %% [markdown]
# For the three levels, clipping $\hat x_0$ changes nothing, as it should: the best guess lies inside anyway. Clipping $x_t$ makes 40 % of the pixels gray in place of a third. A pixel on its way to black or white has an $x_t$ far from zero, and is pulled back.
#
# The right half of the table is a warning. Clusters at $\pm 1$ with a width of 0.2 have a standard deviation of 1.02. Clipping $x_t$ gives 0.87, and clipping $\hat x_0$ to $[-1, 1]$ gives 0.91, because half of these data lie outside that range. The range in line 2 must be that of the data: for a latent space or for standardized data it is another one, or there is none.
#
# ## Which variance?
#
# Line 5 needs a $\sigma_t^2$, and papers use $\beta_t$ or $\tilde\beta_t$. Chapter 5 showed that each is right for one kind of data: $\beta_t$ for data from $\mathcal N(0, I)$, {eq}`eq:sigma-upper`, and $\tilde\beta_t$ for data that are a single point, {eq}`eq:sigma-lower`. What does the wrong one cost? The KL of two normal distributions in one dimension is {eq}`eq:kl-1d`. If the means agree and the variances are $v$ and $\sigma^2$, what is left of it is $\frac12(v/\sigma^2 - 1 - \log (v/\sigma^2))$.
#
# For our digits the true step is no normal distribution, but the bound of chapter 6 charges us in the same way. By {eq}`eq:average-step` a pixel's term at $t$ is $\frac12\bigl[(\tilde\beta_t + c_0^2 V_t)/\sigma_t^2 - 1 - \log(\tilde\beta_t/\sigma_t^2)\bigr]$, where $V_t$ is the mean square of $x_0 - \hat x_0$. It is smallest for $\sigma_t^2 = v_t$ with $v_t = \tilde\beta_t + c_0^2 V_t$, {eq}`eq:best-sigma`, where the first fraction is 1. Subtract this smallest value from the term. In the second bracket $1 - 1$ leaves nothing. In the difference of the logarithms $\tilde\beta_t$ cancels, $-\log(\tilde\beta_t/\sigma_t^2) + \log(\tilde\beta_t/v_t) = -\log(v_t/\sigma_t^2)$:
#
# $$
# \begin{aligned}
# &\frac12\Bigl[\frac{v_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\Bigr]\\
# &\quad - \frac12\Bigl[1 - 1 - \log\frac{\tilde\beta_t}{v_t}\Bigr]\\
# &= \frac12\Bigl[\frac{v_t}{\sigma_t^2} - 1 - \log\frac{v_t}{\sigma_t^2}\Bigr] .
# \end{aligned}
# $$
#
# The same expression again. Summed over the steps that add noise, $t \ge 2$, and divided by $\log 2$, it is the price of a wrong variance in bits for each pixel:
#
# $$
# K = \frac{1}{2\log 2}\sum_{t=2}^{T}\Bigl[\frac{v_t}{\sigma_t^2} - 1 - \log\frac{v_t}{\sigma_t^2}\Bigr] .
# $$ (eq:variance-cost)
#
# For the two exact cases it can be summed. Write $r_t = \tilde\beta_t/\beta_t$, which is $(1-\bar\alpha_{t-1})/(1-\bar\alpha_t)$ by {eq}`eq:beta-tilde`. For the single point $v_t = \tilde\beta_t$, and $\sigma_t^2 = \beta_t$ costs $r_t - 1 - \log r_t$. In the sum of the logarithms each $1-\bar\alpha_t$ appears once above and once below, and only the first and the last remain: $\sum_t \log r_t = \log\frac{1-\bar\alpha_1}{1-\bar\alpha_T}$. So
#
# $$
# \begin{aligned}
# K_{\mathrm{point}} &= \frac{1}{2\log 2}\Bigl[\log\frac{1-\bar\alpha_T}{1-\bar\alpha_1}\\
# &\qquad\qquad - \sum_{t=2}^{T}(1 - r_t)\Bigr] ,
# \end{aligned}
# $$ (eq:cost-of-beta)
#
# and for unit variance, where $v_t = \beta_t$ and $\sigma_t^2 = \tilde\beta_t$, the fraction is turned over and the logarithm changes its sign:
#
# $$
# \begin{aligned}
# K_{\mathrm{unit}} &= \frac{1}{2\log 2}\Bigl[\sum_{t=2}^{T}\Bigl(\frac{1}{r_t} - 1\Bigr)\\
# &\qquad\qquad - \log\frac{1-\bar\alpha_T}{1-\bar\alpha_1}\Bigr] .
# \end{aligned}
# $$ (eq:cost-of-beta-tilde)
#
# The first claim does the subtraction with symbols. The others add up the library's KL of two normal distributions, step by step, for our cosine schedule.

# %% tags=["claim"]
v, var, small = sp.symbols("v sigma2 betatilde", positive=True)


def term(var):
    return (v / var - 1 - sp.log(small / var)) / 2


claim(
    "eq:variance-cost",
    got=sp.expand_log(term(var) - term(v)) / sp.log(2),
    want=sp.expand_log((v / var - 1 - sp.log(v / var)) / 2) / sp.log(2),
    rejects={
        "the fraction turned over": sp.expand_log(
            (var / v - 1 - sp.log(var / v)) / 2
        )
        / sp.log(2),
        "in nats": sp.expand_log((v / var - 1 - sp.log(v / var)) / 2),
        "not subtracted": sp.expand_log(term(var)) / sp.log(2),
    },
)

from math import log

from ddpm_lib import bound

later = torch.arange(2, T + 1)
zero = torch.zeros(T - 1, dtype=torch.float64)
narrow = diffusion.Gaussian(zero, schedule.beta_tilde[later])
wide = diffusion.Gaussian(zero, beta[later])
r = (s[later - 1] / s[later]) ** 2
ends = torch.log(s[T] ** 2 / s[1] ** 2)
point = (ends - (1 - r).sum()) / (2 * log(2))
unit = ((1 / r - 1).sum() - ends) / (2 * log(2))
for label, kl, want, other in [
    ("eq:cost-of-beta", bound.kl(narrow, wide), point, unit),
    ("eq:cost-of-beta-tilde", bound.kl(wide, narrow), unit, point),
]:
    claim(
        label,
        got=kl.sum() / log(2),
        want=want,
        rejects={
            "the other way round": other,
            "in nats": want * log(2),
            "without the half": 2 * want,
        },
        atol=1e-9,
    )

# %% [markdown]
# Our digits are neither a point nor of unit variance. What they need, $v_t$, follows from the network's own errors $V_t$, after clipping, measured on digits that were not trained on. We measure at some thirty times, and connect the values of $\log V_t$ by straight lines in $\log t$.

# %%
at = torch.unique(torch.logspace(0, 3, 40).round().long().clamp(2, T))
V = torch.tensor([errors_at(int(t))[1] for t in at])
place = torch.searchsorted(at, later).clamp(1, len(at) - 1)
low, high = at[place - 1].log(), at[place].log()
share = (later.log() - low) / (high - low)
V_t = torch.lerp(V[place - 1].log(), V[place].log(), share).exp()
c_0 = a[later - 1] * beta[later] / s[later] ** 2
v_t = schedule.beta_tilde[later] + c_0**2 * V_t


def cost(v_t, var):
    """Bits for each pixel, of each step.  (T-1,)"""
    ratio = v_t / var
    return (ratio - 1 - ratio.log()) / (2 * log(2))


# %% tags=["figure"] mystnb={"image": {"alt": "Three curves against t from 2 to 1000 on a logarithmic axis; the vertical axis is the variance in units of beta. A flat line at 1 is beta. A dashed line, beta tilde, begins at 0.47 at t = 2 and comes close to 1 near t = 100. A line with dots for the digits lies between the two and begins at 0.8."}, "figure": {"name": "fig-variances", "caption": "The variance that our digits need (dots) lies between the two that papers use. All three are divided by $\\beta_t$. From $t = 100$ up they agree, and the steps below are those with the smallest noise."}}
fig, ax = plt.subplots(figsize=(6, 3))
ax.axhline(1, color=NOISE, label="$\\beta_t$")
needed = (v_t / beta[later])[at - 2]
ax.plot(at, needed, "o:", ms=3, color=DATA, label="the digits' $v_t$")
ax.plot(later, r, "--", color=GRAY, label="$\\tilde\\beta_t$")
ax.set(xscale="log", xlabel="$t$", ylabel="in units of $\\beta_t$")
ax.legend()
plt.show()

# %% tags=["nbval-check-output"]
by_beta = ddpm(diffusion.kernel_variance)
*_, slowly = sample(
    by_beta, schedule, model.denoise, x_T, randn=fresh(4)
)
apart, apart_slowly = (
    (x - y).square().mean().sqrt()
    for x, y in [(draw(by_beta)[-1], digits[-1]), (slowly, walk[-1])]
)
total_b = cost(v_t, beta[later]).sum()
total_t = cost(v_t, schedule.beta_tilde[later]).sum()
early = cost(v_t, schedule.beta_tilde[later])[:19].sum() / total_t
print(f"data a point, σ² = β:          {point:.1f} bits")
print(f"data of variance 1, σ² = β~:   {unit:.1f} bits")
print(f"our digits, σ² = β:            {total_b:.1f} bits")
print(f"our digits, σ² = β~:           {total_t:.1f} bits")
print(f"  nine tenths in steps 2 to 20: {bool(early > 0.9)}")
for t in (2, 10, 100):
    where = (v_t / beta[later])[t - 2], r[t - 2]
    print(f"t = {t:>3}: v/β {where[0]:.1f}, β~/β {where[1]:.2f}")
print("pixels of samples differ by less than")
print(f"  0.05 in  100 strides: {bool(apart < 0.05)}")
print(f"  0.01 in 1000 steps:   {bool(apart_slowly < 0.01)}")
print(f"beta_2: {beta[2]:.0e}")

# %% [markdown]
# If the data were a point, $\beta_t$ would cost 0.4 bits for each pixel, and if they had unit variance, $\tilde\beta_t$ would cost 0.6. For our digits it is 0.1 bits for $\beta_t$ and 0.2 for $\tilde\beta_t$. Look where they come from: more than nine tenths of the latter are paid in steps 2 to 20. There the right variance lies between the two: at $t = 2$ it is 0.8 of $\beta_t$, and $\tilde\beta_t$ is 0.47 of $\beta_t$. At $t = 100$ even $\tilde\beta_t$ is 0.98 of $\beta_t$, and there is nothing left to choose.
#
# And the samples? With the same noise, in a hundred strides, the two variances give pictures that differ by less than 0.05 in a pixel, as a root mean square, six of 255 levels of gray. In all thousand steps, which we try with the sixteen digits of the first figure, it is less than 0.01, one level. The steps with the large disagreement are those in which hardly anything is added: $\beta_2$, of a single step, is about $5 \cdot 10^{-5}$. So the choice matters to those who count bits, and {cite:t}`nichol2021` let the network learn $v_t$ for that reason. In the samples, over a hundred strides and more, it hardly shows.
#
# ## The last step
#
# At $t = 1$ line 4 sets $z$ to zero. With $\sigma_t^2 = \tilde\beta_t$ the line is not needed, since $\tilde\beta_1 = 0$; a published program relies on that. With $\beta_t$ it is needed. How bad is it to forget it? Take a last stride from any $t$ to $0$. Its mean is $\hat x_0$, because for $u = 0$ the factor of $x_t$ in {eq}`eq:posterior-leap` vanishes and that of $\hat x_0$ is 1. Its $\beta$ is $1 - \bar\alpha_t/\bar\alpha_0 = 1 - \bar\alpha_t$. So what comes out is
#
# $$
# x_0 = \hat x_0 + \sqrt{1-\bar\alpha_t}\;z ,
# $$ (eq:last-noise)
#
# the denoised picture, with as much new noise on it as $x_t$ had.

# %% tags=["claim"]
t = torch.tensor([1, 2, 10, 20, 50])
x_t, z, guess = torch.randn(3, 5, 64, dtype=torch.float64)
mean_0 = diffusion.posterior(schedule, guess, x_t, t, 0 * t).mean
forward = diffusion.kernel_variance(schedule, t, 0 * t).sqrt()[:, None]
claim(
    "eq:last-noise",
    got=mean_0 + forward * z,
    want=guess + (1 - schedule.alpha_bar[t]).sqrt()[:, None] * z,
    rejects={
        "$β_t$ of a single step": guess + beta[t].sqrt()[:, None] * z,
        "the variance for its root": guess + forward**2 * z,
        "as with $β̃$": guess,
    },
)

# %% tags=["nbval-check-output"]
print("strides last t  noise  levels of 255")
for n in (1000, 100, 50, 20):
    t = strided(T, n)[-2]
    print(f"{n:>7}{t:>7}{s[t]:>7.3f}{s[t] * 127.5:>15.1f}")

# %% [markdown]
# With a thousand steps the noise is $0.006$, less than one of 255 levels of gray, and nobody will ever see the mistake. With fifty strides it is five levels, and with twenty it is eleven, a visible grain. A mistake that is invisible in one setting waits for the next.
#
# ## Where to start
#
# The walk begins at $\mathcal N(0, I)$, where it should begin at $q(x_T)$. Chapter 3 computed what that costs, {eq}`eq:prior-kl`: with the cosine schedule $\sqrt{\bar\alpha_T}$ is $5 \cdot 10^{-5}$, and the term $L_T$ is below a millionth of a bit for each pixel, as the next cell finds. That is nothing to worry about. A sampler that starts from a noised *picture* at some $t < T$ is another matter, if what comes out is called a sample. What does such a walk still know of the picture?
#
# %% tags=["nbval-check-output"]
start_cost = bound.prior_term(schedule, test).mean() / log(2)
print(f"a at T: {a[T]:.0e}")
small_enough = bool(start_cost < 1e-6 * test[0].numel())
print(f"L_T below 1e-6 bits for each pixel: {small_enough}")

# %% [markdown]
# ## When is what decided?
#
# Look again at the first figure. When did it become certain which digit this would be? Let a walk run until $t$, and then *fork* it: copy $x_t$, and go on twice, with different noise. If the two ends are the same, everything was decided at $t$. If they are as different as any two digits, nothing was.
#
# Call the two ends $x$ and $x'$. If the sampler is right, then given $x_t$ they are two independent draws of $x_0$, each with the mean $m = \mathbb E[x_0 \mid x_t]$. Insert $m$ and multiply out:
#
# $$
# \begin{aligned}
# \mathbb E\lVert x - x'\rVert^2 &= \mathbb E\lVert (x - m) - (x' - m)\rVert^2\\
# &= \mathbb E\lVert x - m\rVert^2 + \mathbb E\lVert x' - m\rVert^2\\
# &\quad - 2\,\mathbb E\bigl[(x - m)\cdot(x' - m)\bigr] .
# \end{aligned}
# $$
#
# Given $x_t$, the last two factors are independent and each has the mean 0, so their product averages to zero. The first two terms are equal, and each is the mean of $\operatorname{Var}[x_0 \mid x_t]$, summed over the pixels. And if the network is good, its guess $\hat x_0$ *is* $m$, by {eq}`eq:best-guess`. So half the squared distance of two forks is also the error of the preview:
#
# $$
# \begin{aligned}
# \tfrac12\,\mathbb E\lVert x - x'\rVert^2 &= \mathbb E\bigl[\operatorname{Var}[x_0 \mid x_t]\bigr]\\
# &= \mathbb E\lVert x - \hat x_0\rVert^2 .
# \end{aligned}
# $$ (eq:fork)
#
# The claims use the three gray levels, where the exact draw of $x_0$ given $x_t$ is known from {eq}`eq:reverse-mixture`, and the mean of the variances is an integral over the single number $x_t$. At each of two times, the first is about forks and the second about previews.

# %% tags=["claim"]
from ddpm_lib import exact

three = exact.isotropic(
    torch.ones(3) / 3, torch.tensor([[-0.7], [0.0], [0.7]]), 0.05
)
chance = torch.Generator().manual_seed(8)
for t in (200, 500):
    q_t = exact.noised(schedule, three, t)
    x_t = exact.draw(q_t, 20_000, chance)
    back = exact.reverse(schedule, three, x_t, t, 0)
    x, fork = (exact.draw(back, len(x_t), chance) for _ in "ab")
    axis = torch.linspace(-6, 6, 4001, dtype=torch.float64)[:, None]
    density = exact.log_density(q_t, axis).exp() * 12 / 4000
    on_axis = exact.reverse(schedule, three, axis, t, 0)
    left_open = exact.covariance(on_axis)[:, 0, 0]
    preview = gray(x_t, t).x_0
    wrong = {
        "everything open": exact.covariance(three)[0, 0],
        "not halved": 2 * (density * left_open).sum(),
        "a standard deviation": (density * left_open.sqrt()).sum(),
    }
    for half, other in [(0.5, fork), (1.0, preview)]:
        claim(
            "eq:fork",
            got=mean(half * (x - other).square()[:, 0]),
            want=(density * left_open).sum(),
            rejects=wrong,
        )

# %% [markdown]
# Divide by the variance of the pixels, and this is the share of the picture that is still open at $t$. We fork 64 walks at five times. Beside the share from the forks we print the one from the previews, and whether the two ends show the same digit, judged by the nearest training picture.

# %%
from ddpm_lib import evaluation


def digit(x):
    """The label of the nearest training picture."""
    return examples.labels[
        evaluation.nearest(x.cpu(), train).which[:, 0]
    ]


ends = digits[-1]
forks, shares = [900, 700, 500, 300, 100], []
for t in forks:
    k = times.index(t)
    x_t = digits[k]
    other = draw(ddpm(), x_T=x_t, times=times[k:], seed=t)[-1]
    guess = model.denoise(x_t, t).x_0
    open_, error = (
        (ends - x).square().mean() / ends.var(0).mean()
        for x in (other, guess)
    )
    same = (digit(ends) == digit(other)).double().mean()
    shares.append((open_ / 2, error, same))

# %% tags=["nbval-check-output"]
print("   t  open  preview  same digit")
for t, (open_, error, same) in zip(forks, shares, strict=True):
    print(f"{t:>4}{open_:>6.1f}{error:>9.1f}{same:>12.1f}")
same = [row[2] for row in shares]
assert device != "cpu" or same[1] < 1 / 3 < 1 / 2 < same[3]

# %% tags=["figure"] mystnb={"image": {"alt": "Five columns, for t = 900, 700, 500, 300 and 100. On top of each is one walk's x_t, and below it four ends of forks. At 900 and 700 they are different digits, at 500 some still are, at 300 they have the same slanted stroke and differ in the upper half, at 100 they are nearly equal."}, "figure": {"name": "fig-forks", "caption": "One walk forked. Above, its $x_t$ at five times; below each, four ends of walks that start from it and differ in their noise. At $t = 300$ only parts of the strokes still move, at 100 hardly anything does."}}
columns = []
for t in forks:
    k = times.index(t)
    x_t = digits[k][5:6]
    four = x_t.repeat(4, 1, 1, 1)
    four = draw(ddpm(), x_T=four, times=times[k:], seed=9)[-1]
    columns.append(torch.cat([x_t, four]))
figure = grid(
    torch.stack(columns, 1).flatten(0, 1),
    rows=5,
    labels=[f"$t = {t}$" for t in forks],
)
name_rows(figure, ["$x_t$", *[f"end {i}" for i in range(1, 5)]])

# %% [markdown]
# At $t = 900$ nothing is decided: the forks differ as much as any two samples. At 700 seven tenths are open, at 500 four tenths, at 300 two, at 100 next to nothing. The two ends show the same digit in 0.1 of the pairs at 900, which is what chance gives with ten digits. At 700 it is 0.2, and at 500 0.6; at 300 the two agree in 0.8 of the pairs, and at 100 in 0.9. And the previews follow the forks, as {eq}`eq:fork` says, except near $T$. There the preview is *worse* than the average of all digits would be: at 900 its error is 1.1 of the variance. It is the factor $s/a$ once more, which the clipping has only bounded. This is why the lower row of {numref}`fig-picture-walk` begins with hard black and white patches.
#
# The same numbers tell what a sampler does that starts from a noised picture in place of noise. From $t = 300$ eight tenths of the variance of what it returns were put in. That is a correction of a picture, and not a sample.
#
# ## The film
#
# Now the first figure as a film. The upper two rows show $x_t$ for sixteen digits, the lower two rows $\hat x_0$ for the same digits, at every 28th step. Black is $-1$ and white is $1$ in every frame; what lies outside is shown as black or white.

# %%
from ddpm_lib.plotting import animation

kept = [*range(0, T, 28), T]
animation(
    [torch.cat([walk[k], previews[k]]) for k in kept],
    alt="A film of four rows of eight pictures. In the upper two rows "
    "noise slowly turns into sixteen digits. In the lower two rows "
    "hard patches become pale blurred shapes, which sharpen into the "
    "same digits long before the noise above has gone.",
)

# %% [markdown]
# ## From numbers to gray
#
# A picture on the screen has whole numbers from 0 to 255. Two common ways to get there are wrong, and both are found in published programs.
#
# *Stretching each picture.* Take the smallest value of the picture as black and the largest as white. What does this do to the picture $cx + d$, with less contrast ($0 < c < 1$) and brighter ($d > 0$)? Its smallest value is $c \min x + d$ and its largest $c \max x + d$. In numerator and denominator $d$ cancels, and then $c$:
#
# $$
# \begin{aligned}
# &\frac{(cx + d) - (c\min x + d)}{(c\max x + d) - (c\min x + d)}\\
# &= \frac{c\,(x - \min x)}{c\,(\max x - \min x)}\\
# &= \frac{x - \min x}{\max x - \min x} .
# \end{aligned}
# $$ (eq:stretch)
#
# The two look the same. A stretched film cannot show that contrast is lost, that values run away, or that a picture is empty with a trace of noise.

# %%
from ddpm_lib import data


def stretch(x):
    """Each picture from its own minimum to its own maximum, 0 to 1."""
    low, high = x.amin((1, 2, 3), True), x.amax((1, 2, 3), True)
    return (x - low) / (high - low)


# %% tags=["claim"]
x = torch.randn(10, 1, 8, 8, dtype=torch.float64)
faint = 0.1 * x + 0.7
claim(
    "eq:stretch",
    got=stretch(faint),
    want=stretch(x),
    rejects={
        "the stated range": (faint + 1) / 2,
        "the minimum alone": faint - faint.amin((1, 2, 3), True),
        "the maximum alone": faint / faint.amax((1, 2, 3), True),
    },
)

# %% tags=["figure"] mystnb={"image": {"alt": "Two rows of six pictures. Upper row, stated range: noise at t = 1000 in black and white; a noisy picture at t = 500; a clear digit; the same digit with one pixel too bright, unchanged but for this pixel; the digit with a tenth of its contrast, nearly uniform light gray; an empty gray field. Lower row, each stretched: noise in grays; the noisy picture; the digit; the digit with the bright pixel, dark with a single white pixel; the faint digit, looking like the clear one; the empty field as full noise."}, "figure": {"name": "fig-stretched", "caption": "Six pictures in the stated range (above) and each stretched to its own (below). The stretched ones hide that a digit is faint, turn a trace of noise on an empty picture into full noise, and lose a digit for the sake of one stray pixel."}}
x_0 = walk[T][8]
stray = x_0.clone()
stray[..., 0, 0] = 6
nothing = 0.01 * noise(1, 12)[0]
six = torch.stack(
    [walk[0][8], walk[500][8], x_0, stray, 0.1 * x_0 + 0.7, nothing]
)
figure = grid(
    torch.cat([six, 2 * stretch(six) - 1]),
    rows=2,
    labels=[
        "$t = 1000$",
        "$t = 500$",
        "$x_0$",
        "one at 6",
        "$0.1x_0 + 0.7$",
        "$0.01\\epsilon$",
    ],
)
name_rows(figure, ["as it is", "stretched"])

# %% [markdown]
# *Bytes that wrap around.* To go from $[-1, 1]$ to bytes, one computes $127.5\,(x + 1)$ and turns it into an unsigned integer of 8 bits. In most programs that conversion drops the fraction and keeps the last 8 bits of what is left, so it counts modulo 256:
#
# $$
# \mathrm{byte}(x) = \operatorname{trunc}\bigl(127.5\,(x + 1)\bigr) \bmod 256 .
# $$ (eq:wrap)
#
# At $x = 1.02$ the product is 257.55, and the byte is 1: the whitest pixel becomes black. At $x = -1.02$ it is $-2.55$, and the byte is 254. So clamp first, as `data.unscale` does, and round in place of dropping the fraction.

# %% tags=["claim"]
x = torch.tensor([-1.02, -1.0, -0.3, 0.0, 0.999, 1.02, 1.5]).double()
wrapped = (127.5 * (x + 1)).long().to(torch.uint8)
claim(
    "eq:wrap",
    got=wrapped,
    want=torch.trunc(127.5 * (x + 1)).remainder(256),
    rejects={
        "clamped": data.unscale(x),
        "the fraction dropped downward": torch.floor(
            127.5 * (x + 1)
        ).remainder(256),
        "no modulus": torch.trunc(127.5 * (x + 1)),
    },
    atol=1e-9,
)

# %% tags=["nbval-check-output"]
for value, byte in zip(x.tolist(), wrapped.tolist(), strict=True):
    if abs(value) > 1:
        print(f"{value:>5.2f} becomes {byte}")
width = diffusion.kernel_variance(schedule, 10, 0).sqrt()
lost = ((x_0 + width * noise(1, 5)).abs() > 1).float().mean()
print(f"pixels that wrap, noise of t = 10: {lost:.1f}")
print(f"min-max of a constant picture: {stretch(x_0[None] * 0).mean()}")

# %% [markdown]
# Many of a digit's pixels are *at* $-1$ or $1$. So even the slight noise that a last stride from $t = 10$ leaves on them sends a fifth of them over the edge, and the picture is covered with specks of the opposite color. If you see such specks, look for a missing clamp.
#
# ## Alone or together
#
# Digits are drawn in batches because that is faster. Does one digit depend on the others beside it? It must not:
#
# $$
# f\bigl(x_T^{(1)}, \dots, x_T^{(B)}\bigr)_i = f\bigl(x_T^{(i)}\bigr) ,
# $$ (eq:alone)
#
# where $f$ is a sampler without fresh noise, and $i$ picks the $i$-th digit. Nothing in lines 1 to 5 mixes pictures, and neither do the layers of chapter 12: {eq}`eq:group-norm` and {eq}`eq:attention` look at one picture at a time. A BatchNorm in training mode would mix them. The claim draws five digits together and each alone, and for comparison with a network from whose output the batch's mean is taken away.

# %% tags=["claim"]
five, few = noise(5, 13), strided(T, 20)


def ends_of(network, x_T):
    decoded = denoiser(schedule, network, diffusion.EPS, clip=1.0)
    *_, x_0 = sample(ddim(), schedule, decoded, x_T, few)
    return x_0


def mixing(x_t, t):
    eps_hat = model.network(x_t, t)
    return eps_hat - eps_hat.mean(0) if len(x_t) > 1 else eps_hat


alone = torch.cat([ends_of(model.network, x) for x in five.split(1)])
together = ends_of(model.network, five)
claim(
    "eq:alone",
    got=together,
    want=alone,
    rejects={
        "a network that mixes the batch": ends_of(mixing, five),
        "the digits in another order": alone.flip(0),
    },
    atol=1e-3,
)

# %% [markdown]
# (In float32 a sum over a batch of another size may be rounded differently, so the tolerance allows for a thousandth.)
#
# ## Fewer steps
#
# The explorable below has to be quick, so it uses another step, for which chapter 17 gives the reasons. Here is only what it computes. It takes the pair $(\hat x_0, \hat\epsilon)$ and mixes it anew for an earlier time $u$, as the jump {eq}`eq:jump` would, but a part of the noise is fresh. Write $a_u, s_u$ for $a, s$ at $u$:
#
# $$
# \begin{aligned}
# x_u &= a_u\,\hat x_0 + \sqrt{s_u^2 - \sigma^2}\;\hat\epsilon + \sigma z,\\
# \sigma^2 &= \eta^2\,\tilde\beta .
# \end{aligned}
# $$ (def:ddim-step)
#
# This is the step of DDIM {cite:p}`song2021ddim`. The number $\eta$ goes from 0, no fresh noise, to 1. The variance $\tilde\beta = (s_u^2/s^2)\,\beta$ is that of {eq}`eq:posterior-leap`, with $\alpha = \bar\alpha_t/\bar\alpha_u$ and $\beta = 1 - \alpha$ of the stride. At $\eta = 0$ everything is decided by $x_T$. At $\eta = 1$ the step must be the one we know. Let us check. The root first: take out $s_u^2/s^2$, insert $s^2 = 1 - \bar\alpha_t$ and $\beta = 1 - \alpha$, and use $\bar\alpha_t = \alpha\bar\alpha_u$:
#
# $$
# \begin{aligned}
# s_u^2 - \tilde\beta &= \frac{s_u^2}{s^2}\,\bigl(s^2 - \beta\bigr)\\
# &= \frac{s_u^2}{s^2}\,\bigl(1 - \bar\alpha_t - 1 + \alpha\bigr)\\
# &= \frac{s_u^2}{s^2}\,\bigl(\alpha - \alpha\bar\alpha_u\bigr)\\
# &= \frac{\alpha\,s_u^4}{s^2} .
# \end{aligned}
# $$
#
# In the last line $\alpha$ is taken out, and $1 - \bar\alpha_u = s_u^2$. So $\hat\epsilon$ has the factor $\sqrt\alpha\,s_u^2/s$. Now the posterior mean {eq}`eq:posterior-leap`. It is $(a_u\beta/s^2)\,\hat x_0 + (\sqrt\alpha\,s_u^2/s^2)\,x_t$. Insert $x_t = a\,\hat x_0 + s\,\hat\epsilon$ with $a = \sqrt\alpha\,a_u$. Then $\hat\epsilon$ has the factor $\sqrt\alpha\,s_u^2/s$, the same. And $\hat x_0$ has
#
# $$
# \begin{aligned}
# &\frac{a_u\,\beta}{s^2} + \frac{\sqrt\alpha\,s_u^2}{s^2}\,\sqrt\alpha\,a_u\\
# &= \frac{a_u}{s^2}\,\bigl(\beta + \alpha\,s_u^2\bigr)\\
# &= \frac{a_u}{s^2}\,\bigl(1 - \alpha + \alpha - \alpha\bar\alpha_u\bigr)\\
# &= \frac{a_u}{s^2}\,\bigl(1 - \bar\alpha_t\bigr) = a_u .
# \end{aligned}
# $$
#
# Both agree with {eq}`def:ddim-step`. With $\tilde\mu$ for the posterior mean:
#
# $$
# \tilde\mu(x_t, \hat x_0) = a_u\,\hat x_0 + \sqrt{s_u^2 - \tilde\beta}\;\hat\epsilon .
# $$ (eq:eta-one)

# %% tags=["claim"]
al, p = sp.symbols("alpha alphabar_u", positive=True)
x_hat, e = sp.symbols("x_hat epsilon", real=True)
before, now = 1 - p, 1 - al * p
x_now = sp.sqrt(al * p) * x_hat + sp.sqrt(now) * e
tilde = before / now * (1 - al)


def remixed(kept):
    return sp.expand(sp.sqrt(p) * x_hat + kept * e)


claim(
    "eq:eta-one",
    got=sp.expand(
        sp.sqrt(p) * (1 - al) / now * x_hat
        + sp.sqrt(al) * before / now * x_now
    ),
    want=remixed(sp.sqrt(al) * before / sp.sqrt(now)),
    rejects={
        "all of the noise kept": remixed(sp.sqrt(before)),
        "roots subtracted": remixed(sp.sqrt(before) - sp.sqrt(tilde)),
    },
)
claim(
    "eq:eta-one",
    got=(al * before**2 / now),
    want=before - tilde,
    rejects={"$β$ in the place of $β̃$": before - (1 - al)},
)


def stub_walk(step):
    decoded = denoiser(schedule, stub, diffusion.EPS, clip=1.0)
    *_, x_0 = sample(
        step, schedule, decoded, start, few, randn=fresh(5)
    )
    return x_0


claim(
    "eq:eta-one",
    got=stub_walk(ddim(1.0)),
    want=stub_walk(ddpm()),
    rejects={
        "$η = 0$": stub_walk(ddim(0.0)),
        "$η = 1$ with $β$": stub_walk(ddpm(diffusion.kernel_variance)),
    },
    atol=1e-9,
)

# %% [markdown]
# ## The network in your browser
#
# Now you. The figure below contains the network of chapter 13 itself: its weights, rounded to 8 bits, and its layers in JavaScript. Nothing that you see in it was drawn beforehand, except the picture that stands there before the script runs.

# %% tags=["figure"] mystnb={"image": {"alt": "Sixteen digits of 8 by 8 pixels, drawn by the network in 20 steps without fresh noise."}, "figure": {"name": "fig-digits", "caption": "The course's own network draws sixteen digits on this page. *Fork* puts a second sampler beside the first, which starts from the same noise with settings of its own."}}
from ddpm_lib.course.explore import explorable
from ddpm_lib.course.quantization import quantize

small = model  # of 8 x 8 pixels: the page can carry it
if recipe != SMALL_DIGITS:
    small, _ = runs.once(SMALL_DIGITS)
chance = torch.Generator().manual_seed(1)
*_, sixteen = sample(
    ddim(),
    small.schedule,
    small.denoise,
    torch.randn(16, 1, 8, 8, generator=chance).to(small.device),
    few,
)
explorable(
    "digits",
    {"T": T, "weights": quantize(small.network)},
    still=grid(sixteen, rows=2),
)

# %% [markdown]
# Try the fork. Take DDIM for B as well, and then another number of steps: without fresh noise most digits stay what they are, because $x_T$ decides them. Raise $\eta$ for B, under *More settings*, and others appear. Then keep nothing in $[-1, 1]$, and see the first step at work.
#
# The next cell shows the number of steps alone. If you run this chapter as a notebook, it has sliders for $\eta$ and the seed too, and draws with the model that you have trained.

# %% mystnb={"image": {"alt": "Sixteen pictures of digits drawn by the model, and its guesses on the way to the first."}, "figure": {"name": "fig-sampling-panel", "caption": "Sixteen samples, and under them $\\hat x_0$ of the first on its way ($-1$ black … $1$ white). The noise is the same for any number of steps. In a running notebook, this cell has sliders for the steps, $\\eta$ and the seed."}}
from ddpm_lib.course import panels

panels.sampling(model)

# %% [markdown]
# And here are the 64 digits that the tables above are about, drawn by a network of 137 thousand weights that a single core has trained in minutes. Most can be read. Some cannot, and chapter 16 measures how far they are from the data, with an error bar.

# %% tags=["nbval-check-output"]
weights = sum(p.numel() for p in small.network.parameters())
print(f"{weights / 1000:.0f} thousand weights")

# %% tags=["figure"] mystnb={"image": {"alt": "Four rows of sixteen small pictures. Most are clearly digits, from 0 to 9; a few are ambiguous, between a 5 and a 9 or a 1 and an 8."}, "figure": {"name": "fig-sixty-four", "caption": "Sixty-four samples, none left out, by {eq}`def:picture-step` in a hundred strides."}}
grid(digits[-1], rows=4)

# %% [markdown]
# ## Where tutorials go wrong
#
# In {numref}`fig-wrong-ways` a perfect network walked through wrong samplers in the plane. Here is the trained network, with 8 × 8 pixels. All rows of the figure begin with the same noise, and all clip $\hat x_0$.


# %%
def line_with(scale=None, std=None):
    """Line 5 with another coefficient or another sigma."""
    return partial(right, scale=scale, std=std)


def no_noise(t, u):
    return torch.tensor(0.0)


def ragged(t, u):
    return diffusion.kernel_variance(schedule, t, u).sqrt()


@torch.no_grad()
def upward(x_t):
    """The loop that runs from 1 to T."""
    randn = fresh(14)
    for u, t in pairwise(strided(T, 50)[::-1]):
        eps_hat = model.network(
            x_t, torch.full((len(x_t),), t, device=device)
        )
        z = diffusion.noise_for(randn, x_t)
        x_t = right(x_t, t, u, eps_hat, z)
    return x_t


def by(line, steps=100):
    return walk_by(
        line,
        model.network,
        noise(24, 15),
        strided(T, steps),
        fresh(14),
    )


slips = {
    "right": by(line_with()),
    "σ² for σ": by(line_with(std=beta_tilde)),
    "√(1 − α)": by(line_with(lambda b, s: b.sqrt())),
    "√(1 − α), no z": by(line_with(lambda b, s: b.sqrt(), no_noise)),
    "z left out": by(line_with(std=no_noise)),
    "z at the end": by(line_with(std=ragged), 20),
    "t upward": upward(noise(24, 15)),
}

# %% tags=["figure"] mystnb={"image": {"alt": "Seven rows of twelve pictures. Right: twelve digits, no two pictures alike. Variance for standard deviation: digits, some of them other ones than above. Root of 1 minus alpha: clean digits of few kinds, here nines and zeros. The same without z: all twelve are one picture, a nine. z left out: again one picture, the same twelve times. z in the last step: digits with grain. t upward: noise."}, "figure": {"name": "fig-wrong-pictures", "caption": "The same network and the same noise through seven samplers. The row *z at the end* has 20 strides, *t upward* 50, all others 100. Four mistakes of six leave digits that look right one by one. In the third row few kinds are left, and the two rows below it always draw the same one."}}
name_rows(
    grid(torch.cat([x[:12] for x in slips.values()]), rows=7),
    list(slips),
)


# %% tags=["nbval-check-output"]
usual, found = variety(train), {}
print("                variety  kinds  outside")
for name, x in slips.items():
    found[name] = variety(x) / usual, len(digit(x).unique())
    outside = (x.abs() > 1).float().mean()
    print(
        f"{name:16}{found[name][0]:>7.1f}{found[name][1]:>7}"
        f"{outside:>9.0%}"
    )
if device == "cpu":
    variety_of, kinds = zip(*found.values(), strict=True)
    assert variety_of[1] < 0.9 * variety_of[0] and kinds[2] < kinds[0]
    assert kinds[3] == kinds[4] == 1

# %% [markdown]
# For all 24 samples of each row the table has the variety, in units of that of the data, how many of the ten digits are among them, and the share of pixels outside $[-1, 1]$.
#
# *$\sigma_t^2$ in place of $\sigma_t$.* With $\tilde\beta_t$ where its root belongs, each step adds far too little noise. Digits come out, and they look clean. Nothing in the second row of the figure would make anybody suspicious. The variety is lower, 0.8 where the right sampler has 0.9, but to see that takes many samples and something to compare them with. The claim under {eq}`def:picture-step` needs neither.
#
# *The coefficient $\sqrt{1-\alpha_t}$.* It is the published slip of chapter 9, which removes too much noise. Clipping holds the values together, so the samples are digits still, but look along the third row of the figure: the kinds have become few, 5 of ten digits where the right sampler draws 9. With $z$ left out as well, as it was published, all 24 samples are the same digit, and the variety is 0.0: they have collapsed.
#
# *$z$ left out.* The same collapse, with the right coefficient. {numref}`ex-collapse` has the reason: without fresh noise the right mean shrinks every difference between the walks. A look at one sample finds nothing wrong with it. Look at many.
#
# *$z$ in the last step.* With $\sigma_t^2 = \beta_t$ and 20 strides, the grain of {eq}`eq:last-noise`. Variety and kinds do not show it. But 24 % of the pixels lie outside $[-1, 1]$, where the right sampler has none.
#
# *$t$ upward.* A loop from 1 to $T$ asks the network for small noise where all is noise, and ends with noise.
#
# *A start from a noised picture.* {numref}`fig-forks` has shown what comes out from $t = 300$: mostly what was put in.
#
# The other mistakes are of programming, and each is caught by one line.


# %% tags=["nbval-check-output"]
from textwrap import fill


def attempt(name, function):
    try:
        outcome = function()
    except (RuntimeError, ValueError) as error:
        outcome = str(error).splitlines()[0]
    print(fill(f"{name}: {outcome}", 40, subsequent_indent="  "))


t = torch.full((16,), 1)
attempt("t == 0 of a batch", lambda: 1 if t == 0 else 2)
rgb = torch.zeros(3, 8, 8)
attempt("gray to RGB, of RGB", lambda: tuple(rgb.repeat(3, 1, 1).shape))
ten = torch.zeros(10, 1, 8, 8)
attempt("ten in a square", lambda: ten.reshape(3, 3, 1, 8, 8).shape)

held = {}


def note(tensor):
    storage = tensor.untyped_storage()
    held[storage.data_ptr()] = storage.nbytes()
    return tensor


with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
    x_t = walk[0]
    out = model.network(x_t, torch.full((16,), T, device=device))
print(f"a gradient is kept: {out.requires_grad}")
print(f"one step keeps more than 1 MB: {sum(held.values()) > 1e6}")

# %% [markdown]
# *`if t == 0` on a batch.* One program passes $t$ as a tensor with an entry for each picture and asks whether it is zero. PyTorch cannot answer for sixteen pictures at once, and raises. The loop knows $t$ as a number: ask that one.
#
# *Missing `no_grad`.* Without it PyTorch keeps what it would need for a gradient through all thousand steps: megabytes for each, and gigabytes in the end. The program is right and dies.
#
# *Frames and grids.* A listing repeats gray frames three times to get RGB, and gives nine channels if they are RGB already. Another arranges $n$ samples in a square of side $\sqrt n$, and fails for ten. A third divides by the range of the picture, and gives NaN for a constant one.
#
# ## Exercises
#
# Each exercise has a cell for your answer. The check below it says whether the answer is right and, if not, which mistake it looks like.
#
# :::{exercise} The first step
# :label: ex-unchanged
#
# Suppose that $\bar\alpha_T$ is practically zero, so that $s = 1$. How large may $\beta_T$ be, if an error in $\hat\epsilon$ is not to grow in the first step?
# :::

# %%
from ddpm_lib.course.checks import sampling as check

largest = ...
check.unchanged(largest)

# %% [markdown]
# :::{solution-start} ex-unchanged
# :class: dropdown
# :::
#
# With $s = 1$ the factor in {eq}`eq:step-gain` is $\beta/\sqrt{1 - \beta}$. Set it to 1, and square: $\beta^2 = 1 - \beta$. The positive root of $\beta^2 + \beta - 1 = 0$ is $(\sqrt 5 - 1)/2 = 0.618$, the golden ratio. The linear schedule stays far below. The cosine schedule exceeds it in its last two steps, 0.75 and 0.999, and the last one does the damage.

# %% tags=["solution"]
check.unchanged((5**0.5 - 1) / 2)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Bytes
# :label: ex-bytes
#
# Turn samples into bytes: $-1$ is 0, $1$ is 255, and what lies outside becomes the nearest of the two. Round to the nearest level.
# :::


# %%
def to_bytes(x):
    """x: (B, C, H, W) floats  ->  the same shape, uint8"""
    return ...


check.to_bytes(to_bytes)

# %% [markdown]
# :::{solution-start} ex-bytes
# :class: dropdown
# :::
#
# Clamp first, while the numbers are still floats. After the conversion it is too late, as {eq}`eq:wrap` shows.


# %% tags=["solution"]
def to_bytes(x):
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


check.to_bytes(to_bytes)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} The variance from the loss
# :label: ex-from-loss
#
# A training has noted the loss $\ell_t$ at every $t$: the mean square of $\epsilon - \hat\epsilon$ in a pixel. Nothing is clipped. Which variance $v_t$ makes the bound smallest?
# :::


# %%
def best_variance(t, loss):
    """t, loss: (B,)  ->  (B,)"""
    return ...


check.best_variance(best_variance)

# %% [markdown]
# :::{solution-start} ex-from-loss
# :class: dropdown
# :::
#
# By {eq}`eq:best-sigma` it is $\tilde\beta_t + c_0^2 V_t$, with $V_t$ for the mean square of $x_0 - \hat x_0$. By {eq}`eq:error-ratio` an error of $\hat\epsilon$ is one of $\hat x_0$ times $a/s$, so $V_t = (s/a)^2\,\ell_t$. With $c_0 = \sqrt{\bar\alpha_{t-1}}\,\beta_t/s^2$ and $a^2 = \alpha_t\bar\alpha_{t-1}$ the product is $c_0^2 V_t = \beta_t^2\,\ell_t/(\alpha_t s^2)$. For $\ell_t = 0$ it is the posterior's variance. For data of unit variance the floor of the loss is $\bar\alpha_t$, and the result is $\beta_t$.


# %% tags=["solution"]
def best_variance(t, loss):
    extra = beta[t] ** 2 / (alpha[t] * s[t] ** 2) * loss
    return schedule.beta_tilde[t] + extra


check.best_variance(best_variance)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} What is open
# :label: ex-open
#
# You have the ends of many walks, $x$, and for each of them the end of a fork, $x'$. Which share of the pictures was open at the fork? Use {eq}`eq:fork`, and for the whole the variance of each pixel over the pictures, averaged over the pixels.
# :::


# %%
def open_share(x, fork):
    """x, fork: (N, C, H, W)  ->  one number"""
    return ...


check.open_share(open_share)

# %% [markdown]
# :::{solution-start} ex-open
# :class: dropdown
# :::
#
# Half the mean square of the difference, over the variance. Mind which variance: `x.var()` over everything would count it as variety that the middle of all pictures is white and the corners are black.


# %% tags=["solution"]
def open_share(x, fork):
    return (x - fork).square().mean() / 2 / x.var(0).mean()


check.open_share(open_share)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: sampling
# :class: card
#
# $$
# \begin{aligned}
# \text{guess} \quad & \hat x_0 = \operatorname{clip}\bigl((x_t - s\,\hat\epsilon)/a\bigr)\\
# & \hat\epsilon \leftarrow (x_t - a\,\hat x_0)/s\\
# \text{step} \quad & x_{t-1} = \tfrac{1}{\sqrt{\alpha_t}}\Bigl(x_t - \tfrac{\beta_t}{s}\,\hat\epsilon\Bigr) + \sigma_t z\\
# & \phantom{x_{t-1}} = \tilde\mu_t(x_t, \hat x_0) + \sigma_t z\\
# \text{error} \quad & \Delta x_{t-1} = -\tfrac{\beta_t}{s\sqrt{\alpha_t}}\,\delta\\
# \text{variance} \quad & v_t = \tilde\beta_t + c_0^2 V_t\\
# \text{forks} \quad & \tfrac12\,\mathbb E\lVert x - x'\rVert^2 = \mathbb E\bigl[\operatorname{Var}[x_0 \mid x_t]\bigr]
# \end{aligned}
# $$
#
# For data of variance at most 1, and a good guess, $v_t$ lies between $\tilde\beta_t$ and $\beta_t$. Clip the guess, never $x_t$, and derive $\hat\epsilon$ again. Show pictures in a range that you state. Look at the variety of the samples, since single samples look right in most wrong programs.
# :::
#
# Several of the programs in this chapter were wrong and produced digits. Chapter 15 puts such programs on your table without saying what is wrong with them.
