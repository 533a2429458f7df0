"""Paintings learned, and measurements made, on a cluster."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from impasto.errors import ImpastoError
from impasto.events import Listener, silence
from impasto.files import atomic_file
from impasto.job.cluster import Cluster, Failure, Task, connected
from impasto.job.learn import learn_painting
from impasto.settings import Controls


def learn_on_cluster(
    address: str,
    paintings: Sequence[tuple[Path, Path]],
    name: str | None,
    licence: str,
    source: str,
    photos: Sequence[Path] | None,
    controls: Controls,
    listener: Listener,
) -> Iterator[tuple[Path, ImpastoError | None]]:
    """Learn paintings, each a task that gets the picture's bytes and gives those of the style file; for each a file, or what went wrong.

    paintings: pictures, and where their style files go. photos: folders that all machines see. Raises InputError for the address.
    """
    folders = None if photos is None else [folder.absolute() for folder in photos]
    with connected(address) as cluster:
        tasks = [Task((painting.name, painting.read_bytes(), name, licence, source, folders, controls)) for painting, _ in paintings]
        for number, result in cluster.run(_learn, tasks, listener):
            target = paintings[number][1]
            if isinstance(result, Failure):
                yield target, result.error
                continue
            with atomic_file(target) as temporary:
                temporary.write_bytes(result)
            yield target, None


def _learn(file: str, data: bytes, name: str | None, licence: str, source: str, photos: Sequence[Path] | None, controls: Controls) -> bytes:
    """A task: the style file of a painting."""
    with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
        painting = Path(folder) / file
        painting.write_bytes(data)
        output = Path(folder) / "learned" / "style.safetensors"
        return learn_painting(painting, output, name or painting.stem, licence, source, photos, controls, silence).read_bytes()


def each_on(cluster: Cluster) -> Callable[[Callable[..., Any], Sequence[tuple[Any, ...]], Listener], Iterator[Any]]:
    """`impasto.evaluation.each.in_order` on a cluster; a measurement that fails there raises its error."""

    def each(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], listener: Listener) -> Iterator[Any]:
        found: dict[int, Any] = {}
        for number, result in cluster.run(function, [Task(call) for call in calls], listener):
            if isinstance(result, Failure):
                raise result.error
            found[number] = result
        return (found[number] for number in range(len(calls)))

    return each
