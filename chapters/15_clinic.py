# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # The debugging clinic
#
# A diffusion program with a mistake in it rarely stops. It trains, its loss falls, and it draws something. Where do you look then? Reading the code again finds what you already suspect. This chapter has another way: it feeds each part of the program something whose answer is known, and measures how far the part is off. With nineteen such checks you then walk through a ward of 23 programs. All but one have a bug, of the kinds that published programs have had, and nobody tells you which.
#
# :::{admonition} At a glance
# :class: glance
#
# 45 minutes to read, and as long again for the ward; it runs in less than a minute on one core of a laptop's CPU, and needs no GPU. You need the jump {eq}`eq:jump`, the posterior {eq}`eq:posterior`, the floor {eq}`eq:loss-floor`, and both algorithms, {eq}`def:algorithm-1` and {eq}`def:algorithm-2`. Chapters 10 to 14 explain the parts that are examined.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Three rows. Each has a loss curve that falls from 1 to about 0.1 within 50 steps and then stays there, and eight small pictures of two by sixteen blurred pixels in orange, blue and gray. The first row has some green, yellow and cyan pixels; the other two rows look alike."}, "figure": {"name": "fig-three-programs", "caption": "Three programs: the loss of each during its training, and eight of its samples. One program is healthy, one never uses $t$, and in one the table behind the reverse steps is shifted by one. Which is which? The losses look the same, and the samples give no more than a hint."}}
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import torch

from ddpm_lib import diffusion
from ddpm_lib.course.clinic import patients
from ddpm_lib.course.clinic.patients import BUGS
from ddpm_lib.course.clinic.program import SHAPE, trained
from ddpm_lib.plotting import NOISE, style
from ddpm_lib.sampling import Stride, denoiser, sample

style()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def frames(program, n):
    """What the program shows of n samples: bytes (n, 3, 2, 16)."""
    randn = partial(torch.randn, generator=seeded(1))
    torch.manual_seed(0)  # one network draws numbers of its own
    denoise = denoiser(
        program.schedule, trained(program).network, diffusion.EPS
    )
    x_T = randn((n, *SHAPE))
    *_, x_0 = sample(
        program.step, program.schedule, denoise, x_T, randn=randn
    )
    return program.frames(x_0)


def show_curve(ax, program):
    ax.plot(trained(program).losses, color=NOISE, lw=1)
    ax.set(ylim=(0, 1.3), xticks=[], yticks=[0, 1])
    ax.tick_params(labelsize=7)


def show_frames(axes, pictures):
    for ax, picture in zip(axes, pictures, strict=True):
        ax.imshow(picture.permute(1, 2, 0), aspect="auto")
        ax.axis("off")


fig, axes = plt.subplots(
    3, 9, figsize=(6.6, 1.9), width_ratios=[1.6] + [1] * 8
)
three = ("t not used", "nothing", "shifted table")
for row, name in zip(axes, three, strict=True):
    show_curve(row[0], BUGS[name].program)
    show_frames(row[1:], frames(BUGS[name].program, 8))
plt.show()

# %% [markdown]
# ## Symptom, hypothesis, check, fix
#
# A *symptom* is what you notice: a loss that does not fall, samples of one color. A *hypothesis* names a part and says what it does wrong. A hypothesis is worth something if it predicts a number that you have not looked at yet. To look at that number is the *check*. If the number is as predicted, you *fix* the part, and the same check must then come out healthy. If it is not, the hypothesis is dead, and you have lost a minute and not a day.
#
# The order matters. The usual way goes from the symptom to the fix: change something, train again, look whether the pictures are better. It costs a training for each guess, and it can confirm a wrong guess, because in a program of many parts two errors may hide each other. Chapter 9 had an example, a variance and a network whose errors had opposite signs.
#
# What makes a check good? It should examine one part alone. It should need no training, or a short one. It should have a known healthy value, computed beforehand and not guessed. And it should be exact where it can: a check that averages over random draws has an error bar, and small bugs live inside error bars. How small can be said. Let $n$ independent numbers be normal with mean 0 and variance $\sigma^2$, and estimate the variance by the mean of their squares. One square has the mean $\sigma^2$ and the second moment $\mathbb E[x^4] = 3\sigma^4$ {eq}`eq:moments`, so its own variance is $3\sigma^4 - \sigma^4 = 2\sigma^4$. A mean of $n$ of them has the variance
#
# $$
# \operatorname{Var}\Bigl[\frac1n\sum_i x_i^2\Bigr] = \frac{2\sigma^4}{n} .
# $$ (eq:clinic-error)
#
# The relative standard error is $\sqrt{2/n}$. If we ask for five standard errors, as the claims of this book do, then an error of the relative size $\delta$ in a variance is seen with $n \ge 50/\delta^2$ numbers. An error of 10 % takes 5000 numbers. One of a tenth of a percent takes fifty million. Such errors are found by exact checks or not at all.

# %%
from ddpm_lib.course.claims import claim, mean, variance

# %% tags=["claim"]
sigma, n = 1.5, 50
draws = sigma * torch.randn(
    100_000, n, generator=seeded(0), dtype=torch.float64
)
claim(
    "eq:clinic-error",
    got=variance(draws.square().mean(1)),
    want=2 * sigma**4 / n,
    rejects={
        "the fourth moment alone": 3 * sigma**4 / n,
        "as for a mean": sigma**2 / n,
        "its root": (2 / n) ** 0.5 * sigma**2,
    },
)

# %% [markdown]
# ## A world where the answer is known
#
# For exact checks we want data for which the best possible network is a formula. Chapter 9 had a ring of points. Bugs of networks and frames need pictures, so the clinic has *ribbons*: RGB pictures of 2 × 16 pixels. A ribbon is all warm (orange), all cool (blue), or half of each in one order or the other, each with probability 1/4, and every number in it has noise of standard deviation $\varsigma = 0.1$. That is a mixture of four Gaussians in 96 dimensions, and the formula {eq}`eq:mixture-guess` of chapter 8 gives its best denoiser: the probabilities of the four patterns come from all 96 numbers, the rest of the formula goes number by number. A batch holds 16 ribbons, as many as a ribbon is wide. One bug needs that.

# %%
import inspect

from ddpm_lib.course.clinic.program import (
    BATCH,
    HEALTHY,
    Program,
    known,
    ribbons,
)

print(inspect.getsource(Program))

# %% [markdown]
# A *program* is a list of parts, with the signatures that you know: `loss` is called like `diffusion.loss`, `step` like `sampling.ddpm()`, `frames` like `data.unscale`. The healthy program has $T = 100$ steps with $\beta_t$ from $0.001$ to $0.2$, ten times the betas of a thousand steps, so that their sum {eq}`eq:linear-sum` stays what it was. Its network is a small one, two residual blocks with time and attention between them, and it trains for 120 steps. That is far too short for good pictures, as {numref}`fig-three-programs` shows, and enough for a diagnosis. A check that needs a good model comes too late.
#
# A *patient* is the healthy program with one part replaced.
#
# Before we use the exact denoiser `known`, we compare it with the library's general one, which knows nothing of ribbons.

