"""`longdream inspect` and `longdream verify` as a user meets them."""

import matplotlib.image

from longdream.datasets.cli import inspect_main, verify_main
from longdream.tests.datasets.dataset_toys import write_toy


def test_inspect_says_what_is_there_and_draws_it(tmp_path, call):
    write_toy(tmp_path / "toy", 10)
    code, out, _ = call(inspect_main, tmp_path / "toy", "--episodes", 2)
    assert code == 0
    for words in [
        "toy (options: width=12)",
        "10 of 10",
        "train 8, validation 1, test 1",
        "21 to 37",
        "context 14, query 9",
        "uint8 (T, 20, 20, 3)",
        "uint8 (3, 3) an episode",
        "times smaller",
    ]:
        assert words in out
    picture = (matplotlib.image.imread(tmp_path / "toy/inspect.png")[..., :3] * 255).round().astype(int)
    colors = {tuple(color) for color in picture.reshape(-1, 3).tolist()}
    assert {(66, 133, 244), (244, 140, 40), (150, 150, 150)} <= colors  # context, query, padding


def test_inspect_of_a_data_set_that_is_not_finished(tmp_path, call):
    write_toy(tmp_path / "toy", 10)
    for shard in (tmp_path / "toy/shards").iterdir():
        shard.rename(tmp_path / shard.name)
    code, out, _ = call(inspect_main, tmp_path / "toy")
    assert code == 0
    assert "nothing yet" in out
    assert "0 of 10 (run the same `collect` command again to go on)" in out
    assert not (tmp_path / "toy/inspect.png").exists()


def test_inspect_errors_are_one_line(tmp_path, call):
    write_toy(tmp_path / "toy", 4)
    for code, words, message in [
        (1, [tmp_path], "holds no dataset.json"),
        (2, [tmp_path / "toy", "--out", tmp_path / "no/where.png"], "choose another place with --out"),
        (2, [tmp_path / "toy", "--episodes", -1], "--episodes -1"),
    ]:
        found, _, err = call(inspect_main, *words)
        assert (found, err.count("\n")) == (code, 1)
        assert message in err


def test_verify_names_everything_bad_and_how_to_mend_it(tmp_path, call):
    root = tmp_path / "toy"
    write_toy(root, 10)
    code, out, _ = call(verify_main, root)
    assert code == 0
    assert "10 episodes" in out
    image = root / "shards/000004-000008/image/c/0/0/0/0"
    data = bytearray(image.read_bytes())
    data[len(data) // 3] ^= 4
    image.write_bytes(data)
    (root / "shards/000004-000008/reward/c/0").unlink()
    (root / "shards/000008-000010").rename(tmp_path / "elsewhere")
    code, out, err = call(verify_main, root)
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert len(lines) == 4
    assert "000004-000008: image/c/0/0/0/0 is damaged" in lines[0]
    assert "000004-000008: reward/c/0 is missing" in lines[1]
    assert "000008-000010 is missing" in lines[2]
    assert "`collect`" in lines[3]


def test_verify_of_nothing_is_one_line(tmp_path, call):
    code, _, err = call(verify_main, tmp_path / "none")
    assert (code, err.count("\n")) == (1, 1)
    assert "is no folder" in err
