"""Evaluation: against closed forms, other formulas for the same thing, and cases known by hand."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from ddpm_lib import bound, data, diffusion, evaluation, exact, schedules
from ddpm_lib.evaluation import Moments, frechet_distance, moments


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(d: int, seed: int) -> Moments:
    mean, root = normal(d, seed=seed), normal(d, d, seed=seed + 1)
    return Moments(mean, root @ root.mT / d)


# The Fréchet distance


def test_moments_are_those_of_torch():
    x = normal(50, 4) * 3 + 1
    mean, covariance = moments(x)
    assert torch.allclose(mean, x.mean(0), rtol=1e-14)
    assert torch.allclose(covariance, x.T.cov(), rtol=1e-13)
    assert moments(x.float()).covariance.dtype == torch.float64


def test_distance_of_gaussians_with_aligned_axes():
    """|m_p - m_q|^2 and the squared differences of the standard deviations."""
    m_p, m_q, s_p, s_q = normal(4, 6).unbind()
    p, q = Moments(m_p, s_p.square().diag()), Moments(m_q, s_q.square().diag())
    expected = (m_p - m_q).square().sum() + (s_p.abs() - s_q.abs()).square().sum()
    assert frechet_distance(p, q) == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_distance_in_the_plane_with_any_axes(seed):
    """There tr (AB)^1/2 = (tr AB + 2 (det AB)^1/2)^1/2."""
    p, q = gaussian(2, seed), gaussian(2, seed + 100)
    product = p.covariance @ q.covariance
    root = (product.trace() + 2 * product.det().sqrt()).sqrt()
    expected = (p.mean - q.mean).square().sum() + (p.covariance + q.covariance).trace() - 2 * root
    assert frechet_distance(p, q) == pytest.approx(float(expected), rel=1e-11)


@pytest.mark.parametrize("d", [1, 3, 64])
def test_distance_by_the_root_of_the_product(d):
    linalg = pytest.importorskip("scipy.linalg")
    p, q = gaussian(d, 0), gaussian(d, 5)
    root = linalg.sqrtm((p.covariance @ q.covariance).numpy()).real.trace()
    expected = (p.mean - q.mean).square().sum() + (p.covariance + q.covariance).trace() - 2 * root
    assert frechet_distance(p, q) == pytest.approx(float(expected), rel=1e-9)


def test_distance_equals_that_of_pytorch_fid():
    peer = pytest.importorskip("pytorch_fid.fid_score", reason="pytorch-fid is not installed")
    p, q = moments(normal(500, 64)), moments(normal(400, 64, seed=1) * 1.3 + 0.2)
    theirs = peer.calculate_frechet_distance(*(x.numpy() for x in (*p, *q)))
    assert frechet_distance(p, q) == pytest.approx(theirs, rel=1e-6)


def test_distance_equals_that_of_torch_fidelity():
    peer = pytest.importorskip("torch_fidelity.metric_fid", reason="torch-fidelity is missing")
    p, q = moments(normal(500, 64)), moments(normal(400, 64, seed=1) * 1.3 + 0.2)
    names = ("mu", "sigma")
    theirs = peer.fid_statistics_to_metric(
        *({name: x.numpy() for name, x in zip(names, stats, strict=True)} for stats in (p, q)),
        verbose=False,
    )
    theirs = theirs["frechet_inception_distance"]
    assert frechet_distance(p, q) == pytest.approx(theirs, rel=1e-6)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(d=st.integers(1, 12), seed=st.integers(0, 1000), size=st.floats(0.01, 100))
def test_distance_is_symmetric_and_moves_turns_and_grows_with_space(d, seed, size):
    p, q = gaussian(d, seed), gaussian(d, seed + 5000)
    distance = frechet_distance(p, q)
    assert distance >= 0
    assert frechet_distance(q, p) == pytest.approx(distance, rel=1e-9)
    turn, _ = torch.linalg.qr(normal(d, d, seed=seed))
    move = normal(d, seed=seed + 1)

    def moved(g: Moments) -> Moments:
        return Moments(size * turn @ g.mean + move, size**2 * turn @ g.covariance @ turn.T)

    assert frechet_distance(moved(p), moved(q)) == pytest.approx(size**2 * distance, rel=1e-8)


@pytest.mark.parametrize(("N", "d"), [(2, 5), (10, 64), (100, 300)])
def test_fewer_pictures_than_dimensions_are_no_problem(N, d):
    """With x = q r, tr (C_p C_q)^1/2 is the sum of the singular values of x_p x_q^T / (N - 1)."""
    x, y = normal(N, d), 2 * normal(N, d, seed=1) + 0.1
    x_0, y_0 = x - x.mean(0), y - y.mean(0)
    root = torch.linalg.svdvals(x_0 @ y_0.T).sum() / (N - 1)
    spread = (x_0.square().sum() + y_0.square().sum()) / (N - 1)
    expected = float((x.mean(0) - y.mean(0)).square().sum() + spread - 2 * root)
    assert frechet_distance(moments(x), moments(y)) == pytest.approx(expected, rel=1e-11)
    assert frechet_distance(moments(x), moments(x)) == pytest.approx(0, abs=1e-10)


def test_a_constant_feature_is_no_problem():
    x = normal(50, 3) * torch.tensor([1.0, 0.0, 2.0])
    assert frechet_distance(moments(x), moments(x + 1)) == pytest.approx(3, rel=1e-7)


def test_the_bias_is_the_one_of_theory():
    """For two samples of N(0, I) it is (2 d + d (d + 1) / 2) / N, up to higher orders."""
    N, d = 2000, 16
    found = [evaluation.frechet(normal(N, d, seed=s), normal(N, d, seed=s + 99)) for s in range(4)]
    expected = (2 * d + d * (d + 1) / 2) / N
    assert sum(f.bias for f in found) / 4 == pytest.approx(expected, rel=0.06)
    assert sum(f.value for f in found) / 4 == pytest.approx(expected, rel=0.15)


def test_without_its_bias_the_distance_is_that_of_the_distributions():
    real, fake = normal(1500, 16), normal(1000, 16, seed=1) * 1.5 + 0.2
    value, bias = evaluation.frechet(real, fake)
    expected = 16 * (0.5**2 + 0.2**2)
    assert abs(value - bias - expected) < 0.5 * bias
    assert value == frechet_distance(moments(real), moments(fake))
    assert evaluation.frechet(real, fake) == (value, bias)


def test_pictures_sorted_by_class_do_not_look_biased():
    real, fake = normal(1000, 4), normal(1000, 4, seed=1)
    real[:, 0] += 20 * (torch.arange(1000) >= 500)
    fake[:, 0] += 20 * (torch.arange(1000) < 500)
    assert evaluation.frechet(real, fake).bias < 1


# Features


@pytest.fixture(scope="module")
def trained():
    pixels, labels, _ = data.digits()
    x = data.scale(pixels)
    return x, labels, evaluation.train_classifier(x[:1200], labels[:1200], steps=120)


def test_the_classifier_knows_digits_that_it_has_not_seen(trained):
    x, labels, network = trained
    assert (network(x[1200:]).argmax(1) == labels[1200:]).float().mean() > 0.9
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_features_have_unit_scale_and_come_one_row_a_picture(trained):
    x, _, network = trained
    f = evaluation.extract(network.features, x[:1200])
    assert f.shape == (1200, 64) and f.dtype == torch.float64
    assert (f.var(0).mean() - 1).abs() < 0.2 and f.mean(0).abs().max() < 0.4
    again = evaluation.extract(network.features, x[:1200], batch=7)
    assert torch.allclose(f, again, atol=1e-5)
    images = evaluation.extract(lambda part: part, x[:5])
    assert (images == x[:5].flatten(1)).all()


def test_the_distance_in_features_sees_noise(trained):
    x, _, network = trained
    f = evaluation.extract(network.features, x)
    noisy = evaluation.extract(network.features, x[:800] + 0.5 * normal(800, 1, 8, 8).float())
    floor = frechet_distance(moments(f[:800]), moments(f[800:]))
    assert frechet_distance(moments(noisy), moments(f[800:])) > 3 * floor


def test_training_repeats_and_leaves_the_random_numbers_alone():
    x, labels = normal(40, 3, 5, 7).float(), torch.arange(40) % 4
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two = (evaluation.train_classifier(x, labels, steps=3, batch=8) for _ in range(2))
    assert (torch.rand(3) == expected).all()
    assert (one(x) == two(x)).all() and one(x).shape == (40, 4)
    other = evaluation.train_classifier(x, labels, steps=3, batch=8, seed=1)
    assert not (one(x) == other(x)).all()


class Inception(nn.Module):
    """Answers like NVIDIA's file does."""

    def forward(self, img: Tensor, return_features: bool = False) -> Tensor:
        assert img.dtype == torch.uint8 and img.shape[1] == 3
        features = img.float().mean((2, 3))
        return features if return_features else -features


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inception_is_a_program_in_a_file_that_takes_bytes_in_color(tmp_path):
    torch.jit.script(Inception()).save(tmp_path / "inception.pt")
    features = evaluation.inception(tmp_path / "inception.pt")
    gray = torch.tensor([-1.0, 1.02]).reshape(2, 1, 1, 1).expand(2, 1, 4, 4)
    assert evaluation.extract(features, gray).tolist() == [[0, 0, 0], [255, 255, 255]]
    color = torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 3, 1, 1)
    assert evaluation.extract(features, color).tolist() == [[0, 128, 255]]


