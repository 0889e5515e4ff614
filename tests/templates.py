"""Chat templates of six kinds and the tokenizers that go with them, built in-process.

The templates are our own Jinja in the form of the known ones; the tokenizers are trained on a few
lines here, of the kinds that those models use: byte-level BPE, and SentencePiece-like BPE with
byte fallback whose white space is `▁`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

CORPUS = (
    "User: Thank you, that is exactly what I needed to know!\nAssistant: You are welcome.\n",
    "I don't understand what you mean. That is not what I asked you.\n\n\nCan you say it again?",
    "user model system assistant tool [INST] [/INST] What is the capital of France? It is Paris.",
    "  indented\n    more   spaces \t tabs\n\n# Title\n* one\n* two\n1234 56.78 :) ...",
    "Das ist genau, was ich brauchte. Merci beaucoup! 谢谢你 Ça va? <think> so </think>",
) * 3

CHATML = "'<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n'"
TEMPLATES = {
    "llama3": "{{ bos_token }}{% for m in messages %}"
    "{{ '<|head|>' + m.role + '<|/head|>\\n\\n' + m.content | trim + '<|turn_end|>' }}{% endfor %}",
    "chatml": "{% for m in messages %}{{ " + CHATML + " }}{% endfor %}",
    "chatml-system": "{% for m in messages %}{% if loop.first and m.role != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a kind assistant called Bo.<|im_end|>\\n' }}{% endif %}"
    "{{ " + CHATML + " }}{% endfor %}",
    "gemma": "{{ bos_token }}{% for m in messages %}{% if m.role in ('system', 'developer') %}"
    "{{ raise_exception('a system turn is not supported') }}{% endif %}"
    "{{ '<turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' }}"
    "{{ m.content | trim + '</turn>\\n' }}{% endfor %}",
    "mistral": "{{ bos_token }}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user and assistant') }}{% endif %}"
    "{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}",
    "thinking": "{% set ns = namespace(last=-1) %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}"
    "{% endfor %}{% for m in messages %}{% set ns.text = m.content %}"
    "{% if m.role == 'assistant' %}"
    "{% set ns.text = m.content.split('</think>')[-1].lstrip('\\n') %}"
    "{% if loop.index0 > ns.last %}{% set thought = m.content.split('</think>')[0] "
    "if '</think>' in m.content else '<think>\\n\\n' %}"
    "{% set ns.text = thought + '</think>\\n\\n' + ns.text %}{% endif %}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\\n' + ns.text + '<|im_end|>\\n' }}{% endfor %}",
    "plain": "{% for m in messages %}{{ m.role | capitalize + ':' + m.content + '\\n' }}"
    "{% endfor %}",
}

KINDS = (*TEMPLATES, "mistral-special")


@dataclass(frozen=True)
class Kind:
    """A template and the tokenizer that goes with it; `splits` where rows fall into two parts."""

    name: str
    template: str
    tokenizer: Any
    splits: bool
    takes_system: bool = True


def byte_level(
    special: Sequence[str], plain: Sequence[str] = (), *, trim: bool = False
) -> Tokenizer:
    """Byte-level BPE; `special` are split off first, `plain` are added but not special."""
    tokenizer = Tokenizer(models.BPE())
    # Splits off white space together, so that merges across a text's edges can occur.
    words = pre_tokenizers.Split(Regex(r"\s*[\p{L}']+|\s*[^\s\p{L}]+|\s+"), "isolated")
    encoder = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, encoder])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=700, show_progress=False, initial_alphabet=alphabet, special_tokens=list(special)
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in plain])
    if trim:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def sentencepiece_like(special: Sequence[str], spaces: str) -> Tokenizer:
    """BPE with byte fallback; `spaces` says where a `▁` is put: prepend, first, or replace only."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=500, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", *special, *(f"<0x{byte:02X}>" for byte in range(256)), *model["vocab"]]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if spaces == "first":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        prepend = [normalizers.Prepend("▁")] if spaces == "prepend" else []
        tokenizer.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", "▁")])
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<unk>", *special)])
    return tokenizer


