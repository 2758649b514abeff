"""One thread for torch: tests run beside each other and beside other work, and tiny tensors only lose by more."""

import torch

torch.set_num_threads(1)
