# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   mystnb: {execution_timeout: 400}
# ---

# %% [markdown]
# # Training
#
# The network of chapter 12 is there, and so is the algorithm of chapter 9. Now we put them together, on pictures, and end with a model of our own. A training loop that people really use has more in it than Algorithm 1: averaged weights, a learning rate that rises and falls, gradients of limited length, checkpoints. Which of these matter? And when the loss has settled at some number, how do we know that the number is right?
#
# :::{admonition} At a glance
# :class: glance
#
# 50 minutes to read. On one core of a CPU it runs in about three minutes, of which two train the model that the next chapters use; the second time it reads that model from a file. With a GPU it takes the larger digits of MNIST, which are 430 TFLOP of training in place of 2.7, unless the budget in its code says `device = "cpu"`; the numbers in the text are those of the CPU. You need Algorithm 1 ({eq}`def:algorithm-1`), the floor of the loss ({eq}`eq:loss-floor`), and the network of chapter 12 as a black box.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "Two panels. Left: the loss of each two training steps against the step, a gray band that falls from 1 to about 0.2 within a hundred steps and then seems flat between 0.1 and 0.2. Right: the loss against t on a logarithmic scale, four lines. The line after 100 steps falls from 0.9 to 0.2. After 300, 1000 and 2000 steps the lines fall from 0.7, 0.6 and 0.5 at small t to 0.008, 0.003 and 0.001 at t = 1000."}, "figure": {"name": "fig-two-views", "caption": "The training of the model of this chapter, seen twice. Left: the curve that everybody looks at. After 300 of 2000 steps it seems to be over. Right: the same losses sorted by $t$. At either end much still happens."}}
import matplotlib.pyplot as plt
import torch

from ddpm_lib import recipes, runs
from ddpm_lib.course.recipes import SMALL_DIGITS
from ddpm_lib.named.digits import MNIST
from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, style

style()
# The budget. With device = "cpu" it is the small one, everywhere.
device = "cuda" if torch.cuda.is_available() else "cpu"
recipe = MNIST if device != "cpu" else SMALL_DIGITS

model, about = runs.once(recipe, torch.device(device))

rows = about["losses_by_time"]
fig, (left, right) = plt.subplots(1, 2, figsize=(6.8, 2.9))
left.plot(*zip(*about["losses"], strict=True), color=GRAY, lw=0.6)
left.set(xlabel="training step", ylabel="loss", ylim=(0, 1.05))
middles = [(i + 0.5) / 20 * model.schedule.T for i in range(20)]
looks = [(0, ":", NOISE), (2, "--", GRAY), (9, "-.", DATA)]
for row, line, color in [*looks, (-1, "-", MODEL)]:
    step, by_time = rows[row]
    right.semilogy(
        middles, by_time, line, color=color, label=f"step {step}"
    )
right.set(xlabel="$t$")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## One step, line by line
#
# {cite:t}`ho2020` write training in four lines ({eq}`def:algorithm-1`). Here is one step of a program, number $k$ of $n$. It draws $B$ pictures, a time and a noise for each. We write $a = \sqrt{\bar\alpha_t}$ and $s = \sqrt{1-\bar\alpha_t}$ as before, for the time of each picture, $d$ for the count of numbers in a picture, $g$ for the gradient, $\eta_k$ for the learning rate in this step, and $\bar\theta$ for a second set of weights, a running average of the first, which begins as a copy of it:
#
# $$
# \begin{aligned}
# &1.\quad \ell = \frac1B\sum_{b=1}^B \frac1d\lVert\epsilon_b - \epsilon_\theta(a\,x_{0,b} + s\,\epsilon_b, t_b)\rVert^2\\
# &2.\quad g = \nabla_\theta\,\ell\\
# &3.\quad g \leftarrow g\,\min\bigl(1,\ c/\lVert g\rVert\bigr)\\
# &4.\quad \theta \leftarrow \theta - \eta_k\,\mathrm{Adam}(g)\\
# &5.\quad \bar\theta \leftarrow m_k\,\bar\theta + (1 - m_k)\,\theta
# \end{aligned}
# $$ (def:training-step)
#
# Lines 1, 2 and 4 are Algorithm 1, with a mean for its sum and Adam for its plain step. Lines 3 and 5, and the index of $\eta_k$, are what was added. The letter $c$ is the longest gradient that we allow, and $m_k$, between 0 and 1, is the *memory* of the average. We take each apart below. First the program. Three details in it are worth a look.
#
# The data are one tensor of bytes, 0 to 255, on the device of the network. A batch is an index into it, and becomes floats between $-1$ and $1$ only then: a data loader with worker processes has nothing to do here. The times are drawn from $1$ to $T$, both included; `randint` leaves out its upper end, hence the $T + 1$. And the noise is drawn once and used twice, in $x_t$ and as the target.

# %%
import inspect
from copy import deepcopy

from ddpm_lib import diffusion
from ddpm_lib.networks.unet import UNet
from ddpm_lib.settings import to_json
from ddpm_lib.training import (
    Run,
    Settings,
    learning_rate,
    optimizer_step,
    training_steps,
)

digits = recipes.examples(SMALL_DIGITS)
pixels, held_out = digits.train, digits.test  # (N, 1, 8, 8) uint8
schedule = recipes.build(recipe).schedule
T = schedule.T
a = schedule.alpha_bar.sqrt().float()
s = schedule.one_minus_alpha_bar.sqrt().float()


def one_step(k, network, average, adam, *, settings, chance, noise):
    B = settings.batch
    which = torch.randint(len(pixels), (B,), generator=chance)
    t = torch.randint(1, T + 1, (B,), generator=chance)
    eps = torch.randn(B, 1, 8, 8, generator=noise)
    x_0 = pixels[which].float() / 127.5 - 1
    a_t, s_t = a[t].reshape(B, 1, 1, 1), s[t].reshape(B, 1, 1, 1)
    eps_hat = network(a_t * x_0 + s_t * eps, t)
    loss = (eps - eps_hat).square().mean()  # line 1
    adam.zero_grad()
    loss.backward()  # line 2
    weights = list(network.parameters())
    length = sum(w.grad.square().sum() for w in weights).sqrt()
    for w in weights:
        w.grad *= (settings.clip / length).clamp(max=1)  # line 3
    for group in adam.param_groups:
        group["lr"] = learning_rate(settings, k)
    adam.step()  # line 4
    m = min(settings.ema, k / (k + 9))
    with torch.no_grad():
        for w_bar, w in zip(average.parameters(), weights, strict=True):
            w_bar.mul_(m).add_(w, alpha=1 - m)  # line 5
    return loss.item()


# %% [markdown]
# The library has the five lines in `training.optimizer_step`, for a batch that may come in parts where memory is short; `losses` computes line 1 before its mean. What draws the batches is `training.training_steps`. It is a generator: it takes a step, tells about it, and waits, and whoever asked decides what to print, to draw or to save.

# %%
print(inspect.getsource(optimizer_step))

# %% [markdown]
# The claim trains a small UNet for twelve steps both ways, with the same seeds, and compares the loss of every step and the averaged network at the end. Then come five slips that somebody has made in line 1 or just before it. Two of them are hard to see later: times from 0 to $T - 1$, and a sum where line 1 has a mean.

# %%
from ddpm_lib.course.claims import claim
from ddpm_lib.data import scale

short = Settings(steps=12, batch=32, warmup=4)
probe = scale(held_out[:40])
probe_t = torch.arange(1, 41) * 25


def small_unet():
    torch.manual_seed(0)
    return UNet(1, [8, 16], blocks=1)


@torch.no_grad()
def traces(losses, average):
    """The losses, and what the averaged network answers."""
    out = average(probe, probe_t).flatten()
    return torch.cat([torch.tensor(losses), out])


def by_hand():
    chance, network = torch.Generator().manual_seed(0), small_unet()
    seed = int(torch.randint(2**31, (), generator=chance))
    noise = torch.Generator().manual_seed(seed)  # as the library
    average = deepcopy(network)
    adam = torch.optim.Adam(network.parameters())
    rest = {"settings": short, "chance": chance, "noise": noise}
    losses = [
        one_step(k, network, average, adam, **rest)
        for k in range(1, 13)
    ]
    return traces(losses, average)


def by_library(loss=diffusion.loss, prepare=scale):
    run = Run(small_unet(), short)
    records = training_steps(
        run, schedule, diffusion.EPS, pixels, prepare=prepare, loss=loss
    )
    return traces([record.loss for record in records], run.average)


