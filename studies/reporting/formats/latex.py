"""The report's tables in LaTeX, for a paper; they need the package booktabs."""

import re
from collections.abc import Sequence

from studies.formatting import count, label, listing, number, probability, signed
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.tables.summary import overview_table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "–": "--",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "…": r"\ldots",
}
_HEADINGS: tuple[str, ...] = (
    "arm",
    "trials",
    "geometric mean",
    "lowest",
    "highest",
    "difference",
    "adjusted p",
    "verdict",
)


def render_latex(report: Report) -> str:
    """Return a table for each workload, and one of the verdicts on all of them.

    Args:
        report: The report.
    """
    parts = [
        f"% {_text(report.spec.name)}; study {report.provenance.study_id}, spec hash {report.provenance.spec_hash}",
        r"% In the preamble: \usepackage{booktabs} \usepackage{amssymb}",
        *(_workload(report, workload) for workload in report.workloads),
    ]
    if len(report.workloads) > 1:
        parts.append(_overview(report))
    return "\n\n".join(parts) + "\n"


def _workload(report: Report, workload: WorkloadReport) -> str:
    spec, objective = report.spec, label(report.spec.protocol.objective)
    rows = [
        (
            arm.arm,
            f"{arm.tuning_cost.trials}" if arm.kind == "searched" else "--",
            number(arm.objective and arm.objective.center),
            number(arm.objective and arm.objective.lowest),
            number(arm.objective and arm.objective.highest),
            "–" if arm.comparison is None else signed(arm.comparison.mean_difference),
            "–" if arm.comparison is None else probability(arm.comparison.p_adjusted),
            "reference" if arm.comparison is None else arm.comparison.verdict.value,
        )
        for arm in workload.arms
    ]
    headings = list(_HEADINGS)
    if not spec.protocol.objective.endswith("_loss"):
        headings[2] = "mean"
    shortened = f" {spec.shortened}." if spec.shortened else ""
    caption = (
        f"{workload.workload}: final {objective} over {count(spec.protocol.confirm_seeds, 'seed')}, and mean paired "
        f"differences to {spec.protocol.reference}, positive where better.{shortened}{_diverged((workload,))}"
    )
    return _table(caption, f"tab:{workload.workload}", headings, rows, "lrrrrrrl")


def _overview(report: Report) -> str:
    table = overview_table(report)
    rows = [tuple(cell.text for cell in row) for row in table.rows]
    headings = ["arm", *table.headings[1:]]
    caption = f"{table.caption.partition(',')[0]}.{_diverged(report.workloads)}"
    return _table(caption, "tab:verdicts", headings, rows, "l" * len(headings))


def _diverged(workloads: Sequence[WorkloadReport]) -> str:
    """Return which arms' seeds diverged, as a sentence for a caption; empty if none did."""
    several = len(workloads) > 1
    diverged = [
        f"{arm.arm} {arm.diverged} of {len(arm.seeds)}{f' on {workload.workload}' if several else ''}"
        for workload in workloads
        for arm in workload.arms
        if arm.diverged
    ]
    left_out = "" if several else ", which means leave out"
    return f" Seeds that diverged{left_out}: {listing(diverged)}." if diverged else ""


def _table(caption: str, name: str, headings: Sequence[str], rows: Sequence[tuple[str, ...]], columns: str) -> str:
    cells = ([_text(heading) for heading in headings], *([_text(row[0]), *map(_number, row[1:])] for row in rows))
    lines = [" & ".join(row) + r" \\" for row in cells]
    return "\n".join(
        (
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_text(caption)}}}",
            rf"  \label{{{name}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {lines[0]}",
            r"    \midrule",
            *(f"    {line}" for line in lines[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        )
    )


def _text(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def _number(text: str) -> str:
    """Return a number's cell, with powers of ten and the minus in math mode."""
    escaped = _text(text)
    if re.fullmatch(r"-[\d.]+", escaped):
        return f"$-${escaped[1:]}"
    return re.sub(r"(?<![\w.])([+-]?)(\d+(?:\.\d+)?)e([+-]?)0*(\d+)\b", _power, escaped)


def _power(match: re.Match[str]) -> str:
    sign, mantissa, negative, exponent = match.groups()
    minus = "-" if negative == "-" else ""
    return rf"${sign}{mantissa} \cdot 10^{{{minus}{exponent}}}$"
