#!/usr/bin/python3
# Reads live heartbeats of all four Jrs from control.sock: any MessagePack client can. Usage: heartbeats_client.py SOCKET [BEATS]
import socket
import sys

import msgpack

jrs = {"memory_jr", "executive_jr", "meta_jr", "integration_jr"}
want = int(sys.argv[2]) if len(sys.argv) > 2 else 3
seen = {jr: [] for jr in jrs}
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(30)
sock.connect(sys.argv[1])
sock.sendall(msgpack.packb([0, 1, "heartbeats", {"follow": True}]))
unpacker = msgpack.Unpacker(raw=False)
while min(map(len, seen.values())) < want:
    unpacker.feed(sock.recv(65536) or sys.exit("tribed closed the connection"))
    for message in unpacker:
        for beat in [message[2]] if message[0] == 2 else message[3]["heartbeats"]:
            seen[beat["jr"]].append(beat["seq"])
            print(*(f"{key}={value}" for key, value in beat.items()))
