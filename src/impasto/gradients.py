"""Optimisation in any mode of the caller: ComfyUI runs nodes under `torch.inference_mode()`, notebooks often use `torch.no_grad()`."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

Given = ParamSpec("Given")
Result = TypeVar("Result")


def with_gradients(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Decorate what optimises, or builds what is optimised later: gradients are recorded in it, and its tensors are ordinary ones.

    Tensors that were made under `inference_mode` cannot take part in autograd. Those among the arguments are cloned, alone or in lists,
    tuples and dictionaries; parameters and buffers are replaced in their module. Not for generator functions: their mode would reach the
    caller between two values.
    """

    @wraps(function)
    def run(*given: Given.args, **named: Given.kwargs) -> Result:
        with torch.inference_mode(False), torch.enable_grad():
            return function(*map(ordinary, given), **{name: ordinary(value) for name, value in named.items()})

    return run


def ordinary(value: Any) -> Any:
    """The value with ordinary tensors in place of those that were made under `inference_mode`; call it outside of that."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, nn.Module):
        for module in value.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None and parameter.is_inference():
                    module._parameters[name] = nn.Parameter(parameter.clone(), requires_grad=parameter.requires_grad)
            for name, buffer in module._buffers.items():
                module._buffers[name] = ordinary(buffer)
        return value
    if type(value) in (list, tuple):
        return type(value)(ordinary(part) for part in value)
    if type(value) is dict:
        return {name: ordinary(part) for name, part in value.items()}
    return value
