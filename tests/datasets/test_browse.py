"""`longdream browse`: its page holds the very frames, is bounded, appears whole or not at all; a browser shows it."""

import base64
import dataclasses
import io
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from longdream.datasets import browse_episode
from longdream.datasets.browse import even_sample, write_page
from longdream.datasets.cli import browse_main
from longdream.datasets.episode import ArraySpec
from longdream.datasets.files import DatasetError
from longdream.datasets.info import ShardRange
from longdream.datasets.reader import EpisodeDataset
from longdream.datasets.store import write_info, write_shard
from longdream.tests.browser import needs_chromium, visit
from longdream.tests.datasets.dataset_toys import ARRAYS, SIZE, toy_episode, toy_info, toy_length, write_toy

MAZE = {
    "maze_layout": ArraySpec("uint8", (4, 6), per_step=False),
    "object_pos": ArraySpec("float32", (1, 2), per_step=False),
    "object_color": ArraySpec("uint8", (1,), per_step=False),
    "agent_dir": ArraySpec("float32", (2,)),
}
ENOUGH = 1e8
# A user at the keyboard: he does something, waits for the frame, and notes what he sees.
USER = """
addEventListener("load", async () => {
  const notes = [], pause = (time) => new Promise((later) => setTimeout(later, time));
  const act = async (name, action) => {
    await action();
    for (let k = 0; k < 100 && $("frame").dataset.shows !== `${shown.episode} ${now}`; k++) {
      await pause(10);
    }
    const pixels = $("frame").getContext("2d").getImageData(0, 0, WIDTH, HEIGHT).data;
    notes.push({
      name, state: $("state").textContent, pixels: [...pixels], values: $("values").innerText,
      agent: $("agent")?.getAttribute("transform"), past: $("past")?.getAttribute("d"),
      cells: document.querySelectorAll("#map .free").length,
      current: $("list").querySelector("[aria-current=true]").innerText,
    });
  };
  const key = (key, shiftKey = false) => () => dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey }));
  await act("open", () => {});
  // The last sheet is still being decoded when he is back at the first frame; it must not be drawn over it.
  await act("hurry", () => { key("End")(); key("Home")(); return pause(200); });
  await act("again", key("ArrowRight"));
  await act("right", key("ArrowRight"));
  await act("ten", key("ArrowRight", true));
  await act("left", key("ArrowLeft"));
  await act("end", key("End"));
  await act("beyond", key("ArrowRight"));
  await act("home", key("Home"));
  await act("slider", () => { $("time").value = 12; $("time").dispatchEvent(new Event("input")); });
  await act("down", key("ArrowDown"));
  await act("list", () => $("list").children[0].click());
  const box = $("curve").getBoundingClientRect();
  const middle = { clientX: box.left + box.width / 2, clientY: box.top + 5 };
  await act("curve", () => $("curve").dispatchEvent(new MouseEvent("click", middle)));
  tell({ notes });
});
"""


def write_mazes(root, **changes):
    """Write a toy data set of two episodes with a map."""
    info = toy_info(2, arrays=ARRAYS | MAZE, **changes)
    (root / "tmp").mkdir(parents=True)
    write_info(root, info, replace=False)
    layout = np.ones((4, 6), np.uint8)
    layout[0, 1:3] = 0
    episodes = []
    for e in range(2):
        episode = toy_episode(e)
        angle = np.linspace(0, 3, len(episode))
        sides = {
            "maze_layout": layout,
            "object_pos": np.array([[4.5, 2.5]], np.float32),
            "object_color": np.array([2], np.uint8),
            "agent_dir": np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32),
        }
        episodes.append(dataclasses.replace(episode, extras=episode.extras | sides))
    write_shard(root, info, ShardRange(0, 2), episodes)
    return EpisodeDataset(root)


