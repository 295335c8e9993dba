# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # The first UNet
#
# The network of chapter 9 read two coordinates. A digit of our data has 64 of them, one of MNIST has 784, and the answer $\hat\epsilon$ has as many. Which network can read a picture and write one of the same size? The usual answer has the shape of a U: a way down, where the picture becomes small and deep, a way up, and bridges between the two. In this chapter we compute what each of its layers does to the size, the reach and the evenness of a picture, and then take the bridges away to see what they carry.
#
# :::{admonition} At a glance
# :class: glance
#
# 45 minutes to read, longer if you play; it runs in about half a minute on one core of a laptop's CPU, and takes MNIST and a longer training where it finds a GPU. You need the loss {eq}`def:l-simple` of chapter 7, the algorithms {eq}`def:algorithm-1` and {eq}`def:algorithm-2` of chapter 9, and what a network's weights are.
# :::

# %% tags=["figure"] mystnb={"image": {"alt": "A diagram in the shape of a U, in three rows for the sizes 28 by 28, 14 by 14 and 7 by 7. From a thin block at the left, x_t and t with 2 channels, blocks of 32 channels in the first row, 64 in the second and 128 in the third go down, each one smaller in height and thicker than the one before. On the right, blocks of 64 and 32 channels go up again, to a thin one for the predicted noise. Two dashed horizontal arrows, labeled skip, lead from the left blocks of the first two rows to the right blocks of the same row."}, "figure": {"name": "fig-u", "caption": "The network of this chapter, for pictures of 28×28 pixels. A block is as tall as its picture and as thick as it has channels, whose number stands below it. The four sloping arrows halve or double the size, the dashed ones are the bridges."}}
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, grid, style

style()
torch.manual_seed(0)

fig, ax = plt.subplots(figsize=(5.2, 3.4))
blocks = [
    (0.0, 28, 2, DATA),
    (1.0, 28, 32, MODEL),
    (2.2, 14, 64, MODEL),
    (3.6, 7, 128, MODEL),
    (5.0, 14, 64, MODEL),
    (6.2, 28, 32, MODEL),
    (7.2, 28, 1, NOISE),
]
names = ["$x_t$ and $t$", *[""] * 5, "$\\hat\\epsilon$"]
rows = {28: 0, 14: -20, 7: -34}  # where a block of this size stands
for (x, size, channels, color), name in zip(blocks, names, strict=True):
    thick, base = channels / 140, rows[size]
    ax.add_patch(
        plt.Rectangle(
            (x - thick / 2, base), thick, size, color=color, alpha=0.75
        )
    )
    ax.text(x, base - 1, channels, ha="center", va="top")
    ax.text(x, base + size + 1, name, ha="center", va="bottom")
for size, base in rows.items():
    ax.text(-0.4, base + size / 2, f"{size}²", ha="right", va="center")
for start, end in (
    ((0.1, 14), (0.8, 14)),
    ((1.2, 6), (1.9, -8)),
    ((2.5, -16), (3.1, -28)),
    ((4.1, -28), (4.7, -16)),
    ((5.3, -8), (6.0, 6)),
    ((6.4, 14), (7.1, 14)),
):
    arrow = {"arrowstyle": "->", "color": GRAY, "lw": 1.3}
    ax.annotate("", end, start, arrowprops=arrow)
for start, end, height in ((1.2, 6.0, 22), (2.5, 4.7, -10)):
    arrow = {"arrowstyle": "->", "color": GRAY, "ls": "--", "lw": 1.3}
    ax.annotate("", (end, height), (start, height), arrowprops=arrow)
    ax.text(3.6, height + 1, "skip", ha="center", va="bottom")
ax.set(xlim=(-1.2, 7.7), ylim=(-40, 33))
ax.axis("off")
plt.show()

# %% [markdown]
# The budget decides what the trained networks below are made of. Where a GPU is found, it is MNIST and a longer training; `device = "cpu"` in its first line takes the small digits that need no download. Every cell after it runs on either machine; the numbers in the text are those of the CPU.

# %%
# The budget. With device = "cpu" it is the small one, everywhere.
device = "cuda" if torch.cuda.is_available() else "cpu"
dataset, width, short, long = (
    ("mnist", 32, 500, 3000)  # 120 TFLOP in all
    if device != "cpu"
    else ("digits", 16, 130, 450)  # 0.5 TFLOP
)

# %% [markdown]
# ## One rule for every pixel
#
# A picture is a tensor of $C$ channels, $H$ rows and $W$ columns. A layer takes it to another with $C'$ channels. The plainest layer is *dense*: each number of the output is a weighted sum of all numbers of the input, with weights of its own. For pictures this wastes nearly everything. A stroke is a stroke in whatever corner it stands, and a dense layer would have to learn it anew for each corner.
#
# A *convolution* uses the same weights everywhere. Around each place it cuts out a window of $k \times k$ pixels, multiplies it by a table of weights, the *kernel*, and adds up. Two more numbers say where the windows stand: the *stride* $s$ is the distance from one window to the next, and the *padding* $p$ is the number of zeros put around the picture on each side. Let us write it for a line of pixels first, one channel in and one out. Pixels are counted from 0, the kernel is $w_0, \dots, w_{k-1}$, and $x_j = 0$ outside of the line:
#
# $$
# y_i = \sum_{a=0}^{k-1} w_a\, x_{s i + a - p} .
# $$ (def:convolution)
#
# The window of output $i$ begins at $s i - p$. A term of the sum is called a *tap*. In a picture there is one such sum for the rows inside another for the columns; with several channels the sum also goes over the channels of the input, and each channel of the output has a kernel of its own. (What mathematicians call a convolution runs through the kernel backwards. A network learns its kernel and does not mind.)


# %%
def convolve(x, w, s, p):
    """x: (C, H, W), w: (C', C, k, k)  ->  (C', H', W')"""
    k = w.shape[-1]
    x = F.pad(x, (p, p, p, p))
    windows = x.unfold(1, k, s).unfold(2, k, s)  # (C, H', W', k, k)
    return torch.einsum("chwab,dcab->dhw", windows, w)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


# %% [markdown]
# The claim compares these lines with PyTorch.

# %% tags=["claim"]
from ddpm_lib.course.claims import claim, mean

x, w = normal(2, 9, 8), normal(3, 2, 3, 3)
claim(
    "def:convolution",
    got=convolve(x, w, s=2, p=1),
    want=F.conv2d(x, w, stride=2, padding=1),
    rejects={
        "the kernel backwards": F.conv2d(
            x, w.flip(2, 3), stride=2, padding=1
        ),
        "rows and columns exchanged": F.conv2d(
            x, w.mT, stride=2, padding=1
        ),
        "the edge repeated, not zeros": F.conv2d(
            F.pad(x, (1, 1, 1, 1), mode="replicate"), w, stride=2
        ),
    },
)

# %% [markdown]
# How many weights is that? The dense layer has one for each pair of an input number and an output number. The convolution has one for each pair of channels and each place in the window. Both may have a *bias*, a number added to each output, or to each channel of it. Let the output be of the size of the input:
#
# $$
# \begin{aligned}
# \text{dense:}\quad & C'HW \cdot CHW + C'HW\\
# \text{convolution:}\quad & C' \cdot C k^2 + C' .
# \end{aligned}
# $$ (eq:weight-count)

# %% tags=["claim"]


def weight_count(layer):
    return sum(p.numel() for p in layer.parameters())


C, D, H, W, k = 3, 5, 8, 6, 3
claim(
    "eq:weight-count",
    got=[
        weight_count(nn.Linear(C * H * W, D * H * W)),
        weight_count(nn.Conv2d(C, D, k)),
    ],
    want=[D * H * W * C * H * W + D * H * W, D * C * k**2 + D],
    rejects={
        "the biases forgotten": [D * H * W * C * H * W, D * C * k**2],
        "one kernel for all input channels": [
            D * H * W * C * H * W + D * H * W,
            D * k**2 + D,
        ],
        "a bias for every pixel": [
            D * H * W * C * H * W + D * H * W,
            D * C * k**2 + D * H * W,
        ],
    },
)

# %% tags=["nbval-check-output"]
dense = (32 * 28 * 28) * (64 * 28 * 28)
print("weights, 32 to 64 channels at 28×28")
print(f"  dense:           {dense:.1e}")
print(f"  3×3 convolution: {32 * 64 * 9}")

# %% [markdown]
# A billion weights against 18 thousand. And the convolution knows something that the dense layer would have to learn. Write $S$ for a shift of the picture by one pixel. We want "shift, then convolve" to be "convolve, then shift". To have no edge in the way, let the picture continue on its other side, as on a ring; then $(Sx)_j = x_{j-1}$ for every $j$. For stride 1, insert this into the definition, and read the sum again with $i - 1$ in place of $i$:
#
# $$
# \begin{aligned}
# \bigl(\mathrm{conv}(Sx)\bigr)_i &= \sum_a w_a\, x_{i + a - p - 1}\\
# &= \sum_a w_a\, x_{(i-1) + a - p}\\
# &= \bigl(\mathrm{conv}(x)\bigr)_{i-1}\\
# &= \bigl(S\,\mathrm{conv}(x)\bigr)_i .
# \end{aligned}
# $$ (eq:equivariance)
#
# This is called *equivariance*: what the layer says moves along with the picture. With a stride $s$ the same lines hold for a shift by $s$ pixels, which moves the output by one. A shift by one pixel then changes the output into something that is no shift of it. And zeros at the edge tell the layer where the edge is.

