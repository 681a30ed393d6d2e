"""The averages of a torch script, with the names of torch.optim.swa_utils."""

from __future__ import annotations

from invariants.case import Case


def made(case: Case) -> list[str]:
    """The lines that make the averaged model of `model`."""
    if case.average is None:
        return []
    given = ["model"]
    if case.average.kind == "exponential":
        rule = f"torch.optim.swa_utils.get_ema_multi_avg_fn({case.average.decay!r})"
        given.append(f"multi_avg_fn={rule}")
    if case.average.buffers:
        given.append("use_buffers=True")
    return [f"averaged = torch.optim.swa_utils.AveragedModel({', '.join(given)})"]


def updated(case: Case) -> list[str]:
    """The lines that follow a step."""
    return ["averaged.update_parameters(model)"] if case.average else []


def saved(case: Case) -> list[str]:
    """The entry of a checkpoint."""
    return ['"averaged": averaged.state_dict()'] if case.average else []


def loaded(case: Case) -> list[str]:
    """The lines that make another averaged model and load it."""
    made_anew = made(case)
    return [*made_anew, 'averaged.load_state_dict(saved["averaged"])'] if made_anew else []