# %%
from ddpm_lib import exact
from ddpm_lib.course.clinic.program import WIDTH, patterns

schedule = HEALTHY.schedule
T = schedule.T
alpha, alpha_bar = schedule.alpha, schedule.alpha_bar
beta, beta_tilde = schedule.beta, schedule.beta_tilde
world = exact.isotropic(torch.ones(4) / 4, patterns(), WIDTH)

# %% tags=["nbval-check-output"]
x_0 = ribbons(64, seed=1)
eps = torch.randn(x_0.shape, generator=seeded(1), dtype=x_0.dtype)
off = 0.0
for t in (1, 10, 50, 100):
    x_t = diffusion.add_noise(schedule, x_0, t, eps)
    ours = known(schedule)(x_t, t)
    theirs = exact.exact_denoiser(schedule, world)(x_t, t)
    off = max(off, float((ours.eps - theirs.eps).abs().max()))
print(f"two denoisers agree within 1e-9: {off < 1e-9}")

# %% [markdown]
# ## The loss, without a network
#
# A loss takes $x_0$, $t$ and $\epsilon$, makes an $x_t$, shows it to a network, and compares the answer with a target. We can look at the first half with a *spy*: a network that keeps what it is shown and answers zeros.


# %%
def seen_by_network(program, x_0, t, eps):
    """The x_t that a program's loss makes."""
    seen = []

    def spy(x_t, t):
        seen.append(x_t)
        return torch.zeros_like(x_t)

    program.loss(
        program.schedule, spy, diffusion.EPS, x_0, t=t, eps=eps
    )
    return seen[0]


# %% [markdown]
# Whatever the loss does, suppose that it makes $x_t = a' x_0 + s'\epsilon$ with two factors $a'$ and $s'$. They should be $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$. Multiply by $x_0$ and take the mean. Noise is independent of the data and has mean 0, so $\mathbb E[x_0\,\epsilon] = 0$ and only the first part is left. Then subtract the signal, and what remains is $s'\epsilon$, of variance $s'^2$:
#
# $$
# a' = \frac{\mathbb E[x_t\,x_0]}{\mathbb E[x_0^2]}, \qquad s'^2 = \mathbb E\bigl[(x_t - a' x_0)^2\bigr] .
# $$ (eq:clinic-regression)
#
# Here and in the rest of the section, squares and products are per coordinate, and means go over the coordinates too. The claim measures both at $t = 25$ for the healthy loss. It divides by the known second moment of the data in place of an estimated one; then $a'$ too is a mean of independent draws. Two of the wrong versions are published: the tables without bars, and without roots.

# %%
second = float(patterns().square().mean() + WIDTH**2)  # E[x_0²]
t = 25
a, s = alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()
rows = []
for seed in range(200):
    x_0 = ribbons(BATCH, seed)
    eps = torch.randn(
        x_0.shape, generator=seeded(seed), dtype=x_0.dtype
    )
    when = torch.full((BATCH,), t)
    x_t = seen_by_network(HEALTHY, x_0, when, eps)
    rows.append(torch.stack([x_t * x_0 / second, (x_t - a * x_0) ** 2]))
rows = torch.cat(rows, 1).flatten(2).mean(2).T  # (3200, 2)

# %% tags=["claim"]
claim(
    "eq:clinic-regression",
    got=mean(rows),
    want=torch.stack([a, s**2]),
    rejects={
        "no bars": torch.stack([alpha[t].sqrt(), beta[t]]),
        "no roots": torch.stack([a**2, s**4]),
        "noise of variance 1": torch.stack([a, torch.tensor(1.0)]),
    },
)

# %% [markdown]
# At $t = T$ the same factor says whether training ends where sampling begins. The sampler starts from $\mathcal N(0, I)$, so the factor has to be near 0. Three different bugs fail there. Without bars, $x_T$ keeps the factor $\sqrt{\alpha_T}$: a single step of noise. Its signal-to-noise ratio is
#
# $$
# \frac{\alpha_T}{1-\alpha_T} = \frac{1-\beta_T}{\beta_T}
# $$ (eq:clinic-no-bars)
#
# in place of the tiny $\mathrm{SNR}(T)$ of {eq}`def:snr`. A last $\beta_T$ that is too small leaves a signal, and so does a number of steps that is lowered while the betas stay. For these two, $\sqrt{\bar\alpha_T}$ is close to $e^{-\frac12\sum_t\beta_t}$ by {eq}`eq:sum-of-betas`, and by {eq}`eq:linear-sum` the sum is proportional to $T$ and nearly proportional to $\beta_T$.

# %% tags=["claim"]
from ddpm_lib.schedules import linear

thousand = linear(1000, 1e-4, 0.02)
x_0, none = torch.ones(1, 3, 2, 16).double(), torch.zeros(1, 3, 2, 16)
last, barless = (
    torch.tensor([1000]),
    replace(HEALTHY, schedule=thousand, loss=patients.no_bars),
)
signal = seen_by_network(barless, x_0, last, none.double())
noise = seen_by_network(barless, none.double(), last, x_0)
claim(
    "eq:clinic-no-bars",
    got=(signal[0, 0, 0, 0] / noise[0, 0, 0, 0]) ** 2,
    want=(1 - 0.02) / 0.02,
    rejects={
        "with the bars": thousand.snr[-1],
        "the root of it": ((1 - 0.02) / 0.02) ** 0.5,
        "upside down": 0.02 / (1 - 0.02),
    },
)

# %% tags=["nbval-check-output"]
print(f"SNR of x_T with bars    {thousand.snr[-1]:.1e}")
without = thousand.alpha[-1] / thousand.beta[-1]
print(f"SNR of x_T without bars {without:.0f}")
print("factor of x_0 in x_T:")
for name, other in {
    "beta to 0.02, 1000 steps": thousand,
    "beta to 0.002, 1000 steps": linear(1000, 1e-4, 0.002),
    "beta to 0.02, 50 steps": linear(50, 1e-4, 0.02),
}.items():
    print(f"  {name:26}{other.alpha_bar[-1].sqrt():.3f}")

