"""The model outputs that AlpacaEval's judge takes: one instruction with one output a row.

Read with `alpaca_eval --model_outputs policy-2.alpaca-eval.json --reference_outputs
policy-1.alpaca-eval.json`. An instruction is one text, and AlpacaEval joins the two files by it: a
prompt of several messages cannot be held, and of equal prompts only the first one is.

Source: alpaca_eval 0.6.6, `main.evaluate` and `annotators.pairwise_evaluator`.
"""

from collections.abc import Mapping
from typing import Any

from flr.comparison.asking import Place, Said
from flr.comparison.rewards import Prompts


def model_outputs(
    prompts: Prompts, said: Mapping[Place, Said], generator: str, dataset: str
) -> tuple[list[dict[str, Any]], int]:
    """The rows of the file, and how many prompts it cannot hold.

    Args:
        prompts: all of them.
        said: what the policy said; of several responses to a prompt the first one counts.
        generator: name of the policy.
        dataset: name of the prompts.

    Example:
        >>> from flr.types import Message
        >>> asked = {1: (Message("user", "Tea?"),), 2: (Message("user", "Tea?"),)}
        >>> answers = {(number, 0): Said("Yes.", 2, True) for number in asked}
        >>> model_outputs(asked, answers, "mine", "drinks")
        ([{'instruction': 'Tea?', 'output': 'Yes.', 'generator': 'mine', 'dataset': 'drinks'}], 1)
    """
    outputs: dict[str, dict[str, Any]] = {}
    answered = [number for number in prompts if (number, 0) in said]
    for number in answered:
        messages = prompts[number]
        if len(messages) == 1 and messages[0].content not in outputs:
            outputs[messages[0].content] = {
                "instruction": messages[0].content,
                "output": said[number, 0].text,
                "generator": generator,
                "dataset": dataset,
            }
    return list(outputs.values()), len(answered) - len(outputs)
