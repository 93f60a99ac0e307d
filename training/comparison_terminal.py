"""A comparison on the terminal: tables first, then the answer, the guardrails and the next command,
above the prompt."""

from rich.console import Console

from monitoring.rendering import terminal_report
from monitoring.rendering.printable import printable, printable_text
from training import comparison_tables, comparison_wording
from training.comparison_wording import Document

_PROSE = 2  # the column of a guardrail's finding


def show(document: Document, console: Console) -> None:
    """Print it; nothing in it is obeyed as markup or control character."""
    command = comparison_wording.command(document)
    document = printable(document)
    console.print(f"\n{comparison_wording.title(document)}", style="bold", markup=False)
    console.print(comparison_wording.rows(document), markup=False)
    console.print(terminal_report.draw(comparison_tables.gains(document), "Metrics"))
    checks = comparison_tables.guardrails(document)
    if checks.rows:
        console.print(terminal_report.draw(checks, "Guardrails", prose=_PROSE))
    console.print()
    for sentence in comparison_wording.sentences(document):
        console.print(sentence, markup=False)
    if command is not None:
        console.print(f"  {printable_text(command)}", markup=False, soft_wrap=True)
