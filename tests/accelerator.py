"""A simulated accelerator: what fails on a GPU, or waits for one, is found on a CPU.

A tensor on the device "gpu" is a CPU tensor in a wrapper, so its numbers are those of the CPU. It
is as strict as the strictest of the real ones. As CUDA it refuses to meet CPU tensors (indices, and
numbers in pointwise operations, apart) and generators of another device. As Apple's mps it has no
float64, and reads too late what it is sent without waiting. Speed, memory, rounding and
autocast are not simulated, and `torch.tensor(..., device="gpu")` fails: torch makes it where no
simulation sees it.
"""

import sys
from collections import defaultdict
from contextlib import contextmanager, nullcontext
from unittest.mock import patch
from weakref import WeakValueDictionary

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils import backend_registration as registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

# Operations whose result, or its shape, the host needs before it can go on.
READS = {"_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "bincount"}
READS |= {"_linalg_eigh", "_linalg_svd", "linalg_cholesky_ex"}


class Backend(registration._DummyBackendModule):
    """What torch calls `torch.gpu`, with the random numbers that the device draws by itself."""

    def __init__(self):
        self.chance = torch.Generator()

    def get_rng_state(self, device=0):
        return self.chance.get_state()

    def set_rng_state(self, state, device=0):
        self.chance.set_state(state)

    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


BACKEND = Backend()
GENERATORS = WeakValueDictionary()  # the device's, by address: operations get other Python objects
torch.ones((), requires_grad=True).backward()  # starts autograd's threads, while no device has one
registration._setup_privateuseone_for_python_backend("gpu", BACKEND)
AUTOCAST = torch.library.Library("_", "IMPL")  # it changes nothing here
AUTOCAST.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")


class Generator(torch.Generator):
    def __new__(cls, device="cpu"):
        self = super().__new__(cls)
        if torch.device(device).type == "gpu":
            GENERATORS[self._cdata] = self
        return self


class GpuTensor(torch.Tensor):
    """A CPU tensor, `raw`, that says it is elsewhere."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw):
        lies = {"strides": raw.stride(), "storage_offset": raw.storage_offset(), "device": "gpu:0"}
        self = torch.Tensor._make_wrapper_subclass(cls, raw.shape, dtype=raw.dtype, **lies)
        self.raw = raw
        return self

    @classmethod
    def __torch_dispatch__(cls, *call):
        return Gpu.now.__torch_dispatch__(*call)

    # torch does these in C++ or for its own class alone.
    def tolist(self):
        return self.cpu().tolist()

    def untyped_storage(self):
        return self.raw.untyped_storage()

    def __format__(self, spec):
        return format(self.item(), spec)

    def __repr__(self):
        return f"{self.raw!r} on the gpu"


class Gpu(TorchDispatchMode):
    """What happens on the device while it is simulated.

    waits, uploads, seeds: file:line -> the `clock` at each value that the host waited for, at each
    copy to the device that it waited for, and at each new seed of the device's random numbers;
    the clock counts the steps of optimizers, and what a test adds.
    sends: functions that know on which devices a copy need not be waited for
    """

    def __init__(self, sends):
        super().__init__()
        Gpu.now, self.sends, self.clock = self, {send.__code__ for send in sends}, 0
        self.waits, self.uploads, self.seeds = (defaultdict(list) for _ in range(3))
        self.late = []  # refused in a backward pass, where to raise would abort the process

    def tick(self, *_):
        self.clock += 1

    def seed(self, seed):
        self._note(self.seeds)
        BACKEND.chance.manual_seed(seed)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, func.overloadpacket.__name__
        device, generator = kwargs.get("device"), kwargs.get("generator")
        there = GpuTensor in types if device is None else torch.device(device).type == "gpu"
        if generator is not None and (generator._cdata in GENERATORS) != there:
            self._refuse(f"{name}: the generator is of another device")
        if not (there or GpuTensor in types):
            return func(*args, **kwargs)
        if name in ("_to_copy", "copy_"):  # the only ways from one device to the other
            there = isinstance(args[0], GpuTensor) if name == "copy_" else there
            self._copies(name, there, args, kwargs)
        else:
            self._computes(func, name, args, kwargs)
        given = {id(x.raw): x for x in tree_leaves((args, kwargs)) if isinstance(x, GpuTensor)}

        def wrap(x):
            if not (there and isinstance(x, torch.Tensor)) or id(x) in given:
                return given.get(id(x), x)  # what changes a tensor returns it
            if x.dtype == torch.float64:
                self._refuse(f"{name}: this device has no float64")
            return GpuTensor(x)

        kwargs = {k: "cpu" if k == "device" else v for k, v in kwargs.items() if k != "pin_memory"}
        args, kwargs = tree_map(lambda x: getattr(x, "raw", x), (args, kwargs))
        by_chance = torch.Tag.nondeterministic_seeded in func.tags and generator is None
        with _own_chance() if there and by_chance else nullcontext():
            return tree_map(wrap, func(*args, **kwargs))

    def _copies(self, name, there, args, kwargs):
        from_cpu = any(_on_cpu(x) for x in args)
        if (kwargs.get("non_blocking") or args[2:] == (True,)) and (from_cpu or not there):
            self._refuse(f"{name}: non_blocking, and this device is not CUDA: it reads too late")
        if not there:
            self._note(self.waits)
            to = args[0].dtype if name == "copy_" else kwargs.get("dtype")
            if to == torch.float64:  # mps converts before it sends
                self._refuse(f"{name}: this device has no float64: first .cpu(), then .double()")
        elif from_cpu:
            self._note(self.uploads)

    def _computes(self, func, name, args, kwargs):
        strangers = [x for x in tree_leaves((args, kwargs)) if _on_cpu(x)]
        if name in READS:
            self._note(self.waits)
        if name.startswith("index") and isinstance(args[1], list | tuple):  # x[i], x[i] = y
            indices = [x for x in args[1] if x is not None]
            if any(x.dtype == torch.bool for x in indices):
                self._note(self.waits)
            if isinstance(args[0], GpuTensor):  # its indices may come from the CPU
                if any(map(_on_cpu, indices)):
                    self._note(self.uploads)
                strangers = [x for x in strangers if all(x is not i for i in indices)]
        numbers_may = torch.Tag.pointwise in func.tags or name.startswith("_foreach")
        if found := [tuple(x.shape) for x in strangers if x.ndim or not numbers_may]:
            self._refuse(f"{name}: on the CPU, but not all, are {found}")

    def _refuse(self, why):
        if torch._C._current_graph_task_id() == -1:
            raise RuntimeError(why)
        self.late.append(why)

    def _note(self, what):
        frame = sys._getframe(2)
        while "/torch/" in (file := frame.f_code.co_filename) or file == __file__:
            frame = frame.f_back
        if what is not self.uploads or frame.f_code not in self.sends:
            what[f"{file.rpartition('/')[2]}:{frame.f_lineno}"].append(self.clock)


def _on_cpu(x):
    return isinstance(x, torch.Tensor) and not isinstance(x, GpuTensor)


@contextmanager
def _own_chance():
    """The device draws by itself: the random numbers of the CPU go on as they were."""
    cpu = torch.get_rng_state()
    torch.set_rng_state(BACKEND.chance.get_state())
    try:
        yield
        BACKEND.chance.set_state(torch.get_rng_state())
    finally:
        torch.set_rng_state(cpu)


@contextmanager
def simulated(*sends):
    """Within it, "gpu" is a device; at its end, what a backward pass did wrong is told."""
    gpu, one_thread = Gpu(sends), torch.autograd.set_multithreading_enabled(False)
    generators = patch.object(torch, "Generator", Generator)
    seeds = patch.object(BACKEND, "manual_seed_all", gpu.seed)
    moves = patch.object(torch.__future__, "_swap_module_params_on_conversion", True)  # Module.to
    ticks = register_optimizer_step_post_hook(gpu.tick)
    try:
        with one_thread, generators, seeds, moves, gpu:
            yield gpu
    finally:
        ticks.remove()
    assert not gpu.late, gpu.late[0]


@contextmanager
def undisturbed(gpu):
    """Nothing in it waits at most steps, and the device's random numbers go on as they were.

    Without a step of an optimizer, nothing waits at all.
    """
    gpu.waits.clear(), gpu.uploads.clear(), gpu.seeds.clear()
    start, chance = gpu.clock, torch.gpu.get_rng_state()
    yield
    for what, noted in (("waits for the device", gpu.waits), ("waits while it sends", gpu.uploads)):
        often = [x for x, times in noted.items() if 2 * len(set(times)) > gpu.clock - start]
        assert not often, f"the host {what} at {often}"
    assert not gpu.seeds, f"the device is given another seed at {[*gpu.seeds]}"
    assert torch.equal(torch.gpu.get_rng_state(), chance), "the device has drawn by itself"
