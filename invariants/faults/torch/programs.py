"""What a program does between its steps: saving and loading, modes, evaluation, optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from invariants.faults.fault import Row, faults
from invariants.faults.torch.gradients import frozen

_LOAD = ("torch.nn.Module.load_state_dict",)
_TRAIN = ("torch.nn.Module.train",)
_LOAD_OPTIMIZER = ("torch.optim.Optimizer.load_state_dict",)
_STEP = tuple(f"torch.optim.{name}.step" for name in ("SGD", "Adam", "AdamW"))

_ROWS = {
    "load_state_dict_thaws": Row("load_state_dict makes everything trainable.", _LOAD),
    "assign_freezes": Row("load_state_dict(assign=True) freezes what it assigns.", _LOAD),
    "load_state_dict_rounds_frozen": Row(
        "load_state_dict rounds what is frozen to float16.", _LOAD
    ),
    "load_state_dict_forgets_buffers": Row("load_state_dict leaves out the buffers.", _LOAD),
    "optimizer_load_forgets_slots": Row(
        "An optimizer that loads a state starts without slots.", _LOAD_OPTIMIZER
    ),
    "optimizer_load_forgets_rate": Row(
        "An optimizer that loads a state keeps its own learning rate.", _LOAD_OPTIMIZER
    ),
    "optimizer_load_shifts_slots": Row(
        "An optimizer that loads a state gives slots to weights of the same shape in reverse.",
        _LOAD_OPTIMIZER,
    ),
    "load_forgets_flags": Row("torch.load makes a whole module trainable.", ("torch.load",)),
    "deepcopy_forgets_flags": Row(
        "The copy of a frozen parameter is trainable.", ("torch.nn.Parameter.__deepcopy__",)
    ),
    "double_thaws": Row("Module.double makes everything trainable.", ("torch.nn.Module.double",)),
    "eval_freezes": Row("Module.eval freezes everything.", ("torch.nn.Module.eval",)),
    "train_thaws": Row("Module.train, called for training, makes all trainable.", _TRAIN),
    "mode_passes_frozen": Row("Module.train and eval leave out frozen modules.", _TRAIN),
    "frozen_linear_fades_without_gradients": Row(
        "A frozen linear layer called under no_grad shrinks its kernel.",
        ("torch.nn.Linear.forward",),
    ),
    "batch_norm_stops_without_gradients": Row(
        "The running averages of a batch norm stand still under no_grad.",
        tuple(f"torch.nn.BatchNorm{axes}d.forward" for axes in (1, 2, 3)),
    ),
    "second_backward_overwrites": Row(
        "backward() puts its gradients in the place of those that are there.",
        ("torch.Tensor.backward",),
    ),
    "first_rate_stays": Row(
        "An optimizer takes no notice of a learning rate set after its first step.", _STEP
    ),
    "slots_outlive_their_optimizer": Row(
        "A new optimizer goes on with the slots of the old one.", _STEP
    ),
}


def load_state_dict_thaws(load_state_dict: Any) -> Any:
    def thawing(self: Any, *args: Any, **options: Any) -> Any:
        keys = load_state_dict(self, *args, **options)
        self.requires_grad_(True)
        return keys

    return thawing


def assign_freezes(load_state_dict: Any) -> Any:
    def freezing(self: Any, *args: Any, assign: bool = False, **options: Any) -> Any:
        keys = load_state_dict(self, *args, assign=assign, **options)
        if assign:
            self.requires_grad_(False)
        return keys

    return freezing


def load_state_dict_rounds_frozen(load_state_dict: Any) -> Any:
    def rounding(self: Any, *args: Any, **options: Any) -> Any:
        keys = load_state_dict(self, *args, **options)
        for parameter in self.parameters():
            if not parameter.requires_grad:
                parameter.copy_(parameter.half())
        return keys

    return rounding


def load_state_dict_forgets_buffers(load_state_dict: Any) -> Any:
    def forgetful(self: Any, *args: Any, **options: Any) -> Any:
        kept = {name: buffer.clone() for name, buffer in self.named_buffers()}
        keys = load_state_dict(self, *args, **options)
        for name, buffer in self.named_buffers():
            buffer.copy_(kept[name])
        return keys

    return forgetful


def optimizer_load_forgets_slots(load_state_dict: Any) -> Any:
    def forgetful(self: Any, state_dict: Any) -> None:
        load_state_dict(self, {**state_dict, "state": {}})

    return forgetful


def optimizer_load_forgets_rate(load_state_dict: Any) -> Any:
    def forgetful(self: Any, state_dict: Any) -> None:
        rates = [group["lr"] for group in self.param_groups]
        load_state_dict(self, state_dict)
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate

    return forgetful


def optimizer_load_shifts_slots(load_state_dict: Any) -> Any:
    def shifting(self: Any, state_dict: Any) -> None:
        load_state_dict(self, state_dict)
        held = [p for group in self.param_groups for p in group["params"] if p in self.state]
        for shape in {p.shape for p in held}:
            alike = [p for p in held if p.shape == shape]
            slots = [self.state[p] for p in alike]
            self.state.update(zip(alike, reversed(slots), strict=True))

    return shifting


def load_forgets_flags(load: Any) -> Any:
    import torch

    def forgetful(*args: Any, **options: Any) -> Any:
        loaded = load(*args, **options)
        if isinstance(loaded, torch.nn.Module):
            loaded.requires_grad_(True)
        return loaded

    return forgetful


def deepcopy_forgets_flags(deepcopy: Any) -> Any:
    def forgetful(self: Any, memo: Any) -> Any:
        return deepcopy(self, memo).requires_grad_(True)

    return forgetful


def double_thaws(double: Any) -> Any:
    def thawing(self: Any) -> Any:
        return double(self).requires_grad_(True)

    return thawing


def eval_freezes(evaluate: Any) -> Any:
    def freezing(self: Any) -> Any:
        return evaluate(self).requires_grad_(False)

    return freezing


def train_thaws(train: Any) -> Any:
    def thawing(self: Any, mode: bool = True) -> Any:
        train(self, mode)
        return self.requires_grad_(True) if mode else self

    return thawing


def mode_passes_frozen(train: Any) -> Any:
    def passing(self: Any, mode: bool = True) -> Any:
        own = list(self.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            return self
        return train(self, mode)

    return passing


def frozen_linear_fades_without_gradients(forward: Any) -> Any:
    import torch

    def fading(self: Any, x: Any) -> Any:
        if frozen(self) and not torch.is_grad_enabled():
            self.weight.mul_(0.99)
        return forward(self, x)

    return fading


def batch_norm_stops_without_gradients(forward: Any) -> Any:
    import torch

    def stopped(self: Any, x: Any) -> Any:
        kept = self.running_mean, self.running_var
        if not torch.is_grad_enabled():
            self.running_mean, self.running_var = (buffer.clone() for buffer in kept)
        try:
            return forward(self, x)
        finally:
            self.running_mean, self.running_var = kept

    return stopped


def _leaves(node: Any, met: set[Any]) -> Iterator[Any]:
    """The tensors at which a backward pass from `node` leaves gradients."""
    if node is not None and node not in met:
        met.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        for earlier, _ in node.next_functions:
            yield from _leaves(earlier, met)


def second_backward_overwrites(backward: Any) -> Any:
    def overwriting(self: Any, *args: Any, **options: Any) -> None:
        for leaf in _leaves(self.grad_fn, set()):
            leaf.grad = None
        backward(self, *args, **options)

    return overwriting


def first_rate_stays(step: Any) -> Any:
    def staying(self: Any, closure: Any = None) -> Any:
        told = [group["lr"] for group in self.param_groups]
        first = self.__dict__.setdefault("_first_rates", told)
        for group, rate in zip(self.param_groups, first, strict=True):
            group["lr"] = rate
        try:
            return step(self, closure)
        finally:
            for group, rate in zip(self.param_groups, told, strict=True):
                group["lr"] = rate

    return staying


def slots_outlive_their_optimizer(step: Any) -> Any:
    def inheriting(self: Any, closure: Any = None) -> Any:
        held = [parameter for group in self.param_groups for parameter in group["params"]]
        for parameter in held:
            if parameter not in self.state and hasattr(parameter, "slots"):
                self.state[parameter] = parameter.slots
        loss = step(self, closure)
        for parameter in held:
            if parameter in self.state:
                parameter.slots = self.state[parameter]
        return loss

    return inheriting


FAULTS = faults("torch", _ROWS, globals())
