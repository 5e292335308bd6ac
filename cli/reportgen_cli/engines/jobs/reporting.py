"""Run `rg report` by an engine: list the studies on the disk, send blocks of them to workers, and print the counts."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from reportgen_core import OptionError

from ...batch_files import counted
from ...options import cuda_devices
from ...report_options import ReportOptions
from ...terminal.echo import say
from ..options import EngineOptions
from ..ray_engine import RayEngine
from ..run import Run, Totals, print_totals, run_blocks
from ..tables import TableSource
from .report import SCHEMA, ReportJob
from .tree import StudyTree

BLOCK = 256  # studies of a block, about: a multiple of the batch


def report_by_engine(given: ReportOptions, engine: EngineOptions, model: str) -> bool:
    """Report files and folders by an engine. Return False if a study could not be read or a part is missing."""
    from reportgen_core.data.images import default_cache
    from reportgen_core.files.digests import sha256_folder
    from reportgen_core.models.loading import find_model_folder

    out = _check(given)
    folder = find_model_folder(model).resolve()
    if devices := cuda_devices(given.device):
        engine = replace(engine, engine="ray", gpus_per_worker=engine.gpus_per_worker or 1.0)
    tree = StudyTree(given.images, short=not given.paths)

    def job(source: TableSource) -> ReportJob:
        return ReportJob(
            source=source, folder=folder, here=Path.cwd(), settings=given.settings(), batch_size=given.batch_size,
            precision=given.precision, device="cuda" if devices else given.device, attention=given.attention,
            paths=given.paths, strict=given.strict, cache=default_cache() if given.cache else None,
            may_send=given.send_images,
        )  # fmt: skip

    say(f"model {model}, in the workers", err=True)
    run = _run(given, engine, tree, out, sha256_folder(folder))
    totals = run_blocks(run, job, RayEngine(engine, given.workers or len(devices), out, devices))
    for line in tree.passed_over.lines():
        say(f"note: {line}", err=True)
    say(_summary(totals, tree), err=True)
    print_totals(run, totals)
    return totals.good and not (totals.counts["unread"] or totals.counts["refused"] or tree.passed_over.closed)


def _check(given: ReportOptions) -> Path:
    """Return the folder of the parts. Raises OptionError for what an engine does not write or read."""
    files = {
        "--explain": given.explain is not None, "--format": given.format, "--store": given.store,
        "--study": given.as_study, "--indication": given.indication, "--prior": given.prior,
    }  # fmt: skip
    if wrong := [name for name, value in files.items() if value]:
        raise OptionError(
            f"{wrong[0]}: workers write the lines of reports.jsonl alone; leave {wrong[0]} or --engine ray"
        )
    if given.out is None:
        raise OptionError("workers write parts into a folder; name it with --out DIR")
    return given.out


def _run(given: ReportOptions, engine: EngineOptions, tree: StudyTree, out: Path, model: str) -> Run:
    about = {
        "settings": asdict(given.settings()), "batch_size": given.batch_size, "precision": given.precision,
        "attention": given.attention, "paths": given.paths, "strict": given.strict,
    }  # fmt: skip
    return Run(
        command="report", table=None, listing=tree.write, out=out, model=model,
        rows=given.batch_size * max(1, BLOCK // given.batch_size), options=about, resume=engine.resume,
        disk_limit=engine.disk_limit, escaped=True, schema=SCHEMA,
    )  # fmt: skip


def _summary(totals: Totals, tree: StudyTree) -> str:
    counts = totals.counts
    names = {"noted": "with a note", "unread": "could not be read", "refused": "refused"}
    ends = "".join(f", {counts[name]} {words}" for name, words in names.items() if counts[name])
    return (
        f"{counted(tree.studies, 'study', 'studies')}: {counted(counts['reports'], 'report')}{ends}; "
        f"{counts['images']} of {counted(tree.images, 'image')} used"
    )
