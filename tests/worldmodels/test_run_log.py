"""metrics.jsonl, whole and damaged."""

import json

from longdream.worldmodels.run_log import RunLog, read_log

LINES = [{"step": step, "kind": "train", "loss": 1.0} for step in (1, 2, 3)]


def test_lines_that_are_cut_off_or_damaged_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    good = [json.dumps(line).encode() for line in LINES]
    path.write_bytes(b"\n".join([good[0], b"\xff\x00 garbage", b"3", b'{"loss": 1}', good[1], good[2][:-3]]))
    assert read_log(path) == LINES[:2]
    RunLog(path, 1).write(5, "train", {"loss": 2.0})
    assert read_log(path) == [LINES[0], {"step": 5, "kind": "train", "loss": 2.0}]
    assert read_log(tmp_path / "nothing") == []
