"""The figures, as text: one line per system."""

from bench.suite import Line, Report

TARGETS = {"work": 1.5, "toy": 2.0}
"""Ours to Quix Streams, at least."""
AGE_MS = 200.0
DECISION_MS = 150.0
RESTORE = 100_000
LEAST = 0.005
"""Share of the time below which a step is not worth a line."""


def text(report: Report) -> str:
    """Return the report for people."""
    lines = [f"The fold is {report.fold}."]
    if report.work is not None:
        lines += ["Same work: our fold, its rows, availability and ERP lines", *_table(report.work, TARGETS["work"])]
    if report.toy is not None:
        lines += ["Toy: six movements, one row, one output", *_table(report.toy, TARGETS["toy"])]
    if report.whole is not None:
        lines += ["Whole load", f"  our worker, {report.whole.events:,} events: {report.whole.rate:,.0f} events/s"]
    if (restored := report.restore) is not None:
        lines += [
            "Restore, local store wiped",
            f"  {restored.rows:,} rows in {restored.seconds:.1f} s: {_against(restored.rate, RESTORE)}",
        ]
    if report.ages is not None:
        lines += ["Age: event handed to the producer until its availability is readable, committed"]
        lines += [
            f"  at {age.events_per_s:,} events/s: p50 {age.p50_ms:.0f} ms, p99 {age.p99_ms:.0f} ms, "
            f"max {age.max_ms:.0f} ms ({_verdict(age.p99_ms <= AGE_MS)} p99 {AGE_MS:.0f} ms)"
            + (f"; {age.unanswered} events without an answer" if age.unanswered else "")
            for age in report.ages
        ]
    if report.decisions is not None:
        lines.append("Decisions: request handed to the producer until its answer is readable, committed")
    for decided in report.decisions or ():
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(decided.outcomes.items()))
        load = f"{decided.requests_per_s:,} requests/s beside {decided.others_per_s:,} other events/s"
        verdict = f"{_verdict(decided.p99_ms <= DECISION_MS)} p99 {DECISION_MS:.0f} ms"
        lines += [
            f"  at {load}, workers: {decided.workers}, partitions: {decided.partitions}",
            f"  p50 {decided.p50_ms:.0f} ms, p99 {decided.p99_ms:.0f} ms, max {decided.max_ms:.0f} ms ({verdict})",
            f"  {outcomes}" + (f"; {decided.unanswered} requests without an answer" if decided.unanswered else ""),
        ]
    if (seen := report.profile) is not None:
        used = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in seen.cpu_s.items())
        lines += [
            "Our worker's time, same work",
            *(f"  {share:6.1%}  {step}" for step, share in seen.shares.items() if share >= LEAST),
            f"  CPU: {used}; {seen.garbage_s:.1f} s of it looking for cyclic garbage",
        ]
    return "\n".join(lines)


def _table(table: list[Line], target: float) -> list[str]:
    made = []
    for number, line in enumerate(table):
        ratio = "" if line.ratio is None else f"{line.ratio:6.2f} x Quix Streams"
        if number == 0 and line.ratio is not None:
            ratio += f" ({_verdict(line.ratio >= target)} {target})"
        made.append(f"  {line.system:<28}{line.events_per_s:>10,.0f} events/s  {line.events:>8,} events  {ratio}")
    return made


def _against(rate: float, target: int) -> str:
    return f"{rate:,.0f} rows/s ({_verdict(rate >= target)} {target:,})"


def _verdict(reached: bool) -> str:
    return "target reached:" if reached else "target missed:"
