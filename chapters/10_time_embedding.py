# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Telling the network the time
#
# The best guess of the noise depends on $t$, and chapter 8 computed what it costs not to know it, {eq}`eq:time-gap`. So the network has to be told. But $t$ is a single number between 1 and 1000, and a network multiplies what it is given by weights, adds, and bends. What should $t$ look like when it enters, and where should it enter? The usual answers are a wall of sines and cosines, and a shift somewhere in every block. This chapter derives the first, and measures both.
#
# :::{admonition} At a glance
# :class: glance
#
# 30 minutes to read; it runs in less than a minute on one core of a laptop's CPU, and needs no GPU. You need the best denoiser of chapter 8 and the model in the plane of chapter 9.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "A heat map of 64 rows over t from 0 to 1000. The upper half holds sines, the lower half cosines. The first rows of each half alternate between black and white every few steps; further down the waves get longer, in fans that open from the left, and the last rows are of one shade from left to right, gray for the sines and white for the cosines."}, "figure": {"name": "fig-embedding", "caption": "The time in the form in which the network of chapter 9 gets it: one column of 64 numbers for each $t$, sines above and cosines below. Rows $j$ and $32 + j$ together are the tip of a clock hand. The first hand turns once in about six steps, the last has hardly moved at $t = 1000$."}}
import matplotlib.pyplot as plt
import torch

from ddpm_lib.networks.embedding import Sinusoidal
from ddpm_lib.plotting import MODEL, NOISE, style

style()
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

# The budget. With device = "cpu" it is the small one, everywhere.
device = "cuda" if torch.cuda.is_available() else "cpu"
steps, seeds = (400, 5) if device != "cpu" else (150, 3)

T = 1000
every_t = torch.arange(T + 1)
fig, ax = plt.subplots(figsize=(6.4, 2.6))
ax.imshow(
    Sinusoidal(64)(every_t).T,
    aspect="auto",
    cmap="gray",
    interpolation="nearest",
    extent=(0, T, 64, 0),
)
ax.axhline(32, color=NOISE, lw=1)
ax.set(xlabel="$t$", ylabel="row of the embedding", yticks=[0, 32, 64])
ax.grid(False)
plt.show()

# %% [markdown]
# Where there is a GPU, the experiment at the end trains longer and with more seeds; with `device = "cpu"` above it does not.
#
# ## What is wrong with one number
#
# Suppose we give the network $t$ itself. A unit of its first layer computes $w\,t + b$ and bends it. With $w = 1$ the result runs up to 1000, and the layer behind it sees little else. With $w = 1/1000$ it stays below 1, and two neighboring times differ by a thousandth. A bend that tells $t = 3$ from $t = 5$ must be sharp, which takes a large $w$, and then the unit is saturated or linear almost everywhere else. Nothing forbids a network to build such units. It has to find them, though, one for each range of times, before it can do anything useful with them.
#
# So we turn the question around, and ask what a good description $e(t)$ of the time would be, as a vector of $d$ numbers. Its numbers should be bounded, for all $t$. No time should be louder than another: all $e(t)$ should have the same length. Near times should have similar vectors, since what is to be computed at $t = 500$ is nearly what is to be computed at $501$. Far times should be easy to tell apart. And what "three steps later" means should not depend on where we are.
#
# ## One clock hand
#
# A clock hand does most of this. Let it turn by an angle $\omega$, its *frequency*, in each step, and write down where its tip is:
#
# $$
# h(t) = \begin{pmatrix}\sin\omega t\\ \cos\omega t\end{pmatrix} .
# $$ (def:clock-hand)
#
# Its numbers lie between $-1$ and $1$, and its length is 1 for every $t$. How similar are two of its positions? Take the inner product, and use that $\cos(x - y) = \cos x\cos y + \sin x\sin y$:
#
# $$
# \begin{aligned}
# h(t)\cdot h(u) &= \sin\omega t\,\sin\omega u + \cos\omega t\,\cos\omega u\\
# &= \cos\bigl(\omega\,(t-u)\bigr) .
# \end{aligned}
# $$ (eq:hand-product)
#
# Only the difference of the times is left. And going on by $k$ steps turns the hand by $\omega k$, wherever it stands. By the sums of angles,
#
# $$
# \begin{aligned}
# \sin\omega(t+k) &= \sin\omega t\cos\omega k + \cos\omega t\sin\omega k ,\\
# \cos\omega(t+k) &= \cos\omega t\cos\omega k - \sin\omega t\sin\omega k .
# \end{aligned}
# $$
#
# In matrix form,
#
# $$
# h(t+k) = \begin{pmatrix}\cos\omega k & \sin\omega k\\ -\sin\omega k & \cos\omega k\end{pmatrix} h(t) .
# $$ (eq:hand-turn)
#
# The matrix does not contain $t$. "Three steps later" is one linear map, the same at all times, and a linear map is what a layer of the network can learn.

# %% tags=["claim"]
import sympy as sp

from ddpm_lib.course.claims import claim, mean

w, t, u, k = sp.symbols("omega t u k", real=True)


def hand(time, sine=w, cosine=w):
    return sp.Matrix([sp.sin(sine * time), sp.cos(cosine * time)])