def blocks(path):
    """Return the JSON of a page's blocks: {id: content}."""
    found = re.findall(r'<script type="application/json" id="([^"]*)">(.*?)</script>', path.read_text(), re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def frames_of(content, length, across):
    """Cut the frames out of an episode's sheets again, (T H W C)."""
    found = []
    for sheet in content["sheets"]:
        kind, _, data = sheet.partition(",")
        assert kind == "data:image/webp;base64"
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        for top in range(0, picture.shape[0], SIZE):
            for column in range(across):
                found.append(picture[top : top + SIZE, column * SIZE : (column + 1) * SIZE])
    return np.stack(found[:length])


@pytest.mark.parametrize("pixels", [2048, 3 * SIZE + 5])
def test_the_page_holds_the_very_frames_and_numbers(tmp_path, monkeypatch, pixels):
    monkeypatch.setattr(browse_episode, "SHEET", pixels)
    write_toy(tmp_path / "toy", 10)
    page = write_page(EpisodeDataset(tmp_path / "toy"), [9, 3], tmp_path / "page.html", ENOUGH)
    assert page.episodes == [9, 3]
    assert page.bytes == (tmp_path / "page.html").stat().st_size
    found = blocks(tmp_path / "page.html")
    assert list(found) == ["episode-9", "episode-3", "index"]
    assert [entry["split"] for entry in found["index"]["episodes"]] == ["validation", "train"]
    for e in (9, 3):
        episode, content = toy_episode(e), found[f"episode-{e}"]
        assert len(content["sheets"]) == (1 if pixels == 2048 else -(-len(episode) // 9))
        np.testing.assert_array_equal(frames_of(content, len(episode), pixels // SIZE), episode.obs)
        assert content["action"] == [None, *episode.action[1:].argmax(1).tolist()]
        np.testing.assert_allclose(content["reward"], episode.reward, atol=1e-6)
        assert content["query"] == [[14, len(episode)]]
        assert content["pad"] == [[len(episode) - 2, len(episode)]]
        assert content["terminal"] == [len(episode) - 1]
        np.testing.assert_allclose(content["map"]["path"], episode.extras["agent_pos"], atol=1e-3)
        assert content["values"]["seed"] == {"value": str(2**63 + e)}
        assert content["values"]["layout"] == {"value": episode.extras["layout"].tolist()}


def test_the_page_needs_nothing_else_and_no_text_can_end_its_data(tmp_path):
    write_toy(tmp_path / "toy", 2, options={"name": "</script><script>alert(1)</script>"})
    write_page(EpisodeDataset(tmp_path / "toy"), [0], tmp_path / "page.html", ENOUGH)
    text = (tmp_path / "page.html").read_text()
    assert "alert(1)</script>" not in text
    assert blocks(tmp_path / "page.html")["index"]["options"]["name"] == "</script><script>alert(1)</script>"
    assert set(re.findall(r"https?://[^\"' ]*", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"<link|<iframe|\bimport\b|fetch\(|src=", text)


def test_the_page_is_bounded_and_says_what_is_left_out(tmp_path):
    write_toy(tmp_path / "toy", 4)
    dataset, out = EpisodeDataset(tmp_path / "toy"), tmp_path / "page.html"
    whole = write_page(dataset, [0, 1, 2, 3], out, ENOUGH)
    page = write_page(dataset, [0, 1, 2, 3], out, 0.6 * whole.bytes)
    assert page.bytes < 0.6 * whole.bytes
    assert page.episodes
    assert sorted(page.episodes + page.left_out) == [0, 1, 2, 3]
    assert set(blocks(out)) == {"index", *(f"episode-{e}" for e in page.episodes)}
    with pytest.raises(ValueError, match="larger --max-mb"):
        write_page(dataset, [0], tmp_path / "other.html", 1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "toy"]


def test_a_page_that_fails_half_way_leaves_the_one_before(tmp_path):
    write_toy(tmp_path / "toy", 8)
    dataset, out = EpisodeDataset(tmp_path / "toy"), tmp_path / "page.html"
    write_page(dataset, [0], out, ENOUGH)
    before = out.read_bytes()
    (tmp_path / "toy/shards/000004-000008/image/c/0/0/0/0").write_bytes(b"")
    with pytest.raises(DatasetError, match="000004-000008"):
        write_page(dataset, [1, 5], out, ENOUGH)
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "toy"]


def test_an_even_sample_has_both_ends():
    assert even_sample(np.arange(10, 15)) == [10, 11, 12, 13, 14]
    sample = even_sample(np.arange(1000))
    assert len(sample) == 24
    assert (sample[0], sample[-1]) == (0, 999)
    assert set(np.diff(sample)) <= {43, 44}


def test_the_command(tmp_path, monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["longdream", *map(str, words)])
        browse_main()

    root = tmp_path / "toy"
    write_toy(root, 6)
    call(root)
    assert re.search(r"browse\.html: 6 of 6 episodes, 0\.\d+ MB", capsys.readouterr().out)
    assert [entry["episode"] for entry in blocks(root / "browse.html")["index"]["episodes"]] == list(range(6))
    call(root, "--episodes", 4, 2, 4, "--out", tmp_path / "two.html")
    assert [entry["episode"] for entry in blocks(tmp_path / "two.html")["index"]["episodes"]] == [4, 2]
    for words, message in [
        ([root, "--episodes", 6], "episode 6 is not in"),
        ([root, "--out", tmp_path / "no/page.html"], "choose another place with --out"),
        ([root, "--max-mb", 0.001], "larger --max-mb"),
    ]:
        with pytest.raises(SystemExit) as stop:
            call(*words)
        assert stop.value.code == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


@needs_chromium
def test_it_works_in_a_browser(tmp_path, monkeypatch):
    """Keys, slider, list and curve lead to the very frames, to the last pixel, over several sheets."""
    monkeypatch.setattr(browse_episode, "SHEET", 3 * SIZE)
    dataset = write_mazes(tmp_path / "toy")
    write_page(dataset, [0, 1], tmp_path / "page.html", ENOUGH)
    found = visit(tmp_path / "page.html", USER, tmp_path, "#episode=0&step=3")
    assert found["errors"] == found["requests"] == []
    assert found["wide"]
    notes = {note["name"]: note for note in found["notes"]}
    last = toy_length(0) - 1
    places = {
        "open": (0, 3), "hurry": (0, 0), "again": (0, 1), "right": (0, 2), "ten": (0, 12), "left": (0, 11),
        "end": (0, last), "beyond": (0, last), "home": (0, 0), "slider": (0, 12), "down": (1, 0), "list": (0, 0),
        "curve": (0, 10),
    }  # fmt: skip
    assert list(notes) == list(places)
    for name, (e, t) in places.items():
        note, episode = notes[name], toy_episode(e)
        kind = "padding" if episode.pad[t] else "query" if episode.phase[t] else "context"
        assert note["state"] == f"episode {e}, step {t} of {len(episode)}, {kind}", name
        assert note["current"].startswith(f"Episode {e}")
        np.testing.assert_array_equal(np.reshape(note["pixels"], (SIZE, SIZE, 4))[..., :3], episode.obs[t], name)
        x, y = episode.extras["agent_pos"][t].tolist()
        drawn = [float(number) for number in re.findall(r"-?[\d.]+", note["agent"])]
        angle = -np.degrees(np.linspace(0, 3, len(episode))[t])  # pictures count angles clockwise
        np.testing.assert_allclose(drawn[:3], [x, -y, angle], atol=1)
        np.testing.assert_allclose(drawn[:2], [x, -y], atol=2e-3)
        assert len(re.findall("[ML]", note["past"])) == t + 1
        assert note["cells"] == 4 * 6 - 2