# %% [markdown]
# Now the target. Chapter 9 judged the loss by its floor, but a floor hides small errors. So we take a network without a floor: the *cheat*, which knows $x_0$. It solves $x_t = a\,x_0 + s\,\epsilon$ for the noise and answers $\hat\epsilon = (x_t - a\,x_0)/s$, with the right $a$ and $s$. If the loss is right, its value is exactly 0. If the loss makes $x_t = a' x_0 + s'\epsilon$, the cheat answers
#
# $$
# \hat\epsilon = \frac{a' x_0 + s'\epsilon - a\,x_0}{s} .
# $$
#
# Subtract the target $\epsilon$ and collect what multiplies $x_0$ and $\epsilon$:
#
# $$
# \hat\epsilon - \epsilon = \frac{a'-a}{s}\,x_0 + \Bigl(\frac{s'}{s} - 1\Bigr)\epsilon .
# $$
#
# Square and take the mean. The product of the two parts has the mean 0, and $\mathbb E[\epsilon^2] = 1$:
#
# $$
# \begin{aligned}
# \mathbb E\bigl[(\hat\epsilon - \epsilon)^2\bigr] = {}& \Bigl(\frac{a'-a}{s}\Bigr)^2\mathbb E[x_0^2]\\
# &+ \Bigl(\frac{s'}{s} - 1\Bigr)^2 .
# \end{aligned}
# $$ (eq:clinic-cheat)
#
# And if the target is a second noise $\epsilon'$, independent of the first, the cheat is right and the loss compares with something else. It answers $\epsilon$, the product $\epsilon\,\epsilon'$ has the mean 0, and
#
# $$
# \mathbb E\bigl[(\epsilon - \epsilon')^2\bigr] = \mathbb E[\epsilon^2] + \mathbb E[\epsilon'^2] = 2 .
# $$ (eq:clinic-two)
#
# An honest network does better than the cheat there: it answers 0, and its loss stays at 1 {eq}`eq:second-noise`. The claims run the published losses themselves.


# %%
def cheat_losses(loss, t, batches=200):
    """The loss of a network that knows x_0.  (16 batches,)"""
    torch.manual_seed(1000)  # none of the seeds below
    found = []
    for seed in range(batches):
        x_0 = ribbons(BATCH, seed)
        eps = torch.randn(
            x_0.shape, generator=seeded(seed), dtype=x_0.dtype
        )

        def cheat(x_t, t, x_0=x_0):
            a, s = diffusion.signal_and_noise(schedule, t, like=x_t)
            return (x_t - a * x_0) / s

        when = torch.full((BATCH,), t)
        found.append(
            loss(schedule, cheat, diffusion.EPS, x_0, t=when, eps=eps)
        )
    return torch.cat(found)


# %% tags=["claim"]
from ddpm_lib.course.clinic import examine

signal = (a**2 - a) ** 2 / s**2 * second
noise = (s**2 / s - 1) ** 2
claim(
    "eq:clinic-cheat",
    got=mean(cheat_losses(patients.no_roots, t)),
    want=signal + noise,
    rejects={
        "zero": 0.0,
        "the signal alone": signal,
        "the noise alone": noise,
        "variance 1 for the data": (a**2 - a) ** 2 / s**2 + noise,
    },
)
claim(
    "eq:clinic-two",
    got=mean(cheat_losses(patients.two_noises, t)),
    want=2.0,
    rejects={"the network's loss": 1.0, "one noise": 0.0},
)

# %% [markdown]
# The cheat has a sister in real programs, *overfit one batch*: take one batch, one set of times and one noise, keep all three, and train on them. A healthy program soon makes this loss small. With a second noise the target changes in each step, and the loss stays at 1. The check needs a short training; it examines the network and the optimizer as well, which the cheat leaves out. It is weaker than its fame, though. A network that is never told $t$ passes it, and so does one that mixes up its batch. To learn sixteen pictures by heart takes no diffusion.
#
# And the floor? By {eq}`eq:own-error` of chapter 9 the loss of a network is the floor of its data plus its own error. In this world the floor is known, and the next cell averages it over all $t$. A loss that stays far above it has not learned, or has learned something else. A loss that stays *below* it, over many batches, is a sign of a leak: some of the target gets into the input.


# %% tags=["nbval-check-output"]
def floor(program, n=4000):
    """The loss of the best possible network, a mean over all t."""
    x_0 = ribbons(n, seed=9)
    eps = torch.randn(x_0.shape, generator=seeded(9), dtype=x_0.dtype)
    t = torch.randint(1, T + 1, (n,), generator=seeded(9))
    x_t = diffusion.add_noise(program.schedule, x_0, t, eps)
    best = known(program.schedule)(x_t, t).eps
    return float((eps - best).square().mean())


late = float(trained(HEALTHY).losses[-40:].mean())
print(f"floor {floor(HEALTHY):.2f}, healthy after 120 steps {late:.1f}")

# %% [markdown]
# The healthy program is still far from its floor after 120 steps. No check of this chapter waits until it is there.
#
# ## Does a picture depend on its own t only?
#
# `alpha_bar[t]` has the shape $(B,)$, and a picture $(C, H, W)$. Multiply the two, and PyTorch aligns the shapes from the right: the table meets the *width*. If $B \ne W$ (and neither is 1) the program stops. If $B = W$ it runs, and column $w$ of every picture is noised with $t_w$, the time of picture $w$:
#
# $$
# \begin{aligned}
# x_t[b, c, h, w] = {}& \sqrt{\bar\alpha_{t_w}}\;x_0[b, c, h, w]\\
# &+ \sqrt{1-\bar\alpha_{t_w}}\;\epsilon[b, c, h, w] .
# \end{aligned}
# $$ (eq:clinic-columns)
#
# With a batch of 32 on pictures of 32 × 32 pixels, a published program did this for its whole training. The check gives the spy two batches that differ in one time alone, that of the first picture. In a healthy program nothing else changes.


# %%
def others_changed(program):
    """The share of other pictures that change with one t."""
    x_0 = ribbons(BATCH, seed=0)
    eps = torch.randn(x_0.shape, generator=seeded(0), dtype=x_0.dtype)
    t = torch.full((BATCH,), 50)
    other = t.clone()
    other[0] = 25
    before = seen_by_network(program, x_0, t, eps)
    after = seen_by_network(program, x_0, other, eps)
    changed = (before != after).flatten(1).any(1)
    return float(changed[1:].double().mean())


# %% tags=["claim"]
x_0 = ribbons(BATCH, seed=0)
eps = torch.randn(x_0.shape, generator=seeded(0), dtype=x_0.dtype)
times = torch.randint(1, T + 1, (BATCH,), generator=seeded(0))
sick = patients.BUGS["broadcast along the width"].program
columns = torch.stack(
    [
        diffusion.add_noise(schedule, x_0, int(times[w]), eps)[..., w]
        for w in range(16)
    ],
    -1,
)
claim(
    "eq:clinic-columns",
    got=seen_by_network(sick, x_0, times, eps),
    want=columns,
    rejects={
        "what was meant": diffusion.add_noise(
            schedule, x_0, times, eps
        ),
        "the first time for all": diffusion.add_noise(
            schedule, x_0, int(times[0]), eps
        ),
    },
)