def slip(change):
    """The library's training with another t, noise or scale."""

    def loss(schedule, network, _, x_0, t, eps):
        t, target, factor = change(t, eps)
        x_t = diffusion.add_noise(schedule, x_0, t, eps)
        out = diffusion.ask(network, x_t, t)
        return factor * (out - target).square().flatten(1).mean(1)

    return by_library(loss)


# %% tags=["claim"]
claim(
    "def:training-step",
    got=by_hand(),
    want=by_library(),
    rejects={
        "times from 0 to $T − 1$": slip(lambda t, e: (t - 1, e, 1)),
        "one $t$ for the whole batch": slip(
            lambda t, e: (t[:1].expand(len(t)), e, 1)
        ),
        "a second noise as the target": slip(
            lambda t, e: (t, torch.randn(e.shape), 1)
        ),
        "the sum over the pixels": slip(lambda t, e: (t, e, 64)),
        "pixels from 0 to 1": by_library(prepare=lambda x: x / 255),
    },
    atol=2e-5,
)

# %% [markdown]
# ## The course's model
#
# The first cell of this chapter has trained the model already, in its line with `runs.once`. A *recipe* says what a system is: the data, the network, the schedule, the settings of the training. `once` builds it and trains it, writing a checkpoint every hundred steps into a cache folder under your home. Chapters 14, 15 and 16 call the same line and find the file.


# %%
def show(values, indent=""):
    """One line for each; a part of the system has several."""
    for key, value in values.items():
        if not isinstance(value, dict):
            print(f"{indent}{key}: {value}")
        elif value:
            print(f"{indent}{key}:")
            show(value, indent + "  ")


show(to_json(recipe))

# %% [markdown]
# On the CPU that is a UNet with 24 and 48 channels and one residual block a level, 2000 steps with 64 pictures each. How long did it take where this page was made?

# %%
seconds = about["cpu_seconds"]
count = recipe.settings.steps * recipe.settings.batch
print(f"{seconds:.0f} s of CPU time, {count / seconds:.0f} pictures/s")

# %% [markdown]
# And what did the loss do? Each number below is the mean over two hundred batches (one hundred in the first line), and the spread is that of single pairs of batches, the points of the curve.

# %% tags=["nbval-check-output"]
losses = torch.tensor(about["losses"])
for part in (
    slice(0, 50),
    slice(100, 200),
    slice(400, 500),
    slice(900, 1000),
):
    step, value = losses[part].T
    print(
        f"up to step {step[-1]:>4.0f}: "
        f"{value.mean():.2f} ± {value.std():.2f}"
    )

# %% [markdown]
# Between step 1000 and step 2000 the mean falls from 0.16 to 0.14, about as much as two neighboring points of the curve differ. By eye, nothing happens. Still, that half of the training is not wasted, as the right panel of {numref}`fig-two-views` shows near $t = T$.
#
# ## In which unit?
#
# Before we ask whether a loss is right, we have to know what is counted. Three scales are in use. The first is a matter of means and sums. Line 1 of {eq}`def:training-step` takes the mean over the $d = CHW$ numbers of a picture: colors, height, width. The $L_{\mathrm{simple}}$ of {eq}`def:l-simple`, and programs with `reduction="sum"`, have the sum:
#
# $$
# \underbrace{\lVert\epsilon - \hat\epsilon\rVert^2}_{\text{per picture}} = C\,H\,W\,\cdot\,\underbrace{\frac1d\lVert\epsilon - \hat\epsilon\rVert^2}_{\text{per pixel}} .
# $$ (eq:loss-scales)

# %% tags=["claim"]
eps, eps_hat = torch.randn(2, 5, 3, 96, 96, dtype=torch.float64)
each = (eps - eps_hat).square()
claim(
    "eq:loss-scales",
    got=each.sum((1, 2, 3)).mean(),
    want=3 * 96 * 96 * each.mean(),
    rejects={
        "the colors forgotten": 96 * 96 * each.mean(),
        "the batch counted too": 5 * 3 * 96 * 96 * each.mean(),
        "the side alone": 3 * 96 * each.mean(),
    },
)

# %% tags=["nbval-check-output"]
for published in (20164, 343):
    print(f"{published:>5} / {3 * 96 * 96} = {published / 27648:.4f}")

# %% [markdown]
# These two are a published training on faces of 96 by 96 pixels. A loss that fell from 20164 to 343 sounds dramatic, and 343 sounds large. Per pixel it is 0.0124, which sounds excellent. Both impressions come from the unit. Only a reference can tell whether it is good.
#
# The second scale is what is predicted. Chapter 7 has shown that the errors of $\hat x_0$, $\hat\epsilon$ and $\hat v$ are one and the same error in different units ({eq}`eq:error-ratio`, {eq}`eq:v-loss`): if $\ell_t$ is the loss of $\hat\epsilon$ at time $t$, the loss of $\hat x_0$ is $\ell_t/\mathrm{SNR}(t)$ and that of $\hat v$ is $\ell_t/\bar\alpha_t$. The third is the weight: the bound {eq}`eq:bound` multiplies $\ell_t$ by $d\,w_t$, with the weight $w_t$ of {eq}`eq:eps-weight`, and adds over $t = 2, \dots, T$.
#
# Let us measure our model in all of them. We take pictures that the training has not seen, a tenth that was kept apart, spread the times evenly over $1, \dots, T$, and keep the loss of each draw. The denoiser that we judge is the one that chapter 14 samples with: averaged weights, and $\hat x_0$ kept between $-1$ and $1$.


# %%
def seeded(seed):
    return torch.Generator().manual_seed(seed)


seen, unseen = scale(pixels), scale(held_out)
d = seen[0].numel()


def network(x_t, t):
    return model.denoise(x_t, t.cpu()).eps


@torch.no_grad()
def losses_of(network, pictures, t, seed, device=device):
    """The loss of one draw for each t.  (M,) -> (M,)"""
    chance = seeded(seed)
    which = torch.randint(len(pictures), (len(t),), generator=chance)
    x_0 = pictures[which]
    eps = torch.randn(x_0.shape, generator=chance)
    draws = zip(
        *(part.split(500) for part in (x_0, eps, t)), strict=True
    )
    parts = [
        diffusion.loss(
            schedule,
            network,
            diffusion.EPS,
            x_0.to(device),
            t=now,
            eps=eps.to(device),
        ).cpu()
        for x_0, eps, now in draws
    ]
    return torch.cat(parts).double()


M = 6000
t = torch.arange(M) % T + 1  # the same times and noises for both
on_unseen = losses_of(network, unseen, t, seed=1)
on_seen = losses_of(network, seen, t, seed=1)


def pm(x):
    """A mean with its standard error."""
    return f"{x.mean():.3f} ± {x.std() / len(x) ** 0.5:.3f}"


# %% tags=["nbval-check-output"]
from ddpm_lib.bound import eps_weight

snr, alpha_bar = schedule.snr[t], schedule.alpha_bar[t]
weight, later = eps_weight(schedule)[t], t > 1
most = t <= 0.9 * T
print(f"noise, per pixel    {on_unseen.mean():.2f}")
print(f"noise, per picture  {d * on_unseen.mean():.0f}")
print(f"velocity, per pixel {(on_unseen / alpha_bar).mean():.1f}")
print(f"picture, t < 0.9 T  {(on_unseen / snr)[most].mean():.2f}")
nats = T * (weight * on_unseen)[later].mean()
print(f"bound, nats a pixel {nats:.0f}")

