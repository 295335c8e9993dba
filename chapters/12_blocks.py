# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Residual blocks, normalization, attention
#
# The first UNet of chapter 11 is a chain of convolutions with skips across. The networks that people train look busier. Every convolution sits in a block with a detour around it, numbers are normalized before they are used, some layers start at zero, and at the lowest resolution pixels look at each other. Which of these parts does the network need? For each we ask what goes wrong without it, derive what it does, and at the end take it away or replace it, and measure.
#
# :::{admonition} At a glance
# :class: glance
#
# 45 minutes to read, longer with a pencil; it runs in about half a minute on one core of a laptop's CPU once the network of chapter 13 is trained, which takes two minutes more if it is not. You need scale and shift from chapter 10 {eq}`def:scale-shift`, the convolutions {eq}`def:convolution` and skips {eq}`def:unet` of chapter 11, and that the variances of independent numbers add, as in {eq}`eq:variance-step`.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "The length of the gradient on a logarithmic axis against the number of layers it has passed, from 0 to 40. A dashed line for a plain stack with weights as torch draws them falls straight down, to less than one ten-billionth after 25 layers. A dotted line for a plain stack with larger weights falls slowly, to less than one thousandth after 40 layers. A solid line for residual blocks stays between one and three."}, "figure": {"name": "fig-depth", "caption": "The length of the gradient on its way from the output back through a stack of layers. In a plain stack (dashed) each layer multiplies it, and with the weights that PyTorch draws hardly anything is left after twenty layers. Larger weights (dotted) slow the decay. Residual blocks (solid) need no such care."}}
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from ddpm_lib.course.recipes import SMALL_DIGITS
from ddpm_lib.named.digits import MNIST
from ddpm_lib.networks.embedding import Ignore
from ddpm_lib.networks.unet import ResidualBlock
from ddpm_lib.plotting import GRAY, MODEL, NOISE, style

style()


def layer(spread=None):
    """SiLU and a convolution, of 16 channels to 16."""
    conv = nn.Conv2d(16, 16, 3, padding=1)
    if spread is not None:
        nn.init.normal_(conv.weight, std=(spread / (9 * 16)) ** 0.5)
    return nn.Sequential(nn.SiLU(), conv)


def block():
    """A residual block whose last convolution does not start at 0."""
    made = ResidualBlock(16, 16, 1, Ignore)
    made.conv_2.reset_parameters()
    return made


def lengths(layers, *arguments):
    """Of the gradient of a random sum of outputs, at each layer."""
    torch.manual_seed(0)
    x = torch.randn(8, 16, 8, 8, requires_grad=True)
    seen = [x]
    for one in layers:
        seen.append(one(seen[-1], *arguments))
    u = torch.randn(seen[-1].shape)
    gradients = torch.autograd.grad((u * seen[-1]).sum(), seen)
    return [float(g.norm() / u.norm()) for g in gradients[::-1]]


torch.manual_seed(0)
depth = 40
fig, ax = plt.subplots(figsize=(6, 3.2))
for name, look, color, found in (
    (
        "plain, torch's weights",
        "--",
        NOISE,
        lengths([layer() for _ in range(depth)]),
    ),
    (
        "plain, larger weights",
        ":",
        GRAY,
        lengths([layer(2.8) for _ in range(depth)]),
    ),
    (
        "residual blocks",
        "-",
        MODEL,
        lengths([block() for _ in range(depth)], None),
    ),
):
    ax.semilogy(found, look, color=color, label=name)
ax.set(
    xlabel="layers passed",
    ylabel="length of the gradient",
    ylim=(1e-14, 1e3),
)
ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# The budget decides how long the networks at the end of the chapter train, and on what. Where a GPU is found, it is MNIST and more steps; `device = "cpu"` in its first line takes the small digits that need no download. The same cells run with either.

# %%
# The budget. With device = "cpu" it is the small one, everywhere.
device = "cuda" if torch.cuda.is_available() else "cpu"
system, steps = (
    (MNIST, 500)  # about 40 TFLOP in all
    if device != "cpu"
    else (SMALL_DIGITS, 40)  # 0.3 TFLOP
)

# %% [markdown]
# ## A stack of layers
#
# Training moves each weight along the gradient of the loss, and the gradient reaches the early layers through all the later ones. What does a layer do to it? Take the simplest layer: $x_{l+1} = W x_l$ for $n$ numbers, where $W$ is an $n \times n$ matrix of independent entries with mean 0 and variance $g/n$. The letter $g$ is the *gain* of the layer, and $l$ counts layers. If $u$ is the gradient of the loss with respect to $x_{l+1}$, then by the chain rule the one with respect to $x_l$ is $W^\top u$. Its component $j$ is $\sum_i W_{ij} u_i$, a sum of independent numbers, whose variances add:
#
# $$
# \mathbb E\Bigl[\Bigl(\sum_i W_{ij}u_i\Bigr)^{2}\Bigr] = \sum_i \frac{g}{n}\,u_i^2 = \frac gn\,\lVert u\rVert^2 .
# $$
#
# There are $n$ components, so $\mathbb E\lVert W^\top u\rVert^2 = g\,\lVert u\rVert^2$. Each layer has a fresh matrix, independent of what came before, and $L$ layers multiply $L$ gains:
#
# $$
# \mathbb E\,\lVert W_1^\top\cdots W_L^\top u\rVert^2 = g^L\,\lVert u\rVert^2 .
# $$ (eq:plain-gradient)
#
# PyTorch draws the weights of a layer of $n$ inputs uniformly between $-1/\sqrt n$ and $1/\sqrt n$. A number drawn evenly between $-a$ and $a$ has the variance $a^2/3$, here $1/(3n)$. So $g = 1/3$. SiLU between the layers takes away more: its slope near zero is $1/2$ {eq}`eq:silu-derivative`, which leaves about $g = 1/12$. The dashed line of {numref}`fig-depth` is a straight line on a logarithmic axis because it is a power.
#
# One can draw larger weights and aim at $g = 1$, as the first UNet does {eq}`eq:he`. The dotted line, drawn so, falls all the same: zeros come in at the border of a picture, and a smaller signal meets a flatter part of SiLU. One number has to be right for every layer, and to stay right while the weights change. And the length does not show everything. Each product with a random matrix stretches some directions and shrinks others. After many layers nearly all of $u$ points in a few directions, whatever it was before.
#
# Now leave a way around each layer, $x_{l+1} = x_l + W x_l$. This is a *residual block*: the layer computes a correction, the *branch*, and the detour is called the *shortcut*. The gradient becomes $u + W^\top u$, and its squared length
#
# $$
# \begin{aligned}
# \lVert u + W^\top u\rVert^2 &= \lVert u\rVert^2 + 2\,u\cdot W^\top u\\
# &\quad + \lVert W^\top u\rVert^2 .
# \end{aligned}
# $$
#
# The middle term has mean 0, because every entry of $W$ has. So each block multiplies by $1 + g$, and $L$ blocks by the power of that, which the binomial theorem multiplies out:
#
# $$
# \begin{aligned}
# \mathbb E\,\lVert u_0\rVert^2 &= (1 + g)^L\,\lVert u\rVert^2\\
# &= \sum_{k=0}^{L}\binom Lk g^k\,\lVert u\rVert^2 ,
# \end{aligned}
# $$ (eq:residual-gradient)
#
# where $u_0$ is the gradient at the input of the stack. Read the sum as a sum over paths. In each block a path takes the branch or the shortcut; $\binom Lk$ of the paths take $k$ branches, and each branch multiplies by $g$. The term $k = 0$ is the path that takes none. It carries the gradient through unchanged however small $g$ is: a product of small numbers vanishes, and a sum of positive terms with a 1 among them does not. Residual connections were introduced for classifiers with up to 152 layers {cite:p}`he2016`.
#
# The claims draw 4000 stacks of six layers and send a gradient back through each.


# %%
def sent_back(g, residual, depth=6, n=24, N=4000):
    """|u_0|² after stacks of layers of gain g, from |u|² = 1.  (N,)"""
    u = torch.randn(N, n, dtype=torch.float64)
    u = u / u.norm(dim=1, keepdim=True)
    for _ in range(depth):
        W = (g / n) ** 0.5 * torch.randn(N, n, n, dtype=torch.float64)
        back = torch.einsum("bi,bij->bj", u, W)
        u = u + back if residual else back
    return u.square().sum(1)


# %% tags=["claim"]
from ddpm_lib.course.claims import claim, mean, variance

torch.manual_seed(1)
g, L = 1 / 3, 6
claim(
    "eq:plain-gradient",
    got=mean(sent_back(g, residual=False)),
    want=g**L,
    rejects={
        "the length, not its square": g ** (L / 2),
        "gains add": L * g,
        "the variance of an entry as the gain": (g / 24) ** L,
    },
)
claim(
    "eq:residual-gradient",
    got=mean(sent_back(g, residual=True)),
    want=(1 + g) ** L,
    rejects={
        "paths through one block at most": 1 + L * g,
        "the shortcut alone": 1.0,
        "lengths added, not squares": (1 + g**0.5) ** (2 * L),
        "as without shortcuts": g**L,
    },
)

# %% [markdown]
# The cell below counts the directions that are left. The Jacobian of a stack is the product of its matrices; with its singular values $s_i$, the number $(\sum_i s_i^2)^2/\sum_i s_i^4$ is $n$ if all directions are stretched alike, and 1 if all but one are lost.

# %% tags=["nbval-check-output"]
torch.manual_seed(2)
n, eye = 64, torch.eye(64, dtype=torch.float64)
plain = residual = eye
for _ in range(32):
    W = torch.randn(n, n, dtype=torch.float64) / n**0.5  # gain 1
    plain = W @ plain
    residual = (eye + W / 32**0.5) @ residual  # gain 1/32
