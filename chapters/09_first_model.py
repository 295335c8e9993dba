# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A first model
#
# We can noise data, and we know what one step back should look like if the noise were known. We know a loss, and how small it can get. What we do not have yet is a model. This chapter trains one, on points in the plane, in a fraction of a minute, and then takes it apart. Does it draw what it should? If its samples are off, whose fault is it: the start, the number of steps, the variance of a step, or the network? In the plane the best possible network is known, so the network can be taken out, and the rest examined without it.
#
# :::{admonition} At a glance
# :class: glance
#
# 45 minutes to read, longer if you play; it runs in less than a minute on one core of a laptop's CPU, and needs no GPU. You need the jump of chapter 2, the posterior of chapter 4, the loss $L_{\mathrm{simple}}$ of chapter 7 and the best denoiser of chapter 8.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Five square panels of 1500 points, from left to right at t = 200, 40, 25, 12 and 0. At t = 200 and t = 40 the points form one round cloud. At t = 25 it has a thin middle, at t = 12 it is a ring of eight blurred clusters, and at t = 0 there are eight small separate clusters."}, "figure": {"name": "fig-way-back", "caption": "The way back, walked by the exact denoiser of chapter 8: noise at the left, 200 small steps, eight clusters at the right. A network will have to imitate this. See how late they appear."}}
import matplotlib.pyplot as plt
import torch

from ddpm_lib import exact
from ddpm_lib.data import ring_centers
from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, style
from ddpm_lib.sampling import ddpm, sample, strided
from ddpm_lib.schedules import linear

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

unit = (1.5**2 / 2 + 0.15**2) ** 0.5  # explained below
ring = exact.isotropic(
    torch.ones(8) / 8, ring_centers() / unit, 0.15 / unit
)
schedule = linear(200, 5e-4, 0.1)