# %% [markdown]
# One network, measured once, and its loss is 0.14, or 9, or 0.3, or 0.12, or 2. (For the picture we left out the last tenth of the times. There the SNR goes to zero, and nothing but the clipping of $\hat x_0$ keeps $\ell_t/\mathrm{SNR}(t)$ small. The 2 is the sum from $t = 2$ on, without the first and the last term of the bound.) None of these is better than another, but two reports can be compared only in the same unit.
#
# A loss also belongs to its schedule. The loss at one noise level depends on nothing but that level, but the mean over $t$ depends on how many of the $t$ have much noise. The next section has a reference with a formula, and there we can see how much.
#
# ## Is my loss right?
#
# The floor {eq}`eq:loss-floor` is the loss of the best possible denoiser. For real digits nobody knows it. But it can be fenced in.
#
# *From above.* Any denoiser's loss is at least the floor, so any denoiser that we can write down is a reference. The simplest is $\hat\epsilon = 0$, with a loss of 1. Next comes the best *linear* one. Let the data have the mean $\mu$ and the covariance $\Sigma$, and try $\hat\epsilon = W(x_t - a\mu)$ with any matrix $W$. By the jump {eq}`eq:jump`, $x_t - a\mu = a(x_0 - \mu) + s\,\epsilon$. Insert it:
#
# $$
# \epsilon - \hat\epsilon = (I - sW)\,\epsilon - a\,W(x_0 - \mu) .
# $$
#
# The two parts are independent and have mean 0, so their mean squares add. The first is $\operatorname{tr}\bigl[(I - sW)(I - sW)^{\mathsf T}\bigr]$, the second $a^2\operatorname{tr}[W\Sigma W^{\mathsf T}]$, both by {eq}`eq:trace`. Multiply out and collect what has two factors $W$:
#
# $$
# \begin{aligned}
# \mathbb E\lVert\epsilon - \hat\epsilon\rVert^2 &= d - 2s\operatorname{tr} W\\
# &\quad + \operatorname{tr}\bigl[W\,(a^2\Sigma + s^2 I)\,W^{\mathsf T}\bigr] .
# \end{aligned}
# $$
#
# Along the eigenvectors of $\Sigma$, with eigenvalues $\lambda_1, \dots, \lambda_d$, take for $W$ the numbers $W_1, \dots, W_d$ on the diagonal. (Entries beside it only add to the last term.) Then each axis has a parabola of its own, $1 - 2sW_i + (a^2\lambda_i + s^2)W_i^2$. It is lowest at $W_i = s/(a^2\lambda_i + s^2)$, and there it is $1 - s^2/(a^2\lambda_i + s^2)$: the line of {eq}`eq:gaussian-floor`, once for each axis. So the loss per pixel of the best linear denoiser is
#
# $$
# \ell_{\mathrm{lin}}(t) = \frac1d\sum_{i=1}^d \frac{\bar\alpha_t\,\lambda_i}{\bar\alpha_t\,\lambda_i + 1 - \bar\alpha_t} .
# $$ (eq:linear-reference)
#
# The claim solves for the matrix $W$ in all 64 dimensions, without eigenvectors, and inserts it into the two traces. We take $\mu$ and $\Sigma$ from the training pictures, so this is the loss on them. On other digits the same $W$ pays a little more, and we shall ask it about those too.


# %%
def linear_reference(schedule, lam):
    """The loss for each t in 1..T.  lam: (d,)  ->  (T,)"""
    signal = schedule.alpha_bar[1:, None] * lam
    noise = schedule.one_minus_alpha_bar[1:, None]
    return (signal / (signal + noise)).mean(1)


collection = seen.flatten(1).double()  # (N, d)
mu, Sigma = collection.mean(0), torch.cov(collection.T)
lam, axes = torch.linalg.eigh(Sigma)  # eigenvectors: columns
lam = lam.clamp(min=0)
linear = linear_reference(schedule, lam)


def a_and_s(t):
    """Both factors of the jump, each (B, 1) float64."""
    squares = schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t]
    return [square.sqrt()[:, None] for square in squares]


def straight(x_t, t):
    """The best linear denoiser of the training set."""
    a_t, s_t = a_and_s(t)
    along = (x_t.flatten(1).double() - a_t * mu) @ axes
    W = s_t / (a_t**2 * lam + s_t**2)
    return (W * along @ axes.T).reshape(x_t.shape).to(x_t)


# %% tags=["claim"]
eye = torch.eye(d, dtype=torch.float64)
some = torch.tensor([20, 200, 500, 900])
paid = []
for now in some:
    a_t = schedule.alpha_bar[now].sqrt()
    s_t = schedule.one_minus_alpha_bar[now].sqrt()
    W = torch.linalg.solve(a_t**2 * Sigma + s_t**2 * eye, s_t * eye)
    of_noise = (eye - s_t * W).square().sum()
    of_picture = a_t**2 * (W @ Sigma @ W.T).trace()
    paid.append((of_noise + of_picture) / d)
claim(
    "eq:linear-reference",
    got=torch.stack(paid),
    want=linear[some - 1],
    rejects={
        "pixels taken for independent": linear_reference(
            schedule, Sigma.diag()
        )[some - 1],
        "one variance for all axes": linear_reference(
            schedule, lam.mean(0, keepdim=True)
        )[some - 1],
        "standard deviations for variances": linear_reference(
            schedule, lam.sqrt()
        )[some - 1],
    },
)

# %% [markdown]
# *From below.* Chapter 8 has the exact denoiser of a *collection*: the data are taken for the $N$ training pictures and nothing else, {eq}`eq:set-guess`. Call it the memorizer. On its own collection no denoiser has a smaller loss. And that loss is, on average over collections, below the floor of all digits. To see it, take any fixed denoiser. Its loss on a collection, averaged over all collections that might have been drawn, is its loss on all digits. The memorizer of each collection does at least as well on it. Now let the fixed one be the best for all digits:
#
# $$
# \begin{aligned}
# &\mathbb E[\text{memorizer on its own collection}]\\
# &\quad\le\ \text{floor}\\
# &\quad\le\ \text{any denoiser on unseen digits} .
# \end{aligned}
# $$
#
# The right end holds for any denoiser that was made without these digits. Ours were: the linear one, the memorizer and the model know nothing but the training pictures. So we have five numbers for each $t$: three references, and our model on pictures that it has seen and has not seen. All five share times and noises, and those about unseen digits share the digits, so the differences between them are less noisy than the losses.


# %%
def memorizer(x_t, t):
    """The exact denoiser of the training set.  (B, ...), (B,)"""
    a_t, s_t = a_and_s(t)
    x = x_t.flatten(1).double()
    square = torch.cdist(x / a_t, collection) ** 2
    x_0 = (-(a_t**2) / (2 * s_t**2) * square).softmax(1) @ collection
    return ((x - a_t * x_0) / s_t).reshape(x_t.shape).to(x_t)


lined = losses_of(straight, unseen, t, seed=1, device="cpu")
own = losses_of(memorizer, seen, t, seed=1, device="cpu")
foreign = losses_of(memorizer, unseen, t, seed=1, device="cpu")

# %% tags=["nbval-check-output"]
tenth = (t - 1) * 10 // T  # 0..9 for each draw


def two(x):
    """Two digits of the mean; a dash if it is below 0.001."""
    mean = x.mean().item()
    return f"{mean:#.2g}".rstrip(".") if mean > 1e-3 else "–"


def ahead(x, y, i):
    """How much larger y is in a tenth; no noise explains it."""
    by = (y - x)[tenth == i]
    assert device != "cpu" or by.mean() > 3 * by.std() / len(by) ** 0.5
    return by.mean()


print("       linear   memorizer       model")
print("t from unseen   seen unseen   seen unseen")
columns = lined, own, foreign, on_seen, on_unseen
for i in range(10):
    row = [f"{two(x[tenth == i]):>7}" for x in columns]
    print(f"{i * T // 10 + 1:>6}" + "".join(row))
print(f"\nmodel, unseen: {pm(on_unseen)}")
print(f"       − seen: {pm(on_unseen - on_seen)}")
print(f"linear {lined.mean():.2f}, memorizer {own.mean():.2f}")
for i in range(5, 10):
    ahead(foreign, on_unseen, i)
print("\nthe linear denoiser is ahead of the model")
for i in (8, 9):
    by = ahead(lined, on_unseen, i)
    print(f"from t = {i * T // 10 + 1} by {by:.1g}")

# %% [markdown]
# Each line is a tenth of the times; a dash is less than 0.001. Read the table from below. In the last four tenths the two ends of the fence nearly touch: there the floor of real digits is known, without a formula for digits. Our model comes near it and does not reach it: from 601 to 700 it pays 0.071, where the ends are at 0.064 and 0.065. In the tenth before, too, the memorizer does better on digits that it has not seen, 0.088 against our 0.098. And in the last two tenths even the linear denoiser is ahead of our model, by 0.0006 of 0.016 and by 0.0004 of 0.0024, each several standard errors. There our network is worse than a straight line. In the mean over all $t$ nobody would see it: a ten-thousandth, beside 0.14.
#
# At small $t$ the fence is wide. The memorizer knows its own collection perfectly and is hopeless elsewhere: its loss on unseen digits is about 60 in the first tenth, and saying nothing would cost 1. Our model is far better than any straight line, 0.43 against 0.72, and nearly as good on digits that it has not seen as on those that it has: its mean of 0.141 is 0.001 more, with a standard error of the same size. So it has not memorized. How much better one could be there, this table cannot tell. A better network would lower the upper end of the fence.

