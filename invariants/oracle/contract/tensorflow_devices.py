"""The devices that a Keras script can run on, a row each."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Device

_GPU = "https://www.tensorflow.org/guide/gpu"

DEVICES: tuple[Device, ...] = (
    Device(
        "cpu",
        "tf.device pins what is made in its context to a device; without it TensorFlow prefers a "
        "GPU where there is one.",
        _GPU + "#manual_device_placement",
        place="CPU:0",
    ),
    Device(
        "cuda",
        "With op determinism not enabled, ops might return different results when run with the "
        "same inputs, which mostly happens on GPUs; which ones is not said, so all are judged "
        "within the spread, and gradients under other flags as well. TensorFloat-32 is enabled by "
        "default and rounds inputs to 10 bits of precision: the script disables it, so that what "
        "is computed in float32 is judged as float32. An op without a kernel for the GPU runs on "
        "the CPU.",
        "https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_op_determinism",
        place="GPU:0",
        settings=("tf.config.experimental.enable_tensor_float_32_execution(False)",),
        unordered={"": "any op"},
        same_kernels=False,
        absent=(
            "import tensorflow as tf\n"
            'if not tf.config.list_physical_devices("GPU"):\n'
            '    raise RuntimeError("TensorFlow finds no GPU")\n'
        ),
    ),
)