def clouds(panels, names, columns, colors=MODEL, inches=6.6):
    """Square panels of points, with a name above each."""
    colors = [colors] * len(panels) if colors[0] == "#" else colors
    rows = -(-len(panels) // columns)
    size = (inches, rows * (inches / columns + 0.25))
    _, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, x, name, color in zip(
        axes.flat, panels, names, colors, strict=False
    ):
        ax.scatter(*x[:1500].T, s=1.2, color=color, lw=0, alpha=0.7)
        ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
        ax.set_title(name, fontsize=9)
    plt.show()


x_T = torch.randn(1500, 2)
denoise = exact.exact_denoiser(schedule, ring)
walk = [x_T, *sample(ddpm(), schedule, denoise, x_T)]
stops = [200, 40, 25, 12, 0]
clouds(
    [walk[200 - t] for t in stops],
    [f"$t = {t}$" for t in stops],
    columns=5,
    colors=[NOISE, GRAY, GRAY, GRAY, MODEL],
)

# %% [markdown]
# ## The data
#
# The data are points around eight centers, evenly spaced on a circle of radius $r = 1.5$. Each center is chosen equally often, and a point lies around it with a standard deviation of $\varsigma = 0.15$ in each coordinate. It is a mixture of eight Gaussian components, the *clusters*, so everything that chapter 8 computed exactly is available.
#
# Chapter 2 chose its noising step so that data of variance 1 keep it. So first: what is the variance here? Center $k$ stands at the angle $\varphi_k = 2\pi k/8$. The mean of each coordinate is 0, because opposite centers cancel. A point's first coordinate is $r\cos\varphi_k$ plus an independent error of variance $\varsigma^2$, and variances of independent parts add:
#
# $$
# \operatorname{Var}[x] = \frac18\sum_{k=0}^{7} r^2\cos^2\varphi_k + \varsigma^2 .
# $$
#
# Use $\cos^2\varphi = \tfrac12 + \tfrac12\cos 2\varphi$, and split the sum:
#
# $$
# \operatorname{Var}[x] = \frac{r^2}{2} + \frac{r^2}{16}\sum_{k=0}^{7}\cos 2\varphi_k + \varsigma^2 .
# $$
#
# The doubled angles go around the circle twice in eight equal turns, through $1, 0, -1, 0, 1, 0, -1, 0$, and their cosines add to 0:
#
# $$
# \operatorname{Var}[x] = \frac{r^2}{2} + \varsigma^2 .
# $$ (eq:ring-variance)
#
# The second coordinate has sines in place of cosines, and the same variance. The claim compares with half a million drawn points.

# %%
from ddpm_lib.course.claims import claim, mean, variance

r, width = 1.5, 0.15
raw = exact.isotropic(torch.ones(8) / 8, ring_centers(), width)

# %% tags=["claim"]
points = exact.draw(raw, 500_000, torch.Generator().manual_seed(1))
claim(
    "eq:ring-variance",
    got=variance(points),
    want=torch.full((2,), r**2 / 2 + width**2),
    rejects={
        "the whole squared radius": r**2 + width**2,
        "the centers alone": r**2 / 2,
        "the width not squared": r**2 / 2 + width,
    },
)

# %% [markdown]
# So we divide all points by $\sqrt{r^2/2 + \varsigma^2}$, the *unit* of the cell below, and get data of mean 0 and variance 1: the usual standardization, here with exact numbers. From here on, $x_0$ is a standardized point, $m_k$ a standardized center, and $\varsigma$ the standardized width.

# %% tags=["nbval-check-output"]
unit = (r**2 / 2 + width**2) ** 0.5
means, width = ring_centers() / unit, width / unit
ring = exact.isotropic(torch.ones(8) / 8, means, width)
print(f"unit {unit:.3f}, radius {r / unit:.3f}, width {width:.3f}")

chance = torch.Generator().manual_seed(0)
data = exact.draw(ring, 20_000, chance)  # the training set

# %% [markdown]
# ## The schedule
#
# In chapter 2 we took $T = 1000$ steps with $\beta_t$ from $10^{-4}$ to $0.02$. Two coordinates do not need as many, and we want to sample often, also on this page. So we take $T = 200$. May we keep the range of the $\beta_t$? Their sum says no. It is $\sum_t\beta_t = \frac T2(\beta_1 + \beta_T)$ by {eq}`eq:linear-sum`, and by {eq}`eq:sum-of-betas` it decides what is left of the data at the end: $\log\bar\alpha_T$ is close to $-\sum_t\beta_t$. With a fifth of the steps, each $\beta_t$ has to be five times as large.

# %% tags=["nbval-check-output"]
T = 200
schedule = linear(T, 5e-4, 0.1)
beta, alpha = schedule.beta, schedule.alpha
alpha_bar, beta_tilde = schedule.alpha_bar, schedule.beta_tilde
print("   T  largest   sum  signal left")
for steps, first, last in [
    (1000, 1e-4, 0.02),
    (200, 5e-4, 0.1),
    (200, 1e-4, 0.02),
    (50, 1e-4, 0.02),
]:
    other = linear(steps, first, last)
    left = other.alpha_bar[-1].sqrt()
    total = other.beta.sum()
    print(f"{steps:>4}{last:>9}{total:>6.2f}{left:>13.4f}")

# %% [markdown]
# The last column is $\sqrt{\bar\alpha_T}$. With the range of a thousand steps, 200 steps leave a factor of 0.36 on the data, and 50 steps leave 0.78. A published program for the plane does the latter, and starts its sampler from $\mathcal N(0, I)$ all the same. Our choice leaves 0.0055, about as little as the thousand steps.
#
# ## Algorithm 1: training
#
# Here is the training algorithm of {cite:t}`ho2020` (their Algorithm 1), in our symbols. The letter $\theta$ stands for all weights of the network $\epsilon_\theta$, and $\eta$ for the length of a step of gradient descent. Repeat:
#
# $$
# \begin{aligned}
# &1.\quad x_0 \sim q(x_0) &&\text{a point of the data}\\
# &2.\quad t \sim \text{Uniform}\{1, \dots, T\} &&\text{one of all times}\\
# &3.\quad \epsilon \sim \mathcal N(0, I) &&\text{fresh noise}\\
# &4.\quad \theta \leftarrow \theta - \eta\,\nabla_\theta \bigl\lVert \epsilon - \epsilon_\theta\bigl(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon,\ t\bigr)\bigr\rVert^2 &&\text{one step down}
# \end{aligned}
# $$ (def:algorithm-1)
#
# Line 3 draws what chapter 2 called $\bar\epsilon_t$, all the noise in $x_t$: see {eq}`eq:jump`. The *same* $\epsilon$ stands in line 4 twice: once inside, where it makes $x_t$, and once as the target. As programs do, we take a batch of points at once, each with a $t$ and an $\epsilon$ of its own, and let Adam choose the length of the step. They also take the mean over the coordinates where line 4 has their sum, a factor that Adam divides out.
#
# The network is a plain one: three hidden layers of 64 numbers each. It is given the two coordinates of $x_t$, and the time as 64 sines and cosines of $t$ (chapter 10 explains them).

# %%
import inspect

from ddpm_lib.networks.tiny import MLP

print(inspect.getsource(MLP))

# %% [markdown]
# The four lines, in PyTorch:


# %%
def algorithm_1(network, data, steps, *, chance, noise, batch=64):
    """Train the network.  chance, noise: random generators"""
    adam = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(steps):
        which = torch.randint(len(data), (batch,), generator=chance)
        x_0 = data[which]  # line 1
        t = torch.randint(1, T + 1, (batch,), generator=chance)  # 2
        eps = torch.randn(batch, 2, generator=noise)  # line 3
        a = alpha_bar[t].sqrt()[:, None]
        s = (1 - alpha_bar[t]).sqrt()[:, None]
        eps_hat = network(a * x_0 + s * eps, t)
        loss = (eps - eps_hat).square().mean()  # line 4
        adam.zero_grad()
        loss.backward()
        adam.step()


# %% [markdown]
# The library splits this in two. `diffusion.loss` is the squared error inside line 4, for any schedule and any choice of what is predicted. `training.training_steps` is the loop, and adds what chapter 13 is about: a learning rate that rises and falls, gradients of limited length, and a running average of the weights.

# %%
from ddpm_lib import diffusion
from ddpm_lib.training import Run, Settings, training_steps

print(inspect.getsource(diffusion.loss))

# %% [markdown]
# With those additions switched off, both must compute the same numbers. The claim starts twice from the same weights, trains for fifteen steps with the same seeds, and compares the networks' outputs. Then it repeats the training with four mistakes in `algorithm_1`, each of which somebody has published, and makes sure that they would have been noticed.

# %% tags=["claim"]
plain = Settings(
    steps=15,
    batch=64,
    learning_rate=1e-3,
    warmup=0,
    final=1,
    clip=float("inf"),
    ema=0,
)
probe, probe_t = torch.randn(50, 2), torch.arange(1, 51) * 4


def fresh():
    torch.manual_seed(1)
    return MLP(2, 64)


def by_library(loss=diffusion.loss):
    run = Run(fresh(), plain)
    for _ in training_steps(
        run, schedule, diffusion.EPS, data, loss=loss
    ):
        pass
    with torch.no_grad():
        return run.network(probe, probe_t)


def by_hand():
    chance, network = torch.Generator().manual_seed(0), fresh()
    seed = int(torch.randint(2**31, (), generator=chance))
    noise = torch.Generator().manual_seed(seed)  # as the library
    algorithm_1(network, data, 15, chance=chance, noise=noise)
    with torch.no_grad():
        return network(probe, probe_t)


def slip(x_t, target):
    """diffusion.loss with another x_t(x_0, t, eps) or target."""

    def loss(schedule, network, _, x_0, t, eps):
        out = network(x_t(x_0, t, eps), t)
        return (out - target(eps)).square().mean(1)

    return by_library(loss)


def jump(x_0, t, eps):
    return diffusion.add_noise(schedule, x_0, t, eps)


claim(
    "def:algorithm-1",
    got=by_hand(),
    want=by_library(),
    rejects={
        "a second noise as the target": slip(
            jump, lambda eps: torch.randn(eps.shape)
        ),
        "no bars": slip(
            lambda x_0, t, eps: (
                alpha[t].sqrt()[:, None] * x_0
                + beta[t].sqrt()[:, None] * eps
            ),
            lambda eps: eps,
        ),
        "no roots": slip(
            lambda x_0, t, eps: (
                alpha_bar[t][:, None] * x_0
                + (1 - alpha_bar[t])[:, None] * eps
            ),
            lambda eps: eps,
        ),
        "one $t$ for the whole batch": slip(
            lambda x_0, t, eps: jump(x_0, int(t[0]), eps),
            lambda eps: eps,
        ),
    },
    atol=1e-8,
)

# %% [markdown]
# Now we train in earnest, with everything switched on. While the loop runs we keep two things for later: the loss of every batch, and a copy of the weights at the smallest loss seen, because many programs keep those.

# %%
from copy import deepcopy

settings = Settings(steps=3000, batch=256, learning_rate=8e-3)
torch.manual_seed(0)
run = Run(MLP(2, 64), settings)
losses, best = [], None
for record in training_steps(run, schedule, diffusion.EPS, data):
    losses.append(record.loss)
    if losses[-1] == min(losses):
        best = record.step, deepcopy(run.network)
losses = torch.tensor(losses)
network = run.average

# %% tags=["nbval-check-output"]
for first in (0, 100, 1000, 2900):
    part = losses[first : first + 100]
    print(
        f"steps {first + 1:>4} to {first + 100:>4}: "
        f"loss {part.mean():.2f} ± {part.std():.2f}"
    )

# %% [markdown]
# ## Is my loss right?
#
# The loss falls from 1 to about 0.21, ever more slowly, and that is all that most people ever see of a training. Is 0.21 good? Alone the number means nothing. Part of $\epsilon$ cannot be known from $x_t$, and chapter 8 computed how large that part is: it is the *floor*, the loss of the best denoiser $\epsilon^*(x_t, t) = \mathbb E[\epsilon \mid x_t]$. Write $\hat\epsilon$ for the network's answer. Chapter 8 split the loss of any answer in one coordinate, {eq}`eq:loss-floor`; sum it over the coordinates:
#
# $$
# \underbrace{\mathbb E\lVert\epsilon - \hat\epsilon\rVert^2}_{\text{loss}} = \underbrace{\mathbb E\lVert\epsilon - \epsilon^*\rVert^2}_{\text{floor}} + \underbrace{\mathbb E\lVert\epsilon^* - \hat\epsilon\rVert^2}_{\text{own error}} .
# $$ (eq:own-error)
#
# Nothing but the second term, the network's *own error*, can be trained away. To see it, we need $\epsilon^*$. Chapter 8 derived it for any mixture, {eq}`eq:mixture-guess`; for the ring it becomes short. All centers lie at the same distance from zero, so in the probability that $x_t$ came from center $k$ everything cancels except a product. With $D_t = \bar\alpha_t\varsigma^2 + 1 - \bar\alpha_t$ for the variance of a noised cluster,
#
# $$
# \epsilon^*(x_t, t) = \frac{s}{D_t}\,\bigl(x_t - a\,\bar m\bigr), \qquad \bar m = \sum_k w_k m_k, \qquad w_k \propto \exp\Bigl(\frac{a\,m_k\cdot x_t}{D_t}\Bigr).
# $$ (eq:ring-denoiser)
#
# Here $a = \sqrt{\bar\alpha_t}$, $s = \sqrt{1-\bar\alpha_t}$, and $\bar m$ is the center that is meant, an average weighted by how probable each one is. Let us check the two simplifications. The probability of center $k$ is proportional to $e^{-\lVert x_t - a m_k\rVert^2/2D_t}$. Multiply out the square: $\lVert x_t\rVert^2 - 2a\,m_k\cdot x_t + a^2\lVert m_k\rVert^2$. The first and the last part are the same for all $k$ and cancel in the proportion; the middle one is the exponent above. And by Tweedie's formula {eq}`eq:tweedie` $\epsilon^* = -s\,\nabla\log q(x_t)$, where the gradient of each Gaussian's logarithm is $-(x_t - a m_k)/D_t$, to be averaged with the weights $w_k$.
#
# The claim differentiates the logarithm of the density by PyTorch's automatic differentiation, and knows nothing of the simplifications.


# %%
def student_of(a, s):
    """The perfect answer if x_t = a x_0 + s eps.  a, s: tables"""

    def eps_star(x_t, t):  # (B, 2), (B,) -> (B, 2)
        a_t, s_t = a[t].reshape(-1, 1), s[t].reshape(-1, 1)
        D = (a_t * width) ** 2 + s_t**2
        w = torch.softmax(a_t / D * (x_t @ means.T), dim=1)
        return s_t / D * (x_t - a_t * (w @ means))

    return eps_star


student = student_of(alpha_bar.sqrt(), (1 - alpha_bar).sqrt())

# %% tags=["claim"]
x_t = (2 * torch.randn(200, 2)).requires_grad_()
t = torch.randint(1, T + 1, (200,))
log_q = exact.log_density(exact.noised(schedule, ring, t), x_t)
(score,) = torch.autograd.grad(log_q.sum(), x_t)
x_t = x_t.detach()
s_t = (1 - alpha_bar[t]).sqrt()[:, None]
a_t = alpha_bar[t].sqrt()[:, None]
near = torch.cdist(x_t, means).argmin(1)
D_t = (a_t * width) ** 2 + s_t**2
claim(
    "eq:ring-denoiser",
    got=-s_t * score,
    want=student(x_t, t),
    rejects={
        "the nearest center alone": s_t
        / D_t
        * (x_t - a_t * means[near]),
        "the score without $−s$": score,
        "the width forgotten": (x_t - a_t * means[near]) / s_t,
    },
    atol=1e-8,
)

# %% [markdown]
# We call this function the *student*, because it is what a perfect network becomes that is trained on pairs $x_t = a\,x_0 + s\,\epsilon$. Later it will study wrong programs too.
#
# Now {eq}`eq:own-error`. Its left side minus the floor is measured as in training, with drawn data and noise, sixty thousand points at each of four times. Its right side is an integral over the plane of $\lVert\epsilon^* - \hat\epsilon\rVert^2$ times the density of $x_t$, summed on a fine grid. As in the loss, both are means over the two coordinates.

# %%
axis = torch.linspace(-5, 5, 141)
plane = torch.cartesian_prod(axis, axis)  # (19881, 2)
cell = (axis[1] - axis[0]) ** 2


@torch.no_grad()
def integral(function, t):
    """The mean of function(x_t), with x_t ~ q(x_t), on the grid."""
    q_t = exact.noised(schedule, ring, t)
    density = exact.log_density(q_t, plane).exp()
    return (density * function(plane)).sum() * cell


def own_error(network, t):
    when = torch.full((len(plane),), t)
    apart = network(plane, when) - student(plane, when)
    return apart.square().mean(1)


@torch.no_grad()
def squared_errors(network, t, n):
    """|eps − eps_hat|² of drawn points, and |eps − eps*|².  (n,)"""
    x_0, eps = exact.draw(ring, n), torch.randn(n, 2)
    t = t.expand(n)
    x_t = jump(x_0, t, eps)
    return [
        (eps - f(x_t, t)).square().mean(1) for f in (network, student)
    ]


# %% tags=["claim"]
stops = torch.tensor([5, 20, 50, 120])
torch.manual_seed(2)
pairs = [squared_errors(network, t, 60_000) for t in stops]
excess = torch.stack([loss - floor for loss, floor in pairs], 1)
roots = [(x.mean().sqrt() - y.mean().sqrt()) ** 2 for x, y in pairs]
claim(
    "eq:own-error",
    got=mean(excess),
    want=torch.stack(
        [
            integral(lambda x, t=t: own_error(network, t), int(t))
            for t in stops
        ]
    ),
    rejects={
        "a trained network has reached the floor": torch.zeros(4),
        "roots of losses subtracted": torch.stack(roots),
        "the mean of $|ϵ̂|²$ as its error": torch.stack(
            [
                integral(
                    lambda x, t=t: (
                        network(x, torch.full((len(x),), t))
                        .square()
                        .mean(1)
                    ),
                    int(t),
                )
                for t in stops
            ]
        ),
    },
)

# %% [markdown]
# So a network can be judged at every $t$ by the distance of its loss from the floor. The figure does it for ours.

# %% tags=["figure"] mystnb={"image": {"alt": "Loss against t from 1 to 200, on a logarithmic scale. A solid line, the floor, falls from about 1 at t = 1 to about a half at t = 15, rises a little until t = 30, and then falls, below one ten-thousandth at t = 200. Dots for the network lie on the line, except at the right end, where they stay above it. A dashed line, the network's own error, lies far below the floor for most of the way and meets the dots at the right end."}, "figure": {"name": "fig-loss", "caption": "The loss of the trained network at each $t$ (dots) lies on the floor of chapter 8 (line). What the eye cannot see between the two is the network's own error, drawn separately (dashed), the only part that more training could remove. Only near $t = T$, where almost nothing but noise is left to predict, is it larger than the floor."}}
torch.manual_seed(3)
many = 500
each = torch.arange(1, T + 1).repeat_interleave(many)
table, best_table = (
    x.reshape(T, many) for x in squared_errors(network, each, T * many)
)
loss_t, floor_t = table.mean(1), best_table.mean(1)
some = torch.arange(1, T + 1, 4)
own_t = torch.stack(
    [
        integral(lambda x, t=t: own_error(network, t), int(t))
        for t in some[::3]
    ]
)
fig, ax = plt.subplots(figsize=(6, 3.4))
ax.semilogy(range(1, T + 1), floor_t, color=GRAY, label="floor")
ax.semilogy(
    some, loss_t[some - 1], "o", ms=3.5, color=MODEL, label="network"
)
ax.semilogy(
    some[::3], own_t, "--", color=NOISE, label="the network's own error"
)
ax.set(xlabel="$t$", ylabel="mean squared error of $\\hat\\epsilon$")
ax.legend(loc="lower left")
plt.show()

# %% tags=["nbval-check-output"]
total, floor = loss_t.mean(), floor_t.mean()
print(f"loss {total:.2f}, floor {floor:.2f}")
print(f"share of the loss that is floor: {floor / total:.0%}")
late = losses[-1000:]
print(f"late batches: {late.min():.1f} to {late.max():.1f}")

# %% [markdown]
# Of the loss, 98 % cannot be avoided, by any network. This is why loss curves look as if nothing happened for most of a training, and why two models with nearly the same loss can differ in their samples: 2 % of the loss is all that they differ in.
#
# Look also at the last line, the range of the last thousand batches. The smallest loss of a late batch is far *below the floor*, which no network can be on average. It is luck: easy times and easy points met in one batch.
#
# ## Algorithm 2: sampling
#
# The way back starts from noise and takes a step for every $t$. Here is Algorithm 2 of {cite:t}`ho2020`. Draw $x_T \sim \mathcal N(0, I)$; then for $t = T, \dots, 1$:
#
# $$
# \begin{aligned}
# &1.\quad z \sim \mathcal N(0, I)\ \text{ if } t > 1, \text{ else } z = 0\\
# &2.\quad x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\Bigl(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\epsilon_\theta(x_t, t)\Bigr) + \sigma_t z
# \end{aligned}
# $$ (def:algorithm-2)
#
# The first part of line 2 is the posterior mean {eq}`eq:mu-tilde-eps` of chapter 4, with the network's answer in place of the noise. The second part is the noise of the model's step, with a variance $\sigma_t^2$ for which we have two candidates: $\beta_t$ and the smaller $\tilde\beta_t$ of {eq}`eq:beta-tilde`. At $t = 1$ there is no noise: what comes out is $x_0$, and noise on it would only be seen.


# %%
@torch.no_grad()
def algorithm_2(network, x_T, chance, sigma):
    """x_0 from noise.  sigma: (T+1,)"""
    x_t = x_T
    for t in range(T, 0, -1):
        if t > 1:
            z = torch.randn(x_t.shape, generator=chance)
        else:
            z = torch.zeros(x_t.shape)
        eps_hat = network(x_t, torch.full((len(x_t),), t))
        towards = beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat
        x_t = (x_t - towards) / alpha[t].sqrt() + sigma[t] * z
    return x_t


# %% [markdown]
# The library composes the same from three parts. `sampling.denoiser` turns the network's output into the $\hat x_0$ and the $\hat\epsilon$ that it implies, `sampling.ddpm` draws from the posterior with that $\hat x_0$, and `sampling.sample` takes one step after another. Because a step may lead from any $t$ to any earlier $u$, some can be skipped.

# %%
from ddpm_lib.sampling import denoiser

print(inspect.getsource(ddpm))

# %% [markdown]
# One formula goes through $\hat\epsilon$, the other through $\hat x_0$; {eq}`eq:mu-tilde-eps` showed that they are one. The claim walks the same 64 points with the same noise along both ways, and along five wrong ones.

# %% tags=["claim"]
from functools import partial

model = denoiser(schedule, network, diffusion.EPS, clip=None)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


start = torch.randn(64, 2, generator=seeded(4))


@torch.no_grad()
def wrong_way(
    step, x_t=start, network=network, seed=5, schedule=schedule
):
    """Another line 2: step(x_t, t, eps_hat, z).  Noise at t = 1 too."""
    chance = seeded(seed)
    for t in range(schedule.T, 0, -1):
        z = torch.randn(x_t.shape, generator=chance)
        eps_hat = network(x_t, torch.full((len(x_t),), t))
        x_t = step(x_t, t, eps_hat, z)
    return x_t


def right_mean(x_t, t, eps_hat):
    towards = beta[t] / (1 - alpha_bar[t]).sqrt() * eps_hat
    return (x_t - towards) / alpha[t].sqrt()


def published_mean(x_t, t, eps_hat):
    return (x_t - (1 - alpha[t]).sqrt() * eps_hat) / alpha[t].sqrt()


later = (torch.arange(T + 1) > 1).double()  # 1 for t > 1
small = beta_tilde.sqrt()
randn = partial(torch.randn, generator=seeded(5))
*_, by_library = sample(ddpm(), schedule, model, start, randn=randn)
claim(
    "def:algorithm-2",
    got=algorithm_2(network, start, seeded(5), small),
    want=by_library,
    rejects={
        "the coefficient $√{1 − α_t}$": wrong_way(
            lambda x, t, e, z: published_mean(x, t, e) + small[t] * z
        ),
        "$z$ left out": wrong_way(
            lambda x, t, e, z: right_mean(x, t, e)
        ),
        "noise in the last step": wrong_way(
            lambda x, t, e, z: right_mean(x, t, e) + beta[t].sqrt() * z
        ),
        "the variance in place of its root": wrong_way(
            lambda x, t, e, z: right_mean(x, t, e) + beta_tilde[t] * z
        ),
        "the network told $t − 1$": wrong_way(
            lambda x, t, e, z: right_mean(x, t, e) + small[t] * z,
            network=lambda x, t: network(x, t - 1),
        ),
    },
    atol=1e-6,
)

# %% [markdown]
# The figure shows the paths of seven points.

# %% tags=["figure"] mystnb={"image": {"alt": "Seven gray paths in the plane. Each begins at an open circle, wanders jaggedly across the ring, and ends at a filled dot in one of eight clusters of crosses. Several end on the other side of the ring than they began."}, "figure": {"name": "fig-sampled-paths", "caption": "Seven points on their way from noise (open circles) through 200 steps to samples (dots), among points of the data (crosses). See that the beginning of a path says little about its end: for most of the way the fresh noise decides."}}
from ddpm_lib.plotting import trajectories

x_T = torch.randn(7, 2, generator=seeded(6))
randn = partial(torch.randn, generator=seeded(7))
paths = [x_T, *sample(ddpm(), schedule, model, x_T, randn=randn)]
trajectories(torch.stack(paths), data[:150])

# %% [markdown]
# ## How far from the data?
#
# The samples look right. How right? We need a distance between two clouds of points. On a line we have one, the Wasserstein-1 distance $W_1$ {eq}`def:wasserstein` of chapter 3: sort both samples, and average how far the first lies from the first, the second from the second, and so on. In the plane points have no order. But a projection onto a direction has, and two clouds are the same if they look the same from every direction. So project onto the direction at the angle $\varphi$, take $W_1$, and average over all directions. This is the *sliced* Wasserstein distance:
#
# $$
# \mathrm{SW}(P, Q) = \frac1\pi\int_0^\pi W_1\bigl(P_\varphi, Q_\varphi\bigr)\,d\varphi ,
# $$ (def:sliced)
#
# where $P_\varphi$ is the distribution of $x\cos\varphi + y\sin\varphi$ for a point $(x, y)$ of $P$. What is a distance of 0.1? Take two clouds that differ by a shift of length $c$. In a direction at the angle $\varphi$ from the shift, each projected point moves by $c\cos\varphi$, so $W_1$ is $c\,\lvert\cos\varphi\rvert$, and
#
# $$
# \mathrm{SW} = \frac{c}{\pi}\int_0^\pi \lvert\cos\varphi\rvert\,d\varphi = \frac{2}{\pi}\,c .
# $$ (eq:sliced-shift)
#
# A distance of 0.1 is what a shift by 0.16 would give, about one width of a cluster.


# %%
def sliced(x, y, directions=64):
    """The sliced Wasserstein-1 distance of two samples.  (N, 2)"""
    angle = torch.pi * torch.arange(directions) / directions
    ways = torch.stack([angle.cos(), angle.sin()])
    x, y = (x @ ways).sort(0).values, (y @ ways).sort(0).values
    return (x - y).abs().mean()


# %% tags=["claim"]
import sympy as sp

angle = sp.Symbol("varphi", real=True)
halves = sp.integrate(sp.cos(angle), (angle, 0, sp.pi / 2)) * 2
claim(
    "eq:sliced-shift",
    got=halves / sp.pi,
    want=2 / sp.pi,
    rejects={
        "the whole shift": sp.Integer(1),
        "signs kept": sp.integrate(sp.cos(angle), (angle, 0, sp.pi)),
    },
)
shift = torch.tensor([0.3, -0.4])  # of length 0.5
claim(
    "eq:sliced-shift",
    got=sliced(points[:2000], points[:2000] + shift),
    want=2 / torch.pi * 0.5,
    rejects={"the whole shift": 0.5, "its half": 0.25},
    atol=1e-3,
)

# %% [markdown]
# Two finite samples of the *same* distribution do not have distance zero. So a distance needs its own floor: the distance of two draws from the data. And it needs an error bar, from repeated draws. We take four times 1000 points for each measurement. One more number tells what kind of error it is: the spread of the points around their nearest center, divided by $\varsigma$. Above 1 the clusters are too wide, below 1 too narrow. Points farther than $4\varsigma$ from every center are *strays* and left out of it. Of the data, three in ten thousand are strays, since a normal point of the plane is farther than $4\varsigma$ from its center with probability $e^{-8}$.


# %%
from ddpm_lib.diffusion import kernel_variance, posterior_variance


def measure(x, name, parts=4, bound=False):
    """The sliced distance and the relative width."""
    truth = exact.draw(ring, len(x), seeded(8))
    pairs = zip(x.chunk(parts), truth.chunk(parts), strict=True)
    far = torch.stack([sliced(*pair) for pair in pairs])
    nearest = torch.cdist(x, means).amin(1)
    inside = nearest <= 4 * width
    wide = (nearest[inside].square().mean() / 2).sqrt() / width
    text = f">{int(10 * wide) / 10}" if bound else f"{wide:.2f}"
    print(f"{name:<15}{far.mean():.2f}±{far.std():.2f}{text:>6}")


head = f"{'':15}{'distance':>9}{'width':>6}"
N = 4000
q_T = exact.noised(schedule, ring, T)  # the true end, almost N(0, I)


def samples(denoise, x_T, n=T, step=None, schedule=schedule):
    """x_0 in n strides, always with the same noise."""
    randn = partial(torch.randn, generator=seeded(9))
    step = step or ddpm()
    times = strided(schedule.T, n)
    *_, x_0 = sample(step, schedule, denoise, x_T, times, randn=randn)
    return x_0


exactly = denoiser(schedule, student, diffusion.EPS, clip=None)

# %% [markdown]
# ## Whose error is it?
#
# Four things can go wrong between the data and the samples, even in a program without mistakes.
#
# *The start.* The sampler begins at $\mathcal N(0, I)$ and not at $q(x_T)$. To see this error alone, we go back from $x_T \sim \mathcal N(0, I)$ to $x_0$ in one leap, by a draw from the true $q(x_0 \mid x_T)$, the mixture {eq}`eq:reverse-mixture` of chapter 5. Nothing else is approximated then.
#
# *The steps.* The true $q(x_u \mid x_t)$ is no Gaussian, and the model's step is. To see this error alone, start from a true $x_T$ and give the sampler the exact denoiser. It vanishes as the steps become small, so we take 200 and 20 of them. With fewer steps, a step leads from $t$ to an earlier $u$ with the posterior {eq}`eq:posterior-leap` of chapter 4.
#
# *The variance.* Each step needs a $\sigma_t^2$, and neither $\beta_t$ nor $\tilde\beta_t$ is right. It cannot be separated from the steps, so we run both variances.
#
# *The network.* It replaces the exact denoiser, in the run with the smallest other errors.

# %% tags=["nbval-check-output"]
noise_start = torch.randn(N, 2, generator=seeded(10))
true_start = exact.draw(q_T, N, seeded(11))
print(head)
measure(exact.draw(ring, N, seeded(12)), "data, again")


def leap_back(schedule, x_T):
    """An exact draw of x_0 given x_T: no steps, no network."""
    back = exact.reverse(schedule, ring, x_T, schedule.T, 0)
    return exact.draw(back, len(x_T), seeded(13))


kept = linear(50, 1e-4, 0.02)  # the range of 1000 steps
measure(leap_back(schedule, noise_start), "start alone")
measure(leap_back(kept, noise_start), "  of 50 steps")

both = ("β~", posterior_variance), ("β", kernel_variance)
for n in (200, 20):
    for name, var in both:
        x_0 = samples(exactly, true_start, n, ddpm(var))
        measure(x_0, f"{n} exact, {name}")
for name, var in both:
    x_0 = samples(model, noise_start, 200, ddpm(var))
    measure(x_0, f"network, {name}", bound=True)

# %% [markdown]
# In the table β~ stands for $\tilde\beta_t$. Look at the distances first. Two draws of the data are 0.04 ± 0.01 apart, and no run is farther than 0.06: this instrument hardly tells them apart. Even a start that is wrong, 50 steps that leave a factor of 0.78 on the data, costs nothing. This ring forgives it: which cluster a point belongs to is decided by its direction from zero, and $\mathcal N(0, I)$ has all directions alike. Data whose clusters have unequal shares do not forgive it: {eq}`eq:start-weights` says how the shares move, and chapter 3 measured it.
#
# The width is the sharper instrument. With $\tilde\beta_t$ exact steps make the clusters too narrow, 0.92 of their width even with 200 steps; with $\beta_t$ they make them too wide, by 5 % with 200 steps and by 14 % with 20. The network adds more than either: its clusters are more than 1.2 times ($\tilde\beta_t$) and 1.3 times ($\beta_t$) as wide as those of the data. (The last digits of a training differ from computer to computer, so the table gives lower bounds for it.)
#
# So the network is the largest error here, then comes the variance, and the start cannot be seen. Look also at the last two rows. The variance that is further from right gives the better result, because the error of the variance and that of the network have opposite signs. Two errors that cancel are no reason for trust.
#
# ## Too narrow, by how much?
#
# The widths in the table can be predicted. Take a single Gaussian of variance $v$ around zero as the data. For a cluster far from the others this is the whole story, since near it the others have no weight. Then $x_t$ has the variance
#
# $$
# D_t = \bar\alpha_t v + 1 - \bar\alpha_t, \qquad D_0 = v,
# $$ (def:noised-variance)
#
# and {eq}`eq:ring-denoiser` with $\bar m = 0$ says $\epsilon^* = s\,x_t/D_t$. Insert this into line 2 of {eq}`def:algorithm-2`, where $s = \sqrt{1-\bar\alpha_t}$ cancels:
#
# $$
# \begin{aligned}
# x_{t-1} &= \frac{1}{\sqrt{\alpha_t}}\Bigl(x_t - \frac{\beta_t}{s}\,\frac{s\,x_t}{D_t}\Bigr) + \sigma_t z\\
# &= \frac{1}{\sqrt{\alpha_t}}\Bigl(1 - \frac{\beta_t}{D_t}\Bigr)x_t + \sigma_t z .
# \end{aligned}
# $$
#
# One forward step takes the variance $D_{t-1}$ to $D_t = \alpha_t D_{t-1} + \beta_t$, by {eq}`eq:variance-step`. So $D_t - \beta_t = \alpha_t D_{t-1}$, and the factor of $x_t$ becomes
#
# $$
# \begin{aligned}
# \frac{1}{\sqrt{\alpha_t}}\,\frac{D_t - \beta_t}{D_t} &= \frac{1}{\sqrt{\alpha_t}}\,\frac{\alpha_t D_{t-1}}{D_t}\\
# &= \sqrt{\alpha_t}\,\frac{D_{t-1}}{D_t} .
# \end{aligned}
# $$ (eq:step-factor)
#
# Write $V_t$ for the variance of the *sampler's* $x_t$. It starts at $V_T = D_T$. The fresh $z$ is independent of $x_t$, so the variances add:
#
# $$
# V_{t-1} = \alpha_t\Bigl(\frac{D_{t-1}}{D_t}\Bigr)^{2} V_t + \sigma_t^2 .
# $$ (eq:sampler-variance)
#
# For a stride from $t$ to $u$, read $\bar\alpha_t/\bar\alpha_u$ for $\alpha_t$ and $D_u$ for $D_{t-1}$. The first claim checks the factor symbolically. The second lets the library sample, with its exact denoiser of a single Gaussian in 20 strides, and compares the variance of what comes out.


# %%
from itertools import pairwise


def predicted(v, times, sigma_squared):
    """The variance of the sampler's x_0, for Gaussian data of v."""
    D = alpha_bar * v + 1 - alpha_bar
    V = D[T]
    for t, u in pairwise(times):
        shrink = alpha_bar[t] / alpha_bar[u] * (D[u] / D[t]) ** 2
        V = shrink * V + (sigma_squared(schedule, t, u) if u else 0)
    return V


# %% tags=["claim"]
al, D, v = sp.symbols("alpha_t D_{t-1} v", positive=True)
after = al * D + 1 - al
claim(
    "eq:step-factor",
    got=(1 - (1 - al) / after) / sp.sqrt(al),
    want=sp.sqrt(al) * D / after,
    rejects={
        "the root of $α$ below": D / (sp.sqrt(al) * after),
        "as for data of variance 1": sp.sqrt(al),
        "the coefficient $√{1 − α_t}$": (1 - sp.sqrt(1 - al) / after)
        / sp.sqrt(al),
    },
)
times = strided(T, 20)
for v in (width**2, 1.0):
    single = exact.isotropic([1.0], [[0.0, 0.0]], v**0.5)
    best_eps = exact.exact_denoiser(schedule, single)
    x_T = exact.draw(exact.noised(schedule, single, T), 40_000)
    for var, other in (
        (kernel_variance, posterior_variance),
        (posterior_variance, kernel_variance),
    ):
        *_, x_0 = sample(ddpm(var), schedule, best_eps, x_T, times)
        claim(
            "eq:sampler-variance",
            got=variance(x_0.flatten()),
            want=predicted(v, times, var),
            rejects={
                "the other variance": predicted(v, times, other),
                "noise in the last step too": predicted(v, times, var)
                + kernel_variance(schedule, times[-2], 0),
                "no fresh noise": predicted(v, times, lambda *_: 0),
            },
        )

# %% [markdown]
# Which $\sigma_t^2$ would be right? If $V_t = D_t$, then $V_{t-1} = D_{t-1}$ requires $\sigma_t^2 = D_{t-1} - \alpha_t D_{t-1}^2/D_t$. Take out $D_{t-1}/D_t$, and what remains is $D_t - \alpha_t D_{t-1} = \beta_t$. So the right variance is $\beta_t D_{t-1}/D_t$. It is the variance {eq}`eq:hump-variance` of the true reverse step in chapter 5, which for $v = 0$, data that are a single point, is $\tilde\beta_t$ {eq}`eq:sigma-lower`, and for $v = 1$ is $\beta_t$ {eq}`eq:sigma-upper`. A cluster is nearly a point, seen from far away, and the whole ring has variance 1. So neither $\beta_t$ nor $\tilde\beta_t$ suits both.

# %% tags=["figure"] mystnb={"image": {"alt": "Two plots against the number of steps from 5 to 200, on a logarithmic axis. Left: the sliced distance to the data falls from about 0.2 at 5 steps towards a gray band at 0.02 to 0.03, the floor. The exact denoiser with beta reaches the band at 20 steps, with beta tilde it comes close to it at 50, and the network stays a little above both. Right: the relative width of the clusters. At 5 and 10 steps all are far too wide. From 20 steps on, squares for beta lie at or above 1 and come down to 1.05, and dots for beta tilde lie near 0.9; at 100 and 200 steps they lie near the two predicted curves. The network's triangles stay above 1.3."}, "figure": {"name": "fig-fewer-steps", "caption": "Samples with fewer steps. Left: the distance to the data; the band is the floor, four more draws of the data. Right: how wide the clusters come out, measured (dots) and predicted by {eq}`eq:sampler-variance` for a single cluster (lines). With few steps the prediction fails, because points between clusters are not yet decided."}}
numbers = [5, 10, 20, 50, 100, 200]
half = slice(0, 2000)


def numbers_of(denoise, var, n):
    x = samples(denoise, true_start[half], n, ddpm(var))
    nearest = torch.cdist(x, means).amin(1)
    inside = nearest[nearest <= 4 * width]
    wide = (inside.square().mean() / 2).sqrt() / width
    return sliced(x, truth), wide


truth = exact.draw(ring, 2000, seeded(8))
again = [exact.draw(ring, 2000, seeded(k)) for k in (20, 21, 22, 23)]
floors = [float(sliced(x, truth)) for x in again]


fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.1))
for name, look, color, denoise, var in (
    ("exact, $\\tilde\\beta$", "o-", DATA, exactly, posterior_variance),
    ("exact, $\\beta$", "s--", NOISE, exactly, kernel_variance),
    ("network, $\\beta$", "^:", MODEL, model, kernel_variance),
):
    mine = numbers[: 6 if denoise is exactly else 5]
    found = [numbers_of(denoise, var, n) for n in mine]
    left.plot(
        mine,
        [d for d, _ in found],
        look,
        color=color,
        ms=4,
        label=name,
    )
    right.plot(mine, [w for _, w in found], look[0], color=color, ms=4)
    if denoise is exactly:
        line = [
            predicted(width**2, strided(T, n), var).sqrt() / width
            for n in numbers
        ]
        right.plot(numbers, line, look[1:], color=color, lw=1.2)
