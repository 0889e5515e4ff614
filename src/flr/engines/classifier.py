"""The score that a sequence-classification reward model gives to a row of tokens.

Rows go through the model one at a time: a padded batch reads its score where the padding begins,
which models find in ways of their own, and a baseline has to be right before it is fast.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from transformers import PreTrainedModel

from flr.errors import ModelError


@final
class Classifier:
    """Scores rows.

    Args:
        model: with one output, on its device; `flr.models.load_classifier` gives one.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    @torch.inference_mode()
    def scores(self, rows: Sequence[tuple[int, ...]]) -> list[float]:
        """The score of each row, in order, unit of the model.

        Raises:
            ModelError: a score that is not finite.
        """
        scores = [self._score(row) for row in rows]
        if not np.isfinite(scores).all():
            raise ModelError(
                f"the classifier's scores are not finite numbers in {self.model.dtype}; "
                "try another --dtype (bf16 or fp32)"
            )
        return scores

    def _score(self, row: tuple[int, ...]) -> float:
        tokens = torch.tensor([row], device=self.model.device)
        logits = self.model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
        return float(logits.float().item())
