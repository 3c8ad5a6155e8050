"""Networks built without random weights: they are loaded next, and torch's global generator is left alone."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

DRAWS = {Tensor.uniform_, Tensor.normal_, init.uniform_, init.normal_, init.kaiming_uniform_}
"""What PyTorch fills new weights by; its other initialisations call these."""


class Blank(TorchFunctionMode):
    """Within ``with Blank():``, in this thread, new weights are zeros instead of random numbers."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in DRAWS:
            weights: Tensor = args[0] if args else (kwargs or {})["tensor"]
            return weights.data.zero_()
        return func(*args, **(kwargs or {}))
