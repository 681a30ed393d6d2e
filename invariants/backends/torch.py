"""PyTorch: a case as the source of an eager training script in torch's own idiom.

Images are held channels first (N, C, H, W), as torch has them; layers that go by the last axis of
the canonical layout permute around themselves, as ConvNeXt and others write it. This module never
imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invariants.architecture.graph import Block, join
from invariants.architecture.layers.base import Spec
from invariants.backends.source import (
    Lowering,
    NativeParameter,
    arguments,
    camel,
    indented,
)
from invariants.case import Case, Freeze, Gradient, Step, Thaw

NAME = "torch"
MODULE = "torch"
PACKAGES = ("torch",)

_LAST = "permute(0, 2, 3, 1)"  # channels last
_FIRST = "permute(0, 3, 1, 2)"


def _plain(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    return f"{name}({', '.join(args)})"


def _module(expression: str) -> Lowering:
    return Lowering(lambda layer, specs: expression, _plain)


def _conv(layer: Any, specs: Sequence[Spec]) -> str:
    options = arguments(
        stride=layer.strides, padding=_conv_padding(layer), groups=layer.groups, bias=layer.use_bias
    )
    return f"nn.Conv2d({specs[0].shape[2]}, {layer.filters}, {layer.kernel_size}, {options})"


def _conv_padding(layer: Any) -> Any:
    """torch pads evenly by itself where stride is 1 and the kernel odd; elsewhere F.pad does."""
    odd = all(k % 2 for k in layer.kernel_size)
    return "same" if layer.padding == "same" and layer.strides == (1, 1) and odd else 0


def _conv_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    (top, bottom), (left, right) = layer.pads(specs[0])
    if _conv_padding(layer) == "same" or not any((top, bottom, left, right)):
        return f"{name}({args[0]})"
    return f"{name}(F.pad({args[0]}, ({left}, {right}, {top}, {bottom})))"


def _batch_norm(layer: Any, specs: Sequence[Spec]) -> str:
    kind = "BatchNorm2d" if specs[0].rank == 3 else "BatchNorm1d"
    options = arguments(eps=layer.epsilon, momentum=layer.update)
    return f"nn.{kind}({specs[0].shape[-1]}, {options})"


def _batch_norm_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    if specs[0].rank == 2:
        return f"{name}({args[0]}.transpose(1, 2)).transpose(1, 2)"
    return f"{name}({args[0]})"


def _last_axis_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    if specs[0].rank == 3:
        return f"{name}({args[0]}.{_LAST}).{_FIRST}"
    return f"{name}({args[0]})"


def _reshape_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    source = f"{args[0]}.{_LAST}" if specs[0].rank == 3 else args[0]
    target = f"{source}.reshape(-1, {', '.join(map(str, layer.shape))})"
    return f"{target}.{_FIRST}" if len(layer.shape) == 3 else target


def _flatten_call(layer: Any, name: str, args: Sequence[str], specs: Sequence[Spec]) -> str:
    source = f"{args[0]}.{_LAST}" if specs[0].rank == 3 else args[0]
    return f"{source}.flatten(1)"


def _joined(operator: str) -> Lowering:
    return Lowering(None, lambda layer, name, args, specs: f" {operator} ".join(args))


_KERNEL = {"kernel": NativeParameter("weight", (1, 0)), "bias": NativeParameter("bias")}
_NORM = {"gamma": NativeParameter("weight"), "beta": NativeParameter("bias")}

LOWERINGS: dict[str, Lowering] = {
    "dense": Lowering(
        lambda layer, specs: (
            f"nn.Linear({specs[0].shape[-1]}, {layer.units}, {arguments(bias=layer.use_bias)})"
        ),
        _plain,
        _KERNEL,
    ),
    "relu": _module("nn.ReLU()"),
    "leaky_relu": Lowering(lambda layer, specs: f"nn.LeakyReLU({layer.negative_slope!r})", _plain),
    "elu": Lowering(lambda layer, specs: f"nn.ELU({layer.alpha!r})", _plain),
    "gelu": Lowering(
        lambda layer, specs: f"nn.GELU({'tanh' if layer.approximate else 'none'!r})", _plain
    ),
    "silu": _module("nn.SiLU()"),
    "softplus": _module("nn.Softplus()"),
    "tanh": _module("nn.Tanh()"),
    "sigmoid": _module("nn.Sigmoid()"),
    "softmax": Lowering(
        lambda layer, specs: f"nn.Softmax(dim={1 if specs[0].rank == 3 else -1})", _plain
    ),
    "layer_norm": Lowering(
        lambda layer, specs: f"nn.LayerNorm({specs[0].shape[-1]}, {arguments(eps=layer.epsilon)})",
        _last_axis_call,
        _NORM,
    ),
    "batch_norm": Lowering(
        _batch_norm,
        _batch_norm_call,
        {
            **_NORM,
            "moving_mean": NativeParameter("running_mean"),
            "moving_variance": NativeParameter("running_var"),
        },
    ),
    "dropout": Lowering(lambda layer, specs: f"nn.Dropout({layer.rate!r})", _plain),
    "conv2d": Lowering(
        _conv,
        _conv_call,
        {"kernel": NativeParameter("weight", (3, 2, 0, 1)), "bias": NativeParameter("bias")},
    ),
    "max_pool2d": Lowering(
        lambda layer, specs: f"nn.MaxPool2d({layer.pool_size}, {arguments(stride=layer.strides)})",
        _plain,
    ),
    "avg_pool2d": Lowering(
        lambda layer, specs: f"nn.AvgPool2d({layer.pool_size}, {arguments(stride=layer.strides)})",
        _plain,
    ),
    "global_avg_pool2d": Lowering(
        lambda layer, specs: "nn.AdaptiveAvgPool2d(1)",
        lambda layer, name, args, specs: f"{name}({args[0]}).flatten(1)",
    ),
    "embedding": Lowering(
        lambda layer, specs: f"nn.Embedding({specs[0].vocabulary}, {layer.features})",
        _plain,
        {"embeddings": NativeParameter("weight")},
    ),
    "flatten": Lowering(None, _flatten_call),
    "reshape": Lowering(None, _reshape_call),
    "add": _joined("+"),
    "multiply": _joined("*"),
    "concatenate": Lowering(
        None,
        lambda layer, name, args, specs: (
            f"torch.cat(({', '.join(args)}), dim={1 if specs[0].rank == 3 else -1})"
        ),
    ),
    "projection": Lowering(
        lambda layer, specs: f"Projection({specs[0].shape[-1]}, {layer.components})",
        _plain,
        {"components": NativeParameter("components"), "mean": NativeParameter("mean")},
    ),
}

_PROJECTION = '''\
class Projection(nn.Module):
    """A PCA projection with given components and mean, which nothing trains."""

    def __init__(self, features, components):
        super().__init__()
        self.register_buffer("components", torch.zeros(features, components))
        self.register_buffer("mean", torch.zeros(components))

    def forward(self, x):
        return x @ self.components - self.mean
'''

#: Axes of a value of the network (batch axis included), native from canonical, by rank.
VALUE_AXES = {3: (0, 3, 1, 2)}

_LOSSES = {"mse": "nn.MSELoss()", "cross_entropy": "nn.CrossEntropyLoss()"}


def _class(case: Case, path: str, block: Block) -> list[str]:
    """The class of one block: its members and its forward."""
    placed = {p.path: p for p in case.architecture.layers}
    made, body = [], []
    values = [f"x{i}" for i in range(block.arity)]
    for number, node in enumerate(block.nodes):
        name = block.name(node.member)
        args = [values[i] for i in node.inputs]
        member: Any = block.members[node.member]
        if member.kind == "block":
            construct, call = f"{camel(join(path, name))}()", f"self.{name}({', '.join(args)})"
        else:
            row, specs = LOWERINGS[member.kind], placed[join(path, name)].specs
            construct = row.construct(member, specs) if row.construct else ""
            call = row.call(member, f"self.{name}", args, specs)
        line = f"self.{name} = {construct}"
        if construct and line not in made:
            made.append(line)
        values.append(f"x{block.arity + number}")
        body.append(f"{values[-1]} = {call}")
    body.append(f"return {values[-1]}")
    head = f"def forward(self, {', '.join(values[: block.arity])}):"
    init = ["def __init__(self):", *indented(["super().__init__()", *made])]
    return [f"class {camel(path)}(nn.Module):", *indented([*init, "", head, *indented(body)])]


def _optimizer(case: Case) -> str:
    o = case.optimizer
    options: dict[str, Any] = {"lr": o.learning_rate}
    if o.kind == "sgd":
        options |= {"momentum": o.momentum, "weight_decay": o.weight_decay}
    else:
        options |= {"betas": (o.beta_1, o.beta_2), "eps": o.epsilon}
    if o.kind == "adamw":
        options["weight_decay"] = o.weight_decay
    options["foreach"] = case.realisations[NAME].options["optimizer_loop"] == "foreach"
    name = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[o.kind]
    return f"torch.optim.{name}(model.parameters(), {arguments(**options)})"


def _attribute(case: Case, target: str) -> str:
    """The expression of a module or a weight of the model."""
    if target in case.architecture.weights:
        path, _, name = target.rpartition(".")
        layer = next(p.layer for p in case.architecture.layers if p.path == path)
        target = f"{path}.{LOWERINGS[layer.kind].parameters[name].name}"
    return f"model.{target}" if target else "model"


def _set_trainable(case: Case, action: Freeze | Thaw, way: str | None) -> list[str]:
    target, value = _attribute(case, action.target), isinstance(action, Thaw)
    if way == "each_parameter":
        return [
            f"for parameter in {target}.parameters():",
            f"    parameter.requires_grad = {value}",
        ]
    if way == "tensor_attribute":
        return [f"{target}.requires_grad = {value}"]
    return [f"{target}.requires_grad_({value})"]


def _differentiable(case: Case) -> list[int]:
    """The numbers of the inputs whose gradient the case asks for."""
    specs = case.architecture.inputs
    return [i for i, spec in enumerate(specs) if case.input_gradient and spec.vocabulary is None]


def _learn(case: Case, number: int, action: Gradient | Step) -> list[str]:
    names = [f"x{i}" for i in range(len(case.architecture.inputs))]
    watched = _differentiable(case)
    lines = [f"{', '.join(names)}, y = batch({action.batch})"]
    lines += [f"x{i}.requires_grad_()" for i in watched]
    if case.stochastic:
        if case.first_of_its_size(number):
            lines.append(f"draws({number}, {case.seed}, {', '.join(names)})")
        lines.append(f"torch.manual_seed({case.seed})")
    lines += [
        "optimizer.zero_grad()",
        f"loss = loss_function(model({', '.join(names)}), y)",
        "loss.backward()",
    ]
    if isinstance(action, Step):
        lines.append("optimizer.step()")
    inputs = "".join(f"({i}, x{i}), " for i in watched)
    extra = f", inputs=[{inputs[:-2]}]" if watched else ""
    return [*lines, f"record({number}, loss, optimizer{extra})"]


def render(case: Case) -> str:
    """The source of the training script that runs `case`."""
    lines = ["import torch", "from torch import nn", "from torch.nn import functional as F", "", ""]
    if any(placed.layer.kind == "projection" for placed in case.architecture.layers):
        lines += [*_PROJECTION.splitlines(), "", ""]
    for path, block in case.architecture.walk_blocks():
        lines += [*_class(case, path, block), "", ""]
    lines += [
        f"model = Net().to(torch.{case.dtype})",
        "load(model)",
        f"model.{'train' if case.training else 'eval'}()",
        f"loss_function = {_LOSSES[case.loss]}",
        f"optimizer = {_optimizer(case)}",
    ]
    ways = case.realisations[NAME].ways
    for number, (action, way) in enumerate(zip(case.program, ways, strict=True)):
        if isinstance(action, Freeze | Thaw):
            body = _set_trainable(case, action, way)
        else:
            body = _learn(case, number, action)
        lines += ["", f"with action({number}):  # {action.action}", *indented(body)]
    return "\n".join(lines) + "\n"
