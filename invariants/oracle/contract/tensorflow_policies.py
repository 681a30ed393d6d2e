"""What a mixed precision policy of Keras makes of each kind of layer and of each loss.

Documented is that a layer casts its inputs to its compute dtype and its float32 variables with
them, and puts that dtype out: https://keras.io/api/mixed_precision/policy/. Numerically sensitive
layers compute in float32 all the same; which, is said in the layers themselves. A loss computes in
its own dtype, which is floatx: https://keras.io/api/losses/#loss-class.
"""

from __future__ import annotations

from collections.abc import Sequence

from invariants.oracle.contract.formats import Formats

#: What the policy says of a layer.
_LOWERED = Formats(inputs=(True,), weights=True, inside=True, outside=True)

#: What a layer does that casts neither inputs nor weights, and computes in float32.
_WIDE_ON_WIDE = Formats(inputs=(False,), weights=False, inside=False, outside=True)

#: The layers that differ from it. "BN is prone to overflow with float16/bfloat16 inputs, so we
#: upcast to float32 for the subsequent computations" (batch_normalization.py); "computes in at
#: least float32 precision for stability in half precision training" (ops/nn.py, of layer and RMS
#: normalisation). An embedding looks rows up in its float32 table, and casts those (embedding.py).
_OTHERS = {
    "batch_norm": Formats((True, False), weights=False, inside=False, outside=True),
    "embedding": Formats((), weights=False, inside=False, outside=True),
    "embedding_with_lora": Formats((), weights=False, inside=False, outside=True),
    "group_norm": _WIDE_ON_WIDE,
    "instance_norm": _WIDE_ON_WIDE,
    "layer_norm": _WIDE_ON_WIDE,
    "rms_norm": Formats((True, False), weights=True, inside=False, outside=True),
}

#: The losses that begin in the format of the output. None does: Loss.__call__ casts to its dtype.
LOSSES_AS_GIVEN: frozenset[str] = frozenset()


def formats(kind: str, given: Sequence[bool]) -> Formats:
    """Those of a layer, whatever the formats of its inputs are."""
    return _OTHERS.get(kind, _LOWERED)
