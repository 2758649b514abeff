"""Encoders and decoders of observations."""

import pytest
import torch

from longdream.worldmodels.codecs.catalogue import CODECS, build_decoder, build_encoder
from longdream.worldmodels.codecs.cnn import CNNConfig, CNNDecoder
from longdream.worldmodels.codecs.vectors import VectorConfig, VectorDecoder
from longdream.worldmodels.symlog import symlog

CASES = {
    "40": (CNNConfig(stages=3, multiplier=4, size=40), (3, 40, 40)),
    "64": (CNNConfig(stages=4, multiplier=4, size=64), (3, 64, 64)),
    "24": (CNNConfig(stages=3, multiplier=4, size=24), (3, 24, 24)),
    "vector": (VectorConfig(size=5, units=16), (5,)),
}


def observations(shape, n=3):
    torch.manual_seed(0)
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8) if len(shape) == 3 else 100 * torch.randn(n, *shape)


def test_every_codec_is_tested():
    assert {type(config) for config, _ in CASES.values()} == set(CODECS)


@pytest.mark.parametrize("case", CASES)
def test_shapes_mirror(case):
    config, shape = CASES[case]
    assert build_encoder(config)(observations(shape)).shape == (3, config.embedding)
    decoder = build_decoder(config, 10)
    assert decoder(torch.randn(3, 10)).shape == (3, *shape)
    assert decoder.error(torch.randn(3, 10), observations(shape)).shape == (3,)


def test_the_error_of_images_is_that_of_pixels_between_0_and_1():
    config, shape = CASES["24"]
    decoder, features, obs = CNNDecoder(config, 10).double(), torch.randn(3, 10).double(), observations(shape)
    expected = (decoder(features) - obs / 255).square().sum((1, 2, 3))
    assert torch.allclose(decoder.error(features, obs), expected)


def test_the_error_of_vectors_is_in_symlog_space():
    config, shape = CASES["vector"]
    decoder, features, obs = VectorDecoder(config, 10).double(), torch.randn(3, 10).double(), observations(shape)
    expected = (symlog(decoder(features)) - symlog(obs.double())).square().sum(1)
    assert torch.allclose(decoder.error(features, obs), expected)


def test_a_size_that_does_not_halve_is_refused():
    with pytest.raises(ValueError, match=r"50 pixels.*multiple of 8"):
        CNNConfig(stages=3, size=50)


def test_encoding_does_not_depend_on_the_memory_format():
    config, shape = CASES["40"]
    encoder, image = build_encoder(config), observations(shape)
    assert torch.allclose(encoder(image), encoder(image.to(memory_format=torch.channels_last)), atol=1e-5)


def test_decoding_starts_around_the_centre():
    image = CNNDecoder(CNNConfig(multiplier=4), 10)(torch.zeros(1, 10))
    assert abs(image.mean().item() - 0.5) < 0.2
