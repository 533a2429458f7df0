import contextlib
import json
import os
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from impasto.errors import StyleError
from impasto.storage.registry import locate
from impasto.storage.style_file import StyleFile, StyleRecord, encoder_mark, marked, read_style, write_style
from impasto.storage.tensors import checksum
from tests.cli.runner import impasto_command
from tests.conftest import scene


@pytest.fixture
def style():
    record = StyleRecord(
        "wave", "gatys", encoder="compact", steps=100, loss=0.25, licence="public domain", source="Hokusai, 1831", settings={"size": 512}
    )
    return StyleFile(
        record, {"a": torch.rand(3, 4), "b": torch.arange(6).view(2, 3), "half": torch.rand(5).bfloat16(), "none": torch.empty(0)}
    )


def test_round_trip(tmp_path, style):
    again = read_style(write_style(tmp_path / "wave.safetensors", style))
    assert again.record == style.record
    assert again.tensors.keys() == style.tensors.keys()
    assert all(torch.equal(again.tensors[k], v if k != "half" else v.float()) for k, v in style.tensors.items())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_numbers_that_numpy_does_not_know_are_read_exactly_or_refused(tmp_path, kind):
    values = (torch.arange(-8, 9) / 8).to(kind)
    path = write_style(tmp_path / "narrow.safetensors", StyleFile(StyleRecord("narrow", "gatys"), {"a": values}))
    read = read_style(path).tensors["a"]
    assert read.dtype == torch.float32
    assert read.tolist() == [float(value) for value in values]
    with contextlib.suppress(StyleError):  # where no package has taught NumPy the type, that is what is raised
        arrays = read_style(path, arrays=True).tensors["a"]
        assert arrays.astype(float).tolist() == read.tolist()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e4m3fn], ids=str)
def test_weights_of_somebody_else_in_such_numbers_are_a_message(tmp_path, kind):
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.ones(3).to(kind)}, path)
    scene(64, 48).save(tmp_path / "photo.png")
    for quality in ("draft", "fine"):
        done = impasto_command("stylize", tmp_path / "photo.png", "-s", path, "-o", tmp_path / "out.png", "--quality", quality)
        assert done.returncode == 2
        assert "has no record of Impasto: it holds weights of something else" in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e4m3fn], ids=str)
def test_a_style_file_in_such_numbers_paints(tmp_path, kind):
    scene(64, 48).save(tmp_path / "photo.png")
    bundled = read_style(locate("dusk", "style"))
    narrow = {name: value.to(kind) if value.is_floating_point() else value for name, value in bundled.tensors.items()}
    path = write_style(tmp_path / "narrow.safetensors", StyleFile(bundled.record, narrow))
    done = impasto_command("stylize", tmp_path / "photo.png", "-s", path, "-o", tmp_path / "out.png", "--quality", "draft")
    assert done.returncode == 0, done.stderr


def test_checksum_sees_every_change(style):
    tensors = style.tensors
    before = checksum(tensors)
    assert checksum(dict(reversed(tensors.items()))) == before
    changed = tensors["a"].clone()
    changed[0, 0] += 1e-6
    assert checksum(tensors | {"a": changed}) != before
    assert checksum(tensors | {"b": tensors["b"].view(3, 2)}) != before
    assert checksum({("c" if k == "a" else k): v for k, v in tensors.items()}) != before


def rewrite(path, change, tensors=None):
    """Change what a style file says: the fields of its record, or of its block."""
    with safe_open(path, framework="pt") as stored:
        block = json.loads(stored.metadata()["impasto"])
        kept = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    fields = block["record"] | block["build"] | {name: block[name] for name in ("format", "checksum")}
    change(fields)
    block |= {name: fields.pop(name) for name in ("format", "checksum") if name in fields}
    block["build"] = {name: fields.pop(name) for name in block["build"] if name in fields}
    block["record"] = fields
    save_file(tensors or kept, path, metadata={"impasto": json.dumps(block)})


def test_a_wrong_checksum_is_noticed(tmp_path, style):
    path = write_style(tmp_path / "wave.safetensors", style)
    rewrite(path, lambda record: None, tensors={"a": torch.zeros(3, 4)})
    with pytest.raises(StyleError, match="does not match its checksum"):
        read_style(path)


def test_damaged_bytes_are_noticed(tmp_path, style):
    path = write_style(tmp_path / "wave.safetensors", style)
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(StyleError, match="checksum"):
        read_style(path)
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(StyleError, match="not a whole safetensors file"):
        read_style(path)


