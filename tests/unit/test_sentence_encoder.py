"""The encoder is BERT: the same numbers as PyTorch's own layers, and as the pretrained weights'."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
import yaml
from torch import Tensor, nn

from goodfit.contract import DataSpec, Field
from goodfit.errors import UserError
from goodfit.model.sentence_encoder import SentenceEncoder, Texts
from goodfit.paths import pretrained_path
from goodfit.system import tokenizer

SMALL: dict[str, Any] = {"width": 8, "heads": 2, "blocks": 2, "positions": 12, "read": 1}
SMALL |= {"dropout": 0.0, "head_dropout": 0.0}


def spec(words: int = 20, length: int = 6) -> DataSpec:
    known = tuple(map(str, range(words)))
    return DataSpec(
        data="x",
        kind="class",
        outputs=3,
        inputs={
            "tokens": Field((length,), "int64", vocabulary=known),
            "mask": Field((length,), "bool"),
        },
        targets={"target": Field((), "int64", labels=("a", "b", "c"))},
    )


def network(**options: Any) -> SentenceEncoder:
    """A small one, of which no bias and no norm is as it was made."""
    torch.manual_seed(0)
    made = SentenceEncoder(spec(), **SMALL | options)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made.eval()


def batch() -> tuple[Tensor, Tensor]:
    """Three texts (3, 6), of 6, 2 and 3 tokens."""
    tokens = torch.tensor([[3, 4, 5, 6, 7, 8], [9, 3, 0, 0, 0, 0], [4, 19, 2, 0, 0, 0]])
    return tokens, tokens != 0


def torchs(block: Any) -> nn.TransformerEncoderLayer:
    """PyTorch's own layer with a block's weights."""
    attention, output = block.attention["self"], block.attention["output"]
    layer = nn.TransformerEncoderLayer(
        8, 2, 32, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    )
    parts = [attention.query, attention.key, attention.value]
    layer.self_attn.in_proj_weight.data = torch.cat([part.weight for part in parts])
    layer.self_attn.in_proj_bias.data = torch.cat([part.bias for part in parts])
    layer.self_attn.out_proj = output.dense
    layer.norm1, layer.norm2 = output.LayerNorm, block.output.LayerNorm
    layer.linear1, layer.linear2 = block.intermediate["dense"], block.output.dense
    return layer.eval()


def test_states_are_those_of_pytorchs_encoder_on_padded_texts() -> None:
    made: Any = network()
    tokens, mask = batch()
    table = made.bert.embeddings
    x = table.word_embeddings(tokens) + table.position_embeddings.weight[:6]
    x = table.LayerNorm(x + table.token_type_embeddings.weight[0])
    for block in made.bert.encoder["layer"]:
        x = torchs(block)(x, src_key_padding_mask=~mask)
    rows = [x[0].mean(0), x[1, :2].mean(0), x[2, :3].mean(0)]
    torch.testing.assert_close(made.features(tokens, mask), torch.stack(rows), rtol=1e-4, atol=1e-5)


def test_its_parameters_have_the_names_of_berts_files() -> None:
    names = {name for name, _ in network(blocks=1).bert.named_parameters()}
    layer = "encoder.layer.0."
    matrices = [f"{layer}attention.self.{name}" for name in ("query", "key", "value")]
    matrices += [f"{layer}{name}.dense" for name in ("attention.output", "intermediate", "output")]
    norms = ["embeddings", f"{layer}attention.output", f"{layer}output"]
    expected = {f"{name}.{kind}" for name in matrices for kind in ("weight", "bias")}
    expected |= {f"{name}.LayerNorm.{kind}" for name in norms for kind in ("weight", "bias")}
    for table in ("word", "position", "token_type"):
        expected.add(f"embeddings.{table}_embeddings.weight")
    assert names == expected


def test_a_text_of_more_tokens_than_it_has_places_for_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.positions=5; expected data\.length=5 or less"):
        network(positions=5)


def test_the_vectors_of_the_layers_that_are_read_stand_side_by_side() -> None:
    tokens, mask = batch()
    with torch.no_grad():
        every, last = network(read=3), network(read=1)
        last.bert.load_state_dict(every.bert.state_dict())
        assert torch.equal(every.features(tokens, mask)[:, 16:], last.features(tokens, mask))
        lowest = every.bert.embeddings(tokens[1:2, :2], Texts.of(mask[1:2]))
        torch.testing.assert_close(every.features(tokens, mask)[1, :8], lowest.mean(0))


def test_no_more_layers_are_read_than_there_are() -> None:
    with pytest.raises(UserError, match=r"model\.read=4, but there are 3 layers"):
        network(read=4)


def test_heads_divide_the_width() -> None:
    with pytest.raises(UserError, match=r"model\.heads=3 does not divide model\.width=8"):
        network(heads=3)


SOURCE = tiny.section("pretrained", "minilm")["source"]
WEIGHTS = tiny.ROOT / pretrained_path(SOURCE["sha256"], SOURCE["file"].rpartition("/")[2])
TOKENS = next((tiny.ROOT / "data/raw").glob("*/tokenizer/tokenizer.json"), None)


@pytest.mark.slow
@pytest.mark.skipif(
    TOKENS is None or not WEIGHTS.is_file(),
    reason="`make repro ONLY=reviews_transfer` brings the weights of MiniLM, 90 MB",
)
def test_pretrained_it_gives_the_vectors_of_another_implementation() -> None:
    """The numbers are those of transformers 4.57.6, whose BertModel read the same files."""
    from safetensors.torch import load_file

    assert TOKENS is not None
    made = tokenizer.pretrained(TOKENS.read_bytes(), 32)
    texts = [
        "A gripping, beautifully acted film.",
        "The movie is superbly performed and thrilling.",
        "Tax forms are due in April.",
    ]
    tokens = torch.zeros(3, 32, dtype=torch.long)
    for row, text in enumerate(texts):
        pieces = made.encode(text).ids
        tokens[row, : len(pieces)] = torch.tensor(pieces)

    options = yaml.safe_load((tiny.ROOT / "conf/model/sentence_encoder.yaml").read_text())
    options = {name: options[name] for name in SMALL}
    whole = SentenceEncoder(spec(30_522, 32), **options).eval()
    content = {f"bert.{name}": tensor for name, tensor in load_file(WEIGHTS).items()}
    assert set(whole.load_state_dict(content, strict=False).missing_keys) == {
        "head.weight",
        "head.bias",
        "norm.running_mean",
        "norm.running_var",
    }
    with torch.no_grad():
        vectors = nn.functional.normalize(whole.features(tokens, tokens != 0)[:, -384:])
    expected = torch.tensor(
        [
            [0.0020, -0.0543, -0.0032, 0.0025],
            [-0.0210, 0.0048, -0.0271, -0.0308],
            [-0.0880, 0.0144, 0.1193, -0.0468],
        ]
    )
    torch.testing.assert_close(vectors[:, :4], expected, rtol=0, atol=6e-5)
    alike, other = (vectors @ vectors.T)[0, 1:].tolist()
    assert (alike, other) == (pytest.approx(0.6168, abs=1e-4), pytest.approx(-0.0840, abs=1e-4))
