# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # How good are the samples?
#
# A lab report trains a diffusion model and measures it every five epochs by its FID, a distance of samples from data, each time with 100 samples: 257.68, 214.59, 246.37, 211.25, 205.01 and 228.97. Which checkpoint is the best, and is 205 good? The report also asks a question of its own: why do all pictures of a batch share one color cast? Our model of chapter 13 must face the first question too. Below are data, its samples, and for each sample the most similar picture that it was trained on.
#
# :::{admonition} At a glance
# :class: glance
#
# 60 minutes to read; it runs in less than a minute on one core of a laptop's CPU, once the model of chapter 13 is trained (two minutes more if it is not). You need the variational bound of chapter 6, the section *One number that all pixels share* of chapter 8, and the model of chapter 13.
# :::
#
# With a GPU the same cells judge a model of MNIST by more samples, unless the budget says `device = "cpu"`.

# %%
import matplotlib.pyplot as plt
import torch

from ddpm_lib import data, diffusion, evaluation, recipes, runs
from ddpm_lib.course.claims import claim, mean
from ddpm_lib.course.recipes import SMALL_DIGITS
from ddpm_lib.evaluation import Moments, frechet_distance, moments
from ddpm_lib.named.digits import MNIST
from ddpm_lib.plotting import DATA, GRAY, MODEL, NOISE, grid, style

# The budget. With device = "cpu" it is the small one, everywhere.
device = "cuda" if torch.cuda.is_available() else "cpu"
recipe, n = (MNIST, 4800) if device != "cpu" else (SMALL_DIGITS, 600)

