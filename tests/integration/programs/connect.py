"""connect.py socket|http|asyncio NAME PORT COUNT: a connection each time."""

import asyncio
import http.client
import socket
import sys


def by_socket(name, port):
    socket.create_connection((name, port)).close()


def by_http(name, port):
    connection = http.client.HTTPConnection(name, port)
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.close()


def by_asyncio(name, port):
    async def connect():
        _, writer = await asyncio.open_connection(name, port)
        writer.close()
        await writer.wait_closed()

    asyncio.run(connect())


for _ in range(int(sys.argv[4])):
    {"socket": by_socket, "http": by_http, "asyncio": by_asyncio}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