left.axhspan(min(floors), max(floors), color=GRAY, alpha=0.25, lw=0)
right.axhline(1, color=GRAY, lw=1)
left.set(ylabel="distance to the data", yscale="log")
left.set_yticks([0.02, 0.05, 0.1, 0.2], ["0.02", "0.05", "0.1", "0.2"])
right.set(ylabel="relative width of the clusters", ylim=(0.5, 2.2))
for ax in (left, right):
    ax.set(xlabel="number of steps", xscale="log")
    ax.set_xticks(numbers, [str(n) for n in numbers])
    ax.minorticks_off()
left.legend(fontsize=8)
plt.show()

# %% tags=["nbval-check-output"]
for name, var in both:
    one = predicted(width**2, strided(T, T), var).sqrt() / width
    print(f"200 steps, {name:<2}: predicted width {one:.2f}")

# %% [markdown]
# The recursion says 0.90 and 1.03 for 200 steps, and the table has 0.92 and 1.05. The rest is owed to the early steps, where clusters are not yet separate.
#
# ## The sampler in your browser
#
# Now play with it. The network of the figure below is the one that this chapter has just trained: the build writes its weights into the page, rounded to 16 bits, and your browser computes every step, for 320 points.

# %%
weights = torch.cat(
    [w.detach().flatten() for w in network.parameters()]
)
weights = weights.half().view(torch.uint8)
print(f"{len(weights) // 2} weights, {len(weights) / 1000:.0f} kB")