# %% tags=["figure"] mystnb={"image": {"alt": "Loss per pixel against t, logarithmic. A dashed line for the linear denoiser falls from 0.8 to below 0.001. A dotted line for the memorizer on unseen digits comes from above 3, crosses the dashed one near t = 270 and then runs a little below it. A dash-dotted line for the memorizer on its own collection rises from below at t = 200, reaches 0.08 near t = 550 and then falls together with the others. The shaded area between is wide on the left and closes near t = 620. Green dots for the model lie inside it up to t = 400, then close above its upper edge, and clearly above it at the very end."}, "figure": {"name": "fig-fence", "caption": "The loss of our model on unseen digits (dots) and the fence around the floor (shaded). No denoiser is below the floor of all digits; one that is above the fence has something left to learn. Where the fence is closed, the floor is known."}}
fig, ax = plt.subplots(figsize=(6.2, 3.6))


def by_bin(x, width=25):
    """Means over bins of t, for a curve."""
    bins = (t - 1) * width // T
    return torch.stack([x[bins == i].mean() for i in range(width)])


middle = (torch.arange(25) + 0.5) * T / 25
references = {
    "linear, unseen": (by_bin(lined), "--", DATA),
    "memorizer, unseen": (by_bin(foreign), ":", NOISE),
    "memorizer, seen": (by_bin(own), "-.", GRAY),
}
(line, *_), (above, *_), (below, *_) = references.values()
ax.fill_between(
    middle, below, line.minimum(above), color=GRAY, alpha=0.25, lw=0
)
for label, (loss, look, color) in references.items():
    ax.semilogy(middle, loss, look, color=color, label=label)
ours = by_bin(on_unseen)
ax.semilogy(middle, ours, "o", ms=4, color=MODEL, label="model, unseen")
ax.set(xlabel="$t$", ylabel="loss per pixel", ylim=(3e-4, 3))
ax.legend(loc="upper right", fontsize=9)
plt.show()

# %% [markdown]
# The linear reference settles the question of schedules: {eq}`eq:linear-reference` holds for any of them, and its $\lambda_i$ belong to the data.

# %% tags=["nbval-check-output"]
from ddpm_lib import schedules

other = linear_reference(schedules.linear(T), lam)
print(f"cosine schedule: {linear.mean():.2f}")
print(f"linear schedule: {other.mean():.2f}")

# %% [markdown]
# The best linear denoiser of the same data pays nearly twice as much with our cosine schedule {eq}`eq:cosine` as with the linear one {eq}`eq:linear`, because the cosine spends more of its times at little noise, where the noise is hard to see. A loss of 0.03 in a report that trained with the linear schedule and one of 0.06 that trained with another say nothing about each other.
#
# ## A floor that is known
#
# The fence is wide at small $t$, because digits are not known there. If we doubt the *program* and not the model, we can do better: train it on data whose floor is known. Take the mean picture of each digit, ten pictures, and let the data be these with white noise of standard deviation 0.4 on top, about as much as the digits of one kind differ from their mean. That is a Gaussian mixture in 64 dimensions, and {eq}`eq:mixture-guess` is its best denoiser $\epsilon^*$. Two hundred steps of a small UNet will do.

# %% mystnb={"image": {"alt": "Three plots of a training: the loss of its steps, the loss at each noise level, and the learning rate."}, "figure": {"name": "fig-training-panel", "caption": "A training, looked at now and then. In a running notebook, this picture follows it while it goes on."}}
from ddpm_lib import data, exact
from ddpm_lib.course import panels
from ddpm_lib.training import LossesByTime

whole = data.digits()
flat = scale(whole.pixels).flatten(1).double()
means = torch.stack(
    [flat[whole.labels == label].mean(0) for label in range(10)]
)
mixture = exact.isotropic(torch.ones(10) / 10, means, 0.4)
points = exact.draw(mixture, 20_000, seeded(3)).float()
pictures = points.reshape(-1, 1, 8, 8)

by_time = LossesByTime(T, torch.device("cpu"))
run = Run(small_unet(), Settings(steps=200, learning_rate=4e-3))
records = training_steps(
    run, schedule, diffusion.EPS, pictures, loss=by_time.loss
)
for _ in panels.monitor(records, 200, by_time=by_time):
    pass

# %% [markdown]
# In a notebook, the panel is drawn while the loop runs; on the page, a slider goes over six moments of it. To judge the network we draw new points, the same for all networks from here on, with the $\epsilon^*$ of each.

# %%
M = 4000
x_0 = exact.draw(mixture, M, seeded(4))
eps = torch.randn(M, 64, generator=seeded(5), dtype=torch.float64)
when = torch.arange(M) % T + 1
x_t = diffusion.add_noise(schedule, x_0, when, eps)
star = exact.exact_denoiser(schedule, mixture)(x_t, when).eps
floor = (eps - star).square().mean(1)


@torch.no_grad()
def answers(network, shape=(64,)):
    """eps_hat for the fixed x_t.  (M, 64) float64"""
    x = x_t.float().reshape(M, *shape)
    parts = zip(x.split(500), when.split(500), strict=True)
    out = [network(x, t).flatten(1) for x, t in parts]
    return torch.cat(out).double()


# %% tags=["nbval-check-output"]
guess = answers(run.average, (1, 8, 8))
loss = (eps - guess).square().mean(1)
error = (star - guess).square().mean(1)
print("t from loss floor  loss − floor own error")
for i in range(5):
    here = (when - 1) * 5 // T == i
    gap, own_part = (loss - floor)[here], error[here]
    rest = gap - own_part  # zero, up to the noise of the draws
    assert rest.mean().abs() < 4 * rest.std() / len(rest) ** 0.5
    print(
        f"{i * T // 5 + 1:>6} {loss[here].mean():.2f}  "
        f"{floor[here].mean():.2f} {pm(gap)} {own_part.mean():>9.3f}"
    )

# %% [markdown]
# By {eq}`eq:own-error` the loss is the floor plus the network's own error, and the last two columns must agree within the noise of the draws. They do. A network that came out below the floor would prove a mistake in the program: pictures or noise that leak, an average over the wrong thing. And the size of the own error says what is left to learn: here much, after so short a training.
#
# ## What else is in the loop
#
# We now have an instrument. The own error on these data has no floor and little noise, so it shows small differences that a loss would hide. We use it to ask of each part of {eq}`def:training-step` whether it matters. To repeat each training with three seeds we take the quickest network, the MLP of chapter 9, on the same points of 64 numbers.


# %%
from dataclasses import replace
from math import inf, log, pi

from ddpm_lib.networks.tiny import MLP

base = Settings(steps=400, batch=128, learning_rate=2e-3, warmup=40)


def trained(settings, seed):
    """Train the MLP; its last weights and their average."""
    torch.manual_seed(seed)
    run = Run(MLP(64, 128), replace(settings, seed=seed))
    for _ in training_steps(run, schedule, diffusion.EPS, points):
        pass
    return run.network, run.average


def own_error(network):
    return (star - answers(network)).square().mean().item()


variants = {  # own error after training, three seeds each
    "as recommended": base,
    "constant rate": replace(base, final=1.0),
    "no warm-up": replace(base, warmup=0),
    "no clipping": replace(base, clip=inf),
    "rate × 15": replace(base, learning_rate=3e-2),
    "15×, no warm-up": replace(base, learning_rate=3e-2, warmup=0),
}
table = {
    name: [
        [own_error(network) for network in trained(settings, seed)]
        for seed in range(3)
    ]
    for name, settings in variants.items()
}

# %% tags=["nbval-check-output"]
print("own error of    last weights average")
for name, found in table.items():
    last, average = torch.tensor(found).T
    print(
        f"{name:16}{last.mean():.3f} ±{last.std():.3f}"
        f" {average.mean():.3f} ±{average.std():.3f}"
    )

