"""The `kodama` command; also `python -m services.cli`."""

import sys

import typer

from services.cli import (
    demo_command,
    health_command,
    import_command,
    interrupting,
    operations,
    processes,
    suggest_command,
    timeline_command,
    up_command,
)

app = typer.Typer(
    name="kodama",
    help="Run and look after a Kodama network. Every command explains itself with --help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("up")(up_command.up)
app.command("clean-data")(up_command.clean_data)
app.command("serve")(processes.serve)
app.command("relay")(processes.relay)
app.command("worker")(processes.worker)
app.command("migrate")(processes.migrate)
app.add_typer(import_command.app, name="import")
app.command("suggest")(suggest_command.suggest)
app.command("demo")(demo_command.demo)
app.command("health")(health_command.health)
app.command("token")(operations.token)
app.command("password")(operations.password)
app.add_typer(timeline_command.app, name="timeline")
app.add_typer(operations.app, name="ops")


def main() -> None:
    """Run the command line."""
    interrupting.listen()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(interrupting.EXIT_CODE)


if __name__ == "__main__":
    main()