# %% tags=["claim"]
x, w = normal(1, 2, 8, 8), normal(3, 2, 3, 3)


def circular(x, s=1):
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), w, None, s)


def shift(x, by=1):
    return x.roll(by, dims=-1)


def both(one, two):
    """Stride 1, and stride 2, as one list of numbers."""
    return torch.cat([one.flatten(), two.flatten()])


claim(
    "eq:equivariance",
    got=both(circular(shift(x)), circular(shift(x, 2), s=2)),
    want=both(shift(circular(x)), shift(circular(x, s=2))),
    rejects={
        "the output stays": both(circular(x), circular(x, s=2)),
        "zeros at the edge": both(
            F.conv2d(shift(x), w, padding=1),
            F.conv2d(shift(x, 2), w, stride=2, padding=1),
        ),
        "stride 2, shifted by 1": both(
            shift(circular(x)), circular(shift(x), s=2)
        ),
        "with stride 2 the output moves by 2": both(
            shift(circular(x)), shift(circular(x, s=2), 2)
        ),
    },
)

# %% [markdown]
# ## How large is the output?
#
# Most errors on the way to a first UNet are errors of size, so we derive it once. After padding, a line has $H + 2p$ places, numbered from 0. Window $i$ covers the places from $s i$ to $s i + k - 1$. It fits if its last place exists:
#
# $$
# s i + k - 1 \le H + 2p - 1 .
# $$
#
# Subtract $k - 1$ on both sides, and divide by $s$:
#
# $$
# i \le \frac{H + 2p - k}{s} .
# $$
#
# The whole numbers that satisfy this are $0, 1, \dots$ up to the fraction rounded down. Counted with the 0, they are one more:
#
# $$
# H' = \Bigl\lfloor \frac{H + 2p - k}{s} \Bigr\rfloor + 1 .
# $$ (eq:conv-size)
#
# The brackets mean rounding down. What a stride cannot reach at the end is dropped without a word. The claim asks PyTorch for every case with sizes up to 12, kernels up to 5, strides up to 3, and paddings up to 2.


# %%
def conv_size(H, k, s, p):
    return (H + 2 * p - k) // s + 1


# %% tags=["claim"]
cases = [
    (H, k, s, p)
    for H in range(1, 13)
    for k in range(1, 6)
    for s in range(1, 4)
    for p in range(3)
    if H + 2 * p >= k
]


def table(rule):
    return torch.tensor([rule(*case) for case in cases]).double()


def measured(H, k, s, p):
    line, kernel = torch.zeros(1, 1, H), torch.zeros(1, 1, k)
    return F.conv1d(line, kernel, stride=s, padding=p).shape[2]


