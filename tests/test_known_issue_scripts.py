"""Each known issue has a script that anyone can run: on the framework alone, and it fails.

That it fails for the reason that its entry gives is tested by leaving the reason out: with a line
or two changed to what does not show the issue, the same script passes.
"""

from __future__ import annotations

import ast
import contextlib
import random
import re
import runpy
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from invariants.backends import BACKENDS, installed
from invariants.backends.runner import prepare
from invariants.ledger import KnownIssue, applying, known_issues, pinned_case, repro

#: The known issues that no script shows yet, each with why. It is to become shorter.
WITHOUT_A_SCRIPT = {
    "torch-bfloat16-kernel-gradient": "it shows at random, by what memory held before",
}

#: A script and what to replace in it, each time it occurs, so that it does not show its issue.
SPARED: dict[str, dict[str, str]] = {
    "keras-2-batch-norm-float32-momentum": {"0.9": "0.875", "0.1": "0.125"},
    "keras-2-fused-batch-norm-unbiased": {"2, 1, 1, 1": "2, 1"},
    "keras-2-nadam-float32-product": {"1e-12": "1e-6"},
    "keras-2-nadam-multiplies-when-traced": {"tf.function(": "("},
    "keras-adam-repeated-lookups": {"[gradient]": "[tf.convert_to_tensor(gradient)]"},
    "keras-2-spectral-normalization-in-a-graph": {"training=True": "training=False"},
    "keras-add-takes-heads-for-steps": {"(1, 2, 2, 1)": "(1, 3, 2, 1)"},
    "keras-attention-float32-scale": {"0.1": "0.125"},
    "keras-attention-is-built-thawed": {
        "attention.trainable": "attention.build((None, 2, 2), (None, 2, 2))\nattention.trainable"
    },
    "keras-average-by-position": {"first.trainable = False\n": ""},
    "keras-average-follows-every-step": {"0.5": "1.0"},
    "keras-average-of-nothing": {"use_ema=True": "use_ema=False"},
    "keras-average-of-zeros": {
        "optimizer.build([weight])": "optimizer.apply([keras.ops.zeros(1)], [weight])"
    },
    "keras-average-overwrites-frozen": {"frequency=3": "frequency=4"},
    "keras-bfloat16-beta-is-1": {"Adam(0.1)": "Adam(0.1, beta_2=0.99)"},
    "keras-celu-doubles-at-zero": {"[0.0]": "[1.0]"},
    "keras-clip-repeated-lookups": {"[gradient]": "[tf.convert_to_tensor(gradient)]"},
    "keras-clone-forgets-its-flag": {
        "keras.models.clone_model(model)": "keras.Model.from_config(model.get_config())"
    },
    "keras-config-thaws-attention": {"MultiHeadAttention(1, 2)(x, x)": "Dense(1)(x)"},
    "keras-constructor-leaves-sublayers": {
        "Bidirectional(keras.layers.LSTM(1), trainable=False)": "LSTM(1, trainable=False)"
    },
    "keras-equal-flag-ignored": {
        "model.trainable = True": "model.trainable = False\nmodel.trainable = True"
    },
    "keras-flags-count-when-traced": {"model.trainable = False\n": ""},
    "keras-float16-cast-warning": {"tf.function(layer)": "layer"},
    "keras-huber-forgets-delta": {"delta=0.5": "delta=1.0"},
    "keras-kl-divergence-float16": {"[[0.0, 1.0]]": "[[0.5, 0.5]]"},
    "keras-lora-alpha-forgotten": {"lora_rank=2": "lora_rank=4"},
    "keras-lora-file-loses-digits": {"model.layers[0].enable_lora(1)\n": ""},
    "keras-loss-scale-built-with-nothing": {"optimizer.apply([], [])\n": ""},
    "keras-masked-last-output-is-zero": {"[[True, False]]": "[[True, True]]"},
    "keras-model-constructor-leaves-layers": {", trainable=False)": ")\nmodel.trainable = False"},
    "keras-muon-bfloat16": {"Muon(0.1)": "Muon(0.1, rms_rate=None)"},
    "keras-muon-row-of-unknown-shape": {"Input((3, 1))": "Input((3, 2))", "(2, 3, 1)": "(2, 3, 2)"},
    "keras-muon-schedule": {"Muon(rate)": "Muon(0.1)"},
    "keras-no-warning-of-changed-flags": {
        "model.fit(": "model._warn_if_trainable_state_changed()\n    model.fit("
    },
    "keras-norm-curvature-at-zero": {"tf.zeros": "tf.ones"},
    "keras-optimizer-float32-constants": {"0.9": "0.875"},
    "keras-prelu-blocks-at-zero": {"[[0.0]]": "[[1.0]]"},
    "keras-rebuilt-model-thaws-variables": {"bias.trainable": "trainable"},
    "keras-regularizer-float32-factor": {"0.01": "0.0078125"},
    "keras-schedule-float32-rate": {"SGD(rate)": "SGD(0.1)"},
    "keras-schedule-free-average": {"beta_1=0.5": "beta_1=1.0", "(z + x) / 2": "x"},
    "keras-schedule-free-starts-before-the-file": {
        'model.keras")\nloaded': 'model.keras")\n'
        'loaded.compile(keras.optimizers.ScheduleFreeAdamW(0.001), "mse", run_eagerly=True)\nloaded'
    },
    "keras-schedule-free-forgets-the-weights": {'"mse")': '"mse", run_eagerly=True)'},
    "keras-sequential-forgets-its-flag": {
        "model.trainable": "model = keras.Model(model.inputs, model.outputs)\nmodel.trainable",
        "Sequential.from": "Model.from",
    },
    "keras-spectral-normalization-moves-frozen": {"training=True": "training=False"},
    "keras-thawed-but-unwatched": {"outer.trainable = False\n": ""},
    "tensorflow-2.15-gelu-float32-divisor": {
        "tf.nn.gelu": "(lambda x: x / 2 * (1 + tf.math.erf(x / math.sqrt(2))))"
    },
    "tensorflow-bilinear-curvature": {
        "tf.image.resize(x, (2, 2))": "tf.repeat(tf.repeat(x, 2, 1), 2, 2)"
    },
    "tensorflow-bilinear-tangent": {
        "tf.image.resize(x, (2, 2))": "tf.repeat(tf.repeat(x, 2, 1), 2, 2)"
    },
    "tensorflow-conv3d-negative-padding": {"SAME": "VALID"},
    "tensorflow-conv3d-two-derivatives": {"SAME": "VALID"},
    "tensorflow-function-emptied-by-a-failed-trace": {
        "weights.append(tf.Variable(2.0))": "weights.append(made)",
        "weights = []": "weights, made = [], tf.Variable(2.0)",
    },
    "tensorflow-gelu-float32-constants": {
        "tf.nn.gelu": "(lambda x: x / 2 * (1 + tf.math.erf(x / math.sqrt(2))))"
    },
    "tensorflow-leaky-relu-float32-slope": {"0.2": "0.25"},
    "tensorflow-max-pool-tangent-in-place": {"2, 1,": "2, 2,"},
    "tensorflow-moments-curvature": {
        "_, variance = tf.nn.moments(x, 0)": "variance = tf.math.reduce_variance(x)"
    },
    "tensorflow-recompute-draws-anew": {"tf.recompute_grad": ""},
    "tensorflow-recompute-moves-states-twice": {"@tf.recompute_grad\n": ""},
    "tensorflow-recompute-zeros-for-unreached": {"tf.recompute_grad": ""},
    "torch-1-foreach-adds-decay-to-gradients": {"foreach=True": "foreach=False"},
    "torch-1-foreach-radam-without-epsilon": {"foreach=True": "foreach=False"},
    "torch-1-model-hook-zeros-for-unreached": {
        "model.register_full_backward_hook": "model.first.register_full_backward_hook"
    },
    "torch-1-nadam-counts-momentum-twice": {"(False, True)": "(True, True)"},
    "torch-autocast-keeps-casts": {'("cpu")': '("cpu", cache_enabled=False)'},
    "torch-causal-hint-hides-added-keys": {"is_causal=True": "is_causal=False"},
    "torch-celu-float32-alpha": {"0.3": "0.25"},
    "torch-checkpoint-moves-states-twice": {"checkpoint(norm, x, use_reentrant=False)": "norm(x)"},
    "torch-clip-value-of-nothing": {"clip_grad_value_([": "clip_grad_norm_(["},
    "torch-compile-zeros-for-unreached": {"aot_eager": "eager"},
    "torch-float32-counters": {
        "weight = ": "torch.set_default_dtype(torch.float64)\nweight = ",
    },
    "torch-foreach-nesterov-gradient": {"foreach=True": "foreach=False"},
    "torch-forward-mode-scales-in-double": {"0.25 * x.sum()": "(0.25 * x).sum()"},
    "torch-forward-mode-shares-zeros": {"jacfwd": "jacrev"},
    "torch-forward-mode-trains-padding": {"jacfwd": "jacrev"},
    "torch-fused-encoder-severs-casts": {"layer.eval()": "layer.train()"},
    "torch-fused-gradient-layout": {"fused=True": "fused=False"},
    "torch-compile-foreign-strides": {"norm(x.transpose(1, 2))": "norm(x.mT.contiguous())"},
    "torch-fused-sgd-16-bits": {"fused=True": "fused=False"},
    "torch-fused-sgd-thawed-weight": {"fused=True": "fused=False"},
    "torch-group-norm-cube-overflows": {"float16": "float32"},
    "torch-norm-tangent-overflows": {"float16": "float32"},
    "torch-hard-sigmoid-float32-sixth": {
        "torch.nn.functional.hardsigmoid(x)": "(torch.nn.functional.relu6(x + 3) / 6)"
    },
    "torch-instance-norm-gradient-layout": {
        ".contiguous().permute(2, 3, 0, 1)": ".permute(2, 3, 0, 1)"
    },
    "torch-lbfgs-gradient-layout": {".T\n": "\n"},
    "torch-lbfgs-moves-frozen": {
        "before = ": "optimizer = torch.optim.LBFGS([trained])\nbefore = "
    },
    "torch-linear-map-views": {
        "torch.ones(2, 1, 1)": "torch.ones(2, 2, 1)",
        "torch.ones(4, 3, 1)": "torch.ones(4, 3, 2)",
        "torch.eye(12).reshape(12, 4, 3, 1)": "torch.eye(24).reshape(24, 4, 3, 2)",
    },
    "torch-load-rounds-scalars": {"bfloat16": "float32"},
    "torch-linearize-drops-writes": {"circular": "constant"},
    "torch-model-hook-calls-others-with-none": {
        "model.register_full_backward_hook": "model.trained.register_full_backward_hook"
    },
    "torch-model-hook-zeros-for-unreached": {"full_backward_hook": "forward_hook"},
    "torch-forward-mode-ignores-frequency": {"jacfwd": "grad"},
    "torch-frequency-curvature": {
        "torch.nn.functional.embedding(tokens, weight, scale_grad_by_freq=True)": (
            "weight[tokens] / 2"
        )
    },
    "torch-muon-bfloat16-momentum": {"nesterov=False": "nesterov=True"},
    "torch-muon-epsilon": {"eps=1.0": "eps=1e-7"},
    "torch-norm-curvature-at-zero": {"torch.zeros": "torch.ones"},
    "torch-per-sample-group-norm": {"[None, :4]": "[None, :4].clone()"},
    "torch-per-sample-transposed-kernel": {"float64": "float32"},
    "torch-reentrant-checkpoint-loses-gradients": {"use_reentrant=True": "use_reentrant=False"},
    "torch-weight-norm-curvature": {
        "torch._weight_norm(v, magnitude, 0)": "(v / torch.linalg.vector_norm(v))"
    },
}

