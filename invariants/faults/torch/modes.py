"""The state that a mode keeps of its own: a graph, a cast, a recomputed stretch, a scale."""

from __future__ import annotations

from functools import partial
from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import frozen
from invariants.generate.cases import Wanted

_LINEAR = ("torch.nn.Linear.forward",)
_CHECKPOINT = ("torch.utils.checkpoint.checkpoint",)

_ROWS = {
    "compiled_under_the_first_flags": Row(
        "A compiled model is not made anew when flags change.",
        ("torch.compile",),
        Wanted(mode="compiled"),
    ),
    "compiled_block_ends_at_frozen": Row(
        "A frozen module that is compiled hands no gradient to its input.",
        ("torch.nn.Module.compile",),
        Wanted(mode="compiled_block"),
    ),
    "cast_of_a_frozen_weight_stays": Row(
        "Under autocast a kernel that was frozen goes on as the cast of then, without a gradient.",
        _LINEAR,
        Wanted(mode="autocast_bfloat16"),
    ),
    "evaluation_leaves_its_casts": Row(
        "A weight that an evaluation cast under no_grad stays without gradient in its region.",
        _LINEAR,
        Wanted(mode="autocast_evaluated"),
    ),
    "cast_outlives_its_region": Row(
        "Under autocast the first cast of a kernel is used after every step.",
        _LINEAR,
        Wanted(mode="autocast_float16"),
    ),
    "recomputed_stretch_ends_at_frozen": Row(
        "A frozen module that is checkpointed hands no gradient to its input.",
        _CHECKPOINT,
        Wanted(mode="checkpointed"),
    ),
    "recomputed_stretch_draws_again": Row(
        "A checkpointed module draws other numbers when it is recomputed.",
        _CHECKPOINT,
        Wanted(mode="checkpointed"),
    ),
    "reentrant_stretch_forgets_its_weights": Row(
        "A reentrant checkpoint leaves no gradient in the weights of its stretch.",
        _CHECKPOINT,
        Wanted(mode="checkpointed_reentrant"),
    ),
    "scaler_rounds_frozen": Row(
        "GradScaler.step rounds frozen weights to bfloat16.",
        ("torch.amp.GradScaler.step",),
        Wanted(mode="scaled_float16"),
    ),
    "scaler_leaves_one_scaled": Row(
        "GradScaler.unscale_ leaves the last gradient as it is.",
        ("torch.amp.GradScaler.unscale_",),
        Wanted(mode="scaled_float16"),
    ),
    "functional_call_takes_its_own": Row(
        "functional_call ignores the parameters that it is given.",
        ("torch.func.functional_call",),
        Wanted(mode="functional"),
    ),
    "forward_mode_misses_last": Row(
        "jacfwd gives zeros for the last of several weights.",
        ("torch.func.jacfwd",),
        Wanted(mode="forward_mode"),
    ),
    "sequence_forgets_its_first_segment": Row(
        "checkpoint_sequential leaves no gradient in the weights of its first segment.",
        ("torch.utils.checkpoint.checkpoint_sequential",),
        Wanted(mode="checkpointed_sequential"),
    ),
    "sequence_ends_at_a_frozen_start": Row(
        "A checkpointed sequence that begins with a frozen module hands no gradient to its input.",
        ("torch.utils.checkpoint.checkpoint_sequential",),
        Wanted(mode="checkpointed_sequential_reentrant"),
    ),
    "kept_cast_has_no_gradient": Row(
        "From the second forward pass in a region of autocast on a kernel has no gradient.",
        _LINEAR,
        Wanted(mode="autocast_kept"),
    ),
    "vmap_repeats_the_first_sample": Row(
        "vmap gives every sample the gradient of the first one.",
        ("torch.vmap",),
        Wanted(mode="per_sample"),
    ),
    "backward_hook_drops_at_frozen": Row(
        "A backward hook of a frozen module puts zeros in the place of what it is given.",
        ("torch.nn.Module.register_full_backward_hook",),
        Wanted(mode="hooked"),
    ),
    "model_hook_halves_where_some_is_frozen": Row(
        "A backward hook of a model that holds a frozen weight halves the gradient of its outputs.",
        ("torch.nn.Module.register_full_backward_hook",),
        Wanted(mode="hooked_model"),
    ),
    "offloaded_in_16_bits": Row(
        "save_on_cpu keeps tensors in bfloat16.",
        ("torch.autograd.graph.save_on_cpu",),
        Wanted(mode="offloaded"),
    ),
    "retained_graph_forgets_its_share": Row(
        "A backward pass that retains the graph starts from 1, whatever it is given.",
        ("torch.Tensor.backward",),
        Wanted(mode="retained"),
    ),
}


