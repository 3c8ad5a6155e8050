"""Calls of the command line in this process."""

import re

from typer.testing import CliRunner

from artune.cli import app


def call(*arguments):
    """The outcome of a call; what is no end of the command is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*arguments):
    """The one message of a call that is refused."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return re.sub(r"[\s│]+", " ", result.output)
