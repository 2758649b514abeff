"""The smallest S4WM, from which tests make its relatives."""

from longdream.worldmodels.backbones.s4 import S4Config
from longdream.worldmodels.codecs.cnn import CNNConfig
from longdream.worldmodels.latents import LatentConfig
from longdream.worldmodels.parallel import ParallelConfig

S4 = S4Config(blocks=1, width=12, mlp=16, state=8, kernel="dplr")
S4WM = ParallelConfig(
    actions=3,
    codec=CNNConfig(stages=2, multiplier=4, size=8),
    latent=LatentConfig(variables=4, classes=5),
    units=16,
    head_layers=1,
    backbone=S4,
)