style()
model, about = runs.once(recipe, torch.device(device))
examples = recipes.examples(model.recipe)
train, test = (data.scale(x) for x in (examples.train, examples.test))
parts = [
    list(recipes.walk(model, n // 3, seed))[-1].cpu()
    for seed in (1, 2, 3)
]
x = torch.cat(parts)  # n samples, DDIM in 50 steps

# %% tags=["figure"] mystnb={"image": {"alt": "Three rows of ten small gray pictures. The first row are handwritten digits from the data, the second row are samples of the model, which can be read as digits too, a few of them with doubt. In the third row, below each sample, stands a training picture of the same kind of digit whose strokes differ from the sample's."}, "figure": {"name": "fig-judged", "caption": "First row: pictures that were kept apart from training. Second row: samples. Third row: for each sample the nearest training picture. The samples look like digits and are no copies. Can we say it in numbers?"}}
near = evaluation.nearest(x[:10], train).which[:, 0]
grid(torch.cat([test[:10], x[:10], train[near]]), rows=3)

# %% [markdown]
# ## What a number should answer
#
# A model's distribution $p$ should equal the distribution $q$ of the data. We have samples of both and no densities. The most used measure summarizes each by the mean and the covariance of some features of its pictures, and then asks how far apart two normal distributions with these are. So first: what is the distance of two normal distributions?
#
# ## Moving one distribution onto another
#
# Think of $q$ as a heap of sand and of $p$ as another one. To turn one into the other, each grain at $x$ goes to some place $y$. A plan that says how is a joint distribution of $x$ and $y$ whose marginals are the two heaps, a *coupling*. Moving a grain by $\ell$ costs $\ell^2$. The squared Wasserstein-2 distance is the cost of the cheapest plan:
#
# $$
# W_2^2(q, p) = \min_{\text{couplings}}\ \mathbb E\,\lVert x - y\rVert^2 .
# $$ (def:wasserstein-two)
#
# Chapter 3 used the same idea with the length itself, {eq}`def:wasserstein`. With squares, normal distributions can be done with pencil.
#
# Write $m_1, C_1$ for mean and covariance of $x$, and $m_2, C_2$ for those of $y$. Subtract the means: $x = m_1 + x^\circ$ and $y = m_2 + y^\circ$, where $\mathbb E x^\circ = \mathbb E y^\circ = 0$. Then
#
# $$
# \begin{aligned}
# \mathbb E\lVert x - y\rVert^2 = {}& \lVert m_1 - m_2\rVert^2\\
# & + 2\,(m_1 - m_2)\cdot\mathbb E[x^\circ - y^\circ]\\
# & + \mathbb E\lVert x^\circ - y^\circ\rVert^2 ,
# \end{aligned}
# $$
#
# and the middle term is zero. Multiply out the last one: $\mathbb E\lVert x^\circ\rVert^2 + \mathbb E\lVert y^\circ\rVert^2 - 2\,\mathbb E[x^\circ\cdot y^\circ]$. The first is the sum of the variances of the coordinates, the trace of $C_1$, and so for the second. The third is the trace of the cross covariance $K = \mathbb E[x^\circ {y^\circ}^\top]$:
#
# $$
# \begin{aligned}
# \mathbb E\lVert x - y\rVert^2 = {}& \lVert m_1 - m_2\rVert^2\\
# & + \operatorname{tr} C_1 + \operatorname{tr} C_2 - 2\operatorname{tr} K .
# \end{aligned}
# $$ (eq:fd-split)
#
# Only $K$ depends on the plan. The cheapest plan makes $\operatorname{tr} K$ as large as possible. The claim takes a plan between two sets of fifty points, the first to the first, the second to the second, and moves them.


# %%
def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    """Standard normal numbers in double precision."""
    return torch.randn(*shape, generator=seeded(seed)).double()


# %% tags=["claim"]
p, q = normal(50, 3, seed=1) + 1, normal(50, 3, seed=2) * 2
q = q + 0.5 * p  # so that the plan has a cross covariance
x_0, y_0 = p - p.mean(0), q - q.mean(0)
C_1, C_2, K = (
    u.T @ v / 50 for u, v in ((x_0, x_0), (y_0, y_0), (x_0, y_0))
)
apart = (p.mean(0) - q.mean(0)).square().sum()
claim(
    "eq:fd-split",
    got=(p - q).square().sum(1).mean(),
    want=apart + C_1.trace() + C_2.trace() - 2 * K.trace(),
    rejects={
        "the cross term once": apart
        + C_1.trace()
        + C_2.trace()
        - K.trace(),
        "independent $x$ and $y$": apart + C_1.trace() + C_2.trace(),
        "the means forgotten": C_1.trace()
        + C_2.trace()
        - 2 * K.trace(),
    },
)

# %% [markdown]
# ### On a line
#
# In one dimension let the standard deviations be $s_1$ and $s_2$. By the inequality of Cauchy and Schwarz a covariance is at most the product of the standard deviations, $K \le s_1 s_2$. The plan $y = m_2 + \tfrac{s_2}{s_1}(x - m_1)$ reaches it: its $y$ is normal with the right mean and variance, and its covariance with $x$ is $\tfrac{s_2}{s_1}s_1^2 = s_1 s_2$. Insert into {eq}`eq:fd-split`:
#
# $$
# \begin{aligned}
# W_2^2 &= (m_1 - m_2)^2 + s_1^2 + s_2^2 - 2 s_1 s_2\\
# &= (m_1 - m_2)^2 + (s_1 - s_2)^2 .
# \end{aligned}
# $$ (eq:fd-line)
#
# Standard deviations are subtracted, not variances. The plan is increasing: the lowest grain goes to the lowest place, as in {eq}`eq:wasserstein-sorted`. So the cost is also the mean squared difference of the quantiles of the two, and that is how the claim computes it, with a million of them.

# %% tags=["claim"]
m_1, s_1, m_2, s_2 = 0.3, 1.0, -0.5, 1.7
share = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1e6
z = torch.special.ndtri(share)  # normal quantiles
claim(
    "eq:fd-line",
    got=((m_1 + s_1 * z) - (m_2 + s_2 * z)).square().mean(),
    want=(m_1 - m_2) ** 2 + (s_1 - s_2) ** 2,
    rejects={
        "the variances subtracted": (m_1 - m_2) ** 2
        + abs(s_1**2 - s_2**2),
        "not squared": abs(m_1 - m_2) + abs(s_1 - s_2),
        "independent $x$ and $y$": (m_1 - m_2) ** 2 + s_1**2 + s_2**2,
    },
    atol=1e-4,
)

# %% [markdown]
# ### In space: how large can the cross covariance be?
#
# A covariance matrix has a symmetric square root: keep its eigenvectors and take the roots of its eigenvalues. Let $C_1$ and $C_2$ be invertible, and measure $x^\circ$ and $y^\circ$ in units in which their covariances are $I$: $x' = C_1^{-1/2}x^\circ$ and $y' = C_2^{-1/2}y^\circ$. Let $R = \mathbb E[x'{y'}^\top]$ be the cross covariance in these units. Then
#
# $$
# K = \mathbb E\bigl[C_1^{1/2}x'\,{y'}^\top C_2^{1/2}\bigr] = C_1^{1/2} R\, C_2^{1/2} .
# $$
#
# What do we know about $R$? Take two unit vectors $u$ and $v$. The numbers $u\cdot x'$ and $v\cdot y'$ have the variances $u^\top I u = 1$ and $v^\top I v = 1$, and their covariance is $u^\top R\,v$. By Cauchy and Schwarz again,
#
# $$
# u^\top R\,v \le 1 \quad\text{for all unit vectors } u, v .
# $$
#
# Under a trace, factors may be moved in a circle, so $\operatorname{tr} K = \operatorname{tr}(R\,M)$ with $M = C_2^{1/2}C_1^{1/2}$. Write $M$ by its singular values, $M = \sum_i \sigma_i\,v_i u_i^\top$, with orthonormal $u_i$ and orthonormal $v_i$. Then
#
# $$
# \begin{aligned}
# \operatorname{tr}(R\,M) &= \sum_i \sigma_i\operatorname{tr}(R\,v_i u_i^\top)\\
# &= \sum_i \sigma_i\,u_i^\top R\,v_i \le \sum_i\sigma_i .
# \end{aligned}
# $$
#
# The bound is reached by $R = \sum_i u_i v_i^\top$, for which every $u_i^\top R\,v_i$ is 1. It belongs to a plan: $y' = R^\top x'$ is normal, has the covariance $R^\top R = I$, and $\mathbb E[x'{y'}^\top] = R$. The squares of the singular values of $M$ are the eigenvalues of $M^\top M$. With $M^\top = C_1^{1/2}C_2^{1/2}$ this is $C_1^{1/2}C_2\,C_1^{1/2}$, and the sum of the $\sigma_i$ is the trace of its root:
#
# $$
# \max \operatorname{tr} K = \sum_i \sigma_i = \operatorname{tr}\bigl(C_1^{1/2}C_2\,C_1^{1/2}\bigr)^{1/2} .
# $$ (eq:fd-bound)
#
# The claim looks for the best plan without this argument: among the plans $y' = R^\top x'$ with a rotation $R$, gradient ascent finds the largest trace.


# %%
def root(C):
    """The symmetric square root.  (d, d)"""
    values, axes = torch.linalg.eigh(C)
    return axes * values.clamp(min=0).sqrt() @ axes.T


A, B = normal(3, 3, seed=3), normal(3, 3, seed=4)
C_1, C_2 = A @ A.T + 0.1 * torch.eye(3), B @ B.T + 0.1 * torch.eye(3)

# %% tags=["claim"]
turn = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
search = torch.optim.LBFGS(
    [turn],
    max_iter=500,
    tolerance_grad=1e-12,
    tolerance_change=1e-16,
    line_search_fn="strong_wolfe",
)


def trace_of_plan():
    R = torch.matrix_exp(turn - turn.T)  # a rotation
    return (root(C_1) @ R @ root(C_2)).trace()


def descend():
    search.zero_grad()
    (-trace_of_plan()).backward()
    return -trace_of_plan()


search.step(descend)
claim(
    "eq:fd-bound",
    got=trace_of_plan().detach(),
    want=root(root(C_1) @ C_2 @ root(C_1)).trace(),
    rejects={
        "the product of the roots": (root(C_1) @ root(C_2)).trace(),
        "the trace of the product": (C_1 @ C_2).trace(),
        "the root of the trace": (C_1 @ C_2).trace().sqrt(),
        "coordinate by coordinate": (C_1.diag() * C_2.diag())
        .sqrt()
        .sum(),
    },
    atol=1e-6,
)

# %% [markdown]
# Where does a grain go? With the best $R$ the plan is a matrix, $y^\circ = T x^\circ$, and its formula can be checked without the derivation:
#
# $$
# \begin{aligned}
# T &= C_1^{-1/2}\bigl(C_1^{1/2}C_2\,C_1^{1/2}\bigr)^{1/2}C_1^{-1/2} ,\\
# T\,C_1\,T &= C_2 .
# \end{aligned}
# $$ (eq:fd-map)
#
# Call the middle root $Q$, so that $T = C_1^{-1/2}Q\,C_1^{-1/2}$. In $T\,C_1\,T$ the factors between the two $Q$ are $C_1^{-1/2}C_1\,C_1^{-1/2} = I$. What remains is $C_1^{-1/2}Q\,Q\,C_1^{-1/2}$, and $Q\,Q = C_1^{1/2}C_2\,C_1^{1/2}$ leaves $C_2$. So $T x^\circ$ has the right covariance. Its cross covariance with $x^\circ$ is $C_1 T$, with the trace $\operatorname{tr}(C_1^{1/2} Q\,C_1^{-1/2}) = \operatorname{tr} Q$: the maximum. Other matrices take $C_1$ to $C_2$ too, and cost more.

# %% tags=["claim"]
inner = root(root(C_1) @ C_2 @ root(C_1))
back = torch.linalg.inv(root(C_1))
T = back @ inner @ back


def moved(T):
    """Where T takes C_1, and what that costs."""
    I = torch.eye(3)
    cost = ((I - T) @ C_1 @ (I - T).T).trace()
    return torch.cat([(T @ C_1 @ T.T).flatten(), cost[None]])


best = C_1.trace() + C_2.trace() - 2 * inner.trace()
chol_1, chol_2 = (torch.linalg.cholesky(C) for C in (C_1, C_2))
claim(
    "eq:fd-map",
    got=torch.cat([C_2.flatten(), best[None]]),
    want=moved(T),
    rejects={
        "roots multiplied": moved(root(C_2) @ back),
        "Cholesky factors": moved(chol_2 @ torch.linalg.inv(chol_1)),
        "no root in the middle": moved(back @ inner @ inner @ back),
    },
    atol=1e-9,
)

# %% tags=["figure"] mystnb={"image": {"alt": "Two clouds of points in the plane. The blue one is stretched along one diagonal, the green one lies to its right and is stretched along the other diagonal. Thin gray lines connect thirty blue points with the places where they go."}, "figure": {"name": "fig-transport", "caption": "The cheapest way from one normal distribution (blue) to another (green), for thirty grains. The map is $T$ and a shift; no rotation is in it, since turning a heap costs and does nothing that stretching could not do."}}
P = torch.tensor([[1.0, 0.7], [0.7, 1.0]]).double()
Q = torch.tensor([[1.0, -0.7], [-0.7, 0.8]]).double()
r = torch.linalg.inv(root(P))
flow = r @ root(root(P) @ Q @ root(P)) @ r
start = normal(400, 2, seed=5) @ root(P)
end = start @ flow + torch.tensor([4.0, 0.5])
fig, ax = plt.subplots(figsize=(6, 2.9))
ax.scatter(*start.T, s=4, color=DATA, marker="o", lw=0)
ax.scatter(*end.T, s=9, color=MODEL, marker="x", lw=0.6)
for a, b in zip(start[:30], end[:30], strict=True):
    ax.plot(*torch.stack([a, b]).T, "-", color=GRAY, lw=0.7)
ax.set(aspect="equal", xlabel="first feature", ylabel="second feature")
plt.show()

# %% [markdown]
# Put {eq}`eq:fd-bound` into {eq}`eq:fd-split`. This is the *Fréchet distance* FD of two normal distributions:
#
# $$
# \begin{aligned}
# \mathrm{FD} = {}& \lVert m_1 - m_2\rVert^2 + \operatorname{tr}(C_1 + C_2)\\
# & - 2\operatorname{tr}\bigl(C_1^{1/2}C_2\,C_1^{1/2}\bigr)^{1/2} .
# \end{aligned}
# $$ (eq:frechet)
#
# If the two matrices share their eigenvectors, with eigenvalues $\lambda_i$ and $\mu_i$, the root has the eigenvalues $\sqrt{\lambda_i\mu_i}$, and with $\lambda_i + \mu_i - 2\sqrt{\lambda_i\mu_i} = (\sqrt{\lambda_i} - \sqrt{\mu_i})^2$ it is {eq}`eq:fd-line` for each axis:
#
# $$
# \mathrm{FD} = \lVert m_1 - m_2\rVert^2 + \sum_i \bigl(\sqrt{\lambda_i} - \sqrt{\mu_i}\bigr)^2 .
# $$ (eq:fd-commuting)
#
# The library's function is three lines, after a check of the sizes. It takes the sum of the singular values of $C_1^{1/2}C_2^{1/2} = M^\top$, never the root of a product.

# %%
import inspect

print(inspect.getsource(frechet_distance))

# %% tags=["claim"]
m_1, m_2 = normal(3, seed=6), normal(3, seed=7)
apart = (m_1 - m_2).square().sum()
both = C_1.trace() + C_2.trace()
library = frechet_distance(Moments(m_1, C_1), Moments(m_2, C_2))
claim(
    "eq:frechet",
    got=library,
    want=apart + both - 2 * inner.trace(),
    rejects={
        "the factor 2 lost": apart + both - inner.trace(),
        "no square at the means": apart.sqrt()
        + both
        - 2 * inner.trace(),
        "the product of the roots": apart
        + both
        - 2 * (root(C_1) @ root(C_2)).trace(),
    },
    atol=1e-10,
)
axes, _ = torch.linalg.qr(normal(3, 3, seed=8))
lam, mu = torch.tensor([[2.0, 1.0, 0.3], [0.5, 1.5, 0.3]]).double()
pair = [
    Moments(m, axes * v @ axes.T) for m, v in ((m_1, lam), (m_2, mu))
]
claim(
    "eq:fd-commuting",
    got=frechet_distance(*pair),
    want=apart + (lam.sqrt() - mu.sqrt()).square().sum(),
    rejects={
        "variances subtracted": apart + (lam - mu).square().sum(),
        "absolute differences": apart + (lam - mu).abs().sum(),
    },
    atol=1e-10,
)

# %% [markdown]
# Three properties follow from what FD is. Shift or rotate the features of both, and no length changes: FD stays. Double all features, and it becomes four times as large: *FD has the unit of a squared feature*, and a number without its features says nothing. And the bound on $\operatorname{tr} K$ did not use that the distributions are normal. So for any two distributions the FD of their means and covariances is a lower bound on $W_2^2$, and it is zero as soon as these agree. Here is what it cannot see: the ring of chapter 9, divided by its standard deviation, the root of {eq}`eq:ring-variance`, and one Gaussian blob of the same mean and covariance.


# %% tags=["nbval-check-output"]
def fd(a, b):
    """The Fréchet distance of two sets of features.  (N, d)"""
    return frechet_distance(moments(a), moments(b))


unit = (1.5**2 / 2 + 0.1**2) ** 0.5
ring = data.ring(40_000, generator=seeded(9)).double() / unit
blob = normal(40_000, 2, seed=10)
print(f"FD of ring and blob: {fd(ring, blob):.3f}")
for cloud, name in ((ring, "ring"), (blob, "blob")):
    inside = (cloud.norm(dim=1) < 0.7).double().mean()
    print(f"{name}: {inside:.0%} of the points in the middle")

# %% [markdown]
# ## Features, and why not pixels
#
# The pixels of a picture are far from normal. The idea of {cite:t}`heusel2017` is to compare features: the outputs of the last layer but one of a network that was trained to tell pictures apart. There, normal is not absurd, and what changes a feature is mostly something that one can see. With the 2048 features of the Inception network, FD is called *FID*. For our digits we train a small classifier of our own, with 64 features, scaled to a variance of about 1 each.

# %%
labels = examples.labels
classifier = evaluation.train_classifier(
    train.to(device), labels.to(device)
)


def features(y):
    return evaluation.extract(classifier.features, y.to(device))


def pixels(y):
    return y.flatten(1).double()


order = torch.randperm(len(train), generator=seeded(0))
real, other = train[order[:n]], train[order[n : 2 * n]]
F, R, O = features(x), features(real), features(other)

# %% [markdown]
# A test of the two: draw pictures whose *pixels* are normal, with the mean and the covariance of the digits' pixels. Few of them are digits.

# %% tags=["figure"] mystnb={"image": {"alt": "Two rows of ten small gray pictures. The first row are handwritten digits. The second row are noisy gray patterns, in only a few of which a digit can be guessed."}, "figure": {"name": "fig-pixel-gaussian", "caption": "Digits (above), and draws of the normal distribution with the mean and covariance of their pixels (below). The Fréchet distance in pixels cannot tell them apart."}}
m, C = moments(pixels(train))
noise = normal(n, len(m), seed=11)
foggy = (noise @ root(C) + m).float().reshape(-1, *train.shape[1:])
grid(torch.cat([real[:10], foggy[:10]]), rows=2)

# %% tags=["nbval-check-output"]
for space, of in (("pixels", pixels), ("features", features)):
    far, again = fd(of(real), of(foggy)), fd(of(real), of(other))
    word = "below" if far < again else "above"
    word = "far above" if far > 5 * again else word
    print(f"{space}: the fog is {word} real from real")

# %% [markdown]
# In pixels the fog is even nearer to the data than a second set of digits is: only means and covariances are compared, and it has the right ones. In the features it is far away. So the features decide what counts as a difference. Another network has another opinion, and a FID cannot be compared with a distance in other features, however similar the formula.
#
# ## The same distribution is not at distance zero
#
# The formula wants the means and covariances of the distributions. We have those of $N$ and of $M$ pictures. Let both sets come from the *same* distribution, and ask for the expected FD. It is not zero, and we can compute it.
#
# *The means.* Let the distribution have the mean $m$ and the covariance $C$. The mean $\hat m_1$ of $N$ pictures deviates from $m$ by a random vector with the covariance $C/N$, and the mean $\hat m_2$ of the $M$ others by one with $C/M$. They are independent, so their difference has the covariance $C/N + C/M$. Its mean is zero, and by {eq}`eq:trace` its expected squared length is the trace:
#
# $$
# \mathbb E\lVert\hat m_1 - \hat m_2\rVert^2 = \Bigl(\frac1N + \frac1M\Bigr)\operatorname{tr} C .
# $$ (eq:fd-mean-bias)

# %% tags=["claim"]
lam = torch.tensor([1.0, 0.5, 0.25, 0.1, 0.05]).double()
N, M, trials = 300, 600, 800
a = normal(trials, N, 5, seed=12) * lam.sqrt()
b = normal(trials, M, 5, seed=13) * lam.sqrt()
both = 1 / N + 1 / M
claim(
    "eq:fd-mean-bias",
    got=mean((a.mean(1) - b.mean(1)).square().sum(1)),
    want=lam.sum() * both,
    rejects={
        "no bias": 0.0,
        "only one set is finite": lam.sum() / N,
        "as with $N + M$ pictures": lam.sum() / (N + M),
        "one variance for all": 5 * lam.max() * both,
    },
)

# %% [markdown]
# *The covariances.* They deviate too, and what they add to FD is never negative. How much does a small one add? Let the covariances be $C$ and $C + \Delta$, with a small symmetric $\Delta$, and work in the axes of $C$, where it is diagonal with entries $\lambda_i$. The best map is close to the identity, $T = I + \tau$. Insert it into $T C T = C + \Delta$, and drop what is of second order:
#
# $$
# \tau C + C\tau = \Delta, \qquad\text{that is}\qquad \tau_{ij}\,(\lambda_j + \lambda_i) = \Delta_{ij} .
# $$
#
# The cost of the map follows with {eq}`eq:trace`:
#
# $$
# \begin{aligned}
# \mathbb E\lVert x^\circ - Tx^\circ\rVert^2 &= \mathbb E\lVert\tau x^\circ\rVert^2\\
# &= \operatorname{tr}(\tau C\tau) = \sum_{ij}\tau_{ij}^2\lambda_j .
# \end{aligned}
# $$
#
# In this sum exchange the names $i$ and $j$, where $\tau_{ij}^2$ stays, and take half of both versions: $\tfrac12\sum_{ij}\tau_{ij}^2(\lambda_i + \lambda_j)$. Now insert $\tau_{ij} = \Delta_{ij}/(\lambda_i + \lambda_j)$. Up to higher orders in $\Delta$,
#
# $$
# \mathrm{FD}(C,\ C + \Delta) \approx \frac12\sum_{ij}\frac{\Delta_{ij}^2}{\lambda_i + \lambda_j} .
# $$ (eq:fd-small)

# %% tags=["claim"]
zero = torch.zeros(5).double()
S = normal(5, 5, seed=14)
Delta = (S + S.T) * lam.min()
h = 1e-3
both_ways = [
    frechet_distance(
        Moments(zero, lam.diag()), Moments(zero, lam.diag() + e * Delta)
    )
    for e in (h, -h)  # odd orders cancel
]
sums = lam[:, None] + lam
claim(
    "eq:fd-small",
    got=sum(both_ways) / (2 * h**2),
    want=(Delta**2 / sums).sum() / 2,
    rejects={
        "no half": (Delta**2 / sums).sum(),
        "the diagonal alone": (Delta**2 / sums).diag().sum() / 2,
        "as in one dimension, $Δ²/4λ$": (
            Delta**2 / (4 * lam[:, None])
        ).sum(),
        "variances for roots": (Delta**2).sum(),
    },
    atol=1e-5,
)

# %% [markdown]
# For two samples, $\Delta$ is the difference of their estimated covariances. (That the first of them is not $C$ itself changes only higher orders.) For normal features in these axes the coordinates are independent. The product of two different ones has the variance $\lambda_i\lambda_j$, and the square of one has the variance $2\lambda_i^2$. An estimate from $N$ pictures averages $N$ such products and has $1/N$ of that, to first order, and the difference of two estimates has $\tfrac1N + \tfrac1M$:
#
# $$
# \begin{aligned}
# \mathbb E\,\Delta_{ij}^2 &= \Bigl(\frac1N + \frac1M\Bigr)\lambda_i\lambda_j \quad (i \ne j) ,\\
# \mathbb E\,\Delta_{ii}^2 &= \Bigl(\frac1N + \frac1M\Bigr)\,2\lambda_i^2 .
# \end{aligned}
# $$
#
# Insert this into {eq}`eq:fd-small`, and leave the common factor aside. A diagonal term gives $\tfrac12\cdot\tfrac{2\lambda_i^2}{2\lambda_i} = \tfrac12\lambda_i$, all of them half a trace. A pair $i < j$ occurs twice and gives $\lambda_i\lambda_j/(\lambda_i + \lambda_j)$. The means add a whole trace, {eq}`eq:fd-mean-bias`. To first order in $1/N$ and $1/M$, the expected distance of two samples from one distribution is
#
# $$
# \mathbb E\,\mathrm{FD} \approx \bigl(\tfrac1N + \tfrac1M\bigr)\Bigl(\tfrac32\operatorname{tr} C + \sum_{i<j}\frac{\lambda_i\lambda_j}{\lambda_i + \lambda_j}\Bigr) .
# $$ (eq:fd-bias)

# %% tags=["claim"]
found = torch.tensor([fd(*pair) for pair in zip(a, b, strict=True)])
pairs = (lam[:, None] * lam / sums).triu(1).sum()
claim(
    "eq:fd-bias",
    got=mean(found.double()),
    want=both * (1.5 * lam.sum() + pairs),
    rejects={
        "the means alone": both * lam.sum(),
        "axis by axis, no pairs": both * 1.5 * lam.sum(),
        "only one set is finite": (1.5 * lam.sum() + pairs) / N,
        "each pair twice": both * (1.5 * lam.sum() + 2 * pairs),
    },
)

# %% [markdown]
# The number of pairs grows with the square of the number of features. For $C = I$ there are $d(d-1)/2$ of them, each adding $\tfrac12$. That is where the size of the bias comes from. With 2048 features and few pictures the first order is not even enough, so let us simulate. The eigenvalues of real features fall quickly; we let the $k$-th be proportional to $1/k$, and print FD as a share of $\operatorname{tr} C$, the variance of all features together. The second row has infinitely many real pictures; 50,000 come near to that.


# %%
def wide(N, M, seed):
    """FD / tr C of two samples in 2048 dimensions; M=None: exact."""
    lam = 1 / torch.arange(1, 2049)
    lam = lam / lam.sum()
    a = torch.randn(N, 2048, generator=seeded(seed)) * lam.sqrt()
    m_a, A = a.mean(0), a - a.mean(0)
    if M is None:  # against the true moments
        root_sum = torch.linalg.svdvals(A * lam.sqrt()).sum()
        apart, spread = (
            m_a.square().sum(),
            1 + A.square().sum() / (N - 1),
        )
        return float(apart + spread - 2 * root_sum / (N - 1) ** 0.5)
    b = torch.randn(M, 2048, generator=seeded(seed + 1)) * lam.sqrt()
    B = b - b.mean(0)
    root_sum = torch.linalg.svdvals(A @ B.T).sum()
    root_sum = root_sum / ((N - 1) * (M - 1)) ** 0.5
    spread = A.square().sum() / (N - 1) + B.square().sum() / (M - 1)
    return float(
        (m_a - b.mean(0)).square().sum() + spread - 2 * root_sum
    )


# %% tags=["nbval-check-output"]
print("pictures         100   500  1000")
for name, exact in (("N against N", 0), ("N against all", 1)):
    row = [wide(k, None if exact else k, 15) for k in (100, 500, 1000)]
    print(f"{name:<14}" + "".join(f"{value:>6.0%}" for value in row))
again = torch.tensor([wide(100, 100, 100 + 2 * k) for k in range(8)])
print(f"N = 100 again: {again.mean():.1%} ± {again.std():.1%}")

# %% [markdown]
# Two samples of *one* distribution, with 100 pictures each, lie about 87 % of the whole variance apart. With 1000 it is 31 %. Against an exact reference, 100 pictures still give 77 %. All of this is bias: it measures how many pictures there are. So a perfect model would not get 0 in the report either. How much of the 205 it would get, only the report's own floor could say, and no number measured with 50,000 samples can be put beside it.
#
# ## Taking the bias off
#
# To first order the bias falls like $1/N$. Write $\mathrm{FD}_N = \mathrm{FD} + c/N$ for the expected distance, with the same $N$ on both sides. With half as many pictures it is $\mathrm{FD}_{N/2} = \mathrm{FD} + 2c/N$. Twice the first minus the second cancels $c$ {cite:p}`chong2020`:
#
# $$
# 2\,\mathrm{FD}_N - \mathrm{FD}_{N/2} = \mathrm{FD} .
# $$ (eq:fd-extrapolated)
#
# It is a line through two points over $1/N$, extended to $1/N = 0$. The claim knows the answer: two normal distributions in six dimensions that differ in mean and width. `evaluation.frechet` does the same with halves and quarters of the pictures, shuffled several times, and returns the distance and its bias.

# %% tags=["claim"]
N, trials = 400, 400
a = normal(trials, N, 6, seed=16)
b = 0.2 + 1.2 * normal(trials, N, 6, seed=17)
whole = torch.tensor([fd(*pair) for pair in zip(a, b, strict=True)])
half = torch.tensor(
    [
        (fd(u[:200], v[:200]) + fd(u[200:], v[200:])) / 2
        for u, v in zip(a, b, strict=True)
    ]
)
claim(
    "eq:fd-extrapolated",
    got=mean((2 * whole - half).double()),
    want=6 * (0.2**2 + (1.2 - 1) ** 2),
    rejects={
        "not corrected": whole.mean(),
        "the halves' mean": half.mean(),
        "the wrong way round": (2 * half - whole).mean(),
    },
)

# %% [markdown]
# ### And an error bar
#
# A second set of samples gives another number. How different? To draw pictures *with replacement*, the usual bootstrap, does harm here: repeated pictures bring no news, so each such set is like a smaller one and has a larger bias. The *jackknife* leaves out instead. Divide the pictures into $g$ equal groups, and compute the statistic $\theta_{(i)}$ without the $i$-th group. The error bar is
#
# $$
# \mathrm{se}^2 = \frac{g-1}{g}\sum_{i=1}^g\bigl(\theta_{(i)} - \bar\theta\bigr)^2 ,
# $$ (def:jackknife)
#
# with $\bar\theta$ for the mean of the $\theta_{(i)}$. Why this factor? For a statistic that is a mean we know the right answer. Let $\bar x_i$ be the group means, $\bar x$ the mean of all, and $s^2$ the variance between the $\bar x_i$. Without group $i$ the mean is $\theta_{(i)} = (g\bar x - \bar x_i)/(g-1)$. The mean of these over $i$ is $\bar x$, so $\bar\theta = \bar x$ and
#
# $$
# \theta_{(i)} - \bar\theta = \frac{g\bar x - \bar x_i - (g-1)\bar x}{g-1} = \frac{\bar x - \bar x_i}{g-1} .
# $$
#
# By the definition of $s^2$, $\sum_i(\bar x - \bar x_i)^2 = (g-1)\,s^2$. So the sum of the squares is $s^2/(g-1)$, and with the factor
#
# $$
# \mathrm{se}^2 = \frac{g-1}{g}\cdot\frac{s^2}{g-1} = \frac{s^2}{g} ,
# $$ (eq:jackknife)
#
# the squared standard error of a mean of $g$ numbers.


# %%
def jackknife(statistic, size, groups=10):
    """Its standard error.  statistic: indices -> number"""
    rows = torch.arange(size).tensor_split(groups)
    left = torch.tensor(
        [
            statistic(torch.cat([*rows[:i], *rows[i + 1 :]]))
            for i in range(groups)
        ],
        dtype=torch.float64,
    )
    spread = (left - left.mean()).square().sum()
    return float((groups - 1) / groups * spread) ** 0.5


# %% tags=["claim"]
numbers = normal(200, seed=18)
of_groups = numbers.reshape(10, 20).mean(1)
claim(
    "eq:jackknife",
    got=jackknife(lambda rows: numbers[rows].mean(), 200),
    want=of_groups.std() / 10**0.5,
    rejects={
        "the spread of the ten": of_groups.std() / 9,
        "no factor $g − 1$": of_groups.std() / 10**0.5 / 9**0.5,
        "the spread of the groups": of_groups.std(),
    },
    atol=1e-12,
)

# %% [markdown]
# ## The course's model
#
# Now our own samples. The *floor* is the distance of real pictures from as many other real pictures. Which pictures those are makes a difference that has nothing to do with the model. So ten times we draw two disjoint sets of $n$ training pictures, compare with the first both the samples and the second, and take means. The error bar is the jackknife over the samples.


# %%
def split(seed):
    """Two disjoint sets of n training pictures, as features."""
    which = torch.randperm(len(train), generator=seeded(seed))
    return All[which[:n]], All[which[n : 2 * n]]


def judge(fake):
    """FD of fake features, a mean over ten halves of the data."""
    return sum(fd(one, fake) for one, _ in splits) / len(splits)


def by_size(pairs):
    """Mean FD of the pairs with fewer pictures, in disjoint parts."""
    found = []
    for k in sizes:
        parts = [
            fd(a, b)
            for pair in pairs
            for a, b in zip(*(f.split(k) for f in pair), strict=True)
            if len(a) == k
        ]
        found.append(sum(parts) / len(parts))
    return torch.tensor(found)


All = features(train)
splits = [split(seed) for seed in range(10)]
value, floor = judge(F), sum(fd(*pair) for pair in splits) / 10
bias = sum(evaluation.frechet(one, F).bias for one, _ in splits) / 10
error = jackknife(lambda rows: judge(F[rows]), n)
sizes = [n // 12, n // 6, n // 3, n // 2, n]
of_model = by_size([(one, F) for one, _ in splits])
of_real = by_size(splits)

# %%
print(f"FD of {n} samples {value:.2f} ± {error:.2f}")
print(f"  without bias    {value - bias:.2f}")
print(f"floor             {floor:.2f}")
for k, a, b in zip(sizes, of_model, of_real, strict=True):
    print(f"  with {k:>3}: model {a:5.2f}, real {b:5.2f}")

# %% tags=["nbval-check-output"]
above = value > floor + 2 * error
print("2 error bars above the floor:", bool(above))
a, b = of_real[1] / of_real[-1], of_model[1] / of_model[-1]
print("with a sixth of the pictures:")
print("  floor more than 3 times:", bool(a > 3))
print("  model more than 2 times:", bool(b > 2))
above = of_real[1] > of_model[-1]
print("  real above the model with all:", bool(above))

# %% tags=["figure"] mystnb={"image": {"alt": "Fréchet distance against one over the number of pictures. Two rising lines of dots: the upper one, green, is the model, the lower one, blue, is real against real. Both rise steeply and nearly straight to the right, from about 2 and below 1 at 600 pictures to about 10 at 50. Toward the left, dashed lines through the two leftmost points reach about zero for the real pictures and stay above zero for the model."}, "figure": {"name": "fig-fd-by-size", "caption": "The same samples, the same data, and only the number of pictures differs. The lines are nearly straight in $1/N$. The dashed lines go through the two largest $N$. At the left end, where $N$ is infinite, they estimate the values without bias."}}
fig, ax = plt.subplots(figsize=(6, 3.3))
over = 1 / torch.tensor(sizes).double()
for y, color, look, label in (
    (of_model, MODEL, "o", "model against real"),
    (of_real, DATA, "s", "real against real"),
):
    ax.plot(over, y, look + "-", color=color, ms=5, label=label)
    ends = [2 * y[-1] - y[-2], y[-1], y[-2]]
    ax.plot([0, over[-1], over[-2]], ends, "--", color=color, lw=1)
ax.axhline(0, color=GRAY, lw=0.8)
ax.set(xlabel="$1/N$", ylabel="Fréchet distance", ylim=(-1, None))
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# Our model is above its floor by more than two error bars, so it is not perfect, and the bias is a good part of what was printed. With a sixth of the pictures the floor is more than three times as high, higher than the model with all of them: real digits then score worse than our samples.
#
# ## Play with it
#
# The figure draws samples of normal distributions with $d$ independent features, whose variances add up to 1, twelve times for each setting. It compares $N$ of them with $N$ others of the same distribution (dots), and with $N$ of a distribution whose mean is elsewhere (crosses). The last slider is the true FD of these two.

# %% tags=["figure"] mystnb={"image": {"alt": "Distance of two samples of the same distribution against one over N, for 16 and for 64 features. Both lines rise from near zero; the one for 64 features is several times as steep."}, "figure": {"name": "fig-frechet", "caption": "Twelve evaluations at $N$ and at $N/2$. Dots: two samples of the same distribution; crosses: of two that differ. The lines go through the means and on to $1/N = 0$. The axes end where the marks need it."}}
from ddpm_lib.course.explore import explorable

still, ax = plt.subplots(figsize=(4.2, 2.2))
for d, color, look in ((16, DATA, "o-"), (64, NOISE, "s-")):
    rows = []
    for k in (50, 100, 200, 500, 1000):
        a, b = (normal(k, d, seed=s) / d**0.5 for s in (19, 20))
        rows.append((1 / k, fd(a, b) if k > d else float("nan")))
    ax.plot(
        *zip(*rows, strict=True),
        look,
        color=color,
        label=f"{d} features",
    )
ax.set(xlabel="$1/N$", ylabel="distance, the truth is 0")
ax.legend()
explorable(
    "frechet",
    {"N": 200, "d": 16, "true_distance": 0.05},
    still=still,
)

# %% [markdown]
# For variances of $1/d$ each, {eq}`eq:fd-bias` is $\tfrac2N\bigl(\tfrac32 + \tfrac{d-1}{4}\bigr)$, with 16 features $10.5/N$. Halving $N$ adds another $10.5/N$, and that is more than a true distance of 0.05 while $N < 210$: up to there a perfect model with half as many pictures looks worse. With 64 features it takes 690. At the same $N$ the difference between dots and crosses is right on average, and the straight lines bring both back to the truth.
#
# ## What is covered, what is made up
#
# One number cannot say *how* a model fails. It may draw pictures that are no digits, or it may leave some digits out. {cite:t}`kynkaanniemi2019` ask two questions. Which share of the samples lies among the data? Which share of the data lies among the samples? A set $Y$ says what is *among* it by balls: around each $y$ the ball of radius $r_k(y)$, which just reaches its $k$-th nearest neighbor in $Y$, and
#
# $$
# \begin{aligned}
# & \text{share}(X, Y) = \frac{1}{\lvert X\rvert}\,\#\bigl\{x \in X :\\
# & \qquad \lVert x - y\rVert \le r_k(y) \text{ for some } y \in Y\bigr\} .
# \end{aligned}
# $$ (def:share)
#
# *Precision* is the share of the samples among the data, *recall* the share of the data among the samples. The claim has a toy set with known answers. Of 40 fake numbers 10 lie between real ones, and of 20 real numbers 10 have fakes around them.


# %%
def share(X, Y, k=3):
    far = torch.cdist(Y, Y).sort(1).values[:, k]  # 0 is y itself
    return (torch.cdist(X, Y) <= far).any(1).double().mean()


# %% tags=["claim"]
ten = torch.arange(10.0).double()[:, None]
known = torch.cat([ten, ten + 100])
faked = torch.cat([ten + 0.4, ten + 200, ten + 300, ten + 400])
both = torch.stack([share(faked, known, 1), share(known, faked, 1)])
claim(
    "def:share",
    got=torch.tensor(evaluation.precision_recall(known, faked, k=1)),
    want=both,
    rejects={
        "exchanged": both.flip(0),
        "each its own neighbor": torch.stack(
            [share(faked, known, 0), share(known, faked, 0)]
        ),
        "all of both sets counted": torch.tensor([20 / 60, 20 / 60]),
    },
)
claim(
    "def:share",
    got=both,
    want=torch.tensor([0.25, 0.5]).double(),
    rejects={"exchanged": torch.tensor([0.5, 0.25]).double()},
)

# %% [markdown]
# Two sets of *real* pictures do not score 1 either, because the balls leave gaps. So precision and recall have ceilings, which the table below prints.
#
# ## Copies
#
# What FD does a model get that has learned its training pictures by heart? We have such a model. Chapter 8 found the exact denoiser of a collection, {eq}`eq:set-guess`: the guess of $x_0$ is an average of the training pictures, weighted by how well each explains $x_t$. Put it into the sampler.

# %%
from ddpm_lib import sampling, schedules
from ddpm_lib.diffusion import Prediction

cosine = schedules.cosine()
flat = train[:10_000].flatten(1).to(device)


def recite(x_t, t):
    """The exact denoiser of the training set."""
    a = cosine.alpha_bar[t].sqrt()
    s = cosine.one_minus_alpha_bar[t].sqrt()
    fit = a * x_t @ flat.T - a**2 / 2 * flat.square().sum(1)
    x_0 = (fit / s**2).softmax(1) @ flat
    return Prediction(x_0, (x_t - a * x_0) / s)


times = sampling.strided(1000, 100)
x_T = normal(n, flat.shape[1], seed=21).to(flat)
*_, copied = sampling.sample(
    sampling.ddim(), cosine, recite, x_T, times
)
copied = copied.cpu().reshape(-1, *train.shape[1:])
Copied = features(copied)


def distances(y):
    """To the nearest training picture, per pixel."""
    far = evaluation.nearest(y, train).distance[:, 0]
    return far / flat.shape[1] ** 0.5


# %% tags=["nbval-check-output"]
copies, news = distances(copied), distances(test[:n])
mine = distances(x)
print("FD of the copies:")
copier = judge(Copied)
at_floor = abs(copier - floor) < error
print("  within an error bar of the floor:", bool(at_floor))
print("  below the model's:", bool(copier < value - error))
print("nearest training picture:")
print(f"  of a copy at {copies.max():.4f}")
close = (mine < news.median() / 2).double().mean()
print(f"  nearer than half of a test digit's: {close:.0%}")
farther = mine.median() > news.median()
print("  farther than theirs, by median:", bool(farther))

# %% [markdown]
# The model that only copies has an FD at the floor, better than ours: FD cannot tell learning by heart from learning. The distance to the nearest training picture can. It has a natural yardstick, the same distance for pictures that were kept apart. A model that copies is below it, here at zero. Ours is above: its samples are farther from the training pictures than new digits are. So they are no exact copies, and hardly changed ones either; a copy that is shifted by a pixel lies farther away than a new digit, and would pass. (Chapter 13 has stronger evidence: the loss on pictures that were kept apart.) Whether all of them are digits is a question for precision.
#
# ## Bits
#
# There is one measure that samples do not enter. The variational bound of chapter 6, {eq}`def:vlb`, in bits per value, {eq}`eq:bits`, says how long a code made from the model is for a picture, at most. It is computed for pictures that were kept apart, so copying is punished: the copier gives probability almost zero to anything new. But it asks for the probability of every fine shade, and says little about looks. Two models with nearly equal bits can draw very different samples. The bound asks the network once for each of the $T$ steps, so we take few pictures, and print the error bar.

# %%
from functools import partial

few = 12
bits = evaluation.bits_per_dim(
    model.schedule,
    model.denoise,
    test[:few].to(device),
    randn=partial(torch.randn, generator=seeded(22)),
)
shades = torch.log2(torch.tensor(float(len(examples.train.unique()))))

# %% [markdown]
# ## One table
#
# Now all of it at once. Beside a number stands, where there is one, the value that real pictures get, and below it an error bar. `ddpm measure` prints the same for any run, by `runs.measure`.

# %%
precision, recall = evaluation.precision_recall(R, F)
best_p, best_r = evaluation.precision_recall(R, O)
print(f"{'':19}{'model':>5}{'real':>6}{'copies':>8}")
rows = [
    ("Fréchet distance", value, floor, copier),
    ("  its error bar", error, None, None),
    ("  without its bias", value - bias, 0.0, None),
    ("precision", precision, best_p, None),
    ("recall", recall, best_r, None),
    ("nearest picture", mine.median(), news.median(), 0.0),
    ("bits per value", bits.value, None, None),
    ("  its error bar", bits.stderr, None, None),
]
for name, *values in rows:
    cells = ["" if v is None else f"{float(v):.2f}" for v in values]
    print(f"{name:19}{cells[0]:>5}{cells[1]:>6}{cells[2]:>8}".rstrip())

# %% tags=["nbval-check-output"]
print("precision of real above 0.7:", best_p > 0.7)
print("  model lower by 0.2:", precision < best_p - 0.2)
print("recall at most 0.1 lower:", recall > best_r - 0.1)
levels = len(examples.train.unique())
print(f"bits for one of {levels} shades: {shades:.1f}")
within = shades < bits.value < shades + 1
print("  the model: up to 1 bit more:", bool(within))

# %% [markdown]
# Read together, the numbers say more than any of them alone. Recall gives no sign that anything is left out, though samples that lie far apart have large balls, which flatters it. Precision is well below that of real pictures: some samples lie where no digits are. None is a copy. The digits have 17 shades of gray, and to write down one of 17 shades takes 4.1 bits. The model needs a little more: its code covers all 256 levels of a byte, and most of these never occur. Looks and bits are two things.
#
# ## The color cast
#
# Now the report's other question. All samples of a batch share a cast, say blue, and those of the next checkpoint have another. Three explanations are on offer: the batch, the start of the sampler, and the network. Chapter 8 prepared the answer: a picture's mean color is one coordinate, and a special one.
#
# *Are the pictures of a batch coupled?* If one picture could see the others, through a batch statistic, they could agree on a color. Draw a picture alone and in a batch, from the same noise:

# %% tags=["nbval-check-output"]
start = torch.randn(8, *model.recipe.shape, generator=seeded(23))
sampler = partial(
    sampling.sample, sampling.ddim(), model.schedule, model.denoise
)
ten_steps = sampling.strided(1000, 10)
*_, together = sampler(start.to(device), ten_steps)
*_, alone = sampler(start[:1].to(device), ten_steps)
gap = (together[0] - alone[0]).abs().max()
print("alone and together differ < 0.0001:", bool(gap < 1e-4))

# %% [markdown]
# They are not coupled, as {eq}`eq:alone` of chapter 14 asks of a sampler. (With batch normalization left in training mode they would be.) What all pictures share is the network.
#
# *When is the mean decided?* By {eq}`eq:mean-snr` the mean of $d$ pixels of variance $v$, with an average correlation $\rho$, has a signal-to-noise ratio that is $v\,(1 + (d-1)\rho)$ times that of the schedule. For a pixel it is $v$ times. Noise averages out in a mean and color does not. For 32×32 pixels with $v = \tfrac14$ and $\rho = 0.3$ and the linear schedule:

# %% tags=["nbval-check-output"]
linear = schedules.linear()
factors = {"a pixel": 0.25, "the mean": 0.25 * (1 + 1023 * 0.3)}
a, s = linear.alpha_bar.sqrt(), linear.one_minus_alpha_bar.sqrt()
push = linear.beta[1:] / (s[1:] * linear.alpha[1:].sqrt())
print("          noise from t   moved by")
for name, factor in factors.items():
    drowned = int((factor * linear.snr < 1).nonzero().min())
    V = factor * a[:-1] ** 2 + s[:-1] ** 2
    shift = -0.01 * (push * a[:-1] * factor / V).sum()
    print(f"{name:10}{drowned:>12}{shift:>11.3f}")

# %% [markdown]
# Sampling goes from $t = 1000$ down. From $t = 656$ on the mean drowns in the noise, a pixel already from $t = 146$ on. So sampling decides the color while the picture is still noise. (The second column is {eq}`eq:bias-gain` with $b = 0.01$, and we come to it.)
#
# *Does the sampler start right?* At $t = T$ it starts from $\mathcal N(0, I)$, and the mean color of the true $x_T$ is $a_T\mu$ with $a_T = \sqrt{\bar\alpha_T}$, if $\mu$ is that of the data. So the start is off by $\delta_T = -a_T\mu$. As in chapter 8, let the coordinate be normal with the variance $\lambda$, here $v\,(1 + (d-1)\rho)$, so that $x_t$ has $V_t = \lambda\bar\alpha_t + 1 - \bar\alpha_t$, and take the exact denoiser. By {eq}`eq:shift-factor` a shift passes each step with the factor $\sqrt{\alpha_t}\,V_{t-1}/V_t$, and over all steps the variances telescope, $V_0 = \lambda$:
#
# $$
# \begin{aligned}
# \delta_0 &= \Bigl(\prod_{t=1}^{T}\sqrt{\alpha_t}\,\frac{V_{t-1}}{V_t}\Bigr)\delta_T\\
# &= \frac{a_T\,\lambda}{V_T}\,\delta_T = -\frac{\bar\alpha_T\,\lambda}{V_T}\,\mu .
# \end{aligned}
# $$
#
# Insert $V_T$, and divide above and below by $1 - \bar\alpha_T$. What remains is a function of $S = \lambda\,\mathrm{SNR}(T)$, the signal-to-noise ratio of this coordinate at the end:
#
# $$
# \delta_0 = -\frac{S}{1 + S}\,\mu .
# $$ (eq:cast-start)
#
# If $S$ is small, almost nothing of $\mu$ is lost. If it is large, the samples keep the gray of the noise: their mean color is near zero, whatever the data's is. The claim runs the library's sampler from both starts with the same noise, for $\lambda = 77$, the mean of 32×32 pixels, for 0.25, one pixel, and for two schedules: up to $\beta_T = 0.02$, and up to 0.002, the slip of chapter 3.

# %% tags=["claim"]
lam = torch.tensor([77.0, 0.25]).double()
mu = torch.tensor([0.5, -0.8]).double()
ends = ((1000, 1e-4, 0.02), (1000, 1e-4, 0.002))
lost, ratios = [], []
for end in ends:
    schedule = schedules.linear(*end)

    def best_guess(x_t, t, schedule=schedule):
        """The exact denoiser of N(mu, lam)."""
        a = schedule.alpha_bar[t].sqrt()
        s = schedule.one_minus_alpha_bar[t].sqrt()
        off = (x_t - a * mu) / (a**2 * lam + s**2)
        return Prediction(mu + a * lam * off, s * off)

    chance = seeded(25)

    def same(shape, chance=chance):
        """One draw for both runs."""
        return torch.randn(1, 2, generator=chance).expand(shape)

    z = normal(1, 2, seed=24)
    x_T = torch.cat([z, z + schedule.alpha_bar[-1].sqrt() * mu])
    *_, x_0 = sampling.sample(
        sampling.ddpm(), schedule, best_guess, x_T, randn=same
    )
    lost.append(x_0[0] - x_0[1])
    ratios.append(lam * schedule.snr[-1])
S = torch.stack(ratios)
claim(
    "eq:cast-start",
    got=torch.stack(lost),
    want=-S / (1 + S) * mu,
    rejects={
        "what is kept": -mu / (1 + S),
        "the start forgiven": torch.zeros(2, 2),
        "one ratio for all coordinates": -(S / lam)
        / (1 + S / lam)
        * mu,
    },
    atol=1e-9,
)

# %% tags=["nbval-check-output"]
print("beta up to  the mean: S, lost   a pixel")
for row, last in zip(S, (0.02, 0.002), strict=True):
    gone = row / (1 + row)
    print(f"{last:<12}{row[0]:>11.2g}{gone[0]:>6.1%}", end="")
    print(f"{row[1]:>6.1g}{gone[1]:>5.0%}")

# %% [markdown]
# With the linear schedule up to 0.02 the mean has $S = 0.003$ at the end and loses 0.3 % of itself: the start is not the cause. With 0.002 it would be, and the mean would lose 98 %, all in one direction, toward gray.
#
# *So it is the network.* By {eq}`eq:bias-cost` a constant error $b$ in $\hat\epsilon$ costs $b^2$ of the loss, $10^{-4}$ for $b = 0.01$, and by {eq}`eq:bias-gain` it moves the mean of every sample by $-0.27$, as printed above, and a pixel that stands alone by $-0.015$: each step adds its push. While noise leads the mean, the denoiser pulls it back in part. Below $t = 656$ the mean stands out from the noise, the denoiser takes a shifted color for the picture's own, and nothing pulls it back. A loss hardly feels $b$, so the weights wander along it from step to step. That predicts a cast that differs from checkpoint to checkpoint, that is common to all pictures of one checkpoint, and whose jumps an average over checkpoints takes away.
#
# Let us see it happen. A small network learns colored shapes of 8×8 pixels for a few seconds, with a constant learning rate, and we keep the weights of several steps: as they are, and averaged (EMA, {eq}`eq:memory-weights` of chapter 13). From each we draw a hundred pictures in 20 long steps, always from the same noise, and compare their mean color with the data's.

# %%
from copy import deepcopy

from ddpm_lib.networks.unet import UNet
from ddpm_lib.training import Run, Settings, training_steps

shapes = data.shapes(2000, 8).pixels.to(device)
color = data.scale(shapes).mean((0, 2, 3)).cpu()
stops = [150, 300, 425, 450, 475, 500]
plain = Settings(steps=500, final=1.0, ema=0.99)
torch.manual_seed(0)
run = Run(UNet(3, [16], blocks=1, attention=[]).to(device), plain)
kept = []
for record in training_steps(
    run, linear, diffusion.EPS, shapes, prepare=data.scale
):
    if record.step in stops:
        kept.append(
            [deepcopy(run.network).eval(), deepcopy(run.average)]
        )

start = torch.randn(100, 3, 8, 8, generator=seeded(26)).to(device)
times = sampling.strided(1000, 20)


def mean_colors(network):
    """Of a hundred samples, always from the same noise.  (100, 3)"""
    *_, drawn = sampling.sample(
        sampling.ddpm(),
        linear,
        sampling.denoiser(linear, network, diffusion.EPS, 1.0),
        start,
        times,
        randn=partial(torch.randn, generator=seeded(28)),
    )
    return drawn.mean((2, 3)).cpu()


casts, scores = [], []
for weights in kept:
    for network in weights:
        means = mean_colors(network)
        casts.append(means.mean(0) - color)
        scores.append(casts[-1] / (means.std(0) / 10))
casts = torch.stack(casts).reshape(len(stops), 2, 3)
scores = torch.stack(scores).reshape(len(stops), 2, 3)

# %% tags=["figure"] mystnb={"image": {"alt": "Two panels, as they are and averaged. Each shows the shift of the mean of 100 samples against the training step, from 150 to 500, with one line for each of red, green and blue. In the left panel the lines go up and down from one stop to the next. In the right panel the three lines start at about 0.1 and fall together, without a jump, to near zero."}, "figure": {"name": "fig-cast", "caption": "The color cast of one training: mean color of 100 samples minus that of the data, for weights as they are (left) and averaged (right). All samples are drawn from the same noise, so that only the weights differ. Dotted: two standard errors of the mean of 100 pictures of the data."}}
fig, axes = plt.subplots(1, 2, figsize=(6.6, 3), sharey=True)
channel = (("red", "o-"), ("green", "s--"), ("blue", "^:"))
colors = ("#C62828", "#2E7D32", "#1565C0")
wide_bar = 2 * data.scale(shapes).mean((2, 3)).std(0).mean().cpu() / 10
for i, title in enumerate(("as they are", "averaged")):
    ax = axes[i]
    for k, (name, look) in enumerate(channel):
        ax.plot(
            stops, casts[:, i, k], look, color=colors[k], label=name
        )
    for level in (-wide_bar, wide_bar):
        ax.axhline(level, color=GRAY, ls=":", lw=1)
    ax.axhline(0, color=GRAY, lw=0.8)
    ax.set(title=title, xlabel="step of training")
axes[0].set(ylabel="shift of the mean color")
axes[1].legend()
plt.show()

# %%
jumps = (casts[3:] - casts[2:-1]).abs().amax((0, 2))
print("         as they are      averaged")
print("stop     shift     z     shift     z")
for i, stop in enumerate(stops):
    print(f"{stop:>4}", end="")
    for j in (0, 1):
        shift, z = casts[i, j].abs().max(), scores[i, j].abs().max()
        print(f"{shift:>10.3f}{z:>6.1f}", end="")
    print()
print("largest jump in 25 steps:")
print(f"  {jumps[0]:.3f}, averaged {jumps[1]:.3f}")

# %% tags=["nbval-check-output"]
late = scores[2:, 0].abs().max()
print("late casts, largest z above 5:", bool(late > 5))
far = jumps[0] > 4 * jumps[1]
print("jumps above 4 times the averaged:", bool(far))
fell = casts[-1, 1].mean().abs() < casts[0, 1].mean() / 3
print("averaged cast falls to a third:", bool(fell))

# %% [markdown]
# Two parts can be told apart. The averaged weights show a cast that falls with training: at first the average lags behind a network that has learned the color. The weights as they are jump around it, in 25 steps more than four times as far as the averages do: that is noise of the last few steps, and averaging smooths it. A mean of a hundred pictures has a small error bar, and the largest of the late casts is more than five of them. The report's checkpoints, after few epochs, can have both parts.
#
# Is the jumping part the constant error, as we said? Then we can predict it without a single sample. Show a network the $x_t$ of a hundred pictures of the data. A perfect network answers the mean of $\epsilon$ given $x_t$, and by the tower rule of chapter 8 its errors $\hat\epsilon - \epsilon$ have the mean 0. So their mean for a real network, for each color over pictures and pixels, is its constant error $b_t$. It enters {eq}`eq:bias-gain` inside the sum. The sampler goes in 20 long steps from $t$ to $u$. Such a step has $\alpha = \bar\alpha_t/\bar\alpha_u$, the product of the $\alpha$ that it passes {eq}`eq:leap`, and $\beta = 1 - \alpha$. And $\lambda$ is 64 times the variance of the pictures' mean in that color.


# %%
@torch.no_grad()
def bias_of(network):
    """The mean of ε̂ − ε at each time and color.  (20, 3)"""
    x_0, rows = data.scale(shapes[:100]), []
    for t in times[:-1]:
        eps = torch.randn(x_0.shape, generator=seeded(t)).to(device)
        x_t = diffusion.add_noise(linear, x_0, t, eps)
        told = torch.full((100,), t, device=device)
        rows.append((network(x_t, told) - eps).mean((0, 2, 3)).cpu())
    return torch.stack(rows)


t, u = torch.tensor(times[:-1]), torch.tensor(times[1:])
lam = 64 * data.scale(shapes).mean((2, 3)).var(0).cpu()  # (3,)
V = lam * linear.alpha_bar[u, None] + 1 - linear.alpha_bar[u, None]
alpha = linear.alpha_bar[t] / linear.alpha_bar[u]
push = (1 - alpha) / (s[t] * alpha.sqrt())
gain = -(push * a[u])[:, None] * lam / V
biases = torch.stack(
    [bias_of(network) for weights in kept for network in weights]
).reshape(len(stops), 2, 20, 3)
predicted = (gain * biases).sum(2)
print("as they are:    b predicted  measured")
for i, stop in enumerate(stops):
    for k, name in enumerate(("red", "green", "blue")):
        b = biases[i, 0, :5, k].mean()  # t from 800 on
        print(f"{stop if k == 0 else '':>4} {name:5}{b:>8.3f}", end="")
        print(f"{predicted[i, 0, k]:>10.3f}{casts[i, 0, k]:>10.3f}")

# %% tags=["nbval-check-output"]
p, m = predicted[2:, 0].flatten(), casts[2:, 0].flatten()
print("late casts, weights as they are:")
alike = torch.corrcoef(torch.stack([p, m]))[0, 1]
print("  predicted and measured correlate")
print("  above 0.5:", bool(alike > 0.5))
print("  measured smaller:", bool(m.norm() < p.norm()))
size = biases[2:, :, :5].square().mean((0, 2, 3)).sqrt()
print("b from t = 800 on:")
print("  averaged below half:", bool(size[1] < size[0] / 2))
cost = biases[2:, 0].square().mean()
print(f"  costs less than 0.01 of loss: {bool(cost < 0.01)}")

# %% [markdown]
# In the table, $b$ (here its mean from $t = 800$ on) and the prediction come from pictures of the data, and the measured cast from samples. Over the late checkpoints and the three colors prediction and measurement go together: a large cast is these errors, added up, though they cost less than 0.01 of the loss. They are not equal. The formula is for normal data and for a denoiser that is right but for $b$, and it does not know that $\hat x_0$ was clipped to the range of the data. Shapes on black have their background at the border of this range, and clipping takes back what goes beyond. It makes a cast smaller and does not cure it, since a picture that is a little too light has no value out of range.
#
# ## Where tutorials go wrong
#
# *FIDs of a hundred pictures, compared.* The report picks epoch 25, with 205.01. Let the six checkpoints be *equally good*, and each measured value be normal around one mean with the standard deviation $\sigma$. In units of $\sigma$ the six are then standard normal numbers $z_i$, with the density $\varphi$ and the distribution function $\Phi$. The smallest is expected at
#
# $$
# \mathbb E\min_{i \le 6} z_i = -6\int z\,\varphi(z)\,\Phi(z)^5\,dz \approx -1.267 ,
# $$ (eq:best-of-six)
#
# since for the *largest* to lie at $z$, one of the six must lie there and five below, so its density is $6\varphi(z)\Phi(z)^5$, and the smallest is its mirror image.

# %% tags=["claim"]
z = torch.linspace(-9, 9, 20_001).double()
density = torch.exp(-(z**2) / 2) / (2 * torch.pi) ** 0.5
Phi = torch.special.ndtr(z)
claim(
    "eq:best-of-six",
    got=mean(normal(200_000, 6, seed=27).amin(1)),
    want=-6 * torch.trapezoid(z * density * Phi**5, z),
    rejects={
        "no gain by choosing": 0.0,
        "one standard deviation": -1.0,
        "six of them above": -6
        * torch.trapezoid(z * density * Phi**6, z),
    },
)

# %% [markdown]
# So choosing the best of six makes it look $1.27\,\sigma$ better than it is. The report's six values have the mean 227 and the standard deviation 21. Luck alone promises 27 below the mean, and the best is 22 below. Six equally good checkpoints of such a scatter would show as much. (Whether they were equally good, the same six values cannot tell: the scatter is taken from them.) Now take our model, one and the same, and measure it six times with a hundred pictures each. The next cells also have the other slips of this list.

# %% tags=["nbval-check-output"]
report = [257.68, 214.59, 246.37, 211.25, 205.01, 228.97]
report = torch.tensor(report)
middle, sigma = report.mean(), report.std()
print(f"report: mean {middle:.0f}, σ {sigma:.0f}")
print(f"  best is below by {middle - report.min():.0f}")
print(f"  luck alone: {1.267 * sigma:.0f}")
hundred = torch.tensor([judge(part) for part in F.split(n // 6)])
print("one model, six sixths of its samples:")
ratio = hundred.max() / hundred.min()
print("  largest / smallest above 1.2:", bool(ratio > 1.2))
print("  all above its FD with all:", bool((hundred > value).all()))

# %%
print("  ".join(f"{v:.2f}" for v in hundred))
middle, sigma = hundred.mean(), hundred.std()
print(f"  mean {middle:.2f}, σ {sigma:.2f}, ", end="")
print(f"best {middle - hundred.min():.2f} below")
second = evaluation.train_classifier(
    train.to(device), labels.to(device), steps=150, seed=1
)
G = [
    evaluation.extract(second.features, y.to(device)) for y in (x, real)
]
print(f"another network: {fd(*G):.2f} instead of {fd(F, R):.2f}")
zoom = partial(torch.nn.functional.interpolate, mode="bilinear")
twice = zoom(zoom(other, scale_factor=2), scale_factor=0.5)
resized = features(twice)
print(f"real digits, resized and back: {fd(R, resized):.2f}")
missing = O[labels[order[n : 2 * n]] != 3]
print(f"real digits without threes: {fd(R, missing):.2f}")
threes = R[labels[order[:n]] == 3]
print("          precision recall of threes")
rows = []
for name, some in (("real", O), ("no threes", missing)):
    row = (*evaluation.precision_recall(R, some), share(threes, some))
    print(f"{name:10}" + "{:9.2f}{:7.2f}{:10.2f}".format(*row))
    rows.append(row)

# %% tags=["nbval-check-output"]
worse = fd(R, resized) > fd(R, F)
print("resized digits worse than the model:", worse)
worse = fd(R, missing) > fd(R, F)
print("digits without threes worse too:", worse)
full, cut = torch.tensor(rows)
print("  precision within 0.05:", bool((full - cut)[0].abs() < 0.05))
print("  recall lower by 0.05:", bool((full - cut)[1] > 0.05))
print(f"  recall of the threes above 0.8: {bool(full[2] > 0.8)}")
print(f"  without them below 0.1: {bool(cut[2] < 0.1)}")

# %% [markdown]
# *A different N.* {numref}`fig-fd-by-size` is the answer: with a sixth of the pictures the same model gets more than twice its FD. State $N$ and the floor.
#
# *The best of many checkpoints.* Six measurements of one and the same model differ by more than a fifth, and every one is worse than what all pictures together say. Their $\sigma$ is printed, and how far the best lies below their mean: that much is luck. Choose on one set of samples and report on another.
#
# *Another network, other numbers.* A classifier that differs in its seed and the length of its training has other features, and gives another number. Published FIDs are comparable only for the same file of weights.
#
# *Another resizing.* Real digits, enlarged to twice the size and reduced again, look nearly the same and are farther from real digits than our samples are. A careless resize, or none where the reference had one, can cost more than the model does. (`evaluation.inception` hands bytes to a network that does the resizing, the same way for all.)
#
# *A number without a reason.* Without a single three, real digits also score worse than our model. FD sees such a loss, but cannot say whether something is missing or made up. Precision and recall ask the two questions apart. In the table, precision stays what it was: nothing is made up. Recall is lower by about the threes' share of the data, a tenth, and among the threes themselves it falls from nearly all to almost none.
#
# *The root of the product.* Many programs compute the root of $C_1 C_2$ in place of that in {eq}`eq:frechet`. On paper its trace is the same: $C_1 C_2$ and $C_1^{1/2}C_2C_1^{1/2}$ have the same eigenvalues. But the product is not symmetric, and with fewer pictures than features it has eigenvalues that are zero up to rounding. Their roots are of the size of the root of rounding, and not real where rounding made them negative or complex. Below, for 40 pictures and 64 features, the imaginary parts add up to more than $10^{-10}$ of the trace: small, and yet a million times larger than rounding. The programs then drop an imaginary part or add something to the diagonal. The sum of singular values needs neither.

# %% tags=["nbval-check-output"]
small = [moments(f[:40]).covariance for f in (R, F)]  # 40 < 64
values = torch.linalg.eigvals(small[0] @ small[1])
odd = (values.real < 0) | (values.imag != 0)
print("eigenvalues of the product:")
print("  some negative or complex:", bool(odd.any()))
trace = torch.linalg.svdvals(root(small[0]) @ root(small[1])).sum()
stray = values.sqrt().imag.abs().sum()
print("imaginary parts of their roots:")
print("  above 1e-10 of the trace:", bool(stray > 1e-10 * trace))

# %% [markdown]
# *Learned by heart.* The copier has an FD at the floor. So a low FD, on the set that was trained on, is no proof of anything new. Look at nearest neighbors.
#
# *"The hyperparameters matter little."* Averaged weights or not is one of them, and {numref}`fig-cast` shows what it does to every picture of a batch.
#
# ## Exercises
#
# :::{exercise} On a line
# :label: ex-fd-line
#
# The data's feature has mean 0 and standard deviation 1, the samples' has mean 1 and *variance* 4. What is FD?
# :::

# %%
from ddpm_lib.course.checks import evaluation as check

distance = ...
check.on_a_line(distance)

# %% [markdown]
# :::{solution-start} ex-fd-line
# :class: dropdown
# :::
#
# The standard deviations are 1 and 2. By {eq}`eq:fd-line`, $(0 - 1)^2 + (1 - 2)^2 = 2$.

# %% tags=["solution"]
distance = (0 - 1) ** 2 + (1 - 4**0.5) ** 2
check.on_a_line(distance)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} The floor of a perfect model
# :label: ex-fd-floor
#
# 64 features with $C = I$, 800 real pictures and 800 samples of a perfect model. Which FD do you expect, to first order? What would 100 and 100 give?
# :::

# %%
floor = ...
check.floor(floor)

# %% [markdown]
# :::{solution-start} ex-fd-floor
# :class: dropdown
# :::
#
# In {eq}`eq:fd-bias` the trace is 64, and each of the $64\cdot 63/2 = 2016$ pairs adds $\tfrac12$. So $\tfrac{2}{800}\,(96 + 1008) = 2.76$. With 100 it would be eight times as much, 22, of a total variance of 64.

# %% tags=["solution"]
floor = (1 / 800 + 1 / 800) * (1.5 * 64 + 64 * 63 / 2 / 2)
check.floor(floor)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Without the bias
# :label: ex-fd-two-sizes
#
# A paper reports FD 20 with 500 samples and FD 14 with 1000 of the same model, each against as many real pictures. Estimate FD for infinitely many.
# :::

# %%
limit = ...
check.limit(limit)

# %% [markdown]
# :::{solution-start} ex-fd-two-sizes
# :class: dropdown
# :::
#
# By {eq}`eq:fd-extrapolated`, $2\cdot 14 - 20 = 8$. The bias at 1000 was 6.

# %% tags=["solution"]
limit = 2 * 14 - 20
check.limit(limit)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} Your own distance
# :label: ex-fd-code
#
# Write FD for features whose covariances are diagonal, from two sets of features, with unbiased variances. Then `check.diagonal` tries it on three axes.
# :::


# %%
def diagonal(p, q):
    """FD if features are independent.  p: (N, d), q: (M, d)"""
    return ...


check.diagonal(diagonal)

# %% [markdown]
# :::{solution-start} ex-fd-code
# :class: dropdown
# :::
#
# Diagonal matrices share their axes, so {eq}`eq:fd-commuting` holds, and the roots of the variances are standard deviations.


# %% tags=["solution"]
def diagonal(p, q):
    means = (p.mean(0) - q.mean(0)).square().sum()
    return means + (p.std(0) - q.std(0)).square().sum()


check.diagonal(diagonal)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{exercise} A gray start
# :label: ex-gray
#
# A schedule ends with $\mathrm{SNR}(T) = 0.05$. Which share of the mean color is lost for pictures of 16×16 pixels with $v = 1/4$ and $\rho = 0.3$?
# :::

# %%
share_lost = ...
check.gray(share_lost)

# %% [markdown]
# :::{solution-start} ex-gray
# :class: dropdown
# :::
#
# The mean has $\lambda = \tfrac14(1 + 255\cdot 0.3) = 19.4$, by {eq}`eq:mean-snr`. So $S = 19.4\cdot 0.05 = 0.97$, and {eq}`eq:cast-start` says that 49 % is lost, where a single pixel loses 1.2 %.

# %% tags=["solution"]
S = 0.25 * (1 + 255 * 0.3) * 0.05
share_lost = S / (1 + S)
check.gray(share_lost)

# %% [markdown]
# :::{solution-end}
# :::
#
# :::{admonition} Card: how good are the samples?
# :class: card
#
# $$
# \begin{aligned}
# \text{distance}\ \ & \lVert m_1 - m_2\rVert^2 + \operatorname{tr}(C_1 + C_2)\\
# & {} - 2\operatorname{tr}(C_1^{1/2}C_2\,C_1^{1/2})^{1/2}\\
# \text{floor}\ \ & \bigl(\tfrac1N + \tfrac1M\bigr)\,\cdot\\
# & \Bigl(\tfrac32\operatorname{tr}C + \sum_{i<j}\tfrac{\lambda_i\lambda_j}{\lambda_i+\lambda_j}\Bigr)\\
# \text{no bias}\ \ & 2\,\mathrm{FD}_N - \mathrm{FD}_{N/2}\\
# \text{error bar}\ \ & \text{leave out a tenth at a time}\\
# \text{wrong start}\ \ & \text{the mean loses } S/(1+S) ,\\
# & S = v\,(1 + (d-1)\rho)\,\mathrm{SNR}(T)
# \end{aligned}
# $$
#
# Say the features, the number of pictures, the floor and the error bar. Precision tells what is made up, recall what is missing, nearest neighbors what is copied.
# :::
#
# The samples are judged. Next we make them faster: chapter 17 takes the same network and a tenth of the steps.