# %% tags=["nbval-check-output"]
print(f"healthy:   {others_changed(HEALTHY):.0%} of the others change")
print(f"broadcast: {others_changed(sick):.0%} of the others change")
same = others_changed(sick) == examine.others_changed(sick)
print(f"the library's check says the same: {same}")

# %% [markdown]
# ## What does the network use?
#
# A network gets $x_t$ and $t$. Whether it uses them can be asked by changing one thing and watching the answer. Change $t$ alone, with the random generator set back: if the answer stays, $t$ does not arrive. Change nothing: if the answer differs, the network draws random numbers. Add one color to all pixels: if the answer stays, the network is blind to color. Send a gradient back: if a weight gets none at all, the answer does not depend on it. (The converse fails: behind a norm that cancels a weight, rounding still leaves a tiny gradient.) All four take milliseconds, and they are done on a network that has trained for a few steps, because at the start the last layers are zero {eq}`eq:zero-init`, and nothing arrives anywhere. In the code `_noised` makes $x_t$ as a healthy training does, and `_told` is the time that the network is told with it: $t = 40$, rescaled to the program's $T$.

# %%
for check in (examine.t_matters, examine.unreached):
    print(inspect.getsource(check))

# %% [markdown]
# Color blindness is {eq}`eq:group-invariance` of chapter 12 in its extreme case. GroupNorm subtracts the mean of a group of channels and divides by its standard deviation. Take a group of a single channel $h$, with mean $m$ and standard deviation $\sigma$ over the pixels: $\mathrm N(h) = (h - m)/\sigma$. Scale the channel by some $\gamma > 0$ and add a constant $c$. The mean becomes $\gamma m + c$ and the standard deviation $\gamma\sigma$:
#
# $$
# \begin{aligned}
# \mathrm N(\gamma h + c) &= \frac{\gamma h + c - (\gamma m + c)}{\gamma\sigma}\\
# &= \frac{\gamma\,(h - m)}{\gamma\sigma}\\
# &= \mathrm N(h) .
# \end{aligned}
# $$ (eq:clinic-instance)
#
# Neither the level nor the contrast of a channel gets through. A published network has 32 groups on its 32 channels, also on the shortcut, and so never learns what color its picture has. The same formula finds another bug: if the time is *added* before such a norm, it is the $c$, and it is gone. With several channels in a group, only the mean of their constants is lost {eq}`eq:shift-lost`.

# %% tags=["claim"]
from torch.nn.functional import group_norm

h = torch.randn(4, 8, 2, 16, generator=seeded(2), dtype=torch.float64)
gamma, c = 0.5 + torch.rand(2, 8, 1, 1, generator=seeded(3)).double()
moved = gamma * h + c
claim(
    "eq:clinic-instance",
    got=group_norm(moved, 8, eps=0),
    want=group_norm(h, 8, eps=0),
    rejects={
        "groups of four channels": group_norm(moved, 2, eps=0),
        "the constant remains": group_norm(h, 8, eps=0) + c,
        "only the mean is removed": moved
        - moved.mean((2, 3), keepdim=True),
    },
)

# %% [markdown]
# Two checks are left for this part. The embedding of $t$ has the same length at every $t$ {eq}`eq:embedding-norm`, because it consists of pairs, a sine and a cosine of one frequency. Give the two different frequencies, and the length wavers. And a trained network can have a small constant error in one color. By {eq}`eq:bias-cost` the loss does not see it, and by {eq}`eq:bias-gain` the sampler adds it up over all steps into a *color cast*. This error wanders from step to step, if the weights are those of the last step and the learning rate never fell; an average of the weights holds it still. So the check asks how far the mean color of the answer has moved in the last 10 steps of the training. {numref}`fig-cast` of chapter 16 shows the cast in samples.
#
# ## One reverse step
#
# A sampler takes a hundred steps, each with fresh noise, and its result is random. A single step is not, if we choose its noise. The library's steps, and all steps of this clinic, are given a function `randn`, and we may give them any. With zeros, a step returns its mean. With all noise equal to one number $z$, it returns the mean plus $\sigma_t z$:
#
# $$
# \begin{aligned}
# \operatorname{step}(x_t;\,0) &= \tilde\mu_t(x_t, \hat x_0),\\
# \frac{\operatorname{step}(x_t;\,z) - \operatorname{step}(x_t;\,0)}{z} &= \sigma_t .
# \end{aligned}
# $$ (eq:clinic-probe)
#
# Nothing is random any more, and the check is exact to rounding. The mean has to be {eq}`eq:mu-tilde`, with the guess of the exact denoiser, and the variance has to be the one that the program says it uses. The claim does it for the library's step, at all $t$ from 2 to $T$, and rejects four published steps.

# %%
x_0 = ribbons(32, seed=3)
eps = torch.randn(x_0.shape, generator=seeded(3), dtype=x_0.dtype)


def probe(step, t, z):
    """A step from t to t − 1 with all noise equal to z."""
    x_t = diffusion.add_noise(schedule, x_0, t, eps)
    constant = partial(torch.full, fill_value=z, dtype=x_t.dtype)
    return step(
        Stride(schedule, known(schedule), x_t, t, t - 1, constant)
    )


def mean_and_deviation(step, t, z=0.5):
    at_0, at_z = probe(step, t, 0.0), probe(step, t, z)
    return torch.cat([at_0.flatten(), ((at_z - at_0) / z).flatten()])


def derived(t):
    """What both should be, by chapter 4."""
    x_t = diffusion.add_noise(schedule, x_0, t, eps)
    guess = known(schedule)(x_t, t).x_0
    mu = diffusion.posterior(schedule, guess, x_t, t).mean
    sigma = beta_tilde[t].sqrt().expand(mu.numel())
    return torch.cat([mu.flatten(), sigma])


# %% tags=["claim"]
from ddpm_lib.sampling import ddpm

later = range(2, T + 1)


def all_steps(step):
    return torch.stack([mean_and_deviation(step, t) for t in later])


claim(
    "eq:clinic-probe",
    got=all_steps(ddpm()),
    want=torch.stack([derived(t) for t in later]),
    rejects={
        "$√{1 − α}$ for the coefficient": all_steps(
            patients.root_coefficient
        ),
        "a table that is shifted by one": all_steps(
            patients.shifted_table
        ),
        "told $t − 1$": all_steps(patients.told_earlier),
        "$x_t$ clipped": all_steps(patients.clipped_state),
    },
)

