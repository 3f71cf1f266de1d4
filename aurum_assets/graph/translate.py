"""Translate errors, verdicts, columns and metadata to Dagster's types. No assets, no jobs."""

import base64
import contextlib
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import dagster as dg

from aurum_assets.ingest.collected import Collected
from aurum_assets.ingest.normalized import Normalized
from aurum_assets.model.checks import Verdict
from aurum_assets.model.errors import AurumError, HostUnknown, Transient
from aurum_assets.model.picture import drawn_from, picture_of
from aurum_assets.model.shown import visible
from aurum_assets.model.table import Table
from aurum_assets.resources import logs
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.logs import get_logger
from aurum_assets.resources.redaction import redacted

log = get_logger(__name__)

_SECONDS_LEFT = re.compile(r" in \d+ s\b")


@contextlib.contextmanager
def translated_failures(run_id: str = "") -> Iterator[None]:
    """Raise our errors as ``dg.Failure``, with retries only where these may help.

    Dagster stores an error with all its causes. Where one of them shows a secret, as errors of
    libraries may, only the redacted message goes to Dagster, and the rest to our log.
    """
    with contextlib.ExitStack() as stack:
        stack.push(_translate)
        stack.enter_context(logs.bound(**({"run_id": run_id} if run_id else {})))
        yield


def without_countdown(log_line: Callable[[str], None]) -> Callable[[str], None]:
    """``log_line`` of a run's log, with one line for a wait, not one each second."""
    last = ""

    def once(text: str) -> None:
        nonlocal last
        before, last = last, _SECONDS_LEFT.sub("", text)
        if last != before:
            log_line(text)

    return once


@dataclass(frozen=True)
class Retries:
    """How often a step is tried again within its run, ``seconds`` later each time."""

    most: int
    seconds: int


@contextlib.contextmanager
def tried_again(context: dg.AssetExecutionContext, retries: Retries) -> Iterator[None]:
    """``translated_failures`` of a step that is tried again where that may help.

    A host whose name is unknown is asked for once more: its container may be starting.

    A ``RetryPolicy`` of Dagster's would put "Exceeded max_retries" before the error of the last
    try, and try again what was interrupted.
    """
    most = retries.most
    try:
        with translated_failures(context.run.run_id):
            try:
                yield
            except HostUnknown:
                most = min(1, most)
                raise
    except Exception as error:
        hopeless = isinstance(error, dg.DagsterError) or (
            isinstance(error, dg.Failure) and not error.allow_retries
        )
        if hopeless or context.retry_number >= most:
            raise
        text = error.description if isinstance(error, dg.Failure) else str(error)
        context.log.warning("%s; tried again in %s s", text, retries.seconds)
        again = dg.RetryRequested(max_retries=retries.most, seconds_to_wait=retries.seconds)
        raise again from error


def _translate(
    _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
) -> bool:
    if isinstance(error, AurumError):
        again = isinstance(error, Transient)
        failure = dg.Failure(visible(redacted(str(error))), allow_retries=again)
        if _shown(error) is None:
            raise failure from None
        # One trace, beginning with the sentence: what caused our error, and where it was raised.
        raise failure.with_traceback(error.__traceback__) from error.__cause__
    if isinstance(error, Exception) and _shown(error) is None:
        text = redacted(f"{type(error).__name__}: {error}")
        raise dg.Failure(text, allow_retries=False) from None
    return False


def _shown(error: Exception) -> Exception | None:
    """``error`` where its traceback shows no secret; else None, and a line in the log."""
    whole = "".join(traceback.format_exception(error))
    if redacted(whole) == whole:
        return error
    message = "an error that shows a secret is reported without its causes"
    log.error(message, traceback=redacted(whole))  # redacted here, whatever log there is
    return None


_TYPES = {"Datetime": "timestamp", "Float64": "double", "Date": "date", "String": "string"}


def plain(doc: str) -> str:
    """A docstring for the UI: paragraphs of plain text, one for ``Source: …`` and each of its like.

    An asset's page renders Markdown, lists and tooltips show it as it is written.
    """
    heads = re.compile(r"^(Source|Grain|Units|Caveats): ", re.MULTILINE)
    text = re.sub(r"`|\*", "", heads.sub(r"\n\1: ", doc.strip()))
    return "\n\n".join(" ".join(one.split()) for one in re.split(r"\n\s*\n", text))