#: What a script may import next to the standard library.
_PACKAGES = {"keras", "numpy", "tensorflow", "torch"}

_SCRIPTS = sorted(pinned_case(known_issues()[0]).parent.glob("*.py"))
_SHOWN = [i for b in BACKENDS if installed(b) for i in applying(b) if repro(i)]


@pytest.fixture
def _as_before() -> Iterator[None]:
    """Puts back what scripts set and draw, in Python and the frameworks; lets them warn."""
    with warnings.catch_warnings(), contextlib.ExitStack() as behind:
        warnings.simplefilter("ignore")
        behind.callback(random.setstate, random.getstate())
        for backend in filter(installed, BACKENDS):
            prepare(backend)  # one thread, which TensorFlow takes before it has run anything alone
        if installed("torch"):
            import torch

            behind.enter_context(torch.random.fork_rng(devices=[]))
            behind.callback(torch.set_default_dtype, torch.get_default_dtype())
        if installed("tensorflow"):
            import keras

            behind.callback(keras.config.set_floatx, keras.config.floatx())
            behind.callback(keras.config.set_dtype_policy, keras.config.dtype_policy())
            keras.config.set_floatx("float32")  # as in a process of its own, whatever ran before
            keras.config.set_dtype_policy("float32")
        yield


def _failure(script: Path) -> tuple[Exception, bool] | None:
    """What the script raises, and whether its last statement does."""
    try:
        runpy.run_path(str(script))
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        at = max(frame.lineno or 0 for frame in frames if frame.filename == str(script))
        return error, at >= ast.parse(script.read_text("utf-8")).body[-1].lineno
    return None