# %% [markdown]
# The four are the wrong coefficient, a shifted table, a network that is told $t - 1$, and a clipped $x_t$. The second and the third are hardly seen in samples, if there are many steps. Take the shifted table. A published sampler counts from 0 and needs $\bar\alpha_{t-1}$, with a 1 in front. It writes `cat([1], alpha_bar[1:])` where `cat([1], alpha_bar[:-1])` is meant. Then $\bar\alpha_{t-1}$ is $\bar\alpha_t$, except in the last step, and the variance $\tilde\beta_t$ of {eq}`eq:beta-tilde` becomes $\beta_t$. The mean stays right: written with $\hat\epsilon$ {eq}`eq:mu-tilde-eps`, it does not contain $\bar\alpha_{t-1}$. The ratio of the two variances is
#
# $$
# \frac{\beta_t}{\tilde\beta_t} = \frac{1-\bar\alpha_t}{1-\bar\alpha_{t-1}} .
# $$ (eq:clinic-ratio)
#
# It is large for the first few $t$ and close to 1 for all others. And $\beta_t$ is no bad choice: chapter 5 showed that it is right for data of variance 1 {eq}`eq:sigma-upper`. The program does something sensible that its author did not mean.

# %% tags=["claim"]
at = torch.tensor([2, 10, 100, 1000])
bars = thousand.alpha_bar
from_0 = bars[1:]  # as a table that counts from 0
before = torch.cat([torch.ones(1), from_0[1:]])  # the published line
sigma_squared = (1 - before) / (1 - from_0) * thousand.beta[1:]
claim(
    "eq:clinic-ratio",
    got=sigma_squared[at - 1] / thousand.beta_tilde[at],
    want=(1 - bars[at]) / (1 - bars[at - 1]),
    rejects={
        "nothing is wrong": torch.ones(4),
        "the ratio of the bars": bars[at - 1] / bars[at],
        "its root": ((1 - bars[at]) / (1 - bars[at - 1])).sqrt(),
    },
    atol=1e-9,
)

# %% [markdown]
# The wrong coefficient is a coarser mistake, and we can say what it does to samples. Take Gaussian data of variance $v$, as chapter 9 did, with $D_t$ the variance of the true $x_t$ {eq}`def:noised-variance` and $\epsilon^* = s_t\,x_t/D_t$, where $s_t = \sqrt{1-\bar\alpha_t}$. The published line has $\sqrt{1-\alpha_t} = \sqrt{\beta_t}$ before $\hat\epsilon$:
#
# $$
# x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\Bigl(x_t - \sqrt{\beta_t}\,\frac{s_t\,x_t}{D_t}\Bigr) + \sigma_t z .
# $$
#
# Take out $x_t$. It is independent of $z$, so the variance $V_t$ of the sampler's $x_t$ follows
#
# $$
# V_{t-1} = \frac{1}{\alpha_t}\Bigl(1 - \frac{\sqrt{\beta_t}\,s_t}{D_t}\Bigr)^2 V_t + \sigma_t^2 .
# $$ (eq:clinic-coefficient)
#
# The right coefficient has $\beta_t$ in place of $\sqrt{\beta_t}\,s_t$. Where $\beta_t$ is small and $s_t$ is near 1, that is many times too much noise taken away in every step.


# %%
def followed(v, step_factor):
    """V_0 by the recursion, from V_T = 1."""
    D, V = alpha_bar * v + 1 - alpha_bar, torch.tensor(1.0).double()
    for t in range(T, 0, -1):
        fresh = beta_tilde[t] if t > 1 else 0
        V = step_factor(t, D) ** 2 * V + fresh
    return V


def published(t, D):
    towards = (beta[t] * (1 - alpha_bar[t])).sqrt() / D[t]
    return (1 - towards) / alpha[t].sqrt()


def right(t, D):
    return (1 - beta[t] / D[t]) / alpha[t].sqrt()


# %% tags=["claim"]
for v in (1.0, 0.04):
    single = exact.isotropic([1.0], [[0.0]], v**0.5)
    x_T = torch.randn(40_000, 1, generator=seeded(4)).double()
    randn = partial(
        torch.randn, generator=seeded(5), dtype=torch.float64
    )
    *_, samples = sample(
        patients.root_coefficient,
        schedule,
        exact.exact_denoiser(schedule, single),
        x_T,
        randn=randn,
    )
    claim(
        "eq:clinic-coefficient",
        got=variance(samples[:, 0]),
        want=followed(v, published),
        rejects={
            "the right sampler": followed(v, right),
            "the variance of the data": v,
            "no fresh noise": torch.tensor(0.0),
        },
    )

# %% [markdown]
# One bug of samplers is made with the best intentions. Data lie in $[-1, 1]$, so a program clips $x_t$ to that interval after each step. Chapter 14 clips the *guess* $\hat x_0$, which does lie there. But $x_t$ is mostly noise, and noise does not. What the first clip does to a standard normal number $x$ is {eq}`eq:clipped-noise` of chapter 14. Values outside become $\pm 1$, and with the normal density $\varphi$ the mean square is
#
# $$
# \mathbb E\bigl[\min(x^2, 1)\bigr] = 1 - 2\varphi(1) .
# $$ (eq:clinic-clip)
#
# Half of the variance is gone after the first step, and the network is shown an $x_{T-1}$ such as it never met in training. Samples may look right all the same ({numref}`fig-clipping`). The one-step check sees it: with zeros for its noise, the step does not return its mean.

# %% tags=["claim"]
from math import exp, pi

phi_1 = exp(-0.5) / (2 * pi) ** 0.5
draws = torch.randn(400_000, generator=seeded(6), dtype=torch.float64)
claim(
    "eq:clinic-clip",
    got=mean(draws.clamp(-1, 1).square()),
    want=1 - 2 * phi_1,
    rejects={
        "not clipped": 1.0,
        "values outside thrown away": float(
            draws[draws.abs() < 1].square().mean()
        ),
        "one side counted": 1 - phi_1,
    },
)

# %% [markdown]
# ## The exact denoiser in place of the network
#
# After a single step, all of them. Put the exact denoiser where the network was, and sample: now everything that is off is the sampler's fault. Chapter 9 did this in the plane. For ribbons we measure the *width*, the spread of the samples around their nearest pattern, divided by $\varsigma$. What is its healthy value? Not 1. The recursion {eq}`eq:sampler-variance` of chapter 9, with $v = \varsigma^2$ and $\sigma_t^2 = \tilde\beta_t$, says what a hundred steps make of it.


# %% tags=["nbval-check-output"]
def predicted_width(table, var, v=WIDTH**2):
    D = table.alpha_bar * v + 1 - table.alpha_bar
    V = D[-1]
    for t in range(table.T, 0, -1):
        factor = table.alpha[t].sqrt() * D[t - 1] / D[t]
        V = factor**2 * V + (var[t] if t > 1 else 0)
    return (V / v).sqrt()


print("predicted width")
for name, table in (("100", schedule), ("1000", thousand)):
    small = predicted_width(table, table.beta_tilde)
    big = predicted_width(table, table.beta)
    print(f"{name:>6} steps  {small:.2f} with β~, {big:.2f} with β")
