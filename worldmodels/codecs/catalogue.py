"""Every codec, by the dataclass that configures it: one line each, and one more name in the union."""

from __future__ import annotations

from typing import NamedTuple

from .base import Decoder, Encoder
from .cnn import CNNConfig, CNNDecoder, CNNEncoder
from .vectors import VectorConfig, VectorDecoder, VectorEncoder

CodecConfig = CNNConfig | VectorConfig  # each has `embedding`, the length of an embedding


class Codec(NamedTuple):
    """The two halves."""

    encoder: type[Encoder]
    decoder: type[Decoder]


CODECS: dict[type, Codec] = {
    CNNConfig: Codec(CNNEncoder, CNNDecoder),
    VectorConfig: Codec(VectorEncoder, VectorDecoder),
}


def build_encoder(config: CodecConfig) -> Encoder:
    """Return a new encoder."""
    return CODECS[type(config)].encoder(config)


def build_decoder(config: CodecConfig, features: int) -> Decoder:
    """Return a new decoder of `features` values."""
    return CODECS[type(config)].decoder(config, features)