for name, J in (("plain", plain), ("residual", residual)):
    s = torch.linalg.svdvals(J).square()
    left = s.sum() ** 2 / s.square().sum()
    print(f"{name:<9}{left:>5.1f} of {n} directions")

# %% [markdown]
# Thirty-two plain layers, with the gain 1 that keeps the squared length on average, leave two or three directions out of 64. The residual stack, with branches of gain $1/32$, keeps about a third of them. This makes depth useless without shortcuts: the early layers do get a gradient, but nearly the same one whatever the loss asks for.
#
# ## The sum grows
#
# What happens on the way forward? The same algebra, with $x$ in place of $u$, says that variances add. Write $f$ for a branch. If its last layer has random weights of mean zero, $x_l$ and $f(x_l)$ are uncorrelated, and $\operatorname{Var}[x_{l+1}] = \operatorname{Var}[x_l] + \operatorname{Var}[f(x_l)]$. What comes of this depends on the branch. One of gain 1 answers with the variance that it is given, so each block doubles the variance. One that first divides its input by its standard deviation answers with variance 1 to anything, so each block adds 1. From $\operatorname{Var}[x_0] = 1$ we arrive at
#
# $$
# \operatorname{Var}[x_L] = \begin{cases} 2^L & f \text{ keeps the variance}\\ 1 + L & f \text{ normalizes first.} \end{cases}
# $$ (eq:residual-growth)
#
# Doubling is not viable: after 20 blocks the variance is a million. Adding 1 is: after 20 blocks the standard deviation is 4.6. On the way back, the division by $\sqrt{1 + l}$ makes the gain of branch $l$ (of $0, \dots, L - 1$) about $1/(1+l)$, and the factors $1 + \frac{1}{1+l} = \frac{l+2}{l+1}$ multiply to $L + 1$. So the squared gradient grows no faster than the variance, and the solid line of {numref}`fig-depth` rises slowly. A branch therefore begins with a normalization. And if the branches start as zero, nothing is added at all. We come to both.

# %% tags=["claim"]
torch.manual_seed(3)


def forward(normalize, depth=6, n=24, N=5_000):
    """x_L after blocks of gain 1, from x_0 of variance 1.  (N, n)"""
    x = torch.randn(N, n)
    for _ in range(depth):
        W = torch.randn(N, n, n) / n**0.5
        size = x.square().mean(1, keepdim=True).sqrt()
        x = x + torch.einsum("bij,bj->bi", W, x / size**normalize)
    return x


both = [forward(normalize).square().mean(1) for normalize in (0, 1)]
claim(
    "eq:residual-growth",
    got=mean(torch.stack(both, 1)),
    want=torch.tensor([2.0**6, 1.0 + 6]),
    rejects={
        "standard deviations add": torch.tensor(
            [4.0**6, (1.0 + 6) ** 2]
        ),
        "the shortcut keeps the variance": torch.ones(2),
        "a norm in the branch changes nothing": torch.tensor(
            [2.0**6] * 2
        ),
    },
)

# %% [markdown]
# ## Group normalization
#
# To normalize is to subtract a mean and divide by a standard deviation. The question is over which numbers the two are taken. A layer of a convolutional network holds a tensor of $B$ pictures with $C$ channels of $H \times W$ pixels. *Group normalization* {cite:p}`wu2018` splits the channels into $G$ groups and treats each group of each picture separately. With $m$ and $v$ for the mean and the variance over the $n = (C/G)\,HW$ numbers of one group,
#
# $$
# \begin{aligned}
# \operatorname{norm}(h)_i &= \gamma_c\,\frac{h_i - m}{\sqrt{v + \varepsilon}} + \delta_c ,\\
# m &= \frac1n\sum_j h_j,\\
# v &= \frac1n\sum_j (h_j - m)^2 .
# \end{aligned}
# $$ (eq:group-norm)
#
# Here $c$ is the channel of the number $h_i$. Each channel has a scale $\gamma_c$ and a shift $\delta_c$ of its own, learned, 1 and 0 at the start. The tiny $\varepsilon = 10^{-5}$ keeps a constant picture from a division by zero. In code, with the pixels and the channels of a group in one axis:


# %%
def group_norm(h, groups, scale=1.0, shift=0.0, tiny=1e-5):
    """h: (B, C, H, W);  scale, shift: (C, 1, 1)"""
    parts = h.reshape(len(h), groups, -1)
    m = parts.mean(2, keepdim=True)
    v = parts.var(2, correction=0, keepdim=True)
    parts = (parts - m) / (v + tiny).sqrt()
    return scale * parts.reshape(h.shape) + shift


# %% tags=["claim"]
torch.manual_seed(4)
wide = {"dtype": torch.float64}
h = (
    3 * torch.randn(5, 8, 4, 4, **wide)
    + torch.arange(8.0)[:, None, None]
)
gamma, delta = torch.randn(2, 8, **wide)
columns = gamma[:, None, None], delta[:, None, None]
parts = h.reshape(5, 2, -1)
away = parts - parts.mean(2, keepdim=True)


def finish(parts):
    return columns[0] * parts.reshape(h.shape) + columns[1]


claim(
    "eq:group-norm",
    got=F.group_norm(h, 2, gamma, delta),
    want=group_norm(h, 2, *columns),
    rejects={
        "each channel by itself": group_norm(h, 8, *columns),
        "all channels together": group_norm(h, 1, *columns),
        "over the batch": F.batch_norm(
            h, None, None, gamma, delta, training=True
        ),
        "the variance with $n − 1$": finish(
            away / (parts.var(2, keepdim=True) + 1e-5).sqrt()
        ),
        "$ϵ$ outside the root": finish(
            away / (parts.std(2, correction=0, keepdim=True) + 1e-5)
        ),
        "no root": finish(away / parts.var(2, keepdim=True)),
    },
)

# %% [markdown]
# What does a normalization throw away? Replace the numbers of each group by $a h_i + b$, with $a > 0$ and one pair $a$, $b$ for each group. The mean becomes $am + b$, so $h_i - m$ becomes $a(h_i - m)$; the variance becomes $a^2 v$. In the quotient $a$ cancels (without $\varepsilon$):
#
# $$
# \operatorname{norm}(a h + b) = \operatorname{norm}(h) .
# $$ (eq:group-invariance)
#
# So it is blind to two numbers a group: its mean and its scale. It is not blind to what differs *within* a group. If the channels of a group are raised by different amounts, only the average of these amounts is lost {eq}`eq:shift-lost`. That is why the number of groups matters.

# %% tags=["claim"]
torch.manual_seed(5)
a, b = (
    torch.rand(5, 2, 1, 1, **wide) + 0.5,
    torch.randn(5, 2, 1, 1, **wide),
)
a, b = (x.repeat_interleave(4, dim=1) for x in (a, b))  # per group
each = torch.randn(5, 8, 1, 1, **wide)  # another amount per channel
claim(
    "eq:group-invariance",
    got=group_norm(a * h + b, 2, tiny=0),
    want=group_norm(h, 2, tiny=0),
    rejects={
        "also for amounts per channel": group_norm(h + each, 2, tiny=0),
        "also for scales per channel": group_norm(
            h * each.exp(), 2, tiny=0
        ),
        "also for a negative scale": group_norm(-a * h + b, 2, tiny=0),
    },
)

# %% [markdown]
# Take the extreme, one channel a group. This is *InstanceNorm*, and it removes the mean of every channel. Now think of a color that is added to a picture, one amount for red, one for green, one for blue. A convolution is linear, so away from the border it turns that color into one amount for each of its channels. They move the means of the channels and nothing else, and the norms remove them: in every branch, and once more before the last layer, where the shortcuts arrive. With one channel a group in every norm, our network cannot know the color of its input. The cell asks a UNet of this chapter for colored pictures, with all its groups replaced. The padding repeats the border, so that a constant stays a constant there too.

# %%
from ddpm_lib.networks.unet import UNet