def with_bos(tokenizer: Tokenizer, bos: str) -> Tokenizer:
    """The tokenizer that by default puts a BOS token before each text."""
    start = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    before = [tokenizer.post_processor] if tokenizer.post_processor else []
    tokenizer.post_processor = processors.Sequence([*before, start])
    return tokenizer


def fast(tokenizer: Tokenizer, template: str | None, **names: str) -> PreTrainedTokenizerFast:
    """The Hugging Face tokenizer of it, with this chat template."""
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    wrapped.chat_template = template
    return wrapped


def _llama3() -> Tokenizer:
    marks = ["<|begin|>", "<|head|>", "<|/head|>", "<|turn_end|>"]
    return with_bos(byte_level(marks, trim=True), "<|begin|>")


@cache
def kind(name: str) -> Kind:
    """One of `KINDS`, built once."""
    im = ["<|im_start|>", "<|im_end|>"]
    ends = {"bos_token": "<s>", "eos_token": "</s>"}
    family = name if name in TEMPLATES else name.split("-")[0]
    template = TEMPLATES[family]
    match name:
        case "llama3":
            names = {"bos_token": "<|begin|>", "eos_token": "<|turn_end|>"}
            tokenizer = fast(_llama3(), template, **names)
        case "chatml" | "chatml-system":
            tokenizer = fast(byte_level(im), template, eos_token="<|im_end|>")
        case "gemma":
            marks = ["<bos>", "<eos>", "<turn>", "</turn>"]
            backend = with_bos(sentencepiece_like(marks, "replace"), "<bos>")
            tokenizer = fast(backend, template, bos_token="<bos>", eos_token="<eos>")
        case "mistral":
            backend = with_bos(sentencepiece_like(["<s>", "</s>"], "prepend"), "<s>")
            tokenizer = fast(backend, template, **ends)
        case "mistral-special":
            marks = ["<s>", "</s>", "[INST]", "[/INST]"]
            tokenizer = fast(with_bos(sentencepiece_like(marks, "first"), "<s>"), template, **ends)
        case "thinking":
            tags = ["<think>", "</think>"]
            tokenizer = fast(byte_level(im, tags), template, eos_token="<|im_end|>")
        case _:
            tokenizer = fast(byte_level([]), template)
    takes_system = family not in ("gemma", "mistral")
    return Kind(name, template, tokenizer, splits=name != "plain", takes_system=takes_system)


def is_plain(text: str) -> bool:
    """Whether no kind's tokenizer reads a mark of its own in the text."""
    marks = (mark for name in KINDS for mark in kind(name).tokenizer.get_added_vocab())
    return not any(mark in text for mark in marks)


def true_row(
    tokenizer: Any, chat: Sequence[dict[str, Any]], last: dict[str, Any], text: str
) -> tuple[tuple[int, ...], int, int]:
    """The oracle: ids of the chat with `last` saying `text`, and the indices of the text's tokens.

    The text's characters are where a character of no language stands when it is the text; its
    tokens are those that overlap them. (A text that is trimmed is looked for without its ends.)
    """

    def rendered(content: str) -> str:
        chats = [*chat, {**last, "content": content}]
        return tokenizer.apply_chat_template(chats, tokenize=False)

    before, after = rendered("\ue000").split("\ue000")
    full = rendered(text)
    shown = text if full == before + text + after else text.strip()
    assert full == before + shown + after
    encoded = tokenizer(full, add_special_tokens=False, return_offsets_mapping=True)
    begin, end = len(before), len(before) + len(shown)
    spans = enumerate(encoded["offset_mapping"])
    hits = [i for i, (left, right) in spans if max(left, begin) < min(right, end)]
    return tuple(encoded["input_ids"]), min(hits, default=-1), max(hits, default=-2) + 1