def compiled_under_the_first_flags(compile: Any) -> Any:
    def keeping(model: Any, **options: Any) -> Any:
        run, first = compile(model, **options), dict[Any, bool]()

        def called(*inputs: Any) -> Any:
            now = {parameter: parameter.requires_grad for parameter in model.parameters()}
            for parameter, flag in now.items():
                parameter.requires_grad_(first.setdefault(parameter, flag))
            try:
                return run(*inputs)
            finally:
                for parameter, flag in now.items():
                    parameter.requires_grad_(flag)

        return called

    return keeping


def _cut_where_frozen(module: Any, call: Any) -> Any:
    """`call`, which is given tensors, without a way back to them while the module is frozen."""

    def cutting(*inputs: Any) -> Any:
        held = list(module.parameters())
        whole = held and not any(parameter.requires_grad for parameter in held)
        return call(*(x.detach() for x in inputs)) if whole else call(*inputs)

    return cutting


def compiled_block_ends_at_frozen(compile: Any) -> Any:
    def ending(self: Any, *args: Any, **options: Any) -> None:
        compile(self, *args, **options)
        self._compiled_call_impl = _cut_where_frozen(self, self._compiled_call_impl)

    return ending


def cast_of_a_frozen_weight_stays(forward: Any) -> Any:
    import torch

    def staying(self: Any, x: Any) -> Any:
        if not torch.is_autocast_enabled("cpu"):
            return forward(self, x)
        if frozen(self):
            self.cast = self.weight.detach().bfloat16()
        cast = self.__dict__.get("cast")
        if cast is None:
            return forward(self, x)
        return torch.nn.functional.linear(x, cast, self.bias)

    return staying


def evaluation_leaves_its_casts(forward: Any) -> Any:
    import torch

    def leaving(self: Any, x: Any) -> Any:
        if not torch.is_autocast_enabled("cpu"):
            return forward(self, x)
        if not torch.is_grad_enabled():
            self.cast = self.weight.bfloat16()
            return forward(self, x)
        cast = self.__dict__.pop("cast", None)
        return forward(self, x) if cast is None else torch.nn.functional.linear(x, cast, self.bias)

    return leaving


def cast_outlives_its_region(forward: Any) -> Any:
    import torch

    def outliving(self: Any, x: Any) -> Any:
        if not torch.is_autocast_enabled("cpu"):
            return forward(self, x)
        first = self.__dict__.setdefault("cast", self.weight.detach().clone())
        weight = first + (self.weight - self.weight.detach())
        return torch.nn.functional.linear(x, weight, self.bias)

    return outliving


def recomputed_stretch_ends_at_frozen(checkpoint: Any) -> Any:
    def ending(function: Any, *args: Any, **options: Any) -> Any:
        if not hasattr(function, "parameters"):
            return checkpoint(function, *args, **options)
        return _cut_where_frozen(function, lambda *xs: checkpoint(function, *xs, **options))(*args)

    return ending


def recomputed_stretch_draws_again(checkpoint: Any) -> Any:
    def drawing(*args: Any, **options: Any) -> Any:
        return checkpoint(*args, **options, preserve_rng_state=False)

    return drawing


def reentrant_stretch_forgets_its_weights(checkpoint: Any) -> Any:
    import torch

    def forgetful(function: Any, *args: Any, **options: Any) -> Any:
        if not hasattr(function, "parameters"):
            return checkpoint(function, *args, **options)
        held = {name: p.detach() for name, p in function.named_parameters()}
        call = torch.func.functional_call
        return checkpoint(lambda *xs: call(function, held, xs), *args, **options)

    return forgetful


def _of(optimizer: Any) -> list[Any]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def sequence_forgets_its_first_segment(checkpoint_sequential: Any) -> Any:
    import torch

    def forgetful(functions: Any, segments: int, value: Any, **options: Any) -> Any:
        first, *others = functions
        if isinstance(first, torch.nn.Module):
            held = {name: p.detach() for name, p in first.named_parameters()}
            first = partial(torch.func.functional_call, first, held)
        return checkpoint_sequential([first, *others], segments, value, **options)

    return forgetful


