#!/usr/bin/env bash
# InstanceNormalization of ONNX Runtime on the CPU adds up in float32 in one run: for large inputs whose mean is large, results are wrong by whole deviations.
# Expected: normalised values, right to some thousandths (float64 gives them; subtracting the mean first gives them in float32 too).
# Seen with onnxruntime 1.32.0: at 4000x4000, mean 100, deviation 1, the largest error is about 3 deviations. Exits 0 when that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy, onnx, onnxruntime
from onnx import TensorProto, helper

print("numpy", numpy.__version__, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, "h", "w"]) for name in ("x", "y")]
weights = [helper.make_tensor(name, TensorProto.FLOAT, [1], [value]) for name, value in (("scale", 1.0), ("shift", 0.0))]
node = helper.make_node("InstanceNormalization", ["x", "scale", "shift"], ["y"], epsilon=1e-5)
graph = helper.make_graph([node], "norm", ports[:1], ports[1:], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
errors = {}
for side in (1000, 2000, 4000):
    x = numpy.random.default_rng(0).standard_normal((1, 1, side, side), dtype=numpy.float32) + numpy.float32(100)
    wanted = x.astype(numpy.float64)
    wanted -= wanted.mean()
    wanted /= numpy.sqrt((wanted**2).mean() + 1e-5)
    near = x - x[..., ::16, ::16].mean()
    errors[side] = [float(abs(session.run(None, {"x": given})[0] - wanted).max()) for given in (x, near)]
    print(f"{side}x{side}: error {errors[side][0]:.2g} deviations; {errors[side][1]:.2g} after the mean of every 16th value was subtracted")
raise SystemExit(0 if errors[4000][0] > 1 and errors[4000][1] < 0.01 and errors[1000][0] < 0.001 else 1)
PYTHON