# %% [markdown]
# Each line has the mean over three seeds and the standard deviation between them.
#
# ### Averaged weights
#
# Line 5 is an exponential moving average, EMA for short. What is in it? It begins with $\bar\theta_0 = \theta_0$. Take a constant memory $m$ and unroll three steps:
#
# $$
# \begin{aligned}
# \bar\theta_1 &= m\,\theta_0 + (1-m)\,\theta_1\\
# \bar\theta_2 &= m^2\,\theta_0 + (1-m)\,(m\,\theta_1 + \theta_2)\\
# \bar\theta_3 &= m^3\,\theta_0 + (1-m)\,(m^2\,\theta_1 + m\,\theta_2 + \theta_3) .
# \end{aligned}
# $$
#
# Each step multiplies what was there by $m$ and adds the new weights with $1 - m$. After $n$ steps,
#
# $$
# \bar\theta_n = m^n\,\theta_0 + (1-m)\sum_{k=1}^n m^{n-k}\,\theta_k .
# $$ (eq:memory-weights)
#
# The shares add to 1, because $(1-m)\sum_{k=1}^n m^{n-k} = 1 - m^n$ is a geometric series. How far back does it look? Weights that are $j$ steps old have the share $(1-m)\,m^j$. For a long training, the mean age is $(1-m)\sum_j j\,m^j$. Differentiate the geometric series $\sum_j m^j = 1/(1-m)$ and multiply by $m$ to get $\sum_j j\,m^j = m/(1-m)^2$. So
#
# $$
# \text{mean age} = (1-m)\,\frac{m}{(1-m)^2} = \frac{m}{1-m} ,
# $$ (eq:memory-age)
#
# 999 steps for $m = 0.999$. The claims follow the recursion with a trick: give each $\theta_k$ a coordinate of its own, and read off the shares.


# %%
def shares(memory, n):
    """What each theta_k, k = 0..n, is of the average.  (n+1,)"""
    theta = torch.eye(n + 1, dtype=torch.float64)
    average = theta[0].clone()
    for k in range(1, n + 1):
        average = average.lerp(theta[k], 1 - memory(k))
    return average


# %% tags=["claim"]
m, n = 0.95, 60
k = torch.arange(1, n + 1).double()
of_start = torch.tensor([m**n], dtype=torch.float64)
claim(
    "eq:memory-weights",
    got=shares(lambda k: m, n),
    want=torch.cat([of_start, (1 - m) * m ** (n - k)]),
    rejects={
        "the start forgotten": torch.cat(
            [0 * of_start, (1 - m) * m ** (n - k)]
        ),
        "a power too many": torch.cat(
            [of_start, (1 - m) * m ** (n - k + 1)]
        ),
        "a plain mean": torch.full((n + 1,), 1 / (n + 1)),
    },
)
long = shares(lambda k: m, 900)
claim(
    "eq:memory-age",
    got=(long * torch.arange(900, -1, -1)).sum(),
    want=m / (1 - m),
    rejects={
        "one step too old": 1 / (1 - m),
        "the half-life": log(0.5) / log(m),
        "the inverse": (1 - m) / m,
    },
    atol=1e-9,
)

# %% [markdown]
# Here is a trap. Our model trained for 2000 steps. With $m = 0.999$, the share of $\theta_0$, of weights that know nothing, would be $0.999^{2000}$.

# %% tags=["nbval-check-output"]
print(f"share of the start: {0.999**2000:.2f}")
print(f"after 20,000 steps: {0.999**20_000:.0e}")

# %% [markdown]
# A seventh of each averaged weight would be the random number that it began with. Some programs therefore show worse samples with EMA than without, and conclude that EMA does not help. The remedy is a memory that grows, $m_k = k/(k+9)$ until that exceeds $m$. It makes the first average $\tfrac1{10}\theta_0 + \tfrac9{10}\theta_1$, and so on. What are the shares now? The weights $\theta_k$ come in with $1 - m_k = 9/(k+9)$ and are multiplied by every later memory. With $j/(j+9)$ written out, the product is a quotient of factorials:
#
# $$
# \begin{aligned}
# \frac{9}{k+9}\prod_{j=k+1}^n \frac{j}{j+9} &= \frac{9}{k+9}\cdot\frac{n!}{k!}\cdot\frac{(k+9)!}{(n+9)!}\\
# &= \frac{9\,(k+8)!}{k!}\cdot\frac{n!}{(n+9)!} .
# \end{aligned}
# $$
#
# Divide the first fraction by $9! = 9\cdot 8!$ and multiply the second by it. The first becomes a binomial coefficient, the second the inverse of another:
#
# $$
# \text{share of } \theta_k = \binom{k+8}{8}\bigg/\binom{n+9}{9} .
# $$ (eq:early-weights)
#
# It holds for $k = 1, \dots, n$, and for $k = 0$ too, where the product alone is $n!\,9!/(n+9)!$. The start's share falls like $n^{-9}$. The mean age follows from two facts about binomial coefficients. First $k\binom{k+8}{8} = 9\binom{k+8}{9}$, since both are $(k+8)!/\bigl((k-1)!\,8!\bigr)$. Second, sums along a diagonal of Pascal's triangle are entries of it, $\sum_{k=1}^n\binom{k+8}{9} = \binom{n+9}{10}$. So the mean of $k$ is $9\binom{n+9}{10}\big/\binom{n+9}{9} = \tfrac{9}{10}\,n$, and
#
# $$
# \text{mean age} = n - \tfrac{9}{10}\,n = \frac{n}{10} .
# $$ (eq:early-age)

# %% tags=["claim"]
from math import comb


def binomials(n, lower=8):
    above = [comb(k + lower, lower) for k in range(n + 1)]
    return torch.tensor(above).double() / comb(n + 9, 9)


growing = shares(lambda k: k / (k + 9), n)
claim(
    "eq:early-weights",
    got=growing,
    want=binomials(n),
    rejects={
        "a plain mean": torch.full((n + 1,), 1 / (n + 1)),
        "nine for eight": binomials(n, lower=9),
        "the memory of the last step for all": shares(
            lambda k: n / (n + 9), n
        ),
    },
)
claim(
    "eq:early-age",
    got=(growing * torch.arange(n, -1, -1)).sum(),
    want=n / 10,
    rejects={
        "of a constant memory": 0.999 / 0.001,
        "of a plain mean": n / 2,
        "of the last memory": n / 9,
    },
)

# %% [markdown]
# While the memory grows, the mean age is a tenth of the training, however long that is. It stops growing when $n/(n+9) = m$, at $n = 9m/(1-m)$: for $m = 0.999$ after 8991 steps. Our 2000 steps never got there, and our average looks back 200 steps, not 999.
#
# Does averaging matter? In the table, look at the constant rate: the last weights have an own error of 0.068, their average 0.043. Averaging removes the jitter that a step of constant length leaves. In the first line, where the rate falls to zero, the jitter is gone already, and the two agree. At this size EMA and a falling rate do the same job, and one of them suffices. Chapter 16 comes back to it: with a constant rate the jitter shows in the mean color of samples, where {eq}`eq:bias-gain` adds it up.
#
# ### The learning rate
#
# The rate is a product: a line that rises to 1 over $w$ of the $n$ steps, times half a cosine that falls from $\eta$ to zero:
#
# $$
# \eta_k = \eta\,\min\Bigl(1, \frac kw\Bigr)\cdot\frac12\Bigl(1 + \cos\frac{\pi(k-1)}{n}\Bigr) .
# $$ (eq:rate)

# %% tags=["claim"]
k, w, n = torch.arange(1, 401).double(), 40, 400
up = (k / w).clamp(max=1)
cosine = (1 + torch.cos(pi * (k - 1) / n)) / 2
claim(
    "eq:rate",
    got=torch.tensor([learning_rate(base, int(i)) for i in k]).double(),
    want=2e-3 * up * cosine,
    rejects={
        "no warm-up": 2e-3 * cosine,
        "a quarter of a cosine": 2e-3
        * up
        * torch.cos(pi / 2 * (k - 1) / n),
        "one step late": 2e-3 * up * (1 + torch.cos(pi * k / n)) / 2,
        "no decay": 2e-3 * up,
    },
    atol=1e-9,
)

# %% [markdown]
# Why up? Adam divides the mean of recent gradients by the root of their mean square. In the first step there is one gradient, so *every* weight moves by the full $\eta$, whatever its gradient. With a modest rate that is harmless: the line *no warm-up* is, within the scatter, as good as the first. With a rate 15 times as high it is fatal: without warm-up the network is thrown so far that in 400 steps it does not come back. Its own error is 0.62, with warm-up it is 0.113. A network that always answers zero has 0.71, which is 1 minus the mean of the floors above ({eq}`eq:floor-from-guess`). So warm-up widens the range of rates that work. It does not make a good rate better.
#
# ### Gradients of limited length
#
# Line 3 shortens the whole gradient $g$, all weights taken as one long vector, if it is longer than $c$. Call the result $g'$. The direction stays:
#
# $$
# \lVert g'\rVert = \min\bigl(\lVert g\rVert, c\bigr), \qquad \frac{g'}{\lVert g'\rVert} = \frac{g}{\lVert g\rVert} .
# $$ (eq:clipped)