def column_schema(table: Table) -> dg.TableSchema:
    """The columns, with documentation, units and what may be null."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=c.name,
                type=_TYPES.get(type(c.dtype).__name__, str(c.dtype)),
                description=c.described,
                constraints=dg.TableColumnConstraints(nullable=c.nullable),
                tags={"key": ""} if c.name in table.key else None,
            )
            for c in table.columns
        ]
    )


def raw_metadata(resources: Resources, collected: Collected) -> dict[str, Any]:
    """What a collection did, for its materialization."""
    newest = [a for a in collected.archived if a.stored is not None]
    metadata: dict[str, Any] = {
        "stored": collected.count("stored"),
        "duplicates": collected.count("duplicate"),
        "rejected": collected.count("rejected"),
        "resumed": collected.count("resumed"),
        "records": sum(a.records for a in collected.archived),
        "bytes": sum(a.bytes for a in collected.archived),
        "requests": collected.requests,
        "api_seconds": round(collected.api_seconds, 3),
        "dagster/uri": resources.archive.uri,
    }
    if newest and newest[-1].stored:
        stored = newest[-1].stored
        metadata |= {
            "object": stored.path,
            "etag": stored.etag,
            "version": stored.version or "none",
        }
    if resources.degraded:
        metadata["degraded"] = redacted(resources.degraded)
    details = {
        "rejected_because": [a.reason for a in collected.archived if a.outcome == "rejected"],
        "partial_because": [a.partial for a in collected.archived if a.partial],
        "feeds_failed": [f"{name}: {why}" for name, why in collected.failed.items()],
        "not_yet_published": [f"{name}: {why}" for name, why in collected.not_yet.items()],
        "not_offered": list(collected.not_offered.values()),
    }
    return metadata | {name: redacted("\n".join(lines)) for name, lines in details.items() if lines}


def table_metadata(resources: Resources, done: Normalized) -> dict[str, Any]:
    """What a normalization did, for its materialization."""
    table = done.dataset.table
    in_day, total = resources.lake.counts(table, {"operating_day": done.day.date})
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": in_day,
        "dagster/row_count": total,
        "dagster/table_name": table.identifier,
        "dagster/column_schema": column_schema(table),
        "dagster/uri": resources.lake.uri(table),
        "new": done.merged.new,
        "changed": done.merged.changed,
        "unchanged": done.merged.unchanged,
        "quarantined": done.quarantined,
        "rejected": len(done.rejected),
        "snapshots": done.snapshots,
        "rebuilt": done.rebuilt,
        "healed": done.healed,
    }
    if resources.events.degraded:
        metadata["degraded"] = resources.events.degraded
    if done.newest_fetch is not None:
        metadata["snapshot_age_seconds"] = round(
            (resources.now() - done.newest_fetch).total_seconds(), 1
        )
    if done.max_residual is not None:
        metadata["max_lmp_residual"] = done.max_residual
    if done.rejected:
        metadata["rejected_because"] = "\n".join(done.rejected)
    return metadata


def picture(resources: Resources, done: Normalized) -> dict[str, Any]:
    """The day as a small picture (SVG), where the table is a series of numbers."""
    table, day = done.dataset.table, done.day
    columns = drawn_from(table)
    if not columns:
        return {}
    rows = done.rows
    if not done.rebuilt:
        rows = resources.lake.read(table, {"operating_day": day.date}, columns)
    svg = picture_of(table, rows, day)
    if not svg:
        return {}
    image = base64.b64encode(svg.encode()).decode()
    return {"picture": dg.MetadataValue.md(f"![{table.name}](data:image/svg+xml;base64,{image})")}


def verdict_metadata(verdict: Verdict) -> dict[str, Any]:
    """Count, reason, numbers (which the UI plots over time), strip and sample of a verdict."""
    metadata: dict[str, Any] = {"count": verdict.count, "reason": verdict.reason}
    metadata |= verdict.numbers
    if verdict.strip:
        metadata["strip"] = dg.MetadataValue.md(f"```\n{verdict.strip}\n```")
    if verdict.sample:
        records = [dg.TableRecord({k: str(v) for k, v in row.items()}) for row in verdict.sample]
        names = list(dict.fromkeys(k for row in verdict.sample for k in row))
        schema = dg.TableSchema([dg.TableColumn(n) for n in names])
        metadata["sample"] = dg.MetadataValue.table(records, schema)
    return metadata


def severity(verdict: Verdict) -> dg.AssetCheckSeverity:
    """The severity as Dagster's type."""
    return dg.AssetCheckSeverity(verdict.severity)


def check_result(verdict: Verdict, key: dg.AssetKey) -> dg.AssetCheckResult:
    """A verdict as the result of a check of ``key``."""
    return dg.AssetCheckResult(
        passed=verdict.passed,
        asset_key=key,
        check_name=verdict.check,
        severity=severity(verdict),
        description=visible(verdict.reason),
        metadata=verdict_metadata(verdict),
    )


def check_evaluations(
    verdicts: Iterable[Verdict], key: dg.AssetKey, partition: str
) -> list[dg.AssetCheckEvaluation]:
    """Verdicts as evaluations of the checks for one partition, outside a step of the checks.

    A skipped check has none: its earlier result for the partition remains.
    """
    return [
        dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=verdict.check,
            passed=verdict.passed,
            severity=severity(verdict),
            description=visible(verdict.reason),
            metadata=verdict_metadata(verdict),
            partition=partition,
        )
        for verdict in verdicts
        if not verdict.skipped
    ]


def feeds_config(
    feeds: Mapping[str, list[str]], parts: Mapping[str, Mapping[str, Sequence[str]]] | None = None
) -> dict[str, Any]:
    """Run config that has each dataset (by key) collected by the named feeds only.

    ``parts``: by dataset and feed, the only hours or locations to ask for.
    """
    found: dict[str, Any] = {}
    for key, names in sorted(feeds.items()):
        found[f"raw__{key}"] = {"config": {"feeds": names}}
        only = (parts or {}).get(key)
        if only:
            found[f"raw__{key}"]["config"]["parts"] = {f: list(some) for f, some in only.items()}
    return {"ops": found}