# Coverage and copies


def test_precision_and_recall_by_hand():
    """On a line, k = 1: the radii are 1, 1, 2 for the real and 1, 1 for the fake."""
    real = torch.tensor([[0.0], [1.0], [3.0]])
    fake = torch.tensor([[5.1], [4.1]])  # only the second is within 2 of 3
    assert evaluation.precision_recall(real, fake, k=1) == (0.5, 0)
    fake = torch.tensor([[5.0], [4.0]])  # now both are, and 3 is within 1 of 4
    precision, recall = evaluation.precision_recall(real, fake, k=1)
    assert precision == 1 and recall == pytest.approx(1 / 3)


def test_precision_falls_with_garbage_and_recall_with_missing_modes():
    half = torch.arange(400) % 2 * 100.0
    real, fake = normal(400, 3) + half[:, None], normal(400, 3, seed=1)
    precision, recall = evaluation.precision_recall(real, fake)
    assert precision > 0.9 and recall == pytest.approx(0.48, abs=0.04)  # one mode of two
    precision, recall = evaluation.precision_recall(fake, real)
    assert precision == pytest.approx(0.48, abs=0.04) and recall > 0.9  # garbage in every second
    assert evaluation.precision_recall(real, real) == (1, 1)
    assert evaluation.precision_recall(fake, fake + 1e6) == (0, 0)


