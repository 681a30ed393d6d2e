"""The devices that a torch script can run on, a row each."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Device

_TORCH = "https://docs.pytorch.org/docs/stable/"

_RECURRENT = "nn.RNN, nn.GRU and nn.LSTM, by some versions of cuDNN and CUDA"

#: An operation that torch.use_deterministic_algorithms, or its own page, names as not deterministic
#: on CUDA -> the kinds of layers and the losses that call it.
_ON_CUDA = {
    "nn.Conv1d": ("conv1d", "depthwise_conv1d", "separable_conv1d"),
    "nn.Conv2d": (
        "conv2d",
        "depthwise_conv2d",
        "separable_conv2d",
        "lora_conv2d",
        "spectral_norm_conv2d",
        "weight_norm_conv2d",
    ),
    "nn.Conv3d": ("conv3d",),
    "nn.ConvTranspose1d": ("conv1d_transpose",),
    "nn.ConvTranspose2d": ("conv2d_transpose",),
    "nn.ConvTranspose3d": ("conv3d_transpose",),
    "the backward pass of nn.AdaptiveAvgPool2d": ("global_avg_pool1d", "global_avg_pool2d"),
    "the backward pass of nn.AdaptiveAvgPool3d": ("global_avg_pool3d",),
    "the backward pass of nn.AdaptiveMaxPool2d": ("global_max_pool1d", "global_max_pool2d"),
    "the backward pass of F.interpolate": ("up_sampling1d", "up_sampling2d"),
    "nn.NLLLoss": ("cross_entropy", "smoothed_cross_entropy", "likelihood"),
    _RECURRENT: (
        "simple_rnn",
        "lstm",
        "gru",
        "bidirectional_simple_rnn",
        "bidirectional_lstm",
        "bidirectional_gru",
        "stacked_simple_rnn",
        "stacked_lstm",
        "stacked_gru",
        "padded_simple_rnn",
        "padded_lstm",
        "padded_gru",
    ),
}

_OTHER_OPERATIONS = "autocast lowers other operations there than on a CPU, whose list is not here"

_AUTOCAST = (
    "autocast_bfloat16",
    "autocast_float16",
    "autocast_evaluated",
    "autocast_kept",
    "scaled_float16",
)

DEVICES: tuple[Device, ...] = (
    Device(
        "cpu",
        "Model and batches are on the CPU, where tensors are made unless a device is named.",
        _TORCH + "tensor_attributes.html#torch.device",
        place="cpu",
    ),
    Device(
        "cuda",
        "Once a tensor is allocated, you can do operations on it, and the results are always on "
        "the same device as the tensor. By default convolutions may read but 10 bits of the "
        "mantissa of float32 (TensorFloat-32), and products of matrices of 16 bits may be reduced "
        "in 16 bits: the script switches both off, so that what is computed in float32 is judged "
        "as float32. Some operations are documented as not deterministic; that gradients come from "
        "the same kernels under other flags is documented nowhere, and has been measured on the "
        "CPU alone.",
        _TORCH + "notes/cuda.html",
        place="cuda",
        settings=(
            "torch.backends.cudnn.allow_tf32 = False",
            "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False",
            "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False",
        ),
        unordered={kind: operation for operation, kinds in _ON_CUDA.items() for kind in kinds},
        same_kernels=False,
        without=dict.fromkeys(_AUTOCAST, _OTHER_OPERATIONS),
        absent='import torch\ntorch.ones(1, device="cuda")\n',
    ),
    Device(
        "mps",
        "The mps device runs on the GPU of a Mac. Its framework has no float64. Nothing is "
        "documented about the order of its sums, nor about kernels under other flags.",
        _TORCH + "notes/mps.html",
        place="mps",
        same_kernels=False,
        dtypes=("float32", "bfloat16", "float16"),
        without=dict.fromkeys(_AUTOCAST, _OTHER_OPERATIONS),
        unoffered=("MPS", "on mps tensors"),
        absent=(
            "import torch\n"
            "if not torch.backends.mps.is_available():\n"
            '    raise RuntimeError("torch finds no GPU of a Mac")\n'
        ),
    ),
)
