"""The ledger of claims as people read it: in README.md, in claims.md and on the command line."""

from collections.abc import Mapping
from typing import Any


def summary(judged: Mapping[str, Any]) -> str:
    """The verdicts as a short Markdown table: which claims came out how, with the paper's value and ours."""
    lines = [_made_of(judged), "", "| verdict | | claims: the paper's value, and ours |", "|---|---|---|"]
    for verdict, count in judged["counts"].items():
        items = "; ".join(_item(entry) for entry in judged["claims"] if entry["verdict"] == verdict)
        lines.append(f"| **{verdict}** | {count} | {items} |")
    return "\n".join(lines) + "\n"


def _item(entry: Mapping[str, Any]) -> str:
    name = entry["id"].replace("-", " ")
    return f"{name} ({entry['value_text']}: {entry['measured_text']})" if entry["measured"] is not None else name


def _made_of(judged: Mapping[str, Any]) -> str:
    seeds = ", ".join(map(str, judged["seeds"]))
    return (
        f"{len(judged['claims'])} claims, judged by profile `{judged['profile']}`: {judged['updates']:,} updates on "
        f"{judged['photographs']}, seed{'s' if len(judged['seeds']) > 1 else ''} {seeds}."
    )


def markdown(judged: Mapping[str, Any]) -> str:
    """The ledger as a short Markdown table: how many of each verdict, then each claim in a line."""
    counted = ", ".join(f"{count} {verdict}" for verdict, count in judged["counts"].items() if count)
    lines = [
        f"{_made_of(judged)} {counted}.",
        "",
        "| the paper says | section | paper | measured | verdict |",
        "|---|---|---|---|---|",
    ]
    for entry in judged["claims"]:
        lines.append(
            f"| {entry['says']} | {entry['section']} | {entry['value_text'] or '–'} | {measured_text(entry)} | "
            f"{entry['verdict']} |"
        )
    return "\n".join(lines) + "\n"


def measured_text(entry: Mapping[str, Any]) -> str:
    """What was measured, with the number of seeds behind it."""
    text: str = entry["measured_text"]
    return f"{text} (n = {entry['seeds']})" if entry["seeds"] and entry["measured"] is not None else text


def terminal(judged: Mapping[str, Any]) -> str:
    """The ledger as the command line prints it."""
    lines = []
    group = None
    for entry in judged["claims"]:
        if entry["group"] != group:
            group = entry["group"]
            lines.append(f"\n{group}")
        lines.append(f"  {entry['verdict']:<22} {entry['says']} ({entry['section']})")
        if entry["measured"] is not None:
            paper = f"paper: {entry['value_text']}; " if entry["value_text"] else ""
            interval = f", {entry['interval_text']}" if entry["interval_text"] else ""
            lines.append(f"  {'':<22} {paper}measured: {measured_text(entry)}{interval}")
        lines.append(f"  {'':<22} {entry['why']}")
    lines.append("\n" + ", ".join(f"{count} {verdict}" for verdict, count in judged["counts"].items()))
    return "\n".join(lines).lstrip("\n")