# %% tags=["claim"]
shapes = [(64, 8), (8,), (8, 64)]
parts = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
weights = [torch.zeros_like(g, requires_grad=True) for g in parts]
for weight, g in zip(weights, parts, strict=True):
    weight.grad = g.clone()
torch.nn.utils.clip_grad_norm_(weights, 1.5)


def together(parts):
    """One vector: its direction, then its length."""
    g = torch.cat([g.flatten() for g in parts])
    return torch.cat([g / g.norm(), g.norm()[None]])


g = together(parts)
claim(
    "eq:clipped",
    got=together([weight.grad for weight in weights]),
    want=torch.cat([g[:-1], g[-1:].clamp(max=1.5)]),
    rejects={
        "each tensor by itself": together(
            [g * (1.5 / g.norm()).clamp(max=1) for g in parts]
        ),
        "each number by itself": together(
            [g.clamp(-1.5, 1.5) for g in parts]
        ),
        "the square of the length": together(
            [x * 1.5 / g[-1] ** 2 for x in parts]
        ),
    },
    atol=1e-6,
)

# %% [markdown]
# How often does it act? We count in a plain loop, without anything that was added, so that we can also change the optimizer and the unit of the loss. The factor 64 makes the mean over the pixels a sum.

# %%
from functools import partial

adam = partial(torch.optim.Adam, lr=2e-3)
sgd = partial(torch.optim.SGD, lr=0.1)


def fresh_batch(pictures=points):
    """128 pictures, with times and noises of its own."""
    x_0 = pictures[torch.randint(len(pictures), (128,))]
    t = torch.randint(1, T + 1, (128,))
    return x_0, t, torch.randn(128, 64)


def plain(optimizer, factor=1, clip=inf, steps=150, batch=fresh_batch):
    """The loss per pixel and the gradient's length, each step."""
    torch.manual_seed(0)
    network, found = MLP(64, 128), []
    weights = list(network.parameters())
    optimizer = optimizer(weights)
    for _ in range(steps):
        x_0, t, eps = batch()
        x_t = diffusion.add_noise(schedule, x_0, t, eps)
        loss = (network(x_t, t) - eps).square().mean()
        optimizer.zero_grad()
        (factor * loss).backward()
        length = torch.nn.utils.clip_grad_norm_(weights, clip)
        optimizer.step()
        found.append([loss.detach(), length])
    return network, torch.tensor(found).T


plains = {
    "Adam, mean": plain(adam),
    "Adam, sum": plain(adam, 64),
    "SGD, mean": plain(sgd),
    "SGD, sum": plain(sgd, 64),
    "SGD, sum, c = 1": plain(sgd, 64, clip=1.0),
}

# %% tags=["nbval-check-output"]
print("               loss at the end length > 1")
for name, (_, (loss, length)) in plains.items():
    print(
        f"{name:15}{loss[-20:].mean():>15.2f}"
        f"{(length > 1).float().mean():>11.0%}"
    )

# %% [markdown]
# With Adam, 63 % of the gradients are longer than 1 in these first steps, so line 3 acts often. It does not help, though: in the table above, *no clipping* is as good as the first line. Adam divides by the recent size of the gradient anyway. What clipping protects from is the rare batch with a gradient far longer than those before it. We keep it as an insurance, and cannot show here that it pays.
#
# With plain gradient descent, SGD, it is another story. Summed losses make it diverge at a rate at which the mean learns slowly but safely: the output says `nan`, not a number, since the weights have overflowed. (A length that is `nan` is not longer than 1: hence the 3 %.) With $c = 1$ it survives. Adam, beside it, has the same loss for the sum and for the mean.
#
# Why does Adam not care about the factor? Write $\kappa$ for it, and $\hat m$ and $\hat v$ for Adam's averages of the gradients and of their squares. (This $\hat v$ is no velocity.) The first is linear in the gradient and becomes $\kappa\,\hat m$; the second becomes $\kappa^2\,\hat v$. With $\varepsilon$ for the small number in Adam's denominator, its step is
#
# $$
# \eta\,\frac{\kappa\,\hat m}{\sqrt{\kappa^2\,\hat v} + \varepsilon} = \eta\,\frac{\hat m}{\sqrt{\hat v} + \varepsilon/\kappa} .
# $$ (eq:adam-factor)
#
# So the factor only makes $\varepsilon = 10^{-8}$ smaller still. Plain gradient descent has the step $\eta\,\kappa\,g$: a sum over $d$ pixels is a learning rate $d$ times as high. The claim takes an $\varepsilon$ that is large enough to be seen.


# %% tags=["claim"]
def fitted(factor, epsilon, rate=0.01, optimizer=torch.optim.Adam):
    """Forty steps of a regression, with its loss times a factor."""
    chance = seeded(6)
    x = torch.randn(50, 3, generator=chance, dtype=torch.float64)
    y = x @ torch.tensor([1.0, -2.0, 0.5]).double()
    theta = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    more = {"eps": epsilon} if optimizer is torch.optim.Adam else {}
    step = optimizer([theta], lr=rate, **more)
    for _ in range(40):
        step.zero_grad()
        (factor * (x @ theta - y).square().mean()).backward()
        step.step()
    return theta.detach()


claim(
    "eq:adam-factor",
    got=fitted(64, 0.1),
    want=fitted(1, 0.1 / 64),
    rejects={
        "the same $ϵ$": fitted(1, 0.1),
        "$ϵ$ times the factor": fitted(1, 0.1 * 64),
        "a higher rate": fitted(1, 0.1, rate=0.64),
        "gradient descent": fitted(
            64, 0, rate=1e-4, optimizer=torch.optim.SGD
        ),
    },
)

# %% [markdown]
# ### Stop and go on
#
# A laptop sleeps, a notebook loses its connection, a cluster takes its machine back. What has to be in a file so that a training can go on as if nothing had happened? Everything that the next step reads. Write $S_k$ for that after step $k$: the weights $\theta$, their average $\bar\theta$, both averages inside Adam, the number $k$ itself, on which the rate and the memory depend, and the states of both random generators, `chance` and `noise`. A step is then a function $F$ of $S$ alone, and with everything restored,
#
# $$
# S_n = F^{\,n-k}\bigl(\mathrm{load}(\mathrm{save}(S_k))\bigr) = F^{\,n}(S_0) .
# $$ (eq:resumed)
#
# The equality is one of bits. The claim interrupts a training inside its eighth step, goes on from the file that was written after the sixth, and compares the averaged weights after twelve with a training that was left alone. The difference has to be exactly zero. Then it forgets one thing at a time.

# %%
import tempfile
from pathlib import Path

from ddpm_lib import checkpoints

twelve = replace(base, steps=12, warmup=4)


def start():
    torch.manual_seed(0)
    return Run(MLP(64, 128), twelve)


def go(run, file, *, dies=None):
    """Train, with a checkpoint every third step."""

    def prepare(x_0):  # each step calls it
        if run.step == dies:
            raise KeyboardInterrupt
        return x_0

    records = training_steps(
        run, schedule, diffusion.EPS, points, prepare=prepare
    )
    for _ in checkpoints.checkpointed(records, run, file, every=3):
        pass
    return torch.cat([w.flatten() for w in run.average.parameters()])


with tempfile.TemporaryDirectory() as folder:
    file, other = Path(folder, "run"), Path(folder, "other")
    whole_run = go(start(), other)
    try:
        go(start(), file, dies=7)
    except KeyboardInterrupt as stopped:
        print(str(stopped).replace(folder, "…"))
    saved = checkpoints.load(file)

    def resumed(**forgotten):
        run = start()
        checkpoints.restore(run, saved._replace(**forgotten))
        return go(run, other)

    fresh = start()
    generators = {
        "chance": fresh.chance.get_state(),
        "noise": fresh.noise.get_state(),
    }
    went_on = resumed()
    wrong = {
        "Adam's averages forgotten": resumed(optimizer={}),
        "the generators start again": resumed(random=generators),
        "the average starts again": resumed(average=saved.network),
        "the number of the step forgotten": resumed(step=0),
    }

# %% tags=["claim"]
claim(
    "eq:resumed",
    got=went_on,
    want=whole_run,
    rejects=wrong,
    atol=1e-30,
)