claim(
    "eq:hand-product",
    got=sp.expand_trig(hand(t).dot(hand(u))),
    want=sp.expand_trig(sp.cos(w * (t - u))),
    rejects={
        "the sum of the times": sp.expand_trig(sp.cos(w * (t + u))),
        "a sine": sp.expand_trig(sp.sin(w * (t - u))),
        "sine and cosine at two frequencies": sp.expand_trig(
            hand(t, w, 2 * w).dot(hand(u, w, 2 * w))
        ),
    },
)
cos, sin = sp.cos(w * k), sp.sin(w * k)
claim(
    "eq:hand-turn",
    got=sp.expand_trig(sp.expand(hand(t + k))),
    want=sp.expand_trig(sp.Matrix([[cos, sin], [-sin, cos]]) * hand(t)),
    rejects={
        "the other direction": sp.expand_trig(
            sp.Matrix([[cos, -sin], [sin, cos]]) * hand(t)
        ),
        "a shift": hand(t) + hand(k),
    },
)

# %% [markdown]
# ## Many clock hands
#
# One hand is not enough. After a full turn of $2\pi/\omega$ steps it stands where it stood. If it is to tell 1000 times apart without ambiguity, it may turn only once, and then neighbors differ by an angle of $0.006$. A quick hand tells neighbors apart and repeats itself; a slow one does the opposite. Clocks have solved this: they have several hands. We take $n = d/2$ of them, and let the frequencies fall from 1 to $1/\Lambda$ by the same factor from each hand to the next. The published choice is $\Lambda = 10{,}000$:
#
# $$
# \begin{aligned}
# e(t) &= (\sin\omega_0 t, \dots, \sin\omega_{n-1} t,\\
# &\qquad \cos\omega_0 t, \dots, \cos\omega_{n-1} t),\\
# \omega_j &= \Lambda^{-j/(n-1)}, \qquad j = 0, \dots, n-1 .
# \end{aligned}
# $$ (def:sinusoidal)
#
# This is the *sinusoidal embedding*. It comes from the Transformer {cite:p}`vaswani2017`, where the exponent is $-j/n = -2j/d$; with $-j/(n-1)$, as in the program of {cite:t}`ho2020`, the slowest frequency is exactly $1/\Lambda$. The order of the entries does not matter, since the layer behind them is free to weigh them in any order. In code it is three lines, and the library's has the same three.


# %%
import inspect