def test_precision_and_recall_equal_those_of_torch_fidelity():
    peer = pytest.importorskip("torch_fidelity.metric_prc", reason="torch-fidelity is missing")
    real, fake = normal(700, 16), 1.2 * normal(600, 16, seed=1) + 0.1
    theirs = peer.prc_features_to_metric(
        fake, real, prc_neighborhood=3, prc_batch_size=100, verbose=False
    )
    ours = evaluation.precision_recall(real, fake)
    assert ours == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)


def test_nearest_finds_copies_and_measures_the_others():
    training = normal(700, 1, 4, 4)
    x = training[[5, 699, 3]] + torch.tensor([0, 0, 0.25]).reshape(3, 1, 1, 1)
    distance, which = evaluation.nearest(x, training, k=2)
    assert which[:, 0].tolist() == [5, 699, 3]
    assert distance[:, 0].tolist() == pytest.approx([0, 0, 1], abs=1e-6)
    assert distance.shape == which.shape == (3, 2) and (distance[:, 1] > distance[:, 0]).all()
    other = (x[0] - training[which[0, 1]]).norm()
    assert distance[0, 1] == pytest.approx(float(other), rel=1e-9)
    everyone = evaluation.nearest(training, training)
    assert everyone.which[:, 0].tolist() == list(range(700))