# %% tags=["figure"] mystnb={"image": {"alt": "Samples of the network with 200, 50, 20, 10 and 5 steps. With 200 and 50 steps there are eight separate clusters on a ring. With 10 steps some points lie between them, and with 5 steps the ring is a blurred band."}, "figure": {"name": "fig-sampler", "caption": "The trained network draws 320 points. The circles have the radius of two widths around the true centers, and the number beside each is how many points are nearest to it and no farther than four widths. *Run* shows the way from noise; the thin lines are the ways of five points."}}
from ddpm_lib.course.explore import explorable

few = [200, 50, 20, 10, 5]
still, axes = plt.subplots(1, 5, figsize=(6.6, 1.6))
for ax, n in zip(axes, few, strict=True):
    x_0 = samples(model, noise_start[:320], n)
    ax.scatter(*x_0.T, s=1.5, color=MODEL, lw=0)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    ax.set_title(f"{n} steps", fontsize=9)
    ax.axis("off")
explorable(
    "sampler",
    {
        "T": T,
        "beta_1": 5e-4,
        "beta_T": 0.1,
        "means": means.tolist(),
        "width": width,
        "hidden": 64,
        "weights": weights,
    },
    still=still,
)

# %% [markdown]
# Down to ten steps or so the counts stay about even: by symmetry, no cluster is preferred. What suffers first are the points between the clusters. Exchange the network for the exact denoiser at the same number of steps, and see how many of them remain: those are the fault of the steps. Then take a variance of 0 and 200 steps. The exact denoiser still fills all eight clusters, on their inner sides. The network's points crowd into a few of them.
#
# ## Where tutorials go wrong
#
# To see what a mistake in a program does, one would train with it and sample. There is a quicker way here. A perfect network learns whatever its program teaches, right or wrong, and what that is can be computed: it is an expectation. So the student of {eq}`eq:ring-denoiser` attends the wrong lesson, walks through the wrong sampler, and shows at once what a flawless network would have made of the mistake. The lines of the next cell are the mistakes, and the figure shows 1500 points of each.


