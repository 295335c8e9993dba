"""The library on a simulated accelerator: nothing mixes devices, and no step waits for one."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from ddpm_lib import (
    arguments,
    bound,
    checkpoints,
    data,
    diffusion,
    evaluation,
    exact,
    measuring,
    plotting,
    recipes,
    runs,
    sampling,
    schedules,
    systems,
    training,
)
from ddpm_lib.course import claims, panels
from ddpm_lib.diffusion import EPS
from ddpm_lib.named.digits import DIGITS
from ddpm_lib.networks.tiny import MLP
from ddpm_lib.networks.unet import UNet
from ddpm_lib.settings import Part, Settings

accelerator = pytest.importorskip("accelerator", exc_type=Exception)  # needs torch 2.10 or newer
undisturbed = accelerator.undisturbed

S, SHORT = schedules.cosine(), schedules.cosine(20)
PIXELS = data.digits().pixels[:200]


@pytest.fixture
def gpu():
    with accelerator.simulated(arguments.send) as gpu:
        yield gpu


def started(device, loss=diffusion.loss, **settings):
    torch.manual_seed(0)
    network = UNet(1, [8, 16], blocks=1).to(device)
    run = training.Run(network, Settings(**{"steps": 3, "batch": 8} | settings))
    pixels = PIXELS.to(device)
    return run, training.training_steps(run, S, EPS, pixels, prepare=data.scale, loss=loss)


def denoiser(schedule=S):
    return sampling.denoiser(schedule, UNet(1, [8, 16], blocks=1).to("gpu"), EPS)


def model():
    return recipes.Model(DIGITS, S, denoiser(), torch.device("gpu"), nn.Module())


def weights(run):
    return torch.cat([w.detach().flatten().cpu() for w in run.average.parameters()])


# The device itself


@pytest.mark.parametrize(
    ("mistake", "why"),
    [
        (lambda x, y: x + y, "on the CPU, but not all"),
        (lambda x, y: torch.stack([x[0], y[0]]), "on the CPU, but not all"),
        (lambda x, y: y[torch.zeros(1, dtype=torch.int64, device="gpu")], "on the CPU, but"),
        (lambda x, y: x.mul_(y), "on the CPU, but not all"),
        (lambda x, y: torch.randn(3, device="gpu", generator=torch.Generator()), "generator"),
        (lambda x, y: torch.randn(3, generator=torch.Generator("gpu")), "generator"),
        (lambda x, y: x.numpy(), "numpy"),
        (lambda x, y: x.double(), "no float64"),
        (lambda x, y: y.double().to("gpu"), "no float64"),
        (lambda x, y: torch.zeros(3, dtype=torch.float64, device="gpu"), "no float64"),
        (lambda x, y: y.to("gpu", non_blocking=True), "too late"),
        (lambda x, y: x.to("cpu", torch.float64), "no float64"),
        (lambda x, y: torch.zeros(3, dtype=torch.float64).copy_(x), "no float64"),
        (lambda x, y: x.to("cpu", non_blocking=True), "too late"),
    ],
)
def test_the_device_refuses(gpu, mistake, why):
    with pytest.raises((RuntimeError, TypeError), match=why):
        mistake(torch.ones(3, device="gpu"), torch.ones(3))


def test_the_device_takes_numbers_and_indices_from_the_cpu(gpu):
    x, y = torch.ones(3, device="gpu"), torch.ones(3)
    assert (x + y[0]).device.type == x[torch.tensor([0, 2])].device.type == "gpu"
    assert (x + y.sum() * 2).cpu().tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: float(x[0]),
        lambda x: bool(x[0]),
        lambda x: x[x > 0],
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: f"{x[0]:.1f}",
        lambda x: torch.equal(x, x),
        lambda x: x.nonzero(),
    ],
)
def test_the_device_counts_what_is_waited_for(gpu, wait):
    x = torch.ones(3, device="gpu")
    wait(x)
    ((line, times),) = gpu.waits.items()
    assert line.startswith("test_accelerator.py:")
    assert len(times) == 1


def test_the_device_counts_what_is_sent_to_it(gpu):
    x, y = torch.ones(3).to("gpu"), torch.zeros(3, device="gpu")
    y.copy_(torch.ones(3))
    assert x[torch.tensor([0])].shape == (1,)
    assert sum(map(len, gpu.uploads.values())) == 3
    assert not gpu.waits


def test_a_mistake_in_a_backward_pass_is_told_at_the_end():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g + torch.ones(3)

    with pytest.raises(AssertionError, match="on the CPU"), accelerator.simulated():
        Wrong.apply(torch.ones(3, device="gpu", requires_grad=True)).sum().backward()


def test_the_device_draws_by_itself(gpu):
    torch.manual_seed(0)
    here, there = torch.randn(3), torch.randn(3, device="gpu")
    torch.manual_seed(0)
    assert torch.equal(torch.randn(3, device="gpu").cpu(), there.cpu())
    assert torch.equal(torch.randn(3), here)
    assert list(gpu.seeds) == [line for line in gpu.seeds if line.startswith("test_acc")] != []


def planted(mistake):
    def loss(*args, **kwargs):
        losses = diffusion.loss(*args, **kwargs)
        return mistake(losses)

    return loss


@pytest.mark.parametrize(
    ("mistake", "why"),
    [
        (lambda losses: losses + torch.ones(8), "on the CPU"),
        (lambda losses: losses if losses.mean() < 100 else losses / 2, "waits for the device"),
        (lambda losses: losses * torch.ones(8).to("gpu"), "waits while it sends"),
        (lambda losses: losses.double().float(), "no float64"),
        (lambda losses: (torch.manual_seed(0), losses)[1], "another seed"),
        (lambda losses: losses + 0 * torch.rand(8, device="gpu"), "drawn by itself"),
    ],
)
def test_what_is_planted_in_a_training_is_found(gpu, mistake, why):
    _, records = started("gpu", loss=planted(mistake))
    with pytest.raises((RuntimeError, AssertionError), match=why), undisturbed(gpu):
        list(records)


# The library on it


def test_a_training_waits_for_nothing_and_gives_the_weights_of_the_cpu(gpu):
    expected, records = started("cpu")
    list(records)
    run, records = started("gpu")
    with undisturbed(gpu):
        record = list(records)[-1]
    assert record.loss > 0
    assert torch.allclose(weights(run), weights(expected), atol=1e-6)


def test_the_losses_by_time_wait_only_when_they_are_read(gpu):
    by_time = training.LossesByTime(S.T, torch.device("gpu"))
    _, records = started("gpu", loss=by_time.loss, accumulate=2, bfloat16=True)
    with undisturbed(gpu):
        list(records)
    assert any(loss is not None for loss in by_time.read())


def test_a_monitor_waits_now_and_then(gpu, monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.setattr(panels, "LOOK_EVERY", 3600)  # its sentence needs the loss, twice a second
    by_time = training.LossesByTime(S.T, torch.device("gpu"))
    _, records = started("gpu", loss=by_time.loss, steps=8)
    with undisturbed(gpu):
        list(panels.monitor(records, 160, by_time))


@pytest.mark.parametrize("step", [sampling.ddim(0.5), sampling.ddpm(), sampling.heun()])
def test_a_sampling_step_waits_for_nothing(gpu, step):
    denoise, x_T = denoiser(), torch.randn(4, 1, 8, 8, device="gpu")
    # As recipes.walk draws it: on the CPU, so that a seed means the same pictures everywhere.
    randn = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    with undisturbed(gpu):
        *_, x_0 = sampling.sample(step, S, denoise, x_T, [1000, 500, 20, 0], randn=randn)
    assert x_0.device.type == "gpu"


def test_a_run_with_its_losses_and_its_bar_waits_now_and_then(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(systems, "LOOK_EVERY", 3600)
    monkeypatch.setattr(runs, "SAVED", 5)
    settings, network = Settings(steps=12, batch=8), Part("unet", {"channels": 1, "widths": [8]})
    recipe = replace(DIGITS, settings=settings, network=network)
    examples = recipes.examples(recipe)
    with undisturbed(gpu):
        model, about = runs.train(recipe, None, examples, tmp_path / "run", torch.device("gpu"))
    assert len(about["losses"]) == 12
    trio = measuring.draw(model, examples, 8)
    features = measuring.extract(lambda x: x.flatten(1)[:, :2], trio, model.device)
    assert measuring.distances(features)["frechet_distance"] >= 0


def test_resumed_on_a_device(gpu, tmp_path):
    run, records = started("gpu", steps=4)
    for record in records:
        if record.step == 2:
            checkpoints.save(run, tmp_path / "run")
    again, records = started("gpu", steps=4)
    checkpoints.restore(again, checkpoints.load(tmp_path / "run"))
    list(records)
    assert torch.equal(weights(again), weights(run))


def test_the_bound_waits_for_nothing(gpu):
    x_0, denoise = data.scale(PIXELS[:4]).to("gpu"), denoiser(SHORT)
    randn = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    with undisturbed(gpu):
        terms = bound.bound(SHORT, denoise, x_0, likelihood=bound.normal_log_density, randn=randn)
    assert terms.shape == (21, 4)
    bits = evaluation.bits_per_dim(SHORT, denoise, x_0, randn=randn)  # with levels, on the CPU
    assert bits.value > 0


def test_the_exact_denoiser_answers_where_it_is_asked(gpu):
    weights, centers = torch.ones(8, device="gpu") / 8, data.ring_centers().float().to("gpu")
    mixture = exact.isotropic(weights, centers, 0.1)
    denoise, x = exact.exact_denoiser(S, mixture), torch.randn(5, 2, device="gpu")
    for t in (500, torch.tensor([1, 2, 3, 4, 5])):
        assert {y.device.type for y in denoise(x, t)} == {"gpu"}
    points = sampling.denoiser(SHORT, MLP(2, 16).to("gpu"), EPS, None)
    assert bound.bound(SHORT, points, x, likelihood=bound.normal_log_density).shape == (21, 5)


def test_a_classifier_trains_without_waiting(gpu):
    x, labels = data.scale(PIXELS).to("gpu"), data.digits().labels[:200].to("gpu")
    with undisturbed(gpu):
        network = evaluation.train_classifier(x, labels, steps=3)
    found = evaluation.extract(network.features, x)
    assert found.device.type == "cpu" and found.dtype == torch.float64
    assert evaluation.nearest(x[:3], x).distance.max() == 0


def test_building_leaves_the_random_numbers_as_they_were(gpu):
    with undisturbed(gpu):
        recipes.build(DIGITS)
    sources = Path(recipes.__file__).parent.rglob("*.py")
    assert not [path for path in sources if "torch.manual_seed(" in path.read_text()]


@pytest.mark.parametrize("walk", [recipes.walk, panels._samples])
def test_a_walk_of_a_model_waits_once(gpu, walk):
    """For the noise where it begins, which a seed draws on the CPU."""
    options = {"seed": 0, "steps": 4} | ({"eta": 0.5} if walk is panels._samples else {})
    with undisturbed(gpu):
        for _ in walk(model(), 4, **options):
            gpu.clock += 1


def test_panels_and_pictures(gpu):
    pytest.importorskip("ipywidgets")
    panels.sampling(model(), n=4, frames=(1, 2))
    x = torch.rand(4, 1, 8, 8, device="gpu")
    panels.schedules(x, frames=(10,))
    claims.claim("eq:none", got=x, want=x, rejects={"twice": 2 * x})
    plotting.grid(x), plotting.animation([x, x], "four pictures"), data.unscale(x)