print("measured, 100 steps")
print(f"  healthy        {examine.pixel_width(HEALTHY):.2f}")
for name in ("shifted table", "told t - 1"):
    sick = patients.BUGS[name].program
    wide = examine.pixel_width(sick)
    print(f"  {name:14} {wide:.2f}")
slow = examine.pixel_width(replace(sick, schedule=thousand))
print(f"  with 1000 steps, told t - 1: {slow:.2f}")
assert 0.96 < slow < 1.01

# %% [markdown]
# Here intuition fails. The healthy sampler has a width of 0.80, and the one with the shifted table 1.08. Whoever expects 1 would call the sick one healthier. A check has to be compared with what the theory says for this program, steps and all, and not with what we would like to see. With a thousand steps the two widths are 0.96 and 1.01, and the sampler that tells its network $t - 1$ has 0.99, between them. To tell these three apart in samples takes a denoiser that is exact. With a trained network it is hopeless: that of chapter 9 widened its clusters by more than a fifth. The one-step check needs no statistics.
#
# ## From numbers to pictures, and to a score
#
# Even if the samples are right, they can be shown wrong. A published program stretches each picture from its own darkest to its own lightest value, $m(x) = (x - \min x)/(\max x - \min x)$. By {eq}`eq:stretch` of chapter 14 this forgets every factor $\gamma > 0$ and every constant $c$:
#
# $$
# m(\gamma x + c) = m(x) .
# $$ (eq:clinic-stretch)
#
# A sampler that returns $0.1\,x + 0.7$ looks perfect. Another program casts to bytes without clamping. The number $127.5\,(x + 1)$ loses its fraction, and the byte keeps the remainder after division by 256, as in {eq}`eq:wrap`:
#
# $$
# \mathrm{byte}(x) = \operatorname{trunc}\bigl(127.5\,(x + 1)\bigr) \bmod 256 .
# $$ (eq:clinic-wrap)
#
# A white pixel at $x = 1.02$ comes out black.

# %% tags=["claim"]
x = ribbons(16, seed=5).clamp(-1, 1)
claim(
    "eq:clinic-stretch",
    got=patients.stretched(0.1 * x + 0.7).double(),
    want=patients.stretched(x).double(),
    rejects={
        "one range for all": HEALTHY.frames(0.1 * x + 0.7).double(),
        "only the shift is lost": patients.stretched(x).double() * 0.1,
    },
    atol=1.01,  # rounding may move a pixel by one byte
)
x = torch.tensor([-1.02, -1.0, -0.5, 0.0, 0.9, 1.0, 1.02, 1.5])
claim(
    "eq:clinic-wrap",
    got=patients.wrapped(x).double(),
    want=(127.5 * (x + 1)).trunc().remainder(256).double(),
    rejects={
        "rounded down": (127.5 * (x + 1)).floor().remainder(256),
        "clamped": HEALTHY.frames(x).double(),
        "saturated": (127.5 * (x + 1)).floor().clamp(0, 255).double(),
    },
)

# %% tags=["nbval-check-output"]
for value in (1.02, -1.02):
    byte = int(patients.wrapped(torch.tensor([value])))
    meant = int(HEALTHY.frames(torch.tensor([value])))
    print(f"x = {value:5}: byte {byte:3}, should be {meant}")

# %% [markdown]
# The last part is the score. Its check is the simplest of all: give it fresh data in place of samples. A score that is not near zero there cannot judge a model. A Fréchet distance of 100 pictures is far from zero even for data, since it is biased by a term that falls as $1/N$; chapter 16 derives it as {eq}`eq:fd-bias`.
#
# ## Two patients, solved
#
# The ward has 23 patients. `evidence` measures all checks in the patient whose number you give it, and `passes` compares a value with the healthy range.


# %%
from textwrap import indent

from ddpm_lib.course.checks.clinic import fold
from ddpm_lib.course.clinic.ward import (
    CHECKS,
    evidence,
    healthy,
    passes,
    patient,
)


def says(name):
    """What a check measures, in lines that fit a phone."""
    return indent(fold(CHECKS[name].says.rstrip(",")), "  ")


for name in CHECKS:
    print(f"{name}: {healthy(name)}\n{says(name)}")


# %% [markdown]
# Each is a check of this chapter, with the range in which a healthy program has it, and below it what it measures. Where the check is exact, the range is a single number or nearly one.


# %%
def report(number):
    """The checks that fail, with their healthy ranges."""
    for check, value in evidence(number).items():
        if not passes(check, value):
            print(f"{check}: {value:.2f}, healthy {healthy(check)}")
            print(says(check))


# %% tags=["nbval-check-output"]
for number in (1, 2):
    print(f"patient {number}")
    report(number)

# %% [markdown]
# *Patient 1.* The symptom is a loss that stays at 1.00. A loss of 1 is what a network gets that answers 0. First hypothesis: the learning rate is far too small, and nothing is learned. It predicts that the cheat, which learns nothing, has a loss of 0. It has 2.00, the 2 of {eq}`eq:clinic-two`. So the learning rate is acquitted, and the same number points to the loss: its target is a noise that is not in $x_t$. The noise a quarter of the way in and the signal at the end are right, so $x_t$ is well made. The diagnosis is two noises. Read the loss, find the second `randn`, delete it, and let the cheat try again.
#
# *Patient 2.* The loss is healthy, and so are all checks of the network. With the exact denoiser the samples lie nearly on the patterns: their width is 0.02. Such a collapse has many possible causes. Hypothesis: the coefficient of $\hat\epsilon$ is wrong and takes too much noise away. It predicts a wrong mean in a single step. The mean is right to rounding, so that is ruled out. What is wrong is the variance of the step: it is 0 where $\tilde\beta_2$ belongs. The diagnosis is that $z$ was left out, and {numref}`ex-collapse` of chapter 9 showed what follows.
#
# In both cases the second number decided, and it was one that nobody looks at in an ordinary training. `diagnose` says whether an answer is right. If it is not, it looks for the check that contradicts the answer most: it runs all checks on a program with the bug that you named, and compares.

# %% tags=["nbval-check-output"]
from ddpm_lib.course.checks import Mistake
from ddpm_lib.course.checks.clinic import diagnose

for number, answer in [
    (1, "two noises"),
    (2, "wrong coefficient"),
    (2, "z left out"),
]:
    try:
        diagnose(number, answer)
    except Mistake as mistake:
        print(f"✗ {mistake}")

# %% [markdown]
# ## The ward
#
# Here are the other 21, with what one usually looks at: the loss and a few samples. One of them is healthy.

