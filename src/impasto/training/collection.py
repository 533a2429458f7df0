"""Collections of pictures too large to keep: folders, and shards of WebDataset (tar files), read ahead by threads in bounded memory.

Pictures come in an order of their own, each once in an epoch, the same for a seed, whatever the threads do; the place in it is part of a
checkpoint. Within shards the order is random among a few shards at a time, so that a disk reads near what it has just read.
"""

import hashlib
import os
import tarfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from impasto.errors import InputError, PictureError
from impasto.files import atomic_file, names_and_sizes, stamp
from impasto.media.images import filled_pixels, list_pictures, picture_of
from impasto.media.opening import READABLE
from impasto.storage.registry import cache_folder
from impasto.training.data import PictureFolder, Pictures, as_kept
from impasto.training.processes import rank, workers

STREAM_FROM = 5000
"""Pictures in folders that are about as many as are kept decoded; a collection of more is streamed."""

TOGETHER = 8
"""Shards whose pictures are mixed."""

AHEAD = 48
"""Pictures that are decoded ahead, at most 512x512 each: 38 MB."""


class Shard(Protocol):
    """A part of a collection."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def digest(self) -> str:
        """What tells its pictures from others."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[bytes, str]:
        """A picture's file, and its name. Raises OSError."""


class FolderShard:
    """The pictures of a folder."""

    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        files = list_pictures(path)
        self._names = [file.name for file in files]
        self.digest = hashlib.sha256(repr(names_and_sizes(files)).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._names)

    def read(self, index: int) -> tuple[bytes, str]:
        """See `Shard`."""
        path = self.path / self._names[index]
        return path.read_bytes(), str(path)


class TarShard:
    """The pictures of a tar file as WebDataset lays it out: members KEY.jpg, beside whatever else a sample has.

    Where they lie is looked up once, and remembered in the cache as long as the file stays as it is. Raises InputError.
    """

    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        known = hashlib.sha256(repr([str(path.resolve()), stamp(path)]).encode()).hexdigest()[:32]
        kept = cache_folder() / "collections" / f"{known}.npy"
        try:
            self._places = np.load(kept)
        except (OSError, ValueError, EOFError):
            self._places = _places_of(path)
            with atomic_file(kept) as temporary, temporary.open("wb") as stream:
                np.save(stream, self._places)
        self.digest = hashlib.sha256(path.name.encode() + self._places.tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self._places)

    def read(self, index: int) -> tuple[bytes, str]:
        """See `Shard`."""
        start, size = (int(value) for value in self._places[index])
        with self.path.open("rb") as stream:
            stream.seek(start)
            return stream.read(size), f"picture {index} of {self.path}"


def _places_of(path: Path) -> np.ndarray:
    """Where the pictures of a tar file begin, and their sizes, (N, 2) int64. Raises InputError."""
    try:
        with tarfile.open(path, "r:") as archive:
            found = [(member.offset_data, member.size) for member in archive if member.isfile() and _is_picture(member.name)]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{path} is not a tar file that can be read by places ({error}); compressed ones have to be unpacked") from None
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _is_picture(name: str) -> bool:
    """Whether a member is the picture of a sample: KEY.jpg, where KEY ends at the first dot, and not KEY.mask.png."""
    key, dot, ending = Path(name).name.partition(".")
    return bool(key and dot) and f".{ending.lower()}" in READABLE


def shards_of(sources: Sequence[str | os.PathLike[str]]) -> list[Shard]:
    """What lies at folders of pictures, tar files, and folders of tar files. Raises InputError where there is nothing."""
    found: list[Shard] = []
    for source in map(Path, sources):
        tars = [source] if source.suffix == ".tar" else sorted(source.glob("*.tar")) if source.is_dir() else []
        own: list[Shard] = [TarShard(path) for path in tars] or [FolderShard(source)]
        if not any(len(shard) for shard in own):
            raise InputError(f"there are no pictures in {source}")
        found += [shard for shard in own if len(shard)]
    return found


def pictures_of(sources: Sequence[str | os.PathLike[str]], seed: int) -> "PictureFolder | StreamedPictures":
    """The pictures that a training reads: kept decoded where they are some thousands in folders, streamed where they are more or in shards.

    sources: folders of pictures, tar files, or folders of tar files. seed: of the order of a stream. Raises InputError.
    """
    shards = shards_of(sources)
    streamed = any(isinstance(shard, TarShard) for shard in shards) or sum(map(len, shards)) > STREAM_FROM
    return StreamedPictures(shards, seed) if streamed else PictureFolder(sources)


