"""What a torch script does where a transformation of torch.func gives the gradients.

The loss is a function `loss_of` of the weights that are trained, the arrays of a batch and the
buffers; a trait of the mode says which transformation of it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from invariants.backends.source import arrays_of_a_batch, indented, named_terms, placed_weight
from invariants.backends.torch.losses import averages_what_is_masked
from invariants.backends.torch.rows import LOWERINGS
from invariants.case import Case

NAME = "torch"


def _traits(case: Case) -> Mapping[str, str]:
    return case.runs_in(NAME).traits


def share(case: Case) -> str:
    """What stands before a summand of the loss where a function gives that of one sample."""
    return "share * " if "samples" in _traits(case) else ""


def penalised(case: Case, name: str, attribute: str) -> str:
    """The expression of a weight in a penalty; attribute: that of the model's own.

    Where a function is given some of the weights, it goes by the listed name.
    """
    if "functional" not in _traits(case):
        return attribute
    path, native = placed_weight(case, name, LOWERINGS)
    return f'weights["{path}.{native.name}"]'


def definition(case: Case, loss: Sequence[str]) -> list[str]:
    """The function that is transformed; loss: the lines that compute `loss`."""
    known = ["weights = {**dict(model.named_parameters()), **trained}"] * bool(case.penalties)
    given = ["trained", *arrays_of_a_batch(case), "buffers", *(["share"] if share(case) else [])]
    head = [f"def loss_of({', '.join(given)}):"]
    returned = "return loss, loss" if "aux" in _traits(case) else "return loss"
    return ["", *head, *indented([*known, *loss, returned]), ""]


def call(names: Sequence[str]) -> str:
    """The call of the model on its inputs, in that function."""
    given = names[0] if len(names) == 1 else f"({', '.join(names)})"
    return f"torch.func.functional_call(model, {{**trained, **buffers}}, {given})"


def _given(case: Case, watched: Sequence[int]) -> list[str]:
    """The arrays of a batch, as the function is given them."""
    arrays = arrays_of_a_batch(case)
    return [f"x{n}.detach()" if n in watched else name for n, name in enumerate(arrays)]


def _by_call(case: Case, watched: Sequence[int]) -> str:
    """The function under the transformation."""
    arguments = ["loss_of"]
    arguments += [f"argnums={(0, *(1 + n for n in watched))}"] if watched else []
    arguments += [_traits(case)["aux"]] if "aux" in _traits(case) else []
    return f"torch.func.{_traits(case)['functional']}({', '.join(arguments)})"


def _left(inputs: Sequence[str]) -> str:
    """What takes the gradients; inputs: what takes those of the inputs."""
    return f"({', '.join(['gradients', *inputs])})" if inputs else "gradients"


def _transformed(case: Case, watched: Sequence[int]) -> list[str]:
    """The lines that leave `gradients` by name, those of inputs, and the loss, by one call."""
    return [
        f"{_left([f'x{n}.grad' for n in watched])}, loss = {_by_call(case, watched)}(",
        f"    trained, {', '.join(_given(case, watched))}, dict(model.named_buffers())",
        ")",
    ]


def _of_samples(case: Case, watched: Sequence[int]) -> list[str]:
    """The same, as the sum over the samples, each of which is a batch of one to the model."""
    arrays, given = arrays_of_a_batch(case), _given(case, watched)
    for name, term, _ in named_terms(case):
        weights = name.replace("loss_function", "w")
        if averages_what_is_masked(term):
            given[arrays.index(weights)] = f"({weights} / {weights}.sum())"
    axes = ("None", *("0" for _ in arrays), "None", "None")
    return [
        "of_each = torch.vmap(",
        f"    {_by_call(case, watched)},",
        f"    in_dims=({', '.join(axes)}),",
        '    randomness="different",',
        ")",
        f"{_left([f'to_x{n}' for n in watched])}, loss = of_each(",
        f"    trained, {', '.join(f'{array}.unsqueeze(1)' for array in given)},",
        "    dict(model.named_buffers()), 1 / len(x0)",
        ")",
        "gradients = {name: gradient.sum(0) for name, gradient in gradients.items()}",
        "loss = loss.sum()",
        *(f"x{n}.grad = to_x{n}.squeeze(1)" for n in watched),
    ]


def _linearized(case: Case, watched: Sequence[int]) -> list[str]:
    """The same, by the linear map that stands for the loss near its weights and inputs."""
    arrays, count = arrays_of_a_batch(case), len(watched)
    places = {f"x{n}": f"given[{place - count}]" for place, n in enumerate(watched)}
    primals = ["*trained.values()", *(f"x{n}.detach()" for n in watched)]
    return [
        "columns, loss = linearized(",
        "    lambda *given: loss_of(",
        f"        dict(zip(trained, given)), {', '.join(places.get(a, a) for a in arrays)},",
        "        dict(model.named_buffers())",
        "    ),",
        f"    [{', '.join(primals)}]",
        ")",
        "gradients = dict(zip(trained, columns))",
        *(f"x{n}.grad = columns[{place - count}]" for place, n in enumerate(watched)),
    ]


def learned(case: Case, watched: Sequence[int]) -> list[str]:
    """The lines that leave gradients which a transformation of `loss_of` has given."""
    by = {"samples": _of_samples, "linear": _linearized}
    lines = next((by[trait] for trait in by if trait in _traits(case)), _transformed)
    return [
        "trained = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}",
        *lines(case, watched),
        "for name, gradient in gradients.items():",
        "    parameter = model.get_parameter(name)",
        "    held = parameter.grad",
        "    parameter.grad = gradient if held is None else held + gradient",
    ]