# %% tags=["figure"] mystnb={"image": {"alt": "Twenty-one small loss curves in three columns, numbered 3 to 23, each with four samples beside it. Nearly all curves fall from 1 to about 0.1 in the same way. The samples are ribbons of orange, blue and gray. Patient 4 has green and violet pixels; patient 12 has plain ribbons, one of them bright green, one pink and one nearly black."}, "figure": {"name": "fig-ward", "caption": "Patients 3 to 23: the loss during training, from 0 to 1.3, and four samples. A few stand out; most look like their neighbors, and none shows its cause."}}
fig = plt.figure(figsize=(6.6, 4.6))
grid = fig.add_gridspec(7, 3, hspace=0.35, wspace=0.12)
shown = {}
for number in range(3, 24):
    row, column = (number - 3) % 7, (number - 3) // 7
    part = grid[row, column].subgridspec(
        2, 3, width_ratios=[1, 1, 1], wspace=0.1, hspace=0.1
    )
    curve = fig.add_subplot(part[:, 0])
    show_curve(curve, patient(number))
    curve.set(yticks=[])
    curve.set_ylabel(number, rotation=0, ha="right", va="center")
    spots = [
        fig.add_subplot(part[i, j]) for i in (0, 1) for j in (1, 2)
    ]
    shown[number] = frames(patient(number), 4)
    show_frames(spots, shown[number])
plt.show()

# %% [markdown]
# ## The bedside in your browser
#
# The figure below is the same ward for the page. Choose a patient, run checks one by one, and make a diagnosis. The fewer checks you need, the better: think about what each hypothesis predicts before you press the button.

# %% tags=["figure"] mystnb={"image": {"alt": "Three patients of the ward, each with a falling loss curve and four samples, ribbons of orange and blue pixels."}, "figure": {"name": "fig-clinic", "caption": "The loss and four samples of a patient, and the results of the checks that you have run, a cross where a check fails."}}
from ddpm_lib.course.clinic.patients import NAMES
from ddpm_lib.course.clinic.ward import outcome
from ddpm_lib.course.explore import explorable

table = [[outcome(bug, check) for check in CHECKS] for bug in BUGS]
bedside = {
    "checks": [
        {
            "name": name,
            "says": check.says,
            "healthy": check.healthy,
            "apart": check.apart,
            "log": check.log,
        }
        for name, check in CHECKS.items()
    ],
    "bugs": [
        {"name": name, "repair": bug.repair, "outcomes": row}
        for (name, bug), row in zip(BUGS.items(), table, strict=True)
    ],
    "patients": [
        {
            "number": number,
            "bug": list(BUGS).index(NAMES[number]),
            "losses": [
                round(float(part.mean()), 3)
                for part in trained(patient(number)).losses.split(4)
            ],
        }
        for number in range(3, 24)
    ],
    "frames": torch.stack(list(shown.values())),  # (21, 4, 3, 2, 16)
}
still, axes = plt.subplots(
    3, 5, figsize=(6.6, 1.6), width_ratios=[1.6] + [1] * 4
)
for row, number in zip(axes, (3, 10, 17), strict=True):
    show_curve(row[0], patient(number))
    row[0].set(yticks=[])
    row[0].set_ylabel(number, rotation=0, ha="right", va="center")
    show_frames(row[1:], shown[number])
explorable("clinic", bedside, still=still)

# %% [markdown]
# ## Where tutorials go wrong
#
# All patients but one are mistakes published in listings and notes, some of which we learned from ourselves. Here is what they have in common, and how large each mistake is in the setting in which it was made or in our world.
#
# *The loss is trusted.* Of the 22 bugs, count those that the loss at the end of the training betrays, and those that the test with one batch betrays. Then count how many bugs each check finds.

# %% tags=["nbval-check-output"]
bugs = [name for name in BUGS if name != "nothing"]
print(f"{len(bugs)} bugs; found by")
for check in ("loss", "one batch", "cheat", "end", "t", "step mean"):
    found = [n for n in bugs if not passes(check, outcome(n, check))]
    print(f"  {check:13}{len(found):2}")
alone = sum(
    any(not passes(check, outcome(n, check)) for check in CHECKS)
    for n in bugs
)
print(f"  all checks   {alone:2}")

# %% [markdown]
# A loss that looks right is evidence for almost nothing: it shows one bug of 22. None of these six finds more than three, and all nineteen together find all.
#
# *A second noise.* The listing compares with a noise that was drawn again, and its loss stays at 1.00. The number was there for everybody to see.
#
# *No bars, no roots.* Without bars the last $x_t$ of the training has a signal-to-noise ratio of 49 where $4\cdot10^{-5}$ is right, and the sampler starts from something the network has never seen. Without roots the variance of $x_t$ falls; a quarter of the way to noise, the cheat has a loss of 0.12 where 0 is right.
#
# *A last beta of 0.002, and fewer steps with the same betas.* The first leaves a factor of 0.591 on the data, the second, with 50 steps, 0.776. Both train without a complaint, since the network does what it is told. The damage is at the start of the sampler.
#
# *A network that is not told t, and one that draws its own.* Both happen when a listing is assembled from parts: the embedding is computed and not passed on, or `t` is drawn inside a block so that the block can be shown alone. Neither raises the loss by more than 0.1 here. In the first, 2112 weights never get a gradient. A related case is a normalization that is built and never called, as in a published attention block: its 64 weights here keep the values that they were born with.
#
# *The wrong coefficient, and z left out.* In our world the wrong coefficient makes the width 0.56 in place of 0.80, and without $z$ it is 0.02.
#
# *An index.* The shifted table and the network that is told $t - 1$ are the hard cases. By {eq}`eq:clinic-ratio` the first is wrong by much only at a few small $t$. And between $t$ and $t - 1$ a network's answer hardly changes: with the 200 steps of chapter 9, samples did not show it. In {numref}`fig-three-programs` the first program never uses $t$, the second is healthy, and the third has the shifted table.

# %% tags=["nbval-check-output"]
for t in (2, 10, 100, 1000):
    ratio = (1 - bars[t]) / (1 - bars[t - 1])
    print(f"t = {t:4}: σ too large by a factor {ratio.sqrt():.3f}")
clipped = (1 - 2 * phi_1) ** 0.5
print(f"std of x_T after clipping x_t: {clipped:.2f}")
print(f"100 pictures of data score {outcome(bugs[-1], 'score'):.1f}")
print(f"4000 pictures of data score {outcome('nothing', 'score'):.2f}")
blind = outcome("one channel for each group", "color")
print(f"color moves the blind one < 1e-5: {blind < 1e-5}")
for name in (
    "t not used",
    "t drawn inside the network",
    "a norm that is never used",
):
    idle = outcome(name, "gradient")
    more = outcome(name, "loss") - outcome("nothing", "loss")
    print(f"{name}:\n  weights without a gradient: {idle:.0f}")
    print(f"  loss higher by less than 0.1: {more < 0.1}")
for name in ("no roots", "no bars", "two noises"):
    print(f"the cheat's loss, {name:10}: {outcome(name, 'cheat'):.2f}")