def test_newer_formats_ask_for_an_update_and_unknown_fields_are_ignored(tmp_path, style):
    path = write_style(tmp_path / "wave.safetensors", style)
    rewrite(path, lambda record: record.update(invented_later=1))
    assert read_style(path).record == style.record
    rewrite(path, lambda record: record.update(format=99))
    with pytest.raises(StyleError, match="reads up to 2: update Impasto"):
        read_style(path)
    rewrite(path, lambda record: (record.update(format=2), record.pop("method")))
    with pytest.raises(StyleError, match="damaged record"):
        read_style(path)


def test_foreign_files_are_told_apart(tmp_path, photo):
    save_file({"x": torch.rand(3)}, tmp_path / "other.safetensors")
    with pytest.raises(StyleError, match="no record of Impasto"):
        read_style(tmp_path / "other.safetensors")
    (tmp_path / "p.safetensors").write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(StyleError, match="is a pickle"):
        read_style(tmp_path / "p.safetensors")
    with pytest.raises(StyleError, match="not a whole safetensors file"):
        read_style(photo)
    with pytest.raises(StyleError, match="does not exist"):
        read_style(tmp_path / "none.safetensors")


def test_names_and_places_that_cannot_be_written(tmp_path, style, photo):
    with pytest.raises(StyleError, match=r"ends in \.safetensors"):
        write_style(tmp_path / "wave.bin", style)
    with pytest.raises(StyleError, match="cannot write"):
        write_style(photo / "wave.safetensors", style)


def test_no_header_makes_a_pickle_of_a_style_file(tmp_path):
    """128 is the first byte of a pickle, and of the length of one header in 256: every length is read, in every kind of file."""
    from impasto.files import looks_like_pickle

    firsts = set()
    for length in range(264):
        record = StyleRecord("x" * 8, "gatys", source="s" * length)
        path = write_style(tmp_path / "a.safetensors", StyleFile(record, {"picture": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}))
        firsts.add(path.read_bytes()[0])
        assert not looks_like_pickle(path)
        assert read_style(path).record.source == record.source
    assert 0x80 in firsts
    (tmp_path / "b.safetensors").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "c.safetensors").write_bytes(b"PK\x03\x04" + bytes(60))
    assert looks_like_pickle(tmp_path / "b.safetensors")
    assert looks_like_pickle(tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../../outside"), ("name", "/etc/passwd"), ("name", "a\\b"), ("name", "a\nb"), ("name", "."), ("name", "x" * 3000),
    ],
)  # fmt: skip
def test_a_name_in_a_record_is_a_name_and_no_path(tmp_path, style, field, value):
    path = write_style(tmp_path / "a.safetensors", style)
    rewrite(path, lambda record: record.update({field: value}))
    name = read_style(path).record.name
    assert name
    assert not set(name) & set("/\\\n")
    assert not name.startswith(".")
    assert len(name) <= 100


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 3), ("name", None), ("method", ["gatys"]), ("width", "abc"), ("width", float("nan")), ("width", True), ("steps", "many"),
        ("settings", [1]), ("settings", None), ("loss", "low"), ("licence", {}), ("format", "new"),
    ],
)  # fmt: skip
def test_fields_of_another_kind_are_a_damaged_record(tmp_path, style, field, value):
    path = write_style(tmp_path / "a.safetensors", style)
    rewrite(path, lambda record: record.update({field: value}))
    with pytest.raises(StyleError, match="damaged record"):
        read_style(path)


def test_statistics_belong_to_the_encoder_that_measured_them(tmp_path, style):
    def kept(**statistics):
        return read_style(write_style(tmp_path / "kept.safetensors", StyleFile(style.record, style.tensors, statistics)))

    ours = kept(**marked({"128/relu1_1": torch.ones(3)}, "compact"), **{"0123456789abcdef/128/relu1_1": torch.zeros(3)})
    assert {name: value.tolist() for name, value in ours.seen_by("compact").items()} == {"128/relu1_1": [1, 1, 1]}
    assert kept(**{"0123456789abcdef/128/relu1_1": torch.zeros(3)}).seen_by("compact") == {}
    first = kept(**{"128/relu1_1": torch.ones(3)})
    assert [*first.statistics] == ["345c2706c3781c69/128/relu1_1"], "files that name no encoder are of the first one"
    assert bool(first.seen_by("compact")) == (encoder_mark("compact") == "345c2706c3781c69")


def test_a_written_file_can_be_read_by_whom_the_umask_lets(tmp_path):
    old = os.umask(0o022)
    try:
        path = write_style(
            tmp_path / "mine.safetensors", StyleFile(StyleRecord("mine", "gatys"), {"picture": torch.zeros(1, 3, 8, 8).byte()})
        )
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o644
