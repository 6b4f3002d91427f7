"""The paper's network, layer by layer (Sec. III.B), and the order of the tables."""

import pytest
import torch
from torch import nn

from colorlib.losses import OBJECTIVES
from colorlib.model import NETWORKS, EncoderDecoder, Head, parameter_count
from colorlib.rng import fork_torch_rng
from colorlib.targets import RGB, TARGETS

LAYERS = [(1, 64), (64, 128), (128, 256), (256, 128), (128, 64), (64, 3)]


@pytest.fixture(scope="module")
def network() -> EncoderDecoder:
    with fork_torch_rng(0, "test"):
        return EncoderDecoder(RGB.head)


def test_it_has_740227_parameters(network: EncoderDecoder):
    by_hand = sum(3 * 3 * channels_in * channels_out + channels_out for channels_in, channels_out in LAYERS)
    assert by_hand == 740_227
    assert parameter_count(network) == by_hand


def test_its_layers_are_the_papers(network: EncoderDecoder):
    layers = [*network.encoder, *network.decoder]
    convolutions, activations = layers[::2], layers[1::2]
    assert [(layer.in_channels, layer.out_channels) for layer in convolutions] == LAYERS
    for layer in convolutions:
        assert type(layer) is nn.Conv2d
        assert (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
        assert layer.bias is not None
        assert layer.padding_mode == "zeros"
    assert [type(layer) for layer in activations] == [nn.ReLU] * 5 + [nn.Sigmoid]
    assert [network.encoder, network.decoder] == list(network.children())


def test_an_output_pixel_sees_13_by_13_input_pixels(network: EncoderDecoder):
    light = torch.rand(1, 1, 41, 37, generator=torch.Generator().manual_seed(0))
    changed = light.clone()
    changed[0, 0, 20, 18] += 0.5
    # In double precision, because the differences at the border are small.
    with torch.inference_mode():
        double = EncoderDecoder(RGB.head).double()
        double.load_state_dict(network.state_dict())
        difference = (double(changed.double()) - double(light.double())).abs().amax(dim=(0, 1))
    rows, columns = difference.nonzero().unbind(1)
    assert (rows.min(), rows.max()) == (20 - 6, 20 + 6)
    assert (columns.min(), columns.max()) == (18 - 6, 18 + 6)
    assert network.halo == 6


@pytest.mark.parametrize("size", [(48, 48), (13, 29), (1, 1)])
def test_it_keeps_height_and_width(network: EncoderDecoder, size: tuple[int, int]):
    with torch.inference_mode():
        output = network(torch.rand(2, 1, *size))
    assert output.shape == (2, 3, *size)
    assert ((output > 0) & (output < 1)).all()


def test_the_head_sets_channels_and_activation():
    network = EncoderDecoder(Head(channels=2, activation=nn.Tanh))
    assert network(torch.zeros(1, 1, 4, 4)).shape == (1, 2, 4, 4)
    assert type(network.decoder[-1]) is nn.Tanh
    assert parameter_count(network) == 740_227 - (3 * 3 * 64 + 1)


def test_the_first_row_of_each_table_is_the_papers():
    assert next(iter(NETWORKS)) == "encoder-decoder"
    assert next(iter(TARGETS)) == "rgb"
    assert next(iter(OBJECTIVES)) == "mse"


def test_of_the_lite0_u_net_the_decoder_alone_is_trained():
    network, light = NETWORKS["lite0-unet"](RGB.head), torch.rand(2, 1, 40, 64)
    network(light).sum().backward()
    trained = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    frozen = {name for name, _ in network.named_parameters()} - trained
    assert frozen == {name for name in network.state_dict() if name.startswith("encoder.")}
    assert {name.partition(".")[0] for name in trained} == {"stem", "deepest", "up", "merge", "out"}
    gradients = dict(network.named_parameters())
    assert all(float(gradients[name].grad.abs().max()) > 0 for name in trained)


@pytest.mark.parametrize("size", [(32, 48), (21, 37)])
def test_relu_in_place_gives_the_u_nets_the_same_bytes(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    """Output and gradients; in place means that no layer calls `relu`."""
    with fork_torch_rng(0, "test"):
        network, light = NETWORKS["unet"](RGB.head), torch.rand(2, 1, *size)

    def computed() -> list[torch.Tensor]:
        output = network(light)
        return [output, *torch.autograd.grad(output.square().sum(), list(network.parameters()))]

    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "relu_", torch.Tensor.relu)
        expected = computed()
    monkeypatch.setattr(torch.Tensor, "relu", None)
    assert all(torch.equal(one, other) for one, other in zip(computed(), expected, strict=True))