# %%
@torch.no_grad()
def blind(x_t, t):
    """The student not told t: its answers, by how likely t is."""
    every = torch.arange(10, T + 1, 10)
    log_q, answers = [], []
    for u in every:
        when = torch.full((len(x_t),), int(u))
        answers.append(student(x_t, when))
        D = (alpha_bar[u].sqrt() * width) ** 2 + 1 - alpha_bar[u]
        far = torch.cdist(x_t, alpha_bar[u].sqrt() * means).square()
        log_q.append((-far / (2 * D)).logsumexp(1) - D.log())
    likely = torch.stack(log_q).softmax(0)[..., None]
    return (likely * torch.stack(answers)).sum(0)


def right_step(x, t, e, z):
    return right_mean(x, t, e) + small[t] * later[t] * z


big = beta.sqrt()
cloud = torch.randn(1500, 2, generator=seeded(14))
go = partial(wrong_way, x_t=cloud, network=student, seed=15)
no_bars = student_of(alpha.sqrt(), beta.sqrt())
of_step = (beta / (1 - alpha_bar)).sqrt()  # of the step's noise
slips = {
    "right": go(right_step),
    "√(1 − α), no z": go(lambda x, t, e, z: published_mean(x, t, e)),
    "√(1 − α), with z": go(
        lambda x, t, e, z: (
            published_mean(x, t, e) + small[t] * later[t] * z
        )
    ),
    "z left out": go(lambda x, t, e, z: right_mean(x, t, e)),
    "no bars": go(right_step, network=no_bars),
    "second noise": go(
        right_step, network=lambda x, t: torch.zeros_like(x)
    ),
    "the step's noise": go(
        right_step,
        network=lambda x, t: of_step[t][:, None] * student(x, t),
    ),
    "not told t": go(right_step, network=blind, x_t=cloud[:1000]),
    "z in last step": go(
        lambda x, t, e, z: right_mean(x, t, e) + big[t] * z
    ),
    "told t − 1": go(
        right_step, network=lambda x, t: student(x, (t - 1).clamp(1))
    ),
}


