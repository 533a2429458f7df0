"""The registry: one record for every weight and every bundled style, and where its file is found.

Looked for in this order: bundled in `assets/`, in the cache, on the public model hub. A bundled asset is a file with
its record beside it (`NAME.json`); a cached one the same; what can be fetched is listed here.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from impasto.errors import ImpastoError, UnavailableError, unknown
from impasto.files import atomic_file, sha256_of
from impasto.names import is_plain_name
from impasto.storage.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

ASSETS = Path(__file__).resolve().parent.parent / "assets"
NETWORK_TIMEOUT = 10.0
"""Seconds to wait for an answer of the hub before giving up."""


@dataclass(frozen=True)
class Record:
    """What is known of one file.

    kind: "encoder", "network", "solver", "decoder", "style" or "painting". size in bytes, 0 and an empty sha256 while not fetched.

    hub: "owner/repository/file" on the public model hub, empty if the file is bundled. pin: SHA-256 of the file that is published there;
    any other is refused, whatever the hub says of it. Where no pin is known, the first file that is fetched becomes it, in the cache.
    source: the painting's painter and year, or what a network was trained with.
    """

    name: str
    kind: str
    file: str
    licence: str
    title: str = ""
    source: str = ""
    paper: str = ""
    sha256: str = ""
    size: int = 0
    hub: str = ""
    pin: str = ""

    def __post_init__(self) -> None:
        for name in (self.name, self.file):
            if not is_plain_name(name):
                raise ValueError(f"{name!r} is no name of a file")


_VGG_PAPER = "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015"
_VGG_LICENCE = "BSD-3-Clause (torchvision); the original weights CC BY 4.0, Visual Geometry Group, Oxford"

FETCHABLE = tuple(
    Record(
        name,
        "encoder",
        f"{name}.safetensors",
        _VGG_LICENCE,
        f"{title}, torchvision's weights, convolutions only",
        "trained on ImageNet for classification",
        _VGG_PAPER,
        hub=f"timm/{name}.tv_in1k/model.safetensors",
    )
    for name, title in (("vgg19", "VGG-19"), ("vgg16", "VGG-16"))
)

Converter = Callable[["dict[str, Tensor]"], "dict[str, Tensor]"]


def cache_folder() -> Path:
    """Where fetched and made files are kept: $IMPASTO_CACHE, or the user's cache folder of the platform."""
    return Path(os.environ.get("IMPASTO_CACHE") or platformdirs.user_cache_dir("impasto"))


def read_record(path: Path) -> Record:
    """The record in a JSON file beside its asset."""
    known = {item.name for item in fields(Record)}
    return Record(**{key: value for key, value in json.loads(path.read_text(encoding="utf-8")).items() if key in known})


def write_record(record: Record, folder: Path) -> None:
    """Write NAME.json beside the file that the record describes, with its true size and checksum."""
    file = folder / record.file
    content = asdict(record) | {"sha256": sha256_of(file), "size": file.stat().st_size}
    with atomic_file(folder / f"{record.name}.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def bundled(kind: str) -> dict[str, Record]:
    """Records of everything of one kind that came with the package, by name."""
    records = (read_record(path) for path in sorted((ASSETS / f"{kind}s").glob("*.json")))
    return {record.name: record for record in records}


def fetchable(kind: str) -> dict[str, Record]:
    """Records of everything of one kind that can be fetched on demand, by name."""
    return {record.name: record for record in FETCHABLE if record.kind == kind}


def is_cached(record: Record) -> bool:
    """True if a fetched copy lies in the cache and is whole."""
    file, note = cache_folder() / record.file, cache_folder() / f"{record.name}.json"
    if not file.is_file() or not note.is_file():
        return False
    try:
        return read_record(note).sha256 == sha256_of(file)
    except (ValueError, TypeError):
        return False


def is_at_hand(name: str, kind: str) -> bool:
    """Whether a registered name is bundled or cached, so that nothing has to be fetched for it."""
    return name in bundled(kind) or (name in fetchable(kind) and is_cached(fetchable(kind)[name]))


def locate(name: str, kind: str, *, convert: Converter | None = None) -> Path:
    """The file of a registered name: bundled, cached, or fetched now.

    convert turns the tensors of a fetched file into those that are kept. Raises UnavailableError if the name is not
    registered, or neither bundled nor cached and the hub cannot be reached.
    """
    known = bundled(kind)
    if name in known:
        return ASSETS / f"{kind}s" / known[name].file
    remote = fetchable(kind)
    if name not in remote:
        raise UnavailableError(unknown(kind, name, [*known, *remote]))
    record = remote[name]
    if not is_cached(record):
        _fetch(record, convert or (lambda tensors: tensors))
    return cache_folder() / record.file


def _fetch(record: Record, convert: Converter) -> None:
    """Download, verify, convert, and write to the cache with a record of what was written."""
    remedy = f"connect once so that it can be cached, or give a safetensors file of it (--encoder FILE); cache: {cache_folder()}"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise UnavailableError(f"{record.name} is neither bundled nor cached, and HF_HUB_OFFLINE forbids fetching; {remedy}")
    downloads = cache_folder() / "downloads"
    try:
        path = _download(record.hub, downloads)
        pin = record.pin or _pinned(record)
        record = replace(record, pin=sha256_of(path))
        if pin and pin != record.pin:
            wrong = f"what came for {record.hub} is not the file that is pinned (SHA-256 {pin[:16]}...)"
            raise UnavailableError(f"{wrong}: nothing was kept; {remedy}")
        tensors = convert(read_tensors(path, "encoder")[0])
        write_tensors(cache_folder() / record.file, tensors, "encoder")
    except ImportError:
        raise UnavailableError(f"{record.name} has to be fetched, and that needs: pip install 'impasto[hub]'") from None
    except ImpastoError:
        raise
    except Exception as error:  # the hub's client raises errors of several libraries
        reason = type(error).__name__
        raise UnavailableError(f"{record.name} is neither bundled nor cached and could not be fetched ({reason}); {remedy}") from None
    finally:
        shutil.rmtree(downloads, ignore_errors=True)
    write_record(record, cache_folder())


def _pinned(record: Record) -> str:
    """The pin of an earlier fetch, "" if there was none."""
    try:
        return read_record(cache_folder() / f"{record.name}.json").pin
    except (OSError, ValueError, TypeError):
        return ""


def _download(hub: str, folder: Path) -> Path:
    """One file of the hub into a folder, its SHA-256 checked against the hub's. One short question first: it fails fast."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    owner, repository, file = hub.split("/", 2)
    endpoint = os.environ.get("HF_ENDPOINT")
    url = hf_hub_url(f"{owner}/{repository}", file, endpoint=endpoint)
    metadata = get_hf_file_metadata(url, timeout=NETWORK_TIMEOUT, endpoint=endpoint)
    path = Path(hf_hub_download(f"{owner}/{repository}", file, local_dir=folder, etag_timeout=NETWORK_TIMEOUT, endpoint=endpoint))
    if metadata.etag and len(metadata.etag) == 64 and metadata.etag != sha256_of(path):
        raise UnavailableError(f"what came for {hub} is not what the hub announced; try again")
    return path