def _named(issue: KnownIssue) -> list[str]:
    """What the entry quotes of messages."""
    quoted = re.findall("'([^']+)'", " ".join(issue.reason.split()))
    points = [text for point in issue.as_if.values() if isinstance(point, list) for text in point]
    return [*quoted, *(text for text in points if isinstance(text, str))]


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("issue", _SHOWN, ids=lambda issue: issue.id)
def test_a_script_fails_as_its_issue_says_and_passes_without_the_cause(
    issue: KnownIssue, tmp_path: Path
) -> None:
    script = repro(issue)
    assert script is not None
    failure = _failure(script)
    assert failure is not None, f"{script} passes: {issue.id} does not show on these versions"
    error, at_the_end = failure
    if isinstance(error, AssertionError):
        assert at_the_end
    else:
        assert any(said in str(error) for said in _named(issue)), error

    text = script.read_text("utf-8")
    for old, new in SPARED[issue.id].items():
        assert old in text
        text = text.replace(old, new)
    spared = tmp_path / "spared.py"
    spared.write_text(text, "utf-8")
    assert _failure(spared) is None


def test_a_script_is_a_few_lines_on_the_framework_alone_that_end_in_what_is_documented() -> None:
    for script in _SCRIPTS:
        text = script.read_text("utf-8")
        tree = ast.parse(text)
        assert text.startswith('"""'), script
        assert ast.get_docstring(tree), script
        assert isinstance(tree.body[-1], ast.Assert), script
        assert len(ast.unparse(tree).splitlines()) <= 25, script
        imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
        assert imported <= _PACKAGES | sys.stdlib_module_names, script


def test_every_known_issue_has_a_script_but_those_that_are_named_here() -> None:
    issues = known_issues()
    assert {issue.id for issue in issues if repro(issue) is None} == set(WITHOUT_A_SCRIPT)
    assert {script.stem for script in _SCRIPTS} <= {issue.id for issue in issues}
    assert SPARED.keys() == {script.stem for script in _SCRIPTS}
