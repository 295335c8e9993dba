"""How good samples are: distances between distributions, what is covered, what is memorized, bits.

Pictures become features first, (N, C, H, W) -> (N, d): those of a classifier trained here or of
Inception, or the pixels themselves. Everything after that works on (N, d) in float64.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ddpm_lib import bound
from ddpm_lib.bound import Likelihood, discretized
from ddpm_lib.data import unscale
from ddpm_lib.diffusion import Denoiser, Randn, Variance, posterior_variance
from ddpm_lib.networks import cpu_seed
from ddpm_lib.schedules import Schedule

Features = Callable[[Tensor], Tensor]  # x (B, C, H, W) in [-1, 1] -> (B, d)


class Bits(NamedTuple):
    """Bits for each value, a mean over pictures, with its standard error."""

    value: float
    stderr: float


# Features


class Classifier(nn.Module):
    """Three convolutions and 64 features, for pictures of any size; the output are logits."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, 64),
            nn.BatchNorm1d(64, affine=False),  # so that a distance counts in standard deviations
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(64, classes))

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, classes)
        return self.head(self.features(x))


def train_classifier(
    x: Tensor, labels: Tensor, steps: int = 300, batch: int = 128, seed: int = 0
) -> Classifier:
    """A classifier trained on x, whose `features` hold what tells the classes apart.

    x: (N, C, H, W) in [-1, 1];  labels: (N,)
    """
    if len(labels) != len(x) or labels.dtype != torch.int64:
        raise ValueError(
            f"labels are one int64 for each of the {len(x)} pictures, got {labels.dtype} of shape "
            f"{tuple(labels.shape)}"
        )
    from tqdm import tqdm

    with cpu_seed(seed):
        network = Classifier(x.shape[1], int(labels.max()) + 1).to(x.device)
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, steps)
        batches = torch.randint(len(x), (steps, batch)).to(x.device)
        for which in tqdm(batches, "classifier", unit="step"):
            loss = cross_entropy(network(x[which]), labels[which])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
    return network.eval().requires_grad_(False)


def inception(path: str | Path) -> Features:
    """The 2048 features of which published FIDs are made (Heusel et al. 2017), from a file.

    The file is NVIDIA's inception-2015-12-05.pt, TensorFlow's network in TorchScript, which resizes
    pictures by itself. It is a program, so take it only from a source that you trust.
    """
    with Path(path).open("rb"):  # its errors name the file and say why
        pass
    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise ValueError(
            f"{path} is no TorchScript program, such as NVIDIA's inception-2015-12-05.pt: {error}"
        ) from None

    def features(x: Tensor) -> Tensor:
        pixels = unscale(x).expand(-1, 3, -1, -1)  # as bytes, like the pictures it is compared with
        return network.to(x.device)(pixels, return_features=True)

    return features


@torch.no_grad()
def extract(features: Features, x: Tensor, batch: int = 256) -> Tensor:
    """The features of many pictures.  x: (N, C, H, W)  ->  (N, d) float64 on the CPU"""
    return _features(torch.cat([features(part).flatten(1) for part in x.split(batch)]))


# The Fréchet distance


class Moments(NamedTuple):
    """The Gaussian that the Fréchet distance sees in place of a distribution."""

    mean: Tensor  # (d,)
    covariance: Tensor  # (d, d)


def moments(features: Tensor) -> Moments:
    """Mean and unbiased covariance.  features: (N, d)"""
    features = _features(features)
    if len(features) < 2:
        raise ValueError(f"a covariance needs two pictures at least, got {len(features)}")
    mean = features.mean(0)
    centered = features - mean
    return Moments(mean, centered.mT @ centered / (len(features) - 1))


