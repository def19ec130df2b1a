"""EfficientNet-Lite0 is the one whose weights on ImageNet there are: names, shapes and padding.

Measured once with the file itself (SHA-256 57934424...): with its weights all four maps of random
images of 224 and 256 pixels, and the 1280 features above them, equalled those of
efficientnet-lite-pytorch 0.1.0 bit by bit.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import tiny
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from goodfit import build
from goodfit.config import tree
from goodfit.config.compose import compose
from goodfit.contract import DataSpec, Field
from goodfit.model.centernet_lite import CenterNetLite
from goodfit.model.efficientnet import EfficientNet, EfficientNetLite0, _SameConv2d
from goodfit.paths import pretrained_path
from goodfit.system.files import sha256
from goodfit.task.parameter_groups import check_patterns, frozen_names
from goodfit.training.pretrained import start_from

TENSORS, PARAMETERS = 288, 2_958_848
# of the sorted lines "name shape" of the file, without its last convolution and the classifier
NAMES = "c994cbaaa982416613cc2014444c420ea87225348c666861ee58ae66499fc932"
HEAD = {  # of the file, and not of the encoder
    "_conv_head.weight": (1280, 320, 1, 1),
    "_bn1.weight": (1280,),
    "_bn1.bias": (1280,),
    "_fc.weight": (1000, 1280),
    "_fc.bias": (1000,),
}


def detector() -> CenterNetLite:
    spec = DataSpec(
        data="made up",
        kind="boxes",
        outputs=5,
        inputs={"image": Field((3, 64, 64), "uint8", (90.0, 99.0, 80.0), (40.0, 41.0, 39.0))},
        targets={"classes": Field((None,), "int64", labels=("Tree",))},
    )
    return CenterNetLite(spec, width=8)


def classifier(channels: int) -> EfficientNet:
    spec = DataSpec(
        data="made up",
        kind="class",
        outputs=3,
        inputs={"image": Field((channels, 28, 28), "uint8")},
        targets={"target": Field((), "int64", labels=("a", "b", "c"))},
    )
    return EfficientNet(spec, least_side=64, dropout=0.2)


def named(state: dict[str, Tensor]) -> list[str]:
    return sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())


def test_names_and_shapes_are_those_of_the_file() -> None:
    network = EfficientNetLite0()
    lines = named(network.state_dict())
    assert len(lines) == TENSORS
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == NAMES
    own = sum(parameter.numel() for parameter in network.parameters())
    assert own == PARAMETERS
    # Lite0 has 4.65 million parameters
    head = sum(torch.Size(shape).numel() for shape in HEAD.values())
    assert own + head == 4_652_008


def test_maps_have_a_quarter_to_a_32nd_of_the_resolution() -> None:
    with torch.no_grad():
        levels = EfficientNetLite0().eval()(torch.zeros(2, 3, 64, 96, dtype=torch.uint8))
        odd = EfficientNetLite0().eval()(torch.zeros(1, 3, 50, 66, dtype=torch.uint8))
    assert [tuple(level.shape) for level in levels] == [
        (2, 24, 16, 24),
        (2, 40, 8, 12),
        (2, 112, 4, 6),
        (2, 320, 2, 3),
    ]
    # sides rounded up, as TensorFlow does
    assert [tuple(level.shape[2:]) for level in odd] == [(13, 17), (7, 9), (4, 5), (2, 3)]


@pytest.mark.parametrize(("kernel", "side", "before"), [(3, 8, 0), (5, 8, 1), (3, 7, 1), (5, 7, 2)])
def test_what_a_stride_of_two_pads_lies_right_and_below(
    kernel: int, side: int, before: int
) -> None:
    """A filter with its one in the corner shows by how much the image was moved."""
    layer = _SameConv2d(1, 1, kernel, stride=2)
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.weight[0, 0, before, before] = 1
        image = torch.arange(1.0, side**2 + 1).reshape(1, 1, side, side)
        assert torch.equal(layer(image), image[:, :, ::2, ::2])


def test_colours_are_scaled_as_the_weights_were_trained_with_whatever_the_data() -> None:
    network = EfficientNetLite0()
    seen: list[Tensor] = []
    network._conv_stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    image[:, 1], image[:, 2] = 127, 255
    network.eval()(image)
    assert seen[0][0, :, 0, 0].tolist() == [-127 / 128, 0.0, 1.0]


def crowns() -> DictConfig:
    return OmegaConf.create(tree.frozen(compose(tiny.ROOT, ["experiment=crowns"])))


@pytest.mark.parametrize(
    ("overrides", "tensors"),
    [
        (("experiment=crowns",), TENSORS),
        (("experiment=mnist", "~tuned", "model=efficientnet"), TENSORS + 6),
    ],
)
def test_every_tensor_of_the_encoder_is_taken_from_the_file(
    overrides: tuple[str, ...], tensors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with the names of the real one stands where the experiment's own section looks."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    content = EfficientNetLite0().state_dict()
    content |= {name: torch.rand(shape) for name, shape in HEAD.items()}
    averages = nn.BatchNorm2d(1280).state_dict()
    content |= {f"_bn1.{name}": value for name, value in averages.items()}
    torch.save(content, "weights.pth")
    cfg = OmegaConf.create(tree.frozen(compose(tiny.ROOT, overrides)))
    cfg.pretrained.source.sha256 = sha256(Path("weights.pth"))
    section = build.pretrained(cfg)
    assert section.source is not None
    place = pretrained_path(section.source.sha256, section.source.filename)
    place.parent.mkdir(parents=True)
    Path("weights.pth").rename(place)

    torch.manual_seed(0)
    network = detector() if len(overrides) == 1 else classifier(channels=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    line = start_from(network, section)
    assert line is not None
    assert f"{tensors} tensors" in line
    for name, tensor in network.state_dict().items():
        of_file = content.get(name.removeprefix("backbone."))
        expected = before[name] if of_file is None else of_file
        assert torch.equal(tensor, expected), name


def test_grey_is_the_colour_whose_channels_are_equal() -> None:
    grey, colour = classifier(channels=1), classifier(channels=3)
    colour.load_state_dict(grey.state_dict())
    image = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(grey.eval()(image), colour.eval()(image.expand(-1, 3, -1, -1)))


def test_a_small_image_is_enlarged_and_a_large_one_is_left() -> None:
    network = classifier(channels=3).eval()
    seen: list[Tensor] = []
    network.backbone._conv_stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        for height, width in ((16, 32), (64, 48), (80, 70)):
            network(torch.full((1, 3, height, width), 255, dtype=torch.uint8))
    sides = [tuple(image.shape[2:]) for image in seen]
    assert sides == [(64, 128), (85, 64), (80, 70)]
    torch.testing.assert_close(seen[0], torch.ones(1, 3, 64, 128))  # as bright as before


def test_crowns_freezes_the_first_blocks_and_all_norms_of_its_encoder() -> None:
    network, rules = detector(), build.parameter_rules(crowns())
    check_patterns(network, rules)
    frozen = frozen_names(network, rules)
    norms = {
        f"{name}.{part}"
        for name, module in network.backbone.named_modules(prefix="backbone")
        if isinstance(module, nn.BatchNorm2d)
        for part in ("weight", "bias")
    }
    assert len(norms) == 2 * 48  # a stem, fifteen blocks with three and one with two
    assert norms <= frozen
    early = ("backbone._conv_stem.", *(f"backbone._blocks.{block}." for block in range(3)))
    others = {name for name, _ in network.named_parameters() if name.startswith(early)}
    assert frozen == norms | others
