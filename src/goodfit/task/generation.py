"""A text for each sample, written token by token: a translation, a summary, a reply.

Letters: B batch, N samples of a split, T tokens of the longest text, V tokens of the vocabulary, R
sums of statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from goodfit.contract import END, PAD, DataSpec
from goodfit.records import Answer, Chart, Statement
from goodfit.schema import Amount, Count, Fraction
from goodfit.system import tokenizer
from goodfit.task.base import Array, Partial, Task
from goodfit.task.beam import Cache, search
from goodfit.task.scores import Score, Statistics
from goodfit.task.text_scores import bleu, bleu_counts, chrf, chrf_counts

_QUOTED = 60  # characters of a text in a sentence
_LENGTHS = 5  # groups of test samples by length, in a chart


class Generation(Task):
    """Cross-entropy on logits (B, T, V); predictions are tokens (B, T), `PAD` behind `END`.

    In training the network sees the true tokens before each place (teacher forcing, Williams and
    Zipser 1989), in use its own: `read` takes the inputs, `step` a token at a time. The tokens are
    those of the asset tokenizer.json.
    """

    kinds = ("text",)
    scores = {"chrf": "max", "bleu": "max", "exact": "max"}  # noqa: RUF012 - read as a literal
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "chrf": (0, 100),
        "bleu": (0, 100),
        "exact": (0, 1),
    }
    watched: ClassVar[dict[str, str]] = {"perplexity": "min", "token_accuracy": "max"}
    feeds: ClassVar[tuple[str, ...]] = ("previous",)
    network_methods: ClassVar[tuple[str, ...]] = ("read", "step")
    output_form: ClassVar[str] = "sequence"
    additive: ClassVar[bool] = True
    quantiles: ClassVar[tuple[float, ...]] = (0.25, 0.5, 0.75)

    def __init__(
        self,
        model: nn.Module,
        spec: DataSpec,
        *,
        monitor: str,
        score: str,
        label_smoothing: Fraction,
        beams: Count,
        length_penalty: Amount,
        optimizer: Partial,
        schedule: Partial,
    ) -> None:
        super().__init__(
            model, spec, monitor=monitor, score=score, optimizer=optimizer, schedule=schedule
        )
        self.label_smoothing = label_smoothing
        self.beams, self.length_penalty = beams, length_penalty

    def run(self, inputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, T, V) at each place of the true text (B, T), given what is before it."""
        text = targets["text"]
        start = torch.full_like(text[:, :1], END)
        logits: Tensor = self.model(**inputs, previous=torch.cat([start, text[:, :-1]], 1))
        return logits

    def infer(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Texts (B, T) as the network writes them by itself, for inputs (B, ...).

        T is the length of the longest of train, of which there is none longer.
        """
        first = next(iter(inputs.values()))
        longest = self.spec.targets["text"].longest
        if not len(first):  # a served model is asked for the columns of its answer, too
            return torch.empty(0, longest, dtype=torch.long, device=first.device)

        model: Any = self.model
        memory = model.read(**inputs)

        def step(tokens: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
            logits, grown = model.step(tokens, memory, cache)
            return logits, grown

        return search(
            step,
            len(first),
            beams=self.beams,
            longest=longest,
            length_penalty=self.length_penalty,
            device=first.device,
        )

    def loss(self, output: Tensor, text: Tensor, text_length: Tensor) -> Tensor:  # type: ignore[override]
        """The cross-entropy (B,) in nats, summed over a text's tokens.

        Of logits (B, T, V) against tokens (B, T), of which `text_length` (B,) count. Labels are
        smoothed (Szegedy et al. 2016, section 7) in training only.
        """
        smoothing = self.label_smoothing if self.training else 0.0
        there = _there(text, text_length)
        # padding is left out before the softmax: each pass over (B, T, V) counts
        by_token = F.cross_entropy(
            output[there], text[there], label_smoothing=smoothing, reduction="none"
        )
        return _by_sample(by_token, there)

    def units(self, text: Tensor, text_length: Tensor) -> Tensor:  # type: ignore[override]
        """The tokens (B,) of each text (B, T), its `END` among them."""
        return text_length.float()

    def predict(self, output: Tensor) -> Tensor:
        """The likeliest token at each place (B, T), of logits (B, T, V) given the true text."""
        return output.argmax(-1)

    def statistics(self, prediction: Tensor, text: Tensor, text_length: Tensor) -> Statistics:  # type: ignore[override]
        """Counts that add up: `chrf` (B, 18), `bleu` (B, 10), `exact` (B,) and `texts` (B,).

        Of tokens (B, T) written and tokens (B, T) that are right.
        """
        said, meant = self._texts(prediction), self._texts(text)
        exact = [a == b for a, b in zip(said, meant, strict=True)]
        counts = {
            "chrf": chrf_counts(said, meant),
            "bleu": bleu_counts(said, meant),
            "exact": torch.tensor(exact, dtype=torch.float64),
            "texts": torch.ones(len(said), dtype=torch.float64),
        }
        return {name: values.to(text.device) for name, values in counts.items()}

    def metrics(self) -> dict[str, Score]:
        """chrF and BLEU, from 0 to 100 as sacrebleu has them, and the share of exact texts.

        Of sums over samples, (R, ...), to (R,).
        """
        return {
            "chrf": lambda sums: chrf(sums["chrf"]),
            "bleu": lambda sums: bleu(sums["bleu"]),
            "exact": lambda sums: sums["exact"] / sums["texts"],
        }

    def watch(self, output: Tensor, **targets: Tensor) -> Statistics:
        """`log_likelihood` in nats, `hits` and `tokens` of each text, (B,) each.

        Of logits (B, T, V) given the true tokens (B, T): a hit is a token that is the likeliest.
        """
        text, text_length = targets["text"], targets["text_length"]
        there = _there(text, text_length)
        logits, tokens = output[there].float(), text[there]
        log_likelihood = -F.cross_entropy(logits, tokens, reduction="none")
        hits = (logits.argmax(-1) == tokens).float()
        return {
            "log_likelihood": _by_sample(log_likelihood, there),
            "hits": _by_sample(hits, there),
            "tokens": text_length.float(),
        }

    def watch_metrics(self) -> dict[str, Score]:
        """The perplexity of a token, and the share of tokens that are hits: sums (R,) to (R,)."""
        return {
            "perplexity": lambda sums: (-sums["log_likelihood"] / sums["tokens"]).exp(),
            "token_accuracy": lambda sums: sums["hits"] / sums["tokens"],
        }

    def decode(self, prediction: Tensor) -> pd.DataFrame:
        """The column `text` of tokens (N, T)."""
        return pd.DataFrame({"text": self._texts(prediction)})

    def same_answer(self, prediction: Tensor) -> str | None:
        """The text that all of (N, T) are."""
        texts = set(self._texts(prediction))
        if len(texts) > 1:
            return None
        text = texts.pop()
        return f"'{text[:_QUOTED]}'" if text else "an empty text"

    @property
    def asked(self) -> str:
        """A text, whatever its length."""
        return "a text"

    def trivial(
        self, train: Mapping[str, Array], inputs: Mapping[str, Array], samples: int
    ) -> dict[str, Array]:
        """The input `source` as it is, (samples, T): both texts share a vocabulary.

        Names, numbers and code are often the same in both.
        """
        return {"copy of the source": tokenizer.padded(inputs["source"], PAD)}

    def diagnose(self, methods: Mapping[str, Statistics]) -> list[Chart]:
        """chrF by the length of the true text, of counts (N, ...) of each method."""
        network = next(iter(methods.values()))
        words = network["bleu"][:, 1]
        groups = words.argsort(stable=True).tensor_split(min(_LENGTHS, len(words)))
        lengths = [float(words[group].mean()) for group in groups]

        curves = []
        for title, statistics in methods.items():
            sums = torch.stack([statistics["chrf"][group].sum(0) for group in groups])
            curves.append([title, chrf(sums).tolist()])
        numbers = {
            "x": lengths,
            "curves": curves,
            "x_label": "words of the true text",
            "y_label": "chrF",
            "caption": f"Test samples in {len(groups)} groups of one size, from short to long.",
        }
        return [Chart("curves", "chrF by the length of the text", numbers)]

    def answer(self, prediction: Tensor, text: Tensor, text_length: Tensor) -> Answer:  # type: ignore[override]
        """Both texts, from tokens (T,) and (T,); a text is near or far, not right or wrong."""
        (said,), (meant,) = self._texts(prediction[None]), self._texts(text[None])
        return Answer(statements=(Statement("truth", meant), Statement("network", said)))

    def _texts(self, tokens: Tensor) -> list[str]:
        """The texts of tokens (B, T), up to the first `END` of each."""
        made = tokenizer.load(self.spec.assets[tokenizer.FILE])
        texts = []
        for row in tokens.tolist():
            end = row.index(END) if END in row else len(row)
            texts.append(made.decode(row[:end]))
        return texts


def _there(text: Tensor, text_length: Tensor) -> Tensor:
    """Where (B, T) there is a token, of texts (B, T) and their lengths (B,)."""
    return torch.arange(text.shape[1], device=text.device) < text_length[:, None]


def _by_sample(values: Tensor, there: Tensor) -> Tensor:
    """Sums (B,) over the places (B, T) that are there, of their values in a row."""
    placed = values.new_zeros(there.shape)
    placed[there] = values
    return placed.sum(1)