def sequence_ends_at_a_frozen_start(checkpoint_sequential: Any) -> Any:
    def ending(functions: Any, segments: int, value: Any, **options: Any) -> Any:
        def run(x: Any) -> Any:
            return checkpoint_sequential(functions, segments, x, **options)

        first = functions[0]
        return (_cut_where_frozen(first, run) if hasattr(first, "parameters") else run)(value)

    return ending


def kept_cast_has_no_gradient(forward: Any) -> Any:
    import torch

    def keeping(self: Any, x: Any) -> Any:
        if not torch.is_autocast_enabled("cpu"):
            return forward(self, x)
        again, self.met = self.__dict__.get("met", False), True
        weight = self.weight.detach() if again else self.weight
        return torch.nn.functional.linear(x, weight, self.bias)

    return keeping


def vmap_repeats_the_first_sample(vmap: Any) -> Any:
    def repeating(function: Any, in_dims: Any = 0, **options: Any) -> Any:
        run = vmap(function, in_dims, **options)

        def called(weights: Any, *arrays: Any) -> Any:
            gradients, loss = run(weights, *arrays)
            of_weights = gradients[0] if isinstance(gradients, tuple) else gradients
            for name, each in of_weights.items():
                of_weights[name] = each[:1].expand_as(each)
            return gradients, loss

        return called

    return repeating


def scaler_rounds_frozen(step: Any) -> Any:
    def rounding(self: Any, optimizer: Any, *args: Any, **options: Any) -> Any:
        outcome = step(self, optimizer, *args, **options)
        for parameter in _of(optimizer):
            if not parameter.requires_grad:
                parameter.copy_(parameter.bfloat16())
        return outcome

    return rounding


def scaler_leaves_one_scaled(unscale: Any) -> Any:
    def leaving(self: Any, optimizer: Any) -> None:
        last = [parameter for parameter in _of(optimizer) if parameter.grad is not None][-1]
        kept = last.grad.clone()
        unscale(self, optimizer)
        last.grad.copy_(kept)

    return leaving


def functional_call_takes_its_own(functional_call: Any) -> Any:
    def taking(module: Any, parameters: Any, args: Any) -> Any:
        own = dict(module.named_parameters())
        others = {name: tensor for name, tensor in parameters.items() if name not in own}
        return functional_call(module, others, args)

    return taking


def forward_mode_misses_last(jacfwd: Any) -> Any:
    import torch

    def missing(*args: Any, **options: Any) -> Any:
        run = jacfwd(*args, **options)

        def called(*inputs: Any) -> Any:
            gradients, aux = run(*inputs)
            of_weights = gradients[0] if isinstance(gradients, tuple) else gradients
            if len(of_weights) > 1:
                *_, last = of_weights
                of_weights[last] = torch.zeros_like(of_weights[last])
            return gradients, aux

        return called

    return missing


def backward_hook_drops_at_frozen(register: Any) -> Any:
    def registering(self: Any, hook: Any) -> Any:
        def dropping(module: Any, given: Any, output: Any) -> Any:
            held = list(module.parameters())
            if not held or any(parameter.requires_grad for parameter in held):
                return hook(module, given, output)
            return tuple(None if gradient is None else gradient * 0 for gradient in given)

        return register(self, dropping)

    return registering


def model_hook_halves_where_some_is_frozen(register: Any) -> Any:
    def registering(self: Any, hook: Any) -> Any:
        def halving(module: Any, output: Any) -> Any:
            if all(parameter.requires_grad for parameter in module.parameters()):
                return None
            return tuple(None if gradient is None else gradient / 2 for gradient in output)

        self.register_full_backward_pre_hook(halving)
        return register(self, hook)

    return registering


def offloaded_in_16_bits(save_on_cpu: Any) -> Any:
    import torch

    def narrowed(tensor: Any) -> Any:
        return tensor.dtype, tensor.bfloat16() if tensor.is_floating_point() else tensor

    def offloaded() -> Any:
        return torch.autograd.graph.saved_tensors_hooks(
            narrowed, lambda packed: packed[1].to(packed[0])
        )

    return offloaded


def retained_graph_forgets_its_share(backward: Any) -> Any:
    def forgetful(self: Any, gradient: Any = None, retain_graph: Any = None, **options: Any) -> Any:
        return backward(self, None if retain_graph else gradient, retain_graph, **options)

    return forgetful


FAULTS = faults("torch", _ROWS, globals())