class StreamedPictures(Pictures):
    """Random crops of the pictures of shards, each picture once in an epoch; see `Pictures`.

    Of several processes each gets every n-th picture of the one order. keep: longer side that a picture is brought to, at most. threads:
    that read and decode; all cores but one by default, at most eight.
    """

    def __init__(self, shards: Sequence[Shard], seed: int, *, keep: int = 512, threads: int | None = None):
        super().__init__([])
        self.shards, self.seed, self.keep = list(shards), seed, keep
        self.threads = threads or max(1, min(8, (os.cpu_count() or 2) - 1))
        self._ends = np.cumsum([len(shard) for shard in self.shards])
        self.indices = range(int(self._ends[-1]))  # type: ignore[assignment]
        self._begin(0)

    def _begin(self, position: int) -> None:
        """Take the order from a position on."""
        self.position, self.read, self.broken, self.waited, self._started = position, 0, 0, 0.0, time.monotonic()
        self._coming: deque[Future[Tensor | None]] = deque()
        self._order_from: Iterator[int] | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def digest(self) -> str:
        """What tells these pictures from others: names and places in the shards, wherever these lie."""
        parts = [[shard.digest for shard in self.shards], self.keep, self.seed]
        if not isinstance(self.indices, range):
            parts.append(hashlib.sha256(np.asarray(self.indices).tobytes()).hexdigest())
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def described(self, what: str) -> str:
        """How many there are, and how fast they were read: `120000 photographs in 24 shards (31 a second, waited 0 s for them)`."""
        seconds = max(1e-9, time.monotonic() - self._started)
        broken = f", {self.broken} of them left out: they cannot be read" if self.broken else ""
        speed = f"{self.read / seconds:.0f} a second, waited {self.waited:.0f} s for them"
        return f"{len(self)} {what} in {len(self.shards)} shards ({speed}{broken})"

    def picture(self, index: int) -> Tensor:
        """The whole picture, (3, H, W) uint8, longer side at most `keep`. Raises InputError if none can be read."""
        for step in range(len(self)):
            found = self._decoded_at(int(self.indices[(index + step) % len(self)]))
            if found is not None:
                return found
        raise InputError(f"none of the {len(self)} pictures in {self.shards[0].name} and so on can be read")

    def state(self) -> int:
        """How many of the order are taken."""
        return self.position

    def load(self, state: int) -> None:
        """Continue from there."""
        self._begin(int(state))

    def _taken(self, indices: list[int]) -> "StreamedPictures":
        part = super()._taken(indices)
        assert isinstance(part, StreamedPictures)
        part.indices = np.sort(np.asarray(part.indices, dtype=np.int64))  # type: ignore[assignment]
        part._begin(0)
        return part

    def _next(self, generator: torch.Generator) -> Tensor:
        """The next picture of the order that can be read. Raises InputError if none of an epoch can be."""
        for _ in range(len(self)):
            self._fill()
            began = time.monotonic()
            found = self._coming.popleft().result()
            self.waited += time.monotonic() - began
            self.position += 1
            self.read += 1
            if found is not None:
                return found
            self.broken += 1
        raise InputError(f"none of the {len(self)} pictures in {self.shards[0].name} and so on can be read")

    def _fill(self) -> None:
        """Have as many on their way as are read ahead."""
        if self._order_from is None or self._pool is None:
            self._order_from = self._ordered(self.position * workers() + rank())
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="pictures")
        while len(self._coming) < AHEAD:
            self._coming.append(self._pool.submit(self._decoded_at, next(self._order_from)))

    def _ordered(self, position: int) -> Iterator[int]:
        """The pictures from a position of the order on, epoch after epoch, those of this process."""
        step = workers()
        epoch, offset = divmod(position, len(self))
        while True:
            passed = 0
            for block in self._blocks(epoch):
                if offset >= passed + len(block):
                    passed += len(block)
                    continue
                own = block[torch.randperm(len(block), generator=self._generator(epoch, passed)).numpy()]
                while offset < passed + len(block):
                    yield int(own[offset - passed])
                    offset += step
                passed += len(block)
            epoch, offset = epoch + 1, offset - len(self)

    def _blocks(self, epoch: int) -> Iterator[np.ndarray]:
        """The pictures of a few shards at a time."""
        indices = np.asarray(self.indices)
        order = torch.randperm(len(self.shards), generator=self._generator(epoch, -1)).tolist()
        for start in range(0, len(order), TOGETHER):
            pieces = []
            for shard in order[start : start + TOGETHER]:
                end = int(self._ends[shard])
                low, high = np.searchsorted(indices, [end - len(self.shards[shard]), end])
                pieces.append(indices[low:high])
            yield np.concatenate(pieces)

    def _generator(self, epoch: int, place: int) -> torch.Generator:
        digest = hashlib.sha256(repr([self.seed, epoch, place]).encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def _decoded_at(self, index: int) -> Tensor | None:
        """A picture of the collection, None if it cannot be read."""
        shard = int(np.searchsorted(self._ends, index, side="right"))
        within = index - int(self._ends[shard]) + len(self.shards[shard])
        try:
            return as_kept(filled_pixels(picture_of(*self.shards[shard].read(within))), self.keep)
        except (PictureError, OSError):
            return None
