"""One process or several: the questions that training asks of Hugging Face's accelerate."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from torch import Tensor, nn


class Devices(Protocol):
    """What training asks of accelerate's `Accelerator`, which answers for several devices."""

    @property
    def num_processes(self) -> int: ...
    @property
    def process_index(self) -> int: ...
    def prepare_model(self, model: Any) -> Any: ...
    def no_sync(self, model: Any) -> AbstractContextManager[Any]: ...
    def reduce(self, tensor: Any, reduction: str = ...) -> Any: ...


class OneDevice:
    """The same answers for a single process."""

    num_processes = 1
    process_index = 0

    def prepare_model(self, model: nn.Module) -> nn.Module:
        return model

    def no_sync(self, model: nn.Module) -> AbstractContextManager[None]:
        return nullcontext()

    def reduce(self, tensor: Tensor, reduction: str = "mean") -> Tensor:
        return tensor