# %% [markdown]
# None of the four stops a program, and each makes another model. The generators are easily forgotten: a program that sets its seed at the start of each resumed run trains on the same batches and the same noises again and again.
#
# ### Half the bits
#
# The type bfloat16 has the range of a usual 32-bit number with 8 of its 24 binary digits: about two and a half decimal ones. On hardware made for it a network runs faster. Its weights, Adam's averages and the loss stay in 32 bits, and only the products inside the network are rounded. Is the result different? We ask twice: our model with the products rounded, on the same unseen pictures and noises, and the MLP trained both ways for a hundred steps.


# %% tags=["nbval-check-output"]
def rounded(x_t, t):
    with torch.autocast(device, torch.bfloat16):
        return network(x_t, t)


few = torch.arange(1, T + 1, max(1, T // 1000))
full = losses_of(network, unseen, few, seed=1)
half = losses_of(rounded, unseen, few, seed=1)
print(f"loss in 32 bits     {pm(full)}")
print(f"change by rounding  {(half - full).mean().abs():.3f}")

hundred = replace(base, steps=100)
pair = [
    own_error(trained(replace(hundred, bfloat16=bits), 0)[0])
    for bits in (False, True)
]
print("own error of the MLP: {:.3f}, and {:.3f}".format(*pair))

# %% [markdown]
# The loss of our model changes by less than its standard error, and by less than a hundredth of itself; the MLP's own error is the same in both. At this size, precision is not what limits us. Whether it is faster depends on the hardware; on a CPU without instructions for it, it is slower.
#
# ## Your own pictures
#
# The same training learns from any folder. A `System` is a network together with its schedule and its parameterization, stated once. Training and sampling both get it whole, so they cannot disagree: a network that was trained to predict $v$ and is read as if it predicted $\epsilon$ draws nonsense, and no program complains. For pictures of 32 by 32 pixels put `size=32`, a shape of 32 by 32 and some 2000 steps. Here five hundred digits, saved as files, stand for them, and the training takes a few seconds.

# %% mystnb={"image": {"alt": "Eight pictures of 8 by 8 pixels with bright strokes on black, nearly gray, some of which can be guessed to be digits."}}
import tempfile
from pathlib import Path

from PIL import Image

from ddpm_lib import schedules, systems
from ddpm_lib.data import image_folder
from ddpm_lib.plotting import grid

numbers = digits.train[:, 0]  # (N, 8, 8)
folder = tempfile.TemporaryDirectory()
for i in range(500):
    picture = Image.fromarray(numbers[i].numpy())
    picture.save(Path(folder.name) / f"{i}.png")

photos = image_folder(folder.name, size=8).pixels
system = systems.System(
    schedules.cosine(), UNet(3, (16, 32), blocks=1), diffusion.V
)
system = systems.learn(system, photos, Settings(steps=300))
*_, drawn = systems.walk(system, (8, 3, 8, 8), steps=20)
grid(drawn, rows=1)

# %% [markdown]
# From the command line it is one command, `ddpm train --data photos --size 32`. It chooses the widths of the network from the size, prints everything that it is about to do, writes checkpoints, goes on after an interruption with `--resume`, and ends with samples and a film. `--steps`, `--batch`, `--lr`, `--width`, `--flips` and `--seed` change the settings, also those of a recipe by name: `ddpm train mnist --steps 2000`. Two things are worth knowing. A tenth of your pictures is kept apart. And if they lie in one folder for each class, `ddpm evaluate` measures a Fréchet distance in the features of a classifier of these classes; without classes there is nothing from which features could be learned, and it wants Inception's, with `--inception`.
#
# ## Play with it
#
# While our model trained, `runs.once` sorted the loss of every draw by its time, into twenty bins, and wrote down the means every hundred steps. The figure has them all, beside the references for the same bins. Training sees the training pictures, so here both references are about those.

# %% tags=["figure"] mystnb={"image": {"alt": "The loss for each t after 100, 300 and 2000 steps, beside the loss of the linear denoiser. After 100 steps it is above the linear one nearly everywhere; after 2000 steps it is below it for small t, and slightly above it near t = T."}, "figure": {"name": "fig-training", "caption": "The loss of the course's model in each of twenty bins of $t$, while it trained. Thin: the end of the training. Dotted: the memorizer on its own collection."}}
from ddpm_lib.course.explore import explorable

bins = (torch.arange(T) * 20) // T
per_bin = [linear[bins == i].mean().item() for i in range(20)]
drawn = (t - 1) * 20 // T
below = [own[drawn == i].mean().item() for i in range(20)]

still, ax = plt.subplots(figsize=(4.2, 2.3))
for row, line, color in [
    (0, ":", NOISE),
    (2, "--", GRAY),
    (-1, "-", MODEL),
]:
    step, now = rows[row]
    ax.semilogy(middles, now, line, color=color, label=f"step {step}")
ax.semilogy(middles, per_bin, "--", color=DATA, label="linear denoiser")
ax.set(xlabel="$t$", ylabel="loss per pixel", ylim=(3e-4, 2))
ax.legend(fontsize=8)
explorable(
    "training",
    {
        "T": T,
        "steps": [step for step, _ in rows],
        "losses": [[round(x, 6) for x in now] for _, now in rows],
        "linear": [round(x, 6) for x in per_bin],
        "memorizer": [round(x, 6) for x in below],
    },
    still=still,
)

# %% [markdown]
# ## Where tutorials go wrong
#
# Again a cell with the numbers first.


# %% tags=["nbval-check-output"]
m_t = on_unseen[t.argsort(stable=True)].reshape(100, -1)
within = m_t.var(1).mean()
between = m_t.mean(1).var() - within / m_t.shape[1]
one, B = on_unseen.var(), 64
print(
    f"loss of a batch: {on_unseen.mean():.2f} ± {(one / B).sqrt():.2f}"
)
print(f"one t for all:        ± {(between + within / B).sqrt():.2f}")
needed = one / (0.01 * on_unseen.mean()) ** 2
print(f"over 5000 draws for one percent: {bool(needed > 5000)}")

chance = seeded(7)
x_0, second = (
    unseen[:150],
    torch.randn(unseen[:150].shape, generator=chance),
)
eps_1 = torch.randn(x_0.shape, generator=chance)
u = torch.randint(1, T + 1, (len(x_0),), generator=chance)
with torch.no_grad():
    x_u = diffusion.add_noise(schedule, x_0, u, eps_1).to(device)
    answer = network(x_u, u).cpu()
print(
    f"\nright noise as target: {(eps_1 - answer).square().mean():.2f}"
)
print(f"a second noise:        {(second - answer).square().mean():.1f}")

clean = points[:1600]
u = torch.randint(1, T + 1, (1600,), generator=chance)
old, new = torch.randn(2, 1600, 64, generator=chance)


def stored_batch():
    """128 of the pairs that were made once and for all."""
    which = torch.randint(1600, (128,))
    return clean[which], u[which], old[which]


@torch.no_grad()
def mean_loss(network, eps):
    """For the stored pictures and their times."""
    return diffusion.loss(
        schedule, network, diffusion.EPS, clean, t=u, eps=eps
    ).mean()


kinds = {
    "stored pairs": stored_batch,
    "fresh noise": partial(fresh_batch, clean),
}
print("\ntrained on    stored noise  new noise")
on_new = []
for name, batch in kinds.items():
    network_of, _ = plain(adam, steps=600, batch=batch)
    on_old, now = (mean_loss(network_of, eps) for eps in (old, new))
    on_new.append(now)
    print(f"{name:14}{on_old:>12.2f}{now:>11.2f}")
assert on_new[0] > 1.1 * on_new[1]

with torch.no_grad():
    before = run.network.train()(probe, probe_t)
    after = run.network.eval()(probe, probe_t)
same = torch.equal(before, after)
assert same
print(f"\ntrain() and eval() answer the same: {same}")
added = (1 - m_t[-1].mean()) / T
print(f"t from 0 to T − 1: mean up by {added:.3f}")

# %% [markdown]
# *A loop over $t$.* Some programs take a batch through all $t = 1, \dots, T$ in turn, or draw one $t$ for the whole batch. By {eq}`eq:shared-t` the gradient is right on average and much noisier. For our model, one batch of 64 has a loss of 0.14 ± 0.02 with a time for each picture, and ± 0.13 with one time for all: the first number is a measurement, the second is not.
#
# *The loss of one batch.* Even with times of their own, the loss of a batch scatters by a seventh of its value. To know the mean to one percent takes more than five thousand draws, about eighty batches. A printed "epoch 30: loss 0.131" of the last batch is mostly luck, and so is the checkpoint with the smallest loss. Chapter 9 kept one, and found weights from the first third of the training.
#
# *A second noise.* In one published listing, the function that makes $x_t$ draws a noise and keeps it to itself, and the loss draws another. Our good model then has a loss of 1.8: by {eq}`eq:second-noise`, 1 plus the mean square of its answers. A network that trains on it learns to answer zero, for a loss of 1.00, which is where it began ({eq}`eq:first-loss`).
#
# *Stored pairs.* "Make noised versions of each picture and store them with their noise as a data set." It works like any data set that is too small. The MLP, trained for 600 steps on 1600 stored pairs, has a loss of 0.29 on them, and of 0.43 on the same pictures at the same times with new noise. Trained on the same pictures for as long, with a fresh noise and time for each draw, it has 0.36 on both: it knows neither noise. So the pairs make the loss that we watch smaller, and the one that counts larger. Noise is the one thing of which there is never too little: draw it.
#
# *Times from 0 to $T - 1$.* With tables indexed by $t$ itself, where $\bar\alpha_0 = 1$, a time of 0 asks for the noise in a picture without any, and its loss is 1 or more, whatever the network answers. It costs one draw in a thousand and moves the mean by 0.001; and the sampler's first question, about $t = T$, was never trained. Nothing shows it but a comparison number by number, as under {eq}`def:training-step`.
#
# *A summed loss with SGD.* Above: harmless under Adam, `nan` under plain descent. A program copied with its sum but not with its optimizer fails at once, and the cure is to divide by $d$.
#
# *The last weights in place of the average.* With a constant rate, as in most tutorials, the last weights have an own error of 0.068 and their average 0.043. If you average, sample from the average, and give it a memory that grows.
#
# *`eval()` and `no_grad()`.* Forgetting the first changes nothing in our network, exactly 0: it has no dropout and no batch statistics. With either of these it would change every sample. Forgetting the second changes no number at all, and in a sampling loop it keeps the whole history of a thousand network calls in memory.
#
# *"Hyperparameters matter little."* The learning rate and its warm-up make the difference between 0.62 and 0.046 in the table above, a factor of 13. That other parts of the loop do nothing here is a statement about our size.
#
# ## Exercises
#
# Each exercise has a cell for your answer. The check below it says whether the answer is right and, if not, which mistake it looks like.
#
# :::{exercise} Two reports
# :label: ex-two-reports
#
# A lab report on color pictures of 32 by 32 pixels gives a loss of 0.034 per pixel. Another, on the same data with the same schedule, gives 92.16, summed over the picture. What is the second loss per pixel, in the unit of the first?
# :::

# %%
from ddpm_lib.course.checks import training as check

per_pixel = ...
check.per_pixel(per_pixel)

# %% [markdown]
# :::{solution-start} ex-two-reports
# :class: dropdown
# :::
#
# The picture has $3\cdot 32\cdot 32 = 3072$ numbers, and by {eq}`eq:loss-scales` $92.16/3072 = 0.03$. The second is the lower one. (In both, "per pixel" means per number, with the colors counted.)

# %% tags=["solution"]
per_pixel = 92.16 / (3 * 32 * 32)
check.per_pixel(per_pixel)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} How long a memory?
# :label: ex-memory
#
# You want averaged weights with a mean age of 20 steps, in a training that is long enough for {eq}`eq:memory-age`. Which memory $m$ do you set?
# :::

# %%
memory = ...
check.memory(memory)

# %% [markdown]
# :::{solution-start} ex-memory
# :class: dropdown
# :::
#
# Solve $m/(1-m) = 20$: $m = 20 - 20m$, so $m = 20/21 = 0.952$. The usual rule of thumb, $1 - 1/20 = 0.95$, has a mean age of 19 steps: close enough in practice, and for $m = 0.999$ it makes no difference that anybody sees.

# %% tags=["solution"]
memory = 20 / 21
check.memory(memory)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Clip it yourself
# :label: ex-clip
#
# Write line 3 of {eq}`def:training-step` for a list of tensors: return the list of shortened gradients.
# :::


# %%
def clip(gradients, longest):
    """gradients: a list of tensors"""
    return ...


check.clip(clip)

# %% [markdown]
# :::{solution-start} ex-clip
# :class: dropdown
# :::
#
# The length is that of all tensors together: the root of the sum of all squares. One factor for all keeps the direction. The minimum with 1 leaves short gradients alone.


# %% tags=["solution"]
def clip(gradients, longest):
    length = sum(g.square().sum() for g in gradients).sqrt()
    factor = (longest / length).clamp(max=1)
    return [factor * g for g in gradients]


check.clip(clip)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A reference for the velocity
# :label: ex-velocity-reference
#
# You train a network that predicts $v$ ({eq}`def:v`), and want to know what the best linear denoiser pays in that unit. Write it for one $t$, from $\bar\alpha_t$ and the eigenvalues $\lambda_i$. What is it at $\bar\alpha_t \to 0$, and why is that no surprise?
# :::


# %%
def velocity_reference(lam, alpha_bar_t):
    """lam: (d,)  ->  ()"""
    return ...


check.velocity_reference(velocity_reference)

# %% [markdown]
# :::{solution-start} ex-velocity-reference
# :class: dropdown
# :::
#
# The loss of $\hat v$ is that of $\hat\epsilon$ over $\bar\alpha_t$, so the factor $\bar\alpha_t$ in the numerator of {eq}`eq:linear-reference` cancels: the mean of $\lambda_i/(\bar\alpha_t\lambda_i + 1 - \bar\alpha_t)$. At $\bar\alpha_t \to 0$ it is the mean of the $\lambda_i$, the variance of the data per pixel. There $v = -x_0$, and from pure noise nothing is known of $x_0$.


# %% tags=["solution"]
def velocity_reference(lam, alpha_bar_t):
    return (lam / (alpha_bar_t * lam + 1 - alpha_bar_t)).mean()


check.velocity_reference(velocity_reference)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Sixteen digits
# :label: ex-sixteen
#
# An experiment. Train the small UNet on sixteen of the digits alone, say for 150 steps with a rate of $4\cdot10^{-3}$, and measure its loss on these sixteen and on the unseen ones, with many draws of $t$ and noise. `losses_of` and `small_unet` are above. Give both losses. Which of the references of this chapter can the first one fall below, and which not?
# :::

# %%
on_sixteen, on_others = ..., ...
check.sixteen(on_sixteen, on_others)

# %% [markdown]
# :::{solution-start} ex-sixteen
# :class: dropdown
# :::
#
# The loss on the sixteen falls below that on the others: the network learns these pictures, not digits. It can fall below the floor of all digits, because sixteen pictures are another distribution, with a floor of its own. It cannot fall below the memorizer of the sixteen. The gap between the two losses is the sign to look for in your own trainings.

# %% tags=["solution"]
sixteen = pixels[:16]
run = Run(small_unet(), Settings(steps=150, learning_rate=4e-3))
for _ in training_steps(
    run, schedule, diffusion.EPS, sixteen, prepare=scale
):
    pass
when = torch.arange(T) + 1
on_sixteen, on_others = (
    losses_of(run.average, scale(part), when, 8, "cpu").mean()
    for part in (sixteen, held_out)
)
check.sixteen(on_sixteen, on_others)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: training
# :class: card
#
# $$
# \begin{aligned}
# \text{step} \quad & \ell = \text{mean of } (\epsilon - \hat\epsilon)^2, \quad \text{Adam}\\
# & g \leftarrow g\min(1, c/\lVert g\rVert)\\
# \text{average} \quad & \bar\theta \leftarrow m_k\bar\theta + (1 - m_k)\,\theta\\
# & m_k = \min\Bigl(m, \frac{k}{k+9}\Bigr)\\
# \text{its age} \quad & \tfrac{n}{10} \text{ while it grows}, \quad \tfrac{m}{1-m} \text{ later}\\
# \text{rate} \quad & \eta\,\min(1, k/w)\\
# & {}\cdot\tfrac12\bigl(1 + \cos(\pi(k-1)/n)\bigr)\\
# \text{fence} \quad & \text{memorizer on its own}\\
# & \le \text{floor} \le \ell_{\mathrm{lin}}(t)\\
# \text{linear} \quad & \ell_{\mathrm{lin}}(t) = \frac1d\sum_i\frac{\bar\alpha_t\lambda_i}{\bar\alpha_t\lambda_i + 1 - \bar\alpha_t}
# \end{aligned}
# $$
#
# Judge a loss by $t$, beside a reference, in a unit that you can name. Save everything that the next step reads. What you add to the loop should show what it does.
# :::
#
# A trained model waits in a file. Chapter 14 lets it draw.
