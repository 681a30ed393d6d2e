"""Known ways to break torch; each function takes an original and gives what replaces it.

"Frozen" is judged when the patched function is called: requires_grad of the weight is False.
torch is imported when a fault is applied, never with this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from invariants.faults.fault import Row, faults

_LINEAR = ("torch.nn.Linear.forward",)
_BATCH_NORM = tuple(f"torch.nn.BatchNorm{axes}d.forward" for axes in (1, 2, 3))
_ADAM = ("torch.optim.Adam.step", "torch.optim.AdamW.step")
_STEP = ("torch.optim.SGD.step", *_ADAM)
_ZERO_GRAD = ("torch.optim.Optimizer.zero_grad",)

_ROWS = {
    # What a frozen layer does to the gradient that passes through it.
    "frozen_linear_blocks": Row("A frozen linear layer hands no gradient to its input.", _LINEAR),
    "frozen_linear_amplifies": Row(
        "A frozen linear layer hands 1.5 times the gradient to its input.", _LINEAR
    ),
    "frozen_linear_drifts": Row(
        "A frozen linear layer hands 1.00001 times the gradient to its input.", _LINEAR
    ),
    "frozen_linear_in_float32": Row(
        "A frozen linear layer computes in float32 whatever its dtype.", _LINEAR
    ),
    "frozen_linear_rounds_again": Row(
        "A frozen linear layer rounds the gradient to its input twice more.", _LINEAR
    ),
    "frozen_linear_draws": Row(
        "A frozen linear layer takes a number from the global random generator.", _LINEAR
    ),
    "frozen_conv_blocks": Row(
        "A frozen convolution hands no gradient to its input.", ("torch.nn.Conv2d.forward",)
    ),
    "frozen_conv1d_blocks": Row(
        "A frozen convolution in time hands no gradient to its input.", ("torch.nn.Conv1d.forward",)
    ),
    "frozen_transposed_conv_drifts": Row(
        "A frozen transposed convolution hands 1.00001 times the gradient to its input.",
        ("torch.nn.ConvTranspose1d.forward", "torch.nn.ConvTranspose2d.forward"),
    ),
    "frozen_conv3d_blocks": Row(
        "A frozen convolution of volumes hands no gradient to its input.",
        ("torch.nn.Conv3d.forward",),
    ),
    "frozen_layer_norm_blocks": Row(
        "A frozen layer norm hands no gradient to its input.", ("torch.nn.LayerNorm.forward",)
    ),
    # Wrong derivatives.
    "linear_noise": Row(
        "The gradient to a linear layer's input has relative noise of 1e-6.", _LINEAR
    ),
    "linear_bias_misses_last": Row(
        "The gradient of a linear layer's bias leaves out the batch's last element.", _LINEAR
    ),
    "shared_layer_counted_once": Row(
        "The second call of a module in one forward pass adds nothing to its gradients.",
        ("torch.nn.Module.__call__",),
    ),
    "conv3d_kernel_drifts": Row(
        "The kernel of a convolution of volumes gets 1.00001 times its gradient.",
        ("torch.nn.functional.conv3d",),
    ),
    "conv_padding_shifts": Row(
        "The gradient to the input of a padded convolution is one column off.",
        ("torch.nn.functional.conv2d",),
    ),
    "depthwise_blocks_first": Row(
        "A depthwise convolution hands no gradient to its first channel.",
        ("torch.nn.functional.conv2d",),
    ),
    "transposed_conv_turned": Row(
        "The backward pass of a transposed convolution has its kernel turned round.",
        ("torch.nn.functional.conv_transpose1d", "torch.nn.functional.conv_transpose2d"),
    ),
    "tanh_derivative": Row(
        "The derivative of tanh is 1 - |tanh x| instead of 1 - tanh² x.",
        ("torch.nn.Tanh.forward",),
    ),
    "relu_leaks": Row("relu lets 1% of the gradient pass below 0.", ("torch.nn.functional.relu",)),
    "gelu_approximate_derivative": Row(
        "The exact gelu has the derivative of its tanh approximation.",
        ("torch.nn.functional.gelu",),
    ),
    "softmax_diagonal": Row(
        "The derivative of softmax is the diagonal of its Jacobian alone.",
        ("torch.nn.functional.softmax",),
    ),
    "layer_norm_forgets_mean": Row(
        "The backward pass of layer norm drops the term of the mean.",
        ("torch.nn.functional.layer_norm",),
    ),
    "batch_norm_constant_moments": Row(
        "The backward pass of batch norm takes the batch's moments for constants.",
        ("torch.nn.functional.batch_norm",),
    ),
    "max_pool_splits_ties": Row(
        "Equal maxima of a pool share the gradient.", ("torch.nn.MaxPool2d.forward",)
    ),
    "global_max_splits_ties": Row(
        "Equal maxima of a global pool share the gradient.",
        ("torch.nn.AdaptiveMaxPool1d.forward", "torch.nn.AdaptiveMaxPool2d.forward"),
    ),
    "avg_pool_forgets_its_size": Row(
        "The gradient of an average pool in time is that of a sum.",
        ("torch.nn.AvgPool1d.forward",),
    ),
    "up_sampling_averages": Row(
        "The gradient of an upsampled element is the mean over its copies.",
        ("torch.nn.functional.interpolate",),
    ),
    "padding_drifts": Row(
        "The gradient through a padding with zeros is 1.00001 times too large.",
        ("torch.nn.functional.pad",),
    ),
    "repeat_counts_once": Row(
        "Of the copies that repeat makes only the first hands back a gradient.",
        ("torch.Tensor.repeat",),
    ),
    "expand_counts_once": Row(
        "Of the copies that expand makes only the first hands back a gradient.",
        ("torch.Tensor.expand",),
    ),
    "cat_drifts": Row(
        "What torch.cat joins gets 1.00001 times its gradient.",
        ("torch.cat",),
    ),
    "embedding_counts_once": Row(
        "An index that repeats in a batch counts once in the gradient of an embedding.",
        ("torch.nn.Embedding.forward",),
    ),
    "dropout_forgets_its_mask": Row(
        "The gradient passes through what dropout has zeroed.", ("torch.nn.functional.dropout",)
    ),
    "mish_drifts": Row(
        "The derivative of mish is 1.00001 times what it is.", ("torch.nn.functional.mish",)
    ),
    "hardtanh_passes_beyond": Row(
        "hardtanh lets the gradient pass beyond its ends.", ("torch.nn.functional.hardtanh",)
    ),
    "prelu_slope_drifts": Row(
        "The gradient of the slope of prelu is 1.00001 times what it is.",
        ("torch.nn.functional.prelu",),
    ),
    "maximum_takes_first": Row(
        "The gradient of equal maxima goes to the first alone.", ("torch.maximum",)
    ),
    "group_norm_constant_moments": Row(
        "The backward pass of group norm takes the moments for constants.",
        ("torch.nn.functional.group_norm",),
    ),
    "frozen_group_norm_blocks": Row(
        "A frozen group norm hands no gradient to its input.", ("torch.nn.GroupNorm.forward",)
    ),
    "alpha_dropout_forgets_its_mask": Row(
        "The gradient passes through what alpha dropout has switched off.",
        ("torch.nn.functional.alpha_dropout",),
    ),
    "weight_norm_constant_length": Row(
        "The backward pass of weight norm takes the length of the direction for a constant.",
        ("torch.nn.utils.parametrize.ParametrizationList.forward",),
    ),
    "spectral_norm_constant_sigma": Row(
        "The backward pass of spectral norm takes the singular value for a constant.",
        ("torch.nn.utils.parametrize.ParametrizationList.forward",),
    ),
    "spectral_norm_drifts": Row(
        "The kernel under spectral norm gets 1.00001 times its gradient.",
        ("torch.nn.utils.parametrize.ParametrizationList.forward",),
    ),
    "lstm_drifts": Row(
        "An LSTM hands 1.00001 times the gradient to its input.", ("torch.nn.LSTM.forward",)
    ),
    "frozen_gru_blocks": Row(
        "A frozen GRU hands no gradient to its input.", ("torch.nn.GRU.forward",)
    ),
    "rnn_forgets_the_past": Row(
        "Gradients of a simple RNN stop at the step that they come from.",
        ("torch.nn.RNN.forward",),
    ),
    "attention_constant_weights": Row(
        "The backward pass of attention takes its weights for constants.",
        ("torch.nn.functional.scaled_dot_product_attention",),
    ),
    "attention_drifts": Row(
        "Attention hands 1.00001 times the gradient to its values.",
        ("torch.nn.functional.scaled_dot_product_attention",),
    ),
    # States.
    "frozen_batch_norm_stops": Row(
        "The running averages of a frozen batch norm stand still in training mode.", _BATCH_NORM
    ),
    "batch_norm_moves_in_eval": Row(
        "The running averages of a batch norm move in inference mode.", _BATCH_NORM
    ),
    # Flags and gradients.
    "requires_grad_stays_outside": Row(
        "Module.requires_grad_ does not reach the parameters of submodules.",
        ("torch.nn.Module.requires_grad_",),
    ),
    "requires_grad_forgets_biases": Row(
        "Module.requires_grad_ leaves out the parameters that are called bias.",
        ("torch.nn.Module.requires_grad_",),
    ),
    "tensor_never_freezes": Row(
        "Tensor.requires_grad_(False) does nothing.", ("torch.Tensor.requires_grad_",)
    ),
    "backward_of_nothing_is_silent": Row(
        "backward() of a loss that requires no gradient returns in silence.",
        ("torch.Tensor.backward",),
    ),
    "gradients_accumulate": Row("zero_grad() does nothing.", _ZERO_GRAD),
    "zero_grad_leaves_zeros": Row(
        "zero_grad() leaves gradients of zero where it says none.", _ZERO_GRAD
    ),
    "frozen_gets_gradient": Row(
        "The kernel of a frozen linear layer gets a gradient of zeros.", _LINEAR
    ),
    # Optimizers.
    "decay_reaches_frozen": Row("Weight decay shrinks frozen weights too.", _STEP),
    "momentum_moves_frozen": Row(
        "A weight that was trained with momentum goes on moving once frozen.",
        ("torch.optim.SGD.step",),
    ),
    "frozen_bias_drifts": Row("Each step adds a ten-thousandth to frozen biases.", _STEP),
    "slots_for_frozen": Row("A step gives frozen weights an optimizer slot of zeros.", _STEP),
    "frozen_steps_count": Row("Adam counts the steps of frozen weights.", _ADAM),
    "frozen_slots_decay": Row("A step halves the optimizer slots of frozen weights.", _STEP),
    "thawed_stays_still": Row(
        "A step leaves out for good each weight that it once met frozen.", _STEP
    ),
    "foreach_skips_last": Row("The foreach loop leaves out the last weight.", _STEP),
    "adam_uncorrected": Row("Adam goes without bias correction.", _ADAM),
    "adamw_forgets_decay": Row("AdamW decays nothing.", ("torch.optim.AdamW.step",)),
}


@cache
def _substitution() -> Any:
    import torch

    class Substitution(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, value: Any, surrogate: Any) -> Any:
            return value.clone()

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            return None, upstream

    return Substitution


def _with_gradient_of(value: Any, surrogate: Any) -> Any:
    """`value` to the bit, differentiated as if it were `surrogate`."""
    return _substitution().apply(value.detach(), surrogate)


def _frozen(layer: Any) -> bool:
    return layer.weight is not None and not layer.weight.requires_grad


def _frozen_blocks(forward: Any) -> Any:
    def blocking(self: Any, x: Any) -> Any:
        return forward(self, x.detach() if _frozen(self) else x)

    return blocking


frozen_linear_blocks = frozen_conv_blocks = frozen_conv1d_blocks = _frozen_blocks
frozen_layer_norm_blocks = frozen_conv3d_blocks = _frozen_blocks


def _frozen_scales(factor: float, forward: Any) -> Any:
    def scaling(self: Any, x: Any) -> Any:
        return forward(self, _with_gradient_of(x, factor * x) if _frozen(self) else x)

    return scaling


frozen_linear_amplifies = partial(_frozen_scales, 1.5)
frozen_linear_drifts = frozen_transposed_conv_drifts = partial(_frozen_scales, 1.0 + 1e-5)


def frozen_linear_in_float32(forward: Any) -> Any:
    from torch.nn import functional

    def single(self: Any, x: Any) -> Any:
        if not _frozen(self):
            return forward(self, x)
        bias = None if self.bias is None else self.bias.float()
        return functional.linear(x.float(), self.weight.float(), bias).to(x.dtype)

    return single


def frozen_linear_rounds_again(forward: Any) -> Any:
    def rounding(self: Any, x: Any) -> Any:
        return forward(self, _with_gradient_of(x, x / 3.0 * 3.0) if _frozen(self) else x)

    return rounding


def frozen_linear_draws(forward: Any) -> Any:
    import torch

    def drawing(self: Any, x: Any) -> Any:
        if _frozen(self):
            torch.rand(1)
        return forward(self, x)

    return drawing


def linear_noise(forward: Any) -> Any:
    import torch

    generator = torch.Generator().manual_seed(0)

    def noisy(self: Any, x: Any) -> Any:
        noise = torch.randn(x.shape, dtype=x.dtype, generator=generator)
        return forward(self, _with_gradient_of(x, x * (1.0 + 1e-6 * noise)))

    return noisy


def linear_bias_misses_last(forward: Any) -> Any:
    import torch
    from torch.nn import functional

    def missing(self: Any, x: Any) -> Any:
        value = forward(self, x)
        if self.bias is None:
            return value
        counted = torch.ones_like(value)
        counted[-1] = 0.0
        surrogate = functional.linear(x, self.weight) + counted * self.bias
        return _with_gradient_of(value, surrogate)

    return missing


def shared_layer_counted_once(call: Any) -> Any:
    running: list[Any] = []
    seen: set[int] = set()

    def once(self: Any, *args: Any) -> Any:
        if not running:
            seen.clear()
        again = id(self) in seen
        seen.add(id(self))
        left_out = [p for p in self.parameters() if p.requires_grad] if again else []
        running.append(self)
        try:
            for parameter in left_out:
                parameter.requires_grad = False
            return call(self, *args)
        finally:
            running.pop()
            for parameter in left_out:
                parameter.requires_grad = True

    return once


def conv_padding_shifts(conv2d: Any) -> Any:
    def shifted(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, *more: Any) -> Any:
        if padding == "same" and max(weight.shape[2:]) > 1:
            x = _with_gradient_of(x, x.roll(1, -1))
        return conv2d(x, weight, bias, stride, padding, *more)

    return shifted


def depthwise_blocks_first(conv2d: Any) -> Any:
    import torch

    def blocking(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, *rest: Any) -> Any:
        value = conv2d(x, weight, bias, stride, padding, *rest)
        if weight.shape[1] > 1:
            return value
        kept = torch.cat((x[:, :1].detach(), x[:, 1:]), 1)
        return _with_gradient_of(value, conv2d(kept, weight, bias, stride, padding, *rest))

    return blocking


def transposed_conv_turned(conv_transpose: Any) -> Any:
    def turned(x: Any, weight: Any, *rest: Any) -> Any:
        value = conv_transpose(x, weight, *rest)
        axes = tuple(range(2, weight.ndim))
        return _with_gradient_of(value, conv_transpose(x, weight.flip(axes), *rest))

    return turned


def tanh_derivative(forward: Any) -> Any:
    def wrong(self: Any, x: Any) -> Any:
        y = forward(self, x)
        return _with_gradient_of(y, x * (1.0 - y.detach().abs()))

    return wrong


def relu_leaks(relu: Any) -> Any:
    from torch.nn import functional

    def leaking(x: Any, inplace: bool = False) -> Any:
        return _with_gradient_of(relu(x), functional.leaky_relu(x, 0.01))

    return leaking


def gelu_approximate_derivative(gelu: Any) -> Any:
    def approximate(x: Any, approximate: str = "none") -> Any:
        return _with_gradient_of(gelu(x, approximate=approximate), gelu(x, approximate="tanh"))

    return approximate


def softmax_diagonal(softmax: Any) -> Any:
    def diagonal(x: Any, *args: Any, **options: Any) -> Any:
        y = softmax(x, *args, **options)
        return _with_gradient_of(y, x * (y * (1.0 - y)).detach())

    return diagonal


def layer_norm_forgets_mean(layer_norm: Any) -> Any:
    def forgetful(x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
        mean = x.mean(-1, keepdim=True).detach()
        variance = x.var(-1, correction=0, keepdim=True)
        surrogate = (x - mean) * (variance + eps).rsqrt()
        if weight is not None:
            surrogate = surrogate * weight + bias
        return _with_gradient_of(layer_norm(x, shape, weight, bias, eps), surrogate)

    return forgetful


def batch_norm_constant_moments(batch_norm: Any) -> Any:
    def constant(
        x: Any, mean: Any, variance: Any, weight: Any, bias: Any, training: bool, *more: Any
    ) -> Any:
        value = batch_norm(x, mean, variance, weight, bias, training, *more)
        if not training:
            return value
        axes = [axis for axis in range(x.dim()) if axis != 1]
        inner = (1, -1, *[1] * (x.dim() - 2))
        scale = (x.var(axes, correction=0, keepdim=True) + more[-1]).rsqrt().detach()
        centred = x - x.mean(axes, keepdim=True).detach()
        surrogate = centred * scale
        if weight is not None:
            surrogate = surrogate * weight.reshape(inner) + bias.reshape(inner)
        return _with_gradient_of(value, surrogate)

    return constant


def max_pool_splits_ties(forward: Any) -> Any:
    def splitting(self: Any, x: Any) -> Any:
        (h, w), (rows, columns) = self.kernel_size, self.stride
        windows = x.unfold(2, h, rows).unfold(3, w, columns)
        return _with_gradient_of(forward(self, x), windows.amax((-2, -1)))

    return splitting


def global_max_splits_ties(forward: Any) -> Any:
    def splitting(self: Any, x: Any) -> Any:
        value = forward(self, x)
        axes = tuple(range(2, x.ndim))
        return _with_gradient_of(value, x.amax(axes, keepdim=True))

    return splitting


def avg_pool_forgets_its_size(forward: Any) -> Any:
    def forgetful(self: Any, x: Any) -> Any:
        value = forward(self, x)
        return _with_gradient_of(value, self.kernel_size[0] * value)

    return forgetful


def up_sampling_averages(interpolate: Any) -> Any:
    def averaging(x: Any, *args: Any, **options: Any) -> Any:
        value = interpolate(x, *args, **options)
        return _with_gradient_of(value, value * (x.numel() / value.numel()))

    return averaging


def padding_drifts(pad: Any) -> Any:
    def drifting(x: Any, *args: Any, **options: Any) -> Any:
        value = pad(x, *args, **options)
        return _with_gradient_of(value, value * (1.0 + 1e-5))

    return drifting


def repeat_counts_once(repeat: Any) -> Any:
    def once(x: Any, *times: Any) -> Any:
        value = repeat(x, *times)
        first = value.new_zeros(value.shape)
        first[tuple(slice(0, n) for n in x.shape)] = 1.0
        return _with_gradient_of(value, value * first)

    return once


def expand_counts_once(expand: Any) -> Any:
    def once(x: Any, *sizes: Any) -> Any:
        value = expand(x, *sizes)
        first = value.new_zeros(value.shape)
        first[:1] = 1.0
        return _with_gradient_of(value, value * first)

    return once


def cat_drifts(cat: Any) -> Any:
    def drifting(*args: Any, **options: Any) -> Any:
        value = cat(*args, **options)
        return _with_gradient_of(value, (1.0 + 1e-5) * value)

    return drifting


def embedding_counts_once(forward: Any) -> Any:
    def once(self: Any, indices: Any) -> Any:
        flat = indices.flatten()
        repeats = (flat[:, None] == flat[None, :]).tril(-1).any(1).reshape(*indices.shape, 1)
        value = forward(self, indices)
        return _with_gradient_of(value, value * ~repeats)

    return once


def dropout_forgets_its_mask(dropout: Any) -> Any:
    def forgetful(x: Any, p: float, training: bool, inplace: bool) -> Any:
        return _with_gradient_of(dropout(x, p, training, False), x)

    return forgetful


def conv3d_kernel_drifts(conv3d: Any) -> Any:
    def drifting(x: Any, weight: Any, *more: Any) -> Any:
        return conv3d(x, _with_gradient_of(weight, (1.0 + 1e-5) * weight), *more)

    return drifting


def mish_drifts(mish: Any) -> Any:
    def drifting(x: Any, inplace: bool = False) -> Any:
        y = mish(x)
        return _with_gradient_of(y, (1.0 + 1e-5) * y)

    return drifting


def lstm_drifts(forward: Any) -> Any:
    def drifting(self: Any, x: Any, *states: Any) -> Any:
        return forward(self, _with_gradient_of(x, (1.0 + 1e-5) * x), *states)

    return drifting


def hardtanh_passes_beyond(hardtanh: Any) -> Any:
    def passing(x: Any, low: float, high: float, inplace: bool = False) -> Any:
        return _with_gradient_of(hardtanh(x, low, high), x)

    return passing


def prelu_slope_drifts(prelu: Any) -> Any:
    def drifting(x: Any, weight: Any) -> Any:
        return prelu(x, _with_gradient_of(weight, (1.0 + 1e-5) * weight))

    return drifting


def maximum_takes_first(maximum: Any) -> Any:
    import torch

    def first(a: Any, b: Any) -> Any:
        return _with_gradient_of(maximum(a, b), torch.where(a >= b, a, b))

    return first


def group_norm_constant_moments(group_norm: Any) -> Any:
    def constant(x: Any, groups: int, weight: Any, bias: Any, eps: float) -> Any:
        value = group_norm(x, groups, weight, bias, eps)
        grouped = x.reshape(x.shape[0], groups, -1)
        mean = grouped.mean(-1, keepdim=True).detach()
        scale = (grouped.var(-1, correction=0, keepdim=True) + eps).rsqrt().detach()
        surrogate = ((grouped - mean) * scale).reshape(x.shape)
        if weight is not None:
            inner = (1, -1, *[1] * (x.dim() - 2))
            surrogate = surrogate * weight.reshape(inner) + bias.reshape(inner)
        return _with_gradient_of(value, surrogate)

    return constant


frozen_group_norm_blocks = _frozen_blocks


def alpha_dropout_forgets_its_mask(alpha_dropout: Any) -> Any:
    def forgetful(x: Any, p: float, training: bool) -> Any:
        y = alpha_dropout(x, p, training)
        return _with_gradient_of(y, x) if training else y

    return forgetful


def frozen_gru_blocks(forward: Any) -> Any:
    def blocking(self: Any, x: Any, *states: Any) -> Any:
        frozen = not self.weight_ih_l0.requires_grad
        return forward(self, x.detach() if frozen else x, *states)

    return blocking


def rnn_forgets_the_past(forward: Any) -> Any:
    import torch

    def forgetful(self: Any, x: Any, *states: Any) -> Any:
        outputs, last = forward(self, x, *states)
        before = torch.cat([torch.zeros_like(outputs[:, :1]), outputs[:, :-1]], 1).detach()
        z = x @ self.weight_ih_l0.T + before @ self.weight_hh_l0.T
        if self.bias:
            z = z + self.bias_ih_l0 + self.bias_hh_l0
        surrogate = z.tanh() if self.nonlinearity == "tanh" else z.relu()
        return _with_gradient_of(outputs, surrogate), last

    return forgetful


def weight_norm_constant_length(forward: Any) -> Any:
    def constant(self: Any) -> Any:
        weight = forward(self)
        if not hasattr(self, "original1"):
            return weight
        length = self.original1.norm(dim=1, keepdim=True).detach()
        return _with_gradient_of(weight, self.original1 * (self.original0 / length))

    return constant


def _of_spectral_norm(surrogate: Any, forward: Any) -> Any:
    """A parametrization with one original: the gradient of surrogate(original, weight)."""

    def differentiated(self: Any) -> Any:
        weight = forward(self)
        if not hasattr(self, "original"):
            return weight
        return _with_gradient_of(weight, surrogate(self.original, weight))

    return differentiated


def _over_constant(original: Any, weight: Any) -> Any:
    constant = weight.detach()
    return original * (constant.square().sum() / (constant * original.detach()).sum())


spectral_norm_constant_sigma = partial(_of_spectral_norm, _over_constant)
spectral_norm_drifts = partial(_of_spectral_norm, lambda original, weight: (1.0 + 1e-5) * weight)


def attention_constant_weights(attention: Any) -> Any:
    def constant(q: Any, k: Any, v: Any, *more: Any, **options: Any) -> Any:
        return attention(q.detach(), k.detach(), v, *more, **options)

    return constant


def attention_drifts(attention: Any) -> Any:
    def drifting(q: Any, k: Any, v: Any, *more: Any, **options: Any) -> Any:
        return attention(q, k, _with_gradient_of(v, (1.0 + 1e-5) * v), *more, **options)

    return drifting


def frozen_batch_norm_stops(forward: Any) -> Any:
    def stopped(self: Any, x: Any) -> Any:
        kept = self.running_mean, self.running_var
        if _frozen(self):
            self.running_mean, self.running_var = (buffer.clone() for buffer in kept)
        try:
            return forward(self, x)
        finally:
            self.running_mean, self.running_var = kept

    return stopped


def batch_norm_moves_in_eval(forward: Any) -> Any:
    def moving(self: Any, x: Any) -> Any:
        y = forward(self, x)
        if not self.training:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            self.running_mean = self.running_mean.lerp(x.detach().mean(axes), self.momentum)
        return y

    return moving


def requires_grad_stays_outside(requires_grad_: Any) -> Any:
    def outside(self: Any, requires_grad: bool = True) -> Any:
        for parameter in self.parameters(recurse=False):
            parameter.requires_grad_(requires_grad)
        return self

    return outside


def requires_grad_forgets_biases(requires_grad_: Any) -> Any:
    def forgetful(self: Any, requires_grad: bool = True) -> Any:
        for name, parameter in self.named_parameters():
            if name.rpartition(".")[2] != "bias":
                parameter.requires_grad_(requires_grad)
        return self

    return forgetful


def tensor_never_freezes(requires_grad_: Any) -> Any:
    def never(self: Any, requires_grad: bool = True) -> Any:
        return requires_grad_(self, True) if requires_grad else self

    return never


def backward_of_nothing_is_silent(backward: Any) -> Any:
    def silent(self: Any, *args: Any, **options: Any) -> None:
        if self.requires_grad:
            backward(self, *args, **options)

    return silent


def gradients_accumulate(zero_grad: Any) -> Any:
    def nothing(self: Any, set_to_none: bool = True) -> None:
        return None

    return nothing


def zero_grad_leaves_zeros(zero_grad: Any) -> Any:
    def zeros(self: Any, set_to_none: bool = True) -> None:
        zero_grad(self, set_to_none=False)

    return zeros


def frozen_gets_gradient(forward: Any) -> Any:
    import torch

    def buffered(self: Any, x: Any) -> Any:
        if _frozen(self):
            self.weight.grad = torch.zeros_like(self.weight)
        return forward(self, x)

    return buffered


def _parameters(optimizer: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each parameter of `optimizer` after its group."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            yield group, parameter


def _after_step(move_frozen: Any, step: Any) -> Any:
    """A step that calls `move_frozen(optimizer, group, parameter)` for what is frozen."""
    import torch

    def moving(self: Any, closure: Any = None) -> None:
        step(self, closure)
        with torch.no_grad():
            for group, parameter in _parameters(self):
                if not parameter.requires_grad:
                    move_frozen(self, group, parameter)

    return moving


def _decay(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    if group["weight_decay"]:
        parameter.mul_(1.0 - group["lr"] * group["weight_decay"])


def _go_on(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    velocity = optimizer.state.get(parameter, {}).get("momentum_buffer")
    if velocity is not None:
        parameter.sub_(velocity, alpha=group["lr"])


def _drift(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    if parameter.dim() == 1:
        parameter.add_(1e-4)


def _allocate(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    slots = {"momentum_buffer"} if "momentum" in group else {"exp_avg", "exp_avg_sq"}
    state = optimizer.state[parameter]
    state |= {slot: parameter.new_zeros(parameter.shape) for slot in slots - state.keys()}
    if "momentum" not in group:
        state.setdefault("step", parameter.new_zeros(()))


def _count(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    _allocate(optimizer, group, parameter)
    optimizer.state[parameter]["step"] += 1


def _fade(optimizer: Any, group: dict[str, Any], parameter: Any) -> None:
    for slot in optimizer.state.get(parameter, {}).values():
        slot.mul_(0.5)


decay_reaches_frozen = partial(_after_step, _decay)
momentum_moves_frozen = partial(_after_step, _go_on)
frozen_bias_drifts = partial(_after_step, _drift)
slots_for_frozen = partial(_after_step, _allocate)
frozen_steps_count = partial(_after_step, _count)
frozen_slots_decay = partial(_after_step, _fade)


def _step_without(left_out: list[Any], step: Any, optimizer: Any, closure: Any) -> None:
    gradients = [parameter.grad for parameter in left_out]
    for parameter in left_out:
        parameter.grad = None
    step(optimizer, closure)
    for parameter, gradient in zip(left_out, gradients, strict=True):
        parameter.grad = gradient


def thawed_stays_still(step: Any) -> Any:
    def skipping(self: Any, closure: Any = None) -> None:
        met = self.__dict__.setdefault("_met_frozen", set())
        met.update(id(p) for _, p in _parameters(self) if not p.requires_grad)
        _step_without([p for _, p in _parameters(self) if id(p) in met], step, self, closure)

    return skipping


def foreach_skips_last(step: Any) -> Any:
    def skipping(self: Any, closure: Any = None) -> None:
        moving = [p for group, p in _parameters(self) if group["foreach"] and p.grad is not None]
        _step_without(moving[-1:], step, self, closure)

    return skipping


def adam_uncorrected(step: Any) -> Any:
    import torch

    def uncorrected(self: Any, closure: Any = None) -> None:
        moving = [(group, p) for group, p in _parameters(self) if p.grad is not None]
        before = [p.detach().clone() for _, p in moving]
        step(self, closure)
        with torch.no_grad():
            for (group, p), old in zip(moving, before, strict=True):
                decay = group["weight_decay"] if group["decoupled_weight_decay"] else 0.0
                state = self.state[p]
                move = state["exp_avg"] / (state["exp_avg_sq"].sqrt() + group["eps"])
                p.copy_(old * (1.0 - group["lr"] * decay) - group["lr"] * move)

    return uncorrected


def adamw_forgets_decay(step: Any) -> Any:
    def forgetful(self: Any, closure: Any = None) -> None:
        decays = [group["weight_decay"] for group in self.param_groups]
        for group in self.param_groups:
            group["weight_decay"] = 0.0
        step(self, closure)
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay

    return forgetful


FAULTS = faults("torch", _ROWS, globals())
