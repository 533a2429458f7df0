"""A request, carried out: styles found, the job decided, its outputs planned, then every file painted."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from torch import Tensor

from impasto.errors import InputError
from impasto.events import Listener
from impasto.files import fingerprint
from impasto.job.build import bytes_a_pixel, for_films, for_pictures
from impasto.job.engine import as_sentence, run
from impasto.job.outcome import Outcome, Summary
from impasto.job.plan import Job, plan
from impasto.job.regions import matched_regions, shares_of, with_regions
from impasto.job.request import Request
from impasto.job.resolve import resolve
from impasto.job.styles import facts_of, files_of, gather_styles
from impasto.media.masks import Regions
from impasto.methods.declaration import StyleSource
from impasto.methods.table import methods
from impasto.runtime.device import choose_place


def perform(
    request: Request,
    listener: Listener,
    on_file: Callable[[int, int, Path], None] = lambda index, count, source: None,
    on_regions: Callable[[Regions], None] = lambda regions: None,
) -> Summary:
    """Paint everything that was asked for. What concerns one file is its outcome's error; what concerns all raises ImpastoError.

    on_file: is told index, count and source before each file. on_regions: the regions of each photo.
    """
    controls, asked = request.controls, request.regions
    source = gather_styles(request.styles, request.weights, controls, asked.kind)
    beside = [*request.styles, *asked.masks, *asked.style_masks, *files_of(controls)]
    planned = plan(request.inputs, request.output, source.name, frames=request.frames, regions=asked.show, beside=beside, part=request.part)
    jobs = planned.jobs
    nothing = f"part {request.part} has nothing to paint: there are fewer files than parts, and films are short"
    if not jobs:
        return Summary([], False, (*planned.left_out, nothing))
    if asked.masks and len(jobs) != 1:
        raise InputError("a mask belongs to one photo, and there are several")
    films = any(job.moving for job in jobs)
    photos = any(not job.moving for job in jobs)
    decided = {
        moving: resolve(controls, facts_of(source), methods(), kind=asked.kind, moving=moving, photos=photos, films=films)
        for moving, there_are in ((False, photos), (True, films))
        if there_are
    }
    said = (*planned.left_out, *dict.fromkeys(decision.remark for decision in decided.values() if decision.remark))
    any_decision = next(iter(decided.values()))
    place = choose_place(controls.device, controls.precision, painting=True)
    networks = " ".join(f"{path.name} {fingerprint(path)}" for path in files_of(controls))

    def paint(some_jobs: list[Job], first: int, styles: StyleSource, masks: Tensor | None) -> Summary:
        outcomes: list[Outcome] = []
        for moving, group in groupby(some_jobs, key=lambda job: job.moving):
            decision = decided[moving]
            stylizer = (for_films if moving else for_pictures)(decision, styles, place, listener)
            before, identity = first + len(outcomes), f"{styles.identity} {networks}"
            count = lambda index, _, path, before=before: on_file(before + index, len(jobs), path)  # noqa: E731
            done = run(
                stylizer,
                list(group),
                decision.controls,
                place,
                masks=masks,
                identity=identity,
                bytes_a_pixel=bytes_a_pixel(decision, place),
                on_file=count,
                listener=listener,
            )
            outcomes += done.outcomes
            if done.interrupted:
                return Summary(outcomes, True, said)
        return Summary(outcomes, False, said if outcomes else (*said, nothing))

    if asked.kind != "regions":
        masks = shares_of(asked, jobs[0], source, any_decision.controls).to(place.device) if asked.masks else None
        return paint(jobs, 0, source, masks)
    outcomes: list[Outcome] = []
    for number, job in enumerate(jobs):
        try:
            found = matched_regions(asked, job, source, any_decision.controls, place)
        except KeyboardInterrupt:
            return Summary(outcomes, True, said)
        except Exception as error:
            outcomes.append(Outcome(job.source, error=as_sentence(error, job.source)))
            continue
        on_regions(found)
        summary = paint([job], number, with_regions(source, found), found.content.to(place.device))
        outcomes += summary.outcomes
        if summary.interrupted:
            return Summary(outcomes, True, said)
    return Summary(outcomes, False, said)