def from_time(x, t):
    """The right way back from an x_t."""
    for u in range(t, 0, -1):
        z = torch.randn(x.shape, generator=seeded(1000 + u))
        x = right_step(x, u, student(x, torch.full((len(x),), u)), z)
    return x


slips["pure noise at 100"] = from_time(cloud, 100)

# %% tags=["figure"] mystnb={"image": {"alt": "Ten square panels of points. Right: eight clusters on a ring. Root of 1 minus alpha without z: eight thin clusters on a ring half as large. With z: eight clusters that are too small. z left out: short thin arcs on a ring slightly too small. No bars in training: eight clusters, slightly too wide. A second noise: an empty panel, since all points lie outside. The step's noise: points scattered over the whole panel. Not told t: one blurred cloud in the middle. z in the last step and told t minus 1: they look right."}, "figure": {"name": "fig-wrong-ways", "caption": "What a flawless network makes of ten programs, the first of them right. Some mistakes leave nothing of the data; the last two of the lower row cannot be seen."}}
shown = list(slips)[:10]
clouds(
    [slips[name] for name in shown],
    shown,
    columns=5,
    colors=[MODEL] + [NOISE] * 9,
)


# %% tags=["nbval-check-output"]
def short(x):
    return f"{x:>5.0f}" if x > 10 else f"{x:>5.2f}"


