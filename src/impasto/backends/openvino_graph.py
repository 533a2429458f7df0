"""A style network as a model of OpenVINO, made of its weights alone: at once, and without PyTorch. Needs the extra `openvino`.

The layers are those of `impasto.networks.style_network`, and the last one is written as `impasto.networks.rewrites` says, which is what
makes eight bits fast.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from impasto.backends.extras import needed
from impasto.networks.shape import Shape

EXTRA = "openvino"
_EPS = 1e-5
"""Of the instance norms."""


def network_graph(weights: Mapping[str, np.ndarray], shape: Shape, size: tuple[int, int] | None = None) -> Any:
    """The model: "photo", (B, H, W, 3), float32, RGB in [0, 1], with its grain, to "picture", alike, in [0, 1].

    weights: float32, by the names of the network's parameters. size: height and width of all pictures, one at a time; any by default.

    Raises UnavailableError without the extra.
    """
    graph = _Graph(weights)
    ops = graph.ops
    photo = ops.parameter([-1, -1, -1, 3] if size is None else [1, *size, 3], np.float32, name="photo")
    sides = ops.gather(ops.shape_of(photo, "i64"), np.array([1, 2]), np.array(0, dtype=np.int64))
    over = ops.mod(ops.subtract(np.array([4, 4]), ops.mod(sides, np.array([4, 4]))), np.array([4, 4]))
    mean, std = (np.array(value, np.float32).reshape(1, 3, 1, 1) for value in shape.colours)
    x = ops.divide(ops.subtract(ops.transpose(photo, np.array([0, 3, 1, 2])), mean), std)
    x = ops.pad(x, np.zeros(4, np.int64), ops.concat([np.zeros(2, np.int64), over], 0), "reflect")
    if shape.patch > 1:
        x = ops.space_to_depth(x, "depth_first", shape.patch)
    for number in range(shape.strides + 1):
        x = graph.layer(x, f"down.{number}", stride=2 if number else 1)
    for number in range(shape.blocks):
        changed = graph.layer(graph.layer(x, f"residual.{number}.first"), f"residual.{number}.second", relu=False)
        x = ops.add(x, changed)
    for number in range(shape.strides):
        x = graph.layer(graph.doubled(x), f"up.{number}")
    x = graph.narrow(x, "last") if shape.patch == 1 else ops.depth_to_space(graph.convolution(x, "last"), "depth_first", shape.patch)
    if shape.outputs == "sigmoid":
        picture = ops.sigmoid(x)
    else:
        painted = ops.add(ops.multiply(ops.tanh(ops.divide(x, np.float32(255))), np.float32(150 / 255)), np.float32(0.5))
        picture = ops.clamp(painted, 0.0, 1.0)
    picture = ops.slice(picture, np.zeros(2, np.int64), sides, np.ones(2, np.int64), np.array([2, 3]))
    picture = ops.transpose(picture, np.array([0, 2, 3, 1]), name="picture")
    picture.output(0).get_tensor().set_names({"picture"})
    photo.output(0).get_tensor().set_names({"photo"})
    return graph.openvino.Model([picture], [photo], "impasto")


def running(model: Any, *, precision: str = "auto", threads: int = 0) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """A model, or the path of its .xml file, ready to run: from arrays to the picture.

    precision: "float32" or "bfloat16", in which the processor computes what is not in eight bits; "auto" for the best that it has.
    threads: 0 for all cores. They are not bound to cores: those of several processes would be bound to the same ones.
    """
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    if precision != "auto":
        hints["INFERENCE_PRECISION_HINT"] = {"float32": "f32", "bfloat16": "bf16"}[precision]
    compiled = core().compile_model(model, "CPU", hints)
    return lambda given: compiled(list(given))[0].copy()  # the engine uses its own memory again


@cache
def core() -> Any:
    """OpenVINO itself, one for the whole process, never freed. Raises UnavailableError without the extra.

    On processors with AVX-512 every core gives signals a stack of its own. Where cores are freed in another order than they were made,
    that stack can be one that is freed already, and the next Ctrl-C ends in a segmentation fault.
    """
    return needed("openvino", EXTRA).Core()


class _Graph:
    """Layers with weights by their names."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self.openvino = needed("openvino", EXTRA)
        self.ops = needed("openvino.opset13", EXTRA)
        self.weights = weights

    def layer(self, x: Any, name: str, *, stride: int = 1, relu: bool = True) -> Any:
        """Convolution, instance norm, ReLU."""
        x = self.convolution(x, f"{name}.convolution", stride=stride)
        x = self.ops.mvn(x, np.array([2, 3]), True, _EPS, "inside_sqrt")
        scale, shift = (self.weights[f"{name}.norm.{kind}"].reshape(1, -1, 1, 1) for kind in ("weight", "bias"))
        x = self.ops.add(self.ops.multiply(x, scale), shift)
        return self.ops.relu(x) if relu else x

    def convolution(self, x: Any, name: str, *, stride: int = 1) -> Any:
        """With reflection padding."""
        filters, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return self._convolved(self._padded(x, filters.shape[-1] // 2), filters, bias, stride)

    def narrow(self, x: Any, name: str) -> Any:
        """A convolution to few channels, as one of stride 2 to four times as many, each a pixel of a square."""
        filters, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        padding = ((0, 0), (0, 0))
        places = [np.pad(filters, (*padding, (lower, 1 - lower), (right, 1 - right))) for lower in (0, 1) for right in (0, 1)]
        four = np.stack(places, 1).reshape(-1, *places[0].shape[1:])
        x = self._convolved(self._padded(x, filters.shape[-1] // 2), four, bias.repeat(4), 2)
        return self.ops.depth_to_space(x, "depth_first", 2)

    def doubled(self, x: Any) -> Any:
        """Nearest neighbours to twice the size."""
        return self.ops.interpolate(
            x,
            np.array([2.0, 2.0], np.float32),
            "nearest",
            "scales",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
            axes=np.array([2, 3]),
        )

    def _padded(self, x: Any, count: int) -> Any:
        ends = np.array([0, 0, count, count])
        return self.ops.pad(x, ends, ends, "reflect")

    def _convolved(self, x: Any, filters: np.ndarray, bias: np.ndarray, stride: int) -> Any:
        constant = self.ops.constant(np.ascontiguousarray(filters))
        made = self.ops.convolution(x, constant, [stride, stride], [0, 0], [0, 0], [1, 1])
        return self.ops.add(made, bias.reshape(1, -1, 1, 1))