def embed(t, d, longest=10_000.0):
    """t: (B,)  ->  (B, d)"""
    j = torch.arange(d // 2)
    angles = t[:, None] * longest ** (-j / (d // 2 - 1))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


print(inspect.getsource(Sinusoidal))

# %% [markdown]
# A student club's listing gives *every* entry $i = 0, \dots, d - 1$ a frequency of its own, $\Lambda^{-2i/d}$, and then takes the sine of the even and the cosine of the odd entries. It would be the Transformer's formula if $i$ counted pairs. We keep this *slip* for comparison.


# %%
def published(t, d, longest=10_000.0):
    """Sine and cosine of a pair at two frequencies.  (B,) -> (B, d)"""
    angles = t[:, None] * longest ** (-2 * torch.arange(d) / d)
    angles[:, 0::2] = angles[:, 0::2].sin()
    angles[:, 1::2] = angles[:, 1::2].cos()
    return angles


# %% tags=["claim"]
claim(
    "def:sinusoidal",
    got=Sinusoidal(100)(every_t),
    want=embed(every_t, 100),
    rejects={
        "the frequencies not paired": published(every_t, 100),
        "the exponent $j / n$ of the Transformer": torch.cat(
            [
                (
                    every_t[:, None] * 1e4 ** (-torch.arange(50) / 50)
                ).sin(),
                (
                    every_t[:, None] * 1e4 ** (-torch.arange(50) / 50)
                ).cos(),
            ],
            dim=1,
        ),
        "$t$ divided by $T$": embed(every_t / T, 100),
    },
)

# %% [markdown]
# What we wished for now follows hand by hand. Each hand has length 1, and squares of lengths add up. Each hand's inner product is {eq}`eq:hand-product`, and inner products add up too:
#
# $$
# \lVert e(t)\rVert^2 = \frac d2 ,
# $$ (eq:embedding-norm)
#
# $$
# e(t)\cdot e(u) = \sum_{j=0}^{n-1}\cos\bigl(\omega_j\,(t-u)\bigr) .
# $$ (eq:embedding-product)

# %% tags=["claim"]
d, n = 100, 50
omega = 1e4 ** (-torch.arange(n) / (n - 1))
e, slip = Sinusoidal(d)(every_t), published(every_t, d)
claim(
    "eq:embedding-norm",
    got=e.square().sum(1),
    want=torch.full((T + 1,), d / 2),
    rejects={
        "of the published frequencies": slip.square().sum(1),
        "the number of entries": torch.full((T + 1,), float(d)),
    },
)
apart = every_t[:, None] - every_t[::50]
claim(
    "eq:embedding-product",
    got=e @ e[::50].T,
    want=(omega * apart[..., None]).cos().sum(-1),
    rejects={
        "of the published frequencies": slip @ slip[::50].T,
        "sines of the differences": (
            (omega * apart[..., None]).sin().sum(-1)
        ),
    },
)

# %% [markdown]
# Every $e(t)$ lies on one sphere, and the embedding is a curve on it. Does it run along evenly? Its velocity is the derivative with respect to $t$, $\omega_j\cos\omega_j t$ in the sines and $-\omega_j\sin\omega_j t$ in the cosines. Square and add: each hand contributes $\omega_j^2$, whatever $t$ is. With $r = \omega_1 = \Lambda^{-1/(n-1)}$ the frequencies are $\omega_j = r^j$, and the sum is geometric:
#
# $$
# \Bigl\lVert\frac{de}{dt}\Bigr\rVert^2 = \sum_{j=0}^{n-1}\omega_j^2 = \sum_{j=0}^{n-1} r^{2j} = \frac{1 - r^{2n}}{1 - r^2} .
# $$ (eq:embedding-speed)
#
# A curve of constant speed. No stretch of time is described more finely than another.

# %% tags=["claim"]
when = torch.tensor([0.0, 3.0, 141.5, 999.0])
velocity = torch.autograd.functional.jacobian(
    lambda t: Sinusoidal(d)(t).sum(0), when
)
r = 1e4 ** (-1 / (n - 1))
claim(
    "eq:embedding-speed",
    got=velocity.square().sum(0),
    want=torch.full((4,), (1 - r ** (2 * n)) / (1 - r**2)),
    rejects={
        "frequencies not squared": (1 - r**n) / (1 - r) * torch.ones(4),
        "one hand too many": (1 - r ** (2 * n + 2))
        / (1 - r**2)
        * torch.ones(4),
    },
)

# %% [markdown]
# ## How similar are near and far times?
#
# By {eq}`eq:embedding-product` the similarity of two times, $e(t)\cdot e(u)$ divided by its largest value $n$, is the mean of $\cos(\omega_j\Delta)$ over the hands, with $\Delta = |t - u|$. Let the number of hands grow, so that the exponents $j/(n-1)$ fill the interval from 0 to 1 evenly. The mean becomes an integral:
#
# $$
# \frac{e(t)\cdot e(u)}{n} \to \int_0^1 \cos\bigl(\Lambda^{-y}\Delta\bigr)\,dy .
# $$
#
# Substitute $z = \Lambda^{-y}\Delta$. Then $dz = -z\ln\Lambda\,dy$, so that $dy = -dz/(z\ln\Lambda)$, and $z$ runs from $\Delta$ down to $\Delta/\Lambda$. The minus sign turns the limits around:
#
# $$
# \int_0^1 \cos\bigl(\Lambda^{-y}\Delta\bigr)\,dy = \frac{1}{\ln\Lambda}\int_{\Delta/\Lambda}^{\Delta}\frac{\cos z}{z}\,dz .
# $$
#
# The integral of $\cos z/z$ has a name, the cosine integral $\mathrm{Ci}$. It fades to 0 for large $z$, and for small $z$ it is $\gamma + \ln z$ up to a term of the order of $z^2$, with Euler's constant $\gamma = 0.577$:
#
# $$
# \begin{aligned}
# \int_0^1 \cos\bigl(\Lambda^{-y}\Delta\bigr)\,dy &= \frac{\mathrm{Ci}(\Delta) - \mathrm{Ci}(\Delta/\Lambda)}{\ln\Lambda}\\
# &\approx 1 - \frac{\gamma + \ln\Delta}{\ln\Lambda} .
# \end{aligned}
# $$ (eq:log-similarity)
#
# The last step is for $1 \ll \Delta \ll \Lambda$: the first $\mathrm{Ci}$ is dropped, and in the second $-\ln(\Delta/\Lambda) = \ln\Lambda - \ln\Delta$. So similarity falls with the *logarithm* of the distance. By the formula it loses as much from 10 steps to 100 as from 100 to 1000, a quarter each for $\Lambda = 10{,}000$. This is what equal factors between the frequencies are for. Whether a network must tell $t = 3$ from $5$ or $300$ from $500$, there are hands for it, and about as many. The claim tests the equality, with 200,001 hands; the table after it tests the approximation, with 50.

# %% tags=["claim"]
lags = [3, 20, 141, 800]
y = torch.linspace(0, 1, 200_001)
many = torch.stack(
    [torch.trapezoid((1e4**-y * lag).cos(), y) for lag in lags]
)
cosine_integral = torch.tensor(
    [
        [float(sp.Ci(lag).evalf()), float(sp.Ci(lag / 1e4).evalf())]
        for lag in lags
    ]
)
log_L, log_lag = torch.tensor(1e4).log(), torch.tensor(lags).log()
claim(
    "eq:log-similarity",
    got=many,
    want=(cosine_integral[:, 0] - cosine_integral[:, 1]) / log_L,
    rejects={
        "without Euler's constant": 1 - log_lag / log_L,
        "linear in the distance": 1 - torch.tensor(lags) / 1e4,
        "the slowest hand alone": (torch.tensor(lags) / 1e4).cos(),
    },
    atol=1e-7,
)

# %% tags=["nbval-check-output"]
print("distance 50 hands  formula  published")
for lag in (1, 10, 100, 1000):
    similar = (omega * lag).cos().mean()
    formula = 1 - (0.5772 + torch.tensor(lag).log()) / log_L
    pairs = (slip[lag:] * slip[:-lag]).sum(1) / n
    print(
        f"{lag:>8}{similar:>9.2f}{formula:>9.2f}  "
        f"{pairs.min():.2f} to {pairs.max():.2f}"
    )
lengths = slip.square().sum(1)
still = (slip.amax(0) - slip.amin(0) < 0.02).sum()
print(f"\npublished: squared length {lengths.min():.0f} to ", end="")
print(
    f"{lengths.max():.0f},\n  {still} of {d} entries all but constant"
)
print(f"paired: squared length {e.square().sum(1).mean():.0f}")
quarter = (omega * T < torch.pi / 2).sum()
print(f"under a quarter turn up to T: {quarter} of {n}")

# %% tags=["figure"] mystnb={"image": {"alt": "Two panels of similarity against u from 0 to 1000, each with a solid, a dashed and a dotted curve for t = 200, 500 and 800, named at their peaks. Left, paired: three curves of one shape, each with a sharp peak of height 1 at its t and falling to both sides like a logarithm. Right, published slip: the peaks differ a little in height, each falls in its own way, and away from them all three curves wander between 0.5 and 0.8."}, "figure": {"name": "fig-similarity", "caption": "Similarity of $e(t)$ with all other $e(u)$, for $t = 200$ (solid), 500 (dashed) and 800 (dotted), where the curves peak. Left: with paired frequencies each $t$ sees the same landscape, moved. Right: with the published slip a time's neighborhood depends on where it lies."}}
fig, axes = plt.subplots(1, 2, figsize=(5.8, 2.6), sharey=True)
for ax, vectors, name in zip(
    axes, (e, slip), ("paired", "published slip"), strict=True
):
    for at, line in ((200, "-"), (500, "--"), (800, ":")):
        similar = vectors @ vectors[at] / n
        ax.plot(every_t[::10], similar[::10], line, color=MODEL, lw=1)
        place = at, similar[at] + 0.03
        ax.annotate(f"$t = {at}$", place, ha="center", fontsize=8)
    ax.set(title=name, xlabel="$u$", xticks=[0, 200, 500, 800])
    ax.set_ylim(top=1.22)
axes[0].set_ylabel("similarity")
plt.show()

# %% [markdown]
# At the distances printed here up to 100, the sum of 50 hands stays within 0.05 of the formula. At 1000 it is 0.08 lower, and between the printed distances it can be as far off: 50 cosines of large angles do not quite average out. The published slip has neither {eq}`eq:embedding-norm` nor {eq}`eq:embedding-product`: its vectors are not equally long, the similarity of two times depends on where they lie, and almost half of its entries say the same at all times, because their frequencies go on falling to about $10^{-8}$. A network trained with it works all the same, as we will see below. The loss does not show the slip. A look at the geometry does.
#
# The last printed line is the price of $\Lambda = 10{,}000$ for $T = 1000$: 15 of 50 hands turn less than a quarter around. The slowest of them hardly move, and say next to nothing.
#
# ## A table to be learned
#
# The other way to get vectors is to have them learned, as for the words of a language: a table of $T + 1$ rows, row $t$ for time $t$, drawn at random and trained with the rest. What does the table know before training? If each entry is drawn from $\mathcal N(0, 1)$, the difference of two rows has variance 2 in each of its $d$ entries, whichever two they are:
#
# $$
# \mathbb E\lVert e(t) - e(u)\rVert^2 = 2d \qquad \text{for all } t \neq u .
# $$ (eq:table-distance)
#
# Nothing says that 500 is near 501. The network must learn for each time separately what it could have learned once, and with $B$ pictures in a batch a row is drawn only $B/T$ times in a step, on average.

# %% tags=["claim"]
from ddpm_lib.networks.embedding import Learned

tables = torch.stack(
    [Learned(64).table.weight[:12] for _ in range(2000)]
)
between = (tables[:, [0, 0, 3]] - tables[:, [1, 9, 8]]).detach()
claim(
    "eq:table-distance",
    got=mean(between.square().sum(-1)),
    want=torch.full((3,), 2 * 64.0),
    rejects={
        "variances not added": torch.full((3,), 64.0),
        "growing with the distance in time": 128
        * torch.tensor([1.0, 9.0, 5.0]).sqrt(),
    },
)

# %% [markdown]
# ## Where to put it: a plane beside the picture
#
# Now the place. The simplest one is at the entrance: one more channel beside the picture, a *plane* whose pixels all hold the same number $c(t)$, such as $2t/T - 1$. Let the first layer be a convolution with kernels of $3\times3$ weights, which sums over a window around each pixel (chapter 11 takes it apart). For one of its outputs, write $K$ for the kernels on the channels of the picture and $k_1, \dots, k_9$ for the weights on the plane. A convolution is linear, so the plane's part can be split off, and there every window holds the same number nine times:
#
# $$
# \mathrm{conv}(x_t, \text{plane}) = K * x_t + c(t)\sum_{i=1}^{9} k_i .
# $$ (eq:plane)
#
# Inside the picture, that is. At its border some of the window lies in the padding, where the plane ends too, and fewer of the $k_i$ count. So a plane is a bias for each channel of the first layer that moves along a straight line with $t$: the single number of the beginning of this chapter, in another dress. All further layers must live on what that layer lets through.

# %% tags=["claim"]
from torch.nn import functional as F

x_t, kernels = torch.randn(1, 3, 8, 8), torch.randn(5, 4, 3, 3)
c = -0.35
plane = torch.full((1, 1, 8, 8), c)
both = F.conv2d(torch.cat([x_t, plane], 1), kernels, padding=1)
alone = F.conv2d(x_t, kernels[:, :3], padding=1)
bias = c * kernels[:, 3].sum((1, 2))[:, None, None]
claim(
    "eq:plane",
    got=both[0, :, 1:-1, 1:-1],
    want=(alone + bias)[0, :, 1:-1, 1:-1],
    rejects={
        "the same number for all channels": (alone + c)[
            0, :, 1:-1, 1:-1
        ],
        "the middle weight alone": (
            alone + c * kernels[:, 3, 1, 1][:, None, None]
        )[0, :, 1:-1, 1:-1],
        "the sign of $c$": (alone - bias)[0, :, 1:-1, 1:-1],
    },
)
corner = both[0, :, 0, 0] - alone[0, :, 0, 0]
print(
    "the corner has the same bias:",
    bool(corner.allclose(bias[:, 0, 0])),
)

# %% [markdown]
# ## Where to put it: in every block
#
# Ho et al. put the time into every block of the network. A block has a *feature map* $h$ inside, a number $h_{cp}$ for each channel $c$ and pixel $p$. A small network of two layers, which all blocks share, and one linear layer of the block turn $e(t)$ into one number $\delta_c$ for each channel, and that is added to all pixels of the channel: a *shift*. Then the block normalizes. Chapter 12 explains why, {eq}`eq:group-norm`; here it is enough what it does. The channels are divided into groups, and in each group $g$ the mean over all its channels and pixels is subtracted, and the result divided by the standard deviation. What becomes of the shift?
#
# Split $\delta_c$ into the mean of its group and the rest, $\delta_c = \bar\delta_g + (\delta_c - \bar\delta_g)$. The first part is the same for all numbers of the group. It raises their mean by $\bar\delta_g$ and does not change their standard deviation. So the normalization takes it out again:
#
# $$
# \mathrm{norm}(h + \delta) = \mathrm{norm}\bigl(h + \delta - \bar\delta\bigr) .
# $$ (eq:shift-lost)
#
# Of the numbers $\delta_c$ one in each group is lost. With eight groups of four channels that is a quarter, which can be borne. With groups of a *single* channel $\delta - \bar\delta$ is zero, and the time does not get in at all. That happens. `GroupNorm(32, 32)`, 32 channels in 32 groups, stands in a published network.

# %% tags=["claim"]
h, delta = torch.randn(2, 32, 4, 4), 2 * torch.randn(1, 32, 1, 1)
group_mean = delta.reshape(8, 4).mean(1).repeat_interleave(4)
rest = delta - group_mean[:, None, None]
pair_mean = delta.reshape(16, 2).mean(1).repeat_interleave(2)
claim(
    "eq:shift-lost",
    got=F.group_norm(h + delta, 8),
    want=F.group_norm(h + rest, 8),
    rejects={
        "all of the shift is lost": F.group_norm(h, 8),
        "the shift comes through": F.group_norm(h, 8) + delta,
        "the mean over pairs of channels": F.group_norm(
            h + delta - pair_mean[:, None, None], 8
        ),
    },
)

# %% tags=["nbval-check-output"]
for groups in (1, 8, 16, 32):
    change = F.group_norm(h + delta, groups) - F.group_norm(h, groups)
    size = change.square().mean().sqrt()
    print(f"{32 // groups:>2} channels a group: changed by {size:.2f}")

# %% [markdown]
# The fewer channels share a group, the less of the shift gets through; in groups of one it changes nothing.
#
# The other order is to normalize first and to let the time act on the result. Then nothing is taken out, and the time may also multiply. Two numbers for each channel, $\gamma_c$ and $\delta_c$, come from $e(t)$:
#
# $$
# h \;\mapsto\; (1 + \gamma_c)\,\mathrm{norm}(h) + \delta_c .
# $$ (def:scale-shift)
#
# This is *scale and shift* {cite:p}`dhariwal2021`. Is multiplying worth anything? Look at the answer that is wanted for the ring of chapter 9, {eq}`eq:ring-denoiser`: $\epsilon^* = (s/D_t)(x_t - a\,\bar m)$. The time stands in it as a *factor*, twice. A network that can only add has to imitate a product. With $\gamma_c = -1$ a channel is even switched off, so that the network can use different channels at different times.
#
# In the library a shift, scale and shift, and no time at all are interchangeable parts of a block.

# %%
from ddpm_lib.networks import embedding

for part in (embedding.Shift, embedding.ScaleShift, embedding.Ignore):
    print(inspect.getsource(part))

# %% [markdown]
# ## The experiment
#
# Which of them is best? We want to see it in the network's own error of {eq}`eq:own-error`, so we need data whose best denoiser is known, and for which the time matters. The ring of chapter 9 is both, with its $T = 200$. A point in the plane is taken for a picture of one pixel with two channels, so that the UNet of the library can be used as it is, with one level and one block. Each variant is trained with several seeds, for the same number of steps. A seed settles the batches, their times and their noise, so with one seed all variants see the same.
#
# The reference for the variant without time comes from chapter 8. Its best possible answer is the mean of the best answers over all times that are likely for the point, {eq}`eq:blind-guess`, and it pays for the spread of these answers, {eq}`eq:time-gap`. We compute both on test points, as means over the two coordinates.

# %%
from functools import partial

from ddpm_lib import diffusion, exact
from ddpm_lib.data import ring_centers
from ddpm_lib.networks.embedding import Ignore, Shift, TimePlane
from ddpm_lib.networks.unet import UNet
from ddpm_lib.schedules import linear

unit = (1.5**2 / 2 + 0.15**2) ** 0.5
means, width = ring_centers() / unit, 0.15 / unit
ring = exact.isotropic(torch.ones(8) / 8, means, width)
schedule = linear(200, 5e-4, 0.1)

chance = torch.Generator().manual_seed(9)
x_0 = exact.draw(ring, 4000, chance)
test_t = torch.randint(1, 201, (4000,), generator=chance)
noise = torch.randn(4000, 2, generator=chance)
test_x = diffusion.add_noise(schedule, x_0, test_t, noise)
best = exact.exact_denoiser(schedule, ring)(test_x, test_t).eps


def blind(x):
    """The best answers without t: means over the likely times."""
    log_q, answers = [], []
    for t in range(1, 201):
        a = schedule.alpha_bar[t].sqrt()
        D = (a * width) ** 2 + 1 - a**2
        log_w = -torch.cdist(x, a * means).square() / (2 * D)
        log_q.append(log_w.logsumexp(1) - D.log())
        pull = log_w.softmax(1) @ means
        answers.append((1 - a**2).sqrt() / D * (x - a * pull))
    likely = torch.stack(log_q).softmax(0)[..., None]
    return (likely * torch.stack(answers)).sum(0)


# %% tags=["nbval-check-output"]
floor = (noise - best).square().mean()
gap = (blind(test_x) - best).square().mean()
print(f"floor {floor:.2f}, without t\nat least {gap:.2f} more")

# %% [markdown]
# The variants differ in one line each. `Number` is $t/T$ in place of the embedding, and `Slip` the published frequencies. Around a single pixel the window of {eq}`eq:plane` is padding except in the middle, so the plane has one weight there in place of nine.


# %%
class Number(torch.nn.Module):
    """t / T in every entry."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, t):
        return (t / 200)[:, None].float().expand(-1, self.dim)


class Slip(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        table = published(torch.arange(201), dim).float()
        self.register_buffer("table", table)

    def forward(self, t):
        return self.table[t]


net = partial(UNet, 2, [24], blocks=1, attention=[])
variants = {
    "not told": lambda: net(condition=Ignore),
    "a plane": lambda: TimePlane(net(condition=Ignore, extra=1), 200),
    "t / T": lambda: net(embedding=Number),
    "a table": lambda: net(embedding=partial(Learned, T=200)),
    "sines, shift": lambda: net(condition=Shift),
    "sines, scale": net,
    "slip, scale": lambda: net(embedding=Slip),
}


def own_error(make, seed, points):
    """Train a variant; its mean squared distance from the best."""
    torch.manual_seed(seed)
    network = make().to(device)
    torch.manual_seed(100 + seed)  # whatever make() has drawn
    adam = torch.optim.Adam(network.parameters(), 5e-3, fused=True)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        which = torch.randint(len(points), (128,), device=device)
        t = torch.randint(1, 201, (128,))
        eps = torch.randn(128, 2, 1, 1, device=device)
        loss = diffusion.loss(
            schedule,
            network,
            diffusion.EPS,
            points[which],
            t=t,
            eps=eps,
        )
        adam.zero_grad()
        loss.mean().backward()
        adam.step()
    with torch.no_grad():
        x = test_x.float()[..., None, None].to(device)
        answer = network(x, test_t.to(device)).cpu()
    return (answer[..., 0, 0] - best).square().mean()


torch.set_default_dtype(torch.float32)
points = exact.draw(ring, 20_000, chance).float()[..., None, None]
points = points.to(device)
errors = {
    name: torch.stack(
        [own_error(make, i, points) for i in range(seeds)]
    )
    for name, make in variants.items()
}
torch.set_default_dtype(torch.float64)

print("own error in hundredths ± standard error")
for name, error in errors.items():
    print(
        f"{name:<14}{100 * error.mean():>6.1f} "
        f"± {100 * error.std() / seeds**0.5:.1f}"
    )

# %% tags=["nbval-check-output"]
told = {name: errors[name] for name in list(errors)[1:]}
means = {name: 100 * error.mean() for name, error in told.items()}
print(f"not told: {100 * errors['not told'].mean():.0f} hundredths")
print(f"told:     {min(means.values()):.0f}", end=" to ")
print(f"{max(means.values()):.0f}, most: {max(means, key=means.get)}")
for name in ("a table", "t / T", "slip, scale"):
    ahead = (errors["sines, scale"] < errors[name]).sum()
    print(f"sines ahead of {name}: {ahead} of {seeds} seeds")
worst = max(error.max() for error in told.values())
assert errors["not told"].min() > max(gap, 2 * worst)

# %% tags=["figure"] mystnb={"image": {"alt": "Own error of seven variants, one mark for each seed. Not told is at 0.12, just above a dashed line at 0.11. The six others lie close together between 0.034 and 0.053, and overlap; the table is highest among them on average. The marks of one shape, which belong to one seed, are in another order in each variant."}, "figure": {"name": "fig-conditioning", "caption": "The network's own error after equally short training. Marks of one shape have one seed, and saw the same batches. The dashed line is the best that a network without $t$ can do. How the time is told matters much less than that it is told."}}
fig, ax = plt.subplots(figsize=(5.6, 2.8))
for i, (name, error) in enumerate(errors.items()):
    color = NOISE if name == "not told" else MODEL
    for value, shape in zip(error, "o^sDv", strict=False):
        ax.plot(i, value, shape, ms=4.5, color=color, alpha=0.8)
ax.axhline(gap, color=NOISE, ls="--", lw=1)
ax.set(ylim=(0, 0.14), ylabel="own error")
ax.set_xticks(range(len(errors)), errors, rotation=20, fontsize=8)
plt.show()

# %% [markdown]
# Without the time the network comes close to its bound: 12 hundredths, where at least 11 cannot be avoided. Everything that tells the time gets below half of that, to 4 or 5 on average. Highest of these is the table, as one would expect of rows that learn one by one in a short training, and with the same batches the sines with scale and shift are ahead of it with each of the three seeds. But look at the marks before you rank the others, since their order changes from seed to seed. A plain $t/T$ in place of the sines is behind them with two seeds and ahead with one, and the published slip is ahead with two. This loss would not have shown you the slip.
#
# Why then all the mathematics? This experiment does not need it: it asks for an answer that changes smoothly over 200 times. A network that is trained for long on pictures may have use for finer differences, which we have not measured. Sines cost nothing, and their geometry can be tested exactly. We keep them, with scale and shift. What the experiment does say is worth remembering in a search for mistakes: a network whose error stays near the bound for "not told" has probably not been told.
#
# Now look at the geometry yourself.

# %% tags=["figure"] mystnb={"image": {"alt": "The similarity of the embedding of t = 500 with those of all other times: a sharp peak at 500, falling to both sides like a logarithm."}, "figure": {"name": "fig-clock-similarity", "caption": "The similarity of the embedding of one time with those of all others. Move the time, the number $d$ of entries, and $\\Lambda$, which says how slow the slowest hand is."}}
from ddpm_lib.course.explore import explorable

still, ax = plt.subplots(figsize=(5, 2.2))
ax.plot(every_t[::10], e[::10] @ e[500] / n, color=MODEL)
ax.set(xlabel="$u$", ylabel="similarity", title="$t = 500$")
explorable("embedding", {}, still=still)

# %% [markdown]
# With $\Lambda = 10$ there are only quick hands: $t$ is sharply told from its neighbors, and the similarity to far times goes up and down without order, so that 0 and 1000 may look more alike than 0 and 40. With $\Lambda = 100{,}000$ neighbors are still told apart, by the quick hands, and 0 and 1000 by about half of the hands. Too large a $\Lambda$ costs no more than a few idle hands. With the published slip, the curve changes its height and its shape as you move $t$: there, and only there, it matters where $t$ lies.
#
# ## Where tutorials go wrong
#
# *The time is not used.* The UNet of a MindSpore article computes an embedding and never adds it anywhere; that of a blog post has no argument $t$ at all. It trains, and its loss is plausible. {numref}`fig-conditioning` shows the symptom, a loss that is too high by the gap of {eq}`eq:time-gap`, if that gap is known. There is a quicker check, which needs no training and no data: ask the network twice, with the same picture and two times, and see whether the answers differ. A new network may have zeros for its last weights and answer zero at all times, so the cell draws all weights at random first.

# %% tags=["nbval-check-output"]
torch.set_default_dtype(torch.float32)
for name in ("not told", "a plane", "sines, scale"):
    torch.manual_seed(0)
    network = variants[name]()
    for weight in network.parameters():
        torch.nn.init.normal_(weight)
    with torch.no_grad():
        early, late = (
            network(torch.ones(1, 2, 1, 1), torch.tensor([t]))
            for t in (10, 190)
        )
    print(f"{name:<13} hears the time: {not torch.equal(early, late)}")
torch.set_default_dtype(torch.float64)

# %% [markdown]
# *Frequencies that are not paired.* This is the slip that the loss did not show. A test of two lines finds it: $\lVert e(t)\rVert^2$ must be $d/2$ for every $t$. The published listing gives 44 to 57 for $d = 100$.
#
# *The time divided by $T$ before the sines.* If $t/T$ goes into {eq}`def:sinusoidal`, all angles are at most 1. The quickest hand, which should turn 159 times, turns by one radian in all, and the others by less. By {eq}`eq:embedding-product` the similarity of the two ends is the mean of $\cos\omega_j$, that of two neighbors in the table above: to the network, all times look nearly alike.

# %% tags=["nbval-check-output"]
squeezed = embed(every_t / T, d)
print(f"0 and 1000, divided: {squeezed[0] @ squeezed[T] / n:.2f}")
print(f"0 and 1000, right:   {e[0] @ e[T] / n:.2f}")

# %% [markdown]
# *A linear layer on the wrong axis.* A blog post's listing sends the time, in the shape $(B, 1, 1, 1)$, through `Linear(1, C)`. The layer acts on the last axis, so that the result has the shape $(B, 1, 1, C)$, and when it is added to a feature map of shape $(B, C, H, W)$ each *column* gets a number, not each channel. It runs where $C = W$, and nothing complains. In the same listing each block draws a $t$ of its own; chapter 15 has that case among its patients.
#
# *"The linear time projection."* A text calls the two layers behind the embedding linear. Between them is a bend, and without it they would be one layer: a product of two matrices is a matrix.
#
# ## Exercises
#
# :::{exercise} Two neighbors
# :label: ex-neighbors
#
# Take $d = 4$ and the frequencies 1 and $1/100$. What is $\lVert e(t+1) - e(t)\rVert^2$? Use {eq}`eq:embedding-norm` and {eq}`eq:embedding-product`.
# :::

# %%
from ddpm_lib.course.checks import time_embedding as check

distance = ...
check.neighbors(distance)

# %% [markdown]
# :::{solution-start} ex-neighbors
# :class: dropdown
# :::
#
# Multiply out: $\lVert e(t+1)\rVert^2 + \lVert e(t)\rVert^2 - 2\,e(t+1)\cdot e(t) = 2 + 2 - 2(\cos 1 + \cos 0.01)$. That is 0.9195. Since $2 - 2\cos\omega = 4\sin^2(\omega/2)$, each hand contributes the square of the chord between its two positions.

# %% tags=["solution"]
check.neighbors(4 - 2 * (torch.tensor([1.0, 0.01]).cos().sum()))

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} The slowest hand
# :label: ex-slowest
#
# How large must $\Lambda$ be so that the slowest hand turns exactly half around while $t$ goes from 0 to 1000?
# :::

# %%
longest = ...
check.slowest(longest)

# %% [markdown]
# :::{solution-start} ex-slowest
# :class: dropdown
# :::
#
# Its frequency is $1/\Lambda$, so it turns by $1000/\Lambda$ in all. Half around is $\pi$, and $\Lambda = 1000/\pi = 318$. The usual 10,000, which was chosen for the words of a text, is thirty times more than that.

# %% tags=["solution"]
check.slowest(1000 / torch.pi)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Periods
# :label: ex-periods
#
# Write an embedding whose hands have *periods*, the steps for a full turn, from 4 to 4000, growing by equal factors.
# :::


# %%
def by_periods(t, d):
    """t: (B,)  ->  (B, d)"""
    return ...


check.embed(by_periods)

# %% [markdown]
# :::{solution-start} ex-periods
# :class: dropdown
# :::
#
# A hand with a period of $P$ steps turns by $2\pi/P$ in each. From the first to the last of $n$ hands there are $n - 1$ factors, and together they make 1000.


# %% tags=["solution"]
def by_periods(t, d):
    n = d // 2
    periods = 4 * 1000 ** (torch.arange(n) / (n - 1))
    angles = t[:, None] * 2 * torch.pi / periods
    return torch.cat([angles.sin(), angles.cos()], dim=1)


check.embed(by_periods)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} What the groups leave
# :label: ex-groups-leave
#
# A block has 64 channels and 16 groups, and the time is a shift before the normalization. The shifts $\delta_c$ are 64 free numbers. How many of them are left after the normalization?
# :::

# %%
free = ...
check.lost(free)

# %% [markdown]
# :::{solution-start} ex-groups-leave
# :class: dropdown
# :::
#
# By {eq}`eq:shift-lost` only $\delta_c - \bar\delta_g$ comes through. In each group of four these sum to zero, so three are free, and $16\cdot3 = 48$ in all.

# %% tags=["solution"]
check.lost(64 - 16)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: the time
# :class: card
#
# $$
# \begin{aligned}
# \text{embedding} \quad & e(t) = (\sin\omega_j t,\ \cos\omega_j t),\\
# & \omega_j = \Lambda^{-j/(n-1)}, \quad j = 0..n-1\\
# \text{test} \quad & \lVert e(t)\rVert^2 = n = d/2,\\
# & e(t)\cdot e(u) = \textstyle\sum_j\cos\omega_j(t-u)\\
# \text{similarity} \quad & \approx 1 - (\gamma + \ln|t-u|)/\ln\Lambda\\
# \text{in a block} \quad & (1+\gamma_c)\,\mathrm{norm}(h) + \delta_c
# \end{aligned}
# $$
#
# One frequency for each pair. A shift before the normalization loses one number in each group. Ask the network the same picture at two times before you train it.
# :::
#
# So far the pictures had one pixel. Chapter 11 builds the network for real ones.
