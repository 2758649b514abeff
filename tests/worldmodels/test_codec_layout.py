"""Images stay channels last from the disk to the loss: no convolution meets another layout, nothing is rearranged."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from longdream.datasets.loader import read_batch, whole
from longdream.datasets.reader import EpisodeDataset
from longdream.worldmodels.codecs.cnn import CNNConfig, CNNDecoder, CNNEncoder

CONFIG = CNNConfig(stages=2, multiplier=4, size=8)
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")


class Layouts(TorchDispatchMode):
    """Counts convolutions, and notes which operations meet, or make, images that are not channels last."""

    def __init__(self):
        super().__init__()
        self.convolutions, self.astray = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function._schema.name
        if name in CONVOLUTIONS:
            self.convolutions += 1
            images = [x for x in (*args[:3], *(result if isinstance(result, tuple) else [result])) if images_of(x)]
            self.astray += [(name, x.shape) for x in images if not x.is_contiguous(memory_format=torch.channels_last)]
        if name in ("aten::clone", "aten::contiguous", "aten::copy_") and images_of(args[0]):
            self.astray.append((name, args[0].shape))
        return result


def images_of(x):
    return isinstance(x, torch.Tensor) and x.dim() == 4


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_no_convolution_meets_another_layout(toy_data, precision):
    dataset = EpisodeDataset(toy_data)
    batch = read_batch(dataset, whole(dataset, [0, 1])).to("cpu")
    frames = batch.obs.flatten(0, 1)
    assert frames.data_ptr() == batch.obs.data_ptr()  # as they were decoded
    torch.manual_seed(0)
    encoder, decoder = CNNEncoder(CONFIG), CNNDecoder(CONFIG, 10)
    features = torch.randn(len(frames), 10, requires_grad=True)
    with Layouts() as layouts:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = encoder(frames).float().square().sum() + decoder.error(features, frames).sum()
        loss.backward()
    assert layouts.convolutions == 2 * 2 * CONFIG.stages
    assert layouts.astray == []
