"""What the web server runs: the gate, then Django for HTTP and Channels for websockets."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # loads the apps, which what follows needs

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import SessionMiddlewareStack
from django.conf import settings
from whitenoise.middleware import WhiteNoiseMiddleware

from config.gate import limit_body, serve_static
from executions.realtime.routing import websocket_urlpatterns

# Who looks is asked by each socket itself, again and again (executions/realtime/rights.py).
sockets = AllowedHostsOriginValidator(SessionMiddlewareStack(URLRouter(websocket_urlpatterns)))
static = WhiteNoiseMiddleware()
find_static = static.find_file if settings.WHITENOISE_AUTOREFRESH else static.files.get

application = serve_static(
    limit_body(ProtocolTypeRouter({"http": http, "websocket": sockets}), limit=settings.BODY_LIMIT),
    prefix=settings.STATIC_URL,
    find=find_static,
)