for name in ("wrong coefficient", "z left out"):
    print(f"width, {name:17}: {outcome(name, 'width'):.2f}")

# %% [markdown]
# *Clipping* $x_t$. The standard deviation of the noise falls from 1 to 0.72 in the first step. *Bytes that wrap* turn a white pixel of 1.02 into the byte 1, and a black one of −1.02 into 254. *Frames that are stretched* hide a sampler that is ten times too pale. *A score of 100 pictures* gives 1.5 to the data themselves, which should have 0; with 4000 it is 0.04. *A group for each channel* leaves a network that does not react to color at all.
#
# ## Exercises
#
# Each exercise has a cell for your answer. The check below it says whether the answer is right and, if not, which mistake it looks like.
#
# :::{exercise} The ward
# :label: ex-ward
#
# Diagnose the patients 3 to 23. `report(7)` shows the failing checks of patient 7, `evidence(7)` all of them, and `patient(7)` is the program, for checks of your own. The possible answers are the names that the next cell prints. Two of them are taken, by the patients 1 and 2, and each of the others is used exactly once.
# :::

# %%
print(*BUGS, sep="\n")

# %%
answers = dict.fromkeys(range(3, 24), ...)
for number, answer in answers.items():
    diagnose(number, answer)

# %% [markdown]
# :::{solution-start} ex-ward
# :class: dropdown
# :::
#
# The table names each patient's bug, the check that deviates most from the healthy program, its outcome beside the healthy one, and the repair. After the repair the program is the healthy one, and all checks pass. Below it stands the broken part of each.

# %% tags=["solution"]
from ddpm_lib.course.checks.clinic import write
from ddpm_lib.course.clinic.ward import distance

for number in range(3, 24):
    name = NAMES[number]
    sizes = {
        check: distance(
            check, outcome(name, check), outcome("nothing", check)
        )
        for check in CHECKS
    }
    check = max(sizes, key=sizes.get)
    found, usual = (write(outcome(n, check)) for n in (name, "nothing"))
    print(f"{number:2} {name}")
    if name != "nothing":
        print(f"  {check}: {found}, healthy {usual}")
    print(indent(fold(BUGS[name].repair), "  "))

# %% tags=["solution"]
source = inspect.getsource(patients)
start, end = source.index("# ---"), source.index("class Bug(")
print(source[start:end])

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} How many numbers?
# :label: ex-clinic-numbers
#
# A sampler makes a variance that is 2 % too large. How many independent normal numbers do you need to see it with five standard errors?
# :::

# %%
from ddpm_lib.course.checks import clinic as check_clinic

n = ...
check_clinic.numbers_needed(n)

# %% [markdown]
# :::{solution-start} ex-clinic-numbers
# :class: dropdown
# :::
#
# By {eq}`eq:clinic-error` the relative standard error is $\sqrt{2/n}$. Five of them shall be 0.02: $n = 2\,(5/0.02)^2 = 50/0.02^2$.

# %% tags=["solution"]
check_clinic.numbers_needed(50 / 0.02**2)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Whose time?
# :label: ex-clinic-own
#
# Write the check of {eq}`eq:clinic-columns` for any function that makes $x_t$: how many *other* pictures of a batch of 16 change if picture 0 gets another $t$? Pictures are 3 × 2 × 16, times go from 1 to 100.
# :::


# %%
def others(make):
    """make(x_0, t, eps) -> x_t, with t of shape (16,)"""
    return ...


check_clinic.own_time(others)

# %% [markdown]
# :::{solution-start} ex-clinic-own
# :class: dropdown
# :::
#
# Keep $x_0$ and $\epsilon$, change one entry of $t$, compare. The check runs your function on a healthy program and on three broken ones: one with the broadcast along the width, one where all pictures share the first time, and one where each picture has its neighbor's.


# %% tags=["solution"]
def others(make):
    x_0, eps = torch.randn(2, 16, 3, 2, 16)
    t = torch.full((16,), 50)
    other = t.clone()
    other[0] = 20
    changed = make(x_0, t, eps) != make(x_0, other, eps)
    return int(changed.flatten(1).any(1)[1:].sum())


check_clinic.own_time(others)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} The cheat without roots
# :label: ex-clinic-cheat
#
# A loss makes $x_t = \bar\alpha_t x_0 + (1-\bar\alpha_t)\,\epsilon$. Data have $\mathbb E[x_0^2] = 1$. What is the loss of the cheat at a time with $\bar\alpha_t = \tfrac14$?
# :::

# %%
loss = ...
check_clinic.cheat_without_roots(loss)

# %% [markdown]
# :::{solution-start} ex-clinic-cheat
# :class: dropdown
# :::
#
# In {eq}`eq:clinic-cheat` $a' = \tfrac14$ and $a = \tfrac12$, $s' = \tfrac34$ and $s = \sqrt{3/4}$. The first part is $(\tfrac14)^2/\tfrac34 = \tfrac1{12}$, the second $(\sqrt{3/4} - 1)^2 = 0.018$. Together they are 0.101.

# %% tags=["solution"]
check_clinic.cheat_without_roots(1 / 12 + (0.75**0.5 - 1) ** 2)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Two that look healthy
# :label: ex-clinic-separate
#
# Two programs take a thousand steps, and their samples cannot be told from healthy ones. One may have the shifted table, the other may tell its network $t - 1$. Which check tells them apart? Give its name, one of the keys of `CHECKS`.
# :::

# %%
name = ...
check_clinic.separating_check(name)

# %% [markdown]
# :::{solution-start} ex-clinic-separate
# :class: dropdown
# :::
#
# Ask for a single step without noise. A network that is told another time answers another noise, so the *mean* is off. The shifted table leaves the mean alone and changes the *variance*. Either check tells them apart.

# %% tags=["solution"]
check_clinic.separating_check("step mean")

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: the debugging clinic
# :class: card
#
# $$
# \begin{aligned}
# a' &= \mathbb E[x_t x_0]/\mathbb E[x_0^2]\\
# s'^2 &= \mathbb E[(x_t - a' x_0)^2]\\
# \tilde\mu_t &= \operatorname{step}(x_t; 0)\\
# \sigma_t\,z &= \operatorname{step}(x_t; z) - \operatorname{step}(x_t; 0)\\
# n &\ge 50/\delta^2
# \end{aligned}
# $$
#
# What the loss makes of $x_0$ and $\epsilon$; what one step does; how many numbers show an error of $\delta$ in a variance. A network that knows $x_0$ has the loss 0, and 2 with a second noise.
#
# Feed each part something whose answer is known. Change one thing: one $t$, one color, nothing. Compare with the value that the theory gives for this program, not with the one you would like. A fix is done when the failed check passes.
# :::
#
# A program that passes all checks has none of these bugs. Its samples may still be poor: chapter 16 asks how good they are.