# Bits


def test_bits_of_a_gaussian_are_its_entropy():
    """For x_0 ~ N(0, 1), steps with variance beta are exact, so the bound is -log p on average."""
    schedule = schedules.linear(50)
    mixture = exact.isotropic(torch.ones(1), torch.zeros(1, 2), 1.0)
    denoise = exact.exact_denoiser(schedule, mixture)
    randn = partial(torch.randn, generator=Generator().manual_seed(1), dtype=torch.float64)
    value, stderr = evaluation.bits_per_dim(
        schedule,
        denoise,
        normal(2000, 2),
        likelihood=bound.normal_log_density,
        variance=diffusion.kernel_variance,
        randn=randn,
    )
    entropy = math.log2(2 * math.pi * math.e) / 2
    assert abs(value - entropy) < 4 * stderr
    assert 0.3 < stderr * math.sqrt(2 * 2000) / (math.sqrt(0.5) / math.log(2)) < 3


def test_bits_are_the_mean_of_the_bound_over_pictures_whatever_the_batch():
    schedule = schedules.linear(5)

    def denoise(x_t: Tensor, t: diffusion.Time) -> diffusion.Prediction:
        return diffusion.Prediction(x_t * 0.5, x_t * 0.5)

    x_0 = data.scale(torch.arange(7 * 12, dtype=torch.uint8).reshape(7, 3, 2, 2))
    kwargs = {"likelihood": bound.discretized, "randn": torch.ones}
    nats = bound.bound(schedule, denoise, x_0, **kwargs).double().sum(0)
    expected = nats / 12 / math.log(2)
    for batch in (2, 7, 100):
        value, stderr = evaluation.bits_per_dim(schedule, denoise, x_0, batch=batch, **kwargs)
        assert value == pytest.approx(float(expected.mean()), rel=1e-6)
        assert stderr == pytest.approx(float(expected.std() / math.sqrt(7)), rel=1e-5)


# What makes no sense


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: moments(torch.zeros(1, 3)), "two pictures at least, got 1"),
        (lambda: moments(torch.zeros(3)), r"shape \(N, d\), got torch.float32 \(3,\)"),
        (lambda: moments(torch.zeros(0, 3)), r"\(0, 3\)"),
        (lambda: moments(torch.zeros(4, 3, dtype=torch.int64)), "floats"),
        (lambda: moments(torch.tensor([[0.0], [torch.nan]])), "1 of 2 pictures are not finite"),
        (lambda: moments(torch.tensor([[0.0], [torch.inf]])), "1 of 2 pictures are not finite"),
        (lambda: frechet_distance(gaussian(2, 0), gaussian(3, 0)), "of 2 and of 3 dimensions"),
        (lambda: evaluation.nearest(torch.zeros(2, 1), torch.zeros(3, 1), k=4), "3 elements"),
        (lambda: evaluation.nearest(torch.zeros(2, 1), torch.zeros(3, 1), k=0), "got k = 0"),
        (lambda: evaluation.precision_recall(torch.zeros(3, 1), torch.zeros(9, 1)), "3 elements"),
        (
            lambda: evaluation.train_classifier(torch.zeros(3, 1, 8, 8), torch.zeros(3)),
            "one int64 for each of the 3 pictures",
        ),
        (
            lambda: evaluation.bits_per_dim(
                schedules.linear(2),
                lambda x, t: diffusion.Prediction(x, x),
                torch.zeros(1, 4),
                likelihood=bound.normal_log_density,
            ),
            "two pictures at least",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
