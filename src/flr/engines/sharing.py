"""Where sharing prefixes is exact: what a model's configuration says about its attention.

The shared path is plain causal attention with positions counted from the row's beginning. A model
that is more than that can still be shared as long as its rows are short enough for the difference
not to show: inside its sliding window, or below the length from which its rotary frequencies
depend on the length of the row.
"""

from dataclasses import dataclass
from typing import Any, final

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

_PLAIN_LAYERS = {"full_attention", "attention"}
_WINDOW_LAYERS = {"sliding_attention", "chunked_attention"}
_CHANGING_ROPES = ("dynamic", "longrope")

NO_INTERFACE = "its attention does not pass through transformers' interface"


@final
@dataclass(frozen=True, slots=True)
class Sharing:
    """For which rows the shared path may be taken.

    Args:
        longest: longest such row, tokens; None for any, 0 for none.
        reason: why longer ones go the plain way.
    """

    longest: int | None
    reason: str

    def takes(self, row: tuple[int, ...]) -> bool:
        """Whether a row is short enough to be shared."""
        return self.longest is None or len(row) <= self.longest

    def __str__(self) -> str:
        if self.longest is None:
            return "shared for every row"
        if self.longest == 0:
            return f"plain for every row: {self.reason}"
        return f"shared up to {self.longest} tokens a row, plain beyond: {self.reason}"


def sharing(model: PreTrainedModel) -> Sharing:
    """What the model's class and configuration allow."""
    config = model.config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or [])
    others = sorted(layers - _PLAIN_LAYERS - _WINDOW_LAYERS)
    if getattr(model, "_is_stateful", False):
        return Sharing(0, "it carries a recurrent state, which cannot fork")
    if others:
        return Sharing(0, f"it has layers that are not plain attention ({', '.join(others)})")
    if not model._supports_attention_backend:
        return Sharing(0, NO_INTERFACE)
    window, rope = _window(config, layers), changing_rope(config)
    if window is not None and (rope is None or window <= rope):
        return Sharing(window, f"its attention sees a window of {window} tokens")
    if rope is not None:
        return Sharing(rope, f"its rotary frequencies depend on the length beyond {rope} tokens")
    return Sharing(None, "")


def _window(config: PretrainedConfig, layers: set[str]) -> int | None:
    """The shortest window of any layer, tokens; None where every layer sees everything."""
    names = ("sliding_window", "attention_chunk_size")
    windows = [window for name in names if (window := getattr(config, name, None))]
    if layers & _WINDOW_LAYERS:
        return max(0, min(windows, default=0))  # a window of unknown size is none that is safe
    if layers or getattr(config, "use_sliding_window", True) is False:
        return None
    return min(windows, default=None)


def changing_rope(config: PretrainedConfig) -> int | None:
    """Length beyond which rotary frequencies depend on the row's length, tokens; None if never."""
    lengths = [
        rope.get("original_max_position_embeddings") or config.max_position_embeddings
        for rope in _ropes(config)
        if rope.get("rope_type") in _CHANGING_ROPES
    ]
    return min(lengths, default=None)


def longest_row(config: PretrainedConfig) -> int | None:
    """The most tokens that the model takes in a row; None where nothing limits it."""
    positions = getattr(config, "max_position_embeddings", None)
    factors = [r.get("factor", 1) for r in _ropes(config) if r.get("rope_type") == "dynamic"]
    return positions if positions is None else int(positions * max(factors, default=1))


def _ropes(config: PretrainedConfig) -> list[dict[str, Any]]:
    """Rotary parameters: one mapping, or one for each kind of layer."""
    found = getattr(config, "rope_parameters", None) or {}
    nested = [value for value in found.values() if isinstance(value, dict)]
    return nested or [found]


def reset_rope(model: nn.Module) -> None:
    """Forgets the frequencies that an earlier, longer row left behind in `dynamic` embeddings."""
    for module in model.modules():
        if not hasattr(module, "original_max_seq_len"):
            continue
        for name, original in dict(module.named_buffers(recurse=False)).items():
            if name.endswith("original_inv_freq"):
                # A copy: other kinds of embeddings change these frequencies in place.
                kind = name.removesuffix("original_inv_freq")
                module.register_buffer(f"{kind}inv_freq", original.clone(), persistent=False)
                setattr(module, f"{kind}max_seq_len_cached", module.original_max_seq_len)