def drawn(network):
    """The network with all layers as torch draws them: none is 0."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.reset_parameters()
    return network


def with_norms(network, make):
    """The network, each GroupNorm replaced by make(that GroupNorm)."""
    for part in list(network.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.GroupNorm):
                setattr(part, name, make(child))
    return network


def group_width(channels):
    """A maker of norms with so many channels a group."""
    return lambda norm: nn.GroupNorm(
        norm.num_channels // channels,
        norm.num_channels,
        affine=norm.affine,
    )


# %% tags=["nbval-check-output"]
def color_seen(channels, padding="replicate"):
    """How much adding a color changes the output, relative to it."""
    torch.manual_seed(6)
    network = with_norms(
        drawn(UNet(3, [32, 64], blocks=1)), group_width(channels)
    ).double()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.padding_mode = padding
    x, t = torch.randn(8, 3, 16, 16, **wide), torch.full((8,), 300)
    color = torch.tensor([0.5, 0, -0.5], **wide)[:, None, None]
    with torch.no_grad():
        before, after = network(x, t), network(x + color, t)
    return float((after - before).std() / before.std())


print("channels a group  color seen")
for channels in (1, 2, 4, 8, 32):
    seen = color_seen(channels)
    text = "<1e-9" if seen < 1e-9 else f"{seen:.2f}"
    print(f"{channels:>16}{text:>12}")
print(f"1, padded by zeros{color_seen(1, 'zeros'):>10.2f}")

# %% [markdown]
# With one channel a group the color changes nothing but rounding errors. The usual padding with zeros leaks a little: at the border a zero beside a color makes an edge. With two channels a group and more the color is seen. The noise of a picture has a mean color too, which a blind network can neither see nor predict, so its samples come out in colors that nobody chose. A group should therefore have several channels. With very many, the norm loses its grip on single ones: a channel that is ten times as large as its neighbors stays so. The usual compromise is a fixed number of groups, often 32, for layers of 128 channels and more. Our layers are narrow, so `ddpm_lib` asks for at least four channels a group and takes at most 8 groups.

# %%
import inspect

from ddpm_lib.networks import embedding

print(inspect.getsource(embedding.group_norm))

# %% [markdown]
# ## Why not over the batch
#
# *BatchNorm* {cite:p}`ioffe2015` takes mean and variance of each channel over all pixels of *all pictures of the batch*. It keeps the color, and classifiers use it with success. But a batch of a diffusion model mixes noise levels, and statistics depend on $t$. Take the simplest channel, the picture itself. Write $m_t$ and $v_t$ for the mean and the variance of the pixels of $x_t$ at one time. A batch with times drawn at random has the variance between times plus the average within a time, the law of total variance that chapter 9 used in {eq}`eq:shared-t`:
#
# $$
# \bar v = \mathbb E_t[v_t] + \operatorname{Var}_t[m_t] .
# $$ (eq:batch-mixture)
#
# This $\bar v$ is the variance of the mixture, and most single times have another.

# %%
from ddpm_lib import data, diffusion, recipes
from ddpm_lib.schedules import cosine

schedule = cosine()
examples = recipes.examples(system)
pictures = data.scale(examples.train[:1000])

# %% tags=["claim"]
torch.manual_seed(7)
stops = torch.arange(50, 1001, 50)
at_time = torch.stack(
    [
        diffusion.add_noise(
            schedule,
            pictures.double(),
            int(t),
            torch.randn(pictures.shape, **wide),
        ).flatten()
        for t in stops
    ]
)
m_t, v_t = at_time.mean(1), at_time.var(1, correction=0)
claim(
    "eq:batch-mixture",
    got=at_time.var(correction=0),
    want=v_t.mean() + m_t.var(correction=0),
    rejects={
        "the average of the variances": v_t.mean(),
        "the variance at the middle time": v_t[len(stops) // 2],
        "standard deviations averaged": v_t.sqrt().mean() ** 2,
    },
)

# %% tags=["nbval-check-output"]
print("   t   mean   variance")
for t in (50, 500, 1000):
    i = int((stops == t).nonzero())
    print(f"{t:>4}{m_t[i]:>7.2f}{v_t[i]:>9.2f}")
print(f" all{m_t.mean():>7.2f}{at_time.var():>9.2f}")

# %% [markdown]
# BatchNorm has two modes. In *training mode* it divides by the statistics of the batch at hand, so what it answers for one picture depends on the other pictures and on *their* times. And a sampler, whose batches have a single $t$, would get the statistics of that $t$. In *evaluation mode* it takes running averages over the training, which should come near those of the last line, at every $t$. We will measure both below, in a trained network. GroupNorm needs no averages, and does the same in training and sampling. A network with it never mixes the pictures of a batch.
#
# ## SiLU
#
# Between convolutions stands SiLU {cite:p}`elfwing2018`, also called Swish, the $\phi$ of chapter 11. Here $g$ is a gain, so we write $\sigma(x) = 1/(1 + e^{-x})$ for the logistic function {eq}`eq:sigmoid`:
#
# $$
# \operatorname{SiLU}(x) = x\,\sigma(x) .
# $$ (def:silu)
#
# For large positive $x$ it is nearly $x$, for large negative $x$ nearly 0, like ReLU, $\max(0, x)$, but smooth. The gradient meets its derivative, and for this we need that of $\sigma$. By the chain rule it is $e^{-x}/(1+e^{-x})^2$, and $e^{-x}/(1+e^{-x}) = 1 - \sigma(x)$, so $\sigma' = \sigma\,(1 - \sigma)$. The product rule then gives
#
# $$
# \begin{aligned}
# \operatorname{SiLU}'(x) &= \sigma(x) + x\,\sigma(x)\,\bigl(1 - \sigma(x)\bigr)\\
# &= \sigma(x)\,\bigl(1 + x\,(1 - \sigma(x))\bigr) .
# \end{aligned}
# $$ (eq:silu-derivative)

# %% tags=["claim"]
import sympy as sp

x = sp.Symbol("x", real=True)
sigma = 1 / (1 + sp.exp(-x))
claim(
    "eq:silu-derivative",
    got=sp.diff(x * sigma, x),
    want=sigma * (1 + x * (1 - sigma)),
    rejects={
        "the gate alone": sigma,
        "the derivative of $σ$ alone": sigma * (1 - sigma),
        "product rule without the factor $x$": sigma * (2 - sigma),
        "ReLU": sp.Heaviside(x),
    },
)

# %% tags=["nbval-check-output"]
z = torch.linspace(-8, 8, 1_600_001, **wide)
density = (
    torch.exp(-z.square() / 2) / (2 * torch.pi) ** 0.5 * (z[1] - z[0])
)
curve, where = F.silu(z).min(0)
slope = torch.sigmoid(z) * (1 + z * (1 - torch.sigmoid(z)))
print(f"lowest: {curve:.2f} at x = {z[where]:.2f}")
print(f"E[SiLU(z)²] = 1/{1 / (density * F.silu(z).square()).sum():.1f}")
print(f"E[SiLU'(z)²] = {(density * slope.square()).sum():.2f}")

# %% [markdown]
# ReLU's derivative is exactly 0 for every negative input, and a unit that is negative for all data never gets a gradient again. SiLU's derivative is zero at a single point, where the curve has its lowest value, $-0.28$. The mean square $1/2.8$ is that of {eq}`eq:silu`: the 2.8 in the weights gives back what SiLU takes from the signal. The gradient is multiplied by the slope, whose mean square is 0.38. There $2.8 \cdot 0.38 \approx 1.06$ is a gain near 1 as well, for inputs of variance 1 and away from the border.

# %% [markdown]
# ## The block, and where the time enters
#
# Now the residual block of our UNet can be written down. Its branch has two convolutions $K_1$ and $K_2$, each after a norm and a SiLU. The time enters in the second norm, as the scale and shift {eq}`def:scale-shift` of chapter 10: from the vector of $t$ a linear layer computes $\gamma$ and $\delta$, one pair for each channel, and they take the place of the norm's own. If the block changes the number of channels, the shortcut $S$ is a 1×1 convolution, and otherwise it does nothing:
#
# $$
# \begin{aligned}
# h &= K_1 \operatorname{SiLU}\bigl(\operatorname{norm}(x)\bigr)\\
# f(x, t) &= K_2 \operatorname{SiLU}\bigl((1 + \gamma)\operatorname{norm}(h) + \delta\bigr)\\
# y &= S x + f(x, t) .
# \end{aligned}
# $$ (eq:residual-block)
#
# In `ddpm_lib`:

# %%
print(inspect.getsource(ResidualBlock))

# %% [markdown]
# In the chapter's own words it is five lines. The block that the cell makes has random weights everywhere, so that nothing is zero by accident.


# %%
from ddpm_lib.networks.embedding import ScaleShift

torch.manual_seed(8)
block = drawn(ResidualBlock(8, 12, 16, ScaleShift)).double()
x, emb = torch.randn(4, 8, 6, 6, **wide), torch.randn(4, 16, **wide)


def by_hand(block, x, emb):
    """The block.  x: (B, c_in, H, W), emb: (B, dim)"""
    h = block.conv_1(F.silu(group_norm(x, 2)))
    projected = block.condition.project(emb)[:, :, None, None]
    gamma, delta = projected.chunk(2, dim=1)
    h = (1 + gamma) * group_norm(h, 3) + delta
    return block.shortcut(x) + block.conv_2(F.silu(h))


# %% tags=["claim"]
def other(shortcut=True, after=False, one=1.0, activate=True):
    h = block.conv_1(F.silu(group_norm(x, 2)))
    projected = block.condition.project(emb)[:, :, None, None]
    gamma, delta = projected.chunk(2, dim=1)
    if after:
        h = group_norm((1 + gamma) * h + delta, 3)
    else:
        h = (one + gamma) * group_norm(h, 3) + delta
    y = block.conv_2(F.silu(h) if activate else h)
    if shortcut == "normalized":
        return y + block.shortcut(group_norm(x, 2))
    return y + block.shortcut(x) if shortcut else y


with torch.no_grad():
    claim(
        "eq:residual-block",
        got=block(x, emb),
        want=by_hand(block, x, emb),
        rejects={
            "no shortcut": other(shortcut=False),
            "the norm on the shortcut too": other(
                shortcut="normalized"
            ),
            "norm after scale and shift": other(after=True),
            "$γ$ in place of $1 + γ$": other(one=0.0),
            "no second SiLU": other(activate=False),
        },
        atol=1e-10,
    )

# %% [markdown]
# Two places in this formula are easy to get wrong, because the code runs and trains all the same. One is the shortcut: it has no norm, so that the mean and the scale of $x$ get through. The other is the order of norm and modulation. Suppose that scale and shift come first, and then a norm with groups of a single channel. For that channel, $1 + \gamma$ and $\delta$ are an $a$ and a $b$ of {eq}`eq:group-invariance`. Only here the factor may be negative: $h - m$ is multiplied by $1 + \gamma$, the standard deviation by $|1 + \gamma|$, and their quotient is a sign,
#
# $$
# \begin{aligned}
# &\operatorname{norm}_1\bigl((1 + \gamma)\,h + \delta\bigr)\\
# &\qquad = \operatorname{sign}(1 + \gamma)\,\operatorname{norm}_1(h) ,
# \end{aligned}
# $$ (eq:modulation-lost)
#
# where $\operatorname{norm}_1$ has one channel a group. Of the time at most a sign is left. With several channels a group the *differences* within a group survive.

# %% tags=["claim"]
torch.manual_seed(9)
h = torch.randn(4, 8, 6, 6, **wide)
gamma, delta = torch.randn(2, 4, 8, 1, 1, **wide)
modulated = (1 + gamma) * h + delta
claim(
    "eq:modulation-lost",
    got=group_norm(modulated, 8, tiny=0),
    want=(1 + gamma).sign() * group_norm(h, 8, tiny=0),
    rejects={
        "scale and shift survive": (1 + gamma)
        * group_norm(h, 8, tiny=0)
        + delta,
        "the shift survives": group_norm(h, 8, tiny=0) + delta,
        "also with two channels a group": group_norm(
            modulated, 4, tiny=0
        ),
    },
)

# %% tags=["nbval-check-output"]
small = 1 + 0.3 * gamma, 0.3 * delta
for channels in (1, 2, 4, 8):
    before = group_norm(small[0] * h + small[1], 8 // channels)
    unmoved = group_norm(h, 8 // channels)
    after = small[0] * unmoved + small[1]
    lost = (before - unmoved).square().mean()
    lost = 1 - lost / (after - unmoved).square().mean()
    print(f"channels in a group: {channels}, lost: {lost:.0%}")

# %% [markdown]
# The table measures how far scale and shift move the numbers, as a mean square, if they come before the norm, compared with what they do after it. More is lost than the mean shift of {eq}`eq:shift-lost`, because the norm also divides by the spread that they make. Ho et al. add the time before the second norm, and it works for them: their groups have four channels and more. (The class `Shift` of `ddpm_lib` is that.) After the norm nothing is lost, whatever the groups.
#
# ## Zero at the start
#
# The last convolution of each branch starts with all its weights at zero: the `zero(…)` in the source above. Then $f = 0$, and the block passes on what its shortcut says:
#
# $$
# K_2 = 0 \quad\Longrightarrow\quad y = S x .
# $$ (eq:zero-init)
#
# If the number of channels stays, $S$ is the identity, so at the start a stack of any number of blocks is *no* blocks. {eq}`eq:residual-growth` has nothing to add, the gradient is unchanged, and each block comes in as far as it turns out to be useful {cite:p}`goyal2017`. The last convolution of the network starts at zero as well. Then $\hat\epsilon = 0$, and the first loss is known before anything has run:
#
# $$
# \mathbb E\lVert\epsilon - 0\rVert^2 / d = 1 ,
# $$ (eq:first-loss)
#
# with $d$ for the number of values in a picture, since the noise of each has variance 1. A program that prints something else at step 1 has another loss than its author thinks: a sum, a wrong target, or a head that starts with an opinion.

# %% tags=["claim"]
from copy import deepcopy
from functools import partial

from ddpm_lib.networks.unet import Level

torch.manual_seed(10)
level = Level(
    8, 8, True, blocks=3, dim=16, condition=ScaleShift
).double()
without_last = deepcopy(level)
for one in without_last.blocks:
    one.conv_2.reset_parameters()
first = deepcopy(level)
for one in first.blocks:
    one.conv_2.reset_parameters()
    for parameter in one.conv_1.parameters():
        nn.init.zeros_(parameter)
with torch.no_grad():
    claim(
        "eq:zero-init",
        got=level(x, emb),
        want=x,
        rejects={
            "the last one as torch draws it": without_last(x, emb),
            "the first one zero in its place": first(x, emb),
        },
    )


def first_losses(network):
    """The loss of 1000 pictures before any training.  (1000,)"""
    torch.manual_seed(11)
    t = torch.randint(1, 1001, (1000,))
    eps = torch.randn(pictures.shape)
    with torch.no_grad():
        return diffusion.loss(
            schedule, network, diffusion.EPS, pictures, t=t, eps=eps
        )


make = partial(UNet, 1, [16, 32], blocks=1)
torch.manual_seed(12)
claim(
    "eq:first-loss",
    got=mean(first_losses(make())),
    want=1.0,
    rejects={
        "the head as torch draws it": float(
            first_losses(drawn(make())).mean()
        ),
        "a sum over the pixels": float(pictures[0].numel()),
        "the picture as the target": float(pictures.square().mean()),
    },
)

# %% [markdown]
# Does a layer of zeros learn at all? Its output is zero, so it is tempting to think that its gradient is, too. Let $y = K h$ with a matrix $K$, write $\ell$ for the loss and $u = \partial\ell/\partial y$. Then $\ell$ depends on $K_{ij}$ through $y_i$ alone, where $K_{ij}$ multiplies $h_j$; and on $h_j$ through all $y_i$:
#
# $$
# \frac{\partial\ell}{\partial K_{ij}} = u_i\,h_j , \qquad \frac{\partial\ell}{\partial h_j} = \sum_i K_{ij}\,u_i .
# $$ (eq:zero-gradient)
#
# The first formula does not contain $K$: a layer of zeros learns, as long as what enters it is not zero. The second one does contain it: as long as $K$ is zero, nothing that comes before it gets a gradient. After one step of training $K$ has moved, and the layers before it start to learn. But two layers in a row at zero are stuck for good: the second has no input, and the first no gradient.

# %% tags=["claim"]
torch.manual_seed(13)


def gradients(first, last):
    """Of the two weights of x → SiLU → K h, for a squared error."""
    first, last = (w.clone().requires_grad_() for w in (first, last))
    loss = (F.silu(point @ first.T) @ last.T - target).square().sum()
    return torch.autograd.grad(loss, (first, last))


point, target = torch.randn(6, **wide), torch.randn(3, **wide)
some, zeros = torch.randn(4, 6, **wide), torch.zeros(3, 4, **wide)
inside = F.silu(point @ some.T)  # h
u = 2 * (0 - target)  # the derivative of |y − target|² at y = 0
got = torch.cat([g.flatten() for g in gradients(some, zeros)])
claim(
    "eq:zero-gradient",
    got=got,
    want=torch.cat([torch.zeros(24), torch.outer(u, inside).flatten()]),
    rejects={
        "weights of zero get no gradient": torch.zeros(36),
        "both layers at zero": torch.cat(
            [g.flatten() for g in gradients(0 * some, zeros)]
        ),
        "the last layer as torch draws it": torch.cat(
            [
                g.flatten()
                for g in gradients(some, torch.rand(3, 4, **wide) - 0.5)
            ]
        ),
    },
)

# %% [markdown]
# In the UNet the zeros are nested: the head is zero, and so are the ends of all branches before it. So the gradient moves in three waves. The cell takes three steps and counts the parameters that get a gradient in each.


# %%
def reached(network, steps=3):
    """For each step, which parameters get a gradient other than 0."""
    torch.manual_seed(14)
    adam = torch.optim.Adam(network.parameters(), 1e-3)
    rows = []
    for _ in range(steps):
        which = torch.randint(len(pictures), (32,))
        x_0 = pictures[which]
        t, eps = torch.randint(1, 1001, (32,)), torch.randn(x_0.shape)
        adam.zero_grad()
        diffusion.loss(
            schedule, network, diffusion.EPS, x_0, t=t, eps=eps
        ).mean().backward()
        rows.append(
            {
                name
                for name, w in network.named_parameters()
                if w.grad is not None and bool(w.grad.any())
            }
        )
        adam.step()
    return rows


# %% tags=["nbval-check-output"]
torch.manual_seed(15)
network = make()
sizes = {name: w.numel() for name, w in network.named_parameters()}
print(f"{sum(sizes.values()):,} parameters")
waves = reached(network)
for step, names in enumerate(waves, start=1):
    print(f"step {step}: {sum(sizes[name] for name in names):>6,}")

# %% [markdown]
# In the first step only the head learns, 145 of 61,201 parameters. In the second the gradient passes through the head and reaches all that lies on shortcuts, and the ends of the branches. In the third it reaches everything. A test that looks for layers that are called but cut off must wait for three steps. A layer that is never called has no gradient at all, and shows after one.
#
# ## Attention
#
# A convolution lets each pixel hear from its neighbors. Distant pixels meet only through many layers, or at the lowest resolution. *Attention* {cite:p}`vaswani2017` lets every pixel hear from every other in one layer, and decides from the content who listens to whom. Each of the $n = HW$ pixels is a row of $C$ numbers. Three matrices make three rows of it: a *query* $q_i$, what pixel $i$ looks for; a *key* $k_j$, what pixel $j$ offers to be found by; and a *value* $v_j$, what it hands over. How much $i$ listens to $j$ is decided by the dot product of query and key. The softmax turns the dot products of one $i$ into positive weights $A_{ij}$ that sum to 1 over $j$:
#
# $$
# \begin{aligned}
# o_i &= \sum_j A_{ij}\,v_j ,\\
# A_{ij} &= \frac{e^{q_i\cdot k_j/\sqrt C}}{\sum_{j'} e^{q_i\cdot k_{j'}/\sqrt C}} .
# \end{aligned}
# $$ (eq:attention)
#
# In code it is two lines. We compare them with PyTorch's class `nn.MultiheadAttention` with a single head, and use its matrices.


# %%
def attention(q, k, v):
    """q, k, v: (B, HW, C)  ->  (B, HW, C)"""
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
    return torch.softmax(scores, dim=2) @ v


# %% tags=["claim"]
torch.manual_seed(16)
C = 8
their = nn.MultiheadAttention(
    C, 1, bias=False, batch_first=True
).double()
rows = torch.randn(2, 20, C, **wide)
q, k, v = (rows @ w.T for w in their.in_proj_weight.detach().chunk(3))
last = their.out_proj.weight.detach().T
scores = q @ k.transpose(1, 2)


def mixed(weights):
    return weights @ v @ last


with torch.no_grad():
    claim(
        "eq:attention",
        got=their(rows, rows, rows)[0],
        want=attention(q, k, v) @ last,
        rejects={
            "no $√C$": mixed(torch.softmax(scores, 2)),
            "divided by $C$": mixed(torch.softmax(scores / C, 2)),
            "softmax over the queries": mixed(
                torch.softmax(scores / C**0.5, 1)
            ),
            "queries and keys exchanged": mixed(
                torch.softmax(scores.transpose(1, 2) / C**0.5, 2)
            ),
            "no softmax": mixed(scores / C**0.5),
        },
    )
    claim(
        "eq:attention",
        got=F.scaled_dot_product_attention(q, k, v),
        want=attention(q, k, v),
        rejects={
            "all pixels alike": v.mean(1, keepdim=True).expand_as(v)
        },
    )

# %% [markdown]
# Why the $\sqrt C$? Let the $C$ components of a query and a key be independent with mean 0 and variance 1. The product of two of them has mean 0 and variance $1 \cdot 1$, and the dot product is a sum of $C$ of these:
#
# $$
# \operatorname{Var}[q \cdot k] = C .
# $$ (eq:dot-variance)
#
# So dot products are of size $\sqrt C$, and the wider the layer, the larger. The softmax of large numbers puts everything on the largest. Divided by $\sqrt C$, they have variance 1 in a layer of any width.

# %% tags=["claim"]
torch.manual_seed(17)
C = 64
q, k = torch.randn(2, 100_000, C)
claim(
    "eq:dot-variance",
    got=variance((q * k).sum(1)),
    want=float(C),
    rejects={
        "$√C$": C**0.5,
        "variances do not add": 1.0,
        "$2C$, as of $q + k$": 2.0 * C,
    },
)

# %% tags=["nbval-check-output"]
torch.manual_seed(18)
print(" width   without √C   with √C")
for C in (8, 64, 512):
    q, k = torch.randn(500, C), torch.randn(16, C)
    largest = [
        torch.softmax(q @ k.T / size, dim=1).amax(1).mean()
        for size in (1, C**0.5)
    ]
    print(f"{C:>6}{largest[0]:>13.2f}{largest[1]:>10.2f}")

# %% [markdown]
# The table has the largest of 16 weights, on average. At a width of 512 without $\sqrt C$ one pixel takes almost everything, before anything is learned. There the softmax is flat, and its gradient is near zero.
#
# Three properties follow from {eq}`eq:attention`. First, *pixels have no place*. Nothing in the formula knows where pixel $i$ lies. Let $P$ permute the pixels. The queries, keys and values are permuted along, the sum over $j$ runs over the same terms in another order, and the answers come out permuted:
#
# $$
# \operatorname{att}(P x) = P \operatorname{att}(x) .
# $$ (eq:permutation)
#
# A sentence would need position embeddings for that reason. A UNet does not: the convolutions around the attention see edges and neighbors, and leave traces of the place in every pixel. Second, a *bias of the keys does nothing*. If each $k_j$ is raised by the same $b$, every score of pixel $i$ is raised by $q_i \cdot b/\sqrt C$, the same for all $j$. That is a common factor above and below in the softmax:
#
# $$
# \begin{aligned}
# &\frac{e^{(q_i\cdot k_j + q_i\cdot b)/\sqrt C}}{\sum_{j'} e^{(q_i\cdot k_{j'} + q_i\cdot b)/\sqrt C}}\\
# &\qquad = \frac{e^{q_i\cdot k_j/\sqrt C}}{\sum_{j'} e^{q_i\cdot k_{j'}/\sqrt C}} .
# \end{aligned}
# $$ (eq:key-bias)
#
# So its gradient is zero forever. A bias of the values is not lost, but because the weights sum to 1 it is added to every answer, where the bias of the last layer is added too. A bias of the queries does something, but the norm in front of the three matrices has a shift $\delta_c$, which serves as one. So `ddpm_lib` has none of the three.

# %%
from ddpm_lib.networks.unet import Attention

print(inspect.getsource(Attention))

# %% tags=["claim"]
torch.manual_seed(19)
attend = drawn(Attention(8)).double()
shuffle = torch.randperm(36)


def permuted(x):
    return x.flatten(2)[:, :, shuffle].reshape(x.shape)


with torch.no_grad():
    claim(
        "eq:permutation",
        got=attend(permuted(x)),
        want=permuted(attend(x)),
        rejects={
            "the answers stay where they were": attend(x),
            "the answers alone, not the shortcut": permuted(
                attend(x) - x
            )
            + x,
        },
    )
q, k, v = torch.randn(3, 2, 20, 8, **wide)
bias = torch.randn(8, **wide)
claim(
    "eq:key-bias",
    got=attention(q, k + bias, v),
    want=attention(q, k, v),
    rejects={
        "a bias of the queries": attention(q + bias, k, v),
        "a bias of the values": attention(q, k, v + bias),
        "a bias of one key": attention(
            q, torch.cat([k[:, :1] + bias, k[:, 1:]], 1), v
        ),
    },
)

# %% [markdown]
# Third, the *cost*. Count multiplications. The three matrices and the last one take $C^2$ for each pixel, $4nC^2$ together. The scores are $n^2$ dot products of $C$ numbers each, and the sums over $j$ are as many multiplications again. A 3×3 convolution takes $9C^2$ for each pixel {eq}`eq:multiplications`:
#
# $$
# \begin{aligned}
# \text{attention: } & 4nC^2 + 2n^2C ,\\
# \text{convolution: } & 9nC^2 , \qquad n = HW.
# \end{aligned}
# $$ (eq:attention-cost)
#
# The claim counts with PyTorch's own counter, which sees the operations as they are executed. (It counts a multiplication and an addition as two.)

# %% tags=["claim"]
from torch.utils.flop_counter import FlopCounterMode


def multiplications(function, *arguments):
    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return counter.get_total_flops() / 2


C, side = 16, 12
n = side**2
conv = nn.Conv2d(C, C, 3, padding=1, bias=False)
three, last = torch.randn(C, 3 * C), torch.randn(C, C)


def whole(rows):
    return attention(*(rows @ three).chunk(3, dim=2)) @ last


claim(
    "eq:attention-cost",
    got=torch.tensor(
        [
            multiplications(whole, torch.randn(1, n, C)),
            multiplications(conv, torch.randn(1, C, side, side)),
        ]
    ),
    want=torch.tensor([4 * n * C**2 + 2 * n**2 * C, 9 * n * C**2.0]),
    rejects={
        "the scores alone": torch.tensor([n**2 * C, 9 * n * C**2]),
        "without the matrices": torch.tensor(
            [2 * n**2 * C, 9 * n * C**2]
        ),
        "the side in place of the area": torch.tensor(
            [4 * side * C**2 + 2 * side**2 * C, 9 * side * C**2]
        ),
    },
)

# %% tags=["nbval-check-output"]
print("  size  channels  attention / conv")
for side, C in ((4, 48), (8, 24), (16, 64), (32, 32), (64, 32)):
    n = side**2
    ratio = (4 * C**2 + 2 * n * C) / (9 * C**2)
    print(f"{side:>3}²{C:>10}{ratio:>18.1f}")

# %% [markdown]
# At 4×4 pixels attention costs about half a convolution, at 64×64 nearly thirty of them, and the memory for the weights $A$ grows with the square of the number of pixels as well. So attention stands where pixels are few, at the lowest level, where each of them also stands for a large part of the picture. Ho et al. have it at 16×16 pixels.

# %% [markdown]
# ## The UNet
#
# All parts are there. We put them together in the U of {eq}`def:unet`, with blocks in place of single convolutions. Number the levels from 0, the full size, to the bottom. Going down, a level applies its blocks, which gives $d_l$, and halves the size by a convolution of stride 2. What comes back from below is doubled in size, by repeating pixels and a convolution, for the reason of {eq}`eq:pattern-power`, set beside $d_l$ and passed through the level's blocks on the way up. So the U is a recursion. Write $U_l$ for everything from level $l$ downwards and back, and $b_l$ for what comes from below:
#
# $$
# \begin{aligned}
# d_l &= \operatorname{down}_l(x)\\
# b_l &= \operatorname{grow}_l\bigl(U_{l+1}(\operatorname{shrink}_l(d_l))\bigr)\\
# U_l(x) &= \operatorname{up}_l\bigl([b_l,\ d_l]\bigr)\\
# \hat\epsilon &= \operatorname{head}\bigl(U_0(\operatorname{stem}(x_t))\bigr) .
# \end{aligned}
# $$ (eq:u-recursion)
#
# At the bottom, $U$ is the blocks of that level with their attention. The brackets put channels beside each other; $\operatorname{stem}$ and $\operatorname{head}$ are the first and the last convolution; every $\operatorname{down}$, $\operatorname{up}$ and bottom is given the vector of $t$. As code:


# %%
def beside(below, d, x):
    return [below, d]


def unet(net, x_t, t, join=beside):
    """eps_hat.  x_t: (B, C, H, W), t: (B,)"""
    emb = net.time(t)

    def u(x, level=0):
        if level == len(net.down):
            return net.bottom(x, emb)
        d = net.down[level](x, emb)
        below = net.grow[-1 - level](u(net.shrink[level](d), level + 1))
        both = torch.cat(join(below, d, x), dim=1)
        return net.up[-1 - level](both, emb)

    return net.head(u(net.stem(x_t)))


# %% [markdown]
# (The argument `join` is for later, when we switch the skips off.) The library unrolls the recursion into two loops and a list of skips: what the way down appends, the way up pops, the last first.

# %%
print(inspect.getsource(UNet.forward))
print(inspect.getsource(Level))

# %% tags=["claim"]
torch.manual_seed(20)
net = drawn(UNet(1, [8, 12, 16])).double()
x_t, t = torch.randn(3, 1, 8, 8, **wide), torch.tensor([5, 300, 900])


def no_skip(below, d, x):
    return [below, 0 * d]


with torch.no_grad():
    claim(
        "eq:u-recursion",
        got=net(x_t, t),
        want=unet(net, x_t, t),
        rejects={
            name: unet(net, x_t, t, join)
            for name, join in {
                "the two exchanged": lambda below, d, x: [d, below],
                "no skip": no_skip,
                "beside itself": lambda below, d, x: [below, below],
                "the skip taken before the blocks": (
                    lambda below, d, x: [below, x]
                ),
            }.items()
        },
        atol=1e-10,
    )

# %% [markdown]
# Here is the network that the coming chapters train: two levels of 24 and 48 channels, one block a level, attention at the bottom. Each row is what a part hands on, and how many parameters the part holds.

# %% tags=["nbval-check-output"]
plan = recipes.build(SMALL_DIGITS).network
rows = []


def note(name, part):
    held = sum(w.numel() for w in part.parameters())
    part.register_forward_hook(
        lambda _, __, out: rows.append((name, out.shape[1:], held))
    )


for name, part in plan.named_children():
    if isinstance(part, nn.ModuleList):
        for i, one in enumerate(part):
            note(f"{name} {i}", one)
    else:
        note(name, part)
with torch.no_grad():
    plan(torch.randn(1, 1, 8, 8), torch.tensor([1]))
for name, shape, held in rows:
    size = "×".join(map(str, shape))
    print(f"{name:<9}{size:>8}{held:>9,}")
print(f"{sum(held for *_, held in rows):>26,}")

# %% [markdown]
# Read the sizes downwards: the stem makes 24 channels of the picture, the bottom works on 48 channels of 4×4 pixels, and on the way up everything comes back. The block on the way up has about a third of the bottom's parameters, but by {eq}`eq:multiplications` it takes the most multiplications: it reads 48 channels, half of them from the skip, and it does so at 64 pixels, not at 16. The map from $t$ to its vector holds nearly a seventh of the parameters and costs almost nothing, since it is computed once for a picture and not once for a pixel.
#
# ## Layer by layer
#
# What do the layers hold once the network is trained? `runs.once` trains it, or reads what an earlier call has trained (chapter 13 explains the training). PyTorch calls a *forward hook* with whatever a part returns, so we can look at every layer.

# %%
from torch.nn.modules.module import register_module_forward_pre_hook

from ddpm_lib import runs

model, _ = runs.once(SMALL_DIGITS)
called = []
hook = register_module_forward_pre_hook(lambda m, _: called.append(m))
model.denoise(torch.randn(1, 1, 8, 8), 1)
hook.remove()
trained = called[0]  # the first module to be called is the UNet

parts = {
    "stem": trained.stem,
    "down": trained.down[0],
    "shrink": trained.shrink[0],
    "block": trained.bottom.blocks[0],
    "attention": trained.bottom.attention[0],
    "grow": trained.grow[0],
    "up": trained.up[0],
    "eps": trained.head,
}
handed = {}
for name, part in parts.items():
    part.register_forward_hook(
        lambda _, __, out, name=name: handed.update({name: out})
    )


@torch.no_grad()
def all_layers(x_t, t):
    """What each layer hands on, the input first.  {name: (B, ...)}"""
    trained(x_t, torch.full((len(x_t),), t))
    return {"x_t": x_t} | handed


# %% [markdown]
# A feature map mixes two things: the digit, and the noise that lies over it. Which of them decides what a layer holds? Noise the same digit twice, independently, and let $h$ and $h'$ be what a layer makes of the two. What they have in common comes from the digit. So take their covariance over many digits, summed over the channels and pixels, as a share of the summed variance:
#
# $$
# \begin{aligned}
# r &= \frac{\operatorname{Cov}[h, h']}{\operatorname{Var}[h]} ,\\
# r &= \frac{\bar\alpha_t\,v}{\bar\alpha_t\,v + 1 - \bar\alpha_t} \quad\text{for } x_t \text{ itself},
# \end{aligned}
# $$ (eq:digit-share)
#
# with $v$ for the variance of a pixel of $x_0$ between digits, averaged over the pixels. For $x_t$ the formula follows from the jump {eq}`eq:jump`: $x_t = a x_0 + s\epsilon$ and $x_t' = a x_0 + s\epsilon'$ share nothing but $a x_0$, whose variance is $\bar\alpha_t v$, and the noise adds $1 - \bar\alpha_t$ to the variance of each. The claim measures covariance and variance, the two parts of the quotient.

# %% tags=["claim"]
torch.manual_seed(21)
t = 450
unseen = data.scale(recipes.examples(SMALL_DIGITS).test)
draws = (
    unseen[torch.randint(len(unseen), (20_000,))].flatten(1).double()
)
average = unseen.flatten(1).double().mean(0)
v = unseen.flatten(1).double().var(0, correction=0).mean()
abar = float(model.schedule.alpha_bar[t])
one, two = (
    abar**0.5 * (draws - average)
    + (1 - abar) ** 0.5 * torch.randn(draws.shape, **wide)
    for _ in range(2)
)
claim(
    "eq:digit-share",
    got=mean(
        torch.stack([(one * two).mean(1), one.square().mean(1)], 1)
    ),
    want=torch.tensor([abar * v, abar * v + 1 - abar]),
    rejects={
        "data of variance 1": torch.tensor([abar, 1.0]),
        "$a$ in place of its square": torch.tensor(
            [abar**0.5 * v, abar**0.5 * v + (1 - abar) ** 0.5]
        ),
        "the noise shared as well": (abar * v + 1 - abar)
        * torch.ones(2),
    },
)

# %% [markdown]
# For the layers we take 40 digits that the network has not been trained on, each noised eight times, and estimate the two parts from the variance between digits and within them.


# %%
def digit_share(h, digits):
    """The share r of a layer.  h: (digits · n, ...), by digit"""
    h = h.reshape(digits, -1, h[0].numel())
    within = h.var(1).mean(0)
    between = h.mean(1).var(0) - within / h.shape[1]
    return float(between.sum() / (between + within).sum())


# %%
few = [50, 150, 300, 450, 600, 750, 900]
torch.manual_seed(22)
shares = {name: [] for name in ("x_t", *parts)}
again = unseen[:40].repeat_interleave(8, dim=0)
for t in few:
    eps = torch.randn(again.shape)
    x_t = diffusion.add_noise(model.schedule, again, t, eps)
    for name, h in all_layers(x_t, t).items():
        shares[name].append(digit_share(h, 40))
print("shares in percent")
print(f"{'t':>9}", *(f"{t:>3}" for t in few))
for name, row in shares.items():
    print(f"{name:>9}", *(f"{100 * share:>3.0f}" for share in row))

# %% tags=["nbval-check-output"]
at = few.index(450)
for name in ("x_t", "grow", "up", "eps"):
    print(f"{name:>4} at t = 450: {shares[name][at]:.2f}")
assert shares["shrink"][at] > 1.4 * shares["x_t"][at]
assert shares["block"][at] > 1.1 * shares["shrink"][at]

# %% [markdown]
# Read the column of $t = 450$ from top to bottom, along the U. Of what varies in $x_t$, a share of 0.28 comes from the digit. Already `shrink`, which halves the size, raises it: pixels that are averaged over a neighborhood lose noise and keep the digit. The block at the bottom raises it further, and in what comes back from below, `grow`, the digit is clearest, with a share of 0.61. Then the skip is put beside it, and in `up` the share is down at 0.33. It has to fall: the output is to *be* the noise. Of the output's variance, the digit decides 0.07. This fits a division of labor: from below comes more of the digit, through the skip more of the noise, and the last block has to tell the two apart.

# %% tags=["figure"] mystnb={"image": {"alt": "Feature maps of the trained network for a noisy 2 at t = 450, as gray pictures of 8×8 pixels. The input x_t is so noisy that the digit is hard to read. Six channels of the layer down are as noisy. In six channels of the layer grow, smooth strokes are seen. Six channels of the layer up are noisy again."}, "figure": {"name": "fig-layers", "caption": "What each layer of the trained network hands on, for one noisy digit, as gray pictures with the range stated below them. Where a layer has more than twelve channels, the twelve that vary most are shown. The grid of 4×4 pixels shows the weights $A_{ij}$ of the attention: how much the picked pixel (framed) listens to each."}}
from ddpm_lib.course.explore import explorable

picked, digit_names = [0, 7, 40], ["0", "2", "5"]
torch.manual_seed(23)
noises = torch.randn(3, 1, 8, 8)
stored = [
    all_layers(
        diffusion.add_noise(model.schedule, unseen[picked], t, noises),
        t,
    )
    for t in few
]
maps = {
    name: torch.stack([at[name] for at in stored], dim=1)
    for name in shares
}  # (digits, times, C, H, W)
with torch.no_grad():
    attend = trained.bottom.attention[0]
    pixels = attend.norm(maps["block"].flatten(0, 1)).flatten(2).mT
    q, k, _ = attend.qkv(pixels).chunk(3, dim=2)
    A = torch.softmax(q @ k.mT / q.shape[2] ** 0.5, dim=2)


def packed(name, values):
    """Bytes for values from −limit to limit, of 12 channels at most."""
    channels = values.shape[2]
    lively = values.var((0, 1, 3, 4)).topk(min(channels, 12)).indices
    values = values[:, :, lively.sort().values].flatten(0, 1)
    limit = float(f"{values.abs().flatten().quantile(0.98):.1g}")
    scaled = (values / limit).clamp(-1, 1) * 127.5 + 127.5
    return {
        "name": name,
        "channels": channels,
        "side": values.shape[-1],
        "limit": limit,
        "maps": scaled.round().byte(),
    }


still, axes = plt.subplots(4, 6, figsize=(6, 4.4))
for row, name in zip(axes, ("x_t", "down", "grow", "up"), strict=True):
    for ax in row:
        ax.axis("off")
    images = maps[name][1, 3][:6]
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image, cmap="gray", vmin=-2, vmax=2)
    row[0].set_title({"x_t": "$x_t$"}.get(name, name), fontsize=9)
explorable(
    "layers",
    {
        "T": 1000,
        "times": few,
        "digits": (unseen[picked, 0] * 127.5 + 127.5).round().byte(),
        "names": digit_names,
        "layers": [
            packed(name, values) for name, values in maps.items()
        ],
        "shares": [
            [round(x, 3) for x in row] for row in shares.values()
        ],
        "attention": (A.clamp(0, 0.5) * 510).round().byte(),
    },
    still=still,
)

# %% [markdown]
# Now look at the attention. There are sixteen pixels, so $1/16 \approx 0.06$ would be an even share. Pick several pixels and see how far the largest weights are from that, at small $t$ and at large. In pictures of 8×8 pixels the convolutions carry every pixel to every other anyhow, so attention may have little to add here. The next section asks whether it adds anything.
#
# ## What each part buys
#
# The parts cost time, so a fair comparison gives every network the same time and not the same number of steps. Each variant below is the full network with one part changed. We measured the cost of a step of each, and chose numbers of steps that take about the same time on one core of a CPU, of the order of a second.


# %%
from ddpm_lib.networks.tiny import tiny


class NoSkip(UNet):
    def forward(self, x_t, t):
        return unet(self, x_t, t, no_skip)


class Nothing(nn.Module):
    def forward(self, x):
        return 0.0


def no_shortcut():
    network = make()
    for part in network.modules():
        if isinstance(part, ResidualBlock):
            part.shortcut = Nothing()
            part.conv_2.reset_parameters()  # at zero it would be stuck
    return network


def batch_norm(norm):
    return nn.BatchNorm2d(norm.num_channels, affine=norm.affine)


variants = {  # how to make it; its steps, as a multiple
    "all parts": (make, 1),
    "no attention": (partial(make, attention=()), 1.1),
    "BatchNorm": (lambda: with_norms(make(), batch_norm), 0.95),
    "no zero start": (lambda: drawn(make()), 1),
    "no shortcuts": (no_shortcut, 0.95),
    "no skips": (partial(NoSkip, 1, [16, 32], blocks=1), 0.95),
    "first UNet": (partial(tiny, 1, 12), 1.35),
}

# %% [markdown]
# There are three seeds for each. What is compared is the loss on pictures that were not trained on, with times and noises that are the same for all. The seconds for each training, in the last column, differ from computer to computer; the numbers of steps are fixed.

# %%
import time

from ddpm_lib.training import Run, Settings, training_steps

chance = torch.Generator().manual_seed(24)
judged = data.scale(examples.test).repeat(4, 1, 1, 1)[:720]
judged_t = torch.randint(1, 1001, (len(judged),), generator=chance)
judged_eps = torch.randn(judged.shape, generator=chance)


@torch.no_grad()
def judge(network):
    everything = (x.to(device) for x in (judged, judged_t, judged_eps))
    x_0, t, eps = everything
    return float(
        diffusion.loss(
            schedule, network, diffusion.EPS, x_0, t=t, eps=eps
        ).mean()
    )


def after_training(construct, steps, seed):
    torch.manual_seed(seed)
    settings = Settings(
        steps=steps,
        batch=32,
        learning_rate=4e-3,
        warmup=7,
        ema=0,
        seed=seed,
    )
    run = Run(construct().to(device), settings)
    for _ in training_steps(
        run,
        schedule,
        diffusion.EPS,
        examples.train.to(device),
        prepare=data.scale,
    ):
        pass
    return run.network.eval()


losses, kept = {}, {}
print("              loss ± std   steps seconds")
for name, (construct, multiple) in variants.items():
    start, found = time.process_time(), []
    for seed in range(3):
        kept[name] = after_training(
            construct, int(multiple * steps), seed
        )
        found.append(judge(kept[name]))
    losses[name] = torch.tensor(found)
    spent = (time.process_time() - start) / 3
    mean_loss, std = losses[name].mean(), losses[name].std()
    print(
        f"{name:<14}{mean_loss:.3f} ± {std:.3f}"
        f"{int(multiple * steps):>5}{spent:>6.1f}"
    )

# %% tags=["figure"] mystnb={"image": {"alt": "A dot plot of the loss for seven networks, three dots each. All parts, no attention and BatchNorm lie together at the left, near 0.29. No zero start lies to the right of them, near 0.33, no shortcuts near 0.38, the first UNet near 0.40 and no skips near 0.48."}, "figure": {"name": "fig-ablation", "caption": "The loss on unseen pictures after about equal computing time, of the order of a second on the CPU. Each row is the network with one part changed, each dot a seed; the bar is the mean. The three rows at the top cannot be told apart; the changes in the others cost something."}}
fig, ax = plt.subplots(figsize=(6, 3))
for row, (name, found) in enumerate(losses.items()):
    color = MODEL if name == "all parts" else NOISE
    ax.plot(found, [row] * 3, "o", color=color, ms=5)
    ax.plot([found.mean()] * 2, [row - 0.3, row + 0.3], "-", color=GRAY)
ax.set_yticks(range(len(losses)), losses)
ax.invert_yaxis()
ax.set(xlabel="loss")
plt.show()

# %% tags=["nbval-check-output"]
print("beside all parts, with each of the seeds:")
for name, found in losses.items():
    worse = found - losses["all parts"]
    if name == "all parts":
        continue
    verdict = f"worse by {worse.min():.2f} to {worse.max():.2f}"
    if worse.abs().max() < 0.02:
        verdict = "within 0.02"
    for bound in (0.02, 0.04, 0.1):
        if worse.min() > bound:
            verdict = f"worse by more than {bound}"
    print(f"{name:<14}{verdict}")

# %% [markdown]
# Three statements stand on safe ground. Without skips the network is far behind: all that the head learns of $x_t$ has passed through a bottleneck of 4×4 pixels. With a start that is not at zero it learns more slowly, although three blocks are no deep network, and without shortcuts, where a start at zero would be stuck, more slowly still. And the chain of chapter 11 is behind the residual network after equal time, with more steps and more parameters. About attention and BatchNorm we can make no statement: without the one and with the other, the network lies within 0.02 of the full one with every seed. Attention stays in our network because it costs little at 4×4 pixels and because pictures are not always this small.
#
# What the experiment does not say is how it ends. A second is the beginning of a training, all variants share one learning rate, and an advantage of zero starts may vanish later, as one of attention may appear. On a GPU the same cell trains on MNIST, longer.
#
# BatchNorm learned as fast as the full network, so was the warning above empty? The loss is not where to look. We take the network that was just trained with BatchNorm and ask it for the noise in one picture at time $t$. In its training such a picture stood among others of random times. Our reference is the training-mode answer, with 31 pictures at random times, and the question is how far it moves when one thing changes. In the first row of the table the others get *other times*. In the second, still in training mode, the batch is of *one time*, the same $t$ for all 32. The third is *evaluation* mode with the averages that the training has left; there the others do not matter. The fourth is evaluation mode with averages *taken anew*, over 50 batches of random times, while the weights stand still. Each entry is a root mean square over two pictures and six draws of the others' times.


# %%
@torch.no_grad()
def answers(network, t, others, training=True):
    """For two pictures at t, each among 31 at `others`.  (2, …)"""
    network = deepcopy(network).cpu().train(training)
    times = torch.cat([torch.tensor([t]), others])
    found = []
    for n in range(2):
        x_0, eps = (x[n : n + 32] for x in (judged, judged_eps))
        x_t = diffusion.add_noise(schedule, x_0, times, eps)
        found.append(network(x_t, times)[0])
    return torch.stack(found)


@torch.no_grad()
def taken_anew(network):
    """The network, its running averages over 50 mixed batches."""
    network = deepcopy(network).cpu().train()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # all batches count alike
    for which in torch.randint(len(pictures), (50, 32)):
        x_0, t = pictures[which], torch.randint(1, 1001, (32,))
        eps = torch.randn(x_0.shape)
        network(diffusion.add_noise(schedule, x_0, t, eps), t)
    return network


def apart(one, two):
    return float((one - two).square().mean().sqrt())


torch.manual_seed(25)
mixed = torch.randint(1, 1001, (12, 31))
columns = []
for name in ("all parts", "BatchNorm"):
    network, anew = kept[name], taken_anew(kept[name])
    for t in (100, 900):
        asked = [answers(network, t, others) for others in mixed]
        base, other = torch.stack(asked).chunk(2)
        same = torch.full((31,), t)
        others = (
            other,
            answers(network, t, same),
            answers(network, t, same, training=False),
            answers(anew, t, same, training=False),
        )
        columns.append([apart(base, one) for one in others])
moved = torch.tensor(columns).T
print(f"{'':11}{'all parts':>12}{'BatchNorm':>12}")
print(f"{'t':11}" + f"{100:>6}{900:>6}" * 2)
names = "other times", "one time", "evaluation", "taken anew"
for name, row in zip(names, moved, strict=True):
    print(f"{name:<11}" + "".join(f"{x:>6.2f}" for x in row))

# %% tags=["nbval-check-output"]
ours, theirs = moved.chunk(2, dim=1)
_, one_time, left, anew = theirs / theirs[0]
print("all parts, below 0.0001:", bool(ours.max() < 1e-4))
print("BatchNorm, in units of the first row")
for text, holds in (
    ("one time, t = 100: above 3", one_time[0] > 3),
    ("one time, t = 900: above 1.5", one_time[1] > 1.5),
    ("evaluation: above 1.3", left.min() > 1.3),
    ("taken anew: below 2", anew.max() < 2),
    ("taken anew: below evaluation", (anew < 0.8 * left).all()),
):
    print(f"  {text}: {bool(holds)}")

# %% [markdown]
# The numbers stand beside a noise of size 1. With GroupNorm the answer for a picture depends neither on the others nor on the mode. With BatchNorm the first row is what the training had to live with: the answer moves whenever *the times of the other pictures* do. A batch of one time in training mode, which is what a sampler shows that nobody has switched over, moves it further, at $t = 100$ more than three times as far. In evaluation mode with the averages of the training it is still further off than one training batch is from another. But that is the fault of these averages: they remember the last ten batches or so, and in a training as short as this one the weights move a good deal in ten steps. Averages taken anew bring the answer nearer, to less than two of the distances in the first row.
#
# So BatchNorm can be made to work: in evaluation mode, with averages that belong to these very weights. (Chapter 13 will sample with weights averaged over the training, and they would need their own.) The loss, an average over everything, shows none of this. And nothing is gained in exchange, since GroupNorm learns as fast. So we keep a network that is a function of one picture and its time.
#
# ## Where tutorials go wrong
#
# *One channel a group.* The UNet of a derivation note begins with 32 channels and norms of 32 groups. Read as code it is GroupNorm; as computed it is InstanceNorm, and by the table after {eq}`eq:group-invariance` blind to color. The same block feeds the *normalized* $x$ into the shortcut as well, so the one path that could have kept mean and scale loses them too. And its scale and shift come before the second norm, which has one channel a group again in the last block: by {eq}`eq:modulation-lost` that block does not know $t$. The cell builds the block, in its order of operations and without its change of size, and asks it three questions: what changes if the input is twice as large, if a color is added, and if $t$ is another?


# %% tags=["nbval-check-output"]
def published(x, emb):
    """Norm, then shortcut and branch; modulation, then the norm."""
    x = group_norm(x, 32, tiny=0)
    gamma, delta = project(emb)[:, :, None, None].chunk(2, dim=1)
    h = (1 + gamma) * first_conv(F.silu(x)) + delta
    return x + second_conv(F.silu(group_norm(h, 32, tiny=0)))


torch.manual_seed(26)
project = nn.Linear(16, 64).double()
first_conv, second_conv = (
    nn.Conv2d(32, 32, 3, padding=1).double() for _ in range(2)
)
ours = drawn(ResidualBlock(32, 32, 16, ScaleShift)).double()
x = torch.randn(4, 32, 8, 8, **wide)
emb, later = 0.3 * torch.randn(2, 4, 16, **wide)
tint = torch.randn(32, 1, 1, **wide)
print(f"{'':10}    twice    color   time")
for name, function in (("published", published), ("ours", ours)):
    with torch.no_grad():
        base = function(x, emb)
        row = [
            apart(function(2 * x, emb), base),
            apart(function(x + tint, emb), base),
            apart(function(x, later), base),
        ]
    texts = (f"{y:.2f}" if y > 1e-9 else "<1e-9" for y in row)
    print(f"{name:<10}" + "".join(f"{text:>8}" for text in texts))

# %% [markdown]
# The published block returns the same numbers, to rounding, for twice the contrast, another color and another time (as long as $1 + \gamma$ keeps its sign). It trains, and its loss goes down, because much can be said about the noise without the three.
#
# *Beside itself.* The same UNet joins the bottom with itself, and half of the weights of the next convolution are superfluous: that is {eq}`eq:joined-with-itself` of chapter 11.
#
# *Layers that are there and not used.* A class is named for the attention that its listing has commented out. Another program defines a norm in its attention and never calls it. A third has hundreds of thousands of parameters that no gradient ever reaches, as many as a map of the time from 256 numbers to 1024 and back. None of these fails, since a layer that is not called costs nothing but memory. They are found by asking which parameters never get a gradient. The cell plants two of them in our network and asks, after one step and after three.


# %%
class Decoys(UNet):
    """A UNet with a time map and a norm that are never called."""

    def __init__(self):
        super().__init__(1, [16, 32], blocks=1)
        self.time_map = nn.Sequential(
            nn.Linear(256, 1024), nn.SiLU(), nn.Linear(1024, 256)
        )
        self.bottom.attention[0].second_norm = nn.GroupNorm(8, 32)


# %% tags=["nbval-check-output"]
torch.manual_seed(28)
network = Decoys()
sizes = {name: w.numel() for name, w in network.named_parameters()}
waves = reached(network)
for steps_taken in (1, 3):
    silent = set(sizes) - set().union(*waves[:steps_taken])
    count = sum(sizes[name] for name in silent)
    print(f"silent after step {steps_taken}: {count:,}")
for name in sorted(silent):
    print(f"{sizes[name]:>8,}  {name}")

# %% [markdown]
# After three steps the list holds the planted layers and nothing else: 525,568 parameters of the time map, and 64 of the norm. After a single step the list would accuse nearly everything, for the reason of {eq}`eq:zero-gradient`.
#
# *Without the root.* Attention that divides by nothing, or by $C$, or whose softmax runs over the queries, runs without an error. The claim under {eq}`eq:attention` rejects all of these.
#
# ## Exercises
#
# Each exercise has a cell for your answer. The check below it says whether the answer is right and, if not, which mistake it looks like.
#
# :::{exercise} Where attention costs a convolution
# :label: ex-equal-cost
#
# A level has $C = 64$ channels. At how many pixels $n = HW$ does attention take as many multiplications as one 3×3 convolution from 64 channels to 64?
# :::

# %%
from ddpm_lib.course.checks import blocks as check

pixels = ...
check.equal_cost(pixels)

# %% [markdown]
# :::{solution-start} ex-equal-cost
# :class: dropdown
# :::
#
# Set the two sides of {eq}`eq:attention-cost` equal: $4nC^2 + 2n^2C = 9nC^2$. Divide by $nC$: $4C + 2n = 9C$, so $n = \tfrac52 C = 160$, less than 13×13 pixels. The number grows with $C$: wide layers can afford attention at more pixels.

# %% tags=["solution"]
pixels = 5 * 64 / 2
check.equal_cost(pixels)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A root in the block
# :label: ex-rooted
#
# To keep the variance at 1 without zero starts, some networks use $x_{l+1} = (x_l + f(x_l))/\sqrt2$. By which factor does the path that takes no branch at all multiply the gradient, in a stack of 20 blocks?
# :::

# %%
factor = ...
check.rooted(factor)

# %% [markdown]
# :::{solution-start} ex-rooted
# :class: dropdown
# :::
#
# Each block multiplies the shortcut by $1/\sqrt2$, so 20 of them multiply by $2^{-10} \approx 0.00098$. The variance is kept, but the path that made {eq}`eq:residual-gradient` safe is nearly closed: its term is $2^{-20}$, and no longer 1. Starting the branches at zero keeps both the variance and the path. (The root is harmless in shallow networks, and it can be put in the branch instead.)

# %% tags=["solution"]
factor = 2 ** (-20 / 2)
check.rooted(factor)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Several heads
# :label: ex-heads
#
# *Multi-head* attention cuts the $C$ channels of queries, keys and values into equal parts, the heads, runs attention in each, and sets the answers beside each other again. Write it. You may use `attention` from above.
# :::


# %%
def several(q, k, v, heads):
    """q, k, v: (B, HW, C)  ->  (B, HW, C)"""
    return ...


check.heads(several)

# %% [markdown]
# :::{solution-start} ex-heads
# :class: dropdown
# :::
#
# Cut the last axis, and nothing else. `attention` divides by the root of the number of channels that it is given, here $C/\text{heads}$, and that is right: a dot product within a head has that many terms. The number of multiplications stays the same. A reshape from $(B, HW, C)$ to $(B \cdot \text{heads}, HW, C/\text{heads})$ without a transpose has the right shape and mixes pixels with heads.


# %% tags=["solution"]
def several(q, k, v, heads):
    parts = zip(
        *(x.chunk(heads, dim=2) for x in (q, k, v)), strict=True
    )
    return torch.cat([attention(*part) for part in parts], dim=2)


check.heads(several)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Silent parameters
# :label: ex-silent
#
# Write the check for layers that are never used: a function that is given a network and a function `loss(network)`, which returns the loss of a fresh batch, and that returns the names of the parameters that no gradient reaches. The network may start at zero anywhere that ours does.
# :::


# %%
def silent_names(network, loss):
    """The names, as in network.named_parameters()."""
    return ...


check.silent(silent_names)

# %% [markdown]
# :::{solution-start} ex-silent
# :class: dropdown
# :::
#
# Three steps of any optimizer, since our zeros are nested two deep, and remember every parameter that had a gradient other than zero in one of them. A parameter of a layer that is not called has `None` as its gradient, one before a layer of zeros has zeros.


# %% tags=["solution"]
def silent_names(network, loss):
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    names = {name for name, _ in network.named_parameters()}
    for _ in range(3):
        optimizer.zero_grad()
        loss(network).backward()
        for name, w in network.named_parameters():
            if w.grad is not None and w.grad.any():
                names.discard(name)
        optimizer.step()
    return names


check.silent(silent_names)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: blocks
# :class: card
#
# $$
# \begin{aligned}
# \text{gradient} \quad & \text{plain } g^L, \text{ residual } (1+g)^L\\
# \text{block} \quad & h = K_1\operatorname{SiLU}(\operatorname{norm}(x))\\
# & y = Sx + K_2\operatorname{SiLU}\bigl(\\
# & \qquad (1+\gamma)\operatorname{norm}(h) + \delta\bigr)\\
# \text{norm} \quad & \text{several channels a group}\\
# \text{attention} \quad & \operatorname{softmax}\bigl(q k^\top/\sqrt C\bigr)\,v\\
# \text{its cost} \quad & 4nC^2 + 2n^2C\\
# & \text{(a convolution: } 9nC^2)\\
# \text{start} \quad & K_2 = 0,\ \operatorname{head} = 0
# \end{aligned}
# $$
#
# (The two powers are those of the squared length.) The shortcut carries no norm. Scale and shift come after the norm. The first loss is 1. Wait three steps before you look for layers that do not learn.
# :::
#
# The network is ready; chapter 13 trains it, and asks of every line of the training what it is for.
