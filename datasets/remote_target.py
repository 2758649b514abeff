"""Making a data set in an object store, where nothing can be renamed: a shard is there once its manifest is.

Several collectors at work on one shard put the same bytes, so it does not matter whose files stay; the manifest is
created, not replaced, and only one of them can. (With other versions of zstd the bytes may differ: who then comes
second has put files under the first one's manifest, sees it, and makes the shard his. Killed before that he leaves a
damaged shard, which `verify` names and the next `collect` makes again.) Without a manifest, files are read by nobody,
whether a killed upload or a shard that was set aside has left them; making the shard again replaces them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .episode import Episode
from .files import remove, remove_stale, scratch, seal
from .info import INFO, DatasetInfo, ShardRange
from .manifest import MANIFEST
from .remote import RemoteFolder
from .shard import SHARDS, Place
from .target import DAMAGED, Target
from .verify import shard_problems

AT_ONCE = 8  # files on their way


class RemoteTarget(Target):
    """A folder of an object store. Shards are written in a scratch folder on disk and sent from there."""

    def __init__(self, folder: RemoteFolder) -> None:
        self.folder: RemoteFolder = folder
        self.scratch = Path(tempfile.gettempdir()) / f"longdream-{os.getuid()}"

    def begin(self) -> None:
        if not self.folder.lists:
            raise ValueError(f"{self.folder}: a web server cannot be written to; take s3://, gs:// or az://")

    def write_info(self, info: DatasetInfo, replace: bool) -> bool:
        return self._put_bytes(self.folder, INFO, seal(info.to_json()).encode(), replace)

    def write_shard(self, info: DatasetInfo, what: ShardRange, episodes: Iterable[Episode]) -> bool:
        from .store import build_shard

        draft = scratch(self.scratch, what.name)
        try:
            files = build_shard(draft, info, what, episodes).files
            return self._send(draft, info, what, list(files))
        finally:
            remove(draft)

    def set_aside(self, what: ShardRange) -> None:
        """Copy a shard, if it is there, and remove its manifest only: another collector may be putting the rest anew.

        Two that do this at once may remove a new manifest too; the shard is then missing, and made again.
        """
        shard = self._shard(what)
        away = self.folder / DAMAGED / scratch(Path(), what.name).name
        files = self._files(shard)
        if MANIFEST not in files:
            return
        for file in files:
            with contextlib.suppress(FileNotFoundError), shard.request(file):
                shard.store.copy(shard.path(file), away.path(file))
        with contextlib.suppress(FileNotFoundError), shard.request(MANIFEST):
            shard.store.delete(shard.path(MANIFEST))

    def remove(self, what: ShardRange) -> None:
        shard = self._shard(what)
        for file in self._files(shard):
            with contextlib.suppress(FileNotFoundError), shard.request(file):
                shard.store.delete(shard.path(file))

    def remove_stale(self) -> None:
        remove_stale(self.scratch)

    def _shard(self, what: ShardRange) -> RemoteFolder:
        return self.folder / SHARDS / what.name

    def _files(self, shard: RemoteFolder) -> list[str]:
        """List a shard's files, the manifest first: without it the shard is gone, whatever else is still there."""
        below = len(shard.path(""))
        files = [path[below:] for path in shard.listed().sizes or {}]
        return sorted(files, key=lambda file: (file != MANIFEST, file))

    def _send(self, draft: Path, info: DatasetInfo, what: ShardRange, files: list[str]) -> bool:
        """Put a shard's files and, when all are there, its manifest."""
        shard = self._shard(what)
        if shard.has(MANIFEST):
            return False

        def put(file: str) -> None:
            with shard.request(file):
                shard.store.put(shard.path(file), draft / file)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(put, files))
        manifest = (draft / MANIFEST).read_bytes()
        if self._put_bytes(shard, MANIFEST, manifest, replace=False):
            return True
        if self._is_whole(info, what, manifest):
            return False
        self.set_aside(what)
        return self._send(draft, info, what, files)

    def _is_whole(self, info: DatasetInfo, what: ShardRange, manifest: bytes) -> bool:
        """Say whether the files fit the manifest that was there first; if it is equal to ours they do."""
        shard = self._shard(what)
        try:
            return shard.read(MANIFEST) == manifest or not shard_problems(Place(what, shard.listed()), info)
        except FileNotFoundError:  # another collector has set it aside since
            return False

    def _put_bytes(self, folder: RemoteFolder, file: str, content: bytes, replace: bool) -> bool:
        """Put a small file; False if it is there already and not to be replaced."""
        try:
            with folder.request(file):
                folder.store.put(folder.path(file), content, mode="overwrite" if replace else "create")
        except FileExistsError:
            return False
        return True
