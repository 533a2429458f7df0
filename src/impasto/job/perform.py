"""A request, carried out: styles found, the job decided, its outputs planned, then every file painted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from torch import Tensor

from impasto.errors import InputError
from impasto.events import Listener
from impasto.files import fingerprint
from impasto.job.build import bytes_a_pixel, for_films, for_pictures
from impasto.job.engine import OnDone, as_sentence, run
from impasto.job.outcome import Outcome, Summary
from impasto.job.painted_before import Records, said
from impasto.job.plan import Job, plan
from impasto.job.regions import matched_regions, shares_of, with_regions
from impasto.job.request import Request
from impasto.job.resolve import Decision, resolve
from impasto.job.style_paths import files_of
from impasto.job.styles import facts_of, gather_styles
from impasto.media.masks import Regions
from impasto.methods.declaration import StyleSource
from impasto.methods.table import methods
from impasto.runtime.device import Place, choose_place
from impasto.runtime.stylizer import Stylizer


@dataclass(frozen=True)
class Prepared:
    """A request with everything that is decided before the first file is painted.

    decided: how films (True) and photos (False) are painted. said: sentences on what is left out, or is not as it is usual.
    """

    request: Request
    source: StyleSource
    jobs: list[Job]
    decided: Mapping[bool, Decision]
    said: tuple[str, ...]


Builder = Callable[[Decision, StyleSource, Place, Listener], Stylizer]


def build(decision: Decision, styles: StyleSource, place: Place, listener: Listener) -> Stylizer:
    """The stylizer for what was decided. Raises ImpastoError."""
    return (for_films if decision.moving else for_pictures)(decision, styles, place, listener)


def prepare(request: Request) -> Prepared:
    """Find the styles, plan the outputs and decide. What concerns all files raises ImpastoError."""
    controls, asked = request.controls, request.regions
    source = gather_styles(request.styles, request.weights, controls, asked.kind)
    selections = [] if request.selection is None else [request.selection]
    beside = [*request.styles, *asked.masks, *asked.style_masks, *selections, *files_of(controls)]
    planned = plan(request.inputs, request.output, source.name, frames=request.frames, regions=asked.show, beside=beside, part=request.part)
    jobs = planned.jobs
    if asked.masks and len(jobs) > 1:
        raise InputError("a mask belongs to one photo, and there are several")
    if selections and (len(jobs) > 1 or jobs[0].moving):
        raise InputError("a selection belongs to one photo")
    films = any(job.moving for job in jobs)
    photos = any(not job.moving for job in jobs)
    decided = {
        moving: resolve(controls, facts_of(source), methods(), kind=asked.kind, moving=moving, photos=photos, films=films)
        for moving, there_are in ((False, photos), (True, films))
        if there_are
    }
    said = (*planned.left_out, *dict.fromkeys(decision.remark for decision in decided.values() if decision.remark))
    return Prepared(request, source, jobs, decided, said)


def perform(
    request: Request,
    listener: Listener,
    on_file: Callable[[int, int, Path], None] = lambda index, count, source: None,
    on_regions: Callable[[Regions], None] = lambda regions: None,
    *,
    recorded: bool = True,
) -> Summary:
    """Paint everything that was asked for. What concerns one file is its outcome's error; what concerns all raises ImpastoError.

    on_file: is told index, count and source before each file. on_regions: the regions of each photo. recorded: whether results that are
    there already are left as they are, and new ones noted for the next time.
    """
    prepared = prepare(request)
    if not recorded:
        return _painted(prepared, {}, listener, on_file, on_regions, lambda job, outcome: None)
    records = Records(request, prepared.jobs)
    there = {} if request.again else {job.output: found for job in prepared.jobs if (found := records.there(job)) is not None}
    summary = _painted(prepared, there, listener, on_file, on_regions, records.note)
    return replace(summary, left_out=(*summary.left_out, *said(summary.outcomes)))


def _in_order(jobs: list[Job], outcomes: list[Outcome]) -> list[Outcome]:
    """Outcomes in the order of their jobs."""
    places = {job.source: place for place, job in reversed([*enumerate(jobs)])}
    return sorted(outcomes, key=lambda outcome: places.get(outcome.source, len(jobs)))


def _painted(
    prepared: Prepared,
    there: Mapping[Path, Outcome],
    listener: Listener,
    on_file: Callable[[int, int, Path], None],
    on_regions: Callable[[Regions], None],
    on_done: OnDone,
) -> Summary:
    """The jobs of what was prepared, painted here or on a cluster, but for those whose outcomes are there, by their outputs."""
    request, left = prepared.request, [job for job in prepared.jobs if job.output not in there]
    if there and not left:
        return Summary(_in_order(prepared.jobs, [*there.values()]), left_out=prepared.said)
    if request.cluster is not None:
        from impasto.job.cluster_painting import paint_on_cluster

        return paint_on_cluster(prepared, listener, there, on_done)
    summary = carry_out(replace(prepared, jobs=left), listener, on_file, on_regions, on_done=on_done)
    summary = replace(summary, outcomes=_in_order(prepared.jobs, [*there.values(), *summary.outcomes]))
    if summary.outcomes or summary.interrupted:
        return summary
    nothing = f"part {request.part} has nothing to paint: there are fewer files than parts, and films are short"
    return replace(summary, left_out=(*summary.left_out, nothing))


def carry_out(
    prepared: Prepared,
    listener: Listener,
    on_file: Callable[[int, int, Path], None] = lambda index, count, source: None,
    on_regions: Callable[[Regions], None] = lambda regions: None,
    build: Builder = build,
    on_done: OnDone = lambda job, outcome: None,
) -> Summary:
    """Paint the files of what was prepared, on this machine. build: what makes the stylizers. on_done: is told of each whole result."""
    request, source, jobs, left_out = prepared.request, prepared.source, prepared.jobs, prepared.said
    asked, controls = request.regions, request.controls
    place = choose_place(controls.device, controls.precision, painting=True)
    networks = " ".join(f"{path.name} {fingerprint(path)}" for path in files_of(controls))

    def paint(some_jobs: list[Job], first: int, styles: StyleSource, masks: Tensor | None) -> Summary:
        outcomes: list[Outcome] = []
        for moving, group in groupby(some_jobs, key=lambda job: job.moving):
            decision = prepared.decided[moving]
            stylizer = build(decision, styles, place, listener)
            before = first + len(outcomes)
            count = lambda index, _, path, before=before: on_file(before + index, len(jobs), path)  # noqa: E731
            done = run(
                stylizer,
                list(group),
                decision.controls,
                place,
                masks=masks,
                selection=request.selection,
                identity=f"{styles.identity} {networks}",
                bytes_a_pixel=bytes_a_pixel(decision, place),
                on_file=count,
                on_done=on_done,
                listener=listener,
            )
            outcomes += done.outcomes
            if done.interrupted:
                return Summary(outcomes, True, left_out)
        return Summary(outcomes, False, left_out)

    if asked.kind != "regions":
        any_decision = next(iter(prepared.decided.values()), None)
        with_masks = any_decision if asked.masks else None
        masks = None if with_masks is None else shares_of(asked, jobs[0], source, with_masks.controls).to(place.device)
        return paint(jobs, 0, source, masks)
    outcomes: list[Outcome] = []
    for number, job in enumerate(jobs):
        try:
            found = matched_regions(asked, job, source, prepared.decided[job.moving].controls, place)
        except KeyboardInterrupt:
            return Summary(outcomes, True, left_out)
        except Exception as error:
            outcomes.append(Outcome(job.source, error=as_sentence(error, job.source)))
            continue
        on_regions(found)
        summary = paint([job], number, with_regions(source, found), found.content.to(place.device))
        outcomes += summary.outcomes
        if summary.interrupted:
            return Summary(outcomes, True, left_out)
    return Summary(outcomes, False, left_out)