print(f"{'':18} std dist wide far")
for name, x in slips.items():
    truth = exact.draw(ring, len(x), seeded(16))
    nearest = torch.cdist(x, means).amin(1)
    inside = nearest <= 4 * width
    wide = (nearest[inside].square().mean() / 2).sqrt() / width
    wide = short(wide) if inside.double().mean() > 0.5 else "    –"
    far = (~inside).double().mean()
    print(
        f"{name:<17}{short(x.std())}{short(sliced(x, truth))}{wide}"
        f"{far:>5.0%}"
    )

print("\ncorrelation with a start from data")
x_0 = exact.draw(ring, 1000, seeded(18))
for t in (20, 60, 120):
    x_t = jump(x_0, t, torch.randn(1000, 2, generator=seeded(19)))
    x = from_time(x_t, t)
    same = torch.corrcoef(torch.stack([x_0.flatten(), x.flatten()]))
    print(f"at t = {t:>3}: {same[0, 1].abs():.2f}")

# %% [markdown]
# The columns are the standard deviation of all coordinates, the distance to the data, the relative width of the clusters, and the share of strays. Now the mistakes one by one.
#
# *The coefficient $\sqrt{1-\alpha_t}$.* Line 2 in a blog post has $\sqrt{1-\alpha_t}$ where $\beta_t/\sqrt{1-\bar\alpha_t}$ belongs, and leaves out $z$. Not one point arrives: all are strays, on a ring half as large. With $z$ the mistake is harder to see: only the width tells it, 0.54 of what it should be. Too much noise is removed in every step.
#
# *$z$ left out.* Sampling "without randomness" sounds tidy. The points end in the clusters, but on their inner side, with a standard deviation of 0.87 in place of 1, and four times the distance of the right program. {numref}`ex-collapse` shows the mechanism in its pure form, where nothing is left at all. (There is a right way to leave out $z$; it needs another mean, and chapter 17 has it.)
#
# *No bars in training.* With $\alpha_t$ in place of $\bar\alpha_t$ in line 4, the student learns to remove a little noise from nearly clean points. Here that suffices: it sends every point to the nearest center, and by symmetry the centers get equal shares. The student is a formula, though, and knows what to answer everywhere. A real network that was trained so would have to judge inputs far noisier than any it has seen, and data less symmetric would show it too. A test by samples on our data would pass this mistake, and the claim under {eq}`def:algorithm-1` does not.
#
# *Not told $t$.* The blind student averages over all times that are likely for the point it sees. The standard deviation of its samples is 0.59, and two of three are strays.
#
# *Noise in the last step, and an index that is one off.* With 200 steps both are invisible in samples: the last step's noise has the variance $\beta_1$, one fortieth of a cluster's, and between $t$ and $t - 1$ the answer hardly changes. Only a comparison number by number finds them, as the claim under {eq}`def:algorithm-2` does.
#
# *A start at some $t$ below $T$.* A sampler that starts its loop at $t = 100$ with pure noise is forgiven by the ring once more. Another starts from a noised *picture* and shows the result as a sample. The last lines of the output show what that is: started from data at $t = 20$, the coordinates of the result have a correlation of 0.95 with those that were put in. It is a copy. From $t = 120$ on, nothing of the start is left.
#
# *A second noise.* A blog post's listing draws the noise inside a function that returns only $x_t$, and then draws another one as the target. Its loss is $1 + \mathbb E\,\hat\epsilon^2$ in each coordinate, by {eq}`eq:second-noise`. The network that makes it smallest answers 0 to everything, and a sampler that believes it removes no noise at all: the standard deviation in the table is 247. A loss that stays at 1.00 is the mark of this mistake.
#
# *The noise of the step.* Texts say that the network predicts "the noise that was added in step $t$", $\epsilon_t$. A network trained to do that learns $\mathbb E[\epsilon_t \mid x_t]$, which is $\sqrt{\beta_t/(1-\bar\alpha_t)}\;\epsilon^*$ by {eq}`eq:step-noise-share`. With the sampler of {eq}`def:algorithm-2` this leaves most of the noise in: 99 of 100 points are strays.
#
# *A loop over t.* Some programs take one batch and go through $t = 1, \dots, T$ with it, or draw one $t$ for the whole batch. The gradient is right on average. But how noisy is it? Look at the loss $\ell$ of one point at one time. Write $m_t$ for its mean and $v_t$ for its variance at a given $t$. If each of $B$ points has a $t$ of its own, the batch is a mean of $B$ independent losses, each of variance $\operatorname{Var}_t[m_t] + \mathbb E_t[v_t]$: by the law of total variance, the variance between times plus the average variance within a time. If all share one $t$, only the second part is averaged:
#
# $$
# \begin{aligned}
# \operatorname{Var}_\mathrm{own} &= \frac{\operatorname{Var}_t[m_t] + \mathbb E_t[v_t]}{B},\\
# \operatorname{Var}_\mathrm{shared} &= \operatorname{Var}_t[m_t] + \frac{\mathbb E_t[v_t]}{B} .
# \end{aligned}
# $$ (eq:shared-t)

