import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers.supervisor import pulse

APPLICATION = "config.asgi:application"
BOUNDED_HEADS = "config.heads:BoundedHead"
LARGEST_FRAME = 64 * 1024  # bytes a browser may send on a websocket
LAST_REQUESTS = 5  # seconds that requests under way are given to end


class Command(BaseCommand):
    help = "Serve the board and the API: on HOST and PORT, or on a listening socket handed down by its number."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--fd", type=int, help="the number of a listening socket that this process inherited")

    def handle(self, *args: Any, fd: int | None, **options: Any) -> None:
        pulse.start()
        if settings.SERVER == "daphne":
            serve_by_daphne(fd)
        elif settings.SERVER == "uvicorn":
            serve_by_uvicorn(fd)
        else:
            raise CommandError(f"RUNBOARD_SERVER is uvicorn or daphne, not {settings.SERVER}.")


def serve_by_uvicorn(fd: int | None) -> None:
    import uvicorn

    config = uvicorn.Config(
        APPLICATION,
        http=BOUNDED_HEADS,
        host=settings.HOST,
        port=settings.PORT,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=LARGEST_FRAME,
        ws_per_message_deflate=False,  # it would pack the one text of all sockets once for each, and 46 KB a socket
        timeout_graceful_shutdown=LAST_REQUESTS,
    )
    uvicorn.Server(config).run(sockets=None if fd is None else [socket.socket(fileno=fd)])


def serve_by_daphne(fd: int | None) -> None:
    from daphne.cli import CommandLineInterface

    place = ["-b", settings.HOST, "-p", str(settings.PORT)] if fd is None else ["--fd", str(fd)]
    CommandLineInterface().run([*place, "--verbosity", "0", "--no-server-name", APPLICATION])
