"""The whole API as one app: every feature's routes, in the frame, with its page and documents.

`build_app(ports)` is plain and runs anywhere: in a test, or in a replica (`deployment.py`). The
ports are opened and closed by whoever made them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from serve_apps.access.callers import read_networks
from serve_apps.access.countries import CountryBook
from serve_apps.access.revocations import RevocationBook
from serve_apps.accounts.passwords import Passwords
from serve_apps.accounts.routes import routes as accounts_routes
from serve_apps.admin.routes import routes as admin_routes
from serve_apps.api.documentation import install_documentation
from serve_apps.api.documentation import routes as documentation_routes
from serve_apps.api.page import PageFiles, find_page_folder
from serve_apps.api.sharing import routes as sharing_routes
from serve_apps.comments.routes import routes as comments_routes
from serve_apps.feed.routes import person_routes
from serve_apps.feed.routes import routes as feed_routes
from serve_apps.health.routes import routes as health_routes
from serve_apps.http.bodies import BodyLimit
from serve_apps.http.errors import install_errors
from serve_apps.http.frame import RequestFrame
from serve_apps.http.state import ApiPorts
from serve_apps.live.calendar_routes import routes as live_calendar_routes
from serve_apps.live.chat_routes import routes as live_chat_routes
from serve_apps.live.clip_routes import routes as live_clip_routes
from serve_apps.live.entry_routes import entry_routes as live_entry_routes
from serve_apps.live.health_routes import routes as live_health_routes
from serve_apps.live.routes import routes as live_routes
from serve_apps.live.takedown_routes import routes as live_takedown_routes
from serve_apps.notices.routes import routes as notices_routes
from serve_apps.posts.routes import routes as posts_routes
from serve_apps.realtime.routes import routes as realtime_routes
from serve_apps.subscriptions.routes import own_routes as subscriptions_routes
from serve_apps.subscriptions.routes import routes as subscribers_routes
from serve_apps.users.routes import routes as users_routes
from serve_apps.videos.download_routes import routes as video_download_routes
from serve_apps.videos.history_routes import routes as history_routes
from serve_apps.videos.liking_routes import routes as video_liking_routes
from serve_apps.videos.playlist_routes import routes as playlist_routes
from serve_apps.videos.publication_routes import routes as publication_routes
from serve_apps.videos.reencoding_routes import routes as video_reencoding_routes
from serve_apps.videos.related_routes import routes as related_routes
from serve_apps.videos.routes import routes as videos_routes
from serve_apps.videos.subtitle_routes import routes as subtitle_routes
from serve_apps.videos.thumbnail_routes import routes as video_thumbnail_routes
from serve_apps.videos.trash_routes import routes as trash_routes
from serve_apps.videos.viewing_routes import routes as viewing_routes
from storage.rates import RateBook

FEATURES = (
    accounts_routes,
    users_routes,
    subscribers_routes,
    subscriptions_routes,
    posts_routes,
    comments_routes,
    feed_routes,
    person_routes,
    videos_routes,
    video_download_routes,
    trash_routes,
    history_routes,
    video_reencoding_routes,
    video_thumbnail_routes,
    video_liking_routes,
    playlist_routes,
    publication_routes,
    subtitle_routes,
    viewing_routes,
    related_routes,
    live_routes,
    live_chat_routes,
    live_clip_routes,
    live_calendar_routes,
    live_health_routes,
    live_takedown_routes,
    realtime_routes,
    notices_routes,
    admin_routes,
)
ROOT_FEATURES = (health_routes, documentation_routes, live_entry_routes, sharing_routes)
EXPOSED_HEADERS = (
    "Location",
    "Link",
    "ETag",
    "Retry-After",
    "X-Request-Id",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Idempotent-Replayed",
)


def build_app(ports: ApiPorts) -> FastAPI:
    """Compose the app; its background tasks run between the lifespan's start and end.

    Raises SettingsInvalid.
    """
    read_networks(ports.settings.http.trusted_proxies)  # refused now rather than at each request
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_run_background,
    )
    app.state.ports = ports
    app.state.started_s = ports.clock.monotonic_s()
    app.state.is_draining = False
    app.state.rates = RateBook(ports.cache, ports.clock)
    app.state.revocations = RevocationBook(ports.database, ports.settings.auth.access_ttl_s)
    app.state.countries = CountryBook()
    app.state.passwords = Passwords()
    for routes in FEATURES:
        routes.install(app, "/v1")
    for routes in ROOT_FEATURES:
        routes.install(app)
    install_documentation(app)
    install_errors(app)
    app.router.default = PageFiles(find_page_folder())
    app.add_middleware(BodyLimit, size_bytes_max=ports.settings.http.body_bytes_max)
    # No cookies are used, so any origin may call with a token of its own.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        max_age=86_400,
    )
    app.add_middleware(RequestFrame, clock=ports.clock)
    return app


@contextlib.asynccontextmanager
async def _run_background(app: FastAPI) -> AsyncIterator[None]:
    book: RevocationBook = app.state.revocations
    following = asyncio.create_task(book.run(), name="revocations")
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        app.state.passwords.close()
