"""Django Channels, daphne and LISTEN: every payload to the group of its table.

As it is built by hand: a consumer joins a group, a listener sends to it. The channel layer is
Redis where CHANNELS_REDIS_URL names one, else the one in memory; the listener then shares the
server's event loop, for that layer is not safe between threads. Ends with its standard input.
"""

import asyncio
import json
import os
import sys
import threading
from urllib.parse import parse_qs

import django
from django.conf import settings

REDIS_URL = os.environ.get("CHANNELS_REDIS_URL")
MEMORY = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10_000}}
REDIS = {
    "BACKEND": "channels_redis.core.RedisChannelLayer",
    "CONFIG": {"hosts": [REDIS_URL], "capacity": 10_000},
}
settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": REDIS if REDIS_URL else MEMORY},
    SECRET_KEY="a bench needs none",
)
django.setup()

import psycopg  # noqa: E402
from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402
from daphne.server import Server  # noqa: E402


class TableConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        query = parse_qs(self.scope["query_string"].decode())
        self.group = f"table.{query['table'][0]}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def table_change(self, event):
        await self.send_json(event["change"])


async def listen():
    layer = get_channel_layer()
    database = os.environ["DATABASE_URL"]
    connection = await psycopg.AsyncConnection.connect(database, autocommit=True)
    await connection.execute("listen relay_channels")
    async for notification in connection.notifies():
        change = json.loads(notification.payload)
        event = {"type": "table.change", "change": change}
        await layer.group_send(f"table.{change['table']}", event)


def ready():
    asyncio.get_event_loop().create_task(listen())
    host, port = server.listening_addresses[0]
    print(f"channels is ready on http://{host}:{port}/", flush=True)


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_stdin, daemon=True).start()
server = Server(
    application=ProtocolTypeRouter({"websocket": TableConsumer.as_asgi()}),
    endpoints=["tcp:port=0:interface=127.0.0.1:backlog=4096"],
    signal_handlers=True,
    ready_callable=ready,
    verbosity=0,
)
server.run()