claim(
    "eq:conv-size",
    got=table(measured),
    want=table(conv_size),
    rejects={
        "the 1 forgotten": table(lambda *c: conv_size(*c) - 1),
        "padding on one side": table(
            lambda H, k, s, p: (H + p - k) // s + 1
        ),
        "rounded up": table(
            lambda H, k, s, p: -(-(H + 2 * p - k) // s) + 1
        ),
        "the size over the stride": table(lambda H, k, s, p: H // s),
    },
)

# %% [markdown]
# Three cases are all that we need. To keep the size with stride 1, ask $H + 2p - k + 1 = H$, hence $p = (k-1)/2$: a kernel of odd width, and a 3 wants a padding of 1. To halve it, we take stride 2 and padding 1, and a kernel 3 or 4 wide:
#
# $$
# \begin{aligned}
# k = 3:\quad & \Bigl\lfloor\frac{H - 1}{2}\Bigr\rfloor + 1 = \Bigl\lceil\frac H2\Bigr\rceil\\
# k = 4:\quad & \Bigl\lfloor\frac{H - 2}{2}\Bigr\rfloor + 1 = \Bigl\lfloor\frac H2\Bigr\rfloor .
# \end{aligned}
# $$ (eq:halving)
#
# In the second line $\frac{H-2}{2} = \frac H2 - 1$, and whole numbers may leave the rounding. In the first line $\frac{H-1}2 + 1 = \frac{H+1}2$, which rounded down is $\frac H2$ for even $H$ and $\frac{H+1}2$ for odd $H$: the half rounded up. For even sizes both halve exactly. For odd sizes they disagree, and no layer on the way back can tell from the half whether the whole was even or odd.

# %% tags=["claim"]
sizes = torch.arange(4, 40)
claim(
    "eq:halving",
    got=[[measured(H, k, 2, 1) for H in sizes] for k in (3, 4)],
    want=torch.stack([-(-sizes // 2), sizes // 2]),
    rejects={
        "both rounded down": torch.stack([sizes // 2, sizes // 2]),
        "both rounded up": torch.stack([-(-sizes // 2)] * 2),
        "no padding": [
            [measured(H, k, 2, 0) for H in sizes] for k in (3, 4)
        ],
    },
)

# %% [markdown]
# The price of a layer is counted in multiplications. Each of the $C'H'W'$ numbers of its output is a sum with $C k^2$ taps, one multiplication each:
#
# $$
# \text{multiplications} = C'H'W' \cdot C k^2 .
# $$ (eq:multiplications)
#
# (The taps that meet a zero of the padding are counted too. They are few, and programs do not skip them.) The size that counts is that of the *output*. The claim lets PyTorch count; it counts operations, an addition and a multiplication for each tap.


# %%
def multiplications(C, D, H, k, s=1, *, p=1):
    """Of a convolution of a square picture, C to D channels."""
    return D * conv_size(H, k, s, p) ** 2 * C * k**2


# %% tags=["claim"]
from torch.utils.flop_counter import FlopCounterMode

layers = [(2, 16, 28, 3, 1), (16, 32, 28, 4, 2), (32, 8, 13, 5, 3)]
counted = []
for C, D, H, k, s in layers:
    with FlopCounterMode(display=False) as counter:
        nn.Conv2d(C, D, k, s, padding=1)(torch.zeros(1, C, H, H))
    counted.append(counter.get_total_flops() / 2)
claim(
    "eq:multiplications",
    got=counted,
    want=[multiplications(*layer) for layer in layers],
    rejects={
        "the size of the input": [
            D * H**2 * C * k**2 for C, D, H, k, s in layers
        ],
        "one kernel for all input channels": [
            multiplications(*layer) / layer[0] for layer in layers
        ],
        "$k$ in place of its square": [
            multiplications(*layer) / layer[3] for layer in layers
        ],
    },
)

# %% [markdown]
# ## How far does a pixel see?
#
# A pixel of $\hat\epsilon$ depends on the pixels of $x_t$ in a square around it, its *receptive field*. To tell noise from a stroke, it should contain a good part of the stroke. Stack layers, number them $l = 1, 2, \dots$, and write $r_l$ for the width of what one output of layer $l$ sees of the picture, and $\Delta_l$ for the distance on the picture between two neighboring outputs. Before the first layer $r_0 = \Delta_0 = 1$.
#
# An output of layer $l$ hears from $k_l$ neighbors in layer $l - 1$. The first and the last of them lie $k_l - 1$ neighbors apart, that is $(k_l - 1)\,\Delta_{l-1}$ pixels of the picture, and each sees a width of $r_{l-1}$. From the left end of what the first one sees to the right end of what the last one sees:
#
# $$
# r_l = r_{l-1} + (k_l - 1)\,\Delta_{l-1}, \qquad \Delta_l = s_l\,\Delta_{l-1} .
# $$ (eq:receptive)
#
# The second part holds because the next output's window stands $s_l$ neighbors further on. A stride does nothing for the reach of its own layer, and multiplies what every later layer adds. The claim does not trust the picture of windows. It puts positive weights into a stack of layers, asks PyTorch for the gradient of one output with respect to every pixel, and counts the pixels where it is not zero.


# %%
def receptive(layers):
    """layers: [(k, s)]  ->  width of what one output sees"""
    r = apart = 1
    for k, s in layers:
        r, apart = r + (k - 1) * apart, apart * s
    return r


# %% tags=["claim"]
way_down = [(3, 1), (4, 2), (3, 1), (4, 2), (3, 1)]
stacks = [
    way_down,
    [(3, 1)] * 5,
    [(3, 2), (3, 2), (3, 2)],
    [(5, 1), (2, 3), (3, 2), (4, 1)],
]


def seen(layers, size=128):
    x = torch.ones(1, 1, size, requires_grad=True)
    y = x
    for k, s in layers:
        y = F.conv1d(y, torch.ones(1, 1, k) / k, stride=s, padding=1)
    (gradient,) = torch.autograd.grad(y[0, 0, y.shape[2] // 2], x)
    return int((gradient != 0).sum())


def late(layers):  # the stride counted in its own layer
    r = apart = 1
    for k, s in layers:
        apart *= s
        r += (k - 1) * apart
    return r


claim(
    "eq:receptive",
    got=[seen(stack) for stack in stacks],
    want=[receptive(stack) for stack in stacks],
    rejects={
        "the stride in its own layer": [late(s) for s in stacks],
        "strides forgotten": [
            receptive([(k, 1) for k, _ in s]) for s in stacks
        ],
        "kernels added up": [sum(k for k, _ in s) for s in stacks],
    },
)

# %% tags=["nbval-check-output"]
for name, stack in (("stride 2 twice", way_down), ("none", stacks[1])):
    steps = [receptive(stack[:n]) for n in range(1, 6)]
    print(f"{name:<15}", *(f"{r:>3}" for r in steps))

# %% [markdown]
# Five layers of our way down, two of them with stride 2, end at a width of 24. Five layers 3 wide without a stride end at 11. And by {eq}`eq:multiplications` half the size is a quarter of the price. A UNet spends this on channels: twice as many, in and out, cost four times as much. This is the case for going down: for the same price, a layer at the bottom sees further and has more channels.
#
# ## The way up
#
# At the bottom a picture of 28×28 pixels has become one of 7×7, and $\hat\epsilon$ must have 28×28 again. We need a layer that doubles the size. One candidate comes from the halving layer itself. A convolution is linear, so it is a matrix. Take a line of 6 pixels, a kernel of 4, stride 2 and padding 1. In {eq}`def:convolution` the weight $w_a$ meets the pixel $j = s i + a - p$. So in row $i$ and column $j$ stands the weight $w_a$ with $a = j + p - s i$, if there is one:
#
# $$
# M = \begin{pmatrix}
# w_1 & w_2 & w_3 & & & \\
# & w_0 & w_1 & w_2 & w_3 & \\
# & & & w_0 & w_1 & w_2
# \end{pmatrix}.
# $$
#
# It makes 3 numbers of 6. Turn it on its side, and it makes 6 numbers of 3. That is the *transposed convolution* with the same kernel, stride and padding:
#
# $$
# \begin{aligned}
# \mathrm{conv}^\top(y) &= M^\top y\\
# \bigl(M^\top y\bigr)_j &= \sum_i w_{j + p - s i}\; y_i .
# \end{aligned}
# $$ (def:transposed)
#
# The sum is over all $i$ for which the weight exists. In words: each input $y_i$ writes a copy of the whole kernel, multiplied by its value, into the output, beginning at the place $s i - p$. Where copies overlap, they add. The matrix in the claim is written from the rule for its entries.


# %%
def matrix(w, H, s, p):
    """Of the convolution of a line of H pixels."""
    M = torch.zeros(conv_size(H, len(w), s, p), H, dtype=w.dtype)
    for i in range(len(M)):
        for j in range(H):
            a = j + p - s * i
            if 0 <= a < len(w):
                M[i, j] = w[a]
    return M


# %% tags=["claim"]
w, y = normal(4), normal(3)
M = matrix(w, 6, s=2, p=1)
claim(
    "def:transposed",
    got=F.conv_transpose1d(
        y[None, None], w[None, None], stride=2, padding=1
    )[0, 0],
    want=M.T @ y,
    rejects={
        "the inverse": torch.linalg.pinv(M) @ y,
        "the kernel backwards": matrix(w.flip(0), 6, 2, 1).T @ y,
    },
)

# %% [markdown]
# It is often called a deconvolution, as if it undid the convolution. It does not: a matrix of 3 rows and 6 columns has no inverse. Only the *shape* is undone. What it does have is the property of every transpose. Write $\langle x, y\rangle$ for the sum of the products of entries at the same place. Then $\langle Mx, y\rangle = (Mx)^\top y = x^\top M^\top y$, and so
#
# $$
# \bigl\langle \mathrm{conv}(x),\ y\bigr\rangle = \bigl\langle x,\ \mathrm{conv}^\top(y)\bigr\rangle .
# $$ (eq:adjoint)
#
# Every training of a convolution uses this layer: it takes the gradient with respect to the output to the gradient with respect to the input. The claim checks the identity for pictures with several channels. PyTorch writes the kernel of a transposed convolution as (channels in, channels out, $k$, $k$), the other way round than that of a convolution, so the *same* tensor serves both.

# %% tags=["claim"]
x, y, w = normal(1, 2, 8, 8), normal(1, 3, 4, 4), normal(3, 2, 4, 4)
down = F.conv2d(x, w, stride=2, padding=1)
up = F.conv_transpose2d(y, w, stride=2, padding=1)
turned = F.conv_transpose2d(y, w.flip(2, 3), stride=2, padding=1)
claim(
    "eq:adjoint",
    got=(down * y).sum(),
    want=(x * up).sum(),
    rejects={
        "the kernel turned around": (x * turned).sum(),
        "the padding forgotten": (
            x * F.conv_transpose2d(y, w, stride=2)[..., :8, :8]
        ).sum(),
        "nearest pixels": (
            x * F.interpolate(y, scale_factor=2).sum(1, keepdim=True)
        ).sum(),
    },
)

# %% [markdown]
# ### Its size
#
# A transposed convolution from $H$ to $H'$ pixels has the matrix of a convolution from $H'$ to $H$. So $H'$ must be a size that the convolution takes to $H$: by {eq}`eq:conv-size`, $\lfloor (H' + 2p - k)/s \rfloor = H - 1$. Rounding down gives $H - 1$ for $s$ different numbers. With $o$ from 0 to $s - 1$ they are
#
# $$
# H' + 2p - k = s(H - 1) + o ,
# $$
#
# because the stride drops up to $s - 1$ pixels without a trace. Solve for $H'$:
#
# $$
# H' = s(H - 1) - 2p + k + o .
# $$ (eq:transposed-size)
#
# The number $o$ says how many dropped pixels to put back. PyTorch calls it `output_padding`, and it is 0 unless we say otherwise. A kernel of 4 with stride 2 and padding 1 gives $2H - 2 - 2 + 4 = 2H$. A kernel of 3 gives $2H - 1$, one too few, and needs $o = 1$.


# %%
def transposed_size(H, k, s, p, o=0):
    return s * (H - 1) - 2 * p + k + o


# %% tags=["claim"]
cases = [
    (H, k, s, p, o)
    for H in range(2, 9)
    for k in range(1, 6)
    for s in range(1, 4)
    for p in range(2)
    for o in range(s)
    if transposed_size(H, k, s, p, o) > 0
]


def measured_up(H, k, s, p, o):
    line, kernel = torch.zeros(1, 1, H), torch.zeros(1, 1, k)
    return F.conv_transpose1d(
        line, kernel, stride=s, padding=p, output_padding=o
    ).shape[2]


claim(
    "eq:transposed-size",
    got=table(measured_up),
    want=table(transposed_size),
    rejects={
        "the size times the stride": table(lambda H, k, s, p, o: s * H),
        "padding makes it larger": table(
            lambda H, k, s, p, o: s * (H - 1) + 2 * p + k + o
        ),
        "the output padding forgotten": table(
            lambda H, k, s, p, o: transposed_size(H, k, s, p)
        ),
    },
)

# %% [markdown]
# ## Checkerboards
#
# Copies of the kernel overlap. How evenly? Count the taps that reach output $j$. By {eq}`def:transposed` it hears $y_i$ through the tap $a = j + p - s i$. When $i$ grows by one, $a$ falls by $s$. So all taps of one output leave the same remainder $\rho$ when divided by $s$, the remainder of $j + p$, and the taps of the kernel with that remainder are $\rho, \rho + s, \rho + 2s, \dots$ up to $k - 1$. Away from the border their number is
#
# $$
# \begin{aligned}
# n_j &= \Bigl\lfloor \frac{k - 1 - \rho}{s} \Bigr\rfloor + 1,\\
# \rho &= (j + p) \bmod s .
# \end{aligned}
# $$ (eq:taps)
#
# In a picture, row and column count by themselves, and the taps multiply. With $k = 3$ and $s = 2$ a line has 1 and 2 taps in turn, a picture 1, 2 and 4. With $k = 4$ it is 2 everywhere, and 4 in a picture. Only where $s$ divides $k$ does every remainder occur equally often.
#
# The claim lets PyTorch count: with all weights and all inputs equal to 1, the output *is* the number of taps.

# %% tags=["claim"]
some = [(2, 2, 0), (3, 2, 1), (4, 2, 1), (5, 2, 2), (5, 3, 1)]


def count(k, s, p):
    ones = torch.ones(1, 1, 12), torch.ones(1, 1, k)
    return F.conv_transpose1d(*ones, stride=s, padding=p)[0, 0, 6:16]


def taps(k, s, p):
    return (k - 1 - (torch.arange(6, 16) + p) % s) // s + 1


every = torch.stack([taps(*case) for case in some])
claim(
    "eq:taps",
    got=torch.stack([count(*case) for case in some]),
    want=every.double(),
    rejects={
        "$k / s$ everywhere": torch.tensor(
            [[k / s] * 10 for k, s, _ in some]
        ),
        "the padding forgotten": torch.stack(
            [taps(k, s, 0) for k, s, _ in some]
        ),
        "$k$ taps everywhere": torch.tensor(
            [[float(k)] * 10 for k, s, _ in some]
        ),
    },
)

# %% [markdown]
# Does it matter? The weights of a new network are random. Let them be independent with mean 0 and variance $\sigma_w^2$, and let $\mathbb E[x^2]$ be the mean square of the layer's inputs. An output in row $j$ and column $j'$ is a sum of $C\, n_j\, n_{j'}$ products of a weight and an input. The mean of a product of two different weights is 0, so in the mean square of the sum only the squares of the single products remain:
#
# $$
# \mathbb E\bigl[y_{jj'}^2\bigr] = C\, n_j\, n_{j'}\; \sigma_w^2\; \mathbb E[x^2] .
# $$ (eq:tap-variance)
#
# With $k = 3$ some pixels begin with four times the variance of others, in a fixed pattern, and each later layer sees it. There is another way to double a picture: repeat each pixel (*nearest* neighbor), then convolve with a kernel 3 wide. Every output then has all 9 taps. Two or four of them may meet the same repeated pixel, but their weights are independent, so the count is right for it too. The claim draws many kernels, and compares four neighboring pixels of the three layers.


# %%
def nearest(x, w, groups=1):
    x = F.interpolate(x, scale_factor=2)
    return F.conv2d(x, w, padding=1, groups=groups)


def transposed(x, w, groups=1, o=0):
    return F.conv_transpose2d(
        x, w, stride=2, padding=1, groups=groups, output_padding=o
    )


def drawn(up, k, x, C=3, chance=None):
    """N layers with random weights, C channels to one.  x: (N, C, 4, 4)
    ->  the four middle outputs of each, (N, 4)"""
    N = len(x)
    shape = (N, C, k, k) if up is nearest else (N * C, 1, k, k)
    w = torch.randn(shape, generator=chance)
    y = up(x.reshape(1, N * C, 4, 4), w, groups=N)
    return y[0, :, 3:5, 3:5].flatten(1)


# %% tags=["claim"]
chance, N, C = torch.Generator().manual_seed(1), 20_000, 3
layers = [(transposed, 3), (transposed, 4), (nearest, 3)]
squares = [
    drawn(
        up, k, torch.randn(N, C, 4, 4, generator=chance), C, chance
    ).square()
    for up, k in layers
]
# rows and columns 3 and 4: k = 3 has 2 taps at 3, 1 tap at 4
want = torch.tensor([[4, 2, 2, 1], [4, 4, 4, 4], [9, 9, 9, 9]]) * C
claim(
    "eq:tap-variance",
    got=mean(torch.stack(squares, 1)),
    want=want,
    rejects={
        "$k² / s²$ taps": torch.tensor(
            [[9 / 4] * 4, [4] * 4, [9 / 4] * 4]
        )
        * C,
        "all $k²$ taps": torch.tensor([[9] * 4, [16] * 4, [9] * 4]) * C,
        "the pattern moved by one": want.flip(1) * 1.0,
    },
)

# %% [markdown]
# So choose a kernel that the stride divides, says the usual advice, and checkerboards are gone. Let us test that. A checkerboard is seen best where nothing else is: on a constant picture, $x = 1$. What comes out should be constant, too. An output pixel is then the sum of its taps, and there are $R = s^2$ kinds of pixels, one for each pair of remainders; write $y_m$ for the value of kind $m$, $\bar y$ for the mean of these values, and $V$ for the mean of their variances. The pattern is what differs from the mean, and its power, the mean of its squares, is
#
# $$
# \frac1R\sum_m (y_m - \bar y)^2 = \frac1R\sum_m y_m^2 - \bar y^2 .
# $$
#
# Each weight belongs to one kind only, so the $y_m$ are independent. The mean of the first term is $V$. The mean of the second is the variance of a mean of $R$ independent numbers, $\frac{1}{R^2}\sum_m \mathbb E[y_m^2] = V / R$. Together:
#
# $$
# \mathbb E\Bigl[\frac1R\sum_m (y_m - \bar y)^2\Bigr] = \Bigl(1 - \frac1{s^2}\Bigr)\,V .
# $$ (eq:pattern-power)
#
# With stride 2, three quarters of the power of the answer to a constant picture is pattern, and the kernel's width does not occur. With $k = 4$ the variances are equal on average over the draw of the weights; in a single network the pixels of the four kinds still use different weights, and the pattern remains. With repeated pixels all kinds use the same nine weights on a constant picture, and there is no pattern at all.

# %% tags=["claim"]
flat = torch.ones(N, C, 4, 4)
powers, shares = [], []
for up, k in layers:
    y = drawn(up, k, flat, C, chance)
    power = y.var(1, correction=0)
    powers.append(power / (C * k**2 / 4))  # so that V = 1
    shares.append(power.mean() / y.square().mean())
claim(
    "eq:pattern-power",
    got=mean(torch.stack(powers[:2], 1)),
    want=torch.tensor([3 / 4, 3 / 4]),
    rejects={
        "none where the stride divides $k$": torch.tensor([3 / 4, 0]),
        "$1 / s²$": torch.tensor([1 / 4, 1 / 4]),
        "one less along each side": torch.tensor([1 / 2, 1 / 2]),
    },
)

# %% tags=["nbval-check-output"]
print("layer               ratio  pattern")
for (up, k), square, share in zip(layers, squares, shares, strict=True):
    v = square.mean(0)
    name = f"{up.__name__}, {k} wide"
    print(f"{name:<19}{v.max() / v.min():>6.1f}{share:>9.0%}")

# %% [markdown]
# The first column is the ratio of the largest variance to the smallest, 4 for the kernel of 3 and 1 for the others (up to the draw). The second is the share of the pattern. {cite:t}`odena2016`, who described these artifacts, advise to repeat pixels and convolve, and the table says why. Nothing here is destiny: both transposed layers can learn kernels without a pattern. Training has to find them, though, and by {eq}`eq:pattern-power` both kernels start equally far from a pattern-free one.
#
# Smoothness has a price. A transposed convolution multiplies at the small size: each of its $CHW$ inputs writes a kernel into each of $C'$ channels, which takes $CHW \cdot C' k^2$ multiplications. The convolution behind repeated pixels works at the large size, and {eq}`eq:multiplications` makes that $C' \cdot 2H \cdot 2W \cdot C \cdot 9$. PyTorch counts for a picture of 14×14 pixels and 64 channels, which becomes one of 28×28 and 32.

# %% tags=["nbval-check-output"]
print("layer               weights  millions")
x = torch.zeros(1, 64, 14, 14)
for up, k in layers:
    shape = (32, 64, k, k) if up is nearest else (64, 32, k, k)
    with FlopCounterMode(display=False) as counter:
        up(x, torch.zeros(shape))
    price = counter.get_total_flops() / 2e6
    name = f"{up.__name__}, {k} wide"
    print(f"{name:<19}{2048 * k**2:>8,}{price:>10.1f}")

# %% [markdown]
# Repeating pixels takes 14.5 million multiplications where the transposed kernel of 4 takes 6.4. An output has 9 taps, not 4. In weights it is the cheaper one, with 9 for each pair of channels, not 16. The first UNet below uses the transposed $k = 4$, which costs less and is the shortest to write down, and where at least the variances are even; the one of chapter 12 repeats pixels.

# %% tags=["figure"] mystnb={"image": {"alt": "Three pictures of 16 by 16 pixels, the answers of three layers with random weights to a smooth blob. The first, transposed 3 wide, shows the blob with a strong pattern of bright and dark pixels that repeats every two pixels. The second, transposed 4 wide, shows a similar pattern. The third, nearest, is a smooth blob."}, "figure": {"name": "fig-checkerboard", "caption": "A smooth blob of 8×8 pixels, doubled by three layers with random weights. See the pattern of period two in the first two. It is the same pattern everywhere in the picture, because the weights are."}}
axis = torch.linspace(-1.5, 1.5, 8)
blob = (-(axis[:, None] ** 2 + axis**2)).exp().expand(1, 4, 8, 8)
chance = torch.Generator().manual_seed(2)
pictures = []
for up, k in layers:
    shape = (1, 4, k, k) if up is nearest else (4, 1, k, k)
    o = {"o": 1} if k == 3 and up is transposed else {}
    y = up(blob, torch.randn(shape, generator=chance), **o)
    pictures.append(y / y.abs().max())
grid(
    torch.cat(pictures), rows=1, labels=["3 wide", "4 wide", "nearest"]
)

# %% [markdown]
# ## The U
#
# Now put the parts together. Write $\phi$ for the function between two layers, which we choose below; $D_0$ and $D_1$ for the layers that halve, $U_1$ and $U_0$ for those that double, $K_0, K_1, K_2$ for layers that keep the size, and a prime for the way up; and $[\,\cdot\,,\cdot\,]$ for putting the channels of two pictures behind each other. Two halvings and two doublings make this network:
#
# $$
# \begin{aligned}
# h_0 &= \phi\bigl(K_0(x)\bigr)\\
# h_1 &= \phi\bigl(K_1(\phi(D_0(h_0)))\bigr)\\
# h_2 &= \phi\bigl(K_2(\phi(D_1(h_1)))\bigr)\\
# h_1' &= \phi\bigl(K_1'\bigl[\phi(U_1(h_2)),\ h_1\bigr]\bigr)\\
# h_0' &= \phi\bigl(K_0'\bigl[\phi(U_0(h_1')),\ h_0\bigr]\bigr)\\
# \hat\epsilon &= K_{\text{out}}(h_0') .
# \end{aligned}
# $$ (def:unet)
#
# The lines go from the full size to a half, to a quarter at the bottom, and back. The pictures $h_0$ and $h_1$ are used twice, once on the way down and once, unchanged, on the way up. These are the bridges, called *skips*. {cite:t}`ronneberger2015` built the first network of this form, to find cells in pictures from a microscope. There is no $\phi$ after the last layer: noise has both signs, and $\phi$ has hardly any negative values.
#
# The time has to come in somewhere. Here it enters as one more channel, a *plane* in which every pixel holds $2t/T - 1$, so the network's first layer takes $C + 1$ channels. By {eq}`eq:plane` this is a bias that moves with $t$; chapter 10 compares it with other ways. Here is the network in code, with the names of the formula.


# %%
class FirstUNet(nn.Module):
    def __init__(self, channels, c_0):
        super().__init__()
        c_1, c_2 = 2 * c_0, 4 * c_0
        self.K_0 = nn.Conv2d(channels + 1, c_0, 3, padding=1)
        self.K_1 = nn.Conv2d(c_1, c_1, 3, padding=1)
        self.D_0 = nn.Conv2d(c_0, c_1, 4, stride=2, padding=1)
        self.D_1 = nn.Conv2d(c_1, c_2, 4, stride=2, padding=1)
        self.K_2 = nn.Conv2d(c_2, c_2, 3, padding=1)
        self.U_1 = nn.ConvTranspose2d(c_2, c_1, 4, stride=2, padding=1)
        self.U_0 = nn.ConvTranspose2d(c_1, c_0, 4, stride=2, padding=1)
        self.K_1_up = nn.Conv2d(c_1 + c_1, c_1, 3, padding=1)
        self.K_0_up = nn.Conv2d(c_0 + c_0, c_0, 3, padding=1)
        self.K_out = nn.Conv2d(c_0, channels, 3, padding=1)

    def forward(self, x_t, t, T=1000, skips=1.0):
        phi, cat = F.silu, torch.cat
        plane = torch.ones_like(x_t[:, :1])
        t = t.to(x_t.dtype)[:, None, None, None]
        plane = plane * (2 * t / T - 1)
        h_0 = phi(self.K_0(cat([x_t, plane], 1)))
        h_1 = phi(self.K_1(phi(self.D_0(h_0))))
        h_2 = phi(self.K_2(phi(self.D_1(h_1))))
        up = phi(self.U_1(h_2))
        h_1_up = phi(self.K_1_up(cat([up, skips * h_1], 1)))
        up = phi(self.U_0(h_1_up))
        h_0_up = phi(self.K_0_up(cat([up, skips * h_0], 1)))
        return self.K_out(h_0_up)


# %% [markdown]
# On the way up, each layer after a skip takes as many channels as its two inputs have together: `c_1 + c_1`, then `c_0 + c_0`. The library has the same network, with two loops and a list of skips in place of our names. What is put on the list first is taken off last, so the sizes meet.

# %%
import inspect

from ddpm_lib.networks.embedding import TimePlane
from ddpm_lib.networks.tiny import TinyUNet

print(inspect.getsource(TinyUNet))

# %% [markdown]
# The claim copies our weights into the library's network, and compares the two on random pictures and times.

# %% tags=["claim"]
ours = FirstUNet(1, 6).double()
theirs = TimePlane(TinyUNet(1, 6, extra=1), T=1000).double()
with torch.no_grad():
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    for mine, other in pairs:
        other.copy_(mine)
    x_t, t = normal(5, 1, 12, 8), torch.tensor([1, 30, 500, 700, 1000])
    claim(
        "def:unet",
        got=theirs(x_t, t),
        want=ours(x_t, t),
        rejects={
            "no skips": ours(x_t, t, skips=0.0),
            "skips counted twice": ours(x_t, t, skips=2.0),
            "the plane holds $t / T$": ours(x_t, (t + 1000) / 2),
            "an activation at the end": F.silu(ours(x_t, t)),
        },
    )

# %% [markdown]
# ### Which sizes fit
#
# Let $L$ be the number of halvings. By {eq}`eq:halving`, with $k = 4$, each takes $H$ to $\lfloor H/2\rfloor$, and rounding down twice is rounding down once, since pairs of pairs are fours: $\lfloor\lfloor H/2\rfloor/2\rfloor = \lfloor H/4\rfloor$. By {eq}`eq:transposed-size` each doubling is exact. So down and up again we arrive at
#
# $$
# 2^L \Bigl\lfloor \frac{H}{2^L} \Bigr\rfloor ,
# $$ (eq:round-trip)
#
# which is $H$ if $2^L$ divides $H$, and less otherwise. And if $2^L$ divides $H$, then each size on the way was even, so all skips meet their own size. Our network has two halvings, so height and width must be multiples of 4. Both 8 and 28 are.

# %% tags=["claim"]
sizes = torch.arange(16, 65)


def there_and_back(H, L, k=4, o=0):
    x, w = torch.zeros(1, 1, H), torch.zeros(1, 1, k)
    for _ in range(L):
        x = F.conv1d(x, w, stride=2, padding=1)
    for _ in range(L):
        x = F.conv_transpose1d(
            x, w, stride=2, padding=1, output_padding=o
        )
    return x.shape[2]


def trips(**options):
    return torch.tensor(
        [
            [there_and_back(H, L, **options) for H in sizes]
            for L in (1, 2, 4)
        ]
    )


claim(
    "eq:round-trip",
    got=trips(),
    want=torch.stack([2**L * (sizes // 2**L) for L in (1, 2, 4)]),
    rejects={
        "back where we were": torch.stack([sizes] * 3),
        "rounded up": trips(k=3, o=1),
        "$k = 3$ without output padding": trips(k=3),
        "even sizes suffice": torch.stack([2 * (sizes // 2)] * 3),
    },
)

# %% tags=["nbval-check-output"]
for H in (8, 28):
    print(f"{H}x{H}:")
    net = TinyUNet(1, width=16, extra=1)

    def tell(_, inputs, output):
        C, size = output.shape[1:3]
        print(f"  {C:>3} channels of {size}x{size}")

    order = [net.down[0], net.down[1], net.bottom, *net.up, net.head]
    for layer in order:
        layer.register_forward_hook(tell)
    with torch.no_grad():
        net(torch.zeros(1, 2, H, H), torch.tensor([1]))
print(f"{weight_count(net)} weights for either")


def square_seen(network, H, i):
    """How wide a square of the picture output pixel (i, i) hears."""
    x = torch.randn(1, 2, H, H, requires_grad=True)
    y = network(x, torch.tensor([1]))
    (gradient,) = torch.autograd.grad(y[0, 0, i, i], x)
    return int((gradient[0, 0] != 0).any(0).sum())


net = TinyUNet(1, 8, extra=1)
nn.init.ones_(net.head.weight)  # it begins at zero
widths = [square_seen(net, 64, i) for i in range(32, 36)]
print(f"four neighbors see {widths}")
print(f"ten layers 3 wide: {receptive([(3, 1)] * 10)}")

# %% [markdown]
# No layer of it knows the size of the pictures, so the same weights serve 8×8 and 28×28. A pixel of the output sees a square 36 or 40 pixels wide, depending on where it stands between the pixels of the smaller sizes, and ten layers 3 wide, which is how many there are on the longest way through, would see 21.
#
# ## How large should the weights be?
#
# The function between the layers is $\phi(z) = z\,g(z)$, called SiLU, where $g(z) = 1/(1 + e^{-z})$ is the logistic function of {eq}`eq:sigmoid`. For large positive $z$ it is nearly $z$, for large negative $z$ nearly 0, and smooth between.
#
# In a stack of ten layers the size of the numbers is at stake. If each layer makes them smaller by a third, little is left at the end, and as little comes back as gradient. {cite:t}`he2015` choose the variance of the weights such that the mean square stays at 1. It is the count of {eq}`eq:tap-variance` once more: an output is a sum of $n$ products of a weight and an input, with $n = C k^2$ for a convolution, so $\mathbb E[y^2] = n\,\sigma_w^2\,\mathbb E[x^2]$. The input of a layer is $x = \phi(z)$, and if the layer before did its duty, $z$ has mean square 1, nearly normal as a sum of many. Hence we need $\mathbb E[\phi(z)^2]$ for $z \sim \mathcal N(0, 1)$.
#
# Since $z$ and $-z$ are equally probable, average both. With $\phi(-z) = -z\,g(-z)$ and $g(-z) = 1 - g(z)$, writing $g$ for $g(z)$,
#
# $$
# \begin{aligned}
# \mathbb E\bigl[\phi(z)^2\bigr] &= \tfrac12\,\mathbb E\bigl[\phi(z)^2 + \phi(-z)^2\bigr]\\
# &= \tfrac12\,\mathbb E\bigl[z^2\bigl(g^2 + (1-g)^2\bigr)\bigr]\\
# &= \tfrac12\,\mathbb E\bigl[z^2\bigl(1 - 2g(1-g)\bigr)\bigr]\\
# &= \tfrac12 - \mathbb E\bigl[z^2\,g(1-g)\bigr] .
# \end{aligned}
# $$ (eq:silu)
#
# The third line holds because $g^2 + (1-g)^2 = 1 - 2g + 2g^2$, the last because $\mathbb E[z^2] = 1$. The one half is what ReLU has, which cuts off the negative half of a symmetric density. SiLU keeps less. The remaining integral has no closed form; we sum it on a fine grid.

# %%
z = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
density = torch.exp(-z.square() / 2) / (2 * torch.pi) ** 0.5
weight = density * (z[1] - z[0])  # the density times the spacing
g = torch.sigmoid(z)
moment = 0.5 - (weight * z.square() * g * (1 - g)).sum()

# %% tags=["claim"]
draws = torch.randn(
    2_000_000, generator=torch.Generator().manual_seed(4)
)
claim(
    "eq:silu",
    got=mean(F.silu(draws.double()).square()),
    want=moment,
    rejects={
        "as for ReLU": 0.5,
        "as without an activation": 1.0,
        "the variance, not the mean square": moment
        - (weight * F.silu(z)).sum() ** 2,
        "$2 g (1 − g)$ kept": 0.5
        - 2 * (weight * z.square() * g * (1 - g)).sum(),
    },
)

# %% tags=["nbval-check-output"]
print(f"mean square of SiLU {moment:.3f}, inverse {1 / moment:.2f}")

# %% [markdown]
# So the weights get the variance
#
# $$
# \sigma_w^2 = \frac{1}{n\,\mathbb E[\phi(z)^2]} \approx \frac{2.8}{n} ,
# $$ (eq:he)
#
# and `_he` in `tiny.py` says `(2.8 / inputs) ** 0.5`. What is $n$ for the transposed convolution 4 wide? It has 16 weights for each pair of channels, but {eq}`eq:taps` says that an output hears only 4 of them. Someone who counts 16 makes the numbers half as large as they should be, each time the picture doubles. The claim draws many layers of the three kinds, gives them normal numbers sent through SiLU, and looks at the mean square of what comes out.

# %% tags=["claim"]
chance, C = torch.Generator().manual_seed(5), 8
z = torch.randn(20_000, C, 4, 4, generator=chance)
kinds = [(None, 3, 9), (None, 4, 16), (transposed, 4, 4)]
outputs = []
for up, k, n in kinds:
    w = torch.randn(20_000, C, k, k, generator=chance)
    if up:
        w = w.reshape(20_000 * C, 1, k, k)
        x = F.silu(z.reshape(1, -1, 4, 4))
        y = up(x, w, groups=20_000)[0, :, 3, 3]
    else:  # one window is enough
        y = (F.silu(z[:, :, :k, :k]) * w).sum((1, 2, 3))
    outputs.append(y * (2.8 / (n * C)) ** 0.5)
claim(
    "eq:he",
    got=mean(torch.stack(outputs, 1).square()),
    want=torch.ones(3),
    rejects={
        "2, as for ReLU": torch.full((3,), 2 * moment.item()),
        "all 16 taps of the transposed": torch.tensor([1, 1, 1 / 4]),
        "$k$ in place of its square": torch.tensor([3.0, 4.0, 2.0]),
        "PyTorch's own draw, $1 / 3n$": moment.item()
        / torch.tensor([3, 3, 12]),
    },
)

# %% [markdown]
# The last line of the claim is what PyTorch draws if nothing else is said: uniform weights of variance $1/(3n)$ in a convolution. The next cell sends noise through the network with both, and prints the root mean square after each layer, before its $\phi$.


# %% tags=["nbval-check-output"]
def sizes_inside(network):
    """The root mean square of each layer's output."""
    found = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(
                lambda _, i, out: found.append(
                    out.square().mean().sqrt()
                )
            )
    with torch.no_grad():
        network(torch.randn(64, 2, 28, 28), torch.ones(64).long())
    return found[:-1]  # without the last layer, which begins at zero


torch.manual_seed(6)
ours = TinyUNet(1, 32, extra=1)
default = TinyUNet(1, 32, extra=1)
for layer in default.modules():
    if hasattr(layer, "reset_parameters"):
        layer.reset_parameters()
print("layer  2.8 / n  PyTorch's")
columns = sizes_inside(ours), sizes_inside(default)
for i, (one, other) in enumerate(zip(*columns, strict=True), start=1):
    print(f"{i:>5}{one:>9.2f}{other:>11.2f}")

# %% [markdown]
# With 2.8 the numbers keep their size, more or less. They begin above 1, because the first layer's inputs have not been through SiLU, and grow slowly to 2.6, because SiLU takes a smaller share from larger numbers. With PyTorch's own draw they fall below 0.1 in the third layer and stay at a few hundredths, until the upper skip brings in something larger at the end. In chapter 12 normalization layers do this work at every step of the training. Here there are none, and the beginning is all that we can choose. The last layer begins with zeros: then the first prediction is 0, and the first loss is 1, that of the best constant; {eq}`eq:first-loss` of chapter 12 makes a check of it.
#
# ## What do the skips carry?
#
# In principle the way up could paint the whole answer from the bottom alone. So what would be missing? Think of what is asked for. The network must return the noise, which is as good as $x_t$ itself when $t$ is large, and for smaller $t$ still contains a number for each pixel that has nothing to do with its neighbors. Such a thing cannot be summarized. It has to be carried from the input to the output, pixel by pixel, and the shortest way is through the upper skip: three layers in place of ten.
#
# We measure it. The network without skips is the same one, with the same number of weights; where a skip would join, it gets a second copy of what it has anyway, which {eq}`eq:joined-with-itself` will show to be worth no more than one. Both are trained for the same 130 steps on the same pictures, each with three seeds, and judged by pictures that they have not seen.

# %%
from ddpm_lib import data
from ddpm_lib.diffusion import EPS, add_noise
from ddpm_lib.schedules import cosine
from ddpm_lib.training import Run, Settings, training_steps

pixels = getattr(data, dataset)().pixels
held_out = 297  # pictures to judge by
known, unseen = pixels[:-held_out].to(device), pixels[-held_out:]
x_0 = data.scale(unseen)
channels, size = x_0.shape[1:3]
schedule = cosine()


class WithoutSkips(TinyUNet):
    def forward(self, x_t, t):
        x = x_t
        for convolve, shrink in zip(
            self.down, self.shrink, strict=True
        ):
            x = F.silu(shrink(F.silu(convolve(x))))
        x = F.silu(self.bottom(x))
        for grow, convolve in zip(self.grow, self.up, strict=True):
            x = F.silu(grow(x))
            x = F.silu(convolve(torch.cat([x, x], dim=1)))
        return self.head(x)


def fit(kind, seed, steps, batch=32):
    torch.manual_seed(seed)
    network = TimePlane(kind(channels, width, extra=1)).to(device)
    run = Run(
        network, Settings(steps=steps, batch=batch, seed=seed, ema=0.99)
    )
    losses = [
        record.loss_on_device
        for record in training_steps(
            run, schedule, EPS, known, prepare=data.scale
        )
    ]
    return run.average, torch.stack(losses).cpu()


@torch.no_grad()
def errors(network, t):
    """eps − eps_hat for the unseen pictures, always the same noise."""
    chance = torch.Generator().manual_seed(int(t))
    eps = torch.randn(x_0.shape, generator=chance)
    x_t = add_noise(schedule, x_0, int(t), eps).to(device)
    when = torch.full((len(x_t),), int(t), device=device)
    return eps - network(x_t, when).cpu()


kinds = {"with skips": TinyUNet, "without": WithoutSkips}
nets = {
    name: [fit(kind, seed, short)[0] for seed in range(3)]
    for name, kind in kinds.items()
}

# %% [markdown]
# As a measure for both there is a guess that needs no network: $x_t$ times the best factor for each $t$. By the sentence after {eq}`eq:gaussian-floor` it pays $v\bar\alpha_t/(v\bar\alpha_t + 1 - \bar\alpha_t)$, where $v$ is the mean square of a pixel.

# %% tags=["nbval-check-output"]
stops = [50, 300, 500, 800, 950]
print(f"{'t':<11}", *(f"{t:>4}" for t in stops))
loss = {}
for name, group in nets.items():
    loss[name] = torch.stack(
        [
            torch.stack([errors(net, t).square().mean() for t in stops])
            for net in group
        ]
    )
    print(f"{name:<11}", *(f"{m:>4.1f}" for m in loss[name].mean(0)))
v, alpha_bar = x_0.square().mean(), schedule.alpha_bar[stops]
factor = v * alpha_bar / (v * alpha_bar + 1 - alpha_bar)
print(f"{'one factor':<11}", *(f"{f:>4.1f}" for f in factor))
worst, best = loss["with skips"].amax(0), loss["without"].amin(0)
print(f"worst with, below best without: {bool((worst < best).all())}")
spread = max(group.std(0).max() for group in loss.values())
print(f"standard deviations below 0.1: {bool(spread < 0.1)}")

# %% [markdown]
# The losses are means over three seeds, whose standard deviations are below 0.1. At $t = 50$ there is little to see: the noise is so small that most of it cannot be told from the picture's own detail. From there on the two part. At $t = 500$ the network with skips pays 0.3, the one without 0.8. At $t = 800$ it is 0.1 against 0.7. From $t = 300$ on, the network without skips is beaten even by a single factor. (At $t = 950$ so is the one with skips, 0.1 against 0.0: 130 steps are few.) At each of the five $t$, the worst of three networks with skips is better than the best of three without.
#
# Was there no room at the bottom? There was: 64 channels of 2×2 pixels are 256 numbers, for a picture of 64. A network without skips can learn to code the noise into them and to decode it on the other side. It would have to spend its training on that, and a skip gives it away for nothing.

# %% [markdown]
# Which part of the noise gets lost? Cut the error into waves. The cosines $\cos\bigl(\pi f (i + \tfrac12)/H\bigr)$ for $f = 0, \dots, H - 1$, scaled to length 1, are orthogonal to each other, so they turn the pixels of a line into amplitudes without changing the sum of squares. We apply them to the rows and to the columns of $\epsilon - \hat\epsilon$, and sort the amplitudes by their frequency. The dotted line in the figure is the single factor again, one for each frequency now, so it knows which waves the digits contain.


# %%
def waves(x):
    """Amplitudes of the cosines.  (B, C, H, H) -> (B, C, H, H)"""
    f = torch.arange(x.shape[-1], dtype=x.dtype)
    Q = torch.cos(torch.pi * f[:, None] * (f + 0.5) / len(f))
    Q = Q / Q.norm(dim=1, keepdim=True)
    return Q @ x @ Q.T


f = torch.arange(size)
radius = torch.maximum(f[:, None], f)  # the higher of the two


def spectrum(x):
    """The mean square at each frequency, 0 to H − 1."""
    power = waves(x).square().mean((0, 1))
    return torch.stack([power[radius == one].mean() for one in f])


# %% tags=["figure"] mystnb={"image": {"alt": "Mean squared error against the spatial frequency, from 0 to 7, at t = 500. A dashed line for the network without skips stays near 0.9 for the slow waves and falls to about 0.6 at the finest. A solid line for the network with skips begins near 0.4, stays there for the slow waves and falls to 0.1 at the finest. A dotted line for one factor per frequency goes up and down, is above the solid line at frequencies 0 and 2, and falls below 0.1 at the finest."}, "figure": {"name": "fig-frequencies", "caption": "The error at $t = 500$, cut into waves from 0 (the mean of the picture) to the finest. The noise itself has power 1 at every frequency, so 1 means that nothing of it was predicted. Bars: the standard deviation of three seeds. See that the finest waves are the easiest to predict, for those who can pass them on."}}
fig, ax = plt.subplots(figsize=(5.6, 3.2))
for (name, group), color, look in zip(
    nets.items(), (MODEL, NOISE), ("o-", "s--"), strict=True
):
    lines = torch.stack([spectrum(errors(net, 500)) for net in group])
    ax.errorbar(
        f,
        lines.mean(0),
        lines.std(0),
        fmt=look,
        color=color,
        label=name,
    )
v, half = spectrum(x_0), schedule.alpha_bar[500]
alone = v * half / (v * half + 1 - half)
ax.plot(f, alone, ":", color=GRAY, label="one factor each")
ax.axhline(1, color=GRAY, lw=1)
ax.set(xlabel="frequency", ylabel="mean squared error", ylim=(0, 1.15))
ax.legend()
plt.show()

# %% tags=["nbval-check-output"]
for name, group in nets.items():
    lines = torch.stack([spectrum(errors(net, 500)) for net in group])
    low, high = lines[:, :2].mean(), lines[:, -1].mean()
    print(f"{name:<11} slow waves {low:.1f}, finest {high:.1f}")
print(f"one factor, finest {alone[-1]:.1f}")

# %% [markdown]
# The digits are made of slow waves and have hardly any of the finest. So the finest waves of $x_t$ are nearly all noise, and all that a network has to do with them is to hand them through. With skips it does, and pays 0.1, as one factor does. Without, it pays 0.6, where nothing had to be decided. For the slow waves, which have to be divided between noise and stroke, it is 0.9 against 0.4. So after this short training the skips save more than fine detail: without them 0.5 more of the noise is lost for slow and for fine waves. The network with skips has not learned much yet, either: only at the frequencies 0 and 2 is it clearly better than one factor each.
#
# ## First digits
#
# One training a little longer, with skips, and Algorithm 2 in 100 steps, each a leap over ten times by {eq}`eq:posterior-leap` of chapter 4. The sampler keeps $\hat x_0$ between $-1$ and $1$, where pixels are; {eq}`eq:clip-eps` of chapter 14 says what that does to $\hat\epsilon$.

# %%
from functools import partial

from ddpm_lib.sampling import ddpm, denoiser, sample, strided

network, losses = fit(TinyUNet, 0, long, batch=64)
x_T = torch.randn(
    16, channels, size, size, generator=torch.Generator().manual_seed(7)
)
chance = torch.Generator(device).manual_seed(8)
*_, drawn_digits = sample(
    ddpm(),
    schedule,
    denoiser(schedule, network, EPS),
    x_T.to(device),
    strided(schedule.T, 100),
    randn=partial(torch.randn, generator=chance, device=device),
)

# %% tags=["figure"] mystnb={"image": {"alt": "Two rows of sixteen small gray pictures in all. About half look like handwritten digits of 8 by 8 pixels, such as 0, 8 or 9; the others are strokes that belong to no digit."}, "figure": {"name": "fig-first-digits", "caption": "Sixteen digits drawn by the first UNet after a few seconds of training, none of them chosen. Some could be read, some could not."}}
grid(drawn_digits.cpu(), rows=2)

# %% tags=["nbval-check-output"]
for first in (0, 50, long - 50):
    part = losses[first : first + 50].mean()
    print(f"steps {first + 1:>3} to {first + 50:>3}: loss {part:.1f}")

# %% [markdown]
# The loss falls from 0.7 in the first fifty steps to 0.2 in the last. Some of the pictures can be read, others are strokes that nobody would call a digit. This is what 450 steps of 64 pictures give. Chapter 13 trains the network of chapter 12 for longer, and chapter 16 says in numbers how good the result is.
#
# ## Layers to play with
#
# The figure below shows a cut along one row of the picture, layer by layer, and marks what reaches one pixel of the output: pale through the whole network, in full color through the upper skip alone.

# %% tags=["figure"] mystnb={"image": {"alt": "Two squares of 8 by 8 pixels with the number of taps in each. For the kernel 3 wide they form a checkerboard of 1, 2 and 4, for the kernel 4 wide they are 4 everywhere except at the border."}, "figure": {"name": "fig-receptive", "caption": "The layers of a UNet from the picture to the output, as a cut along a row, with the number of pixels at the right. Move the output pixel, by the sliders or in the lowest strip. The squares show what the output pixel hears of the picture, and the taps of the last upward layer."}}
from ddpm_lib.course.explore import explorable

still, axes = plt.subplots(1, 2, figsize=(5.6, 2.7))
for ax, (name, k, o) in zip(
    axes, (("3 wide", 3, 1), ("4 wide", 4, 0)), strict=True
):
    ones = torch.ones(1, 1, 4, 4), torch.ones(1, 1, k, k)
    counts = transposed(*ones, o=o)[0, 0].int()
    ax.imshow(counts, vmin=0, vmax=6)
    for row in range(8):
        for column in range(8):
            text = str(counts[row, column].item())
            at = {"ha": "center", "va": "center"}
            ax.text(column, row, text, color="white", fontsize=8, **at)
    ax.set_title(f"taps, transposed {name}", fontsize=10)
    ax.axis("off")
explorable("receptive", {"size": 28, "levels": 2}, still=still)

# %% [markdown]
# Without a level, a pixel in the middle of 28×28 hears from a square of 5×5; with one level, from 16×16; with two, from the whole picture. A third level does not fit: 28, 14, 7, 3, and 6 does not meet the 7 that waits in the skip. At size 30 the second level already fails, whichever kernel goes down: rounding down gives 7 and then 14 on the way back, rounding up gives 8 and 16, and the skip has 15. Back at 28, change the kernel on the way up to *3*: the sizes break, since each doubling is one short. *3 + 1* repairs them with the output padding, and draws the checkerboard.
#
# ## Where tutorials go wrong
#
# The sizes first. Each line of this output follows one mistake through PyTorch's own layers; at the end of the line stands the size of the skip that waits there.


# %% tags=["nbval-check-output"]
import textwrap


def up_by(x, k, p=0):
    return F.conv_transpose2d(x, torch.zeros(1, 1, k, k), None, 2, p)


def down_by(x, k):
    return F.conv2d(x, torch.zeros(1, 1, k, k), None, 2, 1)


def follow(name, layers, start, skip):
    sizes, x = [start], torch.zeros(1, 1, start, start)
    for layer in layers:
        x = layer(x)
        sizes.append(x.shape[2])
    print(f"{name:<10}", *sizes, " skip", skip)


halve, double = partial(down_by, k=4), partial(up_by, k=4, p=1)
pool = partial(F.max_pool2d, kernel_size=2, stride=1)
follow("pooling", [pool, partial(up_by, k=2)], 28, 28)
follow("3 wide", [halve, halve, partial(up_by, k=3, p=1)], 28, 14)
follow("size 30", [halve, halve, double], 30, 15)
thirds = partial(down_by, k=3)
follow("size 100", [thirds] * 4 + [double], 100, 13)
try:
    TinyUNet(1)(torch.zeros(1, 1, 30, 30), torch.tensor([1]))
except ValueError as error:
    print(textwrap.fill(f"ours: {error}", 40))

# %% [markdown]
# *Pooling that does not shrink.* One article halves its pictures by `MaxPool2d(2)`. In PyTorch this has stride 2. In the framework of that article the stride is 1 unless one says otherwise, and 28 pixels become 27. The transposed convolution after it doubles them to 54, and they should be joined to 28. (The second joining of that listing fails too, with the right stride: it doubles twice after halving once.) Write the stride down, even where it is the default.
#
# *A transposed kernel of 3 without output padding.* From 7 pixels it makes 13, and the skip has 14. Those who cure it with output padding get the 1, 2 and 4 taps of {eq}`eq:taps`.
#
# *Sizes that do not divide.* A derivation note's listing for photographs of 96×96 pixels halves four times and works, because 16 divides 96. At 100 it breaks, at the first skip on the way up: 14 pixels meet 13. Neither the text nor an error in words says so. Ours refuses 30×30 before it begins, and says what to do. A student club's listing has the number 28 written into its layers, and takes nothing else.
#
# *Channels that do not meet.* In another listing a block takes three numbers by their position: channels in, out, and between its two convolutions. The calls were written for another order. The next cell follows them.

# %% tags=["nbval-check-output"]
blocks = [(3, 128, 256), (256, 256, 512), (512, 512, 1024)]
for n in (0, 1):
    made, wanted = blocks[n][1], blocks[n + 1][0]
    print(f"block {n + 1} makes {made}, block {n + 2} wants {wanted}")
made = 1024 + 2048
print(f"block up makes {made}, the next wants 1024")

# the same block with its last two numbers exchanged, as was meant
blocks = [(3, 128, 256), (256, 256, 512), (512, 512, 1024)]
blocks.append((1024, 1024, 2048))


def cost(sizes):
    return sum(
        multiplications(C, between, H, 3)
        + multiplications(between, D, H, 3)
        for (C, between, D), H in zip(blocks, sizes, strict=True)
    )


everywhere, halved = cost([32] * 4), cost([32, 16, 8, 4])
print(f"nothing halved: {everywhere / 1e9:.1f} billion")
print(f"halved: {halved / 1e9:.1f} billion")
print(f"the bottom sees {receptive([(3, 1)] * 8)}", end=", ")
deep = ([(3, 1)] * 2 + [(4, 2)]) * 3 + [(3, 1)] * 2
print(f"with three halvings {receptive(deep)}")

# %% [markdown]
# The first block makes 128 channels where the second wants 256, so it stops there. Exchange the two numbers, as was meant, and it stops on the way up: a block there makes 1024 channels, the joined skip adds 2048, and the next block wants 1024. Count the channels *after* joining.
#
# *Nothing goes down.* The same listing has no layer that halves anything. With the channels repaired it would be a U in name only. All its convolutions work on 32×32 pixels, up to 2048 channels deep, and its way down alone costs 38.4 billion multiplications for one picture, where blocks of the same channels after a halving each cost 1.7 billion (the halving layers come on top). And a pixel at the bottom would see 17 pixels of the 32, where with three halvings it sees the whole picture.
#
# *A bottom that is joined with itself.* Two listings put the output of every block on the list of skips, that of the last one as well, and take it off again right away. The first layer of the way up then gets $[x, x]$. Split its kernel into the part $w'$ for the first copy and the part $w''$ for the second. The sum over channels in {eq}`def:convolution` splits in the same way, and taps at the same place can be put together:
#
# $$
# \begin{aligned}
# &\mathrm{conv}\bigl([x, x];\ [w', w'']\bigr)\\
# &\quad = \mathrm{conv}(x;\ w') + \mathrm{conv}(x;\ w'')\\
# &\quad = \mathrm{conv}(x;\ w' + w'') .
# \end{aligned}
# $$ (eq:joined-with-itself)
#
# Nothing can be computed with the two parts that one could not compute alone.

# %% tags=["claim"]
x, first, second = (
    normal(*shape) for shape in ((1, 4, 6, 6), *[(3, 4, 3, 3)] * 2)
)
claim(
    "eq:joined-with-itself",
    got=F.conv2d(torch.cat([x, x], 1), torch.cat([first, second], 1)),
    want=F.conv2d(x, first + second),
    rejects={
        "the mean of the two": F.conv2d(x, (first + second) / 2),
        "one after the other": F.conv2d(2 * x, first),
    },
)


# %% tags=["nbval-check-output"]
def listing(size=96):
    """Multiplications of a published UNet, and those done twice."""
    total, again = multiplications(3, 32, size, 7, p=3), 0
    down = [(32, 64), (64, 128), (128, 256), (256, 512)]
    up = [(1024, 256), (512, 128), (256, 64), (128, 32)]
    for n, (C, D) in enumerate(down + up):
        size = size // 2 if n < 4 else size * 2
        resample = multiplications(C, C, size, 3)
        grouped = multiplications(C, D, size, 3) // 32
        rest = multiplications(D, D, size, 3)
        shortcut = multiplications(C, D, size, 1, p=0)
        total += 2 * resample + grouped + rest + shortcut
        again += resample
    return total + multiplications(32, 3, size, 1, p=0), again


total, again = listing()
print(f"multiplications: {total / 1e9:.1f} billion")
print(f"done twice: {again / total:.0%}")
print(f"weights for a second copy: {9 * 512 * 1024 / 1e6:.1f} million")

# %% [markdown]
# In one of the two listings 4.7 million weights belong to the second copy. Put on the list what comes *before* a halving, as we do, and the bottom is not on it.
#
# *The same thing computed twice.* In that listing every block resamples its picture first, and does so in two lines: once for its main road and once for its shortcut, `h = self.sample(x)` and `x = self.sample(x)`. Both have the same input and the same weights, and so the same result. Our formula {eq}`eq:multiplications`, applied to its layers, says what that costs: 46 % of all multiplications are done for the second time. No test of the output can find it, because nothing is wrong with the output. A count of the work can.
#
# ## Exercises
#
# Each exercise has a cell for your answer. The check below it says whether the answer is right and, if not, which mistake it looks like.
#
# :::{exercise} The next size
# :label: ex-next-size
#
# A UNet halves four times, and your pictures have 100×100 pixels. To which size must you pad them, if you add as little as possible?
# :::

# %%
from ddpm_lib.course.checks import unet as check

next_size = ...
check.next_size(next_size)

# %% [markdown]
# :::{solution-start} ex-next-size
# :class: dropdown
# :::
#
# By {eq}`eq:round-trip` the size must be a multiple of $2^4 = 16$. The next one from 100 on is 112.

# %% tags=["solution"]
next_size = -(-100 // 16) * 16
check.next_size(next_size)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A kernel of five
# :label: ex-kernel-five
#
# Which padding and which output padding make a transposed convolution with a kernel of 5 and stride 2 double every size exactly? (PyTorch wants whole numbers, and an output padding below the stride.) And how many taps do the pixels of a line then have in turn, at even and at odd places?
# :::

# %%
padding, output_padding = ..., ...
taps_even, taps_odd = ..., ...
check.kernel_five(padding, output_padding, taps_even, taps_odd)

# %% [markdown]
# :::{solution-start} ex-kernel-five
# :class: dropdown
# :::
#
# {eq}`eq:transposed-size` asks for $2(H - 1) - 2p + 5 + o = 2H$, so $2p = 3 + o$. With $o = 0$ no whole $p$ solves it; with $o = 1$ it is $p = 2$. By {eq}`eq:taps` place $j$ has the remainder of $j + 2$, which is that of $j$: at even places the taps 0, 2 and 4, at odd ones 1 and 3. It is a checkerboard again, with ratios of 3 to 2 in a line and 9 to 4 in a picture. Larger odd kernels have it too, only weaker.

# %% tags=["solution"]
check.kernel_five(2, 1, 3, 2)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Kernels with holes
# :label: ex-dilation
#
# A *dilated* convolution takes its $k$ taps not side by side but $d$ neighbors apart. It sees further for the same price. Extend {eq}`eq:receptive` to it, and write the function that gives the width of what one output sees, for layers `(k, s, d)`.
# :::


# %%
def reach(layers):
    """layers: [(k, s, d)]  ->  width"""
    return ...


check.dilation(reach)

# %% [markdown]
# :::{solution-start} ex-dilation
# :class: dropdown
# :::
#
# The first and the last of $k$ taps now lie $(k - 1)\,d$ neighbors apart: $r_l = r_{l-1} + (k_l - 1)\,d_l\,\Delta_{l-1}$. The step to the next output is still the stride, so $\Delta_l$ is as before. Not every pixel within that width need be heard; a hole stays a hole if no other layer fills it.


# %% tags=["solution"]
def reach(layers):
    r = apart = 1
    for k, s, d in layers:
        r, apart = r + (k - 1) * d * apart, apart * s
    return r


check.dilation(reach)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Any size at all
# :label: ex-any-size
#
# Write a function that lets any network for multiples of 4 work on pictures of any size: zeros are added at the right and at the bottom, as few as possible, and taken off the result. What do you expect of the prediction near these two edges?
# :::


# %%
def at_any_size(network, x_t, t):
    """x_t: (B, C, H, W), any H and W  ->  (B, C, H, W)"""
    return ...


check.any_size(at_any_size)

# %% [markdown]
# :::{solution-start} ex-any-size
# :class: dropdown
# :::
#
# The remainder of $-H$ divided by 4 is what is missing to the next multiple, and 0 if nothing is missing. Near the new edges the network sees zeros in a place where in training it saw noise or the true edge of a picture. So expect a slightly worse prediction there, unless you train with padded pictures. (If your data have one size, pad or resize them once and for all.)


# %% tags=["solution"]
def at_any_size(network, x_t, t):
    H, W = x_t.shape[2:]
    padded = F.pad(x_t, (0, -W % 4, 0, -H % 4))  # right, bottom
    return network(padded, t)[:, :, :H, :W]


check.any_size(at_any_size)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: the first UNet
# :class: card
#
# $$
# \begin{aligned}
# \mathrm{conv} \quad & H' = \lfloor (H + 2p - k)/s \rfloor + 1\\
# \mathrm{conv}^\top \quad & H' = s(H - 1) - 2p + k + o\\
# \text{price} \quad & C'H'W' \cdot C k^2\\
# \text{reach} \quad & r_l = r_{l-1} + (k_l - 1)\,\Delta_{l-1}\\
# & \Delta_l = s_l\,\Delta_{l-1}\\
# \text{taps} \quad & n_j = \lfloor (k - 1 - \rho)/s\rfloor + 1\\
# & \rho = (j + p) \bmod s\\
# \text{weights} \quad & \sigma_w^2 = 2.8 / n
# \end{aligned}
# $$
#
# The price is in multiplications; the weights are for SiLU before a layer of $n$ taps. $L$ halvings need sizes that $2^L$ divides. The bottom sees furthest, the skips carry noise that a pixel's neighbors do not predict. Count channels after joining, and put nothing on the list of skips that comes after the last halving.
# :::
#
# Ten plain layers can draw digits, and they owe their start to carefully chosen weights. Chapter 12 builds a deeper network whose blocks keep themselves in order.
