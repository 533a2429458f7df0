"""Exported instance norms stay right for large pictures: other engines sum up in float32."""

from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.backends.exported import centred_norm

SIDE = 4000
"""A feature map of 16 megapixels: the values and squares of 100 add up to more than float32 tells apart."""


class Norm(torch.nn.Module):
    """An instance norm of one channel, as files have it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return centred_norm(x, torch.tensor([[[1.0], [0.0]]]), 1e-5)


def features() -> tuple[np.ndarray, np.ndarray]:
    """Values of mean 100 and deviation 1, and what normalising makes of them, in float64."""
    values = np.random.default_rng(0).standard_normal((1, 1, SIDE, SIDE), dtype=np.float32) + np.float32(100)
    wanted = values.astype(np.float64)
    wanted -= wanted.mean()
    return values, wanted / np.sqrt(np.square(wanted).mean() + 1e-5)


def test_onnx_runtime_keeps_norms_right_at_16_megapixels(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from impasto.backends.onnx_file import write_onnx

    free = {"photo": (None, None, "height", "width")}
    write_onnx(Norm(), [(torch.randn(1, 1, 64, 80),)], tmp_path / "norm.onnx", inputs=free, outputs=["picture"], facts={}, tolerance=1e-4)
    values, wanted = features()
    (found,) = runtime.InferenceSession(tmp_path / "norm.onnx", providers=["CPUExecutionProvider"]).run(None, {"photo": values})
    assert np.abs(found - wanted).max() < 0.01


def test_openvino_keeps_norms_right_at_16_megapixels() -> None:
    openvino = pytest.importorskip("openvino")
    from impasto.backends.openvino_file import converted

    model = converted(Norm(), (torch.randn(1, 1, 64, 80),), {"photo": [1, 1, -1, -1]})
    values, wanted = features()
    found = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([values])[0]
    assert np.abs(found - wanted).max() < 0.01