# %% tags=["claim"]
m_t, v_t = table.mean(1), table.var(1, correction=0)
between, within = m_t.var(correction=0), v_t.mean()
B, trials = 256, 4000
chance = seeded(17)
own = torch.randint(T, (trials, B), generator=chance)
shared = own[:, :1].expand(-1, B)
which = torch.randint(many, (trials, B), generator=chance)
claim(
    "eq:shared-t",
    got=variance(
        torch.stack(
            [table[own, which].mean(1), table[shared, which].mean(1)], 1
        )
    ),
    want=torch.stack([(between + within) / B, between + within / B]),
    rejects={
        "both averaged": (between + within) / B * torch.ones(2),
        "the times forgotten": within / B * torch.ones(2),
        "neither averaged": (between + within) * torch.ones(2),
    },
)

# %% tags=["nbval-check-output"]
own_std, shared_std = (
    table[t, which].mean(1).std() for t in (own, shared)
)
print(f"own times: loss {m_t.mean():.2f} ± {own_std:.2f}")
print(f"one time:  loss {m_t.mean():.2f} ± {shared_std:.2f}")
print(f"factor: {shared_std / own_std:.0f}")


@torch.no_grad()
def mean_own_error(network):
    times = range(1, T + 1, 20)
    own = [
        integral(lambda _, t=t: own_error(network, t), t) for t in times
    ]
    return torch.stack(own).mean()


print(f"smallest loss of a batch: {losses.min():.1f}")
print(f"in the first third of the steps: {3 * best[0] < len(losses)}")
print(f"own error then:      {mean_own_error(best[1]):.2f}")
print(f"own error, average: {mean_own_error(network):.3f}")

# %% [markdown]
# So the loss of a batch with a shared $t$ scatters eight times as much, and the number of batches that it takes to know it as well grows with the square of that. Times are drawn, for each point anew.
#
# *The best checkpoint.* Many programs keep the weights of the step with the smallest loss. The middle lines of this output show what they keep: weights from the first third of the training, with a batch loss far below the floor. That was the luckiest batch and not the best network. The own error of its weights is 0.02, that of the averaged weights at the end 0.003. Keep the last weights, or an average, or choose by a loss over many batches with fixed noise.
#
# ## Exercises
#
# Each exercise has a cell for your answer. The check below it says whether the answer is right and, if not, which mistake it looks like.
#
# :::{exercise} Two losses
# :label: ex-two-losses
#
# Two networks are trained on the same data, and their losses settle at 0.215 and 0.224. The floor for these data is 0.212. How many times as large is the second network's own error, as a root mean square?
# :::

# %%
from ddpm_lib.course.checks import first_model as check

ratio = ...
check.ratio_of_errors(ratio)

# %% [markdown]
# :::{solution-start} ex-two-losses
# :class: dropdown
# :::
#
# By {eq}`eq:own-error` the networks' own errors are $0.215 - 0.212 = 0.003$ and $0.224 - 0.212 = 0.012$ as mean squares, a ratio of 4, and 2 as root mean squares. The losses differ by 4 %. To compare networks, subtract the floor; where it is not known, look at samples.

# %% tags=["solution"]
ratio = ((0.224 - 0.212) / (0.215 - 0.212)) ** 0.5
check.ratio_of_errors(ratio)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A stride
# :label: ex-stride
#
# Write line 2 of Algorithm 2 for a stride from $t$ to any earlier $u$, with the posterior's variance. At $u = 0$ there is no noise. One way: turn $\hat\epsilon$ into $\hat x_0$, and use the posterior {eq}`eq:posterior-leap`, with $1 - \bar\alpha_t/\bar\alpha_u$ in place of $\beta_t$.
# :::


# %%
def stride(x_t, eps_hat, z, t, u):
    """x_u from x_t, t > u.  x_t, eps_hat, z: (B, 2)"""
    return ...


check.stride(stride)

# %% [markdown]
# :::{solution-start} ex-stride
# :class: dropdown
# :::
#
# From $u$ to $t$ the forward direction takes $\bar\alpha_t/\bar\alpha_u$ where a single step takes $\alpha_t$ ({eq}`eq:leap`), so all formulas of the single step hold with it in place of $\alpha_t$ and with $\bar\alpha_u$ in place of $\bar\alpha_{t-1}$. At $u = 0$ the factor $1 - \bar\alpha_u$ is zero, and with it the weight of $x_t$ and the variance: the answer is $\hat x_0$, without a special case.


# %% tags=["solution"]
def stride(x_t, eps_hat, z, t, u):
    """x_u from x_t, t > u.  x_t, eps_hat, z: (B, 2)"""
    ratio = alpha_bar[t] / alpha_bar[u]
    before, now = 1 - alpha_bar[u], 1 - alpha_bar[t]
    mean = (x_t - (1 - ratio) / now.sqrt() * eps_hat) / ratio.sqrt()
    return mean + (before / now * (1 - ratio)).sqrt() * z


check.stride(stride)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Collapse
# :label: ex-collapse
#
# The data are one Gaussian of mean 0 and variance 1, the denoiser is exact, and $z$ is left out in every step. What is the standard deviation of the samples, for the schedule of this chapter?
# :::

# %%
std = ...
check.collapsed(std)

# %% [markdown]
# :::{solution-start} ex-collapse
# :class: dropdown
# :::
#
# For $v = 1$ every $D_t$ is 1, so {eq}`eq:sampler-variance` without noise is $V_{t-1} = \alpha_t V_t$. From $V_T = 1$ it goes down to $V_0 = \alpha_1\cdots\alpha_T = \bar\alpha_T$. The standard deviation is $\sqrt{\bar\alpha_T} = 0.0055$: the sampler does the same to the noise as the forward direction did to the data. The fresh noise of each step is no decoration. It is where the variety of the samples comes from.

# %% tags=["solution"]
check.collapsed(alpha_bar[T].sqrt())

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Right for another network
# :label: ex-other-target
#
# The published line 2 has $\sqrt{1-\alpha_t}$ where $\beta_t/\sqrt{1-\bar\alpha_t}$ belongs. Suppose we want to keep it, and change the network instead. By which factor, as a function of $t$, would its answer have to differ from $\epsilon^*$? And what would such a network have been trained to predict?
# :::


# %%
def factor(t):
    """t: (B,)  ->  (B,)"""
    return ...


check.other_target(factor)

# %% [markdown]
# :::{solution-start} ex-other-target
# :class: dropdown
# :::
#
# The product must be the right one: $\sqrt{1-\alpha_t}$ times the factor is $\beta_t/\sqrt{1-\bar\alpha_t}$. With $1 - \alpha_t = \beta_t$ the factor is $\sqrt{\beta_t/(1-\bar\alpha_t)}$. That is the factor of {eq}`eq:step-noise-share`: the line is right for a network that was trained to predict $\epsilon_t$, the noise of the single step. Each half of the mistake is wrong alone, and together they cancel. But little of $\epsilon_t$ can be predicted at any $t$, so such a network would learn from a target that is mostly noise.


# %% tags=["solution"]
def factor(t):
    return (beta[t] / (1 - alpha_bar[t])).sqrt()


check.other_target(factor)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: a first model
# :class: card
#
# $$
# \begin{aligned}
# \text{train} \quad & \bigl\lVert \epsilon - \epsilon_\theta(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon,\ t)\bigr\rVert^2, \quad t \sim \text{Uniform}\{1..T\}\\
# \text{sample} \quad & x_{t-1} = \tfrac{1}{\sqrt{\alpha_t}}\Bigl(x_t - \tfrac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\epsilon_\theta(x_t, t)\Bigr) + \sigma_t z, \quad z = 0 \text{ at } t = 1\\
# \text{judge} \quad & \text{loss} = \text{floor} + \text{own error}\\
# \text{width} \quad & V_{t-1} = \alpha_t (D_{t-1}/D_t)^2\,V_t + \sigma_t^2
# \end{aligned}
# $$
#
# The same $\epsilon$ makes $x_t$ and is the target. A loss says little before its floor is subtracted. A distance says little beside its own floor and error bar.
# :::
#
# The network was told $t$ by sines and cosines that we took on trust; chapter 10 asks what they are and what could take their place.
