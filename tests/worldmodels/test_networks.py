"""The convolutional encoder and decoder."""

import pytest
import torch

from longdream.worldmodels.networks import CNNConfig, Decoder, Encoder


@pytest.mark.parametrize(("size", "stages"), [(40, 3), (64, 4), (24, 3)])
def test_shapes_mirror(size, stages):
    config = CNNConfig(stages=stages, multiplier=4, size=size)
    embedding = Encoder(config)(torch.rand(2, 3, size, size))
    assert embedding.shape == (2, config.embedding)
    assert Decoder(config, 10)(torch.randn(2, 10)).shape == (2, 3, size, size)


def test_a_size_that_does_not_halve_is_refused():
    with pytest.raises(ValueError, match=r"50 pixels.*multiple of 8"):
        CNNConfig(stages=3, size=50)


def test_encoding_does_not_depend_on_the_memory_format():
    encoder = Encoder(CNNConfig(multiplier=4))
    image = torch.rand(2, 3, 40, 40)
    assert torch.allclose(encoder(image), encoder(image.to(memory_format=torch.channels_last)), atol=1e-5)


def test_decoding_starts_around_the_centre():
    image = Decoder(CNNConfig(multiplier=4), 10)(torch.zeros(1, 10))
    assert abs(image.mean().item()) < 0.2