def frechet_distance(p: Moments, q: Moments) -> float:
    """|m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^1/2 C_q C_p^1/2)^1/2) (Heusel et al. 2017, eq. 6).

    That trace is the sum of the singular values of C_p^1/2 C_q^1/2. The usual code takes the root
    of the product C_p C_q, which in floating point need not be real or even exist.
    """
    if p.mean.shape != q.mean.shape:
        raise ValueError(
            f"features of {len(p.mean)} and of {len(q.mean)} dimensions do not compare"
        )
    root = torch.linalg.svdvals(_root(p.covariance) @ _root(q.covariance)).sum()
    spread = p.covariance.trace() + q.covariance.trace() - 2 * root
    return float((p.mean - q.mean).square().sum() + spread)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root; what is negative among the eigenvalues is rounding.  (d, d)"""
    values, axes = torch.linalg.eigh(covariance)
    return axes * values.clamp(min=0).sqrt() @ axes.mT


class Frechet(NamedTuple):
    """A Fréchet distance of N pictures, and the part of it that infinitely many would not have."""

    value: float
    bias: float


def frechet(real: Tensor, fake: Tensor, shuffles: int = 4, seed: int = 0) -> Frechet:
    """The distance, and its bias estimated from its growth on halves and quarters of the pictures.

    n pictures give FD + c / n + ... (Chong & Forsyth 2020), if n is well above d. So the mean over
    m parts is FD + m c / N + ..., a line in m whose slope is the bias of the whole. It holds for
    real and fake pictures drawn independently, and it is noisy where FD itself is.
    real: (N, d), fake: (M, d)
    """
    real, fake = _features(real), _features(fake)
    value = frechet_distance(moments(real), moments(fake))
    generator = torch.Generator().manual_seed(seed)
    points: list[tuple[float, float]] = [(1, value)] * shuffles
    for _ in range(shuffles):  # data sets are often sorted by class
        real = real[torch.randperm(len(real), generator=generator)]
        fake = fake[torch.randperm(len(fake), generator=generator)]
        for m in (2, 4):
            pairs = zip(real.tensor_split(m), fake.tensor_split(m), strict=True)
            each = [frechet_distance(moments(p), moments(q)) for p, q in pairs]
            points.append((m, sum(each) / m))
    (var_m, cov_m_y), _ = torch.tensor(points, dtype=torch.float64).T.cov()
    return Frechet(value, float(cov_m_y / var_m))


# What is covered, and what is copied


class Neighbors(NamedTuple):
    """The nearest of a set, nearest first."""

    distance: Tensor  # (B, k)
    which: Tensor  # (B, k)


def nearest(x: Tensor, among: Tensor, k: int = 1) -> Neighbors:
    """The k nearest of a set, such as the training pictures: a copy has distance zero.

    x: (B, ...), among: (N, ...), pictures or features
    """
    x, among = _features(x.flatten(1)), _features(among.flatten(1))
    if not 1 <= k <= len(among):
        raise ValueError(f"the set has {len(among)} elements, got k = {k}")
    found = [torch.cdist(part, among).topk(k, largest=False) for part in x.split(256)]
    distance, which = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Neighbors(distance, which)


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """The share of fakes among the real, and of real among the fakes (Kynkäänniemi et al. 2019).

    To be among samples is to be as near to one of them as its own k-th neighbor is.
    real: (N, d), fake: (M, d)
    """
    real, fake = _features(real), _features(fake)

    def share(points: Tensor, samples: Tensor) -> float:
        radius = nearest(samples, samples, k + 1).distance[:, -1]  # the first is the sample itself
        among = [(torch.cdist(part, samples) <= radius).any(1) for part in points.split(256)]
        return float(torch.cat(among).double().mean())

    return share(fake, real), share(real, fake)


# Likelihood


def bits_per_dim(
    schedule: Schedule,
    denoise: Denoiser,
    x_0: Tensor,
    *,
    likelihood: Likelihood = discretized,
    variance: Variance = posterior_variance,
    batch: int = 256,
    randn: Randn | None = None,
) -> Bits:
    """The whole variational bound in bits for each value, with its standard error over pictures.

    It asks the network T times.  x_0: (N, ...), pictures that were not trained on
    """
    bits = []
    for part in x_0.split(batch):
        terms = bound.bound(
            schedule, denoise, part, likelihood=likelihood, variance=variance, randn=randn
        )
        bits.append(bound.bits_per_dim(terms.cpu().double().sum(0), part))
    each = torch.cat(bits)
    if len(each) < 2:
        raise ValueError("a standard error needs two pictures at least, got 1")
    return Bits(float(each.mean()), float(each.std() / len(each) ** 0.5))


def _features(x: Tensor) -> Tensor:
    if not x.is_floating_point() or x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"features are floats of shape (N, d), got {x.dtype} {tuple(x.shape)}")
    if not x.isfinite().all():
        rows = int((~x.isfinite()).any(1).sum())
        raise ValueError(f"the features of {rows} of {len(x)} pictures are not finite")
    return x.detach().cpu().double()
