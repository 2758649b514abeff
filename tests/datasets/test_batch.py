"""What a batch knows of itself on the host, and how it gets to a GPU."""

import contextlib

import pytest
import torch

from longdream.datasets import draft
from longdream.datasets.batch import Batch, most_starts
from longdream.worldmodels.feed import Upload

STARTS = [[1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 1, 0], [1, 1, 0, 0, 0, 0]]
GPU = torch.device("cuda")


def batch_of(starts=STARTS):
    first = torch.tensor(starts, dtype=torch.bool)
    rows = first.float()
    return Batch(rows[..., None], rows[..., None], rows, rows, first)


def test_starts_are_counted_on_the_way_to_a_device():
    assert batch_of().inside is None
    assert batch_of().to("cpu").inside == 2  # step 0 does not count
    assert batch_of(STARTS[:1]).to("cpu").inside == 0
    assert batch_of()._replace(inside=5).to("cpu").inside == 5  # who says so knows


@pytest.mark.parametrize(("device", "waits"), [("cuda", False), ("cpu", True)])
def test_the_host_waits_for_what_comes_back_from_a_gpu(monkeypatch, device, waits):
    asked = []
    monkeypatch.setattr(torch.Tensor, "to", lambda x, where, non_blocking: (asked.append(not non_blocking), x)[1])
    batch_of().to(device)
    assert asked == [waits] * 5


@pytest.mark.parametrize(
    "cut", [lambda b: b.window(1, 4), lambda b: b.rows(0, 2), lambda b: b.afresh(), Batch.contiguous]
)
def test_what_is_known_bounds_every_part(cut):
    batch = cut(batch_of().to("cpu"))
    assert most_starts(batch.first) <= batch.inside <= 2


def test_rows_and_copies():
    batch = batch_of().to("cpu")
    assert torch.equal(batch.rows(1, 3).first, batch.first[1:3])
    copy = batch.window(0, 2).contiguous()
    assert torch.equal(copy.first, batch.first[:, :2])
    assert copy.first.untyped_storage().nbytes() == 6


class Streams:
    """In place of a GPU's streams: notes what is asked of them, in order."""

    def __init__(self, monkeypatch):
        self.done, self.inside = [], "compute"
        streams = self

        class Stream:
            def __init__(self, device=None, name="copy"):
                self.name = name

            def wait_stream(self, other):
                streams.done.append((self.name, "waits for", other.name))

            def synchronize(self):
                streams.done.append(("host", "waits for", self.name))

        @contextlib.contextmanager
        def stream(of):
            before, streams.inside = streams.inside, of.name
            yield
            streams.inside = before

        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "stream", stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream(name="compute"))
        monkeypatch.setattr(
            torch.Tensor,
            "record_stream",
            lambda x, of: self.done.append((of.name, "holds", x.untyped_storage().data_ptr())),
        )


def test_a_batch_is_copied_beside_the_computation_which_then_waits_for_it(monkeypatch):
    streams, batch = Streams(monkeypatch), batch_of()
    monkeypatch.setattr(
        Batch, "to", lambda b, device: (streams.done.append((streams.inside, "copies to", device.type)), b)[1]
    )
    assert Upload(GPU)(batch) is batch
    copied, waited, *held = streams.done
    assert copied == ("copy", "copies to", "cuda")
    assert waited == ("compute", "waits for", "copy")
    assert held == [("compute", "holds", x.untyped_storage().data_ptr()) for x in batch.tensors]


def test_on_a_cpu_there_are_no_streams():
    assert Upload(torch.device("cpu"))(batch_of()).inside == 2


def test_frames_are_drawn_beside_the_computation_and_are_there(monkeypatch):
    streams = Streams(monkeypatch)
    draft._stream.cache_clear()
    with draft.beside(GPU):
        streams.done.append((streams.inside, "draws"))
    with draft.beside(torch.device("cpu")):
        streams.done.append((streams.inside, "draws"))
    assert streams.done == [("copy", "draws"), ("host", "waits for", "copy"), ("compute", "draws")]
    draft._stream.cache_clear()
